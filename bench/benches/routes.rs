//! Which route claims a request, among 10 and among 10,000, and what it takes to make the index.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use lingate_dialect::DialectId;
use lingate_routing::{Ask, Asked, Pattern, Route, RouteTarget, Routes, Stated, When};

const COUNTS: [usize; 2] = [10, 10_000];

/// So many routes of one kind, and the name that the last of them is for.
struct Kind {
    name: &'static str,
    route: fn(usize) -> Route,
    asked: fn(usize) -> String,
}

fn route(model: &str, when: When) -> Route {
    let model = Pattern::parse(model).expect("the patterns of this file are well-formed");
    Route {
        when,
        ..Route::to(model, vec![RouteTarget::at(0, None)])
    }
}

fn plain(model: &str) -> Route {
    route(model, When::default())
}

const KINDS: [Kind; 9] = [
    Kind {
        name: "names",
        route: |index| plain(&format!("vendor-{index}-large")),
        asked: |index| format!("vendor-{index}-large"),
    },
    Kind {
        name: "beginnings",
        route: |index| plain(&format!("vendor-{index}-*")),
        asked: |index| format!("vendor-{index}-large"),
    },
    Kind {
        name: "ends",
        route: |index| plain(&format!("*-large-{index}")),
        asked: |index| format!("vendor-large-{index}"),
    },
    Kind {
        name: "anchored expressions",
        route: |index| plain(&format!("/^vendor-{index}-(large|small)$/")),
        asked: |index| format!("vendor-{index}-large"),
    },
    Kind {
        name: "free expressions",
        route: |index| plain(&format!("/-{index}-(large|small)/")),
        asked: |index| format!("vendor-{index}-large"),
    },
    Kind {
        name: "tenants",
        route: |index| {
            let tenants = vec![format!("tenant-{index}")];
            route(
                "gpt-4o",
                When {
                    tenants,
                    ..When::default()
                },
            )
        },
        asked: |_| "gpt-4o".to_owned(),
    },
    Kind {
        name: "keys",
        route: |index| {
            let keys = vec![format!("key-{index}")];
            route(
                "*",
                When {
                    keys,
                    ..When::default()
                },
            )
        },
        asked: |_| "gpt-4o".to_owned(),
    },
    // What no index helps: each is tried.
    Kind {
        name: "headers",
        route: |index| {
            let headers = vec![("x-team".to_owned(), Pattern::Exact(format!("team-{index}")))];
            route(
                "gpt-4o",
                When {
                    headers,
                    ..When::default()
                },
            )
        },
        asked: |_| "gpt-4o".to_owned(),
    },
    Kind {
        name: "expressions that need nothing",
        route: |index| {
            // Only the last is for the name: the others want more digits than it has.
            plain(&format!("/^[a-z]+[0-9]{{{}}}$/", 5 + index % 2))
        },
        asked: |_| "vendor1234".to_owned(),
    },
];

/// A caller of whom the last route is for.
fn caller(last: usize) -> Stated {
    Stated {
        key: Some(format!("key-{last}")),
        tenant: Some(format!("tenant-{last}")),
        headers: vec![("x-team".to_owned(), format!("team-{last}"))],
        ..Stated::default()
    }
}

fn choice(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route choice");
    for kind in &KINDS {
        for count in COUNTS {
            let mut all: Vec<Route> = (0..count).map(kind.route).collect();
            all.push(plain("vendor1234"));
            let (routes, last) = (Routes::from(all), count - 1);
            let (model, facts) = ((kind.asked)(last), caller(last));
            let ask = Ask {
                model: &model,
                dialect: DialectId::Chat,
                stream: true,
                facts: &facts,
            };
            assert!(
                routes.find(&model, &Asked::new(&ask)) >= Some(last),
                "{}",
                kind.name
            );
            group.bench_function(BenchmarkId::new(kind.name, count), |bencher| {
                bencher.iter(|| routes.find(black_box(&model), &Asked::new(black_box(&ask))));
            });
            if kind.name == "names" {
                group.bench_function(BenchmarkId::new("no such name", count), |bencher| {
                    bencher.iter(|| {
                        routes.find(black_box("claude-opus-5"), &Asked::new(black_box(&ask)))
                    });
                });
                group.bench_function(BenchmarkId::new("names, by a scan", count), |bencher| {
                    bencher.iter(|| {
                        let model = black_box(model.as_str());
                        let asked = Asked::new(black_box(&ask));
                        let claims =
                            |route: &Route| route.model.matches(model) && route.when.hold(&asked);
                        routes.iter().position(claims)
                    });
                });
            }
        }
    }
    group.finish();
}

fn index(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route index of 10,000");
    group.sample_size(10);
    for kind in &KINDS {
        let list: Vec<Route> = (0..10_000).map(kind.route).collect();
        group.bench_function(kind.name, |bencher| {
            bencher.iter_batched(|| list.clone(), Routes::from, BatchSize::PerIteration);
        });
    }
    group.bench_function("reading anchored expressions", |bencher| {
        let kind = &KINDS[3];
        bencher.iter(|| (0..10_000).map(kind.route).collect::<Vec<Route>>());
    });
    group.finish();
}

criterion_group!(benches, choice, index);
criterion_main!(benches);
