//! What the OpenAPI document says of an endpoint, as far as a command line has to know it: its parameters and the fields of its body.
//! Flags are made of it, so that no field of an endpoint is without one.

use std::sync::OnceLock;

use serde_json::Value;

/// The document of this version of the program.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::to_value(lingate_admin::openapi()).unwrap_or_default())
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) query: Vec<Field>,
    /// In the order of the path.
    pub(crate) path: Vec<String>,
    pub(crate) body: Vec<Field>,
    pub(crate) has_body: bool,
    /// What a body is that is not JSON.
    pub(crate) raw: Option<String>,
    /// In a few words.
    pub(crate) summary: String,
    /// It answers with a job, which goes on by itself.
    pub(crate) begins_job: bool,
    /// It answers with a page of a list, of things that have these fields; of objects in them, none.
    pub(crate) items: Option<Vec<String>>,
}

/// A parameter, or a field of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    pub(crate) nullable: bool,
}

/// What can be said for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    /// What others must not see.
    Secret,
    Time,
    Integer,
    Number,
    Boolean,
    OneOf(Vec<String>),
    /// A list of texts.
    Texts,
    /// Text by text.
    Pairs,
    /// Anything else, as JSON.
    Json,
}

/// `None`: there is no such endpoint.
pub(crate) fn operation(document: &Value, method: &str, path: &str) -> Option<Operation> {
    let item = document["paths"].get(path)?;
    let found = item.get(method.to_ascii_lowercase())?;
    let parameters = [&item["parameters"], &found["parameters"]];
    let parameters = parameters.iter().filter_map(|list| list.as_array());
    let parameters: Vec<&Value> = parameters
        .flatten()
        .map(|parameter| resolved(document, parameter))
        .collect();
    let query = parameters
        .iter()
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| {
            let name = text(&parameter["name"]);
            let required = parameter["required"] == true;
            let mut field = field(document, &name, &parameter["schema"], required);
            if field.about.is_empty() {
                field.about = text(&parameter["description"]);
            }
            field
        })
        .collect();
    let content = found["requestBody"]["content"].as_object();
    let kinds = || content.into_iter().flatten();
    let json = kinds().find(|(kind, _)| kind.ends_with("json") && !kind.ends_with("ndjson"));
    let schema = json.map_or(&Value::Null, |(_, content)| &content["schema"]);
    let raw = kinds().next().filter(|_| json.is_none());
    let mut body = Vec::new();
    fields(document, schema, &mut body);
    Some(Operation {
        query,
        path: path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .map(str::to_owned)
            .collect(),
        body,
        has_body: found.get("requestBody").is_some(),
        raw: raw.map(|(kind, _)| kind.clone()),
        summary: text(&found["summary"]),
        begins_job: begins_job(found),
        items: items(document, found),
    })
}

/// Whether the list at a path comes in pages. One that is always short does not, and takes no `limit`.
pub(crate) fn pages(document: &Value, path: &str) -> bool {
    let is_it = |template: &str| {
        let (mut known, mut asked) = (template.split('/'), path.split('/'));
        loop {
            match (known.next(), asked.next()) {
                (None, None) => return true,
                (Some(known), Some(asked)) if known.starts_with('{') || known == asked => {}
                _ => return false,
            }
        }
    };
    // What is spelt out counts before what stands for any name.
    let exact = document["paths"].get(path).is_some().then_some(path);
    let mut templates = document["paths"].as_object().into_iter().flatten();
    let template = exact.or_else(|| {
        let found = templates.find(|(template, _)| is_it(template));
        found.map(|(template, _)| &**template)
    });
    template
        .and_then(|template| operation(document, "GET", template))
        .is_none_or(|operation| operation.query.iter().any(|field| field.name == "limit"))
}

fn begins_job(operation: &Value) -> bool {
    let answer = &operation["responses"]["202"]["content"]["application/json"]["schema"]["$ref"];
    answer == "#/components/schemas/Job"
}

/// The names of the plain fields of what a list is of.
fn items(document: &Value, operation: &Value) -> Option<Vec<String>> {
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let page = resolved(document, answer);
    let item = &page["properties"]["items"]["items"];
    if !page["properties"]["items"].is_object() {
        return None;
    }
    let mut known = Vec::new();
    fields(document, item, &mut known);
    let plain = known.into_iter().filter(|field| field.shape != Shape::Json);
    Some(plain.map(|field| field.name).collect())
}

/// The fields of an object, with those of what it is put together of.
fn fields(document: &Value, schema: &Value, into: &mut Vec<Field>) {
    let schema = resolved(document, schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fields(document, part, into);
    }
    // A body that may be left out.
    let either = schema["oneOf"].as_array().into_iter().flatten();
    let mut either = either.filter(|kind| kind["type"] != "null");
    if let (Some(one), None) = (either.next(), either.next()) {
        fields(document, one, into);
    }
    let required = schema["required"].as_array().into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if into.iter().all(|field| field.name != *name) {
            let needed = required.contains(&name.as_str());
            into.push(field(document, name, property, needed));
        }
    }
}

fn field(document: &Value, name: &str, schema: &Value, required: bool) -> Field {
    let own = resolved(document, schema);
    let about = [&schema["description"], &own["description"]];
    let about = about.iter().find_map(|about| about.as_str());
    let (shape, nullable) = shape(document, name, schema);
    Field {
        name: name.to_owned(),
        about: about.unwrap_or("").trim().to_owned(),
        shape: if shape == Shape::Text && secret(name) {
            Shape::Secret
        } else {
            shape
        },
        required,
        nullable,
    }
}

