//! Secrets that are shown once and kept as hashes: what cookies hold, tokens, invitations, temporary passwords.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// What personal access tokens begin with, so that scanners of code know them.
pub(crate) const TOKEN: &str = "lgp_";
/// What the secrets of invitations begin with.
pub(crate) const INVITATION: &str = "lgi_";

/// The prefix, and 256 random bits.
pub(crate) fn mint(prefix: &str) -> Result<String, Problem> {
    Ok(format!(
        "{prefix}{}",
        URL_SAFE_NO_PAD.encode(random::<32>()?)
    ))
}

/// What can be read out and typed: letters and digits that are not taken for each other, about 5 bits each.
pub(crate) fn readable(characters: usize) -> Result<String, Problem> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes = random::<64>()?;
    let text = bytes.iter().take(characters).enumerate();
    Ok(text.fold(String::new(), |mut text, (at, byte)| {
        if at > 0 && at % 5 == 0 {
            text.push('-');
        }
        // A remainder of 32 is below the alphabet's length.
        text.push(char::from(
            ALPHABET
                .get(usize::from(byte % 32))
                .copied()
                .unwrap_or(b'a'),
        ));
        text
    }))
}

/// As it is kept: 64 hexadecimal digits.
pub(crate) fn kept(secret: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(secret)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The last four characters, by which people tell secrets apart.
pub(crate) fn hint(secret: &str) -> String {
    let characters: Vec<char> = secret.chars().rev().take(4).collect();
    characters.into_iter().rev().collect()
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut random = [0; N];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "the system gives no random bits");
        Problem::internal()
    })?;
    Ok(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_different() {
        let (one, other) = (mint(TOKEN).unwrap(), mint(TOKEN).unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), TOKEN.len() + 43);
        assert!(one.ends_with(&hint(&one)));
        assert_eq!(
            kept("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let password = readable(25).unwrap();
        assert_eq!(password.len(), 29, "{password}");
    }
}
