//! Tenants through their endpoints, on a store of the test's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use lingate_metering::tenant::{ApiKey, Declared, KeySecret, Organization, Project, Rules};
use lingate_seal::Sealer;
use lingate_store::Store;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{Admin, Configured, Parts};

pub(super) struct Bed {
    pub(super) admin: Admin,
    folder: PathBuf,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) etag: String,
    pub(super) body: Value,
}

impl Bed {
    pub(super) async fn new(declared: Declared) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lingate-tenants-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let store = Store::open(&"sqlite".parse().unwrap(), &folder)
            .await
            .unwrap();
        let (_, store) = watch::channel(Some(store));
        let admin = Admin::new(Parts {
            store,
            gateway: None,
            seal: Arc::new(Sealer::new(&folder, None, None).unwrap()),
            configured: ArcSwap::default(),
        });
        admin.configure(Configured {
            declared,
            ..Configured::default()
        });
        Self { admin, folder }
    }

    async fn ask(&self, ask: &str, body: Value, if_match: Option<&str>) -> Answer {
        let (method, path) = ask.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "gateway.test:8080");
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        let bytes = if body.is_null() {
            Bytes::new()
        } else {
            request = request.header("content-type", "application/json");
            Bytes::from(body.to_string())
        };
        let response = self.admin.call(request.body(bytes).unwrap(), "ada").await;
        let status = response.status().as_u16();
        let etag = response.headers().get("etag");
        let etag = etag.map_or("", |etag| etag.to_str().unwrap()).to_owned();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status, etag, body }
    }

    /// The answer to what must succeed.
    pub(super) async fn get(&self, ask: &str, body: Value) -> Answer {
        let answer = self.ask(ask, body, None).await;
        assert!(
            answer.status < 300,
            "{ask}: {} {}",
            answer.status,
            answer.body
        );
        answer
    }

    /// The fields that are told to be wrong.
    async fn wrong(&self, ask: &str, body: Value) -> Vec<String> {
        let answer = self.ask(ask, body.clone(), None).await;
        assert_eq!(answer.status, 422, "{ask} {body}: {}", answer.body);
        let errors = answer.body["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|error| error["field"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Nothing else is in it; what stays is the system's to clear away.
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

fn declared() -> Declared {
    let organization = Organization::named("filed");
    let project = Project::named(&organization, "web");
    let key = ApiKey {
        id: ApiKey::id_of("filed", "web", "laptop"),
        project: project.id,
        name: "laptop".into(),
        secrets: vec![KeySecret::of("sk-lg-canary", None)],
        rules: Rules::default(),
        ..ApiKey::default()
    };
    Declared {
        organizations: vec![organization],
        projects: vec![project],
        keys: vec![key],
        ..Declared::default()
    }
}

#[tokio::test]
async fn each_is_made_read_changed_and_deleted() {
    let bed = Bed::new(Declared::default()).await;
    let acme = bed
        .get("POST /api/v1/organizations", json!({"name": "acme"}))
        .await;
    assert_eq!(acme.status, 201);
    let id = acme.body["id"].as_str().unwrap();
    let limits = json!([{"cost": "12.5", "per": "month", "thresholds": [50, 80]}]);
    for (path, more) in [
        ("projects", json!({"organization": "acme"})),
        ("users", json!({"organization": id})),
        ("service-accounts", json!({"organization": "acme"})),
        ("api-keys", json!({"project": "acme/one"})),
    ] {
        let path = format!("/api/v1/{path}");
        let mut new = json!({"name": if path.ends_with("ts") && !path.contains("service") { "one" } else { "two" }, "models": ["gpt-*"], "limits": limits});
        if path.ends_with("users") {
            new["name"] = json!("person");
        }
        for (name, value) in more.as_object().unwrap() {
            new[name] = value.clone();
        }
        let made = bed.get(&format!("POST {path}"), new.clone()).await;
        assert_eq!(
            (made.status, &made.body["source"]),
            (201, &json!("store")),
            "{path}"
        );
        assert_eq!(made.body["limits"][0]["cost"], json!("12.5"));
        let own = format!("{path}/{}", made.body["id"].as_str().unwrap());
        let read = bed.get(&format!("GET {own}"), Value::Null).await;
        assert_eq!(read.etag, made.etag);
        assert_eq!(read.body["models"], json!(["gpt-*"]));
        // By its names, too.
        let named = read.body["path"].as_str().unwrap().replace('/', "%2F");
        let by_name = bed.get(&format!("GET {path}/{named}"), Value::Null).await;
        assert_eq!(by_name.body, read.body);
        // What is sent back as it came changes nothing.
        let same = bed.get(&format!("PATCH {own}"), read.body.clone()).await;
        assert_eq!(same.body["limits"], read.body["limits"]);
        let change = json!({"blocked": true, "models": null, "name": "renamed"});
        let stale = bed
            .ask(&format!("PATCH {own}"), change.clone(), Some(&read.etag))
            .await;
        assert_eq!((stale.status, &stale.body["code"]), (412, &json!("stale")));
        let patched = bed
            .ask(&format!("PATCH {own}"), change, Some(&same.etag))
            .await;
        assert_eq!(patched.status, 200, "{}", patched.body);
        assert_eq!(patched.body["blocked"], json!(true));
        assert_eq!(patched.body.get("models"), None);
        assert_eq!(patched.body["limits"], limits_told(), "{path}");
        for (field, body) in [
            ("/id", json!({"id": "x"})),
            (
                "/created_at",
                json!({"created_at": "2020-01-01T00:00:00.000Z"}),
            ),
            ("/source", json!({"source": "file"})),
            ("/path", json!({"path": "x/y"})),
            ("/name", json!({"name": null})),
        ] {
            assert_eq!(bed.wrong(&format!("PATCH {own}"), body).await, [field]);
        }
        let back = json!({"name": new["name"], "blocked": false});
        bed.get(&format!("PATCH {own}"), back).await;
    }
    let busy = bed
        .ask(
            &format!("DELETE /api/v1/organizations/{id}"),
            Value::Null,
            None,
        )
        .await;
    assert_eq!(
        (busy.status, &busy.body["code"]),
        (409, &json!("in_use")),
        "{}",
        busy.body
    );
    for path in [
        "api-keys/acme%2Fone%2Ftwo",
        "projects/acme%2Fone",
        "users/acme%2Fperson",
        "service-accounts/acme%2Ftwo",
        "organizations/acme",
    ] {
        let path = format!("/api/v1/{path}");
        let gone = bed.get(&format!("DELETE {path}"), Value::Null).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT.as_u16(), "{path}");
        let answer = bed.ask(&format!("GET {path}"), Value::Null, None).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

fn limits_told() -> Value {
    json!([{"cost": "12.5", "per": "month", "window": "calendar", "zone": "UTC", "enforcement": "hard", "thresholds": [50, 80]}])
}

#[tokio::test]
async fn what_is_wrong_is_told_field_by_field() {
    let bed = Bed::new(Declared::default()).await;
    bed.get("POST /api/v1/organizations", json!({"name": "acme"}))
        .await;
    bed.get(
        "POST /api/v1/projects",
        json!({"name": "web", "organization": "acme"}),
    )
    .await;
    for (field, value) in [
        ("/name", json!(5)),
        ("/name", json!(null)),
        ("/name", json!("a/b")),
        ("/name", json!(" a")),
        ("/name", json!("a".repeat(201))),
        ("/blocked", json!("yes")),
        ("/models", json!("gpt-4o")),
        ("/models/1", json!(["a", 5])),
        ("/models/1", json!(["a", "a"])),
        ("/deny_models/0", json!([""])),
        ("/limits", json!({"requests": 5})),
        (
            "/limits/0/requests",
            json!([{"requests": "5", "per": "day"}]),
        ),
        ("/limits/0/per", json!([{"requests": 5, "per": "days"}])),
        (
            "/limits/0/colour",
            json!([{"requests": 5, "per": "day", "colour": 1}]),
        ),
        ("/plan", json!(5)),
        ("/colour", json!("red")),
    ] {
        for (path, parent) in [
            ("organizations", None),
            ("projects", Some("acme")),
            ("users", Some("acme")),
            ("service-accounts", Some("acme")),
        ] {
            let mut body = json!({"name": "x"});
            if let Some(parent) = parent {
                body["organization"] = json!(parent);
            }
            let name = field.split('/').nth(1).unwrap();
            body[name] = value.clone();
            let told = bed.wrong(&format!("POST /api/v1/{path}"), body).await;
            assert_eq!(told, [field], "{path} {value}");
        }
    }
    for (field, value) in [
        ("/project", json!(null)),
        ("/project", json!("acme/nowhere")),
        ("/project", json!(["acme/web"])),
        ("/user", json!("nobody")),
        ("/expires_at", json!("tomorrow")),
        ("/expires_at", json!("2027-01-01")),
        ("/expires_at", json!(1_798_761_600)),
        ("/tags/0", json!([5])),
        ("/kind", json!("root")),
        ("/doors/1", json!(["chat", "back"])),
        ("/addresses/0", json!(["10.0.0.0/33"])),
        ("/addresses/1", json!(["10.0.0.1", "10.0.0.1/32"])),
        ("/model_map/fast", json!({"fast": "gpt-*"})),
        ("/model_map", json!(["fast"])),
        ("/model_map/a~1b", json!({"a/b": 5})),
        ("/hides_headers", json!("no")),
        ("/secret", json!("sk-mine")),
        ("/secrets", json!([])),
        ("/id", json!("0193a1b2-0000-7000-8000-000000000000")),
    ] {
        let mut body = json!({"name": "x", "project": "acme/web"});
        body[&field.split('/').nth(1).unwrap()] = value.clone();
        let told = bed.wrong("POST /api/v1/api-keys", body).await;
        assert_eq!(told, [field], "{value}");
    }
    // All at once.
    let body =
        json!({"project": 1, "doors": ["x", "y"], "limits": [{"requests": -1}], "colour": 1});
    let told = bed.wrong("POST /api/v1/api-keys", body).await;
    assert_eq!(told.len(), 6, "{told:?}");
    for body in [json!([]), json!(5)] {
        assert_eq!(bed.wrong("POST /api/v1/organizations", body).await, [""]);
    }
}

#[tokio::test]
async fn what_the_file_defines_is_listed_and_stays_as_it_is() {
    let bed = Bed::new(declared()).await;
    let listed = bed
        .get("GET /api/v1/organizations?sort=name", Value::Null)
        .await;
    let names: Vec<_> = listed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].clone(), one["source"].clone()))
        .collect();
    assert_eq!(
        names,
        [
            (json!("default"), json!("file")),
            (json!("filed"), json!("file"))
        ]
    );
    for path in [
        "organizations/filed",
        "projects/filed%2Fweb",
        "api-keys/filed%2Fweb%2Flaptop",
    ] {
        let told = bed.get(&format!("GET /api/v1/{path}"), Value::Null).await;
        assert_eq!(told.body["source"], "file");
        assert!(!told.body.to_string().contains("canary"));
        for (method, body) in [("PATCH", json!({"blocked": true})), ("DELETE", Value::Null)] {
            let refused = bed
                .ask(&format!("{method} /api/v1/{path}"), body, None)
                .await;
            assert_eq!(
                (refused.status, &refused.body["code"]),
                (409, &json!("defined_in_file"))
            );
        }
    }
    let taken = bed
        .ask("POST /api/v1/organizations", json!({"name": "filed"}), None)
        .await;
    assert_eq!(
        (taken.status, &taken.body["code"]),
        (409, &json!("name_taken"))
    );
    // What is stored may be within it.
    bed.get(
        "POST /api/v1/projects",
        json!({"name": "stored", "organization": "filed"}),
    )
    .await;
    let key = bed
        .get(
            "POST /api/v1/api-keys",
            json!({"name": "a", "project": "filed/web"}),
        )
        .await;
    assert_eq!(key.body["path"], "filed/web/a");
    let key = bed
        .get(
            "POST /api/v1/api-keys",
            json!({"name": "b", "project": "default"}),
        )
        .await;
    assert_eq!(key.body["path"], "default/default/b");
    let all = bed
        .get(
            "GET /api/v1/api-keys?organization=filed&sort=-name",
            Value::Null,
        )
        .await;
    let names: Vec<_> = all.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, ["laptop", "a"]);
    let stored = bed
        .get("GET /api/v1/api-keys?source=store", Value::Null)
        .await;
    assert_eq!(stored.body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_stays_is_listed_once_while_others_come_and_go() {
    let bed = Bed::new(declared()).await;
    bed.get("POST /api/v1/organizations", json!({"name": "acme"}))
        .await;
    for number in 0..20 {
        bed.get(
            "POST /api/v1/projects",
            json!({"name": format!("p{number:02}"), "organization": "acme"}),
        )
        .await;
    }
    for sort in ["created_at", "-created_at", "name", "-name"] {
        let (mut names, mut cursor, mut page) = (Vec::new(), None::<String>, 0);
        loop {
            let more = cursor
                .map(|cursor| format!("&cursor={cursor}"))
                .unwrap_or_default();
            let ask = format!("GET /api/v1/projects?limit=3&sort={sort}{more}");
            let told = bed.get(&ask, Value::Null).await;
            let items = told.body["items"].as_array().unwrap();
            assert!(items.len() <= 3);
            names.extend(
                items
                    .iter()
                    .map(|one| one["path"].as_str().unwrap().to_owned()),
            );
            page += 1;
            let name = format!("q{page}{}", sort.trim_start_matches('-'));
            bed.get(
                "POST /api/v1/projects",
                json!({"name": name, "organization": "acme"}),
            )
            .await;
            if page > 1 {
                let before = format!("q{}{}", page - 1, sort.trim_start_matches('-'));
                bed.get(
                    &format!("DELETE /api/v1/projects/acme%2F{before}"),
                    Value::Null,
                )
                .await;
            }
            match told.body["next"].as_str() {
                None => break,
                Some(next) => cursor = Some(next.to_owned()),
            }
        }
        bed.get(
            &format!(
                "DELETE /api/v1/projects/acme%2Fq{page}{}",
                sort.trim_start_matches('-')
            ),
            Value::Null,
        )
        .await;
        let stayed: Vec<&String> = names.iter().filter(|name| !name.contains("/q")).collect();
        assert_eq!(stayed.len(), 22, "{sort}: {names:?}");
        let mut ordered: Vec<&String> = stayed.clone();
        ordered.sort();
        ordered.dedup();
        assert_eq!(ordered.len(), 22, "{sort}");
    }
    let first = bed
        .get("GET /api/v1/projects?limit=1&sort=name", Value::Null)
        .await;
    let next = first.body["next"].as_str().unwrap();
    for query in [
        format!("cursor={next}"),
        "cursor=x".into(),
        "sort=colour".into(),
        "limit=0".into(),
    ] {
        let answer = bed
            .ask(&format!("GET /api/v1/projects?{query}"), Value::Null, None)
            .await;
        assert_eq!(answer.status, 422, "{query}");
    }
}

#[tokio::test]
async fn a_secret_is_told_once() {
    let bed = Bed::new(Declared::default()).await;
    let made = bed
        .get(
            "POST /api/v1/api-keys",
            json!({"name": "a", "project": "default"}),
        )
        .await;
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("sk-lg-"));
    let snippets = made.body["snippets"].as_array().unwrap();
    assert_eq!(snippets.len(), 9);
    for snippet in snippets {
        let text = snippet["text"].as_str().unwrap();
        assert!(
            text.contains(&secret) && text.contains("http://gateway.test:8080"),
            "{text}"
        );
    }
    let path = format!("/api/v1/api-keys/{}", made.body["id"].as_str().unwrap());
    let rotated = bed
        .get(
            &format!("POST {path}/rotate?url=https://ai.example"),
            json!({"overlap_seconds": 3600}),
        )
        .await;
    let second = rotated.body["secret"].as_str().unwrap().to_owned();
    assert_ne!(second, secret);
    assert!(
        rotated.body["snippets"][0]["text"]
            .as_str()
            .unwrap()
            .contains("https://ai.example ")
    );
    assert_eq!(rotated.body["secrets"].as_array().unwrap().len(), 2);
    assert!(rotated.body["secrets"][1]["expires_at"].is_string());
    let again = bed.get(&format!("POST {path}/rotate"), Value::Null).await;
    assert_eq!(again.body["secrets"].as_array().unwrap().len(), 1);
    for (ask, body) in [
        ("rotate", json!({"overlap_seconds": -1})),
        ("rotate", json!({"overlap": 1})),
        ("rotate?url=javascript:alert", json!({})),
    ] {
        bed.wrong(&format!("POST {path}/{ask}"), body).await;
    }
    let told = bed.get("GET /api/v1/api-keys", Value::Null).await;
    let log = bed
        .admin
        .store()
        .unwrap()
        .audit_log(&lingate_store::AuditFilter::default())
        .await
        .unwrap();
    let log = serde_json::to_string(&log).unwrap();
    for secret in [&secret, &second, again.body["secret"].as_str().unwrap()] {
        assert!(!told.body.to_string().contains(secret) && !log.contains(secret));
    }
}

