//! The keys of limits, wherever they stand.

use super::{field, narrowing};
use crate::shape::{Choice, Field, Shape};

/// A list of limits.
pub(crate) const LIMITS: Shape = Shape::List(&Shape::Record(LIMIT));

/// The largest amount that counters hold exactly.
const AMOUNT: Shape = Shape::Number {
    least: 0,
    most: lingate_metering::counter::MOST,
};

const EACH: &[Choice] = &[&["end_user", "end-user"], &["model"], &["provider"]];
const ENFORCEMENTS: &[Choice] = &[&["hard"], &["soft"], &["shadow"]];
const UNPRICED: &[Choice] = &[&["allow"], &["refuse"]];
const WINDOWS: &[Choice] = &[&["sliding"], &["calendar"]];

const LIMIT: &[Field] = &[
    field(
        "requests",
        AMOUNT,
        "So many requests. A limit is of exactly one measure; 0 allows nothing.",
    ),
    field(
        "input_tokens",
        AMOUNT,
        "So many tokens of prompts, cached ones among them.",
    ),
    field(
        "output_tokens",
        AMOUNT,
        "So many tokens of answers, reasoning among them.",
    ),
    field(
        "tokens",
        AMOUNT,
        "So many tokens of prompts and answers together.",
    ),
    field("images", AMOUNT, "So many images that are asked for."),
    field(
        "cost",
        Shape::Dollars,
        "So many dollars of what is charged: `12.5`.",
    ),
    field("concurrency", AMOUNT, "So many requests at the same time."),
    field(
        "per",
        Shape::Text,
        "The time that the amount is for: `second`, `minute`, `hour`, `day`, `week`, `month`, `year`, a length such as `5m` or `30d`, or `total`.",
    ),
    field(
        "window",
        Shape::Choice(WINDOWS),
        "`sliding` looks back at every moment (up to a fiftieth of the window further than it must); `calendar` begins anew with the minute, the day, the month. Left out: sliding up to an hour and for lengths, calendar from a day on.",
    ),
    field(
        "zone",
        Shape::Text,
        "The time zone of a calendar window: `Asia/Shanghai`. UTC if left out.",
    ),
    narrowing(
        "model",
        Shape::Text,
        "Only requests for this model count: a name or a glob, `claude-*`.",
    ),
    narrowing(
        "provider",
        Shape::Text,
        "Only what this provider is asked counts: a name or a glob. It is passed over once the amount is used up.",
    ),
    narrowing(
        "each",
        Shape::List(&Shape::Choice(EACH)),
        "Each end user, model or provider has the amount for itself. End users are those that requests name (`user`, `metadata.user_id`); requests that name nobody share one amount.",
    ),
    field(
        "enforcement",
        Shape::Choice(ENFORCEMENTS),
        "`hard` refuses; `soft` lets pass and raises an event; `shadow` writes down what would have been refused.",
    ),
    field(
        "thresholds",
        Shape::List(&Shape::Number {
            least: 1,
            most: 100,
        }),
        "Percent of the amount at which an event is raised, once in a window: `[50, 80, 100]`.",
    ),
    field(
        "downgrade",
        Shape::Text,
        "Once the amount is used up, this model is asked instead of refusing. Requests for it count and are not refused.",
    ),
    field(
        "unpriced",
        Shape::Choice(UNPRICED),
        "What a limit of `cost` makes of models whose price nobody knows: `allow` lets them through, counts nothing and raises an event; `refuse` treats them like what does not fit. `allow` if left out.",
    ),
    field(
        "raise",
        Shape::Record(RAISE),
        "A larger amount for some time; what is used counts on.",
    ),
    field(
        "name",
        Shape::Text,
        "What refusals and events call it. A limit that keeps its name keeps what is used of it; without a name, one that keeps all but its amount.",
    ),
];

const RAISE: &[Field] = &[
    field(
        "amount",
        Shape::Text,
        "The amount meanwhile, as the limit's own is written.",
    ),
    field(
        "until",
        Shape::Text,
        "When it ends: `2027-01-01`, `2027-01-01T18:00:00+01:00`, `2027-01-01T18:00[Europe/Berlin]`. Without a zone, in that of the limit.",
    ),
];
