//! The body of a request, in a few pieces: putting another word into a large body copies none of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// Pieces of one body, in order; none of them is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload(VecDeque<Bytes>);

impl Payload {
    /// The whole body as one piece.
    pub fn joined(&self) -> Bytes {
        if let (1, Some(only)) = (self.0.len(), self.0.front()) {
            return only.clone();
        }
        let mut joined = BytesMut::new();
        for piece in &self.0 {
            joined.extend_from_slice(piece);
        }
        joined.freeze()
    }
}

impl From<Bytes> for Payload {
    fn from(body: Bytes) -> Self {
        Self::from_iter([body])
    }
}

impl FromIterator<Bytes> for Payload {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let pieces = pieces.into_iter();
        Self(pieces.filter(|piece| !piece.is_empty()).collect())
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.get_mut().0.pop_front();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let length: usize = self.0.iter().map(Bytes::len).sum();
        SizeHint::with_exact(length as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn pieces_arrive_in_order_and_are_counted() {
        let pieces = ["{\"model\":", "", "\"m\"", "}"].map(Bytes::from);
        let payload = Payload::from_iter(pieces);
        let whole = Bytes::from_static(b"{\"model\":\"m\"}");
        assert_eq!(payload.joined(), whole);
        assert_eq!(payload.size_hint().exact(), Some(whole.len() as u64));
        assert_eq!(payload.collect().await.unwrap().to_bytes(), whole);
        assert!(Payload::from(Bytes::new()).is_end_stream());
    }
}
