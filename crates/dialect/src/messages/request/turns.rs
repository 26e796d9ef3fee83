//! Writing the conversation: turns become messages of blocks.

use crate::arrange::{self, Arranged, MidSystem, Placed, Rules};
use crate::hub::{Media, MediaKind, Part, PartBody, Request, Role, Source, ToolCall, ToolResult};
use crate::json::{Array, Node, Object, compact};
use crate::messages::{citation, id};
use crate::names::ToolNames;
use crate::{At, DialectId, Losses, Refusal, Target, media};

use super::tools::Marks;

/// What stands in where a question is demanded and none was asked.
const EMPTY_QUESTION: &str = ".";
const CONTINUE: &str = "Continue.";

/// Writes the value of `messages`.
pub(super) fn write(
    out: &mut Vec<u8>,
    request: &Request,
    target: &Target<'_>,
    names: &ToolNames,
    marks: &mut Marks,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let rules = Rules {
        mid_system: if target.quirks.system_in_messages {
            MidSystem::Keep
        } else {
            MidSystem::User
        },
        spell_id: id::spell,
    };
    let arranged = arrange::arrange(&request.turns, &rules)?;
    let mut messages: Vec<Message> = Vec::new();
    let mut writer = Writer {
        role: Role::User,
        names,
        marks,
        losses,
        beginning: beginning(&arranged),
    };
    for turn in &arranged {
        let (documents, others): (Vec<_>, Vec<_>) = turn
            .parts
            .iter()
            .partition(|placed| is_hoisted(turn.role, placed));
        // A document in an answer is refused since version 2026-10-21; it moves to the end of the question before.
        let mut question = Message::new(Role::User);
        writer.role = Role::User;
        for placed in documents {
            let note = "moved to the question before: answers hold no documents";
            writer.losses.push(placed.part.at.clone(), "", note);
            writer.part(placed, &mut question)?;
        }
        let mut message = Message::new(turn.role);
        writer.role = turn.role;
        for placed in others {
            writer.part(placed, &mut message)?;
        }
        for message in [question, message] {
            match messages.last_mut() {
                _ if message.blocks.is_empty() => {}
                Some(last) if last.role == message.role => last.append(message),
                _ => messages.push(message),
            }
        }
    }
    if messages
        .first()
        .is_none_or(|first| first.role == Role::Assistant)
    {
        let (at, note) = match messages.first() {
            Some(first) => (
                arrange::turn_of(&first.begins),
                "a question `.` was put before it: Anthropic demands one",
            ),
            None => (
                At::Turn { turn: 0 },
                "a question `.` stands in for the empty one: Anthropic demands words",
            ),
        };
        writer.losses.push(at, "", note);
        messages.insert(0, Message::said(EMPTY_QUESTION));
    }
    if let Some(last) = messages.last().filter(|last| last.role == Role::Assistant)
        && !target.quirks.prefill
    {
        let note = "not a beginning to go on from: this model answers questions only";
        writer.losses.push(arrange::turn_of(&last.begins), "", note);
        messages.push(Message::said(CONTINUE));
    }
    let mut array = Array::new(out);
    for message in messages {
        message.write(&mut array, request, losses);
    }
    Ok(())
}

/// The text that a last answer ends with: the model goes on from there.
fn beginning<'a>(arranged: &[Arranged<'a>]) -> Option<&'a Part> {
    let answer = arranged
        .last()
        .filter(|turn| turn.role == Role::Assistant)?;
    let mut parts = answer.parts.iter().rev().map(|placed| placed.part);
    parts.find(|part| match &part.body {
        PartBody::Text(text) => !text.text.trim().is_empty(),
        PartBody::Media(_)
        | PartBody::Reasoning(_)
        | PartBody::ToolCall(_)
        | PartBody::ToolResult(_)
        | PartBody::Refusal(_)
        | PartBody::Opaque(_) => true,
    })
}

