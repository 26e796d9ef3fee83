//! What all endpoints share of how they are asked and how they answer: pages, ETags, bodies.

mod body;
mod etag;
mod page;

pub(crate) use body::Body;
pub(crate) use etag::{Found, IfMatch};
pub(crate) use page::{Listing, Page, cursor, cursor_id};
