//! A bounded store of values that outlive a request and, where there is a folder, the process.
//!
//! A value has a scope (whose it is) and a key. Scopes see nothing of each other. Values leave when their time is over, when
//! they are removed, and, the oldest first, when a scope or the whole takes more room than it may. So whoever reads must be able
//! to go on without.
//!
//! ```
//! # use lingate_shelf::{Kept, Limits, Shelf};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let shelf = Shelf::new(None, Limits::default());
//! assert_eq!(shelf.put("alice", "resp_1", "{}".into(), 1_700_000_000).await, Kept::InMemory);
//! assert!(shelf.get("alice", "resp_1", 1_700_000_001).await.is_some());
//! assert!(shelf.get("bob", "resp_1", 1_700_000_001).await.is_none());
//! # }
//! ```
//!
//! Each use has a shelf of its own, in a folder of its own below `data`, with its own limits. `now` is handed in, in seconds
//! since 1970. Nothing here waits for a disk on a thread of the runtime. A disk that is full, read-only or gone is told once
//! in the log and by [`Shelf::trouble`]; meanwhile values are kept in memory alone. Several processes may use one folder: values
//! appear whole or not at all, and a removal by one is seen by the others within [`Shelf::FRESH`] seconds.
//!
//! There is one implementation, so there is no trait; another store takes its place behind the same functions.

mod disk;
mod front;
mod name;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use disk::{Disk, Found};
use front::{Front, Hot};
use name::Name;

pub use disk::private_folder;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From when a value was put. It counts for values that are there already, too.
    pub ttl: Duration,
    /// Bytes on disk of all scopes together.
    pub total: u64,
    /// Bytes on disk of one scope.
    pub per_scope: u64,
    /// Bytes in memory; of one scope at most half of it.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ttl: Duration::from_hours(30 * 24),
            total: 1 << 30,
            per_scope: 256 << 20,
            memory: 32 << 20,
        }
    }
}

/// What became of a value that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    OnDisk,
    /// There is no folder, or it takes nothing.
    InMemory,
    /// Nowhere: it alone is larger than the limits.
    TooLarge,
}

/// The disk did not let a value be removed; it may be there still. Why stands in [`Shelf::trouble`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRemoved;

/// What a call wants of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    Reading,
    /// Only this shows that values are stored again: an empty folder can be read however full the disk is.
    Writing,
}

/// A bounded store of values.
#[derive(Debug)]
pub struct Shelf {
    disk: Option<Arc<Disk>>,
    limits: Mutex<Limits>,
    front: Mutex<Front>,
    /// How often something was removed; tells a reader that what it has just read from disk may be gone.
    removals: AtomicU64,
    /// Why the disk was of no use when it was last asked.
    trouble: Mutex<Option<String>>,
    /// So many calls wait for the disk at once; the others wait for them.
    at_disk: Arc<Semaphore>,
}

impl Shelf {
    /// How long a value that was read is given from memory before the disk is asked again, in seconds.
    pub const FRESH: i64 = 10;
    const AT_DISK: usize = 16;

    /// Touches no disk; the folder is made, for this user alone, when the first value is put. Without one, values live in memory.
    pub fn new(folder: Option<PathBuf>, limits: Limits) -> Self {
        Self {
            disk: folder.map(|folder| Arc::new(Disk::new(folder))),
            limits: Mutex::new(limits),
            front: Mutex::default(),
            removals: AtomicU64::new(0),
            trouble: Mutex::default(),
            at_disk: Arc::new(Semaphore::new(Self::AT_DISK)),
        }
    }

    /// Other limits from now on; what is too much leaves with the next value that is put.
    pub fn limit(&self, limits: Limits) {
        *lock(&self.limits) = limits;
    }

    /// Keeps `value`, in place of what was there. When this returns, a reader finds it; one in this process finds it already when
    /// this is polled first, so that whoever cannot wait for a slow disk may give up waiting.
    pub async fn put(&self, scope: &str, key: &str, value: Bytes, now: i64) -> Kept {
        let limits = *lock(&self.limits);
        let name = Name::new(scope, key);
        let hot = Hot {
            value: value.clone(),
            put: now,
            seen: now,
            on_disk: false,
        };
        let in_memory = lock(&self.front).insert(name, hot, &limits);
        let Some(disk) = self.disk.clone() else {
            return if in_memory {
                Kept::InMemory
            } else {
                Kept::TooLarge
            };
        };
        if disk::room(&value) > limits.per_scope.min(limits.total) {
            lock(&self.front).remove(&name);
            return Kept::TooLarge;
        }
        let written = self
            .on_disk(Wants::Writing, move || {
                disk.write(&name, &value, now, &limits)
            })
            .await;
        match written {
            Ok(()) => {
                lock(&self.front).written(&name, now);
                Kept::OnDisk
            }
            Err(()) if in_memory => Kept::InMemory,
            Err(()) => Kept::TooLarge,
        }
    }

