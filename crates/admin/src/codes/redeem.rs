//! `POST /api/v1/codes/redeem`

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lingate_metering::Id;
use lingate_metering::tenant::PlanTerms;
use lingate_store::{AuditNote, AuditOutcome, Code, Deed, Guesses, Kind, Redeemed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Admin;
use crate::access::{Actor, Allowed, Reach};
use crate::frame::{Body, moment_text};
use crate::identity::attempts;
use crate::problem::Problem;
use crate::wallets::{Owner, ShownEntry};

/// Whoever tries more wrong codes is told to wait.
const GUESSES: Guesses = Guesses {
    most: 10,
    window: 10 * 60 * 1000,
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RedeemedCode)]
pub(super) struct New {
    /// As it was handed out; capitals, dashes and blanks do not matter.
    code: String,
    /// The organization, by its id or its name, that it is for. It need not be said by whoever belongs to one alone.
    organization: Option<String>,
}

/// What a code was good for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Redemption)]
pub(super) struct Shown {
    organization: String,
    /// What was put into the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<ShownEntry>,
    /// The plans that the organization has for some time, the present one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plans: Vec<Term>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanTerm)]
pub(super) struct Term {
    plan: String,
    begins_at: String,
    /// The first moment at which it does not hold any more.
    ends_at: String,
}

/// Redeem a code
///
/// It counts once. Who has redeemed it and asks again is told the same again.
#[utoipa::path(
    post,
    path = "/api/v1/codes/redeem",
    tag = "codes",
    operation_id = "redeem_code",
    request_body = New,
    responses(
        (status = 200, description = "It was redeemed by this organization before", body = Shown),
        (status = 201, description = "It is redeemed", body = Shown),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn redeem(
    State(admin): State<Admin>,
    allowed: Allowed,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    let organization = match (new.organization, allowed.reach()) {
        (Some(organization), _) => organization,
        (None, Reach::Some { organizations, .. }) if organizations.len() == 1 => organizations
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
        (None, _) => {
            return Err(Problem::invalid(
                "/organization",
                "for which organization is it?",
            ));
        }
    };
    let owner = Owner::allowed(&admin, &allowed, &organization).await?;
    let store = allowed.store(&admin)?;
    let (who, now) = (who(&allowed.actor, owner.id), admin.now());
    if let Some(until) = store.guess(&who, GUESSES, now).await? {
        let minutes = (until - now).unsigned_abs().div_ceil(60_000);
        return Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            "too many wrong codes were tried",
        )
        .hint(format!("try again in {minutes} minutes")));
    }
    let redeemed = match Code::read(&new.code) {
        Some(code) => store.redeem(&code, owner.id, &owner.name).await,
        None => Ok(Redeemed::Refused),
    };
    if !matches!(redeemed, Ok(Redeemed::Refused)) {
        store.guess_was_good(&who).await?;
    }
    let shown = |entry, terms: Option<PlanTerms>, is_new| {
        let terms = terms.map(|terms| terms.terms).unwrap_or_default();
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let shown = Shown {
            organization: owner.id.to_string(),
            entry,
            plans: terms
                .into_iter()
                .map(|term| Term {
                    plan: term.plan,
                    begins_at: moment_text(term.begins),
                    ends_at: moment_text(term.ends),
                })
                .collect(),
        };
        (status, Json(shown))
    };
    match redeemed? {
        Redeemed::Money(booked) => Ok(shown(
            Some(ShownEntry::of(&booked.entry)),
            None,
            booked.is_new,
        )),
        Redeemed::Plan { terms, is_new } => Ok(shown(None, Some(terms), is_new)),
        Redeemed::Refused => {
            store
                .audit(AuditNote {
                    outcome: AuditOutcome::Refused,
                    organization: Some(owner.id),
                    ..AuditNote::of(Deed::Redeem, Kind::Code, &"", "")
                })
                .await?;
            Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "code_not_good",
                "this code cannot be redeemed: there is no such code, or it is used, over or taken back",
            )
            .hint("see whether it is written as it was handed out"))
        }
        Redeemed::NoWallet => Err(Problem::conflict(
            "no_wallet",
            "this organization has no wallet: it pays by invoice",
        )
        .hint(
            "whoever runs this gateway can open one (POST /api/v1/wallets); the code stays good",
        )),
        Redeemed::Enough => Err(Problem::conflict(
            "enough_codes",
            "this organization has redeemed as many codes of this kind as one may",
        )),
    }
}

/// Whose guesses are counted together: an account's, whichever of its tokens it shows; what is tried for an organization; what comes
/// from an address.
fn who(actor: &Actor, organization: Id) -> Vec<String> {
    let act = &actor.act;
    let whoever = match actor.account {
        Some(account) => format!("account {account}"),
        None => format!("{} {} {}", act.kind.name(), act.id, act.name),
    };
    let address = act.address.as_deref().and_then(|text| text.parse().ok());
    let address = address.map(|address| format!("address {}", attempts::subject(address)));
    [whoever, format!("organization {organization}")]
        .into_iter()
        .chain(address)
        .collect()
}
