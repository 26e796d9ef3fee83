//! What conversion does: each dialect read into the hub and written from it, requests, answers and streams.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lingate_bench::wire::Wire;
use lingate_bench::{answer, request};
use lingate_dialect::framing::{FrameReader, Framing};
use lingate_dialect::hub::Event;
use lingate_dialect::stream::{End, Shown, Tap, Transcoder};
use lingate_dialect::{DialectId, Losses, Mint, Quirks, Reply, Target, ToolChanges};

/// The dialects that the generator of requests and answers speaks.
const DIALECTS: [DialectId; 3] = [DialectId::Chat, DialectId::Messages, DialectId::Gemini];

/// What one packet of a network carries.
const SEGMENT: usize = 1460;

fn wire(dialect: DialectId) -> Wire {
    match dialect {
        DialectId::Chat => Wire::Chat,
        DialectId::Messages => Wire::Messages,
        DialectId::Gemini => Wire::Gemini,
        DialectId::Responses => unreachable!("not among those that are measured"),
    }
}

/// Every ordered pair of two different dialects: who asks, who answers.
fn pairs() -> impl Iterator<Item = (DialectId, DialectId)> {
    DIALECTS
        .into_iter()
        .flat_map(|client| DIALECTS.map(|upstream| (client, upstream)))
        .filter(|(client, upstream)| client != upstream)
}

fn reply(client: DialectId) -> Reply {
    let asked = request::body(wire(client), 2048, true, "model");
    let asked = client
        .dialect()
        .decode_request(asked.as_bytes())
        .expect("the harness writes good requests");
    Reply::to(
        &asked,
        Mint {
            now: 1_750_000_000,
            id: 7,
        },
    )
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let quirks = Quirks::default();
    let target = Target {
        model: "model",
        quirks: &quirks,
        max_output: None,
        default_max_tokens: 8192,
    };
    for bytes in [2048, 200_000] {
        for dialect in DIALECTS {
            let body = request::body(wire(dialect), bytes, false, "model");
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_with_input(
                BenchmarkId::new(format!("decode {dialect}"), bytes),
                &body,
                |bencher, body| {
                    bencher.iter(|| dialect.dialect().decode_request(black_box(body.as_bytes())));
                },
            );
        }
        for (client, upstream) in pairs() {
            let body = request::body(wire(client), bytes, false, "model");
            let decoded = client
                .dialect()
                .decode_request(body.as_bytes())
                .expect("the harness writes good requests");
            group.throughput(Throughput::Bytes(body.len() as u64));
            let id = BenchmarkId::new(format!("encode {client} as {upstream}"), bytes);
            group.bench_with_input(id, &decoded, |bencher, decoded| {
                bencher.iter(|| {
                    upstream.dialect().encode_request(
                        black_box(decoded),
                        &target,
                        &mut Losses::default(),
                    )
                });
            });
        }
    }
    group.finish();
}

fn answers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answer");
    for dialect in DIALECTS {
        let body = answer::whole(wire(dialect), 1500);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(
            BenchmarkId::new("decode", dialect),
            &body,
            |bencher, body| {
                bencher.iter(|| {
                    dialect
                        .dialect()
                        .decode_response(black_box(body.as_bytes()))
                });
            },
        );
    }
    for (client, upstream) in pairs() {
        let body = answer::whole(wire(upstream), 1500);
        let decoded = upstream
            .dialect()
            .decode_response(body.as_bytes())
            .expect("the harness writes good answers");
        let reply = reply(client);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(
            BenchmarkId::new(format!("encode {upstream} as"), client),
            &decoded,
            |bencher, decoded| {
                bencher.iter(|| {
                    client.dialect().encode_response(
                        black_box(decoded),
                        &reply,
                        &mut Losses::default(),
                    )
                });
            },
        );
    }
    group.finish();
}

/// Everything that a stream of this dialect says.
fn events(dialect: DialectId, stream: &[u8]) -> Vec<Event> {
    let mut decoder = dialect.dialect().decoder();
    let mut reader = FrameReader::new(Framing::Sse);
    let mut events = Vec::new();
    let mut rest = stream;
    while let Ok(Some(frame)) = reader.next_frame(&mut rest) {
        decoder
            .frame(&frame, &mut events)
            .expect("the harness writes good events");
    }
    assert!(decoder.end(&mut events), "the harness writes whole streams");
    events
}

fn streams(criterion: &mut Criterion) {
    const CONTENT_EVENTS: usize = 100;
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(CONTENT_EVENTS as u64));
    for dialect in DIALECTS {
        let stream = answer::stream(wire(dialect), CONTENT_EVENTS, true).concat();
        group.bench_with_input(
            BenchmarkId::new("decode 100 events", dialect),
            &stream,
            |bencher, stream| {
                bencher.iter(|| events(dialect, black_box(stream.as_bytes())));
            },
        );
    }
    for (client, upstream) in pairs() {
        let stream = answer::stream(wire(upstream), CONTENT_EVENTS, true).concat();
        let decoded = events(upstream, stream.as_bytes());
        let reply = reply(client);
        let id = BenchmarkId::new(format!("encode 100 events of {upstream} as"), client);
        group.bench_with_input(id, &decoded, |bencher, decoded| {
            bencher.iter(|| {
                let mut encoder = client.dialect().encoder(&reply, Framing::Sse);
                let mut out = Vec::with_capacity(32 << 10);
                for event in black_box(decoded) {
                    encoder.event(event, &mut out);
                }
                encoder.finish(&mut out);
                out
            });
        });
    }
    for (client, upstream) in pairs() {
        let stream = answer::stream(wire(upstream), CONTENT_EVENTS, true).concat();
        let reply = reply(client);
        let id = BenchmarkId::new(format!("transcode 100 events of {upstream} into"), client);
        group.bench_with_input(id, &stream, |bencher, stream| {
            bencher.iter(|| {
                let (upstream, client) = (upstream.dialect(), client.dialect());
                let mut transcoder = Transcoder::new(
                    upstream,
                    client,
                    &reply,
                    Framing::Sse,
                    Framing::Sse,
                    ToolChanges::default(),
                );
                let mut out = Vec::with_capacity(32 << 10);
                for chunk in black_box(stream.as_bytes()).chunks(SEGMENT) {
                    transcoder
                        .push(chunk, &mut out)
                        .expect("the harness writes good streams");
                }
                (transcoder.end(End::Eof, &mut out), out)
            });
        });
    }
    for dialect in DIALECTS {
        let stream = answer::stream(wire(dialect), CONTENT_EVENTS, true).concat();
        let reply = reply(dialect);
        group.bench_with_input(
            BenchmarkId::new("tap 100 events", dialect),
            &stream,
            |bencher, stream| {
                bencher.iter(|| {
                    let mut tap = Tap::new(dialect.dialect(), Framing::Sse);
                    for chunk in black_box(stream.as_bytes()).chunks(SEGMENT) {
                        tap.push(chunk);
                    }
                    tap.end(End::Eof, &reply, Shown::All, &mut Vec::new())
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, requests, answers, streams);
criterion_main!(benches);
