//! What is known of keys, kept over a restart: a file of those that rest for long, are not accepted, or were switched off by hand.
//!
//! It holds fingerprints and no secret. What the configuration says of a key counts more than the file.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lingate_routing::{Moment, SavedKey, SavedState, Snapshot};
use serde_json::{Value, json};

/// Of the form of the file.
const VERSION: u64 = 1;

/// More are not written: a file of so many lines is read in a second.
const LINES: usize = 500_000;

/// Bytes that are read; a line has 300 at most.
const LONGEST: u64 = 200 << 20;

/// Characters of a reason.
const REASON: usize = 200;

/// However long the file says that a key rests.
const REST: Duration = Duration::from_hours(24);

/// The file.
#[derive(Debug)]
pub(crate) struct KeptKeys {
    path: PathBuf,
    /// One at a time, from the look at the keys on: what is older never comes over what is newer.
    writing: Mutex<()>,
}

/// Keys by their provider.
pub(crate) type Kept = Vec<(Arc<str>, Vec<SavedKey>)>;

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is no file of keys: {0}")]
    Foreign(String),
}

impl KeptKeys {
    /// Below the folder for what is stored.
    pub(crate) fn in_folder(data: &Path) -> Self {
        Self {
            path: data.join("keys.json"),
            writing: Mutex::new(()),
        }
    }

    /// Tells the pools what the file says. One that cannot be understood is put aside, and nothing is known.
    pub(crate) fn recall(&self, snapshot: &Snapshot, now: Moment) {
        let kept = match self.read(since_1970()) {
            Ok(kept) => kept,
            Err(Unreadable::Io(error)) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let path = self.path.display();
                let aside = self.path.with_extension("json.bad");
                let what = match fs::rename(&self.path, &aside) {
                    Ok(()) => format!("it is kept as {}", aside.display()),
                    Err(error) => format!("nor can it be put aside: {error}"),
                };
                tracing::warn!(
                    "which keys rest cannot be read from {path}: {error}; {what}. All keys count as good"
                );
                return;
            }
        };
        let mut count = 0;
        for (name, saved) in kept {
            if let Some(provider) = snapshot.provider(&name) {
                count += saved.len();
                provider.keys.restore(&saved, now);
            }
        }
        if count > 0 {
            tracing::info!(count, "keys that rested before the restart rest on");
        }
    }

    /// Keeps what is to be kept now, if it `differs` from what the caller wrote last. Waits for the disk. A failure is logged: the
    /// gateway goes on without.
    pub(crate) fn keep(
        &self,
        snapshot: &Snapshot,
        now: Moment,
        differs: impl FnOnce(&Kept) -> bool,
    ) -> Kept {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = gather(snapshot, now);
        if differs(&kept)
            && let Err(error) = self.write(&kept)
        {
            tracing::warn!(%error, "which keys rest cannot be kept; after a restart all of them count as good");
        }
        kept
    }

    /// Writes the file, in one step; none where there is nothing to say and none is there. Waits for the disk.
    fn write(&self, kept: &Kept) -> io::Result<()> {
        if kept.is_empty() && !self.path.try_exists()? {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            lingate_shelf::private_folder(folder)?;
        }
        let draft = self
            .path
            .with_extension(format!("json.{}", std::process::id()));
        // Left by a process of the same number.
        let _none = fs::remove_file(&draft);
        let written =
            write_new(&draft, kept, since_1970()).and_then(|()| fs::rename(&draft, &self.path));
        if written.is_err() {
            let _none = fs::remove_file(&draft);
        }
        written
    }

    fn read(&self, now: Duration) -> Result<Kept, Unreadable> {
        let file = BufReader::new(File::open(&self.path)?.take(LONGEST));
        let foreign = |what: &str| Unreadable::Foreign(what.to_owned());
        let all: Value = serde_json::from_reader(file)
            .map_err(|error| Unreadable::Foreign(error.to_string()))?;
        if all["version"] != VERSION {
            return Err(foreign("its version is another one"));
        }
        let providers = all["providers"]
            .as_object()
            .ok_or_else(|| foreign("no `providers`"))?;
        let mut kept = Kept::new();
        for (name, lines) in providers {
            let lines = lines.as_array().ok_or_else(|| foreign("no list"))?;
            let keys: Option<Vec<SavedKey>> =
                lines.iter().map(|line| read_line(line, now)).collect();
            let keys = keys.ok_or_else(|| foreign("a line is no key"))?;
            kept.push((name.as_str().into(), keys));
        }
        Ok(kept)
    }
}

/// What is to be kept of all providers.
fn gather(snapshot: &Snapshot, now: Moment) -> Kept {
    let mut left = LINES;
    let mut kept = Kept::new();
    for provider in &snapshot.providers {
        let mut saved = provider.keys.saved(now);
        saved.truncate(left);
        left -= saved.len();
        if !saved.is_empty() {
            kept.push((provider.name.as_str().into(), saved));
        }
    }
    kept
}

fn write_new(path: &Path, kept: &Kept, now: Duration) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let mut out = BufWriter::new(file);
    write!(out, "{{\"version\":{VERSION},\"providers\":{{")?;
    for (place, (name, keys)) in kept.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(out, "{comma}\n{}:[", json!(&**name))?;
        for (place, key) in keys.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}\n{}", line(key, now))?;
        }
        out.write_all(b"]")?;
    }
    out.write_all(b"}}\n")?;
    out.into_inner()?.sync_all()
}

