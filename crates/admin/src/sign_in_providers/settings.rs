//! What a sign-in provider is set to, beside its address: whom it lets in, and what they become.

use lingate_store::Place;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role, and where it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoleBySignIn)]
pub(crate) struct Given {
    /// `platform`, `organization` or `project`
    pub(crate) scope: String,
    /// An id; in requests also a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<String>,
    /// An id; in requests also a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// `operator`, `owner`, `admin`, `member`, `viewer` or `billing`, as far as the scope has it
    pub(crate) role: String,
}

/// Whoever is in the group holds the role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GroupMapping)]
pub(crate) struct Mapping {
    /// As the issuer's claim has it.
    pub(crate) group: String,
    /// `platform`, `organization` or `project`
    pub(crate) scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    pub(crate) role: String,
}

impl Mapping {
    pub(super) fn given(&self) -> Given {
        Given {
            scope: self.scope.clone(),
            organization: self.organization.clone(),
            project: self.project.clone(),
            role: self.role.clone(),
        }
    }

    pub(super) fn of(group: String, given: Given) -> Self {
        Self {
            group,
            scope: given.scope,
            organization: given.organization,
            project: given.project,
            role: given.role,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SignInSettings)]
pub(crate) struct Settings {
    /// On the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Sign in with Example")]
    pub(crate) label: Option<String>,
    /// What the issuer is asked for; `openid` is always asked for.
    #[schema(example = json!(["email", "profile"]))]
    pub(crate) scopes: Vec<String>,
    /// Whoever has no verified e-mail address of these domains is not let in. Empty: nobody is turned away for that.
    #[schema(example = json!(["example.com"]))]
    pub(crate) email_domains: Vec<String>,
    /// The claim that lists groups, or a path into one: `realm_access.roles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "groups")]
    pub(crate) groups_claim: Option<String>,
    pub(crate) mappings: Vec<Mapping>,
    /// What everybody who signs in so holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_role: Option<Given>,
    /// Whoever is let in and has no account gets one.
    pub(crate) create_accounts: bool,
    /// Whoever is let in with the verified e-mail address of an account that has no password of its own is that account from then on.
    /// Accounts with a password are linked by whoever is signed in to them: `POST /api/v1/me/identities`.
    pub(crate) link_by_email: bool,
    /// Whoever is in none of these groups is not let in. Empty: nobody is turned away for that.
    #[serde(default)]
    pub(crate) allowed_groups: Vec<String>,
    /// Whoever signs in so is not asked for the second factor of their account: the issuer asks for one itself.
    #[serde(default)]
    pub(crate) trust_second_factor: bool,
    /// Where the issuer sends browsers back to, if that is not the address at which they asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://gateway.example.com/api/v1/oidc/example/callback")]
    pub(crate) redirect_uri: Option<String>,
}

impl Settings {
    /// What somebody in these groups holds, each role once.
    pub(crate) fn roles(&self, groups: &[String]) -> Vec<(Place, String)> {
        let mapped = self.mappings.iter();
        let mapped = mapped.filter(|mapping| groups.contains(&mapping.group));
        let mut roles = Vec::new();
        for given in mapped.map(Mapping::given).chain(self.default_role.clone()) {
            if let Some(place) = place(&given) {
                let role = (place, given.role);
                if !roles.contains(&role) {
                    roles.push(role);
                }
            }
        }
        roles
    }
}

fn place(given: &Given) -> Option<Place> {
    let id = |text: &Option<String>| text.as_ref()?.parse().ok();
    Some(match &*given.scope {
        "platform" => Place::Platform,
        "organization" => Place::Organization(id(&given.organization)?),
        "project" => Place::Project {
            organization: id(&given.organization)?,
            project: id(&given.project)?,
        },
        _ => return None,
    })
}
