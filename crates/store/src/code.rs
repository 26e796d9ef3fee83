//! Codes that can be redeemed once: for money, or for time of a plan. Only their hashes are kept.

use std::collections::HashSet;
use std::fmt;

use lingate_metering::tenant::PlanTerms;
use lingate_metering::{Id, Millis, Money};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::QueryBuilder;

use crate::audit::{AuditNote, Deed};
use crate::database::{Tx, execute, fetch_all, on};
use crate::wallet::{self, Booked, DAY, EntryKind, MOST_MONEY, NewEntry, clean, id};
use crate::{Kind, Store, StoreError, key, new_id};

/// Of one batch.
pub const MOST_CODES: u32 = 100_000;
/// Of one code.
pub const MOST_DAYS: u32 = 3_660;
/// Characters before the code.
const LONGEST_PREFIX: usize = 12;

/// Letters and digits that nobody takes for another.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// Characters of five random bits each.
const RANDOM: usize = 18;
/// Characters that tell whether the others are as they were written down.
const CHECK: usize = 2;

/// A code as it is handed out. Not shown by mistake: only [`Self::reveal`] gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code(…{})", self.hint())
    }
}

impl Code {
    /// A new one, of 90 bits from the operating system.
    fn mint(prefix: &str, random: [u8; RANDOM]) -> Self {
        let mut plain = prefix.to_owned();
        plain.extend(random.map(letter));
        let check = check(&plain);
        plain.extend(check);
        Self(plain)
    }

    /// What somebody has written: capitals or not, with dashes and blanks or without. `None`: it is no code, or not as it was written
    /// down.
    pub fn read(text: &str) -> Option<Self> {
        let plain: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}'))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let is_code = plain.is_ascii()
            && (RANDOM + CHECK..=LONGEST_PREFIX + RANDOM + CHECK).contains(&plain.len());
        if !is_code {
            return None;
        }
        let (body, end) = plain.split_at(plain.len() - CHECK);
        let fits = check(body).into_iter().eq(end.chars());
        fits.then_some(Self(plain))
    }

    /// As it is shown to whoever hands it out: `SPRING-7K3QM-…`.
    pub fn reveal(&self) -> String {
        let (prefix, code) = self.0.split_at(self.0.len() - RANDOM - CHECK);
        let mut shown = prefix.to_owned();
        for (place, letter) in code.chars().enumerate() {
            if place.is_multiple_of(5) && !shown.is_empty() {
                shown.push('-');
            }
            shown.push(letter);
        }
        shown
    }

    /// Its last four characters, to know it by.
    pub fn hint(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }

    fn sha256(&self) -> String {
        key::digits(&Sha256::digest(&self.0).into())
    }
}

fn letter(byte: u8) -> char {
    char::from(ALPHABET[usize::from(byte & 31)])
}

/// Of any two characters that are exchanged, or any one that is another, 1023 of 1024 show.
fn check(plain: &str) -> [char; CHECK] {
    let digest: [u8; 32] = Sha256::digest(format!("lingate code {plain}")).into();
    [letter(digest[0]), letter(digest[1])]
}

/// What a code is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worth {
    Money(Money),
    Plan { plan: String, days: u32 },
}

/// Codes that are made at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCodeBatch {
    pub count: u32,
    pub worth: Worth,
    /// Letters and digits before each code.
    pub prefix: String,
    pub note: Option<String>,
    /// How many of them one organization may redeem.
    pub per_organization: Option<u32>,
    pub expires_at: Option<Millis>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeBatch {
    pub id: Id,
    pub count: u32,
    pub worth: Worth,
    pub prefix: String,
    pub note: Option<String>,
    pub per_organization: Option<u32>,
    pub expires_at: Option<Millis>,
    pub revoked_at: Option<Millis>,
    pub created_at: Millis,
    pub created_by: String,
    pub redeemed: u64,
}

/// What is known of a code that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeState {
    /// In its batch, from 1 on.
    pub place: u32,
    pub hint: String,
    pub revoked_at: Option<Millis>,
    pub redeemed_at: Option<Millis>,
    pub organization: Option<Id>,
    pub redeemed_by: Option<String>,
}

