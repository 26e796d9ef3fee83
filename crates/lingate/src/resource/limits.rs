//! Limits on a command line: `--limit requests=60/minute`, `--limits FILE`, `--no-limits`.

use clap::{Arg, ArgAction, ArgMatches};
use serde_json::{Map, Value};

use super::flag::{contents, given, on};
use crate::Failed;

pub(crate) fn flags() -> [Arg; 3] {
    [
        Arg::new("limit")
            .long("limit")
            .value_name("LIMIT")
            .action(ArgAction::Append)
            .conflicts_with_all(["limits", "no_limits"])
            .help(
                "A limit, such as requests=60/minute, tokens=1000000/day, cost=5/month, concurrency=5, with more behind commas \
                 (cost=5/month,zone=Asia/Shanghai,downgrade=gpt-4o-mini). May be given several times; takes the place of all limits",
            ),
        Arg::new("limits")
            .long("limits")
            .value_name("FILE")
            .conflicts_with("no_limits")
            .help("Limits from a file, a list as below `limits` in lingate.yml. Takes the place of all limits"),
        Arg::new("no_limits")
            .long("no-limits")
            .action(ArgAction::SetTrue)
            .help("Take all limits away"),
    ]
}

/// The list that takes the place of all limits; `None`: they stay as they are.
pub(crate) fn said(matches: &ArgMatches) -> Result<Option<Value>, Failed> {
    if on(matches, "no_limits") {
        return Ok(Some(Value::Array(Vec::new())));
    }
    if let Some(file) = given::<String>(matches, "limits") {
        return from_file(file).map(Some);
    }
    let Ok(Some(limits)) = matches.try_get_many::<String>("limit") else {
        return Ok(None);
    };
    let limits = limits.map(|limit| entry(limit));
    Ok(Some(Value::Array(limits.collect::<Result<_, _>>()?)))
}

/// Two forms are taken: YAML as in `lingate.yml`, and the JSON that the API tells.
fn from_file(file: &str) -> Result<Value, Failed> {
    let text = String::from_utf8(contents(file)?)
        .map_err(|_| Failed::new(format!("{file}: this is no text")))?;
    if let Ok(read @ Value::Array(_)) = serde_json::from_str(&text) {
        return Ok(read);
    }
    let limits = lingate_config::limits(&text, file, &[])
        .map_err(|problems| Failed::new(problems.to_string()))?;
    Ok(Value::Array(lingate_config::limits_in_json(&limits)))
}

/// `requests=60/minute,model=gpt-*` as an entry of the list.
fn entry(limit: &str) -> Result<Value, Failed> {
    let wrong = || {
        Failed::usage(format!(
            "--limit '{limit}': write MEASURE=AMOUNT/TIME, such as requests=60/minute, cost=5/month or concurrency=5"
        ))
    };
    let (first, more) = limit.split_once(',').unwrap_or((limit, ""));
    let (measure, rest) = first.split_once('=').ok_or_else(wrong)?;
    let (amount, per) = match rest.split_once('/') {
        Some((amount, per)) => (amount, Some(per)),
        None => (rest, None),
    };
    let (measure, amount) = (measure.trim(), amount.trim());
    let mut entry = Map::new();
    entry.insert(measure.to_owned(), value(measure, amount));
    if let Some(per) = per {
        entry.insert("per".to_owned(), Value::from(per.trim()));
    }
    for pair in more.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, said) = pair.split_once('=').ok_or_else(wrong)?;
        entry.insert(name.trim().to_owned(), value(name.trim(), said.trim()));
    }
    Ok(Value::Object(entry))
}

/// Money is text, counts are numbers, and words stay what they are.
fn value(name: &str, text: &str) -> Value {
    match text.parse::<u64>() {
        Ok(number) if name != "cost" => Value::from(number),
        Ok(_) | Err(_) => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_of_a_command_line_are_those_of_the_file() {
        let check = |limit: &str, expect: Value| assert_eq!(entry(limit).unwrap(), expect);
        check(
            "requests=60/minute",
            json!({"requests": 60, "per": "minute"}),
        );
        check("concurrency=5", json!({"concurrency": 5}));
        check(
            "cost=0.5/month,zone=Asia/Shanghai",
            json!({"cost": "0.5", "per": "month", "zone": "Asia/Shanghai"}),
        );
        for bad in ["", "requests", "requests=60/minute,model"] {
            assert_eq!(entry(bad).unwrap_err().code, 2, "{bad}");
        }
    }
}
