//! `GET /api/v1/settings`

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// What has endpoints of its own.
const ELSEWHERE: [&str; 7] = [
    "providers",
    "routes",
    "plans",
    "prices",
    "currencies",
    "organizations",
    "api_keys",
];

/// Settings of the gateway.
#[derive(Debug, serde::Serialize, ToSchema)]
#[schema(as = Settings)]
pub(super) struct Shown {
    /// By their names in lingate.yml, everything filled in and secrets masked.
    settings: Map<String, Value>,
    /// The file that they are from; not there: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// Why what the file and the database say now is not in force; not there: it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

/// The settings that are in force
///
/// They are read-only here: whoever runs the gateway sets them in lingate.yml or in the environment.
#[utoipa::path(
    get,
    path = "/api/v1/settings",
    operation_id = "show_settings",
    tag = "system",
    responses(
        (status = 200, description = "All settings", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(
    State(admin): State<Admin>,
    allowed: Allowed,
) -> Result<Json<Shown>, Problem> {
    allowed.on_platform()?;
    let configured = admin.configured();
    let all = configured.shown.as_object().cloned().unwrap_or_default();
    Ok(Json(Shown {
        settings: all
            .into_iter()
            .filter(|(name, _)| !ELSEWHERE.contains(&name.as_str()))
            .collect(),
        file: configured
            .path
            .as_ref()
            .map(|path| path.display().to_string()),
        broken: configured.broken.clone(),
    }))
}
