//! What an earlier process left: which files are whole, and which requests were under way when it ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lingate_metering::Id;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::frame::{self, Found, Kind};
use crate::segment::Segment;

/// What was found when a journal was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    pub files: usize,
    /// Records, delivered or not.
    pub finals: u64,
    /// Requests that were under way: their drafts are delivered as records with the outcome [`crate::GATEWAY_LOST`].
    pub lost: u64,
    /// Files whose last frame is not complete: the process was killed in the middle of a write, and told nobody that it was done.
    pub torn: u64,
    /// What else cannot be read.
    pub damaged: Vec<Damage>,
}

/// Bytes of a file that are no whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub file: PathBuf,
    pub from: u64,
    pub to: u64,
}

/// Drafts that no final follows, by file and place in it.
pub(crate) type Lost = FxHashSet<(u64, u64)>;

/// Looks through all files, oldest first.
pub(crate) fn look(folder: &Path, segments: &mut [Segment]) -> io::Result<(Lost, Recovery)> {
    let mut drafts: FxHashMap<Id, (u64, u64)> = FxHashMap::default();
    let mut recovery = Recovery {
        files: segments.len(),
        ..Recovery::default()
    };
    for segment in segments.iter_mut() {
        let path = segment.path(folder);
        let bytes = fs::read(&path)?;
        let mut at = 0;
        while at < bytes.len() {
            let place = at as u64;
            match frame::read(&bytes[at..], true) {
                Found::Whole(frame) => {
                    match frame.kind {
                        Kind::Draft => {
                            drafts.insert(frame.id, (segment.sequence, place));
                        }
                        Kind::Final => {
                            drafts.remove(&frame.id);
                            segment.records += 1;
                            recovery.finals += 1;
                        }
                    }
                    at += frame.length();
                }
                Found::Damaged(length) => {
                    segment.is_damaged = true;
                    let to = place + length as u64;
                    tracing::error!(file = %path.display(), from = place, to, "a file of the usage journal is damaged; what is whole before and behind it is read");
                    recovery.damaged.push(Damage {
                        file: path.clone(),
                        from: place,
                        to,
                    });
                    at += length;
                }
                Found::Torn | Found::More => {
                    recovery.torn += 1;
                    tracing::warn!(file = %path.display(), from = place, bytes = bytes.len() - at, "the last entry of the usage journal was not written to its end");
                    segment.length = place;
                    break;
                }
            }
        }
    }
    recovery.lost = drafts.len() as u64;
    let lost: Lost = drafts.into_values().collect();
    for segment in segments {
        let sequence = segment.sequence;
        segment.records += lost.iter().filter(|(of, _)| *of == sequence).count() as u64;
    }
    Ok((lost, recovery))
}
