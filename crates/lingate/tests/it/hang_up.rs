//! Callers that leave: the upstream's connection is closed at once, which stops the spending, and the log says so.

use std::time::{Duration, Instant};

use lingate_testkit::{Ending, Script, Step};

use crate::wire::Dialect;
use crate::world::{Asked, PATIENCE, World};

/// Where the upstream is when the caller leaves.
fn stall(asked: &Asked<'_>) -> Script {
    let events = asked.dialect.events();
    let first = |count: usize| Script::events(events[..count].to_vec()).then(Step::Stall);
    match asked.model.as_str() {
        "before-head" => Script::silent(),
        "slow-head" => asked.good().after(PATIENCE * 3),
        "before-content" if asked.stream => first(asked.dialect.opening()),
        "in-content" if asked.stream => first(asked.dialect.opening() + 1),
        // Events keep coming, so that the gateway notices while it writes.
        "busy" if asked.stream => {
            let opening = asked.dialect.opening();
            let more = events[opening].clone();
            Script::events(events[..=opening].iter().cloned().chain(vec![more; 5000]))
                .pausing(Duration::from_millis(5))
        }
        _ => Script::steps(
            "application/json",
            vec![Step::Send("{\"id\":".into()), Step::Stall],
        ),
    }
}

#[tokio::test]
async fn the_upstream_is_left_within_a_second() {
    let world = World::playing("", stall).await;
    let mut slowest = Duration::ZERO;
    let mut cases = 0;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            for stream in [false, true] {
                for at in [
                    "before-head",
                    "slow-head",
                    "before-content",
                    "in-content",
                    "busy",
                ] {
                    for reset in [false, true] {
                        let number = world.upstream.received().len();
                        let mut client = world
                            .call(caller, &format!("{}/{at}", upstream.provider()), stream)
                            .await;
                        world.upstream.request(number, PATIENCE).await.unwrap();
                        if stream && ["in-content", "busy"].contains(&at) {
                            client.read_until(b"Hello ").await.unwrap();
                        }
                        let left = Instant::now();
                        if reset {
                            client.reset();
                        } else {
                            drop(client);
                        }
                        let case = format!(
                            "{caller:?} to {upstream:?}, stream {stream}, {at}, reset {reset}"
                        );
                        let ended = world.upstream.ending(number, Duration::from_secs(5)).await;
                        let (ending, when) = ended.unwrap_or_else(|| {
                            panic!("{case}: the upstream still works for nobody")
                        });
                        assert_eq!(ending, Ending::ClientGone, "{case}");
                        slowest = slowest.max(when.saturating_duration_since(left));
                        cases += 1;
                    }
                }
            }
        }
    }
    eprintln!("{cases} hang-ups, the upstream was left after {slowest:?} at most");
    let told = crate::world::eventually(|| world.said("outcome=\"client_gone\"") == cases).await;
    assert!(
        told,
        "{} of {cases}: {}",
        world.said("outcome=\"client_gone\""),
        world.gateway.log()
    );
    assert!(
        world
            .upstream
            .wait_until(PATIENCE, |it| it.open_connections() == 0)
            .await
    );
}
