//! All keys of `lingate.yml`.

use lingate_dialect::quirks::{self, Kind};

use crate::shape::{Choice, Field, Shape};

const fn field(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field {
        name,
        shape,
        about,
        later: None,
    }
}

const fn later(name: &'static str, shape: Shape, about: &'static str, why: &'static str) -> Field {
    Field {
        name,
        shape,
        about,
        later: Some(why),
    }
}

const ANY_NUMBER: Shape = Shape::Number {
    least: 0,
    most: u32::MAX as u64,
};

pub(crate) const ROOT: Shape = Shape::Record(TOP);

const TOP: &[Field] = &[
    field(
        "listen",
        Shape::List(&Shape::Text),
        "Addresses to listen on: an IP address and a port, or a list. Takes a restart.",
    ),
    later(
        "admin_listen",
        Shape::List(&Shape::Text),
        "A listener of its own for the console and the admin API.",
        "has no effect yet: there is no console and no admin API in this version",
    ),
    field(
        "mode",
        Shape::Choice(MODES),
        "`transform` converts where dialects differ; `direct` never converts.",
    ),
    field(
        "auth",
        Shape::Choice(AUTHS),
        "`keys`: callers show one of `api_keys`; `passthrough`: callers' own keys go upstream; `open`: everybody, on loopback addresses only. Left out: `keys` if there are `api_keys`, else `open`.",
    ),
    field(
        "api_keys",
        Shape::List(&Shape::Either(&Shape::Secret, &Shape::Record(API_KEY))),
        "Keys that callers may show; kept only as hashes.",
    ),
    field(
        "data",
        Shape::Text,
        "Directory for what Lingate stores, made when something is; a relative one begins where Lingate was started. Takes a restart.",
    ),
    field(
        "state",
        Shape::Record(STATE),
        "What the Responses API keeps for `previous_response_id` and `GET /v1/responses/{id}`.",
    ),
    later(
        "database",
        Shape::Secret,
        "`sqlite`, or `postgres://user:pass@host/db`.",
        "has no effect yet: this version stores files below `data`, and keeps no tables",
    ),
    later(
        "counters",
        Shape::Secret,
        "`memory`, or `redis://host:6379/0`.",
        "has no effect yet: nothing is counted across machines in this version",
    ),
    field(
        "preferred_provider",
        Shape::Text,
        "Where a model that nothing else claims is sent.",
    ),
    field(
        "defaults",
        Shape::Record(DEFAULTS),
        "Limits and policies of every request.",
    ),
    field(
        "providers",
        Shape::Map(&Shape::Record(PROVIDER)),
        "Who answers. A name of the catalogue fills in URL, authentication and dialects; anything else is declared.",
    ),
    field(
        "routes",
        Shape::List(&Shape::Record(ROUTE)),
        "Which models go where; the first that matches is used.",
    ),
];

pub(crate) const MODES: &[Choice] = &[&["transform", "transformer"], &["direct"]];
pub(crate) const AUTHS: &[Choice] = &[&["keys"], &["passthrough"], &["open"]];
pub(crate) const STREAMS: &[Choice] = &[&["auto"], &["never"], &["always"]];
const LOSSES: &[Choice] = &[&["ignore"], &["report"], &["reject"]];
const USAGES: &[Choice] = &[&["as_reported"], &["require"]];
const DIALECTS: &[Choice] = &[&["chat"], &["responses"], &["messages"], &["gemini"]];
const STRATEGIES: &[Choice] = &[
    &["priority"],
    &["weighted"],
    &["round_robin"],
    &["least_busy"],
    &["latency"],
    &["cheapest"],
    &["sticky"],
];

const API_KEY: &[Field] = &[
    field("name", Shape::Text, "Who it is, in logs."),
    field("key", Shape::Secret, "The key itself."),
];

const STATE: &[Field] = &[
    field(
        "enabled",
        Shape::Flag,
        "Whether answers are kept at all. Without, `previous_response_id` works only where the upstream keeps them.",
    ),
    field("ttl", Shape::Duration, "How long an answer is kept."),
    field(
        "size",
        Shape::Size,
        "The most that all callers together may have kept on disk; the oldest answers go first.",
    ),
    field(
        "size_per_key",
        Shape::Size,
        "The most that one caller's key may have kept on disk.",
    ),
];

