//! One connection to the mock: reads requests, writes rendered answers.

use std::io;

use lingate_bench::wire::Wire;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rendered::Answers;
use crate::settings;

pub(crate) async fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(8192);
    let mut body = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut buffer).await? {
        body.clear();
        match head.body {
            Length::Known(length) => {
                read_known(&mut stream, &mut buffer, length, &mut body).await?;
            }
            Length::Chunked => {
                read_chunked(&mut stream, &mut buffer, &mut body).await?;
            }
        }
        answer(&mut stream, &head.path, &body, answers).await?;
    }
    Ok(())
}

struct Head {
    path: String,
    body: Length,
}

enum Length {
    Known(usize),
    Chunked,
}

/// Takes a request's head out of `buffer`; `None` when the client has closed the connection between requests.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Head>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 96];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request
            .parse(buffer)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let httparse::Status::Complete(length) = parsed {
            let value = |name: &str| {
                request
                    .headers
                    .iter()
                    .find(|header| header.name.eq_ignore_ascii_case(name))
                    .map(|header| header.value)
            };
            let body = if value("transfer-encoding").is_some() {
                Length::Chunked
            } else {
                Length::Known(value("content-length").and_then(decimal).unwrap_or(0))
            };
            // Some clients escape the colon of `:generateContent`.
            let path = request.path.unwrap_or("/").replace("%3A", ":");
            buffer.drain(..length);
            return Ok(Some(Head { path, body }));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn decimal(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Reads until `buffer` holds `length` bytes.
async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> io::Result<()> {
    buffer.reserve(length.saturating_sub(buffer.len()));
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

async fn read_known(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    length: usize,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    fill(stream, buffer, length).await?;
    body.extend(buffer.drain(..length));
    Ok(())
}

async fn read_chunked(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    loop {
        let line = loop {
            if let Some(line) = memmem::find(buffer, b"\r\n") {
                break line;
            }
            fill(stream, buffer, buffer.len() + 1).await?;
        };
        let size = std::str::from_utf8(&buffer[..line])
            .ok()
            .and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let Some(size) = size else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let start = line + 2;
        fill(stream, buffer, start + size + 2).await?;
        body.extend_from_slice(&buffer[start..start + size]);
        buffer.drain(..start + size + 2);
        if size == 0 {
            return Ok(());
        }
    }
}

async fn answer(
    stream: &mut TcpStream,
    path: &str,
    body: &[u8],
    answers: &Answers,
) -> io::Result<()> {
    let Some((wire, streamed)) = Wire::of_path(path) else {
        let (status, body) = if let Some(body) = settings::control(path) {
            ("200 OK", body)
        } else {
            settings::complain(format!("no such path: {path}"));
            (
                "404 Not Found",
                r#"{"error":{"message":"not found"}}"#.to_owned(),
            )
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        return stream.write_all(format!("{head}{body}").as_bytes()).await;
    };
    settings::count(wire, body);
    if !streamed && !is_true(body, b"\"stream\"") {
        return stream.write_all(answers.whole(wire)).await;
    }
    let pace = settings::pace();
    for (index, write) in answers
        .stream(wire, is_true(body, b"\"include_usage\""))
        .iter()
        .enumerate()
    {
        if index > 1 && !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        stream.write_all(write).await?;
    }
    Ok(())
}

/// Whether the quoted `key` is followed by `true` somewhere: a full parse would cost more than the answer.
fn is_true(body: &[u8], key: &[u8]) -> bool {
    memmem::find_iter(body, key).any(|at| {
        let value = body[at + key.len()..].trim_ascii_start();
        value
            .strip_prefix(b":")
            .is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
    })
}
