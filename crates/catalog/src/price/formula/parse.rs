//! From the text of a formula to its operations: types and places are settled here, so that nothing can go wrong later.

use jiff::tz::TimeZone;

use crate::price::hours::Hours;
use crate::price::rates::Column;

use super::{Comparison, Compiled, Fact, Node, Unit};

const LONGEST: usize = 2000;
const MOST_NODES: usize = 256;
const MOST_LEVELS: usize = 24;
const MOST_PLACES: u32 = 24;
/// Digits of a number.
const MOST_DIGITS: usize = 18;

/// What an operation gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Amount,
    Number,
    Test,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Amount => "an amount",
            Self::Number => "a number",
            Self::Test => "a test",
        }
    }
}

/// An operation that is written down, and what is known of it.
#[derive(Debug, Clone, Copy)]
struct Operand {
    at: usize,
    kind: Kind,
    /// Digits after the point.
    places: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Quoted(&'a str),
    /// Digits without the point, and how many of them are behind it.
    Number(i128, u32),
    Amount(i128, u32),
    Sign(&'a str),
    End,
}

pub(super) fn compile(text: &str) -> Result<Compiled, String> {
    if text.len() > LONGEST {
        return Err(format!("a formula has at most {LONGEST} characters"));
    }
    let mut parser = Parser {
        text,
        at: 0,
        begun: 0,
        token: Token::End,
        nodes: Vec::new(),
        named: 0,
        levels: 0,
    };
    parser.advance()?;
    let whole = parser.choice()?;
    if parser.token != Token::End {
        return Err(parser.wrong("expected an operator or the end"));
    }
    if whole.kind != Kind::Amount {
        let kind = whole.kind.name();
        return Err(format!(
            "a formula is an amount such as `input * $3/M`, not {kind}"
        ));
    }
    Ok(Compiled {
        text: text.trim().into(),
        nodes: parser.nodes,
        places: whole.places,
        named: parser.named,
    })
}

struct Parser<'a> {
    text: &'a str,
    /// Behind the token.
    at: usize,
    /// Where the token begins.
    begun: usize,
    token: Token<'a>,
    nodes: Vec<Node>,
    named: u32,
    levels: usize,
}

impl<'a> Parser<'a> {
    fn wrong(&self, what: &str) -> String {
        let before = self.text.get(..self.begun).unwrap_or_default();
        format!("at {}: {what}", before.chars().count() + 1)
    }

    fn advance(&mut self) -> Result<(), String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let skipped = rest.len() - rest.trim_start().len();
        self.begun = self.at + skipped;
        let rest = rest.trim_start();
        let length =
            |rest: &str, fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
        let Some(first) = rest.chars().next() else {
            self.at = self.text.len();
            self.token = Token::End;
            return Ok(());
        };
        let (token, width) = if first == '"' {
            let inside = rest.get(1..).unwrap_or_default();
            let end = inside
                .find('"')
                .ok_or_else(|| self.wrong("a quote that is not closed"))?;
            (
                Token::Quoted(inside.get(..end).unwrap_or_default()),
                end + 2,
            )
        } else if first.is_ascii_alphabetic() {
            let end = length(rest, |c| c.is_ascii_alphanumeric() || c == '_');
            (Token::Word(rest.get(..end).unwrap_or_default()), end)
        } else if first.is_ascii_digit() || first == '$' {
            let amount = usize::from(first == '$');
            let digits = rest.get(amount..).unwrap_or_default();
            let end = length(digits, |c| c.is_ascii_digit() || c == '.');
            let (mut number, mut places) = decimal(digits.get(..end).unwrap_or_default())
                .ok_or_else(|| self.wrong("expected a number such as 0.25"))?;
            let mut width = amount + end;
            let unit = rest.get(width..).unwrap_or_default();
            if amount == 1 {
                if let Some(unit) = unit.strip_prefix('/') {
                    places += match unit.chars().next() {
                        Some('M') => 6,
                        Some('k') => 3,
                        _ => return Err(self.wrong("expected `/M` or `/k` after an amount")),
                    };
                    width += 2;
                }
            } else if unit.starts_with(['k', 'M']) {
                let zeros = if unit.starts_with('k') { 3 } else { 6 };
                number *= 10_i128.pow(zeros);
                width += 1;
            }
            while places > 0 && number % 10 == 0 {
                number /= 10;
                places -= 1;
            }
            let token = if amount == 1 {
                Token::Amount(number, places)
            } else {
                Token::Number(number, places)
            };
            (token, width)
        } else {
            let two = rest
                .get(..2)
                .filter(|sign| matches!(*sign, "!=" | "<=" | ">="));
            let one = rest.get(..1).filter(|sign| "=<>+-*(),".contains(*sign));
            let sign = two
                .or(one)
                .ok_or_else(|| self.wrong(&format!("`{first}` means nothing here")))?;
            (Token::Sign(sign), sign.len())
        };
        self.at = self.begun + width;
        self.token = token;
        Ok(())
    }

