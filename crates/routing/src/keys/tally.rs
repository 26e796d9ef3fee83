//! What a key was used for, counted.

use crate::Moment;

/// Requests that were made with a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    pub successful: u64,
    pub failed: u64,
    pub last_used: Option<Moment>,
    /// How often which status was answered, in the order of their first time; 0: no answer, or one of many others.
    pub statuses: Vec<(u16, u64)>,
}

/// Statuses that are counted apart.
const STATUSES: usize = 16;

impl Tally {
    /// All that ended.
    pub fn total(&self) -> u64 {
        self.successful + self.failed
    }

    /// Counts what another was used for, too.
    pub(super) fn add(&mut self, other: &Self) {
        let Self {
            successful,
            failed,
            last_used,
            statuses,
        } = other;
        self.successful += successful;
        self.failed += failed;
        self.last_used = self.last_used.max(*last_used);
        for (status, count) in statuses {
            match self.statuses.iter_mut().find(|(known, _)| known == status) {
                Some((_, known)) => *known += count,
                None => self.statuses.push((*status, *count)),
            }
        }
    }

    pub(super) fn used(&mut self, now: Moment) {
        self.last_used = Some(now);
    }

    pub(super) fn served(&mut self) {
        self.successful += 1;
        self.count(200);
    }

    pub(super) fn failed(&mut self, status: u16) {
        self.failed += 1;
        self.count(status);
    }

    fn count(&mut self, status: u16) {
        let known = self.statuses.iter().any(|(known, _)| *known == status);
        let status = if known || self.statuses.len() < STATUSES {
            status
        } else {
            0
        };
        match self.statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => self.statuses.push((status, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_without_growing() {
        let mut tally = Tally::default();
        tally.served();
        for status in 400..440 {
            tally.failed(status);
            tally.failed(status);
        }
        assert_eq!((tally.total(), tally.successful, tally.failed), (81, 1, 80));
        assert_eq!(tally.statuses.len(), STATUSES + 1);
        assert_eq!(
            tally.statuses.iter().map(|(_, count)| count).sum::<u64>(),
            81
        );
        assert_eq!(tally.statuses[..2], [(200, 1), (400, 2)]);
    }
}
