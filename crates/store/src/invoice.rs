//! Invoices of what was used in a month, and credit notes that take from them: numbered without gaps, and the same ever after.
//!
//! What is owed is the sum of the ledger: the price of all requests that began in the month (UTC), without what a wallet has paid for
//! them. An invoice that is issued is kept whole, with its names and sums, and does not follow what changes later.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use lingate_metering::{Id, Millis, Money};
use serde::{Deserialize, Serialize};
use sqlx::QueryBuilder;

use crate::audit::{AuditNote, Deed};
use crate::database::{Tx, execute, fetch_all, on};
use crate::report;
use crate::store::Change;
use crate::{
    Dimension, Kind, Measure, Revision, Store, StoreError, UsageFilter, UsageQuery, new_id,
};

/// The most lines of an invoice: models × projects × keys.
const MOST_LINES: usize = 50_000;

/// The most that tax is, in parts of a million.
const MOST_TAX: u32 = 1_000_000;

/// A month in UTC, counted from January 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Month(i64);

impl Month {
    /// `month` is from 1 to 12.
    pub fn new(year: i64, month: i64) -> Option<Self> {
        let fits = (1970..=9999).contains(&year) && (1..=12).contains(&month);
        fits.then(|| Self((year - 1970) * 12 + month - 1))
    }

    /// The one that a moment is in.
    pub fn of(at: Millis) -> Self {
        let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
        let date = TimeZone::UTC.to_datetime(at).date();
        Self((i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1)
    }

    pub const fn year(self) -> i64 {
        1970 + self.0.div_euclid(12)
    }

    /// From 1 to 12.
    pub const fn month(self) -> i64 {
        self.0.rem_euclid(12) + 1
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Its first moment.
    pub fn begins(self) -> Millis {
        let number = |number: i64| i8::try_from(number).unwrap_or(1);
        let first = Date::new(
            i16::try_from(self.year()).unwrap_or(i16::MAX),
            number(self.month()),
            1,
        );
        // Months are made of years up to 9999, each of which has its first days.
        let first = first.and_then(|first| TimeZone::UTC.to_timestamp(first.at(0, 0, 0, 0)));
        first.map_or(Millis::MAX, Timestamp::as_millisecond)
    }
}

const DAY: Millis = 24 * 60 * 60 * 1000;
impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.month())
    }
}

/// `2027-01`
impl std::str::FromStr for Month {
    type Err = BadMonth;

    fn from_str(text: &str) -> Result<Self, BadMonth> {
        let (year, month) = text.split_once('-').ok_or(BadMonth)?;
        let number = |text: &str, digits: usize| {
            let is_plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| text.parse().ok()).flatten()
        };
        let parts = number(year, 4).zip(number(month, 2));
        parts
            .and_then(|(year, month)| Self::new(year, month))
            .ok_or(BadMonth)
    }
}

/// A text that is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a month such as 2027-01")]
pub struct BadMonth;

/// What was used of one model by one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceLine {
    pub model: String,
    pub project: Option<Party>,
    /// `None`: callers that need no key.
    pub key: Option<Party>,
    pub requests: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    /// Nano-dollars.
    pub amount: Money,
}

/// Whom a line is about, as they were called then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    pub id: String,
    pub name: String,
}

/// A tax on the whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tax {
    pub name: String,
    /// In parts of a million: 6 % are 60,000.
    pub rate: u32,
}

/// A currency that the amount to be paid is shown in besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub currency: String,
    /// What a dollar was worth, in millionths.
    pub rate: i64,
}

/// What an invoice comes to, in nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Of all lines.
    pub used: Money,
    /// What the wallet has paid of that.
    pub prepaid: Money,
    /// `used` without `prepaid`.
    pub subtotal: Money,
    /// Of the subtotal, rounded half away from zero to the nano-dollar.
    pub tax: Money,
    /// What is added to come to whole cents; less than one.
    pub rounding: Money,
    /// Whole cents.
    pub payable: Money,
}

