//! The caller, and what they have used and may use.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use lingate_gateway::KeyShown;
use lingate_metering::tenant::Principal;
use lingate_metering::{Millis, Money};
use lingate_store::{Dimension, Grain, Measure, Month, UsageFilter, UsageQuery};
use serde_json::json;

use crate::Admin;
use crate::beside::From;
use crate::problem::Problem;

/// What clients take for no bound, in dollars.
pub(super) const UNBOUNDED: i64 = 100_000_000;

pub(super) struct Account {
    pub(super) principal: Arc<Principal>,
    /// `None`: nothing bounds it.
    pub(super) left: Option<Money>,
}

/// Why there is no answer, in the form that these clients read.
#[derive(Debug)]
pub(super) struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let kind = match self.0 {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            status if status.is_client_error() => "invalid_request_error",
            _ => "api_error",
        };
        let body = json!({"error": {"message": self.1, "type": kind, "param": null, "code": null}});
        (self.0, Json(body)).into_response()
    }
}

impl std::convert::From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem.status(), problem.detail)
    }
}

pub(super) fn bad(detail: &str) -> Refused {
    Refused(StatusCode::BAD_REQUEST, detail.to_owned())
}

pub(super) fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

impl Account {
    /// Whoever shows a key of a gateway that runs here; where nobody has to show any, everybody who shows none.
    pub(super) async fn of(admin: &Admin, parts: &Parts) -> Result<Self, Refused> {
        let gateway = admin.gateway()?;
        let from = parts.extensions.get::<From>();
        let address = from.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |from| from.address);
        let principal = match gateway.key_shown(parts, address, now()) {
            KeyShown::Good(principal) => principal,
            KeyShown::Nothing if !gateway.asks_for_keys() => {
                Arc::clone(gateway.governance().directory().anyone())
            }
            KeyShown::Nothing => {
                return Err(Refused(
                    StatusCode::UNAUTHORIZED,
                    "no key is shown: send it as `Authorization: Bearer …`".to_owned(),
                ));
            }
            KeyShown::Refused { over, why } => {
                let status = if over {
                    StatusCode::UNAUTHORIZED
                } else {
                    StatusCode::FORBIDDEN
                };
                return Err(Refused(status, why));
            }
            KeyShown::Unknown => {
                return Err(Refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the key cannot be looked up at the moment; ask again in a few seconds"
                        .to_owned(),
                ));
            }
        };
        let left = gateway.governance().money_left(&principal).await;
        // What nobody knows is not "no bound".
        let left =
            left.map_err(|outage| Refused(StatusCode::SERVICE_UNAVAILABLE, outage.to_string()))?;
        Ok(Self { principal, left })
    }

    /// What the caller was charged by the day, in UTC; `until` is not included.
    pub(super) async fn used(
        &self,
        admin: &Admin,
        from: Millis,
        until: Millis,
    ) -> Result<Vec<(Millis, Money)>, Refused> {
        let key = self.principal.key.as_ref().map(|key| key.id);
        let query = UsageQuery {
            measures: vec![Measure::Price],
            from,
            to: until,
            grain: Some(Grain::Day),
            group_by: Vec::<Dimension>::new(),
            filter: UsageFilter {
                project: key.is_none().then_some(self.principal.project.id),
                key,
                ..UsageFilter::default()
            },
            order: Measure::Price,
            limit: 1,
        };
        let store = admin.store()?;
        let report = store.report(&query).await.map_err(Problem::from)?;
        let days = report.rows.iter().map(|row| {
            let nano = row.sums.first().copied().unwrap_or(0);
            (row.at.unwrap_or(from), Money::from_nano(nano))
        });
        Ok(days.collect())
    }

    /// In this month, in UTC.
    pub(super) async fn used_this_month(&self, admin: &Admin) -> Result<Money, Refused> {
        let month = Month::of(now());
        let days = self
            .used(admin, month.begins(), month.next().begins())
            .await?;
        Ok(days.into_iter().map(|(_, used)| used).sum())
    }
}

/// Dollars as these clients read them: a number.
pub(super) fn number(money: Money) -> serde_json::Value {
    serde_json::from_str(&money.to_string()).unwrap_or_default()
}
