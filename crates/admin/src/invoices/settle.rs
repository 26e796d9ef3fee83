//! `POST /api/v1/invoices/{id}/pay` and `POST /api/v1/invoices/{id}/void`

use axum::extract::{Path, State};
use http::StatusCode;
use lingate_store::InvoiceState;

use super::get::find;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Found, IfMatch};
use crate::problem::Problem;

/// Say that an invoice was paid
#[utoipa::path(
    post,
    path = "/api/v1/invoices/{id}/pay",
    tag = "invoices",
    operation_id = "pay_invoice",
    params(("id" = String, Path, description = "The id of the invoice")),
    responses(
        (status = 200, description = "The invoice", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn pay(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<Found<Shown>, Problem> {
    settle(&admin, &allowed, &id, InvoiceState::Paid, if_match).await
}

/// Make an invoice void
///
/// It counts for nothing, its number stays used, and its month may be invoiced anew. What was paid or credited cannot be void.
#[utoipa::path(
    post,
    path = "/api/v1/invoices/{id}/void",
    tag = "invoices",
    operation_id = "void_invoice",
    params(("id" = String, Path, description = "The id of the invoice")),
    responses(
        (status = 200, description = "The invoice", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn void(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<Found<Shown>, Problem> {
    settle(&admin, &allowed, &id, InvoiceState::Void, if_match).await
}

async fn settle(
    admin: &Admin,
    allowed: &Allowed,
    id: &str,
    state: InvoiceState,
    IfMatch(expected): IfMatch,
) -> Result<Found<Shown>, Problem> {
    let invoice = find(admin, allowed, id).await?;
    allowed.on_platform()?;
    let store = allowed.store(admin)?;
    let invoice = store.settle_invoice(invoice.id, state, expected).await?;
    Ok(Found {
        status: StatusCode::OK,
        revision: invoice.revision,
        value: Shown::whole(&invoice),
    })
}
