use super::*;

fn events(frames: &[&str]) -> (Vec<Event>, bool) {
    let mut decoder = GeminiDecoder::for_stream();
    let mut out = Vec::new();
    for data in frames {
        decoder.frame(&Frame { event: "", data }, &mut out).unwrap();
    }
    let complete = decoder.end(&mut out);
    (out, complete)
}

/// Events in short, and whether the answer is complete.
fn check(frames: &[&str], expect: &str) {
    let (events, complete) = events(frames);
    let shown: Vec<String> = events.iter().filter_map(show).collect();
    let end = if complete { "" } else { " cut" };
    assert_eq!(format!("{}{end}", shown.join(" ")), expect);
}

fn show(event: &Event) -> Option<String> {
    Some(match event {
        Event::Start { .. } | Event::Usage(_) | Event::ServiceTier(_) => return None,
        Event::Open { index, part, .. } => match part {
            Open::Text => format!("+{index}text"),
            Open::Reasoning { .. } => format!("+{index}thought"),
            Open::ToolCall { name, .. } => format!("+{index}call:{name}"),
            Open::Refusal => format!("+{index}refusal"),
            Open::Media(_) => format!("+{index}media"),
            Open::Opaque(opaque) => format!("+{index}{}", opaque.json.get()),
        },
        Event::Delta { index, delta } => match delta {
            Delta::Text(text)
            | Delta::Reasoning(text)
            | Delta::Refusal(text)
            | Delta::Arguments(text) => format!("{index}'{text}'"),
            Delta::Proof(proof) => format!("{index}!{}", proof.kind),
            Delta::Citation(citation) => {
                format!("{index}@{:?}", citation.span.unwrap_or_default())
            }
        },
        Event::Close { index } => format!("-{index}"),
        Event::Logprobs { tokens, .. } => format!("logprobs:{}", tokens.len()),
        Event::Finish { choice, finish } => format!("end{choice}:{:?}", finish.reason),
        Event::Error(error) => format!("error:{}", error.message),
    })
}

fn parts(parts: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}]}}}}],"responseId":"r"}}"#)
}

const STOP: &str = r#"{"candidates":[{"finishReason":"STOP"}]}"#;

