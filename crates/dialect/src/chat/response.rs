//! Whole answers, both ways.

use std::borrow::Cow;

use super::answer::{self, Counts};
use super::content::{keep, ordinal, thinking_text};
use super::details;
use crate::hub::{
    Choice, Citation, Extra, Finish, FinishReason, Media, MediaKind, Opaque, Part, PartBody,
    Response, Source, Text, Thought, ToolCall,
};
use crate::json::{Fields, Node, Object};
use crate::names;
use crate::{
    ApiError, At, BadAnswer, DialectId, ErrorKind, Losses, Malformed, Reply, error, media,
};

/// Fields of an answer that say nothing about it.
const EMPTY_WORDS: [&str; 3] = ["object", "system_fingerprint", "obfuscation"];

pub(super) fn decode(body: &[u8]) -> Result<Response, BadAnswer> {
    let node = Node::parse(body)?;
    if let Some(error) = error::in_answer(node) {
        return Err(BadAnswer::Error(error));
    }
    let mut fields = node.fields()?;
    for word in EMPTY_WORDS {
        fields.take(word);
    }
    let text = |node: Option<Node<'_>>| node.and_then(Node::text).map(Cow::into_owned);
    let mut response = Response {
        id: text(fields.take("id")).filter(|id| !id.is_empty()),
        model: text(fields.take("model")).unwrap_or_default(),
        created: fields
            .take("created")
            .and_then(Node::i64)
            .filter(|created| *created > 0),
        service_tier: text(fields.take("service_tier")),
        ..Response::default()
    };
    let usage = fields
        .take("usage")
        .or_else(|| fields.get("x_groq")?.fields().ok()?.get("usage"));
    response.usage = usage.filter(|usage| usage.is_object()).map(|usage| {
        let mut counts = Counts::default();
        counts.read(usage);
        counts.usage()
    });
    let choices = fields.require("choices", Node::elements)?;
    if choices.is_empty() {
        return Err(Malformed::new("choices", "is empty; at least one choice is expected").into());
    }
    let id = response.id.clone().unwrap_or_default();
    for (place, node) in choices.into_iter().enumerate() {
        let decoded = choice(node, place, &id, &mut response.extra)
            .map_err(|fault| fault.inside(place).inside("choices"))?;
        response.choices.push(decoded);
    }
    failed(node, &response)?;
    keep(&mut response.extra, "", &fields);
    Ok(response)
}

/// An answer that holds nothing because the server failed is no answer.
fn failed(node: Node<'_>, response: &Response) -> Result<(), BadAnswer> {
    let failed =
        |choice: &Choice| choice.finish.reason == FinishReason::Error && choice.parts.is_empty();
    if !response.choices.iter().all(failed) {
        return Ok(());
    }
    let choices = node
        .fields()?
        .get("choices")
        .and_then(|choices| choices.elements().ok());
    let told = choices
        .unwrap_or_default()
        .into_iter()
        .find_map(|choice| error::in_answer(choice));
    Err(BadAnswer::Error(told.unwrap_or_else(|| {
        let word = response
            .choices
            .first()
            .and_then(|choice| choice.finish.category.as_deref());
        let word = word.unwrap_or("error");
        ApiError::new(
            ErrorKind::Upstream,
            format!("the upstream ended its answer with '{word}' and no content"),
        )
    })))
}

fn choice(
    node: Node<'_>,
    place: usize,
    answer: &str,
    extra: &mut Extra,
) -> Result<Choice, Malformed> {
    let mut fields = node.fields()?;
    let index = fields.take("index").and_then(Node::u64);
    let index = index.map_or(ordinal(place), |index| {
        u32::try_from(index).unwrap_or(u32::MAX)
    });
    let said = fields
        .take("finish_reason")
        .and_then(Node::text)
        .unwrap_or_default();
    let logprobs = fields
        .take("logprobs")
        .map(answer::logprobs)
        .unwrap_or_default();
    let outer = format!("choices.{place}");
    let message = fields.take("message");
    // Perplexity repeats the last delta beside the message.
    let delta = fields.take("delta");
    let mut parts = Parts {
        turn: index,
        parts: Vec::new(),
    };
    let Some(message) = message.or(delta) else {
        return Err(Malformed::new("message", "is required"));
    };
    parts
        .message(message, answer, &outer, extra)
        .map_err(|fault| fault.inside("message"))?;
    keep(extra, &outer, &fields);
    let has = |wanted: fn(&PartBody) -> bool| parts.parts.iter().any(|part| wanted(&part.body));
    let calls = has(|body| matches!(body, PartBody::ToolCall(_)));
    let refusal = has(|body| matches!(body, PartBody::Refusal(_)));
    Ok(Choice {
        index,
        finish: answer::settle(answer::finish(&said), calls, refusal),
        parts: parts.parts,
        logprobs,
    })
}

