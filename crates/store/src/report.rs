//! Reports over usage: sums by time and by whom, the largest first, read from rollups only; and single records, page by page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lingate_metering::record::UsageRecord;
use lingate_metering::{Id, Millis};
use sqlx::{QueryBuilder, Row as _};

use crate::database::{Tx, fetch_all, on};
use crate::rollup::{self, Dimension, Grain, Measure, Stretch, cube, longest};
use crate::{Store, StoreError};

/// More groups or points than anybody looks at.
const MOST: usize = 100_000;

/// Whose usage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    pub organization: Option<Id>,
    pub project: Option<Id>,
    pub user: Option<Id>,
    pub key: Option<Id>,
    /// As it was asked for.
    pub model: Option<String>,
    pub provider: Option<String>,
}

impl UsageFilter {
    fn given(&self) -> Vec<(Dimension, String)> {
        let id = |id: Option<Id>| id.map(|id| id.to_string());
        let text = |text: &Option<String>| text.as_deref().map(rollup::storable);
        let given = [
            id(self.organization),
            id(self.project),
            id(self.user),
            id(self.key),
            text(&self.model),
            text(&self.provider),
        ];
        Dimension::ALL
            .into_iter()
            .zip(given)
            .filter_map(|(dimension, name)| Some((dimension, name?)))
            .collect()
    }
}

/// What a report shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    pub measures: Vec<Measure>,
    pub from: Millis,
    /// Not included.
    pub to: Millis,
    /// A row for each; `None`: one for all of the time.
    pub grain: Option<Grain>,
    pub group_by: Vec<Dimension>,
    pub filter: UsageFilter,
    /// Groups are ordered by this over all of the time, the largest first.
    pub order: Measure,
    /// The most groups; of others nothing is told.
    pub limit: usize,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was asked for, widened to whole minutes, hours or days.
    pub from: Millis,
    pub to: Millis,
    /// Group by group; within a group by time, without gaps.
    pub rows: Vec<ReportRow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// When the time of this row begins, if a grain was asked for.
    pub at: Option<Millis>,
    /// In the order of `group_by`: ids as text and names; `None`: nobody, such as the key of callers that need none.
    pub group: Vec<Option<String>>,
    /// In the order of `measures`. [`i64::MAX`] for money: it is more than can be told.
    pub sums: Vec<i64>,
}

/// What somebody used of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    pub subject: Id,
    pub model: String,
    pub provider: String,
    /// When the hour or day that these are sums of begins.
    pub at: Millis,
    pub requests: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub images: i64,
    /// Nano-dollars that providers take.
    pub cost: i64,
    /// Nano-dollars that the tenant is charged.
    pub price: i64,
}

/// A piece of the time that a report is about, and what it is read from.
type Part = (Stretch, Millis, Millis);

