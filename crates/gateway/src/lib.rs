//! The data plane: doors, callers, attempts, and the relay between an upstream and a caller.

mod address;
mod allowance;
mod answer;
mod api;
mod attempt;
mod beside;
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
mod mend;
mod mirror;
mod models;
mod panics;
mod prepare;
mod proofs;
mod pump;
mod record;
mod refused;
mod relay;
mod server;
mod service;
mod shown;
mod stall;
mod state;
mod trail;
mod whole;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use lingate_metering::tenant::Directory;
use lingate_routing::{Auth, Moment, Snapshot};
use lingate_seal::Sealer;
use lingate_shelf::Shelf;
use lingate_upstream::Clients;

pub use answer::{Body, StreamBody};
pub use api::{Problem as LiveProblem, Question, explain, routes};
pub use beside::{Answering, Audience, Beside, CutShort, Face, Origin, OtherBody};
pub use board::Board;
pub use health_check::{KeyTests, TestedKey};
pub use ledger::Governance;
pub use panics::{Panicked, caught, log_panics};
pub use server::serve;
pub use shown::KeyShown;
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
    beside: OnceLock<Arc<dyn Beside>>,
}

/// Who may ask where nobody says so: whoever shows a key, where there are any when the gateway starts or nobody can say so, and where
/// it was so before. Else the removal of a key would open the gateway.
fn decide_auth(snapshot: &mut Snapshot, before: Auth, there_may_be_keys: bool) {
    let keys = before == Auth::Keys || there_may_be_keys;
    if snapshot.auth == Auth::Open && !snapshot.auth_is_said && keys {
        snapshot.auth = Auth::Keys;
    }
}

impl Gateway {
    /// `data` is the folder for what is stored; it is made when something is. `seal` is what it seals with.
    pub fn new(
        mut snapshot: Snapshot,
        data: &Path,
        seal: Arc<Sealer>,
        governance: Governance,
    ) -> Arc<Self> {
        let there_may_be_keys = !governance.directory().is_empty() || governance.may_lack_keys();
        decide_auth(&mut snapshot, Auth::Open, there_may_be_keys);
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
            proofs: proofs::Proofs::new(seal, proofs),
            clock: clock::Clock::start(),
            kept_keys: Arc::new(kept_keys::KeptKeys::in_folder(data)),
            mirrors: mirror::Mirrors::new(),
            governance: Arc::new(governance),
            board: Arc::default(),
            beside: OnceLock::new(),
        })
    }

    /// Takes another configuration; requests under way finish with theirs. The health of keys that stay is kept.
    pub fn replace(&self, mut snapshot: Snapshot) {
        let before = self.snapshot.load();
        // Keys that come with the file are meant to be asked for; those that were stored meanwhile are not.
        decide_auth(&mut snapshot, before.auth, false);
        snapshot.inherit(&before);
        self.responses.limit(state::limits(&snapshot));
        self.snapshot.store(Arc::new(snapshot));
        self.catalogues.clear();
    }

    /// Requests that come from now on are those of another directory; those under way keep what they found. Keys that somebody
    /// stores do not close a gateway that is open, and it does not open when the last is gone: the log says what is to be done.
    pub fn replace_directory(&self, directory: Directory) {
        let before = self.governance.directory().is_empty();
        let (auth, is_empty) = (self.snapshot.load().auth, directory.is_empty());
        if auth == Auth::Open && before && !is_empty {
            tracing::warn!(
                "there are keys now, and everybody on this machine may still ask without: `auth: keys`, or a restart, asks for them"
            );
        }
        if auth == Auth::Keys && !before && is_empty {
            tracing::warn!(
                "the last key is gone, and every request is turned away: store one, or say `auth: open`"
            );
        }
        self.governance.replace_directory(directory);
        self.catalogues.clear();
    }

    /// Whether the database of keys can be asked, from whoever follows it; after its keys are in the directory.
    pub fn set_may_lack_keys(&self, may: bool) {
        let snapshot = self.snapshot.load();
        let closed = snapshot.auth == Auth::Keys && !snapshot.auth_is_said;
        let known_now = self.governance.may_lack_keys() && !may;
        if known_now && closed && self.governance.directory().is_empty() {
            tracing::warn!(
                "the database holds no keys, and every request is turned away: store one, or say `auth: open`"
            );
        }
        self.governance.set_may_lack_keys(may);
    }

    /// Who may take how much, and what is written down.
    pub fn governance(&self) -> &Arc<Governance> {
        &self.governance
    }

    /// The time as the routing sees it.
    pub(crate) fn moment(&self) -> Moment {
        self.clock.now()
    }

    /// From now on this answers what is not for models. There is one.
    pub fn serve_beside(&self, beside: Arc<dyn Beside>) {
        let _first = self.beside.set(beside);
    }

    /// Where the parts beside the request path say how they fare.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
}
