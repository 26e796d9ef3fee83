//! The folder: a file for each value, in a folder for each scope, written beside its place and put there in one step.
//!
//! Nothing is synchronised to the platters: a value survives the death of the process, and one that a power cut tore is recognised
//! by its hash. How much is there is counted as it is written, and looked up when that comes to a limit, so no list of all
//! values is held in memory.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::name::{Half, Name, hex, unhex};
use crate::{Limits, alive, lock};

/// What a file begins with; the digit is the version of its form.
const MAGIC: &[u8; 8] = b"LGSHELF1";
/// The magic, when the value was put, the hash of everything else.
const HEAD: usize = 8 + 8 + 32;
/// Disks give room in blocks.
const BLOCK: u64 = 4096;
/// After so long, in seconds, what is over is looked for even without a need for room.
const SWEEP_EVERY: i64 = 3600;
/// A file that was being written so long ago, in seconds, will never be finished.
const ABANDONED: i64 = 3600;

#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    counted: Mutex<Option<Counted>>,
    /// Held by whoever looks through the folder.
    sweeping: Mutex<()>,
    temporary: AtomicU64,
}

/// What is there, as far as this process knows.
#[derive(Debug, Default)]
struct Counted {
    scopes: HashMap<Half, u64>,
    total: u64,
    /// Written since the folder was looked through.
    since: u64,
    swept: i64,
}

/// What a name stands for on disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Value { value: Bytes, put: i64 },
    Nothing,
}

/// A file of a scope's folder.
struct Stored {
    scope: Half,
    key: Half,
    /// When it was put, and which of those of one second it was.
    put: (i64, u32),
    room: u64,
}

impl Disk {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            counted: Mutex::default(),
            sweeping: Mutex::default(),
            temporary: AtomicU64::new(0),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn read(&self, name: &Name, limits: &Limits) -> io::Result<Found> {
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        if length > limits.total.saturating_add(HEAD as u64) {
            return Ok(Found::Nothing);
        }
        let mut all = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(length).read_to_end(&mut all)?;
        Ok(open(name, all))
    }

    /// Writes a value, and makes room when there is too much.
    pub(crate) fn write(
        &self,
        name: &Name,
        value: &Bytes,
        now: i64,
        limits: &Limits,
    ) -> io::Result<()> {
        let folder = self.folder.join(hex(&name.scope));
        let before = fs::metadata(self.path(name)).map_or(0, |there| rounded(there.len()));
        let mut tries = 0;
        while let Err(error) = self.place(&folder, name, value, now) {
            // Nobody has written here before, or somebody has just removed the empty folder.
            if !is_absent(&error) || tries == 3 {
                return Err(error);
            }
            tries += 1;
            private_folder(&folder)?;
        }
        self.make_room(name.scope, before, room(value), now, limits);
        Ok(())
    }

