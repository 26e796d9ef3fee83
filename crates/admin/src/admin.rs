//! What all endpoints work with.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use axum::Router;
use http::StatusCode;
use lingate_config::{Environment, Loaded, Origins, Overlay, Payments};
use lingate_gateway::Gateway;
use lingate_metering::Millis;
use lingate_metering::tenant::Declared;
use lingate_seal::Sealer;
use lingate_store::Store;
use serde_json::Value;
use tokio::sync::watch;

use crate::identity::Clock;
use crate::identity::password::Hasher;
use crate::oidc::Issuers;
use crate::problem::Problem;
use crate::router;

/// The control plane. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Admin {
    parts: Arc<Parts>,
    router: Arc<OnceLock<Router>>,
    issuers: Arc<Issuers>,
    pub(crate) clock: Clock,
    pub(crate) hasher: Hasher,
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

/// The configuration that is in force, as far as the control plane shows it.
#[derive(Debug, Default)]
pub struct Configured {
    /// Who may ask, as the file says it.
    pub declared: Declared,
    /// Who tells of payments.
    pub payments: Payments,
    /// The file, if there is one.
    pub path: Option<PathBuf>,
    /// What it is read with.
    pub environment: Environment,
    /// Where all of it is defined.
    pub origins: Origins,
    /// All of it in the shape of `lingate.yml`, everything filled in, without keys of providers and with other secrets masked.
    pub shown: Value,
    /// What is laid over the file.
    pub overlay: Arc<Overlay>,
    /// Why what file and database say now is not in force.
    pub broken: Option<String>,
}

impl Configured {
    /// What was loaded with an overlay.
    pub fn of(loaded: &Loaded, environment: &Environment, overlay: &Arc<Overlay>) -> Self {
        Self {
            declared: loaded.declared.clone(),
            payments: loaded.settings.payments.clone(),
            path: loaded.source.clone(),
            environment: environment.clone(),
            origins: loaded.origins.clone(),
            shown: lingate_config::shown(loaded),
            overlay: Arc::clone(overlay),
            broken: None,
        }
    }
}

impl Admin {
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            router: Arc::default(),
            issuers: Arc::default(),
            clock: Clock::default(),
            hasher: Hasher::default(),
        }
    }

    pub(crate) fn router(&self) -> &Router {
        self.router.get_or_init(|| router::build(self.clone()))
    }

    /// The time by which sessions, tokens and locks end.
    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
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

    /// What the issuers of sign-ins say of themselves.
    pub(crate) fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Whether there is a plan of this name; `None`: nobody knows here what is configured.
    pub(crate) fn knows_plan(&self, name: &str) -> Option<bool> {
        if let Some(gateway) = &self.parts.gateway {
            return Some(gateway.governance().prices().plan(name).is_some());
        }
        let configured = self.configured();
        let plans = configured.shown.as_object()?.get("plans");
        Some(plans.is_some_and(|plans| plans.get(name).is_some()))
    }

    /// What secrets in the database are sealed with.
    pub(crate) fn seal(&self) -> &Sealer {
        &self.parts.seal
    }

    pub(crate) fn configured(&self) -> Arc<Configured> {
        self.parts.configured.load_full()
    }

    /// What file and database say now cannot be used, and what was in force stays.
    pub fn configured_wrongly(&self, why: &str) {
        self.parts.configured.rcu(|before| Configured {
            declared: before.declared.clone(),
            payments: before.payments.clone(),
            path: before.path.clone(),
            environment: before.environment.clone(),
            origins: before.origins.clone(),
            shown: before.shown.clone(),
            overlay: Arc::clone(&before.overlay),
            broken: Some(why.to_owned()),
        });
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
