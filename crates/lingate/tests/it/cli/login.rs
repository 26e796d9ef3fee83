//! Signing in from a terminal or a script: what is left of it is a token that can be revoked by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use lingate_testkit::totp;
use serde_json::{Value, json};

use super::Machine;
use crate::admin::harness::{Database, Harness, MANAGEMENT, PASSWORD};

const FILE: &str = "providers: {}\n";

/// The token that is kept for the one server.
fn kept(machine: &Machine) -> Value {
    let text = machine.read(".config/lingate/tokens.json");
    let kept: Value = serde_json::from_str(&text).unwrap();
    let servers = kept.as_object().unwrap();
    assert_eq!(servers.len(), 1, "{kept}");
    servers.values().next().unwrap().clone()
}

/// Gives the operator a second factor, as a browser does; a recovery code.
async fn second_factor(harness: &Harness) -> String {
    let login = json!({"login": "operator", "password": PASSWORD});
    let opened = harness.nobody().post("/api/v1/session", &login).await;
    let csrf = opened.expect(200)["csrf_token"].as_str().unwrap();
    let cookie = opened.header("set-cookie").split(';').next().unwrap();
    let browser = harness
        .nobody()
        .with("cookie", cookie)
        .with("x-lingate-csrf", csrf);
    let proposed = browser.ask("POST", "/api/v1/me/totp", &[], None).await;
    let secret = proposed.body["secret"].as_str().unwrap().to_owned();
    let code = json!({"code": totp(&secret)});
    let confirmed = browser.post("/api/v1/me/totp/confirm", &code).await;
    let codes = &confirmed.expect(200)["recovery_codes"];
    codes[0].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_password_becomes_a_token_that_signing_out_revokes() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let server = format!("http://{}", harness.gateway.address());
    let mut machine = Machine::new(FILE);
    machine.set("LINGATE_SERVER", &server);
    let sign_in = "login --email operator --expires 7d";

    machine
        .run_with(sign_in, "not-the-password\n")
        .is(1, "", "wrong");
    machine
        .run_with(sign_in, "")
        .is(2, "", "password is missing");
    assert!(!machine.folder.join(".config").exists());
    machine.run("whoami").is(1, "", "");

    machine
        .run_with(sign_in, &format!("{PASSWORD}\n"))
        .is(0, "signed in at", "");
    let first = kept(&machine);
    let file = machine.folder.join(".config/lingate/tokens.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = first["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("lgp_"), "{first}");
    assert!(first["expires_at"].is_string(), "{first}");
    machine.run("whoami").is(0, "operator of the platform", "");
    machine.run("organizations list").is(0, "", "");
    // The session that made it is over.
    let sessions = harness.bearer(&token).get("/api/v1/me/sessions").await;
    assert_eq!(sessions.body["items"], json!([]), "{}", sessions.text);

    // Whoever signs in again leaves no token behind.
    let tokens = async |token: &str| {
        let listed = harness.bearer(token).get("/api/v1/tokens").await;
        listed.expect(200)["items"].as_array().unwrap().len()
    };
    assert_eq!(tokens(&token).await, 1);
    machine.set("LINGATE_PASSWORD", PASSWORD);
    machine
        .run("login --email operator --name 'the second'")
        .is(0, "the second", "");
    let second = kept(&machine);
    let again = second["token"].as_str().unwrap().to_owned();
    assert_ne!(again, token);
    assert_eq!(tokens(&again).await, 1);
    harness
        .bearer(&token)
        .get("/api/v1/session")
        .await
        .problem(401, "bad_token");

    // With a second factor, its code is the next line; and a wrong one is of no use.
    let code = second_factor(&harness).await;
    let coded = |code: &str| machine.run_with("login --email operator", &format!("{code}\n"));
    coded("000000").is(1, "", "code");
    assert_eq!(kept(&machine), second);
    coded(&code).is(0, "signed in at", "");
    let third = kept(&machine)["token"].as_str().unwrap().to_owned();
    assert_ne!(third, again);
    let again = third;

    machine.run("logout").is(0, "refused from now on", "");
    harness
        .bearer(&again)
        .get("/api/v1/session")
        .await
        .problem(401, "bad_token");
    machine.run("whoami").is(1, "", "");
    machine.run("logout").is(1, "", "nobody is signed in");
    assert!(!machine.read(".config/lingate/tokens.json").contains("lgp_"));
}

#[tokio::test]
async fn a_token_that_is_there_already_is_kept_and_not_revoked() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let server = format!("http://{}", harness.gateway.address());
    let mut machine = Machine::new(FILE);
    machine.set("LINGATE_SERVER", &server);
    machine
        .run_with("login --token", "sk-nobody\n")
        .is(1, "", "");
    for line in ["login --token", "login"] {
        machine
            .run_with(line, &format!("{MANAGEMENT}\n"))
            .is(0, "signed in at", "");
        machine.run("whoami").is(0, "operator of", "");
        machine.run("whoami --json").is(0, "\"roles\"", "");
        machine
            .run("logout")
            .is(0, "not made by `lingate login`", "");
    }
    harness.operator().get("/api/v1/session").await.expect(200);
    // Nobody to ask: what is on this machine is the operator's.
    let here = Machine::new(FILE);
    here.run("whoami").is(0, "ann", "");
}

#[tokio::test]
async fn a_temporary_password_is_changed_on_the_way_in() {
    let harness = Harness::start(Database::Sqlite, "").await;
    let ada = json!({"name": "Ada", "login": "ada"});
    let made = harness.operator().post("/api/v1/accounts", &ada).await;
    let temporary = made.expect(201)["temporary_password"].as_str().unwrap();
    let mut machine = Machine::new(FILE);
    let server = format!("http://{}", harness.gateway.address());
    machine.set("LINGATE_SERVER", &server);
    machine.set("LINGATE_PASSWORD", temporary);
    machine.set("LINGATE_NEW_PASSWORD", "a-battery-of-ada-47");
    machine.run("login --email ada").is(0, "signed in at", "");
    machine.run("whoami").is(0, "ada", "");
    let old = json!({"login": "ada", "password": temporary});
    let refused = harness.nobody().post("/api/v1/session", &old).await;
    refused.problem(401, "wrong_credentials");
}
