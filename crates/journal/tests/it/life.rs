//! What is appended is read, once it is final, until it is acknowledged; after a restart, too, and by whoever comes next.

use lingate_journal::abandoned;

use crate::{Folder, SMALL, draft, last, numbers, open, read};

#[test]
fn finals_are_read_in_their_order_and_drafts_are_not() {
    let folder = Folder::new();
    let mut opened = open(&folder.0, SMALL);
    for number in 0..20 {
        opened.journal.append(&draft(number)).unwrap();
    }
    assert_eq!(read(&mut opened.reader), []);
    for number in (0..20).rev() {
        opened.journal.append(&last(number)).unwrap();
    }
    assert_eq!(opened.journal.health().waiting, 20);
    let found = read(&mut opened.reader);
    assert_eq!(numbers(&found), (0..20).rev().collect::<Vec<_>>());
    let health = opened.journal.health();
    assert_eq!((health.waiting, health.drafts), (0, 0));
}

#[test]
fn what_was_not_acknowledged_comes_again_after_a_restart() {
    let folder = Folder::new();
    let mut opened = open(&folder.0, SMALL);
    for number in 0..5 {
        opened.journal.append(&last(number)).unwrap();
    }
    let first = opened.reader.next(3).unwrap();
    assert_eq!(first.records.len(), 3);
    drop(opened);
    let mut opened = open(&folder.0, SMALL);
    let again = opened.reader.next(3).unwrap();
    assert_eq!(again, first, "at the same positions of the same journal");
    opened.journal.append(&last(5)).unwrap();
    let found = read(&mut opened.reader);
    assert_eq!(numbers(&found), [3, 4, 5]);
    assert_eq!(folder.segments().len(), 1, "only the open file is left");
}

#[test]
fn requests_that_were_under_way_are_recorded_as_lost() {
    let folder = Folder::new();
    let opened = open(&folder.0, SMALL);
    for number in 0..4 {
        opened.journal.append(&draft(number)).unwrap();
    }
    opened.journal.append(&last(1)).unwrap();
    opened.journal.append(&draft(2)).unwrap();
    drop(opened);
    for _ in 0..2 {
        // A second death before anything was delivered changes nothing.
        let opened = open(&folder.0, SMALL);
        assert_eq!((opened.recovery.finals, opened.recovery.lost), (1, 3));
    }
    let mut opened = open(&folder.0, SMALL);
    let mut found = read(&mut opened.reader);
    found.sort();
    let outcomes: Vec<(u64, &str)> = found
        .iter()
        .map(|(number, outcome)| (*number, outcome.as_str()))
        .collect();
    let lost = "gateway_lost";
    assert_eq!(outcomes, [(0, lost), (1, "complete"), (2, lost), (3, lost)]);
    assert_eq!(folder.segments().len(), 0);
}

#[test]
fn drafts_of_long_requests_move_so_that_old_files_can_go() {
    let folder = Folder::new();
    let mut opened = open(&folder.0, SMALL);
    opened.journal.append(&draft(1_000_000)).unwrap();
    for number in 0..600 {
        opened.journal.append(&draft(number)).unwrap();
        opened.journal.append(&last(number)).unwrap();
        read(&mut opened.reader);
        assert!(folder.segments().len() <= 2);
    }
    let newest = folder.segments().pop().unwrap();
    assert!(
        !newest.to_str().unwrap().contains("/00000001-"),
        "{newest:?}"
    );
    drop(opened);
    let mut opened = open(&folder.0, SMALL);
    assert!(read(&mut opened.reader).contains(&(1_000_000, "gateway_lost".into())));
}

#[test]
fn processes_never_share_a_journal_and_what_a_dead_one_left_is_found() {
    let folder = Folder::new();
    let first = open(&folder.0, SMALL);
    let second = open(&folder.0, SMALL);
    second.journal.append(&draft(7)).unwrap();
    second.journal.append(&last(8)).unwrap();
    assert!(abandoned(&folder.0).unwrap().is_empty(), "both live");
    drop(second);
    let mut found = abandoned(&folder.0).unwrap();
    assert_eq!(found.len(), 1);
    assert!(abandoned(&folder.0).unwrap().is_empty(), "it is taken");
    let (reader, recovery) = &mut found[0];
    assert_eq!((recovery.finals, recovery.lost), (1, 1));
    assert_eq!(numbers(&read(reader)), [7, 8]);
    assert!(reader.is_drained());
    drop((first, found));
}

#[test]
fn threads_append_at_once() {
    let folder = Folder::new();
    let mut opened = open(&folder.0, SMALL);
    let journal = &opened.journal;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for number in 0..50 {
                    journal.append(&draft(thread * 1_000 + number)).unwrap();
                    journal.append(&last(thread * 1_000 + number)).unwrap();
                }
            });
        }
    });
    let mut found = numbers(&read(&mut opened.reader));
    found.sort_unstable();
    let expect: Vec<u64> = (0..8)
        .flat_map(|thread| (0..50).map(move |number| thread * 1_000 + number))
        .collect();
    assert_eq!(found, expect);
}
