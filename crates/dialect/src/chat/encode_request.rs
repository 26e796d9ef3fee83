//! Writes a request body for a Chat upstream.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::encode_messages::{self, Spelling};
use super::encode_reasoning::Mind;
use crate::arrange::{self, MidSystem, Rules};
use crate::fnv::fnv128;
use crate::free_form;
use crate::hint;
use crate::hub::{Output, PartBody, Request, Tool, ToolBody, ToolChoice, WebSearch};
use crate::json::{self, Array, Node, Object};
use crate::names::{NameRule, ToolNames};
use crate::quirks::{MaxTokensField, SearchForm, Switch};
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
    let names = ToolNames::of(request, NAMES.under(target.quirks));
    let rules = Rules {
        mid_system: if target.quirks.strict_alternation {
            MidSystem::User
        } else {
            MidSystem::Keep
        },
        spell_id: encode_messages::speller(target.quirks.call_id_form),
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
        target,
        spelling,
        hint_of(request, target).as_deref(),
        losses,
    )?;
    limits(&mut object, request, target, losses)?;
    let mind = Mind::of(request, target, losses);
    sampling(&mut object, request, &mind, target, losses);
    output(&mut object, request, target, losses);
    mind.write(&mut object, request, target);
    tools(&mut object, request, target, spelling, losses)?;
    account(&mut object, request, target, losses);
    if request.stream {
        object.bool("stream", true);
        // Told always: what the answer used is counted even when the caller does not ask.
        if target
            .quirks
            .refuses
            .0
            .iter()
            .any(|path| path == "stream_options")
        {
            let own = request.extra.of(DialectId::Chat);
            for (key, _) in own.filter(|(key, _)| key.starts_with("stream_options.")) {
                let note = "dropped: this upstream does not take it";
                losses.push(At::Field(key.to_owned()), "", note);
            }
        } else {
            let mut options = object.object("stream_options");
            options.bool("include_usage", true);
            inner_extra(&mut options, request, "stream_options.");
        }
    }
    extra(&mut object, request, target, losses);
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
    let quirks = target.quirks;
    if request.max_output == Some(0) {
        return Err(Refusal::new(
            At::Setting(Setting::MaxOutput),
            "a limit of 0 tokens only warms a cache, which this upstream has no request for; ask for 1 or more",
        ));
    }
    let field = match quirks.max_tokens_field {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    };
    if let Some(asked) = request.max_output {
        let most = target.max_output.unwrap_or(u64::MAX);
        let most = match quirks.most_output_whole {
            0 => most,
            whole if !request.stream => most.min(whole),
            _ => most,
        };
        let sent = asked.min(most).max(quirks.least_output);
        if sent < asked {
            let note = format!("clamped to {sent}, the most that this model gives");
            losses.setting(Setting::MaxOutput, note);
        } else if sent > asked {
            let note = format!("raised to {sent}, the least that this model takes");
            losses.setting(Setting::MaxOutput, note);
        }
        object.u64(field, sent);
    }
    let stop = request.stop.as_slice();
    if !quirks.stop && !stop.is_empty() {
        losses.setting(Setting::Stop, "dropped: the model takes no stop sequences");
    } else if !stop.is_empty() {
        let most = match usize::try_from(quirks.most_stops) {
            Ok(0) | Err(_) => STOPS,
            Ok(most) => most,
        };
        let (sent, rest) = stop.split_at(stop.len().min(most));
        let mut array = object.array("stop");
        for text in sent {
            array.string(text);
        }
        if !rest.is_empty() {
            losses.setting(Setting::Stop, format!("only the first {most} were sent"));
        }
    }
    Ok(())
}

