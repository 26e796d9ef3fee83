//! Every endpoint has its command, also where another command had the name first.

use serde_json::{Value, json};

use super::Machine;
use crate::admin::harness::{Database, Harness, MANAGEMENT};
use crate::world::CALLER;

const FILE: &str = "providers: {local: {base_url: 'http://127.0.0.1:9/v1', keys: [none]}}\nroutes: [{model: of-the-file, targets: [local/m]}]\n";

#[test]
fn documents_are_reached_beside_what_was_there_before() {
    let machine = Machine::new(FILE);
    for line in [
        "routes create mine --definition '{\"model\": \"stored\", \"targets\": [\"local/m\"]}'",
        "prices create --definition '{\"provider\": \"local\", \"model\": \"m\", \"input\": 2, \"output\": 4}'",
    ] {
        machine.run(line).is(0, "", "");
    }
    machine
        .run("routes list")
        .is(0, "of-the-file", "")
        .is(0, "stored", "");
    machine
        .run("routes list-documents")
        .is(0, "mine", "")
        .is(0, "database", "");
    machine.run("routes show mine").is(0, "stored", "");
    machine
        .run("routes update mine --definition '{\"model\": \"renamed\"}'")
        .is(0, "renamed", "");
    machine
        .run("routes delete mine --yes")
        .is(0, "deleted the route mine", "");
    machine.run("prices list-documents").is(0, "local/m", "");
    machine
        .run("prices show-document local/m")
        .is(0, "database", "");
    machine.run("prices show local/m").is(0, "input", "");
    machine
        .run("prices delete local/m --yes")
        .is(0, "deleted", "");
    machine.run("limits list").is(0, "", "");
    machine.run("prices show local/m").is(1, "", "no price");
}

#[test]
fn the_audit_log_is_exported_as_lines_and_as_a_table() {
    let machine = Machine::new(FILE);
    machine.run("organizations create acme").is(0, "", "");
    let lines = machine.run("audit export --format jsonl");
    assert_eq!(lines.code, 0, "{lines:?}");
    for line in lines.out.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["number"].is_number(), "{event}");
    }
    assert!(lines.out.contains("organization.create"), "{lines:?}");
    machine
        .run("audit export --format csv --out audit.csv")
        .is(0, "wrote audit.csv", "");
    assert!(machine.read("audit.csv").contains("organization.create"));
    machine.run("audit export --format xml").is(2, "", "xml");
    machine.run("audit list").is(0, "organization.create", "");
    machine.run("audit check").is(0, "", "");
}

#[tokio::test]
async fn what_was_used_is_told_by_a_gateway_that_runs() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let body = json!({"model": "up-chat/m", "messages": [{"role": "user", "content": "Hello"}]});
    harness
        .bearer(CALLER)
        .post("/v1/chat/completions", &body)
        .await
        .expect(200);
    let mut machine = Machine::new(FILE);
    let server = format!("http://{}", harness.gateway.address());
    machine.set("LINGATE_SERVER", &server);
    machine.set("LINGATE_TOKEN", MANAGEMENT);
    let seen = || {
        machine
            .run("usage list")
            .is(0, "", "")
            .out
            .contains("up-chat")
    };
    assert!(crate::world::eventually(seen).await);
    let listed = machine.run("usage list --json");
    let told: Value = serde_json::from_str(&listed.out).unwrap();
    let id = told["records"][0]["id"].as_str().unwrap();
    machine
        .run(&format!("usage show {id}"))
        .is(0, "complete", "");
    machine
        .run("stats requests --by key,provider")
        .is(0, "default/default/caller", "")
        .is(0, "up-chat", "");
    machine
        .run("stats tokens --grain hour")
        .is(0, "INPUT TOKENS", "");
    machine
        .run("stats keys --json")
        .is(0, "\"requests\": 1", "");
    machine.run("routes list").is(0, "", "");
    machine
        .run(&format!("routes list --server {server}"))
        .is(0, "there are no routes", "");
    // This machine's own things are said to be meant.
    machine.run("usage list --data data").is(0, "", "");
}

#[test]
fn completions_know_all_commands() {
    let machine = Machine::new(FILE);
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let done = machine.run(&format!("completions {shell}"));
        for word in [
            "export",
            "apply",
            "whoami",
            "master-key",
            "list-documents",
            "audit",
        ] {
            assert!(done.out.contains(word), "{shell}: {word}");
        }
    }
}
