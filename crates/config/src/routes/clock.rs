//! Times of the day as conditions.

use lingate_routing::TimeSpan;

use crate::place::did_you_mean;
use crate::read::{Reader, Value};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Minutes of a day.
const DAY: u16 = 24 * 60;

impl Reader<'_> {
    pub(super) fn times(&mut self, said: Option<&Value>) -> Vec<TimeSpan> {
        let mut times = Vec::new();
        for value in said.map(Value::items).unwrap_or_default() {
            if value.text().is_some() {
                let span = self.span(value);
                times.extend(span.map(|(from, to)| TimeSpan {
                    from,
                    to,
                    days: [true; 7],
                    zone: "UTC".to_owned(),
                }));
                continue;
            }
            let days = self.days(value.get("days"));
            let zone = self.zone(value.get("zone"));
            let between = value.get("between").map(Value::items).unwrap_or_default();
            let mut spans: Vec<(u16, u16)> = between
                .iter()
                .filter_map(|between| self.span(between))
                .collect();
            if between.is_empty() {
                if value.get("days").is_none() && !self.told(&value.path) {
                    let message = "expected `between` or `days`, or both";
                    self.problem(&value.place, &value.path, message);
                }
                spans.push((0, DAY));
            }
            times.extend(spans.into_iter().map(|(from, to)| TimeSpan {
                from,
                to,
                days,
                zone: zone.clone(),
            }));
        }
        times
    }

    fn span(&mut self, said: &Value) -> Option<(u16, u16)> {
        let span = span(said.text().unwrap_or_default());
        if span.is_none() {
            let message = "expected two times of the day that differ: 22:00-06:00";
            self.problem(&said.place, &said.path, message);
        }
        span
    }

    fn days(&mut self, said: Option<&Value>) -> [bool; 7] {
        let Some(said) = said else {
            return [true; 7];
        };
        let mut all = [false; 7];
        for value in said.items() {
            match days(value.text().unwrap_or_default()) {
                Some(days) => {
                    for (all, day) in all.iter_mut().zip(days) {
                        *all |= day;
                    }
                }
                None => self.problem(
                    &value.place,
                    &value.path,
                    "expected days of the week: mon, mon-fri, weekdays or weekend",
                ),
            }
        }
        if said.items().is_empty() && !self.told(&said.path) {
            self.problem(&said.place, &said.path, "a list of no days is never");
        }
        all
    }

    fn zone(&mut self, said: Option<&Value>) -> String {
        let Some(said) = said else {
            return "UTC".to_owned();
        };
        let name = said.text().unwrap_or_default();
        let zones = jiff::tz::db();
        if zones.get(name).is_err() {
            let known: Vec<String> = zones.available().map(|zone| zone.to_string()).collect();
            // People know the city, and not the continent.
            let city = |zone: &&String| {
                zone.rsplit('/')
                    .next()
                    .is_some_and(|city| city.eq_ignore_ascii_case(name))
            };
            let meant = match known.iter().find(city) {
                Some(zone) => format!("; did you mean `{zone}`?"),
                None => did_you_mean(name, known.iter().map(String::as_str)),
            };
            let message = format!("no time zone `{name}` is known{meant}");
            self.problem(&said.place, &said.path, message);
        }
        name.to_owned()
    }
}

/// `22:00-06:00`.
fn span(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once(['-', '–'])?;
    let (from, to) = (minute(from)?, minute(to)?);
    // The day ends at 24:00, and begins at 00:00.
    (from != to && from < DAY).then_some((from, to))
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let two = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|_| digits && text.len() <= 2)
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY).then_some(minute)
}

/// Monday first.
fn days(text: &str) -> Option<[bool; 7]> {
    let text = text.to_lowercase();
    let day = |text: &str| {
        let short = text.trim().get(..3)?;
        let day = DAYS.iter().position(|day| *day == short)?;
        let long = [
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
            "sunday",
        ];
        let whole = text.trim();
        (whole == short || long.get(day) == Some(&whole)).then_some(day)
    };
    let (from, to) = match text.as_str() {
        "weekdays" => (0, 4),
        "weekend" => (5, 6),
        "daily" => (0, 6),
        text => match text.split_once('-') {
            Some((from, to)) => (day(from)?, day(to)?),
            None => (day(text)?, day(text)?),
        },
    };
    // `sat-mon` goes over the end of the week.
    Some(std::array::from_fn(|day| {
        if from <= to {
            (from..=to).contains(&day)
        } else {
            day >= from || day <= to
        }
    }))
}

/// What [`span`] reads.
pub(crate) fn shown_time(from: u16, to: u16) -> String {
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{}-{}", time(from), time(to))
}

/// What [`days`] reads.
pub(crate) fn shown_days(days: [bool; 7]) -> Vec<&'static str> {
    DAYS.into_iter()
        .zip(days)
        .filter_map(|(day, on)| on.then_some(day))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{days, shown_days, shown_time, span};

    #[test]
    fn spans() {
        for (text, expect) in [
            ("22:00-06:00", Some((1320, 360))),
            ("9:00 - 17:30", Some((540, 1050))),
            ("00:00-24:00", Some((0, 1440))),
            ("22:00–00:00", Some((1320, 0))),
            ("09:00-09:00", None),
            ("24:00-06:00", None),
            ("09:60-10:00", None),
            ("25:00-26:00", None),
            ("009:00-10:00", None),
            ("+9:00-10:00", None),
            ("9-17", None),
            ("", None),
        ] {
            assert_eq!(span(text), expect, "{text}");
        }
        assert_eq!(shown_time(1320, 360), "22:00-06:00");
        assert_eq!(shown_time(0, 1440), "00:00-24:00");
    }

    #[test]
    fn weekdays() {
        for (text, expect) in [
            ("mon", Some("mon")),
            ("Monday", Some("mon")),
            ("mon-fri", Some("mon tue wed thu fri")),
            ("sat-mon", Some("mon sat sun")),
            ("weekend", Some("sat sun")),
            ("daily", Some("mon tue wed thu fri sat sun")),
            ("monda", None),
            ("mo", None),
            ("周一", None),
            ("", None),
        ] {
            let found = days(text).map(|days| shown_days(days).join(" "));
            assert_eq!(found.as_deref(), expect, "{text}");
        }
    }
}
