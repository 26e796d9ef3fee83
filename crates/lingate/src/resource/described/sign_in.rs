//! Services elsewhere that say who somebody is.

use super::verb;
use crate::resource::naming::Naming;
use crate::resource::{Does, Resource};

pub(super) static RESOURCES: &[Resource] = &[Resource {
    command: "sign-in-providers",
    noun: "sign-in provider",
    about: "Sign-in providers: services elsewhere that say who somebody is (OpenID Connect)",
    after_help: "\
Examples:
  lingate sign-in-providers create corp --issuer https://id.example.com/realms/corp --client-id lingate --client-secret --create-accounts
  lingate sign-in-providers update corp --email-domains example.com --groups-claim groups --mappings '[{\"group\": \"staff\", \"scope\": \"organization\", \"organization\": \"acme\", \"role\": \"member\"}]'
  lingate sign-in-providers list
  lingate sign-in-providers delete corp --yes

The client's secret is asked for without echo, or read as a line of standard input; it may be ${NAME}, a variable of the gateway.
A gateway must be reached by browsers at the address that the issuer knows as its redirect URI: `callback` below the gateway's own.",
    naming: Naming::Plain("NAME"),
    columns: &["name", "issuer", "client_id", "enabled", "create_accounts", "callback"],
    verbs: &[
        verb("list", "All sign-in providers", "GET", "/api/v1/sign-in-providers", Does::List),
        verb("show", "One sign-in provider, without its secret", "GET", "/api/v1/sign-in-providers/{name}", Does::Show),
        verb("create", "Let another service say who somebody is", "POST", "/api/v1/sign-in-providers", Does::Create),
        verb("update", "Change a sign-in provider", "PATCH", "/api/v1/sign-in-providers/{name}", Does::Update),
        verb("delete", "Let nobody sign in by it any more", "DELETE", "/api/v1/sign-in-providers/{name}", Does::Destroy {
            warning: "This takes the roles away that are held by the word of {}",
            belongs: &[],
        }),
        verb("check", "Ask its issuer what it is, as a sign-in does", "POST", "/api/v1/sign-in-providers/{name}/check", Does::Act),
        verb("public", "How one can sign in, as everybody is told", "GET", "/api/v1/sign-in-providers/public", Does::Columns(&["name", "label", "start"])),
    ],
}];
