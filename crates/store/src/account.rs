//! Accounts: whoever signs in. What proves it (the hash of a password, the sealed secret of codes) is read by [`Store::credentials`]
//! alone, and is no part of what is told.

use std::fmt;

use lingate_metering::{Id, Millis};
use serde_json::{Value, json};
use sqlx::QueryBuilder;

use crate::audit::{AuditNote, Deed};
use crate::database::{Tx, execute, fetch_all, on};
use crate::membership::{self, NewMembership};
use crate::session;
use crate::store::Change;
use crate::{Kind, Revision, Store, StoreError, Stored};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: Id,
    /// A name to sign in with that is no e-mail address.
    pub login: Option<String>,
    /// As it was written; compared without regard to capitals.
    pub email: Option<String>,
    /// As people know them.
    pub name: String,
    pub blocked: bool,
    /// It signs in with a password, and not by another's word alone.
    pub has_password: bool,
    /// The password was given by somebody else, and is good for choosing another.
    pub must_change_password: bool,
    /// Such a password is not good from this moment on.
    pub password_expires_at: Option<Millis>,
    pub has_totp: bool,
    pub last_sign_in_at: Option<Millis>,
}

impl Account {
    /// What it signs in with.
    pub fn known_as(&self) -> &str {
        let email = self.email.as_deref();
        email.or(self.login.as_deref()).unwrap_or(&self.name)
    }

    fn told(&self) -> Value {
        json!({
            "login": self.login,
            "email": self.email,
            "name": self.name,
            "blocked": self.blocked,
            "must_change_password": self.must_change_password,
            "password_expires_at": self.password_expires_at,
            "totp": self.has_totp,
        })
    }
}

/// As it is compared: capitals count for nothing.
pub fn folded(login: &str) -> String {
    login.trim().to_lowercase()
}

/// An account that is about to be made.
#[derive(Clone)]
pub struct NewAccount {
    pub id: Id,
    pub login: Option<String>,
    pub email: Option<String>,
    pub name: String,
    /// The argon2id hash.
    pub password: Option<String>,
    /// The password is good for choosing another, and that until this moment; `None`: it is the account's own.
    pub temporary_until: Option<Millis>,
}

/// What proves who somebody is.
#[derive(Clone)]
pub struct Credentials {
    pub account: Stored<Account>,
    /// The argon2id hash.
    pub password: Option<String>,
    /// Sealed, in force.
    pub totp_secret: Option<String>,
    /// Sealed, not confirmed yet.
    pub totp_pending: Option<String>,
}

// By hand: hashes and sealed secrets are nobody's to read.
impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// What may be changed of an account; `None`: it stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountChange {
    pub name: Option<String>,
    pub email: Option<Option<String>>,
    pub login: Option<Option<String>>,
    pub blocked: Option<bool>,
}

/// Which accounts are wanted, in the order of their making.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// The one that signs in so.
    pub login: Option<String>,
    pub blocked: Option<bool>,
    /// Those that are members there.
    pub organization: Option<Id>,
    pub after: Option<Id>,
    /// At most so many, up to 1,000; 0: a hundred.
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPage {
    pub items: Vec<Stored<Account>>,
    pub next: Option<Id>,
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    id: String,
    login: Option<String>,
    email: Option<String>,
    name: String,
    blocked: bool,
    password: Option<String>,
    must_change_password: bool,
    password_expires_at: Option<i64>,
    totp_secret: Option<String>,
    totp_pending: Option<String>,
    last_sign_in_at: Option<i64>,
    revision: i64,
    created_at: i64,
    updated_at: i64,
}

pub(crate) const SELECT: &str = "SELECT accounts.id, login, email, accounts.name, blocked, password, must_change_password, password_expires_at, totp_secret, totp_pending, last_sign_in_at, accounts.revision, accounts.created_at, accounts.updated_at FROM accounts";

impl Row {
    pub(crate) fn credentials(self) -> Result<Credentials, StoreError> {
        let account = Account {
            id: id_of(&self.id)?,
            login: self.login,
            email: self.email,
            name: self.name,
            blocked: self.blocked,
            has_password: self.password.is_some(),
            must_change_password: self.must_change_password,
            password_expires_at: self.password_expires_at,
            has_totp: self.totp_secret.is_some(),
            last_sign_in_at: self.last_sign_in_at,
        };
        Ok(Credentials {
            account: Stored {
                revision: self.revision,
                created_at: self.created_at,
                updated_at: self.updated_at,
                value: account,
            },
            password: self.password,
            totp_secret: self.totp_secret,
            totp_pending: self.totp_pending,
        })
    }
}

