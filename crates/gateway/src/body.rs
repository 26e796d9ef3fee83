//! Bodies: bounded reading of the caller's, and reading of the upstream's with its compression undone.

use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::StreamExt as _;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, BodyStream};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, BufReader};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::demo::DemoBody;

/// Why a caller's body cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request body is larger than {limit} bytes; the limit is `defaults.body_limit`")]
    TooLarge { limit: u64 },
    #[error("the request body did not arrive: nothing came for {0} s")]
    Stalled(u64),
    #[error("the request body ended early")]
    Broken,
    #[error("content-encoding '{0}' is not understood; send gzip, br, zstd, deflate or none")]
    Encoding(String),
    #[error("the request body is not valid {0}")]
    Corrupt(String),
}

/// How long a caller's body may make no progress.
const STALL: Duration = Duration::from_mins(1);

/// Above this, decompressing would hold up other requests on the same thread.
const INLINE_DECOMPRESSION: usize = 64 * 1024;

/// Reads a caller's body of at most `limit` bytes, counted after decompression.
pub(crate) async fn read(
    mut body: Incoming,
    headers: &HeaderMap,
    limit: u64,
) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { limit };
    if body.size_hint().lower() > limit {
        return Err(too_large);
    }
    let mut first = Bytes::new();
    let mut gathered: Option<BytesMut> = None;
    let mut length = 0_u64;
    loop {
        let frame = match tokio::time::timeout(STALL, body.frame()).await {
            Err(_) => return Err(BodyError::Stalled(STALL.as_secs())),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len() as u64;
        if length > limit {
            return Err(too_large);
        }
        match &mut gathered {
            Some(gathered) => gathered.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let expected = usize::try_from(body.size_hint().lower())
                    .unwrap_or(0)
                    .min(1 << 20);
                let mut all = BytesMut::with_capacity(first.len() + data.len() + expected);
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
                gathered = Some(all);
            }
        }
    }
    let raw = gathered.map_or(first, BytesMut::freeze);
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => Ok(raw),
        _ if raw.len() <= INLINE_DECOMPRESSION => decompress(&raw, &encoding, limit),
        _ => tokio::task::spawn_blocking(move || decompress(&raw, &encoding, limit))
            .await
            .unwrap_or(Err(BodyError::Broken)),
    }
}

/// Undoes one compression; never holds more than `limit` bytes of its output.
fn decompress(raw: &[u8], encoding: &str, limit: u64) -> Result<Bytes, BodyError> {
    let mut out = Vec::new();
    let corrupt = |_| BodyError::Corrupt(encoding.to_owned());
    let mut take = |reader: &mut dyn std::io::Read| {
        reader
            .take(limit.saturating_add(1))
            .read_to_end(&mut out)
            .map_err(corrupt)
    };
    match encoding {
        "gzip" | "x-gzip" => take(&mut flate2::bufread::MultiGzDecoder::new(raw))?,
        "deflate" => take(&mut flate2::bufread::ZlibDecoder::new(raw))?,
        "br" => take(&mut brotli::Decompressor::new(raw, 4096))?,
        "zstd" => take(&mut zstd::Decoder::new(raw).map_err(corrupt)?)?,
        other => return Err(BodyError::Encoding(other.to_owned())),
    };
    if out.len() as u64 > limit {
        Err(BodyError::TooLarge { limit })
    } else {
        Ok(Bytes::from(out))
    }
}

/// The body of an upstream's answer, decompressed on the way.
pub(crate) enum UpstreamBody {
    Plain(Incoming),
    Decompressed(Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>),
    Demo(DemoBody),
}

impl std::fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Decompressed(_) => "Decompressed",
            Self::Demo(_) => "Demo",
        })
    }
}

/// Why a whole answer of an upstream could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    Broken,
    TooLarge,
    Idle,
}

impl UpstreamBody {
    /// `None`: the upstream compressed its answer in a way that nobody asked for and that is not known here.
    pub(crate) fn new(body: Incoming, headers: &HeaderMap) -> Option<Self> {
        let encoding = headers
            .get(header::CONTENT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
            .trim();
        if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
            return Some(Self::Plain(body));
        }
        let frames = BodyStream::new(body).filter_map(|frame| {
            let data = match frame {
                Ok(frame) => frame.into_data().ok().map(Ok),
                Err(error) => Some(Err(std::io::Error::other(error))),
            };
            std::future::ready(data)
        });
        let reader = BufReader::new(StreamReader::new(Box::pin(frames)));
        let reader: Pin<Box<dyn AsyncRead + Send>> = match encoding.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Box::pin(GzipDecoder::new(reader)),
            "deflate" => Box::pin(ZlibDecoder::new(reader)),
            "br" => Box::pin(BrotliDecoder::new(reader)),
            "zstd" => Box::pin(ZstdDecoder::new(reader)),
            _ => return None,
        };
        Some(Self::Decompressed(Box::pin(ReaderStream::new(reader))))
    }

    /// The next piece; `None` at the end; an error when the connection broke.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ()>>> {
        match self {
            Self::Plain(body) => loop {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(data)));
                        }
                    }
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(()))),
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => return Poll::Pending,
                }
            },
            Self::Decompressed(stream) => stream
                .as_mut()
                .poll_next(cx)
                .map(|next| next.map(|data| data.map_err(|_| ()))),
            Self::Demo(body) => body.poll_data(cx).map(|next| next.map(Ok)),
        }
    }

    pub(crate) async fn data(&mut self) -> Option<Result<Bytes, ()>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Reads the rest, at most `limit` bytes, with at most `idle` between two pieces.
    pub(crate) async fn read(mut self, limit: usize, idle: Duration) -> Result<Bytes, ReadError> {
        let mut first = Bytes::new();
        let mut gathered: Option<BytesMut> = None;
        loop {
            let data = match tokio::time::timeout(idle, self.data()).await {
                Err(_) => return Err(ReadError::Idle),
                Ok(None) => return Ok(gathered.map_or(first, BytesMut::freeze)),
                Ok(Some(Err(()))) => return Err(ReadError::Broken),
                Ok(Some(Ok(data))) => data,
            };
            if first.is_empty() && gathered.is_none() {
                first = data;
                continue;
            }
            let all = gathered.get_or_insert_with(|| BytesMut::from(&first[..]));
            if all.len() + data.len() > limit {
                return Err(ReadError::TooLarge);
            }
            all.extend_from_slice(&data);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn compressed_bodies_are_read_and_bounded() {
        let text = b"hello hello hello hello".repeat(100);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        let mut br = Vec::new();
        brotli::CompressorWriter::new(&mut br, 4096, 5, 22)
            .write_all(&text)
            .unwrap();
        for (encoding, body) in [("gzip", &gzip), ("zstd", &zstd), ("br", &br)] {
            assert_eq!(
                decompress(body, encoding, 1 << 20).unwrap(),
                text,
                "{encoding}"
            );
            assert_eq!(
                decompress(body, encoding, 100),
                Err(BodyError::TooLarge { limit: 100 }),
                "{encoding}"
            );
            assert_eq!(
                decompress(b"nonsense", encoding, 100),
                Err(BodyError::Corrupt(encoding.to_owned())),
                "{encoding}"
            );
        }
        assert_eq!(
            decompress(b"x", "compress", 100),
            Err(BodyError::Encoding("compress".to_owned()))
        );
    }
}
