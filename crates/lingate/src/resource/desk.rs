//! Where the endpoints are asked: in this process on the store of this machine, or at a gateway that runs somewhere.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches as _};
use http::{HeaderValue, Method, Request, header};
use http_body_util::BodyExt as _;
use lingate_admin::{Admin, Configured, Parts};
use lingate_store::Store;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use super::{document, trouble};
use crate::local::{self, Local, Opened, runtime};
use crate::remote::{Token, not_lingate, segment};
use crate::{ConfigFile, Failed};

/// Where the gateway's things are: here, unless a server is named.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Place {
    /// Ask the gateway that runs there, instead of working on the database of this machine's configuration.
    #[arg(long, value_name = "URL", env = "LINGATE_SERVER")]
    server: Option<String>,
    #[command(flatten)]
    token: Token,
    #[command(flatten)]
    file: ConfigFile,
    /// The directory for what the gateway stores, instead of the configured one.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Who answers.
#[derive(Debug)]
pub(crate) enum Desk {
    Here {
        admin: Admin,
        user: String,
        /// Where clients on this machine reach the gateway.
        host: String,
        store: Store,
    },
    There {
        server: String,
        token: Token,
    },
}

/// What was answered, and it is not a problem.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    /// JSON, unless another form was asked for.
    pub(crate) is_json: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<Value, Failed> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body)
            .map_err(|_| Failed::new("the answer is not JSON; is it another version of Lingate?"))
    }
}

impl Place {
    /// As what follows a command has to say it: ` --server URL`, or nothing.
    pub(crate) fn in_words(&self) -> String {
        let server = self.server.as_ref();
        server.map_or_else(String::new, |server| format!(" --server {server}"))
    }

    /// What is said on the command line counts before what is set in the environment.
    pub(crate) fn of(matches: &ArgMatches) -> Result<Self, Failed> {
        let place = Self::from_arg_matches(matches);
        let place = place.map_err(|error| Failed::usage(error.to_string()))?;
        place.settled(matches)
    }

    /// Of a command's own options.
    pub(crate) fn settled(&self, matches: &ArgMatches) -> Result<Self, Failed> {
        let mut place = self.clone();
        let said = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        if said("config") || said("data") {
            if said("server") {
                return Err(Failed::usage(
                    "--server names a gateway, --config and --data this machine's: say one",
                ));
            }
            place.server = None;
        }
        Ok(place)
    }

    /// The configuration and the database of this machine; `None`: a server is named.
    pub(crate) fn local(&self) -> Option<Local> {
        if self.server.is_some() {
            return None;
        }
        Some(Local::of(self.file.clone(), self.data.clone()))
    }

    /// Does something with whoever answers.
    pub(crate) fn work<T>(
        &self,
        work: impl AsyncFnOnce(&Desk) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        runtime()?.block_on(async {
            let desk = self.desk().await?;
            let done = work(&desk).await;
            if let Desk::Here { store, .. } = &desk {
                store.close().await;
            }
            done
        })
    }

    async fn desk(&self) -> Result<Desk, Failed> {
        if let Some(server) = &self.server {
            return Ok(Desk::There {
                server: server.clone(),
                token: self.token.clone(),
            });
        }
        let Opened {
            environment,
            loaded,
            overlay,
            seal,
            store,
            broken,
        } = local::open(&self.file, self.data.as_deref()).await?;
        let (_, opened) = watch::channel(Some(store.clone()));
        let configured = Configured {
            broken,
            ..Configured::of(&loaded, &environment, &overlay)
        };
        let admin = Admin::new(Parts {
            store: opened,
            gateway: None,
            seal: Arc::new(seal),
            configured: ArcSwap::from_pointee(configured),
        });
        Ok(Desk::Here {
            host: host(&loaded.settings.listen),
            admin,
            user: user(),
            store,
        })
    }
}

