//! Lists of models, in the shape that the caller's client reads.

use bytes::Bytes;
use http::{Response, StatusCode};
use lingate_dialect::json::Object;
use lingate_dialect::{ApiError, DialectId, ErrorKind};
use lingate_routing::{Kind, Provider, Snapshot};
use percent_encoding::percent_decode_str;

use crate::answer::{self, Body};
use crate::caller::authenticate;
use crate::credential;
use crate::service::Visit;

/// The most models on one page, as the vendors have it.
const PAGE: usize = 1000;

/// A model of the list.
struct Listed {
    id: String,
    owner: String,
    /// Tokens of prompt and answer together, where known.
    context: Option<u64>,
    max_output: Option<u64>,
}

/// Every model that a caller can ask for by name: those of routes, those that providers declare, and the catalogue's.
fn served(snapshot: &Snapshot) -> Vec<Listed> {
    let catalog = lingate_catalog::builtin();
    let mut list: Vec<Listed> = Vec::new();
    let mut add = |id: &str, owner: &str| {
        if !id.contains('*') && !list.iter().any(|listed| listed.id == id) {
            let known = catalog.model(id);
            let (context, max_output) =
                known.map_or((None, None), |model| (model.context, model.max_output));
            list.push(Listed {
                id: id.to_owned(),
                owner: owner.to_owned(),
                context,
                max_output,
            });
        }
    };
    for route in &snapshot.routes {
        let owner = route
            .targets
            .first()
            .and_then(|target| snapshot.providers.get(target.provider))
            .map_or("lingate", |provider| &provider.name);
        if let Some(model) = route.model.exact() {
            add(model, owner);
        }
    }
    let usable = |provider: &&std::sync::Arc<Provider>| {
        !provider.keys.is_empty() || snapshot.auth == lingate_routing::Auth::Passthrough
    };
    for provider in snapshot.providers.iter().filter(usable) {
        for model in &provider.models {
            add(model, &provider.name);
        }
        if provider.kind == Kind::Demo {
            add("demo", &provider.name);
        } else if provider.models.is_empty() {
            for model in provider
                .catalog_id
                .as_deref()
                .map(|id| catalog.models_of(id))
                .unwrap_or_default()
            {
                add(&model.id, &provider.name);
            }
        }
    }
    list
}

/// The list, paged as the dialect pages.
pub(crate) fn list(visit: &Visit, dialect: DialectId) -> Result<Response<Body>, ApiError> {
    let query = visit.parts.uri.query().unwrap_or("");
    authenticate(
        &visit.snapshot,
        credential::find(&visit.parts.headers, query),
    )?;
    let models = served(&visit.snapshot);
    let mut out = Vec::new();
    match dialect {
        DialectId::Chat | DialectId::Responses => {
            let mut list = Object::new(&mut out);
            list.string("object", "list");
            let mut data = list.array("data");
            for model in &models {
                chat(&mut data.object(), model, visit.mint.now);
            }
        }
        DialectId::Messages => {
            let page = messages_page(&models, query)?;
            let mut list = Object::new(&mut out);
            {
                let mut data = list.array("data");
                for model in page.models {
                    messages(&mut data.object(), model);
                }
            }
            for (key, model) in [
                ("first_id", page.models.first()),
                ("last_id", page.models.last()),
            ] {
                match model {
                    Some(model) => list.string(key, &model.id),
                    None => list.null(key),
                }
            }
            list.bool("has_more", page.more);
        }
        DialectId::Gemini => {
            let size = number(query, "pageSize")?.unwrap_or(50).clamp(1, PAGE);
            let start = number(query, "pageToken")?.unwrap_or(0).min(models.len());
            let end = (start + size).min(models.len());
            let mut list = Object::new(&mut out);
            {
                let mut data = list.array("models");
                for model in models.get(start..end).unwrap_or_default() {
                    gemini(&mut data.object(), model);
                }
            }
            if end < models.len() {
                list.string("nextPageToken", &end.to_string());
            }
        }
    }
    Ok(answer::json(StatusCode::OK, Bytes::from(out)))
}

