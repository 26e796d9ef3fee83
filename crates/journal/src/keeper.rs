//! The thread beside a journal: forces what has been written to the disk, and looks whether a full disk has room again.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::journal::Shared;

/// Ends its thread when dropped, after a last look.
#[derive(Debug)]
pub(crate) struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(shared: Arc<Shared>) -> Self {
        let every = shared.settings().sync_every;
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("usage-journal".to_owned())
            .spawn(move || {
                let wait = every.unwrap_or(Duration::from_secs(1));
                while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    keep(&shared, every.is_some());
                }
                keep(&shared, every.is_some());
            });
        let thread = match thread {
            Ok(thread) => Some(thread),
            Err(error) => {
                tracing::error!(%error, "the usage journal has no thread of its own: a power cut may take more than a second of it");
                None
            }
        };
        Self {
            stop: Some(stop),
            thread,
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the usage journal ended in a panic");
        }
    }
}

fn keep(shared: &Shared, syncs: bool) {
    shared.look_for_room();
    let (files, folder_changed) = shared.take_unsynced();
    let mut done: io::Result<()> = files.iter().try_for_each(|file| file.sync_data());
    if syncs && done.is_ok() && folder_changed {
        done = std::fs::File::open(shared.folder()).and_then(|folder| folder.sync_all());
    }
    shared.synced(done);
}
