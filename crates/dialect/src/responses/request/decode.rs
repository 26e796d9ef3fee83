//! Reading a request: the body of `POST /v1/responses`.

use std::sync::Arc;

use crate::hub::{Effort, Output, Part, Request};
use crate::json::{Fields, Node};
use crate::responses::Echo;
use crate::{At, DialectId, Malformed};

use super::content::keep;
use super::items::Conversation;
use super::names::Names;
use super::tools::{self, Found, Place};

/// What a response object repeats of its request.
const ECHOED: [&str; 20] = [
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// Fields that say nothing to another dialect, or concern only how OpenAI runs the request.
const PRIVATE: [&str; 8] = [
    "client_metadata",
    "include",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "stream_options",
    "user",
];

/// A request needs `input`, unless one of these stands for it.
const INSTEAD_OF_INPUT: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

pub(in crate::responses) fn decode(body: &[u8]) -> Result<Request, Malformed> {
    let mut fields = Node::parse(body)?.fields()?;
    let mut echo = Echo {
        fields: fields
            .iter()
            .filter(|(key, node)| ECHOED.contains(key) && !node.is_null())
            .map(|(key, node)| (key.to_owned(), node.to_raw()))
            .collect(),
        calls: Vec::new(),
    };
    let mut request = Request {
        model: fields.read("model", Node::string)?.unwrap_or_default(),
        ..Request::default()
    };
    let input = fields.take("input");
    let mut names = Names::default();
    let mut found = Found {
        tools: &mut request.tools,
        calls: &mut echo.calls,
        names: &mut names,
    };
    fields.read("tools", |list| found.read(list, Place::Top))?;
    if let Some(input) = input {
        later_tools(input, &mut found).map_err(|fault| fault.inside("input"))?;
    }

    let mut conversation = Conversation::new(&names);
    if let Some(text) = fields.read("instructions", instructions)? {
        conversation.system = text;
    }
    match input {
        Some(input) => conversation
            .read(input)
            .map_err(|fault| fault.inside("input"))?,
        None if INSTEAD_OF_INPUT.iter().any(|key| fields.get(key).is_some()) => {}
        None => return Err(Malformed::new("input", "is required")),
    }
    request.system = conversation.system;
    request.turns = conversation.turns;
    if request.system.is_empty()
        && request.turns.is_empty()
        && !INSTEAD_OF_INPUT.iter().any(|key| fields.get(key).is_some())
    {
        return Err(Malformed::new(
            "input",
            "is empty; at least one item is expected",
        ));
    }
    fields.read("tool_choice", |node| {
        tools::choice(node, &names, &mut request)
    })?;
    settings(&mut fields, &mut request)?;
    keep(&mut request.extra, "", &fields, &PRIVATE);
    request.responses = Some(Arc::new(echo));
    Ok(request)
}

/// A text; the API also takes a list of items, whose texts are read.
fn instructions(node: Node<'_>) -> Result<Vec<Part>, Malformed> {
    if let Some(text) = node.text() {
        return Ok(vec![Part::text(text, At::System { part: 0 })]);
    }
    let no_tools = Names::default();
    let mut inner = Conversation::new(&no_tools);
    inner.read(node)?;
    let turns = inner.turns.into_iter().flat_map(|turn| turn.parts);
    Ok(inner.system.into_iter().chain(turns).collect())
}

/// Tools that items of the conversation declare: those that the client adds, and those that a search for tools found.
fn later_tools(input: Node<'_>, found: &mut Found<'_>) -> Result<(), Malformed> {
    if !input.is_array() {
        return Ok(());
    }
    for (index, item) in (0_u32..).zip(input.elements()?) {
        let Ok(mut fields) = item.fields() else {
            continue;
        };
        let kind = fields.get("type").and_then(Node::text);
        if matches!(
            kind.as_deref(),
            Some("additional_tools" | "tool_search_output")
        ) {
            fields
                .read("tools", |list| found.read(list, Place::Item(index)))
                .map_err(|fault| fault.inside(index))?;
        }
    }
    Ok(())
}

fn settings(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), Malformed> {
    let own = DialectId::Responses;
    request.max_output = fields.read("max_output_tokens", Node::require_u64)?;
    request.sampling.temperature = fields.read("temperature", Node::require_f64)?;
    request.sampling.top_p = fields.read("top_p", Node::require_f64)?;
    request.parallel_tool_calls = fields.read("parallel_tool_calls", Node::require_bool)?;
    logprobs(fields, request)?;
    if let Some(text) = fields.take("text") {
        form(text, request).map_err(|fault| fault.inside("text"))?;
    }
    if let Some(node) = fields.take("reasoning") {
        reasoning(node, request).map_err(|fault| fault.inside("reasoning"))?;
    }
    let user = fields
        .get("safety_identifier")
        .or_else(|| fields.get("user"));
    request.user = user.and_then(Node::text).map(std::borrow::Cow::into_owned);
    let metadata = fields.read("metadata", |metadata| {
        let label = |(key, value): (&str, Node<'_>)| match value.text() {
            Some(text) => (key.to_owned(), text.into_owned()),
            None => (key.to_owned(), value.raw().to_owned()),
        };
        Ok(metadata.fields()?.iter().map(label).collect())
    })?;
    request.metadata = metadata.unwrap_or_default();
    if let Some(tier) = fields.take("service_tier") {
        let word = tier
            .string()
            .map_err(|fault| fault.inside("service_tier"))?;
        if matches!(
            &*word,
            "auto" | "default" | "flex" | "scale" | "priority" | "fast"
        ) {
            request.service_tier = Some(word);
        } else {
            request.extra.push(own, "service_tier", tier.to_raw());
        }
    }
    request.store = fields.read("store", Node::require_bool)?;
    request.stream = fields.read("stream", Node::require_bool)?.unwrap_or(false);
    // Only clients that answer to Chat ask for it.
    if let Some(options) = fields.get("stream_options").map(Node::fields) {
        let asked = options?.get("include_usage").and_then(Node::bool);
        request.include_usage = asked == Some(true);
    }
    // What is off, and what is the default, says nothing.
    for (key, idle) in [("background", "false"), ("truncation", "\"disabled\"")] {
        if fields.get(key).is_some_and(|node| node.raw() == idle)
            && let Some(node) = fields.take(key)
        {
            request.extra.push_private(own, key, node.to_raw());
        }
    }
    Ok(())
}

fn logprobs(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), Malformed> {
    let top = fields.read("top_logprobs", Node::require_u64)?;
    let included = fields.get("include").and_then(|list| list.elements().ok());
    let included = included.is_some_and(|list| {
        list.iter()
            .any(|word| word.text().as_deref() == Some(super::encode::INCLUDE_LOGPROBS))
    });
    request.logprobs = match top {
        None | Some(0) => included.then_some(0),
        top => top,
    };
    Ok(())
}

fn form(node: Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let mut fields = node.fields()?;
    request.verbosity = fields.read("verbosity", Node::string)?;
    fields.read("format", |format| {
        let mut inner = format.fields()?;
        match &*inner.require("type", Node::string)? {
            "text" => {}
            "json_object" => request.output = Output::Json,
            "json_schema" => {
                // The form of Chat has one object more.
                let mut inner = match inner.take("json_schema") {
                    Some(nested) => nested.fields()?,
                    None => inner,
                };
                request.output = Output::Schema {
                    name: inner.read("name", Node::string)?,
                    description: inner.read("description", Node::string)?,
                    schema: inner.require("schema", |schema| {
                        schema.fields()?;
                        Ok(schema.to_raw())
                    })?,
                    strict: inner.read("strict", Node::require_bool)?,
                };
                keep(&mut request.extra, "text.format", &inner, &[]);
            }
            other => {
                return Err(Malformed::new(
                    "type",
                    format!("expected text, json_object or json_schema, got '{other}'"),
                ));
            }
        }
        Ok(())
    })?;
    keep(&mut request.extra, "text", &fields, &[]);
    Ok(())
}

fn reasoning(node: Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let own = DialectId::Responses;
    let mut fields = node.fields()?;
    if let Some(word) = fields.take("effort") {
        let name = word.string().map_err(|fault| fault.inside("effort"))?;
        request.reasoning.effort = Effort::from_name(&name);
        if request.reasoning.effort.is_none() {
            let source = word.to_raw();
            request.extra.push(own, "reasoning.effort", source);
        }
    }
    let old = fields.take("generate_summary");
    for (key, word) in [
        ("summary", fields.take("summary")),
        ("generate_summary", old),
    ] {
        if let Some(word) = word {
            request.reasoning.show = Some(true);
            let (key, source) = (format!("reasoning.{key}"), word.to_raw());
            request.extra.push_private(own, key, source);
        }
    }
    keep(&mut request.extra, "reasoning", &fields, &[]);
    Ok(())
}
