//! What people and their tools ask of the gateway itself, not of a model: where a request would go, how keys fare, and keys switched
//! by hand.

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

use http::{HeaderValue, Method, Response, StatusCode, header};
use lingate_dialect::{ApiError, DialectId};
use serde_json::Value;

use crate::answer::{self, Body};
use crate::service::Visit;
use crate::{Gateway, body};

pub use explain::explain;
pub use routes::routes;

use access::Right;
use problem::Problem;

/// A door of the gateway itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiDoor {
    /// `GET` or `POST /api/v1/routes/explain`.
    Explain,
    /// `GET /api/v1/routes`.
    Routes,
    /// `GET /api/v1/limits/check`.
    LimitsCheck,
    /// `GET /v1/api-keys/stats`.
    KeyStats,
    /// `GET /api/v1/key-pools`.
    KeyPools,
    /// `GET /api/v1/key-pools/{provider}/keys`.
    PoolKeys { provider: String },
    /// `POST /api/v1/key-pools/{provider}/keys/{id}/enable` and `/disable`.
    KeySwitch {
        provider: String,
        id: String,
        on: bool,
    },
}

impl ApiDoor {
    /// What stands behind `/api/v1/`; segments are still escaped. `Err`: the methods that it takes.
    pub(crate) fn find(method: &Method, rest: &str) -> Option<Result<Self, &'static str>> {
        let decode = |text: &str| {
            let text = percent_encoding::percent_decode_str(text);
            text.decode_utf8_lossy().into_owned()
        };
        let segments: Vec<&str> = rest.split('/').collect();
        let (door, methods) = match segments.as_slice() {
            ["routes"] => (Self::Routes, "GET"),
            ["routes", "explain"] => (Self::Explain, "GET or POST"),
            ["limits", "check"] => (Self::LimitsCheck, "GET"),
            ["api-keys", "stats"] => (Self::KeyStats, "GET"),
            ["key-pools"] => (Self::KeyPools, "GET"),
            ["key-pools", provider, "keys"] => {
                let provider = decode(provider);
                (Self::PoolKeys { provider }, "GET")
            }
            [
                "key-pools",
                provider,
                "keys",
                id,
                switch @ ("enable" | "disable"),
            ] => {
                let door = Self::KeySwitch {
                    provider: decode(provider),
                    id: decode(id),
                    on: *switch == "enable",
                };
                (door, "POST")
            }
            _ => return None,
        };
        let fits = match *method {
            Method::GET | Method::HEAD => methods.starts_with("GET"),
            Method::POST => methods.ends_with("POST"),
            _ => false,
        };
        Some(if fits { Ok(door) } else { Err(methods) })
    }

    fn right(&self) -> Right {
        match self {
            Self::Explain
            | Self::LimitsCheck
            | Self::Routes
            | Self::KeyStats
            | Self::KeyPools
            | Self::PoolKeys { .. } => Right::Read,
            Self::KeySwitch { .. } => Right::Change,
        }
    }
}

/// Answers a request to one of these doors.
pub(crate) async fn answer(gateway: &Gateway, visit: Visit, door: ApiDoor) -> Response<Body> {
    let found = tell(gateway, visit, door).await;
    let mut response = match found {
        Ok(value) => answer::json(StatusCode::OK, value.to_string()),
        Err(problem) => problem.response(),
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether a path is below that of the gateway's own doors, so that problems there are told in their form.
pub(crate) fn is_of_itself(path: &str) -> bool {
    path.starts_with("/api/v1/") || path.ends_with("/api-keys/stats")
}

/// That there is no such door, or not for this method.
pub(crate) fn no_door(error: &ApiError, dialect: DialectId) -> Response<Body> {
    let status = StatusCode::from_u16(error.status(dialect)).unwrap_or(StatusCode::NOT_FOUND);
    Problem::new(status, error.message.clone()).response()
}

async fn tell(gateway: &Gateway, visit: Visit, door: ApiDoor) -> Result<Value, Problem> {
    access::check(&visit.gate(), &visit.parts, door.right())?;
    let Visit {
        parts,
        body,
        snapshot,
        directory,
        ..
    } = visit;
    let query = query::pairs(parts.uri.query().unwrap_or(""));
    let now = gateway.moment();
    let body = if parts.method == Method::POST {
        let read = body::read(body, &parts.headers, snapshot.defaults.body_limit).await;
        read.map_err(|error| Problem::bad(error.to_string()))?
    } else {
        bytes::Bytes::new()
    };
    match door {
        ApiDoor::Explain => {
            let question = if parts.method == Method::POST {
                explain::Question::of_json(&body)?
            } else {
                explain::Question::of_query(&query)?
            };
            explain::tell(&snapshot, &directory, &question, now)
        }
        ApiDoor::Routes => Ok(routes::routes(&snapshot)),
        ApiDoor::LimitsCheck => limits_check::tell(gateway.governance(), &snapshot, &query).await,
        ApiDoor::KeyStats => key_stats::tell(&snapshot, &query, now),
        ApiDoor::KeyPools => Ok(key_pools::tell(&snapshot, now)),
        ApiDoor::PoolKeys { provider } => pool_keys::tell(&snapshot, &provider, &query, now),
        ApiDoor::KeySwitch { provider, id, on } => {
            let told = key_switch::switch(&snapshot, &provider, &id, on, &body, now)?;
            gateway.keep_switch().await;
            Ok(told)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_by_path_and_method() {
        let check = |method: Method, rest: &str, expect: &str| {
            let found = match ApiDoor::find(&method, rest) {
                Some(Ok(door)) => format!("{door:?}"),
                Some(Err(methods)) => methods.to_owned(),
                None => "none".to_owned(),
            };
            assert_eq!(found, expect, "{method} {rest}");
        };
        check(Method::GET, "routes/explain", "Explain");
        check(Method::POST, "routes/explain", "Explain");
        check(Method::DELETE, "routes/explain", "GET or POST");
        check(Method::GET, "limits/check", "LimitsCheck");
        check(Method::POST, "limits/check", "GET");
        check(Method::HEAD, "key-pools", "KeyPools");
        check(Method::POST, "key-pools", "GET");
        check(
            Method::GET,
            "key-pools/a%20b/keys",
            "PoolKeys { provider: \"a b\" }",
        );
        check(
            Method::POST,
            "key-pools/p/keys/00ff/disable",
            "KeySwitch { provider: \"p\", id: \"00ff\", on: false }",
        );
        check(Method::GET, "key-pools/p/keys/00ff/enable", "POST");
        check(Method::GET, "key-pools/p", "none");
        check(Method::GET, "", "none");
    }
}
