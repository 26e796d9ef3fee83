//! What was down and is well again is used again as soon as its cooldown ends, and not before.

use lingate_routing::{BreakerState, Moment, Route, Scope};

use crate::clients::{Clients, Request};
use crate::dice::Dice;
use crate::upstream::{MINUTE, SECOND, Trouble, Vendor};
use crate::world::{Tale, World, clock, moment, route, target};

fn routes() -> Vec<Route> {
    let targets = vec![target(0, "base", 1, 0), target(1, "base", 1, 1)];
    vec![route("two", targets)]
}

fn draw(dice: &mut Dice) -> Request {
    Request::to("two", dice.below(50))
}

/// When all that rests of the first provider is to be tried again, by what is told of it now.
fn awaited(world: &World) -> u64 {
    let provider = &world.snapshot.providers[0];
    let now = moment(world.now);
    let model = provider.health.model("base", now);
    let breakers = [
        provider.health.state(now),
        provider.health.state_of(&model, now),
    ];
    let breakers = breakers.into_iter().filter_map(|state| match state {
        BreakerState::Open(open) => Some(open.until),
        BreakerState::Closed(_) | BreakerState::HalfOpen { .. } => None,
    });
    let states = provider.keys.states(now);
    let keys = states.iter().map(|standing| {
        let of_models = standing
            .models
            .iter()
            .filter_map(|(_, state)| state.until());
        of_models.chain(standing.state.until()).max().unwrap_or(now)
    });
    breakers
        .chain(keys.min())
        .map(Moment::as_millis)
        .max()
        .unwrap_or(world.now)
}

/// From the end of `trouble` on the first provider is waited for no longer than is told, and then gets all again.
fn check(scene: &str, mut world: World, end: u64) {
    let clients = || Clients::steady(60.0, draw);
    world.run(clients(), end);
    let awaited = awaited(&world).max(end);
    world.run(clients(), awaited + 12 * MINUTE);
    world.check(scene);
    let north = |tale: &&Tale| {
        let told = tale.served_by();
        told.is_some_and(|told| told.provider == "north" && told.at >= end)
    };
    let first = world
        .tales
        .iter()
        .filter(north)
        .map(|tale| tale.began)
        .min();
    let first = first.unwrap_or_else(|| panic!("{scene}: it never serves again"));
    // While it is down hardly anybody meets it: those who find out, probes, and keys when they were told to come again.
    let steps = world.tales.iter().flat_map(|tale| &tale.steps);
    let down = 2 * MINUTE..end;
    let met = steps.filter(|told| told.provider == "north" && down.contains(&told.at));
    let met = met.count();
    assert!(met <= 250, "{scene}: {met} attempts while it is down");
    // Somebody has to come by, and the probe has to be answered.
    assert!(
        first <= awaited + 20 * SECOND,
        "{scene}: {} after {}",
        clock(first),
        clock(awaited)
    );
    let (share, _) = world.share(&(first + MINUTE..awaited + 12 * MINUTE), "north");
    assert!(share > 0.99, "{scene}: {share} of the requests");
}

#[test]
fn providers_come_back() {
    for (seed, trouble) in (1..).zip([
        Trouble::Unreachable,
        Trouble::Silent,
        Trouble::Overloaded,
        Trouble::Page,
        Trouble::Unaccepting,
        Trouble::Stormy,
    ]) {
        for lasts in [20 * SECOND, 4 * MINUTE, 25 * MINUTE] {
            let north = Vendor {
                troubles: vec![(2 * MINUTE..2 * MINUTE + lasts, trouble)],
                ..Vendor::new("north", 4)
            };
            let world = World::new(seed, vec![north, Vendor::new("west", 3)], routes);
            let scene = format!("seed {seed}, {trouble:?} for {} s", lasts / SECOND);
            check(&scene, world, 2 * MINUTE + lasts);
        }
    }
}

#[test]
fn keys_come_back() {
    for seed in 1..=2 {
        for lasts in [30 * SECOND, 10 * MINUTE] {
            let span = MINUTE..MINUTE + lasts;
            for (what, dead) in [("dead", true), ("broke", false)] {
                let mut north = Vendor::new("north", 1);
                let spans = if dead {
                    &mut north.keys[0].dead
                } else {
                    &mut north.keys[0].broke
                };
                spans.push(span.clone());
                let world = World::new(seed, vec![north, Vendor::new("west", 3)], routes);
                check(
                    &format!("seed {seed}, {what} for {lasts} ms"),
                    world,
                    span.end,
                );
            }
        }
    }
}

#[test]
fn told_resets_are_met_to_the_second() {
    for (seed, scope) in [(1, Scope::Key), (2, Scope::Model), (3, Scope::Account)] {
        let mut north = Vendor {
            limit: Some((12, scope)),
            ..Vendor::new("north", 3)
        };
        for key in &mut north.keys {
            key.account = "a";
        }
        let mut world = World::new(seed, vec![north, Vendor::new("west", 3)], routes);
        world.run(Clients::steady(90.0, draw), 20 * MINUTE);
        let scene = format!("seed {seed}, by {scope:?}");
        world.check(&scene);
        // In every minute as much is used of it as there is, but for the first seconds, until the first asks anew.
        let most = if scope == Scope::Account { 12 } else { 36 };
        let (share, all) = world.share(&(2 * MINUTE..20 * MINUTE), "north");
        let due = f64::from(most) / 90.0;
        println!("{scene}: {share:.3} of {all}, due {due:.3}");
        assert!(
            (due * 0.85..due * 1.05).contains(&share),
            "{scene}: {share}, due {due}"
        );
        assert!(!world.tales.iter().any(Tale::is_refused), "{scene}");
    }
}
