//! The doors: which path is which operation, in which dialect. A pure function of method, path and a few headers.
//!
//! Not a router of a web framework, because model names may hold slashes, colons and escapes, and because clients double
//! `/v1`, add prefixes and trailing slashes.

use http::{HeaderMap, Method};
use lingate_dialect::DialectId;
use percent_encoding::percent_decode_str;

use crate::health::HealthDoor;
use crate::state::StoredDoor;

/// What a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// One answer, whole or streamed.
    Answer(AnswerDoor),
    /// An answer that is stored (Responses).
    Stored { id: String, what: StoredDoor },
    /// How many tokens a request has.
    CountTokens {
        dialect: DialectId,
        model: Option<String>,
    },
    /// The list of models, in the shape of `dialect`; `Responses` is the catalogue that Codex reads.
    Models { dialect: DialectId },
    /// One model.
    Model { dialect: DialectId, model: String },
    /// What a client tells its vendor about itself: taken and forgotten, so that it does not try again.
    Telemetry,
    /// Is the process alive, and can it serve?
    Health(HealthDoor),
    /// Where to go from here.
    Home,
}

/// A door that answers like a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnswerDoor {
    pub(crate) dialect: DialectId,
    /// The model, where the path says it.
    pub(crate) model: Option<String>,
    /// Whether to stream, where the path says it; Gemini's alias takes `stream` from the body.
    pub(crate) stream: Option<bool>,
    /// A conversation is to be made shorter, not answered (Responses).
    pub(crate) compact: bool,
}

/// Why there is no door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDoor {
    /// The path is known, under other methods.
    Method(&'static str),
    /// The path is a door of these APIs that this version does not have.
    NotServed,
    Unknown,
}

/// Finds the door of a request.
pub(crate) fn find(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    query: &str,
) -> Result<Door, NoDoor> {
    let path = tidy(path);
    let path = without_prefix(&path);
    match path {
        // The second is how Claude Code asks whether it has a connection.
        "/" | "/api/hello" => return for_get(method, Door::Home),
        "/health" => return for_get(method, Door::Health(HealthDoor::Summary)),
        "/health/live" => return for_get(method, Door::Health(HealthDoor::Live)),
        "/health/ready" => return for_get(method, Door::Health(HealthDoor::Ready)),
        _ if is_telemetry(path) => return for_post(method, Door::Telemetry),
        _ => {}
    }
    if let Some(deployment) = path.strip_prefix("/deployments/") {
        let model = deployment
            .strip_suffix("/chat/completions")
            .ok_or(NoDoor::NotServed)?;
        return for_post(method, answer(DialectId::Chat, Some(decode(model)), None));
    }
    let (version, rest) = version(path);
    match rest {
        "/chat/completions" => return for_post(method, answer(DialectId::Chat, None, None)),
        "/responses" => return for_post(method, answer(DialectId::Responses, None, None)),
        "/responses/compact" => {
            return for_post(
                method,
                Door::Answer(AnswerDoor {
                    dialect: DialectId::Responses,
                    model: None,
                    stream: Some(false),
                    compact: true,
                }),
            );
        }
        "/messages" | "/anthropic/completions" => {
            return for_post(method, answer(DialectId::Messages, None, None));
        }
        "/messages/count_tokens" => {
            return for_post(
                method,
                Door::CountTokens {
                    dialect: DialectId::Messages,
                    model: None,
                },
            );
        }
        "/responses/input_tokens" => {
            return for_post(
                method,
                Door::CountTokens {
                    dialect: DialectId::Responses,
                    model: None,
                },
            );
        }
        "/gemini/completions" => return for_post(method, answer(DialectId::Gemini, None, None)),
        "/models" => {
            return for_get(
                method,
                Door::Models {
                    dialect: list_dialect(version, headers, query),
                },
            );
        }
        _ => {}
    }
    if let Some(rest) = gemini_models(rest) {
        let rest = decode(rest);
        if let Some((model, verb)) = rest
            .rsplit_once(':')
            .filter(|(_, verb)| !verb.is_empty() && verb.bytes().all(|c| c.is_ascii_alphabetic()))
            && (is_verb(verb) || *method == Method::POST)
        {
            let model = Some(model.to_owned());
            return match verb {
                "generateContent" => {
                    for_post(method, answer(DialectId::Gemini, model, Some(false)))
                }
                "streamGenerateContent" => {
                    for_post(method, answer(DialectId::Gemini, model, Some(true)))
                }
                "countTokens" => for_post(
                    method,
                    Door::CountTokens {
                        dialect: DialectId::Gemini,
                        model,
                    },
                ),
                _ => Err(NoDoor::NotServed),
            };
        }
        return for_get(
            method,
            Door::Model {
                dialect: list_dialect(version, headers, query),
                model: rest,
            },
        );
    }
    if let Some(rest) = rest.strip_prefix("/responses/") {
        return stored(method, rest);
    }
    Err(if is_later(rest) {
        NoDoor::NotServed
    } else {
        NoDoor::Unknown
    })
}

