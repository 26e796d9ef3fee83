//! The gateway's secret: 32 bytes that it seals with, given in the environment or made once and kept in a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Where the secret comes from. A file is read, or made, when the secret is first asked for.
pub struct MasterKey {
    bytes: OnceLock<[u8; 32]>,
    file: PathBuf,
}

/// A secret that is not 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 bytes, as 64 hexadecimal digits or in base64")]
pub struct BadMasterKey;

impl MasterKey {
    /// The secret in `data/master.key`.
    pub fn in_file(data: &Path) -> Self {
        Self {
            bytes: OnceLock::new(),
            file: data.join("master.key"),
        }
    }

    /// A secret as text.
    pub fn parse(text: &str) -> Result<Self, BadMasterKey> {
        let bytes = read(text).ok_or(BadMasterKey)?;
        Ok(Self {
            bytes: OnceLock::from(bytes),
            file: PathBuf::new(),
        })
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.bytes.get_or_init(|| {
            self.load().unwrap_or_else(|error| {
                let file = self.file.display();
                tracing::warn!(
                    "the gateway's secret cannot be kept in {file}: {error}; reasoning of vendors that is under way is lost with a \
                     restart"
                );
                fresh()
            })
        })
    }

    fn load(&self) -> io::Result<[u8; 32]> {
        match self.read_file() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        if let Some(folder) = self.file.parent() {
            lingate_shelf::private_folder(folder)?;
        }
        let bytes = fresh();
        let draft = self.file.with_extension(format!("{}", std::process::id()));
        let written = write_new(&draft, &bytes).and_then(|()| fs::hard_link(&draft, &self.file));
        // Whatever became of it, the draft is of no more use.
        let _gone = fs::remove_file(&draft);
        match written {
            Ok(()) => Ok(bytes),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.read_file(),
            Err(error) => Err(error),
        }
    }

    fn read_file(&self) -> io::Result<[u8; 32]> {
        let file = File::open(&self.file)?;
        if file.metadata()?.mode() & 0o077 != 0 {
            let path = self.file.display();
            tracing::warn!("{path} can be read by other users; it should have mode 0600");
        }
        let mut text = String::new();
        file.take(4096).read_to_string(&mut text)?;
        read(text.trim()).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, BadMasterKey))
    }
}

fn write_new(path: &Path, bytes: &[u8; 32]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    for byte in bytes {
        write!(file, "{byte:02x}")?;
    }
    file.write_all(b"\n")?;
    file.sync_all()
}

fn fresh() -> [u8; 32] {
    let [first, second] = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes);
    let [third, fourth] = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes);
    // Four times 122 random bits, of which a hash makes 256.
    let mut hash = sha2::Sha256::default();
    for part in [first, second, third, fourth] {
        sha2::Digest::update(&mut hash, part);
    }
    sha2::Digest::finalize(hash).into()
}

fn read(text: &str) -> Option<[u8; 32]> {
    let hexadecimal = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = if hexadecimal {
        let digits = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
        (0..32).map(digits).collect::<Option<Vec<u8>>>()?
    } else {
        [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
            .iter()
            .find_map(|engine| engine.decode(text).ok())?
    };
    bytes.try_into().ok()
}

// By hand: it is a secret.
impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterKey")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_given_in_several_forms() {
        let check = |text: &str, expect: bool| {
            let key = MasterKey::parse(text);
            assert_eq!(key.is_ok(), expect, "{text}");
            if let Ok(key) = key {
                assert_eq!(key.bytes(), &[0xab; 32]);
                assert!(!format!("{key:?}").contains("171"));
            }
        };
        check(&"ab".repeat(32), true);
        check(&"AB".repeat(32), true);
        check("q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=", true);
        check("q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s", true);
        check("", false);
        check("secret", false);
        check(&"ab".repeat(31), false);
    }

    #[test]
    fn a_secret_is_made_once_and_for_its_user_alone() {
        let data = std::env::temp_dir().join(format!("lingate-master-{}", uuid::Uuid::now_v7()));
        let first = *MasterKey::in_file(&data).bytes();
        assert_eq!(MasterKey::in_file(&data).bytes(), &first);
        let file = data.join("master.key");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let files: Vec<_> = fs::read_dir(&data).unwrap().collect();
        assert_eq!(files.len(), 1);
        // What cannot be read is left alone.
        fs::write(&file, "broken").unwrap();
        assert_ne!(MasterKey::in_file(&data).bytes(), &first);
        assert_eq!(fs::read_to_string(&file).unwrap(), "broken");
        fs::remove_dir_all(&data).unwrap();
    }
}
