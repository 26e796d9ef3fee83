//! What there is: what lingate.yml declares, and what the database holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lingate_config::DocumentKind;
use lingate_metering::Id;
use lingate_metering::tenant::{ApiKey, DEFAULT, Declared, Mentioned, Organization, Project, User};
use lingate_store::{Called, Entity, Store, StoreError, Stored};

use super::{Place, Resource, Stamp};
use crate::access::Allowed;
use crate::problem::Problem;
use crate::{Admin, Configured};

/// All tenants, as somebody asks for them.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) store: Store,
    pub(crate) allowed: Allowed,
    configured: Arc<Configured>,
}

/// Something that was found.
#[derive(Debug, Clone)]
pub(crate) enum Found<T> {
    File(T),
    Stored(Stored<T>),
}

impl<T: Entity> Found<T> {
    pub(crate) fn value(&self) -> &T {
        match self {
            Self::File(value) => value,
            Self::Stored(stored) => &stored.value,
        }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        match self {
            Self::File(_) => Stamp::file(),
            Self::Stored(stored) => Stamp::of(stored),
        }
    }

    /// What a file says has none, and so 0.
    pub(crate) fn revision(&self) -> lingate_store::Revision {
        match self {
            Self::File(_) => 0,
            Self::Stored(stored) => stored.revision,
        }
    }

    pub(crate) fn changeable(self, noun: &str) -> Result<Stored<T>, Problem> {
        match self {
            Self::File(_) => Err(Problem::read_only(noun)),
            Self::Stored(stored) => Ok(stored),
        }
    }
}

/// What ids are called, and what they belong to.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<Id, Called>);

impl Names {
    pub(crate) fn name(&self, id: Id) -> Option<&str> {
        self.0.get(&id).map(|called| called.name.as_str())
    }

    pub(crate) fn parent(&self, id: Id) -> Option<Id> {
        self.0.get(&id).and_then(|called| called.parent)
    }

    /// The names from the organization down, with slashes: `acme/web`. Of what is gone, the id.
    pub(crate) fn path(&self, id: Id) -> String {
        let name = self.name(id).map_or_else(|| id.to_string(), str::to_owned);
        match self.parent(id) {
            Some(parent) => format!("{}/{name}", self.path(parent)),
            None => name,
        }
    }
}

impl Known {
    pub(crate) fn of(admin: &Admin, allowed: &Allowed) -> Result<Self, Problem> {
        Ok(Self {
            store: allowed.store(admin)?,
            allowed: allowed.clone(),
            configured: admin.configured(),
        })
    }

    pub(crate) fn file(&self) -> &Declared {
        &self.configured.declared
    }

    /// What the file describes.
    pub(crate) fn declared<R: Resource>(&self) -> impl Iterator<Item = &R::Thing> + Send {
        R::declared(self.file()).filter(|thing| R::is_one(thing))
    }

    /// What the file only names, and what is there without anybody saying so. What the database has under the same name is meant.
    fn mentioned<R: Resource>(&self) -> Vec<R::Thing> {
        let mentioned = mentioned(self.file());
        let mut all: Vec<R::Thing> = Vec::new();
        for thing in R::declared(&mentioned).filter(|thing| R::is_one(thing)) {
            let is_known = self
                .declared::<R>()
                .chain(&all)
                .any(|known| known.id() == thing.id());
            if !is_known {
                all.push(thing.clone());
            }
        }
        all
    }

    /// All that is not in the database.
    pub(crate) async fn of_file<R: Resource>(&self) -> Result<Vec<R::Thing>, Problem> {
        let mut all: Vec<R::Thing> = self.declared::<R>().cloned().collect();
        for thing in self.mentioned::<R>() {
            let meant = self.store.find::<R::Thing>(R::parent(&thing), thing.name());
            if meant.await?.is_none() {
                all.push(thing);
            }
        }
        Ok(all)
    }

    /// By its id, or by its names from the organization down. `None`: it is nowhere.
    pub(crate) async fn find<R: Resource>(
        &self,
        text: &str,
    ) -> Result<Option<Found<R::Thing>>, Problem> {
        if let Ok(id) = text.parse::<Id>() {
            return self.get::<R>(id).await;
        }
        let (parent, name) = match R::PARENT {
            None => (None, text),
            Some(_) => match text.rsplit_once('/') {
                None => return Ok(None),
                Some((above, name)) => match self.parent_called::<R>(above).await? {
                    None => return Ok(None),
                    parent => (parent, name),
                },
            },
        };
        self.called::<R>(parent, name).await
    }

