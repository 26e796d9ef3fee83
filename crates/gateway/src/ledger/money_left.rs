//! How much money is left to a caller, for answers that tell them.

use lingate_counters::Outage;
use lingate_metering::Money;
use lingate_metering::limit::{Demand, Enforcement, Facts, Measure};
use lingate_metering::tenant::Principal;

use super::{Governance, now};

impl Governance {
    /// What may be spent until the first hard limit of money refuses, the wallet's included; limits for one model, provider or end user
    /// are left out. `None`: there is no such limit. [`Outage`]: nobody can say at the moment.
    pub async fn money_left(&self, principal: &Principal) -> Result<Option<Money>, Outage> {
        let facts = Facts {
            // A name that no model has: a limit for some models is not about it.
            model: "",
            also: &[],
            provider: None,
            end_user: None,
            gave_way: &[],
            demand: Demand {
                cost: Some(Money::ZERO),
                ..Demand::default()
            },
        };
        let at = now();
        let charges = principal.bounds.charges(&facts, at);
        let used = self.counters().used(&charges.list, at).await?;
        let left = charges.iter().zip(used).filter_map(|((_, charged), used)| {
            let limit = charged.bound.limit();
            let is_it = limit.measure == Measure::Cost
                && limit.enforcement == Enforcement::Hard
                && limit.model.is_none()
                && limit.each.is_empty();
            is_it.then(|| charged.amount.saturating_sub(used))
        });
        let money = |nano| Money::from_nano(i64::try_from(nano).unwrap_or(i64::MAX));
        Ok(left.min().map(money))
    }
}
