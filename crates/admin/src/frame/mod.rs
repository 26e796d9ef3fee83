//! What all endpoints share of how they are asked and how they answer: pages, ETags, bodies.

mod around;
mod body;
mod coming;
mod dollars;
mod etag;
mod fields;
mod known;
mod moment;
mod once;
mod page;
mod print;
mod sheet;
mod sparse;

pub(crate) use around::around;
pub(crate) use body::{Body, LARGEST};
pub(crate) use coming::{Coming, STALL};
pub(crate) use dollars::Dollars;
pub(crate) use etag::{Found, IfMatch};
pub(crate) use fields::{Fields, in_pointer, merge};
pub(crate) use known::{Known, methods, parameters};
pub(crate) use moment::{day, day_text, moment, moment_text, now, today};
pub(crate) use once::once;
pub(crate) use page::{Listing, Page, cursor, cursor_text};
pub(crate) use print::{Language, escaped, printed};
pub(crate) use sheet::{Form, Sheet};
