//! What it takes to use each endpoint: the one table of it. An endpoint that has no row answers nobody, and fails a test.

use http::Method;

use super::Permission;

/// What an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: it says nothing about anybody, or is where one says who one is.
    Nothing,
    /// To be somebody.
    SomeAccount,
    /// To be let in by something else than this table: the signature of a webhook, a key of a caller.
    OwnProof,
    /// To hold it somewhere; the endpoint looks whether here.
    Permission(Permission),
    /// To hold the first somewhere, or the second, which is for what is one's own; the endpoint looks which of them counts here.
    Own(Permission, Permission),
}

pub(crate) struct Row {
    pub(crate) method: Method,
    /// As it is registered: `/api/v1/organizations/{id}`.
    pub(crate) path: &'static str,
    pub(crate) need: Need,
}

const fn row(method: Method, path: &'static str, permission: Permission) -> Row {
    Row {
        method,
        path,
        need: Need::Permission(permission),
    }
}

/// `own` is enough for what belongs to the user that asks.
const fn shared(
    method: Method,
    path: &'static str,
    permission: Permission,
    own: Permission,
) -> Row {
    Row {
        method,
        path,
        need: Need::Own(permission, own),
    }
}

const fn open(method: Method, path: &'static str, need: Need) -> Row {
    Row { method, path, need }
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

#[rustfmt::skip]
pub(crate) const TABLE: &[Row] = &[
    open(GET,    "/openapi.json", Need::Nothing),

    open(POST,   "/api/v1/session", Need::Nothing),
    open(GET,    "/api/v1/session", Need::SomeAccount),
    open(DELETE, "/api/v1/session", Need::SomeAccount),
    open(POST,   "/api/v1/session/totp", Need::Nothing),

    open(GET,    "/api/v1/oidc/{name}/start", Need::Nothing),
    open(GET,    "/api/v1/oidc/{name}/callback", Need::Nothing),
    row(GET,     "/api/v1/sign-in-providers", Permission::SettingsRead),
    row(POST,    "/api/v1/sign-in-providers", Permission::SettingsWrite),
    open(GET,    "/api/v1/sign-in-providers/public", Need::Nothing),
    row(GET,     "/api/v1/sign-in-providers/{name}", Permission::SettingsRead),
    row(PATCH,   "/api/v1/sign-in-providers/{name}", Permission::SettingsWrite),
    row(DELETE,  "/api/v1/sign-in-providers/{name}", Permission::SettingsWrite),
    row(POST,    "/api/v1/sign-in-providers/{name}/check", Permission::SettingsWrite),

    open(GET,    "/api/v1/me", Need::SomeAccount),
    open(PATCH,  "/api/v1/me", Need::SomeAccount),
    open(PUT,    "/api/v1/me/password", Need::SomeAccount),
    open(GET,    "/api/v1/me/sessions", Need::SomeAccount),
    open(DELETE, "/api/v1/me/sessions", Need::SomeAccount),
    open(DELETE, "/api/v1/me/sessions/{id}", Need::SomeAccount),
    open(POST,   "/api/v1/me/totp", Need::SomeAccount),
    open(DELETE, "/api/v1/me/totp", Need::SomeAccount),
    open(POST,   "/api/v1/me/totp/confirm", Need::SomeAccount),
    open(GET,    "/api/v1/me/identities", Need::SomeAccount),
    open(POST,   "/api/v1/me/identities", Need::SomeAccount),
    open(DELETE, "/api/v1/me/identities/{id}", Need::SomeAccount),
    open(GET,    "/api/v1/tokens", Need::SomeAccount),
    open(POST,   "/api/v1/tokens", Need::SomeAccount),
    open(DELETE, "/api/v1/tokens/{id}", Need::SomeAccount),

    row(GET,     "/api/v1/accounts", Permission::AccountsRead),
    row(POST,    "/api/v1/accounts", Permission::AccountsWrite),
    row(GET,     "/api/v1/accounts/{id}", Permission::AccountsRead),
    row(PATCH,   "/api/v1/accounts/{id}", Permission::AccountsWrite),
    row(DELETE,  "/api/v1/accounts/{id}", Permission::AccountsWrite),
    row(POST,    "/api/v1/accounts/{id}/reset-password", Permission::AccountsWrite),
    row(POST,    "/api/v1/accounts/{id}/reset-totp", Permission::AccountsWrite),
    row(GET,     "/api/v1/accounts/{id}/identities", Permission::AccountsRead),
    row(DELETE,  "/api/v1/accounts/{id}/identities/{identity}", Permission::AccountsWrite),

    row(GET,     "/api/v1/memberships", Permission::MembersRead),
    row(POST,    "/api/v1/memberships", Permission::MembersWrite),
    row(GET,     "/api/v1/memberships/{id}", Permission::MembersRead),
    row(PATCH,   "/api/v1/memberships/{id}", Permission::MembersWrite),
    row(DELETE,  "/api/v1/memberships/{id}", Permission::MembersWrite),

    row(GET,     "/api/v1/invitations", Permission::MembersRead),
    row(POST,    "/api/v1/invitations", Permission::MembersWrite),
    row(DELETE,  "/api/v1/invitations/{id}", Permission::MembersWrite),
    open(POST,   "/api/v1/invitations/accept", Need::Nothing),

    row(GET,     "/api/v1/organizations", Permission::OrganizationsRead),
    row(POST,    "/api/v1/organizations", Permission::OrganizationsCreate),

    open(GET,    "/dashboard/billing/subscription", Need::OwnProof),
    open(GET,    "/v1/dashboard/billing/subscription", Need::OwnProof),
    open(GET,    "/dashboard/billing/usage", Need::OwnProof),
    open(GET,    "/v1/dashboard/billing/usage", Need::OwnProof),
    open(GET,    "/dashboard/billing/credit_grants", Need::OwnProof),
    open(GET,    "/api/usage/token", Need::OwnProof),

    row(GET,     "/api/v1/wallets", Permission::WalletsRead),
    row(POST,    "/api/v1/wallets", Permission::WalletsWrite),
    row(GET,     "/api/v1/wallets/{organization}", Permission::WalletsRead),
    row(PATCH,   "/api/v1/wallets/{organization}", Permission::WalletsWrite),
    row(POST,    "/api/v1/wallets/{organization}/top-ups", Permission::WalletsWrite),
    row(POST,    "/api/v1/wallets/{organization}/refunds", Permission::WalletsWrite),
    row(POST,    "/api/v1/wallets/{organization}/adjustments", Permission::WalletsWrite),
    row(GET,     "/api/v1/wallets/{organization}/entries", Permission::WalletsRead),
    row(GET,     "/api/v1/wallets/{organization}/statement", Permission::WalletsRead),

    row(GET,     "/api/v1/invoices", Permission::InvoicesRead),
    row(POST,    "/api/v1/invoices", Permission::InvoicesWrite),
    row(GET,     "/api/v1/invoices/draft", Permission::InvoicesRead),
    row(GET,     "/api/v1/invoices/{id}", Permission::InvoicesRead),
    row(POST,    "/api/v1/invoices/{id}/pay", Permission::InvoicesWrite),
    row(POST,    "/api/v1/invoices/{id}/void", Permission::InvoicesWrite),
    row(POST,    "/api/v1/invoices/{id}/credit-notes", Permission::InvoicesWrite),

    row(GET,     "/api/v1/audit-events", Permission::AuditRead),
    row(GET,     "/api/v1/audit-events/check", Permission::AuditRead),
    row(GET,     "/api/v1/audit-events/export", Permission::AuditRead),
    row(GET,     "/api/v1/audit-events/{number}", Permission::AuditRead),

    open(POST,   "/api/v1/payments/stripe/webhook", Need::OwnProof),
    row(GET,     "/api/v1/payments/events", Permission::WalletsRead),

    row(GET,     "/api/v1/code-batches", Permission::CodesRead),
    row(POST,    "/api/v1/code-batches", Permission::CodesWrite),
    row(GET,     "/api/v1/code-batches/{batch}", Permission::CodesRead),
    row(DELETE,  "/api/v1/code-batches/{batch}", Permission::CodesWrite),
    row(GET,     "/api/v1/code-batches/{batch}/codes", Permission::CodesRead),
    row(DELETE,  "/api/v1/code-batches/{batch}/codes/{place}", Permission::CodesWrite),
    row(POST,    "/api/v1/codes/redeem", Permission::CodesRedeem),
    row(GET,     "/api/v1/organizations/{id}", Permission::OrganizationsRead),
    row(PATCH,   "/api/v1/organizations/{id}", Permission::OrganizationsUpdate),
    row(DELETE,  "/api/v1/organizations/{id}", Permission::OrganizationsCreate),

    row(GET,     "/api/v1/projects", Permission::ProjectsRead),
    row(POST,    "/api/v1/projects", Permission::ProjectsWrite),
    row(GET,     "/api/v1/projects/{id}", Permission::ProjectsRead),
    row(PATCH,   "/api/v1/projects/{id}", Permission::ProjectsWrite),
    row(DELETE,  "/api/v1/projects/{id}", Permission::ProjectsWrite),

    row(GET,     "/api/v1/users", Permission::UsersRead),
    row(POST,    "/api/v1/users", Permission::UsersWrite),
    row(GET,     "/api/v1/users/{id}", Permission::UsersRead),
    row(PATCH,   "/api/v1/users/{id}", Permission::UsersWrite),
    row(DELETE,  "/api/v1/users/{id}", Permission::UsersWrite),

    row(GET,     "/api/v1/service-accounts", Permission::UsersRead),
    row(POST,    "/api/v1/service-accounts", Permission::UsersWrite),
    row(GET,     "/api/v1/service-accounts/{id}", Permission::UsersRead),
    row(PATCH,   "/api/v1/service-accounts/{id}", Permission::UsersWrite),
    row(DELETE,  "/api/v1/service-accounts/{id}", Permission::UsersWrite),

    shared(GET,    "/api/v1/api-keys", Permission::ApiKeysRead, Permission::OwnApiKeysWrite),
    shared(POST,   "/api/v1/api-keys", Permission::ApiKeysWrite, Permission::OwnApiKeysWrite),
    shared(POST,   "/api/v1/api-keys/bulk", Permission::ApiKeysWrite, Permission::OwnApiKeysWrite),
    shared(GET,    "/api/v1/api-keys/{id}", Permission::ApiKeysRead, Permission::OwnApiKeysWrite),
    shared(PATCH,  "/api/v1/api-keys/{id}", Permission::ApiKeysWrite, Permission::OwnApiKeysWrite),
    shared(DELETE, "/api/v1/api-keys/{id}", Permission::ApiKeysWrite, Permission::OwnApiKeysWrite),
    shared(POST,   "/api/v1/api-keys/{id}/rotate", Permission::ApiKeysWrite, Permission::OwnApiKeysWrite),

    shared(GET,    "/api/v1/limits", Permission::LimitsRead, Permission::OwnUsageRead),
    shared(GET,    "/api/v1/budgets", Permission::LimitsRead, Permission::OwnUsageRead),
    row(GET,     "/api/v1/provider-keys", Permission::ProviderKeysRead),
    row(POST,    "/api/v1/provider-keys", Permission::KeyPoolsWrite),
    row(POST,    "/api/v1/provider-keys/import", Permission::KeyPoolsWrite),
    row(POST,    "/api/v1/provider-keys/remove", Permission::KeyPoolsWrite),
    row(GET,     "/api/v1/provider-keys/{id}", Permission::ProviderKeysRead),
    row(PATCH,   "/api/v1/provider-keys/{id}", Permission::KeyPoolsWrite),
    row(DELETE,  "/api/v1/provider-keys/{id}", Permission::KeyPoolsWrite),
    row(POST,    "/api/v1/system/rotate-master-key", Permission::SystemWrite),
    row(GET,     "/api/v1/jobs", Permission::JobsRead),
    row(GET,     "/api/v1/jobs/{id}", Permission::JobsRead),
    row(GET,     "/api/v1/jobs/{id}/events", Permission::JobsRead),
    row(POST,    "/api/v1/jobs/{id}/cancel", Permission::KeyPoolsWrite),
    row(POST,    "/api/v1/key-pools/{provider}/test", Permission::KeyPoolsWrite),

    shared(GET,    "/api/v1/usage", Permission::UsageRead, Permission::OwnUsageRead),
    shared(GET,    "/api/v1/usage/series", Permission::UsageRead, Permission::OwnUsageRead),
    shared(GET,    "/api/v1/requests", Permission::RequestsRead, Permission::OwnUsageRead),
    shared(GET,    "/api/v1/requests/{id}", Permission::RequestsRead, Permission::OwnUsageRead),
    row(GET,     "/api/v1/configuration", Permission::ConfigurationExport),
    row(POST,    "/api/v1/configuration/apply", Permission::ConfigurationApply),

    row(GET,     "/api/v1/settings", Permission::SettingsRead),
    row(GET,     "/api/v1/models", Permission::ModelsRead),
    row(GET,     "/api/v1/providers/catalog", Permission::ProvidersRead),
    row(POST,    "/api/v1/providers/{name}/test", Permission::ProvidersWrite),
    row(GET,     "/api/v1/providers", Permission::ProvidersRead),
    row(POST,    "/api/v1/providers", Permission::ProvidersWrite),
    row(GET,     "/api/v1/providers/{name}", Permission::ProvidersRead),
    row(PATCH,   "/api/v1/providers/{name}", Permission::ProvidersWrite),
    row(DELETE,  "/api/v1/providers/{name}", Permission::ProvidersWrite),

    row(GET,     "/api/v1/routes/explain", Permission::RoutesRead),
    row(POST,    "/api/v1/routes/explain", Permission::RoutesRead),
    row(GET,     "/api/v1/limits/check", Permission::LimitsCheck),
    row(GET,     "/api/v1/api-keys/stats", Permission::KeyStatsRead),
    row(GET,     "/api/v1/key-pools", Permission::KeyPoolsRead),
    row(GET,     "/api/v1/key-pools/{provider}/keys", Permission::KeyPoolsRead),
    row(POST,    "/api/v1/key-pools/{provider}/keys/{id}/enable", Permission::KeyPoolsSwitch),
    row(POST,    "/api/v1/key-pools/{provider}/keys/{id}/disable", Permission::KeyPoolsSwitch),

    row(GET,     "/api/v1/routes", Permission::RoutesRead),
    row(POST,    "/api/v1/routes", Permission::RoutesWrite),
    row(GET,     "/api/v1/routes/{name}", Permission::RoutesRead),
    row(PATCH,   "/api/v1/routes/{name}", Permission::RoutesWrite),
    row(DELETE,  "/api/v1/routes/{name}", Permission::RoutesWrite),

    row(GET,     "/api/v1/plans", Permission::PlansRead),
    row(POST,    "/api/v1/plans", Permission::PlansWrite),
    row(GET,     "/api/v1/plans/{name}", Permission::PlansRead),
    row(PATCH,   "/api/v1/plans/{name}", Permission::PlansWrite),
    row(DELETE,  "/api/v1/plans/{name}", Permission::PlansWrite),

    row(GET,     "/api/v1/prices", Permission::PricesRead),
    row(POST,    "/api/v1/prices", Permission::PricesWrite),
    row(GET,     "/api/v1/prices/{name}", Permission::PricesRead),
    row(PATCH,   "/api/v1/prices/{name}", Permission::PricesWrite),
    row(DELETE,  "/api/v1/prices/{name}", Permission::PricesWrite),

    row(GET,     "/api/v1/currencies", Permission::PricesRead),
    row(POST,    "/api/v1/currencies", Permission::PricesWrite),
    row(GET,     "/api/v1/currencies/{name}", Permission::PricesRead),
    row(PATCH,   "/api/v1/currencies/{name}", Permission::PricesWrite),
    row(DELETE,  "/api/v1/currencies/{name}", Permission::PricesWrite),
];

pub(crate) fn need(method: &Method, path: &str) -> Option<Need> {
    let asked = if method == Method::HEAD { &GET } else { method };
    TABLE
        .iter()
        .find(|row| row.method == *asked && row.path == path)
        .map(|row| row.need)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_endpoint_has_a_row_and_every_row_an_endpoint() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let mut registered = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                registered.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let rows: Vec<String> = TABLE
            .iter()
            .map(|row| format!("{} {}", row.method, row.path))
            .collect();
        let table: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(rows.len(), table.len(), "a row is there twice");
        assert_eq!(registered, table);
    }
}
