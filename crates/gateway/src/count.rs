//! Token counts: asked of the vendor where its dialect counts and a key allows it, else estimated. Never a 404.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use lingate_dialect::envelope::Envelope;
use lingate_dialect::json::{Node, Object};
use lingate_dialect::model_tag::Tagged;
use lingate_dialect::vault::{self, Scrub, Vault};
use lingate_dialect::{ApiError, DialectId, Losses, Target as DialectTarget, estimate, hub};
use lingate_metering::Id;
use lingate_metering::limit::Demand;
use lingate_routing::{Ask, Endpoint, Kind, Plan, Snapshot, Target};
use lingate_upstream::{Operation, Payload};
use serde_json::value::RawValue;

use crate::answer::{self, Body};
use crate::body::{self, UpstreamBody};
use crate::caller::Caller;
use crate::exchange::{malformed, model_tag, short_enough};
use crate::facts::{Found, Reading, Told};
use crate::ledger::TurnedAway;
use crate::service::{Visit, dice, unread};
use crate::state::{Asked, State};
use crate::{Gateway, prepare};

/// How long a vendor may take; counting is on the way of other work.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest count that is read, in bytes.
const LONGEST: usize = 64 << 10;

pub(crate) async fn answer(
    gateway: &Gateway,
    visit: Visit,
    caller: Caller,
    dialect: DialectId,
    model: Option<String>,
) -> Result<Response<Body>, TurnedAway> {
    let body = body::read(
        visit.body,
        &visit.parts.headers,
        visit.snapshot.defaults.body_limit,
    )
    .await
    .map_err(|error| unread(&error))?;
    let (tagged, body) = match model_tag(&visit.snapshot, &body, dialect) {
        Some(Tagged { model, body }) => (Some(model), Bytes::from(body)),
        None => (None, body),
    };
    let (body, state) = match dialect {
        DialectId::Responses => {
            let asked = Asked {
                body: &body,
                snapshot: &visit.snapshot,
                now: visit.mint.now,
                compact: false,
            };
            let state = State::read(gateway, &asked, &caller).await?;
            // What it continues counts, whoever keeps it.
            let body = state.body(None).unwrap_or(&body).clone();
            (body, Some(state))
        }
        DialectId::Chat | DialectId::Messages | DialectId::Gemini => (body, None),
    };
    let request = counted(dialect, &body)?;
    let named = model.unwrap_or_else(|| request.model.clone());
    short_enough(&named)?;
    let asked = tagged.unwrap_or_else(|| named.clone());
    caller.may_ask_for(&asked)?;
    let mapped = caller.principal().mapped(&asked).map(str::to_owned);
    let counting = Counting {
        caller: &caller,
        headers: &visit.parts.headers,
        now: visit.mint.now,
        dialect,
        model: mapped.unwrap_or(asked),
        named,
        body,
        request,
        state,
        found: Found::default(),
    };
    let held = gateway
        .governance
        .admit_count(
            caller.principal(),
            &counting.model,
            Id::from_u128(visit.mint.id),
        )
        .await?;
    let counted = vendors(gateway, &visit.snapshot, &counting).await;
    if let Some(held) = held {
        held.settle(&Demand::NOTHING);
    }
    let tokens = match counted {
        Some(Counted::Verbatim(body)) => return Ok(answer::json(StatusCode::OK, body)),
        Some(Counted::Tokens(tokens)) => tokens,
        None => estimated(&visit.snapshot, &counting),
    };
    let mut out = Vec::new();
    match dialect {
        DialectId::Messages | DialectId::Chat => {
            Object::new(&mut out).u64("input_tokens", tokens);
        }
        DialectId::Responses => {
            let mut count = Object::new(&mut out);
            count.string("object", "response.input_tokens");
            count.u64("input_tokens", tokens);
        }
        DialectId::Gemini => Object::new(&mut out).u64("totalTokens", tokens),
    }
    Ok(answer::json(StatusCode::OK, out))
}

