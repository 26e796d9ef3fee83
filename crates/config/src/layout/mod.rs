//! All keys of `lingate.yml`.

pub(crate) mod limits;
mod payments;
mod prices;
mod providers;
mod routes;
mod storage;
mod tenants;

use crate::shape::{Choice, Field, Shape};

pub(crate) use limits::LIMITS;
use payments::PAYMENTS;
use prices::{OVERRIDE, PLAN};
use providers::PROVIDER;
use routes::ROUTE;
use storage::{OUTAGES, USAGE};
use tenants::{API_KEY, ORGANIZATION};

const fn field(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field {
        name,
        shape,
        about,
        later: None,
        narrows: false,
    }
}

const fn narrowing(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field {
        narrows: true,
        ..field(name, shape, about)
    }
}

/// One may be large, and the sum of many still be small.
const WEIGHT: Shape = Shape::Number {
    least: 0,
    most: 1_000_000,
};

pub(crate) const ROOT: Shape = Shape::Record(TOP);

const TOP: &[Field] = &[
    field(
        "listen",
        Shape::List(&Shape::Text),
        "Addresses to listen on: an IP address and a port, or a list. Takes a restart.",
    ),
    field(
        "admin_listen",
        Shape::List(&Shape::Text),
        "Addresses for the admin API (`/api/v1`, `/openapi.json`, `/docs`), which is then on these alone and not on those of `listen`. What callers of models are told of their own account, and what payment services tell, stays at `listen`. With `auth: open`, loopback addresses only. Takes a restart.",
    ),
    field(
        "mode",
        Shape::Choice(MODES),
        "`transform` converts where dialects differ; `direct` never converts.",
    ),
    field(
        "auth",
        Shape::Choice(AUTHS),
        "`keys`: callers show one of the gateway's keys (`api_keys`, and those that are stored); `passthrough`: callers' own keys go upstream; `open`: everybody, on loopback addresses only. Left out: `keys` if there are any when Lingate starts, else `open`. What was decided stays: a gateway that asks for keys does not open when the last one goes, and one that is open does not close when the first is stored.",
    ),
    field(
        "api_keys",
        Shape::List(&Shape::Either(&Shape::Secret, &Shape::Record(API_KEY))),
        "Keys that callers may show; kept only as hashes.",
    ),
    field(
        "organizations",
        Shape::Map(&Shape::Record(ORGANIZATION)),
        "Tenants, by name, with their projects and users. What names none belongs to the organization `default` and its project `default`; so do callers without keys.",
    ),
    field(
        "trusted_proxies",
        Shape::List(&Shape::Text),
        "Addresses and networks of proxies that may say in `x-forwarded-for` where a request comes from. From anybody else the header is not believed.",
    ),
    field(
        "data",
        Shape::Text,
        "Directory for what Lingate stores, made when it starts; a relative one begins where Lingate was started. Takes a restart.",
    ),
    field(
        "state",
        Shape::Record(STATE),
        "What the Responses API keeps for `previous_response_id` and `GET /v1/responses/{id}`.",
    ),
    field(
        "database",
        Shape::Secret,
        "Where tenants, keys and usage are stored: `sqlite` is the file `lingate.db` in `data`, `sqlite:PATH` another one, `postgres://user:pass@host/db` serves several gateways. Takes a restart.",
    ),
    field(
        "counters",
        Shape::Secret,
        "Where limits are counted: `memory`, for one gateway, or `redis://host:6379/0`, for several together. Takes a restart.",
    ),
    field(
        "on_counter_outage",
        Shape::Choice(OUTAGES),
        "While Redis is away, `local_lease` lets each gateway go on with its share of what was left, `allow` lets everything through and counts it later, `deny` refuses what is limited. Takes a restart.",
    ),
    field(
        "usage",
        Shape::Record(USAGE),
        "What is kept of requests: records, sums, and the journal that they come by.",
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
        "prices",
        Shape::List(&Shape::Record(OVERRIDE)),
        "What models cost, in dollars per million tokens, before what the catalogue says; the most precise provider holds, then the most precise model. A provider's own `prices` come before.",
    ),
    field(
        "plans",
        Shape::Map(&Shape::Record(PLAN)),
        "What tenants are charged, which models they may ask for and how much they may use: organizations, projects, users and keys name a plan. Without one they are charged what a request costs.",
    ),
    field(
        "currencies",
        Shape::Map(&Shape::Factor),
        "What a dollar is worth in other currencies, to show amounts in them: `{CNY: 7.1}`. Nothing is reckoned in them.",
    ),
    field(
        "payments",
        Shape::Record(PAYMENTS),
        "Services that tell of payments, which are put into wallets.",
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

const ANTI_TRUNCATION: Shape = Shape::Either(&Shape::Flag, &Shape::Record(CONTINUATIONS));

const CONTINUATIONS: &[Field] = &[field(
    "attempts",
    Shape::Number { least: 1, most: 10 },
    "At most so many further requests for one answer; 3 if left out.",
)];
