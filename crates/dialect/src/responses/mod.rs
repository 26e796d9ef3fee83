//! OpenAI Responses.

mod citation;
mod decoder;
mod echo;
mod encoder;
mod error;
mod finish;
mod item;
mod object;
mod output;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod usage;

pub use echo::{CallForm, Echo, Form};

use crate::framing::Framing;
use crate::{
    ApiError, At, BadAnswer, Decoder, Dialect, DialectId, Encoded, Encoder, Losses, Malformed,
    Refusal, Reply, Setting, Target, hub,
};

/// OpenAI Responses.
#[derive(Debug, Clone, Copy)]
pub struct Responses;

impl Dialect for Responses {
    fn id(&self) -> DialectId {
        DialectId::Responses
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
        crate::bound::refuse(request, DialectId::Responses)?;
        let request = &*crate::search::as_text(request, DialectId::Responses, losses);
        let request = &*crate::billing::without_line(request, losses);
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

    /// The request's id is told in a header, not in the body.
    fn encode_error(&self, error: &ApiError, _request_id: &str) -> Vec<u8> {
        error::encode(error)
    }

    fn decoder(&self) -> Box<dyn Decoder + Send> {
        Box::new(decoder::ResponsesDecoder::default())
    }

    fn encoder(&self, reply: &Reply, _framing: Framing) -> Box<dyn Encoder + Send> {
        Box::new(encoder::ResponsesEncoder::new(reply))
    }

    fn locate(&self, at: &At) -> String {
        match at {
            At::Request => String::new(),
            At::Setting(setting) => field_of(*setting).to_owned(),
            At::Field(path) => path.clone(),
            At::System { part } => match part {
                0 => "instructions".to_owned(),
                part => format!("input.{}", part - 1),
            },
            At::Turn { turn } => format!("input.{turn}"),
            At::Part { turn, part } => format!("input.{turn}.content.{part}"),
            At::ResultPart { turn, inner, .. } => format!("input.{turn}.output.{inner}"),
            At::Tool { tool } => format!("tools.{tool}"),
        }
    }
}

fn field_of(setting: Setting) -> &'static str {
    match setting {
        Setting::Model => "model",
        Setting::System => "instructions",
        Setting::MaxOutput => "max_output_tokens",
        Setting::Temperature => "temperature",
        Setting::TopP => "top_p",
        Setting::TopK => "top_k",
        Setting::PresencePenalty => "presence_penalty",
        Setting::FrequencyPenalty => "frequency_penalty",
        Setting::Seed => "seed",
        Setting::Stop => "stop",
        Setting::Candidates => "n",
        Setting::Logprobs => "top_logprobs",
        Setting::Output => "text.format",
        Setting::Reasoning => "reasoning",
        Setting::Tools => "tools",
        Setting::ToolChoice => "tool_choice",
        Setting::ParallelToolCalls => "parallel_tool_calls",
        Setting::User => "user",
        Setting::Metadata => "metadata",
        Setting::ServiceTier => "service_tier",
        Setting::Store => "store",
        Setting::Verbosity => "text.verbosity",
    }
}
