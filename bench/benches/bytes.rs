//! What pass-through does to bytes: scanning and editing a body, cutting a stream into frames.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lingate_bench::wire::Wire;
use lingate_bench::{answer, request};
use lingate_dialect::envelope::Envelope;
use lingate_dialect::framing::{FrameReader, Framing};

/// A small request, one of a coding agent, one with a long document.
const BODIES: [usize; 3] = [2 << 10, 31 << 10, 635 << 10];

fn envelope(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("envelope");
    for bytes in BODIES {
        let body = request::body(Wire::Chat, bytes, true, "provider/model");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("scan", bytes), &body, |bencher, body| {
            bencher.iter(|| {
                Envelope::scan(black_box(body.as_bytes())).map(|envelope| envelope.bool("stream"))
            });
        });
        group.bench_with_input(
            BenchmarkId::new("scan and edit", bytes),
            &body,
            |bencher, body| {
                bencher.iter(|| {
                    Envelope::scan(black_box(body.as_bytes())).map(|mut envelope| {
                        envelope.set_text("model", "model");
                        envelope.apply()
                    })
                });
            },
        );
    }
    group.finish();
}

fn framing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framing");
    let stream = answer::stream(Wire::Chat, 100, true).concat();
    group.throughput(Throughput::Bytes(stream.len() as u64));
    // One read of a busy socket, one segment of a network, and cuts that fall inside nearly every event.
    for chunk in [16 << 10, 1460, 100] {
        group.bench_with_input(
            BenchmarkId::new("sse, 100 events, cut at", chunk),
            &stream,
            |bencher, stream| {
                bencher.iter(|| {
                    let mut reader = FrameReader::new(Framing::Sse);
                    let mut bytes = 0;
                    for mut chunk in black_box(stream.as_bytes()).chunks(chunk) {
                        while let Ok(Some(frame)) = reader.next_frame(&mut chunk) {
                            bytes += frame.data.len();
                        }
                    }
                    bytes
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, envelope, framing);
criterion_main!(benches);
