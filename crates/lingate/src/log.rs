//! The log on standard error, written by a thread of its own: no request waits for whoever reads it.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::debug_fn;

/// Lines gather for so long, so that many are written at once.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes that may wait for a reader that has stopped reading; what comes then is lost, and counted.
const MOST: usize = 1 << 20;

/// The log's end. Dropping it writes what still waits.
#[derive(Debug)]
pub(crate) struct Log(Arc<Lines>);

#[derive(Debug, Default)]
struct Lines {
    waiting: Mutex<Waiting>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    lost: u64,
}

/// Begins to log what `LINGATE_LOG` asks for, else everything from `info` up.
pub(crate) fn begin() -> Log {
    let lines = Arc::new(Lines::default());
    let filter = EnvFilter::try_from_env("LINGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // The usual writer styles each name and sign, which costs as much as the rest of the line.
    let fields = debug_fn(|line, field, value| match field.name() {
        "message" => write!(line, "{value:?}"),
        name => write!(line, "{name}={value:?}"),
    })
    .delimited(" ");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Arc::clone(&lines))
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .fmt_fields(fields)
        .init();
    let writer = Arc::clone(&lines);
    thread::spawn(move || {
        loop {
            writer.wait();
            writer.write_out();
            #[expect(
                clippy::disallowed_methods,
                reason = "no runtime's thread: this one does nothing but write"
            )]
            thread::sleep(GATHER);
        }
    });
    Log(lines)
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.write_out();
    }
}

impl Lines {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under this lock panics.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when a line waits.
    fn wait(&self) {
        let waiting = self.waiting();
        let still = |waiting: &mut Waiting| waiting.text.is_empty();
        drop(self.came.wait_while(waiting, still));
    }

    fn write_out(&self) {
        // Locked first, so that the lines of two calls stay in order.
        let mut stderr = io::stderr().lock();
        let Waiting { mut text, lost } = std::mem::take(&mut *self.waiting());
        if lost > 0 {
            text.extend_from_slice(format!("({lost} lines of the log were lost)\n").as_bytes());
        }
        // With standard error closed there is nobody left to tell.
        drop(stderr.write_all(&text));
    }
}

/// Takes one whole line at a time.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting();
        let first = waiting.text.is_empty();
        if waiting.text.len() + line.len() > MOST {
            waiting.lost += 1;
        } else {
            waiting.text.extend_from_slice(line);
        }
        drop(waiting);
        if first {
            self.came.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_bounded_and_counted() {
        let lines = Lines::default();
        let line = vec![b'x'; MOST / 2];
        for _ in 0..5 {
            (&lines).write_all(&line).unwrap();
        }
        let waiting = lines.waiting();
        assert_eq!((waiting.text.len(), waiting.lost), (MOST, 3));
    }
}
