//! What the choice of a key costs, and what a new configuration of many keys does.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use lingate_routing::{Class, Fault, KeyPool, KeySpec, Moment, Scope, Wanted};

const POOLS: [usize; 3] = [1, 1_000, 100_000];
const MANY: usize = 100_000;
const NOW: Moment = Moment::from_millis(1_000);

fn specs(count: usize, weight: impl Fn(usize) -> u32) -> Vec<KeySpec> {
    let secret = |number: usize| format!("sk-proj-{number:040}");
    (0..count)
        .map(|number| KeySpec {
            weight: weight(number),
            tags: vec![
                if number.is_multiple_of(100) {
                    "few"
                } else {
                    "many"
                }
                .to_owned(),
            ],
            ..KeySpec::new(secret(number).into())
        })
        .collect()
}

/// All but every hundredth key rest.
fn tire(pool: &KeyPool, scope: Scope) {
    let fault = Fault {
        scope,
        retry_after: Some(Duration::from_hours(20)),
        ..Fault::new(Class::RateLimited)
    };
    for (number, key) in pool.keys().enumerate() {
        if number % 100 != 0 {
            pool.report(&key, "model", &fault, NOW);
        }
    }
}

fn choice(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("key choice");
    for count in POOLS {
        let equal = |_: usize| 1;
        let unequal = |number: usize| u32::try_from(number % 7).unwrap_or(0) + 1;
        for (name, tired, weights, sticky, tags) in [
            ("fresh", None, &equal as &dyn Fn(usize) -> u32, false, ""),
            ("most resting", Some(Scope::Key), &equal, false, ""),
            (
                "most resting for the model",
                Some(Scope::Model),
                &equal,
                false,
                "",
            ),
            ("by weight", None, &unequal, false, ""),
            (
                "by weight, most resting",
                Some(Scope::Key),
                &unequal,
                false,
                "",
            ),
            ("sticky", None, &equal, true, ""),
            ("sticky, most resting", Some(Scope::Key), &equal, true, ""),
            ("of one in a hundred by tag", None, &equal, false, "few"),
        ] {
            let pool = KeyPool::new(specs(count, weights));
            if let Some(scope) = tired {
                tire(&pool, scope);
            }
            let tags: Vec<String> = tags.split_terminator(',').map(str::to_owned).collect();
            let from = pool.select(&tags);
            let mut request = 0_u64;
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| {
                    request = request.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let sticky = sticky.then_some(request);
                    let wanted = Wanted {
                        from,
                        sticky,
                        ..Wanted::of("model")
                    };
                    pool.take(black_box(&wanted), NOW).is_ok()
                });
            });
        }
    }
    group.finish();
}

fn reload(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("keys");
    group.sample_size(10);
    let before = resident();
    let specs = specs(MANY, |_| 1);
    let configured = resident();
    let old = KeyPool::new(specs.clone());
    let pooled = resident();
    tire(&old, Scope::Model);
    eprintln!(
        "memory of {MANY} keys: {} bytes each as configured, {} in the pool, {} more when resting for a model",
        (configured - before) / MANY,
        (pooled - configured) / MANY,
        (resident() - pooled) / MANY,
    );
    group.bench_function("reload 100,000", |bencher| {
        bencher.iter_batched(
            || specs.clone(),
            |specs| {
                let new = KeyPool::new(specs);
                new.inherit(&old);
                new
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * rustix::param::page_size()
}

criterion_group!(benches, reload, choice);
criterion_main!(benches);
