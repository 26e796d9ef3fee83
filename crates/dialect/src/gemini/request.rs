//! Reads a request: instructions, contents and top-level settings.

use std::collections::{BTreeMap, BTreeSet};

use crate::hub::{
    Detail, Extra, Media, Opaque, Part, PartBody, Request, Role, Text, Thought, ToolCall,
    ToolResult, Turn,
};
use crate::json::{Fields, Node};
use crate::{At, DialectId, Malformed};

use super::{SIGNATURE, SIGNATURE_OF_PART, config, fields, media, one_line, proof, tools};

pub(super) fn decode(body: &[u8]) -> Result<Request, Malformed> {
    let mut top = fields(Node::parse(body)?)?;
    // countTokens wraps what it counts.
    if let Some(inner) = top.take("generateContentRequest") {
        top = fields(inner).map_err(|fault| fault.inside("generateContentRequest"))?;
    }
    let mut request = Request::default();
    if let Some(model) = top.read("model", Node::string)? {
        let bare = model.strip_prefix("models/").map(str::to_owned);
        request.model = bare.unwrap_or(model);
    }
    let mut conversation = Conversation::default();
    if let Some(instruction) = top.take("systemInstruction") {
        conversation
            .instruct(instruction, |part| At::System { part })
            .map_err(|fault| fault.inside("systemInstruction"))?;
    }
    top.require("contents", |contents| conversation.contents(contents))?;
    request.system = conversation.system;
    request.turns = conversation.turns;

    if let Some(found) = top.take("tools") {
        tools::decode(found, &mut request).map_err(|fault| fault.inside("tools"))?;
    }
    if let Some(choice) = top.take("toolConfig") {
        tools::decode_choice(choice, &mut request).map_err(|fault| fault.inside("toolConfig"))?;
    }
    if let Some(settings) = top.take("generationConfig") {
        config::decode(settings, &mut request).map_err(|fault| fault.inside("generationConfig"))?;
    }
    if let Some(labels) = top.take("labels") {
        request.metadata = labels
            .fields()
            .and_then(|labels| {
                labels
                    .iter()
                    .map(|(key, value)| {
                        let value = value.string().map_err(|fault| fault.inside(key))?;
                        Ok((key.to_owned(), value))
                    })
                    .collect()
            })
            .map_err(|fault: Malformed| fault.inside("labels"))?;
    }
    if let Some(tier) = top.take("serviceTier") {
        let word = tier
            .text()
            .map(|tier| tier.to_ascii_lowercase())
            .unwrap_or_default();
        match word.as_str() {
            "standard" => request.service_tier = Some("default".to_owned()),
            "flex" | "priority" => request.service_tier = Some(word),
            "unspecified" | "service_tier_unspecified" => {}
            _ => request
                .extra
                .push(DialectId::Gemini, "serviceTier", tier.to_raw()),
        }
    }
    request.store = top.read("store", Node::require_bool)?;
    keep(&top, "", &mut request.extra);
    Ok(request)
}

/// Keeps what nobody knew. Empty lists and objects say nothing.
pub(super) fn keep(fields: &Fields<'_>, prefix: &str, extra: &mut Extra) {
    for (key, value) in fields.iter() {
        if !value.is_null() && !matches!(value.raw(), "[]" | "{}") {
            extra.push(DialectId::Gemini, format!("{prefix}{key}"), value.to_raw());
        }
    }
}

/// A call seen so far, for pairing results that name no id.
struct Call {
    id: String,
    name: String,
}

/// Calls that no result has answered yet, by their places in the list of all.
#[derive(Default)]
struct Unanswered {
    all: BTreeSet<usize>,
    by_id: BTreeMap<String, BTreeSet<usize>>,
    by_name: BTreeMap<String, BTreeSet<usize>>,
}

#[derive(Default)]
struct Conversation {
    system: Vec<Part>,
    turns: Vec<Turn>,
    calls: Vec<Call>,
    unanswered: Unanswered,
}

impl Conversation {
    /// A list of contents, one content, or a bare text.
    fn contents(&mut self, contents: Node<'_>) -> Result<(), Malformed> {
        let list = contents.one_or_many()?;
        if list.is_empty() {
            return Err(Malformed::new("", "must hold at least one content"));
        }
        for (index, content) in list.into_iter().enumerate() {
            let turn = u32::try_from(index).unwrap_or(u32::MAX);
            self.content(content, turn)
                .map_err(|fault| fault.inside(index))?;
        }
        Ok(())
    }

