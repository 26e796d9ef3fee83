//! The query of a request about a stored answer.

use lingate_dialect::{ApiError, ErrorKind};
use percent_encoding::percent_decode_str;

/// The value of `name`, decoded; the first, where there are several.
pub(crate) fn value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| {
            let value = value.replace('+', " ");
            percent_decode_str(&value).decode_utf8_lossy().into_owned()
        })
    })
}

/// A number within bounds.
pub(crate) fn number(
    query: &str,
    name: &str,
    least: u64,
    most: u64,
) -> Result<Option<u64>, ApiError> {
    let Some(text) = value(query, name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        Ok(_) | Err(_) => Err(invalid(
            name,
            &format!("'{text}'; expected a whole number from {least} to {most}"),
        )),
    }
}

/// A value that is none of those allowed.
pub(crate) fn invalid(name: &str, what: &str) -> ApiError {
    ApiError::new(ErrorKind::BadRequest, format!("Invalid '{name}': {what}.")).param(name)
}