fn line(key: &SavedKey, now: Duration) -> Value {
    let until = now.saturating_add(key.left).as_millis();
    let reason: String = key.reason.chars().take(REASON).collect();
    let mut fingerprint = String::with_capacity(64);
    for byte in key.fingerprint {
        // Writing to a string cannot fail.
        let _ = write!(fingerprint, "{byte:02x}");
    }
    let mut line = json!({
        "sha256": fingerprint,
        "state": key.state.name(),
        "reason": reason,
        "until": u64::try_from(until).unwrap_or(u64::MAX),
        "strikes": key.strikes,
    });
    if let Some(model) = &key.model {
        line["model"] = json!(&**model);
    }
    line
}

fn read_line(line: &Value, now: Duration) -> Option<SavedKey> {
    let state = line["state"].as_str()?;
    let until = Duration::from_millis(line["until"].as_u64()?);
    Some(SavedKey {
        fingerprint: read_fingerprint(line["sha256"].as_str()?)?,
        model: match line.get("model") {
            Some(model) => Some(model.as_str()?.into()),
            None => None,
        },
        state: SavedState::ALL
            .into_iter()
            .find(|known| known.name() == state)?,
        reason: line["reason"].as_str()?.chars().take(REASON).collect(),
        left: until.saturating_sub(now).min(REST),
        strikes: u32::try_from(line["strikes"].as_u64()?).ok()?,
    })
}

fn read_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(digits).collect();
    bytes
        .filter(|_| text.len() == 64)
        .and_then(|bytes| bytes.try_into().ok())
}

/// The clock on the wall: that of the process begins anew.
fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use lingate_routing::{Class, Fault, KeyPool, KeySpec, Provider};

    use super::*;

    fn snapshot() -> Snapshot {
        let keys = ["sk-canary-a", "sk-canary-b", "sk-canary-c"];
        let keys = keys.map(|key| KeySpec::new(key.into()));
        let provider = Provider {
            name: "up".to_owned(),
            keys: KeyPool::new(keys),
            ..Provider::default()
        };
        Snapshot {
            providers: vec![Arc::new(provider)].into(),
            ..Snapshot::default()
        }
    }

    fn states(snapshot: &Snapshot, now: Moment) -> Vec<(&'static str, u64)> {
        let provider = snapshot.provider("up").unwrap();
        let rows = provider.keys.states(now);
        let left = |until: Option<Moment>| until.map_or(0, |until| now.until(until).as_secs());
        rows.iter()
            .map(|row| (row.state.name(), left(row.state.until())))
            .collect()
    }

    #[test]
    fn what_rests_is_known_again_and_no_secret_is_written() {
        let data = std::env::temp_dir().join(format!("lingate-keys-{}", uuid::Uuid::now_v7()));
        let file = KeptKeys::in_folder(&data);
        let fresh = [("healthy", 0); 3];
        let later = Moment::from_millis(7);

        let old = snapshot();
        let pool = &old.provider("up").unwrap().keys;
        let keys: Vec<_> = pool.keys().collect();
        let dead = Fault::new(Class::KeyDead);
        let limited = Fault {
            retry_after: Some(Duration::from_mins(10)),
            ..Fault::new(Class::RateLimited)
        };
        let now = Moment::from_millis(1_000_000);
        pool.report(&keys[0], "m", &dead, now);
        pool.report(&keys[1], "m", &limited, now);
        pool.disable(&keys[2].id(), "rotated \"soon\"\n");
        file.write(&gather(&old, now)).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(fs::metadata(&file.path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);

        let new = snapshot();
        file.recall(&new, later);
        let told = states(&new, later);
        // A second may have passed, and half of one is rounded down.
        let close = |told: (&str, u64), state: &str, left: u64| {
            told.0 == state && told.1 <= left && told.1 + 30 >= left
        };
        assert!(close(told[0], "disabled", 60), "{told:?}");
        assert!(close(told[1], "cooling", 600), "{told:?}");
        assert_eq!(told[2], ("off", 0));

        // What comes later: the rest is shorter, and a limit that is over is none.
        let kept = file.read(since_1970() + Duration::from_mins(30)).unwrap();
        let left: Vec<Duration> = kept[0].1.iter().map(|key| key.left).collect();
        assert_eq!(left, [Duration::ZERO; 3]);
        // A clock that was turned back.
        let kept = file.read(Duration::ZERO).unwrap();
        assert!(kept[0].1.iter().all(|key| key.left <= REST));

        for bad in [
            "",
            "{",
            "[]",
            "null",
            r#"{"version":2,"providers":{}}"#,
            r#"{"version":1}"#,
            r#"{"version":1,"providers":{"up":{}}}"#,
            r#"{"version":1,"providers":{"up":[{"sha256":"00","state":"off","reason":"","until":0,"strikes":0}]}}"#,
            &text.replace("disabled", "asleep"),
            &text.replace("\"until\":", "\"until\":-"),
        ] {
            fs::write(&file.path, bad).unwrap();
            let new = snapshot();
            file.recall(&new, later);
            assert_eq!(states(&new, later), fresh, "{bad}");
            let aside = data.join("keys.json.bad");
            assert_eq!(fs::read_to_string(aside).unwrap(), bad);
            assert!(!file.path.exists());
        }
        // Of others nothing is said.
        fs::write(&file.path, text.replace("\"up\"", "\"gone\"")).unwrap();
        let new = snapshot();
        file.recall(&new, later);
        assert_eq!(states(&new, later), fresh);
        fs::remove_dir_all(&data).unwrap();
    }
}
