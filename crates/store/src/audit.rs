//! The audit log: who did what to what, when, and from where. It is written in the transaction of the change that it tells, and only
//! ever added to.
//!
//! Each event's hash is over the event and the hash of the one before, and number and hash of the last one stand in `lingate_head`, so
//! that what is changed, left out, put in between or cut off afterwards shows ([`Store::check_audit`]). The database itself refuses to
//! change or delete events. Whoever owns the database can take that away and write another history whole: it shows to who has noted
//! the hash of an event elsewhere. Of secrets nothing is written.

use lingate_metering::{Id, Millis};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::QueryBuilder;

use crate::database::{Tx, execute, fetch_all, on};
use crate::{Kind, Store, StoreError};

/// Who acts, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub kind: ActorKind,
    /// Of the account, the key or the token; empty where there is none.
    pub id: String,
    /// As people know them.
    pub name: String,
    /// The address that the request came from.
    pub address: Option<String>,
    pub request_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person who is signed in.
    Account,
    /// A personal access token.
    Token,
    ApiKey,
    /// Whoever may read the data folder: the command line on this machine.
    Local,
    /// Somebody on this machine while nobody has to show anything (`auth: open`).
    Anyone,
    /// The gateway itself.
    System,
    /// Somebody who did not succeed in saying who they are.
    Nobody,
    /// Another service, by a webhook.
    Webhook,
}

impl ActorKind {
    pub const ALL: [Self; 8] = [
        Self::Account,
        Self::Token,
        Self::ApiKey,
        Self::Local,
        Self::Anyone,
        Self::System,
        Self::Nobody,
        Self::Webhook,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Token => "token",
            Self::ApiKey => "api_key",
            Self::Local => "local",
            Self::Anyone => "anyone",
            Self::System => "system",
            Self::Nobody => "nobody",
            Self::Webhook => "webhook",
        }
    }
}

/// What was done. An action is named by the kind of its object and this: `organization.create`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Create,
    Update,
    Delete,
    Block,
    Unblock,
    Rotate,
    Revoke,
    Accept,
    SignIn,
    SignOut,
    Lock,
    Enroll,
    Import,
    Export,
    Apply,
    TopUp,
    Redeem,
    Refund,
    Issue,
    Credit,
    Void,
    Cancel,
}

impl Deed {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Rotate => "rotate",
            Self::Revoke => "revoke",
            Self::Accept => "accept",
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::Lock => "lock",
            Self::Enroll => "enroll",
            Self::Import => "import",
            Self::Export => "export",
            Self::Apply => "apply",
            Self::TopUp => "top_up",
            Self::Redeem => "redeem",
            Self::Refund => "refund",
            Self::Issue => "issue",
            Self::Credit => "credit",
            Self::Void => "void",
            Self::Cancel => "cancel",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    #[default]
    Done,
    /// Not allowed, or not proved.
    Refused,
}

/// What is to be written of one thing that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditNote {
    pub deed: Deed,
    pub outcome: AuditOutcome,
    pub kind: Kind,
    pub id: String,
    pub name: String,
    pub organization: Option<Id>,
    pub project: Option<Id>,
    /// A sentence, where the rest does not say it.
    pub detail: Option<String>,
    /// Without secrets.
    pub before: Option<Value>,
    /// Without secrets.
    pub after: Option<Value>,
}

impl AuditOutcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

impl AuditNote {
    #[must_use]
    pub fn of(deed: Deed, kind: Kind, id: &dyn std::fmt::Display, name: &str) -> Self {
        Self {
            deed,
            outcome: AuditOutcome::Done,
            kind,
            id: id.to_string(),
            name: name.to_owned(),
            organization: None,
            project: None,
            detail: None,
            before: None,
            after: None,
        }
    }
}

/// An event as it is written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditEvent {
    /// From 1 on, without a gap.
    pub number: i64,
    pub at: Millis,
    pub actor_kind: String,
    pub actor_id: String,
    pub actor_name: String,
    /// `organization.create`
    pub action: String,
    pub outcome: AuditOutcome,
    pub object_kind: String,
    pub object_id: String,
    pub object_name: String,
    pub organization: Option<String>,
    pub project: Option<String>,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub detail: Option<String>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// SHA-256 over the event and the hash before, as 64 hexadecimal digits.
    pub hash: String,
}

