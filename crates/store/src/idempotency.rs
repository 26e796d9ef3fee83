//! Requests that are made once, however often they are sent: who has begun one, under which key, and what the answer was.
//!
//! Whoever inserts the row first makes the request, on whichever replica; everybody else finds the row. What an answer holds is sealed
//! by whoever stores it: it may be a secret that is shown once.

use lingate_metering::Millis;

use crate::database::{execute, fetch_all};
use crate::store::now;
use crate::{Store, StoreError};

/// How long an answer is kept, in milliseconds.
pub const KEPT: Millis = 24 * 60 * 60 * 1000;

/// How a request stands that comes with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the first: it is to be made, and then settled or released.
    Ours,
    /// The same request is being made, or its maker was lost on the way.
    UnderWay,
    /// The key belongs to another request.
    OtherRequest,
    /// The same request was made; this is what was stored of its answer.
    Settled(String),
}

impl Store {
    /// Begins a request. `actor`: whose key it is; `request`: what tells it from others.
    pub async fn claim(&self, actor: &str, key: &str, request: &str) -> Result<Claim, StoreError> {
        let at = now();
        let mut tx = self.db.begin_write().await?;
        // What is too old counts as not there, also before it is deleted.
        let taken = execute!(
            tx,
            "INSERT INTO idempotency_keys (actor, idempotency_key, request, answer, created_at) VALUES ($1, $2, $3, NULL, $4)
             ON CONFLICT (actor, idempotency_key) DO UPDATE
             SET request = excluded.request, answer = NULL, created_at = excluded.created_at
             WHERE idempotency_keys.created_at < $5",
            actor,
            key,
            request,
            at,
            at - KEPT
        )?;
        if taken > 0 {
            tx.commit().await?;
            return Ok(Claim::Ours);
        }
        let rows = fetch_all!(
            tx,
            (String, Option<String>),
            "SELECT request, answer FROM idempotency_keys WHERE actor = $1 AND idempotency_key = $2",
            actor,
            key
        )?;
        Ok(match rows.into_iter().next() {
            Some((known, _)) if known != request => Claim::OtherRequest,
            Some((_, Some(answer))) => Claim::Settled(answer),
            // Released between the two statements: whoever asks again begins it.
            Some((_, None)) | None => Claim::UnderWay,
        })
    }

    /// Keeps the answer of a request that was begun.
    pub async fn settle(&self, actor: &str, key: &str, answer: &str) -> Result<(), StoreError> {
        let mut tx = self.db.begin_write().await?;
        execute!(
            tx,
            "UPDATE idempotency_keys SET answer = $3 WHERE actor = $1 AND idempotency_key = $2",
            actor,
            key,
            answer
        )?;
        tx.commit().await
    }

    /// A request that was begun has changed nothing: it may be made again.
    pub async fn release(&self, actor: &str, key: &str) -> Result<(), StoreError> {
        let mut tx = self.db.begin_write().await?;
        execute!(
            tx,
            "DELETE FROM idempotency_keys WHERE actor = $1 AND idempotency_key = $2 AND answer IS NULL",
            actor,
            key
        )?;
        tx.commit().await
    }

    /// Deletes what is too old. How many there were.
    pub async fn expire_claims(&self, at: Millis) -> Result<u64, StoreError> {
        let mut tx = self.db.begin_write().await?;
        let gone = execute!(
            tx,
            "DELETE FROM idempotency_keys WHERE created_at < $1",
            at - KEPT
        )?;
        tx.commit().await?;
        Ok(gone)
    }
}
