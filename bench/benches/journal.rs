//! What a usage record costs the request that it is of: appended to the journal, alone and beside others.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, criterion_group, criterion_main};
use lingate_journal::{Entry, Journal, Settings};
use lingate_metering::record::{Provenance, Usage, UsageRecord};
use lingate_metering::{Id, Money};

/// Gone when the benchmark is.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn record() -> UsageRecord {
    let id = |kind: &str| Id::declared(&[kind, "some"]);
    UsageRecord {
        id: id("request"),
        started_at: 1_795_996_800_000,
        duration: 2_345,
        first_token: Some(345),
        organization: id("organization"),
        project: id("project"),
        key: Some(id("key")),
        user: Some(id("user")),
        end_user: Some("user-1234".to_owned()),
        tags: vec!["batch".to_owned()],
        dialect: "messages".to_owned(),
        model: "claude-sonnet-4-5".to_owned(),
        provider: "anthropic".to_owned(),
        upstream_model: "claude-sonnet-4-5".to_owned(),
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
        price_version: Some("2026-11-30".to_owned()),
        cost: Some(Money::from_nano(12_345_678)),
        price: Some(Money::from_nano(14_814_813)),
    }
}

fn append(criterion: &mut Criterion) {
    let folder = Folder(std::env::temp_dir().join(format!("lingate-bench-{}", std::process::id())));
    let settings = Settings {
        limit: 64 << 30,
        ..Settings::default()
    };
    // Cannot go on without.
    let mut opened = Journal::open(&folder.0, settings).expect("a journal in the temporary folder");
    let mut group = criterion.benchmark_group("journal");
    let (draft, last) = (Entry::Draft(record()), Entry::Final(record()));
    for (name, entries) in [
        ("final", &[&last][..]),
        ("draft and final", &[&draft, &last]),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for entry in entries {
                    black_box(opened.journal.append(entry)).expect("there is room");
                }
            });
        });
        // What was appended is not kept.
        while let Ok(batch) = opened.reader.next(10_000)
            && !batch.is_empty()
            && opened.reader.acknowledge(&batch).is_ok()
        {}
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
