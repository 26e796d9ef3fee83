//! Mirrors: a copy of a request for another target, whose answer is read and thrown away. Whoever asked notices nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::BodyExt as _;
use lingate_metering::Id;
use lingate_routing::{Plan, Purse, Target, Walk};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use uuid::Uuid;

use crate::Gateway;
use crate::answer::Body;
use crate::caller::Caller;
use crate::exchange::Exchange;
use crate::ledger::{Account, Payer};
use crate::record::Record;
use crate::relay::Bounds;
use crate::service::{Given, refusal};

/// Copies that are under way at the same time; more are not made.
const AT_ONCE: usize = 64;

/// KiB of the bodies of all copies that are under way: a copy outlives the request that it is of.
const HELD: u32 = 256 << 10;

/// Bytes of an answer that are read; of a longer one the rest is not waited for.
const LONGEST: usize = 64 << 20;

/// The copies that are under way.
#[derive(Debug)]
pub(crate) struct Mirrors {
    room: Arc<Semaphore>,
    held: Arc<Semaphore>,
    /// Copies that were not made.
    dropped: AtomicU64,
}

impl Mirrors {
    pub(crate) fn new() -> Self {
        Self {
            room: Arc::new(Semaphore::new(AT_ONCE)),
            held: Arc::new(Semaphore::new(HELD as usize)),
            dropped: AtomicU64::new(0),
        }
    }

    /// Room for a copy with a body of so many bytes, for as long as it is held; `None`, and the copy is counted as not made, when
    /// there is none.
    fn room(&self, body: usize) -> Option<[OwnedSemaphorePermit; 2]> {
        let size = u32::try_from(body / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_owned();
        let held = Arc::clone(&self.held).try_acquire_many_owned(size);
        if let (Ok(room), Ok(held)) = (room, held) {
            return Some([room, held]);
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// How many copies were not made since it was asked last.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

impl Gateway {
    /// Sends a copy of a request to `target`, unless it has something to do with stored state: nothing is stored for the sake of a
    /// copy, or goes on with what is. A caller's own key pays for what the caller asked for and for nothing else.
    pub(crate) fn mirror(
        self: &Arc<Self>,
        exchange: &Exchange,
        target: Target,
        caller: &Caller,
        request_id: &str,
    ) {
        if matches!(caller, Caller::Passthrough(..)) {
            return;
        }
        // First, since a copy that nobody has room for is not to cost the caller anything.
        let Some(room) = self.mirrors.room(exchange.body.len()) else {
            return;
        };
        let Some(copy) = exchange.copy() else {
            return;
        };
        let (gateway, caller) = (Arc::clone(self), caller.clone());
        let request_id = request_id.to_owned();
        tokio::spawn(async move {
            gateway.send_copy(copy, target, caller, request_id).await;
            drop(room);
        });
    }

    async fn send_copy(
        self: Arc<Self>,
        copy: Exchange,
        target: Target,
        caller: Caller,
        request_id: String,
    ) {
        let mut record = Record::new(
            request_id.clone(),
            copy.dialect,
            copy.model.clone(),
            &caller,
            copy.stream,
        );
        record.is_mirror();
        let bounds = Bounds {
            idle: copy.snapshot.defaults.idle_timeout,
            deadline: Instant::now() + copy.snapshot.defaults.request_timeout,
        };
        let walk = Walk::new(Plan::only(target), Purse::Pool, self.moment());
        let copy = Arc::new(copy);
        // The tenant did not ask for it: it counts against no limit of his, and is charged to nobody.
        let operator = Arc::clone(self.governance.directory().anyone());
        let id = Id::from_u128(Uuid::now_v7().as_u128());
        record.admit(Account::new(
            &self.governance,
            &operator,
            &copy,
            id,
            Payer::Operator,
        ));
        let attempts = self.attempts(Arc::clone(&copy), walk, caller, record, bounds.deadline);
        match attempts.await {
            Ok((given, record)) => read(given, &copy, record, bounds).await,
            Err((failure, record)) => {
                // Told in the log; there is nobody else to tell.
                drop(refusal(&copy, failure, record, &request_id));
            }
        }
    }
}

/// Reads an answer to its end, which settles its record.
async fn read(given: Given, copy: &Exchange, record: Record, bounds: Bounds) {
    let mut body: Body = given.respond(copy, record, bounds).into_body();
    let mut read = 0;
    while read < LONGEST
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_bounded_by_their_number_and_by_what_they_hold() {
        for (body, most) in [(100, AT_ONCE), (60 << 20, 4), (300 << 20, 0)] {
            let mirrors = Mirrors::new();
            let held: Vec<_> = (0..=AT_ONCE).map_while(|_| mirrors.room(body)).collect();
            assert_eq!(held.len(), most, "{body}");
            assert_eq!((mirrors.dropped(), mirrors.dropped()), (1, 0));
            drop(held);
            assert_eq!(mirrors.room(body).is_some(), most > 0);
        }
    }
}
