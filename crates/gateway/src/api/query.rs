//! The query of a request to the gateway itself, decoded.

use percent_encoding::percent_decode_str;

use super::problem::Problem;

/// Names and values, in order.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The first value of a name.
pub(super) fn value<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    let (_, found) = query.iter().find(|(known, _)| known == name)?;
    Some(found.as_str()).filter(|found| !found.is_empty())
}

/// A whole number from 1 to `most`.
pub(super) fn number(
    query: &[(String, String)],
    name: &str,
    usual: usize,
    most: usize,
) -> Result<usize, Problem> {
    let Some(text) = value(query, name) else {
        return Ok(usual);
    };
    let number = text.parse().ok().filter(|it| (1..=most).contains(it));
    number.ok_or_else(|| {
        Problem::bad(format!(
            "`{name}` is '{text}'; expected a whole number from 1 to {most}"
        ))
    })
}
