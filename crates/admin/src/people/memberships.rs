//! `GET` and `POST /api/v1/memberships`, `GET` and `PATCH /api/v1/memberships/{id}`

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use lingate_store::{MembershipFilter, NewMembership};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::account::called;
use super::place::{self, WantedScope};
use super::shown::ShownMembership;
use crate::Admin;
use crate::access::{Allowed, Reach, Role};
use crate::frame::{Body, Found, IfMatch, Listing, Page, cursor};
use crate::problem::Problem;
use crate::tenants::Known;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// In this organization and its projects alone: its id or name.
    organization: Option<String>,
    /// In this project alone: its id, or `organization/project`.
    project: Option<String>,
    /// Of this account alone, by its id.
    account: Option<String>,
    #[param(inline)]
    role: Option<Role>,
}

/// Who is what, as far as you may see it
#[utoipa::path(
    get,
    path = "/api/v1/memberships",
    tag = "memberships",
    operation_id = "list_memberships",
    params(Listing, Wanted),
    responses(
        (status = 200, description = "A page of them", body = Page<ShownMembership>),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(listing): Query<Listing>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<ShownMembership>>, Problem> {
    let known = Known::of(&admin, &allowed)?;
    let nothing = || {
        Json(Page {
            items: Vec::new(),
            next: None,
        })
    };
    let mut filter = MembershipFilter {
        role: wanted.role.map(|role| role.name().to_owned()),
        after: listing.after()?,
        limit: listing.limit()?,
        ..MembershipFilter::default()
    };
    if let Some(text) = &wanted.account {
        let id = text.parse();
        filter.account = Some(id.map_err(|_| Problem::invalid("account", "expected an id"))?);
    }
    if let Some(text) = &wanted.organization {
        let Some(id) = known.organization(text).await? else {
            return Ok(nothing());
        };
        filter.organization = Some(id);
    }
    if let Some(text) = &wanted.project {
        let Some(id) = known.project(text).await? else {
            return Ok(nothing());
        };
        filter.project = Some(id);
    }
    if let Reach::Some {
        organizations,
        projects,
        ..
    } = allowed.reach()
    {
        filter.reach = Some((organizations, projects));
    }
    let page = admin.store()?.memberships(&filter).await?;
    Ok(Json(Page {
        items: page.items.iter().map(ShownMembership::of).collect(),
        next: page.next.map(|id| cursor(&id.to_string())),
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMembership)]
pub(super) struct New {
    /// Its id, or what it signs in with.
    #[schema(example = "ada@example.com")]
    account: String,
    scope: WantedScope,
    /// Its id or name.
    #[schema(example = "acme")]
    organization: Option<String>,
    /// Its id, or `organization/project`.
    project: Option<String>,
    #[schema(example = "member")]
    role: String,
}

/// Give somebody a role
///
/// In an organization, a user of theirs is made who holds their keys. Nobody gives a role above their own.
#[utoipa::path(
    post,
    path = "/api/v1/memberships",
    tag = "memberships",
    operation_id = "create_membership",
    request_body = New,
    responses(
        (status = 201, description = "It holds", body = ShownMembership),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(new): Body<New>,
) -> Result<Found<ShownMembership>, Problem> {
    let (organization, project) = (new.organization.as_deref(), new.project.as_deref());
    let place = place::read(&admin, &allowed, new.scope, organization, project).await?;
    let role = place::role(place, &new.role)?;
    place::may_give(&allowed, place, role)?;
    let nobody = || {
        Problem::invalid("/account", "there is no such account")
            .hint("POST /api/v1/invitations invites somebody, with an account or without")
    };
    let account = match called(&admin, &new.account).await {
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => return Err(nobody()),
        found => found?,
    };
    if !place::knows(&admin, &allowed, account).await? {
        return Err(nobody());
    }
    let wanted = NewMembership {
        place,
        role: role.name().to_owned(),
        source: String::new(),
    };
    let store = allowed.store(&admin)?;
    let member = store.create_membership(account, &wanted).await?;
    Ok(Found {
        status: StatusCode::CREATED,
        revision: member.membership.revision,
        value: ShownMembership::of(&member),
    })
}

/// What somebody is somewhere
#[utoipa::path(
    get,
    path = "/api/v1/memberships/{id}",
    tag = "memberships",
    operation_id = "get_membership",
    params(("id" = String, Path, description = "The id of the membership")),
    responses(
        (status = 200, description = "The membership", body = ShownMembership),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
) -> Result<Found<ShownMembership>, Problem> {
    let member = place::member(&admin, &allowed, &id).await?;
    Ok(Found {
        status: StatusCode::OK,
        revision: member.membership.revision,
        value: ShownMembership::of(&member),
    })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MembershipPatch)]
pub(super) struct Patch {
    #[schema(example = "admin")]
    role: String,
}

/// Give somebody another role there
///
/// The last owner of an organization and the last operator stay what they are.
#[utoipa::path(
    patch,
    path = "/api/v1/memberships/{id}",
    tag = "memberships",
    operation_id = "update_membership",
    params(
        ("id" = String, Path, description = "The id of the membership"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
    ),
    request_body = Patch,
    responses(
        (status = 200, description = "The membership", body = ShownMembership),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn update(
    State(admin): State<Admin>,
    allowed: Allowed,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<Patch>,
) -> Result<Found<ShownMembership>, Problem> {
    let member = place::member(&admin, &allowed, &id).await?;
    let held = &member.membership.value;
    let role = place::role(held.place, &patch.role)?;
    place::may_give(&allowed, held.place, role)?;
    place::may_give(&allowed, held.place, place::role(held.place, &held.role)?)?;
    // The role that was looked at is the one that is taken: nobody has given another one meanwhile.
    let expected = expected.or(Some(member.membership.revision));
    let store = allowed.store(&admin)?;
    let member = store.change_role(held.id, role.name(), expected).await?;
    Ok(Found {
        status: StatusCode::OK,
        revision: member.membership.revision,
        value: ShownMembership::of(&member),
    })
}