const DEFAULTS: &[Field] = &[
    field(
        "max_tokens",
        Shape::Number {
            least: 1,
            most: 100_000_000,
        },
        "What a dialect that demands a limit is told when the caller gave none.",
    ),
    field(
        "request_timeout",
        Shape::Duration,
        "From the caller's request to the end of the answer, all attempts together.",
    ),
    field(
        "first_byte_timeout",
        Shape::Duration,
        "Until the upstream begins to answer, when it is asked for a stream. A whole answer may take as long as the request.",
    ),
    field(
        "idle_timeout",
        Shape::Duration,
        "Longest silence of the upstream within an answer.",
    ),
    field(
        "connect_timeout",
        Shape::Duration,
        "Until the upstream accepts the connection, TLS not included. Takes a restart.",
    ),
    field(
        "body_limit",
        Shape::Size,
        "The largest request body, counted after decompression.",
    ),
    field(
        "force_non_stream",
        Shape::Flag,
        "Ask upstreams for whole answers even where the caller wants a stream.",
    ),
    field(
        "anti_truncation",
        ANTI_TRUNCATION,
        "Go on with answers of plain text that break off or end without an answer: `true`, or how often. Routes may say otherwise.",
    ),
    field(
        "losses",
        Shape::Choice(LOSSES),
        "What a conversion of a request cannot say is ignored, reported in `x-lingate-losses`, or a reason to reject the request with a 400.",
    ),
    field(
        "usage",
        Shape::Choice(USAGES),
        "`require` asks Chat upstreams for the token counts of streams that pass through, and hides the answer from callers that did not ask; converted streams always ask.",
    ),
    field(
        "subagent_tag",
        Shape::Flag,
        "A request goes to the model that `<CCR-SUBAGENT-MODEL>provider,model</CCR-SUBAGENT-MODEL>` or `<lingate-model>model</lingate-model>` names, at the beginning of a line of its instructions or of a part of the user's first two turns; the tag is taken out. Not with `auth: passthrough`, where a caller's key belongs to one vendor.",
    ),
];

pub(crate) const PROVIDER: &[Field] = &[
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
        Shape::Secrets,
        "Used in turn. `none` for a server that wants no key. Left out: from the provider's variable (`OPENAI_API_KEY`), else `NAME_API_KEY`.",
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

const PRICE: &[Field] = &[
    field("input", Shape::Dollars, "Of the prompt."),
    field("output", Shape::Dollars, "Of the answer."),
    field(
        "cache_read",
        Shape::Dollars,
        "Of the prompt, where a cache held it; as `input` if left out.",
    ),
    field(
        "cache_write",
        Shape::Dollars,
        "Of the prompt, where it goes into a cache; as `input` if left out.",
    ),
    field(
        "cache_write_1h",
        Shape::Dollars,
        "The same, to be kept for an hour; as `cache_write` if left out.",
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

const ANTI_TRUNCATION: Shape = Shape::Either(&Shape::Flag, &Shape::Record(CONTINUATIONS));

const CONTINUATIONS: &[Field] = &[field(
    "attempts",
    Shape::Number { least: 1, most: 10 },
    "At most so many further requests for one answer; 3 if left out.",
)];

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

const ROUTE: &[Field] = &[
    field(
        "model",
        Shape::Text,
        "A name, a pattern (`gpt-*`), or a regular expression (`/^claude-3/`).",
    ),
    later(
        "strategy",
        Shape::Choice(STRATEGIES),
        "How to choose among targets of one priority.",
        "has no effect yet: targets are tried by priority, then as written",
    ),
    field(
        "targets",
        Shape::List(&Shape::Record(TARGET)),
        "Where to send it: by priority, then as written.",
    ),
    field(
        "fallbacks",
        Shape::List(&Shape::Text),
        "Models to try after all targets, each as if asked for by name.",
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
    later(
        "fallbacks_on",
        Shape::Map(&Shape::List(&Shape::Text)),
        "Models to try for one kind of failure.",
        "has no effect yet: `fallbacks` are tried for every kind of failure",
    ),
    later(
        "retry",
        Shape::Record(RETRY),
        "How often and how long to try.",
        "has no effect yet: each target is tried once per key",
    ),
    later(
        "when",
        Shape::Record(WHEN),
        "Conditions on the request.",
        "has no effect yet: routes with conditions are left out",
    ),
    later(
        "split",
        Shape::Record(SPLIT),
        "An experiment between models.",
        "has no effect yet: routes with a split are left out",
    ),
];

const TARGET: &[Field] = &[
    field("provider", Shape::Text, "A name of `providers`."),
    field(
        "model",
        Shape::Text,
        "The upstream's name of the model; as asked for if left out.",
    ),
    later(
        "weight",
        ANY_NUMBER,
        "Share among targets of one priority.",
        "has no effect yet: targets are tried by priority, then as written",
    ),
    field("priority", ANY_NUMBER, "Lowest first; 0 if left out."),
    later(
        "keys",
        Shape::List(&Shape::Text),
        "Only these of the provider's keys.",
        "has no effect yet: all keys of the provider are used",
    ),
];

const RETRY: &[Field] = &[
    field(
        "attempts",
        Shape::Number {
            least: 1,
            most: 100,
        },
        "At most so many attempts.",
    ),
    field("deadline", Shape::Duration, "No new attempt after this."),
];

const WHEN: &[Field] = &[
    field("tenant", Shape::Text, "Whose key it is."),
    field("header.*", Shape::Text, "A header of the request."),
    field(
        "tokens",
        Shape::Text,
        "Estimated size of the prompt: `>60000`.",
    ),
    field("tools", Shape::List(&Shape::Text), "A tool is offered."),
    field("thinking", Shape::Flag, "Reasoning is asked for."),
    field(
        "keyword",
        Shape::List(&Shape::Text),
        "One of these words is in the last message.",
    ),
];

const SPLIT: &[Field] = &[
    field("name", Shape::Text, "The name of the experiment."),
    field("sticky", Shape::Text, "What stays in its arm: `user`."),
    field(
        "arms",
        Shape::List(&Shape::Record(ARM)),
        "The models and their shares.",
    ),
];

const ARM: &[Field] = &[
    field("weight", ANY_NUMBER, "The share."),
    field("model", Shape::Text, "The model."),
];
