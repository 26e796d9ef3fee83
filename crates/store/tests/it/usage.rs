//! Usage: from journals into the database once, with sums that are those of the records, out again as reports, and gone when old.

use std::collections::BTreeMap;
use std::path::Path;

use lingate_journal::{Entry, Journal, Settings, Written};
use lingate_metering::record::{Provenance, Usage, UsageRecord};
use lingate_metering::{Id, Millis, Money};
use lingate_store::{
    Ages, Dimension, Grain, Measure, Store, UsageFilter, UsageQuery, Writer, new_id,
};

use crate::bed::{Bed, on_both};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// 2026-11-30T00:00Z.
const TODAY: Millis = 1_795_996_800_000;

/// A number that looks like no other.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(crate) struct World {
    pub(crate) keys: u64,
    pub(crate) projects: u64,
    pub(crate) models: u64,
    pub(crate) days: u64,
}

impl World {
    pub(crate) fn record(&self, number: u64) -> UsageRecord {
        let dice = |face: u64| mix(number * 31 + face);
        let id = |kind: &str, number: u64| Id::declared(&[kind, &number.to_string()]);
        let key = dice(1) % self.keys;
        let project = key % self.projects;
        let model = dice(2) % self.models;
        let is_known = !dice(3).is_multiple_of(17);
        let span = self.days * u64::try_from(DAY).unwrap();
        let back = Millis::try_from(dice(4) % span).unwrap();
        UsageRecord {
            id: Id::from_u128(u128::from(dice(5)) << 64 | u128::from(number)),
            started_at: TODAY - back,
            duration: u32::try_from(dice(6) % 200_000).unwrap(),
            first_token: is_known.then_some(120),
            organization: id("organization", project % 10),
            project: id("project", project),
            key: (!key.is_multiple_of(11)).then(|| id("key", key)),
            user: key.is_multiple_of(3).then(|| id("user", key / 5)),
            end_user: None,
            tags: Vec::new(),
            dialect: "chat".into(),
            model: format!("model-{model}"),
            provider: format!("provider-{}", model % 4),
            upstream_model: "m".into(),
            stream: true,
            attempts: 1,
            outcome: ["complete", "client_gone", "upstream_error", "gateway_lost"]
                [usize::try_from(dice(7) % 4).unwrap()]
            .into(),
            status: 200,
            error: None,
            usage: is_known.then(|| Usage {
                input: dice(8) % 10_000,
                output: dice(9) % 1_000,
                ..Usage::default()
            }),
            provenance: if is_known {
                Provenance::Reported
            } else {
                Provenance::Unknown
            },
            service_tier: None,
            price_version: None,
            cost: is_known
                .then(|| Money::from_nano(i64::try_from(dice(10) % 1_000_000_000).unwrap())),
            price: is_known
                .then(|| Money::from_nano(i64::try_from(dice(11) % 2_000_000_000).unwrap())),
        }
    }

    pub(crate) fn written(&self, numbers: std::ops::Range<u64>) -> Vec<Written> {
        numbers
            .map(|number| Written {
                position: number * 100,
                record: self.record(number),
                is_lost: false,
            })
            .collect()
    }
}

const SMALL: World = World {
    keys: 40,
    projects: 7,
    models: 5,
    days: 3,
};

fn query(from: Millis, to: Millis) -> UsageQuery {
    UsageQuery {
        measures: vec![
            Measure::Requests,
            Measure::Cost,
            Measure::InputTokens,
            Measure::UnknownUsage,
            Measure::Unpriced,
        ],
        from,
        to,
        grain: None,
        group_by: Vec::new(),
        filter: UsageFilter::default(),
        order: Measure::Cost,
        limit: 1_000,
    }
}

fn told(record: &UsageRecord, dimension: Dimension) -> Option<String> {
    match dimension {
        Dimension::Organization => Some(record.organization.to_string()),
        Dimension::Project => Some(record.project.to_string()),
        Dimension::User => record.user.map(|id| id.to_string()),
        Dimension::Key => record.key.map(|id| id.to_string()),
        Dimension::Model => Some(record.model.clone()),
        Dimension::Provider => Some(record.provider.clone()),
    }
}

type Sums = BTreeMap<(Vec<Option<String>>, Option<Millis>), Vec<i64>>;

