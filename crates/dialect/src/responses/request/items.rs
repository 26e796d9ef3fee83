//! Reading `input`: items become turns. What an assistant said and called without a break is one turn, and so are the results.

use crate::chat::TOOL_ERROR;
use crate::hub::{Extra, Part, PartBody, Role, Thought, ToolCall, ToolResult, Turn};
use crate::json::{Fields, Node, compact};
use crate::{At, DialectId, Malformed, json};

use super::content::{self, keep};
use super::names::Names;
use super::tools::opaque;
use super::{MESSAGE, WHOLE};

/// Fields of items that say nothing to another dialect.
const PRIVATE: [&str; 6] = ["id", "status", "phase", "namespace", "caller", "created_by"];

#[derive(Debug)]
pub(super) struct Conversation<'n> {
    pub(super) system: Vec<Part>,
    pub(super) turns: Vec<Turn>,
    names: &'n Names,
}

impl<'n> Conversation<'n> {
    pub(super) fn new(names: &'n Names) -> Self {
        Self {
            system: Vec::new(),
            turns: Vec::new(),
            names,
        }
    }

    pub(super) fn read(&mut self, input: Node<'_>) -> Result<(), Malformed> {
        if let Some(text) = input.text() {
            let part = Part::text(text, At::Field("input".to_owned()));
            self.turn(Role::User, vec![part]);
            return Ok(());
        }
        if !input.is_array() {
            return Err(Malformed::new(
                "",
                format!(
                    "expected a string or an array of items, got {}",
                    input.kind()
                ),
            ));
        }
        for (index, item) in (0_u32..).zip(input.elements()?) {
            self.item(item, index)
                .map_err(|fault| fault.inside(index))?;
        }
        Ok(())
    }

    fn item(&mut self, node: Node<'_>, item: u32) -> Result<(), Malformed> {
        let mut fields = node.fields()?;
        let kind = fields.read("type", Node::string)?;
        let at = At::Turn { turn: item };
        match kind.as_deref() {
            Some("message") => self.message(fields, item),
            None if fields.get("role").is_some() => self.message(fields, item),
            Some("reasoning") => {
                self.say(Part::new(reasoning(&fields, node), at));
                Ok(())
            }
            Some("function_call") => {
                let call = self.call(&mut fields, "arguments", false)?;
                self.say(with_rest(PartBody::ToolCall(call), at, &fields));
                Ok(())
            }
            Some("custom_tool_call") => {
                let call = self.call(&mut fields, "input", true)?;
                self.say(with_rest(PartBody::ToolCall(call), at, &fields));
                Ok(())
            }
            Some(kind @ ("function_call_output" | "custom_tool_call_output")) => {
                let result = result(&mut fields, item)?;
                let mut part = with_rest(PartBody::ToolResult(result), at, &fields);
                if let Some(word) = json::raw(format!("\"{kind}\"")) {
                    part.extra.push_private(DialectId::Responses, "type", word);
                }
                self.answer(part);
                Ok(())
            }
            Some(kind @ ("local_shell_call" | "shell_call" | "apply_patch_call")) => {
                let call = self.typed_call(&mut fields, kind)?;
                self.say(whole(PartBody::ToolCall(call), at, node));
                Ok(())
            }
            Some(
                kind
                @ ("local_shell_call_output" | "shell_call_output" | "apply_patch_call_output"),
            ) => {
                let result = typed_result(&mut fields, kind, item)?;
                self.answer(whole(PartBody::ToolResult(result), at, node));
                Ok(())
            }
            None if fields.get("id").is_some() => {
                self.keep(node, super::REFERENCE, at);
                Ok(())
            }
            Some(kind) => {
                self.keep(node, kind, at);
                Ok(())
            }
            None => Err(Malformed::new("type", "is required")),
        }
    }

    fn turn(&mut self, role: Role, parts: Vec<Part>) {
        self.turns.push(Turn {
            role,
            parts,
            extra: Extra::default(),
        });
    }

    /// A part of what the assistant said.
    fn say(&mut self, part: Part) {
        match self.turns.last_mut() {
            Some(last) if last.role == Role::Assistant => last.parts.push(part),
            _ => self.turn(Role::Assistant, vec![part]),
        }
    }

