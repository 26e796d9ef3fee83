//! Where a role is given, and whether whoever asks may give it: nobody appoints, changes or removes somebody above themselves.

use lingate_store::{Invitation, Member, Place, Standing};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Admin;
use crate::access::{Actor, Allowed, Permission, Role, grants, of_key};
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
    match lacking(&allowed.actor, place, role) {
        None => Ok(()),
        Some(lacking) => Err(Problem::forbidden(format!(
            "a role of {} may more there than you: `{}`, for one",
            role.name(),
            lacking.name()
        ))),
    }
}

fn holds(actor: &Actor, place: Place, permission: Permission) -> bool {
    match place {
        Place::Platform => actor.may_on_platform(permission),
        Place::Organization(id) => actor.may_in_organization(permission, id),
        Place::Project {
            organization,
            project,
        } => actor.may_in_project(permission, organization, project),
    }
}

/// What somebody lacks there of what a role may; `None`: they may give it.
fn lacking(actor: &Actor, place: Place, role: Role) -> Option<Permission> {
    let mut all = Permission::ALL.iter().copied();
    all.find(|permission| role.may(*permission) && !holds(actor, place, *permission))
}

/// Whether whoever has invited somebody could do so now.
pub(super) fn may_still_invite(
    admin: &Admin,
    invitation: &Invitation,
    standing: &Standing,
) -> bool {
    let inviter = match standing {
        Standing::Good => return true,
        Standing::Account(Some((account, held))) if !account.blocked => {
            Actor::holding(grants(held), None)
        }
        Standing::Account(_) => return false,
        Standing::ApiKey(key) => {
            // Which keys there are is known where a gateway runs.
            let Ok(gateway) = admin.gateway() else {
                return true;
            };
            let directory = gateway.governance().directory();
            let key = directory.key(*key);
            let key = key.filter(|key| key.is_good(admin.now()).is_ok());
            match key.and_then(|key| of_key(gateway, key).ok()) {
                Some((grant, scopes)) => Actor::holding(vec![grant], scopes),
                None => return false,
            }
        }
    };
    let place = invitation.place;
    let role = Role::from_name(&invitation.role);
    holds(&inviter, place, Permission::MembersWrite)
        && role.is_some_and(|role| lacking(&inviter, place, role).is_none())
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
