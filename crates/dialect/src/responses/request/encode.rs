//! Writing a request for an upstream that speaks Responses.

use std::collections::BTreeMap;

use crate::arrange::{self, Arranged, MidSystem, Placed, Rules};
use crate::chat::{NAMES, clamped, effort, hint_of, known_user, metadata, schema_name, speller};
use crate::hub::{Effort, Output, PartBody, Request, ToolBody};
use crate::json::{Array, Node, Object};
use crate::names::{self, ToolNames};
use crate::responses::Form;
use crate::schema::openai;
use crate::{At, DialectId, Encoded, Losses, Refusal, Setting, Target};

use super::{write_items, write_tools};

/// In `include`: log probabilities of the answer's text.
pub(super) const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";
/// In `include`: the pages that a search found.
const INCLUDE_SOURCES: &str = "web_search_call.action.sources";
/// In `include`: reasoning in a form that can be sent back.
const INCLUDE_REASONING: &str = "reasoning.encrypted_content";
/// The least that `max_output_tokens` may be.
const LEAST_OUTPUT: u64 = 16;
/// Fields that both dialects of OpenAI have, and no other.
const SHARED: [&str; 4] = [
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
];
/// Objects whose fields are kept one by one.
const INNER: [&str; 2] = ["reasoning.", "text."];
/// The names under which callers of this dialect tell who their user is.
const USERS: [&str; 2] = ["safety_identifier", "user"];

/// A request and what it is written with.
pub(super) struct Writing<'a> {
    pub(super) request: &'a Request,
    pub(super) target: &'a Target<'a>,
    pub(super) names: &'a ToolNames,
    /// The form of the answer, where it can be asked for in words only.
    pub(super) hint: Option<&'a str>,
    /// The request came in this dialect: it is written as it was.
    pub(super) own: bool,
}

pub(in crate::responses) fn encode(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    let own = request.responses.is_some();
    let names = ToolNames::of(request, NAMES.under(target.quirks));
    let hint = hint_of(request, target);
    let writing = Writing {
        request,
        target,
        names: &names,
        hint: hint.as_deref(),
        own,
    };
    let turns = if own {
        as_they_stand(request)
    } else {
        let rules = Rules {
            mid_system: MidSystem::Keep,
            spell_id: speller(target.quirks.call_id_form),
        };
        arrange::arrange(&request.turns, &rules)?
    };
    let mut body = Vec::with_capacity(1024);
    let mut object = Object::new(&mut body);
    object.string("model", target.model);
    write_items::write(&mut object, &writing, &turns, losses)?;
    limits(&mut object, request, target, losses)?;
    let effort = effort(&request.reasoning, target, losses);
    sampling(&mut object, request, effort, target, losses);
    reasoning(&mut object, &writing, effort, losses);
    text(&mut object, &writing, losses);
    write_tools::write(&mut object, &writing, losses)?;
    let logprobs = logprobs(&mut object, request, effort, target, losses);
    include(&mut object, &writing, effort, logprobs);
    account(&mut object, &writing, losses);
    if request.stream {
        object.bool("stream", true);
    }
    extra(&mut object, &writing, logprobs, losses);
    drop(object);
    let mut tools = names.into_changes(Vec::new());
    tools.renamed.extend(spaced(request));
    Ok(Encoded { body, tools })
}

/// Tools of namespaces are sent as they were declared: their calls come back by their names there, and with their namespaces.
fn spaced(request: &Request) -> Vec<(String, String)> {
    let calls = request.responses.iter().flat_map(|echo| &echo.calls);
    let inside = calls.filter_map(|call| match &call.form {
        Form::Namespaced { namespace, name }
        | Form::Custom {
            namespace: Some(namespace),
            name,
        } => Some((namespace, name, &call.name)),
        Form::Custom { .. } | Form::LocalShell | Form::Shell | Form::ApplyPatch => None,
    });
    let inside: Vec<_> = inside.collect();
    let mut known: BTreeMap<&str, u32> = BTreeMap::new();
    let plain = request.tools.iter().filter_map(|tool| match &tool.body {
        ToolBody::Function { name, .. } | ToolBody::Custom { name, .. } => Some(name),
        ToolBody::WebSearch(_)
        | ToolBody::WebFetch
        | ToolBody::CodeExecution
        | ToolBody::Opaque(_) => None,
    });
    for name in plain.chain(inside.iter().map(|(_, name, _)| *name)) {
        *known.entry(name).or_default() += 1;
    }
    // Servers that leave the namespace out mean the only tool of that name.
    let bare = inside
        .iter()
        .filter(|(_, name, _)| known.get(name.as_str()) == Some(&1))
        .map(|(_, name, hub)| ((*name).clone(), (*hub).clone()));
    let whole = inside
        .iter()
        .map(|(space, name, hub)| (names::spaced(space, name), (*hub).clone()));
    whole.chain(bare).collect()
}

