//! Errors of this dialect: those of Chat.

use crate::ApiError;

pub(super) fn encode(error: &ApiError) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    crate::chat::write_error(&mut body, error);
    body
}
