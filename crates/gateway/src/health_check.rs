//! Questions that nobody asked: whether a provider answers, and whether keys that were turned away are accepted again, so that no
//! caller has to find out.
//!
//! A question is the list of models, which costs nothing, or where a model is named an answer of one token. They are in no tally.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use lingate_dialect::{ApiError, DialectId, ErrorKind, Mint};
use lingate_routing::{
    Class, Fault, HealthCheck, Kind, Lease, Moment, Provider, Snapshot, Target, Wanted,
};
use lingate_upstream::{Operation, Payload};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::api::Problem;
use crate::attempt::{Failure, With, unreadable};
use crate::body::{ReadError, UpstreamBody};
use crate::caller::Caller;
use crate::doors::AnswerDoor;
use crate::exchange::Exchange;
use crate::learned::Without;
use crate::record::Record;
use crate::service::{dice, seconds_since_1970};
use crate::{Gateway, fault, prepare};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes; what is longer is a list of models that nobody looks at.
const LONGEST: usize = 1 << 20;
/// How often it is looked whether a question is due.
const LOOK: Duration = Duration::from_millis(250);
/// Keys of one provider that are tested at the same time.
const TESTED: usize = 8;

/// All keys of a provider, to be asked about one by one.
#[derive(Debug, Clone)]
pub struct KeyTests {
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    provider: Arc<Provider>,
    model: Option<String>,
}

/// What was found out of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestedKey {
    /// As people know it: its name, or its last characters.
    pub key: String,
    /// `None`: the provider answers, and says nothing of the key.
    pub well: Option<bool>,
    /// The provider's own code or a few words.
    pub detail: String,
}

impl KeyTests {
    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.provider.keys.len()
    }

    /// Asks with the key at a place. What is found out counts, like that of a health check.
    pub async fn test(&self, place: usize) -> Option<TestedKey> {
        let lease = self.provider.keys.take_at(place, self.gateway.moment())?;
        let (provider, model) = (&self.provider, self.model.as_deref());
        let told = self
            .gateway
            .find_out(Arc::clone(&self.snapshot), provider, model, Some(&lease))
            .await;
        self.gateway.learn(provider, model, Some(&lease), &told);
        let (well, detail) = told.said();
        Some(TestedKey {
            key: lease.label().to_string(),
            well,
            detail,
        })
    }
}

impl Told {
    /// Whether all is well with the key, and what is said about it.
    fn said(&self) -> (Option<bool>, String) {
        match self {
            Self::Well => (Some(true), "it answers, and takes the key".to_owned()),
            Self::Answers => (None, "it answers, and says nothing of the key".to_owned()),
            Self::Failed(fault) if fault.status == 0 => (Some(false), fault.code.clone()),
            Self::Failed(fault) => (Some(false), format!("{} {}", fault.status, fault.code)),
        }
    }
}

/// What is due of one provider.
#[derive(Debug, Default)]
struct Watched {
    /// When it is asked next.
    ask_at: Moment,
    /// When keys are tested next, and what was known of them when that was found out.
    test_at: Option<Moment>,
    changes: Option<u64>,
    under_way: usize,
}

/// What an answer tells.
#[derive(Debug)]
enum Told {
    /// All is well, the key too.
    Well,
    /// That the provider answers, and nothing of the key.
    Answers,
    Failed(Box<Fault>),
}

/// A question that was answered.
struct Done {
    provider: String,
    told: bool,
}

