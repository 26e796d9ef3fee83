//! `GET /api/v1/audit-events/check`

use axum::Json;
use axum::extract::{Query, State};
use lingate_store::{Broken, Chain};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Noted {
    /// The number of an event whose hash was noted elsewhere.
    number: Option<i64>,
    /// The hash that was noted.
    hash: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditCheck)]
pub(super) struct Checked {
    /// Each event follows from the one before, up to the last one that was written.
    holds: bool,
    /// How many events hold, from the first one on.
    events: i64,
    /// Of the last event. Note it where nobody who can write to the database can: sent as `hash`, with the number of events as
    /// `number`, it shows later whether the log has been written anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<Break>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditBreak)]
pub(super) struct Break {
    /// The first event that is missing, or not what was written.
    number: i64,
    why: String,
}

/// Whether the audit log is as it was written
///
/// Reads all of it.
#[utoipa::path(
    get,
    path = "/api/v1/audit-events/check",
    operation_id = "check_audit_events",
    tag = "audit",
    params(Noted),
    responses(
        (status = 200, description = "That it holds, or where it breaks", body = Checked),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn check(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(noted): Query<Noted>,
) -> Result<Json<Checked>, Problem> {
    allowed.on_platform()?;
    let noted = match (noted.number, noted.hash) {
        (None, None) => None,
        (Some(number), Some(hash)) => Some((number, hash)),
        (Some(_), None) => return Err(Problem::invalid("hash", "expected the hash of that event")),
        (None, Some(_)) => {
            return Err(Problem::invalid(
                "number",
                "expected the number of the event of that hash",
            ));
        }
    };
    let store = allowed.store(&admin)?;
    let mut found = store.check_audit().await?;
    if let (Ok(_), Some((number, hash))) = (&found, noted) {
        let event = store.audit_event(number).await?;
        if !event.is_some_and(|event| event.hash.eq_ignore_ascii_case(&hash)) {
            found = Err(Broken {
                number,
                why: "its hash is not the one that was noted: the log has been written anew, up to there or from before it".to_owned(),
            });
        }
    }
    Ok(Json(match found {
        Ok(Chain { events, hash }) => Checked {
            holds: true,
            events,
            hash: Some(hash).filter(|hash| !hash.is_empty()),
            broken: None,
        },
        Err(Broken { number, why }) => Checked {
            holds: false,
            events: number.saturating_sub(1).max(0),
            hash: None,
            broken: Some(Break { number, why }),
        },
    }))
}
