//! Whether an error says that the prompt is too long, and which numbers it names: vendors have a sentence each.

/// Said of a prompt that does not fit, in lower case. Long enough that nothing else is said so.
const SENTENCES: &[&str] = &[
    "context length",
    "context_length",
    "context window",
    "context_window",
    "context limit",
    "context size",
    "context_size",
    "maximum context",
    "prompt is too long",
    "prompt too long",
    "prompt tokens too long",
    "input is too long",
    "input too long",
    "too many tokens",
    "too many input tokens",
    "number of tokens allowed",
    "input token count",
    "prompt token count",
    "input tokens exceed",
    "input length should be",
    "maximum input length",
    "maximum allowed input length",
    "maximum prompt length",
    "maximum model length",
    "max input tokens",
    "max input characters",
    "max_input_length",
    "max_seq_len",
    "max message tokens",
    "model token limit",
    "exceeds the model's max",
    "exceeds the maximum length",
    "exceeds maximum length",
    "exceeds max length",
    "reduce the length of the messages",
    "reduce the length of the prompt",
    "`inputs` must have less than",
    "`inputs` tokens + `max_new_tokens` must be",
    "n_ctx",
    "上下文长度",
    "输入长度",
    "输入过长",
    "prompt 超长",
    "prompt超长",
    "token数量超过上限",
];

/// Said of something else, although one of the sentences is in it.
const OTHERWISE: &[&str] = &[
    "rate limit",
    "too many requests",
    "per minute",
    "per day",
    "throttling",
    "wait before trying again",
    "quota",
    "context window must",
    "image exceeds",
];

/// Whether the message says that the prompt is too long.
pub(super) fn is_said(message: &str) -> bool {
    let text = message.to_lowercase();
    SENTENCES.iter().any(|words| text.contains(words))
        && !OTHERWISE.iter().any(|words| text.contains(words))
}

/// Words before a number that make it the most that fits.
const LIMIT: &[&str] = &[
    "maximum",
    "maximum prompt length",
    "maximum input length",
    "maximum allowed input length",
    "maximum model length",
    "maximum length",
    "maximum context length",
    "max input tokens",
    "max_seq_len",
    "max ",
    "limit",
    "context length",
    "context size",
    "context window",
    "allowed",
    "up to",
    "at most",
    "n_ctx",
    "cannot exceed",
    "less than",
    "fewer than",
    "<=",
    "only",
    ">",
    "上限",
    "最大",
];

/// Words before a number that make it something else.
const OTHER: &[&str] = &[
    "request",
    "requested",
    "resulted",
    "contains",
    "received",
    "given",
    "got",
    "passed",
    "prompt",
    "count",
    "messages",
    "current length",
    "input length",
    "total length",
    "maximum output tokens",
    "number of tokens",
    "n_keep",
    "n_prompt_tokens",
    "prompt_tokens",
    "max_tokens",
    "max_completion_tokens",
    "max_new_tokens",
    "too large",
    "length by",
    "parameter",
    "code",
];

/// How many tokens were asked for and how many the model takes, where the message says both; the first is always the larger.
pub(super) fn tokens(message: &str) -> Option<(u64, u64)> {
    let text = message.to_lowercase();
    let numbers = numbers(&text);
    let mut limit: Option<(u8, u64)> = None;
    let mut before = 0;
    for number in &numbers {
        let lead = text.get(before..number.start).unwrap_or_default();
        let tail = text.get(number.end..).unwrap_or_default();
        before = number.end;
        let certainty = certainty(lead, tail);
        if certainty > limit.map_or(0, |(certainty, _)| certainty) {
            limit = Some((certainty, number.value));
        }
    }
    let limit = match limit {
        Some((_, limit)) => limit,
        // Without a word about either, the larger of two is what was asked for.
        None => match numbers.as_slice() {
            [one, other] if one.value != other.value && one.value.min(other.value) > 255 => {
                one.value.min(other.value)
            }
            _ => return None,
        },
    };
    let mut others = numbers
        .iter()
        .map(|number| number.value)
        .filter(|value| *value != limit);
    if let Some(asked) = others.clone().find(|value| *value > limit) {
        return Some((asked, limit));
    }
    // Prompt and answer apart, neither of them too long by itself.
    let sum = others.next()? + others.next()?;
    (sum > limit).then_some((sum, limit))
}

