//! `/docs`: the OpenAPI document as a page on which everything can be tried. All of it comes from this gateway; nothing is inline.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};

use crate::Admin;
use crate::problem::Problem;

/// Swagger UI sets styles by attribute, and draws with `data:` images; the rest is this gateway's alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Pages say nothing about anybody: nobody is asked who they are.
pub(crate) fn pages() -> Router<Admin> {
    Router::new()
        .route("/docs", get(page))
        .route("/docs/", get(|| async { Redirect::permanent("/docs") }))
        .route("/docs/{file}", get(file))
}

async fn page() -> Response {
    let mut response = axum::response::Html(include_str!("index.html")).into_response();
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    response
}

async fn file(Path(name): Path<String>) -> Response {
    if name == "try.js" {
        let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
        return (kind, include_str!("try.js")).into_response();
    }
    let known = [
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "favicon-32x32.png",
    ];
    let config = Arc::new(utoipa_swagger_ui::Config::from("/openapi.json"));
    let found = known
        .contains(&name.as_str())
        .then(|| utoipa_swagger_ui::serve(&name, config));
    let Some(Ok(Some(file))) = found else {
        return Problem::new(
            StatusCode::NOT_FOUND,
            "no_endpoint",
            "there is no such page",
        )
        .into_response();
    };
    let kind = [(header::CONTENT_TYPE, file.content_type.clone())];
    let mut response = (kind, file.bytes.into_owned()).into_response();
    if file.gzpipped {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
