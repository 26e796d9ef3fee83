//! Writes a request body for a Chat upstream.

use std::borrow::Cow;

use super::encode_messages::{self, Spelling, spell_id};
use crate::arrange::{self, MidSystem, Rules};
use crate::fnv::fnv128;
use crate::free_form;
use crate::hub::{Effort, Output, Reasoning, Request, Tool, ToolBody, ToolChoice, WebSearch};
use crate::json::{Array, Node, Object};
use crate::names::{NameRule, ToolNames};
use crate::quirks::MaxTokensField;
use crate::schema::openai;
use crate::{At, DialectId, Encoded, Losses, Refusal, Setting, Target};

/// Names of tools and of output schemas.
pub(crate) const NAMES: NameRule = NameRule {
    first: name_byte,
    rest: name_byte,
    longest: 64,
};

/// OpenAI's limit of stop sequences.
const STOPS: usize = 4;
/// OpenAI's limits of metadata: pairs, and bytes of a key and of a value.
const LABELS: (usize, usize, usize) = (16, 64, 512);
/// The most alternatives per token that OpenAI tells.
const MOST_LOGPROBS: u64 = 20;
/// Characters that OpenAI takes to identify an end user.
const LONGEST_USER: usize = 128;

fn name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

pub(super) fn encode(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    let names = ToolNames::of(request, NAMES);
    let rules = Rules {
        mid_system: MidSystem::Keep,
        spell_id,
    };
    let turns = arrange::arrange(&request.turns, &rules)?;
    // A caller of this dialect knows that its server takes free-form tools.
    let free_form = target.quirks.custom_tools || request.responses.is_none();
    let mut body = Vec::with_capacity(1024);
    let mut object = Object::new(&mut body);
    object.string("model", target.model);
    let spelling = encode_messages::Spelling {
        names: &names,
        free_form,
    };
    encode_messages::write(
        object.array("messages"),
        request,
        &turns,
        spelling,
        target.quirks.reasoning_replay,
        losses,
    )?;
    limits(&mut object, request, target, losses)?;
    let effort = effort(&request.reasoning, target, losses);
    sampling(&mut object, request, effort, target, losses);
    output(&mut object, request, losses);
    object.some_string("reasoning_effort", effort.map(Effort::name));
    tools(&mut object, request, spelling, losses);
    account(&mut object, request, losses);
    if request.stream {
        object.bool("stream", true);
        let mut options = object.object("stream_options");
        // Told always: what the answer used is counted even when the caller does not ask.
        options.bool("include_usage", true);
        inner_extra(&mut options, request, "stream_options.");
    }
    extra(&mut object, request, losses);
    drop(object);
    Ok(Encoded {
        body,
        tools: names.into_changes(if free_form {
            Vec::new()
        } else {
            crate::free_form::names(request)
        }),
    })
}

fn limits(
    object: &mut Object<'_>,
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    if request.max_output == Some(0) {
        return Err(Refusal::new(
            At::Setting(Setting::MaxOutput),
            "a limit of 0 tokens only warms a cache, which this upstream has no request for; ask for 1 or more",
        ));
    }
    let field = match target.quirks.max_tokens_field {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    };
    object.some_u64(field, request.max_output);
    let stop = request.stop.as_slice();
    if !target.quirks.stop && !stop.is_empty() {
        losses.setting(Setting::Stop, "dropped: the model takes no stop sequences");
    } else if !stop.is_empty() {
        let (sent, rest) = stop.split_at(stop.len().min(STOPS));
        let mut array = object.array("stop");
        for text in sent {
            array.string(text);
        }
        if !rest.is_empty() {
            losses.setting(Setting::Stop, format!("only the first {STOPS} were sent"));
        }
    }
    Ok(())
}

