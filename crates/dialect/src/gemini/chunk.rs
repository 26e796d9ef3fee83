//! An answer as it stands on the wire, whole or one chunk of a stream: one typed pass over borrowed text.
//!
//! What is rare (grounding, log probabilities, arguments) stays a span until someone asks for it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Chunk<'a> {
    pub(super) error: Option<&'a RawValue>,
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    pub(super) usage_metadata: Option<Counts>,
    pub(super) model_version: Option<Str<'a>>,
    pub(super) response_id: Option<Str<'a>>,
    pub(super) create_time: Option<Str<'a>>,
    pub(super) prompt_feedback: Option<PromptFeedback<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct PromptFeedback<'a> {
    pub(super) block_reason: Option<NameOrNumber<'a>>,
    pub(super) block_reason_message: Option<Str<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Candidate<'a> {
    pub(super) content: Option<Content<'a>>,
    pub(super) finish_reason: Option<NameOrNumber<'a>>,
    pub(super) finish_message: Option<Str<'a>>,
    pub(super) index: Option<u32>,
    pub(super) grounding_metadata: Option<&'a RawValue>,
    pub(super) citation_metadata: Option<&'a RawValue>,
    pub(super) logprobs_result: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Content<'a> {
    pub(super) parts: Option<Vec<Part<'a>>>,
}

/// A part. What it holds besides the usual is kept as `other`.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) text: Option<Str<'a>>,
    pub(super) thought: bool,
    pub(super) signature: Option<Str<'a>>,
    pub(super) call: Option<Call<'a>>,
    pub(super) inline_data: Option<&'a RawValue>,
    pub(super) file_data: Option<&'a RawValue>,
    /// `executableCode`, `codeExecutionResult`, `toolCall` and whatever comes.
    pub(super) other: Option<(Cow<'a, str>, &'a RawValue)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Call<'a> {
    pub(super) id: Option<Str<'a>>,
    pub(super) name: Option<Str<'a>>,
    pub(super) args: Option<&'a RawValue>,
    pub(super) partial_args: Option<&'a RawValue>,
    pub(super) will_continue: Option<bool>,
}

/// Token counts. Each is absent where it is zero or not yet known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Counts {
    pub(super) prompt_token_count: Option<u64>,
    pub(super) cached_content_token_count: Option<u64>,
    pub(super) tool_use_prompt_token_count: Option<u64>,
    pub(super) candidates_token_count: Option<u64>,
    pub(super) thoughts_token_count: Option<u64>,
    pub(super) prompt_tokens_details: Option<Modalities>,
    pub(super) candidates_tokens_details: Option<Modalities>,
    pub(super) service_tier: Option<Tier>,
    pub(super) traffic_type: Option<Tier>,
}

/// Tokens by kind; texts and the rest are of no interest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Modalities {
    pub(super) audio: u64,
    pub(super) image: u64,
}

/// A service tier or kind of traffic, in OpenAI's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Default,
    Flex,
    Priority,
    Unknown,
}

/// A string that is borrowed where it holds no escape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Str<'a>(pub(super) Cow<'a, str>);

/// A name of an enumeration, or the number that Vertex sends in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameOrNumber<'a> {
    Name(Cow<'a, str>),
    Number(u64),
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    /// Read as bytes, because half a surrogate pair must not lose the chunk: it becomes U+FFFD.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrVisitor;
        impl<'de> Visitor<'de> for StrVisitor {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E: de::Error>(self, text: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Str(String::from_utf8_lossy(text)))
            }

            fn visit_bytes<E: de::Error>(self, text: &[u8]) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(String::from_utf8_lossy(text).into_owned())))
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_bytes(StrVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for NameOrNumber<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = NameOrNumber<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a number")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(NameOrNumber::Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(NameOrNumber::Name(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(NameOrNumber::Number(number))
            }

            // With arbitrary precision, numbers may arrive as a map of their text.
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let number =
                    serde_json::Number::deserialize(de::value::MapAccessDeserializer::new(map))?;
                number
                    .as_u64()
                    .map(NameOrNumber::Number)
                    .ok_or_else(|| de::Error::custom("expected a name or a whole number"))
            }
        }
        deserializer.deserialize_any(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for Tier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = NameOrNumber::deserialize(deserializer)?;
        let NameOrNumber::Name(word) = word else {
            return Ok(Self::Unknown);
        };
        Ok(match &*word {
            "standard" | "STANDARD" | "ON_DEMAND" => Self::Default,
            "flex" | "FLEX" | "ON_DEMAND_FLEX" => Self::Flex,
            "priority" | "PRIORITY" | "ON_DEMAND_PRIORITY" => Self::Priority,
            _ => Self::Unknown,
        })
    }
}

