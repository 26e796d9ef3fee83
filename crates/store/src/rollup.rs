//! Sums over usage records: which there are, and what a record adds to each.
//!
//! A *cube* is a set of sums over the same time that tell the same things apart. There are as many as are needed for every report to
//! read few rows, and no more, because each record is added to each: the finest tells keys, models and providers apart and answers
//! everything; it has about as many rows as there are records where requests are rare. The others leave out what makes it long, or
//! are over several days, so that a month of many keys is a third of the rows.

use std::collections::HashMap;

use lingate_journal::GATEWAY_LOST;
use lingate_metering::record::{Provenance, UsageRecord};
use lingate_metering::{Id, Millis};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::QueryBuilder;

use crate::StoreError;
use crate::database::{Tx, on};

/// What sums are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    Minute,
    Hour,
    /// In UTC.
    Day,
}

impl Grain {
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    pub const fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 24 * 60,
        }
    }

    pub const fn millis(self) -> Millis {
        self.minutes() * 60_000
    }

    /// When the time that a moment is in begins.
    pub const fn begin(self, at: Millis) -> Millis {
        at.div_euclid(self.millis()) * self.millis()
    }
}

/// The time that a row of sums is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stretch {
    Minute,
    Hour,
    Day,
    /// Five of them: any thirty days are four or five of these and at most ten single ones.
    Days,
}

impl Stretch {
    pub(crate) const fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 24 * 60,
            Self::Days => 5 * 24 * 60,
        }
    }

    pub(crate) const fn millis(self) -> Millis {
        self.minutes() * 60_000
    }

    pub(crate) const fn begin(self, at: Millis) -> Millis {
        at.div_euclid(self.millis()) * self.millis()
    }
}

impl From<Grain> for Stretch {
    fn from(grain: Grain) -> Self {
        match grain {
            Grain::Minute => Self::Minute,
            Grain::Hour => Self::Hour,
            Grain::Day => Self::Day,
        }
    }
}

/// What sums can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    Organization,
    Project,
    User,
    Key,
    Model,
    Provider,
}

impl Dimension {
    pub const ALL: [Self; 6] = [
        Self::Organization,
        Self::Project,
        Self::User,
        Self::Key,
        Self::Model,
        Self::Provider,
    ];

    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Organization => "organization_id",
            Self::Project => "project_id",
            Self::User => "user_id",
            Self::Key => "key_id",
            Self::Model => "model_id",
            Self::Provider => "provider_id",
        }
    }
}

/// A table of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cube {
    pub(crate) table: &'static str,
    pub(crate) stretch: Stretch,
    /// In the order of the primary key, behind the bucket.
    pub(crate) tells: &'static [Dimension],
}

/// Those of fewer rows first: the first one that tells what is asked for answers.
pub(crate) const CUBES: &[Cube] = {
    use Dimension::{Key, Model, Organization, Project, Provider, User};
    use Stretch::{Day, Days, Hour, Minute};
    const fn cube(table: &'static str, stretch: Stretch, tells: &'static [Dimension]) -> Cube {
        Cube {
            table,
            stretch,
            tells,
        }
    }
    const MODEL: &[Dimension] = &[Model, Provider];
    const KEY: &[Dimension] = &[Organization, Project, User, Key];
    const PROJECT: &[Dimension] = &[Organization, Project, Model, Provider];
    const FINEST: &[Dimension] = &[Organization, Project, User, Key, Model, Provider];
    &[
        cube("usage_minute_by_model", Minute, MODEL),
        cube("usage_minute", Minute, FINEST),
        cube("usage_hour_by_model", Hour, MODEL),
        cube(
            "usage_hour_by_organization_and_model",
            Hour,
            &[Organization, Model, Provider],
        ),
        cube("usage_hour", Hour, FINEST),
        cube("usage_day_by_model", Day, MODEL),
        cube("usage_day_by_key", Day, KEY),
        cube("usage_day_by_project_and_model", Day, PROJECT),
        cube("usage_day", Day, FINEST),
        cube("usage_days_by_key", Days, KEY),
        cube("usage_days_by_project_and_model", Days, PROJECT),
        cube("usage_days", Days, FINEST),
    ]
};

