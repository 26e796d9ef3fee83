//! Tools and tool choice, both ways.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::free_form;
use crate::hub::{Extra, Opaque, Request, Tool, ToolBody, ToolChoice, WebSearch};
use crate::json::{self, Array, Node, Object};
use crate::names::{NameRule, ToolNames};
use crate::schema::gemini as schema;
use crate::{At, DialectId, Losses, Malformed, Quirks, Refusal, Setting};

use super::fields;
use super::request::keep;

/// `[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}`
pub(super) const NAMES: NameRule = NameRule {
    first: |c| c.is_ascii_alphabetic() || c == b'_',
    rest: |c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b':' | b'-'),
    longest: 128,
};

/// A mode that no other dialect has: calls fit their schemas.
const VALIDATED: &str = "VALIDATED";
const MODE: &str = "toolConfig.functionCallingConfig.mode";

// --- reading ------------------------------------------------------------------------------------------------------------------

pub(super) fn decode(tools: Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    for (index, node) in tools.one_or_many()?.into_iter().enumerate() {
        let at = At::Tool {
            tool: u32::try_from(index).unwrap_or(u32::MAX),
        };
        let entry = fields(node).map_err(|fault| fault.inside(index))?;
        for (key, value) in entry.iter().filter(|(_, value)| !value.is_null()) {
            if key == "functionDeclarations" {
                functions(value, &at, &mut request.tools)
            } else {
                hosted(key, value, &at).map(|tool| request.tools.push(tool))
            }
            .map_err(|fault| fault.inside(format_args!("{index}.{key}")))?;
        }
    }
    Ok(())
}

fn functions(declarations: Node<'_>, at: &At, tools: &mut Vec<Tool>) -> Result<(), Malformed> {
    for (index, node) in declarations.one_or_many()?.into_iter().enumerate() {
        let tool = function(node, at).map_err(|fault| fault.inside(index))?;
        tools.push(tool);
    }
    Ok(())
}

fn function(node: Node<'_>, at: &At) -> Result<Tool, Malformed> {
    let mut declaration = fields(node)?;
    let name = declaration.require("name", Node::string)?;
    let description = declaration.read("description", Node::string)?;
    let openapi = declaration.read("parameters", schema::to_json_schema)?;
    let json_schema = declaration.read("parametersJsonSchema", |node| {
        if node.is_object() {
            Ok(node.to_raw())
        } else {
            schema::to_json_schema(node)
        }
    })?;
    let mut extra = Extra::default();
    keep(&declaration, "", &mut extra);
    Ok(Tool {
        body: ToolBody::Function {
            name,
            description,
            parameters: json_schema.or(openapi),
            strict: None,
        },
        cache: None,
        at: at.clone(),
        extra,
    })
}

/// A tool that the vendor runs.
fn hosted(key: &str, value: Node<'_>, at: &At) -> Result<Tool, Malformed> {
    let mut extra = Extra::default();
    let body = match key {
        "googleSearch" | "googleSearchRetrieval" => {
            let mut search = fields(value)?;
            let blocked_domains = search
                .read("excludeDomains", |domains| {
                    domains.elements()?.into_iter().map(Node::string).collect()
                })?
                .unwrap_or_default();
            keep(&search, &format!("{key}."), &mut extra);
            ToolBody::WebSearch(WebSearch {
                blocked_domains,
                source: opaque(key, value),
                ..WebSearch::default()
            })
        }
        "urlContext" => {
            keep(&fields(value)?, "urlContext.", &mut extra);
            ToolBody::WebFetch
        }
        "codeExecution" => {
            keep(&fields(value)?, "codeExecution.", &mut extra);
            ToolBody::CodeExecution
        }
        _ => match opaque(key, value) {
            Some(opaque) => ToolBody::Opaque(opaque),
            None => return Err(Malformed::new("", "not a readable tool")),
        },
    };
    Ok(Tool {
        body,
        cache: None,
        at: at.clone(),
        extra,
    })
}

/// `{key: value}`, the tool as an entry of its own.
fn opaque(key: &str, value: Node<'_>) -> Option<Opaque> {
    let mut out = Vec::with_capacity(value.raw().len() + key.len() + 5);
    Object::new(&mut out)
        .value(key)
        .extend_from_slice(value.raw().as_bytes());
    Some(Opaque {
        of: DialectId::Gemini,
        kind: key.to_owned(),
        json: json::raw(String::from_utf8(out).ok()?)?,
    })
}

pub(super) fn decode_choice(config: Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let mut config = fields(config)?;
    if let Some(calling) = config.take("functionCallingConfig") {
        choice(calling, request).map_err(|fault| fault.inside("functionCallingConfig"))?;
    }
    keep(&config, "toolConfig.", &mut request.extra);
    Ok(())
}

