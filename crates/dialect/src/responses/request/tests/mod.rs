//! Tables for requests: what is refused, what is read, and what becomes of it for an upstream.

mod elsewhere;
mod here;
mod quirks;
mod spaces;

use serde_json::{Value, json};

use crate::responses::Responses;
use crate::{Dialect, DialectId, Encoded, Losses, Quirks, Refusal, Target};

fn encode(
    from: DialectId,
    body: &str,
    to: DialectId,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    let request = from.dialect().decode_request(body.as_bytes());
    let request = request.unwrap_or_else(|fault| panic!("{fault}: {body}"));
    let target = Target {
        model: "up",
        quirks,
        max_output: None,
        default_max_tokens: 4096,
    };
    to.dialect().encode_request(&request, &target, losses)
}

/// `expect`: JSON pointers into the result with their values, `null` for nothing there. `lost`: where losses lie.
fn check(from: DialectId, body: &Value, to: DialectId, expect: &[(&str, Value)], lost: &[&str]) {
    check_with(from, body, to, &Quirks::default(), expect, lost);
}

fn check_with(
    from: DialectId,
    body: &Value,
    to: DialectId,
    quirks: &Quirks,
    expect: &[(&str, Value)],
    lost: &[&str],
) {
    let mut losses = Losses::default();
    let encoded = encode(from, &body.to_string(), to, quirks, &mut losses).unwrap();
    let value: Value = serde_json::from_slice(&encoded.body).unwrap();
    for (pointer, json) in expect {
        let found = value.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(found, json, "{pointer} of {value:#}");
    }
    assert_eq!(
        losses.paths(from.dialect()),
        lost,
        "{:?}",
        losses.iter().map(|loss| &loss.note).collect::<Vec<_>>()
    );
}

fn refused(from: DialectId, body: &Value, to: DialectId, place: &str) {
    let mut losses = Losses::default();
    let refusal = encode(from, &body.to_string(), to, &Quirks::default(), &mut losses);
    let refusal = refusal.unwrap_err();
    assert_eq!(from.dialect().locate(&refusal.at), place, "{refusal:?}");
}

const R: DialectId = DialectId::Responses;
const C: DialectId = DialectId::Chat;
const A: DialectId = DialectId::Messages;
const G: DialectId = DialectId::Gemini;

fn fixtures() -> Vec<(String, Value)> {
    let folder = format!("{}/fixtures/responses/requests", env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(path).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(all.len() > 30);
    all
}

fn fixture(name: &str) -> Value {
    let all = fixtures();
    all.into_iter().find(|(other, _)| other == name).unwrap().1
}

/// The forms of one thing made one.
fn normal(mut body: Value) -> Value {
    let text = |role: &str, text: &Value| {
        let kind = if role == "assistant" {
            "output_text"
        } else {
            "input_text"
        };
        json!([{"type": kind, "text": text}])
    };
    let fields = body.as_object_mut().unwrap();
    fields.remove("model");
    let empty = |value: &Value| {
        value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || *value == json!({"format": {"type": "text"}})
    };
    fields.retain(|key, value| key == "input" || !empty(value) && *value != json!(false));
    if let Some(input) = fields.get("input").filter(|input| input.is_string()) {
        let content = text("user", input);
        fields["input"] = json!([{"role": "user", "content": content}]);
    }
    for item in fields
        .get_mut("input")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let item = item.as_object_mut().unwrap();
        if let Some(role) = item.get("role").and_then(Value::as_str)
            && item.get("content").is_some()
        {
            let role = role.to_owned();
            item.insert("type".to_owned(), json!("message"));
            if item["content"].is_string() {
                item["content"] = text(&role, &item["content"].clone());
            }
        }
        if let Some([part]) = item
            .get("output")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            && part["type"] == "input_text"
        {
            item["output"] = part["text"].clone();
        }
        if item.get("output") == Some(&json!([])) {
            item["output"] = json!("");
        }
        if item.get("arguments") == Some(&json!("")) {
            item["arguments"] = json!("{}");
        }
        for key in ["content", "output"] {
            for part in item
                .get_mut(key)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                let part = part.as_object_mut().unwrap();
                if part.get("type") == Some(&json!("input_image")) {
                    part.entry("detail").or_insert(json!("auto"));
                    // The bytes tell what they are.
                    if let Some(url) = part.get("image_url").and_then(Value::as_str) {
                        let url = url.replace("image/jpeg;base64,iVBOR", "image/png;base64,iVBOR");
                        part.insert("image_url".to_owned(), json!(url));
                    }
                }
            }
        }
    }
    body
}

/// Whatever a fixture says is said again to an upstream of its own dialect, and no loss is told.
#[test]
fn within_the_dialect_everything_is_kept() {
    for (name, body) in fixtures() {
        if name == "forms_of_chat" {
            continue;
        }
        let mut losses = Losses::default();
        let encoded = encode(R, &body.to_string(), R, &Quirks::default(), &mut losses).unwrap();
        let again: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!(normal(again), normal(body), "{name}");
        assert!(losses.is_empty(), "{name}: {losses:?}");
    }
}

