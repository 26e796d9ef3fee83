//! Every endpoint, as every role, and as another tenant: what is allowed works, and nothing else; and no answer tells whether a foreign
//! thing exists.
//!
//! What an endpoint takes, and what a role may, is read from the document that the gateway serves, which it makes from its own tables.

mod cases;
mod things;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::harness::{Client, Database, Harness, Reply};
use super::people::{Person, Scope};
use cases::{CASES, Case, Where};
use things::{Place, Things};

/// What the tables say.
struct Tables {
    /// By endpoint: the permission, and the one that is enough for what is one's own.
    needs: BTreeMap<String, (Option<String>, Option<String>)>,
    roles: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Works,
    Forbidden,
    NotThere,
}

impl Tables {
    async fn read(operator: &Client<'_>) -> Self {
        let document = operator.get("/openapi.json").await;
        let document = document.expect(200);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut needs = BTreeMap::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let tags = operation["tags"].as_array().unwrap();
                if tags.contains(&json!("models")) {
                    continue;
                }
                needs.insert(
                    format!("{} {path}", method.to_uppercase()),
                    (
                        text(&operation["x-lingate-permission"]),
                        text(&operation["x-lingate-own-permission"]),
                    ),
                );
            }
        }
        let roles = document["x-lingate-roles"].as_object().unwrap().iter();
        let roles = roles.map(|(role, permissions)| {
            let permissions = permissions.as_array().unwrap().iter();
            (role.clone(), permissions.filter_map(text).collect())
        });
        Self {
            needs,
            roles: roles.collect(),
        }
    }

    fn may(&self, person: &Person<'_>, permission: Option<&String>) -> bool {
        permission.is_some_and(|permission| {
            let of_role = self.roles.get(person.role);
            let in_scopes = person
                .scopes
                .is_none_or(|scopes| scopes.contains(&&**permission));
            in_scopes && of_role.is_some_and(|role| role.contains(permission))
        })
    }

    fn expected(&self, case: &Case, person: &Person<'_>, place: &Place) -> Expected {
        let (permission, own) = &self.needs[&registered(case.endpoint)];
        let held = self.may(person, permission.as_ref());
        // Nothing in the matrix belongs to the user who asks, but what they make.
        let makes = case.endpoint == "POST /api/v1/api-keys";
        let own = self.may(person, own.as_ref());
        if !held && !own {
            return Expected::Forbidden;
        }
        let is_platform = person.scope == Scope::Platform;
        match case.place {
            Where::List => Expected::Works,
            Where::Platform if is_platform && held => Expected::Works,
            Where::Platform => Expected::Forbidden,
            Where::Organization | Where::Project => {
                let covers = match &person.scope {
                    Scope::Platform => true,
                    Scope::Organization(organization) => *organization == place.organization,
                    Scope::Project { id, .. } => {
                        case.place == Where::Project && *id == place.project
                    }
                };
                if place.exists && covers && (held || makes) {
                    Expected::Works
                } else {
                    Expected::NotThere
                }
            }
            Where::Myself | Where::Elsewhere(_) => unreachable!(),
        }
    }
}

/// The endpoint of a case as it is registered.
fn registered(endpoint: &str) -> String {
    let endpoint = endpoint.split('?').next().unwrap();
    for (of_case, of_table) in [
        ("codes/1", "codes/{place}"),
        ("providers/up-chat", "providers/{name}"),
        ("code-batches/{id}", "code-batches/{batch}"),
        ("audit-events/{id}", "audit-events/{number}"),
        ("oidc/{id}", "oidc/{name}"),
        ("key-pools/up-chat", "key-pools/{provider}"),
        ("keys/000000000000", "keys/{id}"),
        ("providers/{id}", "providers/{name}"),
        ("routes/{id}", "routes/{name}"),
        ("plans/{id}", "plans/{name}"),
        ("prices/{id}", "prices/{name}"),
        ("currencies/{id}", "currencies/{name}"),
    ] {
        if endpoint.contains(of_case) {
            return registered(&endpoint.replace(of_case, of_table));
        }
    }
    endpoint.to_owned()
}

