//! Writing the conversation as items, in the order in which it was said.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::arrange::{Arranged, Placed, turn_of};
use crate::chat::{TOOL_ERROR, framed, mime_of};
use crate::hub::{
    Detail, Extra, Media, MediaKind, Part, PartBody, Role, Source, ToolCall, ToolResult,
};
use crate::json::{Array, Fields, Node, Object};
use crate::media::base64_of;
use crate::names::flat;
use crate::responses::Form;
use crate::{At, DialectId, Losses, Refusal};

use super::encode::Writing;
use super::{MESSAGE, WHOLE};

/// Writes `instructions` and `input`.
pub(super) fn write(
    object: &mut Object<'_>,
    writing: &Writing<'_>,
    turns: &[Arranged<'_>],
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let request = writing.request;
    for turn in &request.turns {
        let at = turn.parts.first().map(|part| turn_of(&part.at));
        losses.extra(&turn.extra, &at.unwrap_or_default(), DialectId::Responses);
    }
    let own_role = |part: &Part| part.extra.get(DialectId::Responses, "role").is_some();
    // A field of text holds no cache mark; and without any item there is nothing to answer to.
    let marked = writing.target.quirks.cache_breakpoints
        && request.system.iter().any(|part| part.cache.is_some());
    let as_item = !writing.own && (marked || turns.is_empty());
    let (items, instructions): (Vec<&Part>, Vec<&Part>) = request
        .system
        .iter()
        .partition(|part| as_item || own_role(part));
    let calls = request.responses.iter().flat_map(|echo| &echo.calls);
    let mut writer = Writer {
        writing,
        losses,
        // The first of a name counts.
        forms: calls
            .rev()
            .map(|call| (call.name.as_str(), &call.form))
            .collect(),
        custom: BTreeSet::new(),
        moved: Vec::new(),
    };
    let mut text = writer.joined(&instructions);
    if let Some(hint) = writing.hint {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(hint);
    }
    if !text.is_empty() {
        object.string("instructions", &text);
    }
    if writing.own && items.is_empty() && turns.is_empty() {
        // What is kept at the vendor's stands for it.
        return Ok(());
    }
    let mut array = object.array("input");
    writer.messages(&mut array, Role::System, &items, None)?;
    for (index, turn) in turns.iter().enumerate() {
        let extra = writing
            .own
            .then(|| request.turns.get(index).map(|turn| &turn.extra));
        writer.turn(&mut array, turn, extra.flatten())?;
    }
    for part in std::mem::take(&mut writer.moved) {
        let note = "dropped: an assistant's message holds text only";
        writer.losses.push(part.at.clone(), "", note);
    }
    if array.is_empty() {
        return Err(Refusal::new(At::Request, "there is no message to send"));
    }
    if writing.own {
        return Ok(());
    }
    if let Some(last) = turns.last().filter(|last| last.role == Role::Assistant)
        && let Some(placed) = last.parts.last()
    {
        writer.losses.push(
            turn_of(&placed.part.at),
            "",
            "sent as a finished message: these models do not continue it",
        );
    }
    Ok(())
}

struct Writer<'a, 'w> {
    writing: &'w Writing<'a>,
    losses: &'w mut Losses,
    /// By the names of their tools.
    forms: BTreeMap<&'w str, &'w Form>,
    /// Ids of the calls of free-form tools, whose results are items of another type.
    custom: BTreeSet<String>,
    /// Media that an assistant's message cannot hold; they go into the next message of the user.
    moved: Vec<&'w Part>,
}

impl<'w> Writer<'_, 'w> {
    fn joined(&mut self, parts: &[&Part]) -> String {
        let mut whole = String::new();
        for part in parts {
            self.losses
                .extra(&part.extra, &part.at, DialectId::Responses);
            let text = match &part.body {
                PartBody::Text(text) => &text.text,
                PartBody::Refusal(text) => text,
                PartBody::Reasoning(_) => continue,
                PartBody::Media(_)
                | PartBody::ToolCall(_)
                | PartBody::ToolResult(_)
                | PartBody::Opaque(_) => {
                    let note = "dropped: instructions hold text only";
                    self.losses.push(part.at.clone(), "", note);
                    continue;
                }
            };
            if !whole.is_empty() && !text.is_empty() {
                whole.push_str("\n\n");
            }
            whole.push_str(text);
        }
        whole
    }

    fn turn(
        &mut self,
        array: &mut Array<'_>,
        turn: &Arranged<'w>,
        mut extra: Option<&Extra>,
    ) -> Result<(), Refusal> {
        let mut said: Vec<&'w Part> = Vec::new();
        for placed in &turn.parts {
            let part = placed.part;
            match &part.body {
                PartBody::Media(_) if turn.role == Role::Assistant && !self.writing.own => {
                    let note = "moved into the user's next message: an assistant's message holds text only";
                    self.losses.push(part.at.clone(), "", note);
                    self.moved.push(part);
                }
                PartBody::Text(_) | PartBody::Refusal(_) | PartBody::Media(_) => said.push(part),
                PartBody::Opaque(opaque) if opaque.of == DialectId::Responses => {
                    if matches!(part.at, At::Part { .. }) {
                        said.push(part);
                    } else {
                        self.flush(array, turn.role, &mut said, &mut extra)?;
                        array.raw(&opaque.json);
                    }
                }
                PartBody::Opaque(opaque) => {
                    let note = format!("dropped: only {} has {}", opaque.of, opaque.kind);
                    self.losses.push(part.at.clone(), "", note);
                }
                PartBody::Reasoning(thought) => {
                    // The vendor's own state; nobody takes another's.
                    let proof = thought.proof.as_ref();
                    if let Some(proof) = proof.filter(|proof| proof.of == DialectId::Responses) {
                        self.flush(array, turn.role, &mut said, &mut extra)?;
                        array.raw(&proof.json);
                    }
                }
                PartBody::ToolCall(call) => {
                    self.flush(array, turn.role, &mut said, &mut extra)?;
                    self.call(array, placed, call);
                }
                PartBody::ToolResult(result) => {
                    self.flush(array, turn.role, &mut said, &mut extra)?;
                    self.result(array, placed, result)?;
                }
            }
        }
        self.flush(array, turn.role, &mut said, &mut extra)
    }

    fn flush(
        &mut self,
        array: &mut Array<'_>,
        role: Role,
        said: &mut Vec<&'w Part>,
        extra: &mut Option<&Extra>,
    ) -> Result<(), Refusal> {
        let mut parts = std::mem::take(said);
        if role == Role::User && !self.moved.is_empty() {
            let mut moved = std::mem::take(&mut self.moved);
            moved.append(&mut parts);
            parts = moved;
        }
        if parts.is_empty() {
            return Ok(());
        }
        self.messages(array, role, &parts, extra.take())
    }

    /// Neighbouring parts as one message, or as the messages that they were in this dialect.
    fn messages(
        &mut self,
        array: &mut Array<'_>,
        role: Role,
        parts: &[&Part],
        extra: Option<&Extra>,
    ) -> Result<(), Refusal> {
        let mut rest = parts;
        let mut extra = extra;
        while let Some(first) = rest.first() {
            let together = if self.writing.own {
                let message = turn_of(&first.at);
                rest.iter()
                    .take_while(|part| turn_of(&part.at) == message)
                    .count()
            } else {
                rest.len()
            };
            let (message, tail) = rest.split_at(together);
            rest = tail;
            self.message(array, role, message, extra.take())?;
        }
        Ok(())
    }

    fn message(
        &mut self,
        array: &mut Array<'_>,
        role: Role,
        parts: &[&Part],
        extra: Option<&Extra>,
    ) -> Result<(), Refusal> {
        let own = |key: &str| {
            let first = parts.first()?;
            first.extra.get(DialectId::Responses, key)
        };
        let mut item = array.object();
        item.string("type", "message");
        match own("role") {
            Some(word) => item.raw("role", word),
            None => item.string(
                "role",
                match role {
                    Role::User => "user",
                    Role::Assistant => "assistant",
                    Role::System if self.writing.target.quirks.developer_role => "developer",
                    Role::System => "system",
                },
            ),
        }
        for (key, node) in beside(own(MESSAGE)).iter() {
            item.value(key).extend_from_slice(node.raw().as_bytes());
        }
        for (key, json) in extra
            .into_iter()
            .flat_map(|extra| extra.of(DialectId::Responses))
        {
            item.raw(key, json);
        }
        let mut content = item.array("content");
        for part in parts {
            self.losses
                .extra(&part.extra, &part.at, DialectId::Responses);
            self.part(&mut content, part, role == Role::Assistant)?;
        }
        Ok(())
    }

    fn part(
        &mut self,
        content: &mut Array<'_>,
        part: &Part,
        assistant: bool,
    ) -> Result<(), Refusal> {
        match &part.body {
            PartBody::Text(text) => self.text(content, &text.text, part, assistant),
            PartBody::Refusal(text) if assistant => {
                let mut object = content.object();
                object.string("type", "refusal");
                object.string("refusal", text);
                self.close(&mut object, part);
            }
            PartBody::Refusal(text) => self.text(content, text, part, false),
            PartBody::Media(media) => self.media(content, media, part)?,
            PartBody::Opaque(opaque) => content.raw(&opaque.json),
            // Items of their own.
            PartBody::Reasoning(_) | PartBody::ToolCall(_) | PartBody::ToolResult(_) => {}
        }
        Ok(())
    }

    fn text(&self, content: &mut Array<'_>, text: &str, part: &Part, assistant: bool) {
        let mut object = content.object();
        let kind = if assistant {
            "output_text"
        } else {
            "input_text"
        };
        object.string("type", kind);
        object.string("text", text);
        // Marks stand on input alone.
        if !assistant || self.writing.own {
            self.close(&mut object, part);
        }
    }

    /// What only this dialect has, and the cache mark.
    fn close(&self, object: &mut Object<'_>, part: &Part) {
        let of_message = beside(part.extra.get(DialectId::Responses, MESSAGE));
        for (key, json) in part.extra.of(DialectId::Responses) {
            if !matches!(key, "role" | MESSAGE) && of_message.get(key).is_none() {
                object.raw(key, json);
            }
        }
        if part.cache.is_some() && !self.writing.own && self.writing.target.quirks.cache_breakpoints
        {
            object
                .object("prompt_cache_breakpoint")
                .string("mode", "explicit");
        }
    }

    fn call(&mut self, array: &mut Array<'_>, placed: &Placed<'_>, call: &ToolCall) {
        let part = placed.part;
        self.losses
            .extra(&part.extra, &part.at, DialectId::Responses);
        if call.custom {
            self.custom.insert(placed.id.clone());
        }
        if let Some(whole) = part.extra.get(DialectId::Responses, WHOLE) {
            array.raw(whole);
            return;
        }
        let mut item = array.object();
        let (kind, input) = if call.custom {
            ("custom_tool_call", "input")
        } else {
            ("function_call", "arguments")
        };
        item.string("type", kind);
        item.string("call_id", &placed.id);
        if self.writing.own {
            item.string("name", self.own_name(part, call));
        } else {
            item.string("name", self.writing.names.sent(&call.name));
        }
        if call.arguments.trim().is_empty() && !call.custom {
            item.string(input, "{}");
        } else {
            item.string(input, &call.arguments);
        }
        for (key, json) in part.extra.of(DialectId::Responses) {
            item.raw(key, json);
        }
    }

    /// The name inside of its namespace.
    fn own_name<'c>(&'c self, part: &Part, call: &'c ToolCall) -> &'c str {
        let Some(space) = part.extra.get(DialectId::Responses, "namespace") else {
            return self.writing.names.sent(&call.name);
        };
        match self.forms.get(call.name.as_str()) {
            Some(Form::Namespaced { name, .. } | Form::Custom { name, .. }) => name,
            Some(Form::LocalShell | Form::Shell | Form::ApplyPatch) | None => {
                let space = Node::from(space).text().unwrap_or_default();
                let bare = call.name.strip_prefix(&flat(&space, ""));
                bare.unwrap_or(&call.name)
            }
        }
    }

    fn result(
        &mut self,
        array: &mut Array<'_>,
        placed: &Placed<'_>,
        result: &ToolResult,
    ) -> Result<(), Refusal> {
        let part = placed.part;
        self.losses
            .extra(&part.extra, &part.at, DialectId::Responses);
        if let Some(whole) = part.extra.get(DialectId::Responses, WHOLE) {
            array.raw(whole);
            return Ok(());
        }
        let mut item = array.object();
        match part.extra.get(DialectId::Responses, "type") {
            Some(kind) => item.raw("type", kind),
            None if self.custom.contains(&placed.id) => {
                item.string("type", "custom_tool_call_output");
            }
            None => item.string("type", "function_call_output"),
        }
        item.string("call_id", &placed.id);
        if self.writing.own {
            let name = result.name.as_deref();
            item.some_string("name", name.map(|name| self.writing.names.sent(name)));
        }
        let prefix = if result.is_error { TOOL_ERROR } else { "" };
        match result.parts.as_slice() {
            [] => item.string("output", prefix.trim_end()),
            [
                Part {
                    body: PartBody::Text(text),
                    cache,
                    extra,
                    ..
                },
            ] if extra.of(DialectId::Responses).next().is_none()
                && (cache.is_none() || !self.writing.target.quirks.cache_breakpoints) =>
            {
                if let Some(one) = result.parts.first() {
                    self.losses.extra(extra, &one.at, DialectId::Responses);
                }
                if prefix.is_empty() {
                    item.string("output", &text.text);
                } else {
                    item.string("output", &format!("{prefix}{}", text.text));
                }
            }
            parts => {
                let mut list = item.array("output");
                self.outputs(&mut list, parts, prefix)?;
            }
        }
        for (key, json) in part.extra.of(DialectId::Responses) {
            if key != "type" {
                item.raw(key, json);
            }
        }
        Ok(())
    }

    fn outputs(
        &mut self,
        list: &mut Array<'_>,
        parts: &[Part],
        prefix: &str,
    ) -> Result<(), Refusal> {
        let mut prefix = prefix;
        if !prefix.is_empty() && !matches!(parts.first(), Some(first) if is_text(first)) {
            let mut object = list.object();
            object.string("type", "input_text");
            object.string("text", prefix.trim_end());
            prefix = "";
        }
        for part in parts {
            self.losses
                .extra(&part.extra, &part.at, DialectId::Responses);
            match &part.body {
                PartBody::Text(text) => {
                    let text = format!("{}{}", std::mem::take(&mut prefix), text.text);
                    self.text(list, &text, part, false);
                }
                PartBody::Refusal(text) => self.text(list, text, part, false),
                PartBody::Media(media) => self.media(list, media, part)?,
                PartBody::Opaque(opaque) if opaque.of == DialectId::Responses => {
                    list.raw(&opaque.json);
                }
                PartBody::Opaque(opaque) => {
                    let note = format!("dropped: only {} has {}", opaque.of, opaque.kind);
                    self.losses.push(part.at.clone(), "", note);
                }
                PartBody::Reasoning(_) => {}
                PartBody::ToolCall(_) | PartBody::ToolResult(_) => {
                    let note = "dropped: a tool result holds no calls";
                    self.losses.push(part.at.clone(), "", note);
                }
            }
        }
        Ok(())
    }

    fn media(
        &mut self,
        content: &mut Array<'_>,
        media: &Media,
        part: &Part,
    ) -> Result<(), Refusal> {
        let own = self.writing.own;
        let refuse = |message: String| Err(Refusal::new(part.at.clone(), message));
        if media.citations {
            let note = "dropped: this upstream cites no documents";
            self.losses.push(part.at.clone(), "citations", note);
        }
        match (&media.source, media.kind) {
            (Source::File(id), kind) if own => {
                let mut object = content.object();
                if kind == MediaKind::Image {
                    object.string("type", "input_image");
                    object.string("file_id", id);
                    write_detail(&mut object, media.detail);
                } else {
                    object.string("type", "input_file");
                    object.string("file_id", id);
                }
                self.close(&mut object, part);
            }
            (Source::File(id), _) => {
                return refuse(format!(
                    "the file '{id}' lies in another vendor's store; send its bytes instead"
                ));
            }
            (_, MediaKind::Video) => return refuse("this upstream takes no video".to_owned()),
            (Source::Base64(data), MediaKind::Audio) if own => {
                let mime = mime_of(media, data);
                let mut object = content.object();
                object.string("type", "input_audio");
                let mut audio = object.object("input_audio");
                audio.string("data", data);
                let format = mime.strip_prefix("audio/").unwrap_or(&mime);
                audio.string("format", if format == "mpeg" { "mp3" } else { format });
            }
            (_, MediaKind::Audio) => {
                return refuse("the Responses API takes no sound; send its words".to_owned());
            }
            (Source::Text(text), _) => self.text_document(content, media, text, part),
            (Source::Parts(pieces), _) => self.pieces(content, media, pieces, part)?,
            (Source::Url(url), MediaKind::Image) => {
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    return refuse(format!(
                        "OpenAI fetches no '{url}'; send the bytes, or an https address"
                    ));
                }
                self.image(content, url, media.detail, part);
            }
            (Source::Url(url), MediaKind::Document) => {
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    return refuse(format!(
                        "OpenAI fetches no '{url}'; send the bytes, or an https address"
                    ));
                }
                let mut object = content.object();
                object.string("type", "input_file");
                object.string("file_url", url);
                // Beside an address, a name is refused.
                self.close(&mut object, part);
            }
            (Source::Base64(data), MediaKind::Image) => {
                let mime = mime_of(media, data);
                let mime = match &*mime {
                    "image/jpg" => "image/jpeg",
                    mime @ ("image/png" | "image/jpeg" | "image/gif" | "image/webp") => mime,
                    other => {
                        return refuse(format!(
                            "OpenAI takes png, jpeg, gif and webp images, not '{other}'"
                        ));
                    }
                };
                let url = format!("data:{mime};base64,{data}");
                self.image(content, &url, media.detail, part);
            }
            (Source::Base64(data), MediaKind::Document) => {
                self.file(content, media, &mime_of(media, data), data, part);
            }
        }
        if let Some(context) = media.context.as_deref()
            && matches!(media.source, Source::Base64(_) | Source::Url(_))
        {
            let mut object = content.object();
            object.string("type", "input_text");
            object.string("text", context);
        }
        Ok(())
    }

    fn image(&self, content: &mut Array<'_>, url: &str, detail: Option<Detail>, part: &Part) {
        let mut object = content.object();
        object.string("type", "input_image");
        object.string("image_url", url);
        write_detail(&mut object, detail);
        self.close(&mut object, part);
    }

    fn file(&self, content: &mut Array<'_>, media: &Media, mime: &str, data: &str, part: &Part) {
        let mut object = content.object();
        object.string("type", "input_file");
        let name = media.name.as_deref().filter(|name| !name.is_empty());
        let name = name.unwrap_or("document");
        // The ending tells what it is.
        let bare = mime == "application/pdf" && !name.to_ascii_lowercase().ends_with(".pdf");
        object.string(
            "filename",
            &format!("{name}{}", if bare { ".pdf" } else { "" }),
        );
        object.string("file_data", &format!("data:{mime};base64,{data}"));
        self.close(&mut object, part);
    }

    /// A document of text: the file that it was, or as models are used to see one in a prompt.
    fn text_document(&self, content: &mut Array<'_>, media: &Media, text: &str, part: &Part) {
        let is_file = media.name.as_deref().is_some_and(|name| {
            name.rsplit_once('.')
                .is_some_and(|(_, end)| (1..=5).contains(&end.len()))
        });
        if is_file && media.context.is_none() {
            let mime = media.mime.as_deref().unwrap_or("text/plain");
            self.file(content, media, mime, &base64_of(text.as_bytes()), part);
        } else {
            self.text(content, &framed(media, text), part, false);
        }
    }

    /// A document made of texts and images.
    fn pieces(
        &mut self,
        content: &mut Array<'_>,
        media: &Media,
        pieces: &[Media],
        part: &Part,
    ) -> Result<(), Refusal> {
        let mut texts: Vec<Cow<'_, str>> = Vec::new();
        let bare = Part {
            extra: Extra::default(),
            cache: None,
            ..part.clone()
        };
        let mut others: Vec<&Media> = Vec::new();
        for piece in pieces {
            match &piece.source {
                Source::Text(text) => texts.push(Cow::Borrowed(text)),
                Source::Parts(_) => {
                    return Err(Refusal::new(
                        part.at.clone(),
                        "documents inside documents cannot be sent",
                    ));
                }
                Source::Base64(_) | Source::Url(_) | Source::File(_) => others.push(piece),
            }
        }
        self.text(content, &framed(media, &texts.join("\n")), part, false);
        for piece in others {
            self.media(content, piece, &bare)?;
        }
        Ok(())
    }
}

/// The fields of a message beside its content.
fn beside(kept: Option<&serde_json::value::RawValue>) -> Fields<'_> {
    let fields = kept.map(|json| Node::from(json).fields());
    fields.and_then(Result::ok).unwrap_or_default()
}

fn is_text(part: &Part) -> bool {
    matches!(part.body, PartBody::Text(_))
}

fn write_detail(object: &mut Object<'_>, detail: Option<Detail>) {
    let word = match detail {
        Some(Detail::Auto | Detail::Medium) | None => "auto",
        Some(Detail::Low) => "low",
        Some(Detail::High) => "high",
        Some(Detail::Original) => "original",
    };
    object.string("detail", word);
}
