//! A model that a request names in its own text: the files of coding agents' sub-agents hold such a tag, since the agents know no
//! other way to ask for another vendor's model.
//!
//! A tag counts where whoever wrote the agent has put it, and nowhere else: what a tool has found must not choose the model. In the
//! instructions in front of the conversation it begins a line; in the first two turns of the user it begins a part, and the turn
//! holds no result of a tool.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::DialectId;
use crate::json::{Edits, Fields, Node};

/// Names of the tag: that of claude-code-router, and ours.
const NAMES: [&str; 2] = ["CCR-SUBAGENT-MODEL", "lingate-model"];

/// Every body is searched: the searches are made ready once.
static FINDERS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| NAMES.map(Finder::new));

/// Turns of the user that are looked at; neighbours are one.
const TURNS: u32 = 2;

/// Characters of a model's name.
const LONGEST: usize = 200;

/// A request without its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// What the first tag names; `provider,model`, as claude-code-router has it, is `provider/model`.
    pub model: String,
    /// Every byte but the tags, and but parts that held nothing else.
    pub body: Vec<u8>,
}

/// Takes the tags out of a body; `None`: there are none, as in nearly every body, and all that was done is a search for their names.
pub fn take(body: &[u8], dialect: DialectId) -> Option<Tagged> {
    // The names hold no character that is ever escaped, unlike the brackets around them.
    FINDERS.iter().find(|name| name.find(body).is_some())?;
    let text = std::str::from_utf8(body).ok()?;
    let root = Node::parse(body).ok()?.fields().ok()?;
    let mut search = Search {
        edits: Edits::of(text),
        model: None,
        turns: 0,
        in_turn: false,
        answered: false,
    };
    match dialect {
        DialectId::Chat => search.messages(&root, "messages"),
        DialectId::Messages => {
            if let Some(system) = root.get("system") {
                search.content(system, Place::Instructions);
            }
            search.messages(&root, "messages");
        }
        DialectId::Responses => {
            if let Some(instructions) = root.get("instructions") {
                search.content(instructions, Place::Instructions);
            }
            search.messages(&root, "input");
        }
        DialectId::Gemini => {
            // Where tokens are counted, the request may lie inside.
            let inner = root.get("generateContentRequest");
            let inner = inner.and_then(|inner| inner.fields().ok());
            let root = inner.as_ref().unwrap_or(&root);
            let instruction = root.get("systemInstruction");
            if let Some(said) = instruction.or_else(|| root.get("system_instruction")) {
                search.content(parts(said), Place::Instructions);
            }
            search.messages(root, "contents");
        }
    }
    Some(Tagged {
        model: search.model?,
        body: search.edits.apply()?,
    })
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Instructions,
    User,
}

struct Search<'a> {
    edits: Edits<'a>,
    model: Option<String>,
    /// Turns of the user so far.
    turns: u32,
    /// The last message was the user's.
    in_turn: bool,
    /// Somebody else than the user has spoken.
    answered: bool,
}

impl<'a> Search<'a> {
    /// The conversation, up to the third turn of the user.
    fn messages(&mut self, root: &Fields<'a>, key: &str) {
        let messages = root.get(key).and_then(|list| list.one_or_many().ok());
        for message in messages.unwrap_or_default() {
            let Ok(fields) = message.fields() else {
                if self.is_early() {
                    self.text(message, Place::User);
                }
                continue;
            };
            let content = match fields.get("content") {
                Some(content) => Some(content),
                None => fields.get("parts"),
            };
            let role = fields.get("role").and_then(Node::text);
            // Contents of Gemini need not say whose they are; items of Responses that do not are nobody's words.
            let role = role.or_else(|| fields.get("parts").map(|_| "user".into()));
            match role.as_deref() {
                Some("system" | "developer") => {
                    if let Some(content) = content.filter(|_| !self.answered) {
                        self.content(content, Place::Instructions);
                    }
                }
                Some("user") => {
                    if !self.is_early() {
                        return;
                    }
                    if let Some(content) = content.filter(|content| !holds_result(*content)) {
                        self.content(content, Place::User);
                    }
                }
                Some(_) | None => {
                    self.in_turn = false;
                    self.answered = true;
                }
            }
        }
    }

    /// Whether a message of the user, which comes now, is one of the first turns.
    fn is_early(&mut self) -> bool {
        if !self.in_turn {
            self.in_turn = true;
            self.turns += 1;
        }
        self.turns <= TURNS
    }

