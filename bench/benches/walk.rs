//! What the routing of one request costs, from the question to the end of the answer: who may serve it, the choice of a target
//! and a key, what is told of the answer, and letting go of all of it. Beside the times, how often memory is asked for.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use criterion::{Criterion, criterion_group, criterion_main};
use lingate_dialect::DialectId;
use lingate_routing::{
    Ask, AuthScheme, BreakerRules, By, Cause, Class, Endpoint, Fault, KeyPool, KeySpec, Measure,
    Moment, Next, Pattern, Provider, ProviderHealth, Purse, Route, RouteTarget, Scope, Snapshot,
    Stated, Strategy, Walk, When, plan,
};

const MANY_KEYS: usize = 100_000;
const MANY_ROUTES: usize = 10_000;
const NOW: Moment = Moment::from_millis(1_000);

/// One request after the other, as they come to a gateway.
struct World {
    snapshot: Snapshot,
    model: String,
    facts: Stated,
    /// How the first attempt fails; `None`: it serves.
    fault: Option<Fault>,
    drawn: u64,
}

impl World {
    fn new(providers: Vec<Provider>, routes: Vec<Route>, model: &str) -> Self {
        let snapshot = Snapshot {
            providers: providers.into_iter().map(Arc::new).collect(),
            routes: routes.into(),
            ..Snapshot::default()
        };
        let facts = Stated {
            key: Some("key-1".to_owned()),
            tenant: Some("tenant-1".to_owned()),
            session: Some("session-1".to_owned()),
            ..Stated::default()
        };
        Self {
            snapshot,
            model: model.to_owned(),
            facts,
            fault: None,
            drawn: 0,
        }
    }

    /// Routes one request; whether it was served.
    fn request(&mut self) -> bool {
        let ask = Ask {
            model: black_box(&self.model),
            dialect: DialectId::Chat,
            stream: true,
            facts: &self.facts,
        };
        let drawn = &mut self.drawn;
        let mut dice = || {
            *drawn = drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
            drawn.wrapping_mul(0xbf58_476d_1ce4_e5b9)
        };
        let Ok(plan) = plan(&self.snapshot, &ask, &mut dice) else {
            return false;
        };
        let mut walk = Walk::new(plan, Purse::Pool, NOW);
        let mut fault = self.fault.as_ref();
        loop {
            match walk.next(NOW, &mut dice) {
                Next::Try(attempt) if fault.is_some() => {
                    if let Some(fault) = fault.take() {
                        black_box(walk.failed(*attempt, fault, NOW));
                    }
                }
                Next::Try(mut attempt) => {
                    black_box(attempt.served(true, NOW));
                    return true;
                }
                Next::Wait(_) | Next::End(_) => return false,
            }
        }
    }
}

fn provider(name: &str, keys: KeyPool) -> Provider {
    Provider {
        name: name.to_owned(),
        endpoints: vec![Endpoint {
            dialect: DialectId::Chat,
            base_url: format!("https://{name}.example/v1"),
            auth: AuthScheme {
                header: "authorization".to_owned(),
                format: "Bearer {key}".to_owned(),
            },
            headers: Vec::new(),
        }],
        keys,
        ..Provider::default()
    }
}

/// So many providers with one key each.
fn providers(count: usize) -> Vec<Provider> {
    (0..count)
        .map(|number| {
            let key = KeySpec::new(format!("sk-proj-{number:040}").into());
            provider(&format!("provider-{number}"), KeyPool::new([key]))
        })
        .collect()
}

fn route(model: &str, strategy: Strategy, targets: usize) -> Route {
    let model = Pattern::parse(model).expect("the patterns of this file are well-formed");
    let targets = (0..targets)
        .map(|provider| RouteTarget::at(provider, Some("upstream-model-large")))
        .collect();
    Route {
        strategy,
        ..Route::to(model, targets)
    }
}

