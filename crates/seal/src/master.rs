//! The master key: 32 bytes that everything else is derived from, given in the environment or made once and kept in a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::ZeroizeOnDrop;

/// A master key.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

/// A secret that is not 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 bytes, as 64 hexadecimal digits or in base64")]
pub struct BadMasterKey;

impl MasterKey {
    /// A key as text.
    pub fn parse(text: &str) -> Result<Self, BadMasterKey> {
        read(text.trim()).map(Self).ok_or(BadMasterKey)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn fresh() -> io::Result<Self> {
        let mut bytes = [0; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| io::Error::other("the operating system gives no random numbers"))?;
        Ok(Self(bytes))
    }

    /// The key in this file; where there is none, one that is made and kept there.
    pub(crate) fn in_file(path: &Path) -> io::Result<Self> {
        if let Some(key) = Self::read_file(path)? {
            return Ok(key);
        }
        if let Some(folder) = path.parent() {
            lingate_shelf::private_folder(folder)?;
        }
        let key = Self::fresh()?;
        let draft = path.with_extension(format!("{}", std::process::id()));
        let written = key
            .write_new(&draft)
            .and_then(|()| fs::hard_link(&draft, path));
        // Whatever became of it, the draft is of no more use.
        let _gone = fs::remove_file(&draft);
        match written {
            Ok(()) => {
                let path = path.display();
                tracing::warn!(
                    "a master key was made in {path}: keep a copy of it in another place. Secrets in the database (keys of providers, \
                     second factors) are sealed with it, and nothing opens them without it; LINGATE_MASTER_KEY can hold it instead"
                );
                Ok(key)
            }
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::read_file(path)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            }
            Err(error) => Err(error),
        }
    }

    /// `None`: there is no such file.
    pub(crate) fn read_file(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if file.metadata()?.mode() & 0o077 != 0 {
            let path = path.display();
            tracing::warn!("{path} can be read by other users; it should have mode 0600");
        }
        let mut text = String::new();
        file.take(4096).read_to_string(&mut text)?;
        Self::parse(&text)
            .map(Some)
            .map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))
    }

    pub(crate) fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        for byte in self.0 {
            write!(file, "{byte:02x}")?;
        }
        file.write_all(b"\n")?;
        file.sync_all()
    }
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
        f.debug_struct("MasterKey").finish_non_exhaustive()
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
        check("q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s\n", true);
        check("", false);
        check("secret", false);
        check(&"ab".repeat(31), false);
    }

    #[test]
    fn a_secret_is_made_once_and_for_its_user_alone() {
        let data = std::env::temp_dir().join(format!("lingate-master-{}", uuid::Uuid::now_v7()));
        let file = data.join("master.key");
        let first = MasterKey::in_file(&file).unwrap();
        assert_eq!(MasterKey::in_file(&file).unwrap(), first);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let files: Vec<_> = fs::read_dir(&data).unwrap().collect();
        assert_eq!(files.len(), 1);
        // What cannot be read is left alone.
        fs::write(&file, "broken").unwrap();
        assert!(MasterKey::in_file(&file).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "broken");
        fs::remove_dir_all(&data).unwrap();
    }
}
