//! `lingate projects`: parts of organizations, for which keys are given out.

use clap::{Args, Subcommand};
use lingate_metering::tenant::{DEFAULT, Project, Rules};
use lingate_store::{Entity as _, Filter, new_id};
use serde_json::{Value, json};

use crate::Failed;
use crate::local::{Local, Sure};
use crate::organizations::Block;
use crate::tenants::Found;
use crate::tenants::names::Names;
use crate::tenants::rules::RulesArgs;
use crate::tenants::shown::{lines, table, tell};
use crate::when;

const EXAMPLES: &str = "\
Examples:
  lingate projects list --organization acme
  lingate projects create acme/web --limit requests=600/minute
  lingate projects update acme/web --no-limits --models 'gpt-*'
  lingate projects delete acme/web --yes

A project is named ORGANIZATION/PROJECT; without an organization, it is one of the organization `default`.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// All projects, or those of an organization.
    List {
        #[arg(long, value_name = "ORGANIZATION")]
        organization: Option<String>,
        #[command(flatten)]
        local: Local,
    },
    /// One project.
    Show {
        /// ORGANIZATION/PROJECT, or an id.
        project: String,
        #[command(flatten)]
        local: Local,
    },
    /// Make a project.
    Create {
        /// ORGANIZATION/PROJECT
        project: String,
        #[command(flatten)]
        rules: RulesArgs,
        #[command(flatten)]
        local: Local,
    },
    /// Change a project.
    Update(Update),
    /// Delete a project that has no keys any more.
    Delete {
        /// ORGANIZATION/PROJECT, or an id.
        project: String,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        local: Local,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// ORGANIZATION/PROJECT, or an id.
    project: String,
    /// Another name, without the organization.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    block: Block,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    local: Local,
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    match command {
        Command::List {
            organization,
            local,
        } => {
            let all = local.work(async |here| {
                let names = Names::read(here).await?;
                let of = match organization {
                    Some(organization) => Some(here.organization(organization).await?.id()),
                    None => None,
                };
                let filter = Filter {
                    organization: of,
                    ..Filter::default()
                };
                let wanted = |project: &Project| of.is_none_or(|of| project.organization == of);
                let all = here.list(filter, wanted).await?;
                let tell = |found: &Found<Project>| tell(found, &names, when::now());
                Ok(all.iter().map(tell).collect::<Vec<Value>>())
            })?;
            let columns = ["name", "blocked", "models", "limits", "plan", "from", "id"];
            local.tell(&json!({"projects": all}), &table(&columns, &all))
        }
        Command::Show { project, local } => {
            let told = local.work(async |here| {
                let found = here.project(project).await?;
                Ok(tell(&found, &Names::read(here).await?, when::now()))
            })?;
            local.tell(&told, &lines(&told))
        }
        Command::Create {
            project,
            rules,
            local,
        } => {
            let told = local.work(async |here| {
                let (organization, name) = project.split_once('/').unwrap_or((DEFAULT, project));
                let organization = here.organization(organization).await?;
                let of = Some(organization.id());
                if here.find::<Project>(of, name).await?.is_some() {
                    return Err(Failed::new(format!("there is a project `{project}`")));
                }
                let mut project = Project {
                    id: new_id(),
                    organization: organization.id(),
                    name: name.to_owned(),
                    rules: Rules::default(),
                };
                rules.apply(project.id(), &mut project.rules)?;
                organization.referred(here).await?;
                let stored = here.store.create(&project).await?;
                let names = Names::read(here).await?;
                Ok(tell(&Found::Stored(stored), &names, when::now()))
            })?;
            local.tell(&told, &lines(&told))
        }
        Command::Update(update) => {
            let told = update.local.work(async |here| {
                let stored = here.project(&update.project).await?.changeable(here)?;
                let mut project = stored.value;
                if let Some(name) = &update.name {
                    project.name.clone_from(name);
                }
                update.block.apply(&mut project.rules);
                update.rules.apply(project.id, &mut project.rules)?;
                let stored = here.store.update(&project, Some(stored.revision)).await?;
                let names = Names::read(here).await?;
                Ok(tell(&Found::Stored(stored), &names, when::now()))
            })?;
            update.local.tell(&told, &lines(&told))
        }
        Command::Delete {
            project,
            sure,
            local,
        } => {
            let told = local.work(async |here| {
                let stored = here.project(project).await?.changeable(here)?;
                sure.ask(&format!("This deletes the project `{project}`"))?;
                here.store
                    .delete::<Project>(stored.value.id, Some(stored.revision))
                    .await?;
                Ok(json!({"deleted": stored.value.id}))
            })?;
            local.tell(&told, &[format!("deleted the project {project}")])
        }
    }
}
