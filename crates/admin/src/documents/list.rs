//! Lists of what is configured, and one of them: what is stored, and what file and environment define.

use lingate_config::DocumentKind;
use lingate_gateway::Question;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Resource;
use super::shown::Shown;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{Listing, Page, cursor, cursor_text};
use crate::problem::Problem;

/// Which of them.
#[derive(Debug, Clone, Default, Deserialize, IntoParams, ToSchema)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// At most so many, from 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(crate) limit: Option<u32>,
    /// The `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// Of this source alone: `file`, `environment`, `database`, `default`.
    pub(crate) source: Option<String>,
}

/// All of a kind, in their order: routes as they are tried, the others by name.
pub(crate) async fn all(
    admin: &Admin,
    allowed: &Allowed,
    resource: Resource,
) -> Result<Vec<Shown>, Problem> {
    let configured = admin.configured();
    let stored = allowed.store(admin)?.documents().await?;
    let mut items = Shown::not_stored(resource.0, &configured);
    let of_kind = stored
        .items
        .iter()
        .filter(|document| document.kind == resource.name());
    items.extend(of_kind.map(|document| Shown::stored(document, &configured)));
    if resource.0 != DocumentKind::Route {
        // What is stored and defined elsewhere is told once, as it can be changed; a variable lends it its key.
        let stored: std::collections::HashSet<String> = items
            .iter()
            .filter(|item| item.source == "database" && !item.hidden)
            .filter_map(|item| item.name.clone())
            .collect();
        items.retain(|item| {
            item.source == "database"
                || item.name.as_ref().is_none_or(|name| !stored.contains(name))
        });
    }
    items.sort_by(|left, right| {
        left.order
            .cmp(&right.order)
            .then(left.hidden.cmp(&right.hidden))
    });
    Ok(items)
}

pub(crate) async fn page(
    admin: &Admin,
    allowed: &Allowed,
    resource: Resource,
    which: &Which,
) -> Result<Page<Shown>, Problem> {
    allowed.on_platform()?;
    let listing = Listing {
        limit: which.limit,
        cursor: which.cursor.clone(),
    };
    let limit = usize::try_from(listing.limit()?).unwrap_or(usize::MAX);
    let after = which.cursor.as_deref().map(cursor_text).transpose()?;
    let mut items = all(admin, allowed, resource).await?;
    items.retain(|item| {
        which
            .source
            .as_deref()
            .is_none_or(|source| item.source == source)
            && after
                .as_deref()
                .is_none_or(|after| item.order.as_str() > after)
    });
    let next = (items.len() > limit).then(|| {
        items.truncate(limit);
        items.last().map(|last| cursor(&last.order))
    });
    Ok(Page {
        items,
        next: next.flatten(),
    })
}

/// A page of them, and beside it how routes are in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    items: Vec<Shown>,
    /// The `cursor` of the next page; not there: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Of the first page of routes: all routes as this gateway tries them, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    routes: Option<Value>,
}

pub(crate) async fn listed(
    admin: &Admin,
    allowed: &Allowed,
    resource: Resource,
    which: &Which,
) -> Result<Listed, Problem> {
    let page = page(admin, allowed, resource, which).await?;
    let in_force = match admin.gateway() {
        Ok(gateway) if resource.0 == DocumentKind::Route && which.cursor.is_none() => {
            Some(gateway.tell(Question::Routes).await?["routes"].take())
        }
        Ok(_) | Err(_) => None,
    };
    Ok(Listed {
        items: page.items,
        next: page.next,
        routes: in_force,
    })
}

/// One that is in force under a name, else one that is stored and hidden.
pub(crate) async fn one(
    admin: &Admin,
    allowed: &Allowed,
    resource: Resource,
    name: &str,
) -> Result<Shown, Problem> {
    allowed.on_platform()?;
    let named = |item: &Shown| item.name.as_deref() == Some(name);
    let mut items = all(admin, allowed, resource).await?;
    items.retain(named);
    items.sort_by_key(|item| item.hidden);
    items
        .into_iter()
        .next()
        .ok_or_else(|| Problem::not_found(resource.name()))
}
