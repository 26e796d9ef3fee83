//! A verb, done: names become ids, flags a request, and what is answered is told.

use bytes::Bytes;
use clap::{ArgMatches, FromArgMatches as _};
use http::Method;
use serde_json::{Value, json};

use super::desk::{Desk, Place};
use super::document::Operation;
use super::flag::{self, given, on};
use super::naming::Naming;
use super::{Does, Resource, Verb, follow, parameter_naming, shown};
use crate::Failed;
use crate::local::Sure;
use crate::remote::segment;

/// What of a new thing is said by the name that the command is given, and by no flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByName {
    pub(crate) value_name: Option<&'static str>,
    pub(crate) help: &'static str,
    pub(crate) fields: &'static [&'static str],
}

const NAME: ByName = ByName {
    value_name: Some("NAME"),
    help: "What it is called",
    fields: &["name"],
};

pub(crate) fn said_by_name(resource: &Resource, operation: &Operation) -> ByName {
    let has = |name: &str| operation.body.iter().any(|field| field.name == name);
    let nothing = ByName {
        value_name: None,
        help: "",
        fields: &[],
    };
    match resource.naming {
        Naming::Organization if !has("name") && has("organization") => ByName {
            value_name: Some("ORGANIZATION"),
            help: "Whose it is: a name or an id",
            fields: &["organization"],
        },
        _ if !has("name") => nothing,
        Naming::Project | Naming::User | Naming::ServiceAccount => ByName {
            value_name: Some(resource.naming.value_name()),
            help: "Its name, behind that of the organization; without one, it is of `default`",
            fields: &["organization", "organization_id", "name"],
        },
        Naming::Organization | Naming::Key | Naming::Listed { .. } | Naming::Plain(_) => NAME,
        Naming::Account => nothing,
    }
}

pub(crate) fn perform(
    resource: &Resource,
    verb: &Verb,
    matches: &ArgMatches,
) -> Result<u8, Failed> {
    let operation = verb
        .operation()
        .ok_or_else(|| Failed::new("this version has no such endpoint"))?;
    let place = Place::of(matches)?;
    let json = on(matches, "json");
    let method: Method = verb.method.parse().map_err(|_| Failed::new("no method"))?;
    if verb.path == EXCHANGE {
        nobody_has_the_old_key(&place)?;
    }
    let how = follow::How::of(matches, &place);
    let told = place.work(async |desk| {
        let path = path(resource, verb, &operation, matches, desk).await?;
        let asked = Asked {
            resource,
            verb,
            operation: &operation,
            matches,
            desk,
            path,
        };
        let told = asked.done(&method).await?;
        match told {
            Told::Json(job) if operation.begins_job => how.follow(desk, job).await.map(Told::Json),
            told => Ok(told),
        }
    })?;
    let told = match told {
        Told::Json(told) => told,
        Told::Text(text) => return shown::document(&text, given::<String>(matches, "out")),
    };
    match verb.does {
        _ if let Some(out) = given::<String>(matches, "out") => {
            shown::document(format!("{told:#}\n").as_bytes(), Some(out))
        }
        _ if let Some(only) = given::<String>(matches, "only") => shown::only(&told, only),
        _ if operation.begins_job => follow::ended(&told, json),
        Does::List => shown::list(resource.columns, &told, json),
        Does::Columns(columns) => shown::list(columns, &told, json),
        Does::Destroy { .. } if told.is_null() => {
            let name = named(&operation, matches);
            shown::done(
                &json!({"deleted": name}),
                &format!("deleted the {} {name}", resource.noun),
                json,
            )
        }
        _ if told.is_null() => shown::done(&json!({}), "done", json),
        _ if told["items"].is_array() => shown::list(resource.columns, &told, json),
        Does::Show
        | Does::Create
        | Does::Update
        | Does::Set(..)
        | Does::Act
        | Does::Destroy { .. } => shown::one(&told, json),
    }
}

/// Exchanges the master key.
const EXCHANGE: &str = "/api/v1/system/rotate-master-key";

/// A gateway that runs on this machine's data would go on sealing with a key that is gone.
fn nobody_has_the_old_key(place: &Place) -> Result<(), Failed> {
    let Some(local) = place.local() else {
        return Ok(());
    };
    let journal = local.first()?.settings.data.join("journal");
    let runs = lingate_journal::is_written(&journal)
        .map_err(|error| Failed::new(format!("{}: {error}", journal.display())))?;
    if runs {
        return Err(Failed::new(
            "a gateway runs on this data, and has to learn the new key: ask it with --server",
        ));
    }
    Ok(())
}

/// The path of the endpoint, with ids for names.
async fn path(
    resource: &Resource,
    verb: &Verb,
    operation: &Operation,
    matches: &ArgMatches,
    desk: &Desk,
) -> Result<String, Failed> {
    let mut path = verb.path.to_owned();
    for parameter in &operation.path {
        let text = given::<String>(matches, &format!("in:{parameter}"));
        let text = text.map_or("", String::as_str);
        let id = parameter_naming(resource, parameter).id(text, desk).await?;
        path = path.replace(&format!("{{{parameter}}}"), &segment(&id));
    }
    Ok(path)
}

