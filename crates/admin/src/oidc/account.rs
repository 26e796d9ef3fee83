//! Whose account it is that an issuer vouches for.

use lingate_metering::Id;
use lingate_store::{NewAccount, SignInProvider, Store, StoreError, new_id};

use super::person::Person;
use super::refusal::Refusal;
use crate::identity::secret;
use crate::sign_in_providers::Settings;

/// The account of a person; `wanted`: who is signed in already, and is to be known by the issuer, too.
///
/// By issuer and subject, whatever their address is. Who is not known yet becomes an account that is there only if it has their
/// verified address and no password of its own: somebody else may have made one under the address of a person who had none, to
/// share it with them later.
pub(super) async fn of(
    store: &Store,
    provider: &SignInProvider,
    settings: &Settings,
    person: &Person,
    wanted: Option<Id>,
) -> Result<Id, Refusal> {
    let (issuer, subject) = (&*provider.issuer, &*person.subject);
    let known = store.account_of_subject(issuer, subject).await?;
    let account = match (known, wanted) {
        (Some(known), _) => known,
        (None, Some(wanted)) => store.link_subject(issuer, subject, wanted).await?,
        (None, None) => match first(store, provider, settings, person).await {
            Ok(account) => account,
            // Another browser of the same person may have come first.
            Err(refusal) => store
                .account_of_subject(issuer, subject)
                .await?
                .ok_or(refusal)?,
        },
    };
    if wanted.is_some_and(|wanted| wanted != account) {
        return Err(Refusal::identity_taken());
    }
    Ok(account)
}

/// Of somebody who signs in so for the first time.
async fn first(
    store: &Store,
    provider: &SignInProvider,
    settings: &Settings,
    person: &Person,
) -> Result<Id, Refusal> {
    let (issuer, subject) = (&*provider.issuer, &*person.subject);
    let found = match &person.email {
        Some(email) => store.credentials_of(email).await?,
        None => None,
    };
    if let Some(found) = found {
        let account = found.account.value;
        let email = person.email.as_deref().unwrap_or_default();
        let is_theirs = |its: &str| its.eq_ignore_ascii_case(email);
        // Accounts are found by more than that: there are letters elsewhere whose small ones are those of ASCII.
        if !account.email.as_deref().is_some_and(is_theirs) {
            return Err(Refusal::account_exists(
                "there is an account with nearly this address",
            ));
        }
        if !settings.link_by_email {
            return Err(Refusal::account_exists(
                "there is an account with this address, and `link_by_email` is off",
            ));
        }
        if account.has_password && !account.must_change_password {
            return Err(Refusal::account_exists(
                "there is an account with this address, which has a password of its own",
            ));
        }
        return Ok(store.link_subject(issuer, subject, account.id).await?);
    }
    if !settings.create_accounts {
        return Err(Refusal::not_let_in(
            "has no account, and `create_accounts` is off",
        ));
    }
    let hash = secret::kept(&format!("{issuer} {subject}"));
    let hash = hash.get(..12).unwrap_or(&hash);
    let (name, email) = (person.name.as_deref(), person.email.as_deref());
    let name = name.or(person.username.as_deref()).or(email);
    let name: String = name.unwrap_or(subject).chars().take(200).collect();
    let name = Some(name.trim()).filter(|name| !name.is_empty());
    let name = name.unwrap_or(hash);
    let new = |login: Option<String>| NewAccount {
        id: new_id(),
        login,
        email: person.email.clone(),
        name: name.to_owned(),
        password: None,
        temporary_until: None,
    };
    if person.email.is_some() {
        let made = store
            .create_account_of_subject(issuer, subject, &new(None))
            .await;
        return Ok(made?);
    }
    // Without an address they are known by what the issuer calls them, below the issuer's name: no such login is anybody else's.
    let called = person.username.as_deref().unwrap_or(hash);
    for login in [called, hash] {
        let login = format!("{}.{login}", provider.name);
        let made = store
            .create_account_of_subject(issuer, subject, &new(Some(login)))
            .await;
        match made {
            // Their name is taken, or has letters that a login has not.
            Err(StoreError::Taken { .. } | StoreError::Invalid { field: "login", .. }) => {}
            made => return Ok(made?),
        }
    }
    Err(Refusal::account_exists(
        "there is an account with this login already",
    ))
}
