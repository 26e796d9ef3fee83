//! Who calls: the credential against the directory, and whether its holder may ask.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use lingate_dialect::{ApiError, DialectId, ErrorKind};
use lingate_metering::Millis;
use lingate_metering::tenant::{Call, Denial, Denied, Directory, KeyText, Likeness, Principal};
use lingate_routing::{Auth, Snapshot};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::credential;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Anyone on this machine.
    Open(Arc<Principal>),
    /// The holder of one of Lingate's own keys.
    Named(Arc<Principal>),
    /// A caller whose own keys go upstream.
    Passthrough(Vec<SecretString>, Arc<Principal>),
}

impl Caller {
    /// Whose rules count. A request keeps the principal that it began with.
    pub(crate) fn principal(&self) -> &Arc<Principal> {
        match self {
            Self::Open(principal) | Self::Named(principal) | Self::Passthrough(_, principal) => {
                principal
            }
        }
    }

    /// Anyone, where nobody has said anything of tenants.
    #[cfg(test)]
    pub(crate) fn open() -> Self {
        Self::Open(Arc::clone(Directory::default().anyone()))
    }

    /// The name of the caller's key; empty where callers have none.
    pub(crate) fn name(&self) -> &str {
        self.principal().name()
    }

    /// Answers do not say how they came about.
    pub(crate) fn hides_headers(&self) -> bool {
        let key = self.principal().key.as_ref();
        key.is_some_and(|key| key.hides_headers)
    }

    /// Whose what is stored is: that of the key, whichever secret it has.
    pub(crate) fn scope(&self) -> String {
        match self {
            Self::Open(_) => "open".to_owned(),
            Self::Named(principal) => match principal.key_id() {
                Some(id) => format!("key {id}"),
                None => "open".to_owned(),
            },
            Self::Passthrough(keys, _) => {
                // A list of keys is one caller, in whichever order it is written.
                let mut keys: Vec<&str> = keys.iter().map(ExposeSecret::expose_secret).collect();
                keys.sort_unstable();
                format!("own {}", hex(Sha256::digest(keys.join(",")).into()))
            }
        }
    }

    /// Whether the model may be asked for: that of the request, or what a tag in its text names. A caller is told the same of models
    /// that are there and of such that are not.
    pub(crate) fn may_ask_for(&self, model: &str) -> Result<(), ApiError> {
        let may = self.principal().may_ask_for(model);
        may.map_err(|denied| refusal(&denied))
    }
}

/// What decides beside the credential who may ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) directory: &'a Directory,
    /// The database of keys cannot be asked, and may hold some that the directory does not know.
    pub(crate) may_lack_keys: bool,
    pub(crate) now: Millis,
    /// Where the request comes from.
    pub(crate) address: IpAddr,
}

