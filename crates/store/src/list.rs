//! Lists, by page: what was there all the time is listed exactly once, whatever comes and goes in between.

use std::collections::HashMap;

use lingate_metering::tenant::UserKind;
use lingate_metering::{Id, Millis};
use serde::{Deserialize, Serialize};
use sqlx::QueryBuilder;

use crate::database::on;
use crate::entity::{Row, assemble, user_kind};
use crate::{Entity, Kind, Store, StoreError, Stored};

/// What is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub organization: Option<Id>,
    /// Of keys alone.
    pub project: Option<Id>,
    /// Of keys alone.
    pub user: Option<Id>,
    /// Of users alone.
    pub kind: Option<UserKind>,
    pub blocked: Option<bool>,
    /// Those alone that have limits of their own.
    pub with_limits: bool,
    /// What names begin with, as it stands.
    pub name_prefix: Option<String>,
    /// What whoever asks may see at all; `None`: everything.
    pub reach: Option<Reach>,
    pub order: Order,
    /// The `next` of the page before, in the same order.
    pub after: Option<Position>,
    /// At most so many, up to [`Filter::MOST`]; 0: a hundred.
    pub limit: u32,
}

impl Filter {
    pub const MOST: u32 = 1000;
}

/// Organizations with all that is in them, besides projects with their keys, besides users with theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    pub organizations: Vec<Id>,
    pub projects: Vec<Id>,
    pub users: Vec<Id>,
}

/// In which order things are listed. What is equal is in the order of ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By id, which is that of creation but for what was named by a file first.
    #[default]
    Id,
    /// By the bytes of names.
    Name,
    NameDown,
    Created,
    CreatedDown,
}

impl Order {
    pub const fn is_down(self) -> bool {
        matches!(self, Self::NameDown | Self::CreatedDown)
    }

    const fn column(self) -> Option<&'static str> {
        match self {
            Self::Id => None,
            Self::Name | Self::NameDown => Some("name"),
            Self::Created | Self::CreatedDown => Some("created_at"),
        }
    }
}

/// Where a thing stands in every order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub name: String,
    pub created_at: Millis,
    pub id: Id,
}

