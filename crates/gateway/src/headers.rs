//! Headers: what passes in each direction, and what stops here.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::credential;

/// Headers of one connection only (RFC 9110 §7.6.1), and those that the HTTP libraries write themselves.
static CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("proxy-connection"),
    header::CONTENT_LENGTH,
];

/// What would tell the upstream who the caller is, or by which way its request came.
const CALLER: [&str; 22] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-ray",
    "cf-ipcountry",
    "cf-visitor",
    "fastly-client-ip",
    "via",
    "cookie",
    "origin",
    "referer",
    "x-gemini-api-privileged-user-id",
];

/// The caller's headers that go upstream when the dialect is the same. The credential, the caller's address and everything of the
/// connection stay here; compression is not asked for, because answers are read on their way.
pub(crate) fn for_upstream(incoming: &HeaderMap) -> HeaderMap {
    let mut outgoing = HeaderMap::with_capacity(incoming.len());
    let named_by_connection = connection_tokens(incoming);
    for (name, value) in incoming {
        let text = name.as_str();
        let stops = CONNECTION.contains(name)
            || credential::HEADERS.contains(name)
            || CALLER.contains(&text)
            || text.starts_with("sec-")
            || text.starts_with("x-lingate-")
            || *name == header::HOST
            || *name == header::ACCEPT_ENCODING
            || *name == header::CONTENT_ENCODING
            || *name == header::EXPECT
            || named_by_connection.iter().any(|token| token == text);
        if !stops {
            outgoing.append(name.clone(), value.clone());
        }
    }
    outgoing
}

/// The upstream's headers that go to the caller when its answer does.
pub(crate) fn for_caller(incoming: &HeaderMap) -> HeaderMap {
    const STOP: [&str; 8] = [
        "set-cookie",
        "server",
        "alt-svc",
        "strict-transport-security",
        "content-encoding",
        "via",
        "report-to",
        "nel",
    ];
    let mut outgoing = HeaderMap::with_capacity(incoming.len() + 8);
    let named_by_connection = connection_tokens(incoming);
    for (name, value) in incoming {
        let text = name.as_str();
        let stops = CONNECTION.contains(name)
            || STOP.contains(&text)
            || text.starts_with("access-control-")
            || named_by_connection.iter().any(|token| token == text);
        if !stops {
            outgoing.append(name.clone(), value.clone());
        }
    }
    outgoing
}

/// Names that `Connection:` declares to belong to the connection.
fn connection_tokens(headers: &HeaderMap) -> Vec<String> {
    let values = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|token| token.trim().to_ascii_lowercase())
        .filter(|token| !token.is_empty())
        .collect()
}

/// `text` as a header value: what is not visible ASCII becomes `?`, and it ends after `limit` bytes.
pub(crate) fn ascii(text: &str, limit: usize) -> HeaderValue {
    // Nearly every text is: it is copied in one piece.
    if text.len() <= limit
        && text.bytes().all(|b| matches!(b, b' '..=b'~'))
        && let Ok(value) = HeaderValue::from_str(text)
    {
        return value;
    }
    let clean: String = text
        .chars()
        .take(limit)
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        })
        .collect();
    HeaderValue::try_from(clean).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

/// Lets browsers read the answer: reflects the origin and exposes what a client may want to see.
pub(crate) fn allow_origin(origin: Option<HeaderValue>, response: &mut HeaderMap) {
    if let Some(origin) = origin {
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.append(header::VARY, HeaderValue::from_static("origin"));
        response.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("*"),
        );
    }
}

/// The answer's headers to a browser's question whether it may ask (`OPTIONS`).
pub(crate) fn preflight(request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    allow_origin(request.get(header::ORIGIN).cloned(), &mut headers);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE, OPTIONS"),
    );
    let wanted = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        wanted.unwrap_or_else(|| HeaderValue::from_static("*")),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("86400"),
    );
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn the_upstream_never_learns_who_asks() {
        let incoming = map(&[
            ("host", "gateway"),
            ("authorization", "Bearer k"),
            ("x-api-key", "k"),
            ("api-key", "k"),
            ("x-goog-api-key", "k"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "10.1.2.3"),
            ("forwarded", "for=10.1.2.3"),
            ("x-real-ip", "10.1.2.3"),
            ("via", "1.1 proxy"),
            ("origin", "https://site"),
            ("sec-fetch-mode", "cors"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("accept-encoding", "gzip"),
            ("content-type", "application/json"),
            ("anthropic-beta", "a,b"),
            ("x-unknown", "stays"),
        ]);
        assert_eq!(
            names(&for_upstream(&incoming)),
            ["content-type", "anthropic-beta", "x-unknown"]
        );
    }

    #[test]
    fn cookies_and_connection_headers_of_the_upstream_stop_here() {
        let incoming = map(&[
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
            ("content-encoding", "gzip"),
            ("access-control-allow-origin", "https://vendor"),
            ("x-request-id", "r"),
            ("retry-after", "3"),
        ]);
        assert_eq!(
            names(&for_caller(&incoming)),
            ["x-request-id", "retry-after"]
        );
    }

    #[test]
    fn header_text_is_plain() {
        assert_eq!(ascii("a\nb é", 99), "a?b ?");
        assert_eq!(ascii("abcdef", 3), "abc");
    }
}
