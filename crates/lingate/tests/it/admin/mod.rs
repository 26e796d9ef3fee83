//! The control plane from outside: the running binary, on SQLite and on PostgreSQL, as each role asks it.

mod canaries;
mod candidates;
mod configuration;
mod cookies;
mod faces;
pub(crate) mod harness;
mod headers;
mod jobs;
mod leaving;
mod matrix;
mod oidc;
mod open;
mod organizations;
mod people;
mod providers;
mod proving;
mod resources;

pub(crate) use harness::on_both;
