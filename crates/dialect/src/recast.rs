//! Text of an answer that stands for something else: reasoning between tags, or the arguments of a call.

use crate::hub::{Choice, Delta, Event, FinishReason, Open, Part, PartBody, Thought, ToolCall};

/// What the text of an answer stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TextIs {
    #[default]
    Text,
    /// It may begin with reasoning between `<think>` and `</think>`.
    Tagged,
    /// The arguments of a call of this tool: the model was bound to its schema, since it cannot be bound to call it.
    Call(String),
}

const OPENING: &str = "<think>";
const CLOSING: &str = "</think>";
/// Blanks that are held back until it is clear what follows, in bytes.
const LONGEST: usize = 4096;

impl TextIs {
    /// Makes of a whole answer's text what it stands for.
    pub(crate) fn recast(&self, choice: &mut Choice) {
        match self {
            Self::Text => {}
            Self::Tagged => {
                let parts = std::mem::take(&mut choice.parts);
                for part in parts {
                    let PartBody::Text(text) = &part.body else {
                        choice.parts.push(part);
                        continue;
                    };
                    let inside = text.text.trim_start().strip_prefix(OPENING);
                    let Some((thought, rest)) =
                        inside.map(|inside| inside.split_once(CLOSING).unwrap_or((inside, "")))
                    else {
                        choice.parts.push(part);
                        continue;
                    };
                    let (thought, rest) = (thought.trim().to_owned(), rest.trim_start().to_owned());
                    if !thought.is_empty() {
                        let body = PartBody::Reasoning(Thought {
                            text: thought,
                            ..Thought::default()
                        });
                        choice.parts.push(Part::new(body, part.at.clone()));
                    }
                    if !rest.is_empty() {
                        choice.parts.push(Part::text(rest, part.at));
                    }
                }
            }
            Self::Call(name) => {
                for part in &mut choice.parts {
                    if let PartBody::Text(text) = &mut part.body {
                        part.body = PartBody::ToolCall(ToolCall {
                            id: String::new(),
                            name: name.clone(),
                            arguments: std::mem::take(&mut text.text),
                            custom: false,
                            proof: None,
                        });
                        if choice.finish.reason == FinishReason::Stop {
                            choice.finish.reason = FinishReason::ToolCalls;
                        }
                        break;
                    }
                }
            }
        }
    }
}

/// Does the same for the events of a streamed answer.
#[derive(Debug, Default)]
pub(crate) struct Recaster {
    text_is: TextIs,
    open: Vec<Opened>,
    /// The next index to give: one part may become two.
    next: u32,
    /// Choices whose text became a call.
    called: Vec<u32>,
}

#[derive(Debug)]
struct Opened {
    index: u32,
    choice: u32,
    /// The index that was given; `None` until it is decided what the part is.
    given: Option<u32>,
    /// Something was said since it opened.
    begun: bool,
    state: State,
    held: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing to be done with it.
    Plain,
    /// Arguments of a call.
    Call,
    /// Text that may begin with the tag.
    Head,
    Thinking,
    /// Behind the closing tag, before other text.
    Gap,
}

impl Recaster {
    pub(crate) fn new(text_is: TextIs) -> Self {
        Self {
            text_is,
            ..Self::default()
        }
    }