impl Position {
    pub fn of<E: Entity>(stored: &Stored<E>) -> Self {
        Self {
            name: stored.value.name().to_owned(),
            created_at: stored.created_at,
            id: stored.value.id(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    pub items: Vec<Stored<T>>,
    /// Where the next page begins; `None`: there is nothing more.
    pub next: Option<Position>,
}

/// What something is called, and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    pub name: String,
    pub parent: Option<Id>,
}

impl Store {
    pub async fn list<E: Entity>(&self, filter: &Filter) -> Result<Page<E>, StoreError> {
        let Filter {
            organization,
            project,
            user,
            kind,
            blocked,
            with_limits,
            name_prefix,
            reach,
            order,
            after,
            limit,
        } = filter;
        let table = E::TABLE;
        let not_here = |field: &'static str| StoreError::Invalid {
            field,
            problem: format!("a list of {}s is not filtered so", table.kind),
        };
        if table.kind == Kind::Organization && organization.is_some() {
            return Err(not_here("organization"));
        }
        if table.kind != Kind::ApiKey && project.is_some() {
            return Err(not_here("project"));
        }
        if table.kind != Kind::ApiKey && user.is_some() {
            return Err(not_here("user"));
        }
        if table.kind != Kind::User && kind.is_some() {
            return Err(not_here("kind"));
        }
        let mut texts = name_prefix
            .iter()
            .chain(after.iter().map(|after| &after.name));
        if texts.any(|text| text.contains('\0')) {
            return Err(StoreError::Invalid {
                field: "name_prefix",
                problem: "a name has no control characters".into(),
            });
        }
        let limit = match *limit {
            0 => 100,
            limit => limit.min(Filter::MOST),
        };
        let (beyond, direction) = if order.is_down() {
            (" < ", " DESC")
        } else {
            (" > ", "")
        };

        let mut tx = self.db.begin_read().await?;
        let mut rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(table.select);
            query.push(" WHERE NOT stand_in");
            if let Some(organization) = organization {
                if table.kind == Kind::ApiKey {
                    query.push(" AND project_id IN (SELECT id FROM projects WHERE organization_id = ")
                        .push_bind(organization.to_string())
                        .push(")");
                } else {
                    query.push(" AND organization_id = ").push_bind(organization.to_string());
                }
            }
            if let Some(project) = project {
                query.push(" AND project_id = ").push_bind(project.to_string());
            }
            if let Some(user) = user {
                query.push(" AND user_id = ").push_bind(user.to_string());
            }
            if let Some(kind) = kind {
                query.push(" AND kind = ").push_bind(user_kind(*kind));
            }
            if let Some(blocked) = blocked {
                query.push(" AND blocked = ").push_bind(*blocked);
            }
            if *with_limits {
                // As `serde_json` writes a list that is not empty. Inside of a text quotes have a backslash before them, and so none of
                // a name's is taken for it.
                query.push(" AND spec LIKE '%\"limits\":[{%'");
            }
            if let Some(prefix) = name_prefix {
                // Text is ordered by its bytes: what begins so lies between the prefix and what follows it. No pattern, so no
                // character of it means anything else, and an index serves.
                query.push(" AND name >= ").push_bind(prefix.clone());
                if let Some(end) = following(prefix) {
                    query.push(" AND name < ").push_bind(end);
                }
            }
            if let Some(reach) = reach {
                let ways = ways(table.kind, reach);
                query.push(" AND (1 = 0");
                for (before, ids, behind) in ways {
                    query.push(before);
                    let mut list = query.separated(", ");
                    for id in ids {
                        list.push_bind(id.to_string());
                    }
                    query.push(behind);
                }
                query.push(")");
            }
            if let Some(after) = after {
                match order.column() {
                    None => query.push(" AND id > ").push_bind(after.id.to_string()),
                    Some(column) => {
                        query.push(" AND (").push(column).push(", id)").push(beyond).push("(");
                        if column == "name" {
                            query.push_bind(after.name.clone());
                        } else {
                            query.push_bind(after.created_at);
                        }
                        query.push(", ").push_bind(after.id.to_string()).push(")")
                    }
                };
            }
            query.push(" ORDER BY ");
            if let Some(column) = order.column() {
                query.push(column).push(direction).push(", ");
            }
            query.push("id").push(direction).push(" LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let items: Vec<Stored<E>> = assemble(&mut tx, rows).await?;
        let next = items.last().filter(|_| more).map(Position::of);
        Ok(Page { items, next })
    }

    /// What these are called; those that stand in for what `lingate.yml` names, too. What is not there is left out.
    pub async fn called<E: Entity>(&self, ids: &[Id]) -> Result<HashMap<Id, Called>, StoreError> {
        let table = E::TABLE;
        let parent = table
            .parent
            .map_or("CAST(NULL AS TEXT)", |(column, _)| column);
        let mut tx = self.db.begin_read().await?;
        let mut found = HashMap::new();
        for ids in ids.chunks(500) {
            let rows = on!(tx, Database, connection => {
                let mut query = QueryBuilder::<Database>::new("SELECT id, name, ");
                query.push(parent).push(" FROM ").push(table.name).push(" WHERE id IN (");
                let mut list = query.separated(", ");
                for id in ids {
                    list.push_bind(id.to_string());
                }
                query.push(")");
                query.build_query_as::<(String, String, Option<String>)>().fetch_all(connection).await
            })?;
            found.extend(rows.into_iter().filter_map(|(id, name, parent)| {
                let parent = parent.and_then(|parent| parent.parse().ok());
                Some((id.parse().ok()?, Called { name, parent }))
            }));
        }
        Ok(found)
    }
}

/// The ways in which a thing may be within reach: the text before ids, the ids, the text behind.
fn ways(kind: Kind, reach: &Reach) -> Vec<(&'static str, &[Id], &'static str)> {
    let Reach {
        organizations,
        projects,
        users,
    } = reach;
    let all = match kind {
        Kind::Organization => vec![(" OR id IN (", organizations, ")")],
        Kind::Project => vec![
            (" OR organization_id IN (", organizations, ")"),
            (" OR id IN (", projects, ")"),
        ],
        Kind::User => vec![
            (" OR organization_id IN (", organizations, ")"),
            (" OR id IN (", users, ")"),
        ],
        _ => vec![
            (
                " OR project_id IN (SELECT id FROM projects WHERE organization_id IN (",
                organizations,
                "))",
            ),
            (" OR project_id IN (", projects, ")"),
            (" OR user_id IN (", users, ")"),
        ],
    };
    all.into_iter()
        .filter(|(_, ids, _)| !ids.is_empty())
        .map(|(before, ids, behind)| (before, ids.as_slice(), behind))
        .collect()
}

/// The first text, by its bytes, behind all that begin with this one. UTF-8 orders characters by their numbers.
fn following(prefix: &str) -> Option<String> {
    let mut rest = prefix.chars();
    while let Some(last) = rest.next_back() {
        // `None`: there is no character behind the last one.
        if let Some(next) = (last..=char::MAX).nth(1) {
            return Some(format!("{}{next}", rest.as_str()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_prefix_is_behind_all_that_begins_with_it() {
        let check = |prefix: &str, expect: Option<&str>| {
            assert_eq!(following(prefix).as_deref(), expect, "{prefix}");
        };
        check("", None);
        check("a", Some("b"));
        check("ab", Some("ac"));
        check("a\u{d7ff}", Some("a\u{e000}"));
        check("a\u{10ffff}", Some("b"));
        check("\u{10ffff}\u{10ffff}", None);
    }
}
