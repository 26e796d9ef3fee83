//! A script: what the upstream sends for one request, cut and timed as the test wants it.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// One thing the upstream does after the head has gone out.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends these bytes in one write.
    Send(Bytes),
    /// Waits, with the connection open.
    Wait(Duration),
    /// Sends nothing more and keeps the connection open until the client leaves.
    Stall,
    /// Closes the connection without the end of the body (no last chunk).
    Close,
    /// Resets the connection (RST). What the client has not read by then is lost to it.
    Reset,
}

/// How the body of an answer is told.
#[derive(Debug, Clone)]
pub enum Body {
    /// With a `content-length`, in one write.
    Whole(Bytes),
    /// Chunked, step by step.
    Steps(Vec<Step>),
    /// No head and no body: the request is read and never answered.
    Silence,
}

/// What the upstream does with one request.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) wait: Duration,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Script {
    /// An answer with a body of known length.
    pub fn whole(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            wait: Duration::ZERO,
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            headers: HeaderMap::new(),
            body: Body::Whole(body.into()),
        }
        .header("content-type", content_type)
    }

    /// A JSON answer.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::whole(status, "application/json", body)
    }

    /// A page of HTML, as proxies and load balancers send in place of an API's error.
    pub fn html(status: u16) -> Self {
        Self::whole(
            status,
            "text/html",
            "<html><head><title>error</title></head><body><h1>Something went wrong</h1></body></html>",
        )
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        let mut script = Self::whole(status, "", "");
        script.headers.remove(CONTENT_TYPE);
        script
    }

    /// Reads the request and never answers.
    pub fn silent() -> Self {
        let mut script = Self::empty(200);
        script.body = Body::Silence;
        script
    }

    /// A chunked answer of status 200 that plays the steps.
    pub fn steps(content_type: &str, steps: Vec<Step>) -> Self {
        let mut script = Self::whole(200, content_type, "");
        script.body = Body::Steps(steps);
        script
    }

    /// An event stream cut into pieces whose sizes follow `cuts` over and over, with no regard for events or characters.
    pub fn stream(bytes: impl Into<Bytes>, cuts: &[usize]) -> Self {
        Self::steps("text/event-stream", cut(bytes.into(), cuts))
    }

    /// An event stream of one write per item.
    pub fn events<B: Into<Bytes>>(events: impl IntoIterator<Item = B>) -> Self {
        let steps = events.into_iter().map(|event| Step::Send(event.into()));
        Self::steps("text/event-stream", steps.collect())
    }

    /// The same, with a pause before each piece.
    #[must_use]
    pub fn pausing(mut self, pause: Duration) -> Self {
        if let Body::Steps(steps) = &mut self.body {
            *steps = steps
                .drain(..)
                .flat_map(|step| [Step::Wait(pause), step])
                .collect();
        }
        self
    }

    /// The same, with one more step at the end.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        match &mut self.body {
            Body::Steps(steps) => steps.push(step),
            Body::Whole(bytes) => {
                self.body = Body::Steps(vec![Step::Send(std::mem::take(bytes)), step]);
            }
            Body::Silence => {}
        }
        self
    }

    /// The same, with the head held back.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The same under another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap_or(self.status);
        self
    }

    /// The same with a header set. A name or value that HTTP does not allow is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            self.headers.insert(name, value);
        }
        self
    }
}

/// Cuts bytes into sends whose sizes follow `cuts` over and over; without cuts, or with a zero among them, one byte each.
fn cut(mut bytes: Bytes, cuts: &[usize]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut sizes = cuts.iter().copied().cycle();
    while !bytes.is_empty() {
        let size = sizes.next().unwrap_or(1).clamp(1, bytes.len());
        steps.push(Step::Send(bytes.split_to(size)));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_follow_the_pattern_and_lose_nothing() {
        let sent: Vec<Vec<u8>> = cut(Bytes::from_static(b"abcdefgh"), &[1, 3])
            .into_iter()
            .map(|step| match step {
                Step::Send(bytes) => bytes.to_vec(),
                step => panic!("{step:?}"),
            })
            .collect();
        assert_eq!(sent, [&b"a"[..], b"bcd", b"e", b"fgh"]);
    }
}
