//! A throw-away PostgreSQL: Debian's binaries, a folder of its own, a free loopback port; gone when the test is.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// A server that has not come up by then will not.
const START: Duration = Duration::from_mins(1);

/// How many ports are tried.
const PORTS: usize = 5;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A PostgreSQL server. Dropping it ends the server and removes its folder; so does the end of the test process, however it ends.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    durable: bool,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    /// A shell that passes signals on to the server, and ends it at the end of its input.
    keeper: Child,
    log: Arc<Mutex<String>>,
}

/// `$0` is the folder, the rest is the command. A line of input is the signal that the server is ended with; input that ends without
/// one is the end of the test process, and nobody else is there to remove the folder.
const KEEPER: &str = r#"
trap '' HUP INT TERM
"$@" &
server=$!
if read -r signal; then
    kill -"$signal" "$server"
    wait "$server"
    exit
fi
kill -QUIT "$server"
wait "$server"
rm -rf -- "$0"
"#;

impl Postgres {
    /// The one that all tests of this process share. They have databases of their own, and leave the server alone.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Postgres> = LazyLock::new(Postgres::start);
        &SHARED
    }

    /// One that a test may stop. What it has said it has written outlives [`Postgres::kill`], but not a power cut: nothing waits
    /// for the disk.
    ///
    /// # Panics
    ///
    /// When PostgreSQL is not installed, or does not start.
    pub fn start() -> Self {
        Self::begin(false)
    }

    /// As [`Postgres::start`]; it waits for the disk, as servers do.
    pub fn start_durable() -> Self {
        Self::begin(true)
    }

    fn begin(durable: bool) -> Self {
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let folder =
            std::env::temp_dir().join(format!("lingate-postgres-{}-{number}", std::process::id()));
        // Of a process that had this number before.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap_or_else(|error| fail(&format!("{error}")));
        if is_root() {
            run(Command::new("chown").arg("postgres:").arg(&folder));
        }
        // A collation under which text is not in the order of its bytes, as most servers have it.
        run(as_postgres(&program("initdb"))
            .arg("-D")
            .arg(folder.join("data"))
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
                "--no-instructions",
            ])
            .args([
                "--locale=C.UTF-8",
                "--locale-provider=icu",
                "--icu-locale=en-US",
            ])
            .current_dir(&folder));
        let mut server = Self {
            folder,
            port: 0,
            durable,
            running: Mutex::new(None),
        };
        for _ in 1..PORTS {
            server.port = free_port();
            match server.launch() {
                Ok(()) => return server,
                // Somebody else has taken the port since it was free.
                Err(log) if log.contains("could not bind") => {}
                Err(log) => fail(&log),
            }
        }
        server.port = free_port();
        server.launch().unwrap_or_else(|log| fail(&log));
        server
    }

    /// `postgres://…` of an empty database that nobody else uses.
    pub fn database(&self) -> String {
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::SeqCst));
        run(Command::new(program("createdb"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p"])
            .arg(self.port.to_string())
            .arg(&name));
        format!(
            "postgres://postgres:no-password@127.0.0.1:{}/{name}",
            self.port
        )
    }

    /// Ends every connection and the server, as an operator would.
    pub fn stop(&self) {
        self.end("INT");
    }

    /// Ends the server in the middle of whatever it does.
    pub fn kill(&self) {
        self.end("QUIT");
    }

    /// Starts it again, with its data and at the same port, after [`Postgres::stop`] or [`Postgres::kill`].
    pub fn start_again(&self) {
        self.launch().unwrap_or_else(|log| fail(&log));
    }

    /// Runs SQL in a database, as somebody beside the gateway would; what it prints, unaligned.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        run(&mut psql(database, sql))
    }

    /// As [`Postgres::sql`], where the database may refuse; what it says then.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<(), String> {
        let done = psql(database, sql)
            .output()
            .unwrap_or_else(|error| fail(&error.to_string()));
        if done.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }

    fn end(&self, signal: &str) {
        let Some(Running { mut keeper, .. }) = self.running().take() else {
            return;
        };
        // Its input ends here, and so does the keeper, when the server has.
        if let Some(mut input) = keeper.stdin.take() {
            let _ = writeln!(input, "{signal}");
        }
        let _ = keeper.wait();
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the server and waits until it says that it is ready; otherwise, what it said instead.
    fn launch(&self) -> Result<(), String> {
        let postgres = as_postgres(&program("postgres"));
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", KEEPER])
            .arg(&self.folder)
            .arg(postgres.get_program())
            .args(postgres.get_args())
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "shared_buffers=32MB"])
            .args(["-c", "max_connections=200"])
            .args(["-c", "log_destination=stderr"])
            .args(["-c", "lc_messages=C"])
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if !self.durable {
            keeper.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        let mut keeper = keeper.spawn().map_err(|error| error.to_string())?;
        let log = Arc::new(Mutex::new(String::new()));
        let (ready, is_ready) = mpsc::channel();
        if let Some(errors) = keeper.stderr.take() {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                for line in BufReader::new(errors).lines().map_while(Result::ok) {
                    if line.contains("database system is ready to accept connections") {
                        // Whoever waited for it may have given up.
                        let _ = ready.send(());
                    }
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.push_str(&line);
                    log.push('\n');
                }
            });
        }
        *self.running() = Some(Running {
            keeper,
            log: Arc::clone(&log),
        });
        if is_ready.recv_timeout(START).is_ok() {
            return Ok(());
        }
        self.kill();
        let log = log.lock().unwrap_or_else(PoisonError::into_inner);
        Err(log.clone())
    }

    /// What the server has said since it was started last.
    pub fn log(&self) -> String {
        self.running().as_ref().map_or_else(String::new, |running| {
            let log = running.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.clone()
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_or_else(|error| fail(&error.to_string()), |address| address.port())
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            "--",
        ])
        .arg(program);
    command
}

fn is_root() -> bool {
    static ROOT: LazyLock<bool> = LazyLock::new(|| run(Command::new("id").arg("-u")).trim() == "0");
    *ROOT
}

/// Where Debian puts the newest version's programs, or else wherever they are found.
fn program(name: &str) -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin").join(name)))
        })
        .filter(|(_, program)| program.is_file())
        .collect();
    versions.sort();
    versions
        .pop()
        .map_or_else(|| PathBuf::from(name), |(_, program)| program)
}

/// What the command prints.
fn psql(database: &str, sql: &str) -> Command {
    let mut command = Command::new(program("psql"));
    command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
    command.arg(database);
    command
}

fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            fail(&format!(
                "{} is not there: tests/needs installs what the tests need (Debian: apt-get install postgresql)",
                command.get_program().display()
            ));
        }
        fail(&error.to_string())
    });
    if !done.status.success() {
        fail(&format!(
            "{:?} ended with {}: {}",
            command,
            done.status,
            String::from_utf8_lossy(&done.stderr)
        ));
    }
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[track_caller]
fn fail(why: &str) -> ! {
    panic!("PostgreSQL for the tests: {why}")
}
