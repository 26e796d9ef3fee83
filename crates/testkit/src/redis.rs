//! A throw-away Redis on a loopback port of its own, that can be stopped, paused, and started empty.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// A server that does not answer by then will not.
const START: Duration = Duration::from_secs(15);

/// How many ports are tried.
const PORTS: usize = 5;

/// A running redis-server that keeps nothing on disk. Dropping it ends it.
#[derive(Debug)]
pub struct Redis {
    program: Child,
    address: SocketAddr,
    password: Option<String>,
}

impl Redis {
    /// Runs `redis-server` and waits until it answers.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(None).await
    }

    /// Runs one that asks for a password.
    pub async fn start_with_password(password: &str) -> io::Result<Self> {
        Self::start_with(Some(password.to_owned())).await
    }

    async fn start_with(password: Option<String>) -> io::Result<Self> {
        let mut last = None;
        for _ in 0..PORTS {
            // Whoever takes the port in between makes the server end at once: another one is tried.
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let program = run(address, password.as_deref())?;
            let mut redis = Self {
                program,
                address,
                password: password.clone(),
            };
            match redis.wait().await {
                Ok(()) => return Ok(redis),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("no port was tried")))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `redis://…`, with the password if there is one, and database 0.
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@{}/0", self.address),
            None => format!("redis://{}/0", self.address),
        }
    }

    /// Kills the server (SIGKILL): all that it held is lost, and connections to its port are refused.
    pub fn stop(&mut self) -> io::Result<()> {
        self.program.kill()?;
        self.program.wait().map(|_| ())
    }

    /// Starts it again at the same address, empty.
    pub async fn start_again(&mut self) -> io::Result<()> {
        self.stop()?;
        self.program = run(self.address, self.password.as_deref())?;
        self.wait().await
    }

    /// Stops it in its tracks (SIGSTOP): connections are accepted by the kernel, and nothing answers.
    pub fn pause(&self) -> io::Result<()> {
        self.signal("-STOP")
    }

    /// Lets it go on (SIGCONT), with all that it held and all that was sent meanwhile.
    pub fn resume(&self) -> io::Result<()> {
        self.signal("-CONT")
    }

    /// Sends a command on a connection of its own. What is nested in the answer is listed flat; nothing is an empty text, and an error is an error.
    pub async fn command(&self, words: &[&str]) -> io::Result<Vec<String>> {
        let mut connection = BufReader::new(TcpStream::connect(self.address).await?);
        if let Some(password) = &self.password {
            ask(&mut connection, &["AUTH", password]).await?;
        }
        ask(&mut connection, words).await
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let done = Command::new("kill")
            .args([signal, &self.program.id().to_string()])
            .status()?;
        if done.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("kill {signal} failed")))
        }
    }

    async fn wait(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            let answer = timeout(START, self.command(&["PING"])).await;
            if matches!(answer, Ok(Ok(_))) {
                return Ok(());
            }
            if let Some(status) = self.program.try_wait()? {
                return Err(io::Error::other(format!("redis-server ended: {status}")));
            }
            if begun.elapsed() > START {
                return Err(io::Error::other("redis-server does not answer"));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // SIGKILL ends a paused one, too. What has ended already needs no ending.
        let _ended = self.stop();
    }
}

fn run(address: SocketAddr, password: Option<&str>) -> io::Result<Child> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &address.port().to_string()])
        .args(["--bind", &address.ip().to_string()])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--daemonize", "no"])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    command.spawn().map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("redis-server cannot be run ({error}); tests/needs installs it"),
        )
    })
}

async fn ask(connection: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<Vec<String>> {
    let head = format!("*{}\r\n", words.len());
    let words = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let text: String = std::iter::once(head).chain(words).collect();
    connection.write_all(text.as_bytes()).await?;

    let mut answers = Vec::new();
    let mut expected: usize = 1;
    while expected > 0 {
        expected -= 1;
        let mut line = String::new();
        connection.read_line(&mut line).await?;
        let line = line.trim_end();
        let Some((kind, rest)) = line.split_at_checked(1) else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        };
        let length = || rest.parse::<usize>().ok();
        match kind {
            "+" | ":" => answers.push(rest.to_owned()),
            "$" => match length() {
                Some(length) => {
                    let mut bytes = vec![0; length + 2];
                    connection.read_exact(&mut bytes).await?;
                    bytes.truncate(length);
                    answers.push(String::from_utf8_lossy(&bytes).into_owned());
                }
                None => answers.push(String::new()),
            },
            "*" => expected += length().unwrap_or(0),
            _ => return Err(io::Error::other(rest.to_owned())),
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_started_paused_and_emptied() {
        let mut redis = Redis::start_with_password("secret").await.unwrap();
        let set = redis.command(&["SET", "a", "b c"]).await.unwrap();
        assert_eq!(set, ["OK"]);
        redis.pause().unwrap();
        let paused = timeout(Duration::from_millis(50), redis.command(&["GET", "a"])).await;
        assert!(paused.is_err());
        redis.resume().unwrap();
        assert_eq!(redis.command(&["GET", "a"]).await.unwrap(), ["b c"]);
        assert_eq!(
            redis.command(&["MGET", "a", "b"]).await.unwrap(),
            ["b c", ""]
        );
        redis.start_again().await.unwrap();
        assert_eq!(redis.command(&["GET", "a"]).await.unwrap(), [""]);
        assert!(redis.command(&["NONSENSE"]).await.is_err());
        let address = redis.address();
        drop(redis);
        assert!(TcpStream::connect(address).await.is_err());
    }
}