pub(crate) fn id_of(text: &str) -> Result<Id, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Other(format!("`{text}` is no id")))
}

impl Store {
    /// Makes an account, with the roles that it begins with.
    pub async fn create_account(
        &self,
        new: &NewAccount,
        memberships: &[NewMembership],
    ) -> Result<Stored<Account>, StoreError> {
        let mut change = self.begin_change().await?;
        let account = insert(&mut change, new).await?;
        for membership in memberships {
            membership::insert(&mut change, &account.value, membership).await?;
        }
        self.commit(change).await?;
        Ok(account)
    }

    /// Makes the first account; `None`: there are some already, of whichever replica.
    pub async fn create_first_account(
        &self,
        new: &NewAccount,
        membership: &NewMembership,
    ) -> Result<Option<Stored<Account>>, StoreError> {
        if !self.lacks_accounts().await? {
            return Ok(None);
        }
        let mut change = self.begin_change().await?;
        if count(&mut change.tx).await? > 0 {
            return Ok(None);
        }
        let account = insert(&mut change, new).await?;
        membership::insert(&mut change, &account.value, membership).await?;
        self.commit(change).await?;
        Ok(Some(account))
    }

    pub async fn lacks_accounts(&self) -> Result<bool, StoreError> {
        let mut tx = self.db.begin_read().await?;
        Ok(count(&mut tx).await? == 0)
    }

    pub async fn account(&self, id: Id) -> Result<Stored<Account>, StoreError> {
        Ok(self.credentials(id).await?.account)
    }

