//! What is said of where a request would go, and where it then goes.

use lingate_testkit::{Script, Upstream};
use serde_json::{Value, json};

use crate::wire::Dialect;
use crate::world::{Asked, World, program};

fn configuration(upstream: &Upstream) -> String {
    let url = upstream.url();
    format!(
        r#"
providers:
  one:
    base_url: "{url}/v1"
    dialects: [chat]
    keys: [{{key: sk-canary-good-aaaa, tags: [eu]}}, {{key: sk-canary-good-bbbb, tags: [us]}}]
  two: {{base_url: "{url}", dialects: [messages], keys: [sk-canary-good-cccc], breaker: false}}
  dead: {{base_url: "{url}/v1", dialects: [chat], keys: [sk-canary-dead-dddd, sk-canary-dead-eeee]}}
  flaky: {{base_url: "{url}/v1", dialects: [chat], keys: [sk-canary-good-ffff], breaker: {{requests: 2, cooldown: 60s}}}}
routes:
  - {{model: tiered, when: {{header.x-tier: gold}}, targets: [two/gold]}}
  - {{model: tiered, when: {{tokens: ">1000"}}, targets: [one/long]}}
  - {{model: tiered, when: {{tools: lookup}}, targets: [one/tools]}}
  - {{model: tiered, targets: [two/plain]}}
  - {{model: strictly, mode: direct, targets: [one]}}
  - {{model: tagged, targets: [{{provider: one, model: t, keys: [us]}}]}}
  - {{model: drained, targets: [{{provider: one, weight: 0}}, {{provider: two, priority: 1}}]}}
  - {{model: weighted, strategy: weighted, targets: [{{provider: one, weight: 2}}, {{provider: two, weight: 1}}]}}
  - {{model: robin, strategy: round_robin, targets: [one, two]}}
  - {{model: held, strategy: sticky, targets: [one, two]}}
  - {{model: dead, targets: [dead/x], fallbacks: [two/y]}}
  - {{model: flaky, targets: [flaky/bad], fallbacks: [one/z]}}
  - {{model: limited, targets: [flaky/limited], last_resort: refuse}}
  - {{model: lone, targets: [two/limited]}}
  - {{model: least, targets: [{{provider: one, model: limited, keys: [us]}}], last_resort: least_bad}}
  - model: arms
    split: {{name: arms, sticky: user, arms: [{{weight: 1, model: one/a}}, {{weight: 1, model: two/b}}]}}
"#
    )
}

fn play(asked: &Asked<'_>) -> Script {
    let error = |status: u16| Script::json(status, asked.dialect.error(status, "so be it"));
    let shown = format!("{:?}", asked.received.headers);
    match asked.model.as_str() {
        _ if shown.contains("-dead-") => error(401),
        "bad" => error(500),
        "limited" => error(429).header("retry-after", "60"),
        _ => asked.good(),
    }
}

/// Explains a request, sends it, and holds the one against the other. Returns what was said of it.
async fn check(
    world: &World,
    dialect: Dialect,
    model: &str,
    headers: &[(&str, &str)],
    but: impl Fn(&mut Value),
) -> Value {
    let mut body = dialect.request(model, false);
    but(&mut body);
    let told: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let mut question = json!({"dialect": dialect.provider().trim_start_matches("up-"), "headers": told, "request": body});
    if dialect == Dialect::Gemini {
        question["model"] = json!(model);
    }
    let explain = |question: Value| async move {
        let question = question.to_string();
        let told = world.post("/api/v1/routes/explain", &[], question.as_bytes());
        let told = told.await;
        assert_eq!(told.status, 200, "{model}: {}", told.text());
        told.json()
    };
    let explained = explain(question.clone()).await;
    // Times apart, asking changes nothing.
    let again = explain(question).await;
    assert_eq!(explained["goes_to"], again["goes_to"], "{model}");
    let path = dialect.path(model, false);
    let answer = world
        .post(&path, headers, body.to_string().as_bytes())
        .await;
    let trail = answer.header("x-lingate-attempts");
    let context = format!("{model} {headers:?}: {trail} {explained:#}");
    if explained["verdict"] == "goes" {
        let goes = &explained["goes_to"];
        let text = |name: &str| goes[name].as_str().unwrap_or_default().to_owned();
        let first = format!(
            "\"{}/{}\";key=\"{}\";why={}",
            text("provider"),
            text("model"),
            text("key").trim_start_matches('…'),
            text("chosen"),
        );
        let tried = trail.split(", ").nth(1).unwrap_or_default();
        assert!(tried.starts_with(&first), "{first} {context}");
    } else {
        assert_eq!(explained["status"], answer.status, "{context}");
        // What had somewhere to go says that it was tried nowhere.
        let none = if explained["verdict"] == "no_route" {
            ""
        } else {
            "0"
        };
        assert_eq!(trail, none, "{context}");
    }
    explained
}

