//! An explanation, as scripts read it.

use std::time::Duration;

use lingate_dialect::DialectId;
use lingate_routing::{
    ClaimedBy, ExplainedCandidate, ExplainedLeg, Explanation, LastResort, Moment, On, Retry,
    Strategy, Verdict,
};
use serde_json::{Map, Value, json};

use super::wall::Wall;
use crate::service::no_route;

/// `now`: as the explanation was asked for.
pub(super) fn tell(explained: &Explanation, dialect: DialectId, now: Moment, wall: Wall) -> Value {
    let mut told = Map::new();
    told.insert("model".to_owned(), json!(explained.model));
    told.insert("dialect".to_owned(), json!(dialect.name()));
    verdict(explained, dialect, now, wall, &mut told);
    told.insert("claimed".to_owned(), claimed(&explained.claimed));
    let passed = explained
        .passed_over
        .iter()
        .map(|passed| json!({"route": passed.index, "model": passed.pattern, "why": passed.why}));
    told.insert("passed_over".to_owned(), passed.collect());
    told.insert(
        "passed_over_more".to_owned(),
        json!(explained.passed_over_more),
    );
    let legs = explained.legs.iter().map(|told| leg(told, now, wall));
    told.insert("legs".to_owned(), legs.collect());
    let mirror = explained.mirror.as_ref().map(|mirror| {
        let share = f64::from(mirror.share) / 1e6;
        json!({"provider": mirror.provider, "model": mirror.model, "share": share})
    });
    told.insert("mirror".to_owned(), json!(mirror));
    told.insert("retry".to_owned(), retry(explained.retry));
    told.insert(
        "last_resort".to_owned(),
        last_resort(&explained.last_resort),
    );
    Value::Object(told)
}

/// How much is tried.
pub(super) fn retry(retry: Retry) -> Value {
    let Retry {
        attempts,
        deadline,
        only_within,
    } = retry;
    json!({
        "attempts": attempts.unwrap_or(Retry::ATTEMPTS),
        "deadline_ms": deadline.map(millis),
        "only_within_ms": only_within.map(millis),
    })
}

/// What is done when everything rests.
pub(super) fn last_resort(last: &LastResort) -> Value {
    match last {
        LastResort::Usual => json!({"do": "usual"}),
        LastResort::Refuse => json!({"do": "refuse"}),
        LastResort::LeastBad => json!({"do": "least_bad"}),
        LastResort::Queue(patience) => json!({"do": "queue", "wait_ms": millis(*patience)}),
        LastResort::Fallback(model) => json!({"do": "fallback", "model": model}),
    }
}

/// What would become of the request, in a word, and in words.
fn verdict(
    explained: &Explanation,
    dialect: DialectId,
    now: Moment,
    wall: Wall,
    into: &mut Map<String, Value>,
) {
    let seconds = |until: Moment| now.until(until).as_millis().div_ceil(1000);
    let (word, message) = match &explained.verdict {
        Verdict::Goes {
            leg,
            candidate,
            chosen,
        } => {
            let found = explained.legs.get(*leg);
            if let Some(found) = found.and_then(|leg| leg.candidates.get(*candidate)) {
                let first = json!({
                    "leg": leg,
                    "candidate": candidate,
                    "provider": found.provider,
                    "model": found.model,
                    "key": found.key,
                    "chosen": chosen.name(),
                });
                into.insert("goes_to".to_owned(), first);
            }
            ("goes", None)
        }
        Verdict::Waits(until) => {
            into.insert("until".to_owned(), json!(wall.time(*until)));
            let wait = seconds(*until);
            (
                "waits",
                Some(format!("it waits {wait} s until something is ready")),
            )
        }
        Verdict::Refused { ready_at, limited } => {
            let status = match (limited, dialect) {
                (true, _) => 429,
                (false, DialectId::Messages) => 529,
                (false, _) => 503,
            };
            into.insert("status".to_owned(), json!(status));
            let until = ready_at.and_then(|at| wall.time(at));
            into.insert("until".to_owned(), json!(until));
            let when = ready_at.map_or_else(String::new, |at| {
                format!("; something is in {} s", seconds(at))
            });
            ("refused", Some(format!("nothing is ready{when}")))
        }
        Verdict::NoRoute(none) => {
            let status = no_route(none, false).status(dialect);
            into.insert("status".to_owned(), json!(status));
            into.insert("close".to_owned(), json!(none.close));
            ("no_route", Some(none.to_string()))
        }
    };
    into.insert("verdict".to_owned(), json!(word));
    into.insert("message".to_owned(), json!(message));
}

