//! Counters as their callers see them: in memory and in Redis alike, and what is special about Redis.

mod conformance;
mod model;
mod outage;
mod redis;
mod world;
