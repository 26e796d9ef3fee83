//! Proofs that the ledger never lies: gateways are killed, replicas count together, databases and counters go away and come back,
//! files are damaged, and what is written down in the end is what the upstream counted.

mod dice;
mod kills;
mod ledger;
mod marked;
mod outage_rules;
mod outages;
mod replicas;
mod restarts;
mod together;
