//! Commands for what the control plane manages: one engine, to which a resource is a description.
//!
//! A command asks the endpoints of the REST API, in this process on the local store or over HTTP. Its flags are made of what the
//! OpenAPI document says of the endpoint, so that what the API takes can be said here, and is called the same.

mod described;
mod desk;
mod document;
mod flag;
mod follow;
mod limits;
mod naming;
mod perform;
pub(crate) mod shown;
mod trouble;
mod words;

use clap::{Arg, ArgAction, ArgMatches, Args as _, Command};

use crate::Failed;
pub(crate) use desk::{Desk, Place};
pub(crate) use flag::{ask_line, ask_secret, contents};
use naming::Naming;
pub(crate) use trouble::told;

/// A kind of thing that the API manages.
#[derive(Debug)]
pub(crate) struct Resource {
    /// `organizations`
    pub(crate) command: &'static str,
    /// `organization`
    pub(crate) noun: &'static str,
    pub(crate) about: &'static str,
    pub(crate) after_help: &'static str,
    /// What `{id}` in a path stands for.
    pub(crate) naming: Naming,
    /// Of the table of a list.
    pub(crate) columns: &'static [&'static str],
    pub(crate) verbs: &'static [Verb],
}

/// Something that is done with it: one endpoint.
#[derive(Debug)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) does: Does,
}

/// What a verb is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    List,
    /// Another list than that of its kind, with these columns.
    Columns(&'static [&'static str]),
    Show,
    /// Makes one, of a name.
    Create,
    /// Changes some of it.
    Update,
    /// Sets one field of it, and is `PATCH`.
    Set(&'static str, bool),
    /// Does something with it.
    Act,
    /// Destroys something, after it was asked whether it is meant. In the text, `{}` is the name.
    Destroy {
        warning: &'static str,
        /// What belongs to it and goes with it, or stands in its way: what it is, its list, and the parameter that leaves its own.
        belongs: &'static [(&'static str, &'static str, &'static str)],
    },
}

impl Verb {
    fn operation(&self) -> Option<document::Operation> {
        document::operation(document::document(), self.method, self.path)
    }
}

/// The command lines of all resources, beside the commands that there are: what one of those has already stays as it is.
pub(crate) fn commands(mut root: Command) -> Command {
    for resource in described::all() {
        let there = root.find_subcommand(resource.command);
        let mut command = there.cloned().unwrap_or_else(|| {
            Command::new(resource.command)
                .about(resource.about)
                .after_help(resource.after_help)
                .subcommand_required(true)
                .arg_required_else_help(true)
        });
        let is_new = there.is_none();
        for verb in resource.verbs {
            let name = free(&command, verb.name);
            let taken = command.find_subcommand(name).is_some();
            if let (Some(operation), false) = (verb.operation(), taken) {
                command = command.subcommand(line(resource, verb, &operation).name(name));
            }
        }
        if !command.has_subcommands() {
            continue;
        }
        root = if is_new {
            root.subcommand(command)
        } else {
            root.mut_subcommand(resource.command, |_| command)
        };
    }
    root
}

/// What a verb is called beside the commands that there are: `prices list` tells what is known of prices, wherever from, and
/// `prices list-documents` what is defined and can be changed.
fn free(there: &Command, name: &'static str) -> &'static str {
    match name {
        _ if there.find_subcommand(name).is_none() => name,
        "list" => "list-documents",
        "show" => "show-document",
        name => name,
    }
}

/// What a resource's command does; `None`: it is none of ours. `own`: the commands that are there without us.
pub(crate) fn run(own: &Command, name: &str, matches: &ArgMatches) -> Option<Result<u8, Failed>> {
    let (verb, matches) = matches.subcommand()?;
    let own = own.find_subcommand(name);
    if own.is_some_and(|own| own.find_subcommand(verb).is_some()) {
        return None;
    }
    let called = |known: &Verb| own.map_or(known.name, |own| free(own, known.name));
    let resources = described::all().filter(|resource| resource.command == name);
    let mut verbs =
        resources.flat_map(|resource| resource.verbs.iter().map(move |verb| (resource, verb)));
    let (resource, verb) = verbs.find(|(_, known)| called(known) == verb)?;
    Some(perform::perform(resource, verb, matches))
}

fn line(resource: &Resource, verb: &Verb, operation: &document::Operation) -> Command {
    let mut command = Command::new(verb.name).about(verb.about);
    for parameter in &operation.path {
        let naming = parameter_naming(resource, parameter);
        command = command.arg(
            Arg::new(format!("in:{parameter}"))
                .value_name(naming.value_name())
                .help(naming.help())
                .required(true),
        );
    }
    match verb.does {
        Does::List | Does::Columns(_) => {
            command = command.args(flag::of_query(operation)).arg(
                Arg::new("most")
                    .long("limit")
                    .value_name("N")
                    .value_parser(clap::value_parser!(u64).range(1..))
                    .help("At most so many; without it, all"),
            );
        }
        Does::Show | Does::Set(..) => command = command.args(flag::of_query(operation)),
        Does::Create => {
            let said = perform::said_by_name(resource, operation);
            if let Some(name) = said.value_name {
                let mut body = operation.body.iter();
                let needed = body.all(|field| field.name != "name" || field.required);
                let arg = Arg::new("name").value_name(name).required(needed);
                command = command.arg(arg.help(said.help));
            }
            command = command.args(flag::of_query(operation)).args(flag::of_body(
                operation,
                false,
                said.fields,
            ));
            if resource.naming == Naming::Key {
                command =
                    command.mut_arg("field:project", |project| project.default_value("default"));
            }
        }
        Does::Update => command = command.args(flag::of_body(operation, true, &[])),
        Does::Act => {
            command =
                command
                    .args(flag::of_query(operation))
                    .args(flag::of_body(operation, false, &[]));
        }
        Does::Destroy { .. } => {
            command =
                command
                    .args(flag::of_query(operation))
                    .args(flag::of_body(operation, false, &[]));
            command = crate::local::Sure::augment_args(command);
        }
    }
    if operation.begins_job {
        command = command.args(follow::flags());
    }
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
    command = command.arg(json.help("As JSON, for scripts: what the API answers"));
    if !matches!(verb.does, Does::List | Does::Columns(_)) {
        let only = Arg::new("only").long("only").value_name("FIELD");
        command = command.arg(
            only.conflicts_with("json")
                .help("Nothing but this field of what the API answers, such as id or secret"),
        );
    }
    // Flags that are put together leave their own description.
    desk::Place::augment_args(command).about(verb.about)
}

/// What stands for a parameter of a path.
fn parameter_naming(resource: &Resource, parameter: &str) -> Naming {
    if ["id", "name"].contains(&parameter) {
        return resource.naming;
    }
    naming::of_field(parameter).unwrap_or(Naming::Plain("ID"))
}

#[cfg(test)]
mod tests {
    /// No field of an endpoint takes the name of another flag, and no example is out of date.
    #[test]
    fn all_command_lines_hold_together() {
        crate::command().debug_assert();
    }
}
