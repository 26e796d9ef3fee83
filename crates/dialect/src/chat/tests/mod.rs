//! Requests, whole answers and written streams; all fixtures go through.

mod answers;
mod quirks;
mod requests;
mod streams;

use std::path::Path;

use super::Chat;
use crate::framing::{Frame, Framing};
use crate::{Dialect, Losses, Mint, Quirks, Reply, Target};

fn fixtures(kind: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/chat")
        .join(kind);
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() > 10, "{kind}");
    found
}

fn reply() -> Reply {
    Reply {
        model: "asked".to_owned(),
        mint: Mint { now: 5, id: 0 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    }
}

/// Any text with one byte changed and the rest cut off is read or refused, and never panics.
#[test]
fn broken_bodies_are_refused_in_good_order() {
    use proptest::prelude::*;

    let bodies = ["requests", "responses", "streams"].map(fixtures);
    let bodies: Vec<&[u8]> = bodies
        .iter()
        .flatten()
        .map(|(_, text)| text.as_bytes())
        .collect();
    let broken = (0..bodies.len(), any::<(u16, u8, u16)>());
    proptest!(|((which, (place, byte, end)) in broken)| {
        let mut body = bodies[which].to_vec();
        let length = body.len();
        body[usize::from(place) % length] = byte;
        body.truncate(usize::from(end) % (2 * length));
        read_all(&body);
    });
    let deep = "[".repeat(100_000);
    read_all(deep.as_bytes());
    read_all(format!(r#"{{"messages":{deep}"#).as_bytes());
    let closed = format!("{deep}{}", "]".repeat(100_000));
    read_all(
        format!(r#"{{"messages":[{{"role":"user","content":{closed}}}],"choices":{closed}}}"#)
            .as_bytes(),
    );
}

fn read_all(body: &[u8]) {
    if let Ok(request) = Chat.decode_request(body) {
        let target = Target {
            model: "m",
            quirks: &Quirks::default(),
            max_output: None,
            default_max_tokens: 1,
        };
        let _ = Chat.encode_request(&request, &target, &mut Losses::default());
    }
    if let Ok(response) = Chat.decode_response(body) {
        Chat.encode_response(&response, &reply(), &mut Losses::default());
    }
    let mut decoder = Chat.decoder();
    let mut encoder = Chat.encoder(&reply(), Framing::Sse);
    let (mut events, mut out) = (Vec::new(), Vec::new());
    for data in String::from_utf8_lossy(body).split("data:") {
        let _ = decoder.frame(&Frame { event: "", data }, &mut events);
    }
    decoder.end(&mut events);
    for event in &events {
        encoder.event(event, &mut out);
    }
}
