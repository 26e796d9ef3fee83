//! Passwords, kept as argon2id: 19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet). Hashing is work and memory on
//! purpose: only so many run at once, and not too many wait.

use std::sync::{Arc, OnceLock};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::secret;
use crate::problem::Problem;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many may wait for their turn; whoever comes after them is told to come again.
const WAITING: usize = 64;

/// Hashes and compares passwords.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    turns: Arc<Semaphore>,
    seats: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            turns: Arc::new(Semaphore::new(cores.clamp(1, 4))),
            seats: Arc::new(Semaphore::new(WAITING)),
        }
    }
}

impl Hasher {
    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, Problem> {
        let salt = secret::random::<16>()?;
        self.work(move || {
            let hash = argon2id(password.expose_secret(), &salt, MEMORY_KIB, PASSES, LANES)?;
            Some(format!(
                "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
                STANDARD_NO_PAD.encode(salt),
                STANDARD_NO_PAD.encode(hash)
            ))
        })
        .await?
        .ok_or_else(failed)
    }

    /// Whether the password is that of the hash. Without a hash it is not, and takes as long to say so.
    pub(crate) async fn matches(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, Problem> {
        self.work(move || {
            let known = hash.as_deref().unwrap_or_else(|| nobodys());
            matches(password.expose_secret(), known) && hash.is_some()
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _seat = self.seats.try_acquire().map_err(|_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many people sign in at this moment",
            )
            .hint("try again in a few seconds")
        })?;
        // Never closed.
        let _turn = self.turns.acquire().await.map_err(|_| failed())?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| failed())
    }
}

fn failed() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "the password cannot be hashed",
    )
}

fn argon2id(password: &str, salt: &[u8], memory: u32, passes: u32, lanes: u32) -> Option<[u8; 32]> {
    let params = Params::new(memory, passes, lanes, Some(32)).ok()?;
    let mut hash = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .ok()?;
    Some(hash)
}

/// In the form of PHC strings: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
fn matches(password: &str, known: &str) -> bool {
    let mut parts = known.split('$').skip(1);
    let (Some("argon2id"), Some("v=19"), Some(params), Some(salt), Some(hash), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return false;
    };
    let param = |name: &str| {
        params
            .split(',')
            .find_map(|param| param.strip_prefix(name)?.parse::<u32>().ok())
    };
    let (Some(memory), Some(passes), Some(lanes)) = (param("m="), param("t="), param("p=")) else {
        return false;
    };
    let (Ok(salt), Ok(hash)) = (STANDARD_NO_PAD.decode(salt), STANDARD_NO_PAD.decode(hash)) else {
        return false;
    };
    argon2id(password, &salt, memory, passes, lanes)
        .is_some_and(|computed| computed.ct_eq(&hash).into())
}

/// The hash of a password that nobody knows.
fn nobodys() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
            STANDARD_NO_PAD.encode([7; 16]),
            STANDARD_NO_PAD.encode([0; 32])
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_no_other() {
        let hasher = Hasher::default();
        let hash = hasher.hash("correct horse".into()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let check = async |password: &str, hash: Option<&str>, expect: bool| {
            let matches = hasher.matches(password.into(), hash.map(str::to_owned));
            assert_eq!(matches.await.unwrap(), expect, "{password}");
        };
        check("correct horse", Some(&hash), true).await;
        check("correct horsE", Some(&hash), false).await;
        check("", Some(&hash), false).await;
        check("correct horse", None, false).await;
        check("correct horse", Some("correct horse"), false).await;
        check("correct horse", Some("$argon2id$v=19$m=1,t=1,p=1$$"), false).await;
        let again = hasher.hash("correct horse".into()).await.unwrap();
        assert_ne!(hash, again, "the salt is the same");
    }
}
