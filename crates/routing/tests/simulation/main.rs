//! Whole days of routing in seconds: scripted upstreams with their troubles, clients that come, wait and leave, and the same
//! [`plan`](lingate_routing::plan) and [`Walk`](lingate_routing::Walk) that the gateway drives. Every world has a seed, and tells
//! it with whatever it finds, so that the same can be seen again.

mod choices;
mod clients;
mod day;
mod dice;
mod queues;
mod recovery;
mod shares;
mod storms;
mod upstream;
mod world;
