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
        id: &str,
    ) -> Result<Self, Problem> {
        let id: Id = id.parse().map_err(|_| Problem::not_found(WHAT))?;
        allowed.in_organization(id, WHAT)?;
        let store = admin.store()?;
        Self::find(admin, &store, id)
            .await?
            .ok_or_else(|| Problem::not_found(WHAT))
    }

    /// `None`: there is no such organization.
    pub(crate) async fn find(
        admin: &Admin,
        store: &Store,
        id: Id,
    ) -> Result<Option<Self>, Problem> {
        if let Some(name) = declared(admin, id) {
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

fn declared(admin: &Admin, id: Id) -> Option<String> {
    let configured = admin.configured();
    let declared = &configured.declared;
    let default = Organization::named(DEFAULT);
    declared
        .organizations
        .iter()
        .chain(&declared.mentioned.organizations)
        .chain([&default])
        .find(|organization| organization.id == id)
        .map(|organization| organization.name.clone())
}
