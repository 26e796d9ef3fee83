//! `GET /api/v1/limits/check`: whether a request would pass, and which limit decides. Nothing is taken.

use http::StatusCode;
use lingate_catalog::nano_dollars;
use lingate_counters::Outage;
use lingate_dialect::DialectId;
use lingate_metering::limit::{Demand, Explanation, Facts, USUAL_OUTPUT};
use lingate_metering::{Id, Money};
use lingate_routing::{Ask, Snapshot, Stated, plan};
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
    let (input, output) = (
        number("input_tokens", 0)?,
        number("max_tokens", USUAL_OUTPUT)?,
    );
    let images = number("images", 0)?;
    let cost = text("cost").map(nano_dollars).transpose();
    let cost = cost.map_err(|error| Problem::bad(format!("`cost`: {error}")))?;
    let now = ledger::now();
    let mut gave_way: Vec<Id> = Vec::new();
    let mut asked = model.to_owned();
    let mut explanation = Explanation::default();
    loop {
        let routed = principal.mapped(&asked).unwrap_or(&asked).to_owned();
        let way = Way::of(snapshot, &routed, input, output);
        let said = cost.map(|nano| Money::from_nano(i64::try_from(nano).unwrap_or(i64::MAX)));
        let cost = said.or(way.cost);
        let facts = Facts {
            model: &way.model,
            also: &[&routed, &asked],
            provider: None,
            end_user: text("end_user"),
            gave_way: &gave_way,
            demand: Demand {
                input_tokens: Some(input),
                output_tokens: Some(output),
                images: Some(images),
                cost,
            },
        };
        let mut charges = principal.bounds.charges(&facts, now);
        let provider = text("provider").or(way.provider.as_deref());
        if provider.is_some() {
            charges.append(principal.bounds.charges(&Facts { provider, ..facts }, now));
        }
        let used = governance.counters().used(&charges.list, now).await;
        let used = used.map_err(|Outage| {
            let message = Outage.to_string();
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })?;
        let Some((next, limit)) = explanation.look(&charges, &used, &facts, now) else {
            break;
        };
        gave_way.push(limit);
        asked = next;
    }
    let mut told = json!(explanation);
    told["key"] = json!(principal.key.as_ref().map(|key| &key.name));
    told["project"] = json!(principal.project.name);
    told["organization"] = json!(principal.organization.name);
    told["user"] = json!(principal.user.as_ref().map(|user| &user.name));
    Ok(told)
}

/// Who would be asked first.
struct Way {
    /// The name that it goes by there; where nothing serves it, its own.
    model: String,
    provider: Option<String>,
    /// Where a price is known.
    cost: Option<Money>,
}

impl Way {
    fn of(snapshot: &Snapshot, model: &str, input: u64, output: u64) -> Self {
        let stated = Stated::default();
        let ask = Ask {
            model,
            dialect: DialectId::Chat,
            stream: false,
            facts: &stated,
        };
        let plan = plan(snapshot, &ask, &mut || 0).ok();
        let Some(target) = plan.as_ref().and_then(|plan| plan.targets().next()) else {
            return Self {
                model: model.to_owned(),
                provider: None,
                cost: None,
            };
        };
        let price = target.provider.price(&target.model);
        Self {
            model: target.model.clone(),
            provider: Some(target.provider.name.clone()),
            cost: price.map(|price| price.cost(input, output)),
        }
    }
}
