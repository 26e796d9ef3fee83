//! What the parts beside the request path say of themselves: the database, the counters, the journal, the writer. None of them makes a
//! request fail by itself, so what ails one is told here, in `/health` and once in the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The parts and how they fare, each as it was last told.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<&'static str, Part>>);

#[derive(Debug, Clone)]
struct Part {
    ailing: Option<Ailing>,
    figures: Map<String, Value>,
}

#[derive(Debug, Clone)]
struct Ailing {
    why: String,
    since: Timestamp,
}

impl Board {
    /// A part works as it should; `figures`, an object, are shown as they are.
    pub fn well(&self, part: &'static str, figures: Value) {
        let before = self.parts().insert(
            part,
            Part {
                ailing: None,
                figures: fields(figures),
            },
        );
        if let Some(ailing) = before.and_then(|before| before.ailing) {
            let seconds = Timestamp::now().as_second() - ailing.since.as_second();
            tracing::info!(part, seconds, "works again");
        }
    }

    /// A part does not do all that it should: why, as a sentence without a secret.
    pub fn ailing(&self, part: &'static str, why: &str, figures: Value) {
        let mut parts = self.parts();
        let before = parts.get(part).and_then(|part| part.ailing.as_ref());
        let since = before.map_or_else(Timestamp::now, |before| before.since);
        let news = before.is_none();
        let ailing = Some(Ailing {
            why: why.to_owned(),
            since,
        });
        let figures = fields(figures);
        parts.insert(part, Part { ailing, figures });
        drop(parts);
        if news {
            tracing::warn!(part, why, "does not work as it should");
        }
    }

    /// Whether all parts work as they should.
    pub(crate) fn is_well(&self) -> bool {
        self.parts().values().all(|part| part.ailing.is_none())
    }

    /// Part by part.
    pub(crate) fn told(&self) -> Map<String, Value> {
        let tell = |(name, part): (&&'static str, &Part)| {
            let mut told = Map::new();
            let status = if part.ailing.is_some() {
                "degraded"
            } else {
                "ok"
            };
            told.insert("status".to_owned(), json!(status));
            if let Some(Ailing { why, since }) = &part.ailing {
                told.insert("reason".to_owned(), json!(why));
                told.insert(
                    "since".to_owned(),
                    json!(since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
                );
            }
            told.extend(part.figures.clone());
            ((*name).to_owned(), Value::Object(told))
        };
        self.parts().iter().map(tell).collect()
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<&'static str, Part>> {
        // Nothing under this lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fields(figures: Value) -> Map<String, Value> {
    match figures {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ails_a_part_is_told_since_it_began() {
        let board = Board::default();
        board.well("database", json!({"kind": "sqlite"}));
        assert!(board.is_well());
        let part = || board.told()["database"].clone();
        assert_eq!(part(), json!({"status": "ok", "kind": "sqlite"}));
        board.ailing("database", "is away", json!({"kind": "sqlite"}));
        let first = part();
        assert!(!board.is_well());
        assert_eq!(
            (&first["status"], &first["reason"]),
            (&json!("degraded"), &json!("is away"))
        );
        board.ailing("database", "is still away", json!({}));
        let second = part();
        assert_eq!(
            (&second["since"], &second["reason"]),
            (&first["since"], &json!("is still away"))
        );
        board.well("database", json!({}));
        assert_eq!(part(), json!({"status": "ok"}));
    }
}