fn sampling(
    object: &mut Object<'_>,
    request: &Request,
    effort: Option<Effort>,
    target: &Target<'_>,
    losses: &mut Losses,
) {
    let sampling = &request.sampling;
    let unsaid = || Effort::from_name(target.quirks.default_effort.as_deref()?);
    let accepted = target.quirks.sampling
        || target.quirks.sampling_at_effort_none && effort.or_else(unsaid) == Some(Effort::None);
    for (setting, key, value, most) in [
        (
            Setting::Temperature,
            "temperature",
            sampling.temperature,
            Some(2.0),
        ),
        (Setting::TopP, "top_p", sampling.top_p, Some(1.0)),
        (Setting::TopK, "top_k", sampling.top_k, None),
    ] {
        let Some(value) = value else {
            continue;
        };
        if !accepted {
            losses.setting(setting, "dropped: the model takes no sampling settings");
        } else if setting == Setting::TopK && !target.quirks.top_k {
            losses.setting(setting, "dropped: chat has no such setting");
        } else {
            object.f64(
                key,
                clamped(value, (0.0, most.unwrap_or(f64::MAX)), setting, losses),
            );
        }
    }
    for (setting, key, value) in [
        (
            Setting::PresencePenalty,
            "presence_penalty",
            sampling.presence_penalty,
        ),
        (
            Setting::FrequencyPenalty,
            "frequency_penalty",
            sampling.frequency_penalty,
        ),
    ] {
        if let Some(value) = value {
            object.f64(key, clamped(value, (-2.0, 2.0), setting, losses));
        }
    }
    if let Some(seed) = sampling.seed {
        object.i64("seed", seed);
    }
    object.some_u64("n", request.candidates);
    if let Some(asked) = request.logprobs {
        object.bool("logprobs", true);
        if asked > MOST_LOGPROBS {
            losses.setting(Setting::Logprobs, format!("clamped to {MOST_LOGPROBS}"));
        }
        if asked > 0 {
            object.u64("top_logprobs", asked.min(MOST_LOGPROBS));
        }
    }
}

fn clamped(value: f64, (least, most): (f64, f64), setting: Setting, losses: &mut Losses) -> f64 {
    let fitting = value.clamp(least, most);
    if fitting.to_bits() != value.to_bits() && (fitting - value).abs() > 0.0 {
        losses.setting(setting, format!("clamped to {fitting}"));
    }
    fitting
}

fn output(object: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    match &request.output {
        Output::Text => {}
        Output::Json => {
            let mut format = object.object("response_format");
            format.string("type", "json_object");
            inner_extra(&mut format, request, "response_format.");
        }
        Output::Schema {
            name,
            description,
            schema,
            strict,
        } => {
            let mut format = object.object("response_format");
            format.string("type", "json_schema");
            {
                let mut inner = format.object("json_schema");
                inner.string("name", &schema_name(name.as_deref()));
                inner.some_string("description", description.as_deref());
                inner.raw("schema", schema);
                let strict = strict.map(|strict| {
                    let obstacle = openai::strict_obstacle(schema).filter(|_| strict);
                    if let Some(obstacle) = &obstacle {
                        let note = format!("sent without strict: {obstacle}");
                        losses.push(At::Setting(Setting::Output), "strict", note);
                    }
                    strict && obstacle.is_none()
                });
                if let Some(strict) = strict {
                    inner.bool("strict", strict);
                }
                inner_extra(&mut inner, request, "response_format.json_schema.");
            }
            inner_extra(&mut format, request, "response_format.");
        }
        Output::Enum { schema } => {
            let mut format = object.object("response_format");
            format.string("type", "json_schema");
            let mut inner = format.object("json_schema");
            inner.string("name", "output");
            {
                let mut wrapper = inner.object("schema");
                wrapper.string("type", "object");
                wrapper.object("properties").raw("value", schema);
                wrapper.array("required").string("value");
                wrapper.bool("additionalProperties", false);
            }
            inner.bool(
                "strict",
                Node::from(&**schema).fields().is_ok_and(|fields| {
                    // A list of words is strict when it stands alone.
                    fields.get("enum").is_some() && fields.get("default").is_none()
                }),
            );
        }
    }
}

pub(crate) fn schema_name(name: Option<&str>) -> Cow<'_, str> {
    match name {
        Some(name) if NAMES.fits(name) => Cow::Borrowed(name),
        Some(name) => {
            let fits = |c: char| u8::try_from(c).is_ok_and(name_byte);
            let spelled: String = name
                .chars()
                .map(|c| if fits(c) { c } else { '_' })
                .take(64)
                .collect();
            Cow::Owned(if spelled.is_empty() {
                "output".to_owned()
            } else {
                spelled
            })
        }
        None => Cow::Borrowed("output"),
    }
}

