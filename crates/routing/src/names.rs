//! Which of many patterns may match a name, without trying them all.

use aho_corasick::AhoCorasick;
use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};
use regex_syntax::hir::{Hir, HirKind, Look};
use rustc_hash::FxHashMap;

use crate::Pattern;

/// Patterns, sorted into groups by what a name must contain for them to match. One pass over a name finds the groups worth
/// trying: those of its beginnings, its ends and its pieces, that of the whole name, and [`Names::EVERY`], which holds patterns
/// that need nothing (`*`, `/^[a-z]+$/`).
#[derive(Debug, Default)]
pub(crate) struct Names {
    exact: FxHashMap<Box<str>, u32>,
    /// `None` where there are no literals; and where there are too many for an automaton, so that all of them are worth trying.
    automaton: Option<AhoCorasick>,
    /// For each literal of the automaton.
    groups: Vec<Places>,
}

/// The groups of those patterns that want a literal at the beginning, at the end, or anywhere.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    start: Option<u32>,
    end: Option<u32>,
    anywhere: Option<u32>,
}

/// Makes [`Names`].
#[derive(Debug, Default)]
pub(crate) struct Sorter {
    exact: FxHashMap<Box<str>, u32>,
    literals: FxHashMap<Box<[u8]>, usize>,
    groups: Vec<Places>,
    last: u32,
}

impl Names {
    /// The group that is worth trying for every name.
    pub(crate) const EVERY: u32 = 0;

