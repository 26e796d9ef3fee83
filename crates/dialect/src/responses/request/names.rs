//! The hub's names of tools: those in namespaces made flat, and those that have a type instead of a name given one.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::flat;
use crate::responses::Form;

/// Every tool of one request that is called by another name in the hub than in its declaration, and all names in use.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
    /// The number that the next one of a name in use gets.
    numbers: BTreeMap<String, u32>,
    /// Namespace and name in it, name in the hub.
    spaced: BTreeMap<(String, String), String>,
    /// Type, name in the hub.
    typed: BTreeMap<String, String>,
}

impl Names {
    /// Whether a tool of this name was declared.
    pub(super) fn has(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    pub(super) fn has_spaced(&self, space: &str, name: &str) -> bool {
        self.find_spaced(space, name).is_some()
    }

    pub(super) fn take(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// Declares a tool of a namespace.
    pub(super) fn take_spaced(&mut self, space: &str, name: &str) -> String {
        let flat = self.unused(&flat(space, name));
        self.spaced
            .entry((space.to_owned(), name.to_owned()))
            .or_insert_with(|| flat.clone());
        flat
    }

    /// Declares a tool that has a type and no name: `local_shell`, `shell`, `apply_patch`.
    pub(super) fn take_typed(&mut self, kind: &str) -> String {
        let name = self.unused(kind);
        self.typed
            .entry(kind.to_owned())
            .or_insert_with(|| name.clone());
        name
    }

    fn unused(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        let number = self.numbers.entry(free.clone()).or_insert(2);
        while self.taken.contains(&free) {
            free = format!("{name}_{number}");
            *number = number.saturating_add(1);
        }
        self.taken.insert(free.clone());
        free
    }

    fn find_spaced(&self, space: &str, name: &str) -> Option<&str> {
        let known = (space.to_owned(), name.to_owned());
        self.spaced.get(&known).map(String::as_str)
    }

    /// The hub's name of the tool that is called so; history may call tools that are no longer declared.
    pub(super) fn of(&self, space: Option<&str>, name: &str) -> String {
        match space {
            Some(space) => match self.find_spaced(space, name) {
                Some(flat) => flat.to_owned(),
                None if self.has(name) => name.to_owned(),
                None => flat(space, name),
            },
            None => name.to_owned(),
        }
    }

    pub(super) fn of_type(&self, kind: &str) -> String {
        self.typed.get(kind).map_or(kind, |name| name).to_owned()
    }
}

/// The form in which a tool of this type is called.
pub(super) fn form_of_type(kind: &str) -> Option<Form> {
    match kind {
        "local_shell" => Some(Form::LocalShell),
        "shell" => Some(Form::Shell),
        "apply_patch" => Some(Form::ApplyPatch),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_number() {
        let mut names = Names::default();
        let last = (0..100_000).map(|_| names.take_typed("shell")).last();
        assert_eq!(last.as_deref(), Some("shell_100000"));
        assert_eq!(names.of_type("shell"), "shell");
        names.take("a__b");
        assert_eq!(names.take_spaced("a", "b"), "a__b_2");
        assert_eq!(names.take_spaced("a", "b"), "a__b_3");
        assert_eq!(names.of(Some("a"), "b"), "a__b_2");
    }
}
