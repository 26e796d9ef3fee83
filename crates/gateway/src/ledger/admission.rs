//! Admission: what a request may take of everybody's limits, asked once before any upstream is, and once for each provider that limits
//! are about.

use std::sync::Arc;

use lingate_catalog::{Circumstances, builtin};
use lingate_counters::Outage;
use lingate_dialect::{ApiError, ErrorKind};
use lingate_metering::Id;
use lingate_metering::counter::Reservation;
use lingate_metering::limit::{self, Bounds, Decision, Demand, Facts, Measure};
use lingate_metering::pricing::Priced;
use lingate_metering::tenant::Principal;
use lingate_routing::{Plan, Target};

use super::account::Hold;
use super::leases::LEASE;
use super::{Account, Governance, Payer, Permit, now};
use crate::Gateway;
use crate::caller::Caller;
use crate::exchange::Exchange;
use crate::service::plan;

/// Why a request does not go on.
#[derive(Debug)]
pub(crate) enum TurnedAway {
    /// For what it says, or for who asks.
    Error(ApiError),
    /// For limits.
    Limits(Box<limit::Refused>),
}

impl From<ApiError> for TurnedAway {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// Who wants to be let in, with what.
struct Asking<'a> {
    principal: &'a Arc<Principal>,
    exchange: &'a Exchange,
    id: Id,
    /// Where it would go; of an admission, where it would go first.
    target: Option<&'a Target>,
    /// It is about limits of this provider, and no others.
    provider: Option<&'a str>,
    gave_way: &'a [Id],
}

/// What the counters make of it.
enum Answer {
    Taken(Option<Hold>),
    /// Another model is to be asked.
    Downgraded(limit::Downgrade),
    Refused(Box<limit::Refused>),
}

impl Gateway {
    /// Where a request may go, and what it has taken of its caller's limits for that. Where a limit names another model instead of a
    /// refusal, the request goes on with that one.
    pub(crate) async fn admit(
        &self,
        exchange: &mut Exchange,
        caller: &Caller,
    ) -> Result<(Plan, Option<Hold>), TurnedAway> {
        let id = Id::from_u128(exchange.mint.id);
        let principal = Arc::clone(caller.principal());
        exchange.metered = is_metered(&principal);
        let mut gave_way: Vec<Id> = Vec::new();
        loop {
            let plan = plan(exchange, caller)?;
            let bounds: &Bounds = &principal.bounds;
            if bounds.is_empty() {
                return Ok((plan, None));
            }
            let answer = self
                .governance
                .ask(&Asking {
                    principal: &principal,
                    exchange,
                    id,
                    target: plan.targets().next(),
                    provider: None,
                    gave_way: &gave_way,
                })
                .await?;
            match answer {
                Answer::Taken(hold) => return Ok((plan, hold)),
                Answer::Refused(refused) => return Err(TurnedAway::Limits(refused)),
                Answer::Downgraded(downgrade) => {
                    gave_way.push(downgrade.limit);
                    exchange.give_way_to(downgrade.to);
                }
            }
        }
    }
}

impl Governance {
    /// Takes what an attempt at a provider takes of limits that are about providers. `Err`: the attempt is not to be made.
    pub(crate) async fn admit_at(
        self: &Arc<Self>,
        account: &mut Account,
        exchange: &Exchange,
        target: &Target,
    ) -> Result<(), TurnedAway> {
        let provider = target.provider.name.as_str();
        let principal = Arc::clone(account.principal());
        if account.payer() == Payer::Operator
            || !principal.bounds.are_of_providers()
            || account.holds_for(provider)
        {
            return Ok(());
        }
        let id = Id::declared(&["attempt", &account.id().to_string(), provider]);
        let answer = self
            .ask(&Asking {
                principal: &principal,
                exchange,
                id,
                target: Some(target),
                provider: Some(provider),
                gave_way: &[],
            })
            .await?;
        match answer {
            Answer::Taken(hold) => {
                if let Some(hold) = hold {
                    account.holds(hold);
                }
                Ok(())
            }
            Answer::Refused(refused) => Err(TurnedAway::Limits(refused)),
            // A provider is passed over where its limit is reached; there is no other model for that.
            Answer::Downgraded(downgrade) => {
                let message = format!(
                    "a limit of requests to provider '{provider}' is reached, and names '{}' instead",
                    downgrade.to
                );
                Err(ApiError::new(ErrorKind::RateLimited, message).into())
            }
        }
    }

