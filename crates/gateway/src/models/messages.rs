//! The list that Anthropic's clients read.

use lingate_catalog::Input;
use lingate_dialect::json::Object;
use lingate_dialect::{ApiError, DialectId};

use super::page::{PAGE, number, parameter};
use super::served::Listed;

/// One page: `limit`, `after_id`, `before_id`.
pub(super) fn list(models: &[Listed], query: &str) -> Result<Vec<u8>, ApiError> {
    let page = page(models, query)?;
    let mut out = Vec::new();
    let mut list = Object::new(&mut out);
    {
        let mut data = list.array("data");
        for model in page.models {
            one(&mut data.object(), model);
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
    drop(list);
    Ok(out)
}

pub(super) fn one(object: &mut Object<'_>, model: &Listed) {
    let facts = &model.facts;
    object.string("type", "model");
    object.string("id", &model.id);
    object.string(
        "display_name",
        facts.display_name.as_deref().unwrap_or(&model.id),
    );
    // What the vendor's own list says of a model without a date.
    let day = facts.released.unwrap_or("1970-01-01");
    object.string("created_at", &format!("{day}T00:00:00Z"));
    object.some_u64("max_input_tokens", facts.context);
    object.some_u64("max_tokens", facts.max_output);
    object.string("lifecycle", "active");
    if let (Some(inputs), Some(reasoning)) = (facts.inputs, facts.reasoning) {
        capabilities(&mut object.object("capabilities"), model, inputs, reasoning);
    }
}

/// What a request to this gateway can ask of the model; what the vendor alone can do holds where it is the vendor's dialect.
fn capabilities(object: &mut Object<'_>, model: &Listed, inputs: &[Input], reasoning: bool) {
    let native = model.spoken.contains(&DialectId::Messages);
    let says = |object: &mut Object<'_>, key: &str, supported: bool| {
        object.object(key).bool("supported", supported);
    };
    says(object, "batch", false);
    says(object, "citations", native);
    says(object, "code_execution", false);
    says(object, "context_management", native);
    {
        let levels = &model.facts.efforts;
        let mut effort = object.object("effort");
        effort.bool("supported", !levels.is_empty());
        for level in ["low", "medium", "high", "xhigh", "max"] {
            says(
                &mut effort,
                level,
                levels.iter().any(|known| known == level),
            );
        }
    }
    says(object, "image_input", inputs.contains(&Input::Image));
    says(object, "pdf_input", inputs.contains(&Input::Document));
    says(object, "structured_outputs", true);
    {
        let mut thinking = object.object("thinking");
        thinking.bool("supported", reasoning);
        let mut types = thinking.object("types");
        let leveled = !model.facts.efforts.is_empty();
        says(&mut types, "adaptive", reasoning && leveled);
        says(&mut types, "enabled", reasoning && !(native && leveled));
    }
}

struct Page<'a> {
    models: &'a [Listed],
    more: bool,
}

fn page<'a>(models: &'a [Listed], query: &str) -> Result<Page<'a>, ApiError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use lingate_catalog::Facts;

    #[test]
    fn pages_follow_one_another() {
        let listed = |id: &str| Listed {
            id: id.to_owned(),
            owner: "x".to_owned(),
            facts: Facts::default(),
            spoken: vec![DialectId::Chat],
            converts: true,
        };
        let models: Vec<Listed> = ["a", "b", "c", "d", "e"]
            .iter()
            .map(|id| listed(id))
            .collect();
        let check = |query: &str, expect: &str, more: bool| {
            let page = page(&models, query).unwrap();
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
        assert!(page(&models, "limit=x").is_err());
    }
}
