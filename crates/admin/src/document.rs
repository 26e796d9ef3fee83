//! The OpenAPI document as it is served: the endpoints as they describe themselves, what each takes, and the doors of models.

use std::sync::OnceLock;

use http::Method;
use serde_json::{Map, Value, json};

use crate::access::table::{self, Need};
use crate::access::{Permission, Role};
use crate::router;

/// The document, whole. It is the same for every gateway of a version.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut document = serde_json::to_value(router::openapi()).unwrap_or_default();
        if let Some(paths) = document["paths"].as_object_mut() {
            for (path, operations) in paths.iter_mut() {
                for (method, operation) in operations.as_object_mut().into_iter().flatten() {
                    if let Some(operation) = operation.as_object_mut() {
                        describe(path, method, operation);
                    }
                }
            }
            paths.extend(doors());
        }
        document["components"]["securitySchemes"] = schemes();
        document["x-lingate-roles"] = roles();
        if let Some(tags) = document["tags"].as_array_mut() {
            tags.push(json!({"name": "models", "description": "What callers ask models with. Other paths and parameters of the vendors' APIs are taken, too: the reference is theirs"}));
            tags.push(json!({"name": "about", "description": "This description"}));
        }
        document
    })
}

/// What the frame does for every endpoint, and what the table says of this one.
fn describe(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let Ok(known) = Method::from_bytes(method.to_uppercase().as_bytes()) else {
        return;
    };
    let security = match table::need(&known, path) {
        Some(Need::Nothing) | None => json!([]),
        Some(Need::OwnProof) if path.contains("webhook") => json!([]),
        Some(Need::OwnProof) => json!([{"key": []}]),
        Some(Need::SomeAccount | Need::Permission(_) | Need::Own(..)) => {
            json!([{"session": []}, {"token": []}])
        }
    };
    operation.insert("security".to_owned(), security);
    if let Some(Need::Permission(permission) | Need::Own(permission, _)) = table::need(&known, path)
    {
        operation.insert("x-lingate-permission".to_owned(), json!(permission.name()));
    }
    if let Some(Need::Own(_, own)) = table::need(&known, path) {
        operation.insert("x-lingate-own-permission".to_owned(), json!(own.name()));
    }
    let answers = operation.get("responses").and_then(Value::as_object);
    let tells = answers.into_iter().flatten().any(|(status, answer)| {
        status.starts_with('2') && !answer["content"]["application/json"].is_null()
    });
    if !path.starts_with("/api/v1/") || !tells {
        return;
    }
    let parameters = operation
        .entry("parameters")
        .or_insert_with(|| json!([]))
        .as_array_mut();
    if let Some(parameters) = parameters {
        parameters.push(json!({
            "name": "fields",
            "in": "query",
            "description": "Only these fields of the answer, of each item of a list; those below others with dots",
            "schema": {"type": "string"},
            "example": "id"
        }));
    }
}

/// What each role may, where it holds.
fn roles() -> Value {
    let permissions = |role: Role| {
        let of_role = Permission::ALL.iter().filter(|it| role.may(**it));
        of_role.map(|it| it.name()).collect::<Vec<_>>()
    };
    Role::ALL
        .into_iter()
        .map(|role| (role.name().to_owned(), json!(permissions(role))))
        .collect::<Map<String, Value>>()
        .into()
}

fn schemes() -> Value {
    json!({
        "session": {
            "type": "apiKey", "in": "cookie", "name": "lingate_session",
            "description": "Of somebody who is signed in; over TLS it is called `__Host-lingate_session`. What changes something takes `csrf_token` of `GET /api/v1/session` as `x-lingate-csrf` besides."
        },
        "token": {
            "type": "http", "scheme": "bearer",
            "description": "A personal access token, or a key of the kind `management` or `read_only`."
        },
        "key": {
            "type": "http", "scheme": "bearer",
            "description": "The key of a caller of models. It is taken as `x-api-key` and `x-goog-api-key`, too."
        }
    })
}

fn doors() -> Map<String, Value> {
    // It is part of the program, and a test reads it.
    let mut doors: Map<String, Value> =
        serde_json::from_str(include_str!("doors.json")).unwrap_or_default();
    for operations in doors.values_mut() {
        for operation in operations.as_object_mut().into_iter().flatten() {
            let Some(operation) = operation.1.as_object_mut() else {
                continue;
            };
            operation
                .entry("security")
                .or_insert_with(|| json!([{"key": []}]));
            let answers = operation
                .get_mut("responses")
                .and_then(Value::as_object_mut);
            if let Some(answers) = answers {
                answers.entry("default").or_insert_with(|| {
                    json!({
                        "description": "An error, in the form of the API that is asked",
                        "content": {"application/json": {"schema": {"type": "object"}}}
                    })
                });
            }
        }
    }
    doors
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn operations_are_whole_and_have_names_of_their_own() {
        assert_eq!(doors().len(), 9);
        let document = document();
        let tags: BTreeSet<&str> = document["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tag| tag["name"].as_str().unwrap())
            .collect();
        let (mut names, mut wrong) = (BTreeSet::new(), Vec::new());
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap_or_default();
                if !names.insert(name) || name.is_empty() {
                    wrong.push(format!(
                        "{method} {path}: the operationId '{name}' is not its own"
                    ));
                }
                if operation["summary"].as_str().unwrap_or_default().is_empty() {
                    wrong.push(format!("{method} {path}: no summary"));
                }
                for tag in operation["tags"].as_array().into_iter().flatten() {
                    if !tags.contains(tag.as_str().unwrap()) {
                        wrong.push(format!("{method} {path}: the tag {tag} is not described"));
                    }
                }
                if path.starts_with("/api/v1/") && operation["responses"]["default"].is_null() {
                    wrong.push(format!("{method} {path}: problems are not described"));
                }
                let placed = path.matches('{').count();
                let described = operation["parameters"].as_array().into_iter().flatten();
                let described = described.filter(|it| it["in"] == "path").count();
                if placed != described {
                    wrong.push(format!(
                        "{method} {path}: parameters of the path are missing"
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
