//! `GET /api/v1/payments/events`

use axum::Json;
use axum::extract::{Query, State};
use lingate_store::TakenEvent;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, moment_text};
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `credited`, `refunded`, `kept`, `noted` or `repeated`
    outcome: Option<String>,
}

/// Something that a payment service has told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentEvent)]
pub(super) struct Shown {
    provider: String,
    id: String,
    kind: String,
    created_at: String,
    received_at: String,
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    /// Why a person has to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// As the service wrote it, without what would tell of cards and people.
    #[schema(value_type = Object)]
    event: serde_json::Value,
}

/// What payment services have told, the last first
#[utoipa::path(
    get,
    path = "/api/v1/payments/events",
    tag = "payments",
    operation_id = "list_payment_events",
    params(Wanted, Listing),
    responses(
        (status = 200, description = "The last of them", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn events(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(wanted): Query<Wanted>,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Shown>>, Problem> {
    allowed.on_platform()?;
    let events = admin
        .store()?
        .payment_events(wanted.outcome.as_deref(), listing.limit()?)
        .await?;
    let shown = |event: TakenEvent| Shown {
        provider: event.provider,
        id: event.id,
        kind: event.kind,
        created_at: moment_text(event.created_at),
        received_at: moment_text(event.received_at),
        outcome: event.outcome,
        payment: event.payment,
        organization: event.organization_id,
        detail: event.detail,
        event: serde_json::from_str(&event.event).unwrap_or_default(),
    };
    Ok(Json(Page {
        items: events.into_iter().map(shown).collect(),
        next: None,
    }))
}
