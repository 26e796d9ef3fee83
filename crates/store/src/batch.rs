//! Several changes that are made together, or not at all.

use crate::audit::AuditNote;
use crate::store::Change;
use crate::{Revision, Store, StoreError};

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
