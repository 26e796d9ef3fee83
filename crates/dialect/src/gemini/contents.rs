//! Writes a request: instructions, contents and top-level settings.
//!
//! A pure function of the turns, so that a longer conversation repeats its old part byte for byte.

use std::borrow::Cow;

use crate::arrange::{Arranged, MidSystem, Placed, Rules, arrange, turn_of};
use crate::hub::{Opaque, Part, PartBody, Request, Role, ToolCall, ToolResult};
use crate::json::{Node, Object};
use crate::names::ToolNames;
use crate::quirks::ThinkingField;
use crate::{At, DialectId, Encoded, Losses, Quirks, Refusal, Setting, Target};

use super::{SENTINEL, SIGNATURE_OF_PART, config, media, one_line, tools};

/// Fields of other dialects whose absence changes nothing that the caller could see.
const WITHOUT_EFFECT: [&str; 5] = [
    "cache_control",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "name",
];

pub(super) fn encode(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    let quirks = target.quirks;
    let names = ToolNames::of(request, tools::NAMES.under(quirks));
    let rules = Rules {
        mid_system: MidSystem::User,
        spell_id: |id| Cow::Borrowed(id),
    };
    let turns = arrange(&request.turns, &rules)?;

    let mut body = Vec::with_capacity(4096);
    let mut top = Object::new(&mut body);
    let system = request.system.iter().filter_map(instruction);
    let mut instructions = system.clone().peekable();
    let hint = config::hint(request, quirks);
    let worded = instructions.peek().is_some() || hint.is_some();
    if quirks.system_instruction && worded {
        let mut content = top.object("systemInstruction");
        let mut parts = content.array("parts");
        for text in instructions {
            parts.object().string("text", text);
        }
        if let Some(hint) = &hint {
            parts.object().string("text", hint);
        }
    }
    let mut writer = Writer {
        names: &names,
        quirks,
        contents: Vec::new(),
        losses,
    };
    if !quirks.system_instruction {
        writer.lead(system);
    }
    for turn in &turns {
        writer.turn(turn)?;
    }
    let contents = writer.contents;
    write_contents(&mut top, &contents);
    if contents
        .first()
        .is_none_or(|first| first.role != Role::User)
    {
        let at = turns.first().and_then(|turn| turn.parts.first());
        losses.push(
            at.map_or(At::Turn { turn: 0 }, |placed| turn_of(&placed.part.at)),
            "",
            "a user turn '.' was put before it: Gemini wants the user to speak first",
        );
    }
    tools::encode(&mut top, request, &names, quirks, losses)?;
    config::encode(&mut top, request, quirks, losses)?;
    settings(&mut top, request, losses);
    drop(top);
    Ok(Encoded {
        body,
        tools: names.into_changes(crate::free_form::names(request)),
    })
}

/// Instructions are text; an empty one says nothing.
fn instruction(part: &Part) -> Option<&str> {
    match &part.body {
        PartBody::Text(text) if !text.text.is_empty() => Some(&text.text),
        PartBody::Text(_)
        | PartBody::Media(_)
        | PartBody::Reasoning(_)
        | PartBody::ToolCall(_)
        | PartBody::ToolResult(_)
        | PartBody::Refusal(_)
        | PartBody::Opaque(_) => None,
    }
}

/// The remaining settings of the top level.
fn settings(top: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    match request.service_tier.as_deref() {
        Some("flex") => top.string("serviceTier", "flex"),
        Some("priority" | "fast") => top.string("serviceTier", "priority"),
        Some("default") => top.string("serviceTier", "standard"),
        Some("auto") | None => {}
        Some(_) => losses.setting(Setting::ServiceTier, "dropped: Gemini has no such tier"),
    }
    if !request.metadata.is_empty() {
        losses.setting(
            Setting::Metadata,
            "dropped: Gemini has no place for labels of requests",
        );
    }
    config::extras(top, &request.extra, "", &[]);
    let mut foreign = request.extra.clone();
    foreign
        .fields
        .retain(|field| !WITHOUT_EFFECT.contains(&field.key.as_str()));
    losses.extra(&foreign, &At::Request, DialectId::Gemini);
    for (index, turn) in request.turns.iter().enumerate() {
        let at = At::Turn {
            turn: u32::try_from(index).unwrap_or(u32::MAX),
        };
        let at = turn.parts.first().map_or(at, |part| turn_of(&part.at));
        for field in &turn.extra.fields {
            if field.of != DialectId::Gemini && !WITHOUT_EFFECT.contains(&field.key.as_str()) {
                losses.push(
                    at.clone(),
                    field.key.clone(),
                    format!("dropped: only {} has it", field.of),
                );
            }
        }
    }
}

