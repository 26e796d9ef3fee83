//! What the scripts are told, and what they answer.

use lingate_metering::counter::{
    Charge, CounterKey, KEPT_AFTER_END, MOST, Refusal, Reservation, Reserved, Seed, Span, lease_end,
};
use lingate_metering::{Id, Millis};

use super::link::{ANNOUNCE, Call, RENEW, RESERVE, SEED, SETTLE, Silence, USED};

const MINUTE: Millis = 60_000;
const DAY: Millis = 1440 * MINUTE;

/// How long what belongs to a lease outlives it, so that it can be given back by whoever comes next; what it holds of a
/// [`Span::Held`] is gone before that.
const LEASE_KEPT: Millis = 7 * DAY;

/// How long a settlement is remembered that was told late, or of something that was not reserved here.
pub(crate) const LATE_KEPT: Millis = DAY;

/// A replica that has not announced itself for so long is gone.
const ALIVE: Millis = MINUTE / 3;

/// What is used, and where it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) counter: CounterKey,
    pub(crate) span: Span,
    pub(crate) admitted: Millis,
    pub(crate) used: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    Really,
    /// Nothing is taken: it is only asked whether it would be.
    Ask,
}

/// `admitted`: when what is taken counts; now, unless it is told late.
pub(crate) fn reserve(
    prefix: &str,
    reservation: &Reservation,
    admitted: Millis,
    take: Take,
) -> Call {
    let Reservation {
        id,
        now,
        lease_until,
        charges,
    } = reservation;
    let mut call = Call {
        script: &RESERVE,
        keys: Vec::with_capacity(charges.len()),
        arguments: Vec::with_capacity(6 + 7 * charges.len()),
    };
    call.arguments.extend([
        prefix.to_owned(),
        now.to_string(),
        hex(*id),
        lease_end(*lease_until).to_string(),
        LEASE_KEPT.to_string(),
        match take {
            Take::Really => "take",
            Take::Ask => "ask",
        }
        .to_owned(),
    ]);
    for charge in charges {
        let counted = charge.span.counted(*now);
        let name = counter(charge.counter, charge.span);
        call.keys.push(format!("{prefix}{name}"));
        call.arguments.extend([
            name,
            charge.span.slot(admitted).to_string(),
            counted.start().to_string(),
            counted.end().to_string(),
            ttl(charge.span, *now).to_string(),
            charge
                .capacity
                .map_or_else(String::new, |capacity| capacity.min(MOST).to_string()),
            charge.ask.min(MOST).to_string(),
        ]);
    }
    call
}

pub(crate) fn reserved(answer: &[String], charges: &[Charge]) -> Result<Reserved, Silence> {
    match answer {
        [_, word, used @ ..] if word == "taken" && used.len() == charges.len() => used
            .iter()
            .map(|used| number(used))
            .collect::<Result<_, _>>()
            .map(Reserved::Taken),
        [_, word, refusals @ ..] if word == "refused" => refusals
            .chunks(3)
            .map(|refusal| {
                let [place, used, slot] = refusal else {
                    return Err(nonsense());
                };
                let place: usize = number(place)?;
                let charge = charges.get(place).ok_or_else(nonsense)?;
                let free_at = match slot.as_str() {
                    "" => None,
                    slot => charge.span.free_at(number(slot)?),
                };
                Ok(Refusal {
                    charge: place,
                    used: number(used)?,
                    free_at,
                })
            })
            .collect::<Result<_, _>>()
            .map(Reserved::Refused),
        _ => Err(nonsense()),
    }
}

/// `held`: something must be left of the reservation, or this was told before.
pub(crate) fn settle(
    prefix: &str,
    id: Id,
    now: Millis,
    kept: Millis,
    held: bool,
    amounts: &[Amount],
) -> Call {
    let mut call = Call {
        script: &SETTLE,
        keys: Vec::with_capacity(amounts.len()),
        arguments: Vec::with_capacity(5 + 3 * amounts.len()),
    };
    call.arguments.extend([
        prefix.to_owned(),
        now.to_string(),
        hex(id),
        kept.to_string(),
        if held { "held" } else { "any" }.to_owned(),
    ]);
    for amount in amounts {
        if amount.used > 0 && amount.span.counts(amount.admitted, now) {
            call.keys
                .push(format!("{prefix}{}", counter(amount.counter, amount.span)));
            call.arguments.extend([
                amount.span.slot(amount.admitted).to_string(),
                ttl(amount.span, now).to_string(),
                amount.used.min(MOST).to_string(),
            ]);
        }
    }
    call
}

