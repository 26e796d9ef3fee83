//! Credentials at providers, as they are stored: sealed by somebody else, who alone can open them.

use std::collections::HashSet;

use lingate_metering::{Id, Millis};
use serde_json::Value;
use sqlx::QueryBuilder;

use crate::audit::{AuditNote, Deed};
use crate::database::{execute, fetch_all, on};
use crate::store::Change;
use crate::{Kind, Revision, Store, StoreError};

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderKey {
    pub id: Id,
    pub provider: String,
    pub secret: KeptSecret,
    /// What may be shown of it: its last four characters.
    pub hint: String,
    pub name: String,
    /// Weight, tags, account and limits, as `lingate.yml` writes them.
    pub spec: Value,
    pub enabled: bool,
    pub revision: Revision,
    pub created_at: Millis,
}

/// What is kept of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptSecret {
    /// An envelope.
    Sealed(String),
    /// `${NAME}` or `file:PATH`.
    Reference(String),
}

/// A key that is to be added.
#[derive(Debug, Clone)]
pub struct NewProviderKey {
    pub id: Id,
    pub secret: KeptSecret,
    /// The same for the same credential.
    pub fingerprint: String,
    /// That under the master key before, while it is exchanged.
    pub old_fingerprint: Option<String>,
    pub hint: String,
    pub name: String,
    pub spec: Value,
    pub enabled: bool,
}

/// What changes of a key; `None`: it stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProviderKeyChange {
    pub name: Option<String>,
    pub spec: Option<Value>,
    pub enabled: Option<bool>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    provider: String,
    sealed: Option<String>,
    reference: Option<String>,
    hint: String,
    name: String,
    spec: String,
    enabled: bool,
    revision: i64,
    created_at: i64,
}

const SELECT: &str = "SELECT id, provider, sealed, reference, hint, name, spec, enabled, revision, created_at FROM provider_keys";

/// Databases have a highest number of values in one statement.
const AT_ONCE: usize = 500;

impl Row {
    fn key(self) -> Result<ProviderKey, StoreError> {
        let id = self
            .id
            .parse()
            .map_err(|_| StoreError::Other(format!("{} is no id", self.id)))?;
        Ok(ProviderKey {
            id,
            provider: self.provider,
            secret: match (self.sealed, self.reference) {
                (Some(sealed), _) => KeptSecret::Sealed(sealed),
                (None, reference) => KeptSecret::Reference(reference.unwrap_or_default()),
            },
            hint: self.hint,
            name: self.name,
            spec: serde_json::from_str(&self.spec)
                .map_err(|error| StoreError::Other(format!("key {id}: {error}")))?,
            enabled: self.enabled,
            revision: self.revision,
            created_at: self.created_at,
        })
    }
}

