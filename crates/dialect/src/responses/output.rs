//! Items of an answer, written: what whole answers and streams have in common.

use serde_json::value::RawValue;

use super::{Echo, Form};
use crate::hub::{Media, MediaKind, Opaque, Source, TokenLogprob};
use crate::json::{Array, Node, Object, compact};
use crate::{DialectId, Mint, media, names};

/// The field of a message that tells commentary from the answer.
pub(super) const PHASE: &str = "phase";

/// A call of one of the client's tools, in the form that the client knows it by.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Of the item.
    pub(super) id: String,
    /// The id that the result names.
    answers_to: String,
    name: String,
    namespace: Option<String>,
    kind: CallKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallKind {
    Function,
    /// Free text.
    Custom,
    LocalShell,
    Shell,
    ApplyPatch,
}

/// Where the text of a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spoken {
    /// `response.<stem>.delta`, `response.<stem>.done`.
    pub(super) stem: &'static str,
    /// The field of the item and of the last event.
    pub(super) field: &'static str,
}

impl Call {
    /// `ordinal` counts items.
    pub(super) fn new(
        call_id: &str,
        name: &str,
        custom: bool,
        echo: Option<&Echo>,
        (mint, ordinal): (&Mint, u32),
    ) -> Self {
        let form = echo.and_then(|echo| echo.form(name));
        let (kind, namespace, name) = match form {
            None => {
                let kind = if custom {
                    CallKind::Custom
                } else {
                    CallKind::Function
                };
                match names::of_space(name) {
                    Some((space, name)) => (kind, Some(space.to_owned()), name),
                    None => (kind, None, name),
                }
            }
            Some(Form::Namespaced { namespace, name }) => {
                (CallKind::Function, Some(namespace.clone()), name.as_str())
            }
            Some(Form::Custom { namespace, name }) => {
                (CallKind::Custom, namespace.clone(), name.as_str())
            }
            Some(Form::LocalShell) => (CallKind::LocalShell, None, name),
            Some(Form::Shell) => (CallKind::Shell, None, name),
            Some(Form::ApplyPatch) => (CallKind::ApplyPatch, None, name),
        };
        let prefix = match kind {
            CallKind::Function => "fc_",
            CallKind::Custom => "ctc_",
            CallKind::LocalShell => "lsh_",
            CallKind::Shell => "sh_",
            CallKind::ApplyPatch => "apc_",
        };
        let call_id = if call_id.is_empty() {
            mint.id("call_", ordinal)
        } else {
            call_id.to_owned()
        };
        Self {
            id: mint.id(prefix, ordinal),
            answers_to: call_id,
            name: name.to_owned(),
            namespace,
            kind,
        }
    }

    /// The call's text streams as it comes; otherwise it has to be there as a whole before it can be told.
    pub(super) fn streams(&self) -> bool {
        matches!(self.kind, CallKind::Function | CallKind::Custom)
    }

    /// `None`: the item arrives whole.
    pub(super) fn spoken(&self) -> Option<Spoken> {
        match self.kind {
            CallKind::Function => Some(Spoken {
                stem: "function_call_arguments",
                field: "arguments",
            }),
            CallKind::Custom => Some(Spoken {
                stem: "custom_tool_call_input",
                field: "input",
            }),
            CallKind::LocalShell | CallKind::Shell | CallKind::ApplyPatch => None,
        }
    }

    /// The text as the item holds it: no arguments are an empty object.
    pub(super) fn text(&self, arguments: &str) -> String {
        match self.kind {
            CallKind::Custom => arguments.to_owned(),
            CallKind::Function | CallKind::LocalShell | CallKind::Shell | CallKind::ApplyPatch => {
                if arguments.trim().is_empty() {
                    "{}".to_owned()
                } else {
                    arguments.to_owned()
                }
            }
        }
    }

    /// Whether `arguments` are all there, as far as they tell.
    pub(super) fn is_whole(&self, arguments: &str) -> bool {
        match self.kind {
            CallKind::Custom => false,
            CallKind::Function | CallKind::LocalShell | CallKind::Shell | CallKind::ApplyPatch => {
                arguments.trim().is_empty()
                    || Node::parse(arguments.as_bytes()).is_ok_and(Node::is_object)
            }
        }
    }

