//! What an admission and its settlement cost in memory: with few charges and many, and with ever more counters.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lingate_counters::Counters;
use lingate_metering::Id;
use lingate_metering::counter::{Charge, CounterKey, Reservation, Settlement, Span};

const NOW: i64 = 1_750_000_000_000;

/// As limits come: requests and tokens by the minute, cost by the month, concurrency.
fn charges(of: u128, count: u128) -> Vec<Charge> {
    (0..count)
        .map(|charge| Charge {
            counter: CounterKey(Id::from_u128(
                (of * 16 + charge).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            )),
            span: match charge % 4 {
                0 | 1 => Span::Slots {
                    width: 1000,
                    count: 60,
                },
                2 => Span::Fixed {
                    begins: NOW,
                    ends: NOW + 2_592_000_000,
                },
                _ => Span::Held,
            },
            capacity: Some(1 << 50),
            ask: 1000,
        })
        .collect()
}

/// One admission and its settlement after another, a millisecond apart; who asks goes round.
struct Requests {
    counters: Counters,
    callers: Vec<Vec<Charge>>,
    number: u128,
}

impl Requests {
    fn new(callers: u128, charges_each: u128) -> Self {
        Self {
            counters: Counters::memory(),
            callers: (0..callers)
                .map(|caller| charges(caller, charges_each))
                .collect(),
            number: 0,
        }
    }

    async fn one(&mut self) {
        self.number += 1;
        let now = NOW + i64::try_from(self.number).unwrap_or(0) / 20;
        let place = usize::try_from(self.number).unwrap_or(0) % self.callers.len();
        let charges = std::mem::take(&mut self.callers[place]);
        let mut reservation = Reservation {
            id: Id::from_u128(self.number),
            now,
            lease_until: now + 60_000,
            charges,
        };
        black_box(self.counters.reserve(&reservation).await).ok();
        let charges = std::mem::take(&mut reservation.charges);
        self.counters
            .settle(Settlement {
                id: reservation.id,
                now: now + 1,
                admitted: now,
                charges: charges.clone(),
            })
            .await;
        self.callers[place] = charges;
    }
}

fn counters(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut group = criterion.benchmark_group("counters");
    for (callers, charges) in [(1, 1), (1, 4), (1, 12), (10_000, 4), (1_000_000, 4)] {
        group.bench_function(
            BenchmarkId::new(format!("{charges} charges, callers"), callers),
            |bencher| {
                let mut requests = Requests::new(callers, charges);
                bencher.iter(|| runtime.block_on(requests.one()));
            },
        );
    }
    group.finish();
}

criterion_group!(benches, counters);
criterion_main!(benches);
