//! Where things are stored and counted: the database, the counters, and how long records of usage are kept.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::read::{Age, Reader, Value};

/// An address that may hold a password. Shown, it holds none.
#[derive(Clone)]
pub struct Address(SecretString);

impl Address {
    /// The whole of it, for whoever connects.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Address {}

/// `postgres://alice:…@db.example/lingate`
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.expose_secret();
        let (rest, query) = match whole.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (whole, None),
        };
        let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
        write!(f, "{scheme}://")?;
        match rest.rsplit_once('@') {
            Some((user, host)) => match user.split_once(':') {
                Some((user, _)) => write!(f, "{user}:…@{host}")?,
                None => write!(f, "{user}@{host}")?,
            },
            None => f.write_str(rest)?,
        }
        let pairs = query.map(|query| query.split('&')).into_iter().flatten();
        for (place, pair) in pairs.enumerate() {
            f.write_str(if place == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((name, _)) if name.to_ascii_lowercase().contains("pass") => {
                    write!(f, "{name}=…")?;
                }
                Some(_) | None => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where tenants, keys and usage are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A file; without a path `lingate.db`. Where it is relative, it begins in the data folder.
    Sqlite(Option<PathBuf>),
    Postgres(Address),
}

impl Default for Database {
    fn default() -> Self {
        Self::Sqlite(None)
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(None) => f.write_str("sqlite"),
            Self::Sqlite(Some(path)) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

/// Where limits are counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CounterStore {
    /// In the process; from the ledger again after a restart.
    #[default]
    Memory,
    /// In Redis or Valkey, for all replicas together.
    Redis(Address),
}

impl fmt::Display for CounterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Redis(address) => address.fmt(f),
        }
    }
}

/// What happens to limits while Redis is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCounterOutage {
    /// Each replica goes on with its share of what was left.
    #[default]
    LocalLease,
    /// Everything is let through, and counted later.
    Allow,
    /// Limited requests are refused.
    Deny,
}

impl OnCounterOutage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LocalLease => "local_lease",
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// What is kept of usage. `None`: for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSettings {
    /// Records of single requests.
    pub records: Option<Duration>,
    /// Sums by the minute.
    pub minutes: Option<Duration>,
    /// Sums by the hour.
    pub hours: Option<Duration>,
    /// Sums by the day.
    pub days: Option<Duration>,
    /// Bytes that records on their way to the database may take on disk.
    pub journal_size: u64,
    pub when_full: WhenFull,
}

impl Default for UsageSettings {
    fn default() -> Self {
        const DAY: u64 = 24;
        Self {
            records: Some(Duration::from_hours(90 * DAY)),
            minutes: Some(Duration::from_hours(7 * DAY)),
            hours: Some(Duration::from_hours(100 * DAY)),
            days: None,
            journal_size: 1 << 30,
            when_full: WhenFull::Refuse,
        }
    }
}

/// What happens when the journal has taken all the space that it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Requests are refused: nothing goes by that nobody bills.
    #[default]
    Refuse,
    /// Requests go on without a record, and are counted.
    Allow,
}

impl WhenFull {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Allow => "allow",
        }
    }
}