    /// Writes the item; `text` as [`Self::text`] gives it.
    pub(super) fn write(&self, item: &mut Object<'_>, text: &str, status: &str) {
        item.string("id", &self.id);
        match self.kind {
            CallKind::Function => {
                item.string("type", "function_call");
                item.string("status", status);
                item.string("arguments", text);
                item.string("call_id", &self.answers_to);
                item.string("name", &self.name);
                item.some_string("namespace", self.namespace.as_deref());
            }
            CallKind::Custom => {
                item.string("type", "custom_tool_call");
                item.string("status", status);
                item.string("call_id", &self.answers_to);
                item.string("input", text);
                item.string("name", &self.name);
                item.some_string("namespace", self.namespace.as_deref());
            }
            CallKind::LocalShell => {
                item.string("type", "local_shell_call");
                item.string("status", status);
                item.string("call_id", &self.answers_to);
                write_exec(item.object("action"), text);
            }
            CallKind::Shell => {
                item.string("type", "shell_call");
                item.string("status", status);
                item.string("call_id", &self.answers_to);
                write_commands(item.object("action"), text);
                item.null("environment");
            }
            CallKind::ApplyPatch => {
                item.string("type", "apply_patch_call");
                item.string("status", status);
                item.string("call_id", &self.answers_to);
                item.value("operation")
                    .extend_from_slice(inner(text, "operation").as_bytes());
            }
        }
    }
}

/// The object that `key` holds, or the whole object where it was not wrapped; what is no object becomes an empty one.
fn inner(arguments: &str, key: &str) -> String {
    let read = || {
        let node = Node::parse(arguments.as_bytes()).ok()?;
        let fields = node.fields().ok()?;
        let node = fields
            .get(key)
            .filter(|inner| inner.is_object())
            .unwrap_or(node);
        Some(compact(node.raw()))
    };
    read().unwrap_or_else(|| "{}".to_owned())
}

fn write_exec(mut action: Object<'_>, arguments: &str) {
    let own = inner(arguments, "action");
    let fields = Node::parse(own.as_bytes()).and_then(Node::fields);
    let fields = fields.unwrap_or_default();
    action.string("type", "exec");
    write_words(action.array("command"), fields.get("command"));
    match fields.get("env").filter(|env| env.is_object()) {
        Some(env) => action.value("env").extend_from_slice(env.raw().as_bytes()),
        None => drop(action.object("env")),
    }
    for (key, node) in fields.iter() {
        // The function that stands for the tool has a shorter word.
        let key = if key == "workdir" {
            "working_directory"
        } else {
            key
        };
        if !matches!(key, "type" | "command" | "env") {
            action.value(key).extend_from_slice(node.raw().as_bytes());
        }
    }
}

fn write_commands(mut action: Object<'_>, arguments: &str) {
    let own = inner(arguments, "action");
    let fields = Node::parse(own.as_bytes()).and_then(Node::fields);
    let fields = fields.unwrap_or_default();
    let commands = fields.get("commands").or_else(|| fields.get("command"));
    write_words(action.array("commands"), commands);
    for (key, node) in fields.iter() {
        if !matches!(key, "commands" | "command") {
            action.value(key).extend_from_slice(node.raw().as_bytes());
        }
    }
}

/// A list of texts; a model that gives a single text means a list of one.
fn write_words(mut list: Array<'_>, words: Option<Node<'_>>) {
    for word in words
        .and_then(|words| words.one_or_many().ok())
        .unwrap_or_default()
    {
        match word.text() {
            Some(word) => list.string(&word),
            None => list.string(word.raw()),
        }
    }
}

/// A part of a message: its text with what was said about it.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) said: String,
    /// Written annotations, joined by commas.
    pub(super) annotations: Vec<u8>,
    pub(super) logprobs: Vec<TokenLogprob>,
}

