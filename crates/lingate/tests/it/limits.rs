//! Limits from outside: of every kind exactly as many requests pass as may, checks say beforehand what then happens, another model is
//! asked where a limit names one, and what happened at a limit is told once.

use std::sync::Arc;

use lingate_testkit::Script;
use serde_json::{Value, json};

use crate::wire::Dialect;
use crate::world::{Asked, World, provider, providers};

/// Who has the limits, and whom they are narrowed to.
const LEVELS: [&str; 4] = ["key", "user", "project", "organization"];
const NARROWED: [&str; 4] = [
    "",
    ", model: \"m*\"",
    ", each: end_user",
    ", provider: \"up-*\"",
];

/// A thousand tokens each way; two dollars by the prices below.
fn large(asked: &Asked<'_>) -> Script {
    let answer = asked.dialect.whole().to_string();
    let answer = answer.replace("_tokens\":3", "_tokens\":1000");
    Script::json(200, answer.replace("_tokens\":4", "_tokens\":1000"))
}

/// A key in a tenant of its own, with these limits on one level.
fn tenant(name: &str, level: &str, limits: &str) -> (String, String) {
    let on = |other: &str| {
        let said = if level == other { limits } else { "" };
        format!("limits: [{said}]")
    };
    (
        format!(
            "  {name}: {{{}, projects: {{p: {{{}}}}}, users: {{u: {{{}}}}}}}\n",
            on("organization"),
            on("project"),
            on("user")
        ),
        format!(
            "  - {{name: {name}, key: sk-canary-{name}-0123456789, project: {name}/p, user: u, {}}}\n",
            on("key")
        ),
    )
}

fn tenants<'a>(all: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> String {
    let (mut organizations, mut keys) = (String::new(), String::new());
    for (name, level, limits) in all {
        let (organization, key) = tenant(name, level, limits);
        organizations.push_str(&organization);
        keys.push_str(&key);
    }
    format!("organizations:\n{organizations}api_keys:\n{keys}")
}

/// One request in Chat; `user`: whom it names.
async fn ask(world: &World, key: &str, model: &str, user: &str) -> lingate_testkit::client::Answer {
    let body = json!({"model": model, "max_tokens": 10, "user": user, "messages": [{"role": "user", "content": "Hi"}]});
    let key = format!("Bearer sk-canary-{key}-0123456789");
    let headers = [("authorization", key.as_str())];
    let body = body.to_string();
    world
        .post("/v1/chat/completions", &headers, body.as_bytes())
        .await
}

