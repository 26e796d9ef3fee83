//! A JSON body, or a problem that says what is wrong with it, field by field.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::in_pointer;
use crate::problem::{FieldError, Problem};

/// The usual bound of bodies, in bytes. Endpoints that take more say so themselves.
pub(crate) const LARGEST: usize = 2 << 20;

/// As many wrong fields are told at once.
pub(super) const MOST: usize = 16;

#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content = request.headers().get(header::CONTENT_TYPE);
        let content = content.and_then(|content| content.to_str().ok());
        let is_json = content.is_some_and(|content| {
            let media = content.split(';').next().unwrap_or("").trim();
            let media = media.to_ascii_lowercase();
            media == "application/json"
                || (media.starts_with("application/") && media.ends_with("+json"))
        });
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "the body is to be JSON, and to say so",
            )
            .hint("send `content-type: application/json`"));
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is larger than this endpoint takes",
            ),
            _ => Problem::bad("the body broke off"),
        })?;
        read(&bytes).map(Self)
    }
}

/// Reads a body. What is wrong is taken out, and the rest is read again, so that more than the first wrong field is told.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let first = match serde_path_to_error::deserialize(&mut reader) {
        Ok(value) => {
            let end = reader.end();
            return end.map(|()| value).map_err(|error| not_json(&error));
        }
        Err(first) => first,
    };
    let mut rest: Value = serde_json::from_slice(bytes).map_err(|error| not_json(&error))?;
    let mut errors = vec![told(first.path(), &first.inner().to_string())];
    while errors.len() < MOST {
        let Some(last) = errors.last() else { break };
        let at = last.field.clone();
        // What is missing cannot be taken out: nothing more can be found out then.
        let Some((parent, name)) = at.rsplit_once('/') else {
            break;
        };
        let name = name.replace("~1", "/").replace("~0", "~");
        let parent = rest.pointer_mut(parent).and_then(Value::as_object_mut);
        if parent.and_then(|parent| parent.remove(&name)).is_none() {
            break;
        }
        match serde_path_to_error::deserialize::<_, T>(&rest) {
            Ok(_) => break,
            Err(next) => {
                let next = told(next.path(), &next.inner().to_string());
                // It misses what was just taken out.
                if errors.iter().any(|known| known.field == next.field) {
                    break;
                }
                errors.push(next);
            }
        }
    }
    Err(Problem::invalid_fields(errors))
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::bad(format!("the body is not JSON: {error}"))
}

/// What the reader says of a place, as a JSON pointer and a sentence.
fn told(path: &Path, said: &str) -> FieldError {
    let mut field = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                field.push('/');
                field.push_str(&index.to_string());
            }
            Segment::Map { key } => {
                field.push('/');
                field.push_str(&in_pointer(key));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    // Lines and columns are of bytes that nobody sees; the pointer is the place.
    let said = said.split(" at line ").next().unwrap_or(said);
    let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned);
    for (words, detail) in [("missing field", "is missing"), ("unknown field", "")] {
        if !said.starts_with(words) {
            continue;
        }
        let Some(name) = quoted(said) else { continue };
        let named = format!("/{}", in_pointer(&name));
        if !field.ends_with(&named) {
            field.push_str(&named);
        }
        if !detail.is_empty() {
            return FieldError {
                field,
                detail: detail.to_owned(),
            };
        }
    }
    FieldError {
        field,
        detail: said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Thing {
        name: String,
        parts: Vec<Part>,
        most: Option<u64>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Part {
        size: u8,
    }

    #[test]
    fn every_wrong_field_is_told() {
        let check = |body: &str, expect: &[&str]| {
            let problem = read::<Thing>(body.as_bytes()).unwrap_err();
            let fields = problem.errors.iter().map(|error| error.field.as_str());
            assert_eq!(fields.collect::<Vec<_>>(), expect, "{body}: {problem:?}");
        };
        assert!(read::<Thing>(br#"{"name": "a", "parts": []}"#).is_ok());
        check(r#"{"parts": []}"#, &["/name"]);
        check(r#"{"name": "a", "parts": [], "nmae": 1}"#, &["/nmae"]);
        check(
            r#"{"nmae": 1, "name": "a", "parts": [], "most": -1, "a/b": 2}"#,
            &["/nmae", "/a~1b", "/most"],
        );
        check(
            r#"{"name": "a", "parts": [{"size": 1}, {"size": 256}]}"#,
            &["/parts/1/size"],
        );
        check("[]", &[""]);
        for broken in ["", "{", "{} x", "\u{0}"] {
            let problem = read::<Thing>(broken.as_bytes()).unwrap_err();
            assert!(problem.errors.len() <= 1, "{broken}: {problem:?}");
        }
    }
}
