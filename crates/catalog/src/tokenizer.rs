//! How the models' tokenizers count, for estimates.

use lingate_dialect::estimate::{ImageRule, Terms, Weights};
use serde::Deserialize;

use crate::glob::Pattern;
use crate::{BadData, Catalog};

#[derive(Debug)]
pub(crate) struct Counting {
    names: Vec<Pattern>,
    weights: Weights,
}

pub(crate) fn parse(text: &str) -> Result<Vec<Counting>, BadData> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        tokenizer: Vec<Tokenizer>,
        model: Vec<Row>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tokenizer {
        name: String,
        terms: Terms,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        names: Vec<String>,
        tokenizer: String,
        image: ImageRule,
    }
    let file: File = toml::from_str(text).map_err(|error| BadData(format!("tokens: {error}")))?;
    let rows: Vec<Counting> = file
        .model
        .into_iter()
        .map(|row| {
            let mut named = file.tokenizer.iter();
            let tokenizer = named
                .find(|tokenizer| tokenizer.name == row.tokenizer)
                .ok_or_else(|| BadData(format!("tokens: no tokenizer `{}`", row.tokenizer)))?;
            Ok(Counting {
                names: row.names.iter().map(|name| Pattern::new(name)).collect(),
                weights: Weights {
                    terms: tokenizer.terms,
                    image: row.image,
                },
            })
        })
        .collect::<Result<_, BadData>>()?;
    let last_covers_all = rows
        .last()
        .is_some_and(|row| row.names.iter().any(|name| name.matches("")));
    if last_covers_all {
        Ok(rows)
    } else {
        Err(BadData("tokens: the last row covers every name".to_owned()))
    }
}

impl Catalog {
    /// The weights for a model, by the first row that covers its last path segment, in lower case.
    ///
    /// # Panics
    /// Never: the last row covers every name, or the catalogue would not have been read.
    pub fn weights(&self, model: &str) -> Weights {
        let last = model.rsplit('/').next().unwrap_or(model).to_lowercase();
        let found = self
            .countings
            .iter()
            .find(|row| row.names.iter().any(|name| name.matches(&last)));
        // Cannot fail: `parse` refuses a file whose last row does not cover every name.
        found
            .or_else(|| self.countings.last())
            .expect("there is a row for every name")
            .weights
    }
}
