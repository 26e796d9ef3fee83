//! Lists by page: what was there all the time is listed exactly once, whatever comes and goes in between.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lingate_metering::Id;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// What every list can be asked.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listing {
    /// At most so many, from 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(crate) limit: Option<u32>,
    /// The `next` of the page before.
    pub(crate) cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// The `cursor` of the next page; not there: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl Listing {
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        match self.limit {
            None => Ok(100),
            Some(limit @ 1..=1000) => Ok(limit),
            Some(_) => Err(Problem::invalid(
                "limit",
                "expected a number from 1 to 1000",
            )),
        }
    }

    /// Of lists in the order of numbers.
    pub(crate) fn after_number(&self) -> Result<Option<u64>, Problem> {
        let number = |cursor: &str| {
            let decoded = URL_SAFE_NO_PAD.decode(cursor).ok();
            decoded
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| Problem::invalid("cursor", "this is no cursor of this list"))
        };
        self.cursor.as_deref().map(number).transpose()
    }

    pub(crate) fn after(&self) -> Result<Option<Id>, Problem> {
        self.cursor.as_deref().map(cursor_id).transpose()
    }
}

/// Where a page begins, in a form that nobody is tempted to take apart.
pub(crate) fn cursor(after: &str) -> String {
    URL_SAFE_NO_PAD.encode(after)
}

/// Where a page begins that is cut by a text.
pub(crate) fn cursor_text(cursor: &str) -> Result<String, Problem> {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok();
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Problem::invalid("cursor", "this is no cursor of this list"))
}

pub(crate) fn cursor_id(cursor: &str) -> Result<Id, Problem> {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok();
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Problem::invalid("cursor", "this is no cursor of this list"))
}
