//! The secrets of keys: made, kept as hashes, replaced, found.

use std::collections::HashMap;
use std::fmt::Write as _;

use lingate_metering::tenant::{ApiKey, KeySecret, KeyText};
use lingate_metering::{Id, Millis};
use serde_json::{Value, json};
use sqlx::QueryBuilder;

use crate::audit::Deed;
use crate::database::{Tx, execute, fetch_all, on};
use crate::entity::{self, Row};
use crate::store::Change;
use crate::{Entity, Revision, Store, StoreError, Stored};

/// Makes the secret of a key, of 256 bits from the operating system. Its owner is shown it, once; [`KeyText::secret`] is what is kept.
pub fn mint() -> Result<KeyText, StoreError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| StoreError::Other(format!("the system gives no random bits: {error}")))?;
    Ok(KeyText::mint(random))
}

impl Store {
    /// The key that is shown with a secret of this SHA-256, expired ones included.
    pub async fn key_showing(
        &self,
        sha256: &[u8; 32],
    ) -> Result<Option<Stored<ApiKey>>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = fetch_all!(
            tx,
            (String,),
            "SELECT api_key_id FROM api_key_secrets WHERE sha256 = $1",
            digits(sha256)
        )?;
        match rows.first().and_then(|(id,)| id.parse().ok()) {
            Some(id) => entity::read(&mut tx, id).await.map(Some),
            None => Ok(None),
        }
    }

    /// Gives a key a new secret. Those that it has are good until `overlap`, if they do not expire before; what has expired by
    /// now is forgotten.
    pub async fn rotate(
        &self,
        id: Id,
        secret: &KeySecret,
        overlap: Millis,
        expected: Option<Revision>,
    ) -> Result<Stored<ApiKey>, StoreError> {
        let mut change = self.begin_change().await?;
        entity::lock_row(&mut change.tx, ApiKey::TABLE, id, expected).await?;
        let before: Stored<ApiKey> = entity::read(&mut change.tx, id).await?;
        let (key, at) = (id.to_string(), change.at);
        execute!(
            change.tx,
            "UPDATE api_key_secrets SET expires_at = $1 WHERE api_key_id = $2 AND (expires_at IS NULL OR expires_at > $1)",
            overlap,
            key.as_str()
        )?;
        execute!(
            change.tx,
            "DELETE FROM api_key_secrets WHERE api_key_id = $1 AND expires_at <= $2",
            key.as_str(),
            at
        )?;
        execute!(
            change.tx,
            "UPDATE api_key_secrets SET place = place + 1 WHERE api_key_id = $1",
            key.as_str()
        )?;
        insert(&mut change.tx, &[(id, 0, secret)]).await?;
        touch(&mut change, id).await?;
        let stored: Stored<ApiKey> = entity::read(&mut change.tx, id).await?;
        let (was, is) = (Some(&before.value), Some(&stored.value));
        entity::note(&mut change, Deed::Rotate, was, is).await?;
        self.commit(change).await?;
        Ok(stored)
    }

    /// From then on the key is refused; `None`: it is good forever.
    pub async fn set_expiry(
        &self,
        id: Id,
        expires_at: Option<Millis>,
        expected: Option<Revision>,
    ) -> Result<Stored<ApiKey>, StoreError> {
        let mut change = self.begin_change().await?;
        entity::lock_row(&mut change.tx, ApiKey::TABLE, id, expected).await?;
        let before: Stored<ApiKey> = entity::read(&mut change.tx, id).await?;
        execute!(
            change.tx,
            "UPDATE api_keys SET expires_at = $1 WHERE id = $2",
            expires_at,
            id.to_string()
        )?;
        touch(&mut change, id).await?;
        let stored: Stored<ApiKey> = entity::read(&mut change.tx, id).await?;
        let (was, is) = (Some(&before.value), Some(&stored.value));
        entity::note(&mut change, Deed::Update, was, is).await?;
        self.commit(change).await?;
        Ok(stored)
    }
}

