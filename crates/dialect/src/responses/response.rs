//! Whole answers, both ways.

use serde_json::value::RawValue;

use super::finish::{self, Status};
use super::item::Items;
use super::object::{self, Said};
use super::output::{self, Call, PHASE};
use super::{citation, error, usage};
use crate::hub::{
    Choice, Extra, Finish, FinishReason, Part, PartBody, Response, Served, Text, TokenLogprob,
};
use crate::json::{Fields, Node, Object};
use crate::search;
use crate::{ApiError, At, BadAnswer, DialectId, ErrorKind, Losses, Reply, Setting, chat};

pub(super) fn decode(body: &[u8]) -> Result<Response, BadAnswer> {
    read(Node::parse(body)?)
}

/// Reads a response object, which also ends a stream.
pub(super) fn read(node: Node<'_>) -> Result<Response, BadAnswer> {
    let mut fields = node.fields()?;
    if let Some(error) = error::inside(node, &fields) {
        return Err(BadAnswer::Error(error));
    }
    let text = |fields: &mut Fields<'_>, key: &str| {
        let text = fields.take(key).and_then(Node::text);
        text.map(std::borrow::Cow::into_owned)
            .filter(|text| !text.is_empty())
    };
    let id = text(&mut fields, "id");
    // Searches are counted in `output`, which is taken below.
    let usage = used(&fields);
    let mut items = Items::of(id.as_deref());
    fields.require("output", |output| {
        for (place, item) in output.elements()?.into_iter().enumerate() {
            items.read(item).map_err(|fault| fault.inside(place))?;
        }
        Ok(())
    })?;
    let status = text(&mut fields, "status");
    let finish = finish::read(
        status.as_deref(),
        incomplete_reason(&fields).as_deref(),
        items.holds,
    );
    let mut response = Response {
        id,
        model: text(&mut fields, "model").unwrap_or_default(),
        created: created(&fields),
        choices: vec![Choice {
            index: 0,
            parts: items.parts,
            finish,
            logprobs: items.logprobs,
        }],
        usage,
        service_tier: text(&mut fields, "service_tier"),
        served: Served::default(),
        extra: Extra::default(),
    };
    for (key, node) in fields.iter() {
        if !node.is_null() && !object::is_of_every_answer(key) {
            response
                .extra
                .push(DialectId::Responses, key, node.to_raw());
        }
    }
    Ok(response)
}

/// Why an answer is incomplete, in OpenAI's words.
pub(super) fn incomplete_reason(fields: &Fields<'_>) -> Option<String> {
    let details = fields.get("incomplete_details")?.fields().ok()?;
    let reason = details.get("reason").and_then(Node::text)?;
    Some(reason.into_owned())
}

pub(super) fn created(fields: &Fields<'_>) -> Option<i64> {
    let told = fields.get("created_at").or_else(|| fields.get("created"))?;
    #[expect(clippy::cast_possible_truncation, reason = "checked: in range")]
    let seconds = |number: f64| (number.abs() < 1e15).then_some(number as i64);
    told.i64()
        .or_else(|| told.f64().and_then(seconds))
        .filter(|created| *created > 0)
}

/// What a response object says was used.
pub(super) fn used(fields: &Fields<'_>) -> Option<crate::hub::Usage> {
    let mut told = usage::read(fields.get("usage")?)?;
    told.searches = usage::searches(fields);
    Some(told)
}

pub(super) fn encode(response: &Response, reply: &Reply, losses: &mut Losses) -> Vec<u8> {
    let (first, rest) = response.choices.split_first().unzip();
    if rest.is_some_and(|rest| !rest.is_empty()) {
        losses.setting(
            Setting::Candidates,
            "Responses gives one answer: the first was kept",
        );
    }
    let parts = first.map_or(&[][..], |choice| &choice.parts);
    let finish = first.map_or_else(|| FinishReason::Stop.into(), |choice| choice.finish.clone());
    let refused = parts
        .iter()
        .any(|part| matches!(part.body, PartBody::Refusal(_)));
    let status = Status::of(finish.reason, refused);
    let failure = (status == Status::Failed).then(|| failure(&finish));
    let mut writer = Writer {
        reply,
        output: Vec::new(),
        items: 0,
        message: None,
        logprobs: first.map_or(&[][..], |choice| &choice.logprobs),
        losses,
    };
    for (place, part) in parts.iter().enumerate() {
        let last = place + 1 == parts.len();
        let status = if last {
            status.of_last_item()
        } else {
            "completed"
        };
        writer.part(part, status);
    }
    if let Some(explanation) = chat::explanation(&finish).filter(|_| !refused) {
        writer.refusal(explanation, None);
    }
    writer.close_message(status.of_last_item());
    let output = writer.output;

    let mut body = Vec::with_capacity(output.len() + 1024);
    let said = Said {
        id: &object::answer_id(response.id.as_deref(), reply),
        created: response.created.unwrap_or(reply.mint.now),
        status,
        error: failure.as_ref(),
        output: &output,
        usage: Some(response.usage.unwrap_or_default()),
        service_tier: response.service_tier.as_deref(),
        extra: Some(&response.extra),
    };
    object::write(&mut body, &said, &object::repeated(reply));
    losses.extra(&response.extra, &At::Request, DialectId::Responses);
    body
}

/// The error that an answer is whose model failed in the middle.
pub(super) fn failure(finish: &Finish) -> ApiError {
    let message = finish
        .message
        .as_deref()
        .unwrap_or("the model failed in the middle of its answer");
    ApiError::new(ErrorKind::Upstream, message)
}

