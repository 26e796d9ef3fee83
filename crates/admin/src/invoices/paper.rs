//! An invoice in the forms that it is wanted in: JSON, CSV for spreadsheets, HTML for the printer.

use std::fmt::Write as _;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use lingate_store::{Invoice, InvoiceDocument, InvoiceKind, Party};

use super::shown::{Shown, converted, percent, state_name};
use crate::frame::{Form, Language, Sheet, escaped, moment_text, printed};
use crate::problem::Problem;

/// What is put on paper.
#[derive(Debug, Clone, Copy)]
pub(super) enum Paper<'a> {
    Draft(&'a InvoiceDocument),
    Issued(&'a Invoice),
}

/// `format`: what the query asks for.
pub(super) fn answer(
    paper: &Paper<'_>,
    format: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    Ok(match Form::wanted(format, headers)? {
        Form::Json => Json(match paper {
            Paper::Draft(document) => Shown::draft(document),
            Paper::Issued(invoice) => Shown::whole(invoice),
        })
        .into_response(),
        Form::Csv => sheet(paper.document()).file(&format!("{}.csv", paper.name())),
        Form::Html => page(paper, Language::of(headers)),
    })
}

impl<'a> Paper<'a> {
    fn document(&self) -> &'a InvoiceDocument {
        match self {
            Self::Draft(document) => document,
            Self::Issued(invoice) => &invoice.document,
        }
    }

    /// Of the file.
    fn name(&self) -> String {
        match self {
            Self::Draft(document) => format!("draft-{}", document.month),
            Self::Issued(invoice) => invoice.number.clone(),
        }
    }
}

fn name(party: Option<&Party>) -> &str {
    party.map_or("", |party| &party.name)
}

fn sheet(document: &InvoiceDocument) -> Sheet {
    let mut sheet = Sheet::new(&[
        "model",
        "project",
        "key",
        "requests",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "amount",
    ]);
    for line in &document.lines {
        let numbers = [
            line.requests,
            line.input_tokens,
            line.output_tokens,
            line.cache_read_tokens,
            line.cache_write_tokens,
        ]
        .map(|number| number.to_string());
        let amount = line.amount.to_string();
        let mut cells = vec![
            line.model.as_str(),
            name(line.project.as_ref()),
            name(line.key.as_ref()),
        ];
        cells.extend(numbers.iter().map(String::as_str));
        cells.push(&amount);
        sheet.row(&cells);
    }
    let sums = document.sums;
    for (what, amount) in [
        ("used", sums.used),
        ("prepaid", sums.prepaid),
        ("subtotal", sums.subtotal),
        ("tax", sums.tax),
        ("rounding", sums.rounding),
        ("payable", sums.payable),
    ] {
        sheet.row(&[what, "", "", "", "", "", "", "", &amount.to_string()]);
    }
    sheet
}

fn page(paper: &Paper<'_>, language: Language) -> Response {
    let say = |english: &'static str, chinese: &'static str| language.say(english, chinese);
    let document = paper.document();
    let (mut title, mut facts) = (
        say("Invoice (draft)", "账单（草稿）").to_owned(),
        Vec::new(),
    );
    if let Paper::Issued(invoice) = paper {
        let kind = match invoice.kind {
            InvoiceKind::Invoice => say("Invoice", "账单"),
            InvoiceKind::CreditNote => say("Credit note", "贷记单"),
        };
        title = format!("{kind} {}", invoice.number);
        let (english, chinese) = state_name(Some(invoice.state));
        facts.push((say("State", "状态"), say(english, chinese).to_owned()));
        let day = |at| moment_text(at).chars().take(10).collect::<String>();
        facts.push((say("Issued", "开具日期"), day(invoice.issued_at)));
        if let Some(due) = invoice.due_at {
            facts.push((say("Due", "到期日"), day(due)));
        }
    }
    facts.insert(
        0,
        (
            say("Organization", "组织"),
            escaped(&document.organization.name),
        ),
    );
    facts.insert(
        1,
        (
            say("Month (UTC)", "月份（UTC）"),
            document.month.to_string(),
        ),
    );
    if let Some(note) = &document.note {
        facts.push((say("Note", "备注"), escaped(note)));
    }
    let mut body = String::from("<dl>");
    for (what, value) in facts {
        // Writing to a string cannot fail.
        let _ = write!(body, "<dt>{what}</dt><dd>{value}</dd>");
    }
    body.push_str("</dl>");
    if !document.lines.is_empty() {
        lines(&mut body, document, language);
    }
    let sums = document.sums;
    body.push_str("<table><tbody>");
    let mut sum = |what: &str, amount: &dyn std::fmt::Display| {
        let _ = write!(
            body,
            "<tr class=sum><td>{what}</td><td class=n>{amount}</td></tr>"
        );
    };
    if !document.lines.is_empty() {
        sum(say("Used", "用量金额"), &sums.used);
    }
    if sums.prepaid.nano() != 0 {
        sum(
            say("Paid from the wallet", "已由钱包支付"),
            &lingate_metering::Money::ZERO.minus(sums.prepaid),
        );
    }
    sum(say("Subtotal", "小计"), &sums.subtotal);
    if document.tax.rate > 0 {
        let tax = format!(
            "{} {} %",
            escaped(&document.tax.name),
            percent(document.tax.rate)
        );
        sum(&tax, &sums.tax);
    }
    if sums.rounding.nano() != 0 {
        sum(say("Rounding to whole cents", "舍入到分"), &sums.rounding);
    }
    sum(say("Total (USD)", "合计（美元）"), &sums.payable);
    if let Some(shown) = &document.shown {
        let what = format!("{} ({})", say("Total", "合计"), escaped(&shown.currency));
        sum(&what, &converted(sums.payable.nano(), shown.rate));
    }
    body.push_str("</tbody></table>");
    if document.unpriced_requests > 0 {
        let _ = write!(
            body,
            "<p>{} {}</p>",
            document.unpriced_requests,
            say(
                "requests have no known price and are not in these sums.",
                "个请求没有已知价格，未计入以上金额。"
            )
        );
    }
    printed(language, &title, &body)
}

fn lines(body: &mut String, document: &InvoiceDocument, language: Language) {
    let say = |english: &'static str, chinese: &'static str| language.say(english, chinese);
    body.push_str("<table><thead><tr>");
    for (what, is_number) in [
        (say("Model", "模型"), false),
        (say("Project", "项目"), false),
        (say("Key", "密钥"), false),
        (say("Requests", "请求数"), true),
        (say("Input tokens", "输入 Token"), true),
        (say("Output tokens", "输出 Token"), true),
        (say("Amount (USD)", "金额（美元）"), true),
    ] {
        let class = if is_number { " class=n" } else { "" };
        let _ = write!(body, "<th{class}>{what}</th>");
    }
    body.push_str("</tr></thead><tbody>");
    for line in &document.lines {
        let _ = write!(
            body,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td></tr>",
            escaped(&line.model),
            escaped(name(line.project.as_ref())),
            escaped(name(line.key.as_ref())),
            line.requests,
            line.input_tokens,
            line.output_tokens,
            line.amount
        );
    }
    body.push_str("</tbody></table>");
}
