//! Everybody that requests may come from, as one immutable value: found by what a caller shows, without a database.
//!
//! It is made of parts: what the configuration declares, and what the store holds. Nothing in a part takes down the rest: what
//! cannot be is left out, and told.

use std::fmt;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use subtle::ConstantTimeEq as _;

use super::{
    ApiKey, DEFAULT, Level, Organization, PlanRules, PlanTerms, Prepaid, Project, Rules, User,
};
use crate::limit::{Binder, Bounds};
use crate::{Id, Millis};

/// Where a part is from. Of two that have one name the configuration's is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    Configuration,
    Store,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "the configuration",
            Self::Store => "the store",
        })
    }
}

/// A part that a directory is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    pub organizations: Vec<Organization>,
    pub projects: Vec<Project>,
    pub users: Vec<User>,
    pub keys: Vec<ApiKey>,
    /// The wallets of organizations, of whatever part those are.
    pub prepaid: Vec<Prepaid>,
    /// What organizations have for some time instead of their own plan.
    pub terms: Vec<PlanTerms>,
    /// What holds for whoever has a plan.
    pub plans: Vec<PlanRules>,
    /// What is named and not described here. It is what another part has under the same name; where none has, it is made.
    pub mentioned: Mentioned,
}

/// Names without a description.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mentioned {
    pub organizations: Vec<Organization>,
    pub projects: Vec<Project>,
    pub users: Vec<User>,
}

/// Who a request comes from.
#[derive(Debug, PartialEq)]
pub struct Principal {
    /// `None`: callers show none (`auth: open`, `auth: passthrough`).
    pub key: Option<ApiKey>,
    pub user: Option<Arc<User>>,
    pub project: Arc<Project>,
    pub organization: Arc<Organization>,
    /// What their plans allow: of each level that names one that has rules, in the order of [`Self::levels`].
    pub plans: Vec<(Level, Arc<PlanRules>)>,
    /// The limits of all of these.
    pub bounds: Bounds,
    pub source: Source,
}

/// All principals, by what they show.
#[derive(Debug)]
pub struct Directory {
    /// By the first eight bytes of the hash, or the next number that is free.
    by_secret: FxHashMap<u64, Shown>,
    by_id: FxHashMap<Id, Arc<Principal>>,
    organizations: FxHashMap<Id, Arc<Organization>>,
    projects: FxHashMap<Id, Arc<Project>>,
    users: FxHashMap<Id, Arc<User>>,
    anyone: Arc<Principal>,
    /// Keys that say what they are for.
    kinds: usize,
    prepaid: FxHashMap<Id, Prepaid>,
    terms: FxHashMap<Id, PlanTerms>,
    next_change: Option<Millis>,
}

/// A secret that somebody may show.
#[derive(Debug, Clone)]
pub struct Shown {
    sha256: [u8; 32],
    pub principal: Arc<Principal>,
    /// An old secret is good until then.
    pub expires_at: Option<Millis>,
}

/// What is in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    Organization,
    Project,
    User,
    Key,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::User => "user",
            Self::Key => "key",
        })
    }
}

/// Something in a part that cannot be as it says. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What is left out, or taken for another.
    pub entity: Entity,
    pub id: Id,
    pub name: String,
    pub source: Source,
    pub why: Why,
}

/// Why something cannot be as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// One of this name is there already, from here; what belongs to this one belongs to that one.
    Replaced(Source),
    /// One of this name is there already, from here; this key is not accepted.
    SameName(Source),
    SameId,
    /// It belongs to something that is not there.
    Dangling(Entity, Id),
    /// Its user is another organization's.
    ForeignUser(String),
    /// One of its secrets is another key's, which keeps it.
    SameSecret(String),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            entity,
            id,
            name,
            source,
            why,
        } = self;
        write!(f, "the {entity} `{name}` ({id}) of {source} ")?;
        match why {
            Why::Replaced(by) => write!(
                f,
                "has the name of one of {by}, which is used for both: what this one says has no effect"
            ),
            Why::SameName(by) => write!(
                f,
                "has the name of another key of its project, from {by}, and is not accepted: give it another name"
            ),
            Why::SameId => f.write_str("has the id of another one, and is left out"),
            Why::Dangling(entity, id) => {
                write!(
                    f,
                    "is left out, since the {entity} {id} that it belongs to is not there"
                )
            }
            Why::ForeignUser(user) => write!(
                f,
                "is not accepted, since its user `{user}` is another organization's than its project"
            ),
            Why::SameSecret(key) => write!(
                f,
                "has a secret that is the key's `{key}`, which keeps it: give it one of its own"
            ),
        }
    }
}

