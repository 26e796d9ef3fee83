//! Connections: one pooled client per outbound proxy, TCP without delay, TLS by rustls.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as PooledClient;
use hyper_util::client::legacy::Error as ClientError;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::Payload;

/// A pooled client towards any host, directly or through one proxy. Cloning shares the pool.
#[derive(Clone)]
pub struct Client(Arc<Transport>);

enum Transport {
    Direct(PooledClient<HttpsConnector<HttpConnector>, Payload>),
    HttpProxy(PooledClient<HttpsConnector<Tunnel<HttpConnector>>, Payload>),
    HttpsProxy(PooledClient<HttpsConnector<Tunnel<HttpsConnector<HttpConnector>>>, Payload>),
    SocksProxy(PooledClient<HttpsConnector<SocksV5<HttpConnector>>, Payload>),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0 {
            Transport::Direct(_) => "Client(direct)",
            Transport::HttpProxy(_) => "Client(http proxy)",
            Transport::HttpsProxy(_) => "Client(https proxy)",
            Transport::SocksProxy(_) => "Client(socks proxy)",
        })
    }
}

impl Client {
    pub(crate) async fn request(
        &self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, ClientError> {
        match &*self.0 {
            Transport::Direct(client) => client.request(request).await,
            Transport::HttpProxy(client) => client.request(request).await,
            Transport::HttpsProxy(client) => client.request(request).await,
            Transport::SocksProxy(client) => client.request(request).await,
        }
    }
}

/// Why a proxy address cannot be used; never holds its password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error(
        "the proxy is not an address such as http://host:3128 or socks5://user:password@host:1080"
    )]
    Address,
    #[error("proxies speak http, https, socks5 or socks5h, not '{0}'")]
    Scheme(String),
}

/// The clients of all providers, one pool for each proxy.
pub struct Clients {
    connect_timeout: Duration,
    tls: ClientConfig,
    direct: Client,
    proxied: Mutex<HashMap<String, Client>>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients")
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

impl Clients {
    /// `connect_timeout` bounds each connection attempt, TLS not included.
    pub fn new(connect_timeout: Duration) -> Self {
        let tls = tls();
        let direct = Client(Arc::new(Transport::Direct(pool(https(
            &tls,
            tcp(connect_timeout),
        )))));
        Self {
            connect_timeout,
            tls,
            direct,
            proxied: Mutex::default(),
        }
    }

    /// The client for providers behind `proxy`, or for those reached directly.
    pub fn get(&self, proxy: Option<&str>) -> Result<Client, ProxyError> {
        let Some(proxy) = proxy else {
            return Ok(self.direct.clone());
        };
        let mut proxied = self.proxied.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = proxied.get(proxy) {
            return Ok(client.clone());
        }
        let client = self.proxied(proxy)?;
        proxied.insert(proxy.to_owned(), client.clone());
        Ok(client)
    }

    fn proxied(&self, proxy: &str) -> Result<Client, ProxyError> {
        let uri: Uri = proxy.parse().map_err(|_| ProxyError::Address)?;
        let authority = uri.authority().ok_or(ProxyError::Address)?;
        let login = authority.as_str().rsplit_once('@').map(|(login, _)| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            (decode(user), decode(password))
        });
        let scheme = uri.scheme_str().unwrap_or("http");
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => 1080,
        };
        let tls_to_proxy = if scheme == "https" { "https" } else { "http" };
        let port = authority.port_u16().unwrap_or(default_port);
        let bare: Uri = format!("{tls_to_proxy}://{}:{port}", authority.host())
            .parse()
            .map_err(|_| ProxyError::Address)?;
        let transport = match scheme {
            "http" => {
                let tunnel = Tunnel::new(bare, tcp(self.connect_timeout));
                let tunnel = logged_in(tunnel, login)?;
                Transport::HttpProxy(pool(https(&self.tls, tunnel)))
            }
            "https" => {
                // A proxy is asked in HTTP/1: CONNECT over HTTP/2 is another protocol.
                let to_proxy = HttpsConnectorBuilder::new()
                    .with_tls_config(self.tls.clone())
                    .https_or_http()
                    .enable_http1()
                    .wrap_connector(tcp(self.connect_timeout));
                let tunnel = logged_in(Tunnel::new(bare, to_proxy), login)?;
                Transport::HttpsProxy(pool(https(&self.tls, tunnel)))
            }
            "socks5" | "socks5h" => {
                // socks5h lets the proxy resolve names; socks5 resolves here.
                let mut socks =
                    SocksV5::new(bare, tcp(self.connect_timeout)).local_dns(scheme == "socks5");
                if let Some((user, password)) = login {
                    socks = socks.with_auth(user, password);
                }
                Transport::SocksProxy(pool(https(&self.tls, socks)))
            }
            other => return Err(ProxyError::Scheme(other.to_owned())),
        };
        Ok(Client(Arc::new(transport)))
    }
}

/// Gives a tunnel the name and password of its proxy.
fn logged_in<C>(
    tunnel: Tunnel<C>,
    login: Option<(String, String)>,
) -> Result<Tunnel<C>, ProxyError> {
    let Some((user, password)) = login else {
        return Ok(tunnel);
    };
    let token = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let mut value =
        HeaderValue::try_from(format!("Basic {token}")).map_err(|_| ProxyError::Address)?;
    value.set_sensitive(true);
    Ok(tunnel.with_auth(value))
}

fn tcp(connect_timeout: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(connect_timeout));
    connector.set_keepalive(Some(Duration::from_mins(1)));
    connector
}

fn https<C>(tls: &ClientConfig, inner: C) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(inner)
}

fn pool<C>(connector: C) -> PooledClient<C, Payload>
where
    C: hyper_util::client::legacy::connect::Connect + Clone,
{
    PooledClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(90))
        .pool_max_idle_per_host(256)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .build(connector)
}

/// The roots of the system, and those of Mozilla for systems that have none.
fn tls() -> ClientConfig {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions();
    // ring has the cipher suites of TLS 1.2 and 1.3, which is all that this can fail on.
    #[expect(
        clippy::expect_used,
        reason = "fails only for a provider without cipher suites"
    )]
    config
        .expect("ring serves the default TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_addresses() {
        let clients = Clients::new(Duration::from_secs(1));
        let check = |proxy: Option<&str>, expect: &str| {
            let shown = clients
                .get(proxy)
                .map_or_else(|error| error.to_string(), |client| format!("{client:?}"));
            assert_eq!(shown, expect);
        };
        check(None, "Client(direct)");
        check(Some("http://10.0.0.1:3128"), "Client(http proxy)");
        check(Some("https://proxy.example"), "Client(https proxy)");
        check(
            Some("socks5://us%40er:pass@127.0.0.1:1080"),
            "Client(socks proxy)",
        );
        check(Some("socks5h://proxy"), "Client(socks proxy)");
        check(
            Some("ftp://user:secret@proxy"),
            "proxies speak http, https, socks5 or socks5h, not 'ftp'",
        );
        check(
            Some("::"),
            "the proxy is not an address such as http://host:3128 or socks5://user:password@host:1080",
        );
    }
}
