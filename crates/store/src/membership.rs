//! Memberships: which account has which role where, and which user it is there, so that it can hold keys.

use lingate_metering::Id;
use lingate_metering::tenant::{User, UserKind};
use serde_json::{Value, json};
use sqlx::QueryBuilder;

use crate::account::{Account, id_of};
use crate::audit::{AuditNote, Deed};
use crate::database::{Tx, execute, fetch_all, on};
use crate::entity;
use crate::store::Change;
use crate::{Kind, Revision, Store, StoreError, Stored, new_id};

/// Where a role is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Platform,
    Organization(Id),
    Project { organization: Id, project: Id },
}

impl Place {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Organization(_) => "organization",
            Self::Project { .. } => "project",
        }
    }

    pub const fn organization(self) -> Option<Id> {
        match self {
            Self::Platform => None,
            Self::Organization(organization) | Self::Project { organization, .. } => {
                Some(organization)
            }
        }
    }

    pub const fn project(self) -> Option<Id> {
        match self {
            Self::Platform | Self::Organization(_) => None,
            Self::Project { project, .. } => Some(project),
        }
    }

    pub(crate) fn column(self) -> String {
        match self {
            Self::Platform => "platform".to_owned(),
            Self::Organization(id) | Self::Project { project: id, .. } => id.to_string(),
        }
    }

    pub(crate) fn read(
        organization: Option<&str>,
        project: Option<&str>,
    ) -> Result<Self, StoreError> {
        Ok(match (organization, project) {
            (None, _) => Self::Platform,
            (Some(organization), None) => Self::Organization(id_of(organization)?),
            (Some(organization), Some(project)) => Self::Project {
                organization: id_of(organization)?,
                project: id_of(project)?,
            },
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub id: Id,
    pub account: Id,
    pub place: Place,
    /// `operator`, `owner`, `admin`, `member`, `viewer`, `billing`
    pub role: String,
    /// Who holds this person's keys there.
    pub user: Option<Id>,
    /// Empty: given by hand. Else the issuer by whose claims it is held.
    pub source: String,
}

impl Membership {
    fn told(&self) -> Value {
        json!({
            "account": self.account.to_string(),
            "scope": self.place.name(),
            "role": self.role,
            "user": self.user.map(|id| id.to_string()),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMembership {
    pub place: Place,
    pub role: String,
    /// As in [`Membership`].
    pub source: String,
}

/// Which memberships are wanted, in the order of their making.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembershipFilter {
    pub account: Option<Id>,
    /// Those of its projects, too.
    pub organization: Option<Id>,
    pub project: Option<Id>,
    pub role: Option<String>,
    /// Of the platform alone.
    pub platform: bool,
    /// Those of these organizations and of these projects alone; `None`: all.
    pub reach: Option<(Vec<Id>, Vec<Id>)>,
    pub after: Option<Id>,
    /// At most so many, up to 1,000; 0: a hundred.
    pub limit: u32,
}

/// A membership, with the names of whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub membership: Stored<Membership>,
    pub account_name: String,
    /// What the account signs in with.
    pub known_as: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPage {
    pub items: Vec<Member>,
    pub next: Option<Id>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    organization_id: Option<String>,
    project_id: Option<String>,
    role: String,
    user_id: Option<String>,
    source: String,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    account_name: String,
    login: Option<String>,
    email: Option<String>,
}

const SELECT: &str = "SELECT memberships.id, account_id, organization_id, project_id, role, user_id, source, memberships.revision, memberships.created_at, memberships.updated_at, accounts.name AS account_name, login, email FROM memberships JOIN accounts ON accounts.id = account_id";

impl Row {
    fn member(self) -> Result<Member, StoreError> {
        let membership = Membership {
            id: id_of(&self.id)?,
            account: id_of(&self.account_id)?,
            place: Place::read(self.organization_id.as_deref(), self.project_id.as_deref())?,
            role: self.role,
            user: self.user_id.as_deref().map(id_of).transpose()?,
            source: self.source,
        };
        Ok(Member {
            membership: Stored {
                revision: self.revision,
                created_at: self.created_at,
                updated_at: self.updated_at,
                value: membership,
            },
            known_as: self.email.or(self.login).unwrap_or_default(),
            account_name: self.account_name,
        })
    }
}

impl Store {
    /// Gives an account a role. A person that is new in an organization becomes a user of it.
    pub async fn create_membership(
        &self,
        account: Id,
        new: &NewMembership,
    ) -> Result<Member, StoreError> {
        let mut change = self.begin_change().await?;
        let account = crate::account::read(&mut change.tx, account).await?;
        let id = insert(&mut change, &account.account.value, new).await?;
        let member = read(&mut change.tx, id).await?;
        self.commit(change).await?;
        Ok(member)
    }

    pub async fn membership(&self, id: Id) -> Result<Member, StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, id).await
    }

    pub async fn memberships_of(&self, account: Id) -> Result<Vec<Membership>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        of_account(&mut tx, account).await
    }

    pub async fn memberships(&self, filter: &MembershipFilter) -> Result<MemberPage, StoreError> {
        let limit = match filter.limit {
            0 => 100,
            limit => limit.min(1000),
        };
        let mut tx = self.db.begin_read().await?;
        let mut rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE 1 = 1");
            if let Some(account) = filter.account {
                query.push(" AND account_id = ").push_bind(account.to_string());
            }
            if let Some(organization) = filter.organization {
                query.push(" AND organization_id = ").push_bind(organization.to_string());
            }
            if let Some(project) = filter.project {
                query.push(" AND project_id = ").push_bind(project.to_string());
            }
            if let Some(role) = &filter.role {
                query.push(" AND role = ").push_bind(role.clone());
            }
            if filter.platform {
                query.push(" AND place = 'platform'");
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
                query.push(" AND memberships.id > ").push_bind(after.to_string());
            }
            query.push(" ORDER BY memberships.id LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let items = rows
            .into_iter()
            .map(Row::member)
            .collect::<Result<Vec<_>, _>>()?;
        let next = items
            .last()
            .filter(|_| more)
            .map(|item| item.membership.value.id);
        Ok(MemberPage { items, next })
    }

    /// Gives the same person another role in the same place.
    pub async fn change_role(
        &self,
        id: Id,
        role: &str,
        expected: Option<Revision>,
    ) -> Result<Member, StoreError> {
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, id).await?;
        current(expected, &before)?;
        let was = &before.membership.value;
        let needed = needed_in(&mut change.tx, was.account).await?;
        if was.role != role {
            not_held(&mut change.tx, was.account, was.place, role).await?;
        }
        let (revision, at) = (change.revision, change.at);
        execute!(
            change.tx,
            "UPDATE memberships SET role = $1, revision = $2, updated_at = $3 WHERE id = $4",
            role,
            revision,
            at,
            id.to_string()
        )?;
        keep(&mut change.tx, &needed).await?;
        let after = read(&mut change.tx, id).await?;
        change.note(AuditNote {
            organization: was.place.organization(),
            project: was.place.project(),
            before: Some(was.told()),
            after: Some(after.membership.value.told()),
            ..AuditNote::of(Deed::Update, Kind::Membership, &id, &after.known_as)
        });
        self.commit(change).await?;
        Ok(after)
    }

    /// Takes a role away. Keys of the user that the person is there stay.
    pub async fn delete_membership(
        &self,
        id: Id,
        expected: Option<Revision>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, id).await?;
        current(expected, &before)?;
        let needed = needed_in(&mut change.tx, before.membership.value.account).await?;
        remove(&mut change, &before).await?;
        keep(&mut change.tx, &needed).await?;
        self.commit(change).await
    }

    /// Makes what an issuer's claims say of an account be what it holds by them: no more, no less. What was given by hand stays, and
    /// so does the last operator, and the last owner of an organization. What is to be held in a place that is gone is left out. Nothing
    /// is written where nothing changes.
    pub async fn replace_memberships(
        &self,
        account: Id,
        source: &str,
        wanted: &[(Place, String)],
    ) -> Result<(), StoreError> {
        let held = self.memberships_of(account).await?;
        let missing = |held: &[Membership]| -> Vec<(Place, String)> {
            let there = |(place, role): &&(Place, String)| {
                !held
                    .iter()
                    .any(|one| one.place == *place && one.role == *role)
            };
            wanted.iter().filter(there).cloned().collect()
        };
        let surplus = |held: Vec<Membership>| -> Vec<Membership> {
            let said = |one: &Membership| {
                wanted
                    .iter()
                    .any(|(place, role)| one.place == *place && one.role == *role)
            };
            held.into_iter()
                .filter(|one| one.source == source && !said(one))
                .collect()
        };
        if missing(&held).is_empty() && surplus(held).is_empty() {
            return Ok(());
        }
        let mut change = self.begin_change().await?;
        let owner = crate::account::read(&mut change.tx, account).await?;
        let held = of_account(&mut change.tx, account).await?;
        let mut is_changed = false;
        for (place, role) in missing(&held) {
            match check_place(&mut change.tx, place).await {
                Err(StoreError::Missing { .. }) => continue,
                found => found?,
            }
            let new = NewMembership {
                place,
                role,
                source: source.to_owned(),
            };
            insert(&mut change, &owner.account.value, &new).await?;
            is_changed = true;
        }
        for one in surplus(held) {
            let before = read(&mut change.tx, one.id).await?;
            if others_hold(&mut change.tx, &one).await? {
                remove(&mut change, &before).await?;
                is_changed = true;
            }
        }
        if !is_changed {
            return Ok(());
        }
        self.commit(change).await
    }
}

fn current(expected: Option<Revision>, member: &Member) -> Result<(), StoreError> {
    let current = member.membership.revision;
    if expected.is_some_and(|expected| expected != current) {
        return Err(StoreError::Stale {
            kind: Kind::Membership,
            current,
        });
    }
    Ok(())
}

async fn remove(change: &mut Change, before: &Member) -> Result<(), StoreError> {
    let was = &before.membership.value;
    execute!(
        change.tx,
        "DELETE FROM memberships WHERE id = $1",
        was.id.to_string()
    )?;
    change.note(AuditNote {
        organization: was.place.organization(),
        project: was.place.project(),
        before: Some(was.told()),
        ..AuditNote::of(Deed::Delete, Kind::Membership, &was.id, &before.known_as)
    });
    Ok(())
}

/// Whether somebody is left without this membership where somebody must be.
async fn others_hold(tx: &mut Tx, one: &Membership) -> Result<bool, StoreError> {
    let rows = fetch_all!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM memberships JOIN accounts ON accounts.id = account_id
         WHERE NOT blocked AND place = $1 AND role = $2 AND memberships.id <> $3",
        one.place.column(),
        one.role.as_str(),
        one.id.to_string()
    )?;
    let others: i64 = rows.iter().map(|(count,)| count).sum();
    let needed = matches!(
        (one.place, one.role.as_str()),
        (Place::Platform, "operator") | (Place::Organization(_), "owner")
    );
    Ok(others > 0 || !needed)
}

