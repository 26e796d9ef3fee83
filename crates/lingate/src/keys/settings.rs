//! What may be said of a key on a command line.

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use lingate_dialect::DialectId;
use lingate_metering::tenant::{ApiKey, KeyKind, Project};

use crate::local::Here;
use crate::tenants::Found;
use crate::tenants::rules::RulesArgs;
use crate::{Failed, when};

#[derive(Debug, Clone, Args)]
pub(super) struct KeyArgs {
    /// Whose key it is; '' for nobody's.
    #[arg(long, value_name = "ORGANIZATION/USER")]
    user: Option<String>,
    /// When it ends: how long from now (30d, 12h), a date (2027-01-01), or never.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// What it is for: to ask models, to see and change how the gateway works, or to see it.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Words that routes can ask for, with commas.
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    tags: Option<Vec<String>>,
    /// The dialects that it may be answered in: chat, responses, messages, gemini, with commas; '' for all.
    #[arg(long, value_name = "DOORS", value_delimiter = ',')]
    doors: Option<Vec<String>>,
    /// Where requests may come from: addresses and networks (10.0.0.0/8), with commas; '' for everywhere.
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    addresses: Option<Vec<String>>,
    /// A model that is asked instead: fast=gpt-4o-mini. May be given several times; takes the place of all.
    #[arg(long, value_name = "MODEL=MODEL")]
    map: Option<Vec<String>>,
    #[command(flatten)]
    rules: RulesArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Inference,
    Management,
    ReadOnly,
}

impl KeyArgs {
    /// Lays what was said over a key; all but its user.
    pub(super) fn apply(&self, key: &mut ApiKey) -> Result<(), Failed> {
        if let Some(expires) = &self.expires {
            key.expires_at = when::to_come(expires, when::now())?;
        }
        if let Some(kind) = self.kind {
            key.kind = Some(match kind {
                Kind::Inference => KeyKind::Inference,
                Kind::Management => KeyKind::Management,
                Kind::ReadOnly => KeyKind::ReadOnly,
            });
        }
        if let Some(tags) = &self.tags {
            key.tags = written(tags).map(str::to_owned).collect();
        }
        if let Some(doors) = &self.doors {
            key.doors = written(doors).map(door).collect::<Result<_, _>>()?;
        }
        if let Some(addresses) = &self.addresses {
            key.addresses = written(addresses).map(network).collect::<Result<_, _>>()?;
        }
        if let Some(map) = &self.map {
            let pair = |pair| {
                let (from, to) = str::split_once(pair, '=')?;
                let (from, to) = (from.trim(), to.trim());
                (!from.is_empty() && !to.is_empty()).then(|| (from.to_owned(), to.to_owned()))
            };
            let wrong = |text: &str| {
                Failed::usage(format!(
                    "--map '{text}': write MODEL=MODEL, such as fast=gpt-4o-mini"
                ))
            };
            key.model_map = written(map)
                .map(|text| pair(text).ok_or_else(|| wrong(text)))
                .collect::<Result<_, _>>()?;
        }
        self.rules.apply(key.id, &mut key.rules)
    }

    /// Its user, who is of the same organization.
    pub(super) async fn apply_user(
        &self,
        here: &Here,
        project: &Found<Project>,
        key: &mut ApiKey,
    ) -> Result<(), Failed> {
        let Some(user) = &self.user else {
            return Ok(());
        };
        if user.is_empty() {
            key.user = None;
            return Ok(());
        }
        let found = here.user(user).await?;
        if found.value().organization != project.value().organization {
            return Err(Failed::new(format!(
                "the user `{user}` is another organization's than the key's project"
            )));
        }
        found.referred(here).await?;
        key.user = Some(found.id());
        Ok(())
    }
}

fn written(list: &[String]) -> impl Iterator<Item = &str> {
    let list = list.iter().map(|text| text.trim());
    list.filter(|text| !text.is_empty())
}

fn door(text: &str) -> Result<String, Failed> {
    let names = DialectId::ALL.map(DialectId::name);
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(Failed::usage(format!(
        "--doors: '{text}' is none; there are: {}",
        names.join(", ")
    )))
}

/// A network, or the one address.
fn network(text: &str) -> Result<IpNet, Failed> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            Failed::usage(format!(
                "--addresses: '{text}' is neither an address nor a network such as 10.0.0.0/8"
            ))
        })
}
