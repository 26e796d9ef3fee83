//! Errors that say that the state of reasoning in a request is not taken.

use super::State;
use crate::{ApiError, ErrorKind};

/// Words of which all stand in the error, in lower case and without quotes.
const DROP: &[&[&str]] = &[
    // Anthropic
    &["invalid signature", "thinking"],
    &["thinking", "blocks", "cannot be modified"],
    &["expected thinking or redacted_thinking"],
    &["must start with a thinking block"],
    &["redacted_thinking", "invalid"],
    &["thinking", "prefix", "match"],
    // Gemini
    &["thought_signature"],
    &["thought signature"],
    &["thoughtsignature"],
    // OpenAI
    &["invalid_encrypted_content"],
    &["encrypted content", "verif"],
    &["encrypted content", "decrypt"],
    &["encrypted_content", "verif"],
    &["encrypted_content", "decrypt"],
    &["without its required", "reasoning"],
    &["without its required following item"],
    &["item with id rs_", "not found"],
    // OpenRouter and other hosts
    &["reasoning_details", "invalid"],
];

/// DeepSeek, Kimi: reasoning beside a tool call is missing.
const DEMAND: &[&[&str]] = &[
    &["reasoning_content", "passed back"],
    &["reasoning_content", "missing"],
    &["reasoning_content", "required"],
    &["missing", "reasoning_content"],
];

/// What to do with the state of reasoning when the same upstream is asked once more; `None`: the error is about something else.
pub fn refused(error: &ApiError) -> Option<State> {
    match error.kind {
        ErrorKind::BadRequest | ErrorKind::Unsupported => {}
        ErrorKind::ContextTooLong
        | ErrorKind::BodyTooLarge
        | ErrorKind::Authentication
        | ErrorKind::Billing
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Conflict
        | ErrorKind::RateLimited
        | ErrorKind::Overloaded
        | ErrorKind::Timeout
        | ErrorKind::ContentPolicy
        | ErrorKind::NotImplemented
        | ErrorKind::Upstream
        | ErrorKind::UpstreamMalformed
        | ErrorKind::Internal => return None,
    }
    let mut said = error.message.to_lowercase();
    said.push(' ');
    said.push_str(error.code.as_deref().unwrap_or_default());
    said.retain(|c| !matches!(c, '`' | '\'' | '"'));
    let says = |all: &[&[&str]]| {
        all.iter()
            .any(|words| words.iter().all(|word| said.contains(word)))
    };
    if says(DEMAND) {
        Some(State::Demanded)
    } else if says(DROP) {
        Some(State::Dropped)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_state_are_told_from_others() {
        let check = |message: &str, code: Option<&str>, expect| {
            let mut error = ApiError::new(ErrorKind::BadRequest, message);
            error.code = code.map(str::to_owned);
            assert_eq!(refused(&error), expect, "{message}");
            error.kind = ErrorKind::RateLimited;
            assert_eq!(refused(&error), None, "{message}");
        };
        let dropped = Some(State::Dropped);
        for message in [
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            "messages.1.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block",
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly",
            "Corrupted thought signature.",
            "Thought signature is not valid",
            "The encrypted content gAAA... could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
            "Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'.",
            "Item with id 'rs_68' not found. Items are not persisted when `store` is set to false.",
        ] {
            check(message, None, dropped);
        }
        check("bad", Some("invalid_encrypted_content"), dropped);
        let demanded = Some(State::Demanded);
        check(
            "The `reasoning_content` in the thinking mode must be passed back to the API.",
            None,
            demanded,
        );
        check(
            "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2",
            None,
            demanded,
        );
        for message in [
            "temperature: may only be set to 1 when thinking is enabled",
            "messages: text content blocks must be non-empty",
            "Invalid value for reasoning.effort",
            "Unknown parameter: reasoning_content",
            "The image signature is invalid",
        ] {
            check(message, None, None);
        }
    }
}
