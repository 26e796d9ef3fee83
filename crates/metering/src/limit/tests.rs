//! Requests held against limits, with counters that are as simple as can be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use lingate_catalog::Money;
use lingate_dialect::DialectId;
use serde_json::json;

use super::*;
use crate::counter::{CounterKey, Refusal, Reserved, Span};

/// 2026-11-30T12:00:10Z, a Monday.
pub(super) const NOW: Millis = 1_796_040_010_000;

/// Amounts by counter and time.
#[derive(Debug, Default)]
pub(super) struct Simple(BTreeMap<(CounterKey, Millis), u64>);

impl Simple {
    fn place(counter: CounterKey, span: Span) -> (CounterKey, Millis) {
        match span {
            Span::Fixed { begins, .. } => (counter, begins),
            Span::Slots { .. } | Span::Held => (counter, 0),
        }
    }

    pub(super) fn used(&self, charges: &Charges) -> Vec<u64> {
        let used = |charge: &crate::counter::Charge| {
            let place = Self::place(charge.counter, charge.span);
            self.0.get(&place).copied().unwrap_or(0)
        };
        charges.list.iter().map(used).collect()
    }

    pub(super) fn reserve(&mut self, charges: &Charges) -> Reserved {
        let used = self.used(charges);
        let refusals: Vec<Refusal> = charges
            .list
            .iter()
            .zip(&used)
            .enumerate()
            .filter(|(_, (charge, used))| {
                charge
                    .capacity
                    .is_some_and(|capacity| **used + charge.ask > capacity)
            })
            .map(|(place, (charge, used))| Refusal {
                charge: place,
                used: *used,
                free_at: match charge.span {
                    Span::Slots { .. } => Some(NOW + 1_500),
                    Span::Fixed { ends, .. } => Some(ends),
                    Span::Held => None,
                },
            })
            .collect();
        if !refusals.is_empty() {
            return Reserved::Refused(refusals);
        }
        for charge in &charges.list {
            *self
                .0
                .entry(Self::place(charge.counter, charge.span))
                .or_default() += charge.ask;
        }
        Reserved::Taken(self.used(charges))
    }
}

/// Limits of these levels, each given by what is not usual about it.
pub(super) fn bounds(limits: &[(Level, serde_json::Value)]) -> Bounds {
    let mut place = 0;
    let mut all = Vec::new();
    for limits in limits.chunk_by(|(one, _), (other, _)| one == other) {
        let level = limits[0].0;
        let name = match level {
            Level::Key => "laptop",
            Level::User => "alice",
            Level::Project => "acme/web",
            Level::Organization | Level::Wallet => "acme",
        };
        let scope = Scope {
            level,
            id: Id::declared(&[name]),
            name: name.to_owned(),
            plan: None,
        };
        let limits: Vec<Limit> = limits
            .iter()
            .map(|(_, said)| {
                place += 1;
                let mut limit = json!({
                    "id": Id::from_u128(place),
                    "measure": "requests",
                    "amount": 10,
                    "window": {"sliding": 60},
                });
                for (key, value) in said.as_object().unwrap() {
                    limit[key] = value.clone();
                }
                serde_json::from_value(limit).unwrap()
            })
            .collect();
        all.extend(Bound::all(&limits, &scope));
    }
    all.into_iter().collect()
}

pub(super) fn facts<'a>(model: &'a str, gave_way: &'a [Id]) -> Facts<'a> {
    Facts {
        model,
        also: &[],
        provider: None,
        end_user: None,
        gave_way,
        demand: Demand {
            input_tokens: Some(100),
            output_tokens: Some(50),
            images: Some(2),
            cost: Some(Money::from_nano(1_000_000_000)),
        },
    }
}

