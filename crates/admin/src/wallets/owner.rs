//! Whose wallet it is: an organization of the database or of the configuration file.

use lingate_metering::Id;
use lingate_metering::tenant::{DEFAULT, Organization};
use lingate_store::{Store, StoreError};

use crate::Admin;
use crate::access::Allowed;
use crate::problem::Problem;

/// An organization, by its id and its name.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) id: Id,
    pub(crate) name: String,
}

/// What is not there for those who may not see it.
pub(crate) const WHAT: &str = "organization";

impl Owner {
    /// The one that a path names, for whoever holds the endpoint's permission in it.
    pub(crate) async fn allowed(
        admin: &Admin,
        allowed: &Allowed,
        said: &str,
    ) -> Result<Self, Problem> {
        let found = Self::called(admin, &admin.store()?, said).await?;
        let owner = found.ok_or_else(|| Problem::not_found(WHAT))?;
        allowed.in_organization(owner.id, WHAT)?;
        Ok(owner)
    }

    /// By its id or its name; `None`: there is no such organization.
    pub(crate) async fn called(
        admin: &Admin,
        store: &Store,
        said: &str,
    ) -> Result<Option<Self>, Problem> {
        if let Ok(id) = said.parse() {
            return Self::find(admin, store, id).await;
        }
        if let Some(Organization { id, name, .. }) = declared(admin, |one| one.name == said) {
            return Ok(Some(Self { id, name }));
        }
        match store.find::<Organization>(None, said).await {
            Ok(found) => Ok(found.map(|stored| Self {
                id: stored.value.id,
                name: stored.value.name,
            })),
            // What is no name is nobody's.
            Err(StoreError::Invalid { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// `None`: there is no such organization.
    pub(crate) async fn find(
        admin: &Admin,
        store: &Store,
        id: Id,
    ) -> Result<Option<Self>, Problem> {
        if let Some(Organization { id, name, .. }) = declared(admin, |one| one.id == id) {
            return Ok(Some(Self { id, name }));
        }
        match store.get::<Organization>(id).await {
            Ok(stored) => Ok(Some(Self {
                id,
                name: stored.value.name,
            })),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Their names, as far as they are known; others are called by their ids.
    pub(crate) async fn name_of(admin: &Admin, store: &Store, id: Id) -> String {
        match Self::find(admin, store, id).await {
            Ok(Some(owner)) => owner.name,
            Ok(None) | Err(_) => id.to_string(),
        }
    }
}

fn declared(admin: &Admin, is: impl Fn(&Organization) -> bool) -> Option<Organization> {
    let configured = admin.configured();
    let declared = &configured.declared;
    let default = Organization::named(DEFAULT);
    declared
        .organizations
        .iter()
        .chain(&declared.mentioned.organizations)
        .chain([&default])
        .find(|organization| is(organization))
        .cloned()
}
