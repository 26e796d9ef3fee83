//! `admin_listen`: the control plane on a listener of its own, and nowhere else.

use std::net::SocketAddr;

use lingate_testkit::client::{Answer, fetch};

use super::harness::{Database, Harness, MANAGEMENT};
use crate::world::{CALLER, PATIENCE, program};

const SETTINGS: &str = "admin_listen: 127.0.0.1:0
payments: {stripe: {webhook_secret: whsec_canary}}";

/// Where the greeting says that operators are served.
fn operators(harness: &Harness) -> SocketAddr {
    let log = harness.gateway.log();
    let line = log
        .lines()
        .find_map(|line| line.trim().strip_prefix("admin API"));
    let url = line.unwrap_or_else(|| panic!("no address of the admin API: {log}"));
    url.trim().trim_start_matches("http://").parse().unwrap()
}

async fn ask(address: SocketAddr, asked: &str, key: &str) -> Answer {
    let (method, path) = asked.split_once(' ').unwrap();
    let bearer = format!("Bearer {key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("origin", "https://elsewhere.example"),
    ];
    let asked = fetch(address, method, path, &headers, b"{}");
    tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn operators_have_a_listener_of_their_own() {
    let mut harness = Harness::start(Database::Sqlite, SETTINGS).await;
    let (models, operators) = (harness.gateway.address(), operators(&harness));
    assert_ne!(models, operators);
    for (asked, key, at_models, at_operators) in [
        ("GET /api/v1/organizations", MANAGEMENT, 404, 200),
        ("GET /api/v1/routes", MANAGEMENT, 404, 200),
        ("GET /api/v1/key-pools", MANAGEMENT, 404, 200),
        ("GET /v1/api-keys/stats", MANAGEMENT, 404, 200),
        ("GET /openapi.json", MANAGEMENT, 404, 200),
        ("GET /docs", MANAGEMENT, 404, 200),
        ("GET /v1/models", CALLER, 200, 404),
        ("GET /", CALLER, 200, 404),
        ("OPTIONS /v1/models", CALLER, 204, 404),
        ("POST /v1/chat/completions", CALLER, 400, 404),
        ("GET /dashboard/billing/subscription", CALLER, 200, 404),
        ("GET /v1/dashboard/billing/subscription", CALLER, 200, 404),
        ("GET /api/usage/token", CALLER, 200, 404),
        ("GET /health", CALLER, 200, 200),
        ("GET /health/live", CALLER, 200, 200),
        ("GET /health/ready", CALLER, 200, 200),
        // It has no signature: that it is asked for one shows that it is there.
        ("POST /api/v1/payments/stripe/webhook", "", 400, 400),
    ] {
        let answer = ask(models, asked, key).await;
        assert_eq!(
            answer.status,
            at_models,
            "{asked} at the models': {}",
            answer.text()
        );
        let answer = ask(operators, asked, key).await;
        assert_eq!(
            answer.status,
            at_operators,
            "{asked} at the operators': {}",
            answer.text()
        );
        assert_eq!(answer.header("access-control-allow-origin"), "", "{asked}");
        if at_operators == 404 {
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{asked}"
            );
        }
    }
    let ended = harness.gateway.terminate(PATIENCE).await.unwrap();
    assert_eq!(ended, Some(0));
    for address in [models, operators] {
        assert!(
            std::net::TcpStream::connect(address).is_err(),
            "{address} still answers"
        );
    }
}

/// A configuration that is not in order, and what is said of it.
fn refused(configuration: &str) -> String {
    let folder = std::env::temp_dir().join(format!("lingate-faces-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("lingate.yml"), configuration).unwrap();
    let done = std::process::Command::new(program())
        .args(["config", "check"])
        .current_dir(&folder)
        .env_clear()
        .output()
        .unwrap();
    let _removed = std::fs::remove_dir_all(&folder);
    assert!(!done.status.success(), "{configuration}");
    let said = [done.stdout, done.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn addresses_that_cannot_be() {
    for (configuration, words) in [
        (
            "admin_listen: 127.0.0.1:8080",
            "`listen` has this address, too",
        ),
        (
            "admin_listen: [127.0.0.1:8081, 127.0.0.1:8081]",
            "here twice",
        ),
        (
            "auth: open\nadmin_listen: 0.0.0.0:8081",
            "this machine only",
        ),
        ("admin_listen: nowhere", "expected an IP address and a port"),
    ] {
        let said = refused(configuration);
        assert!(said.contains(words), "{configuration}: {said}");
        assert!(said.contains("admin_listen"), "{configuration}: {said}");
    }
}
