//! Finds out who asks, and whether they may use the endpoint at all.
//!
//! In this order: the command line in its own process; a session's cookie; a personal access token; a key of the gateway that is for
//! management or for reading; and, where the gateway is open, whoever sits at this machine.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use lingate_gateway::{Gateway, KeyShown};
use lingate_metering::Id;
use lingate_metering::tenant::{DEFAULT, KeyKind, Principal};
use lingate_store::{
    Account, Act, ActorKind, Membership, Place, Proved, SignedIn, Token, TokenShown,
};
use subtle::ConstantTimeEq as _;

use super::table::{self, Need};
use super::{Actor, Allowed, Grant, Permission, Role, Scope, browser};
use crate::Admin;
use crate::beside::From;
use crate::identity::{IDLE, csrf_token, secret};
use crate::problem::Problem;

/// Marks a request of the command line in its own process: whoever may read the data folder may do everything.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// Who it is, as the system knows them.
    pub(crate) user: String,
}

/// What may be done with a password that somebody else has given: choosing another, seeing who one is, leaving.
const WITH_A_TEMPORARY_PASSWORD: [&str; 2] = ["/api/v1/session", "/api/v1/me/password"];

/// What a token that may less than its owner sees of their account: whose it is, and what it may.
const WITH_LESS: [&str; 2] = ["/api/v1/session", "/api/v1/me"];

/// Where a token is revoked.
const TOKEN_PATH: &str = "/api/v1/tokens/{id}";

/// How long the use of a session or a token may go without being written down.
const SEEN: i64 = 60 * 1000;

/// Lets a request through to its endpoint, with [`Allowed`] or [`Actor`] in it, or refuses it.
pub(crate) async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let request_id = parts
        .extensions
        .get::<From>()
        .map(|from| from.request_id.clone());
    match admit(&admin, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(mut problem) => {
            problem.request_id = request_id;
            problem.into_response()
        }
    }
}

async fn admit(admin: &Admin, parts: &mut Parts) -> Result<(), Problem> {
    let path = parts
        .extensions
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned())
        .unwrap_or_default();
    let need = table::need(&parts.method, &path).ok_or_else(|| {
        Problem::forbidden("nothing says who may use this endpoint, so nobody may")
    })?;
    match need {
        Need::Nothing | Need::OwnProof => {}
        Need::SomeAccount => {
            let actor = identify(admin, parts).await?;
            parts.extensions.insert(actor);
        }
        Need::Permission(permission) => {
            let actor = identify(admin, parts).await?;
            if actor.grants_of(permission).next().is_none() {
                return Err(Problem::forbidden(format!(
                    "this takes the permission `{}`, which none of your roles has",
                    permission.name()
                )));
            }
            parts.extensions.insert(Allowed {
                actor,
                permission,
                own: None,
            });
        }
        Need::Own(permission, own) => {
            let actor = identify(admin, parts).await?;
            let mut held = actor.grants_of(permission).chain(actor.grants_of(own));
            if held.next().is_none() {
                return Err(Problem::forbidden(format!(
                    "this takes the permission `{}`, or `{}` for what is your own, and none of your roles has either",
                    permission.name(),
                    own.name()
                )));
            }
            drop(held);
            parts.extensions.insert(Allowed {
                actor,
                permission,
                own: Some(own),
            });
        }
    }
    Ok(())
}

/// Who asks.
pub(crate) async fn identify(admin: &Admin, parts: &Parts) -> Result<Actor, Problem> {
    if let Some(local) = parts.extensions.get::<Local>() {
        let act = act(parts, ActorKind::Local, String::new(), local.user.clone());
        let platform = Grant {
            scope: Scope::Platform,
            role: Role::Operator,
        };
        return Ok(Actor {
            act: Act {
                address: None,
                ..act
            },
            account: None,
            session: None,
            grants: vec![platform],
            scopes: None,
            users: Vec::new(),
        });
    }
    let bearer = bearer(parts);
    let cookies = browser::cookies(admin, parts);
    if !cookies.is_empty() {
        match signed_in(admin, parts, &cookies).await? {
            Some((signed_in, cookie)) => return of_session(admin, parts, signed_in, &cookie).await,
            // A script may have picked up a cookie that is long over.
            None if bearer.is_some() => {}
            None => {
                return Err(Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "session_over",
                    "the session is over",
                )
                .hint("sign in again"));
            }
        }
    }
    if let Some(token) = bearer.filter(|text| text.starts_with(secret::TOKEN)) {
        let found = admin
            .store()?
            .token_showing(&secret::kept(token))
            .await?
            .ok_or_else(|| unknown_token("the token is not one of this gateway's"))?;
        return of_token(admin, parts, found).await;
    }
    let nobody = || {
        Problem::unauthenticated("nobody is signed in")
            .hint("sign in, or send a personal access token as `Authorization: Bearer …`")
    };
    let (Ok(gateway), Some(from)) = (admin.gateway(), parts.extensions.get::<From>()) else {
        return Err(nobody());
    };
    let refused = match gateway.key_shown(parts, from.address, admin.now()) {
        KeyShown::Good(principal) => match of_key(gateway, &principal) {
            Ok((grant, scopes)) => {
                let id = principal.key_id().map(|id| id.to_string());
                let (id, name) = (id.unwrap_or_default(), principal.name().to_owned());
                return Ok(Actor {
                    act: act(parts, ActorKind::ApiKey, id, name),
                    ..Actor::holding(vec![grant], scopes)
                });
            }
            Err(problem) => problem,
        },
        KeyShown::Refused { over: true, why } => Problem::unauthenticated(why),
        KeyShown::Refused { over: false, why } => Problem::forbidden(why),
        KeyShown::Unknown => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "database_away",
            "the database of keys cannot be reached at the moment",
        )
        .hint("ask again in a few seconds"),
        KeyShown::Nothing => nobody(),
    };
    // Where nobody needs a key, clients send any key: it is no reason to refuse what they get without one.
    if gateway.asks_for_keys() {
        return Err(refused);
    }
    match Gateway::sits_here(parts, from.peer) {
        Ok(()) => Ok(Actor {
            act: act(parts, ActorKind::Anyone, String::new(), "anyone".to_owned()),
            account: None,
            session: None,
            grants: vec![Grant {
                scope: Scope::Platform,
                role: Role::Operator,
            }],
            scopes: Some(LIVE.to_vec()),
            users: Vec::new(),
        }),
        Err(why) if refused.code == "unauthenticated" => {
            let mut refused = refused;
            refused.detail = format!(
                "{}; without `auth: keys` this machine alone gets an answer without being signed in: {why}",
                refused.detail
            );
            Err(refused)
        }
        Err(_) => Err(refused),
    }
}

