//! The journal of one process: appends, and what bounds it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lingate_metering::Id;
use lingate_metering::record::UsageRecord;
use rustc_hash::FxHashMap;

use crate::frame::{self, Kind};
use crate::health::{Health, Level};
use crate::keeper::Keeper;
use crate::place::Place;
use crate::recovery::{Lost, Recovery};
use crate::reserve::Reserve;
use crate::segment::Segment;
use crate::{Entry, OnFull, Settings};

const SMALLEST_LIMIT: u64 = 1 << 20;
/// What is set aside for the final of each request under way.
const FINAL: u64 = 2 << 10;

/// The journal of one process, below its data folder. Entries may be appended from any thread.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    _keeper: Keeper,
}

impl Journal {
    pub(crate) fn start(shared: Arc<Shared>) -> Self {
        shared.look_for_room();
        Self {
            _keeper: Keeper::start(Arc::clone(&shared)),
            shared,
        }
    }

    /// Appends in one write. When it returns, the entry outlives this process, though for up to a second not a power cut.
    ///
    /// The draft of a request that has none yet is its admission: it fails with [`io::ErrorKind::StorageFull`] when no more may wait
    /// for the database, or the disk is full; the request is to be refused then (503). Everything else of a request that has a draft is
    /// written as long as the system lets us, for which room is kept. After any other error nothing of the entry is kept; it may be
    /// tried again. What is longer than 1 MiB is [`io::ErrorKind::InvalidInput`].
    pub fn append(&self, entry: &Entry) -> io::Result<()> {
        thread_local! {
            static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let (kind, record) = match entry {
            Entry::Draft(record) => (Kind::Draft, record),
            Entry::Final(record) => (Kind::Final, record),
        };
        FRAME.with_borrow_mut(|bytes| {
            encode(bytes, kind, record)?;
            let done = self.shared.append(kind, record.id, bytes);
            if bytes.capacity() > 64 << 10 {
                *bytes = Vec::new();
            }
            done
        })
    }

    /// How full it is, and what has gone wrong.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// Forces everything that was appended to the disk. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        let (files, _) = self.shared.take_unsynced();
        files.iter().try_for_each(|file| file.sync_data())
    }
}

fn encode(bytes: &mut Vec<u8>, kind: Kind, record: &UsageRecord) -> io::Result<()> {
    frame::begin(bytes);
    serde_json::to_writer(&mut *bytes, record)?;
    if bytes.len() > frame::HEAD + frame::LONGEST {
        let why = "a usage record of more than 1 MiB";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    frame::seal(bytes, kind, record.id);
    Ok(())
}

/// What the journal, its reader and its thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    place: Place,
    settings: Settings,
    /// Of this run: positions of other runs are those of other journals.
    id: Id,
    /// Drafts in files of earlier runs that no final follows.
    lost: Lost,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// The last of the segments, while it is appended to.
    open: Option<Arc<File>>,
    next_sequence: u64,
    /// Of all segments.
    bytes: u64,
    drafts: FxHashMap<Id, Draft>,
    unsynced: Vec<Arc<File>>,
    folder_changed: bool,
    reserve: Reserve,
    is_disk_full: bool,
    level: Level,
    waiting: u64,
    refused: u64,
    dropped: u64,
    damaged: u64,
    error: Option<String>,
}

#[derive(Debug)]
struct Draft {
    /// The segment that it was last written to.
    sequence: u64,
    frame: Box<[u8]>,
}

