//! Documents by their endpoints, as the command line asks them: in this process, without a gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use lingate_config::{Environment, Overlay};
use lingate_seal::Sealer;
use lingate_store::{AuditFilter, DatabaseUrl, Store};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::admin::{Admin, Configured, Parts};

/// A control plane with a configuration file of its own.
pub(crate) struct Desk {
    pub(crate) admin: Admin,
    pub(crate) store: Store,
    folder: std::path::PathBuf,
    _told: watch::Sender<Option<Store>>,
}

/// An answer: its status, its ETag, and its body.
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) etag: String,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Desk {
    pub(crate) async fn new(file: &str) -> Self {
        Self::on(file, None).await
    }

    /// `database`: where it is instead of a file in the folder.
    pub(crate) async fn on(file: &str, database: Option<&str>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("lingate-desk-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("lingate.yml");
        std::fs::write(&path, file).unwrap();
        let url: DatabaseUrl = database.unwrap_or("sqlite").parse().unwrap();
        let store = Store::open(&url, &folder).await.unwrap();
        let environment = Environment::default();
        let loaded = lingate_config::load(Some(&path), &environment).unwrap();
        let overlay = Arc::new(Overlay::default());
        let told = watch::Sender::new(Some(store.clone()));
        let admin = Admin::new(Parts {
            store: told.subscribe(),
            gateway: None,
            seal: Arc::new(Sealer::new(&folder, None, None).unwrap()),
            configured: ArcSwap::from_pointee(Configured::of(&loaded, &environment, &overlay)),
        });
        Self {
            admin,
            store,
            folder,
            _told: told,
        }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Told {
        self.ask_with(method, path, body, &[]).await
    }

    pub(crate) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Told {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| body.to_string().into()).unwrap_or_default();
        let request: Request<Bytes> = request.body(body).unwrap();
        let response = self.admin.call(request, "tester").await;
        let status = response.status();
        let header = response.headers().get("etag");
        let etag = header.map(|tag| tag.to_str().unwrap().to_owned());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Told {
            status,
            etag: etag.unwrap_or_default(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn actions(&self) -> Vec<String> {
        let page = self.store.audit_log(&AuditFilter::default()).await.unwrap();
        page.items.into_iter().map(|event| event.action).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const FILE: &str = "providers: {local: {base_url: 'http://127.0.0.1:9/v1', keys: [none]}}
routes: [{model: 'file-*', targets: [local]}]
currencies: {CNY: 7.1}
";

fn fields(told: &Told) -> Vec<&str> {
    let errors = told.body["errors"].as_array();
    errors
        .map(|errors| {
            errors
                .iter()
                .filter_map(|error| error["field"].as_str())
                .collect()
        })
        .unwrap_or_default()
}

fn names(told: &Told) -> Vec<&str> {
    let items = told.body["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap_or("-"))
        .collect()
}

#[tokio::test]
async fn a_provider_and_its_route_from_creation_to_deletion() {
    let desk = Desk::new(FILE).await;
    let new = json!({"name": "mine", "definition": {"base_url": "http://127.0.0.1:9/v1", "keys": ["none"], "headers": {"x-title": "us"}}});
    let made = desk
        .ask(Method::POST, "/api/v1/providers", Some(&new))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.body["source"], "database");
    let again = desk
        .ask(Method::POST, "/api/v1/providers", Some(&new))
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.body["code"], "name_taken");

    let route = json!({"name": "first", "definition": {"model": "m", "targets": ["mine"]}});
    let made_route = desk.ask(Method::POST, "/api/v1/routes", Some(&route)).await;
    assert_eq!(
        made_route.status,
        StatusCode::CREATED,
        "{}",
        made_route.text
    );
    let second = json!({"name": "second", "definition": {"model": "m2", "targets": ["mine/x"]}, "before": "first"});
    let told = desk
        .ask(Method::POST, "/api/v1/routes", Some(&second))
        .await;
    assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
    let listed = desk.ask(Method::GET, "/api/v1/routes", None).await;
    assert_eq!(names(&listed), ["-", "second", "first"]);
    let moved = json!({"before": null});
    let told = desk
        .ask(Method::PATCH, "/api/v1/routes/second", Some(&moved))
        .await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let listed = desk.ask(Method::GET, "/api/v1/routes?limit=2", None).await;
    assert_eq!(names(&listed), ["-", "first"]);
    let next = listed.body["next"].as_str().unwrap();
    let rest = desk
        .ask(Method::GET, &format!("/api/v1/routes?cursor={next}"), None)
        .await;
    assert_eq!(names(&rest), ["second"]);

    // Changed as far as it is known, and not with a state that is over.
    let patch = json!({"definition": {"headers": {"x-title": null, "x-org": "a"}}});
    let stale = desk
        .ask_with(
            Method::PATCH,
            "/api/v1/providers/mine",
            Some(&patch),
            &[("if-match", "\"1\"")],
        )
        .await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let changed = desk
        .ask_with(
            Method::PATCH,
            "/api/v1/providers/mine",
            Some(&patch),
            &[("if-match", &made.etag)],
        )
        .await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    assert_eq!(changed.body["definition"]["headers"], json!({"x-org": "a"}));

    // What is named is not deleted.
    let used = desk
        .ask(Method::DELETE, "/api/v1/providers/mine", None)
        .await;
    assert_eq!(used.status, StatusCode::CONFLICT);
    assert_eq!(used.body["code"], "in_use");
    for path in [
        "/api/v1/routes/first",
        "/api/v1/routes/second",
        "/api/v1/providers/mine",
    ] {
        let gone = desk.ask(Method::DELETE, path, None).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT, "{path} {}", gone.text);
        let gone = desk.ask(Method::DELETE, path, None).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{path}");
    }
    let mut actions = desk.actions().await;
    actions.reverse();
    assert_eq!(
        actions,
        [
            "provider.create",
            "route.create",
            "route.create",
            "route.update",
            "provider.update",
            "route.delete",
            "route.delete",
            "provider.delete"
        ]
    );
    let chain = desk.store.check_audit().await.unwrap().unwrap();
    assert_eq!(chain.events, 8);
}

#[tokio::test]
async fn what_does_not_load_is_not_stored() {
    let desk = Desk::new(FILE).await;
    let cases = [
        (
            "providers",
            json!({"name": "p", "definition": {"base_url": "ftp://x", "keyz": 1}}),
            vec!["/definition/keyz", "/definition/base_url"],
        ),
        (
            "providers",
            json!({"name": "p", "definition": {"base_url": "http://127.0.0.1:9", "keys": ["sk-canary-12345678"]}}),
            vec!["/definition/keys/0"],
        ),
        (
            "providers",
            json!({"name": "a b", "definition": {"base_url": "http://127.0.0.1:9"}}),
            vec!["/definition"],
        ),
        (
            "routes",
            json!({"name": "r", "definition": {"model": "m", "targets": ["nobody"]}}),
            vec!["/definition/targets/0"],
        ),
        (
            "routes",
            json!({"definition": {"model": "m", "targets": ["local"]}}),
            vec!["/name"],
        ),
        (
            "plans",
            json!({"name": "p", "definition": {"multiplier": "-1"}}),
            vec!["/definition/multiplier"],
        ),
        (
            "plans",
            json!({"name": "p", "definition": {}, "before": "q"}),
            vec!["/before"],
        ),
        (
            "prices",
            json!({"definition": {"model": "m", "input": 1}}),
            vec!["/definition"],
        ),
        (
            "currencies",
            json!({"name": "XX1", "definition": 3}),
            vec!["/name"],
        ),
    ];
    for (resource, body, expect) in cases {
        let told = desk
            .ask(Method::POST, &format!("/api/v1/{resource}"), Some(&body))
            .await;
        assert_eq!(
            told.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{body} {}",
            told.text
        );
        assert_eq!(fields(&told), expect, "{body} {}", told.text);
        assert!(!told.text.contains("sk-canary"), "{}", told.text);
    }
    assert!(desk.store.documents().await.unwrap().items.is_empty());
    assert!(desk.actions().await.is_empty());
}

#[tokio::test]
async fn what_the_file_defines_is_read_only() {
    let desk = Desk::new(FILE).await;
    let listed = desk.ask(Method::GET, "/api/v1/providers", None).await;
    assert_eq!(names(&listed), ["local"]);
    let one = desk.ask(Method::GET, "/api/v1/providers/local", None).await;
    assert_eq!(one.body["source"], "file");
    assert_eq!(
        one.body["definition"]["endpoints"]["chat"]["url"],
        "http://127.0.0.1:9/v1"
    );
    let patch = json!({"definition": {}});
    for told in [
        desk.ask(Method::PATCH, "/api/v1/providers/local", Some(&patch))
            .await,
        desk.ask(Method::DELETE, "/api/v1/providers/local", None)
            .await,
        desk.ask(
            Method::POST,
            "/api/v1/currencies",
            Some(&json!({"name": "CNY", "definition": 7})),
        )
        .await,
    ] {
        assert_eq!(told.status, StatusCode::CONFLICT, "{}", told.text);
        assert_eq!(told.body["code"], "defined_in_file");
    }
    let made = desk
        .ask(
            Method::POST,
            "/api/v1/currencies",
            Some(&json!({"name": "EUR", "definition": "0.9"})),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let price = json!({"definition": {"model": "GPT-x/y", "input": 1e-9, "output": "2"}});
    let made = desk.ask(Method::POST, "/api/v1/prices", Some(&price)).await;
    assert_eq!(made.body["name"], "*/gpt-x/y", "{}", made.text);
    let one = desk
        .ask(Method::GET, "/api/v1/prices/*%2Fgpt-x%2Fy", None)
        .await;
    assert_eq!(one.status, StatusCode::OK, "{}", one.text);
}
