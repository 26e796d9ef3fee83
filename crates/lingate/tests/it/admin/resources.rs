//! What holds for every resource that is made, read, listed, changed and deleted, on both databases.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::harness::{Client, Database, Harness, Reply};

/// A resource. In texts `{fresh}` is a name that nobody has, `{organization}` and `{project}` are ids, and `{code}` is a currency.
struct Resource {
    path: &'static str,
    /// The field that stands in its path.
    id: &'static str,
    new: &'static str,
    patch: &'static str,
    /// Bodies that make none, each with all fields that are wrong.
    wrong_new: &'static [(&'static str, &'static [&'static str])],
    wrong_patch: &'static [(&'static str, &'static [&'static str])],
    /// Makes what depends on it, by path and body, with `{id}`: it cannot be deleted before that.
    dependant: Option<(&'static str, &'static str)>,
    /// Lists are of this alone.
    filter: &'static str,
}

const RULES: &[(&str, &[&str])] = &[
    (r#"{"blocked":1}"#, &["/blocked"]),
    (r#"{"nmae":"x"}"#, &["/nmae"]),
    (r#"{"models":["a",2]}"#, &["/models/1"]),
    (
        r#"{"limits":[{"requests":-1,"per":"minute"}]}"#,
        &["/limits/0/requests"],
    ),
    (
        r#"{"limits":[{"requests":1,"per":"fortnight"}]}"#,
        &["/limits/0/per"],
    ),
    (r#"{"plan":"nowhere"}"#, &["/plan"]),
    (r#"{"name":null}"#, &["/name"]),
];

#[rustfmt::skip]
const RESOURCES: &[Resource] = &[
    Resource {
        path: "organizations", id: "id", filter: "",
        new: r#"{"name":"{fresh}"}"#,
        patch: r#"{"blocked":true}"#,
        wrong_new: &[
            (r"{}", &["/name"]),
            (r#"{"name":7}"#, &["/name"]),
            (r#"{"name":"a/b"}"#, &["/name"]),
            (r#"{"name":"{fresh}","nmae":1,"blocked":"yes"}"#, &["/nmae", "/blocked"]),
        ],
        wrong_patch: RULES,
        dependant: Some(("projects", r#"{"name":"{fresh}","organization":"{id}"}"#)),
    },
    Resource {
        path: "projects", id: "id", filter: "organization={organization}",
        new: r#"{"name":"{fresh}","organization":"{organization}"}"#,
        patch: r#"{"models":["gpt-*"]}"#,
        wrong_new: &[
            (r#"{"name":"{fresh}"}"#, &["/organization"]),
            (r#"{"name":"{fresh}","organization":"nowhere"}"#, &["/organization"]),
        ],
        wrong_patch: RULES,
        dependant: Some(("api-keys", r#"{"name":"{fresh}","project":"{id}"}"#)),
    },
    Resource {
        path: "users", id: "id", filter: "organization={organization}",
        new: r#"{"name":"{fresh}","organization":"{organization}"}"#,
        patch: r#"{"deny_models":["gpt-*"]}"#,
        wrong_new: &[(r#"{"name":"","organization":"{organization}"}"#, &["/name"])],
        wrong_patch: RULES,
        dependant: Some(("api-keys", r#"{"name":"{fresh}","project":"{project}","user":"{id}"}"#)),
    },
    Resource {
        path: "service-accounts", id: "id", filter: "organization={organization}",
        new: r#"{"name":"{fresh}","organization":"{organization}"}"#,
        patch: r#"{"blocked":true}"#,
        wrong_new: &[(r#"{"name":[],"organization":"{organization}"}"#, &["/name"])],
        wrong_patch: RULES,
        dependant: Some(("api-keys", r#"{"name":"{fresh}","project":"{project}","user":"{id}"}"#)),
    },
    Resource {
        path: "api-keys", id: "id", filter: "project={project}",
        new: r#"{"name":"{fresh}","project":"{project}"}"#,
        patch: r#"{"tags":["a"]}"#,
        wrong_new: &[
            (r#"{"name":"{fresh}"}"#, &["/project"]),
            (r#"{"name":"{fresh}","project":"{project}","kind":"root"}"#, &["/kind"]),
            (r#"{"name":"{fresh}","project":"{project}","addresses":["10.0.0.0/99"]}"#, &["/addresses/0"]),
            (r#"{"name":"{fresh}","project":"{project}","expires_at":"soon"}"#, &["/expires_at"]),
        ],
        wrong_patch: RULES,
        dependant: None,
    },
    Resource {
        path: "accounts", id: "id", filter: "",
        new: r#"{"name":"Ada","login":"{fresh}"}"#,
        patch: r#"{"name":"Ada L."}"#,
        wrong_new: &[
            (r#"{"name":"Ada"}"#, &["/email"]),
            (r#"{"login":"{fresh}"}"#, &["/name"]),
            (r#"{"name":"Ada","email":"nobody"}"#, &["/email"]),
        ],
        wrong_patch: &[(r#"{"name":1}"#, &["/name"]), (r#"{"role":"operator"}"#, &["/role"])],
        dependant: None,
    },
    Resource {
        path: "provider-keys", id: "id", filter: "provider=up-chat",
        new: r#"{"provider":"up-chat","key":"key-{fresh}"}"#,
        patch: r#"{"enabled":false}"#,
        wrong_new: &[
            (r#"{"key":"key-{fresh}"}"#, &["/provider"]),
            (r#"{"provider":"nowhere","key":"key-{fresh}"}"#, &["/provider"]),
            (r#"{"provider":"up-chat","key":""}"#, &["/key"]),
        ],
        wrong_patch: &[(r#"{"enabled":"no"}"#, &["/enabled"]), (r#"{"settings":{"weight":-1}}"#, &["/settings/weight"])],
        dependant: None,
    },
    Resource {
        path: "providers", id: "name", filter: "source=database",
        new: r#"{"name":"{fresh}","definition":{"base_url":"https://example.com/v1","dialects":["chat"]}}"#,
        patch: r#"{"definition":{"base_url":"https://example.com/v2"}}"#,
        wrong_new: &[
            (r#"{"definition":{}}"#, &["/name"]),
            (r#"{"name":"{fresh}","definition":{"base_url":"ftp://example.com","colour":1}}"#, &["/definition/base_url", "/definition/colour"]),
        ],
        wrong_patch: &[(r#"{"definition":{"dialects":["klingon"]}}"#, &["/definition/dialects/0"])],
        dependant: Some(("routes", r#"{"name":"{fresh}","definition":{"model":"{fresh}","targets":["{id}/m"]}}"#)),
    },
    Resource {
        path: "plans", id: "name", filter: "source=database",
        new: r#"{"name":"{fresh}","definition":{"multiplier":2}}"#,
        patch: r#"{"definition":{"multiplier":3}}"#,
        wrong_new: &[(r#"{"name":"{fresh}","definition":{"multiplier":-1}}"#, &["/definition/multiplier"])],
        wrong_patch: &[(r#"{"definition":{"multiplier":"much"}}"#, &["/definition/multiplier"])],
        dependant: Some(("organizations", r#"{"name":"{fresh}","plan":"{id}"}"#)),
    },
    Resource {
        path: "prices", id: "name", filter: "source=database",
        new: r#"{"definition":{"provider":"up-chat","model":"{fresh}","input":1,"output":2}}"#,
        patch: r#"{"definition":{"input":3}}"#,
        wrong_new: &[(r#"{"definition":{"provider":"up-chat","model":"{fresh}","input":-1}}"#, &["/definition/input"])],
        wrong_patch: &[(r#"{"definition":{"output":"dear"}}"#, &["/definition/output"])],
        dependant: None,
    },
    Resource {
        path: "currencies", id: "name", filter: "source=database",
        new: r#"{"name":"{code}","definition":1.25}"#,
        patch: r#"{"definition":1.5}"#,
        wrong_new: &[(r#"{"name":"{code}","definition":-1}"#, &["/definition"]), (r#"{"name":"gold","definition":1}"#, &["/name"])],
        wrong_patch: &[(r#"{"definition":0}"#, &["/definition"])],
        dependant: None,
    },
    Resource {
        path: "sign-in-providers", id: "name", filter: "",
        new: r#"{"name":"{fresh}","issuer":"https://{fresh}.example.com","client_id":"lingate"}"#,
        patch: r#"{"label":"Others"}"#,
        wrong_new: &[
            (r#"{"name":"{fresh}"}"#, &["/issuer", "/client_id"]),
            (r#"{"name":"A b","issuer":"http://id.example.com","client_id":"lingate"}"#, &["/name", "/issuer"]),
        ],
        wrong_patch: &[(r#"{"enabled":"no"}"#, &["/enabled"]), (r#"{"colour":1}"#, &["/colour"]), (r#"{"issuer":"https://other.example.com"}"#, &["/issuer"])],
        dependant: None,
    },
    Resource {
        path: "routes", id: "name", filter: "source=database",
        new: r#"{"name":"{fresh}","definition":{"model":"{fresh}","targets":["up-chat/m"]}}"#,
        patch: r#"{"definition":{"targets":["up-chat/n"]}}"#,
        wrong_new: &[
            (r#"{"name":"{fresh}","definition":{"targets":["up-chat/m"]}}"#, &["/definition"]),
            (r#"{"name":"{fresh}","definition":{"model":"m","targets":["nowhere/m"]}}"#, &["/definition/targets/0"]),
        ],
        wrong_patch: &[(r#"{"definition":{"strategy":"luck"}}"#, &["/definition/strategy"])],
        dependant: None,
    },
];

/// Whoever tries a resource, and what texts are filled with.
struct Trial<'h> {
    operator: Client<'h>,
    resource: &'static Resource,
    values: BTreeMap<&'static str, String>,
    fresh: usize,
}

impl Trial<'_> {
    fn fill(&mut self, text: &str) -> String {
        const CODES: &str = "EUR CNY GBP JPY CHF AUD CAD SEK NOK DKK NZD SGD HKD KRW INR MXN BRL ZAR TRY PLN THB IDR";
        self.fresh += 1;
        let code = CODES.split(' ').nth(self.fresh % 22).unwrap();
        let mut filled = text
            .replace("{fresh}", &format!("fresh-{}", self.fresh))
            .replace("{code}", code);
        for (name, value) in &self.values {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        filled
    }

    fn body(&mut self, text: &str) -> Value {
        serde_json::from_str(&self.fill(text)).unwrap()
    }

    fn path(&self) -> String {
        format!("/api/v1/{}", self.resource.path)
    }

    fn id(&self, reply: &Reply) -> String {
        let id = reply.body[self.resource.id].as_str();
        id.unwrap_or_else(|| panic!("{}: {}", reply.asked, reply.text))
            .to_owned()
    }

    fn of(&self, id: &str) -> String {
        format!("{}/{}", self.path(), id.replace('/', "%2F"))
    }

    async fn make(&mut self) -> String {
        let body = self.body(self.resource.new);
        let made = self.operator.post(&self.path(), &body).await;
        made.expect(201);
        assert!(!made.header("etag").is_empty(), "{}", made.asked);
        self.id(&made)
    }

    /// The ids of a page, and the cursor of the next one.
    async fn page(&mut self, cursor: Option<&str>) -> (Vec<String>, Option<String>) {
        let filter = self.fill(self.resource.filter);
        let cursor = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let path = format!("{}?limit=3&{filter}{cursor}", self.path());
        let reply = self.operator.get(path.trim_end_matches('&')).await;
        let page = reply.expect(200);
        let items = page["items"].as_array().unwrap();
        let ids = items
            .iter()
            .map(|item| item[self.resource.id].as_str().unwrap().to_owned());
        (ids.collect(), page["next"].as_str().map(str::to_owned))
    }

    async fn made_once(&mut self) {
        let body = self.body(self.resource.new);
        let key = format!("key of {}", self.resource.path).replace(' ', "-");
        let client = self.operator.with("idempotency-key", &key);
        let path = self.path();
        let all = (0..8).map(|_| client.post(&path, &body));
        let replies = futures_util::future::join_all(all).await;
        let mut ids = BTreeSet::new();
        for reply in &replies {
            if reply.status == 201 {
                ids.insert(self.id(reply));
            } else {
                reply.problem(409, "idempotency_key_in_use");
            }
        }
        assert_eq!(ids.len(), 1, "{replies:?}");
        let again = client.post(&path, &body).await;
        again.expect(201);
        assert!(ids.contains(&self.id(&again)));
        let other = self.body(self.resource.new);
        let reused = client.post(&path, &other).await;
        reused.problem(422, "idempotency_key_reused");
        self.gone(&self.id(&again)).await;
    }

    async fn gone(&self, id: &str) {
        let gone = self.operator.delete(&self.of(id)).await;
        assert_eq!(gone.status, 204, "{}: {}", gone.asked, gone.text);
        self.operator
            .get(&self.of(id))
            .await
            .problem(404, "not_found");
        let again = self.operator.delete(&self.of(id)).await;
        again.problem(404, "not_found");
    }

    async fn read_and_changed(&mut self) {
        let id = self.make().await;
        let of = self.of(&id);
        let first = self.operator.get(&of).await;
        first.expect(200);
        let narrow = self
            .operator
            .get(&format!("{of}?fields={}", self.resource.id))
            .await;
        assert_eq!(narrow.expect(200), &json!({self.resource.id: id}));
        let unknown = self.operator.get(&format!("{of}?colour=red")).await;
        unknown.problem(422, "invalid");
        let patch = self.body(self.resource.patch);
        let (etag, stale) = (first.header("etag"), "\"1234567\"");
        let refused = self
            .operator
            .with("if-match", stale)
            .patch(&of, &patch)
            .await;
        refused.problem(412, "stale");
        assert_eq!(self.operator.get(&of).await.text, first.text);
        let changed = self
            .operator
            .with("if-match", etag)
            .patch(&of, &patch)
            .await;
        changed.expect(200);
        assert_ne!(changed.header("etag"), etag, "{}", changed.asked);
        let again = self
            .operator
            .with("if-match", etag)
            .patch(&of, &patch)
            .await;
        again.problem(412, "stale");
        let seen = self.operator.get(&of).await;
        assert_eq!(seen.expect(200), &changed.body);
        assert_eq!(seen.header("etag"), changed.header("etag"));
        for (body, fields) in self.resource.wrong_patch {
            let body = self.body(body);
            let refused = self.operator.patch(&of, &body).await;
            wrong(&refused, fields);
        }
        assert_eq!(self.operator.get(&of).await.text, seen.text);
        let refused = self.operator.with("if-match", stale).delete(&of).await;
        refused.problem(412, "stale");
        if let Some((inner, body)) = self.resource.dependant {
            self.values.insert("id", id.clone());
            let body = self.body(body);
            let made = self.operator.post(&format!("/api/v1/{inner}"), &body).await;
            made.expect(201);
            let refused = self.operator.delete(&of).await;
            refused.problem(409, "in_use");
            let name = if inner == "routes" { "name" } else { "id" };
            let dependant = made.body[name].as_str().unwrap();
            let of_dependant = format!("/api/v1/{inner}/{dependant}");
            assert_eq!(self.operator.delete(&of_dependant).await.status, 204);
        }
        self.gone(&id).await;
    }

    async fn bad_input(&mut self) {
        let path = self.path();
        for (body, fields) in self.resource.wrong_new {
            let body = self.body(body);
            let refused = self.operator.post(&path, &body).await;
            wrong(&refused, fields);
        }
        let json = [("content-type", "application/json")];
        for broken in [&b"{"[..], b"[]", b"\xff", b""] {
            let refused = self.operator.raw("POST", &path, &json, broken).await;
            assert!(
                matches!(refused.status, 400 | 422),
                "{}: {}",
                refused.asked,
                refused.text
            );
        }
        let text = [("content-type", "text/plain")];
        let refused = self.operator.raw("POST", &path, &text, b"{}").await;
        assert_eq!(refused.status, 415, "{}: {}", refused.asked, refused.text);
        for query in ["limit=0", "limit=x", "cursor=x", "colour=red"] {
            let refused = self.operator.get(&format!("{path}?{query}")).await;
            assert!(
                matches!(refused.status, 400 | 422),
                "{}: {}",
                refused.asked,
                refused.text
            );
        }
    }

    /// What is there all the time is listed once, whatever comes and goes between pages.
    async fn listed_under_change(&mut self) {
        let mut stay = BTreeSet::new();
        let mut go = Vec::new();
        for at in 0..10 {
            let id = self.make().await;
            if at % 3 == 1 {
                go.push(id);
            } else {
                stay.insert(id);
            }
        }
        let mut came = Vec::new();
        let mut listed = Vec::new();
        let mut cursor = None;
        loop {
            let (ids, next) = self.page(cursor.as_deref()).await;
            assert!(ids.len() <= 3);
            listed.extend(ids);
            let Some(next) = next else { break };
            cursor = Some(next);
            if let Some(id) = go.pop() {
                self.gone(&id).await;
            }
            if came.len() < 3 {
                came.push(self.make().await);
            }
        }
        let distinct: BTreeSet<&String> = listed.iter().collect();
        assert_eq!(distinct.len(), listed.len(), "listed twice: {listed:?}");
        for id in &stay {
            assert!(distinct.contains(id), "{id} is not in {listed:?}");
        }
        for id in stay.iter().chain(&came).chain(&go) {
            self.gone(id).await;
        }
    }
}

/// A refusal names these fields, and no others.
fn wrong(reply: &Reply, fields: &[&str]) {
    let told: BTreeSet<String> = reply.wrong_fields().into_keys().collect();
    let wanted: BTreeSet<String> = fields.iter().map(|field| (*field).to_owned()).collect();
    assert_eq!(told, wanted, "{}: {}", reply.asked, reply.text);
}

async fn all(database: Database) {
    let harness = Harness::start(database, "").await;
    let operator = harness.operator();
    let organization = operator
        .post("/api/v1/organizations", &json!({"name": "acme"}))
        .await
        .id();
    let project = json!({"name": "web", "organization": organization});
    let project = operator.post("/api/v1/projects", &project).await.id();
    for resource in RESOURCES {
        let values = BTreeMap::from([
            ("organization", organization.clone()),
            ("project", project.clone()),
        ]);
        let mut trial = Trial {
            operator: harness.operator(),
            resource,
            values,
            fresh: 0,
        };
        trial.made_once().await;
        trial.read_and_changed().await;
        trial.bad_input().await;
        trial.listed_under_change().await;
    }
    let check = operator.get("/api/v1/audit-events/check").await;
    assert_eq!(check.expect(200)["holds"], json!(true), "{}", check.text);
}

#[tokio::test]
async fn every_resource_keeps_its_promises_on_sqlite() {
    all(Database::Sqlite).await;
}

#[tokio::test]
async fn every_resource_keeps_its_promises_on_postgresql() {
    all(Database::Postgres).await;
}
