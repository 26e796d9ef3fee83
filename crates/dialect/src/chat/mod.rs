//! OpenAI Chat Completions.

mod answer;
mod content;
#[cfg(test)]
mod corpus;
mod decode_request;
mod decoder;
mod details;
mod encode_messages;
mod encode_reasoning;
mod encode_request;
mod encoder;
mod response;
#[cfg(test)]
mod tests;

pub(crate) use answer::{length, token_logprobs};
pub(crate) use content::{TOOL_ERROR, detail, part as read_part};
pub(crate) use encode_messages::{framed, mime_of, speller};
pub(crate) use encode_reasoning::effort;
pub(crate) use encode_request::{
    NAMES, clamped, hint_of, known_user, metadata, possible_choice, schema_name, without_tools,
};
pub(crate) use response::explanation;

use crate::error::openai;
use crate::framing::Framing;
use crate::json::Object;
use crate::{
    ApiError, At, BadAnswer, Decoder, Dialect, DialectId, Encoded, Encoder, Losses, Malformed,
    Refusal, Reply, Setting, Target, hub,
};

/// Kind of the [`hub::Opaque`] that proves a thought: the list `reasoning_details`, as OpenRouter has it.
pub(crate) const DETAILS: &str = "reasoning_details";

/// Kind of the [`hub::Opaque`] that proves a tool call: a JSON string, as Google's compatible server has it.
pub(crate) const THOUGHT_SIGNATURE: &str = "extra_content.google.thought_signature";

/// OpenAI Chat Completions.
#[derive(Debug, Clone, Copy)]
pub struct Chat;

impl Dialect for Chat {
    fn id(&self) -> DialectId {
        DialectId::Chat
    }

    fn decode_request(&self, body: &[u8]) -> Result<hub::Request, Malformed> {
        decode_request::decode(body)
    }

    fn encode_request(
        &self,
        request: &hub::Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) -> Result<Encoded, Refusal> {
        crate::bound::refuse(request, DialectId::Chat)?;
        let request = &*crate::search::as_text(request, DialectId::Chat, losses);
        let request = &*crate::billing::without_line(request, losses);
        let mut encoded = encode_request::encode(request, target, losses)?;
        crate::unwanted::obey(&mut encoded, self, target.quirks, losses);
        Ok(encoded)
    }

    fn decode_response(&self, body: &[u8]) -> Result<hub::Response, BadAnswer> {
        response::decode(body)
    }

    fn encode_response(
        &self,
        response: &hub::Response,
        reply: &Reply,
        losses: &mut Losses,
    ) -> Vec<u8> {
        response::encode(response, reply, losses)
    }

    /// The request's id is told in a header, not in the body.
    fn encode_error(&self, error: &ApiError, _request_id: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(256);
        write_error(&mut body, error);
        body
    }

    fn decoder(&self) -> Box<dyn Decoder + Send> {
        Box::new(decoder::ChatDecoder::default())
    }

    fn encoder(&self, reply: &Reply, _framing: Framing) -> Box<dyn Encoder + Send> {
        Box::new(encoder::ChatEncoder::new(reply))
    }

    fn locate(&self, at: &At) -> String {
        match at {
            At::Request => String::new(),
            At::Setting(setting) => field_of(*setting).to_owned(),
            At::Field(path) => path.clone(),
            At::System { part } => format!("messages.{part}"),
            At::Turn { turn } => format!("messages.{turn}"),
            At::Part { turn, part }
            | At::ResultPart {
                turn, inner: part, ..
            } => format!("messages.{turn}.content.{part}"),
            At::Tool { tool } => format!("tools.{tool}"),
        }
    }
}

fn field_of(setting: Setting) -> &'static str {
    match setting {
        Setting::Model => "model",
        Setting::System => "messages",
        Setting::MaxOutput => "max_tokens",
        Setting::Temperature => "temperature",
        Setting::TopP => "top_p",
        Setting::TopK => "top_k",
        Setting::PresencePenalty => "presence_penalty",
        Setting::FrequencyPenalty => "frequency_penalty",
        Setting::Seed => "seed",
        Setting::Stop => "stop",
        Setting::Candidates => "n",
        Setting::Logprobs => "logprobs",
        Setting::Output => "response_format",
        Setting::Reasoning => "reasoning_effort",
        Setting::Tools => "tools",
        Setting::ToolChoice => "tool_choice",
        Setting::ParallelToolCalls => "parallel_tool_calls",
        Setting::User => "user",
        Setting::Metadata => "metadata",
        Setting::ServiceTier => "service_tier",
        Setting::Store => "store",
        Setting::Verbosity => "verbosity",
    }
}

/// Writes `{"error":{…}}`, the form of error answers and of failures in the middle of a stream.
pub(crate) fn write_error(out: &mut Vec<u8>, error: &ApiError) {
    let words = openai(error);
    let mut object = Object::new(out);
    let mut inner = object.object("error");
    inner.string("message", &words.message);
    inner.string("type", words.kind);
    match &error.param {
        Some(param) => inner.string("param", param),
        None => inner.null("param"),
    }
    match &words.code {
        Some(code) => inner.string("code", code),
        None => inner.null("code"),
    }
    if let Some(own) = error.own_limit() {
        own.write(&mut inner);
    }
}