/// The level to send; `None` leaves it to the model.
pub(crate) fn effort(
    reasoning: &Reasoning,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Option<Effort> {
    let wanted = match reasoning {
        Reasoning {
            enabled: Some(false),
            ..
        } => Effort::None,
        Reasoning {
            effort: Some(effort),
            ..
        } => *effort,
        Reasoning {
            budget: Some(budget),
            ..
        } => Effort::from_budget(*budget),
        // On, without a level: the model's own default.
        Reasoning { .. } => return None,
    };
    if !target.quirks.reasoning_effort {
        losses.setting(Setting::Reasoning, "dropped: the model has no such setting");
        return None;
    }
    let known = target.quirks.efforts.iter();
    let known: Vec<Effort> = known.filter_map(|name| Effort::from_name(name)).collect();
    let below = known
        .iter()
        .copied()
        .filter(|effort| *effort <= wanted)
        .max();
    let sent = below.or(known.iter().copied().min()).unwrap_or(wanted);
    if sent != wanted {
        let note = format!(
            "{} became {}: the model knows no nearer level",
            wanted.name(),
            sent.name()
        );
        losses.setting(Setting::Reasoning, note);
    }
    Some(sent)
}

fn tools(object: &mut Object<'_>, request: &Request, spelling: Spelling<'_>, losses: &mut Losses) {
    let mut declared: Vec<(&str, bool)> = Vec::new();
    let mut kept: Vec<&Tool> = Vec::new();
    for tool in &request.tools {
        losses.extra(&tool.extra, &tool.at, DialectId::Chat);
        match &tool.body {
            ToolBody::Function { name, .. } => declared.push((name, false)),
            ToolBody::Custom { name, .. } => declared.push((name, spelling.free_form)),
            ToolBody::WebSearch(WebSearch {
                source: Some(source),
                ..
            }) if source.of == DialectId::Chat => {
                if source.kind == "web_search_options" {
                    object.raw("web_search_options", &source.json);
                    continue;
                }
            }
            ToolBody::Opaque(opaque) if opaque.of == DialectId::Chat => {}
            ToolBody::WebSearch(_) => {
                dropped(tool, "web search", losses);
                continue;
            }
            ToolBody::WebFetch => {
                dropped(tool, "page fetching", losses);
                continue;
            }
            ToolBody::CodeExecution => {
                dropped(tool, "code execution", losses);
                continue;
            }
            ToolBody::Opaque(opaque) => {
                dropped(tool, &opaque.kind, losses);
                continue;
            }
        }
        kept.push(tool);
    }
    if kept.is_empty() {
        if matches!(
            request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { .. })
        ) {
            losses.setting(Setting::ToolChoice, "dropped: no tool is left to choose");
        }
        return;
    }
    {
        let mut array = object.array("tools");
        for tool in kept {
            write_tool(&mut array, tool, spelling, losses);
        }
    }
    if let Some(choice) = &request.tool_choice {
        tool_choice(object, choice, &declared, spelling.names, losses);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        object.bool("parallel_tool_calls", parallel);
    }
}

fn dropped(tool: &Tool, what: &str, losses: &mut Losses) {
    let note = format!("dropped: the upstream runs no {what}");
    losses.push(tool.at.clone(), "", note);
}

fn write_tool(array: &mut Array<'_>, tool: &Tool, spelling: Spelling<'_>, losses: &mut Losses) {
    let names = spelling.names;
    let own = |object: &mut Object<'_>, outer: &str| {
        for (key, json) in tool.extra.of(DialectId::Chat) {
            match key.strip_prefix(outer) {
                Some(key) if !key.contains('.') => object.raw(key, json),
                Some(_) | None => {}
            }
        }
    };
    match &tool.body {
        ToolBody::Function {
            name,
            description,
            parameters,
            strict,
        } => {
            let mut object = array.object();
            object.string("type", "function");
            {
                let mut function = object.object("function");
                function.string("name", names.sent(name));
                function.some_string("description", description.as_deref());
                if let Some(schema) = parameters {
                    let schema = openai::parameters(schema);
                    function
                        .value("parameters")
                        .extend_from_slice(schema.as_bytes());
                }
                if let Some(strict) = strict {
                    let obstacle = parameters
                        .as_deref()
                        .and_then(openai::strict_obstacle)
                        .filter(|_| *strict);
                    if let Some(obstacle) = &obstacle {
                        let note = format!("sent without strict: {obstacle}");
                        losses.push(tool.at.clone(), "strict", note);
                    }
                    function.bool("strict", *strict && obstacle.is_none());
                }
                own(&mut function, "function.");
            }
            own(&mut object, "");
        }
        ToolBody::Custom {
            name,
            description,
            format,
        } if !spelling.free_form => {
            let note = "the free-form tool became a function with one text, `input`";
            losses.push(tool.at.clone(), "", note);
            let mut object = array.object();
            object.string("type", "function");
            let mut function = object.object("function");
            function.string("name", names.sent(name));
            let description = free_form::description(description.as_deref(), format.as_ref());
            function.some_string("description", description.as_deref());
            function
                .value("parameters")
                .extend_from_slice(free_form::PARAMETERS);
        }
        ToolBody::Custom {
            name,
            description,
            format,
        } => {
            let mut object = array.object();
            object.string("type", "custom");
            {
                let mut custom = object.object("custom");
                custom.string("name", names.sent(name));
                custom.some_string("description", description.as_deref());
                if let Some(format) = format {
                    write_format(&mut custom, Node::from(&*format.0));
                }
                own(&mut custom, "custom.");
            }
            own(&mut object, "");
        }
        ToolBody::WebSearch(WebSearch {
            source: Some(source),
            ..
        })
        | ToolBody::Opaque(source) => {
            array.raw(&source.json);
        }
        // Left out by `tools`.
        ToolBody::WebSearch(_) | ToolBody::WebFetch | ToolBody::CodeExecution => {}
    }
}

