//! Word of keys that are ready sooner than was thought, for all who have put them aside.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The last keys that woke early. Those who put keys aside remember how many they have heard of.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicU64,
    last: Mutex<VecDeque<u64>>,
}

/// Who has missed more than so many looks at all keys anew.
const KEPT: usize = 4_096;

/// What was rung since one last heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Keys(Vec<u64>),
    /// Too many to name.
    All,
}

impl Bell {
    /// Wakes the key on this [point](super::ring).
    pub(super) fn ring(&self, point: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(point);
        self.rung.fetch_add(1, Ordering::Release);
    }

    /// Wakes all keys.
    pub(super) fn ring_all(&self) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clear();
        self.rung.fetch_add(KEPT as u64 + 1, Ordering::Release);
    }

    /// How often it has rung.
    pub(super) fn rung(&self) -> u64 {
        self.rung.load(Ordering::Acquire)
    }

    /// What was rung since `heard`, which becomes the present count; `None`: nothing.
    pub(super) fn since(&self, heard: &mut u64) -> Option<Heard> {
        if self.rung() == *heard {
            return None;
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let rung = self.rung();
        let missed = usize::try_from(rung - *heard).unwrap_or(usize::MAX);
        *heard = rung;
        if missed > last.len() {
            return Some(Heard::All);
        }
        let keys = last.iter().skip(last.len() - missed).copied();
        Some(Heard::Keys(keys.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_hears_what_they_missed() {
        let bell = Bell::default();
        let mut early = bell.rung();
        bell.ring(1);
        let mut late = bell.rung();
        bell.ring(2);
        assert_eq!(bell.since(&mut early), Some(Heard::Keys(vec![1, 2])));
        assert_eq!(bell.since(&mut early), None);
        assert_eq!(bell.since(&mut late), Some(Heard::Keys(vec![2])));
        bell.ring_all();
        bell.ring(3);
        assert_eq!(bell.since(&mut late), Some(Heard::All));
        for point in 0..=KEPT as u64 {
            bell.ring(point);
        }
        assert_eq!(bell.since(&mut late), Some(Heard::All));
    }
}
