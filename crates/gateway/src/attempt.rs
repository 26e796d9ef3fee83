//! One attempt: the request as one target wants it, sent with one key, up to an answer that can be given to the caller.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use lingate_dialect::envelope::Envelope;
use lingate_dialect::framing::Framing;
use lingate_dialect::json::Node;
use lingate_dialect::meter;
use lingate_dialect::stream::{End, Outcome, Tap, Transcoder};
use lingate_dialect::{
    ApiError, BadAnswer, DialectId, ErrorKind, Losses, Refusal, Reply, Target as DialectTarget, hub,
};
use lingate_routing::{Cooldown, Endpoint, Kind, LossPolicy, Target, UsagePolicy};
use lingate_upstream::{Operation, Payload, SendError};
use secrecy::SecretString;
use serde_json::value::RawValue;

use crate::body::{ReadError, UpstreamBody};
use crate::exchange::{Exchange, malformed};
use crate::relay::{self, Flow, Hold, Lane, Source};
use crate::{Gateway, demo, headers};

/// The longest whole answer that is read, in bytes.
const WHOLE: usize = 64 << 20;
/// The longest error answer that is read, in bytes.
const ERROR: usize = 1 << 20;

/// An answer that can be given to the caller.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The upstream's headers, where its answer is given as it is.
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// Where the request lost something, in the caller's terms.
    pub(crate) losses: Vec<String>,
}

#[derive(Debug)]
pub(crate) enum Content {
    Whole {
        body: Bytes,
        outcome: Outcome,
        usage: Option<hub::Usage>,
    },
    Stream(Box<Flow>),
}

/// Why an attempt gave no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ApiError,
    /// The upstream's own words, to be given as they are when the caller speaks its dialect.
    pub(crate) verbatim: Option<Box<(StatusCode, HeaderMap, Bytes)>>,
    pub(crate) next: Next,
}

/// What may be tried after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The request itself is at fault.
    Nothing,
    /// The key was turned away; it rests.
    Key(Cooldown),
    /// The upstream is at fault.
    Target,
}

impl Failure {
    pub(crate) fn of_request(error: ApiError) -> Self {
        Self {
            error,
            verbatim: None,
            next: Next::Nothing,
        }
    }

    /// The same without the key, should the upstream have repeated it: neither callers nor the log may see it.
    pub(crate) fn without_secret(mut self, key: &SecretString) -> Self {
        let error = &mut self.error;
        for text in [
            Some(&mut error.message),
            error.code.as_mut(),
            error.param.as_mut(),
        ]
        .into_iter()
        .flatten()
        {
            let bytes = lingate_upstream::without_secret(Bytes::from(std::mem::take(text)), key);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        if let Some(verbatim) = &mut self.verbatim {
            let (_, headers, body) = &mut **verbatim;
            *body = lingate_upstream::without_secret(std::mem::take(body), key);
            for value in headers.values_mut() {
                let bytes = Bytes::copy_from_slice(value.as_bytes());
                let clean = lingate_upstream::without_secret(bytes, key);
                if clean != value.as_bytes() {
                    *value = HeaderValue::from_static("***");
                }
            }
        }
        self
    }

    fn of_upstream(error: ApiError) -> Self {
        Self {
            error,
            verbatim: None,
            next: Next::Target,
        }
    }
}

/// A request body as one target wants it.
struct Prepared {
    body: Payload,
    losses: Vec<String>,
    renamed_tools: Vec<(String, String)>,
    /// The upstream is asked for a stream.
    stream: bool,
    /// Bytes go through: nothing is converted on the way back.
    through: bool,
    /// The upstream was asked for usage, and the caller was not the one who asked.
    hide_usage: bool,
}

impl Gateway {
    /// Makes one attempt. `key` is `None` for providers that need none.
    pub(crate) async fn attempt(
        &self,
        exchange: &Exchange,
        target: &Target,
        key: Option<&SecretString>,
    ) -> Result<Answer, Failure> {
        let endpoint = endpoint(target)?;
        let prepared = prepare(exchange, target, endpoint)?;
        let (status, upstream_headers, body) = match target.provider.kind {
            Kind::Demo => {
                let id = exchange.mint.id("", 0);
                (
                    StatusCode::OK,
                    demo::headers(prepared.stream),
                    UpstreamBody::Demo(demo::answer(
                        &prepared.body.joined(),
                        exchange.mint.now,
                        &id,
                    )),
                )
            }
            Kind::Http => {
                self.send(exchange, target, endpoint, &prepared, key)
                    .await?
            }
        };
        if !status.is_success() {
            return Err(refused(exchange, endpoint.dialect, status, &upstream_headers, body).await);
        }
        if prepared.stream {
            return stream(exchange, endpoint, prepared, &upstream_headers, body, key).await;
        }
        let read = body
            .read(WHOLE, exchange.snapshot.defaults.idle_timeout)
            .await;
        let whole = read.map_err(|error| Failure::of_upstream(unreadable(error)))?;
        whole_answer(
            exchange,
            endpoint.dialect,
            prepared,
            &upstream_headers,
            whole,
        )
    }

