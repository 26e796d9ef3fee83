//! Lists of what the file declares and what the database holds, together and in one order, by page.

use std::cmp::Ordering;

use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lingate_metering::tenant::UserKind;
use lingate_store::{Entity, Filter, Order, Position, Reach as Within};

use super::{Found, Known, Place, Resource, Source};
use crate::Admin;
use crate::access::{Allowed, Reach};
use crate::frame::{Listing, Page};
use crate::problem::Problem;

/// Which of them are wanted. Organizations, projects and users are named by id or name; those that nobody knows have nothing.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) organization: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) kind: Option<UserKind>,
    pub(crate) blocked: Option<bool>,
    pub(crate) name_prefix: Option<String>,
    pub(crate) source: Option<Source>,
    /// Those alone that have limits of their own.
    pub(crate) with_limits: bool,
    pub(crate) sort: Option<String>,
}

pub(crate) async fn list<R: Resource>(
    admin: &Admin,
    allowed: &Allowed,
    listing: &Listing,
    wanted: Wanted,
) -> Result<Json<Page<R::Shown>>, Problem> {
    let known = Known::of(admin, allowed)?;
    let (order, limit) = (order(wanted.sort.as_deref())?, listing.limit()?);
    let after = match &listing.cursor {
        None => None,
        Some(cursor) => Some(position(cursor, order)?),
    };
    let (found, next) = some::<R>(&known, &wanted, order, after, limit).await?;
    let names = known
        .names_around::<R>(found.iter().map(Found::value))
        .await?;
    let items = found.iter();
    Ok(Json(Page {
        items: items
            .map(|one| R::show(one.value(), one.stamp(), &names))
            .collect(),
        next: next.map(|position| cursor(order, &position)),
    }))
}

/// Those that come after a position, and where the next page begins.
pub(crate) async fn some<R: Resource>(
    known: &Known,
    wanted: &Wanted,
    order: Order,
    after: Option<Position>,
    limit: u32,
) -> Result<(Vec<Found<R::Thing>>, Option<Position>), Problem> {
    let mut filter = Filter {
        kind: wanted.kind,
        blocked: wanted.blocked,
        name_prefix: wanted.name_prefix.clone(),
        with_limits: wanted.with_limits,
        reach: match known.allowed.reach() {
            Reach::All => None,
            Reach::Some {
                organizations,
                projects,
                users,
            } => Some(Within {
                organizations,
                projects,
                users,
            }),
        },
        order,
        after,
        limit,
        ..Filter::default()
    };
    let nothing = (Vec::new(), None);
    if let Some(organization) = &wanted.organization {
        let Some(id) = known.organization(organization).await? else {
            return Ok(nothing);
        };
        filter.organization = Some(id);
    }
    if let Some(project) = &wanted.project {
        let Some(id) = known.project(project).await? else {
            return Ok(nothing);
        };
        filter.project = Some(id);
    }
    if let Some(user) = &wanted.user {
        let Some(user) = known.user(filter.organization, user).await? else {
            return Ok(nothing);
        };
        filter.user = Some(user.id);
    }

    let mut found: Vec<(Position, Found<R::Thing>)> = Vec::new();
    if wanted.source != Some(Source::Store) {
        let things = known.of_file::<R>().await?;
        let names = known.names_around::<R>(things.iter()).await?;
        for thing in things {
            let position = Position {
                name: thing.name().to_owned(),
                created_at: 0,
                id: thing.id(),
            };
            let is_ahead = filter
                .after
                .as_ref()
                .is_none_or(|after| compare(order, &position, after) == Ordering::Greater);
            if is_ahead && lets_through::<R>(&filter, &thing, R::place(&thing, &names)) {
                found.push((position, Found::File(thing)));
            }
        }
    }
    let mut more = false;
    if wanted.source != Some(Source::File) {
        let page = known.store.list::<R::Thing>(&filter).await?;
        more = page.next.is_some();
        for stored in page.items {
            // What the file describes is in force in its stead.
            if !known
                .declared::<R>()
                .any(|thing| thing.id() == stored.value.id())
            {
                found.push((Position::of(&stored), Found::Stored(stored)));
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| compare(order, one, other));
    more |= found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more);
    let next = next.map(|(position, _)| position.clone());
    Ok((found.into_iter().map(|(_, one)| one).collect(), next))
}

fn lets_through<R: Resource>(filter: &Filter, thing: &R::Thing, place: Place) -> bool {
    let is =
        |wanted: Option<lingate_metering::Id>, it| wanted.is_none_or(|wanted| Some(wanted) == it);
    let is_within = filter.reach.as_ref().is_none_or(|reach| {
        let listed = |list: &[_], id: Option<_>| id.is_some_and(|id| list.contains(&id));
        listed(&reach.organizations, Some(place.organization))
            || listed(&reach.projects, place.project)
            || listed(&reach.users, place.user)
    });
    is_within
        && (!filter.with_limits || !thing.rules().limits.is_empty())
        && is(filter.organization, Some(place.organization))
        && is(filter.project, place.project)
        && is(filter.user, place.user)
        && filter
            .blocked
            .is_none_or(|blocked| thing.rules().blocked == blocked)
        && filter
            .name_prefix
            .as_ref()
            .is_none_or(|prefix| thing.name().starts_with(prefix.as_str()))
}

const ORDERS: [(&str, Order); 4] = [
    ("created_at", Order::Created),
    ("-created_at", Order::CreatedDown),
    ("name", Order::Name),
    ("-name", Order::NameDown),
];

fn order(sort: Option<&str>) -> Result<Order, Problem> {
    let Some(sort) = sort else {
        return Ok(Order::Created);
    };
    let known = ORDERS.iter().find(|(name, _)| *name == sort);
    known.map(|(_, order)| *order).ok_or_else(|| {
        Problem::invalid(
            "sort",
            "expected one of created_at, -created_at, name, -name",
        )
    })
}

/// As the database orders them.
fn compare(order: Order, one: &Position, other: &Position) -> Ordering {
    let compared = match order {
        Order::Id => Ordering::Equal,
        Order::Name | Order::NameDown => one.name.cmp(&other.name),
        Order::Created | Order::CreatedDown => one.created_at.cmp(&other.created_at),
    };
    let compared = compared.then_with(|| one.id.cmp(&other.id));
    if order.is_down() {
        compared.reverse()
    } else {
        compared
    }
}

fn name(order: Order) -> &'static str {
    let known = ORDERS.iter().find(|(_, known)| *known == order);
    known.map_or("id", |(name, _)| name)
}

fn cursor(order: Order, position: &Position) -> String {
    let text = serde_json::to_string(&(name(order), position)).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(text)
}

fn position(cursor: &str, order: Order) -> Result<Position, Problem> {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok();
    let read = decoded.and_then(|text| serde_json::from_slice::<(String, Position)>(&text).ok());
    match read {
        Some((of, position)) if of == name(order) => Ok(position),
        Some(_) => Err(Problem::invalid(
            "cursor",
            "this is a cursor of another order; keep `sort` from page to page",
        )),
        None => Err(Problem::invalid("cursor", "this is no cursor of this list")),
    }
}
