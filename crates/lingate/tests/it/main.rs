//! The built program from outside: every door and every pair of dialects, with upstreams and callers that misbehave.

#![expect(clippy::unwrap_used, reason = "tests may fail")]

mod anti_truncation;
mod back_pressure;
mod bad_input;
mod bad_upstreams;
mod breakers;
mod callers;
mod commands;
mod conditions;
mod doctor;
mod doors;
mod explain;
mod failover;
mod failure_classes;
mod fallbacks;
mod first_calls;
mod governance;
mod hang_up;
mod health;
mod health_check;
mod heartbeats;
mod key_states;
mod key_stats;
mod learning;
mod ledger;
mod mirrors;
mod neighbours;
mod proxies;
mod quirks;
mod reasoning;
mod records;
mod refusals;
mod reload;
mod reload_keeps;
mod restart;
mod retries;
mod running;
mod same_bytes;
mod settings;
mod stored;
mod strategies;
mod subagents;
mod tenants;
mod wire;
mod world;
