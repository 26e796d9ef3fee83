//! The response object: the whole of an answer, and the frame of a streamed one.

use serde_json::value::RawValue;

use super::finish::Status;
use super::{error, usage};
use crate::hub::{Extra, Usage};
use crate::json::{Node, Object, compact};
use crate::{ApiError, DialectId, Reply};

/// Fields that clients' types demand, with what they are when the request does not say; others that a request may have are
/// repeated where it has them.
const DEMANDED: [(&str, &str); 12] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("temperature", "1"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_p", "1"),
    ("truncation", r#""disabled""#),
];

/// What only the answer itself can say.
const OWN: [&str; 11] = [
    "id",
    "object",
    "created_at",
    "completed_at",
    "status",
    "error",
    "incomplete_details",
    "model",
    "output",
    "usage",
    "service_tier",
];

/// Further fields of a request that answers repeat.
const REPEATED: [&str; 16] = [
    "access_programs",
    "background",
    "conversation",
    "frequency_penalty",
    "image",
    "max_tool_calls",
    "presence_penalty",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "top_logprobs",
    "user",
    "moderation",
];

/// Further fields that say nothing about the answer, or nothing that is not said elsewhere.
const EMPTY_WORDS: [&str; 5] = [
    "billing",
    "created",
    "output_text",
    "system_fingerprint",
    "tool_usage",
];

/// Whether a field of a response object has its own place in the hub, repeats the request, or says nothing.
pub(super) fn is_of_every_answer(key: &str) -> bool {
    DEMANDED.iter().any(|(demanded, _)| *demanded == key)
        || OWN.contains(&key)
        || REPEATED.contains(&key)
        || EMPTY_WORDS.contains(&key)
}

/// What a response object says beside what it repeats.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) id: &'a str,
    pub(super) created: i64,
    pub(super) status: Status,
    pub(super) error: Option<&'a ApiError>,
    /// Written items, joined by commas.
    pub(super) output: &'a [u8],
    pub(super) usage: Option<Usage>,
    pub(super) service_tier: Option<&'a str>,
    pub(super) extra: Option<&'a Extra>,
}

/// The upstream's id where it looks like one of this dialect, else a new one.
pub(super) fn answer_id(id: Option<&str>, reply: &Reply) -> String {
    match id {
        Some(id) if id.starts_with("resp_") => id.to_owned(),
        Some(_) | None => reply.mint.id("resp_", 0),
    }
}

/// The fields that an answer repeats of its request, on one line, without the braces of an object.
pub(super) fn repeated(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    let fields = reply
        .responses
        .as_deref()
        .map_or(&[][..], |echo| &echo.fields);
    let mut object = Object::new(&mut out);
    object.string("model", &reply.model);
    for (key, default) in DEMANDED {
        let told = fields
            .iter()
            .find(|(name, json)| name == key && json.get() != "null");
        let value = object.value(key);
        match told {
            Some((_, json)) => value.extend_from_slice(compact(json.get()).as_bytes()),
            None => value.extend_from_slice(default.as_bytes()),
        }
    }
    for (key, json) in fields {
        let placed = DEMANDED.iter().any(|(demanded, _)| demanded == key);
        if !placed && !OWN.contains(&key.as_str()) {
            let value = object.value(key);
            value.extend_from_slice(compact(json.get()).as_bytes());
        }
    }
    drop(object);
    out.pop();
    out.remove(0);
    out
}

/// Writes a response object; `repeated` as [`repeated`] gives it.
pub(super) fn write(out: &mut Vec<u8>, said: &Said<'_>, repeated: &[u8]) {
    let mut object = Object::new(out);
    object.string("id", said.id);
    object.string("object", "response");
    object.i64("created_at", said.created);
    object.string("status", said.status.word());
    match said.error {
        Some(error) => error::write(object.object("error"), error),
        None => object.null("error"),
    }
    match said.status {
        Status::Incomplete(reason) => object.object("incomplete_details").string("reason", reason),
        Status::InProgress | Status::Completed | Status::Failed => {
            object.null("incomplete_details");
        }
    }
    super::output::write_list(object.value("output"), said.output);
    match &said.usage {
        Some(used) => usage::write(object.object("usage"), used),
        None => object.null("usage"),
    }
    object.some_string("service_tier", said.service_tier);
    if let Some(used) = said.usage.filter(|used| used.searches > 0) {
        usage::write_searches(object.object("tool_usage"), used.searches);
    }
    for (key, json) in said
        .extra
        .iter()
        .flat_map(|extra| extra.of(DialectId::Responses))
    {
        object
            .value(key)
            .extend_from_slice(compact(json.get()).as_bytes());
    }
    drop(object);
    out.pop();
    out.push(b',');
    out.extend_from_slice(repeated);
    out.push(b'}');
}

/// Writes a response object of someone else as it stands now; `begun` is what it was when it began.
pub(super) fn write_again(
    mut object: Object<'_>,
    begun: &RawValue,
    status: Status,
    error: Option<&ApiError>,
) {
    for (key, node) in Node::from(begun).fields().unwrap_or_default().iter() {
        match (key, error) {
            ("status", _) => object.string("status", status.word()),
            ("error", Some(_)) => {}
            _ => object
                .value(key)
                .extend_from_slice(compact(node.raw()).as_bytes()),
        }
    }
    if let Some(error) = error {
        error::write(object.object("error"), error);
    }
}
