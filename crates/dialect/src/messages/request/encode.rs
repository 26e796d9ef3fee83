//! Writing a request for an upstream that speaks Anthropic Messages.

use crate::hub::{Effort, PartBody, Request};
use crate::json::{Array, Object};
use crate::messages::request::settings::{Form, Mind, nested};
use crate::messages::request::tools::{Marks, NAMES, Toolbox};
use crate::messages::request::turns;
use crate::names::ToolNames;
use crate::{At, DialectId, Encoded, Losses, Refusal, Setting, Target, TextIs};

pub(in crate::messages) fn encode(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    let names = ToolNames::of(request, NAMES.under(target.quirks));
    let mind = Mind::of(request, target, losses);
    let form = Form::of(request, target, losses)?;
    let toolbox = Toolbox::of(request, target, mind.thinking, losses)?;
    let (form, text_is) = match toolbox.emulated {
        Some((name, schema)) => (
            Form::of_call(name, schema, losses)?,
            TextIs::Call(name.to_owned()),
        ),
        None => (form, TextIs::Text),
    };
    let mut marks = Marks::of(request, &toolbox.tools);

    let mut body = Vec::with_capacity(1024);
    let mut object = Object::new(&mut body);
    object.string("model", target.model);
    object.u64("max_tokens", mind.max_tokens);
    if request.stream {
        object.bool("stream", true);
    }
    mind.write_thinking(&mut object, request, losses);
    write_output_config(&mut object, request, &mind, &form, losses);
    mind.write_sampling(&mut object, request, target, losses);
    write_stop(&mut object, request, target, losses);
    write_metadata(&mut object, request);
    write_service_tier(&mut object, request, losses);
    toolbox.write(&mut object, target, &names, &mut marks, losses)?;
    toolbox.write_choice(&mut object, request, &names);
    write_system(
        &mut object,
        request,
        form.hint.as_deref(),
        &mut marks,
        losses,
    );
    turns::write(
        object.value("messages"),
        request,
        target,
        &names,
        &mut marks,
        losses,
    )?;
    for (key, json) in request.extra.of(DialectId::Messages) {
        let inside = [
            "thinking.",
            "output_config.",
            "output_format.",
            "metadata.",
            "tool_choice.",
        ];
        if !inside.iter().any(|prefix| key.starts_with(prefix)) {
            object.raw(key, json);
        }
    }
    drop(object);
    unsayable(request, losses);
    Ok(Encoded {
        body,
        tools: crate::ToolChanges {
            text_is,
            ..names.into_changes(crate::free_form::names(request))
        },
    })
}

fn write_output_config(
    object: &mut Object<'_>,
    request: &Request,
    mind: &Mind,
    form: &Form,
    losses: &mut Losses,
) {
    let (below_format, own): (Vec<_>, Vec<_>) = nested(request, "output_config.")
        .into_iter()
        .partition(|(key, _)| key.starts_with("format."));
    let below_format = below_format
        .into_iter()
        .filter_map(|(key, json)| Some((key.strip_prefix("format.")?, json)));
    let below_format: Vec<_> = below_format
        .chain(nested(request, "output_format."))
        .collect();
    if form.schema.is_none() {
        for (key, _) in &below_format {
            losses.push(
                At::Setting(Setting::Output),
                *key,
                "dropped with the schema",
            );
        }
    }
    if mind.effort.is_none() && form.schema.is_none() && own.is_empty() {
        return;
    }
    let mut config = object.object("output_config");
    config.some_string("effort", mind.effort.map(Effort::name));
    if let Some(schema) = &form.schema {
        let mut format = config.object("format");
        format.string("type", "json_schema");
        format.raw("schema", schema);
        for (key, json) in below_format {
            format.raw(key, json);
        }
    }
    for (key, json) in own {
        config.raw(key, json);
    }
}

