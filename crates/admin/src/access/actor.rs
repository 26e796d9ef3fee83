//! Somebody who asks: who it is, and which roles they have where.

use lingate_metering::Id;
use lingate_store::{Act, ActorKind};

use super::{Permission, Role};

/// Where a role holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Platform,
    Organization(Id),
    Project { organization: Id, project: Id },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) scope: Scope,
    pub(crate) role: Role,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// As the audit log writes it.
    pub(crate) act: Act,
    /// The account of a person who is signed in, or whose token is shown.
    pub(crate) account: Option<Id>,
    /// The session, by the hash of what its cookie holds; `None`: there is none.
    pub(crate) session: Option<String>,
    pub(crate) grants: Vec<Grant>,
    /// A token may less than its owner: these alone. `None`: all that the roles may.
    pub(crate) scopes: Option<Vec<Permission>>,
    /// The users that this is, one in each organization that it is a member of: whose keys and whose usage are its own.
    pub(crate) users: Vec<Id>,
}

impl Actor {
    /// Nobody in particular, who holds these.
    pub(crate) fn holding(grants: Vec<Grant>, scopes: Option<Vec<Permission>>) -> Self {
        Self {
            act: Act {
                kind: ActorKind::Nobody,
                id: String::new(),
                name: String::new(),
                address: None,
                request_id: None,
            },
            account: None,
            session: None,
            grants,
            scopes,
            users: Vec::new(),
        }
    }

    /// The roles under which the permission is held, each where it holds.
    pub(crate) fn grants_of(&self, permission: Permission) -> impl Iterator<Item = Scope> + '_ {
        let in_scope = self
            .scopes
            .as_ref()
            .is_none_or(|scopes| scopes.contains(&permission));
        self.grants
            .iter()
            .filter(move |grant| in_scope && grant.role.may(permission))
            .map(|grant| grant.scope)
    }

    /// Whether it is this user.
    pub(crate) fn is_user(&self, user: Option<Id>) -> bool {
        user.is_some_and(|user| self.users.contains(&user))
    }

    pub(crate) fn may_on_platform(&self, permission: Permission) -> bool {
        self.grants_of(permission)
            .any(|scope| scope == Scope::Platform)
    }

    pub(crate) fn may_in_organization(&self, permission: Permission, organization: Id) -> bool {
        self.grants_of(permission)
            .any(|scope| scope == Scope::Platform || scope == Scope::Organization(organization))
    }

    pub(crate) fn may_in_project(
        &self,
        permission: Permission,
        organization: Id,
        project: Id,
    ) -> bool {
        self.grants_of(permission).any(|scope| match scope {
            Scope::Platform => true,
            Scope::Organization(its) => its == organization,
            Scope::Project { project: its, .. } => its == project,
        })
    }
}
