//! Secrets sealed at rest: the gateway's master key, the keys that are derived from it, and envelopes that open with nothing else.
//!
//! An envelope is bound to what it is for ([`Purpose`]) and to the row that holds it, so it opens nowhere else, and names the master
//! key that it takes, so that whoever lacks that is told which. While a master key is replaced there are two: what is sealed is sealed
//! with the new one, and either opens.

mod envelope;
mod error;
mod master;
mod purpose;
mod sealer;

pub use envelope::key_of;
pub use error::SealError;
pub use master::{BadMasterKey, MasterKey};
pub use purpose::Purpose;
pub use sealer::{Age, Opened, Rotation, Sealer};
