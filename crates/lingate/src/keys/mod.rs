//! `lingate keys`: the keys that callers show to this gateway.

mod settings;
mod snippets;

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use lingate_config::Loaded;
use lingate_metering::tenant::{ApiKey, KeyText, Rules};
use lingate_routing::Auth;
use lingate_store::{Filter, Stored, mint, new_id};
use serde_json::{Value, json};

use crate::Failed;
use crate::local::{Here, Local, Sure};
use crate::table::{Look, colours, painted};
use crate::tenants::Found;
use crate::tenants::names::Names;
use crate::tenants::shown::{lines, table, tell};
use crate::when;

use settings::KeyArgs;

const EXAMPLES: &str = "\
Examples:
  lingate keys create laptop --project acme/web --user acme/alice --expires 30d --limit requests=60/minute
  lingate keys create ci --models 'gpt-*' --doors chat,responses --addresses 10.0.0.0/8
  lingate keys list --project acme/web
  lingate keys rotate acme/web/laptop --overlap 24h
  lingate keys block acme/web/laptop
  lingate keys delete acme/web/laptop --yes

The secret is shown once, when a key is created or rotated; only its hash is kept. A key is named ORGANIZATION/PROJECT/KEY, by its id, or by a name
that no other key has. Without --project, it is one of `default/default`.

These commands work on the database of this machine's configuration (--config, --data); a gateway that runs takes changes up within a
second. Callers are asked for keys with `auth: keys` in lingate.yml.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// All keys, or those of a project or a user.
    List(List),
    /// One key.
    Show(One),
    /// Make a key, and show its secret once.
    Create(Create),
    /// Change what a key may do.
    Update(Update),
    /// Give a key another secret, and show that once.
    Rotate(Rotate),
    /// Refuse whoever shows a key, until it is unblocked.
    Block(One),
    /// Accept a key again.
    Unblock(One),
    /// Delete a key. What was used with it stays in the ledger.
    Delete {
        /// ORGANIZATION/PROJECT/KEY, a name that no other key has, or an id.
        key: String,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        local: Local,
    },
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// ORGANIZATION/PROJECT/KEY, a name that no other key has, or an id.
    key: String,
    #[command(flatten)]
    local: Local,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[arg(long, value_name = "ORGANIZATION", conflicts_with = "project")]
    organization: Option<String>,
    #[arg(long, value_name = "ORGANIZATION/PROJECT")]
    project: Option<String>,
    #[arg(long, value_name = "ORGANIZATION/USER")]
    user: Option<String>,
    /// Only those that are blocked.
    #[arg(long)]
    blocked: bool,
    #[command(flatten)]
    local: Local,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What it is called; unique within the project.
    name: String,
    #[arg(long, value_name = "ORGANIZATION/PROJECT", default_value = "default")]
    project: String,
    /// Where clients reach the gateway, for the lines that are printed; without it, the first address that it listens on.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    settings: KeyArgs,
    #[command(flatten)]
    local: Local,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// ORGANIZATION/PROJECT/KEY, a name that no other key has, or an id.
    key: String,
    /// Another name, without organization and project.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    settings: KeyArgs,
    #[command(flatten)]
    local: Local,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// ORGANIZATION/PROJECT/KEY, a name that no other key has, or an id.
    key: String,
    /// How long the secret that it has now is accepted besides: 24h, 30m, 7d; 0: no longer.
    #[arg(long, value_name = "TIME", default_value = "0")]
    overlap: String,
    /// Where clients reach the gateway, for the lines that are printed; without it, the first address that it listens on.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    local: Local,
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    match command {
        Command::List(list) => list.run(),
        Command::Show(One { key, local }) => {
            let told = local.work(async |here| {
                let found = here.key(key).await?;
                Ok(tell(&found, &Names::read(here).await?, when::now()))
            })?;
            local.tell(&told, &lines(&told))
        }
        Command::Create(create) => create.run(),
        Command::Update(update) => update.run(),
        Command::Rotate(rotate) => rotate.run(),
        Command::Block(one) => one.block(true),
        Command::Unblock(one) => one.block(false),
        Command::Delete { key, sure, local } => {
            let told = local.work(async |here| {
                let stored = here.key(key).await?.changeable(here)?;
                sure.ask(&format!("This deletes the key `{key}`"))?;
                here.store
                    .delete::<ApiKey>(stored.value.id, Some(stored.revision))
                    .await?;
                Ok(json!({"deleted": stored.value.id}))
            })?;
            local.tell(&told, &[format!("deleted the key {key}")])
        }
    }
}

