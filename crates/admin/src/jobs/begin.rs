//! Begins a job, and tells of it until it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use lingate_store::{JobState, Store, new_id};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Shown;
use crate::problem::Problem;

/// How often it is told how far a job is; well below the time after which it counts as lost.
const BEAT: Duration = Duration::from_millis(500);

/// A job, from the inside.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    far: Arc<Mutex<Far>>,
    ends: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Far {
    total: Option<u64>,
    done: u64,
    outcome: Value,
}

impl Work {
    pub(crate) fn tell(&self, total: Option<u64>, done: u64, outcome: Value) {
        let mut far = self.far.lock().unwrap_or_else(PoisonError::into_inner);
        *far = Far {
            total,
            done,
            outcome,
        };
    }

    /// Somebody wants it to end.
    pub(crate) fn is_cancelled(&self) -> bool {
        *self.ends.borrow()
    }

    fn far(&self) -> (Option<u64>, u64, Value) {
        let far = self.far.lock().unwrap_or_else(PoisonError::into_inner);
        (far.total, far.done, far.outcome.clone())
    }
}

/// The job as it is at its beginning; `work` goes on without whoever asked for it.
pub(crate) async fn begin<F>(
    store: Store,
    kind: &str,
    object: &str,
    work: impl FnOnce(Work) -> F + Send,
) -> Result<(StatusCode, axum::Json<Shown>), Problem>
where
    F: Future<Output = Result<(), Problem>> + Send + 'static,
{
    let id = new_id();
    let job = store.create_job(id, kind, object).await?;
    let (end, ends) = watch::channel(false);
    let inside = Work {
        far: Arc::new(Mutex::new(Far {
            outcome: json!({}),
            ..Far::default()
        })),
        ends,
    };
    let task = tokio::spawn(work(inside.clone()));
    tokio::spawn(async move {
        let mut task = task;
        let ended = loop {
            tokio::select! {
                ended = &mut task => break ended,
                () = tokio::time::sleep(BEAT) => {
                    let (total, done, outcome) = inside.far();
                    // A database that is away is the work's to notice.
                    if let Ok(true) = store.tell_job(id, JobState::Running, total, done, &outcome).await {
                        end.send_replace(true);
                    }
                }
            }
        };
        let (total, done, mut outcome) = inside.far();
        let state = match ended {
            Ok(Ok(())) if *end.borrow() => JobState::Cancelled,
            Ok(Ok(())) => JobState::Done,
            Ok(Err(problem)) => failed(&mut outcome, &problem),
            // It panicked.
            Err(_) => failed(&mut outcome, &Problem::internal()),
        };
        // Should the database be away just now, the job is worth some patience.
        for _ in 0..20 {
            match store.tell_job(id, state, total, done, &outcome).await {
                Ok(_) => return,
                Err(error) if error.passes() => tokio::time::sleep(BEAT).await,
                Err(error) => {
                    tracing::error!(%error, job = %id, "what became of a job cannot be written down");
                    return;
                }
            }
        }
    });
    Ok((StatusCode::ACCEPTED, axum::Json(Shown::of(job))))
}

fn failed(outcome: &mut Value, problem: &Problem) -> JobState {
    if let Value::Object(outcome) = outcome {
        outcome.insert("problem".to_owned(), json!(problem.detail));
    }
    JobState::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_has_failed() {
        let folder = std::env::temp_dir().join(format!("lingate-job-{}", new_id()));
        let opened = Store::open(&"sqlite".parse().unwrap(), &folder).await;
        let store = opened.unwrap();
        let work = async |work: Work| {
            work.tell(Some(7), 3, json!({"added": 3}));
            assert!(work.is_cancelled(), "as it is meant");
            Ok(())
        };
        let _begun = begin(store.clone(), "test", "", work).await.unwrap();
        let job = loop {
            let (jobs, _) = store.jobs(None, 10).await.unwrap();
            if jobs[0].state != JobState::Running {
                break jobs[0].clone();
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((job.state, job.done), (JobState::Failed, 3));
        let expect = json!({"added": 3, "problem": "the gateway failed; the log says why"});
        assert_eq!(job.outcome, expect);
        store.close().await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