pub(crate) async fn of_account(tx: &mut Tx, account: Id) -> Result<Vec<Membership>, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(SELECT);
        query.push(" WHERE account_id = ").push_bind(account.to_string());
        query.push(" ORDER BY memberships.id");
        query.build_query_as::<Row>().fetch_all(connection).await
    })?;
    rows.into_iter()
        .map(|row| Ok(row.member()?.membership.value))
        .collect()
}

async fn read(tx: &mut Tx, id: Id) -> Result<Member, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(SELECT);
        query.push(" WHERE memberships.id = ").push_bind(id.to_string());
        query.build_query_as::<Row>().fetch_all(connection).await
    })?;
    let row = rows.into_iter().next().ok_or(StoreError::NotFound {
        kind: Kind::Membership,
        id,
    })?;
    row.member()
}

async fn not_held(tx: &mut Tx, account: Id, place: Place, role: &str) -> Result<(), StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT id FROM memberships WHERE account_id = $1 AND place = $2 AND role = $3",
        account.to_string(),
        place.column(),
        role
    )?;
    if rows.is_empty() {
        return Ok(());
    }
    Err(StoreError::Taken {
        kind: Kind::Membership,
        name: role.to_owned(),
    })
}

/// Where somebody must be left when this account no longer holds what it holds now: the platform, where it operates it, and each
/// organization that it owns. Asked before a change; [`keep`] is asked after it, in the same transaction.
pub(crate) async fn needed_in(tx: &mut Tx, account: Id) -> Result<Vec<String>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT place FROM memberships JOIN accounts ON accounts.id = account_id
         WHERE NOT blocked AND account_id = $1 AND (place = 'platform' AND role = 'operator' OR project_id IS NULL AND role = 'owner')",
        account.to_string()
    )?;
    Ok(rows.into_iter().map(|(place,)| place).collect())
}

