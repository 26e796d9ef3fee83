//! The references in `docs/` that are written by a program. `make generated` writes them; this test fails when one is stale.
//!
//! Of each page only what stands between the two marks is generated; the rest is written by hand.

mod cli;
mod configuration;
mod providers;

use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- generated: `make generated` -->\n";
const END: &str = "<!-- end of what is generated -->\n";

#[test]
fn references_are_fresh() {
    check("configuration.md", &configuration::keys());
    check("cli.md", &cli::commands());
    check("providers.md", &providers::rows());
    same("lingate.schema.json", &lingate_config::schema());
}

#[test]
fn the_openapi_document_is_fresh() {
    let document = lingate_admin::document();
    same("openapi.json", &format!("{document:#}\n"));
}

/// The page has `expect` between its marks.
#[track_caller]
fn check(page: &str, expect: &str) {
    let text = fs::read_to_string(docs().join(page)).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    same(page, &format!("{before}{BEGIN}\n{expect}\n{END}{after}"));
}

/// The file is `expect`, or becomes it when `LINGATE_BLESS` is set.
#[track_caller]
fn same(file: &str, expect: &str) {
    let path = docs().join(file);
    if std::env::var_os("LINGATE_BLESS").is_some() {
        fs::write(&path, expect).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expect,
        "docs/{file} is stale: run `make generated`"
    );
}

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// A row of a Markdown table.
fn row(out: &mut String, cells: &[&str]) {
    for cell in cells {
        out.push_str("| ");
        out.push_str(&cell.replace('|', "\\|"));
        out.push(' ');
    }
    out.push_str("|\n");
}

/// The head of a Markdown table.
fn head(out: &mut String, cells: &[&str]) {
    row(out, cells);
    row(out, &vec!["---"; cells.len()]);
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
