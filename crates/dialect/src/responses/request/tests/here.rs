//! Requests of other dialects, for an upstream that speaks Responses.

use serde_json::{Value, json};

use super::{A, C, G, R, check, check_with, fixture, refused};
use crate::Quirks;

#[test]
fn a_conversation_without_words_is_refused() {
    let empty = json!({"model": "m", "input": [{"role": "user", "content": []}]});
    refused(R, &empty, R, "");
    let empty = json!({"model": "m", "messages": [{"role": "user", "content": ""}]});
    refused(C, &empty, R, "");
}

#[test]
fn searches_are_said_in_every_dialect() {
    check(
        R,
        &fixture("web_search"),
        A,
        &[
            ("/tools/0/allowed_domains", json!(["example.com"])),
            (
                "/tools/0/user_location",
                json!({"type": "approximate", "city": "Paris", "country": "FR"}),
            ),
            ("/tool_choice/name", json!("web_search")),
        ],
        &["tools.0.search_context_size"],
    );
    check(
        A,
        &json!({"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": ["e.x"], "user_location": {"type": "approximate", "city": "Paris"}}], "tool_choice": {"type": "tool", "name": "web_search"}}),
        R,
        &[
            (
                "/tools/0",
                json!({"type": "web_search", "filters": {"allowed_domains": ["e.x"]}, "user_location": {"type": "approximate", "city": "Paris"}}),
            ),
            ("/tool_choice", json!({"type": "web_search"})),
        ],
        &["tools.0.max_uses"],
    );
    check(
        C,
        &json!({"messages": [{"role": "user", "content": "Hi"}], "web_search_options": {"search_context_size": "low"}}),
        R,
        &[(
            "/tools/0",
            json!({"type": "web_search", "search_context_size": "low"}),
        )],
        &[],
    );
    check(
        G,
        &json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "tools": [{"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}}]}),
        R,
        &[(
            "/tools",
            json!([{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}]),
        )],
        &["tools.2"],
    );
}

const PNG: &str = "iVBORw0KGgoAAAANSUhEUg==";

#[test]
fn a_chat_s_request_becomes_items() {
    let body = json!({
        "model": "m", "max_tokens": 5, "temperature": 0.5, "stop": ["x"], "seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0,
        "logit_bias": {"1": -5}, "user": "u", "verbosity": "low", "prompt_cache_key": "k", "stream": true, "logprobs": true, "reasoning_effort": "high",
        "stream_options": {"include_usage": true},
        "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "developer", "content": "In French."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}"), "detail": "low"}}]},
            {"role": "assistant", "content": "Calling.", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
            {"role": "system", "content": "Stop soon."},
            {"role": "user", "content": "So?"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}}
    });
    check(
        C,
        &body,
        R,
        &[
            ("/instructions", json!("Be brief.\n\nIn French.")),
            (
                "/input",
                json!([
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}"), "detail": "low"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Calling."}]},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "ok"},
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Stop soon."}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "So?"}]}]),
            ),
            ("/max_output_tokens", json!(16)),
            ("/store", json!(false)),
            (
                "/include",
                json!([
                    "reasoning.encrypted_content",
                    "message.output_text.logprobs"
                ]),
            ),
            ("/reasoning", json!({"effort": "high"})),
            ("/text", json!({"verbosity": "low"})),
            (
                "/tools/0",
                json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}, "strict": false}),
            ),
            ("/tool_choice", json!({"type": "function", "name": "f"})),
            ("/safety_identifier", json!("u")),
            ("/prompt_cache_key", json!("k")),
            ("/stream", json!(true)),
            ("/stream_options", Value::Null),
            ("/seed", Value::Null),
            ("/stop", Value::Null),
        ],
        &[
            "max_tokens",
            "stop",
            "presence_penalty",
            "seed",
            "logit_bias",
        ],
    );
    let hi = json!([{"role": "user", "content": "Hi"}]);
    refused(C, &json!({"messages": hi, "n": 2}), R, "n");
    refused(
        C,
        &json!({"messages": hi, "modalities": ["text", "audio"]}),
        R,
        "modalities",
    );
    refused(
        C,
        &json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]}),
        R,
        "messages.0.content.0",
    );
    // Instructions alone are what is to be answered.
    check(
        C,
        &json!({"messages": [{"role": "system", "content": "Write a poem."}], "store": true}),
        R,
        &[
            ("/instructions", Value::Null),
            (
                "/input/0",
                json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Write a poem."}]}),
            ),
            ("/store", json!(true)),
        ],
        &[],
    );
    check(
        C,
        &json!({"messages": hi, "response_format": {"type": "json_schema", "json_schema": {"name": "a.b", "schema": {"type": "object"}, "strict": true}}}),
        R,
        &[(
            "/text/format",
            json!({"type": "json_schema", "name": "a_b", "schema": {"type": "object"}, "strict": false}),
        )],
        &["response_format.strict"],
    );
}

