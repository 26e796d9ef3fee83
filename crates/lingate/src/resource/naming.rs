//! How people name things: `acme`, `acme/web`, `acme/web/laptop`, an e-mail address; and the ids that they stand for.

use http::Method;
use serde_json::Value;

use super::desk::Desk;
use super::document::{document, operation};
use crate::Failed;
use crate::remote::segment;

const SERVICE_ACCOUNTS: &str = "/api/v1/service-accounts";
/// Where whoever names no organization is.
const DEFAULT: &str = "default";

/// What a name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    Organization,
    /// `ORGANIZATION/PROJECT`
    Project,
    /// `ORGANIZATION/USER`
    User,
    /// `ORGANIZATION/SERVICE_ACCOUNT`
    ServiceAccount,
    /// `ORGANIZATION/PROJECT/KEY`, or a name that no other key has.
    Key,
    /// The address or the name that somebody signs in with.
    Account,
    /// Something of the platform that is found in its list by this field.
    Listed {
        path: &'static str,
        field: &'static str,
        noun: &'static str,
        command: &'static str,
    },
    /// The API takes it as it stands.
    Plain(&'static str),
}

/// What the fields and parameters of this name refer to.
pub(crate) fn of_field(name: &str) -> Option<Naming> {
    Some(match name.strip_suffix("_id").unwrap_or(name) {
        "organization" => Naming::Organization,
        "project" => Naming::Project,
        "user" => Naming::User,
        "service_account" => Naming::ServiceAccount,
        "api_key" => Naming::Key,
        "account" => Naming::Account,
        _ => return None,
    })
}

impl Naming {
    pub(crate) const fn value_name(self) -> &'static str {
        match self {
            Self::Organization => "ORGANIZATION",
            Self::Project => "ORGANIZATION/PROJECT",
            Self::User => "ORGANIZATION/USER",
            Self::ServiceAccount => "ORGANIZATION/SERVICE_ACCOUNT",
            Self::Key => "KEY",
            Self::Account => "ACCOUNT",
            Self::Listed { .. } => "NAME",
            Self::Plain(word) => word,
        }
    }

    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Key => "ORGANIZATION/PROJECT/KEY, a name that no other key has, or an id",
            Self::Organization | Self::Listed { .. } => "Its name or id",
            Self::Project => "ORGANIZATION/PROJECT, or an id",
            Self::User => "ORGANIZATION/USER, or an id",
            Self::ServiceAccount => "ORGANIZATION/SERVICE_ACCOUNT, or an id",
            Self::Account => "The address or name that it signs in with, or its id",
            Self::Plain(_) => "",
        }
    }

    /// The id of what is called so.
    pub(crate) async fn id(self, text: &str, desk: &Desk) -> Result<String, Failed> {
        if matches!(self, Self::Plain(_)) || is_id(text) {
            return Ok(text.to_owned());
        }
        let found = match self {
            Self::Plain(_) => return Ok(text.to_owned()),
            Self::Organization => self.called(desk, "/api/v1/organizations", text).await?,
            Self::Project => self.called(desk, "/api/v1/projects", &within(text)).await?,
            Self::User => match self
                .called(desk, "/api/v1/users", &within(text))
                .await?
                .as_slice()
            {
                [] => self.called(desk, SERVICE_ACCOUNTS, &within(text)).await?,
                found => found.to_vec(),
            },
            Self::ServiceAccount => self.called(desk, SERVICE_ACCOUNTS, &within(text)).await?,
            Self::Key => match text.rsplit_once('/') {
                Some((project, name)) => {
                    let whole = format!("{}/{name}", within(project));
                    self.called(desk, "/api/v1/api-keys", &whole).await?
                }
                None => named(desk, "/api/v1/api-keys", &[], "name", text).await?,
            },
            Self::Account => {
                let mut found = named(desk, "/api/v1/accounts", &[], "email", text).await?;
                if found.is_empty() {
                    found = named(desk, "/api/v1/accounts", &[], "login", text).await?;
                }
                found
            }
            Self::Listed { path, field, .. } => named(desk, path, &[], field, text).await?,
        };
        match found.as_slice() {
            [one] => Ok(one["id"].as_str().unwrap_or(text).to_owned()),
            [] => Err(self.unknown(text)),
            many => Err(Failed::new(format!(
                "{} {} are called `{text}`: say which, by the whole name or by the id",
                many.len(),
                self.nouns(),
            ))),
        }
    }

    /// The one of a whole name, which stands for an id in paths; none, or one.
    async fn called(self, desk: &Desk, path: &str, whole: &str) -> Result<Vec<Value>, Failed> {
        let path = format!("{path}/{}", segment(whole));
        match desk.ask(&Method::GET, &path, None).await {
            Ok(answer) => Ok(vec![answer.json()?]),
            Err(failed) if failed.status == Some(404) => Ok(Vec::new()),
            Err(failed) => Err(failed),
        }
    }

    fn unknown(self, text: &str) -> Failed {
        let nouns = self.nouns();
        let noun = match self {
            Self::Listed { noun, .. } => noun,
            _ => nouns.trim_end_matches('s'),
        };
        let command = match self {
            Self::Listed { command, .. } => command.to_owned(),
            _ => nouns.replace(' ', "-"),
        };
        Failed::new(format!(
            "there is no {noun} `{text}`; `lingate {command} list` names those that there are"
        ))
    }

    const fn nouns(self) -> &'static str {
        match self {
            Self::Organization => "organizations",
            Self::Project => "projects",
            Self::User => "users",
            Self::ServiceAccount => "service accounts",
            Self::Key => "keys",
            Self::Account => "accounts",
            Self::Listed { command, .. } => command,
            Self::Plain(_) => "things",
        }
    }
}

/// A name within an organization, with that of the organization.
fn within(text: &str) -> String {
    if text.contains('/') {
        text.to_owned()
    } else {
        format!("{DEFAULT}/{text}")
    }
}

fn has_parameter(path: &str, name: &str) -> bool {
    let list = operation(document(), "GET", path);
    list.is_some_and(|list| list.query.iter().any(|field| field.name == name))
}

/// What of a list has exactly this name.
async fn named(
    desk: &Desk,
    path: &str,
    query: &[(String, String)],
    field: &str,
    text: &str,
) -> Result<Vec<Value>, Failed> {
    let mut query = query.to_vec();
    if has_parameter(path, field) {
        query.push((field.to_owned(), text.to_owned()));
    } else if field == "name" && has_parameter(path, "name_prefix") {
        query.push(("name_prefix".to_owned(), text.to_owned()));
    }
    let mut found = desk.list(path, &query, None).await?;
    let folded = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
    found.retain(|item| match field {
        "email" | "login" => folded(&item[field]) == text.to_lowercase(),
        _ => item[field] == text,
    });
    Ok(found)
}

fn is_id(text: &str) -> bool {
    text.parse::<lingate_metering::Id>().is_ok()
}
