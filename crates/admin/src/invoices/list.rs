//! `GET /api/v1/invoices`

use axum::Json;
use axum::extract::{Query, State};
use lingate_store::{InvoiceFilter, InvoiceState};
use serde::Deserialize;
use utoipa::IntoParams;

use super::shown::Shown;
use super::wanted;
use crate::Admin;
use crate::access::{Allowed, Reach};
use crate::frame::{Listing, Page, cursor};
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Of this organization alone, by its id.
    organization: Option<String>,
    /// Of this month alone (`2027-01`).
    month: Option<String>,
    /// `issued`, `paid` or `void`.
    state: Option<String>,
    /// The credit notes of this invoice.
    invoice: Option<String>,
}

/// Invoices and credit notes, the newest first
#[utoipa::path(
    get,
    path = "/api/v1/invoices",
    tag = "invoices",
    operation_id = "list_invoices",
    params(Listing, Wanted),
    responses(
        (status = 200, description = "A page of them, without their lines", body = Page<Shown>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Shown>>, Problem> {
    let id = |field: &'static str, text: Option<&str>| {
        let read = |text: &str| {
            text.parse()
                .map_err(|_| Problem::invalid(field, "expected an id"))
        };
        text.map(read).transpose()
    };
    let organization = id("organization", wanted.organization.as_deref())?;
    let organizations = match (allowed.reach(), organization) {
        (Reach::All, None) => None,
        (Reach::All, Some(wanted)) => Some(vec![wanted]),
        (Reach::Some { organizations, .. }, wanted) => Some(
            organizations
                .into_iter()
                .filter(|id| wanted.is_none_or(|wanted| wanted == *id))
                .collect(),
        ),
    };
    let state = wanted.state.as_deref().map(|name| {
        InvoiceState::from_name(name)
            .ok_or_else(|| Problem::invalid("state", "expected issued, paid or void"))
    });
    let month = wanted.month.as_deref();
    let filter = InvoiceFilter {
        organizations,
        month: month.map(|text| wanted::month("month", text)).transpose()?,
        state: state.transpose()?,
        of: id("invoice", wanted.invoice.as_deref())?,
        after: listing.after()?,
        limit: listing.limit()?,
    };
    let (invoices, next) = admin.store()?.invoices(&filter).await?;
    Ok(Json(Page {
        items: invoices.iter().map(Shown::brief).collect(),
        next: next.map(|id| cursor(&id.to_string())),
    }))
}
