//! Where a role is given, and whether whoever asks may give it: nobody appoints, changes or removes somebody above themselves.

use lingate_metering::tenant::Project;
use lingate_store::{Member, Place};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Admin;
use crate::access::{Allowed, Permission, Role, Scope};
use crate::problem::Problem;
use crate::tenants::Known;

/// Where a role holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WantedScope {
    Platform,
    Organization,
    Project,
}

/// Who may not see the place is told the same as where there is none.
pub(super) async fn read(
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
            let id = known.project(&path).await?;
            let id = id.ok_or_else(|| nowhere("project"))?;
            let declared = known.file().projects.iter().find(|it| it.id == id);
            let organization = match declared {
                Some(project) => project.organization,
                None => match admin.store()?.get::<Project>(id).await {
                    Ok(stored) => stored.value.organization,
                    // The one that is always there.
                    Err(_) => {
                        lingate_metering::tenant::Organization::named(
                            lingate_metering::tenant::DEFAULT,
                        )
                        .id
                    }
                },
            };
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
pub(super) fn role(place: Place, name: &str) -> Result<Role, Problem> {
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

const fn rank(role: Role) -> u8 {
    match role {
        Role::Operator => 3,
        Role::Owner => 2,
        Role::Admin => 1,
        Role::Member | Role::Viewer | Role::Billing => 0,
    }
}

/// Whether whoever asks is at least what they give or take.
pub(super) fn may_give(allowed: &Allowed, place: Place, role: Role) -> Result<(), Problem> {
    let holds = |scope: Scope| match (scope, place) {
        (Scope::Platform, _) => true,
        (Scope::Organization(its), Place::Organization(wanted)) => its == wanted,
        (Scope::Organization(its), Place::Project { organization, .. }) => its == organization,
        (Scope::Project { project: its, .. }, Place::Project { project, .. }) => its == project,
        (Scope::Organization(_) | Scope::Project { .. }, _) => false,
    };
    // What a token may not do itself, it makes nobody able to.
    let beyond = |scopes: &Vec<Permission>| {
        Permission::ALL
            .iter()
            .find(|permission| role.may(**permission) && !scopes.contains(permission))
    };
    if let Some(lacking) = allowed.actor.scopes.as_ref().and_then(beyond) {
        return Err(Problem::forbidden(format!(
            "a role of {} may more than this token: `{}`, for one",
            role.name(),
            lacking.name()
        )));
    }
    let grants = &allowed.actor.grants;
    let highest = grants
        .iter()
        .filter(|grant| holds(grant.scope) && grant.role.may(allowed.permission))
        .map(|grant| rank(grant.role))
        .max();
    if highest.is_some_and(|highest| highest >= rank(role)) {
        return Ok(());
    }
    Err(Problem::forbidden(format!(
        "whoever is no {} there cannot make, change or remove one",
        role.name()
    )))
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
