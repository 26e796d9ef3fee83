//! What all keys of one account share: rests that the upstream counts by account.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rest::{Cause, Rest};
use crate::Moment;

#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: Arc<str>,
    models: Mutex<Vec<(Arc<str>, Rest)>>,
}

/// Models of one account that rest at the same time. Beyond, the one that is ready first is forgotten.
const MODELS: usize = 64;

impl Account {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            models: Mutex::default(),
        }
    }

    /// Until when its keys are not to be used for a model.
    pub(super) fn blocks(&self, model: &str, now: Moment) -> Option<Moment> {
        self.of(model).and_then(|rest| rest.blocks(now))
    }

    pub(super) fn of(&self, model: &str) -> Option<Rest> {
        let models = self.models();
        let (_, rest) = models.iter().find(|(known, _)| **known == *model)?;
        Some(rest.clone())
    }

    /// Too many requests for a model, or all that it may use of one is used up.
    pub(super) fn limited(
        &self,
        model: &str,
        cause: Cause,
        told: Option<Duration>,
        reason: &str,
        now: Moment,
    ) {
        let mut models = self.models();
        let known = models.iter().position(|(known, _)| **known == *model);
        let before = known.map(|place| models.swap_remove(place));
        let mut rest = Rest::after(
            before.as_ref().map(|(_, rest)| rest),
            cause,
            told,
            reason,
            now,
        );
        // Many keys find out at the same time whether it is over; none of them speaks for the others.
        rest.without_probe();
        if models.len() >= MODELS {
            let first = (0..models.len())
                .min_by_key(|place| models.get(*place).map(|(_, rest)| rest.until));
            first.map(|place| models.swap_remove(place));
        }
        let model = before.map_or_else(|| model.into(), |(model, _)| model);
        models.push((model, rest));
    }

    /// A key of the account was served.
    pub(super) fn served(&self, model: &str, now: Moment) {
        self.models()
            .retain(|(known, rest)| **known != *model || rest.until > now);
    }

    pub(super) fn resting(&self, now: Moment) -> Vec<(Arc<str>, Rest)> {
        let models = self.models();
        models
            .iter()
            .filter(|(_, rest)| rest.until > now)
            .cloned()
            .collect()
    }

    fn models(&self) -> MutexGuard<'_, Vec<(Arc<str>, Rest)>> {
        // Nothing under this lock panics.
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
