//! How database, counters and journal fare, told to the board twice a second.

use std::sync::Arc;
use std::time::Duration;

use lingate_config::{Database, Settings};
use lingate_counters::{Counters, Health, OnOutage};
use lingate_gateway::{Board, Gateway};
use lingate_journal::{Journal, Level};
use lingate_store::Store;
use serde_json::json;
use tokio::sync::watch;

use super::Callers;
use super::writing::Written;
use crate::when;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);

/// What is looked at.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) callers: Arc<Callers>,
    pub(super) settings: Settings,
    pub(super) store: watch::Receiver<Option<Store>>,
    pub(super) counters: Arc<Counters>,
    pub(super) journal: Arc<Journal>,
    pub(super) written: watch::Receiver<Written>,
}

pub(super) async fn tell(gateway: Arc<Gateway>, parts: Parts) {
    loop {
        let may_lack_keys = {
            let store = parts.store.borrow();
            parts.callers.may_lack_keys(store.as_ref())
        };
        gateway.set_may_lack_keys(may_lack_keys);
        parts.look(gateway.board());
        tokio::time::sleep(LOOK).await;
    }
}

impl Parts {
    fn look(&self, board: &Board) {
        self.database(board);
        self.counters(board);
        self.journal(board);
        self.writer(board);
    }

    fn database(&self, board: &Board) {
        let kind = match self.settings.database {
            Database::Sqlite(_) => "sqlite",
            Database::Postgres(_) => "postgres",
        };
        let figures = json!({"kind": kind});
        let away = self.store.borrow().as_ref().map(Store::absence);
        match away {
            Some(None) => board.well("database", figures),
            Some(Some(absence)) => {
                let why = absence.why;
                let why = format!(
                    "it is away ({why}): what is known of callers stays in force, and records wait in the journal"
                );
                board.ailing("database", &why, figures);
            }
            None => {
                let why = "it has not been reached since the start: callers are known from a copy or not at all, and records wait in the journal";
                board.ailing("database", why, figures);
            }
        }
    }

    fn counters(&self, board: &Board) {
        match self.counters.health() {
            Health::Memory => board.well("counters", json!({"kind": "memory"})),
            Health::Up { replicas, waiting } => {
                let figures = json!({"kind": "redis", "replicas": replicas, "waiting": waiting});
                board.well("counters", figures);
            }
            Health::Away {
                since: _,
                reason,
                rule,
                waiting,
            } => {
                let goes_on = match rule {
                    OnOutage::LocalLease => "this replica goes on with its share of what was left",
                    OnOutage::Allow => "everything is let through, and counted later",
                    OnOutage::Deny => "limited requests are refused",
                };
                let figures = json!({"kind": "redis", "waiting": waiting});
                board.ailing(
                    "counters",
                    &format!("Redis is away: {reason}; {goes_on}"),
                    figures,
                );
            }
        }
    }

    fn writer(&self, board: &Board) {
        let Some(health) = self.written.borrow().as_ref().map(|it| it.borrow().clone()) else {
            // With a database it begins in this moment.
            if self.store.borrow().is_some() {
                board.well("writer", json!({}));
            } else {
                board.ailing("writer", "it waits for the database", json!({}));
            }
            return;
        };
        let figures = json!({
            "waiting": health.waiting,
            "lag_seconds": health.lag(when::now()),
            "written": health.written,
            "repeated": health.repeated,
            "rejected": health.rejected,
        });
        match (&health.error, health.failing_since, health.rejected) {
            (Some(error), Some(_), _) => {
                let why =
                    format!("the database takes no records: {error}; they wait in the journal");
                board.ailing("writer", &why, figures);
            }
            (_, _, rejected) if rejected > 0 => {
                let why = format!(
                    "{rejected} records were put aside in rejected.jsonl beside the journal: the database refuses them"
                );
                board.ailing("writer", &why, figures);
            }
            _ => board.well("writer", figures),
        }
    }

    fn journal(&self, board: &Board) {
        let health = self.journal.health();
        let figures = json!(health);
        let why = match (&health.error, health.level) {
            _ if health.is_disk_full => {
                Some("its disk is full: requests that nobody could bill are refused".to_owned())
            }
            (Some(error), _) => Some(format!("it cannot be written: {error}")),
            (None, Level::Full) => {
                Some("it is full: the database has been away for too long".to_owned())
            }
            (None, Level::Alarm) => Some("more than four fifths of its room are taken".to_owned()),
            (None, Level::Calm | Level::Filling) => None,
        };
        match why {
            Some(why) => board.ailing("journal", &why, figures),
            None => board.well("journal", figures),
        }
    }
}
