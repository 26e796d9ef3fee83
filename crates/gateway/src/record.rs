//! What became of one request: one line in the log when it is over, however it ended.

use std::time::Instant;

use http::{Method, StatusCode};
use lingate_dialect::hub::Usage;
use lingate_dialect::stream::{Outcome, Summary};
use lingate_dialect::{ApiError, DialectId, ErrorKind};
use lingate_journal::GATEWAY_LOST;
use lingate_metering::record::Provenance;
use lingate_routing::{Attempt, Class, Fault, Step};

use crate::caller::Caller;
use crate::clock::Clock;
use crate::ledger::{About, Account, Answered, Took};
use crate::relay::OVERDUE;
use crate::{fault, panics, trail};

/// Facts about one request, gathered on its way. Settled once; dropped unsettled, the caller has left.
#[derive(Debug)]
pub(crate) struct Record {
    facts: Option<Facts>,
}

#[derive(Debug)]
struct Facts {
    request_id: String,
    dialect: DialectId,
    model: String,
    /// The name of the caller's key; empty where callers have none.
    caller: String,
    /// `organization/project`
    project: String,
    stream: bool,
    /// The arm of an experiment.
    arm: Option<String>,
    /// It is the copy of one, whose answer nobody gets.
    mirror: Option<bool>,
    started: Instant,
    attempts: u32,
    trail: Vec<Step>,
    provider: String,
    upstream_model: String,
    losses: usize,
    /// Requests for the rest of an answer were made, each with a key of its own.
    mended: bool,
    answering: Option<Answering>,
    /// What it has taken of limits, and what is written down of it.
    account: Option<Box<Account>>,
}

/// The attempt that answers; what it holds is let go when the answer is over.
#[derive(Debug)]
struct Answering {
    attempt: Box<Attempt>,
    clock: Clock,
}

impl Record {
    pub(crate) fn new(
        request_id: String,
        dialect: DialectId,
        model: String,
        caller: &Caller,
        stream: bool,
    ) -> Self {
        let facts = Facts {
            request_id,
            dialect,
            model,
            caller: caller.name().to_owned(),
            stream,
            arm: None,
            mirror: None,
            started: Instant::now(),
            attempts: 0,
            trail: Vec::new(),
            provider: String::new(),
            upstream_model: String::new(),
            losses: 0,
            mended: false,
            answering: None,
            account: None,
            project: project_of(caller),
        };
        Self { facts: Some(facts) }
    }

    /// Of a question of the gateway's own: nothing is told of it.
    pub(crate) fn none() -> Self {
        Self { facts: None }
    }

    /// An attempt begins.
    pub(crate) fn attempt(&mut self, provider: &str, upstream_model: &str) {
        if let Some(facts) = &mut self.facts {
            facts.attempts += 1;
            provider.clone_into(&mut facts.provider);
            upstream_model.clone_into(&mut facts.upstream_model);
        }
    }

    /// It is let in; the account is closed with the record.
    pub(crate) fn admit(&mut self, account: Account) {
        if let Some(facts) = &mut self.facts {
            facts.account = Some(Box::new(account));
        }
    }

    /// The account, until the request is over.
    pub(crate) fn account(&mut self) -> Option<&mut Account> {
        self.facts.as_mut()?.account.as_deref_mut()
    }

    /// The experiment that the request takes part in, and its arm.
    pub(crate) fn arm(&mut self, split: &str, model: &str) {
        if let Some(facts) = &mut self.facts {
            facts.arm = Some(format!("{split}={model}"));
        }
    }

    /// It is a copy, for a mirror.
    pub(crate) fn is_mirror(&mut self) {
        if let Some(facts) = &mut self.facts {
            facts.mirror = Some(true);
        }
    }

    /// What came of an attempt.
    pub(crate) fn step(&mut self, step: Step) {
        if let Some(facts) = &mut self.facts {
            facts.trail.push(step);
        }
    }

    /// The attempt answers; it is over with the record.
    pub(crate) fn answers(&mut self, attempt: Box<Attempt>, clock: Clock) {
        if let Some(facts) = &mut self.facts {
            facts.answering = Some(Answering { attempt, clock });
            if let Some(account) = &mut facts.account {
                account.begins();
            }
        }
    }

    /// The attempts, as the caller is told them.
    pub(crate) fn trail(&self) -> String {
        self.facts.as_ref().map_or_else(String::new, |facts| {
            trail::header(facts.attempts, &facts.trail)
        })
    }

    /// So many more requests were made for one answer.
    pub(crate) fn further(&mut self, requests: u32) {
        if let Some(facts) = &mut self.facts {
            facts.attempts = facts.attempts.saturating_add(requests);
            facts.mended |= requests > 0;
        }
    }

    /// So many places of the request or of the answer could not be carried.
    pub(crate) fn lost(&mut self, losses: usize) {
        if let Some(facts) = &mut self.facts {
            facts.losses = losses;
        }
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.facts.as_ref().map_or(0, |facts| facts.attempts)
    }

