//! Invitations: a role that whoever shows the secret of a letter takes up, once.

use lingate_metering::{Id, Millis};
use serde_json::{Value, json};
use sqlx::QueryBuilder;

use crate::account::{self, Account, NewAccount, id_of};
use crate::audit::{ActorKind, AuditNote, AuditOutcome, Deed};
use crate::database::{Tx, execute, on};
use crate::membership::{self, Membership, NewMembership, Place};
use crate::{Kind, Store, StoreError, Stored};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: Id,
    pub email: String,
    pub place: Place,
    pub role: String,
    /// As the audit log knows them.
    pub invited_by: String,
    /// By what right; `None`: it was not written down.
    pub inviter: Option<Inviter>,
    pub expires_at: Millis,
    pub accepted_at: Option<Millis>,
    pub account: Option<Id>,
    pub created_at: Millis,
}

impl Invitation {
    fn told(&self) -> Value {
        json!({
            "email": self.email,
            "scope": self.place.name(),
            "role": self.role,
            "expires_at": self.expires_at,
        })
    }
}

/// Whose right it is to give the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inviter {
    /// Of whoever is signed in, or shows a token.
    Account(Id),
    ApiKey(Id),
    /// Of whoever may read the data folder.
    Local,
}

impl Inviter {
    const fn kind(self) -> ActorKind {
        match self {
            Self::Account(_) => ActorKind::Account,
            Self::ApiKey(_) => ActorKind::ApiKey,
            Self::Local => ActorKind::Local,
        }
    }

    fn id(self) -> Option<String> {
        match self {
            Self::Account(id) | Self::ApiKey(id) => Some(id.to_string()),
            Self::Local => None,
        }
    }

    fn read(kind: &str, id: Option<&str>) -> Result<Self, StoreError> {
        let id = id.map(id_of).transpose()?;
        match (kind, id) {
            (kind, Some(id)) if kind == ActorKind::Account.name() => Ok(Self::Account(id)),
            (kind, Some(id)) if kind == ActorKind::ApiKey.name() => Ok(Self::ApiKey(id)),
            (kind, None) if kind == ActorKind::Local.name() => Ok(Self::Local),
            _ => Err(StoreError::Other(format!("`{kind}` invites nobody"))),
        }
    }
}

/// What there is of an inviter when the invitation is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Their account, and what they hold; `None`: it is gone.
    Account(Option<(Account, Vec<Membership>)>),
    ApiKey(Id),
    /// It is not looked at any further.
    Good,
}

#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Of the secret: 64 hexadecimal digits.
    pub sha256: String,
    /// `accepted_at`, `account` and `created_at` are not looked at.
    pub invitation: Invitation,
}