/// A request whose tokens are to be counted.
struct Counting<'a> {
    caller: &'a Caller,
    headers: &'a HeaderMap,
    /// Seconds since 1970.
    now: i64,
    dialect: DialectId,
    /// The one that decides who counts.
    model: String,
    /// As the caller named it.
    named: String,
    body: Bytes,
    request: hub::Request,
    state: Option<State>,
    found: Found,
}

/// What a vendor counted.
enum Counted {
    /// Its answer, in the caller's dialect.
    Verbatim(Bytes),
    Tokens(u64),
}

/// Reads the body of an answer door, but for `max_tokens`, which counting does not need.
fn counted(dialect: DialectId, body: &Bytes) -> Result<hub::Request, ApiError> {
    let mut envelope = Envelope::scan(body).map_err(|fault| malformed(&fault))?;
    if dialect == DialectId::Messages && envelope.get("max_tokens").is_none() {
        envelope.set("max_tokens", &one());
    }
    dialect
        .dialect()
        .decode_request(&envelope.apply())
        .map_err(|fault| malformed(&fault))
}

fn one() -> Box<RawValue> {
    #[expect(clippy::expect_used, reason = "the digit is valid JSON")]
    RawValue::from_string("1".to_owned()).expect("1 is JSON")
}

/// By the way in which the model that would answer counts.
fn estimated(snapshot: &Snapshot, counting: &Counting<'_>) -> u64 {
    let plan = plan(snapshot, counting);
    let model = plan
        .as_ref()
        .and_then(|plan| plan.targets().next())
        .map_or(counting.model.as_str(), |target| &target.model);
    let weights = lingate_catalog::builtin().weights(model);
    estimate::tokens(&counting.request, &weights)
}

/// The targets that would be asked; none for a request that only an upstream can take which is not there.
fn plan(snapshot: &Snapshot, counting: &Counting<'_>) -> Option<Plan> {
    let facts = Told {
        caller: counting.caller,
        headers: counting.headers,
        body: &counting.body,
        model: &counting.model,
        now: counting.now,
        request: Reading::Done(&counting.request),
        found: &counting.found,
    };
    let ask = Ask {
        model: &counting.model,
        dialect: counting.dialect,
        stream: false,
        facts: &facts,
    };
    let mut plan = lingate_routing::plan(snapshot, &ask, &mut dice).ok()?;
    if let Some(state) = &counting.state {
        // What one vendor keeps is no other's to count.
        state.narrow(&mut plan).ok()?;
    }
    Some(plan)
}

