//! Who an account is at other services, as it is told and taken away.

use lingate_metering::Id;
use lingate_store::{Identity, Store};
use serde::Serialize;
use utoipa::ToSchema;

use crate::frame::{Page, moment_text};
use crate::problem::Problem;

/// Who somebody is at another service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Identity)]
pub(crate) struct ShownIdentity {
    id: String,
    /// The sign-in provider; not there: it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "example")]
    provider: Option<String>,
    #[schema(example = "https://id.example.com")]
    issuer: String,
    /// As the issuer knows them.
    subject: String,
    created_at: String,
}

pub(crate) async fn identities(store: &Store, account: Id) -> Result<Page<ShownIdentity>, Problem> {
    let providers = store.sign_in_providers().await?;
    let shown = |identity: Identity| ShownIdentity {
        id: identity.id.to_string(),
        provider: providers
            .iter()
            .find(|provider| provider.value.issuer == identity.issuer)
            .map(|provider| provider.value.name.clone()),
        issuer: identity.issuer,
        subject: identity.subject,
        created_at: moment_text(identity.created_at),
    };
    let all = store.identities(account).await?;
    Ok(Page {
        items: all.into_iter().map(shown).collect(),
        next: None,
    })
}

/// With the roles that are held by the issuer's word.
pub(crate) async fn unlink(store: &Store, account: Id, identity: &str) -> Result<(), Problem> {
    let missing = || Problem::not_found("identity");
    let id = identity.parse().map_err(|_| missing())?;
    let all = store.identities(account).await?;
    let one = all.iter().find(|one| one.id == id).ok_or_else(missing)?;
    store.unlink_subject(account, id).await?;
    store.replace_memberships(account, &one.issuer, &[]).await?;
    Ok(())
}
