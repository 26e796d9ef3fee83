//! One attempt: the request as one target wants it, sent with one key, up to an answer that can be given to the caller.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use lingate_dialect::framing::Framing;
use lingate_dialect::stream::{Mender, Outcome, Summary, Tap, Transcoder};
use lingate_dialect::vault::{Sealer, Witness};
use lingate_dialect::{ApiError, DialectId, ErrorKind, Reply, hub};
use lingate_metering::limit;
use lingate_routing::{Class, Endpoint, Fault, KeyRef, Kind, Target};
use lingate_upstream::{Operation, SendError};
use secrecy::SecretString;

use crate::allowance::Allowance;
use crate::body::{ReadError, UpstreamBody};
use crate::caller::Caller;
use crate::exchange::Exchange;
use crate::learned::{Again, Without};
use crate::prepare::{Prepared, converts, prepare, upstream_headers};
use crate::proofs::Proofs;
use crate::record::Record;
use crate::refused::refused;
use crate::relay::{self, Flow, Hold, Lane, Source};
use crate::whole::whole_answer;
use crate::{Gateway, demo, fault, headers};

/// The longest whole answer that is read, in bytes.
const WHOLE: usize = 64 << 20;

/// The key of an attempt.
#[derive(Debug)]
pub(crate) struct With<'a> {
    /// `None` for providers that need none.
    pub(crate) secret: Option<&'a SecretString>,
    /// Where it is the provider's.
    pub(crate) pool: Option<KeyRef>,
}

/// An answer that can be given to the caller.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The upstream's own bytes, in the caller's dialect.
    pub(crate) through: bool,
    pub(crate) status: StatusCode,
    /// The upstream's headers, where its answer is given as it is.
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// Where the request lost something, in the caller's terms.
    pub(crate) losses: Vec<String>,
    /// Requests beside the one that began the answer.
    pub(crate) further: u32,
    /// What its headers tell of the key.
    pub(crate) allowance: Allowance,
}

#[derive(Debug)]
pub(crate) enum Content {
    Whole { body: Bytes, summary: Box<Summary> },
    Stream(Box<Flow>),
}

/// Why an attempt gave no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ApiError,
    /// The upstream's own words, to be given as they are when the caller speaks its dialect.
    pub(crate) verbatim: Option<Box<(StatusCode, HeaderMap, Bytes)>>,
    /// What to leave out if this target is asked once more.
    pub(crate) again: Option<Box<Again>>,
    /// The failure in routing's terms.
    pub(crate) fault: Box<Fault>,
    /// The answer that was none, for the caller if nobody gives a better: an empty one is legal.
    pub(crate) answer: Option<Box<Answer>>,
    /// The caller's own limits that are in the way.
    pub(crate) limits: Option<Box<limit::Refused>>,
}

impl Answer {
    /// It is nothing but a refusal.
    pub(crate) fn is_refusal(&self) -> bool {
        match &self.content {
            Content::Whole { summary, .. } => summary.empty && summary.outcome == Outcome::Refusal,
            Content::Stream(_) => false,
        }
    }
}

impl Failure {
    pub(crate) fn new(error: ApiError, fault: Fault) -> Self {
        Self {
            error,
            verbatim: None,
            again: None,
            fault: Box::new(fault),
            answer: None,
            limits: None,
        }
    }

    /// The request could not be made: it is at fault, or this target's dialect cannot say it.
    pub(crate) fn of_request(error: ApiError) -> Self {
        let fault = fault::of_request(&error);
        Self::new(error, fault)
    }

    /// An answer that ended of itself and says nothing.
    fn of_empty(answer: Answer) -> Self {
        let error = ApiError::new(
            ErrorKind::UpstreamMalformed,
            "the upstream's answer is empty: no text, no call, no reasoning",
        )
        .code("empty_completion");
        let mut failure = Self::of_answer(error);
        // Some prompts lead to nothing, wherever they are sent.
        failure.fault.asked_for = true;
        Self {
            answer: Some(Box::new(answer)),
            ..failure
        }
    }

    /// An answer that is nothing but a refusal, where somebody else may say more.
    pub(crate) fn of_refusal(answer: Answer) -> Self {
        let message = "the upstream refused to answer";
        let error = ApiError::new(ErrorKind::ContentPolicy, message);
        let fault = Fault {
            code: "refusal".to_owned(),
            ..Fault::new(Class::Refused)
        };
        Self {
            answer: Some(Box::new(answer)),
            ..Self::new(error, fault)
        }
    }

