//! Nothing is converted where both sides speak the same: every byte goes through but the model's name.

use lingate_testkit::{Script, Step};

use crate::wire::{Dialect, TEXT};
use crate::world::World;

/// Bodies that a parser and a printer would change: order, numbers, escapes, white space, what nobody knows, what stands twice.
fn request(dialect: Dialect, model: &str) -> String {
    let odd = r#""zz_unknown" : {"b":1.50,"a":1e5,"c":-0,"d":12345678901234567890.10,"e":"\u00e9\u000a\/ \ud83d\ude00","f":[ 1,2 ,3],"g":null,"g":true},"#;
    match dialect {
        Dialect::Chat => format!(
            "{{ {odd}\n\t\"messages\":[{{\"content\":\"Hi \\u4f60\",\"role\":\"user\",\"x\":0.10}}],\"temperature\":1.50,\"model\" : \"{model}\" ,\"top_p\":1e-1}}"
        ),
        Dialect::Messages => format!(
            "{{\"model\":\"{model}\",{odd}\"max_tokens\":1e2,\"messages\":[{{\"content\":[{{\"text\":\"\\u0048i\",\"type\":\"text\"}}],\"role\":\"user\"}}]}}  "
        ),
        Dialect::Gemini => format!(
            "\n{{{odd}\"contents\":[{{\"parts\":[{{\"text\":\"Hi\"}}]}}],\"generation_config\":{{\"temperature\":0.10}}}}"
        ),
        Dialect::Responses => format!(
            "{{{odd}\"input\":[ {{\"content\":\"Hi \\u4f60\",\"role\":\"user\",\"x\":0.10}}],\"temperature\":1.50,\"model\":  \"{model}\"\n}}"
        ),
    }
}

/// Something that no decoder knows, with numbers and escapes, put into the vendor's answer.
fn odd(json: &str) -> String {
    let at = json.rfind('}').unwrap();
    format!(
        "{},\"zz\" : {{\"n\":1.50,\"m\":1E5,\"t\":\"\\u00e9\\/\"}}{}",
        &json[..at],
        &json[at..]
    )
}

#[tokio::test]
async fn every_byte_but_the_model_goes_through() {
    let world = World::playing("", |asked| {
        if asked.stream {
            let events = asked.dialect.events().into_iter().map(|event| {
                if event.contains("[DONE]") {
                    event
                } else {
                    odd(&event)
                }
            });
            Script::stream(events.collect::<String>(), &[50, 3])
        } else {
            Script::json(200, odd(&asked.dialect.whole().to_string()))
        }
        .header("x-vendor-request", "abc")
        .header("set-cookie", "a=b")
        .header("server", "vendor/1")
    })
    .await;
    for dialect in Dialect::ALL {
        for model in ["m", "deep/er/m-1.5:free~x", "m@2024", "a b", "mö"] {
            for stream in [false, true] {
                let asked = format!("{}/{model}", dialect.provider());
                let mut body = request(dialect, &asked);
                let mut expect = request(dialect, model);
                if stream && dialect != Dialect::Gemini {
                    for text in [&mut body, &mut expect] {
                        let at = text.rfind('}').unwrap();
                        text.insert_str(at, ",\"stream\":true");
                    }
                }
                let path = dialect.path(&asked.replace(' ', "%20").replace('ö', "%C3%B6"), stream);
                let answer = world.post(&path, &[], body.as_bytes()).await;
                assert_eq!(answer.status, 200, "{dialect:?} {model}: {}", answer.text());
                let received = world.upstream.received().pop().unwrap();
                assert_eq!(
                    String::from_utf8_lossy(&received.body),
                    expect,
                    "{dialect:?} {model}"
                );
                if dialect == Dialect::Gemini {
                    let verb = if stream {
                        "streamGenerateContent"
                    } else {
                        "generateContent"
                    };
                    let name = model.replace(' ', "%20").replace('ö', "%C3%B6");
                    assert_eq!(received.path, format!("/v1beta/models/{name}:{verb}"));
                }
                let vendors = if stream {
                    let events = dialect.events().into_iter();
                    events
                        .map(|event| {
                            if event.contains("[DONE]") {
                                event
                            } else {
                                odd(&event)
                            }
                        })
                        .collect()
                } else {
                    odd(&dialect.whole().to_string())
                };
                assert_eq!(answer.text(), vendors, "{dialect:?} {model}");
                assert_eq!(answer.header("x-vendor-request"), "abc");
                assert_eq!(answer.header("set-cookie"), "");
                assert_eq!(answer.header("server"), "");
                assert_eq!(answer.header("x-lingate-provider"), dialect.provider());
            }
        }
    }
}

