//! Wallets: whatever happens in whatever order, what is left is what the entries and the records add up to, to the nano-dollar.

use std::collections::{BTreeMap, HashMap};

use lingate_journal::Written;
use lingate_metering::tenant::Organization;
use lingate_metering::{Id, Millis, Money};
use lingate_store::{
    Code, EntryFilter, EntryKind, Month, NewCodeBatch, NewEntry, NewInvoice, Party, Redeemed,
    Store, StoreError, Tax, Worth, new_id,
};

use crate::bed::{Bed, on_both};
use crate::usage::{World, mix};

const DAY: Millis = 24 * 60 * 60 * 1000;

fn money(nano: i64) -> Money {
    Money::from_nano(nano)
}

fn entry(kind: EntryKind, nano: i64, reference: Option<&str>) -> NewEntry {
    NewEntry {
        kind,
        amount: money(nano),
        reference: reference.map(str::to_owned),
        of: None,
        note: None,
        forced: false,
    }
}

fn batch(count: u32, worth: Worth) -> NewCodeBatch {
    NewCodeBatch {
        count,
        worth,
        prefix: "test".into(),
        note: None,
        per_organization: None,
        expires_at: None,
    }
}

/// A record of an organization.
fn record(number: u64, organization: Id, at: Millis, nano: i64) -> Written {
    let world = World {
        keys: 5,
        projects: 2,
        models: 3,
        days: 1,
    };
    let mut record = world.record(number);
    record.id = new_id();
    record.organization = organization;
    record.started_at = at;
    record.price = Some(money(nano));
    Written {
        position: number,
        record,
        is_lost: false,
    }
}

/// That the wallet, its entries, its statement, whole or in two pieces, and the records say the same.
async fn check(store: &Store, organization: Id, credits: i64, spent: i64) {
    let wallet = store.wallet(organization).await.unwrap().unwrap();
    assert_eq!(
        (wallet.credits.nano(), wallet.spent.nano()),
        (credits, spent)
    );
    let today = now() / DAY;
    let whole = store
        .statement(organization, today - 40, today + 2)
        .await
        .unwrap();
    assert_eq!(whole.opening, Money::ZERO);
    assert_eq!(whole.closing, wallet.balance());
    let first = store
        .statement(organization, today - 40, today)
        .await
        .unwrap();
    let second = store
        .statement(organization, today, today + 2)
        .await
        .unwrap();
    assert_eq!(first.closing, second.opening);
    assert_eq!(second.closing, wallet.balance());
    let sum: Money = whole.entries.iter().map(|entry| entry.amount).sum();
    assert_eq!(sum.nano(), credits);
    let numbers: Vec<u64> = whole.entries.iter().map(|entry| entry.number).collect();
    let expect: Vec<u64> = (1..=wallet.entries).collect();
    assert_eq!(numbers, expect);
    let used: Money = whole.usage.iter().map(|day| day.spent).sum();
    assert_eq!(used.nano(), spent);
}

/// What somebody who pays afterwards owes for this month.
fn month_of(organization: Id) -> NewInvoice {
    NewInvoice {
        organization: Party {
            id: organization.to_string(),
            name: "later".into(),
        },
        month: Month::of(now()),
        tax: Tax {
            name: String::new(),
            rate: 0,
        },
        shown: None,
        note: None,
        due_at: None,
        names: HashMap::new(),
    }
}

