//! What is to be looked at when its time has come, by second.

use std::collections::BTreeMap;

use lingate_metering::Millis;

/// Entries by the second in which they are due. There are few different seconds, however many entries there are.
#[derive(Debug)]
pub(crate) struct Calendar<T>(BTreeMap<i64, Vec<T>>);

impl<T> Default for Calendar<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Calendar<T> {
    /// `at` is rounded up to a whole second: nothing is due too early.
    pub(crate) fn enter(&mut self, at: Millis, entry: T) {
        let second = at.div_euclid(1000) + i64::from(at.rem_euclid(1000) > 0);
        self.0.entry(second).or_default().push(entry);
    }

    /// Something that is due, if anything is.
    pub(crate) fn next(&mut self, now: Millis) -> Option<T> {
        let mut first = self.0.first_entry()?;
        if *first.key() > now.div_euclid(1000) {
            return None;
        }
        let entry = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        entry
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_due_too_early() {
        let mut calendar = Calendar::default();
        for at in [-1500, 999, 1000, 1001, Millis::MAX] {
            calendar.enter(at, at);
        }
        assert_eq!(calendar.next(-1001), None);
        assert_eq!(calendar.next(-1000), Some(-1500));
        assert_eq!(calendar.next(999), None);
        let due = [calendar.next(1999), calendar.next(1999)];
        assert!(due.contains(&Some(999)) && due.contains(&Some(1000)));
        assert_eq!(calendar.next(1999), None);
        assert_eq!(calendar.next(2000), Some(1001));
        assert_eq!(calendar.len(), 1);
    }
}
