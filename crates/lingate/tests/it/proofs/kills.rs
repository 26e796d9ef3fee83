//! Two hundred requests under way, callers that hang up, and a gateway that is killed in the middle, and again while it catches up:
//! in the end there is one record for each request that the upstream saw, and its numbers are the upstream's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use lingate_metering::Money;
use lingate_metering::record::{Provenance, UsageRecord};
use lingate_testkit::client::Connection;
use lingate_testkit::{Ending, Gateway, Postgres, Script, Upstream};
use tokio::task::JoinSet;

use super::dice::Dice;
use super::ledger::Ledger;
use super::marked::{Mark, USER};
use crate::wire::Dialect;
use crate::world::{PATIENCE, World, program, providers, upstream};

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The upstream answers, and the caller reads it.
    Read,
    /// The caller hangs up after so many pieces; with none, before the upstream has said anything.
    Leave(usize),
    /// The upstream has sent so many pieces, and not the rest, when the gateway is killed.
    Cut(usize),
    /// Pieces go by until the gateway is killed.
    Flow,
    /// The upstream says no.
    Fail,
    /// The gateway says no.
    Refused,
    /// As [`Fate::Read`]; it begins when the gateway is about to be killed.
    Race,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    mark: Mark,
    caller: Dialect,
    upstream: Dialect,
    stream: bool,
    fate: Fate,
}

/// What the caller saw.
#[derive(Debug, Clone, Copy)]
struct Seen {
    call: Call,
    pieces: usize,
    /// It read the end of a good answer.
    whole: bool,
}

/// Concurrent requests, all told.
const REQUESTS: usize = 200;

const PRICES: &str = "prices: [{provider: \"up-*\", model: \"*\", input: 2.5, output: 10}]";

fn calls(seed: u64) -> Vec<Call> {
    let mut dice = Dice::seeded(seed);
    let call = |number| {
        let stream = dice.below(5) > 0;
        let pieces = 1 + dice.below(20);
        let fate = match dice.below(20) {
            0..7 => Fate::Read,
            7..10 => Fate::Leave(pieces),
            10 => Fate::Leave(0),
            11..14 => Fate::Cut(pieces),
            14 => Fate::Cut(0),
            15 | 16 => Fate::Flow,
            17 => Fate::Fail,
            18 => Fate::Refused,
            _ => Fate::Race,
        };
        Call {
            mark: Mark(number),
            caller: dice.pick(&Dialect::ALL),
            upstream: dice.pick(&Dialect::ALL),
            stream,
            fate,
        }
    };
    (0..REQUESTS).map(call).collect()
}

async fn play(calls: &[Call]) -> Upstream {
    let fates: BTreeMap<Mark, Fate> = calls.iter().map(|call| (call.mark, call.fate)).collect();
    upstream(move |asked| {
        let mark = Mark::of(asked.received).unwrap();
        match fates[&mark] {
            Fate::Read | Fate::Refused | Fate::Race => mark.good(asked),
            Fate::Leave(0) | Fate::Cut(0) => Script::silent(),
            Fate::Leave(pieces) | Fate::Cut(pieces) if asked.stream => {
                mark.beginning(asked, pieces)
            }
            Fate::Flow if asked.stream => {
                Script::events(mark.events(asked, 10_000)).pausing(Duration::from_millis(20))
            }
            Fate::Leave(_) | Fate::Cut(_) | Fate::Flow => Script::silent(),
            Fate::Fail => Script::json(500, asked.dialect.error(500, "no")),
        }
    })
    .await
}

