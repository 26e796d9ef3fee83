//! Moments as people write them: dates, times, zones.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

/// Milliseconds since 1970 of `2027-01-01` (its first moment), `2027-01-01T18:00`, `2027-01-01T18:00:00+01:00`, `…[Europe/Berlin]`; where
/// no zone is written, in `zone`. `None`: it is none of these.
pub(crate) fn moment(text: &str, zone: &TimeZone) -> Option<i64> {
    let text = text.trim();
    let zoned = || {
        text.parse::<ZonedDateTime>()
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    // A date alone in a zone: `2027-01-01[Europe/Berlin]`.
    let (civil, zone) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((civil, name)) => (civil, TimeZone::get(name).ok()?),
        None => (text, zone.clone()),
    };
    let local = || {
        let civil: DateTime = civil.parse().ok()?;
        Some(civil.to_zoned_datetime(zone).ok()?.timestamp())
    };
    let timestamp = text.parse::<Timestamp>().ok();
    let at = timestamp.or_else(zoned).or_else(local)?;
    Some(at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_with_their_zone() {
        for (text, expect) in [
            ("2027-01-01", Some("2026-12-31T16:00:00Z")),
            ("2027-01-01T18:00", Some("2027-01-01T10:00:00Z")),
            ("2027-01-01 18:00:30", Some("2027-01-01T10:00:30Z")),
            ("2027-01-01T18:00Z", Some("2027-01-01T18:00:00Z")),
            ("2027-01-01T18:00:00+01:00", Some("2027-01-01T17:00:00Z")),
            (
                "2027-01-01T18:00[Europe/Berlin]",
                Some("2027-01-01T17:00:00Z"),
            ),
            ("2027-07-01[Europe/Berlin]", Some("2027-06-30T22:00:00Z")),
            ("2027-02-29", None),
            ("2027", None),
            ("tomorrow", None),
            ("2027-01-01[Mars/Olympus]", None),
            ("", None),
        ] {
            let expect = expect.map(|at| at.parse::<Timestamp>().unwrap().as_millisecond());
            let zone = TimeZone::get("Asia/Shanghai").unwrap();
            assert_eq!(moment(text, &zone), expect, "{text}");
        }
    }
}
