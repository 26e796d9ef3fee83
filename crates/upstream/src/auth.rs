//! Credentials: a header and a format, with the secret put in at the last moment.

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// Why a credential could not be written; never holds the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("'{0}' is not the name of an HTTP header")]
    Header(String),
    #[error("a key of this provider holds characters that an HTTP header cannot carry")]
    Secret,
}

/// Writes `secret` into `headers` as the provider wants it: `format` with `{key}` replaced, in the header `name`.
///
/// The value is marked sensitive, so that no HTTP library logs it or puts it into a compression table.
pub fn authorize(
    headers: &mut HeaderMap,
    name: &str,
    format: &str,
    secret: &SecretString,
) -> Result<(), AuthError> {
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| AuthError::Header(name.to_owned()))?;
    let text = format.replace("{key}", secret.expose_secret());
    let mut value = HeaderValue::try_from(text).map_err(|_| AuthError::Secret)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Text in which the secret, should an upstream have repeated it, is masked.
pub(crate) fn mask(text: &[u8], secret: &SecretString) -> Option<Vec<u8>> {
    let secret = secret.expose_secret().as_bytes();
    if secret.len() < 8 {
        return None;
    }
    let mut masked: Option<Vec<u8>> = None;
    let mut rest = text;
    while let Some(at) = rest
        .windows(secret.len())
        .position(|window| window == secret)
    {
        let out = masked.get_or_insert_with(Vec::new);
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(b"***");
        rest = after.get(secret.len()..).unwrap_or_default();
    }
    if let Some(out) = &mut masked {
        out.extend_from_slice(rest);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_free_and_the_value_is_sensitive() {
        let mut headers = HeaderMap::new();
        authorize(
            &mut headers,
            "X-Custom",
            "Token {key}!",
            &SecretString::from("abc"),
        )
        .unwrap();
        assert_eq!(headers["x-custom"], "Token abc!");
        assert!(headers["x-custom"].is_sensitive());
    }

    #[test]
    fn what_no_header_can_carry_is_an_error_without_the_secret() {
        let mut headers = HeaderMap::new();
        let error = authorize(
            &mut headers,
            "authorization",
            "Bearer {key}",
            &SecretString::from("line\nbreak"),
        )
        .unwrap_err();
        assert!(!error.to_string().contains("break"));
        assert!(
            authorize(
                &mut headers,
                "not a header",
                "{key}",
                &SecretString::from("k")
            )
            .is_err()
        );
    }

    #[test]
    fn a_repeated_secret_is_masked() {
        let secret = SecretString::from("sk-secret-1234");
        let masked = mask(b"bad key sk-secret-1234, sk-secret-1234", &secret);
        assert_eq!(masked.as_deref(), Some(b"bad key ***, ***".as_slice()));
        assert_eq!(mask(b"nothing here", &secret), None);
    }
}
