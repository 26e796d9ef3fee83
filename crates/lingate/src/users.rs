//! `lingate users`: persons and programs that hold keys.

use clap::{Args, Subcommand, ValueEnum};
use lingate_metering::tenant::{DEFAULT, Rules, User, UserKind};
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
  lingate users list --organization acme
  lingate users create acme/alice --limit tokens=1000000/day
  lingate users create acme/nightly --kind service-account
  lingate users update acme/alice --block
  lingate users delete acme/alice --yes

A user is named ORGANIZATION/USER; without an organization, it is one of the organization `default`.";

/// What a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Person,
    ServiceAccount,
}

impl From<Kind> for UserKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Person => Self::Person,
            Kind::ServiceAccount => Self::ServiceAccount,
        }
    }
}

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// All users, or those of an organization.
    List {
        #[arg(long, value_name = "ORGANIZATION")]
        organization: Option<String>,
        #[command(flatten)]
        local: Local,
    },
    /// One user.
    Show {
        /// ORGANIZATION/USER, or an id.
        user: String,
        #[command(flatten)]
        local: Local,
    },
    /// Make a user.
    Create {
        /// ORGANIZATION/USER
        user: String,
        #[arg(long, value_enum, default_value = "person")]
        kind: Kind,
        #[command(flatten)]
        rules: RulesArgs,
        #[command(flatten)]
        local: Local,
    },
    /// Change a user.
    Update(Update),
    /// Delete a user who has no keys any more.
    Delete {
        /// ORGANIZATION/USER, or an id.
        user: String,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        local: Local,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// ORGANIZATION/USER, or an id.
    user: String,
    /// Another name, without the organization.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[arg(long, value_enum)]
    kind: Option<Kind>,
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
                let wanted = |user: &User| of.is_none_or(|of| user.organization == of);
                let all = here.list(filter, wanted).await?;
                let tell = |found: &Found<User>| tell(found, &names, when::now());
                Ok(all.iter().map(tell).collect::<Vec<Value>>())
            })?;
            let columns = [
                "name", "kind", "blocked", "models", "limits", "plan", "from", "id",
            ];
            local.tell(&json!({"users": all}), &table(&columns, &all))
        }
        Command::Show { user, local } => {
            let told = local.work(async |here| {
                let found = here.user(user).await?;
                Ok(tell(&found, &Names::read(here).await?, when::now()))
            })?;
            local.tell(&told, &lines(&told))
        }
        Command::Create {
            user,
            kind,
            rules,
            local,
        } => {
            let told = local.work(async |here| {
                let (organization, name) = user.split_once('/').unwrap_or((DEFAULT, user));
                let organization = here.organization(organization).await?;
                let of = Some(organization.id());
                if here.find::<User>(of, name).await?.is_some() {
                    return Err(Failed::new(format!("there is a user `{user}`")));
                }
                let mut user = User {
                    id: new_id(),
                    organization: organization.id(),
                    name: name.to_owned(),
                    kind: (*kind).into(),
                    rules: Rules::default(),
                };
                rules.apply(user.id(), &mut user.rules)?;
                organization.referred(here).await?;
                let stored = here.store.create(&user).await?;
                let names = Names::read(here).await?;
                Ok(tell(&Found::Stored(stored), &names, when::now()))
            })?;
            local.tell(&told, &lines(&told))
        }
        Command::Update(update) => {
            let told = update.local.work(async |here| {
                let stored = here.user(&update.user).await?.changeable(here)?;
                let mut user = stored.value;
                if let Some(name) = &update.name {
                    user.name.clone_from(name);
                }
                if let Some(kind) = update.kind {
                    user.kind = kind.into();
                }
                update.block.apply(&mut user.rules);
                update.rules.apply(user.id, &mut user.rules)?;
                let stored = here.store.update(&user, Some(stored.revision)).await?;
                let names = Names::read(here).await?;
                Ok(tell(&Found::Stored(stored), &names, when::now()))
            })?;
            update.local.tell(&told, &lines(&told))
        }
        Command::Delete { user, sure, local } => {
            let told = local.work(async |here| {
                let stored = here.user(user).await?.changeable(here)?;
                sure.ask(&format!("This deletes the user `{user}`"))?;
                here.store
                    .delete::<User>(stored.value.id, Some(stored.revision))
                    .await?;
                Ok(json!({"deleted": stored.value.id}))
            })?;
            local.tell(&told, &[format!("deleted the user {user}")])
        }
    }
}
