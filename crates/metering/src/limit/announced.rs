//! Which events were told already, so that what happens once in a window is told once.

use rustc_hash::FxHashSet;

use super::Event;
use crate::Id;

/// A bounded memory of events. When it is full, half of it is forgotten; an event may then be told again, by the same id.
#[derive(Debug, Default)]
pub struct Announced {
    recent: FxHashSet<Id>,
    older: FxHashSet<Id>,
}

/// Events that are remembered at least.
const REMEMBERED: usize = 10_000;

impl Announced {
    /// Whether the event is to be told: it is one of those that are told every time, or it was not told before.
    pub fn is_new(&mut self, event: &Event) -> bool {
        if !event.is_once() {
            return true;
        }
        if self.recent.contains(&event.id) {
            return false;
        }
        let is_new = !self.older.remove(&event.id);
        if self.recent.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(event.id);
        is_new
    }

    /// Those of these events that are to be told.
    pub fn news(&mut self, mut events: Vec<Event>) -> Vec<Event> {
        events.retain(|event| self.is_new(event));
        events
    }
}
