//! A gateway with its control plane, and those who ask it.

#![expect(
    dead_code,
    reason = "what tests of other resources ask with; each uses a part of it"
)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use lingate_testkit::client::{Answer, fetch};
use lingate_testkit::{Gateway, Postgres, Upstream};
use serde_json::{Value, json};

use crate::world::{CALLER, PATIENCE, good_answer, program, providers, upstream};

/// The password of the operator that the first start makes.
pub(crate) const PASSWORD: &str = "canary-battery-of-the-operator";

/// A key of kind `management` of the organization `default`: an operator without a session.
pub(crate) const MANAGEMENT: &str = "sk-canary-management";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// A gateway on a database of its own. When it goes, its log is searched for secrets and panics.
pub(crate) struct Harness {
    pub(crate) gateway: Gateway,
    pub(crate) database: Database,
    /// What the four providers of the configuration ask.
    pub(crate) upstream: Upstream,
    /// `postgres://…`; empty with SQLite.
    pub(crate) address: String,
}

/// Somebody who asks.
#[derive(Clone)]
pub(crate) struct Client<'h> {
    harness: &'h Harness,
    /// What they show, as headers.
    pub(crate) shown: Vec<(String, String)>,
}

/// An answer, read.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) asked: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Null where there is none, or where it is no JSON.
    pub(crate) body: Value,
    pub(crate) text: String,
}

/// Runs a test on both databases, one after the other.
pub(crate) async fn on_both<F>(test: F)
where
    F: for<'h> Fn(&'h Harness) -> Pin<Box<dyn Future<Output = ()> + 'h>>,
{
    for database in [Database::Sqlite, Database::Postgres] {
        let harness = Harness::start(database, "").await;
        test(&harness).await;
    }
}

impl Harness {
    /// `settings`: top-level keys of the configuration, beside providers and the keys of the operator and of a caller.
    pub(crate) async fn start(database: Database, settings: &str) -> Self {
        Self::start_with(database, settings, &[]).await
    }

    /// With these variables in its environment, beside the operator's password.
    pub(crate) async fn start_with(
        database: Database,
        settings: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let address = match database {
            Database::Sqlite => String::new(),
            Database::Postgres => {
                let made = tokio::task::spawn_blocking(|| Postgres::shared().database());
                made.await.unwrap()
            }
        };
        let stored = match database {
            Database::Sqlite => String::new(),
            Database::Postgres => format!("database: \"{address}\"\n"),
        };
        let upstream = upstream(good_answer).await;
        let own = if settings.contains("api_keys:") {
            String::new()
        } else {
            format!(
                "api_keys: [{{name: operator, key: {MANAGEMENT}, kind: management}}, {{name: caller, key: {CALLER}, kind: inference}}]\n"
            )
        };
        let configuration = format!("{settings}\n{own}{stored}{}", providers(&upstream));
        let mut all = vec![("LINGATE_ADMIN_PASSWORD", PASSWORD)];
        all.extend(environment);
        let gateway = Gateway::start(program(), &configuration, &all)
            .await
            .unwrap();
        Self {
            gateway,
            database,
            upstream,
            address,
        }
    }

    /// Whoever shows nothing.
    pub(crate) fn nobody(&self) -> Client<'_> {
        Client {
            harness: self,
            shown: Vec::new(),
        }
    }

    /// Whoever shows this token or key.
    pub(crate) fn bearer(&self, token: &str) -> Client<'_> {
        Client {
            harness: self,
            shown: vec![("authorization".to_owned(), format!("Bearer {token}"))],
        }
    }

    /// An operator.
    pub(crate) fn operator(&self) -> Client<'_> {
        self.bearer(MANAGEMENT)
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.gateway.log();
        assert!(!log.contains("canary"), "a secret in the log: {log}");
        assert!(!log.contains("panicked"), "a panic: {log}");
    }
}

impl<'h> Client<'h> {
    /// The same one, who sends this header, too.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.shown.push((name.to_owned(), value.to_owned()));
        other
    }

    pub(crate) fn harness(&self) -> &'h Harness {
        self.harness
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &[], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.ask("PATCH", path, &[], Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.ask("PUT", path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, &[], None).await
    }

    /// Asks with a JSON body, or with none; the answer holds no secret of the configuration.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        let (mut all, bytes) = (Vec::new(), body.map(Value::to_string).unwrap_or_default());
        if body.is_some()
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            all.push(("content-type", "application/json"));
        }
        all.extend(headers);
        self.raw(method, path, &all, bytes.as_bytes()).await
    }

    /// Asks with these bytes.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let shown = self.shown.iter();
        let mut all: Vec<(&str, &str)> = shown.map(|(name, value)| (&**name, &**value)).collect();
        all.extend(headers);
        let gateway = &self.harness.gateway;
        let asked = format!("{method} {path}");
        let answer =
            tokio::time::timeout(PATIENCE, fetch(gateway.address(), method, path, &all, body));
        let answer = answer
            .await
            .unwrap_or_else(|_| panic!("{asked}: no answer; log: {}", gateway.log()));
        let answer = answer.unwrap_or_else(|error| panic!("{asked}: {error}; {}", gateway.log()));
        Reply::of(asked, &answer)
    }

    /// All items of a list, page by page; each page is as long as it may be.
    pub(crate) async fn all(&self, path: &str, limit: usize) -> Vec<Value> {
        let join = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let reply = self
                .get(&format!("{path}{join}limit={limit}{cursor}"))
                .await;
            let page = reply.expect(200);
            let of_page = page["items"].as_array().unwrap();
            assert!(of_page.len() <= limit, "{}: too many items", reply.asked);
            items.extend(of_page.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}

impl Reply {
    fn of(asked: String, answer: &Answer) -> Self {
        let text = answer.text();
        let shown = format!("{:?} {text}", answer.headers);
        assert!(
            !shown.contains("canary"),
            "a secret in the answer to {asked}: {shown}"
        );
        Self {
            asked,
            status: answer.status,
            headers: answer.headers.clone(),
            body: answer.json(),
            text,
        }
    }

    /// The value of a header, or the empty string.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text);
        &self.body
    }

    /// The text of a field of an answer that succeeded.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        assert!(self.status < 300, "{}: {}", self.asked, self.text);
        self.body["id"].as_str().unwrap().to_owned()
    }

    /// A problem with this status and code, whole: its request id is that of the answer.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> &Value {
        let told = json!({"status": self.body["status"], "code": self.body["code"]});
        let expect = json!({"status": status, "code": code});
        assert_eq!(told, expect, "{}: {}", self.asked, self.text);
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(
            self.body["request_id"].as_str().unwrap_or_default(),
            self.header("x-lingate-request-id"),
            "{}: {}",
            self.asked,
            self.text
        );
        &self.body
    }

    /// The fields that a problem with `invalid` names, each with what is wrong with it.
    #[track_caller]
    pub(crate) fn wrong_fields(&self) -> BTreeMap<String, String> {
        let problem = self.problem(422, "invalid");
        let errors = problem["errors"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pair = |error: &Value| (text(&error["field"]), text(&error["detail"]));
        errors.iter().map(pair).collect()
    }
}
