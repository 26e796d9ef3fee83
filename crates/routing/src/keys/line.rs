//! Who is next among some of the keys of a pool.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::bell::{Bell, Heard};
use super::bits::Bits;
use super::health::{Offer, Use};
use super::key::Key;
use super::pool::{Row, Wanted};
use super::ring::Ring;
use super::unready::{Hindrance, Unready};
use super::weights::Weights;
use crate::Moment;

/// Keys that are chosen from together: all of a pool, or those with some tags.
///
/// Keys are put aside when they are met at their turn and found not to be ready, and looked at again when it is said that they
/// are; so each choice costs a few steps, and one for each report that came before it. For all models there is one line, as
/// long as no key rests for one model alone; such a model gets a line of its own.
#[derive(Debug)]
pub(super) struct Group {
    roster: Roster,
    turn: Turn,
    line: Line,
    models: FxHashMap<Box<str>, Line>,
    /// How many choices were made.
    choices: u64,
    /// Keys that were looked at, for all choices together.
    steps: u64,
}

/// Models that have a line of their own. Beyond, the one that was not asked for the longest is looked at anew when it is.
const MODELS: usize = 64;

#[derive(Debug)]
struct Roster {
    /// Indices into the keys of the pool.
    members: Vec<u32>,
    /// Keys that were found, those with weight 0 among them.
    found: usize,
    ring: Ring,
    /// Of each member; `None`: all weigh the same.
    weights: Option<Vec<u32>>,
}

#[derive(Debug, Default)]
struct Turn {
    /// The member after the last one, where all weigh the same.
    next: usize,
    /// Choices by weight.
    count: u64,
}

#[derive(Debug, Clone)]
struct Line {
    ready: Marks,
    /// Ready, too, but to be spared.
    scarce: Marks,
    /// Why each member is put aside.
    aside: Vec<Option<Hindrance>>,
    counts: [u32; Hindrance::ALL.len()],
    /// When to look again at members.
    alarms: BinaryHeap<Reverse<(Moment, u32)>>,
    heard: u64,
    /// The choice that it was last used for.
    used: u64,
}

/// A set of members, in their order and in that of the ring.
#[derive(Debug, Clone)]
struct Marks {
    turn: Bits,
    ring: Bits,
    weights: Option<Weights>,
}

/// Alarms that one choice answers, as long as there are keys to choose from.
const ANSWERED: usize = 64;

/// Keys that are passed over because this request is too large for what is left of them. Then it is said to be too large.
const TOO_LARGE: usize = 64;

/// How often a choice begins anew instead of going on to the neighbour, which would give that one more than its share.
const ANEW: usize = 8;

/// Members that are looked at one by one where there is no order to go by.
const LOOKED_AT: usize = 256;

/// What the choice is made from.
pub(super) struct Keys<'a> {
    pub(super) all: &'a [Arc<Key>],
    pub(super) rows: &'a [Row],
    pub(super) bell: &'a Bell,
}

enum Found {
    /// The member, and the number of the request if others wait for it.
    Key(usize, Option<u32>),
    /// A member rests for this model only, which has no line of its own.
    RestsForModel,
    None(Unready),
}

impl Group {
    /// `places`: indices into the keys.
    pub(super) fn new(places: impl Iterator<Item = usize>, keys: &Keys<'_>) -> Self {
        let mut members = Vec::new();
        let mut weights = Vec::new();
        let mut found = 0;
        for place in places {
            found += 1;
            let weight = keys.rows.get(place).map_or(0, |row| row.weight);
            if weight > 0 {
                members.extend(u32::try_from(place));
                weights.push(weight);
            }
        }
        let points: Vec<u64> = members
            .iter()
            .filter_map(|place| keys.all.get(*place as usize))
            .map(|key| key.point())
            .collect();
        let equal = weights.windows(2).all(|pair| pair.first() == pair.last());
        let roster = Roster {
            members,
            found,
            ring: Ring::new(&points),
            weights: (!equal).then_some(weights),
        };
        Self {
            line: Line::new(&roster, keys.bell.rung()),
            roster,
            turn: Turn::default(),
            models: FxHashMap::default(),
            choices: 0,
            steps: 0,
        }
    }

    /// How many keys were found for it, drained ones among them.
    pub(super) fn found(&self) -> usize {
        self.roster.found
    }

