//! Web searches that a vendor ran for an answer: each dialect tells of them in a form of its own, and reads those of the others.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::hub::{Opaque, Part, PartBody, Request, Role, Text};
use crate::json::{Fields, Node, Object, raw};
use crate::{DialectId, Losses};

/// Kind of the [`Opaque`] that tells of Gemini's searches: `webSearchQueries` and `groundingChunks`.
pub(crate) const GROUNDING: &str = "groundingMetadata";

/// How many pages of one answer are told.
const MOST: usize = 100;

/// What was looked for, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Search {
    /// As the vendor named it; may be empty.
    pub(crate) id: String,
    pub(crate) queries: Vec<String>,
    /// `None`: not told here.
    pub(crate) pages: Option<Vec<Page>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) title: Option<String>,
}

/// The search that a part of an answer tells of; `None` for any other part.
pub(crate) fn of(opaque: &Opaque) -> Option<Search> {
    let fields = Node::from(&*opaque.json).fields().ok()?;
    match (opaque.of, opaque.kind.as_str()) {
        (DialectId::Messages, "server_tool_use") => {
            if text(&fields, "name").as_deref() != Some("web_search") {
                return None;
            }
            let query = fields
                .get("input")
                .and_then(|input| text(&input.fields().ok()?, "query"));
            Some(Search {
                id: text(&fields, "id").unwrap_or_default(),
                queries: query.into_iter().collect(),
                pages: None,
            })
        }
        (DialectId::Responses, "web_search_call") => {
            let action = fields.get("action")?.fields().ok()?;
            if text(&action, "type").is_some_and(|kind| kind != "search") {
                return None;
            }
            let mut queries = texts(&action, "queries");
            if queries.is_empty() {
                queries.extend(text(&action, "query"));
            }
            let sources = action.get("sources").and_then(|list| list.elements().ok());
            Some(Search {
                id: text(&fields, "id").unwrap_or_default(),
                queries,
                pages: sources.map(|sources| pages(&sources, "url")),
            })
        }
        (DialectId::Gemini, GROUNDING) => {
            let chunks = fields
                .get("groundingChunks")
                .and_then(|list| list.elements().ok())
                .unwrap_or_default();
            let found: Vec<Node<'_>> = chunks
                .iter()
                .filter_map(|chunk| chunk.fields().ok()?.get("web"))
                .collect();
            Some(Search {
                id: String::new(),
                queries: texts(&fields, "webSearchQueries"),
                pages: Some(pages(&found, "uri")),
            })
        }
        (DialectId::Chat | DialectId::Responses | DialectId::Messages | DialectId::Gemini, _) => {
            None
        }
    }
}

/// What an Anthropic search found; it stands in a block of its own.
pub(crate) fn found(opaque: &Opaque) -> Option<Vec<Page>> {
    let result = opaque.of == DialectId::Messages && opaque.kind == "web_search_tool_result";
    if !result {
        return None;
    }
    let fields = Node::from(&*opaque.json).fields().ok()?;
    let content = fields.get("content")?.elements().unwrap_or_default();
    Some(pages(&content, "url"))
}

fn text(fields: &Fields<'_>, key: &str) -> Option<String> {
    let text = fields.get(key)?.text()?;
    (!text.is_empty()).then(|| text.into_owned())
}

fn texts(fields: &Fields<'_>, key: &str) -> Vec<String> {
    let list = fields.get(key).and_then(|list| list.elements().ok());
    let texts = list.into_iter().flatten().filter_map(Node::text);
    texts.take(MOST).map(Cow::into_owned).collect()
}

fn pages(list: &[Node<'_>], address: &str) -> Vec<Page> {
    let page = |node: &Node<'_>| {
        let fields = node.fields().ok()?;
        Some(Page {
            url: text(&fields, address)?,
            title: text(&fields, "title"),
        })
    };
    list.iter().filter_map(page).take(MOST).collect()
}

/// Gemini's searches, as a part.
pub(crate) fn grounding(queries: &[String], pages: &[Page]) -> Option<Opaque> {
    let mut out = Vec::new();
    let mut object = Object::new(&mut out);
    {
        let mut list = object.array("webSearchQueries");
        for query in queries {
            list.string(query);
        }
    }
    {
        let mut list = object.array("groundingChunks");
        for page in pages.iter().take(MOST) {
            let mut chunk = list.object();
            let mut web = chunk.object("web");
            web.string("uri", &page.url);
            web.some_string("title", page.title.as_deref());
        }
    }
    drop(object);
    Some(Opaque {
        of: DialectId::Gemini,
        kind: GROUNDING.to_owned(),
        json: json(out)?,
    })
}

