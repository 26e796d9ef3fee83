//! What the matrix asks of each endpoint. One that has no case here fails the test.

/// Where the thing is that an endpoint is asked for, and so who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    /// Of the platform: a role in an organization is not enough.
    Platform,
    /// Everybody who may somewhere gets an answer, and sees what is within reach.
    List,
    /// Of an organization: a role in one of its projects is not enough.
    Organization,
    Project,
    /// Of one's own account: whoever is signed in.
    Myself,
    /// Not asked by the matrix; why, and where it is tested instead.
    Elsewhere(&'static str),
}

#[derive(Clone, Copy)]
pub(super) struct Case {
    /// `GET /api/v1/projects/{id}`, with a query if need be.
    pub(super) endpoint: &'static str,
    pub(super) place: Where,
    /// What is made to be asked for: its id stands for `{id}`.
    pub(super) thing: &'static str,
    /// JSON, with `{organization}`, `{project}`, `{id}`, `{fresh}` (a name that nobody has) and `{code}` (a currency that is not there yet).
    pub(super) body: &'static str,
    /// What stops whoever may, for a reason of the thing's own.
    pub(super) stopped: Option<u16>,
}

const fn case(
    endpoint: &'static str,
    place: Where,
    thing: &'static str,
    body: &'static str,
) -> Case {
    Case {
        endpoint,
        place,
        thing,
        body,
        stopped: None,
    }
}

const fn stopped(case: Case, status: u16) -> Case {
    Case {
        stopped: Some(status),
        ..case
    }
}

use Where::{Elsewhere, List, Myself, Organization, Platform, Project};

const NAME: &str = r#"{"name":"{fresh}"}"#;
const BLOCKED: &str = r#"{"blocked":false}"#;
const IN_ORGANIZATION: &str = r#"{"name":"{fresh}","organization":"{organization}"}"#;
const SIGN_IN: Where = Elsewhere("where one says who one is: tests of signing in");
const OWN_ACCOUNT: Where =
    Elsewhere("changes how the account itself signs in: tests of signing in");
const CALLER: Where = Elsewhere("a key of a caller lets in: tests of billing");
const PROVIDER: &str =
    r#"{"name":"{fresh}","definition":{"base_url":"https://example.com/v1","dialects":["chat"]}}"#;
const ROUTE: &str =
    r#"{"name":"{fresh}","definition":{"model":"{fresh}","targets":["up-chat/m"]}}"#;
const PLAN: &str = r#"{"name":"{fresh}","definition":{"multiplier":2}}"#;
const PRICE: &str =
    r#"{"definition":{"provider":"up-chat","model":"{fresh}","input":1,"output":2}}"#;
