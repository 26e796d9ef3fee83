//! Who calls: the credential against what the configuration allows.

use lingate_dialect::{ApiError, ErrorKind};
use lingate_routing::{Auth, Snapshot};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// An authenticated caller.
#[derive(Debug)]
pub(crate) enum Caller {
    /// Anyone on this machine.
    Open,
    /// The holder of one of Lingate's own keys.
    Named(String),
    /// A caller whose own keys go upstream.
    Passthrough(Vec<SecretString>),
}

impl Caller {
    /// The name of the caller's key; empty where callers have none.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Open | Self::Passthrough(_) => "",
        }
    }
}

/// Decides who calls. A caller's key is compared by its SHA-256, in constant time.
pub(crate) fn authenticate(
    snapshot: &Snapshot,
    credential: Option<SecretString>,
) -> Result<Caller, ApiError> {
    match (&snapshot.auth, credential) {
        (Auth::Open, _) => Ok(Caller::Open),
        (Auth::Passthrough, Some(credential)) => {
            let keys: Vec<SecretString> = credential
                .expose_secret()
                .split(',')
                .map(str::trim)
                .filter(|key| !key.is_empty())
                .map(SecretString::from)
                .collect();
            if keys.is_empty() {
                Err(missing())
            } else {
                Ok(Caller::Passthrough(keys))
            }
        }
        (Auth::Keys(known), Some(credential)) => {
            let hash: [u8; 32] = Sha256::digest(credential.expose_secret().as_bytes()).into();
            let mut found = None;
            for key in known {
                if bool::from(key.sha256.ct_eq(&hash)) {
                    found = Some(key.name.clone());
                }
            }
            let wrong = || {
                ApiError::new(
                    ErrorKind::Authentication,
                    "the API key is not one of this gateway's; check the key and the address",
                )
                .code("invalid_api_key")
            };
            found.map(Caller::Named).ok_or_else(wrong)
        }
        (Auth::Passthrough | Auth::Keys(_), None) => Err(missing()),
    }
}

fn missing() -> ApiError {
    let message = "no API key was sent; send it as `Authorization: Bearer KEY`, `x-api-key`, `api-key`, `x-goog-api-key` or `?key=`";
    ApiError::new(ErrorKind::Authentication, message).code("invalid_api_key")
}