    /// The groups in which a pattern may match, each once.
    pub(crate) fn groups(&self, name: &str) -> Vec<u32> {
        let mut found = Vec::with_capacity(4);
        found.push(Self::EVERY);
        found.extend(self.exact.get(name));
        if let Some(automaton) = &self.automaton {
            for hit in automaton.find_overlapping_iter(name) {
                let Some(places) = self.groups.get(hit.pattern().as_usize()) else {
                    continue;
                };
                found.extend(places.start.filter(|_| hit.start() == 0));
                found.extend(places.end.filter(|_| hit.end() == name.len()));
                found.extend(places.anywhere);
            }
        } else {
            for places in &self.groups {
                found.extend(places.start);
                found.extend(places.end);
                found.extend(places.anywhere);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Sorter {
    /// The groups that a pattern belongs to; a name that it matches leads to one of them at least.
    pub(crate) fn sort(&mut self, pattern: &Pattern) -> Vec<u32> {
        match pattern {
            Pattern::Exact(name) => {
                let last = &mut self.last;
                let group = self.exact.entry(name.as_str().into()).or_insert_with(|| {
                    *last += 1;
                    *last
                });
                vec![*group]
            }
            Pattern::Glob(_) | Pattern::Regex(_) => match need(pattern) {
                None => vec![Names::EVERY],
                Some(need) => {
                    let literals = need.literals.iter();
                    literals
                        .map(|literal| self.group(need.place, literal))
                        .collect()
                }
            },
        }
    }

    fn group(&mut self, place: Place, literal: &[u8]) -> u32 {
        let known = self.literals.get(literal).copied().unwrap_or_else(|| {
            self.literals.insert(literal.into(), self.groups.len());
            self.groups.push(Places::default());
            self.groups.len() - 1
        });
        let last = &mut self.last;
        let new = || {
            *last += 1;
            *last
        };
        match (self.groups.get_mut(known), place) {
            (Some(places), Place::Start) => *places.start.get_or_insert_with(new),
            (Some(places), Place::End) => *places.end.get_or_insert_with(new),
            (Some(places), Place::Anywhere) => *places.anywhere.get_or_insert_with(new),
            (None, _) => Names::EVERY,
        }
    }

    pub(crate) fn finish(self) -> Names {
        let mut literals: Vec<(usize, Box<[u8]>)> = self
            .literals
            .into_iter()
            .map(|(literal, place)| (place, literal))
            .collect();
        literals.sort_unstable();
        let automaton = (!literals.is_empty())
            .then(|| AhoCorasick::new(literals.iter().map(|(_, literal)| literal)).ok())
            .flatten();
        Names {
            exact: self.exact,
            automaton,
            groups: self.groups,
        }
    }
}

/// One of these literals is in every name that a pattern matches.
struct Need {
    place: Place,
    literals: Vec<Vec<u8>>,
}

#[derive(Clone, Copy)]
enum Place {
    Start,
    End,
    Anywhere,
}

/// So many literals for one expression; it may be one that minds no case, with every spelling of its first letters.
const LITERALS: usize = 16;

/// `None`: nothing can be said.
fn need(pattern: &Pattern) -> Option<Need> {
    match pattern {
        Pattern::Exact(_) => None,
        Pattern::Glob(glob) => {
            let head = glob.split('*').next().unwrap_or_default();
            let tail = glob.rsplit('*').next().unwrap_or_default();
            let (place, literal) = if head.len() >= tail.len() && !head.is_empty() {
                (Place::Start, head)
            } else if !tail.is_empty() {
                (Place::End, tail)
            } else {
                let longest = glob.split('*').max_by_key(|piece| piece.len());
                (Place::Anywhere, longest.unwrap_or_default())
            };
            (!literal.is_empty()).then(|| Need {
                place,
                literals: vec![literal.into()],
            })
        }
        Pattern::Regex(expression) => {
            let hir = regex_syntax::parse(expression.as_str()).ok()?;
            let looks = hir.properties();
            let start = looks.look_set_prefix().contains(Look::Start);
            let end = looks.look_set_suffix().contains(Look::End);
            let mut needs = Vec::new();
            if start {
                let literals = literals(&hir, ExtractKind::Prefix);
                needs.extend(literals.map(|literals| (Place::Start, literals)));
            }
            if end {
                let literals = literals(&hir, ExtractKind::Suffix);
                needs.extend(literals.map(|literals| (Place::End, literals)));
            }
            if needs.is_empty() {
                // `.*flash.*` needs `flash`: each part of a sequence is in the name, with what follows it.
                let mut whole = &hir;
                while let HirKind::Capture(capture) = whole.kind() {
                    whole = &capture.sub;
                }
                let parts = match whole.kind() {
                    HirKind::Concat(parts) => parts.as_slice(),
                    _ => std::slice::from_ref(whole),
                };
                for from in 0..parts.len() {
                    let rest = Hir::concat(parts.get(from..).unwrap_or_default().to_vec());
                    let literals = literals(&rest, ExtractKind::Prefix);
                    needs.extend(literals.map(|literals| (Place::Anywhere, literals)));
                }
            }
            needs
                .into_iter()
                .max_by_key(|(_, literals)| literals.iter().map(Vec::len).min())
                .map(|(place, literals)| Need { place, literals })
        }
    }
}

fn literals(hir: &Hir, kind: ExtractKind) -> Option<Vec<Vec<u8>>> {
    let mut found: Seq = Extractor::new()
        .kind(kind)
        .limit_total(LITERALS)
        .extract(hir);
    found.dedup();
    let found = found.literals()?;
    let useful = !found.is_empty() && found.iter().all(|literal| !literal.is_empty());
    useful.then(|| {
        found
            .iter()
            .map(|literal| literal.as_bytes().to_vec())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_must_contain() {
        for (pattern, expect) in [
            ("gpt-*", "start gpt-"),
            ("*-mini", "end -mini"),
            ("gpt-*-mini-high", "end -mini-high"),
            ("*a*flash*b*", "anywhere flash"),
            ("*", "nothing"),
            ("/^claude-3/", "start claude-3"),
            ("/^(gpt|claude)-/", "start gpt- claude-"),
            ("/^(gpt|claude)-[a-z]+-mini$/", "end -mini"),
            ("/mini$/", "end mini"),
            ("/flash/", "anywhere flash"),
            ("/.*flash.*/", "anywhere flash"),
            ("/^.*flash.*$/", "anywhere flash"),
            ("/^(.*)(opus|sonnet)/", "anywhere opus sonnet"),
            ("/^(?i)gpt/", "start GPT GPt GpT Gpt gPT gPt gpT gpt"),
            ("/(?m)^gpt/", "anywhere gpt"),
            ("/^a|^b/", "start a b"),
            ("/^a|b/", "anywhere a b"),
            ("/^(a|b)?/", "nothing"),
            ("/^[a-z]+$/", "nothing"),
            ("/a*/", "nothing"),
            (r"/\bflash\b/", "anywhere flash"),
        ] {
            let need = need(&Pattern::parse(pattern).unwrap());
            let found = need.map_or("nothing".to_owned(), |need| {
                let place = match need.place {
                    Place::Start => "start",
                    Place::End => "end",
                    Place::Anywhere => "anywhere",
                };
                let literals = need.literals.iter();
                literals.fold(place.to_owned(), |said, literal| {
                    format!("{said} {}", String::from_utf8_lossy(literal))
                })
            });
            assert_eq!(found, expect, "{pattern}");
        }
    }
}