/// Gemini's stream in one JSON array, both ways, is passed through as it is.
#[tokio::test]
async fn an_array_stays_an_array() {
    let chunks = Dialect::Gemini.events();
    let chunks: Vec<&str> = chunks
        .iter()
        .map(|event| event.trim().trim_start_matches("data: "))
        .collect();
    let array = format!("[{}\n]", chunks.join("\n,\r\n"));
    let sent = array.clone();
    let world = World::playing("", move |asked| {
        let pieces = sent
            .as_bytes()
            .chunks(40)
            .map(|piece| Step::Send(piece.to_vec().into()));
        let script = Script::steps("application/json", pieces.collect());
        if asked.model == "cut" {
            Script::steps(
                "application/json",
                vec![
                    Step::Send(sent[..sent.len() * 2 / 3].to_owned().into()),
                    Step::Close,
                ],
            )
        } else if asked.dialect == Dialect::Gemini {
            script
        } else {
            asked.good()
        }
    })
    .await;
    let body = Dialect::Gemini.request("", true).to_string();
    let answer = world
        .post(
            "/v1beta/models/up-gemini/m:streamGenerateContent",
            &[],
            body.as_bytes(),
        )
        .await;
    assert_eq!((answer.status, answer.text()), (200, array));
    assert!(
        answer
            .header("content-type")
            .starts_with("application/json")
    );
    assert_eq!(world.upstream.received().pop().unwrap().query, "");

    // From another dialect it is an array all the same.
    for upstream in ["up-chat", "up-messages", "up-responses"] {
        let path = format!("/v1beta/models/{upstream}/m:streamGenerateContent");
        let answer = world.post(&path, &[], body.as_bytes()).await;
        let chunks = answer.json();
        let text: String = chunks
            .as_array()
            .unwrap_or_else(|| panic!("{}", answer.text()))
            .iter()
            .map(|chunk| {
                chunk["candidates"][0]["content"]["parts"][0]["text"]
                    .as_str()
                    .unwrap_or_default()
            })
            .collect();
        assert_eq!(text, TEXT);
    }
    // Half an array is no JSON, which no client takes for an answer, or it ends in an error.
    let answer = world
        .post(
            "/v1beta/models/up-gemini/cut:streamGenerateContent",
            &[],
            body.as_bytes(),
        )
        .await;
    let last = answer
        .json()
        .as_array()
        .and_then(|chunks| chunks.last().cloned())
        .unwrap_or_default();
    assert!(
        last.is_null() || last["error"].is_object(),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn the_answer_names_the_model() {
    let world = World::good("").await;
    let name = |dialect: Dialect, json: &serde_json::Value| {
        let key = if dialect == Dialect::Gemini {
            "modelVersion"
        } else {
            "model"
        };
        json[key].as_str().unwrap_or_default().to_owned()
    };
    for caller in Dialect::ALL {
        for upstream in Dialect::ALL {
            let asked = format!("{}/up/m-01~x", upstream.provider());
            let answer = world.ask(caller, &asked, false).await;
            let expect = if caller == upstream {
                "m-vendor"
            } else {
                asked.as_str()
            };
            assert_eq!(
                name(caller, &answer.json()),
                expect,
                "{caller:?} to {upstream:?}"
            );
            assert_eq!(answer.header("x-lingate-model"), "up/m-01~x");
            let answer = world.ask(caller, &asked, true).await;
            assert!(
                answer.text().contains(&format!("\"{expect}\"")),
                "{caller:?} to {upstream:?}: {}",
                answer.text()
            );
        }
    }
}

/// `usage: require` asks the upstream, and hides what only the gateway asked for.
#[tokio::test]
async fn usage_is_asked_for_and_hidden() {
    let world = World::playing("defaults: {usage: require}", |asked| {
        let mut events = asked.dialect.events();
        let wants = asked.received.json()["stream_options"]["include_usage"] == true;
        if asked.dialect == Dialect::Chat && asked.stream && wants {
            let usage = r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
            events.insert(events.len() - 1, format!("{usage}\n\n"));
            Script::stream(events.concat(), &[90, 7])
        } else {
            asked.good()
        }
    })
    .await;
    let with = |options: &str| {
        let mut body = Dialect::Chat.request("up-chat/m", true).to_string();
        body.insert_str(body.len() - 1, options);
        body
    };
    let cases = [
        ("", false),
        (r#","stream_options":{"include_usage":true}"#, true),
        (r#","stream_options":{"include_usage":false}"#, false),
        (r#","stream_options":{"include_obfuscation":false}"#, false),
        (r#","stream_options":null"#, false),
    ];
    for (options, shown) in cases {
        let answer = world
            .post("/v1/chat/completions", &[], with(options).as_bytes())
            .await;
        let heard = Dialect::Chat.listen(&answer);
        assert_eq!(
            (heard.text.as_str(), heard.clean),
            (TEXT, true),
            "{options}"
        );
        assert_eq!(
            answer.text().contains("prompt_tokens"),
            shown,
            "{options}: {}",
            answer.text()
        );
        let sent = world.upstream.received().pop().unwrap().json();
        assert_eq!(
            sent["stream_options"]["include_usage"], true,
            "{options}: {sent}"
        );
        if options.contains("obfuscation") {
            assert_eq!(sent["stream_options"]["include_obfuscation"], false);
        }
    }
    // Usage of a converted stream reaches those whose dialect always tells it.
    let answer = world.ask(Dialect::Messages, "up-chat/m", true).await;
    assert!(
        answer.text().contains("\"output_tokens\":4"),
        "{}",
        answer.text()
    );
    world.logged("output_tokens=4").await;
}
