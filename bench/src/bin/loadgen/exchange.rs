//! One request and its verdict.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lingate_bench::reading;
use lingate_bench::wire::Wire;

use crate::connection::{Answer, Connection};
use crate::tally::Tally;
use crate::turns::Turns;

#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) address: SocketAddr,
    pub(crate) wire: Wire,
    pub(crate) stream: bool,
    /// The whole request as it goes onto the wire.
    pub(crate) bytes: Turns,
    /// What the answer must say.
    pub(crate) text: String,
    pub(crate) check_every: u64,
    pub(crate) timeout: Duration,
}

/// Asks once on `connection`, opening it where needed, and enters the result. Latency counts from `due`.
pub(crate) async fn once(
    connection: &mut Option<Connection>,
    ask: &Ask,
    tally: &RefCell<Tally>,
    due: Instant,
) {
    let asking = async {
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(ask.address).await?,
        };
        let answer = open.exchange(&ask.bytes.next()).await?;
        if answer.keep_alive {
            *connection = Some(open);
        }
        Ok(answer)
    };
    let result = tokio::time::timeout(ask.timeout, asking)
        .await
        .unwrap_or_else(|_| Err("timed out".into()));
    let latency = due.elapsed();
    let mut tally = tally.borrow_mut();
    if !tally.counts() {
        return;
    }
    match result {
        Ok(answer) if answer.status == 200 => {
            tally.success(latency);
            if tally.answered().is_multiple_of(ask.check_every) {
                tally.checked(check(ask, &answer));
            }
        }
        Ok(answer) => {
            let body: String = String::from_utf8_lossy(&answer.body)
                .chars()
                .take(240)
                .collect();
            tally.failure(format!("{}: {body}", answer.status));
        }
        Err(complaint) => tally.failure(complaint),
    }
}

fn check(ask: &Ask, answer: &Answer) -> Result<(), String> {
    if ask.stream && !answer.event_stream {
        return Err("a stream whose content-type is not text/event-stream".into());
    }
    let read = if ask.stream {
        reading::stream
    } else {
        reading::whole
    };
    read(ask.wire, &answer.body)?.check(&ask.text)
}