    async fn ask(self: &Arc<Self>, asking: &Asking<'_>) -> Result<Answer, TurnedAway> {
        let Asking {
            principal,
            exchange,
            id,
            target,
            provider,
            gave_way,
        } = *asking;
        let model = target.map_or(exchange.routed_model(), |target| &target.model);
        let facts = Facts {
            model,
            also: &exchange.names(),
            provider,
            end_user: exchange.said.end_user.as_deref(),
            gave_way,
            demand: self.demand(principal, exchange, target, model),
        };
        self.take(&principal.bounds, &facts, id).await
    }

    /// Takes one request of the limits of who has tokens counted; a count takes nothing else.
    pub(crate) async fn admit_count(
        self: &Arc<Self>,
        principal: &Principal,
        model: &str,
        id: Id,
    ) -> Result<Option<Hold>, TurnedAway> {
        let facts = Facts {
            model,
            also: &[],
            provider: None,
            end_user: None,
            gave_way: &[],
            demand: Demand::NOTHING,
        };
        match self.take(&principal.bounds, &facts, id).await? {
            Answer::Taken(hold) => Ok(hold),
            // No model is asked.
            Answer::Downgraded(_) => Ok(None),
            Answer::Refused(refused) => Err(TurnedAway::Limits(refused)),
        }
    }

    async fn take(
        self: &Arc<Self>,
        bounds: &Bounds,
        facts: &Facts<'_>,
        id: Id,
    ) -> Result<Answer, TurnedAway> {
        let at = now();
        let mut charges = bounds.charges(facts, at);
        if charges.is_empty() {
            return Ok(Answer::Taken(None));
        }
        let mut reservation = Reservation {
            id,
            now: at,
            lease_until: at.saturating_add(LEASE),
            charges: std::mem::take(&mut charges.list),
        };
        let reserved = self.counters.reserve(&reservation).await;
        charges.list = std::mem::take(&mut reservation.charges);
        let reserved = reserved.map_err(|outage| TurnedAway::Error(unreachable(outage)))?;
        let decision = charges.decide(&reserved, facts, at);
        match decision {
            Decision::Admitted(events) => {
                self.tell(events);
                let permit = Permit::new(self, id, at, charges.list.clone());
                let used = match reserved {
                    lingate_metering::counter::Reserved::Taken(used) => used,
                    lingate_metering::counter::Reserved::Refused(_) => Vec::new(),
                };
                Ok(Answer::Taken(Some(Hold {
                    permit,
                    charges,
                    used,
                    provider: facts.provider.map(str::to_owned),
                })))
            }
            Decision::Downgraded(mut downgrade) => {
                self.tell(std::mem::take(&mut downgrade.events));
                Ok(Answer::Downgraded(downgrade))
            }
            Decision::Refused(mut refused) => {
                self.tell(std::mem::take(&mut refused.events));
                Ok(Answer::Refused(refused))
            }
        }
    }

    /// What a request is guessed to take. Nothing is guessed that no limit is about.
    fn demand(
        &self,
        principal: &Principal,
        exchange: &Exchange,
        target: Option<&Target>,
        model: &str,
    ) -> Demand {
        let mut demand = Demand::default();
        if is_metered(principal) {
            let input = exchange.rough().tokens(&builtin().weights(model));
            let output = self.output(exchange, model);
            demand.input_tokens = Some(input);
            demand.output_tokens = Some(output);
            let mut bounds = principal.bounds.iter();
            if bounds.any(|bound| bound.limit().measure == Measure::Cost)
                && let Some(target) = target
            {
                let of = Priced {
                    provider: &target.provider.name,
                    catalog_id: target.provider.catalog_id.as_deref(),
                    upstream_model: &target.model,
                    requested_model: exchange.routed_model(),
                    plan: principal.plan(),
                };
                let circumstances = Circumstances {
                    moment: now(),
                    ..Circumstances::default()
                };
                let prices = self.prices.load();
                demand.cost = prices.estimate(&of, input, output, &circumstances).price;
            }
        }
        let images = exchange.said.choices * u64::from(exchange.said.makes_images);
        demand.images = Some(images);
        demand
    }
}

/// Whether it matters how many tokens a request uses.
fn is_metered(principal: &Principal) -> bool {
    let mut bounds = principal.bounds.iter();
    principal.plan().is_some()
        || bounds.any(|bound| match bound.limit().measure {
            Measure::InputTokens | Measure::OutputTokens | Measure::Tokens | Measure::Cost => true,
            Measure::Requests | Measure::Images | Measure::Concurrency => false,
        })
}

/// The counters are away, and the rule is to refuse.
fn unreachable(outage: Outage) -> ApiError {
    let mut error = ApiError::new(ErrorKind::Overloaded, outage.to_string());
    error.code = Some("counters_unreachable".to_owned());
    error.retry_after = Some(std::time::Duration::from_secs(1));
    error
}
