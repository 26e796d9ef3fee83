//! All endpoints, each with its description.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse as _;
use axum::{Json, Router};
use http::{Method, Uri};
use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::configuration;
use crate::documents;
use crate::frame::{self, Known};
use crate::problem::Problem;
use crate::{
    Admin, access, api_keys, audit, billing, codes, docs, invoices, jobs, limits, live, me, oidc,
    organizations, payments, people, projects, provider_keys, requests, service_accounts, session,
    settings, sign_in_providers, tokens, usage, users, wallets,
};

/// What the document says of the whole.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Lingate",
        description = "The administration of a Lingate gateway, and the doors of models that it serves."
    ),
    tags((name = "organizations", description = "Companies, customers: what holds for all that belongs to one"),
        (name = "provider keys", description = "Credentials at providers that the database holds, sealed"),
        (name = "jobs", description = "Work that lasts longer than a request"),
        (name = "system", description = "The gateway itself"),
        (name = "projects", description = "Parts of organizations, for which keys are given out"),
        (name = "key pools", description = "The keys of providers, as this gateway uses them"),
        (name = "users", description = "People of an organization, who hold keys and limits"),
        (name = "service accounts", description = "Programs of an organization, which hold keys and limits"),
        (name = "api keys", description = "What callers of models show"),
        (name = "limits", description = "Limits and budgets in force, and how much of each is used"),
        (name = "usage", description = "What was used, in sums"),
        (name = "requests", description = "What became of each request, as far as records are kept"),
        (name = "wallets", description = "What organizations have paid in advance"),
        (name = "billing", description = "What callers of models are told of their own account, in the forms of other gateways"),
        (name = "invoices", description = "What organizations owe for a month"),
        (name = "payments", description = "What payment services tell"),
        (name = "audit", description = "Who did what, when and from where; only ever added to"),
        (name = "codes", description = "Codes that are redeemed once, for money or for time of a plan"),
        (name = "configuration", description = "All that is stored, as one text"),
        (name = "providers", description = "Who answers"),
        (name = "routes", description = "Which models go where"),
        (name = "plans", description = "What tenants are charged"),
        (name = "prices", description = "What models cost"),
        (name = "currencies", description = "What a dollar is worth in them"),
        (name = "session", description = "Signing in and out; who one is"),
        (name = "sign-in", description = "Signing in by another service's word (OpenID Connect)"),
        (name = "me", description = "One's own account"),
        (name = "tokens", description = "Personal access tokens, for scripts and the command line"),
        (name = "accounts", description = "Everybody who signs in"),
        (name = "memberships", description = "Who is what where"),
        (name = "invitations", description = "Roles for people who have no account yet")),
)]
struct About;

fn endpoints() -> OpenApiRouter<Admin> {
    OpenApiRouter::with_openapi(About::openapi())
        .routes(routes!(get_openapi))
        .merge(session::endpoints())
        .merge(oidc::endpoints())
        .merge(sign_in_providers::endpoints())
        .merge(live::endpoints())
        .merge(settings::endpoints())
        .merge(me::endpoints())
        .merge(tokens::endpoints())
        .merge(people::endpoints())
        .merge(organizations::endpoints())
        .merge(projects::endpoints())
        .merge(users::endpoints())
        .merge(service_accounts::endpoints())
        .merge(api_keys::endpoints())
        .merge(limits::endpoints())
        .merge(usage::endpoints())
        .merge(requests::endpoints())
        .merge(wallets::endpoints())
        .merge(billing::endpoints())
        .merge(codes::endpoints())
        .merge(invoices::endpoints())
        .merge(payments::endpoints())
        .merge(documents::endpoints())
        .merge(audit::endpoints())
        .merge(configuration::endpoints())
        .merge(provider_keys::endpoints())
        .merge(jobs::endpoints())
}

/// The endpoints as they describe themselves; [`crate::document`] is the whole document.
pub fn openapi() -> Document {
    endpoints().split_for_parts().1
}

pub(crate) fn build(admin: Admin) -> Router {
    let (router, _) = endpoints().split_for_parts();
    let known = Known::of(crate::document());
    // From the inside out.
    router
        .layer(from_fn_with_state(admin.clone(), frame::once))
        .layer(from_fn_with_state(Arc::clone(&known), frame::parameters))
        .layer(from_fn_with_state(admin.clone(), access::guard))
        .layer(from_fn_with_state(known, frame::methods))
        .layer(DefaultBodyLimit::max(frame::LARGEST))
        .merge(docs::pages())
        .fallback(nothing_there)
        .layer(from_fn(frame::around))
        .with_state(admin)
}

/// This document
#[utoipa::path(get, path = "/openapi.json", operation_id = "get_openapi", tag = "about", responses((status = 200, description = "The OpenAPI document of this gateway")))]
async fn get_openapi() -> Json<&'static Value> {
    Json(crate::document())
}

async fn nothing_there(method: Method, uri: Uri) -> axum::response::Response {
    Problem::new(
        http::StatusCode::NOT_FOUND,
        "no_endpoint",
        format!("there is no {method} {}", uri.path()),
    )
    .hint("GET /openapi.json lists what there is")
    .into_response()
}
