//! `POST /api/v1/api-keys/bulk`

use axum::Json;
use axum::extract::{Query, State};
use http::{HeaderMap, StatusCode};
use lingate_metering::Id;
use lingate_metering::tenant::{ApiKey, KeyText};
use lingate_store::mint;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::ApiKeys;
use super::made::{Made, Reached};
use super::shown::New;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Body, Fields};
use crate::problem::{FieldError, Problem};
use crate::tenants::{self, Found as Kept, Known, Place, Resource as _};

/// So many items in one request.
const MOST: usize = 1000;

/// What is to be done: exactly one of `create`, `block`, `unblock`, `delete`, with up to 1000 items.
#[derive(Debug, ToSchema)]
#[schema(as = ApiKeysBulk)]
#[expect(dead_code, reason = "it says what is read field by field")]
pub(crate) struct Bulk {
    create: Option<Vec<New>>,
    /// Ids, or `organization/project/key`.
    block: Option<Vec<String>>,
    unblock: Option<Vec<String>>,
    delete: Option<Vec<String>>,
    /// Where one item fails nothing is changed, and the answer is a problem. Otherwise each item succeeds or fails by itself.
    all_or_nothing: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeysBulkResult)]
pub(crate) struct Done {
    /// One for each item, in their order.
    results: Vec<Outcome>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeysBulkOutcome)]
pub(crate) struct Outcome {
    /// As if the item had been asked for by itself.
    #[schema(example = 201)]
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// With the secret, which is told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Box<Made>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<Problem>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Create,
    Block,
    Unblock,
    Delete,
}

impl Deed {
    const ALL: [Self; 4] = [Self::Create, Self::Block, Self::Unblock, Self::Delete];

    const fn field(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Delete => "delete",
        }
    }
}

/// Make, block, unblock or delete many keys
#[utoipa::path(
    post,
    path = "/api/v1/api-keys/bulk",
    operation_id = "bulk_api_keys",
    tag = "api keys",
    params(Reached),
    request_body = Bulk,
    responses(
        (status = 200, description = "What became of each item", body = Done),
        (status = "default", description = "A problem; nothing is changed", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn bulk(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(reached): Query<Reached>,
    headers: HeaderMap,
    Body(body): Body<Value>,
) -> Result<Json<Done>, Problem> {
    let address = reached.address(&headers)?;
    let mut fields = Fields::of(body)?;
    let all_or_nothing = fields.flag("all_or_nothing").unwrap_or(false);
    let said = Deed::ALL.map(|deed| (deed, fields.value(deed.field())));
    fields.done()?;
    let mut said = said
        .into_iter()
        .filter_map(|(deed, items)| Some((deed, items?)));
    let (Some((deed, items)), None) = (said.next(), said.next()) else {
        return Err(Problem::invalid(
            "",
            "expected exactly one of create, block, unblock, delete",
        ));
    };
    let place = format!("/{}", deed.field());
    let Value::Array(items) = items else {
        return Err(Problem::invalid(place, "expected a list"));
    };
    if items.is_empty() || items.len() > MOST {
        return Err(Problem::invalid(
            place,
            format!("expected 1 to {MOST} items"),
        ));
    }
    let known = Known::of(&admin, &allowed)?;
    let results = match deed {
        Deed::Create => create(&known, &allowed, items, all_or_nothing, &address).await?,
        Deed::Block | Deed::Unblock | Deed::Delete => {
            change(&known, &allowed, deed, items, all_or_nothing).await?
        }
    };
    Ok(Json(Done { results }))
}

async fn create(
    known: &Known,
    allowed: &Allowed,
    items: Vec<Value>,
    all_or_nothing: bool,
    address: &str,
) -> Result<Vec<Outcome>, Problem> {
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(items.len());
    let mut ready: Vec<(usize, ApiKey, KeyText, Place)> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match tenants::prepare::<ApiKeys>(known, allowed, item).await {
            Ok((mut key, place)) => {
                let text = mint()?;
                key.secrets = vec![text.secret(None)];
                ready.push((index, key, text, place));
                outcomes.push(None);
            }
            Err(problem) => outcomes.push(Some(Outcome::failed(problem))),
        }
    }
    if all_or_nothing {
        refuse(Deed::Create, &outcomes)?;
    }
    let mut referred: Vec<Place> = Vec::new();
    for (.., place) in &ready {
        if !referred.contains(place) {
            known
                .refer(place.organization, place.project, place.user)
                .await?;
            referred.push(*place);
        }
    }
    let keys: Vec<ApiKey> = ready.iter().map(|(_, key, ..)| key.clone()).collect();
    let mut stored = Vec::with_capacity(keys.len());
    match known.store.create_all(&keys).await {
        Ok(all) => stored.extend(all.into_iter().map(Ok)),
        Err(error) if all_or_nothing => return Err(error.into()),
        Err(error) if error.passes() => return Err(error.into()),
        // Which of them it is that cannot be shows one by one.
        Err(_) => {
            for key in &keys {
                stored.push(known.store.create(key).await);
            }
        }
    }
    let names = known.names_around::<ApiKeys>(keys.iter()).await?;
    for ((index, _, text, _), stored) in ready.iter().zip(stored) {
        let outcome = match stored {
            Ok(stored) => {
                let kept = Kept::Stored(stored);
                let shown = ApiKeys::show(kept.value(), kept.stamp(), &names);
                Outcome {
                    status: StatusCode::CREATED.as_u16(),
                    id: Some(kept.value().id.to_string()),
                    key: Some(Box::new(Made::of(shown, text, address))),
                    problem: None,
                }
            }
            Err(error) => Outcome::failed(error.into()),
        };
        if let Some(place) = outcomes.get_mut(*index) {
            *place = Some(outcome);
        }
    }
    Ok(outcomes.into_iter().flatten().collect())
}

async fn change(
    known: &Known,
    allowed: &Allowed,
    deed: Deed,
    items: Vec<Value>,
    all_or_nothing: bool,
) -> Result<Vec<Outcome>, Problem> {
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(items.len());
    let mut ids: Vec<(usize, Id)> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match one(known, allowed, deed, &item).await {
            Ok(id) if ids.iter().any(|(_, known)| *known == id) => {
                outcomes.push(Some(Outcome::failed(Problem::invalid("", "is here twice"))));
            }
            Ok(id) => {
                ids.push((index, id));
                outcomes.push(None);
            }
            Err(problem) => outcomes.push(Some(Outcome::failed(problem))),
        }
    }
    if all_or_nothing {
        refuse(deed, &outcomes)?;
    }
    let all: Vec<Id> = ids.iter().map(|(_, id)| *id).collect();
    let mut results = Vec::with_capacity(all.len());
    match done(known, deed, &all).await {
        Ok(()) => results.extend(all.iter().map(|_| Ok(()))),
        Err(problem) if all_or_nothing => return Err(problem),
        Err(_) => {
            for id in &all {
                results.push(done(known, deed, &[*id]).await);
            }
        }
    }
    let status = match deed {
        Deed::Create | Deed::Block | Deed::Unblock => StatusCode::OK,
        Deed::Delete => StatusCode::NO_CONTENT,
    };
    for ((index, id), result) in ids.iter().zip(results) {
        let outcome = match result {
            Ok(()) => Outcome {
                status: status.as_u16(),
                id: Some(id.to_string()),
                key: None,
                problem: None,
            },
            Err(problem) => Outcome::failed(problem),
        };
        if let Some(place) = outcomes.get_mut(*index) {
            *place = Some(outcome);
        }
    }
    Ok(outcomes.into_iter().flatten().collect())
}

