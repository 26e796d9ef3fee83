//! An explanation of where a request would go, for people.

use serde_json::Value;

use crate::table::{Look, Table, painted};

/// `told`: as `POST /api/v1/routes/explain` answers.
pub(crate) fn text(told: &Value, colours: bool) -> String {
    let mut lines = Vec::new();
    let head = format!(
        "{} ({})",
        text_of(&told["model"]),
        text_of(&told["dialect"])
    );
    lines.push(painted(&head, Look::Strong, colours));
    let mut facts = Table::default();
    facts.row(["claimed by".to_owned(), claimed(&told["claimed"])]);
    for (place, passed) in list(&told["passed_over"]).iter().enumerate() {
        let name = if place == 0 { "passed over" } else { "" };
        let route = format!(
            "route {} `{}`: {}",
            passed["route"],
            text_of(&passed["model"]),
            text_of(&passed["why"])
        );
        facts.row([name.to_owned(), route]);
    }
    if told["passed_over_more"] != 0 && !told["passed_over_more"].is_null() {
        let more = format!("and {} more", told["passed_over_more"]);
        facts.row([String::new(), more]);
    }
    if let Some(mirror) = told["mirror"].as_object() {
        let share = mirror["share"].as_f64().unwrap_or_default() * 100.0;
        let mirror = format!(
            "{share} % of the requests go to {}/{}, too",
            text_of(&mirror["provider"]),
            text_of(&mirror["model"])
        );
        facts.row(["mirror".to_owned(), mirror]);
    }
    // Of what nobody serves nothing is tried.
    if told["verdict"] != "no_route" {
        facts.row(["retries".to_owned(), retries(&told["retry"])]);
        facts.row(["last resort".to_owned(), last_resort(&told["last_resort"])]);
    }
    lines.extend(facts.lines("  "));
    let (verdict, look) = verdict(told);
    lines.push(format!("  {}", painted(&verdict, look, colours)));
    let first = &told["goes_to"];
    for (place, leg) in list(&told["legs"]).iter().enumerate() {
        let here = first["leg"].as_u64() == u64::try_from(place).ok();
        let first = first["candidate"].as_u64().filter(|_| here);
        lines.push(String::new());
        lines.extend(self::leg(leg, first, colours));
    }
    let mut out = lines.join("\n");
    out.push('\n');
    out
}

fn verdict(told: &Value) -> (String, Look) {
    let message = text_of(&told["message"]);
    match told["verdict"].as_str() {
        Some("goes") => {
            let first = &told["goes_to"];
            let key = first["key"].as_str().map(|key| format!(" with key {key}"));
            let why = text_of(&first["chosen"]).replace('_', " ");
            let goes = format!(
                "goes to      {}/{}{} ({why})",
                text_of(&first["provider"]),
                text_of(&first["model"]),
                key.unwrap_or_default()
            );
            (goes, Look::Good)
        }
        Some("refused" | "no_route") => (
            format!("is refused   {}: {message}", told["status"]),
            Look::Warning,
        ),
        Some(_) | None => (format!("waits        {message}"), Look::Warning),
    }
}

fn leg(leg: &Value, first: Option<u64>, colours: bool) -> Vec<String> {
    let on = match leg["on"].as_str().unwrap_or_default() {
        "asked" => "asked for".to_owned(),
        "failure" => "fallback".to_owned(),
        "last_resort" => "last resort".to_owned(),
        on => format!("fallback on {}", on.replace('_', " ")),
    };
    let mut head = format!("{on}: {}", text_of(&leg["name"]));
    for arm in list(&leg["splits"]) {
        let why = match arm["by"].as_str() {
            Some(by) => format!("always the same for this {by}"),
            None if arm["sticky_but_unknown"] == true => {
                "by chance: the request does not say what it is sticky by".to_owned()
            }
            None => "by chance".to_owned(),
        };
        let arm = format!(
            " → {} (split {}, {} of {}, {why})",
            text_of(&arm["model"]),
            text_of(&arm["split"]),
            arm["weight"],
            arm["of"]
        );
        head.push_str(&arm);
    }
    let strategy = text_of(&leg["strategy"]);
    let sticky = leg["sticky"]["by"].as_str();
    let sticky = sticky.map(|by| {
        if leg["sticky"]["known"] == true {
            format!(" by {by}")
        } else {
            format!(" by {by}, which the request does not say: by chance")
        }
    });
    head = format!("{head}, {strategy}{}", sticky.unwrap_or_default());
    if leg["on"] != "asked" {
        head = format!("{head}, claimed by {}", claimed(&leg["claimed"]));
    }
    let mut lines = vec![painted(&head, Look::Strong, colours)];
    let candidates = list(&leg["candidates"]);
    if candidates.is_empty() {
        lines.push("  nobody".to_owned());
    }
    let mut table = Table::default();
    let mut place = 0;
    for candidate in candidates {
        let skipped = &candidate["skipped"];
        let mark = if skipped.is_null() {
            place += 1;
            format!("{place}.")
        } else {
            "-".to_owned()
        };
        table.row(row(mark, candidate, &strategy));
    }
    for (place, line) in table.lines("  ").into_iter().enumerate() {
        let skipped = candidates
            .get(place)
            .is_some_and(|it| !it["skipped"].is_null());
        let look = if u64::try_from(place).ok() == first {
            Some(Look::Good)
        } else if skipped {
            Some(Look::Faint)
        } else {
            None
        };
        lines.push(look.map_or_else(|| line.clone(), |look| painted(&line, look, colours)));
    }
    lines
}

