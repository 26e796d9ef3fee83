//! Limits, as they are written with organizations, projects, users and keys.

use std::path::Path;

use lingate_catalog::nano_dollars;
use lingate_metering::Id;
use lingate_metering::limit::{
    Each, Enforcement, Limit, Measure, Raise, Unit, Unpriced, Window, Zone, contradictions,
};

use crate::Environment;
use crate::date::moment;
use crate::layout::LIMITS;
use crate::overlay::Overlay;
use crate::place::{Problems, Source, did_you_mean};
use crate::read::{Reader, Value, duration};
use crate::tree::{self, Data};

const MEASURES: [Measure; 7] = [
    Measure::Requests,
    Measure::InputTokens,
    Measure::OutputTokens,
    Measure::Tokens,
    Measure::Images,
    Measure::Cost,
    Measure::Concurrency,
];

/// Reads a text that holds nothing but limits: a list as it stands below `limits`, with or without that key above it. `name` is what
/// places in it are called; `owner` is whose they are, as in [`Id::declared`].
pub fn limits(text: &str, name: &str, owner: &[&str]) -> Result<Vec<Limit>, Problems> {
    let root = tree::parse(text, &Source::file(name)).map_err(Problems)?;
    let environment = Environment::default();
    let overlay = Overlay::default();
    let mut reader = Reader::new(&environment, Path::new("."), &overlay);
    let list = match (&root.data, root.get("limits")) {
        (Data::Map(entries), Some(list)) if entries.len() == 1 => list,
        _ => &root,
    };
    let said = reader.read(list, &LIMITS, "");
    let limits = reader.limits(said.as_ref(), owner);
    if reader.problems.is_empty() {
        Ok(limits)
    } else {
        Err(Problems(reader.problems))
    }
}

