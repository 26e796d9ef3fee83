//! An invoice as it is told.

use lingate_metering::Millis;
use lingate_store::{Invoice, InvoiceDocument, InvoiceKind, InvoiceLine, InvoiceState, Party};
use serde::Serialize;
use utoipa::ToSchema;

use crate::frame::{Dollars, moment_text};

/// An invoice, a credit note, or the draft of an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invoice)]
pub(super) struct Shown {
    /// Not there: it is a draft.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    kind: &'static str,
    /// Without a gap in a year; not there: it is a draft.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "INV-2027-000001")]
    number: Option<String>,
    /// `draft`, `issued`, `paid` or `void`.
    state: &'static str,
    organization: ShownParty,
    /// In UTC.
    #[schema(example = "2027-01")]
    month: String,
    /// Models, projects and keys, the dearest first. A list of invoices leaves them out.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<ShownLine>>,
    /// The sum of all lines.
    used: Dollars,
    /// What the organization's wallet has paid of that.
    prepaid: Dollars,
    /// What was used, without what is prepaid.
    subtotal: Dollars,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax: Option<ShownTax>,
    /// What is added to come to whole cents.
    rounding: Dollars,
    /// The subtotal, the tax and the rounding: whole cents.
    payable: Dollars,
    /// The same in another currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    converted: Option<ShownIn>,
    /// Requests that no price is known for: they are in no line's amount.
    unpriced_requests: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The invoice that a credit note takes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    /// When it was paid, or made void.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<String>,
}

/// Whom it is about, as they were called when it was issued.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceParty)]
pub(super) struct ShownParty {
    id: String,
    name: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceLine)]
pub(super) struct ShownLine {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<ShownParty>,
    /// Not there: callers that needed no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<ShownParty>,
    requests: i64,
    input_tokens: i64,
    output_tokens: i64,
    cache_read_tokens: i64,
    cache_write_tokens: i64,
    amount: Dollars,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceTax)]
pub(super) struct ShownTax {
    #[schema(example = "VAT")]
    name: String,
    /// In percent.
    #[schema(example = "6")]
    rate: String,
    amount: Dollars,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceConverted)]
pub(super) struct ShownIn {
    #[schema(example = "CNY")]
    currency: String,
    /// What a dollar was worth.
    #[schema(example = "7.1")]
    rate: String,
    /// Rounded half away from zero to two places.
    payable: String,
}

impl ShownParty {
    fn of(party: &Party) -> Self {
        Self {
            id: party.id.clone(),
            name: party.name.clone(),
        }
    }
}

impl ShownLine {
    fn of(line: &InvoiceLine) -> Self {
        Self {
            model: line.model.clone(),
            project: line.project.as_ref().map(ShownParty::of),
            key: line.key.as_ref().map(ShownParty::of),
            requests: line.requests,
            input_tokens: line.input_tokens,
            output_tokens: line.output_tokens,
            cache_read_tokens: line.cache_read_tokens,
            cache_write_tokens: line.cache_write_tokens,
            amount: line.amount.into(),
        }
    }
}

impl Shown {
    /// With all lines.
    pub(super) fn whole(invoice: &Invoice) -> Self {
        let lines = (invoice.kind == InvoiceKind::Invoice).then(|| lines(&invoice.document));
        Self {
            lines,
            ..Self::brief(invoice)
        }
    }

    /// Without lines.
    pub(super) fn brief(invoice: &Invoice) -> Self {
        let at = |at: Option<Millis>| at.map(moment_text);
        Self {
            id: Some(invoice.id.to_string()),
            kind: invoice.kind.name(),
            number: Some(invoice.number.clone()),
            state: invoice.state.name(),
            invoice_id: invoice.of.map(|id| id.to_string()),
            issued_at: at(Some(invoice.issued_at)),
            due_at: at(invoice.due_at),
            settled_at: at(invoice.settled_at),
            ..Self::document(&invoice.document)
        }
    }

    pub(super) fn draft(document: &InvoiceDocument) -> Self {
        Self {
            lines: Some(lines(document)),
            ..Self::document(document)
        }
    }

    fn document(document: &InvoiceDocument) -> Self {
        let sums = document.sums;
        Self {
            id: None,
            kind: InvoiceKind::Invoice.name(),
            number: None,
            state: "draft",
            organization: ShownParty::of(&document.organization),
            month: document.month.to_string(),
            lines: None,
            used: sums.used.into(),
            prepaid: sums.prepaid.into(),
            subtotal: sums.subtotal.into(),
            tax: (document.tax.rate > 0).then(|| ShownTax {
                name: document.tax.name.clone(),
                rate: percent(document.tax.rate),
                amount: sums.tax.into(),
            }),
            rounding: sums.rounding.into(),
            payable: sums.payable.into(),
            converted: document.shown.as_ref().map(|shown| ShownIn {
                currency: shown.currency.clone(),
                rate: decimal(i128::from(shown.rate), 6),
                payable: converted(sums.payable.nano(), shown.rate),
            }),
            unpriced_requests: document.unpriced_requests,
            note: document.note.clone(),
            invoice_id: None,
            issued_at: None,
            due_at: None,
            settled_at: None,
        }
    }
}

fn lines(document: &InvoiceDocument) -> Vec<ShownLine> {
    document.lines.iter().map(ShownLine::of).collect()
}

/// Parts of a million as percent.
pub(super) fn percent(rate: u32) -> String {
    decimal(i128::from(rate), 4)
}

/// A number that counts parts, as a decimal without zeros at its end.
fn decimal(parts: i128, places: usize) -> String {
    let sign = if parts < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", parts.unsigned_abs(), width = places + 1);
    let (whole, rest) = digits.split_at(digits.len() - places);
    match rest.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        rest => format!("{sign}{whole}.{rest}"),
    }
}

/// Nano-dollars in another currency, whose rate is in millionths; two places, rounded half away from zero.
pub(super) fn converted(nano: i64, rate: i64) -> String {
    // Nano × millionths, of which a hundredth has 10^13.
    let exact = i128::from(nano) * i128::from(rate);
    let half = 5_000_000_000_000 * exact.signum();
    let cents = (exact + half) / 10_000_000_000_000;
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// What a state is called on paper.
pub(super) fn state_name(state: Option<InvoiceState>) -> (&'static str, &'static str) {
    match state {
        None => ("Draft", "草稿"),
        Some(InvoiceState::Issued) => ("Issued", "已开具"),
        Some(InvoiceState::Paid) => ("Paid", "已付款"),
        Some(InvoiceState::Void) => ("Void", "已作废"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_they_are() {
        for (parts, places, expect) in [
            (60_000, 4, "6"),
            (192_500, 4, "19.25"),
            (1, 4, "0.0001"),
            (7_100_000, 6, "7.1"),
            (0, 6, "0"),
        ] {
            assert_eq!(decimal(parts, places), expect);
        }
        for (nano, rate, expect) in [
            (1_000_000_000, 7_100_000, "7.10"),
            (10_000_000, 7_150_000, "0.07"),
            (30_000_000, 500_000, "0.02"),
            (-30_000_000, 500_000, "-0.02"),
            (i64::MAX, 1_000_000_000, "9223372036854.78"),
        ] {
            assert_eq!(converted(nano, rate), expect, "{nano} {rate}");
        }
    }
}
