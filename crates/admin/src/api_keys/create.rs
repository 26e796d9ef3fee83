//! `POST /api/v1/api-keys`

use axum::extract::{Query, State};
use http::{HeaderMap, StatusCode};
use lingate_store::mint;
use serde_json::Value;

use super::ApiKeys;
use super::made::{Made, Reached};
use super::shown::New;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found};
use crate::problem::Problem;
use crate::tenants::{self, Found as Kept, Known};

/// Make a key
///
/// The answer tells the secret, this once.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys",
    operation_id = "create_api_key",
    tag = "api keys",
    params(Reached),
    request_body = New,
    responses(
        (status = 201, description = "It is there; callers may show its secret within a second", body = Made),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(reached): Query<Reached>,
    headers: HeaderMap,
    Body(new): Body<Value>,
) -> Result<Found<Made>, Problem> {
    let address = reached.address(&headers)?;
    let known = Known::of(&admin, &allowed)?;
    let (mut key, place) = tenants::prepare::<ApiKeys>(&known, &allowed, new).await?;
    known
        .refer(place.organization, place.project, place.user)
        .await?;
    let text = mint()?;
    key.secrets = vec![text.secret(None)];
    let stored = Kept::Stored(known.store.create(&key).await?);
    let told = tenants::answer::<ApiKeys>(&known, StatusCode::CREATED, &stored).await?;
    Ok(Found {
        status: told.status,
        revision: told.revision,
        value: Made::of(told.value, &text, &address),
    })
}
