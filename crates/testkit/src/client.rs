//! A client that speaks HTTP/1.1 by hand: it can hang up, read slowly, and tell a whole answer from a broken one.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// An answer as it came over the wire.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in order of arrival.
    pub headers: Vec<(String, String)>,
    /// Without the chunked framing.
    pub body: Vec<u8>,
    /// Whether the body ended as its framing says: with its last chunk, or with its last byte.
    pub complete: bool,
}

impl Answer {
    /// The value of a header, or the empty string.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// How many attempts the answer took, as its header begins; 0: it does not say.
    pub fn attempts(&self) -> u32 {
        let said = self.header("x-lingate-attempts");
        let count = said.split(',').next().unwrap_or_default();
        count.parse().unwrap_or(0)
    }

    /// The body as text; bytes that are not UTF-8 become replacement characters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends one request on a connection of its own and reads the answer to its end, broken or not.
pub async fn fetch(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut connection = Connection::open(address).await?;
    connection.send(method, path, headers, body).await?;
    connection.answer().await
}

/// One connection of a raw client. Dropping it hangs up.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What has arrived and was not handed out yet.
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends a request with a body of known length.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let length = body.len().to_string();
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let own = [("host", "localhost"), ("content-length", length.as_str())];
        // A host that is given stands in place of the usual one.
        let other = headers.iter().any(|(name, _)| *name == "host");
        let own = own.iter().filter(|(name, _)| *name != "host" || !other);
        for (name, value) in own.chain(headers) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        self.send_raw(head.as_bytes()).await?;
        self.send_raw(body).await
    }

    /// Sends these bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads what has come, at most `limit` bytes, framing included. Empty at the end of the connection.
    pub async fn read(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        let rest = self.buffer.split_off(limit.min(self.buffer.len()));
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// Reads until `needle` has come, framing included, and returns everything up to and with it.
    pub async fn read_until(&mut self, needle: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            let found = self
                .buffer
                .windows(needle.len().max(1))
                .position(|it| it == needle);
            if let Some(start) = found {
                let rest = self.buffer.split_off(start + needle.len());
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads to the end of the connection in sips: `size` bytes, then a pause.
    pub async fn sip(&mut self, size: usize, pause: Duration) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let some = self.read(size).await?;
            if some.is_empty() {
                return Ok(all);
            }
            all.extend(some);
            sleep(pause).await;
        }
    }

    /// Reads one answer; a connection that breaks in its body gives what came, as not complete.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let head = String::from_utf8_lossy(&self.read_until(b"\r\n\r\n").await?).into_owned();
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .unwrap_or_default();
        let status = status
            .parse()
            .map_err(|_| io::Error::other(format!("no status in {head:?}")))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
            complete: false,
        };
        if matches!(answer.status, 204 | 304) {
            answer.complete = true;
        } else if answer
            .header("transfer-encoding")
            .eq_ignore_ascii_case("chunked")
        {
            answer.complete = self.chunks(&mut answer.body).await.is_ok();
        } else if let Ok(length) = answer.header("content-length").parse::<usize>() {
            while self.buffer.len() < length && !matches!(self.fill().await, Ok(0) | Err(_)) {}
            answer.complete = self.buffer.len() >= length;
            let rest = self.buffer.split_off(length.min(self.buffer.len()));
            answer.body = std::mem::replace(&mut self.buffer, rest);
        } else {
            while !matches!(self.fill().await, Ok(0) | Err(_)) {}
            answer.complete = true;
            answer.body = std::mem::take(&mut self.buffer);
        }
        Ok(answer)
    }

    /// Closes the connection with a reset, as a killed client does.
    pub fn reset(self) {
        // Where the system refuses, the peer sees a plain close.
        let _refused = self.stream.set_zero_linger();
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let line = self.read_until(b"\r\n").await?;
            let size = String::from_utf8_lossy(&line);
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            while self.buffer.len() < size + 2 {
                if self.fill().await.unwrap_or(0) == 0 {
                    body.append(&mut self.buffer);
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            let rest = self.buffer.split_off(size + 2);
            body.extend_from_slice(&self.buffer[..size]);
            self.buffer = rest;
            if size == 0 {
                return Ok(());
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }
}