/// What OpenAI made is sent back byte for byte.
#[test]
fn reasoning_returns_as_it_came() {
    let item = r#"{"type":"reasoning","summary":[ ],"id":"rs_1","encrypted_content":"g\u0041A=","later": 1.50}"#;
    let body = format!(
        r#"{{"model":"m","input":[{{"role":"user","content":"Hi"}},{item},{{"role":"assistant","content":"Hello."}},{{"role":"user","content":"?"}}]}}"#
    );
    let encoded = encode(R, &body, R, &Quirks::default(), &mut Losses::default()).unwrap();
    let text = String::from_utf8(encoded.body).unwrap();
    assert!(text.contains(item), "{text}");
    for other in [C, A, G] {
        let mut losses = Losses::default();
        let encoded = encode(R, &body, other, &Quirks::default(), &mut losses).unwrap();
        assert!(!String::from_utf8(encoded.body).unwrap().contains("rs_1"));
        assert!(losses.is_empty(), "{losses:?}");
    }
}

#[test]
fn faults_name_their_place() {
    let check = |body: &str, expect: &str| {
        let fault = Responses.decode_request(body.as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), expect, "{body}");
    };
    check("[]", "expected an object, got an array");
    check(r#"{"model":"m"}"#, "input: is required");
    check(
        r#"{"model":"m","input":[]}"#,
        "input: is empty; at least one item is expected",
    );
    check(
        r#"{"model":"m","input":7}"#,
        "input: expected a string or an array of items, got a number",
    );
    let item = |item: &str, expect: &str| {
        check(
            &format!(r#"{{"input":[{{"role":"user","content":"Hi"}},{item}]}}"#),
            expect,
        );
    };
    item("7", "input.1: expected an object, got a number");
    item("{}", "input.1.type: is required");
    item(
        r#"{"role":"tool","content":""}"#,
        "input.1.role: expected user, assistant, system or developer, got 'tool'",
    );
    item(
        r#"{"role":"user","content":[{"type":"input_text"}]}"#,
        "input.1.content.0.text: is required",
    );
    item(
        r#"{"role":"developer","content":[{"type":"input_image","image_url":"https://e.x/a"}]}"#,
        "input.1.content.0: instructions hold text only",
    );
    item(
        r#"{"type":"function_call","name":"f"}"#,
        "input.1.call_id: is required",
    );
    item(
        r#"{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":7}]}"#,
        "input.1.output.0.image_url: expected an object, got a number",
    );
    item(
        r#"{"type":"local_shell_call","call_id":"c"}"#,
        "input.1.action: is required",
    );
    let with = |rest: &str, expect: &str| {
        check(&format!(r#"{{"input":"Hi",{rest}}}"#), expect);
    };
    with(
        r#""tools":[{"type":"function"}]"#,
        "tools.0.name: is required",
    );
    with(
        r#""tools":[{"type":"namespace","name":"n","tools":[{"type":"function"}]}]"#,
        "tools.0.tools.0.name: is required",
    );
    with(
        r#""tool_choice":"any""#,
        "tool_choice: expected none, auto, required or a tool, got 'any'",
    );
    with(
        r#""text":{"format":{"type":"json_schema","name":"n"}}"#,
        "text.format.schema: is required",
    );
    with(
        r#""reasoning":{"effort":3}"#,
        "reasoning.effort: expected a string, got a number",
    );
}

/// Cursor and others of its kind.
#[test]
fn a_body_of_this_dialect_is_read_where_chat_is_expected() {
    let body = json!({"model": "m", "input": [{"role": "user", "content": "Hi"}], "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}, {"type": "custom", "name": "patch"}], "stream": true, "stream_options": {"include_usage": true}, "reasoning": {"effort": "low"}});
    let request = C
        .dialect()
        .decode_request(body.to_string().as_bytes())
        .unwrap();
    assert!(request.include_usage && request.stream);
    assert_eq!((request.turns.len(), request.tools.len()), (1, 2));
}

/// Any text with one byte changed and the rest cut off is read or refused, and never panics.
#[test]
fn broken_bodies_are_refused_in_good_order() {
    use proptest::prelude::*;

    let read = |body: &[u8]| {
        let Ok(request) = Responses.decode_request(body) else {
            return;
        };
        for to in DialectId::ALL {
            let target = Target {
                model: "m",
                quirks: &Quirks::default(),
                max_output: None,
                default_max_tokens: 1,
            };
            let _ = to
                .dialect()
                .encode_request(&request, &target, &mut Losses::default());
        }
    };
    let bodies: Vec<String> = fixtures()
        .iter()
        .map(|(_, body)| body.to_string())
        .collect();
    proptest!(|((which, place, byte, end) in (0..bodies.len(), any::<u16>(), any::<u8>(), any::<u16>()))| {
        let mut body = bodies[which].clone().into_bytes();
        let length = body.len();
        body[usize::from(place) % length] = byte;
        body.truncate(usize::from(end) % (2 * length));
        read(&body);
    });
    let deep = "[".repeat(100_000);
    let closed = format!("{deep}{}", "]".repeat(100_000));
    read(deep.as_bytes());
    read(format!(r#"{{"input":{closed}}}"#).as_bytes());
    read(format!(r#"{{"input":[{{"role":"user","content":{closed}}}]}}"#).as_bytes());
}
