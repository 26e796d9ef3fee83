//! What a refusal concerns, where its class alone does not tell: the same status is given for a key, a model, a country, a server.

use super::{ApiError, ErrorKind};

/// What a refusal concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The model: it is not there, not for this key, or cannot do what is asked.
    Model,
    /// The country or region that the request comes from, or that the upstream serves.
    Place,
    /// The address that the request comes from: nothing that is done with another key helps.
    Address,
    /// The upstream's capacity, which is nobody's limit.
    Capacity,
    /// Something stored that the request refers to, which may belong to another account: a file, a cached prompt.
    Stored,
}

/// Codes and types, as vendors spell them.
const CODES: &[(&str, Subject)] = &[
    ("model_not_found", Subject::Model),
    ("model_not_supported", Subject::Model),
    ("model_not_available", Subject::Model),
    ("not_supported_error", Subject::Model),
    ("invalid_model", Subject::Model),
    ("unsupported_model", Subject::Model),
    ("ModelNotFound", Subject::Model),
    ("Model.AccessDenied", Subject::Model),
    ("DeploymentNotFound", Subject::Model),
    ("unsupported_country_region_territory", Subject::Place),
    ("slow_down", Subject::Capacity),
    ("server_is_overloaded", Subject::Capacity),
    ("engine_overloaded", Subject::Capacity),
    ("engine_overloaded_error", Subject::Capacity),
    ("MODEL_CAPACITY_EXHAUSTED", Subject::Capacity),
    ("ThrottlingException", Subject::Capacity),
    ("ModelNotReadyException", Subject::Capacity),
];

/// Sentences, in lower case.
const SENTENCES: &[(Subject, &[&str])] = &[
    (
        Subject::Address,
        &[
            "from this ip",
            "from your ip",
            "your ip address",
            "this ip address",
        ],
    ),
    (
        Subject::Place,
        &[
            "country, region, or territory",
            "user location is not supported",
            "not available in your country",
            "not available in your region",
            "not supported in your region",
            "not supported in your country",
            "unsupported country",
            "unsupported region",
        ],
    ),
    (
        Subject::Stored,
        &[
            "access the file",
            "access the cachedcontent",
            "cached content",
            "cache content",
            "cachedcontent",
        ],
    ),
    (
        Subject::Model,
        &[
            "access to model",
            "access to the model",
            "access to this model",
            "access the model",
            "access to the specified resource",
            "permission to use the specified resource",
            "permission to access model",
            "not allowed to access model",
            "not authorized to access model",
            "model does not exist",
            "model not found",
            "model not exist",
            "unknown model",
            "invalid model",
            "unsupported model",
            "model identifier is invalid",
            "on-demand throughput",
            "end of its life",
            "is not found for api version",
            "supported with this model",
            "supported by this model",
            "supported for this model",
            "supported by the model",
            "supported with the model",
            "this model does not support",
            "the model does not support",
            "current model does not support",
            "model doesn't support",
            "does not support tools",
            "does not support image",
            "does not support audio",
            "does not support vision",
            "does not support thinking",
            "image input is not supported",
            "audio input is not supported",
            "not a multimodal model",
            "not a chat model",
            "no endpoints found",
            // Gateways in front of others, under a 503.
            "no available channel",
            "无可用渠道",
            "requires --jinja",
            "--enable-auto-tool-choice",
        ],
    ),
    (
        Subject::Capacity,
        &[
            "overloaded",
            "over capacity",
            "at capacity",
            "capacity exceeded",
            "no capacity",
            "capacity constraints",
            "rate-limited upstream",
            "too many requests at the moment",
            "server is busy",
            "system is busy",
            "high demand",
            "heavy load",
            "high traffic",
            "resource exhausted. please try again later",
            "resource exhausted, please try again later",
            "please wait before trying again",
            "访问量过大",
            "服务繁忙",
            "系统繁忙",
        ],
    ),
];

