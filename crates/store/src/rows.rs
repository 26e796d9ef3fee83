//! Many rows at once, in texts that the database has seen before: to read a text is dearer than to write its rows.
//!
//! PostgreSQL takes whole columns as arrays. SQLite has no arrays; it gets as many rows as fit into the largest of a few statements, then
//! of the next smaller one.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Postgres, Sqlite};

use crate::StoreError;
use crate::database::{On, Tx, answered};
use crate::rollup::{CUBES, Cube, MEASURES, Measure, Numbers, Row, SUMS};

/// Rows of SQLite's statements.
const SIZES: [usize; 4] = [64, 16, 4, 1];

const RECORD: [&str; 10] = [
    "id",
    "started_at",
    "organization_id",
    "project_id",
    "user_id",
    "key_id",
    "model_id",
    "provider_id",
    "outcome",
    "record",
];
const NEW_RECORDS: &str = " ON CONFLICT (id) DO NOTHING RETURNING id";

/// A record as it is stored.
#[derive(Debug)]
pub(crate) struct RecordRow {
    pub(crate) id: String,
    pub(crate) started_at: i64,
    pub(crate) numbers: Numbers,
    pub(crate) outcome: String,
    pub(crate) record: String,
}

/// Texts of one table.
struct Texts {
    postgres: Arc<str>,
    /// For each of [`SIZES`].
    sqlite: Vec<Arc<str>>,
}

impl Texts {
    fn new(table: &str, columns: &[&str], types: &str, end: &str) -> Self {
        let names = columns.join(", ");
        let begin = format!("INSERT INTO {table} ({names}) ");
        let sqlite = SIZES.iter().map(|size| {
            let row = format!("({})", vec!["?"; columns.len()].join(", "));
            let rows = vec![row; *size].join(", ");
            format!("{begin}VALUES {rows}{end}").into()
        });
        Self {
            postgres: format!("{begin}SELECT {names} FROM UNNEST({types}) AS given ({names}){end}")
                .into(),
            sqlite: sqlite.collect(),
        }
    }
}

static RECORDS: LazyLock<Texts> = LazyLock::new(|| {
    let types: Vec<String> = (1..=RECORD.len())
        .map(|place| {
            let is_text = [1, 9, 10].contains(&place);
            format!("${place}::{}[]", if is_text { "TEXT" } else { "BIGINT" })
        })
        .collect();
    Texts::new("usage_records", &RECORD, &types.join(", "), NEW_RECORDS)
});

/// In the order of [`CUBES`].
static SUMMED: LazyLock<Vec<Texts>> = LazyLock::new(|| CUBES.iter().map(texts).collect());

fn texts(cube: &Cube) -> Texts {
    let ids: Vec<&str> = cube.tells.iter().map(|told| told.column()).collect();
    let ids = ids.join(", ");
    let table = cube.table;
    let measures = MEASURES.iter().map(|measure| measure.column());
    let columns: Vec<&str> = std::iter::once("bucket")
        .chain(cube.tells.iter().map(|told| told.column()))
        .chain(measures)
        .collect();
    let mut end = format!(" ON CONFLICT (bucket, {ids}) DO UPDATE SET ");
    for (place, measure) in MEASURES.into_iter().enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        let column = measure.column();
        // Writing to a string cannot fail.
        let _ = if matches!(measure, Measure::Cost | Measure::Price) {
            // Nine billion dollars; it stays there, and reports say that it is the end.
            write!(
                end,
                "{comma}{column} = CASE WHEN excluded.{column} > 0 AND {table}.{column} > {max} - excluded.{column} THEN {max} ELSE {table}.{column} + excluded.{column} END",
                max = i64::MAX
            )
        } else {
            write!(
                end,
                "{comma}{column} = {table}.{column} + excluded.{column}"
            )
        };
    }
    let types: Vec<String> = (1..=columns.len())
        .map(|place| format!("${place}::BIGINT[]"))
        .collect();
    Texts::new(table, &columns, &types.join(", "), &end)
}

