//! `generationConfig` both ways.

use crate::hub::{Effort, Extra, Output, Reasoning, Request, ToolBody};
use crate::json::{Fields, Node, Object};
use crate::quirks::ThinkingField;
use crate::schema::gemini as schema;
use crate::{At, DialectId, Losses, Malformed, Quirks, Refusal, Setting};

use super::request::keep;
use super::{fields, number};

const PREFIX: &str = "generationConfig.";
const THINKING: &str = "generationConfig.thinkingConfig.";

// --- reading ------------------------------------------------------------------------------------------------------------------

pub(super) fn decode(config: Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let mut config = fields(config)?;
    let float = |node: Node<'_>| number(node).require_f64();
    let whole = |node: Node<'_>| number(node).require_u64();
    let sampling = &mut request.sampling;
    sampling.temperature = config.read("temperature", float)?;
    sampling.top_p = config.read("topP", float)?;
    sampling.top_k = config.read("topK", float)?;
    sampling.presence_penalty = config.read("presencePenalty", float)?;
    sampling.frequency_penalty = config.read("frequencyPenalty", float)?;
    sampling.seed = config.read("seed", |node| number(node).require_i64())?;
    request.max_output = config.read("maxOutputTokens", whole)?;
    request.candidates = config.read("candidateCount", whole)?;
    request.stop = config
        .read("stopSequences", |node| {
            node.one_or_many()?.into_iter().map(Node::string).collect()
        })?
        .unwrap_or_default();
    let asked = config.read("responseLogprobs", Node::require_bool)?;
    if asked == Some(true) {
        request.logprobs = Some(config.read("logprobs", whole)?.unwrap_or(0));
    }
    if let Some(modalities) = config.get("responseModalities")
        && only_text(modalities)
    {
        // What the API does anyway.
        config.take("responseModalities");
    }
    output(&mut config, request)?;
    if let Some(thinking) = config.take("thinkingConfig") {
        request.reasoning = reasoning(thinking, &mut request.extra)
            .map_err(|fault| fault.inside("thinkingConfig"))?;
    }
    keep(&config, PREFIX, &mut request.extra);
    Ok(())
}

fn only_text(modalities: Node<'_>) -> bool {
    modalities.one_or_many().is_ok_and(|modalities| {
        modalities.iter().all(|modality| {
            modality
                .text()
                .is_some_and(|word| word.eq_ignore_ascii_case("text"))
        })
    })
}

fn output(config: &mut Fields<'_>, request: &mut Request) -> Result<(), Malformed> {
    // The newer form of the same: a list of formats, one for text.
    if let Some(format) = config.get("responseFormat")
        && let Some((mime, found)) = text_format(format)
    {
        config.take("responseFormat");
        if let Some(found) = found {
            request.output = Output::Schema {
                name: None,
                description: None,
                schema: found.to_raw(),
                strict: None,
            };
        } else if mime == "application/json" {
            request.output = Output::Json;
        }
    }
    let openapi = config.read("responseSchema", schema::to_json_schema)?;
    let json_schema = config.read("responseJsonSchema", |node| {
        if node.is_object() {
            Ok(node.to_raw())
        } else {
            schema::to_json_schema(node)
        }
    })?;
    let mime_node = config.get("responseMimeType");
    let mime = match mime_node {
        None => None,
        Some(node) => Some(
            node.string()
                .map_err(|fault| fault.inside("responseMimeType"))?,
        ),
    };
    let known = match (mime.as_deref(), json_schema.or(openapi)) {
        (Some("text/x.enum"), Some(schema)) => {
            request.output = Output::Enum { schema };
            true
        }
        (mime, Some(schema)) => {
            request.output = Output::Schema {
                name: None,
                description: None,
                schema,
                strict: None,
            };
            matches!(mime, None | Some("" | "text/plain" | "application/json"))
        }
        (Some("application/json"), None) => {
            request.output = Output::Json;
            true
        }
        (None | Some("" | "text/plain"), None) => true,
        (Some(_), None) => false,
    };
    if known {
        config.take("responseMimeType");
    }
    Ok(())
}

