//! Limits from wherever they stand, with what counters say of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lingate_config::limits_in_json;
use lingate_metering::Millis;
use lingate_metering::counter::{Charge, Span};
use lingate_metering::limit::{Bound, Edges, Level, Measure, Scope, plain};
use lingate_store::{Entity as _, Order, Position};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Admin;
use crate::api_keys::ApiKeys;
use crate::frame::{Listing, cursor, moment_text, now};
use crate::organizations::Organizations;
use crate::problem::Problem;
use crate::projects::Projects;
use crate::tenants::{self, Known, Names, Resource, Source, Wanted, WrittenLimit};
use crate::usage::Named;
use crate::users::Anybody;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Those of this organization and of all that is in it: its id or name.
    #[param(example = "acme")]
    organization: Option<String>,
    /// Those of this project and of its keys: its id, or `organization/project`.
    project: Option<String>,
    /// Those of this user and of the user's keys: an id, or `organization/user`.
    user: Option<String>,
}

/// A limit, whose it is, and how much of it is used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LimitInForce)]
pub(super) struct Shown {
    id: String,
    /// What refusals and events call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Where it stands: `organization`, `project`, `user` or `key`.
    #[schema(example = "project")]
    level: &'static str,
    /// Whose it is.
    owner: Named,
    source: Source,
    /// `requests`, `input_tokens`, `output_tokens`, `tokens`, `images`, `cost` or `concurrency`
    #[schema(example = "cost")]
    measure: &'static str,
    /// What holds now, raised or not; dollars of `cost`, else a whole number.
    #[schema(example = "12.5")]
    amount: String,
    /// Not there: each end user, model or provider has the amount for itself, or no gateway runs in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "3.25")]
    used: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<String>,
    /// When its window began, of calendar windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    begins_at: Option<String>,
    /// When it is as if nothing was used, of calendar windows; others slide, or never end.
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<String>,
    /// As it is written.
    #[schema(value_type = WrittenLimit)]
    limit: Value,
    /// Of money.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BudgetState)]
struct Budget {
    /// Percents of the amount at which an event is raised, those that are reached.
    reached: Vec<u8>,
    /// What will have been used at the end of the window if it goes on as since its beginning, in dollars; not there before a
    /// hundredth of it has gone by.
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<String>,
}

/// A page of limits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LimitsInForce)]
pub(super) struct Limits {
    items: Vec<Shown>,
    /// The `cursor` of the next page; not there: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Where a page ended: on which level, and after what.
type Mark = (u8, Option<Position>);

const LEVELS: [Level; 4] = [Level::Organization, Level::Project, Level::User, Level::Key];

struct Gathered {
    bound: std::sync::Arc<Bound>,
    source: Source,
}

/// All that whoever asks may see, level by level. A page has the limits of at most so many things as it may have items.
pub(super) async fn gather(
    admin: &Admin,
    known: &Known,
    listing: &Listing,
    asked: &Asked,
    only: Option<Measure>,
) -> Result<Limits, Problem> {
    let limit = listing.limit()?;
    let (mut level, mut after): Mark = match &listing.cursor {
        None => (0, None),
        Some(cursor) => mark(cursor)?,
    };
    let mut found: Vec<Gathered> = Vec::new();
    let mut room = limit;
    let next = loop {
        let Some(at) = LEVELS.get(usize::from(level)) else {
            break None;
        };
        let (things, position) = match at {
            Level::Organization => {
                on::<Organizations>(known, asked, *at, after.take(), room, &mut found).await?
            }
            Level::Project => {
                on::<Projects>(known, asked, *at, after.take(), room, &mut found).await?
            }
            Level::User => on::<Anybody>(known, asked, *at, after.take(), room, &mut found).await?,
            // That is told with the wallet.
            Level::Wallet => (0, None),
            Level::Key => on::<ApiKeys>(known, asked, *at, after.take(), room, &mut found).await?,
        };
        room = room.saturating_sub(things);
        if position.is_some() {
            break Some((level, position));
        }
        level += 1;
        if room == 0 {
            break (usize::from(level) < LEVELS.len()).then_some((level, None));
        }
    };
    found.retain(|one| only.is_none_or(|only| one.bound.limit().measure == only));
    let now = now();
    let charges: Vec<Option<Charge>> = found.iter().map(|one| one.bound.counted(now)).collect();
    let asked: Vec<Charge> = charges.iter().flatten().copied().collect();
    let used = match admin.gateway() {
        Ok(gateway) if !asked.is_empty() => {
            let counters = std::sync::Arc::clone(gateway.governance().counters());
            // While Redis is away nobody knows, and the rest is told.
            counters.used(&asked, now).await.unwrap_or_default()
        }
        Ok(_) | Err(_) => Vec::new(),
    };
    let mut used = used.into_iter();
    let names = names(known, &found).await?;
    let items = found.iter().zip(charges).map(|(one, charge)| {
        let used = charge.and_then(|_| used.next());
        shown(one, used, charge.map(|charge| charge.span), &names, now)
    });
    Ok(Limits {
        items: items.collect(),
        next: next.map(|mark: Mark| cursor(&serde_json::to_string(&mark).unwrap_or_default())),
    })
}

/// Adds the limits of one level; says of how many things they are, and where the next page of it begins.
async fn on<R: Resource>(
    known: &Known,
    asked: &Asked,
    level: Level,
    after: Option<Position>,
    room: u32,
    found: &mut Vec<Gathered>,
) -> Result<(u32, Option<Position>), Problem> {
    let mut wanted = Wanted {
        organization: asked.organization.clone(),
        with_limits: true,
        ..Wanted::default()
    };
    // What is about a project or a user is about one thing of its level.
    let mut one = None;
    match level {
        Level::Organization if asked.project.is_some() || asked.user.is_some() => {
            return Ok((0, None));
        }
        Level::Organization => one = wanted.organization.take(),
        Level::Project if asked.user.is_some() => return Ok((0, None)),
        Level::Project => one.clone_from(&asked.project),
        Level::User if asked.project.is_some() => return Ok((0, None)),
        Level::User => one.clone_from(&asked.user),
        Level::Wallet => return Ok((0, None)),
        Level::Key => {
            wanted.project.clone_from(&asked.project);
            wanted.user.clone_from(&asked.user);
        }
    }
    let (things, next) = match one {
        Some(text) => match known.find::<R>(&text).await? {
            Some(thing) => {
                let (place, _) = known.place::<R>(thing.value()).await?;
                let things = R::visible(&known.allowed, place).map(|()| vec![thing]);
                (things.unwrap_or_default(), None)
            }
            None => (Vec::new(), None),
        },
        None => tenants::some::<R>(known, &wanted, Order::Created, after, room).await?,
    };
    for thing in &things {
        let value = thing.value();
        let scope = Scope {
            level,
            id: value.id(),
            name: value.name().to_owned(),
            plan: None,
        };
        let bounds = Bound::all(&value.rules().limits, &scope);
        found.extend(bounds.into_iter().map(|bound| Gathered {
            bound,
            source: thing.stamp().source,
        }));
    }
    Ok((u32::try_from(things.len()).unwrap_or(u32::MAX), next))
}

async fn names(known: &Known, found: &[Gathered]) -> Result<Names, Problem> {
    let of = |level: Level| {
        let scopes = found.iter().map(|one| one.bound.scope());
        scopes
            .filter(move |scope| scope.level == level)
            .map(|scope| scope.id)
    };
    known
        .names_with_keys(
            of(Level::Organization),
            of(Level::Project),
            of(Level::User),
            of(Level::Key),
        )
        .await
}

fn shown(
    one: &Gathered,
    used: Option<u64>,
    span: Option<Span>,
    names: &Names,
    now: Millis,
) -> Shown {
    let (limit, scope) = (one.bound.limit(), one.bound.scope());
    let amount = limit.amount_at(now);
    let text = |amount: u64| plain(limit.measure, amount);
    let window = match span {
        Some(Span::Fixed { begins, ends }) if ends < Edges::ALWAYS.ends => Some((begins, ends)),
        Some(_) | None => None,
    };
    let budget = used.filter(|_| limit.measure == Measure::Cost);
    Shown {
        id: limit.id.to_string(),
        name: limit.name.clone(),
        level: scope.level.name(),
        owner: Named::of(scope.id, names),
        source: one.source,
        measure: limit.measure.name(),
        amount: text(amount),
        used: used.map(text),
        remaining: used.map(|used| text(amount.saturating_sub(used))),
        begins_at: window.map(|(begins, _)| moment_text(begins)),
        resets_at: window.map(|(_, ends)| moment_text(ends)),
        limit: limits_in_json(std::slice::from_ref(limit))
            .pop()
            .unwrap_or_default(),
        budget: budget.map(|used| Budget {
            reached: limit
                .thresholds
                .iter()
                .copied()
                .filter(|percent| {
                    u128::from(used) * 100 >= u128::from(amount) * u128::from(*percent)
                })
                .collect(),
            forecast: window
                .and_then(|(begins, ends)| forecast(used, begins, ends, now))
                .map(text),
        }),
    }
}

/// What will have been used at the end.
fn forecast(used: u64, begins: Millis, ends: Millis, now: Millis) -> Option<u64> {
    let (gone, whole) = (now.checked_sub(begins)?, ends.checked_sub(begins)?);
    let (gone, whole) = (u128::try_from(gone).ok()?, u128::try_from(whole).ok()?);
    if gone == 0 || gone * 100 < whole {
        return None;
    }
    u64::try_from(u128::from(used) * whole / gone).ok()
}

fn mark(cursor: &str) -> Result<Mark, Problem> {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok();
    decoded
        .and_then(|text| serde_json::from_slice(&text).ok())
        .ok_or_else(|| Problem::invalid("cursor", "this is no cursor of this list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_goes_on_as_before() {
        for (used, now, expect) in [
            (50, 500, Some(100)),
            (50, 1000, Some(50)),
            (50, 9, None),
            (50, 0, None),
            (0, 500, Some(0)),
            (u64::MAX, 10, None),
        ] {
            assert_eq!(forecast(used, 0, 1000, now), expect, "{used} {now}");
        }
    }
}