/// The smallest cube of a stretch of time that tells these apart.
pub(crate) fn cube(stretch: Stretch, needs: &[Dimension]) -> &'static Cube {
    let mut last = &CUBES[0];
    for cube in CUBES.iter().filter(|cube| cube.stretch == stretch) {
        last = cube;
        if needs.iter().all(|need| cube.tells.contains(need)) {
            break;
        }
    }
    // The last of each stretch tells everything.
    last
}

/// The longest stretch that such a report is read by: what the day has few rows of has none for several days.
pub(crate) fn longest(needs: &[Dimension]) -> Stretch {
    let tells = cube(Stretch::Day, needs).tells;
    let of_days = |cube: &Cube| cube.stretch == Stretch::Days && cube.tells == tells;
    if CUBES.iter().any(of_days) {
        Stretch::Days
    } else {
        Stretch::Day
    }
}

/// Bytes of a name; PostgreSQL has no index for texts of more than 2,700.
const LONGEST_NAME: usize = 500;

/// A name as every database takes it. Those that are cut stay different.
pub(crate) fn storable(name: &str) -> String {
    let name = name.replace('\0', "\u{fffd}");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let digest: [u8; 32] = Sha256::digest(&name).into();
    let begin = &name[..name.floor_char_boundary(LONGEST_NAME - 70)];
    format!("{begin}… {}", crate::key::digits(&digest))
}

/// The numbers of those names that have one.
pub(crate) async fn numbers(
    tx: &mut Tx,
    names: impl Iterator<Item = &str>,
) -> Result<HashMap<String, i64>, StoreError> {
    let mut numbers = HashMap::new();
    let names: Vec<&str> = names.collect();
    for names in names.chunks(5_000) {
        let found = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("SELECT name, id FROM usage_names WHERE name IN (");
            let mut list = query.separated(", ");
            for name in names {
                list.push_bind(*name);
            }
            query.push(")");
            query.build_query_as::<(String, i64)>().persistent(false).fetch_all(connection).await
        })?;
        numbers.extend(found);
    }
    Ok(numbers)
}

/// What a record is told apart by, as numbers, in the order of [`Dimension::ALL`].
pub(crate) type Numbers = [i64; 6];

pub(crate) fn names(record: &UsageRecord) -> [Option<String>; 6] {
    let id = |id: Id| id.to_string();
    [
        Some(id(record.organization)),
        Some(id(record.project)),
        record.user.map(id),
        record.key.map(id),
        Some(storable(&record.model)),
        Some(storable(&record.provider)),
    ]
}

pub(crate) const SUMS: usize = 27;

/// In the order of the columns.
pub(crate) const MEASURES: [Measure; SUMS] = {
    use Measure as M;
    [
        M::Requests,
        M::Cost,
        M::Price,
        M::InputTokens,
        M::OutputTokens,
        M::Failed,
        M::ClientGone,
        M::GatewayLost,
        M::UnknownUsage,
        M::EstimatedUsage,
        M::Unpriced,
        M::CacheRead,
        M::CacheWrite,
        M::Reasoning,
        M::Images,
        M::Searches,
        M::Duration,
        M::FirstToken,
        M::FirstTokens,
        M::Within250ms,
        M::Within500ms,
        M::Within1s,
        M::Within2s,
        M::Within5s,
        M::Within10s,
        M::Within30s,
        M::Within120s,
    ]
};

