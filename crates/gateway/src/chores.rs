//! What the gateway does beside requests: it tells what happened to keys and breakers, and keeps which keys rest.

use std::sync::Arc;
use std::time::Duration;

use lingate_routing::{BreakerTurn, KeyTurn, Snapshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Gateway;
use crate::kept_keys::Kept;

/// How often it is looked whether there is anything to do.
const LOOK: Duration = Duration::from_secs(1);

/// Writing takes no more than one part in so many of the time.
const SHARE: u32 = 20;

impl Gateway {
    /// Knows again which keys rested before a restart. Call it before the first request; reads a file.
    pub fn recall_keys(&self) {
        self.kept_keys.recall(&self.snapshot(), self.moment());
    }

    /// Keeps which keys rest for the next start. Call it at the end; waits for the disk.
    pub fn keep_keys(&self) {
        let _kept = self
            .kept_keys
            .keep(&self.snapshot(), self.moment(), |_| true);
    }

    /// Begins what is done beside requests; it ends when this is dropped.
    pub fn chores(self: &Arc<Self>) -> JoinSet<()> {
        let mut chores = JoinSet::new();
        chores.spawn(Arc::clone(self).tell_news());
        chores.spawn(Arc::clone(self).keep_changes());
        chores.spawn(Arc::clone(self).check_health());
        chores.spawn(Arc::clone(&self.governance).renew_leases());
        chores
    }

    async fn tell_news(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            tell(&self.snapshot());
            let dropped = self.mirrors.dropped();
            if dropped > 0 {
                tracing::warn!(
                    dropped,
                    "copies for mirrors were not made: too many are under way"
                );
            }
        }
    }

    /// Writes the file of keys whenever something in it has changed. While nothing does, a look costs a number per provider.
    async fn keep_changes(self: Arc<Self>) {
        let mut known = 0;
        let mut kept: Option<Kept> = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let snapshot = self.snapshot();
            let changes = changes(&snapshot);
            if changes == known {
                continue;
            }
            known = changes;
            let gateway = Arc::clone(&self);
            let before = kept.take();
            let begun = Instant::now();
            let writing = tokio::task::spawn_blocking(move || {
                let differs = |now: &Kept| before.as_ref().is_none_or(|before| differ(before, now));
                gateway.kept_keys.keep(&snapshot, gateway.moment(), differs)
            });
            kept = writing.await.ok();
            tokio::time::sleep(begun.elapsed() * SHARE).await;
        }
    }

    /// Keeps at once what a person has switched: who was told so counts on it, whatever becomes of the process.
    pub(crate) async fn keep_switch(&self) {
        let file = Arc::clone(&self.kept_keys);
        let (snapshot, now) = (self.snapshot(), self.moment());
        let writing = tokio::task::spawn_blocking(move || file.keep(&snapshot, now, |_| true));
        // It has logged its failure.
        let _kept = writing.await;
    }
}

/// Of all providers. Those of a configuration that was replaced no longer count, which is a change, too.
fn changes(snapshot: &Snapshot) -> u64 {
    let changes = snapshot
        .providers
        .iter()
        .map(|provider| provider.keys.changes());
    changes.fold(0, u64::wrapping_add)
}

/// In more than that time has passed.
fn differ(before: &Kept, now: &Kept) -> bool {
    let timeless = |kept: &Kept| {
        let providers = kept
            .iter()
            .map(|(name, keys)| (Arc::clone(name), keys.len()));
        providers.collect::<Vec<_>>()
    };
    timeless(before) != timeless(now)
        || before.iter().zip(now).any(|((_, before), (_, now))| {
            before.iter().zip(now).any(|(before, now)| {
                // What was left then is more than what is left now, unless it was begun anew.
                before.left < now.left
                    || (before.fingerprint, before.state, before.strikes)
                        != (now.fingerprint, now.state, now.strikes)
                    || before.model != now.model
            })
        })
}

/// Logs what has happened; of much at once a part, and how much more there was.
fn tell(snapshot: &Snapshot) {
    for provider in &snapshot.providers {
        let name = provider.name.as_str();
        let (news, left_out) = provider.health.news();
        for news in news {
            let (model, whose) = match &news.model {
                Some(model) => (Some(model.as_str()), "the model's"),
                None => (None, "the provider's"),
            };
            match news.turn {
                BreakerTurn::Opened { cause, wait } => {
                    let seconds = wait.as_secs_f64();
                    tracing::info!(
                        provider = name,
                        model,
                        why = cause,
                        seconds,
                        "{whose} circuit breaker opened"
                    );
                }
                BreakerTurn::Closed => {
                    tracing::info!(provider = name, model, "{whose} circuit breaker closed");
                }
            }
        }
        if left_out > 0 {
            tracing::info!(
                provider = name,
                left_out,
                "more circuit breakers opened or closed"
            );
        }
        let (news, left_out) = provider.keys.news();
        for news in news {
            let (key, id) = (news.label.as_str(), news.id.as_str());
            match news.turn {
                KeyTurn::Disabled { reason, wait } => {
                    let seconds = wait.as_secs();
                    tracing::info!(
                        provider = name,
                        key,
                        id,
                        why = reason,
                        seconds,
                        "key disabled: it is not accepted; tested again later"
                    );
                }
                KeyTurn::Exhausted { reason, wait } => {
                    let seconds = wait.as_secs();
                    tracing::info!(
                        provider = name,
                        key,
                        id,
                        why = reason,
                        seconds,
                        "key exhausted; tested again later"
                    );
                }
                KeyTurn::Off { reason } => {
                    tracing::info!(
                        provider = name,
                        key,
                        id,
                        why = reason,
                        "key switched off by hand"
                    );
                }
                KeyTurn::Enabled => tracing::info!(provider = name, key, id, "key used again"),
            }
        }
        if left_out > 0 {
            tracing::info!(provider = name, left_out, "more keys came to rest or back");
        }
    }
}
