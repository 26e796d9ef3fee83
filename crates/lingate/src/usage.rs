//! `lingate usage`: single records of requests, the newest first.

use clap::{ArgMatches, Args, Subcommand};
use http::Method;
use lingate_metering::record::UsageRecord;
use lingate_metering::{Id, Millis};
use lingate_store::UsageFilter;
use serde_json::{Value, json};

use crate::local::{Local, tell as print};
use crate::remote::segment;
use crate::resource::Place;
use crate::resource::shown::{lines, table};
use crate::tenants::names::Names;
use crate::{Failed, when};

const EXAMPLES: &str = "\
Examples:
  lingate usage list --since 1h
  lingate usage list --key laptop --outcome gateway_lost --since 7d
  lingate usage list --model gpt-4o --limit 500 --json
  lingate usage list --server https://ai.example --project acme/web
  lingate usage show req_01a22ece8e13720487fb078959de5a86

A request is in the list a second or two after its end. Its id is the `x-request-id` of the answer.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Records, the newest first, page by page.
    List(Box<List>),
    /// All that is known of one request.
    Show {
        /// The id of the request, as `x-request-id` tells it.
        id: String,
        /// As JSON, for scripts.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[arg(long, value_name = "ORGANIZATION")]
    organization: Option<String>,
    #[arg(long, value_name = "ORGANIZATION/PROJECT")]
    project: Option<String>,
    #[arg(long, value_name = "ORGANIZATION/USER")]
    user: Option<String>,
    /// ORGANIZATION/PROJECT/KEY, a name that no other key has, or an id.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The model, as it was asked for.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// How it ended, by the name that the log has for it: complete, client_gone, gateway_lost, …
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// From when on: how long ago (24h, 7d), or a date (2026-11-30).
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// Until when; without it, now.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// What the page before told as `next`.
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    /// As JSON, for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(command: &Command, matches: &ArgMatches) -> Result<u8, Failed> {
    match command {
        Command::List(list) => list.run(&list.place.settled(matches)?),
        Command::Show { id, json, place } => {
            let place = place.settled(matches)?;
            let told = if let Some(local) = place.local() {
                one(id, &local)?
            } else {
                let path = format!("/api/v1/requests/{}", segment(id));
                let answer = place.work(async |desk| desk.ask(&Method::GET, &path, None).await)?;
                answer.json()?
            };
            show(&told, *json)
        }
    }
}

impl List {
    fn run(&self, place: &Place) -> Result<u8, Failed> {
        let Some(local) = place.local() else {
            let told = self.elsewhere(place)?;
            let rows: Vec<Value> = told["items"]
                .as_array()
                .into_iter()
                .flatten()
                .map(short)
                .collect();
            let records = json!({"records": told["items"], "next": told["next"]});
            return self.tell(&records, &rows);
        };
        let now = when::now();
        let from = when::gone_by(&self.since, now)?;
        let to = match &self.until {
            Some(until) => when::gone_by(until, now)?,
            None => now + 1,
        };
        let after = self.after.as_deref().map(position).transpose()?;
        let (page, names) = local.work(async |here| {
            let mut filter = UsageFilter {
                model: self.model.clone(),
                provider: self.provider.clone(),
                ..UsageFilter::default()
            };
            if let Some(organization) = &self.organization {
                filter.organization = Some(here.organization(organization).await?.id());
            }
            if let Some(project) = &self.project {
                filter.project = Some(here.project(project).await?.id());
            }
            if let Some(user) = &self.user {
                filter.user = Some(here.user(user).await?.id());
            }
            if let Some(key) = &self.key {
                // One that is deleted has its id still.
                filter.key = Some(match key.parse() {
                    Ok(id) => id,
                    Err(_) => here.key(key).await?.id(),
                });
            }
            let outcome = self.outcome.as_deref();
            let records =
                here.store
                    .records(&filter, outcome, from, to, after.as_ref(), self.limit);
            Ok((records.await?, Names::with_keys(here).await?))
        })?;
        let records: Vec<Value> = page
            .records
            .iter()
            .map(|record| tell(record, &names))
            .collect();
        let next = page.next.map(|(at, id)| format!("{at}-{id}"));
        let rows: Vec<Value> = records.iter().map(short).collect();
        self.tell(&json!({"records": records, "next": next}), &rows)
    }