fn now() -> Millis {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

async fn money_is_never_lost_nor_made(bed: Bed) {
    for seed in 0..3_u64 {
        let mut store = bed.open().await;
        let paying: Vec<Id> = (0..3).map(|_| new_id()).collect();
        let mut opened = BTreeMap::new();
        for organization in &paying {
            let (wallet, is_new) = store
                .open_wallet(*organization, "acme", Money::ZERO)
                .await
                .unwrap();
            assert!(is_new);
            opened.insert(*organization, wallet.opened_at);
        }
        let afterwards = new_id();
        let (mut credits, mut spent) = (BTreeMap::<Id, i64>::new(), BTreeMap::<Id, i64>::new());
        let (mut planned, mut owed) = (BTreeMap::<Id, Millis>::new(), 0);
        let begun = now();
        let mut refundable: Vec<(Id, Id, i64)> = Vec::new();
        let mut written: Vec<(Id, Vec<Written>)> = Vec::new();
        for step in 0..50_u64 {
            let dice = |face: u64| mix(seed * 1_000_003 + step * 101 + face);
            let organization = paying[usize::try_from(dice(1) % 3).unwrap()];
            let amount = i64::try_from(dice(2) % 5_000_000_000).unwrap() + 1;
            match dice(0) % 9 {
                0 => {
                    let reference = format!("top-up {seed} {step}");
                    let mut ids = Vec::new();
                    for _ in 0..2 {
                        let entry = entry(EntryKind::TopUp, amount, Some(&reference));
                        let booked = store.book(organization, "acme", entry).await.unwrap();
                        ids.push(booked.entry.id);
                    }
                    assert_eq!(ids[0], ids[1]);
                    *credits.entry(organization).or_default() += amount;
                    refundable.push((organization, ids[0], amount));
                }
                1 => {
                    let worth = Worth::Money(money(amount));
                    let (_, codes) = store.make_codes(batch(1, worth)).await.unwrap();
                    let racers: Vec<_> = (0..50)
                        .map(|racer: usize| {
                            let (store, code) = (store.clone(), codes[0].clone());
                            let organization = paying[racer % 3];
                            tokio::spawn(async move {
                                let redeemed =
                                    store.redeem(&code, organization, "acme").await.unwrap();
                                (organization, redeemed)
                            })
                        })
                        .collect();
                    let mut winners = Vec::new();
                    for racer in racers {
                        let (organization, redeemed) = racer.await.unwrap();
                        match redeemed {
                            Redeemed::Money(booked) if booked.is_new => {
                                winners.push((organization, booked.entry.id));
                            }
                            Redeemed::Money(booked) => {
                                assert_eq!(booked.entry.organization, organization);
                            }
                            other => assert_eq!(other, Redeemed::Refused),
                        }
                    }
                    assert_eq!(winners.len(), 1, "{winners:?}");
                    *credits.entry(winners[0].0).or_default() += amount;
                    refundable.push((winners[0].0, winners[0].1, amount));
                }
                2 if !refundable.is_empty() => {
                    let place = usize::try_from(dice(3)).unwrap() % refundable.len();
                    let (organization, of, left) = refundable[place];
                    let part = 1 + i64::try_from(dice(4)).unwrap_or(i64::MAX) % left;
                    let refund = |nano: i64| NewEntry {
                        of: Some(of),
                        forced: true,
                        ..entry(EntryKind::Refund, -nano, None)
                    };
                    let more = store.book(organization, "acme", refund(left + 1)).await;
                    assert!(
                        matches!(
                            more,
                            Err(StoreError::Invalid {
                                field: "amount",
                                ..
                            })
                        ),
                        "{more:?}"
                    );
                    store
                        .book(organization, "acme", refund(part))
                        .await
                        .unwrap();
                    *credits.entry(organization).or_default() -= part;
                    if left == part {
                        refundable.remove(place);
                    } else {
                        refundable[place].2 -= part;
                    }
                }
                3 => {
                    let signed = if dice(5).is_multiple_of(2) {
                        amount
                    } else {
                        -amount
                    };
                    let new = NewEntry {
                        forced: true,
                        ..entry(EntryKind::Adjustment, signed, None)
                    };
                    store.book(organization, "acme", new).await.unwrap();
                    *credits.entry(organization).or_default() += signed;
                }
                4 => {
                    let plan = format!("plan-{}", dice(7) % 3);
                    let days = u32::try_from(dice(8) % 60).unwrap() + 1;
                    let worth = Worth::Plan { plan, days };
                    let (_, codes) = store.make_codes(batch(1, worth)).await.unwrap();
                    let racers: Vec<_> = (0..10)
                        .map(|racer: usize| {
                            let (store, code) = (store.clone(), codes[0].clone());
                            let organization = paying[racer % 3];
                            tokio::spawn(async move {
                                let redeemed =
                                    store.redeem(&code, organization, "acme").await.unwrap();
                                (organization, redeemed)
                            })
                        })
                        .collect();
                    let mut winners = 0;
                    for racer in racers {
                        let (organization, redeemed) = racer.await.unwrap();
                        if let Redeemed::Plan {
                            terms,
                            is_new: true,
                        } = redeemed
                        {
                            winners += 1;
                            let begun = terms.terms[0].begins;
                            let until = planned.entry(organization).or_insert(begun);
                            *until += i64::from(days) * DAY;
                        }
                    }
                    assert_eq!(winners, 1);
                }
                5 => {
                    // The end of a month, whenever it comes: what is owed is what the ledger says.
                    let draft = store.draft_invoice(&month_of(afterwards)).await.unwrap();
                    assert_eq!(draft.sums.used.nano(), owed);
                    let lines: Money = draft.lines.iter().map(|line| line.amount).sum();
                    assert_eq!(lines.nano(), owed);
                }
                6 => {
                    store.close().await;
                    store = bed.open().await;
                }
                _ => {
                    // What somebody who pays afterwards uses, and what was used before, do not count.
                    let journal = new_id();
                    let mut records = Vec::new();
                    for number in 0..20_u64 {
                        let face = dice(number + 10);
                        let whose = match face % 5 {
                            place @ 0..3 => paying[usize::try_from(place).unwrap()],
                            _ => afterwards,
                        };
                        let price = i64::try_from(face % 1_000_000_007).unwrap();
                        let since = opened.get(&whose).copied().unwrap_or(begun);
                        let before = face % 7 == 0;
                        let at = if before {
                            since - 1
                        } else {
                            since + i64::try_from(face % 1000).unwrap()
                        };
                        records.push(record(number, whose, at, price));
                        if whose == afterwards {
                            owed += price;
                        } else if !before {
                            *spent.entry(whose).or_default() += price;
                        }
                    }
                    store.write_usage(journal, &records, 20).await.unwrap();
                    written.push((journal, records));
                    // Whoever writes it again, under the same place or as something that was found later, writes nothing.
                    let (journal, records) =
                        &written[usize::try_from(dice(6)).unwrap() % written.len()];
                    store.write_usage(*journal, records, 20).await.unwrap();
                    store.write_usage(new_id(), records, 20).await.unwrap();
                }
            }
        }
        for organization in &paying {
            let of = |sums: &BTreeMap<Id, i64>| sums.get(organization).copied().unwrap_or(0);
            check(&store, *organization, of(&credits), of(&spent)).await;
            // Nobody has lost a moment of what was redeemed, and the plans follow each other without a gap.
            let terms = store.plan_terms(*organization).await.unwrap().terms;
            assert!(
                terms
                    .array_windows()
                    .all(|[one, next]| one.ends == next.begins)
            );
            assert_eq!(
                terms.last().map(|term| term.ends),
                planned.get(organization).copied()
            );
        }
        assert_eq!(store.wallet(afterwards).await.unwrap(), None);
        store.close().await;
    }
}

async fn what_cannot_be_is_refused(bed: Bed) {
    let store = bed.open().await;
    let organization = new_id();
    let top_up = |nano| entry(EntryKind::TopUp, nano, Some("a"));
    let none = store.book(organization, "acme", top_up(1)).await;
    assert!(matches!(none, Err(StoreError::NotFound { .. })), "{none:?}");
    store
        .open_wallet(organization, "acme", Money::ZERO)
        .await
        .unwrap();
    let again = store
        .open_wallet(organization, "acme", money(5))
        .await
        .unwrap();
    assert_eq!((again.0.overdraft, again.1), (Money::ZERO, false));
    store.book(organization, "acme", top_up(10)).await.unwrap();
    let other = store.book(organization, "acme", top_up(11)).await;
    assert!(
        matches!(
            other,
            Err(StoreError::Invalid {
                field: "reference",
                ..
            })
        ),
        "{other:?}"
    );
    let out = entry(EntryKind::Adjustment, -11, None);
    let below = store.book(organization, "acme", out.clone()).await;
    assert!(
        matches!(
            below,
            Err(StoreError::Invalid {
                field: "amount",
                ..
            })
        ),
        "{below:?}"
    );
    let forced = NewEntry {
        forced: true,
        ..out
    };
    let forced = store.book(organization, "acme", forced).await.unwrap();
    assert_eq!(forced.entry.balance, money(-1));
    // Nine times a billion dollars fit, and no more.
    let billion = 1_000_000_000_000_000_000;
    for _ in 0..9 {
        let new = entry(EntryKind::TopUp, billion, None);
        store.book(organization, "acme", new).await.unwrap();
    }
    let full = store
        .book(organization, "acme", entry(EntryKind::TopUp, billion, None))
        .await;
    assert!(matches!(full, Err(StoreError::Invalid { .. })), "{full:?}");
    let (entries, more) = store
        .wallet_entries(
            organization,
            &EntryFilter {
                limit: 5,
                ..EntryFilter::default()
            },
        )
        .await
        .unwrap();
    assert!(more);
    let numbers: Vec<u64> = entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [11, 10, 9, 8, 7]);
}

