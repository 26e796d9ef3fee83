//! Law 7: what was used never becomes less within a stream, and is what the provider counted.

use lingate_dialect::DialectId;
use lingate_dialect::hub::{Event, Usage};
use serde_json::Value;

use crate::breaches::Breaches;
use crate::events;
use crate::fixtures::{Kind, samples};

/// Prompt and output tokens in the provider's own words; where they do not add up to its total, only that counts.
fn counted(dialect: DialectId, answer: &Value, usage: Usage) -> Option<(u64, u64)> {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    match dialect {
        DialectId::Responses => {
            let usage = &answer["usage"];
            Some((
                usage["input_tokens"].as_u64()?,
                usage["output_tokens"].as_u64()?,
            ))
        }
        DialectId::Chat => {
            let told = &answer["usage"];
            let prompt = told["prompt_tokens"].as_u64()?;
            let completion = told["completion_tokens"].as_u64()?;
            // xAI leaves reasoning out of `completion_tokens`, Mistral sounds out of `prompt_tokens`.
            match told["total_tokens"].as_u64() {
                Some(total) if total > prompt + completion => Some((
                    total.saturating_sub(usage.output),
                    total.saturating_sub(usage.prompt()),
                )),
                _ => Some((prompt, completion)),
            }
        }
        DialectId::Messages => {
            let usage = &answer["usage"];
            let cached = count(&usage["cache_read_input_tokens"])
                + count(&usage["cache_creation_input_tokens"]);
            Some((
                usage["input_tokens"].as_u64()? + cached,
                usage["output_tokens"].as_u64()?,
            ))
        }
        DialectId::Gemini => {
            let usage = &answer["usageMetadata"];
            let prompt = usage["promptTokenCount"].as_u64()?;
            let output =
                count(&usage["candidatesTokenCount"]) + count(&usage["thoughtsTokenCount"]);
            Some((prompt + count(&usage["toolUsePromptTokenCount"]), output))
        }
    }
}

#[test]
fn whole_answers_used_what_the_provider_counted() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Response) {
        let Ok(response) = sample.dialect.dialect().decode_response(&sample.body) else {
            continue;
        };
        let answer: Value = serde_json::from_slice(&sample.body).unwrap();
        let usage = response.usage.unwrap_or_default();
        let Some(expect) = counted(sample.dialect, &answer, usage) else {
            continue;
        };
        let told = answer["usage"].to_string();
        breaches.same(
            &(usage.prompt(), usage.output),
            &expect,
            &sample.name,
            &told,
        );
    }
    breaches.settle();
}

#[test]
fn output_never_falls_within_a_stream() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Stream) {
        let dialect = sample.dialect.dialect();
        let Ok((events, _)) = events::decode(dialect, sample.framing(), &sample.body) else {
            continue;
        };
        let told = events.iter().filter_map(|event| match event {
            Event::Usage(usage) => Some(*usage),
            _ => None,
        });
        let mut last = Usage::default();
        for usage in told {
            // Google corrects its count of the prompt, up or down.
            if usage.output < last.output || sample.own && usage.prompt() < last.prompt() {
                breaches.push(&sample.name, &format!("{usage:?} after {last:?}"));
            }
            last = usage;
        }
    }
    breaches.settle();
}