impl Store {
    /// Adds keys of a provider, all or none; those that it has already are left out. The ids of those that were added.
    pub async fn add_provider_keys(
        &self,
        provider: &str,
        keys: &[NewProviderKey],
        detail: Option<&str>,
    ) -> Result<Vec<Id>, StoreError> {
        let mut change = self.begin_change().await?;
        let mut known: HashSet<String> = HashSet::new();
        for keys in keys.chunks(AT_ONCE) {
            let rows = on!(change.tx, Database, connection => {
                let mut query = QueryBuilder::<Database>::new("SELECT fingerprint FROM provider_keys WHERE provider = ");
                query.push_bind(provider.to_owned()).push(" AND fingerprint IN (");
                let mut list = query.separated(", ");
                for key in keys {
                    list.push_bind(key.fingerprint.clone());
                    if let Some(old) = &key.old_fingerprint {
                        list.push_bind(old.clone());
                    }
                }
                query.push(")");
                query.build_query_as::<(String,)>().fetch_all(connection).await
            })?;
            known.extend(rows.into_iter().map(|(fingerprint,)| fingerprint));
        }
        let mut fresh = Vec::new();
        for key in keys {
            let old = key.old_fingerprint.as_ref();
            if old.is_none_or(|old| !known.contains(old)) && known.insert(key.fingerprint.clone()) {
                fresh.push(key);
            }
        }
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let (revision, at) = (change.revision, change.at);
        for keys in fresh.chunks(AT_ONCE) {
            on!(change.tx, Database, connection => {
                let mut query = QueryBuilder::<Database>::new(
                    "INSERT INTO provider_keys (id, provider, sealed, reference, fingerprint, hint, name, spec, enabled, revision, created_at, updated_at) ",
                );
                query.push_values(keys, |mut row, key| {
                    let (sealed, reference) = match &key.secret {
                        KeptSecret::Sealed(text) => (Some(text.clone()), None),
                        KeptSecret::Reference(text) => (None, Some(text.clone())),
                    };
                    row.push_bind(key.id.to_string())
                        .push_bind(provider.to_owned())
                        .push_bind(sealed)
                        .push_bind(reference)
                        .push_bind(key.fingerprint.clone())
                        .push_bind(key.hint.clone())
                        .push_bind(key.name.clone())
                        .push_bind(key.spec.to_string())
                        .push_bind(key.enabled)
                        .push_bind(revision)
                        .push_bind(at)
                        .push_bind(at);
                });
                query.build().execute(connection).await.map(drop)
            })?;
        }
        touch(&mut change).await?;
        let mut note = match fresh.as_slice() {
            [key] => {
                let mut note = AuditNote::of(Deed::Create, Kind::ProviderKey, &key.id, &key.hint);
                note.after = Some(told(provider, key.enabled, &key.name, &key.spec));
                note
            }
            _ => AuditNote::of(Deed::Import, Kind::ProviderKey, &provider, provider),
        };
        note.detail = Some(match detail {
            Some(detail) => format!("{} keys, {detail}", fresh.len()),
            None => format!("{} keys of {provider}", fresh.len()),
        });
        change.note(note);
        self.commit(change).await?;
        Ok(fresh.into_iter().map(|key| key.id).collect())
    }