impl Reader<'_> {
    /// The limits of whoever is named by `owner`, as in [`Id::declared`]. What is wrong with one becomes a problem, and it is left out.
    pub(crate) fn limits(&mut self, said: Option<&Value>, owner: &[&str]) -> Vec<Limit> {
        let said = said.map(Value::items).unwrap_or_default();
        let (mut limits, mut written) = (Vec::new(), Vec::new());
        for value in said {
            if let Some(limit) = self.limit(value, owner) {
                limits.push(limit);
                written.push(value);
            }
        }
        for contradiction in contradictions(&limits) {
            let Some(value) = written.get(contradiction.limit) else {
                continue;
            };
            let at = value.get(contradiction.field).unwrap_or(value);
            // Places in the list are places among those that could be read, which are all of them unless more is wrong.
            let (place, path) = (at.place.clone(), at.path.clone());
            if !self.told(&path) {
                self.problem(&place, &path, contradiction.message);
            }
        }
        limits
    }

    fn limit(&mut self, said: &Value, owner: &[&str]) -> Option<Limit> {
        let problems = self.problems.len();
        let (measure, amount) = self.amount(said)?;
        let zone = self.limit_zone(said);
        let window = self.window(said, measure, zone.as_ref());
        let raise = said
            .get("raise")
            .and_then(|raise| self.raise(raise, measure, zone.as_ref()));
        let text = |name: &str| said.get(name).and_then(Value::text).map(str::to_owned);
        let mut each: Vec<Each> = Vec::new();
        let words = said.get("each").map(Value::items).unwrap_or_default();
        for word in words.iter().filter_map(Value::text) {
            each.push(match word {
                "end_user" => Each::EndUser,
                "model" => Each::Model,
                _ => Each::Provider,
            });
        }
        each.sort_unstable();
        let shares = said.get("thresholds").map(Value::items).unwrap_or_default();
        let mut thresholds: Vec<u8> = shares
            .iter()
            .filter_map(|share| u8::try_from(share.number()?).ok())
            .collect();
        thresholds.sort_unstable();
        if self.problems.len() > problems {
            return None;
        }
        if amount == 0 {
            let message = format!("`{}: 0` allows nothing at all", measure.name());
            let at = said.get(measure.name()).unwrap_or(said);
            self.note(&at.place, &at.path, message);
        }
        let mut limit = Limit {
            id: Id::from_u128(0),
            name: text("name"),
            measure,
            amount,
            window: window?,
            model: text("model"),
            provider: text("provider"),
            each,
            enforcement: match said.get("enforcement").and_then(Value::text) {
                Some("soft") => Enforcement::Soft,
                Some("shadow") => Enforcement::Shadow,
                _ => Enforcement::Hard,
            },
            thresholds,
            downgrade: text("downgrade"),
            raise,
            unpriced: match said.get("unpriced").and_then(Value::text) {
                Some("refuse") => Unpriced::Refuse,
                _ => Unpriced::Allow,
            },
        };
        limit.id = id(&limit, owner);
        Some(limit)
    }

    /// The one measure that a limit is of.
    fn amount(&mut self, said: &Value) -> Option<(Measure, u64)> {
        let mut named = MEASURES
            .into_iter()
            .filter_map(|measure| Some((measure, said.get(measure.name())?)));
        let Some((measure, value)) = named.next() else {
            if !self.told(&said.path) {
                let all = MEASURES.map(|measure| format!("`{}`", measure.name()));
                let message = format!("a limit needs an amount of one of {}", all.join(", "));
                self.problem(&said.place, &said.path, message);
            }
            return None;
        };
        if let Some((second, other)) = named.next() {
            let message = format!(
                "a limit is of one measure, and this one has `{}` and `{}`: make it two limits",
                measure.name(),
                second.name()
            );
            self.problem(&other.place, &said.path, message);
            return None;
        }
        let amount = match measure {
            Measure::Cost => value.dollars(),
            Measure::Requests
            | Measure::InputTokens
            | Measure::OutputTokens
            | Measure::Tokens
            | Measure::Images
            | Measure::Concurrency => value.number(),
        };
        Some((measure, amount?))
    }

    fn limit_zone(&mut self, said: &Value) -> Option<Zone> {
        let value = said.get("zone")?;
        match Zone::named(value.text()?) {
            Ok(zone) => Some(zone),
            Err(bad) => {
                self.problem(&value.place, &value.path, bad.to_string());
                None
            }
        }
    }

    /// `None`: a problem says why.
    fn window(&mut self, said: &Value, measure: Measure, zone: Option<&Zone>) -> Option<Window> {
        let per = said.get("per");
        let kind = said.get("window").and_then(Value::text);
        let mut wrong = |name: &str, message: String| {
            let at = said.get(name).unwrap_or(said);
            self.problem(&at.place, &at.path, message);
        };
        if measure == Measure::Concurrency {
            for name in ["per", "window", "zone"] {
                if said.get(name).is_some() {
                    wrong(
                        name,
                        "`concurrency` counts what is under way now, and has no window".to_owned(),
                    );
                }
            }
            return Some(Window::Now);
        }
        let Some(per) = per.and_then(Value::text) else {
            let message = format!(
                "`{}` needs `per`: `minute`, `day`, `total` …",
                measure.name()
            );
            wrong("", message);
            return None;
        };
        let word = per.to_ascii_lowercase();
        if word == "total" {
            for name in ["window", "zone"] {
                if said.get(name).is_some() {
                    wrong(name, "what is limited in total has no window".to_owned());
                }
            }
            return Some(Window::Total);
        }
        let unit = Unit::ALL.into_iter().find(|unit| unit.name() == word);
        let calendar = match (kind, unit) {
            (Some("calendar"), _) => true,
            (Some(_), _) | (None, None) => false,
            (None, Some(unit)) => match unit {
                Unit::Second | Unit::Minute | Unit::Hour => false,
                Unit::Day | Unit::Week | Unit::Month | Unit::Year => true,
            },
        };
        if !calendar && said.get("zone").is_some() {
            wrong(
                "zone",
                "matters to calendar windows only, and this one slides: add `window: calendar`, or leave it out".to_owned(),
            );
        }
        match (unit, calendar) {
            (Some(unit), true) => Some(Window::Calendar {
                unit,
                zone: zone.cloned().unwrap_or_else(Zone::utc),
            }),
            (Some(unit), false) => {
                let length = seconds(unit);
                if length.is_none() {
                    let message = format!(
                        "a {word} is not always of the same length and cannot slide: give a length such as `30d`, or `window: calendar`"
                    );
                    wrong("window", message);
                }
                length.map(Window::Sliding)
            }
            (None, calendar) => {
                let Some(length) = duration(per).filter(|_| !per.starts_with('+')) else {
                    let units = Unit::ALL.map(Unit::name);
                    let meant = did_you_mean(per, units.into_iter().chain(["total"]));
                    let message = format!(
                        "expected one of {}, total, or a length such as 5m{meant}",
                        units.join(", ")
                    );
                    wrong("per", message);
                    return None;
                };
                if calendar {
                    let message = "a length has no place in the calendar: `per: minute`, `day`, `month` … have one";
                    wrong("window", message.to_owned());
                }
                let whole = u32::try_from(length.as_secs()).ok();
                let whole = whole.filter(|_| length.subsec_nanos() == 0);
                if whole.is_none() {
                    wrong("per", "a window is whole seconds long".to_owned());
                }
                whole.map(Window::Sliding)
            }
        }
    }

    fn raise(&mut self, said: &Value, measure: Measure, zone: Option<&Zone>) -> Option<Raise> {
        let amount = said.get("amount").and_then(|amount| {
            let text = amount.text()?;
            let read = match measure {
                Measure::Cost => nano_dollars(text).map_err(|error| error.to_string()),
                Measure::Requests
                | Measure::InputTokens
                | Measure::OutputTokens
                | Measure::Tokens
                | Measure::Images
                | Measure::Concurrency => {
                    let number = text.replace('_', "").parse();
                    number.map_err(|_| "expected a whole number".to_owned())
                }
            };
            read.map_err(|message| self.problem(&amount.place, &amount.path, message))
                .ok()
        });
        let zone = zone.cloned().unwrap_or_else(Zone::utc);
        let until = said.get("until").and_then(|until| {
            let at = moment(until.text()?, zone.rules());
            if at.is_none() {
                let message =
                    "expected a date or a moment, such as 2027-01-01 or 2027-01-01T18:00:00+01:00";
                self.problem(&until.place, &until.path, message);
            }
            at
        });
        let (Some(amount), Some(until)) = (amount, until) else {
            if !self.told(&said.path) {
                let message = "a raise needs `amount` and `until`";
                self.problem(&said.place, &said.path, message);
            }
            return None;
        };
        Some(Raise { amount, until })
    }
}