/// One model.
pub(crate) fn one(visit: &Visit, dialect: DialectId, id: &str) -> Result<Response<Body>, ApiError> {
    let query = visit.parts.uri.query().unwrap_or("");
    authenticate(
        &visit.snapshot,
        credential::find(&visit.parts.headers, query),
    )?;
    let models = served(&visit.snapshot);
    let found = models.iter().find(|model| model.id == id);
    let model = found.ok_or_else(|| {
        ApiError::new(
            ErrorKind::NotFound,
            format!("there is no model '{id}' in the list"),
        )
        .code("model_not_found")
        .param("model")
    })?;
    let mut out = Vec::new();
    match dialect {
        DialectId::Chat | DialectId::Responses => {
            chat(&mut Object::new(&mut out), model, visit.mint.now);
        }
        DialectId::Messages => messages(&mut Object::new(&mut out), model),
        DialectId::Gemini => gemini(&mut Object::new(&mut out), model),
    }
    Ok(answer::json(StatusCode::OK, Bytes::from(out)))
}

fn chat(object: &mut Object<'_>, model: &Listed, now: i64) {
    object.string("id", &model.id);
    object.string("object", "model");
    object.i64("created", now);
    object.string("owned_by", &model.owner);
}

fn messages(object: &mut Object<'_>, model: &Listed) {
    object.string("type", "model");
    object.string("id", &model.id);
    object.string("display_name", &model.id);
    object.string("created_at", "1970-01-01T00:00:00Z");
    object.some_u64("max_input_tokens", model.context);
    object.some_u64("max_tokens", model.max_output);
}

fn gemini(object: &mut Object<'_>, model: &Listed) {
    object.string("name", &format!("models/{}", model.id));
    object.string("baseModelId", &model.id);
    object.string("version", "1");
    object.string("displayName", &model.id);
    object.some_u64("inputTokenLimit", model.context);
    object.some_u64("outputTokenLimit", model.max_output);
    let mut methods = object.array("supportedGenerationMethods");
    for method in ["generateContent", "streamGenerateContent", "countTokens"] {
        methods.string(method);
    }
}

struct Page<'a> {
    models: &'a [Listed],
    more: bool,
}

/// `limit`, `after_id`, `before_id` of Anthropic's list.
fn messages_page<'a>(models: &'a [Listed], query: &str) -> Result<Page<'a>, ApiError> {
    let limit = number(query, "limit")?.unwrap_or(20).clamp(1, PAGE);
    let at = |name: &str| {
        parameter(query, name).and_then(|id| models.iter().position(|model| model.id == id))
    };
    if let Some(before) = at("before_id") {
        let start = before.saturating_sub(limit);
        return Ok(Page {
            models: models.get(start..before).unwrap_or_default(),
            more: start > 0,
        });
    }
    let start = at("after_id").map_or(0, |at| at + 1);
    let end = (start + limit).min(models.len());
    Ok(Page {
        models: models.get(start..end).unwrap_or_default(),
        more: end < models.len(),
    })
}

fn number(query: &str, name: &str) -> Result<Option<usize>, ApiError> {
    let Some(text) = parameter(query, name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let wrong = |_| {
        ApiError::new(
            ErrorKind::BadRequest,
            format!("{name}: expected a whole number, got '{text}'"),
        )
        .param(name)
    };
    text.parse().map(Some).map_err(wrong)
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| {
        pair.split_once('=')
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
    })?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anthropics_pages_follow_one_another() {
        let listed = |id: &str| Listed {
            id: id.to_owned(),
            owner: "x".to_owned(),
            context: None,
            max_output: None,
        };
        let models: Vec<Listed> = ["a", "b", "c", "d", "e"]
            .iter()
            .map(|id| listed(id))
            .collect();
        let check = |query: &str, expect: &str, more: bool| {
            let page = messages_page(&models, query).unwrap();
            assert_eq!(
                page.models
                    .iter()
                    .map(|model| model.id.as_str())
                    .collect::<String>(),
                expect,
                "{query}"
            );
            assert_eq!(page.more, more, "{query}");
        };
        check("limit=2", "ab", true);
        check("limit=2&after_id=b", "cd", true);
        check("limit=2&after_id=d", "e", false);
        check("limit=2&before_id=e", "cd", true);
        check("limit=9&before_id=c", "ab", false);
        check("", "abcde", false);
        assert!(messages_page(&models, "limit=x").is_err());
    }
}
