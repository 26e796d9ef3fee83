//! What persons and service accounts are among tenants: users of an organization, which hold keys and limits.

use lingate_metering::Id;
use lingate_metering::tenant::{Declared, Rules, User, UserKind};
use lingate_store::{Kind, new_id};

use super::shown::Shown;
use crate::access::Allowed;
use crate::frame::Fields;
use crate::problem::Problem;
use crate::tenants::{Known, Level, Names, Place, Resource, ShownRules, Stamp};

macro_rules! users {
    ($($(#[$doc:meta])* $name:ident, $noun:literal, $kind:expr, |$user:ident| $is:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl Resource for $name {
            type Thing = User;
            type Shown = Shown;

            const KIND: Kind = Kind::User;
            const NOUN: &'static str = $noun;
            const PARENT: Option<&'static str> = Some("organization");
            const FIXED: &'static [&'static str] = &[
                "id",
                "path",
                "organization",
                "source",
                "created_at",
                "updated_at",
            ];

            fn declared(part: &Declared) -> impl Iterator<Item = &User> + Send {
                part.users.iter()
            }

            fn is_one($user: &User) -> bool {
                $is
            }

            fn parent(user: &User) -> Option<Id> {
                Some(user.organization)
            }

            fn place(user: &User, _: &Names) -> Place {
                Place {
                    organization: user.organization,
                    project: None,
                    user: Some(user.id),
                }
            }

            fn show(user: &User, stamp: Stamp, names: &Names) -> Shown {
                show(user, stamp, names)
            }

            fn visible(allowed: &Allowed, place: Place) -> Result<(), Problem> {
                let own = allowed.own.is_some_and(|own| {
                    let within = allowed.actor.may_in_organization(own, place.organization);
                    within && allowed.actor.is_user(place.user)
                });
                if own {
                    return Ok(());
                }
                allowed.in_organization(place.organization, Self::NOUN)
            }

            fn new(organization: Option<Id>) -> User {
                User {
                    id: new_id(),
                    organization: organization.unwrap_or_default(),
                    name: String::new(),
                    kind: $kind,
                    rules: Rules::default(),
                }
            }

            async fn read(
                fields: &mut Fields,
                user: &mut User,
                _: Place,
                _: &Known,
            ) -> Result<(), Problem> {
                read(fields, user);
                Ok(())
            }

            fn rules(user: &Self::Thing) -> &Rules {
                &user.rules
            }

            fn may(
                allowed: &Allowed,
                before: Option<&User>,
                after: &User,
                _: Place,
                _: &Names,
            ) -> Result<(), Problem> {
                let before = before.map(|before| &before.rules);
                ShownRules::may(allowed, Level::Inner, before, &after.rules)
            }
        }
    )*};
}

users! {
    Persons, "user", UserKind::Person, |user| user.kind == UserKind::Person;
    /// Programs.
    ServiceAccounts, "service account", UserKind::ServiceAccount, |user| user.kind == UserKind::ServiceAccount;
    /// Either of them.
    Anybody, "user", UserKind::Person, |_user| true;
}

fn show(user: &User, stamp: Stamp, names: &Names) -> Shown {
    let User {
        id,
        organization,
        name,
        kind: _,
        rules,
    } = user;
    Shown {
        id: id.to_string(),
        name: name.clone(),
        path: format!("{}/{name}", names.path(*organization)),
        organization: organization.to_string(),
        rules: ShownRules::of(rules),
        stamp,
    }
}

fn read(fields: &mut Fields, user: &mut User) {
    user.name = fields.needed("name");
    user.rules = ShownRules::read(fields, user.id);
}