/// What becomes of a request for a model: `ok`, `→ b ok`, `no: …`.
fn ask(bounds: &Bounds, counters: &mut Simple, model: &str) -> String {
    let mut model = model.to_owned();
    let mut gave_way = Vec::new();
    let mut said = String::new();
    loop {
        let facts = facts(&model, &gave_way);
        let charges = bounds.charges(&facts, NOW);
        match charges.decide(&counters.reserve(&charges), &facts, NOW) {
            Decision::Admitted(events) => {
                said.push_str("ok");
                for event in events {
                    write!(said, " {:?}", event.what).unwrap();
                }
                return said;
            }
            Decision::Downgraded(downgrade) => {
                write!(said, "→ {} ", downgrade.to).unwrap();
                gave_way.push(downgrade.limit);
                model = downgrade.to;
            }
            Decision::Refused(refused) => {
                write!(said, "no: {}", refused.exceeded[0]).unwrap();
                return said;
            }
        }
    }
}

fn asks(bounds: &Bounds, models: &[&str]) -> Vec<String> {
    let mut counters = Simple::default();
    let ask = |model: &&str| ask(bounds, &mut counters, model);
    models.iter().map(ask).collect()
}

#[test]
fn each_measure_has_its_charge() {
    for (measure, window, expect) in [
        ("requests", json!({"sliding": 60}), 1),
        ("input_tokens", json!({"sliding": 60}), 100),
        ("output_tokens", json!({"sliding": 60}), 50),
        ("tokens", json!({"sliding": 60}), 150),
        ("images", json!({"sliding": 60}), 2),
        ("cost", json!("total"), 1_000_000_000),
        ("concurrency", json!("now"), 1),
    ] {
        let bounds = bounds(&[(Level::Key, json!({"measure": measure, "window": window}))]);
        let charges = bounds.charges(&facts("m", &[]), NOW);
        assert_eq!(charges.list[0].ask, expect, "{measure}");
        assert_eq!(charges.list[0].capacity, Some(10), "{measure}");
        // Nobody knows: what was reserved stays, but for what is under way.
        let settled = charges.settle(&Demand::default());
        let held = measure == "concurrency";
        assert_eq!(settled[0].ask, if held { 0 } else { expect }, "{measure}");
        let settled = charges.settle(&Demand::NOTHING);
        let counted = measure == "requests";
        assert_eq!(settled[0].ask, u64::from(counted), "{measure}");
        assert_eq!(settled[0].counter, charges.list[0].counter);
    }
}

#[test]
fn only_limits_that_apply_are_charged() {
    let limits = bounds(&[
        (Level::Key, json!({})),
        (Level::Key, json!({"model": "gpt-4o*"})),
        (Level::User, json!({"provider": "openai"})),
        (Level::Project, json!({"each": ["provider"]})),
        (
            Level::Organization,
            json!({"provider": "openai", "model": "gpt-4o"}),
        ),
    ]);
    let of = |facts: Facts<'_>| -> Vec<u128> {
        let charges = limits.charges(&facts, NOW);
        let ids = charges.iter().map(|(_, charged)| charged.bound.limit().id);
        ids.map(Id::as_u128).collect()
    };
    let facts = facts("gpt-4o", &[]);
    assert!(limits.are_of_providers());
    assert_eq!(of(facts), [1, 2]);
    assert_eq!(
        of(Facts {
            model: "o3",
            ..facts
        }),
        [1]
    );
    // Another spelling of the model is no way around.
    let also = &["openai/gpt-4o", "gpt-4o"][..];
    assert_eq!(
        of(Facts {
            model: "x",
            also,
            ..facts
        }),
        [1, 2]
    );
    assert_eq!(
        of(Facts {
            provider: Some("openai"),
            ..facts
        }),
        [3, 4, 5]
    );
    assert_eq!(
        of(Facts {
            provider: Some("azure"),
            ..facts
        }),
        [4]
    );
    assert!(bounds(&[]).charges(&facts, NOW).is_empty());
}

