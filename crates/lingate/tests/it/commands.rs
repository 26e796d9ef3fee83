//! The program's commands: what they print, where, and with which exit code.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use lingate_testkit::Script;

use crate::wire::{Dialect, TEXT};
use crate::world::{World, program};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// An empty folder to run commands in, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let path =
            std::env::temp_dir().join(format!("lingate-commands-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// Runs a command; its exit code, what it printed, and what it complained about.
    fn run(&self, arguments: &str, environment: &[(&str, &str)], input: &[u8]) -> Done {
        let mut child = Command::new(program())
            .args(arguments.split(' '))
            .current_dir(&self.0)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that wants no input has closed its end already.
        let _closed = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let done = Done {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!done.err.contains("panicked"), "{arguments}: {}", done.err);
        assert!(
            !format!("{}{}", done.out, done.err).contains("canary"),
            "a secret of {arguments}: {}{}",
            done.out,
            done.err
        );
        done
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever remains in the folder of temporary files hurts nobody.
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Done {
    fn is(&self, code: i32, out: &str, err: &str) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.out.contains(out), "{out:?} is not printed: {self:?}");
        assert!(self.err.contains(err), "{err:?} is not told: {self:?}");
        self
    }
}

#[test]
fn config_checks_shows_describes_and_writes() {
    let folder = Folder::new();
    folder
        .run("config init", &[], b"")
        .is(0, "wrote lingate.yml", "");
    folder.run("config init", &[], b"").is(1, "", "lingate.yml");
    folder
        .run("config check", &[], b"")
        .is(0, "lingate.yml: in order", "");
    folder
        .run("config init other.yml", &[], b"")
        .is(0, "wrote other.yml", "");

    folder.write(
        "lingate.yml",
        "provders: {}\ndefaults: {max_tokens: many, idle_timeout: 0s}\nauth: sometimes\n",
    );
    let done = folder.run("config check", &[], b"");
    done.is(1, "", "lingate.yml:1:1")
        .is(1, "", "did you mean `providers`")
        .is(1, "", "lingate.yml:2:24");
    done.is(1, "", "lingate.yml:2:44")
        .is(1, "", "lingate.yml:3:7");
    folder
        .run("config show", &[], b"")
        .is(1, "", "lingate.yml:1:1");
    folder.run("serve", &[], b"").is(1, "", "lingate.yml:1:1");
    folder
        .run("config check --config none.yml", &[], b"")
        .is(1, "", "none.yml");

    folder.write(
        "lingate.yml",
        "api_keys: [{name: alice, key: sk-canary-alice}]
providers:
  openai: {keys: [sk-canary-first, '${SECOND}'], proxy: 'http://user:canary-pass@127.0.0.1:3128'}
  own: {base_url: 'http://127.0.0.1:9/v1/chat/completions', dialects: [chat], keys: [sk-canary-own], headers: {x-team: canary-team}}
",
    );
    let done = folder.run(
        "config show",
        &[
            ("SECOND", "sk-canary-second"),
            ("LINGATE_DEFAULTS__MAX_TOKENS", "77"),
        ],
        b"",
    );
    done.is(0, "77", "")
        .is(0, "http://127.0.0.1:9/v1", "")
        .is(0, "alice", "");
    folder.run("config check", &[], b"").is(1, "", "SECOND");

    let schema: serde_json::Value =
        serde_json::from_str(&folder.run("config schema", &[], b"").out).unwrap();
    assert!(schema["properties"]["providers"].is_object());
    folder.run("config", &[], b"").is(2, "", "Usage");
    folder.run("nonsense", &[], b"").is(2, "", "nonsense");
    folder.run("--version", &[], b"").is(0, "lingate ", "");
    folder.run("--help", &[], b"").is(0, "Exit codes", "");
}

#[test]
fn convert_says_what_is_lost() {
    let folder = Folder::new();
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let name = |dialect: Dialect| format!("{dialect:?}").to_lowercase();
            let arguments = format!("convert --from {} --to {}", name(from), name(to));
            let request = from.request("m", false).to_string();
            let done = folder.run(&arguments, &[], request.as_bytes());
            // A limit may be left out and a model named in the path, but a word is a word.
            assert!([0, 3].contains(&done.code), "{done:?}");
            assert!(
                serde_json::from_str::<serde_json::Value>(&done.out)
                    .unwrap()
                    .to_string()
                    .contains("Hi"),
                "{done:?}"
            );
            assert_eq!(done.code == 3, !done.err.is_empty(), "{done:?}");

            let whole = from.whole().to_string();
            folder.write("answer.json", &whole);
            folder
                .run(
                    &format!("{arguments} --kind response answer.json"),
                    &[],
                    b"",
                )
                .is(0, TEXT, "");

            let stream = from.events().concat();
            let done = folder.run(
                &format!("{arguments} --kind stream -"),
                &[],
                stream.as_bytes(),
            );
            let heard = to.hear(&done.out);
            assert_eq!(
                (done.code, heard.text.as_str(), heard.clean),
                (0, TEXT, true),
                "{done:?}"
            );
            let cut = &stream[..stream.len() / 2];
            let done = folder.run(&format!("{arguments} --kind stream"), &[], cut.as_bytes());
            assert_eq!(done.code, 1, "{done:?}");
            to.hear(&done.out).failed();
        }
    }
    let mut lossy = Dialect::Chat.request("m", false);
    lossy["seed"] = 5.into();
    folder
        .run(
            "convert --from chat --to messages",
            &[],
            lossy.to_string().as_bytes(),
        )
        .is(3, "max_tokens", "seed: ");
    folder
        .run("convert --from chat --to messages", &[], b"{")
        .is(1, "", "lingate: ");
    folder
        .run("convert --from chat --to messages none.json", &[], b"")
        .is(1, "", "none.json");
    folder
        .run("convert --from latin --to messages", &[], b"")
        .is(2, "", "chat, responses, messages, gemini");
    let audio = br#"{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]}"#;
    folder
        .run("convert --from chat --to messages", &[], audio)
        .is(1, "", "messages.0.content.0");
}