    pub async fn credentials(&self, id: Id) -> Result<Credentials, StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, id).await
    }

    /// Those of whoever signs in so: with an e-mail address or a name, capitals or not.
    pub async fn credentials_of(&self, login: &str) -> Result<Option<Credentials>, StoreError> {
        let folded = folded(login);
        // PostgreSQL's text holds no NUL, so nobody is called that.
        if folded.is_empty() || folded.contains('\0') {
            return Ok(None);
        }
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE login = ").push_bind(folded.clone());
            query.push(" OR email_folded = ").push_bind(folded.clone());
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        rows.into_iter().next().map(Row::credentials).transpose()
    }

    pub async fn accounts(&self, filter: &AccountFilter) -> Result<AccountPage, StoreError> {
        let limit = match filter.limit {
            0 => 100,
            limit => limit.min(1000),
        };
        let mut tx = self.db.begin_read().await?;
        let mut rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE 1 = 1");
            if let Some(login) = &filter.login {
                let folded = folded(login).replace('\0', "\u{fffd}");
                query.push(" AND (login = ").push_bind(folded.clone());
                query.push(" OR email_folded = ").push_bind(folded).push(")");
            }
            if let Some(blocked) = filter.blocked {
                query.push(" AND blocked = ").push_bind(blocked);
            }
            if let Some(organization) = filter.organization {
                query.push(" AND accounts.id IN (SELECT account_id FROM memberships WHERE organization_id = ")
                    .push_bind(organization.to_string()).push(")");
            }
            if let Some(after) = filter.after {
                query.push(" AND accounts.id > ").push_bind(after.to_string());
            }
            query.push(" ORDER BY accounts.id LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let items = rows
            .into_iter()
            .map(|row| Ok(row.credentials()?.account))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let next = items.last().filter(|_| more).map(|item| item.value.id);
        Ok(AccountPage { items, next })
    }

    /// Whoever is blocked is signed out everywhere. The last operator and the last owner of an organization are not.
    pub async fn update_account(
        &self,
        id: Id,
        wanted: &AccountChange,
        expected: Option<Revision>,
    ) -> Result<Stored<Account>, StoreError> {
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, id).await?.account;
        stale(expected, before.revision)?;
        let mut after = before.value.clone();
        if let Some(name) = &wanted.name {
            after.name.clone_from(name);
        }
        if let Some(email) = &wanted.email {
            after.email.clone_from(email);
        }
        if let Some(login) = &wanted.login {
            after.login = login.as_deref().map(folded);
        }
        if let Some(blocked) = wanted.blocked {
            after.blocked = blocked;
        }
        check(&after.name, after.login.as_deref(), after.email.as_deref())?;
        free(
            &mut change.tx,
            after.login.as_deref(),
            after.email.as_deref(),
            id,
        )
        .await?;
        let needed = membership::needed_in(&mut change.tx, id).await?;
        let (revision, at) = (change.revision, change.at);
        execute!(
            change.tx,
            "UPDATE accounts SET name = $1, login = $2, email = $3, email_folded = $4, blocked = $5, revision = $6, updated_at = $7 WHERE id = $8",
            after.name.as_str(),
            after.login.as_deref(),
            after.email.as_deref(),
            after.email.as_deref().map(folded),
            after.blocked,
            revision,
            at,
            id.to_string()
        )?;
        let deed = match (before.value.blocked, after.blocked) {
            (false, true) => {
                membership::keep(&mut change.tx, &needed).await?;
                session::end_all(&mut change.tx, id, None).await?;
                Deed::Block
            }
            (true, false) => Deed::Unblock,
            _ => Deed::Update,
        };
        change.note(AuditNote {
            before: Some(before.value.told()),
            after: Some(after.told()),
            ..AuditNote::of(deed, Kind::Account, &id, after.known_as())
        });
        let stored = read(&mut change.tx, id).await?.account;
        self.commit(change).await?;
        Ok(stored)
    }

    /// Gives an account another password (its argon2id hash). All its sessions end but the one of this SHA-256. `temporary_until`: it is
    /// good for choosing another alone, and until then; `None`: it is the account's own.
    pub async fn set_password(
        &self,
        id: Id,
        hash: &str,
        temporary_until: Option<Millis>,
        but: Option<&str>,
    ) -> Result<Stored<Account>, StoreError> {
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, id).await?.account;
        let (revision, at) = (change.revision, change.at);
        execute!(
            change.tx,
            "UPDATE accounts SET password = $1, must_change_password = $2, password_expires_at = $3, revision = $4, updated_at = $5 WHERE id = $6",
            hash,
            temporary_until.is_some(),
            temporary_until,
            revision,
            at,
            id.to_string()
        )?;
        session::end_all(&mut change.tx, id, but).await?;
        execute!(
            change.tx,
            "DELETE FROM sign_in_failures WHERE subject = $1",
            crate::attempt::of_account(id)
        )?;
        let detail = if temporary_until.is_some() {
            "a temporary password was given"
        } else {
            "the password was changed"
        };
        change.note(AuditNote {
            detail: Some(detail.to_owned()),
            ..AuditNote::of(Deed::Rotate, Kind::Account, &id, before.value.known_as())
        });
        let stored = read(&mut change.tx, id).await?.account;
        self.commit(change).await?;
        Ok(stored)
    }

    /// With all that it holds: sessions, tokens, roles, and the users that it is where these have no keys. Refused where they have.
    pub async fn delete_account(
        &self,
        id: Id,
        expected: Option<Revision>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, id).await?.account;
        stale(expected, before.revision)?;
        let keys = fetch_all!(
            change.tx,
            (i64,),
            "SELECT COUNT(*) FROM api_keys WHERE user_id IN (SELECT user_id FROM memberships WHERE account_id = $1)",
            id.to_string()
        )?;
        let keys: i64 = keys.iter().map(|(count,)| count).sum();
        if keys > 0 {
            return Err(StoreError::InUse {
                kind: Kind::Account,
                dependants: vec![(Kind::ApiKey, keys.unsigned_abs())],
            });
        }
        let users = fetch_all!(
            change.tx,
            (String,),
            "SELECT DISTINCT user_id FROM memberships WHERE account_id = $1 AND user_id IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM memberships AS other WHERE other.user_id = memberships.user_id AND other.account_id <> $1)",
            id.to_string()
        )?;
        let needed = membership::needed_in(&mut change.tx, id).await?;
        execute!(
            change.tx,
            "DELETE FROM accounts WHERE id = $1",
            id.to_string()
        )?;
        membership::keep(&mut change.tx, &needed).await?;
        for (user,) in users {
            let deleted = execute!(
                change.tx,
                "DELETE FROM users WHERE id = $1 AND NOT stand_in",
                user.as_str()
            )?;
            if deleted > 0 {
                change.bury(Kind::User, id_of(&user)?).await?;
                change.note(AuditNote::of(Deed::Delete, Kind::User, &user, ""));
            }
        }
        change.note(AuditNote {
            before: Some(before.value.told()),
            ..AuditNote::of(Deed::Delete, Kind::Account, &id, before.value.known_as())
        });
        self.commit(change).await
    }
}

pub(crate) fn stale(expected: Option<Revision>, current: Revision) -> Result<(), StoreError> {
    if expected.is_some_and(|expected| expected != current) {
        return Err(StoreError::Stale {
            kind: Kind::Account,
            current,
        });
    }
    Ok(())
}

async fn count(tx: &mut Tx) -> Result<i64, StoreError> {
    let rows = fetch_all!(tx, (i64,), "SELECT COUNT(*) FROM accounts")?;
    Ok(rows.iter().map(|(count,)| count).sum())
}

