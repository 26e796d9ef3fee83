//! `GET` and `POST /api/v1/routes/explain`: where a request would go, why, and why not elsewhere.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use jiff::civil::DateTime;
use lingate_dialect::{DialectId, Mint, hub};
use lingate_metering::tenant::Directory;
use lingate_routing::{Ask, Auth, CallerKeys, Clock, Facts, Moment, Purse, Snapshot};
use serde_json::{Map, Value};

use super::explanation;
use super::problem::Problem;
use super::wall::Wall;
use crate::caller::Caller;
use crate::doors::AnswerDoor;
use crate::exchange::Exchange;
use crate::facts::{self, Found, Reading, Told};
use crate::service::{dice, seconds_since_1970};

/// What is asked: a request, written down or described. What is described counts more than what is written.
#[derive(Debug, Default)]
pub(super) struct Question {
    model: Option<String>,
    dialect: Option<DialectId>,
    stream: Option<bool>,
    headers: Vec<(String, String)>,
    tokens: Option<u64>,
    max_output: Option<u64>,
    tools: Vec<String>,
    thinking: Option<bool>,
    image: Option<bool>,
    text: Option<String>,
    user: Option<String>,
    session: Option<String>,
    tags: Vec<String>,
    /// The name of the key that would be shown.
    caller: Option<String>,
    at: Option<At>,
    /// The body of a request.
    request: Option<Bytes>,
}

/// When the request would come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Wherever a route looks at the clock, it reads this.
    Clock(DateTime),
    Moment(Timestamp),
}

const FIELDS: &str = "model, dialect, stream, headers, tokens, max_output, tools, thinking, image, text, user, session, tags, caller, at, request";

impl Question {
    pub(super) fn of_json(body: &[u8]) -> Result<Self, Problem> {
        let body: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| Problem::bad(format!("the body is not a JSON object: {error}")))?;
        let mut question = Self::default();
        for (name, value) in body {
            question.set(&name, value)?;
        }
        Ok(question)
    }

    /// `header`, `tool` and `tag` may be there several times.
    pub(super) fn of_query(query: &[(String, String)]) -> Result<Self, Problem> {
        let mut question = Self::default();
        for (name, value) in query {
            let text = || Value::String(value.clone());
            let value = match name.as_str() {
                "header" => {
                    let header = value.split_once(':').ok_or_else(|| {
                        Problem::bad(format!("`header` is '{value}', not `name: value`"))
                    })?;
                    question.header(header.0, header.1)?;
                    continue;
                }
                "tool" => {
                    question.tools.push(value.clone());
                    continue;
                }
                "tag" => {
                    question.tags.push(value.clone());
                    continue;
                }
                "tokens" | "max_output" => {
                    value.parse::<u64>().map_or_else(|_| text(), Value::from)
                }
                "thinking" | "image" | "stream" => match value.as_str() {
                    "" | "true" => Value::Bool(true),
                    "false" => Value::Bool(false),
                    _ => text(),
                },
                "key" => continue,
                "request" => {
                    return Err(Problem::bad("`request` takes a body: POST it"));
                }
                _ => text(),
            };
            question.set(name, value)?;
        }
        Ok(question)
    }

    fn set(&mut self, name: &str, value: Value) -> Result<(), Problem> {
        let wrong = |expected: &str| Problem::bad(format!("`{name}` is not {expected}"));
        if value.is_null() {
            return Ok(());
        }
        let text = |value: Value| match value {
            Value::String(text) if !text.is_empty() => Ok(Some(text)),
            _ => Err(wrong("a text")),
        };
        let number = |value: Value| value.as_u64().map(Some).ok_or_else(|| wrong("a number"));
        let bool = |value: Value| {
            value
                .as_bool()
                .map(Some)
                .ok_or_else(|| wrong("true or false"))
        };
        let texts = |value: Value| match value {
            Value::Array(list) => {
                let texts = list.into_iter().map(|value| match value {
                    Value::String(text) => Ok(text),
                    _ => Err(wrong("a list of texts")),
                });
                texts.collect::<Result<Vec<_>, _>>()
            }
            Value::String(one) => Ok(vec![one]),
            _ => Err(wrong("a list of texts")),
        };
        match name {
            "model" => self.model = text(value)?,
            "dialect" => {
                let name = text(value)?.unwrap_or_default();
                let known = DialectId::from_name(&name).ok_or_else(|| {
                    let known = DialectId::ALL.map(DialectId::name).join(", ");
                    Problem::bad(format!("`dialect` is '{name}', none of {known}"))
                })?;
                self.dialect = Some(known);
            }
            "stream" => self.stream = bool(value)?,
            "headers" => {
                let Value::Object(headers) = value else {
                    return Err(wrong("an object of names and texts"));
                };
                for (name, value) in headers {
                    let Value::String(value) = value else {
                        return Err(wrong("an object of names and texts"));
                    };
                    self.header(&name, &value)?;
                }
            }
            "tokens" => self.tokens = number(value)?,
            "max_output" => self.max_output = number(value)?,
            "tools" => self.tools = texts(value)?,
            "thinking" => self.thinking = bool(value)?,
            "image" => self.image = bool(value)?,
            "text" => self.text = text(value)?,
            "user" => self.user = text(value)?,
            "session" => self.session = text(value)?,
            "tags" => self.tags = texts(value)?,
            "caller" => self.caller = text(value)?,
            "at" => {
                let text = text(value)?.unwrap_or_default();
                self.at = Some(At::parse(&text).ok_or_else(|| {
                    Problem::bad(format!(
                        "`at` is '{text}'; expected 2026-11-30T22:00, or with a zone 2026-11-30T22:00:00Z"
                    ))
                })?);
            }
            "request" => {
                if !value.is_object() {
                    return Err(wrong("a body of a request: an object"));
                }
                self.request = Some(Bytes::from(value.to_string()));
            }
            _ => {
                return Err(Problem::bad(format!(
                    "`{name}` is not known here; there are: {FIELDS}"
                )));
            }
        }
        Ok(())
    }

    fn header(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let known = HeaderName::from_bytes(name.as_bytes()).is_ok();
        if !known || HeaderValue::from_str(value).is_err() {
            return Err(Problem::bad(format!(
                "'{name}' cannot be a header with this value"
            )));
        }
        self.headers.push((name, value.to_owned()));
        Ok(())
    }

    /// What the body is written in, where nobody says.
    fn written(&self) -> DialectId {
        let request = self.request.as_deref().unwrap_or_default();
        let body: Option<Map<String, Value>> = serde_json::from_slice(request).ok();
        let has = |name: &str| body.as_ref().is_some_and(|body| body.contains_key(name));
        self.dialect.unwrap_or_else(|| {
            if has("contents") {
                DialectId::Gemini
            } else if has("input") {
                DialectId::Responses
            } else if has("system") || has("anthropic_version") {
                DialectId::Messages
            } else {
                DialectId::Chat
            }
        })
    }
}

