//! Hours of the week in a time zone, for prices that are lower (or higher) then.
//!
//! `Asia/Shanghai;mon-fri,00:30-08:30;sat-sun`: a zone of the IANA database, then what days, and between which times of the
//! day; days without times are meant whole. A span that ends where it begins or before goes over midnight, and belongs to the
//! day on which it began. Where clocks are put forward or back, the local time decides.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// More spans than anybody's week has.
const MOST_SPANS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    zone: TimeZone,
    spans: Vec<Span>,
    /// As it was written.
    text: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    /// Monday first.
    days: [bool; 7],
    /// Minutes of the day; `to` is not included.
    from: u16,
    to: u16,
}

impl Hours {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = text.split(';').map(str::trim);
        let name = pieces.next().unwrap_or_default();
        let zone = TimeZone::get(name).map_err(|_| format!("there is no time zone `{name}`"))?;
        let mut spans = Vec::new();
        for piece in pieces {
            let mut days = [false; 7];
            let mut times = Vec::new();
            for word in piece.split(',').map(str::trim) {
                if word.starts_with(|c: char| c.is_ascii_digit()) {
                    times.push(span(word).ok_or_else(|| format!("`{word}` is no 22:00-06:00"))?);
                } else {
                    let (first, last) = word.split_once('-').unwrap_or((word, word));
                    let (Some(first), Some(last)) = (day(first), day(last)) else {
                        return Err(format!("`{word}` are no days such as mon-fri"));
                    };
                    let mut at = first;
                    while let Some(place) = days.get_mut(at) {
                        *place = true;
                        if at == last {
                            break;
                        }
                        at = (at + 1) % 7;
                    }
                }
            }
            if days == [false; 7] {
                days = [true; 7];
            }
            if times.is_empty() {
                times.push((0, DAY));
            }
            spans.extend(times.into_iter().map(|(from, to)| Span { days, from, to }));
        }
        if spans.is_empty() {
            return Err(
                "no hours: expected a zone and hours, `UTC;mon-fri,16:30-00:30`".to_owned(),
            );
        }
        if spans.len() > MOST_SPANS {
            return Err(format!("more than {MOST_SPANS} spans of hours"));
        }
        Ok(Self {
            zone,
            spans,
            text: text.into(),
        })
    }

    /// Whether a moment, in milliseconds since 1970, is among them.
    pub fn hold(&self, moment: i64) -> bool {
        // Beyond the year 9999 there is no calendar to ask.
        let Ok(moment) = Timestamp::from_millisecond(moment) else {
            return false;
        };
        let local = self.zone.to_datetime(moment);
        let today = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
        let yesterday = (today + 6) % 7;
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute()));
        let minute = minute.unwrap_or(0);
        let on = |span: &Span, day: usize| span.days.get(day).copied().unwrap_or(false);
        self.spans.iter().any(|span| {
            let late = span.to <= span.from;
            (on(span, today) && minute >= span.from && (late || minute < span.to))
                || (late && on(span, yesterday) && minute < span.to)
        })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

fn day(name: &str) -> Option<usize> {
    DAYS.iter().position(|day| day.eq_ignore_ascii_case(name))
}

fn span(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (time(from)?, time(to)?);
    (from < DAY).then_some((from, to))
}

/// `08:30` as minutes of the day; `24:00` is its end.
fn time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60)
        .then_some(hour * 60 + minute)
        .filter(|minute| *minute <= DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let check = |hours: &str, at: &str, expect: bool| {
            let hours = Hours::parse(hours).unwrap();
            assert_eq!(hours.hold(moment(at)), expect, "{hours} {at}");
        };
        // 2026-11-30 is a Monday.
        let night = "Asia/Shanghai;mon-fri,00:30-08:30";
        check(night, "2026-11-30T00:29:59Z", true);
        check(night, "2026-11-30T00:30:00Z", false);
        check(night, "2026-11-29T16:29:59Z", false);
        check(night, "2026-11-29T16:30:00Z", true);
        check(night, "2026-11-28T16:30:00Z", false);
        let over_midnight = "UTC;sun,22:00-06:00";
        check(over_midnight, "2026-11-29T21:59:59Z", false);
        check(over_midnight, "2026-11-29T22:00:00Z", true);
        check(over_midnight, "2026-11-30T05:59:59Z", true);
        check(over_midnight, "2026-11-30T06:00:00Z", false);
        check(over_midnight, "2026-11-30T23:00:00Z", false);
        let week = "UTC;mon-fri,00:00-01:00,10:00-24:00;sat-sun";
        check(week, "2026-11-30T00:59:59Z", true);
        check(week, "2026-11-30T01:00:00Z", false);
        check(week, "2026-11-30T23:59:59Z", true);
        check(week, "2026-11-28T05:00:00Z", true);
        check("UTC;fri-mon", "2026-11-30T05:00:00Z", true);
        check("UTC;fri-mon", "2026-12-01T05:00:00Z", false);
        check("UTC;08:00-08:00", "2026-11-30T05:00:00Z", true);
        // Clocks of Berlin went back at 01:00Z: both times 02:30 are half past two.
        check("Europe/Berlin;02:00-03:00", "2026-10-25T00:30:00Z", true);
        check("Europe/Berlin;02:00-03:00", "2026-10-25T01:30:00Z", true);
        check("Europe/Berlin;02:00-03:00", "2026-10-25T02:30:00Z", false);
        assert!(!Hours::parse("UTC;mon-sun").unwrap().hold(i64::MAX));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (text, expect) in [
            ("", "there is no time zone ``"),
            ("Mars;mon", "there is no time zone `Mars`"),
            ("UTC", "no hours"),
            ("UTC;moon", "`moon` are no days"),
            ("UTC;mon,25:00-26:00", "`25:00-26:00` is no"),
            ("UTC;mon,1:00-2:00", "`1:00-2:00` is no"),
            ("UTC;24:00-06:00", "`24:00-06:00` is no"),
            ("UTC;08:60-09:00", "`08:60-09:00` is no"),
        ] {
            let found = Hours::parse(text).unwrap_err();
            assert!(found.starts_with(expect), "{text}: {found}");
        }
        assert!(Hours::parse(&format!("UTC{}", ";mon".repeat(65))).is_err());
    }
}
