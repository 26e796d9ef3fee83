//! A million records over 10,000 keys, 1,000 projects, 30 models and 30 days: what writing them takes, and each report. Printed, not
//! judged: `cargo test --release -p lingate-store --test it million -- --ignored --nocapture --test-threads 1`. `RECORDS=` makes fewer;
//! `WORST=1` has each key use every model at any time, and the records come in no order.

use std::collections::BTreeSet;
use std::time::Instant;

use lingate_metering::record::UsageRecord;
use lingate_metering::{Id, Millis};
use lingate_store::{Dimension, Grain, Measure, UsageFilter, UsageQuery, new_id};

use crate::bed::Bed;
use crate::usage::{World, mix};

const WORLD: World = World {
    keys: 10_000,
    projects: 1_000,
    models: 30,
    days: 30,
};
const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
const TODAY: Millis = 1_795_996_800_000;

/// In the order of time, most of them in working hours; a key uses one to three models.
fn record(number: u64, records: u64) -> UsageRecord {
    let mut record = WORLD.record(number);
    let key = mix(number * 31 + 1) % WORLD.keys;
    let model = mix(key * 3 + mix(number) % (1 + key % 3)) % WORLD.models;
    let of_day = records.div_ceil(WORLD.days);
    let day = i64::try_from(number / of_day).unwrap();
    // Millionths of the day's records, and milliseconds since midnight.
    let share = i64::try_from(number % of_day * 1_000_000 / of_day).unwrap();
    let time = match share {
        ..100_000 => share * 288,
        100_000..900_000 => 8 * HOUR + (share - 100_000) * 54,
        _ => 20 * HOUR + (share - 900_000) * 144,
    };
    let jitter = i64::try_from(mix(number + 7) % 5_000).unwrap();
    record.started_at = TODAY - 29 * DAY + day * DAY + time + jitter;
    record.model = format!("model-{model}");
    record.provider = format!("provider-{}", model % 4);
    let time = u128::try_from(record.started_at).unwrap() << 80;
    record.id = Id::from_u128(time | (record.id.as_u128() & ((1 << 80) - 1)));
    record
}

/// Hundredths of a second of a processor that this process has used; SQLite's work is in them, PostgreSQL's is not.
fn worked() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let times = stat.rsplit(')').next().unwrap().split_whitespace().skip(11);
    times
        .take(2)
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum()
}

