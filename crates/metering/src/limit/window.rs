//! Which time counts: slots for windows that slide, edges for those of the calendar.

use std::fmt;
use std::hash::{Hash, Hasher};

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::{Unit, Window};
use crate::Millis;
use crate::counter::Span;

/// Slots that the length of a window is cut into: requests are refused at most a fiftieth of it too early.
const SLOTS: u16 = 50;

/// The longest window that slides: as many seconds as a leap year has.
pub const LONGEST_SLIDING: u32 = 366 * 86_400;

/// Later than everything: the beginning of the year 10000.
const NEVER: Millis = 253_402_300_800_000;

/// A time zone, by its IANA name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Zone {
    name: Box<str>,
    rules: TimeZone,
}

/// Not the name of a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadZone(pub String);

impl fmt::Display for BadZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.0;
        write!(
            f,
            "`{name}` is no time zone; expected an IANA name, such as Europe/Berlin or UTC"
        )
    }
}

impl std::error::Error for BadZone {}

impl Zone {
    pub fn utc() -> Self {
        Self {
            name: "UTC".into(),
            rules: TimeZone::UTC,
        }
    }

    /// The zone of this name, whatever its letters' case.
    pub fn named(name: &str) -> Result<Self, BadZone> {
        let bad = || BadZone(name.to_owned());
        let rules = TimeZone::get(name).map_err(|_| bad())?;
        Ok(Self {
            name: rules.iana_name().ok_or_else(bad)?.into(),
            rules,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn rules(&self) -> &TimeZone {
        &self.rules
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name.into()
    }
}

impl TryFrom<String> for Zone {
    type Error = BadZone;

    fn try_from(name: String) -> Result<Self, BadZone> {
        Self::named(&name)
    }
}

/// A window at a moment: from its first millisecond to the first after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edges {
    pub begins: Millis,
    pub ends: Millis,
}

impl Edges {
    /// The window without an end.
    pub const ALWAYS: Self = Self {
        begins: 0,
        ends: NEVER,
    };

    /// The part of the calendar that a moment is in. Days, weeks, months and years begin when their date does, also where the clock is put
    /// forward or back over midnight: then for good, though the old date is shown once more. Hours, minutes and seconds are cut off where
    /// the clock is put forward or back in the midst of them.
    pub fn of(unit: Unit, zone: &Zone, now: Millis) -> Self {
        let moment = Timestamp::from_millisecond(now).unwrap_or(if now < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        });
        let seconds = match unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day | Unit::Week | Unit::Month | Unit::Year => {
                return by_date(unit, &zone.rules, moment);
            }
        };
        let offset = i64::from(zone.rules.to_offset(moment).seconds());
        let local = moment.as_second().saturating_add(offset);
        // Before 1970 the division by which seconds are told from a timestamp rounds up.
        let local = local - i64::from(moment.subsec_nanosecond() < 0);
        let begins = local.div_euclid(seconds) * seconds - offset;
        let (mut begins, mut ends) = (begins * 1_000, (begins + seconds) * 1_000);
        // The last change may have been at this very moment, the next one is later.
        let after = moment.saturating_add(1.millisecond()).unwrap_or(moment);
        if let Some(change) = zone.rules.preceding(after).next() {
            begins = begins.max(change.timestamp().as_millisecond());
        }
        if let Some(change) = zone.rules.following(moment).next() {
            ends = ends.min(change.timestamp().as_millisecond());
        }
        Self { begins, ends }
    }
}

/// Days and what is made of them.
fn by_date(unit: Unit, rules: &TimeZone, moment: Timestamp) -> Edges {
    let mut date = first(unit, rules.to_datetime(moment).date());
    let mut begins = beginning(rules, date).unwrap_or(Timestamp::MIN);
    loop {
        let ends = next(unit, date).and_then(|next| {
            date = next;
            beginning(rules, next)
        });
        match ends {
            // The clock was put back over midnight: that date has begun already.
            Some(ends) if ends <= moment => begins = ends,
            Some(ends) => {
                return Edges {
                    begins: begins.as_millisecond(),
                    ends: ends.as_millisecond(),
                };
            }
            None => {
                return Edges {
                    begins: begins.as_millisecond(),
                    ends: NEVER,
                };
            }
        }
    }
}

