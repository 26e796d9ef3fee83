//! The list that Google's clients read.

use lingate_dialect::ApiError;
use lingate_dialect::json::Object;

use super::page::{PAGE, number};
use super::served::Listed;

/// One page: `pageSize`, `pageToken`.
pub(super) fn list(models: &[Listed], query: &str) -> Result<Vec<u8>, ApiError> {
    let size = number(query, "pageSize")?.unwrap_or(50).clamp(1, PAGE);
    let start = number(query, "pageToken")?.unwrap_or(0).min(models.len());
    let end = (start + size).min(models.len());
    let mut out = Vec::new();
    let mut list = Object::new(&mut out);
    {
        let mut data = list.array("models");
        for model in models.get(start..end).unwrap_or_default() {
            one(&mut data.object(), model);
        }
    }
    if end < models.len() {
        list.string("nextPageToken", &end.to_string());
    }
    drop(list);
    Ok(out)
}

pub(super) fn one(object: &mut Object<'_>, model: &Listed) {
    let name = model.facts.display_name.as_deref().unwrap_or(&model.id);
    object.string("name", &format!("models/{}", model.id));
    object.string("baseModelId", &model.id);
    object.string("version", "001");
    object.string("displayName", name);
    object.string("description", &format!("{name}, served by {}", model.owner));
    object.some_u64("inputTokenLimit", model.facts.context);
    object.some_u64("outputTokenLimit", model.facts.max_output);
    {
        let mut methods = object.array("supportedGenerationMethods");
        for method in ["generateContent", "streamGenerateContent", "countTokens"] {
            methods.string(method);
        }
    }
    if let Some(reasoning) = model.facts.reasoning {
        object.bool("thinking", reasoning);
    }
}
