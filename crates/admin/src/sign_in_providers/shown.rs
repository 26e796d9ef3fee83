//! A sign-in provider as it is told.

use lingate_store::{SignInProvider, Stored};
use serde::Serialize;
use utoipa::ToSchema;

use super::settings::Settings;
use crate::frame::moment_text;
use crate::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInProvider)]
pub(super) struct Shown {
    id: String,
    /// In the paths of its sign-ins.
    #[schema(example = "example")]
    name: String,
    #[schema(example = "https://id.example.com")]
    issuer: String,
    client_id: String,
    /// There is a secret, which is not told.
    has_client_secret: bool,
    /// Where the secret is, if it is not kept here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "${OIDC_SECRET}")]
    client_secret_reference: Option<String>,
    enabled: bool,
    #[serde(flatten)]
    settings: Settings,
    /// Below the address of this gateway: what the issuer must know as the redirect URI.
    #[schema(example = "/api/v1/oidc/example/callback")]
    callback: String,
    created_at: String,
    updated_at: String,
}

impl Shown {
    pub(super) fn of(stored: &Stored<SignInProvider>) -> Result<Self, Problem> {
        let value = &stored.value;
        let secret = value.client_secret.as_deref();
        Ok(Self {
            id: value.id.to_string(),
            name: value.name.clone(),
            issuer: value.issuer.clone(),
            client_id: value.client_id.clone(),
            has_client_secret: secret.is_some(),
            client_secret_reference: secret
                .filter(|secret| secret.starts_with("${"))
                .map(str::to_owned),
            enabled: value.enabled,
            settings: settings(value)?,
            callback: format!("/api/v1/oidc/{}/callback", value.name),
            created_at: moment_text(stored.created_at),
            updated_at: moment_text(stored.updated_at),
        })
    }
}

pub(crate) fn settings(provider: &SignInProvider) -> Result<Settings, Problem> {
    serde_json::from_value(provider.spec.clone()).map_err(|error| {
        tracing::error!(%error, name = provider.name, "a sign-in provider cannot be read");
        Problem::new(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the gateway failed; the log says why",
        )
    })
}
