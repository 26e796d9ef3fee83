//! The material of the laws: fixtures of the repository, and recorded exchanges.

use crate::drive::DIALECTS;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lingate_dialect::framing::Framing;
use lingate_dialect::{DialectId, Mint, Reply};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    Stream,
}

/// One body of a request, of an answer of status 2xx, or of a streamed answer.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) dialect: DialectId,
    pub(crate) kind: Kind,
    pub(crate) body: Vec<u8>,
    /// Written for these tests, and so expected to be right in every respect.
    pub(crate) own: bool,
}

impl Sample {
    pub(crate) fn framing(&self) -> Framing {
        match self.body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => Framing::JsonArray,
            _ => Framing::Sse,
        }
    }
}

/// Every sample of a kind.
pub(crate) fn samples(kind: Kind) -> impl Iterator<Item = &'static Sample> {
    static ALL: OnceLock<Vec<Sample>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut all = own();
        all.extend(recorded());
        all
    });
    all.iter().filter(move |sample| sample.kind == kind)
}

/// What a caller who wants to see everything would ask for.
pub(crate) fn reply() -> Reply {
    Reply {
        model: "the-model".to_owned(),
        mint: Mint {
            now: 1_700_000_000,
            id: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    }
}

fn own() -> Vec<Sample> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut samples = Vec::new();
    for dialect in DIALECTS {
        for (folder, kind) in [
            ("requests", Kind::Request),
            ("responses", Kind::Response),
            ("streams", Kind::Stream),
        ] {
            let folder = root.join(dialect.name()).join(folder);
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            for path in paths.iter().filter(|path| path.is_file()) {
                samples.push(Sample {
                    name: path.strip_prefix(&root).unwrap().display().to_string(),
                    dialect,
                    kind,
                    body: fs::read_to_string(path).unwrap().into_bytes(),
                    own: true,
                });
            }
        }
    }
    samples
}

fn recorded() -> Vec<Sample> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside =
        ["../../../shared/corpus", "../../../../shared/corpus"].map(|path| here.join(path));
    let named = std::env::var_os("LINGATE_CORPUS").map(PathBuf::from);
    let mut places = named.into_iter().chain(beside);
    let Some(folder) = places.find(|place| place.is_dir()) else {
        // Past the harness, which keeps what passing tests print to itself.
        let told = b"no recorded exchanges here: the laws run over the fixtures alone\n";
        std::io::stderr().write_all(told).unwrap();
        return Vec::new();
    };
    let files = [
        (DialectId::Chat, "openai_chat.jsonl"),
        (DialectId::Responses, "openai_responses.jsonl"),
        (DialectId::Messages, "anthropic_messages.jsonl"),
        (DialectId::Gemini, "gemini_generate.jsonl"),
    ];
    let mut samples = Vec::new();
    for (dialect, file) in files {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        for line in text.lines() {
            let exchange: Value = serde_json::from_str(line).unwrap();
            let name = exchange["id"].as_str().unwrap_or_default().to_owned();
            let mut add = |kind, body: Vec<u8>| {
                samples.push(Sample {
                    name: name.clone(),
                    dialect,
                    kind,
                    body,
                    own: false,
                });
            };
            let request = &exchange["request"]["body"];
            if request.is_object() {
                add(Kind::Request, serde_json::to_vec(request).unwrap());
            }
            let response = &exchange["response"];
            let body = response["body_text"].as_str().unwrap_or_default();
            if response["status"].as_u64() != Some(200) || body.trim().is_empty() {
                continue;
            }
            match exchange["meta"]["framing"].as_str() {
                Some("sse" | "json_array") => add(Kind::Stream, body.into()),
                Some("json") => add(Kind::Response, body.into()),
                _ => {}
            }
        }
    }
    samples
}
