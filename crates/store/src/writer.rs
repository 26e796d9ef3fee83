//! Takes usage records from journals into the database: a batch is one transaction, and is in it once however often it is tried.
//!
//! The database is truth about how far a journal has been read ([`Store::write_usage`]), so that a batch which was written, but not
//! acknowledged, is recognised even after retention has deleted its records. What cannot be written now is tried again; what the
//! database refuses for ever is put aside in a file and counted, so that it stops nobody.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::future::Future;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lingate_journal::{Batch, Reader, Written};
use lingate_metering::{Id, Millis};
use serde::Serialize;
use sqlx::QueryBuilder;
use tokio::sync::watch;

use crate::database::{Tx, execute, fetch_all, on};
use crate::rollup::{self, CUBES, MEASURES, Measure, Numbers, Place, SUMS};
use crate::store::now;
use crate::{Store, StoreError};

/// Of a transaction.
const RECORDS: usize = 500;
/// Rows of sums in one statement.
const ROWS: usize = 1_000;
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

/// Takes the records of this process, and of those that died, to the database. To be run as a task of its own.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    sources: Vec<Source>,
    folder: PathBuf,
    names: HashSet<i64>,
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
            names: HashSet::new(),
            health: watch::Sender::new(WriterHealth::default()),
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
    /// position or by id, is left out. `position`: everything of the journal before it has been written then.
    pub async fn write_usage(
        &self,
        journal: Id,
        records: &[Written],
        position: u64,
    ) -> Result<Wrote, StoreError> {
        let records: Vec<&Written> = records.iter().collect();
        self.write_some(journal, &records, position, &mut HashSet::new())
            .await
    }

    /// `known`: numbers whose names are in the database.
    async fn write_some(
        &self,
        journal: Id,
        records: &[&Written],
        position: u64,
        known: &mut HashSet<i64>,
    ) -> Result<Wrote, StoreError> {
        let journal = journal.to_string();
        let position = stored(position)?;
        let mut tx = self.db.begin_write().await?;
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
        for Written { position, record } in records.iter().copied() {
            if stored(*position)? >= done {
                new.insert(record.id, record);
            }
        }
        let mut rows = Vec::with_capacity(new.len());
        for record in new.values() {
            let Some(amounts) = rollup::amounts(record) else {
                return Err(StoreError::Other(format!(
                    "the usage record {} has an amount that cannot be true",
                    record.id
                )));
            };
            let names = rollup::names(record);
            let numbers: Numbers =
                std::array::from_fn(|place| names[place].as_deref().map_or(0, rollup::number));
            let json = serde_json::to_string(record)
                .map_err(|error| StoreError::Other(error.to_string()))?;
            rows.push((
                record.id.to_string(),
                *record,
                json,
                numbers,
                names,
                amounts,
            ));
        }

        let mut inserted = HashSet::new();
        if !rows.is_empty() {
            let ids = on!(tx, Database, connection => {
                let mut query = QueryBuilder::<Database>::new(
                    "INSERT INTO usage_records (id, started_at, organization_id, project_id, user_id, key_id, model_id, provider_id, outcome, record) ",
                );
                query.push_values(&rows, |mut row, (id, record, json, numbers, ..)| {
                    row.push_bind(id.clone()).push_bind(record.started_at);
                    for number in numbers {
                        row.push_bind(*number);
                    }
                    row.push_bind(rollup::storable(&record.outcome)).push_bind(json.clone());
                });
                query.push(" ON CONFLICT (id) DO NOTHING RETURNING id");
                query.build_query_as::<(String,)>().fetch_all(connection).await
            })?;
            inserted.extend(ids.into_iter().map(|(id,)| id));
        }
        rows.retain(|(id, ..)| inserted.contains(id));
        let wrote = Wrote {
            new: inserted.len() as u64,
            repeated: (records.len() - inserted.len()) as u64,
        };

        let mut fresh = BTreeMap::new();
        let mut sums = BTreeMap::new();
        for (_, record, _, numbers, names, amounts) in &rows {
            for (number, name) in numbers.iter().zip(names) {
                if let Some(name) = name
                    && !known.contains(number)
                {
                    fresh.insert(*number, name.clone());
                }
            }
            rollup::add(&mut sums, record.started_at, *numbers, amounts);
        }
        if !fresh.is_empty() {
            on!(tx, Database, connection => {
                let mut query = QueryBuilder::<Database>::new("INSERT INTO usage_names (id, name) ");
                query.push_values(&fresh, |mut row, (number, name)| {
                    row.push_bind(*number).push_bind(name.clone());
                });
                query.push(" ON CONFLICT (id) DO NOTHING");
                query.build().execute(connection).await.map(drop)
            })?;
        }
        let sums: Vec<(Place, [i64; SUMS])> = sums.into_iter().collect();
        for cube in sums.chunk_by(|((one, ..), _), ((other, ..), _)| one == other) {
            for rows in cube.chunks(ROWS) {
                add_up(&mut tx, rows).await?;
            }
        }
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
        known.extend(fresh.into_keys());
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

/// Adds to sums of one cube, and makes those that are not there.
async fn add_up(tx: &mut Tx, rows: &[(Place, [i64; SUMS])]) -> Result<(), StoreError> {
    let Some(cube) = rows.first().and_then(|((cube, ..), _)| CUBES.get(*cube)) else {
        return Ok(());
    };
    let ids: Vec<&str> = cube.tells.iter().map(|told| told.column()).collect();
    let ids = ids.join(", ");
    let mut text = format!("INSERT INTO {} (bucket, {ids}", cube.table);
    text.reserve(rows.len() * 160);
    for measure in MEASURES {
        text.push_str(", ");
        text.push_str(measure.column());
    }
    text.push_str(") VALUES ");
    // Whole numbers in the text itself: bound ones would be more than a statement takes. Writing to a string cannot fail.
    for (place, ((_, bucket, numbers), sums)) in rows.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let _ = write!(text, "{comma}({bucket}");
        for told in cube.tells {
            let _ = write!(text, ",{}", numbers[*told as usize]);
        }
        for sum in sums {
            let _ = write!(text, ",{sum}");
        }
        text.push(')');
    }
    let _ = write!(text, " ON CONFLICT (bucket, {ids}) DO UPDATE SET ");
    for (place, measure) in MEASURES.into_iter().enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        let column = measure.column();
        let table = cube.table;
        let _ = if matches!(measure, Measure::Cost | Measure::Price) {
            // Nine billion dollars; it stays there, and reports say that it is the end.
            write!(
                text,
                "{comma}{column} = CASE WHEN excluded.{column} > 0 AND {table}.{column} > {max} - excluded.{column} THEN {max} ELSE {table}.{column} + excluded.{column} END",
                max = i64::MAX
            )
        } else {
            write!(
                text,
                "{comma}{column} = {table}.{column} + excluded.{column}"
            )
        };
    }
    on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(text);
        query.build().persistent(false).execute(connection).await.map(drop)
    })?;
    Ok(())
}
