//! Fields of an endpoint as flags of a command, and back.
//!
//! One field has one flag everywhere: `expires_at` is `--expires` and takes `30d`, what refers to something takes its name, and a
//! secret is asked for without echo or read from standard input, since others see a command line.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::document::{Field, Operation, Shape};
use super::limits;
use super::naming;
use crate::{Failed, when};

/// What the flag of a field is called.
pub(crate) fn called(field: &Field) -> String {
    let name = match field.name.as_str() {
        "allow_models" => "models",
        "expires_at" => "expires",
        "model_map" => "map",
        // As issuers call it: it is the id, and refers to nothing here.
        "client_id" => "client_id",
        name => ["_id", "_seconds", "_at"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name),
    };
    let name = name.replace('_', "-");
    if OURS.contains(&name.as_str()) {
        return format!("new-{name}");
    }
    name
}

/// Flags that every command has, or the engine: no field takes their names.
const OURS: [&str; 16] = [
    "config",
    "csv",
    "data",
    "detach",
    "file",
    "help",
    "html",
    "json",
    "limit",
    "no-limits",
    "only",
    "out",
    "quiet",
    "server",
    "token",
    "yes",
];

/// By what the flag of a field is known among the others.
pub(crate) fn id(field: &Field) -> String {
    format!("field:{}", field.name)
}

/// The flags of what lists are filtered by; and the page is the engine's.
pub(crate) fn of_query(operation: &Operation) -> Vec<Arg> {
    let fields = operation.query.iter();
    let (mut args, mut forms) = (Vec::new(), false);
    for field in fields {
        match field.name.as_str() {
            "limit" | "cursor" | "fields" => {}
            // One that is no table and no page has forms of its own.
            "format" if matches!(field.shape, Shape::OneOf(_)) => {
                args.push(flag(field));
                let out = Arg::new("out").long("out").value_name("FILE");
                args.push(out.help("Into this new file, which nobody else can read"));
            }
            "format" => forms = true,
            _ => args.push(flag(field)),
        }
    }
    if forms {
        let form = |name: &'static str, help: &'static str| {
            let arg = Arg::new(name).long(name).action(ArgAction::SetTrue);
            arg.help(help)
        };
        args.push(form("csv", "As CSV").conflicts_with_all(["html", "json"]));
        args.push(form("html", "As a page to print").conflicts_with("json"));
        args.push(
            Arg::new("out").long("out").value_name("FILE").help(
                "Into this new file, which nobody else can read; one called .csv or .html is of that form",
            ),
        );
    }
    args
}

/// The form that is asked for; `None`: JSON.
fn form(matches: &ArgMatches) -> Option<&'static str> {
    let out = given::<String>(matches, "out").map_or("", String::as_str);
    let called = |end: &str| {
        let extension = std::path::Path::new(out).extension();
        extension.is_some_and(|extension| extension.eq_ignore_ascii_case(end))
    };
    ["csv", "html"]
        .into_iter()
        .find(|form| on(matches, form) || called(form))
}

/// The flags of what is made or changed. `without`: fields that are said otherwise.
pub(crate) fn of_body(operation: &Operation, changes: bool, without: &[&str]) -> Vec<Arg> {
    let mut args = Vec::new();
    if operation.raw.is_some() {
        let file = Arg::new("file").value_name("FILE").required(true);
        return vec![file.help("What is sent, from a file or from standard input (-)")];
    }
    for field in &operation.body {
        if without.contains(&field.name.as_str()) {
            continue;
        }
        match field.name.as_str() {
            "limits" => args.extend(limits::flags()),
            "blocked" if changes => {
                let help = "Refuse everything, also of what belongs to it";
                let block = Arg::new("block").long("block").action(ArgAction::SetTrue);
                args.push(block.help(help).conflicts_with("unblock"));
                let unblock = Arg::new("unblock")
                    .long("unblock")
                    .action(ArgAction::SetTrue);
                args.push(unblock.help("Let it in again"));
            }
            _ => {
                let arg = flag(field);
                // What the file says needs no flag, and of what changes nothing must be said.
                args.push(arg);
            }
        }
    }
    let free = operation.body.is_empty();
    let json = operation.body.iter();
    let json = json
        .filter(|field| field.name != "limits")
        .any(|field| field.shape == Shape::Json);
    let taken = operation.body.iter().any(|field| called(field) == "file");
    if operation.has_body && (free || json) && !taken {
        args.push(
            Arg::new("file")
                .long("file")
                .value_name("FILE")
                .help("The whole of it as JSON from a file, or from standard input (-); flags count before it"),
        );
    }
    args
}

