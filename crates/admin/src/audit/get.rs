//! `GET /api/v1/audit-events/{number}`

use axum::Json;
use axum::extract::{Path, State};
use lingate_metering::Id;

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// An event
#[utoipa::path(
    get,
    path = "/api/v1/audit-events/{number}",
    operation_id = "get_audit_event",
    tag = "audit",
    params(("number" = i64, Path, description = "Its number")),
    responses(
        (status = 200, description = "The event", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(number): Path<String>,
) -> Result<Json<Shown>, Problem> {
    const WHAT: &str = "audit event";
    let number = number.parse().map_err(|_| Problem::not_found(WHAT))?;
    let event = allowed.store(&admin)?.audit_event(number).await?;
    let event = event.ok_or_else(|| Problem::not_found(WHAT))?;
    let id = |text: &Option<String>| -> Option<Id> { text.as_ref()?.parse().ok() };
    match (id(&event.organization), id(&event.project)) {
        (Some(organization), Some(project)) => allowed.in_project(organization, project, WHAT)?,
        (Some(organization), None) => allowed.in_organization(organization, WHAT)?,
        // What is of the platform is not there for anybody else.
        (None, _) => allowed
            .on_platform()
            .map_err(|_| Problem::not_found(WHAT))?,
    }
    Ok(Json(Shown::of(event)))
}