#[test]
fn each_has_the_amount_for_itself() {
    let limits = bounds(&[(Level::Key, json!({"each": ["end_user", "model"]}))]);
    let key = |model: &str, end_user: Option<&str>| {
        let facts = Facts {
            end_user,
            ..facts(model, &[])
        };
        limits.charges(&facts, NOW).list[0].counter
    };
    assert_eq!(key("a", Some("u")), key("a", Some("u")));
    let all = [
        key("a", Some("u")),
        key("b", Some("u")),
        key("a", Some("v")),
        key("a", Some("")),
        key("a", None),
        key("au", Some("")),
    ];
    for (place, one) in all.iter().enumerate() {
        assert!(!all[..place].contains(one), "{place}");
    }
}

#[test]
fn counters_outlive_changes_of_the_amount() {
    let key = |said: serde_json::Value| {
        let bounds = bounds(&[(Level::Key, said)]);
        let facts = Facts {
            provider: None,
            ..facts("a", &[])
        };
        bounds.charges(&facts, NOW).list[0].counter
    };
    let usual = key(json!({}));
    assert_eq!(
        usual,
        key(json!({"amount": 99, "thresholds": [50], "enforcement": "soft"}))
    );
    assert_eq!(
        usual,
        key(json!({"raise": {"amount": 99, "until": NOW + 1}}))
    );
    for other in [
        json!({"id": Id::from_u128(7)}),
        json!({"measure": "tokens"}),
        json!({"window": {"sliding": 61}}),
        json!({"window": "total"}),
        json!({"window": {"calendar": {"unit": "day", "zone": "UTC"}}}),
        json!({"model": "a"}),
        json!({"each": ["model"]}),
    ] {
        assert_ne!(usual, key(other.clone()), "{other}");
    }
}

#[test]
fn amounts_are_raised_for_some_time() {
    let bounds = bounds(&[(Level::Key, json!({"raise": {"amount": 20, "until": NOW}}))]);
    let capacity = |now| bounds.charges(&facts("a", &[]), now).list[0].capacity;
    assert_eq!(capacity(NOW - 1), Some(20));
    assert_eq!(capacity(NOW), Some(10));
}

#[test]
fn windows_of_the_calendar_follow_the_clock_back_and_forth() {
    let day = json!({"calendar": {"unit": "day", "zone": "Asia/Kolkata"}});
    let bounds = bounds(&[(Level::Key, json!({"window": day}))]);
    let Window::Calendar { unit, zone } = bounds.iter().next().unwrap().limit().window.clone()
    else {
        unreachable!()
    };
    for now in [
        NOW,
        NOW + 86_400_000,
        NOW - 86_400_000,
        -1,
        0,
        NOW,
        i64::MAX,
        i64::MIN,
        NOW,
    ] {
        let Edges { begins, ends } = Edges::of(unit, &zone, now);
        let span = bounds.charges(&facts("a", &[]), now).list[0].span;
        assert_eq!(span, Span::Fixed { begins, ends }, "{now}");
    }
}

#[test]
fn hard_limits_refuse_soft_ones_tell_and_shadows_write_down() {
    for (enforcement, expect) in [
        (
            "hard",
            "no: the limit of key laptop, 1 request in 1m, is reached: 1 used; there is room again at 2026-11-30T12:00:12Z",
        ),
        ("soft", "ok Exhausted"),
        ("shadow", "ok WouldRefuse"),
    ] {
        let bounds = bounds(&[(Level::Key, json!({"amount": 1, "enforcement": enforcement}))]);
        assert_eq!(asks(&bounds, &["a", "a"]), ["ok", expect], "{enforcement}");
    }
}

#[test]
fn refused_requests_take_nothing() {
    let bounds = bounds(&[
        (Level::Key, json!({})),
        (Level::Project, json!({"amount": 1})),
    ]);
    let mut counters = Simple::default();
    for _ in 0..5 {
        ask(&bounds, &mut counters, "a");
    }
    let charges = bounds.charges(&facts("a", &[]), NOW);
    assert_eq!(counters.used(&charges), [1, 1]);
}

