//! `GET /dashboard/billing/usage`

use axum::Json;
use axum::extract::{Query, State};
use http::request::Parts;
use lingate_metering::Money;
use lingate_store::Month;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::account::{Account, Refused, bad, now, number};
use crate::Admin;
use crate::frame::day;

const DAY: i64 = 24 * 60 * 60 * 1000;
/// Days that are told at once.
const MOST: i64 = 366;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The first day, in UTC (`2027-01-01`); if nothing is said, the first of this month.
    start_date: Option<String>,
    /// The day after the last one; if nothing is said, tomorrow.
    end_date: Option<String>,
}

/// What the shown key has used
///
/// `total_usage` is in cents of a dollar.
#[utoipa::path(
    get,
    path = "/dashboard/billing/usage",
    tag = "billing",
    operation_id = "get_billing_usage",
    params(Wanted),
    responses(
        (status = 200, description = "In the form of OpenAI's dashboard", body = Value),
        (status = "default", description = "An error in the form of OpenAI", body = Value),
    ),
)]
pub(super) async fn usage(
    State(admin): State<Admin>,
    Query(wanted): Query<Wanted>,
    parts: Parts,
) -> Result<Json<Value>, Refused> {
    let account = Account::of(&admin, &parts).await?;
    let read = |field: &str, text: Option<&String>| {
        let day = text.map(|text| day(field, text).map(|day| day.saturating_mul(DAY)));
        day.transpose().map_err(|problem| bad(&problem.detail))
    };
    let from = read("start_date", wanted.start_date.as_ref())?;
    let from = from.unwrap_or_else(|| Month::of(now()).begins());
    let until = read("end_date", wanted.end_date.as_ref())?;
    let until = until.unwrap_or_else(|| (now() / DAY + 1) * DAY);
    if until <= from || (until - from) / DAY > MOST {
        return Err(bad(
            "`end_date` must be after `start_date`, by at most 366 days",
        ));
    }
    let days = account.used(&admin, from, until).await?;
    let total: Money = days.iter().map(|(_, used)| *used).sum();
    let cents = |money: Money| number(Money::from_nano(money.nano().saturating_mul(100)));
    let costs: Vec<Value> = days
        .iter()
        .map(|(at, used)| {
            json!({
                "timestamp": at / 1000,
                "line_items": [{"name": "models", "cost": cents(*used)}],
            })
        })
        .collect();
    Ok(Json(json!({
        "object": "list",
        "total_usage": cents(total),
        "daily_costs": costs,
    })))
}

/// What the shown key has used, below `/v1`
#[utoipa::path(
    get,
    path = "/v1/dashboard/billing/usage",
    tag = "billing",
    operation_id = "get_billing_usage_v1",
    params(Wanted),
    responses(
        (status = 200, description = "In the form of OpenAI's dashboard", body = Value),
        (status = "default", description = "An error in the form of OpenAI", body = Value),
    ),
)]
pub(super) async fn usage_v1(
    admin: State<Admin>,
    wanted: Query<Wanted>,
    parts: Parts,
) -> Result<Json<Value>, Refused> {
    usage(admin, wanted, parts).await
}