impl Store {
    /// Sums of usage. Time is widened to the grain; without one to minutes up to two days, and to hours beyond.
    pub async fn report(&self, query: &UsageQuery) -> Result<Report, StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, query).await
    }

    /// What each of these used since the moment that is given for it, by model, provider and hour of the last two days, or day before
    /// that: what counters of limits begin with. The time is widened to the whole hour or day. Reads nothing of others.
    pub async fn used_since(
        &self,
        dimension: Dimension,
        subjects: &[(Id, Millis)],
        now: Millis,
    ) -> Result<Vec<Used>, StoreError> {
        let measures = [
            Measure::Requests,
            Measure::InputTokens,
            Measure::OutputTokens,
            Measure::Images,
            Measure::Cost,
            Measure::Price,
        ];
        let group_by = [dimension, Dimension::Model, Dimension::Provider];
        let end = Grain::Hour.begin(now).saturating_add(Grain::Hour.millis());
        let recent = Grain::Day.begin(now.saturating_sub(Grain::Day.millis()));
        let mut tx = self.db.begin_read().await?;
        let ids: Vec<String> = subjects.iter().map(|(id, _)| id.to_string()).collect();
        let numbers = rollup::numbers(&mut tx, ids.iter().map(String::as_str)).await?;
        // Most windows begin together.
        let mut since: BTreeMap<Millis, Vec<i64>> = BTreeMap::new();
        for ((_, begin), id) in subjects.iter().zip(&ids) {
            let begin = if *begin < recent {
                Grain::Day.begin((*begin).max(0))
            } else {
                Grain::Hour.begin(*begin)
            };
            if let Some(number) = numbers.get(id) {
                since.entry(begin).or_default().push(*number);
            }
        }
        let mut found = Vec::new();
        for (since, numbers) in since {
            let mut time = vec![(Stretch::Hour, since.max(recent), end)];
            if since < recent {
                time.push((Stretch::Day, since, recent));
            }
            for part in time {
                for only in numbers.chunks(1_000) {
                    let asked = Asked {
                        measures: &measures,
                        group_by: &group_by,
                        filter: &[],
                        only,
                    };
                    found.extend(asked.sums(&mut tx, &[part], &Shown::ByTime(&[])).await?);
                }
            }
        }
        let names = names(&mut tx, found.iter().flat_map(|row| &row[..3])).await?;
        let used = found.iter().filter_map(|row| {
            let name = |place: usize| names.get(&row[place]).cloned();
            Some(Used {
                subject: name(0)?.parse().ok()?,
                model: name(1)?,
                provider: name(2)?,
                at: row[3] * 60_000,
                requests: row[4],
                input_tokens: row[5],
                output_tokens: row[6],
                images: row[7],
                cost: row[8],
                price: row[9],
            })
        });
        Ok(used.collect())
    }

    /// The record of one request; `None`: there is none, or not any more.
    pub async fn record(&self, id: Id) -> Result<Option<UsageRecord>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = fetch_all!(
            tx,
            (String,),
            "SELECT record FROM usage_records WHERE id = $1",
            id.to_string()
        )?;
        let record = rows.first().map(|(text,)| serde_json::from_str(text));
        record
            .transpose()
            .map_err(|error| StoreError::Other(format!("a stored usage record: {error}")))
    }

    /// Records that are kept, the newest first; `after`: the end of the page before.
    pub async fn records(
        &self,
        filter: &UsageFilter,
        outcome: Option<&str>,
        from: Millis,
        to: Millis,
        after: Option<&(Millis, Id)>,
        limit: u32,
    ) -> Result<RecordsPage, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let given = numbered(&mut tx, filter).await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("SELECT record FROM usage_records WHERE started_at >= ");
            query.push_bind(from).push(" AND started_at < ").push_bind(to);
            for (dimension, number) in given {
                query.push(" AND ").push(dimension.column()).push(" = ").push_bind(number);
                if dimension == Dimension::User {
                    // Nobody is not in the index.
                    query.push(" AND user_id <> 0");
                }
            }
            if let Some(outcome) = outcome {
                query.push(" AND outcome = ").push_bind(outcome.to_owned());
            }
            if let Some((at, id)) = after {
                query.push(" AND (started_at, id) < (").push_bind(*at).push(", ").push_bind(id.to_string()).push(")");
            }
            query.push(" ORDER BY started_at DESC, id DESC LIMIT ").push_bind(i64::from(limit));
            query.build_query_as::<(String,)>().fetch_all(connection).await
        })?;
        let records = rows
            .iter()
            .map(|(text,)| serde_json::from_str(text))
            .collect::<Result<Vec<UsageRecord>, _>>()
            .map_err(|error| StoreError::Other(format!("a stored usage record: {error}")))?;
        let next = records
            .last()
            .filter(|_| records.len() == limit as usize)
            .map(|last| (last.started_at, last.id));
        Ok(RecordsPage { records, next })
    }
}