    fn content(&mut self, content: Node<'_>, turn: u32) -> Result<(), Malformed> {
        let user = |parts| Turn {
            role: Role::User,
            parts,
            extra: Extra::default(),
        };
        if let Some(text) = content.text() {
            let part = Part::text(text, At::Part { turn, part: 0 });
            self.turns.push(user(vec![part]));
            return Ok(());
        }
        let mut content_fields = fields(content)?;
        let role = content_fields.read("role", Node::string)?;
        let role = match role.as_deref() {
            Some("model" | "assistant") => Role::Assistant,
            Some("system" | "developer") => {
                return self.instruct(content, |part| At::Part { turn, part });
            }
            Some("user" | "function" | "tool" | "") | None => Role::User,
            Some(role) => {
                return Err(Malformed::new(
                    "role",
                    format!("unknown role '{role}'; expected 'user' or 'model'"),
                ));
            }
        };
        let mut parts = Vec::new();
        let nodes = content_fields
            .read("parts", Node::one_or_many)?
            .unwrap_or_default();
        let mut calls = 0;
        for (index, node) in nodes.into_iter().enumerate() {
            let at = At::Part {
                turn,
                part: u32::try_from(index).unwrap_or(u32::MAX),
            };
            self.part(node, role, &at, &mut calls, &mut parts)
                .map_err(|fault| fault.inside(format_args!("parts.{index}")))?;
        }
        let mut extra = Extra::default();
        keep(&content_fields, "", &mut extra);
        self.turns.push(Turn { role, parts, extra });
        Ok(())
    }

    /// Instructions: a content or a bare text. Before the first turn they lead; later they are a turn of their own.
    fn instruct(&mut self, content: Node<'_>, place: impl Fn(u32) -> At) -> Result<(), Malformed> {
        let mut parts = Vec::new();
        if let Some(text) = content.text() {
            parts.push(Part::text(text, place(0)));
        } else {
            let nodes = fields(content)?
                .read("parts", Node::one_or_many)?
                .unwrap_or_default();
            for (index, node) in nodes.into_iter().enumerate() {
                let text = match node.text() {
                    Some(text) => Some(text.into_owned()),
                    None => fields(node)
                        .and_then(|mut part| part.read("text", Node::string))
                        .map_err(|fault| fault.inside(format_args!("parts.{index}")))?,
                };
                let text = text.ok_or_else(|| {
                    Malformed::new(format!("parts.{index}"), "instructions can only hold text")
                })?;
                parts.push(Part::text(
                    text,
                    place(u32::try_from(index).unwrap_or(u32::MAX)),
                ));
            }
        }
        if self.turns.is_empty() {
            self.system.append(&mut parts);
        } else {
            self.turns.push(Turn {
                role: Role::System,
                parts,
                extra: Extra::default(),
            });
        }
        Ok(())
    }