    /// A text, or a list of parts. A part that held nothing but tags goes with them, if there are others: empty texts are refused.
    fn content(&mut self, content: Node<'a>, place: Place) {
        if content.is_string() {
            self.text(content, place);
            return;
        }
        let parts = content.one_or_many().unwrap_or_default();
        let mut emptied = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let text = match part.fields() {
                Ok(fields) => said(&fields),
                Err(_) => Some(*part),
            };
            if text.is_some_and(|text| self.text(text, place)) {
                emptied.push(index);
            }
        }
        if emptied.len() < parts.len() {
            self.edits.remove_elements(&parts, &emptied);
        }
    }

    /// Takes the tags out of one text; says whether nothing else was in it.
    fn text(&mut self, text: Node<'a>, place: Place) -> bool {
        let quoted = text.raw();
        let Some(source) = quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        else {
            return false;
        };
        let start = self.edits.place(text).start + 1;
        let mut spelled = Spelled { source, at: 0 };
        let mut found = false;
        let mut blank = true;
        // Nothing but white space stands before, in the part or in the line.
        let mut begins = true;
        loop {
            let before = spelled.at;
            if begins && let Some((model, behind)) = tag(spelled) {
                self.edits.cut(start + before..start + behind);
                self.model.get_or_insert(model);
                spelled.at = behind;
                found = true;
                continue;
            }
            let Some(next) = spelled.next() else {
                return found && blank;
            };
            if !next.is_whitespace() {
                blank = false;
                begins = false;
                if place == Place::User {
                    return false;
                }
            } else if next == '\n' {
                begins = true;
            }
        }
    }
}

/// What holds the parts of an instruction of Gemini: a text, a content, or a list.
fn parts(instruction: Node<'_>) -> Node<'_> {
    let fields = instruction.fields().ok();
    let parts = fields.and_then(|fields| fields.get("parts"));
    parts.unwrap_or(instruction)
}

/// The text of a part, if that is what it is.
fn said<'a>(part: &Fields<'a>) -> Option<Node<'a>> {
    let kind = part.get("type").and_then(Node::text);
    let is_text = matches!(kind.as_deref(), None | Some("text" | "input_text"));
    part.get("text").filter(|_| is_text)
}

/// Whether a tool's result is among the parts.
fn holds_result(content: Node<'_>) -> bool {
    let parts = content.one_or_many().unwrap_or_default();
    parts.into_iter().any(|part| {
        part.fields().is_ok_and(|part| {
            let kind = part.get("type").and_then(Node::text);
            kind.is_some_and(|kind| kind.ends_with("tool_result"))
                || part.get("functionResponse").is_some()
                || part.get("function_response").is_some()
        })
    })
}

/// A place in the source of a JSON string, read by characters, whichever way they are spelled.
#[derive(Debug, Clone, Copy)]
struct Spelled<'a> {
    source: &'a str,
    at: usize,
}

impl Spelled<'_> {
    fn next(&mut self) -> Option<char> {
        let rest = self.source.get(self.at..)?;
        let mut chars = rest.chars();
        let first = chars.next()?;
        if first != '\\' {
            self.at += first.len_utf8();
            return Some(first);
        }
        let escape = chars.next()?;
        self.at += 1 + escape.len_utf8();
        Some(match escape {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'u' => {
                let digits = rest.get(2..6)?;
                self.at += digits.len();
                let code = u32::from_str_radix(digits, 16).ok()?;
                // Half of a pair is no character of a tag.
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            // A quote, a slash, a backslash; the other two are no characters of a tag.
            other => other,
        })
    }

    fn takes(&mut self, text: &str) -> bool {
        text.chars().all(|char| self.next() == Some(char))
    }
}

/// The model that the tag which begins here names, and where it ends.
fn tag(mut from: Spelled<'_>) -> Option<(String, usize)> {
    if from.next() != Some('<') {
        return None;
    }
    NAMES.into_iter().find_map(|name| {
        let mut from = from;
        if !from.takes(name) || !from.takes(">") {
            return None;
        }
        let mut model = String::new();
        loop {
            match from.next()? {
                '<' => break,
                char if char.is_control() || model.len() >= LONGEST => return None,
                char => model.push(char),
            }
        }
        if !from.takes("/") || !from.takes(name) || !from.takes(">") {
            return None;
        }
        let model = match model.split_once(',') {
            Some((provider, model)) => format!("{}/{}", provider.trim(), model.trim()),
            None => model.trim().to_owned(),
        };
        (!model.is_empty()).then_some((model, from.at))
    })
}

#[cfg(test)]
mod tests;
