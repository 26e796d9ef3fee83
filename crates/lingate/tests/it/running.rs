//! The process: without any configuration, at its end, and after a hard one.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lingate_testkit::client::{Connection, fetch};
use lingate_testkit::{Script, Step};

use crate::wire::Dialect;
use crate::world::{PATIENCE, World, program, providers};

/// A gateway started by hand, at an address that it tells.
struct Running {
    child: Child,
    address: SocketAddr,
    greeting: String,
    folder: std::path::PathBuf,
}

impl Running {
    fn start(
        name: &str,
        listen: &str,
        configuration: Option<&str>,
        environment: &[(&str, &str)],
    ) -> Self {
        let folder =
            std::env::temp_dir().join(format!("lingate-running-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        if let Some(configuration) = configuration {
            std::fs::write(folder.join("lingate.yml"), configuration).unwrap();
        }
        let mut child = Command::new(program())
            .args(["serve", "--listen", listen])
            .current_dir(&folder)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        // The greeting ends with the example request.
        while !greeting.contains("-d '") {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("it ended: {greeting}"))
                .unwrap();
            greeting.push_str(&line);
            greeting.push('\n');
        }
        let address = greeting
            .split("http://")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        Self {
            child,
            address,
            greeting,
            folder,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn without_configuration_the_demo_answers() {
    let gateway = Running::start("demo", "127.0.0.1:0", None, &[]);
    assert!(gateway.greeting.contains("demo"), "{}", gateway.greeting);
    for dialect in Dialect::ALL {
        for model in ["demo", "gpt-4o", "anything/at-all"] {
            for stream in [false, true] {
                let body = dialect.request(model, stream).to_string();
                let answer = fetch(
                    gateway.address,
                    "POST",
                    &dialect.path(model, stream),
                    &[],
                    body.as_bytes(),
                )
                .await
                .unwrap();
                assert_eq!(answer.status, 200, "{model}: {}", answer.text());
                let text = if stream {
                    dialect.listen(&answer).text
                } else {
                    dialect.said(&answer)
                };
                assert!(text.contains("demo"), "{text}");
            }
        }
    }
    let list = fetch(gateway.address, "GET", "/v1/models", &[], b"")
        .await
        .unwrap();
    assert_eq!(list.json()["data"][0]["id"], "demo");
}

#[tokio::test]
async fn a_variable_with_a_key_turns_its_provider_on() {
    let upstream = crate::world::upstream(crate::world::good_answer).await;
    let url = format!("{}/v1", upstream.url());
    let gateway = Running::start(
        "variable",
        "127.0.0.1:0",
        None,
        &[("OPENAI_API_KEY", "sk-a,sk-b"), ("OPENAI_BASE_URL", &url)],
    );
    for _ in 0..2 {
        let body = Dialect::Messages.request("gpt-4o", false).to_string();
        let answer = fetch(
            gateway.address,
            "POST",
            "/v1/messages",
            &[],
            body.as_bytes(),
        )
        .await
        .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let keys: Vec<String> = upstream
        .received()
        .iter()
        .map(|received| received.header("authorization").to_owned())
        .collect();
    assert_eq!(keys, ["Bearer sk-a", "Bearer sk-b"]);
}

/// A stream that pauses in its middle for as long as a test needs to do something.
fn pausing(asked: &crate::world::Asked<'_>) -> Script {
    let events = asked.dialect.events();
    let (first, rest) = events.split_at(asked.dialect.opening() + 1);
    let mut script = Script::events(first.to_vec()).then(Step::Wait(Duration::from_secs(2)));
    for event in rest {
        script = script.then(Step::Send(event.clone().into()));
    }
    script
}

#[tokio::test]
async fn the_end_waits_for_open_answers() {
    let mut world = World::playing("", pausing).await;
    let mut open = Vec::new();
    for caller in Dialect::ALL {
        for upstream in ["up-chat/m", "up-gemini/m", "up-responses/m"] {
            let mut client = world.call(caller, upstream, true).await;
            let head = client.read_until(b"Hello ").await.unwrap();
            open.push((caller, client, head));
        }
    }
    let answers = open.len();
    let mut idle = Connection::open(world.gateway.address()).await.unwrap();
    idle.send("GET", "/health", &[], b"").await.unwrap();
    idle.answer().await.unwrap();

    let address = world.gateway.address();
    let pid = world.gateway.pid();
    Command::new("kill").arg(pid.to_string()).status().unwrap();
    let refused = async {
        while Connection::open(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused)
        .await
        .expect("still takes connections");
    for (caller, client, head) in &mut open {
        let end: &[u8] = match caller {
            Dialect::Chat => b"[DONE]\n\n",
            Dialect::Messages => b"\"message_stop\"}\n\n",
            Dialect::Gemini => b"\"STOP\"",
            Dialect::Responses => b"event: response.completed\n",
        };
        let rest = tokio::time::timeout(PATIENCE, client.read_until(end)).await;
        assert!(
            rest.is_ok_and(|rest| rest.is_ok()),
            "{caller:?}: the answer was cut after {}",
            String::from_utf8_lossy(head)
        );
    }
    // Nobody leaves before the very last bytes.
    assert_eq!(world.gateway.terminate(PATIENCE).await.unwrap(), Some(0));
    assert_eq!(
        world.said("outcome=\"complete\""),
        answers,
        "{}",
        world.gateway.log()
    );
}

#[tokio::test]
async fn after_a_hard_end_it_starts_again_at_the_same_place() {
    let upstream = crate::world::upstream(pausing).await;
    let configuration = providers(&upstream);
    let mut first = Running::start("hard", "127.0.0.1:0", Some(&configuration), &[]);
    let mut client = Connection::open(first.address).await.unwrap();
    let body = Dialect::Chat.request("up-chat/m", true).to_string();
    client
        .send("POST", "/v1/chat/completions", &[], body.as_bytes())
        .await
        .unwrap();
    client.read_until(b"Hello ").await.unwrap();
    first.child.kill().unwrap();
    first.child.wait().unwrap();

    // The caller sees a broken connection, not a clean end.
    let rest = tokio::time::timeout(PATIENCE, client.read_until(b"[DONE]"))
        .await
        .unwrap();
    assert!(rest.is_err());
    assert!(
        upstream
            .wait_until(PATIENCE, |it| it.open_connections() == 0)
            .await,
        "the upstream still works for nobody"
    );
    let second = Running::start(
        "hard-again",
        &first.address.to_string(),
        Some(&configuration),
        &[],
    );
    let answer = fetch(
        second.address,
        "POST",
        "/v1/chat/completions",
        &[],
        body.as_bytes(),
    )
    .await
    .unwrap();
    assert!(Dialect::Chat.listen(&answer).clean);
}
