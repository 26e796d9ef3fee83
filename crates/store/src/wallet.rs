//! Wallets: what organizations have paid in advance, and what is left of it.
//!
//! A wallet's `credits` are the sum of its entries, which are only ever added to; `spent` is the price of all usage that began since
//! it was opened, and is counted by whoever writes the records, in the same transaction ([`charge`]). So the balance is that of the
//! ledger, to the nano-dollar, whenever it is read.
//!
//! Entries are made while the store's revision is held: replicas are told of another sum of credits as of every other change.

use std::collections::{BTreeMap, HashMap};

use lingate_metering::tenant::{PlanTerm, PlanTerms, Prepaid};
use lingate_metering::{Id, Millis, Money};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::QueryBuilder;

use crate::audit::{ActorKind, AuditNote, Deed};
use crate::database::{On, Tx, execute, fetch_all, on};
use crate::store::{Change, now};
use crate::{Kind, Revision, Store, StoreError, new_id};

/// The most that an entry adds or takes: a billion dollars. Sums of them end at nine.
pub const MOST_MONEY: Money = Money::from_nano(1_000_000_000_000_000_000);

pub(crate) const DAY: Millis = 24 * 60 * 60 * 1000;

/// What writers of usage share and whoever opens a wallet holds alone, so that a request that began after the opening is not written
/// by somebody who has not seen it ("wallets" in ASCII).
const OPENING: i64 = 0x0077_616c_6c65_7473;

/// What an organization has paid in advance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    pub organization: Id,
    /// Usage that began before does not count.
    pub opened_at: Millis,
    /// The sum of all entries.
    pub credits: Money,
    /// The price of what was used since.
    pub spent: Money,
    /// How far below nothing the balance may go.
    pub overdraft: Money,
    /// How many there are.
    pub entries: u64,
    pub revision: Revision,
    pub updated_at: Millis,
}

impl Wallet {
    pub fn balance(&self) -> Money {
        self.credits.minus(self.spent)
    }

    fn shown(&self) -> serde_json::Value {
        json!({"credits": self.credits.to_string(), "overdraft": self.overdraft.to_string()})
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// By hand.
    TopUp,
    /// Of a code.
    Redemption,
    /// By a payment service.
    Payment,
    /// Given back of one of the former.
    Refund,
    /// A correction, up or down.
    Adjustment,
    /// Time of a plan, which is no money.
    Plan,
}

impl EntryKind {
    pub const ALL: [Self; 6] = [
        Self::TopUp,
        Self::Redemption,
        Self::Payment,
        Self::Refund,
        Self::Adjustment,
        Self::Plan,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Redemption => "redemption",
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::Adjustment => "adjustment",
            Self::Plan => "plan",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What was put in, and may be given back.
    fn is_refundable(self) -> bool {
        matches!(self, Self::TopUp | Self::Redemption | Self::Payment)
    }
}

/// What is put into a wallet, or taken out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    pub kind: EntryKind,
    /// What is taken out is below nothing.
    pub amount: Money,
    /// One entry of a kind for each: who says it again is told of the entry that there is. `None`: one of its own.
    pub reference: Option<String>,
    /// The entry that is given back.
    pub of: Option<Id>,
    pub note: Option<String>,
    /// Though the balance is below nothing then.
    pub forced: bool,
}

/// An entry of a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: Id,
    pub organization: Id,
    /// From 1 on, without a gap.
    pub number: u64,
    pub at: Millis,
    pub kind: EntryKind,
    pub amount: Money,
    /// What was left then.
    pub balance: Money,
    pub reference: String,
    /// The entry that is given back.
    pub of: Option<Id>,
    pub note: Option<String>,
    pub actor_kind: String,
    pub actor_id: String,
    pub actor_name: String,
}

/// An entry, and whether it is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    pub entry: Entry,
    /// False: it was there already.
    pub is_new: bool,
}

/// Which entries are wanted, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    pub kind: Option<EntryKind>,
    pub since: Option<Millis>,
    /// Not included.
    pub until: Option<Millis>,
    /// Older than this number: the last of the page before.
    pub before: Option<u64>,
    /// At most so many, up to 1,000; 0: a hundred.
    pub limit: u32,
}

