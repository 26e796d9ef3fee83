//! The list of prices: from LiteLLM's facts, our table of providers and our overlay to the text that the catalogue reads.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use lingate_catalog::{Catalog, Entries, PriceBook, Row, builtin, glob};
use serde::Deserialize;
use serde_json::Value;

use crate::facts;

pub(crate) struct Built {
    pub(crate) text: String,
    pub(crate) rows: usize,
    /// `provider/name`, and the names there of the two rows that differ; the first is in the text.
    pub(crate) told_twice: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    date: String,
    source: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    from: String,
    to: Vec<String>,
    strip: Option<Vec<String>>,
    #[serde(default)]
    only: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    free: Vec<String>,
}

impl Source {
    fn name(&self, key: &str) -> Option<String> {
        let usual = [format!("{}/", self.from)];
        let strip = self.strip.as_deref().unwrap_or(&usual);
        let bare = strip.iter().find_map(|front| key.strip_prefix(front));
        let name = bare.unwrap_or(key).to_lowercase();
        let fits =
            |patterns: &[String]| patterns.iter().any(|pattern| glob::matches(pattern, &name));
        ((self.only.is_empty() || fits(&self.only)) && !fits(&self.except)).then_some(name)
    }
}

/// The text of all prices. The same sources always give the same bytes.
pub(crate) fn build(facts: &str, map: &str, overlay: &str) -> Result<Built, String> {
    let facts: BTreeMap<String, Value> =
        serde_json::from_str(facts).map_err(|error| format!("the facts: {error}"))?;
    let map: Map = toml::from_str(map).map_err(|error| format!("the table: {error}"))?;
    let Entries { rows: overlay, .. } =
        PriceBook::read(overlay).map_err(|error| format!("the overlay: {error}"))?;
    let catalog = builtin();

    let mut rows: BTreeMap<(&str, String), (Row, &str)> = BTreeMap::new();
    let mut told_twice = Vec::new();
    for source in &map.source {
        for (key, fact) in &facts {
            let text = |name: &str| fact.get(name).and_then(Value::as_str).unwrap_or_default();
            if text("litellm_provider") != source.from || !facts::MODES.contains(&text("mode")) {
                continue;
            }
            let (Some(name), Some(fact)) = (source.name(key), fact.as_object()) else {
                continue;
            };
            let free = source.free.iter().any(|free| glob::matches(free, &name));
            let row = facts::row(fact, free).map_err(|what| format!("{key}: {what}"))?;
            for id in &source.to {
                let row = without_known(catalog, id, &name, row.clone());
                if row == Row::default() {
                    continue;
                }
                match rows.entry((id, name.clone())) {
                    Entry::Vacant(place) => {
                        place.insert((row, key));
                    }
                    Entry::Occupied(place) if place.get().0 != row => {
                        let keys = format!("{} and {key}", place.get().1);
                        told_twice.push((format!("{id}/{name}"), keys));
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
    }
    for (id, name, row) in overlay {
        let known = rows.get(&(id, name.to_owned()));
        if known.is_some_and(|(_, from)| *from == "the overlay") {
            return Err(format!("the overlay: {id}: `{name}` is there twice"));
        }
        rows.insert((id, name.to_owned()), (row, "the overlay"));
    }

    let mut text = format!(
        "# Prices and limits of models by provider, in dollars per million tokens (or for one) and in tokens. Written by `make prices` from facts\n\
         # of LiteLLM's list of prices (MIT, © Berri AI) and from prices-overlay.txt: do not edit. The form is told in price_book.rs and price/cells.rs.\n\
         prices 2 {}\n",
        map.date
    );
    let mut before = "";
    for ((id, name), (row, _)) in &rows {
        if catalog.provider(id).is_none() {
            return Err(format!("the catalogue has no `{id}`"));
        }
        if *id != before {
            text.extend(["\n[", id, "]\n"]);
            before = id;
        }
        text.extend([name, row.cells().as_str(), "\n"]);
    }
    text.extend(["\nend ", &rows.len().to_string(), "\n"]);
    // What cannot be read again must not be written.
    PriceBook::parse(&text).map_err(|error| error.to_string())?;
    Ok(Built {
        rows: rows.len(),
        text,
        told_twice,
    })
}

/// The limits that the catalogue's own lists of models say are said there alone.
fn without_known(catalog: &Catalog, provider: &str, name: &str, mut row: Row) -> Row {
    let models = catalog.models_of(provider);
    if let Some(own) = models.iter().find(|own| own.id.to_lowercase() == name) {
        row.context = row.context.filter(|_| own.context.is_none());
        row.max_output = row.max_output.filter(|_| own.max_output.is_none());
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: &str = r#"{
        "gpt-small": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-07,
            "output_cost_per_token": 4.0000000000000003e-07, "max_input_tokens": 1000, "max_output_tokens": 100},
        "openai/gpt-small": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-07, "output_cost_per_token": 4e-07},
        "gpt-long": {"litellm_provider": "openai", "mode": "responses", "input_cost_per_token": 0.00000125, "output_cost_per_token": 0.00001,
            "cache_read_input_token_cost": 1.25e-07, "cache_creation_input_token_cost": 0.0,
            "input_cost_per_token_above_200k_tokens": 0.0000025, "input_cost_per_token_above_200k_tokens_batches": 0.000001},
        "gpt-image": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.04},
        "gpt-free": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.0, "output_cost_per_token": 0, "max_input_tokens": 5},
        "gpt-gift": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.0, "output_cost_per_token": 0},
        "gpt-nothing": {"litellm_provider": "openai", "mode": "chat"},
        "elsewhere/x": {"litellm_provider": "elsewhere", "mode": "chat", "input_cost_per_token": 1e-07, "output_cost_per_token": 1e-07},
        "dashscope/Qwen-Tiers": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
            {"range": [0, 32000.0], "input_cost_per_token": 1.2e-06, "output_cost_per_token": 6e-06},
            {"range": [32000.0, 128000.0], "input_cost_per_token": 2.4e-06, "output_cost_per_token": 6e-06}]}
    }"#;

    const MAP: &str = r#"
        date = "2026-11-30"
        [[source]]
        from = "openai"
        to = ["openai"]
        free = ["gpt-gift"]
        except = ["gpt-except*"]
        [[source]]
        from = "dashscope"
        to = ["dashscope"]
    "#;

    #[test]
    fn facts_become_rows() {
        let overlay = "prices 2 2026-11-30\n[openai]\ngpt-new input=3 output=9\n";
        let built = build(FACTS, MAP, overlay).unwrap();
        let body = built.text.split_once("2026-11-30\n").unwrap().1;
        assert_eq!(
            body,
            "\n[dashscope]\n\
             qwen-tiers input=1.2 output=6 >32000 input=2.4 output=6\n\
             \n[openai]\n\
             gpt-free context=5\n\
             gpt-gift input=0 output=0\n\
             gpt-image input=0 output=0 image_made=0.04\n\
             gpt-long input=1.25 output=10 cache_read=0.125 >200000 input=2.5 @batch>200000 input=1\n\
             gpt-new input=3 output=9\n\
             gpt-small context=1000 max_output=100 input=0.1 output=0.4\n\
             \nend 7\n"
        );
        assert_eq!(built.rows, 7);
        let twice = [(
            "openai/gpt-small".to_owned(),
            "gpt-small and openai/gpt-small".to_owned(),
        )];
        assert_eq!(built.told_twice, twice);
        assert!(build(FACTS, &MAP.replace("[\"openai\"]", "[\"nobody\"]"), overlay).is_err());
    }

    #[test]
    fn an_overlay_replaces_rows() {
        let overlay = "prices 2 2026-11-30\n[openai]\ngpt-small input=3 output=9\n";
        let built = build(FACTS, MAP, overlay).unwrap();
        assert!(built.text.contains("\ngpt-small input=3 output=9\n"));
    }
}