/// Writes items one after the other.
struct Writer<'a> {
    reply: &'a Reply,
    /// Items, joined by commas.
    output: Vec<u8>,
    items: u32,
    /// The parts of an open message, joined by commas.
    message: Option<Message<'a>>,
    /// Log probabilities that no text has claimed.
    logprobs: &'a [TokenLogprob],
    losses: &'a mut Losses,
}

struct Message<'a> {
    phase: Option<&'a RawValue>,
    content: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn part(&mut self, part: &'a Part, status: &str) {
        let own = |key| part.extra.get(DialectId::Responses, key);
        self.losses
            .extra(&part.extra, &part.at, DialectId::Responses);
        match &part.body {
            PartBody::Text(text) => self.text(text, own(PHASE), part),
            PartBody::Refusal(text) => self.refusal(text, own(PHASE)),
            PartBody::Reasoning(thought) => {
                if let Some(own) = output::own(thought.proof.as_ref()) {
                    self.raw("rs_", own);
                } else if self.reply.show_reasoning && !thought.text.is_empty() {
                    self.item("rs_", |item, id| {
                        output::write_reasoning(item, id, &thought.text);
                    });
                }
            }
            PartBody::ToolCall(call) => {
                let place = (&self.reply.mint, self.items);
                let echo = self.reply.responses.as_deref();
                let form = Call::new(&call.id, &call.name, call.custom, echo, place);
                let text = form.text(&call.arguments);
                self.item("", |item, _| {
                    form.write(item, &text, status);
                    write_own(item, part);
                });
            }
            PartBody::Media(media) if output::is_picture(media) => self.item("ig_", |item, id| {
                output::write_picture(item, id, media);
                write_own(item, part);
            }),
            PartBody::Opaque(opaque)
                if opaque.of == DialectId::Responses && opaque.kind != "content" =>
            {
                self.raw("item_", &opaque.json);
            }
            PartBody::Opaque(opaque) if search::found(opaque).is_some() => {}
            PartBody::Opaque(opaque) => {
                if let Some(search) = search::of(opaque) {
                    self.close_message("completed");
                    let id = self.reply.mint.id("ws_", self.items);
                    search::write_call(self.next(), &id, &search);
                } else {
                    let note = format!("dropped: only {} has {}", opaque.of, opaque.kind);
                    self.losses.push(part.at.clone(), "", note);
                }
            }
            PartBody::Media(_) | PartBody::ToolResult(_) => self.losses.push(
                part.at.clone(),
                "",
                "dropped: answers of Responses hold no such part",
            ),
        }
    }

    /// The content of the open message; another phase begins another message.
    fn content(&mut self, phase: Option<&'a RawValue>) -> &mut Vec<u8> {
        let said = |phase: Option<&RawValue>| phase.map(|phase| phase.get().to_owned());
        if self
            .message
            .as_ref()
            .is_some_and(|message| phase.is_some() && said(message.phase) != said(phase))
        {
            self.close_message("completed");
        }
        let message = self.message.get_or_insert(Message {
            phase,
            content: Vec::new(),
        });
        if !message.content.is_empty() {
            message.content.push(b',');
        }
        &mut message.content
    }

    fn text(&mut self, text: &Text, phase: Option<&'a RawValue>, part: &Part) {
        if text.text.is_empty() && text.citations.is_empty() {
            return;
        }
        let (said, unsaid): (Vec<_>, Vec<_>) =
            text.citations.iter().partition(|one| citation::fits(one));
        if !unsaid.is_empty() {
            self.losses.push(
                part.at.clone(),
                "citations",
                "those without an address were dropped",
            );
        }
        let length = chat::length(&text.text);
        let mut annotations = Vec::new();
        for one in said {
            if !annotations.is_empty() {
                annotations.push(b',');
            }
            citation::write(&mut annotations, one, length);
        }
        let logprobs = self.claim(&text.text);
        let written = output::Text {
            said: text.text.clone(),
            annotations,
            logprobs,
        };
        written.write(Object::new(self.content(phase)));
    }

    fn refusal(&mut self, text: &str, phase: Option<&'a RawValue>) {
        output::write_refusal(Object::new(self.content(phase)), text);
    }

    /// The log probabilities of a text's tokens.
    fn claim(&mut self, text: &str) -> Vec<TokenLogprob> {
        let mut length = 0;
        let mut covered = |token: &TokenLogprob| {
            let before = length;
            length += token.bytes.as_ref().map_or(token.token.len(), Vec::len);
            before < text.len()
        };
        let tokens = self.logprobs.iter();
        let count = tokens.take_while(|token| covered(token)).count();
        let (own, rest) = self.logprobs.split_at_checked(count).unwrap_or_default();
        self.logprobs = rest;
        own.to_vec()
    }

    fn close_message(&mut self, status: &str) {
        if let Some(message) = self.message.take() {
            self.item("msg_", |item, id| {
                output::write_message(item, id, status, message.phase);
                output::write_list(item.value("content"), &message.content);
            });
        }
    }

    fn raw(&mut self, prefix: &str, json: &RawValue) {
        self.close_message("completed");
        let id = self.reply.mint.id(prefix, self.items);
        output::write_own(self.next(), json, &id);
    }

    fn item(&mut self, prefix: &str, write: impl FnOnce(&mut Object<'_>, &str)) {
        self.close_message("completed");
        let id = self.reply.mint.id(prefix, self.items);
        write(&mut Object::new(self.next()), &id);
    }

    /// The place for the next item.
    fn next(&mut self) -> &mut Vec<u8> {
        if self.items > 0 {
            self.output.push(b',');
        }
        self.items += 1;
        &mut self.output
    }
}

/// The fields of an item that only this dialect has.
fn write_own(item: &mut Object<'_>, part: &Part) {
    for (key, json) in part.extra.of(DialectId::Responses) {
        item.raw(key, json);
    }
}