impl Default for Directory {
    /// Nobody but who needs no key.
    fn default() -> Self {
        Self::build(Vec::new()).0
    }
}

impl Directory {
    /// Makes a directory of parts, and tells what of them cannot be. The organization and the project called `default` are there
    /// whether somebody declares them or not.
    pub fn build(parts: Vec<(Source, Declared)>) -> (Self, Vec<Conflict>) {
        Self::build_at(parts, Millis::MIN)
    }

    /// As of a moment: which plans hold that are for some time ([`Self::next_change`]).
    pub fn build_at(mut parts: Vec<(Source, Declared)>, now: Millis) -> (Self, Vec<Conflict>) {
        parts.sort_by_key(|(source, _)| *source);
        let mut builder = Builder {
            now,
            ..Builder::default()
        };
        let mut mentioned = Mentioned::default();
        let mut keys = Vec::with_capacity(parts.len());
        for (source, part) in parts {
            builder.add(source, part.organizations, part.projects, part.users);
            let prepaid = part.prepaid.into_iter();
            builder
                .prepaid
                .extend(prepaid.map(|wallet| (wallet.organization, wallet)));
            let plans = part.plans.into_iter();
            builder
                .plans
                .extend(plans.map(|plan| (plan.plan.clone(), Arc::new(plan))));
            let terms = part.terms.into_iter();
            builder
                .terms
                .extend(terms.map(|terms| (terms.organization, terms)));
            mentioned.organizations.extend(part.mentioned.organizations);
            mentioned.projects.extend(part.mentioned.projects);
            mentioned.users.extend(part.mentioned.users);
            keys.push((source, part.keys));
        }
        let Mentioned {
            mut organizations,
            mut projects,
            users,
        } = mentioned;
        let organization = Organization::named(DEFAULT);
        let project = Project::named(&organization, DEFAULT);
        let of = [organization.id, project.id];
        organizations.push(organization);
        projects.push(project);
        // What is only mentioned is no contradiction to what is described.
        let told = builder.conflicts.len();
        builder.add(Source::Configuration, organizations, projects, users);
        builder.conflicts.truncate(told);
        builder.finish(keys, of)
    }

    /// Who shows a secret with this SHA-256, whatever rules say of him.
    ///
    /// Hashes are compared in constant time. Where the search begins tells of a hash what nobody can find a secret from.
    pub fn showing(&self, sha256: &[u8; 32]) -> Option<&Shown> {
        let mut place = place(sha256);
        loop {
            let shown = self.by_secret.get(&place)?;
            if shown.sha256.ct_eq(sha256).into() {
                return Some(shown);
            }
            place = place.wrapping_add(1);
        }
    }

    /// Who is meant where callers show no key: the project and the organization called `default`.
    pub fn anyone(&self) -> &Arc<Principal> {
        &self.anyone
    }

    pub fn key(&self, id: Id) -> Option<&Arc<Principal>> {
        self.by_id.get(&id)
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.by_id.values()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// There are no keys.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Some key says what it is for; then those that say nothing are for asking models.
    pub fn knows_kinds(&self) -> bool {
        self.kinds > 0
    }

    /// The wallet of an organization; `None`: it pays afterwards.
    pub fn prepaid(&self, organization: Id) -> Option<&Prepaid> {
        self.prepaid.get(&organization)
    }

    /// What an organization has for some time instead of its own plan.
    pub fn terms(&self, organization: Id) -> Option<&PlanTerms> {
        self.terms.get(&organization)
    }

    /// When time alone makes this directory another one: a plan is over, or another one begins.
    pub fn next_change(&self) -> Option<Millis> {
        self.next_change
    }

    /// Also by the id of one whose name and place another has taken.
    pub fn organization(&self, id: Id) -> Option<&Arc<Organization>> {
        self.organizations.get(&id)
    }

    /// Also by the id of one whose name and place another has taken.
    pub fn project(&self, id: Id) -> Option<&Arc<Project>> {
        self.projects.get(&id)
    }

    /// Also by the id of one whose name and place another has taken.
    pub fn user(&self, id: Id) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// The one key that is called so: by its name where no other has it, by `organization/project/name`, or by its id.
    ///
    /// # Errors
    ///
    /// How many keys are called so: none, or several.
    pub fn called(&self, name: &str) -> Result<&Arc<Principal>, usize> {
        if let Some(principal) = name.parse().ok().and_then(|id| self.key(id)) {
            return Ok(principal);
        }
        let mut found = self.keys().filter(|principal| {
            let key = principal.key.as_ref().map_or("", |key| key.name.as_str());
            let rest = name.strip_suffix(key);
            rest == Some("")
                || rest
                    .and_then(|rest| rest.strip_suffix('/'))
                    .is_some_and(|path| {
                        path.split_once('/')
                            == Some((&principal.organization.name, &principal.project.name))
                    })
        });
        match (found.next(), found.count()) {
            (Some(principal), 0) => Ok(principal),
            (first, others) => Err(others + usize::from(first.is_some())),
        }
    }
}

/// Where the search for a hash begins.
fn place(sha256: &[u8; 32]) -> u64 {
    let first = sha256.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(first)
}

/// Things of one kind, each with a name of its own within what it belongs to.
struct Named<T> {
    by_id: FxHashMap<Id, Arc<T>>,
    /// By what they belong to, and their name: which one it is, and where it is from.
    names: FxHashMap<(Id, String), (Id, Source)>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            by_id: FxHashMap::default(),
            names: FxHashMap::default(),
        }
    }
}

