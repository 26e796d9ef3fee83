//! Anthropic Messages.

mod citation;
#[cfg(test)]
mod corpus;
mod error;
mod finish;
mod id;
#[cfg(test)]
mod recorded;
mod request;
mod response;
mod searches;
mod stream;
mod usage;

pub(crate) use id::spell as spell_id;

use crate::framing::Framing;
use crate::{
    ApiError, At, BadAnswer, Decoder, Dialect, DialectId, Encoded, Encoder, Losses, Malformed,
    Refusal, Reply, Setting, Target, hub,
};

/// Kind of the [`hub::Opaque`] that proves a thought of an answer: the signature as a JSON string. In requests the proof is the
/// whole block instead, so that it returns byte for byte.
pub(crate) const SIGNATURE: &str = "thinking.signature";

/// Anthropic Messages.
#[derive(Debug, Clone, Copy)]
pub struct Messages;

impl Dialect for Messages {
    fn id(&self) -> DialectId {
        DialectId::Messages
    }

    fn decode_request(&self, body: &[u8]) -> Result<hub::Request, Malformed> {
        request::decode(body)
    }

    fn encode_request(
        &self,
        request: &hub::Request,
        target: &Target<'_>,
        losses: &mut Losses,
    ) -> Result<Encoded, Refusal> {
        crate::bound::refuse(request, DialectId::Messages)?;
        let request = &*crate::search::as_text(request, DialectId::Messages, losses);
        let mut encoded = request::encode(request, target, losses)?;
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

    fn encode_error(&self, error: &ApiError, request_id: &str) -> Vec<u8> {
        let mut body = Vec::new();
        error::write(
            &mut body,
            error,
            Some(request_id).filter(|id| !id.is_empty()),
        );
        body
    }

    fn decoder(&self) -> Box<dyn Decoder + Send> {
        Box::new(stream::MessagesDecoder::default())
    }

    fn encoder(&self, reply: &Reply, _framing: Framing) -> Box<dyn Encoder + Send> {
        Box::new(stream::MessagesEncoder::new(reply))
    }

    fn locate(&self, at: &At) -> String {
        match at {
            At::Request => String::new(),
            At::Setting(setting) => place_of(*setting).to_owned(),
            At::Field(path) => path.clone(),
            At::System { part } => format!("system.{part}"),
            At::Turn { turn } => format!("messages.{turn}"),
            At::Part { turn, part } => format!("messages.{turn}.content.{part}"),
            At::ResultPart { turn, part, inner } => {
                format!("messages.{turn}.content.{part}.content.{inner}")
            }
            At::Tool { tool } => format!("tools.{tool}"),
        }
    }
}

fn place_of(setting: Setting) -> &'static str {
    match setting {
        Setting::Model => "model",
        Setting::System => "system",
        Setting::MaxOutput => "max_tokens",
        Setting::Temperature => "temperature",
        Setting::TopP => "top_p",
        Setting::TopK => "top_k",
        Setting::PresencePenalty => "presence_penalty",
        Setting::FrequencyPenalty => "frequency_penalty",
        Setting::Seed => "seed",
        Setting::Stop => "stop_sequences",
        Setting::Candidates => "n",
        Setting::Logprobs => "logprobs",
        Setting::Output => "output_config.format",
        Setting::Reasoning => "thinking",
        Setting::Tools => "tools",
        Setting::ToolChoice => "tool_choice",
        Setting::ParallelToolCalls => "tool_choice.disable_parallel_tool_use",
        Setting::User => "metadata.user_id",
        Setting::Metadata => "metadata",
        Setting::ServiceTier => "service_tier",
        Setting::Store => "store",
        Setting::Verbosity => "verbosity",
    }
}
