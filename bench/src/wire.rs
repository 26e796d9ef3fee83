//! The wire dialects of the harness, and how a client addresses each of them.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Wire {
    Chat,
    Messages,
    Gemini,
}

impl Wire {
    pub const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Gemini];

    /// Where a client posts its request.
    pub fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Self::Chat, _) => "/v1/chat/completions".into(),
            (Self::Messages, _) => "/v1/messages".into(),
            (Self::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Self::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        }
    }

    /// The header lines by which this dialect's clients name themselves.
    pub fn credential(self, key: &str) -> String {
        match self {
            Self::Chat => format!("authorization: Bearer {key}\r\n"),
            Self::Messages => {
                format!("x-api-key: {key}\r\nanthropic-version: 2023-06-01\r\n")
            }
            Self::Gemini => format!("x-goog-api-key: {key}\r\n"),
        }
    }

    /// The dialect of a path that a request was posted to, and whether the path asks for a stream (Gemini alone says it there).
    pub fn of_path(path: &str) -> Option<(Self, bool)> {
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        if path.ends_with("/chat/completions") {
            Some((Self::Chat, false))
        } else if path.ends_with("/messages") {
            Some((Self::Messages, false))
        } else if path.ends_with(":generateContent") {
            Some((Self::Gemini, false))
        } else if path.ends_with(":streamGenerateContent") {
            Some((Self::Gemini, true))
        } else {
            None
        }
    }
}
