//! What was sent, what came, and what to do about it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::gateway::Unsent;

/// One thing that was looked at.
#[derive(Debug)]
struct Check {
    client: &'static str,
    sent: String,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    /// With what is worth telling.
    Right(String),
    /// Not wrong, but somebody may want to know.
    Note(String),
    Wrong(Fault),
}

/// What is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) came: String,
    pub(super) advice: String,
}

impl Fault {
    pub(super) fn new(came: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            came: came.into(),
            advice: advice.into(),
        }
    }
}

impl From<Unsent> for Fault {
    fn from(unsent: Unsent) -> Self {
        Self::new(
            format!("no answer: {}", unsent.0),
            "start the gateway (`lingate serve`), or name its address with --url",
        )
    }
}

/// All checks, in order.
#[derive(Debug, Default)]
pub(super) struct Report {
    client: &'static str,
    checks: Vec<Check>,
}

impl Report {
    /// What follows belongs to this client.
    pub(super) fn turn_to(&mut self, client: &'static str) {
        self.client = client;
    }

    /// `sent`: the request or the thing looked at. `found`: what is worth telling of a right answer.
    pub(super) fn check(&mut self, sent: impl Into<String>, found: Result<String, Fault>) {
        let verdict = match found {
            Ok(came) => Verdict::Right(came),
            Err(fault) => Verdict::Wrong(fault),
        };
        self.add(sent.into(), verdict);
    }

    pub(super) fn note(&mut self, sent: impl Into<String>, note: impl Into<String>) {
        self.add(sent.into(), Verdict::Note(note.into()));
    }

    fn add(&mut self, sent: String, verdict: Verdict) {
        self.checks.push(Check {
            client: self.client,
            sent,
            verdict,
        });
    }

    pub(super) fn failed(&self) -> usize {
        let wrong = |check: &&Check| matches!(check.verdict, Verdict::Wrong(_));
        self.checks.iter().filter(wrong).count()
    }

    /// A line per check, and one with advice below what failed.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut client = "";
        for check in &self.checks {
            if check.client != client {
                client = check.client;
                _ = writeln!(text, "{client}");
            }
            let (mark, came) = match &check.verdict {
                Verdict::Right(came) => ("ok    ", came),
                Verdict::Note(came) => ("note  ", came),
                Verdict::Wrong(fault) => ("FAIL  ", &fault.came),
            };
            _ = writeln!(text, "  {mark}{}: {came}", check.sent);
            if let Verdict::Wrong(fault) = &check.verdict {
                _ = writeln!(text, "        → {}", fault.advice);
            }
        }
        let failed = self.failed();
        let all = self.checks.len();
        _ = match failed {
            0 => writeln!(text, "{all} checks, all well"),
            failed => writeln!(text, "{all} checks, {failed} failed"),
        };
        text
    }

    pub(super) fn json(&self) -> String {
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|check| {
                let (result, came, advice) = match &check.verdict {
                    Verdict::Right(came) => ("ok", came, None),
                    Verdict::Note(came) => ("note", came, None),
                    Verdict::Wrong(fault) => ("failed", &fault.came, Some(&fault.advice)),
                };
                json!({"client": check.client, "sent": check.sent, "result": result, "came": came, "advice": advice})
            })
            .collect();
        let mut text = json!({"failed": self.failed(), "checks": checks}).to_string();
        text.push('\n');
        text
    }
}
