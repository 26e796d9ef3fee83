//! Moments and days, as they are told and read: RFC 3339 in UTC.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use lingate_metering::Millis;

use crate::problem::Problem;

/// `2027-01-31T12:00:00.000Z`
pub(crate) fn moment_text(at: Millis) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
    format!("{at:.3}")
}

/// `field`: where it stands.
pub(crate) fn moment(field: &str, text: &str) -> Result<Millis, Problem> {
    let at: Result<Timestamp, _> = text.parse();
    at.map(Timestamp::as_millisecond).map_err(|_| {
        Problem::invalid(
            field,
            "expected a moment such as 2027-01-31T12:00:00Z (RFC 3339)",
        )
    })
}

const EPOCH: Date = Date::constant(1970, 1, 1);

/// Days since 1970 as `2027-01-31`.
pub(crate) fn day_text(day: i64) -> String {
    let date = day
        .checked_mul(86_400)
        .and_then(|second| Timestamp::from_second(second).ok())
        .unwrap_or(Timestamp::MAX);
    TimeZone::UTC.to_datetime(date).date().to_string()
}

/// `2027-01-31` as days since 1970.
pub(crate) fn day(field: &str, text: &str) -> Result<i64, Problem> {
    let date: Result<Date, _> = text.parse();
    let date = date.ok().filter(|_| text.len() == 10);
    date.and_then(|date| date.since(EPOCH).ok())
        .map(|span| i64::from(span.get_days()))
        .ok_or_else(|| Problem::invalid(field, "expected a day such as 2027-01-31"))
}

/// The present moment, by the system's clock.
pub(crate) fn now() -> Millis {
    Timestamp::now().as_millisecond()
}

/// In UTC.
pub(crate) fn today() -> Date {
    TimeZone::UTC.to_datetime(Timestamp::now()).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_shown() {
        for (text, number) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2027-01-31", 20_849),
        ] {
            assert_eq!(day("from", text).unwrap(), number);
            assert_eq!(day_text(number), text);
        }
        for bad in [
            "",
            "2027-02-30",
            "2027-1-1",
            "20270131",
            "2027-01-31T00:00:00",
        ] {
            assert!(day("from", bad).is_err(), "{bad}");
        }
    }
}
