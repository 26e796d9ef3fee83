//! The text of every answer: the same on both sides, and awkward on purpose.

/// Quotes, escapes, line feeds and characters of one to four bytes: what careless JSON or SSE handling breaks.
const TOKENS: &[&str] = &[
    "The",
    " gateway",
    " receives",
    " a",
    " request",
    ",",
    " reads",
    " its",
    " model",
    " name",
    " and",
    " forwards",
    " it",
    ".",
    "\n\n",
    "```json\n",
    "{\"key\"",
    ": \"va",
    "lue\\n\"}",
    "\n```",
    " For",
    " naïve",
    " café",
    " 🚀",
    " 你好",
    "，",
    " пр",
    "<b>",
    "&amp;",
    "</b>",
    " it's",
    " \"quoted\"",
    "\t",
    "1",
    "2",
    "3",
    ".",
    "14",
    " —",
    " done",
    " with",
    " latency",
    " below",
    " one",
    " hundred",
    " micro",
    "seconds",
    "/",
    "req",
    "👩\u{200d}💻",
    ";",
    " memory",
    " stays",
    " flat",
    " under",
    " load",
    "\r\n",
    " [link](http://localhost)",
    " \\path",
    " end",
];

pub fn token(index: usize) -> &'static str {
    TOKENS[index % TOKENS.len()]
}

/// The text of a stream of so many content events.
pub fn of_events(count: usize) -> String {
    (0..count).map(token).collect()
}

/// A text that makes a whole answer about `bytes` long; the fields around it take some 520.
pub fn of_answer(bytes: usize) -> String {
    at_least(bytes.saturating_sub(520).max(16))
}

/// Tokens in order until they are `bytes` long.
pub fn at_least(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 32);
    for index in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(token(index));
    }
    text
}
