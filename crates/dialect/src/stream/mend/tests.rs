use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::framing::Framing;
use crate::hub::Request;
use crate::stream::{Collector, End, Summary, Transcoder};
use crate::{DialectId, Mint, Reply, ToolChanges};

fn reply() -> Reply {
    Reply {
        model: "m".to_owned(),
        mint: Mint { now: 1, id: 7 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    }
}

fn request() -> Request {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"Tell."}]}"#;
    DialectId::Chat.dialect().decode_request(body).unwrap()
}

/// One chunk of a Chat stream.
#[expect(clippy::needless_pass_by_value, reason = "written where it is called")]
fn chunk(delta: Value, finish: Value) -> String {
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "v", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n")
}

fn says(text: &str) -> String {
    chunk(json!({"content": text}), Value::Null)
}

fn thinks(text: &str) -> String {
    chunk(json!({"reasoning_content": text}), Value::Null)
}

fn ends(word: &str) -> String {
    chunk(json!({}), json!(word))
}

fn used(prompt: u64, output: u64) -> String {
    let usage = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "v", "choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}});
    format!("data: {usage}\n\ndata: [DONE]\n\n")
}

/// What came of some answers.
struct Got {
    text: String,
    finish: String,
    error: bool,
    /// The requests for the rest, the assistant's words alone.
    asked: Vec<String>,
    summary: Summary,
    told: Value,
}

/// Answers that come one after the other, each to a request for the rest of those before, as a client of Chat sees them.
fn play(answers: &[String], attempts: u32) -> Got {
    let chat = DialectId::Chat.dialect();
    let mut transcoder = Transcoder::new(
        chat,
        chat,
        &reply(),
        Framing::Sse,
        Framing::Sse,
        ToolChanges::default(),
    )
    .with_mender(Mender::new(attempts));
    let mut out = Vec::new();
    let mut asked = Vec::new();
    let original = request();
    let mut answers = answers.iter();
    loop {
        let answer = answers.next().cloned().unwrap_or_default();
        for piece in answer.as_bytes().chunks(7) {
            transcoder.push(piece, &mut out).unwrap();
        }
        if !transcoder.break_off(End::Eof, &mut out) {
            break;
        }
        let (rest, _) = transcoder.rest(&original).unwrap();
        let turn = rest.turns.get(1);
        asked.push(match turn.map(|turn| &turn.parts[0].body) {
            Some(PartBody::Text(text)) => text.text.clone(),
            _ => String::new(),
        });
        transcoder.resume(chat, Framing::Sse);
    }
    let summary = transcoder.end(End::Eof, &mut out);
    let mut got = Got {
        text: String::new(),
        finish: String::new(),
        error: false,
        asked,
        summary,
        told: Value::Null,
    };
    for line in std::str::from_utf8(&out).unwrap().lines() {
        let Some(event) = line
            .strip_prefix("data: ")
            .and_then(|data| serde_json::from_str::<Value>(data).ok())
        else {
            continue;
        };
        let choice = &event["choices"][0];
        got.text
            .push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        got.finish
            .push_str(choice["finish_reason"].as_str().unwrap_or_default());
        got.error |= event.get("error").is_some();
        if event["usage"].is_object() {
            got.told = event["usage"].clone();
        }
    }
    got
}

const BEGIN: &str =
    "Once upon a time there was a king who had three daughters and a garden full of ap";

#[test]
fn an_answer_that_breaks_off_is_gone_on_with() {
    let got = play(
        &[
            says(BEGIN),
            format!("{}{}{}", says("ples. The end."), ends("stop"), used(50, 5)),
        ],
        3,
    );
    assert_eq!(got.text, format!("{BEGIN}ples. The end."));
    assert_eq!((got.finish.as_str(), got.error), ("stop", false));
    assert_eq!(got.summary.outcome, Outcome::Repaired);
    assert_eq!(got.asked, [BEGIN]);
}

