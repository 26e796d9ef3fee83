//! What the API answers, as people read it: tables, and lines of name and value.

use std::fs::OpenOptions;
use std::io::{self, Write as _};

use serde_json::{Map, Value};

use super::words;
use crate::Failed;
use crate::table::{Look, Table, colours, painted};

/// A list.
pub(crate) fn list(columns: &[&str], told: &Value, json: bool) -> Result<u8, Failed> {
    let mut stdout = io::stdout().lock();
    if json {
        writeln!(stdout, "{told:#}")?;
        return Ok(0);
    }
    let items = told["items"].as_array().map_or(&[][..], Vec::as_slice);
    print(&table(columns, items), Some(0))
}

/// One thing; and a secret apart from the rest, since this is the one time that it is told.
pub(crate) fn one(told: &Value, json: bool) -> Result<u8, Failed> {
    if json {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{told:#}")?;
        return Ok(0);
    }
    let mut rest = told.clone();
    let mut secrets = Vec::new();
    let mut snippets = Vec::new();
    if let Some(map) = rest.as_object_mut() {
        for name in [
            "secret",
            "token",
            "password",
            "link",
            "recovery_codes",
            "codes",
        ] {
            match map.get(name) {
                Some(Value::String(secret)) => secrets.push(secret.clone()),
                Some(Value::Array(many)) if many.iter().all(Value::is_string) => {
                    secrets.extend(many.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                _ => continue,
            }
            map.remove(name);
        }
        if let Some(Value::Array(found)) = map.remove("snippets") {
            snippets = found;
        }
    }
    print(&lines(&rest), None)?;
    let mut stdout = io::stdout().lock();
    if !secrets.is_empty() {
        writeln!(stdout)?;
        for secret in &secrets {
            writeln!(stdout, "{}", painted(secret, Look::Strong, colours()))?;
        }
        let it = if secrets.len() == 1 {
            "it is"
        } else {
            "they are"
        };
        let keep = if secrets.len() == 1 { "it" } else { "them" };
        writeln!(
            stdout,
            "\nKeep {keep} now: {it} shown this once, and not kept in clear."
        )?;
    }
    for snippet in &snippets {
        writeln!(stdout)?;
        let title = ["title", "name", "client"]
            .iter()
            .find_map(|name| snippet[*name].as_str());
        writeln!(
            stdout,
            "{}",
            painted(title.unwrap_or_default(), Look::Strong, colours())
        )?;
        for line in text(&snippet["text"]).lines() {
            writeln!(stdout, "  {line}")?;
        }
    }
    Ok(0)
}

/// One field; `entry.id` is a field of a field.
pub(crate) fn only(told: &Value, field: &str) -> Result<u8, Failed> {
    let value = field.split('.').fold(told, |value, name| &value[name]);
    if value.is_null() {
        return Err(Failed::new(format!(
            "the answer has no `{field}`; --json shows all of it"
        )));
    }
    writeln!(io::stdout(), "{}", text(value))?;
    Ok(0)
}

/// That something is done of which nothing more is told.
pub(crate) fn done(told: &Value, line: &str, json: bool) -> Result<u8, Failed> {
    if json {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{told:#}")?;
        return Ok(0);
    }
    print(&[line.to_owned()], None)
}

/// A document that is for others; `out`: a new file that nobody else can read, instead of standard output.
pub(crate) fn document(text: &[u8], out: Option<&String>) -> Result<u8, Failed> {
    let Some(out) = out else {
        io::stdout().lock().write_all(text)?;
        return Ok(0);
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(out).and_then(|mut file| file.write_all(text));
    written.map_err(|error| Failed::new(format!("{out}: {error}")))?;
    writeln!(io::stdout(), "wrote {out}")?;
    Ok(0)
}

/// `head`: the line that stands above a table.
pub(crate) fn print(lines: &[String], head: Option<usize>) -> Result<u8, Failed> {
    let mut stdout = io::stdout().lock();
    let colours = colours();
    for (place, line) in lines.iter().enumerate() {
        if head == Some(place) {
            writeln!(stdout, "{}", painted(line, Look::Faint, colours))?;
        } else {
            writeln!(stdout, "{line}")?;
        }
    }
    Ok(0)
}

/// What is told of one thing, a line for each.
pub(crate) fn lines(told: &Value) -> Vec<String> {
    let mut table = Table::default();
    let fields = told.as_object().into_iter().flatten();
    for (name, value) in fields {
        let name = name.replace('_', " ");
        match value {
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    let name = if place == 0 { name.as_str() } else { "" };
                    table.row([name.to_owned(), text(item)]);
                }
            }
            Value::Object(map) if !has_words(map) => {
                for (place, (key, value)) in map.iter().enumerate() {
                    let name = if place == 0 { name.as_str() } else { "" };
                    table.row([name.to_owned(), format!("{key} → {}", text(value))]);
                }
            }
            Value::Object(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => table.row([name, text(value)]),
        }
    }
    table.lines("")
}

/// Whether a text can stand for the whole.
fn has_words(map: &Map<String, Value>) -> bool {
    ["reads", "ends_in", "path", "name"]
        .iter()
        .any(|name| map.get(*name).is_some_and(Value::is_string))
}

pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            if let Some(hint) = map.get("ends_in") {
                let until = map.get("expires_at").map(text);
                let until = until.map_or_else(String::new, |until| format!(" until {until}"));
                return format!("…{}{until}", text(hint));
            }
            if let Some(words) = words::of_json(value) {
                return words;
            }
            let words = ["reads", "path", "name"];
            let words = words.iter().find_map(|name| map.get(*name)?.as_str());
            let pairs = || {
                let pairs = map.iter().filter(|(_, value)| !value.is_null());
                let pairs = pairs
                    .map(|(name, value)| format!("{} {}", name.replace('_', " "), text(value)));
                pairs.collect::<Vec<_>>().join(", ")
            };
            words.map_or_else(pairs, str::to_owned)
        }
    }
}

/// A table of these fields of each; `organization.name` is a field of a field. Columns in which nothing stands are left out.
pub(crate) fn table(columns: &[&str], all: &[Value]) -> Vec<String> {
    let cell = |told: &Value, column: &str| {
        let value = column.split('.').fold(told, |value, name| &value[name]);
        match (column, value) {
            ("limits", Value::Array(limits)) if limits.len() > 1 => {
                format!("{} limits", limits.len())
            }
            (_, Value::Bool(false) | Value::Null) => String::new(),
            (_, value) => text(value),
        }
    };
    let is_used = |column: &&&str| {
        let mut cells = all.iter().map(|told| cell(told, column));
        all.is_empty() || cells.any(|cell| !cell.is_empty())
    };
    let columns: Vec<&&str> = columns.iter().filter(is_used).collect();
    let mut table = Table::default();
    let head = |column: &&&str| {
        let name = column.strip_prefix("definition.").unwrap_or(column);
        name.replace(['_', '.'], " ").to_uppercase()
    };
    table.row(columns.iter().map(head));
    for told in all {
        table.row(columns.iter().map(|column| match cell(told, column) {
            cell if cell.is_empty() => "-".to_owned(),
            cell => cell,
        }));
    }
    table.lines("")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_the_columns_in_which_something_stands() {
        let all = [
            json!({"name": "a", "blocked": false, "plan": null, "owner": {"name": "b"}, "limits": [1, 2]}),
            json!({"name": "c", "blocked": false, "limits": []}),
        ];
        let columns = ["name", "blocked", "plan", "owner.name", "limits"];
        assert_eq!(
            table(&columns, &all),
            [
                "NAME  OWNER NAME  LIMITS",
                "a     b           2 limits",
                "c     -           -"
            ]
        );
    }

    #[test]
    fn what_is_in_a_thing_is_told_in_a_line() {
        let told = json!({"name": "a", "blocked": true, "lines": [{"model": "m", "project": {"id": "1", "name": "web"}}]});
        assert_eq!(
            lines(&told),
            [
                "name     a",
                "blocked  yes",
                "lines    model m, project web"
            ]
        );
    }
}
