//! Bodies that go through within one dialect: what the upstream did not make is taken out, and every other byte stays.
//!
//! A token of ours is never the target's own there, since proofs are sealed only for clients of another dialect.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::token::{PREFIX, PREFIX_BASE64, looks_like};
use super::{State, Vault};
use crate::json::{Edits, Fields, Node};
use crate::quirks::Thinking;
use crate::{At, DialectId, Losses, Quirks, Setting, gemini};

/// A body without what was not the target's, and what was taken out.
#[derive(Debug)]
pub struct Scrubbed {
    pub body: Vec<u8>,
    pub losses: Losses,
}

/// What is to be taken out of a body.
pub struct Scrub<'a> {
    pub dialect: DialectId,
    pub quirks: &'a Quirks,
    pub state: State,
    /// Whether a proof of this dialect is known to be another upstream's; `None` when none are known.
    pub strange: Option<&'a dyn Fn(&str) -> bool>,
}

impl fmt::Debug for Scrub<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrub")
            .field("dialect", &self.dialect)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What the vault's own proofs begin with. Every body is searched: the searches are made ready once.
static OURS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [PREFIX, PREFIX_BASE64].map(Finder::new));

impl Vault {
    /// Takes out what must not be sent; `None`: nothing.
    pub fn scrub(body: &[u8], scrub: &Scrub<'_>) -> Option<Scrubbed> {
        let suspicious = scrub.strange.is_some()
            || scrub.state != State::Carried
            || OURS.iter().any(|prefix| prefix.find(body).is_some());
        if !suspicious {
            return None;
        }
        let text = std::str::from_utf8(body).ok()?;
        let root = Node::parse(body).ok()?.fields().ok()?;
        let mut eraser = Eraser {
            scrub,
            edits: Edits::of(text),
            losses: Losses::default(),
        };
        match scrub.dialect {
            DialectId::Messages => eraser.messages(&root),
            DialectId::Responses => eraser.responses(&root),
            DialectId::Gemini => {
                // Where tokens are counted, the request may lie inside.
                let inner = root.get("generateContentRequest");
                let inner = inner.and_then(|inner| inner.fields().ok());
                eraser.gemini(inner.as_ref().unwrap_or(&root));
            }
            DialectId::Chat => eraser.chat(&root),
        }
        eraser.finish()
    }
}

struct Eraser<'a> {
    scrub: &'a Scrub<'a>,
    edits: Edits<'a>,
    losses: Losses,
}

impl<'a> Eraser<'a> {
    fn finish(self) -> Option<Scrubbed> {
        Some(Scrubbed {
            body: self.edits.apply()?,
            losses: self.losses,
        })
    }