/// A document that an assistant message may not hold.
fn is_hoisted(role: Role, placed: &Placed<'_>) -> bool {
    role == Role::Assistant
        && matches!(&placed.part.body, PartBody::Media(media) if media.kind == MediaKind::Document)
}

/// A message being written.
#[derive(Debug)]
struct Message {
    role: Role,
    /// Blocks, with commas between them.
    blocks: Vec<u8>,
    /// Where its first block stood.
    begins: At,
    /// The turns of the source that it is made of.
    turns: Vec<u32>,
}

impl Message {
    fn new(role: Role) -> Self {
        Self {
            role,
            blocks: Vec::new(),
            begins: At::Request,
            turns: Vec::new(),
        }
    }

    fn said(text: &str) -> Self {
        let mut message = Self::new(Role::User);
        let mut block = Object::new(&mut message.blocks);
        block.string("type", "text");
        block.string("text", text);
        drop(block);
        message
    }

    /// The place for the next block.
    fn next(&mut self, at: &At) -> &mut Vec<u8> {
        if let At::Turn { turn } = arrange::turn_of(at)
            && self.turns.last() != Some(&turn)
        {
            self.turns.push(turn);
        }
        if self.blocks.is_empty() {
            self.begins = at.clone();
        } else {
            self.blocks.push(b',');
        }
        &mut self.blocks
    }

    fn append(&mut self, other: Self) {
        self.blocks.push(b',');
        self.blocks.extend_from_slice(&other.blocks);
        self.turns.extend(other.turns);
    }

    fn write(self, array: &mut Array<'_>, request: &Request, losses: &mut Losses) {
        let mut object = array.object();
        let role = match self.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
        };
        object.string("role", role);
        let out = object.value("content");
        out.push(b'[');
        out.extend_from_slice(&self.blocks);
        out.push(b']');
        let extra = |turn: &u32| Some(&request.turns.get(usize::try_from(*turn).ok()?)?.extra);
        match self.turns.as_slice() {
            [turn] => {
                for (key, json) in extra(turn)
                    .into_iter()
                    .flat_map(|extra| extra.of(DialectId::Messages))
                {
                    object.raw(key, json);
                }
            }
            turns => {
                for turn in turns {
                    for (key, _) in extra(turn)
                        .into_iter()
                        .flat_map(|extra| extra.of(DialectId::Messages))
                    {
                        losses.push(
                            At::Turn { turn: *turn },
                            key,
                            "dropped: the message was joined with its neighbour",
                        );
                    }
                }
            }
        }
    }
}

struct Writer<'a> {
    role: Role,
    names: &'a ToolNames,
    marks: &'a mut Marks,
    losses: &'a mut Losses,
    beginning: Option<&'a Part>,
}

