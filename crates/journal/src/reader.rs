//! Takes records out of a journal, in the order in which they were appended, for whoever puts them into the database.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use lingate_metering::Id;
use lingate_metering::record::UsageRecord;

use crate::GATEWAY_LOST;
use crate::frame::{self, Found, Kind};
use crate::journal::Shared;

/// What is read at once; grows for a frame that is longer.
const WINDOW: usize = 256 << 10;
/// Bytes of payload after which a batch ends, however few records it has.
const MOST: usize = 4 << 20;

/// Records of one journal that follow each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Positions are this journal's.
    pub journal: Id,
    pub records: Vec<Written>,
    /// Whole entries that are no record that this version understands.
    pub unreadable: Vec<Unreadable>,
    /// Everything before this position has been read.
    pub position: u64,
    sequence: u64,
    at: u64,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    fn count(&self) -> usize {
        self.records.len() + self.unreadable.len()
    }
}

/// A record and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub position: u64,
    pub record: UsageRecord,
    /// Its request was under way when its process ended. That is known only afterwards: what stands behind it may have been read
    /// before.
    pub is_lost: bool,
}

/// An entry whose checksum is right, and whose text is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub position: u64,
    pub payload: Vec<u8>,
    pub error: String,
}

/// Reads a journal from its oldest record on. What was read comes again after a restart until it is acknowledged and its file
/// deleted: [`Written::position`] tells what the database has already.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    sequence: u64,
    at: u64,
    file: Option<File>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            sequence: 0,
            at: 0,
            file: None,
        }
    }

    /// Up to so many records; none where all have been read. Never waits, but for the disk. After an error nothing is skipped.
    pub fn next(&mut self, most: usize) -> io::Result<Batch> {
        let mut batch = Batch {
            journal: Id::from_u128(0),
            records: Vec::new(),
            unreadable: Vec::new(),
            position: 0,
            sequence: self.sequence,
            at: self.at,
        };
        let mut window = WINDOW;
        let mut bytes = Vec::new();
        let mut taken = 0;
        while batch.count() < most && taken < MOST {
            let Some((segment, is_ended)) = self.shared.segment(self.sequence) else {
                break;
            };
            if segment.sequence != self.sequence {
                self.sequence = segment.sequence;
                self.at = 0;
                self.file = None;
            }
            if segment.journal != batch.journal {
                if !batch.is_empty() {
                    break;
                }
                batch.journal = segment.journal;
            }
            let rest = segment.length.saturating_sub(self.at);
            let is_all = rest <= window as u64;
            let file = match &mut self.file {
                Some(file) => file,
                closed => match File::open(segment.path(self.shared.folder())) {
                    Ok(file) => closed.insert(file),
                    Err(error) => return Err(error),
                },
            };
            bytes.clear();
            file.seek(SeekFrom::Start(self.at))?;
            file.take(rest.min(window as u64)).read_to_end(&mut bytes)?;
            let mut from = 0;
            while from < bytes.len() && batch.count() < most && taken < MOST {
                let at = self.at + from as u64;
                match frame::read(&bytes[from..], is_all) {
                    Found::Whole(frame) => {
                        window = WINDOW;
                        let is_lost =
                            frame.kind == Kind::Draft && self.shared.is_lost(self.sequence, at);
                        if frame.kind == Kind::Final || is_lost {
                            taken += frame.length();
                            take(&mut batch, segment.base + at, frame.payload, is_lost);
                        }
                        from += frame.length();
                    }
                    Found::Damaged(length) => {
                        // Known already where it was found when the journal was opened.
                        if !segment.is_damaged {
                            self.shared.damaged(self.sequence);
                            tracing::error!(file = %segment.path(self.shared.folder()).display(), from = at, "a file of the usage journal is damaged; what is whole before and behind it is read");
                        }
                        from += length;
                    }
                    Found::Torn => {
                        self.shared.damaged(self.sequence);
                        from = bytes.len();
                    }
                    Found::More => {
                        if from == 0 {
                            window *= 2;
                        }
                        break;
                    }
                }
            }
            self.at += from as u64;
            batch.sequence = self.sequence;
            batch.at = self.at;
            batch.position = segment.base + self.at;
            if self.at >= segment.length {
                if !is_ended {
                    break;
                }
                self.sequence += 1;
                self.at = 0;
                self.file = None;
                batch.sequence = self.sequence;
                batch.at = 0;
            } else if bytes.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("{} has become shorter", segment.name()),
                ));
            }
        }
        Ok(batch)
    }

    /// What was read up to here is in the database: files that hold nothing else are deleted. An error leaves files behind that are
    /// read again after a restart; nothing is lost.
    pub fn acknowledge(&self, batch: &Batch) -> io::Result<()> {
        let records = batch.count() as u64;
        self.shared.delivered(batch.sequence, batch.at, records)
    }

    /// Nothing more is to be read, and nothing is left on the disk.
    pub fn is_drained(&self) -> bool {
        self.shared.segment(0).is_none()
    }

    /// Records that wait, those that were read and not acknowledged included.
    pub fn waiting(&self) -> u64 {
        self.shared.waiting()
    }
}

fn take(batch: &mut Batch, position: u64, payload: &[u8], is_lost: bool) {
    match serde_json::from_slice::<UsageRecord>(payload) {
        Ok(mut record) => {
            if is_lost {
                GATEWAY_LOST.clone_into(&mut record.outcome);
            }
            batch.records.push(Written {
                position,
                record,
                is_lost,
            });
        }
        Err(error) => batch.unreadable.push(Unreadable {
            position,
            payload: payload.to_vec(),
            error: error.to_string(),
        }),
    }
}