fn flag(field: &Field) -> Arg {
    let name = called(field);
    let arg = Arg::new(id(field)).long(name.clone());
    let about = match in_our_words(&field.name) {
        Some(about) => about.to_owned(),
        None => first_sentence(&field.about),
    };
    let upper = name.replace('-', "_").to_uppercase();
    let arg = match &field.shape {
        Shape::Text => match naming::of_field(&field.name) {
            Some(naming) => arg.value_name(naming.value_name()),
            None => arg.value_name(upper),
        },
        Shape::Time => arg.value_name("TIME"),
        Shape::Integer if field.name.ends_with("_seconds") => arg.value_name("TIME"),
        Shape::Integer | Shape::Number => arg.value_name("N").allow_negative_numbers(true),
        Shape::Boolean => arg
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(PossibleValuesParser::new(["true", "false"]))
            .hide_possible_values(true),
        Shape::OneOf(words) => {
            let words: Vec<String> = words.iter().map(|word| word.replace('_', "-")).collect();
            arg.value_parser(PossibleValuesParser::new(words))
                .value_name(upper)
        }
        Shape::Texts => arg
            .value_name(upper)
            .value_delimiter(',')
            .action(ArgAction::Append),
        Shape::Pairs => arg.value_name("NAME=VALUE").action(ArgAction::Append),
        Shape::Json => arg.value_name("JSON"),
        Shape::Secret => {
            let help = format!("{about} (asked for without echo, or a line of standard input)");
            return arg
                .action(ArgAction::SetTrue)
                .help(help.trim_start().to_owned());
        }
    };
    let more = match &field.shape {
        Shape::Time if past(&field.name) => ": how long ago (24h, 7d) or a date (2026-11-30)",
        Shape::Time => ": how long from now (30d, 12h), a date (2027-01-01), or never",
        Shape::Texts => ", with commas; '' for none",
        Shape::Pairs => "; may be given several times, and takes the place of all",
        Shape::Text
        | Shape::Secret
        | Shape::Integer
        | Shape::Number
        | Shape::Boolean
        | Shape::OneOf(_)
        | Shape::Json => "",
    };
    arg.help(
        format!("{about}{more}")
            .trim_start_matches([',', ';', ':', ' '])
            .to_owned(),
    )
}

/// What is the same on every level is told in the words of commands.
fn in_our_words(name: &str) -> Option<&'static str> {
    Some(match name {
        "name" => "What it is called",
        "blocked" => "Refuse everything, also of what belongs to it",
        "models" => "Only these models may be asked for: names and patterns (gpt-*)",
        "deny_models" => "These models may not be asked for: names and patterns",
        "plan" => "The plan whose prices are charged; '' for that of the level above",
        "expires_at" => "When it ends",
        "kind" => {
            "What it is for: inference asks models, management sees and changes the gateway, read-only sees it"
        }
        "tags" => "Words that routes can ask for",
        "doors" => "The dialects that it may be answered in: chat, responses, messages, gemini",
        "addresses" => "Where requests may come from: addresses and networks (10.0.0.0/8)",
        "model_map" => "A model that is asked instead: fast=gpt-4o-mini",
        "hides_headers" => "Leave the x-lingate-… headers out of its answers",
        "project" => "ORGANIZATION/PROJECT, or an id",
        "user" => "Whose key it is: ORGANIZATION/USER, or an id; '' for nobody's",
        "organization" => "Its name or id",
        "overlap_seconds" => {
            "How long the secrets that it has now are accepted besides: 24h, 30m, 7d; without it, no longer"
        }
        "name_prefix" => "Only those whose name begins so",
        "sort" => "By what the list is sorted; - in front turns it round",
        _ => return None,
    })
}

