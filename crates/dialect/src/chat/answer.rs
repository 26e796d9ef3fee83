//! What whole answers and streams have in common: how they end, what they used, what they cite, their log probabilities.

use crate::DialectId;
use crate::hub::{Citation, Finish, FinishReason, Opaque, TokenLogprob, TopLogprob, Usage};
use crate::json::{Array, Fields, Node, Object, compact};

/// How an answer ended, by the word of OpenAI or of a compatible server.
pub(super) fn finish(word: &str) -> Finish {
    let reason = match word {
        "length" | "max_tokens" | "model_length" | "MAX_TOKENS" => FinishReason::Length,
        "tool_calls" | "tool_use" | "function_call" => FinishReason::ToolCalls,
        "content_filter"
        | "sensitive"
        | "safety"
        | "SAFETY"
        | "guardrail_intervened"
        | "content_filtered" => FinishReason::ContentFilter,
        "refusal" => FinishReason::Refusal,
        "error" | "network_error" | "insufficient_system_resource" | "abort" => FinishReason::Error,
        _ => FinishReason::Stop,
    };
    let own = [
        "stop",
        "length",
        "tool_calls",
        "function_call",
        "content_filter",
        "eos",
        "",
    ];
    Finish {
        category: (!own.contains(&word)).then(|| word.to_owned()),
        ..Finish::from(reason)
    }
}

/// The ending that fits what the answer holds, whatever the server said.
pub(super) fn settle(mut finish: Finish, calls: bool, refusal: bool) -> Finish {
    finish.reason = match finish.reason {
        FinishReason::Stop if calls => FinishReason::ToolCalls,
        FinishReason::Stop if refusal => FinishReason::Refusal,
        FinishReason::ToolCalls if !calls => FinishReason::Stop,
        reason => reason,
    };
    finish
}

/// OpenAI's word. `refusal` tells that the model's own words of refusal stand in the answer: OpenAI ends such an answer with `stop`.
pub(super) fn word(finish: &Finish, calls: bool, refusal: bool, legacy: bool) -> &'static str {
    match finish.reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => {
            match (calls, legacy) {
                (false, _) => "stop",
                (true, false) => "tool_calls",
                (true, true) => "function_call",
            }
        }
        FinishReason::Refusal if refusal => "stop",
        FinishReason::Refusal | FinishReason::ContentFilter => "content_filter",
        // Not at its end, one way or another; OpenAI has no other word for it.
        FinishReason::Length
        | FinishReason::ContextExceeded
        | FinishReason::Pause
        | FinishReason::Continuation
        | FinishReason::Error => "length",
    }
}

/// Token counts as servers tell them, the last told of each.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    /// DeepSeek: the prompt tokens that were not cached.
    missed: Option<u64>,
    written: Option<u64>,
    written_1h: Option<u64>,
    reasoning: Option<u64>,
    audio_in: Option<u64>,
    audio_out: Option<u64>,
    image_in: Option<u64>,
    image_out: Option<u64>,
    searches: Option<u64>,
}

