//! Organizations, projects, users and keys as rows: one way to create, read, change and delete them all.
//!
//! What is searched is in columns; the rest is JSON. The row's revision is that of the store when it was last written, and so is
//! its ETag.

use std::collections::{HashMap, HashSet};
use std::fmt;

use lingate_metering::tenant::{ApiKey, KeySecret, Organization, Project, Rules, User, UserKind};
use lingate_metering::{Id, Millis};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sqlx::QueryBuilder;

use crate::audit::{AuditNote, Deed};
use crate::database::{Tx, fetch_all, on};
use crate::store::Change;
use crate::{Store, StoreError, key};

/// A point in the history of the store: the number of changes before it.
pub type Revision = i64;

/// A thing that is stored, and what the store knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stored<T> {
    pub revision: Revision,
    pub created_at: Millis,
    pub updated_at: Millis,
    pub value: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Organization,
    Project,
    User,
    ApiKey,
    Account,
    Membership,
    Invitation,
    Session,
    Token,
    Document,
    ProviderKey,
    Wallet,
    CodeBatch,
    Code,
    Payment,
    Invoice,
    Job,
    AuditEvent,
    SignInProvider,
    Identity,
    Provider,
    Route,
    Plan,
    Price,
    Currency,
    Setting,
    Configuration,
}

impl Kind {
    /// Those that replicas know all of, and whose deletions are told to them.
    pub(crate) const REPLICATED: [Self; 4] =
        [Self::Organization, Self::Project, Self::User, Self::ApiKey];

    /// In columns of that name, in audit events and in the names of actions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::User => "user",
            Self::ApiKey => "api_key",
            Self::Account => "account",
            Self::Membership => "membership",
            Self::Invitation => "invitation",
            Self::Session => "session",
            Self::Token => "token",
            Self::Document => "document",
            Self::ProviderKey => "provider_key",
            Self::Wallet => "wallet",
            Self::CodeBatch => "code_batch",
            Self::Code => "code",
            Self::Payment => "payment",
            Self::Invoice => "invoice",
            Self::Job => "job",
            Self::AuditEvent => "audit_event",
            Self::SignInProvider => "sign_in_provider",
            Self::Identity => "identity",
            Self::Provider => "provider",
            Self::Route => "route",
            Self::Plan => "plan",
            Self::Price => "price",
            Self::Currency => "currency",
            Self::Setting => "setting",
            Self::Configuration => "configuration",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey => "key",
            Self::CodeBatch => "batch of codes",
            Self::ProviderKey => "provider key",
            Self::AuditEvent => "audit event",
            Self::SignInProvider => "sign-in provider",
            other => other.name(),
        })
    }
}

/// An organization, a project, a user or a key.
pub trait Entity:
    Serialize + DeserializeOwned + Clone + Send + Sync + fmt::Debug + 'static
{
    #[doc(hidden)]
    const TABLE: Table;

    fn id(&self) -> Id;
    fn name(&self) -> &str;
    fn rules(&self) -> &Rules;
    #[doc(hidden)]
    fn columns(&self) -> Columns;
    #[doc(hidden)]
    fn secrets(&self) -> &[KeySecret] {
        &[]
    }
}

/// What differs between the tables.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Table {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    /// The column of what it belongs to, and what that is.
    pub(crate) parent: Option<(&'static str, Kind)>,
    /// Columns besides those that every table has.
    pub(crate) own: &'static [&'static str],
    /// Fields that are columns, and so no part of the JSON.
    pub(crate) fields: &'static [&'static str],
    /// Every column, in the order of [`Row`].
    pub(crate) select: &'static str,
    /// What may refer to a row, and the text that counts it.
    pub(crate) dependants: &'static [(Kind, &'static str)],
}

