//! How clients are told of a key, ready to paste.

use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

/// How one client is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Snippet {
    /// `claude_code`, `codex`, `gemini_cli`, `cherry_studio`, `cursor`, `openai_sdk`, `anthropic_sdk`, `google_sdk`, `curl`
    #[schema(example = "claude_code")]
    pub client: &'static str,
    #[schema(example = "Claude Code")]
    pub title: &'static str,
    /// Lines for a shell, a file or a form.
    pub text: String,
}

/// For a gateway that clients reach at `url`.
pub fn snippets(url: &str, key: &str) -> Vec<Snippet> {
    let url = url.trim_end_matches('/');
    let of = |client, title, text| Snippet {
        client,
        title,
        text,
    };
    vec![
        of(
            "claude_code",
            "Claude Code",
            format!("ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN={key} claude --model MODEL"),
        ),
        of(
            "codex",
            "Codex",
            format!(
                "\
LINGATE_API_KEY={key} codex
# with this in ~/.codex/config.toml:
model = \"MODEL\"
model_provider = \"lingate\"
[model_providers.lingate]
name = \"Lingate\"
base_url = \"{url}/v1\"
wire_api = \"responses\"
env_key = \"LINGATE_API_KEY\""
            ),
        ),
        of(
            "gemini_cli",
            "Gemini CLI",
            format!("GOOGLE_GEMINI_BASE_URL={url} GEMINI_API_KEY={key} gemini --model MODEL"),
        ),
        of(
            "cherry_studio",
            "Cherry Studio",
            format!(
                "\
Settings > Model Provider > Add, of the type OpenAI:
API Key   {key}
API Host  {url}"
            ),
        ),
        of(
            "cursor",
            "Cursor",
            format!(
                "\
Settings > Models > API Keys:
OpenAI API Key            {key}
Override OpenAI Base URL  {url}/v1"
            ),
        ),
        of(
            "openai_sdk",
            "OpenAI SDK",
            format!("OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key}"),
        ),
        of(
            "anthropic_sdk",
            "Anthropic SDK",
            format!("ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key}"),
        ),
        of(
            "google_sdk",
            "Google GenAI SDK",
            format!("GOOGLE_GEMINI_BASE_URL={url} GEMINI_API_KEY={key}"),
        ),
        of(
            "curl",
            "curl",
            format!(
                "\
curl {url}/v1/chat/completions -H 'authorization: Bearer {key}' -H 'content-type: application/json' \\
  -d '{{\"model\": \"MODEL\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
            ),
        ),
    ]
}

/// What clients are told where nobody says it and the request does not show it.
const USUAL: &str = "http://127.0.0.1:8080";

/// Where clients reach the gateway: as it is said, else as this request reached it. What could mean something to a shell is refused.
pub(super) fn address(said: Option<&str>, headers: &HeaderMap) -> Option<String> {
    if let Some(said) = said {
        let rest = said
            .strip_prefix("https://")
            .or_else(|| said.strip_prefix("http://"));
        return rest.filter(|rest| is_plain(rest)).map(|_| said.to_owned());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        Some(_) | None => "http",
    };
    let host = text("host").filter(|host| is_plain(host));
    Some(host.map_or_else(|| USUAL.to_owned(), |host| format!("{scheme}://{host}")))
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:/[]%".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_request_or_said() {
        for (said, host, scheme, expect) in [
            (
                None,
                Some("gateway.example:8080"),
                None,
                Some("http://gateway.example:8080"),
            ),
            (
                None,
                Some("[::1]:8080"),
                Some("https"),
                Some("https://[::1]:8080"),
            ),
            (None, Some("a;rm -rf $HOME"), None, Some(USUAL)),
            (None, None, None, Some(USUAL)),
            (
                Some("https://ai.example/gate"),
                Some("x"),
                None,
                Some("https://ai.example/gate"),
            ),
            (Some("ftp://ai.example"), None, None, None),
            (Some("https://"), None, None, None),
            (Some("https://a b"), None, None, None),
            (Some("https://a'$(id)"), None, None, None),
        ] {
            let mut headers = HeaderMap::new();
            let mut put = |name: &'static str, value: Option<&str>| {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            };
            put("host", host);
            put("x-forwarded-proto", scheme);
            assert_eq!(
                address(said, &headers).as_deref(),
                expect,
                "{said:?} {host:?}"
            );
        }
    }
}
