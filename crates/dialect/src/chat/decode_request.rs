//! Reads a request body into the hub.

use super::answer;
use super::content::{self, TOOL_ERROR, arguments, cache_mark, keep, ordinal};
use crate::hub::{
    CustomFormat, Effort, Extra, Opaque, Output, Part, PartBody, Request, Role, Thought, Tool,
    ToolBody, ToolCall, ToolChoice, ToolResult, Turn, WebSearch,
};
use crate::json::{Fields, Node};
use crate::{At, DialectId, Malformed};

/// A model that is not named stays empty: some servers have it in the path.
pub(super) fn decode(body: &[u8]) -> Result<Request, Malformed> {
    let mut fields = Node::parse(body)?.fields()?;
    // Some clients of this dialect send the body of Responses and read Chat's answers.
    if fields.get("messages").is_none() && fields.get("input").is_some() {
        return DialectId::Responses.dialect().decode_request(body);
    }
    let mut request = Request {
        model: fields.read("model", Node::string)?.unwrap_or_default(),
        ..Request::default()
    };
    let messages = fields.require("messages", Node::elements)?;
    if messages.is_empty() {
        return Err(Malformed::new(
            "messages",
            "is empty; at least one message is expected",
        ));
    }
    let mut conversation = Conversation::default();
    for (index, message) in messages.into_iter().enumerate() {
        conversation
            .message(message, ordinal(index))
            .map_err(|fault| fault.inside(index).inside("messages"))?;
    }
    request.system = conversation.system;
    request.turns = conversation.turns;
    tools(&mut fields, &mut request)?;
    settings(&mut fields, &mut request)?;
    keep(&mut request.extra, "", &fields);
    Ok(request)
}

#[derive(Debug, Default)]
struct Conversation {
    system: Vec<Part>,
    turns: Vec<Turn>,
    legacy: Vec<LegacyCall>,
}

/// A `function_call`, which has no id: its answer names the function.
#[derive(Debug)]
struct LegacyCall {
    name: String,
    answered: bool,
}

impl LegacyCall {
    fn id(ordinal: usize) -> String {
        format!("fc_{ordinal}")
    }
}

impl Conversation {
    fn message(&mut self, node: Node<'_>, turn: u32) -> Result<(), Malformed> {
        let mut fields = node.fields()?;
        let role = fields.require("role", Node::string)?;
        let cache = cache_mark(&mut fields)?;
        let mut parts = fields
            .read("content", |content| content::read(content, turn))?
            .unwrap_or_default();
        let mut extra = Extra::default();
        let role = match role.as_str() {
            "system" | "developer" => {
                if let Some(index) = parts
                    .iter()
                    .position(|part| !matches!(part.body, PartBody::Text(_) | PartBody::Opaque(_)))
                {
                    return Err(Malformed::new(
                        format!("content.{index}"),
                        "instructions hold text only",
                    ));
                }
                Role::System
            }
            "user" => Role::User,
            "assistant" => {
                self.assistant(&mut fields, &mut parts, &mut extra, turn)?;
                Role::Assistant
            }
            "tool" => {
                let call = fields.require("tool_call_id", Node::string)?;
                let name = fields.read("name", Node::string)?;
                parts = vec![tool_result(call, name, parts, turn)];
                Role::User
            }
            "function" => {
                let name = fields.require("name", Node::string)?;
                let call = self.answer(&name);
                parts = vec![tool_result(call, Some(name), parts, turn)];
                Role::User
            }
            other => {
                return Err(Malformed::new(
                    "role",
                    format!(
                        "expected system, developer, user, assistant, tool or function, got '{other}'"
                    ),
                ));
            }
        };
        if let (Some(mark), Some(last)) = (cache, parts.last_mut()) {
            last.cache.get_or_insert(mark);
        }
        keep(&mut extra, "", &fields);
        if role == Role::System && self.turns.is_empty() {
            if let Some(first) = parts.first_mut() {
                first.extra.fields.append(&mut extra.fields);
            }
            self.system.append(&mut parts);
        } else {
            self.turns.push(Turn { role, parts, extra });
        }
        Ok(())
    }

