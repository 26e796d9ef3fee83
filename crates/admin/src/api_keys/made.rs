//! A key with its secret, which is told this once.

use http::HeaderMap;
use lingate_metering::tenant::KeyText;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shown::Shown;
use super::snippets::{Snippet, address, snippets};
use crate::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyWithSecret)]
pub(crate) struct Made {
    #[serde(flatten)]
    pub(crate) key: Shown,
    /// What callers show. It is told this once: its hash alone is kept.
    pub(crate) secret: String,
    /// How clients are told of it.
    pub(crate) snippets: Vec<Snippet>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Reached {
    /// Where clients reach the gateway, for `snippets`; left out, where this request has reached it.
    #[param(example = "https://ai.example")]
    pub(crate) url: Option<String>,
}

impl Made {
    pub(crate) fn of(key: Shown, text: &KeyText, address: &str) -> Self {
        Self {
            key,
            secret: text.expose().to_owned(),
            snippets: snippets(address, text.expose()),
        }
    }
}

impl Reached {
    pub(crate) fn address(&self, headers: &HeaderMap) -> Result<String, Problem> {
        address(self.url.as_deref(), headers).ok_or_else(|| {
            Problem::invalid(
                "url",
                "expected a URL such as https://ai.example, without a query",
            )
        })
    }
}
