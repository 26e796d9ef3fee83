//! What is stored counts for the commands that work beside the gateway, and those that only look make nothing.

use super::Machine;

const FILE: &str = "providers: {local: {base_url: 'http://127.0.0.1:9/v1', keys: [none]}}\n";

#[test]
fn commands_see_what_is_stored() {
    let machine = Machine::new(FILE);
    // Only looked at: no database is made, and no master key.
    machine.run("prices list --provider openai").is(0, "", "");
    machine
        .run("routes explain --model stored-model")
        .is(0, "", "");
    machine.run("database check").is(0, "not there yet", "");
    assert!(!machine.folder.join("data").exists());

    for line in [
        "providers create mine --definition '{\"base_url\": \"http://127.0.0.1:9/v1\", \"keys\": [\"none\"]}'",
        "routes create first --definition '{\"model\": \"stored-model\", \"targets\": [\"mine/m\"]}'",
        "plans create gold --definition '{\"multiplier\": 3}'",
        "prices create --definition '{\"provider\": \"mine\", \"model\": \"m\", \"input\": 2, \"output\": 4}'",
        "currencies create CNY --definition 7",
        "organizations create acme --plan gold",
    ] {
        machine.run(line).is(0, "", "");
    }
    machine
        .run("routes explain --model stored-model")
        .is(0, "mine", "");
    machine.run("prices show mine/m").is(0, "input", "");
    let cost = "prices cost mine/m --input 1000000 --output 0 --plan gold --currency CNY --json";
    machine.run(cost).is(0, "42", "");
    machine
        .run("codes create --count 1 --plan gold --days 3")
        .is(0, "", "");
    machine
        .run("codes create --count 1 --plan silver --days 3")
        .is(1, "", "there is no such plan");
    machine.run("database check").is(0, "up to date", "");

    // The file names what only the database has, which is in order.
    let text = format!("{FILE}routes: [{{model: from-the-file, targets: [mine/m]}}]\n");
    std::fs::write(machine.folder.join("lingate.yml"), text).unwrap();
    machine
        .run("routes explain --model from-the-file")
        .is(0, "mine", "");
    machine.run("organizations list").is(0, "acme", "");
}
