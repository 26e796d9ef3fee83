//! Writing tools and the choice among them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use crate::chat::{possible_choice, without_tools};
use crate::hub::{Tool, ToolBody, ToolChoice, WebSearch};
use crate::json::{Array, Node, Object};
use crate::responses::Form;
use crate::schema::openai;
use crate::{At, DialectId, Losses, Refusal, Setting};

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

pub(super) fn write(
    object: &mut Object<'_>,
    writing: &Writing<'_>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let (request, quirks) = (writing.request, writing.target.quirks);
    let own = DialectId::Responses;
    let source = request.extra.get(own, "tool_choice");
    if !quirks.tools {
        if source.is_some() && request.tool_choice.is_none() {
            let at = At::Setting(Setting::ToolChoice);
            return Err(Refusal::new(
                at,
                "this model knows no tools; choose one that does",
            ));
        }
        return without_tools(request, losses);
    }
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
    let choice = possible_choice(request, writing.target, losses);
    if let (Some(ToolChoice::Tool(name)), Some(ToolChoice::Required)) =
        (&request.tool_choice, &choice)
        && kept.len() > 1
    {
        // A namespace is declared as a whole.
        let alone = !spaced(writing).contains(name.as_str());
        let chosen = |tool: &&Tool| alone && answers_to(tool, name);
        if kept.iter().any(chosen) {
            kept.retain(|tool| chosen(tool));
            losses.setting(Setting::Tools, "only the tool that must be called was sent");
        } else {
            let note = "became required: this model cannot be bound to one tool";
            losses.setting(Setting::ToolChoice, note);
        }
    }
    let mut listed = kept.iter().filter(|tool| !elsewhere(tool)).peekable();
    if listed.peek().is_some() {
        let mut array = object.array("tools");
        for tool in listed {
            match tool.extra.get(own, WHOLE) {
                Some(whole) => write_whole(&mut array, whole, tool, writing, losses),
                None => write_tool(&mut array, tool, writing, losses),
            }
        }
    }
    if kept.is_empty() && !writing.own {
        if matches!(
            request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { .. })
        ) {
            losses.setting(Setting::ToolChoice, "dropped: no tool is left to choose");
        }
        return Ok(());
    }
    match (source.filter(|_| writing.own), choice) {
        (Some(source), choice) => own_choice(object, source, choice, &declared, writing, losses),
        (None, Some(choice)) => tool_choice(object, &choice, &declared, writing, losses),
        (None, None) => {}
    }
    if let Some(parallel) = request.parallel_tool_calls {
        object.bool("parallel_tool_calls", parallel);
    }
    Ok(())
}

fn answers_to(tool: &Tool, name: &str) -> bool {
    match &tool.body {
        ToolBody::Function { name: known, .. } | ToolBody::Custom { name: known, .. } => {
            known == name
        }
        ToolBody::WebSearch(_) => name == "web_search",
        ToolBody::CodeExecution => name == "code_execution",
        ToolBody::WebFetch | ToolBody::Opaque(_) => false,
    }
}

/// The hub's names of the tools that the caller declared in namespaces.
fn spaced<'a>(writing: &Writing<'a>) -> BTreeSet<&'a str> {
    let calls = writing
        .request
        .responses
        .iter()
        .flat_map(|echo| &echo.calls);
    let inside = calls.filter(|call| match &call.form {
        Form::Namespaced { .. } => true,
        Form::Custom { namespace, .. } => namespace.is_some(),
        Form::LocalShell | Form::Shell | Form::ApplyPatch => false,
    });
    inside.map(|call| call.name.as_str()).collect()
}

