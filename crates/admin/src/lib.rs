//! The control plane: the administration of tenants, keys, providers, money and settings by REST, below `/api/v1`.
//!
//! One endpoint is one file. Each is registered with its OpenAPI description ([`router`]), and has a row in the table of what it takes
//! to use it ([`access::table`]); a test fails where there is none. The command line uses the same endpoints in its own process.

mod access;
mod admin;
mod api_keys;
mod audit;
mod beside;
mod billing;
mod codes;
mod configuration;
mod docs;
mod document;
mod documents;
mod frame;
mod identity;
mod invoices;
mod jobs;
mod limits;
mod live;
mod me;
mod oidc;
mod organizations;
mod payments;
mod people;
mod problem;
mod projects;
mod provider_keys;
mod requests;
mod router;
mod service_accounts;
mod settings;
mod sign_in_providers;
mod tenants;
mod tokens;
mod usage;
mod users;
mod wallets;

pub use admin::{Admin, Configured, Parts};
pub use api_keys::snippets::{Snippet, snippets};
pub use document::document;
mod session;

pub use identity::{FirstOperator, first_operator};
pub use provider_keys::key_specs;
pub use router::openapi;