/// What came of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// The entry that it made; it is not new where the organization had redeemed it before.
    Money(Booked),
    /// The plans that the organization has now.
    Plan { terms: PlanTerms, is_new: bool },
    /// There is no such code, or it is used, over or taken back: which of these is nobody's business.
    Refused,
    /// It is good, and for money; the organization has no wallet, and keeps the code.
    NoWallet,
    /// It is good; the organization has redeemed as many of its batch as one may.
    Enough,
}

#[derive(Debug, sqlx::FromRow)]
struct CodeBatchRow {
    id: String,
    prefix: String,
    note: Option<String>,
    count: i64,
    amount: Option<i64>,
    plan: Option<String>,
    days: Option<i64>,
    per_organization: Option<i64>,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    created_at: i64,
    created_by: String,
    redeemed: i64,
}

impl CodeBatchRow {
    fn batch(self) -> Result<CodeBatch, StoreError> {
        let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(CodeBatch {
            id: id(&self.id)?,
            count: number(self.count),
            worth: match (self.amount, self.plan, self.days) {
                (Some(amount), _, _) => Worth::Money(Money::from_nano(amount)),
                (None, plan, days) => Worth::Plan {
                    plan: plan.unwrap_or_default(),
                    days: number(days.unwrap_or_default()),
                },
            },
            prefix: self.prefix,
            note: self.note,
            per_organization: self.per_organization.map(number),
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            created_at: self.created_at,
            created_by: self.created_by,
            redeemed: u64::try_from(self.redeemed).unwrap_or(0),
        })
    }
}

const BATCH: &str = "SELECT id, prefix, note, count, amount, plan, days, per_organization, expires_at, revoked_at, created_at, created_by,
    (SELECT COUNT(*) FROM codes WHERE codes.batch_id = code_batches.id AND codes.redeemed_at IS NOT NULL) AS redeemed FROM code_batches";

#[derive(Debug, sqlx::FromRow)]
struct CodeRow {
    place: i64,
    hint: String,
    revoked_at: Option<i64>,
    redeemed_at: Option<i64>,
    organization_id: Option<String>,
    redeemed_by: Option<String>,
}

fn invalid(field: &'static str, problem: impl Into<String>) -> StoreError {
    StoreError::Invalid {
        field,
        problem: problem.into(),
    }
}

impl NewCodeBatch {
    fn check(&mut self, now: Millis) -> Result<(), StoreError> {
        if !(1..=MOST_CODES).contains(&self.count) {
            return Err(invalid(
                "count",
                format!("expected a number from 1 to {MOST_CODES}"),
            ));
        }
        match &self.worth {
            Worth::Money(amount) if *amount <= Money::ZERO || *amount > MOST_MONEY => {
                return Err(invalid("value", "expected more than nothing"));
            }
            Worth::Plan { days, .. } if !(1..=MOST_DAYS).contains(days) => {
                return Err(invalid(
                    "days",
                    format!("expected a number from 1 to {MOST_DAYS}"),
                ));
            }
            Worth::Money(_) | Worth::Plan { .. } => {}
        }
        self.prefix = self.prefix.to_ascii_uppercase();
        let is_plain = self.prefix.len() <= LONGEST_PREFIX
            && self.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_plain {
            return Err(invalid(
                "prefix",
                format!("expected at most {LONGEST_PREFIX} letters (A to Z) and digits"),
            ));
        }
        if self.per_organization == Some(0) {
            return Err(invalid("per_organization", "expected at least 1"));
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(invalid("expires_at", "that moment is over"));
        }
        Ok(())
    }
}

