//! A request as one target wants it: the same bytes, or converted.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use lingate_dialect::envelope::Envelope;
use lingate_dialect::estimate;
use lingate_dialect::quirks::{Quirks, ReasoningReplay};
use lingate_dialect::stream::may_mend;
use lingate_dialect::unwanted::{self, Unwanted};
use lingate_dialect::vault::{Scrub, State, Vault};
use lingate_dialect::{
    ApiError, At, Dialect, DialectId, ErrorKind, Losses, Refusal, Target as DialectTarget,
    ToolChanges, hub,
};
use lingate_routing::{Endpoint, LossPolicy, StreamPolicy, Target, UsagePolicy};
use lingate_upstream::Payload;
use serde_json::value::RawValue;

use crate::attempt::Failure;
use crate::exchange::{Exchange, malformed};
use crate::headers;
use crate::learned::Without;
use crate::proofs::{Opener, Proofs};

/// A request body as one target wants it.
pub(crate) struct Prepared {
    pub(crate) body: Payload,
    pub(crate) losses: Vec<String>,
    pub(crate) tools: ToolChanges,
    /// The upstream is asked for a stream.
    pub(crate) stream: bool,
    /// Bytes go through: nothing is converted on the way back.
    pub(crate) through: bool,
    /// But for the stream, which is written anew in the dialect that it came in.
    pub(crate) repair: bool,
    /// The upstream was asked for usage, and the caller was not the one who asked.
    pub(crate) hide_usage: bool,
    /// About how many tokens the prompt has, where the caller is told before the upstream tells.
    pub(crate) prompt: Option<u64>,
    /// How often the answer may be gone on with when it breaks off.
    pub(crate) continuations: u32,
}

pub(crate) fn prepare(
    exchange: &Exchange,
    target: &Target,
    endpoint: &Endpoint,
    without: &Without,
    proofs: &Proofs,
    opener: Option<&Opener>,
) -> Result<Prepared, Failure> {
    let defaults = &exchange.snapshot.defaults;
    if !converts(exchange, target, endpoint) {
        let client = exchange.written.dialect();
        let quirks = quirks(target, endpoint);
        let (state, mut losses) = reasoning(without);
        let body = exchange.body_for(Some(&target.provider.name));
        let strange = proofs.strangers(exchange.dialect, body, target);
        let scrub = Scrub {
            dialect: exchange.dialect,
            quirks: &quirks,
            state,
            strange: strange
                .as_ref()
                .map(|strange| strange as &dyn Fn(&str) -> bool),
        };
        let scrubbed = Vault::scrub(body, &scrub);
        let body = match scrubbed {
            Some(scrubbed) => {
                losses.append(scrubbed.losses);
                Bytes::from(scrubbed.body)
            }
            None => body.clone(),
        };
        let (body, hide_usage) =
            through(exchange, &body, target, without).map_err(Failure::of_request)?;
        return Ok(Prepared {
            body,
            losses: told(&losses, client, defaults.losses)?,
            tools: ToolChanges::default(),
            stream: exchange.stream,
            through: true,
            repair: exchange.stream && target.provider.repair_streams,
            hide_usage,
            prompt: None,
            continuations: 0,
        });
    }
    let mut request = Cow::Borrowed(exchange.decoded()?);
    let stream = asks_for_stream(exchange, target);
    if stream != exchange.stream {
        let request = request.to_mut();
        request.stream = stream;
        request.include_usage = true;
    } else if !request.include_usage && wants_usage(exchange, target) {
        // What the caller is told follows from its own request.
        request.to_mut().include_usage = true;
    }
    Ok(Prepared {
        continuations: continuations(exchange, target),
        ..converted(exchange, request, target, endpoint, without, opener)?
    })
}

/// Whether the request is decoded and written anew for this target.
pub(crate) fn converts(exchange: &Exchange, target: &Target, endpoint: &Endpoint) -> bool {
    endpoint.dialect != exchange.dialect
        || exchange.written != exchange.dialect
        || asks_for_stream(exchange, target) != exchange.stream
        || continuations(exchange, target) > 0
}

/// Whether the upstream is asked for a stream.
pub(crate) fn asks_for_stream(exchange: &Exchange, target: &Target) -> bool {
    match target.handling.stream {
        StreamPolicy::Auto => exchange.stream,
        StreamPolicy::Never => false,
        StreamPolicy::Always => true,
    }
}

/// How often an answer may be gone on with.
fn continuations(exchange: &Exchange, target: &Target) -> u32 {
    let most = target.handling.continuations;
    if most > 0 && exchange.decoded().is_ok_and(may_mend) {
        most
    } else {
        0
    }
}

fn quirks(target: &Target, endpoint: &Endpoint) -> Quirks {
    target.provider.quirks(&target.model, endpoint.dialect)
}