/// `None`: it is not always of the same length.
fn seconds(unit: Unit) -> Option<u32> {
    match unit {
        Unit::Second => Some(1),
        Unit::Minute => Some(60),
        Unit::Hour => Some(3_600),
        Unit::Day => Some(86_400),
        Unit::Week => Some(7 * 86_400),
        Unit::Month | Unit::Year => None,
    }
}

/// Of a limit with a name, the name; of one without, all that tells it from those beside it. Never the amount, so that changing it
/// forgets nothing.
fn id(limit: &Limit, owner: &[&str]) -> Id {
    let mut path = vec!["limit"];
    path.extend(owner);
    if let Some(name) = &limit.name {
        path.extend(["named", name]);
        return Id::declared(&path);
    }
    let window = match &limit.window {
        Window::Sliding(seconds) => format!("{seconds} s"),
        Window::Calendar { unit, zone } => format!("{} {}", unit.name(), zone.name()),
        Window::Total => "total".to_owned(),
        Window::Now => "now".to_owned(),
    };
    let each: Vec<&str> = limit.each.iter().map(|each| each.name()).collect();
    let each = each.join(" ");
    let enforcement = match limit.enforcement {
        Enforcement::Hard => "hard",
        Enforcement::Soft => "soft",
        Enforcement::Shadow => "shadow",
    };
    path.extend([limit.measure.name(), &window, &each, enforcement]);
    for only in [&limit.model, &limit.provider, &limit.downgrade] {
        path.push(only.as_deref().unwrap_or_default());
    }
    Id::declared(&path)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::environment::Environment;
    use crate::layout::limits::LIMITS;
    use crate::place::Source;
    use crate::tree;

    /// What is read, and what is said about it.
    fn read(text: &str) -> (Vec<Limit>, Vec<String>) {
        let node = tree::parse(text, &Source::file("f")).unwrap();
        let environment = Environment::default();
        let overlay = Overlay::default();
        let mut reader = Reader::new(&environment, Path::new("."), &overlay);
        let value = reader.read(&node, &LIMITS, "limits");
        let limits = reader.limits(value.as_ref(), &["key", "a"]);
        let problems = reader.problems.iter().map(ToString::to_string);
        let said = problems.chain(reader.notes.iter().map(ToString::to_string));
        (limits, said.collect())
    }

    /// A limit in one line: amount, measure, window and all that is not usual.
    fn shown(limit: &Limit) -> String {
        let window = match &limit.window {
            Window::Sliding(seconds) => format!("sliding {seconds}"),
            Window::Calendar { unit, zone } => format!("calendar {} {}", unit.name(), zone.name()),
            Window::Total => "total".to_owned(),
            Window::Now => "now".to_owned(),
        };
        let mut shown = format!("{} {} {window}", limit.amount, limit.measure.name());
        for (name, text) in [
            ("model", &limit.model),
            ("provider", &limit.provider),
            ("downgrade", &limit.downgrade),
            ("name", &limit.name),
        ] {
            if let Some(text) = text {
                shown = format!("{shown} {name}={text}");
            }
        }
        for each in &limit.each {
            shown = format!("{shown} each {}", each.name());
        }
        if limit.enforcement != Enforcement::Hard {
            shown = format!("{shown} {:?}", limit.enforcement);
        }
        if !limit.thresholds.is_empty() {
            shown = format!("{shown} {:?}", limit.thresholds);
        }
        if limit.unpriced == Unpriced::Refuse {
            shown = format!("{shown} nothing unpriced");
        }
        if let Some(raise) = limit.raise {
            shown = format!("{shown} raised to {} until {}", raise.amount, raise.until);
        }
        shown
    }

    fn check(text: &str, limits: &[&str], said: &[&str]) {
        let (found, told) = read(text);
        let found: Vec<String> = found.iter().map(shown).collect();
        assert_eq!(found, limits, "{text}");
        assert_eq!(told, said, "{text}");
    }

    #[test]
    fn limits_are_read() {
        for (text, expect) in [
            ("{requests: 600, per: minute}", "600 requests sliding 60"),
            ("{requests: 1_000, per: Hour}", "1000 requests sliding 3600"),
            ("{requests: 5, per: 5m}", "5 requests sliding 300"),
            ("{requests: 5, per: 1h30m}", "5 requests sliding 5400"),
            ("{requests: 5, per: 30d}", "5 requests sliding 2592000"),
            (
                "{tokens: 1000000, per: day}",
                "1000000 tokens calendar day UTC",
            ),
            (
                "{tokens: 9, per: day, window: sliding}",
                "9 tokens sliding 86400",
            ),
            (
                "{tokens: 9, per: week, zone: europe/berlin}",
                "9 tokens calendar week Europe/Berlin",
            ),
            (
                "{images: 9, per: minute, window: calendar, zone: Asia/Kolkata}",
                "9 images calendar minute Asia/Kolkata",
            ),
            (
                "{cost: 12.5, per: month, zone: Asia/Shanghai, thresholds: [100, 50, 80], downgrade: gpt-4o-mini}",
                "12500000000 cost calendar month Asia/Shanghai downgrade=gpt-4o-mini [50, 80, 100]",
            ),
            (
                "{cost: 0.000000001, per: total, enforcement: soft}",
                "1 cost total Soft",
            ),
            (
                "{cost: 9007199.254740991, per: year}",
                "9007199254740991 cost calendar year UTC",
            ),
            (
                "{input_tokens: 1, per: second, provider: openai, enforcement: shadow}",
                "1 input_tokens sliding 1 provider=openai Shadow",
            ),
            (
                "{output_tokens: 1, per: total, model: \"claude-*\", each: [model, end_user], name: x}",
                "1 output_tokens total model=claude-* name=x each end_user each model",
            ),
            ("{concurrency: 5}", "5 concurrency now"),
            (
                "{cost: 1, per: total, unpriced: refuse}",
                "1000000000 cost total nothing unpriced",
            ),
            (
                "{cost: 1, per: total, unpriced: allow}",
                "1000000000 cost total",
            ),
            (
                "{requests: 1, per: day, raise: {amount: 2, until: 2027-01-01}}",
                "1 requests calendar day UTC raised to 2 until 1798761600000",
            ),
            (
                "{cost: 1, per: day, zone: Asia/Shanghai, raise: {amount: 1.5, until: 2027-01-01}}",
                "1000000000 cost calendar day Asia/Shanghai raised to 1500000000 until 1798732800000",
            ),
        ] {
            check(&format!("[{text}]"), &[expect], &[]);
            // One limit in place of a list of one.
            check(text, &[expect], &[]);
        }
        check("[]", &[], &[]);
        check(
            "[{concurrency: 0}]",
            &["0 concurrency now"],
            &["f:1:16: limits.0.concurrency: `concurrency: 0` allows nothing at all"],
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expect) in [
            (
                "{per: minute}",
                "f:1:2: limits.0: a limit needs an amount of one of `requests`, `input_tokens`, `output_tokens`, `tokens`, `images`, `cost`, `concurrency`",
            ),
            (
                "{requests: 1, tokens: 2, per: day}",
                "f:1:24: limits.0: a limit is of one measure, and this one has `requests` and `tokens`: make it two limits",
            ),
            (
                "{requests: 1}",
                "f:1:2: limits.0: `requests` needs `per`: `minute`, `day`, `total` …",
            ),
            (
                "{requests: -1, per: day}",
                "f:1:13: limits.0.requests: expected a whole number from 0 to 1000000000000000000",
            ),
            (
                "{requests: 1.5, per: day}",
                "f:1:13: limits.0.requests: expected a whole number from 0 to 1000000000000000000",
            ),
            (
                "{cost: 1000000000.000000001, per: day}",
                "f:1:9: limits.0.cost: is more than $1000000000, which is the most that is counted exactly",
            ),
            (
                "{requests: 1, per: months}",
                "f:1:21: limits.0.per: expected one of second, minute, hour, day, week, month, year, total, or a length such as 5m; did you mean `month`?",
            ),
            (
                "{requests: 1, per: 0s}",
                "f:1:21: limits.0.per: expected one of second, minute, hour, day, week, month, year, total, or a length such as 5m",
            ),
            (
                "{requests: 1, per: 1500ms}",
                "f:1:21: limits.0.per: a window is whole seconds long",
            ),
            (
                "{requests: 1, per: 5m, window: calendar}",
                "f:1:33: limits.0.window: a length has no place in the calendar: `per: minute`, `day`, `month` … have one",
            ),
            (
                "{requests: 1, per: month, window: sliding}",
                "f:1:36: limits.0.window: a month is not always of the same length and cannot slide: give a length such as `30d`, or `window: calendar`",
            ),
            (
                "{requests: 1, per: minute, zone: Asia/Shanghai}",
                "f:1:35: limits.0.zone: matters to calendar windows only, and this one slides: add `window: calendar`, or leave it out",
            ),
            (
                "{requests: 1, per: day, zone: Berlin}",
                "f:1:32: limits.0.zone: `Berlin` is no time zone; expected an IANA name, such as Europe/Berlin or UTC",
            ),
            (
                "{requests: 1, per: total, zone: UTC}",
                "f:1:34: limits.0.zone: what is limited in total has no window",
            ),
            (
                "{concurrency: 1, per: minute}",
                "f:1:24: limits.0.per: `concurrency` counts what is under way now, and has no window",
            ),
            (
                "{requests: 1, per: day, thresholds: [101]}",
                "f:1:39: limits.0.thresholds.0: expected a whole number from 1 to 100",
            ),
            (
                "{requests: 1, per: day, thresholds: [50, 50]}",
                "f:1:38: limits.0.thresholds: must rise, each said once",
            ),
            (
                "{requests: 1, per: day, enforcement: soft, downgrade: b}",
                "f:1:56: limits.0.downgrade: nothing is ever asked of another model where nothing is refused: it is for `enforcement: hard`",
            ),
            (
                "{requests: 1, per: day, each: [user]}",
                "f:1:33: limits.0.each.0: expected one of end_user, model, provider",
            ),
            (
                "{requests: 1, per: day, raise: {amount: 2}}",
                "f:1:33: limits.0.raise: a raise needs `amount` and `until`",
            ),
            (
                "{requests: 1, per: day, raise: {amount: 2, until: soon}}",
                "f:1:52: limits.0.raise.until: expected a date or a moment, such as 2027-01-01 or 2027-01-01T18:00:00+01:00",
            ),
            (
                "{requests: 1, per: day, raise: {amount: 2.5, until: 2027-01-01}}",
                "f:1:42: limits.0.raise.amount: expected a whole number",
            ),
            (
                "{requests: 2, per: day, raise: {amount: 2, until: 2027-01-01}}",
                "f:1:33: limits.0.raise: is not above the amount that holds without it",
            ),
            (
                "{requests: 2, per: day, model: \"\"}",
                "f:1:26: limits.0.model: is empty, and so would narrow nothing down: give it a value, or leave it out",
            ),
            (
                "{request: 2, per: day}",
                "f:1:3: limits.0.request: unknown key; did you mean `requests`?",
            ),
        ] {
            let (_, said) = read(&format!("[{text}]"));
            assert_eq!(said, [expect], "{text}");
        }
    }

    #[test]
    fn a_changed_amount_keeps_the_id() {
        let ids = |text: &str| -> Vec<Id> { read(text).0.iter().map(|limit| limit.id).collect() };
        let same = |one: &str, other: &str| ids(one) == ids(other);
        assert!(same(
            "[{requests: 1, per: day}]",
            "[{requests: 2, per: day, thresholds: [50]}]"
        ));
        assert!(same(
            "[{requests: 1, per: day, name: a}]",
            "[{requests: 1, per: day, model: x, name: a}]"
        ));
        for other in [
            "[{tokens: 1, per: day}]",
            "[{requests: 1, per: hour}]",
            "[{requests: 1, per: day, zone: Asia/Shanghai}]",
            "[{requests: 1, per: day, model: x}]",
            "[{requests: 1, per: day, provider: x}]",
            "[{requests: 1, per: day, each: [end_user]}]",
            "[{requests: 1, per: day, enforcement: soft}]",
            "[{requests: 1, per: day, name: a}]",
        ] {
            assert!(!same("[{requests: 1, per: day}]", other), "{other}");
        }
    }
}
