//! What changed since a revision, deletions included, so that replicas need not read everything again.

use std::collections::{BTreeMap, HashMap};

use lingate_metering::Id;
use lingate_metering::tenant::{
    ApiKey, Declared, Mentioned, Organization, PlanTerms, Prepaid, Project, User,
};
use sqlx::QueryBuilder;

use crate::database::{Tx, fetch_all, on};
use crate::entity::{Row, value_of};
use crate::{Entity, Kind, Revision, Store, StoreError, Stored, key, wallet};

/// What brings somebody from one revision to another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Where he is then.
    pub revision: Revision,
    /// At which a document of the configuration has changed last.
    pub documents: Revision,
    /// At which a key of a provider has changed last.
    pub provider_keys: Revision,
    /// What is there is in `written`; whatever else he knows is gone.
    pub complete: bool,
    /// What is gone. Taken away before `written` is put in.
    pub deleted: Vec<Deleted>,
    /// What is new, and what has changed.
    pub written: Declared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    pub kind: Kind,
    pub id: Id,
}

impl Store {
    /// Everything that is stored.
    pub async fn declared(&self) -> Result<Declared, StoreError> {
        let mut tx = self.db.begin_read().await?;
        Ok(written_since(&mut tx, EVERYTHING).await?.0)
    }

    /// Of the last change.
    pub async fn revision(&self) -> Result<Revision, StoreError> {
        let mut tx = self.db.begin_read().await?;
        Ok(head(&mut tx).await?.revision)
    }

    /// What has happened since; 0: everything.
    pub async fn changes_since(&self, seen: Revision) -> Result<Changes, StoreError> {
        let mut tx = self.db.begin_read().await?;
        let Head {
            revision,
            horizon,
            documents,
            provider_keys,
        } = head(&mut tx).await?;
        // Who is ahead of the database knows another one: it was restored from a backup.
        if seen <= 0 || seen < horizon || seen > revision {
            return Ok(Changes {
                revision,
                documents,
                provider_keys,
                complete: true,
                deleted: Vec::new(),
                written: written_since(&mut tx, EVERYTHING).await?.0,
            });
        }
        if seen == revision {
            return Ok(Changes {
                revision,
                documents,
                provider_keys,
                ..Changes::default()
            });
        }
        let rows = fetch_all!(
            tx,
            (String, String),
            "SELECT id, kind FROM deletions WHERE revision > $1 ORDER BY revision",
            seen
        )?;
        // What cannot be read is not in force in its earlier form, either.
        let (written, mut deleted) = written_since(&mut tx, seen).await?;
        deleted.extend(rows.into_iter().filter_map(|(id, kind)| {
            let kind = Kind::REPLICATED
                .into_iter()
                .find(|known| known.name() == kind)?;
            let id = id.parse().ok()?;
            Some(Deleted { kind, id })
        }));
        Ok(Changes {
            revision,
            documents,
            provider_keys,
            complete: false,
            deleted,
            written,
        })
    }
}

/// All tenants that can be read.
pub(crate) async fn declared(tx: &mut Tx) -> Result<Declared, StoreError> {
    Ok(written_since(tx, EVERYTHING).await?.0)
}

const EVERYTHING: Revision = -1;

#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Head {
    revision: Revision,
    /// How far back deletions are remembered.
    horizon: Revision,
    documents: Revision,
    provider_keys: Revision,
}

async fn head(tx: &mut Tx) -> Result<Head, StoreError> {
    let rows = fetch_all!(
        tx,
        Head,
        "SELECT revision, horizon, documents, provider_keys FROM lingate_head"
    )?;
    rows.first()
        .copied()
        .ok_or_else(|| StoreError::Other("lingate_head has no row".into()))
}