    fn assistant(
        &mut self,
        fields: &mut Fields<'_>,
        parts: &mut Vec<Part>,
        extra: &mut Extra,
        turn: u32,
    ) -> Result<(), Malformed> {
        let field = |name: &str| At::Field(format!("messages.{turn}.{name}"));
        if let Some(citations) = fields.take("annotations").map(answer::citations)
            && let Some(PartBody::Text(text)) = parts.last_mut().map(|part| &mut part.body)
        {
            text.citations = citations;
        }
        if let Some((key, text)) = reasoning(fields, extra) {
            let thought = PartBody::Reasoning(Thought {
                text,
                ..Thought::default()
            });
            parts.insert(0, Part::new(thought, field(key)));
        }
        if let Some(text) = fields
            .read("refusal", Node::string)?
            .filter(|text| !text.is_empty())
        {
            parts.push(Part::new(PartBody::Refusal(text), field("refusal")));
        }
        for (index, node) in fields
            .read("tool_calls", Node::elements)?
            .unwrap_or_default()
            .into_iter()
            .enumerate()
        {
            let at = field(&format!("tool_calls.{index}"));
            let call =
                tool_call(node, at).map_err(|fault| fault.inside(index).inside("tool_calls"))?;
            parts.push(call);
        }
        if let Some(call) = fields.read("function_call", |call| {
            let mut fields = call.fields()?;
            Ok(ToolCall {
                id: LegacyCall::id(self.legacy.len()),
                name: fields.require("name", Node::string)?,
                arguments: fields.read("arguments", arguments)?.unwrap_or_default(),
                custom: false,
                proof: None,
            })
        })? {
            self.legacy.push(LegacyCall {
                name: call.name.clone(),
                answered: false,
            });
            parts.push(Part::new(PartBody::ToolCall(call), field("function_call")));
        }
        Ok(())
    }

    /// The id of the call that a `function` message answers: the first open one of that name.
    fn answer(&mut self, name: &str) -> String {
        let open = self
            .legacy
            .iter()
            .position(|call| !call.answered && call.name == name)
            .unwrap_or(self.legacy.len());
        if let Some(call) = self.legacy.get_mut(open) {
            call.answered = true;
        }
        LegacyCall::id(open)
    }
}

fn tool_result(call: String, name: Option<String>, mut parts: Vec<Part>, turn: u32) -> Part {
    let mut is_error = false;
    if let Some(PartBody::Text(first)) = parts.first_mut().map(|part| &mut part.body)
        && let Some(text) = first.text.strip_prefix(TOOL_ERROR)
    {
        is_error = true;
        first.text = text.to_owned();
    }
    let cache = parts.iter_mut().rev().find_map(|part| part.cache.take());
    let result = PartBody::ToolResult(ToolResult {
        call,
        name,
        parts,
        is_error,
    });
    Part {
        cache,
        ..Part::new(result, At::Turn { turn })
    }
}

/// What compatible servers call `reasoning_content` or `reasoning`, and some repeat in `reasoning_details`. The details are kept
/// when they hold more than text: a signature, or encrypted reasoning.
fn reasoning(fields: &mut Fields<'_>, extra: &mut Extra) -> Option<(&'static str, String)> {
    let mut found: Option<(&'static str, String)> = None;
    for key in ["reasoning_content", "reasoning"] {
        let Some(node) = fields.take(key) else {
            continue;
        };
        match node.text() {
            Some(text) if !text.is_empty() => {
                found.get_or_insert((key, text.into_owned()));
            }
            Some(_) => {}
            None => extra.push(DialectId::Chat, key, node.to_raw()),
        }
    }
    if let Some(details) = fields.take("reasoning_details") {
        let text = answer::detail_text(details);
        if found.is_none() && !text.is_empty() {
            found = Some(("reasoning_details", text));
        }
        if answer::detail_proves(details) {
            extra.push(DialectId::Chat, "reasoning_details", details.to_raw());
        }
    }
    found
}

fn tool_call(node: Node<'_>, at: At) -> Result<Part, Malformed> {
    let mut fields = node.fields()?;
    let cache = cache_mark(&mut fields)?;
    let mut extra = Extra::default();
    let id = fields.require("id", Node::string)?;
    let kind = fields.read("type", Node::string)?;
    fields.take("index");
    let proof = answer::take_thought_signature(&mut fields);
    let custom = kind.as_deref() == Some("custom");
    let (outer, input) = if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    let read = |fields: &mut Fields<'_>| {
        Ok(ToolCall {
            id,
            name: fields.require("name", Node::string)?,
            arguments: fields.read(input, arguments)?.unwrap_or_default(),
            custom,
            proof,
        })
    };
    let call = if fields.get(outer).is_none() && fields.get("name").is_some() {
        read(&mut fields)?
    } else {
        fields.require(outer, |node| {
            let mut inner = node.fields()?;
            let call = read(&mut inner)?;
            keep(&mut extra, outer, &inner);
            Ok(call)
        })?
    };
    keep(&mut extra, "", &fields);
    Ok(Part {
        body: PartBody::ToolCall(call),
        cache,
        at,
        extra,
    })
}

