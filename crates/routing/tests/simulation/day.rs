//! A day on which everything happens, with every strategy; and what must hold all day long.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use lingate_routing::{
    Arm, By, Class, FallbacksOn, LastResort, Measure, Retry, Route, Scope, Split, Strategy,
};

use crate::clients::{Clients, Request};
use crate::dice::Dice;
use crate::upstream::{HOUR, MINUTE, SECOND, Secret, Span, Trouble, Vendor};
use crate::world::{Law, Outcome, Tale, World, ratio, route, target};

const NORTH: usize = 0;
const SOUTH: usize = 1;
const EAST: usize = 2;
const WEST: usize = 3;

fn minutes(hour: u64, minute: u64, lasts: u64) -> Span {
    let begin = hour * HOUR + minute * MINUTE;
    begin..begin + lasts * MINUTE
}

/// Four providers with what befalls them. One of them is always there.
fn vendors() -> Vec<Vendor> {
    let key = |vendor: &str, number: usize, account: &'static str, dead: Range<u64>| Secret {
        account,
        dead: vec![dead],
        ..Secret::new(vendor, number)
    };
    let mut north = Vendor {
        keys: vec![
            key("north", 0, "n1", 0..0),
            key("north", 1, "n1", 5 * HOUR..9 * HOUR),
            key("north", 2, "n1", 0..0),
            key("north", 3, "n2", 0..0),
            key("north", 4, "n2", 0..0),
            key("north", 5, "n2", 5 * HOUR..9 * HOUR),
        ],
        fails: 0.01,
        empty: 0.005,
        breaks: 0.01,
        limit: Some((20, Scope::Key)),
        windows: vec![("small", 8_000)],
        prudish: true,
        price: Some(30),
        troubles: vec![
            (minutes(2, 0, 20), Trouble::Unreachable),
            (minutes(8, 0, 10), Trouble::Silent),
            (minutes(12, 0, 10), Trouble::Overloaded),
            (minutes(16, 0, 10), Trouble::Unaccepting),
        ],
        ..Vendor::new("north", 0)
    };
    for key in &mut north.keys[3..] {
        key.broke = vec![minutes(13, 0, 120)];
    }
    let mut south = Vendor {
        fails: 0.02,
        limit: Some((60, Scope::Account)),
        tells: false,
        price: Some(20),
        troubles: vec![
            (minutes(4, 0, 10), Trouble::Page),
            (minutes(12, 5, 10), Trouble::Overloaded),
            (minutes(18, 0, 20), Trouble::Slow(8.0)),
        ],
        ..Vendor::new("south", 4)
    };
    for (key, (weight, account)) in
        south
            .keys
            .iter_mut()
            .zip([(3, "s1"), (1, "s1"), (1, "s2"), (0, "s3")])
    {
        key.weight = weight;
        key.account = account;
    }
    let mut east = Vendor {
        first_token: 200.0,
        fails: 0.01,
        limit: Some((30, Scope::Model)),
        price: Some(10),
        absent: vec!["rare"],
        troubles: vec![(minutes(20, 0, 10), Trouble::Stormy)],
        ..Vendor::new("east", 3)
    };
    east.keys[0].cap = Some(2);
    let west = Vendor {
        first_token: 900.0,
        fails: 0.005,
        breaks: 0.01,
        price: Some(60),
        ..Vendor::new("west", 2)
    };
    vec![north, south, east, west]
}