/// Live state: what is seen and switched without being signed in, where nobody has to show anything.
const LIVE: [Permission; 5] = [
    Permission::RoutesRead,
    Permission::LimitsCheck,
    Permission::KeyPoolsRead,
    Permission::KeyPoolsSwitch,
    Permission::KeyStatsRead,
];

fn act(parts: &Parts, kind: ActorKind, id: String, name: String) -> Act {
    let from = parts.extensions.get::<From>();
    Act {
        kind,
        id,
        name,
        address: from.map(|from| from.address.to_string()),
        request_id: from.map(|from| from.request_id.clone()),
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| token.trim())
}

fn unknown_token(why: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "bad_token", why)
        .hint("make a new one, and send it as `Authorization: Bearer lgp_…`")
}

/// The session of a request's cookie, be its second factor proved or not, with the cookie. Not one that is over, nor one that was
/// given at another host.
pub(crate) async fn signed_in(
    admin: &Admin,
    parts: &Parts,
    cookies: &[String],
) -> Result<Option<(SignedIn, String)>, Problem> {
    let store = admin.store()?;
    let (now, host) = (admin.now(), browser::host(admin, parts));
    for cookie in cookies {
        let Some(found) = store.session_showing(&secret::kept(cookie)).await? else {
            continue;
        };
        let session = &found.session;
        let good = session.expires_at > now
            && now - session.seen_at < IDLE
            && host.as_deref() == Some(&session.host)
            && !found.account.value.blocked;
        if good {
            return Ok(Some((found, cookie.clone())));
        }
    }
    Ok(None)
}

/// Refuses what a page of another origin makes a browser ask, and what has not the session's token.
pub(crate) fn check_csrf(admin: &Admin, parts: &Parts, cookie: &str) -> Result<(), Problem> {
    if parts.method.is_safe() {
        return Ok(());
    }
    browser::own_pages_alone(admin, parts)?;
    let given = parts.headers.get(browser::CSRF);
    let given = given.map(http::HeaderValue::as_bytes).unwrap_or_default();
    if csrf_token(cookie).as_bytes().ct_eq(given).into() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "csrf",
        "the request changes something and has not the token of its session",
    )
    .hint("send `csrf_token` of GET /api/v1/session as x-lingate-csrf"))
}

async fn of_session(
    admin: &Admin,
    parts: &Parts,
    signed_in: SignedIn,
    cookie: &str,
) -> Result<Actor, Problem> {
    let SignedIn {
        session,
        account,
        memberships,
    } = signed_in;
    check_csrf(admin, parts, cookie)?;
    if session.proved == Proved::Password {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "mfa_required",
            "the second factor is still to come",
        )
        .hint("send a code to POST /api/v1/session/totp"));
    }
    has_own_password(parts, &account.value)?;
    let now = admin.now();
    if now - session.seen_at > SEEN {
        admin.store()?.session_seen(session.id, now).await?;
    }
    let account = account.value;
    Ok(Actor {
        act: act(
            parts,
            ActorKind::Account,
            account.id.to_string(),
            account.known_as().to_owned(),
        ),
        account: Some(account.id),
        session: Some(secret::kept(cookie)),
        grants: grants(&memberships),
        scopes: None,
        users: users(&memberships, None),
    })
}

/// Whoever has a password that somebody else gave chooses another one first.
fn has_own_password(parts: &Parts, account: &Account) -> Result<(), Problem> {
    let path = parts.extensions.get::<MatchedPath>();
    let is_open = path.is_some_and(|path| WITH_A_TEMPORARY_PASSWORD.contains(&path.as_str()));
    if account.must_change_password && !is_open {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "password_change_required",
            "the password was given by somebody else, and is good for choosing another one",
        )
        .hint("PUT /api/v1/me/password"));
    }
    Ok(())
}