fn tools(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), Malformed> {
    for (index, node) in fields
        .read("tools", Node::elements)?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let at = At::Tool {
            tool: ordinal(index),
        };
        let tool = tool(node, at).map_err(|fault| fault.inside(index).inside("tools"))?;
        request.tools.push(tool);
    }
    for (index, node) in fields
        .read("functions", Node::elements)?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        request.legacy_functions = true;
        let mut extra = Extra::default();
        let body = function(&mut node.fields()?, "", &mut extra)
            .map_err(|fault| fault.inside(index).inside("functions"))?;
        request.tools.push(Tool {
            body,
            cache: None,
            at: At::Field(format!("functions.{index}")),
            extra,
        });
    }
    if let Some(body) = fields.read("web_search_options", web_search_options)? {
        request.tools.push(Tool {
            body,
            cache: None,
            at: At::Field("web_search_options".to_owned()),
            extra: Extra::default(),
        });
    }
    request.tool_choice = fields.read("tool_choice", tool_choice)?;
    if let Some(choice) = fields.read("function_call", tool_choice)? {
        request.tool_choice.get_or_insert(choice);
    }
    Ok(())
}

fn tool(node: Node<'_>, at: At) -> Result<Tool, Malformed> {
    let mut fields = node.fields()?;
    let cache = cache_mark(&mut fields)?;
    let mut extra = Extra::default();
    let kind = fields.read("type", Node::string)?;
    let nested = |fields: &Fields<'_>, key: &str| fields.get(key).is_some_and(Node::is_object);
    let body = match kind.as_deref() {
        Some("function") | None if nested(&fields, "function") => {
            let body = fields.require("function", |node| {
                function(&mut node.fields()?, "function", &mut extra)
            })?;
            keep(&mut extra, "", &fields);
            body
        }
        // Cursor sends functions flat, as the Responses dialect has them; some clients send Anthropic's form.
        Some("function") | None => function(&mut fields, "", &mut extra)?,
        Some("custom") if fields.get("input_schema").is_some() => {
            function(&mut fields, "", &mut extra)?
        }
        Some("custom") if nested(&fields, "custom") => {
            let body = fields.require("custom", |node| {
                custom(&mut node.fields()?, "custom", &mut extra)
            })?;
            keep(&mut extra, "", &fields);
            body
        }
        Some("custom") => custom(&mut fields, "", &mut extra)?,
        Some(kind) if kind.starts_with("web_search") => {
            let body = web_search(&mut fields, node, kind)?;
            return Ok(Tool {
                body,
                cache,
                at,
                extra,
            });
        }
        Some(kind) => {
            let opaque = Opaque {
                of: DialectId::Chat,
                kind: kind.to_owned(),
                json: node.to_raw(),
            };
            let body = ToolBody::Opaque(opaque);
            return Ok(Tool {
                body,
                cache,
                at,
                extra,
            });
        }
    };
    Ok(Tool {
        body,
        cache,
        at,
        extra,
    })
}

fn function(
    fields: &mut Fields<'_>,
    outer: &str,
    extra: &mut Extra,
) -> Result<ToolBody, Malformed> {
    let object = |schema: Node<'_>| {
        schema.fields()?;
        Ok(schema.to_raw())
    };
    let body = ToolBody::Function {
        name: fields.require("name", Node::string)?,
        description: fields.read("description", Node::string)?,
        parameters: match fields.read("parameters", object)? {
            Some(schema) => Some(schema),
            None => fields.read("input_schema", object)?,
        },
        strict: fields.read("strict", Node::require_bool)?,
    };
    keep(extra, outer, fields);
    Ok(body)
}