impl Store {
    /// Makes codes. They are told here, and never again.
    pub async fn make_codes(
        &self,
        mut new: NewCodeBatch,
    ) -> Result<(CodeBatch, Vec<Code>), StoreError> {
        new.check(crate::store::now())?;
        let codes = mint(&new.prefix, new.count)?;
        let mut change = self.begin_change().await?;
        let batch = CodeBatch {
            id: new_id(),
            count: new.count,
            worth: new.worth,
            prefix: new.prefix,
            note: new.note.as_deref().map(clean),
            per_organization: new.per_organization,
            expires_at: new.expires_at,
            revoked_at: None,
            created_at: change.at,
            created_by: clean(self.act.as_ref().map_or("lingate", |act| &act.name)),
            redeemed: 0,
        };
        let (amount, plan, days) = match &batch.worth {
            Worth::Money(amount) => (Some(amount.nano()), None, None),
            Worth::Plan { plan, days } => (None, Some(plan.as_str()), Some(i64::from(*days))),
        };
        execute!(
            change.tx,
            "INSERT INTO code_batches (id, prefix, note, count, amount, plan, days, per_organization, expires_at, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            batch.id.to_string(),
            batch.prefix.as_str(),
            batch.note.as_deref(),
            i64::from(batch.count),
            amount,
            plan,
            days,
            batch.per_organization.map(i64::from),
            batch.expires_at,
            batch.created_at,
            batch.created_by.as_str()
        )?;
        let rows: Vec<(i64, String, &str)> = (1..)
            .zip(&codes)
            .map(|(place, code)| (place, code.sha256(), code.hint()))
            .collect();
        let batch_id = batch.id.to_string();
        for rows in rows.chunks(2_000) {
            on!(change.tx, Database, connection => {
                let mut query = QueryBuilder::<Database>::new("INSERT INTO codes (sha256, batch_id, place, hint) ");
                query.push_values(rows, |mut row, (place, sha256, hint)| {
                    row.push_bind(sha256.clone())
                        .push_bind(batch_id.clone())
                        .push_bind(*place)
                        .push_bind((*hint).to_owned());
                });
                query.build().persistent(false).execute(connection).await.map(drop)
            })?;
        }
        change.note(AuditNote {
            after: Some(json!({
                "count": batch.count,
                "value": amount.map(|amount| Money::from_nano(amount).to_string()),
                "plan": plan,
                "days": days,
                "prefix": batch.prefix,
                "expires_at": batch.expires_at,
            })),
            detail: batch.note.clone(),
            ..AuditNote::of(Deed::Create, Kind::CodeBatch, &batch.id, &batch.prefix)
        });
        self.commit(change).await?;
        Ok((batch, codes))
    }