impl Sums {
    /// Nothing of it wraps: what does not fit is `None`.
    pub fn of(used: i128, prepaid: i128, tax: &Tax) -> Option<Self> {
        let subtotal = used - prepaid;
        let tax = rounded(subtotal * i128::from(tax.rate), 1_000_000);
        let payable = rounded(subtotal + tax, CENT) * CENT;
        let money = |nano: i128| i64::try_from(nano).ok().map(Money::from_nano);
        Some(Self {
            used: money(used)?,
            prepaid: money(prepaid)?,
            subtotal: money(subtotal)?,
            tax: money(tax)?,
            rounding: money(payable - subtotal - tax)?,
            payable: money(payable)?,
        })
    }
}

/// Nano-dollars.
const CENT: i128 = 10_000_000;

/// Half away from zero.
const fn rounded(amount: i128, by: i128) -> i128 {
    let half = if amount < 0 { -by / 2 } else { by / 2 };
    (amount + half) / by
}

/// What an invoice says, and goes on saying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub organization: Party,
    pub month: Month,
    pub lines: Vec<InvoiceLine>,
    pub tax: Tax,
    pub sums: Sums,
    pub shown: Option<Shown>,
    pub note: Option<String>,
    /// Requests that no price is known for: they are in no line's amount.
    pub unpriced_requests: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceKind {
    Invoice,
    CreditNote,
}

impl InvoiceKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
        }
    }

    const fn letters(self) -> &'static str {
        match self {
            Self::Invoice => "INV",
            Self::CreditNote => "CN",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    Issued,
    Paid,
    /// It counts for nothing, and its month may be invoiced anew. Its number stays used.
    Void,
}

impl InvoiceState {
    pub const ALL: [Self; 3] = [Self::Issued, Self::Paid, Self::Void];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Paid => "paid",
            Self::Void => "void",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// An invoice or a credit note that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    pub id: Id,
    pub kind: InvoiceKind,
    pub number: String,
    pub state: InvoiceState,
    /// What a credit note takes from.
    pub of: Option<Id>,
    /// Of a credit note: what is given back, in whole cents.
    pub payable: Money,
    pub issued_at: Millis,
    pub due_at: Option<Millis>,
    pub settled_at: Option<Millis>,
    pub document: Document,
    pub revision: Revision,
}

/// What is to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvoice {
    pub organization: Party,
    pub month: Month,
    pub tax: Tax,
    pub shown: Option<Shown>,
    pub note: Option<String>,
    pub due_at: Option<Millis>,
    /// How things are called that the database does not know, by their ids: those of the configuration file.
    pub names: HashMap<String, String>,
}

/// Which are listed, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvoiceFilter {
    /// Of these alone; `None`: of all.
    pub organizations: Option<Vec<Id>>,
    pub month: Option<Month>,
    pub state: Option<InvoiceState>,
    /// The credit notes of this one.
    pub of: Option<Id>,
    /// The last of the page before.
    pub after: Option<Id>,
    pub limit: u32,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    number: String,
    state: String,
    invoice_id: Option<String>,
    payable: i64,
    issued_at: i64,
    due_at: Option<i64>,
    settled_at: Option<i64>,
    document: String,
    revision: i64,
}

const SELECT: &str = "SELECT id, kind, number, state, invoice_id, payable, issued_at, due_at, settled_at, document, revision FROM invoices";

impl Row {
    fn invoice(self) -> Result<Invoice, StoreError> {
        let broken = || StoreError::Other(format!("the invoice {} cannot be read", self.id));
        let of = self.invoice_id.as_deref().map(str::parse).transpose();
        Ok(Invoice {
            id: self.id.parse().map_err(|_| broken())?,
            kind: if self.kind == InvoiceKind::CreditNote.name() {
                InvoiceKind::CreditNote
            } else {
                InvoiceKind::Invoice
            },
            state: InvoiceState::from_name(&self.state).ok_or_else(broken)?,
            of: of.map_err(|_| broken())?,
            payable: Money::from_nano(self.payable),
            issued_at: self.issued_at,
            due_at: self.due_at,
            settled_at: self.settled_at,
            document: serde_json::from_str(&self.document).map_err(|_| broken())?,
            revision: self.revision,
            number: self.number,
        })
    }
}