/// What is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Requests,
    /// Nano-dollars that providers take.
    Cost,
    /// Nano-dollars that tenants are charged.
    Price,
    InputTokens,
    OutputTokens,
    /// Requests whose answer is not what was asked for, by whosever fault but the caller's leaving and the gateway's end.
    Failed,
    ClientGone,
    GatewayLost,
    /// Requests of whose usage nobody knows: it is not in the sums, and not nothing.
    UnknownUsage,
    EstimatedUsage,
    /// Requests that no price is known for: their cost is not in the sums.
    Unpriced,
    CacheRead,
    CacheWrite,
    Reasoning,
    Images,
    Searches,
    /// Milliseconds.
    Duration,
    /// Milliseconds to the first content, of those that had any ([`Self::FirstTokens`]).
    FirstToken,
    FirstTokens,
    /// Requests that took no longer, and longer than the measure before.
    Within250ms,
    Within500ms,
    Within1s,
    Within2s,
    Within5s,
    Within10s,
    Within30s,
    Within120s,
}

impl Measure {
    pub const ALL: [Self; SUMS] = MEASURES;

    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Cost => "cost",
            Self::Price => "price",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Failed => "failed",
            Self::ClientGone => "client_gone",
            Self::GatewayLost => "gateway_lost",
            Self::UnknownUsage => "unknown_usage",
            Self::EstimatedUsage => "estimated_usage",
            Self::Unpriced => "unpriced",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::Reasoning => "reasoning",
            Self::Images => "images",
            Self::Searches => "searches",
            Self::Duration => "duration",
            Self::FirstToken => "first_token",
            Self::FirstTokens => "first_tokens",
            Self::Within250ms => "t_250ms",
            Self::Within500ms => "t_500ms",
            Self::Within1s => "t_1s",
            Self::Within2s => "t_2s",
            Self::Within5s => "t_5s",
            Self::Within10s => "t_10s",
            Self::Within30s => "t_30s",
            Self::Within120s => "t_120s",
        }
    }
}

/// Milliseconds that the last eight measures end at; what takes longer is in none of them.
pub const LATENCIES: [u32; 8] = [250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 120_000];

/// The most that one request adds to a sum: more is no record but a mistake. A million dollars, and a thousandth of that number of tokens.
pub(crate) const MOST: i64 = 1_000_000_000_000_000;

/// What a record adds, in the order of [`MEASURES`]; `None`: an amount that cannot be true.
pub(crate) fn amounts(record: &UsageRecord) -> Option<[i64; SUMS]> {
    let counts = record.usage.unwrap_or_default();
    let count = |number: u64| {
        i64::try_from(number)
            .ok()
            .filter(|number| *number <= MOST / 1_000)
    };
    let yes = i64::from;
    let money = |amount: Option<lingate_metering::Money>| {
        let nano = amount.map_or(0, lingate_metering::Money::nano);
        (-MOST..=MOST).contains(&nano).then_some(nano)
    };
    let outcome = record.outcome.as_str();
    let is_gone = outcome == "client_gone";
    let is_lost = outcome == GATEWAY_LOST;
    let is_failed = matches!(outcome, "truncated" | "upstream_error") || record.status >= 400;
    let mut sums = [0; SUMS];
    sums[..19].copy_from_slice(&[
        1,
        money(record.cost)?,
        money(record.price)?,
        count(counts.input)?,
        count(counts.output)?,
        yes(is_failed && !is_gone && !is_lost),
        yes(is_gone),
        yes(is_lost),
        yes(record.usage.is_none() || record.provenance == Provenance::Unknown),
        yes(record.provenance == Provenance::Estimated),
        yes(record.cost.is_none()),
        count(counts.cache_read)?,
        count(counts.cache_write_5m.saturating_add(counts.cache_write_1h))?,
        count(counts.reasoning.unwrap_or(0))?,
        count(counts.image_out)?,
        count(counts.searches)?,
        i64::from(record.duration),
        i64::from(record.first_token.unwrap_or(0)),
        yes(record.first_token.is_some()),
    ]);
    if let Some(place) = LATENCIES.iter().position(|most| record.duration <= *most) {
        sums[19 + place] = 1;
    }
    Some(sums)
}

