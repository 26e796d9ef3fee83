//! The gateway itself: its configuration, its address, its providers.

use std::path::Path;
use std::time::Duration;

use http::Request;
use lingate_config::{Environment, Loaded};
use lingate_routing::{Kind, Provider};
use lingate_upstream::{Clients, Payload};
use serde_json::Value;

use super::gateway::{Gateway, KeyIn};
use super::report::{Fault, Report};

/// How long a provider may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn look(config: Option<&Path>, url: Option<&str>, report: &mut Report) {
    let loaded = match lingate_config::load(config, &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let fault = Fault::new(
                problems.to_string(),
                "`lingate config check` says the same; the reference is docs/configuration.md",
            );
            return report.check("configuration", Err(fault));
        }
    };
    let source = loaded.source.as_ref().map_or_else(
        || "the environment".to_owned(),
        |path| path.display().to_string(),
    );
    let count = loaded.snapshot.providers.len();
    report.check("configuration", Ok(format!("{source}, {count} providers")));
    for note in &loaded.notes {
        report.note("configuration", note.to_string());
    }
    listening(&loaded, url, report).await;
    let clients = Clients::new(loaded.snapshot.defaults.connect_timeout);
    for provider in &loaded.snapshot.providers {
        if provider.kind == Kind::Http {
            let found = reach(&clients, provider).await;
            report.check(format!("provider {}", provider.name), found);
        }
    }
}

async fn listening(loaded: &Loaded, url: Option<&str>, report: &mut Report) {
    let url = match (url, loaded.settings.listen.first()) {
        (Some(url), _) => url.to_owned(),
        (None, Some(address)) if address.ip().is_unspecified() => {
            format!("http://127.0.0.1:{}", address.port())
        }
        (None, Some(address)) => format!("http://{address}"),
        (None, None) => return,
    };
    let asked = match Gateway::new(&url, None, "") {
        Ok(gateway) => gateway.get("/health", KeyIn::Bearer, &[]).await,
        Err(failed) => {
            let fault = Fault::new(failed.message, "an address begins with http:// or https://");
            return report.check("listening", Err(fault));
        }
    };
    if let Ok(answer) = &asked
        && let Ok(health) = serde_json::from_slice(&answer.body)
    {
        tell_health(&health, report);
    }
    let found = asked.map_err(Fault::from).and_then(|answer| {
        let ours = !answer.header("x-lingate-request-id").is_empty();
        if answer.status == 200 && ours {
            Ok(url.clone())
        } else {
            Err(Fault::new(
                format!("{url} answers {}, and not as Lingate", answer.status),
                "another program has this address: change `listen`",
            ))
        }
    });
    report.check("listening", found);
}

/// What a running gateway says of its keys and breakers, where it says so: to who asks from this machine, or shows a key that may look.
fn tell_health(health: &Value, report: &mut Report) {
    let states = health["keys"].as_object().into_iter().flatten();
    let resting = states.filter(|(state, count)| *state != "healthy" && **count != 0);
    let resting: Vec<String> = resting
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if !resting.is_empty() {
        let advice = "`lingate key-pools list` says whose";
        report.note("keys at rest", format!("{}; {advice}", resting.join(", ")));
    }
    for why in health["unready"].as_array().into_iter().flatten() {
        report.note("cannot serve now", why.as_str().unwrap_or_default());
    }
}

/// Asks the first address of a provider for its models, which costs nothing.
async fn reach(clients: &Clients, provider: &Provider) -> Result<String, Fault> {
    let Some(endpoint) = provider.endpoints.first() else {
        return Err(Fault::new("no address", "give it a base_url"));
    };
    let wrong_address = |error: &dyn std::fmt::Display| {
        Fault::new(
            error.to_string(),
            "look at its `base_url` and `proxy`, and at the network",
        )
    };
    let mut request = Request::new(Payload::from(bytes::Bytes::new()));
    *request.uri_mut() = format!("{}/models", endpoint.base_url)
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong_address(&error))?;
    let key = provider.keys.keys().next();
    for (name, value) in &endpoint.headers {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::from_bytes(name.as_bytes()),
            http::HeaderValue::from_str(value),
        ) {
            request.headers_mut().insert(name, value);
        }
    }
    if let Some(key) = key.as_ref().filter(|key| !key.is_none()) {
        lingate_upstream::authorize(
            request.headers_mut(),
            &endpoint.auth.header,
            &endpoint.auth.format,
            key.secret(),
        )
        .map_err(|error| wrong_address(&error))?;
    }
    let client = clients
        .get(provider.proxy.as_deref())
        .map_err(|error| wrong_address(&error))?;
    let answer = lingate_upstream::send(&client, request, PATIENCE)
        .await
        .map_err(|error| wrong_address(&error))?;
    let status = answer.status().as_u16();
    match status {
        401 | 403 if key.is_some() => Err(Fault::new(
            format!("reachable, refuses the key ({status})"),
            "give it another key; the first of `keys` was tried",
        )),
        500..=599 => Err(Fault::new(
            format!("reachable, fails ({status})"),
            "the provider has trouble: its status page says more",
        )),
        // Not every provider lists its models: any other answer shows that it is there.
        status => Ok(format!("reachable ({status})")),
    }
}
