//! A JSON body, or a problem that says what is wrong with it.

use axum::Json;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(match rejection.status() {
                http::StatusCode::UNPROCESSABLE_ENTITY => {
                    Problem::invalid("", rejection.body_text())
                }
                status => Problem::new(status, "bad_request", rejection.body_text()),
            }),
        }
    }
}