    /// The next key, as its index; with `commit` a request with it begins.
    pub(super) fn find(
        &mut self,
        keys: &Keys<'_>,
        wanted: &Wanted<'_>,
        commit: bool,
        now: Moment,
    ) -> Result<(usize, Option<u32>), Unready> {
        self.choices += 1;
        loop {
            let own = self.models.get_mut(wanted.model);
            let is_own = own.is_some();
            let line = own.unwrap_or(&mut self.line);
            line.used = self.choices;
            let mut choice = Choice {
                roster: &self.roster,
                keys,
                wanted,
                is_own,
                commit,
                now,
                steps: 0,
            };
            let found = line.find(&mut choice, &mut self.turn);
            self.steps += choice.steps;
            match found {
                Found::Key(member, probe) => return Ok((self.roster.place(member), probe)),
                Found::None(unready) => return Err(unready),
                Found::RestsForModel => {
                    if self.models.len() >= MODELS {
                        self.models.retain(|_, line| !line.alarms.is_empty());
                    }
                    if self.models.len() >= MODELS {
                        let oldest = self.models.iter().min_by_key(|(_, line)| line.used);
                        let oldest = oldest.map(|(model, _)| model.clone());
                        oldest.map(|model| self.models.remove(&model));
                    }
                    self.models.insert(wanted.model.into(), self.line.clone());
                }
            }
        }
    }

    /// Of keys that are not ready, the index of the one that is so first; what is graver than a limit comes last.
    pub(super) fn least_bad(
        &self,
        keys: &Keys<'_>,
        wanted: &Wanted<'_>,
        now: Moment,
    ) -> Option<usize> {
        let line = self.models.get(wanted.model).unwrap_or(&self.line);
        let all = self.roster.members.len();
        let few = (0..all).take(if all <= LOOKED_AT { all } else { 0 });
        let alarms = line
            .alarms
            .iter()
            .map(|Reverse((_, member))| *member as usize);
        let many = alarms.take(if all <= LOOKED_AT { 0 } else { LOOKED_AT });
        few.chain(many)
            .filter_map(|member| {
                let place = self.roster.place(member);
                let key = keys.all.get(place).filter(|key| !(wanted.tried)(key))?;
                let offer = key.health().offer(&keys.use_of(place, wanted, now), false);
                let order = match offer {
                    Offer::Ready | Offer::Scarce(_) => (0, now),
                    Offer::TooMany(until) => (0, until),
                    Offer::Asleep {
                        why: Hindrance::Off | Hindrance::AtCaps,
                        ..
                    } => return None,
                    Offer::Asleep { why, until, .. } => (1 + u8::from(!why.is_limit()), until?),
                };
                Some((order, place))
            })
            .min_by_key(|(order, _)| *order)
            .map(|(_, place)| place)
    }

    /// Indices into the keys of the pool.
    pub(super) fn members(&self) -> &[u32] {
        &self.roster.members
    }

    /// The mean of what is left of up to so many members, from 0 to 1.
    pub(super) fn headroom(&self, keys: &Keys<'_>, now: Moment) -> f32 {
        const SAMPLED: usize = 32;
        let all = self.roster.members.len();
        let step = all.div_ceil(SAMPLED).max(1);
        let mut sum = 0.0;
        let mut count = 0.0_f32;
        // Keys beside those whose turn it is have been used as much as any.
        for member in (0..all).step_by(step) {
            let place = self.roster.place((member + self.turn.next) % all);
            if let (Some(key), Some(row)) = (keys.all.get(place), keys.rows.get(place)) {
                sum += key.health().headroom(row.limits(), now);
                count += 1.0;
            }
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// Looks at all keys anew.
    pub(super) fn restart(&mut self, bell: &Bell) {
        self.models.clear();
        self.line = Line::new(&self.roster, bell.rung());
    }

    #[cfg(test)]
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    #[cfg(test)]
    pub(super) fn lines(&self) -> usize {
        1 + self.models.len()
    }
}

impl Roster {
    fn place(&self, member: usize) -> usize {
        self.members
            .get(member)
            .map_or(usize::MAX, |place| *place as usize)
    }

    fn weight(&self, member: usize) -> u32 {
        let weights = self.weights.as_ref();
        weights.map_or(1, |weights| weights.get(member).copied().unwrap_or(1))
    }
}

impl Keys<'_> {
    /// Whether a key could be used at once.
    pub(super) fn is_ready(&self, place: usize, wanted: &Wanted<'_>, now: Moment) -> bool {
        let wanted_use = self.use_of(place, wanted, now);
        let offer = self
            .all
            .get(place)
            .map(|key| key.health().offer(&wanted_use, false));
        matches!(offer, Some(Offer::Ready | Offer::Scarce(_)))
    }

    pub(super) fn use_of<'w>(&self, place: usize, wanted: &Wanted<'w>, now: Moment) -> Use<'w> {
        Use {
            limits: self.rows.get(place).map(Row::limits).unwrap_or_default(),
            model: wanted.model,
            tokens: wanted.tokens,
            now,
        }
    }
}

