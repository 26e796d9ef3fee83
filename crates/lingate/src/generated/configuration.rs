//! The keys of `lingate.yml`, section by section.

use std::fmt::Write as _;

use lingate_config::Key;

use super::{code, head, row};

pub(super) fn keys() -> String {
    let keys = lingate_config::reference();
    let mut out = String::new();
    section(&mut out, &keys, "");
    for outer in keys.iter().filter(|key| key.holds_keys) {
        let below = keys
            .iter()
            .filter_map(|key| key.path.strip_prefix(&outer.path))
            .find_map(|rest| {
                ["[].", ".NAME.", "."]
                    .into_iter()
                    .find(|start| rest.starts_with(start))
            });
        if let Some(below) = below {
            section(&mut out, &keys, &format!("{}{below}", outer.path));
        }
    }
    out
}

/// The keys directly below `outer`, which ends with a dot or is empty.
fn section(out: &mut String, keys: &[Key], outer: &str) {
    let title = match outer.trim_end_matches('.') {
        "" => "Top level".to_owned(),
        path => code(path),
    };
    _ = write!(
        out,
        "{}### {title}\n\n",
        if out.is_empty() { "" } else { "\n" }
    );
    head(out, &["key", "value", "default", "meaning", "variable"]);
    for key in keys {
        let Some(name) = key.path.strip_prefix(outer) else {
            continue;
        };
        // `header.*` is one key; everything else with a dot or brackets lies deeper.
        if name.trim_end_matches(".*").contains(['.', '[']) {
            continue;
        }
        let meaning = match key.later {
            Some(why) => format!("{} **{}.**", key.about, capital(why)),
            None => key.about.to_owned(),
        };
        row(
            out,
            &[
                &code(name),
                &key.kind,
                &key.default.as_deref().map(code).unwrap_or_default(),
                &meaning,
                &key.variable.as_deref().map(code).unwrap_or_default(),
            ],
        );
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