impl At {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(moment) = text.parse() {
            return Some(Self::Moment(moment));
        }
        text.parse().ok().map(Self::Clock)
    }
}

/// Explains a question about a configuration that is not running; `question` as `POST /api/v1/routes/explain` takes it.
///
/// # Errors
///
/// What is wrong with the question.
pub fn explain(
    snapshot: Snapshot,
    directory: &Directory,
    question: &[u8],
) -> Result<Value, String> {
    let question = Question::of_json(question).map_err(|problem| problem.detail)?;
    let explained = tell(&Arc::new(snapshot), directory, &question, Moment::default());
    explained.map_err(|problem| problem.detail)
}

pub(super) fn tell(
    snapshot: &Arc<Snapshot>,
    directory: &Directory,
    question: &Question,
    now: Moment,
) -> Result<Value, Problem> {
    let caller = caller(directory, question.caller.as_deref())?;
    let mut headers = HeaderMap::new();
    for (name, value) in &question.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            headers.append(name, value);
        }
    }
    let dialect = question.written();
    let seconds = match question.at {
        Some(At::Moment(moment)) => moment.as_second(),
        Some(At::Clock(_)) | None => seconds_since_1970(),
    };
    let exchange = match &question.request {
        None => None,
        Some(body) => Some(exchange(
            snapshot, question, dialect, seconds, &headers, body,
        )?),
    };
    let (request, found) = (hub::Request::default(), Found::default());
    let told = match &exchange {
        Some(exchange) => exchange.facts(&caller),
        None => Told {
            caller: &caller,
            headers: &headers,
            body: &[],
            model: question.model.as_deref().unwrap_or(""),
            now: seconds,
            request: Reading::Done(&request),
            found: &found,
        },
    };
    let (model, stream) = if let Some(exchange) = &exchange {
        (exchange.routed_model(), exchange.stream)
    } else {
        let model = question.model.as_deref();
        let model = model.ok_or_else(|| Problem::bad("`model` is missing"))?;
        (model, question.stream.unwrap_or(false))
    };
    let ask = Ask {
        model,
        dialect,
        stream,
        facts: &Supposed { told, question },
    };
    let purse = if snapshot.auth == Auth::Passthrough {
        Purse::Caller {
            keys: Arc::from([]),
            memory: Arc::new(CallerKeys::new(1)),
        }
    } else {
        Purse::Pool
    };
    let explained = lingate_routing::explain(snapshot, &ask, &purse, now, &mut dice);
    Ok(explanation::tell(&explained, dialect, now, Wall::at(now)))
}