struct Choice<'a, 'w> {
    roster: &'a Roster,
    keys: &'a Keys<'a>,
    wanted: &'a Wanted<'w>,
    /// The line is that of the model.
    is_own: bool,
    commit: bool,
    now: Moment,
    steps: u64,
}

/// What became of a walk along the line.
#[derive(Default)]
struct Walk {
    tried: usize,
    too_large: usize,
    /// When the first of those that are too small for the request has grown.
    grown_at: Option<Moment>,
}

impl Line {
    fn new(roster: &Roster, heard: u64) -> Self {
        let all = roster.members.len();
        let mut line = Self {
            ready: Marks::new(roster, true),
            scarce: Marks::new(roster, false),
            aside: vec![None; all],
            counts: [0; Hindrance::ALL.len()],
            alarms: BinaryHeap::new(),
            heard,
            used: 0,
        };
        for member in 0..all {
            line.ready.insert(member, roster);
        }
        line
    }

    fn find(&mut self, choice: &mut Choice<'_, '_>, turn: &mut Turn) -> Found {
        self.hear(choice);
        let mut walk = Walk::default();
        loop {
            let answered = self.answer_alarms(choice);
            walk.tried = 0;
            for sparing in [true, false] {
                match self.walk(choice, turn, sparing, &mut walk) {
                    Some(Found::None(_)) | None => {}
                    Some(found) => return found,
                }
            }
            let due = self
                .alarms
                .peek()
                .is_some_and(|Reverse((until, _))| *until <= choice.now);
            if !(due && answered > 0) || walk.too_large >= TOO_LARGE {
                return Found::None(self.unready(choice, &walk));
            }
        }
    }

