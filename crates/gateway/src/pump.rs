//! A streamed answer over HTTP/2 that gives up on a caller who takes nothing of it.
//!
//! While a caller's window is closed, hyper does not ask for more of the answer, so no timer of the answer is looked at, and the
//! connection writes what other streams have to say: [`stall`](crate::stall) sees nothing either. Such an answer would hold its
//! key and its upstream for as long as the caller likes. Here it is drawn by a task of its own.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::answer::Body;
use crate::beside::CutShort;

/// What comes out of the task. Dropped, it ends the task, and with it the answer.
#[derive(Debug)]
pub struct Pumped {
    frames: mpsc::Receiver<Result<Frame<Bytes>, CutShort>>,
    task: AbortHandle,
}

/// The same answer. Once it has lasted for `patience`, no frame of it waits for the caller any more: it is dropped, and never ends
/// cleanly.
pub(crate) fn pumped(mut body: Body, patience: Duration) -> Body {
    let deadline = Instant::now() + patience;
    // One waits here and one in hyper: the caller's reading paces the upstream all the same.
    let (sender, frames) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            match tokio::time::timeout_at(deadline, sender.send(frame)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    drop(body);
                    sender.closed().await;
                    return;
                }
            }
        }
    });
    Body::Pumped(Box::new(Pumped {
        frames,
        task: task.abort_handle(),
    }))
}

impl Pumped {
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        self.frames.poll_recv(cx)
    }
}

impl Drop for Pumped {
    fn drop(&mut self) {
        self.task.abort();
    }
}
