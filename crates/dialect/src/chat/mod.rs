//! OpenAI Chat Completions.

use crate::framing::Framing;
use crate::{
    ApiError, At, BadAnswer, Decoder, Dialect, DialectId, Encoded, Encoder, Losses, Malformed,
    Refusal, Reply, Target, hub,
};

/// OpenAI Chat Completions.
#[derive(Debug, Clone, Copy)]
pub struct Chat;

impl Dialect for Chat {
    fn id(&self) -> DialectId {
        DialectId::Chat
    }

    fn decode_request(&self, _body: &[u8]) -> Result<hub::Request, Malformed> {
        unimplemented!()
    }

    fn encode_request(
        &self,
        _request: &hub::Request,
        _target: &Target<'_>,
        _losses: &mut Losses,
    ) -> Result<Encoded, Refusal> {
        unimplemented!()
    }

    fn decode_response(&self, _body: &[u8]) -> Result<hub::Response, BadAnswer> {
        unimplemented!()
    }

    fn encode_response(
        &self,
        _response: &hub::Response,
        _reply: &Reply,
        _losses: &mut Losses,
    ) -> Vec<u8> {
        unimplemented!()
    }

    fn encode_error(&self, _error: &ApiError, _request_id: &str) -> Vec<u8> {
        unimplemented!()
    }

    fn decoder(&self) -> Box<dyn Decoder + Send> {
        unimplemented!()
    }

    fn encoder(&self, _reply: &Reply, _framing: Framing) -> Box<dyn Encoder + Send> {
        unimplemented!()
    }

    fn locate(&self, _at: &At) -> String {
        unimplemented!()
    }
}
