//! Seals and opens with the master keys that there are, and takes a new one when it is exchanged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use ring::aead::LessSafeKey;
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::master::{BadMasterKey, MasterKey};
use crate::{Purpose, SealError, envelope};

/// What seals. One for a process; others share it.
#[derive(Debug)]
pub struct Sealer {
    keys: ArcSwap<Keys>,
    source: Source,
    /// Held while files of keys change.
    exchange: Mutex<()>,
}

#[derive(Debug, Clone)]
enum Source {
    Environment,
    /// `master.key` in this folder.
    Folder(PathBuf),
}

#[derive(Debug)]
struct Keys {
    /// Seals.
    current: Arc<Derived>,
    /// Opens only, while what is there is sealed anew.
    previous: Option<Arc<Derived>>,
    /// Why the current one will be gone after a restart; then nothing is sealed.
    unkept: Option<String>,
}

/// A master key with all that is derived from it.
struct Derived {
    master: MasterKey,
    id: String,
    seals: Vec<(Purpose, LessSafeKey, hmac::Key)>,
}

/// Which master key an envelope took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    Current,
    /// It is to be sealed anew.
    Previous,
}

/// What an envelope held.
#[derive(Debug)]
pub struct Opened {
    pub clear: Zeroizing<Vec<u8>>,
    pub age: Age,
}

/// Two master keys, while what is sealed with the first is sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The id of the key that is given up.
    pub from: String,
    /// The id of the key that seals.
    pub to: String,
    /// The keys are this process's own files, so it removes the old one in the end; else whoever sets the variable does.
    pub in_files: bool,
}

impl Sealer {
    /// The keys of `LINGATE_MASTER_KEY` and `LINGATE_MASTER_KEY_PREVIOUS`, else of the files `master.key` and `master.key.previous`
    /// in the data folder. A key is made where there is none; one that cannot be kept serves what may be lost with a restart
    /// ([`Sealer::proofs`]) and nothing else.
    pub fn of_process(data: &Path) -> Result<Self, BadMasterKey> {
        let variable = |name| std::env::var(name).ok().filter(|it| !it.trim().is_empty());
        let previous = variable("LINGATE_MASTER_KEY_PREVIOUS");
        Self::new(
            data,
            variable("LINGATE_MASTER_KEY").as_deref(),
            previous.as_deref(),
        )
    }

    /// With keys as text, where they do not come from files.
    pub fn new(
        data: &Path,
        current: Option<&str>,
        previous: Option<&str>,
    ) -> Result<Self, BadMasterKey> {
        let given = previous.map(MasterKey::parse).transpose()?;
        let kept = || {
            let path = data.join(PREVIOUS);
            MasterKey::read_file(&path).unwrap_or_else(|error| {
                tracing::error!("{}: {error}", path.display());
                None
            })
        };
        let (source, master) = if let Some(text) = current {
            (Source::Environment, Ok(MasterKey::parse(text)?))
        } else {
            let file = data.join(CURRENT);
            let key = MasterKey::in_file(&file);
            let key = key.map_err(|error| format!("{}: {error}", file.display()));
            (Source::Folder(data.to_owned()), key)
        };
        let (master, unkept) = match master {
            Ok(master) => (master, None),
            Err(why) => {
                tracing::warn!(
                    "the gateway's master key cannot be kept: {why}; reasoning of vendors that is under way is lost with a restart, and \
                     no secrets can be stored"
                );
                (MasterKey::fresh().map_err(|_| BadMasterKey)?, Some(why))
            }
        };
        let previous = given.or_else(kept).filter(|previous| *previous != master);
        Ok(Self {
            keys: ArcSwap::from_pointee(Keys {
                current: Arc::new(Derived::of(master)),
                previous: previous.map(|key| Arc::new(Derived::of(key))),
                unkept,
            }),
            source,
            exchange: Mutex::default(),
        })
    }

