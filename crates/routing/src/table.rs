//! The routes of a configuration, with an index of which may claim a request.

use std::fmt;
use std::ops::Deref;

use rustc_hash::FxHashMap;

use crate::names::{Names, Sorter};
use crate::{Asked, Pattern, Route};

/// Routes in the order in which they are tried, and the index that finds the first that claims a request.
///
/// Among 10,000 it takes less than a microsecond where the patterns are names, globs or regular expressions that need something
/// (`gpt-*`, `*-mini`, `/^claude-3/`, `/flash/`), and where routes differ in the tenants, keys or tags that they are for.
/// Routes for the same name that differ in other conditions are tried one after the other, some 60 ns each; so are expressions
/// that need nothing (`/^[a-z]+$/`), some 400 ns each. `bench/benches/routes.rs` measures it.
#[derive(Default)]
pub struct Routes {
    list: Vec<Route>,
    table: Table,
}

impl Routes {
    /// The first route that claims a request for `model`, as an index. The name counts, not that of the request: a fallback is
    /// asked for by its own.
    pub fn find(&self, model: &str, asked: &Asked<'_>) -> Option<usize> {
        self.table.find(&self.list, model, asked)
    }

    /// All routes that are for a name, in order, whatever their conditions.
    pub fn named<'r, 'm>(&'r self, model: &'m str) -> impl Iterator<Item = usize> + use<'r, 'm> {
        self.table.named(model).into_iter().filter(move |index| {
            let route = self.list.get(*index);
            route.is_some_and(|route| route.model.matches(model))
        })
    }
}

impl From<Vec<Route>> for Routes {
    fn from(list: Vec<Route>) -> Self {
        Self {
            table: Table::new(&list),
            list,
        }
    }
}

impl FromIterator<Route> for Routes {
    fn from_iter<I: IntoIterator<Item = Route>>(routes: I) -> Self {
        routes.into_iter().collect::<Vec<_>>().into()
    }
}

impl Deref for Routes {
    type Target = [Route];

    fn deref(&self) -> &[Route] {
        &self.list
    }
}

impl<'r> IntoIterator for &'r Routes {
    type Item = &'r Route;
    type IntoIter = std::slice::Iter<'r, Route>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

// The index says nothing that the routes do not.
impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}

/// Where the routes for a name and a caller are: some 200 bytes per route, 500 for one with a regular expression. The routes
/// themselves take 800 bytes each, and 13 KB with a regular expression.
#[derive(Debug, Default)]
struct Table {
    names: Names,
    /// By group of names: routes for all callers, and all routes; ascending.
    groups: FxHashMap<u32, Group>,
    /// Routes for some callers, by group and by one of those; ascending.
    scoped: FxHashMap<(u32, Scope), Vec<u32>>,
    keys: FxHashMap<Box<str>, u32>,
    tenants: FxHashMap<Box<str>, u32>,
    tags: FxHashMap<Box<str>, u32>,
}

#[derive(Debug, Default)]
struct Group {
    open: Vec<u32>,
    all: Vec<u32>,
}

/// A caller's key, tenant or tag that a route is for, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    Key(u32),
    Tenant(u32),
    Tag(u32),
}

impl Table {
    fn new(routes: &[Route]) -> Self {
        let mut table = Self::default();
        let mut sorter = Sorter::default();
        for (index, route) in (0u32..).zip(routes) {
            let scopes = table.scopes(route);
            for group in sorter.sort(&route.model) {
                let lists = table.groups.entry(group).or_default();
                push(&mut lists.all, index);
                if scopes.is_empty() {
                    push(&mut lists.open, index);
                }
                for scope in &scopes {
                    push(table.scoped.entry((group, *scope)).or_default(), index);
                }
            }
        }
        table.names = sorter.finish();
        table
    }

    /// Every caller whom the route is for is in one of these; empty: it is for all. The narrowest condition is taken.
    fn scopes(&mut self, route: &Route) -> Vec<Scope> {
        let number = |numbers: &mut FxHashMap<Box<str>, u32>, name: &String| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(name.as_str().into()).or_insert(next)
        };
        let when = &route.when;
        if !when.keys.is_empty() {
            let keys = when.keys.iter();
            keys.map(|name| Scope::Key(number(&mut self.keys, name)))
                .collect()
        } else if !when.tenants.is_empty() {
            let tenants = when.tenants.iter();
            tenants
                .map(|name| Scope::Tenant(number(&mut self.tenants, name)))
                .collect()
        } else {
            // All of them are wanted, so whoever has not the first is not meant.
            let tag = when.tags.first();
            tag.map(|name| Scope::Tag(number(&mut self.tags, name)))
                .into_iter()
                .collect()
        }
    }

    fn find(&self, routes: &[Route], model: &str, asked: &Asked<'_>) -> Option<usize> {
        if model.len() > Pattern::LONGEST {
            return None;
        }
        let mut scopes = Vec::new();
        if !self.keys.is_empty() {
            let key = asked.key().and_then(|name| self.keys.get(name));
            scopes.extend(key.map(|number| Scope::Key(*number)));
        }
        if !self.tenants.is_empty() {
            let tenant = asked.tenant().and_then(|name| self.tenants.get(name));
            scopes.extend(tenant.map(|number| Scope::Tenant(*number)));
        }
        if !self.tags.is_empty() {
            let tags = asked.tags().iter();
            let tags = tags.filter_map(|name| self.tags.get(name.as_ref()));
            scopes.extend(tags.map(|number| Scope::Tag(*number)));
        }

        let mut lists: Vec<&[u32]> = Vec::new();
        for group in self.names.groups(model) {
            lists.extend(self.groups.get(&group).map(|lists| lists.open.as_slice()));
            for scope in &scopes {
                lists.extend(self.scoped.get(&(group, *scope)).map(Vec::as_slice));
            }
        }
        loop {
            let next = *lists.iter().filter_map(|list| list.first()).min()?;
            for list in &mut lists {
                if let Some((first, rest)) = list.split_first()
                    && *first == next
                {
                    *list = rest;
                }
            }
            let index = next as usize;
            if routes
                .get(index)
                .is_some_and(|route| route.model.matches(model) && route.when.hold(asked))
            {
                return Some(index);
            }
        }
    }

    /// Routes that may be for a name, ascending.
    fn named(&self, model: &str) -> Vec<usize> {
        let groups = self.names.groups(model).into_iter();
        let mut found: Vec<usize> = groups
            .filter_map(|group| self.groups.get(&group))
            .flat_map(|lists| lists.all.iter().map(|index| *index as usize))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A route may come to one list by several ways.
fn push(list: &mut Vec<u32>, index: u32) {
    if list.last() != Some(&index) {
        list.push(index);
    }
}

#[cfg(test)]
mod tests;
