//! The built program from outside: every door and every pair of dialects, with upstreams and callers that misbehave.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests may fail, and look at files and processes"
)]

mod back_pressure;
mod bad_input;
mod bad_upstreams;
mod callers;
mod commands;
mod doors;
mod failover;
mod hang_up;
mod heartbeats;
mod proxies;
mod reload;
mod running;
mod same_bytes;
mod settings;
mod wire;
mod world;