/// The type and schema of a `responseFormat` that speaks of text alone.
fn text_format<'a>(format: Node<'a>) -> Option<(String, Option<Node<'a>>)> {
    let [only] = format.one_or_many().ok()?.try_into().ok()?;
    let mut only: Fields<'a> = fields(only).ok()?;
    let mut text = fields(only.take("text")?).ok()?;
    let mime = text.take("mimeType").and_then(Node::text)?.into_owned();
    let found = text.take("jsonSchema");
    (only.is_empty() && text.is_empty() && found.is_none_or(Node::is_object))
        .then_some((mime, found))
}

fn reasoning(thinking: Node<'_>, extra: &mut Extra) -> Result<Reasoning, Malformed> {
    let mut thinking = fields(thinking)?;
    let mut reasoning = Reasoning {
        show: thinking.read("includeThoughts", Node::require_bool)?,
        ..Reasoning::default()
    };
    if let Some(level) = thinking.read("thinkingLevel", Node::string)?
        && !level.eq_ignore_ascii_case("THINKING_LEVEL_UNSPECIFIED")
    {
        let effort = Effort::from_name(&level).ok_or_else(|| {
            Malformed::new(
                "thinkingLevel",
                format!("unknown level '{level}'; expected MINIMAL, LOW, MEDIUM, HIGH or XHIGH"),
            )
        })?;
        reasoning.effort = Some(effort);
    }
    match thinking.read("thinkingBudget", |node| number(node).require_i64())? {
        None => {}
        Some(0) => reasoning.enabled = Some(false),
        Some(-1) => reasoning.enabled = Some(true),
        Some(budget) => {
            let budget = u64::try_from(budget).map_err(|_| {
                Malformed::new("thinkingBudget", "expected −1, 0 or a number of tokens")
            })?;
            reasoning.budget = Some(budget);
        }
    }
    keep(&thinking, THINKING, extra);
    Ok(reasoning)
}

// --- writing ------------------------------------------------------------------------------------------------------------------

/// Writes Gemini's own fields that lie directly under `prefix`, but for those in `except`.
pub(super) fn extras(out: &mut Object<'_>, extra: &Extra, prefix: &str, except: &[&str]) {
    for (key, value) in extra.of(DialectId::Gemini) {
        if let Some(name) = key.strip_prefix(prefix)
            && !name.contains('.')
            && !except.contains(&name)
        {
            out.raw(name, value);
        }
    }
}

/// The form of the output in words, where it cannot be asked for beside functions.
pub(super) fn hint(request: &Request, quirks: &Quirks) -> Option<String> {
    let functions = request.tools.iter().any(|tool| {
        matches!(
            tool.body,
            ToolBody::Function { .. } | ToolBody::Custom { .. }
        )
    });
    if quirks.json_with_tools || !functions || !quirks.system_instruction {
        return None;
    }
    match &request.output {
        Output::Text | Output::Enum { .. } => None,
        Output::Json => Some(crate::hint::json()),
        Output::Schema { schema, .. } => Some(crate::hint::schema(schema)),
    }
}

