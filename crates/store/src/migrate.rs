//! Brings the schema up to date, or says why this database cannot be served from.

use lingate_metering::Millis;
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;

use crate::database::{Db, On, Tx, execute, fetch_all, on};
use crate::store::now;
use crate::{StoreError, Unfit};

#[derive(Debug)]
pub(crate) struct Migration {
    number: i64,
    name: &'static str,
    sql: &'static str,
}

#[cfg(test)]
impl Migration {
    pub(crate) fn sql(&self) -> &'static str {
        self.sql
    }
}

macro_rules! migration {
    ($number:literal, $name:literal, $file:literal) => {
        Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../migrations/", $file)),
        }
    };
}

/// In their order. One that was released is never changed: databases remember the text.
pub(crate) const MIGRATIONS: &[Migration] = &[
    migration!(1, "tenants", "0001_tenants.sql"),
    migration!(2, "usage", "0002_usage.sql"),
    migration!(3, "audit", "0003_audit.sql"),
    migration!(4, "accounts", "0004_accounts.sql"),
    migration!(5, "configuration", "0005_configuration.sql"),
    migration!(6, "provider_keys", "0006_provider_keys.sql"),
    migration!(7, "wallets", "0007_wallets.sql"),
    migration!(8, "invoices", "0008_invoices.sql"),
    migration!(9, "idempotency", "0009_idempotency.sql"),
    migration!(10, "oidc", "0010_oidc.sql"),
    migration!(13, "inviters", "0013_inviters.sql"),
];

/// What `lingate_meta` says of whose tables these are.
const PRODUCT: &str = "lingate";

/// The lock that replicas starting at once wait for ("lingate" in ASCII).
const LOCK: i64 = 0x006c_696e_6761_7465;

/// How many are still to be applied, if this is a database that they can be applied to.
pub(crate) async fn missing_in(
    db: &Db,
    migrations: &'static [Migration],
) -> Result<usize, StoreError> {
    let mut tx = db.begin_read().await?;
    if let On::Postgres(_) = tx.on {
        let rows = fetch_all!(tx, (String,), "SELECT current_setting('server_encoding')")?;
        if let Some((encoding,)) = rows.into_iter().find(|(encoding,)| encoding != "UTF8") {
            return Err(Unfit::Encoding(encoding).into());
        }
    }
    Ok(missing(&mut tx, migrations).await?.len())
}

/// Applies what is missing, all or nothing.
pub(crate) async fn migrate(db: &Db, migrations: &'static [Migration]) -> Result<(), StoreError> {
    if missing_in(db, migrations).await? == 0 {
        return Ok(());
    }

    let mut tx = db.begin_write().await?;
    if let On::Postgres(transaction) = &mut tx.on {
        // Another replica may take its time to migrate what is large, and so may we.
        sqlx::raw_sql("SET LOCAL statement_timeout = 0")
            .execute(&mut **transaction)
            .await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(LOCK)
            .execute(&mut **transaction)
            .await?;
        // Its text is ordered by bytes, as SQLite's is without being told.
        sqlx::raw_sql("CREATE COLLATION IF NOT EXISTS \"BINARY\" FROM \"C\"")
            .execute(&mut **transaction)
            .await
            .map_err(not_ours)?;
    }
    // Somebody else may have been first.
    let missing = self::missing(&mut tx, migrations).await?;
    let at = now();
    for migration in &missing {
        apply(&mut tx, migration, at).await?;
    }
    tx.commit().await?;
    for migration in missing {
        tracing::info!(
            number = migration.number,
            name = migration.name,
            "migrated the database"
        );
    }
    Ok(())
}

/// What is still to be applied, if this is a database of ours, or an empty one.
async fn missing(
    tx: &mut Tx,
    migrations: &'static [Migration],
) -> Result<Vec<&'static Migration>, StoreError> {
    let tables = tables(tx).await?;
    if tables.is_empty() {
        return Ok(migrations.iter().collect());
    }
    let foreign = || {
        let mut tables = tables.clone();
        tables.truncate(5);
        StoreError::from(Unfit::Foreign {
            tables: tables.join(", "),
        })
    };
    if !["lingate_meta", "lingate_migrations"]
        .iter()
        .all(|ours| tables.iter().any(|table| table == ours))
    {
        return Err(foreign());
    }
    let product = fetch_all!(
        tx,
        (String,),
        "SELECT value FROM lingate_meta WHERE name = 'product'"
    )?;
    if product != [(PRODUCT.to_owned(),)] {
        return Err(foreign());
    }

    let applied = fetch_all!(
        tx,
        (i64, String, String),
        "SELECT number, name, sha256 FROM lingate_migrations ORDER BY number"
    )?;
    let known = migrations.last().map_or(0, |migration| migration.number);
    if let Some((found, ..)) = applied.last()
        && *found > known
    {
        let found = *found;
        return Err(Unfit::Newer { found, known }.into());
    }
    for (number, name, sha256) in &applied {
        let same = migrations
            .iter()
            .any(|known| known.number == *number && checksum(known.sql) == *sha256);
        if !same {
            return Err(Unfit::Changed {
                number: *number,
                name: name.clone(),
            }
            .into());
        }
    }
    Ok(migrations
        .iter()
        .filter(|known| applied.iter().all(|(number, ..)| *number != known.number))
        .collect())
}

/// Every table where ours would be; not what extensions of PostgreSQL bring along.
async fn tables(tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    let text = match tx.on {
        On::Sqlite(_) => {
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        }
        On::Postgres(_) => {
            "SELECT CAST(relname AS TEXT) FROM pg_class
             WHERE relkind IN ('r', 'p') AND relnamespace = CAST(current_schema() AS regnamespace)
             AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = CAST('pg_class' AS regclass) AND objid = pg_class.oid AND deptype = 'e')
             ORDER BY relname"
        }
    };
    let rows = fetch_all!(tx, (String,), text)?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

