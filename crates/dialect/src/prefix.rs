//! What a vendor's prompt cache would find again of a request, as a number: the same for what begins in the same way, whichever
//! dialect it was said in.

use std::hash::Hasher as _;

use rustc_hash::FxHasher;

use crate::billing;
use crate::hub::{Part, PartBody, Request, Tool, ToolBody};
use crate::json::compact;

/// A hash of the tools and the instructions, up to the last cache mark among them. Requests that have neither are told apart by
/// their first turn. The same in every process of one version and one kind of machine; takes time in proportion to the text.
pub fn prefix(request: &Request) -> u64 {
    let mut hash = Hash(FxHasher::default());
    let tools = request.tools.iter().map(Piece::Tool);
    let system = request.system.iter().map(Piece::Part);
    let pieces: Vec<Piece<'_>> = tools.chain(system).collect();
    let marked = pieces.iter().rposition(Piece::is_marked);
    let counted = marked.map_or(pieces.len(), |last| last + 1);
    for piece in pieces.iter().take(counted) {
        match piece {
            Piece::Tool(tool) => hash.tool(tool),
            Piece::Part(part) => hash.part(part),
        }
    }
    if pieces.is_empty()
        && let Some(first) = request.turns.first()
    {
        for part in &first.parts {
            hash.part(part);
        }
    }
    hash.0.finish()
}

/// In the order in which vendors cache.
enum Piece<'a> {
    Tool(&'a Tool),
    Part(&'a Part),
}

impl Piece<'_> {
    fn is_marked(&self) -> bool {
        match self {
            Self::Tool(tool) => tool.cache.is_some(),
            Self::Part(part) => part.cache.is_some(),
        }
    }
}

struct Hash(FxHasher);

impl Hash {
    /// With its length, so that what is moved from one text into the next makes a difference.
    fn text(&mut self, text: &str) {
        self.0.write_usize(text.len());
        self.0.write(text.as_bytes());
    }

    fn tool(&mut self, tool: &Tool) {
        match &tool.body {
            ToolBody::Function {
                name,
                description,
                parameters,
                strict: _,
            } => {
                self.text(name);
                self.text(description.as_deref().unwrap_or_default());
                if let Some(parameters) = parameters {
                    self.text(&compact(parameters.get()));
                }
            }
            ToolBody::Custom {
                name,
                description,
                format,
            } => {
                self.text(name);
                self.text(description.as_deref().unwrap_or_default());
                if let Some(format) = format {
                    self.text(&compact(format.0.get()));
                }
            }
            ToolBody::WebSearch(_) => self.text("web_search"),
            ToolBody::WebFetch => self.text("web_fetch"),
            ToolBody::CodeExecution => self.text("code_execution"),
            ToolBody::Opaque(opaque) => self.text(opaque.json.get()),
        }
    }

    fn part(&mut self, part: &Part) {
        match &part.body {
            PartBody::Text(text) => self.text(billing::behind_line(&text.text)),
            PartBody::Refusal(text) => self.text(text),
            PartBody::Opaque(opaque) => self.text(opaque.json.get()),
            // Of a first turn without instructions; what was shown or called is told apart by the next turns' words.
            PartBody::Media(_)
            | PartBody::Reasoning(_)
            | PartBody::ToolCall(_)
            | PartBody::ToolResult(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DialectId;

    fn of(dialect: DialectId, body: &str) -> u64 {
        prefix(&dialect.dialect().decode_request(body.as_bytes()).unwrap())
    }

    #[test]
    fn is_the_same_in_every_dialect() {
        let parameters = r#"{"type":"object","properties":{"path":{"type":"string"}}}"#;
        let bodies = [
            (
                DialectId::Chat,
                format!(
                    r#"{{"model":"m","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"Hi"}}],
                    "tools":[{{"type":"function","function":{{"name":"read","description":"Reads.","parameters":{parameters}}}}}]}}"#
                ),
            ),
            (
                DialectId::Responses,
                format!(
                    r#"{{"model":"m","instructions":"Be brief.","input":"Hello",
                    "tools":[{{"type":"function","name":"read","description":"Reads.","parameters":{parameters}}}]}}"#
                ),
            ),
            (
                DialectId::Messages,
                r#"{"model":"m","max_tokens":1,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],
                    "messages":[{"role":"user","content":"Who are you?"}],
                    "tools":[{"name":"read","description":"Reads.","input_schema":{ "type": "object", "properties": {"path":{"type":"string"}} }}]}"#
                    .to_owned(),
            ),
            (
                DialectId::Gemini,
                r#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"parts":[{"text":"Hi"}]}],
                "tools":[{"functionDeclarations":[{"name":"read","description":"Reads.",
                "parameters":{"type":"OBJECT","properties":{"path":{"type":"STRING"}}}}]}]}"#
                    .to_owned(),
            ),
        ];
        let first = of(bodies[0].0, &bodies[0].1);
        for (dialect, body) in &bodies {
            assert_eq!(of(*dialect, body), first, "{dialect}");
            let other = body.replace("Be brief.", "Be long.");
            assert_ne!(of(*dialect, &other), first, "{dialect}");
            let other = body.replace("\"path\"", "\"place\"");
            assert_ne!(of(*dialect, &other), first, "{dialect}");
        }
    }

    #[test]
    fn what_stands_behind_the_last_mark_does_not_count() {
        let body = |last: &str, mark: &str| {
            format!(
                r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":"{last}"}}],
                "system":[{{"type":"text","text":"Be brief."{mark}}},{{"type":"text","text":"Today is {last}."}}]}}"#
            )
        };
        let mark = r#","cache_control":{"type":"ephemeral"}"#;
        let of = |last: &str, mark: &str| of(DialectId::Messages, &body(last, mark));
        assert_eq!(of("Monday", mark), of("Tuesday", mark));
        assert_ne!(of("Monday", ""), of("Tuesday", ""));
    }

    #[test]
    fn the_line_for_billing_does_not_count() {
        let of = |line: &str| {
            let body = format!(
                r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":"Hi"}}],
                "system":[{{"type":"text","text":"{line}"}},{{"type":"text","text":"Be brief."}}]}}"#
            );
            of(DialectId::Messages, &body)
        };
        assert_eq!(
            of("x-anthropic-billing-header: cc_version=1; cch=2;"),
            of("x-anthropic-billing-header: cc_version=1; cch=3;")
        );
    }

    #[test]
    fn conversations_without_instructions_differ_by_their_first_turn() {
        let of = |first: &str, second: &str| {
            let body = format!(
                r#"{{"model":"m","messages":[{{"role":"user","content":"{first}"}},{{"role":"user","content":"{second}"}}]}}"#
            );
            of(DialectId::Chat, &body)
        };
        assert_eq!(of("Hi", "a"), of("Hi", "b"));
        assert_ne!(of("Hi", "a"), of("Hello", "a"));
    }
}
