//! Who an account is elsewhere: known by what an issuer calls them for good, never by an address that may become somebody else's.

use lingate_metering::{Id, Millis};

use crate::account::{self, Account, NewAccount, id_of};
use crate::audit::{AuditNote, Deed};
use crate::database::{Tx, execute, fetch_all};
use crate::store::Change;
use crate::{Kind, Store, StoreError, new_id};

/// Somebody as an issuer knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub id: Id,
    pub issuer: String,
    pub subject: String,
    pub account: Id,
    pub created_at: Millis,
}

impl Store {
    /// Whose account it is that an issuer knows by this subject.
    pub async fn account_of_subject(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Id>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        of_subject(&mut tx, issuer, subject).await
    }

    /// Those of an account, the first ones first.
    pub async fn identities(&self, account: Id) -> Result<Vec<Identity>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        of_account(&mut tx, account).await
    }

    /// From now on, whoever the issuer knows by this subject is this account; says whose it is. Whose it was before it stays. A
    /// temporary password of the account is worth nothing any more: somebody else knows it.
    pub async fn link_subject(
        &self,
        issuer: &str,
        subject: &str,
        account: Id,
    ) -> Result<Id, StoreError> {
        let mut change = self.begin_change().await?;
        if let Some(linked) = of_subject(&mut change.tx, issuer, subject).await? {
            return Ok(linked);
        }
        let its = account::read(&mut change.tx, account).await?.account.value;
        insert(&mut change, issuer, subject, &its).await?;
        if its.must_change_password {
            let (revision, at) = (change.revision, change.at);
            execute!(
                change.tx,
                "UPDATE accounts SET password = NULL, must_change_password = $1, password_expires_at = NULL, revision = $2, updated_at = $3 WHERE id = $4",
                false,
                revision,
                at,
                account.to_string()
            )?;
            change.note(AuditNote {
                detail: Some("the temporary password is worth nothing any more".to_owned()),
                ..AuditNote::of(Deed::Rotate, Kind::Account, &account, its.known_as())
            });
        }
        self.commit(change).await?;
        Ok(account)
    }

    /// Makes an account for somebody whom an issuer knows by this subject; says whose it is. Whose it was before it stays.
    pub async fn create_account_of_subject(
        &self,
        issuer: &str,
        subject: &str,
        new: &NewAccount,
    ) -> Result<Id, StoreError> {
        let mut change = self.begin_change().await?;
        if let Some(linked) = of_subject(&mut change.tx, issuer, subject).await? {
            return Ok(linked);
        }
        let account = account::insert(&mut change, new).await?.value;
        insert(&mut change, issuer, subject, &account).await?;
        self.commit(change).await?;
        Ok(account.id)
    }

    /// The issuer's word on them no longer makes anybody this account. An account without a password keeps the last one: nobody could
    /// sign in otherwise.
    pub async fn unlink_subject(&self, account: Id, identity: Id) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        let its = account::read(&mut change.tx, account).await?.account.value;
        let all = of_account(&mut change.tx, account).await?;
        let Some(one) = all.iter().find(|one| one.id == identity) else {
            return Err(StoreError::NotFound {
                kind: Kind::Identity,
                id: identity,
            });
        };
        if all.len() == 1 && !its.has_password {
            return Err(StoreError::LastOne {
                what: "way to sign in to this account",
            });
        }
        execute!(
            change.tx,
            "DELETE FROM account_identities WHERE id = $1",
            identity.to_string()
        )?;
        change.note(AuditNote {
            detail: Some(format!(
                "no longer signs in as {} of {}",
                one.subject, one.issuer
            )),
            ..AuditNote::of(Deed::Delete, Kind::Identity, &identity, its.known_as())
        });
        self.commit(change).await
    }

    /// The accounts that hold roles by an issuer's word.
    pub async fn accounts_by(&self, issuer: &str) -> Result<Vec<Id>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = fetch_all!(
            tx,
            (String,),
            "SELECT DISTINCT account_id FROM memberships WHERE source = $1 ORDER BY account_id",
            issuer
        )?;
        rows.iter().map(|(id,)| id_of(id)).collect()
    }
}

async fn of_subject(tx: &mut Tx, issuer: &str, subject: &str) -> Result<Option<Id>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String,),
        "SELECT account_id FROM account_identities WHERE issuer = $1 AND subject = $2",
        issuer,
        subject
    )?;
    rows.first().map(|(id,)| id_of(id)).transpose()
}

async fn of_account(tx: &mut Tx, account: Id) -> Result<Vec<Identity>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String, String, String, i64),
        "SELECT id, issuer, subject, created_at FROM account_identities WHERE account_id = $1 ORDER BY id",
        account.to_string()
    )?;
    let identity = |(id, issuer, subject, created_at): (String, String, String, i64)| {
        Ok(Identity {
            id: id_of(&id)?,
            issuer,
            subject,
            account,
            created_at,
        })
    };
    rows.into_iter().map(identity).collect()
}

async fn insert(
    change: &mut Change,
    issuer: &str,
    subject: &str,
    account: &Account,
) -> Result<(), StoreError> {
    let (id, at) = (new_id(), change.at);
    execute!(
        change.tx,
        "INSERT INTO account_identities (id, issuer, subject, account_id, created_at) VALUES ($1, $2, $3, $4, $5)",
        id.to_string(),
        issuer,
        subject,
        account.id.to_string(),
        at
    )?;
    change.note(AuditNote {
        detail: Some(format!("signs in as {subject} of {issuer}")),
        ..AuditNote::of(Deed::Create, Kind::Identity, &id, account.known_as())
    });
    Ok(())
}
