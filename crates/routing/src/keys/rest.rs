//! A rest: why a key is left alone, until when, and who may look whether it is over.

use std::time::Duration;

use crate::Moment;

/// Why a key, or a key's use of one model, rests. The graver ones come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// Too many requests.
    Cooling,
    /// Its requests fail where those of other keys do not.
    Failing,
    /// No money or quota left.
    Exhausted,
    /// Not accepted.
    Disabled,
}

#[derive(Debug, Clone)]
pub(super) struct Rest {
    pub(super) cause: Cause,
    pub(super) until: Moment,
    /// When it began, or was last begun anew.
    pub(super) since: Moment,
    /// How often it was begun in a row.
    pub(super) strikes: u32,
    /// For people: `401 invalid_api_key`.
    pub(super) reason: Box<str>,
    /// When it is over, one request goes first, and the others wait for what it brings.
    single: bool,
    /// That request, and when it went.
    probe: Option<(u32, Moment)>,
}

/// However long an upstream says: after this a key is tried again.
const TOLD: Duration = Duration::from_hours(24);

/// A shorter cooldown is over before a restart is.
const WORTH_KEEPING: Duration = Duration::from_mins(1);

/// A request that goes first is waited for no longer than this; answers of models can take minutes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

impl Cause {
    /// How long the first rest lasts where the upstream does not say, and to what it grows by doubling.
    fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Cooling => (Duration::from_secs(1), Duration::from_mins(1)),
            Self::Failing => (Duration::from_secs(5), Duration::from_mins(5)),
            Self::Exhausted | Self::Disabled => (Duration::from_mins(1), Duration::from_hours(1)),
        }
    }

    /// For how long it rests after so many times in a row.
    pub(super) fn wait(self, told: Option<Duration>, strikes: u32) -> Duration {
        let (first, longest) = self.bounds();
        told.map_or_else(
            || {
                let doublings = strikes.saturating_sub(1).min(12);
                first.saturating_mul(1 << doublings).min(longest)
            },
            |told| told.min(TOLD),
        )
    }
}

impl Rest {
    /// A rest after what came `before`, if that is not forgotten yet.
    pub(super) fn after(
        before: Option<&Self>,
        cause: Cause,
        told: Option<Duration>,
        reason: &str,
        now: Moment,
    ) -> Self {
        let same = before.filter(|rest| rest.cause == cause);
        let strikes = match same {
            // Requests that are under way at the same time fail one after the other: that is one strike.
            Some(rest) if rest.until > now => rest.strikes.max(1),
            Some(rest) => rest.strikes.saturating_add(1),
            None => 1,
        };
        let until = now.after(cause.wait(told, strikes));
        Self {
            cause,
            until: before.map_or(until, |rest| until.max(rest.until)),
            since: same
                .filter(|rest| rest.until > now)
                .map_or(now, |rest| rest.since),
            strikes,
            reason: reason.into(),
            single: match cause {
                // The upstream's own word when it is over needs no proof; nor does a first guess.
                Cause::Cooling => told.is_none() && strikes > 1,
                Cause::Failing | Cause::Exhausted | Cause::Disabled => true,
            },
            probe: None,
        }
    }

    /// As it was kept over a restart.
    pub(super) fn restored(
        cause: Cause,
        strikes: u32,
        reason: &str,
        until: Moment,
        now: Moment,
    ) -> Self {
        Self {
            cause,
            until,
            since: now,
            strikes,
            reason: reason.into(),
            single: true,
            probe: None,
        }
    }

    /// Whether it is kept over a restart: what the upstream's word or a person has to end, and long limits.
    pub(super) fn is_kept(&self, now: Moment) -> bool {
        match self.cause {
            Cause::Cooling => now.until(self.until) >= WORTH_KEEPING,
            Cause::Failing => false,
            Cause::Exhausted | Cause::Disabled => true,
        }
    }

