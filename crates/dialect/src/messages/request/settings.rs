//! Thinking, limits, sampling and the form of the answer: the settings that depend on the model.

use serde_json::value::RawValue;

use crate::hint;
use crate::hub::{Effort, Output, PartBody, Request, Role};
use crate::json::{self, Node, Object};
use crate::quirks::Thinking;
use crate::schema::anthropic;
use crate::{At, DialectId, Losses, Refusal, Setting, Target};

/// The least that `budget_tokens` may be, and what is left for the answer when a budget has to shrink.
const LEAST_BUDGET: u64 = 1024;
/// The budget of thinking that was turned on without saying how much.
const USUAL_BUDGET: u64 = 8192;

/// What is said about thinking, and the limit that has to hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mind {
    pub(super) max_tokens: u64,
    pub(super) thinking: Think,
    pub(super) effort: Option<Effort>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Think {
    Unsaid,
    Off,
    Adaptive,
    /// Thinking between tool calls only.
    BetweenTools,
    Budget(u64),
}

impl Mind {
    pub(super) fn of(request: &Request, target: &Target<'_>, losses: &mut Losses) -> Self {
        let reasoning = &request.reasoning;
        let lose = |losses: &mut Losses, note: String| losses.setting(Setting::Reasoning, note);
        let max_tokens = max_tokens(request, target, losses);
        let own_word = request
            .extra
            .get(DialectId::Messages, "thinking.type")
            .is_some();
        let off = reasoning.enabled == Some(false)
            || reasoning.effort == Some(Effort::None)
            || reasoning.budget == Some(0);
        let on = !off
            && (reasoning.enabled == Some(true)
                || reasoning.effort.is_some()
                || reasoning.budget.is_some());
        let effort = reasoning.effort.filter(|effort| *effort != Effort::None);
        let mut mind = Self {
            max_tokens,
            thinking: Think::Unsaid,
            effort: None,
        };
        match target.quirks.thinking {
            Thinking::None => {
                if on || effort.is_some() {
                    lose(losses, "dropped: this model does not think".to_owned());
                }
            }
            Thinking::BetweenTools if off && !own_word => {
                mind.thinking = Think::BetweenTools;
                let least = effort.unwrap_or(Effort::Low);
                mind.effort = clamp(mind_off(least, target, losses), target, losses);
                lose(
                    losses,
                    "this model always thinks: it was asked to think between tool calls alone"
                        .to_owned(),
                );
            }
            Thinking::AlwaysAdaptive if off && !own_word => {
                mind.effort = clamp(Effort::Low, target, losses);
                lose(
                    losses,
                    "this model always thinks: the lowest effort is asked for".to_owned(),
                );
            }
            Thinking::Adaptive
            | Thinking::AlwaysAdaptive
            | Thinking::BetweenTools
            | Thinking::Budget
                if off =>
            {
                mind.thinking = Think::Off;
                mind.effort = effort.and_then(|effort| {
                    let effort = mind_off(effort, target, losses);
                    clamp(effort, target, losses)
                });
            }
            Thinking::Adaptive | Thinking::AlwaysAdaptive | Thinking::BetweenTools if on => {
                mind.thinking = Think::Adaptive;
                let from_budget = reasoning.budget.map(Effort::from_budget);
                mind.effort = effort
                    .or(from_budget)
                    .and_then(|effort| clamp(effort, target, losses));
                if let Some(budget) = reasoning.budget {
                    let word = mind.effort.map_or("its own measure", Effort::name);
                    lose(
                        losses,
                        format!("a budget of {budget} tokens became effort {word}"),
                    );
                }
            }
            Thinking::Budget if on => {
                let budget = reasoning.budget.unwrap_or_else(|| {
                    let budget = effort.map_or(USUAL_BUDGET, Effort::tokens);
                    let said = effort.map_or("thinking", Effort::name);
                    lose(losses, format!("{said} became a budget of {budget} tokens"));
                    budget
                });
                if reasoning.budget.is_some() {
                    mind.effort = effort.and_then(|effort| clamp(effort, target, losses));
                }
                mind.make_room(budget, request, target, losses);
            }
            Thinking::AlwaysAdaptive | Thinking::BetweenTools if reasoning.show == Some(true) => {
                mind.thinking = Think::Adaptive;
            }
            Thinking::Adaptive
            | Thinking::AlwaysAdaptive
            | Thinking::BetweenTools
            | Thinking::Budget => {
                if reasoning.show == Some(true) {
                    lose(
                        losses,
                        "thoughts are shown only when thinking is asked for".to_owned(),
                    );
                }
            }
        }
        if matches!(mind.thinking, Think::Budget(_)) && in_bare_tool_loop(request) {
            lose(losses, crate::vault::THINKING_OFF.to_owned());
            mind.thinking = Think::Off;
        }
        mind
    }