/// The parts of one message, in order.
struct Parts {
    turn: u32,
    parts: Vec<Part>,
}

impl Parts {
    fn push(&mut self, body: PartBody) {
        let at = At::Part {
            turn: self.turn,
            part: ordinal(self.parts.len()),
        };
        self.parts.push(Part::new(body, at));
    }

    fn thought(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(PartBody::Reasoning(Thought {
                text: text.to_owned(),
                ..Thought::default()
            }));
        }
    }

    fn text(&mut self, text: String) {
        if !text.is_empty() {
            self.push(PartBody::Text(Text {
                text,
                citations: Vec::new(),
            }));
        }
    }

    fn message(
        &mut self,
        node: Node<'_>,
        answer: &str,
        outer: &str,
        extra: &mut Extra,
    ) -> Result<(), Malformed> {
        let mut fields = node.fields()?;
        fields.take("role");
        let spoken =
            ["reasoning_content", "reasoning"].map(|key| fields.take(key).and_then(Node::text));
        let details = fields.get("reasoning_details");
        let text = match spoken.into_iter().flatten().find(|text| !text.is_empty()) {
            Some(text) => text.into_owned(),
            None => details.map(answer::detail_text).unwrap_or_default(),
        };
        let proof = details.and_then(details::proof);
        fields.take("reasoning_details");
        if proof.is_some() {
            self.push(PartBody::Reasoning(Thought {
                text,
                proof,
                redacted: false,
            }));
        } else {
            self.thought(&text);
        }
        if let Some(content) = fields.take("content") {
            self.content(content)?;
        }
        if let Some(annotations) = fields.take("annotations") {
            self.cite(answer::citations(annotations));
        }
        for image in fields
            .take("images")
            .and_then(|images| images.elements().ok())
            .unwrap_or_default()
        {
            if let Some(media) = image_of(image) {
                self.push(PartBody::Media(media));
            }
        }
        let refusal = fields.take("refusal").and_then(Node::text);
        if let Some(refusal) = refusal.filter(|refusal| !refusal.is_empty()) {
            self.push(PartBody::Refusal(refusal.into_owned()));
        }
        for (ordinal, node) in fields
            .read("tool_calls", Node::one_or_many)?
            .unwrap_or_default()
            .into_iter()
            .enumerate()
        {
            let call = tool_call(node, answer, self.turn, ordinal)
                .map_err(|fault| fault.inside(ordinal).inside("tool_calls"))?;
            self.push(PartBody::ToolCall(call));
        }
        if let Some(mut inner) = fields.read("function_call", Node::fields)?
            && let Some(name) = inner
                .take("name")
                .and_then(Node::text)
                .filter(|name| !name.is_empty())
        {
            self.push(PartBody::ToolCall(ToolCall {
                id: answer::call_id(answer, self.turn, 0),
                name: name.into_owned(),
                arguments: inner
                    .take("arguments")
                    .map(answer::arguments)
                    .unwrap_or_default(),
                custom: false,
                proof: None,
            }));
        }
        // Servers that write every field they know leave an empty sound.
        let silent = fields
            .get("audio")
            .and_then(|audio| audio.fields().ok()?.get("data")?.text());
        if silent.is_some_and(|data| data.is_empty()) {
            fields.take("audio");
        }
        keep(extra, &format!("{outer}.message"), &fields);
        Ok(())
    }

    fn content(&mut self, content: Node<'_>) -> Result<(), Malformed> {
        if let Some(text) = content.text() {
            self.text(text.into_owned());
            return Ok(());
        }
        if content.is_object() {
            // Some small servers answer a wish for JSON with the value itself.
            self.text(content.raw().to_owned());
            return Ok(());
        }
        for node in content
            .elements()
            .map_err(|fault| fault.inside("content"))?
        {
            if let Some(text) = node.text() {
                self.text(text.into_owned());
                continue;
            }
            let Ok(fields) = node.fields() else {
                continue;
            };
            match fields.get("type").and_then(Node::text).as_deref() {
                Some("thinking" | "reasoning") => self.thought(&thinking_text(&fields)),
                Some("image_url") => {
                    if let Some(media) = image_of(node) {
                        self.push(PartBody::Media(media));
                    }
                }
                Some("refusal") => {
                    if let Some(text) = fields.get("refusal").and_then(Node::text) {
                        self.push(PartBody::Refusal(text.into_owned()));
                    }
                }
                Some(_) | None => {
                    if let Some(text) = fields.get("text").and_then(Node::text) {
                        self.text(text.into_owned());
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives each citation to the text that it covers, in that text's own count.
    fn cite(&mut self, citations: Vec<Citation>) {
        for mut citation in citations {
            let (start, end) = citation.span.unwrap_or((0, 0));
            let mut base = 0;
            let mut texts = self
                .parts
                .iter_mut()
                .filter_map(|part| match &mut part.body {
                    PartBody::Text(text) => {
                        let from = base;
                        base += answer::length(&text.text);
                        Some((from, base, text))
                    }
                    PartBody::Media(_)
                    | PartBody::Reasoning(_)
                    | PartBody::ToolCall(_)
                    | PartBody::ToolResult(_)
                    | PartBody::Refusal(_)
                    | PartBody::Opaque(_) => None,
                });
            if let Some((from, to, text)) = texts.find(|(_, to, _)| start < *to) {
                citation.span = citation.span.map(|_| (start - from, end.min(to) - from));
                text.citations.push(citation);
            }
        }
    }
}

/// The picture of a part `{type: image_url, image_url: {url}}`, in which OpenRouter and others answer with pictures.
pub(super) fn image_of(node: Node<'_>) -> Option<Media> {
    let image = node.fields().ok()?.get("image_url")?;
    let url = match image.text() {
        Some(url) => url,
        None => image.fields().ok()?.get("url")?.text()?,
    };
    let (source, mime) = match media::data_url(&url) {
        Some(data) => {
            let sniffed = media::sniff(&data.base64).map(str::to_owned);
            (Source::Base64(data.base64), sniffed.or(data.mime))
        }
        None => (Source::Url(url.into_owned()), None),
    };
    Some(Media {
        kind: MediaKind::Image,
        source,
        mime,
        name: None,
        detail: None,
        context: None,
        citations: false,
    })
}

fn tool_call(
    node: Node<'_>,
    answer: &str,
    choice: u32,
    ordinal: usize,
) -> Result<ToolCall, Malformed> {
    let mut fields = node.fields()?;
    let id = fields
        .take("id")
        .and_then(Node::text)
        .filter(|id| !id.is_empty());
    let custom = fields.get("type").and_then(Node::text).as_deref() == Some("custom");
    let (outer, input) = if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    let proof = answer::take_thought_signature(&mut fields);
    let read = |inner: &mut Fields<'_>| {
        Ok(ToolCall {
            id: id.map_or_else(|| answer::call_id(answer, choice, ordinal), Cow::into_owned),
            name: inner.require("name", Node::string)?,
            arguments: inner.take(input).map(answer::arguments).unwrap_or_default(),
            custom,
            proof,
        })
    };
    if fields.get(outer).is_none() && fields.get("name").is_some() {
        return read(&mut fields);
    }
    fields.require(outer, |node| read(&mut node.fields()?))
}

pub(super) fn encode(response: &Response, reply: &Reply, losses: &mut Losses) -> Vec<u8> {
    let mut body = Vec::with_capacity(512);
    let mut object = Object::new(&mut body);
    object.string("id", &answer_id(response.id.as_deref(), reply));
    object.string("object", "chat.completion");
    object.i64("created", response.created.unwrap_or(reply.mint.now));
    object.string("model", &reply.model);
    {
        let mut choices = object.array("choices");
        for (place, choice) in response.choices.iter().enumerate() {
            let own = Own {
                extra: &response.extra,
                outer: format!("choices.{place}."),
            };
            write_choice(choices.object(), choice, &own, reply, losses);
        }
    }
    if let Some(usage) = &response.usage {
        answer::write_usage(object.object("usage"), usage);
    }
    object.some_string("service_tier", response.service_tier.as_deref());
    losses.extra(&response.extra, &At::Request, DialectId::Chat);
    for (key, json) in response.extra.of(DialectId::Chat) {
        if !key.starts_with("choices.") {
            object.raw(key, json);
        }
    }
    drop(object);
    body
}

/// The upstream's id where it looks like one of this dialect, else a new one.
pub(super) fn answer_id(id: Option<&str>, reply: &Reply) -> String {
    match id {
        Some(id) if id.starts_with("chatcmpl-") => id.to_owned(),
        Some(_) | None => reply.mint.id("chatcmpl-", 0),
    }
}

/// The fields of one choice that only this dialect has.
struct Own<'a> {
    extra: &'a Extra,
    outer: String,
}

impl Own<'_> {
    fn write(&self, inner: &str, object: &mut Object<'_>) {
        for (key, json) in self.extra.of(DialectId::Chat) {
            let Some(key) = key.strip_prefix(&self.outer) else {
                continue;
            };
            match key.strip_prefix("message.") {
                Some(key) if inner == "message" => object.raw(key, json),
                None if inner.is_empty() => object.raw(key, json),
                Some(_) | None => {}
            }
        }
    }
}

fn write_choice(
    mut object: Object<'_>,
    choice: &Choice,
    own: &Own<'_>,
    reply: &Reply,
    losses: &mut Losses,
) {
    let message = Message::of(choice, losses);
    object.u64("index", u64::from(choice.index));
    message.write(object.object("message"), own, reply, losses);
    if choice.logprobs.is_empty() {
        object.null("logprobs");
    } else {
        answer::write_logprobs(object.object("logprobs"), &choice.logprobs);
    }
    let word = answer::word(
        &choice.finish,
        !message.calls.is_empty(),
        message.spoke_refusal,
        reply.legacy_function_call,
    );
    object.string("finish_reason", word);
    own.write("", &mut object);
}

/// The parts of an answer, sorted into the fields of a message.
struct Message<'a> {
    text: String,
    citations: Vec<(&'a Citation, u64, u64, &'a At)>,
    reasoning: String,
    details: Vec<&'a Opaque>,
    refusal: String,
    /// The refusal is the model's own words and not the vendor's explanation.
    spoke_refusal: bool,
    images: Vec<&'a Media>,
    calls: Vec<(&'a ToolCall, &'a At)>,
}

