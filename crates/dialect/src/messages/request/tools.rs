//! Writing tools, the choice among them, and cache marks.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::free_form;
use crate::hub::{
    CacheMark, Output, Part, PartBody, Request, Tool, ToolBody, ToolChoice, WebSearch,
};
use crate::json::{Array, Node, Object};
use crate::names::{NameRule, ToolNames};
use crate::schema::anthropic;
use crate::{At, DialectId, Losses, Refusal, Setting, Target};

use super::settings::{Think, nested};

pub(super) const NAMES: NameRule = NameRule {
    first: is_name_byte,
    rest: is_name_byte,
    longest: 128,
};

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

const NO_PARAMETERS: &[u8] = br#"{"type":"object","properties":{}}"#;

// The oldest version of each server tool that is generally available: every model takes it, and newer ones ask for
// abilities that a converted request does not speak of (anthropic-python 2.11, types/).
const WEB_SEARCH: &str = "web_search_20250305";
const WEB_FETCH: &str = "web_fetch_20250910";
const CODE_EXECUTION: &str = "code_execution_20250825";

/// The tools that may be sent, and how to choose among them.
#[derive(Debug)]
pub(super) struct Toolbox<'a> {
    pub(super) tools: Vec<&'a Tool>,
    choice: Option<Choice<'a>>,
    /// An inert tool stands in for those of the history.
    inert: bool,
    /// A function that must be called, by a model that cannot be forced to: its name and the schema of its arguments, which the
    /// output is bound to instead.
    pub(super) emulated: Option<(&'a str, Option<&'a RawValue>)>,
}

#[derive(Debug, Clone, Copy)]
enum Choice<'a> {
    Auto,
    None,
    Any,
    Tool(&'a str),
}

impl<'a> Toolbox<'a> {
    pub(super) fn of(
        request: &'a Request,
        target: &Target<'_>,
        think: Think,
        losses: &mut Losses,
    ) -> Result<Self, Refusal> {
        let mut tools: Vec<&Tool> = Vec::new();
        for tool in &request.tools {
            if let ToolBody::Opaque(opaque) = &tool.body
                && opaque.of != DialectId::Messages
            {
                let note = format!("dropped: {} is known to {} only", opaque.kind, opaque.of);
                losses.push(tool.at.clone(), "", note);
                continue;
            }
            tools.push(tool);
        }
        let mut choice = match &request.tool_choice {
            None => None,
            Some(ToolChoice::Auto) => Some(Choice::Auto),
            Some(ToolChoice::None) => Some(Choice::None),
            Some(ToolChoice::Required) => Some(Choice::Any),
            Some(ToolChoice::Tool(name)) => Some(Choice::Tool(name)),
            Some(ToolChoice::Allowed { required, names }) => {
                let before = tools.len();
                let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
                tools.retain(|tool| name_of(tool).is_some_and(|name| names.contains(&*name)));
                if tools.len() < before {
                    losses.setting(Setting::ToolChoice, "only the allowed tools were sent");
                }
                Some(if *required { Choice::Any } else { Choice::Auto })
            }
        };
        let inert = tools.is_empty()
            && target.quirks.tools_beside_calls
            && request
                .turns
                .iter()
                .flat_map(|turn| &turn.parts)
                .any(is_call);
        if inert {
            losses.setting(
                Setting::Tools,
                "an inert tool was added: this host demands tools beside tool calls",
            );
            choice = Some(Choice::None);
        } else if tools.is_empty() {
            if matches!(choice, Some(Choice::Any | Choice::Tool(_))) {
                losses.setting(Setting::ToolChoice, "dropped: there is no tool to choose");
            }
            choice = None;
        }
        if let Some(Choice::Tool(name)) = choice
            && !tools
                .iter()
                .any(|tool| name_of(tool).as_deref() == Some(name))
        {
            let message = format!("there is no tool '{name}' among the tools of this request");
            return Err(Refusal::new(At::Setting(Setting::ToolChoice), message));
        }
        let mut emulated = None;
        if matches!(choice, Some(Choice::Any | Choice::Tool(_))) {
            let note = if !target.quirks.forced_tool_choice {
                Some("became auto: this model cannot be forced to call a tool")
            } else if matches!(think, Think::Budget(_))
                || !target.quirks.forced_with_thinking && matches!(think, Think::Adaptive)
            {
                Some("became auto: a forced call and thinking exclude each other")
            } else {
                None
            };
            if let Some(note) = note {
                emulated = single(&tools, choice)
                    .filter(|_| target.quirks.native_schema)
                    .filter(|_| matches!(request.output, Output::Text));
                if emulated.is_some() {
                    losses.setting(
                        Setting::ToolChoice,
                        "its arguments are asked for as output: the model cannot be forced here to call a tool",
                    );
                    choice = Some(Choice::None);
                } else {
                    losses.setting(Setting::ToolChoice, note);
                    choice = Some(Choice::Auto);
                }
            }
        }
        Ok(Self {
            tools,
            choice,
            inert,
            emulated,
        })
    }

