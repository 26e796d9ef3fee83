//! Payments that other services tell of: each event is taken once, each payment is credited once, and what cannot be credited is kept
//! for a person.

use lingate_metering::{Id, Millis, Money};

use crate::database::{execute, fetch_all};
use crate::store::Change;
use crate::wallet::{self, Booked, Entry, EntryKind, NewEntry, clean};
use crate::{Kind, Store, StoreError};

/// What a service has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentEvent {
    /// `stripe`
    pub provider: &'static str,
    /// The service's own; the same event has the same one.
    pub id: String,
    /// As the service calls it.
    pub kind: String,
    pub created_at: Millis,
    /// JSON, without what would tell of cards.
    pub event: String,
    pub effect: PaymentEffect,
}

/// What is to come of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentEffect {
    /// Money is there.
    Paid(Payment),
    /// Of a payment so much was given back by now, in the smallest unit of its currency.
    Refunded { payment: String, minor: u64 },
    /// It is no news.
    Nothing,
    /// It may be one, and cannot be understood.
    Unclear(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The service's own.
    pub id: String,
    /// Whose wallet it is for; `None`: nobody says, or there is no such organization.
    pub organization: Option<(Id, String)>,
    pub currency: String,
    /// In the smallest unit of the currency.
    pub minor: u64,
    /// In dollars; `None`: there is no rate.
    pub amount: Option<Money>,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentOutcome {
    Credited(Entry),
    Refunded(Entry),
    /// A person has to look.
    Kept(String),
    Noted,
    /// It was taken before.
    Repeated,
}

impl PaymentOutcome {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Credited(_) => "credited",
            Self::Refunded(_) => "refunded",
            Self::Kept(_) => "kept",
            Self::Noted => "noted",
            Self::Repeated => "repeated",
        }
    }
}

/// An event that was taken.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TakenEvent {
    pub provider: String,
    pub id: String,
    pub kind: String,
    pub created_at: i64,
    pub received_at: i64,
    pub outcome: String,
    pub payment: Option<String>,
    pub organization_id: Option<String>,
    pub detail: Option<String>,
    /// JSON, without what would tell of cards.
    pub event: String,
}

impl Store {
    /// Takes an event, once.
    pub async fn take_payment(&self, event: PaymentEvent) -> Result<PaymentOutcome, StoreError> {
        let mut change = self.begin_change().await?;
        let there = fetch_all!(
            change.tx,
            (i64,),
            "SELECT received_at FROM payment_events WHERE provider = $1 AND id = $2",
            event.provider,
            event.id.as_str()
        )?;
        if !there.is_empty() {
            return Ok(PaymentOutcome::Repeated);
        }
        let (payment, organization) = match &event.effect {
            PaymentEffect::Paid(paid) => (
                Some(paid.id.clone()),
                paid.organization.as_ref().map(|(id, _)| id.to_string()),
            ),
            PaymentEffect::Refunded { payment, .. } => (Some(payment.clone()), None),
            PaymentEffect::Nothing | PaymentEffect::Unclear(_) => (None, None),
        };
        let outcome = match &event.effect {
            PaymentEffect::Nothing => PaymentOutcome::Noted,
            PaymentEffect::Unclear(why) => PaymentOutcome::Kept(why.clone()),
            PaymentEffect::Paid(paid) => self.credit(&mut change, event.provider, paid).await?,
            PaymentEffect::Refunded { payment, minor } => {
                self.take_back(&mut change, &event, payment, *minor).await?
            }
        };
        let detail = match &outcome {
            PaymentOutcome::Kept(why) => Some(why.as_str()),
            PaymentOutcome::Repeated => Some("this payment was credited before"),
            _ => None,
        };
        execute!(
            change.tx,
            "INSERT INTO payment_events (provider, id, kind, created_at, received_at, outcome, payment, organization_id, detail, event) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            event.provider,
            event.id.as_str(),
            clean(&event.kind),
            event.created_at,
            change.at,
            outcome.name(),
            payment,
            organization,
            detail,
            clean(&event.event)
        )?;
        self.commit(change).await?;
        Ok(outcome)
    }

