//! Why somebody is not signed in: what they are told, and what the audit log is told besides.

use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use lingate_store::StoreError;

use crate::problem::Problem;

/// Where a browser is shown how to sign in, and why it did not work.
pub(super) const PAGE: &str = "/sign-in";

#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) problem: Box<Problem>,
    /// The whole reason, for operators. Of tokens, codes and secrets nothing is in it.
    pub(super) why: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, told: &str, why: impl Into<String>) -> Self {
        Self {
            problem: Box::new(Problem::new(status, code, told)),
            why: why.into(),
        }
    }

    fn hint(self, hint: &str) -> Self {
        Self {
            problem: Box::new(self.problem.hint(hint)),
            ..self
        }
    }

    /// Nothing of this browser is under way.
    pub(super) fn over(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "sign_in_over",
            "this sign-in is over, or was begun in another browser",
            why,
        )
        .hint("sign in again")
    }

    pub(super) fn too_many() -> Self {
        let mut refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            "too many sign-ins are under way",
            "too many sign-ins are under way",
        );
        *refusal.problem = refusal.problem.retry_after(60);
        refusal
    }

    /// The issuer does not answer as it must.
    pub(super) fn issuer(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "issuer_unavailable",
            "the sign-in service does not answer as it should",
            why,
        )
        .hint("try again in a moment; the gateway's log says more")
    }

    /// The issuer has not let them in.
    pub(super) fn denied(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "sign_in_denied",
            "the sign-in service has not signed you in",
            why,
        )
        .hint("sign in again")
    }

    /// What the issuer says is not to be believed.
    pub(super) fn unproved(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "sign_in_unproved",
            "the sign-in service's answer proves nothing",
            why,
        )
        .hint("sign in again; the audit log says more")
    }

    /// The issuer knows them, and that is not enough.
    pub(super) fn not_let_in(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "not_let_in",
            "you cannot sign in to this gateway with this identity",
            why,
        )
        .hint("ask whoever operates it; the audit log says why")
    }

    /// Somebody is there already whom they may be.
    pub(super) fn account_exists(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "account_exists",
            "there is an account with this e-mail address already",
            why,
        )
        .hint("sign in to it as before, and add this identity there (POST /api/v1/me/identities)")
    }

    /// The identity is another account's.
    pub(super) fn identity_taken() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "identity_taken",
            "this identity belongs to another account",
            "the identity belongs to another account",
        )
    }

    /// To the page for signing in where a browser shows pages, else as a problem.
    pub(super) fn answer(self, parts: &Parts, provider: &str) -> Response {
        let accepts = parts.headers.get_all(header::ACCEPT).iter();
        let mut accepts = accepts.filter_map(|accepts| accepts.to_str().ok());
        if !accepts.any(|accepts| accepts.contains("text/html")) {
            return self.problem.into_response();
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("error", self.problem.code);
        query.append_pair("provider", provider);
        redirect(&format!("{PAGE}?{}", query.finish()))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let why = problem.detail.clone();
        Self {
            problem: Box::new(problem),
            why,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

pub(super) fn redirect(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // Of addresses that were read before.
    if let Ok(location) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
