//! Every request of a caller, from its door to its answer.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use lingate_dialect::framing::Framing;
use lingate_dialect::stream::Outcome;
use lingate_dialect::{ApiError, DialectId, ErrorKind, Mint};
use lingate_routing::{Ask, Plan, Snapshot, Target};
use tokio::time::Instant as TokioInstant;
use uuid::Uuid;

use crate::answer::{self, Body, StreamBody};
use crate::attempt::{Answer, Content, Failure, Next};
use crate::body::BodyError;
use crate::caller::{Caller, authenticate};
use crate::doors::{self, AnswerDoor, Door, NoDoor};
use crate::exchange::Exchange;
use crate::keys::Key;
use crate::mend::Mending;
use crate::record::{self, Record};
use crate::relay::{Beats, Bounds, HEARTBEAT, Relay, overdue};
use crate::state::{Asked, State};
use crate::{Gateway, body, count, credential, headers, home, models, state};

/// The most attempts for one request, however many keys and targets there are.
const ATTEMPTS: u32 = 8;

/// What every door needs to know about a request.
pub(crate) struct Visit {
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) mint: Mint,
    pub(crate) request_id: String,
}

impl Gateway {
    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let id = Uuid::now_v7();
        let request_id = format!("req_{}", id.simple());
        let now = seconds_since_1970();
        if parts.method == Method::OPTIONS {
            let mut response = Response::new(Body::from(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.headers_mut() = headers::preflight(&parts.headers);
            return response;
        }
        let origin = parts.headers.get(header::ORIGIN).cloned();
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let query = parts.uri.query().unwrap_or("");
        let found = doors::find(&parts.method, parts.uri.path(), &parts.headers, query);
        let dialect = match &found {
            Ok(
                Door::Answer(AnswerDoor { dialect, .. })
                | Door::CountTokens { dialect, .. }
                | Door::Models { dialect }
                | Door::Model { dialect, .. },
            ) => *dialect,
            Ok(Door::Stored { .. }) => DialectId::Responses,
            Ok(Door::Telemetry | Door::Health | Door::Home) | Err(_) => {
                doors::guess_dialect(parts.uri.path(), &parts.headers, query)
            }
        };
        let snapshot = self.snapshot.load_full();
        let catalogue = match &found {
            Ok(Door::Answer(door)) if door.dialect == DialectId::Responses => {
                Some(self.catalogues.tag(&snapshot))
            }
            _ => None,
        };
        let visit = Visit {
            parts,
            body,
            snapshot,
            mint: Mint {
                now,
                id: id.as_u128(),
            },
            request_id: request_id.clone(),
        };
        let result = match found {
            Ok(Door::Answer(door)) => self.answer(visit, door).await,
            Ok(Door::Stored { id, what }) => state::answer(&self, visit, what, &id).await,
            Ok(Door::CountTokens { dialect, model }) => {
                count::answer(&self, visit, dialect, model).await
            }
            Ok(Door::Models { dialect }) => models::list(&self, &visit, dialect),
            Ok(Door::Model { dialect, model }) => models::one(&visit, dialect, &model),
            Ok(Door::Telemetry) => Ok(home::forgotten()),
            Ok(Door::Health) => Ok(home::health(&self, &visit)),
            Ok(Door::Home) => Ok(home::page(&visit)),
            Err(no_door) => Err(not_found(no_door, &visit.parts)),
        };
        let mut response = result.unwrap_or_else(|error| {
            let response = answer::error(dialect, &error, &request_id);
            record::turned_away(
                &request_id,
                dialect,
                &method,
                uri.path(),
                &error,
                response.status(),
            );
            response
        });
        answer::name_request(dialect, response.headers_mut(), &request_id);
        if let Some(tag) = catalogue {
            response.headers_mut().insert(models::ETAG, tag);
        }
        headers::allow_origin(origin, response.headers_mut());
        response
    }

    async fn answer(
        self: Arc<Self>,
        visit: Visit,
        door: AnswerDoor,
    ) -> Result<Response<Body>, ApiError> {
        let Visit {
            parts,
            body,
            snapshot,
            mint,
            request_id,
        } = visit;
        let query = parts.uri.query().unwrap_or("");
        let caller = authenticate(&snapshot, credential::find(&parts.headers, query))?;
        let query = credential::strip_query(query);
        let body = body::read(body, &parts.headers, snapshot.defaults.body_limit)
            .await
            .map_err(|error| unread(&error))?;
        let mut exchange = Exchange::new(door, mint, parts.headers, query, body, snapshot)?;
        exchange.scope = caller.scope();
        if exchange.dialect == DialectId::Responses {
            let asked = Asked {
                body: &exchange.body,
                snapshot: &exchange.snapshot,
                now: mint.now,
                compact: exchange.compact,
            };
            exchange.state = Some(State::read(&self, &asked, &caller).await?);
        }
        let plan = self.plan(&exchange, &caller)?;
        let record = Record::new(
            request_id.clone(),
            exchange.dialect,
            exchange.model.clone(),
            &caller,
            exchange.stream,
        );
        let bounds = Bounds {
            idle: exchange.snapshot.defaults.idle_timeout,
            deadline: TokioInstant::now() + exchange.snapshot.defaults.request_timeout,
        };
        let exchange = Arc::new(exchange);
        let upstreams = plan.targets.iter().filter_map(|target| {
            let endpoint = target.provider.endpoints.get(target.endpoint)?;
            Some(endpoint.dialect)
        });
        let beats = Beats::of(exchange.dialect, upstreams);
        let attempts = Arc::clone(&self).attempts(
            Arc::clone(&exchange),
            plan,
            caller,
            record,
            bounds.deadline,
        );
        let response = if exchange.stream {
            streamed(&exchange, attempts, beats, bounds, &request_id).await
        } else {
            match attempts.await {
                Ok((given, record)) => given.respond(&exchange, record, bounds),
                Err((failure, record)) => refusal(&exchange, failure, record, &request_id),
            }
        };
        Ok(state::keep(&self, &exchange, response).await)
    }

    fn plan(&self, exchange: &Exchange, caller: &Caller) -> Result<Plan, ApiError> {
        let ask = Ask {
            model: exchange.routed_model(),
            dialect: exchange.dialect,
            stream: exchange.stream,
            facts: &exchange.facts(caller),
        };
        let mut plan = lingate_routing::plan(&exchange.snapshot, &ask, self.moment())
            .map_err(|none| no_route(&none))?;
        if let Some(state) = &exchange.state {
            state.narrow(&mut plan.targets)?;
        }
        Ok(plan)
    }

    /// Tries targets and keys in order until one answers. No target is tried twice with one key.
    async fn attempts(
        self: Arc<Self>,
        exchange: Arc<Exchange>,
        plan: Plan,
        caller: Caller,
        mut record: Record,
        deadline: TokioInstant,
    ) -> Result<(Given, Record), (Failure, Record)> {
        let mut last: Option<Failure> = None;
        let mut spare: Option<Given> = None;
        let mut owner: Option<String> = None;
        for target in &plan.targets {
            // A caller's own keys belong to one vendor: they never go to a fallback of another.
            if let Caller::Passthrough(_) = caller {
                let owner = owner.get_or_insert_with(|| target.provider.name.clone());
                if *owner != target.provider.name {
                    continue;
                }
            }
            let mut tried = Vec::new();
            while record.attempts() < ATTEMPTS {
                let Some(key) = self.keys.choose(target, &caller, &tried, self.moment()) else {
                    break;
                };
                let asked = self
                    .ask(&exchange, target, &caller, &key, &mut record, deadline)
                    .await;
                let failure = match asked {
                    Ok(mut answer) => {
                        self.keys.served(target, &key, self.moment());
                        if let Key::Pool(lease) = &key {
                            let pool = &target.provider.keys;
                            answer.standing.tell(pool, lease, self.moment());
                        }
                        if let Some(state) = &exchange.state {
                            state.made_by(&target.provider.name, answer.through);
                        }
                        record.further(answer.further);
                        if let Content::Stream(flow) = &mut answer.content {
                            flow.mend_at(Mending {
                                gateway: Arc::clone(&self),
                                exchange: Arc::clone(&exchange),
                                target: target.clone(),
                                caller: caller.clone(),
                            });
                        }
                        let given = Given {
                            answer,
                            provider: target.provider.name.clone(),
                            model: target.model.clone(),
                        };
                        return Ok((given, record));
                    }
                    Err(failure) => failure,
                };
                let mut failure = failure;
                if let Some(answer) = failure.answer.take() {
                    spare = Some(Given {
                        answer: *answer,
                        provider: target.provider.name.clone(),
                        model: target.model.clone(),
                    });
                }
                let provider = &target.provider.name;
                if let Some(state) = &exchange.state
                    && state.lost_by(provider, &failure.error)
                {
                    record.failed(&failure.error, key.label());
                    last = Some(failure);
                    continue;
                }
                let next = failure.next;
                if let Next::Key(cooldown) = next {
                    self.keys.rest(target, &key, cooldown, self.moment());
                }
                if next == Next::Nothing {
                    return Err((failure, record));
                }
                record.failed(&failure.error, key.label());
                last = Some(failure);
                tried.push(key);
                if next == Next::Target {
                    break;
                }
            }
        }
        // An empty answer is one, where nobody gives a better.
        if let Some(given) = spare {
            if let Some(state) = &exchange.state {
                state.made_by(&given.provider, given.answer.through);
            }
            record.further(given.answer.further);
            return Ok((given, record));
        }
        let mut failure = last.unwrap_or_else(|| {
            let message = format!(
                "no provider that serves '{}' has a key; give it one in its `keys`",
                exchange.model
            );
            Failure::of_request(ApiError::new(ErrorKind::Internal, message))
        });
        self.tell_wait(&mut failure, &plan, &caller, &record);
        Err((failure, record))
    }

    /// Asks one target with one key, and again without what it refuses of the request, as long as it refuses something new.
    async fn ask(
        &self,
        exchange: &Exchange,
        target: &Target,
        caller: &Caller,
        key: &Key,
        record: &mut Record,
        deadline: TokioInstant,
    ) -> Result<Answer, Failure> {
        let mut without = self.learned.of(target, self.moment());
        let mut first: Option<Failure> = None;
        loop {
            record.attempt(&target.provider.name, &target.model);
            let attempt = self.attempt(exchange, target, caller, key.secret(), &without);
            let attempted = tokio::time::timeout_at(deadline, attempt).await;
            let failure = match attempted.unwrap_or_else(|_| Err(Failure::of_request(overdue()))) {
                Ok(answer) => {
                    self.learned
                        .remember(target, without.found(), self.moment());
                    return Ok(answer);
                }
                Err(failure) => match key.secret() {
                    Some(secret) => failure.without_secret(secret),
                    None => failure,
                },
            };
            let more = failure
                .again
                .as_ref()
                .filter(|_| record.attempts() < ATTEMPTS);
            if more.is_some_and(|again| without.add(again)) {
                record.failed(&failure.error, key.label());
                first.get_or_insert(failure);
                continue;
            }
            // What was left out did not help: the upstream's first word is what the caller needs to know.
            return Err(match first {
                Some(first) if failure.next == Next::Nothing => first,
                Some(_) | None => failure,
            });
        }
    }
}

impl Gateway {
    /// Puts the time until the first key is ready in the place of what the last one was told, where they are not the same.
    fn tell_wait(&self, failure: &mut Failure, plan: &Plan, caller: &Caller, record: &Record) {
        let error = &mut failure.error;
        // With one attempt, what the upstream said stands; how long its key rests here concerns nobody else.
        if error.kind != ErrorKind::RateLimited || record.attempts() == 1 {
            return;
        }
        let now = self.moment();
        let waits = plan
            .targets
            .iter()
            .filter_map(|target| self.keys.rest_for(target, caller, now));
        let Some(wait) = waits.min().filter(|wait| Some(*wait) != error.retry_after) else {
            return;
        };
        error.retry_after = Some(wait);
        // Gemini says it in the body, where its clients read it.
        failure.verbatim = failure
            .verbatim
            .take()
            .filter(|verbatim| memchr::memmem::find(&verbatim.2, b"retryDelay").is_none());
    }
}

/// The moment for whatever pure code needs it.
pub(crate) fn seconds_since_1970() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}

