//! A problem of the API as it is told in a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use crate::Failed;

/// The detail, or each field that is wrong; and what to do about it.
pub(crate) fn told(problem: &Value) -> Failed {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let mut message = match errors {
        [] => text(&problem["detail"]),
        errors => {
            let each = errors.iter().map(|error| {
                let field = text(&error["field"]);
                format!(
                    "{}: {}",
                    field.trim_start_matches('/'),
                    text(&error["detail"])
                )
            });
            each.collect::<Vec<_>>().join("\n         ")
        }
    };
    if let Some(hint) = problem["hint"].as_str() {
        _ = write!(message, "\nhint: {hint}");
    }
    // Whoever looks the failure up in the log needs its name.
    let status = problem["status"].as_u64().unwrap_or(0);
    if status >= 500
        && let Some(id) = problem["request_id"].as_str()
    {
        _ = write!(message, "\nrequest: {id}");
    }
    Failed {
        status: u16::try_from(status).ok(),
        ..Failed::new(message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_and_hints_are_told() {
        let check = |problem: Value, expect: &str| assert_eq!(told(&problem).message, expect);
        check(
            json!({"detail": "no", "status": 404, "request_id": "r"}),
            "no",
        );
        check(
            json!({"detail": "no", "hint": "ask again", "status": 503, "request_id": "r"}),
            "no\nhint: ask again\nrequest: r",
        );
        let errors = json!([{"field": "/name", "detail": "is long"}, {"field": "limit", "detail": "is none"}]);
        check(
            json!({"detail": "both", "errors": errors}),
            "name: is long\n         limit: is none",
        );
    }
}
