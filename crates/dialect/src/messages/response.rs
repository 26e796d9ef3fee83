//! Whole answers, both ways.

use crate::hub::{
    Choice, Extra, FinishReason, Opaque, Part, PartBody, Response, Served, Text, Thought, ToolCall,
};
use crate::json::{Array, Fields, Node, Object, compact};
use crate::messages::searches::Searches;
use crate::messages::{SIGNATURE, citation, error, finish, id, usage};
use crate::names;
use crate::{At, BadAnswer, DialectId, Losses, Malformed, Reply, Setting};

pub(super) fn decode(body: &[u8]) -> Result<Response, BadAnswer> {
    let node = Node::parse(body)?;
    let mut fields = node.fields()?;
    if let Some(error) = error::inside(node) {
        return Err(BadAnswer::Error(error));
    }
    let parts = fields.require("content", |content| {
        let mut parts = Vec::new();
        for (index, block) in content.elements()?.into_iter().enumerate() {
            parts.push(part(block).map_err(|fault| fault.inside(index))?);
        }
        Ok(parts)
    })?;
    let calls = parts
        .iter()
        .any(|part| matches!(part.body, PartBody::ToolCall(_)));
    let reason = fields.take("stop_reason").and_then(Node::text);
    let sequence = fields.take("stop_sequence").and_then(Node::text);
    let details = fields.take("stop_details");
    let mut extra = Extra::default();
    let (mut told, mut tier, mut served) = (None, None, Served::default());
    if let Some(counts) = fields.take("usage") {
        let mut tally = usage::Tally::default();
        tally.merge(counts);
        told = Some(tally.usage());
        tier = usage::tier(counts);
        served = usage::served(counts);
        keep_unread_counts(counts, &mut extra);
    }
    let text = |fields: &mut Fields<'_>, key: &str| {
        fields
            .take(key)
            .and_then(Node::text)
            .map(std::borrow::Cow::into_owned)
    };
    let response = Response {
        id: text(&mut fields, "id"),
        model: text(&mut fields, "model").unwrap_or_default(),
        created: None,
        choices: vec![Choice {
            index: 0,
            parts,
            finish: finish::read(
                reason.as_deref(),
                sequence.map(std::borrow::Cow::into_owned),
                details,
                calls,
            ),
            logprobs: Vec::new(),
        }],
        usage: told,
        service_tier: tier,
        served,
        extra,
    };
    Ok(with_rest(response, &fields))
}

/// Keeps the fields that nobody read.
fn with_rest(mut response: Response, fields: &Fields<'_>) -> Response {
    for (key, node) in fields.iter() {
        if !node.is_null() && !matches!(key, "type" | "role") {
            response.extra.push(DialectId::Messages, key, node.to_raw());
        }
    }
    response
}

fn keep_unread_counts(counts: Node<'_>, extra: &mut Extra) {
    const READ: [&str; 8] = [
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation",
        "output_tokens_details",
        "server_tool_use",
        "service_tier",
    ];
    for (key, node) in counts.fields().iter().flat_map(Fields::iter) {
        if !READ.contains(&key) && !node.is_null() {
            extra.push(DialectId::Messages, format!("usage.{key}"), node.to_raw());
        }
    }
}

fn part(block: Node<'_>) -> Result<Part, Malformed> {
    let mut fields = block.fields()?;
    let kind = fields.require("type", Node::string)?;
    let body = match kind.as_str() {
        "text" => {
            let citations = fields
                .read("citations", Node::elements)?
                .unwrap_or_default();
            PartBody::Text(Text {
                text: fields.read("text", Node::string)?.unwrap_or_default(),
                citations: citations.into_iter().filter_map(citation::read).collect(),
            })
        }
        "thinking" => {
            let signature = fields.take("signature");
            PartBody::Reasoning(Thought {
                text: fields.read("thinking", Node::string)?.unwrap_or_default(),
                proof: signature.and_then(proof),
                redacted: false,
            })
        }
        "redacted_thinking" => PartBody::Reasoning(redacted(block)),
        "tool_use" => PartBody::ToolCall(ToolCall {
            id: fields.read("id", Node::string)?.unwrap_or_default(),
            name: fields.require("name", Node::string)?,
            arguments: fields
                .take("input")
                .map_or_else(|| "{}".to_owned(), |input| compact(input.raw())),
            custom: false,
            proof: None,
        }),
        _ => {
            return Ok(Part::new(
                PartBody::Opaque(opaque(block, kind)),
                At::Request,
            ));
        }
    };
    let mut part = Part::new(body, At::Request);
    if kind != "redacted_thinking" {
        for (key, node) in fields.iter().filter(|(_, node)| !node.is_null()) {
            part.extra.push(DialectId::Messages, key, node.to_raw());
        }
    }
    Ok(part)
}

