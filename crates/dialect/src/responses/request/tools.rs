//! Reading tools and the choice among them.

use crate::hub::{CustomFormat, Extra, Opaque, Request, Tool, ToolBody, ToolChoice, WebSearch};
use crate::json::{self, Fields, Node, Object};
use crate::responses::{CallForm, Form};
use crate::{At, DialectId, Malformed};

use super::content::keep;
use super::names::{Names, form_of_type};
use super::{ELSEWHERE, WHOLE};

/// The parameters of the tools that clients run and OpenAI knows by a type: those of their calls.
const LOCAL_SHELL: (&str, &str) = (
    "Runs a command on the user's machine and returns what it prints.",
    r#"{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"},"description":"The program and its arguments."},"workdir":{"type":"string","description":"The folder to run it in."},"timeout_ms":{"type":"integer","description":"Milliseconds after which it is stopped."}},"required":["command"]}"#,
);
const SHELL: (&str, &str) = (
    "Runs shell commands, one after the other, and returns what each prints and how it ended.",
    r#"{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"},"description":"The commands to run."},"timeout_ms":{"type":"integer","description":"Milliseconds after which a command is stopped."},"max_output_length":{"type":"integer","description":"The most characters of output to return."}},"required":["commands"]}"#,
);
const APPLY_PATCH: (&str, &str) = (
    "Creates, changes or deletes one file.",
    r#"{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},"path":{"type":"string","description":"The file, relative to the workspace."},"diff":{"type":"string","description":"For create_file, every line of the new file with `+` in front; for update_file, hunks that begin with `@@`, their lines beginning with a space, `-` or `+`. Not for delete_file."}},"required":["type","path"]}"#,
);

/// Where a list of tools stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Top,
    /// In an item of the conversation.
    Item(u32),
}

/// What reading tools adds to.
pub(super) struct Found<'a> {
    pub(super) tools: &'a mut Vec<Tool>,
    pub(super) calls: &'a mut Vec<CallForm>,
    pub(super) names: &'a mut Names,
}