/// The key that an item names, if this may be done to it.
async fn one(known: &Known, allowed: &Allowed, deed: Deed, item: &Value) -> Result<Id, Problem> {
    let text = item
        .as_str()
        .ok_or_else(|| Problem::invalid("", "expected a text"))?;
    let (found, place) = tenants::seen::<ApiKeys>(known, allowed, text).await?;
    let stored = found.changeable(ApiKeys::NOUN)?;
    if deed == Deed::Unblock {
        let (_, names) = known.place::<ApiKeys>(&stored.value).await?;
        super::power::covers(allowed, &stored.value, place, &names)?;
    }
    Ok(stored.value.id)
}

/// All of it, or nothing.
async fn done(known: &Known, deed: Deed, ids: &[Id]) -> Result<(), Problem> {
    match deed {
        Deed::Delete => known.store.delete_all::<ApiKey>(ids).await?,
        Deed::Create | Deed::Block | Deed::Unblock => {
            let blocked = deed == Deed::Block;
            known.store.set_all_blocked::<ApiKey>(ids, blocked).await?;
        }
    }
    Ok(())
}

/// Nothing is to be done where one of them cannot be.
fn refuse(deed: Deed, outcomes: &[Option<Outcome>]) -> Result<(), Problem> {
    let mut errors = Vec::new();
    for (index, outcome) in outcomes.iter().enumerate() {
        let Some(problem) = outcome
            .as_ref()
            .and_then(|outcome| outcome.problem.as_ref())
        else {
            continue;
        };
        let place = format!("/{}/{index}", deed.field());
        if problem.errors.is_empty() {
            errors.push(FieldError {
                field: place.clone(),
                detail: problem.detail.clone(),
            });
        }
        errors.extend(problem.errors.iter().map(|error| FieldError {
            field: format!("{place}{}", error.field),
            detail: error.detail.clone(),
        }));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid_fields(errors))
    }
}

impl Outcome {
    fn failed(problem: Problem) -> Self {
        Self {
            status: problem.status().as_u16(),
            id: None,
            key: None,
            problem: Some(Box::new(problem)),
        }
    }
}