impl<'a> Message<'a> {
    fn of(choice: &'a Choice, losses: &mut Losses) -> Self {
        let mut message = Self {
            text: String::new(),
            citations: Vec::new(),
            reasoning: String::new(),
            details: Vec::new(),
            refusal: String::new(),
            spoke_refusal: false,
            images: Vec::new(),
            calls: Vec::new(),
        };
        let mut base = 0;
        for part in &choice.parts {
            losses.extra(&part.extra, &part.at, DialectId::Chat);
            match &part.body {
                PartBody::Text(text) => {
                    let length = answer::length(&text.text);
                    let cited = text.citations.iter();
                    message
                        .citations
                        .extend(cited.map(|cited| (cited, base, length, &part.at)));
                    message.text.push_str(&text.text);
                    base += length;
                }
                PartBody::Reasoning(thought) => {
                    message.reasoning.push_str(&thought.text);
                    let proof = thought.proof.as_ref();
                    message
                        .details
                        .extend(proof.filter(|proof| answer::is_details(proof)));
                }
                PartBody::Refusal(text) => {
                    message.refusal.push_str(text);
                    message.spoke_refusal = true;
                }
                PartBody::ToolCall(call) => message.calls.push((call, &part.at)),
                PartBody::Media(media) if picture_url(media).is_some() => {
                    message.images.push(media);
                }
                PartBody::Media(_) => {
                    losses.push(
                        part.at.clone(),
                        "",
                        "dropped: chat answers hold no such media",
                    );
                }
                PartBody::Opaque(opaque) => {
                    let note = format!("dropped: only {} has {}", opaque.of, opaque.kind);
                    losses.push(part.at.clone(), "", note);
                }
                PartBody::ToolResult(_) => {
                    losses.push(
                        part.at.clone(),
                        "",
                        "dropped: an answer holds no tool results",
                    );
                }
            }
        }
        if message.refusal.is_empty()
            && let Some(explanation) = explanation(&choice.finish)
        {
            explanation.clone_into(&mut message.refusal);
        }
        message
    }

