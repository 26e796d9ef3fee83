//! How an answer ended: `stop_reason`, `stop_sequence` and `stop_details`.

use crate::hub::{Finish, FinishReason};
use crate::json::{Node, Object};

/// Reads an ending. `calls`: the answer holds calls of the client's tools.
pub(super) fn read(
    reason: Option<&str>,
    stop_sequence: Option<String>,
    details: Option<Node<'_>>,
    calls: bool,
) -> Finish {
    let (said, category) = match reason {
        Some("end_turn" | "tool_use") | None => (FinishReason::Stop, None),
        Some("stop_sequence") => (FinishReason::StopSequence, None),
        Some("max_tokens") => (FinishReason::Length, None),
        Some("model_context_window_exceeded") => (FinishReason::ContextExceeded, None),
        Some("pause_turn") => (FinishReason::Pause, None),
        Some("compaction") => (FinishReason::Pause, Some("compaction".to_owned())),
        Some("refusal") => (FinishReason::Refusal, None),
        Some(other) => (FinishReason::Stop, Some(other.to_owned())),
    };
    let details = details.and_then(|details| details.fields().ok());
    let detail = |key: &str| {
        let text = details.as_ref()?.get(key)?.text();
        text.map(std::borrow::Cow::into_owned)
    };
    Finish {
        // The blocks tell whether a tool is called, not the word.
        reason: if calls && said == FinishReason::Stop {
            FinishReason::ToolCalls
        } else {
            said
        },
        stop_sequence,
        message: detail("explanation"),
        category: detail("category").or(category),
    }
}

/// Categories of refusals that the clients' types know.
const CATEGORIES: [&str; 5] = [
    "cyber",
    "bio",
    "frontier_llm",
    "reasoning_extraction",
    "general_harms",
];

/// Writes an ending. `calls`: a `tool_use` block was written; `refused`: a refusal in words was.
pub(super) fn write(object: &mut Object<'_>, finish: &Finish, calls: bool, refused: bool) {
    let reason = match finish.reason {
        FinishReason::Stop | FinishReason::ToolCalls if calls => "tool_use",
        FinishReason::Stop if refused => "refusal",
        FinishReason::Stop | FinishReason::ToolCalls => "end_turn",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Length | FinishReason::Continuation => "max_tokens",
        FinishReason::ContextExceeded => "model_context_window_exceeded",
        FinishReason::Pause => "pause_turn",
        // Of all words only this one tells a client that what it got is no answer.
        FinishReason::ContentFilter | FinishReason::Refusal | FinishReason::Error => "refusal",
    };
    object.string("stop_reason", reason);
    match finish
        .stop_sequence
        .as_deref()
        .filter(|_| reason == "stop_sequence")
    {
        Some(sequence) => object.string("stop_sequence", sequence),
        None => object.null("stop_sequence"),
    }
    if reason != "refusal" {
        return;
    }
    let category = finish.category.as_deref();
    let known = category.filter(|category| CATEGORIES.contains(category));
    let explanation = finish
        .message
        .as_deref()
        .or(category.filter(|_| known.is_none()));
    let mut details = object.object("stop_details");
    details.string("type", "refusal");
    match known {
        Some(category) => details.string("category", category),
        None => details.null("category"),
    }
    match explanation {
        Some(explanation) => details.string("explanation", explanation),
        None => details.null("explanation"),
    }
}
