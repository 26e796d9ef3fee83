//! The keys of a provider.

use lingate_dialect::quirks::{self, Kind};

use super::prices::PRICE;
use super::{WEIGHT, field};
use crate::shape::{Choice, Field, Shape};

pub(super) const DIALECTS: &[Choice] = &[&["chat"], &["responses"], &["messages"], &["gemini"]];

pub(super) const PROVIDER: &[Field] = &[
    field(
        "catalog",
        Shape::Text,
        "The row of the catalogue to follow, where it differs from the name.",
    ),
    field(
        "region",
        Shape::Text,
        "Another place of the same provider, as the catalogue names it: `cn`, `eu`, `coding`.",
    ),
    field(
        "base_url",
        Shape::Text,
        "Where it is; with or without /v1, with or without the path of the endpoint.",
    ),
    field(
        "dialects",
        Shape::List(&Shape::Choice(DIALECTS)),
        "What it speaks, preferred first. Left out: as the catalogue has it, else `chat`.",
    ),
    field(
        "endpoints",
        Shape::Record(ENDPOINTS),
        "A place of its own for a dialect.",
    ),
    field("auth", Shape::Record(AUTH), "How a key is sent."),
    field(
        "headers",
        Shape::Map(&Shape::Secret),
        "Headers that every request carries.",
    ),
    field(
        "keys",
        Shape::List(&Shape::Either(&Shape::Secrets, &Shape::Record(KEY))),
        "Used in turn. `file:/path` reads them from a file, one a line. `none` for a server that wants no key. Left out: from the provider's variable (`OPENAI_API_KEY`), else `NAME_API_KEY`.",
    ),
    field(
        "breaker",
        Shape::Either(&Shape::Flag, &Shape::Record(BREAKER)),
        "When it is left alone because it fails, and each of its models; `false`: never.",
    ),
    field(
        "health_check",
        Shape::Either(&Shape::Flag, &Shape::Record(HEALTH_CHECK)),
        "Whether it is asked now and then if it still answers, as cheaply as it can be; off if left out.",
    ),
    field(
        "proxy",
        Shape::Secret,
        "`http://`, `https://`, `socks5://` or `socks5h://`, with user and password if need be.",
    ),
    field(
        "models",
        Shape::List(&Shape::Text),
        "Models that it serves; `*` stands for any characters. They are listed in place of the catalogue's.",
    ),
    field(
        "quirks",
        Shape::Record(QUIRKS),
        "How its servers differ from their dialect, laid over what the catalogue knows.",
    ),
    field(
        "model_quirks",
        Shape::Map(&Shape::Record(QUIRKS)),
        "The same for some of its models: `{\"qwen3*\": {stop: false}}`, in the order written. `*` stands for any characters.",
    ),
    field(
        "prices",
        Shape::Map(&Shape::Record(PRICE)),
        "What its models cost, in dollars per million tokens: `{\"qwen3*\": {input: 0.1, output: 0.3}}`. The first pattern that fits holds, before the catalogue's price; `*` stands for any characters.",
    ),
    field(
        "repair_streams",
        Shape::Flag,
        "Write its streams anew for callers of its own dialect, too: what it does oddly is put right, and what the dialect does not know is lost. Left out, they pass byte for byte.",
    ),
];

const KEY: &[Field] = &[
    field(
        "key",
        Shape::Secrets,
        "The key itself, or several with the same settings.",
    ),
    field(
        "file",
        Shape::Text,
        "A file with keys in place of `key`, one a line; lines that begin with `#` are passed over.",
    ),
    field(
        "weight",
        WEIGHT,
        "Share of the requests; 1 if left out. 0: drained, gets none.",
    ),
    field(
        "tags",
        Shape::List(&Shape::Text),
        "Routes can be limited to keys with a tag (`targets: [{keys: […]}]`).",
    ),
    field(
        "account",
        Shape::Text,
        "Whose it is at the vendor: keys of one account rest together when the vendor counts by account.",
    ),
    field(
        "concurrency",
        COUNT,
        "At most so many requests at the same time.",
    ),
    field(
        "requests_per_minute",
        COUNT,
        "At most so many requests a minute, evenly.",
    ),
    field(
        "tokens_per_minute",
        Shape::Number {
            least: 1,
            most: 1_000_000_000_000,
        },
        "At most so many tokens a minute, as estimated beforehand and put right when the answer tells.",
    ),
    field(
        "disabled",
        Shape::Text,
        "Why it is switched off: a few words, or `true`.",
    ),
];

const COUNT: Shape = Shape::Number {
    least: 1,
    most: u32::MAX as u64,
};

const BREAKER: &[Field] = &[
    field(
        "window",
        Shape::Duration,
        "What ended so long ago no longer counts; 30s if left out.",
    ),
    field(
        "requests",
        COUNT,
        "It opens for no fewer requests than this within the window, and for so many failures in a row, with less than a window between them; 20 if left out.",
    ),
    field(
        "ratio",
        Shape::Text,
        "The share of failures that opens it: `50%` or `0.5`; 50% if left out.",
    ),
    field(
        "cooldown",
        Shape::Duration,
        "How long it opens the first time, doubled with each probe that fails; 5s if left out.",
    ),
    field(
        "longest",
        Shape::Duration,
        "How long it opens at most; 5m if left out.",
    ),
];

const HEALTH_CHECK: &[Field] = &[
    field(
        "interval",
        Shape::Duration,
        "How often; 60s if left out. At least 1s.",
    ),
    field(
        "model",
        Shape::Text,
        "The model that is asked for one token, where asking for the list of models tells too little.",
    ),
];

/// The quirks that the dialect knows, as keys.
const QUIRKS: &[Field] = &quirk_fields();

const fn quirk_fields() -> [Field; quirks::ALL.len()] {
    let mut fields = [field("", Shape::Flag, ""); quirks::ALL.len()];
    let mut place = 0;
    while place < fields.len() {
        let quirk = quirks::ALL[place];
        let shape = match quirk.kind {
            Kind::Flag => Shape::Flag,
            Kind::Number => Shape::Number {
                least: 0,
                most: 100_000_000,
            },
            Kind::Decimal => Shape::Decimal,
            Kind::Text => Shape::Text,
            Kind::Word(words) => Shape::Choice(words),
            Kind::Texts => Shape::List(&Shape::Text),
            Kind::Names => Shape::Map(&Shape::Text),
        };
        fields[place] = field(quirk.name, shape, quirk.about.trim_ascii_start());
        place += 1;
    }
    fields
}

const ENDPOINTS: &[Field] = &[
    field("chat", ENDPOINT, "OpenAI Chat Completions."),
    field("responses", ENDPOINT, "OpenAI Responses."),
    field("messages", ENDPOINT, "Anthropic Messages."),
    field("gemini", ENDPOINT, "Google Gemini generateContent."),
];

const ENDPOINT: Shape = Shape::Either(&Shape::Text, &Shape::Record(PLACE));

const PLACE: &[Field] = &[
    field("url", Shape::Text, "Where it is."),
    field("auth", Shape::Record(AUTH), "How a key is sent there."),
];

const AUTH: &[Field] = &[
    field("header", Shape::Text, "Name of the header."),
    field(
        "format",
        Shape::Text,
        "Its value, with `{key}` in the key's place.",
    ),
];
