//! Files that were changed: what is whole is read, what is not is told and kept.

use std::fs;

use lingate_journal::Level;

use crate::{Folder, SMALL, draft, last, numbers, open, read, segments};

#[test]
fn a_damaged_middle_costs_one_record_and_is_kept_as_evidence() {
    let folder = Folder::new();
    let opened = open(&folder.0, SMALL);
    for number in 0..10 {
        opened.journal.append(&last(number)).unwrap();
    }
    drop(opened);
    let file = folder.segments().pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let place = bytes.len() / 10 * 4 + 60;
    bytes[place] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let mut opened = open(&folder.0, SMALL);
    let damaged = &opened.recovery.damaged;
    assert_eq!(damaged.len(), 1);
    assert!(damaged[0].from <= place as u64 && (place as u64) < damaged[0].to);
    assert_eq!(
        numbers(&read(&mut opened.reader)),
        [0, 1, 2, 3, 5, 6, 7, 8, 9]
    );
    let aside = segments(&folder.0.join("1/damaged"));
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read(&aside[0]).unwrap(), bytes);
    assert_eq!(opened.journal.health().damaged, 1);
    drop(opened);
    assert_eq!(
        open(&folder.0, SMALL).recovery.finals,
        0,
        "it is not read again"
    );
}

#[test]
fn a_damaged_final_leaves_its_draft() {
    let folder = Folder::new();
    let opened = open(&folder.0, SMALL);
    opened.journal.append(&draft(1)).unwrap();
    opened.journal.append(&last(1)).unwrap();
    opened.journal.append(&last(2)).unwrap();
    drop(opened);
    let file = folder.segments().pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x80;
    fs::write(&file, &bytes).unwrap();
    let mut opened = open(&folder.0, SMALL);
    let found = read(&mut opened.reader);
    assert_eq!(found, [(1, "gateway_lost".into()), (2, "complete".into())]);
}

#[test]
fn a_torn_end_is_counted_and_what_follows_is_read() {
    for cut in [1, 20, 60] {
        let folder = Folder::new();
        let opened = open(&folder.0, SMALL);
        for number in 0..3 {
            opened.journal.append(&last(number)).unwrap();
        }
        drop(opened);
        let file = folder.segments().pop().unwrap();
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - cut]).unwrap();
        let mut opened = open(&folder.0, SMALL);
        assert_eq!(
            (opened.recovery.torn, opened.recovery.damaged.len()),
            (1, 0)
        );
        opened.journal.append(&last(3)).unwrap();
        assert_eq!(numbers(&read(&mut opened.reader)), [0, 1, 3]);
    }
}

#[test]
fn strange_files_are_left_alone() {
    let folder = Folder::new();
    drop(open(&folder.0, SMALL));
    fs::write(folder.0.join("1/notes.txt"), "hello").unwrap();
    fs::write(
        folder
            .0
            .join("1/00000001-0193a1b2-0000-7000-8000-000000000000-00000000.segment"),
        "",
    )
    .unwrap();
    let mut opened = open(&folder.0, SMALL);
    assert_eq!(read(&mut opened.reader), []);
    opened.journal.append(&last(1)).unwrap();
    assert_eq!(numbers(&read(&mut opened.reader)), [1]);
    assert_eq!(opened.journal.health().level, Level::Calm);
    assert!(folder.0.join("1/notes.txt").exists());
}
