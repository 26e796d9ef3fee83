//! Tenants, keys and usage in the database: commands beside a gateway that runs, and gateways on databases in every state.

use std::process::{Command, Output};
use std::time::Instant;

use lingate_testkit::Gateway;
use serde_json::Value;

use crate::wire::Dialect;
use crate::world::{PATIENCE, World, eventually, program};

/// Runs a command on the configuration and the data of this gateway.
pub(crate) async fn run(gateway: &Gateway, arguments: &str) -> Output {
    let folder = gateway.folder().to_owned();
    let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    let run = move || {
        Command::new(program())
            .args(arguments)
            .args(["--config", "lingate.yml", "--data", "data"])
            .current_dir(folder)
            .env_clear()
            .output()
            .unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Runs a line as a person types it: of quotes, only single ones.
pub(crate) async fn typed(gateway: &Gateway, line: &str) -> Output {
    let mut words: Vec<String> = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        // What stands between quotes is the end of a word that began before it.
        if place % 2 == 1 {
            match words.last_mut() {
                Some(word) if word.ends_with('=') => word.push_str(part),
                _ => words.push(part.to_owned()),
            }
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    let (folder, server) = (gateway.folder().to_owned(), gateway.url());
    // Others work on the database of this folder; what is counted is known to the gateway alone.
    let asks = ["limits", "routes", "key-pools"].contains(&&*words[0]);
    let run = move || {
        let mut command = Command::new(program());
        command.args(words).current_dir(folder).env_clear();
        if asks {
            command
                .env("LINGATE_SERVER", server)
                .env("LINGATE_TOKEN", crate::world::CALLER);
        }
        command.output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// What a command tells as JSON.
pub(crate) async fn told(gateway: &Gateway, arguments: &str) -> Value {
    let done = run(gateway, &format!("{arguments} --json")).await;
    let shown = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{arguments}: {shown}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// The status of a request with this key.
pub(crate) async fn status(world: &World, key: &str) -> u16 {
    let body = Dialect::Chat.request("up-chat/m", false).to_string();
    let answer = world
        .post(
            "/v1/chat/completions",
            &[("x-api-key", key)],
            body.as_bytes(),
        )
        .await;
    answer.status
}

/// Waits until requests with this key are answered so.
pub(crate) async fn becomes(world: &World, key: &str, expect: u16) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if status(world, key).await == expect {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("never {expect}; log: {}", world.gateway.log());
}

#[tokio::test]
async fn keys_of_the_store_are_taken_up_while_the_gateway_runs() {
    let world = World::good("auth: keys").await;
    let gateway = &world.gateway;
    told(gateway, "organizations create acme").await;
    told(gateway, "projects create acme/web").await;
    let made = told(gateway, "keys create laptop --project acme/web").await;
    let first = made["secret"].as_str().unwrap().to_owned();
    assert!(first.starts_with("sk-lg-"), "{first}");
    becomes(&world, &first, 200).await;

    let rotated = told(gateway, "keys rotate acme/web/laptop --overlap 24h").await;
    let second = rotated["secret"].as_str().unwrap().to_owned();
    becomes(&world, &second, 200).await;
    assert_eq!(status(&world, &first).await, 200, "the overlap");

    told(gateway, "keys block laptop").await;
    becomes(&world, &second, 403).await;
    assert_eq!(status(&world, &first).await, 403);
    told(gateway, "keys unblock laptop").await;
    becomes(&world, &second, 200).await;

    // Nothing that is in use is deleted, and nothing without being asked.
    let refused = run(gateway, "organizations delete acme --yes").await;
    let shown = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{shown}");
    assert!(shown.contains("1 project"), "{shown}");
    let unsure = run(gateway, "keys delete laptop").await;
    assert_eq!(unsure.status.code(), Some(2));

    told(gateway, "keys delete laptop --yes").await;
    becomes(&world, &second, 401).await;
    let log = gateway.log();
    assert!(!log.contains(&first) && !log.contains(&second), "{log}");
}

#[tokio::test]
async fn an_open_gateway_knows_whoever_shows_a_key() {
    let world = World::good("auth: open").await;
    let made = told(&world.gateway, "keys create laptop --limit requests=2/day").await;
    let key = made["secret"].as_str().unwrap();
    becomes(&world, key, 429).await;
    assert_eq!(status(&world, "another").await, 200);
}

#[tokio::test]
async fn sums_are_what_the_upstream_answered() {
    let world = World::good("").await;
    for _ in 0..7 {
        let answer = world.ask(Dialect::Chat, "up-chat/m", false).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let asked = world.upstream.received().len();
    let mut sums = Value::Null;
    for _ in 0..200 {
        sums = told(&world.gateway, "stats requests --by provider").await;
        if sums["rows"][0]["requests"] == asked {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(sums["rows"][0]["requests"], asked, "{sums}");
    assert_eq!(sums["rows"][0]["provider"], "up-chat", "{sums}");
}

/// What the configuration says of itself is not changed by commands.
#[tokio::test]
async fn the_file_rules_what_it_names() {
    let world = World::good(
        "auth: keys\napi_keys: [{name: file, key: sk-canary-file-0123456789}]\norganizations: {acme: {}}",
    )
    .await;
    let all = told(&world.gateway, "keys list").await;
    assert_eq!(all["items"][0]["source"], "file", "{all}");
    for refused in ["keys block file", "organizations update acme --block"] {
        let done = run(&world.gateway, refused).await;
        let shown = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{shown}");
        assert!(shown.contains("is defined in lingate.yml"), "{shown}");
        assert!(shown.contains("hint: change the file"), "{shown}");
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_no_reason_to_guess() {
    let world = World::good("").await;
    let data = world.gateway.folder().join("data");
    assert!(eventually(|| data.join("lingate.db").exists()).await);
    let other = world.gateway.folder().join("other");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(
        other.join("lingate.db"),
        "no database at all, but a text".repeat(100),
    )
    .unwrap();
    let folder = world.gateway.folder().to_owned();
    let run = move || {
        Command::new(program())
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--config",
                "lingate.yml",
            ])
            .args(["--data", "other"])
            .current_dir(folder)
            .env_clear()
            .output()
            .unwrap()
    };
    let done = tokio::task::spawn_blocking(run).await.unwrap();
    let shown = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{shown}");
    assert!(shown.contains("not a SQLite database"), "{shown}");
}