/// What happened to a wallet in some days (UTC): the opening balance, the entries and what was used add up to the closing one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub wallet: Wallet,
    /// Days since 1970.
    pub from: i64,
    /// Not included.
    pub until: i64,
    pub opening: Money,
    /// The oldest first.
    pub entries: Vec<Entry>,
    pub usage: Vec<UsageDay>,
    pub closing: Money,
}

/// What was used in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageDay {
    /// Since 1970, in UTC.
    pub day: i64,
    pub requests: u64,
    pub spent: Money,
}

/// The longest statement, in days.
pub const LONGEST_STATEMENT: i64 = 3_660;
/// The most entries of one statement.
const MOST_ENTRIES: usize = 100_000;

#[derive(Debug, sqlx::FromRow)]
struct WalletRow {
    organization_id: String,
    opened_at: i64,
    credits: i64,
    spent: i64,
    overdraft: i64,
    entries: i64,
    revision: i64,
    updated_at: i64,
}

impl WalletRow {
    fn wallet(self) -> Result<Wallet, StoreError> {
        Ok(Wallet {
            organization: id(&self.organization_id)?,
            opened_at: self.opened_at,
            credits: Money::from_nano(self.credits),
            spent: Money::from_nano(self.spent),
            overdraft: Money::from_nano(self.overdraft),
            entries: u64::try_from(self.entries).unwrap_or(0),
            revision: self.revision,
            updated_at: self.updated_at,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct EntryRow {
    organization_id: String,
    number: i64,
    id: String,
    at: i64,
    kind: String,
    amount: i64,
    balance: i64,
    reference: String,
    of_entry: Option<String>,
    note: Option<String>,
    actor_kind: String,
    actor_id: String,
    actor_name: String,
}

const ENTRY: &str = "SELECT organization_id, number, id, at, kind, amount, balance, reference, of_entry, note, actor_kind, actor_id, actor_name FROM wallet_entries";

impl EntryRow {
    fn entry(self) -> Result<Entry, StoreError> {
        Ok(Entry {
            id: id(&self.id)?,
            organization: id(&self.organization_id)?,
            number: u64::try_from(self.number).unwrap_or(0),
            at: self.at,
            kind: EntryKind::from_name(&self.kind).ok_or_else(|| {
                StoreError::Other(format!("an entry of the unknown kind {}", self.kind))
            })?,
            amount: Money::from_nano(self.amount),
            balance: Money::from_nano(self.balance),
            reference: self.reference,
            of: self.of_entry.as_deref().map(id).transpose()?,
            note: self.note,
            actor_kind: self.actor_kind,
            actor_id: self.actor_id,
            actor_name: self.actor_name,
        })
    }
}

pub(crate) fn id(text: &str) -> Result<Id, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Other(format!("`{text}` is no id")))
}

pub(crate) fn clean(text: &str) -> String {
    // PostgreSQL's text holds no NUL.
    text.replace('\0', "\u{fffd}")
}

fn none(organization: Id) -> StoreError {
    StoreError::NotFound {
        kind: Kind::Wallet,
        id: organization,
    }
}

fn invalid(field: &'static str, problem: impl Into<String>) -> StoreError {
    StoreError::Invalid {
        field,
        problem: problem.into(),
    }
}

impl Store {
    /// Opens the wallet of an organization, empty: from now on its usage counts, and it is refused what it has not paid for. The one
    /// that is there is left as it is. True: it is new.
    pub async fn open_wallet(
        &self,
        organization: Id,
        name: &str,
        overdraft: Money,
    ) -> Result<(Wallet, bool), StoreError> {
        check_overdraft(overdraft)?;
        let mut change = self.begin_change().await?;
        if let Some(there) = read(&mut change.tx, organization).await? {
            return Ok((there, false));
        }
        if let On::Postgres(_) = change.tx.on {
            execute!(change.tx, "SELECT pg_advisory_xact_lock($1)", OPENING)?;
        }
        let wallet = Wallet {
            organization,
            // Behind everything that is being written.
            opened_at: now().max(change.at),
            credits: Money::ZERO,
            spent: Money::ZERO,
            overdraft,
            entries: 0,
            revision: change.revision,
            updated_at: change.at,
        };
        execute!(
            change.tx,
            "INSERT INTO wallets (organization_id, opened_at, credits, spent, overdraft, entries, revision, updated_at) VALUES ($1, $2, 0, 0, $3, 0, $4, $5)",
            organization.to_string(),
            wallet.opened_at,
            overdraft.nano(),
            change.revision,
            change.at
        )?;
        change.note(AuditNote {
            organization: Some(organization),
            after: Some(wallet.shown()),
            ..AuditNote::of(Deed::Create, Kind::Wallet, &organization, name)
        });
        self.commit(change).await?;
        Ok((wallet, true))
    }

    /// Lets a wallet go further below nothing, or less far.
    pub async fn set_overdraft(
        &self,
        organization: Id,
        name: &str,
        overdraft: Money,
        expected: Option<Revision>,
    ) -> Result<Wallet, StoreError> {
        check_overdraft(overdraft)?;
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, organization)
            .await?
            .ok_or_else(|| none(organization))?;
        if expected.is_some_and(|expected| expected != before.revision) {
            return Err(StoreError::Stale {
                kind: Kind::Wallet,
                current: before.revision,
            });
        }
        execute!(
            change.tx,
            "UPDATE wallets SET overdraft = $1, revision = $2, updated_at = $3 WHERE organization_id = $4",
            overdraft.nano(),
            change.revision,
            change.at,
            organization.to_string()
        )?;
        let after = Wallet {
            overdraft,
            revision: change.revision,
            updated_at: change.at,
            ..before.clone()
        };
        change.note(AuditNote {
            organization: Some(organization),
            before: Some(before.shown()),
            after: Some(after.shown()),
            ..AuditNote::of(Deed::Update, Kind::Wallet, &organization, name)
        });
        self.commit(change).await?;
        Ok(after)
    }

    /// The wallet of an organization; `None`: it pays afterwards.
    pub async fn wallet(&self, organization: Id) -> Result<Option<Wallet>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, organization).await
    }

    /// Wallets in the order of organizations, after one; of these organizations alone, if any are named.
    pub async fn wallets(
        &self,
        organizations: Option<&[Id]>,
        after: Option<Id>,
        limit: u32,
    ) -> Result<Vec<Wallet>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(WALLET);
            query.push(" WHERE organization_id > ").push_bind(after.map(|id| id.to_string()).unwrap_or_default());
            if let Some(organizations) = organizations {
                query.push(" AND organization_id IN (''");
                for id in organizations {
                    query.push(", ").push_bind(id.to_string());
                }
                query.push(")");
            }
            query.push(" ORDER BY organization_id LIMIT ").push_bind(i64::from(limit));
            query.build_query_as::<WalletRow>().fetch_all(connection).await
        })?;
        rows.into_iter().map(WalletRow::wallet).collect()
    }

    /// What was spent of each wallet that anything was spent of, in nano-dollars.
    pub async fn spent_of_wallets(&self) -> Result<Vec<(Id, Money)>, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let rows = fetch_all!(
            tx,
            (String, i64),
            "SELECT organization_id, spent FROM wallets WHERE spent > 0"
        )?;
        rows.into_iter()
            .map(|(organization, spent)| Ok((id(&organization)?, Money::from_nano(spent))))
            .collect()
    }

    /// Adds an entry to a wallet, unless there is one of this kind and reference, which must be the same then.
    pub async fn book(
        &self,
        organization: Id,
        name: &str,
        new: NewEntry,
    ) -> Result<Booked, StoreError> {
        let mut change = self.begin_change().await?;
        let booked = book(self, &mut change, organization, name, new).await?;
        if booked.is_new {
            self.commit(change).await?;
        }
        Ok(booked)
    }

    /// An entry of a wallet by its id.
    pub async fn wallet_entry(&self, organization: Id, entry: Id) -> Result<Entry, StoreError> {
        let mut tx = self.db.begin_read().await?;
        entry_of(&mut tx, organization, entry).await
    }

    /// A page of entries, the newest first; true: there are more.
    pub async fn wallet_entries(
        &self,
        organization: Id,
        filter: &EntryFilter,
    ) -> Result<(Vec<Entry>, bool), StoreError> {
        let limit = match filter.limit {
            0 => 100,
            limit => limit.min(1000),
        };
        let mut tx = self.db.begin_read().await?;
        if read(&mut tx, organization).await?.is_none() {
            return Err(none(organization));
        }
        let mut rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(ENTRY);
            query.push(" WHERE organization_id = ").push_bind(organization.to_string());
            if let Some(kind) = filter.kind {
                query.push(" AND kind = ").push_bind(kind.name());
            }
            if let Some(since) = filter.since {
                query.push(" AND at >= ").push_bind(since);
            }
            if let Some(until) = filter.until {
                query.push(" AND at < ").push_bind(until);
            }
            if let Some(before) = filter.before {
                query.push(" AND number < ").push_bind(i64::try_from(before).unwrap_or(i64::MAX));
            }
            query.push(" ORDER BY number DESC LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<EntryRow>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let entries: Result<_, _> = rows.into_iter().map(EntryRow::entry).collect();
        Ok((entries?, more))
    }

    /// What happened to a wallet from one day up to another (days since 1970, in UTC). All of it is read at one moment.
    pub async fn statement(
        &self,
        organization: Id,
        from: i64,
        until: i64,
    ) -> Result<Statement, StoreError> {
        if until <= from || until - from > LONGEST_STATEMENT {
            return Err(invalid(
                "until",
                format!(
                    "a statement is of at least one day and of at most {LONGEST_STATEMENT} days"
                ),
            ));
        }
        let mut tx = self.db.begin_read().await?;
        let wallet = read(&mut tx, organization)
            .await?
            .ok_or_else(|| none(organization))?;
        let organization = organization.to_string();
        let (begins, ends) = (from.saturating_mul(DAY), until.saturating_mul(DAY));
        let before = fetch_all!(
            tx,
            (i64, i64),
            "SELECT COALESCE((SELECT CAST(SUM(amount) AS BIGINT) FROM wallet_entries WHERE organization_id = $1 AND at < $2), 0),
                    COALESCE((SELECT CAST(SUM(spent) AS BIGINT) FROM wallet_days WHERE organization_id = $1 AND day < $3), 0)",
            organization.as_str(),
            begins,
            from
        )?;
        let (credits, spent) = before.first().copied().unwrap_or_default();
        let opening = Money::from_nano(credits).minus(Money::from_nano(spent));
        let rows = fetch_all!(
            tx,
            EntryRow,
            "SELECT organization_id, number, id, at, kind, amount, balance, reference, of_entry, note, actor_kind, actor_id, actor_name FROM wallet_entries WHERE organization_id = $1 AND at >= $2 AND at < $3 ORDER BY number LIMIT $4",
            organization.as_str(),
            begins,
            ends,
            i64::try_from(MOST_ENTRIES + 1).unwrap_or(i64::MAX)
        )?;
        if rows.len() > MOST_ENTRIES {
            return Err(invalid(
                "until",
                format!("there are more than {MOST_ENTRIES} entries in this time: ask for less"),
            ));
        }
        let entries = rows
            .into_iter()
            .map(EntryRow::entry)
            .collect::<Result<Vec<_>, _>>()?;
        let days = fetch_all!(
            tx,
            (i64, i64, i64),
            "SELECT day, requests, spent FROM wallet_days WHERE organization_id = $1 AND day >= $2 AND day < $3 ORDER BY day",
            organization.as_str(),
            from,
            until
        )?;
        let usage: Vec<UsageDay> = days
            .into_iter()
            .map(|(day, requests, spent)| UsageDay {
                day,
                requests: u64::try_from(requests).unwrap_or(0),
                spent: Money::from_nano(spent),
            })
            .collect();
        let put: Money = entries.iter().map(|entry| entry.amount).sum();
        let used: Money = usage.iter().map(|day| day.spent).sum();
        Ok(Statement {
            wallet,
            from,
            until,
            opening,
            closing: opening.plus(put).minus(used),
            entries,
            usage,
        })
    }

    /// The plans that an organization has for some time.
    pub async fn plan_terms(&self, organization: Id) -> Result<PlanTerms, StoreError> {
        let mut tx = self.db.begin_read().await?;
        terms_of(&mut tx, organization).await
    }
}

