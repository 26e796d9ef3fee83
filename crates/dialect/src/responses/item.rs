//! Items of an answer, read.

use super::citation;
use super::finish::Holds;
use super::output::PHASE;
use crate::hub::{
    Extra, Media, MediaKind, Opaque, Part, PartBody, Source, Text, Thought, TokenLogprob, ToolCall,
};
use crate::json::{Fields, Node, compact};
use crate::{At, DialectId, Malformed, chat, media, names};

/// What the items of an answer come to.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) parts: Vec<Part>,
    pub(super) logprobs: Vec<TokenLogprob>,
    pub(super) holds: Holds,
    /// From which missing ids of calls are made.
    answer: String,
    place: usize,
}

/// Items of these kinds are calls that the client runs.
pub(super) fn is_clients(kind: &str, fields: &Fields<'_>) -> bool {
    match kind {
        "function_call" | "custom_tool_call" | "local_shell_call" | "apply_patch_call"
        | "computer_call" => true,
        // With an environment of its own, the vendor runs it.
        "shell_call" => fields
            .get("environment")
            .and_then(|environment| environment.fields().ok()?.get("type")?.text())
            .is_none_or(|kind| kind == "local"),
        _ => false,
    }
}

/// The kind of an item; servers that leave it out mean a message.
pub(super) fn kind_of(fields: &Fields<'_>) -> String {
    match fields.get("type").and_then(Node::text) {
        Some(kind) => kind.into_owned(),
        None if fields.get("content").is_some() => "message".to_owned(),
        None => "item".to_owned(),
    }
}

