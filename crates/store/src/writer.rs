//! Takes usage records from journals into the database: a batch is one transaction, and is in it once however often it is tried.
//!
//! The database is truth about how far a journal has been read ([`Store::write_usage`]), so that a batch which was written, but not
//! acknowledged, is recognised even after retention has deleted its records. What cannot be written now is tried again; what the
//! database refuses for ever is put aside in a file and counted, so that it stops nobody.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lingate_journal::{Batch, Reader, Written};
use lingate_metering::{Id, Millis};
use serde::Serialize;
use sqlx::QueryBuilder;
use tokio::sync::watch;

use crate::database::{On, Tx, execute, fetch_all, on};
use crate::rollup::{self, CUBES, Measure, Numbers};
use crate::rows::{self, RecordRow};
use crate::store::now;
use crate::{Store, StoreError, wallet};

/// Of a transaction.
const RECORDS: usize = 500;
/// Names that a writer remembers the numbers of.
const NAMES: usize = 100_000;
/// How long somebody waits for more once everything is written.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often places of dead processes are looked for.
const ADOPT: Duration = Duration::from_mins(1);

/// How the writer fares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WriterHealth {
    /// Records that wait for the database.
    pub waiting: u64,
    /// When the oldest of them ended; `None`: none is known to wait.
    pub oldest: Option<Millis>,
    /// Since when the database has not taken anything; `None`: it does.
    pub failing_since: Option<Millis>,
    pub error: Option<String>,
    /// Since the start.
    pub written: u64,
    /// Records that were there already.
    pub repeated: u64,
    /// Records that were put aside in `rejected.jsonl` in the journal's folder.
    pub rejected: u64,
    /// How often everything that had waited was found to be in the database.
    pub caught_up: u64,
}

impl WriterHealth {
    /// Seconds that the oldest record waits.
    pub fn lag(&self, now: Millis) -> u64 {
        let since = self.oldest.map_or(0, |oldest| now.saturating_sub(oldest));
        u64::try_from(since / 1000).unwrap_or(0)
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wrote {
    pub new: u64,
    pub repeated: u64,
}

/// The place of the price among the amounts of a record.
const PRICE: usize = Measure::Price as usize;

/// The numbers of names, as they are in the database.
type Names = HashMap<String, i64>;

/// Takes the records of this process, and of those that died, to the database. To be run as a task of its own.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    sources: Vec<Source>,
    folder: PathBuf,
    names: Names,
    health: watch::Sender<WriterHealth>,
    adopted_at: Instant,
}

#[derive(Debug)]
struct Source {
    /// `None`: lost in a panic.
    reader: Option<Reader>,
    /// Read, and not yet written.
    batch: Option<Batch>,
    is_own: bool,
}

impl Writer {
    /// `folder`: of all journals of this machine.
    pub fn new(store: Store, reader: Reader, folder: PathBuf) -> Self {
        // From the first moment: whoever waits until nothing waits must not be told so before it was looked.
        let health = WriterHealth {
            waiting: reader.waiting(),
            ..WriterHealth::default()
        };
        let own = Source {
            reader: Some(reader),
            batch: None,
            is_own: true,
        };
        let long_ago = Instant::now();
        Self {
            store,
            sources: vec![own],
            folder,
            names: Names::new(),
            health: watch::Sender::new(health),
            adopted_at: long_ago,
        }
    }

    pub fn health(&self) -> watch::Receiver<WriterHealth> {
        self.health.subscribe()
    }

    /// Writes until `stop` is there, then what is left, if the database takes it at once. Nobody waits for it: what is not written
    /// is in the journal.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut pause = PAUSE;
        if let Err(error) = self.adopt().await {
            tracing::error!(%error, "journals that other processes left cannot be read");
        }
        loop {
            let wait = match self.pass().await {
                Ok(true) => {
                    pause = PAUSE;
                    Duration::ZERO
                }
                Ok(false) => {
                    pause = PAUSE;
                    PAUSE
                }
                Err(_) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    pause
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = tokio::time::sleep(wait) => {}
            }
            if self.adopted_at.elapsed() > ADOPT
                && let Err(error) = self.adopt().await
            {
                tracing::error!(%error, "journals that other processes left cannot be read");
            }
        }
        while let Ok(true) = self.pass().await {}
    }

