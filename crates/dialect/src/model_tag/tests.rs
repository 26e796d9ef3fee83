use super::*;

use DialectId::{Chat, Gemini, Messages, Responses};

const TAG: &str = "<CCR-SUBAGENT-MODEL>up,m</CCR-SUBAGENT-MODEL>";

/// `{tag}` in the body is the tag; without it the body must be what stays.
fn check(dialect: DialectId, body: &str) {
    let spellings = [
        (TAG, "up/m"),
        ("<CCR-SUBAGENT-MODEL>up/m</CCR-SUBAGENT-MODEL>", "up/m"),
        (
            r"\u003cCCR-SUBAGENT-MODEL\u003eup, m\u003C\/CCR-SUBAGENT-MODEL\u003E",
            "up/m",
        ),
        ("<lingate-model> gpt-4o </lingate-model>", "gpt-4o"),
        (
            r"<lingate-model>deep\/er/m:free\u007ex<\u002flingate-model>",
            "deep/er/m:free~x",
        ),
    ];
    for (tag, model) in spellings {
        let tagged = take(body.replace("{tag}", tag).as_bytes(), dialect);
        let expect = Tagged {
            model: model.to_owned(),
            body: body.replace("{tag}", "").into_bytes(),
        };
        assert_eq!(
            tagged.as_ref().map(|found| &found.model),
            Some(&expect.model),
            "{dialect} {tag} {body}"
        );
        assert_eq!(tagged, Some(expect), "{dialect} {tag} {body}");
    }
}

