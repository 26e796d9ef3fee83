//! Usage: Anthropic counts the uncached prompt alone as `input_tokens`, and thinking within `output_tokens`.

use crate::hub::{Served, Usage};
use crate::json::{Node, Object};

/// More than any answer uses, and little enough that sums never overflow.
const MOST: u64 = 1 << 48;

/// The counts told so far. A later one replaces an earlier one, unless it is absent or `null`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    thinking: Option<u64>,
    searches: Option<u64>,
}

impl Tally {
    pub(super) fn merge(&mut self, usage: Node<'_>) {
        let Ok(fields) = usage.fields() else { return };
        let take = |place: &mut Option<u64>, node: Option<Node<'_>>| {
            if let Some(count) = node.and_then(Node::u64) {
                *place = Some(count.min(MOST));
            }
        };
        let inner = |key: &str, name: &str| fields.get(key)?.fields().ok()?.get(name);
        take(&mut self.input, fields.get("input_tokens"));
        take(&mut self.output, fields.get("output_tokens"));
        take(&mut self.cache_read, fields.get("cache_read_input_tokens"));
        take(
            &mut self.cache_write,
            fields.get("cache_creation_input_tokens"),
        );
        take(
            &mut self.cache_write_5m,
            inner("cache_creation", "ephemeral_5m_input_tokens"),
        );
        take(
            &mut self.cache_write_1h,
            inner("cache_creation", "ephemeral_1h_input_tokens"),
        );
        take(
            &mut self.thinking,
            inner("output_tokens_details", "thinking_tokens"),
        );
        take(
            &mut self.searches,
            inner("server_tool_use", "web_search_requests"),
        );
    }

    pub(super) fn usage(&self) -> Usage {
        let split = (
            self.cache_write_5m.unwrap_or(0),
            self.cache_write_1h.unwrap_or(0),
        );
        let written = self.cache_write.unwrap_or(split.0 + split.1);
        // The total is the newer count of the two: in streams it comes without its split.
        let hour = split.1.min(written);
        Usage {
            input: self.input.unwrap_or(0),
            output: self.output.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write_5m: written - hour,
            cache_write_1h: hour,
            reasoning: self.thinking,
            searches: self.searches.unwrap_or(0),
            ..Usage::default()
        }
    }
}

/// The tier that served the answer, in OpenAI's words.
pub(super) fn tier(usage: Node<'_>) -> Option<String> {
    let word = match usage.fields().ok()?.get("service_tier")?.text()?.as_ref() {
        "standard" => "default",
        "priority" => "priority",
        "batch" => "batch",
        _ => return None,
    };
    Some(word.to_owned())
}

/// Where and how fast the answer was made, as far as `usage` tells (`inference_geo`, `speed`).
pub(super) fn served(usage: Node<'_>) -> Served {
    let fields = usage.fields().unwrap_or_default();
    let word = |key: &str| {
        let word = fields.get(key).and_then(Node::text)?;
        Some(word.into_owned()).filter(|word| word != "not_available")
    };
    Served {
        region: word("inference_geo"),
        speed: word("speed"),
    }
}

/// The counts that stand in a message and in `message_delta` alike.
pub(super) fn write(object: &mut Object<'_>, usage: &Usage) {
    object.u64("input_tokens", usage.input);
    object.u64("cache_creation_input_tokens", usage.cache_write());
    object.u64("cache_read_input_tokens", usage.cache_read);
    object.u64("output_tokens", usage.output);
    if let Some(thinking) = usage.reasoning {
        object
            .object("output_tokens_details")
            .u64("thinking_tokens", thinking);
    }
    if usage.searches > 0 {
        let mut server = object.object("server_tool_use");
        server.u64("web_search_requests", usage.searches);
        server.u64("web_fetch_requests", 0);
    }
}

/// What a message tells beyond [`write`].
pub(super) fn write_split(object: &mut Object<'_>, usage: &Usage, tier: Option<&str>) {
    let mut split = object.object("cache_creation");
    split.u64("ephemeral_5m_input_tokens", usage.cache_write_5m);
    split.u64("ephemeral_1h_input_tokens", usage.cache_write_1h);
    drop(split);
    match tier {
        Some("default") => object.string("service_tier", "standard"),
        Some(tier @ ("priority" | "batch")) => object.string("service_tier", tier),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each text is one `usage`, in order; `expect` is what is written of the sum.
    fn check(told: &[&str], expect: &str) {
        let mut tally = Tally::default();
        for usage in told {
            tally.merge(Node::parse(usage.as_bytes()).unwrap());
        }
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        write(&mut object, &tally.usage());
        write_split(&mut object, &tally.usage(), None);
        drop(object);
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn later_counts_replace_earlier_ones() {
        check(
            &[
                r#"{"input_tokens":10,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}"#,
                r#"{"input_tokens":null,"cache_creation_input_tokens":25,"cache_read_input_tokens":7,"output_tokens":15,"output_tokens_details":{"thinking_tokens":4},"server_tool_use":{"web_search_requests":2}}"#,
            ],
            r#"{"input_tokens":10,"cache_creation_input_tokens":25,"cache_read_input_tokens":7,"output_tokens":15,"output_tokens_details":{"thinking_tokens":4},"server_tool_use":{"web_search_requests":2,"web_fetch_requests":0},"cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":20}}"#,
        );
        check(
            &[r#"{"input_tokens":18446744073709551615,"output_tokens":-1,"cache_creation":"x"}"#],
            r#"{"input_tokens":281474976710656,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}}"#,
        );
    }
}
