//! Usage records on their way to the database: appended to files, checksummed, so that neither `kill -9` nor a database that is
//! away loses one.
//!
//! What has been appended outlives the process at once, since it is the system's then. A power cut is survived by what is older than
//! a second ([`Settings::sync_every`]): nobody waits for the disk.
//!
//! Below the folder each process has a place of its own, held by a lock; who finds a place that nobody holds takes what is left
//! there to the database, too ([`abandoned`]). A place holds *segments*; each start of a process begins a new one, under a new id, so
//! that a position means the same record for ever, even after a power cut took the end of a file.
//!
//! ```text
//! data/journal/1/lock
//! data/journal/1/reserve                                    room for the records of requests that are under way when a disk fills up
//! data/journal/1/00000007-0193a1b2-…-00000000.segment       sequence, id of the journal, position of its first byte
//! data/journal/1/damaged/00000003-….segment                 what could not be read whole, kept as evidence
//! ```

mod frame;
mod health;
mod inspection;
mod journal;
mod keeper;
mod place;
mod reader;
mod recovery;
mod reserve;
mod segment;

use std::time::Duration;

use lingate_metering::record::UsageRecord;
use serde::{Deserialize, Serialize};

pub use health::{Health, Level};
pub use inspection::{Inspected, inspect, is_written};
pub use journal::Journal;
pub use place::{OpenError, Opened, abandoned};
pub use reader::{Batch, Reader, Unreadable, Written};
pub use recovery::{Damage, Recovery};

/// What is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// What the record of a request is if the gateway ends before the request does. A later one of the same id replaces it.
    Draft(UsageRecord),
    /// The record; nothing follows.
    Final(UsageRecord),
}

/// The outcome of a request whose gateway ended before its answer did.
pub const GATEWAY_LOST: &str = "gateway_lost";

/// How much is kept, and what happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes that may wait for the database; at least 1 MiB.
    pub limit: u64,
    /// Bytes after which a new file is begun; at most an eighth of the limit.
    pub segment: u64,
    pub on_full: OnFull,
    /// How often files are forced to the disk; `None`: when the system likes to.
    pub sync_every: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limit: 2 << 30,
            segment: 32 << 20,
            on_full: OnFull::Refuse,
            sync_every: Some(Duration::from_secs(1)),
        }
    }
}

/// What happens when as much waits for the database as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// New requests are refused while there is still room for the records of those under way: nothing goes unrecorded.
    #[default]
    Refuse,
    /// New requests go on without a record, and are counted.
    Allow,
}
