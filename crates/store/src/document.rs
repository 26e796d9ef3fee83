//! Documents: parts of the configuration that are stored by themselves. What they say is not for the store to know.

use lingate_metering::Millis;
use lingate_metering::tenant::Declared;
use serde_json::Value;

use crate::audit::AuditNote;
use crate::batch::Batch;
use crate::database::{Tx, execute, fetch_all};
use crate::{Revision, Store, StoreError, change};

/// A part of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// `provider`, `route` …; a kind and a name are one document's.
    pub kind: String,
    pub name: String,
    /// Among those of its kind, lowest first; equal ones by name.
    pub position: i64,
    pub value: Value,
    pub revision: Revision,
    pub created_at: Millis,
    pub updated_at: Millis,
}

/// All documents, as of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Documents {
    /// At which one of them has changed last.
    pub revision: Revision,
    /// At which a key of a provider has changed last.
    pub provider_keys: Revision,
    /// By kind, then by position and name.
    pub items: Vec<Document>,
}

/// All of them are in memory on every replica.
const LONGEST: usize = 1 << 20;
const LONGEST_NAME: usize = 400;

type Row = (String, String, i64, String, i64, i64, i64);

impl Store {
    /// All that is stored of the configuration.
    pub async fn documents(&self) -> Result<Documents, StoreError> {
        let mut tx = self.db.begin_read().await?;
        all(&mut tx).await
    }

    /// All documents and all tenants, as of one moment.
    pub async fn configuration(&self) -> Result<(Documents, Declared), StoreError> {
        let mut tx = self.db.begin_read().await?;
        Ok((all(&mut tx).await?, change::declared(&mut tx).await?))
    }
}

impl Batch {
    /// All that is stored, as this batch leaves it.
    pub async fn documents(&mut self) -> Result<Documents, StoreError> {
        all(&mut self.change.tx).await
    }

    /// Writes a document, over one of its kind and name if there is one. Without a position one that is there stays where it is, and
    /// one that is new comes last. `note` is what the audit log tells of it.
    pub async fn put_document(
        &mut self,
        kind: &str,
        name: &str,
        position: Option<i64>,
        value: &Value,
        note: AuditNote,
    ) -> Result<(), StoreError> {
        let spec = value.to_string();
        let invalid = |field, problem: &str| {
            Err(StoreError::Invalid {
                field,
                problem: problem.to_owned(),
            })
        };
        if spec.len() > LONGEST {
            return invalid("", "there is more than 1 MiB of it");
        }
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return invalid(
                "name",
                "a name has 1 to 400 bytes, and no control characters",
            );
        }
        let (at, revision) = (self.change.at, self.change.revision);
        execute!(
            self.change.tx,
            "INSERT INTO documents (kind, name, position, spec, revision, created_at, updated_at)
             VALUES ($1, $2, COALESCE($3, (SELECT MAX(position) + 1 FROM documents WHERE kind = $1), 0), $4, $5, $6, $6)
             ON CONFLICT (kind, name) DO UPDATE SET position = COALESCE($3, documents.position),
             spec = excluded.spec, revision = excluded.revision, updated_at = excluded.updated_at",
            kind.to_owned(),
            name.to_owned(),
            position,
            spec,
            revision,
            at
        )?;
        self.documents_changed().await?;
        self.change.note(note);
        Ok(())
    }

    /// Whether there was one.
    pub async fn delete_document(
        &mut self,
        kind: &str,
        name: &str,
        note: AuditNote,
    ) -> Result<bool, StoreError> {
        let gone = execute!(
            self.change.tx,
            "DELETE FROM documents WHERE kind = $1 AND name = $2",
            kind.to_owned(),
            name.to_owned()
        )?;
        if gone == 0 {
            return Ok(false);
        }
        self.documents_changed().await?;
        self.change.note(note);
        Ok(true)
    }

    /// Somebody who has this plan, or has bought time of it, as `organization acme`; `None`: nobody.
    pub async fn has_plan(&mut self, plan: &str) -> Result<Option<String>, StoreError> {
        let named = serde_json::Value::from(plan).to_string();
        let mut pattern = "%\"plan\":".to_owned();
        for letter in named.chars() {
            if matches!(letter, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push('%');
        let found = fetch_all!(
            self.change.tx,
            (String,),
            "SELECT 'organization ' || name FROM organizations WHERE spec LIKE $1 ESCAPE '\\'
            UNION ALL SELECT 'project ' || name FROM projects WHERE spec LIKE $1 ESCAPE '\\'
            UNION ALL SELECT 'user ' || name FROM users WHERE spec LIKE $1 ESCAPE '\\'
            UNION ALL SELECT 'API key ' || name FROM api_keys WHERE spec LIKE $1 ESCAPE '\\'
            UNION ALL SELECT 'organization ' || organization_id FROM plan_terms WHERE terms LIKE $1 ESCAPE '\\'
            LIMIT 1",
            pattern
        )?;
        Ok(found.into_iter().next().map(|(who,)| who))
    }

    /// Makes room before those of a kind that stand at `position` or behind it.
    pub async fn make_room(&mut self, kind: &str, position: i64) -> Result<(), StoreError> {
        execute!(
            self.change.tx,
            "UPDATE documents SET position = position + 1 WHERE kind = $1 AND position >= $2",
            kind.to_owned(),
            position
        )?;
        self.documents_changed().await
    }

    async fn documents_changed(&mut self) -> Result<(), StoreError> {
        execute!(
            self.change.tx,
            "UPDATE lingate_head SET documents = revision WHERE only_one = 1"
        )?;
        Ok(())
    }
}

async fn all(tx: &mut Tx) -> Result<Documents, StoreError> {
    let head = fetch_all!(
        tx,
        (i64, i64),
        "SELECT documents, provider_keys FROM lingate_head"
    )?;
    let (revision, provider_keys) = head.first().copied().unwrap_or_default();
    let rows = fetch_all!(
        tx,
        Row,
        "SELECT kind, name, position, spec, revision, created_at, updated_at FROM documents ORDER BY kind, position, name"
    )?;
    let items = rows
        .into_iter()
        .map(
            |(kind, name, position, spec, revision, created_at, updated_at)| {
                let value = serde_json::from_str(&spec).map_err(|error| {
                    StoreError::Other(format!("the {kind} \"{name}\" cannot be read: {error}"))
                })?;
                Ok(Document {
                    kind,
                    name,
                    position,
                    value,
                    revision,
                    created_at,
                    updated_at,
                })
            },
        )
        .collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Documents {
        revision,
        provider_keys,
        items,
    })
}
