//! The data plane: doors, callers, attempts, and the relay between an upstream and a caller.

mod allowance;
mod answer;
mod api;
mod attempt;
mod board;
mod body;
mod caller;
mod chores;
mod clock;
mod count;
mod credential;
mod demo;
mod doors;
mod exchange;
mod facts;
mod fault;
mod headers;
mod health;
mod health_check;
mod home;
mod kept_keys;
mod keys;
mod learned;
mod ledger;
mod master;
mod mend;
mod mirror;
mod models;
mod prepare;
mod proofs;
mod pump;
mod record;
mod refused;
mod relay;
mod server;
mod service;
mod stall;
mod state;
mod trail;
mod whole;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use lingate_routing::{Moment, Snapshot};
use lingate_shelf::Shelf;
use lingate_upstream::Clients;

pub use answer::{Body, StreamBody};
pub use api::{explain, routes};
pub use board::Board;
pub use ledger::Governance;
pub use master::{BadMasterKey, MasterKey};
pub use server::serve;
pub use state::Kept;

/// A running gateway: one snapshot of the configuration, swapped whole, and the connections towards providers.
#[derive(Debug)]
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    learned: learned::Learned,
    clients: Clients,
    keys: keys::Keys,
    catalogues: models::Catalogues,
    /// What the Responses API keeps.
    responses: Shelf,
    proofs: proofs::Proofs,
    clock: clock::Clock,
    kept_keys: Arc<kept_keys::KeptKeys>,
    mirrors: mirror::Mirrors,
    governance: Arc<Governance>,
    board: Arc<Board>,
}

impl Gateway {
    /// `data` is the folder for what is stored; it is made when something is. `master` is what the gateway seals with.
    pub fn new(
        snapshot: Snapshot,
        data: &Path,
        master: MasterKey,
        governance: Governance,
    ) -> Arc<Self> {
        let clients = Clients::new(snapshot.defaults.connect_timeout);
        let responses = Shelf::new(Some(data.join("responses")), state::limits(&snapshot));
        let proofs = Shelf::new(Some(data.join("proofs")), proofs::LIMITS);
        Arc::new(Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            learned: learned::Learned::default(),
            clients,
            keys: keys::Keys::new(),
            catalogues: models::Catalogues::default(),
            responses,
            proofs: proofs::Proofs::new(master, proofs),
            clock: clock::Clock::start(),
            kept_keys: Arc::new(kept_keys::KeptKeys::in_folder(data)),
            mirrors: mirror::Mirrors::new(),
            governance: Arc::new(governance),
            board: Arc::default(),
        })
    }

    /// Takes another configuration; requests under way finish with theirs. The health of keys that stay is kept.
    pub fn replace(&self, snapshot: Snapshot) {
        snapshot.inherit(&self.snapshot.load());
        self.responses.limit(state::limits(&snapshot));
        self.snapshot.store(Arc::new(snapshot));
        self.catalogues.clear();
    }

    /// Who may take how much, and what is written down.
    pub fn governance(&self) -> &Arc<Governance> {
        &self.governance
    }

    /// The time as the routing sees it.
    pub(crate) fn moment(&self) -> Moment {
        self.clock.now()
    }

    /// Where the parts beside the request path say how they fare.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
}