impl Shared {
    pub(crate) fn new(
        place: Place,
        settings: Settings,
        segments: Vec<Segment>,
        lost: Lost,
        recovery: &Recovery,
    ) -> Self {
        let limit = settings.limit.max(SMALLEST_LIMIT);
        let settings = Settings {
            limit,
            segment: settings.segment.clamp(64 << 10, limit / 8),
            ..settings
        };
        let state = State {
            next_sequence: segments.last().map_or(1, |last| last.sequence + 1),
            bytes: segments.iter().map(|segment| segment.length).sum(),
            waiting: segments.iter().map(|segment| segment.records).sum(),
            segments: segments.into(),
            open: None,
            drafts: FxHashMap::default(),
            unsynced: Vec::new(),
            folder_changed: false,
            reserve: Reserve::new(place.folder.join("reserve")),
            is_disk_full: false,
            level: Level::Calm,
            refused: 0,
            dropped: 0,
            damaged: recovery.damaged.len() as u64,
            error: None,
        };
        Self {
            id: Id::from_u128(uuid::Uuid::now_v7().as_u128()),
            place,
            settings,
            lost,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.place.folder
    }

    pub(crate) fn is_lost(&self, sequence: u64, at: u64) -> bool {
        self.lost.contains(&(sequence, at))
    }

    /// No panic happens while the state is halfway between two truths.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, kind: Kind, id: Id, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let state = &mut *state;
        let is_under_way = state.drafts.contains_key(&id);
        let length = bytes.len() as u64;
        if !is_under_way && let Err(error) = self.admit(state, kind, length) {
            return self.not_taken(state, kind, error);
        }
        let written = match self.write(state, bytes) {
            Err(_) if kind == Kind::Final || is_under_way => {
                // What is under way is written into the room that was kept for it, and into another file if this one is bad.
                if state.segments.back().is_some_and(|last| last.length > 0) {
                    state.open = None;
                }
                state.reserve.give_up();
                self.write(state, bytes)
            }
            written => written,
        };
        if let Err(error) = written {
            if state.error.is_none() {
                tracing::error!(%error, folder = %self.folder().display(), "the usage journal cannot be written");
            }
            state.error = Some(error.to_string());
            return self.not_taken(state, kind, error);
        }
        match kind {
            Kind::Draft => {
                let sequence = state.segments.back().map_or(0, |last| last.sequence);
                let frame = bytes.into();
                state.drafts.insert(id, Draft { sequence, frame });
            }
            Kind::Final => {
                state.drafts.remove(&id);
                state.waiting += 1;
                if let Some(last) = state.segments.back_mut() {
                    last.records += 1;
                }
            }
        }
        Ok(())
    }

    fn not_taken(&self, state: &mut State, kind: Kind, error: io::Error) -> io::Result<()> {
        match self.settings.on_full {
            OnFull::Allow => {
                // A request without a record is one, however often it was tried to write one.
                state.dropped += u64::from(kind == Kind::Final);
                Ok(())
            }
            OnFull::Refuse => {
                state.refused += 1;
                Err(error)
            }
        }
    }

    /// May something be written for a request that nothing has been written for yet?
    fn admit(&self, state: &mut State, kind: Kind, length: u64) -> io::Result<()> {
        let full = |why: &str| io::Error::new(io::ErrorKind::StorageFull, why);
        let is_refused = kind == Kind::Draft || self.settings.on_full == OnFull::Allow;
        if state.is_disk_full && is_refused {
            return Err(full("the disk of the usage journal is full"));
        }
        let kept = match kind {
            Kind::Draft => self.settings.limit / 16 + (state.drafts.len() as u64 + 1) * FINAL,
            Kind::Final => 0,
        };
        let fits = state.bytes + length + kept <= self.settings.limit;
        if kind == Kind::Draft {
            self.tell_level(state, !fits);
        }
        if fits {
            Ok(())
        } else {
            Err(full("as many usage records wait for the database as may"))
        }
    }