impl Store {
    /// What an invoice would say, from what is written of the month by now.
    pub async fn draft_invoice(&self, new: &NewInvoice) -> Result<Document, StoreError> {
        if new.tax.rate > MOST_TAX {
            return Err(invalid("tax", "expected a rate of at most 100 percent"));
        }
        let (from, to) = (new.month.begins(), new.month.next().begins());
        let organization: Id = new
            .organization
            .id
            .parse()
            .map_err(|_| invalid("organization", "expected the id of an organization"))?;
        let mut tx = self.db.begin_read().await?;
        // All of it is read as of one moment: what is used and what the wallet has paid of it.
        let report = report::read(
            &mut tx,
            &UsageQuery {
                measures: vec![
                    Measure::Price,
                    Measure::Requests,
                    Measure::InputTokens,
                    Measure::OutputTokens,
                    Measure::CacheRead,
                    Measure::CacheWrite,
                    Measure::Unpriced,
                ],
                from,
                to,
                grain: None,
                group_by: vec![Dimension::Project, Dimension::Key, Dimension::Model],
                filter: UsageFilter {
                    organization: Some(organization),
                    ..UsageFilter::default()
                },
                order: Measure::Price,
                limit: MOST_LINES + 1,
            },
        )
        .await?;
        if report.rows.len() > MOST_LINES {
            return Err(invalid(
                "month",
                "there are more than 50,000 combinations of model, project and key: too many for an invoice",
            ));
        }
        let ids = |place: usize| {
            report
                .rows
                .iter()
                .filter_map(move |row| row.group[place].clone())
        };
        let projects = names(&mut tx, "projects", ids(0).collect()).await?;
        let keys = names(&mut tx, "api_keys", ids(1).collect()).await?;
        let prepaid = prepaid(&mut tx, organization, from, to).await?;
        let (mut used, mut unpriced_requests) = (0, 0);
        let mut lines = Vec::with_capacity(report.rows.len());
        for row in &report.rows {
            let &[amount, requests, input, output, read, write, unpriced] = row.sums.as_slice()
            else {
                continue;
            };
            if amount == i64::MAX {
                return Err(too_much());
            }
            used += i128::from(amount);
            unpriced_requests += unpriced;
            let party = |place: usize, names: &HashMap<String, String>| {
                let id = row.group[place].clone()?;
                let name = names.get(&id).or_else(|| new.names.get(&id));
                let name = name.unwrap_or(&id).clone();
                Some(Party { id, name })
            };
            lines.push(InvoiceLine {
                model: row.group[2].clone().unwrap_or_default(),
                project: party(0, &projects),
                key: party(1, &keys),
                requests,
                input_tokens: input,
                output_tokens: output,
                cache_read_tokens: read,
                cache_write_tokens: write,
                amount: Money::from_nano(amount),
            });
        }
        Ok(Document {
            organization: new.organization.clone(),
            month: new.month,
            lines,
            tax: new.tax.clone(),
            sums: Sums::of(used, i128::from(prepaid), &new.tax).ok_or_else(too_much)?,
            shown: new.shown.clone(),
            note: new.note.clone(),
            unpriced_requests,
        })
    }

    /// Issues the invoice of a month that is over, once.
    pub async fn issue_invoice(&self, new: &NewInvoice) -> Result<Invoice, StoreError> {
        let document = self.draft_invoice(new).await?;
        let mut change = self.begin_change().await?;
        if change.at < new.month.next().begins() {
            return Err(invalid("month", "the month (UTC) is not over yet"));
        }
        let there = fetch_all!(
            change.tx,
            (String,),
            "SELECT number FROM invoices WHERE organization_id = $1 AND month = $2 AND kind = 'invoice' AND state <> 'void'",
            new.organization.id.as_str(),
            new.month.0
        )?;
        if let Some((number,)) = there.into_iter().next() {
            return Err(StoreError::Taken {
                kind: Kind::Invoice,
                name: number,
            });
        }
        let payable = document.sums.payable;
        let invoice = Invoice {
            id: new_id(),
            kind: InvoiceKind::Invoice,
            number: String::new(),
            state: InvoiceState::Issued,
            of: None,
            payable,
            issued_at: change.at,
            due_at: new.due_at,
            settled_at: None,
            document,
            revision: change.revision,
        };
        let invoice = write(&mut change, invoice, Deed::Issue).await?;
        self.commit(change).await?;
        Ok(invoice)
    }