/// A conversation from a terminal, through a gateway with keys of its own.
#[tokio::test]
async fn chat_talks_through_a_gateway() {
    let world = World::playing(
        "auth: keys\napi_keys: [sk-canary-terminal]",
        |asked| match asked.model.as_str() {
            "bad" => Script::json(400, asked.dialect.error(400, "no such thing")),
            "cut" => Script::events(asked.dialect.events()[..4].to_vec()),
            _ => asked.good(),
        },
    )
    .await;
    let server = world.gateway.url();
    let run = async |arguments: &str, token: &str, input: &str| {
        let (arguments, input) = (arguments.to_owned(), input.to_owned());
        let (server, token) = (server.clone(), token.to_owned());
        let folder = Folder::new();
        tokio::task::spawn_blocking(move || {
            folder.run(
                &arguments,
                &[("LINGATE_SERVER", &server), ("LINGATE_TOKEN", &token)],
                input.as_bytes(),
            )
        })
        .await
        .unwrap()
    };
    let key = "sk-canary-terminal";
    for upstream in Dialect::ALL {
        let arguments = format!("chat {}/m -m Hi", upstream.provider());
        run(&arguments, key, "")
            .await
            .is(0, &format!("{TEXT}\n"), "");
    }
    run("chat up-chat/m --system Short", key, "one\n\ntwo\n")
        .await
        .is(0, &format!("{TEXT}\n{TEXT}\n"), "");
    let sent = world.upstream.received().pop().unwrap().json();
    let said: Vec<&str> = sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["Short", "one", TEXT, "two"]);
    run("chat up-chat/m -m Hi", "sk-canary-wrong", "")
        .await
        .is(1, "", "API key");
    run("chat up-messages/bad -m Hi", key, "")
        .await
        .is(1, "", "no such thing");
    run("chat up-messages/cut -m Hi", key, "")
        .await
        .is(1, "Hello", "lingate: ");
    run("chat nobody/m -m Hi", key, "")
        .await
        .is(1, "", "no provider serves");
    run("chat m -m Hi --server http://127.0.0.1:1", key, "")
        .await
        .is(1, "", "is `lingate serve` running there?");
    run("chat m -m Hi --server nonsense://x", key, "")
        .await
        .is(1, "", "lingate: ");
}