    /// Writes everything that waits; fails as soon as the database does.
    pub async fn drain(&mut self) -> Result<(), StoreError> {
        while self.pass().await? {}
        Ok(())
    }

    /// Takes what dead processes left.
    pub async fn adopt(&mut self) -> Result<(), StoreError> {
        self.adopted_at = Instant::now();
        let folder = self.folder.clone();
        let found = tokio::task::spawn_blocking(move || lingate_journal::abandoned(&folder))
            .await
            .map_err(|error| StoreError::Other(error.to_string()))?
            .map_err(|error| StoreError::Other(error.to_string()))?;
        for (reader, _) in found {
            self.sources.push(Source {
                reader: Some(reader),
                batch: None,
                is_own: false,
            });
        }
        Ok(())
    }

    /// Writes a batch of each journal. True: there may be more.
    async fn pass(&mut self) -> Result<bool, StoreError> {
        let mut more = false;
        let mut outcome = Ok(());
        for place in 0..self.sources.len() {
            match self.one(place).await {
                Ok(is_full) => more |= is_full,
                Err(error) => outcome = Err(error),
            }
        }
        self.sources.retain(|source| {
            let reader = source.reader.as_ref();
            source.is_own || reader.is_some_and(|reader| !reader.is_drained())
        });
        let waiting = self
            .sources
            .iter()
            .filter_map(|source| source.reader.as_ref())
            .map(Reader::waiting)
            .sum();
        let oldest = self
            .sources
            .iter()
            .filter_map(|source| source.batch.as_ref()?.records.first())
            .map(|Written { record, .. }| record.started_at.saturating_add(record.duration.into()))
            .min();
        self.health.send_modify(|health| {
            health.waiting = waiting;
            health.oldest = oldest;
            match &outcome {
                Ok(()) => {
                    health.caught_up += u64::from(!more);
                    if let Some(since) = health.failing_since.take() {
                        let seconds = (now() - since) / 1000;
                        tracing::info!(seconds, "usage records are written to the database again");
                    }
                    health.error = None;
                }
                Err(error) => {
                    if health.failing_since.is_none() {
                        health.failing_since = Some(now());
                        tracing::warn!(%error, waiting, "usage records wait for the database");
                    }
                    health.error = Some(error.to_string());
                }
            }
        });
        outcome.map(|()| more)
    }

    async fn one(&mut self, place: usize) -> Result<bool, StoreError> {
        let Some(source) = self.sources.get_mut(place) else {
            return Ok(false);
        };
        if source.batch.is_none() {
            let Some(mut reader) = source.reader.take() else {
                return Err(StoreError::Other(
                    "the reader of a usage journal ended in a panic".into(),
                ));
            };
            let (reader, batch) = tokio::task::spawn_blocking(move || {
                let batch = reader.next(RECORDS);
                (reader, batch)
            })
            .await
            .map_err(|error| StoreError::Other(error.to_string()))?;
            source.reader = Some(reader);
            source.batch = Some(batch.map_err(|error| journal(&error))?);
        }
        let Some(batch) = source.batch.clone() else {
            return Ok(false);
        };
        if !batch.is_empty() {
            let (wrote, rejected) = self.write(&batch).await?;
            self.health.send_modify(|health| {
                health.written += wrote.new;
                health.repeated += wrote.repeated;
                health.rejected += rejected;
            });
        }
        if let Some(source) = self.sources.get_mut(place) {
            source.batch = None;
            if let Some(reader) = &source.reader
                && let Err(error) = reader.acknowledge(&batch)
            {
                tracing::error!(%error, "files of the usage journal that are not needed any more cannot be deleted");
            }
        }
        Ok(batch.records.len() + batch.unreadable.len() >= RECORDS)
    }

