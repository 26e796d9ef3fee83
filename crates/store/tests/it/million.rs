//! A million records over 10,000 keys, 1,000 projects, 30 models and 30 days: what writing them takes, and each report. Printed, not
//! judged: `cargo test --release -p lingate-store --test it million -- --ignored --nocapture --test-threads 1`.

use std::time::Instant;

use lingate_metering::Millis;
use lingate_store::{Dimension, Grain, Measure, UsageFilter, UsageQuery, new_id};

use crate::bed::Bed;
use crate::usage::World;

const WORLD: World = World {
    keys: 10_000,
    projects: 1_000,
    models: 30,
    days: 30,
};
const DAY: Millis = 24 * 3_600_000;
const TODAY: Millis = 1_795_996_800_000;

async fn measure(bed: Bed) {
    let records: u64 = std::env::var("RECORDS").map_or(1_000_000, |count| count.parse().unwrap());
    let store = bed.open().await;
    let journal = new_id();
    let began = Instant::now();
    let mut slowest = 0;
    for from in (0..records).step_by(500) {
        let batch = WORLD.written(from..from + 500);
        let one = Instant::now();
        store
            .write_usage(journal, &batch, (from + 500) * 100)
            .await
            .unwrap();
        slowest = slowest.max(one.elapsed().as_millis());
    }
    let per_second = u128::from(records) * 1_000 / began.elapsed().as_millis();
    eprintln!("{records} records written, {per_second} a second, the slowest batch {slowest} ms");

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
    let one = WORLD.record(3);
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
    for dimension in [Dimension::Key, Dimension::Project] {
        for days in [1, 30] {
            let began = Instant::now();
            let used = store
                .used_since(dimension, TODAY - days * DAY, TODAY)
                .await
                .unwrap();
            eprintln!(
                "used since {days} days by {dimension:?}: {} rows {} ms",
                used.len(),
                began.elapsed().as_millis()
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
