//! `GET /api/v1/invoices/{id}`

use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};
use lingate_store::Invoice;
use serde::Deserialize;
use utoipa::IntoParams;

use super::paper::{Paper, answer};
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `json`, `csv` or `html`; if nothing is said, what `Accept` names.
    format: Option<String>,
}

/// An invoice or a credit note, whole
#[utoipa::path(
    get,
    path = "/api/v1/invoices/{id}",
    tag = "invoices",
    operation_id = "get_invoice",
    params(("id" = String, Path, description = "The id of the invoice"), Wanted),
    responses(
        (status = 200, description = "The invoice", content(
            (Shown = "application/json"), (String = "text/csv"), (String = "text/html"),
        )),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let invoice = find(&admin, &allowed, &id).await?;
    let mut response = answer(&Paper::Issued(&invoice), wanted.format.as_deref(), &headers)?;
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", invoice.revision)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The one that a path names, for whoever holds the endpoint's permission in its organization.
pub(super) async fn find(admin: &Admin, allowed: &Allowed, id: &str) -> Result<Invoice, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("invoice"))?;
    let invoice = admin.store()?.invoice(id).await?;
    let organization = invoice.document.organization.id.parse();
    let organization = organization.map_err(|_| Problem::not_found("invoice"))?;
    allowed.in_organization(organization, "invoice")?;
    Ok(invoice)
}
