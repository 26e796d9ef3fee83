//! Guesses at codes: counted before a code is looked at, for all replicas together, beside the attempts to sign in.
//!
//! The row of a subject holds when its window began (`last_at`) and how many guesses came in it.

use std::collections::BTreeSet;

use lingate_metering::Millis;
use sqlx::QueryBuilder;

use crate::database::{execute, on};
use crate::{Store, StoreError};

/// How many wrong ones there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guesses {
    pub most: i64,
    /// In so long.
    pub window: Millis,
}

/// What the subjects begin with; what sorts behind them all.
const PREFIX: &str = "guess:";
const BEHIND: &str = "guess;";

impl Store {
    /// Counts a guess of each of these; until when they have to wait, if one of them has guessed wrong too often. It counts as wrong
    /// until [`Store::guess_was_good`] says that it was not.
    pub async fn guess(
        &self,
        subjects: &[String],
        guesses: Guesses,
        now: Millis,
    ) -> Result<Option<Millis>, StoreError> {
        let Guesses { most, window } = guesses;
        let mut tx = self.db.begin_write().await?;
        // Windows that are over are forgotten.
        execute!(
            tx,
            "DELETE FROM sign_in_failures WHERE subject > $1 AND subject < $2 AND last_at <= $3",
            PREFIX,
            BEHIND,
            now - window
        )?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(
                "INSERT INTO sign_in_failures (subject, failures, last_at, locked_until) ",
            );
            query.push_values(sorted(subjects), |mut row, subject| {
                row.push_bind(subject).push("1").push_bind(now).push("0");
            });
            query.push(" ON CONFLICT (subject) DO UPDATE SET failures = sign_in_failures.failures + 1 RETURNING failures, last_at");
            query.build_query_as::<(i64, i64)>().fetch_all(connection).await
        })?;
        tx.commit().await?;
        let spent = rows.iter().filter(|(failures, _)| *failures > most);
        Ok(spent.map(|(_, since)| since + window).max())
    }

    /// The last guess of these was none: it is not counted.
    pub async fn guess_was_good(&self, subjects: &[String]) -> Result<(), StoreError> {
        let mut tx = self.db.begin_write().await?;
        for subject in sorted(subjects) {
            execute!(
                tx,
                "UPDATE sign_in_failures SET failures = failures - 1 WHERE subject = $1 AND failures > 0",
                subject
            )?;
        }
        tx.commit().await
    }
}

/// In one order, so that replicas which count the same do not wait for each other; each once.
fn sorted(subjects: &[String]) -> Vec<String> {
    let named = subjects.iter().map(|subject| format!("{PREFIX}{subject}"));
    let sorted: BTreeSet<String> = named.collect();
    sorted.into_iter().collect()
}
