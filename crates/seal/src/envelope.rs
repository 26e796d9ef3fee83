//! An envelope: `v1.<key id>.<nonce, ciphertext and tag in base64url>`, AES-256-GCM.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::{Purpose, SealError};

const VERSION: &str = "v1";

/// The id of the master key that an envelope takes; `None`: it is no envelope.
pub fn key_of(envelope: &str) -> Option<&str> {
    parts(envelope).map(|(key, _)| key)
}

fn parts(envelope: &str) -> Option<(&str, &str)> {
    let (version, rest) = envelope.split_once('.')?;
    let (key, sealed) = rest.split_once('.')?;
    (version == VERSION && key.len() == 8).then_some((key, sealed))
}

pub(crate) fn key(bytes: &[u8; 32]) -> LessSafeKey {
    // The length is that of the algorithm, which is all that can be wrong.
    #[expect(clippy::expect_used, reason = "32 bytes are a key of AES-256")]
    let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes");
    LessSafeKey::new(key)
}

/// What an envelope is bound to, besides its key. Purposes hold no NUL, so what is before it ends there.
fn bound(purpose: Purpose, row: &str, key_id: &str) -> Vec<u8> {
    format!("lingate {VERSION}\0{key_id}\0{}\0{row}", purpose.name()).into_bytes()
}

pub(crate) fn seal(
    key: &LessSafeKey,
    key_id: &str,
    purpose: Purpose,
    row: &str,
    clear: &[u8],
) -> Result<String, SealError> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| SealError::Unsealable)?;
    let mut sealed = Vec::with_capacity(NONCE_LEN + clear.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(clear);
    let aad = Aad::from(bound(purpose, row, key_id));
    let nonce = Nonce::assume_unique_for_key(nonce);
    // In place: no copy in clear is left behind.
    let tag = key
        .seal_in_place_separate_tag(nonce, aad, sealed.get_mut(NONCE_LEN..).unwrap_or_default())
        .map_err(|_| SealError::Unsealable)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(format!(
        "{VERSION}.{key_id}.{}",
        URL_SAFE_NO_PAD.encode(sealed)
    ))
}

pub(crate) fn open(
    key: &LessSafeKey,
    purpose: Purpose,
    row: &str,
    envelope: &str,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (key_id, sealed) = parts(envelope).ok_or(SealError::NoEnvelope)?;
    let sealed = URL_SAFE_NO_PAD
        .decode(sealed)
        .map_err(|_| SealError::NoEnvelope)?;
    let (nonce, text) = sealed
        .split_at_checked(NONCE_LEN)
        .ok_or(SealError::NoEnvelope)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::NoEnvelope)?;
    let mut text = Zeroizing::new(text.to_vec());
    let aad = Aad::from(bound(purpose, row, key_id));
    let length = key
        .open_in_place(nonce, aad, &mut text)
        .map_err(|_| SealError::Tampered)?
        .len();
    text.truncate(length);
    Ok(text)
}
