//! `GET /api/v1/wallets/{organization}/statement`

use std::fmt::Write as _;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use jiff::ToSpan as _;
use lingate_metering::Money;
use lingate_store::{EntryKind, Statement};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Owner, ShownEntry};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::{
    Dollars, Form, Language, Sheet, day, day_text, escaped, moment_text, printed, today,
};
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The first day, in UTC (`2027-01-01`); if nothing is said, the first of this month.
    from: Option<String>,
    /// The day after the last one; if nothing is said, tomorrow.
    until: Option<String>,
    /// `json`, `csv` or `html`; if nothing is said, what `Accept` names.
    format: Option<String>,
}

/// What happened to a wallet in some days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WalletStatement)]
pub(super) struct Shown {
    organization: String,
    organization_name: String,
    /// The first day, in UTC.
    from: String,
    /// The day after the last one.
    until: String,
    /// What was left before.
    opening_balance: Dollars,
    /// The oldest first.
    entries: Vec<ShownEntry>,
    usage: Vec<UsageDay>,
    /// The sum of the entries.
    entries_total: Dollars,
    /// The sum of the usage.
    usage_total: Dollars,
    /// The opening balance and the entries, without the usage.
    closing_balance: Dollars,
}

/// What was used in a day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WalletUsageDay)]
pub(super) struct UsageDay {
    /// In UTC.
    #[schema(example = "2027-01-31")]
    day: String,
    requests: u64,
    spent: Dollars,
}

