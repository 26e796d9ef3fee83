//! `generateContent` as Google's server reads and speaks it.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::agent;
use super::scenario::{Answer, Ask, Call, Cause, End, Media, Outcomes, Part, Refusal, Tool, Turn};
use super::{CACHED, Faults, Native, PROMPT, SPOKEN, THOUGHT, key_header, list, pieces, text};
use crate::script::Script;
use crate::upstream::Received;

const FIELDS: [&str; 12] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "serviceTier",
    "store",
    "model",
    "continuationToken",
];

const CONFIG: [&str; 20] = [
    "temperature",
    "topP",
    "topK",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "responseLogprobs",
    "logprobs",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "mediaResolution",
    "speechConfig",
    "imageConfig",
    "thinkingConfig",
    "enableEnhancedCivicAnswers",
];

const PAYLOADS: [&str; 7] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];

/// JSON Schema as `parametersJsonSchema` and `responseJsonSchema` take it.
const JSON_SCHEMA: [&str; 29] = [
    "$id",
    "$defs",
    "$ref",
    "$anchor",
    "$schema",
    "type",
    "format",
    "title",
    "description",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "allOf",
    "properties",
    "additionalProperties",
    "required",
    "propertyOrdering",
    "nullable",
    "default",
    "const",
    "pattern",
    "minLength",
    "maxLength",
];

/// The OpenAPI subset that `parameters` and `responseSchema` take.
const OPEN_API_SCHEMA: [&str; 25] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "items",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "anyOf",
    "propertyOrdering",
    "default",
    "example",
    "additionalProperties",
    "ref",
    "defs",
];

const REFUSED_KEY: &str = "API_KEY_INVALID";

pub(super) struct Gemini;

impl Native for Gemini {
    fn credential(&self, received: &Received) -> Option<(&'static str, String)> {
        if let Some(key) = key_header(received, "x-goog-api-key") {
            return Some(("x-goog-api-key", key));
        }
        let parameters = received
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let key = parameters.into_iter().find(|(name, _)| *name == "key");
        key.map(|(_, key)| ("key", key.to_owned()))
    }

    fn read(&self, received: &Received) -> Result<Ask, Vec<String>> {
        let path = percent_decode_str(&received.path)
            .decode_utf8_lossy()
            .into_owned();
        let (before, verb) = path.rsplit_once(':').unwrap_or_default();
        let model = before.split_once("models/").map_or("", |(_, model)| model);
        let mut body = camel(&received.json());
        if verb == "countTokens" && body["generateContentRequest"].is_object() {
            body = body["generateContentRequest"].take();
        }
        let mut faults = Faults::default();
        faults.demand(body.is_object(), "the body is not a JSON object");
        faults.unknown(&body, &FIELDS, "at the top");
        faults.demand(
            !one_or_many(&body["contents"]).is_empty(),
            "contents missing or empty",
        );
        let config = &body["generationConfig"];
        faults.unknown(config, &CONFIG, "in generationConfig");
        faults.range(config, "temperature", 0.0, 2.0);
        faults.range(config, "topP", 0.0, 1.0);
        faults.range(config, "maxOutputTokens", 1.0, f64::MAX);
        faults.demand(
            list(&config["stopSequences"]).len() <= 5,
            "more than five stopSequences",
        );
        let mut ask = Ask {
            model: model.to_owned(),
            stream: verb == "streamGenerateContent",
            events: received.query.split('&').any(|pair| pair == "alt=sse"),
            tools: tools(&body["tools"], &mut faults),
            limit: config["maxOutputTokens"].as_u64(),
            stops: list(&config["stopSequences"]).iter().map(text).collect(),
            temperature: config["temperature"].clone(),
            top_p: config["topP"].clone(),
            schema: schema(config, &mut faults),
            dialect: "gemini",
            ..Ask::default()
        };
        let instruction = one_or_many(&body["systemInstruction"]["parts"]);
        let texts: Vec<String> = instruction.iter().map(|part| text(&part["text"])).collect();
        ask.system = texts.join("\n");
        ask.choice = choice(&body["toolConfig"], &ask.tools, &mut faults);
        contents(&body, &mut ask, &mut faults);
        faults.end(ask)
    }

