//! Where a process keeps its journal: a folder that nobody else holds.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Settings;
use crate::journal::{Journal, Shared};
use crate::reader::Reader;
use crate::recovery::{self, Recovery};
use crate::segment::Segment;

/// More processes never share a data folder; it bounds the search.
const PLACES: u32 = 64;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the usage journal in {} cannot be opened: {source}", folder.display())]
    Io { folder: PathBuf, source: io::Error },
    #[error("the usage journal in {}: 64 other processes hold all places there", folder.display())]
    Crowded { folder: PathBuf },
}

/// A journal, and the one who takes it to the database.
#[derive(Debug)]
pub struct Opened {
    pub journal: Journal,
    pub reader: Reader,
    pub recovery: Recovery,
}

/// A place that this process holds until the lock is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    _lock: File,
}

impl Place {
    /// `None`: somebody else holds it.
    fn hold(folder: PathBuf) -> io::Result<Option<Self>> {
        private_folder(&folder)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self {
                folder,
                _lock: lock,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Journal {
    /// Opens a journal in the first place below `folder` that no other process holds, and looks at what was left there: nothing of
    /// it is changed. Fails if the folder cannot be written or locked. Blocks.
    pub fn open(folder: &Path, settings: Settings) -> Result<Opened, OpenError> {
        let failed = |source| OpenError::Io {
            folder: folder.to_owned(),
            source,
        };
        for number in 1..=PLACES {
            let place = Place::hold(folder.join(number.to_string())).map_err(failed)?;
            if let Some(place) = place {
                let (shared, recovery) = enter(place, settings).map_err(failed)?;
                let reader = Reader::new(Arc::clone(&shared));
                return Ok(Opened {
                    journal: Self::start(shared),
                    reader,
                    recovery,
                });
            }
        }
        Err(OpenError::Crowded {
            folder: folder.to_owned(),
        })
    }
}

/// What processes left that are gone, in places that nobody holds; empty places are not told. Each is held as long as its reader
/// lives. To be asked now and then: a process that shared the data folder may have been killed. Blocks.
pub fn abandoned(folder: &Path) -> Result<Vec<(Reader, Recovery)>, OpenError> {
    let failed = |source| OpenError::Io {
        folder: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for number in 1..=PLACES {
        let below = folder.join(number.to_string());
        if !below.is_dir() {
            break;
        }
        let Some(place) = Place::hold(below).map_err(failed)? else {
            continue;
        };
        if Segment::list(&place.folder).map_err(failed)?.is_empty() {
            continue;
        }
        let (shared, recovery) = enter(place, Settings::default()).map_err(failed)?;
        found.push((Reader::new(shared), recovery));
    }
    Ok(found)
}

fn enter(place: Place, settings: Settings) -> io::Result<(Arc<Shared>, Recovery)> {
    let mut segments = Segment::list(&place.folder)?;
    let (lost, recovery) = recovery::look(&place.folder, &mut segments)?;
    if recovery.lost > 0 {
        tracing::warn!(requests = recovery.lost, folder = %place.folder.display(), "requests were under way when an earlier process ended: what is known of them is recorded");
    }
    Ok((
        Arc::new(Shared::new(place, settings, segments, lost, &recovery)),
        recovery,
    ))
}

/// Nobody else on this machine may read who asked what.
fn private_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
    }
    #[cfg(not(unix))]
    fs::create_dir_all(folder)
}