    /// Sets a budget that fits below `max_tokens`. The caller's own limit stays; a default gives way.
    fn make_room(
        &mut self,
        budget: u64,
        request: &Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) {
        let asked = budget;
        let mut budget = budget.max(LEAST_BUDGET);
        if request.max_output.is_none() && budget >= self.max_tokens {
            self.max_tokens = budget
                .saturating_add(target.default_max_tokens)
                .min(target.max_output.unwrap_or(u64::MAX));
        }
        if budget >= self.max_tokens {
            budget = self
                .max_tokens
                .saturating_sub(LEAST_BUDGET)
                .max(LEAST_BUDGET);
        }
        if budget >= self.max_tokens {
            let note = format!("dropped: {} tokens leave no room for it", self.max_tokens);
            losses.setting(Setting::Reasoning, note);
            return;
        }
        if budget != asked {
            let note = format!("a budget of {asked} tokens became {budget}");
            losses.setting(Setting::Reasoning, note);
        }
        self.thinking = Think::Budget(budget);
    }

    pub(super) fn write_thinking(
        &self,
        object: &mut Object<'_>,
        request: &Request,
        losses: &mut Losses,
    ) {
        let own = nested(request, "thinking.");
        if self.thinking == Think::Unsaid {
            for (key, _) in own {
                losses.push(
                    At::Field(format!("thinking.{key}")),
                    "",
                    "dropped with the thinking",
                );
            }
            return;
        }
        let mut thinking = object.object("thinking");
        match self.thinking {
            Think::Unsaid => {}
            Think::Off => match request.extra.get(DialectId::Messages, "thinking.type") {
                Some(word) => thinking.raw("type", word),
                None => thinking.string("type", "disabled"),
            },
            Think::BetweenTools => thinking.string("type", "between_tools"),
            Think::Adaptive => {
                thinking.string("type", "adaptive");
                if request.reasoning.show == Some(true) {
                    thinking.string("display", "summarized");
                }
            }
            Think::Budget(tokens) => {
                thinking.string("type", "enabled");
                thinking.u64("budget_tokens", tokens);
            }
        }
        if self.thinking != Think::Off && request.reasoning.show == Some(false) {
            thinking.string("display", "omitted");
        }
        for (key, json) in own.into_iter().filter(|(key, _)| *key != "type") {
            thinking.raw(key, json);
        }
    }

    /// `temperature`, `top_p` and `top_k`, as far as the model takes them.
    pub(super) fn write_sampling(
        &self,
        object: &mut Object<'_>,
        request: &Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) {
        let sampling = &request.sampling;
        // With a thinking budget, only top_p from 0.95 upwards may be changed (protocols.md §6.2).
        let thinks = matches!(self.thinking, Think::Budget(_));
        let refuses = |allowed: bool| match (target.quirks.sampling, thinks && !allowed) {
            (false, _) => Some("dropped: this model does not take it"),
            (true, true) => Some("dropped: not with thinking"),
            (true, false) => None,
        };
        let both = sampling.temperature.is_some() && sampling.top_p.is_some();
        let most = target.quirks.temperature_max.min(1.0);
        if let Some(temperature) = sampling.temperature {
            if let Some(note) = refuses(temperature >= 1.0) {
                losses.setting(Setting::Temperature, note);
            } else {
                let least = target.quirks.temperature_min;
                if temperature > most {
                    losses.setting(
                        Setting::Temperature,
                        format!("clamped to {most}, the most that Anthropic takes"),
                    );
                } else if temperature < least {
                    losses.setting(Setting::Temperature, format!("raised to {least}"));
                }
                object.f64("temperature", temperature.min(most).max(least));
            }
        }
        if let Some(top_p) = sampling.top_p {
            let either = (both && target.quirks.temperature_xor_top_p)
                .then_some("dropped: the model takes either it or the temperature");
            match refuses(top_p >= 0.95).or(either) {
                Some(note) => losses.setting(Setting::TopP, note),
                None => object.f64("top_p", top_p),
            }
        }
        if let Some(top_k) = sampling.top_k {
            match refuses(false) {
                Some(note) => losses.setting(Setting::TopK, note),
                None => object.f64("top_k", top_k),
            }
        }
    }
}

