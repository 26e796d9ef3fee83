//! What tests of the gateway stand on: a scripted upstream, the gateway as a running program, and a raw client.
//!
//! [`Upstream`] plays what a provider may do, well-behaved or not, and remembers what it received. [`Gateway`] runs the
//! built binary. [`client`] speaks HTTP by hand, so that a test can hang up or read slowly. [`judge`] is the upstream
//! of the SDK suites: it reads requests natively, refuses the invalid ones and answers as the vendors do. [`Oidc`] is an issuer of
//! sign-ins.
//!
//! Nothing here is shipped, and nothing here uses the gateway's own code: a judge shares no mistakes with the judged.

pub mod client;
mod gateway;
pub mod judge;
mod oidc;
mod postgres;
mod redis;
mod script;
mod totp;
mod upstream;

pub use gateway::Gateway;
pub use oidc::{ClientProof, Fault, Oidc, Signing};
pub use postgres::Postgres;
pub use redis::Redis;
pub use script::{Body, Script, Step};
pub use totp::totp;
pub use upstream::{Answering, Ending, Received, Upstream};
