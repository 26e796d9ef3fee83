//! `GET /api/v1/sign-in-providers/public`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::settings_of;
use crate::Admin;
use crate::frame::Page;
use crate::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInChoice)]
pub(super) struct Choice {
    name: String,
    #[schema(example = "Sign in with Example")]
    label: String,
    /// Where a browser is sent to sign in so; `return_to` takes the path where it ends.
    #[schema(example = "/api/v1/oidc/example/start")]
    start: String,
}

/// How one can sign in, for whoever is about to
#[utoipa::path(
    get,
    path = "/api/v1/sign-in-providers/public",
    tag = "sign-in",
    operation_id = "list_sign_in_choices",
    responses(
        (status = 200, description = "All that are in use, by name", body = Page<Choice>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn public(State(admin): State<Admin>) -> Result<Json<Page<Choice>>, Problem> {
    let all = admin.store()?.sign_in_providers().await?;
    let mut items = Vec::new();
    for one in all.into_iter().filter(|one| one.value.enabled) {
        let label = settings_of(&one.value)?.label;
        let name = one.value.name;
        items.push(Choice {
            label: label.unwrap_or_else(|| name.clone()),
            start: format!("/api/v1/oidc/{name}/start"),
            name,
        });
    }
    Ok(Json(Page { items, next: None }))
}