async fn codes_are_good_once_and_not_for_ever(bed: Bed) {
    let store = bed.open().await;
    let (mine, other) = (new_id(), new_id());
    let worth = || Worth::Money(money(7));
    let (made, codes) = store.make_codes(batch(4, worth())).await.unwrap();
    let redeem =
        async |code: &Code, organization| store.redeem(code, organization, "acme").await.unwrap();
    assert_eq!(redeem(&codes[0], mine).await, Redeemed::NoWallet);
    store.open_wallet(mine, "acme", Money::ZERO).await.unwrap();
    let first = redeem(&codes[0], mine).await;
    assert!(
        matches!(&first, Redeemed::Money(booked) if booked.is_new),
        "{first:?}"
    );
    let again = redeem(&codes[0], mine).await;
    assert!(
        matches!(&again, Redeemed::Money(booked) if !booked.is_new),
        "{again:?}"
    );
    assert_eq!(redeem(&codes[0], other).await, Redeemed::Refused);
    store.revoke_codes(made.id, Some(2)).await.unwrap();
    assert_eq!(redeem(&codes[1], mine).await, Redeemed::Refused);
    store.revoke_codes(made.id, None).await.unwrap();
    assert_eq!(redeem(&codes[2], mine).await, Redeemed::Refused);
    let (_, few) = store
        .make_codes(NewCodeBatch {
            per_organization: Some(1),
            ..batch(2, worth())
        })
        .await
        .unwrap();
    redeem(&few[0], mine).await;
    assert_eq!(redeem(&few[1], mine).await, Redeemed::Enough);
    let (states, _) = store.codes_of(made.id, 0, 10).await.unwrap();
    assert_eq!(states[0].organization, Some(mine));
    assert_eq!(states[0].hint, codes[0].hint());
    assert_eq!(store.code_batch(made.id).await.unwrap().redeemed, 1);
    let wallet = store.wallet(mine).await.unwrap().unwrap();
    assert_eq!(wallet.credits, money(14));

    let (_, codes) = store
        .make_codes(batch(
            2,
            Worth::Plan {
                plan: "pro".into(),
                days: 30,
            },
        ))
        .await
        .unwrap();
    let before = now();
    redeem(&codes[0], mine).await;
    let Redeemed::Plan { terms, is_new } = redeem(&codes[1], mine).await else {
        panic!("no plan")
    };
    assert!(is_new);
    assert_eq!(terms.terms.len(), 1);
    let length = terms.terms[0].ends - terms.terms[0].begins;
    assert_eq!(length, 60 * DAY);
    assert!(terms.terms[0].begins >= before);
    let changes = store.changes_since(0).await.unwrap();
    assert_eq!(changes.written.terms, [terms]);
    assert_eq!(changes.written.prepaid.len(), 1);
}

async fn replicas_are_told_of_money(bed: Bed) {
    let store = bed.open().await;
    let acme = Organization::named("acme");
    store
        .open_wallet(acme.id, "acme", Money::ZERO)
        .await
        .unwrap();
    let seen = store.revision().await.unwrap();
    let mut watch = bed.open().await.watch(seen);
    let new = entry(EntryKind::TopUp, 3, None);
    store.book(acme.id, "acme", new).await.unwrap();
    let changes = watch.next().await;
    assert_eq!(changes.written.prepaid[0].credits, money(3));
    assert!(changes.written.organizations.is_empty());
}

on_both!(
    money_is_never_lost_nor_made,
    what_cannot_be_is_refused,
    codes_are_good_once_and_not_for_ever,
    replicas_are_told_of_money,
);
