//! Limits in words, as people read them.

use lingate_metering::Money;
use lingate_metering::limit::{Each, Enforcement, Limit, Measure, Unit, Window};
use serde_json::{Value, json};

/// `None`: it is not the JSON of a limit.
pub(super) fn of_json(limit: &Value) -> Option<String> {
    limit.get("enforcement")?;
    let limits = lingate_config::limits_of_json(&json!([limit]), &[]).ok()?;
    limits.first().map(in_words)
}

fn dollars(nano: u64) -> String {
    Money::from_nano(i64::try_from(nano).unwrap_or(i64::MAX)).to_string()
}

/// `600 requests per minute, for gpt-*`
fn in_words(limit: &Limit) -> String {
    let amount = limit.amount;
    let mut words = match limit.measure {
        Measure::Requests => format!("{amount} requests"),
        Measure::InputTokens => format!("{amount} input tokens"),
        Measure::OutputTokens => format!("{amount} output tokens"),
        Measure::Tokens => format!("{amount} tokens"),
        Measure::Images => format!("{amount} images"),
        Measure::Cost => format!("{} dollars", dollars(amount)),
        Measure::Concurrency => format!("{amount} at once"),
    };
    let mut say = |more: &str| words.push_str(more);
    match &limit.window {
        Window::Sliding(seconds) => {
            let units = [
                (86_400, "day"),
                (3_600, "hour"),
                (60, "minute"),
                (1, "second"),
            ];
            let unit = units.iter().find(|(unit, _)| seconds % unit == 0);
            match unit {
                Some((unit, name)) if seconds == unit => say(&format!(" per {name}")),
                Some((unit, name)) => say(&format!(" per {} {name}s", seconds / unit)),
                None => say(&format!(" per {seconds} seconds")),
            }
        }
        Window::Calendar { unit, zone } => {
            let unit = match unit {
                Unit::Second => "second",
                Unit::Minute => "minute",
                Unit::Hour => "hour",
                Unit::Day => "day",
                Unit::Week => "week",
                Unit::Month => "month",
                Unit::Year => "year",
            };
            say(&format!(" per calendar {unit}"));
            if zone.name() != "UTC" {
                say(&format!(" in {}", zone.name()));
            }
        }
        Window::Total => say(" in all"),
        Window::Now => {}
    }
    for each in &limit.each {
        say(match each {
            Each::EndUser => ", for each end user",
            Each::Model => ", for each model",
            Each::Provider => ", for each provider",
        });
    }
    if let Some(model) = &limit.model {
        say(&format!(", for {model}"));
    }
    if let Some(provider) = &limit.provider {
        say(&format!(", at {provider}"));
    }
    match limit.enforcement {
        Enforcement::Hard => {}
        Enforcement::Soft => say(", soft"),
        Enforcement::Shadow => say(", shadow"),
    }
    if let Some(model) = &limit.downgrade {
        say(&format!(", then {model}"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_sentences() {
        let check = |limit: Value, expect: Option<&str>| {
            assert_eq!(of_json(&limit).as_deref(), expect, "{limit}");
        };
        check(
            json!({"requests": 60, "per": "1m", "window": "sliding", "enforcement": "hard"}),
            Some("60 requests per minute"),
        );
        check(
            json!({"cost": "2.5", "per": "month", "zone": "Asia/Shanghai", "enforcement": "soft"}),
            Some("2.5 dollars per calendar month in Asia/Shanghai, soft"),
        );
        check(
            json!({"concurrency": 5, "enforcement": "hard", "model": "gpt-*"}),
            Some("5 at once, for gpt-*"),
        );
        check(json!({"name": "a"}), None);
    }
}
