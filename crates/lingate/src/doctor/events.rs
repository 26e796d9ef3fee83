//! Event streams as clients read them.

use serde_json::Value;

use super::expect::{shown, status};
use super::gateway::Answer;
use super::report::Fault;

/// One event: its name, where it has one, and its data.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: Data,
}

#[derive(Debug)]
pub(super) enum Data {
    Json(Value),
    /// `[DONE]`.
    Done,
}

impl Event {
    pub(super) fn json(&self) -> Option<&Value> {
        match &self.data {
            Data::Json(value) => Some(value),
            Data::Done => None,
        }
    }
}

/// The events of an answer of status 200.
pub(super) fn events(answer: &Answer) -> Result<Vec<Event>, Fault> {
    status(answer, 200)?;
    let buffered = "something between client and gateway changes streams: turn its buffering and compression off";
    let kind = answer.header("content-type");
    if !kind.starts_with("text/event-stream") {
        return Err(Fault::new(
            format!(
                "expected text/event-stream, got '{kind}': {}",
                shown(answer)
            ),
            buffered,
        ));
    }
    let text = answer.text().replace("\r\n", "\n");
    let mut events = Vec::new();
    for block in text.split("\n\n") {
        let (mut name, mut data) = (String::new(), None::<String>);
        for line in block.lines() {
            if let Some(value) = line.strip_prefix("event:") {
                value.trim().clone_into(&mut name);
            } else if let Some(value) = line.strip_prefix("data:") {
                let value = value.strip_prefix(' ').unwrap_or(value);
                data = Some(
                    data.map_or_else(|| value.to_owned(), |before| format!("{before}\n{value}")),
                );
            }
        }
        let Some(data) = data else { continue };
        let data = if data.trim() == "[DONE]" {
            Data::Done
        } else {
            Data::Json(serde_json::from_str(&data).map_err(|_| {
                let begin: String = data.chars().take(80).collect();
                Fault::new(format!("an event that is not JSON: {begin}"), buffered)
            })?)
        };
        events.push(Event { name, data });
    }
    if events.is_empty() {
        return Err(Fault::new("a stream without events", buffered));
    }
    Ok(events)
}
