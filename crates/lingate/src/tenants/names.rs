//! What ids are called.

use std::collections::HashMap;

use lingate_metering::Id;
use lingate_metering::tenant::{ApiKey, DEFAULT, Organization, Project, User};
use lingate_store::Filter;

use super::{Found, Named as _};
use crate::Failed;
use crate::local::Here;

/// The names of organizations, projects (`acme/web`) and users (`acme/alice`).
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<Id, String>);

impl Names {
    pub(crate) async fn read(here: &Here) -> Result<Self, Failed> {
        let mut names = HashMap::new();
        let organization = Organization::named(DEFAULT);
        let project = Project::named(&organization, DEFAULT);
        names.insert(organization.id, DEFAULT.to_owned());
        names.insert(project.id, format!("{DEFAULT}/{DEFAULT}"));
        for stored in here.all::<Organization>(Filter::default()).await? {
            names.insert(stored.value.id, stored.value.name);
        }
        for declared in Organization::declared(&here.loaded.declared) {
            names.insert(declared.id, declared.name.clone());
        }
        let projects = here.list::<Project>(Filter::default(), |_| true).await?;
        let users = here.list::<User>(Filter::default(), |_| true).await?;
        let projects = projects
            .iter()
            .map(Found::value)
            .map(|project| (project.id, project.organization, project.name.as_str()));
        let users = users
            .iter()
            .map(Found::value)
            .map(|user| (user.id, user.organization, user.name.as_str()));
        for (id, organization, name) in projects.chain(users) {
            let whole = match names.get(&organization) {
                Some(organization) => format!("{organization}/{name}"),
                None => name.to_owned(),
            };
            names.insert(id, whole);
        }
        Ok(Self(names))
    }

    /// The names of keys (`acme/web/laptop`), too.
    pub(crate) async fn with_keys(here: &Here) -> Result<Self, Failed> {
        let Self(mut names) = Self::read(here).await?;
        for found in here.list::<ApiKey>(Filter::default(), |_| true).await? {
            let key = found.value();
            let whole = match names.get(&key.project) {
                Some(project) => format!("{project}/{}", key.name),
                None => key.name.clone(),
            };
            names.insert(key.id, whole);
        }
        Ok(Self(names))
    }

    /// The name; of what is gone, the id.
    pub(crate) fn of(&self, id: Id) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}
