//! `GET /api/v1/usage/series`

use axum::Json;
use axum::extract::{Query, State};
use lingate_store::{Grain, UsageQuery};
use serde::Deserialize;
use utoipa::IntoParams;

use super::asked::{Asked, group_by};
use super::report::{MEASURES, Shown, order, tell};
use super::scope;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::now;
use crate::problem::Problem;
use crate::tenants::Known;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Grouped {
    /// What sums are told apart by: up to two of organization, project, user, key, model, provider, with commas.
    #[param(example = "model,project")]
    group_by: Option<String>,
    /// What the first group has most of: `-requests`, `-price`, `-input_tokens`, `-output_tokens`, `-failed`.
    #[param(default = "-requests")]
    sort: Option<String>,
    /// At most so many groups, from 1 to 1000; of others nothing is told.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `minute`, `hour` or `day` (in UTC).
    #[param(default = "hour")]
    grain: Option<String>,
}

/// What was used, over time
///
/// Each group has a row for each minute, hour or day, also where nothing was used.
#[utoipa::path(
    get,
    path = "/api/v1/usage/series",
    operation_id = "get_usage_series",
    tag = "usage",
    params(Asked, Grouped),
    responses(
        (status = 200, description = "The sums", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn series(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(asked): Query<Asked>,
    Query(grouped): Query<Grouped>,
) -> Result<Json<Shown>, Problem> {
    let (from, to) = asked.time(now())?;
    let limit = grouped.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::invalid(
            "limit",
            "expected a number from 1 to 1000",
        ));
    }
    let known = Known::of(&admin, &allowed)?;
    let query = UsageQuery {
        measures: MEASURES.to_vec(),
        from,
        to,
        grain: Some(grain(grouped.grain.as_deref())?),
        group_by: group_by(grouped.group_by.as_deref())?,
        order: order(grouped.sort.as_deref())?,
        limit,
        filter: scope(&known, &allowed, asked.scoped()).await?,
    };
    let report = known.store.report(&query).await?;
    Ok(Json(tell(&known, &allowed, &query, &report).await?))
}

fn grain(text: Option<&str>) -> Result<Grain, Problem> {
    match text {
        None | Some("hour") => Ok(Grain::Hour),
        Some("minute") => Ok(Grain::Minute),
        Some("day") => Ok(Grain::Day),
        Some(_) => Err(Problem::invalid(
            "grain",
            "expected one of minute, hour, day",
        )),
    }
}