/// The first moment of a date; of one that was left out, that of the one after it.
fn beginning(rules: &TimeZone, date: Date) -> Option<Timestamp> {
    let midnight = rules.to_ambiguous_timestamp(date.at(0, 0, 0, 0));
    let is_gap = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
    let at = midnight.compatible().ok()?;
    if !is_gap {
        return Some(at);
    }
    // The clock was put forward over midnight: the date begins when that was done.
    let after = at.checked_add(1.nanosecond()).ok()?;
    let change = rules.preceding(after).next();
    Some(change.map_or(at, |change| change.timestamp()))
}

fn first(unit: Unit, date: Date) -> Date {
    match unit {
        Unit::Week => {
            let since = date.weekday().to_monday_zero_offset();
            date.saturating_sub(i64::from(since).days())
        }
        Unit::Month => date.first_of_month(),
        Unit::Year => date.first_of_year(),
        Unit::Day | Unit::Hour | Unit::Minute | Unit::Second => date,
    }
}

/// `None` after the last year that there is.
fn next(unit: Unit, first: Date) -> Option<Date> {
    let length = match unit {
        Unit::Week => 1.week(),
        Unit::Month => 1.month(),
        Unit::Year => 1.year(),
        Unit::Day | Unit::Hour | Unit::Minute | Unit::Second => 1.day(),
    };
    first.checked_add(length).ok()
}