impl Writer<'_> {
    fn part(&mut self, placed: &Placed<'_>, message: &mut Message) -> Result<(), Refusal> {
        let part = placed.part;
        match &part.body {
            PartBody::Text(text) => {
                if text.text.trim().is_empty() {
                    return Ok(());
                }
                self.losses
                    .extra(&part.extra, &part.at, DialectId::Messages);
                let mut block = Object::new(message.next(&part.at));
                block.string("type", "text");
                if placed.instruction {
                    let note = "instructions in the middle became a framed text of the user: this model takes them at the front only";
                    self.losses.push(part.at.clone(), "", note);
                    block.string(
                        "text",
                        &format!("<system-message>\n{}\n</system-message>", text.text),
                    );
                } else if self.beginning.is_some_and(|last| std::ptr::eq(last, part))
                    && text.text.trim_end() != text.text
                {
                    let note = "white space at the end was taken off: Anthropic refuses it";
                    self.losses.push(part.at.clone(), "", note);
                    block.string("text", text.text.trim_end());
                } else {
                    block.string("text", &text.text);
                }
                self.citations(&mut block, text, part);
                self.close(&mut block, part);
            }
            PartBody::Refusal(text) => {
                if !text.trim().is_empty() {
                    let mut block = Object::new(message.next(&part.at));
                    block.string("type", "text");
                    block.string("text", text);
                    self.close(&mut block, part);
                }
            }
            PartBody::Media(media) => {
                self.losses
                    .extra(&part.extra, &part.at, DialectId::Messages);
                let mut block = Object::new(message.next(&part.at));
                write_media(&mut block, media, part)?;
                self.close(&mut block, part);
            }
            PartBody::Reasoning(thought) => {
                // Anthropic's own thoughts return as they came; nobody takes another's, so those go without a word.
                let own = thought.proof.as_ref().filter(|proof| {
                    proof.of == DialectId::Messages && self.role == Role::Assistant
                });
                if let Some(proof) = own {
                    let out = message.next(&part.at);
                    if proof.kind == crate::messages::SIGNATURE {
                        let mut block = Object::new(out);
                        block.string("type", "thinking");
                        block.string("thinking", &thought.text);
                        block.raw("signature", &proof.json);
                    } else {
                        out.extend_from_slice(proof.json.get().as_bytes());
                    }
                }
            }
            PartBody::ToolCall(call) => {
                if self.role != Role::Assistant {
                    let refusal = "a tool call stands outside of the assistant's messages";
                    return Err(Refusal::new(part.at.clone(), refusal));
                }
                self.losses
                    .extra(&part.extra, &part.at, DialectId::Messages);
                let mut block = Object::new(message.next(&part.at));
                block.string("type", "tool_use");
                block.string("id", &placed.id);
                block.string("name", self.names.sent(&call.name));
                write_input(block.value("input"), call, &part.at)?;
                self.close(&mut block, part);
            }
            PartBody::ToolResult(result) => {
                self.losses
                    .extra(&part.extra, &part.at, DialectId::Messages);
                let mut block = Object::new(message.next(&part.at));
                block.string("type", "tool_result");
                block.string("tool_use_id", &placed.id);
                self.result(&mut block, result)?;
                if result.is_error {
                    block.bool("is_error", true);
                }
                self.close(&mut block, part);
            }
            PartBody::Opaque(opaque) => {
                if opaque.of == DialectId::Messages {
                    message
                        .next(&part.at)
                        .extend_from_slice(opaque.json.get().as_bytes());
                } else {
                    let note = format!("dropped: {} is known to {} only", opaque.kind, opaque.of);
                    self.losses.push(part.at.clone(), "", note);
                }
            }
        }
        Ok(())
    }

    /// What only this dialect has, and the cache mark.
    fn close(&mut self, block: &mut Object<'_>, part: &Part) {
        for (key, json) in part.extra.of(DialectId::Messages) {
            if key != "source" && !key.starts_with("citations.") {
                block.raw(key, json);
            }
        }
        self.marks.write(block, part.cache, &part.at, self.losses);
    }

    /// Citations of earlier answers, where they are Anthropic's own; others were made for the reader, not the model.
    fn citations(&mut self, block: &mut Object<'_>, text: &crate::hub::Text, part: &Part) {
        let own = text.citations.iter().filter(|citation| {
            let source = citation.source.as_ref();
            source.is_some_and(|source| source.of == DialectId::Messages)
        });
        let own: Vec<_> = own.collect();
        if own.is_empty() {
            return;
        }
        if self.role != Role::Assistant {
            self.losses.push(
                part.at.clone(),
                "citations",
                "dropped: only answers hold citations",
            );
            return;
        }
        let mut list = block.array("citations");
        for citation in own {
            citation::write(list.value(), citation);
        }
    }

    fn result(&mut self, block: &mut Object<'_>, result: &ToolResult) -> Result<(), Refusal> {
        if let [
            Part {
                body: PartBody::Text(text),
                cache: None,
                extra,
                ..
            },
        ] = result.parts.as_slice()
            && extra.is_empty()
        {
            block.string("content", &text.text);
            return Ok(());
        }
        let mut blocks = Vec::new();
        let mut list = Array::new(&mut blocks);
        for part in &result.parts {
            match &part.body {
                PartBody::Text(text) => {
                    if text.text.trim().is_empty() {
                        continue;
                    }
                    self.losses
                        .extra(&part.extra, &part.at, DialectId::Messages);
                    let mut inner = list.object();
                    inner.string("type", "text");
                    inner.string("text", &text.text);
                    self.close(&mut inner, part);
                }
                PartBody::Media(media) => {
                    self.losses
                        .extra(&part.extra, &part.at, DialectId::Messages);
                    let mut inner = list.object();
                    write_media(&mut inner, media, part)?;
                    self.close(&mut inner, part);
                }
                PartBody::Opaque(opaque) if opaque.of == DialectId::Messages => {
                    list.raw(&opaque.json);
                }
                PartBody::Opaque(_)
                | PartBody::Reasoning(_)
                | PartBody::ToolCall(_)
                | PartBody::ToolResult(_)
                | PartBody::Refusal(_) => {
                    self.losses.push(
                        part.at.clone(),
                        "",
                        "dropped: a tool result holds texts, images and documents",
                    );
                }
            }
        }
        let empty = list.is_empty();
        drop(list);
        if !empty {
            block.value("content").extend_from_slice(&blocks);
        }
        Ok(())
    }
}

