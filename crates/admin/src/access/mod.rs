//! Who asks, and what they may.

mod actor;
mod allowed;
mod authenticate;
mod permission;
mod role;
pub(crate) mod table;

pub(crate) use actor::{Actor, Grant, Scope};
pub(crate) use allowed::{Allowed, Reach};
pub(crate) use authenticate::{Local, guard};
pub(crate) use permission::Permission;
pub(crate) use role::Role;
