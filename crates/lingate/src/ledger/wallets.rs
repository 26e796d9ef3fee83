//! Counters of wallets are held to what the ledger says was spent: it counts what a replica let through before it knew of a wallet, and
//! what was counted by counters that are lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lingate_gateway::Governance;
use lingate_metering::counter::Seed;
use lingate_metering::limit::Level;
use lingate_metering::tenant::Directory;
use lingate_metering::{Id, Millis, Money};
use lingate_store::Store;
use tokio::sync::watch;

use super::writing::there;
use crate::when;

/// How often it is looked what was spent.
const LOOK: Duration = Duration::from_secs(5);

/// Tells counters what was spent of each wallet, whenever that has become more. They then hold at least this.
pub(super) async fn keep(mut store: watch::Receiver<Option<Store>>, governance: Arc<Governance>) {
    let Some(store) = there(&mut store).await else {
        return;
    };
    let mut told: HashMap<Id, Money> = HashMap::new();
    loop {
        tokio::time::sleep(LOOK).await;
        // What is away is told of elsewhere.
        let Ok(spent) = store.spent_of_wallets().await else {
            continue;
        };
        let news: Vec<(Id, Money)> = spent
            .into_iter()
            .filter(|(wallet, spent)| told.get(wallet) != Some(spent))
            .collect();
        let now = when::now();
        let seeds = seeds(&governance.directory(), &news, now);
        if !seeds.is_empty() && governance.counters().seed(&seeds, now).await.is_ok() {
            told.extend(news);
        }
    }
}

/// What counters of wallets hold at least.
pub(super) fn seeds(directory: &Directory, spent: &[(Id, Money)], now: Millis) -> Vec<Seed> {
    let mut left: HashMap<Id, Money> = spent
        .iter()
        .filter(|(organization, _)| directory.prepaid(*organization).is_some())
        .copied()
        .collect();
    let mut seeds = Vec::with_capacity(left.len());
    for principal in directory.keys().chain([directory.anyone()]) {
        if left.is_empty() {
            break;
        }
        if !left.contains_key(&principal.organization.id) {
            continue;
        }
        let wallet = principal
            .bounds
            .iter()
            .find(|bound| bound.scope().level == Level::Wallet);
        let Some(wallet) = wallet else { continue };
        if let Some(spent) = left.remove(&principal.organization.id) {
            let (counter, span) = wallet.whole(now);
            seeds.push(Seed {
                counter,
                span,
                at: now,
                used: u64::try_from(spent.nano()).unwrap_or(0),
            });
        }
    }
    seeds
}
