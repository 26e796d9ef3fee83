//! Whether a principal may ask at all, and for which models. Reasons say who forbids, and what to do.

use std::fmt;
use std::net::IpAddr;

use super::models::{Name, allows, denies};
use super::{KeyKind, Principal, Rules, Shown};
use crate::{Id, Millis};

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Key,
    User,
    Project,
    Organization,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Project => "project",
            Self::Organization => "organization",
        })
    }
}

/// One of those whose rules a request must satisfy.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub level: Level,
    pub id: Id,
    pub name: &'a str,
    /// The plan that the rules are of, which this one has; `None`: they are its own.
    pub plan: Option<&'a str>,
    pub rules: &'a Rules,
}

/// What a request is, as far as it decides who may make it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub now: Millis,
    /// The name of the dialect that is answered in.
    pub door: &'a str,
    /// Where it comes from; `None`: nobody knows, which satisfies no list.
    pub address: Option<IpAddr>,
}

/// Why a principal may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Whose rule it is, and what that one is called.
    pub level: Level,
    pub name: String,
    /// The plan that the rule is of.
    pub plan: Option<String>,
    pub why: Denial,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    Blocked,
    /// The key is over since then.
    Expired(Millis),
    /// The key has another secret now; the old one is over since then.
    Rotated(Millis),
    /// The key is for the gateway itself.
    Kind(KeyKind),
    /// The key may be used with other dialects.
    Door {
        asked: String,
        allowed: Vec<String>,
    },
    /// The key may be used from elsewhere.
    Address(Option<IpAddr>),
    /// The model is on none of the names and globs that are allowed.
    NotListed(String),
    /// The model is on the list of those that are not.
    Listed(String),
}

impl Principal {
    /// All rules that count: those of every level, then those of their plans; the narrowest first.
    pub fn standings(&self) -> impl Iterator<Item = Standing<'_>> {
        let plans = self.plans.iter().filter_map(|(level, plan)| {
            let whose = self.levels().find(|whose| whose.level == *level)?;
            Some(Standing {
                plan: Some(&plan.plan),
                rules: &plan.rules,
                ..whose
            })
        });
        self.levels().chain(plans)
    }

    /// Everybody whose rules count, the narrowest first.
    pub fn levels(&self) -> impl Iterator<Item = Standing<'_>> {
        let key = self.key.as_ref().map(|key| Standing {
            level: Level::Key,
            id: key.id,
            name: &key.name,
            plan: None,
            rules: &key.rules,
        });
        let user = self.user.as_ref().map(|user| Standing {
            level: Level::User,
            id: user.id,
            name: &user.name,
            plan: None,
            rules: &user.rules,
        });
        let project = Standing {
            level: Level::Project,
            id: self.project.id,
            name: &self.project.name,
            plan: None,
            rules: &self.project.rules,
        };
        let organization = Standing {
            level: Level::Organization,
            id: self.organization.id,
            name: &self.organization.name,
            plan: None,
            rules: &self.organization.rules,
        };
        key.into_iter().chain(user).chain([project, organization])
    }

    /// The plan whose prices are charged: that of the narrowest level that names one.
    pub fn plan(&self) -> Option<&str> {
        self.levels()
            .find_map(|standing| standing.rules.plan.as_deref())
    }

    /// The name of the key; empty where callers have none.
    pub fn name(&self) -> &str {
        self.key.as_ref().map_or("", |key| &key.name)
    }

    pub fn key_id(&self) -> Option<Id> {
        self.key.as_ref().map(|key| key.id)
    }

    /// Whether somebody is blocked, or the key is over.
    pub fn is_good(&self, now: Millis) -> Result<(), Denied> {
        for standing in self.standings() {
            if standing.rules.blocked {
                return Err(standing.denies(Denial::Blocked));
            }
        }
        match self.key.as_ref().and_then(|key| key.expires_at) {
            Some(at) if at <= now => Err(self.key_denies(Denial::Expired(at))),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the request may be made, whatever model it is for.
    pub fn admits(&self, call: &Call<'_>) -> Result<(), Denied> {
        self.is_good(call.now)?;
        let Some(key) = &self.key else {
            return Ok(());
        };
        if let Some(kind @ (KeyKind::Management | KeyKind::ReadOnly)) = key.kind {
            return Err(self.key_denies(Denial::Kind(kind)));
        }
        self.comes_from_there(call.address)?;
        if !key.doors.is_empty() && !key.doors.iter().any(|door| door == call.door) {
            return Err(self.key_denies(Denial::Door {
                asked: call.door.to_owned(),
                allowed: key.doors.clone(),
            }));
        }
        Ok(())
    }

    /// Whether the key may be used from there. IPv4 addresses that are written as IPv6 are what they are.
    pub fn comes_from_there(&self, address: Option<IpAddr>) -> Result<(), Denied> {
        let lists = self.key.as_ref().map_or(&[][..], |key| &key.addresses);
        let near = lists.is_empty()
            || address.is_some_and(|address| {
                let plain = address.to_canonical();
                lists
                    .iter()
                    .any(|net| net.contains(&plain) || net.contains(&address))
            });
        if near {
            return Ok(());
        }
        Err(self.key_denies(Denial::Address(address)))
    }

    /// What is routed instead of a model; `None`: the model itself. What it leads to is not looked up again.
    pub fn mapped(&self, model: &str) -> Option<&str> {
        let map = &self.key.as_ref()?.model_map;
        let found = map
            .iter()
            .find(|(from, _)| lingate_catalog::glob::matches(from, model));
        found.map(|(_, to)| to.as_str())
    }

    /// Whether some level has something to say of models.
    pub fn is_choosy(&self) -> bool {
        self.standings().any(|standing| {
            !standing.rules.allow_models.is_empty() || !standing.rules.deny_models.is_empty()
        })
    }

    /// Whether a model may be asked for that the request, or a tag in it, names. Every level that allows some models must allow what
    /// is routed: what the key's map leads to, where it has the name. What a level denies is held against both, and against
    /// every other spelling of them; it wins.
    pub fn may_ask_for(&self, model: &str) -> Result<(), Denied> {
        if !self.is_choosy() {
            return Ok(());
        }
        let mapped = self.mapped(model);
        let routed = mapped.unwrap_or(model);
        let name = Name::of(routed);
        let asked = mapped.map(|_| Name::of(model));
        for standing in self.standings() {
            let Rules {
                allow_models,
                deny_models,
                ..
            } = standing.rules;
            let denied = denies(deny_models, &name)
                || asked
                    .as_ref()
                    .is_some_and(|asked| denies(deny_models, asked));
            if denied {
                return Err(standing.denies(Denial::Listed(model.to_owned())));
            }
            if !allow_models.is_empty() && !allows(allow_models, routed) {
                return Err(standing.denies(Denial::NotListed(model.to_owned())));
            }
        }
        Ok(())
    }

    fn key_denies(&self, why: Denial) -> Denied {
        Denied {
            level: Level::Key,
            name: self.name().to_owned(),
            plan: None,
            why,
        }
    }
}

impl Shown {
    /// Whether this secret is still good; its key may be blocked or over all the same.
    pub fn is_good(&self, now: Millis) -> Result<(), Denied> {
        match self.expires_at {
            Some(at) if at <= now => Err(self.principal.key_denies(Denial::Rotated(at))),
            Some(_) | None => Ok(()),
        }
    }
}

impl Standing<'_> {
    fn denies(&self, why: Denial) -> Denied {
        Denied {
            level: self.level,
            name: self.name.to_owned(),
            plan: self.plan.map(str::to_owned),
            why,
        }
    }
}