    /// A result of a tool, beside those before it.
    fn answer(&mut self, part: Part) {
        let is_result = |part: &Part| matches!(part.body, PartBody::ToolResult(_));
        match self.turns.last_mut() {
            Some(last) if last.role == Role::User && last.parts.iter().all(is_result) => {
                last.parts.push(part);
            }
            _ => self.turn(Role::User, vec![part]),
        }
    }

    /// An item that this dialect alone knows, where it stood.
    fn keep(&mut self, node: Node<'_>, kind: &str, at: At) {
        let part = Part::new(PartBody::Opaque(opaque(node, kind)), at);
        if kind.ends_with("_output") || kind.ends_with("_response") {
            self.answer(part);
        } else if kind.ends_with("_call") {
            self.say(part);
        } else {
            match self.turns.last_mut() {
                Some(last) => last.parts.push(part),
                None => self.turn(Role::User, vec![part]),
            }
        }
    }

    fn message(&mut self, mut fields: Fields<'_>, item: u32) -> Result<(), Malformed> {
        let word = fields.require("role", Ok)?;
        let role = match &*word.string().map_err(|fault| fault.inside("role"))? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" | "developer" => Role::System,
            other => {
                return Err(Malformed::new(
                    "role",
                    format!("expected user, assistant, system or developer, got '{other}'"),
                ));
            }
        };
        let parts = fields.read("content", |content| {
            content::read(content, |part| At::Part { turn: item, part })
        })?;
        let mut parts = parts.unwrap_or_default();
        if role == Role::System
            && let Some(index) = parts
                .iter()
                .position(|part| !matches!(part.body, PartBody::Text(_) | PartBody::Opaque(_)))
        {
            return Err(Malformed::new(
                format!("content.{index}"),
                "instructions hold text only",
            ));
        }
        if let Some(first) = parts.first_mut() {
            keep(&mut first.extra, "", &fields, &PRIVATE);
            if let Some(beside) = beside(&fields) {
                first
                    .extra
                    .push_private(DialectId::Responses, MESSAGE, beside);
            }
        }
        if role == Role::System {
            for part in &mut parts {
                let source = word.to_raw();
                part.extra
                    .push_private(DialectId::Responses, "role", source);
            }
        }
        match role {
            Role::System if self.turns.is_empty() => self.system.append(&mut parts),
            Role::Assistant => parts.into_iter().for_each(|part| self.say(part)),
            Role::User | Role::System => self.turn(role, parts),
        }
        Ok(())
    }

    fn call(
        &self,
        fields: &mut Fields<'_>,
        input: &str,
        custom: bool,
    ) -> Result<ToolCall, Malformed> {
        let space = fields.get("namespace").and_then(Node::text);
        let name = fields.require("name", Node::string)?;
        let arguments = fields.read(input, |node| {
            if node.is_object() {
                Ok(compact(node.raw()))
            } else {
                node.string()
            }
        })?;
        Ok(ToolCall {
            id: call_id(fields)?,
            name: self.names.of(space.as_deref(), &name),
            arguments: arguments.unwrap_or_default(),
            custom,
            proof: None,
        })
    }

    /// A call of a tool that has a type instead of a name, as one of the function that it is elsewhere.
    fn typed_call(&self, fields: &mut Fields<'_>, kind: &str) -> Result<ToolCall, Malformed> {
        let id = call_id(fields)?;
        let name = self.names.of_type(kind.trim_end_matches("_call"));
        let arguments = match kind {
            "local_shell_call" => fields.require("action", local_shell_arguments)?,
            "shell_call" => fields.require("action", |action| Ok(compact(action.raw())))?,
            _ => fields.require("operation", |operation| Ok(compact(operation.raw())))?,
        };
        Ok(ToolCall {
            id,
            name,
            arguments,
            custom: false,
            proof: None,
        })
    }
}

/// The id that pairs a call with its result; very old clients have only that of the item.
fn call_id(fields: &mut Fields<'_>) -> Result<String, Malformed> {
    match fields.read("call_id", Node::string)? {
        Some(id) => Ok(id),
        None => match fields.get("id") {
            Some(id) => id.string().map_err(|fault| fault.inside("id")),
            None => Err(Malformed::new("call_id", "is required")),
        },
    }
}