    /// Whether a proof of this dialect may not be sent, and why.
    fn fault(&self, proof: &str) -> Option<&'static str> {
        if looks_like(proof) {
            Some("dropped: reasoning of another vendor, which this one does not take")
        } else if self.scrub.state == State::Dropped {
            Some("dropped: the upstream refused it")
        } else if self.scrub.strange.is_some_and(|strange| strange(proof)) {
            Some("dropped: reasoning of another provider, which this one does not take")
        } else {
            None
        }
    }

    fn messages(&mut self, root: &Fields<'a>) {
        let messages = elements(root, "messages");
        let mut gone = Vec::new();
        let mut bare = None;
        for (turn, message) in (0..).zip(&messages) {
            let Ok(fields) = message.fields() else {
                continue;
            };
            if word(&fields, "role").as_deref() != Some("assistant") {
                continue;
            }
            let blocks = elements(&fields, "content");
            let mut dropped = Vec::new();
            for (part, block) in (0..).zip(&blocks) {
                let Ok(block) = block.fields() else {
                    continue;
                };
                let key = match word(&block, "type").as_deref() {
                    Some("thinking") => "signature",
                    Some("redacted_thinking") => "data",
                    _ => continue,
                };
                let proof = word(&block, key).unwrap_or_default();
                if let Some(note) = self.fault(&proof) {
                    self.losses.push(At::Part { turn, part }, "", note);
                    dropped.push(usize::try_from(part).unwrap_or(usize::MAX));
                }
            }
            bare = None;
            if dropped.is_empty() && self.scrub.state == State::Carried {
                continue;
            }
            let kept = || {
                let kept = (0..blocks.len()).filter(|at| !dropped.contains(at));
                kept.filter_map(|at| word(&blocks.get(at)?.fields().ok()?, "type"))
            };
            let begins_bare = kept()
                .next()
                .is_some_and(|kind| !kind.ends_with("thinking"));
            if begins_bare && kept().any(|kind| kind == "tool_use") {
                bare = Some(turn);
            }
            if !dropped.is_empty() && dropped.len() == blocks.len() {
                gone.push(usize::try_from(turn).unwrap_or(usize::MAX));
            } else {
                self.edits.remove_elements(&blocks, &dropped);
            }
        }
        self.edits.remove_elements(&messages, &gone);
        // The last answer of a tool loop must begin with a thought where thinking has a budget.
        let budget =
            self.scrub.quirks.thinking == Thinking::Budget || self.scrub.state == State::Dropped;
        if let Some(thinking) = root.get("thinking").filter(|_| bare.is_some() && budget)
            && let Ok(fields) = thinking.fields()
            && word(&fields, "type").as_deref() == Some("enabled")
        {
            self.losses.setting(Setting::Reasoning, THINKING_OFF);
            self.edits.replace(thinking, r#"{"type":"disabled"}"#);
        }
    }

    fn responses(&mut self, root: &Fields<'a>) {
        let items = elements(root, "input");
        let mut gone = Vec::new();
        for (turn, item) in (0..).zip(&items) {
            let Ok(fields) = item.fields() else {
                continue;
            };
            let kind = word(&fields, "type");
            if kind.as_deref() == Some("reasoning") {
                let proof = word(&fields, "encrypted_content").unwrap_or_default();
                if let Some(note) = self.fault(&proof) {
                    self.losses.push(At::Turn { turn }, "", note);
                    gone.push(usize::try_from(turn).unwrap_or(usize::MAX));
                }
            } else if self.scrub.state == State::Dropped {
                // An item that the vendor knows by its id is refused without the reasoning before it.
                if let Some(id) = fields.get("id")
                    && kind.as_deref() != Some("item_reference")
                {
                    self.edits.remove_field(id);
                }
            }
        }
        self.edits.remove_elements(&items, &gone);
    }

    fn gemini(&mut self, root: &Fields<'a>) {
        let contents = root
            .get("contents")
            .and_then(|contents| contents.one_or_many().ok())
            .unwrap_or_default();
        let mut gone = Vec::new();
        for (turn, content) in (0..).zip(&contents) {
            let Ok(fields) = content.fields() else {
                continue;
            };
            let parts = fields
                .get("parts")
                .and_then(|parts| parts.one_or_many().ok())
                .unwrap_or_default();
            let mut dropped = Vec::new();
            let mut called = false;
            for (part, node) in (0..).zip(&parts) {
                let Ok(fields) = node.fields() else {
                    continue;
                };
                let either = |camel: &str, snake: &str| {
                    fields
                        .get(camel)
                        .or_else(|| fields.get(snake))
                        .filter(|node| !node.is_null())
                };
                let calls = either("functionCall", "function_call").is_some();
                let first = calls && !called;
                called |= calls;
                let Some(signature) = either("thoughtSignature", "thought_signature") else {
                    if first && self.scrub.state == State::Dropped {
                        let note = "the upstream asks for a signature, and none is known";
                        self.losses
                            .push(At::Part { turn, part }, "thoughtSignature", note);
                        let field = format!("\"thoughtSignature\":\"{}\",", gemini::SENTINEL);
                        self.edits.insert_first(*node, field);
                    }
                    continue;
                };
                let proof = signature.text().unwrap_or_default();
                let sentinel = proof == gemini::SENTINEL || proof == gemini::SENTINEL_BASE64;
                let Some(note) = self.fault(&proof).filter(|_| !sentinel) else {
                    continue;
                };
                self.losses
                    .push(At::Part { turn, part }, "thoughtSignature", note);
                let says_nothing = fields
                    .get("text")
                    .is_some_and(|text| text.text().is_some_and(|text| text.is_empty()));
                let asked =
                    self.scrub.quirks.thought_signatures || self.scrub.state == State::Dropped;
                if first && asked {
                    let word = format!("\"{}\"", gemini::SENTINEL);
                    self.edits.replace(signature, word);
                } else if says_nothing && parts.len() > 1 {
                    dropped.push(usize::try_from(part).unwrap_or(usize::MAX));
                } else {
                    self.edits.remove_field(signature);
                }
            }
            if !parts.is_empty() && dropped.len() == parts.len() {
                gone.push(usize::try_from(turn).unwrap_or(usize::MAX));
            } else {
                self.edits.remove_elements(&parts, &dropped);
            }
        }
        self.edits.remove_elements(&contents, &gone);
    }

    fn chat(&mut self, root: &Fields<'a>) {
        for (turn, message) in (0..).zip(elements(root, "messages")) {
            let Ok(fields) = message.fields() else {
                continue;
            };
            let at = At::Turn { turn };
            if self.scrub.state == State::Demanded
                && !elements(&fields, "tool_calls").is_empty()
                && word(&fields, "reasoning_content").is_none_or(|text| text.is_empty())
            {
                let note = "a blank was added: the upstream asks for it, and it is not known";
                self.losses.push(at.clone(), "reasoning_content", note);
                let said = fields.iter().find(|(key, _)| *key == "reasoning_content");
                if let Some((_, empty)) = said {
                    self.edits.replace(empty, "\" \"");
                } else {
                    self.edits
                        .insert_first(message, "\"reasoning_content\":\" \",".to_owned());
                }
            }
            if let Some(list) = fields.get(crate::chat::DETAILS) {
                let details = list.elements().unwrap_or_default();
                let mut dropped = Vec::new();
                for (index, detail) in details.iter().enumerate() {
                    let Ok(detail) = detail.fields() else {
                        continue;
                    };
                    let proof = word(&detail, "data").or_else(|| word(&detail, "signature"));
                    let fault = self.fault(&proof.unwrap_or_default());
                    if let Some(note) = fault {
                        self.losses.push(at.clone(), crate::chat::DETAILS, note);
                        dropped.push(index);
                    }
                }
                if !dropped.is_empty() && dropped.len() == details.len() {
                    self.edits.remove_field(list);
                } else {
                    self.edits.remove_elements(&details, &dropped);
                }
            }
            for call in elements(&fields, "tool_calls") {
                let Some(extra) = call
                    .fields()
                    .ok()
                    .and_then(|call| call.get("extra_content"))
                else {
                    continue;
                };
                let proof = || {
                    let google = extra.fields().ok()?.get("google")?;
                    google.fields().ok()?.get("thought_signature")?.text()
                };
                let fault = proof().and_then(|proof| self.fault(&proof));
                if let Some(note) = fault {
                    self.losses.push(at.clone(), "tool_calls", note);
                    self.edits.remove_field(extra);
                }
            }
        }
    }
}

