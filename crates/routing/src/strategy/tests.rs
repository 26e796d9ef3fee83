use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{By, InFlight, Measure, Strategy};

const ALL: [Strategy; 10] = [
    Strategy::Priority,
    Strategy::Weighted,
    Strategy::RoundRobin,
    Strategy::LeastBusy,
    Strategy::Latency(Measure::FirstToken),
    Strategy::Latency(Measure::PerToken),
    Strategy::Cheapest,
    Strategy::Sticky(By::Session),
    Strategy::Sticky(By::User),
    Strategy::Quota,
];

/// One target as a test describes it.
#[derive(Debug, Clone, Default)]
struct Place {
    weight: u32,
    gauge: Arc<Gauge>,
    price: Option<u64>,
    headroom: Option<f32>,
    same_dialect: bool,
}

fn place() -> Place {
    Place {
        weight: 1,
        ..Place::default()
    }
}

fn candidates(places: &[Place]) -> Vec<Candidate<'_>> {
    places
        .iter()
        .enumerate()
        .map(|(index, place)| Candidate {
            identity: identity("provider", &index.to_string()),
            weight: place.weight,
            gauge: &place.gauge,
            price: place.price,
            headroom: place.headroom,
            same_dialect: place.same_dialect,
        })
        .collect()
}

/// Dice that roll the same in each run.
fn dice(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed += 1;
        name_hash(&seed.to_string())
    }
}

/// How often each is chosen, when requests end as soon as they begin.
fn shares(strategy: Strategy, places: &[Place], count: usize) -> Vec<usize> {
    let turns = Turns::default();
    let mut dice = dice(0);
    let mut shares = vec![0; places.len()];
    for _ in 0..count {
        let candidates = candidates(places);
        if let Some(index) = pick(strategy, &candidates, &turns, Hints::default(), &mut dice) {
            shares[index] += 1;
        }
    }
    shares
}

fn weighing(weights: &[u32]) -> Vec<Place> {
    weights
        .iter()
        .map(|weight| Place {
            weight: *weight,
            ..place()
        })
        .collect()
}

#[test]
fn each_by_its_idea() {
    let priced = |prices: &[Option<u64>]| -> Vec<Place> {
        prices
            .iter()
            .map(|price| Place {
                price: *price,
                ..place()
            })
            .collect()
    };
    let limited = |left: &[Option<f32>]| -> Vec<Place> {
        left.iter()
            .map(|headroom| Place {
                headroom: *headroom,
                ..place()
            })
            .collect()
    };
    for (strategy, places, expect) in [
        (Strategy::Priority, weighing(&[1, 9, 9]), [60, 0, 0]),
        (Strategy::Priority, weighing(&[0, 1, 9]), [0, 60, 0]),
        (Strategy::Weighted, weighing(&[1, 2, 3]), [10, 20, 30]),
        (Strategy::Weighted, weighing(&[1, 0, 1]), [30, 0, 30]),
        (Strategy::RoundRobin, weighing(&[1, 9, 5]), [20, 20, 20]),
        (Strategy::RoundRobin, weighing(&[1, 9, 0]), [30, 30, 0]),
        // Nobody is busy: all tie.
        (Strategy::LeastBusy, weighing(&[1, 2, 3]), [10, 20, 30]),
        (
            Strategy::Cheapest,
            priced(&[Some(5), Some(3), Some(4)]),
            [0, 60, 0],
        ),
        (
            Strategy::Cheapest,
            priced(&[None, Some(9), None]),
            [0, 60, 0],
        ),
        (
            Strategy::Cheapest,
            priced(&[Some(3), Some(9), Some(3)]),
            [30, 0, 30],
        ),
        (
            Strategy::Cheapest,
            priced(&[None, None, None]),
            [20, 20, 20],
        ),
        (
            Strategy::Cheapest,
            priced(&[Some(0), None, Some(1)]),
            [60, 0, 0],
        ),
        (
            Strategy::Quota,
            limited(&[Some(0.1), Some(0.9), Some(0.5)]),
            [0, 60, 0],
        ),
        (
            Strategy::Quota,
            limited(&[Some(0.98), None, Some(2.0)]),
            [0, 30, 30],
        ),
        (
            Strategy::Quota,
            limited(&[Some(0.0), Some(f32::NAN), Some(-1.0)]),
            [20, 20, 20],
        ),
    ] {
        assert_eq!(
            shares(strategy, &places, 60),
            expect,
            "{strategy:?} {places:?}"
        );
    }
}