/// Responses has the fields of a grammar beside its type, Chat in an object of their own.
fn write_format(custom: &mut Object<'_>, format: Node<'_>) {
    let fields = format.fields().unwrap_or_default();
    if fields.get("definition").is_none() {
        custom
            .value("format")
            .extend_from_slice(format.raw().as_bytes());
        return;
    }
    let mut outer = custom.object("format");
    outer.string("type", "grammar");
    let mut grammar = outer.object("grammar");
    for (key, node) in fields.iter().filter(|(key, _)| *key != "type") {
        grammar.value(key).extend_from_slice(node.raw().as_bytes());
    }
}

fn tool_choice(
    object: &mut Object<'_>,
    choice: &ToolChoice,
    declared: &[(&str, bool)],
    names: &ToolNames,
    losses: &mut Losses,
) {
    let find = |name: &str| declared.iter().find(|(known, _)| *known == name);
    let write = |mut object: Object<'_>, name: &str, custom: bool| {
        let kind = if custom { "custom" } else { "function" };
        object.string("type", kind);
        object.object(kind).string("name", names.sent(name));
    };
    match choice {
        ToolChoice::Auto => object.string("tool_choice", "auto"),
        ToolChoice::None => object.string("tool_choice", "none"),
        ToolChoice::Required => object.string("tool_choice", "required"),
        ToolChoice::Tool(name) => match find(name) {
            Some((name, custom)) => write(object.object("tool_choice"), name, *custom),
            None => losses.setting(
                Setting::ToolChoice,
                format!("dropped: no tool of the name '{name}' is sent"),
            ),
        },
        ToolChoice::Allowed {
            required,
            names: allowed,
        } => {
            let found: Vec<_> = allowed.iter().filter_map(|name| find(name)).collect();
            if found.len() < allowed.len() {
                losses.setting(Setting::ToolChoice, "tools that are not sent were left out");
            }
            if found.is_empty() {
                object.string("tool_choice", if *required { "required" } else { "auto" });
                return;
            }
            let mut outer = object.object("tool_choice");
            outer.string("type", "allowed_tools");
            let mut inner = outer.object("allowed_tools");
            inner.string("mode", if *required { "required" } else { "auto" });
            let mut array = inner.array("tools");
            for (name, custom) in found {
                write(array.object(), name, *custom);
            }
        }
    }
}

/// What concerns the account rather than the answer.
fn account(object: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    object.some_string("verbosity", request.verbosity.as_deref());
    if let Some(user) = &request.user {
        if user.chars().count() > LONGEST_USER {
            let note = format!("hashed: at most {LONGEST_USER} characters are taken");
            losses.setting(Setting::User, note);
            object.string("user", &format!("{:032x}", fnv128(user)));
        } else {
            object.string("user", user);
        }
    }
    if !request.metadata.is_empty() {
        let (pairs, longest_key, longest_value) = LABELS;
        let mut metadata = object.object("metadata");
        let mut sent = 0;
        for (key, value) in &request.metadata {
            if sent == pairs || key.len() > longest_key || value.len() > longest_value {
                let note = "dropped: at most 16 pairs of 64 and 512 bytes are taken";
                losses.push(At::Setting(Setting::Metadata), key.as_str(), note);
                continue;
            }
            metadata.string(key, value);
            sent += 1;
        }
    }
    object.some_string("service_tier", request.service_tier.as_deref());
    // What a caller of Responses says of it is about that API's own answers.
    if let Some(store) = request.store.filter(|_| request.responses.is_none()) {
        object.bool("store", store);
    }
}

/// The fields that only this dialect has, at the places that they came from.
fn extra(object: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    losses.extra(&request.extra, &At::Request, DialectId::Chat);
    let mut nested = false;
    for (key, json) in request.extra.of(DialectId::Chat) {
        if key.starts_with("reasoning.") {
            nested = true;
        } else if !key.starts_with("response_format.") && !key.starts_with("stream_options.") {
            object.raw(key, json);
        }
    }
    if nested {
        inner_extra(&mut object.object("reasoning"), request, "reasoning.");
    }
}

fn inner_extra(object: &mut Object<'_>, request: &Request, outer: &str) {
    for (key, json) in request.extra.of(DialectId::Chat) {
        match key.strip_prefix(outer) {
            Some(key) if !key.contains('.') => object.raw(key, json),
            Some(_) | None => {}
        }
    }
}
