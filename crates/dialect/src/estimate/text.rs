//! What a text is made of, in one pass.

use super::Terms;
use crate::json::Node;

/// Counts the pieces of a text.
pub(super) fn count(text: &str, terms: &mut Terms) {
    let mut run = Runs::default();
    go_on(text, &mut run, terms);
    run.end(terms);
}

/// Counts the pieces of a text that goes on where `run` left off.
pub(super) fn go_on(text: &str, run: &mut Runs, terms: &mut Terms) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !byte.is_ascii()) {
        let (ascii, tail) = rest.split_at(at);
        run.ascii(ascii.as_bytes(), terms);
        let end = tail
            .bytes()
            .position(|byte| byte.is_ascii())
            .unwrap_or(tail.len());
        let (foreign, tail) = tail.split_at(end);
        run.foreign(foreign, terms);
        rest = tail;
    }
    run.ascii(rest.as_bytes(), terms);
}

/// As text, but for what it is weighed as.
pub(super) fn count_reasoning(text: &str, terms: &mut Terms) {
    terms.thought += rough(text);
}

/// A description in a declaration.
pub(super) fn count_described(text: &str, terms: &mut Terms) {
    terms.described += rough(text);
}

/// A name, or a form that could not be read.
pub(super) fn count_schema(text: &str, terms: &mut Terms) {
    terms.value += rough(text);
}

/// The schema of an answer: words, and the signs between them.
pub(super) fn count_output(text: &str, terms: &mut Terms) {
    let mut own = Terms::default();
    count(text, &mut own);
    terms.output_word += own.word + own.long / 6.0 + own.digits;
    terms.output_sign += own.signs;
}

/// How deep schemas are looked into; deeper ones count as their text.
const DEPTH: u32 = 64;

/// The schema of a tool's arguments.
pub(super) fn count_node(node: Node<'_>, terms: &mut Terms) {
    inside(node, "", DEPTH, terms);
}

fn inside(node: Node<'_>, key: &str, depth: u32, terms: &mut Terms) {
    if let Some(text) = node.text() {
        if matches!(key, "description" | "title") {
            terms.described += rough(&text);
        } else {
            terms.value += rough(&text);
        }
    } else if depth == 0 {
        terms.value += rough(node.raw());
    } else if let Ok(fields) = node.fields() {
        terms.nesting += 1.0;
        for (name, value) in fields.iter() {
            terms.key += rough(name);
            inside(value, name, depth - 1, terms);
        }
    } else if let Ok(elements) = node.elements() {
        terms.nesting += 1.0;
        for element in elements {
            inside(element, key, depth - 1, terms);
        }
    } else {
        terms.value += 1.0;
    }
}

/// About how many tokens a text has, whatever the tokenizer; for texts that are weighed as a whole.
fn rough(text: &str) -> f64 {
    const ROUGH: Terms = Terms {
        request: 0.0,
        system: 0.0,
        message: 0.0,
        tools: 0.0,
        tool: 0.0,
        forced: 0.0,
        server_tool: 0.0,
        call: 0.0,
        result: 0.0,
        output: 0.0,
        thinking: 0.0,
        word: 1.0,
        long: 0.12,
        longer: 0.1,
        digit: 0.0,
        digits: 1.0,
        signs: 0.7,
        sign: 0.1,
        lines: 0.6,
        indent: 0.5,
        han: 0.8,
        kana: 0.8,
        hangul: 0.9,
        letter: 0.35,
        symbol: 1.2,
        thought: 0.0,
        proof: 0.0,
        described: 0.0,
        key: 0.0,
        value: 0.0,
        nesting: 0.0,
        output_word: 0.0,
        output_sign: 0.0,
        image: 0.0,
        page: 0.0,
        sound: 0.0,
        film: 0.0,
    };
    let mut own = Terms::default();
    count(text, &mut own);
    own.dot(&ROUGH)
}

/// Runs that are open at the place that is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Runs {
    /// Letters of the word so far.
    letters: u32,
    /// The last of them was a capital.
    capital: bool,
    digits: u32,
    signs: u32,
    spaces: u32,
    lines: u32,
}