    /// The id of the master key that seals: eight hexadecimal digits that tell nothing of the key.
    pub fn key_id(&self) -> String {
        self.keys.load().current.id.clone()
    }

    /// The id of the master key that is given up; `None`: there is none.
    pub fn previous_id(&self) -> Option<String> {
        let keys = self.keys.load();
        keys.previous.as_ref().map(|key| key.id.clone())
    }

    /// Seals for one row. `row`: what it is found by, which stays the same as long as the envelope does.
    pub fn seal(&self, purpose: Purpose, row: &str, clear: &[u8]) -> Result<String, SealError> {
        let keys = self.keys.load();
        keys.usable()?;
        let key = keys.current.seal(purpose)?;
        envelope::seal(key, &keys.current.id, purpose, row, clear)
    }

    /// What an envelope of this row holds.
    pub fn open(
        &self,
        purpose: Purpose,
        row: &str,
        envelope: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.open_with_previous(purpose, row, envelope)
            .map(|opened| opened.clear)
    }

    /// What an envelope of this row holds, which is text.
    pub fn open_text(
        &self,
        purpose: Purpose,
        row: &str,
        envelope: &str,
    ) -> Result<SecretString, SealError> {
        let clear = self.open(purpose, row, envelope)?;
        let text = std::str::from_utf8(&clear).map_err(|_| SealError::NoEnvelope)?;
        Ok(SecretString::from(text))
    }

    /// What an envelope of this row holds, and whether it is to be sealed anew.
    pub fn open_with_previous(
        &self,
        purpose: Purpose,
        row: &str,
        envelope: &str,
    ) -> Result<Opened, SealError> {
        let needed = envelope::key_of(envelope).ok_or(SealError::NoEnvelope)?;
        let keys = self.keys.load();
        let (key, age) = match &keys.previous {
            _ if keys.current.id == needed => (&keys.current, Age::Current),
            Some(previous) if previous.id == needed => (previous, Age::Previous),
            previous => {
                let mut have = keys.current.id.clone();
                if let Some(previous) = previous {
                    have = format!("{have} and {}", previous.id);
                }
                return Err(SealError::OtherKey {
                    needed: needed.to_owned(),
                    have,
                });
            }
        };
        let clear = envelope::open(key.seal(purpose)?, purpose, row, envelope)?;
        Ok(Opened { clear, age })
    }

    /// HMAC-SHA256 of something under the key of a purpose.
    pub fn mac(&self, purpose: Purpose, of: &[u8]) -> [u8; 32] {
        self.keys.load().current.mac(purpose, of)
    }

    /// The same under the key that is given up; `None`: there is none.
    pub fn previous_mac(&self, purpose: Purpose, of: &[u8]) -> Option<[u8; 32]> {
        let keys = self.keys.load();
        keys.previous.as_ref().map(|key| key.mac(purpose, of))
    }

