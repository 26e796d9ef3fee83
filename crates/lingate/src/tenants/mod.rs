//! Organizations, projects, users and keys, as commands find, list and show them: what `lingate.yml` declares and what the store holds.

pub(crate) mod names;

use lingate_metering::Id;
use lingate_metering::tenant::{ApiKey, DEFAULT, Declared, Organization, Project, User};
use lingate_store::{Entity, Filter, StoreError, Stored};

use crate::Failed;
use crate::local::Here;

/// Something that commands can name.
pub(crate) trait Named: Entity {
    /// What it is called in sentences, and the command that it is listed by.
    const NOUN: &str;
    const COMMAND: &str;

    fn declared(part: &Declared) -> impl Iterator<Item = &Self>;

    /// What it belongs to.
    fn parent(&self) -> Option<Id>;
}

impl Named for Organization {
    const NOUN: &str = "organization";
    const COMMAND: &str = "organizations";

    fn declared(part: &Declared) -> impl Iterator<Item = &Self> {
        part.organizations
            .iter()
            .chain(&part.mentioned.organizations)
    }

    fn parent(&self) -> Option<Id> {
        None
    }
}

impl Named for Project {
    const NOUN: &str = "project";
    const COMMAND: &str = "projects";

    fn declared(part: &Declared) -> impl Iterator<Item = &Self> {
        part.projects.iter().chain(&part.mentioned.projects)
    }

    fn parent(&self) -> Option<Id> {
        Some(self.organization)
    }
}

impl Named for User {
    const NOUN: &str = "user";
    const COMMAND: &str = "users";

    fn declared(part: &Declared) -> impl Iterator<Item = &Self> {
        part.users.iter().chain(&part.mentioned.users)
    }

    fn parent(&self) -> Option<Id> {
        Some(self.organization)
    }
}

impl Named for ApiKey {
    const NOUN: &str = "key";
    const COMMAND: &str = "keys";

    fn declared(part: &Declared) -> impl Iterator<Item = &Self> {
        part.keys.iter()
    }

    fn parent(&self) -> Option<Id> {
        Some(self.project)
    }
}

/// Where something was found.
#[derive(Debug, Clone)]
pub(crate) enum Found<T> {
    /// `lingate.yml` says so, or nobody has to.
    Declared(T),
    Stored(Stored<T>),
}

impl<T: Named> Found<T> {
    pub(crate) fn value(&self) -> &T {
        match self {
            Self::Declared(value) => value,
            Self::Stored(stored) => &stored.value,
        }
    }

    pub(crate) fn id(&self) -> Id {
        self.value().id()
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}

impl Here {
    /// By its id, or by its name within what it belongs to.
    pub(crate) async fn find<T: Named>(
        &self,
        parent: Option<Id>,
        text: &str,
    ) -> Result<Option<Found<T>>, Failed> {
        if let Ok(id) = text.parse::<Id>() {
            let declared = T::declared(&self.loaded.declared).find(|value| value.id() == id);
            if let Some(value) = declared {
                return Ok(Some(Found::Declared(value.clone())));
            }
            return match self.store.get::<T>(id).await {
                Ok(stored) => Ok(Some(Found::Stored(stored))),
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        let mut declared = T::declared(&self.loaded.declared);
        let called = declared.find(|value| value.name() == text && value.parent() == parent);
        if let Some(value) = called {
            return Ok(Some(Found::Declared(value.clone())));
        }
        let stored = self.store.find::<T>(parent, text).await?;
        Ok(stored.map(Found::Stored))
    }

    pub(crate) async fn organization(&self, text: &str) -> Result<Found<Organization>, Failed> {
        match self.find(None, text).await? {
            Some(found) => Ok(found),
            None if text == DEFAULT => Ok(Found::Declared(Organization::named(DEFAULT))),
            None => Err(unknown::<Organization>(text)),
        }
    }

    /// `acme/web`, or a project of the organization `default`, or an id.
    pub(crate) async fn project(&self, text: &str) -> Result<Found<Project>, Failed> {
        let (organization, name) = text.split_once('/').unwrap_or((DEFAULT, text));
        let organization = self.organization(organization).await?;
        if let Some(found) = self.find(Some(organization.id()), name).await? {
            return Ok(found);
        }
        let usual = Project::named(&Organization::named(DEFAULT), DEFAULT);
        if text == DEFAULT || text == "default/default" || text.parse() == Ok(usual.id) {
            return Ok(Found::Declared(usual));
        }
        Err(unknown::<Project>(text))
    }

    /// `acme/alice`, or a user of the organization `default`, or an id.
    pub(crate) async fn user(&self, text: &str) -> Result<Found<User>, Failed> {
        let (organization, name) = text.split_once('/').unwrap_or((DEFAULT, text));
        let organization = self.organization(organization).await?;
        self.find(Some(organization.id()), name)
            .await?
            .ok_or_else(|| unknown::<User>(text))
    }

    /// `acme/web/laptop`, or a name that one key alone has, or an id.
    pub(crate) async fn key(&self, text: &str) -> Result<Found<ApiKey>, Failed> {
        if let Some((project, name)) = text.rsplit_once('/') {
            let project = self.project(project).await?;
            return self
                .find(Some(project.id()), name)
                .await?
                .ok_or_else(|| unknown::<ApiKey>(text));
        }
        if text.parse::<Id>().is_ok() {
            return self
                .find(None, text)
                .await?
                .ok_or_else(|| unknown::<ApiKey>(text));
        }
        let declared = ApiKey::declared(&self.loaded.declared);
        let mut found: Vec<Found<ApiKey>> = declared
            .filter(|key| key.name == text)
            .cloned()
            .map(Found::Declared)
            .collect();
        let filter = Filter {
            name_prefix: Some(text.to_owned()),
            ..Filter::default()
        };
        let stored = self.all::<ApiKey>(filter).await?.into_iter();
        found.extend(
            stored
                .filter(|key| key.value.name == text)
                .map(Found::Stored),
        );
        match (found.pop(), found.len()) {
            (Some(key), 0) => Ok(key),
            (None, _) => Err(unknown::<ApiKey>(text)),
            (Some(_), others) => Err(Failed::new(format!(
                "{} keys are called `{text}`: say which, as ORGANIZATION/PROJECT/{text} or by its id",
                others + 1
            ))),
        }
    }

    /// Everything stored that the filter lets through.
    pub(crate) async fn all<T: Entity>(&self, filter: Filter) -> Result<Vec<Stored<T>>, Failed> {
        let mut filter = Filter {
            limit: Filter::MOST,
            ..filter
        };
        let mut all = Vec::new();
        loop {
            let page = self.store.list::<T>(&filter).await?;
            all.extend(page.items);
            if page.next.is_none() {
                return Ok(all);
            }
            filter.after = page.next;
        }
    }

    /// What is declared and what is stored, in this order.
    pub(crate) async fn list<T: Named>(
        &self,
        filter: Filter,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<Found<T>>, Failed> {
        let declared = T::declared(&self.loaded.declared).filter(|value| wanted(value));
        let mut found: Vec<Found<T>> = declared.cloned().map(Found::Declared).collect();
        let stored = self.all::<T>(filter).await?;
        found.extend(stored.into_iter().map(Found::Stored));
        Ok(found)
    }
}

fn unknown<T: Named>(text: &str) -> Failed {
    Failed::new(format!(
        "there is no {} `{text}`; `lingate {} list` names those that there are",
        T::NOUN,
        T::COMMAND
    ))
}