impl Gateway {
    /// Asks those that are to be asked, as the configuration says at the time.
    pub(crate) async fn check_health(self: Arc<Self>) {
        let mut watched: FxHashMap<String, Watched> = FxHashMap::default();
        let mut asking: JoinSet<Done> = JoinSet::new();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.moment();
            while let Some(done) = asking.try_join_next() {
                let Ok(Done { provider, told }) = done else {
                    continue;
                };
                if let Some(watched) = watched.get_mut(&provider) {
                    watched.under_way = watched.under_way.saturating_sub(1);
                    if !told {
                        // A question that tells nothing of keys is not asked for each of them.
                        watched.test_at = watched.test_at.max(Some(watched.ask_at));
                    }
                }
            }
            let snapshot = self.snapshot();
            watched.retain(|name, _| {
                let provider = snapshot.provider(name);
                provider.is_some_and(|provider| provider.health_check.is_some())
            });
            for provider in &snapshot.providers {
                let Some(check) = &provider.health_check else {
                    continue;
                };
                if provider.kind == Kind::Demo {
                    continue;
                }
                let watched = watched.entry(provider.name.clone()).or_default();
                for lease in due(provider, check, watched, now) {
                    watched.under_way += 1;
                    let gateway = Arc::clone(&self);
                    let (snapshot, provider) = (Arc::clone(&snapshot), Arc::clone(provider));
                    asking.spawn(async move { gateway.check(snapshot, &provider, lease).await });
                }
            }
        }
    }

    async fn check(
        &self,
        snapshot: Arc<Snapshot>,
        provider: &Arc<Provider>,
        lease: Option<Lease>,
    ) -> Done {
        let check = provider.health_check.as_ref();
        let model = check.and_then(|check| check.model.as_deref());
        let told = self
            .find_out(snapshot, provider, model, lease.as_ref())
            .await;
        Done {
            provider: provider.name.clone(),
            told: self.learn(provider, model, lease.as_ref(), &told),
        }
    }

    /// Asks, whatever the question costs.
    async fn find_out(
        &self,
        snapshot: Arc<Snapshot>,
        provider: &Arc<Provider>,
        model: Option<&str>,
        key: Option<&Lease>,
    ) -> Told {
        let asked = async {
            match model {
                Some(model) => self.one_token(snapshot, provider, model, key).await,
                None => self.list(provider, key).await,
            }
        };
        let told = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(told) => told,
            Err(_) => Told::Failed(Box::new(Fault {
                code: "no answer in time".to_owned(),
                ..Fault::new(Class::Timeout)
            })),
        };
        let name = provider.name.as_str();
        let key = key.map(|key| key.label());
        tracing::debug!(provider = name, model, key, ?told, "health check");
        told
    }

    /// Takes note of what an answer tells; whether that is something of the key.
    fn learn(
        &self,
        provider: &Provider,
        model: Option<&str>,
        lease: Option<&Lease>,
        told: &Told,
    ) -> bool {
        let now = self.moment();
        let health = &provider.health;
        let of_model = model.map(|model| health.model(model, now));
        let mut tells_of_key = true;
        match told {
            Told::Well => {
                health.check_passed(of_model.as_deref(), now);
                if let Some(key) = lease {
                    provider.keys.served_check(key, model, now);
                }
            }
            Told::Answers => {
                health.check_passed(None, now);
                tells_of_key = false;
            }
            Told::Failed(fault) if fault.class.is_of_key() => {
                health.check_passed(None, now);
                if let Some(key) = lease {
                    let model = model.unwrap_or_default();
                    provider.keys.report_check(key, model, fault, now);
                }
            }
            Told::Failed(fault) => {
                health.check_failed(of_model.as_deref(), fault, now);
                tells_of_key = false;
            }
        }
        tells_of_key
    }

    /// The keys of a provider, to be tested; `None`: there is no such provider. `model`: each is asked for an answer of one token,
    /// which costs what it costs; else for the list of models.
    pub fn key_tests(self: &Arc<Self>, provider: &str, model: Option<String>) -> Option<KeyTests> {
        let snapshot = self.snapshot();
        let provider = Arc::clone(snapshot.provider(provider)?);
        Some(KeyTests {
            gateway: Arc::clone(self),
            snapshot,
            provider,
            model,
        })
    }

    /// Asks a provider now, with the next of its keys. What is found out counts, like that of a health check.
    pub(crate) async fn test_provider(
        &self,
        snapshot: Arc<Snapshot>,
        name: &str,
        model: Option<&str>,
    ) -> Result<Value, Problem> {
        let Some(provider) = snapshot.provider(name).cloned() else {
            let detail = format!("there is no provider `{name}`");
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        };
        let now = self.moment();
        let taken = provider
            .keys
            .take(&Wanted::of(model.unwrap_or_default()), now);
        let lease = match taken {
            Ok(lease) => Some(lease),
            Err(_) if provider.keys.is_empty() => None,
            Err(_) => {
                return Ok(json!({
                    "provider": name,
                    "well": false,
                    "detail": "none of its keys can be used at the moment; GET /api/v1/key-pools tells why",
                }));
            }
        };
        let key = lease.as_ref().map(|key| key.label().to_string());
        if provider.kind == Kind::Demo {
            return Ok(json!({"provider": name, "well": true, "detail": "answers by itself"}));
        }
        let started = Instant::now();
        let told = self
            .find_out(Arc::clone(&snapshot), &provider, model, lease.as_ref())
            .await;
        self.learn(&provider, model, lease.as_ref(), &told);
        let (well, detail) = told.said();
        let mut report = json!({
            "provider": name,
            "well": well != Some(false),
            "detail": detail,
            "duration_ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        if let (Some(model), Value::Object(report)) = (model, &mut report) {
            report.insert("model".to_owned(), json!(model));
        }
        if let (Some(key), Value::Object(report)) = (key, &mut report) {
            report.insert("key".to_owned(), json!(key));
        }
        Ok(report)
    }

    /// Asks for the list of models.
    async fn list(&self, provider: &Provider, key: Option<&Lease>) -> Told {
        let secret = key.filter(|key| !key.is_none()).map(|key| key.secret());
        let internal =
            |message: String| Failure::of_upstream(ApiError::new(ErrorKind::Internal, message));
        let asked = async {
            let client = self
                .clients
                .get(provider.proxy.as_deref())
                .map_err(|error| internal(error.to_string()))?;
            let endpoint = provider
                .endpoints
                .first()
                .ok_or_else(|| internal("no endpoint".to_owned()))?;
            let query = match endpoint.dialect {
                DialectId::Chat | DialectId::Responses => "",
                DialectId::Messages => "limit=1",
                DialectId::Gemini => "pageSize=1",
            };
            let url = lingate_upstream::url(&endpoint.base_url, Operation::ListModels, "", query);
            let mut request = Request::new(Payload::from(Bytes::new()));
            *request.method_mut() = Method::GET;
            *request.uri_mut() = url
                .parse()
                .map_err(|_| internal("no valid address".to_owned()))?;
            *request.headers_mut() = prepare::upstream_headers(None, endpoint);
            request.headers_mut().remove(header::CONTENT_TYPE);
            if let Some(secret) = secret {
                let auth = &endpoint.auth;
                lingate_upstream::authorize(
                    request.headers_mut(),
                    &auth.header,
                    &auth.format,
                    secret,
                )
                .map_err(|error| internal(error.to_string()))?;
            }
            let response = lingate_upstream::send(&client, request, PATIENCE)
                .await
                .map_err(|error| Failure::unsent(&error))?;
            let (parts, body) = response.into_parts();
            let body = match UpstreamBody::new(body, &parts.headers) {
                Some(body) => match body.read(LONGEST, PATIENCE).await {
                    Ok(body) => body,
                    Err(ReadError::TooLarge) => Bytes::new(),
                    Err(error) => return Err(Failure::of_upstream(unreadable(error))),
                },
                None => Bytes::new(),
            };
            let headers: Vec<(&str, &str)> = parts
                .headers
                .iter()
                .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
                .collect();
            let status = parts.status;
            if status.is_success() && !fault::is_page(&headers, &body) {
                return Ok(());
            }
            let error = ApiError::decode(status.as_u16(), &body);
            let fault = fault::of_answer(&error, status.as_u16(), &headers, &body);
            let failure = Failure::new(error, fault);
            Err(match secret {
                Some(secret) => failure.without_secret(secret),
                None => failure,
            })
        };
        match asked.await {
            Ok(()) => Told::Well,
            // A key may be good for all but lists, or have none of its own where callers bring theirs.
            Err(Failure { fault, .. }) if fault.class.is_of_key() => {
                if fault.status == 401 && secret.is_some() {
                    Told::Failed(fault)
                } else {
                    Told::Answers
                }
            }
            Err(failure) => of_failure(failure),
        }
    }

    /// Asks for an answer of one token.
    async fn one_token(
        &self,
        snapshot: Arc<Snapshot>,
        provider: &Arc<Provider>,
        model: &str,
        key: Option<&Lease>,
    ) -> Told {
        let body = json!({
            "model": model,
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 1,
        });
        let door = AnswerDoor {
            dialect: DialectId::Chat,
            model: None,
            stream: Some(false),
            compact: false,
        };
        let mint = Mint {
            now: seconds_since_1970(),
            id: Uuid::now_v7().as_u128(),
        };
        let body = Bytes::from(body.to_string());
        let exchange = Exchange::new(door, mint, HeaderMap::new(), String::new(), body, snapshot);
        let (Ok(exchange), Some((endpoint, _))) =
            (exchange, provider.endpoint(DialectId::Chat, model))
        else {
            return Told::Answers;
        };
        let target = Target::at(provider, endpoint, model);
        let secret = key.filter(|key| !key.is_none()).map(|key| key.secret());
        let without: Without = self.learned.of(&target, self.moment());
        let with = With {
            secret,
            pool: key.map(Lease::key),
        };
        let nobody = Caller::Open(Arc::clone(self.governance.directory().anyone()));
        let asked = self
            .attempt(
                &exchange,
                &target,
                &nobody,
                with,
                &without,
                &mut Record::none(),
            )
            .await;
        match asked {
            Ok(_) => Told::Well,
            // One token may be too few to say anything.
            Err(failure) if failure.answer.is_some() => Told::Well,
            Err(failure) => of_failure(match secret {
                Some(secret) => failure.without_secret(secret),
                None => failure,
            }),
        }
    }
}