    /// Writes drafts that stand in the oldest file again, so that nothing in it is needed any more.
    fn move_drafts(&self, state: &mut State) -> io::Result<()> {
        let Some(oldest) = state.segments.front().map(|oldest| oldest.sequence) else {
            return Ok(());
        };
        let stand_there = |draft: &Draft| draft.sequence == oldest;
        if !state.drafts.values().any(stand_there) {
            return Ok(());
        }
        let moved: Vec<(Id, Box<[u8]>)> = state
            .drafts
            .iter()
            .filter(|(_, draft)| stand_there(draft))
            .map(|(id, draft)| (*id, draft.frame.clone()))
            .collect();
        let bytes: Vec<u8> = moved
            .iter()
            .flat_map(|(_, frame)| frame.iter().copied())
            .collect();
        self.write(state, &bytes)?;
        let sequence = state.segments.back().map_or(0, |last| last.sequence);
        for (id, _) in moved {
            if let Some(draft) = state.drafts.get_mut(&id) {
                draft.sequence = sequence;
            }
        }
        Ok(())
    }

    /// One write; nothing of it remains if it fails.
    fn write(&self, state: &mut State, bytes: &[u8]) -> io::Result<()> {
        let is_long = state
            .segments
            .back()
            .is_none_or(|last| last.length >= self.settings.segment);
        // A file that is too long is better than none.
        if (state.open.is_none() || is_long)
            && let Err(error) = self.begin(state)
            && state.open.is_none()
        {
            self.tell_if_full(state, &error);
            return Err(error);
        }
        let (Some(file), Some(last)) = (state.open.clone(), state.segments.back_mut()) else {
            return Err(io::Error::other("no file of the usage journal is open"));
        };
        let written = match (&*file).write(bytes) {
            Ok(written) if written == bytes.len() => {
                last.length += written as u64;
                state.bytes += written as u64;
                if state.unsynced.is_empty() && self.settings.sync_every.is_some() {
                    state.unsynced.push(file);
                }
                return Ok(());
            }
            Ok(_) => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Err(error) => Err(error),
        };
        if file.set_len(last.length).is_err() {
            // What stands behind the end is recognised as torn; nothing may follow it.
            state.open = None;
        }
        if let Err(error) = &written {
            self.tell_if_full(state, error);
        }
        written
    }