/// The columns of a row that come from its value.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Columns {
    pub(crate) parent: Option<Id>,
    pub(crate) user: Option<Id>,
    pub(crate) kind: Option<UserKind>,
    pub(crate) expires_at: Option<Millis>,
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    pub(crate) user_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) blocked: bool,
    pub(crate) spec: String,
    pub(crate) revision: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl Entity for Organization {
    const TABLE: Table = Table {
        kind: Kind::Organization,
        name: "organizations",
        parent: None,
        own: &[],
        fields: &["id", "name"],
        select: "SELECT id, CAST(NULL AS TEXT) AS parent, name, CAST(NULL AS TEXT) AS user_id, CAST(NULL AS TEXT) AS kind, CAST(NULL AS BIGINT) AS expires_at, blocked, spec, revision, created_at, updated_at FROM organizations",
        dependants: &[
            (
                Kind::Project,
                "SELECT COUNT(*) FROM projects WHERE organization_id = $1",
            ),
            (
                Kind::User,
                "SELECT COUNT(*) FROM users WHERE organization_id = $1",
            ),
        ],
    };

    fn id(&self) -> Id {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn rules(&self) -> &Rules {
        &self.rules
    }

    fn columns(&self) -> Columns {
        Columns {
            parent: None,
            user: None,
            kind: None,
            expires_at: None,
        }
    }
}

impl Entity for Project {
    const TABLE: Table = Table {
        kind: Kind::Project,
        name: "projects",
        parent: Some(("organization_id", Kind::Organization)),
        own: &["organization_id"],
        fields: &["id", "organization", "name"],
        select: "SELECT id, organization_id AS parent, name, CAST(NULL AS TEXT) AS user_id, CAST(NULL AS TEXT) AS kind, CAST(NULL AS BIGINT) AS expires_at, blocked, spec, revision, created_at, updated_at FROM projects",
        dependants: &[(
            Kind::ApiKey,
            "SELECT COUNT(*) FROM api_keys WHERE project_id = $1",
        )],
    };

    fn id(&self) -> Id {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn rules(&self) -> &Rules {
        &self.rules
    }

    fn columns(&self) -> Columns {
        Columns {
            parent: Some(self.organization),
            user: None,
            kind: None,
            expires_at: None,
        }
    }
}

impl Entity for User {
    const TABLE: Table = Table {
        kind: Kind::User,
        name: "users",
        parent: Some(("organization_id", Kind::Organization)),
        own: &["organization_id", "kind"],
        fields: &["id", "organization", "name", "kind"],
        select: "SELECT id, organization_id AS parent, name, CAST(NULL AS TEXT) AS user_id, kind, CAST(NULL AS BIGINT) AS expires_at, blocked, spec, revision, created_at, updated_at FROM users",
        dependants: &[(
            Kind::ApiKey,
            "SELECT COUNT(*) FROM api_keys WHERE user_id = $1",
        )],
    };

    fn id(&self) -> Id {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn rules(&self) -> &Rules {
        &self.rules
    }

    fn columns(&self) -> Columns {
        Columns {
            parent: Some(self.organization),
            user: None,
            kind: Some(self.kind),
            expires_at: None,
        }
    }
}

impl Entity for ApiKey {
    const TABLE: Table = Table {
        kind: Kind::ApiKey,
        name: "api_keys",
        parent: Some(("project_id", Kind::Project)),
        own: &["project_id", "user_id", "expires_at"],
        fields: &["id", "project", "name", "user", "secrets", "expires_at"],
        select: "SELECT id, project_id AS parent, name, user_id, CAST(NULL AS TEXT) AS kind, expires_at, blocked, spec, revision, created_at, updated_at FROM api_keys",
        dependants: &[],
    };

    fn id(&self) -> Id {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn rules(&self) -> &Rules {
        &self.rules
    }

    fn columns(&self) -> Columns {
        Columns {
            parent: Some(self.project),
            user: self.user,
            kind: None,
            expires_at: self.expires_at,
        }
    }

    fn secrets(&self) -> &[KeySecret] {
        &self.secrets
    }
}

/// An id for something that is about to be stored: a UUID of version 7, so that ids are in the order of creation.
pub fn new_id() -> Id {
    Id::from_u128(uuid::Uuid::now_v7().as_u128())
}

impl Store {
    pub async fn create<E: Entity>(&self, value: &E) -> Result<Stored<E>, StoreError> {
        let mut all = self.create_all(std::slice::from_ref(value)).await?;
        all.pop()
            .ok_or_else(|| StoreError::Other("nothing was created".into()))
    }

    /// All of them, or none.
    pub async fn create_all<E: Entity>(&self, values: &[E]) -> Result<Vec<Stored<E>>, StoreError> {
        let mut change = self.begin_change().await?;
        add(&mut change, values).await?;
        let (at, revision) = (change.at, change.revision);
        self.commit(change).await?;
        Ok(values
            .iter()
            .map(|value| Stored {
                revision,
                created_at: at,
                updated_at: at,
                value: value.clone(),
            })
            .collect())
    }

    /// Makes it possible to refer to something that `lingate.yml` names. It is not listed, read or changed here. Without effect
    /// where that is possible already.
    pub async fn stand_in<E: Entity>(&self, value: &E) -> Result<(), StoreError> {
        let id = value.id();
        let mut tx = self.db.begin_read().await?;
        if exists(&mut tx, E::TABLE, id).await?.is_some() {
            return Ok(());
        }
        drop(tx);
        check(value)?;
        let mut change = self.begin_change().await?;
        if exists(&mut change.tx, E::TABLE, id).await?.is_some() {
            return Ok(());
        }
        insert(&mut change, std::slice::from_ref(value), true).await?;
        self.commit(change).await
    }

    pub async fn get<E: Entity>(&self, id: Id) -> Result<Stored<E>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, id).await
    }

    /// By its name, within what it belongs to; `None`: wherever, the oldest of that name.
    pub async fn find<E: Entity>(
        &self,
        parent: Option<Id>,
        name: &str,
    ) -> Result<Option<Stored<E>>, StoreError> {
        if check_name(E::TABLE.kind, name).is_err() {
            return Ok(None);
        }
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(E::TABLE.select);
            query.push(" WHERE NOT stand_in AND name = ").push_bind(name.to_owned());
            if let (Some(parent), Some((column, _))) = (parent, E::TABLE.parent) {
                query.push(" AND ").push(column).push(" = ").push_bind(parent.to_string());
            }
            query.push(" ORDER BY id LIMIT 1");
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        Ok(assemble(&mut tx, rows).await?.pop())
    }

    /// Writes all that may be changed; what it belongs to may not, and the secrets of a key are changed by
    /// [`Store::rotate`]. With `expected`, only if it is at that revision still.
    pub async fn update<E: Entity>(
        &self,
        value: &E,
        expected: Option<Revision>,
    ) -> Result<Stored<E>, StoreError> {
        let mut change = self.begin_change().await?;
        let stored = write(&mut change, value, expected).await?;
        self.commit(change).await?;
        Ok(stored)
    }

    /// Blocked, it is refused everything; whatever belongs to it, too.
    pub async fn set_blocked<E: Entity>(
        &self,
        id: Id,
        blocked: bool,
        expected: Option<Revision>,
    ) -> Result<Stored<E>, StoreError> {
        let mut change = self.begin_change().await?;
        let stored = block(&mut change, id, blocked, expected).await?;
        self.commit(change).await?;
        Ok(stored)
    }

    /// Blocks or unblocks all of them, or none.
    pub async fn set_all_blocked<E: Entity>(
        &self,
        ids: &[Id],
        blocked: bool,
    ) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        for id in ids {
            block::<E>(&mut change, *id, blocked, None).await?;
        }
        self.commit(change).await
    }

    /// Refused while something belongs to it. What is written of its use stays.
    pub async fn delete<E: Entity>(
        &self,
        id: Id,
        expected: Option<Revision>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        remove::<E>(&mut change, id, expected).await?;
        self.commit(change).await
    }

    /// Deletes all of them, or none.
    pub async fn delete_all<E: Entity>(&self, ids: &[Id]) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        for id in ids {
            remove::<E>(&mut change, *id, None).await?;
        }
        self.commit(change).await
    }
}

