//! Moments and times as people write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use lingate_config::Age;
use lingate_metering::Millis;

use crate::Failed;

pub(crate) fn now() -> Millis {
    Timestamp::now().as_millisecond()
}

/// What `--expires` says: a moment to come; `None`: never.
pub(crate) fn to_come(text: &str, now: Millis) -> Result<Option<Millis>, Failed> {
    if text.eq_ignore_ascii_case("never") {
        return Ok(None);
    }
    match lingate_config::age(text) {
        Some(Age::Of(time)) => Ok(Some(now.saturating_add(millis(time)))),
        Some(Age::Forever) => Ok(None),
        None => moment(text).map(Some).ok_or_else(|| {
            Failed::usage(format!(
                "'{text}' is no time: write how long from now (30d, 12h), a date (2027-01-01), or never"
            ))
        }),
    }
}

/// What `--since` says: a moment that has been.
pub(crate) fn gone_by(text: &str, now: Millis) -> Result<Millis, Failed> {
    match lingate_config::age(text) {
        Some(Age::Of(time)) => Ok(now.saturating_sub(millis(time))),
        Some(Age::Forever) => Ok(0),
        None => moment(text).ok_or_else(|| {
            Failed::usage(format!(
                "'{text}' is no time: write how long ago (24h, 7d), a date (2026-11-30), or 2026-11-30T12:00Z"
            ))
        }),
    }
}

/// How long something is to last, such as the overlap of two secrets.
pub(crate) fn lasting(text: &str) -> Result<Millis, Failed> {
    match (text, lingate_config::age(text)) {
        ("0", _) => Ok(0),
        (_, Some(Age::Of(time))) => Ok(millis(time)),
        (_, Some(Age::Forever) | None) => Err(Failed::usage(format!(
            "'{text}' is no time: write 24h, 30m, 7d, or 0"
        ))),
    }
}

/// A date is its beginning, and what names no zone is UTC.
fn moment(text: &str) -> Option<Millis> {
    let text = text.trim();
    let in_utc = |time: DateTime| {
        let timestamp = TimeZone::UTC.to_timestamp(time).ok()?;
        Some(timestamp.as_millisecond())
    };
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return in_utc(time);
    }
    in_utc(text.parse::<Date>().ok()?.at(0, 0, 0, 0))
}

fn millis(time: std::time::Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

/// RFC 3339, to the second.
pub(crate) fn shown(moment: Millis) -> String {
    let rounded = Timestamp::from_millisecond(moment).ok().and_then(|time| {
        time.checked_sub((time.subsec_nanosecond()).nanoseconds())
            .ok()
    });
    rounded.map_or_else(|| moment.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_796_083_200_000; // 2026-12-01T00:00:00Z

    #[test]
    fn to_come_and_gone_by() {
        const DAY: Millis = 24 * 60 * 60 * 1000;
        for (text, expect) in [
            ("30d", Some(NOW + 30 * DAY)),
            ("1w", Some(NOW + 7 * DAY)),
            ("never", None),
            ("2026-12-02", Some(NOW + DAY)),
            ("2026-12-02T12:00", Some(NOW + DAY + DAY / 2)),
            ("2026-12-02T12:00:00+08:00", Some(NOW + DAY + DAY / 6)),
        ] {
            assert_eq!(to_come(text, NOW).unwrap(), expect, "{text}");
        }
        for bad in ["", "soon", "30", "2026-13-01"] {
            assert_eq!(to_come(bad, NOW).unwrap_err().code, 2, "{bad}");
        }
        assert_eq!(gone_by("24h", NOW).unwrap(), NOW - DAY);
        assert_eq!(gone_by("2026-11-30", NOW).unwrap(), NOW - DAY);
        assert_eq!(lasting("24h").unwrap(), DAY);
        assert_eq!(lasting("0").unwrap(), 0);
        assert_eq!(shown(NOW + 500), "2026-12-01T00:00:00Z");
    }
}
