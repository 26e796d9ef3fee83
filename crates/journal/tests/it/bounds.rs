//! A journal that is full, and a disk that is: new requests are refused, those under way are written.

use std::io::ErrorKind;
use std::process::Command;

use lingate_journal::{Level, OnFull, Settings};

use crate::{Folder, SMALL, draft, last, numbers, open, read};

#[test]
fn new_requests_are_refused_before_there_is_no_room_for_those_under_way() {
    let folder = Folder::new();
    let mut opened = open(&folder.0, SMALL);
    let mut under_way = 0;
    let refused = loop {
        match opened.journal.append(&draft(under_way)) {
            Ok(()) => under_way += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert!(under_way > 100);
    assert_eq!(opened.journal.health().level, Level::Full);
    for number in 0..under_way {
        opened.journal.append(&last(number)).unwrap();
    }
    assert!(opened.journal.health().bytes <= SMALL.limit);
    assert_eq!(read(&mut opened.reader).len() as u64, under_way);
    opened.journal.append(&draft(under_way)).unwrap();
    assert_eq!(opened.journal.health().level, Level::Calm);
    assert_eq!(opened.journal.health().refused, 1);
}

#[test]
fn where_requests_go_on_without_a_record_they_are_counted() {
    let folder = Folder::new();
    let settings = Settings {
        on_full: OnFull::Allow,
        ..SMALL
    };
    let mut opened = open(&folder.0, settings);
    for number in 0..3_000 {
        opened.journal.append(&draft(number)).unwrap();
        opened.journal.append(&last(number)).unwrap();
    }
    let health = opened.journal.health();
    assert_eq!((health.level, health.drafts), (Level::Full, 0));
    assert!(health.bytes <= SMALL.limit && health.dropped > 0);
    let found = numbers(&read(&mut opened.reader));
    assert_eq!(found.len() as u64 + health.dropped, 3_000);
}

/// Run again as another process by those below.
#[test]
#[ignore = "run by other tests, where there is little room"]
fn with_little_room() {
    let Ok(folder) = std::env::var("LITTLE_ROOM") else {
        return;
    };
    let settings = Settings {
        limit: 1 << 30,
        segment: 1 << 20,
        ..SMALL
    };
    let mut opened = open(folder.as_ref(), settings);
    for number in 0..1_000 {
        opened.journal.append(&draft(number)).unwrap();
    }
    let mut next = 1_000;
    let refused = loop {
        if let Err(error) = opened.journal.append(&draft(next)) {
            break error;
        }
        opened.journal.append(&last(next)).unwrap();
        next += 1;
        assert!(next < 100_000, "there is too much room");
    };
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert!(opened.journal.health().is_disk_full);
    for number in 0..1_000 {
        opened.journal.append(&last(number)).unwrap();
    }
    assert_eq!(read(&mut opened.reader).len() as u64, next);
    // What was read is deleted, and so there is room again.
    while opened.journal.health().is_disk_full {
        std::thread::yield_now();
    }
    opened.journal.append(&draft(next)).unwrap();
}

/// A disk of 8 MiB that is nobody else's, which only root may make.
#[test]
fn a_full_disk_refuses_new_requests_and_takes_those_under_way() {
    let folder = Folder::new();
    let own = std::env::current_exe().unwrap();
    let script = r#"mount -t tmpfs -o size=8m none "$LITTLE_ROOM" && exec "$0" --exact bounds::with_little_room --ignored"#;
    let run = |command: &mut Command| {
        let done = command.env("LITTLE_ROOM", &folder.0).output().unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        (done.status.success() && said.contains("1 passed"), said)
    };
    let may_mount = Command::new("unshare")
        .args(["-m", "true"])
        .output()
        .is_ok_and(|done| done.status.success());
    if may_mount {
        let (passed, said) = run(Command::new("unshare")
            .args(["-m", "sh", "-c", script])
            .arg(&own));
        assert!(passed, "{said}");
    }
}

#[test]
fn a_write_that_is_cut_short_leaves_nothing_behind() {
    let folder = Folder::new();
    let own = std::env::current_exe().unwrap();
    // The reserve is 4 MiB: a file may have that, and then a bit.
    let script = r#"trap '' XFSZ; ulimit -f 9000; exec "$0" --exact bounds::with_files_that_may_not_grow --ignored"#;
    let done = Command::new("sh")
        .args(["-c", script])
        .arg(own)
        .env("LITTLE_ROOM", &folder.0)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by another test, where files may not grow"]
fn with_files_that_may_not_grow() {
    let Ok(folder) = std::env::var("LITTLE_ROOM") else {
        return;
    };
    let settings = Settings {
        limit: 1 << 30,
        segment: 64 << 20,
        ..SMALL
    };
    let mut opened = open(folder.as_ref(), settings);
    for number in 0..20_000 {
        // Each of them is under way when its final is written, for which another file is begun where this one may not grow.
        if opened.journal.append(&draft(number)).is_err() {
            let health = opened.journal.health();
            assert!(health.is_disk_full);
            break;
        }
        opened.journal.append(&last(number)).unwrap();
    }
    let records = opened.journal.health().waiting;
    assert_eq!(read(&mut opened.reader).len() as u64, records);
    assert_eq!(opened.journal.health().damaged, 0);
}