impl<T> Named<T> {
    /// Adds one; where another has its name already, that one stands for it from now on.
    fn add(
        &mut self,
        within: Id,
        (id, name): (Id, &str),
        thing: T,
        source: Source,
    ) -> Result<(), Why> {
        if self.by_id.contains_key(&id) {
            return Err(Why::SameId);
        }
        let called = (within, name.to_owned());
        if let Some((first, from)) = self.names.get(&called) {
            let why = Why::Replaced(*from);
            let first = self.by_id.get(first).cloned();
            self.by_id.extend(first.map(|first| (id, first)));
            return Err(why);
        }
        self.names.insert(called, (id, source));
        self.by_id.insert(id, Arc::new(thing));
        Ok(())
    }
}

#[derive(Default)]
struct Builder {
    organizations: Named<Organization>,
    projects: Named<Project>,
    users: Named<User>,
    prepaid: FxHashMap<Id, Prepaid>,
    terms: FxHashMap<Id, PlanTerms>,
    plans: Plans,
    now: Millis,
    conflicts: Vec<Conflict>,
}

/// By name.
pub(crate) type Plans = FxHashMap<String, Arc<PlanRules>>;

/// The plans that levels name and that have rules.
fn of_levels(
    plans: &Plans,
    key: Option<&ApiKey>,
    user: Option<&User>,
    project: &Project,
    organization: &Organization,
) -> Vec<(Level, Arc<PlanRules>)> {
    let levels: [(Level, Option<&Rules>); 4] = [
        (Level::Key, key.map(|key| &key.rules)),
        (Level::User, user.map(|user| &user.rules)),
        (Level::Project, Some(&project.rules)),
        (Level::Organization, Some(&organization.rules)),
    ];
    levels
        .into_iter()
        .filter_map(|(level, rules)| Some((level, plans.get(rules?.plan.as_ref()?)?)))
        .map(|(level, plan)| (level, Arc::clone(plan)))
        .collect()
}

/// What organizations belong to.
const NOTHING: Id = Id::from_u128(0);

impl Builder {
    fn add(
        &mut self,
        source: Source,
        organizations: Vec<Organization>,
        projects: Vec<Project>,
        users: Vec<User>,
    ) {
        for organization in organizations {
            let (id, name) = (organization.id, organization.name.clone());
            let added = self
                .organizations
                .add(NOTHING, (id, &name), organization, source);
            self.tell(Entity::Organization, (id, name), source, added);
        }
        for mut project in projects {
            let (id, name) = (project.id, project.name.clone());
            let added = self.organization(project.organization).and_then(|owner| {
                project.organization = owner;
                self.projects.add(owner, (id, &name), project, source)
            });
            self.tell(Entity::Project, (id, name), source, added);
        }
        for mut user in users {
            let (id, name) = (user.id, user.name.clone());
            let added = self.organization(user.organization).and_then(|owner| {
                user.organization = owner;
                self.users.add(owner, (id, &name), user, source)
            });
            self.tell(Entity::User, (id, name), source, added);
        }
    }

    /// The organization that is meant by an id, which may have taken another's place.
    fn organization(&self, id: Id) -> Result<Id, Why> {
        let found = self.organizations.by_id.get(&id);
        found
            .map(|organization| organization.id)
            .ok_or(Why::Dangling(Entity::Organization, id))
    }

    fn tell(
        &mut self,
        entity: Entity,
        (id, name): (Id, String),
        source: Source,
        added: Result<(), Why>,
    ) {
        self.conflicts.extend(added.err().map(|why| Conflict {
            entity,
            id,
            name,
            source,
            why,
        }));
    }