pub(crate) async fn add<E: Entity>(change: &mut Change, values: &[E]) -> Result<(), StoreError> {
    for value in values {
        check(value)?;
    }
    insert(change, values, false).await?;
    for value in values {
        note(change, Deed::Create, None, Some(value)).await?;
    }
    Ok(())
}

pub(crate) async fn add_stand_in<E: Entity>(
    change: &mut Change,
    value: &E,
) -> Result<(), StoreError> {
    if exists(&mut change.tx, E::TABLE, value.id())
        .await?
        .is_some()
    {
        return Ok(());
    }
    check(value)?;
    insert(change, std::slice::from_ref(value), true).await
}

pub(crate) async fn write<E: Entity>(
    change: &mut Change,
    value: &E,
    expected: Option<Revision>,
) -> Result<Stored<E>, StoreError> {
    check(value)?;
    let table = E::TABLE;
    let parent = lock_row(&mut change.tx, table, value.id(), expected).await?;
    let before: Option<E> = before(&mut change.tx, value.id()).await;
    let columns = value.columns();
    if let Some((_, kind)) = table.parent
        && parent.as_deref() != columns.parent.map(|id| id.to_string()).as_deref()
    {
        return Err(StoreError::Invalid {
            field: kind.name(),
            problem: format!("a {} stays in its {kind}", table.kind),
        });
    }
    check_references(&mut change.tx, std::slice::from_ref(value)).await?;
    check_names(
        &mut change.tx,
        std::slice::from_ref(value),
        Some(value.id()),
    )
    .await?;
    let (at, revision, spec) = (change.at, change.revision, spec(value)?);
    on!(change.tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new("UPDATE ");
        query.push(table.name).push(" SET name = ").push_bind(value.name().to_owned());
        query.push(", blocked = ").push_bind(value.rules().blocked);
        query.push(", spec = ").push_bind(spec);
        query.push(", revision = ").push_bind(revision);
        query.push(", updated_at = ").push_bind(at);
        for column in table.own {
            match *column {
                "kind" => query.push(", kind = ").push_bind(columns.kind.map(user_kind)),
                "user_id" => query.push(", user_id = ").push_bind(columns.user.map(|id| id.to_string())),
                "expires_at" => query.push(", expires_at = ").push_bind(columns.expires_at),
                _ => &mut query,
            };
        }
        query.push(" WHERE id = ").push_bind(value.id().to_string());
        query.build().execute(connection).await.map(drop)
    })?;
    let stored: Stored<E> = read(&mut change.tx, value.id()).await?;
    let was = before.as_ref().map(|before| before.rules().blocked);
    let deed = match (was, stored.value.rules().blocked) {
        (Some(false), true) => Deed::Block,
        (Some(true), false) => Deed::Unblock,
        (Some(_) | None, _) => Deed::Update,
    };
    note(change, deed, before.as_ref(), Some(&stored.value)).await?;
    Ok(stored)
}