/// Writes the contents; the first must be the user's.
fn write_contents(top: &mut Object<'_>, contents: &[Content]) {
    let mut list = top.array("contents");
    if contents
        .first()
        .is_none_or(|first| first.role != Role::User)
    {
        list.value()
            .extend_from_slice(br#"{"role":"user","parts":[{"text":"."}]}"#);
    }
    for content in contents {
        let mut object = list.object();
        object.string(
            "role",
            match content.role {
                Role::User | Role::System => "user",
                Role::Assistant => "model",
            },
        );
        let out = object.value("parts");
        out.push(b'[');
        out.extend_from_slice(&content.parts);
        out.push(b']');
    }
}

/// A content being built: its parts as JSON, without the brackets.
struct Content {
    role: Role,
    parts: Vec<u8>,
}

struct Writer<'w> {
    names: &'w ToolNames,
    quirks: &'w Quirks,
    contents: Vec<Content>,
    losses: &'w mut Losses,
}

impl Writer<'_> {
    /// Instructions of a model that takes none: they lead the user's first content.
    fn lead<'s>(&mut self, system: impl Iterator<Item = &'s str>) {
        let mut parts = Vec::new();
        for text in system {
            Object::new(next(&mut parts)).string("text", text);
        }
        if !parts.is_empty() {
            self.contents.push(Content {
                role: Role::User,
                parts,
            });
        }
    }

    fn turn(&mut self, turn: &Arranged<'_>) -> Result<(), Refusal> {
        let mut parts = Vec::new();
        // Media of results that cannot lie inside them go behind the last result.
        let mut moved = Vec::new();
        let mut signed_calls = false;
        let mut left = turn.parts.as_slice();
        while let Some((placed, rest)) = left.split_first() {
            left = rest;
            let part = placed.part;
            if !matches!(part.body, PartBody::ToolResult(_)) {
                append(&mut parts, &mut moved);
            }
            self.losses.extra(&part.extra, &part.at, DialectId::Gemini);
            match &part.body {
                PartBody::Text(text) if placed.instruction => {
                    self.losses.push(
                        part.at.clone(),
                        "",
                        "sent as a framed text of the user: Gemini takes instructions only at the start",
                    );
                    let framed = format!("<system-message>\n{}\n</system-message>", text.text);
                    Object::new(next(&mut parts)).string("text", &framed);
                }
                PartBody::Text(text) => {
                    let mut object = Object::new(next(&mut parts));
                    object.string("text", &text.text);
                    close(&mut object, part, signature_of_part(left));
                }
                PartBody::Refusal(text) => {
                    if !text.is_empty() {
                        Object::new(next(&mut parts)).string("text", text);
                    }
                }
                PartBody::Media(media) => {
                    let signature = signature_of_part(left);
                    media::encode(media, &part.at, self.quirks, self.losses, &mut |write| {
                        let mut object = Object::new(next(&mut parts));
                        write(&mut object);
                        close(&mut object, part, signature);
                    })?;
                }
                PartBody::Reasoning(thought) => {
                    // Foreign reasoning is never shown as the model's words.
                    let own = thought
                        .proof
                        .as_ref()
                        .filter(|proof| proof.of == DialectId::Gemini);
                    let Some(own) = own.filter(|proof| proof.kind != SIGNATURE_OF_PART) else {
                        continue;
                    };
                    let mut object = Object::new(next(&mut parts));
                    object.string("text", &thought.text);
                    if !thought.text.is_empty() {
                        object.bool("thought", true);
                    }
                    close(&mut object, part, Some(own));
                }
                PartBody::ToolCall(call) => {
                    self.call(&mut parts, placed, call, &mut signed_calls)?;
                }
                PartBody::ToolResult(result) => {
                    self.result(&mut parts, &mut moved, placed, result)?;
                }
                PartBody::Opaque(opaque) if opaque.of == DialectId::Gemini => {
                    next(&mut parts).extend_from_slice(opaque.json.get().as_bytes());
                }
                PartBody::Opaque(opaque) => self.losses.push(
                    part.at.clone(),
                    "",
                    format!("dropped: only {} has {}", opaque.of, opaque.kind),
                ),
            }
        }
        append(&mut parts, &mut moved);
        if parts.is_empty() {
            return Ok(());
        }
        match self.contents.last_mut() {
            Some(last) if last.role == turn.role => {
                last.parts.push(b',');
                last.parts.append(&mut parts);
            }
            _ => self.contents.push(Content {
                role: turn.role,
                parts,
            }),
        }
        Ok(())
    }

    /// The first call of a step carries a signature where the model asks for them: its own, or the word that stands for none.
    fn call(
        &mut self,
        parts: &mut Vec<u8>,
        placed: &Placed<'_>,
        call: &ToolCall,
        signed: &mut bool,
    ) -> Result<(), Refusal> {
        let mut object = Object::new(next(parts));
        let mut inner = object.object("functionCall");
        if self.quirks.call_ids {
            inner.string("id", &placed.id);
        }
        inner.string("name", self.names.sent(&call.name));
        if call.custom {
            inner.object("args").string("input", &call.arguments);
        } else if call.arguments.trim().is_empty() {
            inner.value("args").extend_from_slice(b"{}");
        } else {
            let arguments = Node::parse(call.arguments.as_bytes())
                .ok()
                .filter(|arguments| arguments.is_object())
                .ok_or_else(|| {
                    Refusal::new(
                        placed.part.at.clone(),
                        format!(
                            "the arguments of the call of '{}' are not a JSON object",
                            call.name
                        ),
                    )
                })?;
            inner
                .value("args")
                .extend_from_slice(one_line(arguments.raw()).as_bytes());
        }
        config::extras(&mut inner, &placed.part.extra, "functionCall.", &[]);
        drop(inner);
        let own = call
            .proof
            .as_ref()
            .filter(|proof| proof.of == DialectId::Gemini);
        if own.is_none() && !*signed && self.quirks.thought_signatures {
            object.string("thoughtSignature", SENTINEL);
        }
        *signed = true;
        close(&mut object, placed.part, own);
        Ok(())
    }

    fn result(
        &mut self,
        parts: &mut Vec<u8>,
        moved: &mut Vec<u8>,
        placed: &Placed<'_>,
        result: &ToolResult,
    ) -> Result<(), Refusal> {
        let mut texts: Vec<&str> = Vec::new();
        let mut inside = Vec::new();
        for part in &result.parts {
            self.losses.extra(&part.extra, &part.at, DialectId::Gemini);
            match &part.body {
                PartBody::Text(text) => texts.push(&text.text),
                PartBody::Refusal(text) => texts.push(text),
                PartBody::Media(media) => {
                    media::encode(media, &part.at, self.quirks, self.losses, &mut |write| {
                        let mut object = Object::new(next(&mut inside));
                        write(&mut object);
                        close(&mut object, part, None);
                    })?;
                }
                PartBody::Opaque(opaque) if opaque.of == DialectId::Gemini => {
                    next(&mut inside).extend_from_slice(opaque.json.get().as_bytes());
                }
                PartBody::Opaque(opaque) => self.losses.push(
                    part.at.clone(),
                    "",
                    format!("dropped: only {} has {}", opaque.of, opaque.kind),
                ),
                PartBody::Reasoning(_) | PartBody::ToolCall(_) | PartBody::ToolResult(_) => {
                    self.losses.push(
                        part.at.clone(),
                        "",
                        "dropped: a result holds text and media",
                    );
                }
            }
        }
        let mut object = Object::new(next(parts));
        let mut inner = object.object("functionResponse");
        if self.quirks.call_ids {
            inner.string("id", &placed.id);
        }
        inner.string("name", self.names.sent(placed.tool));
        response(&mut inner, &texts.join("\n"), result.is_error);
        if !inside.is_empty() {
            // Results hold media since Gemini 3, the first that takes a thinking level.
            if self.quirks.thinking_field == ThinkingField::Level {
                let out = inner.value("parts");
                out.push(b'[');
                out.append(&mut inside);
                out.push(b']');
            } else {
                self.losses.push(
                    placed.part.at.clone(),
                    "content",
                    "media moved behind the result: this model's results hold text alone",
                );
                append(moved, &mut inside);
            }
        }
        config::extras(&mut inner, &placed.part.extra, "functionResponse.", &[]);
        drop(inner);
        close(&mut object, placed.part, None);
        Ok(())
    }
}

