//! Names that are known, for those who misspell one.

use std::ops::Range;
use std::sync::OnceLock;

use crate::plan::has_key;
use crate::{Provider, Snapshot};

/// The names of models that a snapshot knows; gathered when somebody asks for one that it does not know.
#[derive(Debug, Default)]
pub struct KnownNames(OnceLock<Index>);

/// Sorted twice, so that what differs in one place only stands near in one order at least.
#[derive(Debug, Default)]
struct Index {
    /// By lower case.
    names: Vec<Name>,
    /// Places in `names`, by lower case read backwards.
    backwards: Vec<usize>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    lower: Box<str>,
    /// `None`: in lower case.
    written: Option<Box<str>>,
    /// Routes come first, and lists name the newest first.
    order: usize,
}

/// Longer names are not compared: the cost grows with the product of the lengths.
const LONGEST: usize = 200;
/// As many as this are all compared, some 300 ns each. Of more, those that begin or end most like the name: whoever asks for names
/// at random must not keep the gateway busy.
const COMPARED: usize = 256;
/// So many names are told.
const TOLD: usize = 3;

impl KnownNames {
    /// Those that look like `model`, the closest first.
    pub(crate) fn close(&self, snapshot: &Snapshot, model: &str) -> Vec<String> {
        if model.is_empty() || model.len() > LONGEST {
            return Vec::new();
        }
        self.0.get_or_init(|| Index::of(snapshot)).close(model)
    }
}

impl Index {
    fn of(snapshot: &Snapshot) -> Self {
        let routes = snapshot
            .routes
            .iter()
            .filter_map(|route| route.model.exact());
        let declared = snapshot
            .providers
            .iter()
            .flat_map(|provider| provider.models.iter())
            .map(String::as_str)
            .filter(|name| !name.contains('*'));
        let usable = |provider: &&Provider| has_key(snapshot, provider);
        let cataloged = snapshot
            .providers
            .iter()
            .map(AsRef::as_ref)
            .filter(usable)
            .filter_map(|provider| provider.catalog_id.as_deref())
            .flat_map(|id| lingate_catalog::builtin().models_of(id))
            .map(|model| model.id.as_str());
        Self::new(routes.chain(declared).chain(cataloged))
    }

    fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut names: Vec<Name> = names
            .filter(|name| name.len() <= LONGEST)
            .enumerate()
            .map(|(order, name)| {
                let lower = name.to_lowercase();
                Name {
                    written: (lower != name).then(|| name.into()),
                    lower: lower.into(),
                    order,
                }
            })
            .collect();
        names.sort_unstable();
        names.dedup_by(|later, first| later.lower == first.lower && later.written == first.written);
        let read = |place: &usize| names.get(*place).map(Name::backwards).into_iter().flatten();
        let mut backwards: Vec<usize> = (0..names.len()).collect();
        backwards.sort_by(|left, right| read(left).cmp(read(right)));
        Self { names, backwards }
    }

    fn close(&self, model: &str) -> Vec<String> {
        let asked = model.to_lowercase();
        let mut alike: Vec<(f64, &Name)> = self
            .near(&asked)
            .into_iter()
            .map(|name| (strsim::jaro_winkler(&asked, &name.lower), name))
            .filter(|(likeness, _)| *likeness >= 0.85)
            .collect();
        alike.sort_by(|(left, first), (right, second)| {
            right.total_cmp(left).then(first.order.cmp(&second.order))
        });
        let told = alike.iter().take(TOLD);
        told.map(|(_, name)| name.written().to_owned()).collect()
    }

    /// The names that are worth comparing; [`COMPARED`] at most.
    fn near(&self, asked: &str) -> Vec<&Name> {
        if self.names.len() <= COMPARED {
            return self.names.iter().collect();
        }
        let place = self.names.partition_point(|name| *name.lower < *asked);
        let forwards = around(place, self.names.len());
        let place = self.backwards.partition_point(|place| {
            let name = self.names.get(*place);
            name.is_some_and(|name| name.backwards().lt(asked.bytes().rev()))
        });
        let places = self.backwards.get(around(place, self.backwards.len()));
        let others = places.into_iter().flatten().copied();
        let others = others.filter(|place| !forwards.contains(place));
        forwards
            .clone()
            .chain(others)
            .filter_map(|place| self.names.get(place))
            .collect()
    }
}

impl Name {
    fn written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.lower)
    }

    fn backwards(&self) -> impl Iterator<Item = u8> {
        self.lower.bytes().rev()
    }
}

/// What stands around a place in one of the two orders.
fn around(place: usize, count: usize) -> Range<usize> {
    let reach = COMPARED / 4;
    place.saturating_sub(reach)..place.saturating_add(reach).min(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn among_many_names_few_are_compared_and_the_right_ones() {
        let names: Vec<String> = (0..10_000)
            .map(|number| format!("vendor-{number}-large"))
            .chain((0..10_000).map(|number| format!("{number}-model")))
            .chain(["gpt-4o".to_owned(), "Claude-Opus-5".to_owned()])
            .collect();
        let index = Index::new(names.iter().map(String::as_str));
        for (asked, expect) in [
            // Wrong at the end, at the beginning, in the middle, and in its letters' case.
            ("vendor-1234-larg", "vendor-1234-large"),
            ("wendor-1234-large", "vendor-1234-large"),
            ("vendor-1234-lagre", "vendor-1234-large"),
            ("gtp-4o", "gpt-4o"),
            ("claude-opus5", "Claude-Opus-5"),
            ("CLAUD-OPUS-5", "Claude-Opus-5"),
        ] {
            assert_eq!(index.close(asked).first().unwrap(), expect, "{asked}");
        }
        assert_eq!(index.close("zzzzzz"), [""; 0]);
        for asked in ["vendor-1234-larg", "", "~", "0", "vendor-", "model"] {
            let near = index.near(asked);
            assert!(near.len() <= COMPARED, "{asked}");
            let mut once: Vec<&str> = near.iter().map(|name| name.written()).collect();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), near.len(), "{asked}");
        }
    }

    #[test]
    fn of_few_names_all_are_compared() {
        let index = Index::new(["B", "b", "a", "b"].into_iter());
        assert_eq!(index.near("x").len(), 3);
        assert_eq!(index.close("b"), ["B", "b"]);
        assert_eq!(Index::default().close("b"), [""; 0]);
    }

    #[test]
    fn long_names_are_not_compared() {
        let long = "m".repeat(LONGEST + 1);
        assert!(Index::new([long.as_str()].into_iter()).names.is_empty());
        let snapshot = Snapshot::default();
        assert_eq!(snapshot.known.close(&snapshot, &long), [""; 0]);
    }
}
