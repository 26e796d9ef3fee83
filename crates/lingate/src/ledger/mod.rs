//! The ledger of a running gateway: who may ask is kept up to date from the configuration and the database, and what was used goes
//! into the database by the journal.
//!
//! The gateway serves whatever becomes of the database. One that cannot be served from (of another program, of a newer version) is a
//! reason not to start; one that is away is not: keys are known from the copy that was kept when it was last seen.

mod callers;
mod kept;
mod seeding;
mod standing;
pub(crate) mod stored;
mod wallets;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use lingate_config::{CounterStore, Loaded, OnCounterOutage, Settings, WhenFull};
use lingate_counters::{Counters, OnOutage, RedisSettings};
use lingate_gateway::{Gateway, Governance};
use lingate_journal::{Journal, OnFull, Opened, Reader};
use lingate_store::{Store, StoreError};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::{Failed, database};
pub(crate) use callers::Callers;

/// How long the database may take at the end for what the journal holds. What it does not take then is brought there by the next start.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// How often a database is tried that was away at the start.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The parts that work beside requests.
#[derive(Debug)]
pub(crate) struct Ledger {
    settings: Settings,
    callers: Arc<Callers>,
    journal: Arc<Journal>,
    /// Taken by the one who writes.
    reader: Option<Reader>,
    /// `None`: it has not been reached yet.
    store: watch::Sender<Option<Store>>,
    tasks: JoinSet<()>,
    /// Set when there are no requests any more.
    ended: watch::Sender<bool>,
    writing: Option<JoinHandle<()>>,
}

impl Ledger {
    /// Opens database, journal and counters. What is away is no reason not to start; what is wrong is.
    pub(crate) async fn open(loaded: &Loaded) -> Result<(Self, Governance), Failed> {
        let settings = loaded.settings.clone();
        let callers = Arc::new(Callers::new(&settings, loaded.declared.clone()));
        let address = database::address(&settings)?;
        let store = match Store::open(&address, &settings.data).await {
            Ok(store) => {
                let changes = store.changes_since(0).await;
                callers.take(changes.map_err(|error| unfit(&settings, &error))?);
                Some(store)
            }
            Err(error) if error.passes() => {
                tracing::warn!(database = %settings.database, %error, "the database is away; it is tried again every second");
                callers.recall();
                None
            }
            Err(error) => return Err(unfit(&settings, &error)),
        };
        let opened = open_journal(&settings)?;
        let journal = Arc::new(opened.journal);
        let directory = callers.directory();
        let counters = counters(&settings).await?;
        let governance = Governance::new(directory, counters, Some(Arc::clone(&journal)));
        governance.set_may_lack_keys(callers.may_lack_keys(store.as_ref()));
        let ledger = Self {
            settings,
            callers,
            journal,
            reader: Some(opened.reader),
            store: watch::Sender::new(store),
            tasks: JoinSet::new(),
            ended: watch::Sender::new(false),
            writing: None,
        };
        Ok((ledger, governance))
    }

    /// Begins what is done beside requests.
    pub(crate) fn start(&mut self, gateway: &Arc<Gateway>) {
        let governance = Arc::clone(gateway.governance());
        self.callers.belong_to(gateway);
        if self.store.borrow().is_none() {
            let reach = reach(self.settings.clone(), self.store.clone());
            self.tasks.spawn(reach);
        }
        let callers = Arc::clone(&self.callers);
        self.tasks.spawn(callers.follow(self.store.subscribe()));
        let written = watch::Sender::new(None);
        if let Some(reader) = self.reader.take() {
            let writing = writing::write(
                self.store.subscribe(),
                reader,
                self.settings.data.join("journal"),
                written.clone(),
                self.ended.subscribe(),
            );
            self.writing = Some(tokio::spawn(writing));
        }
        let seed = seeding::seed(
            self.store.subscribe(),
            Arc::clone(&governance),
            written.subscribe(),
        );
        self.tasks.spawn(seed);
        let keep = wallets::keep(self.store.subscribe(), Arc::clone(&governance));
        self.tasks.spawn(keep);
        let expire = writing::expire(self.store.subscribe(), writing::ages(&self.settings));
        self.tasks.spawn(expire);
        self.tasks.spawn(standing::tell(
            Arc::clone(gateway),
            standing::Parts {
                callers: Arc::clone(&self.callers),
                settings: self.settings.clone(),
                store: self.store.subscribe(),
                counters: Arc::clone(governance.counters()),
                journal: Arc::clone(&self.journal),
                written: written.subscribe(),
            },
        ));
    }

