//! What becomes of a request, once the counters have answered.

use std::sync::Arc;

use super::{Bound, Charges, Demand, Edges, Enforcement, Event, Facts, Unpriced, What, Window};
use crate::counter::{Charge, Refusal, Reserved, Span};
use crate::{Id, Millis};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Decision {
    /// It goes on; what there is to be told.
    Admitted(Vec<Event>),
    /// Nothing is taken: the same question is to be asked for another model.
    Downgraded(Downgrade),
    /// Nothing is taken, and nothing is asked.
    Refused(Box<Refused>),
}

/// Another model instead of a refusal.
#[derive(Debug, Clone)]
pub struct Downgrade {
    pub to: String,
    /// The limit that wants it; it belongs into [`Facts::gave_way`] from now on, which is why this comes to an end.
    pub limit: Id,
    pub events: Vec<Event>,
}

/// Why a request does not pass.
#[derive(Debug, Clone)]
pub struct Refused {
    /// All limits that it does not fit into; the one that holds it up longest comes first.
    pub exceeded: Vec<Exceeded>,
    pub events: Vec<Event>,
    pub now: Millis,
}

/// A limit that a request does not fit into.
#[derive(Debug, Clone)]
pub struct Exceeded {
    pub bound: Arc<Bound>,
    pub amount: u64,
    /// Without this request.
    pub used: u64,
    pub ask: u64,
    /// Nobody knows how much it takes, and the limit refuses what is not known.
    pub is_unpriced: bool,
    /// When enough is free, if nothing more is taken; `None`: never, or whenever somebody else is done.
    pub free_at: Option<Millis>,
    /// When all of it is free again; `None` where time does not help.
    pub resets_at: Option<Millis>,
}

impl Exceeded {
    /// The request alone is larger than the amount, or cannot be held against it: it does not pass at any time.
    pub fn never_fits(&self) -> bool {
        self.ask > self.amount || self.is_unpriced
    }

    /// When the request would pass, if nothing more is taken meanwhile; `None`: time does not help.
    pub(super) fn passes_at(&self, now: Millis) -> Option<Millis> {
        if self.never_fits() {
            return None;
        }
        match self.bound.limit().window {
            // Somebody else may be done at any moment.
            Window::Now => Some(self.free_at.unwrap_or(now)),
            Window::Sliding(_) | Window::Calendar { .. } | Window::Total => self.free_at,
        }
    }
}

impl Charges {
    /// What the answer of the counters means for the request.
    pub fn decide(&self, reserved: &Reserved, facts: &Facts<'_>, now: Millis) -> Decision {
        match reserved {
            Reserved::Taken(used) => Decision::Admitted(self.admitted(used, facts, now)),
            Reserved::Refused(refusals) => self.refused(refusals, facts, now),
        }
    }

    fn admitted(&self, used: &[u64], facts: &Facts<'_>, now: Millis) -> Vec<Event> {
        let mut events = Vec::new();
        for ((charge, charged), used) in self.iter().zip(used) {
            let mut raise = |what| events.push(charged.event(charge, *used, what, now));
            if charged.unknown && charged.bound.limit().measure == super::Measure::Cost {
                let model = facts.model.to_owned();
                raise(What::Unpriced { model });
            }
            if *used <= charged.amount {
                continue;
            }
            match charged.bound.limit().enforcement {
                Enforcement::Shadow => raise(What::WouldRefuse),
                Enforcement::Soft | Enforcement::Hard => raise(What::Exhausted),
            }
        }
        events
    }

    fn refused(&self, refusals: &[Refusal], facts: &Facts<'_>, now: Millis) -> Decision {
        let mut exceeded = Vec::with_capacity(refusals.len());
        let mut events = Vec::new();
        let mut downgrade = None;
        for refusal in refusals {
            let (Some(charge), Some(charged)) =
                (self.list.get(refusal.charge), self.of.get(refusal.charge))
            else {
                continue;
            };
            let limit = charged.bound.limit();
            let what = if is_unpriced(charged) {
                let model = facts.model.to_owned();
                What::Unpriced { model }
            } else {
                What::Exhausted
            };
            events.push(charged.event(charge, refusal.used, what, now));
            if let Some(model) = &limit.downgrade {
                downgrade.get_or_insert((charge, charged, refusal.used, model));
                continue;
            }
            exceeded.push(Exceeded {
                bound: Arc::clone(&charged.bound),
                amount: charged.amount,
                used: refusal.used,
                ask: charge.ask,
                is_unpriced: is_unpriced(charged),
                free_at: refusal.free_at.filter(|at| *at < Edges::ALWAYS.ends),
                resets_at: resets_at(charge.span, now),
            });
        }
        if let (Some((charge, charged, used, model)), true) = (downgrade, exceeded.is_empty()) {
            let what = What::Downgraded {
                from: facts.model.to_owned(),
                to: model.clone(),
            };
            events.push(charged.event(charge, used, what, now));
            return Decision::Downgraded(Downgrade {
                to: model.clone(),
                limit: charged.bound.limit().id,
                events,
            });
        }
        let passes = |one: &Exceeded| one.passes_at(now).unwrap_or(Millis::MAX);
        exceeded.sort_by_key(|one| std::cmp::Reverse(passes(one)));
        Decision::Refused(Box::new(Refused {
            exceeded,
            events,
            now,
        }))
    }

    /// Thresholds that are behind us once a request is settled. `used` is what the counters said at admission, `truth` what it really took. They
    /// are told again by later requests of the window: whoever tells them on remembers those that were told, by [`Event::id`].
    pub fn thresholds(&self, used: &[u64], truth: &Demand, now: Millis) -> Vec<Event> {
        let mut events = Vec::new();
        for ((charge, charged), used) in self.iter().zip(used) {
            let limit = charged.bound.limit();
            if limit.thresholds.is_empty() {
                continue;
            }
            let took = truth.of_measure(limit.measure).unwrap_or(charge.ask);
            let used = used.saturating_sub(charge.ask).saturating_add(took);
            for percent in &limit.thresholds {
                let at = u128::from(charged.amount) * u128::from(*percent);
                if u128::from(used) * 100 >= at && charged.amount > 0 {
                    let what = What::Threshold { percent: *percent };
                    events.push(charged.event(charge, used, what, now));
                }
            }
        }
        events
    }
}

impl super::Charged {
    fn event(&self, charge: &Charge, used: u64, what: What, now: Millis) -> Event {
        let begins = match charge.span {
            Span::Fixed { begins, .. } => begins,
            // A window that slides has no beginning; once in as much time as it is long is enough.
            Span::Slots { width, count } => {
                let length = i64::from(width) * i64::from(count.saturating_sub(1)).max(1);
                now.div_euclid(length.max(1)) * length.max(1)
            }
            Span::Held => 0,
        };
        Event::new(&self.bound, charge.counter.0, begins, now, used, what)
    }
}

/// Whether a refusal is one for want of a price.
fn is_unpriced(charged: &super::Charged) -> bool {
    charged.unknown && charged.bound.limit().unpriced == Unpriced::Refuse
}

/// When everything that is used of a counter will have been forgotten.
pub(super) fn resets_at(span: Span, now: Millis) -> Option<Millis> {
    match span {
        Span::Slots { width, count } => Some(now + i64::from(width) * i64::from(count)),
        Span::Fixed { ends, .. } if ends >= Edges::ALWAYS.ends => None,
        Span::Fixed { ends, .. } => Some(ends),
        Span::Held => None,
    }
}