/// How surely a number is the limit, by what stands around it; 0: it is not.
fn certainty(lead: &str, tail: &str) -> u8 {
    let follows = tail.trim_start_matches([' ', ')']);
    if follows.starts_with("max") || lead.trim_end().ends_with(['>', '≥']) {
        return 2;
    }
    // A word of the sentence before says nothing about this number.
    let lead = lead.rsplit(". ").next().unwrap_or_default();
    let last = |words: &[&str]| {
        let ends = words
            .iter()
            .filter_map(|word| Some(lead.rfind(word)? + word.len()));
        ends.max().unwrap_or(0)
    };
    u8::from(last(LIMIT) > last(OTHER))
}

struct Number {
    start: usize,
    end: usize,
    value: u64,
}

/// The numbers that stand by themselves, `131,072` as one; not those inside of names, identifiers and fractions.
fn numbers(text: &str) -> Vec<Number> {
    /// No context is longer; identifiers are.
    const MOST: u64 = 1_000_000_000;
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !digit(at) {
            at += 1;
            continue;
        }
        let start = at;
        let mut value = 0_u64;
        while digit(at) || bytes.get(at) == Some(&b',') && (1..=3).all(|step| digit(at + step)) {
            if let Some(byte) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
                value = value
                    .saturating_mul(10)
                    .saturating_add(u64::from(byte - b'0'));
            }
            at += 1;
        }
        let word = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-/".contains(byte))
        };
        let joined = word(start.checked_sub(1).and_then(|before| bytes.get(before)))
            || word(bytes.get(at))
            || bytes.get(at) == Some(&b'.') && digit(at + 1);
        let fraction = start > 1 && bytes.get(start - 1) == Some(&b'.') && digit(start - 2);
        if !joined && !fraction && value < MOST {
            found.push(Number {
                start,
                end: at,
                value,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What servers say, and the tokens that they were asked for and take.
    const SAID: &[(&str, Option<(u64, u64)>)] = &[
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. Please reduce the length of the messages.",
            Some((9001, 8192)),
        ),
        (
            "This model's maximum context length is 8192 tokens, however you requested 10346 tokens (10341 in your prompt; 5 for the completion). Please reduce your prompt; or completion length.",
            Some((10346, 8192)),
        ),
        (
            "This model's maximum context length is 6048 tokens. However, you requested 6616 tokens (568 in the messages, 6048 in the completion). Please reduce the length of the messages or completion.",
            Some((6616, 6048)),
        ),
        (
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 280013 tokens. Please reduce the length of the messages.",
            Some((280_013, 272_000)),
        ),
        (
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            None,
        ),
        (
            "prompt is too long: 3333404 tokens > 200000 maximum",
            Some((3_333_404, 200_000)),
        ),
        ("Prompt is too long", None),
        (
            "input length and `max_tokens` exceed context limit: 199000 + 8000 > 200000, decrease input length or `max_tokens` and try again",
            Some((207_000, 200_000)),
        ),
        (
            "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).",
            Some((1_250_074, 1_048_576)),
        ),
        (
            "The input token count exceeds the maximum number of tokens allowed 1048576.",
            None,
        ),
        (
            "Unable to submit request because the input token count is 1196265 but model only supports up to 1048576. Reduce the input token count and try again.",
            Some((1_196_265, 1_048_576)),
        ),
        (
            "This model's maximum context length is 2048 tokens. However, your request has 8 input tokens plus 2045 'max_tokens'. Please reduce one or the other. (parameter=input_tokens, max_tokens, value=(8, 2045))",
            Some((2053, 2048)),
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 16384 tokens and your request has 11462 input tokens (8192 > 16384 - 11462).",
            Some((19654, 16384)),
        ),
        (
            "You passed 40000 input tokens and requested 100 output tokens. However, the model's context length is only 32768 tokens, resulting in a maximum input length of 32668 tokens.",
            Some((40000, 32768)),
        ),
        (
            "The prompt (total length 40000) is too long to fit into the model (context length 32768). Make sure that `max_model_len` is no smaller than the number of text tokens.",
            Some((40000, 32768)),
        ),
        (
            "The decoder prompt (length 40000) is longer than the maximum model length of 32768.",
            Some((40000, 32768)),
        ),
        (
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            Some((537_812, 131_072)),
        ),
        (
            "Please reduce the length of the messages or completion. Current length is 8325 while limit is 8192",
            Some((8325, 8192)),
        ),
        (
            "Please reduce the length of the messages or completion.",
            None,
        ),
        (
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 537812 tokens (529620 of text input, 8192 in the output). Please reduce the length of either one.",
            Some((537_812, 131_072)),
        ),
        (
            "Input length 265330 exceeds the maximum allowed input length of 262144 tokens.",
            Some((265_330, 262_144)),
        ),
        (
            "The input (265330 tokens) is longer than the model's context length (262144 tokens).",
            Some((265_330, 262_144)),
        ),
        (
            "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 512 `max_new_tokens`",
            Some((9000, 8193)),
        ),
        (
            "`inputs` must have less than 1024 tokens. Given: 5000",
            Some((5000, 1024)),
        ),
        (
            "Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of 40000 tokens: 32000 tokens from the input messages and 8000 tokens for the completion.",
            Some((40000, 32768)),
        ),
        (
            "prompt token count of 145000 exceeds the limit of 128000",
            Some((145_000, 128_000)),
        ),
        (
            "the request exceeds the available context size, try increasing it",
            None,
        ),
        (
            "the request exceeds the available context size, try increasing it (n_prompt_tokens: 6600, n_ctx: 4096)",
            Some((6600, 4096)),
        ),
        (
            "request (6600 tokens) exceeds the available context size (4096 tokens), try increasing it",
            Some((6600, 4096)),
        ),
        (
            "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 5000>= n_ctx: 4096). Try to load the model with a larger context length",
            Some((5000, 4096)),
        ),
        (
            "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.",
            Some((5000, 4096)),
        ),
        (
            "prompt too long; exceeded max context length by 1119046 tokens (ref: 96164522-08b2-4cbf-886e-e5a38961a688)",
            None,
        ),
        ("invalid params, context window exceeds limit (2013)", None),
        (
            "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)",
            Some((300_000, 262_144)),
        ),
        (
            "Prompt contains 300000 tokens, too large for model with 131072 maximum context length",
            Some((300_000, 131_072)),
        ),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            Some((40000, 32768)),
        ),
        (
            "Prompt has 300,000 tokens, but the configured context size is 131,072 tokens",
            Some((300_000, 131_072)),
        ),
        ("model_context_window_exceeded", None),
        ("Prompt exceeds max length", None),
        (
            "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]",
            None,
        ),
        (
            "Too many input tokens. Max input tokens: 8192, request input token count: 9279",
            Some((9279, 8192)),
        ),
        ("Input is too long for requested model.", None),
        (
            "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try again.",
            None,
        ),
        (
            "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 150000. Try using a shorter prompt.",
            Some((150_000, 128_000)),
        ),
        (
            "The prompt is too long: 200000, model maximum context length: 131071",
            Some((200_000, 131_071)),
        ),
        (
            "Total tokens of image and text exceed max message tokens. Request id: 02175000000000",
            None,
        ),
        (
            "Input length 137892 exceeds the maximum length 131072. Request id: 021750000000001",
            Some((137_892, 131_072)),
        ),
        (
            "length of prompt_tokens (40000) must be less than max_seq_len (32768).",
            Some((40000, 32768)),
        ),
        (
            "The estimated number of input and maximum output tokens (30000) exceeded this model context window limit (24000).",
            Some((30000, 24000)),
        ),
        (
            "Prompt length (40000) exceeds maximum input length (32768).",
            Some((40000, 32768)),
        ),
        ("the max input characters is 20480", None),
    ];

    #[test]
    fn every_sentence_is_known_and_its_numbers_are_told_apart() {
        for (sentence, expect) in SAID {
            assert!(is_said(sentence), "{sentence}");
            assert_eq!(tokens(sentence), *expect, "{sentence}");
        }
    }

    #[test]
    fn other_complaints_about_tokens_are_not_about_the_prompt() {
        for sentence in [
            "Too many tokens, please wait before trying again.",
            "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 5000.",
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.",
            "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens",
            "messages.0.content.0.image.source.base64: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes",
            "Invalid 'input[0].id': string too long. Expected a string with maximum length 64, but got a string with length 100 instead.",
            "Tool call arguments are not JSON",
            "You exceeded your current quota of input tokens, please check your plan; input token count limit: 0",
        ] {
            assert!(!is_said(sentence), "{sentence}");
        }
    }
}
