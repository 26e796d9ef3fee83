//! `GET /api/v1/limits/check`: whether a request would pass, and which limit decides. Nothing is taken.

use http::StatusCode;
use lingate_catalog::{Circumstances, nano_dollars};
use lingate_counters::Outage;
use lingate_dialect::DialectId;
use lingate_metering::limit::{Charges, Demand, Explanation, Facts};
use lingate_metering::pricing::{Priced, Prices};
use lingate_metering::tenant::Principal;
use lingate_metering::{Id, Millis, Money};
use lingate_routing::{Ask, Plan, Snapshot, Stated, plan};
use serde_json::{Value, json};

use super::problem::Problem;
use super::query;
use crate::{Governance, ledger};

/// The largest number of tokens or images that can be asked about.
const MOST: usize = 1_000_000_000;

/// `key`: a key's name; left out: callers who have none. `model`: as the caller would name it. What the request would take: `input_tokens`,
/// `max_tokens`, `images`, `cost` in dollars (else that of the price, where one is known). `end_user`, `provider`: whom it would name, and
/// who would be asked.
pub(super) async fn tell(
    governance: &Governance,
    snapshot: &Snapshot,
    query: &[(String, String)],
) -> Result<Value, Problem> {
    let directory = governance.directory();
    let text = |name: &str| query::value(query, name);
    let number = |name: &str, usual: u64| {
        let usual = usize::try_from(usual).unwrap_or(MOST);
        // Nothing is a number of tokens, too.
        if text(name) == Some("0") {
            return Ok(0);
        }
        query::number(query, name, usual, MOST).map(|number| number as u64)
    };
    let principal = match text("key") {
        None => directory.anyone(),
        Some(key) => directory.called(key).map_err(|found| {
            Problem::unknown(match found {
                0 => format!("no key is called '{key}'"),
                _ => format!(
                    "{found} keys are called '{key}'; say which: organization/project/{key}"
                ),
            })
        })?,
    };
    let Some(model) = text("model") else {
        return Err(Problem::bad("`model` is missing"));
    };
    let input = number("input_tokens", 0)?;
    let max = text("max_tokens").map(|_| number("max_tokens", 0));
    let max = max.transpose()?;
    let images = number("images", 0)?;
    let cost = text("cost").map(nano_dollars).transpose();
    let cost = cost.map_err(|error| Problem::bad(format!("`cost`: {error}")))?;
    let cost = cost.map(|nano| Money::from_nano(i64::try_from(nano).unwrap_or(i64::MAX)));
    let now = ledger::now();
    let mut gave_way: Vec<Id> = Vec::new();
    let mut explanation = Explanation::default();
    let mut routed = principal.mapped(model).unwrap_or(model).to_owned();
    let may = principal.is_good(now);
    if let Err(denied) = may.and_then(|()| principal.may_ask_for(model)) {
        explanation.passes = false;
        explanation.reason = Some(denied.to_string());
        explanation.model.clone_from(&routed);
    }
    while explanation.passes {
        let ways = Way::all(snapshot, &routed, text("provider"));
        let asked = if gave_way.is_empty() {
            model
        } else {
            routed.as_str()
        };
        let also = [routed.as_str(), asked];
        let demand = |way: &Way| {
            let output = max.unwrap_or_else(|| governance.usual_output(&way.model));
            let known = || {
                let prices = governance.prices();
                way.price(&prices, principal, &routed, (input, output), now)
            };
            Demand {
                input_tokens: Some(input),
                output_tokens: Some(output),
                images: Some(images),
                cost: cost.or_else(known),
            }
        };
        let Some(first) = ways.first() else {
            break;
        };
        let facts = Facts {
            model: &first.model,
            also: &also,
            provider: None,
            end_user: text("end_user"),
            gave_way: &gave_way,
            demand: demand(first),
        };
        let mut charges = principal.bounds.charges(&facts, now);
        let mut used = used_of(governance, &charges, now).await?;
        // The first provider that has room is asked; if none has, the first one's limits tell why not.
        let mut at_first = None;
        for way in ways.iter().filter(|_| principal.bounds.are_of_providers()) {
            let facts = Facts {
                model: &way.model,
                provider: way.provider.as_deref(),
                demand: demand(way),
                ..facts
            };
            let there = principal.bounds.charges(&facts, now);
            let used_there = used_of(governance, &there, now).await?;
            let mut both = there.list.iter().zip(&used_there);
            let has_room = both.all(|(charge, used)| charge.fits(*used));
            if has_room || at_first.is_none() {
                at_first = Some((there, used_there));
            }
            if has_room {
                break;
            }
        }
        if let Some((there, used_there)) = at_first {
            charges.append(there);
            used.extend(used_there);
        }
        let Some((next, limit)) = explanation.look(&charges, &used, &facts, now) else {
            break;
        };
        gave_way.push(limit);
        routed = next;
    }
    let mut told = json!(explanation);
    told["key"] = json!(principal.key.as_ref().map(|key| &key.name));
    told["project"] = json!(principal.project.name);
    told["organization"] = json!(principal.organization.name);
    told["user"] = json!(principal.user.as_ref().map(|user| &user.name));
    Ok(told)
}

async fn used_of(
    governance: &Governance,
    charges: &Charges,
    now: Millis,
) -> Result<Vec<u64>, Problem> {
    let used = governance.counters().used(&charges.list, now).await;
    used.map_err(|Outage| Problem::new(StatusCode::SERVICE_UNAVAILABLE, Outage.to_string()))
}

/// Somebody who would be asked.
struct Way {
    /// The name that the model goes by there; where nothing serves it, its own.
    model: String,
    provider: Option<String>,
    catalog_id: Option<String>,
}

impl Way {
    /// In the order in which they would be asked; at least one.
    fn all(snapshot: &Snapshot, model: &str, only: Option<&str>) -> Vec<Self> {
        let stated = Stated::default();
        let ask = Ask {
            model,
            dialect: DialectId::Chat,
            stream: false,
            facts: &stated,
        };
        let plan = plan(snapshot, &ask, &mut || 0).ok();
        let targets = plan.iter().flat_map(Plan::targets);
        let mut ways: Vec<Self> = targets
            .map(|target| Self {
                model: target.model.clone(),
                provider: Some(target.provider.name.clone()),
                catalog_id: target.provider.catalog_id.clone(),
            })
            .collect();
        if let Some(only) = only {
            ways.retain(|way| way.provider.as_deref() == Some(only));
        }
        if ways.is_empty() {
            ways.push(Self {
                model: model.to_owned(),
                provider: only.map(str::to_owned),
                catalog_id: None,
            });
        }
        ways
    }

    /// What the tenant would be charged, where a price is known.
    fn price(
        &self,
        prices: &Prices,
        principal: &Principal,
        routed: &str,
        (input, output): (u64, u64),
        now: Millis,
    ) -> Option<Money> {
        let of = Priced {
            provider: self.provider.as_deref()?,
            catalog_id: self.catalog_id.as_deref(),
            upstream_model: &self.model,
            requested_model: routed,
            plan: principal.plan(),
        };
        let circumstances = Circumstances {
            moment: now,
            ..Circumstances::default()
        };
        prices.estimate(&of, input, output, &circumstances).price
    }
}
