//! Work that lasts longer than a request: what it is, how far it is, and what came of it, also after the gateway that did it is gone.

use lingate_metering::{Id, Millis};
use serde_json::{Value, json};
use sqlx::QueryBuilder;

use crate::audit::{AuditNote, Deed};
use crate::database::{execute, on};
use crate::store::now;
use crate::{Kind, Store, StoreError};

/// Nobody has told of a job for so long: its gateway is gone.
const SILENT: Millis = 15_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Running,
    Done,
    Failed,
    Cancelled,
    /// Its gateway ended before it.
    Lost,
}

impl JobState {
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: Id,
    /// `import_provider_keys` …
    pub kind: String,
    /// What it works on: a provider.
    pub object: String,
    pub state: JobState,
    /// How much there is to do; `None`: nobody knows yet.
    pub total: Option<u64>,
    pub done: u64,
    /// What came of it so far, without secrets.
    pub outcome: Value,
    /// Somebody wants it to end.
    pub wanted_end: bool,
    /// Who began it.
    pub actor: String,
    pub created_at: Millis,
    pub ended_at: Option<Millis>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    object: String,
    state: String,
    total: Option<i64>,
    done: i64,
    outcome: String,
    wanted_end: bool,
    actor: String,
    created_at: i64,
    beat_at: i64,
    ended_at: Option<i64>,
}

const SELECT: &str = "SELECT id, kind, object, state, total, done, outcome, wanted_end, actor, created_at, beat_at, ended_at FROM jobs";

impl Row {
    fn job(self) -> Result<Job, StoreError> {
        let named = JobState::ALL
            .into_iter()
            .find(|state| state.name() == self.state);
        let state = match named.unwrap_or(JobState::Failed) {
            JobState::Running if now() - self.beat_at > SILENT => JobState::Lost,
            state => state,
        };
        Ok(Job {
            id: self
                .id
                .parse()
                .map_err(|_| StoreError::Other(format!("{} is no id", self.id)))?,
            kind: self.kind,
            object: self.object,
            state,
            total: self.total.and_then(|total| u64::try_from(total).ok()),
            done: u64::try_from(self.done).unwrap_or(0),
            outcome: serde_json::from_str(&self.outcome).unwrap_or_default(),
            wanted_end: self.wanted_end,
            actor: self.actor,
            created_at: self.created_at,
            ended_at: self.ended_at,
        })
    }
}

impl Store {
    pub async fn create_job(&self, id: Id, kind: &str, object: &str) -> Result<Job, StoreError> {
        let mut change = self.begin_change().await?;
        let at = change.at;
        let actor = self.act.as_ref().map(|act| act.name.clone());
        execute!(
            change.tx,
            "INSERT INTO jobs (id, kind, object, state, total, done, outcome, wanted_end, actor, created_at, beat_at, ended_at)
             VALUES ($1, $2, $3, 'running', NULL, 0, '{}', $4, $5, $6, $6, NULL)",
            id.to_string(),
            kind.to_owned(),
            object.to_owned(),
            false,
            actor.unwrap_or_default(),
            at
        )?;
        change.note(AuditNote {
            after: Some(json!({"object": object})),
            ..AuditNote::of(Deed::Create, Kind::Job, &id, kind)
        });
        self.commit(change).await?;
        self.job(id).await
    }

    /// Tells how far a job is; whether somebody wants it to end.
    pub async fn tell_job(
        &self,
        id: Id,
        state: JobState,
        total: Option<u64>,
        done: u64,
        outcome: &Value,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin_write().await?;
        let at = now();
        let ended = (state != JobState::Running).then_some(at);
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        execute!(
            tx,
            "UPDATE jobs SET state = $1, total = $2, done = $3, outcome = $4, beat_at = $5, ended_at = $6 WHERE id = $7",
            state.name(),
            total.map(number),
            number(done),
            outcome.to_string(),
            at,
            ended,
            id.to_string()
        )?;
        tx.commit().await?;
        Ok(self.job(id).await?.wanted_end)
    }

    /// The job ends soon, wherever it runs.
    pub async fn end_job(&self, id: Id) -> Result<Job, StoreError> {
        let job = self.job(id).await?;
        let mut change = self.begin_change().await?;
        let ends = execute!(
            change.tx,
            "UPDATE jobs SET wanted_end = $1 WHERE id = $2 AND state = 'running' AND NOT wanted_end",
            true,
            id.to_string()
        )?;
        if ends > 0 {
            change.note(AuditNote::of(Deed::Cancel, Kind::Job, &id, &job.kind));
            self.commit(change).await?;
        }
        self.job(id).await
    }

    pub async fn job(&self, id: Id) -> Result<Job, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE id = ").push_bind(id.to_string());
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let missing = StoreError::NotFound {
            kind: Kind::Job,
            id,
        };
        rows.into_iter().next().ok_or(missing)?.job()
    }

    /// The latest first. `before`: those that began before this one.
    pub async fn jobs(
        &self,
        before: Option<Id>,
        limit: u32,
    ) -> Result<(Vec<Job>, Option<Id>), StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            if let Some(before) = before {
                query.push(" WHERE id < ").push_bind(before.to_string());
            }
            query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        let jobs: Result<Vec<_>, _> = rows
            .into_iter()
            .take(limit as usize)
            .map(Row::job)
            .collect();
        let jobs = jobs?;
        let next = jobs.last().filter(|_| more).map(|job| job.id);
        Ok((jobs, next))
    }
}
