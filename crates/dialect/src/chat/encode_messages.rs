//! Writes the conversation of a request as Chat messages.

use std::borrow::Cow;

use super::answer;
use super::content::TOOL_ERROR;
use super::response::write_call;
use crate::arrange::{Arranged, Placed, turn_of};
use crate::free_form;
use crate::hub::{
    Detail, Extra, Media, MediaKind, Part, PartBody, Request, Role, Source, ToolCall, ToolResult,
    Turn,
};
use crate::json::{Array, Object};
use crate::media::{kind_of, sniff, text_of};
use crate::names::ToolNames;
use crate::quirks::{CallIdForm, EmptyContent, ReasoningReplay};
use crate::{At, DialectId, Losses, Quirks, Refusal, Target};

/// What stands in for reasoning that is demanded and not known.
const BLANK: &str = " ";

/// OpenAI's limit of a call's id is 64; `arrange` may append a number.
const LONGEST_ID: usize = 60;
/// Chat at OpenAI itself takes 40.
const SHORT_ID: usize = 36;

/// How the ids of calls are spelled.
pub(crate) fn speller(form: CallIdForm) -> fn(&str) -> Cow<'_, str> {
    match form {
        CallIdForm::Usual => spell_id,
        CallIdForm::Short => |id| spell_within(id, SHORT_ID),
        CallIdForm::Alnum9 => spell_nine,
    }
}

/// A call's id as OpenAI takes it: any text, if not too long.
pub(crate) fn spell_id(id: &str) -> Cow<'_, str> {
    spell_within(id, LONGEST_ID)
}

fn spell_within(id: &str, longest: usize) -> Cow<'_, str> {
    if id.is_empty() {
        return Cow::Borrowed("call");
    }
    if id.len() <= longest {
        return Cow::Borrowed(id);
    }
    let hash = crate::fnv::fnv64(id);
    let head: String = id
        .chars()
        .filter(char::is_ascii)
        .take(longest - 17)
        .collect();
    Cow::Owned(format!("{head}_{hash:016x}"))
}

/// Nine letters and digits, made of the whole id.
fn spell_nine(id: &str) -> Cow<'_, str> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    let mut rest = crate::fnv::fnv64(id);
    let mut spelled = String::with_capacity(9);
    for _ in 0..9 {
        let digit = usize::try_from(rest % 62).unwrap_or(0);
        spelled.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'0')));
        rest /= 62;
    }
    Cow::Owned(spelled)
}

/// How tools are called at the target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spelling<'a> {
    pub(super) names: &'a ToolNames,
    /// Free-form tools are taken as such.
    pub(super) free_form: bool,
}

