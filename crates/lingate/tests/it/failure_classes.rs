//! Every class of failure at every door: before the first content nobody sees it and the next attempt goes where the class says;
//! afterwards the stream ends with an error of the caller's dialect, and nothing else is tried.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use lingate_testkit::{Script, Step, Upstream};
use serde_json::json;

use crate::retries::{spent, too_long};
use crate::wire::{Dialect, TEXT, data, failed, failed_response, flat_error};
use crate::world::{Asked, World, at_once, key, provider};

/// What an upstream does in place of an answer.
type Play = Arc<dyn Fn(&Asked<'_>) -> Script + Send + Sync>;

#[derive(Clone)]
struct Case {
    /// As the trail names it.
    class: String,
    /// Which of the forms it is, for whoever reads of a failure.
    form: String,
    upstream: Dialect,
    caller: Dialect,
    stream: bool,
    play: Play,
}

/// Where the second attempt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Nowhere: the caller is told.
    Told,
    NextKey,
    NextTarget,
    /// A model of the chain for this cause.
    Chain(&'static str),
}

fn then(class: &str) -> Then {
    match class {
        "client" => Then::Told,
        "key_dead" | "exhausted" | "rate_limited" => Then::NextKey,
        "unfit" | "overloaded" | "upstream_error" | "network" | "bad_answer" => Then::NextTarget,
        "context_length" => Then::Chain("fallback_context_length"),
        "refusal" => Then::Chain("fallback_refusal"),
        "timeout" => Then::Chain("fallback_timeout"),
        other => panic!("no class {other}"),
    }
}

/// The dialect of the target that answers when the first does not.
fn other(upstream: Dialect) -> Dialect {
    Dialect::ALL[(upstream as usize + 1) % 4]
}

/// Each case has a route, a provider that fails, and one that does not: what rests after one case is no matter to the next.
fn configuration(cases: &[Case], upstream: &Upstream, breaker: &str) -> String {
    let mut providers =
        "defaults: {first_byte_timeout: 3s, idle_timeout: 3s, request_timeout: 60s}\nproviders:\n"
            .to_owned();
    let mut routes = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        for (name, dialect, keys) in [
            ("bad", case.upstream, &["one", "two"][..]),
            ("good", other(case.upstream), &["three"]),
        ] {
            let keys = keys.iter().map(|key| format!("sk-canary-{number}-{key}"));
            let keys: Vec<String> = keys.collect();
            providers += &provider(
                &format!("{name}-{number}"),
                dialect,
                upstream,
                &format!("keys: [{}], breaker: {breaker}", keys.join(", ")),
            );
        }
        let (bad, good) = (format!("bad-{number}"), format!("good-{number}"));
        let rest = match then(&case.class) {
            Then::Told => format!("{good}/wrong], fallbacks: [{good}/wrong"),
            Then::NextKey => format!("{good}/wrong"),
            Then::NextTarget => format!("{good}/right], fallbacks: [{good}/wrong"),
            // One with a context that is no larger is passed over, and so are fallbacks for other causes.
            Then::Chain("fallback_context_length") => format!(
                "{good}/gpt-4o-mini], fallbacks: [{good}/wrong], fallbacks_on: {{context_length: [{good}/gpt-4.1], refusal: [{good}/wrong]}}, retry: {{attempts: 5"
            ),
            // Whoever else has the same model would refuse it, too.
            Then::Chain("fallback_refusal") => format!(
                "{good}/wrong], fallbacks: [{good}/wrong], fallbacks_on: {{context_length: [{good}/wrong], refusal: [{good}/right]}}, retry: {{attempts: 5"
            ),
            Then::Chain(_) => format!(
                "], fallbacks: [{good}/wrong], fallbacks_on: {{timeout: [{good}/right], refusal: [{good}/wrong]}}, retry: {{attempts: 5"
            ),
        };
        let end = if rest.contains('{') { "}}" } else { "]}" };
        routes.push(format!(
            "  - {{model: case-{number}, targets: [{bad}/gpt-4o, {rest}{end}\n"
        ));
    }
    format!("{providers}routes:\n{}", routes.concat())
}

/// What upstreams were asked in a case: the key's name and the model.
type Seen = Arc<Mutex<HashMap<usize, Vec<(String, String)>>>>;

