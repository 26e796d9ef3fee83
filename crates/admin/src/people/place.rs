//! Where a role is given, and whether whoever asks may give it: nobody appoints, changes or removes somebody above themselves.

use lingate_store::{Member, Place};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Admin;
use crate::access::{Allowed, Permission, Role};
use crate::problem::Problem;
use crate::projects::Projects;
use crate::tenants::Known;

/// Where a role holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WantedScope {
    Platform,
    Organization,
    Project,
}

/// Who may not see the place is told the same as where there is none.
pub(crate) async fn read(
    admin: &Admin,
    allowed: &Allowed,
    scope: WantedScope,
    organization: Option<&str>,
    project: Option<&str>,
) -> Result<Place, Problem> {
    let known = Known::of(admin, allowed)?;
    let missing = |field: &str| {
        Problem::invalid(
            format!("/{field}"),
            format!("expected the id or the name of a {field}"),
        )
    };
    let nowhere =
        |field: &str| Problem::invalid(format!("/{field}"), format!("there is no such {field}"));
    match scope {
        WantedScope::Platform => {
            if organization.is_some() || project.is_some() {
                return Err(Problem::invalid(
                    "/scope",
                    "a role on the platform names no organization and no project",
                ));
            }
            allowed.on_platform()?;
            Ok(Place::Platform)
        }
        WantedScope::Organization => {
            if project.is_some() {
                return Err(Problem::invalid(
                    "/project",
                    "a role in an organization names no project",
                ));
            }
            let text = organization.ok_or_else(|| missing("organization"))?;
            let id = known.organization(text).await?;
            let id = id.ok_or_else(|| nowhere("organization"))?;
            allowed
                .in_organization(id, "organization")
                .map_err(|_| nowhere("organization"))?;
            known.refer(id, None, None).await?;
            Ok(Place::Organization(id))
        }
        WantedScope::Project => {
            let text = project.ok_or_else(|| missing("project"))?;
            let path = match organization {
                Some(organization)
                    if !text.contains('/') && text.parse::<lingate_metering::Id>().is_err() =>
                {
                    format!("{organization}/{text}")
                }
                _ => text.to_owned(),
            };
            let found = match known.project(&path).await? {
                Some(id) => known.get::<Projects>(id).await?,
                None => None,
            };
            let found = found.ok_or_else(|| nowhere("project"))?;
            let (id, organization) = (found.value().id, found.value().organization);
            allowed
                .in_project(organization, id, "project")
                .map_err(|_| nowhere("project"))?;
            known.refer(organization, Some(id), None).await?;
            Ok(Place::Project {
                organization,
                project: id,
            })
        }
    }
}

/// Which roles there are in a place.
pub(crate) fn role(place: Place, name: &str) -> Result<Role, Problem> {
    let there: &[Role] = match place {
        Place::Platform => &[Role::Operator, Role::Viewer, Role::Billing],
        Place::Organization(_) => &[
            Role::Owner,
            Role::Admin,
            Role::Member,
            Role::Viewer,
            Role::Billing,
        ],
        Place::Project { .. } => &[Role::Admin, Role::Member, Role::Viewer],
    };
    let found = Role::from_name(name).filter(|role| there.contains(role));
    found.ok_or_else(|| {
        let names: Vec<&str> = there.iter().map(|role| role.name()).collect();
        Problem::invalid(
            "/role",
            format!("expected one of {} (in this scope)", names.join(", ")),
        )
    })
}

/// Whether whoever asks may all of it there that they give or take, a token's scopes included.
pub(crate) fn may_give(allowed: &Allowed, place: Place, role: Role) -> Result<(), Problem> {
    let actor = &allowed.actor;
    let holds = |permission: Permission| match place {
        Place::Platform => actor.may_on_platform(permission),
        Place::Organization(id) => actor.may_in_organization(permission, id),
        Place::Project {
            organization,
            project,
        } => actor.may_in_project(permission, organization, project),
    };
    let mut all = Permission::ALL.iter().copied();
    match all.find(|permission| role.may(*permission) && !holds(*permission)) {
        None => Ok(()),
        Some(lacking) => Err(Problem::forbidden(format!(
            "a role of {} may more there than you: `{}`, for one",
            role.name(),
            lacking.name()
        ))),
    }
}

/// Whether whoever asks can know of an account: operators know all, others those that have a role where they themselves give some.
/// Whether somebody else has an account is nobody's to find out.
pub(super) async fn knows(
    admin: &Admin,
    allowed: &Allowed,
    account: lingate_metering::Id,
) -> Result<bool, Problem> {
    if allowed.actor.may_on_platform(allowed.permission) {
        return Ok(true);
    }
    let memberships = admin.store()?.memberships_of(account).await?;
    Ok(memberships.iter().any(|held| {
        held.place != Place::Platform && is_there(allowed, held.place, "account").is_ok()
    }))
}

/// That whoever asks may see (or, by the endpoint's permission, change) what somebody is there.
pub(super) fn is_there(allowed: &Allowed, place: Place, what: &str) -> Result<(), Problem> {
    match place {
        Place::Platform => allowed.on_platform().map_err(|_| Problem::not_found(what)),
        Place::Organization(id) => allowed.in_organization(id, what),
        Place::Project {
            organization,
            project,
        } => allowed.in_project(organization, project, what),
    }
}

/// The membership of a path.
pub(super) async fn member(admin: &Admin, allowed: &Allowed, id: &str) -> Result<Member, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("membership"))?;
    let member = admin.store()?.membership(id).await?;
    is_there(allowed, member.membership.value.place, "membership")?;
    Ok(member)
}
