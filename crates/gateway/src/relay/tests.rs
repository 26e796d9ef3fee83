//! Frames are kept whole, and silence is filled, on a clock that moves only when everybody waits.

use std::collections::VecDeque;
use std::sync::Arc;

use lingate_dialect::{DialectId, Mint, ToolChanges};

use super::*;
use crate::caller::Caller;

/// Pieces as they come in, and what has gone out after each.
fn check(pieces: &[&str], expect: &[&str]) {
    let mut hold = Hold::new(Framing::Sse, false);
    let mut shown = Vec::new();
    for piece in pieces {
        let mut out = Vec::new();
        hold.push(piece.as_bytes(), &mut out);
        shown.push(String::from_utf8(out).unwrap());
    }
    assert_eq!(shown, expect);
}

#[test]
fn only_whole_frames_go_out() {
    check(&["data: a\n\n"], &["data: a\n\n"]);
    check(
        &["data: a\n\ndata: b", "\n\nda", "ta: c\n\n"],
        &["data: a\n\n", "data: b\n\n", "data: c\n\n"],
    );
    check(
        &["data: a\n", "\ndata: b\n\n"],
        &["", "data: a\n\ndata: b\n\n"],
    );
    check(
        &["data: a\r\n\r\ndata: b\r\n\r", "\n"],
        &["data: a\r\n\r\n", "data: b\r\n\r\n"],
    );
    check(&["data: a\r\rdata: b\r\r", "data: c"], &["data: a\r\r", ""]);
    check(&["event: x\ndata: a\n"], &[""]);
}

#[test]
fn the_end_of_a_frame_is_found_in_frames_of_any_size() {
    let text = "x".repeat(HOLD - 200);
    let frame = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}],\"usage\":null}}\n\n"
    );
    let usage = "data: {\"choices\":[],\"usage\":{}}\r\n\r\n";
    for _ in 0..20 {
        let kept = without_usage(format!("{frame}{usage}{frame}").as_bytes());
        assert!(kept == format!("{frame}{frame}").as_bytes());
    }
}

#[test]
fn usage_that_nobody_asked_for_is_hidden() {
    let text =
        "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\"\"}}],\"usage\":null}\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    let mut hold = Hold::new(Framing::Sse, true);
    let mut out = Vec::new();
    hold.push(format!("{text}{usage}data: [DO").as_bytes(), &mut out);
    hold.push(b"NE]\n\n", &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("{text}data: [DONE]\n\n")
    );
}

#[test]
fn a_frame_longer_than_the_hold_goes_through() {
    let long = "x".repeat(HOLD);
    let mut hold = Hold::new(Framing::Sse, false);
    let mut out = Vec::new();
    hold.push(b"data: ", &mut out);
    hold.push(long.as_bytes(), &mut out);
    assert_eq!(out.len(), HOLD + 6);
    assert!(!hold.keeps_frames_whole());
    hold.push(b"end\n\n", &mut out);
    assert!(hold.keeps_frames_whole());
}

fn reply() -> Reply {
    Reply {
        model: "m".to_owned(),
        mint: Mint { now: 1, id: 1 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    }
}

fn encoder(dialect: DialectId) -> Box<dyn Encoder + Send> {
    dialect.dialect().encoder(&reply(), Framing::Sse)
}

pub(super) fn record() -> Record {
    Record::new(
        "req".to_owned(),
        DialectId::Chat,
        "m".to_owned(),
        &Caller::open(),
        true,
    )
}

/// An upstream that waits so many seconds before each piece; after the last it ends, unless that is empty: then it is silent.
fn upstream(pieces: &[(u64, &str)]) -> UpstreamBody {
    let pieces: VecDeque<(u64, String)> = pieces
        .iter()
        .map(|(wait, piece)| (*wait, (*piece).to_owned()))
        .collect();
    let stream = futures_util::stream::unfold(pieces, async |mut pieces| {
        let (wait, piece) = pieces.pop_front()?;
        if piece.is_empty() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(wait)).await;
        Some((Ok(Bytes::from(piece)), pieces))
    });
    UpstreamBody::Decompressed(Box::pin(stream))
}