pub(crate) async fn read(tx: &mut Tx, id: Id) -> Result<Credentials, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(SELECT);
        query.push(" WHERE accounts.id = ").push_bind(id.to_string());
        query.build_query_as::<Row>().fetch_all(connection).await
    })?;
    let row = rows.into_iter().next().ok_or(StoreError::NotFound {
        kind: Kind::Account,
        id,
    })?;
    row.credentials()
}

pub(crate) async fn insert(
    change: &mut Change,
    new: &NewAccount,
) -> Result<Stored<Account>, StoreError> {
    let login = new.login.as_deref().map(folded);
    check(&new.name, login.as_deref(), new.email.as_deref())?;
    free(
        &mut change.tx,
        login.as_deref(),
        new.email.as_deref(),
        new.id,
    )
    .await?;
    let (revision, at) = (change.revision, change.at);
    execute!(
        change.tx,
        "INSERT INTO accounts (id, login, email, email_folded, name, blocked, password, must_change_password, password_expires_at, totp_step, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $11)",
        new.id.to_string(),
        login,
        new.email.as_deref(),
        new.email.as_deref().map(folded),
        new.name.as_str(),
        false,
        new.password.as_deref(),
        new.temporary_until.is_some(),
        new.temporary_until,
        revision,
        at
    )?;
    let stored = read(&mut change.tx, new.id).await?.account;
    change.note(AuditNote {
        after: Some(stored.value.told()),
        ..AuditNote::of(
            Deed::Create,
            Kind::Account,
            &new.id,
            stored.value.known_as(),
        )
    });
    Ok(stored)
}

/// Nobody else signs in so. Nobody else writes accounts while a change is under way.
async fn free(
    tx: &mut Tx,
    login: Option<&str>,
    email: Option<&str>,
    but: Id,
) -> Result<(), StoreError> {
    for (name, folded) in [login, email]
        .into_iter()
        .flatten()
        .map(|name| (name, folded(name)))
    {
        let rows = fetch_all!(
            tx,
            (String,),
            "SELECT id FROM accounts WHERE (login = $1 OR email_folded = $1) AND id <> $2",
            folded,
            but.to_string()
        )?;
        if !rows.is_empty() {
            return Err(StoreError::Taken {
                kind: Kind::Account,
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

fn check(name: &str, login: Option<&str>, email: Option<&str>) -> Result<(), StoreError> {
    let invalid = |field, problem: &str| {
        Err(StoreError::Invalid {
            field,
            problem: problem.to_owned(),
        })
    };
    check_name(name)?;
    if login.is_none() && email.is_none() {
        return invalid(
            "email",
            "an account signs in with an e-mail address or a login",
        );
    }
    if let Some(login) = login {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if login.is_empty() || login.chars().count() > 100 || !login.chars().all(plain) {
            return invalid(
                "login",
                "a login has 1 to 100 letters, digits, dots, dashes and underscores",
            );
        }
    }
    if let Some(email) = email
        && !is_address(email)
    {
        return invalid("email", "this is no e-mail address");
    }
    Ok(())
}

/// What people call an account, or one of its tokens.
pub(crate) fn check_name(name: &str) -> Result<(), StoreError> {
    let problem = if name.is_empty() || name.chars().count() > 200 {
        "a name has 1 to 200 characters"
    } else if name.chars().any(char::is_control) || name.trim() != name {
        "a name has no control characters, and no spaces at its ends"
    } else {
        return Ok(());
    };
    Err(StoreError::Invalid {
        field: "name",
        problem: problem.to_owned(),
    })
}

/// Whether it has the form of an e-mail address: whether somebody reads it, only a letter tells.
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let ok = |c: char| !c.is_whitespace() && !c.is_control() && c != '@' && c != '"' && c != ',';
    text.len() <= 254
        && !local.is_empty()
        && local.len() <= 64
        && local.chars().all(ok)
        && !domain.is_empty()
        && domain.split('.').all(|label| !label.is_empty())
        && domain
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_form() {
        let check = |text: &str, expect: bool| assert_eq!(is_address(text), expect, "{text}");
        check("ada@example.com", true);
        check("Ada.Lovelace+work@Example.CO.uk", true);
        check("li@例子.测试", true);
        check("root@localhost", true);
        check("ada", false);
        check("@example.com", false);
        check("ada@", false);
        check("ada@@example.com", false);
        check("ada @example.com", false);
        check("ada@example..com", false);
        check("ada@example.com\n", false);
        check(&format!("{}@example.com", "a".repeat(65)), false);
    }
}