    async fn send(
        &self,
        exchange: &Exchange,
        target: &Target,
        endpoint: &Endpoint,
        prepared: &Prepared,
        key: Option<&SecretString>,
    ) -> Result<(StatusCode, HeaderMap, UpstreamBody), Failure> {
        let same = endpoint.dialect == exchange.dialect;
        let internal =
            |message: String| Failure::of_upstream(ApiError::new(ErrorKind::Internal, message));
        let client = self
            .clients
            .get(target.provider.proxy.as_deref())
            .map_err(|error| internal(format!("provider '{}': {error}", target.provider.name)))?;
        let operation = match endpoint.dialect {
            DialectId::Chat => Operation::ChatCompletions,
            DialectId::Messages => Operation::Messages,
            DialectId::Gemini if prepared.stream => Operation::StreamGenerateContent {
                sse: !same || exchange.framing == Framing::Sse,
            },
            DialectId::Gemini => Operation::GenerateContent,
        };
        let query = if same { exchange.query.as_str() } else { "" };
        let url = lingate_upstream::url(&endpoint.base_url, operation, &target.model, query);
        let mut request = Request::new(prepared.body.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().map_err(|_| {
            internal(format!(
                "provider '{}' has a base URL that makes no valid address",
                target.provider.name
            ))
        })?;
        *request.headers_mut() = upstream_headers(same.then_some(&exchange.headers), endpoint);
        if let Some(key) = key {
            let written = lingate_upstream::authorize(
                request.headers_mut(),
                &endpoint.auth.header,
                &endpoint.auth.format,
                key,
            );
            written.map_err(|error| {
                internal(format!("provider '{}': {error}", target.provider.name))
            })?;
        }
        // A whole answer begins when it is complete; only a stream has a first byte to wait for.
        let defaults = &exchange.snapshot.defaults;
        let patience = if prepared.stream {
            defaults.first_byte_timeout
        } else {
            defaults.request_timeout
        };
        let response = lingate_upstream::send(&client, request, patience)
            .await
            .map_err(|error| Failure::of_upstream(unsent(&error)))?;
        let (parts, body) = response.into_parts();
        let Some(body) = UpstreamBody::new(body, &parts.headers) else {
            return Err(Failure::of_upstream(ApiError::new(
                ErrorKind::UpstreamMalformed,
                "the upstream compressed its answer in an unknown way",
            )));
        };
        Ok((parts.status, parts.headers, body))
    }
}

fn prepare(exchange: &Exchange, target: &Target, endpoint: &Endpoint) -> Result<Prepared, Failure> {
    let defaults = &exchange.snapshot.defaults;
    let force_whole = exchange.stream && defaults.force_non_stream;
    if endpoint.dialect == exchange.dialect && !force_whole {
        let (body, hide_usage) =
            through(exchange, target, defaults.usage).map_err(Failure::of_request)?;
        return Ok(Prepared {
            body,
            losses: Vec::new(),
            renamed_tools: Vec::new(),
            stream: exchange.stream,
            through: true,
            hide_usage,
        });
    }
    let client = exchange.dialect.dialect();
    let mut request = Cow::Borrowed(exchange.decoded()?);
    if force_whole {
        request.to_mut().stream = false;
    }
    let catalog = lingate_catalog::builtin();
    let quirks = catalog.quirks(
        target.provider.catalog_id.as_deref(),
        &target.model,
        endpoint.dialect,
    );
    let max_output = catalog
        .model(&target.model)
        .and_then(|model| model.max_output);
    let dialect_target = DialectTarget {
        model: &target.model,
        quirks: &quirks,
        max_output,
        default_max_tokens: defaults.max_tokens,
    };
    let mut losses = Losses::default();
    let encoded = endpoint
        .dialect
        .dialect()
        .encode_request(&request, &dialect_target, &mut losses);
    let encoded =
        encoded.map_err(|refusal| Failure::of_request(unsupported(exchange.dialect, &refusal)))?;
    if defaults.losses == LossPolicy::Reject
        && let Some(loss) = losses.iter().next()
    {
        let path = loss.path(client);
        let message = format!(
            "{path}: {} (losses are rejected: `defaults.losses`)",
            loss.note
        );
        return Err(Failure::of_request(
            ApiError::new(ErrorKind::Unsupported, message)
                .param(path)
                .code("unsupported_by_upstream"),
        ));
    }
    let losses = if defaults.losses == LossPolicy::Ignore {
        Vec::new()
    } else {
        losses.paths(client)
    };
    Ok(Prepared {
        body: Payload::from(Bytes::from(encoded.body)),
        losses,
        renamed_tools: encoded.renamed_tools,
        stream: request.stream,
        through: false,
        hide_usage: false,
    })
}

/// A streamed answer, opened up to its first content. An upstream that answers in one piece all the same is read as such; its
/// bytes tell, because some say the wrong content type.
async fn stream(
    exchange: &Exchange,
    endpoint: &Endpoint,
    prepared: Prepared,
    upstream_headers: &HeaderMap,
    mut body: UpstreamBody,
    key: Option<&SecretString>,
) -> Result<Answer, Failure> {
    let idle = exchange.snapshot.defaults.idle_timeout;
    let first = relay::first(&mut body, idle)
        .await
        .map_err(Failure::of_upstream)?;
    let array = exchange.dialect == DialectId::Gemini && exchange.framing == Framing::JsonArray;
    let expected = if endpoint.dialect == exchange.dialect && array {
        Framing::JsonArray
    } else {
        Framing::Sse
    };
    let begin = first
        .as_ref()
        .and_then(|data| data.trim_ascii_start().first())
        .copied();
    let as_asked = match expected {
        Framing::Sse => !matches!(begin, Some(b'{' | b'[' | b'<')),
        Framing::JsonArray => begin == Some(b'['),
    };
    let through = prepared.through && as_asked;
    let client = exchange.dialect.dialect();
    let reply = exchange.reply(prepared.through);
    let lane = if through {
        Lane::Tap {
            tap: Box::new(Tap::new(client, expected)),
            hold: Hold::new(expected, prepared.hide_usage),
            dialect: exchange.dialect,
            reply: Box::new(reply),
        }
    } else {
        let upstream = endpoint.dialect.dialect();
        Lane::Convert(Box::new(Transcoder::new(
            upstream,
            client,
            &reply,
            expected,
            exchange.framing,
            prepared.renamed_tools,
        )))
    };
    let source = Flow::new(body, lane, key.cloned())
        .open(first, idle)
        .await
        .map_err(Failure::of_upstream)?;
    let mut headers = if through {
        headers::for_caller(upstream_headers)
    } else {
        HeaderMap::new()
    };
    // The bytes tell what they are; another name for them would mislead the caller.
    let right = match expected {
        Framing::Sse => "text/event-stream",
        Framing::JsonArray => "application/json",
    };
    let named = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with(right));
    if !named {
        headers.remove(header::CONTENT_TYPE);
    }
    let content = match source {
        Source::Flow(flow) => Content::Stream(flow),
        Source::Whole {
            body,
            outcome,
            usage,
        } => Content::Whole {
            body,
            outcome,
            usage,
        },
    };
    Ok(Answer {
        status: StatusCode::OK,
        headers,
        content,
        losses: prepared.losses,
    })
}

pub(crate) fn endpoint(target: &Target) -> Result<&Endpoint, Failure> {
    let missing = || {
        Failure::of_upstream(ApiError::new(
            ErrorKind::Internal,
            format!("provider '{}' has no endpoint", target.provider.name),
        ))
    };
    target
        .provider
        .endpoints
        .get(target.endpoint)
        .ok_or_else(missing)
}

/// The same bytes, but for the model's name and configured edits; and whether the upstream was asked for usage on Lingate's behalf.
fn through(
    exchange: &Exchange,
    target: &Target,
    usage: UsagePolicy,
) -> Result<(Payload, bool), ApiError> {
    let may_ask =
        usage == UsagePolicy::Require && exchange.dialect == DialectId::Chat && exchange.stream;
    let rename = exchange.model_in_body() && exchange.model != target.model;
    if !may_ask {
        let body = if rename {
            exchange.with_model(&target.model)?
        } else {
            Payload::from(exchange.body.clone())
        };
        return Ok((body, false));
    }
    let mut envelope = Envelope::scan(&exchange.body).map_err(|fault| malformed(&fault))?;
    if rename {
        envelope.set_text("model", &target.model);
    }
    let asked = || {
        let options = envelope.node("stream_options").ok()??.fields().ok()?;
        options.get("include_usage")?.bool()
    };
    let ask = may_ask && asked() != Some(true);
    if ask {
        envelope.set_inside("stream_options", "include_usage", &yes());
    }
    Ok((Payload::from(Bytes::from(envelope.apply())), ask))
}

fn yes() -> Box<RawValue> {
    #[expect(clippy::expect_used, reason = "the word is valid JSON")]
    RawValue::from_string("true".to_owned()).expect("true is JSON")
}

/// `caller`: the caller's headers, where its dialect is the upstream's.
pub(crate) fn upstream_headers(caller: Option<&HeaderMap>, endpoint: &Endpoint) -> HeaderMap {
    let mut headers = caller.map_or_else(HeaderMap::new, headers::for_upstream);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!(
            "lingate/",
            env!("CARGO_PKG_VERSION")
        )));
    for (name, value) in &endpoint.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            headers.entry(name).or_insert(value);
        }
    }
    headers
}