/// A token that may less than its owner does not see or end their sessions and tokens, but for itself.
fn leaves_alone(parts: &Parts, token: &Token) -> Result<(), Problem> {
    let path = parts.extensions.get::<MatchedPath>();
    let path = path.map(MatchedPath::as_str).unwrap_or_default();
    let is_whole = token.scopes.is_none() && token.organization.is_none();
    let is_of_account = table::need(&parts.method, path) == Some(Need::SomeAccount);
    let looks = parts.method.is_safe() && WITH_LESS.contains(&path);
    let revokes_itself =
        path == TOKEN_PATH && parts.uri.path().ends_with(&format!("/{}", token.id));
    if is_whole || !is_of_account || looks || revokes_itself {
        return Ok(());
    }
    Err(Problem::forbidden(
        "a token with scopes, or of one organization, does not manage its owner's account",
    )
    .hint("sign in, or use a token without them"))
}

async fn of_token(admin: &Admin, parts: &Parts, shown: TokenShown) -> Result<Actor, Problem> {
    let TokenShown {
        token,
        account,
        memberships,
    } = shown;
    let (now, account) = (admin.now(), account.value);
    if token.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(unknown_token("the token is over"));
    }
    if account.blocked {
        return Err(unknown_token("the token's owner is blocked"));
    }
    has_own_password(parts, &account)?;
    leaves_alone(parts, &token)?;
    if token.used_at.is_none_or(|used_at| now - used_at > SEEN) {
        admin.store()?.token_used(token.id, now).await?;
    }
    let known = |name: &String| Permission::from_name(name);
    let scopes = token.scopes.as_ref();
    Ok(Actor {
        act: act(
            parts,
            ActorKind::Token,
            token.id.to_string(),
            format!("{} ({})", account.known_as(), token.name),
        ),
        account: Some(account.id),
        session: None,
        grants: narrowed(grants(&memberships), &token),
        scopes: scopes.map(|scopes| scopes.iter().filter_map(known).collect()),
        users: users(&memberships, token.organization),
    })
}

/// What is left of roles for a token that is good in one organization alone.
fn narrowed(grants: Vec<Grant>, token: &Token) -> Vec<Grant> {
    let Some(organization) = token.organization else {
        return grants;
    };
    let narrow = |grant: Grant| match grant.scope {
        Scope::Platform => Some(Grant {
            scope: Scope::Organization(organization),
            ..grant
        }),
        Scope::Organization(its)
        | Scope::Project {
            organization: its, ..
        } => (its == organization).then_some(grant),
    };
    grants.into_iter().filter_map(narrow).collect()
}

/// The users that somebody is; `organization`: there alone.
fn users(memberships: &[Membership], organization: Option<Id>) -> Vec<Id> {
    let is_there = |membership: &&Membership| match (organization, membership.place) {
        (None, _) => true,
        (Some(_), Place::Platform) => false,
        (Some(wanted), Place::Organization(organization) | Place::Project { organization, .. }) => {
            wanted == organization
        }
    };
    let theirs = memberships.iter().filter(is_there);
    theirs.filter_map(|membership| membership.user).collect()
}

pub(crate) fn grants(memberships: &[Membership]) -> Vec<Grant> {
    let grant = |membership: &Membership| {
        Some(Grant {
            scope: match membership.place {
                Place::Platform => Scope::Platform,
                Place::Organization(id) => Scope::Organization(id),
                Place::Project {
                    organization,
                    project,
                } => Scope::Project {
                    organization,
                    project,
                },
            },
            role: Role::from_name(&membership.role)?,
        })
    };
    memberships.iter().filter_map(grant).collect()
}

/// A key for management is the admin of its organization, one for reading its viewer; of the organization `default`, of the platform.
/// With what narrows it, if anything does.
pub(crate) fn of_key(
    gateway: &Gateway,
    principal: &Principal,
) -> Result<(Grant, Option<Vec<Permission>>), Problem> {
    let kind = principal.key.as_ref().and_then(|key| key.kind);
    let organization = &principal.organization;
    let of_platform = organization.name == DEFAULT;
    let (role, scopes) = match kind {
        Some(KeyKind::Management) if of_platform => (Role::Operator, None),
        Some(KeyKind::Management) => (Role::Admin, None),
        Some(KeyKind::ReadOnly) => (Role::Viewer, None),
        // As long as no key says what it is for, each may see and switch live state.
        None if !gateway.knows_kinds() && gateway.asks_for_keys() => {
            (Role::Operator, Some(LIVE.to_vec()))
        }
        Some(KeyKind::Inference) | None => {
            return Err(Problem::forbidden(
                "this key is for asking models; use one with `kind: management`, or `kind: read_only` to look",
            ));
        }
    };
    let scope = if of_platform || scopes.is_some() {
        Scope::Platform
    } else {
        Scope::Organization(organization.id)
    };
    Ok((Grant { scope, role }, scopes))
}