/// A JSON object goes as it is, digits and all; anything else is wrapped. So is an object that would be read as a wrapper.
fn response(out: &mut Object<'_>, text: &str, is_error: bool) {
    if is_error {
        out.object("response").string("error", text);
        return;
    }
    let node = Node::parse(text.as_bytes())
        .ok()
        .filter(|node| node.is_object() && !reads_as_wrapper(*node));
    match node {
        Some(node) => out
            .value("response")
            .extend_from_slice(one_line(node.raw()).as_bytes()),
        None => out.object("response").string("output", text),
    }
}

fn reads_as_wrapper(node: Node<'_>) -> bool {
    let Ok(fields) = node.fields() else {
        return true;
    };
    let mut fields = fields.iter();
    match (fields.next(), fields.next()) {
        (Some(("error", _)), None) => true,
        (Some(("output" | "result", value)), None) => value.is_string(),
        _ => false,
    }
}

/// The signature that came on the part before `rest`.
fn signature_of_part<'p>(rest: &[Placed<'p>]) -> Option<&'p Opaque> {
    match &rest.first()?.part.body {
        PartBody::Reasoning(thought) => thought
            .proof
            .as_ref()
            .filter(|proof| proof.of == DialectId::Gemini && proof.kind == SIGNATURE_OF_PART),
        PartBody::Text(_)
        | PartBody::Media(_)
        | PartBody::ToolCall(_)
        | PartBody::ToolResult(_)
        | PartBody::Refusal(_)
        | PartBody::Opaque(_) => None,
    }
}

/// Ends a part: its signature, and the fields that only Gemini has.
fn close(object: &mut Object<'_>, part: &Part, signature: Option<&Opaque>) {
    if let Some(signature) = signature {
        object.raw("thoughtSignature", &signature.json);
    }
    config::extras(object, &part.extra, "", &[]);
}

/// Hands out the place for the next part.
fn next(parts: &mut Vec<u8>) -> &mut Vec<u8> {
    if !parts.is_empty() {
        parts.push(b',');
    }
    parts
}

fn append(parts: &mut Vec<u8>, more: &mut Vec<u8>) {
    if more.is_empty() {
        return;
    }
    next(parts).append(more);
}

#[cfg(test)]
mod tests;