impl Gate<'_> {
    /// Decides who asks at a door of models. Every such door asks this, before it does anything.
    pub(crate) fn authenticate(
        &self,
        parts: &Parts,
        dialect: DialectId,
    ) -> Result<Caller, ApiError> {
        let caller = self.identify(parts)?;
        let admitted = caller.principal().admits(&Call {
            now: self.now,
            door: dialect.name(),
            address: Some(self.address),
        });
        admitted.map_err(|denied| refusal(&denied))?;
        Ok(caller)
    }

    /// Decides who asks, whatever for. Rules of the holder are not looked at, but for the secret, which may be over.
    pub(crate) fn identify(&self, parts: &Parts) -> Result<Caller, ApiError> {
        let query = parts.uri.query().unwrap_or("");
        let credential = credential::find(&parts.headers, query);
        match (self.snapshot.auth, credential) {
            // Nobody has to show a key, and whoever does is its holder: so keys and limits can be tried before they are asked for.
            (Auth::Open, Some(credential)) if !self.directory.is_empty() => {
                let anyone = || Caller::Open(Arc::clone(self.directory.anyone()));
                Ok(self.holder(&credential)?.unwrap_or_else(anyone))
            }
            (Auth::Open, _) => Ok(Caller::Open(Arc::clone(self.directory.anyone()))),
            (Auth::Passthrough, Some(credential)) => {
                let keys: Vec<SecretString> = credential
                    .expose_secret()
                    .split(',')
                    .map(str::trim)
                    .filter(|key| !key.is_empty())
                    .map(SecretString::from)
                    .collect();
                if keys.is_empty() {
                    return Err(missing());
                }
                let anyone = Arc::clone(self.directory.anyone());
                Ok(Caller::Passthrough(keys, anyone))
            }
            (Auth::Keys, Some(credential)) => {
                let unknown = || self.unknown(credential.expose_secret());
                self.holder(&credential)?.ok_or_else(unknown)
            }
            // Keys may be asked for only because nobody knows yet whether there are any.
            (Auth::Keys, None)
                if self.may_lack_keys
                    && self.directory.is_empty()
                    && !self.snapshot.auth_is_said =>
            {
                Err(unreachable())
            }
            (Auth::Passthrough | Auth::Keys, None) => Err(missing()),
        }
    }

    /// Who holds the key that is shown; `None`: it is nobody's.
    fn holder(&self, shown: &SecretString) -> Result<Option<Caller>, ApiError> {
        let hash: [u8; 32] = Sha256::digest(shown.expose_secret()).into();
        let Some(found) = self.directory.showing(&hash) else {
            return Ok(None);
        };
        found.is_good(self.now).map_err(|denied| refusal(&denied))?;
        Ok(Some(Caller::Named(Arc::clone(&found.principal))))
    }

    /// Keys of the database have one form, with a checksum. What has another is none of them, whatever the database would say.
    fn unknown(&self, shown: &str) -> ApiError {
        match KeyText::likeness(shown) {
            Likeness::Whole if self.may_lack_keys => unreachable(),
            likeness => unknown(likeness),
        }
    }
}

/// Nobody can say whether a key is good: it is not refused, but told to come again.
fn unreachable() -> ApiError {
    let message = "the database of keys cannot be reached, and without it nobody knows whether this request may pass: try again";
    let mut error = ApiError::new(ErrorKind::Overloaded, message).code("keys_unreachable");
    error.retry_after = Some(TRY_AGAIN);
    error
}

/// A database is looked for every second.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Why a caller may not, as its dialect tells it. A key that is over is no key any more; one that may not do this is.
pub(crate) fn refusal(denied: &Denied) -> ApiError {
    let (kind, code) = match &denied.why {
        Denial::Expired(_) | Denial::Rotated(_) => (ErrorKind::Authentication, "expired_api_key"),
        Denial::Blocked => (ErrorKind::Permission, "blocked"),
        Denial::Kind(_) => (ErrorKind::Permission, "key_not_for_inference"),
        Denial::Door { .. } => (ErrorKind::Permission, "door_not_allowed"),
        Denial::Address(_) => (ErrorKind::Permission, "address_not_allowed"),
        Denial::NotListed(_) | Denial::Listed(_) => (ErrorKind::Permission, "model_not_allowed"),
    };
    let error = ApiError::new(kind, denied.to_string()).code(code);
    match denied.why {
        Denial::NotListed(_) | Denial::Listed(_) => error.param("model"),
        Denial::Blocked
        | Denial::Expired(_)
        | Denial::Rotated(_)
        | Denial::Kind(_)
        | Denial::Door { .. }
        | Denial::Address(_) => error,
    }
}

fn hex(hash: [u8; 32]) -> String {
    use std::fmt::Write as _;
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

fn unknown(likeness: Likeness) -> ApiError {
    let message = match likeness {
        Likeness::Cut => {
            "the API key is not one of this gateway's: it looks like one that was cut; copy all 55 characters of it"
        }
        Likeness::Mistyped => {
            "the API key is not one of this gateway's: it looks like one in which a character is wrong; copy it again"
        }
        Likeness::Whole | Likeness::Other => {
            "the API key is not one of this gateway's; check the key and the address"
        }
    };
    ApiError::new(ErrorKind::Authentication, message).code("invalid_api_key")
}
