//! The providers of the catalogue, in its order.

use lingate_catalog::{Endpoint, Kind, Provider};

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
    out
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
