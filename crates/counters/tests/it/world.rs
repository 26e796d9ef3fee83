//! Counters of both kinds, and short ways to write what they are asked.

use std::time::Duration;

use lingate_counters::{Counters, Health, OnOutage, RedisSettings};
use lingate_metering::counter::{
    Charge, CounterKey, Refusal, Reservation, Reserved, Settlement, Span,
};
use lingate_metering::{Id, Millis};
use lingate_testkit::Redis;

/// An unremarkable moment.
pub(crate) const NOW: Millis = 1_750_000_000_000;

/// A sliding minute.
pub(crate) const MINUTE: Span = Span::Slots {
    width: 1000,
    count: 60,
};

pub(crate) const DAY: Span = Span::Fixed {
    begins: NOW,
    ends: NOW + 86_400_000,
};

pub(crate) fn id(number: u128) -> Id {
    Id::from_u128(number)
}

pub(crate) fn charge(
    counter: u128,
    span: Span,
    capacity: impl Into<Option<u64>>,
    ask: u64,
) -> Charge {
    Charge {
        counter: CounterKey(id(counter)),
        span,
        capacity: capacity.into(),
        ask,
    }
}

pub(crate) fn reservation(number: u128, now: Millis, charges: &[Charge]) -> Reservation {
    Reservation {
        id: id(number),
        now,
        lease_until: now + 60_000,
        charges: charges.to_vec(),
    }
}

pub(crate) fn settlement(
    number: u128,
    admitted: Millis,
    now: Millis,
    charges: &[Charge],
) -> Settlement {
    Settlement {
        id: id(number),
        now,
        admitted,
        charges: charges.to_vec(),
    }
}

pub(crate) fn taken(used: &[u64]) -> Reserved {
    Reserved::Taken(used.to_vec())
}

pub(crate) fn refused(refusals: &[(usize, u64, Option<Millis>)]) -> Reserved {
    Reserved::Refused(
        refusals
            .iter()
            .map(|&(charge, used, free_at)| Refusal {
                charge,
                used,
                free_at,
            })
            .collect(),
    )
}

pub(crate) fn settings(redis: &Redis, on_outage: OnOutage) -> RedisSettings {
    RedisSettings {
        url: redis.url(),
        prefix: "test".to_owned(),
        on_outage,
    }
}

/// Redis counts as away when it has not answered for so long: on a busy machine 50 ms are soon over.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) async fn open(settings: &RedisSettings) -> Counters {
    Counters::redis_with_patience(settings, PATIENCE)
        .await
        .expect("the settings are good")
}

pub(crate) async fn connected(redis: &Redis, on_outage: OnOutage) -> Counters {
    let counters = open(&settings(redis, on_outage)).await;
    wait_until_up(&counters).await;
    counters
}

/// Until it counts in Redis, and nothing is waiting to be told.
pub(crate) async fn wait_until_up(counters: &Counters) {
    wait(counters, |health| {
        matches!(health, Health::Up { waiting: 0, .. })
    })
    .await;
}

/// Looks at the health until it is as wanted. The runner's own limit of time ends a wait that is in vain.
pub(crate) async fn wait(counters: &Counters, wanted: impl Fn(&Health) -> bool) {
    while !wanted(&counters.health()) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