/// A row of sums: its bucket, and what the cube tells apart; the rest is 0.
pub(crate) type Row = (i64, Numbers, [i64; SUMS]);

/// What records add to a cube: a row for each that is touched, in the order of the key.
pub(crate) fn rows<'a>(
    cube: &Cube,
    records: impl Iterator<Item = (Millis, Numbers, &'a [i64; SUMS])>,
) -> Vec<Row> {
    let mut parts: Vec<(i64, Numbers, &[i64; SUMS])> = records
        .map(|(started_at, numbers, amounts)| {
            let mut told = [0; 6];
            for dimension in cube.tells {
                told[*dimension as usize] = numbers[*dimension as usize];
            }
            (cube.stretch.begin(started_at) / 60_000, told, amounts)
        })
        .collect();
    parts.sort_unstable_by_key(|(bucket, told, _)| (*bucket, *told));
    let mut rows: Vec<Row> = Vec::with_capacity(parts.len());
    for (bucket, told, amounts) in parts {
        match rows.last_mut() {
            Some((at, which, sums)) if (*at, *which) == (bucket, told) => {
                for (sum, amount) in sums.iter_mut().zip(amounts) {
                    // A batch of the largest amounts is far from the end.
                    *sum = sum.saturating_add(*amount);
                }
            }
            _ => rows.push((bucket, told, *amounts)),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_cube_answers_and_each_stretch_has_one_for_everything() {
        use Dimension::{Key, Model, Organization, Project, Provider, User};
        for (stretch, needs, expect) in [
            (Stretch::Day, &[][..], "usage_day_by_model"),
            (Stretch::Day, &[Key], "usage_day_by_key"),
            (Stretch::Day, &[User, Project], "usage_day_by_key"),
            (Stretch::Days, &[Organization, User], "usage_days_by_key"),
            (Stretch::Day, &[Key, Model], "usage_day"),
            (Stretch::Hour, &[Project], "usage_hour"),
            (
                Stretch::Hour,
                &[Organization],
                "usage_hour_by_organization_and_model",
            ),
            (Stretch::Minute, &[Provider], "usage_minute_by_model"),
        ] {
            assert_eq!(cube(stretch, needs).table, expect, "{needs:?}");
        }
        for stretch in [Stretch::Minute, Stretch::Hour, Stretch::Day, Stretch::Days] {
            assert_eq!(cube(stretch, &Dimension::ALL).tells.len(), 6);
        }
        assert_eq!(longest(&[Model]), Stretch::Day);
        assert_eq!(longest(&[Organization]), Stretch::Days);
    }

    #[test]
    fn long_names_that_begin_alike_stay_different() {
        let name = |end: &str| storable(&format!("{}{end}", "é".repeat(2_000)));
        assert!(name("a").len() <= LONGEST_NAME, "{}", name("a").len());
        assert_ne!(name("a"), name("b"));
        assert_eq!(storable("nul\0"), "nul\u{fffd}");
    }

    #[test]
    fn each_cube_is_a_table() {
        let schema = include_str!("../migrations/0002_usage.sql");
        for cube in CUBES {
            let ids: Vec<&str> = cube
                .tells
                .iter()
                .map(|dimension| dimension.column())
                .collect();
            let begins = format!("CREATE TABLE {} (", cube.table);
            let table = schema
                .split(&begins)
                .nth(1)
                .and_then(|rest| rest.split(';').next())
                .unwrap();
            assert!(
                table.contains(&format!("PRIMARY KEY (bucket, {})", ids.join(", "))),
                "{begins}"
            );
            assert!(
                MEASURES
                    .iter()
                    .all(|measure| table.contains(&format!(" {} BIGINT", measure.column())))
            );
        }
    }

    #[test]
    fn times_begin_before_1970_too() {
        assert_eq!(Grain::Minute.begin(-1), -60_000);
        assert_eq!(Grain::Day.begin(86_400_001), 86_400_000);
    }
}