    async fn write(&mut self, batch: &Batch) -> Result<(Wrote, u64), StoreError> {
        let mut rejected = 0;
        for unreadable in &batch.unreadable {
            let text = String::from_utf8_lossy(&unreadable.payload);
            self.reject(batch.journal, unreadable.position, &unreadable.error, &text)?;
            rejected += 1;
        }
        let records: Vec<&Written> = batch.records.iter().collect();
        let names = &mut self.names;
        let whole = self
            .store
            .write_some(batch.journal, &records, batch.position, names)
            .await;
        match whole {
            Err(StoreError::Other(error)) => {
                tracing::error!(%error, records = records.len(), "the database refuses a batch of usage records: each is tried alone");
            }
            done => return done.map(|wrote| (wrote, rejected)),
        }
        // Where the database would take none, it is not the records' fault.
        self.store.takes_usage().await?;
        let mut wrote = Wrote::default();
        for written in records {
            let names = &mut self.names;
            let alone = self
                .store
                .write_some(batch.journal, &[written], written.position + 1, names)
                .await;
            match alone {
                Ok(one) => {
                    wrote.new += one.new;
                    wrote.repeated += one.repeated;
                }
                Err(StoreError::Other(error)) => {
                    let text = serde_json::to_string(&written.record)
                        .map_err(|error| StoreError::Other(error.to_string()))?;
                    self.reject(batch.journal, written.position, &error, &text)?;
                    rejected += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let names = &mut self.names;
        self.store
            .write_some(batch.journal, &[], batch.position, names)
            .await?;
        Ok((wrote, rejected))
    }

    /// Puts aside what the database will never take. Repeated after a crash: the position tells which are the same.
    fn reject(
        &self,
        journal: Id,
        position: u64,
        error: &str,
        record: &str,
    ) -> Result<(), StoreError> {
        let file = self.folder.join("rejected.jsonl");
        tracing::error!(%error, file = %file.display(), "a usage record that the database refuses is put aside");
        let line = serde_json::json!({"journal": journal, "position": position, "error": error, "record": record});
        let put = || -> io::Result<()> {
            let mut file = std::fs::File::options()
                .append(true)
                .create(true)
                .open(&file)?;
            file.write_all(format!("{line}\n").as_bytes())?;
            file.sync_data()
        };
        put().map_err(|error| StoreError::Full(format!("{}: {error}", file.display())))
    }
}

fn journal(error: &io::Error) -> StoreError {
    StoreError::Away(format!("the usage journal cannot be read: {error}"))
}

impl Store {
    /// Writes records and their sums, and how far the journal has been read, in one transaction. What was written before, by
    /// position or by id, is left out. `position`: everything of the journal before it has been written then, but for requests that
    /// turn out to be lost.
    pub async fn write_usage(
        &self,
        journal: Id,
        records: &[Written],
        position: u64,
    ) -> Result<Wrote, StoreError> {
        let records: Vec<&Written> = records.iter().collect();
        self.write_some(journal, &records, position, &mut Names::new())
            .await
    }

    /// `known`: names whose numbers need not be asked for.
    async fn write_some(
        &self,
        journal: Id,
        records: &[&Written],
        position: u64,
        known: &mut Names,
    ) -> Result<Wrote, StoreError> {
        let journal = journal.to_string();
        let position = stored(position)?;
        let mut tx = self.db.begin_write().await?;
        wallet::no_opening(&mut tx).await?;
        // Only whoever holds the place of a journal writes for it.
        let rows = fetch_all!(
            tx,
            (i64,),
            "SELECT position FROM usage_journals WHERE id = $1",
            journal.as_str()
        )?;
        let done = rows.first().map_or(0, |(position,)| *position);

        // In one order everywhere: transactions that wait for each other's rows never do so in a circle.
        let mut new = BTreeMap::new();
        for written in records.iter().copied() {
            let Written {
                position,
                record,
                is_lost,
            } = written;
            // What was under way when a process ended stands among what was written while it ran: its id tells whether it is new.
            if stored(*position)? >= done || *is_lost {
                new.insert(record.id, record);
            }
        }
        let mut told = Vec::with_capacity(new.len());
        let mut unknown = BTreeMap::new();
        for record in new.values() {
            let Some(amounts) = rollup::amounts(record) else {
                return Err(StoreError::Other(format!(
                    "the usage record {} has an amount that cannot be true",
                    record.id
                )));
            };
            let names = rollup::names(record);
            for name in names.iter().flatten() {
                if !known.contains_key(name) {
                    unknown.insert(name.clone(), 0);
                }
            }
            told.push((*record, names, amounts));
        }
        // Before anything else is touched: who waits for names holds nothing that others wait for.
        number(&mut tx, &mut unknown).await?;
        let mut rows = Vec::with_capacity(told.len());
        let mut amounts = HashMap::with_capacity(told.len());
        for (record, names, sums) in told {
            let numbers: Numbers = std::array::from_fn(|place| {
                let name = names[place].as_ref();
                name.and_then(|name| unknown.get(name).or_else(|| known.get(name)))
                    .map_or(0, |number| *number)
            });
            let id = record.id.to_string();
            let charged = (record.organization, sums[PRICE]);
            amounts.insert(id.clone(), (record.started_at, numbers, sums, charged));
            rows.push(RecordRow {
                id,
                started_at: record.started_at,
                numbers,
                outcome: rollup::storable(&record.outcome),
                record: serde_json::to_string(record)
                    .map_err(|error| StoreError::Other(error.to_string()))?,
            });
        }

        let inserted = rows::insert(&mut tx, &rows).await?;
        let wrote = Wrote {
            new: inserted.len() as u64,
            repeated: (records.len() - inserted.len()) as u64,
        };
        let fresh: Vec<_> = inserted.iter().filter_map(|id| amounts.get(id)).collect();
        for (place, cube) in CUBES.iter().enumerate() {
            let fresh = fresh
                .iter()
                .map(|(at, numbers, sums, _)| (*at, *numbers, sums));
            rows::add_up(&mut tx, place, &rollup::rows(cube, fresh)).await?;
        }
        let charged = fresh
            .iter()
            .map(|(at, _, _, (organization, price))| (*organization, *at, *price));
        wallet::charge(&mut tx, charged).await?;
        execute!(
            tx,
            "INSERT INTO usage_journals (id, position, updated_at) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at
             WHERE usage_journals.position < excluded.position",
            journal.as_str(),
            position,
            now()
        )?;
        tx.commit().await?;
        if known.len() > NAMES {
            known.clear();
        }
        known.extend(unknown);
        Ok(wrote)
    }

    /// Whether the tables of usage are there and can be written.
    async fn takes_usage(&self) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| match StoreError::from(error) {
            StoreError::Other(text) => StoreError::Denied(text),
            other => other,
        };
        let mut tx = self.db.begin_write().await?;
        let sums = CUBES.iter().map(|cube| cube.table);
        for table in sums.chain(["usage_records", "usage_names", "usage_journals"]) {
            on!(tx, Database, connection => {
                let mut query = QueryBuilder::<Database>::new("DELETE FROM ");
                query.push(table).push(" WHERE 1 = 0");
                query.build().execute(connection).await.map(drop)
            })
            .map_err(failed)?;
        }
        Ok(())
    }
}

fn stored(position: u64) -> Result<i64, StoreError> {
    i64::try_from(position)
        .map_err(|_| StoreError::Other(format!("a journal has no position {position}")))
}

/// Finds the numbers of names, and gives new ones to those that have none.
async fn number(tx: &mut Tx, names: &mut BTreeMap<String, i64>) -> Result<(), StoreError> {
    let find = async |tx: &mut Tx, names: &mut BTreeMap<String, i64>| {
        let found = rollup::numbers(tx, names.keys().map(String::as_str)).await?;
        names.extend(found);
        Ok::<_, StoreError>(names.values().any(|number| *number == 0))
    };
    if names.is_empty() || !find(tx, names).await? {
        return Ok(());
    }
    if let On::Postgres(_) = tx.on {
        // One at a time; SQLite has one writer anyway.
        execute!(tx, "LOCK TABLE usage_names IN SHARE ROW EXCLUSIVE MODE")?;
        if !find(tx, names).await? {
            return Ok(());
        }
    }
    let last = fetch_all!(tx, (i64,), "SELECT COALESCE(MAX(id), 0) FROM usage_names")?;
    let mut last = last.first().map_or(0, |(last,)| *last);
    let mut new = Vec::new();
    for (name, number) in names.iter_mut().filter(|(_, number)| **number == 0) {
        last += 1;
        *number = last;
        new.push((last, name.clone()));
    }
    for new in new.chunks(5_000) {
        on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("INSERT INTO usage_names (id, name) ");
            query.push_values(new, |mut row, (number, name)| {
                row.push_bind(*number).push_bind(name.clone());
            });
            query.build().persistent(false).execute(connection).await.map(drop)
        })?;
    }
    Ok(())
}
