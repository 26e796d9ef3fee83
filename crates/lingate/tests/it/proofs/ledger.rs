//! What the database says in the end, read as reports read it.

use std::collections::BTreeMap;

use lingate_metering::Money;
use lingate_metering::record::UsageRecord;
use lingate_store::{Dimension, Grain, Measure, Store, UsageFilter, UsageQuery};
use lingate_testkit::Gateway;

use super::marked::Mark;
use crate::world::PATIENCE;

/// The database of gateways.
pub(super) struct Ledger(Store);

/// Requests, tokens of prompts, tokens of answers, nano-dollars.
pub(super) type Sums = [i64; 4];

impl Ledger {
    /// `database` as in the configuration.
    pub(super) async fn of(database: &str, gateway: &Gateway) -> Self {
        let data = gateway.folder().join("data");
        Self(
            Store::open(&database.parse().unwrap(), &data)
                .await
                .unwrap(),
        )
    }

    /// All records.
    pub(super) async fn records(&self) -> Vec<UsageRecord> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let filter = UsageFilter::default();
            let page = self
                .0
                .records(&filter, None, 0, i64::MAX, after.as_ref(), 1000)
                .await
                .unwrap();
            all.extend(page.records);
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    /// Records by the marks of their requests, once there are so many of them.
    pub(super) async fn marked(&self, count: usize) -> BTreeMap<Mark, Vec<UsageRecord>> {
        let started = std::time::Instant::now();
        let mut records = self.records().await;
        while records.len() < count && started.elapsed() < PATIENCE {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            records = self.records().await;
        }
        let mut marked: BTreeMap<Mark, Vec<UsageRecord>> = BTreeMap::new();
        for record in records {
            let mark = Mark::within(record.end_user.as_deref().unwrap_or_default());
            let mark = mark.unwrap_or_else(|| panic!("whose is it? {record:?}"));
            marked.entry(mark).or_default().push(record);
        }
        marked
    }

    /// What reports say over all of the time, read from these sums.
    pub(super) async fn reported(&self, grain: Grain, group_by: &[Dimension]) -> Sums {
        // Of minutes there are too many to ask for all.
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let now = i64::try_from(now.as_millis()).unwrap();
        let query = UsageQuery {
            measures: vec![
                Measure::Requests,
                Measure::InputTokens,
                Measure::OutputTokens,
                Measure::Cost,
            ],
            from: now - 2 * 3_600_000,
            to: now + 3_600_000,
            grain: Some(grain),
            group_by: group_by.to_vec(),
            filter: UsageFilter::default(),
            order: Measure::Requests,
            limit: 100,
        };
        let report = self.0.report(&query).await.unwrap();
        let mut sums = [0; 4];
        for row in report.rows {
            for (sum, value) in sums.iter_mut().zip(row.sums) {
                *sum += value;
            }
        }
        sums
    }

    /// Reports of every grain, and by whatever things are told apart, are the sums of these records.
    pub(super) async fn adds_up<'a>(&self, records: impl Iterator<Item = &'a UsageRecord>) -> Sums {
        let mut expect = [0; 4];
        for record in records {
            for (sum, value) in expect.iter_mut().zip(sums(record)) {
                *sum += value;
            }
        }
        for grain in Grain::ALL {
            assert_eq!(self.reported(grain, &[]).await, expect, "{grain:?}");
            for dimension in Dimension::ALL {
                let found = self.reported(grain, &[dimension]).await;
                assert_eq!(found, expect, "{grain:?} {dimension:?}");
            }
        }
        expect
    }
}

/// What a record adds to sums.
pub(super) fn sums(record: &UsageRecord) -> Sums {
    let usage = record.usage.unwrap_or_default();
    let number = |number: u64| i64::try_from(number).unwrap();
    [
        1,
        number(usage.input),
        number(usage.output),
        record.cost.map_or(0, Money::nano),
    ]
}
