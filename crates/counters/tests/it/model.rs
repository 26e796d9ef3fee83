//! Random histories against an oracle that keeps every event and adds them up anew for every question.
//!
//! The oracle knows nothing of how counters work. Where a clock that was set hides an amount from view, counters may forget it: from
//! then on the oracle knows a least and a most. Everywhere else it knows the answer.

use std::collections::BTreeMap;

use lingate_counters::{Counters, OnOutage, Outage};
use lingate_metering::Millis;
use lingate_metering::counter::{Charge, KEPT_AFTER_END, Reserved, SETTLED_KEPT, Span};
use lingate_testkit::Redis;

use crate::world::{NOW, charge, connected, id, reservation, settlement, wait_until_up};

#[tokio::test]
async fn memory_answers_as_the_oracle_does() {
    for seed in 0..600 {
        let mut history = History::new(seed, vec![Counters::memory()]);
        history.steps(150).await;
        history.end().await;
    }
}

#[tokio::test]
async fn two_replicas_on_redis_answer_as_the_oracle_does() {
    let redis = Redis::start().await.expect("Redis is there");
    for seed in 0..40 {
        redis.command(&["FLUSHALL"]).await.expect("Redis is there");
        let one = connected(&redis, OnOutage::Deny).await;
        let other = connected(&redis, OnOutage::Deny).await;
        let mut history = History::new(seed, vec![one, other]);
        history.steps(120).await;
        history.end().await;
    }
}

#[tokio::test]
async fn outages_lose_nothing_and_exceed_nothing() {
    for (seed, rule) in (0..2).flat_map(|seed| {
        [OnOutage::LocalLease, OnOutage::Allow, OnOutage::Deny].map(|rule| (seed, rule))
    }) {
        let redis = Redis::start().await.expect("Redis is there");
        let counters = connected(&redis, rule).await;
        let mut history = History::new(seed, vec![counters]);
        for _ in 0..3 {
            history.steps(25).await;
            redis.pause().expect("small numbers");
            history.away = Some(rule);
            history.steps(25).await;
            redis.resume().expect("small numbers");
            wait_until_up(&history.replicas[0]).await;
            history.away = None;
        }
        history.steps(25).await;
        history.end().await;
    }
}

/// What a request has done, or may have done.
#[derive(Debug, Clone)]
struct Event {
    admitted: Millis,
    charges: Vec<Charge>,
    state: State,
    /// What may have been forgotten of the charges, because a clock was set and it was out of sight.
    hidden: Vec<bool>,
    /// It was refused, or nobody knows the answer, but Redis may have taken it when it came back.
    ghost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held { until: Millis },
    Over,
    Settled { at: Millis, known: bool },
}

struct History {
    seed: u64,
    dice: u64,
    now: Millis,
    replicas: Vec<Counters>,
    events: BTreeMap<u128, Event>,
    next: u128,
    away: Option<OnOutage>,
    /// How much settlements have exceeded their reservations, by counter.
    excess: BTreeMap<u128, u64>,
}

impl History {
    fn new(seed: u64, replicas: Vec<Counters>) -> Self {
        Self {
            seed,
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1,
            now: NOW + 123,
            replicas,
            events: BTreeMap::new(),
            next: 1,
            away: None,
            excess: BTreeMap::new(),
        }
    }

    async fn steps(&mut self, count: usize) {
        for step in 0..count {
            self.step().await;
            if self.away.is_none() {
                self.compare(&format!("seed {} step {step}", self.seed))
                    .await;
            }
        }
    }

    /// Everybody is done or gone, and every lease is over: what is used is what was settled.
    async fn end(&mut self) {
        self.now += 600_000;
        self.look();
        self.compare(&format!("seed {} at the end", self.seed))
            .await;
        assert!(
            self.events
                .values()
                .all(|event| !matches!(event.state, State::Held { .. }))
        );
        let held = [charge(5, Span::Held, 3, 1)];
        let used = self.replicas[0].used(&held, self.now).await;
        assert_eq!(used, Ok(vec![0]), "seed {}: held for ever", self.seed);
    }

    async fn step(&mut self) {
        match self.roll(100) {
            0..35 => self.admit().await,
            35..45 => self.admit_again().await,
            45..65 => self.settle().await,
            65..70 => self.settle_again().await,
            70..76 => self.renew().await,
            76..80 => self.ask().await,
            _ => self.pass_time(),
        }
    }

