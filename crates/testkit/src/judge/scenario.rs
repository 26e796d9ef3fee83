//! What the judge's models do: one scenario per model name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::agent;
use super::sample::sample;

/// The scenarios that succeed, as the model lists name them.
pub(crate) const NAMES: [&str; 15] = [
    "text",
    "system",
    "multi-turn",
    "image",
    "tool",
    "parallel",
    "tool-result",
    "schema",
    "max-tokens",
    "stop",
    "sampling",
    "choice",
    "reasoning",
    "key",
    "describe-tools",
];

/// Letters that take one to four bytes, quotes and a line break: what cuts and escapes go wrong on.
const TEXT: &str = "Grüße aus Zürich — 你好, \"world\" 👋\nSecond line.";

/// A request in the terms that all three dialects share.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    /// The dialect of the judge that was asked.
    pub(crate) dialect: &'static str,
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// Gemini alone: events (`alt=sse`) rather than an array.
    pub(crate) events: bool,
    /// Chat alone: a stream is to end with its usage.
    pub(crate) usage: bool,
    pub(crate) system: String,
    pub(crate) turns: Vec<Turn>,
    pub(crate) tools: Vec<Tool>,
    /// `auto`, `none`, `any`, or the name of a tool.
    pub(crate) choice: Option<String>,
    pub(crate) schema: Option<Value>,
    pub(crate) limit: Option<u64>,
    pub(crate) stops: Vec<String>,
    pub(crate) temperature: Value,
    pub(crate) top_p: Value,
    /// The header or parameter that held the credential, and the credential.
    pub(crate) credential: (&'static str, String),
}

#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// `user` or `assistant`.
    pub(crate) role: &'static str,
    pub(crate) text: String,
    pub(crate) media: Vec<Media>,
    pub(crate) calls: Vec<Call>,
    pub(crate) results: Vec<Outcomes>,
    /// What proves earlier thoughts to the vendor that had them.
    pub(crate) proofs: Vec<String>,
}

#[derive(Debug)]
pub(crate) enum Media {
    Base64 { mime: String, data: String },
    Url(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// What a tool gave back.
#[derive(Debug)]
pub(crate) struct Outcomes {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) content: String,
    pub(crate) failed: bool,
}

#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) schema: Value,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Answer),
    Refuse(Refusal),
}

/// Whether an answer comes to its end.
#[derive(Debug)]
pub(crate) enum Fate {
    Whole,
    /// A stream fails after its first half; a whole answer fails at once.
    Breaks(Refusal),
    /// The connection closes after the first half.
    Cut,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) parts: Vec<Part>,
    pub(crate) end: End,
    pub(crate) fate: Fate,
}

#[derive(Debug)]
pub(crate) enum Part {
    Thought(String),
    Text(String),
    Call(Call),
}

#[derive(Debug)]
pub(crate) enum End {
    Stop,
    StopSequence(String),
    Limit,
    Calls,
}

impl Answer {
    pub(crate) fn has_thought(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Thought(_)))
    }
}

/// An error of the upstream.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause {
    Request,
    Credential,
    Permission,
    Model,
    Rate,
    Internal,
    Overload,
}

impl Refusal {
    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self {
            cause,
            message: message.into(),
        }
    }
}