fn check_overdraft(overdraft: Money) -> Result<(), StoreError> {
    if (Money::ZERO..=MOST_MONEY).contains(&overdraft) {
        return Ok(());
    }
    Err(invalid("overdraft", "expected from 0 to a billion dollars"))
}

const WALLET: &str = "SELECT organization_id, opened_at, credits, spent, overdraft, entries, revision, updated_at FROM wallets";

async fn read(tx: &mut Tx, organization: Id) -> Result<Option<Wallet>, StoreError> {
    let rows = fetch_all!(
        tx,
        WalletRow,
        "SELECT organization_id, opened_at, credits, spent, overdraft, entries, revision, updated_at FROM wallets WHERE organization_id = $1",
        organization.to_string()
    )?;
    rows.into_iter().next().map(WalletRow::wallet).transpose()
}

async fn entry_of(tx: &mut Tx, organization: Id, entry: Id) -> Result<Entry, StoreError> {
    let rows = fetch_all!(
        tx,
        EntryRow,
        "SELECT organization_id, number, id, at, kind, amount, balance, reference, of_entry, note, actor_kind, actor_id, actor_name FROM wallet_entries WHERE organization_id = $1 AND id = $2",
        organization.to_string(),
        entry.to_string()
    )?;
    match rows.into_iter().next() {
        Some(row) => row.entry(),
        None => Err(StoreError::Missing {
            field: "entry",
            kind: Kind::Wallet,
            id: entry,
        }),
    }
}

