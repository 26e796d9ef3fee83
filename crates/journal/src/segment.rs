//! The files of a journal: their names tell all that must be known before a byte is read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lingate_metering::Id;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Counts up within a place, over all its journals.
    pub(crate) sequence: u64,
    pub(crate) journal: Id,
    /// Position of the first byte.
    pub(crate) base: u64,
    /// Bytes that are complete.
    pub(crate) length: u64,
    /// Something in it cannot be read: it is not deleted, but put aside.
    pub(crate) is_damaged: bool,
    /// Finals in it, and drafts whose final never came.
    pub(crate) records: u64,
}

impl Segment {
    pub(crate) fn name(&self) -> String {
        format!(
            "{:08}-{}-{:08}.segment",
            self.sequence, self.journal, self.base
        )
    }

    pub(crate) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }

    fn parse(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".segment")?;
        let (sequence, rest) = name.split_once('-')?;
        let (journal, base) = rest.rsplit_once('-')?;
        Some(Self {
            sequence: sequence.parse().ok()?,
            journal: journal.parse().ok()?,
            base: base.parse().ok()?,
            length: 0,
            is_damaged: false,
            records: 0,
        })
    }

    /// All that are in a folder, oldest first. Other files are nobody's business.
    pub(crate) fn list(folder: &Path) -> io::Result<Vec<Self>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Some(segment) = entry.file_name().to_str().and_then(Self::parse) else {
                continue;
            };
            segments.push(Self {
                length: entry.metadata()?.len(),
                ..segment
            });
        }
        segments.sort_by_key(|segment| segment.sequence);
        Ok(segments)
    }

    /// Deletes the file, or puts it aside if something in it could not be read. Of those, the last few are kept.
    pub(crate) fn dispose(&self, folder: &Path) -> io::Result<()> {
        const KEPT: usize = 16;
        if !self.is_damaged {
            return match fs::remove_file(self.path(folder)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let aside = folder.join("damaged");
        fs::create_dir_all(&aside)?;
        fs::rename(self.path(folder), self.path(&aside))?;
        tracing::warn!(file = %self.path(&aside).display(), "a damaged file of the usage journal is kept here as evidence");
        let kept = Self::list(&aside)?;
        for old in kept.iter().take(kept.len().saturating_sub(KEPT)) {
            tracing::warn!(file = %old.path(&aside).display(), "the oldest damaged file of the usage journal is deleted: 16 are kept");
            fs::remove_file(old.path(&aside))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let segment = Segment {
            sequence: 7,
            journal: Id::from_u128(0x0193_a1b2_0000_7000_8000_0000_0000_0001),
            base: 123_456_789_012,
            length: 0,
            is_damaged: false,
            records: 0,
        };
        assert_eq!(Segment::parse(&segment.name()), Some(segment));
        for other in ["lock", "reserve", "x.segment", "1-2-3.segment", ".segment"] {
            assert_eq!(Segment::parse(other), None, "{other}");
        }
    }
}
