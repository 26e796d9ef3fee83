//! The open store, and the rule by which it is changed: one revision, held while a change is made.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lingate_metering::{Id, Millis};
use sqlx::QueryBuilder;
use tokio::sync::watch;

use crate::audit::{self, Act, AuditNote};
use crate::database::{Db, On, Tx, execute, fetch_all, on};
use crate::migrate::{MIGRATIONS, migrate, missing_in};
use crate::url::Place;
use crate::{DatabaseUrl, Kind, Revision, StoreError, Unfit};

/// The database, open and of the schema that this program knows. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) db: Db,
    /// The last change that was made through this store, for those who watch in this process.
    pub(crate) latest: Arc<watch::Sender<Revision>>,
    absence: Arc<Mutex<Option<Absence>>>,
    /// Who changes something through this handle; `None`: the gateway itself.
    pub(crate) act: Option<Arc<Act>>,
}

/// A database that was opened to be read.
#[derive(Debug, Clone)]
pub struct Looked {
    /// What changes something fails; while something is missing, what reads may, too.
    pub store: Store,
    /// How many migrations it needs.
    pub missing: usize,
}

/// The database is away, as far as anybody has noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    pub since: Millis,
    pub why: String,
}

impl Store {
    /// Opens the database, creates it where it is a file that is not there, and brings its schema up to date. `data_dir` is where
    /// relative files begin.
    pub async fn open(url: &DatabaseUrl, data_dir: &Path) -> Result<Self, StoreError> {
        let db = match &url.0 {
            Place::Sqlite(_) => {
                let file = url.file(data_dir).unwrap_or_default();
                let open = async {
                    let db = Db::sqlite(&file).await?;
                    prepare(&db).await?;
                    Ok(db)
                };
                open.await.map_err(|error| of_file(&file, error))?
            }
            Place::Postgres(options) => {
                let db = Db::postgres(options).await.map_err(|error| match error {
                    StoreError::Away(text) => StoreError::Away(format!("{url}: {text}")),
                    StoreError::Denied(text) => StoreError::Denied(format!("{url}: {text}")),
                    other => other,
                })?;
                prepare(&db).await?;
                db
            }
        };
        Ok(Self {
            db,
            latest: Arc::new(watch::Sender::new(0)),
            absence: Arc::default(),
            act: None,
        })
    }

    /// Opens the database to read it: it is neither made nor migrated. `None`: it is a file that is not there.
    pub async fn look(url: &DatabaseUrl, data_dir: &Path) -> Result<Option<Looked>, StoreError> {
        let (db, missing) = match &url.0 {
            Place::Sqlite(_) => {
                let file = url.file(data_dir).unwrap_or_default();
                if !file.exists() {
                    return Ok(None);
                }
                let open = async {
                    let db = Db::sqlite_to_read(&file).await?;
                    let missing = missing_in(&db, MIGRATIONS).await?;
                    Ok((db, missing))
                };
                open.await.map_err(|error| of_file(&file, error))?
            }
            Place::Postgres(options) => {
                let db = Db::postgres(options).await?;
                let missing = missing_in(&db, MIGRATIONS).await?;
                (db, missing)
            }
        };
        let store = Self {
            db,
            latest: Arc::new(watch::Sender::new(0)),
            absence: Arc::default(),
            act: None,
        };
        Ok(Some(Looked { store, missing }))
    }

    /// The same store, for somebody: what is changed through it is written in the audit log as his.
    #[must_use]
    pub fn by(&self, act: Act) -> Self {
        Self {
            act: Some(Arc::new(act)),
            ..self.clone()
        }
    }

