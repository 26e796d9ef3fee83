//! Requests, whole answers and written streams; all fixtures go through.

mod answers;
mod requests;
mod streams;

use std::path::Path;

use crate::{Mint, Reply};

fn fixtures(kind: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/chat")
        .join(kind);
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() > 10, "{kind}");
    found
}

fn reply() -> Reply {
    Reply {
        model: "asked".to_owned(),
        mint: Mint { now: 5, id: 0 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
    }
}
