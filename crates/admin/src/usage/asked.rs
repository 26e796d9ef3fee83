//! What reports of usage can be asked.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use lingate_config::Age;
use lingate_metering::Millis;
use lingate_store::Dimension;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Scoped;
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// Of this organization alone: its id or name.
    #[param(example = "acme")]
    pub(crate) organization: Option<String>,
    /// Of this project alone: its id, or `organization/project`.
    pub(crate) project: Option<String>,
    /// Of this user alone: an id, `organization/user`, or the name of one of the organization that is asked for.
    pub(crate) user: Option<String>,
    /// Of this key alone: its id, or `organization/project/key`.
    pub(crate) key: Option<String>,
    /// As it was asked for.
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
    /// From when on: a moment or a day, in UTC where no zone is said, or how long ago (`24h`, `7d`).
    #[param(default = "24h", example = "2027-01-01T00:00:00Z")]
    pub(crate) since: Option<String>,
    /// Until when, that moment not included, in the same forms; left out: now.
    pub(crate) until: Option<String>,
}

impl Asked {
    pub(crate) fn scoped(&self) -> Scoped {
        Scoped {
            organization: self.organization.clone(),
            project: self.project.clone(),
            user: self.user.clone(),
            key: self.key.clone(),
            model: self.model.clone(),
            provider: self.provider.clone(),
        }
    }

    /// From when until when, the second not included.
    pub(crate) fn time(&self, now: Millis) -> Result<(Millis, Millis), Problem> {
        let from = gone_by("since", self.since.as_deref().unwrap_or("24h"), now)?;
        let to = match &self.until {
            Some(until) => gone_by("until", until, now)?,
            None => now.saturating_add(1),
        };
        Ok((from, to))
    }
}

fn gone_by(field: &'static str, text: &str, now: Millis) -> Result<Millis, Problem> {
    match lingate_config::age(text) {
        Some(Age::Of(time)) => {
            let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
            Ok(now.saturating_sub(time))
        }
        Some(Age::Forever) => Ok(0),
        None => moment(text).ok_or_else(|| {
            Problem::invalid(
                field,
                "expected a moment such as 2027-01-31T18:00:00Z, a day, or how long ago (24h, 7d)",
            )
        }),
    }
}

fn moment(text: &str) -> Option<Millis> {
    let in_utc = |time: DateTime| TimeZone::UTC.to_timestamp(time).ok();
    let at = text.parse::<Timestamp>().ok();
    let at = at.or_else(|| in_utc(text.parse::<DateTime>().ok()?));
    let at = at.or_else(|| in_utc(text.parse::<Date>().ok()?.at(0, 0, 0, 0)));
    at.map(Timestamp::as_millisecond)
}

/// What sums are told apart by: up to two, with commas.
pub(crate) fn group_by(text: Option<&str>) -> Result<Vec<Dimension>, Problem> {
    let mut found: Vec<Dimension> = Vec::new();
    let words = text.unwrap_or_default().split(',').map(str::trim);
    for word in words.filter(|word| !word.is_empty()) {
        let known = Dimension::ALL
            .into_iter()
            .find(|known| name(*known) == word);
        match known {
            Some(dimension) if !found.contains(&dimension) => found.push(dimension),
            Some(_) => {
                return Err(Problem::invalid(
                    "group_by",
                    format!("{word} is here twice"),
                ));
            }
            None => {
                let all = Dimension::ALL.map(name).join(", ");
                return Err(Problem::invalid(
                    "group_by",
                    format!("expected up to two of {all}"),
                ));
            }
        }
    }
    if found.len() > 2 {
        return Err(Problem::invalid("group_by", "at most two at once"));
    }
    Ok(found)
}

pub(crate) const fn name(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Organization => "organization",
        Dimension::Project => "project",
        Dimension::User => "user",
        Dimension::Key => "key",
        Dimension::Model => "model",
        Dimension::Provider => "provider",
    }
}
