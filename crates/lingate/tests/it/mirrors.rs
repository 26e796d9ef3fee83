//! Mirrors: a copy of a request goes to another target, and whoever asked notices nothing of it, whatever becomes of the copy.

use std::time::Duration;

use lingate_testkit::{Received, Script, Step};

use crate::wire::{Dialect, TEXT};
use crate::world::{World, eventually, providers};

/// Routes of a model for each share and mirror, all with the same target.
async fn world(auth: &str) -> World {
    World::configured(
        |upstream| {
            let routes = ["well", "hangs", "stalls", "fails"].map(|mirror| {
                ["100", "0"].map(|share| {
                    format!("  - {{model: {mirror}-{share}, targets: [{{provider: up-chat, model: m}}], mirror: {{provider: up-messages, model: {mirror}, share: {share}%}}}}\n")
                })
            });
            let stored = "  - {model: stored, targets: [{provider: up-responses, model: m}], mirror: {provider: up-responses, model: copied, share: 100%}}\n";
            let routes = routes.as_flattened().concat() + stored;
            format!("{auth}{}routes:\n{routes}", providers(upstream))
        },
        |asked| match asked.model.as_str() {
            "hangs" => Script::silent(),
            "stalls" => Script::events(asked.dialect.events().into_iter().take(4)).then(Step::Stall),
            "fails" => Script::json(500, r#"{"error":{"type":"api_error","message":"no"}}"#),
            _ => asked.good(),
        },
    )
    .await
}

fn of<'a>(received: &'a [Received], model: &str) -> Vec<&'a Received> {
    let with = received.iter().filter(|it| it.json()["model"] == model);
    with.collect()
}

#[tokio::test]
async fn nobody_notices_a_mirror() {
    let world = world("").await;
    let mut copies = 0_usize;
    for caller in Dialect::ALL {
        for stream in [false, true] {
            let mut bodies = Vec::new();
            copies += 1;
            for mirror in ["well", "hangs", "stalls", "fails"] {
                for share in ["0", "100"] {
                    let model = format!("{mirror}-{share}");
                    let answer = world.ask(caller, &model, stream).await;
                    let case = format!("{caller:?} {stream} {model}: {}", answer.text());
                    assert_eq!(answer.status, 200, "{case}");
                    assert_eq!(answer.attempts(), 1, "{case}");
                    assert_eq!(answer.header("x-lingate-provider"), "up-chat", "{case}");
                    assert!(stream || answer.text().contains(TEXT), "{case}");
                    if caller == Dialect::Chat {
                        bodies.push(answer.text());
                    }
                }
                let sent = || of(&world.upstream.received(), mirror).len() >= copies;
                assert!(eventually(sent).await, "no copy for {mirror}");
            }
            assert!(
                bodies.windows(2).all(|pair| pair[0] == pair[1]),
                "{bodies:?}"
            );
        }
    }
    // Each of them once, with another key, and metered apart.
    let received = world.upstream.received();
    for mirror in ["well", "hangs", "stalls", "fails"] {
        let copies = of(&received, mirror);
        assert_eq!(copies.len(), 8, "{mirror}");
        for copy in copies {
            assert_eq!(copy.header("x-api-key"), "sk-canary-up-messages");
        }
    }
    let lines = || {
        let log = world.gateway.log();
        let lines = log.lines().filter(|line| line.contains("mirror=true"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let ended = || {
        let lines = lines();
        let with = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
        (with("outcome=\"complete\""), with("request failed"))
    };
    assert!(eventually(|| ended() == (8, 8)).await, "{:?}", lines());
    assert!(lines().iter().any(|line| line.contains("output_tokens=4")));
}

#[tokio::test]
async fn a_copy_goes_on_when_the_caller_leaves_and_too_many_are_not_made() {
    let world = world("").await;
    let connection = world.call(Dialect::Chat, "stalls-100", true).await;
    let copied = || !of(&world.upstream.received(), "stalls").is_empty();
    assert!(eventually(copied).await);
    drop(connection);
    // As many as may hang at the same time.
    for _ in 0..80 {
        let answer = world.ask(Dialect::Chat, "hangs-100", false).await;
        assert_eq!(answer.status, 200);
    }
    let sent = || of(&world.upstream.received(), "hangs").len() == 63;
    assert!(eventually(sent).await);
    world.logged("copies for mirrors were not made").await;
    let place = world
        .upstream
        .received()
        .iter()
        .position(|it| it.json()["model"] == "stalls");
    let ended = world.upstream.ending(place.unwrap(), Duration::ZERO).await;
    assert!(ended.is_none(), "the copy was dropped with its request");
}

#[tokio::test]
async fn nothing_is_stored_for_a_copy_and_nothing_stored_is_gone_on_with() {
    let world = world("").await;
    let body = br#"{"model":"stored","input":"Hi"}"#;
    let answer = world.post("/v1/responses", &[], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let copies = || of(&world.upstream.received(), "copied").len();
    assert!(eventually(|| copies() == 1).await);
    for received in of(&world.upstream.received(), "copied") {
        assert_eq!(received.json()["store"], false);
    }
    let body = format!(r#"{{"model":"stored","input":"Hi","previous_response_id":"{id}"}}"#);
    let answer = world.post("/v1/responses", &[], body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Whatever was to be sent was sent before the answer of the next.
    let answer = world
        .post("/v1/responses", &[], br#"{"model":"stored","input":"Ho"}"#)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let last = || {
        let received = world.upstream.received();
        let copies = of(&received, "copied");
        copies.last().map(|copy| copy.json()["input"].clone())
    };
    assert!(eventually(|| copies() >= 2 && last() == Some("Ho".into())).await);
    assert_eq!(copies(), 2);
}

#[tokio::test]
async fn a_callers_own_key_pays_for_no_copy() {
    let world = world("auth: passthrough\n").await;
    let headers = [("authorization", "Bearer sk-mine")];
    for model in ["well-100", "well-100"] {
        let body = Dialect::Chat.request(model, false).to_string();
        let answer = world
            .post("/v1/chat/completions", &headers, body.as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(of(&world.upstream.received(), "well").len(), 0);
}
