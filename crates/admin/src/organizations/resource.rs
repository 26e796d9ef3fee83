//! What organizations are among tenants.

use lingate_metering::Id;
use lingate_metering::tenant::{Declared, Organization, Rules};
use lingate_store::{Kind, new_id};

use super::shown::Shown;
use crate::access::Allowed;
use crate::frame::Fields;
use crate::problem::Problem;
use crate::tenants::{Known, Level, Names, Place, Resource, ShownRules, Stamp};

pub(crate) enum Organizations {}

impl Resource for Organizations {
    type Thing = Organization;
    type Shown = Shown;

    const KIND: Kind = Kind::Organization;
    const NOUN: &'static str = "organization";
    const PARENT: Option<&'static str> = None;
    const FIXED: &'static [&'static str] = &["id", "source", "created_at", "updated_at"];

    fn declared(part: &Declared) -> impl Iterator<Item = &Organization> + Send {
        part.organizations.iter()
    }

    fn parent(_: &Organization) -> Option<Id> {
        None
    }

    fn place(organization: &Organization, _: &Names) -> Place {
        Place {
            organization: organization.id,
            project: None,
            user: None,
        }
    }

    fn show(organization: &Organization, stamp: Stamp, _: &Names) -> Shown {
        let Organization { id, name, rules } = organization;
        Shown {
            id: id.to_string(),
            name: name.clone(),
            rules: ShownRules::of(rules),
            stamp,
        }
    }

    fn visible(allowed: &Allowed, place: Place) -> Result<(), Problem> {
        allowed.in_organization(place.organization, Self::NOUN)
    }

    /// That takes the platform.
    fn deletable(allowed: &Allowed, _: Place) -> Result<(), Problem> {
        allowed.on_platform()
    }

    fn new(_: Option<Id>) -> Organization {
        Organization {
            id: new_id(),
            name: String::new(),
            rules: Rules::default(),
        }
    }

    async fn read(
        fields: &mut Fields,
        organization: &mut Organization,
        _: Place,
        _: &Known,
    ) -> Result<(), Problem> {
        organization.name = fields.needed("name");
        organization.rules = ShownRules::read(fields, organization.id);
        Ok(())
    }

    fn rules(organization: &Self::Thing) -> &Rules {
        &organization.rules
    }

    fn may(
        allowed: &Allowed,
        before: Option<&Organization>,
        after: &Organization,
        _: Place,
        _: &Names,
    ) -> Result<(), Problem> {
        if before.is_none() {
            allowed.on_platform()?;
        }
        let before = before.map(|before| &before.rules);
        ShownRules::may(allowed, Level::Organization, before, &after.rules)
    }
}
