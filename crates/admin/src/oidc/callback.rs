//! `GET /api/v1/oidc/{name}/callback`

use axum::extract::{Path, State};
use axum::response::Response;
use http::header;
use http::request::Parts;
use lingate_store::{
    Act, ActorKind, AuditNote, AuditOutcome, Deed, Kind, PendingSignIn, Proved, SignInProvider,
    Store,
};

use super::exchange::{self, Code};
use super::issuer::Failure;
use super::person::{self, Person};
use super::refusal::{PAGE, Refusal, redirect};
use super::token::{self, Expected};
use super::{account, flow};
use crate::Admin;
use crate::beside::From;
use crate::identity::{secret, sign_in_as};
use crate::problem::Problem;
use crate::sign_in_providers::settings_of;

/// What a browser brings back.
#[derive(Debug, Default)]
struct Brought {
    state: String,
    code: Option<String>,
    error: Option<String>,
    issuer: Option<String>,
}

/// Come back from another service: for browsers
///
/// Where an issuer sends a browser that was sent there by `…/start`. It ends where that said, with a session; an account with a second
/// factor is asked for it there, unless the provider is set to trust the issuer's.
#[utoipa::path(
    get,
    path = "/api/v1/oidc/{name}/callback",
    tag = "sign-in",
    operation_id = "finish_sign_in",
    params(
        ("name" = String, Path, description = "The name of the provider"),
        ("state" = Option<String>, Query, description = "Of the sign-in, as it was begun"),
        ("code" = Option<String>, Query, description = "What the issuer gives tokens for"),
        ("error" = Option<String>, Query, description = "Why it gives none"),
        ("iss" = Option<String>, Query, description = "Who the issuer is (RFC 9207)"),
    ),
    responses(
        (status = 303, description = "Signed in; a page that asks and cannot be served is sent to the page for signing in, with `error`"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn callback(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    parts: Parts,
) -> Response {
    let brought = brought(parts.uri.query().unwrap_or(""));
    let mut response = match come_back(&admin, &parts, &name, &brought).await {
        Ok(response) => response,
        Err(refusal) => refusal.answer(&parts, &name),
    };
    if flow::cookie(&admin, &parts, &brought.state).is_some() {
        let gone = flow::forget(&admin, &parts, &brought.state);
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    response
}

/// What is there twice is not there.
fn brought(query: &str) -> Brought {
    let one = |wanted: &str| {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let mut found = pairs.filter(|(name, _)| name == wanted);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value.into_owned()),
            _ => None,
        }
    };
    Brought {
        state: one("state").unwrap_or_default(),
        code: one("code").filter(|code| !code.is_empty() && code.len() <= 8192),
        error: one("error"),
        issuer: one("iss"),
    }
}

async fn come_back(
    admin: &Admin,
    parts: &Parts,
    name: &str,
    brought: &Brought,
) -> Result<Response, Refusal> {
    let cookie = flow::cookie(admin, parts, &brought.state)
        .ok_or_else(|| Refusal::over("the browser does not have the cookie of the sign-in"))?;
    let store = admin.store()?;
    let (state, its) = (secret::kept(&brought.state), secret::kept(&cookie));
    let pending = store.take_pending_sign_in(&state, &its, admin.now());
    let pending = pending
        .await?
        .ok_or_else(|| Refusal::over("no such sign-in is under way"))?;
    let found = store.sign_in_provider(name).await?;
    let provider = found
        .map(|found| found.value)
        .filter(|provider| provider.enabled && provider.id == pending.provider)
        .ok_or_else(|| Refusal::over("the sign-in is of another provider"))?;
    let ended = Ending {
        admin,
        parts,
        provider: &provider,
        pending: &pending,
        cookie: &cookie,
        brought,
    };
    let mut who = String::new();
    let signed_in = ended.sign_in(&store, &mut who).await;
    if let Err(refusal) = &signed_in {
        tracing::warn!(provider = name, why = refusal.why, "nobody is signed in");
        let refused = AuditNote {
            outcome: AuditOutcome::Refused,
            detail: Some(format!(
                "by {} ({}): {}",
                provider.name, provider.issuer, refusal.why
            )),
            ..AuditNote::of(Deed::SignIn, Kind::Session, &"", &who)
        };
        store
            .by(act(parts, ActorKind::Nobody, "", ""))
            .audit(refused)
            .await?;
    }
    signed_in
}

/// A sign-in that comes back.
struct Ending<'a> {
    admin: &'a Admin,
    parts: &'a Parts,
    provider: &'a SignInProvider,
    pending: &'a PendingSignIn,
    cookie: &'a str,
    brought: &'a Brought,
}

