//! Limits that cannot be meant: by themselves, or beside each other.

use std::fmt;

use lingate_catalog::glob;

use super::refusal::shown;
use super::window::LONGEST_SLIDING;
use super::{Each, Enforcement, Limit, Measure, Unpriced, Window};
use crate::counter::MOST;

/// What is wrong with a limit of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// Its place in the list.
    pub limit: usize,
    /// The field at fault, as the configuration calls it; empty: all of it.
    pub field: &'static str,
    pub message: String,
}

/// `limits.0.raise: …`
impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limits.{}", self.limit)?;
        if !self.field.is_empty() {
            write!(f, ".{}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All that is wrong with the limits of one key, user, project or organization.
pub fn contradictions(limits: &[Limit]) -> Vec<Contradiction> {
    let mut found = Vec::new();
    for (place, limit) in limits.iter().enumerate() {
        alone(limit, &mut |field, message: String| {
            found.push(Contradiction {
                limit: place,
                field,
                message,
            });
        });
        let earlier = limits.iter().take(place).enumerate();
        for (other, earlier) in earlier {
            let mut with = |field, message: &str| {
                found.push(Contradiction {
                    limit: place,
                    field,
                    message: format!("{message} limits.{other}"),
                });
            };
            if limit.name.is_some() && limit.name == earlier.name {
                with("name", "is also the name of");
            } else if is_same(limit, earlier) {
                with(
                    "",
                    "limits the same in the same time as another one, so that the larger amount would never be reached: see",
                );
            } else if limit.id == earlier.id {
                with("id", "is also the id of");
            }
        }
    }
    found.extend(circles(limits));
    found
}

fn alone(limit: &Limit, wrong: &mut dyn FnMut(&'static str, String)) {
    let Limit {
        id: _,
        name,
        measure,
        amount,
        window,
        model,
        provider,
        each,
        enforcement,
        thresholds,
        downgrade,
        raise,
        unpriced,
    } = limit;
    let too_much = || {
        let most = shown(*measure, MOST);
        format!("is more than {most}, which is the most that is counted exactly")
    };
    if *amount > MOST {
        wrong(measure.name(), too_much());
    }
    match (measure, window) {
        (Measure::Concurrency, Window::Now) => {
            if !thresholds.is_empty() {
                wrong("thresholds", "there is no window in which a share of what is under way could be reached once".to_owned());
            }
        }
        (Measure::Concurrency, _) => wrong(
            "per",
            "`concurrency` counts what is under way now, and has no window".to_owned(),
        ),
        (_, Window::Now) => wrong("per", format!("`{}` needs a window", measure.name())),
        (_, Window::Sliding(seconds)) if !(1..=LONGEST_SLIDING).contains(seconds) => {
            wrong(
                "per",
                "a window that slides is from 1 s to 366 d long".to_owned(),
            );
        }
        (_, Window::Sliding(_) | Window::Calendar { .. } | Window::Total) => {}
    }
    for (field, text) in [
        ("name", name),
        ("model", model),
        ("provider", provider),
        ("downgrade", downgrade),
    ] {
        if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
            wrong(field, "is empty".to_owned());
        }
    }
    if thresholds
        .iter()
        .any(|percent| !(1..=100).contains(percent))
    {
        wrong("thresholds", "are percent, from 1 to 100".to_owned());
    } else if !thresholds.is_sorted_by(|one, next| one < next) {
        wrong("thresholds", "must rise, each said once".to_owned());
    }
    if !each.is_sorted_by(|one, next| one < next) {
        wrong("each", "says one thing twice, or not in order".to_owned());
    }
    if *unpriced == Unpriced::Refuse {
        if *measure != Measure::Cost {
            wrong("unpriced", "matters to limits of `cost` only".to_owned());
        } else if *enforcement != Enforcement::Hard {
            wrong(
                "unpriced",
                "a limit refuses what has no price only where it is `hard`".to_owned(),
            );
        }
    }
    if provider.is_some() && each.contains(&Each::Provider) {
        wrong(
            "each",
            "there is one provider only, the one of `provider`".to_owned(),
        );
    }
    if let Some(raise) = raise {
        if raise.amount <= *amount {
            wrong(
                "raise",
                "is not above the amount that holds without it".to_owned(),
            );
        } else if raise.amount > MOST {
            wrong("raise", too_much());
        }
    }
    if let Some(to) = downgrade {
        match enforcement {
            Enforcement::Hard => {}
            Enforcement::Soft | Enforcement::Shadow => wrong(
                "downgrade",
                "nothing is ever asked of another model where nothing is refused: it is for `enforcement: hard`".to_owned(),
            ),
        }
        if model.as_ref() == Some(to) {
            wrong("downgrade", format!("`{to}` is the model that is limited"));
        }
        if limit.provider.is_some() || each.contains(&Each::Provider) {
            wrong(
                "downgrade",
                "where a provider's amount is used up, other providers are asked; no other model is".to_owned(),
            );
        }
    }
}

/// Whether only one of two limits would ever decide.
fn is_same(one: &Limit, other: &Limit) -> bool {
    one.measure == other.measure
        && one.window == other.window
        && one.model == other.model
        && one.provider == other.provider
        && one.each == other.each
        && one.enforcement == other.enforcement
        && one.downgrade == other.downgrade
}

/// Models that are asked instead of each other: once both are used up, nothing would be limited at all. A limit whose own model is
/// among those that it limits is a step of a ladder, and comes back to nothing.
fn circles(limits: &[Limit]) -> Vec<Contradiction> {
    let covers = |limit: &Limit, model: &str| {
        let pattern = limit.model.as_deref();
        pattern.is_some_and(|pattern| glob::matches(pattern, model))
    };
    let steps: Vec<(usize, &Limit, &str)> = limits
        .iter()
        .enumerate()
        .filter_map(|(place, limit)| Some((place, limit, limit.downgrade.as_deref()?)))
        .filter(|(_, limit, to)| !covers(limit, to))
        .collect();
    let mut found = Vec::new();
    for (place, limit, first) in &steps {
        let mut way = vec![*first];
        let mut next = 0;
        while let Some(model) = way.get(next).copied() {
            if covers(limit, model) {
                let message = format!("comes back to where it began: {}", way.join(" → "));
                found.push(Contradiction {
                    limit: *place,
                    field: "downgrade",
                    message,
                });
                break;
            }
            for (_, _, to) in steps.iter().filter(|(_, limit, _)| covers(limit, model)) {
                if !way.contains(to) {
                    way.push(to);
                }
            }
            next += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Id;

    /// Limits that all differ in id, given by what is not usual about them.
    fn check(limits: &Value, expect: &[&str]) {
        let limits: Vec<Limit> = limits
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(place, said)| {
                let mut limit = json!({
                    "id": Id::from_u128(place as u128),
                    "measure": "requests",
                    "amount": 10,
                    "window": {"sliding": 60},
                });
                for (key, value) in said.as_object().unwrap() {
                    limit[key] = value.clone();
                }
                serde_json::from_value(limit).unwrap()
            })
            .collect();
        let found: Vec<String> = contradictions(&limits)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn what_can_be_meant() {
        let day = json!({"calendar": {"unit": "day", "zone": "Europe/Berlin"}});
        check(
            &json!([
                {"amount": 0},
                {"amount": MOST, "window": day},
                {"window": day, "enforcement": "soft", "thresholds": [1, 50, 100]},
                {"measure": "concurrency", "window": "now"},
                {"measure": "cost", "window": "total", "raise": {"amount": 11, "until": 0}},
                {"window": {"sliding": LONGEST_SLIDING}},
            ]),
            &[],
        );
        // A ladder.
        check(
            &json!([
                {"measure": "cost", "window": day, "amount": 500, "downgrade": "b"},
                {"measure": "cost", "window": day, "amount": 600, "downgrade": "c"},
                {"measure": "cost", "window": day, "amount": 700},
            ]),
            &[],
        );
        check(
            &json!([
                {"model": "gpt-*", "downgrade": "gpt-mini"},
                {"model": "gpt-*", "measure": "cost", "downgrade": "gpt-nano"},
            ]),
            &[],
        );
    }

    #[test]
    fn what_cannot_be_meant() {
        check(
            &json!([
                {"amount": MOST + 1},
                {"measure": "concurrency", "window": {"sliding": 1}},
                {"measure": "concurrency", "window": "now", "thresholds": [50]},
                {"measure": "tokens", "window": "now"},
                {"window": {"sliding": 0}},
                {"window": {"sliding": LONGEST_SLIDING + 1}},
                {"window": {"sliding": 2}, "thresholds": [0, 50]},
                {"window": {"sliding": 3}, "thresholds": [50, 101]},
                {"window": {"sliding": 4}, "thresholds": [80, 50]},
                {"window": {"sliding": 5}, "thresholds": [50, 50]},
                {"window": {"sliding": 6}, "raise": {"amount": 10, "until": 0}},
                {"window": {"sliding": 7}, "raise": {"amount": MOST + 1, "until": 0}},
                {"window": {"sliding": 8}, "downgrade": "b", "enforcement": "soft"},
                {"window": {"sliding": 9}, "model": "b", "downgrade": "b"},
                {"window": {"sliding": 10}, "provider": "openai", "downgrade": "b"},
                {"window": {"sliding": 11}, "provider": "openai", "each": ["provider"]},
                {"window": {"sliding": 12}, "model": " "},
                {"window": {"sliding": 13}, "unpriced": "refuse"},
                {"window": "total", "measure": "cost", "unpriced": "refuse", "enforcement": "soft"},
            ]),
            &[
                "limits.0.requests: is more than 1000000000000000000 requests, which is the most that is counted exactly",
                "limits.1.per: `concurrency` counts what is under way now, and has no window",
                "limits.2.thresholds: there is no window in which a share of what is under way could be reached once",
                "limits.3.per: `tokens` needs a window",
                "limits.4.per: a window that slides is from 1 s to 366 d long",
                "limits.5.per: a window that slides is from 1 s to 366 d long",
                "limits.6.thresholds: are percent, from 1 to 100",
                "limits.7.thresholds: are percent, from 1 to 100",
                "limits.8.thresholds: must rise, each said once",
                "limits.9.thresholds: must rise, each said once",
                "limits.10.raise: is not above the amount that holds without it",
                "limits.11.raise: is more than 1000000000000000000 requests, which is the most that is counted exactly",
                "limits.12.downgrade: nothing is ever asked of another model where nothing is refused: it is for `enforcement: hard`",
                "limits.13.downgrade: `b` is the model that is limited",
                "limits.14.downgrade: where a provider's amount is used up, other providers are asked; no other model is",
                "limits.15.each: there is one provider only, the one of `provider`",
                "limits.16.model: is empty",
                "limits.17.unpriced: matters to limits of `cost` only",
                "limits.18.unpriced: a limit refuses what has no price only where it is `hard`",
            ],
        );
    }

    #[test]
    fn what_cannot_stand_together() {
        check(
            &json!([{}, {"amount": 20}, {"name": "a", "window": "total"}, {"name": "a"}]),
            &[
                "limits.1: limits the same in the same time as another one, so that the larger amount would never be reached: see limits.0",
                "limits.3: limits the same in the same time as another one, so that the larger amount would never be reached: see limits.0",
                "limits.3: limits the same in the same time as another one, so that the larger amount would never be reached: see limits.1",
                "limits.3.name: is also the name of limits.2",
            ],
        );
        check(
            &json!([
                {"model": "a", "downgrade": "b"},
                {"model": "b", "downgrade": "c"},
                {"model": "c", "downgrade": "a"},
                {"model": "d", "downgrade": "a"},
            ]),
            &[
                "limits.0.downgrade: comes back to where it began: b → c → a",
                "limits.1.downgrade: comes back to where it began: c → a → b",
                "limits.2.downgrade: comes back to where it began: a → b → c",
            ],
        );
    }
}
