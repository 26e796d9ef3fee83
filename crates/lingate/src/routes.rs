//! `lingate routes`: where a request would go, and the routes of a configuration.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use lingate_dialect::DialectId;
use serde_json::{Map, Value, json};

use crate::local::{InForce, in_force};
use crate::remote::Token;
use crate::table::{Look, Table, colours, painted};
use crate::{ConfigFile, Failed, explanation};
use lingate_metering::tenant::{Directory, Source};

const EXAMPLES: &str = "\
Examples:
  lingate routes explain --model gpt-4o
  lingate routes explain --model claude-sonnet-4-5 --dialect messages --tokens 80000 --tool web_search
  lingate routes explain --model gpt-4o --header 'x-tier: gold' --key alice --at 2026-11-30T22:00
  lingate routes explain --request request.json --dialect messages
  lingate routes explain --model gpt-4o --server http://127.0.0.1:8080
  lingate routes list --json

Without --server the configuration and what the database holds are explained as if the gateway had just been started: all keys are ready and nothing is known of
latencies. With --server the gateway that runs there is asked, and tells how its keys and providers fare. Nothing changes by asking.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// Say where a request would go, why, and why not elsewhere.
    Explain(Box<Explain>),
    /// The routes, in the order in which they are tried.
    List(List),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Explain {
    /// The model, as a client would name it.
    #[arg(long, value_name = "MODEL", required_unless_present = "request")]
    model: Option<String>,
    /// What the client speaks: chat (unless the request looks like another), responses, messages, gemini.
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    dialect: Option<DialectId>,
    /// The body of a request in a file, or `-` for standard input; what it says need not be said again.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// A header of the request; may be given several times.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Tokens of the prompt: 60000, 60k.
    #[arg(long, value_name = "N", value_parser = lingate_config::token_count)]
    tokens: Option<u64>,
    /// Tokens of the answer that the client allows.
    #[arg(long, value_name = "N", value_parser = lingate_config::token_count)]
    max_output: Option<u64>,
    /// A tool that is offered; may be given several times.
    #[arg(long, value_name = "NAME")]
    tool: Vec<String>,
    /// Reasoning is asked for.
    #[arg(long)]
    thinking: bool,
    /// A picture is among the parts.
    #[arg(long)]
    image: bool,
    /// A stream is asked for.
    #[arg(long)]
    stream: bool,
    /// What the user says last.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The end user.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The conversation.
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// A tag of the request; may be given several times.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// The name of the gateway's key that the client would show.
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// When it comes: 2026-11-30T22:00 on the clocks that routes look at, or with a zone (2026-11-30T22:00:00Z).
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[command(flatten)]
    from: From,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    from: From,
}

/// Whom to ask, and how to tell it.
#[derive(Debug, Args)]
struct From {
    /// As JSON, for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
    /// Ask the gateway that runs there, not the configuration.
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    server: Option<String>,
    #[command(flatten)]
    token: Token,
}

fn dialect(name: &str) -> Result<DialectId, String> {
    DialectId::from_name(name).ok_or_else(|| {
        let known = DialectId::ALL.map(DialectId::name).join(", ");
        format!("expected one of {known}")
    })
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    let (text, told, from) = match command {
        Command::Explain(options) => {
            let question = options.question()?;
            let path = "/api/v1/routes/explain";
            let told = if let Some(server) = &options.from.server {
                let token = &options.from.token;
                token.ask(server, &Method::POST, path, Some(&question))?
            } else {
                let InForce { loaded, stored } = in_force(&options.from.file)?;
                let (directory, _) = Directory::build(vec![
                    (Source::Configuration, loaded.declared),
                    (Source::Store, stored),
                ]);
                lingate_gateway::explain(
                    loaded.snapshot,
                    &directory,
                    question.to_string().as_bytes(),
                )
                .map_err(Failed::new)?
            };
            (explanation::text(&told, colours()), told, &options.from)
        }
        Command::List(List { from }) => {
            let told = match &from.server {
                Some(server) => from
                    .token
                    .ask(server, &Method::GET, "/api/v1/routes", None)?,
                None => lingate_gateway::routes(&in_force(&from.file)?.loaded.snapshot),
            };
            (list(&told, colours()), told, from)
        }
    };
    let mut stdout = io::stdout().lock();
    if from.json {
        writeln!(stdout, "{told:#}")?;
    } else {
        stdout.write_all(text.as_bytes())?;
    }
    Ok(0)
}

