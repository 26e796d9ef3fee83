//! Refusals for limits, and what is left of them, as callers and their libraries read it.

use std::time::Duration;

use jiff::Timestamp;
use lingate_dialect::error::OwnLimit;
use lingate_dialect::{ApiError, DialectId, ErrorKind};

use super::decision::resets_at;
use super::{Charges, Exceeded, Level, Limit, Measure, Refused, Window};
use crate::{Millis, Money};

/// How long to wait for somebody else to be done.
const A_WHILE: Duration = Duration::from_secs(1);

/// The longest wait that is worth a client's sitting it out.
const SOON: Duration = Duration::from_mins(1);

/// A header that tells of limits; `retry-after` and `x-should-retry` follow from the error.
pub type Header = (&'static str, String);

impl Refused {
    /// As an error: about money where money is what holds the request up, else about a rate.
    pub fn error(&self) -> ApiError {
        let Some(first) = self.exceeded.first() else {
            return ApiError::new(ErrorKind::RateLimited, "a limit is reached");
        };
        let kind = match first.bound.limit().measure {
            Measure::Cost => ErrorKind::Billing,
            Measure::Requests
            | Measure::InputTokens
            | Measure::OutputTokens
            | Measure::Tokens
            | Measure::Images
            | Measure::Concurrency => ErrorKind::RateLimited,
        };
        let wait = self.wait(first);
        let mut message = first.to_string();
        if let others @ 1.. = self.exceeded.len() - 1 {
            let s = if others == 1 { "" } else { "s" };
            message = format!("{message} ({others} more limit{s} would have refused it)");
        }
        let mut error = ApiError::new(kind, message)
            .of_limit(first.told(wait.is_some_and(|wait| wait <= SOON)));
        error.retry_after = wait;
        error
    }

    /// What is left of the limits that the request ran into, in the headers that SDKs of a dialect read.
    pub fn headers(&self, dialect: DialectId) -> Vec<Header> {
        let left = self.exceeded.iter().map(|exceeded| Left {
            measure: exceeded.bound.limit().measure,
            amount: exceeded.amount,
            remaining: exceeded.amount.saturating_sub(exceeded.used),
            resets_at: exceeded.room_at(),
        });
        headers(dialect, &left, self.now)
    }

    /// `None`: time does not help.
    fn wait(&self, first: &Exceeded) -> Option<Duration> {
        let at = first.passes_at(self.now)?;
        let wait = u64::try_from(at.saturating_sub(self.now)).unwrap_or(0);
        match wait {
            0 => Some(A_WHILE),
            wait => Some(Duration::from_millis(wait)),
        }
    }
}

/// `the limit of project acme/web, 600 requests in 60 s, is reached: …`
impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limit = self.bound.limit();
        let shown = |amount| shown(limit.measure, amount);
        if self.bound.scope().level == Level::Wallet {
            return self.wallet(f);
        }
        write!(f, "the limit")?;
        if let Some(name) = &limit.name {
            write!(f, " `{name}`")?;
        }
        write!(f, " of {}, {}", self.bound.scope(), shown(self.amount))?;
        match &limit.window {
            Window::Sliding(seconds) => write!(f, " in {}", length(*seconds))?,
            Window::Calendar { unit, .. } => write!(f, " per {}", unit.name())?,
            Window::Total => write!(f, " in total")?,
            Window::Now => {}
        }
        if let Some(model) = &limit.model {
            write!(f, " for `{model}`")?;
        }
        if let Some(provider) = &limit.provider {
            write!(f, " at `{provider}`")?;
        }
        if self.amount == 0 {
            return write!(f, ", allows nothing");
        }
        if self.is_unpriced {
            return write!(f, ", is only for models whose price is known");
        }
        if self.never_fits() {
            let asked = shown(self.ask);
            return write!(f, ", is less than the {asked} that this request may take");
        }
        let used = number(limit.measure, self.used);
        match limit.measure {
            Measure::Concurrency => write!(f, ", is reached: {used} under way")?,
            Measure::Requests => write!(f, ", is reached: {used} used")?,
            measure => {
                let asked = number(measure, self.ask);
                write!(
                    f,
                    ", is reached: {used} used, and this request may take {asked}"
                )?;
            }
        }
        if let Some(at) = self.room_at() {
            write!(f, "; there is room again at {}", rfc3339(at))?;
        }
        Ok(())
    }
}