    /// Whether there was something.
    pub(crate) fn remove(&self, name: &Name) -> io::Result<bool> {
        let path = self.path(name);
        let there = fs::metadata(&path).map_or(0, |there| rounded(there.len()));
        match fs::remove_file(&path) {
            Ok(()) => {
                if let Some(counted) = &mut *lock(&self.counted) {
                    counted.less(name.scope, there);
                }
                Ok(true)
            }
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn path(&self, name: &Name) -> PathBuf {
        let mut path = self.folder.join(hex(&name.scope));
        path.push(hex(&name.key));
        path
    }

    /// Writes the file beside its place and renames it, so that no reader ever sees a part of it.
    fn place(&self, folder: &Path, name: &Name, value: &Bytes, now: i64) -> io::Result<()> {
        let (beside, mut file, count) = self.beside(folder)?;
        let written = (|| {
            file.write_all(&head(name, value, now))?;
            file.write_all(value)?;
            file.set_modified(time(now, count))?;
            fs::rename(&beside, folder.join(hex(&name.key)))
        })();
        if written.is_err() {
            // What cannot be removed now is found by a later sweep.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    /// A file that nobody else has, and its number.
    fn beside(&self, folder: &Path) -> io::Result<(PathBuf, File, u64)> {
        loop {
            let count = self.temporary.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{count}.part", std::process::id()));
            let opened = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            match opened {
                Ok(file) => return Ok((path, file, count)),
                // Left behind by another process of the same number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Counts what was written, and looks through the folder when that is due. What cannot be looked through is left for later:
    /// the value is stored, which is what was asked.
    fn make_room(&self, scope: Half, before: u64, room: u64, now: i64, limits: &Limits) {
        let is_due = {
            let mut counted = lock(&self.counted);
            let first = counted.is_none();
            let counted = counted.get_or_insert_default();
            counted.less(scope, before);
            counted.more(scope, room);
            counted.since = counted.since.saturating_add(room);
            first || counted.is_due(scope, now, limits)
        };
        if !is_due {
            return;
        }
        let free = self.sweeping.try_lock().ok();
        let waited = free.is_none();
        let _sweeping = free.unwrap_or_else(|| lock(&self.sweeping));
        let still_due = |counted: &Counted| counted.is_due(scope, now, limits);
        if waited && !lock(&self.counted).as_ref().is_none_or(still_due) {
            // Somebody has just done it.
            return;
        }
        let swept = self.sweep(now, limits);
        let counted = match swept {
            Ok(counted) => counted,
            Err(error) => {
                tracing::warn!(folder = %self.folder.display(), %error, "cannot look through the folder");
                Counted {
                    swept: now,
                    ..Counted::default()
                }
            }
        };
        *lock(&self.counted) = Some(counted);
    }

    /// Removes what is over, what was never finished, and the oldest of what is too much.
    fn sweep(&self, now: i64, limits: &Limits) -> io::Result<Counted> {
        let mut stored = Vec::new();
        for folder in fs::read_dir(&self.folder)? {
            let folder = folder?;
            if let Some(scope) = folder.file_name().to_str().and_then(unhex) {
                self.look(scope, &folder.path(), now, limits, &mut stored)?;
                // Fails unless it is empty, which is what is wanted.
                let _ = fs::remove_dir(folder.path());
            }
        }
        stored.sort_unstable_by_key(|file| std::cmp::Reverse((file.put, file.key)));
        let mut counted = Counted {
            swept: now,
            ..Counted::default()
        };
        // From the newest on: what finds no room any more goes. A little is left free, so that not every value costs a sweep.
        let (most, most_of_scope) = (limits.total, limits.per_scope);
        let mut full: HashMap<Half, bool> = HashMap::new();
        let over: HashMap<Half, u64> = stored.iter().fold(HashMap::new(), |mut sums, file| {
            *sums.entry(file.scope).or_default() += file.room;
            sums
        });
        let total: u64 = over.values().sum();
        let most = if total > most { most - most / 16 } else { most };
        for file in &stored {
            let sum = over.get(&file.scope).copied().unwrap_or(0);
            let most_of_scope = if sum > most_of_scope {
                most_of_scope - most_of_scope / 16
            } else {
                most_of_scope
            };
            let of_scope = counted.scopes.get(&file.scope).copied().unwrap_or(0);
            let full = full.entry(file.scope).or_default();
            *full =
                *full || of_scope + file.room > most_of_scope || counted.total + file.room > most;
            if *full {
                self.remove_swept(file)?;
            } else {
                counted.more(file.scope, file.room);
            }
        }
        Ok(counted)
    }

    fn look(
        &self,
        scope: Half,
        folder: &Path,
        now: i64,
        limits: &Limits,
        stored: &mut Vec<Stored>,
    ) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let Some((changed, length)) = changed(&entry)? else {
                continue;
            };
            if let Some(key) = unhex(name) {
                let file = Stored {
                    scope,
                    key,
                    put: changed,
                    room: rounded(length),
                };
                if alive(changed.0, now, limits) {
                    stored.push(file);
                } else {
                    self.remove_swept(&file)?;
                }
            } else if name.strip_suffix(".part").is_some() && now - changed.0 > ABANDONED {
                remove_if_there(&entry.path())?;
            }
        }
        Ok(())
    }

    fn remove_swept(&self, file: &Stored) -> io::Result<()> {
        remove_if_there(&self.path(&Name {
            scope: file.scope,
            key: file.key,
        }))
    }
}

impl Counted {
    /// Whether the folder is to be looked through.
    fn is_due(&self, scope: Half, now: i64, limits: &Limits) -> bool {
        let of_scope = self.scopes.get(&scope).copied().unwrap_or(0);
        self.total > limits.total
            || of_scope > limits.per_scope
            // Others may be writing into the same folder, unseen.
            || self.since > limits.total / 16
            || now - self.swept >= SWEEP_EVERY
    }

    fn more(&mut self, scope: Half, room: u64) {
        self.total = self.total.saturating_add(room);
        let of_scope = self.scopes.entry(scope).or_default();
        *of_scope = of_scope.saturating_add(room);
    }

    fn less(&mut self, scope: Half, room: u64) {
        self.total = self.total.saturating_sub(room);
        if let Some(of_scope) = self.scopes.get_mut(&scope) {
            *of_scope = of_scope.saturating_sub(room);
            if *of_scope == 0 {
                self.scopes.remove(&scope);
            }
        }
    }
}

/// Makes a folder, and those above it that are missing, for this user alone.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The bytes that a value takes on disk.
pub(crate) fn room(value: &Bytes) -> u64 {
    rounded((HEAD + value.len()) as u64)
}

fn rounded(length: u64) -> u64 {
    length.div_ceil(BLOCK).max(1).saturating_mul(BLOCK)
}

fn head(name: &Name, value: &[u8], put: i64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let (magic, rest) = head.split_at_mut(8);
    let (moment, hash) = rest.split_at_mut(8);
    magic.copy_from_slice(MAGIC);
    moment.copy_from_slice(&put.to_le_bytes());
    hash.copy_from_slice(&digest(name, put, value));
    head
}

/// Covers the name, too, so that a file that was moved to another place is not taken for what belongs there.
fn digest(name: &Name, put: i64, value: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(name.scope)
        .chain_update(name.key)
        .chain_update(put.to_le_bytes())
        .chain_update(value)
        .finalize()
        .into()
}

fn open(name: &Name, all: Vec<u8>) -> Found {
    let all = Bytes::from(all);
    let Some((head, value)) = all.split_at_checked(HEAD) else {
        return Found::Nothing;
    };
    let (magic, rest) = head.split_at(8);
    let (moment, hash) = rest.split_at(8);
    let Ok(moment) = <[u8; 8]>::try_from(moment) else {
        return Found::Nothing;
    };
    let put = i64::from_le_bytes(moment);
    if magic != MAGIC || hash != digest(name, put, value) {
        return Found::Nothing;
    }
    Found::Value {
        value: all.slice(HEAD..),
        put,
    }
}

/// When a file was written, in seconds since 1970 and billionths, and its length; `None` when it is no file or is gone by now.
fn changed(entry: &DirEntry) -> io::Result<Option<((i64, u32), u64)>> {
    let facts = match entry.metadata() {
        Ok(facts) => facts,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !facts.is_file() {
        return Ok(None);
    }
    let since = facts.modified()?.duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    Ok(Some(((seconds, since.subsec_nanos()), facts.len())))
}

/// The moment, with a place among those of the same second.
fn time(seconds: i64, count: u64) -> SystemTime {
    let place = u32::try_from(count % 1_000_000_000).unwrap_or(0);
    UNIX_EPOCH + Duration::new(u64::try_from(seconds).unwrap_or(0), place)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}
