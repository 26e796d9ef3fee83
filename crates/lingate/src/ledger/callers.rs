//! Who may ask, from what the configuration declares and what the database holds: a directory that is made anew whenever either
//! changes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use lingate_config::{Database, Settings};
use lingate_gateway::Gateway;
use lingate_metering::Millis;
use lingate_metering::tenant::{Conflict, Declared, Directory, Source};
use lingate_store::{Changes, Replica, Revision, Store};
use tokio::sync::watch;

use super::kept;
use super::writing::there;
use crate::when;

/// Where callers are known from.
#[derive(Debug)]
pub(crate) struct Callers {
    sources: Mutex<Sources>,
    /// Whose directory is replaced.
    gateway: OnceLock<Arc<Gateway>>,
    /// Where a copy of what is stored is kept, for starts without the database. `None`: it is a file beside it, which is there if the
    /// copy is.
    copy: Option<PathBuf>,
    /// When what is stored of the configuration has changed last: documents, and keys of providers.
    configured: watch::Sender<(Revision, Revision)>,
}

#[derive(Debug, Default)]
struct Sources {
    declared: Declared,
    stored: Replica,
    /// The database has told what it holds, since the start.
    has_told: bool,
    /// When time alone makes the directory another one.
    next_change: Option<Millis>,
    /// What was told already.
    conflicts: Vec<Conflict>,
}

/// A clock that is set is noticed within this time.
const LOOK: Duration = Duration::from_mins(1);

/// Waits for a moment, or not so long: whoever comes back looks again.
async fn until(moment: Option<Millis>) {
    let Some(moment) = moment else {
        return std::future::pending().await;
    };
    let wait = u64::try_from(moment.saturating_sub(when::now())).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(wait).min(LOOK)).await;
}

/// So many conflicts are told one by one.
const TOLD: usize = 20;

impl Callers {
    pub(super) fn new(settings: &Settings, declared: Declared) -> Self {
        let sources = Sources {
            declared,
            ..Sources::default()
        };
        let copy = match settings.database {
            Database::Sqlite(_) => None,
            Database::Postgres(_) => Some(settings.data.join("callers.json")),
        };
        Self {
            sources: Mutex::new(sources),
            gateway: OnceLock::new(),
            copy,
            configured: watch::Sender::new((0, 0)),
        }
    }

    /// Tells when what is stored of the configuration has changed.
    pub(crate) fn configured(&self) -> watch::Receiver<(Revision, Revision)> {
        self.configured.subscribe()
    }

    /// From now on it is this one's directory that is replaced.
    pub(super) fn belong_to(&self, gateway: &Arc<Gateway>) {
        // There is one gateway in a process.
        let _first = self.gateway.set(Arc::clone(gateway));
    }

    /// What another configuration says.
    pub(crate) fn declare(&self, declared: Declared) {
        self.sources().declared = declared;
        self.replace();
    }

    /// What has changed in the database. Writes the copy.
    pub(super) fn take(&self, changes: Changes) {
        let configured = (changes.documents, changes.provider_keys);
        let stored = {
            let mut sources = self.sources();
            sources.stored.apply(changes);
            sources.stored.clone()
        };
        self.replace();
        // Not before its keys are known.
        self.sources().has_told = true;
        self.configured
            .send_if_modified(|known| std::mem::replace(known, configured) != configured);
        if let Some(copy) = &self.copy
            && let Err(error) = kept::write(copy, &stored)
        {
            tracing::warn!(file = %copy.display(), %error, "the copy of callers cannot be written: a start without the database would know none of them");
        }
    }

    /// The database cannot be asked, or has not been since the start: it may hold keys that are not known here.
    pub(super) fn may_lack_keys(&self, store: Option<&Store>) -> bool {
        let is_away = store.is_none_or(|store| store.absence().is_some());
        is_away || !self.sources().has_told
    }

    /// Takes what was known when the database was last seen.
    pub(super) fn recall(&self) {
        let Some(copy) = &self.copy else {
            return;
        };
        match kept::read(copy) {
            Ok(Some(changes)) => {
                self.sources().stored.apply(changes);
                self.replace();
                tracing::warn!(file = %copy.display(), "callers are known from a copy until the database is there");
            }
            Ok(None) => tracing::warn!(
                "the database was never seen from here: until it is there, only keys of the configuration are known, and others are told to come again"
            ),
            Err(error) => {
                tracing::error!(file = %copy.display(), %error, "the copy of callers cannot be read: until the database is there, only keys of the configuration are known");
            }
        }
    }

    /// Everybody, as of now.
    pub(super) fn directory(&self) -> Directory {
        let mut sources = self.sources();
        let parts = vec![
            (Source::Configuration, sources.declared.clone()),
            (Source::Store, sources.stored.declared()),
        ];
        let (directory, conflicts) = Directory::build_at(parts, when::now());
        sources.next_change = directory.next_change();
        let news = conflicts
            .iter()
            .filter(|conflict| !sources.conflicts.contains(conflict));
        let mut count = 0;
        for conflict in news {
            count += 1;
            if count <= TOLD {
                tracing::warn!("{conflict}");
            }
        }
        if count > TOLD {
            tracing::warn!("and {} more such conflicts", count - TOLD);
        }
        sources.conflicts = conflicts;
        directory
    }

    fn replace(&self) {
        if let Some(gateway) = self.gateway.get() {
            gateway.replace_directory(self.directory());
        }
    }

    /// Follows the database, once it is there.
    pub(super) async fn follow(self: Arc<Self>, mut store: watch::Receiver<Option<Store>>) {
        let Some(store) = there(&mut store).await else {
            return;
        };
        // What was recalled may be another database's: it is asked for everything, unless it has told already.
        let seen = self.sources().stored.revision;
        let mut watch = store.watch(seen);
        loop {
            let next_change = self.sources().next_change;
            tokio::select! {
                changes = watch.next() => tokio::task::block_in_place(|| self.take(changes)),
                () = until(next_change) => tokio::task::block_in_place(|| self.replace()),
            }
        }
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        // Nothing under this lock panics.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
