//! The task that keeps an eye on Redis: announces this replica, finds Redis again, and tells what is waiting.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lingate_metering::counter::{Reservation, Span};
use tokio::time::sleep;

use super::link::Silence;
use super::standin::Telling;
use super::wire::{self, Take};
use super::{Redis, new_id};

/// How often a replica announces itself: a few times before it counts as gone.
const ANNOUNCE: Duration = Duration::from_secs(5);

/// After the first failure, and at most. Real pauses are between half and one and a half of it, so that replicas do not come all at
/// once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Settlements that are told at the same time.
const AT_ONCE: usize = 64;

pub(super) async fn keep(redis: Arc<Redis>, first: Result<(), Silence>) {
    let mut visited = first;
    let mut failures = 0;
    loop {
        match visited {
            Ok(()) => {
                failures = 0;
                tokio::select! {
                    () = sleep(ANNOUNCE) => {}
                    () = redis.wake.notified() => {}
                }
            }
            Err(silence) => {
                redis.is_away(silence);
                sleep(pause(failures)).await;
                failures += 1;
            }
        }
        visited = redis.visit().await;
    }
}

fn pause(failures: u32) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_PAUSE);
    let dice = u32::try_from(RandomState::new().hash_one(failures) % 1000).unwrap_or_default();
    longest / 2 + longest * dice / 1000
}

impl Redis {
    /// Connects if there is no connection, announces this replica, tells what is waiting, and lets requests ask again.
    pub(super) async fn visit(self: &Arc<Self>) -> Result<(), Silence> {
        if !self.link.is_connected() {
            self.link.connect().await?;
        }
        let call = wire::announce(&self.prefix, self.replica, new_id());
        let heard = wire::heard(&self.link.call(&call).await?)?;
        {
            let mut state = self.lock();
            let known = state.standin.generation.replace(heard.generation.clone());
            state.standin.replicas = heard.replicas;
            if heard.new || known.is_some_and(|known| known != heard.generation) {
                tracing::warn!(
                    "Redis holds no counters: what was used must be read from the ledger"
                );
                self.lost.notify_one();
            }
        }
        loop {
            self.tell_waiting().await?;
            if let Some(open) = self.is_back() {
                return self.hand_over(open).await;
            }
        }
    }

    /// Lets requests ask again, unless something is waiting to be told. The answer is what is reserved
    /// here alone.
    fn is_back(&self) -> Option<Vec<Reservation>> {
        let mut state = self.lock();
        if state.standin.waiting() > 0 {
            return None;
        }
        if state.away.take().is_some() {
            tracing::info!("the counters of limits in Redis are reached");
            self.up.store(true, Ordering::Release);
            state.standin.forget_windows();
        }
        Some(state.standin.open())
    }

    async fn tell_waiting(self: &Arc<Self>) -> Result<(), Silence> {
        loop {
            let (tellings, now) = {
                let mut state = self.lock();
                let now = state.standin.now;
                (state.standin.pop(AT_ONCE, new_id), now)
            };
            if tellings.is_empty() {
                return Ok(());
            }
            let generation = self.generation();
            let tasks: Vec<_> = tellings
                .into_iter()
                .map(|mut telling: Telling| {
                    let redis = Arc::clone(self);
                    telling
                        .told
                        .get_or_insert_with(|| (Instant::now(), generation.clone()));
                    tokio::spawn(async move {
                        let answer = redis.tell(&telling, now).await;
                        if answer.is_err() {
                            redis.lock().standin.push(telling);
                        }
                        answer
                    })
                })
                .collect();
            let mut told = Ok(());
            for task in tasks {
                if let Ok(Err(silence)) = task.await {
                    told = Err(silence);
                }
            }
            told?;
        }
    }

    /// Reserves in Redis what was reserved here alone and goes on.
    async fn hand_over(&self, open: Vec<Reservation>) -> Result<(), Silence> {
        for mut reservation in open {
            let admitted = reservation.now;
            reservation.now = self.lock().standin.now;
            reservation.charges.retain(|charge| {
                charge.span == Span::Held || charge.span.counts(admitted, reservation.now)
            });
            let call = wire::reserve(&self.prefix, &reservation, admitted, Take::Really);
            self.link.call(&call).await?;
            self.lock().standin.handed_over(reservation.id);
        }
        Ok(())
    }
}
