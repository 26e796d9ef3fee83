//! Whether a request would pass, and which limit decides: the same arithmetic as at admission, with nothing taken.

use serde::Serialize;

use super::refusal::rfc3339;
use super::{Bound, Charges, Decision, Enforcement, Facts, Scope, plain};
use crate::counter::{Charge, Refusal, Reserved, Span};
use crate::{Id, Millis};

/// What would become of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub passes: bool,
    /// The model that would be asked, or that is refused.
    pub model: String,
    /// Why not, as the caller would read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The limit that refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decides: Option<Id>,
    /// One for each model that was looked at: more than one where limits name others.
    pub steps: Vec<Step>,
}

/// How the limits stand for one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub model: String,
    /// The limits that are about such a request, from those of the key to those of the organization.
    pub limits: Vec<Standing>,
    /// The model that would be asked instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

/// A limit, and what the request would make of it. Amounts are texts: money in dollars.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    pub id: Id,
    pub name: Option<String>,
    pub scope: Scope,
    pub measure: &'static str,
    pub enforcement: Enforcement,
    /// The one that holds now, raised or not.
    pub amount: String,
    pub used: String,
    /// What the request would take; `None`: nobody knows.
    pub asks: Option<String>,
    pub after: String,
    /// RFC 3339; of windows that slide, the moment up to which is looked back. `None`: there is no window.
    pub window_begins: Option<String>,
    pub window_ends: Option<String>,
    /// There is room for the request, whatever happens where there is none.
    pub fits: bool,
    /// The request is refused for want of room.
    pub refuses: bool,
}

impl Explanation {
    /// Looks at how limits stand for a model; `used` is what counters say of the charges. `Some`: the next model to look at, and the
    /// limit that has given way, as [`Facts::gave_way`] wants it.
    pub fn look(
        &mut self,
        charges: &Charges,
        used: &[u64],
        facts: &Facts<'_>,
        now: Millis,
    ) -> Option<(String, Id)> {
        let refusals: Vec<Refusal> = charges
            .list
            .iter()
            .zip(used)
            .enumerate()
            .filter(|(_, (charge, used))| !charge.fits(**used))
            .map(|(place, (charge, used))| Refusal {
                charge: place,
                used: *used,
                free_at: match charge.span {
                    Span::Fixed { ends, .. } => Some(ends),
                    Span::Slots { .. } | Span::Held => None,
                },
            })
            .collect();
        let limits = charges
            .iter()
            .zip(used)
            .map(|((charge, charged), used)| {
                let standing = charged.bound.standing(charge, charged.amount, *used, now);
                Standing {
                    asks: standing.asks.filter(|_| !charged.unknown),
                    ..standing
                }
            })
            .collect();
        let mut step = Step {
            model: facts.model.to_owned(),
            limits,
            instead: None,
        };
        facts.model.clone_into(&mut self.model);
        let reserved = if refusals.is_empty() {
            Reserved::Taken(used.to_vec())
        } else {
            Reserved::Refused(refusals)
        };
        let next = match charges.decide(&reserved, facts, now) {
            Decision::Admitted(_) => None,
            Decision::Downgraded(downgrade) => {
                step.instead = Some(downgrade.to.clone());
                Some((downgrade.to, downgrade.limit))
            }
            Decision::Refused(refused) => {
                self.passes = false;
                if let Some(first) = refused.exceeded.first() {
                    self.decides = Some(first.bound.limit().id);
                    self.reason = Some(first.to_string());
                }
                None
            }
        };
        self.steps.push(step);
        next
    }
}

impl Default for Explanation {
    /// Of a request that nothing is known to be against.
    fn default() -> Self {
        Self {
            passes: true,
            model: String::new(),
            reason: None,
            decides: None,
            steps: Vec::new(),
        }
    }
}

