//! The world of a test: the gateway as a program, one upstream that speaks all dialects, and secrets that must not come out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lingate_testkit::client::{Answer, Connection, fetch};
use lingate_testkit::{Gateway, Received, Script, Upstream};

use crate::wire::Dialect;

/// Long enough for a busy machine; whoever waits for it has found a fault.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The credential of every caller that shows none of its own.
pub(crate) const CALLER: &str = "sk-canary-caller";

/// The built program.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lingate"))
}

/// A gateway and its upstream. When it goes, its log and what the upstream received are searched for secrets and panics.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
}

/// A request as the upstream sees it.
pub(crate) struct Asked<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) stream: bool,
    /// The upstream's name of the model.
    pub(crate) model: String,
    pub(crate) received: &'a Received,
}

impl Asked<'_> {
    /// The good answer, as it was asked for.
    pub(crate) fn good(&self) -> Script {
        if self.stream {
            Script::events(self.dialect.events())
        } else {
            Script::json(200, self.dialect.whole().to_string())
        }
    }
}

/// An upstream that does everything right.
pub(crate) fn good_answer(asked: &Asked<'_>) -> Script {
    asked.good()
}

/// The four providers, each with a dialect of its own and a key, all at this upstream.
/// Circuit breakers are off: most tests want to see every failure of an upstream that fails all the time.
pub(crate) fn providers(upstream: &Upstream) -> String {
    let url = upstream.url();
    format!(
        "providers:
  up-chat: {{base_url: \"{url}/v1\", dialects: [chat], keys: [sk-canary-up-chat], breaker: false}}
  up-messages: {{base_url: \"{url}\", dialects: [messages], keys: [sk-canary-up-messages], breaker: false}}
  up-gemini: {{base_url: \"{url}\", dialects: [gemini], keys: [sk-canary-up-gemini], breaker: false}}
  up-responses: {{base_url: \"{url}/v1\", dialects: [responses], keys: [sk-canary-up-responses], breaker: false}}
"
    )
}

/// A provider of one dialect at this upstream, as a line of the configuration; `rest`: its keys, and whatever else is said of it.
pub(crate) fn provider(name: &str, dialect: Dialect, upstream: &Upstream, rest: &str) -> String {
    let url = upstream.url();
    let version = match dialect {
        Dialect::Chat | Dialect::Responses => "/v1",
        Dialect::Messages | Dialect::Gemini => "",
    };
    let dialect = format!("{dialect:?}").to_lowercase();
    format!("  {name}: {{base_url: \"{url}{version}\", dialects: [{dialect}], {rest}}}\n")
}

/// The key that a request came with, without the `sk-canary-` that all of them begin with.
pub(crate) fn key(received: &Received) -> String {
    let shown = format!("{:?}", received.headers);
    let (_, key) = shown.split_once("sk-canary-").unwrap_or_default();
    key.split('"').next().unwrap_or_default().to_owned()
}

impl World {
    /// A world whose upstream always gives good answers.
    pub(crate) async fn good(settings: &str) -> Self {
        Self::playing(settings, good_answer).await
    }

    /// A world whose upstream answers as `play` says; `settings` are top-level keys of the configuration.
    pub(crate) async fn playing(
        settings: &str,
        play: impl Fn(&Asked<'_>) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::configured(
            |upstream| format!("{settings}\n{}", providers(upstream)),
            play,
        )
        .await
    }

    /// A world with a configuration of its own.
    pub(crate) async fn configured(
        configuration: impl Fn(&Upstream) -> String,
        play: impl Fn(&Asked<'_>) -> Script + Send + Sync + 'static,
    ) -> Self {
        let upstream = upstream(play).await;
        let gateway = Gateway::start(program(), &configuration(&upstream), &[])
            .await
            .unwrap();
        Self { gateway, upstream }
    }

    /// Asks for an answer in this dialect.
    pub(crate) async fn ask(&self, dialect: Dialect, model: &str, stream: bool) -> Answer {
        let body = dialect.request(model, stream).to_string();
        self.post(&dialect.path(model, stream), &[], body.as_bytes())
            .await
    }

    /// Posts a body with the usual headers and these; the answer holds no secret.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {CALLER}");
        let mut all = vec![("content-type", "application/json")];
        let known = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];
        if !headers.iter().any(|(name, _)| known.contains(name)) && !path.contains("key=") {
            all.push(("authorization", &bearer));
        }
        all.extend(headers);
        self.send("POST", path, &all, body).await
    }

    /// Sends exactly this; the answer holds no secret.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let answer = tokio::time::timeout(
            PATIENCE,
            fetch(self.gateway.address(), method, path, headers, body),
        );
        let answer = answer
            .await
            .unwrap_or_else(|_| panic!("{method} {path}: no answer; log: {}", self.gateway.log()));
        let answer = answer.unwrap_or_else(|error| {
            panic!("{method} {path}: {error}; log: {}", self.gateway.log())
        });
        let shown = format!("{:?} {}", answer.headers, answer.text());
        assert!(
            !shown.contains("canary"),
            "a secret in the answer to {method} {path}: {shown}"
        );
        answer
    }

    /// Opens a connection and sends a request for an answer, without waiting for it.
    pub(crate) async fn call(&self, dialect: Dialect, model: &str, stream: bool) -> Connection {
        let mut connection = Connection::open(self.gateway.address()).await.unwrap();
        let body = dialect.request(model, stream).to_string();
        let headers = [("content-type", "application/json")];
        connection
            .send(
                "POST",
                &dialect.path(model, stream),
                &headers,
                body.as_bytes(),
            )
            .await
            .unwrap();
        connection
    }

    /// Waits until the log says this; panics with the log when it does not.
    pub(crate) async fn logged(&self, words: &str) {
        let found = eventually(|| self.gateway.log().contains(words)).await;
        assert!(found, "{words:?} is not in the log: {}", self.gateway.log());
    }

    /// How often the log says this.
    pub(crate) fn said(&self, words: &str) -> usize {
        self.gateway.log().matches(words).count()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.gateway.log();
        assert!(!log.contains("canary"), "a secret in the log: {log}");
        assert!(!log.contains("panicked"), "a panic: {log}");
        for received in self.upstream.received() {
            let shown = format!("{} {:?}", received.query, received.headers);
            assert!(
                !shown.contains(CALLER),
                "the caller's credential went upstream: {shown}"
            );
        }
    }
}

/// An upstream of all dialects that answers as `play` says.
pub(crate) async fn upstream(
    play: impl Fn(&Asked<'_>) -> Script + Send + Sync + 'static,
) -> Upstream {
    let answering = move |received: &Received| match asked(received) {
        Some(asked) => play(&asked),
        None => Script::json(404, r#"{"error":{"message":"no such path"}}"#),
    };
    Upstream::answering(([127, 0, 0, 1], 0).into(), Arc::new(answering))
        .await
        .unwrap()
}

/// What a request to an upstream asks for; `None` for anything but an answer.
pub(crate) fn asked(received: &Received) -> Option<Asked<'_>> {
    let body = received.json();
    let (dialect, stream, model) = match received.path.as_str() {
        "/v1/chat/completions" => (Dialect::Chat, body["stream"] == true, None),
        "/v1/messages" => (Dialect::Messages, body["stream"] == true, None),
        "/v1/responses" => (Dialect::Responses, body["stream"] == true, None),
        path => {
            let (model, verb) = path.strip_prefix("/v1beta/models/")?.rsplit_once(':')?;
            let stream = match verb {
                "generateContent" => false,
                "streamGenerateContent" => true,
                _ => return None,
            };
            (Dialect::Gemini, stream, Some(model.to_owned()))
        }
    };
    let model = model.or_else(|| body["model"].as_str().map(str::to_owned))?;
    Some(Asked {
        dialect,
        stream,
        model,
        received,
    })
}

/// Waits until the condition holds; says whether it does.
pub(crate) async fn eventually(condition: impl Fn() -> bool) -> bool {
    let started = std::time::Instant::now();
    while started.elapsed() < PATIENCE {
        if condition() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    condition()
}

/// Runs all cases, some at the same time. Those that panic are counted at the end: many wrong cases tell more than the first.
pub(crate) async fn at_once<T, F>(cases: impl IntoIterator<Item = T>, run: impl Fn(T) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    const AT_ONCE: usize = 40;
    let mut running = tokio::task::JoinSet::new();
    let mut wrong = 0;
    for case in cases {
        if running.len() >= AT_ONCE {
            wrong += usize::from(running.join_next().await.unwrap().is_err());
        }
        running.spawn(run(case));
    }
    while let Some(done) = running.join_next().await {
        wrong += usize::from(done.is_err());
    }
    assert_eq!(wrong, 0, "so many cases are wrong; each has told why");
}

/// A line of `/proc/PID/status`, in MiB: `VmRSS` (memory in use) or `VmHWM` (its peak).
pub(crate) fn memory(gateway: &Gateway, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let found = status
        .lines()
        .find_map(|text| text.strip_prefix(line))
        .unwrap();
    let number = found
        .trim_start_matches(':')
        .trim()
        .split(' ')
        .next()
        .unwrap();
    number.parse::<u64>().unwrap() / 1024
}

/// How many sockets the gateway has open.
pub(crate) fn sockets(gateway: &Gateway) -> usize {
    let folder = std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap();
    let links = folder.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with("socket:"))
        .count()
}
