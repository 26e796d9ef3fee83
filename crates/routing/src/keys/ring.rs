//! Consistent hashing: what belongs together goes to the same key, and moves only when that key rests.

use super::bits::Bits;

/// Keys on a circle of 2^64 points, each where its fingerprint puts it.
#[derive(Debug, Default)]
pub(super) struct Ring {
    points: Vec<u64>,
    /// Which member stands on each point.
    members: Vec<u32>,
    /// On which of the points each member stands.
    ranks: Vec<u32>,
}

/// From so many points of the circle the nearest key is looked for, and the nearest of all is taken ("multi-probe consistent
/// hashing", Appleton and O'Reilly 2015): with one probe some keys would get many times the share of others.
const PROBES: u64 = 21;

/// In large pools chance levels what the probes do not.
const PROBES_OF_MANY: u64 = 5;
const MANY: usize = 4_096;

impl Ring {
    /// `points`: where each member stands.
    pub(super) fn new(points: &[u64]) -> Self {
        let mut order: Vec<(u64, u32)> = points.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let mut ranks = vec![0; points.len()];
        for (rank, (_, member)) in (0..).zip(&order) {
            if let Some(place) = ranks.get_mut(*member as usize) {
                *place = rank;
            }
        }
        Self {
            points: order.iter().map(|(point, _)| *point).collect(),
            members: order.iter().map(|(_, member)| *member).collect(),
            ranks,
        }
    }

    pub(super) fn rank(&self, member: usize) -> usize {
        self.ranks.get(member).map_or(0, |rank| *rank as usize)
    }

    pub(super) fn member(&self, rank: usize) -> Option<usize> {
        self.members.get(rank).map(|member| *member as usize)
    }

    /// The members that stand on a point.
    pub(super) fn on(&self, point: u64) -> impl Iterator<Item = usize> {
        let first = self.points.partition_point(|known| *known < point);
        let here = self.points.iter().skip(first).zip(first..);
        here.take_while(move |(known, _)| **known == point)
            .filter_map(|(_, rank)| self.member(rank))
    }

    /// The rank that `what` belongs to among those in `ready`; heavier members reach further.
    pub(super) fn home(
        &self,
        what: u64,
        ready: &Bits,
        weight: impl Fn(usize) -> u32,
    ) -> Option<usize> {
        let probes = if self.points.len() > MANY {
            PROBES_OF_MANY
        } else {
            PROBES
        };
        let mut best: Option<(u128, u128, usize)> = None;
        for probe in 0..probes {
            let point = mix(what.wrapping_add(mix(probe.wrapping_add(1))));
            let after = self.points.partition_point(|known| *known < point);
            let rank = ready.next(after).or_else(|| ready.next(0))?;
            let stands = self.points.get(rank)?;
            let far = u128::from(stands.wrapping_sub(point)) + 1;
            let heavy = u128::from(weight(self.member(rank)?).max(1));
            // far / heavy < best far / best heavy
            if best.is_none_or(|(least, by, _)| far * by < least * heavy) {
                best = Some((far, heavy, rank));
            }
        }
        best.map(|(.., rank)| rank)
    }
}

/// Spreads numbers over all 64 bits (the finalizer of SplitMix64).
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(members: u64) -> (Ring, Bits) {
        let points: Vec<u64> = (0..members).map(|member| mix(member + 1_000)).collect();
        let mut ready = Bits::new(points.len());
        for rank in 0..points.len() {
            ready.insert(rank);
        }
        (Ring::new(&points), ready)
    }

    #[test]
    fn shares_are_even_and_follow_weights() {
        for (members, weights) in [(2, [1, 1]), (3, [1, 1]), (100, [1, 1]), (8, [3, 1])] {
            let (ring, ready) = ring(members);
            let weight = |member: usize| weights[member % 2];
            let total: u32 = (0..members)
                .map(|member| weight(usize::try_from(member).unwrap()))
                .sum();
            let mut counts = vec![0_u32; usize::try_from(members).unwrap()];
            let sessions = 2_000 * u32::try_from(members).unwrap();
            for session in 0..u64::from(sessions) {
                let rank = ring.home(session, &ready, weight).unwrap();
                counts[ring.member(rank).unwrap()] += 1;
            }
            // Whoever stands close behind another gets less; nobody gets much more.
            let mut of_first = 0.0;
            for (member, count) in counts.iter().enumerate() {
                let due = f64::from(sessions) * f64::from(weight(member)) / f64::from(total);
                let share = f64::from(*count) / due;
                assert!(share < 1.4, "{members} {member}: {share}");
                if member % 2 == 0 {
                    of_first += f64::from(*count) / f64::from(sessions);
                }
            }
            let firsts = u32::try_from(members.div_ceil(2)).unwrap();
            let due = f64::from(firsts * weights[0]) / f64::from(total);
            assert!(
                (of_first - due).abs() < 0.08,
                "{members}: {of_first} of {due}"
            );
        }
    }

    #[test]
    fn only_what_was_at_a_key_moves_when_it_rests() {
        let (ring, mut ready) = ring(50);
        let homes = |ready: &Bits| -> Vec<usize> {
            (0..1_000)
                .map(|what| ring.home(what, ready, |_| 1).unwrap())
                .collect()
        };
        let before = homes(&ready);
        ready.remove(7);
        for (before, after) in before.iter().zip(homes(&ready)) {
            assert_eq!(*before == 7, *before != after);
        }
    }

    #[test]
    fn members_are_found_by_their_points() {
        let ring = Ring::new(&[30, 10, 20, 10]);
        assert_eq!(ring.on(10).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(ring.on(30).collect::<Vec<_>>(), [0]);
        assert_eq!(ring.on(15).count(), 0);
        for member in 0..4 {
            assert_eq!(ring.member(ring.rank(member)), Some(member));
        }
    }
}
