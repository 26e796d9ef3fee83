//! What is exported is applied to an empty system, and exported there again: the same text, on the local database and over HTTP.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::Machine;
use crate::admin::harness::{Database, Harness, MANAGEMENT};

const FILE: &str =
    "providers: {local: {base_url: 'http://127.0.0.1:9/v1', keys: [none]}}\nauth: keys\n";

/// Something of everything.
fn filled() -> Machine {
    let machine = Machine::new(FILE);
    for line in [
        "providers create mine --definition '{\"base_url\": \"http://127.0.0.1:9/v1\", \"keys\": [\"${MINE:-}\"]}'",
        "routes create first --definition '{\"model\": \"m-*\", \"targets\": [\"mine\"]}'",
        "routes create second --definition '{\"model\": \"q\", \"targets\": [{\"provider\": \"mine\", \"weight\": 2}]}'",
        "plans create gold --definition '{\"multiplier\": 1.10}'",
        "prices create --definition '{\"model\": \"q\", \"input\": \"0.000000001\", \"output\": 2}'",
        "currencies create CNY --definition 7.10",
        "organizations create acme --plan gold --limit cost=5/month",
        "projects create acme/web",
        "users create acme/alice",
        "keys create laptop --project acme/web --user acme/alice --models 'm-*' --expires 30d",
    ] {
        machine.run(line).is(0, "", "");
    }
    machine
}

#[tokio::test]
async fn what_is_exported_is_applied_elsewhere_and_exported_there_the_same() {
    let first = filled();
    first.run("export -o all.yml").is(0, "wrote all.yml", "");
    let mode = fs::metadata(first.folder.join("all.yml")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let text = first.read("all.yml");
    assert_eq!(first.run("export").out, text);
    // An earlier export is replaced, and nothing else.
    first.run("export -o all.yml").is(0, "wrote", "");
    first.run("export -o lingate.yml").is(1, "", "is no export");
    first.run("export -o all.json").is(0, "wrote", "");
    let value: serde_json::Value = serde_json::from_str(&first.read("all.json")).unwrap();
    assert_eq!(value["lingate"], json!(1));

    // Another machine, by its database; what is shown first changes nothing.
    let second = Machine::new(FILE);
    fs::write(second.folder.join("all.yml"), &text).unwrap();
    second
        .run("apply all.yml --dry-run")
        .is(0, "+ provider mine\n", "")
        .is(0, "10 to create, 0 to update, 0 to delete", "");
    second
        .run("apply all.yml --dry-run --exit-code")
        .is(2, "+ route first\n", "");
    second
        .run("apply all.yml")
        .is(0, "applied: 10 created, 0 updated, 0 deleted", "");
    assert_eq!(second.run("export").out, text);
    second.run("apply all.yml").is(0, "nothing to change", "");
    second
        .run("apply all.yml --dry-run --exit-code")
        .is(0, "nothing to change", "");

    // A gateway that runs, over HTTP; and back from it to a machine.
    let harness = Harness::start(Database::Sqlite, "").await;
    let mut there = Machine::new(FILE);
    there.set(
        "LINGATE_SERVER",
        &format!("http://{}", harness.gateway.address()),
    );
    there.set("LINGATE_TOKEN", MANAGEMENT);
    there
        .run_with("apply - --dry-run --json", &text)
        .is(0, "\"created\": 10", "");
    assert!(!there.run("export").out.contains("mine"));
    there.run_with("apply -", &text).is(0, "applied: 10", "");
    assert_eq!(there.run("export").out, text);
    assert_eq!(
        there.run("export --format json").out,
        first.read("all.json")
    );
    let third = Machine::new(FILE);
    third
        .run_with("apply -", &there.run("export").out)
        .is(0, "applied: 10", "");
    assert_eq!(third.run("export").out, text);
}

#[test]
fn what_would_be_deleted_is_asked_for_and_what_is_wrong_changes_nothing() {
    let machine = filled();
    let before = machine.run("export").out;
    let less = "lingate: 1\nconfiguration:\n  currencies: {CNY: 7.2}\n";
    machine
        .run_with("apply - --dry-run", less)
        .is(0, "~ currency CNY\n    7.10 -> 7.2\n", "");
    // Nobody is there to say yes.
    machine
        .run_with("apply - --prune", less)
        .is(2, "- api_key laptop\n", "deletes")
        .is(2, "", "--yes");
    assert_eq!(machine.run("export").out, before);
    machine
        .run_with(
            "apply - --yes",
            "lingate: 1\nconfiguration: {database: x}\n",
        )
        .is(1, "", "line 2");
    assert_eq!(machine.run("export").out, before);
    machine
        .run_with("apply - --prune --yes", less)
        .is(0, "applied: 0 created, 1 updated", "");
    let after = machine.run("export").out;
    assert!(after.contains("7.2") && !after.contains("mine"), "{after}");
    machine
        .run("apply all.yml --exit-code")
        .is(2, "", "--dry-run");
    machine.run("apply nothing.yml").is(1, "", "nothing.yml");
}
