use super::*;
use crate::hub::{
    Detail, Effort, Extra, Media, MediaKind, Output, Source, Thought, Tool, ToolBody, ToolChoice,
    Turn,
};
use crate::{Dialect, json};

fn turn(role: Role, bodies: Vec<PartBody>) -> Turn {
    let parts = bodies
        .into_iter()
        .map(|body| Part::new(body, At::Part { turn: 0, part: 0 }))
        .collect();
    Turn {
        role,
        parts,
        extra: Extra::default(),
    }
}

fn text(text: &str) -> PartBody {
    Part::text(text, At::Request).body
}

fn call(id: &str, arguments: &str) -> PartBody {
    PartBody::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        custom: false,
        proof: None,
    })
}

fn result(call: &str, parts: Vec<PartBody>, is_error: bool) -> PartBody {
    PartBody::ToolResult(ToolResult {
        call: call.into(),
        name: None,
        parts: parts
            .into_iter()
            .map(|body| Part::new(body, At::Request))
            .collect(),
        is_error,
    })
}

fn image(source: Source) -> PartBody {
    PartBody::Media(Media {
        kind: MediaKind::Image,
        source,
        mime: None,
        name: None,
        detail: Some(Detail::Low),
        context: None,
        citations: false,
    })
}

fn asking(turns: Vec<Turn>) -> Request {
    Request {
        turns,
        ..Request::default()
    }
}

/// The body written, or the refusal; the fields lost, by path.
fn write(request: &Request, quirks: &Quirks) -> (String, String) {
    let target = Target {
        model: "m",
        quirks,
        max_output: None,
        default_max_tokens: 1,
    };
    let mut losses = Losses::default();
    let body = match encode(request, &target, &mut losses) {
        Ok(encoded) => String::from_utf8(encoded.body).unwrap(),
        Err(refusal) => refusal.message,
    };
    let lost = losses
        .paths(&crate::gemini::Gemini as &dyn Dialect)
        .join(" ");
    (body, lost)
}

fn check(request: &Request, quirks: &Quirks, expect: &str, lost: &str) {
    let (body, losses) = write(request, quirks);
    assert_eq!((body.as_str(), losses.as_str()), (expect, lost));
}

