//! The catalogue that Codex reads: every key that its reader demands, since one that is missing makes it refuse the whole list.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use lingate_catalog::Input;
use lingate_dialect::DialectId;
use lingate_dialect::json::Object;
use lingate_metering::tenant::Principal;
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

/// The catalogue of one snapshot for those who may ask for the same models, written once.
#[derive(Debug)]
pub(crate) struct Catalogue {
    of: Arc<Snapshot>,
    /// `None`: for all who may ask for everything.
    whose: Option<Arc<Principal>>,
    pub(super) body: Bytes,
    tag: HeaderValue,
}

/// The catalogues of the current snapshot: that of all who may ask for everything, and one for each key that may not, as far as they
/// were asked for lately. Empty until somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Catalogues {
    common: ArcSwapOption<Catalogue>,
    /// The last that were written, the newest last.
    others: Mutex<VecDeque<Arc<Catalogue>>>,
}

/// Catalogues of keys that are kept, some 100 KiB each.
const KEPT: usize = 64;

impl Catalogues {
    pub(crate) fn of(
        &self,
        snapshot: &Arc<Snapshot>,
        principal: &Arc<Principal>,
    ) -> Arc<Catalogue> {
        let maps = principal.key.as_ref();
        let maps = maps.is_some_and(|key| !key.model_map.is_empty());
        let whose = (maps || principal.is_choosy()).then_some(principal);
        let fits = |known: &Arc<Catalogue>| {
            let same = match (&known.whose, whose) {
                (None, None) => true,
                (Some(known), Some(whose)) => Arc::ptr_eq(known, whose),
                (None, Some(_)) | (Some(_), None) => false,
            };
            same && Arc::ptr_eq(&known.of, snapshot)
        };
        let known = match whose {
            None => self.common.load_full().filter(fits),
            Some(_) => self.others().iter().find(|known| fits(known)).cloned(),
        };
        if let Some(known) = known {
            return known;
        }
        let body = Bytes::from(list(&served(snapshot, principal, &[DialectId::Responses])));
        let written = Arc::new(Catalogue {
            of: Arc::clone(snapshot),
            whose: whose.cloned(),
            tag: tag(&body),
            body,
        });
        if whose.is_none() {
            self.common.store(Some(Arc::clone(&written)));
            return written;
        }
        let mut others = self.others();
        if others.len() == KEPT {
            others.pop_front();
        }
        others.push_back(Arc::clone(&written));
        written
    }

    /// Forgets snapshots and keys that are no longer served.
    pub(crate) fn clear(&self) {
        self.common.store(None);
        self.others().clear();
    }

    pub(crate) fn tag(&self, snapshot: &Arc<Snapshot>, principal: &Arc<Principal>) -> HeaderValue {
        self.of(snapshot, principal).tag.clone()
    }

    fn others(&self) -> MutexGuard<'_, VecDeque<Arc<Catalogue>>> {
        // Nothing under this lock panics, and a lost one is written again.
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
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
