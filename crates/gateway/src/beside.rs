//! What is served beside the doors of models, on the same listeners or on some of its own: the control plane. It belongs to another
//! crate; here is only how requests get there.

use std::fmt::Debug;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

/// The body of an answer from beside.
pub type OtherBody = UnsyncBoxBody<Bytes, CutShort>;

/// An answer cannot be brought to its end. The connection is cut, or the stream reset, so that nobody takes what came for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer could not be brought to its end")]
pub struct CutShort;

/// What a request is answered with in its time.
pub type Answering = Pin<Box<dyn Future<Output = Response<OtherBody>> + Send>>;

/// For whom a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Whoever asks models: on every listener that has the doors of models.
    Callers,
    /// Whoever pays and is paid, from outside: on every listener.
    Both,
    /// Whoever runs the gateway: not on the listeners of models where there are others for it (`admin_listen`).
    Operators,
}

/// Where a request comes from, beside what it says itself.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whom trusted proxies name, else the peer.
    pub address: IpAddr,
    /// As the answer's `x-lingate-request-id` tells it.
    pub request_id: String,
}

pub trait Beside: Send + Sync + Debug {
    /// For whom what is asked is; `None`: it is not for this.
    fn audience(&self, path: &str) -> Option<Audience>;

    fn answer(self: Arc<Self>, request: Request<Incoming>, origin: Origin) -> Answering;
}

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    All,
    /// The doors of models alone.
    Callers,
    /// What stands beside them for operators, and whether the gateway is well.
    Operators,
}
