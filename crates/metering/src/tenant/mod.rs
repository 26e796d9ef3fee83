//! Who there is: organizations, their projects, users, and the keys that requests come with.

mod access;
mod directory;
mod key_text;
mod models;
mod prepaid;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use access::{Call, Denial, Denied, Level, Standing};
pub(crate) use directory::Plans;
pub use directory::{
    Conflict, Declared, Directory, Entity, Mentioned, Principal, Shown, Source, Why,
};
pub use key_text::{KeyText, Likeness};
pub use prepaid::{PlanTerm, PlanTerms, Prepaid};

use crate::limit::Limit;
use crate::{Id, Millis};

/// The organization, and its project, that everything belongs to which names none.
pub const DEFAULT: &str = "default";

/// A company, a customer. Whatever names none belongs to the one called `default`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    pub id: Id,
    pub name: String,
    #[serde(default)]
    pub rules: Rules,
}

impl Organization {
    /// The one that the configuration calls so, without rules.
    pub fn named(name: &str) -> Self {
        Self {
            id: Id::declared(&["organization", name]),
            name: name.to_owned(),
            rules: Rules::default(),
        }
    }
}

/// A part of an organization, for which keys are given out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    pub id: Id,
    pub organization: Id,
    /// Unique within the organization.
    pub name: String,
    #[serde(default)]
    pub rules: Rules,
}

impl Project {
    /// The one that the configuration calls so, without rules.
    pub fn named(organization: &Organization, name: &str) -> Self {
        Self {
            id: Id::declared(&["project", &organization.name, name]),
            organization: organization.id,
            name: name.to_owned(),
            rules: Rules::default(),
        }
    }
}

/// A person or a program that holds keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub id: Id,
    pub organization: Id,
    pub name: String,
    #[serde(default)]
    pub kind: UserKind,
    #[serde(default)]
    pub rules: Rules,
}

impl User {
    /// The one that the configuration calls so, without rules.
    pub fn named(organization: &Organization, name: &str) -> Self {
        Self {
            id: Id::declared(&["user", &organization.name, name]),
            organization: organization.id,
            name: name.to_owned(),
            kind: UserKind::default(),
            rules: Rules::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserKind {
    #[default]
    Person,
    ServiceAccount,
}

/// A key of the gateway. What callers show is known by its hash alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ApiKey {
    pub id: Id,
    pub project: Id,
    /// Unique within the project.
    pub name: String,
    /// Whose key it is.
    #[serde(default)]
    pub user: Option<Id>,
    /// More than one while an old secret may still be shown beside the one that replaces it.
    pub secrets: Vec<KeySecret>,
    #[serde(default)]
    pub expires_at: Option<Millis>,
    /// Words that routes can ask for.
    #[serde(default)]
    pub tags: Vec<String>,
    /// `None`: nobody says.
    #[serde(default)]
    pub kind: Option<KeyKind>,
    /// Dialects that it may be answered in, by name; empty: all.
    #[serde(default)]
    pub doors: Vec<String>,
    /// Where requests may come from; empty: everywhere.
    #[serde(default)]
    pub addresses: Vec<IpNet>,
    /// What is routed instead of the model that is asked for: name or glob, and model. The first that matches is taken.
    #[serde(default)]
    pub model_map: Vec<(String, String)>,
    /// Answers do not say how they came about (`x-lingate-provider`, `x-lingate-attempts` …).
    #[serde(default)]
    pub hides_headers: bool,
    #[serde(default)]
    pub rules: Rules,
}

impl ApiKey {
    /// The id of the key that the configuration calls so.
    pub fn id_of(organization: &str, project: &str, name: &str) -> Id {
        Id::declared(&["key", organization, project, name])
    }

    /// The id of a key of the configuration that has no name: its place in the list may become another's.
    pub fn id_without_name(sha256: &[u8; 32]) -> Id {
        Id::declared(&["key", &hex::text(sha256)])
    }
}

/// What a key of the gateway is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// To ask models.
    Inference,
    /// To see and to change how the gateway works.
    Management,
    /// To see how the gateway works.
    ReadOnly,
}

impl KeyKind {
    pub const ALL: [Self; 3] = [Self::Inference, Self::Management, Self::ReadOnly];

    /// As it is written in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Management => "management",
            Self::ReadOnly => "read_only",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a caller shows, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySecret {
    /// SHA-256 of the whole text.
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    /// Its last four characters, to know it by.
    pub hint: String,
    /// An old secret is good until then.
    #[serde(default)]
    pub expires_at: Option<Millis>,
}

/// What holds on every level; a request must satisfy those of its key, user, project and organization.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    pub blocked: bool,
    /// Models that may be asked for, as names and globs; empty: all.
    pub allow_models: Vec<String>,
    /// Models that may not, whatever allows them.
    pub deny_models: Vec<String>,
    pub limits: Vec<Limit>,
    /// The plan whose prices are charged; `None`: that of the level above, else what it costs. What the plan allows and how much
    /// ([`PlanRules`]) holds on this level besides.
    pub plan: Option<String>,
}

/// What holds for everybody that has a plan, beside its prices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanRules {
    pub plan: String,
    /// It blocks nobody, and names no plan.
    pub rules: Rules,
}

mod hex {
    use std::fmt::Write as _;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn text(hash: &[u8; 32]) -> String {
        hash.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(hash))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let bad = || D::Error::custom("expected 64 hexadecimal digits");
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
        }
        Ok(hash)
    }
}

#[cfg(test)]
mod tests;
