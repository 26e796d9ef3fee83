//! Every column that holds envelopes, so that none is forgotten when the master key is exchanged. A test reads the
//! migrations: a text whose name says `sealed`, `secret`, `totp` or `answer` is one.

use sqlx::{AssertSqlSafe, QueryBuilder};

use crate::database::on;
use crate::{Store, StoreError};

/// A column of envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    pub table: &'static str,
    /// What a row is found by, and an envelope bound to: an expression of SQL.
    pub id: &'static str,
    pub column: &'static str,
    /// For what it is sealed.
    pub purpose: &'static str,
    /// A column of fingerprints of the same secrets, which are of the master key, too.
    pub fingerprint: Option<&'static str>,
}

pub const SEALED: &[SealedColumn] = &[
    SealedColumn {
        table: "accounts",
        id: "id",
        column: "totp_secret",
        purpose: "totp",
        fingerprint: None,
    },
    SealedColumn {
        table: "accounts",
        id: "id",
        column: "totp_pending",
        purpose: "totp",
        fingerprint: None,
    },
    SealedColumn {
        table: "idempotency_keys",
        id: "(actor || ' ' || idempotency_key)",
        column: "answer",
        purpose: "answers",
        fingerprint: None,
    },
    SealedColumn {
        table: "provider_keys",
        id: "id",
        column: "sealed",
        purpose: "provider_keys",
        fingerprint: Some("fingerprint"),
    },
    // A reference is no envelope, and is left as it is.
    SealedColumn {
        table: "sign_in_providers",
        id: "id",
        column: "client_secret",
        purpose: "oidc",
        fingerprint: None,
    },
];

/// An envelope that took another's place.
#[derive(Debug, Clone)]
pub struct Resealed {
    pub id: String,
    pub before: String,
    pub after: String,
    pub fingerprint: Option<String>,
}

impl Store {
    /// Rows whose envelope takes this master key, from `after` on: id and envelope.
    pub async fn sealed_with(
        &self,
        column: &SealedColumn,
        key_id: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let SealedColumn {
            table, id, column, ..
        } = column;
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(format!("SELECT {id}, {column} FROM {table} WHERE {id} > "));
            query.push_bind(after.to_owned());
            // What begins so lies between it and what follows it by its bytes: a `/` comes after a dot.
            query.push(format!(" AND {column} > ")).push_bind(format!("v1.{key_id}."));
            query.push(format!(" AND {column} < ")).push_bind(format!("v1.{key_id}/"));
            query.push(format!(" ORDER BY {id} LIMIT ")).push_bind(i64::from(limit));
            query.build_query_as::<(String, String)>().fetch_all(connection).await
        })?;
        Ok(rows)
    }

    /// How many envelopes take this master key, in all columns.
    pub async fn count_sealed_with(&self, key_id: &str) -> Result<u64, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let mut sum = 0;
        for SealedColumn { table, column, .. } in SEALED {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE {column} > $1 AND {column} < $2");
            let rows = on!(tx, connection => sqlx::query_as::<_, (i64,)>(AssertSqlSafe(sql.clone()))
                .bind(format!("v1.{key_id}."))
                .bind(format!("v1.{key_id}/"))
                .fetch_all(connection)
                .await)?;
            sum += rows
                .first()
                .map_or(0, |(count,)| u64::try_from(*count).unwrap_or(0));
        }
        Ok(sum)
    }

    /// Puts envelopes in the place of others, all or none; rows that have changed meanwhile stay as they are.
    pub async fn reseal(&self, column: &SealedColumn, rows: &[Resealed]) -> Result<(), StoreError> {
        let mut tx = self.db.begin_write().await?;
        for row in rows {
            on!(tx, Database, connection => {
                let mut query = QueryBuilder::<Database>::new(format!("UPDATE {} SET {} = ", column.table, column.column));
                query.push_bind(row.after.clone());
                if let (Some(name), Some(fingerprint)) = (column.fingerprint, &row.fingerprint) {
                    query.push(format!(", {name} = ")).push_bind(fingerprint.clone());
                }
                query.push(format!(" WHERE {} = ", column.id)).push_bind(row.id.clone());
                query.push(format!(" AND {} = ", column.column)).push_bind(row.before.clone());
                query.build().execute(connection).await.map(drop)
            })?;
        }
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::MIGRATIONS;

    #[test]
    fn no_column_of_envelopes_is_forgotten() {
        let mut found = Vec::new();
        for migration in MIGRATIONS {
            let mut table = "";
            for line in migration.sql().lines() {
                let words: Vec<&str> = line
                    .split([' ', '(', ',', ';'])
                    .filter(|word| !word.is_empty())
                    .collect();
                if let ["CREATE" | "ALTER", "TABLE", name, ..] = words.as_slice() {
                    table = name;
                }
                let column = match words.as_slice() {
                    ["ALTER", "TABLE", _, "ADD", "COLUMN", column, "TEXT", ..]
                    | [column, "TEXT", ..] => *column,
                    _ => continue,
                };
                if ["sealed", "secret", "totp", "answer"]
                    .iter()
                    .any(|word| column.contains(word))
                {
                    found.push((table, column));
                }
            }
        }
        found.sort_unstable();
        let mut known: Vec<_> = SEALED.iter().map(|it| (it.table, it.column)).collect();
        known.sort_unstable();
        assert_eq!(found, known);
    }
}
