//! What there is to manage. An endpoint is a line here; a verb whose endpoint this version does not have is left out.

mod derived;
mod money;
mod sign_in;
mod system;
mod tenants;

use std::sync::OnceLock;

use super::{Does, Resource, Verb};

/// What is described, and behind it what the document has besides.
pub(super) fn all() -> impl Iterator<Item = &'static Resource> {
    static BESIDES: OnceLock<Vec<Resource>> = OnceLock::new();
    let besides = BESIDES.get_or_init(|| derived::besides(&described()));
    described().chain(besides)
}

fn described() -> impl Iterator<Item = &'static Resource> + Clone {
    tenants::RESOURCES
        .iter()
        .chain(money::RESOURCES)
        .chain(sign_in::RESOURCES)
        .chain(system::RESOURCES)
}

/// A verb in one line.
const fn verb(
    name: &'static str,
    about: &'static str,
    method: &'static str,
    path: &'static str,
    does: Does,
) -> Verb {
    Verb {
        name,
        about,
        method,
        path,
        does,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_an_endpoint() {
        for resource in described() {
            for verb in resource.verbs {
                let (command, name) = (resource.command, verb.name);
                assert!(
                    verb.operation().is_some(),
                    "{command} {name}: there is no {} {}",
                    verb.method,
                    verb.path
                );
            }
        }
    }
}
