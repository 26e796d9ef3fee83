//! Every request of a caller, from its door to its answer.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use lingate_dialect::framing::Framing;
use lingate_dialect::stream::Outcome;
use lingate_dialect::{ApiError, DialectId, ErrorKind, Mint};
use lingate_metering::Id;
use lingate_metering::tenant::Directory;
use lingate_routing::{
    Ask, Attempt, Class, Down, End, Fault, Hindrance, Next, Plan, Skip, Skipped, Snapshot, Target,
    Walk,
};
use tokio::time::Instant as TokioInstant;
use uuid::Uuid;

use crate::allowance::Allowance;
use crate::answer::{self, Body, StreamBody};
use crate::api::access::Peer;
use crate::attempt::{Answer, Content, Failure, With};
use crate::beside::{Audience, Face, Origin};
use crate::body::BodyError;
use crate::caller::{Caller, Gate};
use crate::doors::{self, AnswerDoor, Door, NoDoor};
use crate::exchange::Exchange;
use crate::ledger::{self, Account, Payer, TurnedAway};
use crate::mend::Mending;
use crate::pump::pumped;
use crate::record::{self, Record};
use crate::relay::{Beats, Bounds, HEARTBEAT, Relay, overdue};
use crate::state::{Asked, State};
use crate::{
    Gateway, address, api, body, count, credential, headers, health, home, models, panics, state,
};

/// What every door needs to know about a request.
pub(crate) struct Visit {
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    pub(crate) snapshot: Arc<Snapshot>,
    /// Who is known; what has changed since counts for the next request.
    pub(crate) directory: Arc<Directory>,
    pub(crate) may_lack_keys: bool,
    /// Where the request comes from.
    pub(crate) address: IpAddr,
    pub(crate) mint: Mint,
    pub(crate) request_id: String,
}

impl Visit {
    pub(crate) fn gate(&self) -> Gate<'_> {
        Gate {
            snapshot: &self.snapshot,
            directory: &self.directory,
            may_lack_keys: self.may_lack_keys,
            now: self.mint.now.saturating_mul(1000),
            address: self.address,
        }
    }
}

