//! What lies in a journal, looked at from outside: nothing is changed, and nobody is kept from writing.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::recovery::{self, Recovery};
use crate::segment::Segment;

/// A place below a journal's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    pub folder: PathBuf,
    /// A process writes there.
    pub is_held: bool,
    /// Bytes of all files.
    pub bytes: u64,
    /// What its files hold. In a place that is held, requests that count as lost may be under way, and an entry that counts as torn
    /// may be being written.
    pub found: Recovery,
    /// Damaged files that were put aside.
    pub put_aside: usize,
}

/// A gateway deletes files whose records have arrived; then the place is looked at anew.
const ATTEMPTS: u32 = 5;

/// Reads every byte of every file below `folder`, place by place. Blocks. None where nobody ever wrote.
pub fn inspect(folder: &Path) -> io::Result<Vec<Inspected>> {
    let mut inspected = Vec::new();
    for number in 1.. {
        let place = folder.join(number.to_string());
        if !place.is_dir() {
            break;
        }
        inspected.push(look(place)?);
    }
    Ok(inspected)
}

/// Whether any process writes below `folder`: a gateway runs there.
pub fn is_written(folder: &Path) -> io::Result<bool> {
    for number in 1.. {
        let place = folder.join(number.to_string());
        if !place.is_dir() {
            break;
        }
        if is_held(&place)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn look(folder: PathBuf) -> io::Result<Inspected> {
    let is_held = is_held(&folder)?;
    let mut attempts = 1;
    let (bytes, found) = loop {
        let mut segments = Segment::list(&folder)?;
        let bytes = segments.iter().map(|segment| segment.length).sum();
        match recovery::look(&folder, &mut segments) {
            Ok((_, found)) => break (bytes, found),
            Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS => {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    };
    let aside = folder.join("damaged");
    let put_aside = if aside.is_dir() {
        Segment::list(&aside)?.len()
    } else {
        0
    };
    Ok(Inspected {
        folder,
        is_held,
        bytes,
        found,
        put_aside,
    })
}

fn is_held(folder: &Path) -> io::Result<bool> {
    let lock = match File::open(folder.join("lock")) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
