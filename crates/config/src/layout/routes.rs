//! The keys of a route.

use super::providers::DIALECTS;
use super::{ANTI_TRUNCATION, MODES, STREAMS, WEIGHT, field, narrowing};
use crate::shape::{Choice, Field, Shape};

/// Words that people bring along from other gateways stand behind ours.
pub(crate) const STRATEGIES: &[Choice] = &[
    &["priority", "order", "fallback"],
    &[
        "weighted",
        "weight",
        "weighted_round_robin",
        "weighted-round-robin",
        "simple-shuffle",
        "loadbalance",
    ],
    &["round_robin", "round-robin", "roundrobin"],
    &[
        "least_busy",
        "least-busy",
        "least_connections",
        "least-connections",
    ],
    &[
        "latency",
        "latency-based-routing",
        "lowest_latency",
        "lowest-latency",
    ],
    &[
        "cheapest",
        "cost-based-routing",
        "lowest_cost",
        "lowest-cost",
    ],
    &["sticky", "consistent_hashing", "consistent-hashing"],
    &[
        "quota",
        "usage-based-routing",
        "usage-based-routing-v2",
        "lowest_usage",
        "lowest-usage",
    ],
];

const MEASURES: &[Choice] = &[&["first_token", "ttft"], &["per_token", "tpot"]];

pub(crate) const STICKY: &[Choice] = &[&["session"], &["prefix"], &["user"], &["key"]];

const LANGUAGES: &[Choice] = &[
    &["chinese", "zh"],
    &["japanese", "ja"],
    &["korean", "ko"],
    &["russian", "ru"],
    &["arabic", "ar"],
    &["latin"],
];

/// One text as it stands, commas and all, or a list of them.
const TEXTS: Shape = Shape::Either(&Shape::Text, &Shape::List(&Shape::Text));

pub(super) const ROUTE: &[Field] = &[
    field(
        "name",
        Shape::Text,
        "What it is called in answers and in the admin API; no two have the same.",
    ),
    field(
        "model",
        Shape::Text,
        "A name, a pattern (`gpt-*`), or a regular expression (`/^claude-3/`).",
    ),
    field(
        "when",
        Shape::Record(WHEN),
        "Conditions on the request; all of them must hold, and of several values of one any.",
    ),
    field(
        "mode",
        Shape::Choice(MODES),
        "Whether what takes this route may be converted; as the gateway's `mode` if left out.",
    ),
    field("direct", Shape::Flag, "`true` is `mode: direct`."),
    field(
        "strategy",
        Shape::Either(&Shape::Choice(STRATEGIES), &Shape::Record(STRATEGY)),
        "How to choose among targets of one priority. Left out: `weighted` where a target has a weight, else `priority`, which is as written.",
    ),
    field(
        "prefer_same_dialect",
        Shape::Flag,
        "Targets that speak the caller's dialect come before the others of their priority.",
    ),
    field(
        "targets",
        Shape::List(&Shape::Either(&Shape::Text, &Shape::Record(TARGET))),
        "Where to send it: `provider`, `provider/model`, or with keys.",
    ),
    field(
        "split",
        Shape::Record(SPLIT),
        "An experiment between models, in place of `targets`.",
    ),
    field(
        "fallbacks",
        Shape::List(&Shape::Text),
        "Models to try after all targets, each as if asked for by name.",
    ),
    field(
        "fallbacks_on",
        Shape::Record(FALLBACKS_ON),
        "Models to try for one kind of failure, in place of `fallbacks`; `[]`: none.",
    ),
    field(
        "retry",
        Shape::Record(RETRY),
        "How often and how long to try. No target is tried twice with one key.",
    ),
    field(
        "last_resort",
        Shape::Either(&Shape::Choice(LAST_RESORTS), &Shape::Record(LAST_RESORT)),
        "What is done when everything rests: `refuse` tells the caller when to come again; `least_bad` tries what is ready first; `queue` waits; `fallback` tries another model.",
    ),
    field(
        "mirror",
        Shape::Record(MIRROR),
        "A share of requests is sent to another target, too; its answers are thrown away.",
    ),
    field(
        "stream",
        Shape::Choice(STREAMS),
        "Whether the upstream is asked for a stream. `auto`: as the caller asks; `never`: its whole answer is told as one; `always`: its stream is gathered for who wants a whole answer.",
    ),
    field(
        "anti_truncation",
        ANTI_TRUNCATION,
        "Go on with answers of plain text that break off or end without an answer: `true`, or how often.",
    ),
];

const STRATEGY: &[Field] = &[
    field(
        "latency",
        Shape::Choice(MEASURES),
        "Of two targets the one that answers sooner, by this.",
    ),
    field(
        "sticky",
        Shape::Choice(STICKY),
        "The same target for the same conversation, for what a prompt cache would find again, for the same end user, or for the same caller's key.",
    ),
];

const TARGET: &[Field] = &[
    field("provider", Shape::Text, "A name of `providers`."),
    field(
        "model",
        Shape::Text,
        "The upstream's name of the model; as asked for if left out.",
    ),
    field(
        "weight",
        WEIGHT,
        "Share among targets of one priority; 1 if left out. 0: drained, gets nothing.",
    ),
    field(
        "priority",
        Shape::Number {
            least: 0,
            most: u32::MAX as u64,
        },
        "Lowest first; 0 if left out.",
    ),
    narrowing(
        "keys",
        Shape::List(&Shape::Text),
        "Only those of the provider's keys that have one of these tags.",
    ),
];

