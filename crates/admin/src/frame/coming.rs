//! A body that goes on coming: whoever stops in the middle of it is not waited for for ever.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// How long nothing may come. At the doors of models it is as long.
pub(crate) const STALL: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Coming<B> {
    body: B,
    patience: Duration,
    /// Runs while nothing comes.
    waits: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive")]
struct Stalled;

impl<B> Coming<B> {
    pub(crate) fn new(body: B, patience: Duration) -> Self {
        Self {
            body,
            patience,
            waits: None,
        }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Coming<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waits = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let patience = this.patience;
        let waits = this.waits.get_or_insert_with(|| Box::pin(sleep(patience)));
        waits.as_mut().poll(cx).map(|()| Some(Err(Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::StreamExt as _;
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[tokio::test]
    async fn a_body_that_stops_is_given_up_and_one_that_is_slow_is_not() {
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")));
        let stops = stream::iter([piece()]).chain(stream::pending());
        let stopped = Coming::new(StreamBody::new(stops), Duration::from_millis(20));
        let error = stopped.collect().await.map(drop).unwrap_err();
        assert_eq!(error.to_string(), "the body did not arrive");

        let slow = stream::iter(0..3).then(|_| async {
            sleep(Duration::from_millis(60)).await;
            piece()
        });
        let slow = Coming::new(StreamBody::new(Box::pin(slow)), Duration::from_millis(100));
        assert_eq!(slow.collect().await.unwrap().to_bytes(), "xxx");
    }
}