impl Found<'_> {
    pub(super) fn read(&mut self, list: Node<'_>, place: Place) -> Result<(), Malformed> {
        for (index, node) in (0_u32..).zip(list.elements()?) {
            let at = match place {
                Place::Top => At::Tool { tool: index },
                Place::Item(item) => At::Field(format!("input.{item}.tools.{index}")),
            };
            let first = self.tools.len();
            self.tool(node, &at).map_err(|fault| fault.inside(index))?;
            let added = self.tools.get_mut(first..).unwrap_or_default();
            for (ordinal, tool) in added.iter_mut().enumerate() {
                // One declaration may hold several tools; the first of them carries it.
                let (key, source) = match place {
                    Place::Top if ordinal == 0 => (WHOLE, node.to_raw()),
                    Place::Top | Place::Item(_) => {
                        (ELSEWHERE, serde_json::value::RawValue::TRUE.to_owned())
                    }
                };
                tool.extra.push_private(DialectId::Responses, key, source);
            }
        }
        Ok(())
    }

    fn push(&mut self, body: ToolBody, at: &At, extra: Extra) {
        self.tools.push(Tool {
            body,
            cache: None,
            at: at.clone(),
            extra,
        });
    }

    fn call(&mut self, name: &str, form: Form) {
        self.calls.push(CallForm {
            name: name.to_owned(),
            form,
        });
    }

    fn tool(&mut self, node: Node<'_>, at: &At) -> Result<(), Malformed> {
        let mut fields = node.fields()?;
        let kind = fields.read("type", Node::string)?;
        let kind = kind.as_deref().unwrap_or("function");
        match kind {
            "namespace" => self.namespace(&mut fields, at),
            // The form of Chat, which some clients send all the same.
            "function" if fields.get("function").is_some_and(Node::is_object) => fields
                .require("function", |inner| {
                    self.callable(&mut inner.fields()?, kind, None, at)
                }),
            "custom" if fields.get("custom").is_some_and(Node::is_object) => fields
                .require("custom", |inner| {
                    self.callable(&mut inner.fields()?, kind, None, at)
                }),
            "function" | "custom" => self.callable(&mut fields, kind, None, at),
            "local_shell" | "shell" | "apply_patch" => {
                self.typed(&fields, kind, at);
                Ok(())
            }
            "code_interpreter" => {
                let mut extra = Extra::default();
                let container = fields.take("container").filter(|node| !is_plain(*node));
                if let Some(container) = container {
                    extra.push(DialectId::Responses, "container", container.to_raw());
                }
                keep(&mut extra, "", &fields, &[]);
                self.push(ToolBody::CodeExecution, at, extra);
                Ok(())
            }
            kind if kind.starts_with("web_search") => {
                let search = web_search(&mut fields, node, kind)?;
                let mut extra = Extra::default();
                keep(&mut extra, "", &fields, &[]);
                self.push(ToolBody::WebSearch(search), at, extra);
                Ok(())
            }
            kind => {
                self.push(ToolBody::Opaque(opaque(node, kind)), at, Extra::default());
                Ok(())
            }
        }
    }

    fn namespace(&mut self, fields: &mut Fields<'_>, at: &At) -> Result<(), Malformed> {
        let space = fields.require("name", Node::string)?;
        let first = self.tools.len();
        fields.require("tools", |list| {
            for (index, node) in list.elements()?.into_iter().enumerate() {
                let mut inner = node.fields().map_err(|fault| fault.inside(index))?;
                let kind = inner
                    .read("type", Node::string)
                    .map_err(|fault| fault.inside(index))?;
                let kind = kind.as_deref().unwrap_or("function");
                if matches!(kind, "function" | "custom") {
                    self.callable(&mut inner, kind, Some(&space), at)
                        .map_err(|fault| fault.inside(index))?;
                } else {
                    let opaque = opaque(node, kind);
                    self.push(ToolBody::Opaque(opaque), at, Extra::default());
                }
            }
            Ok(())
        })?;
        if let Some(tool) = self.tools.get_mut(first) {
            keep(&mut tool.extra, "", fields, &[]);
        }
        Ok(())
    }

    /// A function or a free-form tool.
    fn callable(
        &mut self,
        fields: &mut Fields<'_>,
        kind: &str,
        space: Option<&str>,
        at: &At,
    ) -> Result<(), Malformed> {
        let own = fields.require("name", Node::string)?;
        let known = match space {
            Some(space) => self.names.has_spaced(space, &own),
            None => self.names.has(&own),
        };
        // A tool that an item of the conversation declares again.
        if known && matches!(at, At::Field(_)) {
            return Ok(());
        }
        let name = if let Some(space) = space {
            self.names.take_spaced(space, &own)
        } else {
            self.names.take(&own);
            own.clone()
        };
        let description = fields.read("description", Node::string)?;
        let body = if kind == "custom" && fields.get("input_schema").is_none() {
            let format = fields.take("format").filter(|node| !is_plain_text(*node));
            self.call(
                &name,
                Form::Custom {
                    namespace: space.map(str::to_owned),
                    name: own,
                },
            );
            ToolBody::Custom {
                name,
                description,
                format: format.map(|node| CustomFormat(node.to_raw())),
            }
        } else {
            if let Some(space) = space {
                let namespace = space.to_owned();
                self.call(
                    &name,
                    Form::Namespaced {
                        namespace,
                        name: own,
                    },
                );
            }
            let object = |schema: Node<'_>| {
                schema.fields()?;
                Ok(schema.to_raw())
            };
            let parameters = match fields.read("parameters", object)? {
                Some(schema) => Some(schema),
                None => fields.read("input_schema", object)?,
            };
            ToolBody::Function {
                name,
                description,
                parameters,
                strict: fields.read("strict", Node::require_bool)?,
            }
        };
        let mut extra = Extra::default();
        keep(&mut extra, "", fields, &[]);
        self.push(body, at, extra);
        Ok(())
    }

    /// A tool that the client runs and that has a type instead of a declaration: as a function, any model can call it.
    fn typed(&mut self, fields: &Fields<'_>, kind: &str, at: &At) {
        let ((description, schema), Some(form)) = (
            match kind {
                "local_shell" => LOCAL_SHELL,
                "shell" => SHELL,
                _ => APPLY_PATCH,
            },
            form_of_type(kind),
        ) else {
            return;
        };
        let name = self.names.take_typed(kind);
        self.call(&name, form);
        let mut extra = Extra::default();
        let word = json::raw(format!("\"{kind}\""));
        if let Some(word) = word {
            extra.push(DialectId::Responses, "type", word);
        }
        keep(&mut extra, "", fields, &[]);
        let body = ToolBody::Function {
            name,
            description: Some(description.to_owned()),
            parameters: json::raw(schema),
            strict: None,
        };
        self.push(body, at, extra);
    }
}

/// `{type: auto}`, which says nothing.
fn is_plain(container: Node<'_>) -> bool {
    let fields = container.fields().unwrap_or_default();
    fields.len() == 1
        && fields
            .get("type")
            .is_some_and(|kind| kind.text().as_deref() == Some("auto"))
}

