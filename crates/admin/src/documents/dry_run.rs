//! The configuration as it would be with a route that is not stored, to be asked where requests would go.

use lingate_config::{Document, DocumentKind, Loaded, Origin};
use serde_json::Value;

use super::Resource;
use super::body::New;
use super::candidate::{Candidate, Refused, as_fields, known};
use super::write::{name_of, without_name};
use crate::Admin;
use crate::access::{Allowed, Permission};
use crate::problem::{FieldError, Problem};

/// What a route is called that says no name: no stored one is.
const NAMELESS: &str = "";

/// Loads all of it, with the route in the place where it would be stored. Whoever asks has to be allowed to store it: what a definition
/// refers to is read.
pub(crate) async fn with_route(
    admin: &Admin,
    allowed: &Allowed,
    route: Value,
) -> Result<Loaded, Problem> {
    if !allowed.actor.may_on_platform(Permission::RoutesWrite) {
        return Err(Problem::forbidden(format!(
            "a `route` that is not stored takes `{}` on the platform",
            Permission::RoutesWrite.name()
        )));
    }
    let route: New = serde_json::from_value(route)
        .map_err(|error| Problem::invalid("/route", error.to_string()))?;
    let resource = Resource(DocumentKind::Route);
    let is_named = route.name.is_some() || route.definition.get("name").is_some();
    let name = if is_named {
        name_of(resource, &route).map_err(below_route)?
    } else {
        NAMELESS.to_owned()
    };
    if admin.configured().origins.of(resource.0, &name) == Some(Origin::File) {
        return Err(Problem::read_only(resource.name()));
    }
    let before = known(&allowed.store(admin)?.documents().await?.items);
    let place = |name: &str| {
        let same = |document: &Document| document.kind == resource.0 && document.name == name;
        before.iter().position(same)
    };
    let (there, next) = (place(&name), route.before.as_deref().map(place));
    if next == Some(None) || (next.is_some() && next == Some(there)) {
        return Err(Problem::invalid(
            "/route/before",
            "expected the name of another route that is stored",
        ));
    }
    let candidate = Document {
        kind: resource.0,
        name: name.clone(),
        value: without_name(resource, route.definition),
    };
    let mut after = before.clone();
    match (next.flatten(), there) {
        (None, Some(there)) => after[there] = candidate,
        (None, None) => after.push(candidate),
        (Some(next), there) => {
            after.insert(next, candidate);
            if let Some(there) = there {
                after.remove(if there < next { there } else { there + 1 });
            }
        }
    }
    match (Candidate { before, after }).check(admin).await {
        Ok(loaded) => Ok(loaded),
        Err(Refused::Failed(problem)) => Err(problem),
        Err(Refused::Broken(problems)) => Err(below_route(as_fields(&problems, resource.0, &name))),
        Err(Refused::LessBroken) => Err(Problem::conflict(
            "not_in_order",
            "what is stored is not in order besides, and nobody can say where requests would go",
        )
        .hint("GET /health says what is wrong")),
    }
}

/// The fields of the route, as they stand in the question.
fn below_route(mut problem: Problem) -> Problem {
    let below = |error: FieldError| FieldError {
        field: format!("/route{}", error.field),
        ..error
    };
    problem.errors = problem.errors.into_iter().map(below).collect();
    problem
}
