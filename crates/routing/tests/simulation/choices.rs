//! What each strategy is for: conversations that stay, the fast one, the cheap one, the idle one, the one that has something left.

use std::collections::BTreeMap;

use lingate_routing::{By, Class, Measure, Route, RouteTarget, Scope, Strategy};

use crate::clients::{Clients, Request};
use crate::dice::Dice;
use crate::upstream::{MINUTE, Span, Trouble, Vendor};
use crate::world::{Outcome, Tale, World, ratio, route, target};

fn routes() -> Vec<Route> {
    let by = |model: &str, strategy, targets: Vec<RouteTarget>| Route {
        strategy,
        ..route(model, targets)
    };
    let three = || {
        (0..3)
            .map(|place| target(place, "base", 1, 0))
            .collect::<Vec<_>>()
    };
    let two = || (0..2).map(|place| target(place, "base", 1, 0)).collect();
    vec![
        by("sticky", Strategy::Sticky(By::Session), three()),
        by("fast", Strategy::Latency(Measure::FirstToken), two()),
        by("fluent", Strategy::Latency(Measure::PerToken), two()),
        by("cheap", Strategy::Cheapest, three()),
        by("busy", Strategy::LeastBusy, two()),
        by("quota", Strategy::Quota, two()),
        by("turns", Strategy::RoundRobin, two()),
    ]
}

fn minutes(from: u64, to: u64) -> Span {
    from * MINUTE..to * MINUTE
}

fn run(
    seed: u64,
    vendors: Vec<Vendor>,
    rate: f64,
    lasts: u64,
    draw: fn(&mut Dice) -> Request,
) -> World {
    let mut world = World::new(seed, vendors, routes);
    // Nothing that was learned is lost by it.
    for minute in (5..lasts).step_by(9) {
        world.reload_at(minute * MINUTE + 1);
    }
    world.run(Clients::steady(rate, draw), lasts * MINUTE);
    world.check(&format!("seed {seed}"));
    world
}

#[test]
fn conversations_stay_where_they_are() {
    for seed in 1..=3 {
        let mut vendors: Vec<Vendor> = ["north", "south", "east"]
            .map(|name| Vendor::new(name, 4))
            .into();
        vendors[0]
            .troubles
            .push((minutes(15, 25), Trouble::Overloaded));
        vendors[1].keys[2].dead.push(minutes(40, 50));
        let world = run(seed, vendors, 100.0, 125, |dice| {
            Request::to("sticky", dice.below(150))
        });
        let mut homes: BTreeMap<u64, (&str, &str)> = BTreeMap::new();
        let (mut moved, mut stayed) = (0, 0);
        for tale in &world.tales {
            let Some(told) = tale.served_by() else {
                assert_eq!(tale.outcome, Outcome::HungUp, "seed {seed}: {tale}");
                continue;
            };
            let here = (told.provider.as_str(), told.secret.as_str());
            let home = *homes.entry(tale.request.session).or_insert_with(|| {
                assert!(tale.began < 15 * MINUTE, "seed {seed}: {tale}");
                here
            });
            if here == home {
                stayed += 1;
                continue;
            }
            // Only who lives there, and only until it is found to be well again.
            moved += 1;
            let is_down = home.0 == "north" && minutes(15, 31).contains(&tale.began)
                || home.1 == "sk-south-0002" && minutes(40, 112).contains(&tale.began);
            assert!(is_down, "seed {seed}: lives at {home:?}: {tale}");
        }
        let places: std::collections::BTreeSet<_> = homes.values().collect();
        println!(
            "seed {seed}: {} homes, {stayed} stayed, {moved} moved",
            places.len()
        );
        assert!(
            homes.len() == 150 && places.len() == 12 && moved > 100,
            "seed {seed}: {moved}"
        );
        // Those of one key do not all move to the same other key, nor to other providers as long as theirs has keys.
        let guests = world.tales.iter().filter_map(|tale| {
            let away = homes.get(&tale.request.session)?.1 == "sk-south-0002";
            tale.served_by()
                .filter(|told| away && told.secret != "sk-south-0002")
        });
        assert!(
            guests.clone().all(|told| told.provider == "south"),
            "seed {seed}"
        );
    }
}

#[test]
fn the_faster_one_gets_most() {
    for (seed, model) in [(1, "fast"), (2, "fluent"), (3, "fast")] {
        let slows = |vendor: Vendor| Vendor {
            troubles: vec![(minutes(20, 40), Trouble::Slow(10.0))],
            ..vendor
        };
        let north = slows(Vendor {
            first_token: 300.0,
            per_token: 8.0,
            ..Vendor::new("north", 2)
        });
        let south = Vendor {
            first_token: 900.0,
            per_token: 24.0,
            ..Vendor::new("south", 2)
        };
        let draw = if model == "fast" {
            |dice: &mut Dice| Request::to("fast", dice.below(50))
        } else {
            |dice: &mut Dice| Request::to("fluent", dice.below(50))
        };
        let world = run(seed, vec![north, south], 40.0, 70, draw);
        let share = |from, to| world.share(&minutes(from, to), "north").0;
        let (before, slow, after) = (share(2, 20), share(21, 40), share(50, 70));
        println!("seed {seed}, {model}: {before:.3}, slow {slow:.3}, after {after:.3}");
        assert!(before > 0.8, "seed {seed}, {model}: {before} before");
        assert!(slow < 0.2, "seed {seed}, {model}: {slow} while it is slow");
        assert!(after > 0.8, "seed {seed}, {model}: {after} after");
    }
}