impl Exceeded {
    /// What is told of a wallet. What it may be overdrawn by counts as being in it.
    fn wallet(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let money = |amount| number(Measure::Cost, amount);
        let scope = self.bound.scope();
        let left = self.amount.saturating_sub(self.used);
        if self.is_unpriced {
            return write!(
                f,
                "{scope} pays for models whose price is known, and this one's is not"
            );
        }
        if left == 0 {
            return write!(f, "{scope} is empty: top it up or redeem a code to go on");
        }
        write!(
            f,
            "{scope} is nearly empty: {} is left, and this request may take {}; top it up or redeem a code to go on",
            money(left),
            money(self.ask)
        )
    }

    /// When waiting is over, as far as that is known.
    fn room_at(&self) -> Option<Millis> {
        self.free_at
            .or(self.resets_at)
            .filter(|_| !self.never_fits())
    }

    fn told(&self, passes_soon: bool) -> OwnLimit {
        let limit = self.bound.limit();
        let scope = self.bound.scope();
        let amount = |amount| plain(limit.measure, amount);
        OwnLimit {
            scope: scope.level.name(),
            of: scope.name.clone(),
            name: limit.name.clone(),
            measure: limit.measure.name(),
            amount: amount(self.amount),
            used: amount(self.used),
            asked: if self.is_unpriced {
                "unknown".to_owned()
            } else {
                amount(self.ask)
            },
            per: per(limit),
            resets_at: self.room_at().map(rfc3339),
            passes_soon,
        }
    }
}

impl Charges {
    /// What is left of the tightest limits after a request has been admitted, in the headers that SDKs of a dialect read. `used` is what the counters
    /// said at admission. Limits that refuse nothing are not told.
    pub fn headers(&self, used: &[u64], dialect: DialectId, now: Millis) -> Vec<Header> {
        let left = self
            .iter()
            .zip(used)
            .filter(|((charge, _), _)| charge.capacity.is_some())
            .map(|((charge, charged), used)| Left {
                measure: charged.bound.limit().measure,
                amount: charged.amount,
                remaining: charged.amount.saturating_sub(*used),
                resets_at: resets_at(charge.span, now),
            });
        headers(dialect, &left, now)
    }
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy)]
struct Left {
    measure: Measure,
    amount: u64,
    remaining: u64,
    resets_at: Option<Millis>,
}

impl Left {
    /// Whether a smaller share of it is left.
    fn is_tighter(&self, other: &Self) -> bool {
        let own = u128::from(self.remaining) * u128::from(other.amount);
        own < u128::from(other.remaining) * u128::from(self.amount)
    }
}

/// Whether an answer's header tells of an upstream's limits: those of another account than the caller's.
pub fn is_of_limits(header: &str) -> bool {
    const STARTS: [&str; 6] = [
        "x-ratelimit-",
        "ratelimit-",
        "x-rate-limit-",
        "anthropic-ratelimit-",
        "anthropic-priority-",
        "anthropic-fast-",
    ];
    header == "ratelimit" || STARTS.iter().any(|start| header.starts_with(start))
}

