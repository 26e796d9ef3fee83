//! Server-sent events, read as the WHATWG standard says, but for two liberties that upstreams need: the last event may lack its
//! blank line, and events without data are passed over.
//!
//! Lines end at CR, LF or CRLF and nowhere else: U+2028, U+2029 and U+0085 occur inside JSON texts.

use std::ops::Range;

use memchr::memchr2;

use super::{Frame, FramingError, Held, Place, utf8};

#[derive(Debug)]
pub(super) struct Reader {
    held: Held,
    /// `held` is a frame that was handed out, and is to be forgotten.
    spent: bool,
    /// Several `data:` lines of one event, joined.
    joined: Held,
    /// The next byte begins a line.
    line_start: bool,
    /// A CR was the last byte; an LF after it belongs to the same line end.
    after_cr: bool,
    /// No event has ended yet, so a byte-order mark may be there.
    first: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            held: Held::default(),
            spent: false,
            joined: Held::default(),
            line_start: true,
            after_cr: false,
            first: true,
        }
    }
}

/// Where the fields of an event lie in its bytes.
struct Fields {
    event: Range<usize>,
    data: Data,
}

enum Data {
    Line(Range<usize>),
    Joined,
}

impl Reader {
    pub(super) fn next_frame<'f, 'c: 'f>(
        &'f mut self,
        chunk: &mut &'c [u8],
        limit: usize,
    ) -> Result<Option<Frame<'f>>, FramingError> {
        self.forget();
        let (fields, within) = loop {
            if self.after_cr
                && let Some((byte, rest)) = chunk.split_first()
            {
                self.after_cr = false;
                if *byte == b'\n' {
                    *chunk = rest;
                }
            }
            let Some((block, rest)) = self
                .event_end(chunk)
                .and_then(|end| chunk.split_at_checked(end))
            else {
                self.held.push(chunk, limit)?;
                *chunk = &[];
                return Ok(None);
            };
            *chunk = rest;
            let whole = self.held.0.is_empty();
            if !whole {
                self.held.push(block, limit)?;
            } else if block.len() > limit {
                return Err(FramingError::TooLong { limit });
            }
            let bytes = if whole { block } else { &self.held.0 };
            let first = std::mem::replace(&mut self.first, false);
            if let Some(fields) = fields(bytes, first, &mut self.joined) {
                break (fields, whole.then_some(block));
            }
            self.held.clear();
        };
        self.spent = within.is_none();
        self.frame(&fields, within).map(Some)
    }

    pub(super) fn end(&mut self) -> Result<Option<Frame<'_>>, FramingError> {
        self.forget();
        let Some(fields) = fields(&self.held.0, self.first, &mut self.joined) else {
            return Ok(None);
        };
        self.spent = true;
        self.frame(&fields, None).map(Some)
    }

    pub(super) fn place(&self) -> Place {
        match (self.spent || self.held.0.is_empty(), self.first) {
            (false, _) => Place::Inside,
            (true, true) => Place::Start,
            (true, false) => Place::Ready,
        }
    }

    fn forget(&mut self) {
        if std::mem::replace(&mut self.spent, false) {
            self.held.clear();
        }
        self.joined.clear();
    }

    /// The length of what is left of this event, its blank line included; `None` when it does not end here.
    fn event_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let blank = self.line_start && matches!(bytes.get(at), Some(b'\n' | b'\r'));
            let offset = memchr2(
                b'\n',
                b'\r',
                bytes.get(at..).filter(|rest| !rest.is_empty())?,
            );
            let Some(offset) = offset else {
                self.line_start = false;
                return None;
            };
            let cr = bytes.get(at + offset) == Some(&b'\r');
            at += offset + 1;
            self.line_start = true;
            if cr {
                match bytes.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if blank {
                return Some(at);
            }
        }
    }

    /// `within`: the event's bytes, when they lie in the chunk.
    fn frame<'f>(
        &'f self,
        fields: &Fields,
        within: Option<&'f [u8]>,
    ) -> Result<Frame<'f>, FramingError> {
        let bytes = within.unwrap_or(&self.held.0);
        let data = match &fields.data {
            Data::Line(span) => bytes.get(span.clone()).unwrap_or_default(),
            Data::Joined => &self.joined.0,
        };
        Ok(Frame {
            event: utf8(bytes.get(fields.event.clone()).unwrap_or_default())?,
            data: utf8(data)?,
        })
    }
}

/// Finds the fields of one event; `None` when it has no data, or only white space.
fn fields(bytes: &[u8], first: bool, joined: &mut Held) -> Option<Fields> {
    let mut event = 0..0;
    let mut data: Option<Data> = None;
    let mut at = if first && bytes.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or_default();
        let end = at + length;
        if let Some(skip) = value(line, b"data") {
            let span = at + skip..end;
            match data {
                None => data = Some(Data::Line(span)),
                Some(Data::Line(earlier)) => {
                    joined.0.clear();
                    for (line, feed) in [(earlier, true), (span, false)] {
                        joined
                            .0
                            .extend_from_slice(bytes.get(line).unwrap_or_default());
                        if feed {
                            joined.0.push(b'\n');
                        }
                    }
                    data = Some(Data::Joined);
                }
                Some(Data::Joined) => {
                    joined.0.push(b'\n');
                    joined
                        .0
                        .extend_from_slice(bytes.get(span).unwrap_or_default());
                }
            }
        } else if let Some(skip) = value(line, b"event") {
            event = at + skip..end;
        }
        at = end + 1;
    }
    let data = data?;
    let text = match &data {
        Data::Line(span) => bytes.get(span.clone()).unwrap_or_default(),
        Data::Joined => &joined.0,
    };
    let blank = text.iter().all(u8::is_ascii_whitespace);
    (!blank).then_some(Fields { event, data })
}

