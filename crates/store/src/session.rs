//! Sessions of accounts: known by the SHA-256 of what a cookie holds.

use lingate_metering::{Id, Millis};
use sqlx::QueryBuilder;

use crate::account::{self, Account, id_of};
use crate::audit::{AuditNote, Deed};
use crate::database::{Tx, execute, on};
use crate::membership::{self, Membership};
use crate::{Kind, Store, StoreError, Stored};

/// How far somebody has proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proved {
    /// The second factor is still to come.
    Password,
    Full,
}

impl Proved {
    const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Full => "full",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: Id,
    pub account: Id,
    pub proved: Proved,
    /// The `Host` under which the cookie was given.
    pub host: String,
    pub address: Option<String>,
    pub user_agent: Option<String>,
    pub created_at: Millis,
    /// Some time within the last minute of use.
    pub seen_at: Millis,
    /// Whatever is done, it ends then.
    pub expires_at: Millis,
}

/// A session that begins.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// What is kept of the cookie: 64 hexadecimal digits.
    pub sha256: String,
    pub session: Session,
    /// How somebody proved who they are, for the audit log; `None`: it goes on in place of another.
    pub by: Option<String>,
    /// The one that it takes the place of, by its SHA-256.
    pub replaces: Option<String>,
}

/// A session that is there, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    pub session: Session,
    pub account: Stored<Account>,
    pub memberships: Vec<Membership>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    proved: String,
    host: String,
    address: Option<String>,
    user_agent: Option<String>,
    created_at: i64,
    seen_at: i64,
    expires_at: i64,
}

const SELECT: &str = "SELECT id, account_id, proved, host, address, user_agent, created_at, seen_at, expires_at FROM sessions";

impl Row {
    fn session(self) -> Result<Session, StoreError> {
        Ok(Session {
            id: id_of(&self.id)?,
            account: id_of(&self.account_id)?,
            proved: if self.proved == Proved::Full.name() {
                Proved::Full
            } else {
                Proved::Password
            },
            host: self.host,
            address: self.address,
            user_agent: self.user_agent,
            created_at: self.created_at,
            seen_at: self.seen_at,
            expires_at: self.expires_at,
        })
    }
}

impl Store {
    /// Begins a session. Those that are over are forgotten, and of more than a hundred the ones that were used longest ago.
    pub async fn begin_session(&self, new: &NewSession) -> Result<(), StoreError> {
        let session = &new.session;
        let mut change = self.begin_change().await?;
        let account = account::read(&mut change.tx, session.account).await?;
        if let Some(replaced) = &new.replaces {
            execute!(
                change.tx,
                "DELETE FROM sessions WHERE sha256 = $1",
                replaced.as_str()
            )?;
        }
        execute!(
            change.tx,
            "DELETE FROM sessions WHERE expires_at <= $1",
            session.created_at
        )?;
        execute!(
            change.tx,
            "DELETE FROM sessions WHERE account_id = $1 AND id IN (SELECT id FROM sessions WHERE account_id = $1 ORDER BY seen_at DESC, id DESC LIMIT 1000 OFFSET 99)",
            session.account.to_string()
        )?;
        execute!(
            change.tx,
            "INSERT INTO sessions (id, sha256, account_id, proved, host, address, user_agent, created_at, seen_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            session.id.to_string(),
            new.sha256.as_str(),
            session.account.to_string(),
            session.proved.name(),
            session.host.as_str(),
            session.address.as_deref(),
            session.user_agent.as_deref(),
            session.created_at,
            session.seen_at,
            session.expires_at
        )?;
        if session.proved == Proved::Full && new.by.is_some() {
            execute!(
                change.tx,
                "UPDATE accounts SET last_sign_in_at = $1 WHERE id = $2",
                session.created_at,
                session.account.to_string()
            )?;
        }
        if let Some(by) = &new.by {
            let known_as = account.account.value.known_as();
            change.note(AuditNote {
                detail: Some(by.clone()),
                ..AuditNote::of(Deed::SignIn, Kind::Session, &session.id, known_as)
            });
        }
        self.commit(change).await
    }