    pub(crate) async fn get<R: Resource>(
        &self,
        id: Id,
    ) -> Result<Option<Found<R::Thing>>, Problem> {
        let declared = self.declared::<R>().find(|thing| thing.id() == id).cloned();
        if let Some(thing) = declared {
            return Ok(Some(Found::File(thing)));
        }
        let found = match self.store.get::<R::Thing>(id).await {
            Ok(stored) => Some(Found::Stored(stored)),
            Err(StoreError::NotFound { .. }) => {
                let mut mentioned = self.mentioned::<R>().into_iter();
                mentioned.find(|thing| thing.id() == id).map(Found::File)
            }
            Err(error) => return Err(error.into()),
        };
        Ok(found.filter(|found| R::is_one(found.value())))
    }

    /// By its name within what it belongs to.
    pub(crate) async fn called<R: Resource>(
        &self,
        parent: Option<Id>,
        name: &str,
    ) -> Result<Option<Found<R::Thing>>, Problem> {
        let is = |thing: &R::Thing| thing.name() == name && R::parent(thing) == parent;
        let declared = self.declared::<R>().find(|thing| is(thing)).cloned();
        if let Some(thing) = declared {
            return Ok(Some(Found::File(thing)));
        }
        let found = match self.store.find::<R::Thing>(parent, name).await? {
            Some(stored) => Some(Found::Stored(stored)),
            None => self.mentioned::<R>().into_iter().find(is).map(Found::File),
        };
        Ok(found.filter(|found| R::is_one(found.value())))
    }

    async fn parent_called<R: Resource>(&self, path: &str) -> Result<Option<Id>, Problem> {
        if R::PARENT == Some("organization") {
            return self.organization(path).await;
        }
        self.project(path).await
    }

    /// An organization by id or name; `None`: there is none.
    pub(crate) async fn organization(&self, text: &str) -> Result<Option<Id>, Problem> {
        use crate::organizations::Organizations;
        let found = match text.parse::<Id>() {
            Ok(id) => self.get::<Organizations>(id).await?,
            Err(_) => self.called::<Organizations>(None, text).await?,
        };
        Ok(found.map(|found| found.value().id))
    }

    /// Whether there is a plan of this name, in force or stored a moment ago.
    pub(crate) async fn has_plan(&self, name: &str) -> Result<bool, Problem> {
        if !self.configured.shown["plans"][name].is_null() {
            return Ok(true);
        }
        let stored = self.store.documents().await?;
        let kind = DocumentKind::Plan.name();
        let mut items = stored.items.iter();
        Ok(items.any(|document| document.kind == kind && document.name == name))
    }

    /// A project by id, by `organization/project`, or by the name of one of the organization `default`; `None`: there is none.
    pub(crate) async fn project(&self, text: &str) -> Result<Option<Id>, Problem> {
        if let Ok(id) = text.parse::<Id>() {
            let found = self.get::<crate::projects::Projects>(id).await?;
            return Ok(found.map(|found| found.value().id));
        }
        let (organization, name) = text.split_once('/').unwrap_or((DEFAULT, text));
        let Some(organization) = self.organization(organization).await? else {
            return Ok(None);
        };
        let found = self
            .called::<crate::projects::Projects>(Some(organization), name)
            .await?;
        Ok(found.map(|found| found.value().id))
    }

    /// A person or a service account by id, by `organization/user` or, within an organization, by name; `None`: there is none.
    pub(crate) async fn user(
        &self,
        organization: Option<Id>,
        text: &str,
    ) -> Result<Option<User>, Problem> {
        use crate::users::Anybody;
        let found = match (text.parse::<Id>(), text.split_once('/'), organization) {
            (Ok(id), _, _) => self.get::<Anybody>(id).await?,
            (Err(_), Some((above, name)), _) => match self.organization(above).await? {
                None => None,
                above => self.called::<Anybody>(above, name).await?,
            },
            (Err(_), None, Some(organization)) => {
                self.called::<Anybody>(Some(organization), text).await?
            }
            (Err(_), None, None) => None,
        };
        Ok(found.map(|found| found.value().clone()))
    }