impl Counts {
    /// Takes in one `usage` object; what it leaves out or says `null` to stays as it was.
    pub(super) fn read(&mut self, usage: Node<'_>) {
        // Sums of such counts cannot overflow.
        const MOST: u64 = 1 << 53;
        fn take(place: &mut Option<u64>, fields: &Fields<'_>, keys: &[&str]) {
            let told = keys.iter().find_map(|key| fields.get(key)?.u64());
            *place = told.map(|count| count.min(MOST)).or(*place);
        }
        fn inner<'a>(fields: &Fields<'a>, key: &str) -> Fields<'a> {
            let node = fields.get(key);
            node.and_then(|node| node.fields().ok()).unwrap_or_default()
        }
        let Ok(fields) = usage.fields() else {
            return;
        };
        take(&mut self.prompt, &fields, &["prompt_tokens"]);
        take(&mut self.completion, &fields, &["completion_tokens"]);
        take(&mut self.total, &fields, &["total_tokens"]);
        take(
            &mut self.cached,
            &fields,
            &[
                "prompt_cache_hit_tokens",
                "cached_tokens",
                "num_cached_tokens",
                "cache_read_input_tokens",
            ],
        );
        take(&mut self.missed, &fields, &["prompt_cache_miss_tokens"]);
        take(&mut self.written, &fields, &["cache_creation_input_tokens"]);
        take(&mut self.reasoning, &fields, &["reasoning_tokens"]);
        take(&mut self.searches, &fields, &["num_search_queries"]);

        let prompt = inner(&fields, "prompt_tokens_details");
        take(&mut self.cached, &prompt, &["cached_tokens"]);
        take(&mut self.written, &prompt, &["cache_write_tokens"]);
        take(&mut self.audio_in, &prompt, &["audio_tokens"]);
        take(&mut self.image_in, &prompt, &["image_tokens"]);

        let completion = inner(&fields, "completion_tokens_details");
        take(&mut self.reasoning, &completion, &["reasoning_tokens"]);
        take(&mut self.audio_out, &completion, &["audio_tokens"]);
        take(&mut self.image_out, &completion, &["image_tokens"]);

        let creation = inner(&fields, "cache_creation");
        take(
            &mut self.written_1h,
            &creation,
            &["ephemeral_1h_input_tokens"],
        );
        let server = inner(&fields, "server_tool_use_details");
        take(&mut self.searches, &server, &["web_search_requests"]);
    }

    pub(super) fn usage(&self) -> Usage {
        let mut prompt = self
            .prompt
            .unwrap_or_else(|| self.cached.unwrap_or(0) + self.missed.unwrap_or(0));
        let mut output = self
            .completion
            .unwrap_or_else(|| self.total.unwrap_or(0).saturating_sub(prompt));
        // Who bills more in all than the two sums leaves something out of one: xAI the reasoning, Mistral the sound.
        let beyond = self.total.unwrap_or(0).checked_sub(prompt + output);
        if beyond.is_some_and(|beyond| beyond > 0) {
            if beyond == self.reasoning {
                output += beyond.unwrap_or(0);
            } else if beyond == self.audio_in {
                prompt += beyond.unwrap_or(0);
            }
        }
        let cache_read = self.cached.unwrap_or(0).min(prompt);
        let written = self.written.unwrap_or(0).min(prompt - cache_read);
        let cache_write_1h = self.written_1h.unwrap_or(0).min(written);
        Usage {
            input: prompt - cache_read - written,
            output,
            cache_read,
            cache_write_5m: written - cache_write_1h,
            cache_write_1h,
            reasoning: self.reasoning.map(|reasoning| reasoning.min(output)),
            audio_in: self.audio_in.unwrap_or(0),
            audio_out: self.audio_out.unwrap_or(0),
            image_in: self.image_in.unwrap_or(0),
            image_out: self.image_out.unwrap_or(0),
            searches: self.searches.unwrap_or(0),
        }
    }
}

pub(super) fn write_usage(mut object: Object<'_>, usage: &Usage) {
    object.u64("prompt_tokens", usage.prompt());
    object.u64("completion_tokens", usage.output);
    object.u64("total_tokens", usage.total());
    {
        let mut details = object.object("prompt_tokens_details");
        details.u64("cached_tokens", usage.cache_read);
        for (key, count) in [
            ("cache_write_tokens", usage.cache_write()),
            ("audio_tokens", usage.audio_in),
            ("image_tokens", usage.image_in),
        ] {
            details.some_u64(key, Some(count).filter(|count| *count > 0));
        }
    }
    let told = |count: u64| Some(count).filter(|count| *count > 0);
    let details = [
        ("reasoning_tokens", usage.reasoning),
        ("audio_tokens", told(usage.audio_out)),
        ("image_tokens", told(usage.image_out)),
    ];
    if details.iter().any(|(_, count)| count.is_some()) {
        let mut inner = object.object("completion_tokens_details");
        for (key, count) in details {
            inner.some_u64(key, count);
        }
    }
}