    /// The same without the key, should the upstream have repeated it: neither callers nor the log may see it.
    pub(crate) fn without_secret(mut self, key: &SecretString) -> Self {
        mask(&mut self.error, key);
        mask_text(&mut self.fault.code, key);
        if let Some(account) = &mut self.fault.account {
            mask_text(account, key);
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

    /// The upstream could not be asked, or its answer not be read.
    pub(crate) fn of_upstream(error: ApiError) -> Self {
        let fault = fault::told(&error);
        Self::new(error, fault)
    }

    /// There was no answer at all.
    pub(crate) fn unsent(error: &SendError) -> Self {
        let fault = fault::unsent(error);
        Self::new(unsent(error), fault)
    }

    /// How much it tells the caller: of several failures the last one with the most weight is told.
    pub(crate) fn weight(&self) -> u8 {
        match self.fault.class {
            Class::Client | Class::ContextLength | Class::Refused => 3,
            Class::Exhausted
            | Class::RateLimited
            | Class::Overloaded
            | Class::Upstream
            | Class::Timeout
            | Class::Network
            | Class::BadAnswer => 2,
            Class::KeyDead => 1,
            Class::Unfit => 0,
        }
    }

    /// An error that came in place of an answer, under a status of success or in a stream.
    pub(crate) fn of_answer(error: ApiError) -> Self {
        let fault = fault::told(&error);
        Self::new(error, fault)
    }
}

/// Masks the key in an upstream's words.
pub(crate) fn mask(error: &mut ApiError, key: &SecretString) {
    let texts = [
        Some(&mut error.message),
        error.code.as_mut(),
        error.param.as_mut(),
    ];
    for text in texts.into_iter().flatten() {
        mask_text(text, key);
    }
    // What routing acts on was read from it before, and nobody is shown it.
    error.told = None;
}

fn mask_text(text: &mut String, key: &SecretString) {
    let bytes = lingate_upstream::without_secret(Bytes::from(std::mem::take(text)), key);
    *text = String::from_utf8_lossy(&bytes).into_owned();
}

impl Gateway {
    /// Makes one attempt. An answer that ended of itself and says nothing is a
    /// failure, unless the request leads to such answers.
    pub(crate) async fn attempt(
        &self,
        exchange: &Exchange,
        target: &Target,
        caller: &Caller,
        with: With<'_>,
        without: &Without,
        record: &mut Record,
    ) -> Result<Answer, Failure> {
        let answer = self
            .any_answer(exchange, target, caller, with, without, record)
            .await?;
        let empty = match &answer.content {
            Content::Whole { summary, .. } => summary.empty && summary.outcome != Outcome::Refusal,
            Content::Stream(_) => false,
        };
        if empty && exchange.expects_words() {
            return Err(Failure::of_empty(answer));
        }
        Ok(answer)
    }

    async fn any_answer(
        &self,
        exchange: &Exchange,
        target: &Target,
        caller: &Caller,
        with: With<'_>,
        without: &Without,
        record: &mut Record,
    ) -> Result<Answer, Failure> {
        let With { secret: key, pool } = with;
        let endpoint = endpoint(target)?;
        let opener = if converts(exchange, target, endpoint) {
            Box::pin(self.proofs.opener(exchange, target, endpoint)).await
        } else {
            None
        };
        let opener = opener.as_ref();
        let prepared = prepare(exchange, target, endpoint, without, &self.proofs, opener)?;
        record.asks().map_err(Failure::of_request)?;
        let (upstream_headers, body) = self
            .open(exchange, target, endpoint, &prepared, key)
            .await?;
        let ear = Ear {
            proofs: &self.proofs,
            target,
            endpoint,
        };
        let allowance = Allowance::read(&upstream_headers, exchange.mint.now);
        let gathered =
            prepared.stream && !exchange.stream || prepared.continuations > 0 && !prepared.stream;
        let answer = if gathered {
            Box::pin(self.gather(exchange, ear, caller, pool.as_ref(), prepared, body)).await?
        } else if prepared.stream {
            stream(exchange, ear, prepared, &upstream_headers, body, key).await?
        } else {
            let read = body
                .read(WHOLE, exchange.snapshot.defaults.idle_timeout)
                .await;
            let whole = read.map_err(|error| Failure::of_upstream(unreadable(error)))?;
            whole_answer(exchange, ear, prepared, &upstream_headers, whole)?
        };
        Ok(Answer {
            allowance,
            ..answer
        })
    }

    /// Sends a request, up to an answer of success.
    pub(crate) async fn open(
        &self,
        exchange: &Exchange,
        target: &Target,
        endpoint: &Endpoint,
        prepared: &Prepared,
        key: Option<&SecretString>,
    ) -> Result<(HeaderMap, UpstreamBody), Failure> {
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
            Kind::Http => self.send(exchange, target, endpoint, prepared, key).await?,
        };
        if !status.is_success() {
            let upstream = endpoint.dialect;
            let refused = refused(
                exchange,
                upstream,
                prepared,
                status,
                &upstream_headers,
                body,
            );
            return Err(Box::pin(refused).await);
        }
        Ok((upstream_headers, body))
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
            DialectId::Responses if exchange.compact => Operation::CompactResponses,
            DialectId::Responses => Operation::Responses,
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
            .map_err(|error| Failure::unsent(&error))?;
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

/// What listens for proofs of reasoning in one target's answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ear<'a> {
    proofs: &'a Proofs,
    pub(crate) target: &'a Target,
    pub(crate) endpoint: &'a Endpoint,
}

impl Ear<'_> {
    pub(crate) fn witness(self) -> Witness {
        self.proofs.witness(self.target)
    }

    pub(crate) fn sealer(self, exchange: &Exchange) -> Sealer {
        self.proofs.sealer(exchange, self.target, self.endpoint)
    }
}

/// A streamed answer, opened up to its first content. An upstream that answers in one piece all the same is read as such; its
/// bytes tell, because some say the wrong content type.
async fn stream(
    exchange: &Exchange,
    ear: Ear<'_>,
    prepared: Prepared,
    upstream_headers: &HeaderMap,
    mut body: UpstreamBody,
    key: Option<&SecretString>,
) -> Result<Answer, Failure> {
    let endpoint = ear.endpoint;
    let idle = exchange.snapshot.defaults.idle_timeout;
    let first = relay::first(&mut body, idle)
        .await
        .map_err(Failure::of_upstream)?;
    let expected = expected_framing(exchange, endpoint);
    let begin = first
        .as_ref()
        .and_then(|data| data.trim_ascii_start().first())
        .copied();
    let as_asked = match expected {
        Framing::Sse => !matches!(begin, Some(b'{' | b'[' | b'<')),
        Framing::JsonArray => begin == Some(b'['),
    };
    let through = prepared.through && as_asked && !prepared.repair;
    let client = exchange.dialect.dialect();
    let reply = if prepared.repair {
        exchange.reply_to_repair(prepared.hide_usage)
    } else {
        exchange.reply(prepared.through)
    };
    let lane = if through {
        Lane::Tap {
            tap: Box::new(Tap::new(client, expected).with_witness(ear.witness())),
            hold: Hold::new(expected, prepared.hide_usage),
            reply: Box::new(reply),
        }
    } else {
        let upstream = endpoint.dialect.dialect();
        let mut transcoder = Transcoder::new(
            upstream,
            client,
            &reply,
            expected,
            exchange.framing,
            prepared.tools,
        )
        .with_sealer(ear.sealer(exchange));
        if let Some(tokens) = prepared.prompt {
            transcoder.expect_prompt(tokens);
        }
        if prepared.continuations > 0 {
            transcoder = transcoder.with_mender(Mender::new(prepared.continuations));
        }
        Lane::Convert(Box::new(transcoder))
    };
    let source = Flow::new(body, lane, key.cloned())
        .open(first, idle, exchange.dialect)
        .await
        .map_err(Failure::of_answer)?;
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
        Source::Whole { body, summary } => Content::Whole { body, summary },
    };
    Ok(Answer {
        through,
        status: StatusCode::OK,
        headers,
        content,
        losses: prepared.losses,
        further: 0,
        allowance: Allowance::default(),
    })
}