/// The item of Responses.
pub(crate) fn write_call(out: &mut Vec<u8>, id: &str, search: &Search) {
    let mut item = Object::new(out);
    item.string("id", id);
    item.string("type", "web_search_call");
    item.string("status", "completed");
    let mut action = item.object("action");
    action.string("type", "search");
    action.string("query", &search.queries.join("; "));
    if search.queries.len() > 1 {
        let mut list = action.array("queries");
        for query in &search.queries {
            list.string(query);
        }
    }
    if let Some(pages) = search.pages.as_ref().filter(|pages| !pages.is_empty()) {
        let mut list = action.array("sources");
        for page in pages {
            let mut source = list.object();
            source.string("type", "url");
            source.string("url", &page.url);
        }
    }
}

/// Anthropic's two blocks of one query: that it was asked, and what it found.
pub(crate) fn write_use(out: &mut Vec<u8>, id: &str, query: &str) {
    let mut block = Object::new(out);
    block.string("type", "server_tool_use");
    block.string("id", id);
    block.string("name", "web_search");
    block.object("input").string("query", query);
}

/// See [`write_use`]. The text of a page is sealed by Anthropic, and there is none of another vendor.
pub(crate) fn write_result(out: &mut Vec<u8>, id: &str, pages: &[Page]) {
    let mut block = Object::new(out);
    block.string("type", "web_search_tool_result");
    block.string("tool_use_id", id);
    let mut list = block.array("content");
    for page in pages {
        let mut result = list.object();
        result.string("type", "web_search_result");
        result.string("url", &page.url);
        result.string("title", page.title.as_deref().unwrap_or(&page.url));
        result.string("encrypted_content", "");
        result.null("page_age");
    }
}

/// The request with the searches of earlier turns as text, where they are told in a form that `dialect` does not have.
pub(crate) fn as_text<'a>(
    request: &'a Request,
    dialect: DialectId,
    losses: &mut Losses,
) -> Cow<'a, Request> {
    let foreign = |part: &Part| match &part.body {
        PartBody::Opaque(opaque) if opaque.of != dialect => said(opaque),
        PartBody::Opaque(_)
        | PartBody::Text(_)
        | PartBody::Media(_)
        | PartBody::Reasoning(_)
        | PartBody::ToolCall(_)
        | PartBody::ToolResult(_)
        | PartBody::Refusal(_) => None,
    };
    let any = request
        .turns
        .iter()
        .filter(|turn| turn.role == Role::Assistant)
        .flat_map(|turn| &turn.parts)
        .any(|part| foreign(part).is_some());
    if !any {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    let turns = request.turns.iter_mut();
    for turn in turns.filter(|turn| turn.role == Role::Assistant) {
        for part in &mut turn.parts {
            if let Some(text) = foreign(part) {
                losses.push(
                    part.at.clone(),
                    "",
                    "a search of another vendor: told as text",
                );
                part.body = PartBody::Text(Text {
                    text,
                    citations: Vec::new(),
                });
            }
        }
    }
    Cow::Owned(request)
}

fn said(opaque: &Opaque) -> Option<String> {
    let list = |pages: &[Page]| -> String {
        let line = |page: &Page| match &page.title {
            Some(title) => format!("\n- {title}: {}", page.url),
            None => format!("\n- {}", page.url),
        };
        pages.iter().map(line).collect()
    };
    if let Some(pages) = found(opaque) {
        return Some(format!("[Found on the web:{}]", list(&pages)));
    }
    let search = of(opaque)?;
    let pages = search.pages.as_deref().map(list).unwrap_or_default();
    Some(format!(
        "[Searched the web for: {}{pages}]",
        search.queries.join("; ")
    ))
}