    fn whole(&self, ask: &Ask, answer: &Answer) -> Value {
        // The thoughts' signature rides on the part after them, as the API sends it.
        let mut signed = answer.has_thought() || matches!(answer.end, End::Calls);
        let mut parts = Vec::new();
        let mut thoughts = String::new();
        for part in &answer.parts {
            match part {
                Part::Thought(thought) => {
                    thoughts.push_str(thought);
                    parts.push(json!({ "text": thought, "thought": true }));
                }
                Part::Text(text) => parts.push(json!({ "text": text })),
                Part::Call(call) => parts.push(json!({ "functionCall": function_call(call) })),
            }
            let bears = matches!(
                (part, &answer.end),
                (Part::Call(_), _) | (Part::Text(_), End::Stop)
            );
            if signed
                && bears
                && let Some(last) = parts.last_mut()
            {
                last["thoughtSignature"] = json!(agent::proof("gemini", &thoughts));
                signed = false;
            }
        }
        response(
            ask,
            &json!(parts),
            &json!(finish(&answer.end)),
            &usage(answer),
        )
    }

    fn stream(&self, ask: &Ask, answer: &Answer) -> Vec<String> {
        let whole = self.whole(ask, answer);
        let mut chunks = Vec::new();
        for part in list(&whole["candidates"][0]["content"]["parts"]) {
            let Some(spoken) = part["text"].as_str() else {
                chunks.push(json!([part]));
                continue;
            };
            for piece in pieces(spoken) {
                let mut piece = json!([{ "text": piece }]);
                if part["thought"] == true {
                    piece[0]["thought"] = json!(true);
                }
                chunks.push(piece);
            }
        }
        let last = chunks.len().saturating_sub(1);
        let counted = usage(answer);
        let mut so_far = counted.clone();
        so_far["candidatesTokenCount"] = json!(1);
        let chunks = chunks.into_iter().enumerate().map(|(number, parts)| {
            if number == last {
                response(ask, &parts, &json!(finish(&answer.end)), &counted)
            } else {
                response(ask, &parts, &Value::Null, &so_far)
            }
        });
        if ask.events {
            return chunks
                .map(|chunk| format!("data: {chunk}\r\n\r\n"))
                .collect();
        }
        let mut array: Vec<String> = chunks.map(|chunk| format!(",\r\n{chunk:#}")).collect();
        if let Some(first) = array.first_mut() {
            first.replace_range(..3, "[");
        }
        array.push("\n]\n".into());
        array
    }

    fn refuse(&self, refusal: &Refusal) -> Script {
        let error = error(refusal);
        let status = error["error"]["code"]
            .as_u64()
            .and_then(|code| u16::try_from(code).ok());
        Script::json(status.unwrap_or(500), format!("{error:#}"))
    }

    fn break_stream(&self, ask: &Ask, refusal: &Refusal) -> String {
        let error = error(refusal);
        if ask.events {
            format!("data: {error}\r\n\r\n")
        } else {
            format!(",\r\n{error:#}\n]\n")
        }
    }

    fn content_type(&self, ask: &Ask) -> &'static str {
        if ask.events {
            "text/event-stream"
        } else {
            "application/json; charset=UTF-8"
        }
    }
}

/// The first call of an answer has an id and the others have none: the API sends both forms.
fn function_call(call: &Call) -> Value {
    let mut told = json!({ "name": call.name, "args": call.arguments });
    if call.id.ends_with('0') {
        told["id"] = json!(call.id);
    }
    told
}

fn finish(end: &End) -> &'static str {
    match end {
        End::Stop | End::StopSequence(_) | End::Calls => "STOP",
        End::Limit => "MAX_TOKENS",
    }
}

fn response(ask: &Ask, parts: &Value, finish: &Value, usage: &Value) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if !finish.is_null() {
        candidate["finishReason"] = finish.clone();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": ask.model,
        "responseId": format!("judge-response-{}", ask.turns.len()),
    })
}

fn usage(answer: &Answer) -> Value {
    let mut usage = json!({
        "promptTokenCount": PROMPT,
        "cachedContentTokenCount": CACHED,
        "candidatesTokenCount": SPOKEN,
        "totalTokenCount": PROMPT + SPOKEN,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": PROMPT }],
    });
    if answer.has_thought() {
        usage["thoughtsTokenCount"] = json!(THOUGHT);
        usage["totalTokenCount"] = json!(PROMPT + SPOKEN + THOUGHT);
    }
    usage
}

fn error(refusal: &Refusal) -> Value {
    let (code, status) = match refusal.cause {
        // A key that is not valid is an invalid argument to this API.
        Cause::Request | Cause::Credential => (400, "INVALID_ARGUMENT"),
        Cause::Permission => (403, "PERMISSION_DENIED"),
        Cause::Model => (404, "NOT_FOUND"),
        Cause::Rate => (429, "RESOURCE_EXHAUSTED"),
        Cause::Internal => (500, "INTERNAL"),
        Cause::Overload => (503, "UNAVAILABLE"),
    };
    let mut error = json!({ "code": code, "message": refusal.message, "status": status });
    if matches!(refusal.cause, Cause::Credential) {
        error["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": REFUSED_KEY,
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        }]);
    }
    if matches!(refusal.cause, Cause::Rate) {
        error["details"] =
            json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s" }]);
    }
    json!({ "error": error })
}

