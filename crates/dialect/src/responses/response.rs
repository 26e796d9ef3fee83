//! Whole answers.

use crate::{BadAnswer, Losses, Malformed, Reply, hub};

pub(super) fn decode(_body: &[u8]) -> Result<hub::Response, BadAnswer> {
    Err(Malformed::new("", "answers of this dialect are not read yet").into())
}

pub(super) fn encode(_response: &hub::Response, _reply: &Reply, _losses: &mut Losses) -> Vec<u8> {
    Vec::new()
}
