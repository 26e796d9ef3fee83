//! What the control plane is told of whoever asks it: the key that they show, and whether they sit at this machine.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use lingate_dialect::DialectId;
use lingate_metering::Millis;
use lingate_metering::tenant::{Denial, Denied, Principal};
use lingate_routing::{Auth, Snapshot};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::api::access::sits_here;
use crate::caller::Gate;
use crate::{Gateway, credential};

/// What a request shows of a key of this gateway.
#[derive(Debug, Clone)]
pub enum KeyShown {
    Nothing,
    /// A key that is good, shown from where it may be used.
    Good(Arc<Principal>),
    /// Why it is not; `over`: it is no key any more, or never was.
    Refused {
        over: bool,
        why: String,
    },
    /// Nobody can say at the moment.
    Unknown,
}

impl Gateway {
    /// The key in the headers of a request. Query strings are not looked at: they stand in logs and histories.
    pub fn key_shown(&self, parts: &Parts, address: IpAddr, now: Millis) -> KeyShown {
        let Some(shown) = credential::find(&parts.headers, "") else {
            return KeyShown::Nothing;
        };
        // Asked first: where the directory is complete by now, it is the complete one that is read.
        let may_lack_keys = self.governance.may_lack_keys();
        let directory = self.governance.directory();
        let refused = |denied: &Denied| KeyShown::Refused {
            over: matches!(denied.why, Denial::Expired(_) | Denial::Rotated(_)),
            why: denied.to_string(),
        };
        let hash: [u8; 32] = Sha256::digest(shown.expose_secret()).into();
        if let Some(found) = directory.showing(&hash) {
            let principal = &found.principal;
            let good = found
                .is_good(now)
                .and_then(|()| principal.is_good(now))
                .and_then(|()| principal.comes_from_there(Some(address)));
            return match good {
                Ok(()) => KeyShown::Good(Arc::clone(principal)),
                Err(denied) => refused(&denied),
            };
        }
        // What callers are told of a key that is nobody's.
        let snapshot = Snapshot {
            auth: Auth::Keys,
            ..Snapshot::default()
        };
        let gate = Gate {
            snapshot: &snapshot,
            directory: &directory,
            may_lack_keys,
            now,
            address,
        };
        match gate.identify(parts) {
            Err(error) if error.status(DialectId::Chat) == 401 => KeyShown::Refused {
                over: true,
                why: error.message,
            },
            Ok(_) | Err(_) => KeyShown::Unknown,
        }
    }

    /// Callers have to show a key of this gateway.
    pub fn asks_for_keys(&self) -> bool {
        self.snapshot.load().auth == Auth::Keys
    }

    /// Some key says what it is for: those that do not say so have no rights over the gateway.
    pub fn knows_kinds(&self) -> bool {
        self.governance.directory().knows_kinds()
    }

    /// Whether a request comes from somebody at this machine and from no page of somewhere else; else why it is not taken for such.
    pub fn sits_here(parts: &Parts, peer: IpAddr) -> Result<(), &'static str> {
        sits_here(parts, Some(peer))
    }

    /// Whether this is a proxy whose word counts for where requests come from, and how.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let plain = peer.to_canonical();
        let trusted = &self.snapshot.load().trusted_proxies;
        trusted
            .iter()
            .any(|net| net.contains(&plain) || net.contains(&peer))
    }
}
