//! The configuration as it is in effect, for people to read: everything filled in, secrets masked.

pub(crate) mod limits;
mod prices;
mod route;
mod tenants;

use std::time::Duration;

use lingate_catalog::{Overrides, Patch};
use lingate_metering::pricing::Prices;
use lingate_routing::{
    Auth, BreakerRules, HealthCheck, KeyLimits, KeySettings, Kind, LossPolicy, Mode, Provider,
    StreamPolicy, UsagePolicy, label,
};
use serde_json::{Map, Value, json};

use crate::Loaded;

/// YAML in the shape of `lingate.yml`. Of keys only the last four characters are shown, of callers' keys the names; header
/// values that the configuration adds and a proxy's password are masked.
pub fn effective(loaded: &Loaded) -> String {
    let mut out = String::new();
    write(&tree(loaded), 0, &mut out);
    out
}

/// The same as a tree of plain values, without the keys of providers, of which there may be very many.
pub fn shown(loaded: &Loaded) -> Value {
    build(loaded, false)
}

/// The same as a tree of plain values.
pub(crate) fn tree(loaded: &Loaded) -> Value {
    build(loaded, true)
}

fn build(loaded: &Loaded, keys: bool) -> Value {
    let Loaded {
        settings,
        snapshot,
        declared,
        prices,
        origins: _,
        notes: _,
        source: _,
        secret_files: _,
    } = loaded;
    let (defaults, state, usage) = (&snapshot.defaults, &snapshot.state, &settings.usage);
    let mut root = json!({
        "listen": settings.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "mode": match snapshot.mode {
            Mode::Transform => "transform",
            Mode::Direct => "direct",
        },
        "auth": match snapshot.auth {
            Auth::Open => "open",
            Auth::Passthrough => "passthrough",
            Auth::Keys => "keys",
        },
        "data": settings.data.display().to_string(),
        "state": {
            "enabled": state.enabled,
            "ttl": duration(state.ttl),
            "size": size(state.size),
            "size_per_key": size(state.size_per_key),
        },
        "database": settings.database.to_string(),
        "counters": settings.counters.to_string(),
        "on_counter_outage": settings.on_counter_outage.name(),
        "usage": {
            "records": age(usage.records),
            "minutes": age(usage.minutes),
            "hours": age(usage.hours),
            "days": age(usage.days),
            "journal": {
                "size": size(usage.journal_size),
                "when_full": usage.when_full.name(),
            },
        },
        "defaults": {
            "max_tokens": defaults.max_tokens,
            "request_timeout": duration(defaults.request_timeout),
            "first_byte_timeout": duration(defaults.first_byte_timeout),
            "idle_timeout": duration(defaults.idle_timeout),
            "connect_timeout": duration(defaults.connect_timeout),
            "body_limit": size(defaults.body_limit),
            "force_non_stream": defaults.handling.stream == StreamPolicy::Never,
            "anti_truncation": anti_truncation(defaults.handling.continuations),
            "losses": match defaults.losses {
                LossPolicy::Ignore => "ignore",
                LossPolicy::Report => "report",
                LossPolicy::Reject => "reject",
            },
            "usage": match defaults.usage {
                UsagePolicy::AsReported => "as_reported",
                UsagePolicy::Require => "require",
            },
            "subagent_tag": defaults.subagent_tag,
        },
    });
    if !settings.admin_listen.is_empty() {
        let addresses = settings.admin_listen.iter().map(ToString::to_string);
        root["admin_listen"] = addresses.collect::<Vec<_>>().into();
    }
    tenants::tell(declared, &mut root);
    if !snapshot.trusted_proxies.is_empty() {
        let proxies = snapshot.trusted_proxies.iter();
        root["trusted_proxies"] = proxies.map(ToString::to_string).collect();
    }
    let preferred = snapshot
        .preferred_provider
        .and_then(|index| snapshot.providers.get(index));
    if let Some(preferred) = preferred {
        root["preferred_provider"] = json!(preferred.name);
    }
    let providers: Map<String, Value> = snapshot
        .providers
        .iter()
        .map(|row| (row.name.clone(), provider(row, prices, keys)))
        .collect();
    root["providers"] = Value::Object(providers);
    prices::sections(prices, &mut root);
    tenants::tell_plans(declared, &mut root);
    if !snapshot.routes.is_empty() {
        let routes: Vec<Value> = snapshot
            .routes
            .iter()
            .map(|row| route::route(row, snapshot))
            .collect();
        root["routes"] = routes.into();
    }
    root
}

