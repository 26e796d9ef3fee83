//! Organizations, on both databases: the form that tests of other resources follow.

use serde_json::json;

use super::on_both;

const PATH: &str = "/api/v1/organizations";

#[tokio::test]
async fn made_listed_page_by_page_and_made_once() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            let acme = operator.post(PATH, &json!({"name": "acme"})).await;
            acme.expect(201);
            assert!(!acme.header("etag").is_empty());
            for name in ["beta", "gamma", "delta"] {
                operator
                    .post(PATH, &json!({"name": name}))
                    .await
                    .expect(201);
            }
            let again = operator.post(PATH, &json!({"name": "acme"})).await;
            again.problem(409, "name_taken");

            let listed = operator.all(PATH, 2).await;
            let names: Vec<&str> = listed
                .iter()
                .map(|item| item["name"].as_str().unwrap())
                .collect();
            for name in ["acme", "beta", "gamma", "delta"] {
                let times = names.iter().filter(|listed| **listed == name).count();
                assert_eq!(times, 1, "{name} in {names:?}");
            }
        })
    })
    .await;
}

#[tokio::test]
async fn bad_input_is_told_field_by_field() {
    on_both(|harness| {
        Box::pin(async move {
            let operator = harness.operator();
            let reply = operator.post(PATH, &json!({"name": 7})).await;
            assert!(reply.wrong_fields().contains_key("/name"), "{}", reply.text);
            let reply = operator.post(PATH, &json!({"name": "a", "nmae": 1})).await;
            assert!(reply.wrong_fields().contains_key("/nmae"), "{}", reply.text);
            let reply = operator.post(PATH, &json!({"name": ""})).await;
            assert!(reply.wrong_fields().contains_key("/name"), "{}", reply.text);
            harness
                .nobody()
                .get(PATH)
                .await
                .problem(401, "unauthenticated");
        })
    })
    .await;
}
