//! What people and their tools ask of the gateway itself, not of a model: where a request would go, how keys fare, and keys switched
//! by hand. The control plane asks it for them ([`Question`]).

pub(crate) mod access;
mod explain;
mod explanation;
pub(crate) mod key_pools;
mod key_stats;
mod key_switch;
mod limits_check;
mod page;
mod pool_keys;
mod problem;
mod query;
mod routes;
pub(crate) mod wall;

use std::sync::Arc;

use http::{Response, StatusCode};
use lingate_dialect::{ApiError, DialectId};
use lingate_routing::Snapshot;
use serde_json::Value;

use crate::Gateway;
use crate::answer::Body;

pub use explain::explain;
pub use routes::routes;

pub use problem::Problem;

/// What the gateway can be asked about itself. Queries are as they stand in an address; who may ask is not looked at here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question<'q> {
    /// Where a request would go, described in a query.
    Explain(&'q str),
    /// The same, written down as JSON.
    ExplainWritten(&'q [u8]),
    /// The routes in the order in which they are tried.
    Routes,
    /// Whether a request would pass its limits.
    LimitsCheck(&'q str),
    /// What keys were used for.
    KeyStats(&'q str),
    /// Models that callers can ask for by name.
    Models,
    /// Asks a provider for its list of models, or a model for one token.
    TestProvider {
        provider: &'q str,
        model: Option<&'q str>,
    },
    /// Providers, with their keys counted.
    KeyPools,
    /// The keys of a provider.
    PoolKeys { provider: &'q str, query: &'q str },
    /// A key is switched on or off by hand. `body`: JSON with a reason, or nothing.
    KeySwitch {
        provider: &'q str,
        id: &'q str,
        on: bool,
        body: &'q [u8],
    },
}

impl Gateway {
    /// Where a request would go that is written down as JSON, were `candidate` in force: its keys are taken for ready.
    ///
    /// # Errors
    ///
    /// What is wrong with the question (400).
    pub fn explain_with(&self, candidate: Snapshot, question: &[u8]) -> Result<Value, Problem> {
        let question = explain::Question::of_json(question)?;
        let directory = self.governance().directory();
        explain::tell(&Arc::new(candidate), &directory, &question, self.moment())
    }

    /// Answers a question about this gateway.
    ///
    /// # Errors
    ///
    /// What is wrong with the question (400), or that there is no such provider or key (404); counters that are away (503).
    pub async fn tell(&self, question: Question<'_>) -> Result<Value, Problem> {
        let (snapshot, now) = (self.snapshot(), self.moment());
        match question {
            Question::Explain(query) => {
                let question = explain::Question::of_query(&query::pairs(query))?;
                explain::tell(&snapshot, &self.governance().directory(), &question, now)
            }
            Question::ExplainWritten(body) => {
                let question = explain::Question::of_json(body)?;
                explain::tell(&snapshot, &self.governance().directory(), &question, now)
            }
            Question::Routes => Ok(routes::routes(&snapshot)),
            Question::LimitsCheck(query) => {
                let query = query::pairs(query);
                limits_check::tell(self.governance(), &snapshot, &query).await
            }
            Question::KeyStats(query) => key_stats::tell(&snapshot, &query::pairs(query), now),
            Question::Models => Ok(crate::models::tell(
                &snapshot,
                self.governance().directory().anyone(),
            )),
            Question::TestProvider { provider, model } => {
                self.test_provider(snapshot, provider, model).await
            }
            Question::KeyPools => Ok(key_pools::tell(&snapshot, now)),
            Question::PoolKeys { provider, query } => {
                pool_keys::tell(&snapshot, provider, &query::pairs(query), now)
            }
            Question::KeySwitch {
                provider,
                id,
                on,
                body,
            } => {
                let told = key_switch::switch(&snapshot, provider, id, on, body, now)?;
                self.keep_switch().await;
                Ok(told)
            }
        }
    }
}

/// Whether a path is below that of the gateway's own doors, so that problems there are told in their form.
pub(crate) fn is_of_itself(path: &str) -> bool {
    path.starts_with("/api/v1/")
}

/// That there is no such door, or not for this method.
pub(crate) fn no_door(error: &ApiError, dialect: DialectId) -> Response<Body> {
    let status = StatusCode::from_u16(error.status(dialect)).unwrap_or(StatusCode::NOT_FOUND);
    Problem::new(status, error.message.clone()).response()
}
