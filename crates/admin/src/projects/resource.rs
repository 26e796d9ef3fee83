//! What projects are among tenants.

use lingate_metering::Id;
use lingate_metering::tenant::{Declared, Project, Rules};
use lingate_store::{Kind, new_id};

use super::shown::Shown;
use crate::access::Allowed;
use crate::frame::Fields;
use crate::problem::Problem;
use crate::tenants::{Known, Level, Names, Place, Resource, ShownRules, Stamp};

pub(crate) enum Projects {}

impl Resource for Projects {
    type Thing = Project;
    type Shown = Shown;

    const KIND: Kind = Kind::Project;
    const NOUN: &'static str = "project";
    const PARENT: Option<&'static str> = Some("organization");
    const FIXED: &'static [&'static str] = &[
        "id",
        "path",
        "organization",
        "source",
        "created_at",
        "updated_at",
    ];

    fn declared(part: &Declared) -> impl Iterator<Item = &Project> + Send {
        part.projects.iter()
    }

    fn parent(project: &Project) -> Option<Id> {
        Some(project.organization)
    }

    fn place(project: &Project, _: &Names) -> Place {
        Place {
            organization: project.organization,
            project: Some(project.id),
            user: None,
        }
    }

    fn show(project: &Project, stamp: Stamp, names: &Names) -> Shown {
        let Project {
            id,
            organization,
            name,
            rules,
        } = project;
        Shown {
            id: id.to_string(),
            name: name.clone(),
            path: format!("{}/{name}", names.path(*organization)),
            organization: organization.to_string(),
            rules: ShownRules::of(rules),
            stamp,
        }
    }

    fn visible(allowed: &Allowed, place: Place) -> Result<(), Problem> {
        match place.project {
            Some(project) => allowed.in_project(place.organization, project, Self::NOUN),
            None => allowed.in_organization(place.organization, Self::NOUN),
        }
    }

    fn creatable(allowed: &Allowed, place: Place) -> Result<(), Problem> {
        allowed.in_organization(place.organization, "organization")
    }

    /// Who manages a project does not make it go away: that is for its organization.
    fn deletable(allowed: &Allowed, place: Place) -> Result<(), Problem> {
        let permission = allowed.permission;
        if allowed
            .actor
            .may_in_organization(permission, place.organization)
        {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "this takes `{}` in the organization",
            permission.name()
        )))
    }

    fn new(organization: Option<Id>) -> Project {
        Project {
            id: new_id(),
            organization: organization.unwrap_or_default(),
            name: String::new(),
            rules: Rules::default(),
        }
    }

    async fn read(
        fields: &mut Fields,
        project: &mut Project,
        _: Place,
        _: &Known,
    ) -> Result<(), Problem> {
        project.name = fields.needed("name");
        project.rules = ShownRules::read(fields, project.id);
        Ok(())
    }

    fn rules(project: &Self::Thing) -> &Rules {
        &project.rules
    }

    fn may(
        allowed: &Allowed,
        before: Option<&Project>,
        after: &Project,
        _: Place,
        _: &Names,
    ) -> Result<(), Problem> {
        let before = before.map(|before| &before.rules);
        ShownRules::may(allowed, Level::Inner, before, &after.rules)
    }
}
