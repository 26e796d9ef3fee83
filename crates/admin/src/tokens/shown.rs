//! A token as it is told.

use lingate_store::Token;
use serde::Serialize;
use utoipa::ToSchema;

use crate::frame::moment_text;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct Shown {
    id: String,
    name: String,
    /// The last four characters.
    hint: String,
    /// What it may, at most; not there: all that you may.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    /// It is good there alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Some time within the last minute of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<String>,
    /// The token itself, told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "lgp_…")]
    pub(super) token: Option<String>,
}

impl Shown {
    pub(super) fn of(token: &Token) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.clone(),
            hint: token.hint.clone(),
            scopes: token.scopes.clone(),
            organization: token.organization.map(|id| id.to_string()),
            created_at: moment_text(token.created_at),
            expires_at: token.expires_at.map(moment_text),
            used_at: token.used_at.map(moment_text),
            token: None,
        }
    }
}
