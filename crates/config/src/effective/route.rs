//! A route as it is in effect.

use lingate_routing::{
    By, FallbacksOn, Language, LastResort, Measure, Mirror, Mode, Retry, Route, RouteTarget,
    Snapshot, Split, Strategy, StreamPolicy, TimeSpan, When,
};
use serde_json::{Map, Value, json};

use super::{anti_truncation, duration};
use crate::routes::{shown_days, shown_time};

pub(super) fn route(route: &Route, snapshot: &Snapshot) -> Value {
    let Route {
        name,
        model,
        when,
        mode,
        strategy,
        prefer_same_dialect,
        targets,
        split,
        fallbacks,
        fallbacks_on,
        retry,
        last_resort,
        mirror,
        stream,
        continuations,
        turns: _,
    } = route;
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    if let Some(name) = name {
        put("name", json!(name));
    }
    put("model", json!(model.to_string()));
    if !when.is_empty() {
        put("when", conditions(when));
    }
    if let Some(mode) = mode {
        put(
            "mode",
            json!(match mode {
                Mode::Transform => "transform",
                Mode::Direct => "direct",
            }),
        );
    }
    if let Some(shown) = split {
        put("split", experiment(shown));
    } else {
        put("strategy", choice(*strategy));
        if *prefer_same_dialect {
            put("prefer_same_dialect", json!(true));
        }
        let shown: Vec<Value> = targets
            .iter()
            .map(|shown| target(shown, snapshot))
            .collect();
        put("targets", shown.into());
    }
    if !fallbacks.is_empty() {
        put("fallbacks", json!(fallbacks));
    }
    let FallbacksOn {
        context_length,
        refusal,
        timeout,
    } = fallbacks_on;
    let causes: Map<String, Value> = [
        ("context_length", context_length),
        ("refusal", refusal),
        ("timeout", timeout),
    ]
    .into_iter()
    .filter_map(|(cause, models)| Some((cause.to_owned(), json!(models.as_ref()?))))
    .collect();
    if !causes.is_empty() {
        put("fallbacks_on", causes.into());
    }
    let Retry {
        attempts,
        deadline,
        only_within,
    } = retry;
    if *retry != Retry::default() {
        let mut shown = Map::new();
        shown.insert(
            "attempts".to_owned(),
            json!(attempts.unwrap_or(Retry::ATTEMPTS)),
        );
        for (name, time) in [("deadline", deadline), ("only_within", only_within)] {
            if let Some(time) = time {
                shown.insert(name.to_owned(), json!(duration(*time)));
            }
        }
        put("retry", shown.into());
    }
    match last_resort {
        LastResort::Usual => None,
        LastResort::Refuse => put("last_resort", json!("refuse")),
        LastResort::LeastBad => put("last_resort", json!("least_bad")),
        LastResort::Queue(time) => put("last_resort", json!({"queue": duration(*time)})),
        LastResort::Fallback(model) => put("last_resort", json!({"fallback": model})),
    };
    if let Some(shown) = mirror {
        put("mirror", mirrored(shown, snapshot));
    }
    if let Some(stream) = stream {
        put(
            "stream",
            json!(match stream {
                StreamPolicy::Auto => "auto",
                StreamPolicy::Never => "never",
                StreamPolicy::Always => "always",
            }),
        );
    }
    if let Some(continuations) = continuations {
        put("anti_truncation", anti_truncation(*continuations));
    }
    out.into()
}

fn target(target: &RouteTarget, snapshot: &Snapshot) -> Value {
    let RouteTarget {
        provider,
        model,
        weight,
        priority,
        keys,
    } = target;
    let mut out = json!({"provider": name(*provider, snapshot)});
    if let Some(model) = model {
        out["model"] = json!(model);
    }
    out["weight"] = json!(weight);
    out["priority"] = json!(priority);
    if !keys.is_empty() {
        out["keys"] = json!(keys);
    }
    out
}

