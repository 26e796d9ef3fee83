//! What the ledger takes of one request, in CPU time: who asks, what may be taken, what is written down before and after the answer, what
//! it costs, and what was used in the end. The steps by themselves, then all of them, for one caller and among 10,000.

use std::hint::black_box;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use lingate_catalog::{Circumstances, builtin};
use lingate_counters::Counters;
use lingate_dialect::estimate::Rough;
use lingate_dialect::hub::Usage;
use lingate_journal::{Entry, GATEWAY_LOST, Opened, Settings};
use lingate_metering::counter::{Reservation, Reserved, Settlement};
use lingate_metering::limit::{
    Charges, Decision, Demand, Enforcement, Facts, Limit, Measure, Unit, Unpriced, Window, Zone,
};
use lingate_metering::pricing::{Charged, Priced, Prices};
use lingate_metering::record::{Provenance, UsageRecord};
use lingate_metering::tenant::{
    ApiKey, Call, Declared, Directory, KeySecret, Organization, Principal, Project, Rules, Source,
};
use lingate_metering::{Id, Millis};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest as _, Sha256};

const MODEL: &str = "gpt-4o-mini";
/// A minute is this many requests long, so that windows slide while they are measured.
const PER_MINUTE: u128 = 600_000;
const BEGAN: Millis = 1_795_996_800_000;
const USAGE: Usage = Usage {
    input: 512,
    output: 128,
    cache_read: 0,
    cache_write_5m: 0,
    cache_write_1h: 0,
    reasoning: None,
    audio_in: 0,
    audio_out: 0,
    image_in: 0,
    image_out: 0,
    searches: 0,
};

/// A gateway's ledger, and the callers of it.
struct World {
    directory: Directory,
    shown: Vec<String>,
    counters: Counters,
    prices: Prices,
    journal: Opened,
    folder: PathBuf,
    body: Vec<u8>,
    number: u128,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a request has taken.
struct Taken {
    id: Id,
    at: Millis,
    charges: Charges,
    used: Vec<u64>,
}

impl World {
    fn new(keys: usize, projects: usize, is_limited: bool) -> Self {
        let folder = format!("lingate-bench-{}-{keys}-{is_limited}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let settings = Settings {
            limit: 64 << 30,
            ..Settings::default()
        };
        let shown: Vec<String> = (0..keys)
            .map(|number| format!("sk-lg-{number:049}"))
            .collect();
        let (directory, conflicts) = Directory::build(vec![(
            Source::Store,
            declared(&shown, projects, is_limited),
        )]);
        assert!(conflicts.is_empty(), "names are their own");
        Self {
            directory,
            shown,
            counters: Counters::memory(),
            prices: Prices::default(),
            journal: lingate_journal::Journal::open(&folder, settings)
                .expect("a journal in the temporary folder"),
            folder,
            body: format!(
                r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"{}"}}]}}"#,
                "What is it that walks on four legs in the morning? ".repeat(40)
            )
            .into_bytes(),
            number: 0,
        }
    }

    fn next(&mut self) -> (Id, Millis) {
        self.number += 1;
        let passed = self.number * 60_000 / PER_MINUTE;
        let passed = Millis::try_from(passed).expect("it is not measured for that long");
        (Id::from_u128(self.number), BEGAN + passed)
    }

    /// Callers take turns.
    fn shown(&self) -> &str {
        let callers = self.shown.len() as u128;
        // Not in the order of their making.
        let place = self.number * 7919 % callers;
        &self.shown[usize::try_from(place).expect("less than there are")]
    }

    fn authenticate(&self, now: Millis) -> &Principal {
        let sha256: [u8; 32] = Sha256::digest(self.shown().as_bytes()).into();
        let shown = self.directory.showing(&sha256).expect("it is known");
        shown.is_good(now).expect("it is good");
        let call = Call {
            now,
            door: "chat",
            address: Some([127, 0, 0, 1].into()),
        };
        shown.principal.admits(&call).expect("it may call");
        shown.principal.may_ask_for(MODEL).expect("it may ask");
        &shown.principal
    }

    fn estimate(&self, principal: &Principal, now: Millis) -> Demand {
        let mut demand = Demand::default();
        if principal.bounds.is_empty() {
            return demand;
        }
        let input = Rough::of(&self.body).tokens(&builtin().weights(MODEL));
        demand.input_tokens = Some(input);
        demand.output_tokens = Some(200);
        let circumstances = Circumstances {
            moment: now,
            ..Circumstances::default()
        };
        let most = self
            .prices
            .estimate(&priced(principal), input, 200, &circumstances);
        demand.cost = most.price;
        demand
    }

    fn admit(&self, principal: &Principal, demand: Demand, id: Id, now: Millis) -> Taken {
        let facts = Facts {
            model: MODEL,
            also: &[MODEL, MODEL],
            provider: None,
            end_user: None,
            gave_way: &[],
            demand,
        };
        let mut charges = principal.bounds.charges(&facts, now);
        let mut used = Vec::new();
        if !charges.is_empty() {
            let reservation = Reservation {
                id,
                now,
                lease_until: now + 60_000,
                charges: charges.list.clone(),
            };
            let reserved = at_once(self.counters.reserve(&reservation)).expect("it is memory");
            let decision = charges.decide(&reserved, &facts, now);
            assert!(matches!(decision, Decision::Admitted(_)), "{decision:?}");
            if let Reserved::Taken(taken) = reserved {
                used = taken;
            }
            charges.list = reservation.charges;
        }
        Taken {
            id,
            at: now,
            charges,
            used,
        }
    }

    fn charge(&self, principal: &Principal, now: Millis) -> Charged {
        let circumstances = Circumstances {
            moment: now,
            ..Circumstances::default()
        };
        self.prices
            .charge(&priced(principal), &USAGE, &circumstances)
    }

    fn settle(&self, taken: Taken, price: &Charged, now: Millis) {
        let Taken {
            id,
            at,
            charges,
            used,
        } = taken;
        if charges.is_empty() {
            return;
        }
        let truth = Demand::of(&USAGE, 0, price.price);
        black_box(charges.thresholds(&used, &truth, now));
        at_once(self.counters.settle(Settlement {
            id,
            now,
            admitted: at,
            charges: charges.settle(&truth),
        }));
    }

    fn append(&self, entry: &Entry) {
        let appended = self.journal.journal.append(entry);
        appended.expect("there is room");
    }

    /// All of it.
    fn request(&mut self) {
        let (id, now) = self.next();
        let principal = self.authenticate(now);
        let demand = self.estimate(principal, now);
        let taken = self.admit(principal, demand, id, now);
        let price = self.charge(principal, now);
        self.append(&Entry::Draft(record(
            principal,
            id,
            now,
            &price,
            GATEWAY_LOST,
        )));
        let price = self.charge(principal, now);
        self.append(&Entry::Final(record(
            principal, id, now, &price, "complete",
        )));
        self.settle(taken, &price, now);
    }

    /// What was appended is not kept.
    fn drain(&mut self) {
        while let Ok(batch) = self.journal.reader.next(10_000)
            && !batch.is_empty()
            && self.journal.reader.acknowledge(&batch).is_ok()
        {}
    }
}