    fn pass_time(&mut self) {
        self.now += match self.roll(20) {
            0..8 => self.span(1_500),
            // To the edge of a slot and of a fixed time, and around it.
            8..12 => 1000 - self.now.rem_euclid(1000) + self.span(3) - 1,
            12..14 => 10_000 - self.now.rem_euclid(10_000) + self.span(3) - 1,
            14..16 => self.span(8_000),
            16 => self.span(70_000),
            17 => -self.span(4_000),
            18 if self.away.is_none() => -self.span(100_000),
            _ => 0,
        };
    }

    /// The charges of a request: some of five counters.
    fn charges(&mut self) -> Vec<Charge> {
        let begins = self.now - self.now.rem_euclid(10_000);
        let five = Span::Slots {
            width: 1000,
            count: 5,
        };
        let minute = Span::Slots {
            width: 2000,
            count: 30,
        };
        let fixed = Span::Fixed {
            begins,
            ends: begins + 10_000,
        };
        let (a, b, c, d) = (
            self.ask_of(12),
            self.ask_of(40),
            self.ask_of(25),
            self.ask_of(9),
        );
        let all = [
            charge(1, five, 12, a),
            charge(2, minute, 40, b),
            charge(3, fixed, 25, c),
            charge(4, five, None, d),
            charge(5, Span::Held, 3, 1),
        ];
        let mut chosen: Vec<Charge> = all.into_iter().filter(|_| self.roll(3) > 0).collect();
        if self.roll(15) == 0 {
            chosen.extend(chosen.first().copied());
        }
        chosen
    }

    fn ask_of(&mut self, capacity: u64) -> u64 {
        match self.roll(20) {
            0 => 0,
            1 => capacity + self.roll(3),
            _ => 1 + self.roll(capacity / 3),
        }
    }

    async fn admit(&mut self) {
        let charges = self.charges();
        let number = self.next;
        self.next += 1;
        self.reserve(number, charges).await;
    }

    /// A retry after a time-out, or of a request whose lease is over.
    async fn admit_again(&mut self) {
        let Some(number) = self.choose(|event, now| match event.state {
            State::Held { .. } | State::Over => !event.ghost,
            State::Settled { known, at } => known && now >= at,
        }) else {
            return;
        };
        let event = self.events[&number].clone();
        self.look();
        match self.events[&number].state {
            State::Over => self.reserve(number, event.charges).await,
            State::Held { .. } | State::Settled { .. } if self.away.is_some() => {}
            State::Held { until } => {
                let answer = self.reserve_now(number, &event.charges).await;
                self.check_used(&event.charges, answer, "again");
                let until = until.max(lease_end(self.now + 60_000));
                self.change(number, |event| event.state = State::Held { until });
            }
            State::Settled { .. } => {
                let answer = self.reserve_now(number, &event.charges).await;
                self.check_used(&event.charges, answer, "settled");
            }
        }
    }

    async fn reserve_now(&mut self, number: u128, charges: &[Charge]) -> Result<Reserved, Outage> {
        let replica = self.replica();
        let asked = reservation(number, self.now, charges);
        self.replicas[replica].reserve(&asked).await
    }

    async fn reserve(&mut self, number: u128, charges: Vec<Charge>) {
        self.look();
        let answer = self.reserve_now(number, &charges).await;
        let event = Event {
            admitted: self.now,
            hidden: vec![false; charges.len()],
            charges: charges.clone(),
            state: State::Held {
                until: lease_end(self.now + 60_000),
            },
            ghost: false,
        };
        let ghost = Event {
            ghost: true,
            ..event.clone()
        };
        match (self.away, answer) {
            (None, answer) => {
                let answer = answer.expect("Redis is there");
                self.check_decision(&charges, &answer);
                if let Reserved::Taken(used) = answer {
                    self.events.insert(number, event);
                    self.check_used(&charges, Ok(Reserved::Taken(used)), "taken");
                }
            }
            (Some(OnOutage::Deny), answer) => {
                assert_eq!(answer, Err(Outage));
                self.events.insert(number, ghost);
            }
            (Some(OnOutage::Allow), answer) => {
                assert!(matches!(answer, Ok(Reserved::Taken(_))), "{answer:?}");
                self.events.insert(number, event);
            }
            (Some(OnOutage::LocalLease), Ok(Reserved::Taken(_))) => {
                for (place, charge) in charges.iter().enumerate() {
                    let (least, _) = self.used(charge, self.now);
                    let asked = asked(&charges[..=place], charge);
                    let excess = self.excess.get(&number_of(charge)).copied().unwrap_or(0);
                    assert!(
                        charge
                            .capacity
                            .is_none_or(|capacity| least + asked <= capacity + excess),
                        "seed {}: {charge:?} taken though {least} is used",
                        self.seed
                    );
                }
                self.events.insert(number, event);
            }
            (Some(OnOutage::LocalLease), answer) => {
                assert!(answer.is_ok());
                self.events.insert(number, ghost);
            }
        }
    }

