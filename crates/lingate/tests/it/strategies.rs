//! Which of several targets a request goes to, as the strategies promise it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lingate_testkit::{Script, Step};
use serde_json::json;

use crate::wire::{Dialect, TEXT};
use crate::world::{Asked, World, at_once, eventually, good_answer};

/// The four providers as targets, in this order.
const ALL: &str = "[up-chat/m, up-messages/m, up-gemini/m, up-responses/m]";

/// Asks in turn in all dialects, streamed and whole; how many each provider answered.
async fn shares(
    world: &Arc<World>,
    model: &'static str,
    requests: usize,
) -> BTreeMap<String, usize> {
    let before = world.upstream.received().len();
    at_once(0..requests, |number| {
        let world = Arc::clone(world);
        async move {
            let caller = Dialect::ALL[number % 4];
            let answer = world.ask(caller, model, number % 8 < 4).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.attempts(), 1);
        }
    })
    .await;
    let mut shares = BTreeMap::new();
    for received in world.upstream.received().split_off(before) {
        let dialect = crate::world::asked(&received).unwrap().dialect;
        *shares.entry(dialect.provider().to_owned()).or_default() += 1;
    }
    shares
}

fn share(shares: &BTreeMap<String, usize>, dialect: Dialect) -> usize {
    shares.get(dialect.provider()).copied().unwrap_or(0)
}

#[tokio::test]
async fn shares_are_those_of_the_weights() {
    let world = World::good(&format!(
        "routes:
  - {{model: weighted, targets: [{{provider: up-chat, model: m, weight: 50}}, {{provider: up-messages, model: m, weight: 30}}, {{provider: up-gemini, model: m, weight: 20}}, {{provider: up-responses, model: m, weight: 0}}]}}
  - {{model: in-turn, strategy: round_robin, targets: {ALL}}}
  - {{model: as-written, targets: {ALL}}}
"
    ))
    .await;
    let world = Arc::new(world);
    let weighted = shares(&world, "weighted", 200).await;
    for (dialect, expect) in Dialect::ALL.into_iter().zip([100, 60, 40, 0]) {
        let found = share(&weighted, dialect);
        // Smooth: no draw of lots, but a turn.
        assert!(usize::abs_diff(found, expect) <= 2, "{weighted:?}");
    }
    assert_eq!(share(&weighted, Dialect::Responses), 0);
    let in_turn = shares(&world, "in-turn", 200).await;
    assert!(in_turn.values().all(|share| *share == 50), "{in_turn:?}");
    let as_written = shares(&world, "as-written", 40).await;
    assert_eq!(share(&as_written, Dialect::Chat), 40, "{as_written:?}");
}

#[tokio::test]
async fn tiers_come_one_after_the_other() {
    let world = World::playing(
        "routes:
  - {model: m, targets: [{provider: up-chat, model: last, priority: 9}, {provider: up-messages, model: down, priority: 0}, {provider: up-gemini, model: second, priority: 1, weight: 1}, {provider: up-responses, model: second, priority: 1, weight: 1}]}
",
        |asked| match asked.model.as_str() {
            "down" => Script::json(503, asked.dialect.error(503, "no capacity")),
            "second" => asked.good(),
            other => panic!("{other} is asked"),
        },
    )
    .await;
    let mut answered = BTreeSet::new();
    for caller in Dialect::ALL {
        for stream in [false, true] {
            let answer = world.ask(caller, "m", stream).await;
            assert_eq!((answer.status, answer.attempts()), (200, 2));
            answered.insert(answer.header("x-lingate-provider").to_owned());
        }
    }
    assert_eq!(answered.len(), 2, "{answered:?}");
}

/// A first word, and then nothing more.
fn held(asked: &Asked<'_>) -> Script {
    let events = asked.dialect.events();
    let begun = events.into_iter().take(asked.dialect.opening() + 1);
    Script::events(begun).then(Step::Stall)
}

