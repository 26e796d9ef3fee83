//! Free-form tools as functions with one text, for targets that take functions only; [`crate::restore`] is the way back.

use crate::hub::{CustomFormat, Request, Tool, ToolBody};
use crate::json::{Node, Object};

/// The parameters of the function.
pub(crate) const PARAMETERS: &[u8] =
    br#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// The names of the free-form tools of a request.
pub(crate) fn names(request: &Request) -> Vec<String> {
    let name = |tool: &Tool| match &tool.body {
        ToolBody::Custom { name, .. } => Some(name.clone()),
        ToolBody::Function { .. }
        | ToolBody::WebSearch(_)
        | ToolBody::WebFetch
        | ToolBody::CodeExecution
        | ToolBody::Opaque(_) => None,
    };
    request.tools.iter().filter_map(name).collect()
}

/// The tool's description, and what its text must look like.
pub(crate) fn description(
    description: Option<&str>,
    format: Option<&CustomFormat>,
) -> Option<String> {
    let grammar = format.map(|format| {
        let node = Node::from(&*format.0);
        let fields = node.fields().unwrap_or_default();
        let inner = fields.get("grammar").and_then(|inner| inner.fields().ok());
        let fields = inner.unwrap_or(fields);
        let text = |key: &str| fields.get(key).and_then(Node::text);
        match (text("syntax"), text("definition")) {
            (Some(syntax), Some(definition)) => {
                format!("The text of `input` must follow this {syntax} grammar:\n{definition}")
            }
            _ => format!(
                "The text of `input` must follow this format:\n{}",
                node.raw()
            ),
        }
    });
    match (description, grammar) {
        (Some(description), Some(grammar)) => Some(format!("{description}\n\n{grammar}")),
        (Some(text), None) => Some(text.to_owned()),
        (None, grammar) => grammar,
    }
}

/// The arguments of the function that say this text.
pub(crate) fn arguments(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 12);
    Object::new(&mut out).string("input", text);
    String::from_utf8(out).unwrap_or_default()
}
