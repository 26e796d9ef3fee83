//! Fields of a request that an upstream refuses: which ones its error names, and the request without them.

mod named;
mod strip;

pub use named::named;
pub use strip::strip;

use crate::{Dialect, Encoded, Losses, Quirks, TextIs};

/// Leaves out and renames what the quirks say, and notes how the answer is to be read.
pub(crate) fn obey(encoded: &mut Encoded, of: &dyn Dialect, quirks: &Quirks, losses: &mut Losses) {
    if quirks.think_tags && encoded.tools.text_is == TextIs::Text {
        encoded.tools.text_is = TextIs::Tagged;
    }
    if quirks.refuses.0.is_empty() && quirks.renames.0.is_empty() {
        return;
    }
    let refused = quirks.refuses.0.iter().map(Unwanted::field);
    let renamed = quirks.renames.0.iter().map(|(from, to)| Unwanted {
        instead: Some(to.clone()),
        ..Unwanted::field(from)
    });
    let fields: Vec<Unwanted> = refused.chain(renamed).collect();
    let body = std::mem::take(&mut encoded.body);
    encoded.body = strip(
        body,
        of,
        &fields,
        "dropped: this upstream does not take it",
        losses,
    );
}

/// A field that one upstream refuses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unwanted {
    /// Its place in the upstream's dialect: `temperature`, `messages.*.name`; `*` is any element of an array and any field.
    pub path: String,
    /// Refused with this value only (JSON text); `None`: with any.
    pub value: Option<String>,
    /// The name under which the upstream wants it instead; a field that is renamed is not lost.
    pub instead: Option<String>,
    /// Refused beside something else of this request: other requests may have it.
    pub passing: bool,
}

impl Unwanted {
    /// A field that is refused whatever its value.
    pub fn field(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            value: None,
            instead: None,
            passing: false,
        }
    }
}

/// Fields without which there is no request, or another one: they are never left out.
fn is_essential(segments: &[&str]) -> bool {
    const TOP: [&str; 17] = [
        "model",
        "messages",
        "contents",
        "input",
        "prompt",
        "instructions",
        "system",
        "systemInstruction",
        "stream",
        "tools",
        "functions",
        "generationConfig",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "previous_response_id",
        "conversation",
    ];
    const INNER: [&str; 27] = [
        "role",
        "content",
        "type",
        "text",
        "tool_calls",
        "tool_call_id",
        "tool_use_id",
        "id",
        "call_id",
        "function",
        "arguments",
        "args",
        "input",
        "output",
        "parts",
        "functionCall",
        "functionResponse",
        "functionDeclarations",
        "parameters",
        "parametersJsonSchema",
        "input_schema",
        "image_url",
        "source",
        "data",
        "inlineData",
        "fileData",
        "properties",
    ];
    match segments {
        [] | [.., "*"] => true,
        [top] => TOP.contains(top),
        ["messages", "*", "name"] => false,
        // The names of tools, and what a schema describes by the same words.
        [.., "name"] => true,
        [.., last] => INNER.contains(last),
    }
}