#[tokio::test]
async fn the_least_busy_is_the_one_with_the_least_under_way() {
    let world = World::playing(
        &format!("routes: [{{model: m, strategy: least_busy, targets: {ALL}}}]"),
        |asked| {
            if asked.stream {
                held(asked)
            } else {
                asked.good()
            }
        },
    )
    .await;
    let mut open: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for round in 1..=3 {
        for caller in Dialect::ALL {
            let mut connection = world.call(caller, "m", true).await;
            let head = connection.read_until(b"\r\n\r\n").await.unwrap();
            let head = String::from_utf8(head).unwrap();
            let provider = head
                .lines()
                .find_map(|line| line.strip_prefix("x-lingate-provider: "));
            let open = open.entry(provider.unwrap().to_owned()).or_default();
            open.push(connection);
        }
        assert!(open.len() == 4 && open.values().all(|open| open.len() == round));
    }
    // Where all streams have ended, everything goes.
    open.remove("up-gemini");
    let all_there = async || {
        let mut served = BTreeSet::new();
        for caller in Dialect::ALL {
            let answer = world.ask(caller, "m", false).await;
            assert_eq!(caller.said(&answer), TEXT);
            served.insert(answer.header("x-lingate-provider").to_owned());
        }
        served == BTreeSet::from(["up-gemini".to_owned()])
    };
    let mut times = 0;
    while !all_there().await {
        times += 1;
        assert!(times < 200, "what has ended is still counted");
    }
}

#[tokio::test]
async fn the_quick_one_is_preferred() {
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = Arc::clone(&slow);
    let world = World::playing(
        "routes: [{model: m, strategy: latency, targets: [up-chat/m, up-messages/m]}]",
        move |asked| {
            if asked.dialect == Dialect::Chat && is_slow.load(Ordering::SeqCst) {
                asked.good().after(Duration::from_secs(1))
            } else {
                asked.good()
            }
        },
    )
    .await;
    let mut quick = 0;
    for number in 0..40 {
        let caller = Dialect::ALL[number % 4];
        let answer = world.ask(caller, "m", true).await;
        assert_eq!(caller.listen(&answer).text, TEXT);
        quick += usize::from(answer.header("x-lingate-provider") == "up-messages");
    }
    assert!(quick >= 30, "{quick} of 40");
}

#[tokio::test]
async fn the_cheapest_is_that_of_this_very_request() {
    let world = World::configured(
        |upstream| {
            let prices = |name: &str, prices: &str| (format!("[{name}]"), format!("[{name}], prices: {{m: {{{prices}}}}}"));
            let mut providers = crate::world::providers(upstream);
            for (name, cost) in [("sk-canary-up-chat", "input: 1, output: 100"), ("sk-canary-up-messages", "input: 50, output: 2")] {
                let (from, to) = prices(name, cost);
                providers = providers.replace(&from, &to);
            }
            format!("{providers}routes: [{{model: any, strategy: cheapest, targets: [up-messages/m, up-chat/m]}}]\n")
        },
        good_answer,
    )
    .await;
    for caller in Dialect::ALL {
        for (words, most, expect) in [(1, 4000, "up-messages"), (4000, 1, "up-chat")] {
            let text = "word ".repeat(words);
            let mut body = caller.request("any", false);
            match caller {
                Dialect::Chat => {
                    body["messages"][0]["content"] = json!(text);
                    body["max_completion_tokens"] = json!(most);
                }
                Dialect::Messages => {
                    body["messages"][0]["content"] = json!(text);
                    body["max_tokens"] = json!(most);
                }
                Dialect::Gemini => {
                    body["contents"][0]["parts"][0]["text"] = json!(text);
                    body["generationConfig"] = json!({"maxOutputTokens": most});
                }
                Dialect::Responses => {
                    body["input"] = json!(text);
                    body["max_output_tokens"] = json!(most.max(16));
                }
            }
            let path = caller.path("any", false);
            let answer = world.post(&path, &[], body.to_string().as_bytes()).await;
            assert_eq!(caller.said(&answer), TEXT);
            let found = answer.header("x-lingate-provider");
            assert_eq!(found, expect, "{caller:?} {words} {most}");
        }
    }
}

