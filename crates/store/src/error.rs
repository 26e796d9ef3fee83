//! What goes wrong with the store, whose fault it is, and whether to try again.

use lingate_metering::Id;
use sqlx::error::DatabaseError;

use crate::{Kind, Revision};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    // The database's fault; these pass.
    #[error("the database cannot be reached: {0}")]
    Away(String),
    #[error("the database is busy with somebody else's change: {0}")]
    Busy(String),
    #[error("the disk of the database is full: {0}")]
    Full(String),

    // The operator's to mend.
    #[error("the database can only be read: {0}")]
    ReadOnly(String),
    #[error("the database refuses us: {0}")]
    Denied(String),
    #[error(transparent)]
    Unfit(#[from] Unfit),

    // The caller's fault.
    #[error("there is no {kind} {id}")]
    NotFound { kind: Kind, id: Id },
    /// What is written names something that is not there.
    #[error("{field}: there is no {kind} {id}")]
    Missing {
        field: &'static str,
        kind: Kind,
        id: Id,
    },
    #[error("there is a {kind} called \"{name}\" already")]
    Taken { kind: Kind, name: String },
    #[error("there is a key with this secret already")]
    SecretTaken,
    #[error("the {kind} has changed in the meantime: it is at revision {current} now")]
    Stale { kind: Kind, current: Revision },
    #[error("the {kind} is in use: {}", listed(.dependants))]
    InUse {
        kind: Kind,
        dependants: Vec<(Kind, u64)>,
    },
    #[error("this is the last {what}: appoint another one first")]
    LastOne { what: &'static str },
    /// It was used before, or it is over.
    #[error("the {kind} is no longer good")]
    Spent { kind: Kind },
    #[error("{field}: {problem}")]
    Invalid {
        field: &'static str,
        problem: String,
    },

    // Ours.
    #[error("the database: {0}")]
    Other(String),
}

/// Why a database cannot be served from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(
        "the database is of a newer version of Lingate (schema {found}; this program knows {known}): start that version, or restore a copy from before the upgrade"
    )]
    Newer { found: i64, known: i64 },
    #[error(
        "migration {number} ({name}) was applied to this database with another text than this program knows: use the program that the database was made by, or a released version"
    )]
    Changed { number: i64, name: String },
    #[error(
        "the database holds tables of another program ({tables}): give Lingate an empty database of its own"
    )]
    Foreign { tables: String },
    #[error(
        "the database keeps text as {0}, which cannot hold every name: create it with ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding(String),
    #[error(
        "the file is not a SQLite database, or is damaged ({0}): restore it from a backup, or move it away to begin with an empty one"
    )]
    Damaged(String),
}

impl StoreError {
    /// Whether the same may well work later, with nothing done about it.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Busy(_) | Self::Full(_))
    }
}

fn listed(dependants: &[(Kind, u64)]) -> String {
    let each: Vec<String> = dependants
        .iter()
        .map(|(kind, count)| {
            let plural = if *count == 1 { "" } else { "s" };
            format!("{count} {kind}{plural}")
        })
        .collect();
    format!(
        "{} belong to it; delete or move them first",
        each.join(", ")
    )
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => of_database(&**database),
            sqlx::Error::PoolTimedOut => Self::Away("no connection within 5 seconds".into()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Away(error.to_string()),
            // sqlx may add kinds; none of the others is the database's or the caller's.
            _ => Self::Other(error.to_string()),
        }
    }
}

fn of_database(error: &dyn DatabaseError) -> StoreError {
    let text = error.message().to_owned();
    let code = error.code().unwrap_or_default();
    if error
        .try_downcast_ref::<sqlx::sqlite::SqliteError>()
        .is_some()
    {
        // https://sqlite.org/rescode.html: the low byte is the kind, the rest says more.
        return match code.parse().map_or(0, |code: i32| code & 0xff) {
            5 | 6 => StoreError::Busy(text),
            8 => StoreError::ReadOnly(text),
            10 | 14 => StoreError::Away(text),
            11 | 26 => Unfit::Damaged(text).into(),
            13 => StoreError::Full(text),
            3 | 23 => StoreError::Denied(text),
            _ => StoreError::Other(text),
        };
    }
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match &*code {
        "53100" => StoreError::Full(text),
        "25006" => StoreError::ReadOnly(format!("{text}; is it a standby?")),
        "40001" | "40P01" | "55P03" | "57014" => StoreError::Busy(text),
        "3D000" | "42501" => StoreError::Denied(text),
        _ if code.starts_with("28") => StoreError::Denied(text),
        // Connections, resources, the operator's interventions (a shutdown), the system's own errors.
        _ if ["08", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            StoreError::Away(text)
        }
        "25P03" => StoreError::Away(text),
        _ => StoreError::Other(text),
    }
}
