//! What an answer of this dialect needs to know of its request.

use serde_json::value::RawValue;

/// Kept from the request for its answer.
#[derive(Debug, Clone, Default)]
pub struct Echo {
    /// Top-level fields of the request that a response object repeats (`instructions`, `tools`, `temperature` …), in source order.
    pub fields: Vec<(String, Box<RawValue>)>,
    /// Tools that are not called as plain functions.
    pub calls: Vec<CallForm>,
}

/// How one tool is called in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallForm {
    /// The tool's name in the hub.
    pub name: String,
    pub form: Form,
}

/// The item that a call becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `function_call` with a `namespace`.
    Namespaced { namespace: String, name: String },
    /// `custom_tool_call`.
    Custom {
        namespace: Option<String>,
        name: String,
    },
    /// `local_shell_call`; the call's arguments are `{command, workdir, timeout_ms}`, the last two optional.
    LocalShell,
    /// `shell_call`; the call's arguments are the item's `action`: `{commands, timeout_ms, max_output_length}`.
    Shell,
    /// `apply_patch_call`; the call's arguments are the item's `operation`: `{type, path, diff}`.
    ApplyPatch,
}

impl PartialEq for Echo {
    fn eq(&self, other: &Self) -> bool {
        let fields = |echo: &Self| -> Vec<(String, String)> {
            let field =
                |(key, json): &(String, Box<RawValue>)| (key.clone(), json.get().to_owned());
            echo.fields.iter().map(field).collect()
        };
        self.calls == other.calls && fields(self) == fields(other)
    }
}

impl Eq for Echo {}

impl Echo {
    pub fn form(&self, name: &str) -> Option<&Form> {
        self.calls
            .iter()
            .find(|call| call.name == name)
            .map(|call| &call.form)
    }
}
