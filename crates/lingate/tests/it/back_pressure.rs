//! Callers that read slowly or not at all: the upstream waits, and the gateway holds next to nothing.

use std::time::Duration;

use bytes::Bytes;
use lingate_testkit::{Script, Step};
use serde_json::json;

use crate::wire::{Dialect, data};
use crate::world::{Asked, PATIENCE, World, eventually, memory};

const OFFERED: usize = 200 << 20;

/// What is offered: events of 16 KiB, 200 MiB of them.
fn flood(asked: &Asked<'_>) -> Script {
    let events = asked.dialect.events();
    let opening = asked.dialect.opening();
    let long = "x".repeat(16 << 10);
    let event = Bytes::from(events[opening].replace("Hello ", &long));
    let mut steps: Vec<Step> = events[..opening]
        .iter()
        .map(|event| Step::Send(event.clone().into()))
        .collect();
    steps.extend(vec![Step::Send(event.clone()); OFFERED / event.len()]);
    steps.extend(
        events[opening + 1..]
            .iter()
            .map(|event| Step::Send(event.clone().into())),
    );
    Script::steps("text/event-stream", steps)
}

#[tokio::test]
async fn who_does_not_read_is_not_buffered_for() {
    let world = World::playing("", flood).await;
    let before = memory(&world.gateway, "VmRSS");
    let mut clients = Vec::new();
    for (caller, upstream) in [
        (Dialect::Chat, Dialect::Chat),
        (Dialect::Messages, Dialect::Chat),
        (Dialect::Gemini, Dialect::Messages),
        (Dialect::Responses, Dialect::Gemini),
        (Dialect::Messages, Dialect::Responses),
        (Dialect::Responses, Dialect::Responses),
    ] {
        let mut client = world
            .call(caller, &format!("{}/m", upstream.provider()), true)
            .await;
        // It has begun; from here on nobody reads, or one who sips.
        client.read_until(b"xxxx").await.unwrap();
        clients.push(client);
    }
    for _ in 0..40 {
        clients[0].read(4096).await.unwrap();
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    for number in 0..clients.len() {
        let received = world.upstream.request(number, PATIENCE).await.unwrap();
        assert!(
            received.ended.is_none(),
            "200 MiB were taken from upstream {number} although nobody reads them"
        );
    }
    let grown = memory(&world.gateway, "VmHWM").saturating_sub(before);
    eprintln!(
        "{grown} MiB for {} streams of 200 MiB that nobody reads",
        clients.len()
    );
    assert!(grown < 60, "{grown} MiB");
    let gone = clients.len();
    drop(clients);
    assert!(
        world
            .upstream
            .wait_until(PATIENCE, |it| it.open_connections() == 0)
            .await
    );
    assert!(
        eventually(|| world.said("client_gone") == gone).await,
        "{}",
        world.gateway.log()
    );
}

/// One event of 80 MiB, longer than any frame that is converted, and a whole answer of 300 MiB.
fn huge(asked: &Asked<'_>) -> Script {
    let piece = Bytes::from("x".repeat(1 << 20));
    let (kind, start, count, end) = if asked.stream {
        let event = data(
            &json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"content": "<>"}, "finish_reason": null}]}),
        );
        let (start, end) = event.split_once("<>").unwrap();
        ("text/event-stream", start.to_owned(), 80, end.to_owned())
    } else {
        let whole = asked
            .dialect
            .whole()
            .to_string()
            .replace(crate::wire::TEXT, "<>");
        let (start, end) = whole.split_once("<>").unwrap();
        ("application/json", start.to_owned(), 300, end.to_owned())
    };
    let mut steps = vec![Step::Send(start.into())];
    steps.extend(vec![Step::Send(piece); count]);
    steps.push(Step::Send(end.into()));
    Script::steps(kind, steps)
}

#[tokio::test]
async fn huge_answers_are_bounded() {
    let world = World::playing("", huge).await;
    let before = memory(&world.gateway, "VmRSS");
    for caller in [Dialect::Messages, Dialect::Gemini, Dialect::Responses] {
        let answer = world.ask(caller, "up-chat/m", true).await;
        if answer.status == 200 {
            caller.listen(&answer).failed();
        } else {
            assert_eq!(answer.status, 502, "{}", answer.text());
            caller.refusal(&answer);
        }
    }
    for caller in [Dialect::Chat, Dialect::Messages, Dialect::Responses] {
        let answer = world.ask(caller, "up-chat/m", false).await;
        assert_eq!(answer.status, 502, "{}", answer.text().len());
        assert!(caller.refusal(&answer).contains("larger than"));
    }
    let grown = memory(&world.gateway, "VmHWM").saturating_sub(before);
    eprintln!("{grown} MiB at most");
    // A buffer of 64 MiB, the longest whole answer that is read, and its last growth.
    assert!(grown < 512, "{grown} MiB");
}

/// Whoever takes nothing does not keep an upstream busy for longer than a request may last.
#[tokio::test]
async fn who_does_not_read_is_not_waited_for_forever() {
    let world = World::playing("defaults: {request_timeout: 2s}", flood).await;
    let client = world.call(Dialect::Chat, "up-chat/m", true).await;
    let ended = world.upstream.ending(0, PATIENCE).await;
    assert!(
        ended.is_some(),
        "the upstream waits for a caller that never reads"
    );
    drop(client);
}
