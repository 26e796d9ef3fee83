//! `lingate organizations`: companies, customers, and what holds for all that belongs to one.

use clap::{Args, Subcommand};
use lingate_metering::tenant::{DEFAULT, Organization, Rules};
use lingate_store::{Filter, new_id};
use serde_json::{Value, json};

use crate::Failed;
use crate::local::{Local, Sure};
use crate::tenants::Found;
use crate::tenants::names::Names;
use crate::tenants::rules::RulesArgs;
use crate::tenants::shown::{lines, table, tell};
use crate::when;

const EXAMPLES: &str = "\
Examples:
  lingate organizations list
  lingate organizations create acme --limit cost=500/month,zone=Asia/Shanghai --models 'gpt-*,claude-*'
  lingate organizations update acme --block
  lingate organizations show acme
  lingate organizations delete acme --yes

These commands work on the database of this machine's configuration (--config, --data); a gateway that runs takes changes up within a
second. What lingate.yml names is listed too, and changed there alone.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// All organizations.
    List(Local),
    /// One organization.
    Show {
        /// Its name or id.
        organization: String,
        #[command(flatten)]
        local: Local,
    },
    /// Make an organization.
    Create {
        name: String,
        #[command(flatten)]
        rules: RulesArgs,
        #[command(flatten)]
        local: Local,
    },
    /// Change an organization.
    Update(Update),
    /// Delete an organization to which nothing belongs any more.
    Delete {
        /// Its name or id.
        organization: String,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        local: Local,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Its name or id.
    organization: String,
    /// Another name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    block: Block,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    local: Local,
}

/// Whether somebody may do anything at all.
#[derive(Debug, Clone, Args)]
pub(crate) struct Block {
    /// Refuse everything, also of what belongs to it.
    #[arg(long, conflicts_with = "unblock")]
    block: bool,
    /// Let it in again.
    #[arg(long)]
    unblock: bool,
}

impl Block {
    pub(crate) fn apply(&self, rules: &mut Rules) {
        rules.blocked = (rules.blocked || self.block) && !self.unblock;
    }
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    match command {
        Command::List(local) => {
            let all = local.work(async |here| {
                let names = Names::read(here).await?;
                let mut all = here
                    .list::<Organization>(Filter::default(), |_| true)
                    .await?;
                if !all.iter().any(|found| found.value().name == DEFAULT) {
                    all.insert(0, Found::Declared(Organization::named(DEFAULT)));
                }
                let tell = |found: &Found<Organization>| tell(found, &names, when::now());
                Ok(all.iter().map(tell).collect::<Vec<Value>>())
            })?;
            let columns = ["name", "blocked", "models", "limits", "plan", "from", "id"];
            local.tell(&json!({"organizations": all}), &table(&columns, &all))
        }
        Command::Show {
            organization,
            local,
        } => {
            let told = local.work(async |here| {
                let found = here.organization(organization).await?;
                Ok(tell(&found, &Names::default(), when::now()))
            })?;
            local.tell(&told, &lines(&told))
        }
        Command::Create { name, rules, local } => {
            let told = local.work(async |here| {
                if here.find::<Organization>(None, name).await?.is_some() {
                    return Err(Failed::new(format!("there is an organization `{name}`")));
                }
                let mut organization = Organization {
                    id: new_id(),
                    name: name.clone(),
                    rules: Rules::default(),
                };
                rules.apply(organization.id, &mut organization.rules)?;
                let stored = here.store.create(&organization).await?;
                Ok(tell(&Found::Stored(stored), &Names::default(), when::now()))
            })?;
            local.tell(&told, &lines(&told))
        }
        Command::Update(update) => {
            let told = update.local.work(async |here| {
                let found = here.organization(&update.organization).await?;
                let stored = found.changeable(here)?;
                let mut organization = stored.value;
                if let Some(name) = &update.name {
                    organization.name.clone_from(name);
                }
                update.block.apply(&mut organization.rules);
                update
                    .rules
                    .apply(organization.id, &mut organization.rules)?;
                let stored = here
                    .store
                    .update(&organization, Some(stored.revision))
                    .await?;
                Ok(tell(&Found::Stored(stored), &Names::default(), when::now()))
            })?;
            update.local.tell(&told, &lines(&told))
        }
        Command::Delete {
            organization,
            sure,
            local,
        } => {
            let told = local.work(async |here| {
                let found = here.organization(organization).await?;
                let stored = found.changeable(here)?;
                sure.ask(&format!("This deletes the organization `{organization}`"))?;
                here.store
                    .delete::<Organization>(stored.value.id, Some(stored.revision))
                    .await?;
                Ok(json!({"deleted": stored.value.id}))
            })?;
            local.tell(&told, &[format!("deleted the organization {organization}")])
        }
    }
}