/// The effort of a request that turns thinking off: some models refuse a high one there.
fn mind_off(effort: Effort, target: &Target<'_>, losses: &mut Losses) -> Effort {
    let most = target.quirks.effort_when_off.as_deref();
    match most.and_then(Effort::from_name) {
        Some(most) if effort > most => {
            let note = format!(
                "effort {} became {}: no more goes without thinking",
                effort.name(),
                most.name()
            );
            losses.setting(Setting::Reasoning, note);
            most
        }
        Some(_) | None => effort,
    }
}

fn max_tokens(request: &Request, target: &Target<'_>, losses: &mut Losses) -> u64 {
    let most = target.max_output.unwrap_or(u64::MAX);
    let most = match target.quirks.most_output_whole {
        0 => most,
        whole if !request.stream => most.min(whole),
        _ => most,
    };
    match request.max_output {
        Some(asked) if asked > most => {
            losses.setting(
                Setting::MaxOutput,
                format!("clamped to {most}, the most that this model gives"),
            );
            most
        }
        Some(asked) => asked,
        None => target.default_max_tokens.min(most),
    }
}

/// The nearest level that the model knows, downwards if there is one; `None` when it knows none.
fn clamp(effort: Effort, target: &Target<'_>, losses: &mut Losses) -> Option<Effort> {
    let listed = &target.quirks.efforts;
    let known = Effort::ALL.into_iter().filter(|level| {
        *level >= Effort::Low
            && (listed.is_empty() || listed.iter().any(|name| name == level.name()))
    });
    let known: Vec<Effort> = known.collect();
    let below = known.iter().rev().find(|level| **level <= effort);
    let nearest = below.or(known.first()).copied();
    if nearest != Some(effort) {
        let note = match nearest {
            Some(nearest) => format!("effort {} became {}", effort.name(), nearest.name()),
            None => format!(
                "effort {} dropped: this model knows no levels",
                effort.name()
            ),
        };
        losses.setting(Setting::Reasoning, note);
    }
    nearest
}

/// Anthropic's own fields below `prefix`, which return to their places.
pub(super) fn nested<'a>(request: &'a Request, prefix: &str) -> Vec<(&'a str, &'a RawValue)> {
    request
        .extra
        .of(DialectId::Messages)
        .filter_map(|(key, json)| Some((key.strip_prefix(prefix)?, json)))
        .collect()
}

/// How the form of the answer is asked for.
#[derive(Debug, Default)]
pub(super) struct Form {
    /// The schema of `output_config.format`.
    pub(super) schema: Option<Box<RawValue>>,
    /// What is asked for in words instead, at the end of the instructions.
    pub(super) hint: Option<String>,
}