fn past(name: &str) -> bool {
    ["since", "until", "from", "to", "after", "before"].contains(&name)
}

/// As the others' helps are: without the full stop of the document.
fn first_sentence(about: &str) -> String {
    let line = about.split("\n\n").next().unwrap_or("").replace('\n', " ");
    let end = line.find(". ").unwrap_or(line.len());
    line[..end].trim_end_matches('.').replace('`', "")
}

/// The query that the flags ask for.
pub(crate) async fn query(
    operation: &Operation,
    matches: &ArgMatches,
    desk: &Desk,
) -> Result<Vec<(String, String)>, Failed> {
    let mut query = Vec::new();
    for field in &operation.query {
        if field.name == "format" && !matches!(field.shape, Shape::OneOf(_)) {
            query.extend(form(matches).map(|form| ("format".to_owned(), form.to_owned())));
            continue;
        }
        let said = said(field, matches, desk).await?;
        match said {
            None | Some(Value::Null) => {}
            Some(Value::Array(items)) => {
                let items = items.iter().filter_map(Value::as_str);
                query.push((field.name.clone(), items.collect::<Vec<_>>().join(",")));
            }
            Some(Value::String(text)) => query.push((field.name.clone(), text)),
            Some(other) => query.push((field.name.clone(), other.to_string())),
        }
    }
    Ok(query)
}

/// The body that the flags ask for.
pub(crate) async fn body(
    operation: &Operation,
    matches: &ArgMatches,
    changes: bool,
    desk: &Desk,
) -> Result<Map<String, Value>, Failed> {
    let mut body = match given::<String>(matches, "file") {
        Some(file) => file_of(file)?,
        None => Map::new(),
    };
    for field in &operation.body {
        let value = match field.name.as_str() {
            "limits" => limits::said(matches)?,
            "blocked" if changes => match (on(matches, "block"), on(matches, "unblock")) {
                (true, _) => Some(Value::Bool(true)),
                (_, true) => Some(Value::Bool(false)),
                (false, false) => None,
            },
            _ => said(field, matches, desk).await?,
        };
        let Some(value) = value else { continue };
        // What is unset by a change is left out of what is made.
        if !value.is_null() || changes {
            body.insert(field.name.clone(), value);
        } else {
            body.remove(&field.name);
        }
    }
    Ok(body)
}

