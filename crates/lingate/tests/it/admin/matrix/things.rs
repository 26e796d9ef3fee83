//! Things of two tenants, made by the operator as the matrix needs them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::cases;
use crate::admin::harness::{Client, Harness, MANAGEMENT};
use crate::world::PATIENCE;

/// An organization with a project.
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) organization: String,
    pub(super) project: String,
    pub(super) exists: bool,
}

pub(super) struct Things<'h> {
    harness: &'h Harness,
    operator: Client<'h>,
    pub(super) mine: Place,
    /// Another project of the same organization.
    pub(super) sibling: Place,
    pub(super) theirs: Place,
    /// Ids that nothing has.
    pub(super) missing: Place,
    fresh: Cell<usize>,
    codes: Cell<usize>,
    months: Cell<usize>,
    /// What there is in each place, by its name: ids.
    made: RefCell<BTreeMap<&'static str, Vec<String>>>,
    /// One of each place is enough, since asking for them changes nothing: wallets, requests.
    kept: RefCell<BTreeMap<(String, &'static str), String>>,
}

/// Puts values where a text names them; `path`: as a part of a URL.
pub(super) fn fill(text: &str, values: &BTreeMap<&str, String>, path: bool) -> String {
    let mut filled = text.to_owned();
    for (name, value) in values {
        let value = if path {
            value.replace('/', "%2F")
        } else {
            value.clone()
        };
        filled = filled.replace(&format!("{{{name}}}"), &value);
    }
    filled
}

impl<'h> Things<'h> {
    pub(super) async fn start(harness: &'h Harness) -> Self {
        let operator = harness.bearer(MANAGEMENT);
        let organization = async |name: &str| {
            let body = json!({"name": name});
            operator.post("/api/v1/organizations", &body).await.id()
        };
        let project = async |organization: &str, name: &str| {
            let body = json!({"name": name, "organization": organization});
            operator.post("/api/v1/projects", &body).await.id()
        };
        let (mine, theirs) = (organization("mine").await, organization("theirs").await);
        let place = |name, organization: &str, project, exists| Place {
            name,
            organization: organization.to_owned(),
            project,
            exists,
        };
        let things = Self {
            harness,
            mine: place("mine", &mine, project(&mine, "web").await, true),
            sibling: place("sibling", &mine, project(&mine, "other-web").await, true),
            theirs: place("theirs", &theirs, project(&theirs, "their-web").await, true),
            missing: place(
                "missing",
                &Uuid::now_v7().to_string(),
                Uuid::now_v7().to_string(),
                false,
            ),
            operator,
            fresh: Cell::new(0),
            codes: Cell::new(0),
            months: Cell::new(0),
            made: RefCell::default(),
            kept: RefCell::default(),
        };
        // Of everything there is something in every place, for lists. Requests come first: a wallet refuses what has no price.
        for thing in [
            "request",
            "project",
            "user",
            "service account",
            "key",
            "membership",
            "invitation",
            "wallet",
            "invoice",
        ] {
            for place in [&things.mine, &things.sibling, &things.theirs] {
                things.make(thing, place).await;
            }
        }
        things
    }

    fn fresh(&self) -> String {
        self.fresh.set(self.fresh.get() + 1);
        format!("fresh-{}", self.fresh.get())
    }

    /// A currency that is not there yet.
    fn code(&self) -> String {
        const CODES: &str = "EUR CNY GBP JPY CHF AUD CAD SEK NOK DKK NZD SGD HKD KRW INR";
        let at = self.codes.get();
        self.codes.set(at + 1);
        CODES.split(' ').nth(at).unwrap().to_owned()
    }

    /// Ids of what there is in these places, and that nobody else may see.
    pub(super) fn marks(&self, places: &[&Place]) -> Vec<String> {
        let made = self.made.borrow();
        let mut marks = Vec::new();
        for place in places {
            marks.push(place.project.clone());
            if place.name == "theirs" {
                marks.push(place.organization.clone());
            }
            let of_place = made.get(place.name).into_iter().flatten();
            marks.extend(of_place.filter(|id| id.len() == 36).cloned());
        }
        marks.retain(|mark| *mark != self.mine.organization);
        marks
    }