    /// Gives back some of an invoice, or all that is left of it (`amount: None`), in whole cents.
    pub async fn credit_invoice(
        &self,
        of: Id,
        amount: Option<Money>,
        note: Option<String>,
    ) -> Result<Invoice, StoreError> {
        let mut change = self.begin_change().await?;
        let credited = read(&mut change.tx, of).await?;
        if credited.kind != InvoiceKind::Invoice || credited.state == InvoiceState::Void {
            return Err(invalid(
                "invoice",
                "only an invoice that is not void can be credited",
            ));
        }
        let left = credited
            .payable
            .minus(given_back(&mut change.tx, of).await?);
        let amount = amount.unwrap_or(left);
        if amount <= Money::ZERO || amount > left || i128::from(amount.nano()) % CENT != 0 {
            return Err(invalid(
                "amount",
                format!(
                    "expected whole cents, more than nothing and at most {left}, which is left of it"
                ),
            ));
        }
        // The tax of what is given back is its share of what was to be paid.
        let (part, whole) = (
            i128::from(amount.nano()),
            i128::from(credited.payable.nano()),
        );
        let tax = rounded(i128::from(credited.document.sums.tax.nano()) * part, whole);
        let tax = Money::from_nano(i64::try_from(tax).map_err(|_| too_much())?);
        let document = Document {
            lines: Vec::new(),
            sums: Sums {
                used: Money::ZERO,
                prepaid: Money::ZERO,
                subtotal: amount.minus(tax),
                tax,
                rounding: Money::ZERO,
                payable: amount,
            },
            note,
            unpriced_requests: 0,
            ..credited.document
        };
        let invoice = Invoice {
            id: new_id(),
            kind: InvoiceKind::CreditNote,
            number: String::new(),
            state: InvoiceState::Issued,
            of: Some(of),
            payable: amount,
            issued_at: change.at,
            due_at: None,
            settled_at: None,
            document,
            revision: change.revision,
        };
        let invoice = write(&mut change, invoice, Deed::Credit).await?;
        self.commit(change).await?;
        Ok(invoice)
    }

