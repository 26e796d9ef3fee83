//! One record for each request that an upstream was asked with, however it ended: what was used and how that is known, who asked whom,
//! what it cost and what the tenant is charged. Read from the database, as reports and invoices are.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lingate_metering::record::{Provenance, UsageRecord};
use lingate_store::{Store, UsageFilter};
use lingate_testkit::client::Connection;
use lingate_testkit::{Gateway, Script, Step, Upstream};
use serde_json::{Value, json};

use crate::wire::{Dialect, TEXT, data};
use crate::world::{Asked, CALLER, PATIENCE, World, at_once, program, providers};

/// Header by which requests name whom they are for, whatever their dialect.
const END_USER: &str = "x-openwebui-user-id";
/// What vendors report of every answer here.
const TOLD: (u64, u64) = (3, 4);
/// Nano-dollars a token, as the configuration below says.
const RATES: (u64, u64) = (2_500, 10_000);

/// How a request ends, and what its record must say of that.
#[derive(Debug, Clone, Copy)]
struct Case {
    /// Of the upstream; its script.
    model: &'static str,
    /// Whether the answer is streamed; `None`: both.
    stream: Option<bool>,
    leaves: Leaves,
    outcome: &'static str,
    used: Used,
    attempts: u16,
    /// Answers that were paid for and not given.
    thrown: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Leaves {
    /// The caller reads to the end.
    Never,
    /// As soon as the upstream has the request.
    Before,
    /// After the first word.
    Amid,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Used {
    /// Exactly [`TOLD`].
    Reported,
    /// As much as went by, whatever part of it somebody reported.
    Some,
    /// As much as went by, and nobody reported anything.
    Guessed,
    Nothing,
    Unknown,
}

const fn case(model: &'static str, outcome: &'static str, used: Used) -> Case {
    Case {
        model,
        stream: None,
        leaves: Leaves::Never,
        outcome,
        used,
        attempts: 1,
        thrown: 0,
    }
}

const fn streamed(case: Case, stream: bool) -> Case {
    Case {
        stream: Some(stream),
        ..case
    }
}

const fn leaving(case: Case, leaves: Leaves) -> Case {
    Case { leaves, ..case }
}

const CASES: &[Case] = &[
    case("complete", "complete", Used::Reported),
    case("length", "length", Used::Reported),
    case("refuse", "refusal", Used::Reported),
    case("tool", "tool_use", Used::Reported),
    case("untold", "complete", Used::Guessed),
    case("fails", "upstream_error", Used::Nothing),
    streamed(case("cut", "truncated", Used::Some), true),
    streamed(case("cut", "upstream_error", Used::Unknown), false),
    streamed(case("error", "upstream_error", Used::Some), true),
    leaving(case("silent", "client_gone", Used::Unknown), Leaves::Before),
    streamed(
        leaving(case("opens", "client_gone", Used::Unknown), Leaves::Before),
        true,
    ),
    streamed(
        leaving(case("begins", "client_gone", Used::Some), Leaves::Amid),
        true,
    ),
    Case {
        attempts: 2,
        ..case("failed-over", "complete", Used::Reported)
    },
    Case {
        attempts: 2,
        thrown: 1,
        ..case("better", "complete", Used::Reported)
    },
    Case {
        attempts: 2,
        thrown: 1,
        ..leaving(case("lost", "client_gone", Used::Unknown), Leaves::Before)
    },
    Case {
        attempts: 2,
        ..streamed(case("mended", "repaired", Used::Some), true)
    },
];

/// Of two providers of the same dialect, one that is asked when the other has failed.
fn configuration(upstream: &Upstream) -> String {
    let mut routes = String::new();
    for dialect in Dialect::ALL {
        let name = dialect.provider();
        routes.extend([format!(
            "  - {{model: {name}-failed-over, targets: [{{provider: {name}, model: fails}}], fallbacks: [{name}/complete]}}
  - {{model: {name}-better, targets: [{{provider: {name}, model: empty}}], fallbacks: [{name}/complete]}}
  - {{model: {name}-lost, targets: [{{provider: {name}, model: empty}}], fallbacks: [{name}/silent]}}
  - {{model: {name}-mended, anti_truncation: true, targets: [{{provider: {name}, model: mended}}]}}
"
        )]);
    }
    format!(
        "auth: keys
organizations: {{acme: {{plan: reseller, projects: {{web: {{}}}}, users: {{alice: {{}}}}}}}}
api_keys: [{{name: laptop, key: {CALLER}, project: acme/web, user: alice, tags: [blue]}}]
prices: [{{provider: \"up-*\", model: \"*\", input: 2.5, output: 10}}]
plans: {{reseller: {{multiplier: 1.2}}}}
{}routes:
{routes}",
        providers(upstream)
    )
}

/// The vendor's answer, with usage where it is asked for.
fn play(asked: &Asked<'_>) -> Script {
    let dialect = asked.dialect;
    let opening = dialect.opening();
    let begun = |count: usize| Script::events(dialect.events().into_iter().take(count));
    let wants_usage = asked.received.json()["stream_options"]["include_usage"] == true;
    let script = |events: Vec<String>, whole: Value, change: &dyn Fn(String) -> String| {
        if !asked.stream {
            return Script::json(200, change(whole.to_string()));
        }
        let events = events.into_iter().map(change);
        // The number of the last piece.
        let told = |event: String| {
            event.replace("\"candidatesTokenCount\":3", "\"candidatesTokenCount\":4")
        };
        let mut events: Vec<String> = events.map(told).collect();
        if dialect == Dialect::Chat && wants_usage && asked.model != "untold" {
            let usage = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-vendor", "choices": [],
                "usage": {"prompt_tokens": TOLD.0, "completion_tokens": TOLD.1, "total_tokens": TOLD.0 + TOLD.1}});
            events.insert(events.len() - 1, data(&usage));
        }
        Script::events(events)
    };
    let good =
        |change: &dyn Fn(String) -> String| script(dialect.events(), dialect.whole(), change);
    match asked.model.as_str() {
        "length" => good(&|text| ended(dialect, &text, Why::Length)),
        "refuse" => good(&|text| ended(dialect, &text, Why::Refusal)),
        "tool" => {
            let (events, whole) = call(dialect);
            script(events, whole, &|text| text)
        }
        "untold" => good(&|text| {
            let names = ["\"usage\"", "\"usageMetadata\""];
            names
                .iter()
                .fold(text, |text, name| text.replace(name, "\"other\""))
        }),
        "fails" => Script::json(500, dialect.error(500, "no")),
        "cut" if asked.stream => begun(opening + 2).then(Step::Close),
        "cut" => {
            let whole = dialect.whole().to_string();
            let half = whole[..whole.len() / 2].to_owned();
            Script::steps(
                "application/json",
                vec![Step::Send(half.into()), Step::Close],
            )
        }
        "error" => {
            let events = dialect.events().into_iter().take(opening + 2);
            Script::events(events.chain([dialect.error_event("busy")]))
        }
        "silent" => Script::silent(),
        "opens" => begun(opening).then(Step::Stall),
        "begins" => begun(opening + 1).then(Step::Stall),
        "empty" => script(dialect.empty_events(), dialect.empty_whole(), &|text| text),
        "mended" => {
            let goes_on = asked.received.json().to_string().contains("Hello there, ");
            if goes_on {
                let mut events = dialect.events();
                events.remove(opening);
                Script::events(events)
            } else {
                begun(opening + 2)
            }
        }
        _ => good(&|text| text),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Why {
    Length,
    Refusal,
}

/// The same answer, ended for another reason.
fn ended(dialect: Dialect, text: &str, why: Why) -> String {
    let length = why == Why::Length;
    let of = |length_word, refusal_word| if length { length_word } else { refusal_word };
    match dialect {
        Dialect::Chat => text.replace("\"stop\"", of("\"length\"", "\"content_filter\"")),
        Dialect::Messages => text.replace("\"end_turn\"", of("\"max_tokens\"", "\"refusal\"")),
        Dialect::Gemini => text.replace("\"STOP\"", of("\"MAX_TOKENS\"", "\"SAFETY\"")),
        Dialect::Responses => {
            let (name, body) = text.split_at(text.find('{').unwrap());
            let mut body: Value = serde_json::from_str(body).unwrap();
            let is_event = body["type"] == "response.completed";
            if !is_event && body["object"] != "response" {
                return text.to_owned();
            }
            let answer = if is_event {
                body["type"] = json!("response.incomplete");
                &mut body["response"]
            } else {
                &mut body
            };
            answer["status"] = json!("incomplete");
            answer["incomplete_details"] =
                json!({"reason": of("max_output_tokens", "content_filter")});
            let name = name.replace("completed", "incomplete");
            format!("{name}{body}\n\n")
        }
    }
}

/// An answer that calls a tool, as events and whole.
fn call(dialect: Dialect) -> (Vec<String>, Value) {
    let mut whole = dialect.whole();
    // More tokens than are told: what the upstream says with its ending counts all the same.
    let arguments = r#"{"city":"Berlin, on the river Spree","days":[1,2,3],"unit":"celsius"}"#;
    let parsed: Value = serde_json::from_str(arguments).unwrap();
    match dialect {
        Dialect::Chat => {
            let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}});
            whole["choices"][0]["message"] =
                json!({"role": "assistant", "content": null, "tool_calls": [call]});
            whole["choices"][0]["finish_reason"] = json!("tool_calls");
            let chunk = |delta: Value, finish: Value| {
                data(
                    &json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-vendor",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}),
                )
            };
            let mut streamed = call.clone();
            streamed["index"] = json!(0);
            let events = vec![
                chunk(
                    json!({"role": "assistant", "tool_calls": [streamed]}),
                    Value::Null,
                ),
                chunk(json!({}), json!("tool_calls")),
                "data: [DONE]\n\n".to_owned(),
            ];
            (events, whole)
        }
        Dialect::Messages => {
            let tool = |input: Value| json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": input});
            whole["content"] = json!([tool(parsed)]);
            whole["stop_reason"] = json!("tool_use");
            let mut events: Vec<String> = dialect.events().into_iter().take(1).collect();
            let named = |event: Value| {
                format!(
                    "event: {}\n{}",
                    event["type"].as_str().unwrap(),
                    data(&event)
                )
            };
            events.extend([
                named(json!({"type": "content_block_start", "index": 0, "content_block": tool(json!({}))})),
                named(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": arguments}})),
                named(json!({"type": "content_block_stop", "index": 0})),
                named(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": TOLD.1}})),
                named(json!({"type": "message_stop"})),
            ]);
            (events, whole)
        }
        Dialect::Gemini => {
            whole["candidates"][0]["content"]["parts"] =
                json!([{"functionCall": {"name": "f", "args": parsed}}]);
            (vec![data(&whole)], whole)
        }
        Dialect::Responses => {
            let item = |status: &str, arguments: &str| json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": arguments, "status": status});
            whole["output"] = json!([item("completed", arguments)]);
            let mut events: Vec<String> = dialect.events().into_iter().take(2).collect();
            let mut push = |name: &str, mut event: Value| {
                event["type"] = name.into();
                event["sequence_number"] = events.len().into();
                events.push(format!("event: {name}\n{}", data(&event)));
            };
            push(
                "response.output_item.added",
                json!({"output_index": 0, "item": item("in_progress", "")}),
            );
            let place = |key: &str| json!({"item_id": "fc_1", "output_index": 0, key: arguments});
            push("response.function_call_arguments.delta", place("delta"));
            push("response.function_call_arguments.done", place("arguments"));
            push(
                "response.output_item.done",
                json!({"output_index": 0, "item": item("completed", arguments)}),
            );
            push("response.completed", json!({"response": whole}));
            (events, whole)
        }
    }
}

/// One request of the matrix.
#[derive(Debug, Clone)]
struct Request {
    case: Case,
    caller: Dialect,
    upstream: Dialect,
    stream: bool,
    /// Whom it is for: by that its record is found.
    end_user: String,
    model: String,
}

impl Request {
    /// It says to the upstream, too, whose it is.
    fn body(&self) -> String {
        let body = self.caller.request(&self.model, self.stream).to_string();
        body.replace("\"Hi\"", &format!("\"Hi, {}.\"", self.end_user))
    }

    fn has_come_to(&self, upstream: &Upstream) -> bool {
        let words = format!("Hi, {}.", self.end_user);
        let received = upstream.received().into_iter();
        let own = received.filter(|it| it.json().to_string().contains(&words));
        own.count() >= usize::from(self.case.attempts)
    }

    /// Asks, and leaves when it is time to.
    async fn run(&self, world: &World) {
        let path = self.caller.path(&self.model, self.stream);
        let body = self.body();
        let bearer = format!("Bearer {CALLER}");
        let mut headers = vec![(END_USER, self.end_user.as_str())];
        if self.case.leaves == Leaves::Never {
            world.post(&path, &headers, body.as_bytes()).await;
            return;
        }
        headers.extend([
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
        ]);
        let mut connection = Connection::open(world.gateway.address()).await.unwrap();
        connection
            .send("POST", &path, &headers, body.as_bytes())
            .await
            .unwrap();
        if self.case.leaves == Leaves::Amid {
            connection.read_until(b"Hello ").await.unwrap();
        } else {
            let come = |upstream: &Upstream| self.has_come_to(upstream);
            assert!(world.upstream.wait_until(PATIENCE, come).await, "{self:?}");
        }
    }

    fn check(&self, record: &UsageRecord) {
        let case = &self.case;
        let shown = || format!("{self:?}: {record:?}");
        assert_eq!(record.outcome, case.outcome, "{}", shown());
        assert_eq!(record.attempts, case.attempts, "{}", shown());
        assert_eq!(record.dialect, name(self.caller), "{}", shown());
        assert_eq!(record.model, self.model, "{}", shown());
        assert_eq!(record.provider, self.upstream.provider(), "{}", shown());
        let of_upstream = match case.model {
            "failed-over" | "better" => "complete",
            "lost" => "silent",
            model => model,
        };
        assert_eq!(record.upstream_model, of_upstream, "{}", shown());
        assert_eq!(record.stream, self.stream, "{}", shown());
        assert_eq!(record.tags, ["blue"], "{}", shown());
        let begun = self.stream || case.outcome != "upstream_error";
        let unanswered = case.model == "fails" || !begun;
        assert_eq!(record.status >= 500, unanswered, "{}", shown());
        assert_eq!(
            record.error.is_some(),
            matches!(case.outcome, "upstream_error" | "truncated"),
            "{}",
            shown()
        );
        let said = case.outcome != "upstream_error" && case.leaves != Leaves::Before;
        assert!(!said || record.first_token.is_some(), "{}", shown());
        self.check_usage(record);
    }

    fn check_usage(&self, record: &UsageRecord) {
        let case = &self.case;
        let shown = || format!("{self:?}: {record:?}");
        let thrown = case.thrown * nanos(TOLD.0, TOLD.1);
        let Some(usage) = record.usage else {
            assert_eq!(case.used, Used::Unknown, "{}", shown());
            assert_eq!(record.provenance, Provenance::Unknown, "{}", shown());
            assert_eq!(record.price, None, "{}", shown());
            let spent = Some(dollars(thrown)).filter(|_| thrown > 0);
            let cost = record.cost.map(|cost| cost.to_string());
            assert_eq!(cost, spent, "{}", shown());
            return;
        };
        let sent = self.body().len() as u64;
        // A piece of an answer is no more than its bytes; with every part that is asked for again, its prompt is, too.
        let most = (sent * 2 + 200, TEXT.len() as u64);
        let found = (usage.input, usage.output);
        match case.used {
            Used::Reported => {
                assert_eq!(found, TOLD, "{}", shown());
                assert_eq!(record.provenance, Provenance::Reported, "{}", shown());
            }
            Used::Nothing => {
                assert_eq!(found, (0, 0), "{}", shown());
                assert_ne!(record.provenance, Provenance::Unknown, "{}", shown());
            }
            Used::Some | Used::Guessed => {
                assert!(found.0 > 0 && found.1 > 0, "{}", shown());
                assert!(found.0 <= most.0 && found.1 <= most.1, "{}", shown());
                assert_ne!(record.provenance, Provenance::Unknown, "{}", shown());
                let guessed = record.provenance == Provenance::Estimated;
                assert!(guessed || case.used == Used::Some, "{}", shown());
            }
            Used::Unknown => panic!("{}", shown()),
        }
        let own = nanos(found.0, found.1);
        let cost = record.cost.map(|cost| cost.to_string());
        let price = record.price.map(|price| price.to_string());
        assert_eq!(cost, Some(dollars(own + thrown)), "{}", shown());
        assert_eq!(price, Some(dollars(own * 12 / 10)), "{}", shown());
        assert!(record.price_version.is_some(), "{}", shown());
    }
}

fn nanos(input: u64, output: u64) -> u64 {
    input * RATES.0 + output * RATES.1
}

/// As amounts are written: no more digits than there are.
fn dollars(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

fn name(dialect: Dialect) -> String {
    format!("{dialect:?}").to_lowercase()
}

/// All of the matrix.
fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for case in CASES {
        for caller in Dialect::ALL {
            for upstream in Dialect::ALL {
                for stream in [true, false] {
                    if case.stream.is_some_and(|only| only != stream) {
                        continue;
                    }
                    let routed = ["failed-over", "better", "lost", "mended"].contains(&case.model);
                    let between = if routed { '-' } else { '/' };
                    requests.push(Request {
                        case: *case,
                        caller,
                        upstream,
                        stream,
                        end_user: format!("user-{}", requests.len()),
                        model: format!("{}{between}{}", upstream.provider(), case.model),
                    });
                }
            }
        }
    }
    requests
}

/// All records that the gateway has in its database.
async fn records(gateway: &Gateway) -> Vec<UsageRecord> {
    let url = "sqlite".parse().unwrap();
    let store = Store::open(&url, &gateway.folder().join("data"))
        .await
        .unwrap();
    let mut records: Vec<UsageRecord> = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .records(
                &UsageFilter::default(),
                None,
                0,
                i64::MAX,
                after.as_ref(),
                1000,
            )
            .await
            .unwrap();
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    store.close().await;
    records
}

/// The records as soon as there are so many; what is sent behind them shows that no more come.
async fn settled(world: &World, number: usize) -> Vec<UsageRecord> {
    let started = std::time::Instant::now();
    let mut marked = false;
    loop {
        let found = records(&world.gateway).await;
        if found.len() >= number + usize::from(marked) {
            if marked {
                let is_mark = |record: &UsageRecord| record.end_user.is_none();
                return found.into_iter().filter(|it| !is_mark(it)).collect();
            }
            world.ask(Dialect::Chat, "up-chat/complete", false).await;
            marked = true;
        }
        assert!(
            started.elapsed() < PATIENCE * 2,
            "{} of {number} records: {}",
            found.len(),
            world.gateway.log()
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_request_has_one_record_that_is_true() {
    let world = Arc::new(World::configured(configuration, play).await);
    let requests = requests();
    at_once(requests.iter().cloned(), |request| {
        let world = Arc::clone(&world);
        async move { request.run(&world).await }
    })
    .await;
    let found = settled(&world, requests.len()).await;
    let mut by_user: BTreeMap<&str, Vec<&UsageRecord>> = BTreeMap::new();
    for record in &found {
        let user = record.end_user.as_deref().unwrap();
        by_user.entry(user).or_default().push(record);
    }
    let first = &found[0];
    assert!(first.key.is_some() && first.user.is_some(), "{first:?}");
    let mut wrong = Vec::new();
    let log = world.gateway.log();
    for request in &requests {
        let of = by_user.get(request.end_user.as_str());
        let check = || {
            let of = of.unwrap_or_else(|| panic!("no record: {request:?}"));
            assert_eq!(of.len(), 1, "{request:?}: {of:?}");
            let who = |record: &UsageRecord| {
                (record.organization, record.project, record.key, record.user)
            };
            assert_eq!(who(of[0]), who(first));
            request.check(of[0]);
            let id = format!("req_{:032x}", of[0].id.as_u128());
            let line = log
                .lines()
                .find(|line| line.contains(&id) && line.contains("attempts="));
            let line = line.unwrap_or_else(|| panic!("not in the log: {request:?}"));
            if let Some(cost) = of[0].cost.filter(|_| !line.contains("request failed")) {
                assert!(line.contains(&format!(" cost={cost} ")), "{cost}: {line}");
            }
        };
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err() {
            wrong.push((
                request.case.model,
                request.caller,
                request.upstream,
                request.stream,
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:?}", wrong.len());
    assert_eq!(found.len(), requests.len());
    as_the_command_says(world.gateway.folder(), first);
}

/// The price list has the same version and the same answer for who asks it alone.
fn as_the_command_says(folder: &Path, record: &UsageRecord) {
    let done = Command::new(program())
        .args([
            "prices",
            "cost",
            "up-chat/complete",
            "--config",
            "lingate.yml",
        ])
        .args([
            "--input", "3", "--output", "4", "--plan", "reseller", "--json",
        ])
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said["cost"], dollars(nanos(TOLD.0, TOLD.1)));
    assert_eq!(said["price"], dollars(nanos(TOLD.0, TOLD.1) * 12 / 10));
    assert_eq!(said["version"].as_str(), record.price_version.as_deref());
}
