//! `POST /api/v1/code-batches`

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use lingate_store::{Code, CodeBatch, NewCodeBatch, Worth};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Dollars, Form, Sheet, moment};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCodeBatch)]
pub(super) struct New {
    #[schema(minimum = 1, maximum = 100_000)]
    count: u32,
    /// What each is good for in money; this, or `plan` and `days`.
    value: Option<Dollars>,
    /// The plan that each gives to an organization for some time.
    plan: Option<String>,
    #[schema(minimum = 1, maximum = 3660)]
    days: Option<u32>,
    /// Up to 12 letters and digits before each code.
    #[serde(default)]
    prefix: String,
    note: Option<String>,
    /// How many of them one organization may redeem; if nothing is said, any number.
    per_organization: Option<u32>,
    /// RFC 3339
    expires_at: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `json` or `csv`; if nothing is said, what `Accept` names.
    format: Option<String>,
}

/// A new batch, with its codes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeCodes)]
pub(super) struct Made {
    #[serde(flatten)]
    batch: Shown,
    /// They are shown here and never again.
    codes: Vec<String>,
}

/// Make codes
///
/// They are shown in this answer and never again: what is kept are hashes.
#[utoipa::path(
    post,
    path = "/api/v1/code-batches",
    tag = "codes",
    operation_id = "create_code_batch",
    params(Wanted),
    request_body = New,
    responses(
        (status = 201, description = "The batch and its codes", content((Made = "application/json"), (String = "text/csv"))),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    Body(new): Body<New>,
) -> Result<Response, Problem> {
    allowed.on_platform()?;
    let form = Form::wanted(wanted.format.as_deref(), &headers)?;
    let worth = match (new.value, new.plan, new.days) {
        (Some(value), None, None) => Worth::Money(value.0),
        (None, Some(plan), Some(days)) => {
            if admin.knows_plan(&plan) == Some(false) {
                return Err(Problem::invalid("/plan", "there is no such plan"));
            }
            Worth::Plan { plan, days }
        }
        (None, Some(_), None) => return Err(Problem::invalid("/days", "for how many days?")),
        (None, None, _) => {
            return Err(Problem::invalid(
                "/value",
                "a code is good for a `value`, or for `days` of a `plan`",
            ));
        }
        (Some(_), _, _) => {
            return Err(Problem::invalid(
                "/value",
                "a code is good for money or for a plan, not for both",
            ));
        }
    };
    let expires_at = new
        .expires_at
        .map(|text| moment("/expires_at", &text))
        .transpose()?;
    let batch = NewCodeBatch {
        count: new.count,
        worth,
        prefix: new.prefix,
        note: new.note,
        per_organization: new.per_organization,
        expires_at,
    };
    let (batch, codes) = allowed.store(&admin)?.make_codes(batch).await?;
    let mut response = match form {
        Form::Csv => sheet(&batch, &codes).file(&format!("codes-{}.csv", batch.id)),
        Form::Json | Form::Html => Json(Made {
            batch: Shown::of(&batch),
            codes: codes.iter().map(Code::reveal).collect(),
        })
        .into_response(),
    };
    *response.status_mut() = StatusCode::CREATED;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn sheet(batch: &CodeBatch, codes: &[Code]) -> Sheet {
    let mut sheet = Sheet::new(&["place", "code", "value", "plan", "days", "expires_at"]);
    let shown = Shown::of(batch);
    let value = shown
        .value
        .map(|value| value.to_string())
        .unwrap_or_default();
    let days = shown.days.map(|days| days.to_string()).unwrap_or_default();
    for (place, code) in (1..).zip(codes) {
        let place: u32 = place;
        let cells = [
            &place.to_string(),
            &code.reveal(),
            &value,
            shown.plan.as_deref().unwrap_or_default(),
            &days,
            shown.expires_at.as_deref().unwrap_or_default(),
        ];
        sheet.row(&cells);
    }
    sheet
}