/// Somebody who can still sign in is left to run the platform, or to own the organization.
pub(crate) async fn keep(tx: &mut Tx, places: &[String]) -> Result<(), StoreError> {
    for place in places {
        let rows = fetch_all!(
            tx,
            (i64,),
            "SELECT COUNT(*) FROM memberships JOIN accounts ON accounts.id = account_id
             WHERE NOT blocked AND place = $1 AND (place = 'platform' AND role = 'operator' OR role = 'owner')",
            place.as_str()
        )?;
        if rows.iter().all(|(count,)| *count == 0) {
            let what = if place == "platform" {
                "operator of the platform"
            } else {
                "owner of the organization"
            };
            return Err(StoreError::LastOne { what });
        }
    }
    Ok(())
}

/// Writes a membership; says its id.
pub(crate) async fn insert(
    change: &mut Change,
    account: &Account,
    new: &NewMembership,
) -> Result<Id, StoreError> {
    check_place(&mut change.tx, new.place).await?;
    not_held(&mut change.tx, account.id, new.place, &new.role).await?;
    let user = match new.place.organization() {
        Some(organization) => Some(user_in(change, account, organization).await?),
        None => None,
    };
    let membership = Membership {
        id: new_id(),
        account: account.id,
        place: new.place,
        role: new.role.clone(),
        user,
        source: new.source.clone(),
    };
    let (revision, at) = (change.revision, change.at);
    execute!(
        change.tx,
        "INSERT INTO memberships (id, account_id, place, organization_id, project_id, role, user_id, source, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        membership.id.to_string(),
        account.id.to_string(),
        new.place.column(),
        new.place.organization().map(|id| id.to_string()),
        new.place.project().map(|id| id.to_string()),
        new.role.as_str(),
        user.map(|id| id.to_string()),
        new.source.as_str(),
        revision,
        at
    )?;
    change.note(AuditNote {
        organization: new.place.organization(),
        project: new.place.project(),
        after: Some(membership.told()),
        ..AuditNote::of(
            Deed::Create,
            Kind::Membership,
            &membership.id,
            account.known_as(),
        )
    });
    Ok(membership.id)
}

