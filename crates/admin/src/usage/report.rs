//! Sums as they are told.

use lingate_metering::{Id, Money};
use lingate_store::{Dimension, Measure, Report, ReportRow, UsageQuery};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Allowed;
use crate::frame::moment_text;
use crate::problem::Problem;
use crate::tenants::{Known, Names};

/// Sums, the largest group first; within a group by time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageReport)]
pub(crate) struct Shown {
    /// What was asked for, widened to whole minutes, hours or days.
    #[schema(example = "2027-01-01T00:00:00.000Z")]
    pub(crate) from: String,
    /// Not included.
    pub(crate) to: String,
    pub(crate) items: Vec<Row>,
}

/// Who or what it is, as far as sums are told apart by it; and what was used.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = UsageRow)]
pub(crate) struct Row {
    /// When the time of this row begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<Named>,
    /// Not there also where it is nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Named>,
    /// Not there also where callers have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    requests: i64,
    /// Those whose answer is not what was asked for.
    failed: i64,
    client_gone: i64,
    gateway_lost: i64,
    input_tokens: i64,
    output_tokens: i64,
    /// Of the input, what was read from caches.
    cache_read_tokens: i64,
    cache_write_tokens: i64,
    /// Of the output.
    reasoning_tokens: i64,
    images: i64,
    /// Requests of whose usage nobody knows: it is in no sum of tokens.
    unknown_usage: i64,
    /// Requests that no price is known for: they are in no sum of money.
    unpriced: i64,
    /// Dollars that tenants are charged.
    #[schema(example = "12.345")]
    price: String,
    /// Dollars that providers take; told to those who see the usage of the whole platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Named {
    id: String,
    /// The names from the organization down; of what is gone, not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "acme/web")]
    path: Option<String>,
}

impl Named {
    pub(crate) fn of(id: Id, names: &Names) -> Self {
        Self {
            id: id.to_string(),
            path: names.name(id).map(|_| names.path(id)),
        }
    }
}

pub(super) const MEASURES: [Measure; 15] = [
    Measure::Requests,
    Measure::Failed,
    Measure::ClientGone,
    Measure::GatewayLost,
    Measure::InputTokens,
    Measure::OutputTokens,
    Measure::CacheRead,
    Measure::CacheWrite,
    Measure::Reasoning,
    Measure::Images,
    Measure::UnknownUsage,
    Measure::Unpriced,
    Measure::Price,
    Measure::Cost,
    Measure::EstimatedUsage,
];

/// What is the largest.
pub(super) fn order(sort: Option<&str>) -> Result<Measure, Problem> {
    match sort {
        None | Some("-requests") => Ok(Measure::Requests),
        Some("-price") => Ok(Measure::Price),
        Some("-input_tokens") => Ok(Measure::InputTokens),
        Some("-output_tokens") => Ok(Measure::OutputTokens),
        Some("-failed") => Ok(Measure::Failed),
        Some(_) => Err(Problem::invalid(
            "sort",
            "expected one of -requests, -price, -input_tokens, -output_tokens, -failed",
        )),
    }
}

pub(super) async fn tell(
    known: &Known,
    allowed: &Allowed,
    query: &UsageQuery,
    report: &Report,
) -> Result<Shown, Problem> {
    let ids = |wanted: Dimension| {
        let place = query.group_by.iter().position(|by| *by == wanted);
        report.rows.iter().filter_map(move |row| {
            let name = row.group.get(place?)?.as_deref()?;
            name.parse::<Id>().ok()
        })
    };
    let names = known
        .names_with_keys(
            ids(Dimension::Organization),
            ids(Dimension::Project),
            ids(Dimension::User),
            ids(Dimension::Key),
        )
        .await?;
    let all = allowed.actor.may_on_platform(allowed.permission);
    let items = report.rows.iter();
    Ok(Shown {
        from: moment_text(report.from),
        to: moment_text(report.to),
        items: items.map(|row| told(query, row, &names, all)).collect(),
    })
}

fn told(query: &UsageQuery, row: &ReportRow, names: &Names, all: bool) -> Row {
    let sum = |wanted: Measure| {
        let place = query.measures.iter().position(|measure| *measure == wanted);
        place
            .and_then(|place| row.sums.get(place).copied())
            .unwrap_or(0)
    };
    let dollars = |nano: i64| Money::from_nano(nano).to_string();
    let mut told = Row {
        at: row.at.map(moment_text),
        requests: sum(Measure::Requests),
        failed: sum(Measure::Failed),
        client_gone: sum(Measure::ClientGone),
        gateway_lost: sum(Measure::GatewayLost),
        input_tokens: sum(Measure::InputTokens),
        output_tokens: sum(Measure::OutputTokens),
        cache_read_tokens: sum(Measure::CacheRead),
        cache_write_tokens: sum(Measure::CacheWrite),
        reasoning_tokens: sum(Measure::Reasoning),
        images: sum(Measure::Images),
        unknown_usage: sum(Measure::UnknownUsage),
        unpriced: sum(Measure::Unpriced),
        price: dollars(sum(Measure::Price)),
        cost: all.then(|| dollars(sum(Measure::Cost))),
        ..Row::default()
    };
    for (by, group) in query.group_by.iter().zip(&row.group) {
        let who = || Some(Named::of(group.as_deref()?.parse().ok()?, names));
        match by {
            Dimension::Organization => told.organization = who(),
            Dimension::Project => told.project = who(),
            Dimension::User => told.user = who(),
            Dimension::Key => told.key = who(),
            Dimension::Model => told.model.clone_from(group),
            Dimension::Provider => told.provider.clone_from(group),
        }
    }
    told
}