fn custom(fields: &mut Fields<'_>, outer: &str, extra: &mut Extra) -> Result<ToolBody, Malformed> {
    let body = ToolBody::Custom {
        name: fields.require("name", Node::string)?,
        description: fields.read("description", Node::string)?,
        format: fields
            .take("format")
            .map(|format| CustomFormat(format.to_raw())),
    };
    keep(extra, outer, fields);
    Ok(body)
}

fn web_search_options(node: Node<'_>) -> Result<ToolBody, Malformed> {
    web_search(&mut node.fields()?, node, "web_search_options")
}

fn web_search(
    fields: &mut Fields<'_>,
    source: Node<'_>,
    kind: &str,
) -> Result<ToolBody, Malformed> {
    let location = fields.read("user_location", |location| {
        // Chat wraps the place in `approximate`, Responses does not.
        let inner = location.fields()?.get("approximate");
        Ok(inner.unwrap_or(location).to_raw())
    })?;
    let allowed_domains = fields.read("filters", |filters| {
        let domains = filters.fields()?.read("allowed_domains", Node::elements)?;
        domains
            .unwrap_or_default()
            .into_iter()
            .map(Node::string)
            .collect()
    })?;
    Ok(ToolBody::WebSearch(WebSearch {
        max_uses: fields.read("max_uses", Node::require_u64)?,
        allowed_domains: allowed_domains.unwrap_or_default(),
        blocked_domains: Vec::new(),
        context_size: fields.read("search_context_size", Node::string)?,
        user_location: location,
        source: Some(Opaque {
            of: DialectId::Chat,
            kind: kind.to_owned(),
            json: source.to_raw(),
        }),
    }))
}

fn tool_choice(node: Node<'_>) -> Result<ToolChoice, Malformed> {
    let word = |word: &str| match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        // `any` is Mistral's word.
        "required" | "any" => Ok(ToolChoice::Required),
        other => Err(Malformed::new(
            "",
            format!("expected none, auto, required or a tool, got '{other}'"),
        )),
    };
    if let Some(text) = node.text() {
        return word(&text);
    }
    let mut fields = node.fields()?;
    let kind = fields.read("type", Node::string)?;
    match kind.as_deref() {
        Some("allowed_tools") => {
            let mut allowed = match fields.take("allowed_tools") {
                Some(inner) => inner
                    .fields()
                    .map_err(|fault| fault.inside("allowed_tools"))?,
                None => fields,
            };
            let required = allowed.read("mode", Node::string)?.as_deref() == Some("required");
            let tools = allowed.require("tools", Node::elements)?;
            let names = tools.into_iter().map(|tool| name_of(&tool.fields()?));
            Ok(ToolChoice::Allowed {
                required,
                names: names.collect::<Result<_, _>>()?,
            })
        }
        Some("function" | "custom" | "tool") | None => name_of(&fields).map(ToolChoice::Tool),
        Some(other) => word(other),
    }
}

/// The name in `{function:{name}}`, `{custom:{name}}` or `{name}`.
fn name_of(fields: &Fields<'_>) -> Result<String, Malformed> {
    for key in ["function", "custom"] {
        if let Some(inner) = fields.get(key) {
            let name = inner
                .fields()
                .and_then(|mut inner| inner.require("name", Node::string));
            return name.map_err(|fault| fault.inside(key));
        }
    }
    match fields.get("name") {
        Some(name) => name.string().map_err(|fault| fault.inside("name")),
        None => Err(Malformed::new("function", "is required")),
    }
}

