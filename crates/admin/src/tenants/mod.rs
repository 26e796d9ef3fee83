//! What organizations, projects, users and keys have in common: where they are from, who may see them, how they are read, listed and
//! changed. What differs is a [`Resource`].

mod changes;
mod known;
mod listed;
#[cfg(test)]
mod reach_tests;
mod rules;
#[cfg(test)]
mod tests;

use std::future::Future;

use lingate_metering::Id;
use lingate_metering::tenant::{Declared, Rules};
use lingate_store::{Entity, Kind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Allowed;
use crate::frame::Fields;
use crate::problem::Problem;

pub(crate) use changes::{answer, create, delete, get, prepare, seen, update};
pub(crate) use known::{Found, Known, Names};
pub(crate) use listed::{Wanted, list, some};
pub(crate) use rules::{Level, ShownRules, Stamp, WrittenLimit};

/// Where something is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TenantSource)]
pub(crate) enum Source {
    /// In lingate.yml; it cannot be changed here.
    File,
    /// In the database.
    Store,
}

/// What a thing is part of, as far as it decides who may see and change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) organization: Id,
    pub(crate) project: Option<Id>,
    /// Whose it is.
    pub(crate) user: Option<Id>,
}

/// Organizations, projects, persons, service accounts or keys.
pub(crate) trait Resource: Send + Sync + 'static {
    type Thing: Entity;
    type Shown: Serialize + Send;

    const KIND: Kind;
    /// In sentences.
    const NOUN: &'static str;
    /// What it belongs to, and the field that says so.
    const PARENT: Option<&'static str>;
    /// Fields that are told and cannot be changed.
    const FIXED: &'static [&'static str];

    fn declared(part: &Declared) -> impl Iterator<Item = &Self::Thing> + Send;

    /// Whether it is one of these, and not of others that are kept beside them.
    fn is_one(_thing: &Self::Thing) -> bool {
        true
    }

    fn parent(thing: &Self::Thing) -> Option<Id>;

    /// Whose it is.
    fn holder(_thing: &Self::Thing) -> Option<Id> {
        None
    }

    /// `parent`: what is known of what it belongs to.
    fn place(thing: &Self::Thing, names: &Names) -> Place;

    fn show(thing: &Self::Thing, stamp: Stamp, names: &Names) -> Self::Shown;

    /// Whether whoever asks may read, or change, what is there; if not, there is nothing.
    fn visible(allowed: &Allowed, place: Place) -> Result<(), Problem>;

    /// Whether whoever asks may make one there.
    fn creatable(allowed: &Allowed, place: Place) -> Result<(), Problem> {
        Self::visible(allowed, place)
    }

    /// Whether whoever may change it may delete it.
    fn deletable(_allowed: &Allowed, _place: Place) -> Result<(), Problem> {
        Ok(())
    }

    /// An empty one, within what it belongs to.
    fn new(parent: Option<Id>) -> Self::Thing;

    /// Reads all that can be changed into a thing; what is not said is as in a new one. What is wrong with it is told in `fields`; a
    /// problem is something else than a wrong value.
    fn read(
        fields: &mut Fields,
        thing: &mut Self::Thing,
        place: Place,
        known: &Known,
    ) -> impl Future<Output = Result<(), Problem>> + Send;

    /// What holds for it.
    fn rules(thing: &Self::Thing) -> &Rules;

    /// Whether whoever asks may turn the one into the other; `None`: it is new.
    fn may(
        allowed: &Allowed,
        before: Option<&Self::Thing>,
        after: &Self::Thing,
        place: Place,
        names: &Names,
    ) -> Result<(), Problem>;
}