#[test]
fn another_model_is_asked_once_nothing_is_left() {
    let day = json!({"calendar": {"unit": "day", "zone": "UTC"}});
    let ladder = bounds(&[
        (
            Level::Key,
            json!({"amount": 1, "window": day, "downgrade": "b"}),
        ),
        (
            Level::Key,
            json!({"amount": 2, "window": day, "downgrade": "c"}),
        ),
        (Level::Organization, json!({"amount": 4, "window": day})),
    ]);
    let stop = "no: the limit of organization acme, 4 requests per day, is reached: 4 used; there is room again at 2026-12-01T00:00:00Z";
    assert_eq!(
        asks(&ladder, &["a", "a", "a", "a", "a"]),
        [
            "ok",
            "→ b ok Exhausted",
            "→ b → c ok Exhausted Exhausted",
            "→ b → c ok Exhausted Exhausted",
            stop
        ]
    );
    // Who asks for a step of the ladder gets that one, or a lower one.
    let over = "ok Exhausted Exhausted";
    assert_eq!(
        asks(&ladder, &["c", "c", "c", "b", "a"]),
        ["ok", "ok Exhausted", over, &format!("→ c {over}"), stop]
    );
    // A limit of the other model is none of the first one's.
    let other = bounds(&[
        (
            Level::Key,
            json!({"amount": 1, "model": "a", "downgrade": "b"}),
        ),
        (Level::Key, json!({"amount": 0, "model": "b"})),
    ]);
    assert_eq!(
        asks(&other, &["a", "a"]),
        [
            "ok",
            "→ b no: the limit of key laptop, 0 requests in 1m for `b`, allows nothing"
        ]
    );
    // What cannot be meant comes to an end, too.
    let circle = bounds(&[
        (
            Level::Key,
            json!({"amount": 0, "model": "a", "downgrade": "b"}),
        ),
        (
            Level::User,
            json!({"amount": 0, "model": "b", "downgrade": "a"}),
        ),
    ]);
    assert_eq!(asks(&circle, &["a"]), ["→ b → a ok Exhausted"]);
}

#[test]
fn thresholds_are_told_once() {
    let bounds = bounds(&[(
        Level::Project,
        json!({"measure": "tokens", "amount": 1_000, "thresholds": [50, 80, 100]}),
    )]);
    let mut counters = Simple::default();
    let mut announced = BTreeSet::new();
    let mut told = Vec::new();
    for request in 0.. {
        let charges = bounds.charges(&facts("a", &[]), NOW);
        let Reserved::Taken(used) = counters.reserve(&charges) else {
            break;
        };
        let truth = Demand::of(
            &lingate_dialect::hub::Usage {
                input: 100,
                output: 50,
                ..Default::default()
            },
            0,
            None,
        );
        let events = charges.thresholds(&used, &truth, NOW);
        for event in events
            .into_iter()
            .filter(|event| announced.insert(event.id))
        {
            let What::Threshold { percent } = event.what else {
                unreachable!()
            };
            told.push((request, percent, event.used));
        }
    }
    assert_eq!(told, [(3, 50, 600), (5, 80, 900)]);
    // What was reserved and not used does not count.
    let charges = bounds.charges(&facts("a", &[]), NOW);
    assert!(charges.thresholds(&[500], &Demand::NOTHING, NOW).is_empty());
    assert_eq!(charges.thresholds(&[500], &Demand::default(), NOW).len(), 1);
    // The next window is another one.
    let id = |now| charges.thresholds(&[500], &Demand::default(), now)[0].id;
    assert_eq!(id(NOW), id(NOW + 1));
    assert_ne!(id(NOW), id(NOW + 60_000));
}

#[test]
fn what_has_no_price_is_told() {
    let bounds = bounds(&[(Level::Key, json!({"measure": "cost", "window": "total"}))]);
    let mut facts = facts("a", &[]);
    facts.demand.cost = None;
    let charges = bounds.charges(&facts, NOW);
    let Decision::Admitted(events) = charges.decide(&Reserved::Taken(vec![0]), &facts, NOW) else {
        panic!("refused");
    };
    let model = "a".to_owned();
    assert_eq!(events[0].what, What::Unpriced { model });
}