/// `annotations` of a message or of a delta. Spans count code points of the message's whole text.
pub(super) fn citations(annotations: Node<'_>) -> Vec<Citation> {
    let citation = |annotation: Node<'_>| {
        let inner = annotation
            .fields()
            .ok()?
            .get("url_citation")?
            .fields()
            .ok()?;
        let text = |key: &str| inner.get(key).and_then(|node: Node<'_>| node.string().ok());
        let start = inner.get("start_index").and_then(Node::u64);
        let end = inner.get("end_index").and_then(Node::u64);
        Some(Citation {
            url: text("url"),
            title: text("title"),
            cited_text: text("content"),
            // Servers without offsets say 0 to 0.
            span: start.zip(end).filter(|(start, end)| start < end),
            source: Some(Opaque {
                of: DialectId::Chat,
                kind: "url_citation".to_owned(),
                json: annotation.to_raw(),
            }),
        })
    };
    let annotations = annotations.elements().unwrap_or_default();
    annotations.into_iter().filter_map(citation).collect()
}

/// Writes `citation` of a text that begins at code point `base` of the message and is `length` long; `false` when OpenAI has no form
/// for it, as it has none for places in documents.
pub(super) fn write_annotation(
    array: &mut Array<'_>,
    citation: &Citation,
    base: u64,
    length: u64,
) -> bool {
    let Some(url) = &citation.url else {
        return false;
    };
    let (start, end) = citation.span.unwrap_or((0, length));
    let mut annotation = array.object();
    annotation.string("type", "url_citation");
    let mut inner = annotation.object("url_citation");
    inner.u64("start_index", base.saturating_add(start));
    inner.u64("end_index", base.saturating_add(end));
    inner.string("title", citation.title.as_deref().unwrap_or(url));
    inner.string("url", url);
    true
}

