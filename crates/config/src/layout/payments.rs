//! Keys of services that tell of payments.

use super::field;
use crate::shape::{Field, Shape};

pub(super) const PAYMENTS: &[Field] = &[
    field(
        "stripe",
        Shape::Record(STRIPE),
        "Stripe sends its events to `POST /api/v1/payments/stripe/webhook`.",
    ),
    field(
        "rates",
        Shape::Map(&Shape::Factor),
        "What a dollar is worth in other currencies that are paid in: `{CNY: 7.1}`. A payment in one without a rate is kept for a person, and not credited.",
    ),
];

const STRIPE: &[Field] = &[field(
    "webhook_secret",
    Shape::Secret,
    "Stripe's signing secret of the endpoint (`whsec_…`), as `${STRIPE_WEBHOOK_SECRET}`.",
)];