/// Adds an entry in a change that is under way.
pub(crate) async fn book(
    store: &Store,
    change: &mut Change,
    organization: Id,
    name: &str,
    new: NewEntry,
) -> Result<Booked, StoreError> {
    let NewEntry {
        kind,
        amount,
        reference,
        of,
        note,
        forced,
    } = new;
    if !(Money::ZERO.minus(MOST_MONEY)..=MOST_MONEY).contains(&amount) {
        return Err(invalid("amount", "expected at most a billion dollars"));
    }
    let text = organization.to_string();
    // Whoever writes usage waits: what is spent does not change under the question whether it is enough.
    let rows = fetch_all!(
        change.tx,
        WalletRow,
        "UPDATE wallets SET revision = $1, updated_at = $2 WHERE organization_id = $3
         RETURNING organization_id, opened_at, credits, spent, overdraft, entries, revision, updated_at",
        change.revision,
        change.at,
        text.as_str()
    )?;
    let wallet = match rows.into_iter().next() {
        Some(row) => row.wallet()?,
        None => return Err(none(organization)),
    };
    let new_id = new_id();
    let reference = reference.map_or_else(|| new_id.to_string(), |reference| clean(&reference));
    if let Some(there) = referred(&mut change.tx, organization, kind, &reference).await? {
        if there.amount != amount || there.of != of {
            return Err(invalid(
                "reference",
                format!("`{reference}` was used for another {}", kind.name()),
            ));
        }
        return Ok(Booked {
            entry: there,
            is_new: false,
        });
    }
    if let Some(of) = of {
        let refunded = entry_of(&mut change.tx, organization, of).await?;
        if !refunded.kind.is_refundable() {
            return Err(invalid(
                "entry",
                "what is given back is a top-up, a redemption or a payment",
            ));
        }
        let before = fetch_all!(
            change.tx,
            (i64,),
            "SELECT COALESCE(CAST(SUM(amount) AS BIGINT), 0) FROM wallet_entries WHERE organization_id = $1 AND of_entry = $2",
            text.as_str(),
            of.to_string()
        )?;
        // Refunds are below nothing.
        let given = before
            .first()
            .map_or(Money::ZERO, |(sum,)| Money::from_nano(*sum));
        let left = refunded.amount.plus(given);
        if Money::ZERO.minus(amount) > left {
            return Err(invalid(
                "amount",
                format!("${left} is left of that entry to be given back"),
            ));
        }
    }
    let credits = wallet.credits.nano().checked_add(amount.nano());
    let Some(credits) = credits else {
        return Err(invalid("amount", "the wallet holds no more than that"));
    };
    let Some(balance) = credits.checked_sub(wallet.spent.nano()) else {
        return Err(invalid("amount", "the wallet holds no more than that"));
    };
    if amount < Money::ZERO && balance < 0 && !forced {
        return Err(invalid(
            "amount",
            format!(
                "the wallet holds ${}, which is less than that",
                wallet.balance()
            ),
        ));
    }
    let act = store.act.as_deref();
    let entry = Entry {
        id: new_id,
        organization,
        number: wallet.entries + 1,
        at: change.at,
        kind,
        amount,
        balance: Money::from_nano(balance),
        reference,
        of,
        note: note.as_deref().map(clean),
        actor_kind: act
            .map_or(ActorKind::System, |act| act.kind)
            .name()
            .to_owned(),
        actor_id: clean(act.map_or("", |act| &act.id)),
        actor_name: clean(act.map_or("lingate", |act| &act.name)),
    };
    execute!(
        change.tx,
        "INSERT INTO wallet_entries (organization_id, number, id, at, kind, amount, balance, reference, of_entry, note, actor_kind, actor_id, actor_name)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        text.as_str(),
        i64::try_from(entry.number).unwrap_or(i64::MAX),
        entry.id.to_string(),
        entry.at,
        kind.name(),
        amount.nano(),
        balance,
        entry.reference.as_str(),
        of.map(|of| of.to_string()),
        entry.note.as_deref(),
        entry.actor_kind.as_str(),
        entry.actor_id.as_str(),
        entry.actor_name.as_str()
    )?;
    execute!(
        change.tx,
        "UPDATE wallets SET credits = $1, entries = entries + 1 WHERE organization_id = $2",
        credits,
        text.as_str()
    )?;
    let deed = match kind {
        EntryKind::TopUp | EntryKind::Payment => Deed::TopUp,
        EntryKind::Redemption | EntryKind::Plan => Deed::Redeem,
        EntryKind::Refund => Deed::Refund,
        EntryKind::Adjustment => Deed::Update,
    };
    change.note(AuditNote {
        organization: Some(organization),
        detail: entry.note.clone(),
        before: Some(json!({"balance": wallet.balance().to_string()})),
        after: Some(json!({
            "entry": entry.id.to_string(),
            "kind": kind.name(),
            "amount": amount.to_string(),
            "reference": entry.reference,
            "balance": entry.balance.to_string(),
        })),
        ..AuditNote::of(deed, Kind::Wallet, &organization, name)
    });
    Ok(Booked {
        entry,
        is_new: true,
    })
}