impl Window {
    /// The time that counters are to count at a moment.
    pub fn span(&self, now: Millis) -> Span {
        match self {
            // A second has a thousand milliseconds, so the division leaves no rest; and with the present slot, the others are never
            // less than the window.
            Self::Sliding(seconds) => Span::Slots {
                width: (*seconds).clamp(1, LONGEST_SLIDING) * (1_000 / u32::from(SLOTS)),
                count: SLOTS + 1,
            },
            Self::Calendar { unit, zone } => {
                let Edges { begins, ends } = Edges::of(*unit, zone, now);
                Span::Fixed { begins, ends }
            }
            Self::Total => {
                let Edges { begins, ends } = Edges::ALWAYS;
                Span::Fixed { begins, ends }
            }
            Self::Now => Span::Held,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ZONES: [&str; 16] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "America/Havana",
        "America/Toronto",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Asia/Shanghai",
        "Asia/Beirut",
        "Asia/Gaza",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Kiritimati",
        "Africa/Monrovia",
    ];

    fn at(text: &str) -> Millis {
        text.parse::<Timestamp>().expect(text).as_millisecond()
    }

    #[test]
    fn the_calendar_has_edges() {
        for (unit, zone, now, begins, ends) in [
            (
                Unit::Second,
                "UTC",
                "2026-11-30T12:34:56.789Z",
                "2026-11-30T12:34:56Z",
                "2026-11-30T12:34:57Z",
            ),
            (
                Unit::Minute,
                "Asia/Kolkata",
                "2026-11-30T12:34:56Z",
                "2026-11-30T12:34:00Z",
                "2026-11-30T12:35:00Z",
            ),
            // Half past, where clocks are half an hour off.
            (
                Unit::Hour,
                "Asia/Kolkata",
                "2026-11-30T12:34:56Z",
                "2026-11-30T12:30:00Z",
                "2026-11-30T13:30:00Z",
            ),
            (
                Unit::Hour,
                "Asia/Kathmandu",
                "2026-11-30T12:34:56Z",
                "2026-11-30T12:15:00Z",
                "2026-11-30T13:15:00Z",
            ),
            (
                Unit::Day,
                "UTC",
                "2026-11-30T00:00:00Z",
                "2026-11-30T00:00:00Z",
                "2026-12-01T00:00:00Z",
            ),
            (
                Unit::Day,
                "UTC",
                "2026-11-30T23:59:59.999Z",
                "2026-11-30T00:00:00Z",
                "2026-12-01T00:00:00Z",
            ),
            (
                Unit::Day,
                "Asia/Shanghai",
                "2026-11-30T16:00:00Z",
                "2026-11-30T16:00:00Z",
                "2026-12-01T16:00:00Z",
            ),
            (
                Unit::Day,
                "Asia/Shanghai",
                "2026-11-30T15:59:59.999Z",
                "2026-11-29T16:00:00Z",
                "2026-11-30T16:00:00Z",
            ),
            // The clock is put forward, and back: 23 and 25 hours.
            (
                Unit::Day,
                "Europe/Berlin",
                "2026-03-29T12:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                Unit::Day,
                "Europe/Berlin",
                "2026-10-25T12:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            // An hour that is shown twice is two hours.
            (
                Unit::Hour,
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                "2026-10-25T00:00:00Z",
                "2026-10-25T01:00:00Z",
            ),
            (
                Unit::Hour,
                "Europe/Berlin",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T02:00:00Z",
            ),
            // Half an hour back: the hour is cut in two.
            (
                Unit::Hour,
                "Australia/Lord_Howe",
                "2026-04-04T14:59:59Z",
                "2026-04-04T14:00:00Z",
                "2026-04-04T15:00:00Z",
            ),
            (
                Unit::Hour,
                "Australia/Lord_Howe",
                "2026-04-04T15:00:00Z",
                "2026-04-04T15:00:00Z",
                "2026-04-04T15:30:00Z",
            ),
            (
                Unit::Hour,
                "Australia/Lord_Howe",
                "2026-04-04T15:30:00Z",
                "2026-04-04T15:30:00Z",
                "2026-04-04T16:30:00Z",
            ),
            // Midnight is left out, and shown twice.
            (
                Unit::Day,
                "Asia/Beirut",
                "2026-03-29T12:00:00Z",
                "2026-03-28T22:00:00Z",
                "2026-03-29T21:00:00Z",
            ),
            (
                Unit::Day,
                "America/Havana",
                "2020-11-01T12:00:00Z",
                "2020-11-01T04:00:00Z",
                "2020-11-02T05:00:00Z",
            ),
            // A minute into Sunday it was Saturday again; Sunday had begun.
            (
                Unit::Day,
                "America/St_Johns",
                "2009-11-01T02:30:30Z",
                "2009-11-01T02:30:00Z",
                "2009-11-02T03:30:00Z",
            ),
            (
                Unit::Day,
                "America/St_Johns",
                "2009-11-01T03:00:00Z",
                "2009-11-01T02:30:00Z",
                "2009-11-02T03:30:00Z",
            ),
            (
                Unit::Day,
                "America/St_Johns",
                "2009-11-01T02:29:59Z",
                "2009-10-31T02:30:00Z",
                "2009-11-01T02:30:00Z",
            ),
            // A date that was never shown.
            (
                Unit::Day,
                "Pacific/Apia",
                "2011-12-30T09:00:00Z",
                "2011-12-29T10:00:00Z",
                "2011-12-30T10:00:00Z",
            ),
            (
                Unit::Day,
                "Pacific/Apia",
                "2011-12-30T10:00:00Z",
                "2011-12-30T10:00:00Z",
                "2011-12-31T10:00:00Z",
            ),
            (
                Unit::Week,
                "UTC",
                "2026-11-30T00:00:00Z",
                "2026-11-30T00:00:00Z",
                "2026-12-07T00:00:00Z",
            ),
            (
                Unit::Week,
                "UTC",
                "2026-11-29T23:59:59Z",
                "2026-11-23T00:00:00Z",
                "2026-11-30T00:00:00Z",
            ),
            (
                Unit::Week,
                "UTC",
                "2027-01-01T00:00:00Z",
                "2026-12-28T00:00:00Z",
                "2027-01-04T00:00:00Z",
            ),
            (
                Unit::Month,
                "UTC",
                "2028-02-29T10:00:00Z",
                "2028-02-01T00:00:00Z",
                "2028-03-01T00:00:00Z",
            ),
            (
                Unit::Month,
                "Asia/Shanghai",
                "2026-01-31T15:59:59Z",
                "2025-12-31T16:00:00Z",
                "2026-01-31T16:00:00Z",
            ),
            (
                Unit::Month,
                "Asia/Shanghai",
                "2026-01-31T16:00:00Z",
                "2026-01-31T16:00:00Z",
                "2026-02-28T16:00:00Z",
            ),
            (
                Unit::Month,
                "America/New_York",
                "2026-03-15T12:00:00Z",
                "2026-03-01T05:00:00Z",
                "2026-04-01T04:00:00Z",
            ),
            (
                Unit::Year,
                "Pacific/Kiritimati",
                "2026-12-31T09:59:59Z",
                "2025-12-31T10:00:00Z",
                "2026-12-31T10:00:00Z",
            ),
            (
                Unit::Year,
                "UTC",
                "2028-02-29T00:00:00Z",
                "2028-01-01T00:00:00Z",
                "2029-01-01T00:00:00Z",
            ),
            (
                Unit::Minute,
                "UTC",
                "1969-12-31T23:59:59.500Z",
                "1969-12-31T23:59:00Z",
                "1970-01-01T00:00:00Z",
            ),
        ] {
            let expect = Edges {
                begins: at(begins),
                ends: at(ends),
            };
            let edges = Edges::of(unit, &Zone::named(zone).unwrap(), at(now));
            assert_eq!(edges, expect, "{unit:?} {zone} {now}");
        }
    }

    #[test]
    fn no_moment_is_too_far_away() {
        for unit in Unit::ALL {
            for now in [Millis::MIN, -1, 0, Millis::MAX] {
                let Edges { begins, ends } = Edges::of(unit, &Zone::utc(), now);
                assert!(begins < ends, "{unit:?} {now}");
            }
        }
    }

    #[test]
    fn zones_have_names() {
        assert_eq!(
            Zone::named("europe/BERLIN").unwrap().name(),
            "Europe/Berlin"
        );
        assert_eq!(Zone::named("UTC").unwrap(), Zone::utc());
        for bad in ["", "Berlin", "CEST", "+02:00", "Mars/Olympus"] {
            assert_eq!(Zone::named(bad), Err(BadZone(bad.to_owned())));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn every_moment_is_in_one_window(
            zone in prop::sample::select(&ZONES[..]),
            unit in prop::sample::select(&Unit::ALL[..]),
            seconds in -2_000_000_000_i64..4_000_000_000,
            millis in 0..1_000_i64,
        ) {
            let zone = Zone::named(zone).unwrap();
            let now = seconds * 1_000 + millis;
            one_window(unit, &zone, now);
        }

        /// Where clocks are put forward or back.
        #[test]
        fn also_around_changes(
            zone in prop::sample::select(&ZONES[..]),
            unit in prop::sample::select(&Unit::ALL[..]),
            seconds in -2_000_000_000_i64..2_500_000_000,
            off in -5_400_000_i64..5_400_000,
        ) {
            let zone = Zone::named(zone).unwrap();
            let from = Timestamp::from_second(seconds).unwrap();
            let change = zone.rules.following(from).next().map(|change| change.timestamp().as_millisecond());
            one_window(unit, &zone, change.unwrap_or(seconds * 1_000));
            one_window(unit, &zone, change.unwrap_or(seconds * 1_000) + off);
        }

        #[test]
        fn slots_cover_the_window_and_little_more(
            seconds in 1..=LONGEST_SLIDING,
            now in 0..4_000_000_000_000_i64,
        ) {
            let Span::Slots { width, count } = Window::Sliding(seconds).span(now) else {
                panic!("no slots");
            };
            let (width, count, window) = (i64::from(width), i64::from(count), i64::from(seconds) * 1_000);
            let oldest = (now / width - count + 1) * width;
            prop_assert!(oldest <= now - window);
            prop_assert!(now - oldest <= window + window / 50);
        }
    }

    fn one_window(unit: Unit, zone: &Zone, now: Millis) {
        let edges = Edges::of(unit, zone, now);
        let shown = format!("{unit:?} {zone:?} {now} {edges:?}");
        assert!(edges.begins <= now && now < edges.ends, "{shown}");
        assert_eq!(Edges::of(unit, zone, edges.begins), edges, "{shown}");
        assert_eq!(Edges::of(unit, zone, edges.ends - 1), edges, "{shown}");
        let next = Edges::of(unit, zone, edges.ends);
        assert_eq!(next.begins, edges.ends, "{shown}");
        let before = Edges::of(unit, zone, edges.begins - 1);
        assert_eq!(before.ends, edges.begins, "{shown}");
    }
}
