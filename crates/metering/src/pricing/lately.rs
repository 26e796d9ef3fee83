//! Prices that were found lately: patterns are matched once for each provider, model and plan, not for each request.

use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, PoisonError, RwLock};

use lingate_catalog::{Factor, Price};
use rustc_hash::FxHasher;

use super::Priced;

/// More than anybody's models. A place has the latest that fell to it, so that callers who make names up cannot make it grow.
const PLACES: usize = 1024;

/// What is found for one [`Priced`].
#[derive(Debug)]
pub(super) struct Found {
    provider: Box<str>,
    catalog_id: Option<Box<str>>,
    upstream_model: Box<str>,
    requested_model: Box<str>,
    plan: Option<Box<str>>,
    pub(super) cost: Option<Price>,
    pub(super) tenant: Tenant,
}

/// What a tenant is charged.
#[derive(Debug)]
pub(super) enum Tenant {
    /// The cost, so many times.
    Times(Factor),
    /// By a price of its plan.
    Own(Box<Price>),
    /// Nobody is charged by a plan that is not there.
    NoPlan,
}

impl Found {
    pub(super) fn new(of: &Priced<'_>, cost: Option<Price>, tenant: Tenant) -> Self {
        Self {
            provider: of.provider.into(),
            catalog_id: of.catalog_id.map(Into::into),
            upstream_model: of.upstream_model.into(),
            requested_model: of.requested_model.into(),
            plan: of.plan.map(Into::into),
            cost,
            tenant,
        }
    }

    fn is_of(&self, of: &Priced<'_>) -> bool {
        *self.upstream_model == *of.upstream_model
            && *self.requested_model == *of.requested_model
            && *self.provider == *of.provider
            && self.catalog_id.as_deref() == of.catalog_id
            && self.plan.as_deref() == of.plan
    }
}

#[derive(Debug)]
pub(super) struct Lately(Box<[RwLock<Option<Arc<Found>>>]>);

impl Default for Lately {
    fn default() -> Self {
        Self((0..PLACES).map(|_| RwLock::default()).collect())
    }
}

impl Lately {
    pub(super) fn find(&self, of: &Priced<'_>, look: impl FnOnce() -> Found) -> Arc<Found> {
        let mut hasher = FxHasher::default();
        let Priced {
            provider,
            catalog_id,
            upstream_model,
            requested_model,
            plan,
        } = of;
        (provider, catalog_id, upstream_model, requested_model, plan).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        let Some(place) = self.0.get(place) else {
            return Arc::new(look());
        };
        {
            let known = place.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = known.as_ref().filter(|found| found.is_of(of)) {
                return Arc::clone(found);
            }
        }
        let found = Arc::new(look());
        *place.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&found));
        found
    }
}