#[test]
fn the_least_busy_for_its_weight() {
    for (weights, busy, expect) in [
        ([1, 1, 1], [2, 1, 3], Some(1)),
        ([4, 1, 1], [3, 1, 1], Some(0)),
        ([4, 1, 1], [5, 1, 1], Some(1)),
        ([0, 1, 1], [0, 7, 8], Some(1)),
        ([u32::MAX, u32::MAX, 1], [2, 1, 0], Some(2)),
        ([0, 0, 0], [0, 0, 0], None),
    ] {
        let places = weighing(&weights);
        let _under_way: Vec<InFlight> = places
            .iter()
            .zip(busy)
            .flat_map(|(place, busy)| (0..busy).map(|_| place.gauge.begin()))
            .collect();
        let chosen = pick(
            Strategy::LeastBusy,
            &candidates(&places),
            &Turns::default(),
            Hints::default(),
            &mut || 0,
        );
        assert_eq!(chosen, expect, "{weights:?} {busy:?}");
    }
}

#[test]
fn busy_ones_fill_up_by_weight() {
    let places = weighing(&[1, 2, 5]);
    let turns = Turns::default();
    let mut under_way = Vec::new();
    for _ in 0..80 {
        let chosen = pick(
            Strategy::LeastBusy,
            &candidates(&places),
            &turns,
            Hints::default(),
            &mut || 0,
        );
        under_way.push(places[chosen.unwrap()].gauge.begin());
    }
    let busy: Vec<_> = places.iter().map(|place| place.gauge.in_flight()).collect();
    assert_eq!(busy, [10, 20, 50]);
}

#[test]
fn the_faster_of_two() {
    let places = weighing(&[1, 1, 1, 0]);
    for (place, millis) in places.iter().zip([100, 300, 200, 1]) {
        place
            .gauge
            .first_token(Duration::from_millis(millis), Moment::default());
        place
            .gauge
            .answered(10, Duration::from_millis(4_000 / millis), Moment::default());
    }
    // Of three pairs the fastest wins two, the slowest none.
    let shares_of = |measure| shares(Strategy::Latency(measure), &places, 3_000);
    let [fast, slow, middle, drained] = shares_of(Measure::FirstToken)[..] else {
        panic!("four places");
    };
    assert!(
        (1_900..2_100).contains(&fast) && (900..1_100).contains(&middle),
        "{fast} {middle}"
    );
    assert_eq!((slow, drained), (0, 0));
    assert_eq!(shares_of(Measure::PerToken)[0], 0);

    // Three requests under way, and the fastest is no longer the one.
    let _busy: Vec<_> = (0..3).map(|_| places[0].gauge.begin()).collect();
    assert_eq!(shares_of(Measure::FirstToken)[0], 0);
}

#[test]
fn an_unknown_one_is_tried_by_one_at_a_time() {
    let places = weighing(&[1, 1, 1]);
    places[0]
        .gauge
        .first_token(Duration::from_millis(100), Moment::default());
    let strategy = Strategy::Latency(Measure::FirstToken);
    let turns = Turns::default();
    let mut dice = dice(0);
    let mut next = || {
        let candidates = candidates(&places);
        pick(strategy, &candidates, &turns, Hints::default(), &mut dice).unwrap()
    };
    let first = next();
    let trying = places[first].gauge.begin();
    let second = next();
    let _also = places[second].gauge.begin();
    let mut both = [first, second];
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
    // The known one is better than what is not known to be; of two unknown ones either will do.
    let known = (0..300).filter(|_| next() == 0).count();
    assert!((150..250).contains(&known), "{known}");
    // It turns out to be fast.
    places[first]
        .gauge
        .first_token(Duration::from_millis(10), Moment::default());
    drop(trying);
    let fast = (0..300).filter(|_| next() == first).count();
    assert!((150..250).contains(&fast), "{fast}");
}