    async fn settle(&mut self) {
        let open = |event: &Event, _| !matches!(event.state, State::Settled { .. }) && !event.ghost;
        let Some(number) = self.choose(open) else {
            return;
        };
        let event = self.events[&number].clone();
        let mut truth = event.charges.clone();
        for charge in &mut truth {
            let asked = charge.ask;
            charge.ask = match self.roll(6) {
                0 => 0,
                1..3 => asked,
                3 => asked + 1 + self.roll(6),
                _ => self.roll(asked + 1),
            };
            if charge.span != Span::Held {
                *self.excess.entry(number_of(charge)).or_default() +=
                    charge.ask.saturating_sub(asked);
            }
        }
        if self.roll(10) == 0 {
            truth.pop();
        }
        self.look();
        let replica = self.replica();
        self.replicas[replica]
            .settle(settlement(number, event.admitted, self.now, &truth))
            .await;
        truth.retain(|charge| {
            charge.span != Span::Held && is_in_sight(charge.span, event.admitted, self.now)
        });
        let at = self.now;
        self.change(number, |event| {
            event.hidden = vec![false; truth.len()];
            event.charges = truth;
            event.state = State::Settled { at, known: true };
        });
    }

    async fn settle_again(&mut self) {
        let Some(number) =
            self.choose(|event, _| matches!(event.state, State::Settled { known: true, .. }))
        else {
            return;
        };
        self.look();
        let event = self.events[&number].clone();
        if !matches!(event.state, State::Settled { known: true, .. }) {
            return;
        }
        let truth = self.charges();
        let replica = self.replica();
        self.replicas[replica]
            .settle(settlement(number, event.admitted, self.now, &truth))
            .await;
    }

    async fn renew(&mut self) {
        let Some(number) =
            self.choose(|event, _| matches!(event.state, State::Held { .. }) && !event.ghost)
        else {
            return;
        };
        if self.away.is_some() {
            return;
        }
        self.look();
        let until = self.now + self.span(90_000);
        let replica = self.replica();
        self.replicas[replica]
            .renew(&[id(number), id(1 << 90)], self.now, until)
            .await;
        self.change(number, |event| {
            if let State::Held { until: before } = &mut event.state {
                *before = (*before).max(lease_end(until));
            }
        });
    }

    async fn ask(&mut self) {
        if self.away.is_some() {
            return;
        }
        let charges = self.charges();
        self.look();
        let replica = self.replica();
        let asked = reservation(1 << 91, self.now, &charges);
        let answer = self.replicas[replica]
            .would_take(&asked)
            .await
            .expect("Redis is there");
        self.check_decision(&charges, &answer);
    }

    /// What happens because this moment is seen: leases end, and what is out of sight may be forgotten.
    fn look(&mut self) {
        let now = self.now;
        for event in self.events.values_mut() {
            match &mut event.state {
                State::Held { until } if *until <= now => event.state = State::Over,
                State::Settled { at, known } if now >= *at + SETTLED_KEPT => *known = false,
                State::Held { .. } | State::Over | State::Settled { .. } => {}
            }
            for (hidden, charge) in event.hidden.iter_mut().zip(&event.charges) {
                *hidden |= !is_in_sight(charge.span, event.admitted, now);
            }
        }
    }

    /// The least and the most that can be used.
    fn used(&self, of: &Charge, now: Millis) -> (u64, u64) {
        let mut used = (0, 0);
        for event in self.events.values() {
            if event.state == State::Over {
                continue;
            }
            for (charge, hidden) in event.charges.iter().zip(&event.hidden) {
                if same(charge, of) && is_in_sight(of.span, event.admitted, now) {
                    used.1 += charge.ask;
                    if !hidden && !event.ghost {
                        used.0 += charge.ask;
                    }
                }
            }
        }
        used
    }

    fn check_decision(&self, charges: &[Charge], answer: &Reserved) {
        for (place, charge) in charges.iter().enumerate() {
            let (least, most) = self.used(charge, self.now);
            let asked = asked(&charges[..=place], charge);
            let refusal = match answer {
                Reserved::Taken(_) => None,
                Reserved::Refused(refusals) => refusals.iter().find(|one| one.charge == place),
            };
            let context = format!(
                "seed {}: {charge:?} of {least}..={most}: {answer:?}",
                self.seed
            );
            let Some(capacity) = charge.capacity else {
                assert!(refusal.is_none(), "{context}");
                continue;
            };
            match refusal {
                None => assert!(least + asked <= capacity, "{context}"),
                Some(refusal) => {
                    assert!(most + asked > capacity, "{context}");
                    assert!((least..=most).contains(&refusal.used), "{context}");
                    if least == most {
                        let free_at = self.free_at(charge, asked, capacity);
                        assert_eq!(refusal.free_at, free_at, "{context}");
                    }
                }
            }
        }
        if let Reserved::Refused(refusals) = answer {
            assert!(!refusals.is_empty());
        }
    }