/// Which events are wanted, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of these alone, and of `projects` besides; `None`: of all, and of none.
    pub organizations: Option<Vec<Id>>,
    /// Counts where `organizations` does.
    pub projects: Vec<Id>,
    pub organization: Option<Id>,
    pub project: Option<Id>,
    /// Their id, or their name.
    pub actor: Option<String>,
    /// As a whole, or what it begins with up to a dot (`organization`).
    pub action: Option<String>,
    /// Its id, or its name.
    pub object: Option<String>,
    pub outcome: Option<AuditOutcome>,
    pub request_id: Option<String>,
    pub since: Option<Millis>,
    /// Not included.
    pub until: Option<Millis>,
    /// Older than this number: the `next` of the page before.
    pub before: Option<i64>,
    /// At most so many, up to 1,000; 0: a hundred.
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditPage {
    pub items: Vec<AuditEvent>,
    pub next: Option<i64>,
}

/// The chain of hashes, as far as it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// How many events there are, which is the number of the last one.
    pub events: i64,
    /// Of the last event. Who notes it elsewhere can show later that nothing up to it has changed. Empty: there is no event.
    pub hash: String,
}

/// Where the chain of hashes does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The first event that is missing, or does not follow from the one before.
    pub number: i64,
    pub why: String,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    number: i64,
    at: i64,
    actor_kind: String,
    actor_id: String,
    actor_name: String,
    action: String,
    outcome: String,
    object_kind: String,
    object_id: String,
    object_name: String,
    organization_id: Option<String>,
    project_id: Option<String>,
    address: Option<String>,
    request_id: Option<String>,
    detail: Option<String>,
    before: Option<String>,
    after: Option<String>,
    hash: String,
}

const SELECT: &str = "SELECT number, at, actor_kind, actor_id, actor_name, action, outcome, object_kind, object_id, object_name, organization_id, project_id, address, request_id, detail, before, after, hash FROM audit_log";

/// What the first event's hash follows.
const BEGINNING: &str = "";

impl Row {
    /// Over all that the row says, each with its length before it, so that nothing can be moved from one column into the next.
    fn hash_after(&self, previous: &str) -> String {
        let mut hash = Sha256::default();
        let mut add = |text: Option<&str>| match text {
            None => hash.update([0]),
            Some(text) => {
                hash.update([1]);
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text.as_bytes());
            }
        };
        add(Some(previous));
        add(Some(&self.number.to_string()));
        add(Some(&self.at.to_string()));
        for text in [
            &self.actor_kind,
            &self.actor_id,
            &self.actor_name,
            &self.action,
            &self.outcome,
            &self.object_kind,
            &self.object_id,
            &self.object_name,
        ] {
            add(Some(text));
        }
        for text in [
            &self.organization_id,
            &self.project_id,
            &self.address,
            &self.request_id,
            &self.detail,
            &self.before,
            &self.after,
        ] {
            add(text.as_deref());
        }
        crate::key::digits(&hash.finalize().into())
    }

    fn event(self) -> AuditEvent {
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        AuditEvent {
            number: self.number,
            at: self.at,
            actor_kind: self.actor_kind,
            actor_id: self.actor_id,
            actor_name: self.actor_name,
            action: self.action,
            outcome: if self.outcome == "refused" {
                AuditOutcome::Refused
            } else {
                AuditOutcome::Done
            },
            object_kind: self.object_kind,
            object_id: self.object_id,
            object_name: self.object_name,
            organization: self.organization_id,
            project: self.project_id,
            address: self.address,
            request_id: self.request_id,
            detail: self.detail,
            before: json(self.before),
            after: json(self.after),
            hash: self.hash,
        }
    }
}