#[test]
fn what_has_no_price_is_refused_where_it_is_unwanted() {
    let cost = |more: serde_json::Value| {
        let mut limit = json!({"measure": "cost", "window": "total", "unpriced": "refuse"});
        for (key, value) in more.as_object().unwrap() {
            limit[key] = value.clone();
        }
        bounds(&[(Level::Key, limit)])
    };
    let check = |bounds: &Bounds, model: &str, gave_way: &[Id]| {
        let mut facts = facts(model, gave_way);
        facts.demand.cost = None;
        let charges = bounds.charges(&facts, NOW);
        let reserved = Simple::default().reserve(&charges);
        charges.decide(&reserved, &facts, NOW)
    };
    for amount in [0, 1, 10, crate::counter::MOST] {
        let bounds = cost(json!({"amount": amount}));
        let Decision::Refused(refused) = check(&bounds, "a", &[]) else {
            panic!("{amount}");
        };
        let model = "a".to_owned();
        assert_eq!(refused.events[0].what, What::Unpriced { model });
        let error = refused.error();
        assert_eq!((error.may_pass(), error.retry_after), (false, None));
    }
    // Another model is asked where one is named, whatever that one costs.
    let bounds = cost(json!({"downgrade": "b"}));
    let Decision::Downgraded(downgrade) = check(&bounds, "a", &[]) else {
        panic!("not downgraded");
    };
    let admitted = check(&bounds, "b", &[downgrade.limit]);
    assert!(matches!(admitted, Decision::Admitted(_)), "{admitted:?}");
}

