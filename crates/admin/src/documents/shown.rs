//! A part of the configuration as it is told, wherever it is defined.

use jiff::Timestamp;
use lingate_config::{DocumentKind, Origin};
use lingate_store::Document;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::admin::Configured;

/// A part of the configuration.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Document)]
pub(crate) struct Shown {
    /// Routes of the file may have none.
    #[schema(example = "openai")]
    pub(crate) name: Option<String>,
    /// `file` and `environment`: it can only be read here. `database`: it can be changed. `default`: nobody has defined it.
    #[schema(example = "database")]
    pub(crate) source: &'static str,
    /// The file or a variable defines something of this name, too, and wins.
    pub(crate) hidden: bool,
    /// As it would stand in `lingate.yml`; what the file defines is told as it is in force.
    #[schema(value_type = Object)]
    pub(crate) definition: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) updated_at: Option<String>,
    /// By which pages are cut.
    #[serde(skip)]
    pub(crate) order: String,
    #[serde(skip)]
    pub(crate) revision: i64,
}

impl Shown {
    pub(crate) fn stored(document: &Document, configured: &Configured) -> Self {
        let kind = DocumentKind::from_name(&document.kind);
        let origin = kind.and_then(|kind| configured.origins.of(kind, &document.name));
        let order = match kind {
            Some(DocumentKind::Route) => format!("1/{:020}/{}", document.position, document.name),
            _ => document.name.clone(),
        };
        Self {
            name: Some(document.name.clone()),
            source: Origin::Database.name(),
            hidden: origin == Some(Origin::File),
            definition: document.value.clone(),
            created_at: moment(document.created_at),
            updated_at: moment(document.updated_at),
            order,
            revision: document.revision,
        }
    }

    fn elsewhere(name: Option<&str>, origin: Origin, config: Value, order: String) -> Self {
        Self {
            name: name.map(str::to_owned),
            source: origin.name(),
            hidden: false,
            definition: config,
            created_at: None,
            updated_at: None,
            order,
            revision: 0,
        }
    }

    /// What is in force of a kind and not stored.
    pub(crate) fn not_stored(kind: DocumentKind, configured: &Configured) -> Vec<Self> {
        let Some(section) = kind
            .section()
            .and_then(|section| configured.shown.get(section))
        else {
            return Vec::new();
        };
        if kind == DocumentKind::Route {
            let routes = configured.origins.routes.iter().enumerate();
            return routes
                .filter(|(_, (origin, _))| *origin != Origin::Database)
                .map(|(place, (origin, name))| {
                    let config = section.get(place).cloned().unwrap_or_default();
                    Self::elsewhere(name.as_deref(), *origin, config, format!("0/{place:08}"))
                })
                .collect();
        }
        let defined = configured.origins.all(kind);
        defined
            .filter(|(_, origin)| *origin != Origin::Database)
            .map(|(name, origin)| {
                let config = value_of(kind, name, section);
                Self::elsewhere(Some(name), origin, config, name.to_owned())
            })
            .collect()
    }
}

/// The entry of a section that a name stands for.
pub(crate) fn value_of(kind: DocumentKind, name: &str, section: &Value) -> Value {
    let found = match kind {
        DocumentKind::Price => section.as_array().and_then(|prices| {
            prices.iter().find(|price| {
                let text = |name: &str| price.get(name).and_then(Value::as_str);
                let model = text("model").unwrap_or_default();
                lingate_config::price_name(text("provider"), model) == name
            })
        }),
        _ => section.get(name),
    };
    found.cloned().unwrap_or_default()
}

pub(crate) fn moment(at: i64) -> Option<String> {
    let at = Timestamp::from_millisecond(at).ok()?;
    Some(format!("{at:.3}"))
}
