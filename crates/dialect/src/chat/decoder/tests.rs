//! What real servers send, and the events that it stands for.

use crate::chat::Chat;
use crate::framing::Frame;
use crate::hub::{Delta, Event, Open};
use crate::{Dialect, Malformed};

/// Events in few words: `0<text` opens part 0, `0:…` adds to it, `0>` closes it.
pub(in crate::chat) fn show(events: &[Event]) -> String {
    let words = events.iter().map(|event| match event {
        Event::Start { id, model, created } => {
            format!(
                "start({},{model},{})",
                id.as_deref().unwrap_or("-"),
                created.unwrap_or(0)
            )
        }
        Event::Open {
            index,
            choice,
            part,
        } => {
            let part = match part {
                Open::Text => "text".to_owned(),
                Open::Reasoning { .. } => "thought".to_owned(),
                Open::Refusal => "refusal".to_owned(),
                Open::ToolCall { id, name, custom } => {
                    format!("{}({id},{name})", if *custom { "custom" } else { "call" })
                }
                Open::Media(media) => format!("media({})", media.mime.as_deref().unwrap_or("?")),
                Open::Opaque(opaque) => opaque.kind.clone(),
            };
            let choice = if *choice == 0 {
                String::new()
            } else {
                format!("@{choice}")
            };
            format!("{index}<{part}{choice}")
        }
        Event::Delta { index, delta } => match delta {
            Delta::Text(text)
            | Delta::Reasoning(text)
            | Delta::Refusal(text)
            | Delta::Arguments(text) => {
                format!("{index}:{text}")
            }
            Delta::Proof(proof) => format!("{index}:proof({})", proof.json),
            Delta::Citation(citation) => {
                format!(
                    "{index}:cite({},{:?})",
                    citation.url.as_deref().unwrap_or("-"),
                    citation.span
                )
            }
        },
        Event::Close { index } => format!("{index}>"),
        Event::Usage(usage) => format!("usage({}+{})", usage.prompt(), usage.output),
        Event::ServiceTier(tier) => format!("tier({tier})"),
        Event::Logprobs { tokens, .. } => format!("logprobs({})", tokens.len()),
        Event::Finish { choice, finish } => {
            let choice = if *choice == 0 {
                String::new()
            } else {
                format!("@{choice}")
            };
            format!("{:?}{choice}", finish.reason)
        }
        Event::Error(error) => format!("error({:?},{})", error.kind, error.message),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Feeds the data of frames; the last word tells whether the answer was complete.
fn read(frames: &[(&str, &str)]) -> Result<String, Malformed> {
    let mut decoder = Chat.decoder();
    let mut out = Vec::new();
    for (event, data) in frames {
        decoder.frame(&Frame { event, data }, &mut out)?;
    }
    let complete = decoder.end(&mut out);
    Ok(format!(
        "{}{}",
        show(&out),
        if complete { "" } else { " CUT" }
    ))
}

/// Each line is the data of one frame.
fn check(lines: &str, expect: &str) {
    let frames: Vec<_> = lines.lines().map(|line| ("", line.trim())).collect();
    let shown = read(&frames).unwrap_or_else(|fault| format!("fault({fault})"));
    assert_eq!(shown, expect, "{lines}");
}

/// Each line is a delta; then comes the finish.
fn deltas(lines: &str, finish: &str, expect: &str) {
    let chunk = |delta: &str, finish: &str| {
        format!(
            r#"{{"id":"c","model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
        )
    };
    let mut frames: Vec<String> = lines
        .lines()
        .map(|line| chunk(line.trim(), "null"))
        .collect();
    frames.extend([chunk("{}", finish), "[DONE]".to_owned()]);
    check(&frames.join("\n"), &format!("start(c,m,0) {expect}"));
}

#[test]
fn prose() {
    deltas(
        r#"{"role":"assistant","content":""}
           {"content":"Hel"}
           {"content":"lo"}
           {"content":null}"#,
        r#""stop""#,
        "0<text 0:Hel 0:lo 0> Stop",
    );
    deltas(
        r#"{"role":"assistant","content":"","reasoning_content":"Hm"}
           {"content":"","reasoning_content":"m"}
           {"content":"4","reasoning_content":null}"#,
        r#""stop""#,
        "0<thought 0:Hm 0:m 0> 1<text 1:4 1> Stop",
    );
    // The same words under two names, and again in the details.
    deltas(
        r#"{"reasoning":"a","reasoning_content":"a","reasoning_details":[{"type":"reasoning.text","text":"a"}]}
           {"reasoning":null,"reasoning_details":[{"type":"reasoning.summary","summary":"b"}]}
           {"reasoning_details":[{"type":"reasoning.encrypted","data":"x"}]}
           {"content":"c"}
           {"reasoning":"d"}"#,
        r#""length""#,
        concat!(
            r#"0<thought 0:a 0:b 0:proof([{"type":"reasoning.text","text":"a"},{"type":"reasoning.summary","summary":"b"},"#,
            r#"{"type":"reasoning.encrypted","data":"x"}]) 0> 1<text 1:c 1> 2<thought 2:d 2> Length"#,
        ),
    );
    // Mistral
    deltas(
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"x"}]}]}
           {"content":[{"type":"thinking","thinking":"y"},{"type":"text","text":"z"},"!"]}"#,
        r#""stop""#,
        "0<thought 0:x 0:y 0> 1<text 1:z 1:! 1> Stop",
    );
    deltas(
        r#"{"refusal":"I"}
           {"refusal":" can't"}"#,
        r#""stop""#,
        "0<refusal 0:I 0: can't 0> Refusal",
    );
    deltas(
        r#"{"content":"a"}"#,
        r#""sensitive""#,
        "0<text 0:a 0> ContentFilter",
    );
    deltas(
        r#"{"content":"é"}
           {"annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":0,"end_index":1}}]}"#,
        r#""stop""#,
        "0<text 0:é 0:cite(u,Some((0, 1))) 0> Stop",
    );
    deltas(
        r#"{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}"#,
        r#""stop""#,
        "0<media(image/png) 0> Stop",
    );
}