    /// An attempt failed.
    pub(crate) fn failed(&mut self, error: &ApiError, fault: &Fault, key: &str) {
        if let Some(facts) = &mut self.facts {
            if may_be_billed(fault)
                && let Some(account) = &mut facts.account
            {
                account.doubts();
            }
            let facts = &*facts;
            tracing::info!(request_id = facts.request_id, provider = facts.provider, model = facts.upstream_model, attempt = facts.attempts, key, kind = ?error.kind, error = error.message, "attempt failed");
        }
    }

    /// An upstream is about to be asked. `Err`: what it takes could not be recorded, so it is not to be asked.
    pub(crate) fn asks(&mut self) -> Result<(), ApiError> {
        self.with_account(About::AWAITED, Account::asks)
            .unwrap_or(Ok(()))
            .map_err(|error| {
                tracing::error!(%error, "a request is refused, since its usage could not be recorded");
                let message = "this request's usage cannot be recorded now; try again later";
                let mut error = ApiError::new(ErrorKind::Overloaded, message);
                error.code = Some("usage_not_recordable".to_owned());
                error.retry_after = Some(std::time::Duration::from_secs(1));
                error
            })
    }

    /// An answer was not given to the caller, though its vendor is paid for it.
    pub(crate) fn throws_away(&mut self, summary: &Summary) {
        self.with_account(About::AWAITED, |account, about| {
            account.throws_away(summary, about);
        });
    }

    /// That answer is given after all; `provider` and `model` gave it.
    pub(crate) fn takes_back(&mut self, summary: &Summary, provider: &str, model: &str) {
        if let Some(facts) = &mut self.facts {
            provider.clone_into(&mut facts.provider);
            model.clone_into(&mut facts.upstream_model);
        }
        self.with_account(About::AWAITED, |account, about| {
            account.takes_back(summary, about);
        });
    }

    /// Whether it is time to write down how far the answer has come.
    pub(crate) fn is_due(&self) -> bool {
        let account = self.facts.as_ref().and_then(|facts| facts.account.as_ref());
        account.is_some_and(|account| account.is_due())
    }

    /// The answer has come so far, and goes on.
    pub(crate) fn goes_on(&mut self, so_far: &Summary) {
        self.with_account(About::AWAITED, |account, about| {
            account.goes_on(so_far, about);
        });
    }

    /// What ends the answer is about to go out.
    pub(crate) fn ends(&mut self, so_far: &Summary) {
        let ending = About {
            outcome: so_far.outcome.name(),
            ..About::AWAITED
        };
        self.with_account(ending, |account, about| account.goes_on(so_far, about));
    }

    fn with_account<T>(
        &mut self,
        about: About<'_>,
        ask: impl FnOnce(&mut Account, &About<'_>) -> T,
    ) -> Option<T> {
        let facts = self.facts.as_mut()?;
        let mut account = facts.account.take()?;
        let told = ask(&mut account, &facts.about(about));
        facts.account = Some(account);
        Some(told)
    }

    /// The request was answered with an error.
    pub(crate) fn refuse(mut self, error: &ApiError, status: u16) {
        if let Some(mut facts) = self.facts.take() {
            let about = About {
                outcome: Outcome::UpstreamError.name(),
                status,
                error: Some(&error.message),
                ..About::AWAITED
            };
            let took = facts.close(Answered::None, about);
            let milliseconds = facts.started.elapsed().as_millis();
            tracing::warn!(
                request_id = facts.request_id,
                dialect = facts.dialect.name(),
                model = facts.model,
                caller = facts.caller,
                project = facts.project,
                provider = facts.provider,
                attempts = facts.attempts,
                trail = %trail::Line(&facts.trail),
                arm = facts.arm,
                mirror = facts.mirror,
                status,
                kind = ?error.kind,
                error = error.message,
                usage = took.provenance.map(name_of),
                milliseconds,
                "request failed"
            );
        }
    }

    /// The answer is over.
    pub(crate) fn settle(mut self, summary: &Summary) -> Took {
        let facts = self.facts.take();
        facts.map_or_else(Took::default, |facts| {
            let error = summary.error.as_ref();
            facts.log(summary.outcome, Answered::So(summary), error)
        })
    }

    /// The caller has the head of an answer, and there is none.
    pub(crate) fn fail(mut self, error: &ApiError) {
        if let Some(facts) = self.facts.take() {
            facts.log(Outcome::UpstreamError, Answered::None, Some(error));
        }
    }
}

impl Facts {
    /// What the record of the request says, beside `about`.
    fn about<'a>(&'a self, about: About<'a>) -> About<'a> {
        About {
            dialect: self.dialect.name(),
            model: &self.model,
            provider: &self.provider,
            upstream_model: &self.upstream_model,
            stream: self.stream,
            attempts: self.attempts,
            ..about
        }
    }

    fn close(&mut self, answered: Answered<'_>, about: About<'_>) -> Took {
        match self.account.take() {
            Some(account) => account.close(answered, &self.about(about)),
            None => Took::of(answered),
        }
    }

