//! The hub's names of tools: those in namespaces made flat, and those that have a type instead of a name given one.

use crate::responses::Form;

/// Every tool of one request that is called by another name in the hub than in its declaration, and all names in use.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: Vec<String>,
    /// Namespace, name in it, name in the hub.
    spaced: Vec<(String, String, String)>,
    /// Type, name in the hub.
    typed: Vec<(String, String)>,
}

impl Names {
    /// Whether a tool of this name was declared.
    pub(super) fn has(&self, name: &str) -> bool {
        self.taken.iter().any(|taken| taken == name)
    }

    pub(super) fn has_spaced(&self, space: &str, name: &str) -> bool {
        self.find_spaced(space, name).is_some()
    }

    pub(super) fn take(&mut self, name: &str) {
        self.taken.push(name.to_owned());
    }

    /// Declares a tool of a namespace.
    pub(super) fn take_spaced(&mut self, space: &str, name: &str) -> String {
        let flat = self.unused(&flat(space, name));
        self.spaced
            .push((space.to_owned(), name.to_owned(), flat.clone()));
        flat
    }

    /// Declares a tool that has a type and no name: `local_shell`, `shell`, `apply_patch`.
    pub(super) fn take_typed(&mut self, kind: &str) -> String {
        let name = self.unused(kind);
        self.typed.push((kind.to_owned(), name.clone()));
        name
    }

    fn unused(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        let mut count = 1_u32;
        while self.has(&free) {
            count += 1;
            free = format!("{name}_{count}");
        }
        self.taken.push(free.clone());
        free
    }

    fn find_spaced(&self, space: &str, name: &str) -> Option<&str> {
        let found = self
            .spaced
            .iter()
            .find(|(other, inner, _)| other == space && inner == name);
        found.map(|(_, _, flat)| flat.as_str())
    }

    /// The hub's name of the tool that is called so; history may call tools that are no longer declared.
    pub(super) fn of(&self, space: Option<&str>, name: &str) -> String {
        match space {
            Some(space) => match self.find_spaced(space, name) {
                Some(flat) => flat.to_owned(),
                // A tool that was searched for has a namespace of its own, and no namespace in its declaration.
                None if space == name || self.has(name) => name.to_owned(),
                None => flat(space, name),
            },
            None => name.to_owned(),
        }
    }

    pub(super) fn of_type(&self, kind: &str) -> String {
        let found = self.typed.iter().find(|(other, _)| other == kind);
        found.map_or(kind, |(_, name)| name).to_owned()
    }
}

pub(super) fn flat(space: &str, name: &str) -> String {
    let between = if space.ends_with("__") { "" } else { "__" };
    format!("{space}{between}{name}")
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
