//! How long an upstream says to wait, in the order of protocols.md §5.3.

use std::time::Duration;

use super::quota;

/// The longest wait that is believed.
const LONGEST: f64 = 1e7;

fn seconds(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && (0.0..LONGEST).contains(&seconds))
        .then(|| Duration::from_secs_f64(seconds))
}

/// What `retry-after-ms` or `retry-after` says: a number, or a date. `now` in seconds since 1970.
pub(super) fn said(headers: &[(&str, &str)], now: i64) -> Option<Duration> {
    let milliseconds = header(headers, "retry-after-ms").and_then(|text| text.parse::<f64>().ok());
    if let Some(wait) = milliseconds.and_then(|number| seconds(number / 1000.0)) {
        return Some(wait);
    }
    let after = header(headers, "retry-after")?;
    match after.parse::<f64>() {
        Ok(number) => seconds(number),
        Err(_) => match http_date(after) {
            Some(moment) => until(moment, now),
            None => seconds(span(after)?),
        },
    }
}

/// When the limits are fresh again: those that are used up, the longest of them. `None` when none is said to be used up.
pub(super) fn limits(headers: &[(&str, &str)], now: i64) -> Option<Duration> {
    // Limits over days are told beside those over minutes; which of them was hit, only what is left tells.
    let used_up = quota::gauges(headers)
        .into_iter()
        .filter(|gauge| gauge.remaining.is_some_and(|left| left <= 0.0));
    used_up.filter_map(|gauge| reset(gauge.reset?, now)).max()
}

/// When a limit is fresh again: a length of time, or a moment.
pub(super) fn reset(value: &str, now: i64) -> Option<Duration> {
    match value.parse::<f64>() {
        // A moment, in milliseconds or seconds since 1970.
        Ok(number) if number >= 1e11 => until_seconds(number / 1000.0, now),
        Ok(number) if number >= 1e9 => until_seconds(number, now),
        Ok(number) => seconds(number),
        Err(_) => match timestamp(value) {
            Some(moment) => until(moment, now),
            None => span(value).and_then(seconds),
        },
    }
}

/// What a message says: `Please try again in 20s`, `350ms`, `6m0s`, `retry after 20 seconds`.
pub(super) fn in_words(message: &str) -> Option<Duration> {
    const LEADS: [&str; 6] = [
        "try again in ",
        "retry in ",
        "try again after ",
        "retry after ",
        "available again in ",
        "please wait ",
    ];
    let text = message.to_ascii_lowercase();
    LEADS.iter().find_map(|lead| {
        let at = text.find(lead)? + lead.len();
        let rest = text.get(at..)?;
        let rest = rest.strip_prefix("about ").unwrap_or(rest);
        seconds(span(rest)?)
    })
}

/// `RetryInfo.retryDelay`: `34s`, `1.5s`.
pub(super) fn delay(text: &str) -> Option<Duration> {
    seconds(text.strip_suffix('s')?.parse().ok()?)
}

fn header<'a>(headers: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// A length of time at the beginning of a text, in seconds: `1h2m3.5s`, `350ms`, `20 seconds`. A number without a unit is none.
fn span(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total: Option<f64> = None;
    loop {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at_checked(digits)?;
        let Ok(number) = number.trim_end_matches('.').parse::<f64>() else {
            return total;
        };
        let tail = tail.strip_prefix(' ').unwrap_or(tail);
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at_checked(letters)?;
        let factor = match unit {
            "ms" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86400.0,
            _ => return total,
        };
        total = Some(total.unwrap_or(0.0) + number * factor);
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
}

/// From `now` until a moment; a moment that is past is no wait at all.
fn until(moment: i64, now: i64) -> Option<Duration> {
    let wait = u64::try_from(moment.saturating_sub(now)).unwrap_or(0);
    let wait = Duration::from_secs(wait);
    (wait.as_secs_f64() < LONGEST).then_some(wait)
}

fn until_seconds(moment: f64, now: i64) -> Option<Duration> {
    let now = u32::try_from(now).ok().map(f64::from)?;
    seconds((moment - now).max(0.0))
}

/// `Wed, 21 Oct 2015 07:28:00 GMT` in seconds since 1970.
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, date) = text.split_once(", ")?;
    let mut words = date.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year: i64 = words.next()?.parse().ok()?;
    let time = words.next()?;
    Some(days(year, i64::try_from(month).ok()? + 1, day)? * 86400 + time_of_day(time)?)
}