async fn block<E: Entity>(
    change: &mut Change,
    id: Id,
    blocked: bool,
    expected: Option<Revision>,
) -> Result<Stored<E>, StoreError> {
    let table = E::TABLE;
    lock_row(&mut change.tx, table, id, expected).await?;
    let before: Option<E> = before(&mut change.tx, id).await;
    let (at, revision) = (change.at, change.revision);
    on!(change.tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new("UPDATE ");
        query.push(table.name).push(" SET blocked = ").push_bind(blocked);
        query.push(", revision = ").push_bind(revision);
        query.push(", updated_at = ").push_bind(at);
        query.push(" WHERE id = ").push_bind(id.to_string());
        query.build().execute(connection).await.map(drop)
    })?;
    let stored: Stored<E> = read(&mut change.tx, id).await?;
    let deed = if blocked { Deed::Block } else { Deed::Unblock };
    note(change, deed, before.as_ref(), Some(&stored.value)).await?;
    Ok(stored)
}

pub(crate) async fn remove<E: Entity>(
    change: &mut Change,
    id: Id,
    expected: Option<Revision>,
) -> Result<(), StoreError> {
    let table = E::TABLE;
    let kind = table.kind;
    lock_row(&mut change.tx, table, id, expected).await?;
    let before: Option<E> = before(&mut change.tx, id).await;
    let mut dependants = Vec::new();
    for (kind, count) in table.dependants {
        let rows = fetch_all!(change.tx, (i64,), *count, id.to_string())?;
        let count: i64 = rows.iter().map(|(count,)| count).sum();
        if count > 0 {
            dependants.push((*kind, count.unsigned_abs()));
        }
    }
    if !dependants.is_empty() {
        return Err(StoreError::InUse { kind, dependants });
    }
    on!(change.tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new("DELETE FROM ");
        query.push(table.name).push(" WHERE id = ").push_bind(id.to_string());
        query.build().execute(connection).await.map(drop)
    })?;
    change.bury(kind, id).await?;
    if before.is_some() {
        return note(change, Deed::Delete, before.as_ref(), None).await;
    }
    change.note(AuditNote::of(Deed::Delete, kind, &id, ""));
    Ok(())
}

/// What it was until now, if it can be read: what cannot may still be replaced or deleted.
async fn before<E: Entity>(tx: &mut Tx, id: Id) -> Option<E> {
    read(tx, id)
        .await
        .ok()
        .map(|stored: Stored<E>| stored.value)
}