/// The entry of this kind that has the reference.
pub(crate) async fn referred(
    tx: &mut Tx,
    organization: Id,
    kind: EntryKind,
    reference: &str,
) -> Result<Option<Entry>, StoreError> {
    let rows = fetch_all!(
        tx,
        EntryRow,
        "SELECT organization_id, number, id, at, kind, amount, balance, reference, of_entry, note, actor_kind, actor_id, actor_name FROM wallet_entries WHERE organization_id = $1 AND kind = $2 AND reference = $3",
        organization.to_string(),
        kind.name(),
        reference
    )?;
    rows.into_iter().next().map(EntryRow::entry).transpose()
}

/// Counts usage that has just been written: organization, when it began, and its price. Only those that have a wallet are touched.
pub(crate) async fn charge(
    tx: &mut Tx,
    usage: impl Iterator<Item = (Id, Millis, i64)>,
) -> Result<(), StoreError> {
    // In one order everywhere, so that nobody waits in a circle.
    let mut of: BTreeMap<String, Vec<(Millis, i64)>> = BTreeMap::new();
    for (organization, at, price) in usage {
        of.entry(organization.to_string())
            .or_default()
            .push((at, price));
    }
    let organizations: Vec<&String> = of.keys().collect();
    let mut opened: HashMap<String, i64> = HashMap::new();
    for organizations in organizations.chunks(500) {
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("SELECT organization_id, opened_at FROM wallets WHERE organization_id IN (");
            let mut list = query.separated(", ");
            for organization in organizations {
                list.push_bind((*organization).clone());
            }
            query.push(")");
            query.build_query_as::<(String, i64)>().fetch_all(connection).await
        })?;
        opened.extend(rows);
    }
    for (organization, usage) in &of {
        let Some(opened_at) = opened.get(organization) else {
            continue;
        };
        let (mut spent, mut days) = (0_i64, BTreeMap::<i64, (i64, i64)>::new());
        for (at, price) in usage.iter().filter(|(at, _)| at >= opened_at) {
            // A batch of the largest amounts is far from the end.
            spent = spent.saturating_add(*price);
            let day = days.entry(at.div_euclid(DAY)).or_default();
            day.0 += 1;
            day.1 = day.1.saturating_add(*price);
        }
        if days.is_empty() {
            continue;
        }
        execute!(
            tx,
            "UPDATE wallets SET spent = spent + $1 WHERE organization_id = $2",
            spent,
            organization.as_str()
        )?;
        for (day, (requests, spent)) in days {
            execute!(
                tx,
                "INSERT INTO wallet_days (organization_id, day, requests, spent) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (organization_id, day) DO UPDATE SET requests = wallet_days.requests + excluded.requests, spent = wallet_days.spent + excluded.spent",
                organization.as_str(),
                day,
                requests,
                spent
            )?;
        }
    }
    Ok(())
}