/// A whole answer, as the caller reads it.
fn whole_answer(
    exchange: &Exchange,
    upstream: DialectId,
    mut prepared: Prepared,
    upstream_headers: &HeaderMap,
    body: Bytes,
) -> Result<Answer, Failure> {
    let bad = |bad: BadAnswer| {
        Failure::of_upstream(match bad {
            BadAnswer::Error(error) => error,
            BadAnswer::Malformed(fault) => ApiError::new(
                ErrorKind::UpstreamMalformed,
                format!("the upstream's answer is not one of the {upstream} dialect: {fault}"),
            )
            .code("upstream_malformed"),
        })
    };
    if prepared.through && !exchange.stream {
        let summary = meter::read(upstream.dialect(), &body);
        // An answer of a kind that is not known here still goes through, as long as it is JSON.
        if let Some(error) = summary
            .error
            .filter(|error| error.kind != ErrorKind::UpstreamMalformed || !is_json(&body))
        {
            return Err(Failure::of_upstream(error));
        }
        let (usage, outcome) = (summary.usage, summary.outcome);
        let headers = headers::for_caller(upstream_headers);
        return Ok(Answer {
            status: StatusCode::OK,
            headers,
            content: Content::Whole {
                body,
                outcome,
                usage,
            },
            losses: prepared.losses,
        });
    }
    let client = exchange.dialect.dialect();
    let reply = exchange.reply(prepared.through);
    if exchange.stream {
        // The caller wants a stream and the upstream was asked for a whole answer: it is told event by event.
        let mut transcoder = Transcoder::new(
            upstream.dialect(),
            client,
            &reply,
            Framing::Sse,
            exchange.framing,
            prepared.renamed_tools,
        );
        let mut out = Vec::new();
        // What cannot be read is the transcoder's to tell, below.
        let _told = transcoder.push(&body, &mut out);
        let summary = transcoder.end(End::Eof, &mut out);
        if let Some(error) = summary.error {
            return Err(Failure::of_upstream(error));
        }
        let content = Content::Whole {
            body: Bytes::from(out),
            outcome: summary.outcome,
            usage: summary.usage,
        };
        return Ok(Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            content,
            losses: prepared.losses,
        });
    }
    let mut response = upstream.dialect().decode_response(&body).map_err(bad)?;
    response.rename_tools(&prepared.renamed_tools);
    let mut losses = Losses::default();
    let out = client.encode_response(&response, &reply, &mut losses);
    if exchange.snapshot.defaults.losses != LossPolicy::Ignore {
        // In the terms of the upstream, whose answer it was.
        let paths = losses.paths(upstream.dialect());
        prepared
            .losses
            .extend(paths.into_iter().map(|path| format!("answer.{path}")));
    }
    let outcome = outcome(&response);
    let content = Content::Whole {
        body: Bytes::from(out),
        outcome,
        usage: response.usage,
    };
    Ok(Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        content,
        losses: prepared.losses,
    })
}