/// RFC 3339, `2026-01-31T23:59:59.5Z` or with an offset, in seconds since 1970.
fn timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let mut numbers = date.split('-').map(|number| number.parse::<i64>().ok());
    let date = days(numbers.next()??, numbers.next()??, numbers.next()??)?;
    let (time, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => time.split_at_checked(at)?,
        None => (time, "Z"),
    };
    let offset = match offset.split_at_checked(1)? {
        ("+", offset) => -time_of_day(offset)?,
        ("-", offset) => time_of_day(offset)?,
        _ => 0,
    };
    Some(date * 86400 + time_of_day(time)? + offset)
}

/// `07:28:00` or `07:28`, in seconds; fractions are cut off.
fn time_of_day(text: &str) -> Option<i64> {
    let whole = text.split('.').next()?;
    let mut total = 0;
    let mut parts = whole.split(':');
    for unit in [3600, 60, 1] {
        match parts.next() {
            Some(part) => {
                let number = part.parse::<i64>().ok()?;
                total += (0..=60).contains(&number).then_some(number * unit)?;
            }
            None if unit == 1 => {}
            None => return None,
        }
    }
    Some(total)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let before = year * 365 + year / 4 - year / 100 + year / 400;
    Some(before + (month * 153 + 2) / 5 + day - 719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_445_412_480; // Wed, 21 Oct 2015 07:28:00 GMT

    fn millis(wait: Option<Duration>) -> Option<u128> {
        wait.map(|wait| wait.as_millis())
    }

    #[test]
    fn headers_say_it_as_a_number_or_a_date() {
        for (headers, expect) in [
            (&[("retry-after", "20")][..], Some(20_000)),
            (&[("Retry-After", " 1.5 ")][..], Some(1500)),
            (
                &[("retry-after", "20"), ("retry-after-ms", "350")][..],
                Some(350),
            ),
            (
                &[("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT")][..],
                Some(30_000),
            ),
            (
                &[("retry-after", "Wed, 21 Oct 2015 07:27:30 GMT")][..],
                Some(0),
            ),
            (&[("retry-after", "30s")][..], Some(30_000)),
            (&[("retry-after", "soon")][..], None),
            (&[("retry-after", "-1")][..], None),
            (&[("retry-after", "inf")][..], None),
            (&[][..], None),
        ] {
            assert_eq!(millis(said(headers, NOW)), expect, "{headers:?}");
        }
    }

    #[test]
    fn limits_that_are_used_up_say_when_they_are_fresh() {
        let check = |headers: &[(&str, &str)], expect: Option<u128>| {
            assert_eq!(millis(limits(headers, NOW)), expect, "{headers:?}");
        };
        check(
            &[
                ("x-ratelimit-remaining-requests", "99"),
                ("x-ratelimit-reset-requests", "6m0s"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "7.66s"),
            ],
            Some(7660),
        );
        check(
            &[
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "1h0m2ms"),
            ],
            Some(3_600_002),
        );
        check(
            &[
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                (
                    "anthropic-ratelimit-input-tokens-reset",
                    "2015-10-21T07:28:45Z",
                ),
                ("anthropic-ratelimit-requests-remaining", "10"),
                ("anthropic-ratelimit-requests-reset", "2015-10-21T08:28:45Z"),
            ],
            Some(45_000),
        );
        check(
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1445412500000"),
            ],
            Some(20_000),
        );
        check(
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1445412500"),
            ],
            Some(20_000),
        );
        check(&[("x-ratelimit-reset-requests", "2ms")], None);
    }

    #[test]
    fn messages_say_it_in_words() {
        for (message, expect) in [
            (
                "Rate limit reached … Please try again in 20s. Visit",
                Some(20_000),
            ),
            ("Please try again in 1.3s.", Some(1300)),
            ("Please try again in 350ms.", Some(350)),
            ("Please try again in 6m0s.", Some(360_000)),
            ("Please try again in 1h12m", Some(4_320_000)),
            ("Please retry in 34.074824224s.", Some(34_074)),
            ("Please retry after 20 seconds.", Some(20_000)),
            ("Try again in about 2 minutes", Some(120_000)),
            ("try again in 1 hour", Some(3_600_000)),
            ("Please try again in a while", None),
            ("try again in 20", None),
            ("slow down", None),
        ] {
            assert_eq!(millis(in_words(message)), expect, "{message}");
        }
    }

    #[test]
    fn dates_are_counted_right() {
        for (text, expect) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2015-10-21T07:28:00.999Z", NOW),
            ("2015-10-21T09:28:00+02:00", NOW),
            ("2015-10-21T02:28:00-05:00", NOW),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(timestamp(text), Some(expect), "{text}");
        }
        assert_eq!(timestamp("2015-13-21T07:28:00Z"), None);
        assert_eq!(http_date("Wed, 21 Oct 2015 07:28:00 GMT"), Some(NOW));
    }
}