/// As callers are told, who may know the names of what they belong to.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            level,
            name,
            plan,
            why,
        } = self;
        let whose = match level {
            Level::Key => "this API key".to_owned(),
            Level::User | Level::Project | Level::Organization => format!("the {level} `{name}`"),
        };
        let whose = match plan {
            Some(plan) => format!("the plan `{plan}` of {whose}"),
            None => whose,
        };
        match why {
            Denial::Blocked => write!(
                f,
                "{whose} is blocked; whoever runs this gateway can unblock it"
            ),
            Denial::Expired(at) => write!(
                f,
                "this API key is over since {}; ask whoever runs this gateway for a new one",
                Told(*at)
            ),
            Denial::Rotated(at) => write!(
                f,
                "this API key was replaced by a new one, and is over since {}; use the new one",
                Told(*at)
            ),
            Denial::Kind(_) => f.write_str(
                "this API key is for managing the gateway and asks no models; use one with `kind: inference`, or without a kind",
            ),
            Denial::Door { asked, allowed } => write!(
                f,
                "this API key is not for the dialect {asked}; it is for {}",
                allowed.join(", ")
            ),
            Denial::Address(Some(address)) => write!(
                f,
                "this API key may not be used from {}; use it from an address that it is for",
                address.to_canonical()
            ),
            Denial::Address(None) => f.write_str(
                "this API key may be used from some addresses only, and it is not known where this request comes from",
            ),
            Denial::NotListed(model) => write!(
                f,
                "{whose} may not ask for the model '{model}'; GET /v1/models lists what this key may ask for"
            ),
            Denial::Listed(model) => write!(
                f,
                "{whose} is denied the model '{model}'; GET /v1/models lists what this key may ask for"
            ),
        }
    }
}

/// A moment, as people read it.
struct Told(Millis);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.div_euclid(1000)) {
            Ok(moment) => moment.fmt(f),
            Err(_) => f.write_str("long"),
        }
    }
}