/// The API reads field names in either case; what a caller named (arguments, schemas' properties) keeps its own.
fn camel(value: &Value) -> Value {
    const OPAQUE: [&str; 6] = [
        "args",
        "response",
        "properties",
        "labels",
        "parametersJsonSchema",
        "responseJsonSchema",
    ];
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, inner)| {
                let name = camel_name(name);
                let inner = if OPAQUE.contains(&name.as_str()) {
                    inner.clone()
                } else {
                    camel(inner)
                };
                (name, inner)
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(camel).collect(),
        other => other.clone(),
    }
}

fn camel_name(name: &str) -> String {
    let mut words = name.split('_');
    let mut joined = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        joined.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        joined.push_str(letters.as_str());
    }
    joined
}

fn one_or_many(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Object(_) => vec![value.clone()],
        _ => Vec::new(),
    }
}

fn tools(tools: &Value, faults: &mut Faults) -> Vec<Tool> {
    let mut read = Vec::new();
    for tool in list(tools) {
        let functions = &tool["functionDeclarations"];
        faults.demand(
            !functions.as_array().is_some_and(Vec::is_empty),
            "functionDeclarations is empty",
        );
        for function in list(functions) {
            let known = [
                "name",
                "description",
                "parameters",
                "parametersJsonSchema",
                "response",
                "responseJsonSchema",
                "behavior",
            ];
            faults.unknown(function, &known, "on a function declaration");
            let (open_api, json) = (&function["parameters"], &function["parametersJsonSchema"]);
            faults.demand(
                open_api.is_null() || json.is_null(),
                "parameters and parametersJsonSchema together",
            );
            check_schema(open_api, &OPEN_API_SCHEMA, faults);
            check_schema(json, &JSON_SCHEMA, faults);
            let name = text(&function["name"]);
            let begins =
                name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
            let legal = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
            let fits = begins && name.len() <= 128 && name.chars().all(legal);
            faults.demand(fits, "a function has a name that the API refuses");
            let schema = if json.is_null() { open_api } else { json };
            read.push(Tool {
                name,
                description: text(&function["description"]),
                schema: schema.clone(),
            });
        }
    }
    read
}

fn check_schema(schema: &Value, known: &[&str], faults: &mut Faults) {
    faults.unknown(schema, known, "in a schema");
    for properties in ["properties", "$defs", "defs"] {
        for inner in schema[properties]
            .as_object()
            .into_iter()
            .flat_map(|all| all.values())
        {
            check_schema(inner, known, faults);
        }
    }
    if schema["items"].is_object() {
        check_schema(&schema["items"], known, faults);
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        for inner in list(&schema[union]) {
            check_schema(inner, known, faults);
        }
    }
}

fn schema(config: &Value, faults: &mut Faults) -> Option<Value> {
    let (open_api, json) = (&config["responseSchema"], &config["responseJsonSchema"]);
    check_schema(open_api, &OPEN_API_SCHEMA, faults);
    check_schema(json, &JSON_SCHEMA, faults);
    faults.demand(
        open_api.is_null() || json.is_null(),
        "responseSchema and responseJsonSchema together",
    );
    let schema = if json.is_null() { open_api } else { json };
    if schema.is_null() {
        return None;
    }
    let mime = config["responseMimeType"].as_str().unwrap_or_default();
    let fits = ["application/json", "text/x.enum"].contains(&mime);
    faults.demand(fits, "a response schema without a JSON mime type");
    Some(schema.clone())
}

fn choice(config: &Value, tools: &[Tool], faults: &mut Faults) -> Option<String> {
    let calling = &config["functionCallingConfig"];
    if calling.is_null() {
        return None;
    }
    let mode = calling["mode"]
        .as_str()
        .unwrap_or("AUTO")
        .to_ascii_lowercase();
    let allowed: Vec<String> = list(&calling["allowedFunctionNames"])
        .iter()
        .map(text)
        .collect();
    faults.demand(
        allowed.is_empty() || mode == "any",
        "allowedFunctionNames without mode ANY",
    );
    faults.demand(
        mode != "any" || !tools.is_empty(),
        "mode ANY without functions",
    );
    let declared = allowed
        .iter()
        .all(|name| tools.iter().any(|tool| tool.name == *name));
    faults.demand(declared, "allowedFunctionNames names no declared function");
    match allowed.as_slice() {
        [one] => Some(one.clone()),
        _ => Some(mode),
    }
}

