//! An upstream that thinks for long: the caller's connection is kept alive in its own dialect. On the real clock, because sockets
//! know no other; every case waits at the same time.

use std::sync::Arc;
use std::time::Duration;

use lingate_testkit::Script;

use crate::wire::{Dialect, TEXT};
use crate::world::{World, at_once};

#[tokio::test]
async fn a_head_that_comes_late_is_preceded_by_heartbeats() {
    let world = World::playing("", |asked| {
        let late = Duration::from_secs(17);
        match asked.model.as_str() {
            "late" => asked.good().after(late),
            "later-error" => Script::json(500, asked.dialect.error(500, "after all")).after(late),
            other => panic!("no case {other}"),
        }
    })
    .await;
    let world = Arc::new(world);
    let mut cases = Vec::new();
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            cases.extend(["late", "later-error"].map(|name| (caller, upstream, name, true)));
        }
        // A whole answer has no place for heartbeats: its head waits, and an error has its own status.
        cases.push((caller, Dialect::Chat, "later-error", false));
    }
    at_once(cases, |(caller, upstream, name, stream)| {
        let world = Arc::clone(&world);
        async move {
            let model = format!("{}/{name}", upstream.provider());
            let answer = world.ask(caller, &model, stream).await;
            let case = format!("{caller:?} to {upstream:?}, stream {stream}, {name}");
            if !stream {
                assert_eq!(answer.status, 500, "{case}: {}", answer.text());
                assert!(caller.refusal(&answer).contains("after all"));
                return;
            }
            let heard = caller.listen(&answer);
            let beats = match caller {
                Dialect::Gemini => answer.text().starts_with('\n'),
                Dialect::Chat | Dialect::Messages => heard.heartbeats > 0,
                // A vendor's own answer begins itself; what is converted has begun before it came.
                Dialect::Responses if upstream == caller => {
                    answer.text().starts_with(": keep-alive\n\n")
                }
                Dialect::Responses => answer.text().starts_with("event: response.created\n"),
            };
            assert!(beats, "{case}: {}", answer.text());
            assert!(!answer.header("x-lingate-request-id").is_empty(), "{case}");
            if name == "late" {
                assert_eq!((heard.text.as_str(), heard.clean), (TEXT, true), "{case}");
            } else {
                assert!(heard.failed().contains("after all"), "{case}");
            }
        }
    })
    .await;
}
