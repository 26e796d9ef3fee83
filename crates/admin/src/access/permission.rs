//! What can be allowed: one word for each thing that is read or changed.

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What an endpoint takes to be used.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Permission {
            $($(#[$doc])* $name,)*
        }

        impl Permission {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As scopes of tokens name it.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

permissions! {
    OrganizationsRead = "organizations.read",
    /// To make and to delete them, which only the platform does.
    OrganizationsCreate = "organizations.create",
    OrganizationsUpdate = "organizations.update",
    ProjectsRead = "projects.read",
    ProjectsWrite = "projects.write",
    MembersRead = "members.read",
    MembersWrite = "members.write",
    UsersRead = "users.read",
    UsersWrite = "users.write",
    ApiKeysRead = "api_keys.read",
    ApiKeysWrite = "api_keys.write",
    /// Keys of one's own user.
    OwnApiKeysWrite = "own_api_keys.write",
    LimitsRead = "limits.read",
    LimitsWrite = "limits.write",
    /// To ask whether a request would pass.
    LimitsCheck = "limits.check",
    ProvidersRead = "providers.read",
    ProvidersWrite = "providers.write",
    /// How the keys that a gateway has for a provider fare.
    KeyPoolsRead = "key_pools.read",
    KeyPoolsWrite = "key_pools.write",
    /// To switch a key off and on, which changes nothing that is stored.
    KeyPoolsSwitch = "key_pools.switch",
    /// What is stored of the keys of providers.
    ProviderKeysRead = "provider_keys.read",
    JobsRead = "jobs.read",
    /// How the keys of callers and of providers fare.
    KeyStatsRead = "key_stats.read",
    ModelsRead = "models.read",
    RoutesRead = "routes.read",
    RoutesWrite = "routes.write",
    PlansRead = "plans.read",
    PlansWrite = "plans.write",
    PricesRead = "prices.read",
    PricesWrite = "prices.write",
    UsageRead = "usage.read",
    /// What one's own user used.
    OwnUsageRead = "own_usage.read",
    RequestsRead = "requests.read",
    WalletsRead = "wallets.read",
    /// Top-ups by hand, refunds, corrections.
    WalletsWrite = "wallets.write",
    CodesRead = "codes.read",
    CodesWrite = "codes.write",
    CodesRedeem = "codes.redeem",
    InvoicesRead = "invoices.read",
    InvoicesWrite = "invoices.write",
    AuditRead = "audit.read",
    AccountsRead = "accounts.read",
    AccountsWrite = "accounts.write",
    SettingsRead = "settings.read",
    SettingsWrite = "settings.write",
    ConfigurationExport = "configuration.export",
    ConfigurationApply = "configuration.apply",
    SystemRead = "system.read",
    SystemWrite = "system.write",
}

impl Permission {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }

    /// It changes nothing.
    pub(crate) fn reads(self) -> bool {
        self.name().rsplit('.').next() == Some("read")
    }
}
