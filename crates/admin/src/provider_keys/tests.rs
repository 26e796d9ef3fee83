//! Keys of providers through their endpoints: added, imported, removed, and sealed anew.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use lingate_seal::Sealer;
use lingate_store::{AuditFilter, AuditNote, Deed, Kind, Store, new_id};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::key_specs;
use crate::{Admin, Parts};

struct Bed {
    admin: Admin,
    store: Store,
    seal: Arc<Sealer>,
    folder: PathBuf,
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Bed {
    async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("lingate-pools-{}", new_id()));
        let store = Store::open(&"sqlite".parse().unwrap(), &folder)
            .await
            .unwrap();
        let mut batch = store.batch().await.unwrap();
        let note = AuditNote::of(Deed::Create, Kind::Document, &"up", "up");
        let value = json!({});
        let put = batch.put_document("provider", "up", None, &value, note);
        put.await.unwrap();
        batch.commit().await.unwrap();
        let (admin, seal) = admin(&store, &folder);
        Self {
            admin,
            store,
            seal,
            folder,
        }
    }

    async fn ask(&self, ask: &str, kind: &str, body: &str) -> (u16, Value) {
        let (method, path) = ask.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "gateway.test")
            .header("content-type", kind)
            .body(Bytes::from(body.to_owned()))
            .unwrap();
        let response = self.admin.call(request, "ada").await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("canary"), "{ask}: {text}");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn json(&self, ask: &str, body: Value) -> (u16, Value) {
        self.ask(ask, "application/json", &body.to_string()).await
    }

    /// The job as it ended.
    async fn ended(&self, job: (u16, Value)) -> Value {
        assert_eq!(job.0, 202, "{}", job.1);
        let path = format!("GET /api/v1/jobs/{}", job.1["id"].as_str().unwrap());
        let ends = async {
            loop {
                let (_, job) = self.ask(&path, "", "").await;
                if job["state"] != "running" {
                    return job;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_mins(1), ends)
            .await
            .unwrap()
    }

    async fn import(&self, text: &str) -> Value {
        let ask = "POST /api/v1/provider-keys/import?provider=up";
        let job = self.ask(ask, "text/plain", text).await;
        self.ended(job).await
    }

    async fn in_use(&self) -> Vec<String> {
        use secrecy::ExposeSecret as _;
        let specs = key_specs(&self.store, &self.seal).await.unwrap();
        let keys = specs.get("up").into_iter().flat_map(|keys| keys.iter());
        keys.map(|key| key.secret.expose_secret().to_owned())
            .collect()
    }
}

fn admin(store: &Store, folder: &std::path::Path) -> (Admin, Arc<Sealer>) {
    let (_, store) = watch::channel(Some(store.clone()));
    let seal = Arc::new(Sealer::new(folder, None, None).unwrap());
    let admin = Admin::new(Parts {
        store,
        gateway: None,
        seal: Arc::clone(&seal),
        configured: arc_swap::ArcSwap::default(),
    });
    (admin, seal)
}

#[tokio::test]
async fn an_import_tells_what_was_added_what_was_there_and_what_is_no_key() {
    let bed = Bed::new().await;
    let mut text: String = (0..4500)
        .map(|number| format!("sk-canary-{number}"))
        .collect::<Vec<_>>()
        .join("\r\n");
    text.push_str("\r\n");
    text.push_str("sk-canary-7\n\n# a remark\nsk canary\nfile:/etc/canary\n${CANARY}\nsk-canary-é");
    let job = bed.import(&text).await;
    assert_eq!(job["state"], "done", "{job}");
    let outcome = &job["outcome"];
    assert_eq!(
        (&outcome["added"], &outcome["doubles"]),
        (&json!(4500), &json!(1))
    );
    assert_eq!(outcome["bad"], 4);
    let lines: Vec<u64> = outcome["bad_lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bad| bad["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [4504, 4505, 4506, 4507]);
    assert_eq!((&job["done"], &job["total"]), (&json!(4507), &json!(4507)));
    let again = bed.import(&text).await;
    assert_eq!(
        (&again["outcome"]["added"], &again["outcome"]["doubles"]),
        (&json!(0), &json!(4501))
    );
    let expect: Vec<String> = (0..4500)
        .map(|number| format!("sk-canary-{number}"))
        .collect();
    assert_eq!(bed.in_use().await, expect);

    let ask = "POST /api/v1/provider-keys/import?provider=up";
    let array = json!(["sk-canary-json", 7, "sk-canary-0", {"key": "sk-canary"}]);
    let job = bed.ended(bed.json(ask, array).await).await;
    let outcome = &job["outcome"];
    assert_eq!(
        (&outcome["added"], &outcome["doubles"], &outcome["bad"]),
        (&json!(1), &json!(1), &json!(2))
    );
    let job = bed
        .ended(
            bed.ask(ask, "application/json", "[\"sk-canary-x\", canary]")
                .await,
        )
        .await;
    assert_eq!(job["state"], "failed", "{job}");
    let (status, _) = bed
        .ask(
            "POST /api/v1/provider-keys/import?provider=other",
            "text/plain",
            "sk-canary",
        )
        .await;
    assert_eq!(status, 422);

    // Pages hold every key once.
    let (mut found, mut path) = (
        0,
        "GET /api/v1/provider-keys?provider=up&limit=1000".to_owned(),
    );
    loop {
        let (_, page) = bed.ask(&path, "", "").await;
        found += page["items"].as_array().unwrap().len();
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("GET /api/v1/provider-keys?provider=up&limit=1000&cursor={next}");
    }
    assert_eq!(found, 4501);

    // Nothing of it is in clear, in files or in the audit log.
    bed.store.close().await;
    for file in std::fs::read_dir(&bed.folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
}

#[tokio::test]
async fn one_key_is_added_changed_and_deleted() {
    let bed = Bed::new().await;
    let new = json!({"provider": "up", "key": "sk-canary-one1", "name": "first", "settings": {"weight": 3, "tags": ["eu"]}});
    let (status, key) = bed.json("POST /api/v1/provider-keys", new.clone()).await;
    assert_eq!(status, 201, "{key}");
    assert_eq!(
        (&key["key"], &key["settings"]["weight"]),
        (&json!("…one1"), &json!(3))
    );
    assert_eq!(bed.json("POST /api/v1/provider-keys", new).await.0, 409);
    for (wrong, field) in [
        (json!({"provider": "up", "key": "two canary"}), "/key"),
        (json!({"provider": "none", "key": "sk-canary"}), "/provider"),
        (
            json!({"provider": "up", "key": "sk-canary", "settings": {"concurrency": 0}}),
            "/settings",
        ),
    ] {
        let (status, problem) = bed.json("POST /api/v1/provider-keys", wrong).await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (422, &json!(field))
        );
    }
    let path = format!("/api/v1/provider-keys/{}", key["id"].as_str().unwrap());
    let specs = key_specs(&bed.store, &bed.seal).await.unwrap();
    assert_eq!(
        (specs["up"][0].weight, specs["up"][0].tags.clone()),
        (3, vec!["eu".to_owned()])
    );
    let (status, off) = bed
        .json(&format!("PATCH {path}"), json!({"enabled": false}))
        .await;
    assert_eq!((status, &off["enabled"]), (200, &json!(false)));
    assert!(bed.in_use().await.is_empty());
    assert_eq!(bed.ask(&format!("DELETE {path}"), "", "").await.0, 204);
    assert_eq!(bed.ask(&format!("GET {path}"), "", "").await.0, 404);
    bed.import("sk-canary-a\nsk-canary-b\nsk-canary-c").await;
    let which = json!({"provider": "up", "keys": ["sk-canary-b", "sk-canary-z"]});
    let (_, removed) = bed.json("POST /api/v1/provider-keys/remove", which).await;
    assert_eq!(removed["removed"], 1);
    assert_eq!(bed.in_use().await, ["sk-canary-a", "sk-canary-c"]);
    let filter = AuditFilter::default();
    let told = serde_json::to_string(&bed.store.audit_log(&filter).await.unwrap()).unwrap();
    assert!(
        told.contains("provider_key.create") && !told.contains("canary"),
        "{told}"
    );
}

#[tokio::test]
async fn an_exchange_of_the_master_key_that_broke_off_is_gone_on_with() {
    let mut bed = Bed::new().await;
    let text: String = (0..1200)
        .map(|number| format!("sk-canary-{number}"))
        .collect::<Vec<_>>()
        .join("\n");
    bed.import(&text).await;
    let before = bed.in_use().await;
    let old = bed.seal.key_id();
    // It is begun, and the process ends before anything is sealed anew.
    bed.seal.begin_rotation().unwrap();
    let (admin, seal) = admin(&bed.store, &bed.folder);
    (bed.admin, bed.seal) = (admin, seal);
    assert_ne!(bed.seal.key_id(), old);
    assert_eq!(bed.in_use().await, before);
    // Doubles are known by both keys.
    let job = bed.import("sk-canary-5\nsk-canary-new").await;
    assert_eq!(
        (&job["outcome"]["added"], &job["outcome"]["doubles"]),
        (&json!(1), &json!(1))
    );
    let job = bed
        .ask("POST /api/v1/system/rotate-master-key", "", "")
        .await;
    let job = bed.ended(job).await;
    assert_eq!(
        (&job["state"], &job["done"], &job["outcome"]["left"]),
        (&json!("done"), &json!(1200), &json!(0)),
        "{job}"
    );
    assert!(!bed.folder.join("master.key.previous").exists());
    assert_eq!(bed.store.count_sealed_with(&old).await.unwrap(), 0);
    let alone = Sealer::new(&bed.folder, None, None).unwrap();
    let specs = key_specs(&bed.store, &alone).await.unwrap();
    assert_eq!(specs["up"].len(), before.len() + 1);
    let job = bed.import("sk-canary-5").await;
    assert_eq!(job["outcome"]["doubles"], 1);
    // Another key opens nothing, and nobody is told anything else than that.
    let other = "0101010101010101010101010101010101010101010101010101010101010101";
    let other = Sealer::new(&bed.folder, Some(other), None).unwrap();
    assert!(key_specs(&bed.store, &other).await.unwrap().is_empty());
}