/// Writes into the audit log what becomes of a thing.
pub(crate) async fn note<E: Entity>(
    change: &mut Change,
    deed: Deed,
    before: Option<&E>,
    after: Option<&E>,
) -> Result<(), StoreError> {
    let Some(value) = after.or(before) else {
        return Ok(());
    };
    let (organization, project) = match E::TABLE.kind {
        Kind::Organization => (Some(value.id()), None),
        Kind::ApiKey => {
            let project = value.columns().parent;
            let rows = fetch_all!(
                change.tx,
                (String,),
                "SELECT organization_id FROM projects WHERE id = $1",
                project.map(|id| id.to_string())
            )?;
            let organization = rows.first().and_then(|(id,)| id.parse().ok());
            (organization, project)
        }
        kind => {
            let project = (kind == Kind::Project).then(|| value.id());
            (value.columns().parent, project)
        }
    };
    change.note(AuditNote {
        organization,
        project,
        before: before.map(told),
        after: after.map(told),
        ..AuditNote::of(deed, E::TABLE.kind, &value.id(), value.name())
    });
    Ok(())
}

/// A thing as the audit log tells it: of secrets it knows their last characters alone.
fn told<E: Entity>(value: &E) -> Value {
    let mut told = serde_json::to_value(value).unwrap_or_default();
    if let Some(Value::Array(secrets)) = told.get_mut("secrets") {
        for secret in secrets {
            if let Value::Object(secret) = secret {
                secret.shift_remove("sha256");
            }
        }
    }
    told
}

/// Names are shown, typed and put into paths.
const LONGEST_NAME: usize = 200;

fn check<E: Entity>(value: &E) -> Result<(), StoreError> {
    check_name(E::TABLE.kind, value.name()).map_err(|problem| StoreError::Invalid {
        field: "name",
        problem: problem.to_owned(),
    })?;
    // All that is known of a secret is shown, too.
    let shown = |secret: &KeySecret| {
        secret.hint.chars().count() <= 8 && !secret.hint.chars().any(char::is_control)
    };
    if !value.secrets().iter().all(shown) {
        return Err(StoreError::Invalid {
            field: "secrets",
            problem: "a hint is the last four characters of a secret".into(),
        });
    }
    Ok(())
}

fn check_name(kind: Kind, name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("a name has at least one character");
    }
    if name.chars().count() > LONGEST_NAME {
        return Err("a name has at most 200 characters");
    }
    if name.chars().any(char::is_control) {
        return Err("a name has no control characters");
    }
    if name.trim() != name {
        return Err("a name does not begin or end with a space");
    }
    if name.contains('/') && kind != Kind::ApiKey {
        return Err("a name has no slash: it separates names in ORGANIZATION/PROJECT");
    }
    Ok(())
}

/// The JSON of what is no column.
fn spec<E: Entity>(value: &E) -> Result<String, StoreError> {
    let unreadable = |error: serde_json::Error| StoreError::Other(error.to_string());
    let Value::Object(mut spec) = serde_json::to_value(value).map_err(unreadable)? else {
        return Err(StoreError::Other("a thing is written as no object".into()));
    };
    for field in E::TABLE.fields {
        spec.shift_remove(*field);
    }
    if let Some(Value::Object(rules)) = spec.get_mut("rules") {
        rules.shift_remove("blocked");
    }
    let text = serde_json::to_string(&spec).map_err(unreadable)?;
    if text.len() > LONGEST_SPEC {
        return Err(StoreError::Invalid {
            field: "rules",
            problem: "there are more than 256 KiB of rules".into(),
        });
    }
    Ok(text)
}

/// All of it is in memory on every replica.
const LONGEST_SPEC: usize = 256 << 10;

pub(crate) const fn user_kind(kind: UserKind) -> &'static str {
    match kind {
        UserKind::Person => "person",
        UserKind::ServiceAccount => "service_account",
    }
}

/// Rows that are written by one statement: databases have a highest number of values.
const ROWS: usize = 500;

