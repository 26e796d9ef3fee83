//! What differs between the kinds of documents for those who ask about them.

use lingate_config::DocumentKind;
use lingate_store::Kind;

/// A kind of documents with endpoints of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resource(pub(crate) DocumentKind);

impl Resource {
    /// As the audit log names it.
    pub(crate) const fn kind(self) -> Kind {
        match self.0 {
            DocumentKind::Provider => Kind::Provider,
            DocumentKind::Route => Kind::Route,
            DocumentKind::Plan => Kind::Plan,
            DocumentKind::Price => Kind::Price,
            DocumentKind::Currency => Kind::Currency,
            DocumentKind::Setting => Kind::Setting,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.0.name()
    }
}