    /// The value, unless its time is over. What is on disk but torn or not of this shelf counts as absent.
    pub async fn get(&self, scope: &str, key: &str, now: i64) -> Option<Bytes> {
        let limits = *lock(&self.limits);
        let name = Name::new(scope, key);
        let hot = lock(&self.front).get(&name, now, &limits);
        let Some(disk) = self.disk.clone() else {
            return hot.map(|hot| hot.value);
        };
        if let Some(hot) = &hot
            && (!hot.on_disk || now - hot.seen < Self::FRESH)
        {
            return Some(hot.value.clone());
        }
        let removals = self.removals.load(Ordering::Acquire);
        let read = self.on_disk(Wants::Reading, move || disk.read(&name, &limits));
        match read.await {
            Ok(Found::Value { value, put }) if alive(put, now, &limits) => {
                let hot = Hot {
                    value: value.clone(),
                    put,
                    seen: now,
                    on_disk: true,
                };
                let mut front = lock(&self.front);
                if self.removals.load(Ordering::Acquire) == removals {
                    front.insert(name, hot, &limits);
                }
                Some(value)
            }
            Ok(Found::Value { .. } | Found::Nothing) => {
                lock(&self.front).forget(&name);
                None
            }
            // Better what was there a moment ago than nothing.
            Err(()) => hot.map(|hot| hot.value),
        }
    }

    /// Removes a value; whether there was one.
    pub async fn remove(&self, scope: &str, key: &str, now: i64) -> Result<bool, NotRemoved> {
        let limits = *lock(&self.limits);
        let name = Name::new(scope, key);
        let hot = {
            let mut front = lock(&self.front);
            self.removals.fetch_add(1, Ordering::AcqRel);
            let hot = front.get(&name, now, &limits);
            front.remove(&name);
            hot
        };
        let Some(disk) = self.disk.clone() else {
            return Ok(hot.is_some());
        };
        let removed = self.on_disk(Wants::Reading, move || {
            let there = disk.read(&name, &limits)?;
            disk.remove(&name)?;
            Ok(there)
        });
        match (removed.await, hot) {
            (Ok(Found::Value { put, .. }), _) => Ok(alive(put, now, &limits)),
            // Another process has been quicker, or it never got to the disk.
            (Ok(Found::Nothing), hot) => Ok(hot.is_some_and(|hot| !hot.on_disk)),
            (Err(()), Some(hot)) if !hot.on_disk => Ok(true),
            (Err(()), _) => Err(NotRemoved),
        }
    }

    /// Why values are in memory alone at the moment, for people; `None` while all is well.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Runs `work` where waiting is allowed. A failure is told once, until something succeeds again.
    async fn on_disk<T: Send + 'static>(
        &self,
        wants: Wants,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, ()> {
        let permit = Arc::clone(&self.at_disk).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        let done = done
            .await
            .unwrap_or_else(|_| Err(std::io::Error::other("the work on disk broke off")));
        let mut trouble = lock(&self.trouble);
        match done {
            Ok(done) => {
                if wants == Wants::Writing && trouble.take().is_some() {
                    tracing::info!(folder = %self.folder(), "values are stored on disk again");
                }
                Ok(done)
            }
            Err(error) => {
                if trouble.is_none() {
                    tracing::error!(folder = %self.folder(), %error, "cannot use the folder; values are kept in memory alone");
                }
                *trouble = Some(format!("{}: {error}", self.folder()));
                Err(())
            }
        }
    }

    fn folder(&self) -> String {
        let folder = self.disk.as_ref().map(|disk| disk.folder());
        folder.map_or_else(String::new, |folder| folder.display().to_string())
    }
}

fn alive(put: i64, now: i64, limits: &Limits) -> bool {
    let ttl = i64::try_from(limits.ttl.as_secs()).unwrap_or(i64::MAX);
    now < put.saturating_add(ttl)
}

/// Whoever panicked while holding the lock left nothing half done that matters: every value is checked when it is read.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