/// What headers tell of a kind of measures: the amount, what is left of it, and when it is whole again.
type Names = [(fn(Measure) -> bool, [&'static str; 3])];

const OPENAI: &Names = &[
    (
        |measure| matches!(measure, Measure::Requests),
        [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ],
    ),
    (
        |measure| {
            matches!(
                measure,
                Measure::Tokens | Measure::InputTokens | Measure::OutputTokens
            )
        },
        [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ],
    ),
];

const ANTHROPIC: &Names = &[
    (
        |measure| matches!(measure, Measure::Requests),
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
    ),
    (
        |measure| matches!(measure, Measure::Tokens),
        [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    ),
    (
        |measure| matches!(measure, Measure::InputTokens),
        [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
    ),
    (
        |measure| matches!(measure, Measure::OutputTokens),
        [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
    ),
];

/// Of each kind the tightest. Gemini's clients read no such header.
fn headers(
    dialect: DialectId,
    left: &(impl Iterator<Item = Left> + Clone),
    now: Millis,
) -> Vec<Header> {
    let names = match dialect {
        DialectId::Chat | DialectId::Responses => OPENAI,
        DialectId::Messages => ANTHROPIC,
        DialectId::Gemini => return Vec::new(),
    };
    let mut told = Vec::new();
    for (is_kind, [limit, remaining, reset]) in names {
        let kind = left.clone().filter(|left| is_kind(left.measure));
        let tightest = kind.reduce(|one, other| if other.is_tighter(&one) { other } else { one });
        let Some(tightest) = tightest else {
            continue;
        };
        told.push((*limit, tightest.amount.to_string()));
        told.push((*remaining, tightest.remaining.to_string()));
        if let Some(at) = tightest.resets_at {
            let at = match dialect {
                DialectId::Messages => rfc3339(at),
                DialectId::Chat | DialectId::Responses | DialectId::Gemini => wait(at - now),
            };
            told.push((*reset, at));
        }
    }
    told
}

/// As OpenAI writes a wait: `88ms`, `1s`, `6m0s`, `1h0m0s`.
fn wait(millis: Millis) -> String {
    let millis = millis.max(0);
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let seconds = millis / 1_000 + i64::from(millis % 1_000 > 0);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        (_, _) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `600 requests`, `$12.5`
pub(super) fn shown(measure: Measure, amount: u64) -> String {
    let number = number(measure, amount);
    let s = if amount == 1 { "" } else { "s" };
    match measure {
        Measure::Cost => number,
        Measure::Requests => format!("{number} request{s}"),
        Measure::InputTokens => format!("{number} input token{s}"),
        Measure::OutputTokens => format!("{number} output token{s}"),
        Measure::Tokens => format!("{number} token{s}"),
        Measure::Images => format!("{number} image{s}"),
        Measure::Concurrency => format!("{number} request{s} at a time"),
    }
}

/// `600`, `$12.5`
fn number(measure: Measure, amount: u64) -> String {
    let plain = plain(measure, amount);
    match measure {
        Measure::Cost => format!("${plain}"),
        _ => plain,
    }
}

/// `600`; money in dollars, `12.5`.
pub fn plain(measure: Measure, amount: u64) -> String {
    match measure {
        Measure::Cost => Money::from_nano(i64::try_from(amount).unwrap_or(i64::MAX)).to_string(),
        Measure::Requests
        | Measure::InputTokens
        | Measure::OutputTokens
        | Measure::Tokens
        | Measure::Images
        | Measure::Concurrency => amount.to_string(),
    }
}

/// As the configuration writes it: `minute`, `300s`, `total`; `None` for what is under way.
pub(super) fn per(limit: &Limit) -> Option<String> {
    match &limit.window {
        Window::Sliding(seconds) => Some(length(*seconds)),
        Window::Calendar { unit, .. } => Some(unit.name().to_owned()),
        Window::Total => Some("total".to_owned()),
        Window::Now => None,
    }
}

/// `5m`, `1h`, `30d`, `90s`
pub fn length(seconds: u32) -> String {
    for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
        if seconds.is_multiple_of(unit) && seconds > 0 {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

/// `2027-01-01T00:00:00Z`, in whole seconds, none too early.
pub(super) fn rfc3339(at: Millis) -> String {
    let seconds = at.div_euclid(1_000) + i64::from(at.rem_euclid(1_000) > 0);
    let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    format!("{at:.0}")
}