pub(crate) fn renew(prefix: &str, ids: &[Id], now: Millis, until: Millis) -> Call {
    let settings = [
        prefix.to_owned(),
        now.to_string(),
        lease_end(until).to_string(),
        LEASE_KEPT.to_string(),
    ];
    Call {
        script: &RENEW,
        keys: Vec::new(),
        arguments: settings
            .into_iter()
            .chain(ids.iter().map(|id| hex(*id)))
            .collect(),
    }
}

pub(crate) fn used(prefix: &str, charges: &[Charge], now: Millis) -> Call {
    let mut call = Call {
        script: &USED,
        keys: Vec::with_capacity(charges.len()),
        arguments: vec![prefix.to_owned(), now.to_string()],
    };
    for charge in charges {
        let counted = charge.span.counted(now);
        call.keys
            .push(format!("{prefix}{}", counter(charge.counter, charge.span)));
        call.arguments
            .extend([counted.start().to_string(), counted.end().to_string()]);
    }
    call
}

pub(crate) fn used_of(answer: &[String], charges: &[Charge]) -> Result<Vec<u64>, Silence> {
    match answer {
        [_, word, used @ ..] if word == "used" && used.len() == charges.len() => {
            used.iter().map(|used| number(used)).collect()
        }
        _ => Err(nonsense()),
    }
}

/// `seeds`: of [`since`](crate::since), in its order.
pub(crate) fn seed(prefix: &str, birth: Id, seeds: &[Seed], now: Millis) -> Call {
    let mut call = Call {
        script: &SEED,
        keys: Vec::with_capacity(seeds.len()),
        arguments: vec![prefix.to_owned(), hex(birth)],
    };
    for seed in seeds {
        call.keys
            .push(format!("{prefix}{}", counter(seed.counter, seed.span)));
        call.arguments.extend([
            seed.span.slot(seed.at).to_string(),
            ttl(seed.span, now).to_string(),
            seed.used.min(MOST).to_string(),
        ]);
    }
    call
}

pub(crate) fn announce(prefix: &str, replica: Id, generation: Id) -> Call {
    Call {
        script: &ANNOUNCE,
        keys: Vec::new(),
        arguments: vec![
            prefix.to_owned(),
            hex(replica),
            hex(generation),
            ALIVE.to_string(),
            (30 * DAY).to_string(),
        ],
    }
}

/// What a replica hears when it announces itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) generation: String,
    /// Nobody had been there: Redis is empty.
    pub(crate) new: bool,
    pub(crate) replicas: u32,
}

pub(crate) fn heard(answer: &[String]) -> Result<Heard, Silence> {
    let [generation, new, replicas] = answer else {
        return Err(nonsense());
    };
    Ok(Heard {
        generation: generation.clone(),
        new: new == "new",
        replicas: number(replicas)?,
    })
}

fn nonsense() -> Silence {
    Silence("a script answers something else than expected".to_owned())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Silence> {
    text.parse().map_err(|_| nonsense())
}

fn hex(id: Id) -> String {
    format!("{:032x}", id.as_u128())
}

/// The key of a counter, without the prefix.
fn counter(counter: CounterKey, span: Span) -> String {
    let id = counter.0.as_u128();
    match span {
        Span::Slots { width, .. } => format!("c:{id:032x}:s{width}"),
        Span::Fixed { begins, .. } => format!("c:{id:032x}:f{begins}"),
        Span::Held => format!("c:{id:032x}:h"),
    }
}

/// How long a counter is kept that nothing more happens to. Everything in Redis ends by itself.
fn ttl(span: Span, now: Millis) -> Millis {
    match span {
        // Twice: replicas whose clocks are ahead put amounts into slots that are still to come.
        Span::Slots { width, count } => 2 * i64::from(width) * i64::from(count.max(1)) + MINUTE,
        Span::Fixed { ends, .. } => ends
            .saturating_sub(now)
            .saturating_add(KEPT_AFTER_END)
            .clamp(MINUTE, 3650 * DAY),
        Span::Held => LEASE_KEPT,
    }
}