/// What a message has beside its content, as an object.
fn beside(fields: &Fields<'_>) -> Option<Box<serde_json::value::RawValue>> {
    let mut text = Vec::new();
    let mut object = json::Object::new(&mut text);
    for (key, node) in fields.iter().filter(|(_, node)| !node.is_null()) {
        object.value(key).extend_from_slice(node.raw().as_bytes());
    }
    drop(object);
    let any = text.len() > 2;
    json::raw(String::from_utf8(text).ok()?).filter(|_| any)
}

fn with_rest(body: PartBody, at: At, fields: &Fields<'_>) -> Part {
    let mut part = Part::new(body, at);
    keep(&mut part.extra, "", fields, &PRIVATE);
    part
}

fn whole(body: PartBody, at: At, node: Node<'_>) -> Part {
    let mut part = Part::new(body, at);
    part.extra
        .push_private(DialectId::Responses, WHOLE, node.to_raw());
    part
}

fn reasoning(fields: &Fields<'_>, node: Node<'_>) -> PartBody {
    let texts = |key: &str| {
        let pieces = fields.get(key).and_then(|list| list.elements().ok());
        let pieces = pieces.unwrap_or_default().into_iter();
        let pieces = pieces.filter_map(|piece| piece.fields().ok()?.get("text")?.text());
        pieces.collect::<Vec<_>>().join("\n\n")
    };
    let summary = texts("summary");
    PartBody::Reasoning(Thought {
        text: if summary.is_empty() {
            texts("content")
        } else {
            summary
        },
        proof: Some(opaque(node, "reasoning")),
        redacted: false,
    })
}

fn result(fields: &mut Fields<'_>, item: u32) -> Result<ToolResult, Malformed> {
    let call = call_id(fields)?;
    let name = fields.read("name", Node::string)?;
    let output = fields.read("output", |output| {
        if output.is_string() || output.is_array() {
            return content::read(output, |inner| At::ResultPart {
                turn: item,
                part: 0,
                inner,
            });
        }
        // No output of OpenAI's own, but what some clients send.
        Ok(vec![Part::text(
            compact(output.raw()),
            At::Turn { turn: item },
        )])
    })?;
    let mut parts = output.unwrap_or_default();
    let mut is_error = false;
    if let Some(PartBody::Text(first)) = parts.first_mut().map(|part| &mut part.body)
        && let Some(text) = first.text.strip_prefix(TOOL_ERROR)
    {
        is_error = true;
        first.text = text.to_owned();
    }
    Ok(ToolResult {
        call,
        name,
        parts,
        is_error,
    })
}

/// The output of a shell or of a patch: its text, or what the shell tells of each command as JSON.
fn typed_result(fields: &mut Fields<'_>, kind: &str, item: u32) -> Result<ToolResult, Malformed> {
    let call = call_id(fields)?;
    let at = At::Turn { turn: item };
    let output = fields.take("output").map(|output| match output.text() {
        Some(text) => text.into_owned(),
        None => compact(output.raw()),
    });
    let status = fields.take("status").and_then(Node::text);
    let failed = kind == "apply_patch_call_output" && status.as_deref() == Some("failed");
    let text = output
        .filter(|text| !text.is_empty())
        .or_else(|| status.map(std::borrow::Cow::into_owned));
    Ok(ToolResult {
        call,
        name: None,
        parts: text.map(|text| Part::text(text, at)).into_iter().collect(),
        is_error: failed,
    })
}

/// The item's `action` in the names of the function that stands for the tool.
fn local_shell_arguments(action: Node<'_>) -> Result<String, Malformed> {
    let mut text = Vec::new();
    let mut object = json::Object::new(&mut text);
    for (key, node) in action.fields()?.iter().filter(|(_, node)| !node.is_null()) {
        let empty = node.fields().is_ok_and(|fields| fields.is_empty());
        let key = match key {
            "type" => continue,
            "env" if empty => continue,
            "working_directory" => "workdir",
            key => key,
        };
        let value = compact(node.raw());
        object.value(key).extend_from_slice(value.as_bytes());
    }
    drop(object);
    String::from_utf8(text).map_err(|_| Malformed::new("", "is not readable"))
}
