//! Accounts, memberships and invitations as they are told.

use lingate_store::{Account, Invitation, Member, Place, Stored};
use serde::Serialize;
use utoipa::ToSchema;

use crate::frame::moment_text;

/// Somebody who signs in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct ShownAccount {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    #[schema(example = "Ada")]
    name: String,
    blocked: bool,
    /// There is a password; else another service says who it is.
    has_password: bool,
    /// The password was given by somebody else, and is good for choosing another.
    must_change_password: bool,
    /// There is a second factor.
    totp: bool,
    created_at: String,
    updated_at: String,
}

impl ShownAccount {
    pub(super) fn of(stored: &Stored<Account>) -> Self {
        let account = &stored.value;
        Self {
            id: account.id.to_string(),
            login: account.login.clone(),
            email: account.email.clone(),
            name: account.name.clone(),
            blocked: account.blocked,
            has_password: account.has_password,
            must_change_password: account.must_change_password,
            totp: account.has_totp,
            created_at: moment_text(stored.created_at),
            updated_at: moment_text(stored.updated_at),
        }
    }
}

/// An account that was made, or whose password was reset.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountWithPassword)]
pub(super) struct WithPassword {
    #[serde(flatten)]
    pub(super) account: ShownAccount,
    /// Told this once: it is good for choosing another.
    pub(super) temporary_password: String,
    /// From then on it is not good any more.
    #[schema(example = "2026-12-04T09:30:00.000Z")]
    pub(super) expires_at: String,
}

/// What somebody is somewhere.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Membership)]
pub(super) struct ShownMembership {
    id: String,
    account: String,
    account_name: String,
    /// What the account signs in with.
    known_as: String,
    /// `platform`, `organization` or `project`
    #[schema(example = "organization")]
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[schema(example = "member")]
    role: String,
    /// The user that holds this person's keys there.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The sign-in provider by whose groups the role is held; not there: it was given by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<String>,
    created_at: String,
}

impl ShownMembership {
    pub(super) fn of(member: &Member) -> Self {
        let held = &member.membership.value;
        let (organization, project) = parts(held.place);
        Self {
            id: held.id.to_string(),
            account: held.account.to_string(),
            account_name: member.account_name.clone(),
            known_as: member.known_as.clone(),
            scope: held.place.name(),
            organization,
            project,
            role: held.role.clone(),
            user: held.user.map(|id| id.to_string()),
            held_by: Some(held.source.clone()).filter(|source| !source.is_empty()),
            created_at: moment_text(member.membership.created_at),
        }
    }
}

fn parts(place: Place) -> (Option<String>, Option<String>) {
    match place {
        Place::Platform => (None, None),
        Place::Organization(id) => (Some(id.to_string()), None),
        Place::Project {
            organization,
            project,
        } => (Some(organization.to_string()), Some(project.to_string())),
    }
}

/// An invitation that nobody has accepted yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub(super) struct ShownInvitation {
    id: String,
    email: String,
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    role: String,
    invited_by: String,
    created_at: String,
    expires_at: String,
    /// Told this once; whoever is invited sends it to `POST /api/v1/invitations/accept`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "lgi_…")]
    pub(super) secret: Option<String>,
}

impl ShownInvitation {
    pub(super) fn of(invitation: &Invitation) -> Self {
        let (organization, project) = parts(invitation.place);
        Self {
            id: invitation.id.to_string(),
            email: invitation.email.clone(),
            scope: invitation.place.name(),
            organization,
            project,
            role: invitation.role.clone(),
            invited_by: invitation.invited_by.clone(),
            created_at: moment_text(invitation.created_at),
            expires_at: moment_text(invitation.expires_at),
            secret: None,
        }
    }
}