fn host(listen: &[SocketAddr]) -> String {
    match listen.first() {
        Some(address) if address.ip().is_unspecified() => format!("127.0.0.1:{}", address.port()),
        Some(address) => address.to_string(),
        None => "127.0.0.1:8080".to_owned(),
    }
}

/// Who works here, as the system knows them.
fn user() -> String {
    let named = ["USER", "LOGNAME", "USERNAME"];
    let named = named.iter().find_map(|name| std::env::var(name).ok());
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

impl Desk {
    /// What is begun goes on only as long as this command does.
    pub(crate) const fn is_here(&self) -> bool {
        matches!(self, Self::Here { .. })
    }

    pub(crate) async fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failed> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        self.send(method, path, body.unwrap_or_default(), "application/json")
            .await
    }

    /// `kind`: what the body is.
    pub(crate) async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
        kind: &str,
    ) -> Result<Answer, Failed> {
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = path
            .parse()
            .map_err(|_| Failed::usage(format!("'{path}' is no path")))?;
        let headers = request.headers_mut();
        if let Ok(kind) = HeaderValue::from_str(kind) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        if *method == Method::POST
            && let Ok(key) = HeaderValue::from_str(&Uuid::now_v7().to_string())
        {
            // What a retry on the way sends twice is done once.
            headers.insert("idempotency-key", key);
        }
        let (parts, body) = match self {
            Self::Here {
                admin, user, host, ..
            } => {
                // What clients are told of where the gateway is goes by it.
                if let Ok(host) = HeaderValue::from_str(host) {
                    request.headers_mut().insert(header::HOST, host);
                }
                let (parts, body) = admin.call(request, user).await.into_parts();
                let body = body.collect().await;
                // Half an answer is none.
                let body = body.map_err(|cut| Failed::new(cut.to_string()))?;
                (parts, body.to_bytes())
            }
            Self::There { server, token } => token.exchange(server, request).await?.into_parts(),
        };
        if parts.status.is_success() {
            let kind = parts.headers.get(header::CONTENT_TYPE);
            let kind = kind.and_then(|kind| kind.to_str().ok());
            return Ok(Answer {
                is_json: kind.is_none_or(is_json),
                body,
            });
        }
        let told: Option<Value> = serde_json::from_slice(&body).ok();
        match (told, self) {
            (Some(told), _) if told["detail"].is_string() => Err(trouble::told(&told)),
            (_, Self::There { server, .. }) => Err(not_lingate(server, parts.status.as_u16())),
            (_, Self::Here { .. }) => Err(Failed::new(format!("failed: {}", parts.status))),
        }
    }

    /// All of a list, page by page, or the first `most` of it. The query begins without `?`.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(String, String)],
        most: Option<usize>,
    ) -> Result<Vec<Value>, Failed> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        let pages = document::pages(document::document(), path);
        loop {
            let left = most.map_or(PAGE, |most| PAGE.min(most - all.len()));
            let mut pairs = query.to_vec();
            if pages {
                pairs.push(("limit".to_owned(), left.to_string()));
            }
            pairs.extend(cursor.map(|cursor| ("cursor".to_owned(), cursor)));
            let pairs = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", segment(name), segment(value)));
            let pairs: Vec<String> = pairs.collect();
            let asked = format!("{path}?{}", pairs.join("&"));
            let page = self.ask(&Method::GET, &asked, None).await?.json()?;
            let Value::Array(items) = &page["items"] else {
                return Err(Failed::new(
                    "the answer is no list; is it another version of Lingate?",
                ));
            };
            all.extend(items.iter().cloned());
            cursor = page["next"].as_str().map(str::to_owned);
            if cursor.is_none() || most.is_some_and(|most| all.len() >= most) {
                all.truncate(most.unwrap_or(usize::MAX));
                return Ok(all);
            }
        }
    }
}

/// Of one value: JSON lines are text, as tables are.
fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

/// How much of a list is asked for at a time.
const PAGE: usize = 1000;
