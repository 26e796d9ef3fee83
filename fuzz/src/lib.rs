//! What must hold for any bytes at all. Nothing here may panic but these checks themselves.

use std::sync::Arc;

use lingate_dialect::envelope::Envelope;
use lingate_dialect::framing::{Frame, FrameReader, Framing};
use lingate_dialect::stream::{Collector, End, Shown, Tap, Transcoder, replay};
use lingate_dialect::vault::{Found, Origin, Scrub, State, Vault};
use lingate_dialect::{
    BadAnswer, Dialect, DialectId, Losses, Mint, Quirks, Reply, Target, ToolChanges, hub, meter,
};
use serde_json::value::RawValue;

/// The first byte says how long the pieces are that the others come in.
fn cut(bytes: &[u8]) -> (impl Iterator<Item = &[u8]>, &[u8]) {
    let (size, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    (bytes.chunks(usize::from(*size).max(1)), bytes)
}

/// Frames do not depend on the cuts.
pub fn frames(framing: Framing, bytes: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut reader = FrameReader::with_limit(framing, 1 << 20);
        let mut frames = Vec::new();
        let own = |frame: Frame<'_>| (frame.event.to_owned(), frame.data.to_owned());
        for mut piece in pieces {
            while let Some(frame) = reader.next_frame(&mut piece).map_err(|_| frames.clone())? {
                frames.push(own(frame));
            }
        }
        if let Some(frame) = reader.end().map_err(|_| frames.clone())? {
            frames.push(own(frame));
        }
        Ok::<_, Vec<_>>(frames)
    };
    let (mut pieces, whole) = cut(bytes);
    assert_eq!(read(&mut pieces), read(&mut std::iter::once(whole)));
}

/// An edit can be seen, undone, and does no harm to valid JSON.
pub fn envelope(body: &[u8]) {
    let Ok(mut envelope) = Envelope::scan(body) else {
        assert!(serde_json::from_slice::<Object>(body).is_err());
        return;
    };
    assert_eq!(envelope.apply(), body);
    envelope.set_text("model", "a\"b");
    envelope.set_inside("stream_options", "include_usage", RawValue::TRUE);
    envelope.remove("n");
    let edited = envelope.apply();
    let again = Envelope::scan(&edited).expect("what was edited can be read");
    assert_eq!(again.text("model").as_deref(), Some("a\"b"));
    assert_eq!(again.get("n"), None);
    if serde_json::from_slice::<Object>(body).is_ok() {
        json(&edited);
    }
}

type Object = std::collections::BTreeMap<String, Box<RawValue>>;

fn json(body: &[u8]) {
    serde_json::from_slice::<&RawValue>(body).expect("valid JSON");
}

/// What can be read can be written in every dialect, or is refused.
pub fn request(dialect: DialectId, body: &[u8]) {
    let Ok(request) = dialect.dialect().decode_request(body) else {
        return;
    };
    let target = Target {
        model: "m",
        quirks: &Quirks::default(),
        max_output: Some(4096),
        default_max_tokens: 8192,
    };
    for client in DialectId::ALL {
        let mut losses = Losses::default();
        if let Ok(encoded) = client
            .dialect()
            .encode_request(&request, &target, &mut losses)
        {
            json(&encoded.body);
            let again = client.dialect().decode_request(&encoded.body);
            assert!(
                again.is_ok(),
                "{client} does not read what it wrote: {again:?}"
            );
        }
        losses.paths(dialect.dialect());
    }
}

/// Tokens of reasoning, ours or not, come out of a request or stay in it, and the rest stays JSON.
pub fn tokens(dialect: DialectId, body: &[u8]) {
    let vault = Vault::new(Arc::new(|| [7; 32]), "caller", None);
    for state in [State::Carried, State::Dropped, State::Demanded] {
        let scrub = Scrub {
            dialect,
            quirks: &Quirks::default(),
            state,
            strange: Some(&|proof| proof.len() % 2 == 0),
        };
        if serde_json::from_slice::<Object>(body).is_ok()
            && let Some(scrubbed) = Vault::scrub(body, &scrub)
        {
            json(&scrubbed.body);
        }
        for to in DialectId::ALL {
            let Ok(mut request) = dialect.dialect().decode_request(body) else {
                return;
            };
            let origin = Origin {
                provider: "p".to_owned(),
                dialect: to,
                model: "m".to_owned(),
            };
            vault.wants(&request, dialect, &origin);
            let mut losses = Losses::default();
            vault.open(
                &mut request,
                dialect,
                &origin,
                state,
                &Found::default(),
                &mut losses,
            );
            losses.paths(dialect.dialect());
        }
    }
}

fn reply() -> Reply {
    Reply {
        model: "m".to_owned(),
        mint: Mint { now: 0, id: 1 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    }
}

/// What can be read can be written in every dialect, whole and streamed; and metering it tells the same.
pub fn response(dialect: DialectId, body: &[u8]) {
    let dialect = dialect.dialect();
    let seen = meter::read(dialect, body);
    let Ok(response) = dialect.decode_response(body) else {
        return;
    };
    assert!(seen.error.is_some() || seen.usage == response.usage);
    for client in DialectId::ALL {
        let client = client.dialect();
        let written = client.encode_response(&response, &reply(), &mut Losses::default());
        json(&written);
        let again = client.decode_response(&written);
        assert!(!matches!(again, Err(BadAnswer::Malformed(_))), "{again:?}");
        streamed(&response, client);
    }
}

fn streamed(response: &hub::Response, client: &'static dyn Dialect) {
    let mut encoder = client.encoder(&reply(), Framing::Sse);
    let mut events = Vec::new();
    replay(response, &mut events);
    let mut out = Vec::new();
    for event in &events {
        encoder.event(event, &mut out);
    }
    encoder.finish(&mut out);
    let mut collector = Collector::new(client, Framing::Sse);
    collector.push(&out).expect("what was written can be read");
    let _either = collector.end(End::Eof);
}

/// No cut changes what any client is told, and what it is told can be read.
pub fn stream(dialect: DialectId, bytes: &[u8]) {
    let (_, whole) = cut(bytes);
    for framing in [Framing::Sse, Framing::JsonArray] {
        for client in DialectId::ALL {
            let carry = |pieces: &mut dyn Iterator<Item = &[u8]>| {
                let (dialect, client) = (dialect.dialect(), client.dialect());
                let tools = ToolChanges {
                    renamed: vec![("f".to_owned(), "g".to_owned())],
                    wrapped: vec!["w".to_owned()],
                    ..ToolChanges::default()
                };
                let mut transcoder =
                    Transcoder::new(dialect, client, &reply(), framing, Framing::Sse, tools);
                let mut out = Vec::new();
                for piece in pieces {
                    if transcoder.push(piece, &mut out).is_err() {
                        break;
                    }
                }
                let summary = transcoder.end(End::Eof, &mut out);
                (out, summary)
            };
            let (out, summary) = carry(&mut cut(bytes).0);
            let uncut = carry(&mut std::iter::once(whole));
            assert_eq!((&out, &summary), (&uncut.0, &uncut.1));
            let mut collector = Collector::new(client.dialect(), Framing::Sse);
            collector.push(&out).expect("what was written can be read");
            let (answer, _) = collector.end(End::Eof);
            assert!(answer.is_err() || summary.error.is_none());
        }
        let mut tap = Tap::new(dialect.dialect(), framing);
        cut(bytes).0.for_each(|piece| tap.push(piece));
        tap.end(End::Eof, &reply(), Shown::All, &mut Vec::new());
    }
}
