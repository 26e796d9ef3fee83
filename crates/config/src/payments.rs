//! Services that tell of payments.

use lingate_metering::currency::Currencies;
use secrecy::{ExposeSecret as _, SecretString};

use crate::read::{Reader, Value};

/// Who tells of payments, and what a dollar is worth in what they are made in.
#[derive(Debug, Clone, Default)]
pub struct Payments {
    pub stripe: Option<Stripe>,
    /// Payments in other currencies are not credited.
    pub rates: Currencies,
}

#[derive(Debug, Clone)]
pub struct Stripe {
    /// Never empty.
    pub webhook_secret: SecretString,
}

impl PartialEq for Payments {
    fn eq(&self, other: &Self) -> bool {
        let secret = |payments: &Self| {
            let stripe = payments.stripe.as_ref();
            stripe.map(|stripe| stripe.webhook_secret.expose_secret().to_owned())
        };
        secret(self) == secret(other) && self.rates == other.rates
    }
}

impl Eq for Payments {}

impl Reader<'_> {
    pub(crate) fn payments(&mut self, said: Option<&Value>) -> Payments {
        let Some(said) = said else {
            return Payments::default();
        };
        let stripe = said.get("stripe").and_then(|stripe| {
            let secret = stripe.get("webhook_secret").and_then(Value::secret);
            if secret.is_none() && !self.told(&stripe.path) {
                let message = "needs a `webhook_secret` that is not empty: without one anybody could make payments up";
                self.problem(&stripe.place, &stripe.path, message);
            }
            secret.map(|secret| Stripe {
                webhook_secret: secret.clone(),
            })
        });
        Payments {
            stripe,
            rates: self.currencies(said.get("rates")),
        }
    }
}