impl Runs {
    fn ascii(&mut self, bytes: &[u8], terms: &mut Terms) {
        for &byte in bytes {
            match byte {
                b'a'..=b'z' => {
                    self.only_letters(terms);
                    self.letters += 1;
                    self.capital = false;
                }
                b'A'..=b'Z' => {
                    self.only_letters(terms);
                    if self.letters > 0 && !self.capital {
                        self.end_word(terms);
                    }
                    self.letters += 1;
                    self.capital = true;
                }
                b'0'..=b'9' => {
                    if self.digits == 0 {
                        self.end(terms);
                    }
                    self.digits += 1;
                }
                b' ' | b'\t' => {
                    if self.spaces == 0 {
                        self.end(terms);
                    }
                    self.spaces += 1;
                }
                b'\n' | b'\r' => {
                    if self.lines == 0 {
                        self.end(terms);
                    }
                    self.lines += 1;
                }
                _ => {
                    if self.signs == 0 {
                        self.end(terms);
                    }
                    self.signs += 1;
                }
            }
        }
    }

    fn foreign(&mut self, text: &str, terms: &mut Terms) {
        for c in text.chars() {
            match c {
                // Accents stand inside words of Latin letters.
                '\u{c0}'..='\u{24f}' => {
                    self.only_letters(terms);
                    self.letters += 1;
                    self.capital = false;
                    terms.letter += 1.0;
                    continue;
                }
                '\u{3040}'..='\u{30ff}' => terms.kana += 1.0,
                '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => {
                    terms.han += 1.0;
                }
                '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}' => terms.hangul += 1.0,
                '\u{370}'..='\u{1fff}' => terms.letter += 1.0,
                _ => terms.symbol += 1.0,
            }
            self.end(terms);
        }
    }

    fn only_letters(&mut self, terms: &mut Terms) {
        if self.letters == 0 {
            self.end(terms);
        }
    }

    fn end_word(&mut self, terms: &mut Terms) {
        terms.word += 1.0;
        terms.long += f64::from(self.letters.saturating_sub(6));
        terms.longer += f64::from(self.letters.saturating_sub(12));
        self.letters = 0;
    }

    /// Closes whichever run is open.
    pub(super) fn end(&mut self, terms: &mut Terms) {
        if self.letters > 0 {
            self.end_word(terms);
        }
        if self.digits > 0 {
            terms.digit += f64::from(self.digits);
            terms.digits += f64::from(self.digits.div_ceil(3));
        }
        if self.signs > 0 {
            terms.signs += 1.0;
            terms.sign += f64::from(self.signs);
        }
        if self.spaces > 1 {
            terms.indent += 1.0;
        }
        if self.lines > 0 {
            terms.lines += 1.0;
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_apart() {
        let check = |text: &str, expect: &[(&str, f64)]| {
            let mut terms = Terms::default();
            count(text, &mut terms);
            let found: Vec<_> = terms
                .named()
                .into_iter()
                .filter(|(_, count)| *count != 0.0)
                .collect();
            assert_eq!(found, expect, "{text:?}");
        };
        check("", &[]);
        check("two words", &[("word", 2.0)]);
        check(
            "internationalisation",
            &[("word", 1.0), ("long", 14.0), ("longer", 8.0)],
        );
        check("getCwdOf", &[("word", 3.0)]);
        check("HTTPServer x", &[("word", 2.0), ("long", 4.0)]);
        check("12345", &[("digit", 5.0), ("digits", 2.0)]);
        check(
            "a\n\n    b",
            &[("word", 2.0), ("lines", 1.0), ("indent", 1.0)],
        );
        check("{\"a\":", &[("word", 1.0), ("signs", 2.0), ("sign", 4.0)]);
        check(
            "今日はok한",
            &[("word", 1.0), ("han", 2.0), ("kana", 1.0), ("hangul", 1.0)],
        );
        check("Привет", &[("letter", 6.0)]);
        check(
            "café 🎉",
            &[("word", 1.0), ("letter", 1.0), ("symbol", 1.0)],
        );
    }

    #[test]
    fn schemas_are_taken_apart() {
        let schema = br#"{"type":"object","properties":{"a":{"type":"string","description":"one two three"}},"required":["a"]}"#;
        let mut terms = Terms::default();
        count_node(Node::parse(schema).unwrap(), &mut terms);
        assert_eq!(
            (terms.described, terms.nesting, terms.key),
            (3.0, 4.0, 7.32)
        );
    }
}
