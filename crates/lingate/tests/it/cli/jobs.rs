//! Work that lasts is waited for, on a machine's own database and at a gateway that runs.

use std::fmt::Write as _;

use super::Machine;
use crate::admin::harness::{Database, Harness, MANAGEMENT};

const FILE: &str =
    "providers: {pool: {base_url: 'http://127.0.0.1:9/v1', keys: [none]}}\nauth: keys\n";

/// So many keys of a provider, one of them twice, and a line that is none.
fn keys(count: usize) -> String {
    let mut text = String::from("sk-canary-0000000\nnot a key\n");
    for number in 0..count {
        _ = writeln!(text, "sk-canary-{number:07}");
    }
    text
}

#[test]
fn on_this_machine_an_import_is_done_when_the_command_is() {
    let machine = Machine::new(FILE);
    machine
        .run_with("provider-keys import - --provider pool", &keys(5_000))
        .is(0, "done", "import provider keys pool: ")
        .is(0, "added → 5000", "");
    machine
        .run_with("provider-keys import - --provider pool --quiet", &keys(10))
        .is(0, "added → 0", "");
    let done = machine.run_with("provider-keys import - --provider pool --json", &keys(10));
    assert_eq!(done.err, "");
    let job: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(job["state"], "done", "{job}");
    machine
        .run(&format!("jobs show {}", job["id"].as_str().unwrap()))
        .is(0, "done", "");
    // Nobody else would go on with it.
    machine
        .run_with("provider-keys import - --provider pool --detach", &keys(20))
        .is(0, "done", "waits for its end");

    let before = machine.folder.join("data/master.key");
    let before = std::fs::read(before).unwrap();
    machine
        .run("master-key rotate")
        .is(0, "done", "rotate master key");
    assert_ne!(machine.read("data/master.key").as_bytes(), before);
    // What was sealed before is opened with the new one.
    machine
        .run("routes explain --model pool/m")
        .is(0, "pool", "");
    assert_eq!(machine.run("database check").err, "");
}

#[tokio::test]
async fn a_gateway_that_runs_exchanges_its_own_master_key() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let folder = harness.gateway.folder();
    let key = || std::fs::read(folder.join("data/master.key")).unwrap();
    let before = key();
    let machine = Machine::new(FILE);
    let (file, data) = (folder.join("lingate.yml"), folder.join("data"));
    machine
        .run(&format!(
            "master-key rotate --config {} --data {}",
            file.display(),
            data.display()
        ))
        .is(1, "", "ask it with --server");
    assert_eq!(key(), before);
    let server = format!("http://{}", harness.gateway.address());
    machine
        .run(&format!(
            "master-key rotate --server {server} --token {MANAGEMENT}"
        ))
        .is(0, "done", "rotate master key");
    assert_ne!(key(), before);
}

#[tokio::test]
async fn at_a_gateway_that_runs_it_is_followed_or_left_to_itself() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let mut machine = Machine::new(FILE);
    let server = format!("http://{}", harness.gateway.address());
    machine.set("LINGATE_SERVER", &server);
    machine.set("LINGATE_TOKEN", MANAGEMENT);
    machine
        .run_with("provider-keys import - --provider up-chat", &keys(3_000))
        .is(0, "added → 3000", "import provider keys up-chat: ");
    let id = machine.run_with(
        "provider-keys import - --provider up-chat --detach --only id",
        &keys(3_001),
    );
    assert_eq!((id.code, id.err.as_str()), (0, ""));
    let show = format!("jobs show {}", id.out.trim());
    let done = || machine.run(&show).is(0, "", "").out.contains("done");
    assert!(crate::world::eventually(done).await);
    machine
        .run("master-key rotate")
        .is(0, "done", "rotate master key");
    // Whoever is interrupted is told where to look: the job goes on.
    std::fs::write(machine.folder.join("keys"), keys(40_000)).unwrap();
    let (code, told) = machine.interrupt(
        "provider-keys import keys --provider up-messages",
        "up-messages: begun",
    );
    assert_eq!(code, Some(130), "{told}");
    assert!(told.contains("lingate jobs show"), "{told}");
    let show = told.split('`').nth(1).unwrap().replace("lingate ", "");
    let done = || machine.run(&show).is(0, "", "").out.contains("done");
    assert!(crate::world::eventually(done).await);
    machine
        .run_with("provider-keys import - --provider nobody", &keys(1))
        .is(1, "", "no such provider");
}