async fn measure(bed: Bed) {
    let records: u64 = std::env::var("RECORDS").map_or(1_000_000, |count| count.parse().unwrap());
    let is_worst = std::env::var("WORST").is_ok();
    let store = bed.open().await;
    let journal = new_id();
    let (mut slowest, mut work, mut elapsed) = (0, 0, 0);
    for from in (0..records).step_by(500) {
        let mut batch = WORLD.written(from..from + 500);
        if !is_worst {
            for (written, number) in batch.iter_mut().zip(from..) {
                written.record = record(number, records);
            }
        }
        let before = worked();
        let one = Instant::now();
        store
            .write_usage(journal, &batch, (from + 500) * 100)
            .await
            .unwrap();
        slowest = slowest.max(one.elapsed().as_millis());
        elapsed += one.elapsed().as_micros();
        work += worked() - before;
    }
    let per_second = u128::from(records) * 1_000_000 / elapsed;
    let work = work * 10_000 / records;
    eprintln!(
        "{records} records written, {per_second} a second, {work} µs of a processor each in this process, the slowest batch {slowest} ms"
    );

    let month = UsageQuery {
        measures: vec![
            Measure::Requests,
            Measure::Cost,
            Measure::Price,
            Measure::InputTokens,
            Measure::OutputTokens,
        ],
        from: TODAY - 29 * DAY,
        to: TODAY + DAY,
        grain: None,
        group_by: Vec::new(),
        filter: UsageFilter::default(),
        order: Measure::Cost,
        limit: 20,
    };
    let one = record(3, records);
    let of = |filter: UsageFilter| UsageQuery {
        filter,
        ..month.clone()
    };
    let by = |query: UsageQuery, group_by: &[Dimension]| UsageQuery {
        group_by: group_by.to_vec(),
        ..query
    };
    let over = |query: UsageQuery, grain: Grain| UsageQuery {
        grain: Some(grain),
        ..query
    };
    let project = of(UsageFilter {
        project: Some(one.project),
        ..UsageFilter::default()
    });
    let organization = of(UsageFilter {
        organization: Some(one.organization),
        ..UsageFilter::default()
    });
    let key = of(UsageFilter {
        key: one.key,
        ..UsageFilter::default()
    });
    let model = of(UsageFilter {
        model: Some(one.model.clone()),
        ..UsageFilter::default()
    });
    let rolling = UsageQuery {
        from: month.from + 1_234_567,
        to: month.to - DAY + 7_654_321,
        ..month.clone()
    };
    let today = UsageQuery {
        from: TODAY - DAY,
        to: TODAY,
        ..month.clone()
    };
    let mut reports = vec![
        ("total".to_owned(), month.clone()),
        ("total by day".to_owned(), over(month.clone(), Grain::Day)),
        ("total by hour".to_owned(), over(month.clone(), Grain::Hour)),
        ("today by minute".to_owned(), over(today, Grain::Minute)),
        (
            "models by day".to_owned(),
            over(by(month.clone(), &[Dimension::Model]), Grain::Day),
        ),
        (
            "keys by day".to_owned(),
            over(by(month.clone(), &[Dimension::Key]), Grain::Day),
        ),
        (
            "projects and models".to_owned(),
            by(month.clone(), &[Dimension::Project, Dimension::Model]),
        ),
        (
            "a project's models by hour".to_owned(),
            over(by(project.clone(), &[Dimension::Model]), Grain::Hour),
        ),
        (
            "a project's keys".to_owned(),
            by(project, &[Dimension::Key]),
        ),
        (
            "an organization's keys".to_owned(),
            by(organization.clone(), &[Dimension::Key]),
        ),
        (
            "an organization's models by day".to_owned(),
            over(by(organization, &[Dimension::Model]), Grain::Day),
        ),
        (
            "a key's models".to_owned(),
            by(key.clone(), &[Dimension::Model]),
        ),
        ("a key by hour".to_owned(), over(key, Grain::Hour)),
        ("a model's keys".to_owned(), by(model, &[Dimension::Key])),
    ];
    for dimension in Dimension::ALL {
        reports.push((format!("{dimension:?}s"), by(month.clone(), &[dimension])));
        reports.push((
            format!("{dimension:?}s, rolling"),
            by(rolling.clone(), &[dimension]),
        ));
    }
    for (name, query) in reports {
        let mut times = Vec::new();
        for _ in 0..3 {
            let began = Instant::now();
            let report = store.report(&query).await.unwrap();
            assert!(!report.rows.is_empty());
            times.push(began.elapsed().as_millis());
        }
        eprintln!("{name:32} {times:?} ms");
    }
    for dimension in [Dimension::Key, Dimension::Project, Dimension::Organization] {
        for days in [1, 30] {
            let mut subjects = BTreeSet::new();
            for record in (0..100).map(|number| WORLD.record(number)) {
                subjects.extend(match dimension {
                    Dimension::Key => record.key,
                    Dimension::Project => Some(record.project),
                    _ => Some(record.organization),
                });
            }
            let subjects: Vec<(Id, Millis)> = subjects
                .into_iter()
                .map(|id| (id, TODAY - days * DAY))
                .collect();
            let mut times = Vec::new();
            let mut rows = 0;
            for _ in 0..3 {
                let began = Instant::now();
                let used = store.used_since(dimension, &subjects, TODAY).await.unwrap();
                times.push(began.elapsed().as_millis());
                rows = used.len();
            }
            eprintln!(
                "{} of {dimension:?} since {days} days: {rows} rows {times:?} ms",
                subjects.len()
            );
        }
    }
    let began = Instant::now();
    let filter = UsageFilter {
        project: Some(one.project),
        ..UsageFilter::default()
    };
    let page = store
        .records(&filter, None, 0, TODAY, None, 100)
        .await
        .unwrap();
    eprintln!(
        "a page of {} records {} ms",
        page.records.len(),
        began.elapsed().as_millis()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; prints figures"]
async fn on_sqlite() {
    measure(Bed::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; prints figures"]
async fn on_postgres() {
    measure(Bed::postgres()).await;
}
