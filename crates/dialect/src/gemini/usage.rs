//! Token counts both ways.

use crate::hub::Usage;
use crate::json::Object;

use super::chunk::{Counts, Tier};

/// More tokens than anyone counts; keeps sums of what an upstream made up from overflowing.
const MOST: u64 = 1 << 53;

impl Counts {
    /// Takes what a later chunk tells; what it leaves out stays.
    pub(super) fn update(&mut self, later: &Self) {
        self.prompt_token_count = later.prompt_token_count.or(self.prompt_token_count);
        self.cached_content_token_count = later
            .cached_content_token_count
            .or(self.cached_content_token_count);
        self.tool_use_prompt_token_count = later
            .tool_use_prompt_token_count
            .or(self.tool_use_prompt_token_count);
        self.candidates_token_count = later.candidates_token_count.or(self.candidates_token_count);
        self.thoughts_token_count = later.thoughts_token_count.or(self.thoughts_token_count);
        self.prompt_tokens_details = later.prompt_tokens_details.or(self.prompt_tokens_details);
        self.candidates_tokens_details = later
            .candidates_tokens_details
            .or(self.candidates_tokens_details);
        self.service_tier = later.service_tier.or(self.service_tier);
        self.traffic_type = later.traffic_type.or(self.traffic_type);
    }

    /// The normal form; `None` when no tokens were told. Prompts of the vendor's own tools count as input.
    pub(super) fn usage(&self, searches: u64) -> Option<Usage> {
        if self.prompt_token_count.is_none() && self.candidates_token_count.is_none() {
            return None;
        }
        let told = |count: Option<u64>| count.unwrap_or(0).min(MOST);
        let cached = told(self.cached_content_token_count);
        let prompt =
            told(self.prompt_token_count).saturating_add(told(self.tool_use_prompt_token_count));
        let prompt_kinds = self.prompt_tokens_details.unwrap_or_default();
        let output_kinds = self.candidates_tokens_details.unwrap_or_default();
        Some(Usage {
            input: prompt.saturating_sub(cached),
            output: told(self.candidates_token_count)
                .saturating_add(told(self.thoughts_token_count)),
            cache_read: cached,
            cache_write_5m: 0,
            cache_write_1h: 0,
            reasoning: self.thoughts_token_count.map(|count| count.min(MOST)),
            audio_in: prompt_kinds.audio.min(MOST),
            audio_out: output_kinds.audio.min(MOST),
            image_in: prompt_kinds.image.min(MOST),
            image_out: output_kinds.image.min(MOST),
            searches,
        })
    }

    /// The tier that served the request, in OpenAI's words.
    pub(super) fn tier(&self) -> Option<&'static str> {
        match self.service_tier.or(self.traffic_type)? {
            Tier::Default => Some("default"),
            Tier::Flex => Some("flex"),
            Tier::Priority => Some("priority"),
            Tier::Unknown => None,
        }
    }
}

/// Writes `usageMetadata`. Cache writes are part of the prompt; counts of zero are left out but for the three that clients read.
pub(super) fn encode(out: &mut Object<'_>, usage: &Usage, tier: Option<&str>) {
    let Usage {
        input: _,
        output,
        cache_read,
        cache_write_5m: _,
        cache_write_1h: _,
        reasoning,
        audio_in,
        audio_out,
        image_in,
        image_out,
        searches: _,
    } = usage;
    let thoughts = reasoning.unwrap_or(0).min(*output);
    let mut object = out.object("usageMetadata");
    object.u64("promptTokenCount", usage.prompt());
    object.u64("candidatesTokenCount", output - thoughts);
    object.u64("totalTokenCount", usage.total());
    if *cache_read > 0 {
        object.u64("cachedContentTokenCount", *cache_read);
    }
    if reasoning.is_some() {
        object.u64("thoughtsTokenCount", thoughts);
    }
    kinds(
        &mut object,
        "promptTokensDetails",
        usage.prompt(),
        *audio_in,
        *image_in,
    );
    kinds(
        &mut object,
        "candidatesTokensDetails",
        output - thoughts,
        *audio_out,
        *image_out,
    );
    let tier = match tier {
        Some("default") => Some("standard"),
        Some("flex") => Some("flex"),
        Some("priority" | "fast") => Some("priority"),
        Some(_) | None => None,
    };
    object.some_string("serviceTier", tier);
}

fn kinds(object: &mut Object<'_>, key: &str, all: u64, audio: u64, image: u64) {
    if audio == 0 && image == 0 {
        return;
    }
    let text = all.saturating_sub(audio.saturating_add(image));
    let mut list = object.array(key);
    for (modality, tokens) in [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)] {
        if tokens > 0 {
            let mut count = list.object();
            count.string("modality", modality);
            count.u64("tokenCount", tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: Option<(u64, u64, u64, Option<u64>)>) {
        let counts: Counts = serde_json::from_str(json).unwrap();
        let usage = counts.usage(0);
        assert_eq!(
            usage.map(|usage| (usage.input, usage.cache_read, usage.output, usage.reasoning)),
            expect,
            "{json}"
        );
    }

    #[test]
    fn counts_become_the_normal_form() {
        check(
            r#"{"promptTokenCount":120,"cachedContentTokenCount":100,"candidatesTokenCount":8,"thoughtsTokenCount":7,"toolUsePromptTokenCount":5,"totalTokenCount":140}"#,
            Some((25, 100, 15, Some(7))),
        );
        check(
            r#"{"promptTokenCount":9,"totalTokenCount":9}"#,
            Some((9, 0, 0, None)),
        );
        check(r#"{"trafficType":"ON_DEMAND"}"#, None);
        check(
            r#"{"promptTokenCount":null,"candidatesTokenCount":null}"#,
            None,
        );
        check(
            r#"{"promptTokenCount":3,"cachedContentTokenCount":9}"#,
            Some((0, 9, 0, None)),
        );
    }

    #[test]
    fn counts_beyond_reason_do_not_overflow() {
        let json = r#"{"promptTokenCount":18446744073709551615,"cachedContentTokenCount":18446744073709551615,"candidatesTokenCount":18446744073709551615}"#;
        let counts: Counts = serde_json::from_str(json).unwrap();
        assert_eq!(counts.usage(0).map(|usage| usage.total()), Some(2 * MOST));
    }

    #[test]
    fn what_is_written_adds_up() {
        let usage = Usage {
            input: 10,
            output: 15,
            cache_read: 100,
            cache_write_5m: 10,
            reasoning: Some(7),
            image_in: 4,
            ..Usage::default()
        };
        let mut out = Vec::new();
        encode(&mut Object::new(&mut out), &usage, Some("default"));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"usageMetadata":{"promptTokenCount":120,"candidatesTokenCount":8,"totalTokenCount":135,"cachedContentTokenCount":100,"thoughtsTokenCount":7,"promptTokensDetails":[{"modality":"TEXT","tokenCount":116},{"modality":"IMAGE","tokenCount":4}],"serviceTier":"standard"}}"#
        );
    }
}
