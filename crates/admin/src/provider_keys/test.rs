//! `POST /api/v1/key-pools/{provider}/test`

use axum::Json;
use axum::extract::{Path, State};
use futures_util::StreamExt as _;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::Admin;
use crate::access::Allowed;
use crate::frame::Body;
use crate::jobs::{self, Shown as Job};
use crate::problem::Problem;

/// Keys that are asked about at the same time.
const AT_ONCE: usize = 8;

/// Keys that are told by name of those that failed.
const TOLD: usize = 100;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyPoolTest)]
pub(super) struct Test {
    /// Each key is asked for an answer of one token, which costs what it costs; left out: for the list of models, which costs nothing.
    #[schema(example = "gpt-5-mini")]
    model: Option<String>,
}

/// Ask the provider about each of its keys
///
/// However they stand. What is found out counts: a key that is refused rests, and one that is accepted is used again. The job's `outcome`
/// counts those that are `well`, that `failed`, and of which nothing is said (`unknown`), and tells the first that failed.
#[utoipa::path(
    post,
    path = "/api/v1/key-pools/{provider}/test",
    operation_id = "test_key_pool",
    tag = "key pools",
    params(("provider" = String, Path, description = "Its name")),
    request_body = Test,
    responses(
        (status = 202, description = "The job that asks", body = Job),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn test(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(provider): Path<String>,
    Body(asked): Body<Test>,
) -> Result<(StatusCode, Json<Job>), Problem> {
    allowed.on_platform()?;
    let tests = admin
        .gateway()?
        .key_tests(&provider, asked.model)
        .ok_or_else(|| Problem::not_found("provider"))?;
    let store = allowed.store(&admin)?;
    jobs::begin(store, "test_key_pool", &provider, move |work| async move {
        let total = tests.count();
        let (mut well, mut failed, mut unknown) = (0_u64, 0_u64, 0_u64);
        let mut failures: Vec<Value> = Vec::new();
        let inside = work.clone();
        let places = futures_util::stream::iter(0..total)
            .take_while(move |_| std::future::ready(!inside.is_cancelled()));
        let mut told = places
            .map(|place| {
                let tests = tests.clone();
                async move { tests.test(place).await }
            })
            .buffer_unordered(AT_ONCE);
        while let Some(key) = told.next().await {
            // It was taken away meanwhile.
            let Some(key) = key else { continue };
            match key.well {
                Some(true) => well += 1,
                None => unknown += 1,
                Some(false) => {
                    failed += 1;
                    if failures.len() < TOLD {
                        failures.push(json!({"key": key.key, "why": key.detail}));
                    }
                }
            }
            let outcome =
                json!({"well": well, "failed": failed, "unknown": unknown, "failures": failures});
            work.tell(Some(total as u64), well + failed + unknown, outcome);
        }
        Ok(())
    })
    .await
}
