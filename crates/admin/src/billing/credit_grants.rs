//! `GET /dashboard/billing/credit_grants`

use axum::Json;
use axum::extract::State;
use http::request::Parts;
use serde_json::{Value, json};

use super::account::{Account, Refused, number};
use super::subscription::granted;
use crate::Admin;

/// What is granted, used and left
#[utoipa::path(
    get,
    path = "/dashboard/billing/credit_grants",
    tag = "billing",
    operation_id = "get_billing_credit_grants",
    responses(
        (status = 200, description = "In the form of OpenAI's dashboard, of this month (UTC)", body = Value),
        (status = "default", description = "An error in the form of OpenAI", body = Value),
    ),
)]
pub(super) async fn credit_grants(
    State(admin): State<Admin>,
    parts: Parts,
) -> Result<Json<Value>, Refused> {
    let account = Account::of(&admin, &parts).await?;
    let used = account.used_this_month(&admin).await?;
    let (granted, left) = granted(used, account.left);
    Ok(Json(json!({
        "object": "credit_summary",
        "total_granted": granted,
        "total_used": number(used),
        "total_available": left,
        "grants": {"object": "list", "data": []},
    })))
}
