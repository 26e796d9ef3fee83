//! Stored state: what the Responses API keeps of its answers.

use lingate_routing::Snapshot;
use lingate_shelf::Limits;

/// How much is kept, as the configuration says.
pub(crate) fn limits(snapshot: &Snapshot) -> Limits {
    let state = &snapshot.state;
    Limits {
        ttl: state.ttl,
        total: state.size,
        per_scope: state.size_per_key,
        ..Limits::default()
    }
}