impl Explain {
    /// As `POST /api/v1/routes/explain` takes it.
    fn question(&self) -> Result<Value, Failed> {
        let Self {
            model,
            dialect,
            request,
            header,
            tokens,
            max_output,
            tool,
            thinking,
            image,
            stream,
            text,
            user,
            session,
            tag,
            key,
            at,
            from: _,
        } = self;
        let mut question = Map::new();
        let mut set = |name: &str, value: Value| {
            if !value.is_null() {
                question.insert(name.to_owned(), value);
            }
        };
        set("model", json!(model));
        set("dialect", json!(dialect.map(DialectId::name)));
        set("tokens", json!(tokens));
        set("max_output", json!(max_output));
        set("text", json!(text));
        set("user", json!(user));
        set("session", json!(session));
        set("caller", json!(key));
        set("at", json!(at));
        for (name, is) in [("thinking", thinking), ("image", image), ("stream", stream)] {
            // What is not said is left to the request.
            set(name, json!(is.then_some(true)));
        }
        for (name, list) in [("tools", tool), ("tags", tag)] {
            set(name, json!(Some(list).filter(|list| !list.is_empty())));
        }
        let mut headers = Map::new();
        for header in header {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| Failed::new(format!("--header: '{header}' is not 'name: value'")))?;
            headers.insert(name.trim().to_owned(), json!(value.trim()));
        }
        if !headers.is_empty() {
            set("headers", Value::Object(headers));
        }
        if let Some(file) = request {
            let mut body = Vec::new();
            if file.as_os_str() == "-" {
                io::stdin().lock().read_to_end(&mut body)?;
            } else {
                body = std::fs::read(file)
                    .map_err(|error| Failed::new(format!("{}: {error}", file.display())))?;
            }
            let body: Value = serde_json::from_slice(&body)
                .map_err(|error| Failed::new(format!("{}: {error}", file.display())))?;
            set("request", body);
        }
        Ok(Value::Object(question))
    }
}

/// Behind the targets of its route.
fn mirror(mirror: &Value) -> String {
    let Some(provider) = mirror["provider"].as_str() else {
        return String::new();
    };
    let model = mirror["model"].as_str();
    let model = model.map_or_else(String::new, |model| format!("/{model}"));
    let share = mirror["share"].as_f64().unwrap_or_default() * 100.0;
    format!("; {share} % mirrored to {provider}{model}")
}

/// All models that a route goes on to, and for what.
fn fallbacks(route: &Value) -> String {
    let names = |list: &[Value]| {
        let names: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        names.join(", ")
    };
    let mut told = Vec::new();
    if let Some(any) = route["fallbacks"].as_array().filter(|any| !any.is_empty()) {
        told.push(names(any));
    }
    for (on, list) in route["fallbacks_on"].as_object().into_iter().flatten() {
        if let Some(list) = list.as_array() {
            let names = if list.is_empty() {
                "none".to_owned()
            } else {
                names(list)
            };
            told.push(format!("on {}: {names}", on.replace('_', " ")));
        }
    }
    if let Some(model) = route["last_resort"]["model"].as_str() {
        told.push(format!("last resort: {model}"));
    }
    told.join("; ")
}

fn list(told: &Value, colours: bool) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut table = Table::default();
    table.row(["ROUTE", "MODEL", "WHEN", "STRATEGY", "TARGETS", "FALLBACKS"]);
    let names = |list: &Value, name: &dyn Fn(&Value) -> String| {
        let names = list.as_array().into_iter().flatten().map(name);
        names.collect::<Vec<_>>().join(", ")
    };
    let routes = told["routes"].as_array().map_or(&[][..], Vec::as_slice);
    for route in routes {
        let weighed = route["strategy"] == "weighted";
        let target = |target: &Value| {
            let mut told = text(&target["provider"]);
            if let Some(model) = target["model"].as_str() {
                told = format!("{told}/{model}");
            }
            if weighed || target["weight"] == 0 {
                told = format!("{told} ({})", target["weight"]);
            }
            told
        };
        let arm = |arm: &Value| format!("{} ({})", text(&arm["model"]), arm["weight"]);
        let split = &route["split"];
        let (strategy, targets) = if split.is_null() {
            (text(&route["strategy"]), names(&route["targets"], &target))
        } else {
            let name = format!("split {}", text(&split["name"]));
            (name, names(&split["arms"], &arm))
        };
        table.row([
            route["route"].to_string(),
            text(&route["model"]),
            names(&route["when"], &text),
            strategy,
            format!("{targets}{}", mirror(&route["mirror"])),
            fallbacks(route),
        ]);
    }
    if routes.is_empty() {
        return "there are no routes: names of models are looked up in the catalogue and in the `models` of providers\n".to_owned();
    }
    let mut out = String::new();
    for (place, line) in table.lines("").iter().enumerate() {
        let look = if place == 0 {
            painted(line, Look::Faint, colours)
        } else {
            line.clone()
        };
        out.push_str(&look);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_listed_with_all_that_it_goes_on_to() {
        let route = json!({
            "route": 0, "model": "m", "when": [], "strategy": "priority", "split": null,
            "targets": [{"provider": "a", "model": null, "weight": 1}],
            "fallbacks": ["b", "c"],
            "fallbacks_on": {"context_length": ["d"], "refusal": [], "timeout": null},
            "last_resort": {"do": "fallback", "model": "e"},
            "mirror": {"provider": "f", "model": "g", "share": 0.05},
        });
        let bare = json!({
            "route": 1, "model": "n", "when": [], "strategy": "priority", "split": null,
            "targets": [{"provider": "a", "model": "n", "weight": 1}],
            "fallbacks": [], "fallbacks_on": {}, "last_resort": {"do": "usual"}, "mirror": null,
        });
        assert_eq!(
            list(&json!({"routes": [route, bare]}), false),
            "\
ROUTE  MODEL  WHEN  STRATEGY  TARGETS                 FALLBACKS
0      m            priority  a; 5 % mirrored to f/g  b, c; on context length: d; on refusal: none; last resort: e
1      n            priority  a/n
"
        );
    }
}