/// [`Store::report`], as of the moment of a transaction.
pub(crate) async fn read(tx: &mut Tx, query: &UsageQuery) -> Result<Report, StoreError> {
    if query.to <= query.from {
        return Ok(Report {
            from: query.from,
            to: query.from,
            rows: Vec::new(),
        });
    }
    let unit = query.grain.unwrap_or(
        if query.to.saturating_sub(query.from) > 2 * Grain::Day.millis() {
            Grain::Hour
        } else {
            Grain::Minute
        },
    );
    let from = unit.begin(query.from);
    let to = unit
        .begin(query.to.saturating_sub(1))
        .saturating_add(unit.millis());
    let filter = numbered(tx, &query.filter).await?;
    let mut needs = query.group_by.clone();
    needs.extend(filter.iter().map(|(dimension, _)| *dimension));
    let longest = longest(&needs);

    let width = query.group_by.len();
    let mut measures = vec![query.order];
    let Some(grain) = query.grain else {
        measures.extend(&query.measures);
        let asked = Asked {
            measures: &measures,
            group_by: &query.group_by,
            filter: &filter,
            only: &[],
        };
        let limit = query.limit.min(MOST);
        let found = asked
            .sums(
                tx,
                &parts(from, to, longest, unit.into()),
                &Shown::Largest(limit),
            )
            .await?;
        let names = names(tx, found.iter().flat_map(|row| &row[..width])).await?;
        let rows = found.iter().map(|row| ReportRow {
            at: None,
            group: named(&names, &row[..width]),
            sums: row[width + 1..].to_vec(),
        });
        return Ok(Report {
            from,
            to,
            rows: rows.collect(),
        });
    };

    // Which groups there are, the largest first; then each of them over time.
    let points = usize::try_from((to - from) / grain.millis()).unwrap_or(usize::MAX);
    let groups: Vec<Vec<i64>> = if query.group_by.is_empty() {
        vec![Vec::new()]
    } else {
        let asked = Asked {
            measures: &measures,
            group_by: &query.group_by,
            filter: &filter,
            only: &[],
        };
        let largest = Shown::Largest(query.limit.min(MOST));
        let found = asked
            .sums(tx, &parts(from, to, longest, unit.into()), &largest)
            .await?;
        found.into_iter().map(|row| row[..width].to_vec()).collect()
    };
    if points.saturating_mul(groups.len().max(1)) > MOST {
        return Err(StoreError::Invalid {
            field: "grain",
            problem: format!(
                "{} groups at {points} times are too many to be shown: ask for a shorter time, for fewer groups, or by the day",
                groups.len()
            ),
        });
    }
    let mut rows = Vec::with_capacity(points * groups.len());
    if !groups.is_empty() {
        let asked = Asked {
            measures: &query.measures,
            group_by: &query.group_by,
            filter: &filter,
            only: &[],
        };
        let found = asked
            .sums(tx, &[(grain.into(), from, to)], &Shown::ByTime(&groups))
            .await?;
        let names = names(tx, groups.iter().flatten()).await?;
        let by_place: BTreeMap<&[i64], &[i64]> =
            found.iter().map(|row| row.split_at(width + 1)).collect();
        for group in &groups {
            let mut place = group.clone();
            place.push(0);
            let mut at = from;
            while at < to {
                place[width] = at / 60_000;
                let sums = by_place.get(place.as_slice());
                rows.push(ReportRow {
                    at: Some(at),
                    group: named(&names, group),
                    sums: sums.map_or_else(|| vec![0; query.measures.len()], |sums| sums.to_vec()),
                });
                at += grain.millis();
            }
        }
    }
    Ok(Report { from, to, rows })
}

/// Some records.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordsPage {
    pub records: Vec<UsageRecord>,
    /// What is handed in for the next page; `None`: there is none.
    pub next: Option<(Millis, Id)>,
}