fn contents(turns: Vec<Turn>, expect: &str) {
    let (body, _) = write(&asking(turns), &Quirks::default());
    assert_eq!(body, format!(r#"{{"contents":[{expect}]}}"#));
}

#[test]
fn results_answer_their_step_in_one_content() {
    contents(
        vec![
            turn(Role::User, vec![text("q")]),
            turn(
                Role::Assistant,
                vec![call("1", r#"{"n":1.50}"#), call("2", "")],
            ),
            turn(Role::User, vec![text("more")]),
            turn(Role::User, vec![result("2", vec![text("oops")], true)]),
            turn(
                Role::User,
                vec![result(
                    "1",
                    vec![text(r#"{"id":12345678901234567890123}"#)],
                    false,
                )],
            ),
        ],
        r#"{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":{"n":1.50}}},{"functionCall":{"id":"2","name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"id":"1","name":"f","response":{"id":12345678901234567890123}}},{"functionResponse":{"id":"2","name":"f","response":{"error":"oops"}}},{"text":"more"}]}"#,
    );
}

#[test]
fn texts_that_would_be_read_as_wrappers_are_wrapped() {
    for (said, expect) in [
        ("plain", r#"{"output":"plain"}"#),
        ("[1]", r#"{"output":"[1]"}"#),
        (r#"{"a":1}"#, r#"{"a":1}"#),
        (r#"{"result":1}"#, r#"{"result":1}"#),
        (r#"{"error":"e"}"#, r#"{"output":"{\"error\":\"e\"}"}"#),
        (r#"{"output":"o"}"#, r#"{"output":"{\"output\":\"o\"}"}"#),
    ] {
        contents(
            vec![
                turn(Role::User, vec![text("q")]),
                turn(Role::Assistant, vec![call("1", "{}")]),
                turn(Role::User, vec![result("1", vec![text(said)], false)]),
            ],
            &format!(
                r#"{{"role":"user","parts":[{{"text":"q"}}]}},{{"role":"model","parts":[{{"functionCall":{{"id":"1","name":"f","args":{{}}}}}}]}},{{"role":"user","parts":[{{"functionResponse":{{"id":"1","name":"f","response":{expect}}}}}]}}"#
            ),
        );
    }
}

#[test]
fn the_first_call_of_a_step_is_signed_where_that_is_asked() {
    let proof = Opaque {
        of: DialectId::Gemini,
        kind: crate::gemini::SIGNATURE.into(),
        json: json::raw("\"QQ==\"").unwrap(),
    };
    let own = PartBody::ToolCall(ToolCall {
        id: "3".into(),
        name: "f".into(),
        arguments: String::new(),
        custom: false,
        proof: Some(proof),
    });
    let quirks = Quirks {
        thought_signatures: true,
        call_ids: false,
        ..Quirks::default()
    };
    let request = asking(vec![
        turn(Role::User, vec![text("q")]),
        turn(Role::Assistant, vec![call("1", ""), call("2", "")]),
        turn(
            Role::User,
            vec![result("1", vec![], false), result("2", vec![], false)],
        ),
        turn(Role::Assistant, vec![own]),
        turn(Role::User, vec![result("3", vec![], false)]),
    ]);
    check(
        &request,
        &quirks,
        r#"{"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"skip_thought_signature_validator"},{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":""}}},{"functionResponse":{"name":"f","response":{"output":""}}}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"QQ=="}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":""}}}]}]}"#,
        "",
    );
}

#[test]
fn foreign_thoughts_vanish_and_the_user_speaks_first() {
    let thought = PartBody::Reasoning(Thought {
        text: "secret".into(),
        proof: None,
        redacted: false,
    });
    check(
        &asking(vec![
            turn(Role::Assistant, vec![thought.clone(), text("a")]),
            turn(Role::User, vec![text("b")]),
            turn(Role::Assistant, vec![thought]),
            turn(Role::System, vec![text("s")]),
        ]),
        &Quirks::default(),
        r#"{"contents":[{"role":"user","parts":[{"text":"."}]},{"role":"model","parts":[{"text":"a"}]},{"role":"user","parts":[{"text":"b"},{"text":"<system-message>\ns\n</system-message>"}]}]}"#,
        "contents.0.parts.0 contents.0",
    );
}

#[test]
fn media_go_inside_results_or_behind_them() {
    let turns = || {
        vec![
            turn(Role::User, vec![text("q")]),
            turn(Role::Assistant, vec![call("1", "")]),
            turn(
                Role::User,
                vec![
                    result(
                        "1",
                        vec![text("see"), image(Source::Base64("AAAA".into()))],
                        false,
                    ),
                    text("and?"),
                ],
            ),
        ]
    };
    let start = r#"{"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"id":"1","name":"f","response":{"output":"see"}"#;
    let blob = r#"{"inlineData":{"mimeType":"image/jpeg","data":"AAAA"}"#;
    check(
        &asking(turns()),
        &Quirks::default(),
        &format!(
            r#"{start},"parts":[{blob},"mediaResolution":{{"level":"MEDIA_RESOLUTION_LOW"}}}}]}}}},{{"text":"and?"}}]}}]}}"#
        ),
        "",
    );
    let older = Quirks {
        thinking_field: ThinkingField::Budget,
        ..Quirks::default()
    };
    let (body, lost) = write(&asking(turns()), &older);
    assert_eq!(
        body,
        format!(r#"{start}}}}},{blob}}},{{"text":"and?"}}]}}]}}"#)
    );
    assert_eq!(lost, "detail contents.0.parts.0.content");
}

#[test]
fn what_cannot_be_said_is_refused() {
    let refused = |turns: Vec<Turn>, expect: &str| {
        let (message, _) = write(&asking(turns), &Quirks::default());
        assert!(message.contains(expect), "{message}");
    };
    let user = |body| vec![turn(Role::User, vec![body])];
    refused(
        user(image(Source::Base64("R0lGODlhAQABAIAAAAAAAP///yH5".into()))),
        "GIF",
    );
    refused(
        user(image(Source::Url("https://e.com/a.gif?x=1".into()))),
        "GIF",
    );
    refused(user(image(Source::File("file-123".into()))), "file-123");
    refused(
        vec![
            turn(Role::Assistant, vec![call("1", "[1]")]),
            turn(Role::User, vec![result("1", vec![], false)]),
        ],
        "not a JSON object",
    );
    let request = Request {
        max_output: Some(0),
        ..asking(user(text("q")))
    };
    assert!(write(&request, &Quirks::default()).0.contains("1 or more"));
}

#[test]
fn settings_reach_their_fields() {
    let mut request = asking(vec![turn(Role::User, vec![text("q")])]);
    request.system = vec![Part::text("s", At::System { part: 0 })];
    request.sampling.temperature = Some(0.5);
    request.sampling.top_k = Some(40.0);
    request.sampling.seed = Some(-1);
    request.sampling.presence_penalty = Some(0.5);
    request.max_output = Some(64);
    request.stop = ["1", "2", "3", "4", "5", "6"].map(str::to_owned).to_vec();
    request.logprobs = Some(2);
    request.reasoning.effort = Some(Effort::Max);
    request.reasoning.show = Some(true);
    request.service_tier = Some("fast".into());
    request.metadata = vec![("a".into(), "b".into())];
    request.user = Some("u".into());
    request.verbosity = Some("low".into());
    request.output = Output::Json;
    let quirks = Quirks {
        penalties: false,
        efforts: vec!["low".into(), "high".into()],
        ..Quirks::default()
    };
    check(
        &request,
        &quirks,
        r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"q"}]}],"generationConfig":{"temperature":0.5,"topK":40,"seed":2147483647,"maxOutputTokens":64,"stopSequences":["1","2","3","4","5"],"responseLogprobs":true,"logprobs":2,"responseMimeType":"application/json","thinkingConfig":{"includeThoughts":true,"thinkingLevel":"HIGH"}},"serviceTier":"priority"}"#,
        "generationConfig.presencePenalty generationConfig.seed generationConfig.stopSequences generationConfig.thinkingConfig generationConfig labels",
    );
    let gemma = Quirks {
        system_instruction: false,
        sampling: false,
        ..quirks
    };
    let (body, lost) = write(&request, &gemma);
    assert!(
        body.starts_with(r#"{"contents":[{"role":"user","parts":[{"text":"s"},{"text":"q"}]}],"#),
        "{body}"
    );
    assert!(
        lost.starts_with("generationConfig.temperature generationConfig.topK "),
        "{lost}"
    );
}

#[test]
fn thinking_is_asked_in_levels_or_tokens() {
    let think = |set: fn(&mut crate::hub::Reasoning), quirks: &Quirks| {
        let mut request = asking(vec![turn(Role::User, vec![text("q")])]);
        set(&mut request.reasoning);
        let (body, lost) = write(&request, quirks);
        let config = body
            .split_once("\"thinkingConfig\":")
            .map_or("", |(_, rest)| rest);
        format!(
            "{}{}",
            config.strip_suffix("}}").unwrap_or_default(),
            if lost.is_empty() { "" } else { " lost" }
        )
    };
    let level = Quirks::default();
    let some = Quirks {
        efforts: vec!["low".into(), "high".into()],
        ..Quirks::default()
    };
    let tokens = Quirks {
        thinking_field: ThinkingField::Budget,
        ..Quirks::default()
    };
    let always = Quirks {
        efforts: vec!["low".into(), "xhigh".into()],
        ..tokens.clone()
    };
    for (set, quirks, expect) in [
        (
            (|it| it.enabled = Some(false)) as fn(&mut crate::hub::Reasoning),
            &level,
            r#"{"thinkingLevel":"MINIMAL"} lost"#,
        ),
        (
            |it| it.effort = Some(Effort::Medium),
            &level,
            r#"{"thinkingLevel":"MEDIUM"}"#,
        ),
        (
            |it| it.effort = Some(Effort::Medium),
            &some,
            r#"{"thinkingLevel":"HIGH"} lost"#,
        ),
        (
            |it| it.effort = Some(Effort::Minimal),
            &some,
            r#"{"thinkingLevel":"LOW"} lost"#,
        ),
        (
            |it| it.budget = Some(9000),
            &level,
            r#"{"thinkingLevel":"HIGH"} lost"#,
        ),
        (|it| it.enabled = Some(true), &level, ""),
        (
            |it| it.enabled = Some(false),
            &tokens,
            r#"{"thinkingBudget":0}"#,
        ),
        (
            |it| it.enabled = Some(false),
            &always,
            r#"{"thinkingBudget":128} lost"#,
        ),
        (
            |it| it.enabled = Some(true),
            &tokens,
            r#"{"thinkingBudget":-1}"#,
        ),
        (
            |it| it.effort = Some(Effort::Low),
            &tokens,
            r#"{"thinkingBudget":1024}"#,
        ),
        (
            |it| it.effort = Some(Effort::Max),
            &tokens,
            r#"{"thinkingBudget":24576} lost"#,
        ),
        (
            |it| it.effort = Some(Effort::Max),
            &always,
            r#"{"thinkingBudget":32768}"#,
        ),
        (
            |it| it.budget = Some(1600),
            &tokens,
            r#"{"thinkingBudget":1600}"#,
        ),
    ] {
        assert_eq!(think(set, quirks), expect);
    }
}

fn tool(name: &str, strict: Option<bool>) -> Tool {
    Tool {
        body: ToolBody::Function {
            name: name.into(),
            description: Some("d".into()),
            parameters: json::raw(
                r#"{"type":"object","properties":{"a":{"type":"string","format":"uri"}}}"#,
            ),
            strict,
        },
        cache: None,
        at: At::Tool { tool: 0 },
        extra: Extra::default(),
    }
}

#[test]
fn tools_and_choices_reach_their_fields() {
    let declared = |choice: Option<ToolChoice>, strict: Option<bool>| {
        let mut request = asking(vec![turn(Role::User, vec![text("q")])]);
        request.tools = vec![tool("a b", strict), tool("c", strict)];
        request.tool_choice = choice;
        request.parallel_tool_calls = Some(false);
        let (body, lost) = write(&request, &Quirks::default());
        (
            body.split_once("\"tools\":")
                .map_or(body.clone(), |(_, rest)| rest.to_owned()),
            lost,
        )
    };
    let function = |name: &str| {
        format!(
            r#"{{"name":"{name}","description":"d","parametersJsonSchema":{{"type":"object","properties":{{"a":{{"type":"string"}}}}}}}}"#
        )
    };
    let tools = format!(
        r#"[{{"functionDeclarations":[{},{}]}}]"#,
        function("a_b"),
        function("c")
    );
    let lost = "tools.0.parameters.properties.a.format toolConfig.functionCallingConfig";
    for (choice, expect) in [
        (None, String::new()),
        (Some(ToolChoice::Auto), r#"{"mode":"AUTO"}"#.to_owned()),
        (Some(ToolChoice::Required), r#"{"mode":"ANY"}"#.to_owned()),
        (Some(ToolChoice::None), r#"{"mode":"NONE"}"#.to_owned()),
        (
            Some(ToolChoice::Tool("a b".into())),
            r#"{"mode":"ANY","allowedFunctionNames":["a_b"]}"#.to_owned(),
        ),
        (
            Some(ToolChoice::Allowed {
                required: false,
                names: vec!["c".into()],
            }),
            r#"{"mode":"VALIDATED","allowedFunctionNames":["c"]}"#.to_owned(),
        ),
    ] {
        let config = if expect.is_empty() {
            "}".to_owned()
        } else {
            format!(r#","toolConfig":{{"functionCallingConfig":{expect}}}}}"#)
        };
        assert_eq!(
            declared(choice, None),
            (format!("{tools}{config}"), lost.to_owned())
        );
    }
    let (body, _) = declared(Some(ToolChoice::Tool("nope".into())), None);
    assert!(body.contains("not among the tools"), "{body}");
    let (body, lost) = declared(None, Some(true));
    assert!(
        body.ends_with(r#""toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}}"#),
        "{body}"
    );
    assert!(lost.contains("tools.0.strict"), "{lost}");
}

#[test]
fn json_beside_functions_is_asked_for_in_words_where_both_are_refused() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_object"},"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let request = crate::DialectId::Chat
        .dialect()
        .decode_request(body)
        .unwrap();
    let mut quirks = Quirks::default();
    let (sent, lost) = write(&request, &quirks);
    assert!(
        sent.contains("application/json") && lost.is_empty(),
        "{sent}"
    );
    quirks.json_with_tools = false;
    let (sent, lost) = write(&request, &quirks);
    assert!(
        sent.contains("Answer with one JSON object") && !sent.contains("application/json"),
        "{sent}"
    );
    assert_eq!(lost, "generationConfig.responseMimeType");
}
