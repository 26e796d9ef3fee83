//! The store, on both databases: each case is written once.

#![expect(clippy::unwrap_used, reason = "tests may fail")]

mod audit;
mod bed;
mod changes;
mod entities;
mod guesses;
mod idempotency;
mod invoices;
mod keys;
mod lists;
mod million;
mod opening;
mod outages;
mod payments;
mod provider_keys;
mod sign_in;
mod text;
mod usage;
mod wallets;
