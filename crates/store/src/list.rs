//! Lists, by page: what was there all the time is listed exactly once, whatever comes and goes in between.

use lingate_metering::Id;
use serde::Serialize;
use sqlx::QueryBuilder;

use crate::database::on;
use crate::entity::{Row, assemble};
use crate::{Entity, Kind, Store, StoreError, Stored};

/// What is listed, in the order of ids, which is that of creation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub organization: Option<Id>,
    /// Of keys alone.
    pub project: Option<Id>,
    /// Of keys alone.
    pub user: Option<Id>,
    pub blocked: Option<bool>,
    /// What names begin with, as it stands.
    pub name_prefix: Option<String>,
    /// The `next` of the page before.
    pub after: Option<Id>,
    /// At most so many, up to [`Filter::MOST`]; 0: a hundred.
    pub limit: u32,
}

impl Filter {
    pub const MOST: u32 = 1000;
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    pub items: Vec<Stored<T>>,
    /// Where the next page begins; `None`: there is nothing more.
    pub next: Option<Id>,
}

impl Store {
    pub async fn list<E: Entity>(&self, filter: &Filter) -> Result<Page<E>, StoreError> {
        let Filter {
            organization,
            project,
            user,
            blocked,
            name_prefix,
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
        if name_prefix
            .as_ref()
            .is_some_and(|prefix| prefix.contains('\0'))
        {
            return Err(StoreError::Invalid {
                field: "name_prefix",
                problem: "a name has no control characters".into(),
            });
        }
        let limit = match *limit {
            0 => 100,
            limit => limit.min(Filter::MOST),
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
            if let Some(blocked) = blocked {
                query.push(" AND blocked = ").push_bind(*blocked);
            }
            if let Some(prefix) = name_prefix {
                // Text is ordered by its bytes: what begins so lies between the prefix and what follows it. No pattern, so no
                // character of it means anything else, and an index serves.
                query.push(" AND name >= ").push_bind(prefix.clone());
                if let Some(end) = following(prefix) {
                    query.push(" AND name < ").push_bind(end);
                }
            }
            if let Some(after) = after {
                query.push(" AND id > ").push_bind(after.to_string());
            }
            query.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let items: Vec<Stored<E>> = assemble(&mut tx, rows).await?;
        let next = items.last().filter(|_| more).map(|item| item.value.id());
        Ok(Page { items, next })
    }
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
