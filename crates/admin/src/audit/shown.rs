//! An event as it is told.

use lingate_store::{AuditEvent, AuditOutcome};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::frame::moment_text;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(super) struct Shown {
    /// From 1 on, without a gap, for all organizations together.
    number: i64,
    #[schema(example = "2027-01-31T12:00:00.000Z")]
    at: String,
    actor: Actor,
    #[schema(example = "organization.update")]
    action: String,
    /// `done`, or `refused`: not allowed, or not proved.
    outcome: &'static str,
    object: Object,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    /// The address that the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// As it was, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// As it is since, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
    /// SHA-256 over this event and the hash of the one before.
    hash: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
pub(super) struct Actor {
    /// `account`, `token`, `api_key`, `local`, `anyone`, `system`, `nobody` or `webhook`.
    kind: String,
    id: String,
    name: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditObject)]
pub(super) struct Object {
    kind: String,
    id: String,
    name: String,
}

impl Shown {
    pub(super) fn of(event: AuditEvent) -> Self {
        Self {
            number: event.number,
            at: moment_text(event.at),
            actor: Actor {
                kind: event.actor_kind,
                id: event.actor_id,
                name: event.actor_name,
            },
            action: event.action,
            outcome: match event.outcome {
                AuditOutcome::Done => "done",
                AuditOutcome::Refused => "refused",
            },
            object: Object {
                kind: event.object_kind,
                id: event.object_id,
                name: event.object_name,
            },
            organization: event.organization,
            project: event.project,
            address: event.address,
            request_id: event.request_id,
            detail: event.detail,
            before: event.before,
            after: event.after,
            hash: event.hash,
        }
    }
}

/// Of a sheet of events.
pub(super) const COLUMNS: [&str; 18] = [
    "number",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "action",
    "outcome",
    "object_kind",
    "object_id",
    "object_name",
    "organization",
    "project",
    "address",
    "request_id",
    "detail",
    "before",
    "after",
    "hash",
];

impl Shown {
    /// In the order of [`COLUMNS`].
    pub(super) fn cells(self) -> [String; 18] {
        let json = |value: Option<Value>| value.map(|value| value.to_string()).unwrap_or_default();
        [
            self.number.to_string(),
            self.at,
            self.actor.kind,
            self.actor.id,
            self.actor.name,
            self.action,
            self.outcome.to_owned(),
            self.object.kind,
            self.object.id,
            self.object.name,
            self.organization.unwrap_or_default(),
            self.project.unwrap_or_default(),
            self.address.unwrap_or_default(),
            self.request_id.unwrap_or_default(),
            self.detail.unwrap_or_default(),
            json(self.before),
            json(self.after),
            self.hash,
        ]
    }
}
