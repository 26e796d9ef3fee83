//! Who signs in, and how it is proved: passwords, secrets that are shown once, sessions in cookies.

pub(crate) mod attempts;
mod clock;
mod first;
pub(crate) mod password;
pub(crate) mod policy;
pub(crate) mod secret;
mod sign_in;

pub use first::{FirstOperator, first_operator};

pub(crate) use clock::Clock;
pub(crate) use sign_in::{IDLE, Opened, csrf_token, go_on, sign_in_as};
