//! Where a value comes from, and what is wrong with it.

use std::fmt;
use std::sync::Arc;

use crate::overlay::{DocumentKind, Origin};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// Counted from 1, columns in characters. Line 0: the file as a whole.
    File {
        file: Arc<str>,
        line: usize,
        column: usize,
    },
    /// An environment variable.
    Variable(Arc<str>),
    /// A document of the database.
    Stored {
        kind: DocumentKind,
        name: Arc<str>,
        /// A JSON pointer into it; empty: the document as a whole.
        pointer: Arc<str>,
    },
}

impl Place {
    pub(crate) fn stored(kind: DocumentKind, name: &str) -> Self {
        Self::Stored {
            kind,
            name: name.into(),
            pointer: "".into(),
        }
    }

    /// Of what stands in something else, under a key or at a number; in a file that is known by its line.
    pub(crate) fn within(&self, key: &str) -> Self {
        match self {
            Self::Stored {
                kind,
                name,
                pointer,
            } => Self::Stored {
                kind: *kind,
                name: Arc::clone(name),
                pointer: format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")).into(),
            },
            Self::File { .. } | Self::Variable(_) => self.clone(),
        }
    }

    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::File { .. } => Origin::File,
            Self::Variable(_) => Origin::Environment,
            Self::Stored { .. } => Origin::Database,
        }
    }

    pub(crate) fn variable(name: &str) -> Self {
        Self::Variable(name.into())
    }

    /// In the order of the text; documents and variables, which have none, come last, in the order they were found.
    pub(crate) fn order(&self) -> (usize, usize) {
        match self {
            Self::File { line, column, .. } => (*line, *column),
            Self::Stored { .. } => (usize::MAX - 1, 0),
            Self::Variable(_) => (usize::MAX, 0),
        }
    }

    pub(crate) fn whole_file(file: &str) -> Self {
        Self::File {
            file: file.into(),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line: 0, .. } => f.write_str(file),
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => f.write_str(name),
            Self::Stored { kind, name, .. } => write!(f, "database: {kind} \"{name}\""),
        }
    }
}

/// A text that is read, and how places in it are named.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    File(Arc<str>),
    Variable(Arc<str>),
}

impl Source {
    pub(crate) fn file(name: &str) -> Self {
        Self::File(name.into())
    }

    pub(crate) fn at(&self, line: usize, column: usize) -> Place {
        match self {
            Self::File(file) => Place::File {
                file: Arc::clone(file),
                line,
                column,
            },
            Self::Variable(name) => Place::Variable(Arc::clone(name)),
        }
    }
}

/// What keeps a configuration from being used. Never holds a value, which might be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// The keys down to the value, `providers.openai.keys`; empty for the text as a whole.
    pub path: String,
    /// What is wrong and what to do, without place and path.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place,
            path: path.into(),
            message: message.into(),
        }
    }
}

/// As a compiler says it: `lingate.yml:12:5: providers.openai.keyz: unknown key; did you mean `keys`?`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// All problems of a configuration at once, in the order of the text; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What somebody should know about a configuration that can be used. Shown like a [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub place: Place,
    pub path: String,
    pub message: String,
}

impl Note {
    pub(crate) fn new(place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place,
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// The name that was probably meant.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&name, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, known)| known)
}

/// `; did you mean `keys`?`, or nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(name, known)
        .map(|known| format!("; did you mean `{known}`?"))
        .unwrap_or_default()
}
