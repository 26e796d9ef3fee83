//! Roles, and what each may. A role holds in a scope: on the platform it holds everywhere.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Permission;

/// What somebody is, on the platform, in an organization or in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Runs the gateway: may do everything. On the platform alone.
    Operator,
    /// Owns an organization: may do everything in it, appoint owners included.
    Owner,
    /// Manages projects, members, keys and limits.
    Admin,
    /// Makes keys of their own, and sees what they use.
    Member,
    /// Sees everything, changes nothing.
    Viewer,
    /// Sees usage; pays.
    Billing,
}

impl Role {
    pub(crate) const ALL: [Self; 6] = [
        Self::Operator,
        Self::Owner,
        Self::Admin,
        Self::Member,
        Self::Viewer,
        Self::Billing,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
            Self::Billing => "billing",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether the role may, where it holds. What is of the platform (providers, routes, prices …) is out of the reach of roles that
    /// hold in an organization, whatever this says: those endpoints ask for it on the platform.
    pub(crate) fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Operator => true,
            Self::Owner => !matches!(
                permission,
                P::OrganizationsCreate
                    | P::WalletsWrite
                    | P::CodesWrite
                    | P::CodesRead
                    | P::InvoicesWrite
                    | P::AccountsRead
                    | P::AccountsWrite
                    | P::SettingsWrite
                    | P::SystemWrite
                    | P::ConfigurationApply
                    | P::ConfigurationExport
            ),
            Self::Admin => {
                Self::Owner.may(permission)
                    && !matches!(permission, P::OrganizationsUpdate | P::CodesRedeem)
            }
            Self::Member => matches!(
                permission,
                P::OrganizationsRead
                    | P::ProjectsRead
                    | P::OwnApiKeysWrite
                    | P::OwnUsageRead
                    | P::ModelsRead
            ),
            Self::Viewer => {
                (permission.reads() && !matches!(permission, P::CodesRead | P::AccountsRead))
                    || permission == P::LimitsCheck
            }
            Self::Billing => matches!(
                permission,
                P::OrganizationsRead
                    | P::ProjectsRead
                    | P::UsageRead
                    | P::PlansRead
                    | P::PricesRead
                    | P::WalletsRead
                    | P::CodesRedeem
                    | P::InvoicesRead
                    | P::LimitsRead
            ),
        }
    }
}
