//! The gateway under test: the built program, run as its users run it.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::client::{self, Answer};

/// A gateway that has never come up by then will not.
const START: Duration = Duration::from_secs(15);

/// How many ports are tried.
const PORTS: usize = 5;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A running gateway. Dropping it kills the program and removes its folder.
#[derive(Debug)]
pub struct Gateway {
    program: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Gateway {
    /// Runs `program serve` with this configuration on a free loopback port and waits until it answers.
    ///
    /// `program` is the built binary: `Path::new(env!("CARGO_BIN_EXE_lingate"))` in tests of its own package. The
    /// configuration is the text of a `lingate.yml` without `listen` and `data`. The environment holds nothing but
    /// what is listed: a key in the developer's shell would switch a provider on.
    pub async fn start(
        program: &Path,
        configuration: &str,
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let folder =
            std::env::temp_dir().join(format!("lingate-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("lingate.yml"), configuration)?;
        let address = free_port()?;
        let running = serve(program, address, &folder, environment)?;
        let mut gateway = Self {
            program: running,
            address,
            folder,
        };
        for _ in 1..PORTS {
            match gateway.wait_for_health().await {
                // Somebody else has taken the port since it was free.
                Err(_) if gateway.log().contains("Address already in use") => {
                    gateway.address = free_port()?;
                    gateway.program =
                        serve(program, gateway.address, &gateway.folder, environment)?;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(gateway),
            }
        }
        gateway.wait_for_health().await?;
        Ok(gateway)
    }

    /// Kills the program (SIGKILL), in the middle of whatever it does.
    pub fn kill(&mut self) -> io::Result<()> {
        self.program.kill()?;
        self.program.wait().map(|_| ())
    }

    /// Kills the program (SIGKILL) and runs it again at the same address, with its configuration as it is now, its `data` and no
    /// environment.
    pub async fn kill_and_start(&mut self, program: &Path) -> io::Result<()> {
        self.kill()?;
        self.start_again(program).await
    }

    /// Runs the program again that has ended, as [`kill_and_start`](Self::kill_and_start) does.
    pub async fn start_again(&mut self, program: &Path) -> io::Result<()> {
        self.program = serve(program, self.address, &self.folder, &[])?;
        self.wait_for_health().await
    }

    async fn wait_for_health(&mut self) -> io::Result<()> {
        let started = Instant::now();
        while started.elapsed() < START {
            if let Some(status) = self.program.try_wait()? {
                let log = self.log();
                return Err(io::Error::other(format!(
                    "the gateway ended with {status}: {log}"
                )));
            }
            // It says itself that it listens: on a port that was taken meanwhile, another gateway answers.
            if self.log().contains(&format!("listening on {}", self.url())) {
                let health = client::fetch(self.address, "GET", "/health", &[], b"").await;
                if health.is_ok_and(|answer| answer.status == 200) {
                    return Ok(());
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(io::Error::other(format!(
            "the gateway does not answer /health: {}",
            self.log()
        )))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The folder that holds `lingate.yml` (to be edited while the gateway runs) and `data`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The identifier of the process, to send it signals or read its memory.
    pub fn pid(&self) -> u32 {
        self.program.id()
    }

    /// Sends a JSON body to this path and reads the answer to its end.
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> io::Result<Answer> {
        let headers = [
            ("content-type", "application/json"),
            ("authorization", "Bearer sk-caller"),
        ];
        client::fetch(
            self.address,
            "POST",
            path,
            &headers,
            body.to_string().as_bytes(),
        )
        .await
    }

    /// Everything the gateway has written to standard output and standard error so far.
    pub fn log(&self) -> String {
        let read = |name| fs::read(self.folder.join(name)).unwrap_or_default();
        let both = [read("stdout"), read("stderr")].concat();
        String::from_utf8_lossy(&both).into_owned()
    }

    /// Asks the gateway to end (SIGTERM) and waits for it; its exit status, or `None` when it has not ended in time.
    pub async fn terminate(&mut self, patience: Duration) -> io::Result<Option<i32>> {
        Command::new("kill").arg(self.pid().to_string()).status()?;
        let asked = Instant::now();
        while asked.elapsed() < patience {
            if let Some(status) = self.program.try_wait()? {
                return Ok(status.code());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(None)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already, and the folder may be gone: nothing is left to clean up then.
        let _ended = self.program.kill();
        let _status = self.program.wait();
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

fn serve(
    program: &Path,
    address: SocketAddr,
    folder: &Path,
    environment: &[(&str, &str)],
) -> io::Result<Child> {
    let log = |name| {
        let path = folder.join(name);
        OpenOptions::new().create(true).append(true).open(path)
    };
    Command::new(program)
        .arg("serve")
        .args(["--listen", &address.to_string()])
        .arg("--config")
        .arg(folder.join("lingate.yml"))
        .arg("--data")
        .arg(folder.join("data"))
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(log("stdout")?)
        .stderr(log("stderr")?)
        .spawn()
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