/// The first request of each case fails as it says.
async fn world(cases: &Arc<Vec<Case>>, breaker: &str) -> (Arc<World>, Seen) {
    let seen = Seen::default();
    let (played, noted) = (Arc::clone(cases), Arc::clone(&seen));
    let world = World::configured(
        |upstream| configuration(cases, upstream, breaker),
        move |asked| {
            let key = key(asked.received);
            let (number, key) = key.split_once('-').unwrap();
            let number: usize = number.parse().unwrap();
            let mut noted = noted.lock().unwrap();
            let noted = noted.entry(number).or_default();
            noted.push((key.to_owned(), asked.model.clone()));
            if noted.len() == 1 {
                (played[number].play)(asked)
            } else {
                asked.good()
            }
        },
    );
    (Arc::new(world.await), seen)
}

/// Every case before its first content.
async fn before_the_first_content(cases: Vec<Case>) {
    let cases = Arc::new(cases);
    let (world, seen) = world(&cases, "false").await;
    let numbers = 0..cases.len();
    at_once(numbers, |number| {
        let (world, seen, case) = (Arc::clone(&world), Arc::clone(&seen), cases[number].clone());
        async move {
            let answer = world
                .ask(case.caller, &format!("case-{number}"), case.stream)
                .await;
            let seen = seen.lock().unwrap().remove(&number).unwrap_or_default();
            let seen: Vec<(&str, &str)> = seen
                .iter()
                .map(|(key, model)| (key.as_str(), model.as_str()))
                .collect();
            let trail = answer.header("x-lingate-attempts");
            let told = format!(
                "{} ({}) of {:?} for {:?}, streamed: {}: {} {} {seen:?} {:?}",
                case.class,
                case.form,
                case.upstream,
                case.caller,
                case.stream,
                answer.status,
                answer.text(),
                answer.headers,
            );
            let (first, why) = match then(&case.class) {
                Then::Told => (("one", "gpt-4o"), None),
                Then::NextKey => (("two", "gpt-4o"), Some("next_key")),
                Then::NextTarget => (("three", "right"), Some("next_target")),
                Then::Chain("fallback_context_length") => {
                    (("three", "gpt-4.1"), Some("fallback_context_length"))
                }
                Then::Chain(why) => (("three", "right"), Some(why)),
            };
            let failed = format!(";why=priority;failed={}", case.class);
            assert!(trail.contains(&failed), "{told}");
            let steps: Vec<&str> = trail.split(", \"").collect();
            let Some(why) = why else {
                // Who speaks the upstream's dialect has its own words.
                if case.caller != case.upstream {
                    case.caller.refusal(&answer);
                }
                assert!((400..500).contains(&answer.status), "{told}");
                assert_eq!(seen, [("one", "gpt-4o")], "{told}");
                assert_eq!((answer.attempts(), steps.len()), (1, 2), "{told}");
                return;
            };
            assert_eq!(seen, [("one", "gpt-4o"), first], "{told}");
            assert_eq!((answer.attempts(), steps.len()), (2, 3), "{told}");
            assert!(steps[2].contains(&format!(";why={why};ms=")), "{told}");
            assert_eq!(answer.status, 200, "{told}");
            let (text, clean) = if case.stream {
                let heard = case.caller.listen(&answer);
                (heard.text, heard.clean)
            } else {
                (case.caller.said(&answer), answer.complete)
            };
            assert_eq!((text.as_str(), clean), (TEXT, true), "{told}");
            for trace in ["retry-after", "retry-after-ms", "x-should-retry"] {
                assert_eq!(answer.header(trace), "", "{trace}: {told}");
            }
        }
    })
    .await;
}

/// The same failure for callers of all dialects, streamed and whole.
fn for_all(class: &str, form: &str, upstream: Dialect, play: &Play) -> Vec<Case> {
    let doors = Dialect::ALL.map(|caller| [(caller, false), (caller, true)]);
    doors
        .into_iter()
        .flatten()
        .map(|(caller, stream)| Case {
            class: class.to_owned(),
            form: form.to_owned(),
            upstream,
            caller,
            stream,
            play: Arc::clone(play),
        })
        .collect()
}