impl Form {
    /// The arguments of a call as output.
    pub(super) fn of_call(
        name: &str,
        parameters: Option<&RawValue>,
        losses: &mut Losses,
    ) -> Result<Self, Refusal> {
        let none =
            || json::raw(r#"{"type":"object","properties":{},"additionalProperties":false}"#);
        let schema = parameters.map(ToOwned::to_owned).or_else(none);
        let Some(fitted) = schema.as_deref().and_then(anthropic::fit) else {
            return Err(Refusal::new(
                At::Setting(Setting::ToolChoice),
                "the schema of the tool that must be called nests deeper than 128 levels",
            ));
        };
        for (path, note) in fitted.losses {
            let field = if path.is_empty() {
                "schema".to_owned()
            } else {
                format!("schema.{path}")
            };
            losses.push(At::Setting(Setting::ToolChoice), field, note);
        }
        Ok(Self {
            schema: Some(fitted.schema),
            hint: Some(format!(
                "Answer with the arguments of one call of the tool `{name}`, as JSON, and nothing else."
            )),
        })
    }

    pub(super) fn of(
        request: &Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) -> Result<Self, Refusal> {
        let schema = match &request.output {
            Output::Text => return Ok(Self::default()),
            Output::Json => {
                losses.setting(
                    Setting::Output,
                    "asked for in words: Anthropic gives JSON only by a schema",
                );
                return Ok(Self {
                    schema: None,
                    hint: Some(hint::json()),
                });
            }
            Output::Schema {
                name,
                description,
                schema,
                strict: _,
            } => titled(schema, name.as_deref(), description.as_deref()),
            Output::Enum { schema } => json::raw(format!(
                r#"{{"type":"object","properties":{{"value":{schema}}},"required":["value"],"additionalProperties":false}}"#
            ))
            .unwrap_or_else(|| schema.clone()),
        };
        if !target.quirks.native_schema {
            losses.setting(
                Setting::Output,
                "asked for in words: this model takes no schema",
            );
            return Ok(Self {
                schema: None,
                hint: Some(hint::schema(&schema)),
            });
        }
        let Some(fitted) = anthropic::fit(&schema) else {
            return Err(Refusal::new(
                At::Setting(Setting::Output),
                "the schema nests deeper than 128 levels",
            ));
        };
        for (path, note) in fitted.losses {
            let field = if path.is_empty() {
                "schema".to_owned()
            } else {
                format!("schema.{path}")
            };
            losses.push(At::Setting(Setting::Output), field, note);
        }
        Ok(Self {
            schema: Some(fitted.schema),
            hint: None,
        })
    }
}

/// The schema with the name and description that stood beside it, where it has none of its own.
fn titled(schema: &RawValue, name: Option<&str>, description: Option<&str>) -> Box<RawValue> {
    let fields = Node::parse(schema.get().as_bytes()).and_then(Node::fields);
    let Ok(fields) = fields else {
        return schema.to_owned();
    };
    let name = name.filter(|_| fields.get("title").is_none());
    let description = description.filter(|_| fields.get("description").is_none());
    if name.is_none() && description.is_none() {
        return schema.to_owned();
    }
    let mut text = Vec::new();
    let mut object = Object::new(&mut text);
    object.some_string("title", name);
    object.some_string("description", description);
    for (key, node) in fields.iter().filter(|(_, node)| !node.is_null()) {
        object.value(key).extend_from_slice(node.raw().as_bytes());
    }
    drop(object);
    String::from_utf8(text)
        .ok()
        .and_then(json::raw)
        .unwrap_or_else(|| schema.to_owned())
}

/// Whether the last answer of the history calls tools and does not begin with a thought that can be sent. With a budget, Anthropic
/// refuses that.
fn in_bare_tool_loop(request: &Request) -> bool {
    let mut turns = request.turns.iter().rev();
    let answer = turns
        .by_ref()
        .skip_while(|turn| turn.role != Role::Assistant)
        .take_while(|turn| turn.role == Role::Assistant);
    let mut answer: Vec<_> = answer.collect();
    answer.reverse();
    let mut parts = answer
        .iter()
        .flat_map(|turn| &turn.parts)
        .filter(|part| match &part.body {
            PartBody::Reasoning(thought) => thought
                .proof
                .as_ref()
                .is_some_and(|proof| proof.of == DialectId::Messages),
            PartBody::Text(text) => !text.text.trim().is_empty(),
            PartBody::Media(_)
            | PartBody::ToolCall(_)
            | PartBody::ToolResult(_)
            | PartBody::Refusal(_)
            | PartBody::Opaque(_) => true,
        });
    let begins = parts.next();
    let thinks = begins.is_some_and(|part| matches!(part.body, PartBody::Reasoning(_)));
    let mut all = begins.into_iter().chain(parts);
    !thinks && all.any(|part| matches!(part.body, PartBody::ToolCall(_)))
}
