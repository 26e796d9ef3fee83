//! Proofs of reasoning over several turns: vendors that demand their own back and refuse any other, and clients of each dialect.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use lingate_dialect::framing::Framing;
use lingate_dialect::stream::{Collector, End, replay};
use lingate_dialect::{DialectId, Losses, Mint, Reply};
use lingate_testkit::client::{Answer, fetch};
use lingate_testkit::{Gateway, Received, Script, Upstream};
use serde_json::{Value, json};

use crate::world::program;

const SENTINEL: &str = "skip_thought_signature_validator";

/// A vendor, by the provider's name, and the dialect that it speaks.
const VENDORS: [(&str, DialectId); 6] = [
    ("claude", DialectId::Messages),
    ("other", DialectId::Messages),
    ("gemini3", DialectId::Gemini),
    ("oai", DialectId::Responses),
    ("deepseek", DialectId::Chat),
    ("router", DialectId::Chat),
];

const CLIENTS: [DialectId; 4] = DialectId::ALL;

fn dialect_of(vendor: &str) -> DialectId {
    VENDORS.iter().find(|(name, _)| *name == vendor).unwrap().1
}

/// What a vendor signs its `turn`-th thought with: valid base64, long enough to be one.
fn proof(vendor: &str, turn: usize) -> String {
    format!("UFJPT0Yg{}{}{turn}A", vendor, "Z".repeat(40 - vendor.len()))
}

fn thought(vendor: &str, turn: usize) -> String {
    format!("{vendor} thinks, time {turn}.")
}

/// What the vendor answers in its `turn`-th turn: it thinks, and calls a tool.
fn answer(vendor: &str, turn: usize) -> Value {
    let id = format!("call_{vendor}_{turn}");
    let (proof, thought) = (proof(vendor, turn), thought(vendor, turn));
    let chat = |message: Value| {
        json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
    };
    let call =
        json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    match vendor {
        "claude" | "other" => {
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use", "stop_sequence": null,
                "usage": {"input_tokens": 3, "output_tokens": 4}, "content": [
                    {"type": "thinking", "thinking": thought, "signature": proof},
                    {"type": "tool_use", "id": id, "name": "f", "input": {"a": 1}}]})
        }
        "gemini3" => {
            json!({"responseId": "r", "modelVersion": "m", "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
                {"text": thought, "thought": true},
                {"functionCall": {"id": id, "name": "f", "args": {"a": 1}}, "thoughtSignature": proof}]}}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}})
        }
        "oai" => {
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [
                {"type": "reasoning", "id": format!("rs_{turn}"), "summary": [{"type": "summary_text", "text": thought}], "encrypted_content": proof},
                {"type": "function_call", "id": format!("fc_{turn}"), "call_id": id, "name": "f", "arguments": "{\"a\":1}", "status": "completed"}],
                "usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 4,
                    "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 7}})
        }
        "deepseek" => chat(
            json!({"role": "assistant", "content": null, "reasoning_content": thought, "tool_calls": [call]}),
        ),
        _ => chat(
            json!({"role": "assistant", "content": null, "reasoning": thought, "tool_calls": [call],
            "reasoning_details": [{"type": "reasoning.encrypted", "data": proof, "id": "rs", "index": 0}]}),
        ),
    }
}