/// A statement of a wallet
///
/// It adds up to the nano-dollar: the opening balance, and all entries, without what was used each day, is the closing balance.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{organization}/statement",
    tag = "wallets",
    operation_id = "get_wallet_statement",
    params(("organization" = String, Path, description = "The organization, by its id or its name"), Wanted),
    responses(
        (status = 200, description = "The statement", content(
            (Shown = "application/json"), (String = "text/csv"), (String = "text/html"),
        )),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn statement(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(organization): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let owner = Owner::allowed(&admin, &allowed, &organization).await?;
    let form = Form::wanted(wanted.format.as_deref(), &headers)?;
    let today = today();
    let from = match wanted.from {
        Some(text) => day("from", &text)?,
        None => day("from", &today.first_of_month().to_string())?,
    };
    let until = match wanted.until {
        Some(text) => day("until", &text)?,
        None => day("until", &today.saturating_add(1.day()).to_string())?,
    };
    if until <= from {
        return Err(Problem::invalid("until", "expected a day after `from`"));
    }
    let statement = admin.store()?.statement(owner.id, from, until).await?;
    let name = format!(
        "statement-{}-{}.csv",
        day_text(from),
        day_text(until.saturating_sub(1))
    );
    Ok(match form {
        Form::Json => Json(shown(&statement, owner)).into_response(),
        Form::Csv => sheet(&statement).file(&name),
        Form::Html => page(&statement, &owner, Language::of(&headers)),
    })
}

fn totals(statement: &Statement) -> (Money, Money) {
    (
        statement.entries.iter().map(|entry| entry.amount).sum(),
        statement.usage.iter().map(|day| day.spent).sum(),
    )
}

fn shown(statement: &Statement, owner: Owner) -> Shown {
    let (entries, usage) = totals(statement);
    Shown {
        organization: owner.id.to_string(),
        organization_name: owner.name,
        from: day_text(statement.from),
        until: day_text(statement.until),
        opening_balance: statement.opening.into(),
        entries: statement.entries.iter().map(ShownEntry::of).collect(),
        usage: statement
            .usage
            .iter()
            .map(|day| UsageDay {
                day: day_text(day.day),
                requests: day.requests,
                spent: day.spent.into(),
            })
            .collect(),
        entries_total: entries.into(),
        usage_total: usage.into(),
        closing_balance: statement.closing.into(),
    }
}

/// A line of a statement, whatever it is about.
struct Line {
    when: String,
    kind: &'static str,
    reference: String,
    note: String,
    amount: Money,
    balance: Money,
}

/// Entries and days of usage in the order of days, each with what is left then.
fn lines(statement: &Statement) -> Vec<Line> {
    let mut entries = statement.entries.iter().peekable();
    let mut lines = Vec::with_capacity(statement.entries.len() + statement.usage.len());
    let mut balance = statement.opening;
    let mut put = |line: Line| {
        balance = balance.plus(line.amount);
        lines.push(Line { balance, ..line });
    };
    let entry = |entry: &lingate_store::Entry| Line {
        when: moment_text(entry.at),
        kind: entry.kind.name(),
        reference: entry.reference.clone(),
        note: entry.note.clone().unwrap_or_default(),
        amount: entry.amount,
        balance: Money::ZERO,
    };
    for used in &statement.usage {
        let ends = (used.day + 1).saturating_mul(24 * 60 * 60 * 1000);
        while let Some(before) = entries.next_if(|entry| entry.at < ends) {
            put(entry(before));
        }
        put(Line {
            when: day_text(used.day),
            kind: "usage",
            reference: String::new(),
            note: format!("{} requests", used.requests),
            amount: Money::ZERO.minus(used.spent),
            balance: Money::ZERO,
        });
    }
    for left in entries {
        put(entry(left));
    }
    lines
}

fn sheet(statement: &Statement) -> Sheet {
    let mut sheet = Sheet::new(&["when", "kind", "reference", "note", "amount", "balance"]);
    let opening = statement.opening.to_string();
    let from = day_text(statement.from);
    sheet.row(&[&from, "opening_balance", "", "", "", &opening]);
    for line in lines(statement) {
        let (amount, balance) = (line.amount.to_string(), line.balance.to_string());
        let cells = [
            line.when.as_str(),
            line.kind,
            &line.reference,
            &line.note,
            &amount,
            &balance,
        ];
        sheet.row(&cells);
    }
    let closing = statement.closing.to_string();
    let last = day_text(statement.until.saturating_sub(1));
    sheet.row(&[&last, "closing_balance", "", "", "", &closing]);
    sheet
}

fn page(statement: &Statement, owner: &Owner, language: Language) -> Response {
    let say = |english, chinese| language.say(english, chinese);
    let kind = |kind: &str| match kind {
        "usage" => say("Usage", "用量"),
        kind => match EntryKind::from_name(kind) {
            Some(EntryKind::TopUp) => say("Top-up", "充值"),
            Some(EntryKind::Redemption) => say("Code", "兑换码"),
            Some(EntryKind::Payment) => say("Payment", "付款"),
            Some(EntryKind::Refund) => say("Refund", "退款"),
            Some(EntryKind::Adjustment) => say("Correction", "调整"),
            Some(EntryKind::Plan) => say("Plan", "套餐"),
            None => "",
        },
    };
    let mut body = format!(
        "<dl><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{} – {} (UTC)</dd></dl><table><thead><tr><th>{}</th><th></th><th>{}</th><th class=n>{}</th><th class=n>{}</th></tr></thead><tbody>",
        say("Organization", "组织"),
        escaped(&owner.name),
        say("Days", "日期"),
        day_text(statement.from),
        day_text(statement.until.saturating_sub(1)),
        say("When", "时间"),
        say("Note", "备注"),
        say("Amount (USD)", "金额（美元）"),
        say("Balance (USD)", "余额（美元）"),
    );
    let bold = |body: &mut String, what, amount| {
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            "<tr class=sum><td colspan=4>{what}</td><td class=n>{amount}</td></tr>"
        );
    };
    bold(
        &mut body,
        say("Opening balance", "期初余额"),
        statement.opening,
    );
    for line in lines(statement) {
        let _ = write!(
            body,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=n>{}</td><td class=n>{}</td></tr>",
            line.when,
            kind(line.kind),
            escaped(&line.note),
            line.amount,
            line.balance
        );
    }
    bold(
        &mut body,
        say("Closing balance", "期末余额"),
        statement.closing,
    );
    body.push_str("</tbody></table>");
    printed(language, say("Statement", "对账单"), &body)
}