fn sampling(
    object: &mut Object<'_>,
    request: &Request,
    mind: &Mind,
    target: &Target<'_>,
    losses: &mut Losses,
) {
    let (sampling, quirks) = (&request.sampling, target.quirks);
    let at_none = quirks.sampling_at_effort_none && mind.at_none;
    let accepted = quirks.sampling || at_none;
    let thinks = !quirks.sampling_with_thinking && !mind.at_none;
    let both = sampling.temperature.is_some() && sampling.top_p.is_some();
    let temperatures = (quirks.temperature_min, quirks.temperature_max);
    let most_top_k = match quirks.most_top_k {
        0 => f64::MAX,
        most => f64::from(u32::try_from(most).unwrap_or(u32::MAX)),
    };
    for (setting, key, value, range) in [
        (
            Setting::Temperature,
            "temperature",
            sampling.temperature,
            temperatures,
        ),
        (Setting::TopP, "top_p", sampling.top_p, (0.0, 1.0)),
        (Setting::TopK, "top_k", sampling.top_k, (0.0, most_top_k)),
    ] {
        let Some(value) = value else {
            continue;
        };
        let refused = match setting {
            _ if !accepted => Some("dropped: the model takes no sampling settings"),
            Setting::TopK if !quirks.top_k => Some("dropped: chat has no such setting"),
            Setting::Temperature | Setting::TopP if thinks => {
                Some("dropped: it has no effect while the model thinks")
            }
            Setting::TopP if both && quirks.temperature_xor_top_p => {
                Some("dropped: the model takes either it or the temperature")
            }
            _ => None,
        };
        match refused {
            Some(note) => losses.setting(setting, note),
            None => object.f64(key, clamped(value, range, setting, losses)),
        }
    }
    for (setting, key, value, taken) in [
        (
            Setting::PresencePenalty,
            "presence_penalty",
            sampling.presence_penalty,
            quirks.penalties,
        ),
        (
            Setting::FrequencyPenalty,
            "frequency_penalty",
            sampling.frequency_penalty,
            quirks.penalties && quirks.frequency_penalty,
        ),
    ] {
        match value {
            Some(value) if taken => {
                object.f64(key, clamped(value, (-2.0, 2.0), setting, losses));
            }
            Some(value) if value != 0.0 => {
                losses.setting(setting, "dropped: the model takes no such penalty");
            }
            Some(_) | None => {}
        }
    }
    if let Some(seed) = sampling.seed {
        object.i64("seed", seed);
    }
    match request.candidates {
        Some(count) if quirks.most_candidates > 0 && count > quirks.most_candidates => {
            let most = quirks.most_candidates;
            losses.setting(
                Setting::Candidates,
                format!("clamped to {most}: the model gives no more"),
            );
            if most > 1 {
                object.u64("n", most);
            }
        }
        count => object.some_u64("n", count),
    }
    match request.logprobs {
        Some(_) if !(quirks.logprobs || at_none) => {
            losses.setting(
                Setting::Logprobs,
                "dropped: the model tells no probabilities",
            );
        }
        Some(asked) => {
            object.bool("logprobs", true);
            let most = quirks.most_logprobs;
            if asked > most {
                losses.setting(Setting::Logprobs, format!("clamped to {most}"));
            }
            if asked > 0 && most > 0 {
                object.u64("top_logprobs", asked.min(most));
            }
        }
        None => {}
    }
}

pub(crate) fn clamped(
    value: f64,
    (least, most): (f64, f64),
    setting: Setting,
    losses: &mut Losses,
) -> f64 {
    let fitting = value.clamp(least, most);
    if fitting.to_bits() != value.to_bits() && (fitting - value).abs() > 0.0 {
        losses.setting(setting, format!("clamped to {fitting}"));
    }
    fitting
}

/// What is asked for in words, because the upstream takes no schema or knows no JSON mode.
pub(crate) fn hint_of(request: &Request, target: &Target<'_>) -> Option<String> {
    match &request.output {
        Output::Json if !target.quirks.json_object => Some(hint::json()),
        Output::Schema { schema, .. } if !target.quirks.native_schema => Some(hint::schema(schema)),
        Output::Enum { schema } if !target.quirks.native_schema => {
            let wrapped = format!(
                r#"{{"type":"object","properties":{{"value":{schema}}},"required":["value"]}}"#
            );
            json::raw(wrapped).map(|schema| hint::schema(&schema))
        }
        Output::Text | Output::Json | Output::Schema { .. } | Output::Enum { .. } => None,
    }
}

