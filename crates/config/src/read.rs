//! From the tree to typed values: checks every key and value against its shape and reports all that is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lingate_catalog::{BadAmount, Factor, nano_dollars};
use secrecy::SecretString;

use crate::environment::Environment;
use crate::overlay::Overlay;
use crate::place::{Note, Place, Problem, did_you_mean};
use crate::shape::{Field, Shape};
use crate::tree::{Data, Node};

/// A value of the type that its shape says.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) place: Place,
    pub(crate) path: String,
    pub(crate) typed: Typed,
}

#[derive(Debug)]
pub(crate) enum Typed {
    Text(String),
    Secret(SecretString),
    /// Without empty ones.
    Secrets(Vec<SecretString>),
    Number(u64),
    Decimal(f64),
    /// Nano-dollars.
    Dollars(u64),
    Factor(Factor),
    Flag(bool),
    Duration(Duration),
    Age(Age),
    Size(u64),
    /// The first spelling.
    Choice(&'static str),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    Record(Vec<(String, Value)>),
}

/// A file of the wrong kind has as many problems as lines.
const MOST_TOLD: usize = 10;

/// Reads values and gathers what is to be said about them.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) environment: &'a Environment,
    /// Where relative `file:` paths begin.
    pub(crate) directory: &'a Path,
    /// What the database adds.
    pub(crate) overlay: &'a Overlay,
    /// Where references of the database do not lead: the folder in which the gateway keeps secrets of its own.
    pub(crate) closed: PathBuf,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<Note>,
    /// Files that secrets were read from.
    pub(crate) files: Vec<PathBuf>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        environment: &'a Environment,
        directory: &'a Path,
        overlay: &'a Overlay,
    ) -> Self {
        Self {
            environment,
            directory,
            overlay,
            closed: crate::Settings::default().data,
            problems: Vec::new(),
            notes: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl Reader<'_> {
    pub(crate) fn problem(&mut self, place: &Place, path: &str, message: impl Into<String>) {
        self.problems
            .push(Problem::new(place.clone(), path, message));
    }

    /// Whether something is already said about a value or what is in it: what follows from it is not worth another line.
    pub(crate) fn told(&self, path: &str) -> bool {
        self.problems.iter().any(|problem| {
            let rest = problem.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    pub(crate) fn note(&mut self, place: &Place, path: &str, message: impl Into<String>) {
        self.notes.push(Note::new(place.clone(), path, message));
    }

    /// `None` for what is empty or wrong; in the second case a problem says so.
    pub(crate) fn read(&mut self, node: &Node, shape: &Shape, path: &str) -> Option<Value> {
        let wrong = |reader: &mut Self, message: &str| {
            reader.problem(&node.place, path, message);
            None
        };
        let typed = match (shape, &node.data) {
            (Shape::Record(_), Data::Null) => Typed::Record(Vec::new()),
            (_, Data::Null) => return None,
            (Shape::Either(plain, _), Data::Scalar(_)) if !matches!(plain, Shape::Choice(_)) => {
                return self.read(node, plain, path);
            }
            (Shape::Either(_, other), Data::List(_) | Data::Map(_)) => {
                return self.read(node, other, path);
            }
            (Shape::List(item), Data::List(nodes)) => {
                let read = |(place, node)| self.read(node, item, &format!("{path}.{place}"));
                Typed::List(nodes.iter().enumerate().filter_map(read).collect())
            }
            (Shape::List(item), Data::Scalar(text)) => {
                let text = self.substituted(text, item, node, path)?;
                let pieces = text
                    .split(',')
                    .map(str::trim)
                    .filter(|piece| !piece.is_empty());
                let read = |piece| self.read_text(piece, item, node, path);
                Typed::List(pieces.filter_map(read).collect())
            }
            (Shape::List(item), Data::Map(_)) => {
                Typed::List(self.read(node, item, path).into_iter().collect())
            }
            (Shape::Map(item), Data::Map(entries)) => {
                let mut values = Vec::with_capacity(entries.len());
                for (key, node) in entries {
                    if let Some(value) = self.read(node, item, &join(path, &key.name)) {
                        values.push((key.name.clone(), value));
                    }
                }
                Typed::Map(values)
            }
            (Shape::Record(fields), Data::Map(_)) => Typed::Record(self.record(node, fields, path)),
            (Shape::Map(_) | Shape::Record(_), _) => {
                return wrong(self, "expected keys and values");
            }
            (_, Data::Scalar(text)) => {
                let text = self.substituted(text, shape, node, path)?;
                return self.read_text(text.trim(), shape, node, path);
            }
            (_, Data::List(_) | Data::Map(_)) => {
                return wrong(self, &format!("expected {}", expected(shape)));
            }
        };
        Some(Value {
            place: node.place.clone(),
            path: path.to_owned(),
            typed,
        })
    }

    /// A single value, after substitution. An empty text counts as not written.
    fn read_text(&mut self, text: &str, shape: &Shape, node: &Node, path: &str) -> Option<Value> {
        if text.is_empty() {
            return None;
        }
        let typed = match shape {
            Shape::Text => Some(Typed::Text(text.to_owned())),
            Shape::Secret => {
                let secret = self.secret(text, &node.place, path)?;
                let secret = secret.trim();
                if secret.is_empty() {
                    self.problem(&node.place, path, "the secret is empty");
                    return None;
                }
                Some(Typed::Secret(SecretString::from(secret)))
            }
            Shape::Secrets => Some(Typed::Secrets(self.secrets(text, &node.place, path)?)),
            Shape::Number { least, most } => text
                .replace('_', "")
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(&number))
                .map(Typed::Number),
            Shape::Decimal => text
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map(Typed::Decimal),
            Shape::Dollars => match nano_dollars(text) {
                Ok(nano) => Some(Typed::Dollars(nano)),
                Err(error) => {
                    self.problem(&node.place, path, error.to_string());
                    return None;
                }
            },
            Shape::Factor => match Factor::parse(text) {
                Ok(factor) => Some(Typed::Factor(factor)),
                Err(error) => {
                    let message = match error {
                        BadAmount::NoNumber => "expected a number such as 1.2",
                        BadAmount::Negative => "it cannot be negative",
                        BadAmount::TooFine => "it has at most six digits after the point",
                        BadAmount::TooLarge => "it is too large",
                    };
                    self.problem(&node.place, path, message);
                    return None;
                }
            },
            Shape::Flag => flag(text).map(Typed::Flag),
            Shape::Duration => duration(text).map(Typed::Duration),
            Shape::Age => age(text).map(Typed::Age),
            Shape::Size => size(text).map(Typed::Size),
            Shape::Choice(choices) | Shape::Either(Shape::Choice(choices), _) => choices
                .iter()
                .find(|words| words.iter().any(|word| word.eq_ignore_ascii_case(text)))
                .and_then(|words| words.first().copied())
                .map(Typed::Choice),
            Shape::Either(plain, _) => return self.read_text(text, plain, node, path),
            Shape::List(_) | Shape::Map(_) | Shape::Record(_) => None,
        };
        let Some(typed) = typed else {
            self.problem(&node.place, path, format!("expected {}", expected(shape)));
            return None;
        };
        Some(Value {
            place: node.place.clone(),
            path: path.to_owned(),
            typed,
        })
    }

    fn record(&mut self, node: &Node, fields: &[Field], path: &str) -> Vec<(String, Value)> {
        let Data::Map(entries) = &node.data else {
            return Vec::new();
        };
        let mut values = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let path = join(path, &key.name);
            let Some(field) = fields.iter().find(|field| field.is(&key.name)) else {
                let meant = did_you_mean(&key.name, fields.iter().map(|field| field.name));
                self.problem(&key.place, &path, format!("unknown key{meant}"));
                continue;
            };
            let told = self.problems.len();
            let value = self.read(node, &field.shape, &path);
            let empty =
                |value: &Value| matches!(&value.typed, Typed::List(items) if items.is_empty());
            if field.narrows && self.problems.len() == told && value.as_ref().is_none_or(empty) {
                let message =
                    "is empty, and so would narrow nothing down: give it a value, or leave it out";
                self.problem(&key.place, &path, message);
                continue;
            }
            let Some(value) = value else {
                continue;
            };
            if let Some(why) = field.later {
                self.note(&key.place, &path, why);
            }
            values.push((key.name.clone(), value));
        }
        values
    }

    /// Secrets with commas or on lines of their own; in a file, lines that begin with `#` are for people.
    pub(crate) fn secrets(
        &mut self,
        text: &str,
        place: &Place,
        path: &str,
    ) -> Option<Vec<SecretString>> {
        let content = self.secret(text, place, path)?;
        let file = text.strip_prefix("file:");
        let mut secrets = Vec::new();
        let mut wrong = 0;
        for (number, line) in (1..).zip(content.lines()) {
            if file.is_some() && line.trim_start().starts_with('#') {
                continue;
            }
            for secret in line.split(',').map(str::trim) {
                if secret.is_empty() {
                    continue;
                }
                if secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                    secrets.push(SecretString::from(secret));
                    continue;
                }
                wrong += 1;
                if wrong <= MOST_TOLD {
                    let line = file.map(|file| format!("{file}:{number}: "));
                    let message = format!(
                        "{}holds characters that a header cannot carry",
                        line.unwrap_or_default()
                    );
                    self.problem(place, path, message);
                }
            }
        }
        if wrong > MOST_TOLD {
            let message = format!("and {} more such lines", wrong - MOST_TOLD);
            self.problem(place, path, message);
        }
        Some(secrets)
    }

    /// The secret itself, from a file if the text says so.
    fn secret(&mut self, text: &str, place: &Place, path: &str) -> Option<String> {
        let Some(file) = text.strip_prefix("file:") else {
            return Some(text.to_owned());
        };
        let file = self.directory.join(file);
        if matches!(place, Place::Stored { .. }) && self.is_closed(&file) {
            let message = "a reference of the database does not lead into the gateway's data folder, nor to /proc, /sys or /dev";
            self.problem(place, path, message);
            return None;
        }
        let content = std::fs::read_to_string(&file);
        let shown = file.display();
        match content {
            Ok(content) => {
                self.files.push(file);
                Some(content)
            }
            Err(error) => {
                let message = format!("the secret's file {shown} cannot be read: {error}");
                self.problem(place, path, message);
                None
            }
        }
    }

    /// Whether a file is none of those that whoever may write the database can have read.
    fn is_closed(&self, file: &Path) -> bool {
        // A file that is not there is told by whoever reads it.
        let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let closed = std::fs::canonicalize(&self.closed).unwrap_or_else(|_| self.closed.clone());
        let system = ["/proc", "/sys", "/dev"].map(Path::new);
        std::iter::once(closed.as_path())
            .chain(system)
            .any(|folder| real.starts_with(folder))
    }

    /// Replaces `${NAME}` and `${NAME:-default}`; `$${` is a plain `${`. Of the database this is done in secrets alone.
    fn substituted(
        &mut self,
        text: &str,
        shape: &Shape,
        node: &Node,
        path: &str,
    ) -> Option<String> {
        let stored = matches!(node.place, Place::Stored { .. });
        let secret = matches!(
            shape,
            Shape::Secret | Shape::Secrets | Shape::Either(Shape::Secret | Shape::Secrets, _)
        );
        if stored && !secret {
            return Some(text.to_owned());
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let Some((inside, after)) = after.split_once('}') else {
                self.problem(&node.place, path, "`${` without `}`");
                return None;
            };
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            if stored && name.starts_with("LINGATE_") {
                let message = format!("{name} is the gateway's own, and nothing for a provider");
                self.problem(&node.place, path, message);
                return None;
            }
            let Some(value) = self.environment.get(name).or(default) else {
                let message = format!(
                    "the environment variable {name} is not set; write `${{{name}:-}}` if it may be missing"
                );
                self.problem(&node.place, path, message);
                return None;
            };
            out.push_str(value);
            rest = after;
        }
        out.push_str(rest);
        Some(out)
    }
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text | Shape::Secret => "a text".to_owned(),
        Shape::Secrets => "a key, or several with commas".to_owned(),
        Shape::Number { least, most } => format!("a whole number from {least} to {most}"),
        Shape::Decimal => "a number".to_owned(),
        Shape::Dollars => "dollars such as 0.25".to_owned(),
        Shape::Factor => "a number such as 1.2".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Duration => "a duration such as 600s, 2m or 1h30m".to_owned(),
        Shape::Age => "a time such as 30d, 6w or 3y, or `forever`".to_owned(),
        Shape::Size => "a size such as 64MiB".to_owned(),
        Shape::Choice(choices) => {
            let words: Vec<&str> = choices
                .iter()
                .filter_map(|words| words.first().copied())
                .collect();
            format!("one of {}", words.join(", "))
        }
        Shape::Either(plain @ Shape::Choice(_), Shape::Record(fields)) => {
            let keys: Vec<String> = fields
                .iter()
                .map(|field| format!("`{{{}: …}}`", field.name))
                .collect();
            format!("{}, or {}", expected(plain), keys.join(" or "))
        }
        Shape::List(_) => "a list".to_owned(),
        Shape::Map(_) | Shape::Record(_) | Shape::Either(..) => "keys and values".to_owned(),
    }
}

