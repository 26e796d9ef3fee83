//! Proofs of reasoning: the vault of each caller, the store behind it, and whose the proofs are that went by.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use lingate_dialect::DialectId;
use lingate_dialect::vault::{Found, Keep, Origin, Sealer, Slot, Vault, Witness, proofs_in};
use lingate_routing::{Endpoint, Target};
use lingate_seal::Sealer as MasterSealer;
use lingate_shelf::{Limits, Shelf};
use rustc_hash::FxHashMap;

use crate::exchange::Exchange;

/// What a conversation leaves here is given up after a day without an answer.
pub(crate) const LIMITS: Limits = Limits {
    ttl: Duration::from_hours(24),
    total: 256 << 20,
    per_scope: 64 << 20,
    memory: 32 << 20,
};

/// Names that are looked for on behalf of one request, the latest ones: each may cost a look at the disk.
const NAMES: usize = 4096;
/// Names that are looked for at once.
const AT_ONCE: usize = 16;

#[derive(Debug)]
pub(crate) struct Proofs {
    master: Arc<MasterSealer>,
    shelf: Arc<Shelf>,
    known: Arc<Known>,
}

impl Proofs {
    pub(crate) fn new(master: Arc<MasterSealer>, shelf: Shelf) -> Self {
        Self {
            master,
            shelf: Arc::new(shelf),
            known: Arc::default(),
        }
    }

    /// The vault of the caller whose request this is.
    fn vault(&self, exchange: &Exchange) -> Arc<Vault> {
        let scope = &exchange.scope;
        let drawer = Drawer {
            shelf: Arc::clone(&self.shelf),
            scope: scope.clone(),
            now: exchange.mint.now,
        };
        let master = Arc::clone(&self.master);
        let master = Arc::new(move || master.proofs());
        Arc::new(Vault::new(master, scope, Some(Arc::new(drawer))))
    }

    /// The vault, and what the store knows, of a request that is to be converted; `None` when it holds nothing of reasoning.
    pub(crate) async fn opener(
        &self,
        exchange: &Exchange,
        target: &Target,
        endpoint: &Endpoint,
    ) -> Option<Opener> {
        let request = exchange.decoded().ok()?;
        if !Vault::concerns(request) {
            return None;
        }
        let vault = self.vault(exchange);
        let origin = origin(target, endpoint);
        let mut names = vault.wants(request, exchange.written, &origin);
        names.drain(..names.len().saturating_sub(NAMES));
        let found = futures_util::stream::iter(names)
            .map(|name| async move {
                let value = self.shelf.get(&exchange.scope, &name, exchange.mint.now);
                Some((name.clone(), value.await?))
            })
            .buffered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect::<Found>()
            .await;
        Some(Opener {
            vault,
            origin,
            found,
        })
    }

    /// What seals the proofs of an answer to a request that was converted, or whose answer is.
    pub(crate) fn sealer(
        &self,
        exchange: &Exchange,
        target: &Target,
        endpoint: &Endpoint,
    ) -> Sealer {
        let converted = endpoint.dialect != exchange.dialect;
        let request = converted.then(|| exchange.decoded().ok()).flatten();
        let slot = request.map_or(Slot::Blank, |request| Slot::of(request, exchange.dialect));
        let origin = origin(target, endpoint);
        Sealer::new(self.vault(exchange), origin, exchange.dialect, slot)
            .with_witness(self.witness(target))
    }

    /// Remembers that the proofs it is shown are this target's.
    pub(crate) fn witness(&self, target: &Target) -> Witness {
        let known = Arc::clone(&self.known);
        let provider = target.provider.name.clone();
        Witness::new(move |proof| known.learn(&provider, proof))
    }

    /// What tells whether a proof in a body is another provider's; `None` when none of it is.
    pub(crate) fn strangers<'a>(
        &'a self,
        dialect: DialectId,
        body: &[u8],
        target: &'a Target,
    ) -> Option<impl Fn(&str) -> bool + 'a> {
        let provider = &target.provider.name;
        if !self.known.others(provider) {
            return None;
        }
        let strange = move |proof: &str| {
            let whose = self.known.whose(lingate_dialect::vault::fingerprint(proof));
            whose.is_some_and(|whose| *whose != **provider)
        };
        let mut any = false;
        proofs_in(dialect, body, &mut |proof| any |= strange(proof));
        any.then_some(strange)
    }
}

/// What opens the proofs in one request to one target.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) vault: Arc<Vault>,
    pub(crate) origin: Origin,
    pub(crate) found: Found,
}

fn origin(target: &Target, endpoint: &Endpoint) -> Origin {
    Origin {
        provider: target.provider.name.clone(),
        dialect: endpoint.dialect,
        model: target.model.clone(),
    }
}

/// One caller's part of the store.
#[derive(Debug)]
struct Drawer {
    shelf: Arc<Shelf>,
    scope: String,
    now: i64,
}

impl Keep for Drawer {
    fn put(&self, name: String, value: Vec<u8>) {
        let (store, scope, now) = (Arc::clone(&self.shelf), self.scope.clone(), self.now);
        let mut put = Box::pin(async move {
            let _kept = store.put(&scope, &name, Bytes::from(value), now).await;
        });
        // Polled once, it is found by whoever asks; the disk may take its time.
        let mut context = Context::from_waker(Waker::noop());
        if put.as_mut().poll(&mut context).is_pending() {
            tokio::spawn(put);
        }
    }
}

/// A bounded memory of whose the proofs are that went through as they were, by fingerprint.
#[derive(Debug, Default)]
struct Known(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// Names of providers; few, and never fewer.
    providers: Vec<Arc<str>>,
    whose: FxHashMap<u64, usize>,
    /// In the order in which they came.
    order: VecDeque<u64>,
}

impl Known {
    const PROOFS: usize = 1 << 16;
    const PROVIDERS: usize = 1 << 10;

    fn learn(&self, provider: &str, proof: u64) {
        let mut memory = self.memory();
        let known = memory.providers.iter().position(|name| **name == *provider);
        let provider = match known {
            Some(known) => known,
            None if memory.providers.len() < Self::PROVIDERS => {
                memory.providers.push(Arc::from(provider));
                memory.providers.len() - 1
            }
            None => return,
        };
        if memory.whose.insert(proof, provider).is_none() {
            memory.order.push_back(proof);
            if memory.order.len() > Self::PROOFS
                && let Some(oldest) = memory.order.pop_front()
            {
                memory.whose.remove(&oldest);
            }
        }
    }

    /// Whether proofs of any other provider are known.
    fn others(&self, provider: &str) -> bool {
        self.memory()
            .providers
            .iter()
            .any(|name| **name != *provider)
    }

    fn whose(&self, proof: u64) -> Option<Arc<str>> {
        let memory = self.memory();
        let provider = *memory.whose.get(&proof)?;
        memory.providers.get(provider).cloned()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic elsewhere leaves at most a proof that is not forgotten in its turn.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_known_by_their_provider_and_forgotten_in_their_turn() {
        let known = Known::default();
        known.learn("a", 1);
        assert!(!known.others("a"));
        assert!(known.others("b"));
        assert_eq!(known.whose(1).as_deref(), Some("a"));
        assert_eq!(known.whose(2), None);
        for proof in 2..=Known::PROOFS as u64 + 1 {
            known.learn("b", proof);
        }
        assert_eq!(known.whose(1), None);
        assert_eq!(known.whose(2).as_deref(), Some("b"));
        assert_eq!(known.memory().whose.len(), Known::PROOFS);
    }
}