/// The dialect in which a client that asked for `path` reads errors, when there is no door.
pub(crate) fn guess_dialect(path: &str, headers: &HeaderMap, query: &str) -> DialectId {
    let path = tidy(path);
    let asks = |names: &[&str]| names.iter().any(|name| path.contains(name));
    let begins = |names: &[&str]| names.iter().any(|name| path.starts_with(name));
    if asks(&["/messages"])
        || begins(&[
            "/anthropic",
            "/api/oauth",
            "/api/claude",
            "/api/organizations",
        ])
        || is_telemetry(&path)
    {
        DialectId::Messages
    } else if asks(&[
        ":generateContent",
        ":streamGenerateContent",
        ":countTokens",
        "/v1beta",
        "/v1alpha",
        "/cachedContents",
    ]) || begins(&["/gemini", "/google", "/v1internal", "/upload"])
    {
        DialectId::Gemini
    } else if asks(&["/responses"]) {
        DialectId::Responses
    } else {
        list_dialect(version(&path).0, headers, query)
    }
}

/// What is wanted of the stored answer whose id stands behind `responses/`.
fn stored(method: &Method, rest: &str) -> Result<Door, NoDoor> {
    let (id, below) = rest.split_once('/').unwrap_or((rest, ""));
    let door = |what| Door::Stored {
        id: decode(id),
        what,
    };
    match below {
        "" if *method == Method::DELETE => Ok(door(StoredDoor::Delete)),
        "" => {
            for_get(method, door(StoredDoor::Retrieve)).map_err(|_| NoDoor::Method("GET or DELETE"))
        }
        "input_items" => for_get(method, door(StoredDoor::InputItems)),
        "cancel" => for_post(method, door(StoredDoor::Cancel)),
        _ => Err(NoDoor::Unknown),
    }
}

fn answer(dialect: DialectId, model: Option<String>, stream: Option<bool>) -> Door {
    Door::Answer(AnswerDoor {
        dialect,
        model,
        stream,
        compact: false,
    })
}

fn for_get(method: &Method, door: Door) -> Result<Door, NoDoor> {
    if matches!(*method, Method::GET | Method::HEAD) {
        Ok(door)
    } else {
        Err(NoDoor::Method("GET"))
    }
}

fn for_post(method: &Method, door: Door) -> Result<Door, NoDoor> {
    if *method == Method::POST {
        Ok(door)
    } else {
        Err(NoDoor::Method("POST"))
    }
}

/// What Claude Code tells its vendor about itself, whatever its base address.
fn is_telemetry(path: &str) -> bool {
    ["/api/event_logging", "/api/claude_cli", "/api/claude_code"]
        .iter()
        .any(|prefix| {
            path.strip_prefix(prefix).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || rest.starts_with('_')
            })
        })
}

/// One slash between segments, none at the end, `/v1` once. A `#` at the end of a base address, which some clients take as
/// "nothing is to be added", belongs to no path.
fn tidy(path: &str) -> String {
    let path = path.trim_end_matches("%23");
    let mut tidy = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        // `/v1/v1`, also behind a prefix: the last one is meant.
        if is_version(segment)
            && let Some((before, last)) = tidy.rsplit_once('/')
            && is_version(last)
        {
            tidy.truncate(before.len());
        }
        tidy.push('/');
        tidy.push_str(segment);
    }
    if tidy.is_empty() {
        tidy.push('/');
    }
    tidy
}

/// Takes off a prefix that names a dialect: `/openai/v1/…`, `/anthropic/v1/…`, `/gemini/v1beta/…`.
fn without_prefix(path: &str) -> &str {
    for prefix in ["/openai", "/anthropic", "/gemini", "/google"] {
        if let Some(rest) = path
            .strip_prefix(prefix)
            .filter(|rest| rest.starts_with('/'))
        {
            return rest;
        }
    }
    path
}

fn is_version(segment: &str) -> bool {
    matches!(segment, "v1" | "v1beta" | "v1alpha" | "v1beta1")
}

