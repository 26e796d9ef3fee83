//! Stores, changes and deletes documents: whatever comes out is loaded whole before it is stored.

use http::StatusCode;
use lingate_config::{DocumentKind, Origin, price_name};
use lingate_metering::currency::Currency;
use lingate_store::{AuditNote, Batch, Deed, Document as Stored, Documents, StoreError};
use serde_json::Value;

use super::body::{New, Patch};
use super::candidate::{Candidate, Refused, as_fields, known};
use super::shown::Shown;
use super::{Resource, secrets};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Found, IfMatch, merge};
use crate::problem::Problem;

pub(crate) async fn create(
    admin: &Admin,
    allowed: &Allowed,
    resource: Resource,
    new: New,
) -> Result<Found<Shown>, Problem> {
    allowed.on_platform()?;
    let name = name_of(resource, &new)?;
    if admin.configured().origins.of(resource.0, &name) == Some(Origin::File) {
        return Err(Problem::read_only(resource.name()));
    }
    let mut batch = allowed.store(admin)?.batch().await?;
    let stored = batch.documents().await?;
    if find(&stored, resource, &name).is_some() {
        return Err(StoreError::Taken {
            kind: resource.kind(),
            name,
        }
        .into());
    }
    let position = place(&mut batch, &stored, resource, new.before.as_deref()).await?;
    let config = without_name(resource, new.definition);
    let note = AuditNote {
        after: Some(config.clone()),
        ..AuditNote::of(Deed::Create, resource.kind(), &name, &name)
    };
    batch
        .put_document(resource.name(), &name, position, &config, note)
        .await?;
    let document = tried(admin, batch, &stored, resource, &name, &config).await?;
    Ok(Found {
        status: StatusCode::CREATED,
        revision: document.revision,
        value: Shown::stored(&document, &admin.configured()),
    })
}

pub(crate) async fn update(
    admin: &Admin,
    allowed: &Allowed,
    resource: Resource,
    name: &str,
    expected: IfMatch,
    patch: Patch,
) -> Result<Found<Shown>, Problem> {
    allowed.on_platform()?;
    let mut batch = allowed.store(admin)?.batch().await?;
    let stored = batch.documents().await?;
    let before = changeable(admin, &stored, resource, name, expected)?.clone();
    let mut config = before.value.clone();
    if let Some(patch) = patch.definition {
        merge(&mut config, patch);
    }
    let config = without_name(resource, config);
    let position = match patch.before {
        None => None,
        Some(Value::Null) if resource.0 == DocumentKind::Route => {
            let last = stored
                .items
                .iter()
                .filter(|document| document.kind == before.kind);
            last.map(|document| document.position + 1).max()
        }
        Some(Value::String(other)) if other == name => {
            return Err(Problem::invalid(
                "/before",
                "a route does not come before itself",
            ));
        }
        Some(Value::String(other)) => place(&mut batch, &stored, resource, Some(&other)).await?,
        Some(_) => {
            return Err(Problem::invalid(
                "/before",
                "expected the name of a stored route, or null",
            ));
        }
    };
    let note = AuditNote {
        before: Some(before.value.clone()),
        after: Some(config.clone()),
        ..AuditNote::of(Deed::Update, resource.kind(), &name, name)
    };
    batch
        .put_document(resource.name(), name, position, &config, note)
        .await?;
    let document = tried(admin, batch, &stored, resource, name, &config).await?;
    Ok(Found {
        status: StatusCode::OK,
        revision: document.revision,
        value: Shown::stored(&document, &admin.configured()),
    })
}

