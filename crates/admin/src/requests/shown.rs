//! The record of a request as it is told.

use lingate_metering::Id;
use lingate_metering::record::{Provenance, UsageRecord};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Allowed;
use crate::frame::moment_text;
use crate::problem::Problem;
use crate::tenants::{Known, Names};
use crate::usage::Named;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Request)]
pub(crate) struct Shown {
    /// As `x-request-id` of its answer tells it.
    #[schema(example = "req_01a22ece8e13720487fb078959de5a86")]
    id: String,
    #[schema(example = "2027-01-01T00:00:00.000Z")]
    started_at: String,
    /// To the end of the answer.
    duration_ms: u32,
    /// To the first content.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<u32>,
    organization: Named,
    project: Named,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Named>,
    /// Whom the request names.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    /// The dialect that the caller speaks.
    #[schema(example = "chat")]
    dialect: String,
    /// As it was asked for.
    model: String,
    provider: String,
    /// The provider's name of the model.
    upstream_model: String,
    stream: bool,
    attempts: u16,
    /// How it ended: `complete`, `client_gone`, `gateway_lost` …
    #[schema(example = "complete")]
    outcome: String,
    /// What the caller was answered.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Not there: nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
    /// Where the counts are from: `reported`, `counted`, `estimated`, `unknown`.
    #[schema(example = "reported")]
    provenance: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<String>,
    /// Dollars that the tenant is charged; not there: no price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.00125")]
    price: Option<String>,
    /// Dollars that the provider takes; told to those who see the requests of the whole platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    /// The price list that was used; told likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_version: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestTokens)]
struct Tokens {
    /// All of the prompt, cached or not.
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    /// Of the output; not there: the provider does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<u64>,
    searches: u64,
}

impl Shown {
    pub(super) fn of(record: &UsageRecord, names: &Names, allowed: &Allowed) -> Self {
        let all = allowed.actor.may_on_platform(allowed.permission);
        let dollars = |money: Option<lingate_metering::Money>| money.map(|it| it.to_string());
        Self {
            id: format!("req_{:032x}", record.id.as_u128()),
            started_at: moment_text(record.started_at),
            duration_ms: record.duration,
            first_token_ms: record.first_token,
            organization: Named::of(record.organization, names),
            project: Named::of(record.project, names),
            key: record.key.map(|id| Named::of(id, names)),
            user: record.user.map(|id| Named::of(id, names)),
            end_user: record.end_user.clone(),
            tags: record.tags.clone(),
            dialect: record.dialect.clone(),
            model: record.model.clone(),
            provider: record.provider.clone(),
            upstream_model: record.upstream_model.clone(),
            stream: record.stream,
            attempts: record.attempts,
            outcome: record.outcome.clone(),
            status: record.status,
            error: record.error.clone(),
            usage: record.usage.as_ref().map(|usage| Tokens {
                input: usage.prompt(),
                output: usage.output,
                cache_read: usage.cache_read,
                cache_write: usage.cache_write(),
                reasoning: usage.reasoning,
                searches: usage.searches,
            }),
            provenance: match record.provenance {
                Provenance::Reported => "reported",
                Provenance::Counted => "counted",
                Provenance::Estimated => "estimated",
                Provenance::Unknown => "unknown",
            },
            service_tier: record.service_tier.clone(),
            price: dollars(record.price),
            cost: dollars(record.cost).filter(|_| all),
            price_version: record.price_version.clone().filter(|_| all),
        }
    }
}

pub(super) async fn names(known: &Known, records: &[UsageRecord]) -> Result<Names, Problem> {
    let all = |of: fn(&UsageRecord) -> Option<Id>| records.iter().filter_map(of);
    known
        .names_with_keys(
            all(|record| Some(record.organization)),
            all(|record| Some(record.project)),
            all(|record| record.user),
            all(|record| record.key),
        )
        .await
}
