//! `GET /dashboard/billing/subscription`

use axum::Json;
use axum::extract::State;
use http::request::Parts;
use lingate_metering::Money;
use serde_json::{Value, json};

use super::account::{Account, Refused, UNBOUNDED, number};
use crate::Admin;

/// What the shown key may spend
///
/// `hard_limit_usd` is what it used in this month (UTC) and what is left of its limits and of the wallet: clients take from it what
/// `/dashboard/billing/usage` says of the month. Where nothing bounds it, a hundred million dollars.
#[utoipa::path(
    get,
    path = "/dashboard/billing/subscription",
    tag = "billing",
    operation_id = "get_billing_subscription",
    responses(
        (status = 200, description = "In the form of OpenAI's dashboard", body = Value),
        (status = "default", description = "An error in the form of OpenAI", body = Value),
    ),
)]
pub(super) async fn subscription(
    State(admin): State<Admin>,
    parts: Parts,
) -> Result<Json<Value>, Refused> {
    let account = Account::of(&admin, &parts).await?;
    let limit = match account.left {
        Some(left) => number(account.used_this_month(&admin).await?.plus(left)),
        None => json!(UNBOUNDED),
    };
    let key = account.principal.key.as_ref();
    let until = key.and_then(|key| key.expires_at).map_or(0, |at| at / 1000);
    Ok(Json(json!({
        "object": "billing_subscription",
        "has_payment_method": true,
        "soft_limit_usd": limit,
        "hard_limit_usd": limit,
        "system_hard_limit_usd": limit,
        "access_until": until,
    })))
}

/// What the shown key may spend, below `/v1`
#[utoipa::path(
    get,
    path = "/v1/dashboard/billing/subscription",
    tag = "billing",
    operation_id = "get_billing_subscription_v1",
    responses(
        (status = 200, description = "In the form of OpenAI's dashboard", body = Value),
        (status = "default", description = "An error in the form of OpenAI", body = Value),
    ),
)]
pub(super) async fn subscription_v1(
    admin: State<Admin>,
    parts: Parts,
) -> Result<Json<Value>, Refused> {
    subscription(admin, parts).await
}

/// What is granted, used and left, where something bounds it.
pub(super) fn granted(used: Money, left: Option<Money>) -> (Value, Value) {
    match left {
        Some(left) => (number(used.plus(left)), number(left)),
        None => (json!(UNBOUNDED), json!(UNBOUNDED)),
    }
}