fn write_stop(
    object: &mut Object<'_>,
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) {
    let (said, blank): (Vec<&String>, Vec<&String>) = request
        .stop
        .iter()
        .partition(|stop| !stop.trim().is_empty());
    if !blank.is_empty() {
        losses.setting(
            Setting::Stop,
            "those of white space only were dropped: Anthropic refuses them",
        );
    }
    let most = match usize::try_from(target.quirks.most_stops) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(most) => most,
    };
    let most = if target.quirks.stop { most } else { 0 };
    if said.len() > most {
        let note = match most {
            0 => "dropped: the model takes no stop sequences".to_owned(),
            most => format!("only the first {most} were sent"),
        };
        losses.setting(Setting::Stop, note);
    }
    if !said.is_empty() && most > 0 {
        let mut stops = object.array("stop_sequences");
        for stop in said.into_iter().take(most) {
            stops.string(stop);
        }
    }
}

fn write_metadata(object: &mut Object<'_>, request: &Request) {
    let own = nested(request, "metadata.");
    if request.user.is_none() && own.is_empty() {
        return;
    }
    let mut metadata = object.object("metadata");
    metadata.some_string("user_id", request.user.as_deref());
    for (key, json) in own {
        metadata.raw(key, json);
    }
}

fn write_service_tier(object: &mut Object<'_>, request: &Request, losses: &mut Losses) {
    let Some(tier) = request.service_tier.as_deref() else {
        return;
    };
    let (word, exact) = match tier {
        "auto" => ("auto", true),
        "default" => ("standard_only", true),
        "flex" | "scale" => ("standard_only", false),
        "priority" | "fast" => ("auto", false),
        _ => {
            losses.setting(Setting::ServiceTier, "dropped: Anthropic has no such tier");
            return;
        }
    };
    if !exact {
        losses.setting(Setting::ServiceTier, format!("{tier} became {word}"));
    }
    object.string("service_tier", word);
}

fn write_system(
    object: &mut Object<'_>,
    request: &Request,
    hint: Option<&str>,
    marks: &mut Marks,
    losses: &mut Losses,
) {
    let mut blocks = Vec::new();
    let mut array = Array::new(&mut blocks);
    for part in &request.system {
        let PartBody::Text(text) = &part.body else {
            losses.push(part.at.clone(), "", "dropped: instructions are text");
            continue;
        };
        losses.extra(&part.extra, &part.at, DialectId::Messages);
        if text.text.trim().is_empty() {
            continue;
        }
        let mut block = array.object();
        block.string("type", "text");
        block.string("text", &text.text);
        for (key, json) in part.extra.of(DialectId::Messages) {
            block.raw(key, json);
        }
        marks.write(&mut block, part.cache, &part.at, losses);
    }
    if let Some(hint) = hint {
        let mut block = array.object();
        block.string("type", "text");
        block.string("text", hint);
    }
    let empty = array.is_empty();
    drop(array);
    if !empty {
        object.value("system").extend_from_slice(&blocks);
    }
}

/// Settings that Anthropic has no words for.
fn unsayable(request: &Request, losses: &mut Losses) {
    const NO_SETTING: &str = "dropped: Anthropic has no such setting";
    let sampling = &request.sampling;
    let silent = |number: Option<f64>| number.is_none_or(|number| number == 0.0);
    let said = [
        (Setting::PresencePenalty, !silent(sampling.presence_penalty)),
        (
            Setting::FrequencyPenalty,
            !silent(sampling.frequency_penalty),
        ),
        (Setting::Seed, sampling.seed.is_some()),
        (Setting::Logprobs, request.logprobs.is_some()),
        (Setting::Metadata, !request.metadata.is_empty()),
        (Setting::Store, request.store == Some(true)),
        (
            Setting::Verbosity,
            request
                .verbosity
                .as_deref()
                .is_some_and(|word| word != "medium"),
        ),
    ];
    for (setting, _) in said.into_iter().filter(|(_, said)| *said) {
        losses.setting(setting, NO_SETTING);
    }
    if request.candidates.is_some_and(|count| count > 1) {
        losses.setting(
            Setting::Candidates,
            "one answer is given: Anthropic gives no more",
        );
    }
    losses.extra(&request.extra, &At::Request, DialectId::Messages);
    for (index, turn) in (0_u32..).zip(&request.turns) {
        let at = turn.parts.first().map_or(At::Turn { turn: index }, |part| {
            crate::arrange::turn_of(&part.at)
        });
        losses.extra(&turn.extra, &at, DialectId::Messages);
    }
}
