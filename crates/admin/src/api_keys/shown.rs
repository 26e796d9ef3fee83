//! A key as it is told and made. Of its secrets the last characters are told.

use lingate_metering::tenant::{ApiKey, KeyKind};
use lingate_metering::{Id, Millis};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::frame::moment_text;
use crate::tenants::{Names, ShownRules, Stamp, WrittenLimit};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct Shown {
    pub(crate) id: String,
    #[schema(example = "laptop")]
    pub(crate) name: String,
    /// The names from the organization down.
    #[schema(example = "acme/web/laptop")]
    pub(crate) path: String,
    /// The id of its organization.
    pub(crate) organization: String,
    /// The id of its project.
    pub(crate) project: String,
    /// The id of the user whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[schema(inline)]
    pub(crate) state: State,
    /// More than one while an old secret is accepted beside the new one.
    pub(crate) secrets: Vec<ShownSecret>,
    /// It is refused from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2027-01-31T18:00:00.000Z")]
    pub(crate) expires_at: Option<String>,
    /// Words that routes can ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    /// What it is for: `inference`, `management` or `read_only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "inference")]
    pub(crate) kind: Option<&'static str>,
    /// Dialects that it may be used with; not there: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["chat", "messages"]))]
    pub(crate) doors: Vec<String>,
    /// Where requests may come from, as networks; not there: everywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["10.0.0.0/8"]))]
    pub(crate) addresses: Vec<String>,
    /// What is routed instead of a model: a name or a glob, and a model. The first that matches is taken.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub(crate) model_map: Map<String, Value>,
    /// Answers do not say how they came about.
    pub(crate) hides_headers: bool,
    #[serde(flatten)]
    pub(crate) rules: ShownRules,
    #[serde(flatten)]
    pub(crate) stamp: Stamp,
}

/// Whether it is accepted, as far as the key itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Active,
    Blocked,
    Expired,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeySecret)]
pub(crate) struct ShownSecret {
    /// Its last four characters.
    #[schema(example = "x7Qa")]
    pub(crate) ends_in: String,
    /// An old secret is accepted until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<String>,
}

impl Shown {
    pub(super) fn of(key: &ApiKey, stamp: Stamp, names: &Names, now: Millis) -> Self {
        let ApiKey {
            id,
            project,
            name,
            user,
            secrets,
            expires_at,
            tags,
            kind,
            doors,
            addresses,
            model_map,
            hides_headers,
            rules,
        } = key;
        let state = match expires_at {
            _ if rules.blocked => State::Blocked,
            Some(at) if *at <= now => State::Expired,
            Some(_) | None => State::Active,
        };
        let organization = names.parent(*project);
        let map = model_map.iter();
        Self {
            id: id.to_string(),
            name: name.clone(),
            path: format!("{}/{name}", names.path(*project)),
            organization: organization.unwrap_or_default().to_string(),
            project: project.to_string(),
            user: user.as_ref().map(Id::to_string),
            state,
            secrets: secrets
                .iter()
                .map(|secret| ShownSecret {
                    ends_in: secret.hint.clone(),
                    expires_at: secret.expires_at.map(moment_text),
                })
                .collect(),
            expires_at: expires_at.map(moment_text),
            tags: tags.clone(),
            kind: kind.map(KeyKind::name),
            doors: doors.clone(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            model_map: map
                .map(|(from, to)| (from.clone(), Value::from(to.as_str())))
                .collect(),
            hides_headers: *hides_headers,
            rules: ShownRules::of(rules),
            stamp,
        }
    }
}

#[derive(Debug, ToSchema)]
#[schema(as = NewApiKey)]
#[expect(dead_code, reason = "it says what `resource` reads field by field")]
pub(crate) struct New {
    /// Unique within the project.
    #[schema(example = "laptop")]
    name: String,
    /// An id, or `organization/project`.
    #[schema(example = "acme/web")]
    project: String,
    /// An id, or the name of a user of the organization. Left out by somebody who may make keys of their own alone, it is their own.
    user: Option<String>,
    /// RFC 3339.
    expires_at: Option<String>,
    tags: Option<Vec<String>>,
    /// `inference`, `management` or `read_only`. The last two take no less power than the key has.
    kind: Option<String>,
    doors: Option<Vec<String>>,
    addresses: Option<Vec<String>>,
    model_map: Option<std::collections::BTreeMap<String, String>>,
    hides_headers: Option<bool>,
    blocked: Option<bool>,
    models: Option<Vec<String>>,
    deny_models: Option<Vec<String>>,
    limits: Option<Vec<WrittenLimit>>,
    plan: Option<String>,
}

#[derive(Debug, ToSchema)]
#[schema(as = ApiKeyPatch)]
#[expect(dead_code, reason = "it says what `resource` reads field by field")]
pub(crate) struct Patch {
    name: Option<String>,
    user: Option<String>,
    expires_at: Option<String>,
    tags: Option<Vec<String>>,
    kind: Option<String>,
    doors: Option<Vec<String>>,
    addresses: Option<Vec<String>>,
    model_map: Option<std::collections::BTreeMap<String, String>>,
    hides_headers: Option<bool>,
    blocked: Option<bool>,
    models: Option<Vec<String>>,
    deny_models: Option<Vec<String>>,
    limits: Option<Vec<WrittenLimit>>,
    plan: Option<String>,
}
