//! Amounts in other currencies than dollars, for showing them. Nothing is reckoned or stored in them.

use std::fmt;

use lingate_catalog::{Factor, Money, dollars};

/// The currencies of ISO 4217 that are in use (list one, 2026), but for the dollar and those of funds and metals.
const CODES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY \
    COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR \
    ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR \
    MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
    SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// A currency by its code, in capitals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    pub fn from_code(code: &str) -> Option<Self> {
        let upper = code.to_ascii_uppercase();
        let known = CODES.split_ascii_whitespace().any(|known| known == upper);
        known.then(|| upper.as_bytes().try_into().ok().map(Self))?
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// What a dollar is worth in some currencies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Currencies(Vec<(Currency, Factor)>);

impl Currencies {
    /// `false`: it has a rate already, which stays.
    pub fn insert(&mut self, currency: Currency, rate: Factor) -> bool {
        if self.rate(currency).is_some() {
            return false;
        }
        self.0.push((currency, rate));
        true
    }

    pub fn rate(&self, currency: Currency) -> Option<Factor> {
        let found = self.0.iter().find(|(known, _)| *known == currency);
        found.map(|(_, rate)| *rate)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Currency, Factor)> + '_ {
        self.0.iter().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An amount in another currency, as a decimal without its sign; rounded half away from zero to nine places. `None`: there
    /// is no rate.
    pub fn show(&self, amount: Money, currency: Currency) -> Option<String> {
        let rate = i128::from(self.rate(currency)?.millionths());
        let product = i128::from(amount.nano()).saturating_mul(rate);
        let rounded = (product.unsigned_abs() + 500_000) / 1_000_000;
        let sign = if product < 0 && rounded > 0 { "-" } else { "" };
        let text = u64::try_from(rounded).map_or_else(|_| rounded_large(rounded), dollars);
        Some(format!("{sign}{text}"))
    }
}

/// More than eighteen thousand million of a currency.
fn rounded_large(nano: u128) -> String {
    (nano / 1_000_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_at_the_rate() {
        let mut rates = Currencies::default();
        let code = |code: &str| Currency::from_code(code).unwrap();
        assert!(rates.insert(code("CNY"), Factor::parse("7.1").unwrap()));
        assert!(rates.insert(code("jpy"), Factor::parse("155.25").unwrap()));
        assert!(!rates.insert(code("cny"), Factor::parse("8").unwrap()));
        let check = |nano: i64, currency: &str, expect: Option<&str>| {
            let found = rates.show(Money::from_nano(nano), code(currency));
            assert_eq!(found.as_deref(), expect, "{nano} {currency}");
        };
        check(1_000_000_000, "CNY", Some("7.1"));
        check(125_000, "CNY", Some("0.0008875"));
        check(1, "CNY", Some("0.000000007"));
        check(-1_500_000_000, "JPY", Some("-232.875"));
        check(0, "JPY", Some("0"));
        check(i64::MAX, "JPY", Some("1431928508721"));
        check(1, "EUR", None);
    }

    #[test]
    fn only_real_currencies_have_rates() {
        for (text, expect) in [
            ("EUR", true),
            ("eur", true),
            ("USD", true),
            ("XYZ", false),
            ("EURO", false),
            ("BTC", false),
            ("", false),
            ("€", false),
        ] {
            assert_eq!(Currency::from_code(text).is_some(), expect, "{text}");
        }
    }
}
