//! Which events are asked for, as far as whoever asks may see them.

use lingate_metering::Id;
use lingate_store::{AuditFilter, AuditOutcome};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::{Allowed, Reach};
use crate::frame::moment;
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// The id of the organization that it was done in.
    organization: Option<String>,
    /// The id of the project that it was done in.
    project: Option<String>,
    /// Who did it: the id or the name.
    actor: Option<String>,
    /// What was done, such as `organization.update`; `organization`: whatever was done to organizations.
    action: Option<String>,
    /// What it was done to: the id or the name.
    object: Option<String>,
    /// `done` or `refused`.
    outcome: Option<String>,
    /// What one request did.
    request_id: Option<String>,
    /// Not before this moment (RFC 3339).
    since: Option<String>,
    /// Before this moment (RFC 3339).
    until: Option<String>,
}

impl Asked {
    pub(super) fn filter(self, allowed: &Allowed) -> Result<AuditFilter, Problem> {
        let id = |field: &str, text: Option<String>| -> Result<Option<Id>, Problem> {
            text.map(|text| text.parse())
                .transpose()
                .map_err(|_| Problem::invalid(field, "expected an id"))
        };
        let at =
            |field: &str, text: Option<String>| text.map(|text| moment(field, &text)).transpose();
        let outcome = match self.outcome.as_deref() {
            None => None,
            Some("done") => Some(AuditOutcome::Done),
            Some("refused") => Some(AuditOutcome::Refused),
            Some(_) => return Err(Problem::invalid("outcome", "expected done or refused")),
        };
        let (organizations, projects) = match allowed.reach() {
            Reach::All => (None, Vec::new()),
            Reach::Some {
                organizations,
                projects,
                ..
            } => (Some(organizations), projects),
        };
        Ok(AuditFilter {
            organizations,
            projects,
            organization: id("organization", self.organization)?,
            project: id("project", self.project)?,
            actor: self.actor,
            action: self.action,
            object: self.object,
            outcome,
            request_id: self.request_id,
            since: at("since", self.since)?,
            until: at("until", self.until)?,
            before: None,
            limit: 0,
        })
    }
}