/// The same sums, over the records themselves.
fn counted(records: &[UsageRecord], query: &UsageQuery, from: Millis, to: Millis) -> Sums {
    let mut sums = Sums::new();
    for record in records {
        let UsageFilter {
            organization,
            project,
            user,
            key,
            model,
            provider,
        } = &query.filter;
        let fits = organization.is_none_or(|id| id == record.organization)
            && project.is_none_or(|id| id == record.project)
            && user.is_none_or(|id| Some(id) == record.user)
            && key.is_none_or(|id| Some(id) == record.key)
            && model.as_ref().is_none_or(|name| *name == record.model)
            && provider
                .as_ref()
                .is_none_or(|name| *name == record.provider);
        if !fits || record.started_at < from || record.started_at >= to {
            continue;
        }
        let group = query
            .group_by
            .iter()
            .map(|told_by| told(record, *told_by))
            .collect();
        let at = query.grain.map(|grain| grain.begin(record.started_at));
        let row = sums.entry((group, at)).or_insert_with(|| vec![0; 5]);
        row[0] += 1;
        row[1] += record.cost.map_or(0, Money::nano);
        row[2] += record
            .usage
            .map_or(0, |usage| i64::try_from(usage.input).unwrap());
        row[3] += i64::from(record.usage.is_none());
        row[4] += i64::from(record.cost.is_none());
    }
    sums
}

async fn check(store: &Store, records: &[UsageRecord], query: UsageQuery) {
    let report = store.report(&query).await.unwrap();
    let expect = counted(records, &query, report.from, report.to);
    let mut found = Sums::new();
    for row in report.rows {
        if row.sums.iter().any(|sum| *sum != 0) {
            assert!(
                found.insert((row.group, row.at), row.sums).is_none(),
                "twice: {query:?}"
            );
        }
    }
    assert_eq!(found, expect, "{query:?}");
}

async fn sums_are_those_of_the_records(bed: Bed) {
    let store = bed.open().await;
    let journal = new_id();
    for from in (0..1_500).step_by(500) {
        let batch = SMALL.written(from..from + 500);
        let wrote = store
            .write_usage(journal, &batch, (from + 500) * 100)
            .await
            .unwrap();
        assert_eq!((wrote.new, wrote.repeated), (500, 0));
    }
    let records: Vec<UsageRecord> = (0..1_500).map(|number| SMALL.record(number)).collect();
    let times = [
        (TODAY - 3 * DAY, TODAY + DAY),
        (
            TODAY - 2 * DAY + 5 * HOUR + 7 * MINUTE,
            TODAY - 3 * HOUR - 1,
        ),
        (TODAY - 20 * HOUR + 17, TODAY - 2 * HOUR - 30 * MINUTE),
    ];
    let one = &records[0];
    let filters = [
        UsageFilter::default(),
        UsageFilter {
            organization: Some(one.organization),
            ..UsageFilter::default()
        },
        UsageFilter {
            project: Some(one.project),
            model: Some(one.model.clone()),
            ..UsageFilter::default()
        },
        UsageFilter {
            key: records.iter().find_map(|record| record.key),
            ..UsageFilter::default()
        },
        UsageFilter {
            user: records.iter().find_map(|record| record.user),
            ..UsageFilter::default()
        },
        UsageFilter {
            provider: Some(one.provider.clone()),
            ..UsageFilter::default()
        },
    ];
    for (from, to) in times {
        for filter in &filters {
            let query = UsageQuery {
                filter: filter.clone(),
                ..query(from, to)
            };
            for dimension in Dimension::ALL {
                let group_by = vec![dimension];
                check(
                    &store,
                    &records,
                    UsageQuery {
                        group_by,
                        ..query.clone()
                    },
                )
                .await;
            }
            let group_by = vec![Dimension::Project, Dimension::Model];
            check(
                &store,
                &records,
                UsageQuery {
                    group_by: group_by.clone(),
                    ..query.clone()
                },
            )
            .await;
            for grain in Grain::ALL {
                let grain = Some(grain);
                check(
                    &store,
                    &records,
                    UsageQuery {
                        grain,
                        ..query.clone()
                    },
                )
                .await;
                let group_by = vec![Dimension::Provider];
                check(
                    &store,
                    &records,
                    UsageQuery {
                        grain,
                        group_by,
                        ..query.clone()
                    },
                )
                .await;
            }
        }
    }

    let top = store
        .report(&UsageQuery {
            group_by: vec![Dimension::Key],
            limit: 3,
            ..query(TODAY - 3 * DAY, TODAY)
        })
        .await
        .unwrap();
    let costs: Vec<i64> = top.rows.iter().map(|row| row.sums[1]).collect();
    assert!(
        costs.len() == 3 && costs.is_sorted_by(|one, next| one >= next),
        "{costs:?}"
    );
    let hours = store
        .report(&UsageQuery {
            grain: Some(Grain::Hour),
            ..query(TODAY - 2 * DAY, TODAY)
        })
        .await
        .unwrap();
    let times: Vec<Option<Millis>> = hours.rows.iter().map(|row| row.at).collect();
    let all: Vec<Option<Millis>> = (0..48)
        .map(|hour| Some(TODAY - 2 * DAY + hour * HOUR))
        .collect();
    assert_eq!(times, all, "without gaps");
}

