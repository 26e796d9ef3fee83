//! Services elsewhere that say who somebody is (OpenID Connect).

use lingate_metering::Id;
use serde_json::{Value, json};
use sqlx::QueryBuilder;

use crate::account::id_of;
use crate::audit::{AuditNote, Deed};
use crate::database::{Tx, execute, on};
use crate::{Kind, Revision, Store, StoreError, Stored};

#[derive(Clone, PartialEq)]
pub struct SignInProvider {
    pub id: Id,
    /// In paths.
    pub name: String,
    pub issuer: String,
    pub client_id: String,
    /// An envelope, or a reference to where it is; told to nobody.
    pub client_secret: Option<String>,
    pub enabled: bool,
    /// The rest, which the store does not read.
    pub spec: Value,
}

// By hand: not even an envelope is anybody's to read.
impl std::fmt::Debug for SignInProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInProvider")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl SignInProvider {
    fn told(&self) -> Value {
        json!({
            "name": self.name,
            "issuer": self.issuer,
            "client_id": self.client_id,
            "has_client_secret": self.client_secret.is_some(),
            "enabled": self.enabled,
            "settings": self.spec,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    issuer: String,
    client_id: String,
    client_secret: Option<String>,
    enabled: bool,
    spec: String,
    revision: i64,
    created_at: i64,
    updated_at: i64,
}

const SELECT: &str = "SELECT id, name, issuer, client_id, client_secret, enabled, spec, revision, created_at, updated_at FROM sign_in_providers";

/// As many as a page for signing in can show.
const MOST: usize = 100;

impl Row {
    fn stored(self) -> Result<Stored<SignInProvider>, StoreError> {
        let spec = serde_json::from_str(&self.spec)
            .map_err(|error| StoreError::Other(format!("a sign-in provider: {error}")))?;
        Ok(Stored {
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
            value: SignInProvider {
                id: id_of(&self.id)?,
                name: self.name,
                issuer: self.issuer,
                client_id: self.client_id,
                client_secret: self.client_secret,
                enabled: self.enabled,
                spec,
            },
        })
    }
}

impl Store {
    /// In the order of their names; a hundred at most.
    pub async fn sign_in_providers(&self) -> Result<Vec<Stored<SignInProvider>>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        all(&mut tx).await
    }

    /// By its name; there are few of them.
    pub async fn sign_in_provider(
        &self,
        name: &str,
    ) -> Result<Option<Stored<SignInProvider>>, StoreError> {
        let all = self.sign_in_providers().await?;
        Ok(all.into_iter().find(|one| one.value.name == name))
    }

    pub async fn create_sign_in_provider(
        &self,
        new: &SignInProvider,
    ) -> Result<Stored<SignInProvider>, StoreError> {
        let mut change = self.begin_change().await?;
        let there = all(&mut change.tx).await?;
        if there.len() >= MOST {
            return Err(StoreError::Invalid {
                field: "name",
                problem: format!("there are {MOST} of them, and no more than that"),
            });
        }
        not_taken(&there, new)?;
        let (revision, at) = (change.revision, change.at);
        execute!(
            change.tx,
            "INSERT INTO sign_in_providers (id, name, issuer, client_id, client_secret, enabled, spec, revision, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
            new.id.to_string(),
            new.name.as_str(),
            new.issuer.as_str(),
            new.client_id.as_str(),
            new.client_secret.as_deref(),
            new.enabled,
            new.spec.to_string(),
            revision,
            at
        )?;
        change.note(AuditNote {
            after: Some(new.told()),
            ..AuditNote::of(Deed::Create, Kind::SignInProvider, &new.id, &new.name)
        });
        self.commit(change).await?;
        Ok(Stored {
            revision,
            created_at: at,
            updated_at: at,
            value: new.clone(),
        })
    }

    /// The issuer stays what it is: who is who there, and which roles come of it, goes by it.
    pub async fn update_sign_in_provider(
        &self,
        wanted: &SignInProvider,
        expected: Option<Revision>,
    ) -> Result<Stored<SignInProvider>, StoreError> {
        let mut change = self.begin_change().await?;
        let there = all(&mut change.tx).await?;
        let before = current(&there, wanted.id, expected)?;
        not_taken(&there, wanted)?;
        let (revision, at) = (change.revision, change.at);
        execute!(
            change.tx,
            "UPDATE sign_in_providers SET name = $1, client_id = $2, client_secret = $3, enabled = $4, spec = $5, revision = $6, updated_at = $7 WHERE id = $8",
            wanted.name.as_str(),
            wanted.client_id.as_str(),
            wanted.client_secret.as_deref(),
            wanted.enabled,
            wanted.spec.to_string(),
            revision,
            at,
            wanted.id.to_string()
        )?;
        let changed = before.value.client_secret != wanted.client_secret;
        change.note(AuditNote {
            before: Some(before.value.told()),
            after: Some(wanted.told()),
            detail: changed.then(|| "with another client secret".to_owned()),
            ..AuditNote::of(Deed::Update, Kind::SignInProvider, &wanted.id, &wanted.name)
        });
        let created_at = before.created_at;
        self.commit(change).await?;
        Ok(Stored {
            revision,
            created_at,
            updated_at: at,
            value: wanted.clone(),
        })
    }

    /// Nobody signs in by it any more. Accounts stay; what they hold by it is another's to take away
    /// ([`Store::replace_memberships`]).
    pub async fn delete_sign_in_provider(
        &self,
        id: Id,
        expected: Option<Revision>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        let there = all(&mut change.tx).await?;
        let before = current(&there, id, expected)?;
        execute!(
            change.tx,
            "DELETE FROM sign_in_providers WHERE id = $1",
            id.to_string()
        )?;
        change.note(AuditNote {
            before: Some(before.value.told()),
            ..AuditNote::of(Deed::Delete, Kind::SignInProvider, &id, &before.value.name)
        });
        self.commit(change).await
    }
}

async fn all(tx: &mut Tx) -> Result<Vec<Stored<SignInProvider>>, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(SELECT);
        query.push(" ORDER BY name");
        query.build_query_as::<Row>().fetch_all(connection).await
    })?;
    rows.into_iter().map(Row::stored).collect()
}

fn current(
    there: &[Stored<SignInProvider>],
    id: Id,
    expected: Option<Revision>,
) -> Result<&Stored<SignInProvider>, StoreError> {
    let kind = Kind::SignInProvider;
    let found = there.iter().find(|one| one.value.id == id);
    let found = found.ok_or(StoreError::NotFound { kind, id })?;
    if expected.is_some_and(|expected| expected != found.revision) {
        return Err(StoreError::Stale {
            kind,
            current: found.revision,
        });
    }
    Ok(found)
}

fn not_taken(there: &[Stored<SignInProvider>], wanted: &SignInProvider) -> Result<(), StoreError> {
    let mut others = there.iter().filter(|one| one.value.id != wanted.id);
    let taken =
        others.find(|one| one.value.name == wanted.name || one.value.issuer == wanted.issuer);
    match taken {
        None => Ok(()),
        Some(one) => Err(StoreError::Taken {
            kind: Kind::SignInProvider,
            name: if one.value.name == wanted.name {
                wanted.name.clone()
            } else {
                format!("{}, which is of the same issuer", one.value.name)
            },
        }),
    }
}