    pub async fn code_batch(&self, batch: Id) -> Result<CodeBatch, StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, batch).await
    }

    /// A page of batches, the newest first: those before one; true: there are more.
    pub async fn code_batches(
        &self,
        before: Option<Id>,
        limit: u32,
    ) -> Result<(Vec<CodeBatch>, bool), StoreError> {
        let mut tx = self.db.begin_read().await?;
        let mut rows = on!(tx, Database, connection => {
            let mut query = QueryBuilder::<Database>::new(BATCH);
            if let Some(before) = before {
                query.push(" WHERE id < ").push_bind(before.to_string());
            }
            query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit) + 1);
            query.build_query_as::<CodeBatchRow>().fetch_all(connection).await
        })?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let batches: Result<_, _> = rows.into_iter().map(CodeBatchRow::batch).collect();
        Ok((batches?, more))
    }

    /// A page of the codes of a batch, without what they are; true: there are more.
    pub async fn codes_of(
        &self,
        batch: Id,
        after: u32,
        limit: u32,
    ) -> Result<(Vec<CodeState>, bool), StoreError> {
        let mut tx = self.db.begin_read().await?;
        read(&mut tx, batch).await?;
        let mut rows = fetch_all!(
            tx,
            CodeRow,
            "SELECT place, hint, revoked_at, redeemed_at, organization_id, redeemed_by FROM codes WHERE batch_id = $1 AND place > $2 ORDER BY place LIMIT $3",
            batch.to_string(),
            i64::from(after),
            i64::from(limit) + 1
        )?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let codes: Result<_, StoreError> = rows
            .into_iter()
            .map(|row| {
                Ok(CodeState {
                    place: u32::try_from(row.place).unwrap_or(u32::MAX),
                    hint: row.hint,
                    revoked_at: row.revoked_at,
                    redeemed_at: row.redeemed_at,
                    organization: row.organization_id.as_deref().map(id).transpose()?,
                    redeemed_by: row.redeemed_by,
                })
            })
            .collect();
        Ok((codes?, more))
    }

    /// Takes back what is left of a batch, or one code of it. What was redeemed stays so.
    pub async fn revoke_codes(
        &self,
        batch: Id,
        place: Option<u32>,
    ) -> Result<CodeBatch, StoreError> {
        let mut change = self.begin_change().await?;
        let before = read(&mut change.tx, batch).await?;
        let (text, at) = (batch.to_string(), change.at);
        match place {
            None => {
                execute!(
                    change.tx,
                    "UPDATE code_batches SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
                    at,
                    text.as_str()
                )?;
            }
            Some(place) => {
                let touched = execute!(
                    change.tx,
                    "UPDATE codes SET revoked_at = COALESCE(revoked_at, $1) WHERE batch_id = $2 AND place = $3 AND redeemed_at IS NULL",
                    at,
                    text.as_str(),
                    i64::from(place)
                )?;
                if touched == 0 {
                    return Err(invalid(
                        "place",
                        "there is no code at this place that can still be redeemed",
                    ));
                }
            }
        }
        let after = read(&mut change.tx, batch).await?;
        change.note(AuditNote {
            detail: place.map(|place| format!("the code at place {place}")),
            ..AuditNote::of(Deed::Revoke, Kind::CodeBatch, &batch, &before.prefix)
        });
        self.commit(change).await?;
        Ok(after)
    }

    /// Redeems a code for an organization: once, whoever else tries at the same moment.
    pub async fn redeem(
        &self,
        code: &Code,
        organization: Id,
        name: &str,
    ) -> Result<Redeemed, StoreError> {
        let sha256 = code.sha256();
        // What is no code costs nobody a wait.
        let mut tx = self.db.begin_read().await?;
        if found(&mut tx, &sha256).await?.is_none() {
            return Ok(Redeemed::Refused);
        }
        drop(tx);

        let mut change = self.begin_change().await?;
        let Some((batch_id, revoked_at, redeemed_by)) = found(&mut change.tx, &sha256).await?
        else {
            return Ok(Redeemed::Refused);
        };
        let reference = format!("code {}", &sha256[..16]);
        let text = organization.to_string();
        let batch = read(&mut change.tx, id(&batch_id)?).await?;
        if let Some(by) = redeemed_by {
            if by != text {
                return Ok(Redeemed::Refused);
            }
            // Said again: nothing happens twice.
            if let Worth::Plan { .. } = batch.worth {
                let terms = wallet::terms_of(&mut change.tx, organization).await?;
                return Ok(Redeemed::Plan {
                    terms,
                    is_new: false,
                });
            }
            let kind = EntryKind::Redemption;
            let there = wallet::referred(&mut change.tx, organization, kind, &reference).await?;
            return Ok(there.map_or(Redeemed::Refused, |entry| {
                Redeemed::Money(Booked {
                    entry,
                    is_new: false,
                })
            }));
        }
        let is_over = batch.expires_at.is_some_and(|at| at <= change.at);
        if is_over || revoked_at.is_some() || batch.revoked_at.is_some() {
            return Ok(Redeemed::Refused);
        }
        if let Some(most) = batch.per_organization {
            let rows = fetch_all!(
                change.tx,
                (i64,),
                "SELECT COUNT(*) FROM codes WHERE organization_id = $1 AND batch_id = $2",
                text.as_str(),
                batch_id.as_str()
            )?;
            if rows.first().is_some_and(|(had,)| *had >= i64::from(most)) {
                return Ok(Redeemed::Enough);
            }
        }
        let by = clean(self.act.as_ref().map_or("lingate", |act| &act.name));
        let touched = execute!(
            change.tx,
            "UPDATE codes SET redeemed_at = $1, organization_id = $2, redeemed_by = $3 WHERE sha256 = $4 AND redeemed_at IS NULL AND revoked_at IS NULL",
            change.at,
            text.as_str(),
            by.as_str(),
            sha256.as_str()
        )?;
        if touched != 1 {
            return Ok(Redeemed::Refused);
        }
        let note = Some(format!("…{} of batch {batch_id}", code.hint()));
        let entry = |kind, amount| NewEntry {
            kind,
            amount,
            reference: Some(reference),
            of: None,
            note,
            forced: false,
        };
        let redeemed = match &batch.worth {
            Worth::Money(amount) => {
                let entry = entry(EntryKind::Redemption, *amount);
                match wallet::book(self, &mut change, organization, name, entry).await {
                    Ok(booked) => Redeemed::Money(booked),
                    Err(StoreError::NotFound {
                        kind: Kind::Wallet, ..
                    }) => return Ok(Redeemed::NoWallet),
                    Err(error) => return Err(error),
                }
            }
            Worth::Plan { plan, days } => {
                let length = i64::from(*days) * DAY;
                let terms = wallet::add_term(&mut change, organization, plan, length).await?;
                let entry = entry(EntryKind::Plan, Money::ZERO);
                // Those without a wallet have the audit log alone to tell of it.
                match wallet::book(self, &mut change, organization, name, entry).await {
                    Ok(_)
                    | Err(StoreError::NotFound {
                        kind: Kind::Wallet, ..
                    }) => {}
                    Err(error) => return Err(error),
                }
                Redeemed::Plan {
                    terms,
                    is_new: true,
                }
            }
        };
        change.note(AuditNote {
            organization: Some(organization),
            after: Some(json!({"batch": batch_id, "hint": code.hint()})),
            ..AuditNote::of(Deed::Redeem, Kind::Code, &batch_id, code.hint())
        });
        self.commit(change).await?;
        Ok(redeemed)
    }
}

