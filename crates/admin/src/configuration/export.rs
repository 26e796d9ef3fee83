//! `GET /api/v1/configuration`

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::header;
use lingate_store::{AuditNote, Deed, Kind};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::contents;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConfigurationFormat)]
pub(crate) enum Format {
    #[default]
    Yaml,
    Json,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// `yaml` or `json`.
    #[param(inline)]
    format: Format,
}

/// All that is stored of configuration and tenants
///
/// In a form that can be applied elsewhere; applied to an empty system and exported there it is the same text. Of API keys it holds
/// hashes and last characters, so that they stay good; of providers' keys references alone: what is in the key pools stays there.
#[utoipa::path(
    get,
    path = "/api/v1/configuration",
    tag = "configuration",
    operation_id = "export_configuration",
    params(How),
    responses(
        (status = 200, description = "What is stored", content((Value = "application/yaml"), (Value = "application/json"))),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn export(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(how): Query<How>,
) -> Result<Response, Problem> {
    allowed.on_platform()?;
    let store = allowed.store(&admin)?;
    let (documents, tenants) = store.configuration().await?;
    let value = contents::written(&documents, &tenants);
    let (kind, text) = match how.format {
        Format::Yaml => ("application/yaml", lingate_config::yaml(&value)),
        Format::Json => ("application/json", format!("{value:#}\n")),
    };
    let note = AuditNote::of(Deed::Export, Kind::Configuration, &"", "");
    store.audit(note).await?;
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
