//! The ledger: who may take how much, what a request took, and what is written down of it.
//!
//! A request is let in once ([`admission`]), keeps an [`Account`] that its record holds, and closes it however it ends. Everything works
//! with none of it set up: without a directory nobody has limits, counters stand in memory, and without a journal nothing is written.

mod account;
mod admission;
mod events;
mod leases;
mod money_left;
mod permit;
mod said;
mod typical;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use lingate_counters::Counters;
use lingate_journal::Journal;
use lingate_metering::Millis;
use lingate_metering::pricing::Prices;
use lingate_metering::tenant::Directory;

use crate::exchange::Exchange;

pub(crate) use account::{About, Account, Answered, Payer, Took};
pub(crate) use admission::TurnedAway;
pub(crate) use permit::Permit;
pub(crate) use said::Said;

/// What governs requests, shared by all of them.
#[derive(Debug)]
pub struct Governance {
    directory: ArcSwap<Directory>,
    may_lack_keys: AtomicBool,
    prices: ArcSwap<Prices>,
    counters: Arc<Counters>,
    journal: Option<Arc<Journal>>,
    leases: leases::Leases,
    told: events::Told,
    typical: typical::Typical,
}

impl Governance {
    /// `journal`: where usage records go; `None`: they are logged, and nothing else.
    pub fn new(directory: Directory, counters: Counters, journal: Option<Arc<Journal>>) -> Self {
        Self {
            directory: ArcSwap::from_pointee(directory),
            may_lack_keys: AtomicBool::new(false),
            prices: ArcSwap::default(),
            counters: Arc::new(counters),
            journal,
            leases: leases::Leases::default(),
            told: events::Told::default(),
            typical: typical::Typical::default(),
        }
    }

    /// Nobody is known, nothing is limited or written; for gateways that last as long as a command.
    pub fn none() -> Self {
        Self::new(Directory::default(), Counters::memory(), None)
    }

    /// Everybody that requests may come from, as of now.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// Requests that come from now on are those of another directory; those under way keep what they found.
    pub fn replace_directory(&self, directory: Directory) {
        self.directory.store(Arc::new(directory));
    }

    /// The database of keys cannot be asked: it may hold some that the directory does not know.
    pub fn may_lack_keys(&self) -> bool {
        self.may_lack_keys.load(Ordering::Relaxed)
    }

    /// Whoever follows the database says whether the directory may lack keys of it. As long as it may, a key that could be one of
    /// those is no wrong key: it is told to come again.
    pub fn set_may_lack_keys(&self, may: bool) {
        self.may_lack_keys.store(may, Ordering::Relaxed);
    }

    /// What requests cost, as of now. At first the catalogue's prices.
    pub fn prices(&self) -> Arc<Prices> {
        self.prices.load_full()
    }

    /// Requests that end from now on are billed by other prices.
    pub fn replace_prices(&self, prices: Prices) {
        self.prices.store(Arc::new(prices));
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.as_ref()
    }

    /// How many tokens the answers to a request are taken to have, until it is known.
    fn output(&self, exchange: &Exchange, upstream_model: &str) -> u64 {
        let said = &exchange.said;
        let one = said.max_output;
        let one = one.unwrap_or_else(|| self.usual_output(upstream_model));
        one.saturating_mul(said.choices)
    }

    /// How many tokens the model writes where the request sets no limit.
    pub(crate) fn usual_output(&self, upstream_model: &str) -> u64 {
        self.typical.of(upstream_model)
    }
}

/// The moment for ledgers and counters.
pub(crate) fn now() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
        })
}
