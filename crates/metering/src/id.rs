//! Identifiers of what is stored and of what is written down.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A UUID: of version 7 for what is made at run time, of version 8 for what the configuration names, so that the same name is
/// the same thing after every start and on every replica.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Id(u128);

impl Id {
    pub const fn from_u128(id: u128) -> Self {
        Self(id)
    }

    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The id of what the configuration calls so: the same for the same words.
    pub fn declared(path: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for name in path {
            hash.update(name.len().to_be_bytes());
            hash.update(name);
        }
        Self::from_digest(&hash.finalize().into())
    }

    /// The id of whatever has this SHA-256.
    pub(crate) fn from_digest(digest: &[u8; 32]) -> Self {
        let (half, _) = digest.split_at(16);
        let bits = half
            .iter()
            .fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
        let version = bits & !(0xf << 76) | 8 << 76;
        Self(version & !(0b11 << 62) | 0b10 << 62)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            (id >> 80) & 0xffff,
            (id >> 64) & 0xffff,
            (id >> 48) & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a UUID, such as 0193a1b2-0000-7000-8000-000000000000")
    }
}

impl std::error::Error for BadId {}

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let lengths = [8, 4, 4, 4, 12];
        let parts: Vec<&str> = text.split('-').collect();
        let fits = parts.len() == lengths.len()
            && parts.iter().zip(lengths).all(|(part, length)| {
                part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
        if !fits {
            return Err(BadId);
        }
        u128::from_str_radix(&parts.concat(), 16)
            .map(Self)
            .map_err(|_| BadId)
    }
}

impl TryFrom<String> for Id {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_shown() {
        let id = Id::declared(&["organization", "acme"]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id, Id::declared(&["organization", "acme"]));
        assert_ne!(id, Id::declared(&["organizationacme"]));
        assert_eq!(&id.to_string()[14..15], "8");
        assert!("89ab".contains(&id.to_string()[19..20]));
        for bad in [
            "",
            "x",
            "0193a1b2-0000-7000-8000-00000000000g",
            "+193a1b2-0000-7000-8000-000000000000",
        ] {
            assert_eq!(bad.parse::<Id>(), Err(BadId), "{bad}");
        }
    }
}