#[test]
fn calls() {
    deltas(
        r#"{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}
           {"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}
           {"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}
           {"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}"#,
        r#""tool_calls""#,
        r#"0<call(a,f) 0:{"x" 0::1} 0> 1<call(b,g) 1:{} 1> ToolCalls"#,
    );
    // Pieces of two calls in turns; the server says stop.
    deltas(
        r#"{"content":"hm","tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}},{"index":1,"id":"b","function":{"name":"g","arguments":"["}}]}
           {"tool_calls":[{"index":0,"id":null,"function":{"name":null,"arguments":"}"}},{"index":1,"id":"","function":{"name":"","arguments":"]"}}]}"#,
        r#""stop""#,
        "0<text 0:hm 0> 1<call(a,f) 1:{ 2<call(b,g) 2:[ 1:} 2:] 1> 2> ToolCalls",
    );
    // Neither index nor type nor id, all at once (Mistral); arguments as an object.
    deltas(
        r#"{"tool_calls":[{"function":{"name":"f","arguments":"{\"x\": 1}"}},{"function":{"name":"f","arguments":{"x": 2}}}]}"#,
        r#""tool_calls""#,
        r#"0<call(call_af63de4c8601eff2_0_0,f) 0:{"x": 1} 0> 1<call(call_af63de4c8601eff2_0_1,f) 1:{"x":2} 1> ToolCalls"#,
    );
    // Two calls under one index.
    deltas(
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}
           {"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{\"y\""}}]}
           {"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#,
        r#""tool_calls""#,
        r#"0<call(a,f) 0:{} 0> 1<call(b,g) 1:{"y" 1::1} 1> ToolCalls"#,
    );
    // Name and id in every piece; a new id in every piece.
    deltas(
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}
           {"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"y\""}}]}
           {"tool_calls":[{"index":0,"id":"z","function":{"arguments":":1"}}]}
           {"tool_calls":[{"index":0,"id":"y","function":{"name":"f","arguments":"}"}}]}
           {"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}"#,
        r#""tool_calls""#,
        r#"0<call(a,f) 0:{"y" 0::1 0:} 0> ToolCalls"#,
    );
    // The name comes late, the id later, the index never again.
    deltas(
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"y\""}}]}
           {"tool_calls":[{"index":0,"function":{"name":"f","arguments":":1"}}]}
           {"tool_calls":[{"id":"late","function":{"arguments":"}"}}]}"#,
        r#""tool_calls""#,
        r#"0<call(call_af63de4c8601eff2_0_0,f) 0:{"y" 0::1 0:} 0> ToolCalls"#,
    );
    // The index comes late.
    deltas(
        r#"{"tool_calls":[{"id":"a","function":{"name":"f"}}]}
           {"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#,
        r#""tool_calls""#,
        "0<call(a,f) 0:{} 0> ToolCalls",
    );
    // Never a name.
    deltas(
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{}"}}]}"#,
        r#""tool_calls""#,
        "0<call(a,unknown) 0:{} 0> ToolCalls",
    );
    // Empty shells beside text are no calls and do not cut it.
    deltas(
        r#"{"content":"a","tool_calls":[]}
           {"content":"b","tool_calls":[{"index":0,"function":{}}],"function_call":{"name":"","arguments":""}}
           {"content":"c","tool_calls":null}"#,
        r#""tool_calls""#,
        "0<text 0:a 0:b 0:c 0> Stop",
    );
    // Text after a call that is whole closes it; after one that is not, it stays open.
    deltas(
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}
           {"content":"x"}
           {"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{"}}]}
           {"content":"y"}
           {"tool_calls":[{"index":1,"function":{"arguments":"}"}}]}"#,
        r#""tool_calls""#,
        "0<call(a,f) 0:{} 0> 1<text 1:x 1> 2<call(b,g) 2:{ 3<text 3:y 2:} 3> 2> ToolCalls",
    );
    deltas(
        r#"{"tool_calls":[{"index":0,"id":"a","type":"custom","custom":{"name":"f","input":"1 +"}}]}
           {"tool_calls":[{"index":0,"custom":{"input":" 2"}}]}"#,
        r#""tool_calls""#,
        "0<custom(a,f) 0:1 + 0: 2 0> ToolCalls",
    );
    deltas(
        r#"{"function_call":{"name":"f","arguments":""}}
           {"function_call":{"arguments":"{\"x\""}}
           {"function_call":{"arguments":":1}"}}"#,
        r#""function_call""#,
        r#"0<call(call_af63de4c8601eff2_0_0,f) 0:{"x" 0::1} 0> ToolCalls"#,
    );
    // Gemini's proof, as Google's compatible server tells it.
    deltas(
        r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"c2ln"}}}]}"#,
        r#""tool_calls""#,
        r#"0<call(a,f) 0:proof("c2ln") 0:{} 0> ToolCalls"#,
    );
}