fn choice(calling: Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let mut calling = fields(calling)?;
    let mode = calling.take("mode");
    let mut names: Vec<String> = calling
        .read("allowedFunctionNames", |names| {
            names.elements()?.into_iter().map(Node::string).collect()
        })?
        .unwrap_or_default();
    keep(
        &calling,
        "toolConfig.functionCallingConfig.",
        &mut request.extra,
    );
    let word = match mode {
        None => String::new(),
        Some(mode) => mode
            .string()
            .map_err(|fault| fault.inside("mode"))?
            .to_ascii_uppercase(),
    };
    request.tool_choice = match word.as_str() {
        "" | "MODE_UNSPECIFIED" if names.is_empty() => None,
        "" | "MODE_UNSPECIFIED" | "AUTO" if names.is_empty() => Some(ToolChoice::Auto),
        "NONE" => Some(ToolChoice::None),
        "ANY" => Some(match names.len() {
            0 => ToolChoice::Required,
            1 => ToolChoice::Tool(names.remove(0)),
            _ => ToolChoice::Allowed {
                required: true,
                names,
            },
        }),
        VALIDATED if names.is_empty() => {
            if let Some(mode) = mode {
                request.extra.push(DialectId::Gemini, MODE, mode.to_raw());
            }
            Some(ToolChoice::Auto)
        }
        "" | "MODE_UNSPECIFIED" | "AUTO" | VALIDATED => Some(ToolChoice::Allowed {
            required: false,
            names,
        }),
        _ => {
            return Err(Malformed::new(
                "mode",
                format!("unknown mode '{word}'; expected AUTO, ANY, NONE or VALIDATED"),
            ));
        }
    };
    Ok(())
}

// --- writing ------------------------------------------------------------------------------------------------------------------

/// Writes `tools` and `toolConfig`.
pub(super) fn encode(
    out: &mut Object<'_>,
    request: &Request,
    names: &ToolNames,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let mut written = Vec::new();
    let mut list = Array::new(&mut written);
    let mut functions = Vec::new();
    let mut declarations = Array::new(&mut functions);
    for tool in &request.tools {
        if declare(&mut declarations, tool, names, quirks, losses) {
            losses_of_extra(tool, losses);
        }
    }
    let any_function = !declarations.is_empty();
    drop(declarations);
    if any_function {
        list.object()
            .value("functionDeclarations")
            .extend_from_slice(&functions);
    }
    for tool in &request.tools {
        run_by_vendor(&mut list, tool, losses);
    }
    let any_tool = !list.is_empty();
    drop(list);
    if any_tool {
        out.value("tools").extend_from_slice(&written);
    }
    encode_choice(out, request, names, quirks, any_function, losses)
}

fn losses_of_extra(tool: &Tool, losses: &mut Losses) {
    losses.extra(&tool.extra, &tool.at, DialectId::Gemini);
}

/// Writes the declaration of a function; `false` for other tools.
fn declare(
    declarations: &mut Array<'_>,
    tool: &Tool,
    names: &ToolNames,
    quirks: &Quirks,
    losses: &mut Losses,
) -> bool {
    match &tool.body {
        ToolBody::Function {
            name,
            description,
            parameters,
            strict,
        } => {
            let mut declaration = declarations.object();
            declaration.string("name", names.sent(name));
            declaration.some_string("description", description.as_deref());
            if let Some(parameters) = parameters {
                write_parameters(&mut declaration, parameters, quirks, &tool.at, losses);
            }
            for (key, value) in tool.extra.of(DialectId::Gemini) {
                declaration.raw(key, value);
            }
            if *strict == Some(true) {
                losses.push(
                    tool.at.clone(),
                    "strict",
                    "Gemini can be strict only about all tools at once",
                );
            }
            true
        }
        ToolBody::Custom {
            name,
            description,
            format,
        } => {
            let mut declaration = declarations.object();
            declaration.string("name", names.sent(name));
            let text = free_form::description(description.as_deref(), format.as_ref());
            declaration.some_string("description", text.as_deref());
            let key = if quirks.json_schema_fields {
                "parametersJsonSchema"
            } else {
                "parameters"
            };
            declaration
                .value(key)
                .extend_from_slice(free_form::PARAMETERS);
            losses.push(
                tool.at.clone(),
                "",
                "sent as a function with one text argument, 'input': Gemini has no free-form tools",
            );
            true
        }
        ToolBody::WebSearch(_)
        | ToolBody::WebFetch
        | ToolBody::CodeExecution
        | ToolBody::Opaque(_) => false,
    }
}

fn write_parameters(
    declaration: &mut Object<'_>,
    parameters: &RawValue,
    quirks: &Quirks,
    at: &At,
    losses: &mut Losses,
) {
    let mut report = |path: String, note: &'static str| {
        let field = if path.is_empty() {
            "parameters".to_owned()
        } else {
            format!("parameters.{path}")
        };
        losses.push(at.clone(), field, note);
    };
    if quirks.json_schema_fields {
        let cut = schema::for_json_schema_field(parameters, &mut report);
        declaration.raw("parametersJsonSchema", &cut);
    } else if let Some(opened) = schema::for_openapi_field(parameters, &mut report) {
        declaration.raw("parameters", &opened);
    }
}

