//! Requests.

use crate::{At, Encoded, Losses, Malformed, Refusal, Target, hub};

pub(super) fn decode(_body: &[u8]) -> Result<hub::Request, Malformed> {
    Err(Malformed::new(
        "",
        "requests of this dialect are not read yet",
    ))
}

pub(super) fn encode(
    _request: &hub::Request,
    _target: &Target<'_>,
    _losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    Err(Refusal::new(
        At::Request,
        "requests of this dialect are not written yet",
    ))
}