async fn used_since_is_what_was_used(bed: Bed) {
    let store = bed.open().await;
    let batch = SMALL.written(0..400);
    store.write_usage(new_id(), &batch, 40_000).await.unwrap();
    for since in [TODAY - 3 * DAY, TODAY - DAY, TODAY - 5 * HOUR] {
        for dimension in [
            Dimension::Key,
            Dimension::User,
            Dimension::Project,
            Dimension::Organization,
        ] {
            // Of every other of them, and of one that nobody knows; some of them since a moment that is over.
            let mut subjects: BTreeMap<String, Millis> = batch
                .iter()
                .filter_map(|written| told(&written.record, dimension))
                .map(|id| (id, since))
                .collect();
            subjects.insert(Id::declared(&["nobody"]).to_string(), 0);
            let subjects: Vec<(Id, Millis)> = subjects
                .into_iter()
                .step_by(2)
                .enumerate()
                .map(|(place, (id, since))| {
                    let since = if place % 5 == 4 { TODAY - HOUR } else { since };
                    (id.parse().unwrap(), since)
                })
                .collect();
            let used = store.used_since(dimension, &subjects, TODAY).await.unwrap();
            let from = |subject: &str| {
                let subject: Id = subject.parse().unwrap();
                let (_, since) = subjects.iter().find(|(id, _)| *id == subject)?;
                Some(if *since < TODAY - DAY {
                    Grain::Day.begin(*since)
                } else {
                    *since
                })
            };
            let expect: i64 = batch
                .iter()
                .map(|written| &written.record)
                .filter(|record| {
                    told(record, dimension)
                        .and_then(|subject| from(&subject))
                        .is_some_and(|from| record.started_at >= from)
                })
                .map(|record| record.cost.map_or(0, Money::nano))
                .sum();
            assert_eq!(
                used.iter().map(|used| used.cost).sum::<i64>(),
                expect,
                "{dimension:?} {since}"
            );
        }
    }
}

async fn what_was_written_is_not_written_again(bed: Bed) {
    let store = bed.open().await;
    let journal = new_id();
    let batch = SMALL.written(0..100);
    let total = async || {
        let report = store.report(&query(0, TODAY + DAY)).await.unwrap();
        report.rows[0].sums.clone()
    };
    store
        .write_usage(journal, &batch[..60], 6_000)
        .await
        .unwrap();
    let wrote = store.write_usage(journal, &batch, 10_000).await.unwrap();
    assert_eq!((wrote.new, wrote.repeated), (40, 60));
    let once = total().await;
    assert_eq!(once[0], 100);

    // By the position, when the records are gone; by the id, when another journal holds them.
    let ages = Ages {
        records: Some(std::time::Duration::ZERO),
        ..Ages::default()
    };
    let expired = store.expire_usage(&ages, TODAY + 1).await.unwrap();
    assert_eq!(expired.records, 100);
    let wrote = store.write_usage(journal, &batch, 10_000).await.unwrap();
    assert_eq!((wrote.new, wrote.repeated), (0, 100));
    store
        .write_usage(new_id(), &SMALL.written(100..120), 20_000)
        .await
        .unwrap();
    let wrote = store
        .write_usage(new_id(), &SMALL.written(100..120), 20_000)
        .await
        .unwrap();
    assert_eq!((wrote.new, wrote.repeated), (0, 20));
    assert_eq!(total().await[0], 120);
}

