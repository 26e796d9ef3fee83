//! Reading a request: the body of `POST /v1/messages`.

use crate::hub::{
    Effort, Extra, Output, Reasoning, Request, Role, Tool, ToolBody, ToolChoice, Turn, WebSearch,
};
use crate::json::{Fields, Node, Object};
use crate::messages::request::content::{self, cache_mark, keep, opaque};
use crate::{At, DialectId, Malformed, json};

pub(in crate::messages) fn decode(body: &[u8]) -> Result<Request, Malformed> {
    let mut fields = Node::parse(body)?.fields()?;
    let mut request = Request {
        model: fields.require("model", Node::string)?,
        max_output: Some(fields.require("max_tokens", Node::require_u64)?),
        turns: fields.require("messages", turns)?,
        system: fields.read("system", content::system)?.unwrap_or_default(),
        tools: fields.read("tools", tools)?.unwrap_or_default(),
        stop: fields.read("stop_sequences", strings)?.unwrap_or_default(),
        stream: fields.read("stream", Node::require_bool)?.unwrap_or(false),
        ..Request::default()
    };
    request.sampling.temperature = fields.read("temperature", Node::require_f64)?;
    request.sampling.top_p = fields.read("top_p", Node::require_f64)?;
    request.sampling.top_k = fields.read("top_k", Node::require_f64)?;
    fields.read("tool_choice", |choice| tool_choice(choice, &mut request))?;
    fields.read("thinking", |config| {
        thinking(config, &mut request.reasoning, &mut request.extra)
    })?;
    fields.read("output_config", |config| {
        output_config(config, &mut request)
    })?;
    fields.read("output_format", |form| {
        if matches!(request.output, Output::Text) {
            output_format(form, &mut request, "output_format")
        } else {
            Ok(())
        }
    })?;
    fields.read("metadata", |metadata| {
        let mut inner = metadata.fields()?;
        request.user = inner.read("user_id", Node::string)?;
        keep(&mut request.extra, &inner, "metadata.");
        Ok(())
    })?;
    fields.read("service_tier", |tier| {
        match tier.string()?.as_str() {
            "auto" => request.service_tier = Some("auto".to_owned()),
            "standard_only" => request.service_tier = Some("default".to_owned()),
            _ => request
                .extra
                .push(DialectId::Messages, "service_tier", tier.to_raw()),
        }
        Ok(())
    })?;
    keep(&mut request.extra, &fields, "");
    Ok(request)
}

fn turns(messages: Node<'_>) -> Result<Vec<Turn>, Malformed> {
    let messages = messages.elements()?;
    if messages.is_empty() {
        return Err(Malformed::new("", "at least one message is expected"));
    }
    let mut turns = Vec::with_capacity(messages.len());
    for (index, message) in (0_u32..).zip(messages) {
        turns.push(turn(message, index).map_err(|fault| fault.inside(index))?);
    }
    Ok(turns)
}

fn turn(message: Node<'_>, index: u32) -> Result<Turn, Malformed> {
    let mut fields = message.fields()?;
    let role = fields.require("role", |role| match role.string()?.as_str() {
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        "system" => Ok(Role::System),
        other => Err(Malformed::new(
            "",
            format!("expected user, assistant or system, got {other:?}"),
        )),
    })?;
    let parts = fields.require("content", |content| content::parts(content, index, role))?;
    let mut extra = Extra::default();
    keep(&mut extra, &fields, "");
    Ok(Turn { role, parts, extra })
}

fn strings(node: Node<'_>) -> Result<Vec<String>, Malformed> {
    let mut strings = Vec::new();
    for (index, element) in node.one_or_many()?.into_iter().enumerate() {
        strings.push(element.string().map_err(|fault| fault.inside(index))?);
    }
    Ok(strings)
}

fn tools(node: Node<'_>) -> Result<Vec<Tool>, Malformed> {
    let mut tools = Vec::new();
    for (index, element) in (0_u32..).zip(node.elements()?) {
        tools.push(tool(element, index).map_err(|fault| fault.inside(index))?);
    }
    Ok(tools)
}

