//! A connection that gives up on a caller who takes nothing: no write may wait for longer than a request may last.
//!
//! While a write waits, hyper does not ask for more of the answer, so no timer of the answer is looked at either; this one is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Sleep;

/// `io`, whose writes fail once they have waited for `patience()` without taking a byte.
pub(crate) struct Stalling<Io, Patience> {
    io: Io,
    patience: Patience,
    /// Since a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<Io, Patience> Stalling<Io, Patience> {
    pub(crate) fn new(io: Io, patience: Patience) -> Self {
        Self {
            io,
            patience,
            waiting: None,
        }
    }
}

impl<Io: Unpin, Patience: Fn() -> Duration + Unpin> Stalling<Io, Patience> {
    /// What a write came to; one that waits too long has failed.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.waiting = None;
            return write;
        }
        let patience = &self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience())));
        waiting.as_mut().poll(cx).map(|()| {
            let reason = "the caller took nothing of its answer for too long";
            Err(io::Error::new(io::ErrorKind::TimedOut, reason))
        })
    }
}

impl<Io: Read + Unpin, Patience: Unpin> Read for Stalling<Io, Patience> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<Io: Write + Unpin, Patience: Fn() -> Duration + Unpin> Write for Stalling<Io, Patience> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(&mut this.io).poll_write(cx, buf);
        this.written(cx, write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.written(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flush = Pin::new(&mut this.io).poll_flush(cx);
        this.written(cx, flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
