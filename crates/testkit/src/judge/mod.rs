//! The upstream of the SDK suites: four dialects on one port, read natively and answered as the vendors answer.
//!
//! What is answered is named by the last part of the model name (see [`scenario`]). Most answers say back what arrived, so that a
//! conversion that loses something fails the test of the SDK behind it; an invalid request is a native 400 that names the
//! broken rules.

mod agent;
mod chat;
mod gemini;
mod messages;
mod responses;
mod sample;
pub mod scenario;
mod shapes;

pub use shapes::Shapes;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::script::{Script, Step};
use crate::upstream::Received;
use scenario::{Answer, Ask, Cause, Fate, Outcome, Refusal};

/// Sizes of the writes of a stream: events, lines and characters are cut anywhere.
const CUTS: [usize; 7] = [1, 7, 64, 3, 200, 31, 500];

/// What the models count, whatever they are asked. Every dialect derives its own view from these.
const PROMPT: u64 = 21;
const CACHED: u64 = 8;
const SPOKEN: u64 = 9;
/// Counted only when the answer holds a thought.
const THOUGHT: u64 = 3;
/// What `count_tokens` and `countTokens` answer.
const COUNTED: u64 = 42;

/// A dialect as the vendor's own server speaks it.
trait Native {
    /// The credential of a request and where it was; `None` where the vendor would not find one.
    fn credential(&self, received: &Received) -> Option<(&'static str, String)>;
    /// Reads and checks a request; names the broken rules of an invalid one.
    fn read(&self, received: &Received) -> Result<Ask, Vec<String>>;
    fn whole(&self, ask: &Ask, answer: &Answer) -> Value;
    /// The events of a stream, each with its framing.
    fn stream(&self, ask: &Ask, answer: &Answer) -> Vec<String>;
    fn refuse(&self, refusal: &Refusal) -> Script;
    /// An error inside a stream that has begun.
    fn break_stream(&self, ask: &Ask, refusal: &Refusal) -> String;
    fn content_type(&self, _ask: &Ask) -> &'static str {
        "text/event-stream"
    }
}

/// The dialects of the judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    Chat,
    Responses,
    Messages,
    Gemini,
}

impl Wire {
    fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
        }
    }
}

/// The answer to any request. With `only`, the doors of the other dialects do not exist: what was not converted on its way
/// is a 404.
pub fn answer(received: &Received, only: Option<Wire>) -> Script {
    let path = percent_decode_str(&received.path)
        .decode_utf8_lossy()
        .into_owned();
    match (received.method.as_str(), path.as_str()) {
        ("GET", "/health") => return Script::json(200, "{}"),
        ("GET", path) if path.ends_with("/models") => return models(received),
        _ => {}
    }
    let (wire, counts) = if path.ends_with("/chat/completions") {
        (Wire::Chat, false)
    } else if path.ends_with("/responses") {
        (Wire::Responses, false)
    } else if path.ends_with("/messages") {
        (Wire::Messages, false)
    } else if path.ends_with("/messages/count_tokens") {
        (Wire::Messages, true)
    } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
        (Wire::Gemini, false)
    } else if path.ends_with(":countTokens") {
        (Wire::Gemini, true)
    } else {
        return no_such_door(received, &path);
    };
    if received.method != "POST" || only.is_some_and(|only| only != wire) {
        return no_such_door(received, &path);
    }
    match (wire, counts) {
        (Wire::Chat, _) => converse(&chat::Chat, received),
        (Wire::Responses, _) => converse(&responses::Responses, received),
        (Wire::Messages, false) => converse(&messages::Messages, received),
        (Wire::Gemini, false) => converse(&gemini::Gemini, received),
        (Wire::Messages, true) => count(
            &messages::Messages,
            received,
            &json!({ "input_tokens": COUNTED }),
        ),
        (Wire::Gemini, true) => count(
            &gemini::Gemini,
            received,
            &json!({ "totalTokens": COUNTED }),
        ),
    }
}

fn no_such_door(received: &Received, path: &str) -> Script {
    let message = format!("the judge knows no {} {path}", received.method);
    Script::json(404, json!({ "error": { "message": message } }).to_string())
}

