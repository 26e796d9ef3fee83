//! The order of events, checked.

use lingate_dialect::framing::{FrameReader, Framing};
use lingate_dialect::hub::{Delta, Event, Open};
use lingate_dialect::{Dialect, Malformed};

/// The events of a stream, and whether the decoder says that the answer is complete.
pub(crate) fn decode(
    dialect: &dyn Dialect,
    framing: Framing,
    bytes: &[u8],
) -> Result<(Vec<Event>, bool), Malformed> {
    let mut reader = FrameReader::new(framing);
    let mut decoder = dialect.decoder();
    let mut events = Vec::new();
    let mut rest = bytes;
    let wrong = |error| Malformed::new("", format!("{error:?}"));
    while let Some(frame) = reader.next_frame(&mut rest).map_err(wrong)? {
        decoder.frame(&frame, &mut events)?;
    }
    if let Some(frame) = reader.end().map_err(wrong)? {
        // A frame that was cut cannot always be read.
        let _cut = decoder.frame(&frame, &mut events);
    }
    let complete = decoder.end(&mut events);
    Ok((events, complete))
}

/// Every breach of the order that [`Event`] promises.
pub(crate) fn faults(events: &[Event], complete: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut choices: Vec<(u32, bool)> = Vec::new();
    let mut failed = false;
    for (at, event) in events.iter().enumerate() {
        if failed {
            faults.push(format!("{event:?} after an error"));
        }
        if (at == 0) != matches!(event, Event::Start { .. }) && !matches!(event, Event::Error(_)) {
            faults.push(format!("event {at} is {event:?}"));
        }
        match event {
            Event::Start { .. } | Event::Usage(_) | Event::ServiceTier(_) => {}
            Event::Logprobs { choice, .. } => {
                if finished(&choices, *choice) {
                    faults.push(format!(
                        "log probabilities after the end of choice {choice}"
                    ));
                }
            }
            Event::Open {
                index,
                choice,
                part,
            } => {
                if usize::try_from(*index).ok() != Some(parts.len()) {
                    faults.push(format!("part {index} opens as number {}", parts.len()));
                }
                if finished(&choices, *choice) {
                    faults.push(format!("part {index} after the end of choice {choice}"));
                } else if !choices.iter().any(|(known, _)| known == choice) {
                    choices.push((*choice, false));
                }
                if let Open::ToolCall { id, name, .. } = part
                    && (id.is_empty() || name.is_empty())
                {
                    faults.push(format!("a tool call with id '{id}' and name '{name}'"));
                }
                parts.push(Part {
                    index: *index,
                    choice: *choice,
                    open: true,
                    kind: part.clone(),
                    proven: false,
                });
            }
            Event::Delta { index, delta } => {
                match parts
                    .iter_mut()
                    .find(|part| part.index == *index && part.open)
                {
                    None => faults.push(format!("{delta:?} for part {index}, which is not open")),
                    Some(part) => part.grow(delta, &mut faults),
                }
            }
            Event::Close { index } => {
                match parts
                    .iter_mut()
                    .find(|part| part.index == *index && part.open)
                {
                    None => faults.push(format!("part {index} closes, and is not open")),
                    Some(part) => part.open = false,
                }
            }
            Event::Finish { choice, .. } => {
                if parts.iter().any(|part| part.open && part.choice == *choice) {
                    faults.push(format!("choice {choice} ends with a part open"));
                }
                match choices.iter_mut().find(|(known, _)| known == choice) {
                    Some((_, true)) => faults.push(format!("choice {choice} ends twice")),
                    Some((_, finished)) => *finished = true,
                    None => choices.push((*choice, true)),
                }
            }
            Event::Error(_) => failed = true,
        }
    }
    if failed {
        return faults;
    }
    if let Some(part) = parts.iter().find(|part| part.open) {
        faults.push(format!("part {} is left open", part.index));
    }
    if complete && (choices.is_empty() || choices.iter().any(|(_, finished)| !finished)) {
        faults.push("complete, but a choice did not end".to_owned());
    }
    faults
}

#[derive(Debug)]
struct Part {
    index: u32,
    choice: u32,
    open: bool,
    kind: Open,
    proven: bool,
}

impl Part {
    fn grow(&mut self, delta: &Delta, faults: &mut Vec<String>) {
        let fits = match delta {
            Delta::Text(_) | Delta::Citation(_) => matches!(self.kind, Open::Text),
            Delta::Reasoning(_) => matches!(self.kind, Open::Reasoning { .. }),
            Delta::Refusal(_) => matches!(self.kind, Open::Refusal),
            Delta::Arguments(_) => matches!(self.kind, Open::ToolCall { .. }),
            Delta::Proof(_) => {
                !std::mem::replace(&mut self.proven, true)
                    && matches!(
                        self.kind,
                        Open::Reasoning { .. } | Open::ToolCall { .. } | Open::Text
                    )
            }
        };
        if !fits {
            faults.push(format!(
                "{delta:?} for part {}, which is {:?}",
                self.index, self.kind
            ));
        }
    }
}

fn finished(choices: &[(u32, bool)], choice: u32) -> bool {
    choices.contains(&(choice, true))
}

#[test]
fn the_checker_finds_what_is_out_of_order() {
    use lingate_dialect::hub::FinishReason;
    let start = Event::Start {
        id: None,
        model: String::new(),
        created: None,
    };
    let open = |index| Event::Open {
        index,
        choice: 0,
        part: Open::Text,
    };
    let text = |index| Event::Delta {
        index,
        delta: Delta::Text("x".to_owned()),
    };
    let finish = Event::Finish {
        choice: 0,
        finish: FinishReason::Stop.into(),
    };
    let close = |index| Event::Close { index };
    let check = |events: &[Event], complete, expect: usize| {
        let faults = faults(events, complete);
        assert_eq!(faults.len(), expect, "{faults:?}");
    };
    check(
        &[start.clone(), open(0), text(0), close(0), finish.clone()],
        true,
        0,
    );
    check(&[start.clone(), open(0), text(0)], false, 1);
    check(&[start.clone(), open(1), text(0), close(1)], true, 3);
    check(
        &[open(0), close(0), close(0), finish.clone(), finish],
        true,
        3,
    );
}
