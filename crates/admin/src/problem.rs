//! Why a request cannot be answered, as RFC 9457 writes it: with a code that stays the same, and a hint of what to do.

use std::num::NonZeroU32;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use lingate_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// A problem of whoever asks, or of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `about:blank`: the title says what the status says.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    title: &'static str,
    #[schema(example = 422)]
    status: u16,
    /// What programs can go by. It stays the same.
    #[schema(example = "invalid")]
    pub(crate) code: &'static str,
    /// What is wrong, for people.
    pub(crate) detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// Each field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldError>,
    /// So many seconds are to be waited before it is tried again; `Retry-After` says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub(crate) retry_after: Option<NonZeroU32>,
    /// The request, as the log and the audit log know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// A JSON pointer into the body (`/limits/0/per`), or the name of a query parameter.
    #[schema(example = "/name")]
    pub(crate) field: String,
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            hint: None,
            errors: Vec::new(),
            retry_after: None,
            request_id: None,
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        let seconds = u32::try_from(seconds.max(1)).unwrap_or(u32::MAX);
        self.retry_after = NonZeroU32::new(seconds);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The request cannot be read.
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// A value is not one that can be.
    pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError {
            field: field.into(),
            detail: detail.into(),
        }])
    }

    /// Several values are not.
    pub(crate) fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let detail: Vec<String> = errors
            .iter()
            .map(|error| format!("{}: {}", error.field, error.detail))
            .collect();
        Self {
            errors,
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                detail.join("; "),
            )
        }
    }

    /// Nobody is signed in, and no token is shown.
    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// It is not there, or not for whoever asks, who cannot tell which.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("there is no such {what}"),
        )
    }

    /// The gateway failed, and has logged why.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the gateway failed; the log says why",
        )
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// The configuration file defines it.
    pub(crate) fn read_only(what: &str) -> Self {
        Self::conflict(
            "defined_in_file",
            format!("this {what} is defined in lingate.yml and cannot be changed here"),
        )
        .hint("change the file; the gateway takes the change up by itself")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Away(_) | StoreError::Busy(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_away",
                "the database cannot be reached at the moment",
            )
            .hint("ask again in a few seconds"),
            StoreError::Full(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "database_full",
                "the disk of the database is full",
            ),
            StoreError::ReadOnly(_) | StoreError::Denied(_) | StoreError::Unfit(_) => {
                tracing::error!(error = %detail, "the database cannot be used");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "database_unfit",
                    "the database cannot be used; the log says why",
                )
            }
            StoreError::NotFound { kind, .. } => Self::not_found(&kind.to_string()),
            StoreError::Missing { field, kind, .. } => {
                Self::invalid(format!("/{field}"), format!("there is no such {kind}"))
            }
            StoreError::Taken { .. } => Self::conflict("name_taken", detail)
                .hint("choose another name, or change what is there"),
            StoreError::SecretTaken => Self::conflict("secret_taken", detail),
            StoreError::Stale { .. } => Self::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
                .hint("read it again, and send its ETag as If-Match"),
            StoreError::InUse { .. } => Self::conflict("in_use", detail)
                .hint("delete what belongs to it first, or block it instead"),
            StoreError::LastOne { .. } => Self::conflict("last_one", detail),
            StoreError::Spent { .. } => Self::new(StatusCode::GONE, "spent", detail),
            StoreError::Invalid { field, problem } => Self::invalid(format!("/{field}"), problem),
            StoreError::Other(_) => {
                tracing::error!(error = %detail, "the database failed");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.get()));
        }
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        // Whoever knows the request writes it in.
        response.extensions_mut().insert(self);
        response
    }
}
