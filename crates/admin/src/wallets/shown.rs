//! Wallets and their entries as they are told.

use lingate_metering::Money;
use lingate_store::{Booked, Entry, EntryKind, Wallet};
use serde::Serialize;
use utoipa::ToSchema;

use crate::frame::{Dollars, moment_text};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Wallet)]
pub(crate) struct Shown {
    /// The id of the organization, which is the wallet's.
    pub(crate) organization: String,
    pub(crate) organization_name: String,
    /// What is left: `credits` without `spent`.
    pub(crate) balance: Dollars,
    /// The sum of all entries.
    pub(crate) credits: Dollars,
    /// The price of what was used since the wallet was opened.
    pub(crate) spent: Dollars,
    /// How far below nothing the balance may go.
    pub(crate) overdraft: Dollars,
    /// What may still be spent: the balance and the overdraft.
    pub(crate) available: Dollars,
    /// How many there are.
    pub(crate) entries: u64,
    #[schema(example = "2027-01-31T12:00:00.000Z")]
    pub(crate) opened_at: String,
    #[schema(example = "2027-01-31T12:00:00.000Z")]
    pub(crate) updated_at: String,
}

impl Shown {
    pub(crate) fn of(wallet: &Wallet, name: &str) -> Self {
        let balance = wallet.balance();
        let available = balance.plus(wallet.overdraft).max(Money::ZERO);
        Self {
            organization: wallet.organization.to_string(),
            organization_name: name.to_owned(),
            balance: balance.into(),
            credits: wallet.credits.into(),
            spent: wallet.spent.into(),
            overdraft: wallet.overdraft.into(),
            available: available.into(),
            entries: wallet.entries,
            opened_at: moment_text(wallet.opened_at),
            updated_at: moment_text(wallet.updated_at),
        }
    }
}

/// Something that was put into a wallet, or taken out of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WalletEntry)]
pub(crate) struct ShownEntry {
    pub(crate) id: String,
    pub(crate) organization: String,
    /// From 1 on, without a gap.
    pub(crate) number: u64,
    #[schema(example = "2027-01-31T12:00:00.000Z")]
    pub(crate) at: String,
    #[schema(value_type = KindOfEntry)]
    pub(crate) kind: EntryKind,
    /// What was taken out is below nothing.
    pub(crate) amount: Dollars,
    /// What was left then.
    pub(crate) balance: Dollars,
    /// No two entries of a kind have the same one.
    pub(crate) reference: String,
    /// The entry that this one gives back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refunds: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// Who made it.
    pub(crate) by: By,
}

/// As [`EntryKind`] is written.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what the store's type writes")]
pub(crate) enum KindOfEntry {
    TopUp,
    Redemption,
    Payment,
    Refund,
    Adjustment,
    Plan,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WalletEntryActor)]
pub(crate) struct By {
    /// `account`, `token`, `api_key`, `local`, `webhook` or `system`.
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) id: String,
    pub(crate) name: String,
}

impl ShownEntry {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            organization: entry.organization.to_string(),
            number: entry.number,
            at: moment_text(entry.at),
            kind: entry.kind,
            amount: entry.amount.into(),
            balance: entry.balance.into(),
            reference: entry.reference.clone(),
            refunds: entry.of.map(|of| of.to_string()),
            note: entry.note.clone(),
            by: By {
                kind: entry.actor_kind.clone(),
                id: entry.actor_id.clone(),
                name: entry.actor_name.clone(),
            },
        }
    }

    /// The entry, as it was made or as it was there.
    pub(super) fn booked(booked: &Booked) -> (http::StatusCode, axum::Json<Self>) {
        let status = if booked.is_new {
            http::StatusCode::CREATED
        } else {
            http::StatusCode::OK
        };
        (status, axum::Json(Self::of(&booked.entry)))
    }
}
