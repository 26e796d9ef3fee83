//! An empty database for one test, and tenants to put into it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lingate_metering::tenant::{ApiKey, Organization, Project, Rules, User, UserKind};
use lingate_store::{DatabaseUrl, Store, StoreError, mint, new_id};
use lingate_testkit::Postgres;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

pub(crate) struct Bed {
    pub(crate) url: DatabaseUrl,
    pub(crate) folder: PathBuf,
    /// Of PostgreSQL's database.
    address: Option<String>,
}

/// Runs each case on each database.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($crate::bed::Bed::sqlite()).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($crate::bed::Bed::postgres()).await;
                }
            )*
        }
    };
}
pub(crate) use on_both;

impl Bed {
    pub(crate) fn sqlite() -> Self {
        Self {
            url: "sqlite".parse().unwrap(),
            folder: folder(),
            address: None,
        }
    }

    pub(crate) fn postgres() -> Self {
        Self::of(Postgres::shared().database())
    }

    pub(crate) fn of(address: String) -> Self {
        Self {
            url: address.parse().unwrap(),
            folder: folder(),
            address: Some(address),
        }
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(&self.url, &self.folder).await
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.address.is_some()
    }

    /// Runs SQL as somebody beside the gateway would.
    pub(crate) async fn sql(&self, sql: &'static str) {
        self.try_sql(sql).await.unwrap();
    }

    /// As [`Bed::sql`]; what the database says against it.
    pub(crate) async fn try_sql(&self, sql: &'static str) -> Result<(), String> {
        if let Some(address) = &self.address {
            return Postgres::shared().try_sql(address, sql);
        }
        let options = SqliteConnectOptions::new()
            .filename(self.url.file(&self.folder).unwrap())
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(30));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let done = sqlx::raw_sql(sql).execute(&mut connection).await;
        connection.close().await.unwrap();
        done.map(drop).map_err(|error| error.to_string())
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn folder() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = std::env::temp_dir().join(format!(
        "lingate-store-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    ));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub(crate) fn organization(name: &str) -> Organization {
    Organization {
        id: new_id(),
        name: name.into(),
        rules: Rules::default(),
    }
}

pub(crate) fn project(organization: &Organization, name: &str) -> Project {
    Project {
        id: new_id(),
        organization: organization.id,
        name: name.into(),
        rules: Rules::default(),
    }
}

pub(crate) fn user(organization: &Organization, name: &str) -> User {
    User {
        id: new_id(),
        organization: organization.id,
        name: name.into(),
        kind: UserKind::default(),
        rules: Rules::default(),
    }
}

/// Everything that can be left out is left out, whatever that comes to be.
pub(crate) fn key(project: &Project, name: &str) -> ApiKey {
    serde_json::from_value(serde_json::json!({
        "id": new_id(),
        "project": project.id,
        "name": name,
        "secrets": [mint().unwrap().secret(None)],
    }))
    .unwrap()
}