fn contents(body: &Value, ask: &mut Ask, faults: &mut Faults) {
    let mut waiting: Vec<Call> = Vec::new();
    for content in one_or_many(&body["contents"]) {
        faults.unknown(&content, &["role", "parts"], "on a content");
        let role = match content["role"].as_str() {
            Some("model") => "assistant",
            None | Some("user" | "function") => "user",
            Some(role) => {
                faults.add(format!("unknown role {role:?}"));
                continue;
            }
        };
        let mut turn = Turn {
            role,
            ..Turn::default()
        };
        let parts = one_or_many(&content["parts"]);
        faults.demand(!parts.is_empty(), "a content without parts");
        for part in &parts {
            read_part(part, &mut turn, &waiting, faults);
        }
        if role == "user" {
            let names = |all: Vec<&String>| {
                let mut all: Vec<String> = all.into_iter().cloned().collect();
                all.sort();
                all
            };
            let asked = names(waiting.iter().map(|call| &call.name).collect());
            let given = names(turn.results.iter().map(|result| &result.name).collect());
            faults.demand(
                asked == given,
                "functionResponses that differ from the functionCalls before them",
            );
            waiting.clear();
        } else {
            faults.demand(
                turn.results.is_empty(),
                "a functionResponse in a turn of the model",
            );
            waiting.extend(turn.calls.iter().cloned());
        }
        ask.turns.push(turn);
    }
    faults.demand(
        waiting.is_empty(),
        "a functionCall without its functionResponse",
    );
}

fn read_part(part: &Value, turn: &mut Turn, waiting: &[Call], faults: &mut Faults) {
    let payloads = PAYLOADS
        .iter()
        .filter(|name| !part[**name].is_null())
        .count();
    faults.demand(
        payloads == 1 || (payloads == 0 && part["thoughtSignature"].is_string()),
        "a part without exactly one payload",
    );
    let known = [
        "thought",
        "thoughtSignature",
        "videoMetadata",
        "mediaResolution",
        "partMetadata",
    ];
    faults.unknown(part, &[&PAYLOADS[..], &known[..]].concat(), "on a part");
    let signature = part["thoughtSignature"].as_str();
    turn.proofs.extend(signature.map(str::to_owned));
    if part["thought"] != true {
        turn.text.push_str(&text(&part["text"]));
    }
    let inline = &part["inlineData"];
    if inline.is_object() {
        let mime = text(&inline["mimeType"]);
        faults.demand(
            !mime.is_empty() && mime != "image/gif",
            "inlineData of a type that the API refuses",
        );
        turn.media.push(Media::Base64 {
            mime,
            data: text(&inline["data"]),
        });
    }
    let file = &part["fileData"];
    if file.is_object() {
        turn.media.push(Media::Url(text(&file["fileUri"])));
    }
    let call = &part["functionCall"];
    if call.is_object() {
        faults.unknown(call, &["id", "name", "args"], "on a functionCall");
        faults.demand(
            call["args"].is_object() || call["args"].is_null(),
            "args that are no object",
        );
        faults.demand(
            turn.role == "assistant",
            "a functionCall in a turn of the user",
        );
        turn.calls.push(Call {
            id: text(&call["id"]),
            name: text(&call["name"]),
            arguments: call["args"].clone(),
        });
    }
    let response = &part["functionResponse"];
    if response.is_object() {
        faults.unknown(
            response,
            &[
                "id",
                "name",
                "response",
                "parts",
                "scheduling",
                "willContinue",
            ],
            "on a functionResponse",
        );
        faults.demand(
            response["response"].is_object(),
            "a functionResponse whose response is no object",
        );
        let id = text(&response["id"]);
        let known = id.is_empty()
            || waiting
                .iter()
                .any(|call| call.id == id || call.id.is_empty());
        faults.demand(known, "a functionResponse whose id is no functionCall's");
        let (content, failed) = outcome(&response["response"]);
        turn.results.push(Outcomes {
            id,
            name: text(&response["name"]),
            content,
            failed,
        });
    }
}

/// `output` and `error` are the keys under which the API expects a result that is no object of its own.
fn outcome(response: &Value) -> (String, bool) {
    let fields = response.as_object().map_or(0, Map::len);
    for (key, failed) in [("output", false), ("error", true)] {
        if fields == 1
            && let Some(told) = response.get(key)
        {
            return (
                told.as_str()
                    .map_or_else(|| told.to_string(), str::to_owned),
                failed,
            );
        }
    }
    (response.to_string(), false)
}