fn of_failure(failure: Failure) -> Told {
    let class = failure.fault.class;
    if class.is_of_key() || class.is_of_upstream() {
        Told::Failed(failure.fault)
    } else {
        // It was not content with the question, but it answered.
        Told::Answers
    }
}

/// The keys to ask with now: those to be tested, and the next in turn when the time has come. `None`: without a key.
fn due(
    provider: &Provider,
    check: &HealthCheck,
    watched: &mut Watched,
    now: Moment,
) -> Vec<Option<Lease>> {
    let pool = &provider.keys;
    let paid = check.model.is_some();
    let mut leases = Vec::new();
    let changes = pool.changes();
    let news = watched.changes.replace(changes) != Some(changes);
    let test_due = watched.test_at.is_some_and(|at| at <= now);
    if news || test_due {
        watched.test_at = None;
        while watched.under_way + leases.len() < TESTED {
            match pool.take_to_test(paid, now) {
                Ok(lease) => leases.push(Some(lease)),
                Err(at) => {
                    watched.test_at = at;
                    break;
                }
            }
        }
        if watched.under_way + leases.len() >= TESTED {
            watched.test_at = Some(now.after(LOOK));
        }
    }
    if watched.ask_at <= now {
        watched.ask_at = now.after(jittered(check.interval));
        if leases.is_empty() && watched.under_way == 0 {
            if pool.is_empty() {
                leases.push(None);
            } else if let Ok(lease) =
                pool.take(&Wanted::of(check.model.as_deref().unwrap_or("")), now)
            {
                leases.push(Some(lease));
            }
        }
    }
    leases
}

/// Up to a tenth sooner or later: many gateways that were started together do not ask together.
fn jittered(interval: Duration) -> Duration {
    let tenths = u32::try_from(dice() % 201).unwrap_or(100);
    interval.saturating_mul(900 + tenths) / 1_000
}