    fn log(mut self, outcome: Outcome, answered: Answered<'_>, error: Option<&ApiError>) -> Took {
        let word = word_of(outcome);
        let about = About {
            outcome: word,
            error: error.map(|error| error.message.as_str()),
            ..About::AWAITED
        };
        // Before the caller is told that it is over.
        let took = self.close(answered, about);
        let usage = took.usage;
        if let Some(answering) = self.answering.take() {
            let broke = answering.over(outcome, usage, error, self.mended);
            if let Some(step) = self.trail.last_mut() {
                step.fault = broke;
            }
        }
        tracing::info!(
            request_id = self.request_id,
            dialect = self.dialect.name(),
            model = self.model,
            caller = self.caller,
            project = self.project,
            provider = self.provider,
            upstream_model = self.upstream_model,
            stream = self.stream,
            attempts = self.attempts,
            trail = %trail::Line(&self.trail),
            arm = self.arm,
            mirror = self.mirror,
            losses = self.losses,
            outcome = word,
            error = error.map(|error| error.message.as_str()),
            input_tokens = usage.map(|usage| usage.prompt()),
            output_tokens = usage.map(|usage| usage.output),
            usage = took.provenance.map(name_of),
            cost = took.cost.map(tracing::field::display),
            price = took.price.map(tracing::field::display),
            milliseconds = self.started.elapsed().as_millis(),
            "request"
        );
        took
    }
}

/// As logs and records say it. A panic leaves a request as unfinished as a caller does who leaves; the caller is there, though.
fn word_of(outcome: Outcome) -> &'static str {
    if outcome == Outcome::ClientGone && panics::is_clearing() {
        return GATEWAY_LOST;
    }
    outcome.name()
}

/// As records say it.
fn name_of(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Reported => "reported",
        Provenance::Counted => "counted",
        Provenance::Estimated => "estimated",
        Provenance::Unknown => "unknown",
    }
}

impl Answering {
    /// How the answer went, for the health of who gave it; why it broke off, if it did. `mended`: what the error says of a key may
    /// be about another one.
    fn over(
        mut self,
        outcome: Outcome,
        usage: Option<Usage>,
        error: Option<&ApiError>,
        mended: bool,
    ) -> Option<Fault> {
        let now = self.clock.now();
        if let Some(usage) = usage {
            let tokens = usage.prompt().saturating_add(usage.output);
            self.attempt.spent(tokens);
        }
        match outcome {
            // A caller who reads slowly makes an answer last as long as it may: that is no failure of who gives it.
            Outcome::Truncated | Outcome::UpstreamError
                if error.is_some_and(|error| error.code.as_deref() == Some(OVERDUE)) =>
            {
                None
            }
            Outcome::Truncated | Outcome::UpstreamError => {
                let fault = error.map_or_else(|| Fault::new(Class::Network), fault::told);
                if !(mended && fault.class.is_of_key()) {
                    self.attempt.broke(&fault, now);
                }
                Some(fault)
            }
            Outcome::Complete
            | Outcome::Length
            | Outcome::Refusal
            | Outcome::ToolUse
            | Outcome::Repaired => {
                let output = usage.map_or(0, |usage| usage.output);
                self.attempt.finished(output, now);
                None
            }
            Outcome::ClientGone => None,
        }
    }
}

/// `organization/project`
fn project_of(caller: &Caller) -> String {
    let principal = caller.principal();
    format!("{}/{}", principal.organization.name, principal.project.name)
}

/// Whether the vendor may have done its work, though no answer came of it that says so.
fn may_be_billed(fault: &Fault) -> bool {
    match fault.class {
        Class::Timeout | Class::BadAnswer => true,
        Class::Network => fault.code == fault::of_broken().code,
        Class::KeyDead
        | Class::Exhausted
        | Class::RateLimited
        | Class::Overloaded
        | Class::Upstream
        | Class::Client
        | Class::Unfit
        | Class::ContextLength
        | Class::Refused => false,
    }
}

/// A request was answered with an error before there was anything to record: nothing is there, nobody may, nothing can be read.
pub(crate) fn turned_away(
    request_id: &str,
    dialect: DialectId,
    method: &Method,
    path: &str,
    error: &ApiError,
    status: StatusCode,
) {
    tracing::warn!(
        request_id,
        dialect = dialect.name(),
        %method,
        path,
        status = status.as_u16(),
        kind = ?error.kind,
        error = error.message,
        "request turned away"
    );
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(facts) = self.facts.take() {
            facts.log(Outcome::ClientGone, Answered::Abandoned, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A request that is given up when this is dropped.
    struct GivenUp<'t>(&'t Cell<&'static str>);

    impl Drop for GivenUp<'_> {
        fn drop(&mut self) {
            self.0.set(word_of(Outcome::ClientGone));
        }
    }

    #[test]
    fn a_request_that_a_panic_ends_is_not_told_to_be_given_up_by_its_caller() {
        let word = Cell::new("");
        drop(GivenUp(&word));
        assert_eq!(word.get(), "client_gone");
        panics::clear(GivenUp(&word));
        assert_eq!(word.get(), GATEWAY_LOST);
        assert_eq!(word_of(Outcome::Complete), "complete");
    }
}
