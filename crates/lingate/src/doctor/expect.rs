//! What answers must be, said so that a failure names the place.

use bytes::Bytes;
use serde_json::Value;

use super::gateway::Answer;
use super::report::Fault;

/// The most of an answer that is shown.
const SHOWN: usize = 160;

/// The beginning of an answer, on one line.
pub(super) fn shown(answer: &Answer) -> String {
    let text = answer.text();
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(SHOWN).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    format!("{} {short}", answer.status).trim_end().to_owned()
}

/// An answer of status 200 with JSON in it.
pub(super) fn good(answer: &Answer) -> Result<Value, Fault> {
    status(answer, 200)?;
    serde_json::from_slice(&answer.body).map_err(|_| {
        Fault::new(
            format!("not JSON: {}", shown(answer)),
            "something in front of the gateway answers in its place: look at the address and at proxies",
        )
    })
}

pub(super) fn status(answer: &Answer, expect: u16) -> Result<(), Fault> {
    if answer.status == expect {
        return Ok(());
    }
    let advice = match answer.status {
        401 | 403 => {
            "the gateway does not take this key: give one of its `api_keys` with --key or LINGATE_TOKEN"
        }
        404 if answer.text().contains("model") => {
            "this model is not served: name one of `GET /v1/models` with --model"
        }
        404 => "there is no such door: is --url the gateway's root, without /v1?",
        405 => "the address answers, but not to this method: is it a Lingate gateway?",
        429 => {
            "a limit was reached, here or at the provider: wait, or give the provider another key"
        }
        500..=599 => {
            "the gateway or its provider failed: its log names the request by x-lingate-request-id"
        }
        _ => "the client would not go on from here: the gateway's log says why",
    };
    Err(Fault::new(
        format!("expected status {expect}, got {}", shown(answer)),
        advice,
    ))
}

/// An answer that is no failure of the server: clients repeat those, and start slowly or not at all.
pub(super) fn no_failure(answer: &Answer) -> Result<String, Fault> {
    if answer.status < 500 {
        return Ok(answer.status.to_string());
    }
    Err(Fault::new(
        shown(answer),
        "a probe must be answered 200 or 404 at once; a failure makes the client try again and start slowly",
    ))
}

/// A kind of value, for what must be where.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// Not empty.
    Words,
    Count,
    /// At least one.
    Some,
    Flag,
    List,
    Null,
}

/// Each of these places, as JSON pointers, holds such a value. `why`: what the client does with them.
pub(super) fn holds(value: &Value, places: &[(&str, Kind)], why: &str) -> Result<(), Fault> {
    for (place, kind) in places {
        let found = value.pointer(place);
        let (right, expected) = match kind {
            Kind::Text => (found.is_some_and(Value::is_string), "a text"),
            Kind::Words => (
                found
                    .and_then(Value::as_str)
                    .is_some_and(|text| !text.is_empty()),
                "a text that is not empty",
            ),
            Kind::Count => (found.is_some_and(Value::is_u64), "a whole number"),
            Kind::Some => (
                found.and_then(Value::as_u64).is_some_and(|count| count > 0),
                "a number above zero",
            ),
            Kind::Flag => (found.is_some_and(Value::is_boolean), "true or false"),
            Kind::List => (found.is_some_and(Value::is_array), "a list"),
            Kind::Null => (found.is_some_and(Value::is_null), "null"),
        };
        if !right {
            let name = place.trim_start_matches('/').replace('/', ".");
            let got = found.map_or_else(|| "nothing".to_owned(), brief);
            return Err(Fault::new(
                format!("`{name}` must be {expected}, got {got}"),
                why,
            ));
        }
    }
    Ok(())
}

/// This place holds this text.
pub(super) fn says(value: &Value, place: &str, expect: &str, why: &str) -> Result<(), Fault> {
    let found = value.pointer(place);
    if found.and_then(Value::as_str) == Some(expect) {
        return Ok(());
    }
    let name = place.trim_start_matches('/').replace('/', ".");
    let got = found.map_or_else(|| "nothing".to_owned(), brief);
    Err(Fault::new(
        format!("`{name}` must be \"{expect}\", got {got}"),
        why,
    ))
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The list at this place, which has at least one element.
pub(super) fn list<'a>(value: &'a Value, place: &str) -> Result<&'a Vec<Value>, Fault> {
    let found = value.pointer(place).and_then(Value::as_array);
    let name = place.trim_start_matches('/');
    let found = found.ok_or_else(|| {
        Fault::new(
            format!("there is no list `{name}`"),
            "the list is in another client's shape: something between changes headers or the query",
        )
    })?;
    if found.is_empty() {
        return Err(Fault::new(
            format!("`{name}` is empty"),
            "no provider has a key, or none speaks this dialect: `lingate config check`",
        ));
    }
    Ok(found)
}

/// A refusal in the form that the client reads.
pub(super) fn refusal(
    answer: &Answer,
    expect: u16,
    places: &[(&str, Kind)],
) -> Result<String, Fault> {
    status(answer, expect)?;
    let value: Value = serde_json::from_slice(&answer.body).map_err(|_| {
        Fault::new(
            format!("an error that is not JSON: {}", shown(answer)),
            "the client shows this as a broken connection: look for a proxy that answers in the gateway's place",
        )
    })?;
    holds(
        &value,
        places,
        "the client reads errors in this form only; in another it shows a riddle",
    )?;
    Ok(format!("{expect}, in the form that the client reads"))
}

/// Half a body: every gateway refuses it, whatever it serves.
pub(super) const BROKEN: Bytes = Bytes::from_static(b"{\"model\": ");
