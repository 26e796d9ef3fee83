//! Reading one, making one, changing one, deleting one.

use http::StatusCode;
use lingate_metering::Id;
use lingate_store::{Entity as _, Kind, Revision, StoreError, Stored};
use serde_json::Value;

use super::{Found, Known, Place, Resource, Stamp};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Fields, Found as Answer, IfMatch, merge};
use crate::problem::Problem;

/// So often a change is made anew that meets another one, where nobody says which state he has seen.
const TRIES: usize = 5;

/// What there is under an id or a name, for those who may see it.
pub(crate) async fn seen<R: Resource>(
    known: &Known,
    allowed: &Allowed,
    text: &str,
) -> Result<(Found<R::Thing>, Place), Problem> {
    let found = known.find::<R>(text).await?;
    let found = found.ok_or_else(|| Problem::not_found(R::NOUN))?;
    let (place, _) = known.place::<R>(found.value()).await?;
    R::visible(allowed, place)?;
    Ok((found, place))
}

pub(crate) async fn answer<R: Resource>(
    known: &Known,
    status: StatusCode,
    found: &Found<R::Thing>,
) -> Result<Answer<R::Shown>, Problem> {
    let (_, names) = known.place::<R>(found.value()).await?;
    Ok(Answer {
        status,
        revision: found.revision(),
        value: R::show(found.value(), found.stamp(), &names),
    })
}

pub(crate) async fn get<R: Resource>(
    admin: &Admin,
    allowed: &Allowed,
    text: &str,
) -> Result<Answer<R::Shown>, Problem> {
    let known = Known::of(admin, allowed)?;
    let (found, _) = seen::<R>(&known, allowed, text).await?;
    answer::<R>(&known, StatusCode::OK, &found).await
}

/// Reads a new one, as somebody wants it; it can be stored then.
pub(crate) async fn prepare<R: Resource>(
    known: &Known,
    allowed: &Allowed,
    body: Value,
) -> Result<(R::Thing, Place), Problem> {
    let mut fields = Fields::of(body)?;
    let parent = match R::PARENT {
        None => None,
        Some(field) => {
            let text = fields.needed(field);
            let found = match field {
                "organization" => known.organization(&text).await?,
                _ => known.project(&text).await?,
            };
            // Whoever may not make one there is told what he is told of what is not there, and of the rest as much.
            let mut within = None;
            if let Some(parent) = found {
                let (place, _) = known.place::<R>(&R::new(Some(parent))).await?;
                within = R::creatable(allowed, place).ok().map(|()| parent);
            }
            if within.is_none() && !text.is_empty() {
                fields.wrong(field, format!("there is no such {field}"));
            }
            within
        }
    };
    let mut thing = R::new(parent);
    let (place, names) = known.place::<R>(&thing).await?;
    R::read(&mut fields, &mut thing, place, known).await?;
    fields.done()?;
    let place = Place {
        user: R::holder(&thing).or(place.user),
        ..place
    };
    R::may(allowed, None, &thing, place, &names)?;
    has_its_plan::<R>(known, None, &thing).await?;
    free::<R>(known, &thing, None)?;
    Ok((thing, place))
}

/// A plan that is not there has no prices: whoever gets it would be charged nothing. Only those who may give plans are told which
/// there are.
async fn has_its_plan<R: Resource>(
    known: &Known,
    before: Option<&R::Thing>,
    after: &R::Thing,
) -> Result<(), Problem> {
    let Some(plan) = &R::rules(after).plan else {
        return Ok(());
    };
    let had = before.and_then(|before| R::rules(before).plan.as_ref());
    if had == Some(plan) || known.has_plan(plan).await? {
        return Ok(());
    }
    Err(Problem::invalid(
        "/plan",
        format!("there is no plan `{plan}`"),
    ))
}

