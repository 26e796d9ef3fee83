//! Commands for endpoints that nobody has described: an endpoint has its command from the day on which it is there.

use std::collections::BTreeMap;

use crate::resource::document::{Operation, document, operation};
use crate::resource::naming::Naming;
use crate::resource::{Does, Resource, Verb};

/// What is no command's: signing in, which is [`crate::login`]'s, the whole configuration, which is [`crate::export`]'s and
/// [`crate::apply`]'s, and what others call.
const NOT_HERE: [&str; 4] = ["configuration", "session", "sign-in", "oidc"];

/// What the document has besides what is described. What belongs to something described is under its command's name, too.
pub(super) fn besides(
    described: &(impl Iterator<Item = &'static Resource> + Clone),
) -> Vec<Resource> {
    let known = |method: &str, path: &str| {
        let mut verbs = described.clone().flat_map(|resource| resource.verbs);
        verbs.any(|verb| verb.method == method && verb.path == path)
    };
    let mut found: BTreeMap<String, Vec<(String, String, Operation)>> = BTreeMap::new();
    for (path, methods) in document()["paths"].as_object().into_iter().flatten() {
        let Some(rest) = path.strip_prefix("/api/v1/") else {
            continue;
        };
        let group = rest.split('/').next().unwrap_or_default();
        if NOT_HERE.contains(&group) || path.ends_with("/webhook") {
            continue;
        }
        for method in methods
            .as_object()
            .into_iter()
            .flatten()
            .map(|(method, _)| method)
        {
            let method = method.to_ascii_uppercase();
            if known(&method, path) {
                continue;
            }
            if let Some(operation) = operation(document(), &method, path) {
                let group = found.entry(group.to_owned()).or_default();
                group.push((method, path.clone(), operation));
            }
        }
    }
    let found = found.into_iter();
    found
        .map(|(group, endpoints)| resource(&group, endpoints, described.clone()))
        .collect()
}

fn resource(
    group: &str,
    endpoints: Vec<(String, String, Operation)>,
    mut described: impl Iterator<Item = &'static Resource>,
) -> Resource {
    let list = endpoints.iter().find_map(|(_, path, operation)| {
        let items = operation.items.as_ref()?;
        (*path == format!("/api/v1/{group}")).then(|| items.clone())
    });
    let columns = list
        .as_ref()
        .map_or_else(Vec::new, |fields| columns(fields));
    let mut verbs: Vec<Verb> = Vec::new();
    for (method, path, operation) in endpoints {
        let (name, does) = verb(&method, &path, group, &operation);
        // A second endpoint of a name says by its method what it does.
        let name = if verbs.iter().any(|verb| verb.name == name) {
            format!("{}-{name}", method.to_ascii_lowercase())
        } else {
            name
        };
        verbs.push(Verb {
            name: name.leak(),
            about: about(&operation).leak(),
            method: method.leak(),
            path: path.leak(),
            does,
        });
    }
    let command = group.replace('_', "-");
    let above = described.find(|resource| {
        let its_list = |path: &str| path.strip_prefix("/api/v1/") == Some(group);
        resource.verbs.iter().any(|verb| its_list(verb.path))
    });
    let noun = command
        .strip_suffix('s')
        .unwrap_or(&command)
        .replace('-', " ");
    let title = tag(&verbs).unwrap_or_else(|| command.replace('-', " "));
    Resource {
        about: title.leak(),
        command: above.map_or_else(|| &*command.leak(), |above| above.command),
        noun: noun.leak(),
        after_help: "",
        naming: above.map_or_else(|| naming_of(group, list.as_ref()), |above| above.naming),
        columns: columns.leak(),
        verbs: verbs.leak(),
    }
}

/// What the document says of the tag of these.
fn tag(verbs: &[Verb]) -> Option<String> {
    let verb = verbs.first()?;
    let operation = &document()["paths"][verb.path][verb.method.to_ascii_lowercase()];
    let tag = operation["tags"][0].as_str()?;
    let mut tags = document()["tags"].as_array().into_iter().flatten();
    let about = tags.find(|known| known["name"] == tag)?["description"].as_str()?;
    Some(about.trim_end_matches('.').to_owned())
}

/// What an id in its paths may be said by.
fn naming_of(group: &str, list: Option<&Vec<String>>) -> Naming {
    let path: &'static str = format!("/api/v1/{group}").leak();
    let known = [
        ("accounts", Naming::Account),
        ("api-keys", Naming::Key),
        ("service-accounts", Naming::ServiceAccount),
    ];
    if let Some((_, naming)) = known.iter().find(|(name, _)| *name == group) {
        return *naming;
    }
    let has = |name: &str| list.is_some_and(|fields| fields.iter().any(|field| field == name));
    if has("id") && has("name") {
        let command: &'static str = group.to_owned().leak();
        return Naming::Listed {
            path,
            field: "name",
            noun: command.strip_suffix('s').unwrap_or(command),
            command,
        };
    }
    Naming::Plain(if has("id") { "ID" } else { "NAME" })
}

fn columns(fields: &[String]) -> Vec<&'static str> {
    let long = [
        "created_at",
        "updated_at",
        "revision",
        "request_id",
        "hash",
        "id",
    ];
    let (last, first): (Vec<&String>, Vec<&String>) = fields
        .iter()
        .partition(|field| long.contains(&field.as_str()));
    let id = last.into_iter().filter(|field| *field == "id");
    let shown = first.into_iter().take(9).chain(id);
    shown.map(|field| &*field.clone().leak()).collect()
}