fn mirrored(mirror: &Mirror, snapshot: &Snapshot) -> Value {
    let Mirror {
        provider,
        model,
        share,
    } = mirror;
    let mut out = json!({"provider": name(*provider, snapshot)});
    if let Some(model) = model {
        out["model"] = json!(model);
    }
    out["share"] = json!(format!("{}%", f64::from(*share) / 1e4));
    out
}

fn name(provider: usize, snapshot: &Snapshot) -> Option<&str> {
    let provider = snapshot.providers.get(provider)?;
    Some(&provider.name)
}

fn choice(strategy: Strategy) -> Value {
    match strategy {
        Strategy::Priority => json!("priority"),
        Strategy::Weighted => json!("weighted"),
        Strategy::RoundRobin => json!("round_robin"),
        Strategy::LeastBusy => json!("least_busy"),
        Strategy::Latency(measure) => json!({"latency": match measure {
            Measure::FirstToken => "first_token",
            Measure::PerToken => "per_token",
        }}),
        Strategy::Cheapest => json!("cheapest"),
        Strategy::Sticky(by) => json!({"sticky": what(by)}),
        Strategy::Quota => json!("quota"),
    }
}

fn what(by: By) -> &'static str {
    match by {
        By::Session => "session",
        By::Prefix => "prefix",
        By::User => "user",
        By::Key => "key",
    }
}

fn experiment(split: &Split) -> Value {
    let Split { name, sticky, arms } = split;
    let mut out = json!({"name": name});
    if let Some(by) = sticky {
        out["sticky"] = json!(what(*by));
    }
    let arms: Vec<Value> = arms
        .iter()
        .map(|arm| json!({"weight": arm.weight, "model": arm.model}))
        .collect();
    out["arms"] = arms.into();
    out
}

fn conditions(when: &When) -> Value {
    let When {
        tenants,
        keys,
        tags,
        headers,
        dialects,
        stream,
        times,
        users,
        max_output,
        thinking,
        images,
        tools,
        tokens,
        keywords,
        languages,
    } = when;
    let mut out = Map::new();
    let mut put = |name: &str, said: Vec<Value>| {
        if !said.is_empty() {
            out.insert(name.to_owned(), said.into());
        }
    };
    put("tenant", texts(tenants));
    put("key", texts(keys));
    put("tag", texts(tags));
    for (header, pattern) in headers {
        put(
            &format!("header.{header}"),
            vec![json!(pattern.to_string())],
        );
    }
    let named = dialects.iter().map(|dialect| json!(dialect.name()));
    put("dialect", named.collect());
    put("time", times.iter().map(time).collect());
    put("user", texts(users));
    put("tools", texts(tools));
    put("keyword", texts(keywords));
    let named = languages.iter().map(|language| json!(tongue(*language)));
    put("language", named.collect());
    for (name, flag) in [
        ("stream", stream),
        ("thinking", thinking),
        ("images", images),
    ] {
        if let Some(flag) = flag {
            out.insert(name.to_owned(), json!(flag));
        }
    }
    for (name, range) in [("tokens", tokens), ("max_output", max_output)] {
        if let Some((least, most)) = range {
            let most = match *most {
                u64::MAX => String::new(),
                most => most.to_string(),
            };
            out.insert(name.to_owned(), json!(format!("{least}..{most}")));
        }
    }
    out.into()
}

fn texts<T: ToString>(items: &[T]) -> Vec<Value> {
    items.iter().map(|item| json!(item.to_string())).collect()
}

fn time(span: &TimeSpan) -> Value {
    let TimeSpan {
        from,
        to,
        days,
        zone,
    } = span;
    let mut out = json!({"between": shown_time(*from, *to)});
    if days.contains(&false) {
        out["days"] = json!(shown_days(*days));
    }
    out["zone"] = json!(zone);
    out
}

fn tongue(language: Language) -> &'static str {
    match language {
        Language::Chinese => "chinese",
        Language::Japanese => "japanese",
        Language::Korean => "korean",
        Language::Russian => "russian",
        Language::Arabic => "arabic",
        Language::Latin => "latin",
    }
}
