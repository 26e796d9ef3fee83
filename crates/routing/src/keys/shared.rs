//! What the pools of one provider share, that of an older configuration with that of a newer one.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::account::Account;
use super::bell::Bell;
use super::health::Health;
use super::key::Key;
use super::news::{Before, Board, KeyNews, KeyTurn};
use crate::Moment;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) bell: Arc<Bell>,
    pub(super) board: Board,
    accounts: Mutex<FxHashMap<Arc<str>, Arc<Account>>>,
    witnesses: Mutex<FxHashMap<Arc<str>, Witnesses>>,
}

/// Two keys that were served last, so that there is one beside any other.
#[derive(Debug, Default, Clone, Copy)]
struct Witnesses {
    last: Option<(u64, Moment)>,
    other: Option<(u64, Moment)>,
}

/// For so long a key that is served shows that the upstream is up.
const FRESH: u64 = 30_000;

/// Models of which it is remembered.
const MODELS: usize = 256;

impl Shared {
    pub(super) fn account(&self, name: &str) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(name) {
            return Arc::clone(account);
        }
        let account = Arc::new(Account::new(name));
        accounts.insert(Arc::clone(&account.name), Arc::clone(&account));
        account
    }

    /// Forgets accounts that no key has any more.
    pub(super) fn tidy(&self) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, account| Arc::strong_count(account) > 1);
    }

    /// Something happens to a key, which tells whether it may be used sooner than was thought: so does this.
    pub(super) fn change(
        &self,
        key: &Key,
        model: &str,
        now: Moment,
        happens: impl FnOnce(&mut Health) -> bool,
    ) -> bool {
        let mut health = key.health();
        let before = Before::of(&health, model, now);
        let sooner = happens(&mut health);
        let (turn, changed) = before.since(&health, model, now);
        drop(health);
        if sooner {
            self.bell.ring(key.point());
        }
        self.tell(key, turn, changed);
        sooner
    }

    /// Something has happened to a key.
    pub(super) fn tell(&self, key: &Key, turn: Option<KeyTurn>, changed: bool) {
        if changed {
            self.board.changed();
        }
        if let Some(turn) = turn {
            self.board.pin(KeyNews {
                id: key.id(),
                label: key.label().to_owned(),
                turn,
            });
        }
    }

    /// A key is no longer of this account: forgotten with the last of its keys, since an upstream may name another one in
    /// every answer.
    pub(super) fn left(&self, account: &Arc<Account>) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        // The caller's and the map's own; under the lock nobody else finds it.
        if Arc::strong_count(account) == 2
            && accounts
                .get(&account.name)
                .is_some_and(|known| Arc::ptr_eq(known, account))
        {
            accounts.remove(&account.name);
        }
    }

    #[cfg(test)]
    pub(super) fn accounts(&self) -> usize {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.len()
    }

    /// The key on this point was served with a model.
    pub(super) fn served(&self, model: &str, point: u64, now: Moment) {
        let mut models = self
            .witnesses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !models.contains_key(model) {
            if models.len() >= MODELS {
                models.retain(|_, witnesses| {
                    witnesses.last.is_some_and(|(_, when)| fresh(when, now))
                });
            }
            if models.len() >= MODELS {
                return;
            }
            models.insert(model.into(), Witnesses::default());
        }
        if let Some(witnesses) = models.get_mut(model) {
            if witnesses.last.is_some_and(|(last, _)| last != point) {
                witnesses.other = witnesses.last;
            }
            witnesses.last = Some((point, now));
        }
    }

    /// Whether a key on another point was served with the model lately.
    pub(super) fn served_elsewhere(&self, model: &str, point: u64, now: Moment) -> bool {
        let models = self
            .witnesses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        models.get(model).is_some_and(|Witnesses { last, other }| {
            let beside = |witness: &Option<(u64, Moment)>| {
                witness.is_some_and(|(known, when)| known != point && fresh(when, now))
            };
            beside(last) || beside(other)
        })
    }
}

fn fresh(when: Moment, now: Moment) -> bool {
    now.as_millis().saturating_sub(when.as_millis()) <= FRESH
}
