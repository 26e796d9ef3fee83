//! `GET /api/usage/token`

use axum::Json;
use axum::extract::State;
use http::request::Parts;
use lingate_metering::Money;
use serde_json::{Value, json};

use super::account::{Account, Refused};
use crate::Admin;

/// Units of quota of a dollar, as the clients of other gateways reckon.
const UNITS: i128 = 500_000;

/// How the shown key stands
///
/// In units of which a dollar has 500,000: what it used in this month (UTC), and what is left of its limits and of the wallet.
#[utoipa::path(
    get,
    path = "/api/usage/token",
    tag = "billing",
    operation_id = "get_token_usage",
    responses(
        (status = 200, description = "In the form of one-api's descendants", body = Value),
        (status = "default", description = "An error in the form of OpenAI", body = Value),
    ),
)]
pub(super) async fn token(
    State(admin): State<Admin>,
    parts: Parts,
) -> Result<Json<Value>, Refused> {
    let account = Account::of(&admin, &parts).await?;
    let used = account.used_this_month(&admin).await?;
    let key = account.principal.key.as_ref();
    let allowed = key
        .map(|key| key.rules.allow_models.as_slice())
        .unwrap_or_default();
    let models: serde_json::Map<String, Value> = allowed
        .iter()
        .map(|model| (model.clone(), Value::Bool(true)))
        .collect();
    let left = account.left.unwrap_or_default();
    Ok(Json(json!({
        "code": true,
        "message": "ok",
        "data": {
            "object": "token_usage",
            "name": key.map_or("", |key| &key.name),
            "total_granted": units(used.plus(left)),
            "total_used": units(used),
            "total_available": units(left),
            "unlimited_quota": account.left.is_none(),
            "model_limits": models,
            "model_limits_enabled": !allowed.is_empty(),
            "expires_at": key.and_then(|key| key.expires_at).map_or(0, |at| at / 1000),
        },
    })))
}

/// Whole units; what is less than one is none.
fn units(money: Money) -> i64 {
    let units = i128::from(money.nano()) * UNITS / 1_000_000_000;
    i64::try_from(units).unwrap_or(i64::MAX)
}