impl Reader<'_> {
    pub(crate) fn database(&mut self, said: Option<&Value>) -> Database {
        let Some((said, secret)) = said.and_then(|said| Some((said, said.secret()?))) else {
            return Database::default();
        };
        let text = secret.expose_secret();
        if text.eq_ignore_ascii_case("sqlite") {
            return Database::default();
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.contains(":memory:") || path.contains('?') {
                let message = "expected `sqlite:` and the path of a file, without options: in memory nothing would be kept";
                self.problem(&said.place, &said.path, message);
            }
            return Database::Sqlite(
                Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty()),
            );
        }
        let wrong = address(text, &["postgres", "postgresql"], |scheme| {
            let known =
                "expected `sqlite`, or an address such as postgres://user:password@host/database";
            match scheme {
                "file" => {
                    format!("{known}; a file is written sqlite:PATH")
                }
                "mysql" | "mariadb" => format!("{known}; MySQL is not supported"),
                _ => known.to_owned(),
            }
        });
        if let Err(wrong) = wrong {
            self.problem(&said.place, &said.path, wrong);
        }
        Database::Postgres(Address(secret.clone()))
    }

    pub(crate) fn counters(&mut self, said: Option<&Value>) -> CounterStore {
        let Some((said, secret)) = said.and_then(|said| Some((said, said.secret()?))) else {
            return CounterStore::default();
        };
        let text = secret.expose_secret();
        if text.eq_ignore_ascii_case("memory") {
            return CounterStore::Memory;
        }
        let schemes = ["redis", "rediss", "valkey", "valkeys", "redis+unix", "unix"];
        let wrong = address(text, &schemes, |_| {
            "expected `memory`, or an address such as redis://host:6379/0 or rediss://user:password@host:6379/0".to_owned()
        });
        if let Err(wrong) = wrong {
            self.problem(&said.place, &said.path, wrong);
        }
        CounterStore::Redis(Address(secret.clone()))
    }

    /// What contradicts, or does not do what one could believe.
    pub(crate) fn check_storage(
        &mut self,
        root: &Value,
        database: &Database,
        counters: &CounterStore,
    ) {
        match (database, counters) {
            (Database::Postgres(_), CounterStore::Memory) => {
                if let Some(said) = root.get("database") {
                    self.note(
                        &said.place,
                        &said.path,
                        "limits are counted by each process for itself; where several share this database, let them count together with `counters: redis://…`",
                    );
                }
            }
            (Database::Sqlite(_), CounterStore::Redis(_)) => {
                if let Some(said) = root.get("counters") {
                    self.note(
                        &said.place,
                        &said.path,
                        "limits are counted in Redis, keys and usage are stored on this machine; where several share the counters, let them share `database: postgres://…`, too",
                    );
                }
            }
            (Database::Sqlite(_), CounterStore::Memory)
            | (Database::Postgres(_), CounterStore::Redis(_)) => {}
        }
        if *counters == CounterStore::Memory
            && let Some(said) = root.get("on_counter_outage")
            && on_counter_outage(Some(said)) != OnCounterOutage::default()
        {
            let message = "has no effect with `counters: memory`, which are never away";
            self.note(&said.place, &said.path, message);
        }
    }

    pub(crate) fn usage(&mut self, said: Option<&Value>) -> UsageSettings {
        let usual = UsageSettings::default();
        let Some(said) = said else {
            return usual;
        };
        let age = |name: &str, usual| match said.get(name).and_then(Value::age) {
            Some(Age::Of(time)) => Some(time),
            Some(Age::Forever) => None,
            None => usual,
        };
        let journal = said.get("journal");
        let settings = UsageSettings {
            records: age("records", usual.records),
            minutes: age("minutes", usual.minutes),
            hours: age("hours", usual.hours),
            days: age("days", usual.days),
            journal_size: journal
                .and_then(|journal| journal.get("size")?.number())
                .unwrap_or(usual.journal_size),
            when_full: match journal.and_then(|journal| journal.get("when_full")?.text()) {
                Some("allow") => WhenFull::Allow,
                Some(_) | None => WhenFull::Refuse,
            },
        };
        if settings.journal_size < SMALLEST_JOURNAL
            && let Some(size) = journal.and_then(|journal| journal.get("size"))
        {
            let message = "expected at least 1MiB";
            self.problem(&size.place, &size.path, message);
        }
        let forever = Duration::MAX;
        let ages = [
            ("minutes", settings.minutes),
            ("hours", settings.hours),
            ("days", settings.days),
        ];
        for pair in ages.windows(2) {
            if let [(finer, short), (coarser, long)] = pair
                && short.unwrap_or(forever) > long.unwrap_or(forever)
                && let Some(value) = said.get(coarser).or_else(|| said.get(finer))
            {
                let message = format!(
                    "`{coarser}` are kept shorter than `{finer}`, so that a report of last year would have gaps where one of last week has none"
                );
                self.note(&value.place, &value.path, message);
            }
        }
        settings
    }
}

/// Bytes; less could not hold the records of a busy second.
const SMALLEST_JOURNAL: u64 = 1 << 20;

pub(crate) fn on_counter_outage(said: Option<&Value>) -> OnCounterOutage {
    match said.and_then(Value::text) {
        Some("allow") => OnCounterOutage::Allow,
        Some("deny") => OnCounterOutage::Deny,
        Some(_) | None => OnCounterOutage::LocalLease,
    }
}

