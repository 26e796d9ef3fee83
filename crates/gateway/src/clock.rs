//! The time as the routing sees it.

use std::time::Instant;

use lingate_routing::Moment;

/// Counts from the start of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Moment {
        Moment::since(self.started, Instant::now())
    }

    /// A moment for what waits for it.
    pub(crate) fn instant(self, moment: Moment) -> tokio::time::Instant {
        let since = std::time::Duration::from_millis(moment.as_millis());
        (self.started + since).into()
    }
}