/// The failures of upstreams that are known by their answers; each comes from an upstream of a dialect in turn, since vendors copy
/// each other.
#[tokio::test]
async fn all_answers_that_are_known_to_be_failures() {
    let table = include_str!("../../../gateway/src/fault/cases.txt");
    let mut lines = table.lines().filter(|line| !line.starts_with('#'));
    let mut cases = Vec::new();
    let mut dialects = Dialect::ALL.into_iter().cycle();
    while let Some(head) = lines.by_ref().find(|line| !line.is_empty()) {
        let (body, expect) = (lines.next().unwrap(), lines.next().unwrap());
        let class = expect.split(' ').nth(1).unwrap();
        let (status, headers) = head.split_once(' ').unwrap_or((head, ""));
        let status: u16 = status.parse().unwrap();
        let mut script = Script::json(status, body);
        for (name, value) in headers.split("; ").filter_map(|it| it.split_once(": ")) {
            script = script.header(name, value);
        }
        let play: Play = Arc::new(move |_| script.clone());
        // Errors under a status of success have a form that only one dialect knows.
        let upstream = match status {
            200 => Dialect::Chat,
            _ => dialects.next().unwrap(),
        };
        cases.extend(for_all(class, body, upstream, &play));
    }
    assert!(cases.len() > 900, "{}", cases.len());
    before_the_first_content(cases).await;
}

/// An error as an event, as this dialect has it. Those of Chat have no status, but words.
fn event(dialect: Dialect, status: u16, code: &str, message: &str) -> String {
    let body = dialect.error(status, message);
    match dialect {
        Dialect::Chat => {
            data(&json!({"error": {"message": message, "type": code, "param": null, "code": code}}))
        }
        Dialect::Gemini => format!("data: {body}\n\n"),
        Dialect::Messages => format!("event: error\ndata: {body}\n\n"),
        Dialect::Responses => failed(code, message),
    }
}

/// The opening of a stream, without content.
fn opening(asked: &Asked<'_>) -> Script {
    let events = asked.dialect.events();
    Script::events(events.into_iter().take(asked.dialect.opening()))
}

/// A whole answer that breaks off.
fn half(asked: &Asked<'_>) -> Script {
    let whole = asked.dialect.whole().to_string();
    Script::json(200, whole[..whole.len() / 2].to_owned())
}