/// Writes a tool that the vendor runs as an entry of its own.
fn run_by_vendor(list: &mut Array<'_>, tool: &Tool, losses: &mut Losses) {
    let own = |key: &str, list: &mut Array<'_>| {
        let prefix = format!("{key}.");
        let mut entry = list.object();
        let mut config = entry.object(key);
        for (name, value) in tool.extra.of(DialectId::Gemini) {
            if let Some(name) = name.strip_prefix(&prefix) {
                config.raw(name, value);
            }
        }
    };
    match &tool.body {
        ToolBody::Function { .. } | ToolBody::Custom { .. } => return,
        ToolBody::WebSearch(search) => search_tool(list, search, &tool.at, losses),
        ToolBody::WebFetch => own("urlContext", list),
        ToolBody::CodeExecution => own("codeExecution", list),
        ToolBody::Opaque(opaque) if opaque.of == DialectId::Gemini => list.raw(&opaque.json),
        ToolBody::Opaque(opaque) => losses.push(
            tool.at.clone(),
            "",
            format!("dropped: only {} has the tool {}", opaque.of, opaque.kind),
        ),
    }
    losses_of_extra(tool, losses);
}

fn search_tool(list: &mut Array<'_>, search: &WebSearch, at: &At, losses: &mut Losses) {
    let WebSearch {
        max_uses,
        allowed_domains,
        blocked_domains,
        context_size,
        user_location,
        source,
    } = search;
    if let Some(source) = source
        .as_ref()
        .filter(|source| source.of == DialectId::Gemini)
    {
        list.raw(&source.json);
        return;
    }
    for (said, field) in [
        (max_uses.is_some(), "max_uses"),
        (!allowed_domains.is_empty(), "allowed_domains"),
        (context_size.is_some(), "search_context_size"),
        (user_location.is_some(), "user_location"),
    ] {
        if said {
            losses.push(
                at.clone(),
                field,
                "dropped: Gemini's search has no such setting",
            );
        }
    }
    let mut entry = list.object();
    let mut config = entry.object("googleSearch");
    if !blocked_domains.is_empty() {
        let mut domains = config.array("excludeDomains");
        for domain in blocked_domains {
            domains.string(domain);
        }
    }
}

fn encode_choice(
    out: &mut Object<'_>,
    request: &Request,
    names: &ToolNames,
    quirks: &Quirks,
    any_function: bool,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    if request.parallel_tool_calls == Some(false) && any_function {
        losses.setting(
            Setting::ParallelToolCalls,
            "dropped: Gemini decides by itself how many tools to call",
        );
    }
    let declared: BTreeSet<&str> = request
        .tools
        .iter()
        .filter_map(|tool| match &tool.body {
            ToolBody::Function { name, .. } | ToolBody::Custom { name, .. } => Some(name.as_str()),
            ToolBody::WebSearch(_)
            | ToolBody::WebFetch
            | ToolBody::CodeExecution
            | ToolBody::Opaque(_) => None,
        })
        .collect();
    let strict = quirks.json_schema_fields
        && any_function
        && request.tools.iter().all(|tool| match &tool.body {
            ToolBody::Function { strict, .. } => *strict == Some(true),
            ToolBody::Custom { .. } => false,
            ToolBody::WebSearch(_)
            | ToolBody::WebFetch
            | ToolBody::CodeExecution
            | ToolBody::Opaque(_) => true,
        });
    let own_mode = request.extra.get(DialectId::Gemini, MODE).is_some();
    let mut allowed: Vec<&str> = Vec::new();
    let mode = match &request.tool_choice {
        None if strict => Some(VALIDATED),
        None => None,
        Some(ToolChoice::Auto) if strict || own_mode => Some(VALIDATED),
        Some(ToolChoice::Auto) => Some("AUTO"),
        Some(ToolChoice::None) => Some("NONE"),
        Some(ToolChoice::Required) => Some("ANY"),
        Some(ToolChoice::Tool(name)) => {
            allowed.push(name);
            Some("ANY")
        }
        Some(ToolChoice::Allowed { required, names }) => {
            allowed.extend(names.iter().map(String::as_str));
            Some(if *required { "ANY" } else { VALIDATED })
        }
    };
    let mut config = Vec::new();
    let mut fields = Object::new(&mut config);
    if let Some(mode) = mode.filter(|_| any_function) {
        if let Some(name) = allowed.iter().find(|name| !declared.contains(*name)) {
            return Err(Refusal::new(
                At::Setting(Setting::ToolChoice),
                format!("the tool '{name}' is not among the tools of this request"),
            ));
        }
        let mut calling = fields.object("functionCallingConfig");
        calling.string("mode", mode);
        if !allowed.is_empty() {
            let mut list = calling.array("allowedFunctionNames");
            for name in allowed {
                list.string(names.sent(name));
            }
        }
        super::config::extras(
            &mut calling,
            &request.extra,
            "toolConfig.functionCallingConfig.",
            &["mode"],
        );
    } else if let Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { .. }) =
        &request.tool_choice
    {
        losses.setting(
            Setting::ToolChoice,
            "dropped: only functions can be chosen, and none is left",
        );
    }
    super::config::extras(&mut fields, &request.extra, "toolConfig.", &[]);
    drop(fields);
    if config != b"{}" {
        out.value("toolConfig").extend_from_slice(&config);
    }
    Ok(())
}