    /// Goes along those that are ready, or along those to be spared, and puts aside those that turn out not to be.
    fn walk(
        &mut self,
        choice: &mut Choice<'_, '_>,
        turn: &mut Turn,
        sparing: bool,
        walk: &mut Walk,
    ) -> Option<Found> {
        let Choice {
            roster,
            keys,
            wanted,
            now,
            ..
        } = *choice;
        let sticky = wanted.sticky;
        let by_weight = sparing && sticky.is_none() && roster.weights.is_some();
        let mut count = turn.count;
        let mut anew = 0;
        let mut from = None;
        let mut left = self.marks(sparing).turn.len();
        while left > 0 {
            let marks = self.marks(sparing);
            let at = match from {
                None if sticky.is_some() => {
                    let what = sticky.unwrap_or_default();
                    roster
                        .ring
                        .home(what, &marks.ring, |member| roster.weight(member))
                }
                None if by_weight => marks
                    .weights
                    .as_ref()
                    .and_then(|weights| weights.turn(count)),
                None => marks.turn.next(turn.next).or_else(|| marks.turn.next(0)),
                Some(from) => {
                    let set = if sticky.is_some() {
                        &marks.ring
                    } else {
                        &marks.turn
                    };
                    set.next(from).or_else(|| set.next(0))
                }
            }?;
            let member = if sticky.is_some() {
                roster.ring.member(at)?
            } else {
                at
            };
            let begins_anew = anew < ANEW && (sticky.is_some() || by_weight);
            if from.is_none() {
                // Those that were passed over before are met again.
                left = marks.turn.len();
            }
            left -= 1;
            from = Some(at + 1);
            choice.steps += 1;
            let place = roster.place(member);
            let key = keys.all.get(place)?;
            if (wanted.tried)(key) {
                walk.tried += 1;
                if by_weight && begins_anew {
                    anew += 1;
                    count = count.wrapping_add(1);
                    from = None;
                }
                continue;
            }
            let wanted_use = keys.use_of(place, wanted, now);
            let mut health = key.health();
            match health.offer(&wanted_use, sparing) {
                Offer::Ready => {
                    let probe = if choice.commit {
                        health.begin(&wanted_use)
                    } else {
                        None
                    };
                    drop(health);
                    if choice.commit {
                        if by_weight {
                            turn.count = count.wrapping_add(1);
                        } else if sticky.is_none() {
                            turn.next = member + 1;
                        }
                    }
                    return Some(Found::Key(member, probe));
                }
                Offer::Asleep { of_model: true, .. } if !choice.is_own => {
                    return Some(Found::RestsForModel);
                }
                Offer::Asleep { why, until, .. } => {
                    drop(health);
                    self.put_aside(member, why, until, roster);
                    if begins_anew && walk.tried == 0 && walk.too_large == 0 {
                        anew += 1;
                        from = None;
                        left = self.marks(sparing).turn.len();
                    }
                }
                Offer::Scarce(until) => {
                    drop(health);
                    self.ready.remove(member, roster);
                    self.scarce.insert(member, roster);
                    self.alarms
                        .push(Reverse((until, u32::try_from(member).unwrap_or(u32::MAX))));
                    if begins_anew && walk.tried == 0 && walk.too_large == 0 {
                        anew += 1;
                        from = None;
                        left = self.marks(sparing).turn.len();
                    }
                }
                Offer::TooMany(until) => {
                    walk.too_large += 1;
                    walk.grown_at = Some(walk.grown_at.map_or(until, |known| known.min(until)));
                    if walk.too_large >= TOO_LARGE {
                        return None;
                    }
                }
            }
        }
        None
    }

    fn marks(&self, sparing: bool) -> &Marks {
        if sparing { &self.ready } else { &self.scarce }
    }

    fn put_aside(&mut self, member: usize, why: Hindrance, until: Option<Moment>, roster: &Roster) {
        self.ready.remove(member, roster);
        self.scarce.remove(member, roster);
        if let Some(aside) = self.aside.get_mut(member) {
            self.counts[why as usize] += 1;
            *aside = Some(why);
        }
        if let (Some(until), Ok(member)) = (until, u32::try_from(member)) {
            self.alarms.push(Reverse((until, member)));
        }
        // Alarms outlive those who were woken early.
        if self.alarms.len() > 2 * self.aside.len() + 64 {
            let mut latest: FxHashMap<u32, Moment> = FxHashMap::default();
            for Reverse((until, member)) in self.alarms.drain() {
                if self.aside.get(member as usize).is_some_and(Option::is_some)
                    || self.scarce.turn.contains(member as usize)
                {
                    let known = latest.entry(member).or_insert(until);
                    // The last one that was set counts, and it is not known which that was: the first to go off is looked at,
                    // and sets another.
                    *known = until.min(*known);
                }
            }
            self.alarms.extend(
                latest
                    .into_iter()
                    .map(|(member, until)| Reverse((until, member))),
            );
        }
    }

    fn wake(&mut self, member: usize, roster: &Roster) {
        let Some(aside) = self.aside.get_mut(member) else {
            return;
        };
        if let Some(why) = aside.take() {
            self.counts[why as usize] -= 1;
        }
        self.scarce.remove(member, roster);
        self.ready.insert(member, roster);
    }

    fn hear(&mut self, choice: &Choice<'_, '_>) {
        match choice.keys.bell.since(&mut self.heard) {
            None => {}
            Some(Heard::Keys(points)) => {
                for point in points {
                    for member in choice.roster.ring.on(point) {
                        self.wake(member, choice.roster);
                    }
                }
            }
            Some(Heard::All) => {
                for member in 0..self.aside.len() {
                    self.wake(member, choice.roster);
                }
                self.alarms.clear();
            }
        }
    }

    /// Wakes those whose time has come; returns how many.
    fn answer_alarms(&mut self, choice: &Choice<'_, '_>) -> usize {
        let mut answered = 0;
        while answered < ANSWERED
            && let Some(Reverse((until, member))) = self.alarms.peek()
            && *until <= choice.now
        {
            let member = *member as usize;
            self.alarms.pop();
            self.wake(member, choice.roster);
            answered += 1;
        }
        answered
    }

