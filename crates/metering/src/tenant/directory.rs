//! Everybody that requests may come from, as one immutable value: found by what a caller shows, without a database.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{ApiKey, Organization, Project, User};
use crate::Id;

/// Parts that a directory is made of, from the configuration and from the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    pub organizations: Vec<Organization>,
    pub projects: Vec<Project>,
    pub users: Vec<User>,
    pub keys: Vec<ApiKey>,
}

/// Who a request comes from.
#[derive(Debug, PartialEq)]
pub struct Principal {
    pub key: ApiKey,
    pub user: Option<Arc<User>>,
    pub project: Arc<Project>,
    pub organization: Arc<Organization>,
}

/// All principals, by what they show.
#[derive(Debug, Default)]
pub struct Directory {
    by_secret: FxHashMap<[u8; 32], Arc<Principal>>,
    by_id: FxHashMap<Id, Arc<Principal>>,
}

impl Directory {
    /// Who shows a secret with this SHA-256, whatever rules say of him.
    pub fn showing(&self, sha256: &[u8; 32]) -> Option<&Arc<Principal>> {
        self.by_secret.get(sha256)
    }

    pub fn key(&self, id: Id) -> Option<&Arc<Principal>> {
        self.by_id.get(&id)
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