impl ApiError {
    /// What the refusal concerns; `None` where the class tells all that was said.
    pub fn subject(&self) -> Option<Subject> {
        let kind = self.told.as_ref().and_then(|told| told.kind.as_deref());
        let spelled = [self.code.as_deref(), kind];
        let code = spelled.into_iter().flatten().find_map(|said| {
            let (_, subject) = CODES.iter().find(|(code, _)| *code == said)?;
            Some(*subject)
        });
        code.or_else(|| self.in_sentence())
            .filter(|subject| self.may_concern(*subject))
    }

    fn in_sentence(&self) -> Option<Subject> {
        let text = self.message.to_lowercase();
        let said = SENTENCES.iter().find_map(|(subject, words)| {
            let says = words.iter().any(|word| text.contains(word));
            says.then_some(*subject)
        });
        // With the model's name between the words: `the model 'x' does not exist`, `not supported with the 'x' model`.
        let named = || {
            let (_, after) = text.split_once("model")?;
            let missing = after.contains("does not exist") || after.contains("not found");
            let unable = text.split_once("not supported with the ").is_some();
            (missing || unable).then_some(Subject::Model)
        };
        said.or_else(named)
    }

    /// Whether errors of this class can be about it: a request that is refused for its form may speak of anything.
    fn may_concern(&self, subject: Subject) -> bool {
        match self.kind {
            ErrorKind::BadRequest
            | ErrorKind::Unsupported
            | ErrorKind::NotFound
            | ErrorKind::NotImplemented
            | ErrorKind::Upstream => subject != Subject::Address,
            ErrorKind::Permission => subject != Subject::Capacity,
            ErrorKind::RateLimited => matches!(subject, Subject::Address | Subject::Capacity),
            ErrorKind::Authentication => subject == Subject::Place,
            ErrorKind::Overloaded => subject == Subject::Model,
            ErrorKind::ContextTooLong
            | ErrorKind::BodyTooLarge
            | ErrorKind::Billing
            | ErrorKind::MethodNotAllowed
            | ErrorKind::Conflict
            | ErrorKind::ContentPolicy
            | ErrorKind::UpstreamMalformed
            | ErrorKind::Timeout
            | ErrorKind::Internal => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Subject::{Address, Capacity, Model, Place, Stored};
    use super::*;

    fn check(status: u16, body: &str, expect: Option<Subject>) {
        let error = ApiError::decode(status, body.as_bytes());
        assert_eq!(error.subject(), expect, "{:?} {body}", error.kind);
    }

    #[test]
    fn one_status_is_given_for_many_things() {
        let say = |status: u16, message: &str, expect| {
            check(
                status,
                &format!(r#"{{"error":{{"message":"{message}"}}}}"#),
                expect,
            );
        };
        say(403, "Forbidden", None);
        say(
            403,
            "Project `proj_1` does not have access to model `gpt-4o`",
            Some(Model),
        );
        say(
            403,
            "Country, region, or territory not supported",
            Some(Place),
        );
        say(
            400,
            "User location is not supported for the API use.",
            Some(Place),
        );
        say(403, "Too many requests from this IP", Some(Address));
        say(429, "Too many requests from this IP", Some(Address));
        say(
            403,
            "You do not have permission to access the File abc or it may not exist.",
            Some(Stored),
        );
        say(400, "'messages' must not be empty", None);
        say(400, "The requested model 'x' does not exist.", Some(Model));
        say(
            400,
            "Unsupported value: 'minimal' is not supported with the 'o4-mini' model.",
            Some(Model),
        );
        say(400, "temperature: range: 0..1", None);
        say(429, "Rate limit reached for this model", None);
        say(
            429,
            "The engine is currently overloaded, please try again later",
            Some(Capacity),
        );
        say(500, "the model crashed", None);
        say(
            500,
            "image input is not supported - hint: you may need to provide the mmproj",
            Some(Model),
        );
    }
}
