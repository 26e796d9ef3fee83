//! Wallets, codes and payments through their endpoints, on a store of the test's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use http_body_util::BodyExt as _;
use lingate_config::{Payments, Stripe};
use lingate_seal::Sealer;
use lingate_store::{Store, new_id};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::watch;

use crate::{Admin, Configured, Parts};

struct Bed {
    admin: Admin,
    folder: PathBuf,
}

struct Answer {
    status: u16,
    kind: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Bed {
    async fn new() -> Self {
        Self::at(std::env::temp_dir().join(format!("lingate-money-{}", new_id()))).await
    }

    async fn at(folder: PathBuf) -> Self {
        let store = Store::open(&"sqlite".parse().unwrap(), &folder)
            .await
            .unwrap();
        let (_, store) = watch::channel(Some(store));
        let admin = Admin::new(Parts {
            store,
            gateway: None,
            seal: Arc::new(Sealer::new(&folder, None, None).unwrap()),
            configured: ArcSwap::default(),
        });
        Self { admin, folder }
    }

    async fn send(&self, ask: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let (method, path) = ask.split_once(' ').unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "gateway.test:8080")
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body)).unwrap();
        let response = self.admin.call(request, "ada").await;
        let kind = response.headers().get("content-type");
        let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            kind,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn ask(&self, ask: &str, body: Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(ask, &[], body).await
    }

    /// The answer to what must have this status.
    async fn told(&self, status: u16, ask: &str, body: Value) -> Value {
        let answer = self.ask(ask, body).await;
        assert_eq!(answer.status, status, "{ask}: {}", answer.text);
        if answer.text.is_empty() {
            return Value::Null;
        }
        answer.json()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Nothing else is in it; what stays is the system's to clear away.
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

const WALLET: &str = "/api/v1/wallets/default";

#[tokio::test]
async fn what_is_put_in_and_taken_out_adds_up() {
    let bed = Bed::new().await;
    bed.told(404, &format!("GET {WALLET}"), Value::Null).await;
    let nobody = json!({"organization": "nobody"});
    bed.told(422, "POST /api/v1/wallets", nobody).await;
    let new = json!({"organization": "default", "overdraft": "0.5"});
    let opened = bed.told(201, "POST /api/v1/wallets", new.clone()).await;
    assert_eq!(opened["available"], "0.5");
    bed.told(200, "POST /api/v1/wallets", new).await;

    let top_ups = format!("POST {WALLET}/top-ups");
    let top_up = json!({"amount": "10.000000001", "reference": "bill-1", "note": "<b>=1+1</b>"});
    let made = bed.told(201, &top_ups, top_up.clone()).await;
    let again = bed.told(200, &top_ups, top_up).await;
    assert_eq!(made, again);
    assert_eq!(made["by"]["name"], "ada");
    for (field, bad) in [
        ("/reference", json!({"amount": "11", "reference": "bill-1"})),
        ("/amount", json!({"amount": "0"})),
        ("/amount", json!({"amount": "-1"})),
        ("/amount", json!({"amount": "1000000000.01"})),
    ] {
        let problem = bed.told(422, &top_ups, bad).await;
        assert_eq!(problem["errors"][0]["field"], field);
    }
    for bad in [
        json!({"amount": 5}),
        json!({"amount": "1e3"}),
        json!({"amount": "0.0000000001"}),
        json!({"amount": "1", "colour": "red"}),
        json!({}),
    ] {
        let answer = bed.ask(&top_ups, bad).await;
        assert!((400..500).contains(&answer.status), "{}", answer.text);
    }

    let refunds = format!("POST {WALLET}/refunds");
    let refund = |amount: &str| json!({"entry": made["id"], "amount": amount});
    bed.told(201, &refunds, refund("4")).await;
    bed.told(422, &refunds, refund("6.1")).await;
    let adjust = format!("POST {WALLET}/adjustments");
    bed.told(422, &adjust, json!({"amount": "-1", "note": " "}))
        .await;
    let more = json!({"amount": "-7", "note": "mistake"});
    bed.told(422, &adjust, more).await;
    let forced = json!({"amount": "-7", "note": "mistake", "force": true});
    bed.told(201, &adjust, forced).await;

    let wallet = bed.told(200, &format!("GET {WALLET}"), Value::Null).await;
    assert_eq!(wallet["balance"], "-0.999999999");
    assert_eq!(wallet["available"], "0");
    let list = bed.told(200, "GET /api/v1/wallets", Value::Null).await;
    assert_eq!(list["items"], json!([wallet]));
    let statement = format!("GET {WALLET}/statement");
    let told = bed.told(200, &statement, Value::Null).await;
    assert_eq!(told["opening_balance"], "0");
    assert_eq!(told["closing_balance"], wallet["balance"]);
    assert_eq!(told["entries"].as_array().unwrap().len(), 3);
    let csv = bed
        .ask(&format!("{statement}?format=csv"), Value::Null)
        .await;
    assert_eq!(csv.kind, "text/csv; charset=utf-8");
    assert!(
        csv.text.contains("10.000000001,10.000000001\r\n"),
        "{}",
        csv.text
    );
    let html = [("accept", "text/html"), ("accept-language", "zh-CN")];
    let html = bed.send(&statement, &html, String::new()).await;
    assert!(html.text.contains("对账单") && !html.text.contains("<b>"));
    for bad in [
        "from=2027-13-01",
        "from=2027-01-02&until=2027-01-02",
        "format=pdf",
    ] {
        bed.told(422, &format!("{statement}?{bad}"), Value::Null)
            .await;
    }
    let first = format!("GET {WALLET}/entries?limit=2");
    let page = bed.told(200, &first, Value::Null).await;
    let next = page["next"].as_str().unwrap();
    let rest = bed
        .told(200, &format!("{first}&cursor={next}"), Value::Null)
        .await;
    assert_eq!(rest["items"], json!([made]));
    assert_eq!(rest["next"], Value::Null);
    let patched = bed
        .told(200, &format!("PATCH {WALLET}"), json!({"overdraft": null}))
        .await;
    assert_eq!(patched["overdraft"], "0");
}

#[tokio::test]
async fn codes_are_shown_once_and_wrong_ones_are_few() {
    let bed = Bed::new().await;
    let batches = "POST /api/v1/code-batches";
    for (field, bad) in [
        ("/count", json!({"count": 0, "value": "1"})),
        ("/count", json!({"count": 100_001, "value": "1"})),
        ("/value", json!({"count": 1})),
        (
            "/value",
            json!({"count": 1, "value": "1", "plan": "a", "days": 1}),
        ),
        ("/value", json!({"count": 1, "value": "-1"})),
        ("/days", json!({"count": 1, "plan": "a"})),
        ("/days", json!({"count": 1, "plan": "a", "days": 0})),
        (
            "/prefix",
            json!({"count": 1, "value": "1", "prefix": "a-b"}),
        ),
        (
            "/expires_at",
            json!({"count": 1, "value": "1", "expires_at": "2020-01-01T00:00:00Z"}),
        ),
    ] {
        let problem = bed.told(422, batches, bad).await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let new = json!({"count": 3, "value": "2.5", "prefix": "spring"});
    let made = bed.told(201, batches, new).await;
    let codes = made["codes"].as_array().unwrap();
    let path = format!("/api/v1/code-batches/{}", made["id"].as_str().unwrap());
    let shown = bed.told(200, &format!("GET {path}"), Value::Null).await;
    let listed = bed
        .told(200, &format!("GET {path}/codes"), Value::Null)
        .await;
    for code in codes {
        let code = code.as_str().unwrap();
        assert!(code.starts_with("SPRING-"), "{code}");
        assert!(!shown.to_string().contains(code) && !listed.to_string().contains(code));
    }
    let redeem = "POST /api/v1/codes/redeem";
    let written = codes[0].as_str().unwrap().to_lowercase().replace('-', " ");
    let body = json!({"code": written, "organization": "default"});
    let none = bed.told(409, redeem, body.clone()).await;
    assert_eq!(none["code"], "no_wallet");
    bed.told(
        201,
        "POST /api/v1/wallets",
        json!({"organization": "default"}),
    )
    .await;
    let first = bed.told(201, redeem, body.clone()).await;
    assert_eq!(first["entry"]["balance"], "2.5");
    assert_eq!(bed.told(200, redeem, body).await, first);
    bed.told(204, &format!("DELETE {path}/codes/2"), Value::Null)
        .await;
    bed.told(204, &format!("DELETE {path}"), Value::Null).await;
    // Taken back, unknown, no code at all: nobody can tell which.
    let mut told = Vec::new();
    for code in [
        codes[1].as_str().unwrap(),
        codes[2].as_str().unwrap(),
        "SPRING-23456-23456-23456-23456",
        "x",
    ] {
        let body = json!({"code": code, "organization": "default"});
        let mut problem = bed.told(422, redeem, body).await;
        problem["request_id"] = Value::Null;
        told.push(problem);
    }
    assert!(told.iter().all(|problem| *problem == told[0]), "{told:?}");
    let wrong = json!({"code": "x", "organization": "default"});
    for _ in 0..6 {
        bed.told(422, redeem, wrong.clone()).await;
    }
    let problem = bed.told(429, redeem, wrong).await;
    assert_eq!(problem["code"], "too_many_attempts");
    let plan = json!({"count": 1, "plan": "pro", "days": 30});
    let csv = [("accept", "text/csv")];
    let csv = bed.send(batches, &csv, plan.to_string()).await;
    assert_eq!(csv.status, 201);
    assert_eq!(csv.text.lines().count(), 2, "{}", csv.text);
}

#[tokio::test]
async fn a_payment_is_believed_when_it_is_signed() {
    let bed = Bed::new().await;
    let hook = "POST /api/v1/payments/stripe/webhook";
    let sign = |secret: &str, body: &str| {
        let at = jiff::Timestamp::now().as_second();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}.{body}").as_bytes());
        let bytes = mac.finalize().into_bytes();
        let digits: String = bytes
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        format!("t={at},v1={digits}")
    };
    let organization = lingate_metering::tenant::Organization::named("default").id;
    let paid = |event: &str, currency: &str| {
        json!({
            "id": event, "type": "checkout.session.completed", "created": 1,
            "data": {"object": {
                "id": "cs_1", "payment_intent": format!("pi_{currency}"), "payment_status": "paid",
                "amount_total": 2000, "currency": currency, "metadata": {"organization": organization},
            }},
        })
        .to_string()
    };
    let body = paid("evt_1", "usd");
    let off = bed.send(hook, &[], body.clone()).await;
    assert_eq!(off.status, 404, "{}", off.text);
    bed.admin.configure(Configured {
        payments: Payments {
            stripe: Some(Stripe {
                webhook_secret: SecretString::from("whsec_canary"),
            }),
            ..Payments::default()
        },
        ..Configured::default()
    });
    bed.told(
        201,
        "POST /api/v1/wallets",
        json!({"organization": "default"}),
    )
    .await;
    for signature in [String::new(), sign("", &body), sign("whsec_other", &body)] {
        let headers = [("stripe-signature", signature.as_str())];
        let answer = bed.send(hook, &headers, body.clone()).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    for (body, outcome) in [
        (body.clone(), "credited"),
        (body.clone(), "repeated"),
        (paid("evt_2", "usd"), "repeated"),
        (paid("evt_3", "eur"), "kept"),
        (json!({"id": "evt_4", "type": "x"}).to_string(), "noted"),
    ] {
        let signature = sign("whsec_canary", &body);
        let headers = [("stripe-signature", signature.as_str())];
        let answer = bed.send(hook, &headers, body.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["outcome"], outcome, "{body}");
    }
    let wallet = bed.told(200, &format!("GET {WALLET}"), Value::Null).await;
    assert_eq!(wallet["balance"], "20");
    let kept = "GET /api/v1/payments/events?outcome=kept";
    let kept = bed.told(200, kept, Value::Null).await;
    assert_eq!(kept["items"][0]["id"], "evt_3");
}

#[tokio::test]
async fn whoever_tries_many_wrong_codes_waits_whichever_replica_they_ask() {
    let bed = Bed::new().await;
    for name in ["acme", "beta"] {
        bed.told(201, "POST /api/v1/organizations", json!({"name": name}))
            .await;
    }
    // Another process on the same database.
    let other = Bed::at(bed.folder.clone()).await;
    let redeem = "POST /api/v1/codes/redeem";
    let wrong = |organization: &str| json!({"code": "lgc-0000-0000-0000-0000", "organization": organization});
    for number in 0..10 {
        let asked = if number % 2 == 0 { &bed } else { &other };
        let told = asked.told(422, redeem, wrong("acme")).await;
        assert_eq!(told["code"], "code_not_good");
    }
    for (asked, organization) in [(&bed, "acme"), (&other, "acme"), (&other, "beta")] {
        let told = asked.told(429, redeem, wrong(organization)).await;
        assert_eq!(told["code"], "too_many_attempts");
        assert_eq!(told["hint"], "try again in 10 minutes");
    }
    bed.admin.clock.advance(Duration::from_mins(10));
    let told = bed.told(422, redeem, wrong("acme")).await;
    assert_eq!(told["code"], "code_not_good");
}
