//! Outbound proxies: the way to the upstream leads through them, and their passwords stay where they are.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use lingate_testkit::Upstream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::{Dialect, TEXT};
use crate::world::World;

const USER: &str = "us@er";
const PASSWORD: &str = "canary:p/ss";
/// The same in a URL.
const LOGIN: &str = "us%40er:canary%3Ap%2Fss@";

#[derive(Debug, Clone, Copy)]
enum Kind {
    Connect,
    Socks,
}

/// A proxy that leads everything to one upstream and remembers where callers wanted to go.
struct Proxy {
    address: SocketAddr,
    wanted: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(kind: Kind, login: bool, upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let wanted = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&wanted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                tokio::spawn(async move {
                    // Whoever is turned away, or leaves, leaves.
                    let _ended = match kind {
                        Kind::Connect => connect(stream, login, upstream, notes).await,
                        Kind::Socks => socks(stream, login, upstream, notes).await,
                    };
                });
            }
        });
        Self { address, wanted }
    }
}

/// RFC 9110 §9.3.6.
async fn connect(
    mut stream: TcpStream,
    login: bool,
    upstream: SocketAddr,
    notes: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next());
    let target = target.unwrap_or_else(|| panic!("not a CONNECT: {head}"));
    // `us@er:canary:p/ss` in base64.
    let shown = head
        .to_lowercase()
        .contains("proxy-authorization: basic dxnazxi6y2fuyxj5onavc3m=");
    if login && !shown {
        stream
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            .await?;
        return Ok(());
    }
    notes.lock().unwrap().push(target.to_owned());
    let mut onward = TcpStream::connect(upstream).await?;
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    copy_bidirectional(&mut stream, &mut onward)
        .await
        .map(|_| ())
}

/// RFC 1928 and RFC 1929.
async fn socks(
    mut stream: TcpStream,
    login: bool,
    upstream: SocketAddr,
    notes: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    assert_eq!(stream.read_u8().await?, 5);
    let mut methods = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut methods).await?;
    let method = if login { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, method]).await?;
    if login {
        assert_eq!(stream.read_u8().await?, 1);
        let mut said = Vec::new();
        for _ in 0..2 {
            let mut text = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut text).await?;
            said.push(String::from_utf8_lossy(&text).into_owned());
        }
        let right = said == [USER, PASSWORD];
        stream.write_all(&[1, u8::from(!right)]).await?;
        if !right {
            return Ok(());
        }
    }
    let mut ask = [0; 4];
    stream.read_exact(&mut ask).await?;
    let host = match ask[3] {
        1 => {
            let mut octets = [0; 4];
            stream.read_exact(&mut octets).await?;
            std::net::Ipv4Addr::from(octets).to_string()
        }
        3 => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
        other => panic!("an address of the kind {other}"),
    };
    let port = stream.read_u16().await?;
    notes.lock().unwrap().push(format!("{host}:{port}"));
    let mut onward = TcpStream::connect(upstream).await?;
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
    copy_bidirectional(&mut stream, &mut onward)
        .await
        .map(|_| ())
}

fn configuration(base_url: &str, proxy: &str) -> String {
    format!(
        "defaults: {{connect_timeout: 2s}}
providers:
  up-chat: {{base_url: \"{base_url}\", dialects: [chat], keys: [sk-canary-up-chat], proxy: \"{proxy}\"}}
"
    )
}

async fn good_world(configuration: impl Fn(&Upstream) -> String) -> World {
    World::configured(configuration, crate::world::good_answer).await
}

#[tokio::test]
async fn requests_go_through_the_proxy() {
    for (kind, scheme) in [
        (Kind::Connect, "http"),
        (Kind::Socks, "socks5"),
        (Kind::Socks, "socks5h"),
    ] {
        for login in [false, true] {
            let upstream = crate::world::upstream(crate::world::good_answer).await;
            let proxy = Proxy::start(kind, login, upstream.address()).await;
            let url = format!(
                "{scheme}://{}{}",
                if login { LOGIN } else { "" },
                proxy.address
            );
            // A name that only the proxy can know; `socks5` resolves here.
            let host = if scheme == "socks5" {
                "127.0.0.1:9"
            } else {
                "upstream.invalid:9"
            };
            let world = good_world(|_| configuration(&format!("http://{host}"), &url)).await;
            for caller in Dialect::ALL {
                for stream in [false, true] {
                    let answer = world.ask(caller, "up-chat/m", stream).await;
                    assert_eq!(answer.status, 200, "{url}: {}", answer.text());
                    let text = if stream {
                        caller.listen(&answer).text
                    } else {
                        caller.said(&answer)
                    };
                    assert_eq!(text, TEXT);
                }
            }
            let wanted = proxy.wanted.lock().unwrap().clone();
            assert!(!wanted.is_empty());
            assert!(wanted.iter().all(|target| target == host), "{wanted:?}");
            assert_eq!(upstream.received().len(), 8);
        }
    }
}

#[tokio::test]
async fn a_proxy_that_is_gone_or_turns_away_is_named_without_its_password() {
    let upstream = crate::world::upstream(crate::world::good_answer).await;
    let dead = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap()
    };
    let http = Proxy::start(Kind::Connect, true, upstream.address()).await;
    let socks = Proxy::start(Kind::Socks, true, upstream.address()).await;
    let proxies = [
        format!("http://{LOGIN}{dead}"),
        format!("socks5://{LOGIN}{dead}"),
        format!("http://us%40er:canary-wrong@{}", http.address),
        format!("http://{}", http.address),
        format!("socks5://us%40er:canary-wrong@{}", socks.address),
        format!("socks5h://{}", socks.address),
    ];
    for proxy in proxies {
        let world = good_world(|_| configuration("http://127.0.0.1:9", &proxy)).await;
        for caller in Dialect::ALL {
            for stream in [false, true] {
                let answer = world.ask(caller, "up-chat/m", stream).await;
                let expect = if caller == Dialect::Messages {
                    529
                } else {
                    503
                };
                assert_eq!(answer.status, expect, "{proxy}: {}", answer.text());
                let message = caller.refusal(&answer);
                assert!(message.contains("connect"), "{message}");
            }
        }
    }
    assert_eq!(
        upstream.received().len(),
        0,
        "nothing goes around the proxy"
    );
}