    /// A key for what is signed elsewhere.
    pub fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        self.keys.load().current.derive(purpose.name())
    }

    /// The master key itself, which seals what vendors sign of their reasoning: tokens that are with callers must stay good, so they
    /// are derived as they were before other things were.
    pub fn proofs(&self) -> [u8; 32] {
        *self.keys.load().current.master.bytes()
    }

    /// Whether secrets can be sealed, so that a restart opens them.
    pub fn usable(&self) -> Result<(), SealError> {
        self.keys.load().usable()
    }

    /// Begins to exchange the master key, or goes on with it: from now on another one seals, and both open.
    pub fn begin_rotation(&self) -> Result<Rotation, SealError> {
        let _held = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys.load_full();
        keys.usable()?;
        if let Some(previous) = &keys.previous {
            return Ok(Rotation {
                from: previous.id.clone(),
                to: keys.current.id.clone(),
                in_files: matches!(self.source, Source::Folder(_)),
            });
        }
        let Source::Folder(folder) = &self.source else {
            return Err(SealError::FromEnvironment);
        };
        let exchanged = exchange(folder, &keys.current.master);
        let master = exchanged
            .map_err(|error| SealError::NoMasterKey(format!("{}: {error}", folder.display())))?;
        let next = Arc::new(Derived::of(master));
        let rotation = Rotation {
            from: keys.current.id.clone(),
            to: next.id.clone(),
            in_files: true,
        };
        self.keys.store(Arc::new(Keys {
            current: next,
            previous: Some(Arc::clone(&keys.current)),
            unkept: None,
        }));
        tracing::warn!(
            "the master key {} is exchanged for {}, in {}: keep a copy of it in another place, and the old one as long as copies of the \
             database from before",
            rotation.from,
            rotation.to,
            folder.join(CURRENT).display()
        );
        Ok(rotation)
    }

    /// Nothing is sealed with the old key any more: it is given up. A variable that holds it is somebody else's to unset.
    pub fn end_rotation(&self, rotation: &Rotation) -> Result<(), SealError> {
        let _held = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys.load_full();
        let still = keys
            .previous
            .as_ref()
            .is_some_and(|key| key.id == rotation.from);
        if !still || keys.current.id != rotation.to {
            return Ok(());
        }
        if let Source::Folder(folder) = &self.source {
            match fs::remove_file(folder.join(PREVIOUS)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(SealError::NoMasterKey(format!(
                        "{}: {error}",
                        folder.join(PREVIOUS).display()
                    )));
                }
                _ => {}
            }
        }
        self.keys.store(Arc::new(Keys {
            current: Arc::clone(&keys.current),
            previous: None,
            unkept: None,
        }));
        Ok(())
    }
}

const CURRENT: &str = "master.key";
const PREVIOUS: &str = "master.key.previous";
const NEXT: &str = "master.key.next";

/// Puts a new key in the place of this one, which is kept beside it. Whenever it is interrupted, the key that seals is in a file.
fn exchange(folder: &Path, current: &MasterKey) -> io::Result<MasterKey> {
    let path = folder.join(CURRENT);
    // Somebody else may have exchanged it, or begun to.
    if MasterKey::read_file(&path)?.as_ref() != Some(current) {
        return Err(io::Error::other(
            "the file holds another key than the one in use; start the gateway again",
        ));
    }
    let next = MasterKey::fresh()?;
    let draft = folder.join(NEXT);
    let _left = fs::remove_file(&draft);
    next.write_new(&draft)?;
    let previous = folder.join(PREVIOUS);
    match fs::hard_link(&path, &previous) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // From an exchange that came no further than this.
            if MasterKey::read_file(&previous)?.as_ref() != Some(current) {
                return Err(io::Error::other(
                    "there is a master.key.previous of another exchange; start the gateway again",
                ));
            }
        }
        linked => linked?,
    }
    fs::rename(&draft, &path)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(next)
}

impl Keys {
    fn usable(&self) -> Result<(), SealError> {
        match &self.unkept {
            None => Ok(()),
            Some(why) => Err(SealError::NoMasterKey(why.clone())),
        }
    }
}

impl Derived {
    fn of(master: MasterKey) -> Self {
        let mut derived = Self {
            master,
            id: String::new(),
            seals: Vec::new(),
        };
        let digits = derived.derive("key id");
        let first = digits.iter().take(4);
        let number = first.fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        derived.id = format!("{number:08x}");
        derived.seals = Purpose::ALL
            .into_iter()
            .map(|purpose| {
                let key = derived.derive(purpose.name());
                let mac = hmac::Key::new(hmac::HMAC_SHA256, &*key);
                (purpose, envelope::key(&key), mac)
            })
            .collect();
        derived
    }