/// The proof that a signature is; none if it is empty.
pub(super) fn proof(signature: Node<'_>) -> Option<Opaque> {
    let signed = signature
        .text()
        .is_some_and(|signature| !signature.is_empty());
    signed.then(|| opaque(signature, SIGNATURE))
}

pub(super) fn redacted(block: Node<'_>) -> Thought {
    Thought {
        text: String::new(),
        proof: Some(opaque(block, "redacted_thinking")),
        redacted: true,
    }
}

pub(super) fn opaque(node: Node<'_>, kind: impl Into<String>) -> Opaque {
    Opaque {
        of: DialectId::Messages,
        kind: kind.into(),
        json: node.to_raw(),
    }
}

pub(super) fn encode(response: &Response, reply: &Reply, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut object = Object::new(&mut out);
    object.string("id", &message_id(response.id.as_deref(), reply));
    object.string("type", "message");
    object.string("role", "assistant");
    object.string("model", &reply.model);
    let (first, rest) = response.choices.split_first().unzip();
    if rest.is_some_and(|rest| !rest.is_empty()) {
        losses.setting(
            Setting::Candidates,
            "Anthropic gives one answer: the first was kept",
        );
    }
    let mut content = object.array("content");
    let (mut calls, mut refused) = (0, false);
    let mut searches = Searches::default();
    for part in first.iter().flat_map(|choice| &choice.parts) {
        losses.extra(&part.extra, &part.at, DialectId::Messages);
        match &part.body {
            PartBody::ToolCall(call) => {
                searches.settle(|block| content.value().extend_from_slice(block));
                write_call(&mut content, call, part, calls, reply, losses);
                calls += 1;
            }
            PartBody::Refusal(text) => {
                refused = true;
                write_text(&mut content, text);
            }
            PartBody::Text(text) => {
                text.citations.iter().for_each(|one| searches.cite(one));
                write_cited(&mut content, text, part, losses);
            }
            PartBody::Reasoning(thought) => write_thought(&mut content, thought, part, reply),
            PartBody::Opaque(opaque) if opaque.of == DialectId::Messages => {
                content.raw(&opaque.json);
            }
            PartBody::Opaque(opaque)
                if searches.tell(opaque, reply, |block| {
                    content.value().extend_from_slice(block);
                }) => {}
            PartBody::Opaque(_) | PartBody::Media(_) | PartBody::ToolResult(_) => {
                losses.push(
                    part.at.clone(),
                    "",
                    "dropped: answers of Anthropic hold no such part",
                );
            }
        }
    }
    searches.settle(|block| content.value().extend_from_slice(block));
    drop(content);
    let finish = first.map_or_else(|| FinishReason::Stop.into(), |choice| choice.finish.clone());
    finish::write(&mut object, &finish, calls > 0, refused);
    let mut told = response.usage.unwrap_or_default();
    told.searches = told.searches.max(searches.told());
    let mut counts = object.object("usage");
    usage::write(&mut counts, &told);
    usage::write_split(&mut counts, &told, response.service_tier.as_deref());
    for (key, json) in response.extra.of(DialectId::Messages) {
        if let Some(key) = key.strip_prefix("usage.") {
            counts.raw(key, json);
        }
    }
    drop(counts);
    for (key, json) in response.extra.of(DialectId::Messages) {
        if !key.starts_with("usage.") {
            object.raw(key, json);
        }
    }
    drop(object);
    losses.extra(&response.extra, &At::Request, DialectId::Messages);
    out
}

/// The upstream's id if it is spelled as Anthropic's are.
pub(super) fn message_id(upstream: Option<&str>, reply: &Reply) -> String {
    match upstream.filter(|id| id.starts_with("msg_")) {
        Some(id) => id.to_owned(),
        None => reply.mint.id("msg_", 0),
    }
}

