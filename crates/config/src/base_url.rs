//! Base URLs as people write them, brought to the form to which a dialect's path is appended.
//!
//! The rule, per dialect:
//!
//! 1. The path of an endpoint, if written out, is taken off. What is left is the base, whatever it looks like: whoever
//!    writes `https://host/api/chat/completions` means exactly that place.
//! 2. Else a version is added where the dialect has one and the base has none: `/v1` for chat and messages, `/v1beta` for
//!    gemini. Chat servers hide their version anywhere in the path (`/api/paas/v4`, `/v1/openai`), so any segment that
//!    looks like one will do; for messages and gemini it must be the last.
//! 3. The bare origin of a provider of the catalogue keeps the catalogue's path: `https://proxy.example` for a provider
//!    at `https://api.example/openai/v1` means `https://proxy.example/openai/v1`.

use http::Uri;
use lingate_dialect::DialectId;

/// The base for a dialect. `usual` is where the catalogue has this provider.
pub(crate) fn base(
    url: &str,
    dialect: DialectId,
    usual: Option<&str>,
) -> Result<String, &'static str> {
    let url = url.trim().trim_end_matches('/');
    check(url)?;
    let (origin, path) = split(url);
    if path.is_empty()
        && let Some(usual) = usual
    {
        let (_, usual) = split(usual);
        return Ok(format!("{origin}{usual}"));
    }
    if let Some(path) = without_endpoint(path, dialect) {
        return Ok(format!("{origin}{path}"));
    }
    // Written out for another dialect of the same server: its base serves here, too.
    let path = DialectId::ALL
        .into_iter()
        .find_map(|other| without_endpoint(path, other))
        .unwrap_or(path);
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let complete = match dialect {
        DialectId::Chat | DialectId::Responses => segments.any(is_version),
        DialectId::Messages => segments.next_back().is_some_and(is_version),
        DialectId::Gemini => {
            segments.next_back().is_some_and(is_version) || path.ends_with("/publishers/google")
        }
    };
    let version = match (complete, dialect) {
        (true, _) => "",
        (false, DialectId::Chat | DialectId::Responses | DialectId::Messages) => "/v1",
        (false, DialectId::Gemini) => "/v1beta",
    };
    Ok(format!("{origin}{path}{version}"))
}

/// Host and port of a URL, the port filled in.
pub(crate) fn authority(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    });
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_lowercase(), port))
}

fn check(url: &str) -> Result<(), &'static str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or("expected a URL that begins with http:// or https://")?;
    if url.contains('?') || url.contains('#') {
        return Err("a base URL has no query (`?`) and no fragment (`#`)");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err("credentials belong in `keys`, not in the URL");
    }
    let parsed: Result<Uri, _> = url.parse();
    if authority.is_empty() || parsed.is_err() || url.contains('{') {
        return Err("not a URL");
    }
    Ok(())
}

/// `https://host:1` and `/a/b`.
fn split(url: &str) -> (&str, &str) {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let path = url
        .get(after_scheme..)
        .and_then(|rest| rest.find('/'))
        .map_or(url.len(), |at| after_scheme + at);
    url.split_at_checked(path).unwrap_or((url, ""))
}

fn without_endpoint(path: &str, dialect: DialectId) -> Option<&str> {
    match dialect {
        DialectId::Chat => path.strip_suffix("/chat/completions"),
        DialectId::Responses => path.strip_suffix("/responses"),
        DialectId::Messages => path.strip_suffix("/messages"),
        DialectId::Gemini => path.strip_suffix("/models").or_else(|| {
            let (before, last) = path.rsplit_once("/models/")?;
            last.to_ascii_lowercase()
                .ends_with("generatecontent")
                .then_some(before)
        }),
    }
}

