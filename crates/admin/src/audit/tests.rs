//! The audit log through its endpoints, as an operator and as somebody of one organization sees it.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use lingate_metering::tenant::{Organization, Project, Rules};
use lingate_seal::Sealer;
use lingate_store::{Act, ActorKind, AuditNote, Deed, Kind, Store, new_id};
use serde_json::Value;
use tokio::sync::watch;

use crate::access::{Actor, Allowed, Grant, Permission, Role, Scope};
use crate::{Admin, Parts};

struct Bed {
    admin: Admin,
    store: Store,
    folder: PathBuf,
    acme: Organization,
    other: Organization,
    web: Project,
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Bed {
    /// Events 1 to 4: two organizations, one of a name that spreadsheets would compute, a project, and a refused sign-in.
    async fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("lingate-audit-{}-{name}", std::process::id()));
        let store = Store::open(&"sqlite".parse().unwrap(), &folder)
            .await
            .unwrap();
        let organization = |name: &str| Organization {
            id: new_id(),
            name: name.to_owned(),
            rules: Rules::default(),
        };
        let acme = organization("acme");
        let other = organization("=HYPERLINK(\"evil.test\")");
        let web = Project {
            id: new_id(),
            organization: acme.id,
            name: "web".into(),
            rules: Rules::default(),
        };
        store.create(&acme).await.unwrap();
        store.create(&other).await.unwrap();
        store.create(&web).await.unwrap();
        let refused = AuditNote {
            outcome: lingate_store::AuditOutcome::Refused,
            ..AuditNote::of(Deed::SignIn, Kind::Session, &"", "ada")
        };
        store.audit(refused).await.unwrap();
        let (_, receiver) = watch::channel(Some(store.clone()));
        let admin = Admin::new(Parts {
            store: receiver,
            gateway: None,
            seal: Arc::new(Sealer::new(&folder, None, None).unwrap()),
            configured: ArcSwap::default(),
        });
        Self {
            admin,
            store,
            folder,
            acme,
            other,
            web,
        }
    }

    async fn text(&self, path: &str) -> (u16, String) {
        let request = Request::get(format!("/api/v1/audit-events{path}"));
        let request = request.body(Bytes::new()).unwrap();
        let response = self.admin.call(request, "ada").await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.text(path).await;
        (status, serde_json::from_str(&text).unwrap())
    }
}

fn somebody(role: Role, scope: Scope) -> Allowed {
    Allowed {
        actor: Actor {
            act: Act {
                kind: ActorKind::Account,
                id: new_id().to_string(),
                name: "grace".into(),
                address: None,
                request_id: None,
            },
            account: None,
            session: None,
            grants: vec![Grant { scope, role }],
            scopes: None,
            users: Vec::new(),
        },
        permission: Permission::AuditRead,
        own: None,
    }
}

