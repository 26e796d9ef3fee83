//! Google Gemini generateContent.
//!
//! The reader takes `camelCase` and `snake_case` on every level, as the API does, but never touches keys inside free JSON:
//! arguments, results, schemas, labels.

mod chunk;
mod config;
mod contents;
#[cfg(test)]
mod corpus;
mod decoder;
mod encoder;
mod error;
mod finish;
mod grounding;
mod media;
mod partial_args;
mod request;
mod response;
mod tools;
mod usage;

use std::borrow::Cow;

use crate::framing::Framing;
use crate::hub::Opaque;
use crate::json::{self, Fields, Node};
use crate::{
    ApiError, At, BadAnswer, Decoder, Dialect, DialectId, Encoded, Encoder, Losses, Malformed,
    Refusal, Reply, Setting, Target, hub,
};

/// Google Gemini generateContent.
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

impl Dialect for Gemini {
    fn id(&self) -> DialectId {
        DialectId::Gemini
    }

    fn decode_request(&self, body: &[u8]) -> Result<hub::Request, Malformed> {
        request::decode(body)
    }

    fn encode_request(
        &self,
        request: &hub::Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) -> Result<Encoded, Refusal> {
        crate::bound::refuse(request, DialectId::Gemini)?;
        let request = &*crate::search::as_text(request, DialectId::Gemini, losses);
        let request = &*crate::billing::without_line(request, losses);
        let mut encoded = contents::encode(request, target, losses)?;
        crate::unwanted::obey(&mut encoded, self, target.quirks, losses);
        Ok(encoded)
    }

    fn decode_response(&self, body: &[u8]) -> Result<hub::Response, BadAnswer> {
        response::decode(body)
    }

    fn encode_response(
        &self,
        response: &hub::Response,
        reply: &Reply,
        losses: &mut Losses,
    ) -> Vec<u8> {
        response::encode(response, reply, losses)
    }

    fn encode_error(&self, error: &ApiError, request_id: &str) -> Vec<u8> {
        error::encode(error, request_id)
    }

    fn decoder(&self) -> Box<dyn Decoder + Send> {
        Box::new(decoder::GeminiDecoder::for_stream())
    }

    fn encoder(&self, reply: &Reply, framing: Framing) -> Box<dyn Encoder + Send> {
        Box::new(encoder::GeminiEncoder::new(reply, framing))
    }

    fn locate(&self, at: &At) -> String {
        match at {
            At::Request => String::new(),
            At::Setting(setting) => match setting {
                Setting::Model => "model",
                Setting::System => "systemInstruction",
                Setting::MaxOutput => "generationConfig.maxOutputTokens",
                Setting::Temperature => "generationConfig.temperature",
                Setting::TopP => "generationConfig.topP",
                Setting::TopK => "generationConfig.topK",
                Setting::PresencePenalty => "generationConfig.presencePenalty",
                Setting::FrequencyPenalty => "generationConfig.frequencyPenalty",
                Setting::Seed => "generationConfig.seed",
                Setting::Stop => "generationConfig.stopSequences",
                Setting::Candidates => "generationConfig.candidateCount",
                Setting::Logprobs => "generationConfig.responseLogprobs",
                Setting::Output => "generationConfig.responseMimeType",
                Setting::Reasoning => "generationConfig.thinkingConfig",
                Setting::Tools => "tools",
                Setting::ToolChoice | Setting::ParallelToolCalls => {
                    "toolConfig.functionCallingConfig"
                }
                Setting::User | Setting::Metadata => "labels",
                Setting::ServiceTier => "serviceTier",
                Setting::Store => "store",
                Setting::Verbosity => "generationConfig",
            }
            .to_owned(),
            At::Field(path) => path.clone(),
            At::System { part } => format!("systemInstruction.parts.{part}"),
            At::Turn { turn } => format!("contents.{turn}"),
            At::Part { turn, part } => format!("contents.{turn}.parts.{part}"),
            At::ResultPart { turn, part, inner } => {
                format!("contents.{turn}.parts.{part}.functionResponse.parts.{inner}")
            }
            At::Tool { tool } => format!("tools.{tool}"),
        }
    }
}

/// What clients write for a signature that they do not have; the API then does not ask for one. As Google's documentation
/// spells it, and as clients send it that only take base64.
pub(crate) const SENTINEL: &str = "skip_thought_signature_validator";
pub(crate) const SENTINEL_BASE64: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// A `thoughtSignature` that came on a part of its own, or on a call or a thought.
pub(crate) const SIGNATURE: &str = "thoughtSignature";
/// A `thoughtSignature` that came on the text or media part before it, and goes back there.
const SIGNATURE_OF_PART: &str = "part.thoughtSignature";

fn proof(signature: &str, kind: &str) -> Option<Opaque> {
    if signature.is_empty() || signature == SENTINEL || signature == SENTINEL_BASE64 {
        return None;
    }
    let mut text = Vec::with_capacity(signature.len() + 2);
    json::escape_into(&mut text, signature);
    Some(Opaque {
        of: DialectId::Gemini,
        kind: kind.to_owned(),
        json: json::raw(String::from_utf8(text).ok()?)?,
    })
}

/// The fields of an object under their `camelCase` names.
fn fields(node: Node<'_>) -> Result<Fields<'_>, Malformed> {
    let mut fields = node.fields()?;
    fields.rename(camel);
    Ok(fields)
}

/// `system_instruction` → `systemInstruction`; `None` when there is nothing to rename.
fn camel(key: &str) -> Option<String> {
    key.contains('_').then(|| {
        let mut name = String::with_capacity(key.len());
        let mut chars = key.chars().peekable();
        while let Some(c) = chars.next() {
            match chars.peek().copied() {
                Some(next) if c == '_' && next.is_ascii_lowercase() && !name.is_empty() => {
                    name.push(next.to_ascii_uppercase());
                    chars.next();
                }
                _ => name.push(c),
            }
        }
        name
    })
}

/// JSON on one line: event streams cannot hold line breaks, and pretty-printed answers waste tokens when they are sent back.
fn one_line(json: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_some() {
        Cow::Owned(json::compact(json))
    } else {
        Cow::Borrowed(json)
    }
}

/// The number that a text holds, as protocol buffers allow; anything else stays as it is.
fn number(node: Node<'_>) -> Node<'_> {
    node.raw()
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(|text| Node::parse(text.as_bytes()).ok())
        .filter(|inner| inner.f64().is_some())
        .unwrap_or(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_both_cases() {
        for (key, expect) in [
            ("system_instruction", "systemInstruction"),
            ("parameters_json_schema", "parametersJsonSchema"),
            ("thinking_budget", "thinkingBudget"),
            ("_responseJsonSchema", "_responseJsonSchema"),
            ("a__b", "a_B"),
            ("x_1", "x_1"),
        ] {
            assert_eq!(camel(key).as_deref().unwrap_or(key), expect);
        }
        assert_eq!(camel("topK"), None);
    }

    #[test]
    fn places_are_named_as_users_write_them() {
        for (at, expect) in [
            (At::Part { turn: 3, part: 0 }, "contents.3.parts.0"),
            (At::System { part: 0 }, "systemInstruction.parts.0"),
            (At::Setting(Setting::TopK), "generationConfig.topK"),
            (
                At::Setting(Setting::ToolChoice),
                "toolConfig.functionCallingConfig",
            ),
            (At::Tool { tool: 0 }, "tools.0"),
            (
                At::Field("generationConfig.speechConfig".into()),
                "generationConfig.speechConfig",
            ),
        ] {
            assert_eq!(Gemini.locate(&at), expect);
        }
    }
}
