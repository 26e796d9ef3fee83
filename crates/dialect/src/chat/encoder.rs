//! Writes one streamed answer as chunks.

use super::answer;
use super::response::{answer_id, explanation, picture_url, write_image};
use super::write_error;
use crate::hub::{Citation, Delta, Event, Finish, Open, TokenLogprob, Usage};
use crate::json::{Array, Object, escape_into};
use crate::names;
use crate::{ApiError, Encoder, Reply};

/// The state of one streamed answer.
#[derive(Debug)]
pub(super) struct ChatEncoder {
    reply: Reply,
    /// What every chunk begins with: the same id, moment and model in all. Empty before the first.
    head: Vec<u8>,
    choices: Vec<Choice>,
    /// The open parts by their index.
    parts: Vec<(u32, Part)>,
    usage: Option<Usage>,
    tier: Option<String>,
    failed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Choice {
    index: u32,
    calls: u32,
    /// Code points of the text told.
    told: u64,
    /// The model's own words of refusal were told.
    refused: bool,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    choice: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// `base`: code points of the choice's text before this part.
    Text {
        base: u64,
    },
    Prose,
    /// `place` counts the calls of the choice; `spoken`: some of its arguments were told.
    Call {
        place: u32,
        custom: bool,
        spoken: bool,
    },
}

impl Encoder for ChatEncoder {
    /// Calls have their own indexes, and texts need none.
    fn sequential(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        match event {
            Event::Start { id, created, .. } => {
                self.start(id.as_deref(), *created);
                self.choice(0, out);
            }
            Event::Open {
                index,
                choice,
                part,
            } => self.open(*index, *choice, part, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::Close { index } => self.close(*index, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::ServiceTier(tier) => self.tier = Some(tier.clone()),
            Event::Logprobs { choice, tokens } => self.logprobs(*choice, tokens, out),
            Event::Finish { choice, finish } => self.end(*choice, finish, out),
            Event::Error(error) => self.fail(error, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.failed {
            return;
        }
        if let Some(usage) = self.usage.filter(|_| self.reply.include_usage) {
            self.start(None, None);
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b",\"choices\":[]");
            self.write_tier(out);
            out.extend_from_slice(b",\"usage\":");
            answer::write_usage(Object::new(out), &usage);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }
}

impl ChatEncoder {
    pub(super) fn new(reply: &Reply) -> Self {
        Self {
            reply: reply.clone(),
            head: Vec::new(),
            choices: Vec::new(),
            parts: Vec::new(),
            usage: None,
            tier: None,
            failed: false,
        }
    }

    fn start(&mut self, id: Option<&str>, created: Option<i64>) {
        if !self.head.is_empty() {
            return;
        }
        self.head.extend_from_slice(b"data: ");
        let mut object = Object::new(&mut self.head);
        object.string("id", &answer_id(id, &self.reply));
        object.string("object", "chat.completion.chunk");
        object.i64("created", created.unwrap_or(self.reply.mint.now));
        object.string("model", &self.reply.model);
        drop(object);
        // Each chunk goes on from here and closes the object itself.
        self.head.pop();
    }

    /// The state of a choice; its first chunk tells the role.
    fn choice(&mut self, choice: u32, out: &mut Vec<u8>) -> Option<&mut Choice> {
        self.start(None, None);
        let known = self.choices.iter().position(|state| state.index == choice);
        let place = known.unwrap_or(self.choices.len());
        if known.is_none() {
            self.choices.push(Choice {
                index: choice,
                calls: 0,
                told: 0,
                refused: false,
            });
            self.chunk(choice, out, |out| {
                out.extend_from_slice(br#"{"role":"assistant","content":""}"#);
            });
        }
        self.choices.get_mut(place)
    }

    /// Writes one chunk of one choice; `delta` writes the delta.
    fn chunk(&self, choice: u32, out: &mut Vec<u8>, delta: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[");
        let mut object = Object::new(out);
        object.u64("index", u64::from(choice));
        delta(object.value("delta"));
        object.null("finish_reason");
        drop(object);
        self.tail(out);
    }

    fn tail(&self, out: &mut Vec<u8>) {
        // OpenAI says so in every chunk of a stream that will end with the usage.
        out.extend_from_slice(if self.reply.include_usage {
            b"],\"usage\":null}\n\n"
        } else {
            b"]}\n\n"
        });
    }

    fn write_tier(&self, out: &mut Vec<u8>) {
        if let Some(tier) = &self.tier {
            out.extend_from_slice(b",\"service_tier\":");
            escape_into(out, tier);
        }
    }

    fn open(&mut self, index: u32, choice: u32, part: &Open, out: &mut Vec<u8>) {
        let legacy = self.reply.legacy_function_call;
        let Some(state) = self.choice(choice, out) else {
            return;
        };
        let kind = match part {
            Open::Text => Kind::Text { base: state.told },
            Open::Reasoning { .. } => Kind::Prose,
            Open::Refusal => {
                state.refused = true;
                Kind::Prose
            }
            Open::ToolCall { id, name, custom } => {
                let place = state.calls;
                state.calls += 1;
                let name = names::plain(name);
                self.open_call(choice, place, (id, name, *custom), out);
                Kind::Call {
                    place,
                    custom: *custom,
                    spoken: legacy && place > 0,
                }
            }
            Open::Media(media) => {
                if picture_url(media).is_some() {
                    self.chunk(choice, out, |out| {
                        let mut delta = Object::new(out);
                        write_image(delta.array("images").object(), media);
                    });
                }
                return;
            }
            // What the vendor itself ran has no place in chunks; its fruit is in the text.
            Open::Opaque(_) => return,
        };
        self.parts.push((index, Part { choice, kind }));
    }

    fn open_call(
        &self,
        choice: u32,
        place: u32,
        (id, name, custom): (&str, &str, bool),
        out: &mut Vec<u8>,
    ) {
        if self.reply.legacy_function_call {
            if place == 0 {
                self.chunk(choice, out, |out| {
                    let mut delta = Object::new(out);
                    let mut function = delta.object("function_call");
                    function.string("name", name);
                    function.string("arguments", "");
                });
            }
            return;
        }
        let (kind, input) = words(custom);
        self.call_chunk(choice, place, out, |call| {
            if id.is_empty() {
                call.string("id", &self.reply.mint.id("call_", place));
            } else {
                call.string("id", id);
            }
            call.string("type", kind);
            let mut inner = call.object(kind);
            inner.string("name", name);
            inner.string(input, "");
        });
    }

    fn call_chunk(
        &self,
        choice: u32,
        place: u32,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Object<'_>),
    ) {
        self.chunk(choice, out, |out| {
            let mut delta = Object::new(out);
            let mut calls = delta.array("tool_calls");
            let mut call = calls.object();
            call.u64("index", u64::from(place));
            write(&mut call);
        });
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some((_, part)) = self.parts.iter_mut().rev().find(|(open, _)| *open == index) else {
            return;
        };
        let choice = part.choice;
        match (delta, &mut part.kind) {
            (Delta::Text(text), _) => {
                if let Some(state) = self.choices.iter_mut().find(|state| state.index == choice) {
                    state.told = state.told.saturating_add(answer::length(text));
                }
                self.prose(choice, b"{\"content\":", text, out);
            }
            (Delta::Reasoning(text), _) => {
                self.prose(choice, b"{\"reasoning_content\":", text, out);
            }
            (Delta::Refusal(text), _) => self.prose(choice, b"{\"refusal\":", text, out),
            (
                Delta::Arguments(text),
                Kind::Call {
                    place,
                    custom,
                    spoken,
                },
            ) => {
                *spoken |= !text.is_empty();
                let (place, custom) = (*place, *custom);
                self.arguments(choice, place, custom, text, out);
            }
            (Delta::Proof(proof), Kind::Call { place, .. }) if !self.reply.legacy_function_call => {
                let place = *place;
                if answer::is_thought_signature(proof) {
                    self.call_chunk(choice, place, out, |call| {
                        // Clients read the function of each piece without asking whether there is one.
                        call.object("function").string("arguments", "");
                        answer::write_thought_signature(call, Some(proof));
                    });
                }
            }
            (Delta::Citation(citation), Kind::Text { base }) => {
                let base = *base;
                self.citation(choice, base, citation, out);
            }
            (Delta::Proof(proof), Kind::Prose) => {
                if answer::is_details(proof) {
                    self.chunk(choice, out, |out| {
                        Object::new(out).raw(super::DETAILS, &proof.json);
                    });
                }
            }
            (Delta::Arguments(_) | Delta::Proof(_) | Delta::Citation(_), _) => {}
        }
    }

    fn prose(&self, choice: u32, key: &[u8], text: &str, out: &mut Vec<u8>) {
        self.chunk(choice, out, |out| {
            out.extend_from_slice(key);
            escape_into(out, text);
            out.push(b'}');
        });
    }

    fn arguments(&self, choice: u32, place: u32, custom: bool, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.reply.legacy_function_call {
            if place == 0 {
                self.chunk(choice, out, |out| {
                    let mut delta = Object::new(out);
                    delta.object("function_call").string("arguments", text);
                });
            }
            return;
        }
        let (kind, input) = words(custom);
        self.call_chunk(choice, place, out, |call| {
            call.object(kind).string(input, text);
        });
    }

    fn citation(&self, choice: u32, base: u64, citation: &Citation, out: &mut Vec<u8>) {
        let told = self
            .choices
            .iter()
            .find(|state| state.index == choice)
            .map_or(0, |state| state.told);
        let mut list = Vec::new();
        let told = told.saturating_sub(base);
        if !answer::write_annotation(&mut Array::new(&mut list), citation, base, told) {
            return;
        }
        self.chunk(choice, out, |out| {
            out.extend_from_slice(b"{\"annotations\":");
            out.extend_from_slice(&list);
            out.push(b'}');
        });
    }

    fn close(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(at) = self.parts.iter().rposition(|(open, _)| *open == index) else {
            return;
        };
        let (_, part) = self.parts.swap_remove(at);
        if let Kind::Call {
            place,
            custom: false,
            spoken: false,
        } = part.kind
        {
            // No arguments are an empty object: clients parse the text.
            self.arguments(part.choice, place, false, "{}", out);
        }
    }

    fn logprobs(&mut self, choice: u32, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        self.choice(choice, out);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[");
        let mut object = Object::new(out);
        object.u64("index", u64::from(choice));
        drop(object.object("delta"));
        answer::write_logprobs(object.object("logprobs"), tokens);
        object.null("finish_reason");
        drop(object);
        self.tail(out);
    }

    fn end(&mut self, choice: u32, finish: &Finish, out: &mut Vec<u8>) {
        if let Some(failure) = finish.failure() {
            self.fail(&failure, out);
            return;
        }
        let legacy = self.reply.legacy_function_call;
        let Some(&mut Choice { calls, refused, .. }) = self.choice(choice, out) else {
            return;
        };
        if let Some(words) = explanation(finish).filter(|_| !refused) {
            self.prose(choice, b"{\"refusal\":", words, out);
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[");
        let mut object = Object::new(out);
        object.u64("index", u64::from(choice));
        drop(object.object("delta"));
        object.string(
            "finish_reason",
            answer::word(finish, calls > 0, refused, legacy),
        );
        drop(object);
        out.push(b']');
        self.write_tier(out);
        out.extend_from_slice(if self.reply.include_usage {
            b",\"usage\":null}\n\n"
        } else {
            b"}\n\n"
        });
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.failed = true;
        out.extend_from_slice(b"data: ");
        write_error(out, error);
        out.extend_from_slice(b"\n\n");
    }
}

/// The kind of a call, and the key of its input.
fn words(custom: bool) -> (&'static str, &'static str) {
    if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    }
}
