//! What the writer takes of a usage record, in CPU time of all threads: batches of 500 into SQLite, with all sums, from one caller and from
//! 10,000. Two cores take that many requests a second beside it.

use std::path::PathBuf;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lingate_journal::Written;
use lingate_metering::record::{Provenance, Usage, UsageRecord};
use lingate_metering::{Id, Millis, Money};
use lingate_store::Store;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;

const BATCH: u64 = 500;
const BEGAN: Millis = 1_795_996_800_000;
/// Milliseconds between two requests: a thousand a second.
const APART: Millis = 1;

/// Gone when the benchmark is.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn record(number: u64, keys: u64, models: u64) -> UsageRecord {
    let id = |kind: &str, number: u64| Id::declared(&[kind, &number.to_string()]);
    let key = number * 7919 % keys;
    let model = format!("model-{}", number % models);
    let passed = Millis::try_from(number).expect("it is not measured for that long") * APART;
    UsageRecord {
        id: Id::from_u128(u128::from(number)),
        started_at: BEGAN + passed,
        duration: 1_234,
        first_token: Some(234),
        organization: id("organization", 0),
        project: id("project", key % 1_000),
        key: Some(id("key", key)),
        user: None,
        end_user: None,
        tags: Vec::new(),
        dialect: "chat".to_owned(),
        upstream_model: model.clone(),
        model,
        provider: format!("provider-{}", number % models.min(3)),
        stream: true,
        attempts: 1,
        outcome: "complete".to_owned(),
        status: 200,
        error: None,
        usage: Some(Usage {
            input: 1_234,
            output: 567,
            ..Usage::default()
        }),
        provenance: Provenance::Reported,
        service_tier: None,
        price_version: Some("2026-11-30-1a2b3c4d".to_owned()),
        cost: Some(Money::from_nano(12_345_678)),
        price: Some(Money::from_nano(14_814_813)),
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

fn write(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut group = criterion.benchmark_group("writer, 500 records");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(BATCH));
    for (name, keys, models) in [
        ("1 key, 1 model", 1, 1),
        ("10,000 keys of 1,000 projects, 10 models", 10_000, 10),
    ] {
        let folder = format!("lingate-bench-writer-{}-{keys}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(folder));
        let url = "sqlite".parse().expect("a database in the folder");
        let store = runtime.block_on(Store::open(&url, &folder.0));
        let store = store.expect("a database in the temporary folder");
        let journal = Id::declared(&["journal"]);
        let mut number = 0;
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    let records: Vec<Written> = (number..number + BATCH)
                        .map(|number| Written {
                            position: number,
                            record: record(number, keys, models),
                            is_lost: false,
                        })
                        .collect();
                    number += BATCH;
                    let began = cpu();
                    let wrote = runtime.block_on(store.write_usage(journal, &records, number));
                    took += cpu().saturating_sub(began);
                    assert_eq!(wrote.expect("it is written").new, BATCH);
                }
                took
            });
        });
        runtime.block_on(store.close());
    }
    group.finish();
}

criterion_group!(benches, write);
criterion_main!(benches);