/// Plays a caller to its end. Connections of those that leave are handed back: when they do is for the test to say.
async fn call(address: SocketAddr, call: Call) -> (Seen, Option<Connection>) {
    let Call {
        mark,
        caller,
        stream,
        fate,
        ..
    } = call;
    let provider = match fate {
        Fate::Refused => "nowhere",
        _ => call.upstream.provider(),
    };
    let model = format!("{provider}/m");
    let mut seen = Seen {
        call,
        pieces: 0,
        whole: false,
    };
    // Whoever comes when the gateway is dead sees nothing.
    let Ok(mut connection) = Connection::open(address).await else {
        return (seen, None);
    };
    let name = mark.name();
    let headers = [("content-type", "application/json"), (USER, &*name)];
    let body = mark.request(caller, &model, stream).to_string();
    let path = caller.path(&model, stream);
    let sent = connection
        .send("POST", &path, &headers, body.as_bytes())
        .await;
    if sent.is_err() {
        return (seen, None);
    }
    match fate {
        Fate::Leave(pieces) => {
            if stream {
                for _ in 0..pieces {
                    if connection.read_until(b"Hello ").await.is_err() {
                        break;
                    }
                    seen.pieces += 1;
                }
            }
            return (seen, Some(connection));
        }
        Fate::Cut(_) | Fate::Flow => {
            while connection.read_until(b"Hello ").await.is_ok() {
                seen.pieces += 1;
            }
        }
        Fate::Read | Fate::Race | Fate::Fail | Fate::Refused => {
            if let Ok(answer) = connection.answer().await {
                let text = answer.text();
                seen.pieces = text.matches("Hello ").count();
                seen.whole = answer.complete
                    && answer.status == 200
                    && (!stream || caller.hear(&text).clean);
            }
        }
    }
    (seen, None)
}

async fn killed(database: &str, seed: u64) {
    let calls = calls(seed);
    let up = play(&calls).await;
    let settings = format!("database: {database}\n{PRICES}\n{}", providers(&up));
    let gateway = Gateway::start(program(), &settings, &[]).await.unwrap();
    let mut world = World {
        gateway,
        upstream: up,
    };
    let address = world.gateway.address();
    let (racing, begun): (Vec<Call>, Vec<Call>) =
        calls.iter().partition(|call| call.fate == Fate::Race);
    let (mut running, mut under_way) = (JoinSet::new(), JoinSet::new());
    let (mut done, mut leaving) = (Vec::new(), Vec::new());
    for one in begun {
        match one.fate {
            Fate::Cut(_) | Fate::Flow => under_way.spawn(call(address, one)),
            _ => running.spawn(call(address, one)),
        };
    }
    while let Some(called) = running.join_next().await {
        let (what, connection) = called.unwrap();
        done.push(what);
        leaving.extend(connection);
    }
    let reached = calls
        .iter()
        .filter(|call| !matches!(call.fate, Fate::Refused | Fate::Race));
    let reached = reached.count();
    let all_there = world
        .upstream
        .wait_until(PATIENCE, |it| marks(it).len() == reached)
        .await;
    assert!(all_there, "{} of {reached}", marks(&world.upstream).len());
    // Some of those that leave have left when the gateway is killed, and some it has not even noticed.
    let rest = leaving.split_off(leaving.len() / 2);
    let gone = leaving.len();
    drop(leaving);
    let noticed = world
        .upstream
        .wait_until(PATIENCE, |it| {
            let received = it.received();
            let ended = received.iter().filter_map(|received| received.ended);
            ended
                .filter(|(ending, _)| *ending == Ending::ClientGone)
                .count()
                >= gone
        })
        .await;
    assert!(noticed, "the upstream still works for nobody");
    drop(rest);
    for one in racing {
        under_way.spawn(call(address, one));
    }
    // Some of those that race are there.
    world
        .upstream
        .wait_until(PATIENCE, |it| marks(it).len() > reached)
        .await;
    world.gateway.kill().unwrap();
    while let Some(called) = under_way.join_next().await {
        done.push(called.unwrap().0);
    }
    let left = world
        .upstream
        .wait_until(PATIENCE, |it| it.open_connections() == 0)
        .await;
    assert!(left, "the upstream still talks to the dead");
    let reached = marks(&world.upstream);

    world.gateway.start_again(program()).await.unwrap();
    let ledger = Ledger::of(database, &world.gateway).await;
    let before = ledger.records().await.len();
    world.gateway.kill_and_start(program()).await.unwrap();
    let records = ledger.marked(reached.len()).await;
    drained(&world).await;
    let again = ledger.marked(reached.len()).await;
    assert_eq!(records, again, "something came late");

    let figures = compare(&done, &reached, &records);
    let all = ledger.adds_up(records.values().flatten()).await;
    let of_upstream = world.upstream.received().len();
    eprintln!(
        "{database}: {of_upstream} requests at the upstream, of {} marks; {before} records when it was killed again; {figures}; sums {all:?}",
        reached.len(),
        database = if database == "sqlite" {
            "SQLite"
        } else {
            "PostgreSQL"
        },
    );
}

