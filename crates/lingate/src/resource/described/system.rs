//! The gateway itself, and what it writes down.

use super::verb;
use crate::resource::naming::Naming;
use crate::resource::{Does, Resource};

const EVENTS: &[&str] = &[
    "number",
    "at",
    "actor.name",
    "action",
    "object.name",
    "outcome",
    "address",
];

pub(super) static RESOURCES: &[Resource] = &[
    Resource {
        command: "master-key",
        noun: "master key",
        about: "The key that secrets in the database are sealed with",
        after_help: "\
Examples:
  lingate master-key rotate --server https://ai.example
  lingate master-key rotate

All that is sealed is sealed anew with a key that is made for it. While a gateway runs, ask it (--server): it has to know the new key. A key
that comes from LINGATE_MASTER_KEY is exchanged there first; see docs/secrets.md. What broke off is gone on with by asking again.",
        naming: Naming::Plain("ID"),
        columns: &[],
        verbs: &[verb(
            "rotate",
            "Exchange the master key, and seal all secrets anew",
            "POST",
            "/api/v1/system/rotate-master-key",
            Does::Act,
        )],
    },
    Resource {
        command: "audit",
        noun: "event",
        about: "Who did what, when and from where; only ever added to",
        after_help: "\
Examples:
  lingate audit list --since 24h
  lingate audit export --format csv --out audit.csv
  lingate audit export --format jsonl --since 2026-11-01
  lingate audit check

`check` computes the chain of hashes again: what was changed, left out or cut off afterwards shows.",
        naming: Naming::Plain("NUMBER"),
        columns: EVENTS,
        verbs: &[
            verb("list", "What was done, the newest first", "GET", "/api/v1/audit-events", Does::List),
            verb("show", "One event, with what it changed", "GET", "/api/v1/audit-events/{number}", Does::Show),
            verb("export", "All of it as a file, as JSON lines or CSV", "GET", "/api/v1/audit-events/export", Does::Show),
            verb("check", "Whether anything was changed, left out or cut off", "GET", "/api/v1/audit-events/check", Does::Show),
        ],
    },
];