fn is_json(body: &[u8]) -> bool {
    Node::parse(body).is_ok_and(|body| body.is_object() || body.is_array())
}

fn outcome(response: &hub::Response) -> Outcome {
    response
        .choices
        .first()
        .map_or(Outcome::Complete, |choice| choice.finish.reason.into())
}

/// Reads an error answer and says what may be tried next.
async fn refused(
    exchange: &Exchange,
    upstream: DialectId,
    status: StatusCode,
    headers: &HeaderMap,
    body: UpstreamBody,
) -> Failure {
    let body = body
        .read(ERROR, exchange.snapshot.defaults.idle_timeout)
        .await
        .unwrap_or_default();
    let mut error = ApiError::decode(status.as_u16(), &body);
    if let Some(wait) = retry_after(headers) {
        error.retry_after = Some(wait);
    }
    let next = match error.kind {
        ErrorKind::Authentication | ErrorKind::Billing | ErrorKind::Permission => {
            Next::Key(Cooldown::Refused)
        }
        ErrorKind::RateLimited => Next::Key(Cooldown::Limited {
            retry_after: error.retry_after,
        }),
        ErrorKind::Upstream
        | ErrorKind::UpstreamMalformed
        | ErrorKind::Overloaded
        | ErrorKind::Timeout
        | ErrorKind::NotFound
        | ErrorKind::Internal => Next::Target,
        ErrorKind::BadRequest
        | ErrorKind::Unsupported
        | ErrorKind::ContextTooLong
        | ErrorKind::BodyTooLarge
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Conflict
        | ErrorKind::ContentPolicy
        | ErrorKind::NotImplemented => Next::Nothing,
    };
    // A redirect would lead the caller past the gateway, with its credential.
    let own_form = upstream == exchange.dialect
        && status.as_u16() >= 400
        && Node::parse(&body).is_ok_and(|body| body.is_object() || body.is_array());
    let verbatim = own_form.then(|| Box::new((status, headers::for_caller(headers), body)));
    Failure {
        error,
        verbatim,
        next,
    }
}

