//! When requests are made: as soon as a connection is free (closed loop), or at fixed times (open loop).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinHandle, spawn_local};

use crate::connection::Connection;
use crate::exchange::{Ask, once};
use crate::tally::Tally;

/// Time for the connections to open before the first request is due: setting up a connection is not a request's latency.
const HEAD_START: Duration = Duration::from_millis(100);
/// Between two attempts at a gateway that refuses connections.
const RETRY: Duration = Duration::from_millis(20);

/// Each of `connections` asks again as soon as it has its answer; they start spread over `ramp`.
pub(crate) fn closed(
    ask: &Rc<Ask>,
    tally: &Rc<RefCell<Tally>>,
    connections: u32,
    ramp: Duration,
) -> Vec<JoinHandle<()>> {
    let worker = |index: u32| {
        let (ask, tally) = (ask.clone(), tally.clone());
        let wait = ramp.mul_f64(f64::from(index) / f64::from(connections));
        spawn_local(async move {
            tokio::time::sleep(wait).await;
            let mut connection = None;
            loop {
                once(&mut connection, &ask, &tally, Instant::now()).await;
                if connection.is_none() {
                    tokio::time::sleep(RETRY).await;
                }
            }
        })
    };
    (0..connections).map(worker).collect()
}

/// `rate` requests per second fall due at even intervals; a free connection takes each, or the next that becomes free.
pub(crate) fn open(
    ask: &Rc<Ask>,
    tally: &Rc<RefCell<Tally>>,
    connections: u32,
    rate: f64,
) -> Vec<JoinHandle<()>> {
    let due: Rc<RefCell<VecDeque<Instant>>> = Rc::default();
    let arrived = Rc::new(Notify::new());
    let worker = |_| {
        let (ask, tally, due, arrived) = (ask.clone(), tally.clone(), due.clone(), arrived.clone());
        spawn_local(async move {
            let mut connection = Connection::open(ask.address).await.ok();
            loop {
                let next = due.borrow_mut().pop_front();
                match next {
                    Some(moment) => once(&mut connection, &ask, &tally, moment).await,
                    None => arrived.notified().await,
                }
            }
        })
    };
    let mut tasks: Vec<_> = (0..connections).map(worker).collect();
    let mut clock = clock(rate);
    tasks.push(spawn_local(async move {
        while let Some(moment) = clock.recv().await {
            due.borrow_mut().push_back(moment);
            // The connection that was used last: a few stay warm, as in a client's pool.
            arrived.notify_last();
        }
    }));
    tasks
}

/// Tells each moment as it comes, from a thread of its own: tokio's timers count in milliseconds, too coarse beside answers
/// that take a tenth of one.
fn clock(rate: f64) -> UnboundedReceiver<Instant> {
    let (told, moments) = unbounded_channel();
    thread::spawn(move || {
        let mut moment = Instant::now() + HEAD_START;
        loop {
            thread::sleep(moment.saturating_duration_since(Instant::now()));
            if told.send(moment).is_err() {
                return;
            }
            moment += Duration::from_secs_f64(1.0 / rate);
        }
    });
    moments
}