    /// Says that an invoice was paid, or that it counts for nothing. What was paid or credited is void no more, and what is void stays so.
    pub async fn settle_invoice(
        &self,
        id: Id,
        state: InvoiceState,
        expected: Option<Revision>,
    ) -> Result<Invoice, StoreError> {
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, id).await?;
        if let Some(expected) = expected
            && expected != before.revision
        {
            return Err(StoreError::Stale {
                kind: Kind::Invoice,
                current: before.revision,
            });
        }
        if before.kind == InvoiceKind::CreditNote {
            return Err(invalid("state", "a credit note is neither paid nor void"));
        }
        let deed = match (before.state, state) {
            (InvoiceState::Issued, InvoiceState::Paid) => Deed::Update,
            (InvoiceState::Issued, InvoiceState::Void) => {
                if given_back(&mut change.tx, id).await? != Money::ZERO {
                    return Err(invalid(
                        "state",
                        "something of it was credited: credit the rest instead",
                    ));
                }
                Deed::Void
            }
            (was, wanted) if was == wanted => return Ok(before),
            (was, _) => {
                return Err(invalid(
                    "state",
                    format!("an invoice that is {} stays so", was.name()),
                ));
            }
        };
        execute!(
            change.tx,
            "UPDATE invoices SET state = $1, settled_at = $2, revision = $3 WHERE id = $4",
            state.name(),
            change.at,
            change.revision,
            id.to_string()
        )?;
        let after = read(&mut change.tx, id).await?;
        let told = |invoice: &Invoice| serde_json::json!({"state": invoice.state});
        change.note(AuditNote {
            organization: organization_of(&after.document),
            before: Some(told(&before)),
            after: Some(told(&after)),
            ..AuditNote::of(deed, Kind::Invoice, &id, &after.number)
        });
        self.commit(change).await?;
        Ok(after)
    }

    pub async fn invoice(&self, id: Id) -> Result<Invoice, StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, id).await
    }

    /// A page, and where the next one begins.
    pub async fn invoices(
        &self,
        filter: &InvoiceFilter,
    ) -> Result<(Vec<Invoice>, Option<Id>), StoreError> {
        let limit = match filter.limit {
            0 => 100,
            limit => limit.min(1000),
        };
        let mut tx = self.db.begin_read().await?;
        let mut rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(SELECT);
            query.push(" WHERE 1 = 1");
            if let Some(organizations) = &filter.organizations {
                query.push(" AND organization_id IN (''");
                for id in organizations {
                    query.push(", ").push_bind(id.to_string());
                }
                query.push(")");
            }
            if let Some(month) = filter.month {
                query.push(" AND month = ").push_bind(month.0);
            }
            if let Some(state) = filter.state {
                query.push(" AND state = ").push_bind(state.name());
            }
            if let Some(of) = filter.of {
                query.push(" AND invoice_id = ").push_bind(of.to_string());
            }
            if let Some(after) = filter.after {
                query.push(" AND id < ").push_bind(after.to_string());
            }
            query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<Row>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let invoices: Vec<Invoice> = rows
            .into_iter()
            .map(Row::invoice)
            .collect::<Result<_, _>>()?;
        let next = invoices.last().filter(|_| more).map(|invoice| invoice.id);
        Ok((invoices, next))
    }
}

/// Numbers a new row and writes it. Numbers are given while the store's revision is held, and in the transaction that uses them: no
/// gap, no double.
async fn write(
    change: &mut Change,
    mut invoice: Invoice,
    deed: Deed,
) -> Result<Invoice, StoreError> {
    let year = Month::of(change.at).year();
    let given = fetch_all!(
        change.tx,
        (i64,),
        "INSERT INTO invoice_numbers (kind, year, last) VALUES ($1, $2, 1) ON CONFLICT (kind, year) DO UPDATE SET last = invoice_numbers.last + 1 RETURNING last",
        invoice.kind.name(),
        year
    )?;
    let place = given.first().map_or(0, |(last,)| *last);
    invoice.number = format!("{}-{year}-{place:06}", invoice.kind.letters());
    let document = serde_json::to_string(&invoice.document)
        .map_err(|error| StoreError::Other(error.to_string()))?;
    execute!(
        change.tx,
        "INSERT INTO invoices (id, kind, number, organization_id, month, state, invoice_id, payable, issued_at, due_at, settled_at, document, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $11, $12)",
        invoice.id.to_string(),
        invoice.kind.name(),
        invoice.number.as_str(),
        invoice.document.organization.id.as_str(),
        invoice.document.month.0,
        invoice.state.name(),
        invoice.of.map(|id| id.to_string()),
        invoice.payable.nano(),
        invoice.issued_at,
        invoice.due_at,
        document,
        invoice.revision
    )?;
    change.note(AuditNote {
        organization: organization_of(&invoice.document),
        after: Some(serde_json::json!({
            "month": invoice.document.month.to_string(),
            "payable": invoice.payable.to_string(),
        })),
        ..AuditNote::of(deed, Kind::Invoice, &invoice.id, &invoice.number)
    });
    Ok(invoice)
}

fn organization_of(document: &Document) -> Option<Id> {
    document.organization.id.parse().ok()
}

async fn read(tx: &mut Tx, id: Id) -> Result<Invoice, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(SELECT);
        query.push(" WHERE id = ").push_bind(id.to_string());
        query.build_query_as::<Row>().fetch_all(connection).await
    })?;
    let row = rows.into_iter().next();
    row.map(Row::invoice).unwrap_or(Err(StoreError::NotFound {
        kind: Kind::Invoice,
        id,
    }))
}