#[test]
fn only_the_share_of_what_goes_away_moves() {
    let strategy = Strategy::Sticky(By::Session);
    let chosen = |places: &[Place], session: u64| {
        let hints = Hints {
            sticky: Some(name_hash(&format!("session-{session}"))),
            ..Hints::default()
        };
        pick(
            strategy,
            &candidates(places),
            &Turns::default(),
            hints,
            &mut || panic!("no dice are needed"),
        )
    };
    let all = weighing(&[1, 2, 3, 4]);
    let less = weighing(&[1, 2, 0, 4]);
    let mut counts = [0_u32; 4];
    for session in 0..20_000 {
        let before = chosen(&all, session).unwrap();
        counts[before] += 1;
        assert_eq!(chosen(&all, session), Some(before));
        let after = chosen(&less, session).unwrap();
        assert!(before == 2 || before == after);
        assert_ne!(after, 2);
    }
    for (count, weight) in counts.into_iter().zip([1.0, 2.0, 3.0, 4.0]) {
        // Four standard deviations of a share of 20,000.
        assert!(
            (f64::from(count) / 20_000.0 - weight / 10.0).abs() < 0.0142,
            "{counts:?}"
        );
    }
}

#[test]
fn without_anything_to_stick_to_it_is_drawn_by_weight() {
    let shares = shares(Strategy::Sticky(By::Session), &weighing(&[1, 3]), 4_000);
    assert!((900..1_100).contains(&shares[0]), "{shares:?}");
}

#[test]
fn those_who_speak_the_dialect_come_first() {
    for (spoken, prefer, expect) in [
        ([false, true, false], true, 1),
        ([false, true, false], false, 0),
        ([false, false, false], true, 0),
        ([false, true, true], true, 1),
    ] {
        let places: Vec<_> = spoken
            .into_iter()
            .map(|same_dialect| Place {
                same_dialect,
                ..place()
            })
            .collect();
        let hints = Hints {
            prefer_same_dialect: prefer,
            ..Hints::default()
        };
        let chosen = pick(
            Strategy::Priority,
            &candidates(&places),
            &Turns::default(),
            hints,
            &mut || 0,
        );
        assert_eq!(chosen, Some(expect), "{spoken:?} {prefer}");
    }
    // One that is drained does not count as one who speaks it.
    let mut places = weighing(&[0, 1]);
    places[0].same_dialect = true;
    let hints = Hints {
        prefer_same_dialect: true,
        ..Hints::default()
    };
    let chosen = pick(
        Strategy::Priority,
        &candidates(&places),
        &Turns::default(),
        hints,
        &mut || 0,
    );
    assert_eq!(chosen, Some(1));
}

proptest! {
    /// Whatever the strategy: one is chosen when there is one, and never one that is drained.
    #[test]
    fn always_one_with_a_weight(
        weights in prop::collection::vec(prop_oneof![Just(0), 1_u32..5, Just(u32::MAX)], 0..7),
        observed in prop::collection::vec(prop::option::of(0_u64..100_000), 7),
        busy in prop::collection::vec(0_u32..4, 7),
        prices in prop::collection::vec(prop::option::of(any::<u64>()), 7),
        headroom in prop::collection::vec(prop::option::of(any::<f32>()), 7),
        spoken in prop::collection::vec(any::<bool>(), 7),
        sticky in any::<Option<u64>>(),
        prefer_same_dialect in any::<bool>(),
        rolls in any::<[u64; 3]>(),
    ) {
        let mut under_way = Vec::new();
        let mut places = weighing(&weights);
        for (index, place) in places.iter_mut().enumerate() {
            if let Some(micros) = observed[index] {
                place.gauge.first_token(Duration::from_micros(micros), Moment::default());
            }
            under_way.extend((0..busy[index]).map(|_| place.gauge.begin()));
            place.price = prices[index];
            place.headroom = headroom[index];
            place.same_dialect = spoken[index];
        }
        let turns = Turns::default();
        let hints = Hints { sticky, prefer_same_dialect, now: Moment::default() };
        for strategy in ALL {
            let mut rolls = rolls.into_iter().cycle();
            let mut dice = || rolls.next().unwrap();
            for _ in 0..4 {
                let chosen = pick(strategy, &candidates(&places), &turns, hints, &mut dice);
                let heavy = chosen.is_some_and(|index| weights[index] > 0);
                prop_assert_eq!(heavy, weights.iter().any(|weight| *weight > 0), "{:?}", strategy);
            }
        }
    }
}