/// An upstream that sends this in one piece and ends.
pub(super) fn upstream_of(bytes: &[u8]) -> UpstreamBody {
    let bytes = Bytes::copy_from_slice(bytes);
    let stream = futures_util::stream::once(std::future::ready(Ok(bytes)));
    UpstreamBody::Decompressed(Box::pin(stream))
}

/// The same dialect on both sides.
pub(super) fn tap(dialect: DialectId, body: UpstreamBody) -> Flow {
    let lane = Lane::Tap {
        tap: Box::new(Tap::new(dialect.dialect(), Framing::Sse)),
        hold: Hold::new(Framing::Sse, false),
        reply: Box::new(reply()),
    };
    Flow::new(body, lane, None)
}

pub(super) fn convert(from: DialectId, to: DialectId, body: UpstreamBody) -> Flow {
    let (from, to) = (from.dialect(), to.dialect());
    let transcoder = Transcoder::new(
        from,
        to,
        &reply(),
        Framing::Sse,
        Framing::Sse,
        ToolChanges::default(),
    );
    Flow::new(body, Lane::Convert(Box::new(transcoder)), None)
}

pub(super) fn bounds(idle: u64, deadline: u64) -> Bounds {
    Bounds {
        idle: Duration::from_secs(idle),
        deadline: Instant::now() + Duration::from_secs(deadline),
    }
}

/// What the caller gets, and after how many seconds; what comes within one second is one.
pub(super) async fn read(mut relay: Relay) -> Vec<(u64, String)> {
    let started = Instant::now();
    let mut read: Vec<(u64, String)> = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| relay.poll(cx)).await {
        let data = frame.into_data().unwrap();
        let data = String::from_utf8_lossy(&data).into_owned();
        let at = started.elapsed().as_secs();
        match read.last_mut() {
            Some((last, text)) if *last == at => text.push_str(&data),
            Some(_) | None => read.push((at, data)),
        }
    }
    read
}

fn times(read: &[(u64, String)]) -> Vec<u64> {
    read.iter().map(|(at, _)| *at).collect()
}

const CHAT: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n";
const CHAT_END: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// What a dialect says when there is nothing to say (converters-and-clients.md, "heartbeat table").
const HEARTBEATS: [(DialectId, &str); 3] = [
    (DialectId::Chat, ": keep-alive\n\n"),
    (
        DialectId::Messages,
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    ),
    (DialectId::Gemini, "\n"),
];