/// The sum of an invoice's credit notes.
async fn given_back(tx: &mut Tx, of: Id) -> Result<Money, StoreError> {
    let rows = fetch_all!(
        tx,
        (i64,),
        "SELECT payable FROM invoices WHERE invoice_id = $1",
        of.to_string()
    )?;
    Ok(rows.into_iter().map(|(nano,)| Money::from_nano(nano)).sum())
}

/// What the organization's wallet paid for in that time.
async fn prepaid(
    tx: &mut Tx,
    organization: Id,
    from: Millis,
    to: Millis,
) -> Result<i64, StoreError> {
    let rows = fetch_all!(
        tx,
        (i64,),
        "SELECT CAST(COALESCE(SUM(spent), 0) AS BIGINT) FROM wallet_days WHERE organization_id = $1 AND day >= $2 AND day < $3",
        organization.to_string(),
        from / DAY,
        to / DAY
    )?;
    Ok(rows.first().map_or(0, |(spent,)| *spent))
}

/// How things are called, by their ids; deleted ones are not there.
async fn names(
    tx: &mut Tx,
    table: &'static str,
    mut ids: Vec<String>,
) -> Result<HashMap<String, String>, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    let mut found = HashMap::new();
    for ids in ids.chunks(500) {
        let rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new("SELECT id, name FROM ");
            query.push(table).push(" WHERE id IN (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id.clone());
            }
            query.push(")");
            query.build_query_as::<(String, String)>().fetch_all(connection).await
        })?;
        found.extend(rows);
    }
    Ok(found)
}

fn invalid(field: &'static str, problem: impl Into<String>) -> StoreError {
    StoreError::Invalid {
        field,
        problem: problem.into(),
    }
}

fn too_much() -> StoreError {
    invalid("month", "it comes to more than can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_the_calendar_says() {
        for (text, begins) in [
            ("1970-01", 0),
            ("1970-03", 59 * DAY),
            ("2000-03", 951_868_800_000),
            ("2024-03", 1_709_251_200_000),
            ("2026-12", 1_796_083_200_000),
            ("2027-01", 1_798_761_600_000),
        ] {
            let month: Month = text.parse().unwrap();
            assert_eq!(month.begins(), begins, "{text}");
            assert_eq!(month.to_string(), text);
            assert_eq!(Month::of(begins), month);
            if begins > 0 {
                assert_eq!(Month::of(begins - 1).next(), month);
            }
        }
        for bad in [
            "",
            "2027",
            "2027-13",
            "2027-00",
            "2027-1",
            "1969-12",
            "2027-01-01",
            "+027-01",
        ] {
            assert_eq!(bad.parse::<Month>(), Err(BadMonth), "{bad}");
        }
    }

    #[test]
    fn sums_add_up_and_come_to_whole_cents() {
        let tax = |rate| Tax {
            name: "VAT".into(),
            rate,
        };
        for (used, prepaid, rate, expect) in [
            (0, 0, 60_000, 0),
            (10_000_000, 0, 0, 10_000_000),
            (4_999_999, 0, 0, 0),
            (5_000_000, 0, 0, 10_000_000),
            (1_000_000_001, 0, 60_000, 1_060_000_000),
            (1_234_567_891, 1_234_567_891, 190_000, 0),
            (12_345_678_912, 2_345_678_912, 130_000, 11_300_000_000),
        ] {
            let sums = Sums::of(used, prepaid, &tax(rate)).unwrap();
            assert_eq!(sums.payable.nano(), expect, "{used} {prepaid} {rate}");
            let parts = [sums.subtotal, sums.tax, sums.rounding];
            assert_eq!(parts.into_iter().sum::<Money>(), sums.payable);
            assert_eq!(sums.used.minus(sums.prepaid), sums.subtotal);
            assert!(i128::from(sums.rounding.nano()).abs() * 2 <= CENT);
        }
        assert_eq!(Sums::of(i128::from(i64::MAX), 0, &tax(500_000)), None);
    }
}