    fn unready(&self, choice: &Choice<'_, '_>, walk: &Walk) -> Unready {
        let Choice {
            roster,
            keys,
            wanted,
            now,
            ..
        } = *choice;
        let of = |why| Unready {
            ready_at: None,
            why,
            only_limits: false,
            reason: None,
        };
        if roster.found == 0 {
            return of(Hindrance::NoKeys);
        }
        if roster.members.is_empty() {
            return of(Hindrance::Drained);
        }
        let is_fresh = |member: usize| {
            let key = keys.all.get(roster.place(member));
            key.is_some_and(|key| !(wanted.tried)(key))
        };
        let first = |fresh: bool| {
            let alarms = self.alarms.iter().take(LOOKED_AT);
            let alarms = alarms.filter_map(|Reverse((until, member))| {
                let aside = self.aside.get(*member as usize).copied().flatten();
                if aside.is_none() || fresh && !is_fresh(*member as usize) {
                    return None;
                }
                // An alarm may be older than what the key rests for now, or was set for something else.
                let place = roster.place(*member as usize);
                let wanted = keys.use_of(place, wanted, now);
                let mut health = keys.all.get(place)?.health();
                let rests = match health.offer(&wanted, false) {
                    Offer::Ready | Offer::Scarce(_) => *until,
                    // `None`: nobody knows.
                    Offer::Asleep { until, .. } => until?,
                    Offer::TooMany(until) => until,
                };
                // A key that rests has no more room for a large request than before.
                let room = health.has_room(&wanted);
                Some((room.map_or(rests, |room| room.max(rests)), *member))
            });
            alarms.min()
        };
        let others = first(true);
        let count = |why: Hindrance| self.counts.get(why as usize).copied().unwrap_or(0);
        let aside: u32 = self.counts.iter().sum();
        let limited: u32 = Hindrance::ALL
            .iter()
            .filter(|why| why.is_limit())
            .map(|why| count(*why))
            .sum();
        let only_limits = limited == aside && (aside > 0 || walk.too_large > 0);
        if walk.too_large > 0 && others.is_none_or(|(until, _)| walk.grown_at <= Some(until)) {
            return Unready {
                ready_at: walk.grown_at,
                only_limits,
                ..of(Hindrance::AtCaps)
            };
        }
        if let Some((until, member)) = others {
            let key = keys.all.get(roster.place(member as usize));
            let reason = key.and_then(|key| key.health().reason(wanted.model, now));
            let why = self.aside.get(member as usize).copied().flatten();
            let why = why.unwrap_or(Hindrance::Cooling);
            return Unready {
                ready_at: Some(until),
                why,
                only_limits,
                reason,
            };
        }
        // Nobody knows when one of these is ready.
        let untold = [Hindrance::AtCaps, Hindrance::Off].into_iter().find(|why| {
            let mut members = (0..self.aside.len()).take(LOOKED_AT);
            count(*why) > 0
                && (self.aside.len() > LOOKED_AT
                    || members.any(|member| {
                        self.aside.get(member) == Some(&Some(*why)) && is_fresh(member)
                    }))
        });
        Unready {
            ready_at: first(false).map(|(until, _)| until),
            only_limits,
            ..of(untold.unwrap_or(Hindrance::Tried))
        }
    }
}

impl Marks {
    fn new(roster: &Roster, weighs: bool) -> Self {
        let all = roster.members.len();
        Self {
            turn: Bits::new(all),
            ring: Bits::new(all),
            weights: (weighs && roster.weights.is_some()).then(|| Weights::new(all)),
        }
    }

    fn insert(&mut self, member: usize, roster: &Roster) {
        if self.turn.insert(member) {
            self.ring.insert(roster.ring.rank(member));
            if let Some(weights) = &mut self.weights {
                weights.add(member, roster.weight(member));
            }
        }
    }

    fn remove(&mut self, member: usize, roster: &Roster) {
        if self.turn.remove(member) {
            self.ring.remove(roster.ring.rank(member));
            if let Some(weights) = &mut self.weights {
                weights.take(member, roster.weight(member));
            }
        }
    }
}
