//! Keys of organizations, projects, users and API keys.

use super::limits::LIMITS as LIMIT_LIST;
use super::{field, narrowing};
use crate::shape::{Choice, Field, Shape};

const KEY_KINDS: &[Choice] = &[
    &["inference"],
    &["management"],
    &["read_only", "read-only", "readonly"],
];

const USER_KINDS: &[Choice] = &[
    &["person"],
    &["service_account", "service-account", "service"],
];

const BLOCKED: Field = field(
    "blocked",
    Shape::Flag,
    "Requests are refused until this is taken back.",
);
pub(super) const MODELS: Field = narrowing(
    "models",
    Shape::List(&Shape::Text),
    "Models that may be asked for, as names and globs (`gpt-*`); left out: all. Every level that has a list must allow the model. `provider/model` is a name of its own (`openai/*`).",
);
pub(super) const DENY_MODELS: Field = field(
    "deny_models",
    Shape::List(&Shape::Text),
    "Models that may not, as names and globs, in whatever spelling; they count more than what is allowed, on every level.",
);
pub(super) const LIMITS: Field = field(
    "limits",
    LIMIT_LIST,
    "How much may be used in which time; all limits of key, user, project and organization count.",
);
const PLAN: Field = field(
    "plan",
    Shape::Text,
    "The plan whose prices are charged; left out: that of the level above. What the plan says of models and limits holds here besides.",
);

pub(super) const ORGANIZATION: &[Field] = &[
    BLOCKED,
    MODELS,
    DENY_MODELS,
    LIMITS,
    PLAN,
    field(
        "projects",
        Shape::Map(&Shape::Record(PROJECT)),
        "Its projects, for which keys are given out.",
    ),
    field(
        "users",
        Shape::Map(&Shape::Record(USER)),
        "People and programs that hold keys.",
    ),
];

const PROJECT: &[Field] = &[BLOCKED, MODELS, DENY_MODELS, LIMITS, PLAN];

const USER: &[Field] = &[
    field("kind", Shape::Choice(USER_KINDS), "`person` if left out."),
    BLOCKED,
    MODELS,
    DENY_MODELS,
    LIMITS,
    PLAN,
];

pub(super) const API_KEY: &[Field] = &[
    field(
        "name",
        Shape::Text,
        "Who it is, in logs; one of its kind within the project. A key that keeps its name keeps what is stored for it, also with another secret.",
    ),
    field("key", Shape::Secret, "The key itself."),
    field(
        "old_key",
        Shape::Secret,
        "The key that this one replaces, good until `old_key_until`.",
    ),
    narrowing(
        "old_key_until",
        Shape::Text,
        "A day, such as 2027-01-31, at whose beginning (UTC) it is over, or a moment, such as 2027-01-31T18:00:00+01:00.",
    ),
    field(
        "project",
        Shape::Text,
        "`organization/project`, or a project of the organization `default`. Left out: the project `default`.",
    ),
    field(
        "tenant",
        Shape::Text,
        "The organization alone, with its project `default`; routes can ask for it (`when: {tenant: …}`).",
    ),
    field(
        "user",
        Shape::Text,
        "Whose key it is: a user of the organization.",
    ),
    field(
        "tags",
        Shape::List(&Shape::Text),
        "Words that routes can ask for (`when: {tag: …}`).",
    ),
    field(
        "kind",
        Shape::Choice(KEY_KINDS),
        "What it is for: to ask models, to see and change how the gateway works, or to see it. Left out: nobody says.",
    ),
    narrowing(
        "expires",
        Shape::Text,
        "A day, such as 2027-01-31, at whose beginning (UTC) it is over, or a moment, such as 2027-01-31T18:00:00+01:00.",
    ),
    narrowing(
        "doors",
        Shape::List(&Shape::Text),
        "Dialects that it may be used with: `chat`, `responses`, `messages`, `gemini`; left out: all.",
    ),
    narrowing(
        "addresses",
        Shape::List(&Shape::Text),
        "Where requests may come from, as addresses and networks (`10.0.0.0/8`); left out: everywhere. Behind a proxy, see `trusted_proxies`.",
    ),
    MODELS,
    DENY_MODELS,
    field(
        "model_map",
        Shape::Map(&Shape::Text),
        "What is routed instead of a model: a name or glob, and a model. The first that matches is taken, before all routes. Lists of models are held against what it leads to.",
    ),
    field(
        "lingate_headers",
        Shape::Flag,
        "Whether answers say in `x-lingate-…` headers how they came about; `true` if left out.",
    ),
    BLOCKED,
    LIMITS,
    PLAN,
];