async fn ask(client: &Client<'_>, case: &Case, values: &BTreeMap<&str, String>) -> Reply {
    let (method, path) = case.endpoint.split_once(' ').unwrap();
    let path = things::fill(path, values, true);
    let body = things::fill(case.body, values, false);
    let kind = match body.chars().next() {
        None => return client.ask(method, &path, &[], None).await,
        Some('{') => "application/json",
        Some(_) if path.contains("configuration") => "application/yaml",
        Some(_) => "text/plain",
    };
    client
        .raw(method, &path, &[("content-type", kind)], body.as_bytes())
        .await
}

/// An answer without what differs between any two, and without what was asked for.
fn plain(reply: &Reply, values: &BTreeMap<&str, String>) -> String {
    let mut body = reply.body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
        // The time that sums are of ends now.
        body.remove("from");
        body.remove("to");
    }
    let mut text = format!("{} {body}", reply.status);
    for (name, value) in values.iter().filter(|(_, value)| value.len() > 8) {
        text = text.replace(value, &format!("{{{name}}}"));
    }
    text
}

async fn people<'h>(harness: &'h Harness, mine: &Place, theirs: &Place) -> Vec<Person<'h>> {
    let project = |place: &Place| Scope::Project {
        organization: place.organization.clone(),
        id: place.project.clone(),
    };
    let organization = |place: &Place| Scope::Organization(place.organization.clone());
    let mut people = Vec::new();
    for (name, scope, role) in [
        ("platform-operator", Scope::Platform, "operator"),
        ("platform-viewer", Scope::Platform, "viewer"),
        ("platform-billing", Scope::Platform, "billing"),
        ("owner", organization(mine), "owner"),
        ("admin", organization(mine), "admin"),
        ("member", organization(mine), "member"),
        ("viewer", organization(mine), "viewer"),
        ("billing", organization(mine), "billing"),
        ("project-admin", project(mine), "admin"),
        ("project-member", project(mine), "member"),
        ("project-viewer", project(mine), "viewer"),
        ("their-owner", organization(theirs), "owner"),
    ] {
        people.push(harness.person(name, scope, role).await);
    }
    // Tokens of the operator that may less.
    let operator = people[0].session.clone().unwrap();
    for (scope, scopes) in [
        (Scope::Platform, Some(&READ_OR_REDEEM)),
        (organization(mine), None),
    ] {
        let mut wanted = json!({"name": format!("less by {scope:?}"), "scopes": scopes});
        if let Scope::Organization(id) = &scope {
            wanted["organization"] = json!(id);
        }
        people.push(Person {
            client: harness.token(&operator, &wanted).await,
            scope,
            role: "operator",
            scopes: scopes.map(<[&str; 4]>::as_slice),
            session: None,
        });
    }
    for (kind, role) in [
        ("management", "admin"),
        ("read_only", "viewer"),
        ("inference", "none"),
    ] {
        let key = harness.key(kind, &mine.organization, &mine.project, role);
        people.push(key.await);
    }
    people
}

/// What the token of less may.
const READ_OR_REDEEM: [&str; 4] = [
    "projects.read",
    "api_keys.write",
    "wallets.read",
    "codes.redeem",
];

