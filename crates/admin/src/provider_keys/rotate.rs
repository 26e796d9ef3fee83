//! `POST /api/v1/system/rotate-master-key`

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lingate_seal::{Purpose, SealError, Sealer};
use lingate_store::{AuditNote, Deed, Kind, Resealed, SEALED, SealedColumn};
use serde_json::json;
use zeroize::Zeroizing;

use super::input;
use crate::Admin;
use crate::access::Allowed;
use crate::jobs::{self, Shown as Job};
use crate::problem::Problem;

/// Envelopes in one transaction.
const AT_ONCE: u32 = 500;

/// Exchange the master key
///
/// All that is sealed is sealed anew; until that is done both keys are needed. A job that broke off is gone on with by asking again.
/// A key that comes from the environment is exchanged there first: see docs/secrets.md.
#[utoipa::path(
    post,
    path = "/api/v1/system/rotate-master-key",
    operation_id = "rotate_master_key",
    tag = "system",
    responses(
        (status = 202, description = "The job that does it", body = Job),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn rotate(
    State(admin): State<Admin>,
    allowed: Allowed,
) -> Result<(StatusCode, Json<Job>), Problem> {
    allowed.on_platform()?;
    let store = allowed.store(&admin)?;
    let rotation = admin.seal().begin_rotation().map_err(|error| match error {
        SealError::FromEnvironment => {
            Problem::conflict("master_key_in_environment", error.to_string())
        }
        error => input::unsealable(&error),
    })?;
    let object = rotation.to.clone();
    jobs::begin(store.clone(), "rotate_master_key", &object, move |work| async move {
        let mut note = AuditNote::of(Deed::Rotate, Kind::Job, &rotation.to, "master key");
        note.detail = Some(format!("the master key {} is exchanged for {}", rotation.from, rotation.to));
        store.audit(note).await?;
        let total = store.count_sealed_with(&rotation.from).await?;
        let mut done = 0;
        for column in SEALED {
            let mut after = String::new();
            loop {
                if work.is_cancelled() {
                    return Ok(());
                }
                let rows = store.sealed_with(column, &rotation.from, &after, AT_ONCE).await?;
                let Some((last, _)) = rows.last() else {
                    break;
                };
                after.clone_from(last);
                let count = rows.len() as u64;
                let anew: Result<Vec<_>, _> = rows
                    .into_iter()
                    .map(|(id, envelope)| anew(admin.seal(), column, id, envelope))
                    .collect();
                let anew = anew.map_err(|(id, error)| {
                    Problem::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "internal",
                        format!("{} {id}: {error}", column.table),
                    )
                })?;
                store.reseal(column, &anew).await?;
                done += count;
                work.tell(Some(total), done, json!({"from": rotation.from, "to": rotation.to}));
            }
        }
        let left = store.count_sealed_with(&rotation.from).await?;
        let outcome = json!({"from": rotation.from, "to": rotation.to, "left": left, "in_files": rotation.in_files});
        work.tell(Some(total), done, outcome);
        if left > 0 {
            return Err(Problem::conflict(
                "not_over",
                "another gateway still seals with the old master key: give all of them the new one, and ask again",
            ));
        }
        admin.seal().end_rotation(&rotation).map_err(|error| input::unsealable(&error))
    })
    .await
}

/// The same secret under the key that is in force.
fn anew(
    seal: &Sealer,
    column: &SealedColumn,
    id: String,
    before: String,
) -> Result<Resealed, (String, SealError)> {
    let sealed = || {
        let purpose = Purpose::named(column.purpose).ok_or(SealError::Unsealable)?;
        let clear = seal.open(purpose, &id, &before)?;
        let fingerprint = column.fingerprint.map(|_| {
            let text = Zeroizing::new(String::from_utf8_lossy(&clear).into_owned());
            input::fingerprint(seal, &text).0
        });
        Ok((seal.seal(purpose, &id, &clear)?, fingerprint))
    };
    match sealed() {
        Ok((after, fingerprint)) => Ok(Resealed {
            id,
            before,
            after,
            fingerprint,
        }),
        Err(error) => Err((id, error)),
    }
}
