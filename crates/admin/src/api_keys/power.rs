//! Keys that manage the gateway have the power of a role. Nobody gives out, or takes into their hands, more than they have.

use lingate_metering::tenant::{ApiKey, DEFAULT, KeyKind};

use crate::access::{Allowed, Permission, Role};
use crate::problem::Problem;
use crate::tenants::{Names, Place};

/// Whether whoever asks has all the power that such a key has.
pub(super) fn covers(
    allowed: &Allowed,
    key: &ApiKey,
    place: Place,
    names: &Names,
) -> Result<(), Problem> {
    let of_platform = names.name(place.organization) == Some(DEFAULT);
    let role = match key.kind {
        None | Some(KeyKind::Inference) => return Ok(()),
        Some(KeyKind::Management) if of_platform => Role::Operator,
        Some(KeyKind::Management) => Role::Admin,
        Some(KeyKind::ReadOnly) => Role::Viewer,
    };
    let has = |permission: Permission| {
        if of_platform {
            allowed.actor.may_on_platform(permission)
        } else {
            allowed
                .actor
                .may_in_organization(permission, place.organization)
        }
    };
    let lacking = Permission::ALL
        .iter()
        .find(|permission| role.may(**permission) && !has(**permission));
    match lacking {
        None => Ok(()),
        Some(permission) => Err(Problem::forbidden(format!(
            "a key of the kind `{}` has more power than you: `{}`, for one",
            key.kind.map_or("", KeyKind::name),
            permission.name()
        ))),
    }
}
