//! Two replicas of the gateway, with one database, one Redis and one upstream.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use lingate_testkit::client::{Answer, Connection, fetch};
use lingate_testkit::{Gateway, Postgres, Redis, Script, Upstream};
use serde_json::Value;
use tokio::sync::Mutex;

use super::ledger::Ledger;
use super::marked::{Mark, USER};
use crate::wire::Dialect;
use crate::world::{Asked, PATIENCE, program, providers, upstream};

/// The key of whoever looks how gateways fare.
pub(super) const MANAGER: &str = "sk-canary-manager";

/// Prices that are told by the number of tokens at a glance: a dollar for a million, whichever.
pub(super) const PRICES: &str =
    "prices: [{provider: \"up-*\", model: \"*\", input: 1, output: 1}]\n";

pub(super) struct Together {
    pub(super) upstream: Upstream,
    pub(super) redis: Mutex<Redis>,
    pub(super) database: String,
    pub(super) replicas: Vec<Gateway>,
    next: AtomicUsize,
}

/// A gateway of its own at these services; `settings`: top-level keys, with `api_keys`, whose list goes on.
pub(super) fn configuration(
    upstream: &Upstream,
    redis: &Redis,
    database: &str,
    settings: &str,
) -> String {
    format!(
        "auth: keys\ndatabase: {database}\ncounters: {}\n{}{PRICES}{settings}\n  - {{name: manager, key: {MANAGER}, kind: management}}\n",
        redis.url(),
        providers(upstream),
    )
}

impl Together {
    /// Two of them, at a database of the server that tests share.
    pub(super) async fn start(
        settings: &str,
        play: impl Fn(&Asked<'_>, Mark) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::at(Postgres::shared(), settings, play).await
    }

    pub(super) async fn at(
        postgres: &Postgres,
        settings: &str,
        play: impl Fn(&Asked<'_>, Mark) -> Script + Send + Sync + 'static,
    ) -> Self {
        let upstream = upstream(move |asked| {
            let mark = Mark::of(asked.received).unwrap();
            play(asked, mark)
        })
        .await;
        let redis = Redis::start().await.unwrap();
        let database = postgres.database();
        let text = configuration(&upstream, &redis, &database, settings);
        let mut replicas = Vec::new();
        for _ in 0..2 {
            replicas.push(Gateway::start(program(), &text, &[]).await.unwrap());
        }
        Self {
            upstream,
            redis: Mutex::new(redis),
            database,
            replicas,
            next: AtomicUsize::new(0),
        }
    }

    pub(super) fn next(&self) -> Mark {
        Mark(self.next.fetch_add(1, Ordering::SeqCst))
    }

    /// Asks this replica; the answer to its end.
    pub(super) async fn ask(&self, replica: usize, key: &str, dialect: Dialect) -> Answer {
        loop {
            let mark = self.next();
            let answer = ask(&self.replicas[replica], key, dialect, mark).await;
            if !answer
                .text()
                .contains("the counters of limits cannot be reached")
            {
                return answer;
            }
            assert!(matches!(answer.status, 503 | 529), "{}", answer.status);
        }
    }

    /// Opens a connection to this replica and sends a request for a stream.
    pub(super) async fn call(&self, replica: usize, key: &str) -> Connection {
        let mark = self.next();
        let address = self.replicas[replica].address();
        let mut connection = Connection::open(address).await.unwrap();
        let (bearer, name) = (format!("Bearer {key}"), mark.name());
        let headers = [
            ("content-type", "application/json"),
            ("authorization", &*bearer),
            (USER, &*name),
        ];
        let body = mark.request(Dialect::Chat, "up-chat/m", true).to_string();
        let path = Dialect::Chat.path("up-chat/m", true);
        connection
            .send("POST", &path, &headers, body.as_bytes())
            .await
            .unwrap();
        connection
    }

    pub(super) async fn health(&self, replica: usize) -> Value {
        get(&self.replicas[replica], "/health").await
    }

    /// Waits until `/health` of every replica says this of a part.
    pub(super) async fn fares(&self, part: &str, status: &str) {
        for replica in 0..self.replicas.len() {
            self.fares_at(replica, part, status).await;
        }
    }

    async fn fares_at(&self, replica: usize, part: &str, status: &str) {
        let started = Instant::now();
        loop {
            let health = self.health(replica).await;
            if health[part]["status"] == status {
                break;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{part} is not {status}: {health}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// How much is used of the only limit of a key, as this replica sees it once it sees Redis.
    pub(super) async fn used(&self, replica: usize, key: &str) -> String {
        self.fares_at(replica, "counters", "ok").await;
        used(&self.replicas[replica], key).await
    }

    pub(super) async fn ledger(&self) -> Ledger {
        Ledger::of(&self.database, &self.replicas[0]).await
    }

    /// Runs `lingate …` beside the first replica; what it prints as JSON.
    pub(super) async fn command(&self, words: &[&str]) -> Value {
        command(&self.replicas[0], words).await
    }

    /// The id of a key.
    pub(super) async fn key_of(&self, name: &str) -> String {
        let told = self.command(&["keys", "show", name]).await;
        told["id"].as_str().unwrap().to_owned()
    }

    /// What the upstream counts of good answers, by mark.
    pub(super) fn counted(&self) -> BTreeMap<Mark, (u64, u64)> {
        let received = self.upstream.received();
        let marks = received.iter().filter_map(Mark::of);
        marks
            .map(|mark| (mark, (mark.input(), mark.output())))
            .collect()
    }
}

pub(super) async fn ask(gateway: &Gateway, key: &str, dialect: Dialect, mark: Mark) -> Answer {
    let model = format!("{}/m", dialect.provider());
    let body = mark.request(dialect, &model, false).to_string();
    let (bearer, name) = (format!("Bearer {key}"), mark.name());
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &*bearer),
        (USER, &*name),
    ];
    let path = dialect.path(&model, false);
    fetch(gateway.address(), "POST", &path, &headers, body.as_bytes())
        .await
        .unwrap()
}

pub(super) async fn get(gateway: &Gateway, path: &str) -> Value {
    let bearer = format!("Bearer {MANAGER}");
    let headers = [("authorization", &*bearer)];
    let answer = fetch(gateway.address(), "GET", path, &headers, b"").await;
    answer.unwrap().json()
}

/// How much is used of the only limit of a key.
pub(super) async fn used(gateway: &Gateway, key: &str) -> String {
    let path = format!("/api/v1/limits/check?key={key}&model=up-chat/m&max_tokens=0");
    let started = Instant::now();
    loop {
        let told = get(gateway, &path).await;
        if let Some(used) = told["steps"][0]["limits"][0]["used"].as_str() {
            return used.to_owned();
        }
        // Redis took too long.
        assert!(started.elapsed() < PATIENCE, "{told}");
    }
}

pub(super) async fn command(gateway: &Gateway, words: &[&str]) -> Value {
    let folder = gateway.folder();
    let mut command = std::process::Command::new(program());
    command
        .args(words)
        .arg("--json")
        .arg("--config")
        .arg(folder.join("lingate.yml"))
        .arg("--data")
        .arg(folder.join("data"))
        .env_clear();
    let done = tokio::task::spawn_blocking(move || command.output());
    let done = done.await.unwrap().unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
    serde_json::from_slice(&done.stdout).unwrap()
}

impl Drop for Together {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for replica in &self.replicas {
            let log = replica.log();
            assert!(!log.contains("canary"), "a secret in the log: {log}");
            assert!(!log.contains("panicked"), "a panic: {log}");
        }
    }
}