/// `{type: text}`, the format of every free-form tool that has no other.
fn is_plain_text(format: Node<'_>) -> bool {
    let fields = format.fields().unwrap_or_default();
    fields
        .get("type")
        .is_some_and(|kind| kind.text().as_deref() == Some("text"))
}

pub(super) fn opaque(node: Node<'_>, kind: &str) -> Opaque {
    Opaque {
        of: DialectId::Responses,
        kind: kind.to_owned(),
        json: node.to_raw(),
    }
}

fn web_search(
    fields: &mut Fields<'_>,
    source: Node<'_>,
    kind: &str,
) -> Result<WebSearch, Malformed> {
    let mut allowed_domains = Vec::new();
    let mut blocked_domains = Vec::new();
    if let Some(mut filters) = fields.read("filters", Node::fields)? {
        let inside = |fault: Malformed| fault.inside("filters");
        let domains = |list: Node<'_>| list.elements()?.into_iter().map(Node::string).collect();
        let allowed = filters.read("allowed_domains", domains).map_err(inside)?;
        let blocked = filters.read("blocked_domains", domains).map_err(inside)?;
        allowed_domains = allowed.unwrap_or_default();
        blocked_domains = blocked.unwrap_or_default();
    }
    let user_location = fields.read("user_location", |location| {
        let mut text = Vec::new();
        let mut object = Object::new(&mut text);
        for (key, node) in location.fields()?.iter() {
            if key != "type" && !node.is_null() {
                object.value(key).extend_from_slice(node.raw().as_bytes());
            }
        }
        drop(object);
        Ok(String::from_utf8(text).ok().and_then(json::raw))
    })?;
    Ok(WebSearch {
        max_uses: None,
        allowed_domains,
        blocked_domains,
        context_size: fields.read("search_context_size", Node::string)?,
        user_location: user_location.flatten(),
        source: Some(opaque(source, kind)),
    })
}

/// Reads the choice. What names no function stays with this dialect.
pub(super) fn choice(
    node: Node<'_>,
    names: &Names,
    request: &mut Request,
) -> Result<(), Malformed> {
    if let Some(text) = node.text() {
        request.tool_choice = Some(match &*text {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            other => {
                return Err(Malformed::new(
                    "",
                    format!("expected none, auto, required or a tool, got '{other}'"),
                ));
            }
        });
        return Ok(());
    }
    let mut fields = node.fields()?;
    let kind = fields.require("type", Node::string)?;
    if kind == "allowed_tools" {
        let required = fields.read("mode", Node::string)?.as_deref() == Some("required");
        let mut allowed = Vec::new();
        fields.require("tools", |list| {
            for (index, tool) in list.elements()?.into_iter().enumerate() {
                let mut fields = tool.fields().map_err(|fault| fault.inside(index))?;
                let kind = fields
                    .read("type", Node::string)
                    .map_err(|fault| fault.inside(index))?;
                let kind = kind.as_deref().unwrap_or("function");
                let name = chosen(&mut fields, kind, names).map_err(|fault| fault.inside(index))?;
                allowed.push(name.unwrap_or_else(|| kind.to_owned()));
            }
            Ok(())
        })?;
        request.tool_choice = Some(ToolChoice::Allowed {
            required,
            names: allowed,
        });
    } else if let Some(name) = chosen(&mut fields, &kind, names)? {
        request.tool_choice = Some(ToolChoice::Tool(name));
    } else {
        request
            .extra
            .push(DialectId::Responses, "tool_choice", node.to_raw());
        return Ok(());
    }
    let source = node.to_raw();
    request
        .extra
        .push_private(DialectId::Responses, "tool_choice", source);
    Ok(())
}

/// The hub's name of a chosen tool; `None` for those that only OpenAI runs.
fn chosen(fields: &mut Fields<'_>, kind: &str, names: &Names) -> Result<Option<String>, Malformed> {
    match kind {
        "function" | "custom" => {
            let space = fields.read("namespace", Node::string)?;
            let name = match fields.take(kind) {
                Some(inner) => inner
                    .fields()
                    .and_then(|mut inner| inner.require("name", Node::string))
                    .map_err(|fault| fault.inside(kind))?,
                None => fields.require("name", Node::string)?,
            };
            Ok(Some(names.of(space.as_deref(), &name)))
        }
        kind if form_of_type(kind).is_some() => Ok(Some(names.of_type(kind))),
        // The name by which the Messages dialect chooses its search.
        kind if kind.starts_with("web_search") => Ok(Some("web_search".to_owned())),
        "code_interpreter" => Ok(Some("code_execution".to_owned())),
        _ => Ok(None),
    }
}