/// The id of a tool call; an upstream that gave none is given one.
pub(super) fn call_id(id: &str, ordinal: u32, reply: &Reply) -> String {
    if id.is_empty() {
        reply.mint.id("toolu_", ordinal)
    } else {
        id::spell(id).into_owned()
    }
}

fn write_text(content: &mut Array<'_>, text: &str) {
    if !text.is_empty() {
        let mut block = content.object();
        block.string("type", "text");
        block.string("text", text);
    }
}

fn write_cited(content: &mut Array<'_>, text: &Text, part: &Part, losses: &mut Losses) {
    if text.text.is_empty() && text.citations.is_empty() {
        return;
    }
    let (said, unsaid): (Vec<_>, Vec<_>) = text
        .citations
        .iter()
        .partition(|citation| citation::fits(citation));
    if !unsaid.is_empty() {
        losses.push(
            part.at.clone(),
            "citations",
            "those without an address were dropped",
        );
    }
    let mut block = content.object();
    block.string("type", "text");
    block.string("text", &text.text);
    if !said.is_empty() {
        let mut list = block.array("citations");
        for one in said {
            citation::write(list.value(), one);
        }
    }
    write_own(&mut block, part);
}

fn write_thought(content: &mut Array<'_>, thought: &Thought, part: &Part, reply: &Reply) {
    let text = if reply.show_reasoning {
        thought.text.as_str()
    } else {
        ""
    };
    let own = thought
        .proof
        .as_ref()
        .filter(|proof| proof.of == DialectId::Messages);
    match own {
        Some(block) if block.kind != SIGNATURE => content.raw(&block.json),
        None if text.is_empty() => {}
        signature => {
            let mut block = content.object();
            block.string("type", "thinking");
            block.string("thinking", text);
            match signature {
                Some(signature) => block.raw("signature", &signature.json),
                None => block.string("signature", ""),
            }
            write_own(&mut block, part);
        }
    }
}

fn write_call(
    content: &mut Array<'_>,
    call: &ToolCall,
    part: &Part,
    ordinal: u32,
    reply: &Reply,
    losses: &mut Losses,
) {
    let mut block = content.object();
    block.string("type", "tool_use");
    block.string("id", &call_id(&call.id, ordinal, reply));
    block.string("name", names::plain(&call.name));
    let text = call.arguments.trim();
    if call.custom {
        block.object("input").string("input", &call.arguments);
    } else if text.is_empty() {
        drop(block.object("input"));
    } else if Node::parse(text.as_bytes()).is_ok_and(Node::is_object) {
        block
            .value("input")
            .extend_from_slice(compact(text).as_bytes());
    } else {
        losses.push(
            part.at.clone(),
            "input",
            "not an object: the text is in `_raw_arguments`",
        );
        block
            .object("input")
            .string("_raw_arguments", &call.arguments);
    }
    write_own(&mut block, part);
}