#[tokio::test]
async fn many_keys_are_changed_at_once() {
    let bed = Bed::new(declared()).await;
    let new = |name: &str| json!({"name": name, "project": "filed/web"});
    let bulk = "POST /api/v1/api-keys/bulk";
    let made = bed.get(bulk, json!({"create": [new("a"), new("laptop"), new("b"), {"name": 5, "project": "filed/web"}, new("a")]})).await;
    let results = made.body["results"].as_array().unwrap();
    let statuses: Vec<_> = results
        .iter()
        .map(|one| one["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [201, 409, 201, 422, 409]);
    assert!(results[0]["key"]["secret"].is_string());
    let nothing = bed.wrong(bulk, json!({"create": [new("c"), {"name": 5, "project": "filed/web"}], "all_or_nothing": true})).await;
    assert_eq!(nothing, ["/create/1/name"]);
    let twice = bed
        .ask(
            bulk,
            json!({"create": [new("c"), new("c")], "all_or_nothing": true}),
            None,
        )
        .await;
    assert_eq!(twice.status, 409);
    let names = [
        "filed/web/a",
        "filed/web/laptop",
        "filed/web/b",
        "filed/web/z",
    ];
    let blocked = bed.get(bulk, json!({"block": names})).await;
    let statuses: Vec<_> = blocked.body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 409, 200, 404]);
    let nothing = bed
        .wrong(bulk, json!({"delete": names, "all_or_nothing": true}))
        .await;
    assert_eq!(nothing, ["/delete/1", "/delete/3"]);
    let kept = bed
        .get(
            "GET /api/v1/api-keys?source=store&blocked=true",
            Value::Null,
        )
        .await;
    assert_eq!(kept.body["items"].as_array().unwrap().len(), 2);
    bed.get(
        bulk,
        json!({"delete": ["filed/web/a", "filed/web/b"], "all_or_nothing": true}),
    )
    .await;
    let kept = bed
        .get("GET /api/v1/api-keys?source=store", Value::Null)
        .await;
    assert_eq!(kept.body["items"], json!([]));
    for body in [
        json!({}),
        json!({"create": [], "delete": []}),
        json!({"block": []}),
        json!({"block": "a"}),
        json!({"erase": []}),
    ] {
        bed.wrong(bulk, body).await;
    }
}