/// What the upstream has seen.
fn marks(upstream: &Upstream) -> BTreeSet<Mark> {
    upstream.received().iter().filter_map(Mark::of).collect()
}

/// Waits until nothing is on its way to the database.
async fn drained(world: &World) {
    let started = std::time::Instant::now();
    loop {
        let health = world.send("GET", "/health", &[], b"").await.json();
        if health["writer"]["waiting"] == 0 {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{health}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Holds the records against what upstream and callers saw, and says what there was.
fn compare(
    seen: &[Seen],
    reached: &BTreeSet<Mark>,
    records: &BTreeMap<Mark, Vec<UsageRecord>>,
) -> String {
    let (mut wrong, mut whole, mut unasked) = (Vec::new(), 0, 0);
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let (mut input, mut output) = (0, 0);
    for seen in seen {
        let mark = seen.call.mark;
        let of = records.get(&mark).map_or(&[][..], Vec::as_slice);
        let mut fail = |why: &str| wrong.push(format!("{why}: {seen:?} {of:?}"));
        let record = match of {
            [record] => record,
            [] if reached.contains(&mark) => {
                fail("no record");
                continue;
            }
            [] => continue,
            _ => {
                fail("several records");
                continue;
            }
        };
        *outcomes.entry(record.outcome.clone()).or_default() += 1;
        if !reached.contains(&mark) {
            // It was written down that the upstream would be asked, and then there was no time to.
            unasked += 1;
            if record.outcome != "gateway_lost" || seen.call.fate != Fate::Race {
                fail("the upstream was never asked");
            }
            continue;
        }
        let usage = record.usage.unwrap_or_default();
        if seen.whole {
            whole += 1;
            input += mark.input();
            output += mark.output();
            let nano = i64::try_from(usage.input * 2500 + usage.output * 10_000).unwrap();
            if (usage.input, usage.output) != (mark.input(), mark.output())
                || record.provenance != Provenance::Reported
                || record.outcome != "complete"
                || record.cost.map(Money::nano) != Some(nano)
            {
                fail("the upstream counted otherwise");
            }
            continue;
        }
        let expected: &[&str] = match seen.call.fate {
            Fate::Read | Fate::Refused => &[],
            Fate::Leave(_) => &["client_gone", "gateway_lost"],
            Fate::Cut(_) | Fate::Flow => &["gateway_lost"],
            Fate::Fail => &["upstream_error"],
            Fate::Race => &["gateway_lost", "complete"],
        };
        if !expected.contains(&record.outcome.as_str()) {
            fail("another outcome");
        }
        if seen.pieces > 0 && (usage.output == 0 || record.provenance == Provenance::Unknown) {
            fail("nothing was counted of an answer that went by");
        }
        if record.usage.is_none() && record.provenance != Provenance::Unknown {
            fail("no usage, and no word of that");
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(whole > 0);
    let strays = records
        .keys()
        .filter(|mark| !seen.iter().any(|seen| seen.call.mark == **mark));
    assert_eq!(strays.count(), 0);
    format!(
        "{whole} whole with {input} + {output} tokens as told, {outcomes:?}, {unasked} written down and then not asked"
    )
}

#[tokio::test]
async fn one_record_for_each_request_after_a_kill_on_sqlite() {
    killed("sqlite", 1).await;
}

#[tokio::test]
async fn one_record_for_each_request_after_a_kill_on_postgresql() {
    killed(&Postgres::shared().database(), 2).await;
}
