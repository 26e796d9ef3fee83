//! `POST /api/v1/invoices`

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::shown::Shown;
use super::wanted::{self, WantedCurrency, WantedTax};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Found, moment};
use crate::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInvoice)]
pub(super) struct New {
    /// By its id.
    organization: String,
    /// One that is over.
    #[schema(example = "2027-01")]
    month: String,
    tax: Option<WantedTax>,
    /// A currency to show the amount in besides.
    convert_to: Option<WantedCurrency>,
    /// When it is to be paid.
    #[schema(example = "2027-03-01T00:00:00Z")]
    due_at: Option<String>,
    note: Option<String>,
}

/// Issue the invoice of a month
///
/// It gets a number, and says the same from then on: what it says is what was written of the month when it was issued. What a wallet has
/// paid for is not to be paid again. There is one for each organization and month, unless it was made void.
#[utoipa::path(
    post,
    path = "/api/v1/invoices",
    tag = "invoices",
    operation_id = "issue_invoice",
    request_body = New,
    responses(
        (status = 201, description = "The invoice", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn issue(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(asked): Body<New>,
) -> Result<Found<Shown>, Problem> {
    allowed.on_platform()?;
    let month = wanted::month("/month", &asked.month)?;
    let mut new = match wanted::bare(&admin, &allowed, &asked.organization, month).await {
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            return Err(Problem::invalid("/organization", problem.detail));
        }
        found => found?,
    };
    if let Some(tax) = &asked.tax {
        new.tax = tax.read()?;
    }
    new.shown = asked
        .convert_to
        .as_ref()
        .map(WantedCurrency::read)
        .transpose()?;
    let note = asked.note.as_deref();
    new.note = note
        .map(|note| wanted::short("/note", note, 2000))
        .transpose()?;
    let due = asked.due_at.as_deref();
    new.due_at = due.map(|text| moment("/due_at", text)).transpose()?;
    let invoice = allowed.store(&admin)?.issue_invoice(&new).await?;
    Ok(Found {
        status: StatusCode::CREATED,
        revision: invoice.revision,
        value: Shown::whole(&invoice),
    })
}