    /// Appends the part, and behind it the signature that came on it. `calls` counts the calls of this content.
    fn part(
        &mut self,
        node: Node<'_>,
        role: Role,
        at: &At,
        calls: &mut u32,
        out: &mut Vec<Part>,
    ) -> Result<(), Malformed> {
        if let Some(text) = node.text() {
            out.push(Part::text(text, at.clone()));
            return Ok(());
        }
        let mut part = fields(node)?;
        let thought = part.read("thought", Node::require_bool)? == Some(true);
        let mut signature = part.read("thoughtSignature", Node::string)?;
        let payloads: Vec<&str> = [
            "text",
            "inlineData",
            "fileData",
            "functionCall",
            "functionResponse",
        ]
        .into_iter()
        .filter(|key| part.get(key).is_some())
        .collect();
        let mut extra = Extra::default();
        let body = match payloads.as_slice() {
            ["text"] => {
                let text = part.require("text", Node::string)?;
                if thought || text.is_empty() && signature.is_some() {
                    PartBody::Reasoning(Thought {
                        text,
                        proof: signature
                            .take()
                            .and_then(|signature| proof(&signature, SIGNATURE)),
                        redacted: false,
                    })
                } else {
                    PartBody::Text(Text {
                        text,
                        citations: Vec::new(),
                    })
                }
            }
            ["inlineData"] if !thought => {
                let media = part.require("inlineData", |node| media::inline(node, &mut extra))?;
                PartBody::Media(with_detail(media, &mut part))
            }
            ["fileData"] if !thought => {
                let media = part.require("fileData", |node| media::file(node, &mut extra))?;
                PartBody::Media(with_detail(media, &mut part))
            }
            ["functionCall"] => {
                if role != Role::Assistant {
                    return Err(Malformed::new(
                        "functionCall",
                        "a call belongs into a content of role 'model'",
                    ));
                }
                let call = part.require("functionCall", |node| {
                    self.call(node, at, *calls, &mut extra)
                })?;
                *calls += 1;
                PartBody::ToolCall(ToolCall {
                    proof: signature
                        .take()
                        .and_then(|signature| proof(&signature, SIGNATURE)),
                    ..call
                })
            }
            ["functionResponse"] => PartBody::ToolResult(
                part.require("functionResponse", |node| self.result(node, at, &mut extra))?,
            ),
            [] | ["inlineData" | "fileData"] => {
                let kind = part
                    .iter()
                    .filter(|(key, value)| !value.is_null() && !is_modifier(key))
                    .map(|(key, _)| key.to_owned())
                    .next();
                match kind {
                    Some(kind) => {
                        out.push(Part::new(
                            PartBody::Opaque(Opaque {
                                of: DialectId::Gemini,
                                kind,
                                json: node.to_raw(),
                            }),
                            at.clone(),
                        ));
                        return Ok(());
                    }
                    None if thought || signature.is_some() => PartBody::Reasoning(Thought {
                        text: String::new(),
                        proof: signature
                            .take()
                            .and_then(|signature| proof(&signature, SIGNATURE)),
                        redacted: false,
                    }),
                    None => return Ok(()),
                }
            }
            several => {
                return Err(Malformed::new(
                    "",
                    format!(
                        "a part holds one thing, this one holds {}",
                        several.join(" and ")
                    ),
                ));
            }
        };
        keep(&part, "", &mut extra);
        out.push(Part {
            extra,
            ..Part::new(body, at.clone())
        });
        if role == Role::Assistant
            && let Some(proof) = signature.and_then(|it| proof(&it, SIGNATURE_OF_PART))
        {
            out.push(Part::new(
                PartBody::Reasoning(Thought {
                    text: String::new(),
                    proof: Some(proof),
                    redacted: false,
                }),
                at.clone(),
            ));
        }
        Ok(())
    }

    fn call(
        &mut self,
        node: Node<'_>,
        at: &At,
        ordinal: u32,
        extra: &mut Extra,
    ) -> Result<ToolCall, Malformed> {
        let mut call = fields(node)?;
        let name = call.require("name", Node::string)?;
        let arguments = match call.take("args") {
            None => "{}".to_owned(),
            Some(args) if args.is_object() => one_line(args.raw()).into_owned(),
            Some(args) => {
                return Err(Malformed::new(
                    "args",
                    format!("expected an object, got {}", args.kind()),
                ));
            }
        };
        let id = call.read("id", Node::string)?.filter(|id| !id.is_empty());
        let content = match at {
            At::Part { turn, .. } => *turn,
            _ => 0,
        };
        let id = id.unwrap_or_else(|| format!("call_{content}_{ordinal}"));
        keep(&call, "functionCall.", extra);
        let place = self.calls.len();
        let open = &mut self.unanswered;
        open.all.insert(place);
        open.by_id.entry(id.clone()).or_default().insert(place);
        open.by_name.entry(name.clone()).or_default().insert(place);
        self.calls.push(Call {
            id: id.clone(),
            name: name.clone(),
        });
        Ok(ToolCall {
            id,
            name,
            arguments,
            custom: false,
            proof: None,
        })
    }