const CURRENCY: &str = r#"{"name":"{code}","definition":1.25}"#;
const ISSUER: &str =
    r#"{"name":"{fresh}","issuer":"https://{fresh}.example.com","client_id":"lingate"}"#;

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    case("GET /openapi.json", Elsewhere("is the same for everybody: tests of the document"), "", ""),
    case("POST /api/v1/session", SIGN_IN, "", ""),
    case("POST /api/v1/session/totp", SIGN_IN, "", ""),
    case("POST /api/v1/invitations/accept", SIGN_IN, "", ""),
    case("GET /api/v1/oidc/{id}/start", SIGN_IN, "", ""),
    case("GET /api/v1/oidc/{id}/callback", SIGN_IN, "", ""),
    case("GET /api/v1/sign-in-providers/public", SIGN_IN, "", ""),
    case("GET /api/v1/sign-in-providers", Platform, "", ""),
    case("POST /api/v1/sign-in-providers", Platform, "", ISSUER),
    case("GET /api/v1/sign-in-providers/{id}", Platform, "sign-in-providers", ""),
    case("PATCH /api/v1/sign-in-providers/{id}", Platform, "sign-in-providers", r#"{"label":"Others"}"#),
    case("POST /api/v1/sign-in-providers/{id}/check", Elsewhere("asks an issuer: tests of signing in"), "", ""),
    case("DELETE /api/v1/sign-in-providers/{id}", Platform, "sign-in-providers", ""),
    case("DELETE /api/v1/session", OWN_ACCOUNT, "", ""),
    case("PUT /api/v1/me/password", OWN_ACCOUNT, "", ""),
    case("POST /api/v1/me/totp", OWN_ACCOUNT, "", ""),
    case("DELETE /api/v1/me/totp", OWN_ACCOUNT, "", ""),
    case("POST /api/v1/me/totp/confirm", OWN_ACCOUNT, "", ""),
    case("DELETE /api/v1/me/sessions", OWN_ACCOUNT, "", ""),
    case("POST /api/v1/me/identities", OWN_ACCOUNT, "", ""),
    case("DELETE /api/v1/me/identities/{id}", OWN_ACCOUNT, "", ""),
    case("GET /api/v1/me/identities", Myself, "", ""),
    case("GET /api/v1/session", Myself, "", ""),
    case("GET /api/v1/me", Myself, "", ""),
    case("PATCH /api/v1/me", Myself, "", NAME),
    case("GET /api/v1/me/sessions", Myself, "", ""),
    case("DELETE /api/v1/me/sessions/{id}", Myself, "session", ""),
    case("GET /api/v1/tokens", Myself, "", ""),
    case("POST /api/v1/tokens", Myself, "", NAME),
    case("DELETE /api/v1/tokens/{id}", Myself, "token", ""),

    case("GET /api/v1/accounts", Platform, "", ""),
    case("POST /api/v1/accounts", Platform, "", r#"{"login":"{fresh}","name":"Ada"}"#),
    case("GET /api/v1/accounts/{id}", Platform, "account", ""),
    case("PATCH /api/v1/accounts/{id}", Platform, "account", NAME),
    case("DELETE /api/v1/accounts/{id}", Platform, "account", ""),
    case("POST /api/v1/accounts/{id}/reset-password", Platform, "account", ""),
    case("POST /api/v1/accounts/{id}/reset-totp", Platform, "account", ""),
    case("GET /api/v1/accounts/{id}/identities", Platform, "account", ""),
    // It has none.
    stopped(case("DELETE /api/v1/accounts/{id}/identities/{identity}", Platform, "account", ""), 404),

    case("GET /api/v1/memberships", List, "", ""),
    case("POST /api/v1/memberships", Organization, "account of the organization", r#"{"account":"{id}","scope":"organization","organization":"{organization}","role":"viewer"}"#),
    case("GET /api/v1/memberships/{id}", Organization, "membership", ""),
    case("PATCH /api/v1/memberships/{id}", Organization, "membership", r#"{"role":"member"}"#),
    case("DELETE /api/v1/memberships/{id}", Organization, "membership", ""),
    case("GET /api/v1/invitations", List, "", ""),
    case("POST /api/v1/invitations", Project, "", r#"{"email":"{fresh}@example.com","scope":"project","project":"{project}","role":"viewer"}"#),
    case("DELETE /api/v1/invitations/{id}", Organization, "invitation", ""),

    case("GET /api/v1/organizations", List, "", ""),
    case("POST /api/v1/organizations", Platform, "", NAME),
    case("GET /api/v1/organizations/{id}", Organization, "organization", ""),
    case("PATCH /api/v1/organizations/{id}", Organization, "organization", r#"{"name":"{fresh}"}"#),
    case("DELETE /api/v1/organizations/{id}", Platform, "empty organization", ""),
    case("GET /api/v1/projects", List, "", ""),
    case("POST /api/v1/projects", Organization, "", IN_ORGANIZATION),
    case("GET /api/v1/projects/{id}", Project, "project", ""),
    case("PATCH /api/v1/projects/{id}", Project, "project", BLOCKED),
    case("DELETE /api/v1/projects/{id}", Organization, "empty project", ""),
    case("GET /api/v1/users", List, "", ""),
    case("POST /api/v1/users", Organization, "", IN_ORGANIZATION),
    case("GET /api/v1/users/{id}", Organization, "user", ""),
    case("PATCH /api/v1/users/{id}", Organization, "user", BLOCKED),
    case("DELETE /api/v1/users/{id}", Organization, "user", ""),
    case("GET /api/v1/service-accounts", List, "", ""),
    case("POST /api/v1/service-accounts", Organization, "", IN_ORGANIZATION),
    case("GET /api/v1/service-accounts/{id}", Organization, "service account", ""),
    case("PATCH /api/v1/service-accounts/{id}", Organization, "service account", BLOCKED),
    case("DELETE /api/v1/service-accounts/{id}", Organization, "service account", ""),
    case("GET /api/v1/api-keys", List, "", ""),
    case("POST /api/v1/api-keys", Project, "", r#"{"name":"{fresh}","project":"{project}"}"#),
    case("POST /api/v1/api-keys/bulk", Elsewhere("each of its parts is answered by itself: below, and tests of keys"), "", ""),
    case("GET /api/v1/api-keys/{id}", Project, "key", ""),
    case("PATCH /api/v1/api-keys/{id}", Project, "key", BLOCKED),
    case("DELETE /api/v1/api-keys/{id}", Project, "key", ""),
    case("POST /api/v1/api-keys/{id}/rotate", Project, "key", ""),
    case("GET /api/v1/limits", List, "", ""),
    case("GET /api/v1/budgets", List, "", ""),
    case("GET /api/v1/usage", List, "", ""),
    case("GET /api/v1/usage/series", List, "", ""),
    case("GET /api/v1/requests", List, "", ""),
    case("GET /api/v1/requests/{id}", Project, "request", ""),

    case("GET /api/v1/wallets", List, "", ""),
    case("POST /api/v1/wallets", Platform, "empty organization", r#"{"organization":"{id}"}"#),
    case("GET /api/v1/wallets/{organization}", Organization, "wallet", ""),
    case("PATCH /api/v1/wallets/{organization}", Platform, "wallet", r#"{"overdraft":"1"}"#),
    case("POST /api/v1/wallets/{organization}/top-ups", Platform, "wallet", r#"{"amount":"1"}"#),
    case("POST /api/v1/wallets/{organization}/refunds", Platform, "top-up", r#"{"entry":"{id}","amount":"1"}"#),
    case("POST /api/v1/wallets/{organization}/adjustments", Platform, "wallet", r#"{"amount":"1","note":"a present"}"#),
    case("GET /api/v1/wallets/{organization}/entries", Organization, "wallet", ""),
    case("GET /api/v1/wallets/{organization}/statement", Organization, "wallet", ""),
    case("GET /api/v1/payments/events", Platform, "", ""),
    case("POST /api/v1/payments/stripe/webhook", Elsewhere("a signature lets in: tests of payments"), "", ""),
    case("GET /dashboard/billing/subscription", CALLER, "", ""),
    case("GET /v1/dashboard/billing/subscription", CALLER, "", ""),
    case("GET /dashboard/billing/usage", CALLER, "", ""),
    case("GET /v1/dashboard/billing/usage", CALLER, "", ""),
    case("GET /dashboard/billing/credit_grants", CALLER, "", ""),
    case("GET /api/usage/token", CALLER, "", ""),
    case("GET /api/v1/invoices", List, "", ""),
    case("POST /api/v1/invoices", Platform, "empty organization", r#"{"organization":"{id}","month":"2020-01"}"#),
    case("GET /api/v1/invoices/draft?organization={organization}&month=2020-01", Organization, "organization", ""),
    case("GET /api/v1/invoices/{id}", Organization, "invoice", ""),
    case("POST /api/v1/invoices/{id}/pay", Platform, "invoice", ""),
    case("POST /api/v1/invoices/{id}/void", Platform, "invoice", ""),
    // Of nothing, since nothing was used.
    stopped(case("POST /api/v1/invoices/{id}/credit-notes", Platform, "invoice", r#"{"note":"a present"}"#), 422),
    case("GET /api/v1/code-batches", Platform, "", ""),
    case("POST /api/v1/code-batches", Platform, "", r#"{"count":1,"value":"1"}"#),
    case("GET /api/v1/code-batches/{id}", Platform, "code batch", ""),
    case("DELETE /api/v1/code-batches/{id}", Platform, "code batch", ""),
    case("GET /api/v1/code-batches/{id}/codes", Platform, "code batch", ""),
    case("DELETE /api/v1/code-batches/{id}/codes/1", Platform, "code batch", ""),
    case("POST /api/v1/codes/redeem", Organization, "code", r#"{"code":"{id}","organization":"{organization}"}"#),

    case("GET /api/v1/audit-events", List, "", ""),
    case("GET /api/v1/audit-events/check", Platform, "", ""),
    case("GET /api/v1/audit-events/export", List, "", ""),
    case("GET /api/v1/audit-events/{id}", Organization, "audit event", ""),

    case("GET /api/v1/provider-keys?provider=up-chat", Platform, "", ""),
    case("POST /api/v1/provider-keys", Platform, "", r#"{"provider":"up-chat","key":"key-{fresh}"}"#),
    case("POST /api/v1/provider-keys/import?provider=up-chat", Platform, "", "key-{fresh}"),
    case("POST /api/v1/provider-keys/remove", Platform, "", r#"{"provider":"up-chat","keys":["key-{fresh}"]}"#),
    case("GET /api/v1/provider-keys/{id}", Platform, "provider key", ""),
    case("PATCH /api/v1/provider-keys/{id}", Platform, "provider key", r#"{"enabled":true}"#),
    case("DELETE /api/v1/provider-keys/{id}", Platform, "provider key", ""),
    case("POST /api/v1/system/rotate-master-key", Elsewhere("is one at a time, for everything: tests of secrets"), "", ""),
    case("GET /api/v1/jobs", Platform, "", ""),
    case("GET /api/v1/jobs/{id}", Platform, "job", ""),
    case("GET /api/v1/jobs/{id}/events", Platform, "job", ""),
    case("POST /api/v1/key-pools/up-chat/test", Platform, "", "{}"),
    case("POST /api/v1/jobs/{id}/cancel", Platform, "job", ""),
    case("GET /api/v1/configuration", Platform, "", ""),
    case("POST /api/v1/configuration/apply?dry_run=true", Platform, "", "lingate: 1\n"),

    case("GET /api/v1/settings", Platform, "", ""),
    case("GET /api/v1/models", List, "", ""),
    case("GET /api/v1/providers/catalog", Platform, "", ""),
    case("POST /api/v1/providers/up-chat/test", Platform, "", "{}"),
    case("GET /api/v1/providers", Platform, "", ""),
    case("POST /api/v1/providers", Platform, "", PROVIDER),
    case("GET /api/v1/providers/{id}", Platform, "providers", ""),
    case("PATCH /api/v1/providers/{id}", Platform, "providers", r#"{"definition":{"base_url":"https://example.com/v2"}}"#),
    case("DELETE /api/v1/providers/{id}", Platform, "providers", ""),
    case("GET /api/v1/routes/explain?model=up-chat/m", Platform, "", ""),
    case("POST /api/v1/routes/explain", Platform, "", r#"{"model":"up-chat/m"}"#),
    case("GET /api/v1/limits/check?model=up-chat/m", Platform, "", ""),
    case("GET /api/v1/api-keys/stats", Platform, "", ""),
    case("GET /api/v1/key-pools", Platform, "", ""),
    case("GET /api/v1/key-pools/up-chat/keys", Platform, "", ""),
    stopped(case("POST /api/v1/key-pools/up-chat/keys/000000000000/enable", Platform, "", ""), 404),
    stopped(case("POST /api/v1/key-pools/up-chat/keys/000000000000/disable", Platform, "", ""), 404),
    case("GET /api/v1/routes", Platform, "", ""),
    case("POST /api/v1/routes", Platform, "", ROUTE),
    case("GET /api/v1/routes/{id}", Platform, "routes", ""),
    case("PATCH /api/v1/routes/{id}", Platform, "routes", r#"{"definition":{"targets":["up-chat/n"]}}"#),
    case("DELETE /api/v1/routes/{id}", Platform, "routes", ""),
    case("GET /api/v1/plans", Platform, "", ""),
    case("POST /api/v1/plans", Platform, "", PLAN),
    case("GET /api/v1/plans/{id}", Platform, "plans", ""),
    case("PATCH /api/v1/plans/{id}", Platform, "plans", r#"{"definition":{"multiplier":3}}"#),
    case("DELETE /api/v1/plans/{id}", Platform, "plans", ""),
    case("GET /api/v1/prices", Platform, "", ""),
    case("POST /api/v1/prices", Platform, "", PRICE),
    case("GET /api/v1/prices/{id}", Platform, "prices", ""),
    case("PATCH /api/v1/prices/{id}", Platform, "prices", r#"{"definition":{"input":3}}"#),
    case("DELETE /api/v1/prices/{id}", Platform, "prices", ""),
    case("GET /api/v1/currencies", Platform, "", ""),
    case("POST /api/v1/currencies", Platform, "currency", CURRENCY),
    case("GET /api/v1/currencies/{id}", Platform, "currencies", ""),
    case("PATCH /api/v1/currencies/{id}", Platform, "currencies", r#"{"definition":1.5}"#),
    case("DELETE /api/v1/currencies/{id}", Platform, "currencies", ""),
];

/// The body that makes a document of this kind.
pub(super) fn document(kind: &str) -> Option<&'static str> {
    match kind {
        "providers" => Some(PROVIDER),
        "routes" => Some(ROUTE),
        "plans" => Some(PLAN),
        "prices" => Some(PRICE),
        "currencies" => Some(CURRENCY),
        "sign-in-providers" => Some(ISSUER),
        _ => None,
    }
}