#[test]
fn who_only_fails_is_not_asked_first_again_and_again() {
    for seed in 1..=3 {
        let unfit = Vendor {
            absent: vec!["base"],
            ..Vendor::new("north", 1)
        };
        let vendors = vec![unfit, Vendor::new("south", 2)];
        let world = run(seed, vendors, 20.0, 60, |dice| {
            Request::to("fast", dice.below(50))
        });
        let vain = world.tales.iter().filter(|tale| tale.steps.len() > 1);
        let share = ratio(vain.count(), world.tales.len());
        println!("seed {seed}: {share:.3} begin in vain");
        assert!((0.001..0.15).contains(&share), "seed {seed}: {share}");
    }
}

#[test]
fn the_cheapest_that_is_well_gets_all() {
    for seed in 1..=3 {
        let priced = |name, price| Vendor {
            price: Some(price),
            ..Vendor::new(name, 2)
        };
        let mut vendors = vec![priced("north", 30), priced("south", 10), priced("east", 20)];
        vendors[1]
            .troubles
            .push((minutes(10, 20), Trouble::Unreachable));
        let world = run(seed, vendors, 60.0, 40, |dice| {
            Request::to("cheap", dice.below(50))
        });
        for (from, to, name, least) in [
            (0, 10, "south", 1.0),
            (10, 20, "east", 1.0),
            (26, 40, "south", 1.0),
        ] {
            let (share, _) = world.share(&minutes(from, to), name);
            assert!(
                share >= least,
                "seed {seed}: {name} has {share} from {from} to {to}"
            );
        }
        assert!(!world.tales.iter().any(Tale::is_refused), "seed {seed}");
    }
}

#[test]
fn the_load_is_even() {
    for seed in 1..=3 {
        let vendor = |name, slow: f64| Vendor {
            first_token: 400.0 * slow,
            per_token: 10.0 * slow,
            ..Vendor::new(name, 2)
        };
        let vendors = || vec![vendor("north", 1.0), vendor("south", 4.0)];
        // Requests under way at each, on average, in milliseconds of each minute.
        let load = |world: &World, name: &str| -> u64 {
            let served = world
                .tales
                .iter()
                .filter(|tale| tale.served_by().is_some_and(|told| told.provider == name));
            served.map(|tale| tale.ended - tale.began).sum::<u64>()
        };
        let skew = |world: &World| {
            let (north, south) = (load(world, "north"), load(world, "south"));
            ratio(
                usize::try_from(south).unwrap(),
                usize::try_from(north).unwrap(),
            )
        };
        let busy = run(seed, vendors(), 600.0, 10, |dice| {
            Request::to("busy", dice.below(50))
        });
        let turns = run(seed, vendors(), 600.0, 10, |dice| {
            Request::to("turns", dice.below(50))
        });
        let (even, skewed) = (skew(&busy), skew(&turns));
        println!("seed {seed}: {even:.2}, by turns {skewed:.2}");
        assert!((0.8..1.25).contains(&even), "seed {seed}: {even}");
        assert!(skewed > 3.0, "seed {seed}: {skewed}");
    }
}

#[test]
fn what_is_nearly_spent_is_spared() {
    for seed in 1..=3 {
        let vendors = || {
            let limited = |name, limit| Vendor {
                limit: Some((limit, Scope::Key)),
                ..Vendor::new(name, 2)
            };
            vec![limited("north", 20), limited("south", 200)]
        };
        let turned_away = |world: &World| {
            let steps = world.tales.iter().flat_map(|tale| &tale.steps);
            let limited = steps
                .clone()
                .filter(|told| told.class == Some(Class::RateLimited));
            ratio(limited.count(), steps.count())
        };
        let quota = run(seed, vendors(), 240.0, 15, |dice| {
            Request::to("quota", dice.below(50))
        });
        let turns = run(seed, vendors(), 240.0, 15, |dice| {
            Request::to("turns", dice.below(50))
        });
        let (spared, usual) = (turned_away(&quota), turned_away(&turns));
        println!("seed {seed}: {spared:.4} turned away, by turns {usual:.4}");
        assert!(
            spared < 0.001 && usual > 0.005,
            "seed {seed}: {spared}, by turns {usual}"
        );
        assert!(!quota.tales.iter().any(Tale::is_refused), "seed {seed}");
    }
}