/// The rows, in pieces that there is a statement for: its place among [`SIZES`], and as many rows.
fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = (usize, &[T])> {
    std::iter::from_fn(move || {
        let place = SIZES.iter().position(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(SIZES[place]);
        rows = rest;
        Some((place, piece))
    })
}

/// Adds to sums of one cube, by its place among [`CUBES`], and makes those that are not there.
pub(crate) async fn add_up(tx: &mut Tx, place: usize, rows: &[Row]) -> Result<(), StoreError> {
    let (Some(texts), Some(cube)) = (SUMMED.get(place), CUBES.get(place)) else {
        return Ok(());
    };
    let told = |numbers: &Numbers| {
        cube.tells
            .iter()
            .map(|told| numbers[*told as usize])
            .collect()
    };
    match &mut tx.on {
        On::Sqlite(transaction) => {
            for (size, piece) in pieces(rows) {
                let mut values = SqliteArguments::default();
                for (bucket, numbers, sums) in piece {
                    let told: Vec<i64> = told(numbers);
                    for value in std::iter::once(bucket).chain(&told).chain(sums) {
                        values.add(*value).map_err(sqlx::Error::Encode)?;
                    }
                }
                let text = AssertSqlSafe(texts.sqlite[size].clone());
                let done = sqlx::query_with::<Sqlite, _>(text, values).execute(&mut **transaction);
                answered(done).await?;
            }
        }
        On::Postgres(transaction) => {
            let mut values = PgArguments::default();
            let mut add = |column: Vec<i64>| values.add(column).map_err(sqlx::Error::Encode);
            add(rows.iter().map(|(bucket, ..)| *bucket).collect())?;
            for told in cube.tells {
                add(rows
                    .iter()
                    .map(|(_, numbers, _)| numbers[*told as usize])
                    .collect())?;
            }
            for measure in 0..SUMS {
                add(rows.iter().map(|(_, _, sums)| sums[measure]).collect())?;
            }
            let text = AssertSqlSafe(texts.postgres.clone());
            let done = sqlx::query_with::<Postgres, _>(text, values).execute(&mut **transaction);
            answered(done).await?;
        }
    }
    Ok(())
}

/// Stores records; the ids of those that were not there.
pub(crate) async fn insert(tx: &mut Tx, rows: &[RecordRow]) -> Result<Vec<String>, StoreError> {
    let mut new = Vec::with_capacity(rows.len());
    match &mut tx.on {
        On::Sqlite(transaction) => {
            for (size, piece) in pieces(rows) {
                let mut values = SqliteArguments::default();
                let mut add = || -> Result<(), sqlx::error::BoxDynError> {
                    for row in piece {
                        values.add(row.id.as_str())?;
                        values.add(row.started_at)?;
                        for number in row.numbers {
                            values.add(number)?;
                        }
                        values.add(row.outcome.as_str())?;
                        values.add(row.record.as_str())?;
                    }
                    Ok(())
                };
                add().map_err(sqlx::Error::Encode)?;
                let text = AssertSqlSafe(RECORDS.sqlite[size].clone());
                let done = sqlx::query_as_with::<Sqlite, (String,), _>(text, values)
                    .fetch_all(&mut **transaction);
                new.extend(answered(done).await?.into_iter().map(|(id,)| id));
            }
        }
        On::Postgres(transaction) if !rows.is_empty() => {
            let mut values = PgArguments::default();
            let mut add = || -> Result<(), sqlx::error::BoxDynError> {
                let texts =
                    |text: fn(&RecordRow) -> &str| -> Vec<&str> { rows.iter().map(text).collect() };
                values.add(texts(|row| &row.id))?;
                values.add(rows.iter().map(|row| row.started_at).collect::<Vec<i64>>())?;
                for place in 0..6 {
                    let column: Vec<i64> = rows.iter().map(|row| row.numbers[place]).collect();
                    values.add(column)?;
                }
                values.add(texts(|row| &row.outcome))?;
                values.add(texts(|row| &row.record))?;
                Ok(())
            };
            add().map_err(sqlx::Error::Encode)?;
            let text = AssertSqlSafe(RECORDS.postgres.clone());
            let done = sqlx::query_as_with::<Postgres, (String,), _>(text, values)
                .fetch_all(&mut **transaction);
            new.extend(answered(done).await?.into_iter().map(|(id,)| id));
        }
        On::Postgres(_) => {}
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_all_rows_in_their_order() {
        for length in [0, 1, 3, 63, 64, 65, 500] {
            let rows: Vec<usize> = (0..length).collect();
            let all: Vec<usize> = pieces(&rows)
                .flat_map(|(place, piece)| {
                    assert_eq!(piece.len(), SIZES[place]);
                    piece.to_vec()
                })
                .collect();
            assert_eq!(all, rows);
        }
    }
}