    /// Waits for what is under way. Everything that comes after is refused.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Whether the database is away.
    pub fn absence(&self) -> Option<Absence> {
        self.absence
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Somebody could not reach the database, or could. Says so once.
    pub(crate) fn noticed(&self, outcome: Result<(), &StoreError>) {
        let mut absence = self.absence.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                if let Some(Absence { since, .. }) = absence.take() {
                    let seconds = (now() - since) / 1000;
                    tracing::info!(seconds, "the database is back");
                }
            }
            Err(error) => {
                if absence.is_none() {
                    tracing::warn!(%error, "the database is away; what is known of tenants stays in force");
                    *absence = Some(Absence {
                        since: now(),
                        why: error.to_string(),
                    });
                }
            }
        }
    }

    /// Begins a change of tenants. Until it is committed or dropped nobody else can make one, on no replica.
    pub(crate) async fn begin_change(&self) -> Result<Change, StoreError> {
        let mut tx = self.db.begin_write().await?;
        let rows = fetch_all!(
            tx,
            (i64,),
            "UPDATE lingate_head SET revision = revision + 1 WHERE only_one = 1 RETURNING revision"
        )?;
        let Some((revision,)) = rows.first().copied() else {
            return Err(StoreError::Other("lingate_head has no row".into()));
        };
        Ok(Change {
            tx,
            revision,
            at: now(),
            notes: Vec::new(),
        })
    }

    pub(crate) async fn commit(&self, change: Change) -> Result<(), StoreError> {
        let Change {
            mut tx,
            revision,
            at,
            notes,
        } = change;
        audit::write(&mut tx, self.act.as_deref(), at, notes).await?;
        if let On::Postgres(_) = tx.on {
            // Sent when it is committed.
            execute!(
                tx,
                "SELECT pg_notify($1, $2)",
                CHANNEL,
                revision.to_string()
            )?;
        }
        tx.commit().await?;
        self.latest
            .send_modify(|latest| *latest = revision.max(*latest));
        Ok(())
    }
}

/// Where PostgreSQL's notices of changes go.
pub(crate) const CHANNEL: &str = "lingate";

/// Deletions are forgotten after this long: who was away longer reads everything again.
const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// A change of tenants under way.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) tx: Tx,
    pub(crate) revision: Revision,
    pub(crate) at: Millis,
    /// What the audit log is to tell of it.
    pub(crate) notes: Vec<AuditNote>,
}

impl Change {
    /// The audit log tells it once the change is committed, in the same transaction.
    pub(crate) fn note(&mut self, note: AuditNote) {
        self.notes.push(note);
    }

    /// Remembers that something was deleted.
    pub(crate) async fn bury(&mut self, kind: Kind, id: Id) -> Result<(), StoreError> {
        let before = self.at - i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
        execute!(
            self.tx,
            "UPDATE lingate_head SET horizon = COALESCE((SELECT MAX(revision) FROM deletions WHERE deleted_at < $1), horizon) WHERE only_one = 1",
            before
        )?;
        execute!(
            self.tx,
            "DELETE FROM deletions WHERE deleted_at < $1",
            before
        )?;
        execute!(
            self.tx,
            "INSERT INTO deletions (id, kind, revision, deleted_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, revision = excluded.revision, deleted_at = excluded.deleted_at",
            id.to_string(),
            kind.name(),
            self.revision,
            self.at
        )?;
        Ok(())
    }

    /// What was deleted is there again.
    pub(crate) async fn exhume(&mut self, ids: impl Iterator<Item = Id>) -> Result<(), StoreError> {
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        on!(self.tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("DELETE FROM deletions WHERE id IN (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id);
            }
            query.push(")");
            query.build().execute(connection).await.map(drop)
        })?;
        Ok(())
    }
}

async fn prepare(db: &Db) -> Result<(), StoreError> {
    migrate(db, MIGRATIONS).await?;
    // What cannot be written is known now, not when the first record is lost. It changes nothing.
    let mut tx = db.begin_write().await?;
    execute!(
        tx,
        "UPDATE lingate_head SET revision = revision WHERE only_one = 1"
    )?;
    Ok(())
}

/// Which file it is about; a file that cannot be opened is not away, and does not come back by itself.
fn of_file(file: &Path, error: StoreError) -> StoreError {
    let file = file.display();
    match error {
        StoreError::Away(text) => StoreError::Denied(format!("{file}: {text}")),
        StoreError::ReadOnly(text) => StoreError::ReadOnly(format!("{file}: {text}")),
        StoreError::Unfit(Unfit::Damaged(text)) => Unfit::Damaged(format!("{file}: {text}")).into(),
        other => other,
    }
}