/// What was said for a field; `None`: nothing.
async fn said(field: &Field, matches: &ArgMatches, desk: &Desk) -> Result<Option<Value>, Failed> {
    let (name, id) = (field.name.as_str(), id(field));
    let id = id.as_str();
    if field.shape == Shape::Secret {
        let asked = on(matches, id);
        let known = matches.try_contains_id(id).is_ok();
        if known && (asked || field.required) {
            return secret(field).map(|secret| Some(Value::String(secret)));
        }
        return Ok(None);
    }
    if matches!(field.shape, Shape::Texts | Shape::Pairs) {
        let Ok(Some(said)) = matches.try_get_many::<String>(id) else {
            return Ok(None);
        };
        let said: Vec<&str> = said
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        if field.shape == Shape::Texts {
            return Ok(Some(json!(said)));
        }
        let mut pairs = Map::new();
        for pair in said {
            let (from, to) = pair
                .split_once('=')
                .map(|(from, to)| (from.trim(), to.trim()))
                .filter(|(from, to)| !from.is_empty() && !to.is_empty())
                .ok_or_else(|| {
                    Failed::usage(format!("--{} '{pair}': write NAME=VALUE", called(field)))
                })?;
            pairs.insert(from.to_owned(), json!(to));
        }
        return Ok(Some(Value::Object(pairs)));
    }
    let Some(text) = given::<String>(matches, id).map(|text| text.trim()) else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(Some(Value::Null));
    }
    let wrong = |what: &str| Failed::usage(format!("--{} '{text}': {what}", called(field)));
    Ok(Some(match &field.shape {
        Shape::Text => match naming::of_field(name) {
            Some(naming) => Value::String(naming.id(text, desk).await?),
            // Words of the API are written with underscores, those of commands with hyphens.
            None if name == "kind" => Value::String(text.replace('-', "_")),
            None => Value::String(text.to_owned()),
        },
        Shape::Time => {
            let now = when::now();
            let moment = if past(name) {
                Some(when::gone_by(text, now)?)
            } else {
                when::to_come(text, now)?
            };
            moment.map_or(Value::Null, |moment| Value::String(when::shown(moment)))
        }
        Shape::Integer if name.ends_with("_seconds") => json!(when::lasting(text)? / 1000),
        Shape::Integer => {
            let number: i64 = text.parse().map_err(|_| wrong("write a whole number"))?;
            json!(number)
        }
        Shape::Number => {
            let number: serde_json::Number = text.parse().map_err(|_| wrong("write a number"))?;
            Value::Number(number)
        }
        Shape::Boolean => Value::Bool(text == "true"),
        Shape::OneOf(words) => {
            let word = words.iter().find(|word| word.replace('_', "-") == text);
            Value::String(word.cloned().unwrap_or_else(|| text.to_owned()))
        }
        Shape::Json => serde_json::from_str(text)
            .map_err(|error| wrong(&format!("this is no JSON: {error}")))?,
        Shape::Texts | Shape::Pairs | Shape::Secret => Value::Null,
    }))
}

/// A flag that takes a value; `None`: not given, or no flag of this command.
pub(crate) fn given<'a, T: Clone + Send + Sync + 'static>(
    matches: &'a ArgMatches,
    name: &str,
) -> Option<&'a T> {
    matches.try_get_one::<T>(name).ok().flatten()
}

/// A flag that takes none.
pub(crate) fn on(matches: &ArgMatches, name: &str) -> bool {
    given::<bool>(matches, name).copied().unwrap_or(false)
}

/// What nobody else is to see: from a variable, from a terminal that does not show it, or as a line of standard input.
fn secret(field: &Field) -> Result<String, Failed> {
    let variable = format!("LINGATE_{}", field.name.to_uppercase());
    if let Ok(value) = std::env::var(&variable)
        && !value.is_empty()
    {
        return Ok(value);
    }
    ask_secret(&called(field).replace('-', " "))
}

/// What others may see, from a terminal or as a line of standard input.
pub(crate) fn ask_line(what: &str) -> Result<String, Failed> {
    if io::stdin().is_terminal() {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{what}: ")?;
        stderr.flush()?;
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    match line.trim() {
        "" => Err(Failed::usage(format!("the {what} is missing"))),
        line => Ok(line.to_owned()),
    }
}

/// `what`: the word that is shown where it is asked for.
pub(crate) fn ask_secret(what: &str) -> Result<String, Failed> {
    let read = if io::stdin().is_terminal() {
        let mut shown = what.to_owned();
        if let Some(first) = shown.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        rpassword::prompt_password(format!("{shown}: "))?
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if read.is_empty() {
        return Err(Failed::usage(format!(
            "the {what} is missing: write it into standard input"
        )));
    }
    Ok(read)
}

fn file_of(file: &str) -> Result<Map<String, Value>, Failed> {
    let text = contents(file)?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Failed::usage(format!("{file}: this is no JSON object"))),
        Err(error) => Err(Failed::usage(format!("{file}: {error}"))),
    }
}

/// What is in a file, or comes in (`-`).
pub(crate) fn contents(file: &str) -> Result<Vec<u8>, Failed> {
    let mut text = Vec::new();
    if file == "-" {
        io::stdin().lock().read_to_end(&mut text)?;
        return Ok(text);
    }
    std::fs::read(file).map_err(|error| Failed::new(format!("{file}: {error}")))
}
