//! What the database holds of the configuration, brought to where it is read, and a copy of it for starts without the database. Of
//! secrets documents hold references alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use lingate_config::{Document, DocumentKind, Overlay, Settings};
use lingate_seal::Sealer;
use lingate_store::{Documents, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A copy of the documents that are in force.
#[derive(Debug, Clone)]
pub(crate) struct Copied(PathBuf);

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    kind: String,
    name: String,
    value: Value,
}

/// What is stored now, with the keys of providers, which `seal` opens.
pub(crate) async fn overlay(store: &Store, seal: &Sealer) -> Result<Overlay, StoreError> {
    Ok(Overlay {
        keys: lingate_admin::key_specs(store, seal).await?,
        ..overlay_of(&store.documents().await?)
    })
}

/// What is stored now, without the keys of providers.
pub(crate) async fn documents(store: &Store) -> Result<Overlay, StoreError> {
    Ok(overlay_of(&store.documents().await?))
}

fn overlay_of(stored: &Documents) -> Overlay {
    let documents = stored.items.iter().filter_map(|document| {
        // A newer version may know more kinds.
        Some(Document {
            kind: DocumentKind::from_name(&document.kind)?,
            name: document.name.clone(),
            value: document.value.clone(),
        })
    });
    Overlay {
        documents: documents.collect(),
        ..Overlay::default()
    }
}

impl Copied {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self(settings.data.join("configuration.json"))
    }

    /// Keeps what is in force, in place of what was. Waits for the disk.
    pub(crate) fn keep(&self, overlay: &Overlay) {
        let written = if overlay.documents.is_empty() && !self.0.exists() {
            Ok(())
        } else {
            write(&self.0, &overlay.documents)
        };
        if let Err(error) = written {
            tracing::warn!(file = %self.0.display(), %error, "the copy of the configuration cannot be written: a start without the database would know nothing of what is stored");
        }
    }

    /// What was in force when the database was last seen.
    pub(crate) fn recall(&self) -> Option<Overlay> {
        let rows: Result<Vec<Row>, io::Error> =
            fs::read(&self.0).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        match rows {
            Ok(rows) => {
                let documents = rows.into_iter().filter_map(|row| {
                    Some(Document {
                        kind: DocumentKind::from_name(&row.kind)?,
                        name: row.name,
                        value: row.value,
                    })
                });
                Some(Overlay {
                    documents: documents.collect(),
                    ..Overlay::default()
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(file = %self.0.display(), %error, "the copy of the configuration cannot be read");
                None
            }
        }
    }
}

fn write(file: &Path, documents: &[Document]) -> io::Result<()> {
    let rows: Vec<Row> = documents
        .iter()
        .map(|document| Row {
            kind: document.kind.name().to_owned(),
            name: document.name.clone(),
            value: document.value.clone(),
        })
        .collect();
    let before = file.with_extension("tmp");
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&before)?;
    out.write_all(&serde_json::to_vec(&rows)?)?;
    out.sync_all()?;
    fs::rename(&before, file)
}
