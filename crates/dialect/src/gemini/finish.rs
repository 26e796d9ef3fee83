//! How an answer ended, both ways (protocols.md §3.9).

use crate::hub::{Finish, FinishReason};
use crate::{ApiError, ErrorKind};

use super::chunk::NameOrNumber;

/// What a `finishReason` stands for, before the answer is known to hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Stop,
    Length,
    Filtered,
    Continuation,
    /// The model gave up: an ordinary end when something was said, a failure when nothing was.
    GaveUp,
    /// The model broke its own rules.
    Failed,
    Unspecified,
}

/// The name of a reason. Numbers are Vertex's.
pub(super) fn name<'a>(reason: &'a NameOrNumber<'_>) -> &'a str {
    match reason {
        NameOrNumber::Name(name) => name,
        NameOrNumber::Number(number) => match number {
            0 => "FINISH_REASON_UNSPECIFIED",
            1 => "STOP",
            2 => "MAX_TOKENS",
            3 => "SAFETY",
            4 => "RECITATION",
            6 => "BLOCKLIST",
            7 => "PROHIBITED_CONTENT",
            8 => "SPII",
            9 => "MALFORMED_FUNCTION_CALL",
            10 => "MODEL_ARMOR",
            11 => "IMAGE_SAFETY",
            12 => "IMAGE_PROHIBITED_CONTENT",
            13 => "IMAGE_RECITATION",
            14 => "IMAGE_OTHER",
            15 => "UNEXPECTED_TOOL_CALL",
            16 => "NO_IMAGE",
            _ => "OTHER",
        },
    }
}

/// The name of a `blockReason`. Numbers are Vertex's.
pub(super) fn block_name<'a>(reason: &'a NameOrNumber<'_>) -> &'a str {
    match reason {
        NameOrNumber::Name(name) => name,
        NameOrNumber::Number(number) => match number {
            0 => "BLOCKED_REASON_UNSPECIFIED",
            1 => "SAFETY",
            3 => "BLOCKLIST",
            4 => "PROHIBITED_CONTENT",
            5 => "MODEL_ARMOR",
            6 => "IMAGE_SAFETY",
            7 => "JAILBREAK",
            _ => "OTHER",
        },
    }
}

pub(super) fn ending(name: &str) -> Ending {
    match name {
        "STOP" => Ending::Stop,
        "MAX_TOKENS" => Ending::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED" => Ending::Filtered,
        "CONTINUATION" => Ending::Continuation,
        "MALFORMED_FUNCTION_CALL"
        | "MALFORMED_RESPONSE"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE" => Ending::Failed,
        "" | "FINISH_REASON_UNSPECIFIED" => Ending::Unspecified,
        _ => Ending::GaveUp,
    }
}

/// How a candidate ended: `said`, when it holds text, calls or media; `called`, when it holds calls.
pub(super) fn decode(
    name: &str,
    message: Option<String>,
    said: bool,
    called: bool,
) -> Result<Finish, ApiError> {
    let ending = ending(name);
    let reason = match ending {
        Ending::Stop | Ending::Unspecified | Ending::GaveUp if called => FinishReason::ToolCalls,
        Ending::Stop | Ending::Unspecified => FinishReason::Stop,
        Ending::Length => FinishReason::Length,
        Ending::Filtered => FinishReason::ContentFilter,
        Ending::Continuation => FinishReason::Continuation,
        Ending::GaveUp if said => FinishReason::Stop,
        Ending::Failed if said => FinishReason::Error,
        Ending::GaveUp | Ending::Failed => {
            let detail = message.unwrap_or_else(|| "the model gave no answer".to_owned());
            return Err(ApiError::new(
                ErrorKind::UpstreamMalformed,
                format!("{detail} (finish reason {name})"),
            )
            .code(name.to_ascii_lowercase()));
        }
    };
    // "Model generated function call(s)." and the like say nothing that the reason does not say.
    let ordinary = matches!(ending, Ending::Stop | Ending::Unspecified | Ending::Length);
    Ok(Finish {
        reason,
        stop_sequence: None,
        message: message.filter(|_| !ordinary),
        // SAFETY is the plain word for a filter; the others say more.
        category: (!ordinary && ending != Ending::Continuation && name != "SAFETY")
            .then(|| name.to_owned()),
    })
}

/// The `finishReason` to write. The vendor's own word comes back where it was one of Gemini's.
pub(super) fn encode(finish: &Finish) -> &str {
    if let Some(category) = &finish.category
        && !matches!(ending(category), Ending::GaveUp | Ending::Unspecified)
    {
        return category;
    }
    match finish.reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => {
            match finish.category.as_deref() {
                Some(own @ ("OTHER" | "IMAGE_OTHER" | "NO_IMAGE")) => own,
                Some(_) | None => "STOP",
            }
        }
        FinishReason::Length | FinishReason::ContextExceeded => "MAX_TOKENS",
        FinishReason::ContentFilter | FinishReason::Refusal => "SAFETY",
        FinishReason::Pause | FinishReason::Error => "OTHER",
        FinishReason::Continuation => "CONTINUATION",
    }
}

/// Whether the ending is told in a word of Gemini's own, which goes back as it came.
pub(super) fn is_own(finish: &Finish) -> bool {
    let category = finish.category.as_deref().unwrap_or_default();
    !matches!(ending(category), Ending::GaveUp | Ending::Unspecified)
}

/// The `blockReason` to write for an answer that was refused before a word of it.
pub(super) fn encode_block(finish: &Finish) -> &str {
    match finish.category.as_deref() {
        Some(
            own @ ("SAFETY" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "IMAGE_SAFETY" | "MODEL_ARMOR"
            | "JAILBREAK"),
        ) => own,
        Some(_) | None => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, said: bool, called: bool, expect: Option<FinishReason>) {
        let found = decode(name, None, said, called)
            .ok()
            .map(|finish| finish.reason);
        assert_eq!(found, expect, "{name}");
    }

    #[test]
    fn reasons_are_told_apart() {
        check("STOP", true, false, Some(FinishReason::Stop));
        check("STOP", false, false, Some(FinishReason::Stop));
        check("STOP", true, true, Some(FinishReason::ToolCalls));
        check("MAX_TOKENS", false, false, Some(FinishReason::Length));
        check("SPII", false, false, Some(FinishReason::ContentFilter));
        check(
            "CONTINUATION",
            true,
            false,
            Some(FinishReason::Continuation),
        );
        check("OTHER", true, false, Some(FinishReason::Stop));
        check("OTHER", false, false, None);
        check("MALFORMED_FUNCTION_CALL", false, false, None);
        check(
            "MALFORMED_FUNCTION_CALL",
            true,
            false,
            Some(FinishReason::Error),
        );
        check("MAX_RETRIES", true, false, Some(FinishReason::Stop));
    }

    #[test]
    fn own_words_come_back() {
        for name in [
            "STOP",
            "MAX_TOKENS",
            "RECITATION",
            "OTHER",
            "MALFORMED_FUNCTION_CALL",
            "CONTINUATION",
        ] {
            assert_eq!(encode(&decode(name, None, true, false).unwrap()), name);
        }
        let mut refusal = Finish::from(FinishReason::Refusal);
        refusal.category = Some("cyber".into());
        assert_eq!(
            (encode(&refusal), encode_block(&refusal)),
            ("SAFETY", "OTHER")
        );
    }
}
