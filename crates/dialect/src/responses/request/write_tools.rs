//! Writing tools and the choice among them.

use std::collections::BTreeMap;

use crate::chat::possible_choice;
use crate::hub::{Tool, ToolBody, ToolChoice, WebSearch};
use crate::json::{Array, Node, Object};
use crate::schema::openai;
use crate::{DialectId, Losses, Setting};

use super::encode::Writing;
use super::{ELSEWHERE, WHOLE};

/// What a choice can name.
#[derive(Debug, Clone, Copy)]
struct Declared<'a> {
    name: &'a str,
    kind: &'a str,
    /// A type stands for the name.
    hosted: bool,
}

pub(super) fn write(object: &mut Object<'_>, writing: &Writing<'_>, losses: &mut Losses) {
    let request = writing.request;
    let own = DialectId::Responses;
    let elsewhere = |tool: &Tool| tool.extra.get(own, ELSEWHERE).is_some();
    let mut declared: Vec<Declared<'_>> = Vec::new();
    let mut kept: Vec<&Tool> = Vec::new();
    for tool in &request.tools {
        losses.extra(&tool.extra, &tool.at, own);
        let hosted = |name, kind| Declared {
            name,
            kind,
            hosted: true,
        };
        match &tool.body {
            ToolBody::Function { name, .. } => declared.push(Declared {
                name,
                kind: "function",
                hosted: false,
            }),
            ToolBody::Custom { name, .. } => declared.push(Declared {
                name,
                kind: "custom",
                hosted: false,
            }),
            ToolBody::WebSearch(search) => {
                let source = search.source.as_ref().filter(|source| source.of == own);
                let kind = source.map_or("web_search", |source| source.kind.as_str());
                declared.push(hosted("web_search", kind));
            }
            ToolBody::CodeExecution => {
                declared.push(hosted("code_execution", "code_interpreter"));
            }
            ToolBody::Opaque(opaque) if opaque.of == own => {}
            ToolBody::WebFetch => {
                let note = "dropped: the upstream runs no page fetching";
                losses.push(tool.at.clone(), "", note);
                continue;
            }
            ToolBody::Opaque(opaque) => {
                let note = format!("dropped: {} is known to {} only", opaque.kind, opaque.of);
                losses.push(tool.at.clone(), "", note);
                continue;
            }
        }
        kept.push(tool);
    }
    let listed: Vec<&Tool> = kept
        .iter()
        .copied()
        .filter(|tool| !elsewhere(tool))
        .collect();
    if !listed.is_empty() {
        let mut array = object.array("tools");
        for tool in listed {
            match tool.extra.get(own, WHOLE) {
                Some(whole) => array.raw(whole),
                None => write_tool(&mut array, tool, writing, losses),
            }
        }
    }
    let choice = request.extra.get(own, "tool_choice");
    if let Some(choice) = choice.filter(|_| writing.own) {
        object.raw("tool_choice", choice);
    } else if kept.is_empty() && !writing.own {
        if matches!(
            request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { .. })
        ) {
            losses.setting(Setting::ToolChoice, "dropped: no tool is left to choose");
        }
        return;
    } else if let Some(choice) = possible_choice(request, writing.target, losses) {
        tool_choice(object, &choice, &declared, writing, losses);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        object.bool("parallel_tool_calls", parallel);
    }
}