/// Before a writer looks which wallets there are.
pub(crate) async fn no_opening(tx: &mut Tx) -> Result<(), StoreError> {
    if let On::Postgres(_) = tx.on {
        execute!(tx, "SELECT pg_advisory_xact_lock_shared($1)", OPENING)?;
    }
    Ok(())
}

/// What replicas hold requests against, of wallets that were changed since a revision.
pub(crate) async fn prepaid_since(tx: &mut Tx, seen: Revision) -> Result<Vec<Prepaid>, StoreError> {
    let rows = fetch_all!(
        tx,
        WalletRow,
        "SELECT organization_id, opened_at, credits, spent, overdraft, entries, revision, updated_at FROM wallets WHERE revision > $1 ORDER BY organization_id",
        seen
    )?;
    rows.into_iter()
        .map(|row| {
            let wallet = row.wallet()?;
            Ok(Prepaid {
                organization: wallet.organization,
                opened_at: wallet.opened_at,
                credits: wallet.credits,
                overdraft: wallet.overdraft,
            })
        })
        .collect()
}

pub(crate) async fn terms_since(tx: &mut Tx, seen: Revision) -> Result<Vec<PlanTerms>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String, String),
        "SELECT organization_id, terms FROM plan_terms WHERE revision > $1 ORDER BY organization_id",
        seen
    )?;
    rows.into_iter()
        .map(|(organization, terms)| terms_from(&organization, &terms))
        .collect()
}