/// What becomes of the reasoning of earlier answers, and what is told about it.
fn reasoning(without: &Without) -> (State, Losses) {
    let state = without.reasoning.unwrap_or(State::Carried);
    let mut losses = Losses::default();
    if state != State::Carried {
        losses.push(
            At::Field(STATE_DROPPED.to_owned()),
            "",
            "the upstream did not take the reasoning of earlier answers",
        );
    }
    (state, losses)
}

/// A request of the hub as one target wants it.
pub(crate) fn converted(
    exchange: &Exchange,
    mut request: Cow<'_, hub::Request>,
    target: &Target,
    endpoint: &Endpoint,
    without: &Without,
    opener: Option<&Opener>,
) -> Result<Prepared, Failure> {
    let defaults = &exchange.snapshot.defaults;
    let client = exchange.written.dialect();
    let catalog = lingate_catalog::builtin();
    let mut quirks = quirks(target, endpoint);
    let (state, mut losses) = reasoning(without);
    if let Some(opener) = opener {
        let Opener {
            vault,
            origin,
            found,
        } = opener;
        vault.open(
            request.to_mut(),
            exchange.written,
            origin,
            state,
            found,
            &mut losses,
        );
    }
    match state {
        State::Carried => {}
        State::Dropped => quirks.thought_signatures = true,
        State::Demanded => quirks.reasoning_replay = ReasoningReplay::Demanded,
    }
    let max_output = catalog
        .model(&target.model)
        .and_then(|model| model.max_output);
    let dialect_target = DialectTarget {
        model: &target.model,
        quirks: &quirks,
        max_output,
        default_max_tokens: defaults.max_tokens,
    };
    let encoded = endpoint
        .dialect
        .dialect()
        .encode_request(&request, &dialect_target, &mut losses);
    let encoded =
        encoded.map_err(|refusal| Failure::of_request(unsupported(exchange.written, &refusal)))?;
    let body = unwanted::strip(
        encoded.body,
        endpoint.dialect.dialect(),
        &without.fields,
        "dropped: the upstream has refused it",
        &mut losses,
    );
    let losses = told(&losses, client, defaults.losses)?;
    let told_early = exchange.dialect == DialectId::Messages && exchange.stream;
    let prompt = told_early.then(|| estimate::tokens(&request, &catalog.weights(&target.model)));
    Ok(Prepared {
        body: Payload::from(Bytes::from(body)),
        losses,
        tools: encoded.tools,
        stream: request.stream,
        through: false,
        repair: false,
        hide_usage: false,
        prompt,
        continuations: 0,
    })
}

/// The name of the loss that is told when a request is sent again without its reasoning.
const STATE_DROPPED: &str = "reasoning_state_dropped";

/// The losses as the caller is told them, or that there may be none.
fn told(losses: &Losses, client: &dyn Dialect, policy: LossPolicy) -> Result<Vec<String>, Failure> {
    let loss = losses.iter().next();
    match (policy, loss) {
        (LossPolicy::Reject, Some(loss)) => {
            let path = loss.path(client);
            let message = format!(
                "{path}: {} (losses are rejected: `defaults.losses`)",
                loss.note
            );
            Err(Failure::of_request(
                ApiError::new(ErrorKind::Unsupported, message)
                    .param(path)
                    .code("unsupported_by_upstream"),
            ))
        }
        (LossPolicy::Ignore, _) => Ok(Vec::new()),
        (LossPolicy::Report | LossPolicy::Reject, _) => Ok(losses.paths(client)),
    }
}

/// Whether the upstream is asked for usage, whoever else wants to know it: it is configured, counts against limits, is charged, or has
/// a price.
fn wants_usage(exchange: &Exchange, target: &Target) -> bool {
    exchange.metered
        || exchange.snapshot.defaults.usage == UsagePolicy::Require
        || target.provider.price(&target.model).is_some()
}

/// The same bytes, but for the model's name and configured edits; and whether the upstream was asked for usage on Lingate's behalf.
fn through(
    exchange: &Exchange,
    body: &Bytes,
    target: &Target,
    without: &Without,
) -> Result<(Payload, bool), ApiError> {
    let refused = |field: &Unwanted| field.path.starts_with("stream_options");
    let may_ask = wants_usage(exchange, target)
        && exchange.dialect == DialectId::Chat
        && exchange.stream
        && !without.fields.iter().any(refused);
    let rename = exchange.body_wants(&target.model);
    if !may_ask {
        let body = if rename {
            exchange.with_model(body, &target.model)?
        } else {
            Payload::from(body.clone())
        };
        return Ok((body, false));
    }
    let mut envelope = Envelope::scan(body).map_err(|fault| malformed(&fault))?;
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
