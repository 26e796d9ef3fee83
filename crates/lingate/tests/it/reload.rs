//! The configuration while the gateway runs, and what the environment says about it.

use std::fs;
use std::time::{Duration, Instant};

use lingate_testkit::{Gateway, Script, Step};

use crate::wire::{Dialect, TEXT};
use crate::world::{PATIENCE, World, program, providers};

/// Replaces the configuration in one step, as editors do.
pub(crate) fn write(world: &World, configuration: &str) {
    let folder = world.gateway.folder();
    fs::write(folder.join("new.yml"), configuration).unwrap();
    fs::rename(folder.join("new.yml"), folder.join("lingate.yml")).unwrap();
}

async fn status(world: &World, model: &str) -> u16 {
    world.ask(Dialect::Chat, model, false).await.status
}

#[tokio::test]
async fn a_changed_file_is_taken_and_a_broken_one_is_not() {
    let world = World::playing("", |asked| {
        if asked.stream {
            // Long enough to see the change, and then a good end.
            let events = asked.dialect.events();
            let (first, rest) = events.split_at(asked.dialect.opening() + 1);
            let mut script =
                Script::events(first.to_vec()).then(Step::Wait(Duration::from_secs(4)));
            for event in rest {
                script = script.then(Step::Send(event.clone().into()));
            }
            return script;
        }
        asked.good()
    })
    .await;
    let old = providers(&world.upstream);
    let mut open = world.call(Dialect::Chat, "up-messages/m", true).await;
    let head = open.read_until(b"Hello ").await.unwrap();
    assert_eq!(status(&world, "added/m").await, 404);

    write(
        &world,
        &format!(
            "{old}  added: {{base_url: \"{}\", dialects: [gemini], keys: [sk-canary-new]}}\n",
            world.upstream.url()
        ),
    );
    let changed = Instant::now();
    while status(&world, "added/m").await != 200 {
        assert!(
            changed.elapsed() < PATIENCE,
            "never taken: {}",
            world.gateway.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("a changed file is taken after {:?}", changed.elapsed());
    assert_eq!(status(&world, "up-messages/m").await, 200);
    world.logged("configuration taken").await;

    for (broken, words) in [
        ("providers: [", "lingate.yml"),
        ("provders: {}\n", "did you mean `providers`"),
        (
            "providers:\n  x: {base_url: 'http://127.0.0.1:1', dialects: [latin], keys: [sk-canary-x]}\n",
            "expected one of chat, responses, messages, gemini",
        ),
        (
            "auth: open\nlisten: 0.0.0.0:80\nproviders: {}\nroutes: [{model: m, targets: [{provider: gone}]}]",
            "gone",
        ),
        (
            "providers: {x: {base_url: 'http://127.0.0.1:1', keys: [sk-canary-x]}}\nroutes:\n  - {model: '/gpt-(4/', targets: [x]}\n",
            "lingate.yml:3:13: routes.0.model: not a regular expression: unclosed group",
        ),
        (
            "providers: {x: {base_url: 'http://127.0.0.1:1', keys: [sk-canary-x]}}\nroutes:\n  - {model: a, targets: [x], fallbacks: [b]}\n  - {model: b, targets: [x], fallbacks: [a]}\n",
            "lingate.yml:3:42: routes.0.fallbacks.0: comes back to where it began: a → b → a",
        ),
    ] {
        let before = world.said("the old one stays");
        write(&world, broken);
        let told = crate::world::eventually(|| world.said("the old one stays") > before).await;
        assert!(told, "{broken}: {}", world.gateway.log());
        world.logged(words).await;
        assert_eq!(status(&world, "added/m").await, 200, "{broken}");
    }

    write(&world, &old);
    let changed = Instant::now();
    while status(&world, "added/m").await != 404 {
        assert!(
            changed.elapsed() < PATIENCE,
            "never taken back: {}",
            world.gateway.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The answer that was open all the while has come to a good end.
    let rest = open.read_until(b"[DONE]\n\n").await.unwrap();
    let all = String::from_utf8([head, rest].concat()).unwrap();
    assert!(all.contains("friend") && all.contains("\"stop\""), "{all}");
}

#[tokio::test]
async fn variables_are_laid_over_the_file() {
    let upstream = crate::world::upstream(crate::world::good_answer).await;
    let url = upstream.url();
    let environment = [
        ("LINGATE_DEFAULTS__BODY_LIMIT", "2KiB"),
        ("LINGATE_PROVIDERS__UP_CHAT__BASE_URL", url.as_str()),
        ("LINGATE_AUTH", "keys"),
        ("LINGATE_API_KEYS", "[sk-canary-from-variable]"),
        ("MY_KEY", "sk-canary-substituted"),
    ];
    let configuration = "defaults: {body_limit: 1MiB}
providers:
  up-chat: {base_url: 'http://127.0.0.1:1', dialects: [chat], keys: ['${MY_KEY}'], models: ['${MY_MODEL:-m-default}']}
";
    let gateway = Gateway::start(program(), configuration, &environment)
        .await
        .unwrap();
    let world = World { gateway, upstream };
    let key = [("x-api-key", "sk-canary-from-variable")];
    let body = Dialect::Chat.request("m-default", false).to_string();
    let answer = world
        .post("/v1/chat/completions", &key, body.as_bytes())
        .await;
    assert_eq!(Dialect::Chat.said(&answer), TEXT);
    let received = world.upstream.received().pop().unwrap();
    assert_eq!(
        received.header("authorization"),
        "Bearer sk-canary-substituted"
    );
    let answer = world
        .post("/v1/chat/completions", &key, &vec![b' '; 3000])
        .await;
    assert_eq!(answer.status, 413);
    let answer = world
        .post("/v1/chat/completions", &[], body.as_bytes())
        .await;
    assert_eq!(answer.status, 401);
}