/// The fields of a block that only this dialect has.
fn write_own(block: &mut Object<'_>, part: &Part) {
    for (key, json) in part.extra.of(DialectId::Messages) {
        block.raw(key, json);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Citation, Media, MediaKind, Source};
    use crate::{ErrorKind, Mint};

    fn reply(show_reasoning: bool) -> Reply {
        Reply {
            model: "alias".into(),
            mint: Mint { now: 1, id: 7 },
            include_usage: false,
            show_reasoning,
            legacy_function_call: false,
            enum_output: false,
            responses: None,
        }
    }

    #[test]
    fn answers_come_back_as_they_went() {
        let folder = format!("{}/fixtures/messages/responses", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let response = decode(std::fs::read_to_string(&path).unwrap().as_bytes()).unwrap();
            let mut losses = Losses::default();
            let written = encode(&response, &reply(true), &mut losses);
            assert!(losses.is_empty(), "{}: {losses:?}", path.display());
            let mut again = decode(&written).unwrap();
            again.model.clone_from(&response.model);
            assert_eq!(
                format!("{again:?}"),
                format!("{response:?}"),
                "{}",
                path.display()
            );
            count += 1;
        }
        assert!(count > 0);
    }

    /// The `content` and the ending of an answer made of `bodies`.
    fn check(bodies: Vec<PartBody>, reason: FinishReason, show: bool, expect: &str, lost: usize) {
        let parts = bodies.into_iter().map(|body| Part::new(body, At::Request));
        let response = Response {
            id: Some("chatcmpl-1".into()),
            choices: vec![Choice {
                index: 0,
                parts: parts.collect(),
                finish: reason.into(),
                logprobs: Vec::new(),
            }],
            ..Response::default()
        };
        let mut losses = Losses::default();
        let written = String::from_utf8(encode(&response, &reply(show), &mut losses)).unwrap();
        let (_, rest) = written.split_once(r#""content":"#).unwrap();
        let (content, _) = rest.split_once(r#","stop_sequence""#).unwrap();
        assert_eq!((content, losses.iter().count()), (expect, lost));
    }

    fn call(id: &str, arguments: &str, custom: bool) -> PartBody {
        PartBody::ToolCall(ToolCall {
            id: id.into(),
            name: "f".into(),
            arguments: arguments.into(),
            custom,
            proof: None,
        })
    }

    #[test]
    fn other_answers_take_this_form() {
        let text = |text: &str| {
            PartBody::Text(Text {
                text: text.into(),
                citations: Vec::new(),
            })
        };
        check(
            vec![text(""), text("a")],
            FinishReason::Stop,
            false,
            r#"[{"type":"text","text":"a"}],"stop_reason":"end_turn""#,
            0,
        );
        check(
            Vec::new(),
            FinishReason::ToolCalls,
            false,
            r#"[],"stop_reason":"end_turn""#,
            0,
        );
        check(
            vec![
                call("a.b", r#"{ "x": 1 }"#, false),
                call("c", "", false),
                call("d", "rm", true),
            ],
            FinishReason::Stop,
            false,
            r#"[{"type":"tool_use","id":"a_b","name":"f","input":{"x":1}},{"type":"tool_use","id":"c","name":"f","input":{}},{"type":"tool_use","id":"d","name":"f","input":{"input":"rm"}}],"stop_reason":"tool_use""#,
            0,
        );
        check(
            vec![call("a", r#"{"x":"cut"#, false)],
            FinishReason::Length,
            false,
            r#"[{"type":"tool_use","id":"a","name":"f","input":{"_raw_arguments":"{\"x\":\"cut"}}],"stop_reason":"max_tokens""#,
            1,
        );
        let thought = || {
            PartBody::Reasoning(Thought {
                text: "Hm.".into(),
                proof: None,
                redacted: false,
            })
        };
        check(
            vec![thought()],
            FinishReason::Stop,
            false,
            r#"[],"stop_reason":"end_turn""#,
            0,
        );
        check(
            vec![thought()],
            FinishReason::Stop,
            true,
            r#"[{"type":"thinking","thinking":"Hm.","signature":""}],"stop_reason":"end_turn""#,
            0,
        );
        check(
            vec![PartBody::Refusal("No.".into())],
            FinishReason::Stop,
            false,
            r#"[{"type":"text","text":"No."}],"stop_reason":"refusal""#,
            0,
        );
        let cited = |url: Option<&str>| Citation {
            url: url.map(str::to_owned),
            title: Some("T".into()),
            cited_text: None,
            span: Some((0, 1)),
            source: None,
        };
        check(
            vec![PartBody::Text(Text {
                text: "a".into(),
                citations: vec![cited(Some("https://e.com")), cited(None)],
            })],
            FinishReason::Continuation,
            false,
            r#"[{"type":"text","text":"a","citations":[{"type":"web_search_result_location","url":"https://e.com","title":"T","cited_text":"","encrypted_index":""}]}],"stop_reason":"max_tokens""#,
            1,
        );
        let image = Media {
            kind: MediaKind::Image,
            source: Source::Base64("AAAA".into()),
            mime: None,
            name: None,
            detail: None,
            context: None,
            citations: false,
        };
        check(
            vec![PartBody::Media(image)],
            FinishReason::Stop,
            false,
            r#"[],"stop_reason":"end_turn""#,
            1,
        );
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let error = |body: &str| match decode(body.as_bytes()) {
            Err(BadAnswer::Error(error)) => Some(error.kind),
            Err(BadAnswer::Malformed(_)) => None,
            Ok(response) => panic!("{response:?}"),
        };
        let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
        assert_eq!(error(overloaded), Some(ErrorKind::Overloaded));
        assert_eq!(
            error(r#"{"error":"out of memory"}"#),
            Some(ErrorKind::Upstream)
        );
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"type":"message"}"#,
            r#"{"content":[{"text":"a"}]}"#,
            "[]",
        ] {
            assert_eq!(error(body), None, "{body}");
        }
    }
}
