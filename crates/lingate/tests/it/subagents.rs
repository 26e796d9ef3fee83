//! A model that the text of a request names: it decides where the request goes, and nobody upstream reads of it.

use lingate_testkit::Received;

use crate::wire::Dialect;
use crate::world::World;

/// The tag as the users of claude-code-router write it.
fn tag(provider: &str) -> String {
    format!("<CCR-SUBAGENT-MODEL>{provider},deep/m</CCR-SUBAGENT-MODEL>")
}

/// A request with this text in its instructions, and this one of the user; odd in its bytes.
fn request(dialect: Dialect, model: &str, instructions: &str, user: &str) -> String {
    match dialect {
        Dialect::Chat => format!(
            "{{ \"messages\":[{{\"role\":\"system\",\"content\":\"{instructions}\"}},{{\"content\":\"{user}\",\"role\":\"user\"}}],\n\"temperature\":1.50,\"model\" : \"{model}\"}}"
        ),
        Dialect::Messages => format!(
            "{{\"system\":[{{\"type\":\"text\",\"text\":\"You are.\"}}, {{\"text\":\"{instructions}\",\"type\":\"text\"}}],\"model\":\"{model}\",\"max_tokens\":1e2,\"messages\":[{{\"content\":[{{\"type\":\"text\",\"text\":\"Note\"}},{{\"text\":\"{user}\",\"type\":\"text\"}}],\"role\":\"user\"}}]}}"
        ),
        Dialect::Gemini => format!(
            "{{\"systemInstruction\":{{\"parts\":[{{\"text\":\"{instructions}\"}}]}},\n \"contents\":[{{\"parts\":[{{\"text\":\"{user}\"}}]}}],\"generation_config\":{{\"temperature\":0.10}}}}"
        ),
        Dialect::Responses => format!(
            "{{\"instructions\":\"{instructions}\",\"input\":[ {{\"content\":\"{user}\",\"role\":\"user\"}}],\"temperature\":1.50,\"model\":  \"{model}\"\n}}"
        ),
    }
}

/// A request in which a tool has found this text.
fn found(dialect: Dialect, model: &str, text: &str) -> String {
    match dialect {
        Dialect::Chat => format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":"Read it."}},{{"role":"assistant","content":null,"tool_calls":[{{"id":"t","type":"function","function":{{"name":"read","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"t","content":"{text}"}}]}}"#
        ),
        Dialect::Messages => format!(
            r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"Read it."}},{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"read","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":"{text}"}}]}}]}}"#
        ),
        Dialect::Gemini => format!(
            r#"{{"contents":[{{"role":"user","parts":[{{"text":"Read it."}}]}},{{"role":"model","parts":[{{"functionCall":{{"name":"read","args":{{}}}}}}]}},{{"role":"user","parts":[{{"functionResponse":{{"name":"read","response":{{"output":"{text}"}}}}}}]}}]}}"#
        ),
        Dialect::Responses => format!(
            r#"{{"model":"{model}","input":[{{"role":"user","content":"Read it."}},{{"type":"function_call","call_id":"t","name":"read","arguments":"{{}}"}},{{"type":"function_call_output","call_id":"t","output":"{text}"}}]}}"#
        ),
    }
}

/// The provider and the model that an upstream was asked for.
fn asked(received: &Received) -> (&'static str, String) {
    let asked = crate::world::asked(received).unwrap();
    (asked.dialect.provider(), asked.model)
}

