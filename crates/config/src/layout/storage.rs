//! The keys of what is stored of usage.

use super::field;
use crate::shape::{Choice, Field, Shape};

pub(crate) const OUTAGES: &[Choice] = &[&["local_lease", "local-lease"], &["allow"], &["deny"]];
const FULL: &[Choice] = &[&["refuse"], &["allow"]];

pub(super) const USAGE: &[Field] = &[
    field(
        "records",
        Shape::Age,
        "How long records of single requests are kept.",
    ),
    field(
        "minutes",
        Shape::Age,
        "How long sums by the minute are kept.",
    ),
    field("hours", Shape::Age, "How long sums by the hour are kept."),
    field(
        "days",
        Shape::Age,
        "How long sums by the day are kept. Budgets in memory are counted from them after a restart: keep them as long as the longest budget.",
    ),
    field(
        "journal",
        Shape::Record(JOURNAL),
        "Files in `data/journal`, by which records go to the database: what is in them outlives a crash, and a database that is away. Takes a restart.",
    ),
];

const JOURNAL: &[Field] = &[
    field(
        "size",
        Shape::Size,
        "The most that records may take on disk while the database is away.",
    ),
    field(
        "when_full",
        Shape::Choice(FULL),
        "`refuse` answers 503 rather than serving what nobody could bill; `allow` serves without a record, and counts those requests.",
    ),
];