fn exchange(
    snapshot: &Arc<Snapshot>,
    question: &Question,
    dialect: DialectId,
    now: i64,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Exchange, Problem> {
    let door = AnswerDoor {
        dialect,
        model: question.model.clone(),
        stream: question.stream,
        compact: false,
    };
    let mint = Mint { now, id: 0 };
    let (headers, query) = (headers.clone(), String::new());
    let read = Exchange::new(
        door,
        mint,
        headers,
        query,
        body.clone(),
        Arc::clone(snapshot),
    );
    let wrong = |message: &str| Problem::bad(format!("`request`: {message}"));
    let exchange = read.map_err(|error| wrong(&error.message))?;
    exchange
        .decoded()
        .map_err(|failure| wrong(&failure.error.message))?;
    Ok(exchange)
}

/// The caller whose key has this name.
fn caller(directory: &Directory, name: Option<&str>) -> Result<Caller, Problem> {
    let Some(name) = name else {
        return Ok(Caller::Open(Arc::clone(directory.anyone())));
    };
    match directory.called(name) {
        Ok(principal) => Ok(Caller::Named(Arc::clone(principal))),
        Err(0) => Err(Problem::bad(format!(
            "`caller`: no key has the name '{name}'"
        ))),
        Err(several) => Err(Problem::bad(format!(
            "`caller`: {several} keys have the name '{name}'; say `organization/project/{name}`"
        ))),
    }
}

/// What the request says, but for what is supposed.
struct Supposed<'a> {
    told: Told<'a>,
    question: &'a Question,
}

impl Facts for Supposed<'_> {
    fn key(&self) -> Option<&str> {
        self.told.key()
    }

    fn tenant(&self) -> Option<&str> {
        self.told.tenant()
    }

    fn tags(&self) -> Vec<Cow<'_, str>> {
        let supposed = self.question.tags.iter();
        let mut tags = self.told.tags();
        tags.extend(supposed.map(|tag| Cow::Borrowed(tag.as_str())));
        tags
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.told.header(name)
    }

    fn tokens(&self) -> u64 {
        self.question.tokens.unwrap_or_else(|| self.told.tokens())
    }

    fn max_output(&self) -> Option<u64> {
        self.question.max_output.or_else(|| self.told.max_output())
    }

    fn tools(&self) -> Vec<Cow<'_, str>> {
        let supposed = self.question.tools.iter();
        let mut tools = self.told.tools();
        tools.extend(supposed.map(|tool| Cow::Borrowed(tool.as_str())));
        tools
    }

    fn thinking(&self) -> bool {
        let supposed = self.question.thinking;
        supposed.unwrap_or_else(|| self.told.thinking())
    }

    fn images(&self) -> bool {
        self.question.image.unwrap_or_else(|| self.told.images())
    }

    fn last_text(&self) -> Cow<'_, str> {
        match &self.question.text {
            Some(text) => Cow::Borrowed(text),
            None => self.told.last_text(),
        }
    }

    fn user(&self) -> Option<Cow<'_, str>> {
        match &self.question.user {
            Some(user) => Some(Cow::Borrowed(user)),
            None => self.told.user(),
        }
    }

    fn session(&self) -> Option<Cow<'_, str>> {
        match &self.question.session {
            Some(session) => Some(Cow::Borrowed(session)),
            None => self.told.session(),
        }
    }

    fn prefix(&self) -> u64 {
        self.told.prefix()
    }

    fn clock(&self, zone: &str) -> Option<Clock> {
        match self.question.at {
            Some(At::Clock(clock)) => facts::read_off(clock),
            Some(At::Moment(_)) | None => self.told.clock(zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_cannot_be_understood_say_why() {
        let check = |body: &str, expect: &str| {
            let problem = Question::of_json(body.as_bytes()).map(|_| ()).unwrap_err();
            assert!(
                problem.detail.contains(expect),
                "{body}: {}",
                problem.detail
            );
        };
        check("[]", "JSON object");
        check(r#"{"modle": "m"}"#, "`modle` is not known here");
        check(r#"{"model": 7}"#, "`model` is not a text");
        check(
            r#"{"dialect": "smtp"}"#,
            "none of chat, responses, messages, gemini",
        );
        check(r#"{"tokens": -1}"#, "`tokens` is not a number");
        check(r#"{"at": "tomorrow"}"#, "2026-11-30T22:00");
        check(r#"{"headers": {"x y": "1"}}"#, "cannot be a header");
        check(r#"{"tools": [1]}"#, "a list of texts");
        check(r#"{"request": "x"}"#, "an object");
    }

    #[test]
    fn times_with_and_without_a_zone() {
        let clock = At::parse("2026-11-30T22:00");
        assert!(matches!(clock, Some(At::Clock(_))), "{clock:?}");
        for zoned in ["2026-11-30T22:00:00Z", "2026-11-30T22:00+08:00"] {
            let moment = At::parse(zoned);
            assert!(matches!(moment, Some(At::Moment(_))), "{zoned} {moment:?}");
        }
        assert_eq!(At::parse("22:00"), None);
    }

    #[test]
    fn the_body_tells_its_dialect() {
        for (body, expect) in [
            (r#"{"contents": []}"#, DialectId::Gemini),
            (r#"{"input": "Hi"}"#, DialectId::Responses),
            (r#"{"messages": [], "system": "x"}"#, DialectId::Messages),
            (r#"{"messages": []}"#, DialectId::Chat),
        ] {
            let question = format!(r#"{{"request": {body}}}"#);
            let question = Question::of_json(question.as_bytes()).unwrap();
            assert_eq!(question.written(), expect, "{body}");
        }
    }
}
