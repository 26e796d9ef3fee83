//! The second factor of accounts: the sealed secret of codes, which step's code was used last, and codes for when the device is lost.

use lingate_metering::Id;

use crate::account;
use crate::audit::{AuditNote, Deed};
use crate::database::execute;
use crate::session;
use crate::{Kind, Store, StoreError};

impl Store {
    /// Keeps a sealed secret until a code of it has been shown. One that is in force stays in force.
    pub async fn propose_totp(&self, account: Id, sealed: &str) -> Result<(), StoreError> {
        let mut tx = self.db.begin_write().await?;
        execute!(
            tx,
            "UPDATE accounts SET totp_pending = $1 WHERE id = $2",
            sealed,
            account.to_string()
        )?;
        tx.commit().await
    }

    /// Takes the proposed secret into force, whose code of this step was shown; `sealed` is what was proposed. `recovery`: the SHA-256
    /// of each code that helps when the device is lost. Every session but one ends.
    pub async fn enroll_totp(
        &self,
        id: Id,
        sealed: &str,
        step: i64,
        recovery: &[String],
        but: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        let whose = account::read(&mut change.tx, id).await?;
        let (revision, at) = (change.revision, change.at);
        let done = execute!(
            change.tx,
            "UPDATE accounts SET totp_secret = totp_pending, totp_pending = NULL, totp_step = $1, revision = $2, updated_at = $3 WHERE id = $4 AND totp_pending = $5",
            step,
            revision,
            at,
            id.to_string(),
            sealed
        )?;
        if done == 0 {
            return Err(StoreError::Spent {
                kind: Kind::Account,
            });
        }
        execute!(
            change.tx,
            "DELETE FROM recovery_codes WHERE account_id = $1",
            id.to_string()
        )?;
        for sha256 in recovery {
            execute!(
                change.tx,
                "INSERT INTO recovery_codes (sha256, account_id) VALUES ($1, $2)",
                sha256.as_str(),
                id.to_string()
            )?;
        }
        session::end_all(&mut change.tx, id, but).await?;
        change.note(AuditNote {
            detail: Some("the second factor is on".to_owned()),
            ..AuditNote::of(
                Deed::Enroll,
                Kind::Account,
                &id,
                whose.account.value.known_as(),
            )
        });
        self.commit(change).await
    }

    /// Takes the second factor away. Every session but one ends.
    pub async fn reset_totp(&self, id: Id, but: Option<&str>) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        let whose = account::read(&mut change.tx, id).await?;
        let (revision, at) = (change.revision, change.at);
        execute!(
            change.tx,
            "UPDATE accounts SET totp_secret = NULL, totp_pending = NULL, totp_step = 0, revision = $1, updated_at = $2 WHERE id = $3",
            revision,
            at,
            id.to_string()
        )?;
        execute!(
            change.tx,
            "DELETE FROM recovery_codes WHERE account_id = $1",
            id.to_string()
        )?;
        session::end_all(&mut change.tx, id, but).await?;
        change.note(AuditNote {
            detail: Some("the second factor is off".to_owned()),
            ..AuditNote::of(
                Deed::Revoke,
                Kind::Account,
                &id,
                whose.account.value.known_as(),
            )
        });
        self.commit(change).await
    }

    /// Uses up the code of a step; false: this one, or a later one, was used before.
    pub async fn use_totp(&self, account: Id, step: i64) -> Result<bool, StoreError> {
        let mut tx = self.db.begin_write().await?;
        let used = execute!(
            tx,
            "UPDATE accounts SET totp_step = $1 WHERE id = $2 AND totp_step < $1",
            step,
            account.to_string()
        )?;
        tx.commit().await?;
        Ok(used > 0)
    }

    /// Uses up a recovery code; false: there is none of this SHA-256.
    pub async fn use_recovery_code(&self, account: Id, sha256: &str) -> Result<bool, StoreError> {
        let mut tx = self.db.begin_write().await?;
        let used = execute!(
            tx,
            "DELETE FROM recovery_codes WHERE account_id = $1 AND sha256 = $2",
            account.to_string(),
            sha256
        )?;
        tx.commit().await?;
        Ok(used > 0)
    }
}
