//! A price as a formula, for what columns and tiers cannot say.
//!
//! ```text
//! if prompt > 200k then input * $6/M + output * $22.5/M else input * $3/M + output * $15/M
//! (input * $0.3/M + output * $1.2/M) * (if within("Asia/Shanghai;mon-fri,00:30-08:30") then 0.5 else 1) + searches * $0.01
//! max($0.001, blocks(prompt, 1k) * $0.0004) + images * $0.04
//! ```
//!
//! **Values** are amounts (`$3`, `$3/M`, `$3/k`: three dollars, for a million, for a thousand), numbers (`0.5`, `200k`, `2M`) and
//! tests. An amount may be multiplied with a number, never with another amount; a formula is an amount.
//!
//! **Counts** are the columns that count something: `input`, `output`, `cache_read`, `cache_write`, `cache_write_1h`, `reasoning`,
//! `audio_in`, `audio_out`, `audio_cache_read`, `image_in`, `image_out`, `image_cache_read` (tokens), `images_given`, `images`
//! and `searches`; `request` is one. No token is in two of them, and none is lost: what a formula does not name is part of what
//! it would otherwise be, cached audio of what is cached, and that of `input`. `prompt` and `answer` are all tokens of each.
//!
//! **Facts**: `tier`, `region` and `speed` are compared with words (`tier = "flex"`); `hour`, `minute`, `weekday` (Monday is 1),
//! `day` and `month` are numbers, in UTC or `hour("Asia/Shanghai")`; `within("…")` is a test, written as [`Hours`].
//!
//! **Operators**, the loosest first: `if … then … else …` · `or` · `and` · `not` · `= != < <= > >=` · `+ -` · `*`; parentheses;
//! `min(a, b)`, `max(a, b)`, `blocks(count, size)`.
//!
//! **Rounding**: nothing is rounded but by `blocks`, which says how many blocks of that size are begun; whole and begun blocks
//! are a whole number. Decimals are kept exactly, at most twenty-four places, and the amount is rounded with the bill, once. What
//! would be less than nothing is nothing; what is too large stops at the end.
//!
//! A formula is compiled once. It has at most 2,000 characters, 256 operations and 24 levels, no loops, and takes no longer
//! than it is long.

mod eval;
mod parse;

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::hours::Hours;
use super::rates::Column;

pub(super) use eval::Facts;

/// A compiled formula; clones share it.
#[derive(Debug, Clone)]
pub struct Formula(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: Box<str>,
    /// Operands stand before what they are operands of; the last one is the amount.
    nodes: Vec<Node>,
    /// Places after the point of the dollars that it gives.
    places: u32,
    /// Columns that it names, by their place.
    named: u32,
}

/// An operation; numbers are places of nodes.
#[derive(Debug)]
enum Node {
    Constant(i128),
    Column(Column),
    Prompt,
    Answer,
    Calendar(Unit, TimeZone),
    Is(Fact, Box<str>),
    Within(Hours),
    /// Times a power of ten.
    Shift(usize, u32),
    Add(usize, usize),
    Subtract(usize, usize),
    Multiply(usize, usize),
    Least(usize, usize),
    Most(usize, usize),
    Blocks(usize, usize),
    Compare(Comparison, usize, usize),
    And(usize, usize),
    Or(usize, usize),
    Not(usize),
    If(usize, usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Hour,
    Minute,
    Weekday,
    Day,
    Month,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    Tier,
    Region,
    Speed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

impl Formula {
    /// The reason is a sentence with the place, in characters from 1.
    pub fn compile(text: &str) -> Result<Self, String> {
        parse::compile(text).map(|compiled| Self(Arc::new(compiled)))
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether it names a column of its own, so that those tokens are in no other.
    pub(super) fn names(&self, column: Column) -> bool {
        self.0.named & (1 << column as u32) != 0
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Formula {}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.text)
    }
}
