//! What is left of an upstream's limits, as the headers of its answers tell it.

use std::time::Duration;

use super::wait;

/// What is left of the tightest of the limits that an answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// In thousandths of the limit, 1000 at most.
    pub remaining_share: u16,
    /// Until the limit is fresh again.
    pub reset_in: Duration,
}

/// When a limit is fresh again that does not tell it: most are counted by the minute.
const MINUTE: Duration = Duration::from_mins(1);

/// One limit as headers tell it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gauge<'a> {
    pub(super) limit: Option<f64>,
    pub(super) remaining: Option<f64>,
    pub(super) reset: Option<&'a str>,
    /// What stands behind the prefix: `requests`, `tokens-minute`, nothing.
    name: &'a str,
}

/// Whether a header, in lower case, may be one that [`quota`] reads: most are passed over by their first letters.
pub fn tells(header: &str) -> bool {
    [
        "x-ratelimit-",
        "ratelimit-",
        "anthropic-ratelimit-",
        "x-codex-",
    ]
    .iter()
    .any(|prefix| header.starts_with(prefix))
}

/// The tightest limit; `None` when the headers tell of none. `now` in seconds since 1970.
pub fn quota(headers: &[(&str, &str)], now: i64) -> Option<Quota> {
    let counted = gauges(headers).into_iter().filter_map(|gauge| {
        let (limit, remaining) = (gauge.limit?, gauge.remaining?);
        let share = share(remaining, limit)?;
        let told = gauge.reset.and_then(|reset| wait::reset(reset, now));
        Some(Quota {
            remaining_share: share,
            reset_in: told.unwrap_or_else(|| window(gauge.name)),
        })
    });
    let used = USED.iter().filter_map(|(used, reset, scale)| {
        let used = number(header(headers, used)?)? * scale;
        let told = header(headers, reset).and_then(|reset| wait::reset(reset, now));
        Some(Quota {
            remaining_share: share(1000.0 - used, 1000.0)?,
            reset_in: told.unwrap_or(MINUTE),
        })
    });
    counted
        .chain(used)
        .min_by_key(|quota| (quota.remaining_share, std::cmp::Reverse(quota.reset_in)))
}

/// Subscriptions tell what is used up: a header, the one with the reset, and what makes thousandths of its number.
const USED: &[(&str, &str, f64)] = &[
    (
        "anthropic-ratelimit-unified-5h-utilization",
        "anthropic-ratelimit-unified-5h-reset",
        1000.0,
    ),
    (
        "anthropic-ratelimit-unified-7d-utilization",
        "anthropic-ratelimit-unified-7d-reset",
        1000.0,
    ),
    (
        "x-codex-primary-used-percent",
        "x-codex-primary-reset-after-seconds",
        10.0,
    ),
    (
        "x-codex-secondary-used-percent",
        "x-codex-secondary-reset-after-seconds",
        10.0,
    ),
];