#[test]
fn what_is_no_ending_is_gone_on_with_and_what_is_one_is_not() {
    let rest = format!("{}{}", says(" It was good."), ends("stop"));
    // What came first; the text that the client has at the end, how it ended, and what became of it.
    let check = |first: &str, text: &str, finish: &str, outcome: Outcome| {
        let got = play(&[first.to_owned(), rest.clone()], 3);
        assert_eq!(
            (got.text.as_str(), got.finish.as_str(), got.summary.outcome),
            (text, finish, outcome),
            "{first}"
        );
        assert_eq!(got.error, finish.is_empty(), "{first}");
    };
    let both = format!("{BEGIN} It was good.");
    check(&(says(BEGIN)), &both, "stop", Outcome::Repaired);
    check(
        &(says(BEGIN) + &ends("network_error")),
        &both,
        "stop",
        Outcome::Repaired,
    );
    check(
        &(thinks("Hm.") + &ends("stop")),
        " It was good.",
        "stop",
        Outcome::Repaired,
    );
    check(&(ends("stop")), " It was good.", "stop", Outcome::Repaired);
    check(
        &(says(BEGIN) + "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n"),
        &both,
        "stop",
        Outcome::Repaired,
    );
    check(
        &(says(BEGIN) + "data: nonsense\n\n"),
        &both,
        "stop",
        Outcome::Repaired,
    );
    // Ends, and errors that are the request's.
    check(
        &(says(BEGIN) + &ends("stop")),
        BEGIN,
        "stop",
        Outcome::Complete,
    );
    check(
        &(says(BEGIN) + &ends("length")),
        BEGIN,
        "length",
        Outcome::Length,
    );
    check(
        &(says(BEGIN) + &ends("content_filter")),
        BEGIN,
        "content_filter",
        Outcome::Refusal,
    );
    check(
        &(says(BEGIN) + "data: {\"error\":{\"message\":\"no\",\"code\":400}}\n\n"),
        BEGIN,
        "",
        Outcome::UpstreamError,
    );
    // After a call or a refusal nothing is repaired.
    let call = json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{"}}]});
    check(
        &(says(BEGIN) + &chunk(call, Value::Null)),
        BEGIN,
        "",
        Outcome::Truncated,
    );
    check(
        &(chunk(json!({"refusal": "No."}), Value::Null)),
        "",
        "",
        Outcome::Truncated,
    );
}

#[test]
fn thoughts_about_going_on_are_not_told() {
    let got = play(
        &[
            thinks("A.") + &says(BEGIN),
            thinks("B.") + &says("ples.") + &ends("stop"),
        ],
        3,
    );
    assert_eq!(got.text, format!("{BEGIN}ples."));
}

#[test]
fn attempts_end_and_the_text_is_all_told() {
    for attempts in 0..4_u32 {
        let answers: Vec<String> = (0..9)
            .map(|n| says(&format!("Part number {n} of it. ")))
            .collect();
        let got = play(&answers, attempts);
        assert_eq!(got.asked.len(), attempts as usize);
        let told = attempts as usize + 1;
        let parts: Vec<String> = (0..told)
            .map(|n| format!("Part number {n} of it. "))
            .collect();
        let text = parts.concat();
        assert_eq!(got.text, text);
        assert!(got.error && got.finish.is_empty());
        assert_eq!(got.summary.outcome, Outcome::Truncated);
    }
}

#[test]
fn an_ending_of_an_earlier_answer_is_better_than_none() {
    let gemini = DialectId::Gemini.dialect();
    let part = |text: &str, finish: &str| {
        let chunk = json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish}]});
        format!("data: {chunk}\n\n")
    };
    let mut collector = Collector::new(gemini, Framing::Sse).with_mender(Mender::new(1));
    collector.push(part(BEGIN, "OTHER").as_bytes()).unwrap();
    assert!(collector.break_off(End::Eof));
    collector.resume(gemini, Framing::Sse);
    assert!(!collector.break_off(End::Eof));
    let (answer, summary) = collector.end(End::Eof);
    let finish = answer.unwrap().choices[0].finish.clone();
    assert_eq!(finish.category.as_deref(), Some("OTHER"));
    assert_eq!(summary.error, None);
}

#[test]
fn counts_are_added_up() {
    let got = play(
        &[
            says(BEGIN) + &ends("network_error") + &used(50, 20),
            says("ples ") + &ends("network_error") + &used(75, 3),
            says("and so on.") + &ends("stop") + &used(80, 4),
        ],
        3,
    );
    assert_eq!(got.text, format!("{BEGIN}ples and so on."));
    // One prompt for the client, all of them for the bill.
    assert_eq!(
        (&got.told["prompt_tokens"], &got.told["completion_tokens"]),
        (&json!(50), &json!(27))
    );
    let usage = got.summary.usage.unwrap();
    assert_eq!((usage.input, usage.output), (205, 27));
}

#[test]
fn the_callers_limit_is_one_for_all() {
    let mut mender = Mender::new(3);
    let mut original = request();
    original.max_output = Some(100);
    let mut out = Vec::new();
    let usage = Usage {
        input: 5,
        output: 60,
        ..Usage::default()
    };
    mender.event(Event::Usage(usage), &mut out);
    assert_eq!(mender.request(&original).max_output, Some(40));
}

#[test]
fn only_plain_text_is_put_together() {
    let check = |more: &str, expect: bool| {
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Tell."}}]{more}}}"#);
        let request = DialectId::Chat.dialect().decode_request(body.as_bytes());
        assert_eq!(may_mend(&request.unwrap()), expect, "{more}");
    };
    check("", true);
    check(r#","n":1,"max_tokens":5,"temperature":0"#, true);
    check(r#","n":2"#, false);
    check(r#","logprobs":true"#, false);
    check(r#","response_format":{"type":"json_object"}"#, false);
    check(r#","modalities":["text","audio"],"audio":{}"#, false);
    check(
        r#","tools":[{"type":"function","function":{"name":"f","parameters":{}}}]"#,
        false,
    );
}

proptest! {
    /// However an answer is cut, the client has the whole text, once.
    #[test]
    fn a_text_cut_anywhere_reaches_the_client_whole(
        text in "[a-zA-Zäß文字🙂 .,]{60,300}",
        cuts in prop::collection::vec(0_usize..300, 1..=3),
        repeats in prop_oneof![Just(0_usize), 12_usize..=64],
    ) {
        let characters: Vec<char> = text.chars().collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| 1 + cut % (characters.len() - 1)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut answers = Vec::new();
        let mut from = 0;
        for to in &cuts {
            answers.push(says(&characters[from..*to].iter().collect::<String>()));
            // Too little before the cut to repeat so much of it.
            from = if *to >= repeats { to - repeats } else { *to };
        }
        answers.push(says(&characters[from..].iter().collect::<String>()) + &ends("stop"));
        let got = play(&answers, 3);
        prop_assert_eq!(got.text, text);
        prop_assert_eq!(got.asked.len(), cuts.len());
        prop_assert_eq!(got.summary.outcome, Outcome::Repaired);
    }
}
