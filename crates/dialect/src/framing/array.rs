//! A JSON array whose elements, all objects, arrive one by one: Gemini without `alt=sse`. A bare object is an array of one.

use memchr::memchr2;

use super::{Frame, FramingError, Held, Place, utf8};

#[derive(Debug, Default)]
pub(super) struct Reader {
    held: Held,
    /// `held` is a frame that was handed out, and is to be forgotten.
    spent: bool,
    state: State,
    /// Braces open within the element.
    depth: u32,
    /// The element is not inside an array.
    bare: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the bracket.
    #[default]
    Start,
    /// After the bracket, or after a comma.
    Ready,
    /// After an element.
    Between,
    /// Inside an element, outside its strings.
    Plain,
    /// Inside a string.
    String,
    /// After a backslash.
    Escape,
    /// After the closing bracket.
    Closed,
}

impl Reader {
    pub(super) fn next_frame<'f, 'c: 'f>(
        &'f mut self,
        chunk: &mut &'c [u8],
        limit: usize,
    ) -> Result<Option<Frame<'f>>, FramingError> {
        if std::mem::replace(&mut self.spent, false) {
            self.held.clear();
        }
        if !matches!(self.state, State::Plain | State::String | State::Escape)
            && !self.begin(chunk)?
        {
            return Ok(None);
        }
        let Some((element, rest)) = self
            .element_end(chunk)
            .and_then(|end| chunk.split_at_checked(end))
        else {
            self.held.push(chunk, limit)?;
            *chunk = &[];
            return Ok(None);
        };
        *chunk = rest;
        self.state = if self.bare {
            State::Closed
        } else {
            State::Between
        };
        let data = if self.held.0.is_empty() {
            if element.len() > limit {
                return Err(FramingError::TooLong { limit });
            }
            element
        } else {
            self.held.push(element, limit)?;
            self.spent = true;
            &self.held.0
        };
        Ok(Some(Frame {
            event: "",
            data: utf8(data)?,
        }))
    }

    pub(super) fn place(&self) -> Place {
        match self.state {
            State::Start => Place::Start,
            State::Ready => Place::Ready,
            State::Between => Place::Comma,
            State::Plain | State::String | State::Escape => Place::Inside,
            State::Closed => Place::Closed,
        }
    }

    /// Takes what lies between elements; `true` when `chunk` now begins with an element.
    fn begin(&mut self, chunk: &mut &[u8]) -> Result<bool, FramingError> {
        while let Some((byte, rest)) = chunk.split_first() {
            match (byte, self.state) {
                (b' ' | b'\t' | b'\r' | b'\n', _)
                // A byte-order mark.
                | (b'\xef' | b'\xbb' | b'\xbf', State::Start) => {}
                (b'[', State::Start) | (b',', State::Between) => self.state = State::Ready,
                (b']', State::Ready | State::Between) => self.state = State::Closed,
                (b'{', State::Start | State::Ready | State::Between) => {
                    self.bare = self.state == State::Start;
                    self.state = State::Plain;
                    self.depth = 0;
                    return Ok(true);
                }
                _ => return Err(FramingError::Unexpected { byte: *byte }),
            }
            *chunk = rest;
        }
        Ok(false)
    }

    /// The length of what is left of this element; `None` when it does not end here. Brackets need no count: in JSON they
    /// close before the brace around them does.
    fn element_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..)?;
            match self.state {
                State::Escape => {
                    rest.first()?;
                    at += 1;
                    self.state = State::String;
                }
                State::String => {
                    let offset = memchr2(b'"', b'\\', rest)?;
                    self.state = if rest.get(offset) == Some(&b'"') {
                        State::Plain
                    } else {
                        State::Escape
                    };
                    at += offset + 1;
                }
                State::Plain => {
                    // Strings follow each other closely; a search that takes long to begin does not pay.
                    let offset = rest
                        .iter()
                        .position(|byte| matches!(byte, b'"' | b'{' | b'}'))?;
                    at += offset + 1;
                    match rest.get(offset) {
                        Some(b'"') => self.state = State::String,
                        Some(b'{') => self.depth = self.depth.saturating_add(1),
                        _ => {
                            self.depth = self.depth.saturating_sub(1);
                            if self.depth == 0 {
                                return Some(at);
                            }
                        }
                    }
                }
                State::Start | State::Ready | State::Between | State::Closed => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::framing::{FrameReader, Framing, FramingError, Place};

    fn read(chunks: &[&[u8]], limit: usize) -> (Result<Vec<String>, FramingError>, Place) {
        let mut reader = FrameReader::with_limit(Framing::JsonArray, limit);
        let mut frames = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            loop {
                match reader.next_frame(&mut rest) {
                    Ok(Some(frame)) => frames.push(frame.data.to_owned()),
                    Ok(None) => break,
                    Err(error) => return (Err(error), reader.place()),
                }
            }
        }
        assert_eq!(reader.end(), Ok(None));
        (Ok(frames), reader.place())
    }

    /// Reads `input` in one piece, in single bytes, and cut in two at every place.
    fn check(input: &str, expect: Result<&[&str], FramingError>, place: Place) {
        let input = input.as_bytes();
        let mut cuts: Vec<Vec<&[u8]>> = vec![vec![input], input.chunks(1).collect()];
        cuts.extend((0..=input.len()).map(|at| vec![&input[..at], &input[at..]]));
        for chunks in cuts {
            let (frames, left) = read(&chunks, 1000);
            let frames = frames
                .as_ref()
                .map(|frames| frames.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(
                frames,
                expect.as_ref().map(|expect| expect.to_vec()),
                "{}",
                input.escape_ascii()
            );
            if frames.is_ok() {
                assert_eq!(left, place, "{}", input.escape_ascii());
            }
        }
    }

    #[test]
    fn reads_elements_cut_anywhere() {
        check("[]", Ok(&[]), Place::Closed);
        check("[{}]", Ok(&["{}"]), Place::Closed);
        check(
            "[{\"a\": {\"b\": [{}, \"}]\"]}}\r\n,\r\n{\"t\":\"\\\"}\\\\\"},\n {\"é\":1}\n]\n",
            Ok(&[
                "{\"a\": {\"b\": [{}, \"}]\"]}}",
                "{\"t\":\"\\\"}\\\\\"}",
                "{\"é\":1}",
            ]),
            Place::Closed,
        );
        check(
            "\u{feff} {\"error\":{}} \n",
            Ok(&["{\"error\":{}}"]),
            Place::Closed,
        );
    }

    #[test]
    fn tells_where_a_cut_stream_leaves_off() {
        check("", Ok(&[]), Place::Start);
        check("[\n", Ok(&[]), Place::Ready);
        check("[{}", Ok(&["{}"]), Place::Comma);
        check("[{},", Ok(&["{}"]), Place::Ready);
        check("[{\"a\":\"}", Ok(&[]), Place::Inside);
    }

    #[test]
    fn refuses_what_is_no_array_of_objects() {
        check(
            "<html>",
            Err(FramingError::Unexpected { byte: b'<' }),
            Place::Inside,
        );
        check(
            "[1]",
            Err(FramingError::Unexpected { byte: b'1' }),
            Place::Inside,
        );
        check(
            "[{}][",
            Err(FramingError::Unexpected { byte: b'[' }),
            Place::Inside,
        );
        check(
            "{}{}",
            Err(FramingError::Unexpected { byte: b'{' }),
            Place::Inside,
        );
        check(
            "[[{}]]",
            Err(FramingError::Unexpected { byte: b'[' }),
            Place::Inside,
        );
    }

    #[test]
    fn memory_is_bounded() {
        let long = format!("[{{\"a\":\"{}\"}}]", "x".repeat(100));
        for chunks in [vec![long.as_bytes()], long.as_bytes().chunks(7).collect()] {
            assert_eq!(
                read(&chunks, 50).0,
                Err(FramingError::TooLong { limit: 50 })
            );
        }
        let invalid = b"[{\"a\":\"\xff\"}]";
        assert_eq!(read(&[invalid], 50).0, Err(FramingError::NotUtf8));
    }
}
