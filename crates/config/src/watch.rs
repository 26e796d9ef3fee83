//! Notices that the configuration has changed, by looking at its files.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Environment, Loaded, Overlay, Problems, load_with};

/// Watches the file of a configuration and the files of its secrets. Somebody calls [`poll`](Self::poll) about once a second.
///
/// The content decides, not times and sizes: editors that replace files, mounted `ConfigMap`s that swap links, and two
/// changes within one tick of the file system's clock all look the same. A change counts when two looks in a row see
/// the same content, so that a half-written file is not taken for a broken one.
#[derive(Debug)]
pub struct Watcher {
    path: Option<PathBuf>,
    secret_files: Vec<PathBuf>,
    environment: Environment,
    /// What the database holds.
    overlay: Arc<Overlay>,
    /// Of the content that was last dealt with.
    settled: u64,
    /// Of the content at the last look.
    seen: u64,
    /// What was told about files that cannot be used. They are read again at every look: what is missing may be a file
    /// that is not watched yet.
    broken: Option<Problems>,
}

/// What a look at the files has found.
#[derive(Debug)]
pub enum Change {
    None,
    New(Box<Loaded>),
    /// The files have changed and cannot be used: the old configuration stays in effect. Told once for the same problems.
    Broken(Problems),
}

impl Watcher {
    /// Starts from a configuration that was just loaded.
    pub fn new(loaded: &Loaded, environment: Environment, overlay: Arc<Overlay>) -> Self {
        let mut watcher = Self {
            path: loaded.source.clone(),
            secret_files: loaded.secret_files.clone(),
            environment,
            overlay,
            settled: 0,
            seen: 0,
            broken: None,
        };
        watcher.settled = watcher.look();
        watcher.seen = watcher.settled;
        watcher
    }

    /// Looks once. Reads files, so it belongs where blocking is allowed.
    pub fn poll(&mut self) -> Change {
        let now = self.look();
        let steady = now == self.seen;
        self.seen = now;
        if !steady || (now == self.settled && self.broken.is_none()) {
            return Change::None;
        }
        self.settled = now;
        self.read()
    }

    /// Takes what the database holds now. Reads files.
    pub fn lay(&mut self, overlay: Arc<Overlay>) -> Change {
        self.overlay = overlay;
        self.read()
    }

    /// What was last taken from the database.
    pub fn overlay(&self) -> &Arc<Overlay> {
        &self.overlay
    }

    fn read(&mut self) -> Change {
        match load_with(self.path.as_deref(), &self.environment, &self.overlay) {
            Ok(loaded) => {
                self.broken = None;
                if loaded.secret_files != self.secret_files {
                    self.secret_files.clone_from(&loaded.secret_files);
                    self.settled = self.look();
                    self.seen = self.settled;
                }
                Change::New(Box::new(loaded))
            }
            Err(problems) if self.broken.as_ref() == Some(&problems) => Change::None,
            Err(problems) => {
                self.broken = Some(problems.clone());
                Change::Broken(problems)
            }
        }
    }

    fn look(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let files = self.path.iter().chain(&self.secret_files);
        for file in files {
            content(file).hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// The content, or why there is none; a file that is missing for good is a change, too.
fn content(file: &Path) -> Result<String, String> {
    crate::read_file(file)
}