/// What is told when thinking is turned off.
pub(crate) const THINKING_OFF: &str =
    "thinking is off for this request: the tool calls before it have lost their thoughts";

fn elements<'a>(fields: &Fields<'a>, key: &str) -> Vec<Node<'a>> {
    fields
        .get(key)
        .and_then(|list| list.elements().ok())
        .unwrap_or_default()
}

fn word(fields: &Fields<'_>, key: &str) -> Option<String> {
    fields.get(key)?.text().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `input` with single quotes; `lg1.x` is a token, `S` a proof of the target's own, `T` one of a stranger's.
    fn check(dialect: DialectId, state: State, input: &str, expect: &str, losses: &[&str]) {
        let quirks = Quirks {
            thought_signatures: true,
            thinking: Thinking::Budget,
            ..Quirks::default()
        };
        let body = input.replace('\'', "\"");
        let scrub = Scrub {
            dialect,
            quirks: &quirks,
            state,
            strange: Some(&|proof| proof == "T"),
        };
        let scrubbed = Vault::scrub(body.as_bytes(), &scrub);
        let (out, told) = scrubbed.map_or_else(
            || (body.clone(), Vec::new()),
            |scrubbed| {
                let told = scrubbed.losses.paths(dialect.dialect());
                (String::from_utf8(scrubbed.body).unwrap(), told)
            },
        );
        assert_eq!(out, expect.replace('\'', "\""), "{input}");
        assert_eq!(told, losses, "{input}");
        assert!(Node::parse(out.as_bytes()).is_ok(), "{out}");
    }

    #[test]
    fn blocks_of_messages() {
        let carried = |input, expect, losses: &[&str]| {
            check(DialectId::Messages, State::Carried, input, expect, losses);
        };
        carried("{'messages':[]}", "{'messages':[]}", &[]);
        let own = "{'messages':[{'role':'assistant','content':[ {'type':'thinking','thinking':'lg1.','signature':'S'} ]}]}";
        carried(own, own, &[]);
        carried(
            "{'messages':[{'role':'assistant','content':[ {'type':'thinking','thinking':'x','signature':'lg1.x'} , {'type':'text','text':'a'} ]}], 'x': 1.0}",
            "{'messages':[{'role':'assistant','content':[ {'type':'text','text':'a'} ]}], 'x': 1.0}",
            &["messages.0.content.0"],
        );
        carried(
            "{'messages':[{'content':[{'type':'text','text':'a'},{'type':'redacted_thinking','data':'lg1.x'},{'type':'thinking','thinking':'','signature':'T'} ],'role':'assistant'}]}",
            "{'messages':[{'content':[{'type':'text','text':'a'} ],'role':'assistant'}]}",
            &["messages.0.content.1", "messages.0.content.2"],
        );
        carried(
            "{'messages':[{'role':'user','content':'a'}, {'role':'assistant','content':[{'type':'thinking','thinking':'','signature':'lg1.x'}]}, {'role':'user','content':'b'}]}",
            "{'messages':[{'role':'user','content':'a'}, {'role':'user','content':'b'}]}",
            &["messages.1.content.0"],
        );
        check(
            DialectId::Messages,
            State::Dropped,
            own,
            "{'messages':[]}",
            &["messages.0.content.0"],
        );
    }

    #[test]
    fn thinking_is_off_when_a_tool_loop_has_lost_its_thought() {
        let carried = |input: &str, expect: &str, losses: &[&str]| {
            check(DialectId::Messages, State::Carried, input, expect, losses);
        };
        let body = |thinking: &str, blocks: &str| {
            format!(
                "{{'thinking':{thinking},'messages':[{{'role':'assistant','content':[{blocks}{{'type':'tool_use'}}]}},{{'role':'user','content':[]}}]}}"
            )
        };
        let lost = "{'type':'thinking','thinking':'','signature':'lg1.x'},";
        let enabled = "{'type':'enabled','budget_tokens':2000}";
        carried(
            &body(enabled, lost),
            &body("{'type':'disabled'}", ""),
            &["messages.0.content.0", "thinking"],
        );
        let kept = "{'type':'thinking','thinking':'','signature':'S'},";
        carried(&body(enabled, kept), &body(enabled, kept), &[]);
        carried(
            &body("{'type':'adaptive'}", lost),
            &body("{'type':'adaptive'}", ""),
            &["messages.0.content.0"],
        );
    }

    #[test]
    fn items_of_responses() {
        let body = "{'input':[{'type':'message','role':'user','content':'a'},{'type':'reasoning','id':'rs_1','summary':[],'encrypted_content':'lg1.x'},{'type':'function_call','id':'fc_1','call_id':'c'}]}";
        check(
            DialectId::Responses,
            State::Carried,
            body,
            "{'input':[{'type':'message','role':'user','content':'a'},{'type':'function_call','id':'fc_1','call_id':'c'}]}",
            &["input.1"],
        );
        check(
            DialectId::Responses,
            State::Dropped,
            &body.replace("lg1.x", "S"),
            "{'input':[{'type':'message','role':'user','content':'a'},{'type':'function_call','call_id':'c'}]}",
            &["input.1"],
        );
        let text = "{'input':'lg1.x'}";
        check(DialectId::Responses, State::Dropped, text, text, &[]);
    }

    #[test]
    fn parts_of_gemini() {
        let carried = |input, expect, losses: &[&str]| {
            check(DialectId::Gemini, State::Carried, input, expect, losses);
        };
        carried(
            "{'contents':[{'role':'model','parts':[{'functionCall':{},'thoughtSignature':'bGd2MS54AA'},{'functionCall':{},'thought_signature':'T'}]}]}",
            "{'contents':[{'role':'model','parts':[{'functionCall':{},'thoughtSignature':'skip_thought_signature_validator'},{'functionCall':{}}]}]}",
            &[
                "contents.0.parts.0.thoughtSignature",
                "contents.0.parts.1.thoughtSignature",
            ],
        );
        carried(
            "{'contents':{'parts':[{'text':'a'},{'text':'','thoughtSignature':'bGd2MS54AA'}]}}",
            "{'contents':{'parts':[{'text':'a'}]}}",
            &["contents.0.parts.1.thoughtSignature"],
        );
        carried(
            "{'contents':[{'parts':[{'thoughtSignature':'T', 'text':'a'}]}]}",
            "{'contents':[{'parts':[{'text':'a'}]}]}",
            &["contents.0.parts.0.thoughtSignature"],
        );
        carried(
            "{'generateContentRequest':{'contents':[{'parts':[{'text':'a','thoughtSignature':'T'}]}]}}",
            "{'generateContentRequest':{'contents':[{'parts':[{'text':'a'}]}]}}",
            &["contents.0.parts.0.thoughtSignature"],
        );
        let sentinel = "{'contents':[{'parts':[{'functionCall':{},'thoughtSignature':'skip_thought_signature_validator'}]}]}";
        carried(sentinel, sentinel, &[]);
        check(DialectId::Gemini, State::Dropped, sentinel, sentinel, &[]);
        check(
            DialectId::Gemini,
            State::Dropped,
            "{'contents':[{'parts':[{'functionCall':{}},{'functionCall':{}}]}]}",
            "{'contents':[{'parts':[{'thoughtSignature':'skip_thought_signature_validator','functionCall':{}},{'functionCall':{}}]}]}",
            &["contents.0.parts.0.thoughtSignature"],
        );
    }

    #[test]
    fn messages_of_chat() {
        check(
            DialectId::Chat,
            State::Carried,
            "{'messages':[{'role':'assistant','reasoning_details':[{'data':'lg1.x'}],'tool_calls':[{'id':'a', 'extra_content': {'google':{'thought_signature':'bGd2MS54AA'}} }]}]}",
            "{'messages':[{'role':'assistant','tool_calls':[{'id':'a' }]}]}",
            &["messages.0.reasoning_details", "messages.0.tool_calls"],
        );
        check(
            DialectId::Chat,
            State::Carried,
            "{'messages':[{'reasoning_details':[{'data':'S'},{'data':'lg1.x'},{'data':'T'},{'text':'y'}]}]}",
            "{'messages':[{'reasoning_details':[{'data':'S'},{'text':'y'}]}]}",
            &["messages.0.reasoning_details"],
        );
        let blank = "{'messages':[{'reasoning_content':'I thought.','content':'lg1.'}]}";
        check(DialectId::Chat, State::Dropped, blank, blank, &[]);
        check(DialectId::Chat, State::Demanded, blank, blank, &[]);
        check(
            DialectId::Chat,
            State::Demanded,
            "{'messages':[{'role':'assistant','tool_calls':[{}]},{'reasoning_content':null,'tool_calls':[{}]},{'reasoning_content':'x','tool_calls':[{}]}]}",
            "{'messages':[{'reasoning_content':' ','role':'assistant','tool_calls':[{}]},{'reasoning_content':' ','tool_calls':[{}]},{'reasoning_content':'x','tool_calls':[{}]}]}",
            &[
                "messages.0.reasoning_content",
                "messages.1.reasoning_content",
            ],
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_left_is_what_was_not_taken_out(
            turns in proptest::collection::vec(
                proptest::collection::vec((0..4_u8, " {0,2}", " {0,2}"), 0..6),
                0..5,
            ),
        ) {
            let block = |kind: u8| match kind {
                0 => r#"{"type":"thinking","thinking":"x","signature":"lg1.x"}"#,
                1 => r#"{"data":"lg1.y" , "type":"redacted_thinking"}"#,
                2 => r#"{"type":"thinking","thinking":"lg1.","signature":"S"}"#,
                _ => r#"{"type":"text","text":"a, \"b\"]"}"#,
            };
            let write = |keep: &dyn Fn(u8) -> bool| {
                let mut messages = Vec::new();
                for turn in &turns {
                    let kept = turn.iter().filter(|(kind, ..)| keep(*kind));
                    let blocks: Vec<String> = kept
                        .map(|(kind, before, after)| format!("{before}{}{after}", block(*kind)))
                        .collect();
                    if !blocks.is_empty() || turn.is_empty() {
                        let content = blocks.join(",");
                        messages.push(format!(r#"{{"role":"assistant","content":[{content}]}}"#));
                    }
                }
                format!(r#"{{"n":1.0,"messages":[{}], "x":[]}}"#, messages.join(" , "))
            };
            let quirks = Quirks::default();
            let scrub = Scrub {
                dialect: DialectId::Messages,
                quirks: &quirks,
                state: State::Carried,
                strange: None,
            };
            let body = write(&|_| true);
            let scrubbed = Vault::scrub(body.as_bytes(), &scrub);
            let out = scrubbed.map_or(body.clone(), |scrubbed| String::from_utf8(scrubbed.body).unwrap());
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            proptest::prop_assert_eq!(value(&out), value(&write(&|kind| kind > 1)), "{}", body);
            let begins = out.starts_with(r#"{"n":1.0,"#);
            proptest::prop_assert!(begins);
        }
    }
}
