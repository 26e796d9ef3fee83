//! Breakers that opened or closed, for whoever tells people.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Breaker, BreakerRules, BreakerState};
use crate::Moment;

/// A breaker has opened, or closed. One whose probe failed was open before and is no news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerNews {
    /// The upstream's name of the model whose it is; `None`: the provider's.
    pub model: Option<String>,
    pub turn: BreakerTurn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerTurn {
    /// Why, and after how long it is tried again.
    Opened {
        cause: String,
        wait: Duration,
    },
    Closed,
}

/// News that nobody has heard yet, the first of them, and how many more there were.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<(VecDeque<BreakerNews>, u64)>);

/// More at a time help nobody.
const PINNED: usize = 32;

impl Board {
    pub(super) fn opened(
        &self,
        model: Option<&str>,
        breaker: &Breaker,
        rules: &BreakerRules,
        now: Moment,
    ) {
        // Closed again by another request in the meantime, that is not worth telling.
        if let BreakerState::Open(open) = breaker.state(rules, now) {
            self.pin(
                model,
                BreakerTurn::Opened {
                    cause: open.why.cause.to_string(),
                    wait: now.until(open.until),
                },
            );
        }
    }

    pub(super) fn closed(&self, model: Option<&str>) {
        self.pin(model, BreakerTurn::Closed);
    }

    pub(super) fn take(&self) -> (Vec<BreakerNews>, u64) {
        let mut pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (news, left_out) = &mut *pinned;
        (news.drain(..).collect(), std::mem::take(left_out))
    }

    fn pin(&self, model: Option<&str>, turn: BreakerTurn) {
        let mut pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (news, left_out) = &mut *pinned;
        if news.len() < PINNED {
            news.push_back(BreakerNews {
                model: model.map(str::to_owned),
                turn,
            });
        } else {
            *left_out += 1;
        }
    }
}
