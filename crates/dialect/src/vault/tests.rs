//! An answer, the client's next request, and what the upstream gets back of its own: over all pairs, whole and streamed.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::framing::Framing;
use crate::hub::{self, Request};
use crate::quirks::ReasoningReplay;
use crate::stream::{Collector, End, Transcoder, replay};
use crate::{Losses, Mint, Quirks, Reply, Target};

const MASTER: [u8; 32] = [7; 32];

#[derive(Debug, Default)]
struct Memory(Mutex<HashMap<String, Bytes>>);

impl Keep for Memory {
    fn put(&self, name: String, value: Vec<u8>) {
        self.0.lock().unwrap().insert(name, value.into());
    }
}

/// A vault and what it has put away.
struct Safe {
    vault: Arc<Vault>,
    memory: Option<Arc<Memory>>,
}

/// An upstream: its answer, and what must come back to it word for word.
struct Upstream {
    name: &'static str,
    dialect: DialectId,
    answer: Value,
    /// Each found in the next request's body, in this order.
    back: &'static [&'static str],
}

fn upstreams() -> Vec<Upstream> {
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let chat = |message: Value| {
        json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "finish_reason": "tool_calls", "message": message},
        ]})
    };
    let mut google = call("call_1", "f", "{\"a\":1}");
    google["extra_content"] = json!({"google": {"thought_signature": "R09PR0xF"}});
    vec![
        Upstream {
            name: "messages",
            dialect: DialectId::Messages,
            answer: json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
            "usage": {"input_tokens": 1, "output_tokens": 2}, "content": [
                {"type": "redacted_thinking", "data": "UkVEQUNURUQ="},
                {"type": "thinking", "thinking": "Let me \u{e9} think.\n", "signature": "U0lHTkFUVVJF"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
                {"type": "thinking", "thinking": "And again.", "signature": "WldFSQ=="},
                {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
            ]}),
            back: &[
                r#"{"type":"redacted_thinking","data":"UkVEQUNURUQ="}"#,
                r#"{"type":"thinking","thinking":"Let me é think.\n","signature":"U0lHTkFUVVJF"}"#,
                r#""id":"toolu_1""#,
                r#"{"type":"thinking","thinking":"And again.","signature":"WldFSQ=="}"#,
                r#""id":"toolu_2""#,
            ],
        },
        Upstream {
            name: "gemini",
            dialect: DialectId::Gemini,
            answer: json!({"responseId": "r1", "modelVersion": "m", "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
                {"text": "Hm.", "thought": true},
                {"text": "I look."},
                {"functionCall": {"id": "call_1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "R0VNSU5J"},
                {"functionCall": {"id": "call_2", "name": "g", "args": {}}},
            ]}}]}),
            back: &[
                r#""args":{"a":1}},"thoughtSignature":"R0VNSU5J""#,
                r#""name":"g","args":{}}}"#,
            ],
        },
        Upstream {
            name: "responses",
            dialect: DialectId::Responses,
            answer: json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": [
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Two\n"}, {"type": "summary_text", "text": "parts."}], "encrypted_content": "Rkk="},
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
                {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1}", "status": "completed"},
                {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "U0U="},
                {"type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "g", "arguments": "{}", "status": "completed"},
            ]}),
            back: &[
                r#""summary":[{"type":"summary_text","text":"Two\n"},{"type":"summary_text","text":"parts."}],"encrypted_content":"Rkk=""#,
                r#""call_id":"call_1""#,
                r#""encrypted_content":"U0U=""#,
                r#""call_id":"call_2""#,
            ],
        },
        Upstream {
            name: "chat with reasoning_content",
            dialect: DialectId::Chat,
            answer: chat(
                json!({"role": "assistant", "content": null, "reasoning_content": "I must\nlook.", "tool_calls": [
                    call("call_1", "f", "{\"a\":1}"), call("call_2", "g", "{}"),
                ]}),
            ),
            back: &[r#""reasoning_content":"I must\nlook.""#],
        },
        Upstream {
            name: "chat with details",
            dialect: DialectId::Chat,
            answer: chat(
                json!({"role": "assistant", "content": "I look.", "reasoning": "Hm.",
                "reasoning_details": [{"type": "reasoning.encrypted", "data": "T1BFTg==", "id": "rs_1", "index": 0}],
                "tool_calls": [call("call_1", "f", "{\"a\":1}")]}),
            ),
            back: &[r#""data":"T1BFTg==""#],
        },
        Upstream {
            name: "chat with google's signature",
            dialect: DialectId::Chat,
            answer: chat(
                json!({"role": "assistant", "content": null, "tool_calls": [google, call("call_2", "g", "{}")]}),
            ),
            back: &[r#""extra_content":{"google":{"thought_signature":"R09PR0xF"}}"#],
        },
    ]
}

fn named(name: &str) -> Upstream {
    let found = upstreams()
        .into_iter()
        .find(|upstream| upstream.name == name);
    found.unwrap()
}

/// A client: its dialect, and what it does to an answer before it sends it back as history.
struct Client {
    name: &'static str,
    dialect: DialectId,
    first: Value,
    history: fn(&Value) -> Value,
}

fn clients() -> Vec<Client> {
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "Go."}]});
    let messages =
        json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Go."}]});
    let with = |mut body: Value, key: &str, value: Value| {
        body[key] = value;
        body
    };
    let responses = json!({"model": "m", "store": false, "input": [{"type": "message", "role": "user", "content": "Go."}]});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "Go."}]}]});
    vec![
        Client {
            name: "Messages, thinking shown",
            dialect: DialectId::Messages,
            first: with(messages.clone(), "thinking", json!({"type": "adaptive"})),
            history: messages_history,
        },
        Client {
            name: "Messages, thinking omitted",
            dialect: DialectId::Messages,
            first: with(
                messages.clone(),
                "thinking",
                json!({"type": "adaptive", "display": "omitted"}),
            ),
            history: messages_history,
        },
        Client {
            name: "Messages, thinking unasked",
            dialect: DialectId::Messages,
            first: messages,
            history: messages_history,
        },
        Client {
            name: "Chat that keeps all fields",
            dialect: DialectId::Chat,
            first: chat.clone(),
            history: |answer| chat_history(answer, true),
        },
        Client {
            name: "Chat that keeps what it knows",
            dialect: DialectId::Chat,
            first: chat,
            history: |answer| chat_history(answer, false),
        },
        Client {
            name: "Responses, summaries shown",
            dialect: DialectId::Responses,
            first: with(
                responses.clone(),
                "reasoning",
                json!({"effort": "high", "summary": "auto"}),
            ),
            history: responses_history,
        },
        Client {
            name: "Responses",
            dialect: DialectId::Responses,
            first: responses,
            history: responses_history,
        },
        Client {
            name: "Gemini",
            dialect: DialectId::Gemini,
            first: with(
                contents.clone(),
                "generationConfig",
                json!({"thinkingConfig": {"includeThoughts": true}}),
            ),
            history: |answer| gemini_history(answer, ToOwned::to_owned),
        },
        Client {
            name: "Gemini without thoughts, in the other alphabet",
            dialect: DialectId::Gemini,
            first: contents,
            history: |answer| {
                gemini_history(answer, |text| text.replace('+', "-").replace('/', "_"))
            },
        },
    ]
}