fn mint(prefix: &str, count: u32) -> Result<Vec<Code>, StoreError> {
    let mut seen = HashSet::new();
    let mut codes = Vec::with_capacity(count as usize);
    let mut random = vec![0; RANDOM * count as usize];
    getrandom::fill(&mut random)
        .map_err(|error| StoreError::Other(format!("the system gives no random bits: {error}")))?;
    for bytes in random.as_chunks::<RANDOM>().0 {
        let code = Code::mint(prefix, *bytes);
        if seen.insert(code.0.clone()) {
            codes.push(code);
        }
    }
    Ok(codes)
}

/// The batch of a code, when it was taken back, and which organization has redeemed it.
async fn found(
    tx: &mut Tx,
    sha256: &str,
) -> Result<Option<(String, Option<i64>, Option<String>)>, StoreError> {
    let rows = fetch_all!(
        tx,
        (String, Option<i64>, Option<String>),
        "SELECT batch_id, revoked_at, organization_id FROM codes WHERE sha256 = $1",
        sha256
    )?;
    Ok(rows.into_iter().next())
}

async fn read(tx: &mut Tx, batch: Id) -> Result<CodeBatch, StoreError> {
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(BATCH);
        query.push(" WHERE id = ").push_bind(batch.to_string());
        query.build_query_as::<CodeBatchRow>().fetch_all(connection).await
    })?;
    match rows.into_iter().next() {
        Some(row) => row.batch(),
        None => Err(StoreError::NotFound {
            kind: Kind::CodeBatch,
            id: batch,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_written() {
        let code = Code::mint("SPRING", [7; RANDOM]);
        let shown = code.reveal();
        assert!(shown.starts_with("SPRING-"), "{shown}");
        for written in [
            shown.clone(),
            shown.to_lowercase(),
            shown.replace('-', ""),
            shown.replace('-', " "),
            format!("  {} ", shown.replace('-', "–")),
        ] {
            assert_eq!(Code::read(&written), Some(code.clone()), "{written}");
        }
        assert!(!format!("{code:?}").contains(&shown[..12]));
    }

    #[test]
    fn what_is_miswritten_shows() {
        let code = Code::mint(
            "",
            std::array::from_fn(|place| u8::try_from(place).unwrap()),
        )
        .0;
        let mut missed = 0;
        for place in 0..code.len() {
            let mut wrong = code.clone().into_bytes();
            wrong[place] = if wrong[place] == b'A' { b'B' } else { b'A' };
            let wrong = String::from_utf8(wrong).unwrap();
            missed += usize::from(Code::read(&wrong).is_some());
        }
        assert_eq!(missed, 0);
        for bad in ["", "ABC", "é23456789ABCDEFGHJKL", &"A".repeat(1000)] {
            assert_eq!(Code::read(bad), None, "{bad}");
        }
    }
}
