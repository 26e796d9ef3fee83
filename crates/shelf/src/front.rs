//! What is held in memory: the values used last, up to a number of bytes; all there is, where there is no disk.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::name::{Half, Name};
use crate::{Limits, alive};

/// What one entry costs beside its value, about.
const OVERHEAD: u64 = 256;

#[derive(Debug, Default)]
pub(crate) struct Front {
    entries: HashMap<Name, (u64, Hot)>,
    /// By last use.
    order: BTreeMap<u64, Name>,
    scopes: HashMap<Half, u64>,
    total: u64,
    tick: u64,
}

/// A value in memory.
#[derive(Debug, Clone)]
pub(crate) struct Hot {
    pub(crate) value: Bytes,
    /// When it was put.
    pub(crate) put: i64,
    /// When it was last known to be on disk.
    pub(crate) seen: i64,
    pub(crate) on_disk: bool,
}

impl Front {
    /// False when the value alone is too large.
    pub(crate) fn insert(&mut self, name: Name, hot: Hot, limits: &Limits) -> bool {
        self.remove(&name);
        let cost = cost(&hot);
        if cost > limits.memory / 2 {
            return false;
        }
        let tick = self.next();
        self.entries.insert(name, (tick, hot));
        self.order.insert(tick, name);
        self.total += cost;
        *self.scopes.entry(name.scope).or_default() += cost;
        while self.scopes.get(&name.scope).copied().unwrap_or(0) > limits.memory / 2 {
            let oldest = self.order.values().find(|other| other.scope == name.scope);
            let Some(oldest) = oldest.copied() else { break };
            self.remove(&oldest);
        }
        while self.total > limits.memory {
            let Some(oldest) = self.order.values().next().copied() else {
                break;
            };
            self.remove(&oldest);
        }
        true
    }

    pub(crate) fn get(&mut self, name: &Name, now: i64, limits: &Limits) -> Option<Hot> {
        let tick = self.next();
        let (used, hot) = self.entries.get_mut(name)?;
        if !alive(hot.put, now, limits) {
            self.remove(name);
            return None;
        }
        self.order.remove(used);
        self.order.insert(tick, *name);
        *used = tick;
        Some(hot.clone())
    }

    /// The value is on disk, too.
    pub(crate) fn written(&mut self, name: &Name, now: i64) {
        if let Some((_, hot)) = self.entries.get_mut(name) {
            hot.on_disk = true;
            hot.seen = now;
        }
    }

    /// The disk has no such value; one that never got there stays.
    pub(crate) fn forget(&mut self, name: &Name) {
        if self.entries.get(name).is_some_and(|(_, hot)| hot.on_disk) {
            self.remove(name);
        }
    }

    pub(crate) fn remove(&mut self, name: &Name) {
        let Some((tick, hot)) = self.entries.remove(name) else {
            return;
        };
        self.order.remove(&tick);
        let cost = cost(&hot);
        self.total -= cost;
        if let Some(scope) = self.scopes.get_mut(&name.scope) {
            *scope -= cost;
            if *scope == 0 {
                self.scopes.remove(&name.scope);
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }
}

fn cost(hot: &Hot) -> u64 {
    hot.value.len() as u64 + OVERHEAD
}