pub(crate) async fn check_place(tx: &mut Tx, place: Place) -> Result<(), StoreError> {
    if let Some(organization) = place.organization() {
        there(tx, Kind::Organization, organization, None).await?;
    }
    if let Place::Project {
        organization,
        project,
    } = place
    {
        there(tx, Kind::Project, project, Some(organization)).await?;
    }
    Ok(())
}

/// What a role is given in is there, as itself or as a stand-in of what the configuration names.
async fn there(
    tx: &mut Tx,
    kind: Kind,
    id: Id,
    organization: Option<Id>,
) -> Result<(), StoreError> {
    let rows = match kind {
        Kind::Project => fetch_all!(
            tx,
            (String,),
            "SELECT id FROM projects WHERE id = $1 AND organization_id = $2",
            id.to_string(),
            organization.map(|id| id.to_string())
        )?,
        _ => fetch_all!(
            tx,
            (String,),
            "SELECT id FROM organizations WHERE id = $1",
            id.to_string()
        )?,
    };
    if rows.is_empty() {
        return Err(StoreError::Missing {
            field: kind.name(),
            kind,
            id,
        });
    }
    Ok(())
}

/// Who the person is among the users of an organization: the one that they are there already, the person of that name whom nobody
/// else is, or a new one.
async fn user_in(
    change: &mut Change,
    account: &Account,
    organization: Id,
) -> Result<Id, StoreError> {
    let linked = fetch_all!(
        change.tx,
        (String,),
        "SELECT user_id FROM memberships WHERE account_id = $1 AND organization_id = $2 AND user_id IS NOT NULL ORDER BY id LIMIT 1",
        account.id.to_string(),
        organization.to_string()
    )?;
    if let Some((user,)) = linked.first() {
        return id_of(user);
    }
    let name = account.known_as().replace('/', "_");
    let named = fetch_all!(
        change.tx,
        (String, Option<String>, bool),
        "SELECT users.id, (SELECT MIN(account_id) FROM memberships WHERE user_id = users.id), kind = 'person' FROM users WHERE organization_id = $1 AND name = $2 AND NOT stand_in",
        organization.to_string(),
        name.as_str()
    )?;
    let mut name = name;
    match named.first() {
        Some((user, None, true)) => return id_of(user),
        Some(_) => name = format!("{name} ({})", account.id),
        None => {}
    }
    let user = User {
        id: new_id(),
        organization,
        name,
        kind: UserKind::Person,
        rules: lingate_metering::tenant::Rules::default(),
    };
    entity::insert(change, std::slice::from_ref(&user), false).await?;
    entity::note(change, Deed::Create, None, Some(&user)).await?;
    Ok(user.id)
}