/// As the thing was called on the command line.
fn named(operation: &Operation, matches: &ArgMatches) -> String {
    let last = operation.path.last();
    let text = last.and_then(|last| given::<String>(matches, &format!("in:{last}")));
    text.cloned().unwrap_or_default()
}

/// What was answered.
enum Told {
    Json(Value),
    /// A form that is for others to read.
    Text(Bytes),
}

struct Asked<'a> {
    resource: &'a Resource,
    verb: &'a Verb,
    operation: &'a Operation,
    matches: &'a ArgMatches,
    desk: &'a Desk,
    path: String,
}

impl Asked<'_> {
    async fn done(&self, method: &Method) -> Result<Told, Failed> {
        let (matches, desk) = (self.matches, self.desk);
        let query = flag::query(self.operation, matches, desk).await?;
        let body = match self.verb.does {
            Does::List | Does::Columns(_) => {
                let most = given::<u64>(matches, "most").copied();
                let most = most.and_then(|most| usize::try_from(most).ok());
                let items = desk.list(&self.path, &query, most).await?;
                return Ok(Told::Json(json!({"items": items})));
            }
            Does::Show => None,
            Does::Set(field, value) => Some(json!({field: value})),
            Does::Create => {
                let mut body = flag::body(self.operation, matches, false, desk).await?;
                self.name(&mut body).await?;
                Some(Value::Object(body))
            }
            Does::Update => {
                let body = flag::body(self.operation, matches, true, desk).await?;
                if body.is_empty() {
                    return Err(Failed::usage(
                        "say what is to be changed; --help lists what can be",
                    ));
                }
                Some(Value::Object(body))
            }
            Does::Act => self.body().await?,
            Does::Destroy { warning, belongs } => {
                self.sure(warning, belongs).await?;
                self.body().await?
            }
        };
        let mut path = self.path.clone();
        for (place, (name, value)) in query.iter().enumerate() {
            let mark = if place == 0 { '?' } else { '&' };
            path = format!("{path}{mark}{}={}", segment(name), segment(value));
        }
        let answer = match (&self.operation.raw, given::<String>(matches, "file")) {
            (Some(kind), Some(file)) => {
                let body = Bytes::from(flag::contents(file)?);
                desk.send(method, &path, body, kind).await?
            }
            _ => desk.ask(method, &path, body.as_ref()).await?,
        };
        if answer.is_json {
            return answer.json().map(Told::Json);
        }
        Ok(Told::Text(answer.body))
    }

    async fn body(&self) -> Result<Option<Value>, Failed> {
        if !self.operation.has_body || self.operation.raw.is_some() {
            return Ok(None);
        }
        let body = flag::body(self.operation, self.matches, false, self.desk).await?;
        Ok(Some(Value::Object(body)))
    }

    /// What the name of a new thing says.
    async fn name(&self, body: &mut serde_json::Map<String, Value>) -> Result<(), Failed> {
        let Some(name) = given::<String>(self.matches, "name") else {
            return Ok(());
        };
        let by_name = said_by_name(self.resource, self.operation);
        if by_name.fields == ["organization"] {
            let id = Naming::Organization.id(name, self.desk).await?;
            body.insert("organization".to_owned(), json!(id));
            return Ok(());
        }
        if by_name.fields.len() == 1 {
            body.insert("name".to_owned(), json!(name));
            return Ok(());
        }
        let (organization, name) = name.split_once('/').unwrap_or(("default", name));
        let mut fields = self.operation.body.iter().map(|field| field.name.as_str());
        let owner = fields.find(|name| name.starts_with("organization"));
        if let Some(owner) = owner {
            let id = Naming::Organization.id(organization, self.desk).await?;
            body.insert(owner.to_owned(), json!(id));
        }
        body.insert("name".to_owned(), json!(name));
        Ok(())
    }

    /// Asks whether it is meant, and says what hangs on it.
    async fn sure(&self, warning: &str, belongs: &[(&str, &str, &str)]) -> Result<(), Failed> {
        let sure = Sure::from_arg_matches(self.matches)
            .map_err(|error| Failed::usage(error.to_string()))?;
        if sure.said() {
            return Ok(());
        }
        let name = named(self.operation, self.matches);
        let mut warning = warning.replace("{}", &format!("`{name}`"));
        let id = self.path.rsplit('/').next().unwrap_or_default();
        let mut counts = Vec::new();
        for (what, path, parameter) in belongs {
            let query = [((*parameter).to_owned(), id.to_owned())];
            // Whoever may not see them is asked all the same.
            let Ok(found) = self.desk.list(path, &query, Some(MOST_COUNTED)).await else {
                continue;
            };
            match found.len() {
                0 => {}
                MOST_COUNTED => counts.push(format!("{MOST_COUNTED} {what} or more")),
                1 => counts.push(format!("1 {}", what.trim_end_matches('s'))),
                count => counts.push(format!("{count} {what}")),
            }
        }
        if !counts.is_empty() {
            warning = format!("{warning}, to which belong: {}", counts.join(", "));
        }
        sure.ask(&warning)
    }
}

/// A warning counts no further.
const MOST_COUNTED: usize = 1000;