async fn old_sums_go_by_grain(bed: Bed) {
    let store = bed.open().await;
    store
        .write_usage(new_id(), &SMALL.written(0..300), 30_000)
        .await
        .unwrap();
    let ages = Ages {
        records: None,
        minutes: Some(std::time::Duration::from_hours(24)),
        hours: Some(std::time::Duration::from_hours(48)),
        days: None,
    };
    assert!(store.expire_usage(&ages, TODAY).await.unwrap().sums > 0);
    let sum = async |grain: Grain, from: Millis| {
        let query = UsageQuery {
            grain: Some(grain),
            ..query(from, TODAY + DAY)
        };
        let report = store.report(&query).await.unwrap();
        report.rows.iter().map(|row| row.sums[0]).sum::<i64>()
    };
    let since = |from: Millis| {
        let kept = (0..300)
            .map(|number| SMALL.record(number))
            .filter(|record| record.started_at >= from);
        i64::try_from(kept.count()).unwrap()
    };
    assert_eq!(
        sum(Grain::Minute, TODAY - 3 * DAY).await,
        since(TODAY - DAY)
    );
    assert_eq!(
        sum(Grain::Hour, TODAY - 3 * DAY).await,
        since(TODAY - 2 * DAY)
    );
    assert_eq!(sum(Grain::Day, TODAY - 3 * DAY).await, 300);
}

async fn long_names_that_begin_alike_are_counted_apart(bed: Bed) {
    let store = bed.open().await;
    let name = |end: &str| format!("{}{end}", "m".repeat(5_000));
    let mut batch = SMALL.written(0..3);
    for (written, end) in batch.iter_mut().zip(["a", "b", "b"]) {
        written.record.model = name(end);
    }
    store.write_usage(new_id(), &batch, 300).await.unwrap();
    for (end, expect) in [("a", 1), ("b", 2), ("c", 0)] {
        let filter = UsageFilter {
            model: Some(name(end)),
            ..UsageFilter::default()
        };
        let report = store
            .report(&UsageQuery {
                filter,
                ..query(0, TODAY + DAY)
            })
            .await
            .unwrap();
        assert_eq!(report.rows[0].sums[0], expect, "{end}");
    }
}

async fn what_was_lost_is_written_though_it_stands_in_front(bed: Bed) {
    let store = bed.open().await;
    let journal = new_id();
    // Those that ended, among drafts of others.
    let ended = SMALL.written(5..10);
    store.write_usage(journal, &ended, 1_000).await.unwrap();
    let mut lost = SMALL.written(0..5);
    for written in &mut lost {
        written.is_lost = true;
    }
    for (new, repeated) in [(5, 0), (0, 5)] {
        let wrote = store.write_usage(journal, &lost, 1_000).await.unwrap();
        assert_eq!((wrote.new, wrote.repeated), (new, repeated));
    }
}

async fn records_are_read_page_by_page(bed: Bed) {
    let store = bed.open().await;
    store
        .write_usage(new_id(), &SMALL.written(0..200), 20_000)
        .await
        .unwrap();
    let project = SMALL.record(0).project;
    let filter = UsageFilter {
        project: Some(project),
        ..UsageFilter::default()
    };
    let mut expect: Vec<UsageRecord> = (0..200)
        .map(|number| SMALL.record(number))
        .filter(|record| record.project == project && record.outcome == "complete")
        .collect();
    expect.sort_by_key(|record| std::cmp::Reverse((record.started_at, record.id.to_string())));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .records(&filter, Some("complete"), 0, TODAY + 1, after.as_ref(), 3)
            .await
            .unwrap();
        found.extend(page.records);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, expect);
}