    fn write(&self, mut object: Object<'_>, own: &Own<'_>, reply: &Reply, losses: &mut Losses) {
        object.string("role", "assistant");
        let content = !self.text.is_empty() || (self.calls.is_empty() && self.refusal.is_empty());
        if content {
            object.string("content", &self.text);
        } else {
            object.null("content");
        }
        if self.refusal.is_empty() {
            object.null("refusal");
        } else {
            object.string("refusal", &self.refusal);
        }
        if !self.reasoning.is_empty() {
            object.string("reasoning_content", &self.reasoning);
        }
        answer::write_details(&mut object, &self.details);
        if !self.citations.is_empty() {
            let mut array = object.array("annotations");
            for (citation, base, length, at) in &self.citations {
                if !answer::write_annotation(&mut array, citation, *base, *length) {
                    losses.push(
                        (*at).clone(),
                        "citations",
                        "dropped: chat cites web addresses only",
                    );
                }
            }
        }
        if !self.images.is_empty() {
            let mut array = object.array("images");
            for image in &self.images {
                write_image(array.object(), image);
            }
        }
        self.write_calls(&mut object, reply, losses);
        own.write("message", &mut object);
    }

    fn write_calls(&self, object: &mut Object<'_>, reply: &Reply, losses: &mut Losses) {
        if reply.legacy_function_call {
            for (place, (call, at)) in self.calls.iter().enumerate() {
                if place > 0 {
                    losses.push(
                        (*at).clone(),
                        "",
                        "dropped: function_call holds one call only",
                    );
                    continue;
                }
                let mut function = object.object("function_call");
                function.string("name", names::plain(&call.name));
                function.string("arguments", spoken(call));
            }
            return;
        }
        if self.calls.is_empty() {
            return;
        }
        let mut array = object.array("tool_calls");
        for (place, (call, _)) in self.calls.iter().enumerate() {
            let mut entry = array.object();
            if call.id.is_empty() {
                entry.string("id", &reply.mint.id("call_", ordinal(place)));
            } else {
                entry.string("id", &call.id);
            }
            write_call(&mut entry, call);
        }
    }
}

