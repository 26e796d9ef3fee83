//! What an answer means, without the form that carried it.

use lingate_dialect::arrange::{MidSystem, Rules, arrange};
use lingate_dialect::hub::{
    Media, Output, PartBody, Request, Response, Source, ToolBody, ToolChoice,
};
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

/// What a request asks for, as every dialect can say it: proofs, cache marks, strictness, names of schemas and the like are left
/// out. The conversation is arranged as strict dialects have it; calls are named by their order; neighbouring texts are one,
/// without white space, the marks around a document's text, and the `.` that stands for a first word from the user where a
/// dialect wants one.
pub(crate) fn request_digest(request: &Request) -> Vec<String> {
    let rules = Rules {
        mid_system: MidSystem::User,
        spell_id: |id| id.into(),
    };
    let turns = match arrange(&request.turns, &rules) {
        Ok(turns) => turns,
        Err(refusal) => return vec![refusal.message],
    };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(request.system.iter().map(|part| said(&part.body)));
    let mut calls: Vec<String> = Vec::new();
    for placed in turns.iter().flat_map(|turn| &turn.parts) {
        lines.push(match &placed.part.body {
            PartBody::ToolCall(call) => {
                calls.push(placed.id.clone());
                format!("call {} {}", call.name, normal(&call.arguments))
            }
            PartBody::ToolResult(result) => {
                let number = calls.iter().position(|id| *id == placed.id);
                let mut parts: Vec<String> =
                    result.parts.iter().map(|part| said(&part.body)).collect();
                // Media stand beside the text in some dialects.
                parts.sort_by_key(|part| part.starts_with("say "));
                format!("result {number:?} {}", parts.concat().replace("say ", ""))
            }
            body => said(body),
        });
    }
    lines.retain(|line| !line.is_empty() && line != "say .");
    lines.dedup_by(|next, line| {
        let more = next
            .strip_prefix("say ")
            .filter(|_| line.starts_with("say "));
        more.inspect(|more| line.push_str(more)).is_some()
    });
    // To allow some tools is to declare no others.
    let (allowed, choice) = match &request.tool_choice {
        Some(ToolChoice::Allowed { required, names }) => (
            Some(names.as_slice()),
            required.then_some(&ToolChoice::Required),
        ),
        Some(ToolChoice::Tool(name)) => (
            Some(std::slice::from_ref(name)),
            Some(&ToolChoice::Required),
        ),
        Some(ToolChoice::Auto) | None => (None, None),
        choice @ Some(ToolChoice::None | ToolChoice::Required) => (None, choice.as_ref()),
    };
    let mut tools: Vec<String> = Vec::new();
    for tool in &request.tools {
        if let ToolBody::Function {
            name, description, ..
        } = &tool.body
            && allowed.is_none_or(|names| names.contains(name))
        {
            let description = description.as_deref().unwrap_or_default();
            tools.push(format!("tool {name} {description}"));
        }
    }
    tools.sort();
    lines.append(&mut tools);
    lines.push(format!("{choice:?} {:?}", request.stop));
    let sampling = &request.sampling;
    lines.push(format!("{:?} {:?}", sampling.temperature, sampling.top_p));
    lines.push(match &request.output {
        Output::Text => "text".to_owned(),
        Output::Json => "json".to_owned(),
        // The words of an enumeration are a schema too.
        Output::Schema { .. } | Output::Enum { .. } => "schema".to_owned(),
    });
    lines
}

fn said(body: &PartBody) -> String {
    let text = match body {
        PartBody::Text(text) => &text.text,
        PartBody::Refusal(text)
        | PartBody::Media(Media {
            source: Source::Text(text),
            ..
        }) => text,
        PartBody::Media(media) => return format!("{:?}", media.source),
        PartBody::ToolCall(_)
        | PartBody::ToolResult(_)
        | PartBody::Reasoning(_)
        | PartBody::Opaque(_) => return String::new(),
    };
    let mut text: String = text.split_whitespace().collect();
    while let Some((before, mark)) = text.split_once("<document")
        && let Some((_, after)) = mark.split_once('>')
    {
        text = format!("{before}{after}");
    }
    format!("say {}", text.replace("</document>", ""))
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