    /// The first moment at which it would fit if nothing more happened, by trying all at which something leaves.
    fn free_at(&self, of: &Charge, asked: u64, capacity: u64) -> Option<Millis> {
        let Span::Slots { width, count } = of.span else {
            return match of.span {
                Span::Fixed { ends, .. } if asked <= capacity => Some(ends),
                Span::Fixed { .. } | Span::Slots { .. } | Span::Held => None,
            };
        };
        let (width, count) = (i64::from(width), i64::from(count));
        let first = self.now - self.now.rem_euclid(width) + width;
        (0..2 * count)
            .map(|slots| first + slots * width)
            .find(|&then| {
                let used: u64 = self
                    .events
                    .values()
                    .filter(|event| event.state != State::Over)
                    .filter(|event| is_in_sight(of.span, event.admitted, self.now))
                    .filter(|event| {
                        event.admitted - event.admitted.rem_euclid(width) + count * width > then
                    })
                    .flat_map(|event| &event.charges)
                    .filter(|charge| same(charge, of))
                    .map(|charge| charge.ask)
                    .sum();
                used + asked <= capacity
            })
    }

    fn check_used(&self, charges: &[Charge], answer: Result<Reserved, Outage>, what: &str) {
        let Ok(Reserved::Taken(used)) = answer else {
            panic!("seed {}: {what}: {answer:?}", self.seed);
        };
        assert_eq!(used.len(), charges.len());
        for (charge, used) in charges.iter().zip(used) {
            let (least, most) = self.used(charge, self.now);
            assert!(
                (least..=most).contains(&used),
                "seed {}: {what}: {charge:?}: {used}, expected {least}..={most}",
                self.seed
            );
        }
    }

    /// Every counter that anything happened to.
    async fn compare(&mut self, context: &str) {
        self.look();
        let mut all: Vec<Charge> = Vec::new();
        for charge in self.events.values().flat_map(|event| &event.charges) {
            if !all.iter().any(|one| same(one, charge)) {
                all.push(*charge);
            }
        }
        let replica = self.replica();
        let used = self.replicas[replica]
            .used(&all, self.now)
            .await
            .expect("Redis is there");
        for (charge, used) in all.iter().zip(used) {
            let (least, most) = self.used(charge, self.now);
            assert!(
                (least..=most).contains(&used),
                "{context}: {charge:?}: {used}, expected {least}..={most}"
            );
        }
    }

    fn choose(&mut self, wanted: impl Fn(&Event, Millis) -> bool) -> Option<u128> {
        let now = self.now;
        let of: Vec<u128> = self
            .events
            .iter()
            .filter(|(_, event)| wanted(event, now))
            .map(|(number, _)| *number)
            .collect();
        let place = usize::try_from(self.roll(of.len().max(1) as u64)).expect("small numbers");
        of.get(place).copied()
    }

    fn change(&mut self, number: u128, change: impl FnOnce(&mut Event)) {
        if let Some(event) = self.events.get_mut(&number) {
            change(event);
        }
    }

    fn replica(&mut self) -> usize {
        let count = self.replicas.len() as u64;
        usize::try_from(self.roll(count)).expect("small numbers")
    }

    fn span(&mut self, below: u64) -> i64 {
        i64::try_from(self.roll(below)).expect("small numbers")
    }

    /// SplitMix64.
    fn roll(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }
}

fn number_of(charge: &Charge) -> u128 {
    charge.counter.0.as_u128()
}

fn asked(charges: &[Charge], of: &Charge) -> u64 {
    let same = charges.iter().filter(|charge| same(charge, of));
    same.map(|charge| charge.ask).sum()
}

fn same(one: &Charge, other: &Charge) -> bool {
    one.counter == other.counter && one.span == other.span
}

fn lease_end(until: Millis) -> Millis {
    (until + 999) / 1000 * 1000
}

/// Whether an amount of then counts now.
fn is_in_sight(span: Span, then: Millis, now: Millis) -> bool {
    match span {
        Span::Slots { width, count } => {
            let (then, now) = (then / i64::from(width), now / i64::from(width));
            (now - then) < i64::from(count) && (then - now) <= i64::from(count)
        }
        Span::Fixed { ends, .. } => now < ends + KEPT_AFTER_END,
        Span::Held => true,
    }
}