#[test]
fn chunks() {
    // Azure judges the prompt first; usage comes after the end; the tier on the way.
    check(
        r#"{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[]}
           {"id":"c","created":5,"model":"m","service_tier":"default","choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}
           {"id":"c","created":5,"model":"m","service_tier":"default","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}
           {"id":"c","created":5,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}
           [DONE]"#,
        "start(c,m,5) tier(default) 0<text 0:a usage(3+1) 0> Stop",
    );
    // Usage in every chunk, the finish in two, no [DONE].
    check(
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":null}}
           {"id":"c","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}
           {"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":3,"completion_tokens":2}}}"#,
        "start(c,,0) 0<text 0:a usage(3+0) 0:b usage(3+2) 0> Length",
    );
    // Two choices in turns.
    check(
        r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}]}
           {"id":"c","model":"m","choices":[{"index":1,"delta":{"role":"assistant","content":"b"}},{"index":0,"delta":{"content":"A"}}]}
           {"id":"c","model":"m","choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}
           {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}
           [DONE]"#,
        "start(c,m,0) 0<text 0:a 1<text@1 1:b 0:A 0> Length 1> Stop@1",
    );
    // A whole answer in one chunk; log probabilities.
    check(
        r#"{"id":"c","model":"m","choices":[{"message":{"role":"assistant","content":"a","tool_calls":[{"id":"x","function":{"name":"f","arguments":"{}"}}]},
            "logprobs":{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]},"finish_reason":"stop"}]}"#
            .replace('\n', "")
            .as_str(),
        "start(c,m,0) 0<text 0:a 0> 1<call(x,f) 1:{} logprobs(1) 1> ToolCalls",
    );
    // Half a surrogate pair.
    check(
        r#"{"id":"c","choices":[{"delta":{"content":"\ud83d"},"finish_reason":"stop"}]}"#,
        "start(c,,0) 0<text 0:\u{fffd}\u{fffd}\u{fffd} 0> Stop",
    );
    check(
        r#"{"id":"c","choices":[]}
             [DONE]
             {"id":"late","choices":[{"delta":{"content":"x"}}]}"#,
        "start(c,,0) Stop",
    );
}