fn nothing(_: &mut Value) {}

#[tokio::test]
async fn it_goes_where_it_was_said_to_go() {
    let world = World::configured(configuration, play).await;
    for dialect in Dialect::ALL {
        for model in ["two/x", "one/x", "tagged", "drained"] {
            check(&world, dialect, model, &[], nothing).await;
        }
    }
    let gold = [("x-tier", "gold")];
    let told = check(&world, Dialect::Chat, "tiered", &gold, nothing).await;
    assert_eq!(told["goes_to"]["model"], "gold");
    let told = check(&world, Dialect::Chat, "tiered", &[], |body| {
        body["messages"][0]["content"] = json!("word ".repeat(3000));
    })
    .await;
    assert_eq!(told["goes_to"]["model"], "long");
    let why = told["passed_over"][0]["why"].as_str().unwrap();
    assert_eq!(why, "there is no header `x-tier`");
    let told = check(&world, Dialect::Chat, "tiered", &[], |body| {
        let parameters = json!({"type": "object", "properties": {}});
        let function = json!({"name": "lookup", "parameters": parameters});
        body["tools"] = json!([{"type": "function", "function": function}]);
    })
    .await;
    assert_eq!(told["goes_to"]["model"], "tools");
    check(&world, Dialect::Chat, "tiered", &[], nothing).await;
    for _ in 0..7 {
        check(&world, Dialect::Chat, "weighted", &[], nothing).await;
        check(&world, Dialect::Messages, "robin", &[], nothing).await;
    }
    let mut homes = Vec::new();
    for user in 0..8 {
        let told = check(&world, Dialect::Chat, "arms", &[], |body| {
            body["user"] = json!(format!("user-{user}"));
        })
        .await;
        assert_eq!(told["legs"][0]["splits"][0]["by"], "user");
        homes.push(told["goes_to"]["provider"].clone());
        let session = format!("s-{user}");
        let session = [("x-lingate-session", session.as_str())];
        check(&world, Dialect::Responses, "held", &session, nothing).await;
    }
    assert!(homes.iter().any(|home| *home != homes[0]), "{homes:?}");
}

#[tokio::test]
async fn what_rests_is_passed_over_and_says_why() {
    let world = World::configured(configuration, play).await;
    let skipped = |told: &Value| told["legs"][0]["candidates"][0]["skipped"].clone();

    let told = check(&world, Dialect::Chat, "dead", &[], nothing).await;
    assert_eq!(told["goes_to"]["provider"], "dead");
    let told = check(&world, Dialect::Chat, "dead", &[], nothing).await;
    assert_eq!(told["goes_to"]["chosen"], "fallback");
    let why = skipped(&told);
    assert_eq!(why["why"], "no_key_ready");
    assert!(why["told"].as_str().unwrap().contains("disabled"), "{why}");
    assert!(why["until"].as_str().unwrap().ends_with('Z'), "{why}");

    for _ in 0..2 {
        check(&world, Dialect::Chat, "flaky", &[], nothing).await;
    }
    let told = check(&world, Dialect::Chat, "flaky", &[], nothing).await;
    assert_eq!(skipped(&told)["why"], "breaker_open");
    assert_eq!(told["goes_to"]["provider"], "one");

    check(&world, Dialect::Gemini, "limited", &[], nothing).await;
    let told = check(&world, Dialect::Gemini, "limited", &[], nothing).await;
    assert_eq!(
        (&told["verdict"], &told["status"]),
        (&json!("refused"), &json!(429))
    );

    // The only key of the only target, and the least bad.
    for (model, chosen) in [("lone", "only_key"), ("least", "last_resort")] {
        check(&world, Dialect::Chat, model, &[], nothing).await;
        let told = check(&world, Dialect::Chat, model, &[], nothing).await;
        assert_eq!(told["goes_to"]["chosen"], chosen, "{told:#}");
    }
}