/// The choice of a caller of this dialect: as it came, as far as the model can be bound to it.
fn own_choice(
    object: &mut Object<'_>,
    source: &RawValue,
    choice: Option<ToolChoice>,
    declared: &[Declared<'_>],
    writing: &Writing<'_>,
    losses: &mut Losses,
) {
    let (request, quirks) = (writing.request, writing.target.quirks);
    let spaced = spaced(writing);
    let respelled =
        |name: &String| writing.names.sent(name) != name && !spaced.contains(name.as_str());
    let as_it_came = match &choice {
        Some(ToolChoice::Tool(name)) => !respelled(name),
        Some(ToolChoice::Allowed { names, .. }) => !names.iter().any(respelled),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => true,
    };
    match choice {
        // One of the tools that only this dialect has.
        None if quirks.forced_tool_choice && quirks.named_tool_choice => {
            object.raw("tool_choice", source);
        }
        None => {
            let note = "dropped: this model cannot be bound to one tool";
            losses.setting(Setting::ToolChoice, note);
        }
        Some(choice) if as_it_came && request.tool_choice.as_ref() == Some(&choice) => {
            object.raw("tool_choice", source);
        }
        Some(ToolChoice::Allowed { .. }) if as_it_came => {
            let fields = Node::from(source).fields().unwrap_or_default();
            let mut outer = object.object("tool_choice");
            for (key, node) in fields.iter() {
                if key == "mode" {
                    outer.string(key, "auto");
                } else {
                    outer.value(key).extend_from_slice(node.raw().as_bytes());
                }
            }
        }
        Some(choice) => tool_choice(object, &choice, declared, writing, losses),
    }
}

/// Writes a tool as it came, but for what this server does not take.
fn write_whole(
    array: &mut Array<'_>,
    whole: &RawValue,
    tool: &Tool,
    writing: &Writing<'_>,
    losses: &mut Losses,
) {
    let (name, strict) = match &tool.body {
        ToolBody::Function { name, strict, .. } => (name, *strict),
        ToolBody::Custom { name, .. } => (name, None),
        ToolBody::WebSearch(_)
        | ToolBody::WebFetch
        | ToolBody::CodeExecution
        | ToolBody::Opaque(_) => return array.raw(whole),
    };
    let sent = writing.names.sent(name);
    let taken = strict.is_none() || writing.target.quirks.strict_tools;
    let fields = Node::from(whole).fields().unwrap_or_default();
    let kind = fields.get("type").and_then(Node::text);
    if kind.as_deref() == Some("namespace") || taken && sent == name {
        return array.raw(whole);
    }
    if strict == Some(true) && !taken {
        let note = "sent without strict: this upstream does not take it";
        losses.push(tool.at.clone(), "strict", note);
    }
    let mut object = array.object();
    for (key, node) in fields.iter() {
        match node.fields() {
            // The form of Chat.
            Ok(inner) if matches!(key, "function" | "custom") => {
                let mut object = object.object(key);
                for (key, node) in inner.iter() {
                    field(&mut object, key, node, sent, writing);
                }
            }
            _ => field(&mut object, key, node, sent, writing),
        }
    }
}

/// Writes a field of a tool that is called `name`.
fn field(object: &mut Object<'_>, key: &str, node: Node<'_>, name: &str, writing: &Writing<'_>) {
    match key {
        "name" => object.string(key, name),
        "strict" if !writing.target.quirks.strict_tools => {}
        _ => object.value(key).extend_from_slice(node.raw().as_bytes()),
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
            let taken = writing.target.quirks.strict_tools;
            let wanted = *strict == Some(true) && taken;
            if *strict == Some(true) && !taken {
                let note = "sent without strict: this upstream does not take it";
                losses.push(tool.at.clone(), "strict", note);
            }
            let obstacle = parameters
                .as_deref()
                .and_then(openai::strict_obstacle)
                .filter(|_| wanted);
            if let Some(obstacle) = &obstacle {
                let note = format!("sent without strict: {obstacle}");
                losses.push(tool.at.clone(), "strict", note);
            }
            // Said always: here a tool of which nothing is said is strict, and its schema is changed to fit.
            if taken {
                object.bool("strict", wanted && obstacle.is_none());
            }
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
