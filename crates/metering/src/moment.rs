//! The moment, as ledgers and counters know it.

/// Milliseconds since 1970-01-01T00:00Z, by the wall clock, which may be set back.
pub type Millis = i64;
