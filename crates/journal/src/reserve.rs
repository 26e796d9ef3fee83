//! Room that is kept on the disk: given up when the disk is full, so that requests under way can still be written down.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

pub(crate) const SIZE: usize = 4 << 20;

#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    is_held: bool,
}

impl Reserve {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            is_held: false,
        }
    }

    /// Takes the room, unless it is taken already.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        if self.is_held {
            return Ok(());
        }
        // Neither zeros nor a pattern: some file systems give those no room.
        let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes = Vec::with_capacity(SIZE);
        while bytes.len() < SIZE {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            bytes.extend_from_slice(&noise.to_le_bytes());
        }
        let taken = File::create(&self.path).and_then(|mut file| file.write_all(&bytes));
        match taken {
            Ok(()) => self.is_held = true,
            // Half of it would be in the way of others.
            Err(_) => self.remove(),
        }
        taken
    }

    /// Gives the room up; false where there was none.
    pub(crate) fn give_up(&mut self) -> bool {
        let was_held = self.is_held;
        self.remove();
        was_held
    }

    fn remove(&mut self) {
        self.is_held = false;
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %self.path.display(), "the reserve of the usage journal cannot be given up");
        }
    }
}
