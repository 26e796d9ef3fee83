//! What the query of a list says.

use lingate_dialect::{ApiError, ErrorKind};
use percent_encoding::percent_decode_str;

/// The most models on one page, as the vendors have it.
pub(super) const PAGE: usize = 1000;

pub(super) fn number(query: &str, name: &str) -> Result<Option<usize>, ApiError> {
    let Some(text) = parameter(query, name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let wrong = |_| {
        ApiError::new(
            ErrorKind::BadRequest,
            format!("{name}: expected a whole number, got '{text}'"),
        )
        .param(name)
    };
    text.parse().map(Some).map_err(wrong)
}

pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| {
        pair.split_once('=')
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
    })?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}
