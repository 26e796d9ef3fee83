//! Who asks, and what they may.

mod actor;
mod allowed;
mod authenticate;
pub(crate) mod browser;
mod permission;
mod role;
pub(crate) mod table;

pub(crate) use actor::{Actor, Grant, Scope};
pub(crate) use allowed::{Allowed, Reach};
pub(crate) use authenticate::{Local, check_csrf, grants, guard, identify, of_key, signed_in};
pub(crate) use permission::Permission;
pub(crate) use role::Role;