/// Adds events. The caller holds the row of `lingate_head`: events are in one order, on all replicas.
pub(crate) async fn write(
    tx: &mut Tx,
    act: Option<&Act>,
    at: Millis,
    notes: Vec<AuditNote>,
) -> Result<(), StoreError> {
    if notes.is_empty() {
        return Ok(());
    }
    // What the head says, not what is there: events that were cut off leave a gap. Of what somebody else put behind the last event
    // the number is taken, and nothing follows from it.
    let last = fetch_all!(
        tx,
        (i64, String, i64),
        "SELECT audit_number, audit_hash, COALESCE((SELECT MAX(number) FROM audit_log), 0) FROM lingate_head"
    )?;
    let Some((head, mut hash, there)) = last.into_iter().next() else {
        return Err(StoreError::Other("lingate_head has no row".into()));
    };
    let mut number = head.max(there);
    let system = Act {
        kind: ActorKind::System,
        id: String::new(),
        name: "lingate".to_owned(),
        address: None,
        request_id: None,
    };
    let act = act.unwrap_or(&system);
    for note in notes {
        number += 1;
        let json = |value: Option<Value>| value.map(|value| value.to_string());
        // PostgreSQL's text holds no NUL.
        let clean = |text: &str| text.replace('\0', "\u{fffd}");
        let mut row = Row {
            number,
            at,
            actor_kind: act.kind.name().to_owned(),
            actor_id: clean(&act.id),
            actor_name: clean(&act.name),
            action: format!("{}.{}", note.kind.name(), note.deed.name()),
            outcome: note.outcome.name().to_owned(),
            object_kind: note.kind.name().to_owned(),
            object_id: clean(&note.id),
            object_name: clean(&note.name),
            organization_id: note.organization.map(|id| id.to_string()),
            project_id: note.project.map(|id| id.to_string()),
            address: act.address.clone(),
            request_id: act.request_id.as_deref().map(clean),
            detail: note.detail.as_deref().map(clean),
            before: json(note.before),
            after: json(note.after),
            hash: String::new(),
        };
        hash = row.hash_after(&hash);
        row.hash.clone_from(&hash);
        execute!(
            tx,
            "INSERT INTO audit_log (number, at, actor_kind, actor_id, actor_name, action, outcome, object_kind, object_id, object_name, organization_id, project_id, address, request_id, detail, before, after, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
            row.number,
            row.at,
            row.actor_kind.as_str(),
            row.actor_id.as_str(),
            row.actor_name.as_str(),
            row.action.as_str(),
            row.outcome.as_str(),
            row.object_kind.as_str(),
            row.object_id.as_str(),
            row.object_name.as_str(),
            row.organization_id.as_deref(),
            row.project_id.as_deref(),
            row.address.as_deref(),
            row.request_id.as_deref(),
            row.detail.as_deref(),
            row.before.as_deref(),
            row.after.as_deref(),
            row.hash.as_str()
        )?;
    }
    execute!(
        tx,
        "UPDATE lingate_head SET audit_number = $1, audit_hash = $2 WHERE only_one = 1",
        number,
        hash
    )?;
    Ok(())
}

impl Store {
    /// Writes down something that changes nothing else: who signed in, who was refused, what was exported.
    pub async fn audit(&self, note: AuditNote) -> Result<(), StoreError> {
        self.audit_all([note]).await
    }

    /// As [`Store::audit`], of several things that happened at once.
    pub async fn audit_all(
        &self,
        notes: impl IntoIterator<Item = AuditNote>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin_change().await?;
        for note in notes {
            change.note(note);
        }
        self.commit(change).await
    }

