//! The form of an answer asked for in words, where a model takes no schema.

use serde_json::value::RawValue;

/// Any JSON object.
pub(crate) fn json() -> String {
    "Answer with one JSON object and nothing else: no Markdown fence, no words around it."
        .to_owned()
}

/// JSON that fits a schema.
pub(crate) fn schema(schema: &RawValue) -> String {
    format!(
        "Answer with JSON that fits this JSON Schema and nothing else: no Markdown fence, no words around it.\n{schema}"
    )
}
