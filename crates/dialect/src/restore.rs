//! Tools that a target was told of otherwise than the caller declared them, and the way back on the answer.

use crate::hub::{Delta, Event, Open, ToolCall};
use crate::names;
use crate::recast::TextIs;

/// What became of the caller's tools on the way to one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolChanges {
    /// Names that the target cannot spell, as `(sent, original)`.
    pub renamed: Vec<(String, String)>,
    /// Free-form tools that were declared as functions with one text, `input`; their original names.
    pub wrapped: Vec<String>,
    /// What the text of the answer stands for.
    pub text_is: TextIs,
}

impl ToolChanges {
    /// The caller's name of the tool that the target calls `sent`.
    pub fn original<'a>(&'a self, sent: &'a str) -> &'a str {
        self.renamed
            .iter()
            .find(|(other, _)| other == sent)
            .map_or(sent, |(_, original)| original)
    }

    fn rename(&self, name: &mut String) {
        let original = self.original(name);
        if original != name {
            *name = original.to_owned();
        } else if let Some((space, inner)) = names::of_space(name) {
            // A tool that was searched for has its own name for a namespace.
            let original = self.original(inner);
            if space == inner && original != inner {
                *name = original.to_owned();
            }
        }
    }

    fn is_wrapped(&self, original: &str) -> bool {
        self.wrapped.iter().any(|name| name == original)
    }

    /// Makes the call of an answer one of the tool that the caller declared.
    pub fn restore(&self, call: &mut ToolCall) {
        self.rename(&mut call.name);
        if !call.custom && self.is_wrapped(&call.name) {
            call.custom = true;
            let mut text = String::new();
            let mut unwrapper = Unwrapper::default();
            unwrapper.push(&call.arguments, &mut text);
            unwrapper.finish(&mut text);
            call.arguments = text;
        }
    }
}

/// Does for the events of a streamed answer what [`ToolChanges::restore`] does for a call.
#[derive(Debug, Default)]
pub(crate) struct Restorer {
    changes: ToolChanges,
    /// The open calls whose arguments are unwrapped, by the index of their part.
    open: Vec<(u32, Unwrapper)>,
}

impl Restorer {
    pub(crate) fn new(changes: ToolChanges) -> Self {
        Self {
            changes,
            open: Vec::new(),
        }
    }

    /// Gives `event` as the caller is to see it, in up to two events.
    pub(crate) fn event(&mut self, mut event: Event) -> [Option<Event>; 2] {
        match &mut event {
            Event::Open {
                index,
                part: Open::ToolCall { name, custom, .. },
                ..
            } => {
                self.changes.rename(name);
                if !*custom && self.changes.is_wrapped(name) {
                    *custom = true;
                    self.open.push((*index, Unwrapper::default()));
                }
            }
            Event::Delta {
                index,
                delta: Delta::Arguments(piece),
            } => {
                if let Some((_, unwrapper)) = self.open.iter_mut().find(|(open, _)| open == index) {
                    let mut text = String::new();
                    unwrapper.push(piece, &mut text);
                    if text.is_empty() {
                        return [None, None];
                    }
                    *piece = text;
                }
            }
            Event::Close { index } => {
                let index = *index;
                if let Some(at) = self.open.iter().position(|(open, _)| *open == index) {
                    let (_, mut unwrapper) = self.open.swap_remove(at);
                    let mut text = String::new();
                    unwrapper.finish(&mut text);
                    if !text.is_empty() {
                        let rest = Event::Delta {
                            index,
                            delta: Delta::Arguments(text),
                        };
                        return [Some(rest), Some(event)];
                    }
                }
            }
            Event::Start { .. }
            | Event::Open { .. }
            | Event::Delta { .. }
            | Event::Usage(_)
            | Event::ServiceTier(_)
            | Event::Logprobs { .. }
            | Event::Finish { .. }
            | Event::Error(_) => {}
        }
        [Some(event), None]
    }
}

/// Takes the text out of `{"input":"…"}`, fed in pieces cut anywhere. Arguments of any other form are the text themselves.
#[derive(Debug, Default)]
pub(crate) struct Unwrapper {
    state: State,
    /// What was read and is not decided yet: the beginning of the object, or of an escape.
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the text.
    #[default]
    Head,
    /// In the text.
    Text,
    /// After the text: what follows closes the object.
    Tail,
    /// Not the expected form.
    Plain,
}

/// The tokens in front of the text; white space may stand between them.
const HEAD: [&str; 3] = ["{", "\"input\"", ":"];
/// What is held in the hope of that beginning, in bytes: models that are bound to a form fall into endless white space.
const LONGEST: usize = 4096;