    pub(super) fn write(
        &self,
        object: &mut Object<'_>,
        target: &Target<'_>,
        names: &ToolNames,
        marks: &mut Marks,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        if self.inert {
            let mut tools = object.array("tools");
            let mut noop = tools.object();
            noop.string("name", "noop");
            noop.value("input_schema").extend_from_slice(NO_PARAMETERS);
        } else if !self.tools.is_empty() {
            let mut tools = object.array("tools");
            for tool in &self.tools {
                write_tool(&mut tools, tool, target, names, marks, losses)?;
            }
        }
        Ok(())
    }

    pub(super) fn write_choice(
        &self,
        object: &mut Object<'_>,
        request: &Request,
        names: &ToolNames,
    ) {
        let single = request.parallel_tool_calls == Some(false) && !self.tools.is_empty();
        let Some(choice) = self.choice.or(single.then_some(Choice::Auto)) else {
            return;
        };
        let mut said = object.object("tool_choice");
        match choice {
            Choice::Auto => said.string("type", "auto"),
            Choice::None => said.string("type", "none"),
            Choice::Any => said.string("type", "any"),
            Choice::Tool(name) => {
                said.string("type", "tool");
                said.string("name", names.sent(name));
            }
        }
        if single && !matches!(choice, Choice::None) {
            said.bool("disable_parallel_tool_use", true);
        }
        for (key, json) in nested(request, "tool_choice.") {
            said.raw(key, json);
        }
    }
}

/// The only function that a forced call can be of.
fn single<'a>(
    tools: &[&'a Tool],
    choice: Option<Choice<'_>>,
) -> Option<(&'a str, Option<&'a RawValue>)> {
    let functions = tools.iter().map(|tool| match &tool.body {
        ToolBody::Function {
            name, parameters, ..
        } => Some((name.as_str(), parameters.as_deref())),
        ToolBody::Custom { .. }
        | ToolBody::WebSearch(_)
        | ToolBody::WebFetch
        | ToolBody::CodeExecution
        | ToolBody::Opaque(_) => None,
    });
    let mut wanted = functions.filter(|function| match (choice, function) {
        (Some(Choice::Tool(wanted)), Some((name, _))) => *name == wanted,
        (Some(Choice::Tool(_)), None) => false,
        (_, _) => true,
    });
    let found = wanted.next()??;
    wanted.next().is_none().then_some(found)
}

fn is_call(part: &Part) -> bool {
    matches!(part.body, PartBody::ToolCall(_) | PartBody::ToolResult(_))
}

/// The name by which a choice speaks of a tool.
fn name_of(tool: &Tool) -> Option<std::borrow::Cow<'_, str>> {
    match &tool.body {
        ToolBody::Function { name, .. } | ToolBody::Custom { name, .. } => Some(name.into()),
        ToolBody::WebSearch(_) => Some("web_search".into()),
        ToolBody::WebFetch => Some("web_fetch".into()),
        ToolBody::CodeExecution => Some("code_execution".into()),
        ToolBody::Opaque(opaque) => {
            let fields = Node::parse(opaque.json.get().as_bytes()).and_then(Node::fields);
            fields.ok()?.get("name")?.text()
        }
    }
}