pub(crate) async fn delete(
    admin: &Admin,
    allowed: &Allowed,
    resource: Resource,
    name: &str,
    expected: IfMatch,
) -> Result<StatusCode, Problem> {
    allowed.on_platform()?;
    let mut batch = allowed.store(admin)?.batch().await?;
    let stored = batch.documents().await?;
    let before = changeable(admin, &stored, resource, name, expected)?.clone();
    let note = AuditNote {
        before: Some(before.value),
        ..AuditNote::of(Deed::Delete, resource.kind(), &name, name)
    };
    batch.delete_document(resource.name(), name, note).await?;
    if resource.0 == DocumentKind::Plan
        && let Some(who) = batch.has_plan(name).await?
    {
        return Err(
            Problem::conflict("in_use", format!("the plan is in use: {who} has it"))
                .hint("give whoever has it another plan first"),
        );
    }
    let after = batch.documents().await?;
    let candidate = Candidate {
        before: known(&stored.items),
        after: known(&after.items),
    };
    match candidate.check(admin).await {
        Ok(_) | Err(Refused::LessBroken) => {}
        Err(Refused::Failed(problem)) => return Err(problem),
        Err(Refused::Broken(problems)) => {
            let detail = format!("the {} is in use: {problems}", resource.name());
            return Err(Problem::conflict("in_use", detail)
                .hint("change what names it first, or change all together with POST /api/v1/configuration/apply"));
        }
    }
    batch.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Loads what the batch leaves, and commits it.
async fn tried(
    admin: &Admin,
    mut batch: Batch,
    before: &Documents,
    resource: Resource,
    name: &str,
    config: &Value,
) -> Result<Stored, Problem> {
    let errors = secrets::check(resource.0, config);
    if !errors.is_empty() {
        return Err(Problem::invalid_fields(errors));
    }
    let after = batch.documents().await?;
    let candidate = Candidate {
        before: known(&before.items),
        after: known(&after.items),
    };
    match candidate.check(admin).await {
        Ok(_) | Err(Refused::LessBroken) => {}
        Err(Refused::Failed(problem)) => return Err(problem),
        Err(Refused::Broken(problems)) => return Err(as_fields(&problems, resource.0, name)),
    }
    let document = find(&after, resource, name).cloned();
    batch.commit().await?;
    document.ok_or_else(|| Problem::not_found(resource.name()))
}

fn find<'d>(stored: &'d Documents, resource: Resource, name: &str) -> Option<&'d Stored> {
    let same = |document: &&Stored| document.kind == resource.name() && document.name == name;
    stored.items.iter().find(same)
}

/// The document, if it may be changed from the state that somebody has seen.
fn changeable<'d>(
    admin: &Admin,
    stored: &'d Documents,
    resource: Resource,
    name: &str,
    IfMatch(expected): IfMatch,
) -> Result<&'d Stored, Problem> {
    let Some(found) = find(stored, resource, name) else {
        return Err(match admin.configured().origins.of(resource.0, name) {
            Some(Origin::File) => Problem::read_only(resource.name()),
            Some(Origin::Environment) => Problem::conflict(
                "defined_in_environment",
                format!(
                    "this {} comes from a variable and cannot be changed here",
                    resource.name()
                ),
            )
            .hint("store one of the same name to change it, or change the variable"),
            Some(Origin::Database | Origin::Default) | None => Problem::not_found(resource.name()),
        });
    };
    if expected.is_some_and(|expected| expected != found.revision) {
        return Err(StoreError::Stale {
            kind: resource.kind(),
            current: found.revision,
        }
        .into());
    }
    Ok(found)
}

/// The position before another one, with room made for it. `None`: at the end.
async fn place(
    batch: &mut Batch,
    stored: &Documents,
    resource: Resource,
    before: Option<&str>,
) -> Result<Option<i64>, Problem> {
    let Some(before) = before else {
        return Ok(None);
    };
    if resource.0 != DocumentKind::Route {
        return Err(Problem::invalid("/before", "only routes have an order"));
    }
    let Some(other) = find(stored, resource, before) else {
        return Err(Problem::invalid(
            "/before",
            format!("no route `{before}` is stored"),
        ));
    };
    batch.make_room(resource.name(), other.position).await?;
    Ok(Some(other.position))
}

pub(super) fn name_of(resource: Resource, new: &New) -> Result<String, Problem> {
    let text = |name: &str| new.definition.get(name).and_then(Value::as_str);
    let natural = match resource.0 {
        DocumentKind::Price => match text("model") {
            Some(model) => Some(price_name(text("provider"), model)),
            None => {
                return Err(Problem::invalid(
                    "/definition/model",
                    "a price needs a model",
                ));
            }
        },
        DocumentKind::Route => text("name").map(str::to_owned),
        _ => None,
    };
    // They stand behind the same path.
    if [Some("explain"), Some("catalog")].contains(&new.name.as_deref().or(natural.as_deref())) {
        return Err(Problem::invalid(
            "/name",
            "this name is taken by an endpoint",
        ));
    }
    match (&new.name, natural) {
        (Some(name), _)
            if resource.0 == DocumentKind::Currency && Currency::from_code(name).is_none() =>
        {
            Err(Problem::invalid(
                "/name",
                "is no currency: expected a code of ISO 4217 such as CNY",
            ))
        }
        (Some(name), Some(natural)) if *name != natural => Err(Problem::invalid(
            "/name",
            format!("by what it says it is called `{natural}`"),
        )),
        (Some(name), _) if !name.is_empty() => Ok(name.clone()),
        (None, Some(natural)) => Ok(natural),
        _ => Err(Problem::invalid("/name", "it needs a name")),
    }
}

/// The name stands beside it.
pub(crate) fn without_name(resource: Resource, mut config: Value) -> Value {
    if resource.0 == DocumentKind::Route
        && let Value::Object(config) = &mut config
    {
        config.shift_remove("name");
    }
    config
}