    pub async fn provider_key(&self, id: Id) -> Result<ProviderKey, StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, id).await
    }

    /// Keys in the order in which they were added, and where the next page begins. `limit`: at most so many.
    pub async fn provider_keys(
        &self,
        provider: Option<&str>,
        after: Option<Id>,
        limit: u32,
    ) -> Result<(Vec<ProviderKey>, Option<Id>), StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE id > ").push_bind(after.map(|id| id.to_string()).unwrap_or_default());
            if let Some(provider) = provider {
                query.push(" AND provider = ").push_bind(provider.to_owned());
            }
            query.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        let keys: Result<Vec<_>, _> = rows
            .into_iter()
            .take(limit as usize)
            .map(Row::key)
            .collect();
        let keys = keys?;
        let next = keys.last().filter(|_| more).map(|key| key.id);
        Ok((keys, next))
    }

    pub async fn count_provider_keys(&self, provider: &str) -> Result<u64, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = fetch_all!(
            tx,
            (i64,),
            "SELECT COUNT(*) FROM provider_keys WHERE provider = $1",
            provider.to_owned()
        )?;
        let count = rows.first().map_or(0, |(count,)| *count);
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// All that are enabled, provider by provider, in the order in which they were added.
    pub async fn enabled_provider_keys(&self) -> Result<Vec<ProviderKey>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE enabled ORDER BY provider, id");
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        rows.into_iter().map(Row::key).collect()
    }

    pub async fn update_provider_key(
        &self,
        id: Id,
        wanted: &ProviderKeyChange,
        expected: Option<Revision>,
    ) -> Result<ProviderKey, StoreError> {
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, id).await?;
        expect(&before, expected)?;
        let name = wanted.name.clone().unwrap_or_else(|| before.name.clone());
        let spec = wanted.spec.clone().unwrap_or_else(|| before.spec.clone());
        let enabled = wanted.enabled.unwrap_or(before.enabled);
        let (revision, at) = (change.revision, change.at);
        execute!(
            change.tx,
            "UPDATE provider_keys SET name = $1, spec = $2, enabled = $3, revision = $4, updated_at = $5 WHERE id = $6",
            name,
            spec.to_string(),
            enabled,
            revision,
            at,
            id.to_string()
        )?;
        touch(&mut change).await?;
        let after = read(&mut change.tx, id).await?;
        let mut note = AuditNote::of(Deed::Update, Kind::ProviderKey, &id, &after.hint);
        let of = |key: &ProviderKey| Some(told(&key.provider, key.enabled, &key.name, &key.spec));
        (note.before, note.after) = (of(&before), of(&after));
        change.note(note);
        self.commit(change).await?;
        Ok(after)
    }

    pub async fn delete_provider_key(
        &self,
        id: Id,
        expected: Option<Revision>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, id).await?;
        expect(&before, expected)?;
        execute!(
            change.tx,
            "DELETE FROM provider_keys WHERE id = $1",
            id.to_string()
        )?;
        touch(&mut change).await?;
        let mut note = AuditNote::of(Deed::Delete, Kind::ProviderKey, &id, &before.hint);
        note.before = Some(told(
            &before.provider,
            before.enabled,
            &before.name,
            &before.spec,
        ));
        change.note(note);
        self.commit(change).await
    }

    /// Removes keys of a provider by id or by fingerprint; how many there were.
    pub async fn delete_provider_keys(
        &self,
        provider: &str,
        ids: &[Id],
        fingerprints: &[String],
        detail: &str,
    ) -> Result<u64, StoreError> {
        let mut change = self.begin_change().await?;
        let mut gone = 0;
        let ids: Vec<String> = ids.iter().map(Id::to_string).collect();
        for (column, values) in [("id", ids.as_slice()), ("fingerprint", fingerprints)] {
            for values in values.chunks(AT_ONCE) {
                gone += on!(change.tx, Database, connection => {
                    let mut query = QueryBuilder::<Database>::new("DELETE FROM provider_keys WHERE provider = ");
                    query.push_bind(provider.to_owned()).push(" AND ").push(column).push(" IN (");
                    let mut list = query.separated(", ");
                    for value in values {
                        list.push_bind(value.clone());
                    }
                    query.push(")");
                    query.build().execute(connection).await.map(|done| done.rows_affected())
                })?;
            }
        }
        if gone == 0 {
            return Ok(0);
        }
        touch(&mut change).await?;
        let mut note = AuditNote::of(Deed::Delete, Kind::ProviderKey, &provider, provider);
        note.detail = Some(format!("{gone} keys, {detail}"));
        change.note(note);
        self.commit(change).await?;
        Ok(gone)
    }
}

/// Replicas read the keys again.
async fn touch(change: &mut Change) -> Result<(), StoreError> {
    execute!(
        change.tx,
        "UPDATE lingate_head SET provider_keys = revision WHERE only_one = 1"
    )?;
    Ok(())
}

async fn read(tx: &mut crate::database::Tx, id: Id) -> Result<ProviderKey, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(SELECT);
        query.push(" WHERE id = ").push_bind(id.to_string());
        query.build_query_as::<Row>().fetch_all(connection).await
    })?;
    let row = rows.into_iter().next().ok_or(StoreError::NotFound {
        kind: Kind::ProviderKey,
        id,
    })?;
    row.key()
}

fn expect(key: &ProviderKey, expected: Option<Revision>) -> Result<(), StoreError> {
    match expected {
        Some(revision) if revision != key.revision => Err(StoreError::Stale {
            kind: Kind::ProviderKey,
            current: key.revision,
        }),
        _ => Ok(()),
    }
}

/// As the audit log tells a key: without it.
fn told(provider: &str, enabled: bool, name: &str, spec: &Value) -> Value {
    serde_json::json!({"provider": provider, "enabled": enabled, "name": name, "spec": spec})
}