/// The limits that headers tell, in two spellings: `x-ratelimit-remaining-requests` and `anthropic-ratelimit-requests-remaining`.
pub(super) fn gauges<'a>(headers: &[(&'a str, &'a str)]) -> Vec<Gauge<'a>> {
    let mut gauges: Vec<(bool, Gauge<'a>)> = Vec::new();
    for (header, value) in headers {
        let Some((in_front, fact, name)) = parts(header) else {
            continue;
        };
        let same = |(before, gauge): &(bool, Gauge<'_>)| {
            *before == in_front && gauge.name.eq_ignore_ascii_case(name)
        };
        let at = gauges.iter().position(same).unwrap_or_else(|| {
            let gauge = Gauge {
                name,
                ..Gauge::default()
            };
            gauges.push((in_front, gauge));
            gauges.len() - 1
        });
        let Some((_, place)) = gauges.get_mut(at) else {
            continue;
        };
        match fact {
            Fact::Limit => place.limit = number(value),
            Fact::Remaining => place.remaining = number(value),
            Fact::Reset => place.reset = Some(value.trim()),
        }
    }
    gauges.into_iter().map(|(_, gauge)| gauge).collect()
}

#[derive(Debug, Clone, Copy)]
enum Fact {
    Limit,
    Remaining,
    Reset,
}

/// What a header tells of which limit, and whether the fact stands in front of the limit's name.
fn parts(header: &str) -> Option<(bool, Fact, &str)> {
    const FACTS: [(&str, Fact); 3] = [
        ("limit", Fact::Limit),
        ("remaining", Fact::Remaining),
        ("reset", Fact::Reset),
    ];
    let strip = |prefix: &str| {
        let (head, rest) = header.split_at_checked(prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then_some(rest)
    };
    if let Some(rest) = strip("anthropic-ratelimit-") {
        let (name, fact) = rest.rsplit_once('-')?;
        let (_, fact) = FACTS
            .iter()
            .find(|(word, _)| fact.eq_ignore_ascii_case(word))?;
        return Some((false, *fact, name));
    }
    let rest = strip("x-ratelimit-").or_else(|| strip("ratelimit-"))?;
    FACTS.iter().find_map(|(word, fact)| {
        let (head, name) = rest.split_at_checked(word.len())?;
        let whole = name.is_empty() || name.starts_with('-');
        let told = whole && head.eq_ignore_ascii_case(word);
        told.then(|| (true, *fact, name.trim_start_matches('-')))
    })
}

/// `100`, or the first of `100, 100;w=60`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-')
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

fn share(remaining: f64, limit: f64) -> Option<u16> {
    if limit <= 0.0 {
        return None;
    }
    let share = (remaining / limit * 1000.0).clamp(0.0, 1000.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000"
    )]
    let share = share as u16;
    Some(share)
}

/// The window that a limit's name tells: `tokens-minute`, `req-10-second`, `requests-day`.
fn window(name: &str) -> Duration {
    let name = name.to_ascii_lowercase();
    for (word, seconds) in [
        ("second", 1),
        ("minute", 60),
        ("hour", 3600),
        ("day", 86400),
        ("month", 30 * 86400),
    ] {
        let Some(before) = name.strip_suffix(word) else {
            continue;
        };
        let count = before
            .trim_end_matches('-')
            .rsplit('-')
            .next()
            .and_then(|count| count.parse::<u64>().ok())
            .unwrap_or(1);
        return Duration::from_secs(seconds * count.clamp(1, 3600));
    }
    MINUTE
}

fn header<'a>(headers: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_445_412_480; // Wed, 21 Oct 2015 07:28:00 GMT

    fn check(headers: &[(&str, &str)], expect: Option<(u16, u64)>) {
        let found = quota(headers, NOW).map(|quota| {
            let millis = u64::try_from(quota.reset_in.as_millis()).unwrap();
            (quota.remaining_share, millis)
        });
        assert_eq!(found, expect, "{headers:?}");
    }

    #[test]
    fn the_tightest_limit_is_told() {
        check(
            &[
                ("x-ratelimit-limit-requests", "5000"),
                ("x-ratelimit-limit-tokens", "4000000"),
                ("x-ratelimit-remaining-requests", "4999"),
                ("x-ratelimit-remaining-tokens", "400000"),
                ("x-ratelimit-reset-requests", "12ms"),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ],
            Some((100, 360_000)),
        );
        check(
            &[
                ("anthropic-ratelimit-requests-limit", "4000"),
                ("anthropic-ratelimit-requests-remaining", "3999"),
                ("anthropic-ratelimit-requests-reset", "2015-10-21T07:28:01Z"),
                ("anthropic-ratelimit-input-tokens-limit", "2000000"),
                ("anthropic-ratelimit-input-tokens-remaining", "1000000"),
                (
                    "anthropic-ratelimit-input-tokens-reset",
                    "2015-10-21T07:28:30Z",
                ),
            ],
            Some((500, 30_000)),
        );
        check(
            &[
                ("x-ratelimit-limit", "60"),
                ("x-ratelimit-remaining", "15"),
                ("x-ratelimit-reset", "1445412500"),
            ],
            Some((250, 20_000)),
        );
        check(
            &[
                ("x-ratelimit-limit-tokens-minute", "20000000"),
                ("x-ratelimit-remaining-tokens-minute", "19000000"),
                ("x-ratelimit-limit-req-10-second", "60"),
                ("x-ratelimit-remaining-req-10-second", "6"),
            ],
            Some((100, 10_000)),
        );
        check(
            &[
                ("ratelimit-limit", "100, 100;w=60"),
                ("ratelimit-remaining", "3"),
                ("ratelimit-reset", "7"),
            ],
            Some((30, 7000)),
        );
        check(
            &[
                ("anthropic-ratelimit-unified-5h-utilization", "0.92"),
                ("anthropic-ratelimit-unified-5h-reset", "1445412580"),
            ],
            Some((80, 100_000)),
        );
        check(
            &[
                ("x-codex-primary-used-percent", "100"),
                ("x-codex-primary-reset-after-seconds", "90"),
            ],
            Some((0, 90_000)),
        );
    }

    #[test]
    fn half_of_what_is_needed_tells_nothing() {
        check(&[], None);
        check(&[("x-ratelimit-remaining-requests", "12")], None);
        check(
            &[
                ("x-ratelimit-limit-requests", "0"),
                ("x-ratelimit-remaining-requests", "0"),
            ],
            None,
        );
        check(
            &[
                ("x-ratelimit-limit-requests", "n/a"),
                ("x-ratelimit-remaining-requests", "n/a"),
            ],
            None,
        );
    }
}