    /// The database, once it is there.
    pub(crate) fn store(&self) -> watch::Receiver<Option<Store>> {
        self.store.subscribe()
    }

    /// Takes what another configuration says of callers.
    pub(crate) fn callers(&self) -> &Arc<Callers> {
        &self.callers
    }

    /// Ends what is done beside requests, once there are none any more: what the journal holds is brought to the database, if that
    /// is there and quick, and stays where it is if not.
    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
        self.ended.send_replace(true);
        if let Some(mut writing) = self.writing.take()
            && tokio::time::timeout(LAST_WRITES, &mut writing)
                .await
                .is_err()
        {
            tracing::warn!(
                "the database takes too long: what is not in it yet is in the journal, and goes there after the next start"
            );
            writing.abort();
        }
        let journal = Arc::clone(&self.journal);
        // Forced to the disk, too, whatever became of the database.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || journal.sync()).await {
            tracing::error!(%error, "the usage journal cannot be forced to the disk");
        }
        let store = self.store.borrow().clone();
        if let Some(store) = store {
            store.close().await;
        }
    }
}

/// Tries to open the database until it does.
async fn reach(settings: Settings, store: watch::Sender<Option<Store>>) {
    loop {
        tokio::time::sleep(TRY_AGAIN).await;
        let Ok(address) = database::address(&settings) else {
            return;
        };
        match Store::open(&address, &settings.data).await {
            Ok(opened) => {
                tracing::info!(database = %settings.database, "the database is there");
                store.send_replace(Some(opened));
                return;
            }
            Err(error) if error.passes() => {
                tracing::debug!(%error, "the database is still away");
            }
            // It may be mended while we serve: what is known of callers stays in force.
            Err(error) => {
                tracing::error!(database = %settings.database, %error, "the database cannot be used");
            }
        }
    }
}

fn unfit(settings: &Settings, error: &StoreError) -> Failed {
    Failed::new(format!("database {}: {error}", settings.database))
}

fn open_journal(settings: &Settings) -> Result<Opened, Failed> {
    let usage = &settings.usage;
    let limits = lingate_journal::Settings {
        limit: usage.journal_size,
        on_full: match usage.when_full {
            WhenFull::Refuse => OnFull::Refuse,
            WhenFull::Allow => OnFull::Allow,
        },
        ..lingate_journal::Settings::default()
    };
    let folder = settings.data.join("journal");
    tokio::task::block_in_place(|| Journal::open(&folder, limits))
        .map_err(|error| Failed::new(error.to_string()))
}

async fn counters(settings: &Settings) -> Result<Counters, Failed> {
    let CounterStore::Redis(address) = &settings.counters else {
        return Ok(Counters::memory());
    };
    let on_outage = match settings.on_counter_outage {
        OnCounterOutage::LocalLease => OnOutage::LocalLease,
        OnCounterOutage::Allow => OnOutage::Allow,
        OnCounterOutage::Deny => OnOutage::Deny,
    };
    let redis = RedisSettings {
        url: address.secret().expose_secret().to_owned(),
        prefix: "lingate".to_owned(),
        on_outage,
    };
    let counters = Counters::redis(&redis).await;
    counters.map_err(|bad| Failed::new(format!("counters: {bad}")))
}
