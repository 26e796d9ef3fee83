//! Addresses of a provider's operations, below the base that its configuration gives.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is asked of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    ChatCompletions,
    Responses,
    CountInputTokens,
    CompactResponses,
    Messages,
    CountMessageTokens,
    GenerateContent,
    /// `alt=sse`, or one JSON array.
    StreamGenerateContent {
        sse: bool,
    },
    CountTokens,
    ListModels,
}

/// Everything that would end or change a path segment; `/` stays, because model names may hold it (`tunedModels/x`).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The full address. `base` ends where the dialect's own path begins (`https://api.openai.com/v1`); `query` is what the caller
/// sent, without credentials.
pub fn url(base: &str, operation: Operation, model: &str, query: &str) -> String {
    let base = base.trim_end_matches('/');
    let mut url = String::with_capacity(base.len() + model.len() + query.len() + 40);
    url.push_str(base);
    let verb = match operation {
        Operation::ChatCompletions => {
            url.push_str("/chat/completions");
            None
        }
        Operation::Responses => {
            url.push_str("/responses");
            None
        }
        Operation::CountInputTokens => {
            url.push_str("/responses/input_tokens");
            None
        }
        Operation::CompactResponses => {
            url.push_str("/responses/compact");
            None
        }
        Operation::Messages => {
            url.push_str("/messages");
            None
        }
        Operation::CountMessageTokens => {
            url.push_str("/messages/count_tokens");
            None
        }
        Operation::ListModels => {
            url.push_str("/models");
            None
        }
        Operation::GenerateContent => Some("generateContent"),
        Operation::StreamGenerateContent { .. } => Some("streamGenerateContent"),
        Operation::CountTokens => Some("countTokens"),
    };
    if let Some(verb) = verb {
        url.push('/');
        if !(model.starts_with("models/") || model.starts_with("tunedModels/")) {
            url.push_str("models/");
        }
        url.extend(utf8_percent_encode(model, SEGMENT));
        url.push(':');
        url.push_str(verb);
    }
    let mut mark = if base.contains('?') { '&' } else { '?' };
    if operation == (Operation::StreamGenerateContent { sse: true })
        && !query.split('&').any(|pair| pair == "alt=sse")
    {
        url.push(mark);
        url.push_str("alt=sse");
        mark = '&';
    }
    if !query.is_empty() {
        url.push(mark);
        url.push_str(query);
    }
    url
}

/// The address of an answer that an upstream of the Responses dialect keeps, and of what stands `below` it (`/cancel`).
pub fn stored_response(base: &str, id: &str, below: &str, query: &str) -> String {
    let base = base.trim_end_matches('/');
    // An id is one segment of the path, whatever it holds.
    let id = utf8_percent_encode(id, NON_ALPHANUMERIC)
        .to_string()
        .replace("%5F", "_")
        .replace("%2D", "-");
    let mark = match (query.is_empty(), base.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    format!("{base}/responses/{id}{below}{mark}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_stored_answers() {
        let check = |id, below, query, expect: &str| {
            assert_eq!(stored_response("https://a/v1/", id, below, query), expect);
        };
        check("resp_a-1", "", "", "https://a/v1/responses/resp_a-1");
        check(
            "resp_1",
            "/cancel",
            "x=1",
            "https://a/v1/responses/resp_1/cancel?x=1",
        );
        check(
            "../files?a#b",
            "",
            "",
            "https://a/v1/responses/%2E%2E%2Ffiles%3Fa%23b",
        );
    }

    #[test]
    fn addresses() {
        let check = |base, operation, model, query, expect: &str| {
            assert_eq!(url(base, operation, model, query), expect);
        };
        check(
            "https://a/v1",
            Operation::ChatCompletions,
            "m",
            "",
            "https://a/v1/chat/completions",
        );
        check(
            "https://a/v1/",
            Operation::Messages,
            "m",
            "beta=true",
            "https://a/v1/messages?beta=true",
        );
        check(
            "https://g/v1beta",
            Operation::GenerateContent,
            "gemini-3",
            "",
            "https://g/v1beta/models/gemini-3:generateContent",
        );
        check(
            "https://g/v1beta",
            Operation::StreamGenerateContent { sse: true },
            "a/b~1:x y",
            "",
            "https://g/v1beta/models/a/b~1:x%20y:streamGenerateContent?alt=sse",
        );
        check(
            "https://g/v1beta",
            Operation::StreamGenerateContent { sse: true },
            "m",
            "alt=sse",
            "https://g/v1beta/models/m:streamGenerateContent?alt=sse",
        );
        check(
            "https://g/v1beta",
            Operation::StreamGenerateContent { sse: false },
            "tunedModels/x",
            "",
            "https://g/v1beta/tunedModels/x:streamGenerateContent",
        );
        check(
            "https://g/v1beta",
            Operation::CountTokens,
            "m?x#y",
            "",
            "https://g/v1beta/models/m%3Fx%23y:countTokens",
        );
    }
}