async fn matrix(database: Database) {
    let harness = Harness::start(database, "").await;
    let operator = harness.operator();
    let tables = Tables::read(&operator).await;
    let asked: BTreeSet<String> = CASES.iter().map(|case| registered(case.endpoint)).collect();
    let known: BTreeSet<String> = tables.needs.keys().cloned().collect();
    let missing: Vec<&String> = known.difference(&asked).collect();
    assert!(missing.is_empty(), "endpoints without a case: {missing:?}");
    let gone: Vec<&String> = asked.difference(&known).collect();
    assert!(gone.is_empty(), "cases without an endpoint: {gone:?}");

    let things = Things::start(&harness).await;
    let people = people(&harness, &things.mine, &things.theirs).await;
    let mut faults = Vec::new();
    let mut answers = 0;
    for case in CASES {
        answers += match case.place {
            Where::Elsewhere(_) => continue,
            Where::Myself => own_account(case, &harness, &people, &mut faults).await,
            Where::List => lists(case, &harness, &things, &tables, &people, &mut faults).await,
            Where::Platform | Where::Organization | Where::Project => {
                one(case, &harness, &things, &tables, &people, &mut faults).await
            }
        };
    }
    answers += references(&things, &people, &mut faults).await;
    eprintln!(
        "{answers} answers to {} people on {database:?}",
        people.len()
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is to be there for some and not for others.
async fn one(
    case: &Case,
    harness: &Harness,
    things: &Things<'_>,
    tables: &Tables,
    people: &[Person<'_>],
    faults: &mut Vec<String>,
) -> usize {
    let mut answers = 0;
    let places = match case.place {
        Where::Platform => vec![&things.mine],
        Where::Project => vec![
            &things.mine,
            &things.sibling,
            &things.theirs,
            &things.missing,
        ],
        _ => vec![&things.mine, &things.theirs, &things.missing],
    };
    let reads = case.endpoint.starts_with("GET");
    let mut not_there: BTreeMap<usize, Vec<(&str, String)>> = BTreeMap::new();
    for place in places {
        let mut values = things.make(case.thing, place).await;
        let before = things.look(case.thing, &values).await;
        let nobody = ask(&harness.nobody(), case, &values).await;
        if nobody.status != 401 {
            faults.push(format!(
                "{} by nobody: {} {}",
                nobody.asked, nobody.status, nobody.text
            ));
        }
        answers += 1;
        let mut working = Vec::new();
        for (at, person) in people.iter().enumerate() {
            let expected = tables.expected(case, person, place);
            if expected == Expected::Works {
                working.push(person);
                continue;
            }
            let reply = ask(&person.client, case, &values).await;
            answers += 1;
            let right = match expected {
                // An organization of its own is foreign to whoever holds it in another one.
                Expected::Forbidden if case.thing == "empty organization" => {
                    matches!(reply.status, 403 | 404)
                }
                Expected::Forbidden => reply.status == 403 && reply.body["code"] == "forbidden",
                // Of a thing in the body it is said which field names it.
                _ => reply.status == 404 || reply.status == 422 && !case.body.is_empty(),
            };
            if !right {
                faults.push(format!(
                    "{} ({}) by {} of {:?}: {expected:?} expected, {} {}",
                    reply.asked, place.name, person.role, person.scope, reply.status, reply.text
                ));
            }
            if expected == Expected::NotThere {
                let told = (place.name, plain(&reply, &values));
                not_there.entry(at).or_default().push(told);
            }
        }
        let after = things.look(case.thing, &values).await;
        if place.exists && before != after {
            faults.push(format!(
                "{}: refused, and yet changed: {before} {after}",
                case.endpoint
            ));
        }
        for person in working {
            let reply = ask(&person.client, case, &values).await;
            answers += 1;
            if !(200..300).contains(&reply.status) && Some(reply.status) != case.stopped {
                faults.push(format!(
                    "{} ({}) by {} of {:?}: {} {}",
                    reply.asked, place.name, person.role, person.scope, reply.status, reply.text
                ));
            }
            if !reads {
                values = things.make(case.thing, place).await;
            }
        }
    }
    for (at, told) in not_there {
        let texts: BTreeSet<&String> = told.iter().map(|(_, text)| text).collect();
        if texts.len() > 1 {
            let person = &people[at];
            faults.push(format!(
                "{} tells {} of {:?} apart: {told:#?}",
                case.endpoint, person.role, person.scope
            ));
        }
    }
    answers
}

/// Lists hold nothing of others.
async fn lists(
    case: &Case,
    harness: &Harness,
    things: &Things<'_>,
    tables: &Tables,
    people: &[Person<'_>],
    faults: &mut Vec<String>,
) -> usize {
    let none = BTreeMap::new();
    let nobody = ask(&harness.nobody(), case, &none).await;
    if nobody.status != 401 {
        faults.push(format!("{} by nobody: {}", nobody.asked, nobody.text));
    }
    for person in people {
        let expected = tables.expected(case, person, &things.mine);
        let reply = ask(&person.client, case, &none).await;
        let wanted = if expected == Expected::Works {
            200
        } else {
            403
        };
        let who = format!("{} of {:?}", person.role, person.scope);
        if reply.status != wanted {
            faults.push(format!(
                "{} by {who}: {} {}",
                reply.asked, reply.status, reply.text
            ));
        }
        let hidden = match &person.scope {
            Scope::Platform => continue,
            Scope::Organization(organization) if *organization == things.theirs.organization => {
                things.marks(&[&things.mine, &things.sibling])
            }
            Scope::Organization(_) => things.marks(&[&things.theirs]),
            Scope::Project { .. } => things.marks(&[&things.theirs, &things.sibling]),
        };
        for mark in hidden {
            if reply.text.contains(&mark) {
                faults.push(format!(
                    "{} shows {who} a foreign {mark}: {}",
                    reply.asked, reply.text
                ));
            }
        }
        // Nor do they tell of others by what they say to filters.
        for (filter, foreign) in [
            ("organization", &things.theirs.organization),
            ("project", &things.theirs.project),
        ] {
            if matches!(&person.scope, Scope::Organization(organization) if *organization == things.theirs.organization)
            {
                continue;
            }
            let mut told = BTreeSet::new();
            for value in [foreign, &things.missing.organization] {
                let path = format!("{}?{filter}={value}", &case.endpoint[4..]);
                let reply = person.client.get(&path).await;
                told.insert(plain(&reply, &BTreeMap::from([("filter", value.clone())])));
            }
            if told.len() > 1 {
                faults.push(format!(
                    "{}?{filter}= tells {who} apart: {told:#?}",
                    case.endpoint
                ));
            }
        }
    }
    people.len() * 5
}

/// What is named in bodies and queries beside the thing that is asked for: a foreign one is as good as none.
const REFERENCES: [(&str, &str, &str); 12] = [
    (
        "POST /api/v1/api-keys",
        "user",
        r#"{"name":"{fresh}","project":"{project}","user":"{foreign}"}"#,
    ),
    (
        "POST /api/v1/api-keys",
        "service account",
        r#"{"name":"{fresh}","project":"{project}","user":"{foreign}"}"#,
    ),
    (
        "PATCH /api/v1/api-keys/{id}",
        "user",
        r#"{"user":"{foreign}"}"#,
    ),
    (
        "POST /api/v1/api-keys/bulk",
        "key",
        r#"{"block":["{foreign}"]}"#,
    ),
    (
        "POST /api/v1/api-keys/bulk",
        "key",
        r#"{"delete":["{foreign}"]}"#,
    ),
    (
        "POST /api/v1/api-keys/bulk",
        "project",
        r#"{"create":[{"name":"{fresh}","project":"{foreign}"}]}"#,
    ),
    (
        "POST /api/v1/memberships",
        "account",
        r#"{"account":"{foreign}","scope":"organization","organization":"{organization}","role":"viewer"}"#,
    ),
    ("GET /api/v1/usage?user={foreign}", "user", ""),
    ("GET /api/v1/usage?key={foreign}", "key", ""),
    ("GET /api/v1/requests?key={foreign}", "key", ""),
    ("GET /api/v1/memberships?account={foreign}", "account", ""),
    ("GET /api/v1/audit-events?object={foreign}", "key", ""),
];

async fn references(things: &Things<'_>, people: &[Person<'_>], faults: &mut Vec<String>) -> usize {
    let mut answers = 0;
    let of_mine = |person: &&Person<'_>| matches!(&person.scope, Scope::Organization(id) if *id == things.mine.organization);
    for (endpoint, thing, body) in REFERENCES {
        let case = Case {
            endpoint,
            place: Where::Organization,
            thing,
            body,
            stopped: None,
        };
        let foreign = things.make(thing, &things.theirs).await;
        let before = things.look(thing, &foreign).await;
        let missing = uuid::Uuid::now_v7().to_string();
        for person in people.iter().filter(of_mine) {
            let mut told = BTreeSet::new();
            for id in [&foreign["id"], &missing] {
                let mut values = things.make("key", &things.mine).await;
                values.insert("foreign", id.clone());
                let reply = ask(&person.client, &case, &values).await;
                answers += 1;
                let made = reply.text.contains(r#""secret""#);
                if made || !endpoint.contains("bulk") && !body.is_empty() && reply.status < 400 {
                    faults.push(format!(
                        "{} by {}: {}",
                        reply.asked, person.role, reply.text
                    ));
                }
                told.insert(plain(&reply, &values));
            }
            if told.len() > 1 {
                faults.push(format!(
                    "{endpoint} {body} tells {} apart: {told:#?}",
                    person.role
                ));
            }
        }
        let after = things.look(thing, &foreign).await;
        if before != after {
            faults.push(format!("{endpoint} {body} changes {before} to {after}"));
        }
    }
    answers
}

/// What everybody who is signed in has, of theirs alone.
async fn own_account(
    case: &Case,
    harness: &Harness,
    people: &[Person<'_>],
    faults: &mut Vec<String>,
) -> usize {
    // Tokens make no tokens, and keys have no account.
    let people: Vec<_> = people
        .iter()
        .filter_map(|person| Some((person, person.session.as_ref()?)))
        .collect();
    for (at, (person, client)) in people.iter().enumerate() {
        let other = people[(at + 1) % people.len()].1;
        let mut values = BTreeMap::from([("fresh", format!("name {at}"))]);
        let (theirs, missing) = match case.thing {
            "" => {
                let reply = ask(client, case, &values).await;
                if !(200..300).contains(&reply.status) {
                    faults.push(format!(
                        "{} by {}: {}",
                        reply.asked, person.role, reply.text
                    ));
                }
                continue;
            }
            thing => {
                let path = if thing == "token" {
                    "/api/v1/tokens"
                } else {
                    "/api/v1/me/sessions"
                };
                let listed = other.get(path).await;
                let id = listed.expect(200)["items"][0]["id"].as_str().unwrap();
                (id.to_owned(), uuid::Uuid::now_v7().to_string())
            }
        };
        let mut told = BTreeSet::new();
        for id in [theirs, missing] {
            values.insert("id", id);
            let reply = ask(client, case, &values).await;
            if reply.status != 404 {
                faults.push(format!(
                    "{} by another: {} {}",
                    reply.asked, reply.status, reply.text
                ));
            }
            told.insert(plain(&reply, &values));
        }
        if told.len() > 1 {
            faults.push(format!("{} tells apart: {told:?}", case.endpoint));
        }
    }
    let nobody = ask(&harness.nobody(), case, &BTreeMap::new()).await;
    if nobody.status != 401 {
        faults.push(format!("{} by nobody: {}", nobody.asked, nobody.text));
    }
    people.len()
}

#[tokio::test]
async fn every_role_gets_what_is_allowed_and_nobody_learns_of_others_on_sqlite() {
    matrix(Database::Sqlite).await;
}

#[tokio::test]
async fn every_role_gets_what_is_allowed_and_nobody_learns_of_others_on_postgresql() {
    matrix(Database::Postgres).await;
}