/// Whether an address is one; if not, what is wrong with it, in words that hold nothing of it.
fn address(text: &str, schemes: &[&str], unknown: impl Fn(&str) -> String) -> Result<(), String> {
    let (scheme, rest) = text.split_once(':').unwrap_or(("", ""));
    let Some(rest) = rest
        .strip_prefix("//")
        .filter(|_| schemes.contains(&scheme))
    else {
        return Err(unknown(scheme));
    };
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("holds a space; in a password it is written %20".to_owned());
    }
    if scheme.ends_with("unix") {
        return if rest.starts_with('/') {
            Ok(())
        } else {
            Err("expected the path of a socket, such as unix:///run/redis.sock".to_owned())
        };
    }
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before.split_once('/').unwrap_or((before, ""));
    // Of an `@` that is not escaped nobody knows whether it ends the password.
    if authority.matches('@').count() > 1 || path.contains('@') {
        return Err(
            "`@`, `/`, `?` and `#` in a user or password are written %40, %2F, %3F and %23"
                .to_owned(),
        );
    }
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let (name, port) = match host.strip_prefix('[') {
        Some(v6) => {
            let (name, rest) = v6.split_once(']').ok_or("a `[` without `]`")?;
            (name, rest.strip_prefix(':'))
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(
            "the port is no number up to 65535; `/` in a password is written %2F".to_owned(),
        );
    }
    if name.is_empty() && !query.split('&').any(|pair| pair.starts_with("host=")) {
        return Err("names no host".to_owned());
    }
    if scheme.starts_with("postgres") {
        return if path.is_empty() && !query.contains("dbname=") {
            Err("names no database: postgres://user:password@host/database".to_owned())
        } else {
            Ok(())
        };
    }
    if !path.is_empty() && path.parse::<u16>().is_err() {
        return Err(
            "the database of Redis is a number, such as the 0 in redis://host:6379/0".to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Address(SecretString::from(text)).to_string()
    }

    #[test]
    fn passwords_are_not_shown() {
        for (text, expect) in [
            ("postgres://a:canary@h/d", "postgres://a:…@h/d"),
            (
                "postgres://a:b:canary@h:1/d?sslmode=require",
                "postgres://a:…@h:1/d?sslmode=require",
            ),
            (
                "postgres://h/d?user=a&password=canary&x",
                "postgres://h/d?user=a&password=…&x",
            ),
            ("postgres://a@h/d", "postgres://a@h/d"),
            ("redis://:canary@h/0", "redis://:…@h/0"),
            (
                "unix:///run/r.sock?pass=canary",
                "unix:///run/r.sock?pass=…",
            ),
            ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ] {
            assert_eq!(shown(text), expect);
            assert_eq!(format!("{:?}", Address(SecretString::from(text))), expect);
        }
    }

    #[test]
    fn addresses() {
        let check = |text: &str, schemes: &[&str], good: bool| {
            let wrong = address(text, schemes, |_| "scheme".to_owned());
            assert_eq!(wrong.is_ok(), good, "{text}: {wrong:?}");
            assert!(!format!("{wrong:?}").contains("canary"), "{wrong:?}");
        };
        for (text, good) in [
            ("postgres://user:pass@host/db", true),
            ("postgres://host:5432/db?sslmode=disable", true),
            ("postgres:///db?host=/run/postgresql", true),
            ("postgres://[::1]:5432/db", true),
            ("postgres://user:pa%2Fss@host/db", true),
            ("postgres://user:canary/ss@host/db", false),
            ("postgres://user:can@ary@host/db", false),
            ("postgres://user:canary@/db", false),
            ("postgres://user:canary@host", false),
            ("postgres://user:canary@host:99999/db", false),
            ("postgres://user:canary x@host/db", false),
            ("mysql://user:canary@host/db", false),
            ("canary", false),
            ("", false),
        ] {
            check(text, &["postgres"], good);
        }
        for (text, good) in [
            ("redis://host", true),
            ("redis://:p@host:6379/2", true),
            ("redis://host/canary", false),
            ("unix:///run/redis.sock", true),
            ("unix://run", false),
            ("http://host", false),
        ] {
            check(text, &["redis", "unix"], good);
        }
    }
}
