//! What a conversion could not carry, and where it stood. Nothing is lost in silence.

use std::collections::BTreeSet;

use crate::{Dialect, DialectId, hub};

/// A place in a request, in terms that every dialect can name in its own way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum At {
    /// The request as a whole.
    #[default]
    Request,
    Setting(Setting),
    /// A field of the request that only its source dialect has, as a path from the top.
    Field(String),
    /// Part `part` of the leading instructions.
    System {
        part: u32,
    },
    /// A message as a whole; counted as the source counts its messages.
    Turn {
        turn: u32,
    },
    Part {
        turn: u32,
        part: u32,
    },
    /// Part `inner` of a tool result.
    ResultPart {
        turn: u32,
        part: u32,
        inner: u32,
    },
    Tool {
        tool: u32,
    },
}

/// A setting that several dialects have under different names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    Model,
    System,
    MaxOutput,
    Temperature,
    TopP,
    TopK,
    PresencePenalty,
    FrequencyPenalty,
    Seed,
    Stop,
    Candidates,
    Logprobs,
    Output,
    Reasoning,
    Tools,
    ToolChoice,
    ParallelToolCalls,
    User,
    Metadata,
    ServiceTier,
    Store,
    Verbosity,
}

impl Setting {
    pub const ALL: [Self; 22] = [
        Self::Model,
        Self::System,
        Self::MaxOutput,
        Self::Temperature,
        Self::TopP,
        Self::TopK,
        Self::PresencePenalty,
        Self::FrequencyPenalty,
        Self::Seed,
        Self::Stop,
        Self::Candidates,
        Self::Logprobs,
        Self::Output,
        Self::Reasoning,
        Self::Tools,
        Self::ToolChoice,
        Self::ParallelToolCalls,
        Self::User,
        Self::Metadata,
        Self::ServiceTier,
        Self::Store,
        Self::Verbosity,
    ];
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub at: At,
    /// A field below `at`, when the loss is smaller than the thing there: `cache_control`, `strict`. Empty otherwise.
    pub field: String,
    /// What became of it: `dropped: Gemini has no such setting`, `clamped to 1`.
    pub note: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    list: Vec<Loss>,
}

impl Losses {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.list.iter()
    }

    pub fn append(&mut self, other: Self) {
        self.list.extend(other.list);
    }

    pub fn push(&mut self, at: At, field: impl Into<String>, note: impl Into<String>) {
        self.list.push(Loss {
            at,
            field: field.into(),
            note: note.into(),
        });
    }

    pub fn setting(&mut self, setting: Setting, note: impl Into<String>) {
        self.push(At::Setting(setting), "", note);
    }

    /// Notes each field of `extra` that is not `target`'s own and says something there.
    pub fn extra(&mut self, extra: &hub::Extra, at: &At, target: DialectId) {
        let foreign = |field: &&hub::ExtraField| field.of != target && !field.private;
        for field in extra.fields.iter().filter(foreign) {
            let note = format!("dropped: only {} has it", field.of);
            match at {
                At::Request => self.push(At::Field(field.key.clone()), "", note),
                at => self.push(at.clone(), field.key.clone(), note),
            }
        }
    }

    /// Where each loss lies in a request of the `source` dialect, once each, in order of appearance.
    pub fn paths(&self, source: &dyn Dialect) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let paths = self.list.iter().map(|loss| loss.path(source));
        paths.filter(|path| seen.insert(path.clone())).collect()
    }
}

impl Loss {
    pub fn path(&self, source: &dyn Dialect) -> String {
        let outer = source.locate(&self.at);
        match (outer.is_empty(), self.field.is_empty()) {
            (_, true) => outer,
            (true, false) => self.field.clone(),
            (false, false) => format!("{outer}.{}", self.field),
        }
    }
}