    fn tell_if_full(&self, state: &mut State, error: &io::Error) {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) && !state.is_disk_full
        {
            state.is_disk_full = true;
            self.tell_level(state, true);
            tracing::error!(%error, folder = %self.folder().display(), "the disk of the usage journal is full: new requests are refused until there is room");
        }
    }

    /// Begins another file; the one before is not appended to any more.
    fn begin(&self, state: &mut State) -> io::Result<()> {
        let base = state
            .segments
            .back()
            .filter(|last| last.journal == self.id)
            .map_or(0, |last| last.base + last.length);
        let segment = Segment {
            sequence: state.next_sequence,
            journal: self.id,
            base,
            length: 0,
            is_damaged: false,
            records: 0,
        };
        let file = File::options()
            .append(true)
            .create_new(true)
            .open(segment.path(self.folder()))?;
        let file = Arc::new(file);
        state.next_sequence += 1;
        state.segments.push_back(segment);
        state.open = Some(Arc::clone(&file));
        if self.settings.sync_every.is_some() {
            state.folder_changed = true;
            state.unsynced.push(file);
        }
        Ok(())
    }

    /// Takes the room that is kept on the disk; if it is there, the disk is not full any more.
    pub(crate) fn look_for_room(&self) {
        let mut state = self.state();
        match state.reserve.take() {
            Ok(()) if state.is_disk_full => {
                state.is_disk_full = false;
                state.error = None;
                tracing::info!(folder = %self.folder().display(), "the disk of the usage journal has room again");
            }
            Ok(()) => {}
            Err(error) => {
                self.tell_if_full(&mut state, &error);
                state.error = Some(error.to_string());
            }
        }
    }

    pub(crate) fn take_unsynced(&self) -> (Vec<Arc<File>>, bool) {
        let mut state = self.state();
        let files = std::mem::take(&mut state.unsynced);
        (files, std::mem::take(&mut state.folder_changed))
    }

    pub(crate) fn synced(&self, done: io::Result<()>) {
        match done {
            Ok(()) => {
                let mut state = self.state();
                if !state.is_disk_full {
                    state.error = None;
                }
            }
            Err(error) => {
                tracing::error!(%error, folder = %self.folder().display(), "the usage journal cannot be forced to the disk: a power cut may take its end");
                self.state().error = Some(error.to_string());
            }
        }
    }

    fn tell_level(&self, state: &mut State, is_full: bool) {
        let limit = self.settings.limit;
        // Once full, it is so until an eighth is free: else each record that is delivered would end it.
        let is_still_full = state.level == Level::Full && state.bytes + limit / 8 > limit;
        let level = level(state.bytes, limit, is_full || is_still_full);
        if level > state.level {
            tracing::warn!(
                ?level,
                bytes = state.bytes,
                limit = self.settings.limit,
                waiting = state.waiting,
                "usage records pile up: is the database away?"
            );
        } else if level < state.level {
            tracing::info!(
                ?level,
                bytes = state.bytes,
                "fewer usage records wait for the database"
            );
        }
        state.level = level;
    }

    fn health(&self) -> Health {
        let state = self.state();
        let is_full = state.is_disk_full || state.level == Level::Full;
        let level = level(state.bytes, self.settings.limit, is_full);
        Health {
            level,
            bytes: state.bytes,
            limit: self.settings.limit,
            files: state.segments.len(),
            waiting: state.waiting,
            drafts: state.drafts.len(),
            is_disk_full: state.is_disk_full,
            refused: state.refused,
            dropped: state.dropped,
            damaged: state.damaged,
            error: state.error.clone(),
        }
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.state().waiting
    }

    /// The first file at or behind a sequence, and whether nothing more will be appended to it.
    pub(crate) fn segment(&self, sequence: u64) -> Option<(Segment, bool)> {
        let state = self.state();
        let place = state
            .segments
            .partition_point(|segment| segment.sequence < sequence);
        let segment = state.segments.get(place)?.clone();
        let is_last = place + 1 == state.segments.len();
        Some((segment, !is_last || state.open.is_none()))
    }

    /// Something in a file cannot be read.
    pub(crate) fn damaged(&self, sequence: u64) {
        let mut state = self.state();
        state.damaged += 1;
        if let Some(segment) = state
            .segments
            .iter_mut()
            .find(|segment| segment.sequence == sequence)
        {
            segment.is_damaged = true;
        }
    }

    /// All before a place is in the database: files that end there are not needed any more.
    pub(crate) fn delivered(&self, sequence: u64, at: u64, records: u64) -> io::Result<()> {
        let mut guard = self.state();
        let state = &mut *guard;
        state.waiting = state.waiting.saturating_sub(records);
        let mut done = Vec::new();
        while let Some(oldest) = state.segments.front() {
            let is_open = state.segments.len() == 1 && state.open.is_some();
            let is_done =
                oldest.sequence < sequence || oldest.sequence == sequence && at >= oldest.length;
            if is_open || !is_done {
                break;
            }
            if self.move_drafts(state).is_err() {
                // It can go when those requests are done, or there is room for their drafts elsewhere.
                break;
            }
            if let Some(oldest) = state.segments.pop_front() {
                state.bytes -= oldest.length;
                done.push(oldest);
            }
        }
        let is_full = state.is_disk_full;
        self.tell_level(state, is_full);
        drop(guard);
        // Deleting a large file takes its time, in which others append.
        done.iter()
            .try_for_each(|segment| segment.dispose(self.folder()))
    }
}

fn level(bytes: u64, limit: u64, is_full: bool) -> Level {
    if is_full {
        Level::Full
    } else if bytes > limit / 5 * 4 {
        Level::Alarm
    } else if bytes > limit / 2 {
        Level::Filling
    } else {
        Level::Calm
    }
}
