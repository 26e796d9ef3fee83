//! What a formula gives for one request. Every operation is asked at most once.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::price::Circumstances;
use crate::price::exact::Exact;
use crate::price::rates::Column;

use super::{Comparison, Fact, Formula, Node, Unit};

/// What a formula may ask.
pub(in crate::price) struct Facts<'a> {
    pub(in crate::price) count: &'a dyn Fn(Column) -> u64,
    pub(in crate::price) prompt: u64,
    pub(in crate::price) answer: u64,
    pub(in crate::price) circumstances: &'a Circumstances<'a>,
}

impl Formula {
    pub(in crate::price) fn amount(&self, facts: &Facts<'_>) -> Exact {
        let compiled = &self.0;
        let last = compiled.nodes.len().saturating_sub(1);
        let dollars = value(&compiled.nodes, last, facts);
        // Less than nothing is nothing.
        let dollars = u128::try_from(dollars).unwrap_or(0);
        match compiled.places.checked_sub(9) {
            Some(beyond) => Exact::new(dollars, 10_u128.saturating_pow(beyond)),
            None => Exact::new(
                dollars.saturating_mul(10_u128.saturating_pow(9 - compiled.places)),
                1,
            ),
        }
    }
}

/// Of a test, one or zero.
fn value(nodes: &[Node], at: usize, facts: &Facts<'_>) -> i128 {
    let of = |at: usize| value(nodes, at, facts);
    // Cannot fail: places come from the compiler.
    let Some(node) = nodes.get(at) else { return 0 };
    match node {
        Node::Constant(number) => *number,
        Node::Column(column) => i128::from((facts.count)(*column)),
        Node::Prompt => i128::from(facts.prompt),
        Node::Answer => i128::from(facts.answer),
        Node::Calendar(unit, zone) => calendar(*unit, zone, facts.circumstances.moment),
        Node::Is(fact, word) => {
            let told = match fact {
                Fact::Tier => Some(facts.circumstances.service()),
                Fact::Region => facts.circumstances.region,
                Fact::Speed => facts.circumstances.speed,
            };
            i128::from(told.is_some_and(|told| told.eq_ignore_ascii_case(word)))
        }
        Node::Within(hours) => i128::from(hours.hold(facts.circumstances.moment)),
        Node::Shift(inner, by) => of(*inner).saturating_mul(10_i128.saturating_pow(*by)),
        Node::Add(one, other) => of(*one).saturating_add(of(*other)),
        Node::Subtract(one, other) => of(*one).saturating_sub(of(*other)),
        Node::Multiply(one, other) => of(*one).saturating_mul(of(*other)),
        Node::Least(one, other) => of(*one).min(of(*other)),
        Node::Most(one, other) => of(*one).max(of(*other)),
        Node::Blocks(count, size) => {
            let (count, size) = (of(*count), of(*size));
            if count <= 0 || size <= 0 {
                return 0;
            }
            count / size + i128::from(count % size > 0)
        }
        Node::Compare(comparison, one, other) => {
            let (one, other) = (of(*one), of(*other));
            i128::from(match comparison {
                Comparison::Equal => one == other,
                Comparison::Unequal => one != other,
                Comparison::Less => one < other,
                Comparison::LessOrEqual => one <= other,
                Comparison::More => one > other,
                Comparison::MoreOrEqual => one >= other,
            })
        }
        Node::And(one, other) => i128::from(of(*one) != 0 && of(*other) != 0),
        Node::Or(one, other) => i128::from(of(*one) != 0 || of(*other) != 0),
        Node::Not(inner) => i128::from(of(*inner) == 0),
        Node::If(test, one, other) => of(if of(*test) != 0 { *one } else { *other }),
    }
}

fn calendar(unit: Unit, zone: &TimeZone, moment: i64) -> i128 {
    // Beyond the year 9999 there is no calendar to ask.
    let Ok(moment) = Timestamp::from_millisecond(moment) else {
        return 0;
    };
    let local = zone.to_datetime(moment);
    i128::from(match unit {
        Unit::Hour => local.hour(),
        Unit::Minute => local.minute(),
        Unit::Weekday => local.weekday().to_monday_one_offset(),
        Unit::Day => local.day(),
        Unit::Month => local.month(),
    })
}
