//! What is exported and applied: documents in the shape of `lingate.yml`, and tenants as the database knows them. The same contents are
//! always written as the same text.

use std::collections::HashSet;

use lingate_config::{Document, DocumentKind, SETTINGS, price_name};
use lingate_metering::tenant::{ApiKey, Declared, Organization, Project, User};
use lingate_store::{Documents, Entity};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The form that this version writes and reads.
const FORM: u64 = 1;

#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// Routes in their order.
    pub(crate) documents: Vec<Placed>,
    pub(crate) tenants: Declared,
}

/// A document, and where it stands in the text.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) document: Document,
    /// A JSON pointer.
    pub(crate) pointer: String,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

/// What is stored, as one value.
pub(crate) fn written(documents: &Documents, tenants: &Declared) -> Value {
    let mut configuration = Map::new();
    let of = |kind: DocumentKind| {
        let mut found: Vec<_> = documents
            .items
            .iter()
            .filter(|document| document.kind == kind.name())
            .collect();
        if kind != DocumentKind::Route {
            found.sort_by(|left, right| left.name.cmp(&right.name));
        }
        found
    };
    for setting in SETTINGS {
        let Some(stored) = of(DocumentKind::Setting)
            .into_iter()
            .find(|document| document.name == *setting)
        else {
            continue;
        };
        let value = stored.value.clone();
        match setting.split_once('.') {
            None => {
                configuration.insert((*setting).to_owned(), value);
            }
            Some((section, key)) => {
                let section = configuration
                    .entry(section.to_owned())
                    .or_insert_with(|| json!({}));
                if let Value::Object(section) = section {
                    section.insert(key.to_owned(), value);
                }
            }
        }
    }
    for kind in DocumentKind::ALL {
        let (Some(section), found) = (kind.section(), of(kind)) else {
            continue;
        };
        if found.is_empty() {
            continue;
        }
        let value = match kind {
            DocumentKind::Route => found
                .into_iter()
                .map(|document| {
                    let mut route = Map::new();
                    route.insert("name".to_owned(), json!(document.name));
                    if let Value::Object(entries) = &document.value {
                        route.extend(entries.clone());
                    }
                    Value::Object(route)
                })
                .collect(),
            DocumentKind::Price => found
                .into_iter()
                .map(|document| document.value.clone())
                .collect(),
            _ => Value::Object(
                found
                    .into_iter()
                    .map(|document| (document.name.clone(), document.value.clone()))
                    .collect(),
            ),
        };
        configuration.insert(section.to_owned(), value);
    }
    json!({
        "lingate": FORM,
        "configuration": configuration,
        "tenants": {
            "organizations": in_order(&tenants.organizations),
            "projects": in_order(&tenants.projects),
            "users": in_order(&tenants.users),
            "api_keys": in_order(&tenants.keys),
        },
    })
}

fn in_order<E: Entity>(values: &[E]) -> Value {
    let mut values: Vec<&E> = values.iter().collect();
    values.sort_by_key(|value| value.id());
    json!(values)
}

/// Reads what [`written`] has written, or what somebody has.
pub(crate) fn read(value: &Value) -> Result<Contents, Vec<Wrong>> {
    let mut reading = Reading::default();
    let top = reading.entries(value, "", &["lingate", "configuration", "tenants"]);
    match value.get("lingate").and_then(Value::as_u64) {
        Some(FORM) => {}
        Some(_) => reading.wrong("/lingate", "is of another version of Lingate"),
        None => reading.wrong("/lingate", "expected `lingate: 1`, the form of this text"),
    }
    let mut contents = Contents::default();
    if let Some(configuration) = top.and_then(|top| top.get("configuration")) {
        contents.documents = reading.configuration(configuration);
    }
    if let Some(tenants) = top.and_then(|top| top.get("tenants")) {
        reading.entries(
            tenants,
            "/tenants",
            &["organizations", "projects", "users", "api_keys"],
        );
        contents.tenants = Declared {
            organizations: reading.tenants::<Organization>(tenants, "organizations"),
            projects: reading.tenants::<Project>(tenants, "projects"),
            users: reading.tenants::<User>(tenants, "users"),
            keys: reading.tenants::<ApiKey>(tenants, "api_keys"),
            ..Declared::default()
        };
    }
    if reading.wrongs.is_empty() {
        Ok(contents)
    } else {
        Err(reading.wrongs)
    }
}

#[derive(Debug, Default)]
struct Reading {
    wrongs: Vec<Wrong>,
}

impl Reading {
    fn wrong(&mut self, pointer: &str, detail: impl Into<String>) {
        self.wrongs.push(Wrong {
            pointer: pointer.to_owned(),
            detail: detail.into(),
        });
    }