/// The version segment, if any, and the path behind it.
fn version(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix('/') else {
        return (None, path);
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest.split_at_checked(end) {
        Some((first, tail)) if is_version(first) => {
            (Some(first), if tail.is_empty() { "/" } else { tail })
        }
        _ => (None, path),
    }
}

/// What stands behind `models/`, with the prefixes of Vertex. A name with a slash in it may stand there alone: some clients take
/// it for a resource of another kind.
fn gemini_models(rest: &str) -> Option<&str> {
    let rest = match rest.strip_prefix("/projects/") {
        Some(project) => project
            .split_once("/publishers/google")
            .map(|(_, rest)| rest)?,
        None => rest.strip_prefix("/publishers/google").unwrap_or(rest),
    };
    rest.strip_prefix("/models/").or_else(|| {
        let asked = || rest.rsplit_once(':').is_some_and(|(_, verb)| is_verb(verb));
        let whole = rest.starts_with("/tunedModels/") || asked();
        whole.then(|| rest.trim_start_matches('/'))
    })
}

fn is_verb(verb: &str) -> bool {
    matches!(
        verb,
        "generateContent"
            | "streamGenerateContent"
            | "countTokens"
            | "embedContent"
            | "batchEmbedContents"
    )
}

/// Doors of these APIs that later versions add.
fn is_later(rest: &str) -> bool {
    const LATER: [&str; 12] = [
        "/completions",
        "/responses",
        "/embeddings",
        "/images",
        "/audio",
        "/moderations",
        "/rerank",
        "/files",
        "/batches",
        "/realtime",
        "/messages/batches",
        "/cachedContents",
    ];
    LATER.iter().any(|later| {
        rest.strip_prefix(later)
            .is_some_and(|tail| tail.is_empty() || tail.starts_with('/'))
    })
}

/// `GET /v1/models` belongs to three dialects; the headers tell whose client asks.
fn list_dialect(version: Option<&str>, headers: &HeaderMap, query: &str) -> DialectId {
    let has = |name| headers.contains_key(name);
    if matches!(version, Some("v1beta" | "v1alpha" | "v1beta1"))
        || has("x-goog-api-key")
        || has("x-goog-api-client")
        || query_has(query, "key")
    {
        DialectId::Gemini
    } else if has("anthropic-version") || has("x-api-key") {
        DialectId::Messages
    } else if query_has(query, "client_version") {
        DialectId::Responses
    } else {
        DialectId::Chat
    }
}

/// Whether the query holds `name=`.
pub(crate) fn query_has(query: &str, name: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(method: &Method, path: &str) -> String {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match find(method, path, &HeaderMap::new(), query) {
            Ok(Door::Answer(AnswerDoor { compact: true, .. })) => "compact".into(),
            Ok(Door::Answer(AnswerDoor {
                dialect,
                model,
                stream,
                compact: false,
            })) => {
                format!(
                    "{dialect} {} {}",
                    model.unwrap_or_default(),
                    stream.map_or("body", |stream| if stream { "stream" } else { "whole" })
                )
            }
            Ok(Door::CountTokens { dialect, model }) => {
                format!("count {dialect} {}", model.unwrap_or_default())
            }
            Ok(Door::Stored { id, what }) => format!("{what:?} {id}"),
            Ok(Door::Models { dialect }) => format!("models {dialect}"),
            Ok(Door::Model { dialect, model }) => format!("model {dialect} {model}"),
            Ok(Door::Telemetry) => "telemetry".into(),
            Ok(Door::Health(door)) => format!("health {door:?}"),
            Ok(Door::Home) => "home".into(),
            Err(NoDoor::Method(method)) => format!("only {method}"),
            Err(NoDoor::NotServed) => "later".into(),
            Err(NoDoor::Unknown) => "unknown".into(),
        }
    }

    #[test]
    fn every_path_form_finds_its_door() {
        let post =
            |path, expect: &str| assert_eq!(show(&Method::POST, path), expect, "POST {path}");
        let get = |path, expect: &str| assert_eq!(show(&Method::GET, path), expect, "GET {path}");
        post("/v1/chat/completions", "chat  body");
        post("/chat/completions", "chat  body");
        post("/v1/v1/chat/completions", "chat  body");
        post("//v1//chat/completions/", "chat  body");
        post("/openai/v1/chat/completions", "chat  body");
        post(
            "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            "chat gpt-4o body",
        );
        post(
            "/openai/deployments/a%2Fb/chat/completions",
            "chat a/b body",
        );
        post("/v1/messages?beta=true", "messages  body");
        post("/anthropic/v1/messages", "messages  body");
        post("/messages", "messages  body");
        post("/v1/anthropic/completions", "messages  body");
        post("/v1/messages/count_tokens?beta=true", "count messages ");
        post(
            "/v1beta/models/gemini-2.5-pro:generateContent",
            "gemini gemini-2.5-pro whole",
        );
        post(
            "/v1/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            "gemini gemini-2.5-pro stream",
        );
        post("/v1alpha/models/x:countTokens", "count gemini x");
        post("/models/x:generateContent", "gemini x whole");
        post("/v1beta/up/x:generateContent", "gemini up/x whole");
        post("/v1beta/up/x:free", "unknown");
        post("/v1/v1beta/models/x:generateContent", "gemini x whole");
        post(
            "/v1beta/models/up-chat/replay-01~x:generateContent",
            "gemini up-chat/replay-01~x whole",
        );
        post(
            "/v1beta/models/up-chat%2Freplay:free%3AstreamGenerateContent",
            "gemini up-chat/replay:free stream",
        );
        post(
            "/publishers/google/models/x:generateContent",
            "gemini x whole",
        );
        post(
            "/v1beta1/projects/p/locations/l/publishers/google/models/x:generateContent",
            "gemini x whole",
        );
        post(
            "/v1beta/tunedModels/x:generateContent",
            "gemini tunedModels/x whole",
        );
        post("/v1/gemini/completions", "gemini  body");
        post("/gemini/v1beta/models/x:generateContent", "gemini x whole");
        post("/v1beta/models/x:embedContent", "later");
        post("/v1/responses", "responses  body");
        post("/v1/responses/input_tokens", "count responses ");
        post("/responses/input_tokens/", "count responses ");
        post("/v1/responses/compact", "compact");
        post("/v1/responses/resp_1/cancel", "Cancel resp_1");
        post("/v1/responses/resp_1", "only GET or DELETE");
        get("/v1/responses/resp_1?stream=true", "Retrieve resp_1");
        get("/openai/v1/v1/responses/resp%2F1", "Retrieve resp/1");
        get("/responses/resp_1/input_items", "InputItems resp_1");
        get("/v1/responses/resp_1/nothing", "unknown");
        assert_eq!(
            show(&Method::DELETE, "/v1/responses/resp_1"),
            "Delete resp_1"
        );
        post("/v1/embeddings", "later");
        post("/v1/nothing", "unknown");
        get("/v1/chat/completions", "only POST");
        get("/v1/models", "models chat");
        get("/v1/models?key=k", "models gemini");
        get("/v1/models?client_version=0.169.0", "models responses");
        get("/v1/v1/models", "models chat");
        get("/v1/models%23", "models chat");
        get("/api/hello", "home");
        post("/v1/chat/completions%23", "chat  body");
        post("/api/event_logging/batch", "telemetry");
        post("/api/event_logging/v2/batch", "telemetry");
        post("/api/claude_cli/metrics", "telemetry");
        post("/api/claude_cli_feedback", "telemetry");
        post("/api/claude_client", "unknown");
        post("/v1internal:loadCodeAssist", "unknown");
        get("/v1beta/models", "models gemini");
        get("/v1/models/openai/gpt-4o", "model chat openai/gpt-4o");
        get("/v1/models/llama:8b", "model chat llama:8b");
        get("/v1beta/models/x", "model gemini x");
        get("/health", "health Summary");
        get("/health/live", "health Live");
        get("/health/ready/", "health Ready");
        post("/api/v1/nothing", "unknown");
        get("/", "home");
        get("", "home");
        post("/v1/models", "only GET");
        post("/", "only GET");
    }

    #[test]
    fn errors_of_unknown_paths_are_in_a_dialect_that_the_client_reads() {
        for (path, expect) in [
            ("/v1internal:loadCodeAssist", DialectId::Gemini),
            ("/v1beta/models/x:inventContent", DialectId::Gemini),
            ("/upload/v1beta/files", DialectId::Gemini),
            ("/v1/cachedContents", DialectId::Gemini),
            ("/api/oauth/claude_cli/roles", DialectId::Messages),
            ("/v1/messages/batches", DialectId::Messages),
            ("/v1/responses/compact", DialectId::Responses),
            ("/v1/embeddings", DialectId::Chat),
            ("/api/status", DialectId::Chat),
        ] {
            assert_eq!(guess_dialect(path, &HeaderMap::new(), ""), expect, "{path}");
        }
    }

    #[test]
    fn headers_tell_whose_list_is_wanted() {
        let ask = |name: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, "x".parse().unwrap());
            find(&Method::GET, "/v1/models", &headers, "").unwrap()
        };
        assert_eq!(
            ask("anthropic-version"),
            Door::Models {
                dialect: DialectId::Messages
            }
        );
        assert_eq!(
            ask("x-goog-api-key"),
            Door::Models {
                dialect: DialectId::Gemini
            }
        );
        assert_eq!(
            ask("authorization"),
            Door::Models {
                dialect: DialectId::Chat
            }
        );
    }
}