pub(crate) async fn insert<E: Entity>(
    change: &mut Change,
    values: &[E],
    stand_in: bool,
) -> Result<(), StoreError> {
    let table = E::TABLE;
    if !stand_in {
        check_references(&mut change.tx, values).await?;
        check_names(&mut change.tx, values, None).await?;
    }
    let (at, revision) = (change.at, change.revision);
    for values in values.chunks(ROWS) {
        let mut rows = Vec::with_capacity(values.len());
        for value in values {
            rows.push((value, value.columns(), spec(value)?));
        }
        on!(change.tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("INSERT INTO ");
            query.push(table.name).push(" (id, name, stand_in, blocked, spec, revision, created_at, updated_at");
            for column in table.own {
                query.push(", ").push(*column);
            }
            query.push(") ");
            query.push_values(rows, |mut row, (value, columns, spec)| {
                row.push_bind(value.id().to_string())
                    .push_bind(value.name().to_owned())
                    .push_bind(stand_in)
                    .push_bind(value.rules().blocked)
                    .push_bind(spec)
                    .push_bind(revision)
                    .push_bind(at)
                    .push_bind(at);
                for column in table.own {
                    match *column {
                        "kind" => row.push_bind(columns.kind.map(user_kind)),
                        "user_id" => row.push_bind(columns.user.map(|id| id.to_string())),
                        "expires_at" => row.push_bind(columns.expires_at),
                        _ => row.push_bind(columns.parent.map(|id| id.to_string())),
                    };
                }
            });
            query.build().execute(connection).await.map(drop)
        })
        .map_err(|error| match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => StoreError::Taken {
                kind: table.kind,
                name: "(the same id)".into(),
            },
            _ => StoreError::from(error),
        })?;
        if table.kind == Kind::ApiKey && !stand_in {
            let mut secrets = Vec::new();
            for value in values {
                key::collect(value, &mut secrets);
            }
            key::insert(&mut change.tx, &secrets).await?;
        }
        change.exhume(values.iter().map(Entity::id)).await?;
    }
    Ok(())
}

/// What the values name must be there. A key is held by a user of its own organization.
async fn check_references<E: Entity>(tx: &mut Tx, values: &[E]) -> Result<(), StoreError> {
    let Some((_, parent_kind)) = E::TABLE.parent else {
        return Ok(());
    };
    let all: Vec<Columns> = values.iter().map(Entity::columns).collect();
    let parents: HashSet<Id> = all.iter().filter_map(|columns| columns.parent).collect();
    let users: HashSet<Id> = all.iter().filter_map(|columns| columns.user).collect();
    // Of each, the organization.
    let parents = organizations_of(tx, parent_kind, &parents).await?;
    let users = organizations_of(tx, Kind::User, &users).await?;
    for columns in all {
        let Some(parent) = columns.parent else {
            continue;
        };
        let Some(organization) = parents.get(&parent.to_string()) else {
            return Err(StoreError::Missing {
                field: parent_kind.name(),
                kind: parent_kind,
                id: parent,
            });
        };
        let Some(user) = columns.user else { continue };
        match users.get(&user.to_string()) {
            None => {
                return Err(StoreError::Missing {
                    field: "user",
                    kind: Kind::User,
                    id: user,
                });
            }
            Some(other) if other != organization => {
                return Err(StoreError::Invalid {
                    field: "user",
                    problem: "the user is of another organization than the project".into(),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn organizations_of(
    tx: &mut Tx,
    kind: Kind,
    ids: &HashSet<Id>,
) -> Result<HashMap<String, String>, StoreError> {
    let select = match kind {
        Kind::Organization => "SELECT id, id FROM organizations WHERE id IN (",
        Kind::Project => "SELECT id, organization_id FROM projects WHERE id IN (",
        _ => "SELECT id, organization_id FROM users WHERE id IN (",
    };
    let ids: Vec<String> = ids.iter().map(Id::to_string).collect();
    let mut found = HashMap::new();
    for ids in ids.chunks(ROWS) {
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(select);
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id.clone());
            }
            query.push(")");
            query.build_query_as::<(String, String)>().fetch_all(connection).await
        })?;
        found.extend(rows);
    }
    Ok(found)
}

/// No two of the same name in one place. Nobody else writes names while a change is under way.
async fn check_names<E: Entity>(
    tx: &mut Tx,
    values: &[E],
    but: Option<Id>,
) -> Result<(), StoreError> {
    let table = E::TABLE;
    let taken = |name: &str| {
        Err(StoreError::Taken {
            kind: table.kind,
            name: name.to_owned(),
        })
    };
    let mut seen = HashSet::new();
    for value in values {
        if !seen.insert((value.columns().parent, value.name())) {
            return taken(value.name());
        }
    }
    let but = but.map(|id| id.to_string()).unwrap_or_default();
    for values in values.chunks(ROWS) {
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("SELECT name FROM ");
            query.push(table.name).push(" WHERE NOT stand_in AND id <> ").push_bind(but.clone());
            match table.parent {
                None => {
                    query.push(" AND name IN (");
                    let mut list = query.separated(", ");
                    for value in values {
                        list.push_bind(value.name().to_owned());
                    }
                    query.push(")");
                }
                Some((column, _)) => {
                    query.push(" AND (").push(column).push(", name) IN (");
                    query.push_values(values, |mut row, value| {
                        row.push_bind(value.columns().parent.map(|id| id.to_string()))
                            .push_bind(value.name().to_owned());
                    });
                    query.push(")");
                }
            }
            query.push(" LIMIT 1");
            query.build_query_as::<(String,)>().fetch_all(connection).await
        })?;
        if let Some((name,)) = rows.first() {
            return taken(name);
        }
    }
    Ok(())
}