struct Asked<'a> {
    measures: &'a [Measure],
    group_by: &'a [Dimension],
    filter: &'a [(Dimension, i64)],
    /// Of the first dimension, only these.
    only: &'a [i64],
}

/// Which rows of a report.
enum Shown<'a> {
    /// The groups that have most of the first measure.
    Largest(usize),
    /// One for each time, of these groups; of all if there are none.
    ByTime(&'a [Vec<i64>]),
}

impl Asked<'_> {
    /// Rows of numbers: the group, the bucket if it is by time, the measures.
    async fn sums(
        &self,
        tx: &mut Tx,
        parts: &[Part],
        shown: &Shown<'_>,
    ) -> Result<Vec<Vec<i64>>, StoreError> {
        let mut needs = self.group_by.to_vec();
        needs.extend(self.filter.iter().map(|(dimension, _)| *dimension));
        let group: Vec<&str> = self.group_by.iter().map(|told| told.column()).collect();
        let mut columns = group.clone();
        if let Shown::ByTime(_) = shown {
            columns.push("bucket");
        }
        let measured = self.measures.iter().map(|measure| measure.column());
        let mut read: Vec<&str> = columns.iter().copied().chain(measured.clone()).collect();
        read.sort_unstable();
        read.dedup();

        // PostgreSQL's sums of BIGINT are NUMERIC. What does not fit is an error in both.
        let summed = measured.map(|column| format!("CAST(COALESCE(SUM({column}), 0) AS BIGINT)"));
        let selected: Vec<String> = columns
            .iter()
            .map(|column| (*column).to_owned())
            .chain(summed)
            .collect();
        if selected.is_empty() {
            return Ok(Vec::new());
        }
        let mut filters = String::new();
        // Writing to a string cannot fail.
        for (dimension, number) in self.filter {
            let _ = write!(filters, " AND {} = {number}", dimension.column());
        }
        if let (Some(first), false) = (group.first(), self.only.is_empty()) {
            let only: Vec<String> = self.only.iter().map(i64::to_string).collect();
            let _ = write!(filters, " AND {first} IN ({})", only.join(", "));
        }
        if let Shown::ByTime([first, rest @ ..]) = shown
            && !first.is_empty()
        {
            let row = |group: &Vec<i64>| {
                let numbers: Vec<String> = group.iter().map(i64::to_string).collect();
                format!("({})", numbers.join(", "))
            };
            let rows: Vec<String> = std::iter::once(first).chain(rest).map(row).collect();
            let _ = write!(
                filters,
                " AND ({}) IN (VALUES {})",
                group.join(", "),
                rows.join(", ")
            );
        }
        let parts: Vec<String> = parts
            .iter()
            .map(|(stretch, from, to)| {
                format!(
                    "SELECT {} FROM {} WHERE bucket >= {} AND bucket < {}{filters}",
                    read.join(", "),
                    cube(*stretch, &needs).table,
                    from / 60_000,
                    to / 60_000
                )
            })
            .collect();
        let mut text = format!(
            "SELECT {} FROM ({}) AS parts",
            selected.join(", "),
            parts.join(" UNION ALL ")
        );
        if !columns.is_empty() {
            let _ = write!(text, " GROUP BY {}", columns.join(", "));
            if let Shown::Largest(limit) = shown {
                let first = columns.len() + 1;
                let _ = write!(
                    text,
                    " ORDER BY {first} DESC, {} LIMIT {limit}",
                    columns.join(", ")
                );
            }
        }
        let width = selected.len();
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(text);
            let rows = query.build().persistent(false).fetch_all(connection).await?;
            rows.iter()
                .map(|row| (0..width).map(|place| row.try_get::<i64, _>(place)).collect())
                .collect::<Result<Vec<Vec<i64>>, sqlx::Error>>()
        })?;
        Ok(rows)
    }
}

