//! `GET /api/v1/providers/catalog`

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Allowed;
use crate::problem::Problem;

/// Vendors, clouds and servers that are known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProviderCatalog)]
pub(super) struct Catalog {
    items: Vec<Known>,
}

/// One that is known: a provider of its name needs no more than keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnownProvider)]
struct Known {
    #[schema(example = "openai")]
    name: String,
    #[schema(example = "OpenAI")]
    title: String,
    aliases: Vec<String>,
    /// In order of preference.
    endpoints: Vec<Endpoint>,
    /// Other places of the same provider: `cn`, `eu`.
    regions: Vec<String>,
    /// It works without a key.
    keyless: bool,
    /// Variables that its key is read from.
    env: Vec<String>,
    /// Models whose limits or prices are known.
    models: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnownEndpoint)]
struct Endpoint {
    #[schema(example = "chat")]
    dialect: &'static str,
    #[schema(example = "https://api.openai.com/v1")]
    base_url: String,
}

/// Providers that are known by name
#[utoipa::path(
    get,
    path = "/api/v1/providers/catalog",
    operation_id = "list_known_providers",
    tag = "providers",
    responses(
        (status = 200, description = "All of them", body = Catalog),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn catalog(allowed: Allowed) -> Result<Json<Catalog>, Problem> {
    allowed.on_platform()?;
    let catalog = lingate_catalog::builtin();
    let known = |provider: &lingate_catalog::Provider| Known {
        name: provider.id.clone(),
        title: provider.title.clone(),
        aliases: provider.aliases.clone(),
        endpoints: provider
            .endpoints
            .iter()
            .map(|endpoint| Endpoint {
                dialect: endpoint.dialect.name(),
                base_url: endpoint.base_url.clone(),
            })
            .collect(),
        regions: provider
            .regions
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
        keyless: provider.keyless,
        env: provider.env.clone(),
        models: catalog.models_of(&provider.id).len(),
        note: provider.note.clone(),
    };
    Ok(Json(Catalog {
        items: catalog.providers().iter().map(known).collect(),
    }))
}