#[tokio::test(start_paused = true)]
async fn silence_is_filled_in_each_dialect() {
    for (dialect, heartbeat) in HEARTBEATS {
        let pieces = [(0, CHAT), (40, CHAT_END)];
        let flow = convert(DialectId::Chat, dialect, upstream(&pieces));
        let relay = Relay::flowing(Box::new(flow), record(), bounds(300, 600));
        let read = read(relay).await;
        assert_eq!(times(&read), [0, 15, 30, 40], "{read:?}");
        assert_eq!(
            (read[1].1.as_str(), read[2].1.as_str()),
            (heartbeat, heartbeat)
        );
    }
    let flow = tap(DialectId::Chat, upstream(&[(0, CHAT), (40, CHAT_END)]));
    let relay = Relay::flowing(Box::new(flow), record(), bounds(300, 600));
    let read = read(relay).await;
    let expect = [
        (0, CHAT),
        (15, ": keep-alive\n\n"),
        (30, ": keep-alive\n\n"),
        (40, CHAT_END),
    ];
    assert_eq!(read, expect.map(|(at, text)| (at, text.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn who_speaks_needs_no_heartbeat() {
    let pieces = [(0, CHAT), (10, CHAT), (10, CHAT), (14, CHAT_END)];
    let flow = tap(DialectId::Chat, upstream(&pieces));
    let relay = Relay::flowing(Box::new(flow), record(), bounds(300, 600));
    let read = read(relay).await;
    assert_eq!(times(&read), [0, 10, 20, 34]);
    assert!(read.iter().all(|(_, text)| text.starts_with("data: ")));
}

/// Half a frame is held back, so a heartbeat may come before it; a frame too long to be held is not interrupted.
#[tokio::test(start_paused = true)]
async fn heartbeats_come_between_frames_only() {
    let (head, tail) = CHAT.split_at(30);
    let long = format!("data: {}", "x".repeat(HOLD));
    let cases = [
        (
            vec![(0, CHAT), (1, head), (20, tail), (0, CHAT_END)],
            vec![0, 15, 21],
        ),
        (
            vec![(0, CHAT), (1, long.as_str()), (40, "x\n\n"), (0, CHAT_END)],
            vec![0, 1, 41],
        ),
    ];
    for (pieces, expect) in cases {
        let sent: String = pieces.iter().map(|(_, piece)| *piece).collect();
        let flow = tap(DialectId::Chat, upstream(&pieces));
        let relay = Relay::flowing(Box::new(flow), record(), bounds(300, 600));
        let read = read(relay).await;
        assert_eq!(times(&read), expect);
        let told: String = read.into_iter().map(|(_, text)| text).collect();
        assert_eq!(told.replace(": keep-alive\n\n", ""), sent);
    }
}

/// The upstream does not even begin: the caller has the head already, and heartbeats until there is more.
#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_slow_to_begin_is_waited_for_with_heartbeats() {
    for (dialect, heartbeat) in HEARTBEATS {
        let opening: Opening = Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(40)).await;
            let body = upstream(&[(0, CHAT), (20, CHAT_END)]);
            let opened =
                convert(DialectId::Chat, dialect, body).open(None, Duration::from_mins(5), dialect);
            Ok((opened.await.unwrap(), record()))
        });
        let read = read(Relay::opening(
            opening,
            Beats::Words,
            encoder(dialect),
            bounds(300, 600),
        ))
        .await;
        assert_eq!(times(&read), [0, 15, 30, 40, 55, 60], "{read:?}");
        for at in [0, 1, 2, 4] {
            assert_eq!(read[at].1, heartbeat);
        }
        assert!(read[3].1.contains("Hi"), "{read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_after_heartbeats_is_one_in_the_stream() {
    for (dialect, heartbeat) in HEARTBEATS {
        let opening: Opening = Box::pin(async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Err((broken(), record()))
        });
        let read = read(Relay::opening(
            opening,
            Beats::Words,
            encoder(dialect),
            bounds(300, 600),
        ))
        .await;
        assert_eq!(times(&read), [0, 15, 20]);
        assert_eq!(read[1].1, heartbeat);
        let error = &read[2].1;
        let start = if dialect == DialectId::Messages {
            "event: error\ndata: {"
        } else {
            "data: {"
        };
        assert!(
            error.starts_with(start) && error.contains("\"error\""),
            "{error}"
        );
        assert!(
            error.contains("the connection to the upstream broke"),
            "{error}"
        );
    }
}

/// Heartbeats to the caller do not count as words of the upstream.
#[tokio::test(start_paused = true)]
async fn times_run_out_in_the_stream() {
    for (dialect, _) in HEARTBEATS {
        for (idle, deadline, expect, words) in [
            (50, 600, vec![0, 15, 30, 45, 50], "idle_timeout"),
            (300, 20, vec![0, 15, 20], "request_timeout"),
            (300, 3, vec![0, 3], "request_timeout"),
            (2, 600, vec![0, 2], "idle_timeout"),
        ] {
            let flow = convert(DialectId::Chat, dialect, upstream(&[(0, CHAT), (0, "")]));
            let relay = Relay::flowing(Box::new(flow), record(), bounds(idle, deadline));
            let read = read(relay).await;
            assert_eq!(times(&read), expect, "{read:?}");
            let last = &read[read.len() - 1].1;
            assert!(last.contains(words) && last.contains("\"error\""), "{last}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_silent_before_its_content_is_given_up() {
    let flow = tap(DialectId::Chat, upstream(&[(0, ": hello\n\n"), (0, "")]));
    let started = Instant::now();
    let error = flow
        .open(None, Duration::from_secs(7), DialectId::Chat)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, started.elapsed().as_secs()),
        (ErrorKind::Timeout, 7)
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_and_says_nothing_is_told_of_as_a_whole() {
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"END\"}]}\n\n";
    let check =
        async |reason: &str, after: &[(u64, &str)], expect: (Option<(Outcome, bool)>, u64)| {
            let end = end.replace("END", reason);
            for to in [DialectId::Chat, DialectId::Messages] {
                let pieces: Vec<(u64, &str)> = [(0, end.as_str())]
                    .into_iter()
                    .chain(after.iter().copied())
                    .collect();
                let body = upstream(&pieces);
                let flow = if to == DialectId::Chat {
                    tap(to, body)
                } else {
                    convert(DialectId::Chat, to, body)
                };
                let started = Instant::now();
                let opened = flow.open(None, Duration::from_mins(1), to).await.unwrap();
                let told = match opened {
                    Source::Whole { summary, .. } => Some((summary.outcome, summary.empty)),
                    Source::Flow(_) => None,
                };
                assert_eq!((told, started.elapsed().as_secs()), expect, "{reason} {to}");
            }
        };
    let done = (0, "data: [DONE]\n\n");
    let usage = (
        1,
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":0}}\n\n",
    );
    let late = (
        0,
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
    );
    let empty = Some((Outcome::Complete, true));
    check("stop", &[done], (empty, 0)).await;
    check("stop", &[usage, done], (empty, 1)).await;
    // Some leave the connection open.
    check("stop", &[done, (0, "")], (empty, 2)).await;
    check("length", &[done], (Some((Outcome::Length, false)), 0)).await;
    check(
        "content_filter",
        &[done],
        (Some((Outcome::Refusal, true)), 0),
    )
    .await;
    check("stop", &[late, done], (None, 0)).await;
}

/// Dropping the relay drops the upstream's body, which closes its connection.
#[tokio::test(start_paused = true)]
async fn who_leaves_takes_the_upstream_along() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let stream = futures_util::stream::unfold(held, async |held| {
        std::future::pending::<()>().await;
        Some((Ok(Bytes::new()), held))
    });
    let flow = tap(
        DialectId::Chat,
        UpstreamBody::Decompressed(Box::pin(stream)),
    );
    let relay = Relay::flowing(Box::new(flow), record(), bounds(300, 600));
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(relay);
    assert_eq!(Arc::strong_count(&alive), 1);
}

/// A beginning of Responses, as its own servers say it.
const BEGUN: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_up\",\"status\":\"in_progress\",\"tools\":[]}}\n\n";
const END: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":{\"id\":\"resp_up\",\"status\":\"completed\",\"output\":[]}}\n\n";

/// The types and numbers of the events of Responses in `text`, and the answers that they name.
fn events(text: &str) -> Vec<String> {
    let datas = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = datas.map(|data| {
        let event: serde_json::Value = serde_json::from_str(data).unwrap();
        let kind = event["type"].as_str().unwrap().to_owned();
        let id = event["response"]["id"].as_str().unwrap_or_default();
        format!(
            "{} {} {id}",
            kind.replace("response.", ""),
            event["sequence_number"]
        )
    });
    events.collect()
}

/// What is told of the answer itself, event by event.
fn lifecycle(read: &[(u64, String)]) -> Vec<(u64, Vec<String>)> {
    let own = |event: &String| {
        let kind = event.split(' ').next().unwrap_or_default();
        ["created", "in_progress", "completed", "failed"].contains(&kind)
    };
    let told = read.iter().map(|(at, text)| {
        let events: Vec<String> = events(text).into_iter().filter(own).collect();
        (*at, events)
    });
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn clients_that_count_events_get_events() {
    let responses = DialectId::Responses;
    let minted = reply().mint.id("resp_", 0);
    // The gateway's own answer: it is said again that it is being made.
    let flow = convert(
        DialectId::Chat,
        responses,
        upstream(&[(0, CHAT), (20, CHAT_END)]),
    );
    let told = read(Relay::flowing(Box::new(flow), record(), bounds(300, 600))).await;
    let told = lifecycle(&told);
    assert_eq!(
        told[0],
        (
            0,
            vec![
                format!("created 0 {minted}"),
                format!("in_progress 1 {minted}")
            ]
        )
    );
    assert_eq!(told[1], (15, vec![format!("in_progress 4 {minted}")]));
    assert_eq!(told[2].1, [format!("completed 8 {minted}")]);
    // Another's answer, in its own words.
    let flow = tap(responses, upstream(&[(0, BEGUN), (20, END)]));
    let told = read(Relay::flowing(Box::new(flow), record(), bounds(300, 600))).await;
    assert_eq!(
        lifecycle(&told),
        [
            (0, vec!["created 0 resp_up".to_owned()]),
            (15, vec!["in_progress 0 resp_up".to_owned()]),
            (20, vec!["completed 1 resp_up".to_owned()]),
        ]
    );
    assert!(told[1].1.contains("\"tools\":[]"), "{told:?}");
    // It breaks off.
    let flow = tap(responses, upstream(&[(0, BEGUN), (1, "event: resp")]));
    let told = read(Relay::flowing(Box::new(flow), record(), bounds(300, 600))).await;
    assert_eq!(events(&told[1].1), ["failed 1 resp_up"]);
}

/// The answer is begun once, by the heartbeats, and its error or its content goes on from there.
#[tokio::test(start_paused = true)]
async fn an_answer_that_heartbeats_began_is_not_begun_again() {
    let responses = DialectId::Responses;
    let minted = reply().mint.id("resp_", 0);
    let begun = vec![
        format!("created 0 {minted}"),
        format!("in_progress 1 {minted}"),
    ];
    let beat = vec![format!("in_progress 1 {minted}")];
    let beats = Beats::of(responses, [DialectId::Chat].into_iter());
    let opening: Opening = Box::pin(async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let body = upstream(&[(0, CHAT), (1, CHAT_END)]);
        let flow = convert(DialectId::Chat, responses, body);
        let opened = flow.open(None, Duration::from_mins(5), responses);
        Ok((opened.await.unwrap(), record()))
    });
    let relay = Relay::opening(opening, beats, encoder(responses), bounds(300, 600));
    let told = read(relay).await;
    assert_eq!(
        lifecycle(&told),
        [
            (0, begun.clone()),
            (15, beat),
            (20, vec![]),
            (21, vec![format!("completed 8 {minted}")]),
        ]
    );
    let opening: Opening = Box::pin(async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Err((broken(), record()))
    });
    let relay = Relay::opening(opening, beats, encoder(responses), bounds(300, 600));
    let told = read(relay).await;
    assert_eq!(
        lifecycle(&told),
        [(0, begun), (5, vec![format!("failed 2 {minted}")])]
    );
}

/// A vendor's answer of the same dialect begins itself, under its own name, so nothing begins it before.
#[tokio::test(start_paused = true)]
async fn an_answer_that_a_vendor_begins_is_begun_once() {
    let responses = DialectId::Responses;
    let beats = Beats::of(responses, [DialectId::Chat, responses].into_iter());
    let opening: Opening = Box::pin(async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let flow = tap(responses, upstream(&[(0, BEGUN), (1, END)]));
        let opened = flow.open(None, Duration::from_mins(5), responses);
        Ok((opened.await.unwrap(), record()))
    });
    let relay = Relay::opening(opening, beats, encoder(responses), bounds(300, 600));
    let told: Vec<String> = read(relay)
        .await
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let beat = ": keep-alive\n\n";
    assert_eq!(told.concat(), [beat, beat, BEGUN, END].concat());
    // Of an error nobody has said the name yet.
    let opening: Opening = Box::pin(async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Err((broken(), record()))
    });
    let relay = Relay::opening(opening, beats, encoder(responses), bounds(300, 600));
    let told = read(relay).await;
    assert_eq!(told[0], (0, beat.to_owned()));
    let minted = reply().mint.id("resp_", 0);
    let expect =
        ["created 0", "in_progress 1", "failed 2"].map(|event| format!("{event} {minted}"));
    assert_eq!(lifecycle(&told[1..]), [(5, expect.to_vec())]);
}

/// It thinks for longer than a heartbeat is due: the caller is told that it has begun, under the name that it gave.
#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_does_not_wait_for_its_content() {
    let flow = tap(DialectId::Responses, upstream(&[(0, BEGUN), (100, END)]));
    let started = Instant::now();
    let opened = flow.open(None, Duration::from_mins(5), DialectId::Responses);
    let source = opened.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 15);
    let Source::Flow(flow) = source else {
        panic!("{source:?}");
    };
    assert_eq!(flow.opened, BEGUN.as_bytes());
}