    /// `of`: the organization and the project of callers without keys.
    fn finish(
        self,
        keys: Vec<(Source, Vec<ApiKey>)>,
        [organization, project]: [Id; 2],
    ) -> (Directory, Vec<Conflict>) {
        let (terms, now) = (self.terms, self.now);
        let mut organizations = self.organizations.by_id;
        for (id, terms) in &terms {
            if let Some(term) = terms.at(now)
                && let Some(organization) = organizations.get_mut(id)
            {
                Arc::make_mut(organization).rules.plan = Some(term.plan.clone());
            }
        }
        let projects = self.projects.by_id;
        let users = self.users.by_id;
        let mut conflicts = self.conflicts;
        let project = projects
            .get(&project)
            .cloned()
            .unwrap_or_else(|| Arc::new(Project::named(&Organization::named(DEFAULT), DEFAULT)));
        let organization = organizations
            .get(&organization)
            .cloned()
            .unwrap_or_else(|| Arc::new(Organization::named(DEFAULT)));
        let plans = self.plans;
        let mut binder = Binder::new(&self.prepaid, &plans);
        let anyone = Arc::new(Principal {
            key: None,
            user: None,
            bounds: binder.bounds(None, None, &project, &organization),
            plans: of_levels(&plans, None, None, &project, &organization),
            project,
            organization,
            source: Source::Configuration,
        });
        let count = keys.iter().map(|(_, keys)| keys.len()).sum();
        let mut directory = Directory {
            by_secret: FxHashMap::with_capacity_and_hasher(count, rustc_hash::FxBuildHasher),
            by_id: FxHashMap::with_capacity_and_hasher(count, rustc_hash::FxBuildHasher),
            organizations,
            projects,
            users,
            anyone,
            kinds: 0,
            next_change: terms
                .values()
                .filter_map(|terms| terms.next_change(now))
                .min(),
            prepaid: self.prepaid.clone(),
            terms,
        };
        let mut names: FxHashMap<(Id, String), Source> = FxHashMap::default();
        names.reserve(count);
        for (source, keys) in keys {
            for key in keys {
                directory.add(source, key, &plans, &mut binder, &mut names, &mut conflicts);
            }
        }
        (directory, conflicts)
    }
}

impl Directory {
    fn add(
        &mut self,
        source: Source,
        mut key: ApiKey,
        plans: &Plans,
        binder: &mut Binder<'_>,
        names: &mut FxHashMap<(Id, String), Source>,
        conflicts: &mut Vec<Conflict>,
    ) {
        let (id, name) = (key.id, key.name.clone());
        let mut tell = |why| {
            conflicts.push(Conflict {
                entity: Entity::Key,
                id,
                name: name.clone(),
                source,
                why,
            });
        };
        let Some(project) = self.projects.get(&key.project) else {
            return tell(Why::Dangling(Entity::Project, key.project));
        };
        let Some(organization) = self.organizations.get(&project.organization) else {
            return tell(Why::Dangling(Entity::Organization, project.organization));
        };
        let user = match key.user {
            None => None,
            Some(user) => match self.users.get(&user) {
                // Without its user it would be free of the user's limits.
                None => return tell(Why::Dangling(Entity::User, user)),
                Some(user) if user.organization != organization.id => {
                    return tell(Why::ForeignUser(user.name.clone()));
                }
                Some(user) => Some(Arc::clone(user)),
            },
        };
        if self.by_id.contains_key(&id) {
            return tell(Why::SameId);
        }
        let called = (project.id, name.clone());
        if let Some(first) = names.get(&called) {
            return tell(Why::SameName(*first));
        }
        names.insert(called, source);
        key.project = project.id;
        key.user = user.as_ref().map(|user| user.id);
        self.kinds += usize::from(key.kind.is_some());
        let principal = Arc::new(Principal {
            bounds: binder.bounds(Some(&key), user.as_deref(), project, organization),
            plans: of_levels(plans, Some(&key), user.as_deref(), project, organization),
            user,
            project: Arc::clone(project),
            organization: Arc::clone(organization),
            source,
            key: Some(key),
        });
        let secrets = principal.key.iter().flat_map(|key| &key.secrets);
        let mut own = FxHashSet::default();
        for secret in secrets {
            if !own.insert(secret.sha256) {
                continue;
            }
            if let Some(other) = self.showing(&secret.sha256) {
                let other = other.principal.key.as_ref();
                tell(Why::SameSecret(
                    other.map(|key| key.name.clone()).unwrap_or_default(),
                ));
                continue;
            }
            let mut place = place(&secret.sha256);
            while self.by_secret.contains_key(&place) {
                place = place.wrapping_add(1);
            }
            self.by_secret.insert(
                place,
                Shown {
                    sha256: secret.sha256,
                    principal: Arc::clone(&principal),
                    expires_at: secret.expires_at,
                },
            );
        }
        self.by_id.insert(id, principal);
    }
}