pub(crate) fn now() -> Millis {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use lingate_metering::tenant::Organization;

    use super::*;

    #[tokio::test]
    async fn who_only_looks_makes_nothing_and_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("lingate-look-{}", std::process::id()));
        let url: DatabaseUrl = "sqlite".parse().unwrap();
        assert!(Store::look(&url, &folder).await.unwrap().is_none());
        assert!(!folder.exists());
        let file = url.file(&folder).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&file, b"").unwrap();
        let looked = Store::look(&url, &folder).await.unwrap().unwrap();
        assert_eq!(looked.missing, MIGRATIONS.len());
        looked.store.close().await;
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);

        let store = Store::open(&url, &folder).await.unwrap();
        store.create(&Organization::named("seen")).await.unwrap();
        let looked = Store::look(&url, &folder).await.unwrap().unwrap();
        assert_eq!(looked.missing, 0);
        let seen = looked.store.declared().await.unwrap();
        assert_eq!(seen.organizations.len(), 1);
        let refused = looked.store.create(&Organization::named("other")).await;
        assert!(refused.is_err(), "{refused:?}");
        looked.store.close().await;
        store.close().await;
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// What a panic interrupts is as if it had not begun, and nobody waits for it.
    async fn check_panic(store: Store) {
        let one = Organization::named("one");
        let made = store.create(&one).await.unwrap();
        let inside = store.clone();
        let panics = tokio::spawn(async move {
            let mut change = inside.begin_change().await.unwrap();
            let done = execute!(
                change.tx,
                "UPDATE organizations SET name = 'half done', revision = $1",
                change.revision
            );
            assert_eq!(done.unwrap(), 0, "as it is meant");
        });
        assert!(panics.await.unwrap_err().is_panic());
        let two = store.create(&Organization::named("two")).await.unwrap();
        assert_eq!(two.revision, made.revision + 1);
        let names = store.declared().await.unwrap().organizations;
        let mut names: Vec<String> = names.into_iter().map(|it| it.name).collect();
        names.sort();
        assert_eq!(names, ["one", "two"]);
        store.close().await;
    }

    #[tokio::test]
    async fn a_panic_leaves_nothing_half_done_in_a_file() {
        let folder = std::env::temp_dir().join(format!("lingate-panic-{}", std::process::id()));
        let opened = Store::open(&"sqlite".parse().unwrap(), &folder).await;
        check_panic(opened.unwrap()).await;
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_leaves_nothing_half_done_on_a_server() {
        let url = lingate_testkit::Postgres::shared().database();
        let opened = Store::open(&url.parse().unwrap(), &std::env::temp_dir()).await;
        check_panic(opened.unwrap()).await;
    }

    #[tokio::test]
    async fn a_full_disk_is_said_to_be_full_and_can_be_used_again_when_it_is_not() {
        let folder = std::env::temp_dir().join(format!("lingate-full-{}", std::process::id()));
        let store = Store::open(&"sqlite".parse().unwrap(), &folder)
            .await
            .unwrap();
        let Db::Sqlite { writer, .. } = &store.db else {
            panic!("{store:?}")
        };
        // As many pages as there are: the next one does not fit. (A smaller number is taken for that.)
        sqlx::query("PRAGMA max_page_count = 1")
            .execute(writer)
            .await
            .unwrap();
        let mut made = 0;
        let full = loop {
            let mut next = Organization::named(&format!("organization {made}"));
            next.rules.plan = Some("x".repeat(1000));
            match store.create(&next).await {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, StoreError::Full(_)), "{full}");
        assert!(full.passes());
        assert_eq!(store.declared().await.unwrap().organizations.len(), made);
        sqlx::query("PRAGMA max_page_count = 100000")
            .execute(writer)
            .await
            .unwrap();
        store.create(&Organization::named("another")).await.unwrap();
        assert_eq!(
            store.declared().await.unwrap().organizations.len(),
            made + 1
        );
        store.close().await;
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
