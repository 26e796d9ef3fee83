//! Organizations, projects, users and keys as they are told: as JSON, and of it the lines that people read.

use lingate_metering::limit::{Each, Enforcement, Limit, Measure, Unit, Window};
use lingate_metering::tenant::{ApiKey, KeyKind, Organization, Project, Rules, User, UserKind};
use lingate_metering::{Millis, Money};
use serde_json::{Map, Value, json};

use super::names::Names;
use super::{Found, Named};
use crate::table::Table;
use crate::when;

/// What is told of a thing besides what all things have.
pub(crate) trait Told: Named {
    /// Its whole name, `acme/web/laptop`.
    fn path(&self, names: &Names) -> String;

    fn tell(&self, names: &Names, now: Millis, into: &mut Map<String, Value>);
}

/// All that is known of it, without secrets.
pub(crate) fn tell<T: Told>(found: &Found<T>, names: &Names, now: Millis) -> Value {
    let value = found.value();
    let mut told = Map::new();
    told.insert("name".to_owned(), json!(value.path(names)));
    told.insert("id".to_owned(), json!(value.id()));
    value.tell(names, now, &mut told);
    rules(value.rules(), &mut told);
    match found {
        Found::Declared(_) => {
            told.insert("from".to_owned(), json!("configuration"));
        }
        Found::Stored(stored) => {
            told.insert("from".to_owned(), json!("store"));
            told.insert("revision".to_owned(), json!(stored.revision));
            let times = [
                ("created_at", stored.created_at),
                ("updated_at", stored.updated_at),
            ];
            for (name, time) in times {
                told.insert(name.to_owned(), json!(when::shown(time)));
            }
        }
    }
    Value::Object(told)
}

impl Told for Organization {
    fn path(&self, _: &Names) -> String {
        self.name.clone()
    }

    fn tell(&self, _: &Names, _: Millis, _: &mut Map<String, Value>) {}
}

impl Told for Project {
    fn path(&self, names: &Names) -> String {
        format!("{}/{}", names.of(self.organization), self.name)
    }

    fn tell(&self, names: &Names, _: Millis, into: &mut Map<String, Value>) {
        let organization = names.of(self.organization);
        into.insert("organization".to_owned(), json!(organization));
    }
}

impl Told for User {
    fn path(&self, names: &Names) -> String {
        format!("{}/{}", names.of(self.organization), self.name)
    }

    fn tell(&self, names: &Names, _: Millis, into: &mut Map<String, Value>) {
        let organization = names.of(self.organization);
        into.insert("organization".to_owned(), json!(organization));
        let kind = match self.kind {
            UserKind::Person => "person",
            UserKind::ServiceAccount => "service_account",
        };
        into.insert("kind".to_owned(), json!(kind));
    }
}

impl Told for ApiKey {
    fn path(&self, names: &Names) -> String {
        format!("{}/{}", names.of(self.project), self.name)
    }

    fn tell(&self, names: &Names, now: Millis, into: &mut Map<String, Value>) {
        let mut put = |name: &str, value: Value| {
            into.insert(name.to_owned(), value);
        };
        let expired = self.expires_at.is_some_and(|at| at <= now);
        let state = match (self.rules.blocked, expired) {
            (true, _) => "blocked",
            (false, true) => "expired",
            (false, false) => "active",
        };
        put("state", json!(state));
        put("project", json!(names.of(self.project)));
        if let Some(user) = self.user {
            put("user", json!(names.of(user)));
        }
        if let Some(kind) = self.kind {
            let kind = match kind {
                KeyKind::Inference => "inference",
                KeyKind::Management => "management",
                KeyKind::ReadOnly => "read_only",
            };
            put("kind", json!(kind));
        }
        // What no hint is kept of is a short text from the configuration.
        let secrets = self.secrets.iter().map(|secret| {
            let mut told = json!({"ends_in": secret.hint});
            if let Some(at) = secret.expires_at {
                told["expires_at"] = json!(when::shown(at));
            }
            told
        });
        put("secrets", secrets.collect());
        if let Some(at) = self.expires_at {
            put("expires_at", json!(when::shown(at)));
        }
        let lists = [("tags", &self.tags), ("doors", &self.doors)];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            put(name, json!(list));
        }
        if !self.addresses.is_empty() {
            let addresses = self.addresses.iter().map(ToString::to_string);
            put("addresses", addresses.collect());
        }
        if !self.model_map.is_empty() {
            let map = self.model_map.iter();
            let map: Map<String, Value> = map.map(|(from, to)| (from.clone(), json!(to))).collect();
            put("model_map", Value::Object(map));
        }
    }
}

fn rules(rules: &Rules, into: &mut Map<String, Value>) {
    let Rules {
        blocked,
        allow_models,
        deny_models,
        limits,
        plan,
    } = rules;
    into.insert("blocked".to_owned(), json!(blocked));
    let lists = [("models", allow_models), ("deny_models", deny_models)];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        into.insert(name.to_owned(), json!(list));
    }
    if !limits.is_empty() {
        let limits = limits.iter().map(limit);
        into.insert("limits".to_owned(), limits.collect());
    }
    if let Some(plan) = plan {
        into.insert("plan".to_owned(), json!(plan));
    }
}

/// A limit with its amount as people write it.
fn limit(limit: &Limit) -> Value {
    let mut told = json!(limit);
    told["amount"] = match limit.measure {
        Measure::Cost => json!(dollars(limit.amount)),
        Measure::Requests
        | Measure::InputTokens
        | Measure::OutputTokens
        | Measure::Tokens
        | Measure::Images
        | Measure::Concurrency => json!(limit.amount),
    };
    told["reads"] = json!(in_words(limit));
    told
}

pub(crate) fn dollars(nano: u64) -> String {
    Money::from_nano(i64::try_from(nano).unwrap_or(i64::MAX)).to_string()
}

/// `600 requests per minute, for gpt-*`
pub(crate) fn in_words(limit: &Limit) -> String {
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

/// What is told of one thing, a line for each.
pub(crate) fn lines(told: &Value) -> Vec<String> {
    let mut table = Table::default();
    let fields = told.as_object().into_iter().flatten();
    for (name, value) in fields {
        let name = name.replace('_', " ");
        match value {
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    let name = if place == 0 { name.as_str() } else { "" };
                    table.row([name.to_owned(), text(item)]);
                }
            }
            Value::Object(map) => {
                for (place, (key, value)) in map.iter().enumerate() {
                    let name = if place == 0 { name.as_str() } else { "" };
                    table.row([name.to_owned(), format!("{key} → {}", text(value))]);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                table.row([name, text(value)]);
            }
        }
    }
    table.lines("")
}

pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            if let Some(reads) = map.get("reads") {
                return text(reads);
            }
            if let Some(hint) = map.get("ends_in") {
                let until = map.get("expires_at").map(text);
                let until = until.map_or_else(String::new, |until| format!(" until {until}"));
                return format!("…{}{until}", text(hint));
            }
            Value::Object(map.clone()).to_string()
        }
    }
}

/// A table of these fields of each.
pub(crate) fn table(columns: &[&str], all: &[Value]) -> Vec<String> {
    let mut table = Table::default();
    table.row(
        columns
            .iter()
            .map(|name| name.replace('_', " ").to_uppercase()),
    );
    for told in all {
        table.row(columns.iter().map(|name| match (*name, &told[*name]) {
            ("limits", Value::Array(limits)) if limits.len() > 1 => {
                format!("{} limits", limits.len())
            }
            ("blocked", Value::Bool(false)) | (_, Value::Null) => "-".to_owned(),
            (_, value) => text(value),
        }));
    }
    table.lines("")
}