pub(crate) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// `600s`, `1h30m`, `250ms`, or a number of seconds, whole or not. At most a year.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_hours(24 * 366);
    let total = if let Ok(seconds) = text.parse::<f64>() {
        Duration::try_from_secs_f64(seconds).ok()?
    } else {
        added(text, |unit| match unit {
            "ms" => Some(Duration::from_millis(1)),
            _ => clock_unit(unit),
        })?
    };
    (!total.is_zero() && total <= LONGEST).then_some(total)
}

/// How long something is kept, or how long ago something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    Of(Duration),
    Forever,
}

/// A time as people write it: `90d`, `6w`, `1h30m`, `3y`, `forever`; `None`: it is none. At most a thousand years, which is not told from for ever by anybody.
pub fn age(text: &str) -> Option<Age> {
    const DAY: Duration = Duration::from_hours(24);
    if text.eq_ignore_ascii_case("forever") {
        return Some(Age::Forever);
    }
    let total = added(text, |unit| match unit {
        "w" => Some(DAY * 7),
        "y" => Some(DAY * 365),
        _ => clock_unit(unit),
    })?;
    (!total.is_zero() && total <= DAY * 365_000).then_some(Age::Of(total))
}

fn clock_unit(unit: &str) -> Option<Duration> {
    Some(match unit {
        "s" => Duration::from_secs(1),
        "m" | "min" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        "d" => Duration::from_hours(24),
        _ => return None,
    })
}

