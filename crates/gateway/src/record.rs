//! What became of one request: one line in the log when it is over, however it ended.

use std::time::Instant;

use http::{Method, StatusCode};
use lingate_dialect::hub::Usage;
use lingate_dialect::stream::{Outcome, Summary};
use lingate_dialect::{ApiError, DialectId};
use lingate_routing::{Attempt, Class, Fault, Step};

use crate::caller::Caller;
use crate::clock::Clock;
use crate::ledger::Permit;
use crate::relay::OVERDUE;
use crate::service::milliseconds_since_1970;
use crate::{fault, trail};

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
    /// What it has taken of the counters.
    permit: Option<Permit>,
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
        let caller = caller.name().to_owned();
        let facts = Facts {
            request_id,
            dialect,
            model,
            caller,
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
            permit: None,
        };
        Self { facts: Some(facts) }
    }

    /// An attempt begins.
    pub(crate) fn attempt(&mut self, provider: &str, upstream_model: &str) {
        if let Some(facts) = &mut self.facts {
            facts.attempts += 1;
            provider.clone_into(&mut facts.provider);
            upstream_model.clone_into(&mut facts.upstream_model);
        }
    }

    /// It is let in, and has taken what the permit holds.
    pub(crate) fn admit(&mut self, permit: Permit) {
        if let Some(facts) = &mut self.facts {
            facts.permit = Some(permit);
        }
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
    pub(crate) fn failed(&self, error: &ApiError, key: &str) {
        if let Some(facts) = &self.facts {
            tracing::info!(request_id = facts.request_id, provider = facts.provider, model = facts.upstream_model, attempt = facts.attempts, key, kind = ?error.kind, error = error.message, "attempt failed");
        }
    }

    /// The request was answered with an error.
    pub(crate) fn refuse(mut self, error: &ApiError, status: u16) {
        if let Some(facts) = self.facts.take() {
            let milliseconds = facts.started.elapsed().as_millis();
            tracing::warn!(
                request_id = facts.request_id,
                dialect = facts.dialect.name(),
                model = facts.model,
                caller = facts.caller,
                provider = facts.provider,
                attempts = facts.attempts,
                trail = %trail::Line(&facts.trail),
                arm = facts.arm,
                mirror = facts.mirror,
                status,
                kind = ?error.kind,
                error = error.message,
                milliseconds,
                "request failed"
            );
        }
    }

    /// The answer is over.
    pub(crate) fn settle(mut self, summary: &Summary) {
        if let Some(facts) = self.facts.take() {
            facts.log(summary.outcome, summary.usage, summary.error.as_ref());
        }
    }

    /// The caller has the head of an answer, and there is none.
    pub(crate) fn fail(mut self, error: &ApiError) {
        if let Some(facts) = self.facts.take() {
            facts.log(Outcome::UpstreamError, None, Some(error));
        }
    }
}

impl Facts {
    fn log(mut self, outcome: Outcome, usage: Option<Usage>, error: Option<&ApiError>) {
        if let Some(permit) = self.permit.take() {
            permit.settle(Vec::new(), milliseconds_since_1970());
        }
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
            provider = self.provider,
            upstream_model = self.upstream_model,
            stream = self.stream,
            attempts = self.attempts,
            trail = %trail::Line(&self.trail),
            arm = self.arm,
            mirror = self.mirror,
            losses = self.losses,
            outcome = outcome.name(),
            error = error.map(|error| error.message.as_str()),
            input_tokens = usage.map(|usage| usage.prompt()),
            output_tokens = usage.map(|usage| usage.output),
            milliseconds = self.started.elapsed().as_millis(),
            "request"
        );
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
            facts.log(Outcome::ClientGone, None, None);
        }
    }
}