fn terms_from(organization: &str, terms: &str) -> Result<PlanTerms, StoreError> {
    let terms: Vec<PlanTerm> = serde_json::from_str(terms).map_err(|error| {
        StoreError::Other(format!(
            "the plans of {organization} cannot be read: {error}"
        ))
    })?;
    Ok(PlanTerms {
        organization: id(organization)?,
        terms,
    })
}

pub(crate) async fn terms_of(tx: &mut Tx, organization: Id) -> Result<PlanTerms, StoreError> {
    let rows = fetch_all!(
        tx,
        (String, String),
        "SELECT organization_id, terms FROM plan_terms WHERE organization_id = $1",
        organization.to_string()
    )?;
    match rows.first() {
        Some((organization, terms)) => terms_from(organization, terms),
        None => Ok(PlanTerms {
            organization,
            terms: Vec::new(),
        }),
    }
}

/// Gives an organization a plan for some time.
pub(crate) async fn add_term(
    change: &mut Change,
    organization: Id,
    plan: &str,
    length: Millis,
) -> Result<PlanTerms, StoreError> {
    let mut terms = terms_of(&mut change.tx, organization).await?;
    terms.add(plan, length, change.at);
    let text = serde_json::to_string(&terms.terms)
        .map_err(|error| StoreError::Other(error.to_string()))?;
    execute!(
        change.tx,
        "INSERT INTO plan_terms (organization_id, terms, revision) VALUES ($1, $2, $3)
         ON CONFLICT (organization_id) DO UPDATE SET terms = excluded.terms, revision = excluded.revision",
        organization.to_string(),
        text.as_str(),
        change.revision
    )?;
    Ok(terms)
}
