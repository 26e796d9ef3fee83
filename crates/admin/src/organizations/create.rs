//! `POST /api/v1/organizations`

use axum::extract::State;
use http::StatusCode;
use lingate_metering::tenant::{Organization, Rules};
use lingate_store::new_id;
use serde::Deserialize;
use utoipa::ToSchema;

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrganization)]
pub(super) struct New {
    #[schema(example = "acme")]
    name: String,
}

/// Make an organization
#[utoipa::path(
    post,
    path = "/api/v1/organizations",
    tag = "organizations",
    request_body = New,
    responses(
        (status = 201, description = "It is there", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(new): Body<New>,
) -> Result<Found<Shown>, Problem> {
    allowed.on_platform()?;
    let organization = Organization {
        id: new_id(),
        name: new.name,
        rules: Rules::default(),
    };
    let stored = allowed.store(&admin)?.create(&organization).await?;
    Ok(Found {
        status: StatusCode::CREATED,
        revision: stored.revision,
        value: Shown::of(&stored),
    })
}