impl Gateway {
    /// Answers one request, also where a part of the gateway panics over it.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
        face: Face,
    ) -> Response<Body> {
        let id = Uuid::now_v7();
        let request_id = format!("req_{}", id.simple());
        let uri = request.uri().clone();
        let handling = pin!(self.handle_or_panic(request, peer, face, id, &request_id));
        let handled = panics::caught(request_id.as_str(), handling).await;
        handled.unwrap_or_else(|panicked| {
            let query = uri.query().unwrap_or("");
            let dialect = doors::guess_dialect(uri.path(), &HeaderMap::new(), query);
            let error = ApiError::new(ErrorKind::Internal, panicked.to_string());
            let mut response = answer::error(dialect, &error, &request_id);
            answer::name_request(dialect, response.headers_mut(), &request_id, false);
            response
        })
    }

    async fn handle_or_panic(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
        face: Face,
        id: Uuid,
        request_id: &str,
    ) -> Response<Body> {
        let request = match self.beside(request, peer, face, request_id).await {
            Ok(answered) => return answered,
            Err(request) => request,
        };
        let (mut parts, body) = request.into_parts();
        let now = seconds_since_1970();
        let for_models = face != Face::Operators;
        if parts.method == Method::OPTIONS && for_models {
            let mut response = Response::new(Body::from(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.headers_mut() = headers::preflight(&parts.headers);
            return response;
        }
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let query = parts.uri.query().unwrap_or("");
        let found = match doors::find(&parts.method, parts.uri.path(), &parts.headers, query) {
            Ok(door) if for_models || matches!(door, Door::Health(_)) => Ok(door),
            Err(no_door) if for_models => Err(no_door),
            Ok(_) | Err(_) => Err(NoDoor::Unknown),
        };
        let dialect = match &found {
            Ok(
                Door::Answer(AnswerDoor { dialect, .. })
                | Door::CountTokens { dialect, .. }
                | Door::Models { dialect }
                | Door::Model { dialect, .. },
            ) => *dialect,
            Ok(Door::Stored { .. }) => DialectId::Responses,
            Ok(Door::Telemetry | Door::Health(_) | Door::Home) | Err(_) => {
                doors::guess_dialect(parts.uri.path(), &parts.headers, query)
            }
        };
        let origin = parts.headers.get(header::ORIGIN).cloned();
        // Pages of other origins may ask models; nothing is for them where operators are served.
        let origin = origin.filter(|_| for_models);
        // Nobody else asks where a request comes from.
        if let Ok(Door::Health(_)) = &found {
            parts.extensions.insert(peer);
        }
        let snapshot = self.snapshot.load_full();
        let (version, patience) = (parts.version, snapshot.defaults.request_timeout);
        let visit = Visit {
            body,
            address: address::of(peer.0, &parts.headers, &snapshot.trusted_proxies),
            parts,
            // Asked first: where the directory is complete by now, it is the complete one that is read.
            may_lack_keys: self.governance.may_lack_keys(),
            directory: self.governance.directory(),
            snapshot,
            mint: Mint {
                now,
                id: id.as_u128(),
            },
            request_id: request_id.to_owned(),
        };
        // Whoever asks at a door of models is looked at here and nowhere else.
        let asks_models = matches!(
            &found,
            Ok(Door::Answer(_)
                | Door::Stored { .. }
                | Door::CountTokens { .. }
                | Door::Models { .. }
                | Door::Model { .. })
        );
        let caller = if asks_models {
            visit.gate().authenticate(&visit.parts, dialect)
        } else {
            Ok(Caller::Open(Arc::clone(visit.directory.anyone())))
        };
        let quiet = matches!(&caller, Ok(caller) if caller.hides_headers());
        let catalogue = match (&found, &caller) {
            (Ok(Door::Answer(door)), Ok(caller)) if door.dialect == DialectId::Responses => {
                Some(self.catalogues.tag(&visit.snapshot, caller.principal()))
            }
            _ => None,
        };
        let result: Result<Response<Body>, TurnedAway> = match (found, caller) {
            (_, Err(error)) => Err(error.into()),
            (Ok(Door::Answer(door)), Ok(caller)) => self.answer(visit, caller, door).await,
            // What is rare is boxed here and below: else each future would have room for all of it, and be moved with it.
            (Ok(Door::Stored { id, what }), Ok(caller)) => {
                let answering = state::answer(&self, visit, caller, what, &id);
                Box::pin(answering).await.map_err(TurnedAway::from)
            }
            (Ok(Door::CountTokens { dialect, model }), Ok(caller)) => {
                Box::pin(count::answer(&self, visit, caller, dialect, model)).await
            }
            (Ok(Door::Models { dialect }), Ok(caller)) => {
                models::list(&self, &visit, &caller, dialect).map_err(TurnedAway::from)
            }
            (Ok(Door::Model { dialect, model }), Ok(caller)) => {
                models::one(&visit, &caller, dialect, &model).map_err(TurnedAway::from)
            }
            (Ok(Door::Telemetry), _) => Ok(home::forgotten()),
            (Ok(Door::Health(door)), _) => Ok(health::answer(&self, &visit, door)),
            (Ok(Door::Home), _) => Ok(home::page(&visit)),
            (Err(no_door), _) => {
                let error = not_found(no_door, &visit.parts);
                if api::is_of_itself(uri.path()) || !for_models {
                    Ok(api::no_door(&error, dialect))
                } else {
                    Err(error.into())
                }
            }
        };
        let mut response = result.unwrap_or_else(|away| {
            let (error, limits) = match away {
                TurnedAway::Error(error) => (error, None),
                TurnedAway::Limits(refused) => (refused.error(), Some(refused)),
            };
            let mut response = answer::error(dialect, &error, request_id);
            if let Some(refused) = limits {
                answer::tell_limits(response.headers_mut(), refused.headers(dialect));
            }
            record::turned_away(
                request_id,
                dialect,
                &method,
                uri.path(),
                &error,
                response.status(),
            );
            response
        });
        if quiet {
            answer::hide(response.headers_mut());
        }
        answer::name_request(dialect, response.headers_mut(), request_id, quiet);
        if let Some(tag) = catalogue {
            response.headers_mut().insert(models::ETAG, tag);
        }
        headers::allow_origin(origin, response.headers_mut());
        if version == Version::HTTP_2 && matches!(response.body(), Body::Stream(_) | Body::Kept(_))
        {
            return response.map(|body| pumped(body, patience));
        }
        response
    }

    /// What is not for models is answered beside; `Err`: it is for them.
    async fn beside(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        face: Face,
        request_id: &str,
    ) -> Result<Response<Body>, Request<Incoming>> {
        let Some(beside) = self.beside.get() else {
            return Err(request);
        };
        let audience = beside.audience(request.uri().path());
        let is_theirs = match audience {
            None => false,
            Some(Audience::Both) => true,
            Some(Audience::Callers) => face != Face::Operators,
            Some(Audience::Operators) => face != Face::Callers,
        };
        if !is_theirs {
            return Err(request);
        }
        let trusted = &self.snapshot.load().trusted_proxies;
        let origin = Origin {
            peer: peer.0,
            address: address::of(peer.0, request.headers(), trusted),
            request_id: request_id.to_owned(),
        };
        let mut response = Arc::clone(beside).answer(request, origin).await;
        if let Ok(id) = HeaderValue::from_str(request_id) {
            response.headers_mut().insert(answer::REQUEST_ID, id);
        }
        Ok(response.map(Body::Other))
    }

    async fn answer(
        self: Arc<Self>,
        visit: Visit,
        caller: Caller,
        door: AnswerDoor,
    ) -> Result<Response<Body>, TurnedAway> {
        let Visit {
            parts,
            body,
            snapshot,
            mint,
            request_id,
            ..
        } = visit;
        let query = credential::strip_query(parts.uri.query().unwrap_or(""));
        let body = body::read(body, &parts.headers, snapshot.defaults.body_limit)
            .await
            .map_err(|error| unread(&error))?;
        let mut exchange = Exchange::new(door, mint, parts.headers, query, body, snapshot)?;
        exchange.asked_by(&caller)?;
        exchange.scope = caller.scope();
        if exchange.dialect == DialectId::Responses {
            let asked = Asked {
                body: &exchange.body,
                snapshot: &exchange.snapshot,
                now: mint.now,
                compact: exchange.compact,
            };
            exchange.state = Some(Box::pin(State::read(&self, &asked, &caller)).await?);
        }
        let (mut plan, hold) = self.admit(&mut exchange, &caller).await?;
        if let Some(target) = plan.mirror.take() {
            self.mirror(&exchange, target, &caller, &request_id);
        }
        let mut record = Record::new(
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
        let mut account = Account::new(
            &self.governance,
            caller.principal(),
            &exchange,
            Id::from_u128(mint.id),
            Payer::Tenant,
        );
        let is_limited = !caller.principal().bounds.is_empty();
        let left = hold.as_ref().map_or_else(Vec::new, |hold| {
            hold.charges
                .headers(&hold.used, exchange.dialect, ledger::now())
        });
        if let Some(hold) = hold {
            account.holds(hold);
        }
        record.admit(account);
        if let Some(arm) = &plan.arm {
            record.arm(&arm.split, &arm.model);
        }
        let upstreams = plan.targets().filter_map(|target| {
            let endpoint = target.provider.endpoints.get(target.endpoint)?;
            Some(endpoint.dialect)
        });
        let beats = Beats::of(exchange.dialect, upstreams);
        let walk = Walk::new(plan, self.keys.purse(&caller), self.moment());
        // The largest part of a request by far, which must be in a box anyway where the answer begins before it is over.
        let attempts = Box::pin(Arc::clone(&self).attempts(
            Arc::clone(&exchange),
            walk,
            caller,
            record,
            bounds.deadline,
        ));
        let mut response = if exchange.stream {
            streamed(&exchange, attempts, beats, bounds, &request_id).await
        } else {
            match attempts.await {
                Ok((given, record)) => given.respond(&exchange, record, bounds),
                Err((failure, record)) => refusal(&exchange, failure, record, &request_id),
            }
        };
        let is_told = response.extensions_mut().remove::<LimitsTold>().is_some();
        if is_limited && !is_told {
            answer::tell_limits(response.headers_mut(), left);
        }
        if exchange.state.is_none() {
            return Ok(response);
        }
        Ok(Box::pin(state::keep(&self, &exchange, response)).await)
    }

    /// Tries targets and keys, as the walk says, until one answers.
    pub(crate) async fn attempts(
        self: Arc<Self>,
        exchange: Arc<Exchange>,
        mut walk: Walk,
        caller: Caller,
        mut record: Record,
        deadline: TokioInstant,
    ) -> Result<(Given, Record), (Failure, Record)> {
        let mut told: Option<Failure> = None;
        // An empty answer or a refusal is one, where nobody says more.
        let mut spare: Option<Given> = None;
        let end = loop {
            let mut attempt = match walk.next(self.moment(), &mut dice) {
                Next::Try(attempt) => attempt,
                Next::Wait(until) => {
                    tokio::time::sleep_until(self.clock.instant(until).min(deadline)).await;
                    if TokioInstant::now() >= deadline {
                        told = Some(Failure::of_request(overdue()));
                        break End::Time;
                    }
                    continue;
                }
                Next::End(end) => break end,
            };
            if let Some(failure) = self.passed_over(&exchange, &attempt, &mut record).await {
                walk.pass_over(&attempt);
                let more = |told: &Failure| failure.weight() >= told.weight();
                if told.as_ref().is_none_or(more) {
                    told = Some(failure);
                }
                continue;
            }
            let asked = self
                .ask(
                    &exchange,
                    &mut attempt,
                    &mut walk,
                    &caller,
                    &mut record,
                    deadline,
                )
                .await;
            match asked {
                Ok(mut answer) => {
                    let streamed = matches!(answer.content, Content::Stream(_));
                    if answer.allowance != Allowance::default()
                        && let Some(key) = attempt.pool_key()
                    {
                        let pool = &attempt.target.provider.keys;
                        answer.allowance.tell(pool, &key, self.moment());
                    }
                    record.step(walk.served(&mut attempt, streamed, self.moment()));
                    let target = &attempt.target;
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
                            key: attempt.pool_key(),
                        });
                    }
                    let given = Given::by(target, answer);
                    record.answers(attempt, self.clock);
                    return Ok((given, record));
                }
                Err(mut failure) => {
                    if let Some(answer) = failure.answer.take() {
                        let given = Given::by(&attempt.target, *answer);
                        if let Content::Whole { summary, .. } = &given.answer.content {
                            record.throws_away(summary);
                        }
                        // Of several refusals that of the model that was asked for.
                        let refused = |given: &Given| given.answer.is_refusal();
                        if !spare.as_ref().is_some_and(refused) {
                            spare = Some(given);
                        }
                    }
                    record.failed(&failure.error, &failure.fault, attempt.label());
                    record.step(walk.failed(*attempt, &failure.fault, self.moment()));
                    let more = |told: &Failure| failure.weight() >= told.weight();
                    if told.as_ref().is_none_or(more) {
                        told = Some(failure);
                    }
                    if TokioInstant::now() >= deadline {
                        break End::Time;
                    }
                }
            }
        };
        if let Some(given) = spare {
            if let Some(state) = &exchange.state {
                state.made_by(&given.provider, given.answer.through);
            }
            record.further(given.answer.further);
            if let Content::Whole { summary, .. } = &given.answer.content {
                record.takes_back(summary, &given.provider, &given.model);
            }
            return Ok((given, record));
        }
        let failure = self.ended(end, told, &exchange, &record);
        Err((failure, record))
    }

    /// Why a target is not asked, where a limit of the caller's that is about its provider is reached.
    async fn passed_over(
        &self,
        exchange: &Exchange,
        attempt: &Attempt,
        record: &mut Record,
    ) -> Option<Failure> {
        let account = record.account()?;
        let target = &attempt.target;
        let admitted = self.governance.admit_at(account, exchange, target).await;
        let (error, limits) = match admitted {
            Ok(()) => return None,
            Err(TurnedAway::Error(error)) => (error, None),
            Err(TurnedAway::Limits(refused)) => (refused.error(), Some(refused)),
        };
        Some(Failure {
            limits,
            ..Failure::new(error, Fault::new(Class::RateLimited))
        })
    }

    /// Asks one target with one key, and again without what it refuses of the request, as long as it refuses something new.
    async fn ask(
        &self,
        exchange: &Exchange,
        attempt: &mut Attempt,
        walk: &mut Walk,
        caller: &Caller,
        record: &mut Record,
        deadline: TokioInstant,
    ) -> Result<Answer, Failure> {
        let mut without = self.learned.of(&attempt.target, self.moment());
        let mut first: Option<Failure> = None;
        loop {
            let target = &attempt.target;
            record.attempt(&target.provider.name, &target.model);
            let with = With {
                secret: attempt.secret(),
                pool: attempt.pool_key(),
            };
            let asking = self.attempt(exchange, target, caller, with, &without, record);
            let asked = tokio::time::timeout_at(deadline, asking).await;
            let failure = match asked.unwrap_or_else(|_| Err(Failure::of_request(overdue()))) {
                Ok(answer) => {
                    if !without.found().is_empty() {
                        self.learned
                            .remember(target, without.found(), self.moment());
                    }
                    if walk.plan().answers_refusals() && answer.is_refusal() {
                        return Err(Failure::of_refusal(answer));
                    }
                    return Ok(answer);
                }
                Err(failure) => match attempt.secret() {
                    Some(secret) => failure.without_secret(secret),
                    None => failure,
                },
            };
            // What the provider has lost of an earlier answer stands in the other body.
            let lost = exchange
                .state
                .as_ref()
                .is_some_and(|state| state.lost_by(&target.provider.name, &failure.error));
            let more = failure.again.as_ref();
            if walk.may_ask_again() && (lost || more.is_some_and(|again| without.add(again))) {
                record.failed(&failure.error, &failure.fault, attempt.label());
                record.step(walk.again(attempt, &failure.fault, self.moment()));
                if !lost {
                    first.get_or_insert(failure);
                }
                continue;
            }
            // What was left out did not help: the upstream's first word is what the caller needs to know.
            return Err(match first {
                Some(first) if matches!(failure.fault.class, Class::Client | Class::Unfit) => first,
                Some(_) | None => failure,
            });
        }
    }

    /// The failure that the caller is told when nothing more is tried.
    fn ended(
        &self,
        end: End,
        told: Option<Failure>,
        exchange: &Exchange,
        record: &Record,
    ) -> Failure {
        let Some(mut failure) = told else {
            return match end {
                End::Down(down) => Failure::of_upstream(self.down(&down, exchange.routed_model())),
                End::Final | End::Tried { .. } | End::Attempts | End::Time => {
                    Failure::of_request(overdue())
                }
            };
        };
        // What the last one was told is of no matter when another is ready sooner.
        if let End::Tried {
            ready_at: Some(ready_at),
        } = end
            && failure.error.kind == ErrorKind::RateLimited
        {
            let wait = self.moment().until(ready_at);
            let sooner = failure.error.retry_after.is_some_and(|told| wait < told);
            if sooner || record.attempts() > 1 && failure.error.retry_after != Some(wait) {
                failure.error.retry_after = Some(wait);
                // Gemini says it in the body, where its clients read it.
                failure.verbatim = failure
                    .verbatim
                    .take()
                    .filter(|verbatim| memchr::memmem::find(&verbatim.2, b"retryDelay").is_none());
            }
        }
        failure
    }

    /// That nothing is ready to serve the model, why, and when to come again.
    fn down(&self, down: &Down, model: &str) -> ApiError {
        let keyless = |skipped: &Skipped| matches!(&skipped.why, Skip::Keys(unready) if unready.why == Hindrance::NoKeys);
        if down.skipped.iter().all(keyless) {
            let message =
                format!("no provider that serves '{model}' has a key; give it one in its `keys`");
            return ApiError::new(ErrorKind::Internal, message);
        }
        let now = self.moment();
        let mut reasons: Vec<String> = Vec::new();
        for skipped in &down.skipped {
            let why = match &skipped.why {
                // What somebody noted on switching a key off is not for callers.
                Skip::Keys(unready) if unready.why == Hindrance::Off => {
                    format!("keys: {}", unready.why.name())
                }
                why => why.told(now),
            };
            let reason = format!("{}: {why}", skipped.provider);
            if !reasons.contains(&reason) && reasons.len() < REASONS {
                reasons.push(reason);
            }
        }
        let kind = if down.limited {
            ErrorKind::RateLimited
        } else {
            ErrorKind::Overloaded
        };
        let message = format!(
            "nothing that serves '{model}' is ready; {}",
            reasons.join("; ")
        );
        let mut error = ApiError::new(kind, message);
        error.retry_after = down.ready_at.map(|at| now.until(at));
        error
    }
}