    pub async fn audit_log(&self, filter: &AuditFilter) -> Result<AuditPage, StoreError> {
        let texts = [
            &filter.actor,
            &filter.action,
            &filter.object,
            &filter.request_id,
        ];
        // PostgreSQL's text holds no NUL, so none is written.
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            return Ok(AuditPage {
                items: Vec::new(),
                next: None,
            });
        }
        let limit = match filter.limit {
            0 => 100,
            limit => limit.min(1000),
        };
        let mut tx = self.db.begin_read().await?;
        let mut rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE 1 = 1");
            if let Some(organizations) = &filter.organizations {
                query.push(" AND (organization_id IN (''");
                for id in organizations {
                    query.push(", ").push_bind(id.to_string());
                }
                query.push(") OR project_id IN (''");
                for id in &filter.projects {
                    query.push(", ").push_bind(id.to_string());
                }
                query.push("))");
            }
            if let Some(organization) = filter.organization {
                query.push(" AND organization_id = ").push_bind(organization.to_string());
            }
            if let Some(project) = filter.project {
                query.push(" AND project_id = ").push_bind(project.to_string());
            }
            if let Some(actor) = &filter.actor {
                query.push(" AND (actor_id = ").push_bind(actor.clone());
                query.push(" OR actor_name = ").push_bind(actor.clone()).push(")");
            }
            if let Some(action) = &filter.action {
                if action.contains('.') {
                    query.push(" AND action = ").push_bind(action.clone());
                } else {
                    query.push(" AND object_kind = ").push_bind(action.clone());
                }
            }
            if let Some(object) = &filter.object {
                query.push(" AND (object_id = ").push_bind(object.clone());
                query.push(" OR object_name = ").push_bind(object.clone()).push(")");
            }
            if let Some(outcome) = filter.outcome {
                query.push(" AND outcome = ").push_bind(outcome.name());
            }
            if let Some(request) = &filter.request_id {
                query.push(" AND request_id = ").push_bind(request.clone());
            }
            if let Some(since) = filter.since {
                query.push(" AND at >= ").push_bind(since);
            }
            if let Some(until) = filter.until {
                query.push(" AND at < ").push_bind(until);
            }
            if let Some(before) = filter.before {
                query.push(" AND number < ").push_bind(before);
            }
            query.push(" ORDER BY number DESC LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let items: Vec<AuditEvent> = rows.into_iter().map(Row::event).collect();
        let next = items.last().filter(|_| more).map(|event| event.number);
        Ok(AuditPage { items, next })
    }

    /// The event of this number; `None`: there is none.
    pub async fn audit_event(&self, number: i64) -> Result<Option<AuditEvent>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE number = ").push_bind(number);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        Ok(rows.into_iter().next().map(Row::event))
    }

    /// Follows the chain of hashes from the first event to the last, and holds its end against what was noted of it; how far it goes,
    /// or where it breaks. Reads all of the log, a thousand events at a time.
    pub async fn check_audit(&self) -> Result<Result<Chain, Broken>, StoreError> {
        const AT_ONCE: i64 = 1000;
        let (mut number, mut hash) = (0, BEGINNING.to_owned());
        let mut behind = i64::MIN;
        let broken = |number, why: &str| {
            Ok(Err(Broken {
                number,
                why: why.to_owned(),
            }))
        };
        loop {
            let mut tx = self.db.begin_read().await?;
            let rows = on!(tx, Database, connection => {
                let mut query = QueryBuilder::<Database>::new(SELECT);
                query.push(" WHERE number > ").push_bind(behind);
                query.push(" ORDER BY number LIMIT ").push_bind(AT_ONCE);
                query.build_query_as::<Row>().fetch_all(connection).await
            })?;
            if rows.is_empty() {
                let head = fetch_all!(
                    tx,
                    (i64, String),
                    "SELECT audit_number, audit_hash FROM lingate_head"
                )?;
                let Some((last, its_hash)) = head.into_iter().next() else {
                    return Err(StoreError::Other("lingate_head has no row".into()));
                };
                if last > number {
                    return broken(number + 1, "it was written, and is missing");
                }
                if last < number {
                    return broken(last + 1, "it is behind the last one that was written");
                }
                if hash != its_hash {
                    return broken(number, "it is not the one that was written last");
                }
                return Ok(Ok(Chain { events: last, hash }));
            }
            for row in rows {
                if row.number <= 0 {
                    return broken(row.number, "no event has such a number");
                }
                if row.number != number + 1 {
                    return broken(number + 1, "it was written, and is missing");
                }
                if row.hash_after(&hash) != row.hash {
                    return broken(
                        row.number,
                        "it is not what was written, or the one before is not",
                    );
                }
                number = row.number;
                behind = number;
                hash = row.hash;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_actors_are_called_as_they_are_written() {
        for kind in ActorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
