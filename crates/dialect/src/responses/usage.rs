//! Usage: OpenAI counts cached tokens within `input_tokens`, and reasoning within `output_tokens`.

use crate::hub::Usage;
use crate::json::{Fields, Node, Object};

/// More than any answer uses, and little enough that sums never overflow.
const MOST: u64 = 1 << 48;

/// Reads `usage`; what is no object tells nothing.
pub(super) fn read(usage: Node<'_>) -> Option<Usage> {
    let fields = usage.fields().ok()?;
    let inner = |keys: [&str; 2]| {
        let mut found = keys
            .into_iter()
            .filter_map(|key| fields.get(key)?.fields().ok());
        found.next().unwrap_or_default()
    };
    // Some servers use the words of Chat.
    let prompt = inner(["input_tokens_details", "prompt_tokens_details"]);
    let completion = inner(["output_tokens_details", "completion_tokens_details"]);
    let mut input = count(&fields, &["input_tokens", "prompt_tokens"]).unwrap_or(0);
    let mut output = count(&fields, &["output_tokens", "completion_tokens"]).unwrap_or(0);
    let reasoning = count(&completion, &["reasoning_tokens"]);
    if let Some(total) = count(&fields, &["total_tokens"]) {
        if input == 0 && output == 0 {
            input = total;
        }
        // Who bills more in all than the two sums leaves the reasoning out of one.
        let beyond = total.saturating_sub(input + output);
        if beyond > 0 && Some(beyond) == reasoning {
            output += beyond;
        }
    }
    let cache_read = count(&prompt, &["cached_tokens"])
        .or_else(|| count(&fields, &["input_cached_tokens", "cached_tokens"]))
        .unwrap_or(0)
        .min(input);
    let written = count(&prompt, &["cache_write_tokens"])
        .unwrap_or(0)
        .min(input - cache_read);
    let split = prompt
        .get("cache_write_tokens_details")
        .and_then(|split| split.fields().ok())
        .unwrap_or_default();
    let long = count(&split, &["ttl_12h_tokens"]).unwrap_or(0).min(written);
    Some(Usage {
        input: input - cache_read - written,
        output,
        cache_read,
        cache_write_5m: written - long,
        cache_write_1h: long,
        reasoning: reasoning.map(|reasoning| reasoning.min(output)),
        audio_in: count(&prompt, &["audio_tokens"]).unwrap_or(0),
        audio_out: count(&completion, &["audio_tokens"]).unwrap_or(0),
        image_in: count(&prompt, &["image_tokens"]).unwrap_or(0),
        image_out: count(&completion, &["image_tokens"]).unwrap_or(0),
        searches: 0,
    })
}

/// Searches that a response object tells of: as `tool_usage` counts them; where it is not there, the calls in `output`.
pub(super) fn searches(response: &Fields<'_>) -> u64 {
    let counted = || {
        let tools = response.get("tool_usage")?.fields().ok()?;
        count(&tools.get("web_search")?.fields().ok()?, &["num_requests"])
    };
    let called = || {
        let items = response.get("output")?.elements().ok()?;
        let items = items.into_iter().filter(|item| is_search(*item));
        u64::try_from(items.count()).ok()
    };
    counted().or_else(called).unwrap_or(0)
}

/// Whether an item is a search of the web, which is billed; opening a page and looking for words in it are the same tool and are not.
pub(super) fn is_search(item: Node<'_>) -> bool {
    let read = || {
        let fields = item.fields().ok()?;
        let kind = fields.get("type").and_then(Node::text)?;
        let action = fields.get("action").and_then(|action| {
            let action = action.fields().ok()?;
            action.get("type").and_then(Node::text)
        });
        let searched = action.is_none_or(|action| action == "search");
        Some(kind == "web_search_call" && searched)
    };
    read().unwrap_or(false)
}

fn count(fields: &Fields<'_>, keys: &[&str]) -> Option<u64> {
    let told = keys.iter().find_map(|key| fields.get(key)?.u64());
    told.map(|count| count.min(MOST))
}