impl Text {
    pub(super) fn write(&self, mut part: Object<'_>) {
        part.string("type", "output_text");
        write_list(part.value("annotations"), &self.annotations);
        write_logprobs(part.array("logprobs"), &self.logprobs);
        part.string("text", &self.said);
    }
}

/// Writes what is joined by commas already.
pub(super) fn write_list(out: &mut Vec<u8>, elements: &[u8]) {
    out.push(b'[');
    out.extend_from_slice(elements);
    out.push(b']');
}

pub(super) fn write_refusal(mut part: Object<'_>, text: &str) {
    part.string("type", "refusal");
    part.string("refusal", text);
}

pub(super) fn write_logprobs(mut list: Array<'_>, tokens: &[TokenLogprob]) {
    for token in tokens {
        let mut entry = list.object();
        write_scored(
            &mut entry,
            &token.token,
            token.logprob,
            token.bytes.as_deref(),
        );
        let mut top = entry.array("top_logprobs");
        for other in &token.top {
            let mut entry = top.object();
            write_scored(
                &mut entry,
                &other.token,
                other.logprob,
                other.bytes.as_deref(),
            );
        }
    }
}

fn write_scored(entry: &mut Object<'_>, token: &str, logprob: f64, bytes: Option<&[u8]>) {
    entry.string("token", token);
    entry.f64("logprob", logprob);
    let mut list = entry.array("bytes");
    for byte in bytes.unwrap_or(token.as_bytes()) {
        list.u64(u64::from(*byte));
    }
}

/// The head of a message item; the caller writes its `content`.
pub(super) fn write_message(
    item: &mut Object<'_>,
    id: &str,
    status: &str,
    phase: Option<&RawValue>,
) {
    item.string("id", id);
    item.string("type", "message");
    item.string("status", status);
    item.string("role", "assistant");
    if let Some(phase) = phase {
        item.raw(PHASE, phase);
    }
}

/// A reasoning item of another vendor's model, or one that is still being told.
pub(super) fn write_reasoning(item: &mut Object<'_>, id: &str, text: &str) {
    item.string("id", id);
    item.string("type", "reasoning");
    let mut summary = item.array("summary");
    if !text.is_empty() {
        let mut part = summary.object();
        part.string("type", "summary_text");
        part.string("text", text);
    }
}

/// The item that a proof of this dialect is, as its model wrote it.
pub(super) fn own(proof: Option<&Opaque>) -> Option<&RawValue> {
    proof
        .filter(|proof| proof.of == DialectId::Responses && proof.json.get().starts_with('{'))
        .map(|proof| &*proof.json)
}

/// Writes an item as its model wrote it, byte by byte; one without an id is given one.
pub(super) fn write_own(out: &mut Vec<u8>, json: &RawValue, id: &str) {
    let fields = Node::from(json).fields().unwrap_or_default();
    if fields.get("id").is_some() {
        out.extend_from_slice(json.get().as_bytes());
    } else {
        write_with_id(Object::new(out), json, id);
    }
}

/// Writes an item under another id.
pub(super) fn write_with_id(mut item: Object<'_>, json: &RawValue, id: &str) {
    item.string("id", id);
    for (key, node) in Node::from(json).fields().unwrap_or_default().iter() {
        if key != "id" {
            item.value(key)
                .extend_from_slice(compact(node.raw()).as_bytes());
        }
    }
}

/// Whether a picture can be said: as the fruit of a call, in bytes.
pub(super) fn is_picture(media: &Media) -> bool {
    media.kind == MediaKind::Image && matches!(media.source, Source::Base64(_))
}

/// A picture that the model made; nothing for what is none.
pub(super) fn write_picture(item: &mut Object<'_>, id: &str, media: &Media) {
    item.string("id", id);
    item.string("type", "image_generation_call");
    item.string("status", "completed");
    if let Source::Base64(data) = &media.source {
        let mime = media.mime.as_deref().or_else(|| media::sniff(data));
        let format = mime.and_then(|mime| mime.strip_prefix("image/"));
        item.some_string("output_format", format);
        item.string("result", data);
    }
}