/// The targets that may be tried.
pub(crate) fn plan(exchange: &Exchange, caller: &Caller) -> Result<Plan, ApiError> {
    let ask = Ask {
        model: exchange.routed_model(),
        dialect: exchange.dialect,
        stream: exchange.stream,
        facts: &exchange.facts(caller),
    };
    let mut plan = lingate_routing::plan(&exchange.snapshot, &ask, &mut dice)
        .map_err(|none| no_route(&none, exchange.model_is_from_text()))?;
    if let Some(state) = &exchange.state {
        state.narrow(&mut plan)?;
    }
    Ok(plan)
}

/// Of a response that tells of the limits that refuse it: what is left of others is of no matter.
#[derive(Debug, Clone, Copy)]
struct LimitsTold;

/// How many reasons an error names.
const REASONS: usize = 5;

/// For what is left to chance: no secret, but not to be foreseen either.
pub(crate) fn dice() -> u64 {
    let bytes = Uuid::new_v4().as_u64_pair();
    bytes.0 ^ bytes.1
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
    fn by(target: &Target, answer: Answer) -> Self {
        Self {
            answer,
            provider: target.provider.name.clone(),
            model: target.model.clone(),
        }
    }

    pub(crate) fn respond(
        self,
        exchange: &Exchange,
        mut record: Record,
        bounds: Bounds,
    ) -> Response<Body> {
        let Answer {
            through: _,
            status,
            headers,
            content,
            losses,
            further: _,
            allowance: _,
        } = self.answer;
        record.lost(losses.len());
        let trail = record.trail();
        let streamed = exchange.stream;
        let mut repaired = false;
        let mut cost = None;
        let body = match content {
            Content::Whole { body, summary } => {
                repaired = summary.outcome == Outcome::Repaired;
                cost = record.settle(&summary).price;
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
        headers.insert(answer::ATTEMPTS, headers::ascii(&trail, 4096));
        if let Some(cost) = cost.filter(|_| !streamed) {
            headers.insert(answer::COST, headers::ascii(&cost.to_string(), 32));
        }
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
    mut attempts: Pin<Box<F>>,
    beats: Beats,
    bounds: Bounds,
    request_id: &str,
) -> Response<Body>
where
    F: Future<Output = Result<(Given, Record), (Failure, Record)>> + Send + 'static,
{
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
        Content::Whole { body, summary } => crate::relay::Source::Whole { body, summary },
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
pub(crate) fn refusal(
    exchange: &Exchange,
    failure: Failure,
    record: Record,
    request_id: &str,
) -> Response<Body> {
    let (attempts, trail) = (record.attempts(), record.trail());
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
    if let Some(refused) = failure.limits {
        answer::tell_limits(response.headers_mut(), refused.headers(exchange.dialect));
        response.extensions_mut().insert(LimitsTold);
    }
    record.refuse(&failure.error, response.status().as_u16());
    response
        .headers_mut()
        .insert(answer::ATTEMPTS, headers::ascii(&trail, 4096));
    if attempts > 1 {
        answer::do_not_retry(response.headers_mut());
    }
    response
}

/// `from_text`: it is a tag in the text that names the model, not the request, whose writer may know nothing of it.
pub(crate) fn no_route(none: &lingate_routing::NoRoute, from_text: bool) -> ApiError {
    if none.unspoken.is_some() {
        return ApiError::new(
            ErrorKind::Unsupported,
            format!("{none}; use the door of another dialect, or `mode: transform`"),
        );
    }
    let mut message = format!("no provider serves the model '{}'", none.model);
    if from_text {
        message.push_str(", which a tag in the text names");
    }
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
