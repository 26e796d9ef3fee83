//! A job as it is told.

use lingate_store::{Job, JobState};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::frame::moment_text;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct Shown {
    pub(crate) id: String,
    #[schema(example = "import_provider_keys")]
    kind: String,
    /// What it works on.
    #[schema(example = "openai")]
    object: String,
    /// `running`, `done`, `failed`, `cancelled`, or `lost`: its gateway ended before it.
    #[schema(example = "running")]
    state: &'static str,
    /// How much there is to do; not there: nobody knows yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    done: u64,
    /// What came of it so far: counts, and the numbers of lines that were wrong.
    #[schema(value_type = Object)]
    outcome: Value,
    /// Who began it.
    actor: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

impl Shown {
    pub(crate) fn of(job: Job) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.kind,
            object: job.object,
            state: job.state.name(),
            total: job.total,
            done: job.done,
            outcome: job.outcome,
            actor: job.actor,
            created_at: moment_text(job.created_at),
            ended_at: job.ended_at.map(moment_text),
            hint: (job.state == JobState::Lost)
                .then_some("begin it again: what was done stays, and is not done twice"),
        }
    }
}