fn row(mark: String, candidate: &Value, strategy: &str) -> Vec<String> {
    let mut dialect = text_of(&candidate["dialect"]);
    if candidate["converted"] == true && !dialect.is_empty() {
        dialect.push_str(" (converted)");
    }
    let shown = |show: bool, text: String| if show { text } else { String::new() };
    let number = |name: &str| candidate[name].as_f64();
    let tier = format!("tier {}", candidate["tier"]);
    let weight = format!("weight {}", candidate["weight"]);
    let key = candidate["key"].as_str().map(|key| format!("key {key}"));
    let ready = match candidate["keys"].as_u64() {
        Some(all) if all > 1 => format!("{} of {all} keys ready", candidate["keys_ready"]),
        Some(_) | None => String::new(),
    };
    let busy = format!("{} under way", candidate["in_flight"]);
    let mean = |name: &str, what: &str| {
        let mean = number(name);
        mean.map_or_else(String::new, |mean| format!("{what} {mean:.0} ms"))
    };
    let price = number("price_nano_usd").map(|nano| format!("${:.6}", nano / 1e9));
    let headroom = number("headroom").map(|part| format!("{:.0} % left", part * 100.0));
    let why = if candidate["probe"] == true {
        "as the probe".to_owned()
    } else {
        text_of(&candidate["skipped"]["told"])
    };
    vec![
        mark,
        text_of(&candidate["provider"]),
        text_of(&candidate["model"]),
        dialect,
        tier,
        weight,
        key.unwrap_or_default(),
        ready,
        shown(
            candidate["in_flight"] != 0 || strategy == "least_busy",
            busy,
        ),
        mean("first_token_ms", "first token"),
        shown(strategy == "latency", mean("per_token_ms", "per token")),
        shown(strategy == "cheapest", price.unwrap_or_default()),
        shown(strategy == "quota", headroom.unwrap_or_default()),
        why,
    ]
}

fn claimed(claimed: &Value) -> String {
    match claimed["by"].as_str() {
        Some("route") => format!(
            "route {} `{}`",
            claimed["route"],
            text_of(&claimed["model"])
        ),
        Some("written_out") => "the name, which says its provider".to_owned(),
        Some("catalogue") => "the catalogue".to_owned(),
        Some("declared") => "the `models` of a provider".to_owned(),
        Some("preferred_provider") => "preferred_provider".to_owned(),
        Some("only_provider") => "the only provider there is".to_owned(),
        Some(_) | None => "nobody".to_owned(),
    }
}

fn retries(retry: &Value) -> String {
    let mut told = format!("{} attempts", retry["attempts"]);
    let seconds = |name: &str| retry[name].as_f64().map(|millis| millis / 1000.0);
    if let Some(deadline) = seconds("deadline_ms") {
        told = format!("{told}, none after {deadline} s");
    }
    if let Some(within) = seconds("only_within_ms") {
        told = format!("{told}, none after one that took {within} s to fail");
    }
    told
}

fn last_resort(last: &Value) -> String {
    match last["do"].as_str() {
        Some("refuse") => "refuse".to_owned(),
        Some("least_bad") => "the one that is ready first is tried".to_owned(),
        Some("queue") => {
            let wait = last["wait_ms"].as_f64().unwrap_or_default() / 1000.0;
            format!("wait, {wait} s at most")
        }
        Some("fallback") => text_of(&last["model"]),
        Some(_) | None => "refuse, unless there is but one key".to_owned(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
