//! Answers that break off: the further requests that they are gone on with, and whole answers that are gathered.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lingate_dialect::framing::Framing;
use lingate_dialect::stream::{self, Collector, End, Mender};
use lingate_dialect::{ApiError, Dialect, ErrorKind, Losses, hub};
use lingate_routing::{KeyRef, LossPolicy, Target};

use crate::Gateway;
use crate::allowance::Allowance;
use crate::attempt::{Answer, Content, Ear, Failure, endpoint, expected_framing, mask};
use crate::body::UpstreamBody;
use crate::caller::Caller;
use crate::exchange::Exchange;
use crate::fault;
use crate::keys::Key;
use crate::prepare::{Prepared, asks_for_stream, converted};
use crate::relay;

/// Where the rest of a streamed answer is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Mending {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) target: Target,
    pub(crate) caller: Caller,
    /// What the answer began with.
    pub(crate) key: Option<KeyRef>,
}

/// An upstream's answer to the request for the rest.
pub(crate) struct Rest {
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) framing: Framing,
    pub(crate) body: UpstreamBody,
    /// Held for as long as the rest flows.
    pub(crate) key: Key,
}

/// The rest, on its way.
pub(crate) type AskingForRest = Pin<Box<dyn Future<Output = Result<Rest, ApiError>> + Send>>;

impl Mending {
    pub(crate) fn ask(&self, request: hub::Request) -> AskingForRest {
        let mending = self.clone();
        Box::pin(async move {
            let Self {
                gateway,
                exchange,
                target,
                caller,
                key,
            } = mending;
            gateway
                .go_on(&exchange, &target, &caller, key.as_ref(), request)
                .await
        })
    }
}

impl Gateway {
    /// Asks the target for the rest of an answer, once.
    async fn go_on(
        &self,
        exchange: &Exchange,
        target: &Target,
        caller: &Caller,
        began_with: Option<&KeyRef>,
        mut request: hub::Request,
    ) -> Result<Rest, ApiError> {
        let endpoint = endpoint(target).map_err(|failure| failure.error)?;
        let Some(key) = self
            .keys
            .choose_again(target, caller, began_with, self.moment())
        else {
            let message = format!("provider '{}' has no key", target.provider.name);
            return Err(ApiError::new(ErrorKind::Internal, message));
        };
        request.stream = asks_for_stream(exchange, target);
        request.include_usage = true;
        let without = self.learned.of(target, self.moment());
        let opener = self.proofs.opener(exchange, target, endpoint).await;
        let request = Cow::Owned(request);
        let begun = match converted(
            exchange,
            request,
            target,
            endpoint,
            &without,
            opener.as_ref(),
        ) {
            Ok(prepared) => {
                self.open(exchange, target, endpoint, &prepared, key.secret())
                    .await
            }
            Err(failure) => Err(failure),
        };
        match begun {
            Ok((_, body)) => {
                self.keys.served(target, &key, self.moment());
                Ok(Rest {
                    dialect: endpoint.dialect.dialect(),
                    framing: expected_framing(exchange, endpoint),
                    body,
                    key,
                })
            }
            Err(failure) => {
                // Before anybody is told: the pool repeats the upstream's word.
                let failure = match key.secret() {
                    Some(secret) => failure.without_secret(secret),
                    None => failure,
                };
                self.keys
                    .failed(target, &key, &failure.fault, self.moment());
                Err(failure.error)
            }
        }
    }

    /// An answer that is gathered before the caller gets any of it: a stream for who wants it whole, and a whole one that may
    /// have to be gone on with.
    pub(crate) async fn gather(
        &self,
        exchange: &Exchange,
        ear: Ear<'_>,
        caller: &Caller,
        key: Option<&KeyRef>,
        prepared: Prepared,
        body: UpstreamBody,
    ) -> Result<Answer, Failure> {
        let Ear {
            target, endpoint, ..
        } = ear;
        let upstream = endpoint.dialect.dialect();
        let mut collector = Collector::new(upstream, expected_framing(exchange, endpoint));
        if prepared.continuations > 0 {
            collector = collector.with_mender(Mender::new(prepared.continuations));
        }
        let idle = exchange.snapshot.defaults.idle_timeout;
        let mut how = feed(&mut collector, body, idle).await;
        let mut further = 0;
        // Of the keys beside the attempt's own.
        let mut keys: Vec<Key> = Vec::new();
        let mut goes_on = prepared.continuations > 0 && collector.break_off(how.clone());
        while goes_on {
            let Some((request, _)) = collector.rest(exchange.decoded()?) else {
                break;
            };
            further += 1;
            match self.go_on(exchange, target, caller, key, request).await {
                Ok(rest) => {
                    collector.resume(rest.dialect, rest.framing);
                    keys.push(rest.key);
                    how = feed(&mut collector, rest.body, idle).await;
                    goes_on = collector.break_off(how.clone());
                }
                Err(error) => goes_on = collector.refused(error),
            }
        }
        let (response, summary) = collector.end(how);
        let mut response = response.map_err(|mut error| {
            for secret in keys.iter().filter_map(Key::secret) {
                mask(&mut error, secret);
            }
            let mut failure = Failure::of_answer(error);
            // What is said of a key is said of the one that the rest was asked for with, and was told to the pool by then.
            if further > 0 && failure.fault.class.is_of_key() {
                *failure.fault = fault::of_broken();
            }
            failure
        })?;
        response.restore_tools(&prepared.tools);
        ear.sealer(exchange).response(&mut response);
        let client = exchange.dialect.dialect();
        let reply = exchange.reply(false);
        let mut losses = prepared.losses;
        let body = if exchange.stream {
            stream::told(&response, client, &reply, exchange.framing)
        } else {
            let mut lost = Losses::default();
            let body = client.encode_response(&response, &reply, &mut lost);
            if exchange.snapshot.defaults.losses != LossPolicy::Ignore {
                // In the terms of the upstream, whose answer it was.
                let paths = lost.paths(upstream);
                losses.extend(paths.into_iter().map(|path| format!("answer.{path}")));
            }
            body
        };
        Ok(Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            content: Content::Whole {
                body: Bytes::from(body),
                summary: Box::new(summary),
            },
            losses,
            through: false,
            further,
            allowance: Allowance::default(),
        })
    }
}

/// Reads a body to its end, and says how it ended.
async fn feed(collector: &mut Collector, mut body: UpstreamBody, idle: std::time::Duration) -> End {
    loop {
        match relay::first(&mut body, idle).await {
            Ok(Some(data)) => {
                if collector.push(&data).is_err() || collector.is_over() {
                    return End::Eof;
                }
            }
            Ok(None) => return End::Eof,
            Err(error) => return End::Broken(error),
        }
    }
}