fn output(object: &mut Object<'_>, request: &Request, target: &Target<'_>, losses: &mut Losses) {
    let quirks = target.quirks;
    let asked = match &request.output {
        Output::Text => return,
        Output::Json => quirks.json_object,
        Output::Schema { .. } | Output::Enum { .. } => quirks.native_schema,
    };
    if !asked {
        losses.setting(
            Setting::Output,
            "asked for in words: this model takes no schema",
        );
        let schema = !matches!(request.output, Output::Json);
        if schema && quirks.json_object {
            object
                .object("response_format")
                .string("type", "json_object");
        }
        return;
    }
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

fn tools(
    object: &mut Object<'_>,
    request: &Request,
    target: &Target<'_>,
    spelling: Spelling<'_>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let quirks = target.quirks;
    if !quirks.tools {
        return without_tools(request, losses);
    }
    let choice = possible_choice(request, target, losses);
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
            ToolBody::WebSearch(search) => {
                web_search(object, tool, search, quirks.web_search, losses);
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
    if let (Some(ToolChoice::Tool(name)), Some(ToolChoice::Required)) =
        (&request.tool_choice, choice.as_ref())
        && declared.iter().any(|(known, _)| known == name)
        && kept.len() > 1
    {
        kept.retain(|tool| name_of(tool) == Some(name));
        losses.setting(Setting::Tools, "only the tool that must be called was sent");
    }
    if kept.is_empty() {
        if matches!(
            request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { .. })
        ) {
            losses.setting(Setting::ToolChoice, "dropped: no tool is left to choose");
        }
        return Ok(());
    }
    {
        let mut array = object.array("tools");
        for tool in kept {
            write_tool(&mut array, tool, target, spelling, losses);
        }
    }
    if let Some(choice) = &choice {
        tool_choice(object, choice, &declared, spelling.names, losses);
    }
    if let Some(parallel) = request.parallel_tool_calls {
        object.bool("parallel_tool_calls", parallel);
    }
    Ok(())
}

/// The search of another dialect, as this server is asked for one.
fn web_search(
    object: &mut Object<'_>,
    tool: &Tool,
    search: &WebSearch,
    form: SearchForm,
    losses: &mut Losses,
) {
    let WebSearch {
        max_uses,
        allowed_domains,
        blocked_domains,
        context_size,
        user_location,
        source: _,
    } = search;
    let mut unsaid =
        max_uses.is_some() || !allowed_domains.is_empty() || !blocked_domains.is_empty();
    match form {
        SearchForm::None => return dropped(tool, "web search", losses),
        SearchForm::Options => {
            let mut options = object.object("web_search_options");
            options.some_string("search_context_size", context_size.as_deref());
            if let Some(place) = user_location {
                let mut location = options.object("user_location");
                location.string("type", "approximate");
                location.raw("approximate", place);
            }
        }
        SearchForm::Plugin => {
            unsaid |= context_size.is_some() || user_location.is_some();
            object.array("plugins").object().string("id", "web");
        }
    }
    if unsaid {
        let note = "its bounds were dropped: this server's search takes none of them";
        losses.push(tool.at.clone(), "", note);
    }
}

/// For a model that knows no tools: those that are only offered are lost; what is bound to them is refused.
pub(crate) fn without_tools(request: &Request, losses: &mut Losses) -> Result<(), Refusal> {
    const NONE: &str = "this model knows no tools; choose one that does";
    if let Some(ToolChoice::Required | ToolChoice::Tool(_)) = &request.tool_choice {
        return Err(Refusal::new(At::Setting(Setting::ToolChoice), NONE));
    }
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    if let Some(part) =
        parts.find(|part| matches!(part.body, PartBody::ToolCall(_) | PartBody::ToolResult(_)))
    {
        return Err(Refusal::new(part.at.clone(), NONE));
    }
    for tool in &request.tools {
        losses.push(tool.at.clone(), "", "dropped: this model knows no tools");
    }
    Ok(())
}

/// The choice as far as the model can be bound to it.
pub(crate) fn possible_choice(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Option<ToolChoice> {
    let quirks = target.quirks;
    let choice = request.tool_choice.clone()?;
    let forced = matches!(
        choice,
        ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { required: true, .. }
    );
    if forced && !quirks.forced_tool_choice {
        losses.setting(
            Setting::ToolChoice,
            "became auto: this model cannot be forced to call a tool",
        );
        return Some(match choice {
            ToolChoice::Allowed { names, .. } => ToolChoice::Allowed {
                required: false,
                names,
            },
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Tool(_) => {
                ToolChoice::Auto
            }
        });
    }
    Some(match choice {
        ToolChoice::Tool(_) if !quirks.named_tool_choice => ToolChoice::Required,
        choice => choice,
    })
}

fn name_of(tool: &Tool) -> Option<&str> {
    match &tool.body {
        ToolBody::Function { name, .. } | ToolBody::Custom { name, .. } => Some(name),
        ToolBody::WebSearch(_)
        | ToolBody::WebFetch
        | ToolBody::CodeExecution
        | ToolBody::Opaque(_) => None,
    }
}

fn dropped(tool: &Tool, what: &str, losses: &mut Losses) {
    let note = format!("dropped: the upstream runs no {what}");
    losses.push(tool.at.clone(), "", note);
}

fn write_tool(
    array: &mut Array<'_>,
    tool: &Tool,
    target: &Target<'_>,
    spelling: Spelling<'_>,
    losses: &mut Losses,
) {
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
                let taken = target.quirks.strict_tools;
                if *strict == Some(true) && !taken {
                    let note = "sent without strict: this upstream does not take it";
                    losses.push(tool.at.clone(), "strict", note);
                }
                if let Some(strict) = strict.as_ref().filter(|_| taken) {
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
            let known: BTreeMap<&str, bool> = declared.iter().rev().copied().collect();
            let found = allowed.iter().map(String::as_str);
            let found: Vec<_> = found.filter_map(|name| known.get_key_value(name)).collect();
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

/// The end user as the upstream takes one.
pub(crate) fn known_user<'a>(
    user: &'a str,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Cow<'a, str> {
    let note = if user.chars().count() > LONGEST_USER {
        format!("hashed: at most {LONGEST_USER} characters are taken")
    } else if target.quirks.plain_user && !user.bytes().all(name_byte) {
        "hashed: only letters, digits, '_' and '-' are taken".to_owned()
    } else {
        return Cow::Borrowed(user);
    };
    losses.setting(Setting::User, note);
    Cow::Owned(format!("{:032x}", fnv128(user)))
}

/// The caller's labels, as far as OpenAI takes them.
pub(crate) fn metadata(object: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    if request.metadata.is_empty() {
        return;
    }
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

/// What concerns the account rather than the answer.
fn account(object: &mut Object<'_>, request: &Request, target: &Target<'_>, losses: &mut Losses) {
    object.some_string("verbosity", request.verbosity.as_deref());
    if let Some(user) = &request.user {
        object.string("user", &known_user(user, target, losses));
    }
    metadata(object, request, losses);
    let tiers = &target.quirks.service_tiers;
    match request.service_tier.as_deref() {
        Some(tier) if !tiers.is_empty() && !tiers.iter().any(|known| known == tier) => {
            let note = format!("dropped: this upstream knows only {}", tiers.join(", "));
            losses.setting(Setting::ServiceTier, note);
        }
        tier => object.some_string("service_tier", tier),
    }
    // What a caller of Responses says of it is about that API's own answers.
    if let Some(store) = request.store.filter(|_| request.responses.is_none()) {
        object.bool("store", store);
    }
}

/// The fields that only this dialect has, at the places that they came from.
fn extra(object: &mut Object<'_>, request: &Request, target: &Target<'_>, losses: &mut Losses) {
    losses.extra(&request.extra, &At::Request, DialectId::Chat);
    let mut nested = false;
    for (key, json) in request.extra.of(DialectId::Chat) {
        if key.starts_with("reasoning.") {
            nested = true;
        } else if !key.starts_with("response_format.") && !key.starts_with("stream_options.") {
            object.raw(key, json);
        }
    }
    // Else it stands there already, with the rest of what is said about reasoning.
    if nested && target.quirks.thinking_switch != Switch::Reasoning {
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
