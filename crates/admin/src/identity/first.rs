//! The first start: an operator with a password of its own, never a known one.
//!
//! It does not expire, as others do that somebody else gives: nobody has handed it over, since whoever reads it where the gateway was
//! started may read its data folder as well, and nobody is there yet to be asked for another.

use lingate_store::{NewAccount, NewMembership, Place, Store, new_id};
use secrecy::{ExposeSecret as _, SecretString};

use super::password::Hasher;
use super::{policy, secret};
use crate::access::Role;

/// The account that the first start has made.
#[derive(Debug)]
pub struct FirstOperator {
    /// What it signs in with.
    pub login: &'static str,
    /// To be shown once; `None`: whoever started the gateway gave it.
    pub password: Option<SecretString>,
}

const LOGIN: &str = "operator";

/// Makes the account `operator` where there is no account yet: with the given password, else with one that is made. `Ok(None)`:
/// there are accounts. `Err`: why it cannot be, in a sentence.
pub async fn first_operator(
    store: &Store,
    given: Option<SecretString>,
) -> Result<Option<FirstOperator>, String> {
    let lacks = store.lacks_accounts().await;
    if !lacks.map_err(|error| error.to_string())? {
        return Ok(None);
    }
    if let Some(given) = &given
        && let Some(why) = policy::weakness(given.expose_secret(), [LOGIN])
    {
        return Err(format!(
            "LINGATE_ADMIN_PASSWORD cannot be the operator's password: {why}"
        ));
    }
    let (password, made) = if let Some(given) = given {
        (given, None)
    } else {
        let made = secret::readable(25).map_err(|problem| problem.detail)?;
        (made.clone().into(), Some(made.into()))
    };
    let hash = Hasher::default().hash(password).await;
    let new = NewAccount {
        id: new_id(),
        login: Some(LOGIN.to_owned()),
        email: None,
        name: "Operator".to_owned(),
        password: Some(hash.map_err(|problem| problem.detail)?),
        temporary_until: None,
    };
    let membership = NewMembership {
        place: Place::Platform,
        role: Role::Operator.name().to_owned(),
        source: String::new(),
    };
    let created = store.create_first_account(&new, &membership).await;
    Ok(created
        .map_err(|error| error.to_string())?
        .map(|_| FirstOperator {
            login: LOGIN,
            password: made,
        }))
}
