//! What organizations have paid in advance: money in wallets, and plans for some time.

use serde::{Deserialize, Serialize};

use crate::limit::{Each, Enforcement, Limit, Measure, Unpriced, Window};
use crate::{Id, Millis, Money};

/// The wallet of an organization, as far as requests are held against it. What was spent of it is known by a counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepaid {
    pub organization: Id,
    /// Usage that began before does not count.
    pub opened_at: Millis,
    /// The sum of all entries.
    pub credits: Money,
    /// How far below nothing the balance may go.
    pub overdraft: Money,
}

impl Prepaid {
    /// The limit that an empty wallet is: what was paid may be spent, once.
    pub fn limit(&self) -> Limit {
        let room = self.credits.plus(self.overdraft);
        Limit {
            // A wallet that is opened anew begins anew.
            id: Id::declared(&[
                "wallet",
                &self.organization.to_string(),
                &self.opened_at.to_string(),
            ]),
            name: Some("wallet".to_owned()),
            measure: Measure::Cost,
            amount: u64::try_from(room.nano()).unwrap_or(0),
            window: Window::Total,
            model: None,
            provider: None,
            each: Vec::<Each>::new(),
            enforcement: Enforcement::Hard,
            thresholds: Vec::new(),
            downgrade: None,
            raise: None,
            // What nobody can price nobody has paid for.
            unpriced: Unpriced::Refuse,
        }
    }
}

/// The plans that an organization has for some time, the present one first. They do not overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanTerms {
    pub organization: Id,
    pub terms: Vec<PlanTerm>,
}

/// A plan, from one moment up to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTerm {
    pub plan: String,
    pub begins: Millis,
    /// The first moment at which it does not hold any more.
    pub ends: Millis,
}

impl PlanTerms {
    /// The one that holds at a moment; `None`: the organization's own plan does.
    pub fn at(&self, now: Millis) -> Option<&PlanTerm> {
        self.terms
            .iter()
            .find(|term| term.begins <= now && now < term.ends)
    }

    /// When another one holds, or none, after a moment.
    pub fn next_change(&self, now: Millis) -> Option<Millis> {
        let edges = self.terms.iter().flat_map(|term| [term.begins, term.ends]);
        edges.filter(|edge| *edge > now).min()
    }

    /// Adds time of a plan. The same plan lasts longer; another one holds at once, and what is left of those that were there comes
    /// after it: nobody loses time that was paid. What is over is forgotten.
    pub fn add(&mut self, plan: &str, length: Millis, now: Millis) {
        self.terms.retain(|term| term.ends > now);
        let place = self.terms.iter().position(|term| term.plan == plan);
        let later = if let Some(place) = place {
            if let Some(term) = self.terms.get_mut(place) {
                term.ends = term.ends.saturating_add(length);
            }
            place + 1
        } else {
            if let Some(present) = self.terms.first_mut() {
                present.begins = present.begins.max(now);
            }
            let term = PlanTerm {
                plan: plan.to_owned(),
                begins: now,
                ends: now.saturating_add(length),
            };
            self.terms.insert(0, term);
            1
        };
        for term in self.terms.iter_mut().skip(later) {
            term.begins = term.begins.saturating_add(length);
            term.ends = term.ends.saturating_add(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(terms: &PlanTerms) -> Vec<(&str, Millis, Millis)> {
        let told = |term: &'_ PlanTerm| (term.begins, term.ends);
        terms
            .terms
            .iter()
            .map(|term| (term.plan.as_str(), told(term).0, told(term).1))
            .collect()
    }

    #[test]
    fn time_of_plans_adds_up_and_none_is_lost() {
        let mut terms = PlanTerms::default();
        terms.add("basic", 100, 0);
        assert_eq!(told(&terms), [("basic", 0, 100)]);
        terms.add("basic", 50, 10);
        assert_eq!(told(&terms), [("basic", 0, 150)]);
        terms.add("pro", 30, 50);
        assert_eq!(told(&terms), [("pro", 50, 80), ("basic", 80, 180)]);
        terms.add("pro", 10, 60);
        assert_eq!(told(&terms), [("pro", 50, 90), ("basic", 90, 190)]);
        terms.add("basic", 10, 60);
        assert_eq!(told(&terms), [("pro", 50, 90), ("basic", 90, 200)]);
        for (now, plan, next) in [
            (50, Some("pro"), Some(90)),
            (89, Some("pro"), Some(90)),
            (90, Some("basic"), Some(200)),
            (199, Some("basic"), Some(200)),
            (200, None, None),
        ] {
            assert_eq!(terms.at(now).map(|term| term.plan.as_str()), plan, "{now}");
            assert_eq!(terms.next_change(now), next, "{now}");
        }
        terms.add("pro", 5, 300);
        assert_eq!(told(&terms), [("pro", 300, 305)]);
    }

    #[test]
    fn a_wallet_that_owes_allows_nothing() {
        let wallet = |credits, overdraft| Prepaid {
            organization: Id::from_u128(1),
            opened_at: 0,
            credits: Money::from_nano(credits),
            overdraft: Money::from_nano(overdraft),
        };
        for (credits, overdraft, amount) in [(5, 0, 5), (-5, 0, 0), (-5, 8, 3), (0, 0, 0)] {
            assert_eq!(wallet(credits, overdraft).limit().amount, amount);
        }
    }
}
