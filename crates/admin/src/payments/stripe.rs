//! Stripe's events. <https://docs.stripe.com/webhooks>, <https://docs.stripe.com/api/events>

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use lingate_catalog::Factor;
use lingate_config::Payments;
use lingate_metering::currency::{Currencies, Currency};
use lingate_metering::{Millis, Money};
use lingate_store::{Payment, PaymentEffect, PaymentEvent};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::{Service, Told};
use crate::problem::Problem;

/// How far the moment that an event was signed may be from now: older ones may be somebody's who has seen them go by.
const TOLERANCE: Millis = 5 * 60 * 1000;

/// Currencies whose smallest unit is the whole one. <https://docs.stripe.com/currencies#zero-decimal>
const WHOLE: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
/// Currencies whose smallest unit is a thousandth.
const THOUSANDTHS: &[&str] = &["BHD", "JOD", "KWD", "OMR", "TND"];

pub(super) struct Stripe {
    secret: SecretString,
    rates: Currencies,
}

impl Service for Stripe {
    const NAME: &'static str = "stripe";

    fn configured(payments: &Payments) -> Option<Self> {
        let secret = &payments.stripe.as_ref()?.webhook_secret;
        // Whatever a configuration says: with an empty secret everybody could sign.
        if secret.expose_secret().trim().is_empty() {
            return None;
        }
        Some(Self {
            secret: secret.clone(),
            rates: payments.rates.clone(),
        })
    }

    fn proves(&self, headers: &HeaderMap, body: &[u8], now: Millis) -> Result<(), Problem> {
        let bad = |why: &str| {
            Problem::new(http::StatusCode::BAD_REQUEST, "bad_signature", why)
                .hint("is `payments.stripe.webhook_secret` that of this endpoint?")
        };
        let header = headers.get("stripe-signature");
        let header = header.and_then(|header| header.to_str().ok());
        let header = header.ok_or_else(|| bad("there is no `Stripe-Signature`"))?;
        let mut signed_at = None;
        let mut signatures = Vec::new();
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", at)) => signed_at = Some(at),
                Some(("v1", signature)) => signatures.extend(bytes(signature)),
                // Other schemes are not ours to trust.
                _ => {}
            }
        }
        let text = signed_at.ok_or_else(|| bad("`Stripe-Signature` has no `t`"))?;
        let seconds: i64 = text
            .parse()
            .map_err(|_| bad("`Stripe-Signature` has no `t`"))?;
        let mut expect = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes())
            .map_err(|_| bad("the secret cannot be used"))?;
        expect.update(text.as_bytes());
        expect.update(b".");
        expect.update(body);
        // In constant time, each.
        let is_signed = signatures
            .iter()
            .any(|signature| expect.clone().verify_slice(signature).is_ok());
        if !is_signed {
            return Err(bad("none of the signatures is of this body"));
        }
        let age = now.saturating_sub(seconds.saturating_mul(1000));
        if !(-TOLERANCE..=TOLERANCE).contains(&age) {
            return Err(bad(
                "this was signed too long ago, or the clocks differ by more than five minutes",
            ));
        }
        Ok(())
    }

    fn read(&self, body: &[u8]) -> Result<Told, Problem> {
        let event: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::bad(format!("the body is no JSON: {error}")))?;
        let text = |value: &Value| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let id = text(&event["id"]).filter(|id| id.len() <= 255);
        let id = id.ok_or_else(|| Problem::bad("the event has no `id`"))?;
        let kind = text(&event["type"]).ok_or_else(|| Problem::bad("the event has no `type`"))?;
        let object = &event["data"]["object"];
        let organization = text(&object["metadata"]["organization"])
            .or_else(|| text(&object["client_reference_id"]));
        let effect = match kind.as_str() {
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
                self.checkout(object)
            }
            "charge.refunded" => refund(object),
            _ => PaymentEffect::Nothing,
        };
        let created_at = event["created"].as_i64().unwrap_or(0).saturating_mul(1000);
        Ok(Told {
            event: PaymentEvent {
                provider: Self::NAME,
                id,
                kind,
                created_at,
                event: without_cards(&event).to_string(),
                effect,
            },
            organization,
        })
    }
}