    /// The session of a cookie with this SHA-256, whether it is over or not.
    pub async fn session_showing(&self, sha256: &str) -> Result<Option<SignedIn>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE sha256 = ").push_bind(sha256.to_owned());
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let session = row.session()?;
        let account = account::read(&mut tx, session.account).await?.account;
        let memberships = membership::of_account(&mut tx, session.account).await?;
        Ok(Some(SignedIn {
            session,
            account,
            memberships,
        }))
    }

    /// It was used.
    pub async fn session_seen(&self, id: Id, now: Millis) -> Result<(), StoreError> {
        let mut tx = self.db.begin_write().await?;
        execute!(
            tx,
            "UPDATE sessions SET seen_at = $1 WHERE id = $2 AND seen_at < $1",
            now,
            id.to_string()
        )?;
        tx.commit().await
    }

    /// Those of an account that are not over, the latest first.
    pub async fn sessions(
        &self,
        account: Id,
        now: Millis,
        idle: Millis,
    ) -> Result<Vec<Session>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE account_id = ").push_bind(account.to_string());
            query.push(" AND proved = 'full' AND expires_at > ").push_bind(now);
            query.push(" AND seen_at > ").push_bind(now - idle);
            query.push(" ORDER BY id DESC");
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        rows.into_iter().map(Row::session).collect()
    }

    /// Ends one of an account. `deed`: [`Deed::SignOut`] of one's own, [`Deed::Revoke`] of another.
    pub async fn end_session(
        &self,
        account: Id,
        session: Id,
        deed: Deed,
    ) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        let whose = account::read(&mut change.tx, account).await?;
        let ended = execute!(
            change.tx,
            "DELETE FROM sessions WHERE id = $1 AND account_id = $2",
            session.to_string(),
            account.to_string()
        )?;
        if ended == 0 {
            return Err(StoreError::NotFound {
                kind: Kind::Session,
                id: session,
            });
        }
        let known_as = whose.account.value.known_as();
        change.note(AuditNote::of(deed, Kind::Session, &session, known_as));
        self.commit(change).await
    }

    /// Ends all sessions of an account but one; says how many there were.
    pub async fn end_other_sessions(
        &self,
        account: Id,
        but: Option<Id>,
    ) -> Result<u64, StoreError> {
        let mut change = self.begin_change().await?;
        let whose = account::read(&mut change.tx, account).await?;
        begin_nothing(&mut change.tx, account).await?;
        let ended = execute!(
            change.tx,
            "DELETE FROM sessions WHERE account_id = $1 AND id <> $2",
            account.to_string(),
            but.map(|id| id.to_string()).unwrap_or_default()
        )?;
        let known_as = whose.account.value.known_as();
        change.note(AuditNote {
            detail: Some(format!("{ended} sessions")),
            ..AuditNote::of(Deed::Revoke, Kind::Session, &"", known_as)
        });
        self.commit(change).await?;
        Ok(ended)
    }
}

/// Ends every session of an account but the one of this SHA-256, in somebody's change, and what was begun in any of them: else whoever
/// is put out here would still become somebody elsewhere by whose word they come in again.
pub(crate) async fn end_all(tx: &mut Tx, account: Id, but: Option<&str>) -> Result<(), StoreError> {
    begin_nothing(tx, account).await?;
    execute!(
        tx,
        "DELETE FROM sessions WHERE account_id = $1 AND sha256 <> $2",
        account.to_string(),
        but.unwrap_or("")
    )?;
    Ok(())
}

/// Forgets that somebody signed in wanted to be known by an issuer, too.
async fn begin_nothing(tx: &mut Tx, account: Id) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM pending_sign_ins WHERE account_id = $1",
        account.to_string()
    )?;
    Ok(())
}