fn routes() -> Vec<Route> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let all = || {
        vec![
            target(NORTH, "base", 3, 0),
            target(SOUTH, "base", 1, 0),
            target(EAST, "base", 2, 0),
            target(WEST, "base", 1, 0),
        ]
    };
    let by = |model: &str, strategy| Route {
        strategy,
        ..route(model, all())
    };
    let arm = |weight, model: &str| Arm {
        weight,
        model: model.to_owned(),
    };
    vec![
        Route {
            strategy: Strategy::Weighted,
            fallbacks: names(&["west/base"]),
            ..route(
                "weighted",
                vec![
                    target(NORTH, "base", 3, 0),
                    target(SOUTH, "base", 1, 0),
                    target(EAST, "base", 0, 0),
                ],
            )
        },
        route(
            "tiers",
            vec![
                target(NORTH, "base", 1, 0),
                target(SOUTH, "base", 1, 1),
                target(WEST, "base", 1, 2),
            ],
        ),
        by("turns", Strategy::RoundRobin),
        by("busy", Strategy::LeastBusy),
        by("fast", Strategy::Latency(Measure::FirstToken)),
        by("fluent", Strategy::Latency(Measure::PerToken)),
        by("cheap", Strategy::Cheapest),
        by("sticky", Strategy::Sticky(By::Session)),
        by("quota", Strategy::Quota),
        Route {
            split: Some(Split {
                name: "trial".to_owned(),
                sticky: Some(By::Session),
                arms: vec![arm(80, "turns"), arm(20, "tiers")],
            }),
            ..route("split", Vec::new())
        },
        Route {
            fallbacks: names(&["south/base"]),
            fallbacks_on: FallbacksOn {
                context_length: Some(names(&["west/huge"])),
                refusal: Some(names(&["west/frank"])),
                timeout: Some(names(&["west/base"])),
            },
            ..route("causes", vec![target(NORTH, "small", 1, 0)])
        },
        Route {
            last_resort: LastResort::Queue(Duration::from_secs(20)),
            ..route("queue", vec![target(EAST, "base", 1, 0)])
        },
        Route {
            last_resort: LastResort::LeastBad,
            ..route("least", vec![target(EAST, "base", 1, 0)])
        },
        Route {
            last_resort: LastResort::Fallback("west/base".to_owned()),
            ..route("last", vec![target(NORTH, "base", 1, 0)])
        },
        Route {
            last_resort: LastResort::Refuse,
            ..route(
                "refuse",
                vec![target(SOUTH, "base", 1, 0), target(EAST, "rare", 1, 0)],
            )
        },
        Route {
            retry: Retry {
                attempts: Some(3),
                deadline: Some(Duration::from_secs(10)),
                only_within: Some(Duration::from_secs(2)),
            },
            strategy: Strategy::Weighted,
            ..route("hasty", all())
        },
        Route {
            retry: Retry {
                deadline: Some(Duration::from_secs(10)),
                ..Retry::default()
            },
            strategy: Strategy::RoundRobin,
            ..route("dated", all())
        },
        route("alone", vec![target(EAST, "base", 1, 0)]),
    ]
}

const MODELS: [&str; 18] = [
    "weighted", "weighted", "tiers", "turns", "busy", "fast", "fluent", "cheap", "sticky", "quota",
    "split", "causes", "queue", "least", "last", "refuse", "hasty", "dated",
];

fn draw(dice: &mut Dice) -> Request {
    let number = usize::try_from(dice.below(MODELS.len() as u64)).unwrap_or_default();
    let request = Request::to(MODELS[number], dice.below(300));
    Request {
        tokens: if dice.chance(0.05) { 20_000 } else { 500 },
        stream: dice.chance(0.8),
        faulty: dice.chance(0.01),
        touchy: dice.chance(0.02),
        odd: dice.chance(0.01),
        patience: dice.chance(0.04).then(|| dice.wait(2_000.0)),
        ..request
    }
}

fn clients() -> Clients {
    let rushes = [
        (2, 0),
        (4, 0),
        (8, 0),
        (12, 0),
        (13, 0),
        (16, 0),
        (18, 0),
        (20, 0),
    ];
    let rush = |(hour, minute)| (minutes(hour, minute, 25), 90.0);
    Clients {
        rushes: rushes.into_iter().map(rush).collect(),
        ..Clients::steady(3.0, draw)
    }
}

struct Day {
    world: World,
}

const SEEDS: u64 = 3;