/// Every count that clients' types demand is there.
pub(super) fn write(mut object: Object<'_>, usage: &Usage) {
    object.u64("input_tokens", usage.prompt());
    {
        let mut details = object.object("input_tokens_details");
        details.u64("cached_tokens", usage.cache_read);
        details.u64("cache_write_tokens", usage.cache_write());
        if usage.cache_write_1h > 0 {
            let mut split = details.object("cache_write_tokens_details");
            split.u64("ttl_30m_tokens", usage.cache_write_5m);
            split.u64("ttl_12h_tokens", usage.cache_write_1h);
        }
        told(&mut details, "audio_tokens", usage.audio_in);
        told(&mut details, "image_tokens", usage.image_in);
    }
    object.u64("output_tokens", usage.output);
    {
        let mut details = object.object("output_tokens_details");
        details.u64("reasoning_tokens", usage.reasoning.unwrap_or(0));
        told(&mut details, "audio_tokens", usage.audio_out);
        told(&mut details, "image_tokens", usage.image_out);
    }
    object.u64("total_tokens", usage.total());
}

fn told(object: &mut Object<'_>, key: &str, count: u64) {
    object.some_u64(key, Some(count).filter(|count| *count > 0));
}

/// `tool_usage`, which also counts images.
pub(super) fn write_searches(mut object: Object<'_>, searches: u64) {
    {
        let mut images = object.object("image_gen");
        images.u64("input_tokens", 0);
        {
            let mut details = images.object("input_tokens_details");
            details.u64("image_tokens", 0);
            details.u64("text_tokens", 0);
        }
        images.u64("output_tokens", 0);
        images.u64("total_tokens", 0);
    }
    object.object("web_search").u64("num_requests", searches);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_counted_where_no_number_is_told() {
        let check = |rest: &str, expect: u64| {
            let body = format!(
                r#"{{"id":"r","status":"completed","usage":{{"input_tokens":1,"output_tokens":1}},"output":[{{"type":"web_search_call","id":"1","action":{{"type":"search","query":"q"}}}},
                    {{"type":"web_search_call","id":"2"}},{{"type":"web_search_call","id":"3","action":{{"type":"open_page","url":"u"}}}}]{rest}}}"#
            );
            let whole = crate::responses::response::decode(body.as_bytes()).unwrap();
            assert_eq!(whole.usage.unwrap().searches, expect, "{rest}");
        };
        check("", 2);
        check(r#","tool_usage":null"#, 2);
        check(r#","tool_usage":{"web_search":{"num_requests":5}}"#, 5);
        check(r#","tool_usage":{"web_search":{"num_requests":0}}"#, 0);
    }

    #[test]
    fn counts_come_to_one_form_and_back() {
        let check = |json: &str, expect: Usage| {
            let usage = read(Node::parse(json.as_bytes()).unwrap()).unwrap();
            assert_eq!(usage, expect, "{json}");
            let mut out = Vec::new();
            write(Object::new(&mut out), &usage);
            let again = read(Node::parse(&out).unwrap()).unwrap();
            let expect = Usage {
                reasoning: Some(expect.reasoning.unwrap_or(0)),
                ..expect
            };
            assert_eq!(again, expect, "{json}");
        };
        let plain = Usage {
            input: 7,
            output: 5,
            ..Usage::default()
        };
        check(
            r#"{"input_tokens":7,"output_tokens":5,"total_tokens":12}"#,
            plain,
        );
        check(r#"{"prompt_tokens":7,"completion_tokens":5}"#, plain);
        check(
            r#"{"input_tokens":7,"output_tokens":5,"input_tokens_details":null}"#,
            plain,
        );
        check(
            r#"{"input_tokens":20,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":4,"cache_write_tokens_details":{"ttl_30m_tokens":1,"ttl_12h_tokens":3}},
                "output_tokens":9,"output_tokens_details":{"reasoning_tokens":6},"total_tokens":29}"#,
            Usage {
                input: 8,
                output: 9,
                cache_read: 8,
                cache_write_5m: 1,
                cache_write_1h: 3,
                reasoning: Some(6),
                ..Usage::default()
            },
        );
        check(
            r#"{"input_tokens":20,"output_tokens":9,"output_tokens_details":{"reasoning_tokens":6},"total_tokens":35}"#,
            Usage {
                input: 20,
                output: 15,
                reasoning: Some(6),
                ..Usage::default()
            },
        );
        check(
            r#"{"input_tokens":3,"output_tokens":1,"input_tokens_details":{"cached_tokens":9}}"#,
            Usage {
                output: 1,
                cache_read: 3,
                ..Usage::default()
            },
        );
    }
}