#[test]
fn a_messages_request_becomes_items() {
    let body = json!({
        "model": "m", "max_tokens": 500, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}], "top_k": 5, "stop_sequences": ["x"],
        "thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "medium"}, "metadata": {"user_id": "u"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "document", "title": "T", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}}, {"type": "document", "source": {"type": "url", "url": "https://e.x/a.pdf"}}, {"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "Hello"}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "S"}, {"type": "text", "text": "First."}, {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1.50}}, {"type": "tool_use", "id": "t2", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": "bad"}, {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "See"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]}, {"type": "text", "text": "So?", "cache_control": {"type": "ephemeral"}}]}],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}, {"type": "bash_20250124", "name": "bash"}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true}
    });
    check(
        A,
        &body,
        R,
        &[
            ("/instructions", Value::Null),
            (
                "/input",
                json!([
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief.", "prompt_cache_breakpoint": {"mode": "explicit"}}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_file", "filename": "T.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}, {"type": "input_file", "file_url": "https://e.x/a.pdf"}, {"type": "input_text", "text": "<document title=\"Notes\">\nHello\n</document>"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "First."}]},
                {"type": "function_call", "call_id": "t1", "name": "f", "arguments": "{\"a\":1.5}"},
                {"type": "function_call", "call_id": "t2", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "t1", "output": [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}"), "detail": "auto"}]},
                {"type": "function_call_output", "call_id": "t2", "output": "[tool error] bad"},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "So?", "prompt_cache_breakpoint": {"mode": "explicit"}}]}]),
            ),
            ("/reasoning", json!({"effort": "medium", "summary": "auto"})),
            ("/include", json!(["reasoning.encrypted_content"])),
            ("/tool_choice", json!("required")),
            ("/parallel_tool_calls", json!(false)),
            ("/safety_identifier", json!("u")),
            ("/store", json!(false)),
        ],
        &["stop_sequences", "top_k", "tools.1"],
    );
    let plain = Quirks {
        cache_breakpoints: false,
        developer_role: false,
        reasoning_effort: false,
        ..Quirks::default()
    };
    check_with(
        A,
        &json!({"model": "m", "max_tokens": 500, "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}], "thinking": {"type": "adaptive", "display": "summarized"},
            "messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Now."}, {"role": "user", "content": "So?"}]}),
        R,
        &plain,
        &[
            ("/instructions", json!("Be brief.")),
            ("/input/1/role", json!("system")),
            ("/reasoning", Value::Null),
            ("/include", Value::Null),
        ],
        &[],
    );
    refused(
        A,
        &json!({"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "Hi"}]}),
        R,
        "max_tokens",
    );
}

#[test]
fn settings_obey_the_target() {
    let body = json!({
        "messages": [{"role": "user", "content": "Hi"}], "temperature": 3, "top_p": 0.5, "logprobs": true, "top_logprobs": 40, "reasoning_effort": "minimal",
        "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"
    });
    check(
        C,
        &body,
        R,
        &[
            ("/temperature", json!(2)),
            ("/top_logprobs", json!(20)),
            ("/tool_choice", json!("required")),
            (
                "/tools/0/parameters",
                json!({"type": "object", "properties": {}}),
            ),
        ],
        &["temperature", "logprobs"],
    );
    let strict = Quirks {
        sampling: false,
        sampling_at_effort_none: true,
        logprobs: false,
        forced_tool_choice: false,
        efforts: vec!["none".to_owned(), "low".to_owned()],
        ..Quirks::default()
    };
    let none = json!({"messages": [{"role": "user", "content": "Hi"}], "temperature": 1, "logprobs": true, "reasoning_effort": "none"});
    check_with(
        C,
        &none,
        R,
        &strict,
        &[
            ("/temperature", json!(1)),
            ("/include", json!(["message.output_text.logprobs"])),
        ],
        &[],
    );
    check_with(
        C,
        &body,
        R,
        &Quirks {
            efforts: vec!["low".to_owned()],
            ..strict
        },
        &[
            ("/temperature", Value::Null),
            ("/reasoning/effort", json!("low")),
            ("/include", json!(["reasoning.encrypted_content"])),
            ("/tool_choice", json!("auto")),
        ],
        &[
            "reasoning_effort",
            "temperature",
            "top_p",
            "tool_choice",
            "logprobs",
        ],
    );
}

#[test]
fn a_gemini_request_becomes_items() {
    check(
        G,
        &json!({
            "system_instruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjQK"}}]},
                {"role": "model", "parts": [{"text": "Thinking", "thought": true}, {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "U0lH"}, {"functionCall": {"name": "f", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"n": 12_345_678_901_234_567_890_u64}}}, {"functionResponse": {"name": "f", "response": {"error": "bad"}}}]}],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER", "nullable": true}}}}]}],
            "generationConfig": {"topK": 5, "maxOutputTokens": 100, "thinkingConfig": {"thinkingBudget": 4000, "includeThoughts": true}, "responseMimeType": "application/json"}
        }),
        R,
        &[
            ("/instructions", json!("Be brief.")),
            (
                "/input/0/content/1",
                json!({"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}),
            ),
            ("/input/1/arguments", json!("{\"a\":1}")),
            ("/input/3/output", json!("{\"n\":12345678901234567890}")),
            ("/input/4/output", json!("[tool error] bad")),
            (
                "/tools/0/parameters/properties/a/anyOf/1/type",
                json!("null"),
            ),
            ("/reasoning", json!({"effort": "medium", "summary": "auto"})),
            ("/text/format", json!({"type": "json_object"})),
        ],
        &["generationConfig.topK"],
    );
    refused(
        G,
        &json!({"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "https://e.x/a.mp4", "mimeType": "video/mp4"}}]}]}),
        R,
        "contents.0.parts.0",
    );
}