const FALLBACKS_ON: &[Field] = &[
    field(
        "any",
        Shape::List(&Shape::Text),
        "Any failure that has no list of its own: the same as `fallbacks`, and after those.",
    ),
    field(
        "context_length",
        Shape::List(&Shape::Text),
        "The prompt is too long for the model.",
    ),
    field(
        "refusal",
        Shape::List(&Shape::Text),
        "The content was refused.",
    ),
    field("timeout", Shape::List(&Shape::Text), "It took too long."),
];

const RETRY: &[Field] = &[
    field(
        "attempts",
        Shape::Number {
            least: 1,
            most: 100,
        },
        "At most so many attempts, fallbacks included; 8 if left out.",
    ),
    field(
        "deadline",
        Shape::Duration,
        "No new attempt when so long has passed since the request came.",
    ),
    field(
        "only_within",
        Shape::Duration,
        "No new attempt when the last one took longer to fail.",
    ),
];

const LAST_RESORTS: &[Choice] = &[&["refuse"], &["least_bad", "least-bad"]];

const LAST_RESORT: &[Field] = &[
    field(
        "queue",
        Shape::Duration,
        "Wait for what is ready first, at most so long.",
    ),
    field("fallback", Shape::Text, "Try this model."),
];

const MIRROR: &[Field] = &[
    field("provider", Shape::Text, "A name of `providers`."),
    field(
        "model",
        Shape::Text,
        "The upstream's name of the model; as asked for if left out.",
    ),
    field(
        "share",
        Shape::Text,
        "How many of the requests: `5%` or `0.05`.",
    ),
];

const WHEN: &[Field] = &[
    narrowing("tenant", Shape::List(&Shape::Text), "Whose key it is."),
    narrowing(
        "key",
        Shape::List(&Shape::Text),
        "The caller's key, by its name in `api_keys`.",
    ),
    narrowing(
        "header.*",
        TEXTS,
        "A header of the request: a value, a pattern with `*`, or a regular expression between slashes.",
    ),
    narrowing(
        "tag",
        Shape::List(&Shape::Text),
        "Tags of the caller's key and of the request; all of them.",
    ),
    narrowing(
        "user",
        TEXTS,
        "The end user as the request names them: names, patterns or regular expressions.",
    ),
    narrowing(
        "dialect",
        Shape::List(&Shape::Choice(DIALECTS)),
        "What the caller speaks.",
    ),
    narrowing(
        "tokens",
        Shape::Text,
        "Estimated size of the prompt: `\">60000\"`, `\"<=8k\"`, or `1000..60000`, both ends included.",
    ),
    narrowing(
        "tools",
        TEXTS,
        "One of these tools is offered: names, patterns or regular expressions; `true`: any. What the vendor runs has its usual name, `web_search`.",
    ),
    narrowing(
        "max_output",
        Shape::Text,
        "Tokens of the answer that the caller allows, written like `tokens`; who sets no limit allows any number.",
    ),
    narrowing(
        "thinking",
        Shape::Flag,
        "Reasoning is asked for, or is not.",
    ),
    narrowing(
        "images",
        Shape::Flag,
        "A picture is among the parts, or none is.",
    ),
    narrowing(
        "stream",
        Shape::Flag,
        "A stream is asked for, or a whole answer.",
    ),
    narrowing(
        "keyword",
        Shape::List(&Shape::Text),
        "One of these words is in the last message, whatever its case, as a word of its own; `translat*` is in `translated`, too.",
    ),
    narrowing(
        "language",
        Shape::List(&Shape::Choice(LANGUAGES)),
        "The last message is in this, as far as a third of its letters tell; `latin` is English and all others in Latin letters.",
    ),
    narrowing(
        "time",
        Shape::List(&Shape::Either(&Shape::Text, &Shape::Record(TIME))),
        "Times of the day: `22:00-06:00`, in UTC unless a `zone` says otherwise.",
    ),
];

const TIME: &[Field] = &[
    field(
        "between",
        Shape::List(&Shape::Text),
        "`22:00-06:00`, the end not included; the whole day if left out.",
    ),
    field(
        "days",
        Shape::List(&Shape::Text),
        "`mon`, `sat`, `mon-fri`, `weekdays`, `weekend`; every day if left out. Over midnight, the day on which it began counts.",
    ),
    field(
        "zone",
        Shape::Text,
        "A time zone by its name: `Asia/Shanghai`; `UTC` if left out.",
    ),
];

const SPLIT: &[Field] = &[
    field(
        "name",
        Shape::Text,
        "The name of the experiment, in logs; the route's `model` if left out.",
    ),
    field(
        "sticky",
        Shape::Choice(STICKY),
        "What stays in its arm. Left out: each request draws anew.",
    ),
    field(
        "arms",
        Shape::List(&Shape::Record(ARM)),
        "The models and their shares. The request goes on as if it had asked for the model of its arm.",
    ),
];

const ARM: &[Field] = &[
    field("weight", WEIGHT, "The share; 1 if left out."),
    field("model", Shape::Text, "The model, as if asked for by name."),
];
