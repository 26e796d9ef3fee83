//! Who sees and changes what: members, admins, owners, and those of other organizations.

use axum::Json;
use http::StatusCode;
use lingate_metering::Id;
use lingate_metering::tenant::Declared;
use lingate_store::{Act, ActorKind};
use serde_json::{Value, json};

use super::tests::Bed;
use super::{Resource, Wanted};
use crate::access::{Actor, Allowed, Grant, Permission, Role, Scope};
use crate::api_keys::ApiKeys;
use crate::frame::{IfMatch, Listing};
use crate::organizations::Organizations;
use crate::problem::Problem;
use crate::projects::Projects;
use crate::tenants;
use crate::users::Persons;

/// Two organizations, each with a project, a person and a key.
struct World {
    bed: Bed,
    acme: Id,
    web: Id,
    alice: Id,
    other: Id,
}

impl World {
    async fn new() -> Self {
        let bed = Bed::new(Declared::default()).await;
        let mut ids = Vec::new();
        for organization in ["acme", "other"] {
            for (path, new) in [
                ("organizations", json!({"name": organization})),
                (
                    "projects",
                    json!({"name": "web", "organization": organization}),
                ),
                (
                    "users",
                    json!({"name": "alice", "organization": organization}),
                ),
                (
                    "api-keys",
                    json!({"name": "alices", "project": format!("{organization}/web"), "user": "alice"}),
                ),
                (
                    "api-keys",
                    json!({"name": "nobodys", "project": format!("{organization}/web")}),
                ),
            ] {
                let made = bed.get(&format!("POST /api/v1/{path}"), new).await;
                ids.push(made.body["id"].as_str().unwrap().parse().unwrap());
            }
        }
        Self {
            bed,
            acme: ids[0],
            web: ids[1],
            alice: ids[2],
            other: ids[5],
        }
    }

    fn who(
        &self,
        role: Role,
        scope: Scope,
        permission: Permission,
        own: Option<Permission>,
    ) -> Allowed {
        let actor = Actor {
            act: Act {
                kind: ActorKind::Account,
                id: String::new(),
                name: "somebody".into(),
                address: None,
                request_id: None,
            },
            account: None,
            session: None,
            grants: vec![Grant { scope, role }],
            scopes: None,
            users: vec![self.alice],
        };
        Allowed {
            actor,
            permission,
            own,
        }
    }

    fn keys(&self, role: Role, permission: Permission) -> Allowed {
        let scope = Scope::Organization(self.acme);
        self.who(role, scope, permission, Some(Permission::OwnApiKeysWrite))
    }

    async fn patch<R: Resource>(&self, allowed: &Allowed, name: &str, patch: Value) -> u16 {
        let patched = tenants::update::<R>(&self.bed.admin, allowed, name, IfMatch(None), &patch);
        status(patched.await)
    }