/// What is no error answer by its status: breaks, silences, pages, errors under a status of success, in each dialect.
fn forms(dialect: Dialect) -> Vec<(&'static str, &'static str, Play)> {
    /// A stream fails with an event, a whole answer with an error answer.
    fn said(
        status: u16,
        code: &'static str,
        message: &'static str,
    ) -> impl Fn(&Asked<'_>) -> Script + Send + Sync + 'static {
        move |asked| {
            if asked.stream {
                Script::events([event(asked.dialect, status, code, message)])
            } else {
                Script::json(status, asked.dialect.error(status, message))
            }
        }
    }
    let mut forms: Vec<(&str, &str, Play)> = vec![
        (
            "timeout",
            "silence, at least where a stream is asked for",
            Arc::new(|asked| {
                if asked.stream {
                    Script::silent()
                } else {
                    half(asked).then(Step::Stall)
                }
            }),
        ),
        (
            "timeout",
            "silence after the opening",
            Arc::new(|asked| {
                if asked.stream {
                    opening(asked).then(Step::Stall)
                } else {
                    half(asked).then(Step::Stall)
                }
            }),
        ),
        (
            "network",
            "closed",
            Arc::new(|asked| {
                if asked.stream {
                    opening(asked).then(Step::Close)
                } else {
                    half(asked).then(Step::Close)
                }
            }),
        ),
        (
            "network",
            "reset",
            Arc::new(|asked| {
                if asked.stream {
                    opening(asked).then(Step::Reset)
                } else {
                    half(asked).then(Step::Reset)
                }
            }),
        ),
        ("bad_answer", "a page", Arc::new(|_| Script::html(200))),
        (
            "bad_answer",
            "no JSON",
            Arc::new(|_| Script::json(200, "Service is starting up.")),
        ),
        (
            "bad_answer",
            "empty",
            Arc::new(|asked| {
                if asked.stream {
                    Script::events(asked.dialect.empty_events())
                } else {
                    Script::json(200, asked.dialect.empty_whole().to_string())
                }
            }),
        ),
        (
            "upstream_error",
            "an event of an error",
            Arc::new(said(500, "server_error", "The server had an error.")),
        ),
        (
            "rate_limited",
            "an event of a limit",
            Arc::new(said(
                429,
                "rate_limit_exceeded",
                "Rate limit reached. Please try again in 20s.",
            )),
        ),
        (
            "context_length",
            "an event of a prompt that is too long",
            Arc::new(|asked| {
                let body = too_long(asked.dialect);
                match asked.dialect {
                    _ if !asked.stream => Script::json(400, body),
                    Dialect::Chat | Dialect::Gemini => {
                        Script::events([format!("data: {body}\n\n")])
                    }
                    Dialect::Messages => {
                        Script::events([format!("event: error\ndata: {body}\n\n")])
                    }
                    Dialect::Responses => Script::events([flat_error(
                        "context_length_exceeded",
                        "This model's maximum context length is 8192 tokens, but your input has 9001 tokens.",
                    )]),
                }
            }),
        ),
        (
            "exhausted",
            "an answer or an event of an empty account",
            Arc::new(|asked| {
                let (status, body) = spent(asked.dialect);
                match asked.dialect {
                    _ if !asked.stream => Script::json(status, body),
                    Dialect::Chat | Dialect::Gemini => {
                        Script::events([format!("data: {body}\n\n")])
                    }
                    Dialect::Messages => {
                        Script::events([format!("event: error\ndata: {body}\n\n")])
                    }
                    Dialect::Responses => Script::events([failed(
                        "insufficient_quota",
                        "You exceeded your current quota",
                    )]),
                }
            }),
        ),
        (
            "client",
            "a request that is wrong",
            Arc::new(|asked| {
                Script::json(400, asked.dialect.error(400, "messages: must not be empty"))
            }),
        ),
        (
            "key_dead",
            "a key that is unknown",
            Arc::new(|asked| {
                Script::json(401, asked.dialect.error(401, "Incorrect API key provided"))
            }),
        ),
        (
            "overloaded",
            "no capacity",
            Arc::new(|asked| {
                Script::json(
                    503,
                    asked
                        .dialect
                        .error(503, "The model is overloaded. Please try again later."),
                )
            }),
        ),
        (
            "refusal",
            "a policy",
            Arc::new(|asked| {
                Script::json(
                    400,
                    asked
                        .dialect
                        .error(400, "Output blocked by content filtering policy"),
                )
            }),
        ),
    ];
    let inside = |stream, whole: serde_json::Value| -> Play {
        Arc::new(move |asked| {
            if asked.stream == stream {
                Script::events([data(&whole)])
            } else {
                Script::json(200, whole.to_string())
            }
        })
    };
    match dialect {
        Dialect::Chat => forms.extend([
            (
                "client",
                "a number inside",
                inside(true, json!({"error": {"object": "error", "message": "messages: must not be empty", "type": "BadRequestError", "param": null, "code": 400}})),
            ),
            (
                "client",
                "a type inside",
                inside(true, json!({"error": {"message": "messages: must not be empty", "type": "invalid_request_error", "param": null, "code": null}})),
            ),
            (
                "overloaded",
                "a number inside",
                inside(true, json!({"error": {"message": "Provider returned error", "code": 503, "metadata": {"provider_name": "x"}}})),
            ),
        ]),
        Dialect::Gemini => forms.extend([
            (
                "overloaded",
                "an error inside",
                inside(true, json!({"error": {"code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE"}})),
            ),
            (
                "refusal",
                "a prompt that is blocked",
                inside(true, json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}, "modelVersion": "m"})),
            ),
        ]),
        Dialect::Responses => forms.push((
            "client",
            "a picture that cannot be read",
            Arc::new(|asked| {
                if asked.stream {
                    Script::events([asked.dialect.events()[0].clone(), failed("invalid_image_format", "The image is not one.")])
                } else {
                    Script::json(200, failed_response("invalid_image_format", "The image is not one.").to_string())
                }
            }),
        )),
        Dialect::Messages => {}
    }
    // All of them can withhold an answer under a status of success.
    forms.push((
        "refusal",
        "an answer that is withheld",
        Arc::new(|asked| {
            let (reason, withheld) = match asked.dialect {
                Dialect::Chat => (r#""finish_reason":"stop""#, r#""finish_reason":"content_filter""#),
                Dialect::Messages => (r#""stop_reason":"end_turn""#, r#""stop_reason":"refusal""#),
                Dialect::Gemini => (r#""finishReason":"STOP""#, r#""finishReason":"SAFETY""#),
                Dialect::Responses => ("", ""),
            };
            let whole = asked.dialect.empty_whole().to_string();
            let events = asked.dialect.empty_events();
            if asked.dialect == Dialect::Responses {
                let mut answer = asked.dialect.empty_whole();
                answer["status"] = json!("incomplete");
                answer["incomplete_details"] = json!({"reason": "content_filter"});
                if asked.stream {
                    let end = json!({"type": "response.incomplete", "sequence_number": 2, "response": answer});
                    let end = format!("event: response.incomplete\n{}", data(&end));
                    return Script::events([events[0].clone(), end]);
                }
                return Script::json(200, answer.to_string());
            }
            if asked.stream {
                Script::events(events.into_iter().map(|event| event.replace(reason, withheld)))
            } else {
                Script::json(200, whole.replace(reason, withheld))
            }
        }),
    ));
    if dialect == Dialect::Messages {
        forms.push((
            "overloaded",
            "an event of no capacity",
            Arc::new(|asked| {
                let body = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
                if asked.stream {
                    let body = data(&body);
                    Script::events([asked.dialect.events()[0].clone(), format!("event: error\n{body}")])
                } else {
                    Script::json(529, body.to_string())
                }
            }),
        ));
    }
    forms
}

#[tokio::test]
async fn failures_in_each_dialect() {
    let cases = Dialect::ALL.into_iter().flat_map(|upstream| {
        forms(upstream)
            .into_iter()
            .flat_map(move |(class, form, play)| for_all(class, form, upstream, &play))
    });
    before_the_first_content(cases.collect()).await;
}

/// A first word and then a failure; the words of the errors are of that class in each dialect.
fn half_way() -> Vec<(&'static str, &'static str, Play)> {
    fn begun(asked: &Asked<'_>) -> Script {
        let events = asked.dialect.events();
        Script::events(events.into_iter().take(asked.dialect.opening() + 1))
    }
    fn told(
        status: u16,
        code: &'static str,
        message: &'static str,
    ) -> impl Fn(&Asked<'_>) -> Script + Send + Sync + 'static {
        move |asked| {
            let event = event(asked.dialect, status, code, message);
            begun(asked).then(Step::Send(event.into()))
        }
    }
    vec![
        (
            "network",
            "closed",
            Arc::new(|asked| begun(asked).then(Step::Close)),
        ),
        (
            "network",
            "reset",
            Arc::new(|asked| begun(asked).then(Step::Reset)),
        ),
        ("upstream_error", "ended", Arc::new(begun)),
        (
            "timeout",
            "silence",
            Arc::new(|asked| begun(asked).then(Step::Stall)),
        ),
        (
            "upstream_error",
            "an error",
            Arc::new(told(500, "server_error", "out of order")),
        ),
        (
            "rate_limited",
            "a limit",
            Arc::new(told(
                429,
                "rate_limit_exceeded",
                "Rate limit reached. Please try again in 30s.",
            )),
        ),
        (
            "client",
            "the request's fault",
            Arc::new(told(
                400,
                "invalid_request_error",
                "messages: must not be empty",
            )),
        ),
    ]
}

/// Nothing else is tried; but what failed counts: a breaker that opens at the first failure is open then, a key that is limited rests.
#[tokio::test]
async fn after_the_first_content_the_caller_is_told_and_it_counts() {
    let cases: Vec<Case> = Dialect::ALL
        .into_iter()
        .flat_map(|upstream| {
            half_way()
                .into_iter()
                .flat_map(move |(class, form, play)| for_all(class, form, upstream, &play))
        })
        .filter(|case| case.stream)
        .map(|case| Case {
            // The route is that of a failure that another target makes good.
            class: "overloaded".to_owned(),
            form: format!("{}: {}", case.class, case.form),
            ..case
        })
        .collect();
    let cases = Arc::new(cases);
    let breaker = "{requests: 1, ratio: 1%, cooldown: 5m}";
    let (world, seen) = world(&cases, breaker).await;
    at_once(0..cases.len(), |number| {
        let (world, seen, case) = (Arc::clone(&world), Arc::clone(&seen), cases[number].clone());
        async move {
            let model = format!("case-{number}");
            let asked = || {
                let seen = seen.lock().unwrap();
                let asked = seen.get(&number).cloned().unwrap_or_default();
                asked.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
            };
            let answer = world.ask(case.caller, &model, true).await;
            let told = format!(
                "{} of {:?} for {:?}: {}",
                case.form,
                case.upstream,
                case.caller,
                answer.text()
            );
            let heard = case.caller.listen(&answer);
            heard.failed();
            assert_eq!(heard.text, "Hello ", "{told}");
            assert_eq!(answer.attempts(), 1, "{told}");
            assert_eq!(asked(), ["one"], "{told}");
            let class = case.form.split(':').next().unwrap();
            let broke = format!("bad-{number}/gpt-4o\";key=\"-one\";why=priority;failed={class};");
            world.logged(&broke).await;
            for _ in 0..2 {
                let answer = world.ask(case.caller, &model, false).await;
                assert_eq!(case.caller.said(&answer), TEXT, "{told}");
            }
            let expect = match class {
                "rate_limited" => ["one", "two", "two"],
                "client" => ["one", "two", "one"],
                _ => ["one", "three", "three"],
            };
            assert_eq!(asked(), expect, "{told}");
        }
    })
    .await;
}