#[test]
fn the_tag_goes_and_every_other_byte_stays() {
    // Instructions: at the beginning of a line.
    for text in [
        "{tag}",
        "{tag}Be brief.",
        r"{tag}\nBe \u00e9.",
        r" \t{tag} Be brief.",
        r"Be brief.\n{tag}",
        r"Be brief.\r\n  {tag}\r\nAnd kind.",
        r"Be \ud83d brief.\u000a{tag}",
    ] {
        check(
            Chat,
            &format!(
                r#"{{ "n":1.50,"messages":[{{"role":"system","content":"{text}"}}, {{"role":"user","content":"Hi"}}]}} "#
            ),
        );
        check(
            Chat,
            &format!(
                r#"{{"messages":[{{"role":"user","content":"Hi"}},{{"content":[{{"text":"{text}","type":"text"}}],"role":"developer"}}]}}"#
            ),
        );
        check(
            Messages,
            &format!(r#"{{"system":"{text}","messages":[{{"role":"user","content":"Hi"}}]}}"#),
        );
        check(
            Messages,
            &format!(
                r#"{{"messages":[],"system":[ {{"type":"text","text":"You are."}} , {{"type":"text","text":"{text}-"}}, {{"text":"y \n{text}\nz","type":"text"}}]}}"#
            ),
        );
        check(
            Responses,
            &format!(r#"{{"instructions":"{text}","input":"Hi"}}"#),
        );
        check(
            Responses,
            &format!(
                r#"{{"input":[{{"type":"message","role":"developer","content":[{{"type":"input_text","text":"{text}"}}]}}]}}"#
            ),
        );
        for name in ["systemInstruction", "system_instruction"] {
            check(
                Gemini,
                &format!(r#"{{"{name}":{{"parts":[{{"text":"{text}"}}]}},"contents":[]}}"#),
            );
            check(
                Gemini,
                &format!(
                    r#"{{"generateContentRequest":{{"{name}":{{"parts":{{"text":"{text}"}}}}}}}}"#
                ),
            );
        }
    }
    // The user: at the beginning of a part.
    for text in ["{tag}", "{tag}Read it.", r"\n {tag}\nRead it."] {
        check(
            Chat,
            &format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#),
        );
        check(
            Messages,
            &format!(
                r#"{{"messages":[{{"role":"user","content":[{{"type":"text","text":"<system-reminder>"}},{{"type":"text","text":"{text}-"}}]}},{{"role":"assistant","content":"Yes"}}]}}"#
            ),
        );
        check(
            Messages,
            &format!(
                r#"{{"messages":[{{"role":"user","content":"Hi"}},{{"role":"assistant","content":"Yes?"}},{{"role":"user","content":"{text}"}}]}}"#
            ),
        );
        check(Responses, &format!(r#"{{"input":"{text}"}}"#));
        check(
            Responses,
            &format!(
                r#"{{"input":[{{"role":"user","content":"a"}},{{"role":"user","content":"b"}},{{"role":"user","content":"{text}"}}]}}"#
            ),
        );
        check(
            Gemini,
            &format!(r#"{{"contents":[{{"parts":[{{"text":"{text}"}}]}}]}}"#),
        );
        check(
            Gemini,
            &format!(r#"{{"contents":{{"role":"user","parts":{{"text":"{text}"}}}}}}"#),
        );
    }
}

#[test]
fn what_counts_for_nothing_stays() {
    let refuse = |dialect, body: &str| {
        let body = body.replace("{tag}", TAG);
        assert_eq!(take(body.as_bytes(), dialect), None, "{dialect} {body}");
    };
    // Prose that speaks of it.
    refuse(
        Chat,
        r#"{"messages":[{"role":"system","content":"Write `{tag}` first."}]}"#,
    );
    refuse(
        Chat,
        r#"{"messages":[{"role":"user","content":"What is {tag}?"}]}"#,
    );
    // In a line of the user's text, which may be pasted from anywhere.
    refuse(
        Messages,
        r#"{"messages":[{"role":"user","content":"Sum up:\n{tag}\nEnd"}]}"#,
    );
    // What a tool found.
    refuse(
        Chat,
        r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[]},{"role":"tool","tool_call_id":"t","content":"{tag}"},{"role":"system","content":"{tag}"}]}"#,
    );
    refuse(
        Messages,
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"{tag}"}]}]}"#,
    );
    refuse(
        Messages,
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"{tag}"}]},{"type":"text","text":"{tag}"}]}]}"#,
    );
    refuse(
        Messages,
        r#"{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","data":"{tag}"},"title":"{tag}"}]}]}"#,
    );
    refuse(
        Responses,
        r#"{"input":[{"role":"user","content":"Hi"},{"type":"function_call_output","call_id":"t","output":"{tag}"}]}"#,
    );
    refuse(
        Gemini,
        r#"{"contents":[{"role":"user","parts":[{"functionResponse":{"name":"t","response":{"text":"{tag}"}}},{"text":"{tag}"}]}]}"#,
    );
    // What the model said, and what the user says later on.
    refuse(
        Messages,
        r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"{tag}"}]}"#,
    );
    refuse(
        Messages,
        r#"{"messages":[{"role":"user","content":"1"},{"role":"assistant","content":"a"},{"role":"user","content":"2"},{"role":"assistant","content":"b"},{"role":"user","content":"{tag}"}]}"#,
    );
    // Descriptions of tools, and what is no tag.
    refuse(
        Messages,
        r#"{"system":"Hi","tools":[{"name":"t","description":"{tag}"}]}"#,
    );
    for tag in [
        "<CCR-SUBAGENT-MODEL></CCR-SUBAGENT-MODEL>",
        "<CCR-SUBAGENT-MODEL> </CCR-SUBAGENT-MODEL>",
        "<CCR-SUBAGENT-MODEL>up,m",
        "<CCR-SUBAGENT-MODEL>up,m</lingate-model>",
        r"<CCR-SUBAGENT-MODEL>up,\nm</CCR-SUBAGENT-MODEL>",
        "<CCR-SUBAGENT-MODEL up,m</CCR-SUBAGENT-MODEL>",
        "<CCR-SUBAGENT-MODEL>a<b</CCR-SUBAGENT-MODEL>",
    ] {
        refuse(Messages, &format!(r#"{{"system":"{tag}","messages":[]}}"#));
    }
    let long = format!("<lingate-model>{}</lingate-model>", "m".repeat(5000));
    refuse(Messages, &format!(r#"{{"system":"{long}"}}"#));
    refuse(Messages, r#"{"system":"{tag}""#);
}

#[test]
fn the_first_names_the_model_and_all_go() {
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":"<lingate-model>b</lingate-model>Hi"}}],"system":"{TAG}\n<lingate-model>c</lingate-model>{TAG}"}}"#
    );
    let found = take(body.as_bytes(), Messages).unwrap();
    assert_eq!(found.model, "up/m");
    assert_eq!(
        String::from_utf8(found.body).unwrap(),
        r#"{"messages":[{"role":"user","content":"Hi"}],"system":"\n"}"#
    );
}

#[test]
fn a_part_of_a_tag_alone_goes_unless_it_is_the_only_one() {
    let check = |system: &str, expect: &str| {
        let body = format!(r#"{{"system":{}}}"#, system.replace("{tag}", TAG));
        let found = take(body.as_bytes(), Messages).unwrap();
        let expect = format!(r#"{{"system":{expect}}}"#);
        assert_eq!(String::from_utf8(found.body).unwrap(), expect);
    };
    check(
        r#"[{"type":"text","text":"a"}, {"type":"text","text":"{tag}\n"}, {"type":"text","text":"b"}]"#,
        r#"[{"type":"text","text":"a"}, {"type":"text","text":"b"}]"#,
    );
    check(
        r#"[{"type":"text","text":"a"}, {"type":"text","text":" {tag}"}]"#,
        r#"[{"type":"text","text":"a"}]"#,
    );
    check(
        r#"[{"type":"text","text":"{tag}"}]"#,
        r#"[{"type":"text","text":""}]"#,
    );
}

#[test]
fn nothing_panics() {
    let bodies = [
        format!(
            r#"{{"system":[{{"text":"a\ud83d\n{TAG}"}}],"messages":[{{"role":"user","content":"{TAG}"}}]}}"#
        ),
        r#"{"input":"\u003clingate-model\u003eé\/m\u003c\/lingate-model\u003e"}"#.to_owned(),
    ];
    for body in bodies {
        for dialect in DialectId::ALL {
            for end in 0..body.len() {
                assert_eq!(take(&body.as_bytes()[..end], dialect), None);
            }
            if let Some(found) = take(body.as_bytes(), dialect) {
                assert!(Node::parse(&found.body).is_ok());
            }
            // A quote or a backslash anywhere else.
            for at in 0..body.len() {
                for byte in [b'"', b'\\', b'<', b'{'] {
                    let mut changed = body.clone().into_bytes();
                    changed[at] = byte;
                    if let Some(found) = take(&changed, dialect) {
                        assert!(
                            Node::parse(&found.body).is_ok(),
                            "{}",
                            changed.escape_ascii()
                        );
                    }
                }
            }
        }
    }
}