    fn elsewhere(&self, place: &Place) -> Result<Value, Failed> {
        let mut path = format!("/api/v1/requests?limit={}", self.limit.min(1000));
        let since = Some(&self.since);
        for (name, value) in [
            ("organization", self.organization.as_ref()),
            ("project", self.project.as_ref()),
            ("user", self.user.as_ref()),
            ("key", self.key.as_ref()),
            ("model", self.model.as_ref()),
            ("provider", self.provider.as_ref()),
            ("outcome", self.outcome.as_ref()),
            ("since", since),
            ("until", self.until.as_ref()),
            ("cursor", self.after.as_ref()),
        ] {
            if let Some(value) = value {
                path = format!("{path}&{name}={}", segment(value));
            }
        }
        let answer = place.work(async |desk| desk.ask(&Method::GET, &path, None).await)?;
        answer.json()
    }

    fn tell(&self, told: &Value, rows: &[Value]) -> Result<u8, Failed> {
        let columns = [
            "at",
            "from",
            "model",
            "provider",
            "outcome",
            "status",
            "input",
            "output",
            "usage",
            "price",
            "milliseconds",
            "id",
        ];
        let mut lines = table(&columns, rows);
        if let Some(next) = told["next"].as_str() {
            lines.push(format!("more: --after {next}"));
        }
        print(self.json, told, &lines)
    }
}

/// What stands in a row.
fn short(told: &Value) -> Value {
    let whose = if told["key"].is_null() {
        &told["project"]
    } else {
        &told["key"]
    };
    let took = ["duration_ms", "duration"];
    json!({
        "at": told["started_at"],
        "from": whose,
        "model": told["model"],
        "provider": told["provider"],
        "outcome": told["outcome"],
        "status": told["status"],
        "input": told["usage"]["input"],
        "output": told["usage"]["output"],
        "usage": told["provenance"],
        "price": told["price"],
        "milliseconds": took.iter().find_map(|name| told.get(name)),
        "id": told["id"],
    })
}

/// The record with names, dollars and dates.
fn tell(record: &UsageRecord, names: &Names) -> Value {
    let mut told = json!(record);
    told["id"] = json!(format!("req_{}", plain(record.id)));
    told["started_at"] = json!(when::shown(record.started_at));
    told["organization"] = json!(names.of(record.organization));
    told["project"] = json!(names.of(record.project));
    told["key"] = json!(record.key.map(|key| names.of(key)));
    told["user"] = json!(record.user.map(|user| names.of(user)));
    told["cost"] = json!(record.cost.map(|cost| cost.to_string()));
    told["price"] = json!(record.price.map(|price| price.to_string()));
    told
}

/// As in `x-request-id`.
fn plain(id: Id) -> String {
    format!("{:032x}", id.as_u128())
}

fn one(id: &str, local: &Local) -> Result<Value, Failed> {
    let bare = id.strip_prefix("req_").unwrap_or(id);
    let number = u128::from_str_radix(&bare.replace('-', ""), 16).ok();
    let wanted = number.filter(|_| bare.len() >= 32).map(Id::from_u128);
    let Some(wanted) = wanted else {
        return Err(Failed::usage(format!(
            "'{id}' is no id of a request: it is what answers tell as `x-request-id`"
        )));
    };
    local.work(async |here| {
        let record = here.store.record(wanted).await?.ok_or_else(|| {
            Failed::new(format!(
                "there is no record of {id}: no provider was asked with it, it is not over, or it is older than records are kept"
            ))
        })?;
        Ok(tell(&record, &Names::with_keys(here).await?))
    })
}

fn show(told: &Value, json: bool) -> Result<u8, Failed> {
    let mut shown = told.clone();
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && *value != json!([]));
    }
    print(json, told, &lines(&shown))
}

/// Where a page ended.
fn position(text: &str) -> Result<(Millis, Id), Failed> {
    let parsed = text.split_once('-').and_then(|(at, id)| {
        let id = id.parse().ok()?;
        Some((at.parse().ok()?, id))
    });
    parsed.ok_or_else(|| Failed::usage(format!("--after: '{text}' is nothing that a page told")))
}
