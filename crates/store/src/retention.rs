//! Usage that is older than it is kept: deleted in small pieces, so that the writer never waits long.
//!
//! Ranges are deleted in both databases, and nothing is partitioned: a record that comes late (a journal that lay on a disk for a
//! month) needs no partition to be there, ids stay unique over all time, and one text makes the tables of both.

use lingate_metering::Millis;
use sqlx::QueryBuilder;
use std::time::Duration;

use crate::database::{On, Tx, execute, on};
use crate::rollup::{CUBES, Stretch};
use crate::{Store, StoreError};

/// Rows in one transaction.
const PIECE: i64 = 5_000;
/// Journals whose position is remembered: longer than any data folder lies unused.
const JOURNALS: Duration = Duration::from_hours(400 * 24);

/// How long usage is kept; `None`: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    pub records: Option<Duration>,
    pub minutes: Option<Duration>,
    pub hours: Option<Duration>,
    pub days: Option<Duration>,
}

impl Default for Ages {
    fn default() -> Self {
        let days = |days: u64| Some(Duration::from_hours(days * 24));
        Self {
            records: days(90),
            minutes: days(7),
            hours: days(100),
            days: None,
        }
    }
}

/// Rows that were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    pub records: u64,
    pub sums: u64,
}

impl Store {
    /// Deletes what is too old at `now`. Each piece is a transaction of its own; an error leaves the rest for the next time.
    pub async fn expire_usage(&self, ages: &Ages, now: Millis) -> Result<Expired, StoreError> {
        let before = |age: Duration| {
            let age = Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX);
            now.saturating_sub(age)
        };
        let mut expired = Expired::default();
        if let Some(age) = ages.records {
            expired.records = self
                .in_pieces(
                    "usage_records",
                    "id",
                    &format!("started_at < {}", before(age)),
                )
                .await?;
        }
        for cube in CUBES {
            let age = match cube.stretch {
                Stretch::Minute => ages.minutes,
                Stretch::Hour => ages.hours,
                Stretch::Day | Stretch::Days => ages.days,
            };
            let Some(age) = age else { continue };
            let ids: Vec<&str> = cube.tells.iter().map(|told| told.column()).collect();
            let key = format!("bucket, {}", ids.join(", "));
            let which = format!("bucket < {}", cube.stretch.begin(before(age)) / 60_000);
            expired.sums += self.in_pieces(cube.table, &key, &which).await?;
        }
        let mut tx = self.db.begin_write().await?;
        execute!(
            tx,
            "DELETE FROM usage_journals WHERE updated_at < $1",
            before(JOURNALS)
        )?;
        tx.commit().await?;
        Ok(expired)
    }

    async fn in_pieces(&self, table: &str, key: &str, which: &str) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let mut tx = self.db.begin_write().await?;
            let piece = piece(&mut tx, table, key, which).await?;
            tx.commit().await?;
            deleted += piece;
            if piece < PIECE.unsigned_abs() {
                return Ok(deleted);
            }
            // Others want to write, too.
            tokio::task::yield_now().await;
        }
    }
}

async fn piece(tx: &mut Tx, table: &str, key: &str, which: &str) -> Result<u64, StoreError> {
    // The one thing that both call differently: where a row is.
    let text = match tx.on {
        On::Sqlite(_) => format!(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {which} LIMIT {PIECE})"
        ),
        On::Postgres(_) => format!(
            "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {which} LIMIT {PIECE}))"
        ),
    };
    let done = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(text);
        query.build().persistent(false).execute(connection).await.map(|done| done.rows_affected())
    })?;
    Ok(done)
}