/// An answer, and who gave it.
pub(crate) struct Given {
    answer: Answer,
    provider: String,
    model: String,
}

impl Given {
    fn respond(self, exchange: &Exchange, mut record: Record, bounds: Bounds) -> Response<Body> {
        let Answer {
            through: _,
            status,
            headers,
            content,
            losses,
            further: _,
            standing: _,
        } = self.answer;
        record.lost(losses.len());
        let attempts = record.attempts();
        let streamed = exchange.stream;
        let mut repaired = false;
        let body = match content {
            Content::Whole {
                body,
                outcome,
                usage,
                empty: _,
            } => {
                repaired = outcome == Outcome::Repaired;
                record.settle(outcome, usage);
                Body::from(body)
            }
            Content::Stream(flow) => {
                Body::Stream(Box::new(StreamBody(Relay::flowing(flow, record, bounds))))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let headers = response.headers_mut();
        if streamed {
            answer::stream_headers(headers, stream_type(exchange));
        } else {
            headers
                .entry(header::CONTENT_TYPE)
                .or_insert(http::HeaderValue::from_static("application/json"));
        }
        headers.insert(answer::PROVIDER, headers::ascii(&self.provider, 128));
        headers.insert(answer::MODEL, headers::ascii(&self.model, 256));
        headers.insert(answer::ATTEMPTS, http::HeaderValue::from(attempts));
        if repaired {
            headers.insert(
                answer::OUTCOME,
                headers::ascii(Outcome::Repaired.name(), 32),
            );
        }
        if !losses.is_empty() {
            headers.insert(answer::LOSSES, headers::ascii(&losses.join("; "), 1024));
        }
        response
    }
}

/// Waits with the head of the answer until there is content to give; after a long silence, begins without.
async fn streamed<F>(
    exchange: &Arc<Exchange>,
    attempts: F,
    beats: Beats,
    bounds: Bounds,
    request_id: &str,
) -> Response<Body>
where
    F: Future<Output = Result<(Given, Record), (Failure, Record)>> + Send + 'static,
{
    let mut attempts = Box::pin(attempts);
    match tokio::time::timeout(HEARTBEAT, &mut attempts).await {
        Ok(Ok((given, record))) => given.respond(exchange, record, bounds),
        Ok(Err((failure, record))) => refusal(exchange, failure, record, request_id),
        Err(_) => {
            let reply = exchange.reply(true);
            let encoder = exchange.dialect.dialect().encoder(&reply, exchange.framing);
            let opening = Box::pin(opened(attempts, Arc::clone(exchange)));
            let relay = Relay::opening(opening, beats, encoder, bounds);
            let mut response = Response::new(Body::Stream(Box::new(StreamBody(relay))));
            answer::stream_headers(response.headers_mut(), stream_type(exchange));
            response
        }
    }
}

/// The rest of the attempts, once the caller has the head of the answer already.
async fn opened<F>(
    attempts: F,
    exchange: Arc<Exchange>,
) -> Result<(crate::relay::Source, Record), (ApiError, Record)>
where
    F: Future<Output = Result<(Given, Record), (Failure, Record)>>,
{
    let (given, record) = attempts
        .await
        .map_err(|(failure, record)| (failure.error, record))?;
    drop(exchange);
    let source = match given.answer.content {
        Content::Stream(flow) => crate::relay::Source::Flow(flow),
        Content::Whole {
            body,
            outcome,
            usage,
            empty,
        } => crate::relay::Source::Whole {
            body,
            outcome,
            usage,
            empty,
        },
    };
    Ok((source, record))
}

fn stream_type(exchange: &Exchange) -> &'static str {
    match exchange.framing {
        Framing::Sse => "text/event-stream; charset=utf-8",
        Framing::JsonArray => "application/json; charset=utf-8",
    }
}

/// The last failure, as the caller reads it.
fn refusal(
    exchange: &Exchange,
    failure: Failure,
    record: Record,
    request_id: &str,
) -> Response<Body> {
    let attempts = record.attempts();
    let mut response = match failure.verbatim {
        Some(verbatim) => {
            let (status, headers, body) = *verbatim;
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            answer::retry_hints(&mut response, &failure.error);
            response
        }
        None => answer::error(exchange.dialect, &failure.error, request_id),
    };
    record.refuse(&failure.error, response.status().as_u16());
    if attempts > 0 {
        response
            .headers_mut()
            .insert(answer::ATTEMPTS, http::HeaderValue::from(attempts));
    }
    if attempts > 1 {
        answer::do_not_retry(response.headers_mut());
    }
    response
}

fn no_route(none: &lingate_routing::NoRoute) -> ApiError {
    if none.unspoken.is_some() {
        return ApiError::new(
            ErrorKind::Unsupported,
            format!("{none}; use the door of another dialect, or `mode: transform`"),
        );
    }
    let mut message = format!("no provider serves the model '{}'", none.model);
    if none.close.is_empty() {
        message.push_str("; GET /v1/models lists those that are served");
    } else {
        message.push_str("; did you mean ");
        message.push_str(
            &none
                .close
                .iter()
                .map(|model| format!("'{model}'"))
                .collect::<Vec<_>>()
                .join(", "),
        );
        message.push('?');
    }
    ApiError::new(ErrorKind::NotFound, message)
        .param("model")
        .code("model_not_found")
}

pub(crate) fn unread(error: &BodyError) -> ApiError {
    let kind = match error {
        BodyError::TooLarge { .. } => ErrorKind::BodyTooLarge,
        BodyError::Stalled(_)
        | BodyError::Broken
        | BodyError::Encoding(_)
        | BodyError::Corrupt(_) => ErrorKind::BadRequest,
    };
    ApiError::new(kind, error.to_string())
}

fn not_found(no_door: NoDoor, parts: &Parts) -> ApiError {
    let path = parts.uri.path();
    match no_door {
        NoDoor::Method(method) => ApiError::new(
            ErrorKind::MethodNotAllowed,
            format!("{path} takes {method}, not {}", parts.method),
        ),
        NoDoor::NotServed => ApiError::new(
            ErrorKind::NotImplemented,
            format!(
                "{path} is not served by this version of Lingate; it serves /v1/chat/completions, /v1/responses, /v1/messages and /v1beta/models/MODEL:generateContent"
            ),
        ),
        NoDoor::Unknown => ApiError::new(
            ErrorKind::NotFound,
            format!("there is nothing at {path}; GET / says what is served"),
        )
        .code("unknown_path"),
    }
}