/// The file may have the name already.
fn free<R: Resource>(known: &Known, thing: &R::Thing, but: Option<Id>) -> Result<(), Problem> {
    let parent = R::parent(thing);
    let taken = known.declared::<R>().any(|declared| {
        declared.name() == thing.name()
            && R::parent(declared) == parent
            && Some(declared.id()) != but
    });
    if taken {
        let (kind, name) = (Kind::Document, thing.name().to_owned());
        let mut problem = Problem::from(StoreError::Taken { kind, name });
        problem.detail = format!(
            "there is one called \"{}\" already, in lingate.yml",
            thing.name()
        );
        return Err(problem);
    }
    Ok(())
}

pub(crate) async fn create<R: Resource>(
    admin: &Admin,
    allowed: &Allowed,
    body: Value,
) -> Result<Answer<R::Shown>, Problem> {
    let known = Known::of(admin, allowed)?;
    let (thing, place) = prepare::<R>(&known, allowed, body).await?;
    if R::PARENT.is_some() {
        known
            .refer(place.organization, place.project, place.user)
            .await?;
    }
    let stored = known.store.create(&thing).await?;
    answer::<R>(&known, StatusCode::CREATED, &Found::Stored(stored)).await
}

pub(crate) async fn update<R: Resource>(
    admin: &Admin,
    allowed: &Allowed,
    text: &str,
    IfMatch(expected): IfMatch,
    patch: &Value,
) -> Result<Answer<R::Shown>, Problem> {
    let known = Known::of(admin, allowed)?;
    let mut tries = 0;
    loop {
        match changed::<R>(&known, allowed, text, expected, patch).await {
            Err(problem) if problem.code == "stale" && expected.is_none() && tries < TRIES => {
                tries += 1;
            }
            Err(problem) => return Err(problem),
            Ok(stored) => return answer::<R>(&known, StatusCode::OK, &Found::Stored(stored)).await,
        }
    }
}

async fn changed<R: Resource>(
    known: &Known,
    allowed: &Allowed,
    text: &str,
    expected: Option<Revision>,
    patch: &Value,
) -> Result<Stored<R::Thing>, Problem> {
    let (found, place) = seen::<R>(known, allowed, text).await?;
    let stored = found.changeable(R::NOUN)?;
    if let Some(expected) = expected
        && expected != stored.revision
    {
        let (kind, current) = (R::KIND, stored.revision);
        return Err(StoreError::Stale { kind, current }.into());
    }
    if !patch.is_object() {
        return Err(Problem::invalid("", "expected an object"));
    }
    let (_, names) = known.place::<R>(&stored.value).await?;
    let current = serde_json::to_value(R::show(&stored.value, Stamp::of(&stored), &names));
    let current = current.map_err(|error| {
        tracing::error!(%error, "a thing cannot be told");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the gateway failed",
        )
    })?;
    let mut wanted = current.clone();
    merge(&mut wanted, patch.clone());
    let mut fields = Fields::of(wanted)?;
    for name in R::FIXED {
        fields.fixed(name, current.get(*name));
    }
    let mut thing = stored.value.clone();
    R::read(&mut fields, &mut thing, place, known).await?;
    fields.done()?;
    let after = Place {
        user: R::holder(&thing),
        ..place
    };
    R::may(allowed, Some(&stored.value), &thing, after, &names)?;
    has_its_plan::<R>(known, Some(&stored.value), &thing).await?;
    free::<R>(known, &thing, Some(thing.id()))?;
    if R::holder(&thing) != R::holder(&stored.value) {
        known
            .refer(place.organization, place.project, R::holder(&thing))
            .await?;
    }
    Ok(known.store.update(&thing, Some(stored.revision)).await?)
}

pub(crate) async fn delete<R: Resource>(
    admin: &Admin,
    allowed: &Allowed,
    text: &str,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, Problem> {
    let known = Known::of(admin, allowed)?;
    let (found, place) = seen::<R>(&known, allowed, text).await?;
    R::deletable(allowed, place)?;
    let stored = found.changeable(R::NOUN)?;
    known
        .store
        .delete::<R::Thing>(stored.value.id(), expected)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