/// Whether there is such a row, and whether it is a stand-in.
async fn exists(tx: &mut Tx, table: Table, id: Id) -> Result<Option<bool>, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new("SELECT stand_in FROM ");
        query.push(table.name).push(" WHERE id = ").push_bind(id.to_string());
        query.build_query_as::<(bool,)>().fetch_all(connection).await
    })?;
    Ok(rows.first().map(|(stand_in,)| *stand_in))
}

/// Makes sure that the row is there and at the expected revision; says what it belongs to.
pub(crate) async fn lock_row(
    tx: &mut Tx,
    table: Table,
    id: Id,
    expected: Option<Revision>,
) -> Result<Option<String>, StoreError> {
    let kind = table.kind;
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new("SELECT revision, ");
        query.push(table.parent.map_or("CAST(NULL AS TEXT)", |(column, _)| column));
        query.push(" FROM ").push(table.name).push(" WHERE NOT stand_in AND id = ").push_bind(id.to_string());
        query.build_query_as::<(i64, Option<String>)>().fetch_all(connection).await
    })?;
    let Some((current, parent)) = rows.into_iter().next() else {
        return Err(StoreError::NotFound { kind, id });
    };
    if expected.is_some_and(|expected| expected != current) {
        return Err(StoreError::Stale { kind, current });
    }
    Ok(parent)
}

pub(crate) async fn read<E: Entity>(tx: &mut Tx, id: Id) -> Result<Stored<E>, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(E::TABLE.select);
        query.push(" WHERE NOT stand_in AND id = ").push_bind(id.to_string());
        query.build_query_as::<Row>().fetch_all(connection).await
    })?;
    assemble(tx, rows).await?.pop().ok_or(StoreError::NotFound {
        kind: E::TABLE.kind,
        id,
    })
}

/// Values of rows, the secrets of keys included.
pub(crate) async fn assemble<E: Entity>(
    tx: &mut Tx,
    rows: Vec<Row>,
) -> Result<Vec<Stored<E>>, StoreError> {
    let mut secrets = if E::TABLE.kind == Kind::ApiKey {
        key::of_rows(tx, &rows).await?
    } else {
        HashMap::new()
    };
    rows.into_iter()
        .map(|row| {
            let secrets = secrets.remove(&row.id).unwrap_or_default();
            value_of(&row, secrets)
        })
        .collect()
}

pub(crate) fn value_of<E: Entity>(row: &Row, secrets: Vec<Value>) -> Result<Stored<E>, StoreError> {
    let table = E::TABLE;
    let broken = |error: serde_json::Error| {
        StoreError::Other(format!(
            "the {} {} cannot be read: {error}",
            table.kind, row.id
        ))
    };
    let mut fields: Map<String, Value> = serde_json::from_str(&row.spec).map_err(broken)?;
    let mut secrets = Some(secrets);
    for field in table.fields {
        let value = match *field {
            "id" => Value::from(row.id.as_str()),
            "name" => Value::from(row.name.as_str()),
            "kind" => Value::from(row.kind.as_deref()),
            "user" => Value::from(row.user_id.as_deref()),
            "expires_at" => Value::from(row.expires_at),
            "secrets" => Value::from(secrets.take().unwrap_or_default()),
            _ => Value::from(row.parent.as_deref()),
        };
        fields.insert((*field).to_owned(), value);
    }
    if row.blocked {
        let rules = fields
            .entry("rules")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(rules) = rules {
            rules.insert("blocked".into(), Value::Bool(true));
        }
    }
    let value = serde_json::from_value(Value::Object(fields)).map_err(broken)?;
    Ok(Stored {
        revision: row.revision,
        created_at: row.created_at,
        updated_at: row.updated_at,
        value,
    })
}
