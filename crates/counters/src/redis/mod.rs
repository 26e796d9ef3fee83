//! Counters in Redis, shared by all replicas; and what happens while it is away.
//!
//! Each operation is one script in one round trip. Whoever does not get an answer within [`PATIENCE`] notes that Redis is away, and
//! from then on nobody asks it but the keeper, a task that tries again, tells what was used meanwhile, and lets everybody ask again.

mod keeper;
mod link;
mod standin;
mod wire;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lingate_metering::counter::{Charge, Reservation, Reserved, Seed, Settlement};
use lingate_metering::{Id, Millis};
use redis::Client;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{Health, OnOutage, Outage, since};
pub(crate) use link::PATIENCE;
use link::{Link, Silence};
use standin::{Standin, Telling};
use wire::Take;

/// Ids in one call to renew, and seeds in one call.
const BATCH: usize = 200;

/// Where Redis is, and what is done while it is away.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://` or `rediss://`, with user, password, host, port and number of the database as needed. Never shown.
    pub url: String,
    /// All keys begin with it, so that several installations share one Redis: letters, digits, `_`, `-` and `.`.
    pub prefix: String,
    pub on_outage: OnOutage,
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("url", &"…")
            .field("prefix", &self.prefix)
            .field("on_outage", &self.on_outage)
            .finish()
    }
}

/// Settings that no Redis can be reached with. The address is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    #[error(
        "expected the address of a Redis, such as redis://host:6379/0 or rediss://user:password@host:6380/0"
    )]
    Url,
    #[error(
        "expected a prefix for keys of at most 64 letters, digits, `_`, `-` and `.`, such as lingate"
    )]
    Prefix,
}

/// Redis, and the task that keeps an eye on it.
#[derive(Debug)]
pub(crate) struct Kept {
    redis: Arc<Redis>,
    keeper: JoinHandle<()>,
}

pub(crate) struct Redis {
    link: Link,
    /// With the hash tag: in a cluster all keys are in one place.
    prefix: String,
    rule: OnOutage,
    replica: Id,
    /// Whether requests ask Redis; changed with `state` locked.
    up: AtomicBool,
    state: Mutex<State>,
    /// The keeper has something to do.
    wake: Notify,
    lost: Notify,
}

#[derive(Debug)]
struct State {
    standin: Standin,
    /// Since when Redis is away, and why.
    away: Option<(Millis, Silence)>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("prefix", &self.prefix)
            .field("rule", &self.rule)
            .field("up", &self.up)
            .finish_non_exhaustive()
    }
}