    fn result(
        &mut self,
        node: Node<'_>,
        at: &At,
        extra: &mut Extra,
    ) -> Result<ToolResult, Malformed> {
        let mut result = fields(node)?;
        let id = result.read("id", Node::string)?.filter(|id| !id.is_empty());
        let name = result.read("name", Node::string)?;
        let call = self.pair(id, name.as_deref());
        let mut is_error = false;
        let mut parts = Vec::new();
        if let Some(response) = result.take("response") {
            let (text, error) = result_text(response)?;
            is_error = error;
            parts.push(Part::text(text, at.clone()));
        }
        let media = result.read("parts", Node::one_or_many)?.unwrap_or_default();
        for (index, node) in media.into_iter().enumerate() {
            let at = match at {
                At::Part { turn, part } => At::ResultPart {
                    turn: *turn,
                    part: *part,
                    inner: u32::try_from(index).unwrap_or(u32::MAX),
                },
                at => at.clone(),
            };
            let part = result_part(node, at)
                .map_err(|fault| fault.inside(format_args!("parts.{index}")))?;
            parts.push(part);
        }
        keep(&result, "functionResponse.", extra);
        Ok(ToolResult {
            call,
            name,
            parts,
            is_error,
        })
    }

    /// The id of the call that a result answers: by id, else by name and order among the calls not yet answered.
    fn pair(&mut self, id: Option<String>, name: Option<&str>) -> String {
        let open = &mut self.unanswered;
        let places = match (&id, name) {
            (Some(id), _) => open.by_id.get(id),
            (None, Some(name)) => open.by_name.get(name),
            (None, None) => Some(&open.all),
        };
        let place = places.and_then(|places| places.first().copied());
        match place.and_then(|place| Some((place, self.calls.get(place)?))) {
            Some((place, call)) => {
                open.all.remove(&place);
                let places = [
                    open.by_id.get_mut(&call.id),
                    open.by_name.get_mut(&call.name),
                ];
                for places in places.into_iter().flatten() {
                    places.remove(&place);
                }
                call.id.clone()
            }
            // Left unpaired; what builds the conversation names it.
            None => id.or_else(|| name.map(str::to_owned)).unwrap_or_default(),
        }
    }
}

/// Part-level fields that are not the part's payload.
fn is_modifier(key: &str) -> bool {
    matches!(
        key,
        "videoMetadata"
            | "mediaResolution"
            | "partMetadata"
            | "mediaProcessing"
            | "speechMetadata"
            | "documentMetadata"
            | "spreadsheetMetadata"
            | "audioMetadata"
    )
}

/// The text of `response`, and whether it is an error: wrappers of one key come off, anything else is its JSON text.
fn result_text(response: Node<'_>) -> Result<(String, bool), Malformed> {
    let json = |node: Node<'_>| {
        node.text().map_or_else(
            || one_line(node.raw()).into_owned(),
            std::borrow::Cow::into_owned,
        )
    };
    if !response.is_object() {
        return Ok((json(response), false));
    }
    let inner = response
        .fields()
        .map_err(|fault| fault.inside("response"))?;
    if inner.len() == 1
        && let Some((key, value)) = inner.iter().next()
    {
        if key == "error" {
            return Ok((json(value), true));
        }
        if let ("output" | "result", Some(text)) = (key, value.text()) {
            return Ok((text.into_owned(), false));
        }
    }
    Ok((json(response), false))
}

/// A piece of media inside a result.
fn result_part(node: Node<'_>, at: At) -> Result<Part, Malformed> {
    let mut part = fields(node)?;
    let mut extra = Extra::default();
    let inline = part.read("inlineData", |node| media::inline(node, &mut extra))?;
    let file = part.read("fileData", |node| media::file(node, &mut extra))?;
    let Some(media) = inline.or(file) else {
        return Ok(Part::new(
            PartBody::Opaque(Opaque {
                of: DialectId::Gemini,
                kind: "functionResponse.parts".to_owned(),
                json: node.to_raw(),
            }),
            at,
        ));
    };
    let media = with_detail(media, &mut part);
    keep(&part, "", &mut extra);
    Ok(Part {
        extra,
        ..Part::new(PartBody::Media(media), at)
    })
}