/// Why an answer was refused, in the vendor's words.
pub(crate) fn explanation(finish: &Finish) -> Option<&str> {
    match finish.reason {
        FinishReason::Refusal | FinishReason::ContentFilter => finish
            .message
            .as_deref()
            .filter(|message| !message.is_empty()),
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::ToolCalls
        | FinishReason::Length
        | FinishReason::ContextExceeded
        | FinishReason::Pause
        | FinishReason::Continuation
        | FinishReason::Error => None,
    }
}

/// The arguments as clients parse them: no arguments are an empty object.
fn spoken(call: &ToolCall) -> &str {
    if call.arguments.trim().is_empty() && !call.custom {
        "{}"
    } else {
        &call.arguments
    }
}

/// Everything of a call but its id.
pub(super) fn write_call(entry: &mut Object<'_>, call: &ToolCall) {
    let (kind, input) = if call.custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    entry.string("type", kind);
    {
        let mut inner = entry.object(kind);
        inner.string("name", names::plain(&call.name));
        inner.string(input, spoken(call));
    }
    answer::write_thought_signature(entry, call.proof.as_ref());
}

/// Writes a picture in the form that OpenRouter and others answer with; nothing for what is none.
pub(super) fn write_image(mut object: Object<'_>, image: &Media) {
    object.string("type", "image_url");
    if let Some(url) = picture_url(image) {
        object.object("image_url").string("url", &url);
    }
}

/// The address of a picture, bytes as a data URL.
pub(super) fn picture_url(media: &Media) -> Option<Cow<'_, str>> {
    if media.kind != MediaKind::Image {
        return None;
    }
    match &media.source {
        Source::Base64(data) => {
            let mime = media.mime.as_deref().unwrap_or("image/png");
            Some(Cow::Owned(format!("data:{mime};base64,{data}")))
        }
        Source::Url(url) => Some(Cow::Borrowed(url)),
        Source::File(_) | Source::Text(_) | Source::Parts(_) => None,
    }
}
