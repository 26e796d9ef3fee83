//! The upstream of the stream matrix: plays named streams as real servers send them, whatever it is asked.
//!
//! What is played is named by the last part of the model name. The list says where a stream's bytes are, how they are sent,
//! and what a client must read in them; the last is for the matrix to judge.

use std::path::Path;
use std::{fs, io};

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;

use super::{CUTS, Wire};
use crate::script::{Script, Step};
use crate::upstream::Received;

/// Written for this in a stream, a text grows to the length that its shape asks for.
const FILLING: &[u8] = b"FILLING";

/// The streams that can be played.
#[derive(Debug)]
pub struct Shapes(Vec<(Shape, Vec<u8>)>);

#[derive(Debug, Deserialize)]
struct List {
    shape: Vec<Shape>,
}

/// A row of the list; what is not named here is for the matrix.
#[derive(Debug, Deserialize)]
struct Shape {
    name: String,
    upstream: Wire,
    /// The file of its bytes, below the folder of the dialect's fixtures.
    file: Option<String>,
    /// The bytes themselves, where they are no stream at all.
    body: Option<String>,
    #[serde(default = "event_stream")]
    content_type: String,
    /// How the connection ends; without it, in good order.
    #[serde(default)]
    ending: Ending,
    /// Sent as if every line ended like this.
    line_end: Option<String>,
    /// How long the filling grows, in bytes.
    #[serde(default)]
    filling: usize,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    #[default]
    Whole,
    /// The connection closes before the body's end.
    Close,
    /// The same, with a reset.
    Reset,
}

fn event_stream() -> String {
    "text/event-stream".to_owned()
}

impl Shapes {
    /// Reads the list and the bytes of all its streams from `fixtures`, where each dialect has a folder.
    pub fn read(list: &Path, fixtures: &Path) -> io::Result<Self> {
        let List { shape } = toml::from_str(&fs::read_to_string(list)?)
            .map_err(|error| io::Error::other(format!("{}: {error}", list.display())))?;
        let read = shape.into_iter().map(|shape| {
            let mut bytes = match (&shape.body, &shape.file) {
                (Some(body), _) => body.clone().into_bytes(),
                (None, Some(file)) => {
                    let path = fixtures.join(shape.upstream.name()).join(file);
                    fs::read(&path)
                        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?
                }
                (None, None) => {
                    return Err(io::Error::other(format!("{} has no bytes", shape.name)));
                }
            };
            if let Some(line_end) = &shape.line_end {
                bytes = replaced(&bytes, b"\n", line_end.as_bytes());
            }
            if shape.filling > 0 {
                bytes = replaced(&bytes, FILLING, &vec![b'x'; shape.filling]);
            }
            Ok((shape, bytes))
        });
        read.collect::<io::Result<Vec<_>>>().map(Self)
    }

    /// The answer to any request: the stream that its model names, if it is one of the dialect of its door.
    pub fn answer(&self, received: &Received) -> Script {
        let path = percent_decode_str(&received.path).decode_utf8_lossy();
        if path == "/health" {
            return Script::json(200, "{}");
        }
        let body = received.json();
        let (wire, model) = if path.ends_with("/chat/completions") {
            (Wire::Chat, body["model"].as_str())
        } else if path.ends_with("/responses") {
            (Wire::Responses, body["model"].as_str())
        } else if path.ends_with("/messages") {
            (Wire::Messages, body["model"].as_str())
        } else {
            let model = path.split_once("/models/").map(|(_, model)| model);
            let model = model.and_then(|model| model.split_once(':'));
            (Wire::Gemini, model.map(|(model, _)| model))
        };
        let name = model.and_then(|model| model.rsplit('/').next());
        let found = self
            .0
            .iter()
            .find(|(shape, _)| shape.upstream == wire && Some(shape.name.as_str()) == name);
        let Some((shape, bytes)) = found else {
            let message = format!("no stream of {wire:?} is named {name:?} ({path})");
            return Script::json(404, json!({ "error": { "message": message } }).to_string());
        };
        // A megabyte in pieces of a hundred bytes would tell no more and take long.
        let cuts: &[usize] = if shape.filling > 0 { &[60_001] } else { &CUTS };
        let script =
            Script::stream(bytes.clone(), cuts).header("content-type", &shape.content_type);
        match shape.ending {
            Ending::Whole => script,
            Ending::Close => script.then(Step::Close),
            Ending::Reset => script.then(Step::Reset),
        }
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(to);
        rest = after.get(from.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filling_grows_and_line_ends_change() {
        let check = |bytes: &str, from: &str, to: &str, expect: &str| {
            let found = replaced(bytes.as_bytes(), from.as_bytes(), to.as_bytes());
            assert_eq!(String::from_utf8_lossy(&found), expect);
        };
        check("a FILLING.", "FILLING", "xxx", "a xxx.");
        check("a\n\nb\n", "\n", "\r\n", "a\r\n\r\nb\r\n");
        check("", "\n", "\r\n", "");
    }

    /// Every stream of the list is there.
    #[test]
    fn the_list_can_be_played() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let list = root.join("tests/sdk/shapes.toml");
        let read = Shapes::read(&list, &root.join("crates/dialect/fixtures"));
        assert!(read.is_ok(), "{read:?}");
    }
}
