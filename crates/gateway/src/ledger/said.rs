//! What a request says of how much it may take and whom it is for, read from the top level of its body.

use http::HeaderMap;
use lingate_dialect::DialectId;
use lingate_dialect::envelope::Envelope;
use lingate_dialect::json::Node;
use memchr::memmem;

use crate::facts;

/// Bytes of a name of an end user; counters and records keep it.
const LONGEST_USER: usize = 256;

/// How much a request may take, in its own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Tokens of one answer.
    pub(crate) max_output: Option<u64>,
    /// Answers to the same question.
    pub(crate) choices: u64,
    /// Whom it is for.
    pub(crate) end_user: Option<String>,
    /// The answer may hold pictures.
    pub(crate) makes_images: bool,
}

impl Said {
    /// `body` is what the envelope was scanned from, in the dialect `written`.
    pub(crate) fn read(
        written: DialectId,
        envelope: &Envelope<'_>,
        body: &[u8],
        headers: &HeaderMap,
    ) -> Self {
        let number = |key: &str| envelope.node(key).ok().flatten().and_then(Node::u64);
        let inside = |key: &str| {
            let node = envelope.node(key).ok().flatten();
            node.and_then(|node| node.fields().ok())
        };
        let text = |key: &str| envelope.text(key).map(std::borrow::Cow::into_owned);
        let (max_output, choices, user) = match written {
            DialectId::Chat => {
                let max = number("max_completion_tokens").or_else(|| number("max_tokens"));
                let user = text("safety_identifier").or_else(|| text("user"));
                (max, number("n"), user)
            }
            DialectId::Responses => {
                let user = text("safety_identifier").or_else(|| text("user"));
                (number("max_output_tokens"), None, user)
            }
            DialectId::Messages => {
                let metadata = inside("metadata");
                let user = metadata
                    .as_ref()
                    .and_then(|metadata| metadata.get("user_id"));
                let user = user.and_then(Node::text).map(std::borrow::Cow::into_owned);
                (number("max_tokens"), None, user)
            }
            DialectId::Gemini => {
                let config = inside("generationConfig").or_else(|| inside("generation_config"));
                let number = |names: [&str; 2]| {
                    let config = config.as_ref()?;
                    names.into_iter().find_map(|name| config.get(name))?.u64()
                };
                let max = number(["maxOutputTokens", "max_output_tokens"]);
                (max, number(["candidateCount", "candidate_count"]), None)
            }
        };
        let makes_images = match written {
            DialectId::Chat => envelope.get("modalities").is_some_and(names_image),
            DialectId::Responses => envelope
                .get("tools")
                .is_some_and(|tools| says(tools.as_bytes(), "\"image_generation\"")),
            DialectId::Messages => false,
            DialectId::Gemini => {
                says(body, "\"responseModalities\"")
                    && (says(body, "\"IMAGE\"") || says(body, "\"Image\""))
            }
        };
        let user = user.as_deref().and_then(facts::end_user);
        let named = || facts::user_of_headers(headers).map(std::borrow::Cow::Borrowed);
        let end_user = user.or_else(named);
        Self {
            max_output,
            choices: choices.unwrap_or(1).max(1),
            end_user: end_user.map(|user| {
                let end = user.floor_char_boundary(LONGEST_USER);
                user.get(..end).unwrap_or_default().to_owned()
            }),
            makes_images,
        }
    }
}

fn says(text: &[u8], word: &str) -> bool {
    memmem::find(text, word.as_bytes()).is_some()
}

fn names_image(modalities: &str) -> bool {
    says(modalities.as_bytes(), "\"image\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_says_it_in_its_words() {
        let check =
            |written: DialectId, body: &str, expect: (Option<u64>, u64, Option<&str>, bool)| {
                let envelope = Envelope::scan(body.as_bytes()).unwrap();
                let said = Said::read(written, &envelope, body.as_bytes(), &HeaderMap::new());
                let found = (
                    said.max_output,
                    said.choices,
                    said.end_user.as_deref(),
                    said.makes_images,
                );
                assert_eq!(found, expect, "{body}");
            };
        check(DialectId::Chat, "{}", (None, 1, None, false));
        check(
            DialectId::Chat,
            r#"{"max_tokens":5,"max_completion_tokens":7,"n":3,"user":"u","safety_identifier":"s","modalities":["text","image"]}"#,
            (Some(7), 3, Some("s"), true),
        );
        check(
            DialectId::Chat,
            r#"{"max_tokens":5,"n":0,"user":"","modalities":["text"]}"#,
            (Some(5), 1, None, false),
        );
        check(
            DialectId::Responses,
            r#"{"max_output_tokens":9,"user":"u","tools":[{"type":"image_generation"}]}"#,
            (Some(9), 1, Some("u"), true),
        );
        check(
            DialectId::Messages,
            r#"{"max_tokens":9,"metadata":{"user_id":"{\"account_uuid\":\"a\",\"session_id\":\"s\"}"}}"#,
            (Some(9), 1, Some("a"), false),
        );
        check(
            DialectId::Gemini,
            r#"{"generationConfig":{"maxOutputTokens":4,"candidateCount":2,"responseModalities":["IMAGE"]}}"#,
            (Some(4), 2, None, true),
        );
        check(
            DialectId::Gemini,
            r#"{"generationConfig":7}"#,
            (None, 1, None, false),
        );
    }
}