/// Where the value of the field `name` begins in `line`; one space after the colon is not part of it.
fn value(line: &[u8], name: &[u8]) -> Option<usize> {
    match line.strip_prefix(name)? {
        [] => Some(name.len()),
        [b':', b' ', ..] => Some(name.len() + 2),
        [b':', ..] => Some(name.len() + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::framing::{FrameReader, Framing, FramingError};

    fn read(reader: &mut FrameReader, chunks: &[&[u8]]) -> Result<Vec<String>, FramingError> {
        let mut frames = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            while let Some(frame) = reader.next_frame(&mut rest)? {
                frames.push(format!("{}|{}", frame.event, frame.data));
            }
        }
        if let Some(frame) = reader.end()? {
            frames.push(format!("{}|{}", frame.event, frame.data));
        }
        Ok(frames)
    }

    /// Reads `input` in one piece, in single bytes, and cut in two at every place.
    fn check(input: &[u8], expect: &[&str]) {
        let mut cuts: Vec<Vec<&[u8]>> = vec![vec![input], input.chunks(1).collect()];
        cuts.extend((0..=input.len()).map(|at| vec![&input[..at], &input[at..]]));
        for chunks in cuts {
            let frames = read(&mut FrameReader::new(Framing::Sse), &chunks).unwrap();
            assert_eq!(
                frames,
                expect,
                "{:?}",
                chunks
                    .iter()
                    .map(|c| c.escape_ascii().to_string())
                    .collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn reads_every_line_end() {
        check(b"data: a\n\ndata: b\n\n", &["|a", "|b"]);
        check(b"data: a\r\rdata: b\r\r", &["|a", "|b"]);
        check(b"data: a\r\n\r\ndata: b\r\n\r\n", &["|a", "|b"]);
        check(
            b"data: a\n\r\ndata: b\r\n\ndata: c\r\n\r",
            &["|a", "|b", "|c"],
        );
        check(
            "data: a\u{2028}\u{2029}\u{85}b\n\n".as_bytes(),
            &["|a\u{2028}\u{2029}\u{85}b"],
        );
    }

    #[test]
    fn reads_every_field() {
        check(b"event: ping\ndata: {}\n\ndata: x\n\n", &["ping|{}", "|x"]);
        check(b"data: x\nevent:late\n\n", &["late|x"]);
        check(
            b"event: a\nevent: b\ndata:x\nid: 7\nretry: 3\ndatax: no\n\n",
            &["b|x"],
        );
        check(
            b"data:  two\ndata\ndata:\tthree\r\ndata:\n\n",
            &["| two\n\n\tthree\n"],
        );
        check(b"data:\xe4\xbd\xa0\xe5\xa5\xbd\n\n", &["|你好"]);
    }

    #[test]
    fn passes_over_what_holds_no_data() {
        check(b"", &[]);
        check(
            b"\n\r\n\n: hello\n\n:\n\nevent: ping\n\ndata:\n\ndata: \n\ndata\n\n",
            &[],
        );
        check(b": OPENROUTER PROCESSING\n\n: more\ndata: a\n\n", &["|a"]);
        check(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", &["|a"]);
        check(b"\xef\xbb\xbf\n\ndata: b\n\n", &["|b"]);
        check(b"<html>\n\n<body>data: x</body>\n\n", &[]);
    }

    #[test]
    fn the_last_event_may_lack_its_blank_line() {
        check(b"data: a\n\ndata: b", &["|a", "|b"]);
        check(b"event: e\r\ndata: b\r\n", &["e|b"]);
        check(b"event: e\r\n", &[]);
    }

    #[test]
    fn refuses_what_is_not_utf8() {
        for input in [
            &b"data: \xff\n\n"[..],
            b"data: \xe4\xbd\n\n",
            b"event: \xff\ndata: x\n\n",
            b"data: a\ndata: \xff\n\n",
        ] {
            for chunks in [vec![input], input.chunks(1).collect()] {
                let result = read(&mut FrameReader::new(Framing::Sse), &chunks);
                assert_eq!(
                    result,
                    Err(FramingError::NotUtf8),
                    "{}",
                    input.escape_ascii()
                );
            }
        }
        check(b": \xff\ndata: a\n\n", &["|a"]);
    }

    #[test]
    fn memory_is_bounded() {
        let long = [b"data: ".as_slice(), &[b'x'; 100], b"\n\n"].concat();
        for chunks in [vec![long.as_slice()], long.chunks(7).collect()] {
            let mut reader = FrameReader::with_limit(Framing::Sse, 50);
            assert_eq!(
                read(&mut reader, &chunks),
                Err(FramingError::TooLong { limit: 50 })
            );
        }
    }

    #[test]
    fn a_long_event_passes_and_leaves_no_memory_behind() {
        let long = [
            b"data: ".as_slice(),
            &vec![b'x'; 3 << 20],
            b"\n\ndata: y\n\n",
        ]
        .concat();
        let mut reader = super::Reader::default();
        let mut lengths = Vec::new();
        for chunk in long.chunks(16 << 10) {
            let mut rest = chunk;
            while let Some(frame) = reader.next_frame(&mut rest, FrameReader::LIMIT).unwrap() {
                lengths.push(frame.data.len());
            }
        }
        assert_eq!(lengths, [3 << 20, 1]);
        assert!(reader.held.0.capacity() <= super::Held::KEEP);
    }
}