    fn entries<'v>(
        &mut self,
        value: &'v Value,
        pointer: &str,
        known: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        match value {
            Value::Object(entries) => {
                for name in entries.keys() {
                    if !known.contains(&name.as_str()) {
                        let within = format!("{pointer}/{}", escaped(name));
                        self.wrong(
                            &within,
                            format!("unknown key; known are {}", known.join(", ")),
                        );
                    }
                }
                Some(entries)
            }
            Value::Null => None,
            _ => {
                self.wrong(pointer, "expected keys and values");
                None
            }
        }
    }

    fn configuration(&mut self, value: &Value) -> Vec<Placed> {
        const AT: &str = "/configuration";
        let mut placed = Vec::new();
        let Value::Object(sections) = value else {
            if !value.is_null() {
                self.wrong(AT, "expected keys and values");
            }
            return placed;
        };
        for (name, value) in sections {
            let pointer = format!("{AT}/{}", escaped(name));
            let kind = DocumentKind::ALL
                .into_iter()
                .find(|kind| kind.section() == Some(name));
            match (kind, value) {
                (_, Value::Null) => {}
                (Some(kind @ (DocumentKind::Route | DocumentKind::Price)), Value::Array(items)) => {
                    for (place, item) in items.iter().enumerate() {
                        let pointer = format!("{pointer}/{place}");
                        self.item(kind, item, pointer, &mut placed);
                    }
                }
                (Some(DocumentKind::Route | DocumentKind::Price), _) => {
                    self.wrong(&pointer, "expected a list");
                }
                (Some(kind), Value::Object(entries)) => {
                    for (name, value) in entries {
                        let pointer = format!("{pointer}/{}", escaped(name));
                        placed.push(Placed {
                            document: document(kind, name, value.clone()),
                            pointer,
                        });
                    }
                }
                (Some(_), _) => self.wrong(&pointer, "expected names, each with its keys"),
                (None, value) => self.setting(name, value, &pointer, &mut placed),
            }
        }
        let mut known = HashSet::new();
        for one in &placed {
            if !known.insert((one.document.kind, one.document.name.clone())) {
                let detail = format!("there is a {} of this name before", one.document.kind);
                self.wrong(&one.pointer, detail);
            }
        }
        placed
    }

    fn item(
        &mut self,
        kind: DocumentKind,
        item: &Value,
        pointer: String,
        placed: &mut Vec<Placed>,
    ) {
        let text = |name: &str| item.get(name).and_then(Value::as_str);
        let name = match kind {
            DocumentKind::Price => text("model").map(|model| price_name(text("provider"), model)),
            _ => text("name").map(str::to_owned),
        };
        let Some(name) = name else {
            let needs = if kind == DocumentKind::Price {
                "a price needs a `model`"
            } else {
                "a route that is stored needs a `name`"
            };
            self.wrong(&pointer, needs);
            return;
        };
        let mut value = item.clone();
        if kind == DocumentKind::Route
            && let Value::Object(entries) = &mut value
        {
            entries.shift_remove("name");
        }
        placed.push(Placed {
            document: document(kind, &name, value),
            pointer,
        });
    }

    fn setting(&mut self, name: &str, value: &Value, pointer: &str, placed: &mut Vec<Placed>) {
        let mut add = |name: &str, value: &Value, pointer: String| {
            if !SETTINGS.contains(&name) {
                return false;
            }
            if !value.is_null() {
                placed.push(Placed {
                    document: document(DocumentKind::Setting, name, value.clone()),
                    pointer,
                });
            }
            true
        };
        if add(name, value, pointer.to_owned()) {
            return;
        }
        let prefix = format!("{name}.");
        let is_section = SETTINGS.iter().any(|setting| setting.starts_with(&prefix));
        match value {
            Value::Object(entries) if is_section => {
                for (key, value) in entries {
                    let pointer = format!("{pointer}/{}", escaped(key));
                    if !add(&format!("{name}.{key}"), value, pointer.clone()) {
                        self.wrongs.push(Wrong {
                            pointer,
                            detail: "is no setting that can be stored".to_owned(),
                        });
                    }
                }
            }
            _ if is_section => self.wrong(pointer, "expected keys and values"),
            _ => self.wrong(
                pointer,
                "is nothing that can be stored: it belongs into lingate.yml",
            ),
        }
    }

    fn tenants<E: Entity + DeserializeOwned>(&mut self, tenants: &Value, name: &str) -> Vec<E> {
        let pointer = format!("/tenants/{name}");
        let items = match tenants.get(name) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.wrong(&pointer, "expected a list");
                return Vec::new();
            }
        };
        let mut known = HashSet::new();
        let mut found = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{place}");
            match serde_json::from_value::<E>(item.clone()) {
                Ok(value) => {
                    if !known.insert(value.id()) {
                        self.wrong(&pointer, "its `id` is here twice");
                    }
                    found.push(value);
                }
                Err(error) => self.wrong(&pointer, error.to_string()),
            }
        }
        found
    }
}

fn document(kind: DocumentKind, name: &str, value: Value) -> Document {
    Document {
        kind,
        name: name.to_owned(),
        value,
    }
}

pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