    async fn listed<R: Resource>(&self, allowed: &Allowed) -> Vec<String> {
        let Json(page) = tenants::list::<R>(
            &self.bed.admin,
            allowed,
            &Listing::default(),
            Wanted::default(),
        )
        .await
        .unwrap();
        let told = serde_json::to_value(page.items).unwrap();
        let items = told.as_array().unwrap().iter();
        let names = items.map(|one| one.get("path").unwrap_or(&one["name"]).clone());
        let mut names: Vec<String> = names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// What reading a new key, and whether it may be made, comes to.
    async fn new_key(&self, allowed: &Allowed, new: Value) -> Result<Option<Id>, u16> {
        let known = tenants::Known::of(&self.bed.admin, allowed).unwrap();
        let prepared = tenants::prepare::<ApiKeys>(&known, allowed, new).await;
        prepared
            .map(|(key, _)| key.user)
            .map_err(|problem| problem.status().as_u16())
    }
}

fn status<T>(answer: Result<T, Problem>) -> u16 {
    answer.map_or_else(
        |problem| problem.status().as_u16(),
        |_| StatusCode::OK.as_u16(),
    )
}

#[tokio::test]
async fn a_member_has_to_do_with_own_keys_alone() {
    let world = World::new().await;
    let reads = world.keys(Role::Member, Permission::ApiKeysRead);
    assert_eq!(world.listed::<ApiKeys>(&reads).await, ["acme/web/alices"]);
    let writes = world.keys(Role::Member, Permission::ApiKeysWrite);
    for (name, expect) in [
        ("acme/web/alices", 200),
        ("acme/web/nobodys", 404),
        ("other/web/alices", 404),
        ("other/web/nothing", 404),
    ] {
        let got = world
            .patch::<ApiKeys>(&writes, name, json!({"tags": ["mine"]}))
            .await;
        assert_eq!(got, expect, "{name}");
    }
    // Nobody else's, and nothing that costs less or manages.
    for (patch, expect) in [
        (json!({"user": null}), 403),
        (json!({"plan": "cheap"}), 403),
        (json!({"kind": "management"}), 403),
        (json!({"kind": "read_only"}), 403),
        (json!({"kind": "inference"}), 200),
        (json!({"project": "other/web"}), 422),
    ] {
        let got = world
            .patch::<ApiKeys>(&writes, "acme/web/alices", patch.clone())
            .await;
        assert_eq!(got, expect, "{patch}");
    }
    for (new, expect) in [
        (
            json!({"name": "x", "project": "acme/web"}),
            Ok(Some(world.alice)),
        ),
        (
            json!({"name": "x", "project": "acme/web", "user": "alice"}),
            Ok(Some(world.alice)),
        ),
        (json!({"name": "x", "project": "other/web"}), Err(422)),
        (json!({"name": "x", "project": "other/nowhere"}), Err(422)),
        (json!({"name": "x", "project": "default"}), Err(422)),
    ] {
        assert_eq!(world.new_key(&writes, new.clone()).await, expect, "{new}");
    }
    let bob = json!({"name": "bob", "organization": "acme"});
    world.bed.get("POST /api/v1/users", bob).await;
    let bobs = json!({"name": "x", "project": "acme/web", "user": "bob"});
    assert_eq!(world.new_key(&writes, bobs).await, Err(403));
}

#[tokio::test]
async fn nobody_makes_a_key_of_more_power_than_he_has() {
    let world = World::new().await;
    let project = Scope::Project {
        organization: world.acme,
        project: world.web,
    };
    let acme = Scope::Organization(world.acme);
    for (role, scope, project, kind, expect) in [
        (Role::Admin, project, "acme/web", "management", Some(403)),
        (Role::Admin, project, "acme/web", "read_only", Some(403)),
        (Role::Admin, project, "acme/web", "inference", None),
        (Role::Admin, acme, "acme/web", "management", None),
        (Role::Owner, acme, "acme/web", "management", None),
        (Role::Owner, acme, "acme/web", "read_only", None),
        (Role::Owner, acme, "default", "management", Some(422)),
        (
            Role::Owner,
            Scope::Platform,
            "default",
            "management",
            Some(403),
        ),
        (
            Role::Operator,
            Scope::Platform,
            "default",
            "management",
            None,
        ),
        (
            Role::Operator,
            Scope::Platform,
            "acme/web",
            "management",
            None,
        ),
    ] {
        let allowed = world.who(role, scope, Permission::ApiKeysWrite, None);
        let new = json!({"name": "x", "project": project, "kind": kind});
        let got = world.new_key(&allowed, new).await.err();
        assert_eq!(got, expect, "{role:?} {scope:?} {project} {kind}");
    }
    // Nor by a token that may less than its owner.
    let mut scoped = world.who(Role::Owner, acme, Permission::ApiKeysWrite, None);
    scoped.actor.scopes = Some(vec![Permission::ApiKeysWrite]);
    let new = json!({"name": "x", "project": "acme/web", "kind": "management"});
    assert_eq!(world.new_key(&scoped, new).await, Err(403));
    // Nor one that is there; he may block it.
    let made = json!({"name": "boss", "project": "acme/web", "kind": "management"});
    world.bed.get("POST /api/v1/api-keys", made).await;
    let admin = world.who(Role::Admin, project, Permission::ApiKeysWrite, None);
    for (patch, expect) in [
        (json!({"tags": ["x"]}), 403),
        (json!({"kind": null}), 403),
        (json!({"blocked": true}), 200),
        (json!({"blocked": false}), 403),
    ] {
        let got = world
            .patch::<ApiKeys>(&admin, "acme/web/boss", patch.clone())
            .await;
        assert_eq!(got, expect, "{patch}");
    }
}

#[tokio::test]
async fn organizations_do_not_set_what_the_platform_sets_for_them() {
    let world = World::new().await;
    let acme = Scope::Organization(world.acme);
    let owner = world.who(Role::Owner, acme, Permission::OrganizationsUpdate, None);
    for (patch, expect) in [
        (json!({"name": "acme & co"}), 200),
        (json!({"name": "acme"}), 200),
        (json!({"blocked": true}), 403),
        (json!({"limits": [{"cost": "9", "per": "day"}]}), 403),
        (json!({"models": ["*"]}), 403),
        (json!({"plan": "cheap"}), 403),
    ] {
        let got = world
            .patch::<Organizations>(&owner, &world.acme.to_string(), patch.clone())
            .await;
        assert_eq!(got, expect, "{patch}");
    }
    let other = world.other.to_string();
    assert_eq!(
        world
            .patch::<Organizations>(&owner, &other, json!({"name": "x"}))
            .await,
        404
    );
    let reads = world.who(Role::Owner, acme, Permission::OrganizationsRead, None);
    assert_eq!(world.listed::<Organizations>(&reads).await, ["acme"]);
    let writes = world.who(Role::Owner, acme, Permission::ProjectsWrite, None);
    for (name, patch, expect) in [
        (
            "acme/web",
            json!({"limits": [{"cost": "9", "per": "day"}]}),
            200,
        ),
        ("acme/web", json!({"plan": "cheap"}), 403),
        ("other/web", json!({"blocked": true}), 404),
        ("other/nothing", json!({"blocked": true}), 404),
    ] {
        let got = world.patch::<Projects>(&writes, name, patch.clone()).await;
        assert_eq!(got, expect, "{name} {patch}");
    }
    // A foreign organization is none, whether it is there or not.
    for organization in ["other", "nowhere"] {
        let new = json!({"name": "x", "organization": organization});
        let made = tenants::create::<Projects>(&world.bed.admin, &writes, new).await;
        let problem = made.err().unwrap();
        assert_eq!(
            problem.detail,
            "/organization: there is no such organization"
        );
    }
    let project = Scope::Project {
        organization: world.acme,
        project: world.web,
    };
    let admin = world.who(Role::Admin, project, Permission::ProjectsWrite, None);
    assert_eq!(world.listed::<Projects>(&admin).await, ["acme/web"]);
    assert_eq!(
        world
            .patch::<Projects>(&admin, "acme/web", json!({"name": "web"}))
            .await,
        200
    );
    let gone = tenants::delete::<Projects>(&world.bed.admin, &admin, "acme/web", IfMatch(None));
    assert_eq!(status(gone.await), 403);
    let users = world.who(Role::Admin, acme, Permission::UsersRead, None);
    assert_eq!(world.listed::<Persons>(&users).await, ["acme/alice"]);
}

#[tokio::test]
async fn usage_is_told_to_those_whose_it_is() {
    let world = World::new().await;
    let acme = Scope::Organization(world.acme);
    let own = Some(Permission::OwnUsageRead);
    let scoped = async |allowed: &Allowed, organization: Option<&str>| {
        let known = tenants::Known::of(&world.bed.admin, allowed).unwrap();
        let wanted = crate::usage::Scoped {
            organization: organization.map(str::to_owned),
            ..crate::usage::Scoped::default()
        };
        let filter = crate::usage::scope(&known, allowed, wanted).await.unwrap();
        let nothing = filter.organization == Some(lingate_metering::Id::from_u128(0));
        (!nothing).then_some((filter.organization, filter.user))
    };
    let member = world.who(Role::Member, acme, Permission::UsageRead, own);
    assert_eq!(scoped(&member, None).await, Some((None, Some(world.alice))));
    assert_eq!(
        scoped(&member, Some("acme")).await,
        Some((Some(world.acme), Some(world.alice)))
    );
    assert_eq!(scoped(&member, Some("other")).await, None);
    assert_eq!(scoped(&member, Some("nowhere")).await, None);
    let viewer = world.who(Role::Viewer, acme, Permission::UsageRead, own);
    assert_eq!(scoped(&viewer, None).await, Some((Some(world.acme), None)));
    assert_eq!(scoped(&viewer, Some("other")).await, None);
    let operator = world.who(Role::Operator, Scope::Platform, Permission::UsageRead, own);
    assert_eq!(scoped(&operator, None).await, Some((None, None)));
    assert_eq!(
        scoped(&operator, Some("other")).await,
        Some((Some(world.other), None))
    );
}

#[tokio::test]
async fn limits_are_told_level_by_level() {
    let world = World::new().await;
    let limit = |name: &str| json!({"limits": [{"cost": "5", "per": "month", "name": name}, {"requests": 9, "per": "minute"}]});
    for (path, name) in [
        ("organizations/acme", "o"),
        ("projects/acme%2Fweb", "p"),
        ("users/acme%2Falice", "u"),
        ("api-keys/acme%2Fweb%2Falices", "k"),
        ("api-keys/other%2Fweb%2Fnobodys", "n"),
    ] {
        world
            .bed
            .get(&format!("PATCH /api/v1/{path}"), limit(name))
            .await;
    }
    let check = async |path: &str, expect: &[&str]| {
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let told = world
                .bed
                .get(&format!("GET /api/v1/{path}{cursor}"), Value::Null)
                .await;
            for one in told.body["items"].as_array().unwrap() {
                names.extend(one["name"].as_str().map(str::to_owned));
            }
            match told.body["next"].as_str() {
                None => break,
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
        assert_eq!(names, expect, "{path}");
    };
    check("limits?limit=100", &["o", "p", "u", "k", "n"]).await;
    check("limits?limit=1", &["o", "p", "u", "k", "n"]).await;
    check("budgets?limit=2", &["o", "p", "u", "k", "n"]).await;
    check("limits?organization=acme", &["o", "p", "u", "k"]).await;
    check("limits?project=acme%2Fweb", &["p", "k"]).await;
    check("limits?user=acme%2Falice", &["u", "k"]).await;
    check("limits?organization=nowhere", &[]).await;
    let told = world
        .bed
        .get("GET /api/v1/budgets?project=acme%2Fweb", Value::Null)
        .await;
    let first = &told.body["items"][0];
    assert_eq!(
        (&first["amount"], &first["level"], &first["owner"]["path"]),
        (&json!("5"), &json!("project"), &json!("acme/web"))
    );
    assert_eq!(told.body["items"].as_array().unwrap().len(), 2);
}
