//! The two databases, and what makes one text of SQL serve both: a transaction that is on either, and a macro that says a thing once.

use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres, Sqlite,
    SqlitePool,
};
use tokio::time::timeout;

use crate::StoreError;

/// How long somebody waits for a connection, the making of it included.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a writer waits for another process (the CLI beside the server) that writes to the same file.
const BUSY: Duration = Duration::from_secs(5);
/// How long PostgreSQL works on a statement.
const STATEMENT: Duration = Duration::from_secs(30);
/// How long a statement's answer is waited for.
const ANSWER: Duration = Duration::from_secs(40);
const SQLITE_READERS: u32 = 4;
/// A replica's share of the server's connections, a hundred by default.
const POSTGRES_CONNECTIONS: u32 = 6;

#[derive(Debug, Clone)]
pub(crate) enum Db {
    /// SQLite has one writer at a time: those of one process wait for each other here, not in a loop on the file's lock.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// A transaction. Dropped, it is rolled back.
#[derive(Debug)]
pub(crate) struct Tx {
    pub(crate) on: On,
}

#[derive(Debug)]
pub(crate) enum On {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// `on!(tx, connection => expression)`: the expression, which awaits a statement, with the connection of whichever database it is;
/// `on!(tx, Name, connection => …)` gives the database's type a name, too. An answer that does not come is an error.
macro_rules! on {
    ($tx:expr, $connection:ident => $body:expr) => {
        match &mut $tx.on {
            $crate::database::On::Sqlite(transaction) => {
                let $connection = &mut **transaction;
                $crate::database::answered(async { $body }).await
            }
            $crate::database::On::Postgres(transaction) => {
                let $connection = &mut **transaction;
                $crate::database::answered(async { $body }).await
            }
        }
    };
    ($tx:expr, $Database:ident, $connection:ident => $body:expr) => {
        match &mut $tx.on {
            $crate::database::On::Sqlite(transaction) => {
                type $Database = sqlx::Sqlite;
                let $connection = &mut **transaction;
                $crate::database::answered(async { $body }).await
            }
            $crate::database::On::Postgres(transaction) => {
                type $Database = sqlx::Postgres;
                let $connection = &mut **transaction;
                $crate::database::answered(async { $body }).await
            }
        }
    };
}
pub(crate) use on;

/// What the statement's answer is, or that there is none: a connection that died in silence would be waited for for a quarter of an
/// hour. The server gives up first ([`STATEMENT`]).
pub(crate) async fn answered<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(ANSWER, answer)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}

/// `execute!(tx, "…", values)`: how many rows it touched.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::database::on!($tx, connection => sqlx::query($sql)
            $(.bind($value))*
            .execute(connection)
            .await
            .map(|done| done.rows_affected()))
    };
}
pub(crate) use execute;

/// `fetch_all!(tx, Row, "…", values)`: the rows, each as a `Row` (a tuple, or what derives `sqlx::FromRow`).
macro_rules! fetch_all {
    ($tx:expr, $Row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::database::on!($tx, connection => sqlx::query_as::<_, $Row>($sql)
            $(.bind($value))*
            .fetch_all(connection)
            .await)
    };
}
pub(crate) use fetch_all;

impl Db {
    pub(crate) async fn sqlite(file: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| StoreError::Denied(format!("{}: {error}", folder.display())))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Journals of usage are thrown away once the database has them: what is committed must outlive a power cut, which in
            // WAL mode it does with FULL only. There are a few commits a second at most.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            // What a great change has left behind does not stay on the disk.
            .pragma("journal_size_limit", "67108864")
            // Of KiB, used as far as there are pages: what a batch of usage touches, and what a report sorts.
            .pragma("cache_size", "-32768")
            .pragma("temp_store", "MEMORY")
            .disable_statement_logging();
        let writer = pool()
            .max_connections(1)
            .acquire_timeout(ACQUIRE + BUSY)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await?;
        let readers = pool()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE)
            .connect_lazy_with(
                options
                    .pragma("query_only", "ON")
                    // Pages are read where the system has them, without a copy of each.
                    .pragma("mmap_size", "1073741824"),
            );
        Ok(Self::Sqlite { writer, readers })
    }

    /// A file that is there already, to be read.
    pub(crate) async fn sqlite_to_read(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .read_only(true)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let readers = pool()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE)
            .connect_with(options)
            .await?;
        Ok(Self::Sqlite {
            writer: readers.clone(),
            readers,
        })
    }

    pub(crate) async fn postgres(options: &PgConnectOptions) -> Result<Self, StoreError> {
        let options = options
            .clone()
            .application_name("lingate")
            .disable_statement_logging();
        // A pool tries again until its time is up, and then knows no reason.
        let alone = timeout(ACQUIRE, PgConnection::connect_with(&options))
            .await
            .unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut))?;
        // Whatever the server says to that, it is there.
        let _ = alone.close().await;
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // Set by a statement, because poolers between us and the server refuse options that they do not know. A replica
                    // that is cut off in a transaction must not hold what others wait for.
                    let limits = format!(
                        "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {0}",
                        STATEMENT.as_millis()
                    );
                    sqlx::raw_sql(AssertSqlSafe(limits))
                    .execute(connection)
                    .await
                    .map(drop)
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self::Postgres(pool))
    }

    /// A transaction that sees one state and changes nothing.
    pub(crate) async fn begin_read(&self) -> Result<Tx, StoreError> {
        let on = match self {
            Self::Sqlite { readers, .. } => On::Sqlite(readers.begin().await?),
            Self::Postgres(pool) => {
                let begin = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
                On::Postgres(answered(begin).await?)
            }
        };
        Ok(Tx { on })
    }

    pub(crate) async fn begin_write(&self) -> Result<Tx, StoreError> {
        let on = match self {
            // What begins as a reader and then writes is refused when another process has written in between.
            Self::Sqlite { writer, .. } => On::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => {
                let begin = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED");
                On::Postgres(answered(begin).await?)
            }
        };
        Ok(Tx { on })
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// After some failures (a full disk, a broken read) SQLite has rolled back by itself. To roll back once more then fails, and sqlx
/// takes the connection for one that is in a transaction for good: such a one is closed, and another opened.
fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new().after_release(|connection, _| {
        Box::pin(async move {
            // Behind the rollback, which is not waited for.
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    })
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.on {
            On::Sqlite(transaction) => transaction.commit().await?,
            On::Postgres(transaction) => answered(transaction.commit()).await?,
        }
        Ok(())
    }
}