fn declared(shown: &[String], projects: usize, is_limited: bool) -> Declared {
    let limits = |level: &str, measures: &[Measure]| {
        let limit = |measure: &Measure| Limit {
            id: Id::declared(&["limit", level, measure.name()]),
            name: None,
            measure: *measure,
            // So much that nobody comes to it.
            amount: 1 << 50,
            window: match measure {
                Measure::Concurrency => Window::Now,
                Measure::Cost => Window::Calendar {
                    unit: Unit::Month,
                    zone: Zone::utc(),
                },
                _ => Window::Sliding(60),
            },
            model: None,
            provider: None,
            each: Vec::new(),
            enforcement: Enforcement::Hard,
            thresholds: vec![80, 100],
            downgrade: None,
            raise: None,
            unpriced: Unpriced::default(),
        };
        Rules {
            limits: measures.iter().filter(|_| is_limited).map(limit).collect(),
            ..Rules::default()
        }
    };
    let organization = Organization {
        rules: limits("organization", &[Measure::Cost]),
        ..Organization::named("acme")
    };
    let projects: Vec<Project> = (0..projects)
        .map(|number| Project::named(&organization, &format!("project-{number}")))
        .collect();
    let key = |((number, shown), project): ((usize, &String), &Project)| {
        let name = format!("key-{number}");
        let own = [Measure::Requests, Measure::Tokens, Measure::Concurrency];
        ApiKey {
            id: ApiKey::id_of("acme", &project.name, &name),
            project: project.id,
            secrets: vec![KeySecret::of(shown, None)],
            rules: Rules {
                allow_models: vec!["gpt-*".to_owned(), "claude-*".to_owned()],
                ..limits(&name, &own)
            },
            name,
            ..ApiKey::default()
        }
    };
    Declared {
        keys: shown
            .iter()
            .enumerate()
            .zip(projects.iter().cycle())
            .map(key)
            .collect(),
        organizations: vec![organization],
        projects,
        ..Declared::default()
    }
}