/// Code points of a text.
pub(crate) fn length(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// `logprobs` of a choice: those of its text and of its refusal.
pub(super) fn logprobs(node: Node<'_>) -> Vec<TokenLogprob> {
    let Ok(fields) = node.fields() else {
        return Vec::new();
    };
    ["content", "refusal"]
        .into_iter()
        .filter_map(|key| fields.get(key))
        .flat_map(token_logprobs)
        .collect()
}

/// A list of tokens with their log probabilities.
pub(crate) fn token_logprobs(list: Node<'_>) -> Vec<TokenLogprob> {
    let list = list.elements().unwrap_or_default();
    list.into_iter().filter_map(token_logprob).collect()
}

fn token_logprob(node: Node<'_>) -> Option<TokenLogprob> {
    let fields = node.fields().ok()?;
    let top = fields
        .get("top_logprobs")
        .and_then(|top| top.elements().ok());
    let top = top.unwrap_or_default().into_iter().filter_map(|node| {
        let (token, logprob, bytes) = scored(&node.fields().ok()?)?;
        Some(TopLogprob {
            token,
            logprob,
            bytes,
        })
    });
    let (token, logprob, bytes) = scored(&fields)?;
    Some(TokenLogprob {
        token,
        logprob,
        bytes,
        top: top.collect(),
    })
}

fn scored(fields: &Fields<'_>) -> Option<(String, f64, Option<Vec<u8>>)> {
    let bytes = fields.get("bytes").and_then(|bytes| bytes.elements().ok());
    let bytes = bytes.map(|bytes| {
        let byte = |node: Node<'_>| u8::try_from(node.u64()?).ok();
        bytes.into_iter().filter_map(byte).collect()
    });
    let token = fields.get("token")?.string().ok()?;
    Some((token, fields.get("logprob")?.f64()?, bytes))
}

pub(super) fn write_logprobs(mut object: Object<'_>, tokens: &[TokenLogprob]) {
    {
        let mut content = object.array("content");
        for token in tokens {
            let mut entry = content.object();
            write_scored(
                &mut entry,
                &token.token,
                token.logprob,
                token.bytes.as_deref(),
            );
            let mut top = entry.array("top_logprobs");
            for other in &token.top {
                let mut entry = top.object();
                write_scored(
                    &mut entry,
                    &other.token,
                    other.logprob,
                    other.bytes.as_deref(),
                );
            }
        }
    }
    object.null("refusal");
}

fn write_scored(object: &mut Object<'_>, token: &str, logprob: f64, bytes: Option<&[u8]>) {
    object.string("token", token);
    object.f64("logprob", logprob);
    match bytes {
        Some(bytes) => {
            let mut array = object.array("bytes");
            for byte in bytes {
                array.u64(u64::from(*byte));
            }
        }
        None => object.null("bytes"),
    }
}

/// The text in OpenRouter's `reasoning_details`.
pub(super) fn detail_text(details: Node<'_>) -> String {
    let mut whole = String::new();
    for detail in details.elements().unwrap_or_default() {
        if let Ok(fields) = detail.fields()
            && let Some(text) = fields
                .get("text")
                .or_else(|| fields.get("summary"))
                .and_then(Node::text)
        {
            whole.push_str(&text);
        }
    }
    whole
}

/// Whether `reasoning_details` hold a signature or encrypted reasoning.
pub(super) fn detail_proves(details: Node<'_>) -> bool {
    let mut details = details.elements().unwrap_or_default().into_iter();
    details.any(|detail| {
        detail.fields().is_ok_and(|fields| {
            let proof = fields
                .get("signature")
                .or_else(|| fields.get("data"))
                .and_then(Node::text);
            proof.is_some_and(|proof| !proof.is_empty())
        })
    })
}

/// Takes `extra_content.google.thought_signature` out of a tool call: Google's compatible endpoint tells Gemini's proof so, and
/// clients that keep it give it back. It belongs to that server: only a vault takes it to another dialect.
pub(super) fn take_thought_signature(fields: &mut Fields<'_>) -> Option<Opaque> {
    thought_signature(fields.take("extra_content")?)
}

pub(super) fn thought_signature(extra_content: Node<'_>) -> Option<Opaque> {
    let google = extra_content.fields().ok()?.get("google")?;
    let signature = google.fields().ok()?.get("thought_signature")?;
    signature.is_string().then(|| Opaque {
        of: DialectId::Chat,
        kind: super::THOUGHT_SIGNATURE.to_owned(),
        json: signature.to_raw(),
    })
}

pub(super) fn write_thought_signature(call: &mut Object<'_>, proof: Option<&Opaque>) {
    if let Some(proof) = proof.filter(|proof| is_thought_signature(proof)) {
        let mut extra = call.object("extra_content");
        extra.object("google").raw("thought_signature", &proof.json);
    }
}

pub(super) fn is_thought_signature(proof: &Opaque) -> bool {
    proof.of == DialectId::Chat && proof.kind == super::THOUGHT_SIGNATURE
}

/// Whether a proof of a thought can be told as `reasoning_details`.
pub(super) fn is_details(proof: &Opaque) -> bool {
    proof.of == DialectId::Chat && proof.kind == super::DETAILS
}

/// Writes the `reasoning_details` of several thoughts as one list.
pub(super) fn write_details(object: &mut Object<'_>, proofs: &[&Opaque]) {
    if proofs.is_empty() {
        return;
    }
    let mut list = object.array(super::DETAILS);
    for proof in proofs {
        for detail in Node::from(&*proof.json).elements().unwrap_or_default() {
            list.value().extend_from_slice(detail.raw().as_bytes());
        }
    }
}

/// The arguments of a call: JSON text in a string, or, from some servers, the value itself.
pub(super) fn arguments(node: Node<'_>) -> String {
    match node.text() {
        Some(text) => text.into_owned(),
        None => compact(node.raw()),
    }
}

/// An id for a call that came without one: the same for the same answer, another for another.
pub(super) fn call_id(answer: &str, choice: u32, ordinal: usize) -> String {
    let hash = crate::fnv::fnv64(answer);
    format!("call_{hash:016x}_{choice}_{ordinal}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Usage {
        let mut counts = Counts::default();
        counts.read(Node::parse(json.as_bytes()).unwrap());
        counts.usage()
    }

    #[test]
    fn counts_of_every_vendor_come_to_one_form() {
        let plain = Usage {
            input: 7,
            output: 5,
            ..Usage::default()
        };
        for (json, expect) in [
            (
                r#"{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}"#,
                plain,
            ),
            (
                r#"{"prompt_tokens":7,"completion_tokens":null,"total_tokens":12}"#,
                plain,
            ),
            ("{}", Usage::default()),
            ("[]", Usage::default()),
            (
                r#"{"prompt_tokens":20,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":4,"audio_tokens":1},
                    "completion_tokens_details":{"reasoning_tokens":6}}"#,
                Usage {
                    input: 8,
                    output: 9,
                    cache_read: 8,
                    cache_write_5m: 4,
                    reasoning: Some(6),
                    audio_in: 1,
                    ..Usage::default()
                },
            ),
            // DeepSeek
            (
                r#"{"completion_tokens":1,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":12}"#,
                Usage {
                    input: 12,
                    output: 1,
                    cache_read: 8,
                    ..Usage::default()
                },
            ),
            // xAI
            (
                r#"{"prompt_tokens":288,"completion_tokens":27,"total_tokens":665,"completion_tokens_details":{"reasoning_tokens":350}}"#,
                Usage {
                    input: 288,
                    output: 377,
                    reasoning: Some(350),
                    ..Usage::default()
                },
            ),
            // More cached than sent.
            (
                r#"{"prompt_tokens":7,"completion_tokens":8,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":161}}"#,
                Usage {
                    output: 8,
                    cache_read: 7,
                    ..Usage::default()
                },
            ),
            // Mistral
            (
                r#"{"prompt_tokens":9,"total_tokens":632,"completion_tokens":248,"prompt_tokens_details":{"audio_tokens":375}}"#,
                Usage {
                    input: 384,
                    output: 248,
                    audio_in: 375,
                    ..Usage::default()
                },
            ),
            (
                r#"{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615,"total_tokens":18446744073709551615}"#,
                Usage {
                    input: 1 << 53,
                    output: 1 << 53,
                    ..Usage::default()
                },
            ),
        ] {
            assert_eq!(usage(json), expect, "{json}");
        }
    }

    #[test]
    fn later_counts_replace_what_they_tell() {
        let mut counts = Counts::default();
        for json in [
            r#"{"prompt_tokens":36,"completion_tokens":null,"total_tokens":null}"#,
            r#"{"prompt_tokens":null,"completion_tokens":4,"total_tokens":40}"#,
        ] {
            counts.read(Node::parse(json.as_bytes()).unwrap());
        }
        assert_eq!(
            counts.usage(),
            Usage {
                input: 36,
                output: 4,
                ..Usage::default()
            }
        );
    }

    #[test]
    fn endings_fit_what_the_answer_holds() {
        for (said, calls, refusal, expect) in [
            ("stop", false, false, "stop"),
            ("stop", true, false, "tool_calls"),
            ("tool_calls", false, false, "stop"),
            ("function_call", true, false, "tool_calls"),
            ("stop", false, true, "stop"),
            ("eos", false, false, "stop"),
            ("model_length", false, false, "length"),
            ("length", true, false, "length"),
            ("sensitive", false, false, "content_filter"),
            ("network_error", false, false, "length"),
        ] {
            let finish = settle(finish(said), calls, refusal);
            assert_eq!(word(&finish, calls, refusal, false), expect, "{said}");
        }
        assert_eq!(finish("sensitive").category.as_deref(), Some("sensitive"));
        assert_eq!(finish("stop").category, None);
    }
}