impl<'de> Deserialize<'de> for Modalities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
        struct Count<'a> {
            modality: Option<NameOrNumber<'a>>,
            token_count: Option<u64>,
        }
        struct ModalitiesVisitor;
        impl<'de> Visitor<'de> for ModalitiesVisitor {
            type Value = Modalities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of token counts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut sum = Modalities::default();
                while let Some(count) = seq.next_element::<Count<'de>>()? {
                    let tokens = count.token_count.unwrap_or(0);
                    let kind = match &count.modality {
                        Some(NameOrNumber::Name(name)) => name,
                        Some(NameOrNumber::Number(2)) => "IMAGE",
                        Some(NameOrNumber::Number(4)) => "AUDIO",
                        Some(NameOrNumber::Number(_)) | None => "",
                    };
                    match kind {
                        "AUDIO" => sum.audio = sum.audio.saturating_add(tokens),
                        "IMAGE" => sum.image = sum.image.saturating_add(tokens),
                        _ => {}
                    }
                }
                Ok(sum)
            }
        }
        deserializer.deserialize_seq(ModalitiesVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor;
        impl<'de> Visitor<'de> for PartVisitor {
            type Value = Part<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a part")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut part = Part::default();
                while let Some(Str(key)) = map.next_key()? {
                    match &*key {
                        "text" => part.text = map.next_value()?,
                        "thought" => part.thought = map.next_value::<Option<bool>>()? == Some(true),
                        "thoughtSignature" => part.signature = map.next_value()?,
                        "functionCall" => part.call = map.next_value()?,
                        "inlineData" => part.inline_data = map.next_value()?,
                        "fileData" => part.file_data = map.next_value()?,
                        "videoMetadata"
                        | "partMetadata"
                        | "mediaResolution"
                        | "audioMetadata"
                        | "speechMetadata"
                        | "documentMetadata"
                        | "spreadsheetMetadata" => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        _ => {
                            part.other = map
                                .next_value::<Option<&'de RawValue>>()?
                                .map(|json| (key, json));
                        }
                    }
                }
                Ok(part)
            }
        }
        deserializer.deserialize_map(PartVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_read_in_place() {
        let json = r#"{"candidates":[{"content":{"parts":[{"text":"Hello"},{"text":"a\nb","thought":true},{"executableCode":{"code":"1"}}],"role":"model"},"finishReason":1,"safetyRatings":[{"x":1}]}],
            "usageMetadata":{"promptTokenCount":5,"totalTokenCount":5,"promptTokensDetails":[{"modality":"TEXT","tokenCount":3},{"modality":"IMAGE","tokenCount":2}],"serviceTier":"standard"},"modelVersion":"m"}"#;
        let chunk: Chunk<'_> = serde_json::from_str(json).unwrap();
        let candidate = &chunk.candidates.unwrap()[0];
        assert_eq!(candidate.finish_reason, Some(NameOrNumber::Number(1)));
        let parts = candidate.content.as_ref().unwrap().parts.as_ref().unwrap();
        assert!(matches!(&parts[0].text, Some(Str(Cow::Borrowed("Hello")))));
        assert_eq!(
            (parts[1].text.as_ref().unwrap().0.as_ref(), parts[1].thought),
            ("a\nb", true)
        );
        assert_eq!(parts[2].other.as_ref().unwrap().0, "executableCode");
        let counts = chunk.usage_metadata.unwrap();
        assert_eq!(
            counts.prompt_tokens_details,
            Some(Modalities { audio: 0, image: 2 })
        );
        assert_eq!(counts.service_tier, Some(Tier::Default));
    }

    #[test]
    fn half_a_surrogate_pair_does_not_lose_the_chunk() {
        let part: Part<'_> = serde_json::from_str(r#"{"text":"a\ud83d b"}"#).unwrap();
        assert_eq!(part.text.unwrap().0, "a\u{fffd}\u{fffd}\u{fffd} b");
    }
}
