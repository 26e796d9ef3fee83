//! Which invoice is asked for: organization, month, tax.

use std::collections::HashMap;

use lingate_metering::currency::Currency;
use lingate_store::{Month, NewInvoice, Party, ShownCurrency, Tax};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;
use crate::wallets::Owner;

/// A tax on the whole.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInvoiceTax)]
pub(super) struct WantedTax {
    #[schema(example = "VAT")]
    pub(super) name: String,
    /// In percent, with at most four digits after the point.
    #[schema(example = "6", pattern = r"^[0-9]{1,3}(\.[0-9]{1,4})?$")]
    pub(super) rate: String,
}

/// A currency to show the amount in besides.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInvoiceCurrency)]
pub(super) struct WantedCurrency {
    #[schema(example = "CNY")]
    pub(super) currency: String,
    /// What a dollar is worth, with at most six digits after the point.
    #[schema(example = "7.1", pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]
    pub(super) rate: String,
}

impl WantedTax {
    pub(super) fn read(&self) -> Result<Tax, Problem> {
        let rate = parts(&self.rate, 4).and_then(|rate| u32::try_from(rate).ok());
        let rate = rate.filter(|rate| *rate <= 1_000_000).ok_or_else(|| {
            Problem::invalid(
                "/tax/rate",
                "expected percent as text, such as \"6\" or \"19.25\", from 0 to 100",
            )
        })?;
        let name = short("/tax/name", &self.name, 100)?;
        Ok(Tax { name, rate })
    }
}

impl WantedCurrency {
    pub(super) fn read(&self) -> Result<ShownCurrency, Problem> {
        let currency = Currency::from_code(&self.currency).ok_or_else(|| {
            Problem::invalid(
                "/convert_to/currency",
                "expected the code of a currency other than the dollar, such as CNY",
            )
        })?;
        let rate = parts(&self.rate, 6)
            .filter(|rate| *rate > 0)
            .ok_or_else(|| {
                Problem::invalid(
                    "/convert_to/rate",
                    "expected what a dollar is worth, as text such as \"7.1\"",
                )
            })?;
        Ok(ShownCurrency {
            currency: currency.to_string(),
            rate,
        })
    }
}

/// A decimal as a number of parts; `None`: it is none, or has more places.
fn parts(text: &str, places: usize) -> Option<i64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = !whole.is_empty()
        && whole.len() <= 9
        && rest.len() <= places
        && digits(whole)
        && digits(rest);
    if !is_plain || text.ends_with('.') {
        return None;
    }
    format!("{whole}{rest:0<places$}").parse().ok()
}

/// Text that is shown and stored.
pub(super) fn short(field: &'static str, text: &str, most: usize) -> Result<String, Problem> {
    if text.chars().count() > most || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Problem::invalid(
            field,
            format!("expected at most {most} characters, none of them a control character"),
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn month(field: &'static str, text: &str) -> Result<Month, Problem> {
    text.parse()
        .map_err(|bad: lingate_store::BadMonth| Problem::invalid(field, bad.to_string()))
}

/// The invoice of an organization and a month, without tax, for whoever holds the endpoint's permission in the organization.
pub(super) async fn bare(
    admin: &Admin,
    allowed: &Allowed,
    organization: &str,
    month: Month,
) -> Result<NewInvoice, Problem> {
    let owner = Owner::allowed(admin, allowed, organization).await?;
    let configured = admin.configured();
    let declared = &configured.declared;
    let projects = declared.projects.iter().map(|it| (it.id, &it.name));
    let keys = declared.keys.iter().map(|it| (it.id, &it.name));
    let pair = |(id, name): (lingate_metering::Id, &String)| (id.to_string(), name.clone());
    let names: HashMap<String, String> = projects.chain(keys).map(pair).collect();
    Ok(NewInvoice {
        organization: Party {
            id: owner.id.to_string(),
            name: owner.name,
        },
        month,
        tax: Tax::default(),
        shown: None,
        note: None,
        due_at: None,
        names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        for (text, places, expect) in [
            ("6", 4, Some(60_000)),
            ("19.25", 4, Some(192_500)),
            ("0.0001", 4, Some(1)),
            ("7.1", 6, Some(7_100_000)),
            ("", 4, None),
            ("6.", 4, None),
            (".5", 4, None),
            ("-1", 4, None),
            ("1e2", 4, None),
            ("0.00001", 4, None),
            ("1234567890", 4, None),
        ] {
            assert_eq!(parts(text, places), expect, "{text}");
        }
    }
}
