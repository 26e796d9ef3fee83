//! A database is brought up to date, or it is said why it cannot be served from, and what to do.

use lingate_store::StoreError;
use lingate_testkit::Postgres;

use crate::bed::{Bed, on_both, organization};

on_both!(
    two_may_open_an_empty_database_at_once,
    what_is_there_is_there_after_the_next_start,
    a_newer_schema_is_refused,
    a_changed_migration_is_refused,
    another_programs_database_is_refused,
    a_password_is_never_shown,
);

async fn two_may_open_an_empty_database_at_once(bed: Bed) {
    let stores = tokio::join!(bed.open(), bed.open(), bed.open(), bed.open());
    stores.0.create(&organization("acme")).await.unwrap();
    assert_eq!(stores.3.declared().await.unwrap().organizations.len(), 1);
}

async fn what_is_there_is_there_after_the_next_start(bed: Bed) {
    let acme = organization("acme");
    let store = bed.open().await;
    let revision = store.create(&acme).await.unwrap().revision;
    store.close().await;
    let closed = store.create(&organization("other")).await.unwrap_err();
    assert!(closed.passes(), "{closed}");
    let store = bed.open().await;
    assert_eq!(store.revision().await.unwrap(), revision);
    assert_eq!(store.declared().await.unwrap().organizations, [acme]);
}

async fn refused(bed: &Bed) -> String {
    let error = bed.try_open().await.unwrap_err();
    assert!(matches!(error, StoreError::Unfit(_)), "{error}");
    error.to_string()
}

async fn a_newer_schema_is_refused(bed: Bed) {
    bed.open().await.close().await;
    bed.sql("INSERT INTO lingate_migrations (number, name, sha256, applied_at) VALUES (9999, 'later', 'x', 0)").await;
    let said = refused(&bed).await;
    assert!(
        said.contains("newer version of Lingate (schema 9999"),
        "{said}"
    );
    // Nothing was changed.
    bed.sql("DELETE FROM lingate_migrations WHERE number = 9999")
        .await;
    bed.open().await;
}

async fn a_changed_migration_is_refused(bed: Bed) {
    bed.open().await.close().await;
    bed.sql("UPDATE lingate_migrations SET sha256 = 'x' WHERE number = 1")
        .await;
    let said = refused(&bed).await;
    assert!(
        said.starts_with("migration 1 (tenants) was applied"),
        "{said}"
    );
}

async fn another_programs_database_is_refused(bed: Bed) {
    bed.sql("CREATE TABLE invoices (id BIGINT); INSERT INTO invoices VALUES (1)")
        .await;
    let said = refused(&bed).await;
    assert!(
        said.contains("tables of another program (invoices)"),
        "{said}"
    );
    // Even where it has tables that are called as ours are.
    bed.sql("CREATE TABLE lingate_meta (name TEXT, value TEXT); CREATE TABLE lingate_migrations (number BIGINT, name TEXT, sha256 TEXT)").await;
    let said = refused(&bed).await;
    assert!(said.contains("tables of another program"), "{said}");
}

async fn a_password_is_never_shown(bed: Bed) {
    let store = bed.open().await;
    let shown = format!("{store:?} {:?} {}", bed.url, bed.url);
    assert!(!shown.contains("no-password"), "{shown}");
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let bed = Bed::sqlite();
    let file = bed.url.file(&bed.folder).unwrap();
    std::fs::write(
        &file,
        "This is a letter, and no database at all. ".repeat(200),
    )
    .unwrap();
    let said = refused(&bed).await;
    assert!(
        said.contains("not a SQLite database, or is damaged"),
        "{said}"
    );
    // It is left as it is.
    assert!(
        std::fs::read(&file)
            .unwrap()
            .starts_with(b"This is a letter")
    );

    // The head of a database, and nothing behind it.
    std::fs::remove_file(&file).unwrap();
    bed.open().await.close().await;
    let whole = std::fs::read(&file).unwrap();
    let _ = std::fs::remove_file(file.with_extension("db-wal"));
    std::fs::write(&file, &whole[..whole.len() / 3]).unwrap();
    let said = refused(&bed).await;
    assert!(said.contains("damaged"), "{said}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_refused() {
    let bed = Bed::sqlite();
    std::fs::write(bed.folder.join("file"), "").unwrap();
    let url = "sqlite:file/below/lingate.db".parse().unwrap();
    let error = lingate_store::Store::open(&url, &bed.folder)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("file/below"), "{error}");
    assert!(!error.passes());
    let url = "sqlite:.".parse().unwrap();
    let error = lingate_store::Store::open(&url, &bed.folder)
        .await
        .unwrap_err();
    assert!(!error.passes(), "{error}");
}

async fn check_postgres(url: String, expect: &str) {
    let bed = Bed::of(url);
    let error = bed.try_open().await.unwrap_err().to_string();
    assert!(error.contains(expect), "{error}");
    assert!(!error.contains("no-password"), "{error}");
}

#[tokio::test]
async fn a_server_that_refuses_is_quoted() {
    let url = Postgres::shared().database();
    let (server, _) = url.rsplit_once('/').unwrap();
    check_postgres(format!("{server}/absent"), "\"absent\" does not exist").await;
    check_postgres(
        url.replace("//postgres:", "//nobody:"),
        "\"nobody\" does not exist",
    )
    .await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    check_postgres(
        format!("postgres://u:no-password@{closed}/l"),
        "the database cannot be reached: postgres://u@127.0.0.1",
    )
    .await;

    Postgres::shared().sql(&url, "CREATE ROLE guest LOGIN");
    check_postgres(
        url.replace("//postgres:", "//guest:"),
        "a database that its user owns",
    )
    .await;
    Postgres::shared().sql(
        &url,
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0",
    );
    check_postgres(format!("{server}/latin"), "keeps text as LATIN1").await;
}

/// Root may write everywhere, so a test that runs as root is run again as somebody who may not.
#[tokio::test]
async fn a_folder_or_a_file_that_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    const FOLDER: &str = "LINGATE_STORE_READ_ONLY";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let error = lingate_store::Store::open(&"sqlite".parse().unwrap(), folder.as_ref()).await;
        println!("said: {}", error.unwrap_err());
        return;
    }
    let bed = Bed::sqlite();
    // Where everybody may run it.
    let program = bed.folder.join("it");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let data = bed.folder.join("data");
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(&bed.folder, 0o755);
    let said = |folder: &std::path::Path| {
        let mut again = std::process::Command::new(&program);
        again
            .args(["--exact", "--nocapture"])
            .arg("opening::a_folder_or_a_file_that_cannot_be_written_is_refused")
            .env(FOLDER, folder)
            .current_dir(&bed.folder);
        if std::fs::metadata("/proc/self")
            .is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
        {
            again.uid(65534).gid(65534);
        }
        let done = again.output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{said}");
        said
    };

    let error = said(&data);
    assert!(error.contains("Permission denied"), "{error}");

    std::fs::create_dir(&data).unwrap();
    set(&data, 0o555);
    let error = said(&data);
    assert!(error.contains("unable to open database file"), "{error}");
    assert!(error.contains("lingate.db"), "{error}");

    set(&data, 0o777);
    let made = lingate_store::Store::open(&bed.url, &data).await.unwrap();
    made.close().await;
    set(&data.join("lingate.db"), 0o444);
    let error = said(&data);
    assert!(error.contains("can only be read"), "{error}");
    assert!(error.contains("lingate.db"), "{error}");
}