/// Items of this dialect need no order, and what they answer may lie in the vendor's store.
fn as_they_stand(request: &Request) -> Vec<Arranged<'_>> {
    let turns = request.turns.iter().map(|turn| Arranged {
        role: turn.role,
        parts: turn
            .parts
            .iter()
            .map(|part| Placed {
                part,
                id: match &part.body {
                    PartBody::ToolCall(call) => call.id.clone(),
                    PartBody::ToolResult(result) => result.call.clone(),
                    PartBody::Text(_)
                    | PartBody::Media(_)
                    | PartBody::Reasoning(_)
                    | PartBody::Refusal(_)
                    | PartBody::Opaque(_) => String::new(),
                },
                tool: "",
                instruction: false,
            })
            .collect(),
    });
    turns.collect()
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
    if let Some(asked) = request.max_output {
        let most = target.max_output.unwrap_or(u64::MAX);
        let most = match quirks.most_output_whole {
            0 => most,
            whole if !request.stream => most.min(whole),
            _ => most,
        };
        let sent = asked.min(most).max(quirks.least_output).max(LEAST_OUTPUT);
        if sent < asked {
            let note = format!("clamped to {sent}, the most that this model gives");
            losses.setting(Setting::MaxOutput, note);
        } else if sent > asked {
            let note = format!("raised to {sent}, the least that this model takes");
            losses.setting(Setting::MaxOutput, note);
        }
        object.u64("max_output_tokens", sent);
    }
    if request.candidates.is_some_and(|count| count > 1) {
        return Err(Refusal::new(
            At::Setting(Setting::Candidates),
            "this upstream gives one answer to a request; ask for one, or ask several times",
        ));
    }
    if !request.stop.is_empty() {
        losses.setting(
            Setting::Stop,
            "dropped: the Responses API takes no stop sequences",
        );
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
    let (sampling, quirks) = (&request.sampling, target.quirks);
    let accepted = quirks.sampling || at_none(effort, target);
    let thinks = !quirks.sampling_with_thinking && !off(request, effort, target);
    let both = sampling.temperature.is_some() && sampling.top_p.is_some();
    let temperatures = (quirks.temperature_min, quirks.temperature_max);
    for (setting, key, value, range) in [
        (
            Setting::Temperature,
            "temperature",
            sampling.temperature,
            temperatures,
        ),
        (Setting::TopP, "top_p", sampling.top_p, (0.0, 1.0)),
    ] {
        let Some(value) = value else {
            continue;
        };
        let refused = match setting {
            _ if !accepted => Some("dropped: the model takes no sampling settings"),
            _ if thinks => Some("dropped: it has no effect while the model thinks"),
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
    for (setting, said) in [
        (Setting::TopK, sampling.top_k.is_some()),
        (
            Setting::PresencePenalty,
            sampling
                .presence_penalty
                .is_some_and(|value| value.abs() > 0.0),
        ),
        (
            Setting::FrequencyPenalty,
            sampling
                .frequency_penalty
                .is_some_and(|value| value.abs() > 0.0),
        ),
        (Setting::Seed, sampling.seed.is_some()),
    ] {
        if said {
            losses.setting(setting, "dropped: the Responses API has no such setting");
        }
    }
}

/// The model does not reason here, and takes what it else refuses.
fn at_none(effort: Option<Effort>, target: &Target<'_>) -> bool {
    target.quirks.sampling_at_effort_none && level(effort, target) == Some(Effort::None)
}

/// The effort of the answer, said or not.
fn level(effort: Option<Effort>, target: &Target<'_>) -> Option<Effort> {
    effort.or_else(|| Effort::from_name(target.quirks.default_effort.as_deref()?))
}

/// The model is known not to reason here.
fn off(request: &Request, effort: Option<Effort>, target: &Target<'_>) -> bool {
    level(effort, target) == Some(Effort::None)
        || request.reasoning.enabled == Some(false) && effort.is_none()
}

/// Whether the request asks for reasoning.
fn reasons(request: &Request, effort: Option<Effort>) -> bool {
    let reasoning = &request.reasoning;
    let off = reasoning.enabled == Some(false) || effort == Some(Effort::None);
    !off && (effort.is_some() || reasoning.enabled == Some(true) || reasoning.show == Some(true))
}

fn reasoning(
    object: &mut Object<'_>,
    writing: &Writing<'_>,
    effort: Option<Effort>,
    losses: &mut Losses,
) {
    let request = writing.request;
    let summarize = request.reasoning.show == Some(true)
        && !writing.own
        && reasons(request, effort)
        && writing.target.quirks.reasoning_effort;
    let mut own = inner(request, "reasoning.");
    if !writing.target.quirks.reasoning_effort && own.iter().any(|(key, _)| *key == "effort") {
        own.retain(|(key, _)| *key != "effort");
        losses.setting(Setting::Reasoning, "dropped: the model has no such setting");
    }
    if effort.is_none() && !summarize && own.is_empty() {
        return;
    }
    let mut reasoning = object.object("reasoning");
    reasoning.some_string("effort", effort.map(Effort::name));
    if summarize {
        reasoning.string("summary", "auto");
    }
    for (key, json) in own {
        reasoning.raw(key, json);
    }
}

fn text(object: &mut Object<'_>, writing: &Writing<'_>, losses: &mut Losses) {
    let request = writing.request;
    let own = inner(request, "text.");
    let (of_format, own): (Vec<_>, Vec<_>) = own
        .into_iter()
        .partition(|(key, _)| key.starts_with("format."));
    let verbosity = request.verbosity.as_deref();
    let schema = matches!(request.output, Output::Schema { .. } | Output::Enum { .. });
    let output = match &request.output {
        _ if writing.hint.is_none() => &request.output,
        _ if schema && writing.target.quirks.json_object => &Output::Json,
        _ => &Output::Text,
    };
    if writing.hint.is_some() {
        losses.setting(
            Setting::Output,
            "asked for in words: this model takes no schema",
        );
    }
    if matches!(output, Output::Text) && verbosity.is_none() && own.is_empty() {
        return;
    }
    let mut text = object.object("text");
    match output {
        Output::Text => {}
        Output::Json => text.object("format").string("type", "json_object"),
        Output::Schema {
            name,
            description,
            schema,
            strict,
        } => {
            let mut format = text.object("format");
            format.string("type", "json_schema");
            format.string("name", &schema_name(name.as_deref()));
            format.some_string("description", description.as_deref());
            format.raw("schema", schema);
            if let Some(strict) = strict {
                let doubtful = *strict && !writing.own;
                let obstacle = openai::strict_obstacle(schema).filter(|_| doubtful);
                if let Some(obstacle) = &obstacle {
                    let note = format!("sent without strict: {obstacle}");
                    losses.push(At::Setting(Setting::Output), "strict", note);
                }
                format.bool("strict", *strict && obstacle.is_none());
            }
            for (key, json) in of_format {
                if let Some(key) = key.strip_prefix("format.") {
                    format.raw(key, json);
                }
            }
        }
        Output::Enum { schema } => {
            let mut format = text.object("format");
            format.string("type", "json_schema");
            format.string("name", "output");
            {
                let mut wrapper = format.object("schema");
                wrapper.string("type", "object");
                wrapper.object("properties").raw("value", schema);
                wrapper.array("required").string("value");
                wrapper.bool("additionalProperties", false);
            }
            let strict = Node::from(&**schema).fields().is_ok_and(|fields| {
                // A list of words is strict when it stands alone.
                fields.get("enum").is_some() && fields.get("default").is_none()
            });
            format.bool("strict", strict);
        }
    }
    text.some_string("verbosity", verbosity);
    for (key, json) in own {
        text.raw(key, json);
    }
}

/// Asks for probabilities; what of them is asked for.
fn logprobs(
    object: &mut Object<'_>,
    request: &Request,
    effort: Option<Effort>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Option<u64> {
    let asked = request.logprobs?;
    if !(target.quirks.logprobs || at_none(effort, target)) {
        let note = "dropped: the model tells no probabilities";
        losses.setting(Setting::Logprobs, note);
        return None;
    }
    let most = target.quirks.most_logprobs;
    if asked > most {
        losses.setting(Setting::Logprobs, format!("clamped to {most}"));
    }
    let sent = asked.min(most);
    if sent > 0 {
        object.u64("top_logprobs", sent);
    }
    Some(sent)
}

/// What the answer shall hold beyond its text. What the caller of this dialect asked for stands among its own fields.
fn include(
    object: &mut Object<'_>,
    writing: &Writing<'_>,
    effort: Option<Effort>,
    logprobs: Option<u64>,
) {
    let request = writing.request;
    if writing.own {
        return;
    }
    let reasoning = reasons(request, effort) && writing.target.quirks.reasoning_effort;
    let search = writing.target.quirks.tools
        && request
            .tools
            .iter()
            .any(|tool| matches!(tool.body, ToolBody::WebSearch(_)));
    if logprobs.is_none() && !reasoning && !search {
        return;
    }
    let mut include = object.array("include");
    if search {
        include.string(INCLUDE_SOURCES);
    }
    if reasoning {
        include.string(INCLUDE_REASONING);
    }
    if logprobs.is_some() {
        include.string(INCLUDE_LOGPROBS);
    }
}

/// What concerns the account rather than the answer.
fn account(object: &mut Object<'_>, writing: &Writing<'_>, losses: &mut Losses) {
    let request = writing.request;
    // Under whichever name the caller of this dialect gave it, it is among the other fields.
    if let Some(user) = request.user.as_deref().filter(|_| !writing.own) {
        let user = known_user(user, writing.target, losses);
        object.string("safety_identifier", &user);
    }
    metadata(object, request, losses);
    if let Some(tier) = request.service_tier.as_deref()
        && known_tier(tier, writing, losses)
    {
        object.string("service_tier", tier);
    }
    // This API alone stores what it is not told to forget.
    let unsaid = (!writing.own).then_some(false);
    if let Some(store) = request.store.or(unsaid) {
        object.bool("store", store);
    }
}

fn known_tier(tier: &str, writing: &Writing<'_>, losses: &mut Losses) -> bool {
    let tiers = &writing.target.quirks.service_tiers;
    let known = tiers.is_empty() || tiers.iter().any(|known| known == tier);
    if !known {
        let note = format!("dropped: this upstream knows only {}", tiers.join(", "));
        losses.setting(Setting::ServiceTier, note);
    }
    known
}

/// The fields that only OpenAI has.
fn extra(
    object: &mut Object<'_>,
    writing: &Writing<'_>,
    logprobs: Option<u64>,
    losses: &mut Losses,
) {
    let request = writing.request;
    let shared = |key: &str, of: DialectId| of == DialectId::Chat && SHARED.contains(&key);
    for field in &request.extra.fields {
        let (key, value) = (field.key.as_str(), Node::from(&*field.json));
        let top = !INNER.iter().any(|prefix| key.starts_with(prefix));
        if field.of == DialectId::Responses {
            match key {
                _ if !top => {}
                // Its choice was written beside the tools.
                "tool_choice" => {}
                "include" if request.logprobs.is_some() && logprobs.is_none() => {
                    let words = value.elements().unwrap_or_default().into_iter();
                    let kept: Vec<_> = words
                        .filter(|word| word.text().as_deref() != Some(INCLUDE_LOGPROBS))
                        .collect();
                    if !kept.is_empty() {
                        let mut array: Array<'_> = object.array(key);
                        for word in kept {
                            array.value().extend_from_slice(word.raw().as_bytes());
                        }
                    }
                }
                "service_tier" => {
                    if known_tier(&value.text().unwrap_or_default(), writing, losses) {
                        object.raw(key, &field.json);
                    }
                }
                user if USERS.contains(&user) => match value.text() {
                    Some(name) => object.string(key, &known_user(&name, writing.target, losses)),
                    None => object.raw(key, &field.json),
                },
                _ => object.raw(key, &field.json),
            }
        } else if shared(key, field.of) {
            object.raw(key, &field.json);
        } else if !field.private {
            let note = format!("dropped: only {} has it", field.of);
            losses.push(At::Field(field.key.clone()), "", note);
        }
    }
}

/// This dialect's own fields below `prefix`.
fn inner<'a>(
    request: &'a Request,
    prefix: &str,
) -> Vec<(&'a str, &'a serde_json::value::RawValue)> {
    let own = request.extra.of(DialectId::Responses);
    own.filter_map(|(key, json)| Some((key.strip_prefix(prefix)?, json)))
        .collect()
}
