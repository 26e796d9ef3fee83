//! Invoices: what they come to is what the records of the month come to, they are numbered without gaps, and they stay what they are.

use std::collections::{BTreeSet, HashMap};

use lingate_journal::Written;
use lingate_metering::tenant::{Organization, Project};
use lingate_metering::{Id, Millis, Money};
use lingate_store::{
    Invoice, InvoiceFilter, InvoiceState, Month, NewInvoice, Party, Store, StoreError, Tax, new_id,
};

use crate::bed::{Bed, on_both};
use crate::usage::{World, mix};

fn now() -> Millis {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// The month before this one.
fn last_month() -> Month {
    Month::of(Month::of(now()).begins() - 1)
}

fn wanted(organization: Id, month: Month) -> NewInvoice {
    NewInvoice {
        organization: Party {
            id: organization.to_string(),
            name: "acme".into(),
        },
        month,
        tax: Tax {
            name: "VAT".into(),
            rate: 60_000,
        },
        shown: None,
        note: None,
        due_at: None,
        names: HashMap::new(),
    }
}

fn record(number: u64, organization: Id, project: Id, at: Millis, nano: i64) -> Written {
    let world = World {
        keys: 5,
        projects: 2,
        models: 3,
        days: 1,
    };
    let mut record = world.record(number);
    record.id = new_id();
    record.organization = organization;
    record.project = project;
    record.started_at = at;
    record.price = Some(Money::from_nano(nano));
    Written {
        position: number,
        record,
        is_lost: false,
    }
}

/// An organization with a project, and what it used in the last month and around it; what that comes to.
async fn used(store: &Store, name: &str) -> (Organization, Project, i64) {
    let organization = Organization {
        id: new_id(),
        ..Organization::named(name)
    };
    store.create(&organization).await.unwrap();
    let project = Project {
        id: new_id(),
        ..Project::named(&organization, "web")
    };
    store.create(&project).await.unwrap();
    let month = last_month();
    let (from, to) = (month.begins(), month.next().begins());
    let mut sum = 0;
    let mut records = vec![
        record(1, organization.id, project.id, from - 1, 5_000_000_000),
        record(2, organization.id, project.id, to, 7_000_000_000),
    ];
    for number in 3..80 {
        let length = u64::try_from(to - from).unwrap();
        let at = match number {
            3 => from,
            4 => to - 1,
            number => from + i64::try_from(mix(number) % length).unwrap(),
        };
        let nano = i64::try_from(mix(number + 1000) % 3_000_000_000).unwrap();
        sum += nano;
        records.push(record(number, organization.id, project.id, at, nano));
    }
    store.write_usage(new_id(), &records, 1_000).await.unwrap();
    (organization, project, sum)
}

/// That what it says adds up.
fn check(invoice: &Invoice, sum: i64) {
    let sums = invoice.document.sums;
    let lines: Money = invoice.document.lines.iter().map(|line| line.amount).sum();
    assert_eq!(lines.nano(), sum);
    assert_eq!(sums.used, lines);
    assert_eq!(sums.subtotal, sums.used.minus(sums.prepaid));
    assert_eq!(
        sums.subtotal.plus(sums.tax).plus(sums.rounding),
        sums.payable
    );
    assert_eq!(sums.payable.nano() % 10_000_000, 0);
    assert_eq!(invoice.payable, sums.payable);
}

async fn an_invoice_is_the_month_of_the_ledger_and_stays_so(bed: Bed) {
    let store = bed.open().await;
    let (organization, mut project, sum) = used(&store, "acme").await;
    let new = wanted(organization.id, last_month());
    let invoice = store.issue_invoice(&new).await.unwrap();
    check(&invoice, sum);
    let requests: i64 = invoice
        .document
        .lines
        .iter()
        .map(|line| line.requests)
        .sum();
    assert_eq!(requests, 77);
    let called = |invoice: &Invoice| {
        let projects = invoice
            .document
            .lines
            .iter()
            .map(|line| line.project.clone());
        projects
            .map(|party| party.unwrap().name)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(called(&invoice), BTreeSet::from(["web".to_owned()]));
    // Once for each month, whoever else tries.
    for _ in 0..2 {
        let again = store.issue_invoice(&new).await;
        assert!(matches!(again, Err(StoreError::Taken { .. })), "{again:?}");
    }
    // Another name and a late record change nothing.
    "shop".clone_into(&mut project.name);
    store.update(&project, None).await.unwrap();
    let late = record(
        99,
        organization.id,
        project.id,
        last_month().begins() + 5,
        1,
    );
    store.write_usage(new_id(), &[late], 1_000).await.unwrap();
    assert_eq!(store.invoice(invoice.id).await.unwrap(), invoice);
    let draft = store.draft_invoice(&new).await.unwrap();
    assert_eq!(draft.sums.used.nano(), sum + 1);
    // A month that is not over can be looked at, and no more.
    let this = wanted(organization.id, Month::of(now()));
    assert_eq!(
        store.draft_invoice(&this).await.unwrap().sums.used.nano(),
        7_000_000_000
    );
    let early = store.issue_invoice(&this).await;
    assert!(
        matches!(early, Err(StoreError::Invalid { field: "month", .. })),
        "{early:?}"
    );
}

async fn what_a_wallet_has_paid_is_not_paid_again(bed: Bed) {
    let store = bed.open().await;
    let (organization, project, _) = used(&store, "acme").await;
    let (wallet, _) = store
        .open_wallet(organization.id, "acme", Money::ZERO)
        .await
        .unwrap();
    let at = wallet.opened_at;
    let paid = record(200, organization.id, project.id, at, 3_000_000_001);
    store.write_usage(new_id(), &[paid], 1_000).await.unwrap();
    let month = Month::of(at);
    let draft = store
        .draft_invoice(&wanted(organization.id, month))
        .await
        .unwrap();
    assert_eq!(draft.sums.prepaid.nano(), 3_000_000_001);
    assert_eq!(
        draft.sums.used.minus(draft.sums.prepaid),
        draft.sums.subtotal
    );
    assert_eq!(draft.sums.subtotal.nano(), 7_000_000_000);
}

async fn numbers_have_no_gap_and_credit_notes_end_at_what_was_to_be_paid(bed: Bed) {
    let store = bed.open().await;
    let other = bed.open().await;
    let mut organizations = Vec::new();
    for number in 0..6 {
        organizations.push(used(&store, &format!("customer {number}")).await.0.id);
    }
    let mut issuing = Vec::new();
    for (place, organization) in organizations.iter().enumerate() {
        // Two at once for each: one of them gets it.
        for store in [store.clone(), other.clone()] {
            let new = wanted(*organization, last_month());
            issuing.push((
                place,
                tokio::spawn(async move { store.issue_invoice(&new).await }),
            ));
        }
    }
    let mut issued: HashMap<usize, Invoice> = HashMap::new();
    for (place, task) in issuing {
        match task.await.unwrap() {
            Ok(invoice) => assert!(issued.insert(place, invoice).is_none()),
            Err(error) => assert!(matches!(error, StoreError::Taken { .. }), "{error}"),
        }
    }
    let year = Month::of(now()).year();
    let numbers: BTreeSet<String> = issued.values().map(|it| it.number.clone()).collect();
    let expect: BTreeSet<String> = (1..=6).map(|it| format!("INV-{year}-{it:06}")).collect();
    assert_eq!(numbers, expect);

    let invoice = &issued[&0];
    let cent = Money::from_nano(10_000_000);
    for (amount, is_good) in [
        (Some(cent), true),
        (Some(invoice.payable), false),
        (Some(Money::from_nano(1)), false),
        (Some(Money::ZERO), false),
        (None, true),
        (None, false),
        (Some(cent), false),
    ] {
        let done = store.credit_invoice(invoice.id, amount, None).await;
        assert_eq!(done.is_ok(), is_good, "{amount:?} {done:?}");
        if let Ok(note) = done {
            let sums = note.document.sums;
            assert_eq!(sums.subtotal.plus(sums.tax), note.payable);
            assert_eq!(note.of, Some(invoice.id));
        }
    }
    let of = InvoiceFilter {
        of: Some(invoice.id),
        ..InvoiceFilter::default()
    };
    let (notes, next) = store.invoices(&of).await.unwrap();
    assert_eq!((notes.len(), next), (2, None));
    assert_eq!(notes[0].number, format!("CN-{year}-000002"));
    let back: Money = notes.iter().map(|note| note.payable).sum();
    assert_eq!(back, invoice.payable);
    let void = store
        .settle_invoice(invoice.id, InvoiceState::Void, None)
        .await;
    assert!(matches!(void, Err(StoreError::Invalid { .. })), "{void:?}");

    // What is void may be issued anew, with a number of its own.
    let invoice = &issued[&1];
    let stale = store
        .settle_invoice(invoice.id, InvoiceState::Void, Some(1))
        .await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    let seen = Some(invoice.revision);
    let void = store
        .settle_invoice(invoice.id, InvoiceState::Void, seen)
        .await
        .unwrap();
    assert_eq!(void.state, InvoiceState::Void);
    let paid = store
        .settle_invoice(invoice.id, InvoiceState::Paid, None)
        .await;
    assert!(matches!(paid, Err(StoreError::Invalid { .. })), "{paid:?}");
    let anew = store
        .issue_invoice(&wanted(organizations[1], last_month()))
        .await
        .unwrap();
    assert_eq!(anew.number, format!("INV-{year}-000007"));
    let paid = store
        .settle_invoice(anew.id, InvoiceState::Paid, None)
        .await
        .unwrap();
    assert!(paid.settled_at.is_some());

    let mut seen = Vec::new();
    let mut filter = InvoiceFilter {
        organizations: Some(organizations[..2].to_vec()),
        limit: 2,
        ..InvoiceFilter::default()
    };
    loop {
        let (page, next) = store.invoices(&filter).await.unwrap();
        seen.extend(page.into_iter().map(|it| it.number));
        match next {
            Some(next) => filter.after = Some(next),
            None => break,
        }
    }
    // Two invoices and two credit notes of one, one that is void and one that is not of the other: five, none twice.
    assert_eq!(seen.len(), 5);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 5);
}

on_both!(
    an_invoice_is_the_month_of_the_ledger_and_stays_so,
    what_a_wallet_has_paid_is_not_paid_again,
    numbers_have_no_gap_and_credit_notes_end_at_what_was_to_be_paid,
);
