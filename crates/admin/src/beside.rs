//! How requests get here: over the gateway's listeners, or from the command line in its own process.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use lingate_gateway::{Answering, Audience, Beside, CutShort, Origin, OtherBody};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::Admin;
use crate::access::Local;
use crate::frame::{Coming, STALL};

/// Where a request comes from; it is in the extensions of every request.
pub(crate) type From = Origin;

/// What callers of models ask about their own account, in the forms of other gateways.
const FOR_CALLERS: [&str; 3] = [
    "/dashboard/billing/",
    "/v1/dashboard/billing/",
    "/api/usage/token",
];

/// Payment services are outside, where callers are.
const FROM_PAYMENT_SERVICES: &str = "/api/v1/payments/stripe/webhook";

/// Where small gateways tell what keys were used for, and where it is here.
const OLD_KEY_STATS: [&str; 2] = ["/v1/api-keys/stats", "/api/api-keys/stats"];
const KEY_STATS: &str = "/api/v1/api-keys/stats";

impl Beside for Admin {
    fn audience(&self, path: &str) -> Option<Audience> {
        if FOR_CALLERS.iter().any(|theirs| path.starts_with(theirs)) {
            return Some(Audience::Callers);
        }
        if path.starts_with(FROM_PAYMENT_SERVICES) {
            return Some(Audience::Both);
        }
        let ours = path.starts_with("/api/v1/")
            || OLD_KEY_STATS.contains(&path)
            || path == "/openapi.json"
            || path == "/docs"
            || path.starts_with("/docs/");
        ours.then_some(Audience::Operators)
    }

    fn answer(self: Arc<Self>, request: Request<Incoming>, origin: Origin) -> Answering {
        Box::pin(async move {
            let mut request = request.map(|body| Body::new(Coming::new(body, STALL)));
            request.extensions_mut().insert(origin);
            if OLD_KEY_STATS.contains(&request.uri().path()) {
                *request.uri_mut() = at_key_stats(request.uri());
            }
            self.route(request).await.map(whole_or_cut)
        })
    }
}

impl Admin {
    /// Answers a request of the command line, which may do everything. `user`: who it is, as the system knows them.
    pub async fn call(&self, mut request: Request<Bytes>, user: &str) -> Response<OtherBody> {
        request.extensions_mut().insert(Local {
            user: user.to_owned(),
        });
        request.extensions_mut().insert(Origin {
            peer: std::net::Ipv4Addr::LOCALHOST.into(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            request_id: format!("req_{}", Uuid::now_v7().simple()),
        });
        self.route(request.map(Body::from)).await.map(whole_or_cut)
    }

    async fn route(&self, request: Request<Body>) -> Response<Body> {
        let answered: Result<_, Infallible> = self.router().clone().oneshot(request).await;
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn at_key_stats(old: &Uri) -> Uri {
    let query = old.query().map(|query| format!("?{query}"));
    let path = format!("{KEY_STATS}{}", query.unwrap_or_default());
    // What stood in an address can stand there again.
    path.parse().unwrap_or_else(|_| old.clone())
}

/// A body that fails on its way is cut off there, and the log says why.
fn whole_or_cut(body: Body) -> OtherBody {
    OtherBody::new(body.map_err(|error| {
        tracing::error!(%error, "an answer of the control plane was cut off");
        CutShort
    }))
}
