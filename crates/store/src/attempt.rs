//! Attempts to sign in: counted before the password is looked at, so that many at once guess no more often than one after the other.
//!
//! A name that nobody has is counted like one that somebody has: how long one has to wait tells nothing.

use lingate_metering::{Id, Millis};
use sha2::{Digest as _, Sha256};

use crate::account::folded;
use crate::database::{Tx, execute, fetch_all};
use crate::{Store, StoreError};

/// How long is to be waited after failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// Nothing is waited for before so many have failed.
    pub free: i64,
    /// After the first one that is not free, in milliseconds; each further one doubles it.
    pub first: Millis,
    pub longest: Millis,
    /// What is older than this is forgotten.
    pub memory: Millis,
}

impl BackOff {
    /// How long is waited after so many failures.
    pub fn after(&self, failures: i64) -> Millis {
        let doublings = failures.saturating_sub(self.free);
        if doublings < 0 {
            return 0;
        }
        let factor = 1_i64 << doublings.min(40);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// Whether somebody may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It counts as failed until [`Store::attempt_succeeded`] says that it was not. `locks`: should it fail, the next one has to
    /// wait for this many milliseconds.
    May { locks: Millis },
    /// Not before this moment.
    Locked { until: Millis },
}

/// Of attempts at an account that is there.
pub(crate) fn of_account(id: Id) -> String {
    format!("account:{id}")
}

/// Of attempts at a name that nobody has.
fn of_name(login: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(folded(login)).into();
    format!("name:{}", crate::key::digits(&hash))
}

/// Of attempts from an address.
fn of_address(address: &str) -> String {
    format!("address:{address}")
}

impl Store {
    /// Counts an attempt. `account`: whose name it is, if it is somebody's. `address`: where it comes from.
    pub async fn attempt(
        &self,
        (login, account): (&str, Option<Id>),
        of_accounts: BackOff,
        address: Option<(&str, BackOff)>,
        now: Millis,
    ) -> Result<Attempt, StoreError> {
        let mut tx = self.db.begin_write().await?;
        let name = account.map_or_else(|| of_name(login), of_account);
        let mut subjects = vec![(name, of_accounts)];
        subjects.extend(address.map(|(address, back_off)| (of_address(address), back_off)));
        let mut locks = 0;
        for (subject, back_off) in &subjects {
            match count(&mut tx, subject, *back_off, now).await? {
                Attempt::May { locks: for_this } => locks = for_this.max(locks),
                // Nothing of it was counted: who waits is not made to wait longer.
                locked @ Attempt::Locked { .. } => return Ok(locked),
            }
        }
        let longest = subjects.iter().map(|(_, back_off)| back_off.memory).max();
        execute!(
            tx,
            "DELETE FROM sign_in_failures WHERE last_at < $1",
            now - longest.unwrap_or(0)
        )?;
        tx.commit().await?;
        Ok(Attempt::May { locks })
    }

    /// Somebody has proved who they are: failures of the account are forgotten. Those of the address before it stay: else whoever has
    /// an account of their own could guess at others' for ever.
    pub async fn attempt_succeeded(
        &self,
        account: Id,
        address: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin_write().await?;
        execute!(
            tx,
            "DELETE FROM sign_in_failures WHERE subject = $1",
            of_account(account)
        )?;
        if let Some(address) = address {
            take_back(&mut tx, &of_address(address)).await?;
        }
        tx.commit().await
    }

    /// The password was right, and a second factor is still to come: this attempt is not counted, and those before it stay. Else
    /// whoever knows the password could guess at codes for ever.
    pub async fn attempt_halfway(
        &self,
        account: Id,
        address: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin_write().await?;
        take_back(&mut tx, &of_account(account)).await?;
        if let Some(address) = address {
            take_back(&mut tx, &of_address(address)).await?;
        }
        tx.commit().await
    }
}

/// One attempt is not counted. It was not locked when it was made, so it is not afterwards.
async fn take_back(tx: &mut Tx, subject: &str) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE sign_in_failures SET failures = failures - 1, locked_until = 0 WHERE subject = $1 AND failures > 0",
        subject
    )?;
    Ok(())
}

async fn count(
    tx: &mut Tx,
    subject: &str,
    back_off: BackOff,
    now: Millis,
) -> Result<Attempt, StoreError> {
    // Holds the row, whether it was there or not.
    let rows = fetch_all!(
        tx,
        (i64, i64, i64),
        "INSERT INTO sign_in_failures (subject, failures, last_at, locked_until) VALUES ($1, 0, $2, 0)
         ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject RETURNING failures, last_at, locked_until",
        subject,
        now
    )?;
    let (failures, last_at, locked_until) = rows.first().copied().unwrap_or((0, now, 0));
    if locked_until > now {
        return Ok(Attempt::Locked {
            until: locked_until,
        });
    }
    let before = if now - last_at > back_off.memory {
        0
    } else {
        failures
    };
    let locks = back_off.after(before + 1);
    execute!(
        tx,
        "UPDATE sign_in_failures SET failures = $1, last_at = $2, locked_until = $3 WHERE subject = $4",
        before + 1,
        now,
        now + locks,
        subject
    )?;
    Ok(Attempt::May { locks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_what_is_waited() {
        let back_off = BackOff {
            free: 5,
            first: 1000,
            longest: 60_000,
            memory: 0,
        };
        let check = |failures: i64, expect: Millis| {
            assert_eq!(back_off.after(failures), expect, "{failures}");
        };
        check(0, 0);
        check(4, 0);
        check(5, 1000);
        check(6, 2000);
        check(10, 32_000);
        check(11, 60_000);
        check(1000, 60_000);
        check(i64::MAX, 60_000);
    }
}
