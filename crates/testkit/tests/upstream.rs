//! The scripted upstream seen by the raw client: whole, cut, slow, stalled, broken, left.

use std::time::{Duration, Instant};

use lingate_testkit::client::{Answer, Connection, fetch};
use lingate_testkit::{Ending, Script, Step, Upstream};

const PATIENCE: Duration = Duration::from_secs(5);

async fn post(upstream: &Upstream, path: &str) -> Answer {
    let answer = fetch(
        upstream.address(),
        "POST",
        path,
        &[("x-api-key", "sk-a")],
        br#"{"model":"m-1"}"#,
    );
    answer.await.expect("the upstream answers")
}

#[tokio::test]
async fn plays_its_queue_then_its_rules_then_nothing() {
    let upstream = Upstream::start().await.unwrap();
    upstream
        .queue(Script::json(200, "1"))
        .queue(Script::html(502));
    upstream
        .on("/by-path", Script::json(200, "2"))
        .on("m-1", Script::json(200, "3"));

    assert_eq!(post(&upstream, "/a").await.text(), "1");
    let page = post(&upstream, "/a").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (502, "text/html")
    );
    assert_eq!(post(&upstream, "/by-path").await.text(), "2");
    assert_eq!(post(&upstream, "/a?b=c").await.text(), "3");
    let unscripted = fetch(upstream.address(), "GET", "/z", &[], b"")
        .await
        .unwrap();
    assert_eq!(unscripted.status, 404);

    let received = upstream.received();
    assert_eq!(received.len(), 5);
    let fourth = &received[3];
    assert_eq!(
        (
            fourth.method.as_str(),
            fourth.path.as_str(),
            fourth.query.as_str()
        ),
        ("POST", "/a", "b=c")
    );
    assert_eq!(
        (fourth.header("x-api-key"), &fourth.json()["model"]),
        ("sk-a", &"m-1".into())
    );
    assert_eq!(fourth.ended.map(|(ending, _)| ending), Some(Ending::Played));
}

#[tokio::test]
async fn a_stream_is_cut_anywhere_and_arrives_whole() {
    let upstream = Upstream::start().await.unwrap();
    upstream.queue(Script::stream("data: grüße\n\n", &[3, 1]).pausing(Duration::from_millis(2)));
    let answer = post(&upstream, "/").await;
    assert_eq!(
        (answer.text().as_str(), answer.complete),
        ("data: grüße\n\n", true)
    );
    assert_eq!(answer.header("content-type"), "text/event-stream");
}

#[tokio::test]
async fn a_broken_body_is_not_complete() {
    for step in [Step::Close, Step::Reset] {
        let upstream = Upstream::start().await.unwrap();
        upstream.queue(Script::events(["one", "two"]).then(step));
        let answer = post(&upstream, "/").await;
        assert_eq!((answer.text().as_str(), answer.complete), ("onetwo", false));
    }
}

#[tokio::test]
async fn a_reset_is_an_error_and_a_close_is_not() {
    for (step, is_error) in [(Step::Reset, true), (Step::Close, false)] {
        let upstream = Upstream::start().await.unwrap();
        upstream.queue(Script::events(["one"]).then(step));
        let mut client = Connection::open(upstream.address()).await.unwrap();
        client.send("GET", "/", &[], b"").await.unwrap();
        let end = client.sip(64, Duration::ZERO).await;
        assert_eq!(end.is_err(), is_error, "{end:?}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed_while_the_upstream_stalls_or_is_silent() {
    let stalling = Script::events(["one"]).then(Step::Stall);
    for script in [
        stalling,
        Script::silent(),
        Script::json(200, "1").after(PATIENCE * 10),
    ] {
        let upstream = Upstream::start().await.unwrap();
        upstream.queue(script);
        let mut client = Connection::open(upstream.address()).await.unwrap();
        client.send("POST", "/", &[], b"{}").await.unwrap();
        upstream.request(0, PATIENCE).await.unwrap();
        assert_eq!(upstream.open_connections(), 1);
        assert_eq!(upstream.ending(0, Duration::from_millis(50)).await, None);

        drop(client);
        let (ending, at) = upstream.ending(0, PATIENCE).await.unwrap();
        assert_eq!(ending, Ending::ClientGone);
        assert!(at <= Instant::now());
        assert!(
            upstream
                .wait_until(PATIENCE, |it| it.open_connections() == 0)
                .await
        );
    }
}

#[tokio::test]
async fn connections_are_kept_and_counted() {
    let upstream = Upstream::start().await.unwrap();
    upstream.on("/", Script::json(200, "1"));
    let mut client = Connection::open(upstream.address()).await.unwrap();
    for _ in 0..3 {
        client.send("POST", "/", &[], b"{}").await.unwrap();
        assert_eq!(client.answer().await.unwrap().text(), "1");
    }
    assert_eq!((upstream.connections(), upstream.received().len()), (1, 3));
}
