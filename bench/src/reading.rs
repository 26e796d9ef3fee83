//! What a client finds in an answer: its text, and whether it ended as its dialect demands.

use serde_json::Value;

use crate::wire::Wire;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub text: String,
    /// The reason of the end was told.
    pub finish: bool,
    /// What ends a stream in this dialect was there; always true for a whole answer.
    pub end: bool,
    /// Tokens produced were told.
    pub usage: bool,
}

impl Reading {
    /// `Err` says what is wrong with an answer that should hold `text`.
    pub fn check(&self, text: &str) -> Result<(), String> {
        if !self.end {
            return Err("no final event".into());
        }
        if !self.finish {
            return Err("no finish reason".into());
        }
        if !self.usage {
            return Err("no usage".into());
        }
        if self.text != text {
            let same = self
                .text
                .bytes()
                .zip(text.bytes())
                .take_while(|(got, sent)| got == sent)
                .count();
            return Err(format!(
                "text differs at byte {same}: {} bytes, {} were sent",
                self.text.len(),
                text.len()
            ));
        }
        Ok(())
    }
}

pub fn whole(wire: Wire, body: &[u8]) -> Result<Reading, String> {
    let answer: Value =
        serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    let mut reading = Reading {
        end: true,
        ..Reading::default()
    };
    match wire {
        Wire::Chat => {
            let choice = &answer["choices"][0];
            reading
                .text
                .push_str(choice["message"]["content"].as_str().unwrap_or_default());
            reading.finish = choice["finish_reason"].is_string();
            reading.usage = told(&answer["usage"]["completion_tokens"]);
        }
        Wire::Messages => {
            for block in answer["content"].as_array().into_iter().flatten() {
                reading
                    .text
                    .push_str(block["text"].as_str().unwrap_or_default());
            }
            reading.finish = answer["stop_reason"].is_string();
            reading.usage = told(&answer["usage"]["output_tokens"]);
        }
        Wire::Gemini => gemini(&answer, &mut reading),
    }
    Ok(reading)
}

/// Reads a whole SSE body.
pub fn stream(wire: Wire, body: &[u8]) -> Result<Reading, String> {
    let body = std::str::from_utf8(body).map_err(|error| format!("not UTF-8: {error}"))?;
    let mut reading = Reading::default();
    for data in body
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim_start)
    {
        if reading.end {
            return Err(format!(
                "an event after the last one: {}",
                abbreviated(data)
            ));
        }
        if data == "[DONE]" && wire == Wire::Chat {
            reading.end = true;
            continue;
        }
        let event: Value = serde_json::from_str(data)
            .map_err(|error| format!("event is not JSON: {error}: {}", abbreviated(data)))?;
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Err(format!("error event: {}", abbreviated(data)));
        }
        match wire {
            Wire::Chat => {
                let choice = &event["choices"][0];
                reading
                    .text
                    .push_str(choice["delta"]["content"].as_str().unwrap_or_default());
                reading.finish |= choice["finish_reason"].is_string();
                reading.usage |= told(&event["usage"]["completion_tokens"]);
            }
            Wire::Messages => {
                reading
                    .text
                    .push_str(event["delta"]["text"].as_str().unwrap_or_default());
                reading.finish |= event["delta"]["stop_reason"].is_string();
                reading.usage |= told(&event["usage"]["output_tokens"]);
                reading.end = event["type"] == "message_stop";
            }
            Wire::Gemini => {
                gemini(&event, &mut reading);
                reading.end = reading.finish;
            }
        }
    }
    Ok(reading)
}

fn gemini(answer: &Value, reading: &mut Reading) {
    let candidate = &answer["candidates"][0];
    for part in candidate["content"]["parts"]
        .as_array()
        .into_iter()
        .flatten()
    {
        reading
            .text
            .push_str(part["text"].as_str().unwrap_or_default());
    }
    reading.finish |= candidate["finishReason"].is_string();
    reading.usage |= told(&answer["usageMetadata"]["candidatesTokenCount"]);
}

fn told(tokens: &Value) -> bool {
    tokens.as_u64().is_some_and(|tokens| tokens > 0)
}

fn abbreviated(data: &str) -> String {
    data.chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{answer, text};

    #[test]
    fn the_mocks_answers_read_as_they_were_meant() {
        for wire in Wire::ALL {
            let read = whole(wire, answer::whole(wire, 1500).as_bytes()).unwrap();
            assert_eq!(read.check(&text::of_answer(1500)), Ok(()), "{wire:?}");
            let read = stream(wire, answer::stream(wire, 100, true).concat().as_bytes()).unwrap();
            assert_eq!(read.check(&text::of_events(100)), Ok(()), "{wire:?}");
        }
    }

    #[test]
    fn a_cut_stream_is_noticed() {
        for wire in Wire::ALL {
            let events = answer::stream(wire, 10, true);
            for kept in 0..events.len() {
                let read = stream(wire, events[..kept].concat().as_bytes()).unwrap();
                assert!(
                    read.check(&text::of_events(10)).is_err(),
                    "{wire:?} cut after {kept}"
                );
            }
        }
    }
}
