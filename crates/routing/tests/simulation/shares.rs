//! Who gets how much: targets, keys and arms by their weights.

use std::collections::BTreeMap;

use lingate_routing::{Arm, By, Route, Split, Strategy};

use crate::clients::{Clients, Request};
use crate::dice::Dice;
use crate::upstream::{MINUTE, Vendor};
use crate::world::{Told, World, ratio, route, target};

fn routes() -> Vec<Route> {
    let targets = || {
        vec![
            target(0, "base", 5, 0),
            target(1, "base", 3, 0),
            target(2, "base", 1, 0),
            target(3, "base", 0, 0),
        ]
    };
    let arm = |weight, model: &str| Arm {
        weight,
        model: model.to_owned(),
    };
    let split = |name: &str, sticky| Route {
        split: Some(Split {
            name: name.to_owned(),
            sticky,
            arms: vec![arm(7, "a"), arm(3, "b"), arm(0, "c")],
        }),
        ..route(name, Vec::new())
    };
    vec![
        Route {
            strategy: Strategy::Weighted,
            ..route("weighted", targets())
        },
        Route {
            strategy: Strategy::RoundRobin,
            ..route("turns", targets())
        },
        Route {
            strategy: Strategy::Sticky(By::Session),
            ..route("sticky", targets())
        },
        split("drawn", None),
        split("kept", Some(By::Session)),
        route("a", vec![target(0, "base", 1, 0)]),
        route("b", vec![target(0, "base", 1, 0)]),
        route("c", vec![target(0, "base", 1, 0)]),
    ]
}

const MODELS: [&str; 5] = ["weighted", "turns", "sticky", "drawn", "kept"];

fn draw(dice: &mut Dice) -> Request {
    let number = usize::try_from(dice.below(MODELS.len() as u64)).unwrap_or_default();
    Request::to(MODELS[number], dice.roll())
}

/// A world in which nothing fails; its keys weigh 4, 2, 1 and 0. It is configured anew now and then.
fn world(seed: u64) -> World {
    let vendor = |name| {
        let mut vendor = Vendor::new(name, 4);
        for (key, weight) in vendor.keys.iter_mut().zip([4, 2, 1, 0]) {
            key.weight = weight;
        }
        vendor
    };
    let vendors = ["north", "south", "east", "west"].map(vendor).into();
    let mut world = World::new(seed, vendors, routes);
    for number in 1..6 {
        world.reload_at(number * 7 * MINUTE);
    }
    world.run(Clients::steady(250.0, draw), 40 * MINUTE);
    world.check(&format!("seed {seed}"));
    assert!(world.tales.iter().all(|tale| !tale.is_refused()));
    world
}

/// Each has its share of the counts, within five standard deviations of what chance does; who has none gets nothing.
fn check(scene: &str, counts: &BTreeMap<String, usize>, due: &[(&str, u32)]) {
    let all: usize = counts.values().sum();
    let total: u32 = due.iter().map(|(_, weight)| weight).sum();
    for (name, weight) in due {
        let share = ratio(counts.get(*name).copied().unwrap_or_default(), all);
        let due = f64::from(*weight) / f64::from(total);
        let bound = 5.0 * (due * (1.0 - due) * ratio(1, all)).sqrt();
        assert!(
            (share - due).abs() <= bound,
            "{scene} {name}: {share}, due {due} of {all}"
        );
    }
}

fn count<'t>(of: impl Iterator<Item = &'t str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in of {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn shares_are_those_of_the_weights() {
    for seed in 1..=3 {
        let world = world(seed);
        let of = |model: &'static str| {
            let tales = world.tales.iter();
            tales.filter(move |tale| tale.request.model == model)
        };
        for (model, weights) in [
            ("weighted", [5, 3, 1, 0]),
            ("turns", [1, 1, 1, 0]),
            ("sticky", [5, 3, 1, 0]),
        ] {
            let served = of(model).flat_map(|tale| &tale.steps);
            let counts = count(served.map(|told| told.provider.as_str()));
            let names = ["north", "south", "east", "west"];
            let due: Vec<(&str, u32)> = names.into_iter().zip(weights).collect();
            check(&format!("seed {seed}, {model}"), &counts, &due);
        }
        for model in ["drawn", "kept"] {
            let counts = count(of(model).filter_map(|tale| tale.arm.as_deref()));
            check(
                &format!("seed {seed}, {model}"),
                &counts,
                &[("a", 7), ("b", 3), ("c", 0)],
            );
        }
        // Keys, by turns and where sessions stay with theirs.
        for model in ["weighted", "sticky"] {
            let steps: Vec<&Told> = of(model).flat_map(|tale| &tale.steps).collect();
            let keys = steps
                .iter()
                .map(|told| &told.secret[told.secret.len() - 4..]);
            let due = [("0000", 4), ("0001", 2), ("0002", 1), ("0003", 0)];
            check(&format!("seed {seed}, keys of {model}"), &count(keys), &due);
        }
    }
}