/// Plays the scenario that the model's name ends in.
pub(crate) fn play(ask: &Ask) -> Outcome {
    let name = ask.model.rsplit('/').next().unwrap_or_default();
    let refuse = |cause, message: &str| Outcome::Refuse(Refusal::new(cause, message));
    match name {
        "text" => say(TEXT),
        "system" => say(ask.system.clone()),
        "multi-turn" => tell(&conversation(ask)),
        "image" => tell(&media(ask)),
        "tool" => match call(ask, 0) {
            Some(one) => end(
                vec![Part::Text("Let me look.".into()), Part::Call(one)],
                End::Calls,
            ),
            None => refuse(Cause::Request, "the tool scenario needs a declared tool"),
        },
        "parallel" => match (call(ask, 0), call(ask, 1)) {
            (Some(one), Some(two)) => end(vec![Part::Call(one), Part::Call(two)], End::Calls),
            _ => refuse(
                Cause::Request,
                "the parallel scenario needs two declared tools",
            ),
        },
        "agent" => agent::play(ask),
        "tool-result" => tell(&results(ask)),
        "describe-tools" => tell(&tools(ask)),
        "schema" => match &ask.schema {
            Some(schema) => tell(&sample(schema, "root")),
            None => refuse(
                Cause::Request,
                "the schema scenario needs a schema, and none arrived",
            ),
        },
        "max-tokens" => {
            let text = format!("limit {}", ask.limit.unwrap_or_default());
            end(vec![Part::Text(text)], End::Limit)
        }
        "stop" => {
            let first = ask.stops.first().cloned();
            let text = json!(ask.stops).to_string();
            end(
                vec![Part::Text(text)],
                first.map_or(End::Stop, End::StopSequence),
            )
        }
        "sampling" => tell(&json!({ "temperature": ask.temperature, "top_p": ask.top_p })),
        "choice" => tell(&json!(ask.choice)),
        "reasoning" => {
            let thought = Part::Thought("Let me think: 2 + 2.".into());
            end(vec![thought, Part::Text("4".into())], End::Stop)
        }
        "key" => tell(&json!({ "place": ask.credential.0, "key": ask.credential.1 })),
        "broken" => {
            let overload = Refusal::new(Cause::Overload, "the judge is overloaded");
            half_said(Fate::Breaks(overload))
        }
        "cut" => half_said(Fate::Cut),
        "error-400" => refuse(Cause::Request, "the judge finds this request wanting"),
        "error-401" => refuse(Cause::Credential, "the judge refuses this key"),
        "error-403" => refuse(Cause::Permission, "the judge forbids this model"),
        "error-404" => refuse(Cause::Model, "the judge has no such model"),
        "error-429" => refuse(Cause::Rate, "the judge has heard enough"),
        "error-500" => refuse(Cause::Internal, "the judge has fallen over"),
        "error-503" => refuse(Cause::Overload, "the judge is overloaded"),
        _ => refuse(Cause::Model, &format!("the judge knows no model {name:?}")),
    }
}

fn say(text: impl Into<String>) -> Outcome {
    end(vec![Part::Text(text.into())], End::Stop)
}

fn end(parts: Vec<Part>, end: End) -> Outcome {
    Outcome::Answer(Answer {
        parts,
        end,
        fate: Fate::Whole,
    })
}

fn half_said(fate: Fate) -> Outcome {
    let parts = vec![Part::Text(TEXT.into())];
    Outcome::Answer(Answer {
        parts,
        end: End::Stop,
        fate,
    })
}

fn tell(value: &Value) -> Outcome {
    say(value.to_string())
}

fn call(ask: &Ask, number: usize) -> Option<Call> {
    let tool = ask.tools.get(number)?;
    Some(Call {
        id: format!("judge{number:019}"),
        name: tool.name.clone(),
        arguments: sample(&tool.schema, "arguments"),
    })
}

/// Roles and texts; neighbours of one role become one, since some dialects merge them.
fn conversation(ask: &Ask) -> Value {
    let mut told: Vec<(&str, String)> = Vec::new();
    for turn in &ask.turns {
        match told.last_mut() {
            Some((role, text)) if *role == turn.role => {
                text.push('\n');
                text.push_str(&turn.text);
            }
            _ => told.push((turn.role, turn.text.clone())),
        }
    }
    json!(told)
}

fn media(ask: &Ask) -> Value {
    let all = ask.turns.iter().flat_map(|turn| &turn.media);
    let told = all.map(|media| match media {
        Media::Url(url) => json!({ "url": url }),
        Media::Base64 { mime, data } => match STANDARD.decode(data) {
            Ok(bytes) => {
                let hash = Sha256::digest(&bytes);
                let hash = hash[..6]
                    .iter()
                    .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
                json!({ "mime": mime, "bytes": bytes.len(), "sha256": format!("{hash:012x}") })
            }
            Err(_) => json!({ "mime": mime, "bytes": "not base64" }),
        },
    });
    told.collect()
}

/// Results in the order of arrival. Content that is a JSON object is shown as one: how it was quoted does not matter.
fn results(ask: &Ask) -> Value {
    let all = ask.turns.iter().flat_map(|turn| &turn.results);
    let told = all.map(|result| {
        let object = serde_json::from_str::<Value>(&result.content)
            .ok()
            .filter(Value::is_object);
        let content = object.unwrap_or_else(|| json!(result.content));
        json!({ "id": result.id, "name": result.name, "content": content, "failed": result.failed })
    });
    let earlier = ask.turns.iter().flat_map(|turn| &turn.calls);
    let earlier = earlier
        .map(|call| json!({ "id": call.id, "name": call.name, "arguments": call.arguments }));
    json!({ "calls": earlier.collect::<Value>(), "results": told.collect::<Value>() })
}

fn tools(ask: &Ask) -> Value {
    let told = ask.tools.iter().map(
        |tool| json!({ "name": tool.name, "description": tool.description, "schema": tool.schema }),
    );
    told.collect()
}
