//! What is written down, as commands tell it: single records, the journal, and every command of the guide as it stands there.

use std::time::{Duration, Instant};

use lingate_testkit::{Postgres, Redis};
use serde_json::Value;

use crate::governance::{becomes, run, status, told, typed};
use crate::wire::Dialect;
use crate::world::{CALLER, PATIENCE, World, good_answer, program, providers};

/// The key by which the guide's own commands ask.
const APP: &str = "auth: keys\napi_keys: [{name: app, key: sk-canary-caller}]";

/// Waits until this command tells what is wanted.
async fn tells(world: &World, command: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let found = told(&world.gateway, command).await;
        if wanted(&found) {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{command}: {found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn count(found: &Value, name: &str) -> usize {
    found[name].as_array().unwrap().len()
}

/// Lines of a guide that stand alone and begin with the program's name.
fn commands(guide: &str) -> Vec<&str> {
    let indented = guide.lines().filter(|line| line.starts_with("    "));
    let lines: Vec<&str> = indented.map(str::trim).collect();
    lines
        .into_iter()
        .filter_map(|line| line.strip_prefix("lingate "))
        .collect()
}

#[tokio::test]
async fn every_command_of_the_guides_works_as_it_stands_there() {
    for guide in [
        include_str!("../../../../docs/governance.md"),
        include_str!("../../../../docs/governance.zh-CN.md"),
    ] {
        let world = World::good(APP).await;
        let commands = commands(guide);
        assert!(commands.len() >= 9, "{commands:?}");
        for command in commands {
            let done = typed(&world.gateway, command).await;
            let shown = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(done.status.success(), "lingate {command}: {shown}");
            assert!(!done.stdout.is_empty(), "lingate {command}");
        }
    }
}

#[tokio::test]
async fn records_are_told_one_by_one() {
    let world = World::good(APP).await;
    let mut ids = Vec::new();
    for (number, dialect) in Dialect::ALL.into_iter().enumerate() {
        let model = format!("up-chat/m{number}");
        let answer = world.ask(dialect, &model, number % 2 == 0).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // Each dialect has its own name for it.
        let names = ["x-request-id", "request-id"];
        let id = names.iter().map(|name| answer.header(name));
        ids.push(id.max().unwrap().to_owned());
    }
    let all = tells(&world, "usage list --since 1h", |all| {
        count(all, "records") == ids.len()
    })
    .await;
    let told_ids = |found: &Value| -> Vec<String> {
        let records = found["records"].as_array().unwrap().iter();
        records
            .map(|record| record["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut newest_first = told_ids(&all);
    newest_first.reverse();
    assert_eq!(newest_first, ids, "{all}");
    assert_eq!(all["records"][0]["key"], "default/default/app", "{all}");

    // Page by page the same, each once.
    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let page = told(&world.gateway, &format!("usage list --limit 3{next}")).await;
        paged.extend(told_ids(&page));
        match page["next"].as_str() {
            Some(after) => next = format!(" --after {after}"),
            None => break,
        }
    }
    assert_eq!(paged, told_ids(&all));

    for (filter, expect) in [
        ("--key app", 4),
        ("--model up-chat/m1", 1),
        ("--model m9", 0),
        ("--provider up-chat", 4),
        ("--provider up-gemini", 0),
        ("--outcome gateway_lost", 0),
        ("--project default --organization default", 4),
        ("--since 2h --until 1h", 0),
    ] {
        let found = told(&world.gateway, &format!("usage list {filter}")).await;
        assert_eq!(count(&found, "records"), expect, "{filter}: {found}");
    }
    let one = told(&world.gateway, &format!("usage show {}", ids[1])).await;
    assert_eq!(one["id"], *ids[1]);
    assert_eq!(one["provider"], "up-chat", "{one}");
    for (bad, code) in [
        ("usage show req_1", 2),
        ("usage show req_00000000000000000000000000000001", 1),
        ("usage list --after x", 2),
        ("usage list --since soon", 2),
        ("usage list --key nobody", 1),
    ] {
        let done = run(&world.gateway, bad).await;
        assert_eq!(done.status.code(), Some(code), "{bad}");
    }
}

#[tokio::test]
async fn a_journal_is_looked_at_from_outside() {
    // Away, so that records stay where they are.
    let postgres = Postgres::start();
    let database = postgres.database();
    postgres.stop();
    let configuration = |upstream: &_| {
        let providers = providers(upstream);
        format!("database: \"{database}\"\n{APP}\n{providers}")
    };
    let mut world = World::configured(configuration, good_answer).await;
    for _ in 0..5 {
        let answer = world.ask(Dialect::Chat, "up-chat/m", false).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let found = told(&world.gateway, "journal status").await;
    let place = &found["places"][0];
    assert_eq!(
        (&place["state"], &place["records"]),
        (&"in use".into(), &5.into()),
        "{found}"
    );
    let ended = world.gateway.terminate(PATIENCE).await.unwrap();
    assert_eq!(ended, Some(0), "{}", world.gateway.log());
    let found = told(&world.gateway, "journal verify").await;
    assert_eq!(
        (&found["whole"], &found["places"][0]["state"]),
        (&true.into(), &"left".into())
    );

    let folder = world.gateway.folder().join("data/journal/1");
    let segment = std::fs::read_dir(&folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        (path.extension()? == "segment").then_some(path)
    });
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let done = run(&world.gateway, "journal verify").await;
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(1), "{shown}");
    assert!(
        shown.contains("damaged: ") && shown.contains(".segment"),
        "{shown}"
    );
    assert_eq!(
        std::fs::read(&segment).unwrap(),
        bytes,
        "nothing is changed"
    );
}

#[tokio::test]
async fn limits_go_on_after_a_restart_without_redis() {
    let settings = format!(
        "api_keys: [{{name: laptop, key: {CALLER}, limits: [{{requests: 3, per: total}}, {{tokens: 1000000, per: total}}]}}]"
    );
    let mut world = World::good(&settings).await;
    for _ in 0..3 {
        assert_eq!(status(&world, CALLER).await, 200);
    }
    assert_eq!(status(&world, CALLER).await, 429);
    world.gateway.kill_and_start(program()).await.unwrap();
    // Looked at without taking any.
    let begun = Instant::now();
    loop {
        let done = typed(
            &world.gateway,
            "limits check --key laptop --model up-chat/m",
        )
        .await;
        if done.status.code() == Some(3) {
            break;
        }
        let shown = String::from_utf8_lossy(&done.stdout);
        assert!(begun.elapsed() < PATIENCE, "{shown}{done:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status(&world, CALLER).await, 429);
    assert_eq!(world.upstream.received().len(), 3);
}

#[tokio::test]
async fn postgres_and_redis_serve_as_sqlite_and_memory_do() {
    let database = Postgres::shared().database();
    let redis = Redis::start().await.unwrap();
    let counters = redis.url();
    let configuration = |upstream: &_| {
        let providers = providers(upstream);
        format!("database: \"{database}\"\ncounters: \"{counters}\"\n{APP}\n{providers}")
    };
    let mut world = World::configured(configuration, good_answer).await;
    told(&world.gateway, "organizations create acme").await;
    told(&world.gateway, "projects create acme/web").await;
    let made = "keys create laptop --project acme/web --limit requests=3/total";
    let made = told(&world.gateway, made).await;
    let key = made["secret"].as_str().unwrap().to_owned();
    becomes(&world, &key, 200).await;
    assert_eq!(status(&world, &key).await, 200);
    assert_eq!(status(&world, &key).await, 200);
    assert_eq!(status(&world, &key).await, 429);
    world.gateway.kill_and_start(program()).await.unwrap();
    assert_eq!(status(&world, &key).await, 429, "Redis has kept it");
    let done = typed(
        &world.gateway,
        "limits check --key laptop --model up-chat/m",
    )
    .await;
    assert_eq!(done.status.code(), Some(3));
    tells(&world, "stats requests --by project", |sums| {
        sums["rows"][0]["requests"] == 3 && sums["rows"][0]["project"] == "acme/web"
    })
    .await;
    told(&world.gateway, "keys block laptop").await;
    becomes(&world, &key, 403).await;
}
