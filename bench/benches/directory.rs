//! Who shows a key, among one and among 100,000, and what it takes to make the directory.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use lingate_metering::tenant::{
    ApiKey, Call, Declared, Directory, KeySecret, Organization, Project, Rules, Source,
};

/// Keys, and projects that they are of.
const COUNTS: [(usize, usize); 3] = [(1, 1), (10_000, 1_000), (100_000, 1_000)];

fn declared(keys: usize, projects: usize) -> Declared {
    let organization = Organization::named("acme");
    let projects: Vec<Project> = (0..projects)
        .map(|number| Project::named(&organization, &format!("project-{number}")))
        .collect();
    let keys = (0..keys)
        .zip(projects.iter().cycle())
        .map(|(number, project)| ApiKey {
            id: ApiKey::id_of("acme", &project.name, &number.to_string()),
            project: project.id,
            name: format!("key-{number}"),
            secrets: vec![KeySecret::of(&format!("secret-{number}"), None)],
            tags: vec!["batch".to_owned()],
            rules: Rules {
                allow_models: vec!["gpt-*".to_owned(), "claude-*".to_owned()],
                ..Rules::default()
            },
            ..ApiKey::default()
        })
        .collect();
    Declared {
        organizations: vec![organization],
        projects,
        keys,
        ..Declared::default()
    }
}

fn find(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("directory/admit");
    for (keys, projects) in COUNTS {
        let (directory, _) = Directory::build(vec![(Source::Store, declared(keys, projects))]);
        let shown = KeySecret::of(&format!("secret-{}", keys / 2), None).sha256;
        let call = Call {
            now: 0,
            door: "chat",
            address: None,
        };
        group.bench_function(BenchmarkId::from_parameter(keys), |bencher| {
            bencher.iter(|| {
                let shown = directory.showing(black_box(&shown)).expect("it is there");
                shown.principal.admits(&call).expect("it is admitted");
                shown.principal.may_ask_for(black_box("gpt-4o")).is_ok()
            });
        });
    }
    group.finish();
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("directory/build");
    group.sample_size(10);
    for (keys, projects) in COUNTS {
        let declared = declared(keys, projects);
        group.bench_function(BenchmarkId::from_parameter(keys), |bencher| {
            bencher.iter_batched(
                || declared.clone(),
                |declared| Directory::build(vec![(Source::Store, declared)]),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, find, build);
criterion_main!(benches);