fn tool(node: Node<'_>, index: u32) -> Result<Tool, Malformed> {
    let mut fields = node.fields()?;
    let at = At::Tool { tool: index };
    let kind = fields.read("type", Node::string)?;
    let kind = kind.as_deref().unwrap_or("custom");
    let is = |family: &str| {
        kind.strip_prefix(family)
            .is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let body = if kind == "custom" {
        ToolBody::Function {
            name: fields.require("name", Node::string)?,
            description: fields.read("description", Node::string)?,
            parameters: fields.read("input_schema", content::object)?,
            strict: fields.read("strict", Node::require_bool)?,
        }
    } else if is("web_search_") {
        fields.take("name");
        ToolBody::WebSearch(web_search(node, kind, &mut fields)?)
    } else if is("web_fetch_") {
        fields.take("name");
        ToolBody::WebFetch
    } else if is("code_execution_") {
        fields.take("name");
        ToolBody::CodeExecution
    } else {
        return Ok(Tool {
            body: ToolBody::Opaque(opaque(node, kind)),
            cache: None,
            at,
            extra: Extra::default(),
        });
    };
    let cache = fields.read("cache_control", cache_mark)?;
    let mut extra = Extra::default();
    keep(&mut extra, &fields, "");
    Ok(Tool {
        body,
        cache,
        at,
        extra,
    })
}

fn web_search(node: Node<'_>, kind: &str, fields: &mut Fields<'_>) -> Result<WebSearch, Malformed> {
    Ok(WebSearch {
        max_uses: fields.read("max_uses", Node::require_u64)?,
        allowed_domains: fields.read("allowed_domains", strings)?.unwrap_or_default(),
        blocked_domains: fields.read("blocked_domains", strings)?.unwrap_or_default(),
        context_size: None,
        user_location: fields
            .read("user_location", |location| {
                let mut text = Vec::new();
                let mut object = Object::new(&mut text);
                for (key, node) in location.fields()?.iter() {
                    if key != "type" && !node.is_null() {
                        object.value(key).extend_from_slice(node.raw().as_bytes());
                    }
                }
                drop(object);
                Ok(String::from_utf8(text).ok().and_then(json::raw))
            })?
            .flatten(),
        source: Some(opaque(node, kind)),
    })
}

fn tool_choice(node: Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let mut fields = node.fields()?;
    let kind = fields.require("type", Node::string)?;
    let choice = match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Tool(fields.require("name", Node::string)?),
        other => {
            return Err(Malformed::new(
                "type",
                format!("expected auto, any, tool or none, got {other:?}"),
            ));
        }
    };
    request.tool_choice = Some(choice);
    // Several calls at once are the rule in every dialect; only the ban says something.
    let single = fields.read("disable_parallel_tool_use", Node::require_bool)?;
    request.parallel_tool_calls = (single == Some(true)).then_some(false);
    keep(&mut request.extra, &fields, "tool_choice.");
    Ok(())
}

fn thinking(node: Node<'_>, reasoning: &mut Reasoning, extra: &mut Extra) -> Result<(), Malformed> {
    let mut fields = node.fields()?;
    let kind = fields.require("type", Ok)?;
    let shown = fields.read("display", Node::string)?;
    let shown = shown.as_deref() != Some("omitted");
    match kind.text().as_deref() {
        Some("adaptive") => {
            reasoning.enabled = Some(true);
            reasoning.show = Some(shown);
        }
        Some("enabled") => {
            reasoning.enabled = Some(true);
            reasoning.show = Some(shown);
            reasoning.budget = Some(fields.require("budget_tokens", Node::require_u64)?);
        }
        Some("disabled") => reasoning.enabled = Some(false),
        // Elsewhere the nearest thing is none at all; the word itself returns only to this dialect.
        Some("between_tools") => {
            reasoning.enabled = Some(false);
            extra.push(DialectId::Messages, "thinking.type", kind.to_raw());
        }
        _ => {
            return Err(Malformed::new(
                "type",
                format!(
                    "expected adaptive, enabled, between_tools or disabled, got {}",
                    kind.raw()
                ),
            ));
        }
    }
    keep(extra, &fields, "thinking.");
    Ok(())
}

fn output_config(node: Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let mut fields = node.fields()?;
    fields.read("effort", |word| {
        match Effort::from_name(&word.string()?) {
            Some(effort) => request.reasoning.effort = Some(effort),
            None => request
                .extra
                .push(DialectId::Messages, "output_config.effort", word.to_raw()),
        }
        Ok(())
    })?;
    fields.read("format", |form| {
        output_format(form, request, "output_config.format")
    })?;
    keep(&mut request.extra, &fields, "output_config.");
    Ok(())
}

fn output_format(node: Node<'_>, request: &mut Request, key: &str) -> Result<(), Malformed> {
    let mut fields = node.fields()?;
    if fields.require("type", Node::string)? != "json_schema" {
        request.extra.push(DialectId::Messages, key, node.to_raw());
        return Ok(());
    }
    let schema = fields.require("schema", content::object)?;
    request.output = Output::Schema {
        name: None,
        description: None,
        schema,
        strict: None,
    };
    keep(&mut request.extra, &fields, &format!("{key}."));
    Ok(())
}