/// `v1`, `v4`, `v1beta`, `v1beta1`, `v1alpha`.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else {
        return false;
    };
    let stage = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let stage_number = stage
        .strip_prefix("alpha")
        .or_else(|| stage.strip_prefix("beta"))
        .unwrap_or(stage);
    stage.len() < rest.len() && stage_number.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_it() {
        use DialectId::{Chat, Gemini, Messages};
        for (url, dialect, expect) in [
            // with and without the version
            ("http://127.0.0.1:8000/v1", Chat, "http://127.0.0.1:8000/v1"),
            (
                "http://127.0.0.1:8000/v1/",
                Chat,
                "http://127.0.0.1:8000/v1",
            ),
            ("http://127.0.0.1:8000", Chat, "http://127.0.0.1:8000/v1"),
            ("https://h/proxy", Chat, "https://h/proxy/v1"),
            (
                "https://api.z.ai/api/paas/v4",
                Chat,
                "https://api.z.ai/api/paas/v4",
            ),
            (
                "https://api.deepinfra.com/v1/openai",
                Chat,
                "https://api.deepinfra.com/v1/openai",
            ),
            ("https://h/vault", Chat, "https://h/vault/v1"),
            ("https://h/v", Chat, "https://h/v/v1"),
            ("https://h", Messages, "https://h/v1"),
            (
                "https://api.z.ai/api/anthropic",
                Messages,
                "https://api.z.ai/api/anthropic/v1",
            ),
            (
                "https://gw/v1/account/anthropic",
                Messages,
                "https://gw/v1/account/anthropic/v1",
            ),
            ("https://h", Gemini, "https://h/v1beta"),
            ("https://h/v1alpha", Gemini, "https://h/v1alpha"),
            ("https://h/v1beta1", Gemini, "https://h/v1beta1"),
            (
                "https://h/v1/publishers/google",
                Gemini,
                "https://h/v1/publishers/google",
            ),
            (
                "https://gw/v1/account/google-ai-studio",
                Gemini,
                "https://gw/v1/account/google-ai-studio/v1beta",
            ),
            // with the endpoint
            ("https://h/v1/chat/completions", Chat, "https://h/v1"),
            ("https://h/api/chat/completions/", Chat, "https://h/api"),
            ("https://h/chat/completions", Chat, "https://h"),
            ("https://h/v1/messages", Messages, "https://h/v1"),
            ("https://h/messages", Messages, "https://h"),
            (
                "https://h/v1beta/models/gemini-4-carbon:generateContent",
                Gemini,
                "https://h/v1beta",
            ),
            (
                "https://h/models/{model}:streamGenerateContent",
                Gemini,
                "ERR",
            ),
            (
                "https://h/x/models/m:streamGenerateContent",
                Gemini,
                "https://h/x",
            ),
            ("https://h/v1beta/models", Gemini, "https://h/v1beta"),
            // with the endpoint of another dialect
            ("https://h/v1/chat/completions", Messages, "https://h/v1"),
            (
                "https://h/api/chat/completions",
                Messages,
                "https://h/api/v1",
            ),
            ("https://h/v1/messages", Chat, "https://h/v1"),
            // not a base
            ("", Chat, "ERR"),
            ("localhost:8000", Chat, "ERR"),
            ("ftp://h/v1", Chat, "ERR"),
            ("https://", Chat, "ERR"),
            ("https:///v1", Chat, "ERR"),
            ("https://h/v1?api-version=1", Chat, "ERR"),
            ("https://user:pass@h/v1", Chat, "ERR"),
            ("https://h h/v1", Chat, "ERR"),
        ] {
            let found = base(url, dialect, None).unwrap_or_else(|_| "ERR".to_owned());
            assert_eq!(found, expect, "{url} for {dialect}");
        }
    }

    #[test]
    fn a_bare_origin_keeps_the_catalogues_path() {
        for (url, usual, expect) in [
            (
                "http://127.0.0.1:1",
                "https://api.groq.com/openai/v1",
                "http://127.0.0.1:1/openai/v1",
            ),
            (
                "http://127.0.0.1:1/",
                "https://api.perplexity.ai",
                "http://127.0.0.1:1",
            ),
            (
                "https://r.openai.azure.com",
                "https://{X}.openai.azure.com/openai/v1",
                "https://r.openai.azure.com/openai/v1",
            ),
            (
                "http://127.0.0.1:1/v1",
                "https://api.groq.com/openai/v1",
                "http://127.0.0.1:1/v1",
            ),
        ] {
            assert_eq!(base(url, DialectId::Chat, Some(usual)).unwrap(), expect);
        }
    }

    #[test]
    fn authorities() {
        for (url, expect) in [
            ("http://LOCALHOST/v1", ("localhost", 80)),
            ("https://h", ("h", 443)),
            ("http://[::1]:8080/v1", ("::1", 8080)),
        ] {
            assert_eq!(authority(url), Some((expect.0.to_owned(), expect.1)));
        }
    }
}