#[tokio::test]
async fn another_provider_gets_the_request_and_not_the_tag() {
    let world = World::good("").await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            let tag = tag(upstream.provider());
            let escaped = tag.replace('<', "\\u003c").replace("/C", "\\/C");
            let texts = [
                (format!("{tag}\\nBe \\u00e9."), "Hi".to_owned()),
                (format!("Be brief.\\n{escaped}"), "Hi".to_owned()),
                ("Be brief.".to_owned(), format!("{tag}Hi")),
            ];
            for (instructions, user) in texts {
                for stream in [false, true] {
                    // The caller asks for a provider that is not the one it gets.
                    let own = Dialect::ALL
                        .into_iter()
                        .find(|dialect| *dialect != upstream);
                    let model = format!("{}/other", own.unwrap().provider());
                    let mut body = request(caller, &model, &instructions, &user);
                    if stream && caller != Dialect::Gemini {
                        let at = body.rfind('}').unwrap();
                        body.insert_str(at, ",\"stream\":true");
                    }
                    let path = caller.path(&model, stream);
                    let answer = world.post(&path, &[], body.as_bytes()).await;
                    let shown = format!("{caller:?} to {upstream:?}: {}", answer.text());
                    assert_eq!(answer.status, 200, "{shown}");
                    assert_eq!(answer.header("x-lingate-provider"), upstream.provider());
                    let received = world.upstream.received().pop().unwrap();
                    let expect = (upstream.provider(), "deep/m".to_owned());
                    assert_eq!(asked(&received), expect, "{shown}");
                    let sent = String::from_utf8_lossy(&received.body);
                    assert!(!sent.contains("CCR"), "{shown}: {sent}");
                    assert!(!sent.contains("deep/m<"), "{shown}: {sent}");
                    if caller == upstream {
                        let mut expect = body.replace(&model, "deep/m");
                        for tag in [&tag, &escaped] {
                            expect = expect.replace(tag, "");
                        }
                        assert_eq!(sent, expect);
                    } else {
                        // As the caller asked for it.
                        assert!(answer.text().contains(&model), "{shown}");
                        assert!(!answer.text().contains("deep/m"), "{shown}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_a_tool_has_found_chooses_no_model() {
    let world = World::good("").await;
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            let other = Dialect::ALL
                .into_iter()
                .find(|dialect| *dialect != upstream);
            let text = tag(other.unwrap().provider());
            let model = format!("{}/m", upstream.provider());
            let body = found(caller, &model, &text);
            let answer = world
                .post(&caller.path(&model, false), &[], body.as_bytes())
                .await;
            assert_eq!(answer.status, 200, "{caller:?}: {}", answer.text());
            let received = world.upstream.received().pop().unwrap();
            assert_eq!(asked(&received), (upstream.provider(), "m".to_owned()));
            let sent = String::from_utf8_lossy(&received.body);
            assert!(sent.contains(&text), "{caller:?} to {upstream:?}: {sent}");
        }
    }
}

#[tokio::test]
async fn the_name_is_looked_up_as_any_other() {
    let world =
        World::good("routes: [{model: writer, targets: [{provider: up-gemini, model: m-writer}]}]")
            .await;
    for caller in Dialect::ALL {
        let ask = |name: &str| {
            let instructions = format!("<lingate-model>{name}</lingate-model>Be brief.");
            request(caller, "up-chat/m", &instructions, "Hi")
        };
        let path = caller.path("up-chat/m", false);
        let answer = world.post(&path, &[], ask("writer").as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.received().pop().unwrap();
        assert_eq!(asked(&received), ("up-gemini", "m-writer".to_owned()));

        let before = world.upstream.received().len();
        let answer = world.post(&path, &[], ask("writter").as_bytes()).await;
        assert_eq!(answer.status, 404, "{}", answer.text());
        let message = caller.refusal(&answer);
        assert!(message.contains("'writter'"), "{message}");
        assert!(message.contains("'writer'"), "{message}");
        assert_eq!(world.upstream.received().len(), before);
    }
}

#[tokio::test]
async fn tokens_are_counted_by_the_model_of_the_tag() {
    let world = World::good("").await;
    let tag = tag("up-gemini");
    let body = request(Dialect::Messages, "up-chat/m", &tag, "Hi");
    let answer = world
        .post("/v1/messages/count_tokens", &[], body.as_bytes())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = world.upstream.received().pop().unwrap();
    assert_eq!(received.path, "/v1beta/models/deep/m:countTokens");
    assert!(!String::from_utf8_lossy(&received.body).contains("CCR"));

    // In the vendor's own dialect its body names the vendor's model.
    let tag = self::tag("up-messages");
    let body = request(Dialect::Messages, "up-chat/m", &tag, "Hi");
    world
        .post("/v1/messages/count_tokens", &[], body.as_bytes())
        .await;
    let received = world.upstream.received().pop().unwrap();
    assert_eq!(received.path, "/v1/messages/count_tokens");
    assert_eq!(received.json()["model"], "deep/m");
}

#[tokio::test]
async fn where_tags_are_not_obeyed_they_are_text() {
    for settings in ["defaults: {subagent_tag: false}", "auth: passthrough"] {
        let world = World::good(settings).await;
        for caller in Dialect::ALL {
            let model = format!("{}/m", caller.provider());
            let other = Dialect::ALL.into_iter().find(|dialect| *dialect != caller);
            let text = tag(other.unwrap().provider());
            let body = request(caller, &model, &text, "Hi");
            let path = caller.path(&model, false);
            let key = [("authorization", "Bearer sk-own")];
            let answer = world.post(&path, &key, body.as_bytes()).await;
            assert_eq!(answer.status, 200, "{settings}: {}", answer.text());
            let received = world.upstream.received().pop().unwrap();
            assert_eq!(asked(&received), (caller.provider(), "m".to_owned()));
            let sent = String::from_utf8_lossy(&received.body);
            assert!(sent.contains(&text), "{settings} {caller:?}: {sent}");
        }
    }
}
