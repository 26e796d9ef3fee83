//! The catalogue that Codex reads: every key that its reader demands, since one that is missing makes it refuse the whole list.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use lingate_catalog::Input;
use lingate_dialect::DialectId;
use lingate_dialect::json::Object;
use lingate_routing::Snapshot;

use super::served::{Listed, served};
use super::tagged::tag;

/// Tells Codex whether its copy of the catalogue is still the one that is served; on every answer to it.
pub(crate) const ETAG: HeaderName = HeaderName::from_static("x-models-etag");

/// The levels of reasoning that its reader knows; another word would make it refuse the whole list.
const EFFORTS: [(&str, &str); 6] = [
    ("none", "Answers without reasoning"),
    ("minimal", "Reasons as little as it can"),
    ("low", "Quick answers with little reasoning"),
    ("medium", "A balance of speed and depth for everyday work"),
    ("high", "Reasons at length about hard problems"),
    ("xhigh", "Reasons for as long as the problem takes"),
];

/// Sent as the instructions of a session with a model of this list, so it must not be empty.
const INSTRUCTIONS: &str = include_str!("codex_instructions.md");

/// How much of a tool's output the client keeps, in tokens.
const TOOL_OUTPUT: u64 = 10_000;

/// The catalogue of one snapshot, written once.
#[derive(Debug)]
pub(crate) struct Catalogue {
    of: Arc<Snapshot>,
    pub(super) body: Bytes,
    tag: HeaderValue,
}

/// The catalogue of the current snapshot; empty until somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Catalogues(ArcSwapOption<Catalogue>);

impl Catalogues {
    pub(crate) fn of(&self, snapshot: &Arc<Snapshot>) -> Arc<Catalogue> {
        if let Some(known) = self.0.load_full()
            && Arc::ptr_eq(&known.of, snapshot)
        {
            return known;
        }
        let body = Bytes::from(list(&served(snapshot, &[DialectId::Responses])));
        let written = Arc::new(Catalogue {
            of: Arc::clone(snapshot),
            tag: tag(&body),
            body,
        });
        self.0.store(Some(Arc::clone(&written)));
        written
    }

    /// Forgets a snapshot that is no longer served.
    pub(crate) fn clear(&self) {
        self.0.store(None);
    }

    pub(crate) fn tag(&self, snapshot: &Arc<Snapshot>) -> HeaderValue {
        self.of(snapshot).tag.clone()
    }
}

fn list(models: &[Listed]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut list = Object::new(&mut out);
    let mut data = list.array("models");
    for (place, model) in models.iter().enumerate() {
        one(&mut data.object(), model, place as u64);
    }
    drop(data);
    drop(list);
    out
}

/// `place`: lower ones stand first in the client's menu.
fn one(object: &mut Object<'_>, model: &Listed, place: u64) {
    let facts = &model.facts;
    let name = facts.display_name.as_deref().unwrap_or(&model.id);
    object.string("slug", &model.id);
    object.string("display_name", name);
    object.string("description", &format!("Served by {}", model.owner));
    let reasons = facts.reasoning == Some(true);
    let levels: Vec<(&str, &str)> = EFFORTS
        .into_iter()
        .filter(|(level, _)| {
            if facts.efforts.is_empty() {
                // A model that takes a budget: the levels for which there is one.
                reasons && matches!(*level, "low" | "medium" | "high")
            } else {
                facts.efforts.iter().any(|known| known == level)
            }
        })
        .collect();
    let knows = |wanted: &str| levels.iter().any(|(level, _)| *level == wanted);
    let default = facts
        .default_effort
        .as_deref()
        .filter(|level| knows(level))
        .or_else(|| knows("medium").then_some("medium"))
        .or_else(|| levels.first().map(|(level, _)| *level));
    object.some_string("default_reasoning_level", default);
    {
        let mut offered = object.array("supported_reasoning_levels");
        for (level, description) in &levels {
            let mut offer = offered.object();
            offer.string("effort", level);
            offer.string("description", description);
        }
    }
    object.string("shell_type", "shell_command");
    object.string("visibility", "list");
    object.bool("supported_in_api", true);
    object.u64("priority", place);
    object.null("upgrade");
    object.string("base_instructions", INSTRUCTIONS);
    object.bool("supports_reasoning_summaries", reasons);
    object.bool("support_verbosity", facts.verbosity);
    object.null("default_verbosity");
    object.string("apply_patch_tool_type", "freeform");
    {
        let mut policy = object.object("truncation_policy");
        policy.string("mode", "tokens");
        policy.u64("limit", TOOL_OUTPUT);
    }
    object.bool("supports_parallel_tool_calls", true);
    object.some_u64("context_window", facts.context);
    object.array("experimental_supported_tools");
    let mut inputs = object.array("input_modalities");
    inputs.string("text");
    if facts
        .inputs
        .is_none_or(|known| known.contains(&Input::Image))
    {
        inputs.string("image");
    }
}