/// What it can be, and whether it can be nothing.
fn shape(document: &Value, name: &str, schema: &Value) -> (Shape, bool) {
    let schema = resolved(document, schema);
    for either in ["oneOf", "anyOf", "allOf"] {
        let Some(kinds) = schema[either].as_array() else {
            continue;
        };
        let mut kinds: Vec<&Value> = kinds.iter().collect();
        let before = kinds.len();
        kinds.retain(|kind| kind["type"] != "null");
        let nullable = kinds.len() < before;
        return match kinds.as_slice() {
            [one] => (shape(document, name, one).0, nullable),
            many => {
                // An enum whose variants are told one by one.
                let names: Option<Vec<String>> = many.iter().map(|kind| one_word(kind)).collect();
                (names.map_or(Shape::Json, Shape::OneOf), nullable)
            }
        };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        Value::String(kind) => vec![kind],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    let nullable = kinds.contains(&"null");
    let mut kinds = kinds.into_iter().filter(|kind| *kind != "null");
    let shape = match (kinds.next(), kinds.next()) {
        (Some("string"), None) => match schema["enum"].as_array() {
            Some(words) => Shape::OneOf(
                words
                    .iter()
                    .filter_map(|word| word.as_str())
                    .map(str::to_owned)
                    .collect(),
            ),
            None if schema["format"] == "date-time" || name.ends_with("_at") => Shape::Time,
            None if schema["format"] == "password" => Shape::Secret,
            None => Shape::Text,
        },
        (Some("integer"), None) => Shape::Integer,
        (Some("number"), None) => Shape::Number,
        (Some("boolean"), None) => Shape::Boolean,
        (Some("array"), None) => match self::shape(document, "", &schema["items"]).0 {
            Shape::Text | Shape::OneOf(_) => Shape::Texts,
            Shape::Secret
            | Shape::Time
            | Shape::Integer
            | Shape::Number
            | Shape::Boolean
            | Shape::Texts
            | Shape::Pairs
            | Shape::Json => Shape::Json,
        },
        (Some("object"), None)
            if schema
                .get("additionalProperties")
                .is_some_and(Value::is_object) =>
        {
            match self::shape(document, "", &schema["additionalProperties"]).0 {
                Shape::Text => Shape::Pairs,
                Shape::Secret
                | Shape::Time
                | Shape::Integer
                | Shape::Number
                | Shape::Boolean
                | Shape::OneOf(_)
                | Shape::Texts
                | Shape::Pairs
                | Shape::Json => Shape::Json,
            }
        }
        (_, _) => Shape::Json,
    };
    (shape, nullable)
}

fn one_word(schema: &Value) -> Option<String> {
    let words = schema["enum"].as_array()?;
    match words.as_slice() {
        [word] => word.as_str().map(str::to_owned),
        _ => None,
    }
}

fn secret(name: &str) -> bool {
    ["secret", "password", "code"]
        .iter()
        .any(|word| name == *word || name.ends_with(&format!("_{word}")))
}

fn resolved<'a>(document: &'a Value, mut value: &'a Value) -> &'a Value {
    while let Some(reference) = value["$ref"].as_str() {
        let Some(found) = document.pointer(reference.trim_start_matches('#')) else {
            return value;
        };
        value = found;
    }
    value
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, expect: &Shape, nullable: bool) {
        let document = json!({"components": {"schemas": {
            "Kind": {"type": "string", "enum": ["a", "b"]},
            "Id": {"type": "string"},
        }}});
        assert_eq!(
            shape(&document, "a", schema),
            (expect.clone(), nullable),
            "{schema}"
        );
    }

    #[test]
    fn lists_come_in_pages_or_are_short() {
        for (path, expect) in [
            ("/api/v1/organizations", true),
            ("/api/v1/wallets/acme/entries", true),
            ("/api/v1/sign-in-providers", true),
            ("/api/v1/sign-in-providers/public", false),
            ("/api/v1/tokens", false),
        ] {
            assert_eq!(pages(super::document(), path), expect, "{path}");
        }
    }

    #[test]
    fn shapes_of_schemas() {
        let kinds = Shape::OneOf(vec!["a".to_owned(), "b".to_owned()]);
        check(&json!({"type": "string"}), &Shape::Text, false);
        check(&json!({"type": ["string", "null"]}), &Shape::Text, true);
        check(
            &json!({"type": "string", "format": "date-time"}),
            &Shape::Time,
            false,
        );
        check(&json!({"$ref": "#/components/schemas/Kind"}), &kinds, false);
        let either = json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Kind"}]});
        check(&either, &kinds, true);
        let words = json!({"oneOf": [{"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["b"]}]});
        check(&words, &kinds, false);
        check(
            &json!({"type": "array", "items": {"$ref": "#/components/schemas/Id"}}),
            &Shape::Texts,
            false,
        );
        check(
            &json!({"type": "array", "items": {"type": "object"}}),
            &Shape::Json,
            false,
        );
        let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
        check(&map, &Shape::Pairs, false);
        check(&json!({}), &Shape::Json, false);
    }

    #[test]
    fn an_endpoint_is_known_by_method_and_path() {
        let found = operation(document(), "POST", "/api/v1/organizations").unwrap();
        assert!(
            found
                .body
                .iter()
                .any(|field| field.name == "name" && field.required)
        );
        assert_eq!(operation(document(), "POST", "/api/v1/nothing"), None);
    }
}
