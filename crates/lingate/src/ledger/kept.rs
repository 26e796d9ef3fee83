//! The copy of what the database holds of callers, for starts while it is away. Of secrets it knows hashes alone, as the database does.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use lingate_metering::tenant::{ApiKey, Declared, Organization, PlanTerms, Prepaid, Project, User};
use lingate_store::{Changes, Replica};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The first line names the form and holds the checksum of the second, which is this.
#[derive(Debug, Serialize, Deserialize)]
struct Copy {
    organizations: Vec<Organization>,
    projects: Vec<Project>,
    users: Vec<User>,
    keys: Vec<ApiKey>,
    #[serde(default)]
    prepaid: Vec<Prepaid>,
    #[serde(default)]
    terms: Vec<PlanTerms>,
}

const FORM: &str = "lingate-callers-1";

/// Puts a copy in the place of the one before, at once or not at all. Waits for the disk.
pub(super) fn write(file: &Path, stored: &Replica) -> io::Result<()> {
    let Declared {
        organizations,
        projects,
        users,
        keys,
        prepaid,
        terms,
        ..
    } = stored.declared();
    let copy = Copy {
        organizations,
        projects,
        users,
        keys,
        prepaid,
        terms,
    };
    let body = serde_json::to_vec(&copy)?;
    let before = file.with_extension("tmp");
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&before)?;
    writeln!(out, "{FORM} {}", checksum(&body))?;
    out.write_all(&body)?;
    out.sync_all()?;
    fs::rename(&before, file)
}

/// What the copy holds, as changes that bring everybody to it; their revision says that nothing is known of the database. `None`:
/// there is no copy.
pub(super) fn read(file: &Path) -> io::Result<Option<Changes>> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (head, body) = bytes.split_at(end.ok_or_else(damaged)?);
    let body = body.get(1..).unwrap_or_default();
    if head != format!("{FORM} {}", checksum(body)).as_bytes() {
        return Err(damaged());
    }
    let Copy {
        organizations,
        projects,
        users,
        keys,
        prepaid,
        terms,
    } = serde_json::from_slice(body)?;
    Ok(Some(Changes {
        complete: true,
        written: Declared {
            organizations,
            projects,
            users,
            keys,
            prepaid,
            terms,
            ..Declared::default()
        },
        ..Changes::default()
    }))
}

fn checksum(body: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(body).into();
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_read_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("lingate-kept-{}", std::process::id()));
        let file = folder.join("callers.json");
        assert_eq!(read(&file).unwrap(), None);
        let mut stored = Replica::default();
        stored.apply(Changes {
            revision: 7,
            complete: true,
            written: Declared {
                organizations: vec![Organization::named("acme")],
                ..Declared::default()
            },
            ..Changes::default()
        });
        write(&file, &stored).unwrap();
        let mut again = Replica::default();
        again.apply(read(&file).unwrap().unwrap());
        assert_eq!(again.declared(), stored.declared());
        assert_eq!(again.revision, 0);
        let whole = fs::read(&file).unwrap();
        for cut in [0, 10, whole.len() / 2, whole.len() - 1] {
            fs::write(&file, &whole[..cut]).unwrap();
            assert!(read(&file).is_err(), "{cut}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