async fn replicas_that_write_at_once_do_not_wait_in_circles(bed: Bed) {
    let store = bed.open().await;
    let writers = (0..8).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let journal = new_id();
            for batch in 0..6 {
                // Half of each batch is somebody else's, too.
                let from = batch * 400 + writer * 50;
                let wrote = store
                    .write_usage(
                        journal,
                        &SMALL.written(from..from + 100),
                        (from + 100) * 100,
                    )
                    .await;
                wrote.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut numbers: Vec<u64> = (0..6)
        .flat_map(|batch| batch * 400..batch * 400 + 450)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let records: Vec<UsageRecord> = numbers.iter().map(|number| SMALL.record(*number)).collect();
    for dimension in Dimension::ALL {
        check(
            &store,
            &records,
            UsageQuery {
                group_by: vec![dimension],
                ..query(0, TODAY + DAY)
            },
        )
        .await;
    }
}

fn journal(folder: &Path) -> lingate_journal::Opened {
    Journal::open(
        folder,
        Settings {
            sync_every: None,
            ..Settings::default()
        },
    )
    .unwrap()
}

async fn a_journal_is_written_and_what_no_database_takes_stops_nothing(bed: Bed) {
    let store = bed.open().await;
    let folder = bed.folder.join("journal");
    let opened = journal(&folder);
    for number in 0..700 {
        let mut record = SMALL.record(number);
        match number {
            100 => record.model = "nul\0in a name".into(),
            200 => record.cost = Some(Money::MAX),
            _ => {}
        }
        opened.journal.append(&Entry::Final(record)).unwrap();
    }
    let mut writer = Writer::new(store.clone(), opened.reader, folder.clone());
    writer.drain().await.unwrap();
    let health = writer.health().borrow().clone();
    assert_eq!(
        (health.written, health.rejected, health.waiting),
        (699, 1, 0)
    );
    let rejected = std::fs::read_to_string(folder.join("rejected.jsonl")).unwrap();
    assert_eq!(rejected.lines().count(), 1);
    assert!(rejected.contains(&SMALL.record(200).id.to_string()));
    let nul = UsageFilter {
        model: Some("nul\0in a name".into()),
        ..UsageFilter::default()
    };
    let report = store
        .report(&UsageQuery {
            filter: nul,
            ..query(0, TODAY + 1)
        })
        .await
        .unwrap();
    assert_eq!(report.rows[0].sums[0], 1);

    // Started again before anything was deleted, it is the same database.
    drop((opened.journal, writer));
    let again = journal(&folder);
    let mut writer = Writer::new(store.clone(), again.reader, folder);
    writer.drain().await.unwrap();
    let health = writer.health().borrow().clone();
    assert_eq!((health.written, health.waiting), (0, 0));
    let report = store.report(&query(0, TODAY + 1)).await.unwrap();
    assert_eq!(report.rows[0].sums[0], 699);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_loses_nothing() {
    let server = lingate_testkit::Postgres::start_durable();
    let bed = Bed::sqlite();
    let url = server.database().parse().unwrap();
    let store = Store::open(&url, &bed.folder).await.unwrap();
    let folder = bed.folder.join("journal");
    let opened = journal(&folder);
    let append = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            opened
                .journal
                .append(&Entry::Final(SMALL.record(number)))
                .unwrap();
        }
    };
    let writer = Writer::new(store.clone(), opened.reader, folder);
    let mut health = writer.health();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(writer.run(async move {
        let _ = stopped.await;
    }));
    append(0..100);
    health
        .wait_for(|health| health.written == 100)
        .await
        .unwrap();
    server.kill();
    append(100..300);
    let failing = health
        .wait_for(|health| health.failing_since.is_some())
        .await
        .unwrap()
        .clone();
    assert!(failing.error.is_some() && failing.oldest.is_some() && failing.waiting > 0);
    append(300..900);
    server.start_again();
    health
        .wait_for(|health| health.written + health.repeated == 900)
        .await
        .unwrap();
    append(900..1_000);
    stop.send(()).unwrap();
    running.await.unwrap();
    let records: Vec<UsageRecord> = (0..1_000).map(|number| SMALL.record(number)).collect();
    check(
        &store,
        &records,
        UsageQuery {
            group_by: vec![Dimension::Key],
            ..query(0, TODAY + DAY)
        },
    )
    .await;
    assert_eq!(opened.journal.health().waiting, 0);
}

on_both!(
    sums_are_those_of_the_records,
    used_since_is_what_was_used,
    what_was_written_is_not_written_again,
    what_was_lost_is_written_though_it_stands_in_front,
    old_sums_go_by_grain,
    long_names_that_begin_alike_are_counted_apart,
    records_are_read_page_by_page,
    replicas_that_write_at_once_do_not_wait_in_circles,
    a_journal_is_written_and_what_no_database_takes_stops_nothing,
);