#[tokio::test]
async fn questions_in_the_query_and_wrong_ones() {
    let world = World::configured(configuration, play).await;
    let get = async |query: &str| {
        let path = format!("/api/v1/routes/explain?{query}");
        world.send("GET", &path, &[], b"").await
    };
    let told = get("model=tiered&header=X-Tier%3A+gold").await.json();
    assert_eq!(told["goes_to"]["model"], "gold");
    let told = get("model=tiered&tokens=5000").await.json();
    assert_eq!(told["goes_to"]["model"], "long");
    let told = get("model=tiered&tool=other&tool=lookup").await.json();
    assert_eq!(told["goes_to"]["model"], "tools");
    let told = get("model=nobody%2Fhas%2Fit").await.json();
    assert_eq!(
        (&told["verdict"], &told["status"]),
        (&json!("no_route"), &json!(404))
    );
    for (query, status, words) in [
        ("", 400, "`model` is missing"),
        ("model=m&colour=red", 422, "colour: unknown parameter"),
        ("model=m&caller=alice", 400, "no key has the name 'alice'"),
        ("model=m&dialect=smtp", 400, "none of chat"),
    ] {
        let answer = get(query).await;
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{query}: {detail}");
    }
    let broken = world
        .post(
            "/api/v1/routes/explain",
            &[],
            br#"{"request": {"model": "m", "messages": 7}}"#,
        )
        .await;
    assert_eq!(broken.status, 400);
    assert!(broken.text().contains("`request`"), "{}", broken.text());
    let wrong = world
        .send("DELETE", "/api/v1/routes/explain", &[], b"")
        .await;
    assert_eq!(wrong.status, 405);
    assert!(
        wrong.text().contains("takes GET, POST, HEAD"),
        "{}",
        wrong.text()
    );
    let nothing = world.send("GET", "/api/v1/nothing", &[], b"").await;
    assert_eq!(nothing.status, 404);
    for problem in [wrong, nothing] {
        assert_eq!(problem.header("content-type"), "application/problem+json");
    }
}

/// The command says the same of the file and of the gateway that runs with it.
#[tokio::test]
async fn the_command_asks_the_file_or_the_gateway() {
    let world = World::configured(configuration, play).await;
    let run = |words: &[&str]| {
        let done = std::process::Command::new(program())
            .args(words)
            .current_dir(world.gateway.folder())
            .env_clear()
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            !told.contains("canary") && !error.contains("canary"),
            "{told}{error}"
        );
        (done.status.code(), told, error)
    };
    let url = world.gateway.url();
    let file = "lingate.yml";
    let question = [
        "routes",
        "explain",
        "--model",
        "tiered",
        "--header",
        "x-tier: gold",
    ];
    for place in [["--config", file], ["--server", url.as_str()]] {
        let (code, told, error) = run(&[&question[..], &place].concat());
        assert_eq!(code, Some(0), "{error}");
        assert!(told.contains("claimed by   route 0 `tiered`"), "{told}");
        assert!(
            told.contains("goes to      two/gold with key …cccc (priority)"),
            "{told}"
        );
        let (_, told, _) = run(&[&question[..], &place, &["--json"]].concat());
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["goes_to"]["provider"], "two");
        let (code, told, _) = run(&[&["routes", "list"][..], &place].concat());
        assert_eq!(code, Some(0));
        assert!(told.contains("header x-tier gold"), "{told}");
        assert!(told.contains("one/a (1), two/b (1)"), "{told}");
    }
    let (code, _, error) = run(&["routes", "explain"]);
    assert_eq!(code, Some(2), "{error}");
    let (_, told, _) = run(&["routes", "explain", "--model", "none", "--config", file]);
    assert!(
        told.contains("is refused   404") && !told.contains("retries"),
        "{told}"
    );
    // As the door answers: it is not that nobody serves it.
    let body = Dialect::Messages.request("strictly", false).to_string();
    let answer = world.post("/v1/messages", &[], body.as_bytes()).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let strictly = ["routes", "explain", "--model", "strictly", "--dialect"];
    let (_, told, _) = run(&[&strictly[..], &["messages", "--config", file]].concat());
    assert!(told.contains("is refused   400"), "{told}");
    let tokens = ["routes", "explain", "--model", "m", "--tokens"];
    let (code, _, error) = run(&[&tokens[..], &["60kb", "--config", file]].concat());
    assert_eq!(code, Some(2));
    assert!(error.contains("60000, 60k"), "{error}");
    let (code, _, error) = run(&["routes", "list", "--server", "127.0.0.1:8080"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("such as http://127.0.0.1:8080"), "{error}");
    let (code, _, error) = run(&[
        "routes", "explain", "--model", "m", "--at", "soon", "--config", file,
    ]);
    assert_eq!(code, Some(1));
    assert!(error.contains("`at` is 'soon'"), "{error}");
}
