//! `lingate stats`: how much was used, by whom and of what, from the sums that the ledger keeps.

use clap::ArgMatches;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use lingate_metering::{Millis, Money};
use lingate_store::{Dimension, Grain, Measure, Report, UsageFilter, UsageQuery};
use serde_json::{Value, json};

use crate::local::tell;
use crate::remote::segment;
use crate::resource::Place;
use crate::table::Table;
use crate::tenants::names::Names;
use crate::{Failed, when};

const EXAMPLES: &str = "\
Examples:
  lingate stats requests --by model --since 24h
  lingate stats tokens --by project --since 7d --grain day
  lingate stats cost --by organization --since 2026-11-01
  lingate stats keys --since 1h
  lingate stats requests --server https://ai.example --by project

What has ended is in the sums within a second or two. Usage that nobody knows is in no sum of tokens, and counted by itself.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// How many requests there were, and how many of them failed.
    Requests(Options),
    /// How many tokens went in and out.
    Tokens(Options),
    /// What providers took, and what tenants were charged, in dollars.
    Cost(Options),
    /// Requests, tokens and cost of each key.
    Keys(Options),
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What sums are told apart by; with commas, several.
    #[arg(long, value_enum, value_delimiter = ',')]
    by: Vec<By>,
    /// From when on: how long ago (24h, 7d), or a date (2026-11-30).
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// Until when; without it, now.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// A row for each minute, hour or day.
    #[arg(long, value_enum)]
    grain: Option<Each>,
    /// At most so many groups, the largest first.
    #[arg(long, value_name = "N", default_value_t = 50)]
    top: usize,
    /// As JSON, for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Organization,
    Project,
    User,
    Key,
    Model,
    Provider,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Each {
    Minute,
    Hour,
    Day,
}

impl By {
    fn dimension(self) -> Dimension {
        match self {
            Self::Organization => Dimension::Organization,
            Self::Project => Dimension::Project,
            Self::User => Dimension::User,
            Self::Key => Dimension::Key,
            Self::Model => Dimension::Model,
            Self::Provider => Dimension::Provider,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::User => "user",
            Self::Key => "key",
            Self::Model => "model",
            Self::Provider => "provider",
        }
    }
}

