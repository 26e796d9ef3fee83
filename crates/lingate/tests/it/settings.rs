//! Settings that change how requests are answered: whole upstream answers, losses, no conversion at all.

use lingate_testkit::Script;
use serde_json::json;

use crate::wire::{Dialect, TEXT};
use crate::world::World;

#[tokio::test]
async fn upstreams_are_asked_for_whole_answers() {
    let world = World::playing("defaults: {force_non_stream: true}", |asked| {
        assert!(!asked.stream, "a stream was asked for");
        match asked.model.as_str() {
            "bad" => Script::json(500, asked.dialect.error(500, "no")),
            "html" => Script::html(200),
            _ => asked.good(),
        }
    })
    .await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            let model = |name: &str| format!("{}/{name}", upstream.provider());
            let answer = world.ask(caller, &model("m"), true).await;
            let heard = caller.listen(&answer);
            assert_eq!(
                (heard.text.as_str(), heard.clean),
                (TEXT, true),
                "{caller:?} to {upstream:?}"
            );
            assert_eq!(
                caller.said(&world.ask(caller, &model("m"), false).await),
                TEXT
            );
            assert_eq!(world.ask(caller, &model("bad"), true).await.status, 500);
            let answer = world.ask(caller, &model("html"), true).await;
            assert_eq!(answer.status, 502, "{}", answer.text());
            caller.refusal(&answer);
        }
    }
}

/// A call without an index, id or type; usage that nobody asked for; a field that the dialect does not know.
const ODD: [&str; 3] = [
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}],\"vendor\":1}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n",
];

#[tokio::test]
async fn a_provider_s_streams_are_put_right_where_that_is_wanted() {
    for repair in [false, true] {
        let world = World::configured(
            |upstream| {
                format!(
                    "providers:\n  up-chat: {{base_url: \"{}/v1\", dialects: [chat], keys: [sk-canary-up-chat], repair_streams: {repair}}}",
                    upstream.url()
                )
            },
            |asked| if asked.stream { Script::events(ODD) } else { asked.good() },
        )
        .await;
        let answer = world.ask(Dialect::Chat, "up-chat/m", true).await;
        let text = answer.text();
        let kind = answer.header("content-type");
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        if repair {
            let expect = [
                "\"tool_calls\":[{\"index\":0,\"id\":\"call_",
                "\"type\":\"function\"",
                "\"finish_reason\":\"tool_calls\"",
            ];
            for expect in expect {
                assert!(text.contains(expect), "no {expect} in {text}");
            }
            assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        } else {
            assert_eq!(text, ODD.concat());
        }
        // Whole answers go through.
        let whole = world.ask(Dialect::Chat, "up-chat/m", false).await;
        assert_eq!(whole.text(), Dialect::Chat.whole().to_string());
    }
}

#[tokio::test]
async fn losses_are_reported_ignored_or_refused() {
    let mut body = Dialect::Chat.request("up-messages/m", false);
    body["seed"] = json!(5);
    body["logit_bias"] = json!({"1": 5});
    let clean = Dialect::Chat.request("up-messages/m", false).to_string();
    for (policy, status) in [("report", 200), ("ignore", 200), ("reject", 400)] {
        let world = World::good(&format!("defaults: {{losses: {policy}}}")).await;
        for stream in [false, true] {
            body["stream"] = json!(stream);
            let answer = world
                .post("/v1/chat/completions", &[], body.to_string().as_bytes())
                .await;
            assert_eq!(answer.status, status, "{policy}: {}", answer.text());
            let losses = answer.header("x-lingate-losses");
            let named = losses.contains("seed") && losses.contains("logit_bias");
            assert_eq!(named, policy == "report", "{policy}: {losses}");
            if policy == "reject" {
                Dialect::Chat.refusal(&answer);
                assert_eq!(answer.json()["error"]["code"], "unsupported_by_upstream");
                assert!(
                    ["seed", "logit_bias"]
                        .contains(&answer.json()["error"]["param"].as_str().unwrap())
                );
            }
        }
        let answer = world
            .post("/v1/chat/completions", &[], clean.as_bytes())
            .await;
        assert_eq!(
            (answer.status, answer.header("x-lingate-losses")),
            (200, ""),
            "{policy}"
        );
        // Nothing is converted here, so nothing is lost.
        body["model"] = json!("up-chat/m");
        let answer = world
            .post("/v1/chat/completions", &[], body.to_string().as_bytes())
            .await;
        assert_eq!(
            (answer.status, answer.header("x-lingate-losses")),
            (200, ""),
            "{policy}"
        );
        body["model"] = json!("up-messages/m");
    }
}

#[tokio::test]
async fn direct_never_converts() {
    let world = World::good("mode: direct").await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            for stream in [false, true] {
                let answer = world
                    .ask(caller, &format!("{}/m", upstream.provider()), stream)
                    .await;
                if caller == upstream {
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    continue;
                }
                assert_eq!(answer.status, 400, "{}", answer.text());
                let message = caller.refusal(&answer);
                assert!(
                    message.contains("direct") && message.contains(upstream.provider()),
                    "{message}"
                );
            }
        }
    }
    assert_eq!(world.upstream.received().len(), 8);
}

/// A limit that the caller's dialect does not demand and the upstream's does.
#[tokio::test]
async fn the_usual_limit_is_given_where_one_is_demanded() {
    let world = World::good("defaults: {max_tokens: 123}").await;
    world.ask(Dialect::Chat, "up-messages/m", false).await;
    let sent = world.upstream.received().pop().unwrap().json();
    assert_eq!(sent["max_tokens"], 123);
}