    fn takes(&mut self, sign: &str) -> Result<bool, String> {
        let found = match self.token {
            Token::Sign(found) | Token::Word(found) => found == sign,
            Token::Quoted(_) | Token::Number(..) | Token::Amount(..) | Token::End => false,
        };
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn demand(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign)? {
            return Ok(());
        }
        Err(self.wrong(&format!("expected `{sign}`")))
    }

    fn push(&mut self, node: Node, kind: Kind, places: u32) -> Result<Operand, String> {
        if self.nodes.len() >= MOST_NODES {
            return Err(format!("a formula has at most {MOST_NODES} operations"));
        }
        if places > MOST_PLACES {
            return Err(self.wrong(&format!(
                "more than {MOST_PLACES} digits after the point would be needed"
            )));
        }
        self.nodes.push(node);
        Ok(Operand {
            at: self.nodes.len() - 1,
            kind,
            places,
        })
    }

    fn is(&self, operand: Operand, kind: Kind) -> Result<(), String> {
        if operand.kind == kind {
            return Ok(());
        }
        let (wanted, found) = (kind.name(), operand.kind.name());
        Err(self.wrong(&format!("expected {wanted} before this, found {found}")))
    }

    /// Two of one kind, with as many places.
    fn alike(&mut self, one: Operand, other: Operand) -> Result<(Operand, Operand), String> {
        self.is(other, one.kind)?;
        let places = one.places.max(other.places);
        Ok((self.shift(one, places)?, self.shift(other, places)?))
    }

    fn shift(&mut self, operand: Operand, places: u32) -> Result<Operand, String> {
        let by = places - operand.places;
        if by == 0 {
            return Ok(operand);
        }
        self.push(Node::Shift(operand.at, by), operand.kind, places)
    }

    fn choice(&mut self) -> Result<Operand, String> {
        self.levels += 1;
        if self.levels > MOST_LEVELS {
            return Err(self.wrong(&format!("more than {MOST_LEVELS} levels")));
        }
        let out = if self.takes("if")? {
            let test = self.choice()?;
            self.is(test, Kind::Test)?;
            self.demand("then")?;
            let one = self.choice()?;
            self.demand("else")?;
            let other = self.choice()?;
            let (one, other) = self.alike(one, other)?;
            self.push(Node::If(test.at, one.at, other.at), one.kind, one.places)
        } else {
            self.either()
        };
        self.levels -= 1;
        out
    }