/// What an endpoint is called by, and what it does.
fn verb(method: &str, path: &str, group: &str, operation: &Operation) -> (String, Does) {
    let rest = path
        .trim_start_matches("/api/v1/")
        .trim_start_matches(group);
    let segments: Vec<&str> = rest
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let words: Vec<String> = segments
        .iter()
        .filter(|segment| !segment.starts_with('{'))
        .map(|word| word.replace('_', "-"))
        .collect();
    let one = segments.last().is_some_and(|last| last.starts_with('{'));
    let word = words.join("-");
    let with = |verb: &str| match word.as_str() {
        "" => verb.to_owned(),
        word => match word.strip_suffix("ies") {
            Some(stem) => format!("{verb}-{stem}y"),
            None => format!("{verb}-{}", word.strip_suffix('s').unwrap_or(word)),
        },
    };
    let alone = |verb: &str| match word.as_str() {
        "" => verb.to_owned(),
        word => word.to_owned(),
    };
    let gone = Does::Destroy {
        warning: "This deletes {}",
        belongs: &[],
    };
    match method {
        "GET" if operation.items.is_some() && word.is_empty() => ("list".to_owned(), Does::List),
        "GET" => match &operation.items {
            Some(fields) => (alone("list"), Does::Columns(columns(fields).leak())),
            None if one => (with("show"), Does::Show),
            None => (alone("show"), Does::Show),
        },
        "PATCH" => (with("update"), Does::Update),
        "PUT" => (with("set"), Does::Act),
        "DELETE" => (with("delete"), gone),
        _ if word.is_empty() => ("create".to_owned(), Does::Create),
        _ => {
            // A list that is added to, beside one that is read.
            let reads = document()["paths"][path].get("get").is_some();
            (if reads { with("add") } else { alone("create") }, Does::Act)
        }
    }
}

fn about(operation: &Operation) -> String {
    operation.summary.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_called_by_what_they_do() {
        let mut operation = operation(document(), "GET", "/api/v1/organizations").unwrap();
        operation.items = None;
        for (method, path, expect) in [
            ("GET", "/api/v1/things", "show"),
            ("POST", "/api/v1/things", "create"),
            ("GET", "/api/v1/things/{id}", "show"),
            ("PATCH", "/api/v1/things/{id}", "update"),
            ("DELETE", "/api/v1/things/{id}", "delete"),
            ("POST", "/api/v1/things/{id}/rotate", "rotate"),
            ("GET", "/api/v1/things/{id}/entries", "entries"),
            ("DELETE", "/api/v1/things/{id}/keys/{key}", "delete-key"),
            ("POST", "/api/v1/things/check", "check"),
            (
                "DELETE",
                "/api/v1/things/identities/{key}",
                "delete-identity",
            ),
        ] {
            assert_eq!(
                verb(method, path, "things", &operation).0,
                expect,
                "{method} {path}"
            );
        }
    }
}
