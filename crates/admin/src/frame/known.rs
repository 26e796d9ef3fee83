//! What each path can be asked: its methods and the parameters of its query, as the OpenAPI document describes them. What is misspelt
//! is said to be, instead of being left out in silence.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::body::MOST;
use crate::problem::{FieldError, Problem};

/// Of each path, the parameters of each method.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<String, Vec<(Method, Vec<String>)>>);

impl Known {
    pub(crate) fn of(document: &Value) -> Arc<Self> {
        let mut known = Self::default();
        let paths = document["paths"].as_object();
        for (path, operations) in paths.into_iter().flatten() {
            let operations = operations.as_object();
            for (method, operation) in operations.into_iter().flatten() {
                let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else {
                    continue;
                };
                let parameters = operation["parameters"].as_array();
                let names = parameters.into_iter().flatten();
                let names = names.filter(|parameter| parameter["in"] == "query");
                let names = names.filter_map(|parameter| parameter["name"].as_str());
                let names = names.filter(|name| *name != "fields");
                let names = names.map(str::to_owned).collect();
                let of_path = known.0.entry(path.clone()).or_default();
                of_path.push((method, names));
            }
        }
        Arc::new(known)
    }
}

fn asked(method: &Method) -> &Method {
    if method == Method::HEAD {
        &Method::GET
    } else {
        method
    }
}

/// Refuses methods that a path does not have, before anybody is asked who they are.
pub(crate) async fn methods(
    State(known): State<Arc<Known>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let of_path = path.as_ref().and_then(|path| known.0.get(path.as_str()));
    let Some(of_path) = of_path else {
        return next.run(request).await;
    };
    let method = asked(request.method());
    if of_path.iter().any(|(known, _)| known == method) {
        return next.run(request).await;
    }
    let mut allowed: Vec<&str> = of_path.iter().map(|(known, _)| known.as_str()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let allowed = allowed.join(", ");
    let mut response = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        format!("{} takes {allowed}", request.uri().path()),
    )
    .hint("GET /openapi.json lists what there is")
    .into_response();
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Refuses parameters that an endpoint does not have.
pub(crate) async fn parameters(
    State(known): State<Arc<Known>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let query = request.uri().query().unwrap_or("");
    // Beside `/api/v1` stands what other gateways' clients ask, with parameters of their own.
    // And what a browser brings back from an issuer is the issuer's to choose.
    let path = path.filter(|path| {
        path.as_str().starts_with("/api/v1/")
            && !path.as_str().starts_with("/api/v1/oidc/")
            && !query.is_empty()
    });
    let of_path = path.as_ref().and_then(|path| known.0.get(path.as_str()));
    let method = asked(request.method());
    let found = of_path.and_then(|of_path| of_path.iter().find(|(known, _)| known == method));
    let Some((_, names)) = found else {
        return next.run(request).await;
    };
    let unknown: Vec<FieldError> = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name != "fields" && !names.iter().any(|known| known == name))
        .map(|(name, _)| FieldError {
            field: name.into_owned(),
            detail: match names.as_slice() {
                [] => "unknown parameter; this takes none but fields".to_owned(),
                names => format!("unknown parameter; expected {}, fields", names.join(", ")),
            },
        })
        .take(MOST)
        .collect();
    if unknown.is_empty() {
        return next.run(request).await;
    }
    Problem::invalid_fields(unknown).into_response()
}
