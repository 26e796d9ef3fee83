//! Who somebody is, as it is told to them.

use std::collections::BTreeSet;

use lingate_store::{Account, ActorKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Actor, Grant, Permission, Role, Scope};

/// How far somebody is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    SignedIn,
    /// A code is still to be sent to `POST /api/v1/session/totp`.
    MfaRequired,
}

/// Who asks, and what they may.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct Shown {
    pub(crate) state: State,
    /// By what one is known: `account`, `token`, `api_key`, `local` (the command line on this machine), `anyone` (nobody has to show anything).
    #[schema(example = "account")]
    pub(crate) kind: &'static str,
    /// As the audit log writes it.
    #[schema(example = "ada@example.com")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<ShownAccount>,
    /// To be sent as `x-lingate-csrf` with every request by cookie that changes something. Not there: there is no session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) csrf_token: Option<String>,
    /// When the session or the token ends, whatever is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-12-08T09:30:00.000Z")]
    pub(crate) expires_at: Option<String>,
    pub(crate) roles: Vec<ShownRole>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnAccount)]
pub(crate) struct ShownAccount {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
    pub(crate) name: String,
    /// Another password has to be chosen before anything else: `PUT /api/v1/me/password`.
    pub(crate) must_change_password: bool,
    /// There is a password; else another service says who it is.
    pub(crate) has_password: bool,
    /// There is a second factor.
    pub(crate) totp: bool,
}

impl ShownAccount {
    pub(crate) fn of(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            login: account.login.clone(),
            email: account.email.clone(),
            name: account.name.clone(),
            must_change_password: account.must_change_password,
            has_password: account.has_password,
            totp: account.has_totp,
        }
    }
}

/// A role, where it holds, and what it may there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldRole)]
pub(crate) struct ShownRole {
    /// `platform`, `organization` or `project`
    #[schema(example = "organization")]
    pub(crate) scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    pub(crate) role: Role,
    pub(crate) permissions: BTreeSet<&'static str>,
}

impl ShownRole {
    fn of(grant: Grant, scopes: Option<&[Permission]>) -> Self {
        let (scope, organization, project) = match grant.scope {
            Scope::Platform => ("platform", None, None),
            Scope::Organization(id) => ("organization", Some(id), None),
            Scope::Project {
                organization,
                project,
            } => ("project", Some(organization), Some(project)),
        };
        let in_scope =
            |permission: &Permission| scopes.is_none_or(|scopes| scopes.contains(permission));
        Self {
            scope,
            organization: organization.map(|id| id.to_string()),
            project: project.map(|id| id.to_string()),
            role: grant.role,
            permissions: Permission::ALL
                .iter()
                .filter(|permission| grant.role.may(**permission) && in_scope(permission))
                .map(|permission| permission.name())
                .collect(),
        }
    }

    pub(crate) fn all(grants: &[Grant], scopes: Option<&[Permission]>) -> Vec<Self> {
        grants
            .iter()
            .map(|grant| Self::of(*grant, scopes))
            .collect()
    }
}

impl Shown {
    pub(crate) fn of(actor: &Actor, account: Option<&Account>) -> Self {
        Self {
            state: State::SignedIn,
            kind: actor.act.kind.name(),
            name: actor.act.name.clone(),
            account: account.map(ShownAccount::of),
            csrf_token: None,
            expires_at: None,
            roles: ShownRole::all(&actor.grants, actor.scopes.as_deref()),
        }
    }

    /// The password was right, and a code is still to come: nothing is told of the account.
    pub(crate) fn halfway(csrf_token: String) -> Self {
        Self {
            state: State::MfaRequired,
            kind: ActorKind::Account.name(),
            name: String::new(),
            account: None,
            csrf_token: Some(csrf_token),
            expires_at: None,
            roles: Vec::new(),
        }
    }
}