fn claimed(claimed: &ClaimedBy) -> Value {
    let by = match claimed {
        ClaimedBy::Route { index, pattern } => {
            return json!({"by": "route", "route": index, "model": pattern});
        }
        ClaimedBy::WrittenOut => "written_out",
        ClaimedBy::Catalogue => "catalogue",
        ClaimedBy::Declared => "declared",
        ClaimedBy::Preferred => "preferred_provider",
        ClaimedBy::Only => "only_provider",
        ClaimedBy::Nobody => "nobody",
    };
    json!({"by": by})
}

fn leg(leg: &ExplainedLeg, now: Moment, wall: Wall) -> Value {
    let on = match leg.on {
        On::Asked => "asked",
        On::Failure => "failure",
        On::ContextLength => "context_length",
        On::Refusal => "refusal",
        On::Timeout => "timeout",
        On::LastResort => "last_resort",
    };
    let arms = leg.arms.iter().map(|arm| {
        json!({
            "split": arm.split,
            "route": arm.route,
            "model": arm.model,
            "weight": arm.weight,
            "of": arm.of,
            "by": arm.by.map(lingate_routing::By::name),
            "sticky_but_unknown": arm.unknown,
        })
    });
    let mut told = Map::new();
    told.insert("on".to_owned(), json!(on));
    told.insert("name".to_owned(), json!(leg.name));
    told.insert("model".to_owned(), json!(leg.model));
    told.insert("claimed".to_owned(), claimed(&leg.claimed));
    told.insert("splits".to_owned(), arms.collect());
    told.insert("strategy".to_owned(), json!(leg.strategy.name()));
    if let Strategy::Sticky(by) = leg.strategy {
        let sticky = json!({"by": by.name(), "known": leg.sticky});
        told.insert("sticky".to_owned(), sticky);
    }
    told.insert(
        "prefer_same_dialect".to_owned(),
        json!(leg.prefer_same_dialect),
    );
    let candidates = leg.candidates.iter().map(|told| candidate(told, now, wall));
    told.insert("candidates".to_owned(), candidates.collect());
    Value::Object(told)
}

fn candidate(candidate: &ExplainedCandidate, now: Moment, wall: Wall) -> Value {
    let ExplainedCandidate {
        provider,
        model,
        dialect,
        converted,
        tier,
        weight,
        in_flight,
        first_token,
        per_token,
        price,
        headroom,
        context_window,
        keys,
        key,
        probe,
        not,
    } = candidate;
    let skipped = not.as_ref().map(|not| {
        json!({
            "why": not.name(),
            "told": not.told(now),
            "until": not.until().and_then(|until| wall.time(until)),
        })
    });
    let rounded = |part: f32| (f64::from(part) * 1000.0).round() / 1000.0;
    let mean = |mean: Duration| (mean.as_secs_f64() * 1e6).round() / 1e3;
    json!({
        "provider": provider,
        "model": model,
        "dialect": dialect.map(DialectId::name),
        "converted": converted,
        "tier": tier,
        "weight": weight,
        "in_flight": in_flight,
        "first_token_ms": first_token.map(mean),
        "per_token_ms": per_token.map(mean),
        "price_nano_usd": price,
        "headroom": headroom.map(rounded),
        "context_window": context_window,
        "keys": keys.all,
        "keys_ready": keys.ready,
        "key": key,
        "probe": probe,
        "skipped": skipped,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