fn priced(principal: &Principal) -> Priced<'_> {
    Priced {
        provider: "openai",
        catalog_id: Some("openai"),
        upstream_model: MODEL,
        requested_model: MODEL,
        plan: principal.plan(),
    }
}

fn record(
    principal: &Principal,
    id: Id,
    now: Millis,
    price: &Charged,
    outcome: &str,
) -> UsageRecord {
    let key = principal.key.as_ref();
    UsageRecord {
        id,
        started_at: now,
        duration: 1_234,
        first_token: Some(234),
        organization: principal.organization.id,
        project: principal.project.id,
        key: key.map(|key| key.id),
        user: None,
        end_user: None,
        tags: key.map_or_else(Vec::new, |key| key.tags.clone()),
        dialect: "chat".to_owned(),
        model: MODEL.to_owned(),
        provider: "openai".to_owned(),
        upstream_model: MODEL.to_owned(),
        stream: false,
        attempts: 1,
        outcome: outcome.to_owned(),
        status: 200,
        error: None,
        usage: Some(USAGE),
        provenance: Provenance::Reported,
        service_tier: None,
        price_version: Some(price.version.as_ref().to_owned()),
        cost: price.cost,
        price: price.price,
    }
}

/// What is in memory does not wait.
fn at_once<T>(answer: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(answer).poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("counters in memory answer at once"),
    }
}

/// CPU time of this thread: others on the machine do not count.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

fn timed(bencher: &mut Bencher<'_>, world: &mut World, step: impl Fn(&mut World)) {
    bencher.iter_custom(|times| {
        let began = cpu();
        for _ in 0..times {
            step(world);
        }
        let took = cpu().saturating_sub(began);
        world.drain();
        took
    });
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger/step");
    let world = &mut World::new(10_000, 1_000, true);
    group.bench_function("authenticate", |bencher| {
        timed(bencher, world, |world| {
            let (_, now) = world.next();
            black_box(world.authenticate(now));
        });
    });
    group.bench_function("estimate 2 KB and what it costs", |bencher| {
        let principal = world.directory.keys().next().expect("there are some");
        bencher.iter(|| black_box(world.estimate(principal, BEGAN)));
    });
    group.bench_function("admit and settle, four limits", |bencher| {
        timed(bencher, world, |world| {
            let (id, now) = world.next();
            let principal = world.directory.keys().next().expect("there are some");
            let price = Charged {
                version: "".into(),
                cost: None,
                price: None,
                cost_lines: Vec::new(),
                price_lines: Vec::new(),
                multiplier: lingate_catalog::Factor::ONE,
            };
            let taken = world.admit(principal, Demand::NOTHING, id, now);
            world.settle(taken, &price, now);
        });
    });
    group.bench_function("charge", |bencher| {
        let principal = world.directory.keys().next().expect("there are some");
        bencher.iter(|| black_box(world.charge(principal, BEGAN)));
    });
    group.bench_function("draft and final", |bencher| {
        timed(bencher, world, |world| {
            let (id, now) = world.next();
            let principal = world.directory.keys().next().expect("there are some");
            let price = Charged {
                version: "2026-11-30-1a2b3c4d".into(),
                cost: None,
                price: None,
                cost_lines: Vec::new(),
                price_lines: Vec::new(),
                multiplier: lingate_catalog::Factor::ONE,
            };
            world.append(&Entry::Draft(record(
                principal,
                id,
                now,
                &price,
                GATEWAY_LOST,
            )));
            world.append(&Entry::Final(record(
                principal, id, now, &price, "complete",
            )));
        });
    });
    group.finish();
}

fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger/request");
    for (name, keys, projects, is_limited) in [
        ("no limits", 1, 1, false),
        ("four limits", 1, 1, true),
        (
            "four limits, 10,000 keys of 1,000 projects",
            10_000,
            1_000,
            true,
        ),
    ] {
        let mut world = World::new(keys, projects, is_limited);
        for _ in 0..200 {
            world.request();
        }
        let memory = measure(|| world.request());
        eprintln!(
            "{name}: {} allocations, {} bytes",
            memory.count_total, memory.bytes_total
        );
        group.bench_function(name, |bencher| {
            timed(bencher, &mut world, World::request);
        });
    }
    group.finish();
}

fn few() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
}

criterion_group! {
    name = benches;
    config = few();
    targets = steps, whole
}
criterion_main!(benches);