    /// HKDF-SHA256.
    fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let salt = Salt::new(HKDF_SHA256, b"lingate master key 1");
        let mut bytes = Zeroizing::new([0; 32]);
        let filled = salt
            .extract(self.master.bytes())
            .expand(&[purpose.as_bytes()], HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *bytes));
        // HKDF gives up to 255 times 32 bytes.
        #[expect(
            clippy::expect_used,
            reason = "32 bytes are what HKDF-SHA256 gives first"
        )]
        filled.expect("32 bytes");
        bytes
    }

    fn seal(&self, purpose: Purpose) -> Result<&LessSafeKey, SealError> {
        let mut all = self.seals.iter();
        let found = all.find(|(its, ..)| *its == purpose);
        found.map(|(_, key, _)| key).ok_or(SealError::Unsealable)
    }

    fn mac(&self, purpose: Purpose, of: &[u8]) -> [u8; 32] {
        let mut bytes = [0; 32];
        // All purposes have one.
        for (_, _, key) in self.seals.iter().filter(|(its, ..)| *its == purpose) {
            bytes.copy_from_slice(hmac::sign(key, of).as_ref());
        }
        bytes
    }
}

// By hand: all but the name is secret.
impl std::fmt::Debug for Derived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Derived")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0101010101010101010101010101010101010101010101010101010101010101";
    const TWO: &str = "0202020202020202020202020202020202020202020202020202020202020202";

    fn sealer(current: &str, previous: Option<&str>) -> Sealer {
        Sealer::new(Path::new("/nowhere"), Some(current), previous).unwrap()
    }

    fn folder() -> PathBuf {
        std::env::temp_dir().join(format!("lingate-seal-{}", uuid::Uuid::now_v7()))
    }

    #[test]
    fn an_envelope_opens_in_its_row_alone() {
        let seal = sealer(ONE, None);
        let envelope = seal.seal(Purpose::Totp, "row", b"canary").unwrap();
        assert!(!envelope.contains("canary"));
        assert!(envelope.starts_with(&format!("v1.{}.", seal.key_id())));
        let other = seal.seal(Purpose::Totp, "row", b"canary").unwrap();
        assert_ne!(
            envelope, other,
            "the same text twice tells that it is the same"
        );
        let check = |purpose, row: &str, envelope: &str, expect: Result<&[u8], SealError>| {
            let opened = seal.open(purpose, row, envelope);
            let opened = opened.as_ref().map(|clear| clear.as_slice());
            assert_eq!(opened.map_err(Clone::clone), expect, "{row} {envelope}");
        };
        check(Purpose::Totp, "row", &envelope, Ok(b"canary"));
        check(Purpose::Totp, "row2", &envelope, Err(SealError::Tampered));
        check(Purpose::Oidc, "row", &envelope, Err(SealError::Tampered));
        for wrong in ["", "v1", "v1.x.y", "v2.00000000.AAAA", "plain text", "v1.."] {
            check(Purpose::Totp, "row", wrong, Err(SealError::NoEnvelope));
        }
        let (head, body) = envelope.split_at(12);
        for at in 0..body.len() - 1 {
            let mut changed = body.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = format!("{head}{}", String::from_utf8(changed).unwrap());
            check(Purpose::Totp, "row", &changed, Err(SealError::Tampered));
        }
        for length in 0..body.len() {
            let cut = format!("{head}{}", &body[..length]);
            assert!(seal.open(Purpose::Totp, "row", &cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn whoever_lacks_the_key_is_told_which() {
        let (one, two) = (sealer(ONE, None), sealer(TWO, None));
        let envelope = one.seal(Purpose::Oidc, "row", b"text").unwrap();
        let error = two.open(Purpose::Oidc, "row", &envelope).unwrap_err();
        assert_eq!(
            error,
            SealError::OtherKey {
                needed: one.key_id(),
                have: two.key_id()
            }
        );
        assert!(error.to_string().contains(&one.key_id()), "{error}");
        let both = sealer(TWO, Some(ONE));
        let opened = both
            .open_with_previous(Purpose::Oidc, "row", &envelope)
            .unwrap();
        assert_eq!(
            (opened.age, opened.clear.as_slice()),
            (Age::Previous, &b"text"[..])
        );
        let anew = both.seal(Purpose::Oidc, "row", b"text").unwrap();
        assert!(two.open(Purpose::Oidc, "row", &anew).is_ok());
        assert_eq!(
            both.previous_mac(Purpose::Csrf, b"x"),
            Some(one.mac(Purpose::Csrf, b"x"))
        );
        assert_ne!(one.mac(Purpose::Csrf, b"x"), one.mac(Purpose::Oidc, b"x"));
        assert!(!format!("{both:?}").contains("[1, 1"));
    }

    /// What is in databases must open with later versions. The envelope was made by another implementation of HKDF and AES-GCM.
    #[test]
    fn the_derivation_stays_as_it_is() {
        let seal = sealer(ONE, None);
        assert_eq!(seal.key_id(), "73e57b37");
        let envelope = "v1.73e57b37.AAECAwQFBgcICQoL0rOGMM8XJzPyrkSzk1rUGRVwwXv36iWj";
        let opened = seal.open(Purpose::ProviderKeys, "row", envelope).unwrap();
        assert_eq!(opened.as_slice(), b"sk-stays");
    }

    #[test]
    fn a_key_in_a_file_is_exchanged_and_the_old_one_given_up_in_the_end() {
        let data = folder();
        let seal = Sealer::new(&data, None, None).unwrap();
        let envelope = seal.seal(Purpose::Totp, "row", b"text").unwrap();
        let old = seal.key_id();
        let rotation = seal.begin_rotation().unwrap();
        assert_eq!(rotation.from, old);
        assert_ne!(rotation.to, old);
        assert_eq!(seal.begin_rotation().unwrap(), rotation);
        // A process that comes now knows both, too.
        let later = Sealer::new(&data, None, None).unwrap();
        assert_eq!(later.key_id(), rotation.to);
        assert!(later.open(Purpose::Totp, "row", &envelope).is_ok());
        assert_eq!(later.begin_rotation().unwrap(), rotation);
        seal.end_rotation(&rotation).unwrap();
        assert!(!data.join(PREVIOUS).exists());
        let opened = seal.open(Purpose::Totp, "row", &envelope);
        assert!(matches!(opened, Err(SealError::OtherKey { .. })));
        later.end_rotation(&rotation).unwrap();
        assert_ne!(seal.begin_rotation().unwrap(), rotation);
        fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn an_exchange_that_broke_off_is_begun_again() {
        let data = folder();
        let seal = Sealer::new(&data, None, None).unwrap();
        fs::hard_link(data.join(CURRENT), data.join(PREVIOUS)).unwrap();
        fs::write(data.join(NEXT), "half").unwrap();
        let again = Sealer::new(&data, None, None).unwrap();
        assert_eq!(again.previous_id(), None);
        let rotation = again.begin_rotation().unwrap();
        assert_eq!(rotation.from, seal.key_id());
        // The one that does not know of it must not make a third.
        let error = seal.begin_rotation().unwrap_err();
        assert!(matches!(error, SealError::NoMasterKey(_)), "{error}");
        fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn a_key_of_the_environment_is_exchanged_there() {
        assert_eq!(
            sealer(ONE, None).begin_rotation(),
            Err(SealError::FromEnvironment)
        );
        let both = sealer(TWO, Some(ONE));
        let rotation = both.begin_rotation().unwrap();
        assert!(!rotation.in_files);
        both.end_rotation(&rotation).unwrap();
        assert_eq!(both.previous_id(), None);
    }

    #[test]
    fn what_a_restart_would_not_open_is_not_sealed() {
        let data = folder();
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join(CURRENT), "broken").unwrap();
        let seal = Sealer::new(&data, None, None).unwrap();
        let sealed = seal.seal(Purpose::Totp, "row", b"text");
        assert!(
            matches!(sealed, Err(SealError::NoMasterKey(_))),
            "{sealed:?}"
        );
        assert_ne!(seal.proofs(), [0; 32]);
        fs::remove_dir_all(&data).unwrap();
    }
}
