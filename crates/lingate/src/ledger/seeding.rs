//! Counters that start empty learn from the ledger what was used: budgets go on where they were, after a restart and after Redis has
//! lost what it held.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lingate_counters::Health;
use lingate_gateway::Governance;
use lingate_metering::counter::{CounterKey, Seed, Span};
use lingate_metering::limit::{Demand, Each, Facts, Level, Measure};
use lingate_metering::tenant::{Directory, Principal};
use lingate_metering::{Id, Millis, Money};
use lingate_store::{Dimension, Store, StoreError, Used};
use tokio::sync::watch;

use super::wallets;
use super::writing::{Written, there};
use crate::when;

/// How often it is looked whether the journal is empty, and for how long at most.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts where the database or the counters do not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// After which they are told once more.
const LATER: Duration = Duration::from_secs(3);

/// Seeds the counters as soon as the database is there, and whenever they have lost what they held.
pub(super) async fn seed(
    mut store: watch::Receiver<Option<Store>>,
    governance: Arc<Governance>,
    written: watch::Receiver<Written>,
) {
    let Some(store) = there(&mut store).await else {
        return;
    };
    // What stands in Redis is known to all replicas.
    if governance.counters().health() != Health::Memory {
        governance.counters().lost().await;
    }
    // What an earlier process left in the journal is to be in the sums; a database that is slow is not waited for.
    let _in_time = tokio::time::timeout(PATIENCE, caught_up(&written)).await;
    loop {
        at_last(&store, &governance).await;
        // What another replica had written and not yet brought to the database is there a little later.
        let lost = tokio::time::timeout(LATER, governance.counters().lost()).await;
        if lost.is_err() {
            at_last(&store, &governance).await;
            governance.counters().lost().await;
        }
        tracing::warn!(
            "the counters of limits have lost what they held; they are told what the ledger knows"
        );
        let _in_time = tokio::time::timeout(PATIENCE, caught_up(&written)).await;
    }
}

/// Waits until all that this process has in the journal now is in the database.
async fn caught_up(written: &watch::Receiver<Written>) {
    let times = || {
        let health = written.borrow();
        health.as_ref().map_or(0, |it| it.borrow().caught_up)
    };
    // The look that is under way may have begun before.
    let enough = match times() {
        0 => 1,
        times => times + 2,
    };
    while times() < enough {
        tokio::time::sleep(LOOK).await;
    }
}

async fn at_last(store: &Store, governance: &Governance) {
    while let Err(why) = once(store, governance).await {
        tracing::warn!(%why, "counters of limits cannot be told what was used; it is tried again");
        tokio::time::sleep(AGAIN).await;
    }
}

async fn once(store: &Store, governance: &Governance) -> Result<(), String> {
    let now = when::now();
    let directory = governance.directory();
    let seeds = seeds(store, &directory, now)
        .await
        .map_err(|error| error.to_string())?;
    if seeds.is_empty() {
        return Ok(());
    }
    let told = governance.counters().seed(&seeds, now).await;
    told.map_err(|outage| outage.to_string())
}

/// What has been used of every counter whose time is not over. Those of end users are not in the sums, and begin anew.
async fn seeds(store: &Store, directory: &Directory, now: Millis) -> Result<Vec<Seed>, StoreError> {
    let mut sums: HashMap<(CounterKey, Span, Millis), u64> = HashMap::new();
    for (dimension, level) in [
        (Dimension::Key, Level::Key),
        (Dimension::User, Level::User),
        (Dimension::Project, Level::Project),
        (Dimension::Organization, Level::Organization),
    ] {
        let subjects = limited(directory, level);
        if subjects.is_empty() {
            continue;
        }
        let asked: Vec<(Id, Millis)> = subjects
            .iter()
            .filter_map(|(id, principal)| Some((*id, begins(principal, level, now)?)))
            .collect();
        if asked.is_empty() {
            continue;
        }
        for used in store.used_since(dimension, &asked, now).await? {
            if let Some(principal) = subjects.get(&used.subject) {
                add(principal, level, &used, now, &mut sums);
            }
        }
    }
    let seed = |((counter, span, at), used)| Seed {
        counter,
        span,
        at,
        used,
    };
    let mut seeds: Vec<Seed> = sums.into_iter().map(seed).collect();
    seeds.extend(wallets::seeds(
        directory,
        &store.spent_of_wallets().await?,
        now,
    ));
    Ok(seeds)
}

/// Somebody for each who has limits of this level.
fn limited(directory: &Directory, level: Level) -> HashMap<Id, &Arc<Principal>> {
    let everybody = directory.keys().chain([directory.anyone()]);
    everybody
        .flat_map(|principal| {
            let of_level = principal
                .bounds
                .iter()
                .filter(move |bound| bound.scope().level == level);
            of_level.map(move |bound| (bound.scope().id, principal))
        })
        .collect()
}

/// Since when use matters to limits of this level; `None`: to none of them.
fn begins(principal: &Principal, level: Level, now: Millis) -> Option<Millis> {
    let of_level = principal
        .bounds
        .iter()
        .filter(|bound| bound.scope().level == level);
    let begins = of_level.filter_map(|bound| {
        let limit = bound.limit();
        if limit.each.contains(&Each::EndUser) {
            return None;
        }
        match limit.window.span(now) {
            Span::Fixed { begins, .. } => Some(begins.max(0)),
            Span::Slots { width, count } => Some(now - i64::from(width) * i64::from(count)),
            Span::Held => None,
        }
    });
    begins.min()
}

fn add(
    principal: &Principal,
    level: Level,
    used: &Used,
    now: Millis,
    sums: &mut HashMap<(CounterKey, Span, Millis), u64>,
) {
    let count = |sum: i64| Some(u64::try_from(sum).unwrap_or(0));
    let truth = Demand {
        input_tokens: count(used.input_tokens),
        output_tokens: count(used.output_tokens),
        images: count(used.images),
        cost: Some(Money::from_nano(used.price)),
    };
    for provider in [None, Some(used.provider.as_str())] {
        let facts = Facts {
            model: &used.model,
            also: &[],
            provider,
            end_user: None,
            gave_way: &[],
            demand: truth,
        };
        let charges = principal.bounds.charges(&facts, used.at);
        for (charge, charged) in charges.iter() {
            let limit = charged.bound.limit();
            let is_over = match charge.span {
                Span::Fixed { ends, .. } => ends <= now,
                Span::Slots { width, count } => {
                    used.at + i64::from(width) * i64::from(count) <= now
                }
                Span::Held => true,
            };
            if is_over
                || charged.bound.scope().level != level
                || limit.each.contains(&Each::EndUser)
            {
                continue;
            }
            let amount = match limit.measure {
                Measure::Requests => count(used.requests).unwrap_or(0),
                Measure::InputTokens
                | Measure::OutputTokens
                | Measure::Tokens
                | Measure::Images
                | Measure::Cost
                | Measure::Concurrency => charge.ask,
            };
            let sum = sums
                .entry((charge.counter, charge.span, used.at))
                .or_default();
            *sum = sum.saturating_add(amount);
        }
    }
}