fn converse(native: &impl Native, received: &Received) -> Script {
    let ask = match admit(native, received) {
        Ok(ask) => ask,
        Err(refusal) => return native.refuse(&refusal),
    };
    let answer = match scenario::play(&ask) {
        Outcome::Answer(answer) => answer,
        Outcome::Refuse(refusal) => return native.refuse(&refusal),
    };
    if !ask.stream {
        let mut body = native.whole(&ask, &answer).to_string().into_bytes();
        return match answer.fate {
            Fate::Whole => Script::json(200, body),
            Fate::Breaks(refusal) => native.refuse(&refusal),
            Fate::Cut => {
                body.truncate(body.len() / 2);
                let half = vec![Step::Send(body.into()), Step::Close];
                Script::steps("application/json", half)
            }
        };
    }
    let mut events = native.stream(&ask, &answer);
    let half = events.len() / 2;
    let play = |events: &[String]| {
        Script::stream(events.concat(), &CUTS)
            .header("content-type", native.content_type(&ask))
            .header("cache-control", "no-cache")
    };
    match answer.fate {
        Fate::Whole => play(&events),
        Fate::Breaks(refusal) => {
            events.truncate(half);
            events.push(native.break_stream(&ask, &refusal));
            play(&events)
        }
        Fate::Cut => play(&events[..half]).then(Step::Close),
    }
}

fn count(native: &impl Native, received: &Received, counted: &Value) -> Script {
    match admit(native, received) {
        Ok(_) => Script::json(200, counted.to_string()),
        Err(refusal) => native.refuse(&refusal),
    }
}

fn admit(native: &impl Native, received: &Received) -> Result<Ask, Refusal> {
    let Some(credential) = native.credential(received) else {
        let message = "no credential where this API looks for one";
        return Err(Refusal::new(Cause::Credential, message));
    };
    match native.read(received) {
        Ok(ask) => Ok(Ask { credential, ..ask }),
        Err(mut faults) => {
            faults.sort();
            faults.dedup();
            let message = format!("invalid request: {}", faults.join("; "));
            Err(Refusal::new(Cause::Request, message))
        }
    }
}

/// Each vendor's list, told apart as the vendors' own hosts would be: by the credential and version headers.
fn models(received: &Received) -> Script {
    let names = scenario::NAMES;
    let list = if !received.header("x-goog-api-key").is_empty() || received.query.contains("key=") {
        let models =
            names.map(|name| json!({ "name": format!("models/{name}"), "displayName": name }));
        json!({ "models": models })
    } else if !received.header("anthropic-version").is_empty() {
        let models = names.map(|name| {
            json!({ "type": "model", "id": name, "display_name": name, "created_at": "2026-11-01T00:00:00Z" })
        });
        json!({ "data": models, "has_more": false, "first_id": names[0], "last_id": names[names.len() - 1] })
    } else {
        let models = names.map(|name| {
            json!({ "id": name, "object": "model", "created": 1_763_000_000, "owned_by": "judge" })
        });
        json!({ "object": "list", "data": models })
    };
    Script::json(200, list.to_string())
}

/// What is wrong with a request; empty when nothing is.
#[derive(Debug, Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    fn demand(&mut self, holds: bool, fault: &str) {
        if !holds {
            self.add(fault);
        }
    }

    /// Names every field that the API does not know at this place.
    fn unknown(&mut self, object: &Value, known: &[&str], place: &str) {
        for name in object
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.keys())
        {
            if !known.contains(&name.as_str()) {
                self.add(format!("unknown field {name} {place}"));
            }
        }
    }

    fn range(&mut self, object: &Value, name: &str, low: f64, high: f64) {
        let value = &object[name];
        let fits = value
            .as_f64()
            .is_some_and(|number| (low..=high).contains(&number));
        self.demand(
            value.is_null() || fits,
            &format!("{name} outside {low} to {high}"),
        );
    }

    fn tool_name(&mut self, name: &Value, longest: usize, place: &str) {
        let name = name.as_str().unwrap_or_default();
        let legal = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
        let fits = !name.is_empty() && name.len() <= longest && name.chars().all(legal);
        self.demand(fits, &format!("{place} has a name that the API refuses"));
    }

    fn end<T>(self, read: T) -> Result<T, Vec<String>> {
        if self.0.is_empty() {
            Ok(read)
        } else {
            Err(self.0)
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn bearer(received: &Received) -> Option<String> {
    received
        .header("authorization")
        .strip_prefix("Bearer ")
        .map(str::to_owned)
}

fn key_header(received: &Received, name: &str) -> Option<String> {
    Some(received.header(name).to_owned()).filter(|key| !key.is_empty())
}

/// The text in pieces of five characters, as a model would speak it.
fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters
        .chunks(5)
        .map(|piece| piece.iter().collect())
        .collect()
}