impl List {
    fn run(&self) -> Result<u8, Failed> {
        let all = self.local.work(async |here| {
            let names = Names::read(here).await?;
            let mut filter = Filter {
                blocked: self.blocked.then_some(true),
                ..Filter::default()
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
            let of_organization = format!("{}/", self.organization.as_deref().unwrap_or(""));
            let (project, user) = (filter.project, filter.user);
            let wanted = |key: &ApiKey| {
                project.is_none_or(|project| key.project == project)
                    && user.is_none_or(|user| key.user == Some(user))
                    && (!self.blocked || key.rules.blocked)
                    && (self.organization.is_none()
                        || names.of(key.project).starts_with(&of_organization))
            };
            let all = here.list(filter, wanted).await?;
            let tell = |found: &Found<ApiKey>| tell(found, &names, when::now());
            Ok(all.iter().map(tell).collect::<Vec<Value>>())
        })?;
        let columns = [
            "name",
            "state",
            "secrets",
            "kind",
            "user",
            "expires_at",
            "models",
            "limits",
            "from",
            "id",
        ];
        self.local
            .tell(&json!({"keys": all}), &table(&columns, &all))
    }
}

impl Create {
    fn run(&self) -> Result<u8, Failed> {
        let text = mint()?;
        let (told, url) = self.local.work(async |here| {
            let project = here.project(&self.project).await?;
            if here
                .find::<ApiKey>(Some(project.id()), &self.name)
                .await?
                .is_some()
            {
                return Err(Failed::new(format!(
                    "there is a key `{}` in the project `{}`",
                    self.name, self.project
                )));
            }
            let mut key = ApiKey {
                id: new_id(),
                project: project.id(),
                name: self.name.clone(),
                user: None,
                secrets: vec![text.secret(None)],
                expires_at: None,
                tags: Vec::new(),
                kind: None,
                doors: Vec::new(),
                addresses: Vec::new(),
                model_map: Vec::new(),
                hides_headers: false,
                rules: Rules::default(),
            };
            self.settings.apply(&mut key)?;
            project.referred(here).await?;
            self.settings.apply_user(here, &project, &mut key).await?;
            let stored = here.store.create(&key).await?;
            Ok((
                told(here, stored).await?,
                address(self.url.as_deref(), &here.loaded),
            ))
        })?;
        show_secret(&self.local, told, &text, &url)
    }
}

impl Update {
    fn run(&self) -> Result<u8, Failed> {
        let told = self.local.work(async |here| {
            let stored = here.key(&self.key).await?.changeable(here)?;
            let mut key = stored.value;
            if let Some(name) = &self.name {
                key.name.clone_from(name);
            }
            self.settings.apply(&mut key)?;
            let project = here.project(&key.project.to_string()).await?;
            self.settings.apply_user(here, &project, &mut key).await?;
            let stored = here.store.update(&key, Some(stored.revision)).await?;
            told(here, stored).await
        })?;
        self.local.tell(&told, &lines(&told))
    }
}

impl Rotate {
    fn run(&self) -> Result<u8, Failed> {
        let overlap = when::lasting(&self.overlap)?;
        let text = mint()?;
        let (told, url) = self.local.work(async |here| {
            let stored = here.key(&self.key).await?.changeable(here)?;
            let until = when::now().saturating_add(overlap);
            let stored = here
                .store
                .rotate(
                    stored.value.id,
                    &text.secret(None),
                    until,
                    Some(stored.revision),
                )
                .await?;
            Ok((
                told(here, stored).await?,
                address(self.url.as_deref(), &here.loaded),
            ))
        })?;
        show_secret(&self.local, told, &text, &url)
    }
}

impl One {
    fn block(&self, blocked: bool) -> Result<u8, Failed> {
        let told = self.local.work(async |here| {
            let stored = here.key(&self.key).await?.changeable(here)?;
            let stored = here
                .store
                .set_blocked::<ApiKey>(stored.value.id, blocked, Some(stored.revision))
                .await?;
            told(here, stored).await
        })?;
        self.local.tell(&told, &lines(&told))
    }
}

async fn told(here: &Here, stored: Stored<ApiKey>) -> Result<Value, Failed> {
    if here.loaded.snapshot.auth != Auth::Keys {
        let advice = "note: callers are not asked for keys; `auth: keys` in lingate.yml asks them";
        writeln!(io::stderr(), "{advice}")?;
    }
    let names = Names::read(here).await?;
    Ok(tell(&Found::Stored(stored), &names, when::now()))
}

/// The one time that the secret is told.
fn show_secret(local: &Local, mut told: Value, text: &KeyText, url: &str) -> Result<u8, Failed> {
    if local.json {
        told["secret"] = json!(text.expose());
        return local.tell(&told, &[]);
    }
    let mut stdout = io::stdout().lock();
    for line in lines(&told) {
        writeln!(stdout, "{line}")?;
    }
    let secret = painted(text.expose(), Look::Strong, colours());
    writeln!(stdout, "\n{secret}\n")?;
    writeln!(
        stdout,
        "Keep it now: it is shown this once, and only its hash is kept.\n"
    )?;
    for line in snippets::snippets(url, text.expose()) {
        writeln!(stdout, "{line}")?;
    }
    Ok(0)
}

/// Where clients on this machine reach the gateway.
fn address(said: Option<&str>, loaded: &Loaded) -> String {
    let first = loaded.settings.listen.first();
    match (said, first) {
        (Some(url), _) => url.to_owned(),
        (None, Some(address)) if address.ip().is_unspecified() => {
            format!("http://127.0.0.1:{}", address.port())
        }
        (None, Some(address)) => format!("http://{address}"),
        (None, None) => "http://127.0.0.1:8080".to_owned(),
    }
}
