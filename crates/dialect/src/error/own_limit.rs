//! Limits of the gateway's own, as errors tell of them to programs.

use crate::json::{Array, Object};

/// A limit that refuses a request. Amounts are texts, since those of money have a fraction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnLimit {
    /// `key`, `user`, `project`, `organization`
    pub scope: &'static str,
    /// Whose it is: `acme/web`
    pub of: String,
    pub name: Option<String>,
    /// `requests`, `cost` …
    pub measure: &'static str,
    pub amount: String,
    /// Without the request.
    pub used: String,
    /// What the request asks for.
    pub asked: String,
    /// `minute`, `300s`, `total`; `None`: it is about what is under way.
    pub per: Option<String>,
    /// When enough of it is free again, if nothing more is taken. RFC 3339; `None`: time alone does not help.
    pub resets_at: Option<String>,
    /// The same request may pass within a minute.
    pub passes_soon: bool,
}

impl OwnLimit {
    /// Writes it as the member `limit` of an error.
    pub(crate) fn write(&self, error: &mut Object<'_>) {
        let Self {
            scope,
            of,
            name,
            measure,
            amount,
            used,
            asked,
            per,
            resets_at,
            passes_soon: _,
        } = self;
        let mut limit = error.object("limit");
        limit.string("scope", scope);
        limit.string("of", of);
        limit.some_string("name", name.as_deref());
        limit.string("measure", measure);
        limit.string("amount", amount);
        limit.string("used", used);
        limit.string("asked", asked);
        limit.some_string("per", per.as_deref());
        limit.some_string("resets_at", resets_at.as_deref());
    }

    /// Writes it as google.rpc has it. Clients take a quota counted by day as a reason to stop, any other as one to try again.
    pub(crate) fn write_quota(&self, failure: &mut Object<'_>) {
        let mut word = String::new();
        for part in self.measure.split('_') {
            let mut letters = part.chars();
            word.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            word.push_str(letters.as_str());
        }
        let period = if self.passes_soon {
            "PerMinute"
        } else {
            "PerDay"
        };
        let mut violations: Array<'_> = failure.array("violations");
        let mut violation = violations.object();
        violation.string("subject", &format!("{}:{}", self.scope, self.of));
        violation.string("quotaMetric", &format!("lingate/{}", self.measure));
        violation.string("quotaId", &format!("Lingate{word}{period}"));
        violation.string("quotaValue", &self.amount);
        let mut dimensions = violation.object("quotaDimensions");
        dimensions.some_string("name", self.name.as_deref());
        dimensions.string("used", &self.used);
        dimensions.string("asked", &self.asked);
        dimensions.some_string("per", self.per.as_deref());
        dimensions.some_string("resetsAt", self.resets_at.as_deref());
    }
}
