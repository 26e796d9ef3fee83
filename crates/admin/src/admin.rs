//! What all endpoints work with.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use axum::Router;
use http::StatusCode;
use lingate_config::Payments;
use lingate_gateway::Gateway;
use lingate_metering::tenant::Declared;
use lingate_seal::Sealer;
use lingate_store::Store;
use tokio::sync::watch;

use crate::codes::Attempts;
use crate::problem::Problem;
use crate::router;

/// The control plane. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Admin {
    parts: Arc<Parts>,
    router: Arc<OnceLock<Router>>,
    attempts: Arc<Attempts>,
}

/// What the control plane is made of.
#[derive(Debug)]
pub struct Parts {
    /// `None`: it has not been reached yet.
    pub store: watch::Receiver<Option<Store>>,
    /// The gateway that runs in this process; `None`: the command line works on the store beside it.
    pub gateway: Option<Arc<Gateway>>,
    /// What secrets in the database are sealed with.
    pub seal: Arc<Sealer>,
    /// What the configuration file says, as it is in force.
    pub configured: ArcSwap<Configured>,
}

/// What the configuration file says, as far as the control plane shows it.
#[derive(Debug, Default)]
pub struct Configured {
    pub declared: Declared,
    /// Who tells of payments.
    pub payments: Payments,
}

impl Admin {
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            router: Arc::default(),
            attempts: Arc::default(),
        }
    }

    pub(crate) fn router(&self) -> &Router {
        self.router.get_or_init(|| router::build(self.clone()))
    }

    pub(crate) fn store(&self) -> Result<Store, Problem> {
        self.parts.store.borrow().clone().ok_or_else(|| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_away",
                "the database cannot be reached at the moment",
            )
            .hint("ask again in a few seconds")
        })
    }

    /// Who has tried wrong codes.
    pub(crate) fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Whether there is a plan of this name; `None`: no gateway runs here that would know.
    pub(crate) fn knows_plan(&self, name: &str) -> Option<bool> {
        let gateway = self.parts.gateway.as_ref()?;
        Some(gateway.governance().prices().plan(name).is_some())
    }

    /// What secrets in the database are sealed with.
    pub(crate) fn seal(&self) -> &Sealer {
        &self.parts.seal
    }

    pub(crate) fn configured(&self) -> Arc<Configured> {
        self.parts.configured.load_full()
    }

    /// What another configuration says.
    pub fn configure(&self, configured: Configured) {
        self.parts.configured.store(Arc::new(configured));
    }

    /// The gateway that runs here, for endpoints that tell how it fares.
    pub(crate) fn gateway(&self) -> Result<&Arc<Gateway>, Problem> {
        self.parts.gateway.as_ref().ok_or_else(|| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_running",
                "no gateway runs in this process",
            )
            .hint("ask a running gateway: --server URL")
        })
    }
}
