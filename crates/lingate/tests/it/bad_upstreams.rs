//! Upstreams that fail: before the first content an HTTP error in the caller's dialect, after it the dialect's own error in the
//! stream, and never a clean finish.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lingate_testkit::{Script, Step};

use crate::wire::{Dialect, TEXT, failed_response};
use crate::world::{Asked, World, at_once};

/// Every pair of a caller's dialect and an upstream's.
fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    let to_all = |from| Dialect::ALL.map(|to| (from, to));
    Dialect::ALL.into_iter().flat_map(to_all)
}

/// The first events of a stream, or half of a whole answer, with this at its end.
fn cut(asked: &Asked<'_>, events: usize, end: Option<Step>) -> Script {
    let script = if asked.stream {
        Script::events(asked.dialect.events().into_iter().take(events))
    } else {
        let mut half = asked.dialect.whole().to_string();
        half.truncate(half.len() / 2);
        Script::steps("application/json", vec![Step::Send(Bytes::from(half))])
    };
    match end {
        Some(step) => script.then(step),
        None => script,
    }
}

/// What the upstream does for a model of this name, all of it before any content.
fn misbehave(asked: &Asked<'_>) -> Script {
    let opening = asked.dialect.opening();
    let name = asked.model.as_str();
    let error = |status: u16| {
        asked
            .dialect
            .error(status, &format!("{name} of the vendor"))
    };
    match name {
        "html" => Script::html(200),
        "empty" => Script::empty(200),
        "empty-stream" => Script::events([""; 0]),
        "not-json" => Script::json(200, "{\"id\": nonsense"),
        "another-form" => Script::json(200, r#"{"result": "fine"}"#),
        "failed-in-200" if asked.dialect == Dialect::Responses => {
            let failed = failed_response("server_error", "failed-in-200 of the vendor");
            Script::json(200, failed.to_string())
        }
        "error-in-200" | "failed-in-200" => Script::json(200, error(500)),
        "error-event" => Script::events([asked.dialect.error_event("error-event of the vendor")]),
        "half-event" => Script::events(["data: {\"choices\": [{\"del"]),
        "end" => cut(asked, opening, None),
        "close" => cut(asked, opening, Some(Step::Close)),
        "reset" => cut(asked, opening, Some(Step::Reset)),
        "html-502" => Script::html(502),
        "html-401" => Script::html(401),
        "empty-500" => Script::empty(500),
        "redirect" => Script::json(302, "{}").header("location", "http://127.0.0.1:1/"),
        "limited" => Script::json(429, error(429)).header("retry-after", "7"),
        "strange-encoding" => Script::json(200, "{}").header("content-encoding", "x-rot13"),
        "bad-gzip" => Script::json(200, "this is not gzip").header("content-encoding", "gzip"),
        "silent" => Script::silent(),
        "stall" => cut(asked, opening, Some(Step::Stall)),
        status => {
            let status = status
                .parse()
                .unwrap_or_else(|_| panic!("no case {status}"));
            Script::json(status, error(status))
        }
    }
}

/// A case, and the statuses that callers of Chat, Messages, Gemini and Responses see; for an error that the upstream's own dialect already
/// says, its own status is given as it is.
const BEFORE_CONTENT: &[(&str, [u16; 4])] = &[
    ("html", [502, 502, 502, 502]),
    ("empty", [502, 502, 502, 502]),
    ("empty-stream", [502, 502, 502, 502]),
    ("not-json", [502, 502, 502, 502]),
    ("another-form", [502, 502, 502, 502]),
    ("error-in-200", [500, 500, 500, 500]),
    ("failed-in-200", [500, 500, 500, 500]),
    ("error-event", [500, 500, 500, 500]),
    ("half-event", [502, 502, 502, 502]),
    ("end", [502, 502, 502, 502]),
    ("close", [502, 502, 502, 502]),
    ("reset", [502, 502, 502, 502]),
    ("html-502", [502, 502, 502, 502]),
    ("html-401", [401, 401, 401, 401]),
    ("empty-500", [500, 500, 500, 500]),
    ("redirect", [500, 500, 500, 500]),
    ("limited", [429, 429, 429, 429]),
    ("strange-encoding", [502, 502, 502, 502]),
    ("bad-gzip", [502, 502, 502, 502]),
    ("silent", [504, 504, 504, 504]),
    ("stall", [504, 504, 504, 504]),
    ("400", [400, 400, 400, 400]),
    ("401", [401, 401, 401, 401]),
    ("403", [403, 403, 403, 403]),
    ("404", [404, 404, 404, 404]),
    ("429", [429, 429, 429, 429]),
    ("500", [500, 500, 500, 500]),
    ("503", [503, 529, 503, 503]),
    ("529", [503, 529, 503, 503]),
];

const IMPATIENT: &str = "defaults: {first_byte_timeout: 1s, idle_timeout: 1s, request_timeout: 4s}";

#[tokio::test]
async fn before_content_every_failure_is_an_error_of_the_callers_dialect() {
    let world = Arc::new(World::playing(IMPATIENT, misbehave).await);
    let cases = BEFORE_CONTENT.iter().flat_map(|case| {
        pairs().flat_map(move |pair| [false, true].map(|stream| (*case, pair, stream)))
    });
    at_once(cases, |((name, statuses), (caller, upstream), stream)| {
        let world = Arc::clone(&world);
        async move {
            let model = format!("{}/{name}", upstream.provider());
            let answer = world.ask(caller, &model, stream).await;
            let case = format!("{caller:?} to {upstream:?}, stream {stream}, {name}");
            if name == "another-form" && caller == upstream && !stream {
                // Where nothing is converted, an answer of a kind that is not known yet goes through.
                assert_eq!(answer.text(), r#"{"result": "fine"}"#, "{case}");
                return;
            }
            let expect = match name.parse::<u16>() {
                Ok(own) if caller == upstream => own,
                // An event stream is no answer to who asked for a whole one.
                Err(_) if name == "error-event" && !stream => 502,
                Ok(_) | Err(_) => statuses[caller as usize],
            };
            assert_eq!(answer.status, expect, "{case}: {}", answer.text());
            let message = caller.refusal(&answer);
            if ["error-in-200", "failed-in-200", "error-event", "limited"].contains(&name)
                || name.parse::<u16>().is_ok()
            {
                // What the vendor said is passed on.
                if name != "error-event" || stream {
                    assert!(
                        message.contains(&format!("{name} of the vendor")),
                        "{case}: {message}"
                    );
                }
            }
            if name == "limited" {
                assert_eq!(answer.header("retry-after"), "7", "{case}");
            }
            assert_eq!(answer.header("location"), "", "{case}");
            assert_eq!(answer.attempts(), 1, "{case}");
            assert_eq!(answer.header("x-should-retry"), "", "{case}");
            assert!(!answer.header("x-lingate-request-id").is_empty(), "{case}");
        }
    })
    .await;
    let failed = (BEFORE_CONTENT.len() * 4 * 2 - 1) * 4;
    let all = crate::world::eventually(|| world.said("request failed") == failed).await;
    assert!(
        all,
        "{} of {failed} in the log",
        world.said("request failed")
    );
}

#[tokio::test]
async fn nobody_listens() {
    let dead = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let providers = Dialect::ALL.map(|dialect| {
        let name = format!("{dialect:?}").to_lowercase();
        format!(
            "  {}: {{base_url: \"http://{dead}\", dialects: [{name}], keys: [sk-canary]}}\n",
            dialect.provider()
        )
    });
    let world = World::configured(
        |_| format!("providers:\n{}", providers.concat()),
        crate::world::good_answer,
    )
    .await;
    for (caller, upstream) in pairs() {
        for stream in [false, true] {
            let model = format!("{}/m", upstream.provider());
            let answer = world.ask(caller, &model, stream).await;
            let expect = if caller == Dialect::Messages {
                529
            } else {
                503
            };
            assert_eq!(answer.status, expect, "{}", answer.text());
            let message = caller.refusal(&answer);
            assert!(message.contains("connect"), "{message}");
        }
    }
}

/// Model names: `after-3-end` is three events and the end of the body; `bytes-400` is as many bytes.
fn break_off(asked: &Asked<'_>) -> Script {
    let parts: Vec<&str> = asked.model.split('-').collect();
    let events = asked.dialect.events();
    match parts[..] {
        ["after", count, how] => {
            let end = match how {
                "end" => None,
                "close" => Some(Step::Close),
                "reset" => Some(Step::Reset),
                "stall" => Some(Step::Stall),
                "error" => Some(Step::Send(
                    asked.dialect.error_event("the vendor gave up").into(),
                )),
                other => panic!("no case {other}"),
            };
            cut(asked, count.parse().unwrap(), end)
        }
        ["bytes", count, how] => {
            let mut bytes = events.concat().into_bytes();
            bytes.truncate(count.parse().unwrap());
            let script = Script::stream(bytes, &[37, 1, 11]);
            if how == "close" {
                script.then(Step::Close)
            } else {
                script
            }
        }
        _ => panic!("no case {}", asked.model),
    }
}

#[tokio::test]
async fn after_content_a_broken_stream_never_ends_as_if_it_were_complete() {
    let world = Arc::new(World::playing("defaults: {idle_timeout: 1s}", break_off).await);
    let mut cases = Vec::new();
    for (caller, upstream) in pairs() {
        for count in upstream.opening() + 1..=upstream.finish() {
            for how in ["end", "close", "reset", "stall", "error"] {
                cases.push((caller, upstream, format!("after-{count}-{how}"), count));
            }
        }
        let events = upstream.events();
        let length = events.concat().len();
        for eighth in 1..8 {
            let bytes = length * eighth / 8;
            let mut sent = 0;
            let whole = events
                .iter()
                .take_while(|event| {
                    sent += event.len();
                    sent <= bytes
                })
                .count();
            if whole <= upstream.finish() {
                for how in ["end", "close"] {
                    cases.push((caller, upstream, format!("bytes-{bytes}-{how}"), whole));
                }
            }
        }
    }
    at_once(cases, |(caller, upstream, model, events)| {
        let world = Arc::clone(&world);
        async move {
            let answer = world
                .ask(caller, &format!("{}/{model}", upstream.provider()), true)
                .await;
            let case = format!("{caller:?} to {upstream:?}: {model}");
            // A reset may overtake the bytes before it.
            if events <= upstream.opening() || (model.ends_with("reset") && answer.status != 200) {
                assert!(answer.status >= 500, "{case}: {}", answer.text());
                caller.refusal(&answer);
                return;
            }
            let heard = caller.listen(&answer);
            let message = heard.failed();
            assert!(TEXT.starts_with(&heard.text), "{case}: {heard:?}");
            assert!(!heard.text.is_empty(), "{case}: {}", answer.text());
            if model.ends_with("error") {
                assert!(message.contains("the vendor gave up"), "{case}: {message}");
            }
        }
    })
    .await;
    assert_eq!(
        world.said("outcome=\"complete\""),
        0,
        "{}",
        world.gateway.log()
    );
}

#[tokio::test]
async fn one_attempt_is_made_after_content() {
    let world = World::configured(
        |upstream| {
            format!(
                "{}routes:
  - {{model: both, targets: [{{provider: up-chat, model: after-3-close}}, {{provider: up-messages, model: after-9-end}}]}}
",
                crate::world::providers(upstream)
            )
        },
        break_off,
    )
    .await;
    for caller in Dialect::ALL {
        let before = world.upstream.received().len();
        let answer = world.ask(caller, "both", true).await;
        caller.listen(&answer).failed();
        assert_eq!(answer.attempts(), 1);
        assert_eq!(world.upstream.received().len(), before + 1);
    }
}

/// Compressions, content types and forms that nobody asked for, all of them readable.
fn differently(asked: &Asked<'_>) -> Script {
    let (kind, body) = if asked.stream {
        ("text/event-stream", asked.dialect.events().concat())
    } else {
        ("application/json", asked.dialect.whole().to_string())
    };
    let compressed = |name: &str, bytes: Vec<u8>| {
        Script::whole(200, kind, bytes).header("content-encoding", name)
    };
    match asked.model.as_str() {
        "gzip" => compressed("gzip", gzip(body.as_bytes())),
        "br" => compressed("br", brotli(body.as_bytes())),
        "zstd" => compressed("zstd", zstd::encode_all(body.as_bytes(), 3).unwrap()),
        "text" => Script::whole(200, "text/plain", body),
        "untyped" => Script::whole(200, "", body).header("content-type", ""),
        "binary" => Script::whole(200, "application/octet-stream", body),
        "byte-by-byte" if asked.stream => Script::stream(body, &[1]),
        "crlf" if asked.stream => Script::stream(body.replace('\n', "\r\n"), &[7, 2]),
        "tight" if asked.stream => Script::stream(body.replace("data: ", "data:"), &[7, 2]),
        "byte-by-byte" | "crlf" | "tight" => asked.good(),
        // A whole answer, whatever was asked for.
        "whole" => Script::json(200, asked.dialect.whole().to_string()),
        other => panic!("no case {other}"),
    }
}

#[tokio::test]
async fn strange_but_readable_answers_are_read() {
    let world = Arc::new(World::playing("", differently).await);
    let names = [
        "gzip",
        "br",
        "zstd",
        "text",
        "untyped",
        "binary",
        "byte-by-byte",
        "crlf",
        "tight",
        "whole",
    ];
    let cases = names.into_iter().flat_map(|name| {
        pairs().flat_map(move |pair| [false, true].map(|stream| (name, pair, stream)))
    });
    at_once(cases, |(name, (caller, upstream), stream)| {
        let world = Arc::clone(&world);
        async move {
            let model = format!("{}/{name}", upstream.provider());
            let answer = world.ask(caller, &model, stream).await;
            let case = format!("{caller:?} to {upstream:?}, stream {stream}, {name}");
            assert_eq!(answer.status, 200, "{case}: {}", answer.text());
            assert!(answer.complete, "{case}");
            assert_eq!(answer.header("content-encoding"), "", "{case}");
            if !stream {
                assert_eq!(caller.said(&answer), TEXT, "{case}");
                return;
            }
            // What Google's SDK cannot read is passed through all the same where nothing is converted.
            if caller == upstream && ["tight", "crlf"].contains(&name) {
                let plain = answer
                    .text()
                    .replace('\r', "")
                    .replace("data:{", "data: {")
                    .replace("data:[", "data: [");
                let plain = plain
                    .replace("event: ", "event:")
                    .replace("event:", "event: ");
                assert_eq!(caller.hear(&plain).text, TEXT, "{case}");
                return;
            }
            let heard = caller.listen(&answer);
            assert_eq!((heard.text.as_str(), heard.clean), (TEXT, true), "{case}");
        }
    })
    .await;
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn brotli(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 5, 22)
        .write_all(text)
        .unwrap();
    out
}

/// A tap that drips: nothing is ever long enough for the idle timeout, but the request as a whole takes too long.
#[tokio::test]
async fn an_answer_that_drips_forever_is_ended() {
    let world = World::playing("defaults: {request_timeout: 2s}", |asked| {
        let events = asked.dialect.events();
        let opening = asked.dialect.opening();
        let more = events[opening].clone();
        Script::events(events[..=opening].iter().cloned().chain(vec![more; 200]))
            .pausing(Duration::from_millis(100))
    })
    .await;
    let world = Arc::new(world);
    at_once(pairs(), |(caller, upstream)| {
        let world = Arc::clone(&world);
        async move {
            let answer = world
                .ask(caller, &format!("{}/m", upstream.provider()), true)
                .await;
            let heard = caller.listen(&answer);
            assert!(heard.failed().contains("request_timeout"), "{heard:?}");
            assert!(heard.text.starts_with("Hello "), "{heard:?}");
        }
    })
    .await;
}
