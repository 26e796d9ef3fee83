//! Keys of pools, a page at a time: pools may have 100,000 of them.

use lingate_routing::Moment;
use lingate_routing::{KeyState, Provider, Snapshot, Standing};

use super::problem::Problem;
use super::query;

/// Keys of one page, where nobody says how many, and at most.
const USUAL: usize = 1_000;
const MOST: usize = 10_000;

/// Which keys are asked for.
pub(super) struct Page<'q> {
    limit: usize,
    /// The provider and the id of the key to begin with.
    cursor: Option<(&'q str, &'q str)>,
    state: Option<&'q str>,
}

/// Keys of some providers, each with its own, and where the next page begins.
pub(super) struct Found<'s> {
    pub(super) providers: Vec<(&'s Provider, Vec<Standing>)>,
    pub(super) next: Option<String>,
}

impl<'q> Page<'q> {
    pub(super) fn of(query: &'q [(String, String)]) -> Result<Self, Problem> {
        let cursor = query::value(query, "cursor")
            .map(|cursor| cursor.rsplit_once(':').ok_or_else(|| stale(cursor)))
            .transpose()?;
        let state = query::value(query, "state");
        if let Some(state) = state.filter(|state| !KeyState::NAMES.contains(state)) {
            let known = KeyState::NAMES.join(", ");
            return Err(Problem::bad(format!(
                "`state` is '{state}'; a key is one of: {known}"
            )));
        }
        Ok(Self {
            limit: query::number(query, "limit", USUAL, MOST)?,
            cursor,
            state,
        })
    }

    /// The keys of these providers, from the cursor on.
    pub(super) fn find<'s>(
        &self,
        providers: &[&'s Provider],
        now: Moment,
    ) -> Result<Found<'s>, Problem> {
        let (mut at, mut from) = (0, 0);
        if let Some((provider, id)) = self.cursor {
            let cursor = || stale(&format!("{provider}:{id}"));
            let known = providers.iter().position(|it| it.name == provider);
            at = known.ok_or_else(cursor)?;
            let pool = providers.get(at).map(|provider| &provider.keys);
            from = pool.and_then(|pool| pool.position(id)).ok_or_else(cursor)?;
        }
        let mut left = self.limit;
        let mut found = Vec::new();
        for provider in providers.iter().skip(at) {
            let mut keys = Vec::new();
            for standing in provider.keys.standings(std::mem::take(&mut from), now) {
                if self
                    .state
                    .is_some_and(|state| state != standing.state.name())
                {
                    continue;
                }
                if left == 0 {
                    let next = format!("{}:{}", provider.name, standing.key.id());
                    if !keys.is_empty() {
                        found.push((*provider, keys));
                    }
                    return Ok(Found {
                        providers: found,
                        next: Some(next),
                    });
                }
                left -= 1;
                keys.push(standing);
            }
            found.push((*provider, keys));
        }
        Ok(Found {
            providers: found,
            next: None,
        })
    }
}

/// The provider of this name, or all of them.
pub(super) fn providers<'s>(
    snapshot: &'s Snapshot,
    only: Option<&str>,
) -> Result<Vec<&'s Provider>, Problem> {
    match only {
        None => Ok(snapshot.providers.iter().map(AsRef::as_ref).collect()),
        Some(name) => Ok(vec![provider(snapshot, name)?]),
    }
}

pub(super) fn provider<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Provider, Problem> {
    snapshot.provider(name).map(AsRef::as_ref).ok_or_else(|| {
        let known: Vec<&str> = snapshot
            .providers
            .iter()
            .take(20)
            .map(|provider| provider.name.as_str())
            .collect();
        Problem::unknown(format!(
            "there is no provider '{name}'; there are: {}",
            known.join(", ")
        ))
    })
}

fn stale(cursor: &str) -> Problem {
    Problem::bad(format!(
        "the cursor '{cursor}' leads nowhere, perhaps since the configuration has changed; begin anew without one"
    ))
}