/// How the upstream frames a stream, as it is asked for one.
pub(crate) fn expected_framing(exchange: &Exchange, endpoint: &Endpoint) -> Framing {
    let array = exchange.dialect == DialectId::Gemini && exchange.framing == Framing::JsonArray;
    if endpoint.dialect == exchange.dialect && array {
        Framing::JsonArray
    } else {
        Framing::Sse
    }
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

fn unsent(error: &SendError) -> ApiError {
    let kind = match error {
        SendError::Connect(_) => ErrorKind::Overloaded,
        SendError::FirstByteTimeout(_) => ErrorKind::Timeout,
        SendError::Broken(_) => ErrorKind::UpstreamMalformed,
    };
    ApiError::new(kind, error.to_string())
}

pub(crate) fn unreadable(error: ReadError) -> ApiError {
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
    /// How a stream of the caller's own dialect is written anew: whatever the upstream tells is shown.
    fn reply_to_repair(&self, hide_usage: bool) -> Reply {
        Reply {
            include_usage: !hide_usage,
            show_reasoning: true,
            ..self.reply(false)
        }
    }

    /// Whether an answer has to say something. One that is stopped by what the caller named, or that goes on with the caller's
    /// own words, may rightly be empty.
    fn expects_words(&self) -> bool {
        !self.compact
            && self.decoded().is_ok_and(|request| {
                let begun = request
                    .turns
                    .last()
                    .is_some_and(|turn| turn.role == hub::Role::Assistant);
                request.stop.is_empty() && !begun
            })
    }

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
            responses: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_error_nor_the_fault_tells_the_key() {
        let key = SecretString::from("sk-canary-1234567890");
        let body = br#"{"error":{"message":"Incorrect API key provided: sk-canary-1234567890","type":"invalid_request_error","code":"sk-canary-1234567890"}}"#;
        let failure = Failure::of_answer(ApiError::decode(401, body)).without_secret(&key);
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
        let said = br#"{"error":{"message":"no","type":"sk-canary-1234567890"}}"#;
        let failure = Failure::of_answer(ApiError::decode(401, said)).without_secret(&key);
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    }
}