/// `input` must be an object; nothing said is an empty one.
fn write_input(out: &mut Vec<u8>, call: &ToolCall, at: &At) -> Result<(), Refusal> {
    if call.custom {
        Object::new(out).string("input", &call.arguments);
        return Ok(());
    }
    let text = call.arguments.trim();
    if text.is_empty() || text == "null" {
        out.extend_from_slice(b"{}");
        return Ok(());
    }
    if Node::parse(text.as_bytes()).is_ok_and(Node::is_object) {
        out.extend_from_slice(compact(text).as_bytes());
        return Ok(());
    }
    Err(Refusal::new(
        at.clone(),
        format!(
            "the arguments of tool call '{}' are not an object; Anthropic takes nothing else",
            call.id
        ),
    ))
}

fn write_media(block: &mut Object<'_>, media: &Media, part: &Part) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(part.at.clone(), message));
    let kind = match (media.kind, &media.source) {
        (MediaKind::Audio, _) => {
            return refuse(
                "audio cannot be sent: Anthropic takes texts, images and documents".to_owned(),
            );
        }
        (MediaKind::Video, _) => {
            return refuse(
                "video cannot be sent: Anthropic takes texts, images and documents".to_owned(),
            );
        }
        (MediaKind::Image, Source::Base64(_) | Source::Url(_) | Source::File(_)) => "image",
        (MediaKind::Image, Source::Text(_) | Source::Parts(_)) | (MediaKind::Document, _) => {
            "document"
        }
    };
    if let Some(source) = part.extra.get(DialectId::Messages, "source") {
        block.string("type", "search_result");
        block.raw("source", source);
        block.string("title", media.name.as_deref().unwrap_or_default());
        let pieces = match &media.source {
            Source::Parts(pieces) => pieces.as_slice(),
            Source::Base64(_) | Source::Url(_) | Source::File(_) | Source::Text(_) => &[],
        };
        write_pieces(block, pieces, part)?;
    } else {
        block.string("type", kind);
        let mut source = block.object("source");
        if kind == "image" {
            write_image_source(&mut source, media, &part.at)?;
        } else {
            write_document_source(&mut source, media, part)?;
        }
        drop(source);
        if kind == "document" {
            block.some_string("title", media.name.as_deref());
            block.some_string("context", media.context.as_deref());
        }
    }
    let mut own = part
        .extra
        .of(DialectId::Messages)
        .filter_map(|(key, json)| Some((key.strip_prefix("citations.")?, json)))
        .peekable();
    if media.citations || own.peek().is_some() {
        let mut citations = block.object("citations");
        citations.bool("enabled", media.citations);
        for (key, json) in own {
            citations.raw(key, json);
        }
    }
    Ok(())
}

