//! The database is away when a gateway starts: whoever could be known is told to come again, whoever was known goes on, and nobody is
//! told that his key is wrong.

use std::time::Duration;

use lingate_metering::tenant::KeyText;
use lingate_testkit::Postgres;
use lingate_testkit::client::Answer;

use crate::governance::{becomes, run, status, told};
use crate::wire::Dialect;
use crate::world::{CALLER, PATIENCE, World, good_answer, program, providers};

/// A world on this database.
async fn world(database: &str, settings: &str) -> World {
    let configuration = |upstream: &_| {
        let providers = providers(upstream);
        format!("database: \"{database}\"\n{settings}\n{providers}")
    };
    World::configured(configuration, good_answer).await
}

async fn ask(world: &World, dialect: Dialect, key: Option<&str>) -> Answer {
    let body = dialect.request("up-chat/m", false).to_string();
    let bearer = format!("Bearer {}", key.unwrap_or_default());
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.map(|_| ("authorization", bearer.as_str())));
    let path = dialect.path("up-chat/m", false);
    world.send("POST", &path, &headers, body.as_bytes()).await
}

/// Nobody can say whether it is one of the database.
fn some_key() -> String {
    KeyText::mint([7; 32]).expose().to_owned()
}

/// Told to come again, in the caller's words.
async fn is_put_off(world: &World, key: Option<&str>) {
    for dialect in Dialect::ALL {
        let answer = ask(world, dialect, key).await;
        let expect = if dialect == Dialect::Messages {
            529
        } else {
            503
        };
        assert_eq!(answer.status, expect, "{dialect:?}: {}", answer.text());
        let message = dialect.refusal(&answer);
        assert!(
            message.contains("the database of keys cannot be reached"),
            "{message}"
        );
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_ne!(answer.header("x-should-retry"), "false");
    }
}

#[tokio::test]
async fn a_database_that_was_never_seen_makes_no_key_wrong() {
    let postgres = Postgres::start();
    let database = postgres.database();
    postgres.stop();
    let settings = format!("api_keys: [{{name: file, key: {CALLER}}}]");
    let world = world(&database, &settings).await;

    is_put_off(&world, Some(&some_key())).await;
    assert_eq!(status(&world, CALLER).await, 200, "a key of the file");
    for bad in [
        "sk-of-somebody-else",
        "sk-lg-4Bz",
        &format!("{}x", some_key()),
    ] {
        assert_eq!(
            status(&world, bad).await,
            401,
            "{bad} is none of a database"
        );
    }
    assert_eq!(ask(&world, Dialect::Chat, None).await.status, 401);
    let health = world
        .send("GET", "/health", &[("x-api-key", CALLER)], b"")
        .await
        .text();
    assert!(
        health.contains("has not been reached since the start"),
        "{health}"
    );

    postgres.start_again();
    becomes(&world, &some_key(), 401).await;
    let made = told(&world.gateway, "keys create stored").await;
    becomes(&world, made["secret"].as_str().unwrap(), 200).await;
    assert!(
        world
            .upstream
            .received()
            .iter()
            .all(|received| received.path.ends_with("completions"))
    );
}

/// Where nobody said who may ask, and nobody knows whether there are keys, the gateway does not open.
#[tokio::test]
async fn a_gateway_that_cannot_know_its_keys_stays_shut() {
    let postgres = Postgres::start();
    let database = postgres.database();
    postgres.stop();
    let world = world(&database, "").await;
    is_put_off(&world, None).await;
    is_put_off(&world, Some(&some_key())).await;
    assert!(world.upstream.received().is_empty());
    postgres.start_again();
    world.logged("the database holds no keys").await;
    becomes(&world, &some_key(), 401).await;
    let made = told(&world.gateway, "keys create first").await;
    becomes(&world, made["secret"].as_str().unwrap(), 200).await;
}

#[tokio::test]
async fn whoever_was_known_goes_on_after_a_start_without_the_database() {
    let postgres = Postgres::start();
    let mut world = world(&postgres.database(), "auth: keys").await;
    let made = told(
        &world.gateway,
        "keys create laptop --limit requests=1000/hour",
    )
    .await;
    let key = made["secret"].as_str().unwrap().to_owned();
    let blocked = told(&world.gateway, "keys create blocked").await;
    let blocked = blocked["secret"].as_str().unwrap().to_owned();
    told(&world.gateway, "keys block blocked").await;
    becomes(&world, &key, 200).await;
    becomes(&world, &blocked, 403).await;

    let ended = world.gateway.terminate(PATIENCE).await.unwrap();
    assert_eq!(ended, Some(0), "{}", world.gateway.log());
    postgres.stop();
    world.gateway.start_again(program()).await.unwrap();
    assert_eq!(status(&world, &key).await, 200, "{}", world.gateway.log());
    assert_eq!(status(&world, &blocked).await, 403);
    is_put_off(&world, Some(&some_key())).await;
    let done = run(&world.gateway, "keys list").await;
    let shown = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{shown}");
    assert!(!shown.contains("no-password"), "{shown}");

    postgres.start_again();
    becomes(&world, &some_key(), 401).await;
    told(&world.gateway, "keys block laptop").await;
    becomes(&world, &key, 403).await;
    // What was asked while it was away is in it, too.
    let begun = std::time::Instant::now();
    loop {
        let sums = told(&world.gateway, "stats requests").await;
        if sums["rows"][0]["requests"] == world.upstream.received().len() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{sums}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// While the gateway runs: others may make keys that it cannot hear of.
#[tokio::test]
async fn a_database_that_goes_away_makes_no_key_wrong() {
    let postgres = Postgres::start();
    let world = world(&postgres.database(), "auth: keys").await;
    let made = told(&world.gateway, "keys create laptop").await;
    let key = made["secret"].as_str().unwrap().to_owned();
    becomes(&world, &key, 200).await;
    assert_eq!(status(&world, &some_key()).await, 401);
    postgres.stop();
    becomes(&world, &some_key(), 503).await;
    assert_eq!(status(&world, &key).await, 200);
    postgres.start_again();
    becomes(&world, &some_key(), 401).await;
}
