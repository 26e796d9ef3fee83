//! What an endpoint gets of who asks: that they hold its permission somewhere, and the way to ask whether here.

use axum::extract::FromRequestParts;
use http::request::Parts;
use lingate_metering::Id;
use lingate_store::Store;

use super::{Actor, Permission, Scope};
use crate::Admin;
use crate::problem::Problem;

/// Somebody who holds the permission that the endpoint's row in the table names. Whether they hold it where the thing is that they
/// want, the endpoint asks; where not, the thing is not there for them.
#[derive(Debug, Clone)]
pub(crate) struct Allowed {
    pub(crate) actor: Actor,
    pub(crate) permission: Permission,
    /// What is enough for things of the user that asks.
    pub(crate) own: Option<Permission>,
}

/// Which things somebody may see in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    All,
    /// Those of these organizations, and of these projects besides.
    Some {
        organizations: Vec<Id>,
        projects: Vec<Id>,
        /// What belongs to these users, besides: whoever asks is one of them.
        users: Vec<Id>,
    },
}

impl Allowed {
    /// For what is of the platform: held in an organization, the permission is not enough.
    pub(crate) fn on_platform(&self) -> Result<(), Problem> {
        if self.actor.may_on_platform(self.permission) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "this takes `{}` on the platform",
            self.permission.name()
        )))
    }

    /// `what`: what is not there for those who may not.
    pub(crate) fn in_organization(&self, organization: Id, what: &str) -> Result<(), Problem> {
        if self
            .actor
            .may_in_organization(self.permission, organization)
        {
            return Ok(());
        }
        Err(Problem::not_found(what))
    }

    pub(crate) fn in_project(
        &self,
        organization: Id,
        project: Id,
        what: &str,
    ) -> Result<(), Problem> {
        if self
            .actor
            .may_in_project(self.permission, organization, project)
        {
            return Ok(());
        }
        Err(Problem::not_found(what))
    }

    /// For what belongs to a user, perhaps the one that asks.
    pub(crate) fn of_user(
        &self,
        organization: Id,
        project: Id,
        user: Option<Id>,
        what: &str,
    ) -> Result<(), Problem> {
        let own = self.own.is_some_and(|own| {
            self.actor.is_user(user) && self.actor.may_in_project(own, organization, project)
        });
        if own {
            return Ok(());
        }
        self.in_project(organization, project, what)
    }

    pub(crate) fn reach(&self) -> Reach {
        let (mut organizations, mut projects) = (Vec::new(), Vec::new());
        for scope in self.actor.grants_of(self.permission) {
            match scope {
                Scope::Platform => return Reach::All,
                Scope::Organization(id) => organizations.push(id),
                Scope::Project { project, .. } => projects.push(project),
            }
        }
        let users = match self.own {
            Some(own) if self.actor.grants_of(own).next().is_some() => self.actor.users.clone(),
            Some(_) | None => Vec::new(),
        };
        Reach::Some {
            organizations,
            projects,
            users,
        }
    }

    /// The store, in which what is changed is written down as theirs.
    pub(crate) fn store(&self, admin: &Admin) -> Result<Store, Problem> {
        Ok(admin.store()?.by(self.actor.act.clone()))
    }
}

/// Put there by [`super::guard`].
impl<S: Sync> FromRequestParts<S> for Allowed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::new(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "this endpoint says that nobody needs a permission, and asks for one",
            )
        })
    }
}