impl Bound {
    fn standing(&self, charge: &Charge, amount: u64, used: u64, now: Millis) -> Standing {
        let limit = self.limit();
        let shown = |amount| plain(limit.measure, amount);
        let after = used.saturating_add(charge.ask);
        let (window_begins, window_ends) = match charge.span {
            Span::Slots { width, count } => {
                let length = i64::from(width) * i64::from(count.saturating_sub(1));
                (Some(now.saturating_sub(length)), Some(now))
            }
            Span::Fixed { begins, ends } => {
                let ends = Some(ends).filter(|ends| *ends < super::Edges::ALWAYS.ends);
                (ends.map(|_| begins), ends)
            }
            Span::Held => (None, None),
        };
        Standing {
            id: limit.id,
            name: limit.name.clone(),
            scope: self.scope().clone(),
            measure: limit.measure.name(),
            enforcement: limit.enforcement,
            amount: shown(amount),
            used: shown(used),
            asks: Some(shown(charge.ask)),
            after: shown(after),
            window_begins: window_begins.map(rfc3339),
            window_ends: window_ends.map(rfc3339),
            fits: after <= amount && charge.fits(used),
            refuses: !charge.fits(used),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::limit::tests::{NOW, bounds, facts};
    use crate::limit::{Bounds, Level};

    fn check(bounds: &Bounds, used: &[u64], model: &str) -> Explanation {
        let mut explanation = Explanation::default();
        let mut gave_way = Vec::new();
        let mut model = model.to_owned();
        loop {
            let facts = facts(&model, &gave_way);
            let charges = bounds.charges(&facts, NOW);
            match explanation.look(&charges, used, &facts, NOW) {
                Some((next, limit)) => {
                    gave_way.push(limit);
                    model = next;
                }
                None => return explanation,
            }
        }
    }

    #[test]
    fn what_decides_is_told() {
        let month = json!({"calendar": {"unit": "month", "zone": "UTC"}});
        let bounds = bounds(&[
            (Level::Key, json!({})),
            (
                Level::Project,
                json!({"measure": "tokens", "amount": 1_000, "enforcement": "shadow"}),
            ),
            (
                Level::Organization,
                json!({"measure": "cost", "amount": 5_000_000_000_u64, "window": month}),
            ),
        ]);
        let passes = check(&bounds, &[9, 900, 4_000_000_000], "a");
        assert!(passes.passes);
        assert_eq!((passes.model.as_str(), passes.decides), ("a", None));
        let told: Vec<_> = passes.steps[0]
            .limits
            .iter()
            .map(|one| {
                (
                    one.measure,
                    one.used.as_str(),
                    one.after.as_str(),
                    one.fits,
                    one.refuses,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("requests", "9", "10", true, false),
                ("tokens", "900", "1050", false, false),
                ("cost", "4", "5", true, false),
            ]
        );
        let limits = &passes.steps[0].limits;
        assert_eq!(
            limits[0].window_begins.as_deref(),
            Some("2026-11-30T11:59:10Z")
        );
        assert_eq!(
            limits[2].window_ends.as_deref(),
            Some("2026-12-01T00:00:00Z")
        );

        let refused = check(&bounds, &[10, 0, 4_000_000_001], "a");
        assert!(!refused.passes);
        assert_eq!(refused.decides, Some(Id::from_u128(1)));
        let later = check(&bounds, &[9, 0, 4_000_000_001], "a");
        assert_eq!(later.decides, Some(Id::from_u128(3)));
        assert_eq!(
            later.reason.as_deref(),
            Some(
                "the limit of organization acme, $5 per month, is reached: $4.000000001 used, and this request may take $1; there is room again at 2026-12-01T00:00:00Z"
            )
        );
    }

    #[test]
    fn other_models_are_looked_at_in_turn() {
        let bounds = bounds(&[(Level::Key, json!({"downgrade": "b"}))]);
        let explanation = check(&bounds, &[10], "a");
        assert!(explanation.passes);
        assert_eq!(explanation.model, "b");
        let steps: Vec<_> = explanation
            .steps
            .iter()
            .map(|step| (step.model.as_str(), step.instead.as_deref()))
            .collect();
        assert_eq!(steps, [("a", Some("b")), ("b", None)]);
    }
}