    /// Events, the last that were taken first; of one outcome, if one is named.
    pub async fn payment_events(
        &self,
        outcome: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TakenEvent>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = fetch_all!(
            tx,
            TakenEvent,
            "SELECT provider, id, kind, created_at, received_at, outcome, payment, organization_id, detail, event FROM payment_events WHERE $1 = '' OR outcome = $1 ORDER BY received_at DESC, id DESC LIMIT $2",
            outcome.unwrap_or_default(),
            i64::from(limit.min(1000))
        )?;
        Ok(rows)
    }

    async fn credit(
        &self,
        change: &mut Change,
        provider: &'static str,
        paid: &Payment,
    ) -> Result<PaymentOutcome, StoreError> {
        let there = fetch_all!(
            change.tx,
            (String,),
            "SELECT entry_id FROM payments WHERE provider = $1 AND id = $2",
            provider,
            paid.id.as_str()
        )?;
        if !there.is_empty() {
            return Ok(PaymentOutcome::Repeated);
        }
        let kept = |why: &str| Ok(PaymentOutcome::Kept(why.to_owned()));
        let Some((organization, name)) = &paid.organization else {
            return kept("it names no organization that is here");
        };
        let Some(amount) = paid.amount else {
            return kept("there is no rate for its currency (`payments.rates`)");
        };
        if amount <= Money::ZERO {
            return kept("it is of nothing");
        }
        let new = NewEntry {
            kind: EntryKind::Payment,
            amount,
            reference: Some(format!("{provider} {}", paid.id)),
            of: None,
            note: Some(format!("{} {} {}", provider, paid.minor, paid.currency)),
            forced: false,
        };
        let Booked { entry, .. } = match wallet::book(self, change, *organization, name, new).await
        {
            Ok(booked) => booked,
            Err(StoreError::NotFound {
                kind: Kind::Wallet, ..
            }) => return kept("the organization has no wallet"),
            Err(StoreError::Invalid { problem, .. }) => return kept(&problem),
            Err(error) => return Err(error),
        };
        execute!(
            change.tx,
            "INSERT INTO payments (provider, id, organization_id, entry_id, currency, minor, amount, refunded_minor, refunded, at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8)",
            provider,
            paid.id.as_str(),
            organization.to_string(),
            entry.id.to_string(),
            paid.currency.as_str(),
            i64::try_from(paid.minor).unwrap_or(i64::MAX),
            amount.nano(),
            change.at
        )?;
        Ok(PaymentOutcome::Credited(entry))
    }

    /// The service has given money back already: the wallet may owe it then.
    async fn take_back(
        &self,
        change: &mut Change,
        event: &PaymentEvent,
        payment: &str,
        minor: u64,
    ) -> Result<PaymentOutcome, StoreError> {
        let rows = fetch_all!(
            change.tx,
            (String, String, i64, i64, i64, i64),
            "SELECT organization_id, entry_id, minor, amount, refunded_minor, refunded FROM payments WHERE provider = $1 AND id = $2",
            event.provider,
            payment
        )?;
        let Some((organization, entry, paid, amount, before, refunded)) = rows.into_iter().next()
        else {
            return Ok(PaymentOutcome::Kept(
                "the payment that was given back was not credited here".to_owned(),
            ));
        };
        let minor = i64::try_from(minor).unwrap_or(i64::MAX).min(paid);
        if minor <= before || paid <= 0 {
            return Ok(PaymentOutcome::Noted);
        }
        // Of all that was given back so far the share of the credit, so that nothing is left over at the end.
        let share = i128::from(amount) * i128::from(minor) / i128::from(paid);
        let share = i64::try_from(share).unwrap_or(amount);
        let new = NewEntry {
            kind: EntryKind::Refund,
            amount: Money::from_nano(refunded - share),
            reference: Some(format!("{} {}", event.provider, event.id)),
            of: Some(wallet::id(&entry)?),
            note: Some(format!("{} {payment}", event.provider)),
            forced: true,
        };
        let organization = wallet::id(&organization)?;
        let name = organization.to_string();
        let booked = match wallet::book(self, change, organization, &name, new).await {
            Ok(booked) => booked,
            // Somebody has given it back by hand before.
            Err(StoreError::Invalid { problem, .. }) => {
                return Ok(PaymentOutcome::Kept(problem));
            }
            Err(error) => return Err(error),
        };
        execute!(
            change.tx,
            "UPDATE payments SET refunded_minor = $1, refunded = $2 WHERE provider = $3 AND id = $4",
            minor,
            share,
            event.provider,
            payment
        )?;
        Ok(PaymentOutcome::Refunded(booked.entry))
    }
}