/// What can be read, and what cannot.
async fn written_since(
    tx: &mut Tx,
    seen: Revision,
) -> Result<(Declared, Vec<Deleted>), StoreError> {
    let mut unreadable = Vec::new();
    let declared = Declared {
        organizations: of_kind(tx, seen, &mut unreadable).await?,
        projects: of_kind(tx, seen, &mut unreadable).await?,
        users: of_kind(tx, seen, &mut unreadable).await?,
        keys: of_kind(tx, seen, &mut unreadable).await?,
        prepaid: wallet::prepaid_since(tx, seen).await?,
        terms: wallet::terms_since(tx, seen).await?,
        // A stand-in is no part of this: it is there as long as the configuration names it, with all of its rules.
        plans: Vec::new(),
        mentioned: Mentioned::default(),
    };
    Ok((declared, unreadable))
}

async fn of_kind<E: Entity>(
    tx: &mut Tx,
    seen: Revision,
    unreadable: &mut Vec<Deleted>,
) -> Result<Vec<E>, StoreError> {
    let kind = E::TABLE.kind;
    let rows = on!(tx, Database, connection => {
        let mut query = QueryBuilder::<Database>::new(E::TABLE.select);
        query.push(" WHERE NOT stand_in AND revision > ").push_bind(seen).push(" ORDER BY id");
        query.build_query_as::<Row>().fetch_all(connection).await
    })?;
    let mut secrets = if kind == Kind::ApiKey && !rows.is_empty() {
        key::changed_since(tx, seen).await?
    } else {
        HashMap::new()
    };
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        let secrets = secrets.remove(&row.id).unwrap_or_default();
        match value_of(&row, secrets) {
            Ok(Stored { value, .. }) => values.push(value),
            // One row, perhaps a newer version's, must not keep everybody else's changes away.
            Err(error) => {
                tracing::error!(%error, "left out of what is in force");
                unreadable.extend(row.id.parse().map(|id| Deleted { kind, id }));
            }
        }
    }
    Ok(values)
}

/// What a replica knows of the store: all of it, as of a revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replica {
    pub revision: Revision,
    organizations: BTreeMap<Id, Organization>,
    projects: BTreeMap<Id, Project>,
    users: BTreeMap<Id, User>,
    keys: BTreeMap<Id, ApiKey>,
    prepaid: BTreeMap<Id, Prepaid>,
    terms: BTreeMap<Id, PlanTerms>,
}

impl Replica {
    pub fn apply(&mut self, changes: Changes) {
        let Changes {
            revision,
            complete,
            deleted,
            written,
            documents: _,
            provider_keys: _,
        } = changes;
        if complete {
            *self = Self::default();
        }
        self.revision = revision;
        for Deleted { kind, id } in deleted {
            match kind {
                Kind::Organization => drop(self.organizations.remove(&id)),
                Kind::Project => drop(self.projects.remove(&id)),
                Kind::User => drop(self.users.remove(&id)),
                Kind::ApiKey => drop(self.keys.remove(&id)),
                // Replicas do not know these.
                _ => {}
            }
        }
        let Declared {
            organizations,
            projects,
            users,
            keys,
            prepaid,
            terms,
            // Plans are documents.
            plans: _,
            mentioned: _,
        } = written;
        put(&mut self.organizations, organizations);
        put(&mut self.projects, projects);
        put(&mut self.users, users);
        put(&mut self.keys, keys);
        let prepaid = prepaid.into_iter();
        self.prepaid
            .extend(prepaid.map(|wallet| (wallet.organization, wallet)));
        let terms = terms.into_iter();
        self.terms
            .extend(terms.map(|terms| (terms.organization, terms)));
    }

    pub fn declared(&self) -> Declared {
        Declared {
            organizations: self.organizations.values().cloned().collect(),
            projects: self.projects.values().cloned().collect(),
            users: self.users.values().cloned().collect(),
            keys: self.keys.values().cloned().collect(),
            prepaid: self.prepaid.values().cloned().collect(),
            terms: self.terms.values().cloned().collect(),
            plans: Vec::new(),
            mentioned: Mentioned::default(),
        }
    }
}

fn put<E: Entity>(into: &mut BTreeMap<Id, E>, written: Vec<E>) {
    into.extend(written.into_iter().map(|value| (value.id(), value)));
}
