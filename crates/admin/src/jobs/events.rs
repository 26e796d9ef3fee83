//! `GET /api/v1/jobs/{id}/events`

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Sse;
use axum::response::sse::Event;
use futures_util::Stream;
use lingate_metering::Id;
use lingate_store::{JobState, Store};

use super::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// How often it is looked how far the job is: as often as it tells.
const LOOK: Duration = Duration::from_millis(500);

/// How far a job is, as it goes on
///
/// Events of the name `job`, each with the whole job as its data, whenever something has changed; the stream ends with the job.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/events",
    operation_id = "watch_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of the job")),
    responses(
        (status = 200, description = "Its events", body = String, content_type = "text/event-stream"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn events(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    allowed.on_platform()?;
    let id: Id = id.parse().map_err(|_| Problem::not_found("job"))?;
    let store = allowed.store(&admin)?;
    // Whoever asks for a job that is not there is told so.
    store.job(id).await?;
    Ok(Sse::new(told(store, id)))
}

/// Looks without news after which a comment shows that the stream is alive.
const QUIET: u32 = 30;

/// Where a stream is.
struct Place {
    store: Store,
    last: String,
    over: bool,
}

fn told(store: Store, id: Id) -> impl Stream<Item = Result<Event, Infallible>> {
    let first = Place {
        store,
        last: String::new(),
        over: false,
    };
    futures_util::stream::unfold(first, move |mut place| async move {
        if place.over {
            return None;
        }
        for _ in 0..QUIET {
            // A database that is away for a moment is no end; a job that is gone is one.
            match place.store.job(id).await {
                Ok(job) => {
                    place.over = job.state != JobState::Running;
                    let text = serde_json::to_string(&Shown::of(job)).unwrap_or_default();
                    if text != place.last {
                        place.last.clone_from(&text);
                        return Some((Ok(Event::default().event("job").data(text)), place));
                    }
                    if place.over {
                        return None;
                    }
                }
                Err(error) if error.passes() => {}
                Err(_) => return None,
            }
            tokio::time::sleep(LOOK).await;
        }
        Some((Ok(Event::default().comment("")), place))
    })
}