fn messages_history(answer: &Value) -> Value {
    let content = answer["content"].as_array().unwrap();
    let results: Vec<Value> = content
        .iter()
        .filter(|block| block["type"] == "tool_use")
        .map(|block| json!({"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}))
        .collect();
    json!([{"role": "assistant", "content": content}, {"role": "user", "content": results}])
}

fn chat_history(answer: &Value, whole: bool) -> Value {
    let mut message = answer["choices"][0]["message"].clone();
    if !whole {
        let message = message.as_object_mut().unwrap();
        message.retain(|key, _| ["role", "content", "tool_calls"].contains(&key.as_str()));
        for call in message["tool_calls"].as_array_mut().unwrap() {
            call.as_object_mut().unwrap().remove("extra_content");
        }
    }
    let calls = message["tool_calls"].as_array().unwrap();
    let results = calls
        .iter()
        .map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"}));
    let results: Vec<Value> = results.collect();
    let mut messages = vec![message.clone()];
    messages.extend(results);
    Value::Array(messages)
}

fn responses_history(answer: &Value) -> Value {
    let mut items = answer["output"].as_array().unwrap().clone();
    let calls: Vec<Value> = items
        .iter()
        .filter(|item| item["type"] == "function_call")
        .cloned()
        .collect();
    items.extend(calls.iter().map(
        |call| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}),
    ));
    Value::Array(items)
}

/// As Gemini CLI does it: thoughts are not kept.
fn gemini_history(answer: &Value, spell: fn(&str) -> String) -> Value {
    let parts = answer["candidates"][0]["content"]["parts"]
        .as_array()
        .unwrap();
    let mut kept: Vec<Value> = parts
        .iter()
        .filter(|part| part["thought"] != true)
        .cloned()
        .collect();
    for part in &mut kept {
        if let Some(signature) = part["thoughtSignature"].as_str() {
            part["thoughtSignature"] = Value::String(spell(signature));
        } else {
            part.as_object_mut().unwrap().remove("thoughtSignature");
        }
    }
    let results: Vec<Value> = kept
        .iter()
        .filter(|part| part.get("functionCall").is_some())
        .map(|part| {
            let call = &part["functionCall"];
            json!({"functionResponse": {"id": call["id"], "name": call["name"], "response": {"output": "ok"}}})
        })
        .collect();
    json!([{"role": "model", "parts": kept}, {"role": "user", "parts": results}])
}

fn origin(dialect: DialectId) -> Origin {
    Origin {
        provider: "acme".to_owned(),
        dialect,
        model: "m-1".to_owned(),
    }
}

fn safe(master: [u8; 32], caller: &str, memory: Option<Arc<Memory>>) -> Safe {
    let keep = memory.clone().map(|memory| memory as Arc<dyn Keep>);
    Safe {
        vault: Arc::new(Vault::new(Arc::new(move || master), caller, keep)),
        memory,
    }
}

fn vault(caller: &str, memory: Option<Arc<Memory>>) -> Safe {
    safe(MASTER, caller, memory)
}

fn request(client: &Client, history: Option<&Value>) -> Request {
    let mut body = client.first.clone();
    let key = match client.dialect {
        DialectId::Gemini => "contents",
        DialectId::Responses => "input",
        DialectId::Chat | DialectId::Messages => "messages",
    };
    for message in history
        .into_iter()
        .flat_map(|list| list.as_array().unwrap())
    {
        body[key].as_array_mut().unwrap().push(message.clone());
    }
    let body = serde_json::to_vec(&body).unwrap();
    client.dialect.dialect().decode_request(&body).unwrap()
}

fn reply(request: &Request) -> Reply {
    Reply::to(request, Mint { now: 0, id: 1 })
}

/// The answer as the client reads it, whole.
fn whole(vault: &Safe, upstream: &Upstream, client: &Client) -> Value {
    let asked = request(client, None);
    let body = serde_json::to_vec(&upstream.answer).unwrap();
    let mut answer = upstream.dialect.dialect().decode_response(&body).unwrap();
    sealer(vault, upstream, client, &asked).response(&mut answer);
    let mut losses = Losses::default();
    let out = client
        .dialect
        .dialect()
        .encode_response(&answer, &reply(&asked), &mut losses);
    serde_json::from_slice(&out).unwrap()
}

/// The answer as the client reads it out of a stream that comes in pieces of `size` bytes.
fn streamed(vault: &Safe, upstream: &Upstream, client: &Client, size: usize) -> Value {
    let asked = request(client, None);
    let from = upstream.dialect.dialect();
    let body = serde_json::to_vec(&upstream.answer).unwrap();
    let answer = from.decode_response(&body).unwrap();
    let shown = Reply {
        show_reasoning: true,
        ..reply(&asked)
    };
    let mut events = Vec::new();
    replay(&answer, &mut events);
    let mut encoder = from.encoder(&shown, Framing::Sse);
    let mut stream = Vec::new();
    for event in &events {
        encoder.event(event, &mut stream);
    }
    encoder.finish(&mut stream);

    let into = client.dialect.dialect();
    let sealer = sealer(vault, upstream, client, &asked);
    let mut transcoder = Transcoder::new(
        from,
        into,
        &reply(&asked),
        Framing::Sse,
        Framing::Sse,
        crate::restore::ToolChanges::default(),
    )
    .with_sealer(sealer);
    let mut out = Vec::new();
    for chunk in stream.chunks(size) {
        transcoder.push(chunk, &mut out).unwrap();
    }
    let summary = transcoder.end(End::Eof, &mut out);
    assert_eq!(summary.error, None);
    let mut collector = Collector::new(into, Framing::Sse);
    collector.push(&out).unwrap();
    let (answer, _) = collector.end(End::Eof);
    let out = into.encode_response(&answer.unwrap(), &shown, &mut Losses::default());
    serde_json::from_slice(&out).unwrap()
}

fn sealer(vault: &Safe, upstream: &Upstream, client: &Client, asked: &Request) -> Sealer {
    Sealer::new(
        Arc::clone(&vault.vault),
        origin(upstream.dialect),
        client.dialect,
        Slot::of(asked, client.dialect),
    )
}

/// The next request, as `to` gets it.
fn next(
    vault: &Safe,
    client: &Client,
    answer: &Value,
    to: &Origin,
    state: State,
) -> (String, Losses) {
    let history = (client.history)(answer);
    let mut request = request(client, Some(&history));
    let mut losses = Losses::default();
    if Vault::concerns(&request) {
        let mut found = Found::default();
        for name in vault.vault.wants(&request, client.dialect, to) {
            let memory = vault.memory.as_ref().unwrap().0.lock().unwrap();
            if let Some(value) = memory.get(&name) {
                found.insert(name, value.clone());
            }
        }
        vault
            .vault
            .open(&mut request, client.dialect, to, state, &found, &mut losses);
    }
    let quirks = Quirks {
        thought_signatures: true,
        reasoning_replay: ReasoningReplay::Demanded,
        ..Quirks::default()
    };
    let target = Target {
        model: &to.model,
        quirks: &quirks,
        max_output: None,
        default_max_tokens: 100,
    };
    let encoded = to
        .dialect
        .dialect()
        .encode_request(&request, &target, &mut Losses::default());
    let body = String::from_utf8(encoded.unwrap().body).unwrap();
    (body, losses)
}

fn in_order(body: &str, wanted: &[&str]) -> Result<(), String> {
    let mut rest = body;
    for one in wanted {
        let Some(at) = rest.find(one) else {
            return Err((*one).to_owned());
        };
        rest = &rest[at + one.len()..];
    }
    Ok(())
}

/// Every client that speaks another dialect than the upstream.
fn pairs(check: impl Fn(&Upstream, &Client)) {
    for upstream in upstreams() {
        for client in clients() {
            if client.dialect != upstream.dialect {
                check(&upstream, &client);
            }
        }
    }
}

fn memory() -> Arc<Memory> {
    Arc::default()
}

#[test]
fn what_a_vendor_signed_returns_to_it_word_for_word() {
    pairs(|upstream, client| {
        let vault = vault("a", Some(memory()));
        let mut bodies = Vec::new();
        for answer in [
            whole(&vault, upstream, client),
            streamed(&vault, upstream, client, usize::MAX),
            streamed(&vault, upstream, client, 7),
        ] {
            let case = format!("{} → {}: {answer:#}", upstream.name, client.name);
            let (body, losses) = next(
                &vault,
                client,
                &answer,
                &origin(upstream.dialect),
                State::Carried,
            );
            assert_eq!(in_order(&body, upstream.back), Ok(()), "{case}\n{body}");
            assert!(losses.is_empty(), "{case}\n{losses:?}");
            bodies.push(body);
        }
        // The stream was written for the test, and its first item has another id.
        if upstream.dialect != DialectId::Responses {
            assert_eq!(bodies[0], bodies[1], "{} → {}", upstream.name, client.name);
        }
        assert_eq!(bodies[1], bodies[2], "{} → {}", upstream.name, client.name);
    });
}

#[test]
fn another_route_gets_nothing_of_it() {
    pairs(|upstream, client| {
        let keep = memory();
        let ours = vault("a", Some(Arc::clone(&keep)));
        let answer = whole(&ours, upstream, client);
        let own = origin(upstream.dialect);
        let elsewhere = Origin {
            provider: "other".to_owned(),
            ..own.clone()
        };
        let mut cases = vec![("another provider", &ours, elsewhere, State::Carried)];
        let stranger = vault("b", None);
        let restarted_with_another_key = safe([8; 32], "a", Some(keep));
        cases.push(("another caller", &stranger, own.clone(), State::Carried));
        cases.push((
            "another key",
            &restarted_with_another_key,
            own.clone(),
            State::Carried,
        ));
        if upstream.name != "chat with reasoning_content" {
            cases.push(("refused", &ours, own.clone(), State::Dropped));
        }
        for dialect in DialectId::ALL {
            if dialect != upstream.dialect {
                cases.push(("another dialect", &ours, origin(dialect), State::Carried));
            }
        }
        for (why, vault, to, state) in cases {
            let case = format!(
                "{} → {}, {why}, to {}",
                upstream.name, client.name, to.dialect
            );
            let (body, losses) = next(vault, client, &answer, &to, state);
            for proof in [
                "U0lHTkFUVVJF",
                "UkVEQUNURUQ",
                "WldFSQ",
                "R0VNSU5J",
                "T1BFTg",
                "R09PR0xF",
                "Rkk=",
                "U0U=",
                "lg1.",
                "bGd2MS54",
                "I must",
            ] {
                assert!(!body.contains(proof), "{case}: {proof}\n{body}");
            }
            let sent = (client.history)(&answer).to_string();
            let told = sent.contains("lg1.") || sent.contains("bGd2MS54");
            assert_eq!(!losses.is_empty(), told, "{case}\n{losses:?}\n{sent}");
        }
    });
}

#[test]
fn a_token_says_the_same_each_time() {
    pairs(|upstream, client| {
        let once = whole(&vault("a", Some(memory())), upstream, client);
        let again = whole(&vault("a", Some(memory())), upstream, client);
        assert_eq!(once, again, "{} → {}", upstream.name, client.name);
    });
}

#[test]
fn a_text_that_was_changed_beside_its_proof_is_not_sent() {
    let upstream = &upstreams()[0];
    let client = Client {
        name: "Messages",
        ..clients().swap_remove(0)
    };
    // Anthropic's own thoughts towards its own clients are never sealed; Chat's words are.
    let chat = &named("chat with reasoning_content");
    assert_eq!(upstream.dialect, client.dialect);
    let vault = vault("a", None);
    let mut answer = whole(&vault, chat, &client);
    answer["content"][0]["thinking"] = json!("I need not look.");
    let to = origin(DialectId::Chat);
    let (body, losses) = next(&vault, &client, &answer, &to, State::Carried);
    assert!(!body.contains("look."), "{body}");
    assert!(body.contains(r#""reasoning_content":" ""#), "{body}");
    assert_eq!(losses.iter().count(), 1);
}

#[test]
fn what_is_large_waits_in_the_store() {
    let mut upstream = upstreams().swap_remove(0);
    let long = "x".repeat(100_000);
    upstream.answer["content"][1]["signature"] = Value::String(long.clone());
    let client = &clients()
        .into_iter()
        .find(|client| client.name == "Gemini")
        .unwrap();
    let check = |keep: Option<Arc<Memory>>, travels: bool| {
        let vault = vault("a", keep);
        let answer = whole(&vault, &upstream, client);
        let sent = answer.to_string();
        assert_eq!(sent.len() > 100_000, travels);
        let (body, losses) = next(
            &vault,
            client,
            &answer,
            &origin(DialectId::Messages),
            State::Carried,
        );
        assert!(body.contains(&long));
        assert!(losses.is_empty());
        answer
    };
    check(None, true);
    let answer = check(Some(memory()), false);
    let (body, losses) = next(
        &vault("a", Some(memory())),
        client,
        &answer,
        &origin(DialectId::Messages),
        State::Carried,
    );
    assert!(!body.contains(&long));
    assert!(!losses.is_empty());
}

#[test]
fn words_of_others_are_not_put_into_the_models_mouth() {
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "Yes.", "reasoning_content": "I thought so."},
        {"role": "user", "content": "On."},
    ]});
    let body = serde_json::to_vec(&body).unwrap();
    let check = |to: DialectId, expect: bool| {
        let chat = DialectId::Chat.dialect();
        let mut request: hub::Request = chat.decode_request(&body).unwrap();
        let mut losses = Losses::default();
        vault("a", None).vault.open(
            &mut request,
            DialectId::Chat,
            &origin(to),
            State::Carried,
            &Found::default(),
            &mut losses,
        );
        let has = request.turns[1]
            .parts
            .iter()
            .any(|part| matches!(part.body, hub::PartBody::Reasoning(_)));
        assert_eq!(has, expect, "{to}");
        assert!(losses.is_empty());
    };
    check(DialectId::Chat, true);
    check(DialectId::Messages, false);
    check(DialectId::Gemini, false);
}
