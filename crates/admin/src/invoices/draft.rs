//! `GET /api/v1/invoices/draft`

use axum::extract::{Query, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use super::paper::{Paper, answer};
use super::shown::Shown;
use super::wanted;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// By its id.
    organization: String,
    /// Also one that is not over yet (`2027-01`).
    month: String,
    /// `json`, `csv` or `html`; if nothing is said, what `Accept` names.
    format: Option<String>,
}

/// What an invoice would say
///
/// It is made from what is written of the month by now, without a tax, and kept nowhere.
#[utoipa::path(
    get,
    path = "/api/v1/invoices/draft",
    tag = "invoices",
    operation_id = "draft_invoice",
    params(Wanted),
    responses(
        (status = 200, description = "The draft", content(
            (Shown = "application/json"), (String = "text/csv"), (String = "text/html"),
        )),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn draft(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(asked): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let month = wanted::month("month", &asked.month)?;
    let new = wanted::bare(&admin, &allowed, &asked.organization, month).await?;
    let document = admin.store()?.draft_invoice(&new).await?;
    answer(&Paper::Draft(&document), asked.format.as_deref(), &headers)
}