fn json(out: Vec<u8>) -> Option<Box<RawValue>> {
    raw(String::from_utf8(out).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::Framing;
    use crate::stream::{End, Transcoder};
    use crate::{Mint, Reply, ToolChanges};

    fn opaque(of: DialectId, kind: &str, text: &str) -> Opaque {
        Opaque {
            of,
            kind: kind.to_owned(),
            json: RawValue::from_string(text.to_owned()).unwrap(),
        }
    }

    use DialectId::{Gemini, Messages, Responses};

    #[test]
    fn searches_of_all_dialects_are_read() {
        let check = |of: DialectId, kind: &str, text: &str, expect: Option<&str>| {
            let found = said(&opaque(of, kind, text));
            assert_eq!(found.as_deref(), expect, "{text}");
        };
        check(
            Messages,
            "server_tool_use",
            r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}}"#,
            Some("[Searched the web for: q]"),
        );
        check(
            Messages,
            "server_tool_use",
            r#"{"type":"server_tool_use","id":"s","name":"bash_code_execution","input":{}}"#,
            None,
        );
        check(
            Messages,
            "web_search_tool_result",
            r#"{"tool_use_id":"s","content":[{"type":"web_search_result","url":"u","title":"T"},{"url":"v"}]}"#,
            Some("[Found on the web:\n- T: u\n- v]"),
        );
        check(
            Messages,
            "web_search_tool_result",
            r#"{"tool_use_id":"s","content":{"type":"web_search_tool_result_error","error_code":"unavailable"}}"#,
            Some("[Found on the web:]"),
        );
        check(
            Responses,
            "web_search_call",
            r#"{"id":"ws_1","action":{"type":"search","query":"a","queries":["a","b"],"sources":[{"type":"url","url":"u"}]}}"#,
            Some("[Searched the web for: a; b\n- u]"),
        );
        check(
            Responses,
            "web_search_call",
            r#"{"id":"ws_1","action":{"type":"open_page","url":"u"}}"#,
            None,
        );
        check(
            Gemini,
            GROUNDING,
            r#"{"webSearchQueries":["q"],"groundingChunks":[{"web":{"uri":"u","title":"T"}},{"maps":{}}]}"#,
            Some("[Searched the web for: q\n- T: u]"),
        );
    }
    #[test]
    fn each_client_reads_them_in_its_own_form() {
        let from_responses = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[
            {"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"tides","sources":[{"type":"url","url":"https://a"}]}},
            {"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"High.","annotations":[{"type":"url_citation","url":"https://b","title":"B","start_index":0,"end_index":4}]}]}],
            "usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3}}"#;
        let untold = from_responses.replace(r#","sources":[{"type":"url","url":"https://a"}]"#, "");
        let from_gemini = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"High."}]},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["tides","moon"],"groundingChunks":[{"web":{"uri":"https://c","title":"C"}}],"groundingSupports":[{"segment":{"startIndex":0,"endIndex":4,"text":"High"},"groundingChunkIndices":[0]}]}}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3}}"#;
        let from_messages = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[
            {"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"tides"}},
            {"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://d","title":"D","encrypted_content":"x","page_age":null}]},
            {"type":"text","text":"High.","citations":[{"type":"web_search_result_location","url":"https://d","title":"D","cited_text":"high","encrypted_index":"y"}]}],
            "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2,"server_tool_use":{"web_search_requests":1}}}"#;
        let check = |from: DialectId, body: &str, to: DialectId, expect: &[&str]| {
            let reply = Reply {
                model: "m".to_owned(),
                mint: Mint { now: 1, id: 7 },
                include_usage: true,
                show_reasoning: false,
                legacy_function_call: false,
                enum_output: false,
                responses: None,
            };
            let response = from.dialect().decode_response(body.as_bytes()).unwrap();
            let whole = to
                .dialect()
                .encode_response(&response, &reply, &mut Losses::default());
            let (upstream, client) = (from.dialect(), to.dialect());
            let (sse, tools) = (Framing::Sse, ToolChanges::default());
            let mut transcoder = Transcoder::new(upstream, client, &reply, sse, sse, tools);
            let mut streamed = Vec::new();
            transcoder.push(body.as_bytes(), &mut streamed).unwrap();
            transcoder.end(End::Eof, &mut streamed);
            for text in [whole, streamed].map(|bytes| String::from_utf8(bytes).unwrap()) {
                let mut rest = text.as_str();
                for piece in expect {
                    let at = rest.find(piece);
                    assert!(at.is_some(), "{from} to {to}: no {piece} in {text}");
                    rest = rest.get(at.unwrap()..).unwrap_or_default();
                }
            }
        };
        let asked = r#""name":"web_search","input":{"query":"tides"}"#;
        check(
            Responses,
            from_responses,
            Messages,
            &[
                "server_tool_use",
                asked,
                "web_search_tool_result",
                "https://a",
                "High.",
                r#""web_search_requests":1"#,
            ],
        );
        // Nobody told the pages: those that are cited stand behind the text.
        check(
            Responses,
            &untold,
            Messages,
            &[
                asked,
                "High.",
                "web_search_tool_result",
                "https://b",
                r#""web_search_requests":1"#,
            ],
        );
        check(
            Gemini,
            from_gemini,
            Messages,
            &[
                "High.",
                asked,
                "web_search_tool_result",
                "https://c",
                r#"{"query":"moon"}"#,
                r#""web_search_requests":2"#,
            ],
        );
        check(
            Messages,
            from_messages,
            Responses,
            &["web_search_call", r#""query":"tides""#, "https://d"],
        );
        check(
            Gemini,
            from_gemini,
            Responses,
            &[
                "High.",
                "web_search_call",
                r#""queries":["tides","moon"]"#,
                "https://c",
            ],
        );
        for (from, body, page) in [
            (Messages, from_messages, "https://d"),
            (Responses, from_responses, "https://b"),
        ] {
            check(
                from,
                body,
                Gemini,
                &["High.", r#""webSearchQueries":["tides"]"#, page],
            );
            check(from, body, DialectId::Chat, &["url_citation", page]);
        }
    }
}