    fn either(&mut self) -> Result<Operand, String> {
        let mut left = self.both()?;
        while self.takes("or")? {
            let right = self.both()?;
            self.is(left, Kind::Test)?;
            self.is(right, Kind::Test)?;
            left = self.push(Node::Or(left.at, right.at), Kind::Test, 0)?;
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Operand, String> {
        let mut left = self.negated()?;
        while self.takes("and")? {
            let right = self.negated()?;
            self.is(left, Kind::Test)?;
            self.is(right, Kind::Test)?;
            left = self.push(Node::And(left.at, right.at), Kind::Test, 0)?;
        }
        Ok(left)
    }

    fn negated(&mut self) -> Result<Operand, String> {
        let mut times = 0;
        while self.takes("not")? {
            times += 1;
        }
        let inner = self.comparison()?;
        if times > 0 {
            self.is(inner, Kind::Test)?;
        }
        if times % 2 == 0 {
            return Ok(inner);
        }
        self.push(Node::Not(inner.at), Kind::Test, 0)
    }

    fn comparison(&mut self) -> Result<Operand, String> {
        let fact = match self.token {
            Token::Word("tier") => Some(Fact::Tier),
            Token::Word("region") => Some(Fact::Region),
            Token::Word("speed") => Some(Fact::Speed),
            _ => None,
        };
        if let Some(fact) = fact {
            self.advance()?;
            let equal = self.takes("=")?;
            if !equal && !self.takes("!=")? {
                return Err(self.wrong("expected `=` or `!=` and a word in quotes"));
            }
            let word = self.quoted()?;
            let is = self.push(Node::Is(fact, word.into()), Kind::Test, 0)?;
            return if equal {
                Ok(is)
            } else {
                self.push(Node::Not(is.at), Kind::Test, 0)
            };
        }
        let left = self.sum()?;
        let comparison = match self.token {
            Token::Sign("=") => Comparison::Equal,
            Token::Sign("!=") => Comparison::Unequal,
            Token::Sign("<") => Comparison::Less,
            Token::Sign("<=") => Comparison::LessOrEqual,
            Token::Sign(">") => Comparison::More,
            Token::Sign(">=") => Comparison::MoreOrEqual,
            _ => return Ok(left),
        };
        self.advance()?;
        let right = self.sum()?;
        if left.kind == Kind::Test {
            return Err(self.wrong("tests are not compared"));
        }
        let (left, right) = self.alike(left, right)?;
        self.push(Node::Compare(comparison, left.at, right.at), Kind::Test, 0)
    }

    fn sum(&mut self) -> Result<Operand, String> {
        let mut left = self.product()?;
        loop {
            let node: fn(usize, usize) -> Node = match self.token {
                Token::Sign("+") => Node::Add,
                Token::Sign("-") => Node::Subtract,
                _ => return Ok(left),
            };
            self.advance()?;
            let right = self.product()?;
            if left.kind == Kind::Test {
                return Err(self.wrong("tests are not added"));
            }
            let (one, other) = self.alike(left, right)?;
            left = self.push(node(one.at, other.at), one.kind, one.places)?;
        }
    }

    fn product(&mut self) -> Result<Operand, String> {
        let mut left = self.single()?;
        while self.takes("*")? {
            let right = self.single()?;
            let kind = match (left.kind, right.kind) {
                (Kind::Number, Kind::Number) => Kind::Number,
                (Kind::Amount, Kind::Number) | (Kind::Number, Kind::Amount) => Kind::Amount,
                (Kind::Amount, Kind::Amount) => {
                    return Err(self.wrong("an amount times an amount is none"));
                }
                (Kind::Test, _) | (_, Kind::Test) => {
                    return Err(self.wrong("a test is not multiplied: use `if`"));
                }
            };
            left = self.push(
                Node::Multiply(left.at, right.at),
                kind,
                left.places + right.places,
            )?;
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<Operand, String> {
        match self.token {
            Token::Number(number, places) => {
                self.advance()?;
                self.push(Node::Constant(number), Kind::Number, places)
            }
            Token::Amount(number, places) => {
                self.advance()?;
                self.push(Node::Constant(number), Kind::Amount, places)
            }
            Token::Sign("(") => {
                self.advance()?;
                let inner = self.choice()?;
                self.demand(")")?;
                Ok(inner)
            }
            Token::Word(word) => {
                let unknown = self.wrong(&format!("`{word}` is not known"));
                self.advance()?;
                self.named(word, unknown)
            }
            Token::Quoted(_) | Token::Sign(_) | Token::End => Err(self.wrong("expected a value")),
        }
    }

    fn named(&mut self, word: &str, unknown: String) -> Result<Operand, String> {
        let unit = match word {
            "hour" => Some(Unit::Hour),
            "minute" => Some(Unit::Minute),
            "weekday" => Some(Unit::Weekday),
            "day" => Some(Unit::Day),
            "month" => Some(Unit::Month),
            _ => None,
        };
        if let Some(unit) = unit {
            let zone = if self.takes("(")? {
                let name = self.quoted()?;
                self.demand(")")?;
                TimeZone::get(name)
                    .map_err(|_| self.wrong(&format!("there is no time zone `{name}`")))?
            } else {
                TimeZone::UTC
            };
            return self.push(Node::Calendar(unit, zone), Kind::Number, 0);
        }
        match word {
            "prompt" => self.push(Node::Prompt, Kind::Number, 0),
            "answer" => self.push(Node::Answer, Kind::Number, 0),
            "within" => {
                self.demand("(")?;
                let hours = Hours::parse(self.quoted()?).map_err(|what| self.wrong(&what))?;
                self.demand(")")?;
                self.push(Node::Within(hours), Kind::Test, 0)
            }
            "min" | "max" | "blocks" => {
                self.demand("(")?;
                let one = self.choice()?;
                self.demand(",")?;
                let other = self.choice()?;
                self.demand(")")?;
                if one.kind == Kind::Test {
                    return Err(self.wrong("tests are not compared"));
                }
                let (one, other) = self.alike(one, other)?;
                if word == "blocks" {
                    return self.push(Node::Blocks(one.at, other.at), Kind::Number, 0);
                }
                let node = if word == "min" {
                    Node::Least(one.at, other.at)
                } else {
                    Node::Most(one.at, other.at)
                };
                self.push(node, one.kind, one.places)
            }
            word => {
                let column = match word {
                    "images" => Column::ImageMade,
                    "images_given" => Column::ImageGiven,
                    "searches" => Column::SearchMedium,
                    word => Column::from_name(word)
                        .filter(|column| column.is_tokens() || *column == Column::Request)
                        .ok_or(unknown)?,
                };
                self.named |= 1 << column as u32;
                self.push(Node::Column(column), Kind::Number, 0)
            }
        }
    }

    fn quoted(&mut self) -> Result<&'a str, String> {
        let Token::Quoted(text) = self.token else {
            return Err(self.wrong("expected a word in quotes"));
        };
        self.advance()?;
        Ok(text)
    }
}

/// Digits without the point, and how many of them are behind it.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = [whole, fraction].concat();
    if whole.is_empty() || digits.len() > MOST_DIGITS {
        return None;
    }
    Some((digits.parse().ok()?, u32::try_from(fraction.len()).ok()?))
}