/// The sum of numbers with their units.
fn added(text: &str, unit: impl Fn(&str) -> Option<Duration>) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        let after = rest.get(digits..)?;
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let unit = unit(after.get(..letters)?)?;
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = after.get(letters..)?.trim_start();
    }
    Some(total)
}

/// `64MiB`, `10MB`, `512K`, or a number of bytes.
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match text.get(digits..)?.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "k" | "ki" | "kib" => 1 << 10,
        "m" | "mi" | "mib" => 1 << 20,
        "g" | "gi" | "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit).filter(|bytes| *bytes > 0)
}

/// Typed access; what does not have the type was never read as such.
impl Value {
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn entries(&self) -> &[(String, Self)] {
        if let Typed::Record(entries) | Typed::Map(entries) = &self.typed {
            entries
        } else {
            &[]
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        if let Typed::List(items) = &self.typed {
            items
        } else {
            &[]
        }
    }

    /// The items of a list, or the one value that stands in place of a list.
    pub(crate) fn each(&self) -> &[Self] {
        if let Typed::List(items) = &self.typed {
            items
        } else {
            std::slice::from_ref(self)
        }
    }

    /// The texts of a list.
    pub(crate) fn texts(list: Option<&Self>) -> Vec<String> {
        list.map(Self::items)
            .unwrap_or_default()
            .iter()
            .filter_map(Self::text)
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Typed::Text(text) = &self.typed {
            Some(text)
        } else if let Typed::Choice(word) = self.typed {
            Some(word)
        } else {
            None
        }
    }

    pub(crate) fn secret(&self) -> Option<&SecretString> {
        let Typed::Secret(secret) = &self.typed else {
            return None;
        };
        Some(secret)
    }

    pub(crate) fn secrets(&self) -> &[SecretString] {
        if let Typed::Secrets(secrets) = &self.typed {
            secrets
        } else {
            &[]
        }
    }

    pub(crate) fn number(&self) -> Option<u64> {
        if let Typed::Number(number) | Typed::Size(number) = self.typed {
            Some(number)
        } else {
            None
        }
    }

    /// Nano-dollars.
    pub(crate) fn dollars(&self) -> Option<u64> {
        let Typed::Dollars(nano) = self.typed else {
            return None;
        };
        Some(nano)
    }

    pub(crate) fn factor(&self) -> Option<Factor> {
        let Typed::Factor(factor) = self.typed else {
            return None;
        };
        Some(factor)
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        let Typed::Flag(flag) = self.typed else {
            return None;
        };
        Some(flag)
    }

    pub(crate) fn age(&self) -> Option<Age> {
        let Typed::Age(age) = self.typed else {
            return None;
        };
        Some(age)
    }

    pub(crate) fn duration(&self) -> Option<Duration> {
        let Typed::Duration(duration) = self.typed else {
            return None;
        };
        Some(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expect) in [
            ("600s", Some(600_000)),
            ("2m", Some(120_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("250ms", Some(250)),
            ("1d", Some(86_400_000)),
            ("120", Some(120_000)),
            ("0.5", Some(500)),
            ("0", None),
            ("0s", None),
            ("-1", None),
            ("1e300", None),
            ("NaN", None),
            ("5x", None),
            ("s", None),
            ("5s!", None),
            ("400d", None),
            ("99999999999s", None),
        ] {
            let expect = expect.map(Duration::from_millis);
            assert_eq!(duration(text), expect, "{text}");
        }
    }

    #[test]
    fn ages() {
        for (text, expect) in [
            ("90d", Some(90 * 24)),
            ("3y", Some(3 * 365 * 24)),
            ("1w 1d", Some(8 * 24)),
            ("90", None),
            ("250ms", None),
            ("0d", None),
            ("9999999y", None),
            ("never", None),
        ] {
            let expect = expect.map(|hours| Age::Of(Duration::from_hours(hours)));
            assert_eq!(age(text), expect, "{text}");
        }
        assert_eq!(age("forever"), Some(Age::Forever));
    }

    #[test]
    fn sizes() {
        for (text, expect) in [
            ("64MiB", Some(64 << 20)),
            ("64 MiB", Some(64 << 20)),
            ("10MB", Some(10_000_000)),
            ("512k", Some(512 << 10)),
            ("1GiB", Some(1 << 30)),
            ("1024", Some(1024)),
            ("0", None),
            ("MiB", None),
            ("1TiB", None),
            ("99999999999999GiB", None),
            ("-1", None),
        ] {
            assert_eq!(size(text), expect, "{text}");
        }
    }
}
