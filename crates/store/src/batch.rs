//! Several changes that are made together, or not at all.

use lingate_metering::Id;
use lingate_metering::tenant::Declared;

use crate::audit::AuditNote;
use crate::store::Change;
use crate::{Entity, Revision, Store, StoreError, change, entity};

/// Changes under way. Until it is committed nobody sees them, and nobody else can change anything, on no replica; dropped, none of
/// them is made.
#[derive(Debug)]
pub struct Batch {
    store: Store,
    pub(crate) change: Change,
}

impl Store {
    pub async fn batch(&self) -> Result<Batch, StoreError> {
        Ok(Batch {
            store: self.clone(),
            change: self.begin_change().await?,
        })
    }
}

impl Batch {
    /// All tenants, as this batch leaves them.
    pub async fn declared(&mut self) -> Result<Declared, StoreError> {
        change::declared(&mut self.change.tx).await
    }

    pub async fn create<E: Entity>(&mut self, values: &[E]) -> Result<(), StoreError> {
        if values.is_empty() {
            return Ok(());
        }
        entity::add(&mut self.change, values).await
    }

    /// Makes it possible to refer to something that `lingate.yml` names, as [`Store::stand_in`] does.
    pub async fn stand_in<E: Entity>(&mut self, value: &E) -> Result<(), StoreError> {
        entity::add_stand_in(&mut self.change, value).await
    }

    /// Writes all that may be changed, as [`Store::update`] does.
    pub async fn update<E: Entity>(&mut self, value: &E) -> Result<(), StoreError> {
        entity::write(&mut self.change, value, None).await.map(drop)
    }

    /// Refused while something belongs to it.
    pub async fn delete<E: Entity>(&mut self, id: Id) -> Result<(), StoreError> {
        entity::remove::<E>(&mut self.change, id, None).await
    }

    /// The audit log tells it with the rest.
    pub fn note(&mut self, note: AuditNote) {
        self.change.note(note);
    }

    /// That of everything that is changed here.
    pub fn revision(&self) -> Revision {
        self.change.revision
    }

    pub async fn commit(self) -> Result<Revision, StoreError> {
        let revision = self.change.revision;
        self.store.commit(self.change).await?;
        Ok(revision)
    }
}