    /// Until when nothing goes; `None`: a request may go now.
    pub(super) fn blocks(&self, now: Moment) -> Option<Moment> {
        if now < self.until {
            return Some(self.until);
        }
        let (_, went) = self.probe.filter(|_| self.single)?;
        let until = went.after(PATIENCE);
        (now < until).then_some(until)
    }

    /// A request that goes first is under way.
    pub(super) fn is_probed(&self) -> bool {
        self.probe.is_some()
    }

    /// Whether a request that goes now goes first.
    pub(super) fn wants_probe(&self) -> bool {
        self.single
    }

    /// When it is over, everybody may go at once.
    pub(super) fn without_probe(&mut self) {
        self.single = false;
    }

    pub(super) fn probe(&mut self, serial: u32, now: Moment) {
        self.probe = Some((serial, now));
    }

    /// That request ended, and nobody said how. Whether it was the one that is waited for.
    pub(super) fn abandon(&mut self, serial: u32) -> bool {
        let mine = self.probe.is_some_and(|(known, _)| known == serial);
        if mine {
            self.probe = None;
        }
        mine
    }

    /// It should not have begun: the last strike is taken back. `None`: there were no others.
    pub(super) fn forgiven(mut self: Box<Self>, now: Moment) -> Option<Box<Self>> {
        if self.strikes <= 1 {
            return None;
        }
        self.strikes -= 1;
        self.until = now;
        self.probe = None;
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_each_time_in_a_row() {
        let seconds = Duration::from_secs;
        for (cause, told, strikes, expect) in [
            (Cause::Cooling, Some(7), 1, 7),
            (Cause::Cooling, Some(7), 9, 7),
            (Cause::Cooling, Some(0), 1, 0),
            (Cause::Cooling, Some(1_000_000), 1, 86_400),
            (Cause::Cooling, None, 1, 1),
            (Cause::Cooling, None, 4, 8),
            (Cause::Cooling, None, 31, 60),
            (Cause::Failing, None, 1, 5),
            (Cause::Failing, None, 3, 20),
            (Cause::Failing, None, 99, 300),
            (Cause::Exhausted, None, 1, 60),
            (Cause::Exhausted, Some(5), 3, 5),
            (Cause::Disabled, None, 1, 60),
            (Cause::Disabled, None, 3, 240),
            (Cause::Disabled, None, u32::MAX, 3_600),
        ] {
            let wait = cause.wait(told.map(seconds), strikes);
            assert_eq!(wait, seconds(expect), "{cause:?} {told:?} {strikes}");
        }
    }

    #[test]
    fn failures_at_the_same_time_are_one_strike() {
        let at = Moment::from_millis;
        let first = Rest::after(None, Cause::Disabled, None, "401", at(0));
        let second = Rest::after(Some(&first), Cause::Disabled, None, "401", at(10));
        assert_eq!(
            (second.strikes, second.until, second.since),
            (1, at(60_010), at(0))
        );
        let third = Rest::after(Some(&second), Cause::Disabled, None, "401", at(60_010));
        assert_eq!(
            (third.strikes, third.until, third.since),
            (2, at(180_010), at(60_010))
        );
        let short = Rest::after(
            Some(&third),
            Cause::Disabled,
            Some(Duration::ZERO),
            "401",
            at(60_020),
        );
        assert_eq!(short.until, third.until);
    }

    #[test]
    fn one_goes_first() {
        let at = Moment::from_millis;
        let mut rest = Rest::after(None, Cause::Disabled, None, "401", at(0));
        assert_eq!(rest.blocks(at(59_999)), Some(at(60_000)));
        assert_eq!(rest.blocks(at(60_000)), None);
        rest.probe(1, at(60_000));
        assert_eq!(rest.blocks(at(60_000)), Some(at(90_000)));
        assert_eq!(rest.blocks(at(90_000)), None);
        rest.probe(2, at(90_000));
        assert!(!rest.abandon(1));
        assert!(rest.blocks(at(90_001)).is_some());
        assert!(rest.abandon(2));
        assert_eq!(rest.blocks(at(90_001)), None);
    }
}
