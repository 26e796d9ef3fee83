//! Who calls: the credential against what the configuration allows.

use std::fmt::Write as _;

use lingate_dialect::{ApiError, ErrorKind};
use lingate_routing::{Auth, CallerKey, KeyKind, Snapshot};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Anyone on this machine.
    Open,
    /// The holder of one of Lingate's own keys.
    Named(CallerKey),
    /// A caller whose own keys go upstream.
    Passthrough(Vec<SecretString>),
}

impl Caller {
    /// The name of the caller's key; empty where callers have none.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Named(key) => &key.name,
            Self::Open | Self::Passthrough(_) => "",
        }
    }

    /// Whose what is stored is: that of the key itself, since names may be given to other keys.
    pub(crate) fn scope(&self) -> String {
        match self {
            Self::Open => "open".to_owned(),
            Self::Named(key) => format!("key {}", hex(key.sha256)),
            Self::Passthrough(keys) => {
                // A list of keys is one caller, in whichever order it is written.
                let mut keys: Vec<&str> = keys.iter().map(ExposeSecret::expose_secret).collect();
                keys.sort_unstable();
                format!("own {}", hex(Sha256::digest(keys.join(",")).into()))
            }
        }
    }
}

/// Decides who calls a model. Keys that are for the gateway itself are not for models.
pub(crate) fn authenticate(
    snapshot: &Snapshot,
    credential: Option<SecretString>,
) -> Result<Caller, ApiError> {
    let caller = identify(snapshot, credential)?;
    let kind = match &caller {
        Caller::Named(key) => key.kind,
        Caller::Open | Caller::Passthrough(_) => None,
    };
    match kind {
        None | Some(KeyKind::Inference) => Ok(caller),
        Some(KeyKind::Management | KeyKind::ReadOnly) => {
            let message = "this API key is for managing the gateway and asks no models; use one with `kind: inference`, or without a kind";
            Err(ApiError::new(ErrorKind::Permission, message).code("key_not_for_inference"))
        }
    }
}

/// Decides who calls. A caller's key is compared by its SHA-256, in constant time.
pub(crate) fn identify(
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
                    found = Some(key.clone());
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

fn hex(hash: [u8; 32]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn missing() -> ApiError {
    let message = "no API key was sent; send it as `Authorization: Bearer KEY`, `x-api-key`, `api-key`, `x-goog-api-key` or `?key=`";
    ApiError::new(ErrorKind::Authentication, message).code("invalid_api_key")
}
