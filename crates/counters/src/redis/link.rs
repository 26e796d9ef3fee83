//! The connection to Redis: one at a time, shared by everybody, and the scripts that are run over it.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script};
use tokio::time::timeout;

/// No request waits longer for its counters.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

/// Nobody waits while a connection is made.
const CONNECT: Duration = Duration::from_secs(1);

pub(crate) struct Link {
    client: Client,
    patience: Duration,
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// A script with what it is run with.
pub(crate) struct Call {
    pub(crate) script: &'static Script,
    pub(crate) keys: Vec<String>,
    pub(crate) arguments: Vec<String>,
}

/// Why there was no answer; without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Silence(pub(crate) String);

impl Link {
    pub(crate) fn new(client: Client, patience: Duration) -> Self {
        Self {
            client,
            patience,
            connection: Mutex::new(None),
        }
    }

    /// One round trip; more only when Redis has forgotten the script.
    pub(crate) async fn call(&self, call: &Call) -> Result<Vec<String>, Silence> {
        let connection = self.slot(|connection| connection.clone());
        let Some(mut connection) = connection else {
            return Err(Silence("not connected".to_owned()));
        };
        let mut invocation = call.script.prepare_invoke();
        for key in &call.keys {
            invocation.key(key);
        }
        for argument in &call.arguments {
            invocation.arg(argument);
        }
        match timeout(self.patience, invocation.invoke_async(&mut connection)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(silence(&error)),
            Err(_) => Err(no_answer()),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.slot(|connection| connection.is_some())
    }

    pub(crate) async fn connect(&self) -> Result<(), Silence> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None);
        let connecting = async {
            let mut made = self
                .client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            // Known before they are needed: no request pays for a round trip more.
            for script in [&RESERVE, &SETTLE, &RENEW, &USED, &SEED, &ANNOUNCE] {
                script.load_async(&mut made).await?;
            }
            Ok(made)
        };
        let made = timeout(CONNECT, connecting)
            .await
            .map_err(|_| no_answer())?
            .map_err(|error: RedisError| silence(&error))?;
        self.slot(|connection| *connection = Some(made));
        Ok(())
    }

    pub(crate) fn disconnect(&self) {
        self.slot(|connection| *connection = None);
    }

    fn slot<T>(&self, with: impl FnOnce(&mut Option<MultiplexedConnection>) -> T) -> T {
        with(
            &mut self
                .connection
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

fn no_answer() -> Silence {
    Silence("no answer in time".to_owned())
}

/// What the error's own words may hold (an address, a key, an echo of what was sent) stays out.
fn silence(error: &RedisError) -> Silence {
    Silence(if error.is_timeout() {
        return no_answer();
    } else if error.is_connection_refusal() {
        "connection refused".to_owned()
    } else if error.is_connection_dropped() || error.is_io_error() {
        "the connection broke".to_owned()
    } else if let Some(code) = error.code() {
        format!("Redis answers {code}")
    } else {
        error.category().to_owned()
    })
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(
                include_str!("scripts/prelude.lua"),
                include_str!($file)
            ))
        });)*
    };
}

scripts! {
    RESERVE = "scripts/reserve.lua";
    SETTLE = "scripts/settle.lua";
    RENEW = "scripts/renew.lua";
    USED = "scripts/used.lua";
    SEED = "scripts/seed.lua";
    ANNOUNCE = "scripts/announce.lua";
}
