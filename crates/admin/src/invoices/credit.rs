//! `POST /api/v1/invoices/{id}/credit-notes`

use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::get::find;
use super::shown::Shown;
use super::wanted;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Dollars, Found};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCreditNote)]
pub(super) struct New {
    /// In whole cents, the tax included; not there: all that is left of the invoice.
    amount: Option<Dollars>,
    /// Why.
    note: Option<String>,
}

/// Give back some of an invoice, or all of it
///
/// A credit note has a number of its own. All of an invoice's credit notes together are at most what was to be paid.
#[utoipa::path(
    post,
    path = "/api/v1/invoices/{id}/credit-notes",
    tag = "invoices",
    operation_id = "credit_invoice",
    params(("id" = String, Path, description = "The id of the invoice")),
    request_body = New,
    responses(
        (status = 201, description = "The credit note", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn credit(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    Body(new): Body<New>,
) -> Result<Found<Shown>, Problem> {
    let invoice = find(&admin, &allowed, &id).await?;
    allowed.on_platform()?;
    let note = new.note.as_deref();
    let note = note
        .map(|note| wanted::short("/note", note, 2000))
        .transpose()?;
    let amount = new.amount.map(|dollars| dollars.0);
    let store = allowed.store(&admin)?;
    let credited = store.credit_invoice(invoice.id, amount, note).await?;
    Ok(Found {
        status: StatusCode::CREATED,
        revision: credited.revision,
        value: Shown::whole(&credited),
    })
}
