//! `POST /api/v1/configuration/apply`

use std::collections::HashSet;

use axum::Json;
use axum::extract::{Query, State};
use bytes::Bytes;
use lingate_config::{DocumentKind, Lines, Place};
use lingate_metering::Id;
use lingate_metering::tenant::{ApiKey, Declared};
use lingate_store::{AuditNote, Batch, Deed, Documents, Entity, Kind, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::contents::{self, Contents, Wrong};
use super::diff::{Changed, fields, lines};
use crate::Admin;
use crate::access::Allowed;
use crate::documents::{Candidate, Refused, Resource, check_secrets, known};
use crate::problem::{FieldError, Problem};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// Say what would be changed, and change nothing.
    dry_run: bool,
    /// Delete what is stored and not named.
    prune: bool,
}

/// What was changed, or would be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AppliedConfiguration)]
pub(super) struct Applied {
    dry_run: bool,
    /// In the order in which it is done.
    changes: Vec<Changed>,
    created: usize,
    updated: usize,
    deleted: usize,
    /// The changes for people to read.
    text: String,
}

/// Make what is stored what a text says
///
/// All of it or nothing. The text is YAML or JSON, as `GET /api/v1/configuration` writes it; what it leaves out stays, but with `prune`.
#[utoipa::path(
    post,
    path = "/api/v1/configuration/apply",
    tag = "configuration",
    operation_id = "apply_configuration",
    params(How),
    request_body(content = String, content_type = "application/yaml"),
    responses(
        (status = 200, description = "What was changed, or would be", body = Applied),
        (status = "default", description = "A problem; nothing was changed", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn apply(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(how): Query<How>,
    body: Bytes,
) -> Result<Json<Applied>, Problem> {
    allowed.on_platform()?;
    let text = std::str::from_utf8(&body).map_err(|_| Problem::bad("the text is not UTF-8"))?;
    let (value, lines_of) =
        lingate_config::parse_yaml(text, "the given text").map_err(|problems| {
            Problem::invalid_fields(
                problems
                    .0
                    .iter()
                    .map(|problem| FieldError {
                        field: String::new(),
                        detail: problem.to_string(),
                    })
                    .collect(),
            )
        })?;
    let wanted = contents::read(&value).map_err(|wrongs| told(&wrongs, &lines_of))?;
    let mut wrongs = Vec::new();
    for one in &wanted.documents {
        let errors = check_secrets(one.document.kind, &one.document.value);
        wrongs.extend(errors.into_iter().map(|error| Wrong {
            pointer: format!(
                "{}{}",
                one.pointer,
                error.field.strip_prefix("/definition").unwrap_or_default()
            ),
            detail: error.detail,
        }));
    }
    if !wrongs.is_empty() {
        return Err(told(&wrongs, &lines_of));
    }

    let mut batch = allowed.store(&admin)?.batch().await?;
    let documents = batch.documents().await?;
    let tenants = batch.declared().await?;
    let mut changes = Vec::new();
    let declared = &admin.configured().declared;
    stand_in(&mut batch, &wanted.tenants, &tenants, declared).await?;
    put_tenants(&mut batch, &wanted.tenants, &tenants, &mut changes).await?;
    put_documents(&mut batch, &wanted, &documents, how.prune, &mut changes).await?;
    if how.prune {
        prune_tenants(&mut batch, &wanted.tenants, &tenants, &mut changes).await?;
    }

    let after = batch.documents().await?;
    let candidate = Candidate {
        before: known(&documents.items),
        after: known(&after.items),
    };
    match candidate.check(&admin).await {
        Ok(_) | Err(Refused::LessBroken) => {}
        Err(Refused::Failed(problem)) => return Err(problem),
        Err(Refused::Broken(problems)) => {
            let wrongs: Vec<Wrong> = problems
                .0
                .iter()
                .map(|problem| placed(problem, &wanted))
                .collect();
            return Err(told(&wrongs, &lines_of));
        }
    }
    let count = |action| {
        changes
            .iter()
            .filter(|change| change.action == action)
            .count()
    };
    let applied = Applied {
        dry_run: how.dry_run,
        created: count("create"),
        updated: count("update"),
        deleted: count("delete"),
        text: lines(&changes),
        changes,
    };
    if !how.dry_run && !applied.changes.is_empty() {
        batch.note(AuditNote {
            detail: Some(format!(
                "{} created, {} updated, {} deleted",
                applied.created, applied.updated, applied.deleted
            )),
            ..AuditNote::of(Deed::Apply, Kind::Configuration, &"", "")
        });
        batch.commit().await?;
    }
    Ok(Json(applied))
}

/// Where in the text a problem of the configuration is.
fn placed(problem: &lingate_config::Problem, wanted: &Contents) -> Wrong {
    if let Place::Stored {
        kind,
        name,
        pointer,
    } = &problem.place
    {
        let same = wanted
            .documents
            .iter()
            .find(|one| one.document.kind == *kind && one.document.name == **name);
        if let Some(one) = same {
            return Wrong {
                pointer: format!("{}{pointer}", one.pointer),
                detail: problem.message.clone(),
            };
        }
    }
    Wrong {
        pointer: String::new(),
        detail: problem.to_string(),
    }
}

fn told(wrongs: &[Wrong], lines: &Lines) -> Problem {
    let errors = wrongs.iter().map(|wrong| FieldError {
        field: wrong.pointer.clone(),
        detail: format!("line {}: {}", lines.of(&wrong.pointer), wrong.detail),
    });
    Problem::invalid_fields(errors.collect())
}

/// What lingate.yml names can be referred to once the database knows it.
async fn stand_in(
    batch: &mut Batch,
    wanted: &Declared,
    stored: &Declared,
    declared: &Declared,
) -> Result<(), Problem> {
    fn ids<E: Entity>(values: &[E]) -> HashSet<Id> {
        values.iter().map(Entity::id).collect()
    }
    let organizations: HashSet<Id> = wanted
        .projects
        .iter()
        .map(|project| project.organization)
        .chain(wanted.users.iter().map(|user| user.organization))
        .collect();
    let there = &ids(&wanted.organizations) | &ids(&stored.organizations);
    for organization in &declared.organizations {
        if organizations.contains(&organization.id) && !there.contains(&organization.id) {
            batch.stand_in(organization).await?;
        }
    }
    let projects: HashSet<Id> = wanted.keys.iter().map(|key| key.project).collect();
    let users: HashSet<Id> = wanted.keys.iter().filter_map(|key| key.user).collect();
    let there = &ids(&wanted.projects) | &ids(&stored.projects);
    for project in &declared.projects {
        if projects.contains(&project.id) && !there.contains(&project.id) {
            let owner = declared
                .organizations
                .iter()
                .find(|organization| organization.id == project.organization);
            if let Some(owner) = owner {
                batch.stand_in(owner).await?;
            }
            batch.stand_in(project).await?;
        }
    }
    let there = &ids(&wanted.users) | &ids(&stored.users);
    for user in &declared.users {
        if users.contains(&user.id) && !there.contains(&user.id) {
            let owner = declared
                .organizations
                .iter()
                .find(|organization| organization.id == user.organization);
            if let Some(owner) = owner {
                batch.stand_in(owner).await?;
            }
            batch.stand_in(user).await?;
        }
    }
    Ok(())
}

async fn put_tenants(
    batch: &mut Batch,
    wanted: &Declared,
    stored: &Declared,
    changes: &mut Vec<Changed>,
) -> Result<(), StoreError> {
    put(
        batch,
        "organization",
        &wanted.organizations,
        &stored.organizations,
        changes,
    )
    .await?;
    put(
        batch,
        "project",
        &wanted.projects,
        &stored.projects,
        changes,
    )
    .await?;
    put(batch, "user", &wanted.users, &stored.users, changes).await?;
    // Secrets are not changed in place.
    let again: Vec<Id> = wanted
        .keys
        .iter()
        .filter(|key| {
            let before = stored.keys.iter().find(|before| before.id == key.id);
            before.is_some_and(|before| before.secrets != key.secrets)
        })
        .map(|key| key.id)
        .collect();
    for id in &again {
        batch.delete::<ApiKey>(*id).await?;
    }
    let (anew, rest): (Vec<ApiKey>, Vec<ApiKey>) = wanted
        .keys
        .iter()
        .cloned()
        .partition(|key| again.contains(&key.id));
    batch.create(&anew).await?;
    for key in &anew {
        if let Some(before) = stored.keys.iter().find(|before| before.id == key.id) {
            changes.push(updated("api_key", before, key));
        }
    }
    put(batch, "api_key", &rest, &stored.keys, changes).await
}

async fn put<E: Entity + PartialEq>(
    batch: &mut Batch,
    kind: &'static str,
    wanted: &[E],
    stored: &[E],
    changes: &mut Vec<Changed>,
) -> Result<(), StoreError> {
    let before: std::collections::HashMap<Id, &E> =
        stored.iter().map(|value| (value.id(), value)).collect();
    let mut new = Vec::new();
    for value in wanted {
        match before.get(&value.id()) {
            None => {
                changes.push(Changed {
                    action: "create",
                    kind,
                    name: value.name().to_owned(),
                    fields: Vec::new(),
                });
                new.push(value.clone());
            }
            Some(before) if *before == value => {}
            Some(before) => {
                batch.update(value).await?;
                changes.push(updated(kind, *before, value));
            }
        }
    }
    batch.create(&new).await
}

fn updated<E: Entity>(kind: &'static str, before: &E, after: &E) -> Changed {
    Changed {
        action: "update",
        kind,
        name: after.name().to_owned(),
        fields: fields(&shown(before), &shown(after)),
    }
}

/// Without hashes.
fn shown<E: Entity>(value: &E) -> Value {
    let mut shown = json!(value);
    if let Some(Value::Array(secrets)) = shown.get_mut("secrets") {
        for secret in secrets {
            if let Value::Object(secret) = secret {
                secret.shift_remove("sha256");
            }
        }
    }
    shown
}

async fn prune_tenants(
    batch: &mut Batch,
    wanted: &Declared,
    stored: &Declared,
    changes: &mut Vec<Changed>,
) -> Result<(), StoreError> {
    prune(batch, "api_key", &wanted.keys, &stored.keys, changes).await?;
    prune(batch, "user", &wanted.users, &stored.users, changes).await?;
    prune(
        batch,
        "project",
        &wanted.projects,
        &stored.projects,
        changes,
    )
    .await?;
    prune(
        batch,
        "organization",
        &wanted.organizations,
        &stored.organizations,
        changes,
    )
    .await
}

async fn prune<E: Entity>(
    batch: &mut Batch,
    kind: &'static str,
    wanted: &[E],
    stored: &[E],
    changes: &mut Vec<Changed>,
) -> Result<(), StoreError> {
    let named: HashSet<Id> = wanted.iter().map(Entity::id).collect();
    for value in stored.iter().filter(|value| !named.contains(&value.id())) {
        batch.delete::<E>(value.id()).await?;
        changes.push(Changed {
            action: "delete",
            kind,
            name: value.name().to_owned(),
            fields: Vec::new(),
        });
    }
    Ok(())
}

async fn put_documents(
    batch: &mut Batch,
    wanted: &Contents,
    stored: &Documents,
    prune: bool,
    changes: &mut Vec<Changed>,
) -> Result<(), StoreError> {
    let is = |kind: DocumentKind, name: &str, document: &lingate_store::Document| {
        document.kind == kind.name() && document.name == name
    };
    let named = |document: &lingate_store::Document| {
        let mut all = wanted.documents.iter();
        all.any(|one| is(one.document.kind, &one.document.name, document))
    };
    let positions = positions(wanted, stored, prune, &named);
    let mut all: Vec<_> = wanted.documents.iter().collect();
    // By name, so that an order that means nothing is the same everywhere.
    all.sort_by(|left, right| {
        let key = |one: &contents::Placed| {
            let name =
                (one.document.kind != DocumentKind::Route).then(|| one.document.name.clone());
            (one.document.kind, name)
        };
        key(left).cmp(&key(right))
    });
    for one in all {
        let (kind, name) = (one.document.kind, one.document.name.as_str());
        let value = &one.document.value;
        let before = stored
            .items
            .iter()
            .find(|document| is(kind, name, document));
        let position = positions
            .iter()
            .find(|(route, _)| kind == DocumentKind::Route && route == name)
            .map(|(_, position)| *position);
        let moved = before.is_some_and(|before| position.is_some_and(|at| at != before.position));
        let mut told = match before {
            Some(before) if before.value == *value && !moved => continue,
            Some(before) => Changed {
                action: "update",
                kind: kind.name(),
                name: name.to_owned(),
                fields: fields(&before.value, value),
            },
            None => Changed {
                action: "create",
                kind: kind.name(),
                name: name.to_owned(),
                fields: Vec::new(),
            },
        };
        if let (Some(before), Some(at), true) = (before, position, moved) {
            told.fields.push(super::diff::FieldChange {
                path: "/position".to_owned(),
                before: Some(json!(before.position)),
                after: Some(json!(at)),
            });
        }
        let deed = if before.is_some() {
            Deed::Update
        } else {
            Deed::Create
        };
        let note = AuditNote {
            before: before.map(|before| before.value.clone()),
            after: Some(value.clone()),
            ..AuditNote::of(deed, Resource(kind).kind(), &name, name)
        };
        batch
            .put_document(kind.name(), name, position, value, note)
            .await?;
        changes.push(told);
    }
    if !prune {
        return Ok(());
    }
    for document in stored.items.iter().filter(|document| !named(document)) {
        let Some(kind) = DocumentKind::from_name(&document.kind) else {
            continue;
        };
        let note = AuditNote {
            before: Some(document.value.clone()),
            ..AuditNote::of(
                Deed::Delete,
                Resource(kind).kind(),
                &document.name,
                &document.name,
            )
        };
        batch
            .delete_document(&document.kind, &document.name, note)
            .await?;
        changes.push(Changed {
            action: "delete",
            kind: kind.name(),
            name: document.name.clone(),
            fields: Vec::new(),
        });
    }
    Ok(())
}

/// Where routes go, if their order changes; those that the text does not name stay in front.
fn positions(
    wanted: &Contents,
    stored: &Documents,
    prune: bool,
    named: &dyn Fn(&lingate_store::Document) -> bool,
) -> Vec<(String, i64)> {
    let routes = |document: &&lingate_store::Document| document.kind == DocumentKind::Route.name();
    let first = stored
        .items
        .iter()
        .filter(routes)
        .filter(|document| !prune && !named(document))
        .map(|document| document.position + 1)
        .max()
        .unwrap_or(0);
    let after: Vec<&str> = wanted
        .documents
        .iter()
        .filter(|one| one.document.kind == DocumentKind::Route)
        .map(|one| one.document.name.as_str())
        .collect();
    let before: Vec<&str> = stored
        .items
        .iter()
        .filter(routes)
        .filter(|document| named(document))
        .map(|document| document.name.as_str())
        .collect();
    if after == before {
        return Vec::new();
    }
    after.into_iter().map(str::to_owned).zip(first..).collect()
}
