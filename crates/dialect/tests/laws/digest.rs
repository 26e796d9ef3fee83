//! What an answer means, without the form that carried it.

use lingate_dialect::hub::{PartBody, Response};
use serde_json::Value;

/// What each choice says, part by part, and how it ended. Neighbouring texts are joined; without `ordered`, all texts of a choice
/// are, for dialects that do not keep the order of texts, reasoning and calls.
pub(crate) fn digest(response: &Response, ordered: bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for choice in &response.choices {
        let mut own: Vec<(&str, String)> = Vec::new();
        for part in &choice.parts {
            let (kind, more) = match &part.body {
                PartBody::Text(text) => ("text", text.text.clone()),
                PartBody::Reasoning(thought) => ("reasoning", thought.text.clone()),
                PartBody::Refusal(text) => ("refusal", text.clone()),
                PartBody::ToolCall(call) => {
                    let arguments = if call.custom {
                        call.arguments.clone()
                    } else {
                        normal(&call.arguments)
                    };
                    ("call", format!("{} {arguments}", call.name))
                }
                PartBody::Media(media) => ("media", format!("{:?} {:?}", media.kind, media.source)),
                PartBody::Opaque(opaque) => ("opaque", opaque.kind.clone()),
                PartBody::ToolResult(result) => ("result", format!("{result:?}")),
            };
            let grows = matches!(kind, "text" | "reasoning" | "refusal");
            let before = if ordered {
                own.last_mut().filter(|(before, _)| *before == kind)
            } else {
                own.iter_mut().find(|(before, _)| *before == kind)
            };
            match before {
                Some((_, text)) if grows => text.push_str(&more),
                _ if more.is_empty() => {}
                _ => own.push((kind, more)),
            }
        }
        if !ordered {
            own.sort_by_key(|(kind, _)| *kind);
        }
        lines.push(format!("choice {}", choice.index));
        lines.extend(own.into_iter().map(|(kind, text)| format!("{kind} {text}")));
        lines.push(format!("finish {:?}", choice.finish.reason));
    }
    lines
}

/// Whether some tool call has arguments that are no JSON object, as answers that were cut short do.
pub(crate) fn has_broken_call(response: &Response) -> bool {
    let mut parts = response.choices.iter().flat_map(|choice| &choice.parts);
    parts.any(|part| match &part.body {
        PartBody::ToolCall(call) => {
            let read = serde_json::from_str::<Value>(&normal(&call.arguments));
            !call.custom && !read.is_ok_and(|arguments| arguments.is_object())
        }
        _ => false,
    })
}

/// The same JSON in one spelling.
fn normal(json: &str) -> String {
    match serde_json::from_str::<Value>(json) {
        Ok(value) => value.to_string(),
        Err(_) if json.trim().is_empty() => "{}".to_owned(),
        Err(_) => json.to_owned(),
    }
}
