//! The caller's credential: where clients put it, and how it is taken out of what goes upstream.

use http::{HeaderMap, HeaderName, header};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

/// Headers that carry a credential of the caller; none of them ever goes upstream.
pub(crate) static HEADERS: [HeaderName; 5] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    header::PROXY_AUTHORIZATION,
];

/// The first credential that is not empty: `Authorization: Bearer`, `x-api-key`, `api-key`, `x-goog-api-key`, `?key=`.
pub(crate) fn find(headers: &HeaderMap, query: &str) -> Option<SecretString> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .map(|value| {
            let scheme = value
                .get(..7)
                .filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
            scheme.and_then(|_| value.get(7..)).unwrap_or(value)
        });
    let named = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let in_headers = [
        bearer,
        named("x-api-key"),
        named("api-key"),
        named("x-goog-api-key"),
    ];
    in_headers
        .into_iter()
        .flatten()
        .map(str::trim)
        .find(|credential| !credential.is_empty())
        .map(SecretString::from)
        .or_else(|| {
            let value = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("key="))?;
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            (!value.is_empty()).then(|| SecretString::from(value))
        })
}

/// The query without the credential.
pub(crate) fn strip_query(query: &str) -> String {
    query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("key="))
        .collect::<Vec<_>>()
        .join("&")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn check(headers: &[(&'static str, &str)], query: &str, expect: Option<&str>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        assert_eq!(
            find(&map, query).as_ref().map(SecretString::expose_secret),
            expect
        );
    }

    #[test]
    fn every_place_is_read_in_order_and_empty_means_absent() {
        check(&[("authorization", "Bearer k1")], "", Some("k1"));
        check(&[("authorization", "bearer k1,k2")], "", Some("k1,k2"));
        check(&[("authorization", "k1")], "", Some("k1"));
        check(
            &[("x-api-key", "k2"), ("authorization", "Bearer k1")],
            "",
            Some("k1"),
        );
        check(&[("x-goog-api-key", ""), ("api-key", "k3")], "", Some("k3"));
        check(
            &[("authorization", "Bearer "), ("x-api-key", "k2")],
            "",
            Some("k2"),
        );
        check(&[], "alt=sse&key=a%2Bb", Some("a+b"));
        check(&[], "key=", None);
        check(&[], "", None);
    }

    #[test]
    fn the_query_goes_on_without_it() {
        assert_eq!(
            strip_query("alt=sse&key=secret&beta=true"),
            "alt=sse&beta=true"
        );
        assert_eq!(strip_query("key=secret"), "");
    }
}
