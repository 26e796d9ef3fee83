//! What callers are told of their own account, in the forms of other gateways.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::wire::Dialect;
use crate::world::{CALLER, PATIENCE, World};

const PRICES: &str =
    "prices: [{provider: up-chat, model: \"m*\", input: 0, output: 0, request: 1.5}]";

async fn told(world: &World, path: &str, key: &str) -> (u16, Value) {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let answer = world.send("GET", path, &headers, b"").await;
    let body = serde_json::from_slice(&answer.body).unwrap_or_default();
    (answer.status, body)
}

/// What is charged is in the database a little later.
async fn usage_becomes(world: &World, path: &str, expect: u64) -> Value {
    let begun = Instant::now();
    loop {
        let (status, usage) = told(world, path, CALLER).await;
        assert_eq!(status, 200, "{usage}");
        if usage["total_usage"] == expect {
            return usage;
        }
        assert!(begun.elapsed() < PATIENCE, "{usage}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_key_sees_what_it_used_and_what_is_left() {
    let settings = format!(
        "{PRICES}\napi_keys:\n  - {{name: laptop, key: {CALLER}, limits: [{{cost: 10, per: total}}, {{cost: 1000, per: month}}], models: [\"up-chat/*\"]}}\n  - {{name: free, key: sk-canary-free}}"
    );
    let world = World::good(&settings).await;
    for _ in 0..2 {
        assert_eq!(
            world.ask(Dialect::Chat, "up-chat/m", false).await.status,
            200
        );
    }
    let usage = usage_becomes(&world, "/dashboard/billing/usage", 300).await;
    assert!(!usage["daily_costs"].as_array().unwrap().is_empty());
    let (_, before) = told(
        &world,
        "/v1/dashboard/billing/usage?start_date=2020-01-01&end_date=2020-02-01",
        CALLER,
    )
    .await;
    assert_eq!(before["total_usage"], 0);
    assert_eq!(before["daily_costs"].as_array().unwrap().len(), 31);

    for path in [
        "/dashboard/billing/subscription",
        "/v1/dashboard/billing/subscription",
    ] {
        let (status, found) = told(&world, path, CALLER).await;
        assert_eq!(status, 200);
        assert_eq!(found["hard_limit_usd"], 10, "{found}");
        let (_, free) = told(&world, path, "sk-canary-free").await;
        assert_eq!(free["hard_limit_usd"], 100_000_000);
    }
    let (_, grants) = told(&world, "/dashboard/billing/credit_grants", CALLER).await;
    assert_eq!(
        (&grants["total_used"], &grants["total_available"]),
        (&3.into(), &7.into())
    );
    let (_, token) = told(&world, "/api/usage/token", CALLER).await;
    let token = &token["data"];
    assert_eq!(
        (
            &token["name"],
            &token["total_granted"],
            &token["total_used"],
            &token["total_available"]
        ),
        (
            &"laptop".into(),
            &5_000_000.into(),
            &1_500_000.into(),
            &3_500_000.into()
        )
    );
    assert_eq!(token["unlimited_quota"], false);
    assert_eq!(token["model_limits"]["up-chat/*"], true);
    let (_, free) = told(&world, "/api/usage/token", "sk-canary-free").await;
    assert_eq!(free["data"]["unlimited_quota"], true);
}

#[tokio::test]
async fn whoever_shows_no_good_key_is_told_nothing() {
    let settings = format!("{PRICES}\napi_keys: [{{name: laptop, key: {CALLER}}}]");
    let world = World::good(&settings).await;
    for path in [
        "/dashboard/billing/subscription",
        "/dashboard/billing/usage",
        "/dashboard/billing/credit_grants",
        "/api/usage/token",
    ] {
        let (status, body) = told(&world, path, "sk-canary-nobody").await;
        assert_eq!(
            (status, &body["error"]["type"]),
            (401, &"authentication_error".into())
        );
        let nothing = world.send("GET", path, &[], b"").await;
        assert_eq!(nothing.status, 401, "{path}");
    }
    for dates in [
        "start_date=x",
        "start_date=2027-02-01&end_date=2027-01-01",
        "start_date=2000-01-01",
    ] {
        let path = format!("/dashboard/billing/usage?{dates}");
        let (status, body) = told(&world, &path, CALLER).await;
        assert_eq!(status, 400, "{body}");
    }
}