fn write_image_source(source: &mut Object<'_>, media: &Media, at: &At) -> Result<(), Refusal> {
    match &media.source {
        Source::Base64(data) => {
            let mime = media::sniff(data)
                .or(media.mime.as_deref())
                .unwrap_or("an unknown type");
            let mime = if mime == "image/jpg" {
                "image/jpeg"
            } else {
                mime
            };
            if !matches!(
                mime,
                "image/jpeg" | "image/png" | "image/gif" | "image/webp"
            ) {
                let message = format!(
                    "an image of {mime} cannot be sent: Anthropic takes image/jpeg, image/png, image/gif and image/webp"
                );
                return Err(Refusal::new(at.clone(), message));
            }
            source.string("type", "base64");
            source.string("media_type", mime);
            source.string("data", data);
            Ok(())
        }
        Source::Url(url) => write_url(source, url, at),
        Source::File(file) => write_file(source, file, at),
        Source::Text(_) | Source::Parts(_) => Ok(()),
    }
}

fn write_document_source(
    source: &mut Object<'_>,
    media: &Media,
    part: &Part,
) -> Result<(), Refusal> {
    match &media.source {
        Source::Base64(data) => {
            let mime = media::sniff(data)
                .or(media.mime.as_deref())
                .unwrap_or("an unknown type");
            if mime == "application/pdf" {
                source.string("type", "base64");
                source.string("media_type", mime);
                source.string("data", data);
                return Ok(());
            }
            let textual =
                mime.starts_with("text/") || matches!(mime, "application/json" | "application/xml");
            let Some(text) = textual.then(|| media::text_of(data)).flatten() else {
                let message = format!(
                    "a document of {mime} cannot be sent: Anthropic takes PDF and text in UTF-8"
                );
                return Err(Refusal::new(part.at.clone(), message));
            };
            write_text(source, &text);
            Ok(())
        }
        Source::Url(url) => write_url(source, url, &part.at),
        Source::File(file) => write_file(source, file, &part.at),
        Source::Text(text) => {
            write_text(source, text);
            Ok(())
        }
        Source::Parts(pieces) => {
            source.string("type", "content");
            write_pieces(source, pieces, part)
        }
    }
}

fn write_text(source: &mut Object<'_>, text: &str) {
    source.string("type", "text");
    source.string("media_type", "text/plain");
    source.string("data", text);
}

fn write_pieces(object: &mut Object<'_>, pieces: &[Media], part: &Part) -> Result<(), Refusal> {
    let mut list = object.array("content");
    for piece in pieces {
        let mut block = list.object();
        match (&piece.kind, &piece.source) {
            (_, Source::Text(text)) => {
                block.string("type", "text");
                block.string("text", text);
            }
            (MediaKind::Image, Source::Base64(_) | Source::Url(_) | Source::File(_)) => {
                block.string("type", "image");
                write_image_source(&mut block.object("source"), piece, &part.at)?;
            }
            (MediaKind::Image | MediaKind::Audio | MediaKind::Video | MediaKind::Document, _) => {
                let message = "a document made of parts holds texts and images only";
                return Err(Refusal::new(part.at.clone(), message));
            }
        }
    }
    Ok(())
}

fn write_url(source: &mut Object<'_>, url: &str, at: &At) -> Result<(), Refusal> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        let message = "Anthropic fetches https addresses only; send the bytes instead";
        return Err(Refusal::new(at.clone(), message));
    }
    source.string("type", "url");
    source.string("url", url);
    Ok(())
}

/// Anthropic's file ids begin with `file_`; OpenAI's with `file-`, Gemini's with `files/` or an address.
fn write_file(source: &mut Object<'_>, file: &str, at: &At) -> Result<(), Refusal> {
    if !file.starts_with("file_") {
        let message =
            format!("the file '{file}' lies with another vendor; send its content instead");
        return Err(Refusal::new(at.clone(), message));
    }
    source.string("type", "file");
    source.string("file_id", file);
    Ok(())
}