/// What a check says of the same request.
async fn checked(world: &World, key: &str, model: &str, user: &str) -> Value {
    let path = format!(
        "/api/v1/limits/check?key={key}&model={}&input_tokens=1&max_tokens=10&end_user={user}",
        model.replace('/', "%2F")
    );
    let right = format!("Bearer sk-canary-{key}-0123456789");
    let answer = world
        .send("GET", &path, &[("authorization", &right)], b"")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Prices of a dollar a request, and of nothing else.
const PRICES: &str = "prices: [{provider: up-chat, model: \"m*\", input: 0, output: 0, request: 1}]\nplans: {double: {multiplier: 2}}\n";

#[tokio::test]
async fn of_every_kind_exactly_as_many_pass_as_may() {
    let measures = [
        ("requests", "requests: 3, per: hour"),
        ("input", "input_tokens: 3000, per: 30d"),
        ("output", "output_tokens: 3000, per: total"),
        ("tokens", "tokens: 6000, per: 5m"),
        ("cost", "cost: 3, per: total"),
    ];
    let mut cases = Vec::new();
    for (measure, limit) in measures {
        for level in LEVELS {
            for (place, narrowed) in NARROWED.into_iter().enumerate() {
                let name = format!("{measure}-{level}-{place}");
                cases.push((name, level, format!("{{{limit}{narrowed}}}"), narrowed));
            }
        }
    }
    let named = cases.iter();
    let named = named.map(|(name, level, limit, _)| (name.as_str(), *level, limit.as_str()));
    let world = World::playing(&format!("{PRICES}{}", tenants(named)), large).await;
    let world = Arc::new(world);
    let run = |(name, level, _, narrowed): (String, &'static str, String, &'static str)| {
        let world = Arc::clone(&world);
        async move {
            let each = narrowed.contains("each");
            for user in if each { &["ada", "bo"][..] } else { &["ada"] } {
                let mut passed = 0;
                for number in 0..5 {
                    let told = checked(&world, &name, "up-chat/m", user).await;
                    let answer = ask(&world, &name, "up-chat/m", user).await;
                    let is_answered = answer.status == 200;
                    passed += u32::from(is_answered);
                    assert_eq!(told["passes"], is_answered, "{name} {number}: {told}");
                    if !is_answered {
                        let money = name.starts_with("cost") && !narrowed.contains("provider");
                        let status = if money { 402 } else { answer.status };
                        assert_eq!(answer.status, status, "{}", answer.text());
                        let whose = format!("of {level} ");
                        assert!(answer.text().contains(&whose), "{}", answer.text());
                        let reason = told["reason"].as_str().unwrap();
                        assert!(reason.contains(&whose), "{reason}");
                    }
                }
                assert_eq!(passed, 3, "{name} {user}");
            }
            if narrowed.contains("model") {
                // Others do not count.
                let other = ask(&world, &name, "up-chat/other", "ada").await;
                assert_eq!(other.status, 200, "{name}: {}", other.text());
            }
        }
    };
    crate::world::at_once(cases, run).await;
}

/// The provider's limit passes it over; what there is no room for anywhere is refused.
#[tokio::test]
async fn checks_look_where_requests_would_go() {
    let limits =
        "{requests: 2, per: hour, provider: up-chat}, {requests: 1, per: hour, provider: second}";
    let tenants = tenants([("a", "organization", limits)]);
    let settings = |upstream: &lingate_testkit::Upstream| {
        let mut providers = providers(upstream);
        providers.push_str(&provider(
            "second",
            Dialect::Chat,
            upstream,
            "keys: [sk-canary-second], breaker: false",
        ));
        format!("{tenants}{providers}routes: [{{model: fast, targets: [up-chat/m, second/n]}}]\n")
    };
    let world = World::configured(settings, large).await;
    for (number, passes) in [true, true, true, false].into_iter().enumerate() {
        // Asking often takes nothing.
        for _ in 0..3 {
            let told = checked(&world, "a", "fast", "").await;
            assert_eq!(told["passes"], passes, "{number}: {told}");
        }
        let answer = ask(&world, "a", "fast", "").await;
        assert_eq!(answer.status == 200, passes, "{number}: {}", answer.text());
    }
    let models: Vec<_> = world.upstream.received();
    let models = models
        .iter()
        .map(|received| received.json()["model"].clone());
    assert_eq!(models.collect::<Vec<_>>(), ["m", "m", "n"]);
}

#[tokio::test]
async fn plans_and_unknown_prices_decide_as_checks_say() {
    let double = "{cost: 3, per: total}";
    let unpriced = "{cost: 3, per: total, unpriced: refuse}";
    let mut tenants = tenants([
        ("a", "key", double),
        ("b", "key", double),
        ("c", "key", unpriced),
    ]);
    tenants = tenants.replace("  a: {", "  a: {plan: double, ");
    let world = World::playing(&format!("{PRICES}{tenants}"), large).await;
    for (key, model, expect) in [
        ("a", "up-chat/m", &[200, 402][..]),
        ("b", "up-chat/m", &[200, 200, 200, 402]),
        ("b", "up-chat/unknown", &[200, 200]),
        ("c", "up-chat/unknown", &[402, 402]),
        ("c", "up-chat/m", &[200, 200, 200, 402]),
    ] {
        for (number, status) in expect.iter().enumerate() {
            let told = checked(&world, key, model, "").await;
            let answer = ask(&world, key, model, "").await;
            assert_eq!(
                answer.status,
                *status,
                "{key} {model} {number}: {}",
                answer.text()
            );
            assert_eq!(
                told["passes"],
                *status == 200,
                "{key} {model} {number}: {told}"
            );
        }
    }
    crate::world::eventually(|| world.said("what=\"unpriced\"") >= 2).await;
    assert_eq!(
        world.said("what=\"unpriced\""),
        2,
        "{}",
        world.gateway.log()
    );
}

#[tokio::test]
async fn another_model_is_asked_once_nothing_is_left() {
    let ladder = "{name: best, requests: 1, per: hour, model: m1, downgrade: up-chat/m2}, \
                  {name: middle, requests: 1, per: hour, model: m2, downgrade: up-chat/m3}, \
                  {name: last, requests: 2, per: hour, model: m3}";
    let tenants = tenants([("a", "project", ladder)]);
    let world = World::good(&tenants).await;
    for (number, expect) in [Some("m1"), Some("m2"), Some("m3"), Some("m3"), None]
        .into_iter()
        .enumerate()
    {
        let told = checked(&world, "a", "up-chat/m1", "").await;
        let key = ("authorization", "Bearer sk-canary-a-0123456789");
        let stream = number % 2 == 1;
        let body = Dialect::Messages.request("up-chat/m1", stream).to_string();
        let answer = world.post("/v1/messages", &[key], body.as_bytes()).await;
        assert_eq!(told["passes"], expect.is_some(), "{number}: {told}");
        let Some(expect) = expect else {
            assert_eq!(answer.status, 429, "{}", answer.text());
            assert!(answer.text().contains("`last`"), "{}", answer.text());
            continue;
        };
        assert_eq!(told["model"], expect, "{number}: {told}");
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        let received = world.upstream.received();
        assert_eq!(received.last().unwrap().json()["model"], expect);
        assert_eq!(answer.header("x-lingate-model"), expect);
        // The caller is told of the model that was asked for.
        assert!(
            answer.text().contains("\"model\":\"up-chat/m1\""),
            "{}",
            answer.text()
        );
    }
    assert!(
        crate::world::eventually(|| world.said("what=\"downgraded\"") >= 5).await,
        "{}",
        world.gateway.log()
    );
}

#[tokio::test]
async fn events_are_told_once_however_many_pass_at_once() {
    let soft =
        "{name: soft, requests: 100, per: total, enforcement: soft, thresholds: [50, 80, 100]}";
    let shadow = "{name: shadow, requests: 150, per: total, enforcement: shadow}";
    let raised =
        "{name: raised, requests: 5, per: total, raise: {amount: 1000, until: 2099-01-01}}";
    let tenants = tenants([("a", "organization", &*format!("{soft}, {shadow}, {raised}"))]);
    let world = Arc::new(World::good(&tenants).await);
    let asking: Vec<_> = (0..200)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { ask(&world, "a", "up-chat/m", "").await.status })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), 200);
    }
    let lines = |words: &[&str]| {
        let log = world.gateway.log();
        let about = |line: &&str| words.iter().all(|word| line.contains(word));
        log.lines().filter(about).count()
    };
    crate::world::eventually(|| lines(&["what=\"threshold\"", "percent=100"]) > 0).await;
    for percent in ["percent=50", "percent=80", "percent=100"] {
        assert_eq!(lines(&["what=\"threshold\"", percent]), 1, "{percent}");
    }
    assert_eq!(lines(&["what=\"exhausted\"", "soft"]), 1);
    assert_eq!(lines(&["what=\"would_refuse\"", "shadow"]), 50);
}