async fn apply(tx: &mut Tx, migration: &Migration, at: Millis) -> Result<(), StoreError> {
    if migration.number == 1 {
        on!(tx, connection => sqlx::raw_sql(
            "CREATE TABLE lingate_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
             CREATE TABLE lingate_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL)",
        )
        .execute(connection)
        .await
        .map(drop))?;
        execute!(
            tx,
            "INSERT INTO lingate_meta (name, value) VALUES ('product', $1)",
            PRODUCT
        )?;
    }
    // Without the limit that other statements have.
    match &mut tx.on {
        On::Sqlite(transaction) => {
            // The one thing about a table that PostgreSQL has no word for.
            let sql = of("SQLite", migration.sql).replace("/* WITHOUT ROWID */", "WITHOUT ROWID");
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut **transaction)
                .await
                .map(drop)
        }
        On::Postgres(transaction) => {
            let sql = of("PostgreSQL", migration.sql);
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut **transaction)
                .await
                .map(drop)
        }
    }
    .map_err(not_ours)?;
    execute!(
        tx,
        "INSERT INTO lingate_migrations (number, name, sha256, applied_at) VALUES ($1, $2, $3, $4)",
        migration.number,
        migration.name,
        checksum(migration.sql),
        at
    )?;
    Ok(())
}

/// The text with what is for this database alone: triggers have no common form. To the other one it is a comment.
fn of(database: &str, sql: &str) -> String {
    let begin = format!("/* {database}:\n");
    let mut pieces = sql.split(&begin);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (inside, behind) = piece.split_once("*/").unwrap_or((piece, ""));
        text.push_str(inside);
        text.push_str(behind);
    }
    text
}

/// What must be done about a user who may not make tables.
fn not_ours(error: sqlx::Error) -> StoreError {
    match StoreError::from(error) {
        StoreError::Denied(text) => StoreError::Denied(format!(
            "{text}; give Lingate a database that its user owns, or a schema in which he may create"
        )),
        other => other,
    }
}

/// The same for a text that was checked out with other line ends.
fn checksum(sql: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(sql.replace('\r', "")).into();
    crate::key::digits(&digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DatabaseUrl;
    use crate::url::Place;

    const SECOND: Migration = Migration {
        number: 2,
        name: "second",
        sql: "CREATE TABLE second (id BIGINT); INSERT INTO second VALUES (1)",
    };
    const TORN: Migration = Migration {
        number: 3,
        name: "torn",
        sql: "CREATE TABLE third (id BIGINT); INSERT INTO third VALUES (1); INSERT INTO nowhere VALUES (1)",
    };
    const FIRST: Migration = Migration {
        number: 1,
        name: "tenants",
        sql: include_str!("../migrations/0001_tenants.sql"),
    };

    async fn names(db: &Db) -> Vec<String> {
        let mut tx = db.begin_read().await.unwrap();
        tables(&mut tx).await.unwrap()
    }

    /// An old database gets what it lacks, and all of it or nothing.
    async fn check(db: Db) {
        migrate(&db, &[FIRST]).await.unwrap();
        let old = names(&db).await;
        assert!(old.contains(&"api_keys".to_owned()), "{old:?}");

        let torn = migrate(&db, &[FIRST, SECOND, TORN]).await.unwrap_err();
        assert!(torn.to_string().contains("nowhere"), "{torn}");
        assert_eq!(names(&db).await, old);

        migrate(&db, &[FIRST, SECOND]).await.unwrap();
        migrate(&db, &[FIRST, SECOND]).await.unwrap();
        assert_eq!(names(&db).await.len(), old.len() + 1);
        let newer = migrate(&db, &[FIRST]).await.unwrap_err();
        assert!(
            matches!(
                newer,
                StoreError::Unfit(Unfit::Newer { found: 2, known: 1 })
            ),
            "{newer}"
        );
        db.close().await;
    }

    #[tokio::test]
    async fn an_old_file_gets_what_it_lacks() {
        let folder = std::env::temp_dir().join(format!("lingate-migrate-{}", std::process::id()));
        check(Db::sqlite(&folder.join("old.db")).await.unwrap()).await;
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_old_server_gets_what_it_lacks() {
        let url: DatabaseUrl = lingate_testkit::Postgres::shared()
            .database()
            .parse()
            .unwrap();
        let Place::Postgres(options) = &url.0 else {
            panic!("{url}")
        };
        check(Db::postgres(options).await.unwrap()).await;
    }

    #[test]
    fn what_is_for_one_database_is_a_comment_to_the_other() {
        let text = "a;\n/* SQLite:\nb;\n*/\n/* PostgreSQL:\nc;\n*/\nd; /* e */";
        assert_eq!(
            of("SQLite", text),
            "a;\nb;\n\n/* PostgreSQL:\nc;\n*/\nd; /* e */"
        );
        assert_eq!(
            of("PostgreSQL", text),
            "a;\n/* SQLite:\nb;\n*/\nc;\n\nd; /* e */"
        );
    }

    #[test]
    fn migrations_are_numbered_in_their_order() {
        let numbers: Vec<i64> = MIGRATIONS
            .iter()
            .map(|migration| migration.number)
            .collect();
        assert_eq!(numbers.first(), Some(&1));
        assert!(
            numbers.windows(2).all(|pair| pair[0] < pair[1]),
            "{numbers:?}"
        );
        assert_eq!(checksum("a\r\nb"), checksum("a\nb"));
    }
}