/// Takes `mediaResolution` as the detail of an image, where it is nothing more than a known level.
fn with_detail(mut media: Media, part: &mut Fields<'_>) -> Media {
    let level = part
        .get("mediaResolution")
        .and_then(|node| fields(node).ok())
        .filter(|resolution| resolution.len() == 1)
        .and_then(|resolution| {
            resolution
                .get("level")?
                .text()
                .map(std::borrow::Cow::into_owned)
        });
    let detail = match level.as_deref() {
        Some("MEDIA_RESOLUTION_LOW") => Detail::Low,
        Some("MEDIA_RESOLUTION_MEDIUM") => Detail::Medium,
        Some("MEDIA_RESOLUTION_HIGH") => Detail::High,
        Some("MEDIA_RESOLUTION_ULTRA_HIGH") => Detail::Original,
        _ => return media,
    };
    part.take("mediaResolution");
    media.detail = Some(detail);
    media
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Effort, Output, Source, ToolBody, ToolChoice};

    fn read(body: &str) -> Request {
        decode(body.as_bytes()).unwrap_or_else(|fault| panic!("{fault}: {body}"))
    }

    /// Turns in short: `u`, `m` or `s`, then each part.
    fn turns(request: &Request) -> String {
        let turn = |turn: &Turn| {
            let role = match turn.role {
                Role::User => "u",
                Role::Assistant => "m",
                Role::System => "s",
            };
            let parts: Vec<String> = turn.parts.iter().map(part).collect();
            format!("{role}:{}", parts.join(","))
        };
        request.turns.iter().map(turn).collect::<Vec<_>>().join(" ")
    }

    fn part(part: &Part) -> String {
        let signed = |proof: &Option<Opaque>| if proof.is_some() { "!" } else { "" };
        match &part.body {
            PartBody::Text(text) => format!("'{}'", text.text),
            PartBody::Reasoning(thought) => format!("({}){}", thought.text, signed(&thought.proof)),
            PartBody::ToolCall(call) => {
                format!(
                    "{}={}{}{}",
                    call.id,
                    call.name,
                    call.arguments,
                    signed(&call.proof)
                )
            }
            PartBody::ToolResult(result) => {
                let parts: Vec<String> = result.parts.iter().map(self::part).collect();
                let error = if result.is_error { "?" } else { "" };
                format!("{}->{}{error}", result.call, parts.join(","))
            }
            PartBody::Media(media) => match &media.source {
                Source::Base64(_) => "bytes".to_owned(),
                Source::Text(text) => format!("doc'{text}'"),
                Source::Url(_) => "url".to_owned(),
                Source::File(_) => "file".to_owned(),
                Source::Parts(_) => "parts".to_owned(),
            },
            PartBody::Refusal(_) => "refusal".to_owned(),
            PartBody::Opaque(opaque) => opaque.kind.clone(),
        }
    }

    fn check(contents: &str, expect: &str) {
        let body = format!(r#"{{"contents":{contents}}}"#);
        assert_eq!(turns(&read(&body)), expect, "{body}");
    }

    #[test]
    fn contents_are_read_in_every_form() {
        check(
            r#"[{"role":"user","parts":[{"text":"a"},{"text":"b"}]},{"role":"model","parts":{"text":"c"}}]"#,
            "u:'a','b' m:'c'",
        );
        check(r#"{"parts":{"text":"a"}}"#, "u:'a'");
        check(r#""a""#, "u:'a'");
        check(r#"["a",{"parts":["b"]}]"#, "u:'a' u:'b'");
        check(
            r#"[{"parts":[{"text":"a"}]},{"role":"system","parts":[{"text":"s"}]}]"#,
            "u:'a' s:'s'",
        );
        check(
            r#"[{"parts":[{"inlineData":{"mimeType":"text/plain","data":"SGk="}},{"file_data":{"file_uri":"gs://b/x"}},{"fileData":{"fileUri":"https://e.com/x.png"}}]}]"#,
            "u:doc'Hi',file,url",
        );
        check(
            r#"[{"role":"model","parts":[{"executableCode":{"code":"1"}},{"toolCall":{"id":"x"}},{}]}]"#,
            "m:executableCode,toolCall",
        );
    }

    #[test]
    fn results_are_paired_by_id_else_by_name_and_order() {
        check(
            r#"[{"role":"model","parts":[{"functionCall":{"name":"a"}},{"functionCall":{"name":"b","args":{"x":1.50}}},{"functionCall":{"name":"a","args":null}}]},
                {"role":"function","parts":[{"functionResponse":{"name":"b","response":{"result":"1"}}},{"functionResponse":{"name":"a","response":{"output":"2"}}},{"functionResponse":{"name":"a","response":{"error":"3"}}}]},
                {"role":"model","parts":[{"functionCall":{"name":"a"}}]},{"parts":[{"functionResponse":{"name":"a","response":{"n":12345678901234567890123}}}]}]"#,
            r#"m:call_0_0=a{},call_0_1=b{"x":1.50},call_0_2=a{} u:call_0_1->'1',call_0_0->'2',call_0_2->'3'? m:call_2_0=a{} u:call_2_0->'{"n":12345678901234567890123}'"#,
        );
        check(
            r#"[{"role":"model","parts":[{"functionCall":{"id":"x","name":"a"}},{"functionCall":{"id":"y","name":"a"}}]},
                {"parts":[{"functionResponse":{"id":"y","name":"a","response":{"result":{"k":1}}}},{"functionResponse":{"id":"x","name":"a","parts":[{"inline_data":{"mime_type":"image/png","data":"iVBORw0KGgoAAAANSUhEUg=="}}]}}]}]"#,
            r#"m:x=a{},y=a{} u:y->'{"result":{"k":1}}',x->bytes"#,
        );
    }

    #[test]
    fn signatures_find_their_part() {
        check(
            r#"[{"role":"model","parts":[{"text":"t","thought":true,"thoughtSignature":"QQ=="},{"text":"a","thought_signature":"Qg=="},{"text":"","thoughtSignature":"Qw=="},{"functionCall":{"name":"f"},"thoughtSignature":"skip_thought_signature_validator"},{"functionCall":{"name":"f"},"thoughtSignature":"RA=="}]}]"#,
            "m:(t)!,'a',()!,()!,call_0_0=f{},call_0_1=f{}!",
        );
    }

    #[test]
    fn free_json_keeps_its_keys() {
        let request = read(
            r#"{"contents":[{"role":"model","parts":[{"function_call":{"id":"a","name":"f","args":{"snake_key":{"in_ner":1}}}}]},{"parts":[{"function_response":{"id":"a","name":"f","response":{"snake_key":1}}}]}],
               "tools":[{"function_declarations":[{"name":"f","parameters_json_schema":{"type":"object","properties":{"snake_key":{}}}}]}],"labels":{"snake_key":"v"}}"#,
        );
        assert_eq!(
            turns(&request),
            r#"m:a=f{"snake_key":{"in_ner":1}} u:a->'{"snake_key":1}'"#
        );
        assert_eq!(request.metadata, [("snake_key".to_owned(), "v".to_owned())]);
        let ToolBody::Function { parameters, .. } = &request.tools[0].body else {
            panic!("not a function");
        };
        assert!(parameters.as_ref().unwrap().get().contains("snake_key"));
    }

    #[test]
    fn settings_are_read_in_either_case() {
        let request = read(
            r#"{"contents":"x","system_instruction":{"parts":[{"text":"s"}]},"generation_config":{"temperature":0.5,"topK":40.0,"max_output_tokens":"64","stop_sequences":["A"],"candidateCount":2,"seed":7,"responseLogprobs":true,"response_modalities":["TEXT"],"speechConfig":{"a":1},"thinking_config":{"thinking_level":"low","include_thoughts":true}},
               "tool_config":{"function_calling_config":{"mode":"any","allowed_function_names":["f"]},"retrievalConfig":{"languageCode":"de"}},"safetySettings":[],"cachedContent":"c","serviceTier":"STANDARD"}"#,
        );
        assert_eq!(request.system.len(), 1);
        assert_eq!(
            (
                request.sampling.temperature,
                request.sampling.top_k,
                request.sampling.seed
            ),
            (Some(0.5), Some(40.0), Some(7))
        );
        assert_eq!(
            (request.max_output, request.candidates, request.logprobs),
            (Some(64), Some(2), Some(0))
        );
        assert_eq!(
            (request.reasoning.effort, request.reasoning.show),
            (Some(Effort::Low), Some(true))
        );
        assert_eq!(request.tool_choice, Some(ToolChoice::Tool("f".into())));
        assert_eq!(request.service_tier.as_deref(), Some("default"));
        let extra: Vec<&str> = request
            .extra
            .fields
            .iter()
            .map(|field| field.key.as_str())
            .collect();
        assert_eq!(
            extra,
            [
                "toolConfig.retrievalConfig",
                "generationConfig.speechConfig",
                "cachedContent"
            ]
        );
    }

    #[test]
    fn budgets_and_forms_of_output_are_told_apart() {
        let reasoning = |budget: &str| {
            read(&format!(r#"{{"contents":"x","generationConfig":{{"thinkingConfig":{{"thinkingBudget":{budget}}}}}}}"#)).reasoning
        };
        assert_eq!(reasoning("0").enabled, Some(false));
        assert_eq!(reasoning("-1").enabled, Some(true));
        assert_eq!(reasoning("512").budget, Some(512));
        let output = |config: &str| {
            read(&format!(
                r#"{{"contents":"x","generationConfig":{config}}}"#
            ))
            .output
        };
        assert!(matches!(
            output(r#"{"responseMimeType":"application/json"}"#),
            Output::Json
        ));
        assert!(matches!(
            output(r#"{"responseMimeType":"text/plain"}"#),
            Output::Text
        ));
        assert!(matches!(
            output(r#"{"responseMimeType":"text/x.enum","responseSchema":{"enum":["a"]}}"#),
            Output::Enum { .. }
        ));
        for schema in [
            r#"{"responseMimeType":"application/json","response_schema":{"type":"OBJECT"}}"#,
            r#"{"responseJsonSchema":{"type":"object"}}"#,
            r#"{"responseFormat":[{"text":{"mimeType":"application/json","jsonSchema":{"type":"object"}}}]}"#,
        ] {
            let Output::Schema { schema, .. } = output(schema) else {
                panic!("no schema: {schema}");
            };
            assert_eq!(schema.get(), r#"{"type":"object"}"#);
        }
    }

    #[test]
    fn faults_name_their_place() {
        for (body, expect) in [
            ("{}", "contents: is required"),
            (
                r#"{"contents":[]}"#,
                "contents: must hold at least one content",
            ),
            (
                r#"{"contents":[{"parts":[{"text":7}]}]}"#,
                "contents.0.parts.0.text: expected a string, got a number",
            ),
            (
                r#"{"contents":[{"role":"bot","parts":[]}]}"#,
                "contents.0.role: unknown role 'bot'; expected 'user' or 'model'",
            ),
            (
                r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":[]}}]}]}"#,
                "contents.0.parts.0.functionCall.args: expected an object, got an array",
            ),
            (
                r#"{"contents":[{"parts":[{"functionCall":{"name":"f"}}]}]}"#,
                "contents.0.parts.0.functionCall: a call belongs into a content of role 'model'",
            ),
            (
                r#"{"contents":[{"parts":[{"text":"a","inlineData":{}}]}]}"#,
                "contents.0.parts.0: a part holds one thing, this one holds text and inlineData",
            ),
            (
                r#"{"contents":"x","systemInstruction":{"parts":[{"inlineData":{}}]}}"#,
                "systemInstruction.parts.0: instructions can only hold text",
            ),
            (
                r#"{"contents":"x","generationConfig":{"topK":"many"}}"#,
                "generationConfig.topK: expected a number, got a string",
            ),
            (
                r#"{"contents":"x","generationConfig":{"thinkingConfig":{"thinkingLevel":"huge"}}}"#,
                "generationConfig.thinkingConfig.thinkingLevel: unknown level 'huge'; expected MINIMAL, LOW, MEDIUM, HIGH or XHIGH",
            ),
            (
                r#"{"contents":"x","tools":[{"functionDeclarations":[{"name":"f"},{}]}]}"#,
                "tools.0.functionDeclarations.1.name: is required",
            ),
            (
                r#"{"contents":"x","toolConfig":{"functionCallingConfig":{"mode":"SOME"}}}"#,
                "toolConfig.functionCallingConfig.mode: unknown mode 'SOME'; expected AUTO, ANY, NONE or VALIDATED",
            ),
            (
                r#"{"contents":"x","labels":{"a":1}}"#,
                "labels.a: expected a string, got a number",
            ),
        ] {
            assert_eq!(
                decode(body.as_bytes()).unwrap_err().to_string(),
                expect,
                "{body}"
            );
        }
    }
}