pub(super) fn encode(
    out: &mut Object<'_>,
    request: &Request,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let mut written = Vec::new();
    let mut config = Object::new(&mut written);
    sampling(&mut config, request, quirks, losses);
    if request.max_output == Some(0) {
        return Err(Refusal::new(
            At::Setting(Setting::MaxOutput),
            "Gemini cannot answer with no tokens at all; ask for 1 or more",
        ));
    }
    let whole = Some(quirks.most_output_whole).filter(|most| *most > 0 && !request.stream);
    match (request.max_output, whole) {
        (Some(asked), Some(most)) if asked > most => {
            let note = format!("clamped to {most}: more is only given as a stream");
            losses.setting(Setting::MaxOutput, note);
            config.u64("maxOutputTokens", most);
        }
        (asked, _) => config.some_u64("maxOutputTokens", asked),
    }
    config.some_u64("candidateCount", request.candidates);
    let most = match usize::try_from(quirks.most_stops) {
        _ if !quirks.stop => 0,
        Ok(0) | Err(_) => 5,
        Ok(most) => most.min(5),
    };
    let (kept, rest) = request.stop.split_at(request.stop.len().min(most));
    if !rest.is_empty() {
        let note = format!("cut to the first {most}: Gemini takes no more");
        losses.setting(Setting::Stop, note);
    }
    if !kept.is_empty() {
        let mut stop = config.array("stopSequences");
        for sequence in kept {
            stop.string(sequence);
        }
    }
    if request.logprobs.is_some() && !quirks.logprobs {
        losses.setting(
            Setting::Logprobs,
            "dropped: the model tells no probabilities",
        );
    }
    if let Some(alternatives) = request.logprobs.filter(|_| quirks.logprobs) {
        config.bool("responseLogprobs", true);
        if alternatives > 0 {
            config.u64("logprobs", alternatives);
        }
    }
    if hint(request, quirks).is_some() {
        losses.setting(
            Setting::Output,
            "asked for in words: this model gives JSON or calls functions, not both",
        );
    } else {
        format(&mut config, &request.output, quirks, losses);
    }
    let mut thinking = Vec::new();
    let mut thinking_fields = Object::new(&mut thinking);
    think(&mut thinking_fields, &request.reasoning, quirks, losses);
    extras(&mut thinking_fields, &request.extra, THINKING, &[]);
    drop(thinking_fields);
    if thinking != b"{}" {
        config.value("thinkingConfig").extend_from_slice(&thinking);
    }
    extras(&mut config, &request.extra, PREFIX, &[]);
    drop(config);
    if written != b"{}" {
        out.value("generationConfig").extend_from_slice(&written);
    }
    if request
        .verbosity
        .as_deref()
        .is_some_and(|verbosity| verbosity != "medium")
    {
        losses.setting(Setting::Verbosity, "dropped: Gemini has no such setting");
    }
    Ok(())
}

fn sampling(config: &mut Object<'_>, request: &Request, quirks: &Quirks, losses: &mut Losses) {
    let sampling = &request.sampling;
    for (value, name, setting) in [
        (sampling.temperature, "temperature", Setting::Temperature),
        (sampling.top_p, "topP", Setting::TopP),
        (sampling.top_k, "topK", Setting::TopK),
    ] {
        match value {
            Some(value) if quirks.sampling => config.f64(name, value),
            Some(_) => losses.setting(setting, "dropped: this model samples in its own way"),
            None => {}
        }
    }
    for (value, name, setting) in [
        (
            sampling.presence_penalty,
            "presencePenalty",
            Setting::PresencePenalty,
        ),
        (
            sampling.frequency_penalty,
            "frequencyPenalty",
            Setting::FrequencyPenalty,
        ),
    ] {
        match value {
            Some(value) if quirks.penalties => config.f64(name, value),
            Some(value) if value != 0.0 => {
                losses.setting(setting, "dropped: this model takes no penalties");
            }
            Some(_) | None => {}
        }
    }
    if let Some(seed) = sampling.seed {
        let low = seed & 0x7fff_ffff;
        if low != seed {
            losses.setting(
                Setting::Seed,
                "cut to its low 31 bits: Gemini takes no more",
            );
        }
        config.i64("seed", low);
    }
}

fn format(config: &mut Object<'_>, output: &Output, quirks: &Quirks, losses: &mut Losses) {
    let (mime, found) = match output {
        Output::Text => return,
        Output::Json => ("application/json", None),
        Output::Schema {
            name: _,
            description,
            schema,
            strict: _,
        } => {
            if description.is_some() {
                losses.push(
                    At::Setting(Setting::Output),
                    "description",
                    "dropped: Gemini has no place for it",
                );
            }
            ("application/json", Some(schema))
        }
        Output::Enum { schema } => ("text/x.enum", Some(schema)),
    };
    config.string("responseMimeType", mime);
    let Some(found) = found else { return };
    let mut report = |path: String, note: &'static str| {
        let field = if path.is_empty() {
            "schema".to_owned()
        } else {
            format!("schema.{path}")
        };
        losses.push(At::Setting(Setting::Output), field, note);
    };
    if quirks.json_schema_fields {
        let cut = schema::for_json_schema_field(found, &mut report);
        config.raw("responseJsonSchema", &cut);
    } else if let Some(opened) = schema::for_openapi_field(found, &mut report) {
        config.raw("responseSchema", &opened);
    }
}