impl Stripe {
    fn checkout(&self, object: &Value) -> PaymentEffect {
        // Of one that is paid later another event tells.
        if object["payment_status"] != "paid" {
            return PaymentEffect::Nothing;
        }
        let unclear = |what: &str| PaymentEffect::Unclear(format!("it has no `{what}`"));
        let id = object["payment_intent"]
            .as_str()
            .or_else(|| object["id"].as_str());
        let (Some(id), Some(minor)) = (id, object["amount_total"].as_u64()) else {
            return unclear("amount_total");
        };
        let Some(currency) = object["currency"].as_str() else {
            return unclear("currency");
        };
        let currency = currency.to_ascii_uppercase();
        PaymentEffect::Paid(Payment {
            id: id.to_owned(),
            organization: None,
            amount: dollars(minor, &currency, &self.rates),
            currency,
            minor,
        })
    }
}

fn refund(object: &Value) -> PaymentEffect {
    let payment = object["payment_intent"]
        .as_str()
        .or_else(|| object["id"].as_str());
    match (payment, object["amount_refunded"].as_u64()) {
        (Some(payment), Some(minor)) => PaymentEffect::Refunded {
            payment: payment.to_owned(),
            minor,
        },
        _ => PaymentEffect::Unclear("it has no `amount_refunded`".to_owned()),
    }
}

/// An amount in the smallest unit of a currency; what is less than a nano-dollar is left out. `None`: there is no rate.
fn dollars(minor: u64, currency: &str, rates: &Currencies) -> Option<Money> {
    let nanos: u128 = if WHOLE.contains(&currency) {
        1_000_000_000
    } else if THOUSANDTHS.contains(&currency) {
        1_000_000
    } else {
        10_000_000
    };
    let rate = match currency {
        "USD" => Factor::ONE,
        other => rates.rate(Currency::from_code(other)?)?,
    };
    let nano = u128::from(minor) * nanos * 1_000_000 / u128::from(rate.millionths()).max(1);
    i64::try_from(nano).ok().map(Money::from_nano)
}

/// What is needed to understand an event later. Cards, addresses and names of people are not.
fn without_cards(event: &Value) -> Value {
    let some = |value: &Value, names: &[&str]| {
        let kept = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())))
            .filter(|(_, value)| !value.is_object() && !value.is_array());
        kept.collect::<Map<String, Value>>()
    };
    let mut kept = some(event, &["id", "type", "created", "livemode", "api_version"]);
    let object = &event["data"]["object"];
    let mut inner = some(
        object,
        &[
            "id",
            "object",
            "amount",
            "amount_total",
            "amount_refunded",
            "currency",
            "payment_status",
            "payment_intent",
            "client_reference_id",
            "mode",
            "status",
            "created",
        ],
    );
    if let Some(organization) = object["metadata"]["organization"].as_str() {
        inner.insert("metadata".to_owned(), json!({"organization": organization}));
    }
    kept.insert("data".to_owned(), json!({"object": inner}));
    Value::Object(kept)
}

