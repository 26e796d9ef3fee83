//! The ledger: who may take how much, what a request took, and what is written down of it.
//!
//! Everything works with none of it set up: without a directory nobody has limits, counters stand in memory, and without a journal
//! nothing is written.

mod admission;
mod permit;

use std::sync::Arc;

use arc_swap::ArcSwap;
use lingate_counters::Counters;
use lingate_journal::Journal;
use lingate_metering::tenant::Directory;

pub(crate) use admission::Refused;
pub(crate) use permit::Permit;

/// What governs requests, shared by all of them.
#[derive(Debug)]
pub struct Governance {
    directory: ArcSwap<Directory>,
    counters: Arc<Counters>,
    journal: Option<Arc<Journal>>,
}

impl Governance {
    /// `journal`: where usage records go; `None`: they are logged, and nothing else.
    pub fn new(directory: Directory, counters: Counters, journal: Option<Arc<Journal>>) -> Self {
        Self {
            directory: ArcSwap::from_pointee(directory),
            counters: Arc::new(counters),
            journal,
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

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.as_ref()
    }
}