/// `retry-after-ms`, or `retry-after` in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| {
        headers
            .get(name)?
            .to_str()
            .ok()?
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|number| (0.0..1e9).contains(number))
    };
    let milliseconds = number("retry-after-ms").map(|number| number / 1000.0);
    milliseconds
        .or_else(|| number("retry-after"))
        .map(Duration::from_secs_f64)
}

fn unsupported(client: DialectId, refusal: &Refusal) -> ApiError {
    let path = client.dialect().locate(&refusal.at);
    let message = if path.is_empty() {
        refusal.message.clone()
    } else {
        format!("{path}: {}", refusal.message)
    };
    ApiError::new(ErrorKind::Unsupported, message)
        .param(path)
        .code("unsupported_by_upstream")
}

fn unsent(error: &SendError) -> ApiError {
    let kind = match error {
        SendError::Connect(_) => ErrorKind::Overloaded,
        SendError::FirstByteTimeout(_) => ErrorKind::Timeout,
        SendError::Broken(_) => ErrorKind::UpstreamMalformed,
    };
    ApiError::new(kind, error.to_string())
}

fn unreadable(error: ReadError) -> ApiError {
    match error {
        ReadError::Broken => crate::relay::broken(),
        ReadError::TooLarge => ApiError::new(
            ErrorKind::UpstreamMalformed,
            format!("the upstream's answer is larger than {WHOLE} bytes"),
        ),
        ReadError::Idle => ApiError::new(
            ErrorKind::Timeout,
            "the upstream fell silent in the middle of its answer",
        ),
    }
}

impl Exchange {
    /// How a reply is formed. Where bytes go `through`, the caller's request is not decoded for it: its own dialect's defaults.
    pub(crate) fn reply(&self, through: bool) -> Reply {
        if !through && let Ok(request) = self.decoded() {
            return Reply::to(request, self.mint);
        }
        Reply {
            model: self.model.clone(),
            mint: self.mint,
            include_usage: true,
            show_reasoning: true,
            legacy_function_call: false,
            enum_output: false,
        }
    }
}