fn numbers(page: &Value) -> Vec<i64> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["number"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn events_are_listed_by_page_and_found_by_what_is_known_of_them() {
    let bed = Bed::new("list").await;
    let (_, first) = bed.json("?limit=3").await;
    assert_eq!(numbers(&first), [4, 3, 2]);
    // What is added in between does not move what comes.
    bed.store
        .audit(AuditNote::of(Deed::Export, Kind::Invoice, &"", ""))
        .await
        .unwrap();
    let next = first["next"].as_str().unwrap();
    let (_, second) = bed.json(&format!("?limit=3&cursor={next}")).await;
    assert_eq!(numbers(&second), [1]);
    assert!(second.get("next").is_none());
    let acme = bed.acme.id;
    for (query, expect) in [
        (format!("?organization={acme}"), vec![3, 1]),
        (format!("?project={}", bed.web.id), vec![3]),
        (format!("?object={acme}"), vec![1]),
        ("?object=web&actor=lingate".to_owned(), vec![3]),
        ("?action=organization".to_owned(), vec![2, 1]),
        (
            "?action=session.sign_in&outcome=refused".to_owned(),
            vec![4],
        ),
        ("?until=2001-01-01T00:00:00Z".to_owned(), vec![]),
        ("?since=2001-01-01T00:00:00Z&limit=1".to_owned(), vec![5]),
        (format!("?organization={}", new_id()), vec![]),
    ] {
        let (status, page) = bed.json(&query).await;
        assert_eq!(status, 200, "{query}: {page}");
        assert_eq!(numbers(&page), expect, "{query}");
    }
    for (query, field) in [
        ("?organization=acme", "organization"),
        ("?since=yesterday", "since"),
        ("?outcome=maybe", "outcome"),
        ("?limit=0", "limit"),
        ("?cursor=x", "cursor"),
        ("/export?format=xml", "format"),
        ("/check?number=3", "hash"),
        ("/check?hash=3", "number"),
    ] {
        let (status, problem) = bed.json(query).await;
        assert_eq!(status, 422, "{query}: {problem}");
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
    let (status, event) = bed.json("/1").await;
    assert_eq!(status, 200);
    assert_eq!(event["action"], "organization.create");
    assert_eq!(event["after"]["name"], "acme");
    for none in ["/0", "/99", "/x", "/99999999999999999999"] {
        assert_eq!(bed.json(none).await.0, 404, "{none}");
    }
}

#[tokio::test]
async fn an_export_is_whole_and_is_no_formula_and_is_an_event() {
    let bed = Bed::new("export").await;
    let (_, lines) = bed.text("/export").await;
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["action"], "audit_event.export");
    assert_eq!(lines[0]["actor"]["name"], "ada");
    // More than a piece.
    for number in 0..1200 {
        let note = AuditNote::of(Deed::Redeem, Kind::Code, &number, "code");
        bed.store.audit(note).await.unwrap();
    }
    let (_, sheet) = bed.text("/export?format=csv").await;
    let rows: Vec<&str> = sheet.lines().collect();
    assert_eq!(rows.len(), 1 + 5 + 1200 + 1);
    assert!(rows[0].starts_with("number,at,actor_kind,"), "{}", rows[0]);
    assert!(rows[1].starts_with("1206,"), "{}", rows[1]);
    assert!(rows.last().unwrap().starts_with("1,"));
    assert!(sheet.contains("\"'=HYPERLINK(\"\"evil.test\"\")\""));
    assert!(!sheet.contains(",=HYPERLINK") && !sheet.contains(",\"=HYPERLINK"));
    let (_, found) = bed.text("/export?object=web").await;
    assert_eq!(found.lines().count(), 1);
}

#[tokio::test]
async fn the_check_says_whether_the_log_is_as_it_was_written_and_noted() {
    let bed = Bed::new("check").await;
    let (_, checked) = bed.json("/check").await;
    assert_eq!(checked["holds"], true, "{checked}");
    assert_eq!(checked["events"], 4);
    let hash = checked["hash"].as_str().unwrap();
    let (_, event) = bed.json("/2").await;
    let second = event["hash"].as_str().unwrap();
    for (query, holds) in [
        (format!("?number=4&hash={hash}"), true),
        (format!("?number=2&hash={second}"), true),
        (format!("?number=2&hash={hash}"), false),
        (format!("?number=5&hash={hash}"), false),
    ] {
        let (status, checked) = bed.json(&format!("/check{query}")).await;
        assert_eq!(status, 200);
        assert_eq!(checked["holds"], holds, "{query}: {checked}");
    }
}

#[tokio::test]
async fn somebody_of_an_organization_sees_what_was_done_there_and_cannot_tell_what_else_there_is() {
    let bed = Bed::new("reach").await;
    let state = || State(bed.admin.clone());
    let organization = Scope::Organization(bed.acme.id);
    let project = Scope::Project {
        organization: bed.acme.id,
        project: bed.web.id,
    };
    for (role, scope, sees) in [
        (Role::Operator, Scope::Platform, vec![4, 3, 2, 1]),
        (Role::Owner, organization, vec![3, 1]),
        (Role::Admin, organization, vec![3, 1]),
        (Role::Viewer, organization, vec![3, 1]),
        (Role::Admin, project, vec![3]),
        (Role::Member, organization, vec![]),
        (Role::Billing, organization, vec![]),
        (Role::Owner, Scope::Organization(bed.other.id), vec![2]),
    ] {
        let allowed = somebody(role, scope);
        let asked = || Query(super::asked::Asked::default());
        let page = super::list::list(state(), allowed.clone(), Query::default(), asked())
            .await
            .unwrap();
        let page = serde_json::to_value(page.0).unwrap();
        assert_eq!(numbers(&page), sees, "{role:?} {scope:?}");
        for number in 0..6 {
            let found = super::get::get(state(), allowed.clone(), Path(number.to_string())).await;
            match found {
                Ok(_) => assert!(sees.contains(&number), "{role:?} {scope:?} {number}"),
                Err(problem) => {
                    assert!(!sees.contains(&number), "{role:?} {scope:?} {number}");
                    assert_eq!(problem.detail, "there is no such audit event");
                }
            }
        }
        let checked = super::check::check(state(), allowed, Query::default()).await;
        assert_eq!(
            checked.is_ok(),
            scope == Scope::Platform,
            "{role:?} {scope:?}"
        );
    }
    // An export holds as much, and is told to the organization that it is of.
    let owner = somebody(Role::Owner, organization);
    let response = super::export::export(
        state(),
        owner,
        Query::default(),
        Query(super::asked::Asked::default()),
    )
    .await
    .unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let exported: Vec<i64> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["number"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert_eq!(exported, [5, 3, 1]);
}