impl Unwrapper {
    pub(crate) fn push(&mut self, piece: &str, out: &mut String) {
        let mut rest = piece;
        loop {
            match self.state {
                State::Plain => return out.push_str(rest),
                State::Tail => return,
                State::Head => {
                    self.held.push_str(rest);
                    rest = "";
                    match head(&self.held) {
                        Head::Open if self.held.len() < LONGEST => return,
                        Head::Text(at) if at <= LONGEST => {
                            self.state = State::Text;
                            self.held.drain(..at);
                        }
                        Head::Open | Head::Text(_) | Head::Other => {
                            self.state = State::Plain;
                            out.push_str(&std::mem::take(&mut self.held));
                        }
                    }
                }
                State::Text => {
                    let whole = if self.held.is_empty() {
                        std::borrow::Cow::Borrowed(rest)
                    } else {
                        self.held.push_str(rest);
                        std::borrow::Cow::Owned(std::mem::take(&mut self.held))
                    };
                    match text(&whole, out) {
                        Some(held) => held.clone_into(&mut self.held),
                        None => self.state = State::Tail,
                    }
                    return;
                }
            }
        }
    }

    /// The arguments are over: what is still held is text.
    pub(crate) fn finish(&mut self, out: &mut String) {
        out.push_str(&std::mem::take(&mut self.held));
    }
}

enum Head {
    /// It may still become the expected beginning.
    Open,
    Other,
    /// The text begins at this byte.
    Text(usize),
}

fn head(held: &str) -> Head {
    let mut rest = held.trim_ascii_start();
    for token in HEAD {
        match rest.strip_prefix(token) {
            Some(after) => rest = after.trim_ascii_start(),
            None if token.starts_with(rest) => return Head::Open,
            None => return Head::Other,
        }
    }
    match rest.strip_prefix('"') {
        Some(after) => Head::Text(held.len() - after.len()),
        None if rest.is_empty() => Head::Open,
        None => Head::Other,
    }
}

/// Appends the value of a JSON string whose opening quote lies before `json`. `None`: it closed; else what has to wait for more.
fn text<'a>(json: &'a str, out: &mut String) -> Option<&'a str> {
    let mut rest = json;
    while let Some(at) = rest.find(['"', '\\']) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        if special.starts_with('"') {
            return None;
        }
        match escape(special) {
            Escape::Open => return Some(special),
            Escape::Is(value, length) => {
                out.push(value);
                rest = special.get(length..).unwrap_or_default();
            }
            // Not JSON: the backslash stands for itself.
            Escape::Broken => {
                out.push('\\');
                rest = special.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    Some("")
}

enum Escape {
    Open,
    Broken,
    /// The character, and the bytes that it takes.
    Is(char, usize),
}

fn escape(text: &str) -> Escape {
    let simple = match text.as_bytes().get(1) {
        None => return Escape::Open,
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'u') => return unicode(text),
        Some(_) => return Escape::Broken,
    };
    Escape::Is(simple, 2)
}