async fn touch(change: &mut Change, id: Id) -> Result<(), StoreError> {
    let (revision, at) = (change.revision, change.at);
    execute!(
        change.tx,
        "UPDATE api_keys SET revision = $1, updated_at = $2 WHERE id = $3",
        revision,
        at,
        id.to_string()
    )?;
    Ok(())
}

/// The secrets of a value, if it is a key, the newest first.
pub(crate) fn collect<'a, E: Entity>(value: &'a E, into: &mut Vec<(Id, i64, &'a KeySecret)>) {
    for (place, secret) in (0..).zip(value.secrets()) {
        into.push((value.id(), place, secret));
    }
}

pub(crate) async fn insert(
    tx: &mut Tx,
    secrets: &[(Id, i64, &KeySecret)],
) -> Result<(), StoreError> {
    // Databases have a highest number of values in one statement.
    for secrets in secrets.chunks(500) {
        let taken = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("SELECT sha256 FROM api_key_secrets WHERE sha256 IN (");
            let mut list = query.separated(", ");
            for (_, _, secret) in secrets {
                list.push_bind(digits(&secret.sha256));
            }
            query.push(") LIMIT 1");
            query.build_query_as::<(String,)>().fetch_all(connection).await
        })?;
        if !taken.is_empty() {
            return Err(StoreError::SecretTaken);
        }
        on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(
                "INSERT INTO api_key_secrets (sha256, api_key_id, place, hint, expires_at) ",
            );
            query.push_values(secrets, |mut row, (key, place, secret)| {
                row.push_bind(digits(&secret.sha256))
                    .push_bind(key.to_string())
                    .push_bind(*place)
                    .push_bind(secret.hint.clone())
                    .push_bind(secret.expires_at);
            });
            query.build().execute(connection).await.map(drop)
        })
        .map_err(|error| match &error {
            // Twice among these.
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                StoreError::SecretTaken
            }
            _ => StoreError::from(error),
        })?;
    }
    Ok(())
}

type SecretRow = (String, String, String, Option<i64>);

/// The secrets of these keys, by the keys' ids, as JSON.
pub(crate) async fn of_rows(
    tx: &mut Tx,
    rows: &[Row],
) -> Result<HashMap<String, Vec<Value>>, StoreError> {
    let mut found = HashMap::new();
    for rows in rows.chunks(500) {
        let secrets = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(
                "SELECT api_key_id, sha256, hint, expires_at FROM api_key_secrets WHERE api_key_id IN (",
            );
            let mut list = query.separated(", ");
            for row in rows {
                list.push_bind(row.id.clone());
            }
            query.push(") ORDER BY api_key_id, place");
            query.build_query_as::<SecretRow>().fetch_all(connection).await
        })?;
        group(secrets, &mut found);
    }
    Ok(found)
}

/// Those of all keys that changed after a revision.
pub(crate) async fn changed_since(
    tx: &mut Tx,
    revision: Revision,
) -> Result<HashMap<String, Vec<Value>>, StoreError> {
    let secrets = fetch_all!(
        tx,
        SecretRow,
        "SELECT api_key_id, sha256, hint, api_key_secrets.expires_at FROM api_key_secrets JOIN api_keys ON api_keys.id = api_key_id
         WHERE revision > $1 ORDER BY api_key_id, place",
        revision
    )?;
    let mut found = HashMap::new();
    group(secrets, &mut found);
    Ok(found)
}

fn group(rows: Vec<SecretRow>, into: &mut HashMap<String, Vec<Value>>) {
    for (key, sha256, hint, expires_at) in rows {
        let secret = json!({"sha256": sha256, "hint": hint, "expires_at": expires_at});
        into.entry(key).or_default().push(secret);
    }
}

pub(crate) fn digits(bytes: &[u8; 32]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