#[tokio::test]
async fn conversations_stay_where_they_are() {
    let world = World::good(&format!(
        "routes:
  - {{model: session, strategy: sticky, targets: {ALL}}}
  - {{model: prefix, strategy: {{sticky: prefix}}, targets: {ALL}}}
  - {{model: user, strategy: {{sticky: user}}, targets: {ALL}}}
"
    ))
    .await;
    for caller in Dialect::ALL {
        for model in ["session", "prefix", "user"] {
            let mut all = BTreeSet::new();
            for name in 0..16 {
                let mut found = BTreeSet::new();
                for turn in 0..4 {
                    let mut body = caller.request(model, false);
                    let (session, system) =
                        (format!("s-{name}"), format!("You are number {name}."));
                    let mut headers = vec![("x-openwebui-user-id", "")];
                    match (model, caller) {
                        ("session", _) => headers = vec![("x-lingate-session", session.as_str())],
                        ("user", _) => headers[0].1 = &session,
                        (_, Dialect::Chat) => {
                            body["messages"] = json!([{"role": "system", "content": system}, {"role": "user", "content": format!("turn {turn}")}]);
                        }
                        (_, Dialect::Messages) => body["system"] = json!(system),
                        (_, Dialect::Gemini) => {
                            body["systemInstruction"] = json!({"parts": [{"text": system}]});
                        }
                        (_, Dialect::Responses) => body["instructions"] = json!(system),
                    }
                    let path = caller.path(model, false);
                    let answer = world
                        .post(&path, &headers, body.to_string().as_bytes())
                        .await;
                    assert_eq!(caller.said(&answer), TEXT);
                    found.insert(answer.header("x-lingate-provider").to_owned());
                }
                assert_eq!(found.len(), 1, "{caller:?} {model} {name}: {found:?}");
                all.extend(found);
            }
            assert!(all.len() > 1, "{caller:?} {model}: all at {all:?}");
        }
    }
}

/// Who is sticky to a target that fails goes elsewhere, and comes back.
#[tokio::test]
async fn a_conversation_whose_target_is_down_moves_and_returns() {
    let down = Arc::new(std::sync::Mutex::new(None::<Dialect>));
    let is_down = Arc::clone(&down);
    let world = World::playing(
        &format!("routes: [{{model: m, strategy: sticky, targets: {ALL}}}]"),
        move |asked| {
            if *is_down.lock().unwrap() == Some(asked.dialect) {
                Script::json(500, asked.dialect.error(500, "out of order"))
            } else {
                asked.good()
            }
        },
    )
    .await;
    let ask = async |caller: Dialect| {
        let body = caller.request("m", true).to_string();
        let headers = [("x-lingate-session", "one")];
        let answer = world
            .post(&caller.path("m", true), &headers, body.as_bytes())
            .await;
        assert_eq!(caller.listen(&answer).text, TEXT);
        answer.header("x-lingate-provider").to_owned()
    };
    for caller in Dialect::ALL {
        let home = ask(caller).await;
        let dialect = Dialect::ALL
            .into_iter()
            .find(|dialect| dialect.provider() == home);
        *down.lock().unwrap() = dialect;
        let away = ask(caller).await;
        assert_ne!(away, home);
        // All of the conversation moves to the same place.
        assert_eq!(ask(caller).await, away);
        *down.lock().unwrap() = None;
        assert_eq!(ask(caller).await, home);
    }
}

#[tokio::test]
async fn targets_of_the_callers_dialect_come_first_or_alone() {
    let world = World::good(&format!(
        "mode: direct
routes:
  - {{model: preferred, mode: transform, strategy: round_robin, prefer_same_dialect: true, targets: {ALL}}}
  - {{model: direct, direct: true, strategy: round_robin, targets: {ALL}}}
  - {{model: as-all, strategy: round_robin, targets: {ALL}}}
  - {{model: converted, mode: transform, targets: [up-messages/m]}}
  - {{model: strange, mode: direct, targets: [up-messages/m]}}
"
    ))
    .await;
    for caller in Dialect::ALL {
        for stream in [false, true] {
            for model in ["preferred", "direct", "as-all"] {
                let answer = world.ask(caller, model, stream).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert_eq!(answer.header("x-lingate-provider"), caller.provider());
            }
            let answer = world.ask(caller, "converted", stream).await;
            assert_eq!(answer.status, 200, "{caller:?}: {}", answer.text());
            let answer = world.ask(caller, "strange", stream).await;
            if caller == Dialect::Messages {
                assert_eq!(answer.status, 200, "{}", answer.text());
            } else {
                let message = caller.refusal(&answer);
                assert!(message.contains("does not speak the dialect"), "{message}");
                assert_eq!(answer.status, 400, "{message}");
            }
        }
    }
    let received = world.upstream.received();
    assert!(
        eventually(|| received.len() == 4 * 2 * 4 + 2).await,
        "{}",
        received.len()
    );
}