    pub(crate) fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.text_is == TextIs::Text {
            out.push(event);
            return;
        }
        match event {
            Event::Open {
                index,
                choice,
                part,
            } => self.opened(index, choice, part, out),
            Event::Delta { index, delta } => {
                let Some(at) = self.open.iter().position(|open| open.index == index) else {
                    return;
                };
                self.delta(at, delta, out);
            }
            Event::Close { index } => {
                let Some(at) = self.open.iter().position(|open| open.index == index) else {
                    return;
                };
                self.settle(at, out);
                let opened = self.open.swap_remove(at);
                if let Some(index) = opened.given {
                    out.push(Event::Close { index });
                }
            }
            Event::Finish { choice, mut finish } => {
                if finish.reason == FinishReason::Stop && self.called.contains(&choice) {
                    finish.reason = FinishReason::ToolCalls;
                }
                out.push(Event::Finish { choice, finish });
            }
            Event::Error(_) => {
                for at in 0..self.open.len() {
                    self.settle(at, out);
                }
                out.push(event);
            }
            Event::Start { .. }
            | Event::Usage(_)
            | Event::ServiceTier(_)
            | Event::Logprobs { .. } => out.push(event),
        }
    }

    fn opened(&mut self, index: u32, choice: u32, part: Open, out: &mut Vec<Event>) {
        let state = match (&part, &self.text_is) {
            (Open::Text, TextIs::Tagged) => State::Head,
            (Open::Text, TextIs::Call(_)) if !self.called.contains(&choice) => State::Call,
            _ => State::Plain,
        };
        self.open.push(Opened {
            index,
            choice,
            given: None,
            begun: false,
            state,
            held: String::new(),
        });
        let at = self.open.len() - 1;
        match (state, &self.text_is) {
            (State::Head, _) => {}
            (State::Call, TextIs::Call(name)) => {
                self.called.push(choice);
                let part = Open::ToolCall {
                    id: String::new(),
                    name: name.clone(),
                    custom: false,
                };
                self.give(at, part, out);
            }
            _ => self.give(at, part, out),
        }
    }

    /// Opens what the part turned out to be.
    fn give(&mut self, at: usize, part: Open, out: &mut Vec<Event>) {
        let index = self.next;
        self.next += 1;
        if let Some(opened) = self.open.get_mut(at) {
            opened.given = Some(index);
            let choice = opened.choice;
            out.push(Event::Open {
                index,
                choice,
                part,
            });
        }
    }

    fn say(&self, at: usize, delta: Delta, out: &mut Vec<Event>) {
        if let Some(index) = self.open.get(at).and_then(|opened| opened.given) {
            out.push(Event::Delta { index, delta });
        }
    }

    fn delta(&mut self, at: usize, delta: Delta, out: &mut Vec<Event>) {
        let Some(opened) = self.open.get_mut(at) else {
            return;
        };
        match (opened.state, delta) {
            (State::Call, Delta::Text(piece)) => self.say(at, Delta::Arguments(piece), out),
            // Arguments have no sources.
            (State::Call, Delta::Citation(_)) => {}
            (State::Plain | State::Call, delta) => self.say(at, delta, out),
            (State::Head | State::Thinking | State::Gap, Delta::Text(piece)) => {
                opened.held.push_str(&piece);
                self.read(at, out);
            }
            (State::Head | State::Thinking | State::Gap, delta) => {
                self.settle(at, out);
                self.say(at, delta, out);
            }
        }
    }

    /// Tells as much of what is held as is decided.
    fn read(&mut self, at: usize, out: &mut Vec<Event>) {
        loop {
            let Some(opened) = self.open.get_mut(at) else {
                return;
            };
            let mut held = std::mem::take(&mut opened.held);
            match opened.state {
                State::Plain | State::Call => {
                    if !held.is_empty() {
                        self.say(at, Delta::Text(held), out);
                    }
                    return;
                }
                State::Head => {
                    let said = held.trim_start();
                    if let Some(rest) = said.strip_prefix(OPENING) {
                        opened.held = rest.trim_start().to_owned();
                        opened.state = State::Thinking;
                        self.give(at, Open::Reasoning { redacted: false }, out);
                    } else if OPENING.starts_with(said) && held.len() < LONGEST {
                        opened.held = held;
                        return;
                    } else {
                        opened.held = held;
                        opened.state = State::Plain;
                        self.give(at, Open::Text, out);
                    }
                }
                State::Thinking => {
                    if !opened.begun {
                        let blank = held.len() - held.trim_start().len();
                        held.drain(..blank);
                    }
                    opened.begun |= !held.is_empty();
                    if let Some((thought, rest)) = held.split_once(CLOSING) {
                        opened.held = rest.to_owned();
                        opened.state = State::Gap;
                        let given = opened.given.take();
                        if let Some(index) = given {
                            let thought = thought.trim_end();
                            if !thought.is_empty() {
                                let delta = Delta::Reasoning(thought.to_owned());
                                out.push(Event::Delta { index, delta });
                            }
                            out.push(Event::Close { index });
                        }
                    } else {
                        // Blanks and what may be half of the tag wait for what follows.
                        let tag = (1..CLOSING.len())
                            .rev()
                            .find(|length| {
                                CLOSING
                                    .get(..*length)
                                    .is_some_and(|start| held.ends_with(start))
                            })
                            .unwrap_or(0);
                        let sure = held.len() - tag;
                        let said = match held.get(..sure).unwrap_or_default() {
                            sure if held.len() < LONGEST => sure.trim_end().len(),
                            sure => sure.len(),
                        };
                        let (thought, rest) = held.split_at_checked(said).unwrap_or((&held, ""));
                        opened.held = rest.to_owned();
                        if !thought.is_empty() {
                            let delta = Delta::Reasoning(thought.to_owned());
                            self.say(at, delta, out);
                        }
                        return;
                    }
                }
                State::Gap => {
                    let rest = held.trim_start();
                    if rest.is_empty() {
                        return;
                    }
                    opened.held = rest.to_owned();
                    opened.state = State::Plain;
                    self.give(at, Open::Text, out);
                }
            }
        }
    }

    /// The part ends: what is held is what it seemed to be.
    fn settle(&mut self, at: usize, out: &mut Vec<Event>) {
        let Some(opened) = self.open.get_mut(at) else {
            return;
        };
        let held = std::mem::take(&mut opened.held);
        match opened.state {
            State::Plain | State::Call | State::Gap => {}
            State::Head => {
                opened.state = State::Plain;
                self.give(at, Open::Text, out);
                if !held.is_empty() {
                    self.say(at, Delta::Text(held), out);
                }
            }
            State::Thinking => {
                if !held.trim().is_empty() {
                    self.say(at, Delta::Reasoning(held), out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Finish;

    /// Feeds the pieces of one text, at every cut, and shows what comes out: `r[…]` reasoning, `t[…]` text, `c[…]` a call.
    fn check(text_is: &TextIs, text: &str, expect: &str) {
        for size in 1..=text.len().max(1) {
            let mut recaster = Recaster::new(text_is.clone());
            let mut out = Vec::new();
            recaster.event(
                Event::Open {
                    index: 0,
                    choice: 0,
                    part: Open::Text,
                },
                &mut out,
            );
            for piece in text.as_bytes().chunks(size) {
                let delta = Delta::Text(String::from_utf8(piece.to_vec()).unwrap());
                recaster.event(Event::Delta { index: 0, delta }, &mut out);
            }
            recaster.event(Event::Close { index: 0 }, &mut out);
            let finish = Finish::from(FinishReason::Stop);
            recaster.event(Event::Finish { choice: 0, finish }, &mut out);
            let mut shown = String::new();
            for event in out {
                match event {
                    Event::Open { index, part, .. } => {
                        assert_eq!(usize::try_from(index).unwrap(), shown.matches('[').count());
                        shown.push_str(match part {
                            Open::Reasoning { .. } => "r[",
                            Open::ToolCall { .. } => "c[",
                            _ => "t[",
                        });
                    }
                    Event::Delta {
                        delta:
                            Delta::Text(piece) | Delta::Reasoning(piece) | Delta::Arguments(piece),
                        ..
                    } => shown.push_str(&piece),
                    Event::Close { .. } => shown.push(']'),
                    Event::Finish { finish, .. } => {
                        shown.push_str(if finish.reason == FinishReason::ToolCalls {
                            "!"
                        } else {
                            "."
                        });
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(shown, expect, "{text:?} in pieces of {size}");
        }
    }

    #[test]
    fn reasoning_between_tags_is_told_apart() {
        for (text, expect) in [
            (
                "<think>\nHm, a < b </t\n</think>\n\nYes",
                "r[Hm, a < b </t]t[Yes].",
            ),
            (" <think>a</think>b </think> c", "r[a]t[b </think> c]."),
            ("<think></think>b", "r[]t[b]."),
            ("<think>cut", "r[cut]."),
            ("<think>cut</thi", "r[cut</thi]."),
            ("<thinking>", "t[<thinking>]."),
            ("<thi", "t[<thi]."),
            ("", "t[]."),
            ("plain <think>x</think>", "t[plain <think>x</think>]."),
            ("<think>only</think>", "r[only]."),
        ] {
            check(&TextIs::Tagged, text, expect);
        }
    }

    #[test]
    fn text_becomes_the_arguments_of_a_call() {
        let call = TextIs::Call("f".to_owned());
        check(&call, r#"{"a":1}"#, r#"c[{"a":1}]!"#);
        check(&TextIs::Text, "<think>x</think>", "t[<think>x</think>].");
    }

    #[test]
    fn whole_answers_are_read_alike() {
        let choice = |text: &str| Choice {
            index: 0,
            parts: vec![Part::text(text, crate::At::Request)],
            finish: Finish::from(FinishReason::Stop),
            logprobs: Vec::new(),
        };
        let mut tagged = choice("<think>\nHm\n</think>\n\nYes");
        TextIs::Tagged.recast(&mut tagged);
        assert_eq!(tagged.parts.len(), 2);
        assert!(
            matches!(&tagged.parts[0].body, PartBody::Reasoning(thought) if thought.text == "Hm")
        );
        assert!(matches!(&tagged.parts[1].body, PartBody::Text(text) if text.text == "Yes"));
        let mut called = choice("{}");
        TextIs::Call("f".to_owned()).recast(&mut called);
        assert!(
            matches!(&called.parts[0].body, PartBody::ToolCall(call) if call.name == "f" && call.arguments == "{}")
        );
        assert_eq!(called.finish.reason, FinishReason::ToolCalls);
    }
}
