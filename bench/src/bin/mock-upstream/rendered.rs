//! The mock's answers as the bytes that go onto the wire, made once per thread.

use lingate_bench::{answer, wire::Wire};

#[derive(Debug)]
pub(crate) struct Answers {
    chat: Pair,
    chat_with_usage: Vec<Vec<u8>>,
    messages: Pair,
    gemini: Pair,
}

#[derive(Debug)]
struct Pair {
    whole: Vec<u8>,
    stream: Vec<Vec<u8>>,
}

impl Answers {
    /// `body` is the size of a whole answer in bytes, `events` the number of content events in a stream.
    pub(crate) fn new(body: usize, events: usize) -> Self {
        let pair = |wire| Pair {
            whole: whole(wire, body),
            stream: stream(wire, events, false),
        };
        Self {
            chat: pair(Wire::Chat),
            chat_with_usage: stream(Wire::Chat, events, true),
            messages: pair(Wire::Messages),
            gemini: pair(Wire::Gemini),
        }
    }

    pub(crate) fn whole(&self, wire: Wire) -> &[u8] {
        &self.pair(wire).whole
    }

    /// The writes of a stream: the head, then one per event. `usage`: the caller asked for Chat's usage chunk.
    pub(crate) fn stream(&self, wire: Wire, usage: bool) -> &[Vec<u8>] {
        if usage && wire == Wire::Chat {
            &self.chat_with_usage
        } else {
            &self.pair(wire).stream
        }
    }

    fn pair(&self, wire: Wire) -> &Pair {
        match wire {
            Wire::Chat => &self.chat,
            Wire::Messages => &self.messages,
            Wire::Gemini => &self.gemini,
        }
    }
}

/// Header lines as each vendor sends them, so that a gateway has something to forward.
fn vendor_lines(wire: Wire) -> &'static str {
    match wire {
        Wire::Chat => {
            "openai-processing-ms: 312\r\nopenai-version: 2020-10-01\r\nx-ratelimit-remaining-requests: 9999\r\n"
        }
        Wire::Messages => "anthropic-organization-id: bench\r\n",
        Wire::Gemini => "server-timing: gfet4t7; dur=312\r\n",
    }
}

fn whole(wire: Wire, bytes: usize) -> Vec<u8> {
    let body = answer::whole(wire, bytes);
    let (length, vendor) = (body.len(), vendor_lines(wire));
    format!(
        "HTTP/1.1 200 OK\r\ndate: Mon, 01 Jun 2026 00:00:00 GMT\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nx-request-id: req_bench0001\r\n{vendor}\r\n{body}"
    )
    .into_bytes()
}

fn stream(wire: Wire, events: usize, usage: bool) -> Vec<Vec<u8>> {
    let vendor = vendor_lines(wire);
    let head = format!(
        "HTTP/1.1 200 OK\r\ndate: Mon, 01 Jun 2026 00:00:00 GMT\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
         cache-control: no-cache\r\ntransfer-encoding: chunked\r\nx-request-id: req_bench0001\r\n{vendor}\r\n"
    );
    let mut writes = vec![head.into_bytes()];
    writes.extend(
        answer::stream(wire, events, usage)
            .iter()
            .map(|event| format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()),
    );
    if let Some(last) = writes.last_mut() {
        last.extend_from_slice(b"0\r\n\r\n");
    }
    writes
}