/// What is asked of reasoning, in one scale for efforts, budgets and switches (protocols.md §2.8).
fn think(out: &mut Object<'_>, reasoning: &Reasoning, quirks: &Quirks, losses: &mut Losses) {
    let Reasoning {
        enabled,
        effort,
        budget,
        show,
    } = reasoning;
    if let Some(show) = show {
        out.bool("includeThoughts", *show);
    }
    let off = *enabled == Some(false) || *effort == Some(Effort::None) || *budget == Some(0);
    match quirks.thinking_field {
        ThinkingField::Level => {
            let asked = if off {
                Some(Effort::None)
            } else {
                (*effort).or_else(|| budget.map(Effort::from_budget))
            };
            let Some(asked) = asked else { return };
            let level = level_of(asked, &quirks.efforts);
            out.string("thinkingLevel", &level.name().to_ascii_uppercase());
            if effort.is_none() && !off {
                losses.push(
                    At::Setting(Setting::Reasoning),
                    "",
                    format!("a number of tokens became the level {}", level.name()),
                );
            } else if level != asked {
                losses.push(
                    At::Setting(Setting::Reasoning),
                    "",
                    format!(
                        "{} became {}: this model has no such level",
                        asked.name(),
                        level.name()
                    ),
                );
            }
        }
        ThinkingField::Budget => {
            let knows = |effort: Effort| quirks.efforts.iter().any(|known| known == effort.name());
            // Flash models think up to 24 576 tokens, Pro models up to 32 768.
            let most = match quirks.most_budget {
                0 if knows(Effort::XHigh) || knows(Effort::Max) => 32_768,
                0 => 24_576,
                most => most,
            };
            if off {
                let can_be_off = quirks.efforts.is_empty() || knows(Effort::None);
                out.u64("thinkingBudget", if can_be_off { 0 } else { 128 });
                if !can_be_off {
                    losses.setting(
                        Setting::Reasoning,
                        "lowered to 128 tokens: this model always thinks",
                    );
                }
                return;
            }
            let tokens = match (budget, effort) {
                (Some(tokens), _) => Some(*tokens),
                (None, Some(effort)) => Some(match effort {
                    Effort::None | Effort::Minimal => 512,
                    Effort::Low => 1024,
                    Effort::Medium => 8192,
                    Effort::High => 24_576,
                    Effort::XHigh | Effort::Max => 32_768,
                }),
                (None, None) => None,
            };
            match tokens {
                Some(tokens) => {
                    if tokens > most {
                        losses.push(
                            At::Setting(Setting::Reasoning),
                            "",
                            format!("cut to {most} tokens, the most that this model thinks"),
                        );
                    }
                    let least = quirks.least_budget;
                    if tokens < least {
                        let note =
                            format!("raised to {least} tokens, the least that this model thinks");
                        losses.setting(Setting::Reasoning, note);
                    }
                    out.u64("thinkingBudget", tokens.max(least).min(most));
                }
                None if *enabled == Some(true) => out.i64("thinkingBudget", -1),
                None => {}
            }
        }
    }
}

/// The level nearest to `asked` that the model has: the next lower one, else the lowest; but medium rises to high.
fn level_of(asked: Effort, known: &[String]) -> Effort {
    let levels: Vec<Effort> = if known.is_empty() {
        vec![
            Effort::Minimal,
            Effort::Low,
            Effort::Medium,
            Effort::High,
            Effort::XHigh,
        ]
    } else {
        Effort::ALL
            .into_iter()
            .filter(|effort| {
                !matches!(effort, Effort::None | Effort::Max)
                    && known.iter().any(|name| name == effort.name())
            })
            .collect()
    };
    if asked == Effort::Medium && !levels.contains(&asked) && levels.contains(&Effort::High) {
        return Effort::High;
    }
    levels
        .iter()
        .rev()
        .find(|level| **level <= asked)
        .or(levels.first())
        .copied()
        .unwrap_or(Effort::Low)
}
