//! From `organizations` and `api_keys` to what a directory is made of.
//!
//! The store may have organizations, projects and users that the file does not. So a key may name what is not in the file: a note
//! says so where the file describes organizations, and a directory finds it in the store, or makes it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lingate_dialect::DialectId;
use lingate_metering::tenant::{
    ApiKey, DEFAULT, Declared, KeyKind, KeySecret, Mentioned, Organization, PlanRules, Project,
    Rules, User, UserKind,
};
use lingate_metering::{Id, Millis};
use secrecy::ExposeSecret as _;

use crate::date;
use crate::place::{closest, did_you_mean};
use crate::read::{Reader, Value};

/// What keys were seen so far.
#[derive(Default)]
struct Seen {
    secrets: BTreeSet<[u8; 32]>,
    /// Within a project.
    names: BTreeSet<(Id, String)>,
}

impl Reader<'_> {
    pub(crate) fn tenants(&mut self, root: &Value) -> Declared {
        let section = root.get("organizations");
        let mut declared = Declared::default();
        for (name, value) in root.get("plans").map_or(&[][..], Value::entries) {
            let rules = self.rules(value, &["plan", name]);
            if rules != Rules::default() {
                declared.plans.push(PlanRules {
                    plan: name.clone(),
                    rules,
                });
            }
        }
        for (name, value) in section.map(Value::entries).unwrap_or_default() {
            self.organization(name, value, &mut declared);
        }
        let keys = root.get("api_keys").map(Value::items).unwrap_or_default();
        let mut seen = Seen::default();
        for (place, value) in keys.iter().enumerate() {
            self.api_key(place, value, section.is_some(), &mut declared, &mut seen);
        }
        declared
    }

    fn organization(&mut self, name: &str, value: &Value, declared: &mut Declared) {
        if !self.is_name(name, value) {
            return;
        }
        let organization = Organization {
            rules: self.rules(value, &["organization", name]),
            ..Organization::named(name)
        };
        for (inner, value) in entries(value, "projects") {
            if self.is_name(inner, value) {
                declared.projects.push(Project {
                    rules: self.rules(value, &["project", name, inner]),
                    ..Project::named(&organization, inner)
                });
            }
        }
        for (inner, value) in entries(value, "users") {
            if self.is_name(inner, value) {
                declared.users.push(User {
                    kind: match value.get("kind").and_then(Value::text) {
                        Some("service_account") => UserKind::ServiceAccount,
                        Some(_) | None => UserKind::Person,
                    },
                    rules: self.rules(value, &["user", name, inner]),
                    ..User::named(&organization, inner)
                });
            }
        }
        declared.organizations.push(organization);
    }

    /// Names stand in paths, one behind the other.
    fn is_name(&mut self, name: &str, value: &Value) -> bool {
        let wrong = if name.trim() != name || name.is_empty() {
            "a name may not be empty, or begin or end with a space"
        } else if name.contains('/') {
            "a name may hold no slash, which stands between organization and project"
        } else {
            return true;
        };
        self.problem(&value.place, &value.path, wrong);
        false
    }

    /// `owner`: whose rules they are, as ids are made.
    fn rules(&mut self, value: &Value, owner: &[&str]) -> Rules {
        Rules {
            blocked: value.get("blocked").and_then(Value::flag).unwrap_or(false),
            allow_models: Value::texts(value.get("models")),
            deny_models: Value::texts(value.get("deny_models")),
            limits: self.limits(value.get("limits"), owner),
            plan: value.get("plan").and_then(Value::text).map(str::to_owned),
        }
    }

    fn api_key(
        &mut self,
        place: usize,
        value: &Value,
        described: bool,
        declared: &mut Declared,
        seen: &mut Seen,
    ) {
        let Some(secret) = value
            .secret()
            .or_else(|| value.get("key").and_then(Value::secret))
        else {
            if !self.told(&value.path) {
                self.problem(&value.place, &value.path, "needs a `key`");
            }
            return;
        };
        let secret = KeySecret::of(secret.expose_secret(), None);
        let said = value.get("name").and_then(Value::text);
        let name = said.map_or_else(|| format!("key-{}", place + 1), str::to_owned);
        let secrets = self.secrets_of_key(value, secret);
        let new = secrets.iter().filter(|own| seen.secrets.insert(own.sha256));
        if new.count() < secrets.len() {
            self.problem(&value.place, &value.path, "this key is here twice");
            return;
        }
        let Some((organization, project)) = self.project(value, described, declared) else {
            return;
        };
        let user = value.get("user").and_then(|user| {
            let said = self.user(user, &organization, described, declared)?;
            Some(said.id)
        });
        if !seen.names.insert((project.id, name.clone())) {
            let message = format!("the name `{name}` is here twice");
            self.problem(&value.place, &value.path, message);
            return;
        }
        let expires_at = value.get("expires").and_then(|said| self.moment(said));
        if let (Some(at), Some(said)) = (expires_at, value.get("expires"))
            && at <= now()
        {
            self.note(
                &said.place,
                &said.path,
                "is past: requests with this key are turned away",
            );
        }
        let id = match (said, secrets.first()) {
            (None, Some(secret)) => ApiKey::id_without_name(&secret.sha256),
            (Some(_), _) | (None, None) => ApiKey::id_of(&organization.name, &project.name, &name),
        };
        // A place in the list may become another's.
        let unnamed = id.to_string();
        let own = [
            "key",
            &organization.name,
            &project.name,
            said.unwrap_or(&unnamed),
        ];
        let rules = self.rules(value, &own);
        let model_map = self.model_map(value.get("model_map"), &rules);
        declared.keys.push(ApiKey {
            id,
            project: project.id,
            user,
            secrets,
            expires_at,
            tags: Value::texts(value.get("tags")),
            kind: value
                .get("kind")
                .and_then(Value::text)
                .and_then(KeyKind::from_name),
            doors: self.doors(value.get("doors")),
            addresses: self.networks(value.get("addresses")),
            model_map,
            hides_headers: value.get("lingate_headers").and_then(Value::flag) == Some(false),
            rules,
            name,
        });
    }

    /// The secret, and the one that it replaces.
    fn secrets_of_key(&mut self, value: &Value, secret: KeySecret) -> Vec<KeySecret> {
        let old = value.get("old_key");
        let until = value.get("old_key_until");
        let mut secrets = vec![secret];
        match (old.and_then(Value::secret), until) {
            (Some(old), Some(until)) => {
                let expires_at = self.moment(until);
                if expires_at.is_some_and(|at| at <= now()) {
                    let message =
                        "is past: `old_key` is not accepted any more, and can be left out";
                    self.note(&until.place, &until.path, message);
                }
                let old = KeySecret::of(old.expose_secret(), expires_at);
                if secrets.iter().any(|secret| secret.sha256 == old.sha256) {
                    self.problem(&value.place, &value.path, "`old_key` is the `key` itself");
                } else {
                    secrets.push(old);
                }
            }
            (Some(_), None) => {
                if !self.told(&format!("{}.old_key_until", value.path)) {
                    let message = "`old_key` needs `old_key_until`: until when it is good";
                    self.problem(&value.place, &value.path, message);
                }
            }
            (None, Some(until)) => {
                let message = "has no effect without `old_key`";
                self.note(&until.place, &until.path, message);
            }
            (None, None) => {}
        }
        secrets
    }

    /// Where the key belongs; what is not in the file is mentioned.
    fn project(
        &mut self,
        value: &Value,
        described: bool,
        declared: &mut Declared,
    ) -> Option<(Organization, Project)> {
        let tenant = value.get("tenant").and_then(Value::text);
        let said = value.get("project");
        let path = said.and_then(Value::text);
        let (outer, inner) = match path.map(|path| (path.split_once('/'), path)) {
            None => (tenant.unwrap_or(DEFAULT), DEFAULT),
            Some((None, project)) => (tenant.unwrap_or(DEFAULT), project),
            Some((Some((organization, project)), _)) => {
                if tenant.is_some_and(|tenant| tenant != organization) {
                    let message =
                        "is another organization's than `tenant`, which can be left out beside it";
                    self.problem(&value.place, &value.path, format!("`project` {message}"));
                    return None;
                }
                (organization, project)
            }
        };
        if let Some(said) = said
            && (inner.is_empty() || outer.is_empty() || inner.contains('/'))
        {
            let message = "expected `organization/project`, or the name of a project";
            self.problem(&said.place, &said.path, message);
            return None;
        }
        let organization = Organization::named(outer);
        let known = |known: &Organization| known.id == organization.id;
        let project = Project::named(&organization, inner);
        if !declared.organizations.iter().any(known) {
            if let Some(said) = said.or_else(|| value.get("tenant"))
                && described
                && outer != DEFAULT
            {
                let names = declared.organizations.iter().map(|known| &*known.name);
                let meant = did_you_mean(outer, names);
                let message = format!("`{outer}` {NOT_HERE}{meant}");
                self.note(&said.place, &said.path, message);
            }
            mention(
                &mut declared.mentioned.organizations,
                &organization,
                |known| known.id == organization.id,
            );
        }
        if !declared.projects.iter().any(|known| known.id == project.id) {
            let beside = declared
                .projects
                .iter()
                .filter(|known| known.organization == organization.id);
            let names: Vec<&str> = beside.map(|known| &*known.name).collect();
            if let Some(said) = said
                && declared.organizations.iter().any(known)
                && inner != DEFAULT
            {
                let meant = closest(inner, names.iter().copied());
                let meant = meant.map(|meant| format!("; did you mean `{outer}/{meant}`?"));
                let message = format!("`{outer}/{inner}` {NOT_HERE}{}", meant.unwrap_or_default());
                self.note(&said.place, &said.path, message);
            }
            mention(&mut declared.mentioned.projects, &project, |known| {
                known.id == project.id
            });
        }
        Some((organization, project))
    }

    fn user(
        &mut self,
        said: &Value,
        organization: &Organization,
        described: bool,
        declared: &mut Declared,
    ) -> Option<User> {
        let name = said.text()?;
        let user = User::named(organization, name);
        if !declared.users.iter().any(|known| known.id == user.id) {
            let beside = declared
                .users
                .iter()
                .filter(|known| known.organization == organization.id);
            let names: Vec<&str> = beside.map(|known| &*known.name).collect();
            if described {
                let meant = did_you_mean(name, names);
                let message = format!("`{name}` of `{}` {NOT_HERE}{meant}", organization.name);
                self.note(&said.place, &said.path, message);
            }
            mention(&mut declared.mentioned.users, &user, |known| {
                known.id == user.id
            });
        }
        Some(user)
    }

    fn doors(&mut self, said: Option<&Value>) -> Vec<String> {
        let mut doors = Vec::new();
        for value in said.map(Value::items).unwrap_or_default() {
            let name = value.text().unwrap_or_default();
            match DialectId::from_name(name) {
                Some(dialect) if doors.iter().any(|door| door == dialect.name()) => {
                    self.problem(&value.place, &value.path, "this door is here twice");
                }
                Some(dialect) => doors.push(dialect.name().to_owned()),
                None => {
                    let known = DialectId::ALL.map(DialectId::name);
                    let meant = did_you_mean(name, known);
                    let message = format!("expected one of {}{meant}", known.join(", "));
                    self.problem(&value.place, &value.path, message);
                }
            }
        }
        doors
    }

    pub(crate) fn networks(&mut self, said: Option<&Value>) -> Vec<IpNet> {
        let mut networks: Vec<IpNet> = Vec::new();
        for value in said.map(Value::items).unwrap_or_default() {
            let text = value.text().unwrap_or_default();
            let read = text.parse::<IpAddr>().map(IpNet::from);
            match read.ok().or_else(|| text.parse::<IpNet>().ok()) {
                Some(network) if networks.contains(&network) => {
                    self.problem(&value.place, &value.path, "this address is here twice");
                }
                Some(network) => networks.push(network),
                None => {
                    let message =
                        "expected an address such as 192.0.2.7, or a network such as 10.0.0.0/8";
                    self.problem(&value.place, &value.path, message);
                }
            }
        }
        networks
    }

    fn model_map(&mut self, said: Option<&Value>, rules: &Rules) -> Vec<(String, String)> {
        let mut map: Vec<(String, String)> = Vec::new();
        for (from, value) in said.map(Value::entries).unwrap_or_default() {
            let to = value.text().unwrap_or_default();
            if to.contains('*') {
                let message = "expected a model, not a pattern";
                self.problem(&value.place, &value.path, message);
                continue;
            }
            let listed = |list: &[String]| {
                list.iter()
                    .any(|pattern| lingate_catalog::glob::matches(pattern, to))
            };
            if !rules.allow_models.is_empty() && !listed(&rules.allow_models) {
                let message = format!(
                    "leads to `{to}`, which is none of the key's `models`: such requests are refused"
                );
                self.note(&value.place, &value.path, message);
            }
            map.push((from.clone(), to.to_owned()));
        }
        map
    }

    /// A day, at whose beginning in UTC it is, or a moment.
    fn moment(&mut self, said: &Value) -> Option<Millis> {
        let moment = date::moment(said.text().unwrap_or_default(), &TimeZone::UTC);
        if moment.is_none() {
            let message =
                "expected a day such as 2027-01-31, or a moment such as 2027-01-31T18:00:00+01:00";
            self.problem(&said.place, &said.path, message);
        }
        moment
    }
}

const NOT_HERE: &str =
    "is not in `organizations`: it is what the store has of that name, else one without rules";

fn now() -> Millis {
    Timestamp::now().as_millisecond()
}

fn entries<'v>(value: &'v Value, name: &str) -> &'v [(String, Value)] {
    value.get(name).map(Value::entries).unwrap_or_default()
}

/// Adds what is not there yet.
fn mention<T: Clone>(list: &mut Vec<T>, thing: &T, is: impl Fn(&T) -> bool) {
    if !list.iter().any(is) {
        list.push(thing.clone());
    }
}

/// What `when` may name: keys, and organizations.
pub(crate) struct Names {
    pub(crate) keys: Vec<String>,
    pub(crate) organizations: Vec<String>,
}

impl Names {
    pub(crate) fn of(declared: &Declared) -> Self {
        let Mentioned { organizations, .. } = &declared.mentioned;
        let all = declared.organizations.iter().chain(organizations);
        Self {
            keys: declared.keys.iter().map(|key| key.name.clone()).collect(),
            organizations: all.map(|organization| organization.name.clone()).collect(),
        }
    }
}