impl Kept {
    /// Connects; if that takes more than about a second, the keeper goes on trying and Redis counts as away.
    pub(crate) async fn connect(
        settings: &RedisSettings,
        patience: Duration,
    ) -> Result<Self, BadSettings> {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let prefix = &settings.prefix;
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(named) {
            return Err(BadSettings::Prefix);
        }
        let client = Client::open(settings.url.as_str()).map_err(|_| BadSettings::Url)?;
        let redis = Arc::new(Redis {
            link: Link::new(client, patience),
            prefix: format!("{{{prefix}}}:"),
            rule: settings.on_outage,
            replica: new_id(),
            up: AtomicBool::new(false),
            state: Mutex::new(State {
                standin: Standin::new(),
                away: Some((wall_clock(), Silence("not connected yet".to_owned()))),
            }),
            wake: Notify::new(),
            lost: Notify::new(),
        });
        let first = redis.visit().await;
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&redis), first));
        Ok(Self { redis, keeper })
    }

    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Redis {
    pub(crate) async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, Outage> {
        if self.is_up() {
            let mut asking = Asking {
                redis: self,
                reservation,
                answered: false,
            };
            let call = wire::reserve(&self.prefix, reservation, reservation.now, Take::Really);
            let answer = self.link.call(&call).await;
            match answer.and_then(|answer| {
                wire::reserved(&answer, &reservation.charges).map(|reserved| (answer, reserved))
            }) {
                Ok((answer, reserved)) => {
                    asking.answered = true;
                    let mut state = self.lock();
                    state.standin.now = reservation.now;
                    state.standin.saw(reservation, &reserved);
                    self.compare(&state, &answer);
                    return Ok(reserved);
                }
                Err(silence) => {
                    self.is_away(silence);
                    let instead = self.lock().standin.reserve(reservation, self.rule);
                    // Redis may have taken it all the same, too late: from a request that is refused here it is given back.
                    asking.answered = matches!(instead, Ok(Reserved::Taken(_)));
                    return instead;
                }
            }
        }
        self.lock().standin.reserve(reservation, self.rule)
    }

    pub(crate) async fn would_take(&self, reservation: &Reservation) -> Result<Reserved, Outage> {
        if self.is_up() {
            let call = wire::reserve(&self.prefix, reservation, reservation.now, Take::Ask);
            let answer = self.link.call(&call).await;
            match answer.and_then(|answer| wire::reserved(&answer, &reservation.charges)) {
                Ok(reserved) => return Ok(reserved),
                Err(silence) => self.is_away(silence),
            }
        }
        self.lock().standin.would_take(reservation, self.rule)
    }

    pub(crate) async fn settle(&self, settlement: Settlement) {
        let (mut telling, now) = {
            let mut state = self.lock();
            let telling = state.standin.settled(&settlement, !self.is_up());
            (telling, state.standin.now)
        };
        if self.is_up() {
            telling.told = Some((Instant::now(), self.generation()));
            let mut telling = Told {
                redis: self,
                telling: Some(telling),
            };
            if let Some(told) = &telling.telling {
                match self.tell(told, now).await {
                    Ok(()) => telling.telling = None,
                    Err(silence) => self.is_away(silence),
                }
            }
        } else {
            self.keep(telling);
        }
    }

    pub(crate) async fn renew(&self, ids: &[Id], now: Millis, until: Millis) {
        self.lock().standin.renew(ids, now, until);
        for ids in ids.chunks(BATCH) {
            if !self.is_up() {
                return;
            }
            let call = wire::renew(&self.prefix, ids, now, until);
            if let Err(silence) = self.link.call(&call).await {
                self.is_away(silence);
            }
        }
    }

    pub(crate) async fn used(&self, charges: &[Charge], now: Millis) -> Result<Vec<u64>, Outage> {
        if self.is_up() {
            let answer = self
                .link
                .call(&wire::used(&self.prefix, charges, now))
                .await;
            match answer.and_then(|answer| wire::used_of(&answer, charges)) {
                Ok(used) => return Ok(used),
                Err(silence) => self.is_away(silence),
            }
        }
        self.lock().standin.used(charges, now, self.rule)
    }

    pub(crate) async fn seed(&self, seeds: &[Seed], now: Millis) -> Result<(), Outage> {
        for seeds in since(seeds, now).chunks(BATCH) {
            if !self.is_up() {
                return Err(Outage);
            }
            let call = wire::seed(&self.prefix, new_id(), seeds, now);
            if let Err(silence) = self.link.call(&call).await {
                self.is_away(silence);
                return Err(Outage);
            }
        }
        Ok(())
    }

    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
    }

    pub(crate) fn health(&self) -> Health {
        let state = self.lock();
        let waiting = state.standin.unknown_there();
        match &state.away {
            None => Health::Up {
                replicas: state.standin.replicas,
                waiting,
            },
            Some((since, Silence(reason))) => Health::Away {
                since: *since,
                reason: reason.clone(),
                rule: self.rule,
                waiting,
            },
        }
    }

    async fn tell(&self, telling: &Telling, now: Millis) -> Result<(), Silence> {
        let held = telling.must_be_held(self.generation().as_deref());
        let kept = telling.kept();
        let call = wire::settle(&self.prefix, telling.id, now, kept, held, &telling.amounts);
        let answer = self.link.call(&call).await?;
        self.compare(&self.lock(), &answer);
        Ok(())
    }

    /// Keeps what could not be told for the keeper.
    fn keep(&self, telling: Telling) {
        self.lock().standin.push(telling);
        self.wake.notify_one();
    }

    /// Notes that Redis does not answer: nobody asks it until the keeper has found it again.
    fn is_away(&self, silence: Silence) {
        let mut state = self.lock();
        self.up.store(false, Ordering::Release);
        self.link.disconnect();
        if let Some((_, reason)) = &mut state.away {
            *reason = silence;
            return;
        }
        tracing::warn!(
            reason = silence.0,
            rule = ?self.rule,
            "the counters of limits in Redis cannot be reached"
        );
        state.away = Some((wall_clock(), silence));
        self.wake.notify_one();
    }

    /// An answer begins with the generation of what Redis holds: another one than was known, and it has lost what it held.
    fn compare(&self, state: &State, answer: &[String]) {
        if answer.first() != state.standin.generation.as_ref() {
            self.wake.notify_one();
        }
    }

    fn generation(&self) -> Option<String> {
        self.lock().standin.generation.clone()
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reservation whose answer is awaited. If nobody waits for it any more, what may have been taken is given back.
struct Asking<'a> {
    redis: &'a Redis,
    reservation: &'a Reservation,
    answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.redis.keep(Telling {
                id: self.reservation.id,
                amounts: Vec::new(),
                reserved_there: true,
                told: Some((Instant::now(), None)),
            });
        }
    }
}

/// A settlement whose answer is awaited. If there is none, or nobody waits for it any more, it is told again.
struct Told<'a> {
    redis: &'a Redis,
    telling: Option<Telling>,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if let Some(telling) = self.telling.take() {
            self.redis.keep(telling);
        }
    }
}

fn new_id() -> Id {
    Id::from_u128(Uuid::now_v7().as_u128())
}

fn wall_clock() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
        })
}
