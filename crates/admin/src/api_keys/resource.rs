//! What keys are among tenants.

use std::net::IpAddr;

use ipnet::IpNet;
use lingate_dialect::DialectId;
use lingate_metering::Id;
use lingate_metering::tenant::{ApiKey, Declared, KeyKind, Rules};
use lingate_store::{Kind, new_id};

use super::power::covers;
use super::shown::Shown;
use crate::access::Allowed;
use crate::frame::{Fields, in_pointer, now};
use crate::problem::Problem;
use crate::tenants::{Known, Level, Names, Place, Resource, ShownRules, Stamp};

pub(crate) enum ApiKeys {}

impl Resource for ApiKeys {
    type Thing = ApiKey;
    type Shown = Shown;

    const KIND: Kind = Kind::ApiKey;
    const NOUN: &'static str = "key";
    const PARENT: Option<&'static str> = Some("project");
    const FIXED: &'static [&'static str] = &[
        "id",
        "path",
        "organization",
        "project",
        "state",
        "secrets",
        "source",
        "created_at",
        "updated_at",
    ];

    fn declared(part: &Declared) -> impl Iterator<Item = &ApiKey> + Send {
        part.keys.iter()
    }

    fn parent(key: &ApiKey) -> Option<Id> {
        Some(key.project)
    }

    fn holder(key: &ApiKey) -> Option<Id> {
        key.user
    }

    fn place(key: &ApiKey, names: &Names) -> Place {
        Place {
            organization: names.parent(key.project).unwrap_or_default(),
            project: Some(key.project),
            user: key.user,
        }
    }

    fn show(key: &ApiKey, stamp: Stamp, names: &Names) -> Shown {
        Shown::of(key, stamp, names, now())
    }

    fn visible(allowed: &Allowed, place: Place) -> Result<(), Problem> {
        let project = place.project.unwrap_or_default();
        allowed.of_user(place.organization, project, place.user, Self::NOUN)
    }

    fn creatable(allowed: &Allowed, place: Place) -> Result<(), Problem> {
        let project = place.project.unwrap_or_default();
        let mut permissions = std::iter::once(allowed.permission).chain(allowed.own);
        if permissions.any(|permission| {
            allowed
                .actor
                .may_in_project(permission, place.organization, project)
        }) {
            return Ok(());
        }
        Err(Problem::not_found("project"))
    }

    fn new(project: Option<Id>) -> ApiKey {
        ApiKey {
            id: new_id(),
            project: project.unwrap_or_default(),
            ..ApiKey::default()
        }
    }

    async fn read(
        fields: &mut Fields,
        key: &mut ApiKey,
        place: Place,
        known: &Known,
    ) -> Result<(), Problem> {
        key.name = fields.needed("name");
        let is_new = key.secrets.is_empty();
        key.user = match fields.text("user") {
            Some(text) => {
                let found = known.user(Some(place.organization), &text).await?;
                let found = found.filter(|user| user.organization == place.organization);
                if found.is_none() {
                    fields.wrong("user", "there is no such user in the organization");
                }
                found.map(|user| user.id)
            }
            None if is_new && !manages_all(&known.allowed, place) => own(known, place).await?,
            None => None,
        };
        key.expires_at = fields.moment("expires_at");
        key.tags = fields.words("tags");
        key.kind = fields.choice("kind", KeyKind::ALL, |kind| kind.name());
        key.doors = fields.words("doors");
        let doors = DialectId::ALL.map(DialectId::name);
        for (place, door) in key.doors.iter().enumerate() {
            if !doors.contains(&door.as_str()) {
                let expected = format!("expected one of {}", doors.join(", "));
                fields.wrong(&format!("doors/{place}"), expected);
            }
        }
        key.addresses.clear();
        for (place, text) in fields.words("addresses").iter().enumerate() {
            let one = text.parse::<IpAddr>().map(IpNet::from);
            match one.ok().or_else(|| text.parse().ok()) {
                Some(network) if key.addresses.contains(&network) => {
                    fields.wrong(&format!("addresses/{place}"), "is here twice");
                }
                Some(network) => key.addresses.push(network),
                None => fields.wrong(
                    &format!("addresses/{place}"),
                    "expected an address such as 192.0.2.7, or a network such as 10.0.0.0/8",
                ),
            }
        }
        key.model_map = fields.pairs("model_map");
        for (from, to) in &key.model_map {
            let clean = |text: &str| !text.is_empty() && text.trim() == text;
            if !clean(from) || !clean(to) || to.contains('*') {
                fields.wrong(
                    &format!("model_map/{}", in_pointer(from)),
                    "expected a name or a pattern, and the name of a model",
                );
            }
        }
        key.hides_headers = fields.flag("hides_headers").unwrap_or(false);
        key.rules = ShownRules::read(fields, key.id);
        Ok(())
    }

    fn rules(key: &Self::Thing) -> &Rules {
        &key.rules
    }

    fn may(
        allowed: &Allowed,
        before: Option<&ApiKey>,
        after: &ApiKey,
        place: Place,
        names: &Names,
    ) -> Result<(), Problem> {
        if !manages_all(allowed, place) && !allowed.actor.is_user(after.user) {
            return Err(Problem::forbidden(
                "you may have keys of your own user alone: leave `user` out, or name yourself",
            ));
        }
        // Whoever finds such a key in the wrong hands may block it.
        let blocks = before.is_some_and(|before| {
            let mut blocked = before.clone();
            blocked.rules.blocked = true;
            blocked == *after
        });
        if !blocks {
            covers(allowed, after, place, names)?;
            if let Some(before) = before {
                covers(allowed, before, place, names)?;
            }
        }
        let before = before.map(|before| &before.rules);
        ShownRules::may(allowed, Level::Inner, before, &after.rules)
    }
}

/// Whether whoever asks may have to do with keys of everybody there.
fn manages_all(allowed: &Allowed, place: Place) -> bool {
    let project = place.project.unwrap_or_default();
    allowed
        .actor
        .may_in_project(allowed.permission, place.organization, project)
}

/// The user that whoever asks is in the organization.
async fn own(known: &Known, place: Place) -> Result<Option<Id>, Problem> {
    for id in &known.allowed.actor.users {
        let user = known.user(None, &id.to_string()).await?;
        if user.is_some_and(|user| user.organization == place.organization) {
            return Ok(Some(*id));
        }
    }
    Ok(None)
}