/// Hexadecimal digits; `None`: they are none.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_test";
    const BODY: &[u8] = br#"{"id":"evt_1","type":"x"}"#;
    const NOW: Millis = 1_796_000_000_000;

    fn stripe() -> Stripe {
        let mut rates = Currencies::default();
        rates.insert(
            Currency::from_code("CNY").unwrap(),
            Factor::parse("7.1").unwrap(),
        );
        Stripe {
            secret: SecretString::from(SECRET),
            rates,
        }
    }

    fn signature(secret: &str, at: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(at.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        let digits = mac.finalize().into_bytes();
        digits
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    fn proved(header: &str, body: &[u8]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("stripe-signature", header.parse().unwrap());
        stripe().proves(&headers, body, NOW).is_ok()
    }

    #[test]
    fn an_event_is_proved_by_its_signature_and_its_time() {
        let at = NOW / 1000;
        let good = signature(SECRET, at, BODY);
        assert!(proved(&format!("t={at},v1={good}"), BODY));
        // While a secret is replaced there are several.
        assert!(proved(
            &format!("t={at},v1={},v1={good},v0=00", "0".repeat(64)),
            BODY
        ));
        for bad in [
            format!("t={at}"),
            format!("v1={good}"),
            format!("t={at},v0={good}"),
            format!("t={},v1={good}", at + 1),
            format!("t={at},v1={}", signature("", at, BODY)),
            format!("t={at},v1={}", &good[..62]),
            format!("t={at},v1="),
            format!("t=x,v1={good}"),
            String::new(),
        ] {
            assert!(!proved(&bad, BODY), "{bad}");
        }
        assert!(!proved(&format!("t={at},v1={good}"), b"{}"));
        for (seconds, fits) in [(-300, true), (300, true), (-301, false), (301, false)] {
            let at = at + seconds;
            let header = format!("t={at},v1={}", signature(SECRET, at, BODY));
            assert_eq!(proved(&header, BODY), fits, "{seconds}");
        }
        assert!(stripe().proves(&HeaderMap::new(), BODY, NOW).is_err());
    }

    #[test]
    fn no_secret_is_no_service() {
        let payments = |secret: &str| Payments {
            stripe: Some(lingate_config::Stripe {
                webhook_secret: SecretString::from(secret),
            }),
            ..Payments::default()
        };
        assert!(Stripe::configured(&payments("")).is_none());
        assert!(Stripe::configured(&payments("  ")).is_none());
        assert!(Stripe::configured(&payments("a")).is_some());
        assert!(Stripe::configured(&Payments::default()).is_none());
    }

    #[test]
    fn what_is_paid_is_read_and_cards_are_not_kept() {
        let body = json!({
            "id": "evt_1", "type": "checkout.session.completed", "created": 5,
            "data": {"object": {
                "id": "cs_1", "payment_intent": "pi_1", "payment_status": "paid", "amount_total": 1250,
                "currency": "usd", "client_reference_id": "org", "customer_details": {"email": "canary@example.com"},
                "payment_method_details": {"card": {"last4": "4242"}},
            }},
        });
        let told = stripe().read(body.to_string().as_bytes()).unwrap();
        assert_eq!(told.organization.as_deref(), Some("org"));
        assert_eq!(
            told.event.effect,
            PaymentEffect::Paid(Payment {
                id: "pi_1".into(),
                organization: None,
                currency: "USD".into(),
                minor: 1250,
                amount: Some(Money::from_nano(12_500_000_000)),
            })
        );
        assert!(!told.event.event.contains("canary") && !told.event.event.contains("4242"));
        let mut unpaid = body.clone();
        unpaid["data"]["object"]["payment_status"] = "unpaid".into();
        let told = stripe().read(unpaid.to_string().as_bytes()).unwrap();
        assert_eq!(told.event.effect, PaymentEffect::Nothing);
        assert!(stripe().read(b"[]").is_err());
    }

    #[test]
    fn amounts_are_in_the_smallest_unit_of_their_currency() {
        let rates = stripe().rates;
        let mut all = rates.clone();
        for (code, rate) in [("JPY", "150"), ("KWD", "0.3")] {
            all.insert(
                Currency::from_code(code).unwrap(),
                Factor::parse(rate).unwrap(),
            );
        }
        for (minor, currency, nano) in [
            (1, "USD", Some(10_000_000)),
            (7_100, "CNY", Some(10_000_000_000)),
            (1_500, "JPY", Some(10_000_000_000)),
            (3_000, "KWD", Some(10_000_000_000)),
            (100, "EUR", None),
            (100, "QQQ", None),
            (u64::MAX, "USD", None),
        ] {
            let found = dollars(minor, currency, &all).map(Money::nano);
            assert_eq!(found, nano, "{minor} {currency}");
        }
    }
}