/// 100,000 keys, all but every hundredth of which rest, and 10,000 routes: names, globs, and one name for many tenants.
fn large() -> World {
    let secret = |number: usize| format!("sk-proj-{number:040}").into();
    let keys = KeyPool::new((0..MANY_KEYS).map(|number| KeySpec::new(secret(number))));
    let fault = Fault {
        retry_after: Some(Duration::from_hours(20)),
        scope: Scope::Key,
        ..Fault::new(Class::RateLimited)
    };
    for (number, key) in keys.keys().enumerate() {
        if number % 100 != 0 {
            keys.report(&key, "upstream-model-large", &fault, NOW);
        }
    }
    let routes = (0..MANY_ROUTES).map(|number| match number % 3 {
        0 => route(&format!("vendor-{number}-large"), Strategy::Priority, 1),
        1 => route(&format!("vendor-{number}-*"), Strategy::Priority, 1),
        _ => Route {
            when: When {
                tenants: vec![format!("tenant-{number}")],
                ..When::default()
            },
            ..route("gpt-*", Strategy::Priority, 1)
        },
    });
    let mut world = World::new(vec![provider("many", keys)], routes.collect(), "gpt-4o");
    let last = (0..MANY_ROUTES).rfind(|number| number % 3 == 2);
    world.facts.tenant = last.map(|number| format!("tenant-{number}"));
    world
}

/// The first of two targets fails, the second serves.
fn failing() -> World {
    let mut providers = providers(2);
    for provider in &mut providers {
        // Otherwise the first would soon be left alone.
        provider.health = ProviderHealth::new(BreakerRules {
            enabled: false,
            ..BreakerRules::default()
        });
    }
    let routes = vec![route("fast", Strategy::Priority, 2)];
    World {
        fault: Some(Fault::new(Class::Upstream)),
        ..World::new(providers, routes, "fast")
    }
}

/// The breakers of all three targets are open.
fn down() -> World {
    let providers = providers(3);
    for provider in &providers {
        let model = provider.health.model("upstream-model-large", NOW);
        let cause = Cause::Models {
            models: 9,
            last: Fault::new(Class::Upstream),
        };
        model.breaker.trip(cause, provider.health.rules(), NOW);
    }
    World::new(
        providers,
        vec![route("fast", Strategy::Weighted, 3)],
        "fast",
    )
}

/// A name that nothing serves, among many that look like it.
fn unknown() -> World {
    let names = (0..MANY_ROUTES).map(|number| format!("vendor-{number}-large"));
    let routes = names.map(|name| route(&name, Strategy::Priority, 1));
    World::new(providers(2), routes.collect(), "vendor-x-large-2026")
}

fn walk(criterion: &mut Criterion) {
    let with_fallbacks = Route {
        fallbacks: vec!["provider-3/other".to_owned(), "provider-4/other".to_owned()],
        ..route("fast", Strategy::Weighted, 3)
    };
    let catalogued = || {
        let mut one = providers(1);
        for provider in &mut one {
            provider.catalog_id = Some("openai".to_owned());
        }
        one
    };
    let among = |count: usize, strategy| {
        World::new(
            providers(count),
            vec![route("fast", strategy, count)],
            "fast",
        )
    };
    let latency = Strategy::Latency(Measure::FirstToken);
    let worlds: Vec<(&str, World, bool)> = vec![
        (
            "one provider, one key, no route",
            World::new(catalogued(), Vec::new(), "gpt-4o-mini"),
            true,
        ),
        (
            "provider/model",
            World::new(catalogued(), Vec::new(), "provider-0/gpt-4o-mini"),
            true,
        ),
        ("a route of one target", among(1, Strategy::Priority), true),
        (
            "weighted among 3, 2 fallbacks",
            World::new(providers(5), vec![with_fallbacks], "fast"),
            true,
        ),
        ("100,000 keys, 10,000 routes", large(), true),
        (
            "sticky among 3",
            among(3, Strategy::Sticky(By::Session)),
            true,
        ),
        ("latency among 5", among(5, latency), true),
        ("latency among 20", among(20, latency), true),
        ("latency among 100", among(100, latency), true),
        ("the first of two fails", failing(), true),
        ("all of 3 are down", down(), false),
        ("an unknown model among 10,000 routes", unknown(), false),
    ];
    let mut group = criterion.benchmark_group("one request");
    for (name, mut world, served) in worlds {
        for _ in 0..200 {
            assert_eq!(world.request(), served, "{name}");
        }
        let memory = measure(|| {
            world.request();
        });
        eprintln!(
            "{name}: {} allocations, {} bytes",
            memory.count_total, memory.bytes_total
        );
        group.bench_function(name, |bencher| bencher.iter(|| world.request()));
    }
    group.finish();
}

criterion_group!(benches, walk);
criterion_main!(benches);
