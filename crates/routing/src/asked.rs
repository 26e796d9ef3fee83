//! A request while routes are tried on it.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt;

use rustc_hash::FxHashMap;

use crate::language::Scripts;
use crate::{Ask, Clock};

/// A request whose facts are asked for once at most, however many routes have conditions on them: some cost a reading of the
/// whole body. Make one for each request and hand it to all that is decided about it.
pub struct Asked<'a> {
    pub ask: Ask<'a>,
    key: OnceCell<Option<&'a str>>,
    tenant: OnceCell<Option<&'a str>>,
    tags: OnceCell<Vec<Cow<'a, str>>>,
    headers: RefCell<FxHashMap<Box<str>, Option<&'a str>>>,
    clocks: RefCell<FxHashMap<Box<str>, Option<Clock>>>,
    user: OnceCell<Option<Cow<'a, str>>>,
    max_output: OnceCell<Option<u64>>,
    thinking: OnceCell<bool>,
    images: OnceCell<bool>,
    tools: OnceCell<Vec<Cow<'a, str>>>,
    tokens: OnceCell<u64>,
    lowercase: OnceCell<String>,
    scripts: OnceCell<Scripts>,
}

impl<'a> Asked<'a> {
    pub fn new(ask: &Ask<'a>) -> Self {
        Self {
            ask: *ask,
            key: OnceCell::new(),
            tenant: OnceCell::new(),
            tags: OnceCell::new(),
            headers: RefCell::default(),
            clocks: RefCell::default(),
            user: OnceCell::new(),
            max_output: OnceCell::new(),
            thinking: OnceCell::new(),
            images: OnceCell::new(),
            tools: OnceCell::new(),
            tokens: OnceCell::new(),
            lowercase: OnceCell::new(),
            scripts: OnceCell::new(),
        }
    }

    pub fn key(&self) -> Option<&'a str> {
        *self.key.get_or_init(|| self.ask.facts.key())
    }

    pub fn tenant(&self) -> Option<&'a str> {
        *self.tenant.get_or_init(|| self.ask.facts.tenant())
    }

    pub fn tags(&self) -> &[Cow<'a, str>] {
        self.tags.get_or_init(|| self.ask.facts.tags())
    }

    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        if let Some(known) = self.headers.borrow().get(name) {
            return *known;
        }
        let value = self.ask.facts.header(name);
        self.headers.borrow_mut().insert(name.into(), value);
        value
    }

    pub fn clock(&self, zone: &str) -> Option<Clock> {
        if let Some(known) = self.clocks.borrow().get(zone) {
            return *known;
        }
        let clock = self.ask.facts.clock(zone);
        self.clocks.borrow_mut().insert(zone.into(), clock);
        clock
    }

    pub fn user(&self) -> Option<&str> {
        self.user.get_or_init(|| self.ask.facts.user()).as_deref()
    }

    pub fn max_output(&self) -> Option<u64> {
        *self.max_output.get_or_init(|| self.ask.facts.max_output())
    }

    pub fn thinking(&self) -> bool {
        *self.thinking.get_or_init(|| self.ask.facts.thinking())
    }

    pub fn images(&self) -> bool {
        *self.images.get_or_init(|| self.ask.facts.images())
    }

    pub fn tools(&self) -> &[Cow<'a, str>] {
        self.tools.get_or_init(|| self.ask.facts.tools())
    }

    pub fn tokens(&self) -> u64 {
        *self.tokens.get_or_init(|| self.ask.facts.tokens())
    }

    /// The last message in lower case.
    pub(crate) fn lowercase(&self) -> &str {
        self.lowercase
            .get_or_init(|| self.ask.facts.last_text().to_lowercase())
    }

    /// What the last message is written in.
    pub(crate) fn scripts(&self) -> &Scripts {
        self.scripts.get_or_init(|| Scripts::of(self.lowercase()))
    }
}

// What the caller says is not shown.
impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("ask", &self.ask)
            .finish_non_exhaustive()
    }
}