impl Items {
    /// `answer`: the id of the whole.
    pub(super) fn of(answer: Option<&str>) -> Self {
        Self {
            answer: answer.unwrap_or_default().to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn read(&mut self, item: Node<'_>) -> Result<(), Malformed> {
        let mut fields = item.fields()?;
        let kind = kind_of(&fields);
        self.holds.calls |= is_clients(&kind, &fields);
        match kind.as_str() {
            "message" => self.message(fields)?,
            "reasoning" => {
                let thought = Thought {
                    text: reasoning_text(&fields),
                    proof: Some(opaque(item, kind)),
                    redacted: false,
                };
                self.push(PartBody::Reasoning(thought), Extra::default());
            }
            "function_call" | "custom_tool_call" => {
                let call = self.call(&mut fields, kind == "custom_tool_call");
                let mut extra = Extra::default();
                keep(&fields, &mut extra);
                self.push(PartBody::ToolCall(call), extra);
            }
            "image_generation_call" => match picture(&mut fields) {
                Some(media) => {
                    let mut extra = Extra::default();
                    keep(&fields, &mut extra);
                    self.push(PartBody::Media(media), extra);
                }
                None => self.push(PartBody::Opaque(opaque(item, kind)), Extra::default()),
            },
            _ => self.push(PartBody::Opaque(opaque(item, kind)), Extra::default()),
        }
        self.place += 1;
        Ok(())
    }

    fn push(&mut self, body: PartBody, extra: Extra) {
        let at = At::Field(format!("output.{}", self.place));
        let mut part = Part::new(body, at);
        part.extra = extra;
        self.parts.push(part);
    }

    fn message(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        let phase = fields.take(PHASE);
        let content = fields
            .read("content", Node::one_or_many)?
            .unwrap_or_default();
        for node in content {
            let mut extra = Extra::default();
            if let Some(phase) = phase {
                extra.push(DialectId::Responses, PHASE, phase.to_raw());
            }
            let body = match content_part(node) {
                Some(Content::Text(text, logprobs)) => {
                    self.logprobs.extend(logprobs);
                    PartBody::Text(text)
                }
                Some(Content::Refusal(text)) => {
                    self.holds.refusal = true;
                    PartBody::Refusal(text)
                }
                None => PartBody::Opaque(opaque(node, "content")),
            };
            self.push(body, extra);
        }
        Ok(())
    }

    fn call(&self, fields: &mut Fields<'_>, custom: bool) -> ToolCall {
        let id = call_id(fields).unwrap_or_else(|| self.missing_id());
        let name = name_of(fields);
        for key in ["name", "namespace"] {
            fields.take(key);
        }
        let said = fields.take(if custom { "input" } else { "arguments" });
        ToolCall {
            id,
            name: if name.is_empty() {
                "unknown".to_owned()
            } else {
                name
            },
            arguments: said.map(spoken).unwrap_or_default(),
            custom,
            proof: None,
        }
    }

    fn missing_id(&self) -> String {
        missing_id(&self.answer, self.place)
    }
}

/// The name of the tool that is called, with its namespace; empty where it is not told.
pub(super) fn name_of(fields: &Fields<'_>) -> String {
    let text = |key| fields.get(key).and_then(Node::text);
    let name = text("name").unwrap_or_default();
    match text("namespace").filter(|space| !space.is_empty()) {
        Some(space) if !name.is_empty() => names::spaced(&space, &name),
        Some(_) | None => name.into_owned(),
    }
}

/// An id for a call that came without one: the same for the same answer, another for another.
pub(super) fn missing_id(answer: &str, place: usize) -> String {
    let hash = crate::fnv::fnv64(answer);
    format!("call_{hash:016x}_{place}")
}

/// Takes the id that the result of a call names.
pub(super) fn call_id(fields: &mut Fields<'_>) -> Option<String> {
    let own = fields.take("id");
    let id = fields.take("call_id").or(own).and_then(Node::text)?;
    Some(id.into_owned()).filter(|id| !id.is_empty())
}

/// What a call says: a text, or from some servers the value itself.
pub(super) fn spoken(node: Node<'_>) -> String {
    match node.text() {
        Some(text) => text.into_owned(),
        None => compact(node.raw()),
    }
}

/// A part of a message.
pub(super) enum Content {
    Text(Text, Vec<TokenLogprob>),
    Refusal(String),
}

/// Reads a part of a message; `None` for a kind that is not known.
pub(super) fn content_part(node: Node<'_>) -> Option<Content> {
    if let Some(text) = node.text() {
        let text = Text {
            text: text.into_owned(),
            citations: Vec::new(),
        };
        return Some(Content::Text(text, Vec::new()));
    }
    let fields = node.fields().ok()?;
    let text = |key: &str| fields.get(key).and_then(Node::text).map(Into::into);
    // Some servers write every field that they know into every part.
    let refusal = text("refusal").filter(|refusal: &String| !refusal.is_empty());
    if fields.get("type").and_then(Node::text).as_deref() == Some("refusal") {
        return Some(Content::Refusal(refusal.unwrap_or_default()));
    }
    let citations = fields
        .get("annotations")
        .and_then(|list| list.elements().ok());
    Some(Content::Text(
        Text {
            text: text("text")?,
            citations: citations
                .unwrap_or_default()
                .into_iter()
                .filter_map(citation::read)
                .collect(),
        },
        fields
            .get("logprobs")
            .map(chat::token_logprobs)
            .unwrap_or_default(),
    ))
}

/// The text of a reasoning item: its summary, and what its model thought where that is told.
pub(super) fn reasoning_text(fields: &Fields<'_>) -> String {
    let mut whole = String::new();
    for key in ["summary", "content"] {
        let parts = fields.get(key).and_then(|parts| parts.one_or_many().ok());
        for part in parts.unwrap_or_default() {
            let text = part
                .text()
                .or_else(|| part.fields().ok()?.get("text")?.text());
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                if !whole.is_empty() {
                    whole.push_str(SEAM);
                }
                whole.push_str(&text);
            }
        }
    }
    whole
}

/// Between two parts of one piece of reasoning.
pub(super) const SEAM: &str = "\n\n";

/// Takes the picture out of an `image_generation_call` that has one.
pub(super) fn picture(fields: &mut Fields<'_>) -> Option<Media> {
    let data = fields.get("result").and_then(Node::text)?;
    if data.is_empty() {
        return None;
    }
    fields.take("result");
    let format = fields.get("output_format").and_then(Node::text);
    let mime = match media::sniff(&data) {
        Some(mime) => mime.to_owned(),
        None => format!("image/{}", format.as_deref().unwrap_or("png")),
    };
    Some(Media {
        kind: MediaKind::Image,
        source: Source::Base64(data.into_owned()),
        mime: Some(mime),
        name: None,
        detail: None,
        context: None,
        citations: false,
    })
}

pub(super) fn opaque(node: Node<'_>, kind: impl Into<String>) -> Opaque {
    Opaque {
        of: DialectId::Responses,
        kind: kind.into(),
        json: node.to_raw(),
    }
}

/// Keeps the fields of an item that nobody read.
fn keep(fields: &Fields<'_>, extra: &mut Extra) {
    for (key, node) in fields.iter() {
        if !node.is_null() && !matches!(key, "id" | "type" | "status") {
            extra.push(DialectId::Responses, key, node.to_raw());
        }
    }
}