fn write_tool(
    tools: &mut Array<'_>,
    tool: &Tool,
    target: &Target<'_>,
    names: &ToolNames,
    marks: &mut Marks,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    losses.extra(&tool.extra, &tool.at, DialectId::Messages);
    match &tool.body {
        ToolBody::Opaque(opaque) => {
            tools.raw(&opaque.json);
            return Ok(());
        }
        ToolBody::WebSearch(WebSearch {
            source: Some(source),
            ..
        }) if source.of == DialectId::Messages => {
            tools.raw(&source.json);
            return Ok(());
        }
        ToolBody::Function { .. }
        | ToolBody::Custom { .. }
        | ToolBody::WebSearch(_)
        | ToolBody::WebFetch
        | ToolBody::CodeExecution => {}
    }
    let mut object = tools.object();
    match &tool.body {
        ToolBody::Function {
            name,
            description,
            parameters,
            strict,
        } => {
            object.string("name", names.sent(name));
            object.some_string("description", description.as_deref());
            write_schema(
                object.value("input_schema"),
                parameters.as_deref(),
                tool,
                losses,
            )?;
            write_strict(
                &mut object,
                *strict,
                parameters.as_deref(),
                tool,
                target,
                losses,
            );
        }
        ToolBody::Custom {
            name,
            description,
            format,
        } => {
            losses.push(
                tool.at.clone(),
                "",
                "the free-form tool became a function with one text, `input`",
            );
            object.string("name", names.sent(name));
            let description = free_form::description(description.as_deref(), format.as_ref());
            object.some_string("description", description.as_deref());
            object
                .value("input_schema")
                .extend_from_slice(free_form::PARAMETERS);
        }
        ToolBody::WebSearch(search) => write_web_search(&mut object, search, &tool.at, losses),
        ToolBody::WebFetch => {
            object.string("type", WEB_FETCH);
            object.string("name", "web_fetch");
        }
        ToolBody::CodeExecution => {
            object.string("type", CODE_EXECUTION);
            object.string("name", "code_execution");
        }
        ToolBody::Opaque(_) => {}
    }
    for (key, json) in tool.extra.of(DialectId::Messages) {
        object.raw(key, json);
    }
    marks.write(&mut object, tool.cache, &tool.at, losses);
    Ok(())
}

/// `input_schema` must be of type object; a missing type is given.
fn write_schema(
    out: &mut Vec<u8>,
    schema: Option<&RawValue>,
    tool: &Tool,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let Some(schema) = schema else {
        out.extend_from_slice(NO_PARAMETERS);
        return Ok(());
    };
    let not_an_object = || {
        Refusal::new(
            tool.at.clone(),
            "the parameters of a tool must be of type object",
        )
    };
    let fields = Node::parse(schema.get().as_bytes()).and_then(Node::fields);
    let fields = fields.map_err(|_| not_an_object())?;
    let kind = fields.get("type");
    match kind {
        Some(kind) if kind.text().as_deref() == Some("object") => {
            out.extend_from_slice(schema.get().as_bytes());
            return Ok(());
        }
        Some(kind) => {
            let kinds = kind.one_or_many().unwrap_or_default();
            let object = |kind: &Node<'_>| {
                kind.text()
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("object"))
            };
            if !kinds.iter().any(object) {
                return Err(not_an_object());
            }
            if kinds.len() > 1 {
                losses.push(tool.at.clone(), "parameters.type", "became object");
            }
        }
        None if fields.is_empty() => {
            out.extend_from_slice(NO_PARAMETERS);
            return Ok(());
        }
        None => {}
    }
    let mut object = Object::new(out);
    object.string("type", "object");
    for (key, node) in fields.iter().filter(|(key, _)| *key != "type") {
        object.value(key).extend_from_slice(node.raw().as_bytes());
    }
    Ok(())
}