/// `\uXXXX`, or two of them that are one character; half a pair becomes U+FFFD.
fn unicode(text: &str) -> Escape {
    let unit = |at: usize| -> Result<u32, Escape> {
        let digits = text.as_bytes().get(at..).unwrap_or_default();
        let digits = digits.get(..digits.len().min(4)).unwrap_or_default();
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Escape::Broken);
        }
        if digits.len() < 4 {
            return Err(Escape::Open);
        }
        let value = std::str::from_utf8(digits).map(|digits| u32::from_str_radix(digits, 16));
        value.ok().and_then(Result::ok).ok_or(Escape::Broken)
    };
    let first = match unit(2) {
        Ok(first) => first,
        Err(undecided) => return undecided,
    };
    let half = Escape::Is(char::REPLACEMENT_CHARACTER, 6);
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).map_or(half, |value| Escape::Is(value, 6));
    }
    match text.get(6..) {
        Some(next) if next.starts_with("\\u") => {}
        Some("" | "\\") | None => return Escape::Open,
        Some(_) => return half,
    }
    match unit(8) {
        Ok(second) if (0xdc00..0xe000).contains(&second) => {
            let value = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            char::from_u32(value).map_or(half, |value| Escape::Is(value, 12))
        }
        Err(Escape::Open) => Escape::Open,
        Ok(_) | Err(Escape::Broken | Escape::Is(..)) => half,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_blanks_are_not_held() {
        let mut out = String::new();
        let mut unwrapper = Unwrapper::default();
        for _ in 0..1 << 20 {
            unwrapper.push(" ", &mut out);
        }
        assert!(unwrapper.held.is_empty());
        assert_eq!(out.len(), 1 << 20);
    }

    /// Whole, in single characters, and cut at every place.
    fn check(arguments: &str, expect: &str) {
        let unwrap = |pieces: &[&str]| {
            let mut out = String::new();
            let mut unwrapper = Unwrapper::default();
            for piece in pieces {
                unwrapper.push(piece, &mut out);
            }
            unwrapper.finish(&mut out);
            out
        };
        assert_eq!(unwrap(&[arguments]), expect, "{arguments}");
        let mut buffer = [0; 4];
        let mut single = String::new();
        let mut unwrapper = Unwrapper::default();
        for c in arguments.chars() {
            unwrapper.push(c.encode_utf8(&mut buffer), &mut single);
        }
        unwrapper.finish(&mut single);
        assert_eq!(single, expect, "{arguments}");
        for (at, _) in arguments.char_indices() {
            let (before, after) = arguments.split_at(at);
            assert_eq!(unwrap(&[before, after]), expect, "{arguments} at {at}");
        }
    }

    #[test]
    fn the_text_is_taken_out_of_its_object() {
        check(r#"{"input":"ls -l"}"#, "ls -l");
        check(" {\n \"input\" : \"a\\nb\" } ", "a\nb");
        check(
            r#"{"input":"\"q\" \\ \/ \b\f\n\r\t é \u00e9 \ud83d\ude00 😀"}"#,
            "\"q\" \\ / \u{8}\u{c}\n\r\t é é 😀 😀",
        );
        check(r#"{"input":""}"#, "");
        check("", "");
    }

    #[test]
    fn what_is_cut_short_or_broken_is_kept() {
        check(r#"{"input":"half"#, "half");
        check(r#"{"input":"half\"#, "half\\");
        check(r#"{"input":"half\u12"#, "half\\u12");
        check(r#"{"input":"\ud83d and \ude00"}"#, "\u{fffd} and \u{fffd}");
        check(r#"{"input":"\ud83d\u0041"}"#, "\u{fffd}A");
        check(r#"{"input":"\x \u00zz"}"#, "\\x \\u00zz");
        check(r#"{"inp"#, r#"{"inp"#);
    }

    #[test]
    fn other_arguments_are_the_text_themselves() {
        check("*** Begin Patch", "*** Begin Patch");
        check(r#"{"input":["a"]}"#, r#"{"input":["a"]}"#);
        check(r#"{"patch":"a"}"#, r#"{"patch":"a"}"#);
        check(r#""text""#, r#""text""#);
    }

    #[test]
    fn calls_get_their_names_and_forms_back() {
        let changes = ToolChanges {
            renamed: vec![("a_b".to_owned(), "a.b".to_owned())],
            wrapped: vec!["a.b".to_owned()],
            ..ToolChanges::default()
        };
        let call = |name: &str, arguments: &str| {
            let mut call = ToolCall {
                id: "1".to_owned(),
                name: name.to_owned(),
                arguments: arguments.to_owned(),
                custom: false,
                proof: None,
            };
            changes.restore(&mut call);
            (call.name, call.arguments, call.custom)
        };
        assert_eq!(
            call("a_b", r#"{"input":"x"}"#),
            ("a.b".to_owned(), "x".to_owned(), true)
        );
        assert_eq!(
            call("other", r#"{"input":"x"}"#),
            ("other".to_owned(), r#"{"input":"x"}"#.to_owned(), false)
        );
    }

    #[test]
    fn streamed_calls_are_restored_each_by_itself() {
        let mut restorer = Restorer::new(ToolChanges {
            renamed: Vec::new(),
            wrapped: vec!["free".to_owned()],
            ..ToolChanges::default()
        });
        let open = |index, name: &str| Event::Open {
            index,
            choice: 0,
            part: Open::ToolCall {
                id: format!("c{index}"),
                name: name.to_owned(),
                custom: false,
            },
        };
        let arguments = |index, piece: &str| Event::Delta {
            index,
            delta: Delta::Arguments(piece.to_owned()),
        };
        let mut told = Vec::new();
        for event in [
            open(0, "free"),
            open(1, "plain"),
            arguments(0, "{\"inp"),
            arguments(1, "{\"input\":\"y\"}"),
            arguments(0, "ut\":\"x\\"),
            Event::Close { index: 1 },
            Event::Close { index: 0 },
        ] {
            told.extend(restorer.event(event).into_iter().flatten());
        }
        let mut custom = open(0, "free");
        if let Event::Open {
            part: Open::ToolCall { custom, .. },
            ..
        } = &mut custom
        {
            *custom = true;
        }
        let expect = [
            custom,
            open(1, "plain"),
            arguments(1, "{\"input\":\"y\"}"),
            arguments(0, "x"),
            Event::Close { index: 1 },
            arguments(0, "\\"),
            Event::Close { index: 0 },
        ];
        assert_eq!(told, expect);
    }
}
