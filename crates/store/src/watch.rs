//! Notices of changes, on every replica within a second: PostgreSQL sends them, and what is not sent is found by asking.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::{Instant, sleep, timeout};

use crate::database::Db;
use crate::store::CHANNEL;
use crate::{Changes, Revision, Store, StoreError};

/// How often is asked. Other processes (the CLI beside the server) write to the same file and send no notice; a notice of
/// PostgreSQL can be lost with its connection.
const POLL: Duration = Duration::from_millis(250);
/// How often is asked while the database is away.
const AWAY: Duration = Duration::from_secs(1);
/// How long an answer is waited for, so that a connection that died in silence is noticed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts to be sent notices.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// Somebody who is told of every change of the store, in order.
#[derive(Debug)]
pub struct Watch {
    store: Store,
    seen: Revision,
    listener: Option<PgListener>,
    listen_at: Instant,
}

impl Store {
    /// Whoever knows the store as of revision `seen` (0: not at all) is told what has happened since.
    pub fn watch(&self, seen: Revision) -> Watch {
        Watch {
            store: self.clone(),
            seen,
            listener: None,
            listen_at: Instant::now(),
        }
    }
}

impl Watch {
    /// Waits for the next changes. A database that is away is waited for, too, and told of once in the log; meanwhile
    /// [`Store::absence`] says so. Can be dropped at any moment: nothing is
    /// missed by the next call. Whoever drops it every few seconds never learns that a network swallows everything.
    pub async fn next(&mut self) -> Changes {
        let mut latest = self.store.latest.subscribe();
        loop {
            // Before asking: what happens after the question is a notice.
            latest.mark_unchanged();
            if self.store.absence().is_none() {
                self.listen().await;
            }
            let pause = match timeout(PATIENCE, self.ask()).await {
                Ok(Ok(Some(changes))) => {
                    self.store.noticed(Ok(()));
                    self.seen = changes.revision;
                    return changes;
                }
                Ok(Ok(None)) => {
                    self.store.noticed(Ok(()));
                    POLL
                }
                Ok(Err(error)) => {
                    self.store.noticed(Err(&error));
                    self.listener = None;
                    AWAY
                }
                Err(_) => {
                    let error = StoreError::Away("no answer within 5 seconds".into());
                    self.store.noticed(Err(&error));
                    self.listener = None;
                    AWAY
                }
            };
            let notice = async {
                match &mut self.listener {
                    Some(listener) => listener.recv().await.map(drop),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                notice = notice => if notice.is_err() {
                    self.listener = None;
                    self.listen_at = Instant::now() + LISTEN_AGAIN;
                    sleep(POLL).await;
                },
                _ = latest.changed() => {}
                () = sleep(pause) => {}
            }
        }
    }

    async fn ask(&self) -> Result<Option<Changes>, StoreError> {
        // Everything, for whoever knows nothing.
        if self.seen > 0 && self.store.revision().await? == self.seen {
            return Ok(None);
        }
        let changes = self.store.changes_since(self.seen).await?;
        Ok(Some(changes).filter(|changes| changes.complete || changes.revision != self.seen))
    }

    /// Asks PostgreSQL for notices. Without them there are questions.
    async fn listen(&mut self) {
        let Db::Postgres(pool) = &self.store.db else {
            return;
        };
        if self.listener.is_some() || Instant::now() < self.listen_at {
            return;
        }
        self.listen_at = Instant::now() + LISTEN_AGAIN;
        let options = (*pool.connect_options()).clone();
        let connect = async {
            // A connection of its own: it is never given back.
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .max_lifetime(None)
                .idle_timeout(None)
                .connect_with(options)
                .await?;
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        // Why not is said by the question that follows, if the database is away.
        if let Ok(Ok(listener)) = timeout(PATIENCE, connect).await {
            self.listener = Some(listener);
        }
    }
}
