//! Streams driven through the machinery, cut as a test wants.

use lingate_dialect::framing::Framing;
use lingate_dialect::hub::Response;
use lingate_dialect::stream::{Collector, End, Outcome, Shown, Summary, Tap, Transcoder, replay};
use lingate_dialect::{ApiError, DialectId, ToolChanges};

use crate::fixtures::{Sample, reply};
use crate::wire::Ending;

/// Where to cut a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cuts {
    Nowhere,
    /// Pieces of this many bytes.
    Every(usize),
    /// Pieces of 1 to 97 bytes, by chance of this seed.
    Chance(u64),
}

impl Cuts {
    pub(crate) fn pieces(self, bytes: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::Nowhere => vec![bytes],
            Self::Every(size) => bytes.chunks(size).collect(),
            Self::Chance(mut state) => {
                let mut pieces = Vec::new();
                let mut rest = bytes;
                while !rest.is_empty() {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let size = usize::try_from(state >> 33).unwrap_or(0) % 97 + 1;
                    let (piece, tail) = rest.split_at(size.min(rest.len()));
                    pieces.push(piece);
                    rest = tail;
                }
                pieces
            }
        }
    }
}

/// The dialects that the laws hold for.
pub(crate) const DIALECTS: [DialectId; 4] = DialectId::ALL;

/// The framings that a client of this dialect can ask for.
pub(crate) fn framings(dialect: DialectId) -> &'static [Framing] {
    match dialect {
        DialectId::Chat | DialectId::Responses | DialectId::Messages => &[Framing::Sse],
        DialectId::Gemini => &[Framing::Sse, Framing::JsonArray],
    }
}

/// Every client that a stream can be carried to.
pub(crate) fn clients() -> impl Iterator<Item = (DialectId, Framing)> {
    DIALECTS.into_iter().flat_map(|client| {
        framings(client)
            .iter()
            .map(move |framing| (client, *framing))
    })
}

pub(crate) fn transcode(
    sample: &Sample,
    bytes: &[u8],
    (client, framing): (DialectId, Framing),
    cuts: Cuts,
) -> (Vec<u8>, Summary) {
    let mut transcoder = Transcoder::new(
        sample.dialect.dialect(),
        client.dialect(),
        &reply(),
        sample.framing(),
        framing,
        ToolChanges::default(),
    );
    let mut out = Vec::new();
    for piece in cuts.pieces(bytes) {
        if transcoder.push(piece, &mut out).is_err() {
            break;
        }
    }
    let summary = transcoder.end(End::Eof, &mut out);
    (out, summary)
}

pub(crate) fn tap(sample: &Sample, bytes: &[u8], cuts: Cuts) -> (Vec<u8>, Summary) {
    let mut tap = Tap::new(sample.dialect.dialect(), sample.framing());
    for piece in cuts.pieces(bytes) {
        tap.push(piece);
    }
    let mut out = Vec::new();
    let summary = tap.end(End::Eof, &reply(), Shown::All, &mut out);
    (out, summary)
}

pub(crate) fn collect(
    dialect: DialectId,
    framing: Framing,
    bytes: &[u8],
    cuts: Cuts,
) -> (Result<Response, ApiError>, Summary) {
    let mut collector = Collector::new(dialect.dialect(), framing);
    for piece in cuts.pieces(bytes) {
        if collector.push(piece).is_err() {
            break;
        }
    }
    collector.end(End::Eof)
}

/// Whether a client saw the ending that it is owed. Of an answer that says itself that its model failed, a dialect may
/// make an error or an ending.
pub(crate) fn is_right(ending: Ending, summary: &Summary) -> bool {
    match (&summary.error, summary.outcome) {
        (Some(_), _) => ending == Ending::Error,
        (None, Outcome::UpstreamError) => ending != Ending::None,
        (None, _) => ending == Ending::Clean,
    }
}

/// A whole answer, streamed to a client.
pub(crate) fn streamed(response: &Response, (client, framing): (DialectId, Framing)) -> Vec<u8> {
    let mut encoder = client.dialect().encoder(&reply(), framing);
    let mut events = Vec::new();
    replay(response, &mut events);
    let mut out = Vec::new();
    for event in &events {
        encoder.event(event, &mut out);
    }
    encoder.finish(&mut out);
    out
}
