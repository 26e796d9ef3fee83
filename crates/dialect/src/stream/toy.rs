//! A dialect for tests: each frame is a list of words, and each word an event.
//!
//! `s` start · `o0` a text opens as part 0 · `k1:name` a tool call opens as part 1 · `d0:x` and `a1:x` text and arguments grow ·
//! `c0` part 0 closes · `u5` five tokens of output · `f` finish · `e:x` an error. A whole answer is `{"answer":"x"}`.

use crate::framing::{Frame, Framing};
use crate::hub::{
    Choice, Delta, Event, Finish, FinishReason, Open, Part, PartBody, Request, Response, Usage,
};
use crate::json::Node;
use crate::{
    ApiError, At, BadAnswer, Decoder, Dialect, DialectId, Encoded, Encoder, ErrorKind, Losses,
    Malformed, Mint, Refusal, Reply, Target,
};

/// Parts in any order.
pub(super) static FREE: Toy = Toy { sequential: false };
/// One part at a time.
pub(super) static STRICT: Toy = Toy { sequential: true };

#[derive(Debug)]
pub(super) struct Toy {
    sequential: bool,
}

pub(super) fn reply() -> Reply {
    Reply {
        model: "m".to_owned(),
        mint: Mint { now: 0, id: 0 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    }
}

impl Dialect for Toy {
    fn id(&self) -> DialectId {
        DialectId::Chat
    }

    fn decode_request(&self, _body: &[u8]) -> Result<Request, Malformed> {
        Ok(Request::default())
    }

    fn encode_request(
        &self,
        _request: &Request,
        _target: &Target<'_>,
        _losses: &mut Losses,
    ) -> Result<Encoded, Refusal> {
        Ok(Encoded::default())
    }

    fn decode_response(&self, body: &[u8]) -> Result<Response, BadAnswer> {
        let fields = Node::parse(body)?.fields()?;
        if let Some(error) = fields.get("error") {
            return Err(BadAnswer::Error(ApiError::new(
                ErrorKind::Upstream,
                error.string()?,
            )));
        }
        let answer = fields
            .get("answer")
            .ok_or_else(|| Malformed::new("answer", "is required"))?;
        let choice = Choice {
            index: 0,
            parts: vec![Part::text(answer.string()?, At::Request)],
            finish: FinishReason::Stop.into(),
            logprobs: Vec::new(),
        };
        Ok(Response {
            choices: vec![choice],
            ..Response::default()
        })
    }

    fn encode_response(&self, response: &Response, _: &Reply, _: &mut Losses) -> Vec<u8> {
        let parts = response.choices.iter().flat_map(|choice| &choice.parts);
        let texts = parts.map(|part| match &part.body {
            PartBody::Text(text) => text.text.clone(),
            PartBody::ToolCall(call) => format!("{}({})", call.name, call.arguments),
            other => format!("{other:?}"),
        });
        texts.collect::<Vec<_>>().join(" ").into_bytes()
    }

    fn encode_error(&self, error: &ApiError, _request_id: &str) -> Vec<u8> {
        error.message.clone().into_bytes()
    }

    fn decoder(&self) -> Box<dyn Decoder + Send> {
        Box::new(ToyDecoder::default())
    }

    fn encoder(&self, _reply: &Reply, _framing: Framing) -> Box<dyn Encoder + Send> {
        Box::new(ToyEncoder {
            sequential: self.sequential,
        })
    }

    fn locate(&self, at: &At) -> String {
        format!("{at:?}")
    }
}

#[derive(Debug, Default)]
struct ToyDecoder {
    open: Vec<u32>,
    finished: bool,
}

impl Decoder for ToyDecoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        for word in frame.data.split_whitespace() {
            let (name, text) = word.split_once(':').unwrap_or((word, ""));
            let (kind, number) = name.split_at(1);
            let index = number.parse().unwrap_or(0);
            let text = text.to_owned();
            out.push(match kind {
                "s" => Event::Start {
                    id: None,
                    model: String::new(),
                    created: None,
                },
                "o" | "k" => {
                    self.open.push(index);
                    let part = if kind == "o" {
                        Open::Text
                    } else {
                        Open::ToolCall {
                            id: String::new(),
                            name: text,
                            custom: false,
                        }
                    };
                    Event::Open {
                        index,
                        choice: 0,
                        part,
                    }
                }
                "d" => Event::Delta {
                    index,
                    delta: Delta::Text(text),
                },
                "a" => Event::Delta {
                    index,
                    delta: Delta::Arguments(text),
                },
                "c" => {
                    self.open.retain(|open| *open != index);
                    Event::Close { index }
                }
                "u" => Event::Usage(Usage {
                    output: index.into(),
                    ..Usage::default()
                }),
                "f" => {
                    self.finished = true;
                    Event::Finish {
                        choice: 0,
                        finish: Finish::from(FinishReason::Stop),
                    }
                }
                "e" => Event::Error(ApiError::new(ErrorKind::Overloaded, text)),
                _ => return Err(Malformed::new("", format!("unknown word {word}"))),
            });
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) -> bool {
        out.extend(self.open.drain(..).map(|index| Event::Close { index }));
        self.finished
    }
}

#[derive(Debug)]
struct ToyEncoder {
    sequential: bool,
}

impl Encoder for ToyEncoder {
    fn sequential(&self) -> bool {
        self.sequential
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        let word = match event {
            Event::Start { .. } => "s".to_owned(),
            Event::Open {
                index,
                part: Open::ToolCall { name, .. },
                ..
            } => format!("k{index}:{name}"),
            Event::Open { index, .. } => format!("o{index}"),
            Event::Delta { index, delta } => match delta {
                Delta::Arguments(text) => format!("a{index}:{text}"),
                Delta::Text(text) => format!("d{index}:{text}"),
                other => format!("{other:?}"),
            },
            Event::Close { index } => format!("c{index}"),
            Event::Usage(usage) => format!("u{}", usage.output),
            Event::Finish { .. } => "f".to_owned(),
            Event::Error(error) => format!("e:{}", error.code.as_ref().unwrap_or(&error.message)),
            Event::ServiceTier(_) | Event::Logprobs { .. } => return,
        };
        out.extend_from_slice(format!("data: {word}\n\n").as_bytes());
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn heartbeat(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": beat\n\n");
    }
}
