//! How full a journal is, and what has gone wrong with it.

use serde::Serialize;

/// How much of what may wait for the database does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    #[default]
    Calm,
    /// More than half.
    Filling,
    /// More than four fifths.
    Alarm,
    /// New requests are refused, or go unrecorded.
    Full,
}

/// A journal at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Health {
    pub level: Level,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that may be.
    pub limit: u64,
    pub files: usize,
    /// Records that wait for the database.
    pub waiting: u64,
    /// Requests under way.
    pub drafts: usize,
    /// The system had no room; it is tried again each second.
    pub is_disk_full: bool,
    /// Records that were not taken since the start.
    pub refused: u64,
    /// Records that were not kept since the start, because requests go on without ([`crate::OnFull::Allow`]).
    pub dropped: u64,
    /// Places that could not be read since the start.
    pub damaged: u64,
    /// What the system said last when something could not be written or forced to the disk; `None`: it can.
    pub error: Option<String>,
}
