//! The list of prices: from LiteLLM's facts, our table of providers and our overlay to the text that the catalogue reads.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use lingate_catalog::{Catalog, Price, PriceBook, Rates, Row, Tier, builtin, glob};
use serde::Deserialize;
use serde_json::{Map as Object, Value};

/// Kinds of models that hold a conversation; others are priced by other things than tokens.
const MODES: [&str; 3] = ["chat", "responses", "completion"];

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
    let (_, overlay) = PriceBook::read(overlay).map_err(|error| format!("the overlay: {error}"))?;
    let catalog = builtin();

    let mut rows: BTreeMap<(&str, String), (Row, &str)> = BTreeMap::new();
    let mut told_twice = Vec::new();
    for source in &map.source {
        for (key, fact) in &facts {
            let text = |name: &str| fact.get(name).and_then(Value::as_str).unwrap_or_default();
            let chat = MODES.contains(&text("mode"));
            if text("litellm_provider") != source.from || !chat {
                continue;
            }
            let (Some(name), Some(fact)) = (source.name(key), fact.as_object()) else {
                continue;
            };
            let free = source.free.iter().any(|free| glob::matches(free, &name));
            let row = row(fact, free).map_err(|what| format!("{key}: {what}"))?;
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
        rows.insert((id, name.to_owned()), (row, "the overlay"));
    }

    let mut text = format!(
        "# Prices and limits of models by provider, in dollars per million tokens and in tokens. Written by `make prices` from facts\n\
         # of LiteLLM's list of prices (MIT, © Berri AI) and from prices-overlay.txt: do not edit. The form is told in price_book.rs.\n\
         prices 1 {}\n",
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

fn row(fact: &Object<String, Value>, free: bool) -> Result<Row, String> {
    let limit = |name: &str| fact.get(name).and_then(tokens).filter(|tokens| *tokens > 0);
    Ok(Row {
        price: price(fact)?.filter(|price| free || price.rates.input + price.rates.output > 0),
        context: limit("max_input_tokens"),
        max_output: limit("max_output_tokens"),
    })
}

/// `None` where input or output has no price.
fn price(fact: &Object<String, Value>) -> Result<Option<Price>, String> {
    let ranges = fact.get("tiered_pricing").and_then(Value::as_array);
    let ranges: Vec<&Object<String, Value>> = ranges
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .filter(|range| range.contains_key("range"))
        .collect();
    if let Some((first, longer)) = ranges.split_first() {
        let Some(rates) = rates(first, "", None)? else {
            return Ok(None);
        };
        let mut price = Price {
            rates,
            tiers: Vec::new(),
        };
        for range in longer {
            let above = range.get("range").and_then(|range| range.get(0));
            let above = above.and_then(tokens).ok_or("a range without a start")?;
            let below = price.tiers.last().map_or(price.rates, |tier| tier.rates);
            if let Some(rates) = self::rates(range, "", Some(below))? {
                price.tiers.push(Tier { above, rates });
            }
        }
        return Ok(Some(price));
    }
    let Some(rates) = rates(fact, "", None)? else {
        return Ok(None);
    };
    let mut price = Price {
        rates,
        tiers: Vec::new(),
    };
    let mut lengths: Vec<u64> = fact
        .keys()
        .filter_map(|key| {
            let length = key.strip_prefix("input_cost_per_token_above_")?;
            length.strip_suffix("k_tokens")?.parse().ok()
        })
        .collect();
    lengths.sort_unstable();
    for thousands in lengths {
        let below = price.tiers.last().map_or(price.rates, |tier| tier.rates);
        let suffix = format!("_above_{thousands}k_tokens");
        if let Some(rates) = self::rates(fact, &suffix, Some(below))? {
            let above = thousands * 1000;
            price.tiers.push(Tier { above, rates });
        }
    }
    Ok(Some(price))
}

/// The rates of the keys that end so; what they do not say is as in `below`.
fn rates(
    fact: &Object<String, Value>,
    suffix: &str,
    below: Option<Rates>,
) -> Result<Option<Rates>, String> {
    let rate = |name: &str| match fact.get(&format!("{name}{suffix}")) {
        Some(Value::Number(number)) => per_million(&number.to_string()).map(Some),
        _ => Ok(None),
    };
    let told = |name: &str, before: fn(&Rates) -> Option<u64>| {
        Ok::<_, String>(rate(name)?.or(below.as_ref().and_then(before)))
    };
    let input = told("input_cost_per_token", |rates| Some(rates.input))?;
    let output = told("output_cost_per_token", |rates| Some(rates.output))?;
    let (Some(input), Some(output)) = (input, output) else {
        return Ok(None);
    };
    // No vendor gives a cache away beside tokens that cost something: a zero is a blank there.
    let cached = |name, before: fn(&Rates) -> Option<u64>| {
        Ok::<_, String>(told(name, before)?.filter(|rate| *rate > 0))
    };
    Ok(Some(Rates {
        input,
        output,
        cache_read: cached("cache_read_input_token_cost", |rates| rates.cache_read)?,
        cache_write: cached("cache_creation_input_token_cost", |rates| rates.cache_write)?,
        cache_write_1h: cached("cache_creation_input_token_cost_above_1hr", |rates| {
            rates.cache_write_1h
        })?,
    }))
}

fn tokens(value: &Value) -> Option<u64> {
    let text = value.as_number()?.to_string();
    text.strip_suffix(".0").unwrap_or(&text).parse().ok()
}

/// Dollars per token in decimal, as nano-dollars per million tokens: fifteen places.
///
/// Digits beyond are noise of binary fractions (`2.0000000000000002e-07`) or of currencies (`8 / 7` yuan), and are rounded. More
/// than a hundred-millionth is never lost that way.
fn per_million(text: &str) -> Result<u64, String> {
    const PLACES: i32 = 15;
    let bad = || format!("`{text}` is no price that can be kept");
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().map_err(|_| bad())?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: u128 = [whole, fraction].concat().parse().map_err(|_| bad())?;
    let fraction = i32::try_from(fraction.len()).map_err(|_| bad())?;
    let shift = PLACES + exponent - fraction;
    let unit = 10u128.checked_pow(shift.unsigned_abs()).ok_or_else(bad)?;
    let nano = if shift >= 0 {
        digits.checked_mul(unit).ok_or_else(bad)?
    } else {
        let rounded = (digits + unit / 2) / unit;
        let lost = (rounded * unit).abs_diff(digits);
        if lost
            .checked_mul(100_000_000)
            .is_none_or(|lost| lost > digits)
        {
            return Err(bad());
        }
        rounded
    };
    u64::try_from(nano).map_err(|_| bad())
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
        let overlay = "prices 1 2026-11-30\n[openai]\ngpt-new input=3 output=9\n";
        let built = build(FACTS, MAP, overlay).unwrap();
        let body = built.text.split_once("2026-11-30\n").unwrap().1;
        assert_eq!(
            body,
            "\n[dashscope]\n\
             qwen-tiers input=1.2 output=6 >32000 input=2.4\n\
             \n[openai]\n\
             gpt-free context=5\n\
             gpt-gift input=0 output=0\n\
             gpt-long input=1.25 output=10 cache_read=0.125 >200000 input=2.5\n\
             gpt-new input=3 output=9\n\
             gpt-small context=1000 max_output=100 input=0.1 output=0.4\n"
        );
        assert_eq!(built.rows, 6);
        let twice = [(
            "openai/gpt-small".to_owned(),
            "gpt-small and openai/gpt-small".to_owned(),
        )];
        assert_eq!(built.told_twice, twice);
        assert!(build(FACTS, &MAP.replace("[\"openai\"]", "[\"nobody\"]"), overlay).is_err());
    }

    #[test]
    fn an_overlay_replaces_rows() {
        let overlay = "prices 1 2026-11-30\n[openai]\ngpt-small input=3 output=9\n";
        let built = build(FACTS, MAP, overlay).unwrap();
        assert!(built.text.contains("\ngpt-small input=3 output=9\n"));
    }

    #[test]
    fn no_digit_is_lost_but_noise() {
        for (text, expect) in [
            ("0", Some(0)),
            ("1e-07", Some(100_000_000)),
            ("0.00001", Some(10_000_000_000)),
            ("2.0000000000000002e-07", Some(200_000_000)),
            ("9.499999999999999e-07", Some(950_000_000)),
            ("0.0000011428571428571428", Some(1_142_857_143)),
            ("1e-15", Some(1)),
            ("1.5e-15", None),
            ("1e-16", None),
            ("-1e-07", None),
            ("1e9", None),
            ("1e400", None),
        ] {
            assert_eq!(per_million(text).ok(), expect, "{text}");
        }
    }
}
