//! Batches of codes as they are told.

use lingate_store::{CodeBatch, CodeState, Worth};
use serde::Serialize;
use utoipa::ToSchema;

use crate::frame::{Dollars, moment_text};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CodeBatch)]
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) count: u32,
    /// How many were redeemed.
    pub(super) redeemed: u64,
    /// What each is good for, in money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<Dollars>,
    /// The plan that each gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<String>,
    /// For so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) days: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    /// How many of them one organization may redeem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) per_organization: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revoked_at: Option<String>,
    pub(super) created_at: String,
    pub(super) created_by: String,
}

impl Shown {
    pub(super) fn of(batch: &CodeBatch) -> Self {
        let (value, plan, days) = match &batch.worth {
            Worth::Money(amount) => (Some(Dollars(*amount)), None, None),
            Worth::Plan { plan, days } => (None, Some(plan.clone()), Some(*days)),
        };
        Self {
            id: batch.id.to_string(),
            count: batch.count,
            redeemed: batch.redeemed,
            value,
            plan,
            days,
            prefix: batch.prefix.clone(),
            note: batch.note.clone(),
            per_organization: batch.per_organization,
            expires_at: batch.expires_at.map(moment_text),
            revoked_at: batch.revoked_at.map(moment_text),
            created_at: moment_text(batch.created_at),
            created_by: batch.created_by.clone(),
        }
    }
}

/// A code, without what it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Code)]
pub(super) struct ShownCode {
    /// In its batch, from 1 on.
    pub(super) place: u32,
    /// Its last four characters.
    pub(super) hint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redeemed_at: Option<String>,
    /// The organization that has redeemed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redeemed_by: Option<String>,
}

impl ShownCode {
    pub(super) fn of(code: &CodeState) -> Self {
        Self {
            place: code.place,
            hint: code.hint.clone(),
            revoked_at: code.revoked_at.map(moment_text),
            redeemed_at: code.redeemed_at.map(moment_text),
            organization: code.organization.map(|id| id.to_string()),
            redeemed_by: code.redeemed_by.clone(),
        }
    }
}
