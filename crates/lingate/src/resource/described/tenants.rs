//! Organizations, projects, users, service accounts and the keys that callers show.

use super::verb;
use crate::resource::naming::Naming;
use crate::resource::{Does, Resource};

/// What holds on every level.
const RULES: [&str; 4] = ["blocked", "models", "limits", "plan"];

pub(super) static RESOURCES: &[Resource] = &[
    Resource {
        command: "organizations",
        noun: "organization",
        about: "Organizations: companies, customers, and what holds for all that belongs to one",
        after_help: "\
Examples:
  lingate organizations list
  lingate organizations create acme --limit cost=500/month,zone=Asia/Shanghai --models 'gpt-*,claude-*'
  lingate organizations update acme --block
  lingate organizations show acme
  lingate organizations delete acme --yes

Without --server, these commands work on the database of this machine's configuration (--config, --data); a gateway that runs takes
changes up within a second. What lingate.yml names is listed too, and changed there alone.",
        naming: Naming::Organization,
        columns: &["name", RULES[0], RULES[1], RULES[2], RULES[3], "source", "id"],
        verbs: &[
            verb("list", "All organizations", "GET", "/api/v1/organizations", Does::List),
            verb("show", "One organization", "GET", "/api/v1/organizations/{id}", Does::Show),
            verb("create", "Make an organization", "POST", "/api/v1/organizations", Does::Create),
            verb("update", "Change an organization", "PATCH", "/api/v1/organizations/{id}", Does::Update),
            verb("delete", "Delete an organization to which nothing belongs any more", "DELETE", "/api/v1/organizations/{id}", Does::Destroy {
                warning: "This deletes the organization {}",
                belongs: &[("projects", "/api/v1/projects", "organization"), ("users", "/api/v1/users", "organization"), ("keys", "/api/v1/api-keys", "organization")],
            }),
        ],
    },
    Resource {
        command: "projects",
        noun: "project",
        about: "Projects: parts of organizations, for which keys are given out",
        after_help: "\
Examples:
  lingate projects list --organization acme
  lingate projects create acme/web --limit requests=600/minute
  lingate projects update acme/web --no-limits --models 'gpt-*'
  lingate projects delete acme/web --yes

A project is named ORGANIZATION/PROJECT; without an organization, it is one of the organization `default`.",
        naming: Naming::Project,
        columns: &["path", RULES[0], RULES[1], RULES[2], RULES[3], "source", "id"],
        verbs: &[
            verb("list", "All projects, or those of an organization", "GET", "/api/v1/projects", Does::List),
            verb("show", "One project", "GET", "/api/v1/projects/{id}", Does::Show),
            verb("create", "Make a project", "POST", "/api/v1/projects", Does::Create),
            verb("update", "Change a project", "PATCH", "/api/v1/projects/{id}", Does::Update),
            verb("delete", "Delete a project that has no keys any more", "DELETE", "/api/v1/projects/{id}", Does::Destroy {
                warning: "This deletes the project {}",
                belongs: &[("keys", "/api/v1/api-keys", "project")],
            }),
        ],
    },
    Resource {
        command: "users",
        noun: "user",
        about: "Users: persons who hold keys",
        after_help: "\
Examples:
  lingate users list --organization acme
  lingate users create acme/alice --limit tokens=1000000/day
  lingate users update acme/alice --block
  lingate users delete acme/alice --yes

A user is named ORGANIZATION/USER; without an organization, it is one of the organization `default`. Programs that hold keys are
service accounts: lingate service-accounts.",
        naming: Naming::User,
        columns: &["path", RULES[0], RULES[1], RULES[2], RULES[3], "source", "id"],
        verbs: &[
            verb("list", "All users, or those of an organization", "GET", "/api/v1/users", Does::List),
            verb("show", "One user", "GET", "/api/v1/users/{id}", Does::Show),
            verb("create", "Make a user", "POST", "/api/v1/users", Does::Create),
            verb("update", "Change a user", "PATCH", "/api/v1/users/{id}", Does::Update),
            verb("delete", "Delete a user who has no keys any more", "DELETE", "/api/v1/users/{id}", Does::Destroy {
                warning: "This deletes the user {}",
                belongs: &[("keys", "/api/v1/api-keys", "user")],
            }),
        ],
    },
    Resource {
        command: "service-accounts",
        noun: "service account",
        about: "Service accounts: programs that hold keys",
        after_help: "\
Examples:
  lingate service-accounts create acme/nightly --limit requests=60/minute
  lingate service-accounts list --organization acme
  lingate service-accounts update acme/nightly --block",
        naming: Naming::ServiceAccount,
        columns: &["path", RULES[0], RULES[1], RULES[2], RULES[3], "source", "id"],
        verbs: &[
            verb("list", "All service accounts, or those of an organization", "GET", "/api/v1/service-accounts", Does::List),
            verb("show", "One service account", "GET", "/api/v1/service-accounts/{id}", Does::Show),
            verb("create", "Make a service account", "POST", "/api/v1/service-accounts", Does::Create),
            verb("update", "Change a service account", "PATCH", "/api/v1/service-accounts/{id}", Does::Update),
            verb("delete", "Delete a service account that has no keys any more", "DELETE", "/api/v1/service-accounts/{id}", Does::Destroy {
                warning: "This deletes the service account {}",
                belongs: &[("keys", "/api/v1/api-keys", "user")],
            }),
        ],
    },
    Resource {
        command: "keys",
        noun: "key",
        about: "Keys that callers show to this gateway",
        after_help: "\
Examples:
  lingate keys create laptop --project acme/web --user acme/alice --expires 30d --limit requests=60/minute
  lingate keys create ci --models 'gpt-*' --doors chat,responses --addresses 10.0.0.0/8
  lingate keys list --project acme/web
  lingate keys rotate acme/web/laptop --overlap 24h
  lingate keys block acme/web/laptop
  lingate keys delete acme/web/laptop --yes

The secret is shown once, when a key is created or rotated; only its hash is kept. A key is named ORGANIZATION/PROJECT/KEY, by its id, or by a name
that no other key has. Without --project, it is one of `default/default`.

Without --server, these commands work on the database of this machine's configuration (--config, --data); a gateway that runs takes
changes up within a second. Callers are asked for keys with `auth: keys` in lingate.yml.",
        naming: Naming::Key,
        columns: &["path", "state", "secrets", "kind", "expires_at", RULES[1], RULES[2], "source", "id"],
        verbs: &[
            verb("list", "All keys, or those of a project or a user", "GET", "/api/v1/api-keys", Does::List),
            verb("show", "One key", "GET", "/api/v1/api-keys/{id}", Does::Show),
            verb("create", "Make a key, and show its secret once", "POST", "/api/v1/api-keys", Does::Create),
            verb("update", "Change what a key may do", "PATCH", "/api/v1/api-keys/{id}", Does::Update),
            verb("rotate", "Give a key another secret, and show that once", "POST", "/api/v1/api-keys/{id}/rotate", Does::Act),
            verb("block", "Refuse whoever shows a key, until it is unblocked", "PATCH", "/api/v1/api-keys/{id}", Does::Set("blocked", true)),
            verb("unblock", "Accept a key again", "PATCH", "/api/v1/api-keys/{id}", Does::Set("blocked", false)),
            verb("delete", "Delete a key. What was used with it stays in the ledger", "DELETE", "/api/v1/api-keys/{id}", Does::Destroy {
                warning: "This deletes the key {}: whoever shows it is refused from then on",
                belongs: &[],
            }),
        ],
    },
];
