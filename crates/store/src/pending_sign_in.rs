//! Sign-ins under way: somebody was sent to an issuer, and is to come back from there once, in the same browser.

use lingate_metering::{Id, Millis};

use crate::account::id_of;
use crate::database::{execute, fetch_all};
use crate::{Store, StoreError};

/// A sign-in under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSignIn {
    /// Of the state that the browser brings back: 64 hexadecimal digits.
    pub state_sha256: String,
    /// Of the cookie of the browser in which it began.
    pub cookie_sha256: String,
    pub provider: Id,
    /// Who is signed in already, and wants to be known by the issuer, too.
    pub account: Option<Id>,
    pub redirect_uri: String,
    /// Where the browser goes in the end: a path.
    pub return_to: String,
    pub address: String,
    pub expires_at: Millis,
}

/// Sign-ins under way from one address, behind which a whole company may be, and from all.
const FROM_ONE: i64 = 1000;
const FROM_ALL: i64 = 100_000;

impl Store {
    /// Remembers a sign-in under way; false: there are too many, of this address or of all.
    pub async fn begin_pending_sign_in(
        &self,
        pending: &PendingSignIn,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin_write().await?;
        execute!(
            tx,
            "DELETE FROM pending_sign_ins WHERE expires_at <= $1",
            now
        )?;
        let counts = fetch_all!(
            tx,
            (i64, i64),
            "SELECT (SELECT COUNT(*) FROM pending_sign_ins), (SELECT COUNT(*) FROM pending_sign_ins WHERE address = $1)",
            pending.address.as_str()
        )?;
        if counts
            .iter()
            .any(|(from_all, from_one)| *from_all >= FROM_ALL || *from_one >= FROM_ONE)
        {
            return Ok(false);
        }
        execute!(
            tx,
            "INSERT INTO pending_sign_ins (state_sha256, cookie_sha256, provider_id, account_id, redirect_uri, return_to, address, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            pending.state_sha256.as_str(),
            pending.cookie_sha256.as_str(),
            pending.provider.to_string(),
            pending.account.map(|id| id.to_string()),
            pending.redirect_uri.as_str(),
            pending.return_to.as_str(),
            pending.address.as_str(),
            pending.expires_at
        )?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes a sign-in under way: it is good once, however it ends, and only for the browser in which it began. One that is over is
    /// none.
    pub async fn take_pending_sign_in(
        &self,
        state_sha256: &str,
        cookie_sha256: &str,
        now: Millis,
    ) -> Result<Option<PendingSignIn>, StoreError> {
        let mut tx = self.db.begin_write().await?;
        let rows = fetch_all!(
            tx,
            (String, Option<String>, String, String, String, i64),
            "DELETE FROM pending_sign_ins WHERE state_sha256 = $1 AND cookie_sha256 = $2 RETURNING provider_id, account_id, redirect_uri, return_to, address, expires_at",
            state_sha256,
            cookie_sha256
        )?;
        tx.commit().await?;
        let Some((provider, account, redirect_uri, return_to, address, expires_at)) =
            rows.into_iter().next().filter(|row| row.5 > now)
        else {
            return Ok(None);
        };
        Ok(Some(PendingSignIn {
            state_sha256: state_sha256.to_owned(),
            cookie_sha256: cookie_sha256.to_owned(),
            provider: id_of(&provider)?,
            account: account.as_deref().map(id_of).transpose()?,
            redirect_uri,
            return_to,
            address,
            expires_at,
        }))
    }
}