#[test]
fn ends() {
    check(
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}"#,
        "start(c,,0) 0<text 0:a 0> CUT",
    );
    check(
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}
           [DONE]"#,
        "start(c,,0) 0<text 0:a 0> Stop",
    );
    check("[DONE]", " CUT");
    check("", " CUT");
    // One of two choices is not at its end.
    check(
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"},{"index":1,"delta":{"content":"b"}}]}"#,
        "start(c,,0) 0<text 0:a 1<text@1 1:b 0> 1> CUT",
    );
    check(
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}
           {"error":{"message":"overloaded","type":"overloaded_error"}}
           {"id":"c","choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}
           [DONE]"#,
        "start(c,,0) 0<text 0:a error(Overloaded,overloaded) CUT",
    );
    check(
        r#"{"error":"no such model"}"#,
        "error(Upstream,no such model) CUT",
    );
    // OpenRouter: what was used is told with the error.
    check(
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}
           {"id":"c","error":{"code":502,"message":"gone"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        "start(c,,0) 0<text 0:a usage(1+1) error(UpstreamMalformed,gone) CUT",
    );
    check(
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"},"error":{"code":429,"message":"slow"}}]}"#,
        "error(RateLimited,slow) CUT",
    );
    check(
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"network_error"}]}"#,
        "start(c,,0) 0<text 0:a 0> Error",
    );
    // MiniMax
    check(
        r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
        "error(Billing,insufficient balance) CUT",
    );
}

#[test]
fn named_frames() {
    let frames = [
        (
            "error",
            r#"{"message":"too much","type":"rate_limit_error"}"#,
        ),
        ("", "[DONE]"),
    ];
    assert_eq!(read(&frames).unwrap(), "error(RateLimited,too much) CUT");
    let frames = [
        ("ping", r#"{"type":"ping"}"#),
        (
            "",
            r#"{"id":"c","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
        ),
    ];
    assert_eq!(read(&frames).unwrap(), "start(c,,0) 0<text 0:a 0> Stop");
}

#[test]
fn what_is_no_chunk_is_a_fault() {
    for data in [
        "{",
        "<html>",
        "[]",
        "7",
        r#"{"choices":{}}"#,
        r#"{"choices":[{"delta":{"content":7}}]}"#,
    ] {
        assert!(read(&[("", data)]).is_err(), "{data}");
    }
}

#[test]
fn nothing_grows_without_bound() {
    let mut decoder = Chat.decoder();
    let mut out = Vec::new();
    let mut feed = |data: String| {
        decoder.frame(
            &Frame {
                event: "",
                data: &data,
            },
            &mut out,
        )
    };
    assert!((0..200).any(|index| {
        feed(format!(
            r#"{{"choices":[{{"index":{index},"delta":{{}}}}]}}"#
        ))
        .is_err()
    }));

    let mut decoder = Chat.decoder();
    let mut feed = |data: String| {
        decoder.frame(
            &Frame {
                event: "",
                data: &data,
            },
            &mut out,
        )
    };
    let piece =
        |piece: String| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{piece}]}}}}]}}"#);
    assert!((0..600).any(|index| feed(piece(format!(r#"{{"index":{index}}}"#))).is_err()));

    let mut decoder = Chat.decoder();
    let mut feed = |data: String| {
        decoder.frame(
            &Frame {
                event: "",
                data: &data,
            },
            &mut out,
        )
    };
    let text = "x".repeat(100_000);
    assert!((0..20).any(|_| {
        feed(piece(format!(
            r#"{{"index":0,"function":{{"arguments":"{text}"}}}}"#
        )))
        .is_err()
    }));
}