fn write_tool(array: &mut Array<'_>, tool: &Tool, writing: &Writing<'_>, losses: &mut Losses) {
    let names = writing.names;
    match &tool.body {
        ToolBody::Function {
            name,
            description,
            parameters,
            strict,
        } => {
            let mut object = array.object();
            object.string("type", "function");
            object.string("name", names.sent(name));
            object.some_string("description", description.as_deref());
            match parameters {
                Some(schema) => {
                    let schema = openai::parameters(schema);
                    object
                        .value("parameters")
                        .extend_from_slice(schema.as_bytes());
                }
                None => object
                    .value("parameters")
                    .extend_from_slice(br#"{"type":"object","properties":{}}"#),
            }
            let wanted = *strict == Some(true);
            let obstacle = parameters
                .as_deref()
                .and_then(openai::strict_obstacle)
                .filter(|_| wanted);
            if let Some(obstacle) = &obstacle {
                let note = format!("sent without strict: {obstacle}");
                losses.push(tool.at.clone(), "strict", note);
            }
            // Said always: here a tool of which nothing is said is strict, and its schema is changed to fit.
            object.bool("strict", wanted && obstacle.is_none());
        }
        ToolBody::Custom {
            name,
            description,
            format,
        } => {
            let mut object = array.object();
            object.string("type", "custom");
            object.string("name", names.sent(name));
            object.some_string("description", description.as_deref());
            if let Some(format) = format {
                write_format(&mut object, Node::from(&*format.0));
            }
        }
        ToolBody::WebSearch(search) => write_search(array, search, tool, losses),
        ToolBody::CodeExecution => {
            let mut object = array.object();
            object.string("type", "code_interpreter");
            object.object("container").string("type", "auto");
        }
        ToolBody::Opaque(opaque) => array.raw(&opaque.json),
        // Left out by `write`.
        ToolBody::WebFetch => {}
    }
}

/// Chat wraps the fields of a grammar once more.
fn write_format(object: &mut Object<'_>, format: Node<'_>) {
    let fields = format.fields().unwrap_or_default();
    let Some(grammar) = fields.get("grammar").and_then(|inner| inner.fields().ok()) else {
        object
            .value("format")
            .extend_from_slice(format.raw().as_bytes());
        return;
    };
    let mut flat = object.object("format");
    flat.string("type", "grammar");
    for (key, node) in grammar.iter() {
        flat.value(key).extend_from_slice(node.raw().as_bytes());
    }
}

fn write_search(array: &mut Array<'_>, search: &WebSearch, tool: &Tool, losses: &mut Losses) {
    for (said, field) in [
        (search.max_uses.is_some(), "max_uses"),
        (!search.blocked_domains.is_empty(), "blocked_domains"),
    ] {
        if said {
            let note = "dropped: OpenAI's search has no such setting";
            losses.push(tool.at.clone(), field, note);
        }
    }
    let mut object = array.object();
    object.string("type", "web_search");
    if !search.allowed_domains.is_empty() {
        let mut filters = object.object("filters");
        let mut domains = filters.array("allowed_domains");
        for domain in &search.allowed_domains {
            domains.string(domain);
        }
    }
    object.some_string("search_context_size", search.context_size.as_deref());
    let location = search.user_location.as_deref().map(Node::from);
    if let Some(location) = location.and_then(|location| location.fields().ok()) {
        let mut said = object.object("user_location");
        said.string("type", "approximate");
        for key in ["city", "region", "country", "timezone"] {
            said.some_string(key, location.get(key).and_then(Node::text).as_deref());
        }
    }
}

fn tool_choice(
    object: &mut Object<'_>,
    choice: &ToolChoice,
    declared: &[Declared<'_>],
    writing: &Writing<'_>,
    losses: &mut Losses,
) {
    let find = |name: &str| declared.iter().find(|known| known.name == name);
    let write = |mut object: Object<'_>, found: &Declared<'_>| {
        object.string("type", found.kind);
        if !found.hosted {
            object.string("name", writing.names.sent(found.name));
        }
    };
    match choice {
        ToolChoice::Auto => object.string("tool_choice", "auto"),
        ToolChoice::None => object.string("tool_choice", "none"),
        ToolChoice::Required => object.string("tool_choice", "required"),
        ToolChoice::Tool(name) => match find(name) {
            Some(found) => write(object.object("tool_choice"), found),
            None => losses.setting(
                Setting::ToolChoice,
                format!("dropped: no tool of the name '{name}' is sent"),
            ),
        },
        ToolChoice::Allowed { required, names } => {
            let known = declared.iter().rev().map(|known| (known.name, known));
            let known: BTreeMap<&str, &Declared<'_>> = known.collect();
            let found = names.iter().map(String::as_str);
            let found: Vec<_> = found.filter_map(|name| known.get(name)).collect();
            if found.len() < names.len() {
                losses.setting(Setting::ToolChoice, "tools that are not sent were left out");
            }
            let mode = if *required { "required" } else { "auto" };
            if found.is_empty() {
                object.string("tool_choice", mode);
                return;
            }
            let mut outer = object.object("tool_choice");
            outer.string("type", "allowed_tools");
            outer.string("mode", mode);
            let mut array = outer.array("tools");
            for found in found {
                write(array.object(), found);
            }
        }
    }
}