/// Asks the vendor; `None` when it has no way to count, no key, or gives no count.
async fn vendors(
    gateway: &Gateway,
    snapshot: &Snapshot,
    counting: &Counting<'_>,
) -> Option<Counted> {
    let plan = plan(snapshot, counting)?;
    let target = plan
        .targets()
        .next()
        .filter(|target| target.provider.kind == Kind::Http)?;
    let endpoint = target.provider.endpoints.get(target.endpoint)?;
    let same = endpoint.dialect == counting.dialect;
    let operation = match endpoint.dialect {
        DialectId::Messages => Operation::CountMessageTokens,
        DialectId::Gemini => Operation::CountTokens,
        DialectId::Responses => Operation::CountInputTokens,
        DialectId::Chat => return None,
    };
    let body = if same {
        renamed(
            counting,
            &scrubbed(gateway, counting, target, endpoint),
            target,
        )?
    } else {
        converted(counting, target, endpoint)?
    };
    let mut request = Request::new(Payload::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = lingate_upstream::url(&endpoint.base_url, operation, &target.model, "")
        .parse()
        .ok()?;
    *request.headers_mut() = prepare::upstream_headers(same.then_some(counting.headers), endpoint);
    let key = gateway
        .keys
        .choose(target, counting.caller, &[], gateway.moment())?;
    if let Some(secret) = key.secret() {
        lingate_upstream::authorize(
            request.headers_mut(),
            &endpoint.auth.header,
            &endpoint.auth.format,
            secret,
        )
        .ok()?;
    }
    let client = gateway.clients.get(target.provider.proxy.as_deref()).ok()?;
    let response = lingate_upstream::send(&client, request, PATIENCE)
        .await
        .ok()?;
    let (parts, body) = response.into_parts();
    if !parts.status.is_success() {
        return None;
    }
    let body = UpstreamBody::new(body, &parts.headers)?
        .read(LONGEST, PATIENCE)
        .await
        .ok()?;
    let fields = Node::parse(&body).ok()?.fields().ok()?;
    let tokens = fields
        .get("input_tokens")
        .or_else(|| fields.get("totalTokens"))?
        .u64()?;
    Some(if same {
        Counted::Verbatim(body)
    } else {
        Counted::Tokens(tokens)
    })
}

/// The caller's body with the upstream's name of the model.
fn renamed(counting: &Counting<'_>, body: &Bytes, target: &Target) -> Option<Bytes> {
    if counting.named == target.model {
        return Some(body.clone());
    }
    let mut envelope = Envelope::scan(body).ok()?;
    match counting.dialect {
        DialectId::Gemini if envelope.get("generateContentRequest").is_none() => {}
        DialectId::Gemini => {
            let name = serde_json::value::to_raw_value(&format!("models/{}", target.model)).ok()?;
            envelope.set_inside("generateContentRequest", "model", &name);
        }
        DialectId::Chat | DialectId::Responses | DialectId::Messages => {
            envelope.set_text("model", &target.model);
        }
    }
    Some(Bytes::from(envelope.apply()))
}

/// The caller's body without what the vendor did not sign.
fn scrubbed(
    gateway: &Gateway,
    counting: &Counting<'_>,
    target: &Target,
    endpoint: &Endpoint,
) -> Bytes {
    let quirks = target.provider.quirks(&target.model, endpoint.dialect);
    let strange = gateway
        .proofs
        .strangers(counting.dialect, &counting.body, target);
    let scrub = Scrub {
        dialect: counting.dialect,
        quirks: &quirks,
        state: vault::State::Carried,
        strange: strange
            .as_ref()
            .map(|strange| strange as &dyn Fn(&str) -> bool),
    };
    Vault::scrub(&counting.body, &scrub).map_or_else(
        || counting.body.clone(),
        |scrubbed| Bytes::from(scrubbed.body),
    )
}

/// The request in the vendor's dialect, without what its counting refuses.
fn converted(counting: &Counting<'_>, target: &Target, endpoint: &Endpoint) -> Option<Bytes> {
    let quirks = target.provider.quirks(&target.model, endpoint.dialect);
    let dialect_target = DialectTarget {
        model: &target.model,
        quirks: &quirks,
        max_output: None,
        default_max_tokens: 8192,
    };
    let mut request = counting.request.clone();
    vault::leave_out(&mut request);
    let encoded = endpoint
        .dialect
        .dialect()
        .encode_request(&request, &dialect_target, &mut Losses::default())
        .ok()?;
    let mut envelope = Envelope::scan(&encoded.body).ok()?;
    let not_counted: &[&str] = match endpoint.dialect {
        DialectId::Messages => &[
            "max_tokens",
            "stream",
            "stop_sequences",
            "temperature",
            "top_p",
            "top_k",
            "metadata",
            "service_tier",
        ],
        DialectId::Responses => &[
            "max_output_tokens",
            "stream",
            "stream_options",
            "store",
            "include",
            "temperature",
            "top_p",
            "top_logprobs",
            "metadata",
            "user",
            "safety_identifier",
            "service_tier",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
        ],
        DialectId::Chat | DialectId::Gemini => &[],
    };
    for key in not_counted {
        envelope.remove(key);
    }
    if endpoint.dialect != DialectId::Gemini {
        return Some(Bytes::from(envelope.apply()));
    }
    envelope.set_text("model", &format!("models/{}", target.model));
    let mut out = Vec::new();
    Object::new(&mut out)
        .value("generateContentRequest")
        .extend_from_slice(&envelope.apply());
    Some(Bytes::from(out))
}
