//! The providers of the catalogue, in its order.

use lingate_catalog::{Endpoint, Kind, Provider};
use lingate_dialect::quirks::{ALL, Quirks};

use super::{code, head, row};

pub(super) fn rows() -> String {
    let providers = lingate_catalog::builtin().providers();
    let mut out = format!("{} providers.\n\n", providers.len());
    head(
        &mut out,
        &[
            "name",
            "provider",
            "key",
            "dialects and base URLs",
            "remarks",
        ],
    );
    for provider in providers {
        let names: Vec<String> = std::iter::once(&provider.id)
            .chain(&provider.aliases)
            .map(|name| code(name))
            .collect();
        let keys: Vec<String> = provider.env.iter().map(|name| code(name)).collect();
        let keys = match (
            keys.is_empty(),
            provider.keyless || provider.kind == Kind::Demo,
        ) {
            (true, _) => "none".to_owned(),
            (false, true) => format!("{}, or none", keys.join(", ")),
            (false, false) => keys.join(", "),
        };
        row(
            &mut out,
            &[
                &names.join(", "),
                &provider.title,
                &keys,
                &places(&provider.endpoints),
                &remarks(provider),
            ],
        );
    }
    quirks(&mut out);
    out
}

/// What rows of the catalogue and `lingate.yml` may say of a server's or a model's departures from its dialect.
fn quirks(out: &mut String) {
    out.push_str(
        "\n## Quirks\n\nWhere a provider or a model departs from its dialect, a conversion follows it. The catalogue knows these departures \
         ([`models.toml`](../crates/catalog/data/models.toml) those of models); `quirks` and `model_quirks` of a provider in `lingate.yml` lie over it. \
         What is left out, clamped or said otherwise stands in `x-lingate-losses`. What an upstream refuses by name is left out at once, and \
         remembered for a day. Requests within one dialect pass as they are.\n\n",
    );
    let defaults = serde_json::to_value(Quirks::default()).unwrap_or_default();
    head(out, &["about", "quirk", "default", "meaning"]);
    for quirk in ALL {
        let default = defaults
            .get(quirk.name)
            .filter(|value| !value.is_null())
            .map_or_else(String::new, |value| {
                code(
                    &value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned),
                )
            });
        row(
            out,
            &[
                &quirk.section.to_lowercase(),
                &code(quirk.name),
                &default,
                quirk.about.trim_start(),
            ],
        );
    }
}

fn places(endpoints: &[Endpoint]) -> String {
    let places: Vec<String> = endpoints
        .iter()
        .map(|endpoint| format!("{} {}", endpoint.dialect, code(&endpoint.base_url)))
        .collect();
    places.join("<br>")
}

fn remarks(provider: &Provider) -> String {
    let mut remarks: Vec<String> = provider.note.iter().cloned().collect();
    if !provider.base_url_env.is_empty() {
        let variables: Vec<String> = provider
            .base_url_env
            .iter()
            .map(|name| code(name))
            .collect();
        remarks.push(format!("Other base URL: {}.", variables.join(" or ")));
    }
    if !provider.regions.is_empty() {
        let regions: Vec<String> = provider
            .regions
            .iter()
            .map(|(name, endpoints)| {
                format!(
                    "{} ({})",
                    code(name),
                    places(endpoints).replace("<br>", ", ")
                )
            })
            .collect();
        remarks.push(format!("Regions: {}.", regions.join(", ")));
    }
    remarks.join(" ")
}
