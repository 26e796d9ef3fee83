//! `POST /api/v1/key-pools/{provider}/keys/{id}/disable` and `/enable`: a key switched off or on by hand.

use lingate_routing::{Moment, Snapshot};
use serde_json::Value;

use super::page::provider;
use super::pool_keys::key;
use super::problem::Problem;
use super::wall::Wall;

/// Characters of a reason.
const LONGEST: usize = 200;

pub(super) fn switch(
    snapshot: &Snapshot,
    name: &str,
    id: &str,
    on: bool,
    body: &[u8],
    now: Moment,
) -> Result<Value, Problem> {
    let provider = provider(snapshot, name)?;
    let pool = &provider.keys;
    let known = if on {
        pool.enable(id)
    } else {
        pool.disable(id, &reason(body)?)
    };
    let place = pool.position(id).filter(|_| known).ok_or_else(|| {
        Problem::unknown(format!(
            "the provider '{name}' has no key '{id}'; `GET /api/v1/key-pools/{name}/keys` names their ids"
        ))
    })?;
    let standing = pool.standings(place, now).next();
    let label = standing.as_ref().map(|standing| standing.key.label());
    if on {
        tracing::info!(
            provider = name,
            key = label,
            id,
            "a key was switched on by hand"
        );
    } else {
        tracing::info!(
            provider = name,
            key = label,
            id,
            "a key was switched off by hand"
        );
    }
    Ok(standing.map_or(Value::Null, |standing| key(&standing, Wall::at(now))))
}

/// What the person says; a body is not needed.
fn reason(body: &[u8]) -> Result<String, Problem> {
    const BY_HAND: &str = "switched off by hand";
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(BY_HAND.to_owned());
    }
    let wrong = || Problem::bad("the body is not `{\"reason\": \"…\"}`");
    let body: Value = serde_json::from_slice(body).map_err(|_| wrong())?;
    let body = body.as_object().ok_or_else(wrong)?;
    if body.keys().any(|name| name != "reason") {
        return Err(wrong());
    }
    let said = match body.get("reason") {
        None | Some(Value::Null) => BY_HAND,
        Some(Value::String(said)) if said.trim().is_empty() => BY_HAND,
        Some(Value::String(said)) => said.trim(),
        Some(_) => return Err(wrong()),
    };
    if said.chars().count() > LONGEST {
        return Err(Problem::bad(format!(
            "the reason is longer than {LONGEST} characters"
        )));
    }
    // It is shown in terminals and logs.
    let clean = said.chars().filter(|letter| !letter.is_control());
    Ok(clean.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        let check = |body: &str, expect: Option<&str>| {
            assert_eq!(reason(body.as_bytes()).ok().as_deref(), expect, "{body}");
        };
        check("", Some("switched off by hand"));
        check("{}", Some("switched off by hand"));
        check(r#"{"reason": " leaked \u001b[31m"}"#, Some("leaked [31m"));
        check(r#"{"reason": 7}"#, None);
        check(r#"{"why": "x"}"#, None);
        check("[]", None);
        check("{", None);
        check(&format!(r#"{{"reason": "{}"}}"#, "x".repeat(201)), None);
    }
}
