//! How an answer ended: `status` and `incomplete_details`.

use crate::hub::{Finish, FinishReason};

/// What an answer holds, which its status does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holds {
    /// A call that the client is to run.
    pub(super) calls: bool,
    /// The model's own words of refusal.
    pub(super) refusal: bool,
}

/// Reads an ending; `failed` is an error and is read as such elsewhere.
pub(super) fn read(status: Option<&str>, incomplete: Option<&str>, holds: Holds) -> Finish {
    let (reason, category) = match (status, incomplete) {
        (Some("incomplete"), Some("content_filter")) if holds.refusal => {
            (FinishReason::Refusal, None)
        }
        (Some("incomplete"), Some("content_filter")) => (FinishReason::ContentFilter, None),
        (Some("incomplete"), Some("max_output_tokens") | None) => (FinishReason::Length, None),
        (Some("incomplete"), Some(other)) => (FinishReason::Length, Some(other)),
        // An answer that is still being made, in the background.
        (Some(status @ ("queued" | "in_progress")), _) => (FinishReason::Pause, Some(status)),
        (Some("cancelled"), _) => (FinishReason::Error, Some("cancelled")),
        _ if holds.calls => (FinishReason::ToolCalls, None),
        _ if holds.refusal => (FinishReason::Refusal, None),
        _ => (FinishReason::Stop, None),
    };
    Finish {
        category: category.map(str::to_owned),
        ..Finish::from(reason)
    }
}

/// How an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    /// Why it is incomplete.
    Incomplete(&'static str),
    Failed,
}

impl Status {
    /// The status of an ending. `refused`: the model's own words of refusal stand in the answer, which OpenAI calls completed.
    pub(super) fn of(reason: FinishReason, refused: bool) -> Self {
        match reason {
            FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => {
                Self::Completed
            }
            FinishReason::Refusal if refused => Self::Completed,
            FinishReason::Refusal | FinishReason::ContentFilter => {
                Self::Incomplete("content_filter")
            }
            FinishReason::Length
            | FinishReason::ContextExceeded
            | FinishReason::Pause
            | FinishReason::Continuation => Self::Incomplete("max_output_tokens"),
            FinishReason::Error => Self::Failed,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed => "failed",
        }
    }

    /// The status of the item that was being told when the answer ended so.
    pub(super) fn of_last_item(self) -> &'static str {
        match self {
            Self::Completed | Self::InProgress => "completed",
            Self::Incomplete(_) | Self::Failed => "incomplete",
        }
    }

    /// The event that ends a stream so.
    pub(super) fn event(self) -> &'static str {
        match self {
            Self::InProgress => "response.in_progress",
            Self::Completed => "response.completed",
            Self::Incomplete(_) => "response.incomplete",
            Self::Failed => "response.failed",
        }
    }
}