/// `strict` is enforced by the same grammar as `output_config.format`: a schema outside of it would be refused.
fn write_strict(
    object: &mut Object<'_>,
    strict: Option<bool>,
    schema: Option<&RawValue>,
    tool: &Tool,
    target: &Target<'_>,
    losses: &mut Losses,
) {
    let Some(strict) = strict else { return };
    let fits = || {
        schema
            .and_then(anthropic::fit)
            .is_some_and(|fitted| fitted.untouched)
    };
    let note = if !target.quirks.native_schema {
        "dropped: this model does not enforce schemas"
    } else if strict && !fits() {
        "dropped: Anthropic cannot enforce all of this schema"
    } else {
        object.bool("strict", strict);
        return;
    };
    if strict {
        losses.push(tool.at.clone(), "strict", note);
    }
}

fn write_web_search(object: &mut Object<'_>, search: &WebSearch, at: &At, losses: &mut Losses) {
    object.string("type", WEB_SEARCH);
    object.string("name", "web_search");
    object.some_u64("max_uses", search.max_uses);
    let (key, domains) = if search.allowed_domains.is_empty() {
        ("blocked_domains", &search.blocked_domains)
    } else {
        ("allowed_domains", &search.allowed_domains)
    };
    if !domains.is_empty() {
        let mut list = object.array(key);
        for domain in domains {
            list.string(domain);
        }
    }
    if !search.allowed_domains.is_empty() && !search.blocked_domains.is_empty() {
        losses.push(
            at.clone(),
            "blocked_domains",
            "dropped: Anthropic takes one list of domains",
        );
    }
    if search.context_size.is_some() {
        losses.push(
            at.clone(),
            "search_context_size",
            "dropped: Anthropic has no such setting",
        );
    }
    let location = search.user_location.as_deref();
    let location = location.and_then(|json| Node::parse(json.get().as_bytes()).ok()?.fields().ok());
    if let Some(location) = location {
        let mut said = object.object("user_location");
        said.string("type", "approximate");
        for key in ["city", "region", "country", "timezone"] {
            said.some_string(key, location.get(key).and_then(Node::text).as_deref());
        }
    }
}

/// Cache marks: Anthropic takes four, and none of an hour after one of five minutes.
#[derive(Debug)]
pub(super) struct Marks {
    /// So many of the first ones are left out.
    skip: usize,
    short_seen: bool,
}

impl Marks {
    pub(super) fn of(request: &Request, tools: &[&Tool]) -> Self {
        let inner = |part: &Part| match &part.body {
            PartBody::ToolResult(result) => result
                .parts
                .iter()
                .filter(|part| part.cache.is_some())
                .count(),
            PartBody::Text(_)
            | PartBody::Media(_)
            | PartBody::Reasoning(_)
            | PartBody::ToolCall(_)
            | PartBody::Refusal(_)
            | PartBody::Opaque(_) => 0,
        };
        let parts = request
            .system
            .iter()
            .chain(request.turns.iter().flat_map(|turn| &turn.parts));
        let in_parts: usize = parts
            .map(|part| usize::from(part.cache.is_some()) + inner(part))
            .sum();
        let in_tools = tools.iter().filter(|tool| tool.cache.is_some()).count();
        let automatic = request
            .extra
            .get(DialectId::Messages, "cache_control")
            .is_some();
        let most = if automatic { 3 } else { 4 };
        Self {
            skip: (in_parts + in_tools).saturating_sub(most),
            short_seen: false,
        }
    }

    pub(super) fn write(
        &mut self,
        object: &mut Object<'_>,
        mark: Option<CacheMark>,
        at: &At,
        losses: &mut Losses,
    ) {
        let Some(mark) = mark else { return };
        if self.skip > 0 {
            self.skip -= 1;
            losses.push(
                at.clone(),
                "cache_control",
                "dropped: Anthropic takes four cache marks, the last were kept",
            );
            return;
        }
        let mut control = object.object("cache_control");
        control.string("type", "ephemeral");
        match mark {
            CacheMark::Short => self.short_seen = true,
            CacheMark::Long if self.short_seen => {
                losses.push(
                    at.clone(),
                    "cache_control",
                    "shortened: no mark of an hour after one of five minutes",
                );
            }
            CacheMark::Long => control.string("ttl", "1h"),
        }
    }
}