/// `LINGATE_BLESS=1` writes the file anew.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the core does no I/O, and this writes what it is compared with"
)]
fn refusals_are_said_in_every_dialect() {
    let day = json!({"calendar": {"unit": "day", "zone": "Asia/Shanghai"}});
    let month = json!({"calendar": {"unit": "month", "zone": "Asia/Shanghai"}});
    let mut found = String::new();
    for (what, limits, used) in [
        (
            "a rate that has room again soon",
            vec![(Level::Project, json!({"name": "burst"}))],
            vec![10],
        ),
        (
            "a quota of the day",
            vec![(
                Level::User,
                json!({"measure": "tokens", "amount": 1_000_000, "window": day}),
            )],
            vec![999_900],
        ),
        (
            "money",
            vec![(
                Level::Organization,
                json!({"measure": "cost", "amount": 500_000_000_000_u64, "window": month}),
            )],
            vec![499_999_999_999],
        ),
        (
            "money, and no price is known",
            vec![(
                Level::Key,
                json!({"measure": "cost", "amount": 1_000_000_000, "window": month, "unpriced": "refuse"}),
            )],
            vec![0],
        ),
        (
            "larger than the limit",
            vec![(
                Level::Key,
                json!({"measure": "output_tokens", "amount": 49}),
            )],
            vec![0],
        ),
        (
            "nothing is allowed",
            vec![(Level::Key, json!({"amount": 0, "model": "gpt-*"}))],
            vec![0],
        ),
        (
            "used up for good",
            vec![(Level::Key, json!({"measure": "images", "window": "total"}))],
            vec![9],
        ),
        (
            "too many at a time",
            vec![(
                Level::Key,
                json!({"measure": "concurrency", "window": "now", "amount": 5}),
            )],
            vec![5],
        ),
        (
            "several, of which money holds up longest",
            vec![
                (Level::Key, json!({})),
                (
                    Level::Key,
                    json!({"measure": "input_tokens", "amount": 1_000}),
                ),
                (
                    Level::Project,
                    json!({"measure": "cost", "amount": 1_000_000_000, "window": month}),
                ),
            ],
            vec![10, 950, 1_000_000_000],
        ),
    ] {
        let bounds = bounds(&limits);
        let mut facts = facts("gpt-4o", &[]);
        if what.contains("no price") {
            facts.demand.cost = None;
        }
        let charges = bounds.charges(&facts, NOW);
        let mut counters = Simple::default();
        for (charge, used) in charges.list.iter().zip(used) {
            counters
                .0
                .insert(Simple::place(charge.counter, charge.span), used);
        }
        let Decision::Refused(refused) = charges.decide(&counters.reserve(&charges), &facts, NOW)
        else {
            panic!("{what}");
        };
        writeln!(found, "# {what}").unwrap();
        for dialect in [
            DialectId::Chat,
            DialectId::Responses,
            DialectId::Messages,
            DialectId::Gemini,
        ] {
            let error = refused.error();
            let retry = match (error.may_pass(), error.retry_after) {
                (false, wait) => format!("in vain {wait:?}"),
                (true, wait) => format!("again {wait:?}"),
            };
            writeln!(found, "{dialect:?} {} {retry}", error.status(dialect)).unwrap();
            for (name, value) in refused.headers(dialect) {
                writeln!(found, "{name}: {value}").unwrap();
            }
            let body = dialect.dialect().encode_error(&error, "");
            writeln!(found, "{}\n", String::from_utf8(body).unwrap()).unwrap();
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/limit/refusals.txt");
    if std::env::var_os("LINGATE_BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expect = std::fs::read_to_string(&path).unwrap_or_default();
    for (found, expect) in found.lines().zip(expect.lines()) {
        assert_eq!(found, expect);
    }
    assert_eq!(found.len(), expect.len());
}

#[test]
fn what_is_left_is_told_with_every_answer() {
    let bounds = bounds(&[
        (Level::Key, json!({"amount": 100})),
        (
            Level::Project,
            json!({"amount": 1_000, "window": {"sliding": 3_600}}),
        ),
        (
            Level::Project,
            json!({"measure": "tokens", "amount": 10_000}),
        ),
        (
            Level::User,
            json!({"measure": "output_tokens", "amount": 1_000}),
        ),
        (
            Level::Organization,
            json!({"amount": 2, "enforcement": "shadow"}),
        ),
        (
            Level::Organization,
            json!({"measure": "cost", "window": "total"}),
        ),
    ]);
    let charges = bounds.charges(&facts("a", &[]), NOW);
    let used = [50, 900, 150, 50, 2, 0];
    let said = |dialect| -> Vec<String> {
        let headers = charges.headers(&used, dialect, NOW);
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect()
    };
    let chat = [
        "x-ratelimit-limit-requests: 1000",
        "x-ratelimit-remaining-requests: 100",
        "x-ratelimit-reset-requests: 1h1m12s",
        "x-ratelimit-limit-tokens: 1000",
        "x-ratelimit-remaining-tokens: 950",
        "x-ratelimit-reset-tokens: 1m2s",
    ];
    assert_eq!(said(DialectId::Chat), chat);
    assert_eq!(said(DialectId::Responses), chat);
    assert_eq!(
        said(DialectId::Messages),
        [
            "anthropic-ratelimit-requests-limit: 1000",
            "anthropic-ratelimit-requests-remaining: 100",
            "anthropic-ratelimit-requests-reset: 2026-11-30T13:01:22Z",
            "anthropic-ratelimit-tokens-limit: 10000",
            "anthropic-ratelimit-tokens-remaining: 9850",
            "anthropic-ratelimit-tokens-reset: 2026-11-30T12:01:12Z",
            "anthropic-ratelimit-output-tokens-limit: 1000",
            "anthropic-ratelimit-output-tokens-remaining: 950",
            "anthropic-ratelimit-output-tokens-reset: 2026-11-30T12:01:12Z",
        ]
    );
    assert!(said(DialectId::Gemini).is_empty());
    for (dialect, name) in [(DialectId::Chat, 0), (DialectId::Messages, 0)] {
        assert!(is_of_limits(charges.headers(&used, dialect, NOW)[name].0));
    }
    for passes in ["retry-after", "x-request-id", "openai-version"] {
        assert!(!is_of_limits(passes));
    }
}