#[test]
fn parts_open_grow_and_close() {
    check(
        &[
            &parts(r#"{"text":"a"}"#),
            &parts(r#"{"text":"b"},{"text":""}"#),
            STOP,
        ],
        "+0text 0'a' 0'b' -0 end0:Stop",
    );
    check(
        &[
            &parts(r#"{"text":"h","thought":true}"#),
            &parts(r#"{"text":"m","thought":true,"thoughtSignature":"QQ=="},{"text":"a"}"#),
            STOP,
        ],
        "+0thought 0'h' 0'm' 0!thoughtSignature -0 +1text 1'a' -1 end0:Stop",
    );
    check(
        &[
            &parts(
                r#"{"text":"a"},{"functionCall":{"name":"f","args":{"x": 1}},"thoughtSignature":"QQ=="},{"functionCall":{"id":"i","name":"g"}}"#,
            ),
            STOP,
        ],
        r#"+0text 0'a' -0 +1call:f 1!thoughtSignature 1'{"x": 1}' -1 +2call:g 2'{}' -2 end0:ToolCalls"#,
    );
    check(
        &[
            &parts(r#"{"text":"a","thoughtSignature":"QQ=="}"#),
            &parts(r#"{"text":"","thoughtSignature":"QQ=="}"#),
            STOP,
        ],
        "+0text 0'a' +1thought 1!part.thoughtSignature -1 +2thought 2!thoughtSignature -2 -0 end0:Stop",
    );
    check(
        &[
            &parts(
                r#"{"executableCode":{"code":"1"},"thoughtSignature":"QQ=="},{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"inlineData":{"mimeType":"image/png","data":"AAAA"},"thought":true}"#,
            ),
            STOP,
        ],
        r#"+0{"executableCode":{"code":"1"},"thoughtSignature":"QQ=="} -0 +1media -1 +2{"inlineData":{"mimeType":"image/png","data":"AAAA"},"thought":true} -2 end0:Stop"#,
    );
}

#[test]
fn an_answer_ends_when_the_stream_does() {
    let said = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#;
    check(&[said, said], "+0text 0'a' 0'a' -0 end0:Stop");
    check(&[&parts(r#"{"text":"a"}"#)], "+0text 0'a' -0 cut");
    check(&[], " cut");
    check(&["{}", r#"{"candidates":[]}"#, "[DONE]"], " cut");
    check(
        &[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#],
        "end0:Refusal",
    );
    check(
        &[r#"{"candidates":[{"finishReason":"OTHER","finishMessage":"No."}]}"#],
        "error:No. (finish reason OTHER) cut",
    );
    check(
        &[
            r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"},{"index":0,"content":{"parts":[{"text":"a"}]},"finishReason":"MAX_TOKENS"}]}"#,
        ],
        "+0text 0'b' +1text 1'a' -0 -1 end1:Stop end0:Length",
    );
}

#[test]
fn errors_end_the_stream() {
    let error = r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#;
    check(
        &[&parts(r#"{"text":"a"}"#), error, STOP],
        "+0text 0'a' error:m cut",
    );
    check(&[&format!("[{error}]")], "error:m cut");
}

#[test]
fn arguments_may_come_in_pieces() {
    check(
        &[
            &parts(r#"{"functionCall":{"name":"f","willContinue":true}}"#),
            &parts(
                r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"x","willContinue":true}],"willContinue":true}}"#,
            ),
            &parts(
                r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"y"}],"willContinue":true}}"#,
            ),
            &parts(r#"{"functionCall":{}}"#),
            STOP,
        ],
        r#"+0call:f 0'{"a":"xy"}' -0 end0:ToolCalls"#,
    );
}

#[test]
fn sources_are_told_before_the_text_closes() {
    check(
        &[
            &parts(r#"{"text":"中文 now"}"#),
            r#"{"candidates":[{"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"u"}}],"groundingSupports":[{"segment":{"endIndex":6,"text":"中文"},"groundingChunkIndices":[0]}]}}]}"#,
        ],
        "+0text 0'中文 now' 0@(0, 2) -0 end0:Stop",
    );
}

#[test]
fn missing_ids_are_the_same_each_time_and_differ_within_an_answer() {
    let ids = |frames: &[&str]| -> Vec<String> {
        events(frames)
            .0
            .into_iter()
            .filter_map(|event| match event {
                Event::Open {
                    part: Open::ToolCall { id, .. },
                    ..
                } => Some(id),
                _ => None,
            })
            .collect()
    };
    let two = parts(r#"{"functionCall":{"name":"f"}},{"functionCall":{"name":"f"}}"#);
    let first = ids(&[&two]);
    assert_eq!(first, ids(&[&two]));
    assert_ne!(first[0], first[1]);
    assert_ne!(first, ids(&[&two.replace("\"r\"", "\"s\"")]));
    assert!(
        first
            .iter()
            .all(|id| id.starts_with("call_") && id.len() == 29)
    );
}

#[test]
fn moments_are_read() {
    assert_eq!(seconds_since_1970("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(
        seconds_since_1970("2026-02-17T17:28:38.496328Z"),
        Some(1_771_349_318)
    );
    assert_eq!(
        seconds_since_1970("2000-02-29T12:00:00Z"),
        Some(951_825_600)
    );
    assert_eq!(seconds_since_1970("tomorrow"), None);
    assert_eq!(seconds_since_1970("2026-13-01T00:00:00Z"), None);
}

#[test]
fn what_is_no_answer_is_refused() {
    for data in [
        "<html>",
        "{",
        r#"{"candidates":7}"#,
        r#"{"candidates":[{"content":{"parts":[{"inlineData":{"data":"AAAA"}}]}}]}"#,
    ] {
        let mut decoder = GeminiDecoder::for_stream();
        let frame = Frame { event: "", data };
        assert!(decoder.frame(&frame, &mut Vec::new()).is_err(), "{data}");
    }
}