/// The days, each with its seed; the last one with reloads.
fn days() -> &'static [Day] {
    static DAYS: OnceLock<Vec<Day>> = OnceLock::new();
    DAYS.get_or_init(|| {
        let day = |seed| {
            let mut world = World::new(seed, vendors(), routes);
            world.obedient = true;
            if seed == SEEDS {
                for minute in (7..24 * 60).step_by(13) {
                    world.reload_at(minute * MINUTE + 17 * SECOND);
                }
            }
            world.run(clients(), 24 * HOUR);
            Day { world }
        };
        (1..=SEEDS).map(day).collect()
    })
}

/// No day has a finding of these.
fn check(laws: &[Law]) {
    let findings: Vec<&str> = days()
        .iter()
        .flat_map(|day| &day.world.findings)
        .filter(|finding| laws.contains(&finding.law))
        .map(|finding| finding.told.as_str())
        .collect();
    let shown = findings.len().min(10);
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings[..shown].join("\n")
    );
}

#[test]
fn nothing_is_tried_twice() {
    check(&[Law::Twice]);
}

#[test]
fn what_rests_gets_its_probe_and_nothing_else() {
    check(&[Law::OpenBreaker, Law::RestingKey]);
    for Day { world } in days() {
        assert!(
            world.probed > 100 && world.excused > 10,
            "seed {}",
            world.seed
        );
    }
}

#[test]
fn upstreams_are_left_alone_as_long_as_they_say() {
    check(&[Law::TooSoon]);
}

#[test]
fn who_is_drained_gets_nothing() {
    check(&[Law::Drained]);
}

#[test]
fn a_route_says_how_much_is_tried() {
    check(&[Law::Limits, Law::Queue, Law::Cap]);
}

#[test]
fn client_faults_penalise_nothing() {
    check(&[Law::ClientFault]);
}

#[test]
fn nothing_leaks() {
    check(&[Law::Leak]);
}

#[test]
fn who_has_a_way_is_served() {
    for Day { world } in days() {
        // What is tried for these is little, by their owner's wish.
        let tales = world.tales.iter().filter(|tale| {
            let ended = tale.outcome != Outcome::HungUp && !tale.request.faulty;
            ended && !["hasty", "dated"].contains(&tale.request.model)
        });
        for (name, way, most) in [
            (
                "well and known to be",
                (|tale| tale.settled) as fn(&Tale) -> bool,
                0.001,
            ),
            // Until it is known that somebody is well again, as long as a cooldown lasts.
            ("well", |tale| tale.well, 0.005),
        ] {
            let tales = tales.clone().filter(|tale| way(tale));
            let refused: Vec<&Tale> = tales.clone().filter(|tale| tale.is_refused()).collect();
            let share = ratio(refused.len(), tales.clone().count());
            println!(
                "seed {}, {name}: {} of {} refused",
                world.seed,
                refused.len(),
                tales.count()
            );
            let first: Vec<String> = refused.iter().take(10).map(ToString::to_string).collect();
            let first = first.join("\n");
            assert!(
                share <= most,
                "seed {}, {name}: {share}\n{first}",
                world.seed
            );
        }
        // After a refusal, or a prompt that is too long, others are asked, of whom one is always there.
        for tale in tales.clone().filter(|tale| tale.request.model == "causes") {
            let class = tale.steps.first().and_then(|told| told.class);
            if let Some(Class::Refused | Class::ContextLength | Class::Timeout) = class {
                assert!(!tale.is_refused(), "seed {}: {tale}", world.seed);
            }
        }
    }
}

#[test]
fn attempts_are_few() {
    for Day { world } in days() {
        let attempts: usize = world.tales.iter().map(|tale| tale.steps.len()).sum();
        let mean = ratio(attempts, world.tales.len());
        println!(
            "seed {}: {mean:.3} attempts for each of {} requests",
            world.seed,
            world.tales.len()
        );
        assert!((0.9..1.2).contains(&mean), "seed {}: {mean}", world.seed);
    }
}

#[test]
fn who_comes_when_told_finds_something() {
    check(&[Law::Honest]);
}
