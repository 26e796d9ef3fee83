//! What holds on every level, as it is read and told.

use lingate_config::{limits_in_json, limits_of_json};
use lingate_metering::tenant::Rules;
use lingate_metering::{Id, Millis};
use lingate_store::Stored;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Source;
use crate::access::{Allowed, Permission};
use crate::frame::{Fields, moment_text};
use crate::problem::Problem;

/// The rules of an organization, a project, a user or a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rules)]
pub(crate) struct ShownRules {
    /// Whatever belongs to it is refused.
    pub(crate) blocked: bool,
    /// Models that may be asked for, as names and globs; not there: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["gpt-*"]))]
    pub(crate) models: Vec<String>,
    /// Models that may not, whatever allows them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) deny_models: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<WrittenLimit>)]
    pub(crate) limits: Vec<Value>,
    /// The plan whose prices are charged; not there: that of the level above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<String>,
}

/// A limit, as lingate.yml writes it: of exactly one measure, with `per` unless it is of concurrency.
#[derive(Debug, ToSchema)]
#[schema(as = Limit)]
#[expect(
    dead_code,
    reason = "it says what `lingate_config::limits_of_json` reads"
)]
pub(crate) struct WrittenLimit {
    /// What refusals and events call it. A limit that keeps its name keeps what is used of it.
    name: Option<String>,
    requests: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    tokens: Option<u64>,
    images: Option<u64>,
    /// Dollars.
    #[schema(example = "12.5")]
    cost: Option<String>,
    /// Requests at the same time.
    concurrency: Option<u64>,
    /// `second`, `minute`, `hour`, `day`, `week`, `month`, `year`, a length such as `5m` or `30d`, or `total`.
    #[schema(example = "month")]
    per: Option<String>,
    /// `sliding` or `calendar`.
    window: Option<String>,
    /// The time zone of a calendar window.
    #[schema(example = "Asia/Shanghai")]
    zone: Option<String>,
    /// Only requests for this model count: a name or a glob.
    model: Option<String>,
    /// Only what this provider is asked counts: a name or a glob.
    provider: Option<String>,
    /// `end_user`, `model`, `provider`: each has the amount for itself.
    each: Option<Vec<String>>,
    /// `hard`, `soft` or `shadow`.
    enforcement: Option<String>,
    /// Percent of the amount at which an event is raised, rising.
    thresholds: Option<Vec<u8>>,
    /// The model that is asked instead of refusing.
    downgrade: Option<String>,
    /// `allow` or `refuse`, for models whose price nobody knows.
    unpriced: Option<String>,
    /// A larger amount for some time.
    raise: Option<WrittenRaise>,
}

#[derive(Debug, ToSchema)]
#[schema(as = LimitRaise)]
#[expect(
    dead_code,
    reason = "it says what `lingate_config::limits_of_json` reads"
)]
pub(crate) struct WrittenRaise {
    /// As the limit's own is written, as text.
    amount: String,
    /// A date or a moment.
    until: String,
}

/// Where a thing is from, and since when.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stamp {
    pub(crate) source: Source,
    /// Of what is in the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2027-01-31T18:00:00.000Z")]
    pub(crate) created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) updated_at: Option<String>,
}

impl Stamp {
    pub(crate) fn file() -> Self {
        Self {
            source: Source::File,
            created_at: None,
            updated_at: None,
        }
    }

    pub(crate) fn of<T>(stored: &Stored<T>) -> Self {
        let told = |at: Millis| Some(moment_text(at));
        Self {
            source: Source::Store,
            created_at: told(stored.created_at),
            updated_at: told(stored.updated_at),
        }
    }
}

/// What rules are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Organization,
    /// Within an organization.
    Inner,
}

impl ShownRules {
    pub(crate) fn of(rules: &Rules) -> Self {
        let Rules {
            blocked,
            allow_models,
            deny_models,
            limits,
            plan,
        } = rules;
        Self {
            blocked: *blocked,
            models: allow_models.clone(),
            deny_models: deny_models.clone(),
            limits: limits_in_json(limits),
            plan: plan.clone(),
        }
    }

    /// `owner`: whose rules they are.
    pub(crate) fn read(fields: &mut Fields, owner: Id) -> Rules {
        let limits = match fields.value("limits") {
            None => Vec::new(),
            Some(limits) => {
                limits_of_json(&limits, &[&owner.to_string()]).unwrap_or_else(|wrong| {
                    for misfit in wrong {
                        fields.wrong(&format!("limits{}", misfit.pointer), misfit.message);
                    }
                    Vec::new()
                })
            }
        };
        Rules {
            blocked: fields.flag("blocked").unwrap_or(false),
            allow_models: fields.words("models"),
            deny_models: fields.words("deny_models"),
            limits,
            plan: fields.word("plan"),
        }
    }

    /// Whether rules may be changed so. What tenants are charged is for the platform to say, and so are the rules of whole
    /// organizations: who is held by a budget does not raise it, and who is blocked does not unblock himself.
    pub(crate) fn may(
        allowed: &Allowed,
        level: Level,
        before: Option<&Rules>,
        after: &Rules,
    ) -> Result<(), Problem> {
        let none = Rules::default();
        let before = before.unwrap_or(&none);
        let plans = Permission::PlansWrite;
        if before.plan != after.plan && !allowed.actor.may_on_platform(plans) {
            return Err(Problem::forbidden(
                "the plan, by which prices are charged, is set by those who hold `plans.write` on the platform",
            ));
        }
        let rules = Permission::OrganizationsUpdate;
        if level == Level::Organization && before != after && !allowed.actor.may_on_platform(rules)
        {
            return Err(Problem::forbidden(
                "what holds for a whole organization (`blocked`, `models`, `deny_models`, `limits`, `plan`) is set by those who hold `organizations.update` on the platform; you can set it for projects, users and keys",
            ));
        }
        Ok(())
    }
}