/// As much as there is of the longest stretch, and before and behind it shorter ones, not finer than `finest`.
fn parts(from: Millis, to: Millis, longest: Stretch, finest: Stretch) -> Vec<Part> {
    let mut parts = Vec::new();
    split(from, to, longest, finest, &mut parts);
    parts
}

fn split(from: Millis, to: Millis, stretch: Stretch, finest: Stretch, into: &mut Vec<Part>) {
    if from >= to {
        return;
    }
    let finer = match stretch {
        Stretch::Days => Stretch::Day,
        Stretch::Day => Stretch::Hour,
        Stretch::Hour | Stretch::Minute => Stretch::Minute,
    };
    if stretch == finest {
        into.push((stretch, from, to));
        return;
    }
    let begin = stretch.begin(from + stretch.millis() - 1);
    let end = stretch.begin(to);
    if begin >= end {
        split(from, to, finer, finest, into);
        return;
    }
    into.push((stretch, begin, end));
    split(from, begin, finer, finest, into);
    split(end, to, finer, finest, into);
}

/// The numbers of what is asked for; of a name that nobody has used, one that nothing has.
async fn numbered(tx: &mut Tx, filter: &UsageFilter) -> Result<Vec<(Dimension, i64)>, StoreError> {
    let given = filter.given();
    let numbers = rollup::numbers(tx, given.iter().map(|(_, name)| name.as_str())).await?;
    let number = |name: &String| numbers.get(name).copied().unwrap_or(-1);
    Ok(given
        .iter()
        .map(|(dimension, name)| (*dimension, number(name)))
        .collect())
}

fn named(names: &BTreeMap<i64, String>, group: &[i64]) -> Vec<Option<String>> {
    group
        .iter()
        .map(|number| names.get(number).cloned())
        .collect()
}

async fn names(
    tx: &mut Tx,
    numbers: impl Iterator<Item = &i64>,
) -> Result<BTreeMap<i64, String>, StoreError> {
    let mut numbers: Vec<i64> = numbers.copied().filter(|number| *number != 0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut names = BTreeMap::new();
    for numbers in numbers.chunks(5_000) {
        let found = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("SELECT id, name FROM usage_names WHERE id IN (");
            let mut list = query.separated(", ");
            for number in numbers {
                list.push_bind(*number);
            }
            query.push(")");
            query.build_query_as::<(i64, String)>().persistent(false).fetch_all(connection).await
        })?;
        names.extend(found);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_read_in_the_largest_pieces() {
        const HOUR: Millis = 3_600_000;
        let day = Stretch::Day.millis();
        let check = |from, to, finest, expect: &[Part]| {
            let mut parts = parts(from, to, Stretch::Days, finest);
            parts.sort_by_key(|(_, from, _)| *from);
            assert_eq!(parts, expect);
        };
        check(0, 2 * day, Stretch::Minute, &[(Stretch::Day, 0, 2 * day)]);
        check(
            4 * day,
            11 * day,
            Stretch::Minute,
            &[
                (Stretch::Day, 4 * day, 5 * day),
                (Stretch::Days, 5 * day, 10 * day),
                (Stretch::Day, 10 * day, 11 * day),
            ],
        );
        check(
            HOUR,
            2 * day + 2 * HOUR,
            Stretch::Hour,
            &[
                (Stretch::Hour, HOUR, day),
                (Stretch::Day, day, 2 * day),
                (Stretch::Hour, 2 * day, 2 * day + 2 * HOUR),
            ],
        );
        check(
            60_000,
            2 * HOUR + 60_000,
            Stretch::Minute,
            &[
                (Stretch::Minute, 60_000, HOUR),
                (Stretch::Hour, HOUR, 2 * HOUR),
                (Stretch::Minute, 2 * HOUR, 2 * HOUR + 60_000),
            ],
        );
        check(
            60_000,
            120_000,
            Stretch::Minute,
            &[(Stretch::Minute, 60_000, 120_000)],
        );
    }
}
