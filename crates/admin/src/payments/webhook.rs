//! `POST /api/v1/payments/stripe/webhook`

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use lingate_store::{Act, ActorKind, PaymentEffect, PaymentOutcome};
use serde::Serialize;
use utoipa::ToSchema;

use super::stripe::Stripe;
use super::{Service, Told, payer};
use crate::Admin;
use crate::problem::Problem;

/// What came of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TakenPaymentEvent)]
pub(super) struct Shown {
    /// `credited`, `refunded`, `kept` (a person has to look), `noted` or `repeated`
    outcome: String,
}

/// What Stripe tells
///
/// Signed with the secret in `payments.stripe.webhook_secret`. Each event counts once; a payment is put into the wallet of the
/// organization whose id `metadata.organization` or `client_reference_id` names.
#[utoipa::path(
    post,
    path = "/api/v1/payments/stripe/webhook",
    tag = "payments",
    operation_id = "take_stripe_event",
    request_body(content = serde_json::Value, content_type = "application/json", description = "An event of Stripe"),
    responses(
        (status = 200, description = "It is taken", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn stripe(
    State(admin): State<Admin>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Shown>, Problem> {
    take::<Stripe>(&admin, &headers, &body).await
}

async fn take<S: Service>(
    admin: &Admin,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Json<Shown>, Problem> {
    let service = S::configured(&admin.configured().payments).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not_configured",
            format!("no payments by {} are taken here", S::NAME),
        )
        .hint("set its secret in lingate.yml, below `payments`")
    })?;
    service.proves(headers, body, jiff::Timestamp::now().as_millisecond())?;
    let Told {
        mut event,
        organization,
    } = service.read(body)?;
    if let PaymentEffect::Paid(payment) = &mut event.effect
        && let Some(organization) = &organization
    {
        let owner = payer(admin, organization).await?;
        payment.organization = owner.map(|owner| (owner.id, owner.name));
    }
    let store = admin.store()?.by(Act {
        kind: ActorKind::Webhook,
        id: event.id.clone(),
        name: S::NAME.to_owned(),
        address: None,
        request_id: None,
    });
    let (id, kind) = (event.id.clone(), event.kind.clone());
    let outcome = store.take_payment(event).await?;
    if let PaymentOutcome::Kept(why) = &outcome {
        tracing::error!(service = S::NAME, event = %id, %kind, %why, "a payment is kept for a person: GET /api/v1/payments/events?outcome=kept");
    }
    Ok(Json(Shown {
        outcome: outcome.name().to_owned(),
    }))
}