impl Ending<'_> {
    /// `who`: becomes whom the issuer says that it is.
    async fn sign_in(&self, store: &Store, who: &mut String) -> Result<Response, Refusal> {
        let Self {
            admin,
            parts,
            provider,
            pending,
            ..
        } = *self;
        let settings = settings_of(provider)?;
        let person = self.person(&settings, who).await?;
        *who = person.email.clone().unwrap_or(person.subject.clone());
        let name = format!("sign-in by {}", provider.name);
        let system = act(parts, ActorKind::System, &provider.id.to_string(), &name);
        let store = store.clone().by(system);
        if let Err(refusal) = person.let_in(&settings, &provider.issuer) {
            // Nor do they keep what they hold by that issuer's word, in sessions that they still have.
            let (issuer, subject) = (&provider.issuer, &person.subject);
            if let Some(known) = store.account_of_subject(issuer, subject).await? {
                store.replace_memberships(known, issuer, &[]).await?;
            }
            return Err(refusal);
        }
        let id = account::of(&store, provider, &settings, &person, pending.account).await?;
        let found = store.credentials(id).await?;
        let account = &found.account.value;
        if account.blocked {
            return Err(Refusal::not_let_in("the account is blocked"));
        }
        if pending.account.is_some() {
            return Ok(redirect(&pending.return_to));
        }
        let groups = person.groups.as_deref().unwrap_or_default();
        store
            .replace_memberships(id, &provider.issuer, &settings.roles(groups))
            .await?;
        let by = format!("by {} ({})", provider.name, provider.issuer);
        let asks = found.totp_secret.is_some() && !settings.trust_second_factor;
        let (proved, by) = if asks {
            let by = format!("{by}; the second factor is still to come");
            (Proved::Password, by)
        } else {
            (Proved::Full, by)
        };
        let opened = sign_in_as(admin, id, account.known_as(), parts, proved, Some(&by)).await?;
        let mut response = if asks {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("mfa", "required");
            query.append_pair("return_to", &pending.return_to);
            // What stands behind # is for the page alone, and sent to nobody.
            let csrf_token = &opened.csrf_token;
            redirect(&format!(
                "{PAGE}?{}#csrf_token={csrf_token}",
                query.finish()
            ))
        } else {
            redirect(&pending.return_to)
        };
        response
            .headers_mut()
            .append(header::SET_COOKIE, opened.cookie);
        Ok(response)
    }

    /// Whom the issuer vouches for.
    async fn person(
        &self,
        settings: &crate::sign_in_providers::Settings,
        who: &mut String,
    ) -> Result<Person, Refusal> {
        let Self {
            admin,
            provider,
            pending,
            cookie,
            brought,
            ..
        } = *self;
        let issuers = admin.issuers();
        if let Some(error) = &brought.error {
            let error = exchange::known(error);
            return Err(Refusal::denied(format!("the issuer says {error}")));
        }
        let metadata = issuers.metadata(&provider.issuer, admin.now()).await;
        let metadata = metadata.map_err(Refusal::issuer)?;
        let is_theirs = match &brought.issuer {
            Some(issuer) => *issuer == provider.issuer,
            None => !metadata.names_itself,
        };
        if !is_theirs {
            return Err(Refusal::unproved("the browser comes from another issuer"));
        }
        let Some(code) = &brought.code else {
            return Err(Refusal::unproved("the browser brings no code"));
        };
        let verifier = flow::verifier(cookie, &brought.state);
        let code = Code {
            given: code,
            verifier: &verifier,
            redirect_uri: &pending.redirect_uri,
        };
        let tokens = exchange::tokens(admin, provider, &metadata, &code).await?;
        let now = admin.now();
        let claims = issuers.claims(&provider.issuer, &metadata, &tokens.id_token, now);
        let claims = claims.await.map_err(|failure| match failure {
            Failure::Issuer(why) => Refusal::issuer(why),
            Failure::Token(wrong) => Refusal::unproved(wrong.to_string()),
        })?;
        let subject = token::check(
            &claims,
            &Expected {
                issuer: &provider.issuer,
                client_id: &provider.client_id,
                nonce: &flow::nonce(cookie, &brought.state),
                now: now / 1000,
            },
        );
        let subject = subject.map_err(|wrong| Refusal::unproved(wrong.to_string()))?;
        who.clone_from(&subject);
        let more = if person::lacks(&claims, settings) {
            exchange::user_info(admin, &metadata, &tokens, &subject).await?
        } else {
            None
        };
        let told: Vec<_> = [Some(&claims), more.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        Ok(Person::of(subject, &told, settings))
    }
}

fn act(parts: &Parts, kind: ActorKind, id: &str, name: &str) -> Act {
    let from = parts.extensions.get::<From>();
    Act {
        kind,
        id: id.to_owned(),
        name: name.to_owned(),
        address: from.map(|from| from.address.to_string()),
        request_id: from.map(|from| from.request_id.clone()),
    }
}
