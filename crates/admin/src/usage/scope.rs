//! Whose usage somebody may see: everybody's, that of their organizations and projects, or that of the user who they are.

use lingate_metering::Id;
use lingate_store::UsageFilter;

use crate::access::{Allowed, Reach};
use crate::problem::Problem;
use crate::tenants::Known;

/// The id of no organization.
const NOBODY: Id = Id::from_u128(0);

/// Whose usage is wanted, by ids or names.
#[derive(Debug, Default)]
pub(crate) struct Scoped {
    pub(crate) organization: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
}

/// The filter that lets through what is wanted as far as whoever asks may see it. Of what they may not see nothing comes through, the
/// same as of what is not there.
pub(crate) async fn scope(
    known: &Known,
    allowed: &Allowed,
    wanted: Scoped,
) -> Result<UsageFilter, Problem> {
    let mut filter = UsageFilter {
        model: wanted.model,
        provider: wanted.provider,
        ..UsageFilter::default()
    };
    // What is deleted has its id still.
    let id = |text: &str| text.parse::<Id>().ok();
    let nothing = |filter: UsageFilter| UsageFilter {
        organization: Some(NOBODY),
        ..filter
    };
    if let Some(text) = &wanted.organization {
        match id(text).or(known.organization(text).await?) {
            None => return Ok(nothing(filter)),
            found => filter.organization = found,
        }
    }
    if let Some(text) = &wanted.project {
        match id(text).or(known.project(text).await?) {
            None => return Ok(nothing(filter)),
            found => filter.project = found,
        }
    }
    if let Some(text) = &wanted.user {
        let user = known.user(filter.organization, text).await?;
        match id(text).or(user.map(|user| user.id)) {
            None => return Ok(nothing(filter)),
            found => filter.user = found,
        }
    }
    if let Some(text) = &wanted.key {
        let key = known.find::<crate::api_keys::ApiKeys>(text).await?;
        match id(text).or(key.map(|key| key.value().id)) {
            None => return Ok(nothing(filter)),
            found => filter.key = found,
        }
    }
    match allowed.reach() {
        Reach::All => Ok(filter),
        Reach::Some {
            organizations,
            projects,
            users,
        } => {
            let mut ways = ways(known, organizations, projects, users).await?;
            narrow(known, &filter, &mut ways).await?;
            let mut ways = ways.into_iter();
            match (ways.next(), ways.next()) {
                (None, _) => Ok(nothing(filter)),
                (Some(way), None) => {
                    Ok(way.over(filter.clone()).unwrap_or_else(|| nothing(filter)))
                }
                (Some(_), Some(_)) => Err(Problem::invalid(
                    "organization",
                    "you may see the usage of several; say whose is wanted by `organization`, `project` or `user`",
                )),
            }
        }
    }
}

/// Something whose usage may be seen, and the organization that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Organization(Id),
    Project(Id, Id),
    User(Id, Id),
}

impl Way {
    fn organization(self) -> Id {
        match self {
            Self::Organization(organization)
            | Self::Project(_, organization)
            | Self::User(_, organization) => organization,
        }
    }

    /// What is wanted and lies within; `None`: nothing does.
    fn over(self, mut filter: UsageFilter) -> Option<UsageFilter> {
        let (place, only) = match self {
            Self::Organization(id) => (&mut filter.organization, id),
            Self::Project(id, _) => (&mut filter.project, id),
            Self::User(id, _) => (&mut filter.user, id),
        };
        if place.is_some_and(|wanted| wanted != only) {
            return None;
        }
        *place = Some(only);
        Some(filter)
    }
}

async fn ways(
    known: &Known,
    organizations: Vec<Id>,
    projects: Vec<Id>,
    users: Vec<Id>,
) -> Result<Vec<Way>, Problem> {
    let names = known
        .names([], projects.iter().copied(), users.iter().copied())
        .await?;
    let mut ways: Vec<Way> = organizations.into_iter().map(Way::Organization).collect();
    let inner = |ways: &[Way], organization| ways.contains(&Way::Organization(organization));
    for project in projects {
        let organization = names.parent(project).unwrap_or_default();
        if !inner(&ways, organization) {
            ways.push(Way::Project(project, organization));
        }
    }
    for user in users {
        let organization = names.parent(user).unwrap_or_default();
        if !inner(&ways, organization) {
            ways.push(Way::User(user, organization));
        }
    }
    ways.dedup();
    Ok(ways)
}

/// Leaves the ways that lead to what is wanted.
async fn narrow(known: &Known, filter: &UsageFilter, ways: &mut Vec<Way>) -> Result<(), Problem> {
    ways.retain(|way| way.over(filter.clone()).is_some());
    let names = known.names([], filter.project, filter.user).await?;
    let inner = filter.project.or(filter.user);
    let organization = filter
        .organization
        .or_else(|| inner.and_then(|id| names.parent(id)));
    if let Some(organization) = organization {
        ways.retain(|way| way.organization() == organization);
    }
    // What a role shows comes before what is one's own, unless that is asked for.
    let of_role = |way: &Way| !matches!(way, Way::User(..));
    if filter.user.is_none() && ways.iter().any(of_role) {
        ways.retain(of_role);
    }
    // Who is wanted by name is one way of them.
    if ways.len() > 1 {
        let exact = |way: &Way| match *way {
            Way::Organization(_) => false,
            Way::Project(id, _) => filter.project == Some(id),
            Way::User(id, _) => filter.user == Some(id),
        };
        if let Some(way) = ways.iter().copied().find(exact) {
            *ways = vec![way];
        }
    }
    Ok(())
}