pub(super) fn write(
    messages: Array<'_>,
    request: &Request,
    turns: &[Arranged<'_>],
    target: &Target<'_>,
    spelling: Spelling<'_>,
    hint: Option<&str>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let quirks = target.quirks;
    if quirks.strict_alternation
        && let Some(first) = turns.first().filter(|first| first.role == Role::Assistant)
        && let Some(placed) = first.parts.first()
    {
        let message = "this upstream takes only conversations that the user begins";
        return Err(Refusal::new(turn_of(&placed.part.at), message));
    }
    for (index, turn) in request.turns.iter().enumerate() {
        let at = turn.parts.first().map_or_else(
            || At::Turn {
                turn: u32::try_from(index).unwrap_or(u32::MAX),
            },
            |part| turn_of(&part.at),
        );
        losses.extra(&turn.extra, &at, DialectId::Chat);
    }
    let mut writer = Writer {
        messages,
        own: request
            .turns
            .iter()
            .filter(|turn| turn.extra.of(DialectId::Chat).next().is_some())
            .collect(),
        moved: Vec::new(),
        quirks,
        spelling,
        losses,
    };
    writer.system(&request.system, hint);
    for (place, turn) in turns.iter().enumerate() {
        match turn.role {
            Role::User => writer.user(&turn.parts)?,
            Role::Assistant => writer.assistant(&turn.parts, place + 1 == turns.len()),
            Role::System => writer.instructions(&turn.parts),
        }
    }
    for part in std::mem::take(&mut writer.moved) {
        writer.losses.push(
            part.at.clone(),
            "",
            "dropped: an assistant's message holds text only",
        );
    }
    if writer.messages.is_empty() {
        return Err(Refusal::new(At::Request, "there is no message to send"));
    }
    if quirks.prefill_flag.is_none()
        && let Some(last) = turns.last().filter(|last| last.role == Role::Assistant)
        && let Some(placed) = last.parts.last()
    {
        writer.losses.push(
            turn_of(&placed.part.at),
            "",
            "sent as a finished message: chat models do not continue it",
        );
    }
    Ok(())
}

struct Writer<'a, 'w> {
    messages: Array<'w>,
    /// Turns with fields that only this dialect has, which go back into their messages.
    own: Vec<&'a Turn>,
    /// Media that an assistant's or a tool's message cannot hold; they go into the next message of the user.
    moved: Vec<&'a Part>,
    quirks: &'w Quirks,
    spelling: Spelling<'w>,
    losses: &'w mut Losses,
}

impl<'a> Writer<'a, '_> {
    /// The leading instructions as one message: many chat templates take no second one.
    fn system(&mut self, parts: &'a [Part], hint: Option<&str>) {
        let mut text = self.joined(parts.iter(), "\n\n");
        if let Some(hint) = hint {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(hint);
        }
        if text.is_empty() {
            return;
        }
        let marked = self.quirks.cache_control && parts.iter().any(|part| part.cache.is_some());
        let mut object = self.messages.object();
        object.string("role", "system");
        if marked {
            let mut content = object.array("content");
            for part in parts {
                if let PartBody::Text(piece) = &part.body
                    && !piece.text.is_empty()
                {
                    write_marked(&mut content, &piece.text, part, self.quirks);
                }
            }
            if let Some(hint) = hint {
                let mut piece = content.object();
                piece.string("type", "text");
                piece.string("text", hint);
            }
        } else {
            object.string("content", &text);
        }
        for (key, json) in parts.iter().flat_map(|part| part.extra.of(DialectId::Chat)) {
            object.raw(key, json);
        }
    }

    fn instructions(&mut self, placed: &[Placed<'a>]) {
        let text = self.joined(placed.iter().map(|placed| placed.part), "\n\n");
        if text.is_empty() {
            return;
        }
        let mut object = self.messages.object();
        object.string("role", "system");
        object.string("content", &text);
        write_own(&mut object, &self.own, placed);
    }

    /// The texts of parts that hold nothing else; what is no text is lost.
    fn joined(&mut self, parts: impl Iterator<Item = &'a Part>, between: &str) -> String {
        let mut whole = String::new();
        for part in parts {
            self.losses.extra(&part.extra, &part.at, DialectId::Chat);
            let text = match &part.body {
                PartBody::Text(text) => &text.text,
                PartBody::Refusal(text) => text,
                PartBody::Reasoning(_) => continue,
                PartBody::Media(_)
                | PartBody::ToolCall(_)
                | PartBody::ToolResult(_)
                | PartBody::Opaque(_) => {
                    self.losses
                        .push(part.at.clone(), "", "dropped: instructions hold text only");
                    continue;
                }
            };
            if !whole.is_empty() && !text.is_empty() {
                whole.push_str(between);
            }
            whole.push_str(text);
        }
        whole
    }

    fn user(&mut self, placed: &[Placed<'a>]) -> Result<(), Refusal> {
        let mut rest = Vec::new();
        let mut results = Vec::new();
        for one in placed {
            match &one.part.body {
                PartBody::ToolResult(result) => results.push((one, result)),
                PartBody::Text(_) | PartBody::Media(_) | PartBody::Refusal(_) => {
                    rest.push(one.part);
                }
                PartBody::Opaque(opaque) if opaque.of == DialectId::Chat => rest.push(one.part),
                PartBody::Reasoning(_) => {}
                PartBody::ToolCall(_) => {
                    let note = "dropped: a user's message holds no tool calls";
                    self.losses.push(one.part.at.clone(), "", note);
                }
                PartBody::Opaque(opaque) => {
                    let note = format!("dropped: only {} has {}", opaque.of, opaque.kind);
                    self.losses.push(one.part.at.clone(), "", note);
                }
            }
        }
        let folded = !self.quirks.user_after_tool && !results.is_empty();
        let last = results.len().saturating_sub(1);
        for (place, (one, result)) in results.into_iter().enumerate() {
            let after: &[&Part] = if folded && place == last { &rest } else { &[] };
            self.tool(one, result, after)?;
        }
        if folded {
            return Ok(());
        }
        let mut parts = std::mem::take(&mut self.moved);
        parts.append(&mut rest);
        if parts.is_empty() {
            return Ok(());
        }
        for part in &parts {
            self.losses.extra(&part.extra, &part.at, DialectId::Chat);
        }
        let mut object = self.messages.object();
        object.string("role", "user");
        match parts.as_slice() {
            [
                Part {
                    body: PartBody::Text(text),
                    extra,
                    cache,
                    ..
                },
            ] if extra.of(DialectId::Chat).next().is_none()
                && !(self.quirks.cache_control && cache.is_some()) =>
            {
                object.string("content", &text.text);
            }
            parts => {
                let mut content = object.array("content");
                for part in parts {
                    write_part(&mut content, part, self.quirks, self.losses)?;
                }
            }
        }
        write_own(&mut object, &self.own, placed);
        Ok(())
    }

    /// `after` is what the user says after the results, where no message of the user may follow them.
    fn tool(
        &mut self,
        placed: &Placed<'a>,
        result: &'a ToolResult,
        after: &[&'a Part],
    ) -> Result<(), Refusal> {
        self.losses
            .extra(&placed.part.extra, &placed.part.at, DialectId::Chat);
        let mut text = String::new();
        if result.is_error {
            text.push_str(TOOL_ERROR);
        }
        let start = text.len();
        let add = |text: &mut String, piece: &str| {
            if text.len() > start {
                text.push('\n');
            }
            text.push_str(piece);
        };
        let mut marker: Option<&str> = None;
        let mut images: Vec<&Part> = Vec::new();
        for part in after {
            let note =
                "moved into the tool result: this upstream takes no message of the user after it";
            self.losses.push(part.at.clone(), "", note);
        }
        for part in result.parts.iter().chain(after.iter().copied()) {
            match &part.body {
                PartBody::Text(piece) => {
                    self.losses.extra(&part.extra, &part.at, DialectId::Chat);
                    add(&mut text, &piece.text);
                }
                PartBody::Refusal(piece) => add(&mut text, piece),
                PartBody::Media(media)
                    if self.quirks.tool_result_images && media.kind == MediaKind::Image =>
                {
                    images.push(part);
                }
                PartBody::Media(media) => {
                    marker = Some(match (media.kind, marker) {
                        (MediaKind::Image, None | Some("image")) => "image",
                        (
                            MediaKind::Image
                            | MediaKind::Audio
                            | MediaKind::Video
                            | MediaKind::Document,
                            _,
                        ) => "file",
                    });
                    self.losses.push(
                        part.at.clone(),
                        "",
                        "moved into a user message after the tool results: chat tools answer in text",
                    );
                    self.moved.push(part);
                }
                PartBody::Reasoning(_) => {}
                PartBody::ToolCall(_) | PartBody::ToolResult(_) => {
                    self.losses
                        .push(part.at.clone(), "", "dropped: a tool result holds no calls");
                }
                PartBody::Opaque(opaque) => {
                    let note = format!("dropped: only {} has {}", opaque.of, opaque.kind);
                    self.losses.push(part.at.clone(), "", note);
                }
            }
        }
        if let Some(what) = marker {
            add(&mut text, &format!("[{what} attached below]"));
        }
        let mut object = self.messages.object();
        object.string("role", "tool");
        object.string("tool_call_id", &placed.id);
        if images.is_empty() {
            object.string("content", &text);
        } else {
            let mut content = object.array("content");
            if !text.is_empty() {
                let mut piece = content.object();
                piece.string("type", "text");
                piece.string("text", &text);
            }
            for part in images {
                write_part(&mut content, part, self.quirks, self.losses)?;
            }
        }
        write_own(&mut object, &self.own, std::slice::from_ref(placed));
        Ok(())
    }

    /// The last message of a conversation may be one to continue.
    fn assistant(&mut self, placed: &[Placed<'a>], last: bool) {
        let mut text = String::new();
        let mut refusal = String::new();
        let mut calls: Vec<(&Placed<'a>, &ToolCall)> = Vec::new();
        let mut called = false;
        let mut details = Vec::new();
        let mut reasoning = String::new();
        for one in placed {
            let part = one.part;
            self.losses.extra(&part.extra, &part.at, DialectId::Chat);
            match &part.body {
                PartBody::Text(piece) => {
                    if std::mem::take(&mut called) {
                        self.losses
                            .push(part.at.clone(), "", "moved before the tool calls");
                        text.push_str("\n\n");
                    }
                    text.push_str(&piece.text);
                }
                PartBody::Refusal(piece) => refusal.push_str(piece),
                PartBody::ToolCall(call) => {
                    called = !text.is_empty();
                    calls.push((one, call));
                }
                PartBody::Media(_) => {
                    let note = "moved into the user's next message: an assistant's message holds text only";
                    self.losses.push(part.at.clone(), "", note);
                    self.moved.push(part);
                }
                // No chat server takes another vendor's state. Words that nobody signed are its own: others are not in the hub
                // any more when a request comes here through the vault.
                PartBody::Reasoning(thought) => {
                    if thought.proof.as_ref().is_none_or(answer::is_details) {
                        reasoning.push_str(&thought.text);
                    }
                    let proof = thought.proof.as_ref();
                    details.extend(proof.filter(|proof| answer::is_details(proof)));
                }
                PartBody::ToolResult(_) => {
                    self.losses.push(
                        part.at.clone(),
                        "",
                        "dropped: a tool result in an assistant's message",
                    );
                }
                PartBody::Opaque(opaque) => {
                    let note = format!("dropped: only {} has {}", opaque.of, opaque.kind);
                    self.losses.push(part.at.clone(), "", note);
                }
            }
        }
        if text.is_empty() && refusal.is_empty() && calls.is_empty() {
            return;
        }
        let mut object = self.messages.object();
        object.string("role", "assistant");
        match self.quirks.empty_content {
            _ if !text.is_empty() => object.string("content", &text),
            EmptyContent::Null => object.null("content"),
            EmptyContent::Text => object.string("content", ""),
            EmptyContent::Absent => {}
        }
        if let Some(flag) = &self.quirks.prefill_flag
            && last
            && calls.is_empty()
        {
            object.bool(flag, true);
        }
        if !refusal.is_empty() {
            object.string("refusal", &refusal);
        }
        let reasoning = match self.quirks.reasoning_replay {
            ReasoningReplay::None => None,
            ReasoningReplay::Accepted => Some(reasoning).filter(|text| !text.is_empty()),
            ReasoningReplay::Demanded if reasoning.is_empty() => {
                (!calls.is_empty()).then(|| BLANK.to_owned())
            }
            ReasoningReplay::Demanded => Some(reasoning),
        };
        object.some_string(self.quirks.reasoning_field.name(), reasoning.as_deref());
        answer::write_details(&mut object, &details);
        if !calls.is_empty() {
            let mut array = object.array("tool_calls");
            for (one, call) in calls {
                let mut entry = array.object();
                entry.string("id", &one.id);
                let wrap = call.custom && !self.spelling.free_form;
                let sent = ToolCall {
                    name: self.spelling.names.sent(&call.name).to_owned(),
                    arguments: if wrap {
                        free_form::arguments(&call.arguments)
                    } else {
                        call.arguments.clone()
                    },
                    custom: call.custom && !wrap,
                    ..call.clone()
                };
                write_call(&mut entry, &sent);
                write_plain(&mut entry, &one.part.extra);
            }
        }
        write_own(&mut object, &self.own, placed);
    }
}

/// Writes back what only this dialect's messages have, once each, for the turns whose parts stand in this message.
fn write_own(object: &mut Object<'_>, own: &[&Turn], placed: &[Placed<'_>]) {
    let mut written: Vec<&str> = Vec::new();
    for turn in own {
        let holds = |part: &Part| {
            turn.parts
                .as_ptr_range()
                .contains(&std::ptr::from_ref(part))
        };
        if !placed.iter().any(|placed| holds(placed.part)) {
            continue;
        }
        for (key, json) in turn.extra.of(DialectId::Chat) {
            if !written.contains(&key) {
                written.push(key);
                object.raw(key, json);
            }
        }
    }
}

/// Writes back the fields of a part; those of inner objects have their place there.
fn write_plain(object: &mut Object<'_>, extra: &Extra) {
    write_inner(object, extra, "");
}

fn write_inner(object: &mut Object<'_>, extra: &Extra, outer: &str) {
    for (key, json) in extra.of(DialectId::Chat) {
        match key.strip_prefix(outer) {
            Some(key) if !key.contains('.') => object.raw(key, json),
            Some(_) | None => {}
        }
    }
}

fn write_part(
    content: &mut Array<'_>,
    part: &Part,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    match &part.body {
        PartBody::Text(text) => write_marked(content, &text.text, part, quirks),
        PartBody::Refusal(text) => write_marked(content, text, part, quirks),
        PartBody::Media(media) => write_media(content, media, part, losses)?,
        PartBody::Opaque(opaque) => content.raw(&opaque.json),
        // Sorted out before.
        PartBody::Reasoning(_) | PartBody::ToolCall(_) | PartBody::ToolResult(_) => {}
    }
    Ok(())
}

/// With its mark, where the upstream understands marks.
fn write_marked(content: &mut Array<'_>, text: &str, part: &Part, quirks: &Quirks) {
    let mut object = content.object();
    object.string("type", "text");
    object.string("text", text);
    if quirks.cache_control && part.cache.is_some() {
        object.object("cache_control").string("type", "ephemeral");
    }
    write_plain(&mut object, &part.extra);
}

fn write_text(content: &mut Array<'_>, text: &str, extra: &Extra) {
    let mut object = content.object();
    object.string("type", "text");
    object.string("text", text);
    write_plain(&mut object, extra);
}

fn write_media(
    content: &mut Array<'_>,
    media: &Media,
    part: &Part,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(part.at.clone(), message));
    if media.citations {
        losses.push(
            part.at.clone(),
            "citations",
            "dropped: chat cites no documents",
        );
    }
    match (&media.source, media.kind) {
        (Source::File(id), _) => refuse(format!(
            "the file '{id}' lies in another vendor's store; send its bytes instead"
        )),
        (Source::Text(text), _) => {
            write_text(content, &framed(media, text), &part.extra);
            Ok(())
        }
        (Source::Parts(parts), _) => {
            let (open, close) = frame(media);
            let texts = parts.iter().filter_map(|part| match &part.source {
                Source::Text(text) => Some(text.as_str()),
                Source::Base64(_) | Source::Url(_) | Source::File(_) | Source::Parts(_) => None,
            });
            let texts: Vec<&str> = texts.collect();
            if texts.len() == parts.len() {
                let whole = format!("{open}\n{}\n{close}", texts.join("\n"));
                write_text(content, &whole, &part.extra);
                return Ok(());
            }
            write_text(content, &open, &part.extra);
            for inner in parts {
                match &inner.source {
                    Source::Text(text) => write_text(content, text, &Extra::default()),
                    Source::Parts(_) => {
                        return refuse("documents inside documents cannot be sent".to_owned());
                    }
                    Source::Base64(_) | Source::Url(_) | Source::File(_) => {
                        write_media(
                            content,
                            inner,
                            &Part {
                                extra: Extra::default(),
                                ..part.clone()
                            },
                            losses,
                        )?;
                    }
                }
            }
            write_text(content, close, &Extra::default());
            Ok(())
        }
        (Source::Url(url), MediaKind::Image) => {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return refuse(format!(
                    "chat upstreams fetch no '{url}'; send the bytes, or an https address"
                ));
            }
            write_image(content, url, media.detail, &part.extra);
            Ok(())
        }
        (Source::Url(_), MediaKind::Document) => refuse(
            "chat upstreams fetch no documents; send the bytes instead of an address".to_owned(),
        ),
        (Source::Url(_), MediaKind::Audio) => {
            refuse("chat upstreams fetch no sound; send the bytes, as wav or mp3".to_owned())
        }
        (_, MediaKind::Video) => refuse("chat upstreams take no video".to_owned()),
        (Source::Base64(data), MediaKind::Image) => {
            let mime = mime_of(media, data);
            let mime = match &*mime {
                "image/jpg" => "image/jpeg",
                mime @ ("image/png" | "image/jpeg" | "image/gif" | "image/webp") => mime,
                other => {
                    return refuse(format!(
                        "chat upstreams take png, jpeg, gif and webp images, not '{other}'"
                    ));
                }
            };
            write_image(
                content,
                &format!("data:{mime};base64,{data}"),
                media.detail,
                &part.extra,
            );
            Ok(())
        }
        (Source::Base64(data), MediaKind::Audio) => {
            let mime = mime_of(media, data);
            let format = match &*mime {
                "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
                "audio/mpeg" | "audio/mp3" => "mp3",
                other => {
                    return refuse(format!(
                        "chat upstreams take wav and mp3 sound, not '{other}'"
                    ));
                }
            };
            let mut object = content.object();
            object.string("type", "input_audio");
            {
                let mut audio = object.object("input_audio");
                audio.string("data", data);
                audio.string("format", format);
                write_inner(&mut audio, &part.extra, "input_audio.");
            }
            write_plain(&mut object, &part.extra);
            Ok(())
        }
        (Source::Base64(data), MediaKind::Document) => {
            write_document(content, media, data, part);
            Ok(())
        }
    }
}

fn write_document(content: &mut Array<'_>, media: &Media, data: &str, part: &Part) {
    let mime = mime_of(media, data);
    if mime.starts_with("text/")
        && let Some(text) = text_of(data)
    {
        write_text(content, &framed(media, &text), &part.extra);
        return;
    }
    let mut object = content.object();
    object.string("type", "file");
    {
        let mut file = object.object("file");
        let name = media.name.as_deref().filter(|name| !name.is_empty());
        file.string(
            "filename",
            name.unwrap_or(if &*mime == "application/pdf" {
                "document.pdf"
            } else {
                "document"
            }),
        );
        file.string("file_data", &format!("data:{mime};base64,{data}"));
        write_inner(&mut file, &part.extra, "file.");
    }
    if let Some(context) = &media.context {
        write_plain(&mut object, &part.extra);
        drop(object);
        write_text(content, context, &Extra::default());
    } else {
        write_plain(&mut object, &part.extra);
    }
}

/// What the bytes say that they are, else what the source said.
pub(crate) fn mime_of<'a>(media: &'a Media, data: &str) -> Cow<'a, str> {
    if let Some(mime) = sniff(data).filter(|mime| kind_of(mime) == media.kind) {
        return Cow::Borrowed(mime);
    }
    match &media.mime {
        Some(mime) => Cow::Owned(mime.to_ascii_lowercase()),
        None => Cow::Borrowed("application/octet-stream"),
    }
}

fn write_image(content: &mut Array<'_>, url: &str, detail: Option<Detail>, extra: &Extra) {
    let mut object = content.object();
    object.string("type", "image_url");
    {
        let mut image = object.object("image_url");
        image.string("url", url);
        image.some_string(
            "detail",
            detail.map(|detail| match detail {
                Detail::Auto | Detail::Medium => "auto",
                Detail::Low => "low",
                Detail::High => "high",
                Detail::Original => "original",
            }),
        );
        write_inner(&mut image, extra, "image_url.");
    }
    write_plain(&mut object, extra);
}

/// A document of text, as models are used to see one in a prompt.
pub(crate) fn framed(media: &Media, text: &str) -> String {
    let (open, close) = frame(media);
    format!("{open}\n{text}\n{close}")
}

fn frame(media: &Media) -> (String, &'static str) {
    let mut open = "<document".to_owned();
    for (key, value) in [("title", &media.name), ("context", &media.context)] {
        if let Some(value) = value {
            for piece in [" ", key, "=\"", &value.replace('"', "'"), "\""] {
                open.push_str(piece);
            }
        }
    }
    open.push('>');
    (open, "</document>")
}