/// Who accepts.
#[derive(Debug, Clone)]
pub enum Acceptance {
    /// Somebody new. The e-mail address is that of the invitation.
    New(NewAccount),
    /// Somebody who has proved to be this account.
    Account(Id),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvitationFilter {
    pub organization: Option<Id>,
    /// Those of these organizations and of these projects alone; `None`: all.
    pub reach: Option<(Vec<Id>, Vec<Id>)>,
    pub after: Option<Id>,
    /// At most so many, up to 1,000; 0: a hundred.
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationPage {
    pub items: Vec<Invitation>,
    pub next: Option<Id>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    email: String,
    organization_id: Option<String>,
    project_id: Option<String>,
    role: String,
    invited_by: String,
    inviter_kind: Option<String>,
    inviter_id: Option<String>,
    expires_at: i64,
    accepted_at: Option<i64>,
    account_id: Option<String>,
    created_at: i64,
}

const SELECT: &str = "SELECT id, email, organization_id, project_id, role, invited_by, inviter_kind, inviter_id, expires_at, accepted_at, account_id, created_at FROM invitations";

impl Row {
    fn invitation(self) -> Result<Invitation, StoreError> {
        Ok(Invitation {
            id: id_of(&self.id)?,
            email: self.email,
            place: Place::read(self.organization_id.as_deref(), self.project_id.as_deref())?,
            role: self.role,
            invited_by: self.invited_by,
            inviter: self
                .inviter_kind
                .map(|kind| Inviter::read(&kind, self.inviter_id.as_deref()))
                .transpose()?,
            expires_at: self.expires_at,
            accepted_at: self.accepted_at,
            account: self.account_id.as_deref().map(id_of).transpose()?,
            created_at: self.created_at,
        })
    }
}

impl Store {
    pub async fn create_invitation(&self, new: &NewInvitation) -> Result<Invitation, StoreError> {
        let one = &new.invitation;
        if !account::is_address(&one.email) {
            return Err(StoreError::Invalid {
                field: "email",
                problem: "this is no e-mail address".to_owned(),
            });
        }
        let mut change = self.begin_change().await?;
        membership::check_place(&mut change.tx, one.place).await?;
        let at = change.at;
        execute!(
            change.tx,
            "INSERT INTO invitations (id, sha256, email, place, organization_id, project_id, role, invited_by, inviter_kind, inviter_id, expires_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            one.id.to_string(),
            new.sha256.as_str(),
            one.email.as_str(),
            one.place.column(),
            one.place.organization().map(|id| id.to_string()),
            one.place.project().map(|id| id.to_string()),
            one.role.as_str(),
            one.invited_by.as_str(),
            one.inviter.map(|inviter| inviter.kind().name()),
            one.inviter.and_then(Inviter::id),
            one.expires_at,
            at
        )?;
        change.note(AuditNote {
            organization: one.place.organization(),
            project: one.place.project(),
            after: Some(one.told()),
            ..AuditNote::of(Deed::Create, Kind::Invitation, &one.id, &one.email)
        });
        self.commit(change).await?;
        Ok(Invitation {
            created_at: at,
            ..one.clone()
        })
    }

    pub async fn invitation(&self, id: Id) -> Result<Invitation, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let found = read(&mut tx, "id", &id.to_string()).await?;
        found.ok_or(StoreError::NotFound {
            kind: Kind::Invitation,
            id,
        })
    }

    /// The invitation whose secret has this SHA-256, whether it is good or not.
    pub async fn invitation_showing(&self, sha256: &str) -> Result<Option<Invitation>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, "sha256", sha256).await
    }

    /// Those that nobody has accepted.
    pub async fn invitations(
        &self,
        filter: &InvitationFilter,
    ) -> Result<InvitationPage, StoreError> {
        let limit = match filter.limit {
            0 => 100,
            limit => limit.min(1000),
        };
        let mut tx = self.db.begin_read().await?;
        let mut rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE accepted_at IS NULL");
            if let Some(organization) = filter.organization {
                query.push(" AND organization_id = ").push_bind(organization.to_string());
            }
            if let Some((organizations, projects)) = &filter.reach {
                query.push(" AND (organization_id IN (''");
                for id in organizations {
                    query.push(", ").push_bind(id.to_string());
                }
                query.push(") OR project_id IN (''");
                for id in projects {
                    query.push(", ").push_bind(id.to_string());
                }
                query.push("))");
            }
            if let Some(after) = filter.after {
                query.push(" AND id > ").push_bind(after.to_string());
            }
            query.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let items = rows
            .into_iter()
            .map(Row::invitation)
            .collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| more).map(|item| item.id);
        Ok(InvitationPage { items, next })
    }

    pub async fn revoke_invitation(&self, id: Id) -> Result<(), StoreError> {
        let not_there = StoreError::NotFound {
            kind: Kind::Invitation,
            id,
        };
        let mut change = self.begin_change().await?;
        let Some(one) = read(&mut change.tx, "id", &id.to_string()).await? else {
            return Err(not_there);
        };
        if one.accepted_at.is_some() {
            return Err(not_there);
        }
        execute!(
            change.tx,
            "DELETE FROM invitations WHERE id = $1",
            id.to_string()
        )?;
        change.note(AuditNote {
            organization: one.place.organization(),
            project: one.place.project(),
            before: Some(one.told()),
            ..AuditNote::of(Deed::Revoke, Kind::Invitation, &id, &one.email)
        });
        self.commit(change).await
    }

    /// Takes an invitation up: of however many try it, one does. Written down as done by whoever accepts. `may_still`: whether whoever
    /// has invited could give the role now; who could not has not invited.
    pub async fn accept_invitation(
        &self,
        sha256: &str,
        who: Acceptance,
        now: Millis,
        may_still: impl FnOnce(&Invitation, &Standing) -> bool,
    ) -> Result<Stored<Account>, StoreError> {
        let spent = || StoreError::Spent {
            kind: Kind::Invitation,
        };
        let mut change = self.begin_change().await?;
        let Some(one) = read(&mut change.tx, "sha256", sha256).await? else {
            return Err(spent());
        };
        if one.accepted_at.is_some() || one.expires_at <= now {
            return Err(spent());
        }
        let standing = standing(&mut change.tx, one.inviter).await?;
        if !may_still(&one, &standing) {
            change.note(AuditNote {
                outcome: AuditOutcome::Refused,
                organization: one.place.organization(),
                project: one.place.project(),
                detail: Some(format!(
                    "{} may not give this role any more",
                    one.invited_by
                )),
                ..AuditNote::of(Deed::Accept, Kind::Invitation, &one.id, &one.email)
            });
            self.commit(change).await?;
            return Err(spent());
        }
        let account = match who {
            Acceptance::New(new) => {
                let new = NewAccount {
                    email: Some(one.email.clone()),
                    ..new
                };
                account::insert(&mut change, &new).await?
            }
            Acceptance::Account(id) => account::read(&mut change.tx, id).await?.account,
        };
        let taken = execute!(
            change.tx,
            "UPDATE invitations SET accepted_at = $1, account_id = $2 WHERE id = $3 AND accepted_at IS NULL",
            now,
            account.value.id.to_string(),
            one.id.to_string()
        )?;
        if taken == 0 {
            return Err(spent());
        }
        let new = NewMembership {
            place: one.place,
            role: one.role.clone(),
            source: String::new(),
        };
        match membership::insert(&mut change, &account.value, &new).await {
            // Somebody gave them the role meanwhile.
            Ok(_)
            | Err(StoreError::Taken {
                kind: Kind::Membership,
                ..
            }) => {}
            Err(error) => return Err(error),
        }
        change.note(AuditNote {
            organization: one.place.organization(),
            project: one.place.project(),
            after: Some(one.told()),
            ..AuditNote::of(Deed::Accept, Kind::Invitation, &one.id, &one.email)
        });
        self.commit(change).await?;
        Ok(account)
    }
}

async fn standing(tx: &mut Tx, inviter: Option<Inviter>) -> Result<Standing, StoreError> {
    match inviter {
        Some(Inviter::Account(id)) => match account::read(tx, id).await {
            Ok(found) => {
                let held = membership::of_account(tx, id).await?;
                Ok(Standing::Account(Some((found.account.value, held))))
            }
            Err(StoreError::NotFound { .. }) => Ok(Standing::Account(None)),
            Err(error) => Err(error),
        },
        Some(Inviter::ApiKey(id)) => Ok(Standing::ApiKey(id)),
        Some(Inviter::Local) | None => Ok(Standing::Good),
    }
}

async fn read(
    tx: &mut Tx,
    column: &'static str,
    value: &str,
) -> Result<Option<Invitation>, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(SELECT);
        query.push(" WHERE ").push(column).push(" = ").push_bind(value.to_owned());
        query.build_query_as::<Row>().fetch_all(connection).await
    })?;
    rows.into_iter().next().map(Row::invitation).transpose()
}