/// A column: its name, and whether it is money.
type Column = (Measure, &'static str, bool);

const REQUESTS: &[Column] = &[
    (Measure::Requests, "requests", false),
    (Measure::Failed, "failed", false),
    (Measure::ClientGone, "client_gone", false),
    (Measure::GatewayLost, "gateway_lost", false),
];
const TOKENS: &[Column] = &[
    (Measure::InputTokens, "input_tokens", false),
    (Measure::OutputTokens, "output_tokens", false),
    (Measure::CacheRead, "cache_read", false),
    (Measure::CacheWrite, "cache_write", false),
    (Measure::Reasoning, "reasoning", false),
    (Measure::UnknownUsage, "unknown_usage", false),
];
const COST: &[Column] = &[
    (Measure::Cost, "cost", true),
    (Measure::Price, "price", true),
    (Measure::Requests, "requests", false),
    (Measure::Unpriced, "unpriced", false),
];
const KEYS: &[Column] = &[
    (Measure::Requests, "requests", false),
    (Measure::Failed, "failed", false),
    (Measure::InputTokens, "input_tokens", false),
    (Measure::OutputTokens, "output_tokens", false),
    (Measure::Price, "price", true),
];

pub(crate) fn run(command: &Command, matches: &ArgMatches) -> Result<u8, Failed> {
    let (options, columns) = match command {
        Command::Requests(options) => (options, REQUESTS),
        Command::Tokens(options) => (options, TOKENS),
        Command::Cost(options) => (options, COST),
        Command::Keys(options) => (options, KEYS),
    };
    let mut by = options.by.clone();
    if matches!(command, Command::Keys(_)) && !by.contains(&By::Key) {
        by.insert(0, By::Key);
    }
    let now = when::now();
    let from = when::gone_by(&options.since, now)?;
    let to = match &options.until {
        Some(until) => when::gone_by(until, now)?,
        None => now + 1,
    };
    let query = UsageQuery {
        measures: columns.iter().map(|(measure, ..)| *measure).collect(),
        from,
        to,
        grain: options.grain.map(|grain| match grain {
            Each::Minute => Grain::Minute,
            Each::Hour => Grain::Hour,
            Each::Day => Grain::Day,
        }),
        group_by: by.iter().map(|by| by.dimension()).collect(),
        filter: UsageFilter::default(),
        order: columns
            .first()
            .map_or(Measure::Requests, |(measure, ..)| *measure),
        limit: options.top,
    };
    let place = options.place.settled(matches)?;
    let told = if let Some(local) = place.local() {
        local.work(async |here| {
            let report = here.store.report(&query).await?;
            let names = Names::with_keys(here).await?;
            Ok(json!({
                "from": when::shown(report.from),
                "to": when::shown(report.to),
                "rows": rows(&report, &by, columns, &names),
            }))
        })?
    } else {
        options.elsewhere(&place, &by, columns, (from, to))?
    };
    let rows = told["rows"].as_array().cloned().unwrap_or_default();
    let mut heads: Vec<&str> = Vec::new();
    if options.grain.is_some() {
        heads.push("at");
    }
    heads.extend(by.iter().map(|by| by.name()));
    heads.extend(columns.iter().map(|(_, name, _)| *name));
    let mut table = Table::default();
    table.row(
        heads
            .iter()
            .map(|head| head.replace('_', " ").to_uppercase()),
    );
    for row in &rows {
        table.row(heads.iter().map(|head| match &row[*head] {
            Value::Null => "-".to_owned(),
            value => crate::resource::shown::text(value),
        }));
    }
    tell(options.json, &told, &table.lines(""))
}

impl Options {
    /// The same of a gateway that runs, as far as whoever asks may see it.
    fn elsewhere(
        &self,
        place: &Place,
        by: &[By],
        columns: &[Column],
        (from, to): (Millis, Millis),
    ) -> Result<Value, Failed> {
        let group_by: Vec<&str> = by.iter().map(|by| by.name()).collect();
        let mut path = match self.grain {
            None => "/api/v1/usage?".to_owned(),
            Some(Each::Minute) => "/api/v1/usage/series?grain=minute&".to_owned(),
            Some(Each::Hour) => "/api/v1/usage/series?grain=hour&".to_owned(),
            Some(Each::Day) => "/api/v1/usage/series?grain=day&".to_owned(),
        };
        for (name, value) in [
            ("since", when::shown(from)),
            ("until", when::shown(to)),
            ("group_by", group_by.join(",")),
        ] {
            path = format!("{path}{name}={}&", segment(&value));
        }
        let sort = match columns.first() {
            Some((Measure::InputTokens, ..)) => "-input_tokens",
            Some((Measure::Cost, ..)) => "-price",
            _ => "-requests",
        };
        path = format!("{path}sort={sort}&limit={}", self.top);
        let answer = place.work(async |desk| desk.ask(&Method::GET, &path, None).await)?;
        let told = answer.json()?;
        let rows = told["items"].as_array().into_iter().flatten();
        let rows = rows.map(|item| {
            let mut row = json!({});
            if item["at"].is_string() {
                row["at"] = item["at"].clone();
            }
            for by in by {
                let group = &item[by.name()];
                let path = if group["path"].is_string() {
                    &group["path"]
                } else {
                    &group["id"]
                };
                row[by.name()] = if group.is_object() { path } else { group }.clone();
            }
            for (_, name, _) in columns {
                let said = ["", "_tokens"].map(|end| format!("{name}{end}"));
                let said = said.iter().find_map(|name| item.get(name));
                row[*name] = said.cloned().unwrap_or_default();
            }
            row
        });
        Ok(json!({"from": told["from"], "to": told["to"], "rows": rows.collect::<Vec<_>>()}))
    }
}

/// As JSON; money as decimal dollars.
fn rows(report: &Report, by: &[By], columns: &[Column], names: &Names) -> Vec<Value> {
    let row = |row: &lingate_store::ReportRow| {
        let mut told = json!({});
        if let Some(at) = row.at {
            told["at"] = json!(when::shown(at));
        }
        for (by, group) in by.iter().zip(&row.group) {
            let name = group.as_ref().map(|group| match by {
                By::Model | By::Provider => group.clone(),
                By::Organization | By::Project | By::User | By::Key => {
                    let id = group.parse();
                    id.map_or_else(|_| group.clone(), |id| names.of(id))
                }
            });
            told[by.name()] = json!(name);
        }
        for ((_, name, is_money), sum) in columns.iter().zip(&row.sums) {
            told[*name] = if *is_money {
                json!(Money::from_nano(*sum).to_string())
            } else {
                json!(sum)
            };
        }
        told
    };
    report.rows.iter().map(row).collect()
}
