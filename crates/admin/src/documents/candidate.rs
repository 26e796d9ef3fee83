//! What the configuration would be: loaded whole before any of it is stored.

use std::sync::Arc;

use http::StatusCode;
use lingate_config::{Document, DocumentKind, Loaded, Overlay, Place, Problems};

use crate::Admin;
use crate::admin::Configured;
use crate::problem::{FieldError, Problem};

/// All documents as they would be, and as they are.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) before: Vec<Document>,
    pub(crate) after: Vec<Document>,
}

/// The documents of the store that this version knows.
pub(crate) fn known(stored: &[lingate_store::Document]) -> Vec<Document> {
    stored
        .iter()
        .filter_map(|document| {
            Some(Document {
                kind: DocumentKind::from_name(&document.kind)?,
                name: document.name.clone(),
                value: document.value.clone(),
            })
        })
        .collect()
}

/// Loads file, environment and documents together. Reads files, on a thread where that is allowed.
pub(crate) async fn load(
    configured: &Arc<Configured>,
    documents: Vec<Document>,
) -> Result<Result<Loaded, Problems>, Problem> {
    let configured = Arc::clone(configured);
    let loading = tokio::task::spawn_blocking(move || {
        let overlay = Overlay {
            documents,
            keys: configured.overlay.keys.clone(),
        };
        lingate_config::load_with(
            configured.path.as_deref(),
            &configured.environment,
            &overlay,
        )
    });
    loading.await.map_err(|error| {
        tracing::error!(%error, "a configuration could not be tried");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the gateway failed; the log says why",
        )
    })
}

impl Candidate {
    /// Whether it can be in force. What was not in order before is no reason to refuse what mends some of it.
    pub(crate) async fn check(self, admin: &Admin) -> Result<Loaded, Refused> {
        let configured = admin.configured();
        match load(&configured, self.after).await? {
            Ok(loaded) => Ok(loaded),
            Err(problems) => {
                if let Err(before) = load(&configured, self.before).await?
                    && problems.0.len() < before.0.len()
                    && problems.0.iter().all(|problem| before.0.contains(problem))
                {
                    return Err(Refused::LessBroken);
                }
                Err(Refused::Broken(problems))
            }
        }
    }
}

/// Why a candidate cannot be in force.
pub(crate) enum Refused {
    /// It is not in order, but more so than what is there.
    LessBroken,
    Broken(Problems),
    Failed(Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

/// As fields of the document that was sent; what is wrong elsewhere because of it has the field ``.
pub(crate) fn as_fields(problems: &Problems, kind: DocumentKind, name: &str) -> Problem {
    let field = |problem: &lingate_config::Problem| match &problem.place {
        Place::Stored {
            kind: of,
            name: its,
            pointer,
        } if *of == kind && **its == *name => FieldError {
            field: format!("/definition{pointer}"),
            detail: problem.message.clone(),
        },
        _ => FieldError {
            field: String::new(),
            detail: problem.to_string(),
        },
    };
    Problem::invalid_fields(problems.0.iter().map(field).collect())
}