/// Everything in a request that proves a thought.
fn proofs(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value.as_str()) {
                    (
                        "signature" | "data" | "encrypted_content" | "thoughtSignature"
                        | "thought_signature",
                        Some(text),
                    ) => found.push(text.to_owned()),
                    _ => proofs(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| proofs(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is wrong with a request in this vendor's eyes, in its words.
fn fault(vendor: &str, body: &Value) -> Option<&'static str> {
    let text = body.to_string();
    let mut sent = Vec::new();
    proofs(body, &mut sent);
    let foreign = |proof: &String| {
        let own = (1..9).any(|turn| *proof == self::proof(vendor, turn));
        !own && (vendor != "gemini3" || proof != SENTINEL)
    };
    let wrong = sent.iter().any(foreign) || text.contains("lg1.") || text.contains("bGd2MS54");
    let lacks = |turn: usize| {
        let called = text.contains(&format!("call_{vendor}_{turn}"));
        let there = if vendor == "deepseek" {
            text.contains(&thought(vendor, turn))
        } else {
            sent.contains(&proof(vendor, turn))
        };
        called && !there
    };
    if wrong {
        Some(match vendor {
            "claude" | "other" => "messages.1.content.0: Invalid `signature` in `thinking` block",
            "gemini3" => "Corrupted thought signature.",
            "oai" => "The encrypted content could not be verified.",
            _ => "reasoning_details: invalid",
        })
    } else if (1..9).any(lacks) {
        Some("what was signed is missing")
    } else {
        None
    }
}

#[derive(Debug, Default)]
struct Trials {
    faults: Vec<String>,
    /// Vendors whose accounts have moved: they take nothing that they signed before.
    moved: BTreeSet<String>,
}

struct World {
    gateway: Gateway,
    upstream: Upstream,
    configuration: String,
    trials: Arc<Mutex<Trials>>,
}

impl World {
    async fn new(settings: &str) -> Self {
        let trials: Arc<Mutex<Trials>> = Arc::default();
        let judge = Arc::clone(&trials);
        let play = move |received: &Received| play(received, &judge);
        let upstream = Upstream::answering(([127, 0, 0, 1], 0).into(), Arc::new(play))
            .await
            .unwrap();
        let url = upstream.url();
        let configuration = format!(
            "{settings}
api_keys: [{{name: alice, key: sk-alice}}, {{name: bob, key: sk-bob}}]
providers:
  claude: {{base_url: \"{url}/claude\", dialects: [messages], keys: [k1]}}
  other: {{base_url: \"{url}/other\", dialects: [messages], keys: [k2]}}
  gemini3: {{base_url: \"{url}/gemini3\", dialects: [gemini], keys: [k3]}}
  oai: {{base_url: \"{url}/oai/v1\", dialects: [responses], keys: [k4]}}
  deepseek: {{base_url: \"{url}/deepseek/v1\", dialects: [chat], keys: [k5]}}
  router: {{base_url: \"{url}/router/v1\", dialects: [chat], keys: [k6]}}
"
        );
        let gateway = Gateway::start(program(), &configuration, &[])
            .await
            .unwrap();
        Self {
            gateway,
            upstream,
            configuration,
            trials,
        }
    }

    /// Kills the gateway and starts another one on what it has stored.
    async fn restart(&mut self) {
        let old = self.gateway.folder().join("data");
        let kept = std::env::temp_dir().join(format!("lingate-reasoning-{}", self.gateway.pid()));
        let killed = std::process::Command::new("kill")
            .args(["-9", &self.gateway.pid().to_string()])
            .status();
        assert!(killed.unwrap().success());
        std::fs::rename(&old, &kept).unwrap();
        // Read when the gateway starts, before its folder can be filled.
        let key = std::fs::read_to_string(kept.join("master.key")).unwrap();
        let key = [("LINGATE_MASTER_KEY", key.trim())];
        self.gateway = Gateway::start(program(), &self.configuration, &key)
            .await
            .unwrap();
        let data = self.gateway.folder().join("data");
        for stored in ["master.key", "proofs", "responses"] {
            let old = kept.join(stored);
            if old.exists() {
                std::fs::rename(old, data.join(stored)).unwrap();
            }
        }
        std::fs::remove_dir_all(kept).unwrap();
    }

    fn faults(&self) -> Vec<String> {
        std::mem::take(&mut self.trials.lock().unwrap().faults)
    }

    async fn send(&self, key: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
        ];
        let body = body.to_string();
        fetch(
            self.gateway.address(),
            "POST",
            path,
            &headers,
            body.as_bytes(),
        )
        .await
        .unwrap()
    }
}

/// The vendor in the first segment of the path answers in its dialect, whole or streamed as it was asked.
fn play(received: &Received, trials: &Mutex<Trials>) -> Script {
    let vendor = received.path.split('/').nth(1).unwrap_or_default();
    let body = received.json();
    let dialect = dialect_of(vendor);
    let mut trials = trials.lock().unwrap();
    let mut sent = Vec::new();
    proofs(&body, &mut sent);
    sent.retain(|proof| proof != SENTINEL);
    let refused = if trials.moved.contains(vendor) {
        (!sent.is_empty()).then_some(match dialect {
            DialectId::Messages => "messages.1.content.0: Invalid `signature` in `thinking` block",
            DialectId::Gemini => "Corrupted thought signature.",
            DialectId::Responses | DialectId::Chat => {
                "The encrypted content for item rs_1 could not be verified."
            }
        })
    } else {
        let fault = fault(vendor, &body);
        trials
            .faults
            .extend(fault.map(|fault| format!("{vendor}: {fault}: {body}")));
        fault
    };
    if let Some(message) = refused {
        let error = json!({"type": "error", "error": {"type": "invalid_request_error", "code": 400, "message": message, "status": "INVALID_ARGUMENT"}});
        return Script::json(400, error.to_string());
    }
    let text = body.to_string();
    let turn = (1..9)
        .find(|turn| !text.contains(&format!("call_{vendor}_{turn}")))
        .unwrap();
    let whole = answer(vendor, turn);
    let streams = body["stream"] == true || received.path.contains(":streamGenerateContent");
    if !streams {
        return Script::json(200, whole.to_string());
    }
    Script::whole(200, "text/event-stream", stream_of(dialect, &whole))
}

fn reply() -> Reply {
    Reply {
        model: "m".to_owned(),
        mint: Mint { now: 0, id: 1 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    }
}

/// An answer, streamed.
fn stream_of(dialect: DialectId, whole: &Value) -> Vec<u8> {
    let answer = dialect
        .dialect()
        .decode_response(whole.to_string().as_bytes())
        .unwrap();
    let mut events = Vec::new();
    replay(&answer, &mut events);
    let mut encoder = dialect.dialect().encoder(&reply(), Framing::Sse);
    let mut out = Vec::new();
    for event in &events {
        encoder.event(event, &mut out);
    }
    encoder.finish(&mut out);
    out
}

/// A stream, as one answer.
fn whole_of(dialect: DialectId, stream: &[u8]) -> Value {
    let mut collector = Collector::new(dialect.dialect(), Framing::Sse);
    collector.push(stream).unwrap();
    let (answer, _) = collector.end(End::Eof);
    let mut losses = Losses::default();
    let out = dialect
        .dialect()
        .encode_response(&answer.unwrap(), &reply(), &mut losses);
    serde_json::from_slice(&out).unwrap()
}

/// A conversation of one client, as its library keeps it.
struct Chat<'w> {
    world: &'w World,
    dialect: DialectId,
    key: &'static str,
    stream: bool,
    history: Vec<Value>,
}

impl<'w> Chat<'w> {
    fn new(world: &'w World, dialect: DialectId, stream: bool) -> Self {
        let first = match dialect {
            DialectId::Chat | DialectId::Messages => json!({"role": "user", "content": "Go."}),
            DialectId::Responses => json!({"type": "message", "role": "user", "content": "Go."}),
            DialectId::Gemini => json!({"role": "user", "parts": [{"text": "Go."}]}),
        };
        Self {
            world,
            dialect,
            key: "sk-alice",
            stream,
            history: vec![first],
        }
    }

    /// One turn with this vendor: the answer's call is answered and waits for the next turn. Gives the losses that were told.
    async fn turn(&mut self, vendor: &str) -> String {
        let answer = self.ask(vendor).await;
        assert_eq!(
            answer.status,
            200,
            "{vendor}, {}: {}; {:?}",
            self.dialect,
            answer.text(),
            self.world.faults()
        );
        let whole = if self.stream {
            whole_of(self.dialect, answer.text().as_bytes())
        } else {
            answer.json()
        };
        self.keep(&whole);
        answer.header("x-lingate-losses").to_owned()
    }

    async fn ask(&self, vendor: &str) -> Answer {
        let model = format!("{vendor}/m");
        let tool = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        let history = &self.history;
        let (path, body) = match self.dialect {
            DialectId::Chat => (
                "/v1/chat/completions".to_owned(),
                json!({"model": model, "stream": self.stream, "messages": history,
                    "tools": [{"type": "function", "function": {"name": "f", "parameters": tool}}]}),
            ),
            DialectId::Messages => (
                "/v1/messages".to_owned(),
                json!({"model": model, "stream": self.stream, "max_tokens": 4000, "messages": history, "thinking": {"type": "adaptive"},
                    "tools": [{"name": "f", "input_schema": tool}]}),
            ),
            DialectId::Responses => (
                "/v1/responses".to_owned(),
                json!({"model": model, "stream": self.stream, "store": false, "input": history, "include": ["reasoning.encrypted_content"],
                    "reasoning": {"summary": "auto"}, "tools": [{"type": "function", "name": "f", "parameters": tool}]}),
            ),
            DialectId::Gemini => {
                let verb = if self.stream {
                    "streamGenerateContent?alt=sse"
                } else {
                    "generateContent"
                };
                (
                    format!("/v1beta/models/{model}:{verb}"),
                    json!({"contents": history, "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": tool}]}],
                        "generationConfig": {"thinkingConfig": {"includeThoughts": true}}}),
                )
            }
        };
        self.world.send(self.key, &path, &body).await
    }

    /// Puts an answer and the result of its call into the history. Clients of Chat keep what they know, and Gemini CLI no thoughts.
    fn keep(&mut self, whole: &Value) {
        match self.dialect {
            DialectId::Chat => {
                let mut message = whole["choices"][0]["message"].clone();
                let fields = message.as_object_mut().unwrap();
                fields.retain(|key, _| ["role", "content", "tool_calls"].contains(&key.as_str()));
                let call = &mut message["tool_calls"][0];
                call.as_object_mut().unwrap().remove("extra_content");
                let id = call["id"].clone();
                self.history.push(message);
                self.history
                    .push(json!({"role": "tool", "tool_call_id": id, "content": "ok"}));
            }
            DialectId::Messages => {
                let content = whole["content"].clone();
                let calls = content.as_array().unwrap().iter();
                let results: Vec<Value> = calls
                    .filter(|block| block["type"] == "tool_use")
                    .map(|block| json!({"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}))
                    .collect();
                self.history
                    .push(json!({"role": "assistant", "content": content}));
                self.history
                    .push(json!({"role": "user", "content": results}));
            }
            DialectId::Responses => {
                for item in whole["output"].as_array().unwrap() {
                    self.history.push(item.clone());
                    if item["type"] == "function_call" {
                        self.history.push(json!({"type": "function_call_output", "call_id": item["call_id"], "output": "ok"}));
                    }
                }
            }
            DialectId::Gemini => {
                let parts = whole["candidates"][0]["content"]["parts"].as_array();
                let parts: Vec<Value> = parts
                    .unwrap()
                    .iter()
                    .filter(|part| part["thought"] != true)
                    .cloned()
                    .collect();
                let results: Vec<Value> = parts
                    .iter()
                    .filter(|part| part.get("functionCall").is_some())
                    .map(|part| json!({"functionResponse": {"id": part["functionCall"]["id"], "name": "f", "response": {"output": "ok"}}}))
                    .collect();
                self.history.push(json!({"role": "model", "parts": parts}));
                self.history.push(json!({"role": "user", "parts": results}));
            }
        }
    }
}

#[tokio::test]
async fn in_a_tool_loop_each_vendor_gets_its_own_proofs_back() {
    let world = World::new("").await;
    for (vendor, dialect) in VENDORS {
        for client in CLIENTS {
            for stream in [false, true] {
                // A Chat client that drops what Chat's own vendor signed has dropped it.
                if client == DialectId::Chat && dialect == DialectId::Chat {
                    continue;
                }
                let mut chat = Chat::new(&world, client, stream);
                for turn in 1..=4 {
                    let losses = chat.turn(vendor).await;
                    let case = format!("{vendor}, {client}, stream {stream}, turn {turn}");
                    assert!(!losses.contains("reasoning_state"), "{case}: {losses}");
                    assert_eq!(world.faults(), Vec::<String>::new(), "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn between_vendors_no_proof_goes_astray() {
    let world = World::new("").await;
    let names: Vec<&str> = VENDORS.iter().map(|(name, _)| *name).collect();
    for client in CLIENTS {
        for stream in [false, true] {
            for first in &names {
                for second in names.iter().filter(|second| *second != first) {
                    let dialects = [*first, *second].map(dialect_of);
                    if client == DialectId::Chat && dialects.contains(&DialectId::Chat) {
                        continue;
                    }
                    let mut chat = Chat::new(&world, client, stream);
                    // There and back: what the first signed is its own again.
                    for vendor in [first, second, first, second] {
                        chat.turn(vendor).await;
                        let case = format!("{first}, {second}, {client}, stream {stream}");
                        assert_eq!(world.faults(), Vec::<String>::new(), "{case}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn an_account_that_moved_is_asked_once_more_without_its_state() {
    let world = World::new("").await;
    for (vendor, dialect) in VENDORS {
        // Nobody can sign mere words.
        if vendor == "deepseek" {
            continue;
        }
        for client in CLIENTS {
            if client == DialectId::Chat && dialect == DialectId::Chat {
                continue;
            }
            world.trials.lock().unwrap().moved.clear();
            let mut chat = Chat::new(&world, client, false);
            chat.turn(vendor).await;
            world.trials.lock().unwrap().moved.insert(vendor.to_owned());
            let before = world.upstream.received().len();
            let losses = chat.turn(vendor).await;
            let asked = world.upstream.received().len() - before;
            let case = format!("{vendor}, {client}");
            assert_eq!(asked, 2, "{case}");
            assert!(
                losses.contains("reasoning_state_dropped"),
                "{case}: {losses:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_conversation_outlives_the_gateway() {
    let mut world = World::new("").await;
    let mut kept = Vec::new();
    for (vendor, dialect) in VENDORS {
        for client in CLIENTS {
            if client == DialectId::Chat && dialect == DialectId::Chat {
                continue;
            }
            let mut chat = Chat::new(&world, client, true);
            chat.turn(vendor).await;
            kept.push((vendor, client, chat.history));
        }
    }
    world.restart().await;
    for (vendor, client, history) in kept {
        let mut chat = Chat::new(&world, client, true);
        chat.history = history;
        chat.turn(vendor).await;
        assert_eq!(world.faults(), Vec::<String>::new(), "{vendor}, {client}");
    }
    let file = world.gateway.folder().join("data/master.key");
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(text.trim().len(), 64, "{text}");
}

#[tokio::test]
async fn what_is_sealed_for_one_caller_is_worth_nothing_to_another() {
    let world = World::new("").await;
    for (vendor, dialect) in VENDORS {
        for client in CLIENTS.into_iter().filter(|client| *client != dialect) {
            let mut chat = Chat::new(&world, client, false);
            chat.turn(vendor).await;
            chat.key = "sk-bob";
            let before = world.upstream.received().len();
            chat.ask(vendor).await;
            let received = world.upstream.received();
            for received in received.iter().skip(before) {
                let text = String::from_utf8_lossy(&received.body).into_owned();
                let case = format!("{vendor}, {client}: {text}");
                assert!(!text.contains(&proof(vendor, 1)), "{case}");
                assert!(!text.contains(&thought(vendor, 1)), "{case}");
                assert!(
                    !text.contains("lg1.") && !text.contains("bGd2MS54"),
                    "{case}"
                );
            }
        }
    }
}

#[tokio::test]
async fn whoever_counts_is_told_no_foreign_proof_either() {
    let world = World::new("").await;
    for (client, count) in [
        (DialectId::Messages, "/v1/messages/count_tokens"),
        (DialectId::Gemini, "/v1beta/models/MODEL:countTokens"),
    ] {
        for signer in ["claude", "gemini3"] {
            let mut chat = Chat::new(&world, client, false);
            chat.turn(signer).await;
            for vendor in ["claude", "other", "gemini3"] {
                let model = format!("{vendor}/m");
                let body = match client {
                    DialectId::Messages => json!({"model": model, "messages": chat.history}),
                    _ => json!({"contents": chat.history}),
                };
                let before = world.upstream.received().len();
                let path = count.replace("MODEL", &model);
                let answer = world.send("sk-alice", &path, &body).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                for received in world.upstream.received().iter().skip(before) {
                    let mut sent = Vec::new();
                    proofs(&received.json(), &mut sent);
                    sent.retain(|sent| sent != SENTINEL && *sent != proof(vendor, 1));
                    assert_eq!(sent, Vec::<String>::new(), "{signer}, {client}, {vendor}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_none_is_told_at_the_start() {
    let started = Gateway::start(
        program(),
        "providers: {}",
        &[("LINGATE_MASTER_KEY", "too-short")],
    )
    .await;
    let error = started.unwrap_err().to_string();
    assert!(
        error.contains("LINGATE_MASTER_KEY: expected 32 bytes"),
        "{error}"
    );
    assert!(!error.contains("too-short"), "{error}");
}