    /// Makes a thing; what stands for it in paths and bodies.
    pub(super) async fn make(
        &self,
        thing: &'static str,
        place: &Place,
    ) -> BTreeMap<&'static str, String> {
        let fresh = self.fresh();
        let mut values = BTreeMap::from([
            ("organization", place.organization.clone()),
            ("project", place.project.clone()),
            ("id", Uuid::now_v7().to_string()),
            ("fresh", fresh),
        ]);
        if thing == "currencies" || thing == "currency" {
            values.insert("code", self.code());
        }
        if !place.exists {
            match thing {
                "organization" => {
                    values.insert("id", place.organization.clone());
                }
                "audit event" => {
                    values.insert("id", "123456789".to_owned());
                }
                // What is in the body is there: it is the place that is not.
                "code" | "account of the organization" => {
                    let id = self.id(thing, &self.mine, &values).await;
                    values.insert("id", id);
                }
                _ => {}
            }
            return values;
        }
        let id = self.id(thing, place, &values).await;
        // Of the organization, not of a project: whoever is in a sibling may see it.
        let shared = matches!(
            thing,
            "user"
                | "service account"
                | "membership"
                | "invitation"
                | "account of the organization"
        );
        if !(shared && place.name == "sibling") {
            self.made
                .borrow_mut()
                .entry(place.name)
                .or_default()
                .push(id.clone());
        }
        values.insert("id", id);
        values
    }

    async fn id(
        &self,
        thing: &'static str,
        place: &Place,
        values: &BTreeMap<&'static str, String>,
    ) -> String {
        let Place {
            organization,
            project,
            ..
        } = place;
        let name = &values["fresh"];
        let kept = (format!("{} {thing}", place.name), thing);
        if let Some(id) = self.kept.borrow().get(&kept) {
            return id.clone();
        }
        let post = async |path: &str, body: Value| {
            let made = self.operator.post(path, &body).await;
            assert!((200..300).contains(&made.status), "{thing}: {}", made.text);
            made.body
        };
        let id = |body: Value| body["id"].as_str().unwrap().to_owned();
        match thing {
            "" | "currency" => Uuid::now_v7().to_string(),
            "organization" => organization.clone(),
            "project" => project.clone(),
            "empty organization" => {
                id(post("/api/v1/organizations", json!({"name": name})).await)
            }
            "empty project" => id(post(
                "/api/v1/projects",
                json!({"name": name, "organization": organization}),
            )
            .await),
            "user" | "service account" => {
                let path = format!("/api/v1/{}s", thing.replace(' ', "-"));
                id(post(&path, json!({"name": name, "organization": organization})).await)
            }
            "key" => id(post(
                "/api/v1/api-keys",
                json!({"name": name, "project": project}),
            )
            .await),
            "account" => id(post("/api/v1/accounts", json!({"name": name, "login": name})).await),
            "account of the organization" => {
                // Whom the organization knows already: by a role in one of its projects.
                let account =
                    id(post("/api/v1/accounts", json!({"name": name, "login": name})).await);
                post(
                    "/api/v1/memberships",
                    json!({"account": account, "scope": "project", "project": project, "role": "viewer"}),
                )
                .await;
                account
            }
            "membership" => {
                let account =
                    id(post("/api/v1/accounts", json!({"name": name, "login": name})).await);
                id(post(
                    "/api/v1/memberships",
                    json!({"account": account, "scope": "organization", "organization": organization, "role": "viewer"}),
                )
                .await)
            }
            "invitation" => id(post(
                "/api/v1/invitations",
                json!({"email": format!("{name}@example.com"), "scope": "organization", "organization": organization, "role": "viewer"}),
            )
            .await),
            "request" => {
                let request = self.request(place, name).await;
                self.kept.borrow_mut().insert(kept, request.clone());
                request
            }
            "wallet" => {
                post("/api/v1/wallets", json!({"organization": organization})).await;
                self.kept.borrow_mut().insert(kept, organization.clone());
                organization.clone()
            }
            "top-up" => {
                self.wallet(organization).await;
                let path = format!("/api/v1/wallets/{organization}/top-ups");
                let topped = post(&path, json!({"amount": "5"})).await;
                topped["id"].as_str().unwrap().to_owned()
            }
            "invoice" => {
                let month = self.months.get();
                self.months.set(month + 1);
                let month = format!("{}-{:02}", 1970 + month / 12, month % 12 + 1);
                id(post(
                    "/api/v1/invoices",
                    json!({"organization": organization, "month": month}),
                )
                .await)
            }
            "code batch" => {
                id(post("/api/v1/code-batches", json!({"count": 2, "value": "1"})).await)
            }
            "code" => {
                let batch = post("/api/v1/code-batches", json!({"count": 1, "value": "1"})).await;
                batch["codes"][0].as_str().unwrap().to_owned()
            }
            "audit event" => {
                let path = format!(
                    "/api/v1/audit-events?organization={organization}&action=organization.create"
                );
                let listed = self.operator.get(&path).await;
                let number = &listed.expect(200)["items"][0]["number"];
                number
                    .as_str()
                    .map_or_else(|| number.to_string(), str::to_owned)
            }
            "provider key" => id(post(
                "/api/v1/provider-keys",
                json!({"provider": "up-chat", "key": format!("key-of-{name}")}),
            )
            .await),
            "job" => {
                let imported = self
                    .operator
                    .raw(
                        "POST",
                        "/api/v1/provider-keys/import?provider=up-chat",
                        &[("content-type", "text/plain")],
                        format!("key-of-{name}\n").as_bytes(),
                    )
                    .await;
                imported.expect(202)["id"].as_str().unwrap().to_owned()
            }
            kind => {
                let body = cases::document(kind).unwrap_or_else(|| panic!("{kind}?"));
                let body: Value = serde_json::from_str(&fill(body, values, false)).unwrap();
                let made = post(&format!("/api/v1/{kind}"), body).await;
                made["name"].as_str().unwrap().to_owned()
            }
        }
    }

    /// Opens a wallet, unless there is one.
    async fn wallet(&self, organization: &str) {
        let body = json!({"organization": organization});
        let opened = self.operator.post("/api/v1/wallets", &body).await;
        assert!(opened.status < 300, "{}", opened.text);
    }

    /// Asks a model with a new key of the project, and waits for its record.
    async fn request(&self, place: &Place, name: &str) -> String {
        let made = self
            .operator
            .post(
                "/api/v1/api-keys",
                &json!({"name": name, "project": place.project}),
            )
            .await;
        let made = made.expect(201);
        let caller = self.harness.bearer(made["secret"].as_str().unwrap());
        let question =
            json!({"model": "up-chat/m", "messages": [{"role": "user", "content": "Hi"}]});
        let started = std::time::Instant::now();
        loop {
            let asked = caller.post("/v1/chat/completions", &question).await;
            if asked.status == 200 {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{}", asked.text);
        }
        let path = format!("/api/v1/requests?project={}", place.project);
        loop {
            let listed = self.operator.get(&path).await;
            if let Some(id) = listed.expect(200)["items"][0]["id"].as_str() {
                return id.to_owned();
            }
            assert!(started.elapsed() < PATIENCE, "{}", listed.text);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// What the operator sees of a thing; empty where there is nothing to see.
    pub(super) async fn look(&self, thing: &str, values: &BTreeMap<&str, String>) -> String {
        let path = match thing {
            "organization" | "empty organization" => "organizations",
            "project" | "empty project" => "projects",
            "user" => "users",
            "service account" => "service-accounts",
            "key" => "api-keys",
            "account" => "accounts",
            "membership" => "memberships",
            "invoice" => "invoices",
            "code batch" => "code-batches",
            "provider key" => "provider-keys",
            "wallet" => "wallets",
            kind if cases::document(kind).is_some() => kind,
            _ => return String::new(),
        };
        let id = values["id"].replace('/', "%2F");
        self.operator
            .get(&format!("/api/v1/{path}/{id}"))
            .await
            .text
    }
}
