//! Personal access tokens: known by their SHA-256.

use lingate_metering::{Id, Millis};
use serde_json::json;
use sqlx::QueryBuilder;

use crate::account::{self, Account, id_of};
use crate::audit::{AuditNote, Deed};
use crate::database::{execute, fetch_all, on};
use crate::membership::{self, Membership};
use crate::{Kind, Store, StoreError, Stored};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub id: Id,
    pub account: Id,
    pub name: String,
    /// The last four characters.
    pub hint: String,
    /// Names of permissions; `None`: all that its owner may.
    pub scopes: Option<Vec<String>>,
    /// It is good there alone.
    pub organization: Option<Id>,
    pub expires_at: Option<Millis>,
    /// Some time within the last minute of use.
    pub used_at: Option<Millis>,
    pub created_at: Millis,
}

#[derive(Debug, Clone)]
pub struct NewToken {
    /// Of the token: 64 hexadecimal digits.
    pub sha256: String,
    /// `used_at` and `created_at` are not looked at.
    pub token: Token,
}

/// A token that is shown, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenShown {
    pub token: Token,
    pub account: Stored<Account>,
    pub memberships: Vec<Membership>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    name: String,
    hint: String,
    scopes: Option<String>,
    organization_id: Option<String>,
    expires_at: Option<i64>,
    used_at: Option<i64>,
    created_at: i64,
}

const SELECT: &str = "SELECT id, account_id, name, hint, scopes, organization_id, expires_at, used_at, created_at FROM tokens";

/// As many as anybody can tell apart.
const MOST: i64 = 100;

impl Row {
    fn token(self) -> Result<Token, StoreError> {
        let scopes = self.scopes.as_deref().map(serde_json::from_str);
        Ok(Token {
            id: id_of(&self.id)?,
            account: id_of(&self.account_id)?,
            name: self.name,
            hint: self.hint,
            scopes: scopes
                .transpose()
                .map_err(|error| StoreError::Other(format!("scopes of a token: {error}")))?,
            organization: self.organization_id.as_deref().map(id_of).transpose()?,
            expires_at: self.expires_at,
            used_at: self.used_at,
            created_at: self.created_at,
        })
    }
}

impl Store {
    pub async fn create_token(&self, new: &NewToken) -> Result<Token, StoreError> {
        let NewToken { sha256, token } = new;
        account::check_name(&token.name)?;
        let mut change = self.begin_change().await?;
        let owner = account::read(&mut change.tx, token.account).await?;
        let rows = fetch_all!(
            change.tx,
            (String,),
            "SELECT name FROM tokens WHERE account_id = $1",
            token.account.to_string()
        )?;
        if rows.iter().any(|(name,)| *name == token.name) {
            return Err(StoreError::Taken {
                kind: Kind::Token,
                name: token.name.clone(),
            });
        }
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) >= MOST {
            return Err(StoreError::Invalid {
                field: "name",
                problem: format!("an account has at most {MOST} tokens"),
            });
        }
        let at = change.at;
        execute!(
            change.tx,
            "INSERT INTO tokens (id, sha256, account_id, name, hint, scopes, organization_id, expires_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            token.id.to_string(),
            sha256.as_str(),
            token.account.to_string(),
            token.name.as_str(),
            token.hint.as_str(),
            token.scopes.as_ref().map(|scopes| json!(scopes).to_string()),
            token.organization.map(|id| id.to_string()),
            token.expires_at,
            at
        )?;
        let known_as = owner.account.value.known_as();
        change.note(AuditNote {
            organization: token.organization,
            after: Some(json!({
                "owner": known_as,
                "hint": token.hint,
                "scopes": token.scopes,
                "expires_at": token.expires_at,
            })),
            ..AuditNote::of(Deed::Create, Kind::Token, &token.id, &token.name)
        });
        self.commit(change).await?;
        Ok(Token {
            created_at: at,
            used_at: None,
            ..token.clone()
        })
    }

    /// Those of an account, in the order of their making.
    pub async fn tokens(&self, account: Id) -> Result<Vec<Token>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE account_id = ").push_bind(account.to_string()).push(" ORDER BY id");
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        rows.into_iter().map(Row::token).collect()
    }

    /// The token with this SHA-256, whether it is over or not.
    pub async fn token_showing(&self, sha256: &str) -> Result<Option<TokenShown>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE sha256 = ").push_bind(sha256.to_owned());
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let token = row.token()?;
        let account = account::read(&mut tx, token.account).await?.account;
        let memberships = membership::of_account(&mut tx, token.account).await?;
        Ok(Some(TokenShown {
            token,
            account,
            memberships,
        }))
    }

    /// It was used.
    pub async fn token_used(&self, id: Id, now: Millis) -> Result<(), StoreError> {
        let mut tx = self.db.begin_write().await?;
        execute!(
            tx,
            "UPDATE tokens SET used_at = $1 WHERE id = $2",
            now,
            id.to_string()
        )?;
        tx.commit().await
    }

    /// Takes one of an account's tokens away.
    pub async fn revoke_token(&self, account: Id, token: Id) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        let rows = fetch_all!(
            change.tx,
            (String, String),
            "DELETE FROM tokens WHERE id = $1 AND account_id = $2 RETURNING name, hint",
            token.to_string(),
            account.to_string()
        )?;
        let Some((name, hint)) = rows.first() else {
            return Err(StoreError::NotFound {
                kind: Kind::Token,
                id: token,
            });
        };
        change.note(AuditNote {
            before: Some(json!({"hint": hint})),
            ..AuditNote::of(Deed::Revoke, Kind::Token, &token, name)
        });
        self.commit(change).await
    }
}
