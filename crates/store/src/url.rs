//! Where the database is, as it is written in the configuration.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// The file of a SQLite database that has no path, in the data folder.
const FILE: &str = "lingate.db";

/// `sqlite`, `sqlite:FOLDER/FILE` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Shown, it has no password.
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Place);

#[derive(Clone)]
pub(crate) enum Place {
    /// `None`: [`FILE`] in the data folder. A relative path begins there, too.
    Sqlite(Option<PathBuf>),
    Postgres(Box<PgConnectOptions>),
}

impl DatabaseUrl {
    /// The file of a SQLite database.
    pub fn file(&self, data_dir: &Path) -> Option<PathBuf> {
        match &self.0 {
            Place::Sqlite(path) => Some(data_dir.join(path.as_deref().unwrap_or(Path::new(FILE)))),
            Place::Postgres(_) => None,
        }
    }
}

/// What is wrong with a text that should say where the database is. Never shows the text: there may be a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("expected sqlite, sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")]
    Scheme,
    #[error("`{0}` is not supported: expected sqlite, sqlite:PATH or postgres://…")]
    Other(String),
    #[error(
        "a database in memory is not supported, because nothing would be kept: write sqlite or sqlite:PATH"
    )]
    Memory,
    #[error("a SQLite database takes no options after `?`: write sqlite:PATH")]
    SqliteOptions,
    #[error(
        "the address of the PostgreSQL server names no database: write postgres://USER:PASSWORD@HOST/DATABASE"
    )]
    NoDatabase,
    #[error(
        "the address of the PostgreSQL server cannot be read; in the password, characters such as @ : / # ? % are written as %40 %3A %2F %23 %3F %25"
    )]
    Postgres,
}

impl FromStr for DatabaseUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let text = text.trim();
        if text.contains('\0') {
            return Err(BadUrl::Scheme);
        }
        if text == "sqlite" {
            return Ok(Self(Place::Sqlite(None)));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(BadUrl::Scheme);
        };
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.contains(":memory:") {
                    return Err(BadUrl::Memory);
                }
                if path.contains('?') {
                    return Err(BadUrl::SqliteOptions);
                }
                if path.is_empty() {
                    return Ok(Self(Place::Sqlite(None)));
                }
                Ok(Self(Place::Sqlite(Some(PathBuf::from(path)))))
            }
            "postgres" | "postgresql" => {
                let options: PgConnectOptions = rest
                    .starts_with("//")
                    .then(|| text.parse().ok())
                    .flatten()
                    .ok_or(BadUrl::Postgres)?;
                if options.get_database().is_none_or(str::is_empty) {
                    return Err(BadUrl::NoDatabase);
                }
                Ok(Self(Place::Postgres(Box::new(options))))
            }
            // A scheme is a word; anything else may be a part of a secret.
            other if other.len() <= 16 && other.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                Err(BadUrl::Other(other.to_owned()))
            }
            _ => Err(BadUrl::Scheme),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite(None) => f.write_str("sqlite"),
            Place::Sqlite(Some(path)) => write!(f, "sqlite:{}", path.display()),
            Place::Postgres(options) => {
                write!(f, "postgres://{}@", options.get_username())?;
                match options.get_socket() {
                    Some(socket) => write!(f, "{}", socket.display())?,
                    None => write!(f, "{}:{}", options.get_host(), options.get_port())?,
                }
                write!(f, "/{}", options.get_database().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&str, BadUrl>) {
        let shown = text.parse::<DatabaseUrl>().map(|url| url.to_string());
        assert_eq!(shown, expect.map(str::to_owned), "{text}");
        if let Err(error) = text.parse::<DatabaseUrl>() {
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn addresses_are_read_and_shown_without_their_password() {
        check("sqlite", Ok("sqlite"));
        check(" sqlite:// ", Ok("sqlite"));
        check("sqlite:ledger.db", Ok("sqlite:ledger.db"));
        check(
            "sqlite:///var/lib/ledger.db",
            Ok("sqlite:/var/lib/ledger.db"),
        );
        check(
            "postgres://u:secret@db.example:6432/lingate?sslmode=require",
            Ok("postgres://u@db.example:6432/lingate"),
        );
        check(
            "postgresql://u:s%40secret@db/l",
            Ok("postgres://u@db:5432/l"),
        );
        check("postgres://u:secret@db", Err(BadUrl::NoDatabase));
        check("postgres://u:secret@db/", Err(BadUrl::NoDatabase));
        check("postgres://u:secret@db:port/l", Err(BadUrl::Postgres));
        check("postgres:u:secret@db/l", Err(BadUrl::Postgres));
        check("mysql://u:secret@db/l", Err(BadUrl::Other("mysql".into())));
        check("Secret1:secret@db", Err(BadUrl::Scheme));
        check("", Err(BadUrl::Scheme));
        check("secret", Err(BadUrl::Scheme));
        check("sqlite::memory:", Err(BadUrl::Memory));
        check("sqlite://x.db?mode=ro", Err(BadUrl::SqliteOptions));
        check("sqlite:a\0b", Err(BadUrl::Scheme));
    }

    #[test]
    fn relative_files_are_in_the_data_folder() {
        let file = |text: &str| {
            text.parse::<DatabaseUrl>()
                .unwrap()
                .file(Path::new("/data"))
        };
        assert_eq!(file("sqlite"), Some("/data/lingate.db".into()));
        assert_eq!(file("sqlite:x/y.db"), Some("/data/x/y.db".into()));
        assert_eq!(file("sqlite:/x/y.db"), Some("/x/y.db".into()));
        assert_eq!(file("postgres://u@h/d"), None);
    }
}
