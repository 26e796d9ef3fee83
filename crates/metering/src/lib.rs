//! Who may use how much, and what it cost: tenants, limits, the arithmetic of counters, and the record of a request. Pure: the
//! moment is an argument.

pub mod counter;
pub mod currency;
mod id;
pub mod limit;
pub mod moment;
pub mod pricing;
pub mod record;
pub mod tenant;

pub use id::{BadId, Id};
pub use lingate_catalog::Money;
pub use moment::Millis;
