//! What clients are told when nothing is ready: to wait, or when to come again.

use std::time::Duration;

use lingate_routing::{End, LastResort, Retry, Route, Scope};

use crate::clients::{Clients, Request};
use crate::dice::Dice;
use crate::upstream::{MINUTE, SECOND, Trouble, Vendor};
use crate::world::{Outcome, Tale, World, ratio, route, target};

const PATIENCE: u64 = 25 * SECOND;

fn routes() -> Vec<Route> {
    let queue = LastResort::Queue(Duration::from_millis(PATIENCE));
    vec![
        Route {
            last_resort: queue.clone(),
            ..route("queue", vec![target(0, "base", 1, 0)])
        },
        Route {
            last_resort: queue,
            retry: Retry {
                deadline: Some(Duration::from_secs(5)),
                ..Retry::default()
            },
            ..route("hurried", vec![target(0, "base", 1, 0)])
        },
        Route {
            last_resort: LastResort::Refuse,
            ..route("refuse", vec![target(0, "base", 1, 0)])
        },
    ]
}

fn vendor() -> Vendor {
    let mut vendor = Vendor {
        limit: Some((8, Scope::Key)),
        troubles: vec![(10 * MINUTE..13 * MINUTE, Trouble::Overloaded)],
        ..Vendor::new("north", 3)
    };
    for key in &mut vendor.keys {
        key.cap = Some(1);
    }
    vendor
}

#[test]
fn queues_end_in_time_and_nobody_waits_in_vain() {
    for seed in 1..=4 {
        let mut world = World::new(seed, vec![vendor()], routes);
        let clients = Clients::steady(22.0, |dice: &mut Dice| {
            let model = if dice.chance(0.8) { "queue" } else { "hurried" };
            Request {
                patience: dice.chance(0.1).then(|| dice.wait(8_000.0)),
                ..Request::to(model, dice.below(50))
            }
        });
        world.run(clients, 30 * MINUTE);
        world.check(&format!("seed {seed}"));
        let waited = world.tales.iter().filter(|tale| tale.waits > 0);
        let served = waited
            .clone()
            .filter(|tale| tale.outcome == Outcome::Served);
        println!(
            "seed {seed}: {} waited, {} of them were served",
            waited.clone().count(),
            served.clone().count()
        );
        assert!(served.count() > 25, "seed {seed}");
        for tale in waited {
            let limit = if tale.request.model == "queue" {
                PATIENCE
            } else {
                5 * SECOND
            };
            let first = tale.steps.first().map_or(tale.ended, |told| told.at);
            assert!(first - tale.began <= limit, "seed {seed}: {tale}");
        }
    }
}

#[test]
fn who_comes_when_told_is_served_unless_others_came_first() {
    for seed in 1..=4 {
        let mut vendor = vendor();
        for key in &mut vendor.keys {
            key.cap = None;
        }
        let mut world = World::new(seed, vec![vendor], routes);
        world.obedient = true;
        world.run(
            Clients::steady(26.0, |dice: &mut Dice| {
                Request::to("refuse", dice.below(50))
            }),
            30 * MINUTE,
        );
        world.check(&format!("seed {seed}"));
        let again = world.tales.iter().filter(|tale| tale.again.is_some());
        let vain = again.clone().filter(|tale| tale.steps.is_empty());
        let share = ratio(vain.clone().count(), again.clone().count());
        println!(
            "seed {seed}: {} of {} came in vain",
            vain.clone().count(),
            again.clone().count()
        );
        assert!(again.count() > 20 && share < 0.5, "seed {seed}: {share}");
        // Whoever is refused for want of anything that is ready is told when to come.
        let untold = world.tales.iter().find(|tale| {
            matches!(&tale.outcome, Outcome::Ended(End::Down(down)) if down.ready_at.is_none())
        });
        assert!(
            untold.is_none(),
            "seed {seed}: {}",
            untold.map(Tale::to_string).unwrap_or_default()
        );
    }
}