fn settings(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), Malformed> {
    let old = fields.read("max_tokens", Node::require_u64)?;
    let new = fields.read("max_completion_tokens", Node::require_u64)?;
    request.max_output = new.or(old);

    let sampling = &mut request.sampling;
    sampling.temperature = fields.read("temperature", Node::require_f64)?;
    sampling.top_p = fields.read("top_p", Node::require_f64)?;
    sampling.top_k = fields.read("top_k", Node::require_f64)?;
    sampling.presence_penalty = fields.read("presence_penalty", Node::require_f64)?;
    sampling.frequency_penalty = fields.read("frequency_penalty", Node::require_f64)?;
    sampling.seed = fields.read("seed", Node::require_i64)?;

    request.stop = fields
        .read("stop", |stop| {
            let one = stop.is_string();
            let texts = stop.one_or_many()?.into_iter().enumerate();
            let read = |(index, text): (usize, Node<'_>)| {
                text.string()
                    .map_err(|fault| if one { fault } else { fault.inside(index) })
            };
            texts.map(read).collect::<Result<Vec<_>, _>>()
        })?
        .unwrap_or_default();
    request.candidates = fields.read("n", Node::require_u64)?;
    if fields.read("logprobs", Node::require_bool)? == Some(true) {
        let top = fields.read("top_logprobs", Node::require_u64)?;
        request.logprobs = Some(top.unwrap_or(0));
    }
    request.parallel_tool_calls = fields.read("parallel_tool_calls", Node::require_bool)?;

    if let Some(format) = fields.take("response_format") {
        request.output =
            output(format, &mut request.extra).map_err(|fault| fault.inside("response_format"))?;
    }
    reasoning_settings(fields, request)?;
    request.verbosity = fields.read("verbosity", Node::string)?;

    let user = fields.read("user", Node::string)?;
    request.user = fields.read("safety_identifier", Node::string)?.or(user);
    request.metadata = fields
        .read("metadata", |metadata| {
            let label = |(key, value): (&str, Node<'_>)| match value.text() {
                Some(text) => (key.to_owned(), text.into_owned()),
                None => (key.to_owned(), value.raw().to_owned()),
            };
            Ok(metadata.fields()?.iter().map(label).collect())
        })?
        .unwrap_or_default();
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
            request
                .extra
                .push(DialectId::Chat, "service_tier", tier.to_raw());
        }
    }
    request.store = fields.read("store", Node::require_bool)?;
    request.stream = fields.read("stream", Node::require_bool)?.unwrap_or(false);
    if let Some(mut options) = fields.read("stream_options", Node::fields)? {
        request.include_usage = options
            .read("include_usage", Node::require_bool)
            .map_err(|fault| fault.inside("stream_options"))?
            .unwrap_or(false);
        // Padding of OpenAI's own chunks; no other stream has any.
        options.take("include_obfuscation");
        keep(&mut request.extra, "stream_options", &options);
    }
    Ok(())
}

fn output(format: Node<'_>, extra: &mut Extra) -> Result<Output, Malformed> {
    let mut fields = format.fields()?;
    let output = match &*fields.require("type", Node::string)? {
        "text" => Output::Text,
        "json_object" => Output::Json,
        "json_schema" => fields.require("json_schema", |node| {
            let mut inner = node.fields()?;
            let output = Output::Schema {
                name: inner.read("name", Node::string)?,
                description: inner.read("description", Node::string)?,
                schema: inner.require("schema", |schema| {
                    schema.fields()?;
                    Ok(schema.to_raw())
                })?,
                strict: inner.read("strict", Node::require_bool)?,
            };
            keep(extra, "response_format.json_schema", &inner);
            Ok(output)
        })?,
        other => {
            return Err(Malformed::new(
                "type",
                format!("expected text, json_object or json_schema, got '{other}'"),
            ));
        }
    };
    keep(extra, "response_format", &fields);
    Ok(output)
}

/// OpenAI's `reasoning_effort`, and OpenRouter's `reasoning` with more to say.
fn reasoning_settings(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), Malformed> {
    fn level(node: Node<'_>) -> Result<(Option<Effort>, Node<'_>), Malformed> {
        Ok((Effort::from_name(&node.string()?), node))
    }
    let reasoning = &mut request.reasoning;
    if let Some((effort, node)) = fields.read("reasoning_effort", level)? {
        reasoning.effort = effort;
        if effort.is_none() {
            request
                .extra
                .push(DialectId::Chat, "reasoning_effort", node.to_raw());
        }
    }
    let Some(node) = fields.take("reasoning") else {
        return Ok(());
    };
    let inside = |fault: Malformed| fault.inside("reasoning");
    let mut inner = node.fields().map_err(inside)?;
    if let Some((effort, node)) = inner.read("effort", level).map_err(inside)? {
        reasoning.effort = reasoning.effort.or(effort);
        if effort.is_none() {
            request
                .extra
                .push(DialectId::Chat, "reasoning.effort", node.to_raw());
        }
    }
    reasoning.budget = inner
        .read("max_tokens", Node::require_u64)
        .map_err(inside)?;
    reasoning.enabled = inner.read("enabled", Node::require_bool).map_err(inside)?;
    let exclude = inner.read("exclude", Node::require_bool).map_err(inside)?;
    reasoning.show = exclude.map(|exclude| !exclude);
    keep(&mut request.extra, "reasoning", &inner);
    Ok(())
}