    /// The names of organizations, projects, users, and of all that they belong to.
    pub(crate) async fn names(
        &self,
        organizations: impl IntoIterator<Item = Id>,
        projects: impl IntoIterator<Item = Id>,
        users: impl IntoIterator<Item = Id>,
    ) -> Result<Names, Problem> {
        let mut names: HashMap<Id, Called> = HashMap::new();
        let (file, mentioned) = (self.file(), mentioned(self.file()));
        let mut wanted: HashSet<Id> = organizations.into_iter().collect();
        let both = || file.projects.iter().chain(&mentioned.projects);
        let in_file: HashMap<Id, &Project> = both().map(|project| (project.id, project)).collect();
        let mut stored = Vec::new();
        for id in projects.into_iter().collect::<HashSet<Id>>() {
            match in_file.get(&id) {
                Some(project) => {
                    put(&mut names, id, &project.name, Some(project.organization));
                }
                None => stored.push(id),
            }
        }
        names.extend(self.store.called::<Project>(&stored).await?);
        let both = || file.users.iter().chain(&mentioned.users);
        let in_file: HashMap<Id, &User> = both().map(|user| (user.id, user)).collect();
        stored.clear();
        for id in users.into_iter().collect::<HashSet<Id>>() {
            match in_file.get(&id) {
                Some(user) => put(&mut names, id, &user.name, Some(user.organization)),
                None => stored.push(id),
            }
        }
        names.extend(self.store.called::<User>(&stored).await?);
        wanted.extend(names.values().filter_map(|called| called.parent));
        stored.clear();
        let both = || file.organizations.iter().chain(&mentioned.organizations);
        let in_file: HashMap<Id, &Organization> = both().map(|one| (one.id, one)).collect();
        for id in wanted {
            match in_file.get(&id) {
                Some(organization) => put(&mut names, id, &organization.name, None),
                None => stored.push(id),
            }
        }
        names.extend(self.store.called::<Organization>(&stored).await?);
        Ok(Names(names))
    }

    /// As [`Self::names`], with those of keys, too.
    pub(crate) async fn names_with_keys(
        &self,
        organizations: impl IntoIterator<Item = Id>,
        projects: impl IntoIterator<Item = Id>,
        users: impl IntoIterator<Item = Id>,
        keys: impl IntoIterator<Item = Id>,
    ) -> Result<Names, Problem> {
        let mut called: HashMap<Id, Called> = HashMap::new();
        let mut stored = Vec::new();
        let file: HashMap<Id, &ApiKey> = self.file().keys.iter().map(|key| (key.id, key)).collect();
        for id in keys.into_iter().collect::<HashSet<Id>>() {
            match file.get(&id) {
                Some(key) => put(&mut called, id, &key.name, Some(key.project)),
                None => stored.push(id),
            }
        }
        called.extend(self.store.called::<ApiKey>(&stored).await?);
        let around = called.values().filter_map(|called| called.parent);
        let projects: Vec<Id> = projects.into_iter().chain(around).collect();
        let Names(mut names) = self.names(organizations, projects, users).await?;
        names.extend(called);
        Ok(Names(names))
    }

    /// The names around these.
    pub(crate) async fn names_around<'t, R: Resource>(
        &self,
        things: impl Iterator<Item = &'t R::Thing> + Clone,
    ) -> Result<Names, Problem> {
        let parents = || things.clone().filter_map(R::parent);
        let users = things.clone().filter_map(R::holder);
        match R::PARENT {
            None => Ok(Names::default()),
            Some("organization") => self.names(parents(), [], users).await,
            Some(_) => self.names([], parents(), users).await,
        }
    }

    pub(crate) async fn place<R: Resource>(
        &self,
        thing: &R::Thing,
    ) -> Result<(Place, Names), Problem> {
        let names = self.names_around::<R>(std::iter::once(thing)).await?;
        Ok((R::place(thing, &names), names))
    }

    /// Sees to it that the database can refer to what the file declares.
    pub(crate) async fn refer(
        &self,
        organization: Id,
        project: Option<Id>,
        user: Option<Id>,
    ) -> Result<(), Problem> {
        let (file, mentioned) = (self.file(), mentioned(self.file()));
        let organizations = file.organizations.iter().chain(&mentioned.organizations);
        for it in organizations.filter(|it| it.id == organization) {
            self.store.stand_in(it).await?;
        }
        let projects = file.projects.iter().chain(&mentioned.projects);
        for it in projects.filter(|it| Some(it.id) == project) {
            self.store.stand_in(it).await?;
        }
        let users = file.users.iter().chain(&mentioned.users);
        for it in users.filter(|it| Some(it.id) == user) {
            self.store.stand_in(it).await?;
        }
        Ok(())
    }
}

fn put(names: &mut HashMap<Id, Called>, id: Id, name: &str, parent: Option<Id>) {
    let name = name.to_owned();
    names.insert(id, Called { name, parent });
}

/// What the file mentions, and the organization and the project that are always there.
fn mentioned(file: &Declared) -> Declared {
    let Mentioned {
        mut organizations,
        mut projects,
        users,
    } = file.mentioned.clone();
    let usual = Organization::named(DEFAULT);
    projects.push(Project::named(&usual, DEFAULT));
    organizations.push(usual);
    Declared {
        organizations,
        projects,
        users,
        ..Declared::default()
    }
}
