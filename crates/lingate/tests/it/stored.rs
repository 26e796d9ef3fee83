//! Stored state of the Responses API in front of each upstream: chains, lookups, bounds, other callers, and another life of the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lingate_testkit::client::{Answer, fetch};
use lingate_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::world::{eventually, program};

/// What is said in three turns, in order; each upstream must be told all of it.
const SAID: [&str; 5] = [
    "What time is it?",
    "clock_reading",
    "twelve sharp",
    "It is noon.",
    "Thank you!",
];

/// A gateway and an upstream of all four dialects, each a provider of its own.
struct World {
    gateway: Gateway,
    upstream: Upstream,
    configuration: String,
}

impl World {
    async fn new(settings: &str) -> Self {
        Self::playing(settings, good).await
    }

    async fn playing(
        settings: &str,
        play: impl Fn(&Received) -> Script + Send + Sync + 'static,
    ) -> Self {
        let upstream = Upstream::answering(([127, 0, 0, 1], 0).into(), Arc::new(play))
            .await
            .unwrap();
        let url = upstream.url();
        let configuration = format!(
            "{settings}
api_keys: [{{name: alice, key: sk-alice}}, {{name: bob, key: sk-bob}}]
providers:
  up-chat: {{base_url: \"{url}/v1\", dialects: [chat], keys: [k1]}}
  up-messages: {{base_url: \"{url}\", dialects: [messages], keys: [k2]}}
  up-gemini: {{base_url: \"{url}\", dialects: [gemini], keys: [k3]}}
  up-responses: {{base_url: \"{url}/v1\", dialects: [responses], keys: [k4]}}
  up-other: {{base_url: \"{url}/other/v1\", dialects: [responses], keys: [k5]}}
"
        );
        let gateway = Gateway::start(program(), &configuration, &[])
            .await
            .unwrap();
        Self {
            gateway,
            upstream,
            configuration,
        }
    }

    /// Kills the gateway and starts another one on what it has stored.
    async fn restart(&mut self) {
        let old = self.gateway.folder().join("data");
        let kept = std::env::temp_dir().join(format!("lingate-stored-{}", self.gateway.pid()));
        // No time to say goodbye.
        let killed = std::process::Command::new("kill")
            .args(["-9", &self.gateway.pid().to_string()])
            .status();
        assert!(killed.unwrap().success());
        std::fs::rename(&old, &kept).unwrap();
        // The test kit names a folder of its own on the command line; the stored one is moved there.
        self.gateway = Gateway::start(program(), &self.configuration, &[])
            .await
            .unwrap();
        let new = self.gateway.folder().join("data");
        assert!(
            !new.join("responses").exists(),
            "nothing is made before it is needed"
        );
        let _ = std::fs::remove_dir_all(&new);
        std::fs::rename(&kept, &new).unwrap();
    }

    async fn send(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        fetch(
            self.gateway.address(),
            method,
            path,
            &headers,
            body.as_bytes(),
        )
        .await
        .unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("sk-alice", "GET", path, &Value::Null).await
    }

    /// Asks as alice and gives the response object, streamed or not.
    async fn ask(&self, body: Value) -> Value {
        let answer = self.send("sk-alice", "POST", "/v1/responses", &body).await;
        assert_eq!(answer.status, 200, "{} for {body}", answer.text());
        if body["stream"] == true {
            last_response(&answer.text())
        } else {
            answer.json()
        }
    }

    /// The body of the last request that the upstream got.
    fn last_body(&self) -> Value {
        self.upstream.received().last().unwrap().json()
    }
}

/// The response object of the event that ends a stream.
fn last_response(stream: &str) -> Value {
    let events: Vec<Value> = stream
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
        .collect();
    let last = events
        .last()
        .unwrap_or_else(|| panic!("no events: {stream}"));
    assert_eq!(last["type"], "response.completed", "{stream}");
    last["response"].clone()
}

/// Whether all of `words` stand in `text`, one behind the other.
fn in_order(text: &str, words: &[&str]) -> bool {
    let mut rest = text;
    words.iter().all(|word| match rest.split_once(word) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// Answers in the dialect of the path: a call of the tool first, then what comes of it.
fn good(received: &Received) -> Script {
    let body = received.json();
    let asked = body.to_string();
    let says = if asked.contains(SAID[4]) {
        Some("You are welcome.")
    } else if asked.contains(SAID[2]) {
        Some(SAID[3])
    } else if asked.contains("Hello") {
        Some("Hello yourself.")
    } else {
        None
    };
    let path = received.path.as_str();
    if path.ends_with("/chat/completions") {
        chat(says, body["stream"] == true)
    } else if path.ends_with("/messages") {
        messages(says, body["stream"] == true)
    } else if path.contains("enerateContent") {
        gemini(says, path.contains("stream"))
    } else if path.ends_with("/responses") {
        responses(says, &body)
    } else {
        Script::json(
            404,
            r#"{"error":{"message":"no such path","type":"invalid_request_error"}}"#,
        )
    }
}

fn events(events: &[Value]) -> Script {
    Script::events(events.iter().map(|event| {
        let name = event["type"]
            .as_str()
            .map_or(String::new(), |name| format!("event: {name}\n"));
        format!("{name}data: {event}\n\n")
    }))
}

fn chat(says: Option<&str>, stream: bool) -> Script {
    let message = match says {
        Some(text) => json!({"role": "assistant", "content": text}),
        None => {
            json!({"role": "assistant", "content": null, "tool_calls": [{"index": 0, "id": "call_7", "type": "function", "function": {"name": "clock_reading", "arguments": "{}"}}]})
        }
    };
    let finish = if says.is_some() { "stop" } else { "tool_calls" };
    let base = json!({"id": "chatcmpl-1", "created": 1, "model": "m"});
    if stream {
        let chunk = |delta: Value, finish: Value| {
            let mut chunk = base.clone();
            chunk["object"] = "chat.completion.chunk".into();
            chunk["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
            chunk
        };
        return events(&[chunk(message, Value::Null), chunk(json!({}), finish.into())]);
    }
    let mut whole = base;
    whole["object"] = "chat.completion".into();
    whole["choices"] = json!([{"index": 0, "message": message, "finish_reason": finish}]);
    whole["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
    Script::json(200, whole.to_string())
}

fn messages(says: Option<&str>, stream: bool) -> Script {
    let (block, stop) = match says {
        Some(text) => (json!({"type": "text", "text": text}), "end_turn"),
        None => (
            json!({"type": "tool_use", "id": "toolu_7", "name": "clock_reading", "input": {}}),
            "tool_use",
        ),
    };
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [block],
        "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 4}});
    if !stream {
        return Script::json(200, message.to_string());
    }
    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    let mut opened = block;
    if says.is_some() {
        opened["text"] = "".into();
    }
    let mut all = vec![
        json!({"type": "message_start", "message": start}),
        json!({"type": "content_block_start", "index": 0, "content_block": opened}),
    ];
    if let Some(text) = says {
        all.push(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}));
    }
    all.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 4}}),
        json!({"type": "message_stop"}),
    ]);
    events(&all)
}

fn gemini(says: Option<&str>, stream: bool) -> Script {
    let part = match says {
        Some(text) => json!({"text": text}),
        None => json!({"functionCall": {"name": "clock_reading", "args": {}}}),
    };
    let whole = json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}, "modelVersion": "m"});
    if stream {
        events(&[whole])
    } else {
        Script::json(200, whole.to_string())
    }
}

fn responses(says: Option<&str>, body: &Value) -> Script {
    static ANSWERS: AtomicUsize = AtomicUsize::new(0);
    let number = ANSWERS.fetch_add(1, Ordering::Relaxed);
    let item = match says {
        Some(text) => {
            json!({"id": format!("msg_vendor{number}"), "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]})
        }
        None => {
            json!({"id": format!("fc_vendor{number}"), "type": "function_call", "status": "completed", "call_id": "call_7", "name": "clock_reading", "arguments": "{}"})
        }
    };
    let whole = json!({"id": format!("resp_vendor{number}"), "object": "response", "created_at": 1, "status": "completed", "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "model": "m", "output": [item], "parallel_tool_calls": true,
        "previous_response_id": body["previous_response_id"], "store": body["store"] != false, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7}});
    if body["stream"] != true {
        return Script::json(200, whole.to_string());
    }
    let mut begun = whole.clone();
    begun["status"] = "in_progress".into();
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    events(&[
        json!({"type": "response.created", "sequence_number": 0, "response": begun}),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "sequence_number": 2, "output_index": 0, "item": item}),
        json!({"type": "response.completed", "sequence_number": 3, "response": whole}),
    ])
}

const PROVIDERS: [&str; 4] = ["up-chat", "up-messages", "up-gemini", "up-responses"];

fn tools() -> Value {
    json!([{"type": "function", "name": "clock_reading", "description": "Reads the clock.", "strict": false,
        "parameters": {"type": "object", "properties": {}}}])
}

/// Two turns: a call of the tool, and what comes of it. Gives both answers.
async fn two_turns(world: &World, model: &str, stream: bool) -> [Value; 2] {
    let first = world
        .ask(json!({"model": model, "stream": stream, "input": SAID[0], "tools": tools(), "instructions": "only-once"}))
        .await;
    let call = first["output"]
        .as_array()
        .and_then(|items| items.iter().find(|item| item["type"] == "function_call"))
        .unwrap_or_else(|| panic!("no call: {first}"));
    let output =
        json!([{"type": "function_call_output", "call_id": call["call_id"], "output": SAID[2]}]);
    let second = world
        .ask(json!({"model": model, "stream": stream, "input": output, "tools": tools(), "previous_response_id": first["id"]}))
        .await;
    [first, second]
}

#[tokio::test]
async fn a_chain_reaches_every_upstream_whole() {
    for stream in [false, true] {
        let mut world = World::new("").await;
        for (place, provider) in PROVIDERS.into_iter().enumerate() {
            let model = format!("{provider}/m");
            let [_, second] = two_turns(&world, &model, stream).await;
            if place == 0 {
                world.restart().await;
            }
            let third = json!({"model": model, "stream": stream, "input": SAID[4], "previous_response_id": second["id"]});
            let third = world.ask(third).await;
            let text = third["output"].to_string();
            assert!(text.contains("You are welcome."), "{provider}: {third}");
            assert_eq!(third["previous_response_id"], second["id"], "{provider}");
            let sent = world.last_body();
            if provider == "up-responses" {
                assert_eq!(
                    sent["previous_response_id"], second["id"],
                    "the vendor has it: {sent}"
                );
                assert_eq!(sent["input"], SAID[4]);
            } else {
                let sent = sent.to_string();
                assert!(in_order(&sent, &SAID), "{provider} was told {sent}");
                assert!(
                    !sent.contains("only-once"),
                    "instructions are not carried over: {sent}"
                );
                assert!(!sent.contains("previous_response_id"), "{sent}");
            }
            let id = third["id"].as_str().unwrap();
            let got = world.get(&format!("/v1/responses/{id}")).await;
            assert_eq!(got.status, 200, "{provider}: {}", got.text());
            assert_eq!(got.json()["output"], third["output"], "{provider}");
            assert_eq!(got.json()["previous_response_id"], second["id"]);
            let items = world
                .get(&format!("/v1/responses/{id}/input_items?order=asc"))
                .await;
            assert!(
                in_order(&items.text(), &SAID),
                "{provider}: {}",
                items.text()
            );
        }
    }
}

#[tokio::test]
async fn a_chain_goes_from_one_upstream_to_another() {
    let world = World::new("").await;
    for from in PROVIDERS {
        for to in ["up-other", "up-chat", "up-messages", "up-gemini"] {
            let [_, second] = two_turns(&world, &format!("{from}/m"), false).await;
            let body = json!({"model": format!("{to}/m"), "input": [{"role": "user", "content": SAID[4]}], "previous_response_id": second["id"]});
            let third = world.ask(body).await;
            let sent = world.last_body().to_string();
            assert!(in_order(&sent, &SAID), "{from} to {to}: {sent}");
            assert!(
                !sent.contains("previous_response_id"),
                "{from} to {to}: {sent}"
            );
            assert_eq!(
                third["previous_response_id"], second["id"],
                "{from} to {to}"
            );
        }
    }
}

#[tokio::test]
async fn proofs_in_a_chain_go_back_to_their_maker_alone() {
    const PROOF: &str = "gAAAAA-proof-of-up-responses-0123456789";
    let world = World::playing("", |received| {
        if received.path != "/v1/responses" {
            return good(received);
        }
        let output = json!([
            {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": PROOF},
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "Hello yourself.", "annotations": []}]},
        ]);
        let whole = json!({"id": format!("resp_{}", received.body.len()), "object": "response", "created_at": 1, "status": "completed", "model": "m", "store": true, "output": output});
        Script::json(200, whole.to_string())
    })
    .await;
    let ask = async |provider: &str, previous: &Value| {
        let body = json!({"model": format!("{provider}/m"), "input": "Hello", "previous_response_id": previous["id"]});
        let answer = world.ask(body).await;
        (answer, world.last_body().to_string())
    };
    let (first, _) = ask("up-responses", &json!({})).await;
    for other in ["up-other", "up-chat", "up-messages", "up-gemini"] {
        let (second, sent) = ask(other, &first).await;
        assert!(
            in_order(&sent, &["Hello", "Hello yourself.", "Hello"]),
            "{sent}"
        );
        assert!(!sent.contains(PROOF), "{other}: {sent}");
        let (_, sent) = ask("up-responses", &second).await;
        assert!(
            in_order(&sent, &[PROOF, "Hello yourself.", "Hello yourself."]),
            "back from {other}: {sent}"
        );
    }
}

#[tokio::test]
async fn what_the_vendor_has_lost_is_written_out() {
    let world = World::playing("", |received| {
        let body = received.json();
        if body["previous_response_id"].is_string() && body.to_string().contains(SAID[4]) {
            let lost = r#"{"error":{"code":"previous_response_not_found","message":"Previous response with id 'x' not found.","param":"previous_response_id","type":"invalid_request_error"}}"#;
            return Script::json(400, lost);
        }
        good(received)
    })
    .await;
    for stream in [false, true] {
        let [_, second] = two_turns(&world, "up-responses/m", stream).await;
        let body = json!({"model": "up-responses/m", "stream": stream, "input": SAID[4], "previous_response_id": second["id"]});
        world.ask(body).await;
        let sent = world.last_body();
        assert!(in_order(&sent.to_string(), &SAID), "{sent}");
        assert!(sent["previous_response_id"].is_null(), "{sent}");
    }
}

#[tokio::test]
async fn items_that_are_referred_to_are_written_out() {
    let world = World::new("").await;
    for provider in PROVIDERS {
        let [first, second] = two_turns(&world, &format!("{provider}/m"), false).await;
        let reference =
            |answer: &Value| json!({"type": "item_reference", "id": answer["output"][0]["id"]});
        let call = &first["output"][0];
        let input = json!([
            {"role": "user", "content": SAID[0]},
            reference(&first),
            {"type": "function_call_output", "call_id": call["call_id"], "output": SAID[2]},
            reference(&second),
            {"role": "user", "content": SAID[4]},
        ]);
        for to in ["up-chat", "up-other"] {
            let third = world
                .ask(json!({"model": format!("{to}/m"), "input": input}))
                .await;
            let sent = world.last_body().to_string();
            assert!(
                in_order(&sent, &SAID) && !sent.contains("item_reference"),
                "{provider} to {to}: {sent}"
            );
            let id = third["id"].as_str().unwrap();
            let items = world
                .get(&format!("/v1/responses/{id}/input_items?order=asc"))
                .await;
            assert!(in_order(&items.text(), &SAID), "{}", items.text());
        }
        if provider == "up-responses" {
            world
                .ask(json!({"model": "up-responses/m", "input": input}))
                .await;
            assert_eq!(world.last_body()["input"], input, "the vendor has them");
        }
    }
    let stranger =
        json!({"model": "up-chat/m", "input": [{"type": "item_reference", "id": "msg_none"}]});
    let answer = world
        .send("sk-alice", "POST", "/v1/responses", &stranger)
        .await;
    assert_eq!(answer.status, 404, "{}", answer.text());
}

#[tokio::test]
async fn no_spelling_of_a_reference_passes_by_its_owner() {
    let world = World::new("").await;
    let first = world
        .ask(json!({"model": "up-responses/m", "input": "Hello"}))
        .await;
    let id = first["output"][0]["id"].as_str().unwrap();
    let requests = world.upstream.received().len();
    for item in [
        format!(r#"{{"type":"item_reference","id":"{id}"}}"#),
        format!(r#"{{"type":"item\u005freference","id":"{id}"}}"#),
        format!(r#"{{"type":null,"id":"{id}"}}"#),
        format!(r#"{{"id":"{id}"}}"#),
    ] {
        let body = format!(r#"{{"model":"up-responses/m","input":[{item}]}}"#);
        for (key, expect) in [("sk-bob", 404), ("sk-alice", 200)] {
            let bearer = format!("Bearer {key}");
            let headers = [("authorization", bearer.as_str())];
            let path = "/v1/responses";
            let address = world.gateway.address();
            let answer = fetch(address, "POST", path, &headers, body.as_bytes()).await;
            assert_eq!(answer.unwrap().status, expect, "{item} of {key}");
        }
    }
    assert_eq!(world.upstream.received().len(), requests + 4);
}

#[tokio::test]
async fn references_do_not_make_a_body_larger_than_bodies_may_be() {
    let world = World::new("defaults: {body_limit: 64KiB}").await;
    let first = world
        .ask(json!({"model": "up-chat/m", "input": "Hello"}))
        .await;
    let id = first["output"][0]["id"].as_str().unwrap();
    let check = async |times: usize, expect: u16| {
        let input = vec![json!({"type": "item_reference", "id": id}); times];
        let body = json!({"model": "up-chat/m", "input": input});
        let answer = world.send("sk-alice", "POST", "/v1/responses", &body).await;
        assert_eq!(answer.status, expect, "{times}: {}", answer.text());
    };
    check(2, 200).await;
    check(900, 413).await;
}

#[tokio::test]
async fn an_answer_is_its_callers_alone() {
    let world = World::new("").await;
    let never = "resp_never";
    for provider in PROVIDERS {
        let model = format!("{provider}/m");
        let first = world.ask(json!({"model": model, "input": "Hello"})).await;
        let id = first["id"].as_str().unwrap();
        let requests = world.upstream.received().len();
        for (method, below) in [
            ("GET", ""),
            ("GET", "/input_items"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ] {
            let mut answers = Vec::new();
            for id in [id, never] {
                let path = format!("/v1/responses/{id}{below}");
                let answer = world.send("sk-bob", method, &path, &Value::Null).await;
                assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
                answers.push(answer.text().replace(id, "ID"));
            }
            assert_eq!(answers[0], answers[1], "no word tells that it is there");
        }
        let mut answers = Vec::new();
        for id in [id, never] {
            let body = json!({"model": model, "input": "Hello", "previous_response_id": id});
            let answer = world.send("sk-bob", "POST", "/v1/responses", &body).await;
            assert_eq!(answer.status, 400, "{}", answer.text());
            let error = &answer.json()["error"];
            assert_eq!(error["code"], "previous_response_not_found");
            assert_eq!(error["param"], "previous_response_id");
            answers.push(answer.text().replace(id, "ID"));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(
            world.upstream.received().len(),
            requests,
            "no upstream was asked"
        );
        assert_eq!(world.get(&format!("/v1/responses/{id}")).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_deleted_or_not_to_be_stored_is_not_there() {
    let world = World::playing("", |received| {
        if received.method == "DELETE" {
            return Script::json(200, r#"{"deleted":true}"#);
        }
        good(received)
    })
    .await;
    for provider in PROVIDERS {
        let model = format!("{provider}/m");
        let first = world.ask(json!({"model": model, "input": "Hello"})).await;
        let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
        let deleted = world.send("sk-alice", "DELETE", &path, &Value::Null).await;
        let expect = json!({"id": first["id"], "object": "response.deleted", "deleted": true});
        assert_eq!(
            (deleted.status, deleted.json()),
            (200, expect),
            "{provider}"
        );
        let last = world.upstream.received().pop().unwrap();
        let there = last.method == "DELETE" && last.path == path;
        assert_eq!(
            there,
            provider == "up-responses",
            "deleted where the vendor has it, too"
        );
        assert_eq!(world.get(&path).await.status, 404);
        assert_eq!(
            world
                .send("sk-alice", "DELETE", &path, &Value::Null)
                .await
                .status,
            404
        );
        let follow = json!({"model": model, "input": "Hello", "previous_response_id": first["id"]});
        assert_eq!(
            world
                .send("sk-alice", "POST", "/v1/responses", &follow)
                .await
                .status,
            400
        );

        let explicit = json!({"model": model, "input": "Hello", "store": true});
        let explicit = world
            .send("sk-alice", "POST", "/v1/responses", &explicit)
            .await;
        assert_eq!(explicit.json()["store"], true, "{provider}");
        let losses = explicit.header("x-lingate-losses");
        assert!(!losses.contains("store"), "it is stored here: {losses}");
        for stream in [false, true] {
            let unstored = world
                .ask(json!({"model": model, "input": "Hello", "store": false, "stream": stream}))
                .await;
            assert_eq!(unstored["store"], false, "{provider}");
            let path = format!("/v1/responses/{}", unstored["id"].as_str().unwrap());
            assert_eq!(world.get(&path).await.status, 404, "{provider}");
        }
    }
}

#[tokio::test]
async fn failures_are_not_stored() {
    let world = World::playing("", |received| {
        if received.json()["stream"] == true {
            let start = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Half an"}, "finish_reason": null}]});
            return events(&[start]);
        }
        good(received)
    })
    .await;
    let body = json!({"model": "up-chat/m", "input": "Hello", "stream": true});
    let answer = world.send("sk-alice", "POST", "/v1/responses", &body).await;
    let id = answer
        .text()
        .split("\"resp_")
        .nth(1)
        .map(|rest| format!("resp_{}", rest.split('"').next().unwrap()));
    let id = id.unwrap_or_else(|| panic!("no id: {}", answer.text()));
    assert!(
        !answer.text().contains("response.completed"),
        "{}",
        answer.text()
    );
    assert_eq!(world.get(&format!("/v1/responses/{id}")).await.status, 404);
}

#[tokio::test]
async fn what_is_continued_is_counted() {
    let world = World::new("").await;
    let first = world
        .ask(json!({"model": "up-chat/m", "input": format!("Hello {}", "word ".repeat(500))}))
        .await;
    let count = async |body: Value| {
        let path = "/v1/responses/input_tokens";
        let answer = world.send("sk-alice", "POST", path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["input_tokens"].as_u64().unwrap()
    };
    let alone = count(json!({"model": "up-chat/m", "input": "Hello"})).await;
    let continued =
        json!({"model": "up-chat/m", "input": "Hello", "previous_response_id": first["id"]});
    let all = count(continued.clone()).await;
    assert!(alone < 20 && all > 400, "{alone} {all}");
    let path = "/v1/responses/input_tokens";
    let other = world.send("sk-bob", "POST", path, &continued).await;
    assert_eq!(other.status, 400, "{}", other.text());

    // What only its vendor keeps is not asked of another one, not even to count it.
    let off = World::new("state: {enabled: false}").await;
    let [_, second] = two_turns(&off, "up-responses/m", false).await;
    let asked = |world: &World| {
        let received = world.upstream.received();
        received
            .iter()
            .filter(|it| it.path.contains("/other/"))
            .count()
    };
    let elsewhere =
        json!({"model": "up-other/m", "input": "Hello", "previous_response_id": second["id"]});
    let answer = off.send("sk-alice", "POST", path, &elsewhere).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(asked(&off), 0);
    let alone = json!({"model": "up-other/m", "input": "Hello"});
    off.send("sk-alice", "POST", path, &alone).await;
    assert_eq!(asked(&off), 1, "who can count is asked");
}

#[tokio::test]
async fn input_items_come_in_pages() {
    let world = World::new("").await;
    let words: Vec<String> = (0..7).map(|number| format!("Hello {number}")).collect();
    let input: Vec<Value> = words
        .iter()
        .map(|word| json!({"role": "user", "content": word}))
        .collect();
    let answer = world
        .ask(json!({"model": "up-chat/m", "input": input}))
        .await;
    let base = format!(
        "/v1/responses/{}/input_items",
        answer["id"].as_str().unwrap()
    );
    for order in ["asc", "desc"] {
        let mut seen: Vec<String> = Vec::new();
        let mut after = String::new();
        loop {
            let page = world
                .get(&format!("{base}?limit=3&order={order}{after}"))
                .await;
            let page = page.json();
            assert_eq!(page["object"], "list");
            let data = page["data"].as_array().unwrap();
            assert_eq!(page["first_id"], data[0]["id"]);
            assert_eq!(page["last_id"], data[data.len() - 1]["id"]);
            for item in data {
                assert_eq!(
                    (&item["type"], &item["role"]),
                    (&json!("message"), &json!("user"))
                );
                assert_eq!(item["content"][0]["type"], "input_text");
                seen.push(item["content"][0]["text"].as_str().unwrap().to_owned());
            }
            after = format!("&after={}", page["last_id"].as_str().unwrap());
            if page["has_more"] == false {
                break;
            }
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, words, "{order}");
    }
    let usual = world.get(&base).await.json();
    assert_eq!(
        usual["data"][0]["content"][0]["text"], "Hello 6",
        "newest first"
    );
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=msg_none", "after"),
    ] {
        let answer = world.get(&format!("{base}?{query}")).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["param"]),
            (400, &json!(param)),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_stored_answer_can_be_streamed_again() {
    let world = World::new("").await;
    for provider in PROVIDERS {
        let [first, second] = two_turns(&world, &format!("{provider}/m"), false).await;
        for answer in [first, second] {
            let path = format!(
                "/v1/responses/{}?stream=true",
                answer["id"].as_str().unwrap()
            );
            let stream = world.get(&path).await;
            assert!(
                stream
                    .header("content-type")
                    .starts_with("text/event-stream")
            );
            assert_eq!(
                last_response(&stream.text()),
                world
                    .get(path.trim_end_matches("?stream=true"))
                    .await
                    .json()
            );
            let numbers: Vec<u64> = stream
                .text()
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok()?["sequence_number"].as_u64())
                .collect();
            assert!(
                numbers.iter().copied().eq(0..numbers.len() as u64),
                "{numbers:?}"
            );
            let rest = world.get(&format!("{path}&starting_after=2")).await.text();
            assert!(
                !rest.contains("response.created") && rest.contains("response.completed"),
                "{rest}"
            );
        }
    }
}

#[tokio::test]
async fn what_needs_the_vendors_own_state_is_said_so() {
    let world = World::playing("", |received| {
        let json = received.json();
        match (received.method.as_str(), received.path.as_str()) {
            ("GET", "/v1/responses/resp_slow") => Script::json(200, r#"{"id":"resp_slow","object":"response","status":"completed","output":[]}"#),
            ("POST", "/v1/responses/resp_slow/cancel") => Script::json(200, r#"{"id":"resp_slow","object":"response","status":"cancelled","output":[]}"#),
            ("POST", "/v1/responses/compact") => Script::json(200, json!({"id": "resp_c", "object": "response.compaction", "output": json["input"]}).to_string()),
            ("POST", "/v1/responses") if json["background"] == true => Script::json(200, r#"{"id":"resp_slow","object":"response","status":"queued","background":true,"store":true,"output":[]}"#),
            _ => good(received),
        }
    })
    .await;
    for (field, value) in [
        ("background", json!(true)),
        ("prompt", json!({"id": "pmpt_1"})),
        ("conversation", json!("conv_1")),
    ] {
        let mut body = json!({"model": "up-chat/m", "input": "Hello"});
        body[field] = value;
        let answer = world.send("sk-alice", "POST", "/v1/responses", &body).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["param"]),
            (400, &json!(field)),
            "{}",
            answer.text()
        );
        body["model"] = "up-responses/m".into();
        let answer = world.send("sk-alice", "POST", "/v1/responses", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(world.last_body()[field], body[field]);
    }
    // What is made in the background is asked for where it is made, by its caller alone.
    for (key, method, below, expect) in [
        ("sk-bob", "GET", "", 404),
        ("sk-alice", "GET", "", 200),
        ("sk-bob", "POST", "/cancel", 404),
        ("sk-alice", "POST", "/cancel", 200),
    ] {
        let answer = world
            .send(
                key,
                method,
                &format!("/v1/responses/resp_slow{below}"),
                &Value::Null,
            )
            .await;
        assert_eq!(
            answer.status,
            expect,
            "{key} {method} {below}: {}",
            answer.text()
        );
    }
    let follow =
        json!({"model": "up-chat/m", "input": "Hello", "previous_response_id": "resp_slow"});
    let answer = world
        .send("sk-alice", "POST", "/v1/responses", &follow)
        .await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("up-responses"), "{}", answer.text());

    let done = world
        .ask(json!({"model": "up-chat/m", "input": "Hello"}))
        .await;
    let cancel = format!("/v1/responses/{}/cancel", done["id"].as_str().unwrap());
    let answer = world.send("sk-alice", "POST", &cancel, &Value::Null).await;
    assert_eq!(answer.status, 400, "{}", answer.text());

    let compact =
        json!({"model": "up-other/m", "input": "Hello again", "previous_response_id": done["id"]});
    let answer = world
        .send("sk-alice", "POST", "/v1/responses/compact", &compact)
        .await;
    assert_eq!(
        answer.status,
        404,
        "that one has no such path: {}",
        answer.text()
    );
    let compact = json!({"model": "up-responses/m", "input": "Hello again", "previous_response_id": done["id"]});
    let answer = world
        .send("sk-alice", "POST", "/v1/responses/compact", &compact)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        in_order(&answer.text(), &["Hello", "Hello yourself.", "Hello again"]),
        "{}",
        answer.text()
    );
    let compact = json!({"model": "up-chat/m", "input": "Hello again"});
    let answer = world
        .send("sk-alice", "POST", "/v1/responses/compact", &compact)
        .await;
    assert_eq!(answer.status, 501, "{}", answer.text());
}

#[tokio::test]
async fn a_stream_from_the_background_is_taken_up_again() {
    let world = World::playing("", |received| {
        let response = |status| json!({"id": "resp_bg", "object": "response", "status": status, "background": true, "store": true, "output": []});
        let created = json!({"type": "response.created", "sequence_number": 0, "response": response("queued")});
        let completed = json!({"type": "response.completed", "sequence_number": 1, "response": response("completed")});
        match received.method.as_str() {
            "GET" => events(&[completed]),
            // The connection breaks before the answer is there.
                _ => events(&[
                created,
                json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}}),
                json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
                json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Half an"}),
            ]),
        }
    })
    .await;
    let body =
        json!({"model": "up-responses/m", "input": "Hello", "background": true, "stream": true});
    let begun = world.send("sk-alice", "POST", "/v1/responses", &body).await;
    assert!(
        !begun.text().contains("response.completed"),
        "{}",
        begun.text()
    );
    let path = "/v1/responses/resp_bg?stream=true&starting_after=0";
    let taken_up = world.get(path).await;
    assert_eq!(last_response(&taken_up.text())["status"], "completed");
    let asked = world.upstream.received().pop().unwrap();
    assert_eq!(
        (asked.path.as_str(), asked.query.as_str()),
        ("/v1/responses/resp_bg", "stream=true&starting_after=0")
    );
    assert_eq!(asked.header("authorization"), "Bearer k4");
    let other = world.send("sk-bob", "GET", path, &Value::Null).await;
    assert_eq!(other.status, 404, "{}", other.text());
}

#[tokio::test]
async fn the_oldest_answers_go_when_there_are_too_many() {
    let world = World::new("state: {size: 1MiB, size_per_key: 200KiB}").await;
    let mut ids = Vec::new();
    for number in 0..40 {
        let input = format!("Hello {number} {}", "x".repeat(10_000));
        let answer = world
            .ask(json!({"model": "up-chat/m", "input": input}))
            .await;
        ids.push(answer["id"].as_str().unwrap().to_owned());
        let get = world.get(&format!("/v1/responses/{}", ids[number])).await;
        assert_eq!(get.status, 200, "the newest is there");
    }
    let size = std::process::Command::new("du")
        .arg("-sk")
        .arg(world.gateway.folder().join("data/responses"))
        .output()
        .unwrap();
    let size: u64 = String::from_utf8_lossy(&size.stdout)
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(size < 300, "{size} KiB");
}

#[tokio::test]
async fn state_can_be_off_and_a_folder_out_of_order() {
    let off = World::new("state: {enabled: false}").await;
    let first = off
        .ask(json!({"model": "up-chat/m", "input": "Hello"}))
        .await;
    let id = first["id"].as_str().unwrap();
    assert_eq!(off.get(&format!("/v1/responses/{id}")).await.status, 404);
    assert!(!off.gateway.folder().join("data/responses").exists());
    // Where the vendor keeps it, only whose it is is known here.
    let [_, second] = two_turns(&off, "up-responses/m", false).await;
    let follow =
        json!({"model": "up-responses/m", "input": SAID[4], "previous_response_id": second["id"]});
    off.ask(follow.clone()).await;
    assert_eq!(off.last_body()["previous_response_id"], second["id"]);
    assert_eq!(
        off.send("sk-bob", "POST", "/v1/responses", &follow)
            .await
            .status,
        400
    );

    let world = World::new("").await;
    let folder = world.gateway.folder().join("data/responses");
    std::fs::write(folder, "in the way").unwrap();
    let [_, second] = two_turns(&world, "up-chat/m", true).await;
    let id = second["id"].as_str().unwrap();
    assert_eq!(
        world.get(&format!("/v1/responses/{id}")).await.status,
        200,
        "in memory"
    );
    assert_eq!(world.get("/health").await.json()["storage"], "memory");
    let told = || {
        let log = world.gateway.log();
        let lines = log.lines().filter(|line| line.contains("in memory alone"));
        lines.filter(|line| line.contains("data/responses")).count()
    };
    assert!(eventually(|| told() > 0).await, "{}", world.gateway.log());
    assert_eq!(told(), 1, "once");
}
