//! One connection to the gateway: writes a request, reads the answer to its last byte.

use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) event_stream: bool,
    pub(crate) keep_alive: bool,
    pub(crate) body: Vec<u8>,
}

/// How much of the body is still to come.
enum Rest {
    Bytes(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailer,
    UntilClose,
    Nothing,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| format!("connect: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| format!("connect: {error}"))?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer, String> {
        self.stream
            .write_all(request)
            .await
            .map_err(|error| format!("write: {error}"))?;
        let (mut answer, mut rest) = self.head().await?;
        loop {
            let taken = take(&mut rest, &self.buffer, &mut answer.body)?;
            self.buffer.drain(..taken);
            if matches!(rest, Rest::Nothing) {
                return Ok(answer);
            }
            if self.read().await? == 0 {
                if matches!(rest, Rest::UntilClose) {
                    answer.keep_alive = false;
                    return Ok(answer);
                }
                return Err("closed in the body".into());
            }
        }
    }

    async fn read(&mut self) -> Result<usize, String> {
        self.stream
            .read_buf(&mut self.buffer)
            .await
            .map_err(|error| format!("read: {error}"))
    }

    async fn head(&mut self) -> Result<(Answer, Rest), String> {
        loop {
            if self.read().await? == 0 {
                return Err("closed before the answer".into());
            }
            let mut headers = [httparse::EMPTY_HEADER; 96];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response
                .parse(&self.buffer)
                .map_err(|error| format!("head: {error}"))?;
            let httparse::Status::Complete(length) = parsed else {
                continue;
            };
            let value = |name: &str| {
                let header = response
                    .headers
                    .iter()
                    .find(|header| header.name.eq_ignore_ascii_case(name))?;
                std::str::from_utf8(header.value).ok()
            };
            let rest = if value("transfer-encoding").is_some() {
                Rest::ChunkSize
            } else {
                match value("content-length").map(|length| length.trim().parse()) {
                    Some(Ok(length)) => Rest::Bytes(length),
                    Some(Err(_)) => return Err("bad content-length".into()),
                    None => Rest::UntilClose,
                }
            };
            let answer = Answer {
                status: response.code.unwrap_or(0),
                event_stream: value("content-type")
                    .is_some_and(|kind| kind.starts_with("text/event-stream")),
                keep_alive: !value("connection")
                    .is_some_and(|value| value.eq_ignore_ascii_case("close")),
                body: Vec::new(),
            };
            self.buffer.drain(..length);
            return Ok((answer, rest));
        }
    }
}

/// Moves what can be read of the body from `buffer` to `body`; returns how many bytes of `buffer` are done with.
fn take(rest: &mut Rest, buffer: &[u8], body: &mut Vec<u8>) -> Result<usize, String> {
    let mut at = 0;
    loop {
        let input = &buffer[at..];
        match rest {
            Rest::Bytes(left) | Rest::Chunk(left) => {
                let taken = input.len().min(*left);
                body.extend_from_slice(&input[..taken]);
                at += taken;
                *left -= taken;
                if *left > 0 {
                    return Ok(at);
                }
                *rest = if matches!(rest, Rest::Bytes(_)) {
                    Rest::Nothing
                } else {
                    Rest::ChunkEnd
                };
            }
            Rest::ChunkSize => {
                let Some(line) = memmem::find(input, b"\r\n") else {
                    return Ok(at);
                };
                let size = std::str::from_utf8(&input[..line])
                    .ok()
                    .and_then(|size| usize::from_str_radix(size, 16).ok());
                at += line + 2;
                *rest = match size {
                    Some(0) => Rest::Trailer,
                    Some(size) => Rest::Chunk(size),
                    None => return Err("bad chunk size".into()),
                };
            }
            Rest::ChunkEnd => {
                if input.len() < 2 {
                    return Ok(at);
                }
                if !input.starts_with(b"\r\n") {
                    return Err("a chunk that is longer than it says".into());
                }
                at += 2;
                *rest = Rest::ChunkSize;
            }
            Rest::Trailer => {
                let Some(line) = memmem::find(input, b"\r\n") else {
                    return Ok(at);
                };
                at += line + 2;
                if line == 0 {
                    *rest = Rest::Nothing;
                }
            }
            Rest::UntilClose => {
                body.extend_from_slice(input);
                return Ok(buffer.len());
            }
            Rest::Nothing => return Ok(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_reads_the_same_however_it_is_cut() {
        let wire = b"4\r\nabcd\r\n1\r\n\n\r\n0\r\nx-trailer: 1\r\n\r\n";
        for cut in 0..wire.len() {
            let (mut rest, mut body) = (Rest::ChunkSize, Vec::new());
            let taken = take(&mut rest, &wire[..cut], &mut body).unwrap();
            assert!(!matches!(rest, Rest::Nothing), "ended early at {cut}");
            let taken = taken + take(&mut rest, &wire[taken..], &mut body).unwrap();
            assert!(matches!(rest, Rest::Nothing));
            assert_eq!(
                (taken, body.as_slice()),
                (wire.len(), &b"abcd\n"[..]),
                "cut at {cut}"
            );
        }
    }
}