fn provider(provider: &Provider, prices: &Prices, keys: bool) -> Value {
    if provider.kind == Kind::Demo {
        return json!({});
    }
    let mut out = Map::new();
    if let Some(id) = &provider.catalog_id
        && *id != provider.name
    {
        out.insert("catalog".to_owned(), json!(id));
    }
    let dialects: Vec<&str> = provider
        .endpoints
        .iter()
        .map(|endpoint| endpoint.dialect.name())
        .collect();
    out.insert("dialects".to_owned(), json!(dialects));
    let mut endpoints = Map::new();
    let mut headers = Map::new();
    for endpoint in &provider.endpoints {
        let auth = &endpoint.auth;
        endpoints.insert(
            endpoint.dialect.name().to_owned(),
            json!({"url": endpoint.base_url, "auth": {"header": auth.header, "format": auth.format}}),
        );
        let (_, usual) = lingate_catalog::builtin().endpoint_defaults(endpoint.dialect);
        for (name, value) in endpoint
            .headers
            .iter()
            .filter(|header| !usual.contains(header))
        {
            headers.insert(name.clone(), json!(label(value)));
        }
    }
    out.insert("endpoints".to_owned(), Value::Object(endpoints));
    if !headers.is_empty() {
        out.insert("headers".to_owned(), Value::Object(headers));
    }
    if keys {
        let keys = provider.keys.settings();
        let keys: Vec<Value> = keys.map(|settings| key(&settings)).collect();
        out.insert("keys".to_owned(), keys.into());
    }
    out.insert("breaker".to_owned(), breaker(provider.health.rules()));
    if let Some(HealthCheck { interval, model }) = &provider.health_check {
        let mut shown = json!({"interval": duration(*interval)});
        if let Some(model) = model {
            shown["model"] = json!(model);
        }
        out.insert("health_check".to_owned(), shown);
    }
    if let Some(proxy) = &provider.proxy {
        let shown = match (proxy.split_once("://"), proxy.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
            _ => proxy.clone(),
        };
        out.insert("proxy".to_owned(), json!(shown));
    }
    if !provider.models.is_empty() {
        out.insert("models".to_owned(), json!(provider.models));
    }
    let Overrides { all, models } = &provider.quirks;
    if *all != Patch::default() {
        out.insert("quirks".to_owned(), json!(all));
    }
    if !models.is_empty() {
        let models: Map<String, Value> = models
            .iter()
            .map(|(pattern, said)| (pattern.clone(), json!(said)))
            .collect();
        out.insert("model_quirks".to_owned(), Value::Object(models));
    }
    if let Some(own) = prices::own(prices, &provider.name) {
        out.insert("prices".to_owned(), own);
    }
    if provider.repair_streams {
        out.insert("repair_streams".to_owned(), json!(true));
    }
    Value::Object(out)
}

/// The last four characters, or with settings a record.
fn key(settings: &KeySettings<'_>) -> Value {
    let KeySettings {
        key,
        weight,
        tags,
        account,
        limits,
        disabled,
    } = settings;
    let KeyLimits {
        concurrency,
        requests_per_minute,
        tokens_per_minute,
    } = limits;
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("key", json!(key.label()));
    if *weight != 1 {
        put("weight", json!(weight));
    }
    if !tags.is_empty() {
        let tags: Vec<&str> = tags.iter().map(|tag| &**tag).collect();
        put("tags", json!(tags));
    }
    if let Some(account) = account {
        put("account", json!(account));
    }
    if let Some(limit) = concurrency {
        put("concurrency", json!(limit));
    }
    if let Some(limit) = requests_per_minute {
        put("requests_per_minute", json!(limit));
    }
    if let Some(limit) = tokens_per_minute {
        put("tokens_per_minute", json!(limit));
    }
    if let Some(reason) = disabled {
        put("disabled", json!(reason));
    }
    if out.len() == 1 {
        return json!(key.label());
    }
    out.into()
}

fn breaker(rules: &BreakerRules) -> Value {
    let BreakerRules {
        enabled,
        window,
        requests,
        ratio,
        cooldown,
        longest,
    } = rules;
    if !enabled {
        return json!(false);
    }
    json!({
        "window": duration(*window),
        "requests": requests,
        "ratio": format!("{}%", f64::from(*ratio) / 10.0),
        "cooldown": duration(*cooldown),
        "longest": duration(*longest),
    })
}

fn anti_truncation(continuations: u32) -> Value {
    match continuations {
        0 => json!(false),
        attempts => json!({"attempts": attempts}),
    }
}

fn duration(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

fn age(age: Option<Duration>) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match age.map(|age| age.as_secs()) {
        None => "forever".to_owned(),
        Some(seconds) if seconds.is_multiple_of(DAY) => format!("{}d", seconds / DAY),
        Some(seconds) => format!("{seconds}s"),
    }
}

fn size(bytes: u64) -> Value {
    if bytes.is_multiple_of(1 << 20) {
        json!(format!("{}MiB", bytes >> 20))
    } else {
        json!(bytes)
    }
}

/// Maps and lists in block form, one entry a line; texts are quoted where they could be read as something else.
pub(crate) fn write(value: &Value, indent: usize, out: &mut String) {
    let start = |out: &mut String| out.extend(std::iter::repeat_n("  ", indent));
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                start(out);
                out.push_str(&scalar(name));
                out.push(':');
                nested(value, indent + 1, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                start(out);
                out.push('-');
                if let Value::Object(map) = item
                    && !map.is_empty()
                {
                    // The first key stands behind the dash, the others below it.
                    let mut inner = String::new();
                    write(item, indent + 1, &mut inner);
                    out.push(' ');
                    out.push_str(inner.trim_start());
                } else {
                    nested(item, indent + 1, out);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            nested(value, indent, out);
        }
    }
}

fn nested(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            write(value, indent, out);
        }
        Value::String(text) => {
            out.push(' ');
            out.push_str(&scalar(text));
            out.push('\n');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            out.push(' ');
            out.push_str(&value.to_string());
            out.push('\n');
        }
    }
}

fn scalar(text: &str) -> String {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "none"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.parse::<f64>().is_err()
        && !text.ends_with(':')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./:@+".contains(c))
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        // YAML breaks lines where JSON does not, and knows characters that JSON does not escape.
        Value::from(text)
            .to_string()
            .replace('\u{7f}', "\\u007f")
            .replace('\u{85}', "\\u0085")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029")
            .replace('\u{feff}', "\\ufeff")
    }
}
