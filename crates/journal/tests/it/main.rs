//! The journal, on a disk that fills up, under processes that are killed, and with files that were changed behind its back.

#![expect(clippy::unwrap_used, reason = "tests may fail")]

mod bounds;
mod damage;
mod killed;
mod life;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use lingate_journal::{Entry, Journal, Opened, Reader, Settings};
use lingate_metering::Id;
use lingate_metering::record::{Provenance, UsageRecord};

/// A folder that is gone when the test is.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lingate-journal-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        segments(&self.0.join("1"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "segment"))
        .collect();
    files.sort();
    files
}

pub(crate) const SMALL: Settings = Settings {
    limit: 1 << 20,
    segment: 64 << 10,
    on_full: lingate_journal::OnFull::Refuse,
    sync_every: None,
};

pub(crate) fn open(folder: &Path, settings: Settings) -> Opened {
    Journal::open(folder, settings).unwrap()
}

pub(crate) fn record(number: u64) -> UsageRecord {
    UsageRecord {
        id: Id::from_u128(number.into()),
        started_at: 1_795_996_800_000,
        duration: 1,
        first_token: None,
        organization: Id::declared(&["organization", "default"]),
        project: Id::declared(&["project", "default"]),
        key: None,
        user: None,
        end_user: None,
        tags: Vec::new(),
        dialect: "chat".into(),
        model: "gpt-4o".into(),
        provider: "openai".into(),
        upstream_model: "gpt-4o".into(),
        stream: false,
        attempts: 1,
        outcome: "complete".into(),
        status: 200,
        error: None,
        usage: None,
        provenance: Provenance::Unknown,
        service_tier: None,
        price_version: None,
        cost: None,
        price: None,
    }
}

pub(crate) fn draft(number: u64) -> Entry {
    Entry::Draft(record(number))
}

pub(crate) fn last(number: u64) -> Entry {
    Entry::Final(record(number))
}

/// The numbers and outcomes of all that can be read; acknowledged.
pub(crate) fn read(reader: &mut Reader) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let mut position = (Id::from_u128(0), 0);
    loop {
        let batch = reader.next(7).unwrap();
        if batch.is_empty() {
            reader.acknowledge(&batch).unwrap();
            return found;
        }
        for written in &batch.records {
            if position.0 == batch.journal {
                assert!(written.position > position.1, "positions go up");
            }
            position = (batch.journal, written.position);
            let number = u64::try_from(written.record.id.as_u128()).unwrap();
            found.push((number, written.record.outcome.clone()));
        }
        reader.acknowledge(&batch).unwrap();
    }
}

pub(crate) fn numbers(found: &[(u64, String)]) -> Vec<u64> {
    found.iter().map(|(number, _)| *number).collect()
}
