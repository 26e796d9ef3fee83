//! What a Chat request says about reasoning, in the words of its server.

use crate::hub::{Effort, Reasoning, Request};
use crate::json::Object;
use crate::quirks::Switch;
use crate::{DialectId, Losses, Setting, Target};

/// What is said about reasoning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mind {
    effort: Option<Effort>,
    /// Thinking is turned on or off by a field of its own.
    on: Option<bool>,
    budget: Option<u64>,
    /// The reasoning is not wanted in the answer.
    hide: bool,
    /// Whether sampling finds the effort `none`.
    pub(super) at_none: bool,
}

impl Mind {
    pub(super) fn of(request: &Request, target: &Target<'_>, losses: &mut Losses) -> Self {
        let (reasoning, quirks) = (&request.reasoning, target.quirks);
        let off = reasoning.enabled == Some(false)
            || reasoning.effort == Some(Effort::None)
            || reasoning.budget == Some(0);
        let wanted = if off {
            Some(Effort::None)
        } else {
            let of_budget = reasoning.budget.map(Effort::from_budget);
            reasoning.effort.or(of_budget)
        };
        let said = wanted.is_some() || reasoning.enabled.is_some();
        let by_switch = quirks.thinking_switch != Switch::None;
        let mut mind = Self {
            effort: None,
            on: (said && by_switch).then_some(!off),
            budget: None,
            hide: reasoning.show == Some(false),
            at_none: false,
        };
        if by_switch && quirks.thinking_budget {
            mind.budget = match (reasoning.budget, reasoning.effort) {
                (Some(budget), _) => Some(budget),
                // Where there is no word for how much, a number says it.
                (None, Some(effort)) if !quirks.reasoning_effort => Some(effort.tokens()),
                (None, _) => None,
            };
            mind.budget = mind.budget.filter(|_| !off);
        }
        let wanted = wanted.filter(|_| !(by_switch && off));
        match wanted {
            Some(wanted) if quirks.reasoning_effort => {
                let exact = mind.budget.is_some() && reasoning.effort.is_none();
                mind.effort = (!exact).then(|| clamp(wanted, target, losses));
            }
            Some(wanted) if by_switch => match mind.budget {
                Some(budget) if reasoning.budget.is_none() => {
                    let note = format!("{} became a budget of {budget} tokens", wanted.name());
                    losses.setting(Setting::Reasoning, note);
                }
                Some(_) => {}
                None => losses.setting(
                    Setting::Reasoning,
                    "only turned on: the model knows no measure of it",
                ),
            },
            Some(_) => losses.setting(Setting::Reasoning, "dropped: the model has no such setting"),
            None => {}
        }
        let unsaid = || Effort::from_name(quirks.default_effort.as_deref()?);
        mind.at_none = mind.on == Some(false)
            || mind.on.is_none() && mind.effort.or_else(unsaid) == Some(Effort::None);
        mind
    }

    pub(super) fn write(&self, object: &mut Object<'_>, request: &Request, target: &Target<'_>) {
        let own = |key: &str| request.extra.get(DialectId::Chat, key).is_some();
        let switch = target.quirks.thinking_switch;
        if switch == Switch::Reasoning {
            self.write_reasoning(object, request);
        } else {
            object.some_string("reasoning_effort", self.effort.map(Effort::name));
        }
        let Some(on) = self.on else { return };
        match switch {
            Switch::ThinkingType if !own("thinking") => {
                let word = if on { "enabled" } else { "disabled" };
                object.object("thinking").string("type", word);
            }
            Switch::EnableThinking if !own("enable_thinking") => {
                object.bool("enable_thinking", on);
                if !own("thinking_budget") {
                    object.some_u64("thinking_budget", self.budget);
                }
            }
            Switch::TemplateKwargs if !own("chat_template_kwargs") => {
                object
                    .object("chat_template_kwargs")
                    .bool("enable_thinking", on);
            }
            Switch::None
            | Switch::ThinkingType
            | Switch::EnableThinking
            | Switch::TemplateKwargs
            | Switch::Reasoning => {}
        }
    }

    /// One object holds all of it, and what the caller's own object held besides.
    fn write_reasoning(&self, object: &mut Object<'_>, request: &Request) {
        let own: Vec<_> = request
            .extra
            .of(DialectId::Chat)
            .filter_map(|(key, json)| Some((key.strip_prefix("reasoning.")?, json)))
            .collect();
        if self.on.is_none() && own.is_empty() {
            return;
        }
        let mut reasoning = object.object("reasoning");
        match (self.on, self.effort, self.budget) {
            (Some(false), ..) => reasoning.bool("enabled", false),
            (Some(true), Some(effort), _) => reasoning.string("effort", effort.name()),
            (Some(true), None, Some(budget)) => reasoning.u64("max_tokens", budget),
            (Some(true), None, None) => reasoning.bool("enabled", true),
            (None, ..) => {}
        }
        if self.hide && self.on == Some(true) {
            reasoning.bool("exclude", true);
        }
        for (key, json) in own {
            reasoning.raw(key, json);
        }
    }
}

/// The level to send; `None` leaves it to the model.
pub(crate) fn effort(
    reasoning: &Reasoning,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Option<Effort> {
    let wanted = if reasoning.enabled == Some(false) {
        Effort::None
    } else {
        let of_budget = reasoning.budget.map(Effort::from_budget);
        // On, without a level: the model's own default.
        reasoning.effort.or(of_budget)?
    };
    if !target.quirks.reasoning_effort {
        losses.setting(Setting::Reasoning, "dropped: the model has no such setting");
        return None;
    }
    Some(clamp(wanted, target, losses))
}

/// The level nearest to `wanted` that the model knows: the next lower one, else the lowest. Thinking is not turned off by it.
fn clamp(wanted: Effort, target: &Target<'_>, losses: &mut Losses) -> Effort {
    let known = target.quirks.efforts.iter();
    let known: Vec<Effort> = known
        .filter_map(|name| Effort::from_name(name))
        .filter(|effort| *effort != Effort::None || wanted == Effort::None)
        .collect();
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
    sent
}
